"""One chapter, rerun: the executed notebook, a report in a single HTML file, and the scenario."""

import base64
import gzip
import json
import mimetypes
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.publishing.build import execute
from llmecon.studies.parameters import Value

# Pages whose entries a chapter links to; the report appends those it uses.
_APPENDICES = {"glossary": "Terms", "references": "References"}

# What a page of a site has and a single page hasn't: navigation, search, downloads. The header's
# own element stays, empty: the theme's script measures it.
_NAVIGATION = (
    "#pst-header > *, #pst-primary-sidebar, #pst-primary-sidebar-modal, #pst-search-dialog,"
    " #searchbox, .sidebar-toggle.primary-toggle, .search-button, .dropdown-download-buttons,"
    " .prev-next-footer, .toctree-wrapper, #pst-back-to-top, #jb-print-docs-body, .llmecon-beside"
)
_NEEDLESS_SCRIPT = re.compile(r"searchtools|language_data|searchindex|fontawesome|^DOCUMENTATION_")
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)

# Without a side bar the text goes to the middle.
_STYLE = ".bd-main .bd-content { justify-content: center; }"

# Runs the page's scripts one after another; packed, they take a quarter of the space.
_LOADER = """
(async () => {
  const packed = atob(document.getElementById("scripts").textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  for (const { text, data } of await new Response(unpacked).json()) {
    const script = document.createElement("script");
    Object.assign(script.dataset, data);
    script.text = text;
    document.body.append(script);
  }
})();
"""


def make(
    chapter: scenario.Chapter,
    values: Mapping[str, Value],
    folder: Path,
    progress: execute.Progress,
) -> Path:
    """Execute a chapter and write its notebook, report and scenario.

    Args:
        chapter: The chapter.
        values: Validated values of all its parameters.
        folder: Where to write; earlier outputs are replaced only if everything succeeds.
        progress: Called with one line at a time.

    Returns:
        The report.

    Raises:
        InputError: The notebook refused its parameters, or `folder` can't be written to.
        BuildError: The notebook or the report failed.
    """
    _require_writable(folder)
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        work = Path(scratch)
        execution = execute.Execution(chapter, values, work / "made" / f"{chapter.slug}.ipynb")
        execute.execute([execution], progress)
        progress("report: building")
        execute.stage([execution], work / "stage", appended=False)
        _keep_cited(work / "stage", execution.output)
        pages = [name for name in _APPENDICES if (work / "stage" / f"{name}.md").is_file()]
        contents: dict[str, Any] = {"format": "jb-book", "root": f"chapters/{chapter.slug}"}
        contents |= {"chapters": [{"file": name} for name in pages]} if pages else {}
        (work / "stage" / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf-8")
        site = work / "site"
        site.mkdir()
        # Links to pages that a report leaves out are warnings, and become plain text.
        execute.make_site(work / "stage", site, strict=False)
        html = single_file(site / "chapters" / f"{chapter.slug}.html", site)
        (work / "made" / f"{chapter.slug}.html").write_text(html, encoding="utf-8")
        scenario.save(chapter, values, work / "made" / f"{chapter.slug}.yaml")
        _deliver(work / "made", folder)
    return folder / f"{chapter.slug}.html"


def _keep_cited(staged: Path, chapter: Path) -> None:
    """Leave those sources in a staged bibliography that a report may name: to set all is slow."""
    bibliography = staged / "references.bib"
    if not bibliography.is_file():
        return
    glossary = staged / "glossary.md"
    texts = [file.read_text(encoding="utf-8") for file in (chapter, glossary) if file.is_file()]
    entries = re.split(r"^(?=@)", bibliography.read_text(encoding="utf-8"), flags=re.MULTILINE)
    keys = [re.match(r"@\w+\{([^,\s]+),", entry) for entry in entries]
    named = [
        entry
        for entry, key in zip(entries, keys, strict=True)
        if key is None or any(key[1] in text for text in texts)
    ]
    bibliography.write_text("".join(named), encoding="utf-8")


def single_file(page: Path, site: Path) -> str:
    """A page of a site with everything it needs inside it.

    Args:
        page: The HTML file.
        site: Folder of the site; what the page refers to outside is left alone.

    Returns:
        HTML that refers to no other file.
    """
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for unwanted in soup.select(_NAVIGATION):
        unwanted.decompose()
    _append_entries(soup, page)
    _inline_styles(soup, page)
    for image in soup.find_all("img", src=True):
        image["src"] = _data_uri(_local(page, str(image["src"])), str(image["src"]))
    _pack_scripts(soup, page)
    return str(soup)


def _append_entries(soup: BeautifulSoup, page: Path) -> None:
    """Append the glossary's and bibliography's entries that the page links to; drop other links."""
    others: dict[Path, dict[str, Tag]] = {}
    entries: dict[str, dict[str, list[Tag]]] = {name: {} for name in _APPENDICES}
    for link in soup.find_all("a", href=True):
        address, anchor = urldefrag(str(link["href"]))
        other = _local(page, address) if address else None
        if other is None:
            if address and not urlsplit(address).scheme:
                link.unwrap()
            continue
        if other not in others:
            page_of = BeautifulSoup(other.read_text(encoding="utf-8"), "html.parser")
            others[other] = {str(tag["id"]): tag for tag in page_of.find_all(id=True)[::-1]}
        entry = _entry(others[other].get(anchor))
        if other.stem in entries and entry:
            entries[other.stem].setdefault(anchor, entry)
            link["href"] = f"#{anchor}"
        else:
            link.unwrap()

    article = soup.find("article")
    assert isinstance(article, Tag)
    for name, title in _APPENDICES.items():
        if not entries[name]:
            continue
        section = soup.new_tag("section", id=f"report-{name}")
        heading = soup.new_tag("h2")
        heading.string = title
        body = soup.new_tag("dl" if name == "glossary" else "div", attrs={"class": name})
        section.extend([heading, body])
        article.append(section)
        for tags in entries[name].values():
            for tag in tags:
                tag.extract()  # a selection within it then looks at nothing else
                for link in tag.select('.llmecon-used, a[href]:not([href^="http"])'):
                    link.decompose()
                body.append(tag)


def _entry(mark: Tag | None) -> list[Tag]:
    """The glossary term with its definition, or the bibliography entry, that an anchor marks."""
    if mark is None:
        return []
    holder = mark.find_parent("div", class_="citation") or mark
    definition = holder.find_next_sibling("dd") if holder.name == "dt" else None
    return [holder, definition] if isinstance(definition, Tag) else [holder]


def _inline_styles(soup: BeautifulSoup, page: Path) -> None:
    for link in soup.find_all("link"):
        kinds = link.get_attribute_list("rel")
        file = _local(page, str(link.get("href", "")))
        if "stylesheet" in kinds and file:
            style = soup.new_tag("style")
            style.string = _inlined_css(file)
            link.replace_with(style)
        elif "icon" in kinds and file:
            link["href"] = _data_uri(file, "")
        else:
            link.decompose()
    own = soup.new_tag("style")
    own.string = _STYLE
    assert soup.head
    soup.head.append(own)


def _inlined_css(file: Path) -> str:
    css = file.read_text(encoding="utf-8")
    css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)
    imported = re.compile(r"""@import\s+['"]([^'"]+)['"]\s*;""")
    css = imported.sub(lambda match: _inlined_css(file.parent / match[1]), css)

    def inline(match: re.Match[str]) -> str:
        address = match["address"]
        return f'url("{_data_uri(_local(file, address), address)}")'

    return re.sub(
        r"url\((?P<quote>['\"]?)(?!data:|#)(?P<address>[^'\")]+)(?P=quote)\)", inline, css
    )


