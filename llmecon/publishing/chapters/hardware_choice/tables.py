"""The tables of the chapter on hardware choice, in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from llmecon import words
from llmecon.choice import confidence, switching
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Plan
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice import frames, margins, published
from llmecon.studies.hardware_choice.description import SIZES
from llmecon.studies.hardware_choice.frames import RESTS, WAGE
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.tables import catalog

# Captions of tables.
BEST = "The best fleet of whole instances"
FLEETS = "The best fleet beside others that serve the same requests"
AIMS = (
    "The best fleet for one aim or another; the time of a request is a mean, from "
    "arrival to its last token"
)
PARTS = "The best fleet where instances may be parts"
LATENCY = (
    "What a little more of each limit on latency is worth, in US cents per million tokens (Mtok)"
)
DATASHEETS = (
    "What a better datasheet saves, in US cents per million tokens: more memory, its "
    "bandwidth, and 16-bit arithmetic with the others in proportion"
)
MOVES = "How far one number alone moves until another configuration wins, the nearest first"
FARES = (
    "Each accelerator alone when speed and price are uncertain, if it costs at most "
    f"{words.number(confidence.CONTENDERS)} times as much as the cheapest"
)
REPRODUCED = (
    "Published findings, by size of request and limit on TPOT, and what the same models "
    "compute without having seen them"
)
CHECKS = "The solver against exact enumeration; compilation included in both times"

MADE_OF = ["Fleet", "Devices", "USD/h", "kg CO₂e/h", "kW", "Figures"]
"""Columns of `fleets` where all have the same aim."""

_ROLES = {"whole": "", "prefill": " for prompts", "decode": " for answers"}
_FINDINGS = {
    "tokens-per-usd-ratio": "tokens per dollar at best,",
    "fleet-saving": "saved by a mixed fleet",
    "fleet-cost-ratio": "cost of a fleet,",
    "goodput-mixed": "goodput, phases together",
    "goodput-prefill": "prompts a second",
    "goodput-decode": "answers a second",
    "goodput-ratio": "goodput, apart over together",
}
_AIMS = {"waiting": f"money, waiting at {words.usd(WAGE)} an hour"}


def built(name: EngineName) -> str:
    """An engine in words: how its devices share the model."""
    shared = [f"each layer over {name.tensor}"] * (name.tensor > 1)
    shared += [f"experts over {name.expert}"] * (name.expert > 1)
    shared += [f"layers in {name.pipeline} groups"] * (name.pipeline > 1)
    return ", ".join([f"{name.precision}{_ROLES[name.role]}", *shared])


def grid_names(study: Study) -> dict[str, str]:
    """The places where machines may stand, as a reader calls them, by id."""
    return {grid: catalog.name("grid", grid) for grid in study.grids}


def pools(study: Study, plan: Plan) -> pd.DataFrame:
    """A row for everything that a pool does; its instances share their time among these.

    Args:
        study: whose names are used.
        plan: the fleet.
    """
    places = list(grid_names(study).values())
    rows = []
    for pool in plan.pools:
        devices = f"{words.number(pool.engine.devices)} {study.name(pool.engine.xpu)}"
        standing = f"{words.number(pool.instances, 3)} of {devices}"
        for at, does in enumerate(pool.serves):
            prompts = pool.engine.role == "prefill"
            at_work = f"{words.percent(does.filling)} of the time at work"
            rows.append(
                {
                    "Instances": "the same" if at else standing,
                    "Layout": "" if at else built(pool.engine),
                    "Where": "" if at else places[pool.region],
                    "Requests": f"{words.number(does.per_second)} {SIZES[does.bucket]} a second",
                    "Share of their time": words.percent(
                        does.time * does.per_second / pool.instances
                    ),
                    "In flight meanwhile, each": at_work if prompts else words.number(does.filling),
                    "TTFT": words.duration(does.ttft) if does.ttft > 1e-4 else "no wait",
                    "TPOT": "" if prompts else words.duration(does.tpot),
                }
            )
    return pd.DataFrame(rows)


def fleets(study: Study, plans: Mapping[str, Plan]) -> pd.DataFrame:
    """What fleets are made of and take.

    Args:
        study: whose names are used.
        plans: fleets by what they are called.
    """
    return pd.DataFrame([_fleet(study, _aim(what), plan) for what, plan in plans.items()])


def _aim(what: str) -> str:
    aims = ("least carbon", "least electricity", "least water", "waiting")
    return f"{_AIMS.get(what, what)}, in parts" if what in aims else what


def _fleet(study: Study, what: str, plan: Plan) -> dict[str, str]:
    takes, known = plan.takes, study.known
    figures = (RESTS[known[xpu].read, known[xpu].measured > 0] for xpu in frames.ids(plan))
    return {
        "Fleet": what,
        "Devices": words.tally(frames.devices(study, plan)),
        "USD/h": words.number(takes["usd"] * SECONDS_PER_HOUR, 3),
        "kg CO₂e/h": words.number(takes["kg_co2e"] * SECONDS_PER_HOUR),
        "kW": words.number(takes["joule"] / THOUSAND),
        "litres/h": words.number(takes["litre"] * SECONDS_PER_HOUR),
        "Time of a request": words.duration(takes["second"] / study.scenario.requests_per_second),
        "Figures": words.listing(_on_one_line(of) for of in dict.fromkeys(figures)),
    }


def latency(worth: margins.Worths) -> pd.DataFrame:
    """What a little more of each limit on latency is worth, in US cents.

    Args:
        worth: as `margins.worths` returns them.
    """
    rows = [
        (
            _on_one_line(f"{of['kind'].upper()} of {of['size']} requests"),
            words.duration(of["limit"]),
            _cents(of["price"], of["limit"] * THOUSAND, worth.shows),
            _cents(of["again"], of["limit"] * THOUSAND, worth.shows),
            words.percent(of["share"]),
        )
        for of in worth.latency.to_dict("records")
    ]
    columns = ["Limit", "Now", "A ms more saves", "by solving anew", "1% more saves"]
    return pd.DataFrame(rows, columns=columns)


def _cents(price: float, now: float, shows: float) -> str:
    """A multiplier in US cents per million tokens; nothing where as much again wouldn't show."""
    return words.number(margins.CENTS * price) if price * now > shows else "nothing"


