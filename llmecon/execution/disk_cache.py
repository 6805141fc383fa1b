"""What was made once from the same inputs is read from disk instead of being made again."""

import ast
import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from llmecon import paths

T = TypeVar("T")

_MAKERS = (
    "jax",
    "equinox",
    "optimistix",
    "numpy",
    "pandas",
    "scipy",
)  # whose versions results depend on, too


def kept(kind: str, key: str, make: Callable[[], T]) -> T:
    """What `make` returns, from disk where it was made from the same inputs before.

    Args:
        kind: What it is; one folder each.
        key: Digest of all that it depends on; see `rests_on`, `record` and `digest`.
        make: Makes it, pure; of plain values, records of arrays, or frames.

    Returns:
        What `make` returned, now or then. Where the folder can't be read or written, now.
    """
    found: T | None = read(kind, key)
    if found is None:
        found = make()
        write(kind, key, found)
    return found


def read(kind: str, key: str) -> Any:
    """What was kept under a key; `None` where nothing was, or where it can't be read.

    Args:
        kind: What it is.
        key: Its key.
    """
    # Whatever is wrong with a file, what it held can be made again.
    with suppress(Exception):
        return pickle.loads(_file_of(kind, key).read_bytes())
    return None


def write(kind: str, key: str, made: Any) -> None:
    """Keep something under a key; where the folder can't be written, it isn't kept.

    Args:
        kind: What it is; one folder each.
        key: Digest of all that it depends on.
        made: Plain values, records of arrays, or frames; not `None`.
    """
    content = pickle.dumps(made)
    file = _file_of(kind, key)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=file.parent, suffix=".new", delete=False) as new:
            new.write(content)
        os.replace(new.name, file)


def _file_of(kind: str, key: str) -> Path:
    return paths.KEPT / kind / f"{key}.pickle"


def digest(*parts: str | bytes) -> str:
    """A digest of some texts, of where one ends and the next begins, and of Python's version."""
    found = hashlib.sha256(_environment())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(f"{len(data)} ".encode() + data)
    return found.hexdigest()


@cache
def _environment() -> bytes:
    return f"{sys.version} {[version(name) for name in _MAKERS]}".encode()


def tables(*names: str) -> str:
    """A digest of what some tables of data/ hold.

    Args:
        names: the files' names without their ending.
    """
    return digest(
        *(part for name in names for part in (name, (paths.DATA / f"{name}.csv").read_bytes()))
    )


@cache
def code(module: str) -> str:
    """A digest of a module of the library and of all that it imports from the library, in turn.

    Args:
        module: its full name, such as `llmecon.training`.
    """
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name not in found and file:
            found[name] = file.read_bytes()
            waiting += _imported(found[name])
            # A package loads its modules when they are used, whichever these are.
            if file.stem == "__init__":
                waiting += [f"{name}.{inside.stem}" for inside in file.parent.glob("*.py")]
    return digest(*(part for name in sorted(found) for part in (name, found[name])))


def rests_on(module: str, *names: str) -> str:
    """A digest of a module, all that it imports from the library, and some tables.

    Args:
        module: its full name.
        names: of the tables, the files' names without their ending.
    """
    return digest(code(module), tables(*names))


def record(of: Any) -> str:
    """A digest of a record of numbers, such as the arguments of a simulation.

    Args:
        of: the record, or several in a tuple.
    """
    import jax  # which what only reads tables has no use for
    import numpy as np

    leaves = [np.asarray(leaf, float).tobytes() for leaf in jax.tree.leaves(of)]
    return digest(str(jax.tree.structure(of)), *leaves)


def _file(module: str) -> Path | None:
    """Where a module of the library is, or None where the name is something else's."""
    place = paths.LIBRARY.joinpath(*module.split(".")[1:])
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _imported(source: bytes) -> list[str]:
    """Names that may be modules of the library, among those that a module imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [of.name for of in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{of.name}" for of in node.names)]
    return [name for name in names if name.startswith("llmecon.")]
