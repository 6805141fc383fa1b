"""Rounds of requests: the longest of several by simulation, and a round put together by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.execution.interpreter import interpreted
from llmecon.serving import longest_of, static_batch
from llmecon.specs import Instance
from tests.problems import CHAT, DENSE, EFFICIENCY, SINGLE, catalog, changed

H100 = catalog.xpu("h100-sxm")
rounds = interpreted(static_batch)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 2.0])
def test_the_longest_of_one_is_the_mean(cv: float) -> None:
    assert float(longest_of(jnp.asarray(1.0), jnp.asarray(cv))) == pytest.approx(1.0, rel=0.01)


def test_the_longest_of_equals_is_as_long() -> None:
    assert float(longest_of(jnp.asarray(500.0), jnp.asarray(0.0))) == pytest.approx(1.0)


@pytest.mark.parametrize(("count", "cv"), [(4, 0.5), (16, 1.0), (64, 1.0), (64, 2.0), (500, 1.0)])
def test_the_longest_is_that_of_draws(count: int, cv: float) -> None:
    random = np.random.default_rng(0)
    spread = np.sqrt(np.log1p(cv**2))
    drawn = random.lognormal(-0.5 * spread**2, spread, (20_000, count)).max(axis=1)
    found = float(longest_of(jnp.asarray(float(count)), jnp.asarray(cv)))
    assert found == pytest.approx(drawn.mean(), rel=0.02)


def test_a_round_by_hand() -> None:
    """All prompts, then as many steps as the longest answer has tokens, at the mean still alive."""
    batch = 32.0
    found = rounds(Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, batch)
    longest = float(longest_of(jnp.asarray(batch), CHAT.output_cv))
    point = interpreted(serving.operating_point)(
        Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, batch / longest
    )
    prompts = float(point.prefill) + (batch - 1.0) * float(point.chunked_prefill)
    steps = 300.0 * longest
    assert float(found.steps) == pytest.approx(steps)
    assert float(found.alive) == pytest.approx(1.0 / longest)
    assert float(found.seconds) == pytest.approx(prompts + steps * float(point.step))
    assert float(found.rate) == pytest.approx(batch / float(found.seconds))


def test_a_round_of_one_is_a_request_alone() -> None:
    """One prompt with nothing in its way, then one step for each token of the answer."""
    point = interpreted(serving.operating_point)(
        Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, 1e-3
    )
    alone = float(rounds(Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, 1.0).seconds)
    step = interpreted(serving.operating_point)(
        Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, 1.0
    ).step
    assert alone == pytest.approx(float(point.prefill) + 300.0 * float(step), rel=0.02)


def test_equal_answers_lose_little_by_rounds() -> None:
    equal = changed(CHAT, output_cv=0.0)
    batch = 32.0
    together = float(rounds(Instance(DENSE, H100, SINGLE, EFFICIENCY), equal, batch).rate)
    continuous = float(
        interpreted(serving.operating_point)(
            Instance(DENSE, H100, SINGLE, EFFICIENCY), equal, batch
        ).rate
    )
    assert together == pytest.approx(continuous, rel=0.15)
    uneven = changed(CHAT, output_cv=2.0)
    assert float(rounds(Instance(DENSE, H100, SINGLE, EFFICIENCY), uneven, batch).alive) < 0.2
