"""What came back: notebooks by student, however a learning management system names them."""

import csv
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmecon import inputs
from llmecon.errors import InputError

MOST_BYTES = 20_000_000
"""Of a submission; a notebook of this kind with its outputs takes some ten thousand."""

ENDING = ".ipynb"


@dataclass(frozen=True)
class Submission:
    """One notebook.

    Args:
        student: The id.
        file: Where it lies.
        convention: Which way of naming it follows.
        modified: When it was last written.
    """

    student: str
    file: Path
    convention: str
    modified: datetime


@dataclass(frozen=True)
class Found:
    """The notebooks in a folder.

    Args:
        by_student: The newest of each student, by id.
        superseded: Older ones of the same students.
        strangers: Of nobody on the roster.
    """

    by_student: dict[str, Submission]
    superseded: tuple[Path, ...]
    strangers: tuple[Path, ...]

    def lines(self) -> list[str]:
        """What was found, one line each."""
        counts: dict[str, int] = {}
        for of in self.by_student.values():
            counts[of.convention] = counts.get(of.convention, 0) + 1
        lines = [f"found as {name}: {count}" for name, count in sorted(counts.items())]
        lines += [f"not graded, an older one: {file}" for file in self.superseded]
        return lines + [f"not graded, of nobody on the roster: {file}" for file in self.strangers]


class UnreadableError(Exception):
    """A notebook whose cells can't be read; the message says why."""


@dataclass(frozen=True)
class Content:
    """What a submitted notebook holds.

    Args:
        code: Sources of its code cells, in order.
        texts: Sources of its text cells, by cell id.
        student: Whose notebook it says it is; None where it doesn't say.
    """

    code: tuple[str, ...]
    texts: dict[str, str]
    student: str | None


def find(folder: Path, chapter: str, students: Sequence[str]) -> Found:
    """The notebooks in a folder, by student.

    Args:
        folder: holds ID/CHAPTER.ipynb, ID.ipynb or ID_anything.ipynb, mixed at will.
        chapter: of the assignment.
        students: ids of the roster.

    Raises:
        InputError: there is no such folder, or it holds no notebook.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give the one that holds the submissions")
    found: dict[str, Submission] = {}
    superseded: list[Path] = []
    strangers: list[Path] = []
    for name, file, inside in _notebooks(folder, chapter):
        student = _owner(name, students)
        if student is None:
            strangers.append(file)
            continue
        convention = f"{'ID' if name == student else 'ID_anything'}{inside}{ENDING}"
        modified = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
        one = Submission(student, file, convention, modified)
        other = found.get(student)
        if other is None or other.modified < modified:
            found[student] = one
        if other is not None:
            superseded.append(min(one, other, key=lambda of: of.modified).file)
    if not found and not strangers:
        raise InputError(
            f"{folder}: holds no notebook; wanted are ID/{chapter}{ENDING}, ID{ENDING} or "
            f"ID_anything{ENDING}"
        )
    return Found(found, tuple(superseded), tuple(strangers))


def read(file: Path) -> Content:
    """The cells of a notebook that anybody may have written.

    Args:
        file: its path.

    Raises:
        UnreadableError: it is no plain file, too large, no notebook, or without code.
    """
    try:
        # A pipe would keep whoever opens it waiting; a link leads to files of the reader's own.
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(opened, "rb") as handle:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise UnreadableError("not a plain file")
            held = handle.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    if len(held) > MOST_BYTES:
        raise UnreadableError(f"larger than {MOST_BYTES / 1e6:.0f} MB: clear its outputs")
    if not held.strip():
        raise UnreadableError("empty")
    try:
        content = json.loads(held)
        cells = [(of["cell_type"], _source(of), of.get("id", "")) for of in content["cells"]]
        metadata = content.get("metadata", {}).get("llmecon", {})
        student = metadata.get("student") if isinstance(metadata, dict) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableError("not a notebook") from None
    code = tuple(source for kind, source, _ in cells if kind == "code")
    if not code:
        raise UnreadableError("without code cells")
    texts = {str(name): source for kind, source, name in cells if kind == "markdown"}
    return Content(code, texts, student if isinstance(student, str) else None)


def read_times(file: Path) -> dict[str, datetime]:
    """When students submitted, from a CSV file.

    Args:
        file: with the columns id and submitted, an ISO time such as 2026-05-01T23:59.

    Raises:
        InputError: it isn't such a file, or a time can't be read.
    """
    inputs.require_table(file, ("id", "submitted"))
    rows = csv.DictReader(inputs.text(file, "a CSV file").splitlines())
    return {
        (row["id"] or "").strip(): instant(row["submitted"], f"{file}: line {rows.line_num}")
        for row in rows
        if (row["submitted"] or "").strip()
    }


def instant(text: str, where: str) -> datetime:
    """A time of day, of this machine's time zone where it names none.

    Args:
        text: in ISO 8601, such as 2026-05-01T23:59 or 2026-05-01T23:59+02:00.
        where: what it was given as, for the message.

    Raises:
        InputError: it isn't one.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{where}: {inputs.shown(text)} is no time; write it as 2026-05-01T23:59"
        ) from None


def _notebooks(folder: Path, chapter: str) -> Iterator[tuple[str, Path, str]]:
    """Of each notebook the name that may be a student's, its path, and what follows the name."""
    for entry in sorted(os.scandir(folder), key=lambda of: of.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            files = sorted(Path(entry.path).glob(f"[!.]*{ENDING}"))
            named = [of for of in files if of.name == f"{chapter}{ENDING}"]
            for file in named or files:
                yield entry.name, file, f"/{chapter if named else 'anything'}"
        elif entry.name.endswith(ENDING):
            yield entry.name.removesuffix(ENDING), Path(entry.path), ""


def _owner(name: str, students: Sequence[str]) -> str | None:
    """The student whose id a name is, or begins with; of several the longest."""
    fits = [of for of in students if name == of or name.startswith(f"{of}_")]
    return max(fits, key=len, default=None)


def _source(cell: Any) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
