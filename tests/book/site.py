"""The built site, as the tests of its pages see it."""

import os

import pytest

from llmecon import paths

SITE = paths.BUILD / "html"
NAMES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if not page.is_relative_to(SITE / "_static")
)
CHAPTERS = [name for name in NAMES if name.startswith("chapters/")]

# Continuous integration always has a site; there its absence is a failure.
needs_site = pytest.mark.skipif(
    not NAMES and not os.environ.get("CI"), reason="no site yet: make book builds it"
)
