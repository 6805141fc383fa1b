"""What a chapter rests on: the modules that it imported and the files of the book that it read.

A chapter's kernel watches from its first line on, and says at its end what it met. As long as none
of that has changed, and the parameters and the environment haven't, the chapter need not run again.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from llmecon import paths
from llmecon.publishing.build import files

WATCH = f"__import__({__name__!r}, fromlist=['watch']).watch()"
"""A line for a kernel to begin with."""

TELL = f"print(*__import__({__name__!r}, fromlist=['met']).met(), sep='\\n')"
"""A line for it to end with: prints the names, one a line."""

_PLACES = {"llmecon": paths.LIBRARY, "data": paths.DATA, "notebooks": paths.NOTEBOOKS}

# What it says only decides what is refused: no number follows from it.
_CHECKS_ALONE = "data/columns.csv"

_read: set[str] = set()


def watch() -> None:
    """Note from now on, until the process ends, which files are opened."""
    # Python allows no hook to be taken off again, so a second one would stay as well.
    if not _read:
        _read.add(__file__)
        sys.addaudithook(_note)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | os.PathLike):
        _read.add(os.fspath(arguments[0]))


def met() -> list[str]:
    """Names of what this process imported of the library and read of the book.

    Returns:
        Such as `data/models.csv` and `llmecon/specs.py`; `digest` finds the files by them.
    """
    modules = [
        str(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "llmecon" and getattr(module, "__file__", None)
    ]
    sources = [file for file in _read if file.endswith((".py", ".csv", ".md", ".yaml"))]
    names = {_name(Path(file)) for file in [*modules, *sources]}
    return sorted(names - {"", _CHECKS_ALONE})


def digest(names: Iterable[str]) -> str:
    """A digest of the names and contents of what `met` returned; what is gone counts as empty."""
    parts: list[str | bytes] = []
    for name in names:
        place, _, rest = name.partition("/")
        file = _PLACES[place] / rest
        parts += [name, file.read_bytes() if file.is_file() else b""]
    return files.digest(parts)


def _name(file: Path) -> str:
    """A file's name below the place that it belongs to; empty for any other file."""
    for place, folder in _PLACES.items():
        if file.is_relative_to(folder):
            return f"{place}/{file.relative_to(folder).as_posix()}"
    return ""
