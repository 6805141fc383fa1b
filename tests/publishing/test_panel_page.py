"""A small live panel in a browser: what its command and its link say."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import vl_convert
from playwright.sync_api import Browser, Page, sync_playwright

from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.publishing.build import browser
from llmecon.publishing.panel import live
from tests.publishing.test_live import panel  # noqa: F401  a fixture

SCRIPT = Path(__file__).resolve().parents[2] / "book" / "_static" / "live.js"
PANEL = "document.querySelector('.llmecon-panel').llmecon"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        program = browser.find()
    except InputError as missing:
        pytest.skip(str(missing))
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(panel: live.Panel, chromium: Browser, tmp_path: Path) -> Page:  # noqa: F811
    """A panel whose replicas follow the accelerator, and that has a slider of its own."""
    follows = ("xpu", {"h100-sxm": 4.0, "h200-sxm": 9.0})
    controls = [
        replace(c, follows=follows, value=4.0) if c.name == "replicas" else c
        for c in panel.controls
    ]
    own = live.Slider("clients", 1.0, 10.0, 2.0, "Clients at once", "clients")
    shown = live.show(replace(panel, controls=[*controls, own]))
    vega = vl_convert.javascript_bundle()
    file = tmp_path / "page.html"
    file.write_text(
        f'<meta charset="utf-8">{shown.markup}<script>(() => {{{vega}}})();</script>'
        f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>",
        encoding="utf-8",
    )
    opened = chromium.new_page()
    opened.goto(file.as_uri())
    opened.wait_for_selector(".llmecon-panel[data-state=live]")
    return opened


def command(page: Page) -> dict[str, str]:
    return dict(re.findall(r"-p (\S+) (\S+)", page.inner_text(".llmecon-actions code")))


@pytest.mark.slow
def test_the_command_says_what_follows_a_menu(page: Page):
    # The chapter was run with 4 replicas where its parameters say 2.
    assert command(page) == {"replicas": "4"}
    page.select_option("select", "h200-sxm")
    page.wait_for_function("location.hash.includes('h200')")
    assert command(page) == {"replicas": "9", "xpu": "h200-sxm"}
    # Back where it stood in the chapter, it is still not what a rerun would look up.
    page.evaluate(f"{PANEL}.set({{replicas: 4}})")
    assert command(page) == {"replicas": "4", "xpu": "h200-sxm"}
    values = page.evaluate(f"{PANEL}.values()")
    rerun = scenario.validate(scenario.chapter("fast-one"), command(page))
    assert {name: rerun[name] for name in values if name in rerun} == {
        name: value for name, value in values.items() if name in rerun
    }


def test_what_the_command_leaves_out_is_named(page: Page):
    assert "Not in the command" not in page.inner_text(".llmecon-actions")
    page.evaluate(f"{PANEL}.set({{clients: 5}})")
    assert "no such parameter: Clients at once." in page.inner_text(".llmecon-actions")
    assert "clients" not in command(page)


def test_a_link_takes_along_what_follows(page: Page):
    address = page.url.split("#")[0]

    def opened(state: str) -> object:
        page.goto("about:blank")
        page.goto(f"{address}#fast-one?{state}")
        page.wait_for_selector(".llmecon-panel[data-state=live]")
        return page.evaluate(f"{PANEL}.values().replicas")

    assert opened("xpu=h200-sxm") == 9
    assert opened("xpu=h200-sxm&replicas=7") == 7
    assert opened("replicas=7&xpu=h200-sxm") == 7


def test_whole_numbers_are_written_in_full(page: Page):
    page.evaluate(f"{PANEL}.set({{replicas: 1, deadline_days: 1}})")
    assert page.inner_text("output[for=fast-one-replicas]") == "1"
    assert page.inner_text("output[for=fast-one-deadline_days]") == "1\N{NO-BREAK SPACE}day"
