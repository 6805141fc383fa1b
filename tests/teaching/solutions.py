"""What the tests of exercises share: exercises, variants, and solutions executed.

As a program it executes solutions as a reader does, in a process where shapes aren't checked and a
plain number passes for an array: `python -m tests.teaching.solutions VARIANT` prints, as JSON, what
is wrong with each.
"""

import json
import sys
from typing import Any

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


def solution(of: Exercise, variant: str) -> str:
    """The code of an exercise's solution."""
    study = teaching.resolved(of.chapter, **parameters(of.chapter, variant))
    (code,) = exercises.solution_code(of, study)
    return code


def judged(of: Exercise, variant: str) -> str:
    """What is wrong with the `answer` that a solution finds; empty if nothing is."""
    given = parameters(of.chapter, variant)
    names = studies.scenario_of(of.chapter)(**given).model_dump()
    try:
        exec(compile(solution(of, variant), of.id, "exec"), names)
        verdict = teaching.check(of.id, names["answer"], **given)
    except Exception as error:  # of whatever kind: it is told, and the next one is tried
        return f"{type(error).__name__}: {error}"
    return "" if verdict.right else f"{names['answer']}: {verdict}"


if __name__ == "__main__":
    json.dump({of.id: judged(of, sys.argv[1]) for of in NUMBERED}, sys.stdout)
