"""How far an input of a choice must move until other accelerators win."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from llmecon import choice
from llmecon.choice import Clash, Plan
from llmecon.choice.description import Problem, problem
from llmecon.choice.filling import EngineName
from llmecon.errors import InputError

# Factors that are tried in turn until another configuration wins, and digits of the one that does.
TRIED = (1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.0, 3.0, 4.0)
SWITCH_SHARE = 1e-4


@dataclass(frozen=True)
class Switch:
    """Where another configuration wins.

    Attributes:
        factor: on the value; None if none of those tried makes a difference.
        value: at which it does; None likewise.
        before: engines in use up to there.
        after: engines in use beyond; none where nothing serves all requests any more.
    """

    factor: float | None
    value: float | None
    before: tuple[EngineName, ...]
    after: tuple[EngineName, ...]


def switch(
    problem: Problem,
    path: Sequence[str | int],
    towards: Literal["more", "less"],
    begun: Plan | None = None,
) -> Switch:
    """How far one number of a description moves before another configuration wins.

    Args:
        problem: the description.
        path: to the number, such as ("buckets", 0, "tpot") or ("caps", "kw").
        towards: larger or smaller values.
        begun: the best fleet in parts as it is, if that is known already.

    Returns:
        The nearest switch among factors up to 4 either way. A configuration that wins between two
        of those tried, and nowhere at them, is passed over.

    Raises:
        InputError: there is no such number, or nothing serves all requests as it is.
    """
    start = _engines(begun or choice.best_in_parts(problem))
    if not start:
        raise InputError("nothing serves all requests within these limits; see choice.best")
    value = _at(problem, path)

    def used(by: float, among: Problem = problem) -> tuple[EngineName, ...]:
        return _engines(choice.best_in_parts(_with(among, path, value * float(np.exp(by)))))

    sign = 1.0 if towards == "more" else -1.0
    low = 0.0
    for factor in TRIED:
        high = sign * float(np.log(factor))
        after = used(high)
        if after != start:
            break
        low = high
    else:
        return Switch(None, None, start, start)

    # Most of the way only the engines of both sides are looked at, which is quicker. Where a third
    # configuration wins between them, all are looked at from there on.
    few = _among(problem, {*start, *after})
    near, far = _halved(low, high, lambda by: used(by, few) == start)
    for by in (far, near):
        if min(low, high) < by < max(low, high):
            found = used(by)
            low, high, after = (by, high, after) if found == start else (low, by, found)
    low, high = _halved(low, high, lambda by: used(by) == start)
    after = after if high in (far, near) else used(high)
    factor = float(np.exp(0.5 * (low + high)))
    return Switch(factor, value * factor, start, after)


def _halved(low: float, high: float, before: Callable[[float], bool]) -> tuple[float, float]:
    """The places between which a switch lies, near each other."""
    while abs(high - low) > SWITCH_SHARE:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if before(middle) else (low, middle)
    return low, high


def _among(problem: Problem, engines: Set[EngineName]) -> Problem:
    """The description with no other engines to choose from than some, and their combinations."""

    def used(name: str) -> tuple[Any, ...]:
        return tuple(sorted({getattr(engine, name) for engine in engines}))

    choices = problem.choices.model_copy(
        update={
            "xpus": used("xpu"),
            "precisions": used("precision"),
            "tensor": used("tensor"),
            "expert": used("expert"),
            "pipeline": used("pipeline"),
            "disaggregated": used("role") != ("whole",),
        }
    )
    return problem.model_copy(update={"choices": choices})


def _engines(found: Plan | Clash) -> tuple[EngineName, ...]:
    """Engines in use; none where nothing serves all requests."""
    pools = () if isinstance(found, Clash) else found.pools
    return tuple(dict.fromkeys(pool.engine for pool in pools))


def _at(problem: Problem, path: Sequence[str | int]) -> float:
    place: Any = problem.model_dump()
    try:
        for part in path:
            place = place[part]
    except (KeyError, IndexError, TypeError):
        place = None
    if not isinstance(place, int | float) or isinstance(place, bool):
        raise InputError(f"{'.'.join(map(str, path))} is no number of the description")
    return float(place)


def _with(of: Problem, path: Sequence[str | int], value: float) -> Problem:
    description = of.model_dump()
    place: Any = description
    for part in path[:-1]:
        # Tuples can't be changed in place.
        if isinstance(place[part], tuple):
            place[part] = list(place[part])
        place = place[part]
    place[path[-1]] = value
    return problem(description)
