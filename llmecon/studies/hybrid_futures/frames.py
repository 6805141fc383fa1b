"""What the charts and tables of the chapter on hybrid futures show, as frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.costs.carbon import EndDevice
from llmecon.execution.interpreter import interpreted
from llmecon.physics import speculation
from llmecon.studies.hybrid_futures import records
from llmecon.studies.hybrid_futures.model import GRAMS, THOUSAND, Case, Ways, on_device, under
from llmecon.studies.hybrid_futures.study import LENGTHS, Study, aim, best_policies
from llmecon.tables import catalog
from llmecon.tiers import hybrid, own_machine, routing
from llmecon.tiers.hybrid import Best, Outcome, Policy, Taken
from llmecon.tiers.own_machine import Machine

WAYS = {
    "device": "the device",
    "edge": "the box nearby",
    "cloud": "the data centre",
    "drafted": "device and data centre together",
}
"""Ways to answer a request as a reader calls them."""

OBJECTIVES = {"carbon": "CO₂e", "cost": "money"}
"""What the best policy makes small as a reader calls it."""

PLAIN = hybrid.WAYS[:3]
"""Those that need one machine only."""

SIX = (
    "snapdragon-8-gen-3",
    "a17-pro",
    "snapdragon-x-elite",
    "apple-m3-max",
    "jetson-agx-orin",
    "rtx-4090",
)
"""Devices of readers that are compared."""

_AXES = {"grams": "CO₂e of a request [g]", "usd": "1,000 requests [USD]"}
_HOT = 1.005  # time over that of a cool device, from which on it counts as hot
_QUICK = 0.002  # s a token, of a drafter that is quicker than today's devices


def facts(study: Study) -> dict[str, object]:
    """What the answer speaks of, by the names in its template."""
    return {
        "study": study,
        "ways": WAYS,
        "what": OBJECTIVES[study.scenario.objective],
        "models": models(study),
        "emitted": emitted(study),
    }


def models(study: Study) -> list[tuple[str, float]]:
    """Name and published quality of the three models, from near to far."""
    ids = records.models_of(study.scenario)
    return [(catalog.name("models", of), study.scores.shares[of]) for of in ids]


def emitted(study: Study) -> dict[str, float]:
    """What a request emits on each way that needs one machine only, kg CO2e."""
    return {way: float(of.footprint.total) for way, of in zip(PLAIN, study.plain, strict=True)}


def heat(study: Study) -> float:
    """How much longer the device takes because it is hot, as a share; 0 where it hardly is."""
    case = study.case
    cool = own_machine.answer(case.near, case.machine, case.precision, case.requests)
    longer = float(study.plain.device.seconds) / float(cool.seconds)
    return longer - 1.0 if longer > _HOT else 0.0


@dataclass(frozen=True)
class Speeds:
    """Speeds of single machines, measured and predicted from others of their kind.

    Attributes:
        tested: columns xpu, name, kind, phase, tokens_per_s, share, predicted and within.
    """

    tested: pd.DataFrame

    def within(self, phase: str) -> float:
        """The share of measurements of a phase that is predicted within a factor of two."""
        return float(self.tested[self.tested["phase"] == phase]["within"].mean())

    @cached_property
    def phones_apart(self) -> float:
        """Of the rate of a phone, what the fastest program attains over what the slowest does."""
        shares = self.tested.query("phase == 'prefill' and kind == 'phone'")["share"]
        return float(shares.max() / shares.min())


def speeds() -> Speeds:
    """Speeds of phones, laptops and workstations, each predicted without its own measurements."""
    measured = own_machine.measured()
    measured = measured[measured["kind"] != "datacenter"]
    attained = {}
    for kind, xpu in measured[["kind", "xpu"]].drop_duplicates().itertuples(index=False):
        others = (measured[measured["kind"] == kind]["xpu"] != xpu).any()
        attained[xpu] = own_machine.attained(kind, without=xpu if others else "")
    phase = {"decode": "memory", "prefill": "compute"}
    predicted = [
        of["tokens_per_s"] * getattr(attained[of["xpu"]], phase[of["phase"]]) / of["share"]
        for of in measured.to_dict("records")
    ]
    tested = measured.assign(predicted=predicted)
    within = (tested["predicted"] / tested["tokens_per_s"]).between(0.5, 2.0)
    return Speeds(tested.assign(within=within))


def reading(study: Study) -> dict[str, object]:
    """How well the time is known that the device takes to read a prompt.

    Returns:
        kind (of device) and known_to (a factor that holds it with 90%).
    """
    kind = records.kind_of(study.scenario.device)
    return {"kind": kind, "known_to": math.exp(1.645 * own_machine.attained(kind).compute_sd)}


@interpreted
def _on_devices(case: Case, machines: Machine, readers: EndDevice) -> Taken:
    def one(machine: Machine, reader: EndDevice) -> Taken:
        return on_device(replace(case, machine=machine, reader=reader))

    found: Taken = jax.vmap(one)(machines, readers)
    return found


def devices(study: Study) -> pd.DataFrame:
    """The small model on the scenario's device and six others, where it fits.

    Returns:
        Columns id, name, grams and seconds of an answer.
    """
    ids = list(dict.fromkeys([study.scenario.device, *SIX]))
    found = _on_devices(
        study.case,
        catalog.stack(map(own_machine.machine, ids)),
        catalog.stack(map(records.reader_of, ids)),
    )
    frame = pd.DataFrame(
        {
            "id": ids,
            "name": [catalog.name("xpus", of) for of in ids],
            "grams": GRAMS * np.asarray(found.footprint.total),
            "seconds": np.asarray(found.seconds),
        }
    )
    return frame[np.asarray(found.possible) > 0].reset_index(drop=True)


@dataclass(frozen=True)
class Routed:
    """Routers between the two models that they were tried on.

    Attributes:
        lines: columns sent and closed [%], and router.
        half: share of the gap that the best closes by sending half.
        off: largest difference between a router's published points and its curve, a share.
        oracle: what a router that knows would send and close.
    """

    lines: pd.DataFrame
    half: float
    off: float
    oracle: routing.Routed


@interpreted
def _curves(thresholds: jax.Array, skills: jax.Array, pair: routing.Pair) -> routing.Routed:
    found: routing.Routed = jax.vmap(routing.route, (None, 0, None))(thresholds, skills, pair)
    return found


@interpreted
def _recovered(sent: jax.Array, skills: jax.Array, pair: routing.Pair) -> jax.Array:
    found: jax.Array = jax.vmap(routing.recovered, (0, 0, None))(sent, skills, pair)
    return found


def routed(study: Study) -> Routed:
    """How much of the gap between two models routers of several skills close."""
    router = study.router
    skills = {
        "no skill": 0.0,
        f"best published ({router.best.replace('-', ' ')})": router.skill,
        "twice the skill": 2.0 * max(router.skill, 0.1),
        "oracle, nearly": 8.0,
    }
    thresholds = jnp.linspace(-5.0, 9.0, 57)
    found = _curves(thresholds, jnp.asarray(list(skills.values())), router.pair)
    lines = pd.concat(
        pd.DataFrame({"sent": 100.0 * sent, "closed": 100.0 * closed, "router": name})
        for name, sent, closed in zip(skills, *map(np.asarray, found), strict=True)
    )
    sent = [*router.points["strong_share"], 0.5]
    fitted = [*map(router.skills.__getitem__, router.points["router"]), router.skill]
    *points, half = np.asarray(_recovered(jnp.asarray(sent), jnp.asarray(fitted), router.pair))
    off = float((router.points["recovered"] - points).abs().max())
    return Routed(lines, float(half), off, routing.oracle(router.pair))


@dataclass(frozen=True)
class Drafted:
    """Drafting on the device and checking in the data centre.

    Attributes:
        lines: columns length [tokens], ms and trip.
        alone_ms: time of a token that is streamed from the data centre, ms.
        quickest: the row of `lines` at the scenario's round trip that is quickest.
        each: time in which the device drafts a token, s.
        needed: acceptance from which drafting pays in time; 1 where none does.
        needed_quick: likewise with a drafter of 2 ms a token.
        work: what a request costs over a streamed one.
        carbon: what it emits over a streamed one.
    """

    lines: pd.DataFrame
    alone_ms: float
    quickest: pd.Series
    each: float
    needed: float
    needed_quick: float
    work: float
    carbon: float

    @property
    def pays(self) -> bool:
        """Whether drafts bring tokens faster than streaming does."""
        return bool(self.quickest["ms"] < self.alone_ms)


@interpreted
def _needed(draft: speculation.Draft, alone: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The least acceptance at which drafting pays, as the device drafts and by a quick drafter."""
    quick = replace(draft, seconds=jnp.asarray(_QUICK))
    length = jnp.maximum(speculation.best_length(draft), 1.0)
    own = speculation.acceptance_to_pay(draft, length, alone)
    return own, speculation.acceptance_to_pay(quick, speculation.best_length(quick), alone)


