"""Several cases at once: passes, operating points and rounds by programs that all charts share."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from llmecon import physics, serving
from llmecon.execution.interpreter import interpreted
from llmecon.physics import PassCost
from llmecon.serving import OperatingPoint, StaticBatch
from llmecon.studies.systems import stacked
from llmecon.studies.throughput.model import Case, point_of

TOGETHER = 24
"""Cases that one program computes at once; fewer are filled up, so that it is traced once."""


@interpreted
def _points(cases: Case) -> OperatingPoint:
    found: OperatingPoint = jax.vmap(point_of)(cases)
    return found


@interpreted
def _passes(cases: Case, new: Any, past: Any) -> PassCost:
    def one(case: Case, new: Array, past: Array) -> PassCost:
        found: PassCost = physics.forward_pass(case.instance, case.batch, new, past)
        return found

    found: PassCost = jax.vmap(one)(cases, new, past)
    return found


@interpreted
def _rounds(cases: Case) -> StaticBatch:
    def one(case: Case) -> StaticBatch:
        return serving.static_batch(case.instance, case.requests, case.batch)

    found: StaticBatch = jax.vmap(one)(cases)
    return found


def _filled(cases: Sequence[Case]) -> Case:
    assert len(cases) <= TOGETHER
    made: Case = stacked([*cases, *[cases[-1]] * (TOGETHER - len(cases))])
    return made


def _first(found: object, count: int) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf)[:count] for name, leaf in vars(found).items()}


def points(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Operating points of some cases, by field."""
    return _first(_points(_filled(cases)), len(cases))


def passes(cases: Sequence[Case], new: np.ndarray, past: np.ndarray) -> dict[str, np.ndarray]:
    """Forward passes of some cases, by field.

    Args:
        cases: with their batches.
        new: tokens of each request that a pass computes.
        past: tokens of each that are cached before it.
    """
    fill = (0, TOGETHER - len(cases))
    computed, cached = (np.pad(np.asarray(of, float), fill, "edge") for of in (new, past))
    return _first(_passes(_filled(cases), computed, cached), len(cases))


def rounds(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Rounds of static batching of some cases, by field."""
    return _first(_rounds(_filled(cases)), len(cases))


def room_of(case: Case) -> float:
    """Requests that an instance holds at once."""
    return float(_room(case))


@interpreted
def _room(case: Case) -> Array:
    return serving.largest_batch(case.instance, case.requests)
