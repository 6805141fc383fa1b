"""Exercises in a real browser: the box judges as `teaching.check` does, and a quiz says why."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from llmecon import paths, teaching
from llmecon.publishing import exercises, quizzes
from llmecon.teaching import judging
from tests.book.site import SITE, needs_site
from tests.teaching.solutions import NUMBERED

PAGE = "chapters/xpu-needs.html"
FIRST = teaching.exercise("xpu-needs-1")
SCRIPT = paths.BOOK / "_static" / "exercises.js"


def on_site(test: Any) -> Any:
    """Mark a test that looks at the built chapter."""
    for mark in needs_site:
        test = mark(test)
    return test


SUBMIT = """
answers => answers.map(answer => {
  document.querySelector("input").value = answer;
  document.querySelector("form").requestSubmit();
  return document.querySelector(".llmecon-verdict").textContent;
})
"""


def alone(browser: Browser, markup: str) -> Page:
    """A page of nothing but some markup and the script."""
    page = browser.new_page()
    script = SCRIPT.read_text(encoding="utf-8")
    page.set_content(f"<!doctype html><html lang=en>{markup}<script>{script}</script></html>")
    return page


@pytest.mark.slow
@pytest.mark.parametrize(
    "chapter",
    # One script judges all; these have keys of every size, with many mistakes and with few.
    [
        of if of in ("xpu-needs", "tokenomics") else pytest.param(of, marks=pytest.mark.release)
        for of in dict.fromkeys(of.chapter for of in NUMBERED)
    ],
)
def test_the_box_judges_as_the_check_does(browser: Browser, chapter: str) -> None:
    random = np.random.default_rng(0)
    for of in (of for of in NUMBERED if of.chapter == chapter):
        study = teaching.resolved(of.chapter)
        key = teaching.key_of(of, study)
        page = alone(browser, exercises.box(of, key))
        factors = [1.0, 1e3, 1e-9, 0.0, -1.0, *(1.0 + of.tolerance * random.normal(0, 2, 20))]
        answers = [key.answer * factor for factor in factors]
        for mistake in judging.possible(key):
            answers += [mistake.value * (1.0 + of.tolerance * x) for x in (0.0, 0.99, -0.99, 1.01)]
        said = page.evaluate(SUBMIT, [repr(float(answer)) for answer in answers])
        assert said == [teaching.check(of.id, answer).says for answer in answers], of.id
        page.close()


@pytest.mark.slow
def test_numbers_are_read_as_people_type_them(browser: Browser) -> None:
    of = FIRST
    page = alone(browser, exercises.box(of, teaching.Key(1.2e6)))
    same = ["1200000", "1,200,000", "1 200 000", "1.2e6", "1.2E+6", " 1.2 × 10⁶ ", "1.2*10^6"]
    assert set(page.evaluate(SUBMIT, [*same, "1.2 x 10^6", "120 · 10⁴"])) == {"Right."}
    page = alone(browser, exercises.box(of, teaching.Key(-1e-3)))
    assert set(page.evaluate(SUBMIT, ["-0.001", "−.001", "-1 × 10⁻³", "-1e-3"])) == {"Right."}
    page = alone(browser, exercises.box(of, teaching.Key(1e3)))
    assert page.evaluate(SUBMIT, ["10^3", "10³"]) == ["Right."] * 2
    refused = page.evaluate(SUBMIT, ["", "many", "1,5", "1,00,0", "0x10", "1e999", "1 2", "NaN"])
    assert {text.split(",")[0] for text in refused} == {"Type a number"}


def test_the_page_holds_no_answer_in_plain_view() -> None:
    of = FIRST
    box = exercises.box(of, teaching.Key(123456.0))
    assert "123456" not in box
    assert "tolerance" not in box
    (coded,) = re.findall(r'data-key="([^"]*)"', box)
    assert json.loads(base64.b64decode(coded))["answer"] == 123456.0


@pytest.mark.slow
def test_every_choice_of_a_quiz_is_answered(browser: Browser) -> None:
    study: Any = teaching.resolved("xpu-needs")
    quiz = quizzes.quiz("xpu-needs", study)
    page = alone(browser, quiz.markup)
    assert page.locator("form").count() == quizzes.QUESTIONS
    for place, question in enumerate(quiz.questions):
        form = page.locator("form").nth(place)
        button, said = form.locator("button"), form.locator(".llmecon-verdict")
        button.click()
        assert said.inner_text() == quizzes.SAYS["none"]
        for at, choice in enumerate(question.choices):
            form.get_by_role("radio").nth(at).check()
            assert said.inner_text() == ""  # what was said is of another choice
            button.click()
            assert form.get_attribute("data-state") == ("right" if choice.right else "wrong")
            assert choice.why in said.inner_text()
    page.close()


@pytest.fixture
def page(browser: Browser) -> Page:
    opened = browser.new_page(viewport={"width": 1000, "height": 900})
    opened.goto(f"{SITE.as_uri()}/{PAGE}")
    opened.wait_for_selector(".llmecon-exercise form:not([hidden])")
    return opened


@on_site
def test_an_answer_is_checked_by_keyboard(page: Page) -> None:
    key = teaching.key_of(FIRST, teaching.resolved("xpu-needs"))
    field = page.get_by_label("Your answer").first
    field.focus()
    page.keyboard.type(f"{key.mistakes[0].value:.4g}")
    page.keyboard.press("Enter")
    said = page.locator(f"#{FIRST.id} [role=status]")
    assert said.inner_text() == f"Not yet. {key.mistakes[0].says}"
    assert page.evaluate("document.activeElement.type") == "text"
    field.fill(f"{key.answer:.4g}")
    assert said.inner_text() == ""
    page.keyboard.press("Enter")
    assert said.inner_text() == "Right."
    assert page.locator(f"#{FIRST.id} details[open]").count() == 0


@on_site
def test_it_is_accessible(page: Page) -> None:
    page.locator("details:is(.llmecon-solution, .llmecon-rubric)").evaluate_all(
        "all => all.forEach(d => d.open = true)"
    )
    page.locator(".llmecon-quiz button").first.click()
    found = Axe().run(page, context=".llmecon-exercise, .llmecon-quiz")
    assert found.violations_count == 0, found.generate_report()


@on_site
def test_print_holds_questions_and_no_solutions(page: Page) -> None:
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    numbered = teaching.exercises("xpu-needs")
    assert page.locator(".llmecon-exercise > p:visible").count() >= 2 * len(numbered)
    assert page.locator(".llmecon-solution:visible").count() == 0
    assert page.locator(".llmecon-exercise form:visible").count() == 0
    assert page.locator(".llmecon-quiz label:visible").count() >= 3 * quizzes.QUESTIONS


@pytest.mark.slow
def test_without_scripts_nothing_is_in_the_way(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.set_content(quizzes.quiz("xpu-needs", teaching.resolved("xpu-needs")).markup)
    assert plain.locator("button:visible").count() == 0
    assert plain.locator("label:visible").count() >= 3 * quizzes.QUESTIONS
    plain.locator("summary").click()
    assert plain.locator("ol li:visible").count() == quizzes.QUESTIONS
    context.close()
