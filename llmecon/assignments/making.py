"""An assignment: folders for the students and for whoever teaches them, written whole or not."""

import csv
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from llmecon import teaching
from llmecon.assignments import manifest
from llmecon.assignments.manifest import Assigned, Assignment, Task
from llmecon.assignments.roster import Student
from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.publishing.build import files
from llmecon.teaching.records import Exercise

STUDENTS = "students"
"""Holds a folder for each student, and nothing that the others or the key would be found in."""

_POINTS = 1.0  # for a right number

Progress = Callable[[str], None]


def make(
    chapter: str, students: Sequence[Student], seed: int, folder: Path, progress: Progress
) -> Assignment:
    """Write the notebooks of an assignment, its keys and its manifest.

    Args:
        chapter: whose exercises, by its name on the command line.
        students: of a roster.
        seed: which numbers the students get; the same ones make the same files.
        folder: to write; replaced where it holds an earlier assignment and nothing else.
        progress: called with one line at a time.

    Raises:
        InputError: the chapter has no exercises, or the folder holds something else.
    """
    exercises = teaching.exercises(chapter)
    _require_replaceable(folder)
    of = scenario.chapter(chapter)
    with files.replacing(folder) as new:
        own = new / manifest.FOLDER
        (own / "solutions").mkdir(parents=True)
        given = [
            _assign(of, exercises, student, seed, new, f"{place} of {len(students)}", progress)
            for place, student in enumerate(students, 1)
        ]
        made = Assignment(
            chapter, of.title, seed, version("llmecon"), _tasks(exercises), tuple(given)
        )
        manifest.write(made, own)
        _write_roster(students, own / "roster.csv")
        _write_keys(made, own / "keys.csv")
        files.stamp(new, files.digest([(own / manifest.FILE).read_bytes()]))
    return made


def _require_replaceable(folder: Path) -> None:
    """Refuse to overwrite what isn't an assignment, or has got submissions added to it."""
    files.require_replaceable(folder)
    if folder.is_dir():
        made = {STUDENTS, manifest.FOLDER}
        others = sorted(of.name for of in folder.iterdir() if not of.name.startswith("."))
        if added := [of for of in others if of not in made]:
            raise InputError(f"{folder}: also holds {added[0]}; name a new or empty folder")


def _assign(
    chapter: scenario.Chapter,
    exercises: Sequence[Exercise],
    student: Student,
    seed: int,
    folder: Path,
    place: str,
    progress: Progress,
) -> Assigned:
    """Write one student's notebooks."""
    from llmecon.assignments import notebooks

    progress(f"{student.id}: {place}")
    parameters = teaching.vary(chapter.slug, seed, student.id)
    study = teaching.resolved(chapter.slug, **parameters)
    keys = {of.id: teaching.key_of(of, study) for of in exercises if of.key}
    parts = [notebooks.part(of, keys.get(of.id), study) for of in exercises]
    file = folder / STUDENTS / student.id / f"{chapter.slug}.ipynb"
    file.parent.mkdir(parents=True)
    _write(file, notebooks.for_student(chapter, student, parameters, parts))
    _write(
        folder / manifest.FOLDER / "solutions" / f"{student.id}.ipynb",
        notebooks.with_solutions(chapter, student, parameters, parts),
    )
    rubrics = {of.exercise.id: of.solution for of in parts if of.key is None}
    return Assigned(student, parameters, keys, rubrics)


def _tasks(exercises: Sequence[Exercise]) -> tuple[Task, ...]:
    return tuple(
        Task(of.id, of.title, of.kind, of.unit, of.tolerance, _POINTS if of.key else 0.0)
        for of in exercises
    )


def _write_roster(students: Sequence[Student], file: Path) -> None:
    _write_rows(file, ("id", "name", "email"), [(of.id, of.name, of.email) for of in students])


def _write_keys(of: Assignment, file: Path) -> None:
    """Parameters and answers, a row a student and exercise, for people and spreadsheets."""
    rows = [
        (
            one.student.id,
            " ".join(f"{name}={value}" for name, value in one.parameters.items()),
            task.id,
            repr(one.keys[task.id].answer),
            task.unit,
        )
        for one in of.students
        for task in of.tasks
        if task.id in one.keys
    ]
    _write_rows(file, ("student", "parameters", "exercise", "answer", "unit"), rows)


def _write_rows(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")
