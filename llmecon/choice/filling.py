"""What a request takes of an instance, by how full the instance is kept.

An engine is an accelerator with a precision and a layout that serves whole requests, or only their
prompts, or only their outputs. It is filled with so many requests in flight on average or, for
prompts, to such a share of time at work. Fuller is cheaper and slower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.physics.energy import device_power
from llmecon.serving import MINIMUM_BATCH, largest_batch
from llmecon.serving.disaggregation import Stage, decoding, mixed, prefilling
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Instance, LatencyTarget, Workload

Scalar = Float[Array, "..."]
Role = Literal["whole", "prefill", "decode"]

ROLES: tuple[Role, ...] = ("whole", "prefill", "decode")
"""What an instance does of a request."""

# Prompts wait without end for an instance that is always at work.
FULL_LOAD = 0.98
# Share of the limit on TTFT that is left for the wait for a slot where outputs have instances of
# their own; the prompt gets the rest.
SLOT_SHARE = 0.05


class Engine(eqx.Module):
    """An accelerator with a precision and a layout; one, or many with a leading dimension.

    Attributes:
        xpu: the accelerator.
        deployment: precision and layout.
        efficiency: what it attains.
    """

    xpu: XPU
    deployment: Deployment
    efficiency: Efficiency

    def instance(self, llm: LLM) -> Instance:
        """What the engine is when it serves a model."""
        return Instance(llm, self.xpu, self.deployment, self.efficiency)


class Demand(eqx.Module):
    """Requests of a size and their limits; one bucket, or many with a leading dimension.

    Attributes:
        workload: lengths and burstiness.
        target: limits on latency.
    """

    workload: Workload
    target: LatencyTarget


class Flow(eqx.Module):
    """What one request takes of an instance that is kept so full.

    Attributes:
        time: of the instance, s.
        energy: of its servers beyond what they draw without work, J.
        latency: of the request, on average, s; its phases add up.
        ttft: the instance's part of the time to first token at the promised quantile, s.
        tpot: mean time per output token, s; 0 where none are produced.
    """

    time: Scalar
    energy: Scalar
    latency: Scalar
    ttft: Scalar
    tpot: Scalar


@dataclass(frozen=True)
class EngineName:
    """What an engine is known by.

    Attributes:
        xpu: id of the accelerator.
        precision: of weights and arithmetic.
        tensor: devices that a layer is split over.
        expert: devices that experts are spread over whole.
        pipeline: groups of layers one after another.
        role: what it does of a request.
    """

    xpu: str
    precision: str
    tensor: int
    expert: int
    pipeline: int
    role: Role = "whole"

    @property
    def devices(self) -> int:
        """In one instance."""
        return self.pipeline * max(self.tensor, self.expert)


@partial(jax.jit, static_argnames="role")
def flow(llm: LLM, engine: Engine, demand: Demand, filling: Scalar, role: Role) -> Flow:
    """What a request takes of an instance that is kept so full.

    Args:
        llm: the model.
        engine: accelerator and layout.
        demand: the request's size and limits.
        filling: requests in flight on average, > 0; for prompts the share of time at work, < 1.
        role: what the instance does of the request.

    Returns:
        Time, energy and latency of a request.
    """
    stage_of: Callable[..., Stage] = {
        "whole": mixed, "prefill": prefilling, "decode": decoding,
    }[role]  # fmt: skip
    stage = stage_of(engine.instance(llm), demand.workload, filling, demand.target.quantile)
    working = (stage.power - idle_power(engine)) * engine.deployment.xpus
    return Flow(
        time=stage.time,
        energy=working * stage.time,
        latency=stage.ttft + demand.workload.output_tokens * stage.tpot,
        ttft=stage.ttft_quantile,
        tpot=stage.tpot,
    )


def excess(llm: LLM, engine: Engine, demand: Demand, filling: Scalar, role: Role) -> Scalar:
    """Logarithm of how far an instance is beyond the nearer of its limits on latency.

    Args:
        llm: the model.
        engine: accelerator and layout.
        demand: the request's size and limits.
        filling: as in `flow`.
        role: what the instance does of the request.

    Returns:
        Positive where a limit is broken. Prompts and outputs on instances of their own share the
        limit on TTFT, so that each can be chosen by itself.
    """
    return beyond(flow(llm, engine, demand, filling, role), demand, role)


def beyond(taken: Flow, demand: Demand, role: Role) -> Scalar:
    """As `excess`, of what is known to be taken.

    Args:
        taken: of an instance by a request.
        demand: the request's limits.
        role: what the instance does of the request.

    Returns:
        Positive where a limit is broken.
    """
    share = {"whole": 1.0, "prefill": 1.0 - SLOT_SHARE, "decode": SLOT_SHARE}[role]
    target = demand.target
    late = jnp.maximum(taken.ttft, 1e-12) / (share * target.ttft)
    slow = jnp.maximum(taken.tpot, 1e-12) / target.tpot
    return jnp.log(jnp.maximum(late, slow))


def room(llm: LLM, engine: Engine, demand: Demand, role: Role) -> Scalar:
    """The fullest that an instance may be kept for its memory.

    Args:
        llm: the model.
        engine: accelerator and layout.
        demand: the request's size.
        role: what the instance does of the request.

    Returns:
        Requests in flight, below 1 where not even one fits; for prompts the largest share of time
        at work, or 0.
    """
    held = largest_batch(engine.instance(llm), demand.workload)
    return jnp.where(held >= 1.0, FULL_LOAD, 0.0) if role == "prefill" else held


def fullest(llm: LLM, engine: Engine, demand: Demand, role: Role) -> Scalar:
    """The fullest that an instance may be kept within memory and limits on latency.

    Args:
        llm: the model.
        engine: accelerator and layout, on which the model fits.
        demand: the request's size and limits.
        role: what the instance does of the request.

    Returns:
        As `flow` takes it, with the gradient of the implicit function.
    """
    most = room(llm, engine, demand, role)
    late = partial(excess, llm, engine, demand, role=role)
    return solve_increasing(late, MINIMUM_BATCH, most)


def idle_power(engine: Engine) -> Scalar:
    """Power of one device without work, W; its host's comes on top.

    Args:
        engine: accelerator and what it attains.
    """
    zero = jnp.zeros_like(jnp.asarray(engine.xpu.tdp))
    return device_power(engine.xpu, engine.efficiency, zero, zero, zero)


def resting_power(engine: Engine) -> Scalar:
    """Power of an instance's servers without work, W.

    Args:
        engine: accelerator, layout and what it attains.
    """
    host = engine.efficiency.host_power * engine.xpu.tdp
    return engine.deployment.xpus * (idle_power(engine) + host)
