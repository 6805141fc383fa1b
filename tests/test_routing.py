"""Routers between chance and the oracle, against published counts and points."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import catalog, numerics, routing
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


def test_the_unrolled_share_is_the_solvers() -> None:
    floors = jnp.linspace(float(GSM8K.weak) + 0.01, float(GSM8K.strong) - 0.01, 21)
    by_loop, by_steps = (
        jax.jit(jax.vmap(partial(routing.share_for, solve=solve), (0, None, None)))(
            floors, *floats(0.8), GSM8K
        )
        for solve in (numerics.solve_increasing, numerics.solve_unrolled)
    )
    assert np.asarray(by_steps) == pytest.approx(np.asarray(by_loop), abs=1e-6)
    assert 0.0 < float(by_loop[0]) < float(by_loop[-1]) < 1.0


def test_overlap_by_hand() -> None:
    """GSM8K: 95 losses where independent failures would make 842 x 189 / 1,319 = 120.7."""
    assert routing.overlap(GSM8K) == pytest.approx(95 / (842 * 189 / 1319))
    assert routing.overlap(GSM8K) == pytest.approx(0.787, abs=5e-4)


def test_a_chain_of_a_pair_loses_what_the_pair_loses() -> None:
    qualities = jnp.asarray([GSM8K.weak, GSM8K.strong, 0.95])
    of = routing.chain(qualities, routing.overlap(GSM8K), 0.5)
    assert of.losses == pytest.approx(95 / 1319)
    assert of.gains == pytest.approx(383 / 1319)
    assert of.further_losses == pytest.approx(0.5 * float(GSM8K.strong) * 0.05)


QUALITIES = (0.634, 0.73, 0.86)
CHAIN = routing.chain(jnp.asarray(QUALITIES), 0.5, 0.7)
cascaded = jax.jit(jax.vmap(routing.cascade, (0, 0, None, None)))


@pytest.mark.parametrize("overlaps", [(0.0, 0.0), (0.5, 0.7), (1.0, 0.2)])
@pytest.mark.parametrize("skill", [0.0, 0.8, 3.0])
def test_a_cascade_at_its_ends_is_one_model(overlaps: tuple[float, float], skill: float) -> None:
    """All on the device, all near it, all far away: each model's own quality."""
    of = routing.chain(jnp.asarray(QUALITIES), *overlaps)
    never, always = 30.0, -30.0
    ends = ((never, never), (always, never), (always, always))
    lower, upper = (jnp.asarray(column) for column in zip(*ends, strict=True))
    found = cascaded(lower, upper, *floats(skill), of)
    assert np.asarray(found.quality) == pytest.approx(np.asarray(QUALITIES), abs=1e-9)
    assert np.asarray(found.shares) == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("skill", [0.0, 0.5, 1.0, 4.0])
def test_shares_of_a_cascade_are_shares(skill: float) -> None:
    lower, more = (
        jnp.asarray(x.ravel())
        for x in np.meshgrid(np.linspace(-8.0, 8.0, 65), np.linspace(0.0, 16.0, 65))
    )
    found = cascaded(lower, lower + more, *floats(skill), CHAIN)
    assert np.asarray(found.shares).sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert np.asarray(found.shares).min() >= -1e-12
    assert np.asarray(found.quality).min() > 0.0
    # No better than all that any of the three answers rightly.
    assert np.asarray(found.quality).max() <= CHAIN.weak + CHAIN.gains + CHAIN.further_gains


@pytest.mark.parametrize("skill", [0.0, 0.8, 3.0])
def test_two_equal_models_are_one_pair(skill: float) -> None:
    """What the second or the third adds nothing to is a route at the threshold of the other."""
    thresholds = jnp.linspace(-4.0, 4.0, 17)
    pair = routing.Pair(gains=0.29, losses=0.07, weak=0.64)
    routed = jax.vmap(routing.route, (0, None, None))(thresholds, *floats(skill), pair)
    quality = routing.quality(routed.recovered, pair)
    second = routing.Chain(weak=0.64, gains=0.29, further_gains=0.0, losses=0.07, further_losses=0)
    third = routing.Chain(weak=0.64, gains=0.0, further_gains=0.29, losses=0.0, further_losses=0.07)
    near = cascaded(thresholds, thresholds + 1.3, *floats(skill), second)
    far = cascaded(thresholds - 1.3, thresholds, *floats(skill), third)
    np.testing.assert_allclose(near.quality, quality, rtol=1e-12)
    np.testing.assert_allclose(far.quality, quality, rtol=1e-12)
    np.testing.assert_allclose(near.shares[:, 1:].sum(axis=1), routed.strong_share, atol=1e-12)
    np.testing.assert_allclose(far.shares[:, 2], routed.strong_share, atol=1e-12)


def test_equal_thresholds_leave_nothing_to_the_middle() -> None:
    at = jnp.linspace(-3.0, 3.0, 13)
    found = cascaded(at, at, *floats(0.8), CHAIN)
    assert np.asarray(found.shares[:, 1]) == pytest.approx(0.0, abs=1e-15)


def test_a_cascade_without_skill_mixes_three_models() -> None:
    found = routing.cascade(*floats(-0.4, 0.9, 0.0), CHAIN)
    assert found.quality == pytest.approx(float(found.shares @ jnp.asarray(QUALITIES)))


def test_a_cascade_by_drawing() -> None:
    """Each request gains, loses or neither at each step; those who do score higher or lower."""
    drawn, skill, lower, upper = np.random.default_rng(5), 0.9, -0.3, 1.1
    parts = (CHAIN.gains, CHAIN.further_gains, CHAIN.losses, CHAIN.further_losses)
    edges = np.cumsum([float(part) for part in parts])
    kind = np.searchsorted(edges, drawn.random(400_000))
    score = drawn.normal(size=kind.size) + skill * np.array([1.0, 1.0, -1.0, -1.0, 0.0])[kind]
    near, far = score > lower, score > upper
    change = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3], [near, far, -1 * near, -1 * far]
    )
    found = routing.cascade(*floats(lower, upper, skill), CHAIN)
    assert found.quality == pytest.approx(QUALITIES[0] + change.mean(), abs=3e-3)
    shares = [1 - near.mean(), near.mean() - far.mean(), far.mean()]
    assert np.asarray(found.shares) == pytest.approx(shares, abs=4e-3)


def test_more_skill_answers_better_with_the_same_shares() -> None:
    """40% leave the device, 15% go far."""
    fine = jnp.linspace(-12.0, 12.0, 4801)
    qualities = []
    for skill in (0.0, 0.3, 0.6, 1.0, 2.0, 4.0):
        sent = np.asarray(cascaded(fine, fine, *floats(skill), CHAIN).shares[:, 2])
        lower, upper = (np.interp(-share, -sent, fine) for share in (0.40, 0.15))
        found = routing.cascade(*floats(lower, upper, skill), CHAIN)
        assert np.asarray(found.shares) == pytest.approx([0.6, 0.25, 0.15], abs=1e-4)
        qualities.append(float(found.quality))
    assert qualities[0] == pytest.approx(np.dot([0.6, 0.25, 0.15], QUALITIES), abs=1e-4)
    assert qualities == sorted(qualities)
    assert qualities[-1] > qualities[0] + 0.05
