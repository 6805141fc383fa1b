"""Futures: shapes of ranges, draws, what spread is due to, and derived quantities by hand."""

import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmecon.errors import InputError
from llmecon.tables import catalog
from llmecon.tiers import outlook
from llmecon.tiers.outlook import Level, Range
from tests.problems import floats

BOUNDS = Range(0.33333, 0.55204, 0.68518)
NORMAL = Range(1.0625, 1.1105, 1.1608, 0.9)
WORLD = outlook.ranges()
FUTURES = outlook.draws(WORLD, 2048)
START = outlook.start()
PHONE = outlook.Device(Level(77e9), share=0.65, bytes_per_parameter=4.5 / 8.0, pace=5.0)
STEADY = {
    "demand-energy": jnp.asarray(1.1),
    "device-memory-bandwidth": jnp.asarray(1.25),
    "grid-intensity": jnp.asarray(0.98),
    "hardware-efficiency": jnp.asarray(1.5),
    "hardware-price-performance": jnp.asarray(1.6),
    "memory-bandwidth-efficiency": jnp.asarray(1.2),
    "model-size": jnp.asarray(0.5),
}


def at(of: Range, *shares: float) -> np.ndarray:
    return np.asarray(outlook.quantile(of, jnp.asarray(shares)))


def log_variance(of: Range) -> float:
    """Of the factor's logarithm, in closed form: second moment of both halves less the mean's."""
    low, high = math.log(of.mid / of.low), math.log(of.high / of.mid)
    if of.coverage == 1.0:
        first, second = 1.0 / 3.0, 1.0 / 6.0
    else:
        reach = stats.norm.ppf(0.5 + 0.5 * float(of.coverage))
        first, second = math.sqrt(2.0 / math.pi) / reach, 1.0 / reach**2
    return 0.5 * second * (low**2 + high**2) - (0.5 * first * (high - low)) ** 2


@pytest.mark.parametrize("of", [BOUNDS, NORMAL], ids=["bounds", "normal"])
def test_a_factor_rises_with_its_probability(of: Range) -> None:
    fine = at(of, *np.linspace(0.0, 1.0, 4001))
    assert np.all(np.isfinite(fine))
    assert np.all(np.diff(fine) > 0.0)
    # Nothing jumps at the median, where the halves meet.
    assert at(of, 0.5 - 1e-9, 0.5, 0.5 + 1e-9) == pytest.approx(float(of.mid), rel=1e-8)


def test_coverage_lies_between_the_ends() -> None:
    assert at(NORMAL, 0.05, 0.5, 0.95) == pytest.approx([1.0625, 1.1105, 1.1608])
    # A quarter is 0.6745 deviations away, of which an end is 1.6449.
    share = 0.67448975 / 1.64485363
    assert at(NORMAL, 0.25) == pytest.approx(1.1105 * (1.0625 / 1.1105) ** share)


def test_nothing_lies_beyond_bounds() -> None:
    assert at(BOUNDS, 0.0, 0.5, 1.0) == pytest.approx([0.33333, 0.55204, 0.68518], rel=1e-5)
    assert at(BOUNDS, 0.0) >= 0.33333
    assert at(BOUNDS, 1.0) <= 0.68518
    # A falling straight line leaves a quarter of its half beyond the middle of the way.
    assert at(BOUNDS, 0.125) == pytest.approx(math.sqrt(0.33333 * 0.55204))
    assert at(BOUNDS, 0.875) == pytest.approx(math.sqrt(0.68518 * 0.55204))


@pytest.mark.parametrize("of", [BOUNDS, NORMAL], ids=["bounds", "normal"])
def test_moments_are_those_in_closed_form(of: Range) -> None:
    middles = (np.arange(200_000) + 0.5) / 200_000
    assert np.var(np.log(at(of, *middles))) == pytest.approx(log_variance(of), rel=1e-4)


@pytest.mark.parametrize("coverage", [0.9, 1.0])
def test_a_range_of_one_value_is_that_value(coverage: float) -> None:
    assert at(Range(1.2, 1.2, 1.2, coverage), 0.0, 0.3, 0.5, 1.0) == pytest.approx(1.2)


