"""Exercises of the chapter on throughput."""

import math
from collections.abc import Mapping
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp

from llmecon import physics
from llmecon.execution.interpreter import interpreted
from llmecon.specs import XPU
from llmecon.studies.parameters import Value
from llmecon.studies.throughput import model
from llmecon.studies.throughput.model import Case
from llmecon.studies.throughput.study import Study
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.slips import sparse_peak
from llmecon.teaching.turning import turning_point

CHAPTER = "throughput"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "xpu": ("h100-sxm", "h200-sxm", "b200", "mi300x"),
    "batch": (24.0, 40.0, 96.0, 128.0, 160.0),
    "prompt_tokens": (1000.0, 1500.0, 2000.0, 2600.0, 3400.0),
    "output_tokens": (300.0, 400.0, 500.0, 650.0, 800.0),
}
"""What may differ by student."""

SLOWER = 2.0
"""How many times as long as a lone answer's tokens those of exercise 3 take."""

MOST_IN_FLIGHT = 1000.0
"""The end of the panel's slider for requests in flight, unless the scenario has more."""

FASTER = 1.5
"""The memory of exercise 5, over the one in the datasheet."""

PARTS = ("compute", "memory", "network", "overhead")
"""Of the time of a pass."""

SLIGHT = 1e-4
"""A change small enough for a slope."""

MILLISECONDS = 1e3

_point = interpreted(model.point_of)
_step = interpreted(model.step)
_prompt = interpreted(model.prompt_pass)


def _intensity(study: Study) -> Key:
    of = study.case
    product = physics.output_projection(of.llm, of.layout.precision, of.batch)
    found = float(physics.arithmetic_intensity(product))
    flops, moved = (
        float(count(product)) for count in (physics.product_flops, physics.product_bytes)
    )
    weights = float(product.inner * product.columns * product.weight_bytes)
    wide = eqx.tree_at(lambda p: p.weight_bytes, product, jnp.asarray(2.0))
    return Key(
        found,
        (
            Mistake(
                "activations-forgotten",
                "This moves the weights alone; what goes in and what comes out is moved as well.",
                flops / weights,
            ),
            Mistake(
                "weights-forgotten",
                "This moves the activations alone; the matrix has to be read, too.",
                flops / (moved - weights),
            ),
            Mistake(
                "weights-anew-for-every-token",
                "This reads the matrix once for every token; all that pass together share it.",
                flops / (moved + (float(of.batch) - 1.0) * weights),
            ),
            Mistake(
                "multiplications-alone",
                "A weight's product with a number is a multiplication and an addition: two FLOPs.",
                found / 2.0,
            ),
            Mistake(
                "bits-for-bytes",
                "This takes bits for bytes: eight bits are one byte.",
                found / 8.0,
            ),
            Mistake(
                "sixteen-bit-weights",
                "This takes two bytes for a weight; look at the precision.",
                float(physics.arithmetic_intensity(wide)),
            ),
        ),
        {name: float(getattr(product, name)) for name in vars(product)},
    )


def _utilisation(study: Study) -> Key:
    of = study.case
    prompt, step = _prompt(of), _step(of)
    devices = float(of.layout.xpus)
    peak = float(physics.peak_flops(of.xpu, of.layout.precision))

    def attained(flops: float, seconds: float) -> float:
        return flops / (seconds * devices * peak)

    found = attained(float(prompt.flops), float(prompt.seconds))
    every = 2.0 * float(physics.parameters(of.llm).total * of.requests.computed_prompt_tokens)
    return Key(
        found,
        (
            Mistake(
                "step-for-prompt",
                "This is a step that writes answers; the pass that reads a prompt is meant.",
                attained(float(step.flops), float(step.seconds)),
            ),
            Mistake(
                "one-device",
                "This compares with the peak of one device; several share the work.",
                found * devices if devices > 1 else math.nan,
            ),
            sparse_peak(found),
            Mistake(
                "sixteen-bit-peak",
                "This takes the peak of 16-bit arithmetic; look at the precision.",
                found * peak / float(of.xpu.bf16_flops),
            ),
            Mistake(
                "attained-for-peak",
                "This compares with what products attain; compare with the datasheet's peak.",
                float(prompt.compute / prompt.seconds),
            ),
            Mistake(
                "total-for-active",
                "This counts all weights; a token passes only through those active for it.",
                attained(every, float(prompt.seconds)),
            ),
        ),
        {
            "seconds": float(prompt.seconds),
            "peak": peak,
            **{part: float(getattr(prompt, part) / prompt.seconds) for part in PARTS},
        },
    )


