"""The records that every model reads: frozen, typed, JAX pytrees.

All numbers are SI base units (seconds, bytes, FLOP/s, watts, joules, kg, USD) and float64. Counts
and parallel widths are floats too, so that they can be relaxed and differentiated. A field may
carry leading batch dimensions, so that one record can hold a whole catalogue.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from llmecon.errors import InputError

Scalar = Float[Array, "..."]

if TYPE_CHECKING:
    # Records convert whatever number they are given, which type checkers can't follow.
    Number = Any
else:
    Number = Scalar

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY
SECONDS_PER_MONTH = SECONDS_PER_YEAR / 12.0


def _scalar(value: ArrayLike) -> Array:
    return jnp.asarray(value, dtype=jnp.float64)


def number(**options: Any) -> Any:
    """A field of a record that holds a float64 scalar, or a batch of them."""
    return eqx.field(converter=_scalar, **options)


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

    layers: Number = number()
    moe_layers: Number = number()
    width: Number = number()
    heads: Number = number()
    kv_heads: Number = number()
    head_dim: Number = number()
    value_dim: Number = number()
    ff_width: Number = number()
    ff_matrices: Number = number()
    vocabulary: Number = number()
    tied_embeddings: Number = number()
    experts: Number = number()
    experts_per_token: Number = number()
    expert_ff_width: Number = number()
    shared_experts: Number = number()
    kv_lora_rank: Number = number()
    rope_dim: Number = number()
    q_lora_rank: Number = number()
    window: Number = number()
    windowed_layers: Number = number()
    context: Number = number()


class XPU(eqx.Module):
    """An accelerator's datasheet, and how much of it large matrix products attain.

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
        matmul_share: share of the matrix rates that large products attain when nothing else runs.
    """

    bf16_flops: Number = number()
    fp8_flops: Number = number()
    fp8_native: Number = number()
    fp4_flops: Number = number()
    fp4_native: Number = number()
    memory: Number = number()
    memory_bandwidth: Number = number()
    link_bandwidth: Number = number()
    link_domain: Number = number()
    network_bandwidth: Number = number()
    tdp: Number = number()
    matmul_share: Number = number()


class Precision(eqx.Module):
    """How many bytes a number takes, and which arithmetic multiplies it.

    Attributes:
        operand_bits: of the numbers that the matrix units multiply: 16, 8 or 4.
        feed_forward: bytes per feed-forward or expert weight, scales included.
        attention: bytes per attention weight.
        embedding: bytes per embedding weight.
        kv_cache: bytes per cached element.
        activation: bytes per activation that crosses a link.
    """

    operand_bits: Number = number()
    feed_forward: Number = number()
    attention: Number = number()
    embedding: Number = number()
    kv_cache: Number = number()
    activation: Number = number()


# fp4: a 4-bit block format carries one 8-bit scale per 16 weights (4.5 bits), attention stays in
# 8 bits. int4: weight-only with a 16-bit scale per 128 weights, multiplied in bf16.
PRECISIONS: dict[str, Precision] = {
    "bf16": Precision(16.0, 2.0, 2.0, 2.0, 2.0, 2.0),
    "fp8": Precision(8.0, 1.0, 1.0, 2.0, 1.0, 2.0),
    "fp4": Precision(4.0, 0.5625, 1.0, 2.0, 1.0, 2.0),
    "int4": Precision(16.0, 0.515625, 0.515625, 2.0, 2.0, 2.0),
}
# Models published with 4-bit experts (one 8-bit scale per 32 weights) keep the rest in 16 bits.
FOUR_BIT_EXPERTS = Precision(16.0, 0.53125, 2.0, 2.0, 2.0, 2.0)


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
        overlap: 1 if each pass runs as two half-batches, so that the experts' exchanges of one
            hide behind the other's computation; in between, a share of the passes does; 0 if none.
    """

    tensor: Number = number(default=1.0)
    expert: Number = number(default=1.0)
    pipeline: Number = number(default=1.0)
    precision: Precision = eqx.field(default_factory=lambda: PRECISIONS["bf16"])
    draft_tokens: Number = number(default=0.0)
    acceptance: Number = number(default=0.0)
    draft_cost: Number = number(default=0.0)
    disaggregated: Number = number(default=0.0)
    overlap: Number = number(default=0.0)

    @property
    def xpus(self) -> Scalar:
        """Devices in one instance."""
        return self.pipeline * self.width

    @property
    def width(self) -> Scalar:
        """Devices that share a layer."""
        return jnp.maximum(self.tensor, self.expert)


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

    prompt_tokens: Number = number()
    output_tokens: Number = number()
    cached_fraction: Number = number(default=0.0)
    prompt_cv: Number = number(default=1.0)
    output_cv: Number = number(default=1.0)
    interarrival_cv: Number = number(default=1.0)

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

    ttft: Number = number()
    tpot: Number = number()
    quantile: Number = number(default=0.99)


