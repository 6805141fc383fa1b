"""An instance that keeps some requests in flight: latency, throughput and power of its batch.

How the batch of a running instance relates to TPOT and rate, `service` says.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.numerics import solve_increasing
from llmecon.physics.energy import device_power
from llmecon.physics.roofline import PassCost, attention_groups, forward_pass, sequences_that_fit
from llmecon.physics.speculation import tokens_per_round
from llmecon.specs import LLM, Deployment, Instance, Workload

Scalar = Float[Array, "..."]

# Engines cap the sequences that one scheduler runs at once; common defaults are of this order.
MAXIMUM_SEQUENCES = 1024.0
# Prompt tokens that engines compute in one step at most; a common default [Agrawal2024].
CHUNK = 8192.0
# The lightest load considered: a request in flight one thousandth of the time.
MINIMUM_BATCH = 1e-3


class OperatingPoint(eqx.Module):
    """An instance with a steady number of requests in flight.

    Attributes:
        batch: requests in flight, on average over time.
        tpot: time per output token as a request feels it, s.
        step: one decode step with no prompt in its way, s.
        prefill: time to compute one prompt with nothing in its way, s.
        chunked_prefill: time that one more prompt adds to a pass over many prompts, s.
        mixed_prefill: time that a prompt adds to the steps in which others decode, s.
        rate: requests completed per second.
        prefill_share: share of the instance's time that goes into prompts.
        busy: share of time with any request in flight.
        compute_use: share of time that a device's arithmetic needs, at the rate it attains.
        memory_use: share of time that its memory traffic needs, at the rate it attains.
        power: average power of one device, W.
    """

    batch: Scalar
    tpot: Scalar
    step: Scalar
    prefill: Scalar
    chunked_prefill: Scalar
    mixed_prefill: Scalar
    rate: Scalar
    prefill_share: Scalar
    busy: Scalar
    compute_use: Scalar
    memory_use: Scalar
    power: Scalar


def within_context(llm: LLM, workload: Workload) -> Array:
    """Whether a model's context holds requests of the mean length; safe under tracing."""
    return workload.prompt_tokens + workload.output_tokens <= llm.context


def require_context(llm: LLM, workload: Workload) -> None:
    """Refuse requests beyond the model's context, where numbers are known and not traced.

    Raises:
        InputError: prompt and output together exceed the context.
    """
    fits = within_context(llm, workload)
    if isinstance(fits, jax.core.Tracer) or bool(jnp.all(fits)):
        return
    longest = jnp.max(workload.prompt_tokens + workload.output_tokens)
    raise InputError(
        f"requests of {float(longest):,.0f} tokens exceed the model's context of "
        f"{float(jnp.min(llm.context)):,.0f}: shorten prompt or output, or choose a model with more"
    )


def tokens_per_step(deployment: Deployment) -> Scalar:
    """Output tokens that a decode step yields per sequence under speculative decoding.

    Args:
        deployment: its draft length g and acceptance a, 0 <= a <= 1.

    Returns:
        (1 - a**(g+1)) / (1 - a) [Leviathan2022]; 1 without drafts, g + 1 if all are accepted.
    """
    return tokens_per_round(deployment.acceptance, deployment.draft_tokens)


def largest_batch(instance: Instance, workload: Workload) -> Scalar:
    """Requests that an instance can hold in flight at once.

    Args:
        instance: its usable memory holds the weights and what requests cache.
        workload: its mean context sizes a request's KV cache.

    Returns:
        Requests, relaxed: what the memory or the scheduler allows; 0 where weights do not fit.
    """
    room = sequences_that_fit(instance, workload.mean_context)
    return jnp.minimum(room, MAXIMUM_SEQUENCES * attention_groups(instance.deployment))


def prompts_at_once(deployment: Deployment) -> Scalar:
    """Each attention group and each pipeline stage works on a prompt of its own."""
    return deployment.pipeline * attention_groups(deployment)


def _prompt_passes(instance: Instance, workload: Workload) -> tuple[PassCost, PassCost]:
    """Cost of a prompt computed by itself, and what each further one adds to a chunk of them.

    As many are priced as are computed at once; their cached parts are only attended to.
    """
    computed = jnp.maximum(workload.computed_prompt_tokens, 1.0)
    cached = jnp.maximum(workload.prompt_tokens - computed, 0.0)
    at_once = prompts_at_once(instance.deployment)
    more = CHUNK / computed

    def price(count: Scalar) -> PassCost:
        return forward_pass(instance, count * at_once, computed, cached)

    # One after the other: a pass over two counts at once keeps a compiler from joining it with
    # what else is computed of the same system.
    alone, many = price(jnp.ones_like(more)), price(1.0 + more)
    added: PassCost = jax.tree.map(lambda all_, one: (all_ - one) / more, many, alone)
    return alone, added


