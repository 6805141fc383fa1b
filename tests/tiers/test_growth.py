"""Ranges of yearly growth, and the levels that it leads to."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmecon.tiers import growth
from llmecon.tiers.growth import Level, Range
from tests.problems import floats

BOUNDS = Range(0.33333, 0.55204, 0.68518)
NORMAL = Range(1.0625, 1.1105, 1.1608, 0.9)


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


@pytest.mark.slow
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


@pytest.mark.slow
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
    ends, slope = jax.grad(growth.quantile, (0, 1))(of, jnp.asarray(u))
    assert np.all(np.isfinite(jax.tree.leaves((ends, slope))))
    assert slope > 0.0 or u < growth.EDGE or u > 1.0 - growth.EDGE


def test_growth_that_slows_by_hand() -> None:
    """Half as much growth in the logarithm each year: 2/3 of two years' in the first."""
    years = jnp.asarray([0.0, 1.0, 2.0, 3.0])
    found = growth.slowed(years, *floats(math.log(2.0), 2.0))
    assert np.asarray(found) == pytest.approx([0.0, 4.0 / 3.0, 2.0, 7.0 / 3.0])
    assert np.asarray(growth.slowed(years, *floats(0.0, 2.0))) == pytest.approx(years)
    levels = [Level(100.0, 2020.0), Level(100.0 * 4.0 ** (2.0 / 3.0), 2021.0), Level(400.0, 2022.0)]
    assert growth.slowing_of(*levels) == pytest.approx(math.log(2.0), rel=1e-6)