@pytest.mark.parametrize("of", [BOUNDS, NORMAL], ids=["bounds", "normal"])
@pytest.mark.parametrize("u", [0.0, 1e-15, 1e-9, 0.5, 1.0 - 1e-9, 1.0])
def test_slopes_of_a_range_are_finite(of: Range, u: float) -> None:
    ends, slope = jax.grad(outlook.quantile, (0, 1))(of, jnp.asarray(u))
    assert np.all(np.isfinite(jax.tree.leaves((ends, slope))))
    assert slope > 0.0 or u < outlook.EDGE or u > 1.0 - outlook.EDGE


def test_ranges_are_those_marked_in_the_table() -> None:
    marked = catalog.table("scenarios").query("draw == 1 and region == 'wor'")
    assert set(WORLD) == set(marked["quantity"]) - set(outlook.COMPUTED)
    assert WORLD["model-size"].coverage == 1.0
    assert WORLD["hardware-price-performance"].coverage == 0.95
    assert WORLD["demand-energy"].mid == 1.1013


def test_a_region_takes_from_the_world_what_it_lacks() -> None:
    here = outlook.rows("usa")["region"]
    assert here["grid-intensity"] == here["electricity-price"] == "usa"
    assert here["demand-energy"] == here["model-size"] == "wor"
    assert set(outlook.ranges("fra")) == set(WORLD)
    assert outlook.ranges("usa")["grid-intensity"].mid == pytest.approx(0.96473)


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(InputError, match="nearest: model-size"):
        outlook.ranges("wor", ["model-sizes"])
    with pytest.raises(InputError, match="no range of electricity-price for wor, only for usa"):
        outlook.ranges("wor", ["electricity-price"])
    with pytest.raises(InputError, match="atlantis"):
        outlook.ranges("atlantis")
    with pytest.raises(InputError, match="there are wor 2024"):
        outlook.published("iea-2025-base", "wor", 1999, "data-centre-electricity")
    with pytest.raises(InputError, match="use wor, usa"):
        outlook.start("fra")


@pytest.mark.parametrize("computed", sorted(outlook.COMPUTED))
def test_computed_ranges_are_drawn_alone(computed: str) -> None:
    alone = outlook.ranges("wor", [computed])
    assert set(outlook.draws(alone, 8)) == {computed}
    with pytest.raises(InputError, match="is computed from"):
        outlook.draws({**WORLD, **alone}, 8)
    with pytest.raises(InputError, match="is computed from"):
        outlook.attribution(lambda f: f[computed], {**WORLD, **alone}, 8)


def test_draws_spread_evenly_and_repeat() -> None:
    again = outlook.draws(dict(reversed(WORLD.items())), 2048)
    other = outlook.draws(WORLD, 2048, seed=1)
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
    paths = outlook.futures(
        lambda f, t: outlook.level(jnp.asarray(1.0), f["model-size"], t), FUTURES, years
    )
    deviations = np.std(np.log(paths), axis=0)
    assert deviations / deviations[0] == pytest.approx([1.0, 4.0, 9.0])


def test_fans_hold_their_share_of_the_futures() -> None:
    values = jnp.asarray(
        np.random.default_rng(0).permutation(np.tile(np.arange(101.0)[:, None], 2))
    )
    found = outlook.fan(values * jnp.asarray([1.0, 10.0]), (0.5, 0.9))
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

    def product(factors: outlook.Factors) -> jax.Array:
        return jnp.prod(jnp.stack([factors[name] ** powers[name] for name in of]))

    found = outlook.attribution(product, of, 2**13, logarithm=True)
    assert list(found.index) == ["a", "b", "c", "d"]
    assert found["first_order"].to_numpy() == pytest.approx(expected, abs=0.01)
    assert found["total"].to_numpy() == pytest.approx(expected, abs=0.01)


