"""Packages that load a module when one of its names is first used.

What a package offers stands in its `__init__.pyi`, which editors and type checkers read as well. So
`import llmecon` and a refusal of the command line wait neither for JAX nor for what only the book
needs.
"""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmecon.errors import absent


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: its `__name__`.
        file: its `__file__`, beside which stands the stub: lines such as `from . import module` and
            `from .module import name`. No name may be that of a module, which would hide it.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    # For each name the module that has it, or nothing if it is a module itself.
    places = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{places[name] or name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("llmecon"):
                raise
            raise ModuleNotFoundError(absent(error), name=error.name) from error
        found = getattr(module, name) if places[name] else module
        # The next time Python finds it without asking here.
        setattr(sys.modules[package], name, found)
        return found

    names = sorted(places)
    return load, lambda: list(names), names
