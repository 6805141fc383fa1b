"""The closed forms of a service against the simulation of the same."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from llmecon import serving
from llmecon.errors import InputError
from llmecon.serving import agreement, simulation
from llmecon.specs import Instance, Workload
from llmecon.tables import catalog
from tests.problems import DENSE, EFFICIENCY, SINGLE, changed, floats

pytestmark = pytest.mark.slow

H100 = catalog.xpu("h100-sxm")


PLAIN = Workload(prompt_tokens=1000.0, output_tokens=200.0)


APART = changed(SINGLE, disaggregated=1.0)


def system(workload: Workload = PLAIN, **parts: Any) -> tuple[Any, ...]:
    """The arguments that the simulation and the closed forms share."""
    given = {"llm": DENSE, "xpu": H100, "deployment": SINGLE} | parts
    return (Instance(given["llm"], given["xpu"], given["deployment"], EFFICIENCY), workload)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # Compiling takes seconds and running takes milliseconds: optimise the former.
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def evaluate(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function's value alone, which compiles faster than with the gradient."""
    return compiled(function)(*jax.tree.map(lambda leaf: jnp.asarray(leaf, float), arguments))


def full_rate(of: tuple[Any, ...]) -> float:
    return float(evaluate(serving.full_rate, *of))


def engine_times(found: Any, of: tuple[Any, ...]) -> tuple[float, float]:
    """Closed form over simulated, less 1: mean TTFT and its 99th percentile, in the engine."""
    outside = float(of[0].efficiency.request_time)
    closed, simulated = found.closed_form, found.simulated
    return (
        (closed.ttft - outside) / (simulated.ttft - outside) - 1.0,
        (closed.ttft_quantile - outside) / (simulated.ttft_quantile - outside) - 1.0,
    )


def with_slots(slots: float) -> float:
    """Memory that holds a whole number of requests, as the simulation has no others, bytes."""
    sizes = (2e10, 4e10)
    few, many = (
        float(evaluate(serving.largest_batch, *system(xpu=changed(H100, memory=size))))
        for size in sizes
    )
    return sizes[0] + (sizes[1] - sizes[0]) * (slots + 1e-6 - few) / (many - few)


# Found, over these and half a dozen other systems: the mean within 5%, the tail within 15%, TPOT
# within 4% where prompts are short.
@pytest.mark.release
def test_open_loop_agrees_with_the_closed_form() -> None:
    of = system()
    light = agreement.compare(*of, (0.05, 0.2), requests=4000)
    heavy = agreement.compare(*of, (0.4, 0.6, 0.8, 0.9), requests=12_000)
    for found in (*light, *heavy):
        mean, tail = engine_times(found, of)
        assert abs(mean) < 0.08, found
        assert abs(tail) < 0.20, found
        # Close to saturation the batch varies slowly, and what is found of it with the seed.
        scatter = 0.05 if found.load < 0.9 else 0.12
        assert found.closed_form.tpot == pytest.approx(found.simulated.tpot, rel=scatter)
        # The numbers of requests and of their tokens scatter more than what is made of them.
        assert found.closed_form.output_rate == pytest.approx(found.simulated.output_rate, rel=0.08)
        assert found.rate == pytest.approx(found.load * full_rate(of))


@pytest.mark.parametrize(
    ("workload", "load", "mean", "tail", "tpot"),
    [
        # Long prompts hold up everyone: the batch and so the steps vary more than is assumed.
        ({"prompt_tokens": 4000.0}, 0.3, 0.08, 0.15, 0.06),
        ({"prompt_tokens": 4000.0}, 0.8, 0.10, 0.15, 0.15),
        ({"prompt_tokens": 500.0, "output_tokens": 1000.0}, 0.7, 0.06, 0.15, 0.06),
        # Two equal prompts that meet wait longer than an exponential tail says.
        ({"prompt_cv": 0.0, "output_cv": 0.0}, 0.2, 0.06, 0.40, 0.04),
        ({"interarrival_cv": 2.0}, 0.6, 0.10, 0.20, 0.10),
        # Regular arrivals wait less than is said.
        ({"interarrival_cv": 0.0}, 0.6, 0.40, 0.45, 0.04),
    ],
)
def test_other_workloads_agree_too(
    workload: dict[str, float], load: float, mean: float, tail: float, tpot: float
) -> None:
    of = system(changed(PLAIN, **workload))
    (found,) = agreement.compare(*of, [load], requests=10_000)
    errors = engine_times(found, of)
    assert abs(errors[0]) < mean, found
    assert abs(errors[1]) < tail, found
    assert found.closed_form.tpot == pytest.approx(found.simulated.tpot, rel=tpot)


# With few slots the mean agrees up to a load of 0.8; nearer to saturation a simulation of this
# length scatters by a third, as does the agreement.
@pytest.mark.release
@pytest.mark.parametrize(("load", "mean", "tail"), [(0.6, 0.1, 0.15), (0.8, 0.25, 0.35)])
def test_waiting_for_a_slot_agrees(load: float, mean: float, tail: float) -> None:
    of = system(xpu=changed(H100, memory=with_slots(40.0)))
    (found,) = agreement.compare(*of, [load], requests=20_000)
    errors = engine_times(found, of)
    assert abs(errors[0]) < mean, found
    assert abs(errors[1]) < tail, found


@pytest.mark.release
def test_disaggregated_ttft_agrees() -> None:
    """Found up to 16% too low: prompts that are computed in one pass end together."""
    of = system(deployment=APART)
    (found,) = agreement.compare(*of, [0.4], requests=10_000)
    assert -0.25 < engine_times(found, of)[0] < 0.05


@pytest.mark.parametrize("load", [0.0, 1.0, float("nan")])
def test_loads_that_cannot_be_compared(load: float) -> None:
    with pytest.raises(InputError, match=f"load {load} cannot be compared; use a number above 0"):
        agreement.compare(*system(), [0.5, load])


@pytest.mark.release
def test_ttft_under_overload_is_a_growing_backlog() -> None:
    of = system(changed(PLAIN, output_tokens=1000.0))
    rate = 1.5 * full_rate(of)
    found = simulation.open_loop(
        *of, rate=rate, how=simulation.Simulation(requests=int(3600.0 * rate), warmup=0.0)
    )
    # Compiled for the comparisons above.
    closed = agreement._served(*of, *floats(1.5, 0.99))
    outside = float(EFFICIENCY.request_time)
    assert float(closed.ttft) - outside == pytest.approx(found.mean_ttft, rel=0.05)
    tail = float(closed.ttft_quantile) - outside
    assert tail == pytest.approx(found.ttft_quantile(0.99), rel=0.05)


def test_what_measurements_add_to_the_scheduler_counts_in_neither() -> None:
    of = system()
    doubled = (replace(of[0], efficiency=changed(EFFICIENCY, first_token_multiple=2.0)), of[1])
    assert agreement.compare(*doubled, [0.4], requests=200) == agreement.compare(
        *of, [0.4], requests=200
    )
