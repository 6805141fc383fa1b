"""The best chip for a job against its neighbours, random chips and solving again."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import silicon
from llmecon.execution.interpreter import interpreted
from llmecon.silicon import Silicon, chip_jobs, design
from llmecon.specs import Deployment
from tests.problems import EFFICIENCY, changed, close
from tests.silicon.jobs import DECODE, FP8, JOBS, LLAMA, PRICES, QUICK, TRAIN, best, search

pytestmark = pytest.mark.slow


objective = interpreted(design._objective)


def logs(name: str) -> np.ndarray:
    found = best(name)
    values = [found.chip.flops, found.chip.bandwidth, found.chip.link, found.batch]
    return np.log(np.array(values[:3] if name == "train" else values))


@pytest.mark.parametrize("name", JOBS)
def test_no_neighbour_is_cheaper(name: str) -> None:
    """A fine grid through each pair of variables has its minimum at the optimum."""
    at = logs(name)
    steps = np.linspace(-0.3, 0.3, 31)
    lowest = float(objective(JOBS[name], PRICES, EFFICIENCY, jnp.asarray(at)))
    every = interpreted(
        jax.vmap(lambda x: design._objective(JOBS[name], PRICES, EFFICIENCY, x)),
    )
    for i in range(len(at)):
        for j in range(i):
            grid = np.tile(at, (31 * 31, 1))
            grid[:, i] += np.repeat(steps, 31)
            grid[:, j] += np.tile(steps, 31)
            found = np.asarray(every(jnp.asarray(grid)))
            assert found.min() >= lowest - 1e-9
            assert np.argmin(found) == 15 * 31 + 15


@pytest.mark.parametrize("name", JOBS)
def test_the_slope_is_zero_at_the_best(name: str) -> None:
    slope = interpreted(
        jax.grad(lambda x: design._objective(JOBS[name], PRICES, EFFICIENCY, x)),
    )
    np.testing.assert_allclose(slope(jnp.asarray(logs(name))), 0.0, atol=2e-5)


def test_random_chips_are_no_better() -> None:
    draws = np.random.default_rng(5).uniform(-2.0, 2.0, (4000, 4)) + logs("decode")
    every = interpreted(jax.vmap(lambda x: design._objective(DECODE, PRICES, EFFICIENCY, x)))
    lowest = objective(DECODE, PRICES, EFFICIENCY, jnp.asarray(logs("decode")))
    assert float(jnp.nanmin(every(jnp.asarray(draws)))) >= float(lowest)


def test_limits_are_kept_to_within_some_hundredths() -> None:
    hurried = search(changed(DECODE, limit=0.02), PRICES, EFFICIENCY)
    assert float(hurried.demand.seconds) == pytest.approx(0.02, rel=0.02)
    lonely = search(changed(DECODE, most=16.0), PRICES, EFFICIENCY)
    assert float(lonely.batch) == pytest.approx(16.0, rel=0.03)
    # Few requests leave arithmetic idle: bandwidth is bought instead.
    assert float(lonely.bytes_per_flop) > 2.0 * float(best("decode").bytes_per_flop)


def test_what_binds_is_named() -> None:
    hurried = changed(DECODE, limit=0.02)
    assert design.binding(hurried, search(hurried, PRICES, EFFICIENCY), PRICES) == ("time",)
    assert design.binding(TRAIN, best("train"), PRICES) == ()
    # On a package for which the best chip is too large, it is as large as the package allows.
    small = changed(PRICES, largest_interposer=1500.0)
    held = search(TRAIN, small, EFFICIENCY)
    assert design.binding(TRAIN, held, small) == ("package",)
    size = float(silicon.floorplan(held.chip, small).interposer)
    assert size == pytest.approx(1500.0, rel=0.03)


def test_jobs_differ_as_expected() -> None:
    ratios = [float(best(name).bytes_per_flop) for name in ("decode", "prefill", "train")]
    assert ratios[0] > 2.0 * max(ratios[1:])


def test_a_chip_on_its_own_needs_no_links() -> None:
    job = chip_jobs.decode(LLAMA, Deployment(precision=FP8), 8192.0, 0.05)
    alone = search(job, PRICES, EFFICIENCY)
    assert float(alone.chip.link) < 1e9
    assert "link" in design.binding(job, alone, PRICES)


@pytest.mark.release
def test_along_contexts_memory_grows() -> None:
    contexts = jnp.asarray([2048.0, 8192.0, 32768.0])
    jobs = chip_jobs.along(DECODE, lambda of: of.past_tokens, contexts)
    found = jax.jit(design.across, compiler_options=QUICK)(jobs, PRICES, EFFICIENCY)
    close(found.usd_per_token[1], best("decode").usd_per_token, rtol=1e-6)
    assert np.all(np.diff(found.chip.memory) > 0)
    assert np.all(np.diff(found.bytes_per_flop) > 0)
    job, least = jax.jit(design.cheapest, compiler_options=QUICK)(jobs, PRICES, EFFICIENCY)
    close(least.usd_per_token, found.usd_per_token.min())
    assert float(job.past_tokens) == 2048.0


@cache
def effects(name: str) -> dict[str, Silicon]:
    """By how many percent the best chip follows each constant, by outcome."""

    def outcomes(logs: Silicon) -> dict[str, jax.Array]:
        prices = jax.tree.map(jnp.exp, logs)
        moved = design.at_optimum(JOBS[name], prices, EFFICIENCY, best(name))
        return jax.tree.map(jnp.log, design.outcomes(moved))

    compute = interpreted(jax.jacfwd(outcomes))
    found: dict[str, Silicon] = compute(jax.tree.map(jnp.log, PRICES))
    return found


CONSTANTS = (
    "wafer_price",
    "memory_price",
    "compute_density",
    "stack_bandwidth",
    "flop_energy",
    "markup",
    "host_price",
    "electricity_price",
)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_elasticities_are_those_of_solving_again(constant: str) -> None:
    moved = []
    for step in (1e-3, -1e-3):
        value = float(getattr(PRICES, constant)) * np.exp(step)
        moved.append(
            design.outcomes(search(DECODE, changed(PRICES, **{constant: value}), EFFICIENCY))
        )
    for outcome, of in effects("decode").items():
        again = np.log(float(moved[0][outcome] / moved[1][outcome])) / 2e-3
        assert float(getattr(of, constant)) == pytest.approx(again, abs=2e-3), outcome


def test_prices_scale_out_of_the_best_chip() -> None:
    """If all that is paid for grows alike, tokens cost as much more and the chip stays."""
    paid = (
        "wafer_price",
        "memory_price",
        "stack_price",
        "package_price",
        "module_price",
        "stage_price",
        "host_price",
        "link_price",
        "supply_price",
        "hosting",
        "electricity_price",
    )
    for outcome, of in effects("decode").items():
        total = sum(float(getattr(of, name)) for name in paid)
        assert total == pytest.approx(1.0 if outcome == "usd_per_token" else 0.0, abs=1e-6)
