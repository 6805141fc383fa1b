"""The notebooks of an assignment: a student's, to fill in, and the one with worked solutions."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nbformat

from llmecon.assignments.manifest import WRITE_HERE
from llmecon.assignments.roster import Student
from llmecon.publishing import exercises, prose, scenario
from llmecon.studies.parameters import Value
from llmecon.teaching.records import Exercise, Key
from llmecon.words import count

# A link to a place on the chapter's page leads nowhere from here.
_ON_THE_PAGE = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

_HOW = """\
Some numbers in these exercises are yours alone. For each exercise replace `...` by your answer, a
plain number in the unit named beside it; the cell below says whether it is right. Before you hand
the notebook in, run all of its cells from the top. Keep the names of the answers, and the first
cell as it is: you are graded by the numbers that you were given. Where a question speaks of the
chapter or its panel, that is the page of the book with this title, set to your numbers."""


@dataclass(frozen=True)
class Part:
    """An exercise in a student's numbers.

    Args:
        exercise: The exercise.
        key: Its answer; None where it is no number.
        question: In Markdown.
        solution: In Markdown; the rubric, where there is no number.
    """

    exercise: Exercise
    key: Key | None
    question: str
    solution: str


def part(of: Exercise, key: Key | None, study: Any) -> Part:
    """An exercise with its words filled in.

    Args:
        of: the exercise.
        key: its answer for the study; None where it is no number.
        study: of the student's parameters.
    """

    def text(block: str) -> str:
        facts = {"study": study, "key": key, "exercise": of}
        name = f"{block}_{of.number}"
        made: str = prose.fill(of.chapter, name, exercises.FOLDER, **facts)
        return _ON_THE_PAGE.sub(r"\1", made)

    return Part(of, key, text("question"), text("solution"))


def for_student(
    chapter: scenario.Chapter,
    student: Student,
    parameters: Mapping[str, Value],
    parts: Sequence[Part],
) -> str:
    """The notebook that a student fills in, as the text of its file.

    Args:
        chapter: the exercises' chapter.
        student: whose it is.
        parameters: the student's own.
        parts: the exercises in the student's numbers.
    """
    cells = [*_head(chapter, student, parameters, _HOW)]
    for of in parts:
        number = of.exercise.number
        cells.append(_text(f"question-{number}", f"{_heading(of.exercise)}\n\n{of.question}"))
        if of.key is None:
            cells.append(_text(f"rubric-{number}", f"A person marks this:\n\n{of.solution}"))
            cells.append(_text(f"answer-{number}", WRITE_HERE))
            continue
        unit = f"  # {of.exercise.unit}" if of.exercise.unit else ""
        cells.append(_code(f"answer-{number}", f"answer_{number} = ...{unit}"))
        check = f'check("{of.exercise.id}", answer_{number}, **my_parameters)'
        cells.append(_code(f"check-{number}", check))
    return _written(cells, {"chapter": chapter.slug, "student": student.id})


def with_solutions(
    chapter: scenario.Chapter,
    student: Student,
    parameters: Mapping[str, Value],
    parts: Sequence[Part],
) -> str:
    """The same with what a student is to find out; arguments as in `for_student`."""
    cells = [*_head(chapter, student, parameters, "**Worked solutions: not for students.**")]
    for of in parts:
        number = of.exercise.number
        cells.append(_text(f"question-{number}", f"{_heading(of.exercise)}\n\n{of.question}"))
        for place, (words, code) in enumerate(_pieces(of.solution)):
            if words:
                cells.append(_text(f"solution-{number}-{place}", words))
            if code:
                cells.append(_code(f"code-{number}-{place}", code))
        if of.key is not None:
            cells.append(_code(f"answer-{number}", f"answer_{number} = {of.key.answer!r}"))
            check = f'check("{of.exercise.id}", answer_{number}, **my_parameters)'
            cells.append(_code(f"check-{number}", check))
    return _written(cells, {"chapter": chapter.slug, "student": student.id})


def _head(
    chapter: scenario.Chapter, student: Student, parameters: Mapping[str, Value], said: str
) -> Iterator[Any]:
    declared = [
        replace(of, default=parameters.get(of.name, of.default)) for of in chapter.parameters
    ]
    name = html.escape(student.name, quote=False)
    yield _text("title", f"# Exercises: {chapter.title}\n\n**{name}** ({student.id})\n\n{said}")
    yield _code("parameters", scenario.cell(declared), tags=["parameters"])
    own = "".join(f'    "{of}": {of},\n' for of in parameters)
    yield _code("start", f"from llmecon.teaching import check\n\nmy_parameters = {{\n{own}}}")


def _heading(of: Exercise) -> str:
    kind = exercises.KINDS[of.kind]
    return f"## Exercise {of.number}: {of.title}\n\n*{kind}, about {count(of.minutes, 'minute')}*"


def _pieces(solution: str) -> Iterator[tuple[str, str]]:
    """Words and the code that follows them."""
    found = re.split(r"^```python\n(.*?)^```$", solution, flags=re.MULTILINE | re.DOTALL)
    for words, code in zip(found[::2], [*found[1::2], ""], strict=True):
        yield words.strip(), code.strip()


def _text(name: str, source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=name)


def _code(name: str, source: str, tags: Sequence[str] = ()) -> Any:
    metadata = {"tags": [*tags]} if tags else {}
    return nbformat.v4.new_code_cell(source, id=name, metadata=metadata)


def _written(cells: Sequence[Any], about: Mapping[str, str]) -> str:
    metadata = {"kernelspec": _KERNEL, "llmecon": dict(about)}
    made = nbformat.v4.new_notebook(cells=[*cells], metadata=metadata)
    nbformat.validate(made)
    text: str = nbformat.writes(made)
    return f"{text}\n"
