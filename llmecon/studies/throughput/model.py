"""What sets the pace of a served model: one function of a case, all of whose ids are records.

Each step of the chapter asks the same two functions of the library, a forward pass and an operating
point, twice: with something and without it. The headline numbers, what a reader is asked to guess,
the live panel and tests all call `answer` or a part of it.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import physics, serving
from llmecon.physics import PassCost
from llmecon.serving import OperatingPoint
from llmecon.specs import (
    DATASHEET,
    LLM,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    LatencyTarget,
    Number,
    Precision,
    Workload,
    number,
)

Scalar = Float[Array, ""]


class Case(eqx.Module):
    """A model, what serves it, and what is asked of it.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        layout: how an instance shares the model.
        wide: precision that the narrower one is compared with.
        narrow: that narrower one; the layout's own is one of the two.
        efficiency: what kernels and servers attain.
        requests: lengths of prompts and answers.
        target: limits on TTFT and TPOT.
        batch: requests in flight.
        draft_tokens: drafted a step, where drafts are.
        acceptance: chance that one of them is kept.
        draft_cost: time to draft one, over that of a step.
    """

    llm: LLM
    xpu: XPU
    layout: Deployment
    wide: Precision
    narrow: Precision
    efficiency: Efficiency
    requests: Workload
    target: LatencyTarget
    batch: Number = number()
    draft_tokens: Number = number()
    acceptance: Number = number()
    draft_cost: Number = number()

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.layout, self.efficiency)


class Pace(eqx.Module):
    """An instance with the case's requests in flight.

    Attributes:
        point: what it does.
        tokens: output tokens per second and device, with prompts in between.
        of_peak: share of the peak arithmetic rate that the model's own FLOPs, those of prompts and
            answers, take up.
    """

    point: OperatingPoint
    tokens: Scalar
    of_peak: Scalar


class Answer(eqx.Module):
    """What every step of the chapter changes.

    Attributes:
        pace: with the requests in flight.
        critical: tokens at which arithmetic takes as long as reading the weights of a product.
        cached: share of what a decode step reads that is KV cache.
        prompt_over_output: tokens per second while reading a prompt over those while writing a
            single answer.
        batched: tokens per second of all requests' steps over those of a single one's.
        weights: share of the weights that a step reads.
        parallel: a step's time on one device over that on the instance's.
        narrowed: tokens per second with the narrower precision over those with the wider one.
        drafted: time per token without drafts over that with them.
        continuous: requests completed over those of rounds of as many.
        served: requests per second within the limits; 0 where nothing is.
    """

    pace: Pace
    critical: Scalar
    cached: Scalar
    prompt_over_output: Scalar
    batched: Scalar
    weights: Scalar
    parallel: Scalar
    narrowed: Scalar
    drafted: Scalar
    continuous: Scalar
    served: Scalar


def pace(case: Case) -> Pace:
    """What an instance does with the case's requests in flight.

    Args:
        case: the model and what serves it.
    """
    point = point_of(case)
    return Pace(point, _tokens(case, point), _of_peak(case, point))


def answer(case: Case) -> Answer:
    """What every step of the chapter changes.

    Args:
        case: the model, what serves it, and what is asked of it.
    """
    here = pace(case)
    decode = step(case)
    first = step(replace(case, batch=jnp.ones_like(case.batch)))
    alone = step(replace(case, layout=one_device(case.layout)))
    narrow, wide = (point_of(with_precision(case, of)) for of in (case.narrow, case.wide))
    plain, drafting = point_of(case), point_of(with_drafts(case))
    rounds = serving.static_batch(case.instance, case.requests, case.batch)
    prompt = case.requests.computed_prompt_tokens / plain.prefill
    return Answer(
        pace=here,
        critical=critical(case),
        cached=cache_bytes(case) / decode.bytes,
        prompt_over_output=prompt * first.seconds * case.efficiency.decode_multiple,
        batched=case.batch * first.seconds / decode.seconds,
        weights=physics.weights_read(
            case.llm, case.layout.precision, case.batch, case.efficiency.routing_cv
        ),
        parallel=alone.seconds / decode.seconds,
        narrowed=narrow.rate / wide.rate,
        drafted=plain.tpot / drafting.tpot,
        continuous=plain.rate / rounds.rate,
        served=served(case),
    )


def served(case: Case) -> Scalar:
    """Requests per second that may be sent to the instance within the limits; 0 if none may."""
    return serving.capacity(case.instance, case.requests, case.target).rate


def point_of(case: Case) -> OperatingPoint:
    """What an instance does with the case's requests in flight."""
    return serving.operating_point(case.instance, case.requests, case.batch)