def _half_pace(study: Study) -> Key:
    of = study.case
    alone = seconds_per_token(of, 1.0)
    most = max(1.0, min(study.room, max(MOST_IN_FLIGHT, float(of.batch))))
    found = turning_point(lambda batch: seconds_per_token(of, batch) >= SLOWER * alone, 1.0, most)
    # Prompts in between left out, as if only steps took time.
    first = float(_step(_with(of, 1.0)).seconds)
    steps = turning_point(
        lambda batch: float(_step(_with(of, batch)).seconds) >= SLOWER * first, 1.0, most
    )
    here = seconds_per_token(of, float(of.batch))
    slower_than_here = turning_point(
        lambda batch: seconds_per_token(of, batch) >= SLOWER * here, 1.0, most
    )
    return Key(
        found,
        (
            Mistake(
                "pace-shared-out",
                "This shares one pace out among the requests; a step serves all of them at once.",
                SLOWER,
            ),
            Mistake(
                "half-of-the-chapters-pace",
                "This halves the pace at the chapter's own setting; halve that of a lone request.",
                slower_than_here,
            ),
            Mistake(
                "prompts-forgotten",
                "This counts steps alone; others' prompts are read in between.",
                steps,
            ),
            Mistake(
                "largest-batch",
                "This is how many fit into memory; the pace falls long before.",
                study.room,
            ),
        ),
        {"alone": alone, "most": most},
    )


def seconds_per_token(case: Case, batch: float) -> float:
    """Time per output token with some requests in flight, prompts in between [s]."""
    return float(_point(_with(case, batch)).tpot)


def _with(case: Case, batch: float) -> Case:
    return replace(case, batch=jnp.asarray(float(batch)))


def _least_step(study: Study) -> Key:
    of = study.case
    # A pipeline cuts the batch into as many parts as it has stages.
    together = jnp.maximum(of.batch / of.layout.pipeline, 1.0)

    def share_of(tokens: jax.Array) -> float:
        precision, uneven = of.layout.precision, of.efficiency.routing_cv
        return float(physics.weights_read(of.llm, precision, tokens, uneven))

    share = share_of(together)
    count = physics.parameters(of.llm)
    weights = float(sum(physics.read_by(count, of.layout.precision, jnp.ones(()))))
    cache = float(physics.kv_cache_bytes(of.llm, of.layout.precision, of.requests.mean_context))
    width, bandwidth = float(of.layout.width), float(of.xpu.memory_bandwidth)
    requests = float(together)

    def least(read: float) -> float:
        return MILLISECONDS * read / (width * bandwidth)

    found = least(share * weights + requests * cache)
    visited = weights * share_of(jnp.ones_like(together))
    return Key(
        found,
        (
            Mistake(
                "caches-forgotten",
                "This reads weights alone; every request's cache is read, too.",
                least(share * weights),
            ),
            Mistake(
                "one-cache",
                "This reads one cache; each request brings its own.",
                least(share * weights + cache),
            ),
            Mistake(
                "all-weights",
                "This reads all weights; so few tokens don't visit every expert.",
                least(weights + requests * cache),
            ),
            Mistake(
                "one-tokens-weights",
                "This reads what one token visits; together the tokens visit more experts.",
                least(visited + requests * cache),
            ),
            Mistake(
                "weights-for-every-request",
                "This reads the weights once for every request; a step reads them for all at once.",
                least(requests * (share * weights + cache)),
            ),
            Mistake(
                "one-device",
                "This lets one device read everything; those that share a layer share the reading.",
                found * width if width > 1 else math.nan,
            ),
            Mistake(
                "bits-for-bytes",
                "This takes bits for bytes: eight bits are one byte.",
                found / 8.0,
            ),
            Mistake("seconds-for-ms", "These are seconds; give milliseconds.", found / 1e3),
        ),
        {
            "share": share,
            "weights": weights,
            "cache": cache,
            "width": width,
            "requests": requests,
        },
    )