class Efficiency(eqx.Module):
    """What real kernels and servers attain of a datasheet, and what they add to it.

    Attributes:
        compute: share of what large matrix products attain that a model's attain while serving.
        quantised_compute: share of that kept when 8-bit or 4-bit arithmetic doubles the rate.
        training_compute: share of peak FLOP/s that matrix products attain while training.
        training_traffic: times that a training step moves a layer's stored activations through
            memory, forward and backward, in operations that are not matrix products.
        training_attention: share of peak bf16 FLOP/s that causal attention attains while training.
        training_narrow_gain: share of the extra rate of 8- and 4-bit arithmetic over bf16's that
            matrix products turn into speed while training.
        training_routing: times that copying tokens to experts and back moves them, as a multiple
            of what is done to other activations.
        training_logits: times that a training step moves the logits through memory.
        training_scores: times that a training step moves unfused attention scores through memory.
        training_exposed: share of tensor-parallel and expert traffic that training does not hide
            behind computation.
        training_straggling: what waiting for the slowest device adds to a training step, a share
            for each e-fold of devices beyond the first hundred.
        activation_passes: times that a block's activations cross memory beside its products.
        attention_compute: share of what large matrix products attain that attention attains.
        memory: share of memory bandwidth attained.
        expert_memory: share of memory bandwidth attained while reading experts.
        link: share of link bandwidth attained by collectives.
        collective_latency: time of one step of a collective, s.
        kernel_time: launch and drain of one kernel, s.
        quantising_kernels: kernels that a layer adds to quantise its activations.
        exchange_kernels: kernels that a mixture layer adds to send tokens to experts and back.
        host_time: host work per decode step, s.
        host_time_per_sequence: host work per sequence and step, s.
        host_batch: sequences beyond which the host's work is shared, so that it stops growing.
        routing_cv: coefficient of variation of how often a router chooses each expert.
        expert_imbalance: extra load of the busiest device under expert parallelism, a share.
        prefill_interference: prefill work felt by decoding sequences, as a multiple of it.
        decode_multiple: what the terms above leave unexplained of a decode step, as a multiple of
            its time.
        prefill_multiple: what the terms above leave unexplained of a prompt's time, as a multiple.
        request_time: work on a request outside the model before its first token, s.
        request_time_per_client: work on a request outside the model for each client that is
            connected, s.
        first_token_steps: decode steps that a request waits through before its first token.
        first_token_prefills: wait for prompts, one's own among them, as a multiple of the time
            that the scheduler's model gives.
        first_token_multiple: what the terms above leave unexplained of TTFT, as a multiple of it.
        draft_acceptance: probability that a drafted token is accepted, where it isn't measured.
        sharpness: exponent of the smooth maximum of compute, memory and network time.
        usable_memory: share of device memory that weights and KV cache may fill.
        idle_power: power at rest, as a share of TDP.
        active_power: additional share of TDP while any work is in flight.
        memory_power: additional share of TDP at full memory use.
        compute_power: additional share of TDP at full compute use.
        power_multiple: what the shares above leave unexplained of the power, as a multiple.
        host_power: power of the rest of the server per device, as a share of the device's TDP.
    """

    compute: Number = number()
    quantised_compute: Number = number()
    training_compute: Number = number()
    training_traffic: Number = number()
    training_attention: Number = number()
    training_narrow_gain: Number = number()
    training_routing: Number = number()
    training_logits: Number = number()
    training_scores: Number = number()
    training_exposed: Number = number()
    training_straggling: Number = number()
    activation_passes: Number = number()
    attention_compute: Number = number()
    memory: Number = number()
    expert_memory: Number = number()
    link: Number = number()
    collective_latency: Number = number()
    kernel_time: Number = number()
    quantising_kernels: Number = number()
    exchange_kernels: Number = number()
    host_time: Number = number()
    host_time_per_sequence: Number = number()
    host_batch: Number = number()
    routing_cv: Number = number()
    expert_imbalance: Number = number()
    prefill_interference: Number = number()
    decode_multiple: Number = number()
    prefill_multiple: Number = number()
    request_time: Number = number()
    request_time_per_client: Number = number()
    first_token_steps: Number = number()
    first_token_prefills: Number = number()
    first_token_multiple: Number = number()
    draft_acceptance: Number = number()
    sharpness: Number = number()
    usable_memory: Number = number()
    idle_power: Number = number()
    active_power: Number = number()
    memory_power: Number = number()
    compute_power: Number = number()
    power_multiple: Number = number()
    host_power: Number = number()