def drafted(study: Study) -> Drafted:
    """How fast tokens come when the device drafts them, by draft length and round trip."""
    case = study.case
    *others, here = study.round_trips
    names = [*(f"{1000 * trip:g} ms" for trip in others), f"{1000 * here:.0f} ms, as here"]
    ms = 1000.0 * np.asarray(study.by_draft.tpot)[:, :-1]
    lines = pd.concat(
        pd.DataFrame({"length": LENGTHS, "ms": of, "trip": name})
        for name, of in zip(names, ms, strict=True)
    )
    own = lines[lines["trip"] == names[-1]]
    stream, way = study.taken["cloud"], study.taken["drafted"]
    each = own_machine.token_time(
        case.near, case.machine, case.precision, jnp.asarray(case.requests.mean_context)
    )
    verifying = speculation.Draft(case.acceptance, each, stream.tpot, case.cloud.round_trip)
    needed, quick = _needed(verifying, stream.tpot)
    return Drafted(
        lines,
        alone_ms=1000.0 * float(stream.tpot),
        quickest=own.sort_values("ms", kind="stable").iloc[0],
        each=float(each),
        needed=float(needed),
        needed_quick=float(quick),
        work=float(way.usd / stream.usd),
        carbon=float(way.footprint.total / stream.footprint.total),
    )


