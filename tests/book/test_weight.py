"""What the built site weighs in a real browser, and what it shows without scripts and on paper."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks import pages
from tests.book.site import CHAPTERS, EVERY_PAGE, SITE, needs_site

pytestmark = needs_site


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with pages.served() as address:
        yield address


@pytest.fixture(scope="module")
def visited(browser: Browser, host: str) -> Callable[[str], pages.Visit]:
    """The first visit to a page, made once."""
    return pages.visits(browser, host)


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_a_page_is_light(visited: Callable[[str], pages.Visit], name: str):
    of = pages.weigh(visited, name)
    print(f"{name}: HTML {of.html / 1e3:.0f} kB, first visit {of.first / 1e3:.0f} kB, "
          f"later {of.later / 1e3:.0f} kB, first chart {of.first_chart} ms")  # fmt: skip
    assert of.html < 1.5e6
    assert of.first < 5e6
    assert of.later < 0.5e6


def test_nothing_ships_that_no_page_loads():
    assert not [*SITE.rglob("*.map"), *SITE.rglob("*.ttf"), *SITE.rglob("fontawesome.js")]
    assert not (SITE / "_static" / "locales").exists()
    fonts = list((SITE / "_static" / "vendor" / "fonts").glob("*.woff2"))
    assert fonts
    assert sum(font.stat().st_size for font in fonts) < 150e3
    assert list((SITE / "_static" / "vendor" / "fonts").glob("*LICENSE*"))


def test_the_text_font_and_the_icons_are_the_books_own(browser: Browser, host: str):
    page = browser.new_page()
    page.goto(f"{host}/index.html", wait_until="networkidle")
    assert page.evaluate("document.fonts.check('16px Inter')")
    # A glyph that the font lacks is as wide as any other glyph that it lacks.
    seen = page.evaluate(
        """() => [...document.querySelectorAll('.fa-solid, .fas')].map((icon) => {
            const code = getComputedStyle(icon, '::before').content;
            const canvas = document.createElement('canvas').getContext('2d');
            canvas.font = '900 40px "Font Awesome 6 Free"';
            const drawn = (text) => {
                canvas.clearRect(0, 0, 300, 150);
                canvas.fillText(text, 20, 60);
                return canvas.getImageData(0, 0, 300, 150).data.join('');
            };
            return [icon.className, code.length === 3 && drawn(code[1]) !== drawn('\\ue999')];
        })"""
    )
    page.close()
    assert seen
    assert [name for name, shown in seen if not shown] == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_without_scripts_every_chart_is_a_picture_with_words(
    browser: Browser,
    host: str,
    name: str,
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{host}/{name}", wait_until="networkidle")
    # What is folded opens without scripts, too.
    for folded in page.locator(".llmecon-depth > summary").all():
        folded.click()
    charts = page.locator(".llmecon-chart")
    pictures = page.locator(".llmecon-chart noscript img")
    # The first picture stands in the page itself.
    assert page.locator(".llmecon-static > svg").count() == 1
    assert page.locator(".llmecon-static").count() == page.locator("noscript img").count() + 1
    assert pictures.count() >= charts.count() - 1 > 0
    for i in range(pictures.count()):
        picture = pictures.nth(i)
        assert len(picture.get_attribute("alt")) > 20
        file = (SITE / name).parent / picture.get_attribute("src")
        assert "<text" in file.read_text(encoding="utf-8")
        assert picture.bounding_box()["height"] > 50
    # Without scripts nothing is folded away for good either.
    assert page.locator(".llmecon-sources > summary").count() > charts.count() / 2
    context.close()


def test_a_chart_takes_no_more_room_when_it_comes_to_life(browser: Browser, host: str):
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.route("**/vega.js*", lambda route: route.abort())
    page.goto(f"{host}/{CHAPTERS[0]}")
    before = page.evaluate(
        "[...document.querySelectorAll('.llmecon-chart')].map(c => c.offsetHeight)"
    )
    page.unroute("**/vega.js*")
    page.goto(f"{host}/{CHAPTERS[0]}")
    page.wait_for_function(
        "[...document.querySelectorAll('.llmecon-chart')].every(c => c.dataset.state === 'live')"
    )
    after = page.evaluate(
        "[...document.querySelectorAll('.llmecon-chart')].map(c => c.offsetHeight)"
    )
    page.close()
    assert max(abs(b - a) for b, a in zip(before, after, strict=True)) < 30


def test_paper_shows_every_chart(browser: Browser, host: str):
    page = browser.new_page()
    # No chart but the first is drawn by itself, so that printing has to.
    page.add_init_script(
        "window.requestIdleCallback = () => {};"
        "window.IntersectionObserver = class { observe() {} };"
    )
    page.goto(f"{host}/{CHAPTERS[0]}", wait_until="networkidle")
    assert page.locator(".llmecon-chart[data-state=live]").count() < 2
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert (
        page.locator(".llmecon-chart[data-state=live]").count()
        == page.locator(".llmecon-chart").count()
        > 0
    )
    page.close()
