"""What the chapter on hardware choice shows of limits: what they are worth, and when they clash."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from llmecon import choice
from llmecon.choice import candidates, maps, objective, report, sensitivity, switching
from llmecon.choice.description import Weights
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Clash, Plan
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice import description
from llmecon.studies.hardware_choice.description import SIZES
from llmecon.studies.hardware_choice.frames import (
    aimed,
    aims,
    devices,
    ids,
)
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.tables import catalog

NUDGE = 0.002
"""Relative step with which problems are solved anew."""

CENTS = 100.0
SUPPLIED, POWERED = 0.5, 0.9
"""Shares of the devices in use, and of the power drawn, that are left where supply runs short."""

MORE = 1.05
"""Times the power of the thriftiest fleet that is wished for where wishes clash."""

TOO_FAST = 0.02
"""Share of the limits on latency that no engine can keep."""

_STEPS = 12  # limits on carbon
_SHOWS = 1e-3  # of the cost: what a limit is worth shows if as much again is worth more
_FEW = 3  # limits on latency whose switches are shown
KINDS = ("ttft", "tpot")


def limits(study: Study) -> dict[str, tuple[float, float]]:
    """Limits on the latency of short and long requests, by kind, s."""
    given = study.scenario
    return {
        "ttft": (given.ttft_limit_s, given.long_ttft_limit_s),
        "tpot": (given.tpot_limit_s, given.tpot_limit_s),
    }


def asked(study: Study) -> list[int]:
    """Places of the sizes of request that there are."""
    return [at for at in (0, 1) if study.rates[at] > 0]


def held(study: Study) -> dict[str, int]:
    """How many fillings of the fleet in parts are held by what; see `maps.held_by`."""
    return dict(Counter(maps.held_by(study.posed, study.parts)))


@dataclass(frozen=True)
class Worths:
    """What a little more of each limit is worth.

    Attributes:
        latency: a row a limit: kind, size, limit [s], price [USD/Mtok for a ms], again (the same by
            solving anew), and share (of the cost that 1% more saves).
        datasheets: a row an accelerator in use: xpu and, for a unit more of `UNITS`, USD/Mtok.
        shows: the least price per unit times the limit that shows, USD/Mtok.
        dearest: kind and size of the limit that is worth most.
    """

    latency: pd.DataFrame
    datasheets: pd.DataFrame
    shows: float
    dearest: tuple[str, str]


UNITS = {
    "1 GB of memory": ("memory", "memory", 1e9),
    "100 GB/s": ("bandwidth", "memory_bandwidth", 1e11),
    "10 TFLOP/s": ("flops", "bf16_flops", 1e13),
}
"""What may be better in a datasheet: its price's name, the datasheet's field and a unit of it."""


def worths(study: Study) -> Worths:
    """What a little more of each limit is worth, by the envelope theorem and by solving anew."""
    worth = sensitivity.shadow_prices(study.posed, study.parts)
    least = study.per_mtok(study.parts.cost)
    rows = []
    for at in asked(study):
        for kind in KINDS:
            limit = limits(study)[kind][at]
            price = study.per_mtok(getattr(worth, kind)[at]) / THOUSAND
            more, less = (_solved_at(study, kind, at, 1.0 + step) for step in (NUDGE, -NUDGE))
            again = study.per_mtok((less - more) / (2.0 * NUDGE * limit)) / THOUSAND
            share = max(price * 0.01 * limit * THOUSAND / least, 0.0)
            rows.append((kind, SIZES[at], limit, price, again, share))
    sheets = []
    for xpu in worth.memory:
        row: dict[str, object] = {"xpu": xpu}
        for what, (price_of, field, unit) in UNITS.items():
            price = study.per_mtok(getattr(worth, price_of)[xpu]) * unit
            now = float(getattr(catalog.xpu(xpu), field)) / unit
            row[what] = price if price * now > _SHOWS * least else 0.0
        sheets.append(row)
    found = pd.DataFrame(rows, columns=["kind", "size", "limit", "price", "again", "share"])
    dearest = found.iloc[int((found["price"] * found["limit"]).argmax())]
    return Worths(
        latency=found,
        datasheets=pd.DataFrame(sheets),
        shows=_SHOWS * least,
        dearest=(str(dearest["kind"]), str(dearest["size"])),
    )


def _solved_at(study: Study, kind: str, bucket: int, factor: float) -> float:
    """The least cost in parts with a limit on latency scaled, USD/s; infinite where none is."""
    of = study.posed
    target = {name: np.array(values, float) for name, values in limits(study).items()}
    target[kind][bucket] *= factor
    demand = replace(of.options.demand, target=replace(of.options.demand.target, **target))
    found = choice.relaxed(
        replace(of, options=candidates.changed(of.options, of.options.engines, demand))
    )
    return math.inf if isinstance(found, Clash) else found.plan.cost


@dataclass(frozen=True)
class Move:
    """How far one number moves until another configuration wins.

    Attributes:
        what: ttft, tpot or rent.
        of: the size of the requests, or the accelerator's name.
        way: raised or lowered.
        now: its value, s or USD.
        found: where another configuration wins.
    """

    what: str
    of: str
    way: str
    now: float
    found: switching.Switch

    @property
    def new(self) -> list[EngineName]:
        """Engines that come into use there."""
        return [one for one in self.found.after if one not in self.found.before]


def moves(study: Study) -> list[Move]:
    """How far limits and rents move, all else as it is, until another configuration wins."""
    # Rents as they are, written out so that one of them can move.
    rents = {xpu: _rent(xpu) for xpu in study.offered}
    priced = description.described(study.scenario, choices={"usd_per_hour": rents})
    inside = list(ids(study.parts))
    alone = study.alone
    outsider = next((one for one in alone.ranked if one not in inside), None)
    found = []

    def moved(what: str, of: str, path: tuple[str | int, ...], way: str, now: float) -> None:
        towards = "more" if way == "raised" else "less"
        switched = switching.switch(priced, path, towards, study.parts)  # type: ignore[arg-type]
        found.append(Move(what, of, way, now, switched))

    for at in asked(study):
        for way in ("lowered", "raised"):
            now = limits(study)["tpot"][at]
            moved("tpot", SIZES[at], ("buckets", at, "tpot"), way, now)
    for at in asked(study):
        now = limits(study)["ttft"][at]
        moved("ttft", SIZES[at], ("buckets", at, "ttft"), "lowered", now)
    for xpu, way in ((inside[0], "raised"), (outsider, "lowered")):
        if xpu is not None:
            path = ("choices", "usd_per_hour", xpu)
            moved("rent", study.name(xpu), path, way, rents[xpu])
    return found


def nearest(found: Sequence[Move]) -> list[Move]:
    """The rents, and the few limits, that need move least until another configuration wins.

    Args:
        found: as `moves` returns them.

    Returns:
        The nearest first; what never switches stands last.
    """

    def distance(of: Move) -> float:
        return math.inf if of.found.value is None else abs(math.log(of.found.value / of.now))

    rents = [of for of in found if of.what == "rent"]
    latency = sorted((of for of in found if of.what != "rent"), key=distance)
    return sorted([*rents, *latency[:_FEW]], key=distance)


def _rent(xpu: str) -> float:
    rent = catalog.rental_price(xpu)
    assert rent is not None, f"{xpu} has no rent, which resolve refuses"
    return rent.usd


@dataclass(frozen=True)
class Short:
    """Supply and power that run short.

    Attributes:
        xpu: id of the accelerator of which few can be had.
        supply: devices that can be had.
        power: kW that can be had.
        said: why there is no fleet; empty where there is one.
        plan: the fleet; None likewise.
        pays: what a unit more of each limit that binds takes off the cost, USD/s.
        off: by how much solving anew differs from that at most, a share.
        dearer: share of the cost that the limits add.
    """

    xpu: str
    supply: float
    power: float
    said: str = ""
    plan: Plan | None = None
    pays: Mapping[str, float] | None = None
    off: float = 0.0
    dearer: float = 0.0


def short(study: Study) -> Short:
    """The best fleet in parts where the accelerator it uses most, and power, run short."""
    parts = study.parts
    xpu = max(ids(parts), key=ids(parts).__getitem__)
    supply, power = SUPPLIED * parts.takes[xpu], POWERED * parts.takes["joule"] / THOUSAND
    caps = description.limits(study.scenario) | {"kw": power, "devices": {xpu: supply}}
    problem = description.described(study.scenario, caps=caps)
    limited = objective.case(problem)
    found = choice.relaxed(limited)
    if isinstance(found, Clash):
        told = report.lines(problem, found, description.CALLED)
        said = "; ".join(line.strip() for line in told)
        return Short(xpu, supply, power, said.replace("; (", " ("))
    plan = found.plan
    pays = {name: price for name, price in plan.prices.items() if price > 1e-12}
    off = max((abs(_again(limited, name) / price - 1.0) for name, price in pays.items()), default=0)
    dearer = plan.cost / parts.cost - 1.0
    return Short(xpu, supply, power, "", plan, pays, float(off), dearer)


def _again(limited: objective.Case, name: str) -> float:
    """What a unit more of a limit takes off the cost, by solving anew, USD/s."""
    at = limited.limits.names.index(name)
    more, less = (
        _solved_within(limited, at, limited.limits.most[at] * (1.0 + step))
        for step in (NUDGE, -NUDGE)
    )
    assert more is not None
    assert less is not None, "a limit of a fleet that is known can move a little"
    return float((less.cost - more.cost) / (2.0 * NUDGE * limited.limits.most[at]))


def _solved_within(case: objective.Case, at: int, most: float) -> Plan | None:
    """The best fleet in parts with another limit in one place; None where there is none."""
    every = case.limits.most.copy()
    every[at] = most
    found = choice.relaxed(replace(case, limits=replace(case.limits, most=every)))
    return None if isinstance(found, Clash) else found.plan


@dataclass(frozen=True)
class Frontier:
    """The least cost under a limit on carbon that falls step by step.

    Attributes:
        steps: columns grams (at most, of a million tokens), usd (of a million tokens), price
            (multiplier, USD/t), fleet (devices by name) and series.
        by_grid: carbon of the cheapest fleet on each grid alone, kg/s.
        grams: of a million tokens of the best fleet in parts.
    """

    steps: pd.DataFrame
    by_grid: Mapping[str, float]
    grams: float

    @property
    def less(self) -> float:
        """Share of the carbon that the cleanest step saves."""
        return 1.0 - float(self.steps["grams"].iloc[0] / self.steps["grams"].iloc[-1])

    @property
    def dearer(self) -> float:
        """Share of the money that it costs more."""
        return float(self.steps["usd"].iloc[0] / self.steps["usd"].iloc[-1]) - 1.0

    @property
    def binding(self) -> pd.Series:
        """Multipliers of the limits that bind, USD/t."""
        price = self.steps["price"]
        return price[price > 1e-9]

    @property
    def dirtiest(self) -> str:
        """Id of the grid on which the cheapest fleet emits most."""
        return max(self.by_grid, key=self.by_grid.__getitem__)

    @property
    def apart(self) -> float:
        """What it emits there over what it emits on the cleanest."""
        return self.by_grid[self.dirtiest] / min(self.by_grid.values())


@dataclass(frozen=True)
class Ends:
    """Fleets in parts at the ends of what may be wished for.

    Attributes:
        cleanest: with the least carbon.
        cheapest: for the least money.
        thriftiest: with the least electricity.
    """

    cleanest: Plan
    cheapest: Plan
    thriftiest: Plan


def ends(study: Study) -> Ends:
    """Fleets in parts at the ends of what may be wished for."""
    weights = aims(study)
    wished = (weights["least carbon"], Weights(kg_co2e=1e-3), weights["least electricity"])
    found = [aimed(study, of) for of in wished]
    cleanest, cheapest, thriftiest = (plan or study.parts for plan in found)
    return Ends(cleanest, cheapest, thriftiest)


def frontier(study: Study, ends: Ends) -> Frontier:
    """The least cost under limits on carbon, from what the cheapest fleet emits downwards.

    Args:
        study: whose problem.
        ends: its ends.
    """
    least, most = ends.cleanest.takes["kg_co2e"], ends.cheapest.takes["kg_co2e"]
    given = study.scenario
    caps = description.limits(given) | {"kg_co2e_per_hour": 1.0}
    capped = objective.case(description.described(given, weights={"usd": 1.0}, caps=caps))
    at = capped.limits.names.index("kg_co2e")
    rows = []
    for limit in np.geomspace(max(least * 1.0005, 1e-12), most, _STEPS):
        plan = _solved_within(capped, at, limit)
        if plan is not None:
            money, price = study.per_mtok(plan.takes["usd"]), plan.prices["kg_co2e"] * THOUSAND
            rows.append((_grams(study, limit), money, price, devices(study, plan)))
    steps = pd.DataFrame(rows, columns=["grams", "usd", "price", "fleet"])
    return Frontier(
        steps.assign(series="least cost"),
        {grid: _carbon_on(study, grid) for grid in study.grids},
        _grams(study, study.parts.takes["kg_co2e"]),
    )


def _grams(study: Study, carbon: float) -> float:
    """Of a million tokens, from kg CO2e/s."""
    return THOUSAND * study.per_mtok(carbon)


def _carbon_on(study: Study, grid: str) -> float:
    """Carbon of the cheapest fleet in parts where machines stand in one place, kg/s."""
    only = {"regions": [{"grid": grid}]}
    problem = description.described(study.scenario, weights={"usd": 1.0}, choices=only)
    found = choice.best_in_parts(problem)
    return math.nan if isinstance(found, Clash) else found.takes["kg_co2e"]


@dataclass(frozen=True)
class Wishes:
    """The money of the cheapest fleet, and hardly more than the power of the thriftiest.

    Attributes:
        usd: wished for, USD/h.
        kw: wished for, kW.
        raised: factors by which the wishes must be raised, by money or power; none where they
            needn't be.
        plan: the fleet that then serves everything; None where even so there is none.
    """

    usd: float
    kw: float
    raised: Mapping[str, float]
    plan: Plan | None


def wishes(study: Study, ends: Ends) -> Wishes:
    """Two wishes that can hardly both be granted.

    Args:
        study: whose problem.
        ends: its ends.
    """
    usd = ends.cheapest.takes["usd"] * SECONDS_PER_HOUR * (1.0 + 1e-6)
    kw = MORE * ends.thriftiest.takes["joule"] / THOUSAND
    found = _within(study, usd, kw)
    if not isinstance(found, Clash):
        return Wishes(usd, kw, {}, found)
    spare = 1.0 + 1e-4
    after = _within(
        study,
        usd * found.raised.get("usd", 1.0) * spare,
        kw * found.raised.get("joule", 1.0) * spare,
    )
    called = {"usd": "the money", "joule": "the power"}
    raised = {called[name]: factor for name, factor in found.raised.items()}
    return Wishes(usd, kw, raised, None if isinstance(after, Clash) else after)


def _within(study: Study, usd: float, kw: float) -> Plan | Clash:
    caps = {"usd_per_hour": usd, "kw": kw}
    return choice.best_in_parts(description.described(study.scenario, caps=caps))


def too_slow(study: Study) -> dict[str, float] | None:
    """By what factor limits that are far too short must give, by size; None where they are kept."""
    slow = description.sizes(study.scenario, TOO_FAST)
    found = choice.best_in_parts(description.described(study.scenario, buckets=slow))
    if not isinstance(found, Clash):
        return None
    return {SIZES[at]: factor for at, factor in found.slower.items() if math.isfinite(factor)}
