"""What one forward pass costs: FLOPs, bytes, memory and time.

A forward pass is the same computation whether it reads a prompt (many new tokens, no past) or
writes one token (one new token, a long past), so one function prices both.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import smooth_maximum
from llmecon.physics.architecture import (
    attention_flops,
    experts_touched,
    kv_cache_bytes,
    parameters,
    read_by,
    touched_on_busiest,
    weight_bytes,
)
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Instance, Precision

Scalar = Float[Array, "..."]

# Kernels launched per layer by fused inference engines: a dense attention block, a dense or a
# mixture feed-forward block, and what MLA's compressions and shared experts add.
ATTENTION_KERNELS = 7.0
DENSE_KERNELS = 3.0
MIXTURE_KERNELS = 7.0
MLA_KERNELS = 5.0
SHARED_EXPERT_KERNELS = 2.0


def peak_flops(xpu: XPU, precision: Precision) -> Scalar:
    """Peak FLOP/s at which an accelerator multiplies weights of a precision."""
    # The limits lie between the numbers of bits there are: at one of them the rate would jump.
    narrow = jnp.where(precision.operand_bits > 6.0, xpu.fp8_flops, xpu.fp4_flops)
    return jnp.where(precision.operand_bits > 12.0, xpu.bf16_flops, narrow)


def attained_flops(xpu: XPU, precision: Precision, efficiency: Efficiency) -> Scalar:
    """FLOP/s at which an accelerator's products multiply weights of a precision while serving."""
    peak = peak_flops(xpu, precision)
    # Each doubling of the rate by smaller numbers is attained less fully.
    doublings = jnp.log2(jnp.maximum(peak / xpu.bf16_flops, 1.0))
    attained = xpu.matmul_share * efficiency.compute * efficiency.quantised_compute**doublings
    return peak * attained


def attention_groups(deployment: Deployment) -> Scalar:
    """Groups of devices in an instance that attend to separate requests."""
    return deployment.width / deployment.tensor


def collective_time(
    xpu: XPU,
    devices: Scalar,
    volume: Scalar,
    rounds: Scalar,
    efficiency: Efficiency,
    stride: Scalar | float = 1.0,
) -> Scalar:
    """Time of all-reduces over devices, hierarchical beyond the fast links.

    Args:
        xpu: the accelerator.
        devices: how many take part.
        volume: bytes that each device holds, summed over all rounds.
        rounds: how many all-reduces those bytes are spread over.
        efficiency: link efficiency and latency of one step.
        stride: devices between neighbours in the group, so that 1 in `stride` of a domain's
            devices belongs to it.

    Returns:
        Seconds: 2 (d-1)/d of the volume over the links inside each domain of d members,
        2 (m-1)/m of 1/d of it over the network between m domains [Shoeybi2019], and log2(devices)
        steps' latency a round.
    """
    inside = jnp.clip(xpu.link_domain / stride, 1.0, devices)
    domains = devices / inside
    near = 2.0 * (1.0 - 1.0 / inside) * volume / xpu.link_bandwidth
    far = 2.0 * (1.0 - 1.0 / domains) * volume / inside / xpu.network_bandwidth
    latency = rounds * efficiency.collective_latency * jnp.log2(devices)
    return (near + far) / efficiency.link + latency


def exchange_time(
    xpu: XPU,
    devices: Scalar,
    volume: Scalar,
    rounds: Scalar,
    efficiency: Efficiency,
    stride: Scalar | float = 1.0,
) -> Scalar:
    """Time of all-to-all exchanges over devices.

    Args:
        xpu: the accelerator.
        devices: how many take part.
        volume: bytes that each device sends, summed over all rounds.
        rounds: how many exchanges those bytes are spread over.
        efficiency: link efficiency and latency of one step.
        stride: devices between neighbours in the group.

    Returns:
        Seconds: what stays in the fast domain over the links, the rest over the network.
    """
    inside = jnp.clip(xpu.link_domain / stride, 1.0, devices)
    near = (inside - 1.0) / devices * volume / xpu.link_bandwidth
    far = (1.0 - inside / devices) * volume / xpu.network_bandwidth
    latency = rounds * efficiency.collective_latency * jnp.log2(devices)
    return (near + far) / efficiency.link + latency


class PassCost(eqx.Module):
    """One forward pass of one instance.

    Attributes:
        seconds: time from first layer to last.
        compute: time that the arithmetic of one device would take alone, s.
        memory: time that the memory traffic of one device would take alone, s.
        network: time of the collectives that nothing hides, s.
        overhead: kernel launches and host work, s.
        flops: FLOPs of the whole instance.
        bytes: bytes read from memory by the whole instance.
    """

    seconds: Scalar
    compute: Scalar
    memory: Scalar
    network: Scalar
    overhead: Scalar
    flops: Scalar
    bytes: Scalar