def step(case: Case) -> PassCost:
    """One decode step of the case's requests at their mean context, nothing else in its way."""
    return physics.forward_pass(
        case.instance,
        case.batch,
        jnp.ones_like(case.batch),
        jnp.maximum(case.requests.mean_context - 1.0, 0.0),
    )


def prompt_pass(case: Case) -> PassCost:
    """One pass over one prompt."""
    return physics.forward_pass(
        case.instance,
        jnp.ones_like(case.batch),
        case.requests.computed_prompt_tokens,
        jnp.zeros_like(case.batch),
    )


def critical(case: Case) -> Scalar:
    """Tokens at which arithmetic takes as long as reading a product's weights, as attained."""
    product = physics.output_projection(case.llm, case.layout.precision, case.batch)
    weights_alone = replace(product, activation_bytes=jnp.zeros_like(product.activation_bytes))
    return physics.critical_rows(weights_alone, *attained(case))


def attained(case: Case) -> tuple[Scalar, Scalar]:
    """Arithmetic [FLOP/s] and memory traffic [bytes/s] that a device attains while serving."""
    flops = physics.attained_flops(case.xpu, case.layout.precision, case.efficiency)
    return flops, case.xpu.memory_bandwidth * case.efficiency.memory


def cache_bytes(case: Case) -> Scalar:
    """Bytes of all KV caches that a decode step reads."""
    return case.batch * physics.kv_cache_bytes(
        case.llm, case.layout.precision, case.requests.mean_context
    )


def one_device(layout: Deployment) -> Deployment:
    """A layout in which a single device does everything, whether or not its memory suffices."""
    one = jnp.ones_like(layout.tensor)
    return replace(layout, tensor=one, expert=one, pipeline=one)


def with_precision(case: Case, precision: Precision) -> Case:
    """The case with other bytes and arithmetic, and the same shares attained."""
    return replace(case, layout=replace(case.layout, precision=precision))


def with_drafts(case: Case) -> Case:
    """The case with tokens drafted ahead."""
    layout = replace(
        case.layout,
        draft_tokens=case.draft_tokens,
        acceptance=case.acceptance,
        draft_cost=case.draft_cost,
    )
    return replace(case, layout=layout)


def _tokens(case: Case, point: OperatingPoint) -> Scalar:
    return point.rate * case.requests.output_tokens / case.layout.xpus


def _of_peak(case: Case, point: OperatingPoint) -> Scalar:
    tokens = case.requests.computed_prompt_tokens + case.requests.output_tokens
    used = point.rate * tokens * physics.token_flops(case.llm)
    return used / (case.layout.xpus * physics.peak_flops(case.xpu, case.layout.precision))


LADDER = (
    "arithmetic at the datasheet's peak",
    "what large products attain",
    "what a model's products attain",
    "reading the weights",
    "reading the KV cache",
    "exchanges between devices",
    "launches, host, set-up and the unexplained",
    "prompts in between",
)
"""From the datasheet to the service: what each rung adds to those before it."""

_FREE = 1e30  # bytes/s, at which traffic takes no time
_ARITHMETIC = ("compute", "quantised_compute", "attention_compute")
_MEMORY = ("memory", "expert_memory", "routing_cv", "expert_imbalance", "sharpness")
_LINKS = ("link", "collective_latency")