@dataclass(frozen=True)
class Frontier:
    """What each floor on quality costs at best.

    Attributes:
        best: columns floor and quality [%], grams, usd (of 1,000 requests) and line.
        single: for sending all one way, columns floor, grams, usd and line.
        column: of both, what the best policy makes small.
    """

    best: pd.DataFrame
    single: pd.DataFrame
    column: str

    @property
    def lines(self) -> pd.DataFrame:
        """Both, below each other."""
        return pd.concat([self.best, self.single])

    @property
    def unit(self) -> str:
        """What `column` is, with its unit."""
        return _AXES[self.column]

    @cached_property
    def least(self) -> pd.Series:
        """What the objective counts, by floor [%]."""
        return self.best.set_index("floor")[self.column]

    @property
    def rises(self) -> bool:
        """Whether a higher floor costs more."""
        return len(self.least) > 1 and bool(self.least.max() > 1.01 * self.least.min())


def frontier(study: Study) -> Frontier:
    """What each floor on quality costs at best, and what single ways cost."""
    scores = [quality for _, quality in models(study)]
    floors = np.linspace(scores[0] + 0.005, scores[2], 9)
    case = replace(study.case, drafting=study.may_draft)
    found: Sequence[Best] = best_policies(study.scenario, case, study.plain, floors.tolist())
    rows = [
        (
            100.0 * floor,
            100.0 * float(got.quality),
            GRAMS * float(got.kg),
            THOUSAND * float(got.usd),
        )
        for floor, (_, got, feasible, *_) in zip(floors, found, strict=True)
        if feasible
    ]
    best = pd.DataFrame(rows, columns=["floor", "quality", "grams", "usd"])
    single = pd.DataFrame(
        [
            (
                100.0 * score,
                GRAMS * float(way.footprint.total),
                THOUSAND * float(way.usd),
                f"all to {WAYS[name]}",
            )
            for name, way, score in zip(PLAIN, study.plain, scores, strict=True)
        ],
        columns=["floor", "grams", "usd", "line"],
    )
    column = aim(study.scenario, "grams", "usd")
    return Frontier(best.assign(line="best policy"), single, column)


