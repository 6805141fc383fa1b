"""Exercises of the chapter on tokenomics."""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import economics, per_request
from llmecon.execution.interpreter import interpreted
from llmecon.numerics import whole
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_MONTH,
    SECONDS_PER_YEAR,
)
from llmecon.studies.parameters import Value
from llmecon.studies.tokenomics import hardware
from llmecon.studies.tokenomics.model import MILLION, Case
from llmecon.studies.tokenomics.study import Study
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import Held, Settings, first_of_many

CHAPTER = "tokenomics"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "requests_per_second": (12.0, 16.0, 20.0, 28.0, 40.0),
    "output_tokens": (180.0, 240.0, 300.0, 360.0, 420.0),
    "peak_to_mean": (1.6, 2.0, 2.5, 3.0),
    "xpu": ("b200", "h100-sxm", "mi300x"),
}
"""What may differ by student."""

LIFE = 3.0  # years after which exercise 4 writes a device off
DEARER = 2.5  # the API of exercise 5, over a full fleet that idles between its peaks
LEAST_LIMIT = 0.002  # s a token, where the panel's slider begins
TIMES = 3.0  # as many devices, in exercise 3
MILLISECONDS = 1000.0  # in a second

Scalar = Float[Array, "..."]


def _time(study: Study) -> Key:
    of, service = study.case, study.answer.service
    ttft, tpot = float(service.ttft), float(service.point.tpot)
    prompt, output = float(of.requests.prompt_tokens), float(of.requests.output_tokens)
    return Key(
        float(study.answer.answer_time),
        (
            Mistake(
                "first-token-forgotten",
                "This leaves out the wait for the first token.",
                tpot * output,
            ),
            Mistake(
                "prompt-token-by-token",
                "This reads the prompt token by token; it is read at once, before the first token.",
                ttft + tpot * (prompt + output),
            ),
            Mistake(
                "first-wait-each-time",
                "This waits for a first token before every token.",
                (ttft + tpot) * output,
            ),
            Mistake(
                "reader-for-stream",
                "This is when somebody has read it; the stream has a pace of its own.",
                ttft + output / float(of.reader.speed),
            ),
            Mistake(
                "milliseconds-for-seconds",
                "This takes milliseconds for seconds.",
                ttft + MILLISECONDS * tpot * output,
            ),
        ),
        {"tpot_ms": MILLISECONDS * tpot, "ttft": ttft, "output": output},
    )


def _per_million(study: Study) -> Key:
    of, found = study.case, study.answer
    requests, load = of.requests, study.scenario.requests_per_second
    prompt, output = float(requests.prompt_tokens), float(requests.output_tokens)
    devices, width, peak = float(found.devices), float(of.layout.xpus), float(of.peak_to_mean)
    usd = devices * float(of.rent) / (load * (prompt + output)) * MILLION
    return Key(
        usd,
        (
            Mistake(
                "output-alone",
                "This shares the rent among output tokens; prompt tokens are tokens as well.",
                usd * (prompt + output) / output,
            ),
            Mistake(
                "one-device",
                "This rents one accelerator; the load takes the whole fleet.",
                usd / devices if devices > 1 else math.nan,
            ),
            Mistake(
                "instances-for-devices",
                "This rents an accelerator an instance; an instance has more of them.",
                usd / width if width > 1 else math.nan,
            ),
            Mistake(
                "peak-for-mean",
                "This takes the busiest load, which is not what is asked on average.",
                usd / peak if peak > 1 else math.nan,
            ),
            Mistake(
                "hour-for-second",
                "This takes the rent of an hour for that of a second.",
                usd * SECONDS_PER_HOUR,
            ),
            Mistake(
                "per-thousand",
                "This is per thousand tokens.",
                usd / 1000.0,
            ),
        ),
        {"prompt": prompt, "output": output, "devices": devices},
    )


