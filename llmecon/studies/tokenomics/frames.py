"""The answer, the reader, the ways to pay and the sources: frames of the chapter on tokenomics."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.costs import economics
from llmecon.evidence import uncertainty
from llmecon.execution.interpreter import interpreted
from llmecon.serving import experience
from llmecon.serving.experience import Reader
from llmecon.specs import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MONTH
from llmecon.studies.tokenomics import hardware
from llmecon.studies.tokenomics.model import CALLING
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog

FIRST = (
    "usd_per_mtok",
    "usd_per_mtok_api",
    "break_even_requests_per_day",
    "output_over_input_cost",
    "answer_time_s",
    "speed_tokens_per_s",
    "quality_of_experience",
    "g_co2e_per_mtok",
)
"""The headline numbers that the chapter begins with."""

AT_SCALE = (
    "arithmetic rate (all precisions)",
    "memory bandwidth",
    "memory capacity",
    "links",
    "prompt length",
    "output length",
    "burstiness",
    "limit on TTFT",
    "limit on TPOT",
    "software overheads",
    "peak to mean",
    "price of an xPU-hour",
)
"""Inputs whose effect on the cost of a token at scale is shown."""

_HARDWARE = AT_SCALE[:4]
_TIED = 1.1  # less than prices of one thing differ by from seller to seller
_SURE = 0.9


@dataclass(frozen=True)
class Verdict:
    """Which way to pay is cheapest, and how surely.

    Attributes:
        ways: rows of way, monthly [USD] and per_mtok [USD], the cheapest first.
        tied: whether the next one costs about as much.
        open: whether measurements leave it open which of the two costs less.
    """

    ways: list[dict[str, object]]
    tied: bool
    open: bool


def verdict(study: Study) -> Verdict:
    """Which way to pay is cheapest, and how surely."""
    a_month = study.scenario.requests_per_second * SECONDS_PER_MONTH
    per_mtok = study.usd_per_mtok
    ways: list[dict[str, object]] = [
        {"way": way, "monthly": cost * a_month, "per_mtok": per_mtok[way]}
        for way, cost in study.costs.items()
    ]
    first, second = list(study.costs.values())[:2]
    return Verdict(ways, second < _TIED * first, study.stays_cheapest < _SURE)


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    return {"study": study, "verdict": verdict(study)}


def known(study: Study) -> dict[str, object]:
    """How much was measured of the system.

    Returns:
        tests (load tests of the very system) and parts (names of what was measured in others).
    """
    measured = uncertainty.evidence(study.system)
    parts = ((study.model_name, measured.model), (study.xpu_name, measured.xpu))
    return {"tests": measured.both, "parts": [name for name, count in parts if count]}


@dataclass(frozen=True)
class Stream:
    """One answer as it is delivered and read at the mean load.

    Attributes:
        lines: columns time [s] and, in tokens, delivered, read and wanted.
        end: of the time shown, s.
        ahead: pace of the stream over that of the reader.
        ttft: of the answer, s.
        expected: time within which the reader expects the first token, s.
        reading: time that the answer takes to read, s.
    """

    lines: pd.DataFrame
    end: float
    ahead: float
    ttft: float
    expected: float
    reading: float


def stream(study: Study) -> Stream:
    """One answer as it is delivered and read at the mean load."""
    reader, found = study.case.reader, study.answer
    ttft, tpot = jnp.asarray(found.service.ttft), jnp.asarray(found.service.point.tpot)
    length = study.case.requests.output_tokens
    end = float(experience.reading_time(ttft, tpot, length, reader)) * 1.05
    moments = np.clip([float(ttft), float(found.answer_time), float(reader.ttft)], 0.0, end)
    clock = np.union1d(np.linspace(0.0, end, 100), moments)
    tokens = _streamed(jnp.asarray(clock), ttft, tpot, length, reader)
    pace = float(reader.speed)
    return Stream(
        pd.DataFrame({"time": clock} | {name: np.asarray(of) for name, of in tokens.items()}),
        end,
        ahead=1.0 / float(tpot) / pace,
        ttft=float(ttft),
        expected=float(reader.ttft),
        reading=float(length) / pace,
    )


@interpreted
def _streamed(
    clock: Array, ttft: Array, tpot: Array, length: Array, reader: Reader
) -> dict[str, Array]:
    at_once = jnp.zeros(())
    return {
        "delivered": experience.delivered_tokens(clock, ttft, tpot, length),
        "read": experience.read_tokens(clock, ttft, tpot, length, reader),
        "wanted": experience.read_tokens(clock, reader.ttft, at_once, length, reader),
    }


def patience(study: Study) -> pd.DataFrame:
    """Quality of experience against the time per token.

    Returns:
        Columns tpot [s], ttft [s] (of three starts) and qoe.
    """
    reader, length = study.case.reader, study.case.requests.output_tokens
    paces = np.union1d(np.geomspace(0.005, 2.0, 60), 1.0 / float(reader.speed))
    starts = np.array(sorted({float(reader.ttft), 5.0, 20.0}))
    ttft, tpot = np.repeat(starts, len(paces)), np.tile(paces, len(starts))
    found = _quality(jnp.asarray(ttft), jnp.asarray(tpot), length, reader)
    return pd.DataFrame({"tpot": tpot, "ttft": ttft, "qoe": np.asarray(found)})


_quality = interpreted(experience.quality_of_experience)


@dataclass(frozen=True)
class Ladder:
    """Speeds that are promised and speeds that are read at.

    Attributes:
        rows: columns name, speed [tokens/s] and kind.
        limits: rows of the table latency_targets among them.
        above: limits that ask for more speed than the reader has.
        stricter: limits that ask for more than the service gives at its mean load.
    """

    rows: pd.DataFrame
    limits: pd.DataFrame
    above: int
    stricter: int

    @property
    def met(self) -> int:
        """Limits that the service meets."""
        return len(self.limits) - self.stricter


def ladder(study: Study) -> Ladder:
    """Speeds that benchmarks and systems promise, those of readers, and the service's."""
    promised = catalog.table("latency_targets").dropna(subset=["tpot_s"])
    tpot, pace = float(study.answer.service.point.tpot), float(study.case.reader.speed)
    names = promised["name"].str.replace("MLPerf Inference: ", "MLPerf ")
    limits = pd.DataFrame({"name": names, "speed": 1 / promised["tpot_s"]})
    readers = catalog.table("reading_speeds")[["name", "tokens_per_s"]]
    own = pd.DataFrame({"name": ["This service, mean load"], "speed": [1 / tpot]})
    rows = pd.concat(
        [
            limits.assign(kind="published limit"),
            readers.set_axis(["name", "speed"], axis=1).assign(kind="reader"),
            own.assign(kind="this service"),
        ]
    )
    return Ladder(
        rows,
        promised,
        above=int((1 / promised["tpot_s"] > pace).sum()),
        stricter=int((promised["tpot_s"] < tpot).sum()),
    )


