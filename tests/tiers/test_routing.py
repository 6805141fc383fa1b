"""Routers between chance and the oracle, against published counts and points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.stats import norm

from llmecon.tables import catalog
from llmecon.tiers import routing
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


@pytest.mark.slow
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


def test_overlap_by_hand() -> None:
    """GSM8K: 95 losses where independent failures would make 842 x 189 / 1,319 = 120.7."""
    assert routing.overlap(GSM8K) == pytest.approx(95 / (842 * 189 / 1319))
    assert routing.overlap(GSM8K) == pytest.approx(0.787, abs=5e-4)


def test_nothing_is_sent_where_the_weak_model_is_good_enough() -> None:
    """Exactly nothing, which is said as nothing."""
    for floor in (0.1, float(GSM8K.weak)):
        assert routing.share_for(*floats(floor, 0.8), GSM8K) == 0.0


few = settings(max_examples=25, deadline=None, derandomize=True, database=None)
unit, thresholds = st.floats(0.0, 1.0), st.floats(-4.0, 4.0)
skills = st.floats(0.0, 3.0)
cascade = jax.jit(routing.cascade)
outcomes = jax.jit(routing.outcomes)
chained = jax.jit(routing.chain)
routed = jax.jit(routing.route)
NEVER, ALWAYS = 25.0, -25.0


@st.composite
def chains(draw: st.DrawFn) -> routing.Chain:
    """Three models of any rising qualities that differ in any way."""
    qualities = sorted(draw(st.tuples(*[st.floats(0.01, 0.99)] * 3)))
    return chained(jnp.asarray(qualities), jnp.asarray(draw(st.tuples(unit, unit, unit))))


@few
@given(chains())
def test_a_chain_is_a_distribution_with_its_pairs(chain: routing.Chain) -> None:
    """Right or wrong, the eight shares are shares, and two models at a time differ as said."""
    each = np.asarray(outcomes(chain))
    assert each.sum() == pytest.approx(1.0, abs=1e-12)
    assert each.min() > -1e-12
    alone = [float(quality) for quality in (chain.weak, chain.middle, chain.strong)]
    assert each @ routing.RIGHT == pytest.approx(alone, abs=1e-12)
    first, second, third = routing.RIGHT.T
    for pair, weaker, stronger in (
        (chain.near, first, second),
        (chain.further, second, third),
        (chain.across, first, third),
    ):
        assert each @ (stronger * (1 - weaker)) == pytest.approx(float(pair.gains), abs=1e-12)
        assert each @ (weaker * (1 - stronger)) == pytest.approx(float(pair.losses), abs=1e-12)
        assert float(pair.weak) == pytest.approx(each @ weaker, abs=1e-12)


@few
@given(st.tuples(*[st.floats(0.01, 0.99)] * 3), unit)
def test_one_overlap_is_that_of_all_pairs(drawn: tuple[float, float, float], one: float) -> None:
    weak, middle, strong = sorted(drawn)
    of = chained(jnp.asarray([weak, middle, strong]), jnp.full(3, one))
    assert of.losses == pytest.approx(one * weak * (1.0 - middle), abs=1e-12)
    assert of.further_losses == pytest.approx(one * middle * (1.0 - strong), abs=1e-12)
    assert of.across_losses == pytest.approx(one * weak * (1.0 - strong), abs=1e-12)


def test_a_chain_holds_the_pair_that_is_routed() -> None:
    """GSM8K's two models at the ends of a chain, whatever the one between."""
    for middle in (0.7, 0.8):
        qualities = jnp.asarray([GSM8K.weak, middle, GSM8K.strong])
        of = routing.chain(qualities, routing.overlap(GSM8K)).across
        assert of.losses == pytest.approx(95 / 1319)
        assert of.gains == pytest.approx(383 / 1319)
        assert of.weak == pytest.approx(842 / 1319)


QUALITIES = (0.634, 0.73, 0.86)
CHAIN = routing.chain(jnp.asarray(QUALITIES), 0.6)
cascaded = jax.jit(jax.vmap(routing.cascade, (0, 0, None, None)))


@few
@given(chains(), thresholds, skills)
def test_an_unused_model_changes_nothing(chain: routing.Chain, at: float, skill: float) -> None:
    """Of three models, the two that are used are routed as if there were no third."""
    for thresholds_of, pair, weaker, stronger in (
        ((NEVER, at), chain.across, 0, 2),
        ((at, NEVER), chain.near, 0, 1),
        ((ALWAYS, ALWAYS + at), chain.further, 1, 2),
    ):
        found = cascade(*floats(*thresholds_of, skill), chain)
        alone = routed(*floats(at, skill), pair)
        expected = np.zeros(3)
        expected[[weaker, stronger]] = 1.0 - alone.strong_share, alone.strong_share
        if pair.gains + pair.losses > 0.0:  # whichever of two copies is asked answers alike
            np.testing.assert_allclose(found.shares, expected, atol=1e-12)
        sent = float(pair.weak + routed_gain(at, skill, pair))
        assert found.quality == pytest.approx(sent, abs=1e-12)


def routed_gain(at: float, skill: float, pair: routing.Pair) -> float:
    """Right answers gained by `route`; its share of a gap says nothing where there is no gap."""
    return float(pair.gains * norm.sf(at - skill) - pair.losses * norm.sf(at + skill))