@jax.jit
def operating_point(instance: Instance, workload: Workload, batch: Scalar) -> OperatingPoint:
    """What an instance does while it keeps some requests in flight.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: prompt and output lengths.
        batch: requests in flight on average, > 0, relaxed.

    Returns:
        Latency, throughput and power of the instance.
    """
    # The batch that a running request sees: at light load the instance is idle part of the time,
    # and whenever it runs there is at least one request.
    deployment, efficiency = instance.deployment, instance.efficiency
    busy = -jnp.expm1(-batch)
    seen = batch / busy
    gained = tokens_per_step(deployment)
    checked = 1.0 + deployment.draft_tokens
    past = jnp.maximum(workload.mean_context - checked, 0.0)
    decode = forward_pass(instance, seen, checked, past)
    drafted = 1.0 + deployment.draft_tokens * deployment.draft_cost
    step = efficiency.decode_multiple * decode.seconds * drafted

    at_once = prompts_at_once(deployment)
    alone, added = _prompt_passes(instance, workload)
    mixed = 1.0 - deployment.disaggregated
    prefill = efficiency.prefill_multiple * alone.seconds
    chunked_prefill = efficiency.prefill_multiple * added.seconds
    mixed_prefill = efficiency.prefill_interference * jnp.maximum(chunked_prefill, prefill - step)
    # Nothing else is in flight for the first of the requests seen.
    company = (seen - 1.0) / seen
    prompt_time = mixed * (prefill + company * (mixed_prefill - prefill)) / at_once

    output = workload.output_tokens
    tpot = step / gained + (seen - 1.0) / output * mixed * mixed_prefill / at_once
    rate = batch / (prompt_time + output * tpot)
    decode_time = output * step / gained
    steps = rate * output / (gained * seen)
    prompt_passes = mixed * rate / at_once * efficiency.prefill_multiple
    prompt_compute = alone.compute + company * (added.compute - alone.compute)
    prompt_memory = alone.memory + company * (added.memory - alone.memory)
    compute_use = steps * decode.compute + prompt_passes * prompt_compute
    memory_use = steps * decode.memory + prompt_passes * prompt_memory
    return OperatingPoint(
        batch=batch,
        tpot=tpot,
        step=step,
        prefill=prefill,
        chunked_prefill=chunked_prefill,
        mixed_prefill=mixed_prefill,
        rate=rate,
        prefill_share=seen * prompt_time / (seen * prompt_time + decode_time),
        busy=busy,
        compute_use=compute_use,
        memory_use=memory_use,
        power=device_power(instance.xpu, efficiency, busy, compute_use, memory_use),
    )


def operating_point_at(
    instance: Instance, workload: Workload, tpot: Scalar | float
) -> OperatingPoint:
    """The fullest operating point whose tokens still come at a given pace.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: prompt and output lengths.
        tpot: time per output token that may be reached, s.

    Returns:
        The point whose TPOT is `tpot`; the emptiest one where even that is slower, the fullest one
        that memory allows where even that is faster.
    """
    room = jnp.maximum(largest_batch(instance, workload), 1.0)

    def excess(batch: Scalar) -> Scalar:
        point = operating_point(instance, workload, batch)
        return jnp.log(point.tpot / tpot)

    batch = solve_increasing(excess, MINIMUM_BATCH, room)
    return operating_point(instance, workload, batch)


def prefill_rate(instance: Instance, workload: Workload) -> Scalar:
    """Prompts that an instance computes when it does nothing else, as under disaggregation.

    Args:
        instance: each attention group and each pipeline stage of its layout works on a prompt of
            its own.
        workload: its prompts; the cached part is attended to but not computed.

    Returns:
        Requests per second, as many prompts in each pass as make up a chunk [Zhong2024].
    """
    alone, added = _prompt_passes(instance, workload)
    together = jnp.maximum(CHUNK / jnp.maximum(workload.computed_prompt_tokens, 1.0), 1.0)
    each = added.seconds + (alone.seconds - added.seconds) / together
    return prompts_at_once(instance.deployment) / (instance.efficiency.prefill_multiple * each)


def full_rate(instance: Instance, workload: Workload) -> Scalar:
    """The most requests per second that an instance completes if nobody minds waiting.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: prompt and output lengths.

    Returns:
        Requests per second at the largest batch.
    """
    room = jnp.maximum(largest_batch(instance, workload), 1.0)
    return operating_point(instance, workload, room).rate
