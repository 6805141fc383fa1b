"""What an accelerator is designed for: passes or steps, and what they demand."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.physics.architecture import kv_cache_bytes
from llmecon.physics.roofline import forward_pass, instance_memory
from llmecon.silicon import Chip, Silicon, as_xpu, running_cost
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Instance, Number, number
from llmecon.training import (
    TrainingJob,
    TrainingLayout,
    TrainingRun,
    activation_bytes_per_token,
    flops_per_token,
    training_step,
)

Scalar = Float[Array, "..."]
# A device without memory: what an instance lacks on it is what its weights need.
_NOTHING = XPU(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


class Serving(eqx.Module):
    """Forward passes of an instance that does nothing else: decoding, or prefill.

    Attributes:
        llm: the model.
        deployment: devices of an instance, and precision.
        new_tokens: tokens computed per sequence and pass: 1 to decode, the prompt to prefill.
        past_tokens: tokens cached per sequence: the context to decode, 0 to prefill.
        limit: seconds that a pass may take: the time per output token, or to first token.
        most: sequences in a pass at most, where no more requests come.
    """

    llm: LLM
    deployment: Deployment
    new_tokens: Number = number()
    past_tokens: Number = number()
    limit: Number = number()
    most: Number = number(default=1e9)


class Training(eqx.Module):
    """Optimizer steps of a run.

    Attributes:
        llm: the model.
        run: what is trained.
        layout: how it is spread.
    """

    llm: LLM
    run: TrainingRun
    layout: TrainingLayout


Job = Serving | Training


class Demand(eqx.Module):
    """What a pass or step takes of each device.

    Attributes:
        seconds: its duration.
        tokens: that all devices together produce or read in it.
        devices: that take part.
        memory: bytes that have to be there.
        flops: executed.
        traffic: bytes of memory moved.
    """

    seconds: Scalar
    tokens: Scalar
    devices: Scalar
    memory: Scalar
    flops: Scalar
    traffic: Scalar


def decode(llm: LLM, deployment: Deployment, context: Scalar | float, tpot: Scalar | float) -> Job:
    """Decoding at a context, with prompts computed elsewhere.

    Args:
        llm: the model.
        deployment: devices of an instance, and precision.
        context: tokens cached per sequence.
        tpot: limit on the time per output token, s.
    """
    return Serving(llm, deployment, 1.0, context, tpot)


def prefill(llm: LLM, deployment: Deployment, prompt: Scalar | float, ttft: Scalar | float) -> Job:
    """Computing prompts, with decoding done elsewhere.

    Args:
        llm: the model.
        deployment: devices of an instance, and precision.
        prompt: tokens.
        ttft: limit on the time of a pass over prompts, s.
    """
    return Serving(llm, deployment, prompt, 0.0, ttft)


def demand(
    job: Job, chip: Chip, silicon: Silicon, efficiency: Efficiency, batch: Scalar | float
) -> Demand:
    """What a job takes of each device of a kind.

    Args:
        job: the passes or steps.
        chip: the device; its capacity is not read.
        silicon: what products attain of the rate.
        efficiency: attained shares and overheads.
        batch: sequences in a pass of the instance, relaxed; not read for training.

    Returns:
        Time, tokens, capacity, arithmetic and traffic.
    """
    if isinstance(job, Training):
        return _training_demand(job, chip, silicon, efficiency)
    xpu = as_xpu(chip, silicon)
    layout, count = job.deployment, jnp.asarray(batch, float)
    cost = forward_pass(
        Instance(job.llm, xpu, layout, efficiency), count, job.new_tokens, job.past_tokens
    )
    return Demand(
        seconds=cost.seconds,
        tokens=count * job.new_tokens,
        devices=layout.xpus,
        memory=stored_weights(job, efficiency) + count * cached_per_sequence(job, efficiency),
        flops=cost.flops / layout.xpus,
        traffic=cost.bytes / layout.xpus,
    )


def stored_weights(job: Serving, efficiency: Efficiency) -> Scalar:
    """Capacity that the weights need on each device.

    Args:
        job: its model and layout.
        efficiency: its usable memory.

    Returns:
        Bytes.
    """
    free = instance_memory(Instance(job.llm, _NOTHING, job.deployment, efficiency))
    return -free / (job.deployment.xpus * efficiency.usable_memory)


def cached_per_sequence(job: Serving, efficiency: Efficiency) -> Scalar:
    """Capacity that one more sequence needs on each device.

    Args:
        job: its model, layout and tokens.
        efficiency: its usable memory.

    Returns:
        Bytes.
    """
    layout = job.deployment
    # Cached heads are replicated when a layer is split more ways than it has key/value heads.
    shards = jnp.where(job.llm.kv_lora_rank > 0, 1.0, jnp.minimum(layout.tensor, job.llm.kv_heads))
    cache = kv_cache_bytes(job.llm, layout.precision, job.past_tokens + job.new_tokens)
    return layout.tensor / shards * cache / (layout.xpus * efficiency.usable_memory)


def _training_demand(job: Training, chip: Chip, silicon: Silicon, efficiency: Efficiency) -> Demand:
    step = training_step(
        TrainingJob(job.llm, as_xpu(chip, silicon), job.run, efficiency), job.layout
    )
    tokens, devices = job.run.global_batch, job.layout.devices
    repeated = 1.0 + job.layout.recompute / 3.0
    stored = job.llm.layers * activation_bytes_per_token(job.llm) * efficiency.training_traffic
    return Demand(
        seconds=step.seconds,
        tokens=tokens,
        devices=devices,
        memory=step.memory / efficiency.usable_memory,
        flops=flops_per_token(job.llm, job.run) * repeated * tokens / devices,
        traffic=stored * repeated * tokens / devices,
    )


def usd_per_token(chip: Chip, silicon: Silicon, need: Demand) -> Scalar:
    """Cost of ownership of a token.

    Args:
        chip: the device.
        silicon: what it costs.
        need: what a pass or step takes of it.

    Returns:
        USD: devices, times their cost per second, over tokens per second.
    """
    rate = running_cost(chip, silicon, need.flops / need.seconds, need.traffic / need.seconds)
    return need.devices * rate.total * need.seconds / need.tokens


def along(job: Job, where: Callable[[Any], Any], values: Float[Array, " values"]) -> Job:
    """A job with other values in one place.

    Args:
        job: the passes or steps.
        where: the place, such as `lambda of: of.past_tokens`, or `of.llm.experts_per_token` for
            models of equal size that use more or fewer of their experts.
        values: to put there.

    Returns:
        With a leading dimension in every leaf.
    """
    count = (len(values),)

    def repeated(leaf: Any) -> Array:
        # As an array of one kind, whatever a number was written as: other kinds are traced anew.
        return jnp.broadcast_to(jnp.asarray(leaf, float), count + jnp.shape(leaf))

    alike = jax.tree.map(repeated, job)
    changed: Job = eqx.tree_at(where, alike, values)
    return changed
