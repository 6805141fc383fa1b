"""The book's own Sphinx extensions on the path, and one browser for the built site."""

import os
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing.build import browser as chromium

sys.path.append(str(paths.BOOK / "_ext"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        chromium.find()
    except InputError as missing:
        if not os.environ.get("CI"):
            pytest.skip(str(missing))
        raise
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        yield browser
        browser.close()
