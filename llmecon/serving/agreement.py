"""How far the closed forms of `service` agree with the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from llmecon.errors import InputError
from llmecon.serving import CHUNK, Service, full_rate, serve
from llmecon.serving.simulated_engine import quick_jit
from llmecon.serving.simulation import Simulation, open_loop
from llmecon.specs import Instance, Workload


@dataclass(frozen=True)
class Figures:
    """What users of a service feel, and what it makes.

    Attributes:
        ttft: mean time to first token, s.
        ttft_quantile: TTFT that the compared share of requests stays below, s.
        tpot: mean time per output token, s.
        output_rate: output tokens per second.
    """

    ttft: float
    ttft_quantile: float
    tpot: float
    output_rate: float


@dataclass(frozen=True)
class Comparison:
    """The same service at one load, simulated and by `serving.serve`.

    Attributes:
        load: offered over the most that the instance can complete.
        rate: requests arriving per second.
        simulated: found by `open_loop`, with the closed form's work outside the engine added.
        closed_form: what `serving.serve` says.
    """

    load: float
    rate: float
    simulated: Figures
    closed_form: Figures


@quick_jit
def _served(instance: Instance, workload: Workload, load: Array, quantile: Array) -> Service:
    """The closed form at a load."""
    return serve(instance, workload, load * full_rate(instance, workload), quantile)


def compare(
    instance: Instance,
    workload: Workload,
    loads: Sequence[float] = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9),
    *,
    quantile: float = 0.99,
    requests: int = 6000,
    chunk: int = int(CHUNK),
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """A service simulated at several loads, beside what the closed form says of it.

    Args:
        instance: model, accelerator, layout and what it attains; the multiple of TTFT that
            measurements add to the scheduler's counts in neither.
        workload: lengths and burstiness.
        loads: offered over the most that the instance can complete, above 0 and below 1: what
            people wait beyond depends on how long they have been too many.
        quantile: share of requests that `ttft_quantile` covers.
        requests: how many arrive in each simulation; the more, the less its figures scatter. About
            10,000 take a second.
        chunk: prompt tokens computed in one step at most.
        seed: of the random numbers.

    Returns:
        A comparison for each load.

    Raises:
        InputError: a load is not between 0 and 1, or the arguments are none that `open_loop` takes.
    """
    for load in loads:
        if not 0.0 < load < 1.0:
            raise InputError(f"load {load} cannot be compared; use a number above 0 and below 1")
    scheduled = eqx.tree_at(lambda of: of.efficiency.first_token_multiple, instance, jnp.ones(()))
    outside = float(instance.efficiency.request_time)
    found = []
    for load in loads:
        service = _served(
            scheduled, workload, jnp.asarray(load, float), jnp.asarray(quantile, float)
        )
        rate = float(service.offered)
        record = open_loop(
            scheduled,
            workload,
            rate=rate,
            how=Simulation(requests=requests, chunk=chunk, seed=seed),
        )
        simulated = Figures(
            ttft=outside + record.mean_ttft,
            ttft_quantile=outside + record.ttft_quantile(quantile),
            tpot=record.mean_tpot,
            output_rate=record.output_tokens_per_second,
        )
        closed = Figures(
            ttft=float(service.ttft),
            ttft_quantile=float(service.ttft_quantile),
            tpot=float(service.point.tpot),
            output_rate=float(service.point.rate * workload.output_tokens),
        )
        found.append(Comparison(load=load, rate=rate, simulated=simulated, closed_form=closed))
    return tuple(found)
