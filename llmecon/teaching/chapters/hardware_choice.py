"""Exercises of the chapter on hardware choice."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from llmecon import choice
from llmecon.choice import Clash, sensitivity
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice import description, frames, margins, rivals
from llmecon.studies.hardware_choice.model import Answer, answer
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.studies.parameters import Value
from llmecon.tables import catalog
from llmecon.teaching.records import Exercise, Key, Mistake

CHAPTER = "hardware-choice"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "requests_per_second": (12.0, 30.0, 45.0),
    "output_tokens": (150.0, 250.0, 300.0),
    "rival": ("h200-sxm", "mi300x", "mi355x"),
}
"""What may differ by student."""

LOOSER = 0.1
"""By what share exercise 3 loosens the limit that is worth most."""

TWICE = 2.0
"""Times the limit on further tokens that exercise 4 allows."""

RENTS = (0.1, 30.0)
"""USD an hour between which the panel's sliders, and exercise 5, move."""

_STEP = 0.01  # relative, of the limit, over which exercise 4 measures a slope


def _answers(study: Study) -> Key:
    given, cost = study.scenario, study.best.cost
    rates, lengths = study.rates, (given.output_tokens, given.long_output_tokens)
    written = sum(rate * length for rate, length in zip(rates, lengths, strict=True))
    million = frames.MILLION * cost
    return Key(
        million / written,
        (
            Mistake(
                "prompts-counted",
                "This spreads the cost over prompts as well; the question is about answers alone.",
                study.per_mtok(cost),
            ),
            Mistake(
                "one-size",
                "This gives every request the length of a short answer.",
                million / (sum(rates) * lengths[0]),
            ),
            Mistake(
                "plain-mean",
                "This takes the mean of both lengths as if there were as many long requests as "
                "short ones.",
                million / (sum(rates) * sum(lengths) / 2.0),
            ),
            Mistake(
                "hour-for-second",
                "This divides the cost of an hour by the tokens of a second.",
                SECONDS_PER_HOUR * million / written,
            ),
            Mistake(
                "rate-forgotten",
                "This counts one request a second; look at how many arrive.",
                million / (written / sum(rates)),
            ),
        ),
        {"hourly": SECONDS_PER_HOUR * cost, "all": study.per_mtok(cost)},
    )


def rent(xpu: str) -> float:
    """What an hour of an accelerator costs by the catalogue, USD; NaN where none is known."""
    found = catalog.rental_price(xpu)
    return math.nan if found is None else found.usd


def _bytes_per_dollar(study: Study) -> Key:
    given = study.scenario
    usual, rival = catalog.xpu(given.xpu), catalog.xpu(given.rival)
    cheaper = rent(given.xpu) / rent(given.rival)

    def more(field: str) -> float:
        return float(getattr(rival, field)) / float(getattr(usual, field))

    wider = more("memory_bandwidth")
    found = wider * cheaper
    alone = study.alone
    return Key(
        math.nan if given.xpu == given.rival else found,
        (
            Mistake(
                "the-other-way-round",
                "This is the usual accelerator over its rival; turn the ratio round.",
                1.0 / found,
            ),
            Mistake(
                "rent-forgotten",
                "This compares an hour with an hour; a dollar doesn't rent both for as long.",
                wider,
            ),
            Mistake(
                "dearer-is-better",
                "This multiplies by the rent; a dearer hour buys less of everything.",
                wider / cheaper,
            ),
            Mistake(
                "arithmetic-for-bandwidth",
                "This compares arithmetic rates; the question is about reading memory.",
                more("bf16_flops") * cheaper,
            ),
            Mistake(
                "size-for-bandwidth",
                "This compares how much the memories hold, not how fast they are read.",
                more("memory") * cheaper,
            ),
        ),
        {
            "usual": rent(given.xpu),
            "rival": rent(given.rival),
            "saved": alone.usual / alone.costs[given.rival],
        },
    )


def _first_order(study: Study) -> Key:
    found = sensitivity.shadow_prices(study.posed, study.parts)
    of_all = study.per_mtok(study.parts.cost)
    limits = {
        (kind, at): (margins.limits(study)[kind][at], float(getattr(found, kind)[at]))
        for kind in margins.KINDS
        for at in margins.asked(study)
    }
    kind, at = max(limits, key=lambda of: math.prod(limits[of]))
    limit, worth = limits[kind, at]
    each = study.per_mtok(worth) / THOUSAND  # USD/Mtok for a millisecond
    saved = each * LOOSER * limit * THOUSAND
    told = 100.0 * saved / of_all
    return Key(
        told if told > 1e-4 else math.nan,
        (
            Mistake(
                "one-millisecond",
                "This loosens the limit by one millisecond; it gives more than that.",
                100.0 * each / of_all,
            ),
            Mistake(
                "whole-limit",
                "This loosens the limit by as much again as it is.",
                told / LOOSER,
            ),
            Mistake(
                "dollars-for-percent",
                "This is what a million tokens cost less in dollars; set it against what they "
                "cost.",
                saved,
            ),
            Mistake(
                "what-is-left",
                "This is what is left of the cost; the question asks what is saved.",
                100.0 - told,
            ),
            Mistake(
                "cents-for-dollars",
                "This divides cents by dollars.",
                100.0 * told,
            ),
            Mistake(
                "other-cost",
                "This divides by the cost of the fleet of whole instances, whose slope is "
                "not known.",
                100.0 * saved / study.per_mtok(study.best.cost),
            ),
        ),
        {
            "kind": margins.KINDS.index(kind),
            "at": at,
            "limit": limit,
            "worth": each,
            "cost": of_all,
        },
    )


