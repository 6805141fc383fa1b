"""What the tests of exercises share: exercises, variants, and solutions executed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jaxtyping

from llmecon import paths, studies, teaching
from llmecon.publishing import exercises, scenario
from llmecon.teaching.checking import CHAPTERS
from llmecon.teaching.records import Exercise

EXERCISES = [of for chapter in CHAPTERS for of in teaching.exercises(chapter)]
NUMBERED = [of for of in EXERCISES if of.key]

VARIANTS = ("defaults", "a student's", "mixture")
"""Sets of parameters: the last is that of a whole book, with a mixture of experts."""


def parameters(chapter: str, variant: str) -> dict[str, Any]:
    """The parameters of a variant."""
    if variant == "a student's":
        return dict(teaching.vary(chapter, 1, "Ada Lovelace"))
    if variant == "mixture":
        of = scenario.chapter(chapter)
        return dict(
            scenario.validate(of, scenario.load(paths.BOOK / "parameters/mixture.yaml").values(of))
        )
    return {}


@cache
def solution(of: Exercise, variant: str) -> str:
    """The code of an exercise's solution."""
    study = teaching.resolved(of.chapter, **parameters(of.chapter, variant))
    (code,) = exercises.solution_code(of, study)
    return code


def verdict(of: Exercise, variant: str) -> teaching.Verdict:
    """What the check says of the `answer` that a solution finds, executed as a reader does."""
    given = parameters(of.chapter, variant)
    names = studies.scenario_of(of.chapter)(**given).model_dump()
    with shapes_unchecked():
        exec(compile(solution(of, variant), of.id, "exec"), names)
    # A notebook calls it in the next cell.
    assert "check" not in names
    return teaching.check(of.id, names["answer"], **given)


@contextmanager
def shapes_unchecked() -> Iterator[None]:
    """As outside of tests, where a plain number passes for an array."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
