"""Slides of the executed chapters, as they are and in a browser without a network."""

import io
import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from llmecon.publishing.build import slides
from llmecon.publishing.slides import deck, page, text
from tests.book.site import EXECUTED, needs_site

pytestmark = needs_site

CHAPTERS = sorted(file.stem for file in EXECUTED.glob("*.ipynb"))
SHOWN = "carbon"  # stands for the others, which are opened before a release

# Cells and cards are looked at, not read out; of code, every name counts as a word; lists are
# of objectives, or a chapter's five lines.
MOST_WORDS = {"table": 175, "headlines": 175, "code": 140, "list": 140}
MOST_TEXT = 110

GO = """place => {
  const { h, v } = Reveal.getIndices(Reveal.getSlides()[place]);
  Reveal.slide(h, v);
}"""

DRAWN = """() => {
  const slide = Reveal.getCurrentSlide();
  const live = (of) => [...slide.querySelectorAll(of)].every((box) => box.dataset.state === "live");
  return live(".chart") && live(".llmecon-panel");
}"""

# What reaches over the edge of the current slide.
OVER = """() => {
  const slide = Reveal.getCurrentSlide().querySelector(".slide");
  const edge = slide.getBoundingClientRect();
  const wanted = "p, li, dt, dd, th, td, pre," +
    " h1, h2, label, input, select, mjx-container, svg, svg text";
  return [...slide.querySelectorAll(wanted)].filter((part) => {
    const box = part.getBoundingClientRect();
    const seen = box.width && box.height && getComputedStyle(part).visibility !== "hidden";
    return seen && (box.right > edge.right + 1 || box.bottom > edge.bottom + 1
      || box.left < edge.left - 1 || box.top < edge.top - 1);
  }).map((part) => `${slide.textContent.slice(0, 60)}: ${part.tagName} ${part.textContent}`);
}"""

SCALES = """() => [...Reveal.getCurrentSlide().querySelectorAll(".chart")]
  .map((box) => Number(box.dataset.scale))"""


def made(chapter: str) -> deck.Deck:
    notebook = json.loads((EXECUTED / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    return deck.deck(notebook["cells"])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_slide_holds_one_thought(chapter: str):
    found = made(chapter)
    soup = BeautifulSoup(page.page(chapter, found, "The book"), "html.parser")
    sections = [section for section in soup.select("section") if not section.select("section")]
    assert len(sections) == len(found.slides) > 15
    for section in sections:
        assert len(section.select("h1, h2")) == 1
    for slide in found.slides:
        assert text.plain(slide.title).strip()
        assert slide.body.strip()
        if slide.kind == "panel":
            continue
        shown = text.words(re.sub(r"<script.*?</script>", "", slide.body, flags=re.DOTALL))
        assert shown <= MOST_WORDS.get(slide.kind, MOST_TEXT), f"{slide.title}: {shown} words"
    assert any(slide.notes for slide in found.slides)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_of_the_notebook_is_on_one_slide(chapter: str):
    notebook = (EXECUTED / f"{chapter}.ipynb").read_text(encoding="utf-8")
    html = page.page(chapter, made(chapter), "The book")
    drawn = notebook.count('<figure class=\\"llmecon-figure\\"')
    assert html.count('class="chart"') == drawn > 0
    assert html.count('class="llmecon-panel"') == 1
    described = re.findall(r'class="chart" role="img" aria-label="([^"]+)"', html)
    assert len(described) == drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides of all chapters in a folder that nothing else is near."""
    place = tmp_path_factory.mktemp("stick") / "slides"
    slides.write({chapter: made(chapter) for chapter in CHAPTERS}, place)
    return place


def opened(browser: Browser, address: str, wrong: list[str]) -> Page:
    """A page without a network, and what goes wrong on it."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    found = context.new_page()
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    inside = ("file://", "data:", "blob:")
    found.on("request", lambda r: None if r.url.startswith(inside) else wrong.append(r.url))
    found.on("requestfailed", lambda r: wrong.append(r.url))
    found.goto(address)
    found.wait_for_function("document.documentElement.dataset.slides === 'ready'")
    return found


@pytest.mark.parametrize(
    "chapter",
    [pytest.param(of, marks=() if of == SHOWN else pytest.mark.release) for of in CHAPTERS],
)
def test_slides_open_without_a_network_and_nothing_is_cut(
    browser: Browser, folder: Path, chapter: str
):
    wrong: list[str] = []
    shown = opened(browser, (folder / f"{chapter}.html").as_uri(), wrong)
    count = shown.evaluate("Reveal.getSlides().length")
    assert count == len(made(chapter).slides)
    over, scales = [], []
    for place in range(count):
        shown.evaluate(GO, place)
        shown.wait_for_function(DRAWN)
        over += shown.evaluate(OVER)
        scales += shown.evaluate(SCALES)
    assert not wrong
    assert not over
    # Charts are larger than in the book, whose text is read at arm's length.
    assert min(scales) >= 1.0
    shown.context.close()


@pytest.mark.parametrize("chapter", [SHOWN])
def test_print_has_a_page_for_every_slide(browser: Browser, folder: Path, chapter: str):
    wrong: list[str] = []
    shown = opened(browser, f"{(folder / f'{chapter}.html').as_uri()}?print-pdf", wrong)
    printed = PdfReader(io.BytesIO(shown.pdf(prefer_css_page_size=True, print_background=True)))
    assert len(printed.pages) == len(made(chapter).slides)
    for sheet, slide in zip(printed.pages, made(chapter).slides, strict=True):
        words = re.findall(r"[a-z]{4,}", text.plain(slide.title))
        written = re.sub(r"\s", "", sheet.extract_text())
        assert all(word in written for word in words), slide.title
    assert not wrong
    shown.context.close()


def test_the_speaker_sees_notes_and_a_lecture_may_be_dark(browser: Browser, folder: Path):
    wrong: list[str] = []
    shown = opened(browser, (folder / f"{SHOWN}.html").as_uri(), wrong)
    shown.keyboard.press("t")
    assert shown.evaluate("document.documentElement.dataset.theme") == "dark"
    with shown.context.expect_page() as window:
        shown.keyboard.press("s")
    speaker = window.value
    notes = speaker.locator(".speaker-controls-notes .value")
    shown.bring_to_front()
    slides = made(SHOWN).slides
    place = next(at for at, slide in enumerate(slides) if slide.kind == "headlines")
    said = slides[place].notes[0]
    shown.evaluate(GO, place - 1)
    shown.keyboard.press("Space")
    first = text.plain(said).split()[0]
    speaker.wait_for_function(
        "first => document.querySelector('.speaker-controls-notes .value')"
        "?.textContent.includes(first)",
        arg=first,
    )
    assert " ".join(text.plain(said).split()) in " ".join(notes.inner_text().split())
    assert not wrong
    shown.context.close()