@dataclass(frozen=True)
class Hour:
    """An hour of a device, owned and rented.

    Attributes:
        rows: columns way (Own, Rent), part and usd.
        owned: what an hour of one's own costs, USD; NaN where it can't be bought.
        electricity: its share of that.
    """

    rows: pd.DataFrame
    owned: float
    electricity: float


def hour(study: Study) -> Hour:
    """What an hour of a device costs at the mean load, owned and rented."""
    own, rows = study.answer.ownership, []
    owned = electricity = math.nan
    if own is not None:
        parts = {part: float(usd) * SECONDS_PER_HOUR for part, usd in vars(own).items()}
        rows = [("Own", part, usd) for part, usd in parts.items()]
        owned = sum(parts.values())
        electricity = parts["electricity"] / owned
    if study.hours.rentable:
        rows.append(("Rent", "rent", study.usd_per_hour))
    return Hour(pd.DataFrame(rows, columns=["way", "part", "usd"]), owned, electricity)


def power_price(study: Study) -> dict[str, object]:
    """The price of electricity: usd_per_kwh, its region, and own, whether that is the grid."""
    region = hardware.power_region(study.scenario.grid)
    return {
        "usd_per_kwh": hardware.usd_per_kwh(study.scenario.grid),
        "region": catalog.name("grid", region),
        "own": region == study.scenario.grid,
    }


@dataclass(frozen=True)
class BreakEven:
    """What each way costs at any volume.

    Attributes:
        lines: columns volume [requests a day], way and usd a month.
        volumes: requests a day above which a way to run a fleet beats the API; infinite if none.
        load: of the scenario, requests a day.
        used: mean load over what the fleet could answer.
        fleet: of a request on the scenario's fleet, the cheapest way, USD.
        api: of a request at the rival API, USD.
        ages: whether the API's price and the rent are of different years.
    """

    lines: pd.DataFrame
    volumes: dict[str, float]
    load: float
    used: float
    fleet: float
    api: float
    ages: bool

    def finite(self, way: str) -> bool:
        """Whether a way to run a fleet beats the API at any volume."""
        return math.isfinite(self.volumes[way])


