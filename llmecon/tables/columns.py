"""The columns of every table of `data/`, as `data/columns.csv` declares them.

One row of that file is one column of one table: its type, unit, range, choices and meaning. The
schemas, the lists of columns in `data/README.md`, the tables' pages and `data/datapackage.json`
are all made from these rows.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from llmecon import paths
from llmecon.errors import InputError

# For each type of text: the pattern of a cell, and what that is in words.
PATTERNS = {
    "slug": (
        r"^[a-z0-9][a-z0-9./_-]*$",
        "lower-case letters, digits and . / _ - (such as llama-3.1-70b)",
    ),
    "field": (r"^[a-z_]+$", "lower-case letters and _ (such as wafer_cost)"),
    "sources": (
        r"^[A-Za-z][A-Za-z0-9]*(;[A-Za-z][A-Za-z0-9]*)*$",
        "keys of the bibliography joined by ; (such as Hoffmann2022;Besiroglu2024)",
    ),
    "month": (r"^(19|20)\d\d-(0[1-9]|1[0-2])$", "a month as YYYY-MM"),
    "month or year": (
        r"^(19|20)\d\d(-(0[1-9]|1[0-2]))?$",
        "a month as YYYY-MM or a year as YYYY",
    ),
    "day": (r"^(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", "a day as YYYY-MM-DD"),
}
NUMBERS = ("integer", "number")
TYPES = ("text", *PATTERNS, *NUMBERS, "boolean")

# Rows of `columns.csv` with this table declare what ends every table that has sources.
EVERY = "*"
# Tables without sources: what our own code writes, and the declaration of the others.
UNSOURCED = frozenset(
    {
        "choice_checks",
        "columns",
        "deployment_levels",
        "efficiency_draws",
        "efficiency_effects",
        "held_out",
        "published_held_out",
        "published_predictions",
        "search_curves",
        "training_posterior",
    }
)

_FIELDS = (
    *("table", "column", "type", "unit", "range", "choices"),
    *("key", "nullable", "refers_to", "meaning"),
)
_RANGE = re.compile(r"([\[(])(-inf|-?[\d.e]+), (inf|-?[\d.e]+)([\])])")
_CHOICE = re.compile(r"([^()]+?)(?: \((.+)\))?")
_REFERENCE = re.compile(r"\w+\.\w+")


@dataclass(frozen=True)
class Range:
    """An interval that a number lies in.

    Attributes:
        low: lower end; -inf if there is none.
        high: upper end; inf if there is none.
        with_low: whether the lower end belongs to it.
        with_high: whether the upper end belongs to it.
    """

    low: float
    high: float
    with_low: bool
    with_high: bool


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as the file's header has it.
        type: one of `TYPES`.
        unit: of a number; empty if it has none.
        range: of a number; none if any is allowed.
        choices: the cells that are allowed, each with what it means, which may be empty; none if
            others are allowed too.
        key: `unique` if no cell occurs twice, `joint` if no row agrees with another in all such
            columns together, or empty.
        nullable: whether cells may be empty.
        refers_to: the table and column that hold every cell of this one, if there are such.
        meaning: in words, Markdown; empty where the name says it.
    """

    name: str
    type: str
    unit: str
    range: Range | None
    choices: Mapping[str, str]
    key: str
    nullable: bool
    refers_to: tuple[str, str] | None
    meaning: str


def tables() -> Mapping[str, tuple[Column, ...]]:
    """The columns of every table that `data/columns.csv` declares, in that file's order.

    Raises:
        InputError: A row of the file is wrong; the message says which, and what would be right.
    """
    found = declared()
    ends = found.get(EVERY, ())
    return {
        table: (*of_table, *(() if table in UNSOURCED else ends))
        for table, of_table in found.items()
        if table != EVERY
    }


