"""Exercises of the chapter on accelerator design; no key needs the search for the best chips."""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp

from llmecon import silicon
from llmecon.execution.interpreter import interpreted
from llmecon.silicon import Chip, chip_jobs, real_chips
from llmecon.silicon.chip_jobs import Demand, Job
from llmecon.silicon.design import Best
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.accelerator_design.model import MILLION, THOUSAND
from llmecon.studies.accelerator_design.study import Study, mean_context
from llmecon.studies.parameters import Value
from llmecon.tables.catalog import TERA
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import turning_point

CHAPTER = "accelerator-design"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "xpu": ("h200-sxm", "b200", "mi300x", "a100-sxm-80gb"),
    "process": ("7nm", "3nm"),
    "prompt_tokens": (300.0, 800.0, 1200.0, 2000.0),
    "output_tokens": (100.0, 300.0, 400.0, 500.0),
}
"""What may differ by student."""

SQUARE_CENTIMETRE = 100.0  # mm2

TWICE = 2.0
"""By what exercise 2 multiplies the memory bandwidth."""

TOGETHER = 64.0
"""Answers that are written at once in exercise 4."""

DEARER = 1.5
"""How many times as dear a token of exercise 5 becomes."""

LEAST_BANDWIDTH, MOST_BANDWIDTH = 0.1 * TERA, 100.0 * TERA
"""The ends of the panel's slider for memory bandwidth."""

_priced = interpreted(real_chips.priced)
_demand = interpreted(chip_jobs.demand)


def _good_dies(study: Study) -> Key:
    prices, plan = study.prices, silicon.floorplan(study.chip, study.prices)
    area, density = float(plan.area / plan.dies), float(prices.defect_density)
    clustering = float(prices.clustering)

    def share(defects: float) -> float:
        return float(silicon.yield_of(area, defects, clustering))

    found = share(density)
    return Key(
        found,
        (
            Mistake(
                "lost-for-good",
                "This is the share that is lost; give the share that works.",
                1.0 - found,
            ),
            Mistake(
                "defects-counted",
                "This is how many defects a die has on average, not how many dies have none.",
                area * density,
            ),
            Mistake(
                "one-less-defects",
                "This takes the defects of a die from one; some dies have several, others none.",
                1.0 - area * density,
            ),
            Mistake(
                "square-centimetres",
                "This takes defects per square millimetre for those per square centimetre.",
                share(density / SQUARE_CENTIMETRE),
            ),
            Mistake(
                "repaired",
                "This lets spare units save dies; here any defect kills.",
                float(plan.die_yield),
            ),
            Mistake(
                "power-forgotten",
                "This leaves out the exponent of the law.",
                1.0 / (1.0 + area * density / clustering),
            ),
        ),
        {"area": area, "density": density, "clustering": clustering},
    )


def _more(study: Study) -> Key:
    def gain(times: Mapping[str, float], of: str = "making") -> float:
        changed = {name: getattr(study.chip, name) * by for name, by in times.items()}
        before, after = (
            float(getattr(silicon.chip_cost(chip, study.prices), of))
            for chip in (study.chip, replace(study.chip, **changed))
        )
        return 100.0 * (after / before - 1.0)

    found = gain({"bandwidth": TWICE})
    return Key(
        found,
        (
            Mistake(
                "in-proportion",
                "This doubles the whole cost; most parts don't follow the bandwidth.",
                100.0 * (TWICE - 1.0),
            ),
            Mistake(
                "memory-for-bandwidth",
                "This doubles the capacity; double the bandwidth.",
                gain({"memory": TWICE}),
            ),
            Mistake(
                "both-doubled",
                "This doubles the capacity as well; leave it as it is.",
                gain({"bandwidth": TWICE, "memory": TWICE}),
            ),
            Mistake(
                "arithmetic-for-bandwidth",
                "This doubles the arithmetic; double the bandwidth.",
                gain({"flops": TWICE}),
            ),
            Mistake(
                "server-counted",
                "This counts the server and the links around the chip as well.",
                gain({"bandwidth": TWICE}, "total"),
            ),
            Mistake(
                "ratio-for-gain",
                "This is the ratio of the two costs; give the gain in percent.",
                1.0 + found / 100.0,
            ),
        ),
        {"making": float(silicon.chip_cost(study.chip, study.prices).making)},
    )


def _token(study: Study) -> Key:
    if "decode" not in study.able:
        return Key(math.nan)
    _, best = study.built["decode"]
    need = best.demand
    devices, seconds, batch = float(need.devices), float(need.seconds), float(best.batch)
    usd = float(best.usd_per_token)
    hourly = SECONDS_PER_HOUR * usd * float(need.tokens) / (devices * seconds)
    found = MILLION * usd
    return Key(
        found,
        (
            Mistake(
                "one-device",
                "This pays for one device; an instance has more of them.",
                found / devices if devices > 1 else math.nan,
            ),
            Mistake(
                "batch-forgotten",
                "This lets one answer pay for the whole pass; all answers of the batch share it.",
                found * batch,
            ),
            Mistake(
                "hours-for-seconds",
                "This takes the cost of an hour for that of a second.",
                found * SECONDS_PER_HOUR,
            ),
            Mistake(
                "whole-answer",
                "A pass writes one token of each answer, not the whole answer.",
                found / study.scenario.output_tokens,
            ),
            Mistake(
                "prompt-counted",
                "This counts prompts as written; they are read elsewhere.",
                found
                * study.scenario.output_tokens
                / (study.scenario.output_tokens + study.scenario.prompt_tokens),
            ),
        ),
        {"devices": devices, "seconds": seconds, "batch": batch, "hourly": hourly},
    )


