"""Prefill and decode on instances of their own, each priced apart.

Under disaggregation [Zhong2024; Patel2023] one pool of instances computes prompts, and another
produces tokens that no prompt delays. The two meet in the KV cache that crosses the network, and in
the user's time to first token: the prompt's wait, its computation, the transfer, and the wait for a
slot among those that decode.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.physics.architecture import kv_cache_bytes
from llmecon.physics.energy import device_power
from llmecon.physics.queueing import lognormal_quantile, wait
from llmecon.physics.roofline import attention_groups, forward_pass
from llmecon.serving import HORIZON, largest_batch, operating_point, service_at
from llmecon.specs import Instance, Workload

Scalar = Float[Array, "..."]


class Stage(eqx.Module):
    """What an instance does for one request, all of it or one of its two phases.

    Attributes:
        time: of the instance that the request takes, s.
        power: average power of one device, W.
        ttft: its part of the mean time to first token, s.
        ttft_quantile: its part of the TTFT that a share of requests stays below, s.
        tpot: time per output token, s; 0 where none are produced.
    """

    time: Scalar
    power: Scalar
    ttft: Scalar
    ttft_quantile: Scalar
    tpot: Scalar


def mixed(instance: Instance, workload: Workload, batch: Scalar, quantile: Scalar | float) -> Stage:
    """A request on an instance that computes prompts and decodes by turns.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
        batch: requests in flight on average, > 0.
        quantile: share of requests that the second TTFT covers.

    Returns:
        The whole request, as `serving.service_at` has it.
    """
    service = service_at(instance, workload, batch, quantile)
    point = service.point
    return Stage(1.0 / point.rate, point.power, service.ttft, service.ttft_quantile, point.tpot)


def decoding(
    instance: Instance, workload: Workload, batch: Scalar, quantile: Scalar | float
) -> Stage:
    """A request's output on an instance that only decodes.

    Args:
        instance: model, accelerator, layout and what it attains; what the layout says of
            disaggregation is passed over.
        workload: lengths and burstiness.
        batch: requests in flight on average, > 0.
        quantile: share of requests that the second TTFT covers.

    Returns:
        The output alone; its part of the TTFT is the wait for a slot.
    """
    apart = eqx.tree_at(lambda of: of.deployment.disaggregated, instance, jnp.ones_like(batch))
    room = jnp.maximum(largest_batch(apart, workload), 1.0)
    full = operating_point(apart, workload, room)
    service = service_at(apart, workload, batch, quantile)
    slot = wait(
        service.load,
        full.rate,
        full.batch,
        workload.interarrival_cv,
        workload.output_cv,
        HORIZON,
        jnp.minimum(batch, room) / full.batch,
    )
    point = service.point
    return Stage(
        1.0 / point.rate, point.power, slot.mean, slot.quantile(jnp.asarray(quantile)), point.tpot
    )


def prefilling(
    instance: Instance, workload: Workload, load: Scalar, quantile: Scalar | float
) -> Stage:
    """A request's prompt on an instance that computes nothing else.

    Prompts are computed one after another, by every attention group and pipeline stage, and their
    KV cache then leaves through the devices' network ports.

    Args:
        instance: model, accelerator, layout and what it attains; what the layout says of
            disaggregation is passed over.
        workload: lengths and burstiness.
        load: share of time that the instance is at work, > 0, < 1.
        quantile: share of requests that the second TTFT covers.

    Returns:
        The prompt alone; its part of the TTFT is all but the wait for a slot.
    """
    deployment, efficiency = instance.deployment, instance.efficiency
    computed = jnp.maximum(workload.computed_prompt_tokens, 1.0)
    cached = jnp.maximum(workload.prompt_tokens - computed, 0.0)
    at_once = deployment.pipeline * attention_groups(deployment)
    cost = forward_pass(instance, at_once, computed, cached)
    own = efficiency.prefill_multiple * cost.seconds
    capacity = at_once / own
    queue = wait(load, capacity, at_once, workload.interarrival_cv, workload.prompt_cv, HORIZON)
    ports = (
        deployment.tensor * deployment.pipeline * instance.xpu.network_bandwidth * efficiency.link
    )
    moved = kv_cache_bytes(instance.llm, deployment.precision, workload.prompt_tokens) / ports
    multiple, share = efficiency.first_token_multiple, jnp.asarray(quantile)
    begun = multiple * (efficiency.request_time + own) + moved
    # Long prompts take longer to compute and to move. Who waits long need not be long: deviations
    # add up as squares do.
    beyond = (multiple * own + moved) * (lognormal_quantile(share, workload.prompt_cv) - 1.0)
    waited = queue.quantile(share)
    apart, together = jnp.sqrt(waited**2 + beyond**2 + 1e-24), waited + beyond
    busy = load * efficiency.prefill_multiple / own
    return Stage(
        time=1.0 / (load * capacity),
        power=device_power(instance.xpu, efficiency, load, busy * cost.compute, busy * cost.memory),
        ttft=begun + queue.mean,
        ttft_quantile=begun + jnp.where(beyond > 0.0, apart, together),
        tpot=jnp.zeros_like(load),
    )
