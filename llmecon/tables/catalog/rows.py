"""Rows of the tables, checked and found by their ids.

Every table is checked against its schema the first time it is used. Identifiers are looked up here
and nowhere else, so that a misspelt one gets the same helpful line everywhere.
"""

import difflib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from llmecon import paths
from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.paths import DATA

# The modules that decide what a table may hold.
_CHECKED_BY = ("schemas.py", "row_rules.py", "columns.py")


@cache
def table(name: str) -> pd.DataFrame:
    """A table of the catalogue, checked against its schema.

    Args:
        name: the file's name under data/, without its ending.

    Returns:
        The table; do not change it, it is shared.

    Raises:
        InputError: no such table, or a cell that its schema refuses.
    """
    path = DATA / f"{name}.csv"
    content = path.read_bytes() if path.is_file() else b""
    checks = (paths.LIBRARY / "tables" / module for module in _CHECKED_BY)
    rules = [file.read_bytes() for file in (DATA / "columns.csv", *checks)]

    def checked() -> pd.DataFrame:
        from llmecon.tables import schemas  # with pandera, which is slow to import

        if name not in schemas.names() or not content:
            known = ", ".join(schemas.names())
            raise InputError(f"no table {name!r} in the catalogue; there are: {known}")
        return schemas.validate(name, pd.read_csv(path))

    return disk_cache.kept("tables", disk_cache.digest(name, content, *rules), checked)


def ids(name: str) -> list[str]:
    """The identifiers of a table, in the table's order."""
    return list(_ids(name))


@cache
def _ids(name: str) -> tuple[str, ...]:
    return tuple(str(i) for i in preferred(name)["id"])


def require(name: str, identifier: str) -> str:
    """Check that an identifier is in a table.

    Args:
        name: the table.
        identifier: what a person typed.

    Returns:
        The identifier.

    Raises:
        InputError: unknown; the message names the nearest ones and how to list all.
    """
    known = _ids(name)
    if identifier in known:
        return identifier
    near = difflib.get_close_matches(str(identifier).lower(), known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise InputError(
        f"{identifier!r} is not in the table {name}; {hint}list them with: llmecon list {name}"
    )


def row(name: str, identifier: str) -> Mapping[str, Any]:
    """One row of a table as a mapping from column to value.

    Raises:
        InputError: the identifier is not in the table.
    """
    return _row(name, require(name, identifier))


@cache
def _row(name: str, identifier: str) -> Mapping[str, Any]:
    found = preferred(name).set_index("id").loc[identifier]
    return MappingProxyType({str(column): value for column, value in found.items()})


def name(table: str, identifier: str) -> str:
    """What a reader calls a row.

    Args:
        table: the table's name.
        identifier: of the row.

    Raises:
        InputError: the identifier is not in the table.
    """
    return str(row(table, identifier)["name"])


def preferred(name: str) -> pd.DataFrame:
    """Only the preferred vintage of a region where the table holds several."""
    frame = table(name)
    return frame[frame["preferred"] == 1] if "preferred" in frame else frame


def value_or(value: Any, default: float) -> float:
    """A cell's value, or another where the cell is empty or the column missing."""
    return default if value is None or (isinstance(value, float) and np.isnan(value)) else value
