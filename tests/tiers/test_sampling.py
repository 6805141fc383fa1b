"""Futures drawn from ranges, their bands, and what their spread is due to."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmecon.errors import InputError
from llmecon.tables import catalog
from llmecon.tiers import growth, outlook, sampling
from llmecon.tiers.growth import Range
from tests.problems import floats

BOUNDS = Range(0.33333, 0.55204, 0.68518)
NORMAL = Range(1.0625, 1.1105, 1.1608, 0.9)
WORLD = sampling.ranges()
FUTURES = sampling.draws(WORLD, 2048)
START = outlook.start()


def at(of: Range, *shares: float) -> np.ndarray:
    return np.asarray(growth.quantile(of, jnp.asarray(shares)))


def log_variance(of: Range) -> float:
    """Of the factor's logarithm, in closed form: second moment of both halves less the mean's."""
    low, high = math.log(of.mid / of.low), math.log(of.high / of.mid)
    if of.coverage == 1.0:
        first, second = 1.0 / 3.0, 1.0 / 6.0
    else:
        reach = stats.norm.ppf(0.5 + 0.5 * float(of.coverage))
        first, second = math.sqrt(2.0 / math.pi) / reach, 1.0 / reach**2
    return 0.5 * second * (low**2 + high**2) - (0.5 * first * (high - low)) ** 2


def test_ranges_are_those_marked_in_the_table() -> None:
    marked = catalog.table("scenarios").query("draw == 1 and region == 'wor'")
    assert set(WORLD) == set(marked["quantity"]) - set(sampling.COMPUTED)
    assert WORLD["model-size"].coverage == 1.0
    assert WORLD["hardware-price-performance"].coverage == 0.95
    assert WORLD["demand-energy"].mid == 1.1013


def test_a_region_takes_from_the_world_what_it_lacks() -> None:
    here = sampling.rows("usa")["region"]
    assert here["grid-intensity"] == here["electricity-price"] == "usa"
    assert here["demand-energy"] == here["model-size"] == "wor"
    assert set(sampling.ranges("fra")) == set(WORLD)
    assert sampling.ranges("usa")["grid-intensity"].mid == pytest.approx(0.96473)


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(InputError, match="nearest: model-size"):
        sampling.ranges("wor", ["model-sizes"])
    with pytest.raises(InputError, match="no range of electricity-price for wor, only for usa"):
        sampling.ranges("wor", ["electricity-price"])
    with pytest.raises(InputError, match="atlantis"):
        sampling.ranges("atlantis")
    with pytest.raises(InputError, match="there are wor 2024"):
        outlook.published("iea-2025-base", "wor", 1999, "data-centre-electricity")
    with pytest.raises(InputError, match="use wor, usa"):
        outlook.start("fra")


@pytest.mark.parametrize("computed", sorted(sampling.COMPUTED))
def test_computed_ranges_are_drawn_alone(computed: str) -> None:
    alone = sampling.ranges("wor", [computed])
    assert set(sampling.draws(alone, 8)) == {computed}
    with pytest.raises(InputError, match="is computed from"):
        sampling.draws({**WORLD, **alone}, 8)
    with pytest.raises(InputError, match="is computed from"):
        sampling.attribution(lambda f: f[computed], {**WORLD, **alone}, 8)


def test_draws_spread_evenly_and_repeat() -> None:
    again = sampling.draws(dict(reversed(WORLD.items())), 2048)
    other = sampling.draws(WORLD, 2048, seed=1)
    edges = np.linspace(0.0, 1.0, 2049)
    for name, of in WORLD.items():
        np.testing.assert_array_equal(FUTURES[name], again[name])
        assert not np.array_equal(FUTURES[name], other[name])
        # A Latin hypercube: one draw in each part of equal probability.
        parts = at(of, *edges)
        counts = np.histogram(FUTURES[name], bins=parts)[0]
        assert np.mean(counts == 1) > 0.99, name
    logs = np.log(np.stack([FUTURES[name] for name in WORLD]))
    assert np.max(np.abs(np.corrcoef(logs) - np.eye(len(WORLD)))) < 0.1


def test_one_factor_a_future_widens_the_fan() -> None:
    """The logarithm's deviation grows with the years, not with their root."""
    years = jnp.asarray([1.0, 4.0, 9.0])
    paths = sampling.futures(
        lambda f, t: growth.level(jnp.asarray(1.0), f["model-size"], t), FUTURES, years
    )
    deviations = np.std(np.log(paths), axis=0)
    assert deviations / deviations[0] == pytest.approx([1.0, 4.0, 9.0])