def break_even(study: Study) -> BreakEven:
    """What each way to pay costs at any volume, and where a fleet's breaks even."""
    given, found, load = study.scenario, study.answer, study.scenario.requests_per_second
    even = {way: float(found.break_even[way]) for way in study.fleet_ways}
    finite = [volume for volume in even.values() if math.isfinite(volume)]
    centre = [load, *finite]
    volumes = np.geomspace(min(centre) / 10, max(centre) * 10, 60)
    api = study.costs[CALLING]
    lines = [_monthly(volumes, CALLING, api * volumes)]
    rate = float(found.full.rate)
    peaks = jnp.asarray(volumes * given.peak_to_mean)
    fleets = np.asarray(economics.instances(peaks, found.full.rate, study.case.spares))
    for way in even:
        instance = study.costs[way] * load / float(found.instances)
        lines.append(_monthly(volumes, way, fleets * instance))
    rent, row = study.hours.listed, study.rival.row
    return BreakEven(
        pd.concat(lines),
        volumes={way: volume * SECONDS_PER_DAY for way, volume in even.items()},
        load=load * SECONDS_PER_DAY,
        used=load / (float(found.instances) * rate),
        fleet=study.costs[study.case.way],
        api=api,
        ages=rent is not None and not study.hours.given and rent.month[:4] != str(row["month"])[:4],
    )


def _monthly(volumes: np.ndarray, way: str, usd: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"volume": volumes * SECONDS_PER_DAY, "way": way, "usd": usd * SECONDS_PER_MONTH}
    )


@dataclass(frozen=True)
class Offers:
    """What is asked for the scenario's own model.

    Attributes:
        rows: of the market's prices, with a column kind, the lowest first.
        certain: those on sale.
        listed: those listed without that being confirmed.
        undercut: of those on sale, how many ask less than running it oneself costs.
        fleet: what that costs, USD per million tokens.
        flips: whether the lowest listed one would overturn what the confirmed ones say.
        bars: columns who, usd and what: the offers and the ways to run it oneself, dearest first.
    """

    rows: pd.DataFrame
    certain: pd.DataFrame
    listed: pd.DataFrame
    undercut: int
    fleet: float
    flips: bool
    bars: pd.DataFrame


def offers(study: Study) -> Offers:
    """What is asked for the scenario's own model, beside running it oneself."""
    market, per_mtok = study.market, study.usd_per_mtok
    rows = pd.concat(
        [
            market.on_sale.assign(kind="on sale"),
            market.listed_only.assign(kind="listed, not confirmed"),
        ]
    )
    rows = rows[rows["model"] == study.scenario.model].sort_values("blended")
    certain, listed = rows[rows["kind"] == "on sale"], rows[rows["kind"] != "on sale"]
    fleet = per_mtok[study.case.way]
    twice = rows["provider"].duplicated(keep=False)
    who = rows["provider"].where(~twice, rows["provider"] + " (" + rows["id"] + ")")
    asked = pd.DataFrame({"who": who, "usd": rows["blended"], "what": rows["kind"]})
    own = [
        (f"{way} at your load", usd, "self-run") for way, usd in per_mtok.items() if way != CALLING
    ]
    bars = pd.concat([asked, pd.DataFrame(own, columns=asked.columns)])
    return Offers(
        rows,
        certain,
        listed,
        undercut=int((certain["blended"] < fleet).sum()),
        fleet=fleet,
        flips=bool(
            len(listed)
            and listed["blended"].iloc[0] < fleet
            and float(study.rival.row["blended"]) >= fleet
        ),
        bars=bars.sort_values("usd", ascending=False),
    )


@dataclass(frozen=True)
class Elasticities:
    """By how many percent a token at scale becomes dearer for one percent more of an input.

    Attributes:
        effects: by input.
        strongest: the input with most effect but price and idleness.
        hardware: the datasheet's figure that lowers the cost most.
        doubled: change of the cost with twice as much of that, a share.
        nil: inputs without effect.
        at_work: instances at work in the panel, spares left out.
        needed: instances in the panel, spares included.
    """

    effects: dict[str, float]
    strongest: str
    hardware: str
    doubled: float
    nil: list[str]
    at_work: float
    needed: float


def elasticities(study: Study) -> Elasticities:
    """What moves the cost of a token at scale."""
    moved = study.quantities["usd_per_mtok_at_scale"].elasticities
    effects = {name: moved[name] for name in AT_SCALE}
    technical = [name for name in effects if name not in ("price of an xPU-hour", "peak to mean")]
    hardware_most = max(_HARDWARE, key=lambda name: -effects[name])
    needed = float(study.answer.needed)
    return Elasticities(
        effects,
        strongest=max(technical, key=lambda name: abs(effects[name])),
        hardware=hardware_most,
        doubled=2 ** effects[hardware_most] - 1,
        nil=[name for name, effect in effects.items() if abs(effect) < 0.005],
        at_work=needed - study.scenario.spare_instances,
        needed=needed,
    )


def efficiencies(study: Study) -> pd.DataFrame:
    """What engines attain of datasheets: rows of the table, with `here` for this system."""
    table = catalog.table("efficiencies")
    kept = table[~table["parameter"].str.startswith("training_")]
    own = [float(getattr(study.case.efficiency, name)) for name in kept["parameter"]]
    return kept.assign(here=own)