def datasheets(study: Study, worth: margins.Worths) -> pd.DataFrame:
    """What a better datasheet saves, in US cents per million tokens.

    Args:
        study: whose names are used.
        worth: as `margins.worths` returns them.
    """
    rows = [
        (
            study.name(str(of["xpu"])),
            *(
                words.number(margins.CENTS * of[what]) if of[what] else "nothing"
                for what in margins.UNITS
            ),
        )
        for of in worth.datasheets.to_dict("records")
    ]
    columns = ["In every device", *(f"{what} more" for what in margins.UNITS)]
    return pd.DataFrame(rows, columns=columns)


def moves(study: Study, found: Sequence[margins.Move]) -> pd.DataFrame:
    """How far one number moves until another configuration wins.

    Args:
        study: whose names are used.
        found: as `margins.moves` returns them.
    """
    farthest = words.number(switching.TRIED[-1])
    rows = []
    for of in found:
        say = words.usd if of.what == "rent" else words.duration
        number = (
            f"rent of {of.of}" if of.what == "rent" else f"{of.what.upper()} of {of.of} requests"
        )
        never = f"none within {farthest} times {'as much' if of.way == 'raised' else 'less'}"
        switched = of.found.value is not None
        rows.append(
            (
                _on_one_line(f"{number}, {of.way}"),
                say(of.now),
                say(of.found.value) if of.found.value is not None else never,
                _new_engines(study, of) if switched else "",
            )
        )
    return pd.DataFrame(rows, columns=["What moves", "Now", "Switches at", "New engine there"])


def _new_engines(study: Study, move: margins.Move) -> str:
    if move.new:
        each = (f"{words.number(e.devices)} {study.name(e.xpu)} ({built(e)})" for e in move.new)
        return words.listing(dict.fromkeys(each))
    if move.found.after:
        return "no new one: one of those in use leaves"
    return "nothing keeps the limits any more"


