"""Exercises of the chapter on numbers of accelerators."""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp

from llmecon import serving
from llmecon.costs import per_request
from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture
from llmecon.specs import PRECISIONS, LatencyTarget, Workload, precision
from llmecon.studies.parameters import Value
from llmecon.studies.xpu_needs.study import Study
from llmecon.tables import catalog
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.slips import sparse_peak
from llmecon.teaching.turning import turning_point

CHAPTER = "xpu-needs"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "training_tokens": (8e12, 10e12, 12e12, 15e12, 18e12),
    "prompt_tokens": (900.0, 1155.0, 1500.0, 1800.0, 2200.0),
    "output_tokens": (180.0, 211.0, 250.0, 300.0, 360.0),
    "peak_to_mean": (1.6, 2.0, 2.5, 3.0),
}
"""What may differ by student."""

TIGHTER = 1.5
"""By what exercise 4 divides the limit on the time per output token."""

LOADS = (1e-4, 1e8)
"""Requests per second between which exercise 5 looks for its answer."""


def flops_by_rule(study: Study) -> float:
    """FLOPs of the training run without attention, by the rule of the chapter."""
    forward, _ = _forward(study)
    return (2.0 + study.scenario.trainable_share) * forward


def _forward(study: Study) -> tuple[float, float]:
    """FLOPs of one pass forward over all tokens: by the active weights, and by all of them."""
    of, tokens = study.case, float(study.case.run.tokens)
    active = float(architecture.token_flops(of.llm))
    every = 2.0 * float(architecture.parameters(of.llm).total)
    return active * tokens, every * tokens


def _flops(study: Study) -> Key:
    share = study.scenario.trainable_share
    forward, every = _forward(study)
    return Key(
        flops_by_rule(study),
        (
            Mistake(
                "forward-only",
                "This counts the way forward alone; training also goes backward.",
                forward,
            ),
            Mistake(
                "one-product-backward",
                "On the way backward each weight takes part in two products, not in one.",
                (1.0 + share) * forward,
            ),
            Mistake(
                "multiplications-alone",
                "A weight's product with a number is a multiplication and an addition: two FLOPs.",
                (2.0 + share) / 2.0 * forward,
            ),
            Mistake(
                "total-for-active",
                "This counts all weights; a token passes only through those active for it.",
                (2.0 + share) * every,
            ),
        ),
        {"active": float(architecture.parameters(study.case.llm).active)},
    )


def _devices(study: Study) -> Key:
    of = study.case
    mfu = float(study.answer.training.plan.step.mfu)
    by_rule, peak = flops_by_rule(study), float(of.xpu.bf16_flops)
    forward, _ = _forward(study)
    found = by_rule / (mfu * peak * study.deadline)
    return Key(
        found if study.fits else math.nan,
        (
            Mistake(
                "peak-attained",
                "This takes the peak rate as attained; training attains only the MFU of it.",
                found * mfu,
            ),
            sparse_peak(found),
            Mistake(
                "fp8-peak",
                "This takes the rate of 8-bit arithmetic; the run multiplies in bf16.",
                found * peak / float(of.xpu.fp8_flops)
                if float(of.xpu.fp8_native) > 0
                else math.nan,
            ),
            Mistake(
                "forward-only",
                "This does only the way forward; count the way backward too.",
                found * forward / by_rule,
            ),
            Mistake(
                "hours-for-days",
                "This takes an hour where the deadline has a day.",
                found * 24.0,
            ),
        ),
        {"flops": by_rule},
    )


def _fitting(study: Study) -> Key:
    of, given = study.case, study.scenario
    numbers = precision(given.precision)
    devices = float(of.deployment.xpus)
    share, memory = float(of.efficiency.usable_memory), float(of.xpu.memory)
    weights = float(architecture.weight_bytes(of.llm, numbers))
    context = given.prompt_tokens + given.output_tokens

    def cache(tokens: float, of_kind: str = given.precision) -> float:
        return float(architecture.kv_cache_bytes(of.llm, PRECISIONS[of_kind], jnp.asarray(tokens)))

    free, each = devices * memory * share - weights, cache(context)
    decimal = devices * catalog.memory_gb(memory) * 1e9 * share - weights
    return Key(
        free / each if free > 0 else math.nan,
        (
            Mistake(
                "prompt-forgotten",
                "This caches the answer alone; the prompt's tokens stay in the cache as well.",
                free / cache(given.output_tokens),
            ),
            Mistake(
                "weights-forgotten",
                "This gives all memory to the caches; the weights lie there too.",
                (free + weights) / each,
            ),
            Mistake(
                "weights-on-each-device",
                "This puts all weights on every device; tensor parallelism splits them.",
                (devices * (memory * share - weights)) / each,
            ),
            Mistake(
                "all-memory",
                "This uses all of the memory; activations and the runtime need the rest of it.",
                (devices * memory - weights) / each,
            ),
            Mistake(
                "decimal-gigabytes",
                "This takes the GB of a datasheet for 10⁹ bytes; of memory they are 2³⁰.",
                decimal / each,
            ),
            Mistake(
                "sixteen-bit-cache",
                "This stores two bytes per cached number; look at the precision.",
                free / cache(context, "bf16"),
            ),
            Mistake(
                "bits-for-bytes",
                "This takes bits for bytes: eight bits are one byte.",
                free / (8.0 * each),
            ),
            Mistake(
                "one-device",
                "This is the room on one device; an instance has more of them.",
                free / each / devices if devices > 1 else math.nan,
            ),
        ),
    )


