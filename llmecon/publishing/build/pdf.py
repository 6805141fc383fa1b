"""The built site -> one PDF: its pages, drawn by Chromium, joined in order and printed as one.

Each page is opened as a reader would see it, so that its own scripts draw charts and formulas, and
is then kept as plain HTML. The joined pages are one document to Chromium: links between chapters
jump inside the PDF, fonts are embedded once, charts stay vectors, and headings become the outline.
Print styles, and what they leave out of a page, are those of `book/_static/print.css`.
"""

import fnmatch
import html
import importlib.metadata
import io
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

import yaml

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing.build import browser, files
from llmecon.publishing.build.execute import BuildError, Progress

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Pages that only a screen can use: thousands of rows to search, an entry for every function.
LEFT_OUT = ("api", "api/*", "data/*")
LEFT_OUT_NOTE = (
    "Left out of the printed book: the rows of the data tables, which are the CSV files in "
    "data/, and the reference of the library's functions. Both are on the book's site."
)
NOTES = {
    "data": "In print, this page lists the tables without their rows. The rows of each are in the "
    "repository as data/TABLE.csv, and on the book's site."
}

NAME = "the-economics-of-llm-deployment"

_TEXT_WIDTH, _TEXT_HEIGHT = 658, 980  # of an A4 page within print.css's margins [CSS pixels]
_PATIENCE = 60_000  # for one page to be drawn [ms]
_KEY = "/MadeFrom"  # where the PDF records what it was made from

_SCRIPT = Path(__file__).with_suffix(".js")


@dataclass(frozen=True)
class Part:
    """Pages of the book that belong together.

    Args:
        caption: What the table of contents calls them; may be empty.
        pages: Names of the pages, in order, without their suffix.
    """

    caption: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """A line of the table of contents.

    Args:
        level: 1 for a page, 2 for its sections.
        id: Where it leads.
        text: What it says.
    """

    level: int
    id: str
    text: str


@dataclass(frozen=True)
class Taken:
    """A page as print shows it.

    Args:
        key: Its id in the joined document.
        body: HTML of its text.
        headings: Its headings.
        sheets: Addresses of its style sheets.
        rules: Styles that its scripts added.
    """

    key: str
    body: str
    headings: Sequence[Heading]
    sheets: Sequence[str]
    rules: Sequence[str]


def make(site: Path, output: Path, progress: Progress, edition: str = "") -> Path:
    """Print a built site as one PDF, unless that was done already.

    Args:
        site: Folder of the site.
        output: The PDF, replaced only on success.
        progress: Called with one line at a time.
        edition: What the title page says of the parameter set; empty for the default one.

    Returns:
        The PDF.

    Raises:
        InputError: There is no Chromium, or `output` can't be written.
        BuildError: A page can't be printed; the message says which and why.
    """
    require_writable(output)
    made_from = files.stamped(site)
    key = files.digest([made_from or "", edition, _SCRIPT.read_bytes()])
    if made_from and _stored_key(output) == key:
        progress("pdf: unchanged")
        return output
    started = time.monotonic()
    document = _printed(site, edition, progress)
    _write(document, output, key)
    progress(f"pdf: {time.monotonic() - started:.0f} s")
    return output


def parts(contents: Mapping[str, Any]) -> list[Part]:
    """The pages to print, in the order of the book's table of contents.

    Args:
        contents: What `_toc.yml` says.

    Returns:
        The parts of the book, the first page a part of its own; what print leaves out is missing.
    """

    def names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
        found = []
        for entry in entries:
            if "file" in entry:
                found.append(str(entry["file"]))
            for below in ("chapters", "sections", "entries"):
                found += names(entry.get(below, ()))
        return found

    listed = [("", [str(contents["root"])])]
    divided = contents.get("parts") or [contents]
    for part in divided:
        pages = names([{k: part[k] for k in ("chapters", "sections", "entries") if k in part}])
        listed.append((str(part.get("caption", "")), pages))
    kept = [(caption, [page for page in pages if _is_printed(page)]) for caption, pages in listed]
    return [Part(caption, tuple(pages)) for caption, pages in kept if pages]


def _is_printed(page: str) -> bool:
    return not any(fnmatch.fnmatch(page, pattern) for pattern in LEFT_OUT)


