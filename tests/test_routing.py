"""Routers between chance and the oracle, against published counts and points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import catalog, routing
from tests.problems import floats


def pair_of(identifier: str) -> routing.Pair:
    of = catalog.row("router_pairs", identifier)
    return routing.Pair(
        gains=of["only_strong"] / of["questions"],
        losses=of["only_weak"] / of["questions"],
        weak=(of["both"] + of["only_weak"]) / of["questions"],
    )


GSM8K, MMLU = pair_of("gpt-4-mixtral-gsm8k"), pair_of("gpt-4-mixtral-mmlu")
SHARES = np.linspace(0.02, 0.98, 25)
# Compiled once for all tests.
along = eqx.filter_jit(jax.vmap(routing.recovered, (0, None, None)))
fitted = eqx.filter_jit(routing.fitted_skill)


def test_the_oracle_by_hand() -> None:
    """GSM8K: 383 of 1,319 questions gain and 95 lose; either model is right on 92.9%."""
    best = routing.oracle(GSM8K)
    assert best.strong_share == pytest.approx(383 / 1319)
    assert best.recovered == pytest.approx(383 / (383 - 95))
    assert routing.quality(best.recovered, GSM8K) == pytest.approx(0.929, abs=5e-4)
    assert GSM8K.strong == pytest.approx(0.8567, abs=5e-4)


def test_chance_recovers_what_it_sends() -> None:
    assert np.asarray(along(jnp.asarray(SHARES), *floats(0.0), MMLU)) == pytest.approx(
        SHARES, abs=1e-6
    )


def test_unlimited_skill_is_the_oracle() -> None:
    best = routing.oracle(MMLU)
    found = routing.route(jnp.asarray(10.0), jnp.asarray(20.0), MMLU)
    assert found.strong_share == pytest.approx(float(best.strong_share), abs=1e-6)
    assert found.recovered == pytest.approx(float(best.recovered), abs=1e-6)


@pytest.mark.parametrize("skill", [0.2, 0.6, 1.5, 4.0])
def test_a_curve_lies_between_chance_and_the_oracle(skill: float) -> None:
    curve = np.asarray(along(jnp.asarray(SHARES), jnp.asarray(skill), GSM8K))
    assert np.all(curve >= SHARES - 1e-9)
    assert np.all(curve <= float(routing.oracle(GSM8K).recovered) + 1e-9)
    # A concave curve: the best requests are sent first.
    assert np.all(np.diff(curve, 2) < 1e-9)


def test_more_skill_recovers_more() -> None:
    at = [
        float(along(jnp.asarray([0.3]), jnp.asarray(skill), GSM8K)[0])
        for skill in (0.0, 0.3, 1.0, 3.0)
    ]
    assert at == sorted(at)


@pytest.mark.parametrize("benchmark", ["mmlu", "gsm8k"])
def test_published_routers_are_fitted(benchmark: str) -> None:
    """Two points a router: one skill passes within a few hundredths of both."""
    pair = {"mmlu": MMLU, "gsm8k": GSM8K}[benchmark]
    points = catalog.table("routers")
    points = points[points["pair"] == f"gpt-4-mixtral-{benchmark}"]
    points = points[points["router"] != "oracle"]
    for _, of in points.groupby(["router", points["training"].fillna("")]):
        shares, closed = (jnp.asarray(of[c].to_numpy()) for c in ("strong_share", "recovered"))
        skill = fitted(shares, closed, pair)
        found = along(shares, skill, pair)
        assert 0.0 <= skill < 1.5
        better = bool(jnp.all(closed >= shares - 0.01))
        assert jnp.max(jnp.abs(found - closed)) < (0.06 if better else 0.12)


def test_the_best_share_under_a_floor_is_the_grids() -> None:
    """The least share that keeps 95% of the strong model's quality, by root and by grid."""
    floor = 0.95 * float(GSM8K.strong)
    fine = jnp.linspace(0.01, 0.99, 9801)
    reached = along(fine, jnp.asarray(1.0), GSM8K)
    by_grid = float(fine[jnp.argmax(routing.quality(reached, GSM8K) >= floor)])
    found = routing.share_for(jnp.asarray(floor), jnp.asarray(1.0), GSM8K)
    assert found == pytest.approx(by_grid, abs=2e-4)
