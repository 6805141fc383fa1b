"""Keeps pages light: fonts and maths cut to what the book uses, still pictures outside pages."""

import hashlib
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

from llmecon.publishing import scenario
from llmecon.publishing.build import site_assets

_STILL = re.compile(r'<div class="llmecon-static"[^>]*>(<svg .*?</svg>)</div>', re.DOTALL)
_CHART = re.compile(
    r'<div class="llmecon-(?:chart|view)"(?: data-view="\w+")? role="img" aria-label="([^"]*)">'
)
_REPEATED = 300  # characters: what is shorter may be said again
_SOURCES = re.compile(r'<details class="llmecon-sources">.*?</details>', re.DOTALL)
_CONFIG = re.compile(r'(?<=<script type="application/json">\{)"config":(\{.*?\}\}),(?="layer")')
# Names, punctuation and blanks, which have the colour of plain text.
_PLAIN = re.compile(r'<span class="(?:n|nn|nx|p|pm|w)">([^<]*)</span>')
# Words glued together by charts' axes, and private names.
_GLUED = re.compile(r"^\d+[a-z_]{3,}|^\d+e\d+$|sourcesrow|.{25}|^_|^0\d|^$")
# Keys of the bibliography, which pages cite and link.
_KEY = re.compile(r"^[a-z]+(?:19|20)\d\d[a-z0-9]*$")
# Words that say nothing of a page: those of sentences, and of how the library is described.
_EVERYWHERE = """
    about above again all alone also although an any because been before being between both can
    could did do does each either else every far few find first found from given had has have
    hold holds how its itself kind kinds known least less make makes many may might more most
    much must need needs neither none nor nothing once one only other others our out over own
    per rest same say says see several so some stand stands take taken takes than them those
    though through together too two until up upon us used very we were what whatever when where
    whether which while who whose why without would yet you your
    str float int bool tuple dict list return returns class name names number numbers parameter
    parameters raise raises raised value values variable variables
"""
_ICON_RULE = re.compile(r"((?:\.fa-[\w-]+:before,?)+)\{content:\"\\([0-9a-f]+)\"\}")
_ICON_FACE = re.compile(r"@font-face\{[^}]*Font Awesome[^}]*\}|@font-face\{[^}]*FontAwesome[^}]*\}")
_ICON_SCRIPT = re.compile(r"\s*<!-- So that users.*?</script>", re.DOTALL)

_END_OF_WORDS = re.compile(
    r"(</(?:td|th|text|tspan|option|p|li|div|span|strong|label|h\d|summary|button)>)(?=<)"
)


# ---------------------------------------------------------------------------- before the pages


def provide(app: Sphinx) -> None:
    """Put the text font and the maths into the site; a chapter's report needs no search."""
    if app.builder.format != "html":
        return
    if str(app.config.root_doc).startswith("chapters/"):
        app.builder.search = False  # type: ignore[attr-defined]  # a report has one page
    static = Path(app.doctreedir) / "light"
    vendor = static / "vendor"
    site_assets.write_fonts(vendor)
    site_assets.write_maths(vendor)
    app.config.html_static_path.append(str(static))


# ---------------------------------------------------------------------------- each page


