"""The commands of a teacher: `llmecon assignment` and `llmecon grade`."""

import os
from pathlib import Path

import click

from llmecon.errors import InputError

# What is slow to import is imported by the command that needs it.

_FOLDER = click.Path(path_type=Path)


@click.command("assignment")
@click.argument("chapter")
@click.option("--students", type=_FOLDER, required=True, help="CSV of id, name, perhaps email.")
@click.option("--seed", type=int, required=True, help="Which numbers students get, each their own.")
@click.option("-o", "folder", type=_FOLDER, required=True, help="Folder to write.")
def make_assignment(chapter: str, students: Path, seed: int, folder: Path) -> None:
    """Turn the exercises of a CHAPTER into a notebook for each student.

    Hand out students/ID/; keep instructor/, which holds keys and worked solutions.
    """
    from llmecon.assignments import roster

    read = roster.read(students)
    from llmecon.assignments import making, manifest

    making.make(chapter, read, seed, folder, progress=_say)
    click.echo(f"for students: {folder / making.STUDENTS}")
    click.echo(f"for yourself: {folder / manifest.FOLDER}")


@click.command("grade")
@click.argument("submissions", type=_FOLDER)
@click.option("-o", "output", type=_FOLDER, help="Folder to write [default: SUBMISSIONS-grades].")
@click.option(
    "--assignment",
    type=_FOLDER,
    help="What `llmecon assignment` wrote [default: the folder around SUBMISSIONS].",
)
@click.option("--deadline", help="After which a submission is marked late: 2026-05-01T23:59.")
@click.option("--submitted", type=_FOLDER, help="CSV of id, submitted [default: times of files].")
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="For each."
)
@click.option(
    "--memory",
    type=click.FloatRange(0.5, 1024),
    default=3.0,
    show_default=True,
    help="For each, in GB.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Side by side [default: processors].")
@click.option("--trust", is_flag=True, help="Run them even where nothing protects your files.")
def grade_submissions(
    submissions: Path,
    output: Path | None,
    assignment: Path | None,
    deadline: str | None,
    submitted: Path | None,
    seconds: float,
    memory: float,
    jobs: int | None,
    trust: bool,
) -> None:
    """Grade the notebooks in SUBMISSIONS.

    They are named ID/CHAPTER.ipynb, ID.ipynb or ID_anything.ipynb. Each runs in a process of its
    own without network, and without files but a scratch folder's.
    """
    from llmecon.assignments import manifest
    from llmecon.assignments import submissions as received
    from llmecon.publishing.build import files

    due = received.instant(deadline, "--deadline") if deadline else None
    times = received.read_times(submitted) if submitted else {}
    if not submissions.is_dir():
        raise InputError(f"{submissions}: is no folder; give the one that holds the submissions")
    of = manifest.read(assignment or submissions.resolve().parent)
    found = received.find(submissions, of.chapter, [one.student.id for one in of.students])
    output = output or submissions.with_name(f"{submissions.resolve().name}-grades")
    files.require_replaceable(output)

    from llmecon.assignments import execution, feedback, grading, isolation

    kept_apart = isolation.required(trust)
    execution.require_working(kept_apart)
    if kept_apart.files:
        isolation.require_hidden(submissions, assignment or submissions.resolve().parent)
    for line in [*found.lines(), *kept_apart.lines()]:
        _say(line)
    workers = jobs or os.cpu_count() or 1
    limits = execution.Limits(seconds, memory * 1e9)
    rules = grading.Rules(kept_apart, limits, due, times, workers)
    reports = grading.grade(of, found.by_student, rules, progress=_say)
    feedback.write(of, reports, output)
    click.echo(f"grades: {output / 'scores.csv'}")


def _say(line: str) -> None:
    click.echo(line, err=True)
