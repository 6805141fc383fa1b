"""Exercises by chapter and by id, and the check of an answer."""

import importlib
import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import pydantic

from llmecon import inputs, studies
from llmecon.errors import InputError
from llmecon.studies.parameters import Scenario, Value
from llmecon.teaching import chapters, judging
from llmecon.teaching.records import Exercise, Key, Verdict

CHAPTERS = tuple(
    sorted(of.name.replace("_", "-") for of in pkgutil.iter_modules(chapters.__path__))
)
"""Chapters that have exercises, by their name on the command line: one module each."""


def module(chapter: str) -> ModuleType:
    """The module that holds a chapter's exercises.

    Args:
        chapter: one of `CHAPTERS`.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if chapter not in CHAPTERS:
        raise InputError(
            f"{inputs.shown(chapter)} is no chapter with exercises; "
            f"{inputs.nearest(chapter, CHAPTERS)}they are {', '.join(CHAPTERS)}"
        )
    return importlib.import_module(f"{chapters.__name__}.{chapter.replace('-', '_')}")


def exercises(chapter: str) -> tuple[Exercise, ...]:
    """The exercises of a chapter, in its order.

    Args:
        chapter: its name on the command line, such as `xpu-needs`.

    Returns:
        Exercises numbered from 1.

    Raises:
        InputError: there is no such chapter, or it has none.
    """
    found: tuple[Exercise, ...] = module(chapter).EXERCISES
    return found


def exercise(identifier: str) -> Exercise:
    """An exercise by its id.

    Args:
        identifier: such as `xpu-needs-3`.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    known = {of.id: of for chapter in CHAPTERS for of in exercises(chapter)}
    if identifier not in known:
        raise InputError(
            f"{inputs.shown(identifier)} is no exercise; {inputs.nearest(identifier, [*known])}"
            "llmecon.teaching.exercises(CHAPTER) lists those of a chapter"
        )
    return known[identifier]


def check(identifier: str, answer: Any, /, **parameters: Value) -> Verdict:
    """Check an answer to an exercise.

    Args:
        identifier: the exercise's, such as `xpu-needs-3`.
        answer: a number, in the exercise's unit.
        **parameters: those of the chapter that differ from its defaults.

    Returns:
        Whether it is right and, if not, the mistake that it looks like.

    Raises:
        InputError: no such exercise, one that no number answers, an answer that is no number, or
            parameters that aren't allowed or under which there is no answer.
    """
    of = exercise(identifier)
    given = _number(of, answer)
    key = key_of(of, resolved(of.chapter, **parameters))
    return judging.judge(key, of.tolerance, given)


def computed_key(exercise: Exercise, study: Any) -> Key | None:
    """The key of an exercise for a study, whether or not it has an answer there.

    It is computed once for whoever asks: a box, a solution and a check of the same study.

    Args:
        exercise: of the study's chapter.
        study: the chapter's.

    Returns:
        The key, with NaN for an answer that there isn't; `None` where no number answers.
    """
    if exercise.key is None:
        return None
    at = exercise, id(study)
    if at not in _keys:
        _keys[at] = study, exercise.key(study)
    return _keys[at][1]


# Studies hold arrays, which can't be hashed. Each is kept with its key, so that its identity stays
# its own.
_keys: dict[tuple[Exercise, int], tuple[Any, Key]] = {}


def key_of(exercise: Exercise, study: Any) -> Key:
    """The key of an exercise for a study.

    Args:
        exercise: one that a number answers.
        study: of its chapter.

    Raises:
        InputError: the exercise has no number for its answer, or not under these parameters.
    """
    key = computed_key(exercise, study)
    if key is None:
        raise InputError(f"{exercise.id} has no number for its answer: its rubric judges it")
    if not math.isfinite(key.answer) or key.answer == 0.0:
        raise InputError(f"{exercise.id} has no answer under these parameters: change them")
    return key


def declared(chapter: str) -> type[Scenario]:
    """What may be set in a chapter that has exercises.

    Args:
        chapter: its name on the command line.

    Raises:
        InputError: the chapter has no exercises.
    """
    module(chapter)
    return studies.scenario_of(chapter)


def resolved(chapter: str, /, **parameters: Value) -> Any:
    """A chapter's study of a scenario, looked up once.

    Args:
        chapter: its name on the command line.
        **parameters: those that differ from its defaults.

    Raises:
        InputError: a parameter that there isn't, or a value that isn't allowed.
    """
    return _study(_scenario(chapter, parameters))


def _scenario(chapter: str, parameters: Mapping[str, Value]) -> Scenario:
    known = declared(chapter)
    for name in parameters:
        if name not in known.model_fields:
            raise InputError(
                f"{chapter} has no parameter {inputs.shown(name)}; "
                f"{inputs.nearest(name, [*known.model_fields])}"
                "list them with: llmecon chapters"
            )
    try:
        return known(**parameters)
    except pydantic.ValidationError as invalid:
        raise InputError("; ".join(_refused(of) for of in invalid.errors())) from None


@cache
def _study(scenario: Scenario) -> Any:
    return studies.module(scenario.chapter, "study").resolve(scenario)


def _refused(error: Mapping[str, Any]) -> str:
    name = ".".join(map(str, error["loc"]))
    return f"{name}: {inputs.shown(error['input'])} is refused: {error['msg']}"


def _number(exercise: Exercise, answer: Any) -> float:
    wanted = f"{exercise.id} takes a number{f' [{exercise.unit}]' if exercise.unit else ''}"
    example = ", such as 1200 or 1.2e3"
    if isinstance(answer, bool | bytes | bytearray):
        raise InputError(f"{wanted}{example}, and this is {inputs.shown(answer)}")
    try:
        found = float(answer)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{wanted}{example}, and this is {inputs.shown(answer)}") from None
    if not math.isfinite(found):
        raise InputError(f"{wanted} that is finite, and this is {inputs.shown(answer)}")
    return found