def lighten_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Move a page's still pictures into files, and load the maths' fonts where there is maths."""
    body = context.get("body", "")
    if any("mathjax" in str(getattr(s, "filename", s)) for s in context.get("script_files", ())):
        app.add_css_file("vendor/mathjax.css")
    if 'class="highlight' in body:
        body = _PLAIN.sub(r"\1", body)
    if 'class="llmecon-static"' in body:
        body = _with_pictures_outside(app, page, body, context["pathto"])
        body = _with_shared_look(body)
    body = _with_shared_sources(body)
    if body:
        context["body"] = body


def _with_pictures_outside(app: Sphinx, page: str, body: str, pathto: Any) -> str:
    """Move still pictures into files for readers without scripts; the first is seen at once."""
    folder = Path(app.outdir) / "_images"
    folder.mkdir(exist_ok=True)
    charts = iter(_CHART.findall(body))

    first = next(_STILL.finditer(body)).start()

    def move(match: re.Match[str]) -> str:
        if match.start() == first:
            next(charts)
            # The live chart numbers its clips in the same way.
            return re.sub(r"\bclip(?=\d)", "still-clip", match[0])
        picture = match[1].replace(' aria-hidden="true"', "", 1)
        width, height = re.findall(r'(?:width|height)="([\d.]+)"', picture)[:2]
        name = f"{page.replace('/', '-')}-{hashlib.sha256(picture.encode()).hexdigest()[:10]}.svg"
        (folder / name).write_text(picture, encoding="utf-8")
        address = html.escape(pathto(f"_images/{name}", resource=True))
        alternative = next(charts)
        image = f'<img src="{address}" alt="{alternative}" width="{width}" height="{height}">'
        shown = f"<noscript>{image}</noscript>"
        return f'<div class="llmecon-static" style="min-height:{height}px">{shown}</div>'

    return _STILL.sub(move, body)


def _with_shared_look(body: str) -> str:
    """Say once a page what all of its charts look like, rather than in each specification."""
    looks = set(_CONFIG.findall(body))
    if len(looks) != 1:
        return body
    shared = f'<script type="application/json" id="llmecon-look">{looks.pop()}</script>'
    return _CONFIG.sub("", body) + shared


def _with_shared_sources(body: str) -> str:
    """Say once a page what several figures rest on; `figures.js` repeats it where it is asked for.

    Without scripts the later figures link to the first that says it.
    """
    said: dict[str, str] = {}

    def share(match: re.Match[str]) -> str:
        sources = BeautifulSoup(match[0], "html.parser")
        for part in sources.select("details > ul > li, details > ul.llmecon-given"):
            text = str(part)
            if len(text) < _REPEATED:
                continue
            if text not in said:
                said[text] = part["id"] = f"sources-{len(said) + 1}"
                continue
            title = part.find("a") if part.name == "li" else None
            part.clear()
            part["data-as"] = said[text]
            if title:
                part.extend([title, ": "])
            above = sources.new_tag("a", href=f"#{said[text]}")
            above.string = "as above"
            part.append(above)
        return str(sources)

    return _SOURCES.sub(share, body)


def part_words(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put a space after every cell and label, whose words the search would take for one."""
    for raw in tree.findall(nodes.raw):
        if "html" in raw.get("format", ""):
            parted = nodes.Text(_END_OF_WORDS.sub(r"\1 ", raw.astext()))
            raw.clear()
            raw.append(parted)


# ---------------------------------------------------------------------------- after the pages


def lighten_site(app: Sphinx, error: Exception | None) -> None:
    """Replace the theme's script of all icons by a font of those used; drop what nobody loads."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    pages = list(site.rglob("*.html"))
    used: set[str] = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        used.update(re.findall(r"\bfa-[\w-]+", text))
        lighter = _ICON_SCRIPT.sub("", text, count=1)
        if lighter != text:
            page.write_text(lighter, encoding="utf-8")
    for script in (site / "_static").rglob("*.js"):
        if script.name != "fontawesome.js" and script.parent.name != "vendor":
            used.update(re.findall(r"\bfa-[\w-]+", script.read_text(encoding="utf-8")))
    _keep_icons(site / "_static", used)

    if (site / "searchindex.js").is_file():
        _lighten_search(site / "searchindex.js")
    shutil.rmtree(site / "_static" / "locales", ignore_errors=True)
    for needless in {*site.rglob("*.map"), *site.rglob("fontawesome.js")}:
        needless.unlink()


class Search(SearchEnglish):
    """The search of a site in English, which passes over more words than Sphinx's."""

    stopwords = SearchEnglish.stopwords | frozenset(_EVERYWHERE.split())