def test_interactions_are_in_the_total_alone() -> None:
    """The product of two like factors around 0: neither explains anything without the other."""
    of = {"a": Range(0.5, 1.0, 2.0), "b": Range(0.5, 1.0, 2.0)}
    found = outlook.attribution(lambda f: jnp.log(f["a"]) * jnp.log(f["b"]), of, 2**13)
    assert found["first_order"].to_numpy() == pytest.approx([0.0, 0.0], abs=0.02)
    assert found["total"].to_numpy() == pytest.approx([1.0, 1.0], abs=0.03)


def test_nothing_explains_what_does_not_vary() -> None:
    found = outlook.attribution(lambda f: 0.0 * f["a"] + 3.0, {"a": BOUNDS}, 64)
    assert found.to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(InputError, match="no power of two"):
        outlook.attribution(lambda f: f["a"], {"a": BOUNDS}, 100)


def test_demand_by_hand() -> None:
    """415 TWh at 445 g/kWh in 2024, 10% more a year at 2% less each: two years on, in 2026."""
    steady = eqx.tree_at(lambda of: of.slowing, START, jnp.asarray(0.0))
    found = outlook.demand(steady, STEADY, jnp.asarray(1.0))
    assert found.twh == pytest.approx(415.0 * 1.21)
    assert found.megatonnes == pytest.approx(415.0 * 1.21 * 0.445 * 0.9604)
    assert found.electricity == pytest.approx(502.15e9 * 3.6e6)


def test_2035_is_that_of_the_published_cases() -> None:
    drawn = np.asarray(
        outlook.futures(lambda f, t: outlook.demand(START, f, t).twh, FUTURES, jnp.asarray([10.0]))
    )[:, 0]
    cases = catalog.table("scenario_levels").query("year == 2035").set_index("scenario")["value"]
    assert set(cases) == {700.0, 970.0, 1200.0, 1700.0}
    assert np.median(drawn) == pytest.approx(1200.0, rel=0.01)
    # Headwinds and Lift-Off are the bounds, up to the rounding of the yearly factors.
    assert np.min(drawn) == pytest.approx(700.0, rel=0.02)
    assert np.max(drawn) == pytest.approx(1700.0, rel=0.02)
    assert 0.05 < np.mean(drawn < 970.0) < 0.5


def test_2030_lies_around_the_published_cases() -> None:
    """With a base case that slows; at one pace all the years even its Base case is out of reach."""
    median = {"demand-energy": WORLD["demand-energy"].mid, "grid-intensity": jnp.asarray(1.0)}
    highest = {**median, "demand-energy": WORLD["demand-energy"].high}
    five = jnp.asarray(5.0)
    assert outlook.demand(START, median, five).twh == pytest.approx(945.0, rel=0.005)
    steady = eqx.tree_at(lambda of: of.slowing, START, jnp.asarray(0.0))
    assert outlook.demand(steady, highest, five).twh < 945.0
    # What the next edition gives for 2025 was not used.
    assert outlook.demand(START, median, jnp.asarray(0.0)).twh == pytest.approx(485.0, rel=0.06)


def test_growth_that_slows_by_hand() -> None:
    """Half as much growth in the logarithm each year: 2/3 of two years' in the first."""
    years = jnp.asarray([0.0, 1.0, 2.0, 3.0])
    found = outlook.slowed(years, *floats(math.log(2.0), 2.0))
    assert np.asarray(found) == pytest.approx([0.0, 4.0 / 3.0, 2.0, 7.0 / 3.0])
    assert np.asarray(outlook.slowed(years, *floats(0.0, 2.0))) == pytest.approx(years)
    levels = [Level(100.0, 2020.0), Level(100.0 * 4.0 ** (2.0 / 3.0), 2021.0), Level(400.0, 2022.0)]
    assert outlook.slowing_of(*levels) == pytest.approx(math.log(2.0), rel=1e-6)


def test_answers_by_hand() -> None:
    """Two years: models a quarter, bytes per joule 1.44 times, FLOP per joule 2.25 times."""
    one, two = floats(1.0, 2.0)
    for share, expected in [(1.0, 0.25 / 1.44), (0.0, 0.25 / 2.25), (0.5, 0.25 / 1.8)]:
        energy = outlook.energy_per_answer(one, STEADY, two, jnp.asarray(share))
        assert energy == pytest.approx(expected)
    grid = Level(1e-7, 2024.0)
    carbon = outlook.carbon_per_answer(one, grid, STEADY, two, one)
    assert carbon == pytest.approx(0.25 / 1.44 * 1e-7 * 0.98**3)
    assert outlook.cost_per_answer(one, STEADY, two) == pytest.approx(0.25 / 2.56)


