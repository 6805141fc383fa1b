"""What the charts and tables of the chapter on numbers of accelerators show, as frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon import serving, training
from llmecon.evidence import run_fit, sourcing, uncertainty, whole_runs
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.sourcing import Use
from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture, roofline
from llmecon.physics.roofline import PassCost
from llmecon.serving import Service
from llmecon.specs import SECONDS_PER_DAY
from llmecon.studies.systems import best_layouts, system_of
from llmecon.studies.xpu_needs.model import JOULES_PER_MWH, KILOGRAMS, Answer, Case, answer
from llmecon.studies.xpu_needs.study import (
    Study,
    case,
    rent,
    requests,
    target,
    training_layouts,
)
from llmecon.tables import catalog
from llmecon.training import planning
from llmecon.training.planning import TrainingPlan

FIRST = ("training_xpus", "training_cost", "serving_xpus", "serving_cost")
"""The headline numbers that the chapter begins with."""

BARE = ("bare_xpus", "bare_hours")
"""The headline numbers of the bare run."""

ENERGY = ("training_energy", "training_carbon", "serving_energy_per_token")
"""The headline numbers of its section on energy."""

HARDWARE = (
    "all arithmetic rates",
    "memory bandwidth",
    "memory size",
    "link bandwidth",
    "network bandwidth",
)
"""Inputs that are properties of the hardware."""

COSTS: Mapping[Use, str] = {"training": "training_usd", "serving": "serving_usd"}
"""Columns of `side_by_side` that say what a job costs."""

PARTS = {
    "compute": "arithmetic",
    "memory": "memory traffic",
    "network": "the links",
    "overhead": "software overhead",
}
"""Parts of a pass's time, and what a pass is bound by where one is the largest."""

TOLERATED_LOSS = serving.TOLERATED_LOSS
"""How much less per device than the best a layout may carry that is chosen for its size."""

_SHOWN = 10  # accelerators in a chart


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    return {"study": study}


def side_by_side(study: Study) -> pd.DataFrame:
    """The same run and the same service on every accelerator.

    Returns:
        By id: name, vendor, can_train, training_xpus, training_days, mfu, training_mwh,
        training_tonnes [CO2e], can_serve, xpus_per_instance, rate [requests/s], serving_xpus,
        usd_per_hour, training_usd and serving_usd [per month]. NaN where a job can't be done or
        nobody publishes a rent. The scenario's own accelerator serves as the scenario says.
    """
    given, ids = study.scenario, catalog.ids("xpus")
    overheads = whole_runs.overheads([given.model] * len(ids), ids)
    layouts = training_layouts(given, ids, [of.median for of in overheads])
    systems = [system_of(given, xpu=xpu) for xpu in ids]
    deployments = [layout for layout, _ in best_layouts(systems, requests(given), target(given))]
    cases = map(case, [given] * len(ids), ids, layouts, deployments, overheads)
    every = catalog.stack(
        study.case if xpu == given.xpu else of for xpu, of in zip(ids, cases, strict=True)
    )
    found: Answer = _answers(every)
    run, served = found.training, found.serving
    able = {"training": run.plan.feasible, "serving": served.capacity.feasible}
    price = np.array([rent(given, xpu) or math.nan for xpu in ids])

    def where(job: Use, values: Array | np.ndarray) -> np.ndarray:
        return np.where(np.asarray(able[job]) > 0, np.asarray(values), math.nan)

    return pd.DataFrame(
        {
            "name": [catalog.name("xpus", xpu) for xpu in ids],
            "vendor": [catalog.row("xpus", xpu)["vendor"] for xpu in ids],
            "can_train": np.asarray(able["training"]) > 0,
            "training_xpus": where("training", run.xpus),
            "training_days": where("training", run.plan.seconds / SECONDS_PER_DAY),
            "mfu": where("training", run.plan.step.mfu),
            "training_mwh": where("training", run.energy.total / JOULES_PER_MWH),
            "training_tonnes": where("training", run.carbon / KILOGRAMS),
            "can_serve": np.asarray(able["serving"]) > 0,
            "xpus_per_instance": where("serving", every.deployment.xpus),
            "rate": where("serving", served.capacity.rate),
            "serving_xpus": where("serving", served.xpus),
            "usd_per_hour": price,
            "training_usd": np.where(price > 0, where("training", run.usd), math.nan),
            "serving_usd": np.where(price > 0, where("serving", served.usd_per_month), math.nan),
        },
        index=pd.Index(ids, name="id"),
    )


