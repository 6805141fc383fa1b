"""The notebooks' Markdown as blocks of HTML, without Sphinx: citations, terms, formulas, links."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from llmecon import paths

_DIRECTIVE = re.compile(r"\{(?P<name>[\w-]+)\}\s*(?P<title>.*)")
_OPTION = re.compile(r"^:[\w-]+:.*\n?", re.MULTILINE)
_NAMED = re.compile(r"^(?P<shown>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9“(<])")


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading, a formula, a list: what stands between blank lines.

    Attributes:
        kind: One of heading, paragraph, equation, list, code, admonition and other.
        html: The block as HTML; of a heading, a paragraph or code, what is inside.
        level: A heading's level, else 0.
        items: The items of a list as HTML.
        title: What an admonition is called.
    """

    kind: str
    html: str
    level: int = 0
    items: tuple[str, ...] = ()
    title: str = ""

    @property
    def whole(self) -> str:
        """The block as HTML that stands on its own."""
        if self.kind == "code":
            return f"<pre>{self.html}</pre>"
        if self.kind == "admonition":
            return f"<p><strong>{self.title}.</strong></p>{self.html}"
        return f"<p>{self.html}</p>" if self.kind in ("heading", "paragraph") else self.html


def blocks(markdown: str) -> list[Block]:
    """The blocks of a text.

    Args:
        markdown: Text as notebooks hold it, with the book's roles and directives.
    """
    reader = _reader()
    tokens = reader.parse(markdown)
    found: list[Block] = []
    start = 0
    while start < len(tokens):
        end = start + 1
        depth = int(tokens[start].nesting)
        while depth:
            depth += tokens[end].nesting
            end += 1
        block = _block(reader, tokens[start:end])
        if block:
            found.append(block)
        start = end
    return found


def terms(markdown: str) -> list[str]:
    """The glossary's terms that a text explains by the role `term`, in their order."""
    named = re.findall(r"\{term\}`([^`]+)`", markdown)
    return list(dict.fromkeys(_target(name)[1] for name in named))


def plain(markup: str) -> str:
    """HTML as plain text."""
    return html.unescape(_TAG.sub("", markup))


def words(markup: str) -> int:
    """How many words HTML shows."""
    return len(html.unescape(_TAG.sub(" ", markup)).split())


def sentences(markup: str) -> list[str]:
    """The sentences of a paragraph's HTML; none is cut inside of an element."""
    found: list[str] = []
    open_sentence = ""
    for piece in _SENTENCE.split(markup):
        open_sentence = f"{open_sentence} {piece}" if open_sentence else piece
        opened = len(re.findall(r"<\w", open_sentence))
        if opened == len(re.findall(r"</\w", open_sentence)):
            found.append(open_sentence)
            open_sentence = ""
    return [*found, open_sentence] if open_sentence else found


@cache
def definitions() -> Mapping[str, str]:
    """The glossary's definitions as Markdown, by term."""
    file = paths.BOOK / "glossary.md"
    if not file.is_file():
        return {}
    found: dict[str, str] = {}
    named: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("  ") and named:
            for name in named:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        elif not line.strip():
            named = []
        elif not line.startswith(("#", "`", ":")):
            named.append(line.strip())
    return found


def inline(markdown: str) -> str:
    """A sentence's HTML."""
    return str(_reader().renderInline(markdown))


# ---------------------------------------------------------------------------- blocks


def _block(reader: MarkdownIt, tokens: Sequence[Token]) -> Block | None:
    first = tokens[0]

    def rendered(part: Sequence[Token]) -> str:
        return str(reader.renderer.render(list(part), reader.options, {})).strip()

    if first.type == "heading_open":
        return Block("heading", rendered(tokens[1:-1]), level=int(first.tag[1:]))
    if first.type == "paragraph_open":
        return Block("paragraph", rendered(tokens[1:-1]))
    if first.type in ("math_block", "math_block_label", "amsmath"):
        return Block("equation", rendered(tokens))
    if first.type in ("bullet_list_open", "ordered_list_open"):
        return Block("list", rendered(tokens), items=tuple(_items(tokens, rendered)))
    if first.type in ("fence", "colon_fence"):
        directive = _DIRECTIVE.match(first.info.strip())
        if directive:
            return _directive(directive["name"], directive["title"], first.content)
        return Block("code", html.escape(first.content.rstrip()))
    if first.type in ("myst_target", "myst_line_comment", "html_block"):
        return None
    return Block("other", rendered(tokens))


