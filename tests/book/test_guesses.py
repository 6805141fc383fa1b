"""Guesses in a real browser: asked by keyboard before the answer, told how far off they were."""

import json
import re

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from tests.book.site import EXECUTED, SITE, needs_site

PAGE = "chapters/throughput.html"
FIRST = ".llmecon-guess >> nth=0"

pytestmark = needs_site


@pytest.fixture
def page(browser: Browser) -> Page:
    opened = browser.new_page(viewport={"width": 1000, "height": 900})
    opened.goto(f"{SITE.as_uri()}/{PAGE}")
    opened.wait_for_selector(".llmecon-guess[data-state=asked]")
    return opened


def asked() -> list[str]:
    """The markup of the questions, as the chapter was executed."""
    notebook = nbformat.read(EXECUTED / "throughput.ipynb", as_version=4)
    shown = [
        output.data.get("text/html", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    return [html for html in shown if 'class="llmecon-guess"' in html]


def test_every_question_is_asked_before_its_answer(page: Page):
    guesses = page.locator(".llmecon-guess")
    assert guesses.count() == len(asked()) >= 10
    states = page.eval_on_selector_all(".llmecon-guess", "all => all.map(g => g.dataset.state)")
    assert set(states) == {"asked"}
    assert page.locator(".llmecon-guess strong:visible").count() == 0
    # What follows a question keeps its place for the browser's own search, and isn't seen.
    seen = page.eval_on_selector_all(
        ".llmecon-guess",
        "all => all.map(g => g.closest('.cell').nextElementSibling.checkVisibility("
        "{contentVisibilityAuto: true, checkVisibilityCSS: true})"
        " && !g.closest('.cell').nextElementSibling.hasAttribute('hidden'))",
    )
    assert not any(seen)


def test_a_guess_is_made_by_keyboard_and_told_how_far_off_it_was(page: Page):
    (places,) = re.findall(r'<script type="application/json">(.*?)</script>', asked()[0])
    texts = json.loads(places)
    slider = page.locator(f"{FIRST} >> input")
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == texts[30][0]
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    guess, verdict = texts[37]
    assert page.inner_text(f"{FIRST} >> output") == guess
    assert slider.get_attribute("aria-valuetext") == guess
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".llmecon-guess[data-state=told]")
    told = page.inner_text(f"{FIRST} >> .llmecon-verdict")
    assert told == f"You guessed {guess}. {verdict}"
    assert page.locator(f"{FIRST} >> strong").is_visible()
    assert slider.is_disabled()
    # Its figure is there to be seen; the next question still waits.
    section = page.locator(".llmecon-guess").first.locator("xpath=ancestor::section[1]")
    assert section.locator("figure").first.is_visible()
    assert section.locator("[hidden=until-found]").count() == 0
    assert page.locator(".llmecon-guess[data-state=asked]").count() == len(asked()) - 1


def test_all_answers_can_be_had_at_once(page: Page):
    page.locator("[data-all]").first.click()
    states = page.eval_on_selector_all(".llmecon-guess", "all => all.map(g => g.dataset.state)")
    assert set(states) == {"told"}
    assert page.locator("[hidden=until-found]").count() == 0
    assert page.locator(".llmecon-guess .llmecon-verdict").all_inner_texts() == [""] * len(states)
    assert page.locator(".llmecon-guess form:visible").count() == 0


def test_print_holds_answers(page: Page):
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".llmecon-guess strong:visible").count() == len(asked())
    assert page.locator(".llmecon-guess form:visible").count() == 0
    assert page.locator("[hidden=until-found]").count() == 0


def test_without_scripts_nothing_is_hidden(browser: Browser):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{SITE.as_uri()}/{PAGE}")
    assert plain.locator(".llmecon-guess summary").first.is_visible()
    assert plain.locator(".llmecon-guess form:visible").count() == 0
    plain.locator(".llmecon-guess summary").first.click()
    assert plain.locator(f"{FIRST} >> strong").is_visible()
    assert plain.locator(".llmecon-figure").last.is_visible()
    context.close()