def ranked(every: pd.DataFrame, job: Use) -> pd.DataFrame:
    """Accelerators that do a job at a known price, the cheapest first.

    Args:
        every: as `side_by_side` returns it.
        job: training or serving.

    Returns:
        Its rows, with the cost in `usd`.
    """
    costs = every.assign(usd=every[COSTS[job]]).dropna(subset=["usd"])
    return costs.sort_values("usd")


def shown(every: pd.DataFrame, job: Use, own: str) -> pd.DataFrame:
    """As many of `ranked` as a chart has room for, the reader's own among them if it is ranked.

    Args:
        every: as in `ranked`.
        job: as in `ranked`.
        own: id of the reader's accelerator.
    """
    costs = ranked(every, job)
    if own in costs.index[_SHOWN:]:
        return pd.concat([costs.head(_SHOWN - 1), costs.loc[[own]]])
    return costs.head(_SHOWN)


@dataclass(frozen=True)
class Cheapest:
    """Who does a job for least at the catalogue's prices.

    Attributes:
        name: of the accelerator; empty where none with a known price does it.
        own: whether it is the scenario's own.
        usd: what it costs.
        below: by which share that is less than on the scenario's own; NaN where that has no price.
        caveat: what the choice doesn't rest on; empty where all was read and measured.
    """

    name: str = ""
    own: bool = False
    usd: float = math.nan
    below: float = math.nan
    caveat: str = ""


def cheapest(study: Study, every: pd.DataFrame, job: Use) -> Cheapest:
    """Who does a job for least.

    Args:
        study: whose job.
        every: as `side_by_side` returns it.
        job: training or serving.
    """
    costs = ranked(every, job)["usd"]
    if costs.empty:
        return Cheapest()
    best, own = str(costs.index[0]), study.scenario.xpu
    given = (own,) if study.scenario.usd_per_xpu_hour else ()
    return Cheapest(
        name=str(every.loc[best, "name"]),
        own=best == own,
        usd=float(costs.iloc[0]),
        below=float(1.0 - costs.iloc[0] / costs[own]) if own in costs.index else math.nan,
        caveat=sourcing.beside({str(xpu): float(usd) for xpu, usd in costs.items()}, job, given),
    )


def published(study: Study) -> pd.DataFrame:
    """Published runs of the scenario's model on its accelerator, with about as many tokens.

    Returns:
        Columns label, device_hours, and inside: whether nine in ten such runs take so many, given
        the bare run.
    """
    given = study.scenario
    runs = catalog.table("measured_training_runs").dropna(subset=["device_hours"])
    runs = runs[(runs["model"] == given.model) & (runs["xpu"] == given.xpu)]
    runs = runs[(runs["tokens_b"] * 1e9 / given.training_tokens).between(0.9, 1.1)]
    for_as_many = runs["device_hours"] * given.training_tokens / (runs["tokens_b"] * 1e9)
    return runs[["label", "device_hours"]].assign(inside=for_as_many.map(study.as_expected))


@dataclass(frozen=True)
class Basis:
    """What was measured of the system that serves.

    Attributes:
        tests: load tests of the very system.
        known: those of the model and the accelerator that were measured in others, by name.
    """

    tests: int
    known: tuple[str, ...]


def basis(study: Study) -> Basis:
    """What the intervals of serving rest on."""
    found = uncertainty.evidence(system_of(study.scenario))
    named = ((study.model_name, found.model), (study.xpu_name, found.xpu))
    return Basis(found.both, tuple(name for name, tests in named if tests))


@dataclass(frozen=True)
class Work:
    """How much arithmetic a training run is.

    Attributes:
        weights: of the model.
        active: weights that are active for a token.
        per_token: FLOPs that a training token takes.
        flops: of the whole run.
        alone: for which a single device would work at its datasheet's rate, s.
    """

    weights: float
    active: float
    per_token: float
    flops: float
    alone: float


def work(study: Study) -> Work:
    """How much arithmetic the training run is."""
    of = study.case
    weights, active, per_token = map(float, _counted(of))
    flops = per_token * float(of.run.tokens)
    return Work(weights, active, per_token, flops, flops / float(of.xpu.bf16_flops))


@dataclass(frozen=True)
class Memory:
    """What the fullest device that trains needs and what it has, GB of 2**30 bytes."""

    needed: float
    held: float


