"""Marks: each submission run apart, its numbers judged here by the keys of the manifest."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from llmecon.assignments import execution, submissions
from llmecon.assignments.execution import Limits, Outcome
from llmecon.assignments.isolation import Isolation
from llmecon.assignments.manifest import WRITE_HERE, Assigned, Assignment, Task
from llmecon.assignments.submissions import Content, Submission
from llmecon.teaching import judging

Status = Literal["graded", "time", "memory", "disk", "stopped", "talk", "unreadable", "missing"]

SAYS: Mapping[Status, str] = {
    "graded": "All cells were run.",
    "time": "The notebook took longer than it may, and was stopped; what it had answered counts.",
    "memory": "The notebook took more memory than it may, and was stopped; what it had answered "
    "counts.",
    "disk": "The notebook wrote more than it may, and was stopped; what it had answered counts.",
    "stopped": "A cell ended the whole process; what had been answered by then counts.",
    "talk": "The notebook sent more than answers, and was stopped; what it had answered counts.",
    "unreadable": "The notebook can't be read.",
    "missing": "Nothing was submitted.",
}
"""What each way in which a submission may end means, for whoever handed it in."""

_UNTOUCHED = "a value of type ellipsis"  # `...`, as the notebook was handed out

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Mark:
    """What an answer to one exercise gave.

    Args:
        task: The exercise.
        points: None where a person marks it.
        answer: What was found, in words; empty where nothing was.
        mistake: The slip that it looks like, by name; empty for none.
        says: The verdict in words.
    """

    task: Task
    points: float | None
    answer: str
    mistake: str
    says: str


@dataclass(frozen=True)
class Report:
    """What a student's submission gave.

    Args:
        assigned: The student and what was asked.
        status: How it ended.
        marks: One an exercise.
        notes: What else whoever grades should know.
        errors: By the number of the code cell, from 1: what it raised.
        texts: What was written in answer to exercises that a person marks.
        late: Whether it came after the deadline.
        submitted: When it came; None where nothing did.
        seconds: How long its cells took.
    """

    assigned: Assigned
    status: Status
    marks: tuple[Mark, ...]
    notes: tuple[str, ...] = ()
    errors: Mapping[int, str] | None = None
    texts: Mapping[str, str] | None = None
    late: bool = False
    submitted: datetime | None = None
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """What the numbers gave in all."""
        return sum(of.points or 0.0 for of in self.marks)


@dataclass(frozen=True)
class Rules:
    """How submissions are graded.

    Args:
        isolation: How they are kept from the rest of the machine.
        limits: What each may take.
        deadline: After which they are late; None for never.
        times: When students submitted, where that isn't when the file was last written.
        workers: How many run side by side.
    """

    isolation: Isolation
    limits: Limits
    deadline: datetime | None = None
    times: Mapping[str, datetime] | None = None
    workers: int = 1


def grade(
    assignment: Assignment,
    found: Mapping[str, Submission],
    rules: Rules,
    progress: Progress,
) -> tuple[Report, ...]:
    """Grade what students of an assignment submitted.

    Args:
        assignment: as its manifest says.
        found: submissions by student.
        rules: how.
        progress: called with one line at a time.

    Returns:
        A report for each student of the roster, in its order, whatever they submitted.
    """
    stop = threading.Event()

    def one(of: Assigned) -> Report:
        report = _report(assignment, of, found.get(of.student.id), rules, stop)
        if report.status != "missing" and not stop.is_set():
            progress(
                f"{of.student.id}: {report.points:g} of {assignment.points:g}, {report.status}, "
                f"{report.seconds:.1f} s"
            )
        return report

    with ThreadPoolExecutor(rules.workers) as workers:
        running = [workers.submit(one, of) for of in assignment.students]
        try:
            return tuple(of.result() for of in running)
        except BaseException:  # such as Ctrl-C: neither go on with these nor begin with the rest
            stop.set()
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _report(
    assignment: Assignment,
    assigned: Assigned,
    submission: Submission | None,
    rules: Rules,
    stop: threading.Event,
) -> Report:
    if submission is None:
        return Report(assigned, "missing", _marks(assignment, assigned, Outcome()))
    submitted = (rules.times or {}).get(submission.student, submission.modified)
    late = rules.deadline is not None and submitted > rules.deadline
    try:
        content = submissions.read(submission.file)
    except submissions.UnreadableError as error:
        marks = _marks(assignment, assigned, Outcome())
        notes = (f"{submission.file.name}: {error}",)
        return Report(assigned, "unreadable", marks, notes, late=late, submitted=submitted)
    names = [of.variable for of in assignment.tasks if of.id in assigned.keys]
    outcome = execution.execute(content.code, names, rules.limits, rules.isolation, stop)
    return Report(
        assigned,
        "graded" if outcome.ended == "complete" else outcome.ended,
        _marks(assignment, assigned, outcome),
        _notes(assigned, content),
        {place + 1: said for place, said in sorted(outcome.errors.items())},
        _texts(assignment, assigned, content),
        late,
        submitted,
        outcome.seconds,
    )


def _marks(assignment: Assignment, assigned: Assigned, outcome: Outcome) -> tuple[Mark, ...]:
    return tuple(_mark(task, assigned, outcome) for task in assignment.tasks)


def _mark(task: Task, assigned: Assigned, outcome: Outcome) -> Mark:
    """The verdict on one answer, by the student's own key."""
    if (key := assigned.keys.get(task.id)) is None:
        return Mark(task, None, "", "", "To be marked by hand.")
    given = outcome.answers.get(task.variable)
    if given is None or given == _UNTOUCHED:
        return Mark(task, 0.0, "", "", f"No answer: `{task.variable}` was not set.")
    if isinstance(given, str):
        return Mark(task, 0.0, given, "", "The answer is no plain number.")
    verdict = judging.judge(key, task.tolerance, given)
    points = task.points if verdict.right else 0.0
    return Mark(task, points, f"{given:.6g}", verdict.mistake or "", verdict.says)


def _notes(assigned: Assigned, content: Content) -> tuple[str, ...]:
    if content.student not in (None, assigned.student.id):
        return (f"made for another student, as its file says: {content.student[:64]!r}",)
    return ()


def _texts(assignment: Assignment, assigned: Assigned, content: Content) -> dict[str, str]:
    """What was written in answer to questions that no number answers, by exercise."""
    return {
        of.id: text
        for of in assignment.tasks
        if of.id not in assigned.keys
        and (text := content.texts.get(f"answer-{of.number}", "").strip()) not in ("", WRITE_HERE)
    }