_capacity = interpreted(serving.capacity)


def carried(study: Study, requests: Workload, target: LatencyTarget) -> float:
    """Requests per second that an instance of the chapter's layout carries within limits."""
    of = study.case
    found = _capacity(of.instance, requests, target)
    return float(found.rate) if float(found.feasible) > 0 else math.nan


def _tighter(study: Study) -> Key:
    of = study.case
    tighter = replace(of.target, tpot=of.target.tpot / TIGHTER)
    sooner = replace(of.target, ttft=of.target.ttft / TIGHTER)
    found = carried(study, of.requests, tighter)
    before = float(rate_carried(study))
    return Key(
        found,
        (
            Mistake(
                "in-proportion",
                "This divides the rate by as much as the limit; part of a step's time stays, "
                "however few requests share it.",
                before / TIGHTER,
            ),
            Mistake("not-tighter", "This is what the instance carries at the old limit.", before),
            Mistake(
                "wrong-limit",
                "This tightens the limit on the first token; tighten that on the further ones.",
                carried(study, of.requests, sooner),
            ),
            Mistake(
                "per-token-for-per-request",
                "These are tokens per second; count requests.",
                found * study.scenario.output_tokens,
            ),
            Mistake(
                "per-device",
                "This is the share of one device; an instance has more of them.",
                found / float(of.deployment.xpus) if float(of.deployment.xpus) > 1 else math.nan,
            ),
        ),
        {"before": before, "tpot": float(tighter.tpot)},
    )


def rate_carried(study: Study) -> float:
    """Requests per second that an instance carries in the chapter; NaN where it can't."""
    return float(study.answer.serving.capacity.rate) if study.can_serve else math.nan


def _turning(study: Study) -> Key:
    of = study.case
    if not (study.can_train and study.can_serve):
        return Key(math.nan)
    devices, rate = float(of.deployment.xpus), rate_carried(study)
    full = study.answer.serving.capacity

    def as_many(load: float) -> bool:
        instances = math.ceil(
            per_request.needed(full, jnp.asarray(load), of.peak_to_mean, of.spares)
        )
        return instances * devices >= study.training_xpus

    found = turning_point(as_many, *LOADS)
    peak, spares = float(of.peak_to_mean), float(of.spares)
    return Key(
        found,
        (
            Mistake(
                "mean-for-peak",
                "This fleet carries the mean; at the peak it fails.",
                found * peak if peak > 1 else math.nan,
            ),
            Mistake(
                "instances-for-devices",
                "This compares instances with devices; an instance has more than one device.",
                (study.training_xpus - spares) * rate / peak if devices > 1 else math.nan,
            ),
        ),
        {"rate": rate},
    )


EXERCISES = (
    Exercise(
        "xpu-needs-1",
        CHAPTER,
        "The work of a training run",
        "recall",
        minutes=3,
        unit="FLOPs",
        tolerance=0.03,
        key=_flops,
    ),
    Exercise(
        "xpu-needs-2",
        CHAPTER,
        "A fleet on the back of an envelope",
        "paper",
        minutes=10,
        unit="xPUs",
        tolerance=0.05,
        key=_devices,
    ),
    Exercise(
        "xpu-needs-3",
        CHAPTER,
        "Room for requests",
        "code",
        minutes=10,
        unit="requests",
        tolerance=0.02,
        key=_fitting,
    ),
    Exercise(
        "xpu-needs-4",
        CHAPTER,
        "A tighter limit",
        "code",
        minutes=15,
        unit="requests/s",
        tolerance=0.02,
        key=_tighter,
    ),
    Exercise(
        "xpu-needs-5",
        CHAPTER,
        "When serving outgrows training",
        "panel",
        minutes=10,
        unit="requests/s",
        tolerance=0.05,
        key=_turning,
    ),
    Exercise("xpu-needs-6", CHAPTER, "A second opinion", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
