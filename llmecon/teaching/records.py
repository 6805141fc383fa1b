"""What an exercise is, what its key holds, and what is said of an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["recall", "paper", "code", "panel", "open"]
"""What an exercise takes: memory, pencil and paper, a few lines of code, the live panel, prose."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds, from the quickest on."""


@dataclass(frozen=True)
class Mistake:
    """A likely slip, and what it leads to.

    Args:
        name: A slug, such as `prompt-forgotten`.
        says: One sentence that names the slip and doesn't give the answer away.
        value: The answer with that slip made, in the exercise's unit; not finite where the slip
            can't be made.
    """

    name: str
    says: str
    value: float


@dataclass(frozen=True)
class Key:
    """The answer of an exercise for one study.

    Args:
        answer: In the exercise's unit.
        mistakes: Likely slips, each with the value that it leads to.
        facts: Other numbers that the question and the solution speak of, by name.
    """

    answer: float
    mistakes: tuple[Mistake, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter; its words stand in `notebooks/prose/exercises`.

    Args:
        id: The chapter and a number, such as `xpu-needs-3`.
        chapter: The chapter's name on the command line.
        title: A few words.
        kind: What it takes.
        minutes: How long it takes a reader of the chapter.
        unit: Of the answer, as `words.quantity` takes it.
        tolerance: Relative; how far from the key an answer is still right.
        key: The answer and likely mistakes, from the chapter's study; None where the answer is
            no number, and is judged by a rubric.
    """

    id: str
    chapter: str
    title: str
    kind: Kind
    minutes: int
    unit: str = ""
    tolerance: float = 0.0
    key: Callable[[Any], Key] | None = None

    @property
    def number(self) -> int:
        """Its place among the exercises of its chapter, from 1."""
        return int(self.id.rpartition("-")[2])


@dataclass(frozen=True, repr=False)
class Verdict:
    """What is said of an answer.

    Args:
        right: Whether it lies within the tolerance of the key.
        mistake: The name of the slip that it looks like; several, joined by commas, where the
            answer doesn't tell them apart; None where it is right or looks like none.
        says: The verdict in words.
    """

    right: bool
    mistake: str | None
    says: str

    def __repr__(self) -> str:
        return self.says

    def _repr_markdown_(self) -> str:
        first, _, rest = self.says.partition(". ")
        return f"**{first.removesuffix('.')}.** {rest}".strip()
