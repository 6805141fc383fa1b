"""What grading writes: a table of marks, and for each student what was right and what wasn't."""

import csv
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from llmecon.assignments.grading import SAYS, Mark, Report
from llmecon.assignments.manifest import Assignment
from llmecon.publishing.build import files

_NOTHING = "Nothing was found in the cell for this answer; look into the notebook itself."

_MOST_TEXT = 20_000  # characters of a written answer that are repeated

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(assignment: Assignment, reports: Sequence[Report], folder: Path) -> None:
    """Write scores.csv, feedback.csv and a page of feedback for each student.

    Args:
        assignment: What was graded.
        reports: One a student.
        folder: To make or replace; it appears whole or not at all.
    """
    with files.replacing(folder) as new:
        _write_scores(assignment, reports, new / "scores.csv")
        _write_feedback(reports, new / "feedback.csv")
        pages = new / "feedback"
        pages.mkdir()
        for of in reports:
            text = page(assignment, of)
            (pages / f"{of.assigned.student.id}.md").write_text(text, encoding="utf-8")
        files.stamp(new, files.digest([(new / "scores.csv").read_bytes()]))


def page(assignment: Assignment, of: Report) -> str:
    """A student's feedback, in Markdown.

    Args:
        assignment: What was graded.
        of: The student's report.
    """
    late = " It came after the deadline." if of.late else ""
    parts = [
        f"# {assignment.title}: {html.escape(of.assigned.student.name, quote=False)}",
        f"**{of.points:g} of {assignment.points:g} points** for numbers. {SAYS[of.status]}{late}",
    ]
    for mark in of.marks:
        parts.append(f"## Exercise {mark.task.number}: {mark.task.title}")
        parts.append(_said(of, mark))
    if of.errors:
        raised = [f"- code cell {cell}: {_quoted(said)}" for cell, said in of.errors.items()]
        parts += ["## Cells that failed", "\n".join(raised)]
    if of.notes:
        parts += ["## Notes", "\n".join(f"- {_quoted(note)}" for note in of.notes)]
    return "\n\n".join(parts) + "\n"


def _said(of: Report, mark: Mark) -> str:
    task = mark.task
    if mark.points is None:
        text = (of.texts or {}).get(task.id, "")[:_MOST_TEXT]
        written = "\n".join(f"> {line}" for line in text.splitlines()) or _NOTHING
        rubric = of.assigned.rubrics.get(task.id, "")
        return "\n\n".join(filter(None, [mark.says, rubric, written]))
    answer = f" Your answer: {_quoted(mark.answer)} {task.unit}".rstrip() if mark.answer else ""
    return f"{mark.points:g} of {task.points:g}. {mark.says}{answer}"


def _write_scores(assignment: Assignment, reports: Iterable[Report], file: Path) -> None:
    tasks = [of.id for of in assignment.tasks]
    header = ["student", "name", "points", "max", "late", "status", "submitted", "note", *tasks]
    rows = [
        [
            of.assigned.student.id,
            of.assigned.student.name,
            f"{of.points:g}",
            f"{assignment.points:g}",
            "yes" if of.late else "no",
            of.status,
            of.submitted.isoformat(timespec="seconds") if of.submitted else "",
            "; ".join(of.notes),
            *("by hand" if mark.points is None else f"{mark.points:g}" for mark in of.marks),
        ]
        for of in reports
    ]
    _write_rows(file, header, rows)


def _write_feedback(reports: Iterable[Report], file: Path) -> None:
    header = ["student", "exercise", "points", "max", "answer", "unit", "mistake", "feedback"]
    rows = [
        [
            of.assigned.student.id,
            mark.task.id,
            "" if mark.points is None else f"{mark.points:g}",
            "" if mark.points is None else f"{mark.task.points:g}",
            mark.answer,
            mark.task.unit,
            mark.mistake,
            mark.says,
        ]
        for of in reports
        for mark in of.marks
    ]
    _write_rows(file, header, rows)


def _write_rows(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_plain(cell) for cell in row] for row in rows)


def _plain(cell: str) -> str:
    """A cell that no spreadsheet runs; numbers stay numbers."""
    if not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _quoted(text: str) -> str:
    """A stranger's words as code within a line, whatever they hold."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"