def _owned(study: Study) -> Key:
    of = study.case
    if of.owned is None or study.bought is None:
        return Key(math.nan)
    terms = replace(of.owned, lifetime=jnp.asarray(LIFE * SECONDS_PER_YEAR))
    drawn = study.answer.service.point.power + of.efficiency.host_power * of.xpu.tdp
    parts = economics.ownership_cost(terms, of.rated_power, drawn, of.site)
    hour, price = SECONDS_PER_HOUR * float(parts.total), float(terms.price)
    capital = SECONDS_PER_HOUR * float(parts.capital)
    a_year = price * SECONDS_PER_HOUR / SECONDS_PER_YEAR
    rate = float(terms.discount_rate)
    as_before = study.answer.ownership
    return Key(
        hour,
        (
            Mistake(
                "no-interest",
                "This divides the price by the years; the money costs interest as well.",
                hour - capital + a_year / LIFE,
            ),
            Mistake(
                "interest-on-all",
                "This pays interest on the whole price to the end, although part of it is repaid "
                "every year.",
                hour - capital + a_year * (1.0 / LIFE + rate),
            ),
            Mistake(
                "old-life",
                "This is the hour of the chapter's own life; shorten it.",
                SECONDS_PER_HOUR * float(as_before.total) if as_before else math.nan,
            ),
            Mistake(
                "capital-alone",
                "This repays the price; space, repairs and electricity come to it.",
                capital,
            ),
            Mistake(
                "hosting-forgotten",
                "This leaves out space and power capacity.",
                hour - SECONDS_PER_HOUR * float(parts.hosting),
            ),
            Mistake(
                "upkeep-forgotten",
                "This leaves out repairs and staff.",
                hour - SECONDS_PER_HOUR * float(parts.maintenance),
            ),
            Mistake(
                "month-for-hour",
                "This is a month of it.",
                hour * SECONDS_PER_MONTH / SECONDS_PER_HOUR,
            ),
        ),
        {
            "price": price,
            "drawn": float(drawn),
            "rated": float(of.rated_power),
            "colocation": hardware.colocation(),
            "usd_per_kwh": float(of.site.electricity_price) * JOULES_PER_KWH,
            "before": SECONDS_PER_HOUR * float(as_before.total) if as_before else math.nan,
        },
    )


def dearer_price(study: Study) -> float:
    """What the API of exercise 5 asks for a million tokens, USD, in two digits."""
    tokens = float(study.case.requests.prompt_tokens + study.case.requests.output_tokens)
    full = _instance(study) * float(study.case.peak_to_mean) / float(study.answer.full.rate)
    return float(f"{DEARER * full / tokens * MILLION:.2g}")


def _instance(study: Study) -> float:
    """Rent of an instance, USD/s."""
    return float(study.case.layout.xpus) * float(study.case.rent)


def _even(study: Study) -> Key:
    of, rate, price = study.case, float(study.answer.full.rate), dearer_price(study)
    prompt, output = float(of.requests.prompt_tokens), float(of.requests.output_tokens)
    width, spares = float(of.layout.xpus), float(of.spares)
    usual = (_instance(study), spares, price / MILLION * (prompt + output))

    def a_day(instance: float, spare: float, called: float) -> float:
        peak = float(of.peak_to_mean)
        found = economics.break_even(*map(jnp.asarray, (instance, rate, peak, spare, called)))
        return SECONDS_PER_DAY * float(found.requests_per_second)

    instance, spare, called = usual
    found = a_day(*usual)
    return Key(
        found,
        (
            Mistake(
                "spares-forgotten",
                "This rents no spare, which stands by at any load.",
                a_day(instance, 0.0, called) if spares else math.nan,
            ),
            Mistake(
                "one-device",
                "This rents one accelerator an instance; it takes more of them.",
                a_day(instance / width, spare, called) if width > 1 else math.nan,
            ),
            Mistake(
                "full-instance",
                "This is what one instance can carry; it pays from another load on.",
                rate * SECONDS_PER_DAY,
            ),
            Mistake(
                "output-alone",
                "This pays the API for output tokens alone; prompt tokens are billed as well.",
                a_day(instance, spare, called * output / (prompt + output)),
            ),
            Mistake("second-for-day", "This is a rate by the second.", found / SECONDS_PER_DAY),
            Mistake("hour-for-day", "This is a rate by the hour.", found / 24.0),
        ),
        {"price": price, "rate": rate, "prompt": prompt, "output": output},
    )


