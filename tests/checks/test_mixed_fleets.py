"""Mixtures of instances: against enumeration, perturbed limits, and a published paper."""

import itertools

import equinox as eqx
import numpy as np
import pytest
from scipy.optimize import linprog

from llmecon import serving, specs
from llmecon.checks import mixed_fleets
from llmecon.checks.mixed_fleets import Clash, Fleet, Limit, Mixture
from llmecon.errors import InputError
from llmecon.specs import Instance
from llmecon.tables import catalog

MOST = 6  # instances of an option that enumeration tries


def some_fleet(seed: int) -> Fleet:
    """A random fleet of three options and two classes, with up to two limits that may clash."""
    random = np.random.default_rng(seed)
    capacity = random.lognormal(0.0, 1.0, (3, 2)) * (random.random((3, 2)) > 0.35)
    limits = {
        name: Limit(random.lognormal(0.0, 0.5, 3), float(random.lognormal(1.0, 0.7)))
        for name in ("power", "supply")[: random.integers(3)]
    }
    return Fleet(random.lognormal(-0.5, 0.7, 2), capacity, random.lognormal(0.0, 0.5, 3), limits)


def serves(fleet: Fleet, instances: np.ndarray) -> bool:
    """Whether so many instances have time for everything: a linear programme of its own."""
    if any(of.each @ instances > of.most + 1e-9 for of in fleet.limits.values()):
        return False
    options, classes = fleet.capacity.shape
    able = fleet.capacity > 0.0
    needs = np.where(able, fleet.rates / np.where(able, fleet.capacity, 1.0), 0.0)
    work = np.zeros((options, options * classes))
    for option in range(options):
        work[option, option * classes : (option + 1) * classes] = needs[option]
    found = linprog(
        np.zeros(options * classes),
        A_ub=work,
        b_ub=instances + 1e-9,
        A_eq=np.tile(np.eye(classes), options),
        b_eq=np.ones(classes),
        bounds=[(0.0, 1.0 if of else 0.0) for of in able.ravel()],
    )
    return bool(found.success)


@pytest.mark.parametrize("seed", range(40))
def test_no_mixture_is_cheaper(seed: int) -> None:
    fleet = some_fleet(seed)
    found = mixed_fleets.best(fleet)
    tried = sorted(
        itertools.product(range(MOST + 1), repeat=3),
        key=lambda of: float(fleet.cost @ np.array(of)),
    )
    cheapest = next((np.array(of) for of in tried if serves(fleet, np.array(of))), None)
    if isinstance(found, Clash):
        assert cheapest is None
        return
    if found.instances.max() <= MOST:
        assert cheapest is not None
        assert found.cost == pytest.approx(float(fleet.cost @ cheapest))
    assert found.bound == pytest.approx(found.cost, rel=1e-6)
    assert serves(fleet, found.instances)
    assert np.all(found.shares[fleet.capacity == 0.0] == 0.0)
    np.testing.assert_allclose(found.shares.sum(axis=0), 1.0, rtol=1e-6)


def test_random_fleets_are_of_every_kind() -> None:
    found = [mixed_fleets.best(some_fleet(seed)) for seed in range(40)]
    clashes = [of for of in found if isinstance(of, Clash)]
    assert any(of.unserved for of in clashes)
    assert any(of.raised for of in clashes)
    assert sum((of.instances > 0).sum() > 1 for of in found if isinstance(of, Mixture)) > 3


@pytest.mark.parametrize("seed", range(40))
def test_limits_raised_as_said_no_longer_clash(seed: int) -> None:
    fleet = some_fleet(seed)
    found = mixed_fleets.best(fleet)
    if not isinstance(found, Clash) or not found.raised:
        return
    assert all(factor > 1.0 for factor in found.raised.values())

    def raised(by: float) -> Fleet:
        limits = {
            name: Limit(of.each, of.most * (1.0 + (found.raised.get(name, 1.0) - 1.0) * by))
            for name, of in fleet.limits.items()
        }
        return Fleet(fleet.rates, fleet.capacity, fleet.cost, limits)

    assert isinstance(mixed_fleets.best(raised(1.0 + 1e-6)), Mixture)
    assert isinstance(mixed_fleets.best(raised(0.999)), Clash)


