"""Bursts and idle hours: frames of the chapter on tokenomics."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.execution.interpreter import interpreted
from llmecon.serving import Service
from llmecon.studies.tokenomics.model import MILLION, Case
from llmecon.studies.tokenomics.services import BURSTS, VOLLEYS, Services
from llmecon.studies.tokenomics.study import Study

Scalar = Float[Array, "..."]

LOADS = np.round(np.linspace(0.05, 1.3, 26), 3)
"""Loads of one instance, of what memory lets it complete."""


@dataclass(frozen=True)
class Queues:
    """One instance at any load, for arrivals of several kinds.

    Attributes:
        lines: columns load [%], cv and ttft [s], the quantile of the limit.
        kinds: coefficients of variation of the gaps between arrivals, ascending.
        calm: the highest load at which independent arrivals keep the limit on TTFT, %; NaN if none.
        wild: the same for the volleys of a code assistant.
        least: the lightest load that was looked at, %.
    """

    lines: pd.DataFrame
    kinds: list[float]
    calm: float
    wild: float
    least: float


def kinds(study: Study) -> list[float]:
    """Arrivals that are compared: independent, in volleys, and the workload's if it has others."""
    own = float(study.case.requests.interarrival_cv)
    found = [1.0, VOLLEYS]
    if all(abs(own - cv) > 0.2 * cv for cv in found):
        found.append(own)
    return sorted(found)


def queues(study: Study) -> Queues:
    """TTFT of one instance at any load, for arrivals of several kinds."""
    found, usual = kinds(study), study.answer.service
    most = float(usual.offered / usual.load)
    cvs, loads = (axis.ravel() for axis in np.meshgrid(found, LOADS, indexing="ij"))
    services = _loaded(study.case, jnp.asarray(loads * most), jnp.asarray(cvs))
    lines = pd.DataFrame({"load": 100 * loads, "cv": cvs, "ttft": services.ttft_quantile})
    kept = lines[lines["ttft"] <= study.scenario.ttft_limit_s].groupby("cv")["load"].max()
    return Queues(
        lines,
        found,
        calm=float(kept.get(1.0, math.nan)),
        wild=float(kept.get(VOLLEYS, math.nan)),
        least=100 * float(LOADS[0]),
    )


@interpreted
def _loaded(case: Case, rates: Scalar, cvs: Scalar) -> Service:
    def one(rate: Scalar, cv: Scalar) -> Service:
        asked = replace(case.requests, interarrival_cv=cv)
        return serving.serve(case.instance, asked, rate)

    found: Service = jax.vmap(one)(rates, cvs)
    return found


@dataclass(frozen=True)
class Bursts:
    """What burstiness costs.

    Attributes:
        rows: columns cv and blended [USD per million tokens], of layouts that keep the limits.
        lost: share of an xPU's rate that the code assistant's burstiness takes; NaN where no
            layout keeps the limits there.
    """

    rows: pd.DataFrame
    lost: float


def bursts(services: Services) -> Bursts:
    """What burstiness costs, the best layout for each."""
    found = services.solved("bursts")
    rows = found.assign(cv=found["x"], per_xpu=found["rate"] / found["xpus"])
    calm = rows[rows["cv"] == 1.0]["per_xpu"]
    lost = math.nan
    if len(calm) and rows["cv"].iloc[-1] == BURSTS[-1]:
        lost = float(1 - rows["per_xpu"].iloc[-1] / calm.iloc[0])
    return Bursts(rows, lost)


def patient(study: Study, services: Services) -> dict[str, float]:
    """Work that can wait: usd per million tokens of a full instance, and off, against the rest."""
    rows = services.frame[services.frame["use"] == "patient"]
    idle = float(rows["blended"].iloc[0])
    full = float(study.answer.tokens.blended) * MILLION
    return {"usd": idle, "off": max(1 - idle / full / study.scenario.peak_to_mean, 0.0)}
