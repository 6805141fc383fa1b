"""What a load generator measures: a fixed number of clients, or a backlog that never ends.

Benchmarks keep a fixed number of requests in flight (a closed loop) rather than a rate of arrivals.
All clients start at once, so the first prompts queue behind each other; later ones arrive as
requests end, and are spread out. A backlog (an "offline" test) fills the memory with requests and
measures throughput alone.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.physics.roofline import attention_groups
from llmecon.serving import (
    CHUNK,
    PIPELINE_DEPTHS,
    TENSOR_WIDTHS,
    OperatingPoint,
    full_rate,
    largest_batch,
    operating_point,
)
from llmecon.specs import Deployment, Efficiency, Instance, Workload

Scalar = Float[Array, "..."]

# Requests that each client sends in a test, as the common load generators do.
WAVES = 10


class LoadTest(eqx.Module):
    """An instance with a fixed number of clients.

    Attributes:
        ttft: mean time to first token, s.
        tpot: mean time per output token of a request, s.
        median_gap: median time between two tokens of a stream, s: most steps compute no prompt.
        output_rate: output tokens per second of the instance.
        energy: of the instance's devices per output token, J; hosts and cooling are not in it.
        point: what the instance does.
    """

    ttft: Scalar
    tpot: Scalar
    median_gap: Scalar
    output_rate: Scalar
    energy: Scalar
    point: OperatingPoint


def closed_loop(instance: Instance, workload: Workload, clients: Scalar) -> LoadTest:
    """Latency, throughput and energy at a fixed number of clients.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: prompt and output lengths.
        clients: requests sent to the instance and not yet answered, >= 1.

    Returns:
        The measurements. TTFT is the time of a request outside the model, the wait for a step to
        end, the wait for other prompts with one's own computation, averaged over the burst with
        which the test starts and the waves that follow it, and, for more clients than the memory
        holds, the wait for a place [Little1961]; `simulation.closed_loop` checks it.
    """
    deployment, efficiency = instance.deployment, instance.efficiency
    room = jnp.maximum(largest_batch(instance, workload), 1.0)
    batch = jnp.minimum(clients, room)
    point = operating_point(instance, workload, batch)
    at_once = deployment.pipeline * attention_groups(deployment)
    # A prompt's own pass, and what it adds to a pass over many and to one in which others decode.
    alone = point.prefill / at_once
    turn = point.chunked_prefill / at_once
    among = point.mixed_prefill / (efficiency.prefill_interference * at_once)
    outside = efficiency.request_time + efficiency.request_time_per_client * clients
    place = jnp.maximum(clients - room, 0.0) / point.rate

    # The first wave: everyone in the same chunk gets a first token together.
    chunks = batch * workload.computed_prompt_tokens / CHUNK
    together = jnp.minimum(batch, batch / chunks)
    rest = jnp.maximum(chunks - 1.0, 0.0)
    first = alone - turn + 0.5 * (turn * (batch + together) + point.step * rest)
    # Later waves ask again at the end of a step, and share the next one with those whose outputs
    # happen to have ended at the same step: a normal's density, ever wider. Outputs of one length
    # all end together, and each waits for half of the others.
    others = jnp.maximum(batch - 1.0, 0.0)
    spread = workload.output_cv * workload.output_tokens
    waves = jnp.arange(1.0, WAVES)
    meetings = others / jnp.sqrt(4.0 + 4.0 * jnp.pi * waves * spread**2)
    accompanied = jnp.minimum(others, 1.0)
    steps = jnp.maximum(workload.computed_prompt_tokens / CHUNK, 1.0) * accompanied
    own = alone + accompanied * (among - alone)
    later = own + turn * meetings + point.step * steps
    queued = (first + jnp.sum(later)) / WAVES
    ttft = efficiency.first_token_multiple * (
        outside
        + efficiency.first_token_steps * point.step
        + efficiency.first_token_prefills * queued
        + place
    )
    # Prompts that a step computes, on average and in its median (a smooth Poisson's).
    prompts = batch / workload.output_tokens
    median = prompts**3 / (prompts**2 + 0.5)
    mixed = 1.0 - deployment.disaggregated
    output_rate = point.rate * workload.output_tokens
    return LoadTest(
        ttft=ttft,
        tpot=point.tpot,
        median_gap=point.step + mixed * median * point.mixed_prefill / at_once,
        output_rate=output_rate,
        energy=deployment.xpus * point.power / output_rate,
        point=point,
    )


def all_at_once(
    test: LoadTest, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> LoadTest:
    """What a batch measures whose requests start together and end together.

    Args:
        test: the same requests in a closed loop, as `closed_loop` finds it.
        deployment: the layout of the instance.
        workload: prompt and output lengths, the same for all requests.
        efficiency: attained shares and overheads.

    Returns:
        The measurements: all prompts are computed first, then all outputs step by step, so that no
        prompt delays a token. A batch that the memory doesn't hold runs in several turns, whose
        waiting isn't counted in TTFT.
    """
    point = test.point
    at_once = deployment.pipeline * attention_groups(deployment)
    turn = point.chunked_prefill / at_once
    prompts = jnp.maximum(point.prefill / at_once - turn, 0.0) + turn * point.batch
    whole = prompts + workload.output_tokens * point.step
    output_rate = point.batch * workload.output_tokens / whole
    return LoadTest(
        ttft=efficiency.first_token_multiple * (efficiency.request_time + prompts),
        tpot=point.step,
        median_gap=point.step,
        output_rate=output_rate,
        energy=deployment.xpus * point.power / output_rate,
        point=point,
    )


def saturated(
    instance: Instance,
    workload: Workload,
    xpus: Scalar,
    width: Scalar | float = 0.0,
    depth: Scalar | float = 0.0,
) -> Scalar:
    """Output tokens per second of some devices that work off a backlog, in their best layout.

    Args:
        instance: model, accelerator, precision and what it attains; its layout is not used.
        workload: prompt and output lengths.
        xpus: devices in all, >= 1.
        width: devices that a layer is split over, one of TENSOR_WIDTHS; 0 for the best.
        depth: stages of layers, one of PIPELINE_DEPTHS; 0 for the best.

    Returns:
        Tokens per second over all devices, copies of the layout relaxed; 0 where the weights fit
        in no layout. Nothing is streamed to anyone, so the host's work per sequence is left out.
    """
    unstreamed = eqx.tree_at(
        lambda of: of.efficiency.host_time_per_sequence, instance, jnp.zeros(())
    )
    tensor, pipeline = (
        axis.ravel() for axis in np.meshgrid(TENSOR_WIDTHS, PIPELINE_DEPTHS, indexing="ij")
    )

    def rate(tensor: Scalar, pipeline: Scalar) -> Scalar:
        laid_out = eqx.tree_at(
            lambda of: (of.deployment.tensor, of.deployment.expert, of.deployment.pipeline),
            unstreamed,
            (tensor, jnp.ones(()), pipeline),
        )
        instances = xpus / (tensor * pipeline)
        allowed = (tensor <= jnp.maximum(instance.xpu.link_domain, 1.0)) & (instances >= 1.0)
        allowed &= ((width == 0) | (width == tensor)) & ((depth == 0) | (depth == pipeline))
        fits = largest_batch(laid_out, workload) >= 1.0
        each = full_rate(laid_out, workload) * workload.output_tokens
        return jnp.where(allowed & fits, instances * each, 0.0)

    return jnp.max(jax.vmap(rate)(jnp.asarray(tensor), jnp.asarray(pipeline)))