def destination(address: str, pages: Mapping[str, str]) -> str | None:
    """Where a link of a page leads in the printed book.

    Args:
        address: The link's whole address.
        pages: Ids of the printed pages in the joined document, by address.

    Returns:
        A place in the joined document, or the address itself if it is one of the web. None if it
        leads to what isn't printed.
    """
    page, anchor = urldefrag(address)
    if page in pages:
        return f"#{pages[page]}--{anchor}" if anchor else f"#{pages[page]}"
    return address if address.startswith(("https://", "http://", "mailto:")) else None


def title_page(config: Mapping[str, Any], version: str, edition: str, logo: str = "") -> str:
    """HTML of the title page: title, authors, version, licence, how to cite.

    Args:
        config: What `_config.yml` says.
        version: Version of the library that computed the book.
        edition: What to say of the parameter set; empty for the default one.
        logo: Address of the book's mark, if there is one.
    """
    title, author = str(config.get("title", "")), str(config.get("author", ""))
    year = str(config.get("copyright", ""))
    cite = f"{author}{f' ({year})' if year else ''}: {title}. Version {version}."
    rows = {
        "Licence": "Text and charts: Creative Commons Attribution 4.0 (CC BY 4.0). "
        "Program code: Apache License 2.0.",
        "Cite as": cite + (f" {edition}." if edition else ""),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in rows.items())
    return (
        '<section class="llmecon-book-title">'
        + (f'<img src="{html.escape(logo)}" alt="">' if logo else "")
        + f'<p class="title">{html.escape(title)}</p>'
        + f'<p class="authors">{html.escape(author)}</p>'
        + f'<p class="edition">Version {html.escape(version)}'
        + (f"<br>{html.escape(edition)}" if edition else "")
        + f"</p><dl>{listed}</dl></section>"
    )


def contents_page(listed: Sequence[tuple[str, Sequence[Heading]]]) -> str:
    """HTML of the table of contents, where page numbers are still to be filled in.

    Args:
        listed: Caption and headings of each part.
    """
    lines = []
    for caption, headings in listed:
        if caption:
            lines.append(f'<li class="part">{html.escape(caption)}</li>')
        lines += [
            f'<li class="{"page" if heading.level == 1 else "section"}">'
            f'<a href="#{html.escape(heading.id)}"><span>{html.escape(heading.text)}</span>'
            '<span class="dots"></span><span class="number">000</span></a></li>'
            for heading in headings
        ]
    return (
        '<article class="bd-article llmecon-book-contents" id="contents"><h1>Contents</h1>'
        f'<ol>{"".join(lines)}</ol><p class="note">{html.escape(LEFT_OUT_NOTE)}</p></article>'
    )


def joined(title: str, front: str, pages: Sequence[Taken]) -> str:
    """One HTML document of the whole book.

    Args:
        title: The book's title.
        front: HTML of what comes before the pages.
        pages: The pages as print shows them.
    """
    sheets = dict.fromkeys(sheet for page in pages for sheet in page.sheets)
    rules = [
        "@page { size: A4; }",
        *dict.fromkeys(rule for page in pages for rule in page.rules),
        *(_running_title(page) for page in pages),
    ]
    head = "".join(f'<link rel="stylesheet" href="{html.escape(sheet)}">' for sheet in sheets)
    bodies = "".join(
        f'<article class="bd-article" id="{page.key}" style="page: {page.key}">{page.body}'
        "</article>"
        for page in pages
    )
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>{head}<style>{' '.join(rules)}</style></head>"
        f'<body><main class="bd-main llmecon-book">{front}{bodies}</main></body></html>'
    )


def _running_title(page: Taken) -> str:
    text = page.headings[0].text if page.headings else ""
    quoted = "".join(f"\\{ord(letter):x} " if letter in '"\\<\n' else letter for letter in text)
    return f'@page {page.key} {{ @bottom-left {{ content: "{quoted}"; }} }}'


