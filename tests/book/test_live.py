"""Every live panel in a real browser: its numbers against JAX, and what its controls do."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from llmecon import words
from llmecon.publishing import scenario
from llmecon.publishing.prose import stored
from tests.book.site import EXECUTED, SITE, checks, needs_site

CHAPTERS = [chapter.slug for chapter in scenario.chapters()]

pytestmark = needs_site

PANEL = "document.querySelector('.llmecon-panel').llmecon"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1200, "height": 900})


def visit(page: Page, name: str) -> Page:
    # Another fragment alone would not load the page anew.
    page.goto("about:blank")
    page.goto(f"{SITE.as_uri()}/{name}")
    page.wait_for_selector(".llmecon-panel[data-state=live]")
    return page


def options(page: Page) -> dict[str, list[str]]:
    found: dict[str, list[str]] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.llmecon-panel select')]"
        ".map(s => [s.name, [...s.options].map(o => o.value)]))"
    )
    return found


# For each of several settings: some results, and the rows of the curve.
COMPUTED = f"""async ([settings, names]) => {{
  const found = [];
  for (const wanted of settings) {{
    await {PANEL}.set(wanted);
    found.push([names.map((name) => Number({PANEL}.signal(name))), {PANEL}.data().rows]);
  }}
  return found;
}}"""


@dataclass(frozen=True)
class Computed:
    """What a chapter's page says at first, and what it and JAX compute at the same settings."""

    chapter: str
    answers: list[str]
    intervals: list[str]
    kept: list[dict[str, Any]]
    names: list[str]
    settings: list[dict[str, Any]]
    found: list[tuple[list[float | None], list[list[Any]]]]


@pytest.fixture(scope="module", params=CHAPTERS)
def computed(page: Page, request: pytest.FixtureRequest) -> Computed:
    """A chapter's panel, opened once and taken through all settings for whoever asks."""
    chapter = request.param
    visit(page, f"chapters/{chapter}.html")
    answers, intervals = (
        page.eval_on_selector_all(f".llmecon-panel {of}", "all => all.map(e => e.textContent)")
        for of in ("[data-answer] strong", ".llmecon-interval")
    )
    kept, menus = checks(chapter), options(page)
    # Results beyond the curve, which has rows of its own.
    names = sorted(set(kept[0]["results"]) - {"x", "y"})
    settings = [
        {
            name: menus[name][int(value)] if name in menus else value
            for name, value in of["settings"].items()
        }
        for of in kept
    ]
    found = page.evaluate(COMPUTED, [settings, names])
    return Computed(chapter, answers, intervals, kept, names, settings, found)


