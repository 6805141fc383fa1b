"""A training run: FLOPs, memory, layout, wall-clock, and how many devices a deadline takes.

Full fine-tuning is the same run with fewer tokens; LoRA is the same run with few trainable
weights.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import smooth_maximum
from llmecon.physics.architecture import attended_pairs, parameters
from llmecon.physics.energy import device_power
from llmecon.physics.roofline import collective_time, exchange_time
from llmecon.specs import LLM, XPU, Efficiency, Number, number

Scalar = Float[Array, "..."]

# Bytes per weight of mixed-precision training with Adam [Rajbhandari2020]: bf16 weights, fp32
# gradients, and an fp32 master copy with two moments for every weight that is trained.
WEIGHT_BYTES = 2.0
GRADIENT_BYTES = 4.0
OPTIMIZER_BYTES = 12.0
ACTIVATION_BYTES = 2.0
LOGIT_BYTES = 4.0

# Up to about this many devices, waiting for the slowest does not show.
STEADY_DEVICES = 128.0
USUAL_INTERLEAVING = 2.0
"""Groups of layers on each pipeline device where no more is known: those of usual runs."""


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
    """How often a cluster stops, what a stop costs, and what else whole runs take.

    Attributes:
        device_mtbf: mean time between failures that stop the job, per device, s.
        checkpoint: time that writing a checkpoint holds the job up, s, > 0.
        restart: time from a failure to training again, s.
        overhead: wall-clock over that of steps, checkpoints and failures alone: evaluations, failed
            starts, repeated stretches; 1 for a bare run (see `whole_runs.overhead`).
    """

    device_mtbf: Number = number()
    checkpoint: Number = number()
    restart: Number = number()
    overhead: Number = number(default=1.0)


class TrainingJob(eqx.Module):
    """A model that is trained on accelerators, however it is spread over them.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        run: what is trained.
        efficiency: attained shares of peak and link rates.
    """

    llm: LLM
    xpu: XPU
    run: TrainingRun
    efficiency: Efficiency


class TrainingLayout(eqx.Module):
    """How a run is spread over devices: `tensor * pipeline * data` of them.

    Optimizer states are always sharded over the data-parallel replicas (ZeRO stage 1); experts
    are spread over replicas too.

    Attributes:
        tensor: devices that each layer is split over; its norms and residuals too (sequence
            parallelism [Korthikanti2022]).
        pipeline: consecutive groups of layers on different devices.
        data: replicas that see different sequences.
        shard_weights: 1 if weights and gradients are sharded over replicas too (ZeRO stage 3,
            FSDP), else 0.
        recompute: share of activations recomputed in the backward pass instead of stored.
        micro_batch: sequences that pass through the model at once.
        interleaving: groups of layers that each pipeline device holds; 1 is the plain schedule.
        unfused_attention: 1 if attention scores pass through memory, as they did before fused
            kernels [Dao2022], else 0.
        expert: replicas that hold one copy of the experts between them; by default all, or as many
            as there are experts.
    """

    tensor: Number = number()
    pipeline: Number = number()
    data: Number = number()
    shard_weights: Number = number(default=0.0)
    recompute: Number = number(default=0.0)
    micro_batch: Number = number(default=1.0)
    interleaving: Number = number(default=1.0)
    unfused_attention: Number = number(default=0.0)
    expert: Number = number(default=1e9)

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
    return weights * (4.0 + 2.0 * run.trainable) + _attention_flops(llm, run)


def _attention_flops(llm: LLM, run: TrainingRun) -> Scalar:
    """FLOPs per token of scores and weighted values, forward and backward, causal."""
    pairs = attended_pairs(llm, run.sequence, jnp.zeros(())) / run.sequence
    return 6.0 * pairs * llm.heads * (llm.head_dim + llm.rope_dim + llm.value_dim)


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


def _expert_ways(llm: LLM, layout: TrainingLayout) -> Scalar:
    """Replicas that hold one copy of the experts between them."""
    replicas = jnp.minimum(layout.data, layout.expert)
    return jnp.clip(replicas, 1.0, jnp.maximum(llm.experts, 1.0))


def training_memory(llm: LLM, run: TrainingRun, layout: TrainingLayout) -> Scalar:
    """Bytes needed on the fullest device.

    Args:
        llm: the model.
        run: what is trained.
        layout: how it is spread.

    Returns:
        Weights, gradients and optimizer states [Rajbhandari2020], plus the activations of the first
        pipeline stage, which holds as many sequences in flight as there are stages, so those of all
        layers of one sequence. Sequence parallelism is taken to be on: what tensor parallelism
        leaves whole (norms, residuals) is split over its group too [Korthikanti2022], which costs
        no more traffic. Without it, every device of the group would hold all of those.
    """
    count = parameters(llm)
    stage = layout.tensor * layout.pipeline
    # Experts sit on different replicas, so that each holds a part of them even without sharding.
    held = (count.total - count.experts + count.experts / _expert_ways(llm, layout)) / stage
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
    held_tokens = run.sequence * layout.micro_batch
    activations = held_tokens * (llm.layers * kept + layout.recompute * per_layer)
    logits = held_tokens * llm.vocabulary * LOGIT_BYTES / layout.pipeline
    return states + (activations + logits) / layout.tensor


@jax.jit
def training_step(job: TrainingJob, layout: TrainingLayout) -> TrainingStep:
    """Price one optimizer step of a run under a layout.

    Args:
        job: what is trained on what.
        layout: how it is spread.

    Returns:
        Time, MFU, pipeline bubble and memory. A part of tensor-parallel traffic and of the experts'
        exchanges is exposed; the replicas' gradients and sharded weights overlap with all else; the
        pipeline idles for (stages - 1) of its micro-batches, less if interleaved [Narayanan2021];
        more devices wait longer for the slowest.
    """
    llm, xpu, run, efficiency = job.llm, job.xpu, job.run, job.efficiency
    tokens = run.global_batch
    count = parameters(llm)
    useful = flops_per_token(llm, run) * tokens
    repeated = 1.0 + layout.recompute / 3.0
    executed = useful * repeated
    # Attention and the head stay in 16 bits; of the rest, narrow arithmetic speeds up a part.
    head = count.head * (4.0 + 2.0 * run.trainable) * tokens
    attention = _attention_flops(llm, run) * tokens
    body = useful - head - attention
    gain = 1.0 + efficiency.training_narrow_gain * (run.compute_precision_gain - 1.0)
    products = (body / gain + head) * repeated / efficiency.training_compute
    scores = attention * repeated / efficiency.training_attention
    rate = layout.devices * xpu.bf16_flops
    moved = _moved_bytes(llm, run, layout, efficiency) * tokens
    elementwise = moved / (layout.devices * xpu.memory_bandwidth * efficiency.memory)
    compute = (products + scores) / rate + elementwise

    # Each layer sums activations twice forward and twice backward, recomputation repeats two.
    passes = 4.0 + 2.0 * layout.recompute
    layers = llm.layers / layout.pipeline
    tokens_per_replica = tokens / layout.data
    micro_batches = jnp.maximum(tokens_per_replica / (run.sequence * layout.micro_batch), 1.0)
    row = tokens_per_replica / micro_batches * llm.width * ACTIVATION_BYTES
    tensor = micro_batches * collective_time(
        xpu, layout.tensor, passes * layers * row, passes * layers, efficiency
    )
    moe_layers = llm.moe_layers / layout.pipeline
    ways = _expert_ways(llm, layout)
    sent = row * llm.experts_per_token / layout.tensor
    exchange = micro_batches * exchange_time(
        xpu, ways, passes * moe_layers * sent, passes * moe_layers, efficiency, layout.tensor
    )

    stage = layout.tensor * layout.pipeline
    shared_weights = (count.total - count.experts + count.experts / ways) / stage
    # Gradients are summed once a step. Sharded weights are gathered forward and backward, and their
    # gradients scattered, for each micro-batch: half as much traffic again.
    once = shared_weights * ACTIVATION_BYTES * run.trainable
    each = shared_weights * (WEIGHT_BYTES + 0.5 * ACTIVATION_BYTES * run.trainable)
    volume = (1.0 - layout.shard_weights) * once + layout.shard_weights * micro_batches * each
    # A replica's counterparts are a tensor-parallel group apart.
    gradients = collective_time(
        xpu, layout.data, volume, jnp.zeros(()), efficiency, stride=layout.tensor
    )

    exposed = efficiency.training_exposed * (tensor + exchange)
    work = smooth_maximum(compute + exposed, gradients, sharpness=efficiency.sharpness)
    waiting = (layout.pipeline - 1.0) / (micro_batches * layout.interleaving)
    straggling = efficiency.training_straggling * jnp.log1p(layout.devices / STEADY_DEVICES)
    seconds = work * (1.0 + waiting) * (1.0 + straggling) + efficiency.host_time
    mfu = useful / (seconds * rate)
    compute_use = executed / (seconds * rate * run.compute_precision_gain)
    memory_use = elementwise * efficiency.memory / seconds
    return TrainingStep(
        seconds=seconds,
        mfu=mfu,
        bubble=waiting / (1.0 + waiting),
        memory=training_memory(llm, run, layout),
        power=device_power(xpu, efficiency, jnp.ones(()), compute_use, memory_use),
    )


def _moved_bytes(
    llm: LLM, run: TrainingRun, layout: TrainingLayout, efficiency: Efficiency
) -> Scalar:
    """Bytes per token that a step moves through memory outside of matrix products."""
    stored = llm.layers * activation_bytes_per_token(llm)
    # A token is copied to each of its experts, and each expert's answer is copied back.
    routed = 2.0 * ACTIVATION_BYTES * llm.width * llm.experts_per_token * llm.moe_layers
    repeated = 1.0 + layout.recompute / 3.0
    blocks = efficiency.training_traffic * (stored + efficiency.training_routing * routed)
    logits = efficiency.training_logits * llm.vocabulary * LOGIT_BYTES
    # Unfused kernels do not skip the masked half.
    pairs = 2.0 * attended_pairs(llm, run.sequence, jnp.zeros(())) / run.sequence
    scores = layout.unfused_attention * llm.heads * pairs * ACTIVATION_BYTES
    return blocks * repeated + logits + efficiency.training_scores * scores * repeated


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


def wall_clock(job: TrainingJob, layout: TrainingLayout, reliability: Reliability) -> Scalar:
    """Duration of a run: failures, checkpoints and the overhead of whole runs included.

    Args:
        job: what is trained on what.
        layout: how it is spread.
        reliability: failures and what they cost, and the overhead.

    Returns:
        Seconds.
    """
    step = training_step(job, layout)
    steps = job.run.tokens / job.run.global_batch
    goodput = training_goodput(layout.devices, reliability)
    return reliability.overhead * steps * step.seconds / goodput


def fewest_devices_in_memory(job: TrainingJob) -> Scalar:
    """Devices that hold a run's weights, gradients and optimizer states, whatever the time.

    Args:
        job: what is trained on what; the trainable share and the usable memory count.

    Returns:
        Devices, relaxed, with everything sharded over all of them.
    """
    per_weight = WEIGHT_BYTES + (GRADIENT_BYTES + OPTIMIZER_BYTES) * job.run.trainable
    usable = job.xpu.memory * job.efficiency.usable_memory
    return parameters(job.llm).total * per_weight / usable
