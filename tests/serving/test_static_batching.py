"""Rounds of requests: the longest of several by simulation, and a round put together by hand."""

from functools import partial

import jax
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


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 2.0])
def test_a_round_is_that_of_drawn_answers(cv: float) -> None:
    """All prompts, then steps, each at the price of the answers that are unfinished just then."""
    batch, workload = 32, changed(CHAT, output_cv=cv)
    counts = jnp.arange(1.0, batch + 1.0)
    of = partial(serving.operating_point, Instance(DENSE, H100, SINGLE, EFFICIENCY), workload)
    points = interpreted(jax.vmap(of))(counts)
    spread = np.sqrt(np.log1p(cv**2))
    lengths = 300.0 * np.random.default_rng(0).lognormal(-0.5 * spread**2, spread, (4000, batch))
    ends = np.sort(lengths, axis=1)
    waits = np.diff(ends, axis=1, prepend=0.0)
    steps = (waits * np.asarray(points.step)[::-1]).sum(axis=1).mean()
    found = rounds(Instance(DENSE, H100, SINGLE, EFFICIENCY), workload, float(batch))
    prompts = float(points.prefill[0]) + (batch - 1.0) * float(points.chunked_prefill[0])
    assert float(found.seconds) == pytest.approx(prompts + steps, rel=0.02)
    assert float(found.steps) == pytest.approx(ends[:, -1].mean(), rel=0.03)
    assert float(found.alive) == pytest.approx(lengths.mean() / ends[:, -1].mean(), rel=0.03)
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
