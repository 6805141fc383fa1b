"""The records that every model reads: frozen, typed, JAX pytrees.

All numbers are SI base units (seconds, bytes, FLOP/s, watts, joules, kg, USD) and float64. Counts
and parallel widths are floats too, so that they can be relaxed and differentiated. A field may
carry leading batch dimensions, so that one record can hold a whole catalogue.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from llmecon.errors import InputError

Scalar = Float[Array, "..."]

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY
SECONDS_PER_MONTH = SECONDS_PER_YEAR / 12.0


def _scalar(value: ArrayLike) -> Array:
    return jnp.asarray(value, dtype=jnp.float64)


def number(**kwargs: object) -> Array:
    """A field of a record that holds a float64 scalar, or a batch of them."""
    return eqx.field(converter=_scalar, **kwargs)  # type: ignore[no-any-return]


class LLM(eqx.Module):
    """The architecture of a transformer language model.

    Attributes:
        layers: number of transformer layers.
        moe_layers: how many of them hold a mixture of experts (0 for a dense model).
        width: size of the residual stream.
        heads: query heads.
        kv_heads: key/value heads (equal to heads for multi-head attention).
        head_dim: size of one query/key head (for MLA: the part without position).
        value_dim: size of one value head.
        ff_width: hidden size of a dense layer's feed-forward network.
        ff_matrices: matrices in a feed-forward network: 3 if gated, else 2.
        vocabulary: number of tokens in the vocabulary.
        tied_embeddings: 1 if input and output embeddings share their weights, else 0.
        experts: experts in each mixture layer.
        experts_per_token: experts that each token is routed to.
        expert_ff_width: hidden size of one expert.
        shared_experts: experts that every token visits besides.
        kv_lora_rank: size of the cached latent of multi-head latent attention (MLA); 0 without.
        rope_dim: size of MLA's positional key, cached beside the latent.
        q_lora_rank: size of MLA's compressed query; 0 if queries are not compressed.
        window: tokens that a sliding-window layer can look back.
        windowed_layers: how many layers have that window; the others see everything.
        context: the longest context that the model supports, tokens.
    """

    layers: Scalar = number()
    moe_layers: Scalar = number()
    width: Scalar = number()
    heads: Scalar = number()
    kv_heads: Scalar = number()
    head_dim: Scalar = number()
    value_dim: Scalar = number()
    ff_width: Scalar = number()
    ff_matrices: Scalar = number()
    vocabulary: Scalar = number()
    tied_embeddings: Scalar = number()
    experts: Scalar = number()
    experts_per_token: Scalar = number()
    expert_ff_width: Scalar = number()
    shared_experts: Scalar = number()
    kv_lora_rank: Scalar = number()
    rope_dim: Scalar = number()
    q_lora_rank: Scalar = number()
    window: Scalar = number()
    windowed_layers: Scalar = number()
    context: Scalar = number()


class XPU(eqx.Module):
    """An accelerator's datasheet.

    A precision that the accelerator cannot execute is filled with the rate of what executes it
    instead (the weights are expanded to bf16 on the fly), and marked 0 in the field beside it.

    Attributes:
        bf16_flops: dense bf16 (or fp16) matrix rate, FLOP/s.
        fp8_flops: rate at which fp8 weights are multiplied, FLOP/s.
        fp8_native: 1 if fp8 arithmetic is in hardware, else 0.
        fp4_flops: rate at which 4-bit block-format weights are multiplied, FLOP/s.
        fp4_native: 1 if fp4 arithmetic is in hardware, else 0.
        memory: capacity, bytes.
        memory_bandwidth: bytes/s.
        link_bandwidth: one-directional bandwidth of the fast links, bytes/s per device.
        link_domain: how many devices the fast links join.
        network_bandwidth: one-directional bandwidth beyond that domain, bytes/s per device.
        tdp: thermal design power, W.
    """

    bf16_flops: Scalar = number()
    fp8_flops: Scalar = number()
    fp8_native: Scalar = number()
    fp4_flops: Scalar = number()
    fp4_native: Scalar = number()
    memory: Scalar = number()
    memory_bandwidth: Scalar = number()
    link_bandwidth: Scalar = number()
    link_domain: Scalar = number()
    network_bandwidth: Scalar = number()
    tdp: Scalar = number()


class Precision(eqx.Module):
    """How many bytes a number takes, and which arithmetic multiplies it.

    Attributes:
        feed_forward: bytes per feed-forward or expert weight, scales included.
        attention: bytes per attention weight.
        embedding: bytes per embedding weight.
        kv_cache: bytes per cached element.
        activation: bytes per activation that crosses a link.
        arithmetic: the matrix units used: "bf16", "fp8" or "fp4".
    """

    feed_forward: Scalar = number()
    attention: Scalar = number()
    embedding: Scalar = number()
    kv_cache: Scalar = number()
    activation: Scalar = number()
    arithmetic: str = eqx.field(static=True)


# fp4: a 4-bit block format carries one 8-bit scale per 16 weights (4.5 bits), attention stays in
# 8 bits. int4: weight-only with a 16-bit scale per 128 weights, multiplied in bf16.
PRECISIONS: dict[str, Precision] = {
    "bf16": Precision(2.0, 2.0, 2.0, 2.0, 2.0, "bf16"),
    "fp8": Precision(1.0, 1.0, 2.0, 1.0, 2.0, "fp8"),
    "fp4": Precision(0.5625, 1.0, 2.0, 1.0, 2.0, "fp4"),
    "int4": Precision(0.515625, 0.515625, 2.0, 2.0, 2.0, "bf16"),
}


def precision(name: str) -> Precision:
    """The precision record of a name.

    Args:
        name: one of bf16, fp8, fp4, int4.

    Returns:
        Bytes per number and the arithmetic used.

    Raises:
        InputError: the name is not one of these.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r} is not known; use one of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