@jax.jit
def forward_pass(
    instance: Instance, sequences: Scalar, new_tokens: Scalar, past_tokens: Scalar
) -> PassCost:
    """Price one forward pass of an instance over a batch of equal sequences.

    Linear layers and attention follow each other, and each takes the smooth maximum of its
    compute and memory time (the roofline [Williams2009]). A collective needs the sum that precedes
    it whole and holds up the layer that follows, so collectives are added, as are launches and host
    work [Pope2022]. Two half-batches can take turns instead: tokens of one travel to experts and
    back while the other computes, and every weight is read and every kernel launched once for each
    [DeepSeekDay].

    Args:
        instance: model, accelerator, layout and what it attains.
        sequences: sequences in flight in the instance.
        new_tokens: tokens computed per sequence: 1 to decode, the prompt to prefill.
        past_tokens: tokens cached per sequence before the pass.

    Returns:
        Time and traffic of the pass.
    """
    llm, xpu = instance.llm, instance.xpu
    deployment, efficiency = instance.deployment, instance.efficiency
    precision = deployment.precision
    count = parameters(llm)
    groups = attention_groups(deployment)
    devices = deployment.width
    # Under pipelining the batch is cut into as many parts as stages, so that no stage waits; at
    # light load a part, and the busiest group's share of it, is still one whole sequence.
    in_flight = jnp.maximum(sequences / deployment.pipeline, 1.0)
    passes = sequences / in_flight
    tokens = in_flight * new_tokens
    group_sequences = jnp.maximum(in_flight / groups, 1.0)
    group_tokens = group_sequences * new_tokens
    busy_groups = in_flight / group_sequences
    # Devices that share a layer's attention hold the same tokens: each computes its own experts,
    # and the sum that follows is the one that splitting every expert would need. Tokens travel
    # only between groups with requests of their own.
    routed = jnp.where(groups > 1.0, 1.0, 0.0) * llm.moe_layers
    # Where they do, a group may compute in two parts; a prompt can be cut in two, a token can't.
    halved = jnp.where(routed > 0.0, jnp.clip(group_tokens - 1.0, 0.0, deployment.overlap), 0.0)
    parts = 1.0 + halved

    peak = peak_flops(xpu, precision)
    spread = jnp.where(deployment.expert > 1.0, 1.0 + efficiency.expert_imbalance, 1.0)

    dense_weights = count.attention + count.feed_forward
    group_flops = 2.0 * (dense_weights * group_tokens + count.head * group_sequences)
    expert_flops = 2.0 * count.active_experts * tokens
    # Arithmetic above the 16-bit rate comes with quantised activations.
    quantised = jnp.where(peak > 1.01 * xpu.bf16_flops, 1.0, 0.0)
    linear_compute = (group_flops / deployment.tensor + spread * expert_flops / devices) / (
        attained_flops(xpu, precision, efficiency)
    )

    experts = jnp.where(llm.experts > 0, llm.experts, 1.0)
    touched = experts_touched(llm, tokens / parts, efficiency.routing_cv) / experts
    dense_bytes, expert_bytes = read_by(count, precision, touched)
    busiest = touched_on_busiest(llm, touched, deployment.expert)
    busiest_bytes = busiest * count.experts * precision.feed_forward
    linear_memory = (
        parts
        * (
            dense_bytes / deployment.tensor / efficiency.memory
            + busiest_bytes / devices / efficiency.expert_memory
        )
        / xpu.memory_bandwidth
    )

    dense_layers = llm.layers - llm.moe_layers
    reduced_layers = 2.0 * dense_layers + llm.moe_layers + (llm.moe_layers - routed)
    row = group_tokens * llm.width * precision.activation
    reduction = collective_time(
        xpu, deployment.tensor, reduced_layers * row, parts * reduced_layers, efficiency
    )
    # Dispatch travels in the weights' precision, results return as activations.
    sent = group_tokens / deployment.tensor * llm.experts_per_token * llm.width
    dispatched = sent * (precision.attention + precision.activation)
    exchange = jnp.where(
        routed > 0.0,
        exchange_time(
            xpu, deployment.expert, routed * dispatched, parts * 2.0 * routed, efficiency
        ),
        0.0,
    )
    hops = (deployment.pipeline - 1.0) * (
        efficiency.collective_latency + row / deployment.tensor / xpu.network_bandwidth
    )
    network = reduction + exchange + hops

    # Norms, sums, quantisation and the sorting of tokens to experts read and write activations
    # beside the products; devices that share a layer each do so in full.
    visited = 2.0 * llm.layers * group_tokens
    sorted_out = llm.moe_layers * llm.experts_per_token * tokens * spread / deployment.expert
    passed_bytes = (
        efficiency.activation_passes * (visited + sorted_out) * llm.width * precision.activation
    )
    elementwise = passed_bytes / (xpu.memory_bandwidth * efficiency.memory)

    # A key/value head lives on at least one device; MLA's latent is whole on every one.
    kv_shards = jnp.where(llm.kv_lora_rank > 0, 1.0, jnp.minimum(deployment.tensor, llm.kv_heads))
    sequence_flops = attention_flops(llm, new_tokens, past_tokens)
    attention_compute = (
        group_sequences
        * sequence_flops
        / deployment.tensor
        / (xpu.bf16_flops * xpu.matmul_share * efficiency.attention_compute)
    )
    sequence_bytes = kv_cache_bytes(llm, precision, past_tokens + new_tokens)
    attention_memory = (
        group_sequences * sequence_bytes / kv_shards / (xpu.memory_bandwidth * efficiency.memory)
    )

    is_mla = jnp.where(llm.kv_lora_rank > 0, MLA_KERNELS, 0.0)
    has_shared = jnp.where(llm.shared_experts > 0, SHARED_EXPERT_KERNELS, 0.0)
    spread_out = jnp.where(groups > 1.0, efficiency.exchange_kernels, 0.0)
    kernels = (
        llm.layers * (ATTENTION_KERNELS + is_mla + quantised * efficiency.quantising_kernels)
        + dense_layers * DENSE_KERNELS
        + llm.moe_layers * (MIXTURE_KERNELS + has_shared + spread_out)
    )
    host_sequences = group_sequences / (1.0 + group_sequences / efficiency.host_batch)
    launches = parts * kernels * efficiency.kernel_time
    overhead = launches + efficiency.host_time + efficiency.host_time_per_sequence * host_sequences

    p = efficiency.sharpness
    products = smooth_maximum(linear_compute, linear_memory, sharpness=p)
    attention = smooth_maximum(attention_compute, attention_memory, sharpness=p)
    # The host's work lies between two passes, where nothing is in flight.
    computing = products + elementwise + attention + launches
    hidden = halved * (exchange + computing - smooth_maximum(exchange, computing, sharpness=p))
    seconds = products + network + elementwise + attention + overhead - hidden
    return PassCost(
        seconds=seconds,
        compute=(linear_compute + attention_compute) * passes / deployment.pipeline,
        memory=(linear_memory + elementwise + attention_memory) * passes / deployment.pipeline,
        network=network - hidden,
        overhead=overhead,
        flops=passes * (busy_groups * group_flops + expert_flops) + sequences * sequence_flops,
        bytes=passes * parts * (busy_groups * dense_bytes + expert_bytes)
        + sequences * sequence_bytes,
    )


