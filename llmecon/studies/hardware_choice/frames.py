"""What the chapter on hardware choice shows of its answer: fleets, one knob, every accelerator."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from llmecon import choice
from llmecon.choice import maps, sensitivity
from llmecon.choice.description import Weights
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Clash, Plan
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice.description import PER_TONNE
from llmecon.studies.hardware_choice.study import Study
from llmecon.tables import catalog

FIRST = ("usd_per_mtok", "usd_per_mtok_parts", "usd_per_mtok_usual", "saving")
"""The headline numbers that the chapter begins with."""

RESTS = {
    (True, True): "read and load-tested",
    (True, False): "read, untested",
    (False, True): "unread, load-tested",
    (False, False): "unread, untested",
}
"""What is known of an accelerator: whether its figures were read, and whether it was tested."""

WAGE = 30.0
"""An hour of a user's time, USD: an assumption."""

MILLION = 1e6
_NEARLY = 0.9995  # of a cost: below, it is less
_SHOWN = 4.0  # times the best filling, up to which the course of a cost is drawn


def ids(plan: Plan) -> dict[str, float]:
    """Devices of a fleet by id of the accelerator."""
    return {xpu: plan.takes[xpu] for xpu in dict.fromkeys(p.engine.xpu for p in plan.pools)}


def devices(study: Study, plan: Plan) -> dict[str, float]:
    """Devices of a fleet by the accelerator's name."""
    return {study.name(xpu): count for xpu, count in ids(plan).items()}


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    known = study.known
    return {
        "study": study,
        "fleet": devices(study, study.best),
        "instances": sum(pool.instances for pool in study.best.pools),
        "weak": [
            f"{study.name(xpu)}: {known[xpu].caveat}"
            for xpu in ids(study.best)
            if known[xpu].caveat
        ],
        "hourly": study.best.cost * SECONDS_PER_HOUR,
    }


@dataclass(frozen=True)
class Compared:
    """The best fleet beside others.

    Attributes:
        usual: devices of the best fleet of the usual accelerator; None where it can't serve all.
        saves: share of the usual fleet's cost that the best one saves.
        better: whether that is anything.
        rounding: what whole instances cost more than parts would, a share.
        open: share of the draws in which the best fleet keeps the limits in no layout; its cost has
            no interval for that; else 0.
        likeliest: id of the accelerator that is cheapest alone in most draws.
        wins: share of these.
        among: whether the best fleet has it.
        firm: devices of the best fleet of what was read and load-tested; None where there is none.
        firm_hourly: its cost, USD/h.
    """

    usual: Mapping[str, float] | None
    saves: float
    better: bool
    rounding: float
    open: float
    likeliest: str
    wins: float
    among: bool
    firm: Mapping[str, float] | None
    firm_hourly: float


def compared(study: Study) -> Compared:
    """The best fleet beside that of the usual accelerator and of what was read and tested."""
    best, usual, firm = study.best, study.usual, study.on_firm_ground
    fares = study.contest.table()
    sure = study.sure["usd_per_mtok"]
    return Compared(
        usual=None if usual is None else devices(study, usual),
        saves=0.0 if usual is None else 1.0 - best.cost / usual.cost,
        better=usual is not None and best.cost < _NEARLY * usual.cost,
        rounding=best.cost / study.parts.cost - 1.0,
        open=0.0 if sure.bounded else sure.missing,
        likeliest=str(fares.index[0]),
        wins=float(fares["best"].iloc[0]),
        among=fares.index[0] in ids(best),
        firm=None if firm is None else devices(study, firm),
        firm_hourly=0.0 if firm is None else firm.cost * SECONDS_PER_HOUR,
    )


def engines(study: Study) -> dict[str, int]:
    """How many engines there are to choose from, by role and in all."""
    roles = [name.role for name in study.posed.options.names]
    return {role: roles.count(role) for role in ("whole", "prefill", "decode")} | {
        "all": len(roles)
    }


