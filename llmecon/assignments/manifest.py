"""What grading has to know of an assignment: who got which numbers, and what is right for them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmecon import inputs
from llmecon.assignments.roster import Student
from llmecon.errors import InputError
from llmecon.studies.parameters import Value
from llmecon.teaching import judging
from llmecon.teaching.records import Key, Mistake

FOLDER = "instructor"
"""Where the manifest lies in the folder of an assignment; not for students."""

FILE = "manifest.json"

WRITE_HERE = "*Write your answer here.*"
"""What stands where a person's words are asked for, until they are written."""

_FORMAT = 1


@dataclass(frozen=True)
class Task:
    """An exercise, as it is graded.

    Args:
        id: Such as `xpu-needs-3`.
        title: A few words.
        kind: What it takes, such as `paper`.
        unit: Of the answer; empty where it has none.
        tolerance: Relative.
        points: For the right number; 0 where there is no number, and a person marks it.
    """

    id: str
    title: str
    kind: str
    unit: str
    tolerance: float
    points: float

    @property
    def number(self) -> str:
        """Its place among the exercises of its chapter."""
        return self.id.rpartition("-")[2]

    @property
    def variable(self) -> str:
        """What the answer is called in a notebook."""
        return f"answer_{self.number}"


@dataclass(frozen=True)
class Assigned:
    """What one student got.

    Args:
        student: Who.
        parameters: The student's own, of the chapter's.
        keys: By exercise, of those that a number answers.
        rubrics: By exercise, of the others, in Markdown.
    """

    student: Student
    parameters: Mapping[str, Value]
    keys: Mapping[str, Key]
    rubrics: Mapping[str, str]


@dataclass(frozen=True)
class Assignment:
    """A chapter's exercises for the students of a roster.

    Args:
        chapter: Its name on the command line.
        title: Its heading.
        seed: What the students' numbers were drawn with.
        version: Of llmecon, which computed the keys.
        tasks: In the chapter's order.
        students: In the roster's order.
    """

    chapter: str
    title: str
    seed: int
    version: str
    tasks: tuple[Task, ...]
    students: tuple[Assigned, ...]

    @property
    def points(self) -> float:
        """What the numbers give in all."""
        return sum(of.points for of in self.tasks)


def write(of: Assignment, folder: Path) -> None:
    """Write an assignment's manifest into a folder."""
    content = {"format": _FORMAT} | asdict(of)
    for student, assigned in zip(content["students"], of.students, strict=True):
        for name, key in assigned.keys.items():
            # JSON has no NaN, which is what mistakes that can't be made lead to.
            student["keys"][name] = {
                "answer": key.answer,
                "mistakes": [asdict(mistake) for mistake in judging.possible(key)],
            }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read(folder: Path) -> Assignment:
    """Read the manifest of an assignment.

    Args:
        folder: The assignment's, which `llmecon assignment` wrote.

    Raises:
        InputError: there is none in it, or it isn't whole.
    """
    file = folder / FOLDER / FILE
    if not file.is_file():
        raise InputError(
            f"{folder}: holds no {FOLDER}/{FILE}; name the folder that `llmecon assignment` wrote "
            "with --assignment"
        )
    try:
        content = json.loads(inputs.text(file, "a manifest"))
        if content["format"] != _FORMAT:
            raise InputError(f"{file}: of another version of llmecon ({content['version']})")
        return Assignment(
            chapter=content["chapter"],
            title=content["title"],
            seed=content["seed"],
            version=content["version"],
            tasks=tuple(Task(**of) for of in content["tasks"]),
            students=tuple(_assigned(of) for of in content["students"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: is not whole; make the assignment again with its seed") from None


def _assigned(of: Mapping[str, Any]) -> Assigned:
    keys = {
        name: Key(key["answer"], tuple(Mistake(**mistake) for mistake in key["mistakes"]))
        for name, key in of["keys"].items()
    }
    return Assigned(Student(**of["student"]), of["parameters"], keys, of["rubrics"])