def test_fans_hold_their_share_of_the_futures() -> None:
    values = jnp.asarray(
        np.random.default_rng(0).permutation(np.tile(np.arange(101.0)[:, None], 2))
    )
    found = sampling.fan(values * jnp.asarray([1.0, 10.0]), (0.5, 0.9))
    assert np.asarray(found.median) == pytest.approx([50.0, 500.0])
    assert np.asarray(found.low) == pytest.approx(np.array([[25.0, 250.0], [5.0, 50.0]]))
    assert np.asarray(found.high) == pytest.approx(np.array([[75.0, 750.0], [95.0, 950.0]]))
    table = found.table([2030, 2035]).set_index(["share", "year"])
    assert len(table) == 4
    assert list(table.loc[(0.9, 2035)]) == pytest.approx([50.0, 500.0, 950.0])


def test_a_products_spread_is_shared_as_its_logarithms_variance() -> None:
    """Additive in logarithms: first-order and total indices are shares of the variance."""
    of = {"a": BOUNDS, "b": NORMAL, "c": Range(1.2, 1.25, 1.5), "d": Range(1.1, 1.1, 1.1)}
    powers = {"a": 2.0, "b": -7.0, "c": 3.0, "d": 4.0}
    parts = {name: powers[name] ** 2 * log_variance(of[name]) for name in of}
    expected = np.array(list(parts.values())) / sum(parts.values())
    assert np.min(expected[:3]) > 0.05

    def product(factors: sampling.Factors) -> jax.Array:
        return jnp.prod(jnp.stack([factors[name] ** powers[name] for name in of]))

    found = sampling.attribution(product, of, 2**13, logarithm=True)
    assert list(found.index) == ["a", "b", "c", "d"]
    assert found["first_order"].to_numpy() == pytest.approx(expected, abs=0.01)
    assert found["total"].to_numpy() == pytest.approx(expected, abs=0.01)


def test_interactions_are_in_the_total_alone() -> None:
    """The product of two like factors around 0: neither explains anything without the other."""
    of = {"a": Range(0.5, 1.0, 2.0), "b": Range(0.5, 1.0, 2.0)}
    found = sampling.attribution(lambda f: jnp.log(f["a"]) * jnp.log(f["b"]), of, 2**13)
    assert found["first_order"].to_numpy() == pytest.approx([0.0, 0.0], abs=0.02)
    assert found["total"].to_numpy() == pytest.approx([1.0, 1.0], abs=0.03)


def test_nothing_explains_what_does_not_vary() -> None:
    found = sampling.attribution(lambda f: 0.0 * f["a"] + 3.0, {"a": BOUNDS}, 64)
    assert found.to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(InputError, match="no power of two"):
        sampling.attribution(lambda f: f["a"], {"a": BOUNDS}, 100)


def test_medians_lie_within_their_bands() -> None:
    years = jnp.asarray([0.0, 5.0, 10.0])

    def outcomes(factors: sampling.Factors, year: jax.Array) -> dict[str, jax.Array]:
        one, half = floats(1.0, 0.5)
        world = outlook.demand(START, factors, year)
        return {
            "electricity": world.twh,
            "emissions": world.megatonnes,
            "energy": outlook.energy_per_answer(one, factors, year, half),
            "cost": outlook.cost_per_answer(one, factors, year),
        }

    for name, values in sampling.futures(outcomes, FUTURES, years).items():
        found = sampling.fan(values)
        ends = [found.low[1], found.low[0], found.median, found.high[0], found.high[1]]
        for lower, upper in pairwise(ends):
            assert np.all(np.asarray(lower[1:]) < np.asarray(upper[1:])), name
            assert np.all(np.asarray(lower) <= np.asarray(upper)), name