class Deployment(eqx.Module):
    """How one instance of a model is laid out over accelerators.

    An instance is `pipeline * max(tensor, expert)` devices. Where `expert` exceeds `tensor`, the
    devices form expert/tensor groups: each group attends to its own requests (data-parallel
    attention) and all of them share the experts.

    Attributes:
        tensor: devices that each attention and dense layer is split over.
        expert: devices that the experts are spread over whole; 1 splits each expert instead.
        pipeline: consecutive groups of layers on different devices.
        precision: bytes and arithmetic.
        draft_tokens: tokens drafted a step by speculative decoding; 0 without.
        acceptance: probability that a drafted token is accepted.
        draft_cost: time of drafting one token as a share of a full decode step.
        disaggregated: 1 if prefill runs on instances of its own, so that it never delays decode.
    """

    tensor: Scalar = number(default=1.0)
    expert: Scalar = number(default=1.0)
    pipeline: Scalar = number(default=1.0)
    precision: Precision = eqx.field(default_factory=lambda: PRECISIONS["bf16"])
    draft_tokens: Scalar = number(default=0.0)
    acceptance: Scalar = number(default=0.0)
    draft_cost: Scalar = number(default=0.0)
    disaggregated: Scalar = number(default=0.0)

    @property
    def xpus(self) -> Scalar:
        """Devices in one instance."""
        return self.pipeline * jnp.maximum(self.tensor, self.expert)


class Workload(eqx.Module):
    """The requests that a service receives.

    Attributes:
        prompt_tokens: mean prompt length, tokens, cached part included.
        output_tokens: mean output length, tokens.
        cached_fraction: share of prompt tokens found in the prefix cache, 0 to 1.
        prompt_cv: coefficient of variation of the prompt length.
        output_cv: coefficient of variation of the output length.
        interarrival_cv: coefficient of variation of the time between arrivals (1: Poisson).
    """

    prompt_tokens: Scalar = number()
    output_tokens: Scalar = number()
    cached_fraction: Scalar = number(default=0.0)
    prompt_cv: Scalar = number(default=1.0)
    output_cv: Scalar = number(default=1.0)
    interarrival_cv: Scalar = number(default=1.0)

    @property
    def computed_prompt_tokens(self) -> Scalar:
        """Prompt tokens that have to be computed, tokens."""
        return self.prompt_tokens * (1.0 - self.cached_fraction)

    @property
    def mean_context(self) -> Scalar:
        """Context that an average decode step attends to, tokens.

        A long output is met in proportion to its length, hence the variance.
        """
        return self.prompt_tokens + 0.5 * self.output_tokens * (1.0 + self.output_cv**2)


class LatencyTarget(eqx.Module):
    """What a user is promised.

    Attributes:
        ttft: limit on the time to first token, s.
        tpot: limit on the time per output token, s.
        quantile: share of requests that must meet the limit on TTFT, e.g. 0.99.
    """

    ttft: Scalar = number()
    tpot: Scalar = number()
    quantile: Scalar = number(default=0.99)


class Efficiency(eqx.Module):
    """What real kernels and servers attain of a datasheet, and what they add to it.

    Attributes:
        compute: share of peak FLOP/s that dense matrix products attain while serving.
        training_compute: share of peak FLOP/s that they attain while training.
        training_traffic: times that a training step moves a layer's stored activations through
            memory, forward and backward, in operations that are not matrix products.
        attention_compute: share of peak FLOP/s that attention attains.
        memory: share of memory bandwidth attained.
        expert_memory: share of memory bandwidth attained while reading experts.
        link: share of link bandwidth attained by collectives.
        collective_latency: time of one step of a collective, s.
        kernel_time: launch and drain of one kernel, s.
        host_time: host work per decode step, s.
        host_time_per_sequence: host work per sequence and step, s.
        expert_imbalance: extra load of the busiest device under expert parallelism, a share.
        prefill_interference: prefill work felt by decoding sequences, as a multiple of it.
        sharpness: exponent of the smooth maximum of compute, memory and network time.
        usable_memory: share of device memory that weights and KV cache may fill.
        idle_power: power at rest, as a share of TDP.
        active_power: additional share of TDP while any work is in flight.
        memory_power: additional share of TDP at full memory use.
        compute_power: additional share of TDP at full compute use.
        host_power: power of the rest of the server per device, as a share of the device's TDP.
    """

    compute: Scalar = number()
    training_compute: Scalar = number()
    training_traffic: Scalar = number()
    attention_compute: Scalar = number()
    memory: Scalar = number()
    expert_memory: Scalar = number()
    link: Scalar = number()
    collective_latency: Scalar = number()
    kernel_time: Scalar = number()
    host_time: Scalar = number()
    host_time_per_sequence: Scalar = number()
    expert_imbalance: Scalar = number()
    prefill_interference: Scalar = number()
    sharpness: Scalar = number()
    usable_memory: Scalar = number()
    idle_power: Scalar = number()
    active_power: Scalar = number()
    memory_power: Scalar = number()
    compute_power: Scalar = number()
    host_power: Scalar = number()


class Site(eqx.Module):
    """Where the machines stand.

    Attributes:
        pue: power usage effectiveness: facility energy over IT energy, >= 1.
        carbon_intensity: of the grid, kg CO2e per joule.
        electricity_price: USD per joule.
    """

    pue: Scalar = number()
    carbon_intensity: Scalar = number()
    electricity_price: Scalar = number()
