"""The check of every table: its columns by `data/columns.csv`, its rows by `row_rules`.

Column names carry their unit. An empty cell means that the figure is not published. `source` is a
key of the bibliography, or several joined by semicolons; `checked` says whether the figure was
read in that source or in a page that restates it.
"""

import ast
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from llmecon.errors import InputError
from llmecon.tables import columns, row_rules

_DTYPES = {"integer": "int64", "number": "float64", "boolean": "bool"}
_WORDS = dict(columns.PATTERNS.values())


def names() -> tuple[str, ...]:
    """The tables that have a schema, without `.csv`, sorted."""
    return tuple(sorted(columns.tables()))


def references() -> Mapping[tuple[str, str], tuple[str, str]]:
    """For each table and column whose cells another one holds: that other table and column."""
    return {
        (table, column.name): column.refers_to
        for table in names()
        for column in columns.tables()[table]
        if column.refers_to
    }


@cache
def schema(name: str) -> pa.DataFrameSchema:
    """What a table may hold.

    Args:
        name: the table, without `.csv`.

    Raises:
        InputError: no such table.
    """
    if name not in columns.tables():
        raise InputError(f"no table {name!r}; there are: {', '.join(names())}")
    declared = columns.tables()[name]
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                _DTYPES.get(column.type, str),
                checks=_checks(column),
                nullable=column.nullable,
                unique=column.key == "unique",
                coerce=column.type != "boolean",
            )
            for column in declared
        },
        checks=[pa.Check(rule.holds, name=rule.says) for rule in row_rules.RULES.get(name, ())],
        unique=[column.name for column in declared if column.key == "joint"] or None,
        strict=True,
    )


def _checks(column: columns.Column) -> list[pa.Check]:
    found = []
    if column.type in columns.PATTERNS:
        found.append(pa.Check.str_matches(columns.PATTERNS[column.type][0]))
    if column.choices:
        number = column.type in columns.NUMBERS
        found.append(pa.Check.isin([int(c) if number else c for c in column.choices]))
    if column.range:
        low, high = (_plain(end) for end in (column.range.low, column.range.high))
        if column.range.low > float("-inf"):
            found.append(pa.Check.ge(low) if column.range.with_low else pa.Check.gt(low))
        if column.range.high < float("inf"):
            found.append(pa.Check.le(high) if column.range.with_high else pa.Check.lt(high))
    return found


def _plain(number: float) -> float:
    """The number as a refusal shows it: 1 and not 1.0."""
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def validate(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Check a table against its schema.

    Args:
        name: the table, without `.csv`.
        frame: its rows as read, numbered from 0.

    Returns:
        The rows, with every column in the type that the schema gives it.

    Raises:
        InputError: no such table, or a cell that the schema refuses; one line names the file, the
            row (the header is row 1), the column, and what would be right.
    """
    rules = schema(name)
    _refuse_mistyped(name, frame)
    try:
        return rules.validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise InputError(_first_failure(name, frame, errors.failure_cases)) from None


def _refuse_mistyped(name: str, frame: pd.DataFrame) -> None:
    # Coercion alone would cut 3.5 to 3 and take any text for true.
    for column in columns.tables()[name]:
        if column.name not in frame:
            raise InputError(f"{name}.csv: column {column.name} is missing")
        cells = frame[column.name]
        if column.type == "integer":
            numbers = pd.to_numeric(cells, errors="coerce")
            wrong, right = numbers.isna() | (numbers % 1 != 0), "a whole number"
        elif column.type == "number":
            wrong = pd.to_numeric(cells, errors="coerce").isna() & cells.notna()
            right = "a number, or nothing where none is published"
        elif column.type == "boolean":
            wrong, right = ~cells.isin([True, False]), "true or false"
        else:
            continue
        if wrong.any():
            index = int(wrong.to_numpy().argmax())
            cell = cells.iloc[index]
            raise InputError(_complaint(name, frame, index, column.name, cell, right))


def _first_failure(name: str, frame: pd.DataFrame, failures: pd.DataFrame) -> str:
    cases = failures.to_dict("records")
    # A wrong cell breaks rules of its row as well; the cell is what a person has to mend.
    first = next((case for case in cases if case["schema_context"] == "Column"), cases[0])
    check = str(first["check"])
    if check == "column_in_schema":
        return f"{name}.csv: column {first['failure_case']} is not one that the table has"
    if pd.isna(first["index"]):
        return f"{name}.csv: {first['column']}: {check}"
    column = first["column"] if first["schema_context"] == "Column" else None
    cell = first["failure_case"] if column else None
    return _complaint(name, frame, int(first["index"]), column, cell, _expected(check))


def _complaint(
    name: str, frame: pd.DataFrame, index: int, column: str | None, cell: Any, right: str
) -> str:
    label = f" ({frame.iloc[index, 0]!s})" if frame.shape[1] else ""
    where = f"{name}.csv, row {index + 2}{label}"
    if column is None:
        return f"{where}: it must hold that: {right}"
    shown = "nothing" if pd.isna(cell) else repr(cell) if isinstance(cell, str) else str(cell)
    return f"{where}, column {column}: found {shown}, expected {right}"


def _expected(check: str) -> str:
    """What a pandera check asks for, in words."""
    if check == "not_nullable":
        return "a value"
    if check == "field_uniqueness":
        return "a value that occurs once"
    if check == "multiple_fields_uniqueness":
        return "a key that occurs once"
    found = re.match(r"^(\w+)\((.*)\)$", check, flags=re.DOTALL)
    if found is None:
        return check
    verb, argument = found.groups()
    if verb == "str_matches":
        return _WORDS.get(argument.strip("'\""), argument)
    if verb == "isin":
        return "one of " + ", ".join(str(choice) for choice in ast.literal_eval(argument))
    words = {
        "greater_than": "more than",
        "greater_than_or_equal_to": "at least",
        "less_than": "less than",
        "less_than_or_equal_to": "at most",
    }
    return f"{words[verb]} {argument}" if verb in words else check
