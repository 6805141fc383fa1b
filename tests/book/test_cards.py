"""Cards of headline numbers, in a browser, over numbers of every length."""

import pytest
from playwright.sync_api import Browser

from llmecon import paths
from llmecon.publishing.prose.stored import Headline, cards

STYLES = "".join(
    (paths.BOOK / "_static" / name).read_text(encoding="utf-8")
    for name in ("llmecon.css", "live.css")
)
NUMBERS = [
    (16_384.0, "xPUs"),
    (10.5e6, "USD"),
    (77_600.0, "USD per month"),
    (1_100.0, "tokens/s"),
    (36.0, "xPUs"),
    (123.4e12, "tokens"),
    (12.3e9, "tokens/s"),
    (4.66e-5, "USD per 1,000 requests"),
    (0.0, "fraction"),
]

# What of a card's text lies beyond the card's inner edges, and of a card beyond its row [px].
BEYOND = """() => Math.max(...[...document.querySelectorAll('.llmecon-headline')].map((card) => {
  const style = getComputedStyle(card), box = card.getBoundingClientRect();
  const row = card.parentElement.getBoundingClientRect();
  const text = document.createRange();
  text.selectNodeContents(card);
  const ends = [...text.getClientRects()].map((part) => part.right);
  return Math.max(
    Math.max(...ends) - box.right + parseFloat(style.paddingRight), box.right - row.right,
  );
}))"""


@pytest.mark.parametrize("panel", ["", "llmecon-panel"])
@pytest.mark.parametrize("width", [280, 320, 390, 820, 1400])
def test_no_number_leaves_its_card(browser: Browser, width: int, panel: str):
    shown = cards(
        [
            Headline(f"n{i}", value, unit, "what it is", low=value * 0.9, high=value * 1.1)
            for i, (value, unit) in enumerate(NUMBERS)
        ]
    )
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(
        f"<style>* {{ box-sizing: border-box }} {STYLES}</style>"
        f'<div class="bd-article" style="max-width: 48rem"><div class="{panel}">{shown}</div></div>'
    )
    beyond = page.evaluate(BEYOND)
    page.close()
    assert beyond < 0.5