def _lighten_search(index: Path) -> None:
    """Drop from the search what it holds twice, what it never looks up, and what nobody types.

    The library's names, and its modules', are there as objects already. The search passes over
    numbers and frequent words that are asked for, and looks words up in small letters.
    """
    language = Search({})
    never = {language.stem(word) for word in Search.stopwords} | Search.stopwords

    def looked_up(word: str) -> bool:
        return len(word) > 1 and word.islower() and word not in never

    call, _, content = index.read_text(encoding="utf-8").partition("(")
    found = json.loads(content[: content.rindex(")")])
    of_library = {
        number for number, name in enumerate(found["docnames"]) if name.startswith("api/")
    }
    for kind in ("indexentries", "alltitles"):
        found[kind] = {
            text: places
            for text, places in found[kind].items()
            if not {place[0] for place in places} <= of_library
        }
    # Names in chapters' code are the library's, or of no use elsewhere; parameters are asked for.
    asked = {language.stem(of.name) for chapter in scenario.chapters() for of in chapter.parameters}
    of_code = of_library | {
        number for number, name in enumerate(found["docnames"]) if name.startswith("chapters/")
    }
    # A key is looked up where its source is described.
    of_sources = {place for place, name in enumerate(found["docnames"]) if name == "references"}
    found["terms"] = {
        word: sorted(of_sources) if _KEY.match(word) else places
        for word, places in found["terms"].items()
        if looked_up(word)
        and not (_KEY.match(word) and not _all(places) & of_sources)
        and not _GLUED.search(word)
        and not ("_" in word and word not in asked and _all(places) <= of_code)
    }
    found["titleterms"] = {
        word: places for word, places in found["titleterms"].items() if looked_up(word)
    }
    # The script asks whether an entry is the main one, and carries sources' names along unused.
    found["indexentries"] = {
        text: [[*place[:-1], int(place[-1])] for place in places]
        for text, places in found["indexentries"].items()
    }
    found["filenames"] = []
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    index.write_text(f"{call}({text})", encoding="utf-8")


def _all(places: int | list[int]) -> set[int]:
    """Numbers of the pages that hold a word; a single one is no list."""
    return set(places) if isinstance(places, list) else {places}


def _keep_icons(static: Path, used: set[str]) -> None:
    """Cut the theme's icon font and its style rules to the icons in use."""
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    folder = static / "vendor" / "fontawesome" / "webfonts"
    solid = folder / "fa-solid-900.woff2"
    if not (sheet.is_file() and solid.is_file()):
        return
    css = sheet.read_text(encoding="utf-8")
    others = "".join(p.read_text(encoding="utf-8") for p in static.rglob("*.css") if p != sheet)

    def keep(match: re.Match[str]) -> str:
        names = [name for name in re.findall(r"\.(fa-[\w-]+):before", match[1]) if name in used]
        rule = ",".join(f".{name}:before" for name in names)
        return f'{rule}{{content:"\\{match[2]}"}}' if names else ""

    css = _ICON_RULE.sub(keep, css)
    css = _ICON_FACE.sub("", css)
    css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)
    css += (
        "@font-face{font-display:block;font-family:Font Awesome\\ 6 Free;font-weight:900;"
        'src:url(../vendor/fontawesome/webfonts/fa-solid-900.woff2) format("woff2")}'
    )
    sheet.write_text(css, encoding="utf-8")
    # Icons are named by escapes, or stand in variables as characters of the private use area.
    characters = {int(code, 16) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", css + others)}
    characters |= {ord(c) for c in css + others if 0xE000 <= ord(c) <= 0xF8FF}
    font = site_assets.reduced(solid, characters)
    font.flavor = "woff2"
    font.save(solid)
    for needless in folder.iterdir():
        if needless != solid:
            needless.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of this to Sphinx."""
    app.add_search_language(Search)
    app.connect("builder-inited", provide)
    app.connect("doctree-resolved", part_words)
    app.connect("html-page-context", lighten_page, priority=880)
    app.connect("build-finished", lighten_site, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
