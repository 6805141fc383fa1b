"""The most that an instance serves within its latency targets."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.serving.batching import (
    MINIMUM_BATCH,
    largest_batch,
    operating_point,
    require_context,
    within_context,
)
from llmecon.serving.service import Service, service_of_point
from llmecon.specs import Instance, LatencyTarget, Workload

Scalar = Float[Array, "..."]


class Capacity(eqx.Module):
    """The most that an instance serves within its latency targets.

    Attributes:
        rate: requests per second, 0 where the targets or the memory rule everything out.
        feasible: 1 where the model fits, its context holds the requests, and an unhurried request
            meets both targets, else 0.
        service: the instance at that rate.
    """

    rate: Scalar
    feasible: Scalar
    service: Service


def meets(service: Service, target: LatencyTarget) -> Array:
    """Whether an instance keeps both limits; safe under tracing.

    Args:
        service: the instance at some rate.
        target: the limits; the quantile of TTFT is the one that the service was asked for.
    """
    # A limit that binds is met to the last digits of a root search.
    slack = 1.0 + 1e-9
    return (service.ttft_quantile <= target.ttft * slack) & (
        service.point.tpot <= target.tpot * slack
    )


def capacity(instance: Instance, workload: Workload, target: LatencyTarget) -> Capacity:
    """The highest rate at which an instance meets its latency targets.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
        target: limits on TTFT (at its quantile) and on mean TPOT.

    Returns:
        The rate, whether anything is feasible, and the service at that rate. Nothing is where
        requests exceed the model's context, if their length is traced.

    Raises:
        InputError: requests exceed the model's context, where their length is not traced.
    """
    require_context(instance.llm, workload)
    room = largest_batch(instance, workload)
    full_batch = jnp.maximum(room, 1.0)
    full = operating_point(instance, workload, full_batch)

    def at(batch: Scalar) -> Service:
        point = operating_point(instance, workload, batch)
        return service_of_point(instance, workload, point, full, point.rate, target.quantile)

    def excess(batch: Scalar) -> Scalar:
        service = at(batch)
        return jnp.log(
            jnp.maximum(service.ttft_quantile / target.ttft, service.point.tpot / target.tpot)
        )

    service = at(solve_increasing(excess, MINIMUM_BATCH, full_batch))
    feasible = (room >= 1.0) & within_context(instance.llm, workload) & meets(service, target)
    return Capacity(
        rate=jnp.where(feasible, service.point.rate, 0.0),
        feasible=jnp.where(feasible, 1.0, 0.0),
        service=service,
    )