def ladder(case: Case) -> Array:
    """Output tokens per second and device as one cost after the other is counted.

    Every rung is the library's forward pass of the same batch, with a datasheet's efficiencies and
    endless bandwidth in place of what isn't counted yet; the last is the operating point.

    Args:
        case: the model and what serves it.

    Returns:
        As many numbers as `LADDER` has names.
    """
    endless = jnp.full_like(case.xpu.memory_bandwidth, _FREE)
    share = case.xpu.matmul_share
    real, free = case.efficiency, DATASHEET
    # The links of this device come last, so its memory is counted without them first.
    quick = replace(case.xpu, link_bandwidth=endless, network_bandwidth=endless)
    bare = replace(quick, memory_bandwidth=endless, matmul_share=jnp.ones_like(share))
    products = replace(bare, matmul_share=share)
    arithmetic = _with(free, real, _ARITHMETIC)
    memory = _with(arithmetic, real, _MEMORY)
    links = _with(memory, real, _LINKS)
    nothing = jnp.zeros_like(case.batch)
    past = jnp.maximum(case.requests.mean_context - 1.0, 0.0)
    rungs = (
        (bare, free, nothing),
        (products, free, nothing),
        (products, arithmetic, nothing),
        (quick, memory, nothing),
        (quick, memory, past),
        (case.xpu, links, past),
        (case.xpu, real, past),
    )
    xpus, efficiencies, pasts = (
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *column)
        for column in zip(*rungs, strict=True)
    )

    def seconds(xpu: XPU, efficiency: Efficiency, past: Scalar) -> Scalar:
        one = jnp.ones_like(case.batch)
        return physics.forward_pass(
            Instance(case.llm, xpu, case.layout, efficiency), case.batch, one, past
        ).seconds

    # What the forward pass leaves unexplained of a step comes with the rest of it.
    multiples = jnp.ones(len(rungs)).at[-1].set(real.decode_multiple)
    taken = multiples * jax.vmap(seconds)(xpus, efficiencies, pasts)
    return jnp.append(case.batch / taken / case.layout.xpus, pace(case).tokens)


def _with(efficiency: Efficiency, real: Efficiency, names: tuple[str, ...]) -> Efficiency:
    return replace(efficiency, **{name: getattr(real, name) for name in names})


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told."""
    return told(answer(case))


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told."""
    return {
        "tokens_per_s_per_xpu": found.pace.tokens,
        "tpot_s": found.pace.point.tpot,
        "share_of_peak": found.pace.of_peak,
        "served_per_s": found.served,
        "critical_tokens": found.critical,
        "cached_share": found.cached,
        "prompt_over_output": found.prompt_over_output,
        "batching_gain": found.batched,
        "weights_share": found.weights,
        "parallel_gain": found.parallel,
        "narrowing_gain": found.narrowed,
        "drafting_gain": found.drafted,
        "continuous_gain": found.continuous,
    }


UNITS = {
    "tokens_per_s_per_xpu": "tokens/s",
    "tpot_s": "s",
    "share_of_peak": "fraction",
    "served_per_s": "requests/s",
    "critical_tokens": "tokens",
    "cached_share": "fraction",
    "prompt_over_output": "times",
    "batching_gain": "times",
    "weights_share": "fraction",
    "parallel_gain": "times",
    "narrowing_gain": "times",
    "drafting_gain": "times",
    "continuous_gain": "times",
}
"""Units of the headline numbers."""


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input; several fields that move together are one input.
    """
    xpu, real = effects.xpu, effects.efficiency
    return {
        "requests in flight": effects.batch,
        "prompt length": effects.requests.prompt_tokens,
        "answer length": effects.requests.output_tokens,
        "arithmetic rate": xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops,
        "memory bandwidth": xpu.memory_bandwidth,
        "link bandwidth": xpu.link_bandwidth + xpu.network_bandwidth,
        "latency of an exchange": real.collective_latency,
        "launching a kernel": real.kernel_time,
        "work of the host": real.host_time + real.host_time_per_sequence,
        "layers": effects.llm.layers + effects.llm.moe_layers + effects.llm.windowed_layers,
        "width of the model": effects.llm.width,
        "key/value heads": effects.llm.kv_heads,
        "experts": effects.llm.experts,
        "experts per token": effects.llm.experts_per_token,
        "limit on TTFT": effects.target.ttft,
        "limit on TPOT": effects.target.tpot,
    }