def test_cost_falls_as_the_computed_range_of_prices() -> None:
    price = outlook.ranges("wor", ["token-price"])["token-price"]
    mids = {name: of.mid for name, of in WORLD.items()}
    assert outlook.cost_per_answer(*floats(1.0), mids, jnp.asarray(1.0)) == pytest.approx(
        float(price.mid), rel=1e-4
    )


def test_the_largest_model_by_hand() -> None:
    """77 GB/s, 65% of it, 4.5 bits and 5 tokens/s: 17.8 billion parameters."""
    zero, two = floats(0.0, 2.0)
    assert outlook.device_parameters(PHONE, STEADY, zero) == pytest.approx(17.7956e9, rel=1e-4)
    later = outlook.device_parameters(PHONE, STEADY, two)
    assert later == pytest.approx(17.7956e9 * 1.5625, rel=1e-4)
    earlier = eqx.tree_at(lambda of: of.bandwidth.year, PHONE, jnp.asarray(2023.0))
    assert outlook.device_parameters(earlier, STEADY, zero) == pytest.approx(float(later))
    assert outlook.needed_parameters(jnp.asarray(70e9), STEADY, two) == pytest.approx(17.5e9)


def test_the_year_is_where_both_meet() -> None:
    reached = outlook.year_reached(PHONE, jnp.asarray(70e9), FUTURES)
    years = reached - outlook.BASE_YEAR
    held = outlook.device_parameters(PHONE, FUTURES, years)
    needed = outlook.needed_parameters(jnp.asarray(70e9), FUTURES, years)
    np.testing.assert_allclose(held, needed, rtol=1e-9)
    # log(70 / 17.7956) / log(1.25 / 0.5)
    by_hand = outlook.year_reached(PHONE, jnp.asarray(70e9), STEADY)
    assert by_hand == pytest.approx(2025.0 + 1.36961 / 0.91629, abs=1e-4)


def test_years_before_the_base_and_beyond_the_horizon() -> None:
    at_once = outlook.year_reached(PHONE, jnp.asarray(8e9), STEADY)
    assert at_once == outlook.BASE_YEAR
    # Slower than needed, as fast as needed, and faster by next to nothing.
    for growth in (0.4, 0.5, 0.5000001):
        slow = {**STEADY, "device-memory-bandwidth": jnp.asarray(growth)}
        function = jax.value_and_grad(outlook.year_reached, (0, 1, 2))
        found, slopes = function(PHONE, jnp.asarray(70e9), slow)
        assert found == outlook.HORIZON
        assert np.all(np.isfinite(jax.tree.leaves(slopes)))
        # What has been reached by the base year has been, whatever comes.
        assert outlook.year_reached(PHONE, jnp.asarray(8e9), slow) == outlook.BASE_YEAR


def test_medians_lie_within_their_bands() -> None:
    years = jnp.asarray([0.0, 5.0, 10.0])

    def outcomes(factors: outlook.Factors, year: jax.Array) -> dict[str, jax.Array]:
        one, half = floats(1.0, 0.5)
        world = outlook.demand(START, factors, year)
        return {
            "electricity": world.twh,
            "emissions": world.megatonnes,
            "energy": outlook.energy_per_answer(one, factors, year, half),
            "cost": outlook.cost_per_answer(one, factors, year),
        }

    for name, values in outlook.futures(outcomes, FUTURES, years).items():
        found = outlook.fan(values)
        ends = [found.low[1], found.low[0], found.median, found.high[0], found.high[1]]
        for lower, upper in pairwise(ends):
            assert np.all(np.asarray(lower[1:]) < np.asarray(upper[1:])), name
            assert np.all(np.asarray(lower) <= np.asarray(upper)), name