@dataclass(frozen=True)
class Knob:
    """One instance that works on ever more requests at once.

    Attributes:
        bucket: place of the size of its requests.
        xpu: id of its accelerator.
        engine: its engine.
        path: columns filling, cost, slope, ttft_s and tpot_s.
        ends: fillings at which something ends; see `maps.course`.
        tokens: of a request.
    """

    bucket: int
    xpu: str
    engine: EngineName
    path: pd.DataFrame
    ends: Mapping[str, float]
    tokens: float

    @cached_property
    def stop(self) -> str:
        """What ends it first: ttft, tpot, memory or flat."""
        return min((name for name in self.ends if name != "best"), key=self.ends.__getitem__)

    @cached_property
    def lines(self) -> pd.DataFrame:
        """Cost of a million tokens, up to a little beyond the best filling."""
        near = self.path[self.path["filling"] <= _SHOWN * self.ends["best"]]
        return near.assign(usd=MILLION * near["cost"] / self.tokens, series="cost")

    @cached_property
    def gain(self) -> float:
        """The cost at the best filling over that of a single request."""
        emptiest, fullest = (
            np.interp(at, self.path["filling"], self.path["cost"])
            for at in (1.0, self.ends["best"])
        )
        return float(fullest / emptiest)

    @cached_property
    def near(self) -> dict[str, float]:
        """Columns of the path at the best filling."""
        place = np.log(self.path["filling"])
        return {
            name: float(np.interp(math.log(self.ends["best"]), place, self.path[name]))
            for name in ("cost", "slope", "ttft_s", "tpot_s")
        }


def knob(study: Study) -> Knob:
    """The best instance of the usual accelerator, filled from nothing to what memory holds."""
    of = study.posed
    bucket = bucket_shown(study)
    each = maps.request_costs(of, study.charged)[:, :, bucket]
    region = int(each.min(axis=0).argmin())
    xpu = xpu_shown(study)
    own = np.array([name.xpu == xpu and name.role == "whole" for name in of.options.names])
    engine = int(np.argmin(np.where(own, each[:, region], np.inf)))
    path, ends = maps.course(of, study.charged, engine, bucket, region)
    asked = of.options.demand.workload
    tokens = float(asked.prompt_tokens[bucket] + asked.output_tokens[bucket])
    return Knob(bucket, xpu, of.options.names[engine], path, ends, tokens)


def bucket_shown(study: Study) -> int:
    """Place of the size of request that is shown where there is one only: short, if any are."""
    return 0 if study.rates[0] > 0 else 1


def xpu_shown(study: Study) -> str:
    """The accelerator that is shown alone: the usual, or the cheapest where that can't serve."""
    of = study.posed
    each = maps.request_costs(of, study.charged)[:, :, bucket_shown(study)]
    region = int(each.min(axis=0).argmin())
    usual = study.scenario.xpu
    own = np.array([name.xpu == usual and name.role == "whole" for name in of.options.names])
    return usual if (own & np.isfinite(each[:, region])).any() else study.alone.cheapest


def bars(study: Study) -> pd.DataFrame:
    """Every accelerator alone, the cheapest first: id, xpu, usd and what its place rests on."""
    rows = [
        (
            one,
            study.name(one),
            study.per_mtok(study.alone.costs[one]),
            RESTS[study.known[one].read, study.known[one].measured > 0],
        )
        for one in study.alone.ranked
    ]
    return pd.DataFrame(rows, columns=["id", "xpu", "usd", "rests on"])


def proven(study: Study) -> list[str]:
    """Ids of those that can serve everything, were read and load-tested, the cheapest first."""
    return [one for one in study.alone.ranked if study.known[one].firm]


def gaining(study: Study) -> list[str]:
    """Names of those that are better with prompts and answers on machines of their own."""
    single = study.single
    whole = replace(single, apart=np.full_like(single.apart, np.inf))
    together = dict(zip(single.xpus, whole.serving(study.posed.options.rates), strict=True))
    alone = study.alone
    return [study.name(one) for one in alone.ranked if alone.costs[one] < together[one] * 0.999]


