"""A training run: FLOPs, memory, layout, wall-clock, and how many devices a deadline takes.

Full fine-tuning is the same run with fewer tokens; LoRA is the same run with few trainable
weights.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.energy import device_power
from llmecon.numerics import smooth_maximum, solve_increasing
from llmecon.roofline import attended_pairs, collective_time, exchange_time, parameters
from llmecon.specs import LLM, XPU, Efficiency, Number, number

Scalar = Float[Array, "..."]

# Bytes per weight of mixed-precision training with Adam [Rajbhandari2020]: bf16 weights, fp32
# gradients, and an fp32 master copy with two moments for every weight that is trained.
WEIGHT_BYTES = 2.0
GRADIENT_BYTES = 4.0
OPTIMIZER_BYTES = 12.0
ACTIVATION_BYTES = 2.0

# The layouts that are considered. Without recomputation all activations are stored; with all of
# it, one vector per layer and token; half of it is the middle way.
TENSOR_WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
PIPELINE_DEPTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RECOMPUTED_SHARES = (0.0, 0.5, 1.0)
SEARCHED_REPLICAS = 32


class TrainingRun(eqx.Module):
    """What is to be trained.

    Attributes:
        tokens: training tokens in all.
        sequence: tokens per sequence.
        global_batch: tokens per optimizer step.
        trainable: share of weights that are trained: 1, or well under 0.01 for LoRA.
        compute_precision_gain: rate of the arithmetic used over bf16's: 1, or up to 2 for fp8.
    """

    tokens: Number = number()
    sequence: Number = number()
    global_batch: Number = number()
    trainable: Number = number(default=1.0)
    compute_precision_gain: Number = number(default=1.0)


class Reliability(eqx.Module):
    """How often a cluster stops, and what a stop costs.

    Attributes:
        device_mtbf: mean time between failures that stop the job, per device, s.
        checkpoint: time that writing a checkpoint holds the job up, s, > 0.
        restart: time from a failure to training again, s.
    """

    device_mtbf: Number = number()
    checkpoint: Number = number()
    restart: Number = number()


class TrainingLayout(eqx.Module):
    """How a run is spread over devices: `tensor * pipeline * data` of them.

    Optimizer states are always sharded over the data-parallel replicas (ZeRO stage 1); experts
    are spread over the replicas too.

    Attributes:
        tensor: devices that each layer is split over.
        pipeline: consecutive groups of layers on different devices.
        data: replicas that see different sequences.
        shard_weights: 1 if weights and gradients are sharded over replicas too (ZeRO stage 3,
            FSDP), else 0.
        recompute: share of activations recomputed in the backward pass instead of stored.
    """

    tensor: Number = number()
    pipeline: Number = number()
    data: Number = number()
    shard_weights: Number = number(default=0.0)
    recompute: Number = number(default=0.0)

    @property
    def devices(self) -> Scalar:
        """Devices in all."""
        return self.tensor * self.pipeline * self.data


class TrainingStep(eqx.Module):
    """One optimizer step.

    Attributes:
        seconds: its duration.
        mfu: model FLOPs utilisation: useful FLOP/s over bf16 peak.
        bubble: share of the step that the pipeline's devices wait to fill and drain.
        memory: bytes needed on the fullest device.
        power: average power of one device, W.
    """

    seconds: Scalar
    mfu: Scalar
    bubble: Scalar
    memory: Scalar
    power: Scalar


class TrainingPlan(eqx.Module):
    """A whole run under the layout chosen for it.

    Attributes:
        layout: the layout chosen; its number of devices is relaxed.
        seconds: wall-clock time, failures and checkpoints included.
        device_seconds: devices times wall-clock.
        step: one optimizer step under that layout.
        goodput: share of wall-clock that advances the run.
        checkpoint_interval: best time between checkpoints, s.
        feasible: 1 where the memory suffices and the deadline, if any, is met, else 0.
        fits: 1 where the layout is possible and the memory suffices, else 0.
        possible: 1 where the layout can be wired and every replica has work, else 0.
    """

    layout: TrainingLayout
    seconds: Scalar
    device_seconds: Scalar
    step: TrainingStep
    goodput: Scalar
    checkpoint_interval: Scalar
    feasible: Scalar
    fits: Scalar
    possible: Scalar


def flops_per_token(llm: LLM, run: TrainingRun) -> Scalar:
    """FLOPs that one training token needs, attention included, recomputation not.

    Args:
        llm: the model.
        run: its sequence length and trainable share.

    Returns:
        FLOPs: 2 per weight forward, 2 for the gradient of activations and 2 more for that of
        each weight trained, so 6 N for a full run and about 4 N for LoRA [Kaplan2020]; attention
        as published model FLOPs count it [Chowdhery2022], halved for causality.
    """
    weights = parameters(llm).active
    pairs = attended_pairs(llm, run.sequence, jnp.zeros(())) / run.sequence
    attention = 2.0 * pairs * llm.heads * (llm.head_dim + llm.rope_dim + llm.value_dim)
    return weights * (4.0 + 2.0 * run.trainable) + 3.0 * attention


def activation_bytes_per_token(llm: LLM) -> Scalar:
    """Bytes of activations that one layer stores per token for its backward pass.

    Args:
        llm: the model.

    Returns:
        Bytes, averaged over layers. For GPT-3's block this is 32 per unit of width, which the two
        one-byte dropout masks of the original raise to the published 34 [Korthikanti2022].
    """
    query = llm.heads * (llm.head_dim + llm.rope_dim)
    keys_values = llm.kv_heads * (llm.head_dim + llm.value_dim)
    output = llm.heads * llm.value_dim
    attention = 4.0 * llm.width + query + keys_values + output
    # A gated network keeps gate, up-projection and their product; a plain one, input and output
    # of its non-linearity.
    dense = llm.ff_matrices * llm.ff_width
    experts = (llm.experts_per_token + llm.shared_experts) * llm.expert_ff_width * llm.ff_matrices
    feed_forward = ((llm.layers - llm.moe_layers) * dense + llm.moe_layers * experts) / llm.layers
    return ACTIVATION_BYTES * (attention + feed_forward)


def training_memory(llm: LLM, run: TrainingRun, layout: TrainingLayout) -> Scalar:
    """Bytes needed on the fullest device.

    Args:
        llm: the model.
        run: what is trained.
        layout: how it is spread.

    Returns:
        Weights, gradients and optimizer states [Rajbhandari2020], plus the activations of the first
        pipeline stage, which holds as many sequences in flight as there are stages, so those of all
        layers of one sequence, divided over the tensor-parallel group [Korthikanti2022].
    """
    count = parameters(llm)
    stage = layout.tensor * layout.pipeline
    # Experts sit on different replicas, so that each holds a part of them even without sharding.
    expert_spread = jnp.clip(layout.data, 1.0, jnp.maximum(llm.experts, 1.0))
    held = (count.total - count.experts + count.experts / expert_spread) / stage
    sharded = count.total / (stage * layout.data)
    resident = jnp.where(layout.shard_weights > 0.0, sharded, held)
    states = (
        resident * (WEIGHT_BYTES + GRADIENT_BYTES * run.trainable)
        + sharded * OPTIMIZER_BYTES * run.trainable
    )
    per_layer = activation_bytes_per_token(llm)
    checkpointed = ACTIVATION_BYTES * llm.width
    kept = (1.0 - layout.recompute) * per_layer + layout.recompute * checkpointed
    # Whatever is recomputed, one layer's activations exist in full while it is being worked on.
    activations = run.sequence * (llm.layers * kept + layout.recompute * per_layer)
    logits = run.sequence * llm.vocabulary * 4.0 / layout.pipeline
    return states + (activations + logits) / layout.tensor


def training_step(
    llm: LLM, xpu: XPU, run: TrainingRun, layout: TrainingLayout, efficiency: Efficiency
) -> TrainingStep:
    """Price one optimizer step of a run under a layout.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        layout: how it is spread.
        efficiency: attained shares of peak and link rates.

    Returns:
        Time, MFU, pipeline bubble and memory. Tensor-parallel traffic follows the computation; the
        replicas' gradients and the experts' exchanges overlap with it; the pipeline idles for
        (stages - 1) of its micro-batches [Narayanan2021].
    """
    tokens = run.global_batch
    useful = flops_per_token(llm, run) * tokens
    executed = useful * (1.0 + layout.recompute / 3.0)
    peak = xpu.bf16_flops * run.compute_precision_gain
    products = executed / (layout.devices * peak * efficiency.training_compute)
    # Norms, activations, residual sums: bound by memory, and in line with the products.
    moved = tokens * llm.layers * activation_bytes_per_token(llm) * (1.0 + layout.recompute / 3.0)
    elementwise = (
        efficiency.training_traffic
        * moved
        / (layout.devices * xpu.memory_bandwidth * efficiency.memory)
    )
    compute = products + elementwise

    # Each layer sums activations twice forward and twice backward, recomputation repeats two.
    passes = 4.0 + 2.0 * layout.recompute
    layers = llm.layers / layout.pipeline
    tokens_per_replica = tokens / layout.data
    micro_batches = tokens_per_replica / run.sequence
    row = run.sequence * llm.width * ACTIVATION_BYTES
    tensor = micro_batches * collective_time(
        xpu, layout.tensor, passes * layers * row, passes * layers, efficiency
    )
    moe_layers = llm.moe_layers / layout.pipeline
    experts = jnp.maximum(llm.experts, 1.0)
    ways = jnp.clip(layout.data, 1.0, experts)
    sent = row * llm.experts_per_token / layout.tensor
    exchange = micro_batches * exchange_time(
        xpu, ways, passes * moe_layers * sent, passes * moe_layers, efficiency, layout.tensor
    )

    count = parameters(llm)
    stage = layout.tensor * layout.pipeline
    shared_weights = (count.total - count.experts + count.experts / ways) / stage
    volume = shared_weights * ACTIVATION_BYTES * run.trainable
    # Sharded weights are gathered forward and backward besides: half as much traffic again.
    volume = volume + 0.5 * layout.shard_weights * shared_weights * WEIGHT_BYTES
    # A replica's counterparts are a tensor-parallel group apart.
    gradients = collective_time(
        xpu, layout.data, volume, jnp.zeros(()), efficiency, stride=layout.tensor
    )

    work = tensor + smooth_maximum(compute, gradients, exchange, sharpness=efficiency.sharpness)
    waiting = (layout.pipeline - 1.0) / jnp.maximum(micro_batches, 1.0)
    seconds = work * (1.0 + waiting) + efficiency.host_time
    mfu = useful / (seconds * layout.devices * xpu.bf16_flops)
    compute_use = executed / (seconds * layout.devices * peak)
    memory_use = elementwise * efficiency.memory / seconds
    return TrainingStep(
        seconds=seconds,
        mfu=mfu,
        bubble=waiting / (1.0 + waiting),
        memory=training_memory(llm, run, layout),
        power=device_power(xpu, efficiency, jnp.ones(()), compute_use, memory_use),
    )


def checkpoint_interval(devices: Scalar, reliability: Reliability) -> Scalar:
    """Best time between checkpoints.

    Args:
        devices: devices in the job.
        reliability: failure rate and cost of a checkpoint.

    Returns:
        sqrt(2 * checkpoint * MTBF of the job) s [Young1974].
    """
    job_mtbf = reliability.device_mtbf / devices
    return jnp.sqrt(2.0 * reliability.checkpoint * job_mtbf)


def training_goodput(devices: Scalar, reliability: Reliability) -> Scalar:
    """Share of wall-clock that advances the run, with checkpoints at the best interval.

    Args:
        devices: devices in the job.
        reliability: failures and what they cost.

    Returns:
        Between 0 and 1: exponential failures at the job's rate, each losing the restart and half an
        interval on average, and one checkpoint per interval [Daly2006].
    """
    job_mtbf = reliability.device_mtbf / devices
    interval = checkpoint_interval(devices, reliability)
    # Daly's exact expectation: stays positive however often the job fails.
    span = (interval + reliability.checkpoint) / job_mtbf
    expected = job_mtbf * jnp.exp(reliability.restart / job_mtbf) * jnp.expm1(span)
    return interval / expected


def wall_clock(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    layout: TrainingLayout,
    efficiency: Efficiency,
    reliability: Reliability,
) -> Scalar:
    """Duration of a whole run, failures and checkpoints included.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        layout: how it is spread.
        efficiency: attained shares of peak and link rates.
        reliability: failures and what they cost.

    Returns:
        Seconds.
    """
    step = training_step(llm, xpu, run, layout, efficiency)
    steps = run.tokens / run.global_batch
    return steps * step.seconds / training_goodput(layout.devices, reliability)


def _candidates() -> TrainingLayout:
    """Every layout considered, but for its number of replicas: a leading dimension of them."""
    grid = np.meshgrid(TENSOR_WIDTHS, PIPELINE_DEPTHS, (0.0, 1.0), RECOMPUTED_SHARES, indexing="ij")
    tensor, pipeline, shard, recompute = (axis.ravel() for axis in grid)
    return TrainingLayout(tensor, pipeline, np.ones_like(tensor), shard, recompute)


def _with_replicas(layout: TrainingLayout, data: Scalar) -> TrainingLayout:
    spread: TrainingLayout = eqx.tree_at(lambda of: of.data, layout, data)
    return spread


def _plan(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    layout: TrainingLayout,
    efficiency: Efficiency,
    reliability: Reliability,
    deadline: Scalar,
) -> TrainingPlan:
    step = training_step(llm, xpu, run, layout, efficiency)
    seconds = wall_clock(llm, xpu, run, layout, efficiency, reliability)
    # A layout is possible if links join its devices, and every replica has work.
    slack = 1.0 + 1e-9
    possible = (
        (layout.tensor <= xpu.link_domain)
        & (layout.pipeline <= llm.layers)
        & (layout.data * slack >= 1.0)
        & (layout.data * run.sequence <= run.global_batch * slack)
        & ((layout.devices <= 1.0) | (xpu.link_domain > 1.0))
    )
    fits = possible & (step.memory <= xpu.memory * efficiency.usable_memory * slack)
    # A root is found to twelve digits; a deadline met to nine is met.
    in_time = seconds <= deadline * slack
    return TrainingPlan(
        layout=layout,
        seconds=seconds,
        device_seconds=seconds * layout.devices,
        step=step,
        goodput=training_goodput(layout.devices, reliability),
        checkpoint_interval=checkpoint_interval(layout.devices, reliability),
        feasible=jnp.where(fits & in_time, 1.0, 0.0),
        fits=jnp.where(fits, 1.0, 0.0),
        possible=jnp.where(possible, 1.0, 0.0),
    )


def plan_for_devices(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    devices: Scalar,
    efficiency: Efficiency,
    reliability: Reliability,
) -> TrainingPlan:
    """The fastest layout of a run on a given number of devices.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        devices: how many devices there are.
        efficiency: attained shares of peak and link rates.
        reliability: failures and what they cost.

    Returns:
        The plan; `fits` is 0 where no layout considered fits the memory.
    """
    given = (llm, xpu, run, devices, efficiency, reliability)

    def plan(layout: TrainingLayout, given: tuple[Any, ...]) -> TrainingPlan:
        llm, xpu, run, devices, efficiency, reliability = given
        spread = _with_replicas(layout, devices / (layout.tensor * layout.pipeline))
        return _plan(llm, xpu, run, spread, efficiency, reliability, jnp.asarray(jnp.inf))

    def score(plan: TrainingPlan) -> Scalar:
        return jnp.where(plan.fits > 0.0, jnp.log(plan.seconds), _unfit(plan))

    return _best(plan, given, score)


def plan_for_deadline(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    deadline: Scalar,
    efficiency: Efficiency,
    reliability: Reliability,
) -> TrainingPlan:
    """The fewest devices that finish a run by a deadline, and their layout.

    Every combination of tensor width, pipeline depth, sharding and recomputation gets as many
    replicas as it needs; the one with the fewest devices wins. Its gradient is that of the
    winner: how the number of devices moves with every input while the layout stays.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        deadline: wall-clock time allowed, s.
        efficiency: attained shares of peak and link rates.
        reliability: failures and what they cost.

    Returns:
        The plan; where nothing meets the deadline (`feasible` is 0), the fastest that fits.
    """
    given = (llm, xpu, run, deadline, efficiency, reliability)

    def plan(layout: TrainingLayout, given: tuple[Any, ...]) -> TrainingPlan:
        llm, xpu, run, deadline, efficiency, reliability = given
        return plan_with_layout(llm, xpu, run, layout, deadline, efficiency, reliability)

    def score(plan: TrainingPlan) -> Scalar:
        # Feasible plans compete on devices, those that fit on time, the rest on memory.
        too_late = 1e6 + jnp.log(plan.seconds)
        fitting = jnp.where(plan.feasible > 0.0, jnp.log(plan.layout.devices), too_late)
        return jnp.where(plan.fits > 0.0, fitting, _unfit(plan))

    return _best(plan, given, score)


def plan_with_layout(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    layout: TrainingLayout,
    deadline: Scalar,
    efficiency: Efficiency,
    reliability: Reliability,
) -> TrainingPlan:
    """The fewest replicas of a given layout that finish a run by a deadline.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        layout: its tensor width, pipeline depth, sharding and recomputation; its number of replicas
            is not used.
        deadline: wall-clock time allowed, s.
        efficiency: attained shares of peak and link rates.
        reliability: failures and what they cost.

    Returns:
        The plan with the root of wall-clock = deadline, or what the memory takes if that is more.
    """
    # A replica works on at least one sequence a step; devices without links can't form replicas.
    most = jnp.where(xpu.link_domain > 1.0, run.global_batch / run.sequence, 1.0)
    most = jnp.maximum(most, 1.0)
    usable = xpu.memory * efficiency.usable_memory

    def too_slow(data: Scalar) -> Scalar:
        spread = _with_replicas(layout, data)
        seconds = wall_clock(llm, xpu, run, spread, efficiency, reliability)
        return jnp.log(deadline / seconds)

    def too_large(data: Scalar) -> Scalar:
        return jnp.log(usable / training_memory(llm, run, _with_replicas(layout, data)))

    # Ever more devices fail ever more often: beyond some number a run gets slower again.
    counts = jnp.geomspace(1.0, most, SEARCHED_REPLICAS)
    clocks = jax.vmap(
        lambda data: wall_clock(
            llm, xpu, run, _with_replicas(layout, data), efficiency, reliability
        )
    )(counts)
    in_time = solve_increasing(too_slow, 1.0, counts[jnp.argmin(clocks)])
    in_memory = solve_increasing(too_large, 1.0, most)
    spread = _with_replicas(layout, jnp.maximum(in_time, in_memory))
    return _plan(llm, xpu, run, spread, efficiency, reliability, deadline)


def _unfit(plan: TrainingPlan) -> Scalar:
    """Score of a plan that does not fit: the one nearest to fitting shows best what is missing."""
    return 1e9 + jnp.log(plan.step.memory) + jnp.where(plan.possible > 0.0, 0.0, 1e9)


def _best(
    plan: Callable[[TrainingLayout, tuple[Any, ...]], TrainingPlan],
    given: tuple[Any, ...],
    score: Callable[[TrainingPlan], Scalar],
) -> TrainingPlan:
    """The plan of the layout with the lowest score; only its own gradient is followed."""
    candidates = _candidates()
    searched = jax.lax.stop_gradient(given)
    plans = jax.vmap(lambda layout: plan(layout, searched))(candidates)
    winner = jnp.argmin(jax.vmap(score)(plans))
    return plan(jax.tree.map(lambda leaf: leaf[winner], candidates), given)


def fewest_devices_in_memory(
    llm: LLM, xpu: XPU, run: TrainingRun, efficiency: Efficiency
) -> Scalar:
    """Devices that hold a run's weights, gradients and optimizer states, whatever the time.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: its trainable share.
        efficiency: its usable memory.

    Returns:
        Devices, relaxed, with everything sharded over all of them.
    """
    per_weight = WEIGHT_BYTES + (GRADIENT_BYTES + OPTIMIZER_BYTES) * run.trainable
    return parameters(llm).total * per_weight / (xpu.memory * efficiency.usable_memory)
