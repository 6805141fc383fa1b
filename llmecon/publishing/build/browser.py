"""Chromium, with the network cut: what draws the book's pages when they are printed."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmecon.errors import InputError
from llmecon.publishing.build.execute import BuildError

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

VARIABLE = "LLMECON_CHROMIUM"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find() -> str:
    """Path of the Chromium to use: the one that `LLMECON_CHROMIUM` names, else the system's.

    Raises:
        InputError: There is none, or the variable names something that can't be run.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise InputError(f"{VARIABLE}: {named!r} is not a program; name Chromium or Chrome")
        return found
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise InputError(
        f"no Chromium found (looked for {', '.join(NAMES)}); install it, on Debian with "
        f"`apt-get install chromium`, or set {VARIABLE} to the path of Chromium or Chrome"
    )


@contextmanager
def blank_page(width: int, height: int, allowed: Sequence[Path]) -> Iterator["Page"]:
    """A blank page of a headless Chromium that can read some folders and nothing else.

    Args:
        width: Width of its window [CSS pixels].
        height: Height of its window [CSS pixels].
        allowed: Folders whose files it may load; every other address is refused.

    Yields:
        The page, already in print media.

    Raises:
        InputError: There is no Chromium, see `find`.
        BuildError: Chromium doesn't start.
    """
    from playwright.sync_api import Error, sync_playwright

    program = find()
    roots = tuple(f"{folder.resolve().as_uri()}/" for folder in allowed)

    def guard(route: "Route") -> None:
        if route.request.url.startswith((*roots, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    with sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=program)
        except Error as error:
            reason = error.message.strip().splitlines()[0]
            raise BuildError(f"{program} doesn't start: {reason}") from error
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="light"
            )
            page.emulate_media(media="print")
            page.route("**/*", guard)
            yield page
        finally:
            browser.close()