def memory(study: Study) -> Memory:
    """What the fullest device that trains needs and what it has."""
    needed, held = study.answer.training.plan.step.memory, study.case.xpu.memory
    return Memory(catalog.memory_gb(float(needed)), catalog.memory_gb(float(held)))


@dataclass(frozen=True)
class Scaling:
    """The fastest layout on ever more devices.

    Attributes:
        lines: columns devices, days and series, where the run fits.
        devices: how many times as many the most are as the fewest.
        faster: how many times as fast these train.
    """

    lines: pd.DataFrame
    devices: float
    faster: float

    @property
    def gain(self) -> float:
        """Of the speed-up that the added devices could give, the share that arrives."""
        return self.faster / self.devices


def scaling(study: Study) -> Scaling | None:
    """The fastest layout on ever more devices; None where no number of them holds the run."""
    of = study.case
    planned = float(study.answer.training.plan.layout.devices)
    counts = np.geomspace(max(planned / 8.0, 1.0), max(planned * 4.0, 16.0), 25)
    if float(of.xpu.link_domain) <= 1.0:
        counts = np.ones(1)
    found: TrainingPlan = _fastest(of, jnp.asarray(counts))
    days = np.asarray(found.seconds) / SECONDS_PER_DAY
    both = {"with failures": days, "without failures": days * np.asarray(found.goodput)}
    fits = np.asarray(found.fits) > 0
    if not fits.any():
        return None
    lines = pd.concat(
        pd.DataFrame({"devices": counts, "days": values, "series": series})[fits]
        for series, values in both.items()
    )
    counts, days = counts[fits], days[fits]
    return Scaling(lines, float(counts[-1] / counts[0]), float(days[0] / days[-1]))


def deadline_alone(study: Study) -> pd.DataFrame:
    """What a chart shows in the place of `scaling` where nothing holds the run."""
    days = study.scenario.deadline_days
    return pd.DataFrame({"devices": [1.0], "days": [days], "series": ["deadline"]})


@dataclass(frozen=True)
class Beside:
    """Published training runs beside what a fit says that saw no run of their family.

    Attributes:
        runs: columns run, model, ours, published [thousand device-hours], checked and ratio.
        middle: error that half of the runs keep within, a share.
        within: share of them within a factor of two.
        inside: share of them in their 90% intervals.
        furthest: the run with the largest error.
    """

    runs: pd.DataFrame
    middle: float
    within: float
    inside: float
    furthest: pd.Series

    def of(self, model: str) -> pd.DataFrame:
        """The runs of a model."""
        return self.runs[self.runs["model"] == model]


def beside() -> Beside:
    """Published training runs beside ours."""
    rows = run_fit.leave_runs_out("family").reset_index(drop=True)
    off = (rows["predicted"] - rows["measured"]).abs()
    ours, measured = np.exp(rows["predicted"]) / 1e3, np.exp(rows["measured"]) / 1e3
    runs = pd.DataFrame(
        {
            "run": rows["label"],
            "model": rows["model"],
            "ours": ours,
            "published": measured,
            "checked": rows["checked"],
            "ratio": ours / measured,
        }
    )
    return Beside(
        runs,
        middle=math.expm1(float(off.median())),
        within=float((off < math.log(2.0)).mean()),
        inside=float((off < NINETY * rows["sd"]).mean()),
        furthest=runs.iloc[int(off.to_numpy().argmax())],
    )


@dataclass(frozen=True)
class Passes:
    """What a pass's time is made of.

    Attributes:
        parts: columns pass, part and milliseconds.
        batch: requests in flight in the decode step.
        prefill: what a prompt is bound by.
        decode: what a decode step is bound by.
    """

    parts: pd.DataFrame
    batch: float
    prefill: str
    decode: str


def passes(study: Study) -> Passes:
    """The prefill of one prompt, and a decode step of a full instance."""
    batch = max(float(study.answer.serving.capacity.service.point.batch), 1.0)
    both = _passes(study.case, jnp.asarray(batch))
    names = ("prefill of one prompt", "one decode step")
    times = [{part: float(getattr(of, part)) for part in PARTS} for of in both]
    parts = pd.DataFrame(
        [
            (name, part, 1e3 * of[part])
            for name, of in zip(names, times, strict=True)
            for part in PARTS
        ],
        columns=["pass", "part", "milliseconds"],
    )
    prefill, decode = (PARTS[max(of, key=of.__getitem__)] for of in times)
    return Passes(parts, batch, prefill, decode)


