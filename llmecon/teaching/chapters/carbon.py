"""Exercises of the chapter on carbon."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.checks import footprints
from llmecon.costs import carbon
from llmecon.execution.interpreter import interpreted
from llmecon.physics.energy import Energy, device_power, energy_of
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_MONTH, SECONDS_PER_YEAR
from llmecon.studies.carbon.model import GRAMS, Answer, Case, answer
from llmecon.studies.carbon.study import Study
from llmecon.studies.parameters import Value
from llmecon.tables import catalog
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import Held, Settings, first_of_many

CHAPTER = "carbon"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "requests_per_second": (12.0, 16.0, 20.0, 28.0, 40.0),
    "output_tokens": (180.0, 211.0, 250.0, 300.0, 360.0),
    "grid": ("us-mida-pjm", "us-tx", "us-cal-ciso", "deu", "pol"),
    "model_life_months": (8.0, 10.0, 12.0, 15.0, 18.0),
}
"""What may differ by student."""

NIGHT = 8.0  # hours for which the instance of exercise 3 waits
TIMES = 10.0  # as much energy for an answer, in exercise 4
LEAST_LOAD = 0.01  # requests per second, where the panel's slider begins
ASIDE = 1.3  # factor between that and either of two readings of the panel
ELSEWHERE = "fra"  # grid on which exercise 5 trains the model

Scalar = Float[Array, "..."]


def _grams(study: Study) -> float:
    """Of the data centre's electricity for an answer, g CO2e."""
    return GRAMS * float(study.answer.footprint.electricity)


def _electricity(study: Study) -> Key:
    used, per_joule = (
        study.answer.energy,
        carbon.intensity(study.case.site, study.scenario.accounting),
    )
    servers, pue = float(used.servers), float(study.case.site.pue)
    per = GRAMS * float(per_joule)
    found = servers * pue * per
    return Key(
        found,
        (
            Mistake(
                "pue-forgotten",
                "This counts what the servers draw; the meter of the site shows more.",
                servers * per,
            ),
            Mistake("pue-twice", "This counts cooling and conversion twice.", found * pue),
            Mistake(
                "accelerators-alone",
                "This counts the accelerators alone; the servers around them draw as well.",
                float(used.device) * pue * per,
            ),
            Mistake(
                "kilowatt-hours-for-watt-hours",
                "This takes watt-hours for kilowatt-hours.",
                found * 1000.0,
            ),
            Mistake(
                "kilograms-for-grams",
                "This is in kilograms; the box takes grams.",
                found / 1000.0,
            ),
        ),
        {
            "device": float(used.device),
            "around": servers - float(used.device),
            "per_kwh": per * JOULES_PER_KWH,
        },
    )


def _hardware(study: Study) -> Key:
    of, given = study.case, study.scenario
    each, instances = float(of.making) + float(of.building), float(study.answer.instances)
    width, peak = float(of.layout.xpus), given.peak_to_mean
    devices = instances * width
    found = GRAMS * each * devices / (float(of.lifetime) * given.requests_per_second)
    return Key(
        found,
        (
            Mistake(
                "one-device",
                "This spreads one accelerator; the whole fleet was made for these answers.",
                found / devices if devices > 1 else math.nan,
            ),
            Mistake(
                "instances-for-devices",
                "This counts instances; an instance has more than one accelerator.",
                found / width if width > 1 else math.nan,
            ),
            Mistake(
                "peak-for-mean",
                "This takes the busiest load for the load of a whole life.",
                found / peak if peak > 1 else math.nan,
            ),
            Mistake(
                "always-full",
                "This takes what the fleet could answer for what it is asked.",
                found * study.fullness,
            ),
            Mistake(
                "building-forgotten",
                "This leaves out the building, which ages with the machines in it.",
                found * float(of.making) / each,
            ),
            Mistake(
                "months-for-years",
                "This takes the years of life for months.",
                found * SECONDS_PER_YEAR / SECONDS_PER_MONTH,
            ),
            Mistake(
                "minutes-for-seconds",
                "This takes the rate for one by the minute.",
                found * 60.0,
            ),
        ),
        {"devices": devices, "electricity": _grams(study)},
    )


def waiting(study: Study, power: Scalar, hours: float, host: float = 1.0) -> Energy:
    """Energy of an instance that stands without work.

    Args:
        study: of which it is an instance.
        power: of one of its accelerators, W.
        hours: for which it stands.
        host: 0 to leave the servers around the accelerators out.
    """
    of = study.case
    seconds = of.layout.xpus * hours * 3600.0
    host_power = host * of.efficiency.host_power * of.xpu.tdp
    return energy_of(seconds, power, host_power, of.site, 0.0, power)


def _night(study: Study) -> Key:
    of = study.case
    nothing = jnp.zeros(())
    power = device_power(of.xpu, of.efficiency, nothing, nothing, nothing)
    per = GRAMS * float(carbon.intensity(of.site, study.scenario.accounting))
    used = waiting(study, power, NIGHT)
    found, width = per * float(used.total), float(of.layout.xpus)
    return Key(
        found,
        (
            Mistake(
                "hosts-forgotten",
                "This leaves out the servers around the accelerators, which run on as well.",
                per * float(waiting(study, power, NIGHT, host=0.0).total),
            ),
            Mistake(
                "pue-forgotten",
                "This leaves out cooling and conversion.",
                per * float(used.servers),
            ),
            Mistake(
                "rated-power",
                "This takes the rated power of the accelerators; without work they draw less.",
                per * float(waiting(study, of.xpu.tdp, NIGHT).total),
            ),
            Mistake(
                "one-device",
                "This is one accelerator; an instance has more of them.",
                found / width if width > 1 else math.nan,
            ),
            Mistake("one-hour", "This is one hour of the night.", found / NIGHT),
            Mistake(
                "kilograms-for-grams",
                "This is in kilograms; the box takes grams.",
                found / 1000.0,
            ),
        ),
        {"idle": float(power), "energy": float(used.total), "electricity": _grams(study)},
    )