def cost_alone(study: Study, factor: float) -> float:
    """What a million tokens of one size cost in rent on the usual accelerator, in parts, USD.

    Args:
        study: whose requests, of the size that is shown where there is one only.
        factor: on the limit on the time per output token.

    Returns:
        NaN where nothing keeps the limits.
    """
    size = dict(study_size(study))
    size["tpot"] *= factor
    found = choice.best_in_parts(choice.problem(asked_alone(study, size)))
    if isinstance(found, Clash):
        return math.nan
    tokens = size["per_second"] * (size["prompt_tokens"] + size["output_tokens"])
    return frames.MILLION * found.cost / tokens


def study_size(study: Study) -> Mapping[str, float]:
    """The size of request that exercise 4 is about: short, if any are."""
    return description.sizes(study.scenario)[frames.bucket_shown(study)]


def asked_alone(study: Study, size: Mapping[str, float]) -> dict[str, Any]:
    """The problem of exercise 4: requests of one size, on the usual accelerator, for rent alone."""
    given = study.scenario
    return {
        "model": given.model,
        "tuning": given.tuning,
        "my_server": given.my_server,
        "buckets": [dict(size)],
        "choices": {"xpus": [given.xpu], "precisions": [given.precision], "disaggregated": False},
    }


def _twice(study: Study) -> Key:
    before, after = cost_alone(study, 1.0), cost_alone(study, TWICE)
    slope = (cost_alone(study, 1.0 + _STEP) / before - 1.0) / _STEP
    size = study_size(study)
    tokens = size["prompt_tokens"] + size["output_tokens"]
    return Key(
        after,
        (
            Mistake("old-limit", "This is the cost under the chapter's limit.", before),
            Mistake(
                "in-proportion",
                "This divides the cost by as much as the limit grows; other limits, and the work "
                "itself, don't give way with it.",
                before / TWICE,
            ),
            Mistake(
                "straight-on",
                "This follows the slope at the old limit all the way; the curve flattens.",
                before * (1.0 + slope * (TWICE - 1.0)),
            ),
            Mistake(
                "tighter",
                "This tightens the limit; the question loosens it.",
                cost_alone(study, 1.0 / TWICE),
            ),
            Mistake(
                "answers-alone",
                "This spreads the cost over answers alone; count prompts as well.",
                after * tokens / size["output_tokens"],
            ),
        ),
        {"before": before, "limit": TWICE * size["tpot"]},
    )


_full: Any = interpreted(answer)


def _level(study: Study) -> Key:
    given = study.scenario
    engines, demand = rivals.engines(given), rivals.short_requests(given)
    hours = rent(given.xpu), rent(given.rival)
    llm = catalog.llm(given.model)

    now: Answer = _full(rivals.case(llm, engines, [jnp.asarray(of) for of in hours], demand))
    if given.xpu == given.rival or float(now.able.min()) < 1.0:
        return Key(math.nan)

    usual, rival = map(float, now.usd_per_mtok)
    # Both cost their rent alone, so the cost grows in proportion to the rent.
    alike = hours[0] * rival / usual
    return Key(
        alike if RENTS[0] < alike <= RENTS[1] else math.nan,
        (
            Mistake(
                "same-hour",
                "This makes an hour of both as dear; they don't serve as much in it.",
                hours[1],
            ),
            Mistake(
                "the-rivals-rent",
                "This is the hour of the rival at which both cost the same; move the other rent.",
                hours[1] * usual / rival,
            ),
            Mistake(
                "the-wrong-way",
                "This moves the rent the wrong way.",
                hours[0] * usual / rival,
            ),
            Mistake("as-it-is", "This is the rent as it is.", hours[0]),
        ),
        {"usual": usual, "rival": rival, "rent": hours[0], "rivals_rent": hours[1]},
    )


EXERCISES = (
    Exercise(
        "hardware-choice-1",
        CHAPTER,
        "What an answer costs",
        "recall",
        minutes=4,
        unit="USD per million tokens",
        tolerance=0.02,
        key=_answers,
    ),
    Exercise(
        "hardware-choice-2",
        CHAPTER,
        "What a dollar reads",
        "code",
        minutes=8,
        unit="times",
        tolerance=0.005,
        key=_bytes_per_dollar,
    ),
    Exercise(
        "hardware-choice-3",
        CHAPTER,
        "A little more time",
        "paper",
        minutes=8,
        unit="%",
        tolerance=0.02,
        key=_first_order,
    ),
    Exercise(
        "hardware-choice-4",
        CHAPTER,
        "Twice the time",
        "code",
        minutes=15,
        unit="USD per million tokens",
        tolerance=0.01,
        key=_twice,
    ),
    Exercise(
        "hardware-choice-5",
        CHAPTER,
        "What habit may cost",
        "panel",
        minutes=10,
        unit="USD an hour",
        tolerance=0.03,
        key=_level,
    ),
    Exercise("hardware-choice-6", CHAPTER, "A recommendation", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