def instance_memory(instance: Instance) -> Scalar:
    """Bytes of an instance's memory left for KV caches once the weights are loaded.

    Args:
        instance: attention and dense layers are stored once per attention group of its layout; its
            `usable_memory` leaves room for activations and the runtime.

    Returns:
        Bytes, negative where the weights alone do not fit.
    """
    deployment = instance.deployment
    precision = deployment.precision
    count = parameters(instance.llm)
    replicated = (
        weight_bytes(instance.llm, precision) - count.experts * precision.feed_forward
    ) * attention_groups(deployment)
    stored = replicated + count.experts * precision.feed_forward
    return deployment.xpus * instance.xpu.memory * instance.efficiency.usable_memory - stored


def sequences_that_fit(instance: Instance, context: Scalar) -> Scalar:
    """Sequences whose KV caches fit in an instance at once.

    Args:
        instance: its `usable_memory` leaves room for activations and the runtime.
        context: tokens cached per sequence.

    Returns:
        Sequences, relaxed (not rounded), 0 where the weights alone do not fit.
    """
    # Cached heads are replicated when a layer is split more ways than it has key/value heads.
    llm, deployment = instance.llm, instance.deployment
    shards = jnp.where(llm.kv_lora_rank > 0, 1.0, jnp.minimum(deployment.tensor, llm.kv_heads))
    copies = deployment.tensor / shards
    free = jnp.maximum(instance_memory(instance), 0.0)
    return free / (copies * kv_cache_bytes(llm, deployment.precision, context))


def devices_for_weights(llm: LLM, xpu: XPU, precision: Precision, efficiency: Efficiency) -> Scalar:
    """Devices needed to hold the weights, relaxed.

    Args:
        llm: the model.
        xpu: the accelerator.
        precision: bytes per weight.
        efficiency: its `usable_memory`.

    Returns:
        Devices, at least; round up to use.
    """
    return weight_bytes(llm, precision) / (xpu.memory * efficiency.usable_memory)
