"""What a person hands over: ids and files of YAML or CSV, refused in one line where unusable.

Nothing here is slow to import, so that a refusal comes at once.
"""

import csv
import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from llmecon import paths
from llmecon.errors import InputError

MOST_BYTES = 1_000_000
"""Of a YAML file: parameters take a few hundred."""
MOST_NESTED = 20
_FEW = 8  # names that are listed in full where none is near
_SHOWN = 60  # characters of what was given


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, and not at any length."""
    try:
        text = repr(value)
    except ValueError:  # integers of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def nearest(name: object, known: Sequence[str]) -> str:
    """The names most like one that isn't known, as a part of a message.

    Args:
        name: What was given.
        known: The names that there are.

    Returns:
        Such as "nearest: a, b; "; empty where many are known and none is near.
    """
    said = str(name)[:_SHOWN].lower()
    near = difflib.get_close_matches(said, known, n=3, cutoff=0.4)
    near = near or [one for one in known if said and said in one.lower()][:3]
    named = near or (known if len(known) <= _FEW else ())
    return f"nearest: {', '.join(named)}; " if named else ""


@cache
def rows(table: str) -> tuple[dict[str, str], ...]:
    """The rows of a table of data/, as text and unchecked; of several vintages the preferred one.

    Args:
        table: The file's name without its ending.
    """
    with (paths.DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(row for row in csv.DictReader(file) if row.get("preferred", "1") == "1")


def ids(table: str, column: str = "id") -> tuple[str, ...]:
    """The ids in a table of data/.

    Args:
        table: The file's name without its ending.
        column: The column that holds them.
    """
    return tuple(dict.fromkeys(row[column] for row in rows(table)))


def require(table: str, identifier: object, column: str = "id") -> None:
    """Refuse an id that a table doesn't hold.

    Args:
        table: The file's name without its ending.
        identifier: What a person typed.
        column: The column that holds the ids.

    Raises:
        InputError: Unknown; the message names the nearest ones and how to list all.
    """
    known = ids(table, column)
    if identifier not in known:
        raise InputError(
            f"{shown(identifier)} is not in the table {table}; {nearest(identifier, known)}"
            f"list them with: llmecon list {table}"
        )


def text(file: Path, kind: str) -> str:
    """What a file holds.

    Args:
        file: Its path.
        kind: What it should be, such as `a YAML file`.

    Raises:
        InputError: It can't be read, or isn't text.
    """
    try:
        content = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{file}: can't be read ({reason}); give the path of {kind}") from None
    except ValueError:  # not UTF-8, or NUL in the path
        raise InputError(f"{file}: not UTF-8 text; give the path of {kind}") from None
    if "\0" in content:
        raise InputError(f"{file}: holds NUL bytes; give the path of {kind}, which is text")
    return content


class _Plain(yaml.SafeLoader):
    """YAML without what makes a short text endless: repetitions by name, and any depth."""

    nested = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            problem = f"*{event.anchor} repeats something by name: write it out instead"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        if self.nested >= MOST_NESTED:
            problem = f"nested more than {MOST_NESTED} deep"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        self.nested += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.nested -= 1


def read_yaml(file: Path) -> Any:
    """The plain values of a YAML file.

    Args:
        file: Its path.

    Raises:
        InputError: It can't be read, is too large, or isn't YAML of plain values.
    """
    content = text(file, "a YAML file")
    if len(content) > MOST_BYTES:
        raise InputError(f"{file}: longer than a megabyte; give a file of parameters")
    try:
        return yaml.load(content, Loader=_Plain)
    # Dates and integers that no value can hold are errors of other kinds.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error) or "can't be parsed"
        problem = "a number of too many digits" if "digits" in problem else problem
        problem = " ".join(problem.split())
        raise InputError(f"{file}:{line} not valid YAML: {problem}") from None


def require_table(file: Path, columns: Sequence[str]) -> list[str]:
    """Refuse a file that isn't a CSV table with some columns and at least one row.

    Args:
        file: Its path.
        columns: Those that it must have.

    Returns:
        The columns that it has.

    Raises:
        InputError: What is wrong with it.
    """
    lines = csv.reader(text(file, "a CSV file").splitlines())
    try:
        header = next(lines, [])
        row = next(lines, None)
    except csv.Error as error:
        raise InputError(f"{file} is not a CSV table: {error}") from None
    if not header:
        raise InputError(f"{file} is not a CSV table: it is empty")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{file} has the column {twice[0]} twice; once is enough")
    if row is None:
        raise InputError(f"{file} has no rows")
    missing = [column for column in columns if column not in header]
    if missing:
        raise InputError(
            f"{file} has no column {', '.join(missing)}; needed are: {', '.join(columns)}"
        )
    return header
