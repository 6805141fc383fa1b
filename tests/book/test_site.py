"""The built site in a real browser, opened from its files with every other address blocked."""

import csv
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from llmecon import paths

SITE = paths.BUILD / "html"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NAMES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if not page.is_relative_to(SITE / "_static")
)
CHAPTERS = [name for name in NAMES if name.startswith("chapters/")]
PHONE = {"width": 390, "height": 844}

if not os.environ.get("CI"):
    pytestmark = [
        pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
        pytest.mark.skipif(not NAMES, reason="no site yet: make book builds it"),
    ]


@dataclass
class Opened:
    """A page and what went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def guard(self, route: Route) -> None:
        address = route.request.url
        if address.startswith((SITE.as_uri(), "data:", "blob:")):
            route.continue_()
        else:
            self.wrong.append(f"asked for {address}")
            route.abort()

    def visit(self, name: str) -> Page:
        self.wrong.clear()
        self.page.goto(f"{SITE.as_uri()}/{name}")
        self.page.wait_for_function("document.readyState === 'complete'")
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Opened:
    """One page for all tests, since starting another takes longer than most of them."""
    opened = Opened(browser.new_page(viewport={"width": 1400, "height": 900}))
    opened.page.route("**/*", opened.guard)
    opened.page.on(
        "console",
        lambda said: opened.wrong.append(said.text) if said.type in ("error", "warning") else None,
    )
    opened.page.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.page.on("requestfailed", lambda request: opened.wrong.append(f"no {request.url}"))
    return opened


def wait_for_charts(page: Page) -> None:
    page.wait_for_function(
        "[...document.querySelectorAll('.llmecon-chart')].every(c => c.dataset.state === 'live')",
        timeout=20_000,
    )


def test_the_site_has_its_pages():
    expected = ["index", "rerun", "models", "data", "api", "glossary", "references", "colophon"]
    assert {f"{name}.html" for name in expected} <= set(NAMES)
    assert CHAPTERS


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_cleanly_and_fits_a_phone(opened: Opened, name: str):
    opened.page.set_viewport_size(PHONE)
    page = opened.visit(name)
    wait_for_charts(page)
    assert opened.wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("[...document.images].filter(i => !i.alt).length") == 0
    assert page.evaluate("document.querySelectorAll('h1').length") >= 1


@pytest.mark.parametrize("name", CHAPTERS)
def test_charts_are_live_described_and_within_their_place(opened: Opened, name: str):
    page = opened.visit(name)
    wait_for_charts(page)
    charts = page.query_selector_all(".llmecon-chart")
    assert charts
    for chart in charts:
        assert len(chart.get_attribute("aria-label")) > 20
        assert len(chart.query_selector_all(".llmecon-live svg.marks path")) > 2
        drawn = chart.query_selector(".llmecon-live svg").bounding_box()
        assert drawn["width"] <= chart.bounding_box()["width"] + 1
        assert drawn["height"] > 50


@pytest.mark.parametrize("name", CHAPTERS)
def test_mathematics_is_set(opened: Opened, name: str):
    page = opened.visit(name)
    page.wait_for_function(
        "document.querySelectorAll('.math').length > 0"
        " && [...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))"
    )
    assert page.query_selector("mjx-merror, [data-mjx-error]") is None


def test_the_dark_theme_reaches_the_charts(opened: Opened):
    page = opened.visit(CHAPTERS[0])
    wait_for_charts(page)
    seen = []
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        seen.append(
            page.evaluate(
                """() => {
                    const chart = document.querySelector('.llmecon-live svg');
                    const fills = [...chart.querySelectorAll('path, text')];
                    return [getComputedStyle(document.body).backgroundColor,
                            ...fills.map(f => getComputedStyle(f).fill)];
                }"""
            )
        )
    assert seen[0][0] != seen[1][0]
    assert any(light != dark for light, dark in zip(seen[0][1:], seen[1][1:], strict=True))


def test_a_chart_opens_its_data_and_its_sources(opened: Opened):
    page = opened.visit(CHAPTERS[0])
    row = page.locator("figure .llmecon-row").first
    figure = page.locator("figure.llmecon-figure").first
    row.get_by_role("button", name="Data").press("Enter")
    table = figure.locator(".llmecon-panel:not([hidden]) table")
    assert table.locator("th").count() > 1
    assert table.locator("td").count() > 5
    row.get_by_role("button", name="Sources").press("Enter")
    assert figure.locator(".llmecon-panel:not([hidden])").count() == 1
    assert figure.locator(".llmecon-panel:not([hidden]) a[href*='references.html#ref-']").count()
    assert "Computed by llmecon" in figure.locator(".llmecon-panel:not([hidden])").inner_text()
    row.get_by_role("button", name="Sources").press("Enter")
    assert figure.locator(".llmecon-panel:not([hidden])").count() == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_and_table_gives_its_data_and_its_sources(opened: Opened, name: str):
    page = opened.visit(name)
    owners = page.locator("figure.llmecon-figure, .llmecon-tabled")
    assert owners.count() >= 5
    words = page.evaluate(
        """() => [...document.querySelectorAll('figure.llmecon-figure, .llmecon-tabled')].map(
            owner => [...owner.querySelectorAll('.llmecon-row > *')].map(e => e.textContent))"""
    )
    assert {tuple(of) for of in words} == {("Data", "CSV", "Sources"), ("CSV", "Sources")}


def test_the_data_of_figures_and_tables_are_downloaded_as_csv(opened: Opened):
    page = opened.visit(CHAPTERS[0])
    for owner in ("figure.llmecon-figure", ".llmecon-tabled"):
        with page.expect_download() as download:
            page.locator(owner).first.locator(".llmecon-row").get_by_text("CSV").click()
        assert download.value.suggested_filename.endswith(".csv")
        with open(download.value.path(), encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 2
        assert len({len(row) for row in rows}) == 1
        assert all(rows[0])


def test_search_finds_a_page(opened: Opened):
    page = opened.visit("search.html?q=roofline")
    page.wait_for_selector("#search-results li a")
    assert any(
        "models.html" in link.get_attribute("href")
        for link in page.query_selector_all("#search-results li a")
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", *CHAPTERS[:1]])
def test_nothing_serious_stands_in_the_way_of_anyone(browser: Browser, name: str, theme: str):
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{SITE.as_uri()}/{name}")
    wait_for_charts(page)
    # Preloading would fetch the style sheets, which a page opened from a file may not.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    page.close()
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in grave] == []


def test_tables_link_to_their_sources(opened: Opened):
    page = opened.visit("references.html")
    anchors = set(page.evaluate("[...document.querySelectorAll('[id^=ref-]')].map(e => e.id)"))
    page = opened.visit("data.html")
    links = page.evaluate(
        "[...document.querySelectorAll('.llmecon-table td a')].map(a => a.getAttribute('href'))"
    )
    assert links
    assert {link.partition("#")[2] for link in links} <= anchors


@pytest.mark.parametrize("name", CHAPTERS)
def test_sources_of_figures_are_in_the_references(opened: Opened, name: str):
    page = opened.visit("references.html")
    anchors = set(page.evaluate("[...document.querySelectorAll('[id^=ref-]')].map(e => e.id)"))
    for link in re.findall(r"references\.html#(ref-\w+)", (SITE / name).read_text("utf-8")):
        assert link in anchors


def test_every_table_can_be_downloaded():
    page = (SITE / "data.html").read_text(encoding="utf-8")
    for table in paths.DATA.glob("*.csv"):
        assert f"_static/data/{table.name}" in page
        copied: Path = SITE / "_static" / "data" / table.name
        assert copied.read_bytes() == table.read_bytes()