def fares(found: pd.DataFrame) -> pd.DataFrame:
    """How each accelerator fares alone when speed and price are uncertain.

    Args:
        found: as `comparisons.fares` returns them.
    """
    rows = [
        {
            "Accelerator": of["name"],
            "Cheapest in": words.percent(of["best"]),
            "USD per million tokens, mean": words.number(of["mean"]),
            "In nine of ten cases": words.span(of["low"], of["high"], ""),
            "Regret a year": words.usd(of["regret"]),
            "Too slow in": words.percent(of["misses"]),
            "Price, over its middle": words.span(of["low_price"], of["high_price"], ""),
        }
        for of in found.to_dict("records")
    ]
    return pd.DataFrame(rows)


def reproduced(found: published.Reproduced) -> pd.DataFrame:
    """Published findings and what the same models compute.

    Args:
        found: as `published.reproduced` returns them.
    """
    rows = []
    for of in found.rows.to_dict("records"):
        unit = "fraction" if of["unit"] == "fraction" else ""
        unchecked = "" if of["checked"] else " (unchecked)"
        rows.append(
            {
                "Finding": _finding(of),
                "Study": words.sources(of["source"]),
                "Requests": f"{_requests(of)}, {words.duration(of['tpot_s'])}",
                "Published": _range(of["low"], of["high"], unit) + unchecked,
                "Computed": words.span(of["computed_low"], of["computed_high"], unit),
                "Computed is": {"overlaps": "overlapping"}.get(of["agrees"], of["agrees"]),
            }
        )
    return pd.DataFrame(rows)


def _finding(of: Mapping[Any, Any]) -> str:
    said = _FINDINGS[str(of["quantity"])]
    if not isinstance(of["rival"], str):
        return said
    first, second = (catalog.name("xpus", str(of[side])).split()[0] for side in ("xpu", "rival"))
    return f"{said} {first} over {second}"


def _requests(of: Mapping[Any, Any]) -> str:
    if isinstance(of["workload"], str):
        return of["workload"]
    if pd.isna(of["prompt_tokens"]):
        return "all sizes"
    return f"{words.number(of['prompt_tokens'], 3)} in, {words.number(of['output_tokens'])} out"


def _range(low: float, high: float, unit: str) -> str:
    if math.isnan(low):
        return f"at most {words.quantity(high, unit)}"
    if math.isnan(high):
        return f"at least {words.quantity(low, unit)}"
    return words.span(low, high, unit)


def checks() -> pd.DataFrame:
    """The solver against exact enumeration."""
    of = published.checks()
    worst = of["worst"]
    no_worse = "not a thousandth of a percent worse"
    rows = [
        ("problems", words.number(of["problems"], 4)),
        ("of these nearly degenerate", words.number(of["degenerate"], 3)),
        ("and impossible, by both", f"{of['agreed']:.0f} of {of['impossible']:.0f}"),
        ("solver within 0.1% of enumeration or better", words.percent(of["within"])),
        ("worst", words.signed_percent(worst) if worst > 1e-5 else no_worse),
        ("best", words.signed_percent(of["best"])),
        ("enumeration's own error at most, median", words.percent(of["error"])),
        (
            "seconds of the solver, median and most",
            f"{words.number(of['seconds'])} and {words.number(of['most'])}",
        ),
        (
            "seconds of enumeration, median and most",
            f"{words.number(of['exact_seconds'])} and {words.number(of['exact_most'])}",
        ),
    ]
    return pd.DataFrame(rows, columns=["", "Value"])


def rents(study: Study, found: pd.DataFrame) -> pd.DataFrame:
    """Rents and datasheets of the accelerators on offer.

    Args:
        study: whose names are used.
        found: as `frames.rents` returns them.
    """
    rows = [
        {
            "Accelerator": of["name"],
            "Rent": f"{words.usd(of['usd'])} an hour",
            "Kind": _unbroken(of["kind"]),
            "Of": _unbroken(of["label"]),
            "Offers seen": words.span(of["low"], of["high"], "USD"),
            "Source of the rent": words.sources(of["source"]),
            "Checked": "yes" if of["checked"] else "no",
            "Datasheet": words.sources(of["datasheet"])
            + ("" if of["datasheet_checked"] else ", unchecked"),
            "Load tests": words.number(of["measured"], 3) if of["measured"] else "none",
        }
        for of in found.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _on_one_line(text: str) -> str:
    return _unbroken(text).replace(" ", "\N{NO-BREAK SPACE}")


def _unbroken(text: str) -> str:
    return text.replace("-", "\N{NON-BREAKING HYPHEN}")