@pytest.mark.parametrize("seed", range(40))
def test_prices_are_what_solving_again_says(seed: int) -> None:
    fleet = some_fleet(seed)
    found = mixed_fleets.prices(fleet)
    if isinstance(found, Clash):
        return

    def cost(rates: np.ndarray, limits: dict[str, Limit]) -> float:
        again = mixed_fleets.prices(Fleet(rates, fleet.capacity, fleet.cost, limits))
        return np.nan if isinstance(again, Clash) else again.cost

    step = 1e-6
    for kind in range(2):
        more, less = (fleet.rates * (1.0 + s * step * (np.arange(2) == kind)) for s in (1, -1))
        ends = [cost(more, dict(fleet.limits)), cost(less, dict(fleet.limits))]
        slope = (ends[0] - ends[1]) / (2.0 * step * fleet.rates[kind])
        assert found.requests[kind] == pytest.approx(slope, rel=1e-4)
    for name, of in fleet.limits.items():
        ends = [
            cost(fleet.rates, {**fleet.limits, name: Limit(of.each, of.most * (1.0 + s * step))})
            for s in (1, -1)
        ]
        if np.isnan(ends).any():
            continue
        slope = (ends[1] - ends[0]) / (2.0 * step * of.most)
        assert found.limits[name] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_prices_pay_for_everything_without_limits() -> None:
    fleet = Fleet(np.array([3.0, 2.0]), np.array([[1.0, 4.0], [2.0, 0.0]]), np.array([1.0, 1.5]))
    found = mixed_fleets.prices(fleet)
    assert not isinstance(found, Clash)
    # The second option serves the first class for 0.75, the first the second for 0.25.
    assert found.requests == pytest.approx([0.75, 0.25])
    assert found.cost == pytest.approx(float(found.requests @ fleet.rates))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="as many costs and rates"):
        mixed_fleets.best(Fleet(np.ones(3), np.ones((2, 2)), np.ones(2)))
    with pytest.raises(InputError, match="rates: got"):
        mixed_fleets.best(Fleet(np.array([-1.0]), np.ones((1, 1)), np.ones(1)))
    alone = mixed_fleets.best(Fleet(np.ones(2), np.array([[1.0, 0.0]]), np.ones(1)))
    assert alone == Clash((1,), {})


# Published behaviour: the cheap GPU does best on small requests and with patient readers.

SIZES = (32.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)
PRICES = {"a10g": 1.01, "a100-sxm-80gb": 3.67}  # USD/h, as in the paper's released example


def requests_per_second(xpu: str, tpot: float) -> np.ndarray:
    """Of each size, as many tokens out as in, by one device of Llama 2 7B in 16 bits."""
    llm, device = catalog.llm("llama-2-7b"), catalog.xpu(xpu)
    layout = specs.Deployment(precision=specs.precision("bf16"))
    solve = eqx.filter_jit(serving.capacity)
    rates = []
    for size in SIZES:
        found = solve(
            Instance(
                llm,
                device,
                layout,
                catalog.efficiency(catalog.system("llama-2-7b", xpu, None, "bf16")),
            ),
            specs.Workload(size, size),
            specs.LatencyTarget(ttft=60.0, tpot=tpot),
        )
        rates.append(float(found.rate) if float(found.feasible) > 0 else 0.0)
    return np.array(rates)


@pytest.fixture(scope="module")
def per_usd() -> dict[float, np.ndarray]:
    """Requests per dollar by size: of the cheap GPU over those of the fast one."""
    ratios = {}
    for name in ("melange-loose", "melange-tight"):
        tpot = float(catalog.row("latency_targets", name)["tpot_s"])
        cheap, fast = (requests_per_second(xpu, tpot) / usd for xpu, usd in PRICES.items())
        ratios[tpot] = cheap / fast
    return ratios


def test_a_cheap_gpu_falls_behind_as_requests_grow(per_usd: dict[float, np.ndarray]) -> None:
    for ratio in per_usd.values():
        assert np.all(np.diff(ratio) < 0.05 * ratio[:-1])
        assert ratio[-1] < 0.6 * ratio[0]


def test_a_cheap_gpu_falls_behind_as_readers_lose_patience(
    per_usd: dict[float, np.ndarray],
) -> None:
    assert np.all(per_usd[0.04] < per_usd[0.12])
    assert per_usd[0.04][0] < 0.7 * per_usd[0.12][0]