def declared() -> Mapping[str, tuple[Column, ...]]:
    """The rows of `data/columns.csv` by their table, which is `*` for what ends every table.

    Raises:
        InputError: A row of the file is wrong; the message says which, and what would be right.
    """
    return _read(paths.DATA / "columns.csv")


@cache
def _read(file: Path) -> Mapping[str, tuple[Column, ...]]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if tuple(rows.fieldnames or ()) != _FIELDS:
            raise InputError(f"columns.csv: its header must be {','.join(_FIELDS)}")
        found: dict[str, dict[str, Column]] = {}
        for number, row in enumerate(rows, start=2):
            column = _column(number, row)
            of_table = found.setdefault(row["table"], {})
            if column.name in of_table:
                _refuse(number, row, "column", "a column once a table")
            of_table[column.name] = column
    _check_references(found)
    return {table: tuple(of_table.values()) for table, of_table in found.items()}


def _column(number: int, row: dict[str, str]) -> Column:
    """One row, or the first thing that is wrong with it."""
    if None in row or None in row.values():
        raise InputError(f"columns.csv, row {number}: it must have {len(_FIELDS)} cells")
    kind, unit, nullable = row["type"], row["unit"], row["nullable"]
    if kind not in TYPES:
        _refuse(number, row, "type", f"one of {', '.join(TYPES)}")
    if unit and kind not in NUMBERS:
        _refuse(number, row, "unit", "nothing, since only numbers have units")
    if row["range"] and (kind not in NUMBERS or row["choices"]):
        _refuse(number, row, "range", "nothing, since only numbers without choices have a range")
    if row["key"] not in ("", "unique", "joint"):
        _refuse(number, row, "key", "unique, joint or nothing")
    if nullable not in ("true", "false"):
        _refuse(number, row, "nullable", "true or false")
    if row["refers_to"] and not _REFERENCE.fullmatch(row["refers_to"]):
        _refuse(number, row, "refers_to", "a table and its column (such as xpus.id)")
    table, _, other = row["refers_to"].partition(".")
    return Column(
        name=row["column"],
        type=kind,
        unit=unit,
        range=_range(number, row),
        choices=_choices(number, row),
        key=row["key"],
        nullable=nullable == "true",
        refers_to=(table, other) if other else None,
        meaning=row["meaning"],
    )


def _range(number: int, row: dict[str, str]) -> Range | None:
    if not row["range"]:
        return None
    right = "an interval whose ends may belong to it (such as [0, 1) or (0, inf))"
    match = _RANGE.fullmatch(row["range"])
    if match is None:
        _refuse(number, row, "range", right)
    try:
        low, high = float(match[2]), float(match[3])
    except ValueError:
        _refuse(number, row, "range", right)
    if low >= high:
        _refuse(number, row, "range", "an interval that ends above its start")
    return Range(low, high, with_low=match[1] == "[", with_high=match[4] == "]")


def _choices(number: int, row: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for choice in filter(None, row["choices"].split("; ")):
        match = _CHOICE.fullmatch(choice)
        if match is None or match[1] in found:
            _refuse(number, row, "choices", "different cells joined by ; each with words in (...)")
        if row["type"] in NUMBERS and not re.fullmatch(r"-?\d+", match[1]):
            _refuse(number, row, "choices", "whole numbers, as the type says")
        found[match[1]] = match[2] or ""
    return found


def _check_references(found: Mapping[str, Mapping[str, Column]]) -> None:
    for table, columns in found.items():
        for column in columns.values():
            if column.refers_to:
                there, name = column.refers_to
                if name not in found.get(there, {}):
                    raise InputError(
                        f"columns.csv ({table} {column.name}), column refers_to: it doesn't "
                        f"declare {there}.{name}"
                    )


def _refuse(number: int, row: dict[str, str], column: str, right: str) -> NoReturn:
    where = f"columns.csv, row {number} ({row['table']} {row['column']}), column {column}"
    shown = repr(row[column]) if row[column] else "nothing"
    raise InputError(f"{where}: found {shown}, expected {right}")
