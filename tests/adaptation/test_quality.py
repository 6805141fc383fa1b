"""How often answers are right, over a life and at a time in it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import adaptation
from llmecon.execution.interpreter import interpreted
from tests.problems import FINDING, KNOBS, KNOWLEDGE, NEWS, OFFERS, changed

pytestmark = pytest.mark.slow


@cache
def outcomes(method: str):  # type: ignore[no-untyped-def]
    return interpreted(lambda *given: adaptation.outcome(method, *given))


def answered(method: str, case=NEWS, offers=OFFERS, knowledge=KNOWLEDGE, knobs=KNOBS):  # type: ignore[no-untyped-def]
    return outcomes(method)(case, offers, knowledge, knobs)


def test_perfect_search_and_reading_are_right_but_for_a_stale_index() -> None:
    reading = changed(KNOWLEDGE.reading, alone=1.0, distraction=0.0)
    perfect = adaptation.Knowledge(FINDING, reading, KNOWLEDGE.learning, KNOWLEDGE.adapter)
    found = answered("rag", knowledge=perfect)
    stale = 0.5 * float(NEWS.change * OFFERS.index.refresh)
    assert float(found.quality) == pytest.approx(1.0 - stale, abs=1e-8)


def test_the_mean_over_time_is_the_mean() -> None:
    """A saw of quality, integrated by hand over whole periods."""
    case = changed(NEWS, replaced=0.75 * 365.25 * 86400.0)
    times = (np.arange(60_000) + 0.5) / 60_000 * float(case.replaced)
    for method in adaptation.METHODS:
        over_time = jax.jit(
            jax.vmap(
                lambda time, method=method: adaptation.quality_at(
                    method, case, OFFERS, KNOWLEDGE, KNOBS, time
                )
            )
        )(jnp.asarray(times))
        mean = adaptation.quality_over_life(method, case, OFFERS, KNOWLEDGE, KNOBS)
        assert float(mean) == pytest.approx(float(over_time.mean()), rel=1e-4), method


def test_training_on_changes_alone_forgets_the_rest() -> None:
    without, with_all = (
        float(answered("lora", knobs=changed(KNOBS, replay=share)).quality) for share in (0.0, 1.0)
    )
    assert with_all > without + 0.05