@few
@given(chains(), thresholds, thresholds, skills)
def test_a_cascade_shares_out_and_knows_no_answers(
    chain: routing.Chain, near: float, far: float, skill: float
) -> None:
    """Shares are shares; right is at most what someone gets who knows all and sends as many."""
    found = cascade(*floats(near, far, skill), chain)
    shares, each = np.asarray(found.shares), np.asarray(outcomes(chain)).clip(0.0)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= 0.0
    assert found.quality <= 1.0 - each[0] + 1e-12
    # The most that any sharing out of the eight kinds of requests attains with these shares.
    kinds = np.kron(np.eye(8), np.ones(3))
    models = np.kron(np.ones(8), np.eye(3))
    most = optimize.linprog(
        -routing.RIGHT.ravel(),
        A_eq=np.vstack([kinds, models]),
        b_eq=np.concatenate([each / each.sum(), shares / shares.sum()]),
    )
    assert found.quality <= -most.fun + 1e-6
    # Nor is it worse than sending the same shares in the worst way.
    worst = optimize.linprog(
        routing.RIGHT.ravel(),
        A_eq=np.vstack([kinds, models]),
        b_eq=np.concatenate([each / each.sum(), shares / shares.sum()]),
    )
    assert found.quality >= worst.fun - 1e-6


@few
@given(chains(), thresholds, thresholds)
def test_a_cascade_without_skill_is_chance(chain: routing.Chain, near: float, far: float) -> None:
    found = cascade(*floats(near, far, 0.0), chain)
    alone = jnp.stack([chain.weak, chain.middle, chain.strong])
    assert found.quality == pytest.approx(float(found.shares @ alone), abs=1e-12)


@pytest.mark.parametrize(("near", "far", "skill"), [(-0.4, 0.9, 0.8), (0.6, 0.1, 2.0)])
def test_a_cascade_by_drawing(near: float, far: float, skill: float) -> None:
    """Requests of eight kinds, three noisy scores each: the highest wins."""
    drawn, count = np.random.default_rng(5), 400_000
    right = routing.RIGHT[drawn.choice(8, count, p=np.asarray(outcomes(CHAIN)))]
    noise = drawn.normal(size=(count, 3)) / np.sqrt(2.0)
    winner = np.argmax(skill * right + noise - [0.0, near, far], axis=1)
    found = cascade(*floats(near, far, skill), CHAIN)
    shares = np.bincount(winner, minlength=3) / count
    assert np.asarray(found.shares) == pytest.approx(shares, abs=4e-3)
    assert found.quality == pytest.approx(right[np.arange(count), winner].mean(), abs=3e-3)


def best_quality(skill: float, chain: routing.Chain, costs: np.ndarray, budget: float) -> float:
    """The most that is answered rightly within a budget, over a grid of thresholds."""
    near, far = (x.ravel() for x in np.meshgrid(NEAR, FAR))
    found = cascaded(jnp.asarray(near), jnp.asarray(far), *floats(skill), chain)
    paid = np.asarray(found.shares) @ costs
    return float(np.asarray(found.quality)[paid <= budget].max())


NEAR, FAR = np.linspace(-9.0, 9.0, 61), np.linspace(-9.0, 9.0, 181)


@pytest.mark.slow
def test_more_skill_answers_better_for_the_same_money() -> None:
    costs = np.array([1.0, 2.0, 4.0])
    found = [best_quality(skill, CHAIN, costs, 2.2) for skill in (0.0, 0.3, 0.6, 1.0, 2.0, 4.0)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.05
    # Without skill, chance: mostly near, and a tenth far.
    assert found[0] == pytest.approx(0.9 * 0.73 + 0.1 * 0.86, abs=2e-3)


def test_unlimited_skill_answers_all_that_any_model_can() -> None:
    found = cascade(*floats(8.0, 16.0, 24.0), CHAIN)
    each = np.asarray(outcomes(CHAIN))
    assert found.quality == pytest.approx(1.0 - each[0], abs=1e-6)
    # Nothing leaves that the device answers, nor goes far that is answered near.
    assert np.asarray(found.shares[1:]) == pytest.approx([each[2] + each[3], each[1]], abs=1e-6)


@few
@given(st.floats(0.01, 0.6), st.floats(0.6, 0.99), unit, thresholds, thresholds, skills)
def test_a_copy_of_a_model_changes_nothing(
    weak: float, strong: float, overlap: float, near: float, far: float, skill: float
) -> None:
    """With a copy beside it, a model is sent what `route` sends it, and as much is right."""
    losses = overlap * weak * (1.0 - strong)
    pair = routing.Pair(gains=strong - weak + losses, losses=losses, weak=weak)
    of_the_weak = routing.Chain(weak, weak, strong, 0.0, losses, losses)
    of_the_strong = routing.Chain(weak, strong, strong, losses, 0.0, losses)
    for of, at in ((of_the_weak, far - min(0.0, near)), (of_the_strong, min(near, far))):
        found = cascade(*floats(near, far, skill), of)
        alone = routed(*floats(at, skill), pair)
        assert found.quality == pytest.approx(weak + routed_gain(at, skill, pair), abs=1e-12)
        sent = found.shares[2] if of is of_the_weak else found.shares[1] + found.shares[2]
        assert sent == pytest.approx(float(alone.strong_share), abs=1e-12)
