"""Traced programs on disk, for as long as neither the library nor its tables change."""

import os
import pickle
import shutil
from contextlib import suppress
from typing import Any

import jax

from llmecon import paths
from llmecon.execution import disk_cache


def key(*parts: str | bytes) -> str:
    """A name for a program in any process.

    Args:
        parts: which function it is, and the structure of its arguments.

    Returns:
        A name; empty if the library has changed since this process began, since what it imported
        may then be older or newer than what others will.
    """
    return (
        disk_cache.digest(str(jax.config.jax_enable_x64), *parts) if _state() == _AT_FIRST else ""
    )


def read(key: str, form: str) -> Any:
    """What was written under a key; `None` where nothing was.

    Args:
        key: as `key` returns; nothing is kept under an empty one.
        form: in which the program is kept.
    """
    return disk_cache.read(_KIND, f"{key}-{form}") if key else None


def write(key: str, form: str, made: Any) -> None:
    """Keep a program for other processes, if it can be pickled.

    Args:
        key: as `key` returns; nothing is kept under an empty one.
        form: in which the program is kept.
        made: the program.
    """
    if not key:
        return
    _forget_others()
    # Operations of other libraries are no functions of modules.
    with suppress(pickle.PicklingError, AttributeError, TypeError):
        disk_cache.write(_KIND, f"{key}-{form}", made)


def _state() -> str:
    """A digest of which files of the library and its tables there are, how long and how old.

    Their contents aren't read: a chapter rests on what it reads.
    """
    found = []
    for place in (paths.LIBRARY, paths.DATA):
        for folder, _, files in os.walk(place):
            for file in files:
                if file.endswith((".py", ".csv")):
                    of = os.stat(os.path.join(folder, file))
                    found.append(f"{folder} {file} {of.st_mtime_ns} {of.st_size}")
    return disk_cache.digest(*sorted(found))[:16]


# Modules that are traced are imported after this one, so that none of them is newer than it says.
_AT_FIRST = _state()
_KIND = f"traced/{_AT_FIRST}"


def _forget_others() -> None:
    """Drop programs of the library as it was before."""
    folder = paths.KEPT / _KIND
    if not folder.is_dir() and folder.parent.is_dir():
        for other in folder.parent.iterdir():
            shutil.rmtree(other, ignore_errors=True)
