"""The built site and its executed chapters, as the tests of its pages see them."""

import os
from typing import Any

import nbformat
import pytest

from llmecon import paths
from llmecon.publishing.prose import stored

SITE = paths.BUILD / "html"
EXECUTED = paths.BUILD / "executed" / "default"
NAMES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if not page.is_relative_to(SITE / "_static")
)
CHAPTERS = [name for name in NAMES if name.startswith("chapters/")]

# Tables and modules have a template each: the heaviest and the lightest page of a kind stand for
# the others, which are opened before a release.
_OF_A_KIND = [[name for name in NAMES if name.startswith(kind)] for kind in ("api/", "data/")]
_BY_WEIGHT = [sorted(names, key=lambda name: (SITE / name).stat().st_size) for names in _OF_A_KIND]
SPARED = {name for names in _BY_WEIGHT for name in names[1:-1]}
EVERY_PAGE = [
    pytest.param(name, marks=pytest.mark.release if name in SPARED else ()) for name in NAMES
]

# Continuous integration always has a site; there its absence is a failure.
needs_site = [
    pytest.mark.site,
    pytest.mark.skipif(
        not NAMES and not os.environ.get("CI"), reason="no site yet: make book builds it"
    ),
]


def checks(chapter: str) -> list[dict[str, Any]]:
    """What JAX computed for the panel's settings when the chapter was executed."""
    notebook = nbformat.read(EXECUTED / f"{chapter}.ipynb", as_version=4)
    kept = [
        output.metadata[stored.PANEL]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if stored.PANEL in output.get("metadata", {})
    ]
    assert len(kept) == 1, f"{chapter} has {len(kept)} live panels"
    return kept[0]
