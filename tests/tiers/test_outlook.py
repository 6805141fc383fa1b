"""Electricity of data centres and what an answer takes to 2035, against published levels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.tables import catalog
from llmecon.tiers import growth, outlook, sampling
from llmecon.tiers.growth import Level
from tests.problems import floats

WORLD = sampling.ranges()
FUTURES = sampling.draws(WORLD, 2048)
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


def test_demand_by_hand() -> None:
    """415 TWh at 445 g/kWh in 2024, 10% more a year at 2% less each: two years on, in 2026."""
    steady = eqx.tree_at(lambda of: of.slowing, START, jnp.asarray(0.0))
    found = outlook.demand(steady, STEADY, jnp.asarray(1.0))
    assert found.twh == pytest.approx(415.0 * 1.21)
    assert found.megatonnes == pytest.approx(415.0 * 1.21 * 0.445 * 0.9604)
    assert found.electricity == pytest.approx(502.15e9 * 3.6e6)


def test_2035_is_that_of_the_published_cases() -> None:
    drawn = np.asarray(
        sampling.futures(lambda f, t: outlook.demand(START, f, t).twh, FUTURES, jnp.asarray([10.0]))
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
    price = sampling.ranges("wor", ["token-price"])["token-price"]
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
    years = reached - growth.BASE_YEAR
    held = outlook.device_parameters(PHONE, FUTURES, years)
    needed = outlook.needed_parameters(jnp.asarray(70e9), FUTURES, years)
    np.testing.assert_allclose(held, needed, rtol=1e-9)
    # log(70 / 17.7956) / log(1.25 / 0.5)
    by_hand = outlook.year_reached(PHONE, jnp.asarray(70e9), STEADY)
    assert by_hand == pytest.approx(2025.0 + 1.36961 / 0.91629, abs=1e-4)


def test_years_before_the_base_and_beyond_the_horizon() -> None:
    at_once = outlook.year_reached(PHONE, jnp.asarray(8e9), STEADY)
    assert at_once == growth.BASE_YEAR
    # Slower than needed, as fast as needed, and faster by next to nothing.
    for yearly in (0.4, 0.5, 0.5000001):
        slow = {**STEADY, "device-memory-bandwidth": jnp.asarray(yearly)}
        function = jax.value_and_grad(outlook.year_reached, (0, 1, 2))
        found, slopes = function(PHONE, jnp.asarray(70e9), slow)
        assert found == outlook.HORIZON
        assert np.all(np.isfinite(jax.tree.leaves(slopes)))
        # What has been reached by the base year has been, whatever comes.
        assert outlook.year_reached(PHONE, jnp.asarray(8e9), slow) == growth.BASE_YEAR
