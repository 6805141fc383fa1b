"""Every accelerator side by side: the same run and the same service on each of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.evidence import sourcing, whole_runs
from llmecon.evidence.sourcing import Use
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_DAY
from llmecon.studies.systems import best_layouts, system_of
from llmecon.studies.xpu_needs.inputs import rent, requests, target
from llmecon.studies.xpu_needs.model import JOULES_PER_MWH, KILOGRAMS, Answer, answer
from llmecon.studies.xpu_needs.study import Study, case, training_layouts
from llmecon.tables import catalog

COSTS: Mapping[Use, str] = {"training": "training_usd", "serving": "serving_usd"}
"""Columns of `side_by_side` that say what a job costs."""

_SHOWN = 10  # accelerators in a chart


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


_answers = interpreted(jax.vmap(answer))
