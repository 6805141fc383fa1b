"""What was made once from the same inputs is read from disk instead of being made again."""

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from tempfile import NamedTemporaryFile
from typing import TypeVar

from llmecon import paths

T = TypeVar("T")

_MAKERS = ("jax", "numpy", "pandas", "scipy")  # whose versions results depend on, too


def kept(kind: str, key: str, make: Callable[[], T]) -> T:
    """What `make` returns, from disk where it was made from the same inputs before.

    Args:
        kind: What it is; one folder each.
        key: Digest of all that it depends on; see `digest` and `library`.
        make: Makes it, pure; of plain values, records of arrays, or frames.

    Returns:
        What `make` returned, now or then. Where the folder can't be read or written, now.
    """
    file = paths.KEPT / kind / f"{key}.pickle"
    # Whatever is wrong with a file, what it held can be made again.
    with suppress(Exception):
        found: T = pickle.loads(file.read_bytes())
        return found
    made = make()
    content = pickle.dumps(made)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=file.parent, suffix=".new", delete=False) as new:
            new.write(content)
        os.replace(new.name, file)
    return made


def digest(*parts: str | bytes) -> str:
    """A digest of some texts, of where one ends and the next begins, and of Python's version."""
    found = hashlib.sha256(f"{sys.version} {[version(name) for name in _MAKERS]}".encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(f"{len(data)} ".encode() + data)
    return found.hexdigest()


@cache
def library() -> str:
    """A digest of the library's code and of its tables: what any number of it may depend on."""
    files = [*sorted(paths.LIBRARY.rglob("*.py")), *sorted(paths.DATA.glob("*.csv"))]
    return digest(*(part for file in files for part in (file.name, file.read_bytes())))