def _bytes(study: Study) -> Key:
    writes, reads = study.built["decode"][0], study.built["prefill"][0]

    def moved(job: Job, batch: float) -> float:
        found: Demand = _demand(job, study.chip, study.prices, study.attainable, batch)
        return float(THOUSAND * found.traffic / found.flops)

    found = moved(writes, TOGETHER)
    assert isinstance(writes, chip_jobs.Serving)
    no_past = replace(writes, past_tokens=jnp.zeros_like(writes.past_tokens))
    return Key(
        found,
        (
            Mistake(
                "one-answer",
                "This writes one answer alone; more of them share the reading of the weights.",
                moved(writes, 1.0),
            ),
            Mistake(
                "context-forgotten",
                "This forgets what each answer reads back of the tokens before it.",
                moved(no_past, TOGETHER),
            ),
            Mistake(
                "prompts-for-answers",
                "This reads prompts; write answers.",
                moved(reads, TOGETHER),
            ),
            Mistake(
                "flop-per-byte",
                "This is FLOP per byte; turn it round.",
                THOUSAND / found,
            ),
            Mistake(
                "the-chips-own",
                "This is what the real chip could move; the question is what the job does.",
                float(THOUSAND * study.chip.bandwidth / study.chip.flops),
            ),
        ),
        {"context": mean_context(study.scenario)},
    )


def _less_bandwidth(study: Study) -> Key:
    job, before = study.built["decode"]
    other, read_before = study.built["prefill"]
    bandwidth = float(study.chip.bandwidth)
    if "decode" not in study.able:
        return Key(math.nan)

    def bearable(of: Job, reference: Best, at: float) -> bool:
        chip = replace(study.chip, bandwidth=jnp.asarray(at))
        return usd_per_token(study, of, chip) <= DEARER * float(reference.usd_per_token)

    def from_on(of: Job, reference: Best) -> float:
        least = min(LEAST_BANDWIDTH, bandwidth / 2.0)
        return turning_point(lambda at: bearable(of, reference, at), least, bandwidth)

    found = from_on(job, before)
    too_much = turning_point(
        lambda at: not bearable(job, before, at), bandwidth, max(MOST_BANDWIDTH, bandwidth)
    )
    return Key(
        found / TERA,
        (
            Mistake(
                "in-proportion",
                "This takes bandwidth away in proportion to the cost, which doesn't follow it so.",
                bandwidth / DEARER / TERA,
            ),
            Mistake(
                "prompts-for-answers",
                "This holds for reading prompts; let the chip write answers.",
                from_on(other, read_before) / TERA if "prefill" in study.able else math.nan,
            ),
            Mistake(
                "more-for-less",
                "Here a token is as dear because of too much bandwidth; take bandwidth away.",
                too_much / TERA,
            ),
            Mistake(
                "not-moved",
                "This is the chip as it is built; move its bandwidth down.",
                bandwidth / TERA,
            ),
        ),
        {"bandwidth": bandwidth / TERA, "usd": MILLION * float(before.usd_per_token)},
    )


def usd_per_token(study: Study, job: Job, chip: Chip) -> float:
    """What a token costs on a chip, as the panel prices it; infinite where it can't be made."""
    found: Best = _priced(job, chip, study.prices, study.attainable)
    return float(found.usd_per_token)


EXERCISES = (
    Exercise(
        "accelerator-design-1",
        CHAPTER,
        "Good dies",
        "recall",
        minutes=5,
        unit="fraction",
        tolerance=0.02,
        key=_good_dies,
    ),
    Exercise(
        "accelerator-design-2",
        CHAPTER,
        "Twice the bandwidth",
        "code",
        minutes=10,
        unit="% more to make",
        tolerance=0.03,
        key=_more,
    ),
    Exercise(
        "accelerator-design-3",
        CHAPTER,
        "A token on the back of an envelope",
        "paper",
        minutes=5,
        unit="USD per million tokens",
        tolerance=0.04,
        key=_token,
    ),
    Exercise(
        "accelerator-design-4",
        CHAPTER,
        "What a pass asks for",
        "code",
        minutes=15,
        unit="bytes per 1,000 FLOP",
        tolerance=0.02,
        key=_bytes,
    ),
    Exercise(
        "accelerator-design-5",
        CHAPTER,
        "Less bandwidth",
        "panel",
        minutes=10,
        unit="TB/s",
        tolerance=0.04,
        key=_less_bandwidth,
    ),
    Exercise("accelerator-design-6", CHAPTER, "A chip of your own", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
