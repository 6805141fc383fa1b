"""A chapter's quiz: questions with choices, and for each wrong one why it is wrong.

Questions are data, `notebooks/prose/exercises/CHAPTER_quiz.yaml`, in which the language of the
templates fills in numbers. The page judges by itself (`book/_static/exercises.js`); where no script
runs, the answers are there to be unfolded.
"""

import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from llmecon import inputs, paths
from llmecon.errors import InputError
from llmecon.publishing import prose
from llmecon.publishing.exercises import FOLDER, coded

QUESTIONS = 5
"""Of a chapter's quiz."""

SAYS = {"right": "Right.", "wrong": "No.", "none": "Choose an answer first."}
"""What is said before, or without, the reason of a choice."""


class Choice(pydantic.BaseModel):
    """A choice of a question.

    Attributes:
        says: the choice, a few words of plain text.
        right: whether it is the right one.
        why: why it is wrong; of the right one why it is right, which may be left out.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    says: str = pydantic.Field(min_length=1)
    right: bool = False
    why: str = ""

    @pydantic.model_validator(mode="after")
    def _explained(self) -> "Choice":
        if not (self.right or self.why):
            raise ValueError(f"a wrong choice says why it is wrong: {self.says}")
        return self


class Question(pydantic.BaseModel):
    """A question of a quiz.

    Attributes:
        question: a sentence or two of plain text.
        choices: three to five, of which one is right.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    question: str = pydantic.Field(min_length=1)
    choices: tuple[Choice, ...] = pydantic.Field(min_length=3, max_length=5)

    @pydantic.model_validator(mode="after")
    def _one_right(self) -> "Question":
        if sum(choice.right for choice in self.choices) != 1:
            raise ValueError(f"one choice is right: {self.question}")
        if len({choice.says for choice in self.choices}) < len(self.choices):
            raise ValueError(f"two choices say the same: {self.question}")
        return self

    @property
    def right(self) -> Choice:
        """The right choice."""
        return next(choice for choice in self.choices if choice.right)


@dataclass(frozen=True)
class Quiz:
    """A quiz as a notebook shows it.

    Args:
        chapter: The chapter's name on the command line.
        questions: As a reader sees them.
    """

    chapter: str
    questions: Sequence[Question]

    @property
    def markup(self) -> str:
        """HTML that needs nothing but itself; the site's script brings it to life."""
        asked = "".join(self._asked(place, of) for place, of in enumerate(self.questions, 1))
        answers = "".join(f"<li>{_escaped(_answer(of))}</li>" for of in self.questions)
        return (
            f'<div class="llmecon-quiz" role="group" aria-label="Quiz">{asked}'
            '<details class="llmecon-solution"><summary>All answers</summary>'
            f"<ol>{answers}</ol></details></div>"
        )

    def _asked(self, place: int, of: Question) -> str:
        name = f"{self.chapter}-quiz-{place}"
        choices = "".join(
            f'<label><input type="radio" name="{name}" value="{i}">'
            f"<span>{_escaped(choice.says)}</span></label>"
            for i, choice in enumerate(of.choices)
        )
        judged = {"choices": [[c.right, c.why] for c in of.choices], "says": SAYS}
        return (
            f'<form class="llmecon-answer" data-key="{coded(judged)}"><fieldset>'
            f"<legend>{place}. {_escaped(of.question)}</legend>{choices}</fieldset>"
            '<button type="submit" hidden>Check</button>'
            '<p class="llmecon-verdict" role="status"></p></form>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        lines = []
        for place, of in enumerate(self.questions, 1):
            lines += [f"{place}. {of.question}", *(f"   - {choice.says}" for choice in of.choices)]
        answers = [f"{place}. {_answer(of)}" for place, of in enumerate(self.questions, 1)]
        return {
            "text/html": self.markup,
            "text/plain": "\n".join([*lines, "", "Answers:", *answers]),
        }


def quiz(chapter: str, study: Any) -> Quiz:
    """A chapter's quiz with its numbers filled in; a notebook shows what this returns.

    Args:
        chapter: its name on the command line.
        study: the chapter's.

    Raises:
        InputError: the chapter has no quiz, or its file isn't one.
    """
    return Quiz(chapter, [_filled(of, study) for of in read(chapter)])


def read(chapter: str) -> tuple[Question, ...]:
    """The questions of a chapter's quiz as they stand in its file.

    Args:
        chapter: its name on the command line.

    Raises:
        InputError: there is no such file, or it doesn't hold a quiz.
    """
    name = f"{chapter.replace('-', '_')}_quiz.yaml"
    file = paths.NOTEBOOKS / "prose" / FOLDER / name
    content = inputs.read_yaml(file)
    try:
        found = pydantic.TypeAdapter(tuple[Question, ...]).validate_python(content)
    except pydantic.ValidationError as invalid:
        told = "; ".join(f"{'.'.join(map(str, of['loc']))}: {of['msg']}" for of in invalid.errors())
        raise InputError(f"{name}: {told}") from None
    if len(found) != QUESTIONS:
        raise InputError(f"{name}: a quiz has {QUESTIONS} questions, and this has {len(found)}")
    return found


def _filled(of: Question, study: Any) -> Question:
    def fill(text: str) -> str:
        return prose.filled(text, study=study)

    # In an order that neither an author's habits nor the numbers set.
    ordered = sorted(of.choices, key=lambda choice: hashlib.sha256(choice.says.encode()).digest())
    choices = tuple(
        Choice(says=fill(choice.says), right=choice.right, why=fill(choice.why))
        for choice in ordered
    )
    return Question(question=fill(of.question), choices=choices)


def _answer(of: Question) -> str:
    end = "" if of.right.says.endswith(".") else "."
    return f"{of.right.says}{end} {of.right.why}".strip()


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
