"""The students of a course, from a CSV file."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from llmecon import inputs
from llmecon.errors import InputError

# Ids become names of files and folders, on any system.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{of}{n}" for of in ("com", "lpt") for n in range(1, 10))]
)


@dataclass(frozen=True)
class Student:
    """One row of a roster.

    Args:
        id: Names the student's files.
        name: As it stands on the notebook.
        email: Empty where the roster has none.
    """

    id: str
    name: str
    email: str = ""


def read(file: Path) -> tuple[Student, ...]:
    """The students of a roster, in its order.

    Args:
        file: CSV with the columns id and name, and optionally email.

    Raises:
        InputError: it isn't such a file, an id is missing, there twice or can't name a file, or a
            name is missing.
    """
    inputs.require_table(file, ("id", "name"))
    found: list[Student] = []
    lines: dict[str, int] = {}
    # `strict` finds quotes that never close, which would swallow the rows behind them.
    rows = csv.DictReader(inputs.text(file, "a CSV file").splitlines(), strict=True)
    try:
        for row in rows:
            line = rows.line_num
            if None in row or None in row.values():
                raise InputError(f"{file}: line {line} has not as many cells as there are columns")
            student = Student(
                row["id"].strip(), _one_line(row["name"]), _one_line(row.get("email"))
            )
            _require_usable(student, f"{file}: line {line}")
            # Windows and macOS don't tell capitals from small letters in names of files.
            first = lines.setdefault(student.id.casefold(), line)
            if first != line:
                raise InputError(
                    f"{file}: line {line}: the id {inputs.shown(student.id)} stands in line "
                    f"{first} already; each student needs one of their own"
                )
            found.append(student)
    except csv.Error as error:
        raise InputError(f"{file}: line {rows.line_num} is not CSV: {error}") from None
    return tuple(found)


def _require_usable(student: Student, where: str) -> None:
    usable = _ID.fullmatch(student.id) and not student.id.endswith(".")
    if not usable or student.id.partition(".")[0].casefold() in _DEVICES:
        raise InputError(
            f"{where}: the id {inputs.shown(student.id)} can't name a file: take up to 64 letters "
            "(A to Z), digits and . _ @ + -, with a letter or digit first"
        )
    if not student.name:
        raise InputError(f"{where}: {student.id} has no name")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
