"""Executed chapters -> a folder of slides that needs nothing but itself."""

import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from llmecon import paths
from llmecon.publishing import scenario
from llmecon.publishing.build import execute, files, site_assets
from llmecon.publishing.slides import deck, page

_STYLES = ("a11y-high-contrast-light", "a11y-high-contrast-dark")
_FROM_PAGES = ("llmecon.css", "live.css", "live.js", "figures.js")
_LISTED = "decks.json"


def make(
    parameters: scenario.ParameterSet,
    slugs: Sequence[str],
    folder: Path,
    progress: execute.Progress,
) -> Path:
    """Make slides of chapters, executing those first that are not or whose inputs have changed.

    Args:
        parameters: Values for the chapters; what they leave out keeps its default.
        slugs: The chapters; all if empty.
        folder: Where slides go; those of other chapters that are there stay.
        progress: Called with one line at a time.

    Returns:
        The list of chapters that have slides.

    Raises:
        InputError: A chapter doesn't exist, a value is not allowed, or `folder` holds other things.
        BuildError: A chapter failed.
    """
    chapters = [scenario.chapter(slug) for slug in dict.fromkeys(slugs)] or scenario.chapters()
    files.require_replaceable(folder)
    executed = paths.BUILD / "executed" / parameters.name
    executions = [
        execute.Execution(
            of, scenario.validate(of, parameters.values(of)), executed / f"{of.slug}.ipynb"
        )
        for of in chapters
    ]
    execute.execute(executions, progress)
    started = time.monotonic()
    decks = {one.chapter.slug: _deck(one.output) for one in executions}
    write(decks, folder)
    count = sum(len(of.slides) for of in decks.values())
    progress(f"slides: {count} in {time.monotonic() - started:.0f} s")
    return folder / "index.html"


def write(decks: dict[str, deck.Deck], folder: Path) -> None:
    """Write decks, what their pages load, and the list of them.

    Args:
        decks: Slides by chapter.
        folder: Replaced on success; pages of other chapters that are in it stay.
    """
    book = str(yaml.safe_load(paths.CONFIG.read_text(encoding="utf-8")).get("title", ""))
    with files.replacing(folder) as new:
        listed = _earlier(folder, new)
        for slug, of in decks.items():
            (new / f"{slug}.html").write_text(page.page(slug, of, book), encoding="utf-8")
            listed[slug] = page.Listed(slug, of.title, of.question, len(of.slides))
        _write_assets(new / page.ASSETS)
        lines = [listed[slug] for slug in _in_order(listed)]
        (new / "index.html").write_text(page.index(lines, book), encoding="utf-8")
        kept = [[of.slug, of.title, of.question, of.slides] for of in lines]
        (new / page.ASSETS / _LISTED).write_text(json.dumps(kept), encoding="utf-8")
        files.stamp(new, "slides")


def _deck(notebook: Path) -> deck.Deck:
    return deck.deck(json.loads(notebook.read_text(encoding="utf-8"))["cells"])


def _earlier(folder: Path, new: Path) -> dict[str, page.Listed]:
    """Keep the slides of other chapters that were made before."""
    told = folder / page.ASSETS / _LISTED
    if not told.is_file():
        return {}
    listed = [page.Listed(*line) for line in json.loads(told.read_text(encoding="utf-8"))]
    for of in listed:
        shutil.copy(folder / f"{of.slug}.html", new)
    return {of.slug: of for of in listed}


def _in_order(listed: dict[str, page.Listed]) -> list[str]:
    """Chapters in the order of the book's table of contents."""
    contents = (paths.BOOK / "_toc.yml").read_text(encoding="utf-8")
    order = re.findall(r"chapters/([\w-]+)", contents)
    return sorted(listed, key=lambda slug: (order.index(slug) if slug in order else 999, slug))


def _write_assets(assets: Path) -> None:
    from pygments.formatters.html import HtmlFormatter

    vendor = assets / "vendor"
    site_assets.write_reveal(vendor)
    site_assets.write_fonts(vendor)
    site_assets.write_maths(vendor)
    site_assets.write_charts(vendor)
    for name in _FROM_PAGES:
        shutil.copy(paths.BOOK / "_static" / name, assets)
    for name in ("slides.css", "slides.js"):
        shutil.copy(paths.BOOK / "slides" / name, assets)
    light, dark = (HtmlFormatter(style=name) for name in _STYLES)
    rules = light.get_style_defs(".highlight"), dark.get_style_defs("[data-theme=dark] .highlight")
    (assets / "code.css").write_text("\n".join(rules), encoding="utf-8")