def require_writable(output: Path) -> None:
    """Refuse what can't become a PDF before anything is computed.

    Raises:
        InputError: `output` isn't a PDF's name, is a folder, or lies where nothing can be written.
    """
    if output.suffix.lower() != ".pdf" or output.is_dir():
        raise InputError(f"{output}: name a file that ends in .pdf")
    existing = next(place for place in output.absolute().parents if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{output}: can't write there; name another file with -o")


def _printed(site: Path, edition: str, progress: Progress) -> bytes:
    config = yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8"))
    book = parts(yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8")))
    names = [name for part in book for name in part.pages]
    addresses = {(site / f"{name}.html").resolve().as_uri(): _id(name) for name in names}
    title = str(config.get("title", ""))
    logo = (site / "_static" / Path(str(config.get("logo", ""))).name).resolve()
    with tempfile.TemporaryDirectory(prefix="llmecon-") as scratch:
        allowed = (site, Path(scratch))
        with browser.blank_page(_TEXT_WIDTH, 1000, allowed) as page:
            page.add_init_script(path=_SCRIPT)
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            progress(f"pdf: drawing {len(names)} pages")
            taken = {}
            for name, address in zip(names, addresses, strict=True):
                with _naming(name, wrong):
                    taken[name] = _take(page, address, addresses, title)
            listed = [
                (part.caption, [line for name in part.pages for line in taken[name].headings])
                for part in book
            ]
            version = importlib.metadata.version("llmecon")
            front = title_page(config, version, edition, logo.as_uri() if logo.is_file() else "")
            front += contents_page(listed)
            document = Path(scratch) / "book.html"
            document.write_text(joined(title, front, list(taken.values())), encoding="utf-8")
            progress("pdf: printing")
            with _naming("the joined pages", wrong):
                return _print(page, document)


@contextmanager
def _naming(what: str, wrong: list[str]) -> Iterator[None]:
    """Say which page failed, whether Chromium says so or a script on the page."""
    from playwright.sync_api import Error

    wrong.clear()
    try:
        yield
        reason = wrong[0] if wrong else ""
    except Error as error:
        reason = error.message
    if reason:
        raise BuildError(f"{what}: can't be printed: {reason.strip().splitlines()[0]}")


def _id(name: str) -> str:
    return name.replace("/", "-")


def _take(page: "Page", address: str, addresses: Mapping[str, str], title: str) -> Taken:
    page.goto(address)
    page.wait_for_function("llmeconPrint.drawn()", timeout=_PATIENCE)
    page.evaluate("llmeconPrint.settle()")
    page.wait_for_function("llmeconPrint.drawn()", timeout=_PATIENCE)  # charts that were folded
    key = addresses[address]
    given = {
        "key": key,
        "targets": [destination(a, addresses) for a in page.evaluate("llmeconPrint.addresses()")],
        "title": title,
        "note": NOTES.get(key, ""),
    }
    taken = page.evaluate("given => llmeconPrint.take(given)", given)
    taken["headings"] = [Heading(**heading) for heading in taken["headings"]]
    return Taken(key=key, **taken)


def _print(page: "Page", document: Path) -> bytes:
    """Print twice, because only the first print tells which page a heading is on."""
    page.goto(document.as_uri())
    page.evaluate("document.fonts.ready.then(() => {})")
    page.evaluate("height => llmeconPrint.fit(height)", _TEXT_HEIGHT)
    rough = page.pdf(prefer_css_page_size=True, print_background=True)
    page.evaluate("pages => llmeconPrint.number(pages)", page_numbers(rough))
    return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)


def page_numbers(document: bytes) -> dict[str, int]:
    """The page, counted from 1, of each place in a PDF that something links to."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(document))
    return {
        name.removeprefix("/"): (reader.get_destination_page_number(place) or 0) + 1
        for name, place in reader.named_destinations.items()
    }


def _write(document: bytes, output: Path, key: str) -> None:
    from pypdf import PdfWriter

    config = yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8"))
    writer = PdfWriter(io.BytesIO(document), incremental=True)
    writer.add_metadata(
        {
            "/Title": str(config.get("title", "")),
            "/Author": str(config.get("author", "")),
            "/Creator": "llmecon",
            _KEY: key,
        }
    )
    writer.page_mode = "/UseOutlines"
    scratch = output.with_name(f".{output.name}.new")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        writer.write(scratch)
        os.replace(scratch, output)
    except OSError as error:
        raise InputError(f"{output}: can't be written: {error.strerror or error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def _stored_key(output: Path) -> str | None:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        found = PdfReader(output).metadata if output.is_file() else None
    except (OSError, PyPdfError):
        return None
    return str(found[_KEY]) if found and _KEY in found else None