@interpreted
def _fleets(case: Case, limits: Scalar) -> tuple[Scalar, Scalar]:
    """Whether a limit on TPOT can be met, and the instances that it takes."""

    def fleet(limit: Scalar) -> tuple[Scalar, Scalar]:
        target = replace(case.target, tpot=limit)
        full = serving.capacity(case.instance, case.requests, target)
        needed = per_request.needed(full, case.load, case.peak_to_mean, case.spares)
        return full.feasible, whole(needed)

    found: tuple[Scalar, Scalar] = jax.vmap(fleet)(limits)
    return found


@interpreted
def _pace(case: Case, rate: Scalar) -> Scalar:
    """Time per token of an instance that receives so many requests per second."""
    found = serving.serve(case.instance, case.requests, rate)
    return found.point.tpot


def _faster(study: Study) -> Key:
    of, now = study.case, float(study.answer.instances)
    width, limit = float(of.layout.xpus), study.scenario.tpot_limit_s

    def small(limits: Settings) -> Held:
        feasible, instances = map(np.asarray, _fleets(of, jnp.asarray(limits)))
        return (feasible > 0) & (instances < TIMES * now)

    if limit <= LEAST_LIMIT:
        return Key(math.nan)
    found = first_of_many(small, LEAST_LIMIT, limit)
    if math.isnan(found) or not float(_fleets(of, jnp.asarray([0.98 * found]))[0][0]) > 0:
        return Key(math.nan)  # no fleet is fast enough before one is so large

    def pace(rate: float) -> float:
        return MILLISECONDS * float(_pace(of, jnp.asarray(rate)))

    shared = TIMES * now - 1.0 - float(of.spares)  # instances at work, of one fleet less
    mean, peak = study.scenario.requests_per_second, float(of.peak_to_mean)
    return Key(
        MILLISECONDS * found,
        (
            Mistake(
                "third-of-the-limit",
                "This divides the limit by as much as the fleet grows; part of a step stays, "
                "however few share it.",
                MILLISECONDS * limit / TIMES,
            ),
            Mistake(
                "mean-for-peak",
                "This shares out the mean load; the fleet is bought for the peak.",
                pace(mean / shared) if peak > 1 else math.nan,
            ),
            Mistake(
                "third-of-the-rate",
                "This divides what an instance carries by as much as the fleet grows; spares and "
                "whole instances count as well.",
                pace(float(study.answer.full.rate) / TIMES),
            ),
            Mistake(
                "pace-for-limit",
                "This is the pace at the mean load, which the limit doesn't set.",
                MILLISECONDS * float(study.answer.service.point.tpot),
            ),
            Mistake(
                "seconds-for-milliseconds",
                "This is in seconds; the box takes milliseconds.",
                found,
            ),
        ),
        {"now": now * width, "then": TIMES * now * width, "rate": mean * peak / shared},
    )


EXERCISES = (
    Exercise(
        "tokenomics-1",
        CHAPTER,
        "When the last token comes",
        "recall",
        minutes=3,
        unit="s",
        tolerance=0.015,
        key=_time,
    ),
    Exercise(
        "tokenomics-2",
        CHAPTER,
        "From an hour's rent to a token",
        "paper",
        minutes=10,
        unit="USD per million tokens",
        tolerance=0.03,
        key=_per_million,
    ),
    Exercise(
        "tokenomics-3",
        CHAPTER,
        "What speed costs",
        "panel",
        minutes=10,
        unit="ms",
        tolerance=0.05,
        key=_faster,
    ),
    Exercise(
        "tokenomics-4",
        CHAPTER,
        "Written off sooner",
        "code",
        minutes=10,
        unit="USD per hour",
        tolerance=0.015,
        key=_owned,
    ),
    Exercise(
        "tokenomics-5",
        CHAPTER,
        "A dearer rival",
        "code",
        minutes=10,
        unit="requests per day",
        tolerance=0.02,
        key=_even,
    ),
    Exercise("tokenomics-6", CHAPTER, "Advice for a company", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