def aims(study: Study) -> dict[str, Weights]:
    """What else might be minimised, by its name."""
    return {
        "least carbon": Weights(usd=1e-6, kg_co2e=1.0),
        "least electricity": Weights(usd=1e-6, kwh=1.0),
        "least water": Weights(usd=1e-6, litre=1.0),
        "waiting": Weights(
            usd=1.0,
            kg_co2e=study.scenario.usd_per_tonne / PER_TONNE,
            second=WAGE / SECONDS_PER_HOUR,
        ),
    }


def aimed(study: Study, weights: Weights) -> Plan | None:
    """The best fleet in parts for other weights; None where there is none.

    Args:
        study: whose problem.
        weights: what is minimised instead.
    """
    found = choice.relaxed(replace(study.posed, weights=np.array(weights.by_resource)))
    return None if isinstance(found, Clash) else found.plan


def fleets(study: Study) -> dict[str, Plan]:
    """The best fleet for one aim or another, by its name."""
    best, alone, usual = study.best, study.alone, study.scenario.xpu
    found = {"best, in parts": study.parts, "best, whole": best}
    if study.on_firm_ground is not None:
        found["best of what was read and load-tested, whole"] = study.on_firm_ground
    for xpu in dict.fromkeys([alone.cheapest, usual]):
        plan = study.usual if xpu == usual else study.among([xpu])
        if plan is not None and set(ids(best)) != {xpu}:
            found[f"{study.name(xpu)} alone, whole"] = plan
    for aim, weights in aims(study).items():
        plan = aimed(study, weights)
        if plan is not None:
            found[aim] = plan
    return found


def gap(study: Study) -> float:
    """By what share the fleet in parts may at most be dearer than the best."""
    return study.parts.cost / study.parts.bound - 1.0


def other_choice(study: Study) -> bool:
    """Whether whole instances are of an accelerator that the fleet in parts has none of."""
    return bool(set(ids(study.best)) - set(ids(study.parts)))


def elasticities(study: Study) -> dict[str, float]:
    """By how many percent the cost of the best fleet in parts changes with each input."""
    return study.effects["usd_per_second"]


def followed(study: Study) -> dict[str, object]:
    """How the largest pool moves with requests, answers and bandwidth, in percent for one."""
    moved = sensitivity.elasticities(study.posed, study.parts)
    pools = study.parts.pools
    names = [name for name in moved.columns if name.startswith("instances")]
    largest = max(names, key=lambda name: float(pools[int(name.split()[1])].devices))
    change = moved[largest]
    return {
        "xpu": study.name(pools[int(largest.split()[1])].engine.xpu),
        "requests": float(change.loc["rate"]),
        "answers": float(change.loc["output_tokens"]),
        "bandwidth": float(change.loc["bandwidth"]),
    }


def rents(study: Study) -> pd.DataFrame:
    """Rents and datasheets of the accelerators on offer.

    Returns:
        Columns name, usd, kind, label, low and high (of the offers seen), source, checked,
        datasheet, datasheet_checked, measured and better (names of those that rent for less and
        are no worse in anything).
    """
    offers = catalog.rental_offers(*study.offered)
    rows = []
    for xpu in study.offered:
        price, own = catalog.rental_price(xpu), catalog.row("xpus", xpu)
        assert price is not None, f"{xpu} has no rent, which resolve refuses"
        seen = offers[offers["xpu"] == xpu]["usd_per_xpu_hour"]
        rows.append(
            {
                "name": study.name(xpu),
                "usd": price.usd,
                "kind": price.kind,
                "label": price.label,
                "low": float(seen.min()),
                "high": float(seen.max()),
                "source": price.source,
                "checked": bool(price.checked),
                "datasheet": own["source"],
                "datasheet_checked": bool(own["checked"]),
                "measured": study.known[xpu].measured,
                "better": [study.name(one) for one in catalog.cheaper_and_better(xpu)],
            }
        )
    return pd.DataFrame(rows)