def _faster_memory(study: Study) -> Key:
    of = study.case
    quicker = faster(of.xpu, "memory_bandwidth")
    found = _gain(of, quicker)
    # The elasticity from a small change: differentiating the whole answer takes much longer.
    slight = replace(of.xpu, memory_bandwidth=(1.0 + SLIGHT) * of.xpu.memory_bandwidth)
    effect = _gain(of, slight) / (100.0 * SLIGHT)
    steps = float(_step(of).seconds / _step(replace(of, xpu=quicker)).seconds)
    rates = faster(of.xpu, "bf16_flops", "fp8_flops", "fp4_flops")
    links = faster(of.xpu, "link_bandwidth", "network_bandwidth")
    return Key(
        found,
        (
            Mistake(
                "in-proportion",
                "This lets all of a step's time shrink; part of it doesn't wait for memory.",
                100.0 * (FASTER - 1.0),
            ),
            Mistake(
                "slope-held",
                "This follows the elasticity as if it stayed as it is; it falls on the way.",
                100.0 * (FASTER - 1.0) * effect,
            ),
            Mistake(
                "steps-alone",
                "This counts steps alone; prompts that are read in between gain less.",
                100.0 * (steps - 1.0),
            ),
            Mistake(
                "arithmetic-for-memory",
                "This speeds the arithmetic up; speed the memory up.",
                _gain(of, rates),
            ),
            Mistake(
                "links-for-memory",
                "This speeds the links up; speed the memory up.",
                _gain(of, links),
            ),
            Mistake(
                "ratio-for-gain",
                "This is the ratio of the two rates; give the gain in percent.",
                1.0 + found / 100.0,
            ),
        ),
        {"effect": effect},
    )


def faster(xpu: XPU, *rates: str) -> XPU:
    """An accelerator some of whose rates are those of exercise 5."""
    return replace(xpu, **{name: FASTER * getattr(xpu, name) for name in rates})


def _gain(case: Case, xpu: XPU) -> float:
    before, after = (float(_point(of).rate) for of in (case, replace(case, xpu=xpu)))
    return 100.0 * (after / before - 1.0)


EXERCISES = (
    Exercise(
        "throughput-1",
        CHAPTER,
        "Arithmetic for each byte",
        "recall",
        minutes=5,
        unit="FLOP per byte",
        tolerance=0.02,
        key=_intensity,
    ),
    Exercise(
        "throughput-2",
        CHAPTER,
        "How busy a prompt keeps the multipliers",
        "code",
        minutes=10,
        unit="fraction",
        tolerance=0.02,
        key=_utilisation,
    ),
    Exercise(
        "throughput-3",
        CHAPTER,
        "Half the pace",
        "panel",
        minutes=10,
        unit="requests",
        tolerance=0.05,
        key=_half_pace,
    ),
    Exercise(
        "throughput-4",
        CHAPTER,
        "No step is shorter",
        "paper",
        minutes=10,
        unit="ms",
        tolerance=0.03,
        key=_least_step,
    ),
    Exercise(
        "throughput-5",
        CHAPTER,
        "Faster memory",
        "code",
        minutes=15,
        unit="% more tokens per second",
        tolerance=0.04,
        key=_faster_memory,
    ),
    Exercise("throughput-6", CHAPTER, "Predict, then look", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
