"""The built site in a real browser, opened from its files with every other address blocked."""

import csv
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from llmecon import paths
from tests.book.site import CHAPTERS, EVERY_PAGE, NAMES, SITE, needs_site

pytestmark = needs_site

PHONE = {"width": 390, "height": 844}
SCREEN = {"width": 1280, "height": 800}


@dataclass
class Opened:
    """A page and what went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    on_screen: str = ""

    def guard(self, route: Route) -> None:
        address = route.request.url
        if address.startswith((SITE.as_uri(), "data:", "blob:")):
            route.continue_()
        else:
            self.wrong.append(f"asked for {address}")
            route.abort()

    def visit(self, name: str) -> Page:
        self.wrong.clear()
        self.on_screen = ""
        self.page.goto(f"{SITE.as_uri()}/{name}")
        self.page.wait_for_function("document.readyState === 'complete'")
        return self.page

    def on_a_phone(self, name: str) -> Page:
        """A page with its charts, as the test before left it if that looked at the same one."""
        if self.on_screen != name:
            self.page.set_viewport_size(PHONE)
            wait_for_charts(self.visit(name))
            self.on_screen = name
        return self.page


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
    # What was still on its way when the page was left for the next one has not failed.
    opened.page.on(
        "requestfailed",
        lambda request: (
            None
            if "ABORTED" in (request.failure or "")
            else opened.wrong.append(f"no {request.url}")
        ),
    )
    return opened


def wait_for_charts(page: Page) -> None:
    page.wait_for_function(
        "[...document.querySelectorAll('.llmecon-chart')].every(c => c.dataset.state === 'live')",
        timeout=20_000,
    )


def test_an_address_in_a_folded_section_unfolds_it(opened):
    page = opened.visit("chapters/tokenomics.html#where-a-price-of-your-own-goes")
    page.wait_for_function(
        "document.querySelector('#where-a-price-of-your-own-goes').checkVisibility()"
    )
    assert opened.wrong == []


def test_the_site_has_its_pages():
    expected = [
        "index",
        "rerun",
        "assignments",
        "teaching",
        "teaching/syllabus",
        "models",
        "data",
        "api",
        "data/models",
        "api/physics",
        "api/physics-roofline",
        "glossary",
        "references",
        "colophon",
    ]
    assert {f"{name}.html" for name in expected} <= set(NAMES)
    assert CHAPTERS


# Tests of one chapter follow one another, so that it is opened once for them.
every_chapter = pytest.mark.parametrize("name", CHAPTERS, scope="module")


@pytest.mark.parametrize("name", [of for of in EVERY_PAGE if of.values[0] not in CHAPTERS])
def test_a_page_opens_cleanly_and_fits_a_phone(opened: Opened, name: str):
    fits_a_phone(opened, name)


@every_chapter
def test_a_chapter_opens_cleanly_and_fits_a_phone(opened: Opened, name: str):
    fits_a_phone(opened, name)


def fits_a_phone(opened: Opened, name: str) -> None:
    page = opened.on_a_phone(name)
    assert opened.wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("[...document.images].filter(i => !i.alt).length") == 0
    assert page.evaluate("document.querySelectorAll('h1').length") >= 1
    if name.startswith("chapters/"):  # while it is open: what isn't folded is a lesson, not a book
        opened.page.set_viewport_size(SCREEN)
        height = page.evaluate("document.documentElement.scrollHeight")
        assert height <= 20 * SCREEN["height"]


@every_chapter
def test_charts_are_live_described_and_within_their_place(opened: Opened, name: str):
    page = opened.on_a_phone(name)
    charts = page.query_selector_all(".llmecon-chart")
    assert charts
    for chart in charts:
        assert len(chart.get_attribute("aria-label")) > 20
        assert len(chart.query_selector_all(".llmecon-live svg.marks path")) > 2
        drawn = chart.query_selector(".llmecon-live svg").bounding_box()
        assert drawn["width"] <= chart.bounding_box()["width"] + 1
        assert drawn["height"] > 50


@every_chapter
def test_mathematics_is_set(opened: Opened, name: str):
    page = opened.on_a_phone(name)
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
    table = figure.locator(".llmecon-drawer:not([hidden]) table")
    assert table.locator("th").count() > 1
    assert table.locator("td").count() > 5
    row.get_by_role("button", name="Sources").press("Enter")
    assert figure.locator(".llmecon-drawer:not([hidden])").count() == 1
    assert figure.locator(".llmecon-drawer:not([hidden]) a[href*='references.html#ref-']").count()
    assert "Computed by llmecon" in figure.locator(".llmecon-drawer:not([hidden])").inner_text()
    row.get_by_role("button", name="Sources").press("Enter")
    assert figure.locator(".llmecon-drawer:not([hidden])").count() == 0


@every_chapter
def test_every_figure_and_table_gives_its_data_and_its_sources(opened: Opened, name: str):
    page = opened.on_a_phone(name)
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


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("roofline", "models.html"),
        ("llama-3.1-70b", "data/models.html#row-llama-3.1-70b"),
        ("H100", "data/xpus.html#row-h100-sxm"),
        (
            "kv_cache_bytes",
            "api/physics-architecture.html#llmecon.physics.architecture.kv_cache_bytes",
        ),
        ("goodput", "glossary.html#term-goodput"),
    ],
)
def test_search_finds_a_page(opened: Opened, words: str, page: str):
    found = opened.visit(f"search.html?q={words}")
    found.wait_for_selector("#search-results li a")
    found.wait_for_selector(f"#search-results a[href^='{page}']")
    assert opened.wrong == []


def test_pages_are_light():
    assert (SITE / "searchindex.js").stat().st_size < 400_000
    for name in NAMES:
        if name not in CHAPTERS:
            assert (SITE / name).stat().st_size < 450_000, name
    for table in paths.DATA.glob("*.csv"):
        rows = SITE / "_static" / "tables" / f"{table.stem}.js"
        page = SITE / "data" / f"{table.stem}.html"
        assert rows.stat().st_size + page.stat().st_size < 500_000, table.stem


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        *CHAPTERS[:1],
        "data/xpus.html",
        "api/physics-roofline.html",
        "glossary.html",
        "teaching/syllabus.html",
    ],
)
def test_nothing_serious_stands_in_the_way_of_anyone(browser: Browser, name: str, theme: str):
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{SITE.as_uri()}/{name}")
    wait_for_charts(page)
    # Preloading would fetch the style sheets, which a page opened from a file may not.
    # The dark theme changes colours and nothing else.
    rules = {"runOnly": ["color-contrast"]} if theme == "dark" else {}
    found = Axe().run(page, options={"preload": False} | rules).response["violations"]
    page.close()
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in grave] == []


TERM = "a[aria-describedby=about-term-roofline]"


def test_a_term_explains_itself_to_pointer_and_keyboard(opened: Opened):
    page = opened.visit("models.html")
    term, tip = page.locator(TERM).first, page.locator("#about-term-roofline")
    assert not tip.is_visible()
    term.hover()
    assert "slowest of its arithmetic" in tip.inner_text()
    box, window = tip.bounding_box(), page.viewport_size
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= window["width"]
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.mouse.move(0, 0)
    page.keyboard.press("Tab")  # from here on the browser shows where the focus is
    term.focus()
    assert tip.is_visible()
    assert tip.get_attribute("role") == "tooltip"
    term.blur()
    assert not tip.is_visible()
    assert opened.wrong == []


def test_a_tap_explains_a_term_and_another_follows_it(browser: Browser):
    page = browser.new_page(viewport=PHONE, has_touch=True)
    page.goto(f"{SITE.as_uri()}/models.html")
    page.wait_for_function("document.readyState === 'complete'")
    tip = page.locator("#about-term-roofline")
    page.locator(TERM).first.tap()
    assert tip.is_visible()
    assert page.url.endswith("models.html")
    page.locator("h1").last.tap()
    assert not tip.is_visible()
    page.locator(TERM).first.tap()
    page.locator(TERM).first.tap()
    page.wait_for_url("**/glossary.html#term-roofline")
    page.close()


def test_every_term_of_the_glossary_is_linked_from_somewhere():
    anchors = set(re.findall(r'<dt id="(term-[^"]+)"', (SITE / "glossary.html").read_text("utf-8")))
    used: set[str] = set()
    for name in set(NAMES) - {"glossary.html"}:
        page = (SITE / name).read_text("utf-8")
        used |= set(re.findall(r'href="[^"]*glossary\.html#(term-[^"]+)"', page))
    assert anchors
    assert anchors - used == set()


def test_a_table_filters_sorts_and_turns_over(opened: Opened):
    opened.page.set_viewport_size({"width": 1400, "height": 900})
    page = opened.visit("data/measured_serving.html")
    column = page.locator(".llmecon-table tbody td:nth-child(3)")
    assert column.count() == 50
    first = page.locator(".llmecon-table tbody td:first-child").all_inner_texts()
    page.click("text=Next")
    assert not set(first) & set(
        page.locator(".llmecon-table tbody td:first-child").all_inner_texts()
    )

    page.fill(".llmecon-table input[type=search]", "b200 FP4")
    status = page.locator(".llmecon-table [role=status]")
    found = len(
        [
            line
            for line in (paths.DATA / "measured_serving.csv").read_text("utf-8").splitlines()[1:]
            if "b200" in line.lower() and "fp4" in line.lower()
        ]
    )
    assert re.search(rf"of {found:,}, of 1,\d+ in all$", status.inner_text())
    assert all("b200" in text for text in column.all_inner_texts())

    heading = page.locator(".llmecon-table th", has_text=re.compile("^ttft s"))
    place = (
        page.locator(".llmecon-table thead th").all_inner_texts().index(heading.inner_text()) + 1
    )
    for order, falling in (("ascending", False), ("descending", True)):
        heading.locator("button").focus()
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == order
        texts = page.locator(f"tbody td:nth-child({place})").all_inner_texts()
        values = [float(text) for text in texts if text]
        assert len(values) > 10
        assert values == sorted(values, reverse=falling)

    page.fill(".llmecon-table input[type=search]", "no such thing")
    assert status.inner_text() == "No row matches"
    assert opened.wrong == []


def test_an_address_leads_to_a_row(opened: Opened):
    page = opened.visit("data/grid.html")
    anchors = [
        row.split(",")[0] for row in (paths.DATA / "grid.csv").read_text("utf-8").splitlines()[1:]
    ]
    last = next(anchor for anchor in reversed(anchors) if anchors.count(anchor) == 1)
    page = opened.visit(f"data/grid.html#row-{last}")
    page.wait_for_selector("tr.llmecon-visited")
    row = page.locator("tr.llmecon-visited")
    assert row.locator("td").first.inner_text() == last
    assert row.evaluate("row => row === document.activeElement")


@pytest.mark.parametrize("table", ["models", "xpus", "quality"])
def test_rows_are_the_same_with_and_without_scripts(browser: Browser, table: str):
    shown = []
    for scripts in (True, False):
        page = browser.new_page(java_script_enabled=scripts)
        page.goto(f"{SITE.as_uri()}/data/{table}.html")
        shown.append(page.locator("tbody").first.inner_html())
        page.close()
    assert shown[0] == shown[1]


def test_tables_link_to_their_sources(opened: Opened):
    page = opened.visit("references.html")
    anchors = set(page.evaluate("[...document.querySelectorAll('[id^=ref-]')].map(e => e.id)"))
    back = page.evaluate(
        "[...document.querySelectorAll('.llmecon-used a')].map(a => a.getAttribute('href'))"
    )
    assert set(back) <= set(NAMES)
    assert {"data/models.html", "models.html", "api/physics-queueing.html"} <= set(back)
    page = opened.visit("data/models.html")
    links = page.evaluate(
        "[...document.querySelectorAll('.llmecon-table td a')].map(a => a.getAttribute('href'))"
    )
    assert links
    assert {link.partition("#")[2] for link in links} <= anchors


def test_sources_of_figures_are_in_the_references(opened: Opened):
    page = opened.visit("references.html")
    anchors = set(page.evaluate("[...document.querySelectorAll('[id^=ref-]')].map(e => e.id)"))
    for name in CHAPTERS:
        links = re.findall(r"references\.html#(ref-\w+)", (SITE / name).read_text("utf-8"))
        assert set(links) <= anchors, name


def test_every_table_has_a_page_and_can_be_downloaded():
    overview = (SITE / "data.html").read_text(encoding="utf-8")
    for table in paths.DATA.glob("*.csv"):
        assert f'href="data/{table.stem}.html"' in overview
        page = (SITE / "data" / f"{table.stem}.html").read_text(encoding="utf-8")
        assert f"../_static/data/{table.name}" in page
        copied: Path = SITE / "_static" / "data" / table.name
        assert copied.read_bytes() == table.read_bytes()


def test_every_module_has_a_page_without_private_names():
    overview = (SITE / "api.html").read_text(encoding="utf-8")
    pages = [name for name in NAMES if name.startswith("api/")]
    assert len(pages) > 30
    for name in pages:
        assert f'href="{name}"' in overview
        page = (SITE / name).read_text(encoding="utf-8")
        assert re.search(r'<dt class="[^"]*" id="llmecon\.[\w.]*\._', page) is None
        assert "jaxlib" not in page


@every_chapter
def test_a_chapter_offers_its_notebooks_command_and_citation(opened: Opened, name: str):
    page = opened.on_a_phone(name)
    slug = Path(name).stem
    block = page.locator(".llmecon-beside")
    assert block.count() == 1
    written, executed = (
        SITE / "chapters" / link.get_attribute("href") for link in block.locator("> a").all()
    )
    source: Path = paths.NOTEBOOKS / f"{slug.replace('-', '_')}.ipynb"
    assert written.read_bytes() == source.read_bytes()
    outputs = [cell.get("outputs") for cell in json.loads(executed.read_text("utf-8"))["cells"]]
    assert any(outputs)
    assert "Launch" not in block.inner_text()
    assert "thebe" not in page.content().lower()

    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; }")
    page.locator("summary", has_text="Rerun").focus()
    page.keyboard.press("Enter")
    page.click("text=Copy >> visible=true")
    assert page.evaluate("window.copied") == f"llmecon run {slug}"
    page.click("summary:has-text('Cite')")
    page.locator(".llmecon-copyable button:visible").last.click()
    assert page.evaluate("window.copied").startswith(f"@incollection{{llmecon-{slug},")
    assert opened.wrong == []