@dataclass(frozen=True)
class Loaded:
    """Latency of an instance under ever more load.

    Attributes:
        lines: columns rate, over (latency over its limit) and series.
        full: requests per second that it completes if nobody minds waiting.
        lost: share of these that the limits cost.
        first_token: whether the limit on the first token binds, and not that on the pace.
    """

    lines: pd.DataFrame
    full: float
    lost: float
    first_token: bool


def loaded(study: Study) -> Loaded:
    """Latency over its limit, through and beyond the point where an instance is full."""
    of, held = study.case, study.answer.serving.capacity
    full = float(_full_rate(of))
    rates = np.geomspace(full / 200.0, full * 1.5, 60)
    found: Service = _offered(of, jnp.asarray(rates))
    limits = study.scenario.ttft_limit_s, study.scenario.tpot_limit_s
    over = {
        "TTFT, 99 of 100": np.asarray(found.ttft_quantile) / limits[0],
        "TPOT": np.asarray(found.point.tpot) / limits[1],
    }
    lines = pd.concat(
        pd.DataFrame({"rate": rates, "over": values, "series": series})
        for series, values in over.items()
    )
    at_most = held.service
    first = float(at_most.ttft_quantile) / limits[0] > float(at_most.point.tpot) / limits[1]
    return Loaded(lines, full, max(1.0 - float(held.rate) / full, 0.0), first)


@dataclass(frozen=True)
class Fleet:
    """Instances that a load takes.

    Attributes:
        mean: for the mean load alone.
        peak: for the peak, without spares.
        used: share of what is rented that the mean load uses.
    """

    mean: int
    peak: int
    used: float


def fleet(study: Study) -> Fleet | None:
    """Instances that the load takes; None where no instance meets the limits."""
    if not study.can_serve:
        return None
    given, served = study.scenario, study.answer.serving
    rate = float(served.capacity.rate)
    return Fleet(
        mean=math.ceil(given.requests_per_second / rate),
        peak=round(float(served.instances)) - given.spare_instances,
        used=given.requests_per_second / (float(served.instances) * rate),
    )


def hardware(effects: Mapping[str, float]) -> tuple[list[str], float]:
    """What of the hardware saves most of a fleet.

    Args:
        effects: elasticities of the fleet.

    Returns:
        The inputs that save as much, to a hundredth, and how many percent 1% more of each saves.
    """
    saved = {name: round(-effects[name], 2) for name in HARDWARE if name in effects}
    most = max(saved.values())
    return [name for name, value in saved.items() if value == most], most


def rents(study: Study, *xpus: str) -> pd.DataFrame:
    """The offers that rents are taken from, but for a rent that was given, which has none.

    Args:
        study: which may give the rent of its own accelerator.
        *xpus: ids; all by default.
    """
    given = study.scenario
    own = {given.xpu} if given.usd_per_xpu_hour else set()
    return catalog.rental_offers(*(x for x in xpus or catalog.ids("xpus") if x not in own))


_answers = interpreted(jax.vmap(answer))


@interpreted
def _counted(case: Case) -> tuple[Array, Array, Array]:
    count = architecture.parameters(case.llm)
    return count.total, count.active, training.flops_per_token(case.llm, case.run)


@interpreted
def _fastest(case: Case, counts: Array) -> TrainingPlan:
    def plan(devices: Array) -> TrainingPlan:
        return planning.plan_for_devices(case.job, devices, case.cluster)

    found: TrainingPlan = jax.vmap(plan)(counts)
    return found


@interpreted
def _passes(case: Case, batch: Array) -> tuple[PassCost, PassCost]:
    one, none = jnp.ones(()), jnp.zeros(())
    return (
        roofline.forward_pass(case.instance, one, case.requests.prompt_tokens, none),
        roofline.forward_pass(case.instance, batch, one, case.requests.mean_context),
    )


@interpreted
def _full_rate(case: Case) -> Array:
    return serving.full_rate(case.instance, case.requests)


@interpreted
def _offered(case: Case, rates: Array) -> Service:
    def serve(rate: Array) -> Service:
        return serving.serve(case.instance, case.requests, rate, case.target.quantile)

    found: Service = jax.vmap(serve)(rates)
    return found