def _pack_scripts(soup: BeautifulSoup, page: Path) -> None:
    """Pack all scripts but the first, which sets the theme before anything is drawn."""
    # They run when the page has been read, so what they are told must come before they are.
    told: list[dict[str, Any]] = []
    direct: list[dict[str, Any]] = []
    deferred: list[dict[str, Any]] = []
    for script in soup.find_all("script")[1:]:
        if str(script.get("type", "")).startswith("application/"):
            continue  # data
        address = str(script.get("src", ""))
        file = _local(page, address)
        text = file.read_text(encoding="utf-8") if file else script.string or ""
        data = {
            re.sub(r"-(\w)", lambda match: match[1].upper(), name.removeprefix("data-")): value
            for name, value in script.attrs.items()
            if name.startswith("data-")
        }
        if not _NEEDLESS_SCRIPT.search(address or text):
            group = told if file is None else deferred if script.has_attr("defer") else direct
            group.append({"text": _SOURCE_MAP.sub("", text), "data": data})
        script.decompose()
    packed = gzip.compress(json.dumps(told + direct + deferred).encode(), mtime=0)
    store = soup.new_tag("script", attrs={"type": "application/gzip", "id": "scripts"})
    store.string = base64.b64encode(packed).decode()
    loader = soup.new_tag("script")
    loader.string = _LOADER
    assert soup.body
    soup.body.extend([store, loader])


def _local(page: Path, address: str) -> Path | None:
    """The file that an address on a page or in a style sheet points to, if it is one."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    file = (page.parent / unquote(parts.path)).resolve()
    return file if file.is_file() else None


def _data_uri(file: Path | None, otherwise: str) -> str:
    if file is None:
        return otherwise
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _require_writable(folder: Path) -> None:
    existing = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{existing}: can't write there; name another output folder with -o")


def _deliver(made: Path, folder: Path) -> None:
    """Move finished files to a folder, each replacing its predecessor in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".llmecon-", dir=folder) as aside:
        for file in made.iterdir():
            shutil.copy(file, Path(aside) / file.name)
        for file in Path(aside).iterdir():
            os.replace(file, folder / file.name)