@interpreted
def _at_loads(case: Case, loads: Scalar) -> Answer:
    found: Answer = jax.vmap(lambda load: answer(replace(case, load=load)))(loads)
    return found


def emptied(study: Study, case: Case, of: Callable[[Answer], Scalar]) -> float:
    """The mean load below which an answer takes `TIMES` as much as it does in the chapter.

    Args:
        study: the chapter's.
        case: at whose other loads it is asked.
        of: what is compared.

    Returns:
        Requests per second; NaN where the panel doesn't go so low, or the load is so low already.
    """
    allowed = TIMES * float(of(study.answer))

    def enough(loads: Settings) -> Held:
        return np.asarray(of(_at_loads(case, jnp.asarray(loads)))) <= allowed

    load = study.scenario.requests_per_second
    return first_of_many(enough, LEAST_LOAD, load) if load > LEAST_LOAD else math.nan


def _empty(study: Study) -> Key:
    of, load = study.case, study.scenario.requests_per_second
    found = emptied(study, of, lambda one: one.energy.total)
    if math.isnan(found):
        return Key(found)
    # So small a peak that the fleet stays as it was bought, at any load below.
    bought = replace(
        of, peak_to_mean=jnp.asarray(1e-9), spares=jnp.asarray(study.answer.instances - 1.0)
    )
    return Key(
        found,
        (
            Mistake(
                "in-proportion",
                "This divides the load by as much as the energy grows; part of the fleet goes when "
                "the load does.",
                load / TIMES,
            ),
            Mistake(
                "carbon-for-energy",
                "This watches the carbon, of which training is a part that stays; watch the "
                "electricity.",
                emptied(study, of, lambda one: one.footprint.served),
            ),
            Mistake(
                "fleet-as-bought",
                "This leaves the fleet as it was bought; the panel buys one for the load.",
                emptied(study, bought, lambda one: one.energy.total),
            ),
            Mistake(
                "spares-forgotten",
                "This leaves out the spares, which stand ready at any load.",
                emptied(study, replace(of, spares=jnp.zeros(())), lambda one: one.energy.total)
                if study.scenario.spare_instances
                else math.nan,
            ),
            Mistake("by-the-minute", "This is a rate by the minute.", found * 60.0),
        ),
        {"energy": float(study.answer.energy.total), **_readings(study, found)},
    )


def _readings(study: Study, around: float) -> dict[str, float]:
    """Two loads on either side of one, with the energy of an answer at each, J."""
    loads = jnp.asarray([around / ASIDE, around * ASIDE])
    at_low, at_high = map(float, _at_loads(study.case, loads).energy.total)
    return {
        "low": float(loads[0]),
        "high": float(loads[1]),
        "at_low": at_low,
        "at_high": at_high,
    }


def _trained_elsewhere(study: Study) -> Key:
    of, given = study.case, study.scenario
    asked = max(given.model_requests_per_second, given.requests_per_second)
    months = given.model_life_months
    if not given.training_tokens:
        return Key(math.nan)
    site = catalog.site(ELSEWHERE, facility=given.facility)
    drawn = footprints.training_energy(given.model, given.trained_on, given.training_tokens, site)
    trained = float(carbon.operational_carbon(drawn, site))
    found = GRAMS * trained / (asked * months * SECONDS_PER_MONTH)
    return Key(
        found,
        (
            Mistake(
                "trained-here",
                "This is the training as the chapter has it; change the grid that fed it.",
                found * float(of.trained) / trained,
            ),
            Mistake(
                "this-service",
                "This shares the training among the answers of this service alone.",
                found * asked / given.requests_per_second,
            ),
            Mistake(
                "pue-twice",
                "This counts cooling and conversion twice; the library's energy is at the meter.",
                found * float(site.pue),
            ),
            Mistake(
                "one-month",
                "This lets a month's answers bear all of it.",
                found * months if months != 1 else math.nan,
            ),
            Mistake(
                "by-token",
                "This shares it among output tokens; the question is what an answer bears.",
                found / given.output_tokens,
            ),
            Mistake(
                "kilograms-for-grams",
                "This is in kilograms; the box takes grams.",
                found / 1000.0,
            ),
        ),
        {"trained": trained},
    )


EXERCISES = (
    Exercise(
        "carbon-1",
        CHAPTER,
        "From watt-hours to grams",
        "recall",
        minutes=3,
        unit="g",
        tolerance=0.03,
        key=_electricity,
    ),
    Exercise(
        "carbon-2",
        CHAPTER,
        "What was made for an answer",
        "paper",
        minutes=10,
        unit="g",
        tolerance=0.03,
        key=_hardware,
    ),
    Exercise(
        "carbon-3",
        CHAPTER,
        "A night without work",
        "code",
        minutes=10,
        unit="g",
        tolerance=0.02,
        key=_night,
    ),
    Exercise(
        "carbon-4",
        CHAPTER,
        "Ten times as much for an answer",
        "panel",
        minutes=10,
        unit="requests/s",
        tolerance=0.07,
        key=_empty,
    ),
    Exercise(
        "carbon-5",
        CHAPTER,
        "Trained somewhere else",
        "code",
        minutes=10,
        unit="g",
        tolerance=0.02,
        key=_trained_elsewhere,
    ),
    Exercise("carbon-6", CHAPTER, "A figure in the news", "open", minutes=45),
)
"""The exercises, in the chapter's order."""
