"""What the built site weighs, how soon its charts stand, how fast its panels follow.

``python -m benchmarks.pages`` prints it.

Weights are uncompressed bytes over a plain HTTP server. A first visit loads everything; a later
one finds the scripts, styles and fonts that other pages have loaded.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from threading import Thread

from playwright.sync_api import Browser, sync_playwright

from llmecon import paths

SITE = paths.BUILD / "html"
# A reader who comes to a page has seen others, some with charts and formulas.
SEEN = ("index.html", "chapters/xpu-needs.html", "chapters/validation.html")

# Painted: the first frame after a chart's picture stands in the page.
_WATCH = """
window.firstChart = null;
window.firstLive = null;
new MutationObserver((changes, watch) => {
  if (!document.querySelector(".llmecon-static svg, [data-state=live]")) return;
  requestAnimationFrame(() => setTimeout(() => { window.firstChart = performance.now(); }));
  watch.disconnect();
}).observe(document, { subtree: true, childList: true });
new MutationObserver((changes, watch) => {
  if (!document.querySelector("[data-state=live]")) return;
  window.firstLive = performance.now();
  watch.disconnect();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
"""
_LOADED = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((entry) => [entry.name, entry.decodedBodySize])
"""


@dataclass(frozen=True)
class Weight:
    """What a page weighs.

    Attributes:
        html: the page itself [bytes].
        first: all that a first visit loads [bytes].
        later: what a reader who has seen other pages still loads [bytes].
        first_chart: from navigation to the first chart's picture [ms]; None without charts.
        first_live: from navigation to the first live chart [ms]; None without charts.
    """

    html: int
    first: int
    later: int
    first_chart: float | None
    first_live: float | None


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(site: Path = SITE) -> Iterator[str]:
    """A plain HTTP server for a site; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Visit:
    """A first visit to a page.

    Attributes:
        sizes: of all that the page loads with an empty cache, itself first [bytes], by address.
        first_chart: from navigation to the first chart's picture [ms]; None without charts.
        first_live: from navigation to the first live chart [ms]; None without charts.
    """

    sizes: dict[str, int]
    first_chart: float | None
    first_live: float | None


def _visit(browser: Browser, address: str) -> Visit:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(address, wait_until="networkidle")
    if page.query_selector(".llmecon-chart, .llmecon-panel"):
        page.wait_for_function("window.firstLive !== null")
    visit = Visit(
        dict(page.evaluate(_LOADED)),
        page.evaluate("window.firstChart"),
        page.evaluate("window.firstLive"),
    )
    context.close()
    return visit


def visits(browser: Browser, host: str) -> Callable[[str], Visit]:
    """First visits to the pages of a site; each page is visited once, when it is asked for.

    Args:
        browser: an open browser.
        host: where the site is served.

    Returns:
        A function of a page's name, relative to the site.
    """
    return cache(lambda name: _visit(browser, f"{host}/{name}"))


def weigh(visited: Callable[[str], Visit], name: str) -> Weight:
    """Weigh a page.

    Args:
        visited: the first visit to a page by its name, as `visits` makes it.
        name: the page, relative to the site.
    """
    visit = visited(name)
    known = {address for seen in SEEN if seen != name for address in visited(seen).sizes}
    return Weight(
        html=next(iter(visit.sizes.values())),
        first=sum(visit.sizes.values()),
        later=sum(size for address, size in visit.sizes.items() if address not in known),
        first_chart=visit.first_chart,
        first_live=visit.first_live,
    )


_MOVE = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const panel = document.querySelector(".llmecon-panel");
  for (const slider of panel.querySelectorAll("input[type=range]")) {
    for (let i = 0; i < 40; i++) {
      slider.value = 300 + 8 * i;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      await frame();
    }
  }
  return performance.getEntriesByName("llmecon-update").map((entry) => entry.duration);
}
"""


def updates(browser: Browser, address: str) -> list[float]:
    """Times of a page's live panel to follow its sliders, one after the other [ms].

    Args:
        browser: an open browser.
        address: of a page with a live panel.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address, wait_until="networkidle")
    page.wait_for_selector(".llmecon-panel[data-state=live]")
    page.wait_for_function(
        "[...document.querySelectorAll('.llmecon-chart')].every(c => c.dataset.state)"
    )
    taken: list[float] = page.evaluate(_MOVE)
    page.close()
    return taken


def pages(site: Path = SITE) -> list[str]:
    """The pages of a site."""
    found = (page.relative_to(site) for page in site.rglob("*.html"))
    return sorted(page.as_posix() for page in found if page.parts[0] != "_static")


def main() -> None:
    """Print the weight of every page."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    names = pages()
    if chromium is None or not names:
        print("pages: need Chromium and a built site (make book)")
        return
    with sync_playwright() as play, served() as host:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        visited = visits(browser, host)
        weights = {name: weigh(visited, name) for name in names}
        panels = {
            name: updates(browser, f"{host}/{name}")
            for name in names
            if 'class="llmecon-panel"' in (SITE / name).read_text(encoding="utf-8")
        }
        browser.close()
    width = max(map(len, names))
    print(f"{'page':{width}}  {'HTML':>7} {'first':>7} {'later':>7}  first chart, live")
    for name, of in weights.items():
        drawn = [f"{t:8.0f} ms" for t in (of.first_chart, of.first_live) if t is not None]
        kilobytes = " ".join(f"{size / 1e3:7.0f}" for size in (of.html, of.first, of.later))
        print(f"{name:{width}}  {kilobytes}  {''.join(drawn)}")
    print("weights in kB, uncompressed")
    for name, taken in panels.items():
        median, late = (quantiles(taken, n=20)[place] for place in (9, 18))
        print(f"{name:{width}}  a slider's step: {median:.0f} ms, 19 in 20 within {late:.0f} ms")


if __name__ == "__main__":
    main()
