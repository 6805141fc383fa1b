"""The glossary's terms: linked where a page first uses them, explained where they stand.

`_static/terms.js` shows a definition beside the link that its `aria-describedby` describes.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "glossary"

# No word is linked in these.
_SKIPPED = (
    nodes.title,
    nodes.rubric,
    nodes.caption,
    nodes.reference,
    nodes.literal,
    nodes.math,
    nodes.citation,
    nodes.term,
)
_LINK = re.compile(
    rf'<a class="reference internal" href="(?:[^"#]*{GLOSSARY}\.html)?#(term-[^"]+)"'
)


def pattern(terms: list[str]) -> re.Pattern[str]:
    """What finds a term, or its plural, in running text.

    A term that starts with a small letter is also found where a sentence starts with it. Its spaces
    may be hyphens.

    Args:
        terms: The terms as the glossary spells them.
    """

    def spelled(term: str) -> str:
        first = re.escape(term[0])
        first = f"[{first}{first.upper()}]" if term[0].islower() else first
        return first + r"[\s-]".join(map(re.escape, term[1:].split(" ")))

    longest_first = sorted(terms, key=len, reverse=True)
    choices = "|".join(f"({spelled(term)})" for term in longest_first)
    return re.compile(rf"(?<![\w-])(?:{choices})(?:s|es)?(?![\w-])")


def tips(meanings: Mapping[str, str]) -> str:
    """Definitions as hidden elements, for `aria-describedby` and for `objective.js` to show.

    Args:
        meanings: The definition as plain text, by the id that its element is to have.
    """
    return "".join(
        f'<div class="llmecon-tip" role="tooltip" id="{html.escape(name)}" hidden>'
        f"{html.escape(text.replace('`', ''))}</div>"
        for name, text in meanings.items()
    )


def link_first_uses(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link each term to the glossary where a page first uses it."""
    anchors = _anchors(app)
    if docname == GLOSSARY or not anchors:
        return
    terms = sorted(anchors, key=len, reverse=True)
    search = pattern(terms)
    glossary = app.builder.get_relative_uri(docname, GLOSSARY)
    seen: set[str] = set()
    for node in list(doctree.findall(lambda n: isinstance(n, nodes.Text | nodes.reference))):
        if isinstance(node, nodes.reference):
            seen.add(node.get("refuri", "").partition("#")[2])
        elif _is_prose(node):
            pieces = _linked(node.astext(), search, terms, anchors, seen, glossary)
            if len(pieces) > 1:
                node.parent.replace(node, pieces)


def explain(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the definitions of a page's terms into the page, and tell the links of them."""
    body = context.get("body", "")
    used = set(_LINK.findall(body))
    if not used:
        return
    meanings = {f"about-{a}": text for a, text in _meanings(app).items() if a in used}
    body = _LINK.sub(
        lambda link: (
            f'{link[0]} aria-describedby="about-{link[1]}"'
            if f"about-{link[1]}" in meanings
            else link[0]
        ),
        body,
    )
    context["body"] = body + tips(meanings)


def _anchors(app: Sphinx) -> dict[str, str]:
    """The glossary's terms and the anchors of their entries."""
    objects = app.env.get_domain("std").data["objects"]
    return {name: where[1] for (kind, name), where in objects.items() if kind == "term"}


def _is_prose(node: nodes.Text) -> bool:
    above: nodes.Node | None = node.parent
    inside = False
    while above is not None:
        if isinstance(above, _SKIPPED):
            return False
        inside = inside or isinstance(above, nodes.paragraph)
        above = above.parent
    return inside


def _linked(
    text: str,
    search: re.Pattern[str],
    terms: list[str],
    anchors: Mapping[str, str],
    seen: set[str],
    glossary: str,
) -> list[nodes.Node]:
    pieces: list[nodes.Node] = []
    end = 0
    for found in search.finditer(text):
        anchor = anchors[terms[(found.lastindex or 1) - 1]]
        if anchor in seen:
            continue
        seen.add(anchor)
        word = nodes.inline("", found[0], classes=["xref", "std", "std-term"])
        link = nodes.reference("", "", word, internal=True, refuri=f"{glossary}#{anchor}")
        pieces += [nodes.Text(text[end : found.start()]), link]
        end = found.end()
    return [*pieces, nodes.Text(text[end:])]


def _meanings(app: Sphinx) -> dict[str, str]:
    """The glossary's definitions by the anchors of their terms."""
    if not hasattr(app, "llmecon_meanings"):
        meanings = {}
        for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
            text = " ".join(d.astext() for d in item.findall(nodes.definition))
            for term in item.findall(nodes.term):
                meanings |= dict.fromkeys(term["ids"], text)
        app.llmecon_meanings = meanings  # type: ignore[attr-defined]
    return app.llmecon_meanings  # type: ignore[attr-defined, no-any-return]


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.connect("doctree-resolved", link_first_uses)
    app.connect("html-page-context", explain)
