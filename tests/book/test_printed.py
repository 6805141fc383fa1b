"""The whole book as a PDF, made from the built site."""

import functools
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing.build import browser, pdf

SITE = paths.BUILD / "html"
A4 = (595, 842)  # [points]
PRINTED = [
    name
    for part in pdf.parts(yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8")))
    for name in part.pages
]
CHAPTERS = [name for name in PRINTED if name.startswith("chapters/")]

pytestmark = [pytest.mark.site, pytest.mark.release]
if not os.environ.get("CI"):
    try:
        browser.find()
        missing = False
    except InputError:
        missing = True
    pytestmark += [
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
def text(book: PdfReader) -> Callable[[int], str]:
    """The words of a page without spaces, which kerning makes uncertain; reading one takes long."""
    return functools.cache(lambda page: squeezed(book.pages[page].extract_text()))


@pytest.fixture(scope="module")
def described(book: PdfReader) -> set[str]:
    """What a reader who can't see the pictures is told."""
    found = set()
    waiting = [book.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        entry = waiting.pop().get_object()
        if isinstance(entry, list):
            waiting += entry
        elif isinstance(entry, dict):
            found.add(squeezed(str(entry.get("/Alt", ""))))
            waiting += [entry.raw_get("/K")] if "/K" in entry else []
    return found


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
    text = (SITE / f"{name}.html").read_text(encoding="utf-8").partition("<article")[2]
    heading = re.search(r"<h1>.*?</h1>", text, re.DOTALL)
    assert heading
    return BeautifulSoup(heading[0], "html.parser").get_text().removesuffix("#").strip()


def test_it_is_a_book_of_a4_pages_none_of_them_empty(book: PdfReader):
    assert 30 <= len(book.pages) <= 80 * len(CHAPTERS)
    for number, page in enumerate(book.pages, 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4
        contents = page.get_contents()
        assert contents is not None
        # A glyph is shown by Tj or TJ; the running title and the page's number have some already.
        glyphs = len(re.findall(rb"T[jJ]\b", contents.get_data()))
        assert glyphs > 60, f"page {number} is all but blank"


def test_title_and_authors_are_recorded(book: PdfReader):
    config = yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8"))
    assert book.metadata is not None
    assert book.metadata.title == config["title"]
    assert book.metadata.author == config["author"]


def test_the_outline_has_every_page_in_order(
    outline: list[tuple[str, int]], text: Callable[[int], str]
):
    titles = [squeezed(name) for name, _ in outline]
    assert titles == ["Contents", "Overview", *(squeezed(title(name)) for name in PRINTED[1:])]
    starts = [page for _, page in outline]
    assert starts == sorted(set(starts))  # each begins on a page of its own
    for name, page in zip(titles, starts, strict=True):
        assert text(page).startswith((f"{page + 1}{name}{name}", f"{page + 1}Contents"))


def test_the_table_of_contents_tells_the_pages(
    outline: list[tuple[str, int]], text: Callable[[int], str]
):
    contents = "".join(text(page) for page in range(1, outline[1][1]))
    for name, page in outline[1:]:
        assert f"{squeezed(name)}{page + 1}" in contents


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_its_answer_and_its_charts(
    name: str,
    outline: list[tuple[str, int]],
    text: Callable[[int], str],
    described: set[str],
):
    begins = {squeezed(entry): page for entry, page in outline}[squeezed(title(name))]
    opening = text(begins) + text(begins + 1)
    page = article(name)
    headlines = page.select_one(".llmecon-headlines")
    assert headlines is not None
    for headline in headlines.select("strong"):
        assert squeezed(headline.get_text()) in opening
    charts = page.select(".llmecon-chart")
    assert charts
    for chart in charts:
        assert squeezed(str(chart["aria-label"])) in described
    for unwanted in ("Showthecode", "Numbersinthischart", "Downloadthispage"):
        assert unwanted not in opening


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