class Instance(eqx.Module):
    """A model on accelerators: what a service runs one or many of.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout over accelerators, and the precision.
        efficiency: attained shares and overheads.
    """

    llm: LLM
    xpu: XPU
    deployment: Deployment
    efficiency: Efficiency


_SHARES_OF_ONE = (
    "compute",
    "quantised_compute",
    "training_compute",
    "training_attention",
    "training_narrow_gain",
    "attention_compute",
    "memory",
    "expert_memory",
    "link",
    "host_batch",
    "prefill_interference",
    "decode_multiple",
    "prefill_multiple",
    "first_token_prefills",
    "first_token_multiple",
    "usable_memory",
    "power_multiple",
)
DATASHEET = Efficiency(
    **dict.fromkeys(Efficiency.__dataclass_fields__, 0.0)
    | dict.fromkeys(_SHARES_OF_ONE, 1.0)
    | {"sharpness": 1000.0}
)
"""What a device would attain that did all that its datasheet says, with nothing added to it."""


class GridKind(NamedTuple):
    """What a carbon intensity counts; intensities of different kinds do not compare.

    Attributes:
        basis: lifecycle (with construction and fuel supply) or direct (at the stack).
        boundary: production (of the plants within the region), consumption (with what is imported,
            without what is exported), contracts (what a buyer has contracts for) or margin (of the
            plants that follow a change in demand).
    """

    basis: str
    boundary: str

    def __str__(self) -> str:
        """In words, for sentences and messages."""
        basis = {"lifecycle": "life-cycle emissions", "direct": "emissions at the stack"}
        boundary = {
            "production": "of what the region generates",
            "consumption": "of what the region consumes",
            "contracts": "of what contracts say",
            "margin": "of plants that follow a change in demand",
        }
        said = basis.get(self.basis, self.basis), boundary.get(self.boundary, self.boundary)
        return " ".join(part for part in said if part)


UNSTATED = GridKind("emissions of no stated kind", "")


class Site(eqx.Module):
    """Where the machines stand.

    Sites whose intensities are of different kinds are different trees to JAX, so that they can't be
    stacked and compared.

    Attributes:
        pue: power usage effectiveness: facility energy over IT energy, >= 1.
        carbon_intensity: of the grid that feeds it, on average, kg CO2e per joule.
        market_intensity: of the electricity that its owner has contracts for, kg CO2e per joule.
        marginal_intensity: of the plants that follow a change in demand, kg CO2e per joule.
        electricity_price: USD per joule.
        water_on_site: water evaporated for cooling, litres per joule of IT energy.
        water_off_site: water consumed by power plants, litres per joule of facility energy.
        kind: what its average and its marginal intensity count.
        market_kind: what its market-based intensity counts.
    """

    pue: Number = number()
    carbon_intensity: Number = number()
    market_intensity: Number = number()
    marginal_intensity: Number = number()
    electricity_price: Number = number()
    water_on_site: Number = number()
    water_off_site: Number = number()
    kind: GridKind = eqx.field(static=True, default=UNSTATED)
    market_kind: GridKind = eqx.field(static=True, default=UNSTATED)


class Materials(eqx.Module):
    """What a device is made of, as far as its footprint depends on it.

    Attributes:
        die_area: of the logic dies, cm2.
        wafer_carbon: of making a square centimetre of good die, kg CO2e.
        memory: bytes.
        power: rated, W: what heat sinks and power stages are sized by.
    """

    die_area: Number = number()
    wafer_carbon: Number = number()
    memory: Number = number()
    power: Number = number()
