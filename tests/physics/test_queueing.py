"""Waits against textbook queues, which are limits of the finite horizon's."""

import math

import numpy as np
import pytest
from scipy import stats

from llmecon.physics import queueing
from tests.problems import floats

FOREVER = 1e15


def mean_wait(*given: float) -> float:
    """Load, capacity, servers, two coefficients of variation and horizon to mean wait."""
    return float(queueing.wait(*floats(*given)).mean)


def erlang_c(servers: int, offered: float) -> float:
    """Probability of waiting in M/M/c."""
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**n / math.factorial(n) for n in range(servers)) + last)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9, 0.99])
def test_mm1(load: float) -> None:
    """M/M/1 (Kleinrock 1975): load / (mu (1 - load)), exactly."""
    expected = load / (5.0 * (1 - load))
    assert mean_wait(load, 5.0, 1.0, 1.0, 1.0, FOREVER) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_md1(load: float) -> None:
    """M/D/1 (Pollaczek-Khinchine): half of M/M/1's."""
    expected = load / (2 * 5.0 * (1 - load))
    assert mean_wait(load, 5.0, 1.0, 1.0, 0.0, FOREVER) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("load", "cs"), [(0.3, 2.0), (0.8, 0.5)])
def test_mg1(load: float, cs: float) -> None:
    """Pollaczek-Khinchine: load (1 + cs²) / (2 mu (1 - load))."""
    expected = load * (1 + cs**2) / (2 * 5.0 * (1 - load))
    assert mean_wait(load, 5.0, 1.0, 1.0, cs, FOREVER) == pytest.approx(expected, rel=1e-6)


def test_kingman() -> None:
    """Kingman 1961: load/(1 - load) (ca² + cs²)/2 service times."""
    expected = 0.9 / 0.1 * (1.5**2 + 0.7**2) / 2 / 5.0
    assert mean_wait(0.9, 5.0, 1.0, 1.5, 0.7, FOREVER) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("servers", [2, 5, 20])
@pytest.mark.parametrize("load", [0.8, 0.95])
def test_mmc(servers: int, load: float) -> None:
    """M/M/c: Erlang's C over spare capacity. Sakasegawa's exponent comes within a few percent
    near saturation, where waits matter, and within a sixth of the small waits below.
    """
    expected = erlang_c(servers, servers * load) / (5.0 * (1 - load))
    assert mean_wait(load, 5.0, servers, 1.0, 1.0, FOREVER) == pytest.approx(
        expected, rel=0.05 if load > 0.9 else 0.16
    )


@pytest.mark.parametrize("load", [1.5, 3.0, 100.0])
def test_overload_is_a_growing_backlog(load: float) -> None:
    """A fluid queue grows by load - 1 services a service; over a horizon T that is T (load-1)/2,
    less three quarters of the 2 s that it takes to serve a request, while the servers fill.
    """
    found = mean_wait(load, 5.0, 10.0, 1.0, 1.0, 3600.0)
    assert found == pytest.approx(3600 * (load - 1) / 2 - 1.5, rel=1e-3)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.99])
def test_a_growing_backlog_is_spread_evenly(q: float) -> None:
    """The wait grows from 0 to T (load-1): a share q of all requests waits less than q of that."""
    wait = queueing.wait(*floats(2.0, 5.0, 10.0, 1.0, 1.0, 3600.0))
    assert wait.backlog == pytest.approx(1800.0, rel=1e-3)
    assert wait.quantile(floats(q)[0]) == pytest.approx(3600.0 * q, rel=5e-3)


@pytest.mark.slow
def test_a_slight_overload_waits_no_less_than_none() -> None:
    """Even where filling the servers takes a good part of the horizon."""
    waits = [mean_wait(load, 5.0, 2000.0, 1.0, 1.0, 3600.0) for load in np.linspace(0.9, 1.5, 601)]
    assert np.all(np.diff(waits) > 0.0)


def chain(load: float, slowing: float, slots: int) -> tuple[float, float]:
    """Occupancy and probability of waiting where a service with n busy takes 1 + slowing n.

    Summed over the states of the birth-death chain (Kleinrock 1975), up to ten times the slots.
    """
    full = slots / (1.0 + slowing * slots)
    rate = load * full
    busy = np.minimum(np.arange(1.0, 10.0 * slots + 200.0), slots)
    weights = np.concatenate([[0.0], np.cumsum(np.log(rate * (1.0 + slowing * busy) / busy))])
    shares = np.exp(weights - weights.max())
    return rate / (1.0 - rate * slowing) / slots, shares[slots:].sum() / shares.sum()


@pytest.mark.parametrize("slots", [1, 8, 40, 400])
@pytest.mark.parametrize("slowing", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
def test_slots_that_share_a_machine(load: float, slowing: float, slots: int) -> None:
    """Stirling's and Laplace's formulas come near the chain's sums even for a single slot."""
    occupancy, expected = chain(load, slowing, slots)
    given = floats(load, 5.0, slots, 1.0, 1.0, FOREVER)
    found = queueing.wait(*given, occupancy=floats(occupancy)[0])
    assert float(found.probability) == pytest.approx(expected, rel=0.2, abs=0.003)
    assert found.mean == pytest.approx(float(found.probability) / (5.0 * (1.0 - load)), rel=1e-6)


def test_full_slots_make_everyone_wait() -> None:
    given = floats(1.0, 5.0, 40.0, 1.0, 1.0, 3600.0)
    assert queueing.wait(*given, occupancy=floats(1.0)[0]).probability == 1.0
    assert float(queueing.wait(*given, occupancy=floats(0.999)[0]).mean) == pytest.approx(
        mean_wait(1.0, 5.0, 40.0, 1.0, 1.0, 3600.0)
    )


def test_at_capacity_the_wait_grows_with_the_root_of_the_horizon() -> None:
    """At load 1 the formula is T/4 sqrt(8 k / (capacity T))."""
    found = mean_wait(1.0, 5.0, 10.0, 1.0, 1.0, 3600.0)
    assert found == pytest.approx(900 * math.sqrt(8 / (5 * 3600)), rel=1e-9)


def test_both_branches_meet_at_capacity() -> None:
    below, above = (mean_wait(load, 5.0, 10.0, 1.0, 1.0, 3600.0) for load in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, rel=1e-6)


def test_clockwork_queue_below_capacity_never_waits() -> None:
    assert mean_wait(0.9, 5.0, 1.0, 0.0, 0.0, 3600.0) == 0.0


def test_quantile_of_mm1() -> None:
    """M/M/1: P(wait > t) = load exp(-(1 - load) mu t)."""
    wait = queueing.wait(*floats(0.8, 5.0, 1.0, 1.0, 1.0, FOREVER))
    t = float(wait.quantile(floats(0.95)[0]))
    assert 0.8 * math.exp(-0.2 * 5.0 * t) == pytest.approx(0.05, rel=1e-5)
    assert wait.quantile(floats(0.1)[0]) == 0.0


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.3])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_lognormal_quantile(cv: float, q: float) -> None:
    sigma = math.sqrt(math.log(1 + cv**2))
    expected = stats.lognorm(sigma, scale=math.exp(-(sigma**2) / 2)).ppf(q)
    assert queueing.lognormal_quantile(*floats(q, cv)) == pytest.approx(expected, rel=1e-9)


def test_lognormal_without_spread_is_its_mean() -> None:
    np.testing.assert_array_equal(queueing.lognormal_quantile(*floats(0.99, 0.0)), 1.0)
