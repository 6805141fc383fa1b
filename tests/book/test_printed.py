"""The whole book as a PDF, made from the built site."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing import browser, pdf

SITE = paths.BUILD / "html"
A4 = (595, 842)  # [points]
PRINTED = [
    name
    for part in pdf.parts(yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8")))
    for name in part.pages
]
CHAPTERS = [name for name in PRINTED if name.startswith("chapters/")]

if not os.environ.get("CI"):
    try:
        browser.find()
        missing = False
    except InputError:
        missing = True
    pytestmark = [
        pytest.mark.skipif(missing, reason="no Chromium on this machine"),
        pytest.mark.skipif(not SITE.is_dir(), reason="no site yet: make book builds it"),
    ]


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> PdfReader:
    output = tmp_path_factory.mktemp("pdf") / "book.pdf"
    pdf.make(SITE, output, progress=print)
    assert output.stat().st_size < 15e6
    return PdfReader(output)


@pytest.fixture(scope="module")
def text(book: PdfReader) -> list[str]:
    """The words of each page, without spaces, which kerning makes uncertain."""
    return [squeezed(page.extract_text()) for page in book.pages]


@pytest.fixture(scope="module")
def outline(book: PdfReader) -> list[tuple[str, int]]:
    """The highest level of the bookmarks, with the pages they lead to, counted from 0."""
    return [
        (entry.title, book.get_destination_page_number(entry))
        for entry in book.outline
        if not isinstance(entry, list)
    ]


def squeezed(words: str) -> str:
    return re.sub(r"\s+", "", words)


def article(name: str) -> Tag:
    page = BeautifulSoup((SITE / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    found = page.select_one("article.bd-article")
    assert isinstance(found, Tag)
    return found


def title(name: str) -> str:
    heading = article(name).h1
    assert heading is not None
    for link in heading.select(".headerlink"):
        link.decompose()
    return heading.get_text().strip()


def test_it_is_a_book_of_a4_pages_none_of_them_empty(book: PdfReader, text: list[str]):
    assert 30 <= len(book.pages) <= 80 * len(CHAPTERS)
    for number, page in enumerate(book.pages, 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4
        # Besides the running title and the page's number there is something to read.
        assert len(text[number - 1]) > 60, f"page {number} is blank"


def test_title_and_authors_are_recorded(book: PdfReader):
    config = yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8"))
    assert book.metadata is not None
    assert book.metadata.title == config["title"]
    assert book.metadata.author == config["author"]


def test_the_outline_has_every_page_in_order(outline: list[tuple[str, int]], text: list[str]):
    titles = [squeezed(name) for name, _ in outline]
    assert titles == ["Contents", "Overview", *(squeezed(title(name)) for name in PRINTED[1:])]
    starts = [page for _, page in outline]
    assert starts == sorted(set(starts))  # each begins on a page of its own
    for name, page in zip(titles, starts, strict=True):
        assert text[page].startswith((f"{page + 1}{name}{name}", f"{page + 1}Contents"))


def test_the_table_of_contents_tells_the_pages(outline: list[tuple[str, int]], text: list[str]):
    contents = "".join(text[1 : outline[1][1]])
    for name, page in outline[1:]:
        assert f"{squeezed(name)}{page + 1}" in contents
    for page in range(1, len(text)):
        assert text[page].startswith(str(page + 1)), f"page {page + 1} is not numbered"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_its_answer_and_its_charts(
    name: str, outline: list[tuple[str, int]], text: list[str]
):
    place = [squeezed(entry) for entry, _ in outline].index(squeezed(title(name)))
    chapter = "".join(text[outline[place][1] : outline[place + 1][1]])
    page = article(name)
    for headline in page.select(".llmecon-headline strong"):
        assert squeezed(headline.get_text()) in chapter
    charts = page.select("strong.llmecon-title")
    assert charts
    for chart in charts:
        assert squeezed(chart.get_text()) in chapter
    for unwanted in ("Showthecode", "Numbersinthischart", "Downloadthispage"):
        assert unwanted not in chapter


def objects(found: Any, seen: set[int]) -> Iterator[DictionaryObject]:
    """The resources of a page and of the forms that it draws."""
    if isinstance(found, IndirectObject):
        if found.idnum in seen:
            return
        seen.add(found.idnum)
        found = found.get_object()
    if not isinstance(found, DictionaryObject):
        return
    yield found
    inner = found.get("/Resources", found)
    for kind in ("/XObject", "/Font", "/Pattern"):
        for one in inner.get(kind, DictionaryObject()).get_object().values():
            yield from objects(one, seen)


def test_charts_are_vectors_and_fonts_come_along(book: PdfReader):
    seen: set[int] = set()
    fonts = 0
    for number, page in enumerate(book.pages, 1):
        for found in objects(page["/Resources"], seen):
            if found.get("/Subtype") == "/Image":
                size = (int(found["/Width"]), int(found["/Height"]))
                assert max(size) <= 64, f"page {number} has a picture of {size} pixels"
            if found.get("/Type") == "/Font":
                fonts += 1
                assert embedded(found), f"page {number} lacks the font {found.get('/BaseFont')}"
    assert fonts >= 3


def embedded(font: DictionaryObject) -> bool:
    if font["/Subtype"] == "/Type3":
        return "/CharProcs" in font
    (inner,) = font.get("/DescendantFonts", [font])
    descriptor = inner.get_object()["/FontDescriptor"].get_object()
    return bool({"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor))


def test_links_stay_in_the_book_or_lead_to_the_web(book: PdfReader, outline: list[tuple[str, int]]):
    known = {name.removeprefix("/") for name in book.named_destinations}
    starts = [page for _, page in outline] + [len(book.pages)]
    leaps = 0
    for number, page in enumerate(book.pages):
        for note in page.get("/Annots", ()):
            link = note.get_object()
            if "/A" in link:
                assert re.match(r"https?://|mailto:", link["/A"]["/URI"])
            elif "/Dest" in link:
                name = str(link["/Dest"]).removeprefix("/")
                assert name in known
                to = book.get_destination_page_number(book.named_destinations[f"/{name}"])
                chapter = max(i for i, start in enumerate(starts) if start <= max(number, 1))
                leaps += not starts[chapter] <= (to or 0) < starts[chapter + 1]
    assert leaps > 50  # to other chapters, the glossary and the references