@dataclass(frozen=True)
class Checked:
    """The best policy beside what it could have been.

    Attributes:
        quality_price: of a further percentage point of right answers, kg CO2e or USD a request;
            0 where the floor doesn't bind.
        second_price: of a second less, likewise.
        tried: policies of a coarse grid.
        beyond: by how much the best of them takes more, as a share; infinite where none is allowed.
    """

    quality_price: float
    second_price: float
    tried: int
    beyond: float

    @property
    def allowed(self) -> bool:
        """Whether any of them keeps both limits."""
        return math.isfinite(self.beyond)


@interpreted
def _outcomes(case: Case, policies: Policy, plain: Ways) -> Outcome:
    found: Outcome = jax.vmap(lambda policy: under(case, policy, plain))(policies)
    return found


def checked(study: Study) -> Checked:
    """What binds the best policy, and whether a coarse search finds a better one."""
    given, best = study.scenario, study.best
    least = float(aim(given, study.outcome.kg, study.outcome.usd))

    def binding(price: float) -> float:
        return price if price > 1e-9 * least else 0.0

    thresholds = np.append(np.linspace(-4.0, 4.0, 21), hybrid.HIGHEST)
    axes = np.meshgrid(thresholds, thresholds, [0.0, 0.5, 1.0], [1.0, 4.0, 16.0], indexing="ij")
    policies = Policy(*(jnp.asarray(axis.ravel()) for axis in axes))
    case = replace(study.case, drafting=study.may_draft)
    found = _outcomes(case, policies, study.plain)
    allowed = (np.asarray(found.quality) >= given.quality_floor) & (
        np.asarray(found.seconds) <= given.seconds_limit
    )
    others = np.where(allowed, np.asarray(aim(given, found.kg, found.usd)), np.inf)
    return Checked(
        quality_price=0.01 * binding(best.quality_price),
        second_price=binding(best.second_price),
        tried=others.size,
        beyond=float(others.min()) / least - 1.0,
    )


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from: figure, value, source, checked."""
    given = study.scenario
    quality = catalog.table("quality")
    scored = quality[
        (quality["benchmark"] == study.scores.benchmark)
        & (quality["setting"] == study.scores.setting)
        & (quality["model"] == given.cloud_model)
    ].to_dict("records")[0]
    box = records.box_row()
    rows: list[tuple[str, str, Mapping[Any, Any]]] = [
        ("quality", f"MMLU, {study.scores.setting}", scored),
        ("who answered what", study.router.study["benchmark"], study.router.study),
        (
            "the way in",
            catalog.name("network_paths", given.access),
            catalog.row("network_paths", given.access),
        ),
        (
            "the way on",
            catalog.name("network_paths", given.backbone),
            catalog.row("network_paths", given.backbone),
        ),
        ("the box", f"{box['kg_co2e']:,.0f} kg CO₂e besides its accelerator", box),
    ]
    found = [(figure, value, of["source"], bool(of["checked"])) for figure, value, of in rows]
    return pd.DataFrame(found, columns=["figure", "value", "source", "checked"])