def _items(tokens: Sequence[Token], rendered: Any) -> list[str]:
    level = tokens[0].level + 1
    starts = [i for i, t in enumerate(tokens) if t.type == "list_item_open" and t.level == level]
    ends = [i for i, t in enumerate(tokens) if t.type == "list_item_close" and t.level == level]
    shown = [rendered(tokens[a + 1 : b]) for a, b in zip(starts, ends, strict=True)]
    return [re.sub(r"^<p>(.*?)</p>$", r"\1", item, flags=re.DOTALL) for item in shown]


def _directive(name: str, title: str, content: str) -> Block:
    inside = "".join(block.whole for block in blocks(_OPTION.sub("", content)))
    return Block("admonition", inside, title=inline(title) if title else name.capitalize())


# ---------------------------------------------------------------------------- what is inside


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    reader.use(dollarmath_plugin, allow_labels=False, double_inline=True)
    reader.use(amsmath_plugin).use(colon_fence_plugin).use(myst_role_plugin)
    reader.add_render_rule("math_inline", _inline_formula)
    reader.add_render_rule("math_inline_double", _formula)
    reader.add_render_rule("math_block", _formula)
    reader.add_render_rule("amsmath", _formula)
    reader.add_render_rule("myst_role", _role)
    reader.add_render_rule("link_open", _link_open)
    reader.add_render_rule("link_close", _link_close)
    return reader


def _inline_formula(
    self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
) -> str:
    return rf'<span class="math">\({html.escape(tokens[place].content.strip())}\)</span>'


def _formula(
    self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
) -> str:
    return rf'<div class="math">\[{html.escape(tokens[place].content.strip())}\]</div>'


def _role(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    name, content = tokens[place].meta["name"], tokens[place].content
    if name == "term":
        shown, target = _target(content)
        meaning = definitions().get(target, "")
        said = f' title="{html.escape(plain(inline(meaning)))}"' if meaning else ""
        return f'<span class="term"{said}>{html.escape(shown)}</span>'
    if name.startswith("cite"):
        named = [_cited(key.strip()) for key in content.split(",")]
        return f"<cite>({html.escape('; '.join(named))})</cite>"
    if name == "reading":
        return html.escape(content)
    return f"<code>{html.escape(content)}</code>"


def _link_open(
    self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
) -> str:
    # Pages of the book are not beside the slides.
    address = str(tokens[place].attrGet("href") or "")
    if address.startswith(("https://", "http://")):
        return f'<a href="{html.escape(address)}">'
    return '<span class="elsewhere">'


def _link_close(
    self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
) -> str:
    opened = next(t for t in reversed(tokens[:place]) if t.type == "link_open")
    address = str(opened.attrGet("href") or "")
    return "</a>" if address.startswith(("https://", "http://")) else "</span>"


def _target(content: str) -> tuple[str, str]:
    """What a role shows, and what it is about: `shown <target>`, or both in one."""
    named = _NAMED.match(content)
    return (named["shown"], named["target"]) if named else (content, content)


def _cited(key: str) -> str:
    """A source by its authors and year."""
    entry = _sources().get(key)
    if entry is None:
        return key
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join((*of.prelast_names, *of.last_names)) for of in people]
    names = [name.strip("{}") for name in names]
    if len(names) > 2 or "others" in names:
        said = f"{names[0]} et al."
    else:
        said = " and ".join(names) or key
    year = entry.fields.get("year", "")
    return f"{said} {year}".strip().replace("\\&", "&")


@cache
def _sources() -> Mapping[str, Any]:
    from pybtex.database import parse_file

    file = paths.BOOK / "references.bib"
    return dict(parse_file(str(file)).entries) if file.is_file() else {}