def test_the_page_computes_what_jax_does(computed: Computed):
    kept, names = computed.kept, computed.names
    assert len(kept) > 20
    # A panel's scale: what a result typically is. Elasticities share one axis and so one scale:
    # that of one which is nothing at most settings would allow no rounding at all.
    scale = {
        name: sorted(abs(of["results"][name] or 0.0) for of in kept)[len(kept) // 2]
        for name in names
    }
    effects = [name for name in names if name.startswith("effect")]
    scale |= dict.fromkeys(effects, max((scale[name] for name in effects), default=0.0))
    for of, wanted, (found, _) in zip(kept, computed.settings, computed.found, strict=True):
        for name, value in zip(names, found, strict=True):
            expected = of["results"][name]
            if expected is None:
                assert value is None or not math.isfinite(value), (name, wanted)
            else:
                allowed = 1e-10 * max(abs(expected), scale[name])
                assert value == pytest.approx(expected, rel=0, abs=allowed), (name, wanted)


def test_the_curve_is_jax_s(computed: Computed):
    compared = 0
    for of, (_, rows) in zip(computed.kept, computed.found, strict=True):
        x, y = of["results"]["x"], of["results"]["y"]
        if x is None or y is None or not y > 0:
            continue
        mine = [row for row in rows if row[2] == "this setting"]
        wide, high = (max(abs(row[i]) for row in mine) for i in (0, 1))
        near = min(mine, key=lambda r: abs(r[0] - x) / wide + abs(r[1] - y) / high)
        assert near[:2] == pytest.approx([x, y], rel=1e-10)
        compared += 1
    assert compared > 5


def test_a_panel_says_at_first_what_the_chapter_does(computed: Computed):
    source = nbformat.read(EXECUTED / f"{computed.chapter}.ipynb", as_version=4)
    html = next(
        output.data["text/html"]
        for cell in source.cells
        for output in cell.get("outputs", ())
        if stored.PANEL in output.get("metadata", {})
    )
    written = re.findall(r"data-answer=\"\w+\"><strong>([^<]*)</strong>", html)
    assert computed.answers == written
    assert len(written) >= 3
    intervals = re.findall(r"<em class=\"llmecon-interval\">([^<]+)</em>", html)
    assert [text for text in computed.intervals if text] == intervals
    # What a router can tell moves thresholds too far for intervals of first order, which is what
    # panels have, and what chips cost is known by ranges too wide; the chapters' own are of draws.
    assert bool(intervals) == (computed.chapter not in ("accelerator-design", "hybrid-futures"))


UNITS = ("", "USD", "USD per hour", "s", "g", "fraction", "xPUs", "days", "tokens/s", "times")
SIZES = (0.0, 1e-12, 1e-7, 1e-5, 0.00034, 0.0951, 0.5, 1.0, 2.345, 59.99, 99.996, 1234.5, 16384.0,
         90000.0, 3.21e6, 7.7e9, 4.5e13, 6.0e15, -0.02, -1500.0)  # fmt: skip


def test_numbers_read_as_they_do_in_prose(page: Page):
    visit(page, "chapters/tokenomics.html")
    cases = [(value, unit) for value in SIZES for unit in UNITS]
    found = page.evaluate(
        f"(cases) => cases.map(([x, unit]) => {PANEL}.words.quantity(x, unit))", cases
    )
    for (value, unit), text in zip(cases, found, strict=True):
        assert text == words.quantity(value, unit), (value, unit)
    numbers = [(n, unit) for n in (0, 1, 2, 1580, 1_234_567, -3) for unit in ("", "requests")]
    found = page.evaluate(f"(cases) => cases.map((of) => {PANEL}.words.whole(...of))", numbers)
    assert found == [words.whole(*of) for of in numbers]


REACHES = ((0.5, 2.0), (0.991, 1.013), (0.9931, 1.1), (0.9999, 1.7), (0.3, 1.0), (1.0, 1.0))


def test_intervals_read_as_they_do_in_prose(page: Page):
    visit(page, "chapters/tokenomics.html")
    cases = [
        (value, low * value, high * value, unit, full)
        for value in SIZES
        if value > 0
        for unit in UNITS
        for low, high in (
            (0.5, 2.0),
            (0.991, 1.013),
            (0.9931, 1.1),
            (0.9999, 1.7),
            (0.3, 1.0),
            (1.0, 1.0),
        )
        for full in (False, True)
    ]
    found = page.evaluate(f"(cases) => cases.map((of) => {PANEL}.words.interval(...of))", cases)
    for of, text in zip(cases, found, strict=True):
        assert text == words.interval(*of), of


def test_one_slider_moves_everything_and_reset_takes_it_back(page: Page):
    visit(page, "chapters/tokenomics.html")
    seen = """() => [...document.querySelectorAll('.llmecon-panel :is(strong, output)')]
        .map(e => e.textContent).join('|')
        + [...document.querySelectorAll('[data-view] svg')].map(e => e.innerHTML).join('')"""
    before = page.evaluate(seen)
    page.locator("input[name=tpot_limit_s]").focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("location.hash.includes('tpot_limit_s')")
    after = page.evaluate(seen)
    assert after != before
    changed = zip(before.split("|")[:14], after.split("|")[:14], strict=True)
    assert sum(one != other for one, other in changed) >= 4
    page.click("text=Reset")
    page.wait_for_function("!location.hash")
    page.wait_for_function(f"({seen})().split('|')[0] === {before.split('|')[0]!r}")


def test_a_setting_is_a_link_and_a_command(page: Page):
    visit(page, "chapters/tokenomics.html#tokenomics?xpu=h200-sxm&output_tokens=900&nonsense=1")
    assert page.input_value("select[name=xpu]") == "h200-sxm"
    assert "900 tokens" in page.inner_text("output[for=tokenomics-output_tokens]").replace(
        "\xa0", " "
    )
    command = page.inner_text(".llmecon-actions code")
    # The rent follows the accelerator, so the command names it.
    assert re.fullmatch(
        r"llmecon run tokenomics -p xpu h200-sxm -p usd_per_xpu_hour [\d.]+ -p output_tokens 900",
        command,
    )
    # The command line takes what the page gives.
    options = dict(re.findall(r"-p (\S+) (\S+)", command))
    scenario.validate(scenario.chapter("tokenomics"), options)
    page.select_option("select[name=model]", "llama-3.1-8b")
    page.wait_for_function("location.hash.includes('model=llama-3.1-8b')")
    assert "-p model llama-3.1-8b" in page.inner_text(".llmecon-actions code")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_command_says_all_that_the_panel_computes_with(page: Page, chapter: str):
    """A rerun by the command has the panel's inputs, however they were come by."""
    visit(page, f"chapters/{chapter}.html")
    of = scenario.chapter(chapter)
    start = page.evaluate(f"{PANEL}.values()")
    for name, entries in options(page).items():
        page.select_option(f".llmecon-panel select[name={name}]", entries[-1])
    page.locator(".llmecon-panel input[type=range]").last.press("Home")
    page.evaluate(f"{PANEL}.set({{}})")  # without the wait until all is quiet
    command = page.inner_text(".llmecon-actions code")
    words = dict(re.findall(r"-p (\S+) (\S+)", command))
    rerun = scenario.validate(of, words)
    for name, value in page.evaluate(f"{PANEL}.values()").items():
        if name in words:
            assert str(rerun[name]) == str(value) or rerun[name] == pytest.approx(value)
        elif name in rerun:
            # What isn't said stands where the chapter's own case has it.
            assert value == start[name]
        elif value != start[name]:
            assert "Not in the command" in page.inner_text(".llmecon-actions")


def test_a_link_without_a_rent_takes_that_of_its_accelerator(page: Page):
    visit(page, "chapters/tokenomics.html")
    page.select_option("select[name=xpu]", "l4")
    chosen = page.evaluate(f"{PANEL}.values()")
    visit(page, "chapters/tokenomics.html#tokenomics?xpu=l4")
    assert page.evaluate(f"{PANEL}.values()") == chosen
    visit(page, "chapters/tokenomics.html#tokenomics?usd_per_xpu_hour=9&xpu=l4")
    assert page.evaluate(f"{PANEL}.values()") == chosen | {"usd_per_xpu_hour": 9}


def test_a_menu_takes_its_slider_along(page: Page):
    visit(page, "chapters/tokenomics.html")
    before = page.inner_text("output[for=tokenomics-usd_per_xpu_hour]")
    page.select_option("select[name=xpu]", "l4")
    page.wait_for_function(
        "before => document.querySelector('output[for=tokenomics-usd_per_xpu_hour]')"
        ".textContent !== before", arg=before,
    )  # fmt: skip


def test_what_is_impossible_is_said_instead_of_computed(page: Page):
    visit(page, "chapters/tokenomics.html#tokenomics?model=llama-3.1-405b&xpu=l4&precision=bf16")
    assert page.is_visible("[data-refusal=possible]")
    assert set(page.locator("[data-answer] strong").all_inner_texts()) == {"–"}
    page.click("text=Reset")
    page.wait_for_selector("[data-refusal=possible]", state="hidden")


def test_the_first_page_has_a_live_panel_too(page: Page):
    visit(page, "index.html")
    assert page.locator(".llmecon-findings > li").count() == len(CHAPTERS)
    assert page.locator(".llmecon-map > li").count() == len(CHAPTERS)


def test_a_panel_hands_over_its_curve(page: Page):
    visit(page, "chapters/xpu-needs.html")
    panel = page.locator(".llmecon-panel")
    with page.expect_download() as download:
        panel.locator(".llmecon-row").get_by_text("CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Time to train [days],Accelerators that train [xPUs],of"
    assert len(lines) > 40
    panel.locator(".llmecon-row").get_by_role("button", name="Sources").click()
    assert panel.locator(".llmecon-drawer:visible a[href*='references.html#ref-']").count() > 3
