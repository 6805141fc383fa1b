"""Whether measurements tell what a device draws while it waits for its neighbours.

A device that waits for an exchange, or for its next kernel, might draw less than one that computes
and more than one at rest. Here its share of a step is given a coefficient of its own in the power
model, fitted as the others are, and every model or accelerator is predicted by a fit that saw
nothing of it. The power model has no such coefficient, because none predicts better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy.optimize import least_squares

from llmecon.evidence.leave_out import SAME_ARCHITECTURE
from llmecon.evidence.serving_fit import PARAMETERS, TARGETS, by_row, curves, labels, measured
from llmecon.evidence.serving_rows import Systems, systems
from llmecon.execution.interpreter import interpreted
from llmecon.physics.energy import CAP_SHARPNESS
from llmecon.physics.roofline import forward_pass
from llmecon.serving.load_test import closed_loop
from llmecon.specs import Efficiency, Instance
from llmecon.tables import catalog

TERMS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "exchanges": ("exchanges",),
    "exchanges and overhead": ("exchanges", "overhead"),
}
"""Shares of a step in which a device may draw less, by the name of the model that has them."""

# Of a waiting share's coefficient, in shares of TDP: as far either way as power at rest to full.
PLAUSIBLE = 0.3
# What a further coefficient must take off the scatter of power's error to be worth having.
WORTH = 0.01
_FITTED = ("active_power", "memory_power", "compute_power")
_USES = ("busy", "memory_use", "compute_use")


@interpreted
def _shares(rows: Systems, efficiency: Efficiency) -> dict[str, Array]:
    """What the device of each row does, in shares of time."""

    def one(of: Systems, efficiency: Efficiency) -> dict[str, Array]:
        instance = Instance(of.llm, of.xpu, of.deployment, efficiency)
        point = closed_loop(instance, of.workload, of.clients).point
        past = jnp.maximum(of.workload.mean_context - 1.0, 0.0)
        step = forward_pass(instance, point.batch, jnp.ones(()), past)
        return {name: getattr(point, name) for name in _USES} | {
            "exchanges": step.network / step.seconds,
            "overhead": step.overhead / step.seconds,
        }

    found: dict[str, Array] = jax.vmap(one)(rows, efficiency)
    return found


@cache
def cases() -> pd.DataFrame:
    """Measured powers beside what each device is computed to do.

    Returns:
        One row a row of measured_serving that tells of power: model, xpu, engine, curve, drawn
        (power over TDP), and shares of time: busy, memory_use, compute_use, exchanges, overhead.
    """
    rows = measured()
    rows = rows[rows["power_w_per_xpu"].notna()].reset_index(drop=True)
    of = systems(rows)
    shares = _shares(of, by_row(catalog.attainment(), labels(rows)))
    found = pd.DataFrame({name: np.asarray(values) for name, values in shares.items()})
    return found.assign(
        model=rows["model"].replace(SAME_ARCHITECTURE),
        xpu=rows["xpu"],
        engine=rows["engine"],
        curve=curves(rows),
        drawn=rows["power_w_per_xpu"] / np.asarray(of.xpu.tdp),
    )


def errors() -> pd.DataFrame:
    """Errors of power for models and accelerators that fits saw nothing of.

    Returns:
        One row a kind of group left out and a name of TERMS: left_out, waiting, median (absolute
        error) and scatter (root mean square of the logarithm's error, every curve counted once).
    """
    every = cases()
    weight = 1.0 / every.groupby("curve")["curve"].transform("size")
    found = []
    for by in ("model", "xpu"):
        for name, terms in TERMS.items():
            off = pd.Series(0.0, index=every.index)
            for group in every[by].unique():
                out = every[by] == group
                fitted = _fit(every[~out], weight[~out], terms)
                off[out] = np.log(_drawn(fitted, every[out], terms) / every.loc[out, "drawn"])
            scatter = float(np.sqrt(np.average(off**2, weights=weight)))
            median = float(np.median(np.abs(np.expm1(off))))
            found.append({"left_out": by, "waiting": name, "median": median, "scatter": scatter})
    return pd.DataFrame(found)


def _drawn(values: np.ndarray, rows: pd.DataFrame, terms: tuple[str, ...]) -> np.ndarray:
    """Power over TDP: coefficients of what is fitted in logs, then of the terms."""
    share = catalog.attainment().values["idle_power"] + rows[list(_USES)] @ np.exp(values[:3])
    share = np.maximum((share - rows[list(terms)] @ values[3:]).to_numpy(float), 0.01)
    return share / (1.0 + share**CAP_SHARPNESS) ** (1.0 / CAP_SHARPNESS)


def _fit(rows: pd.DataFrame, weight: pd.Series, terms: tuple[str, ...]) -> np.ndarray:
    """The most probable coefficients, under the priors of the calibration."""
    priors = {of.name: of for of in PARAMETERS}
    centre = np.array([*(np.log(priors[name].centre) for name in _FITTED), *(0.0 for _ in terms)])
    spread = np.array([*(priors[name].spread for name in _FITTED), *(PLAUSIBLE for _ in terms)])
    noise = next(of.noise for of in TARGETS if of.name == "power")

    def residuals(values: np.ndarray) -> np.ndarray:
        off = np.log(_drawn(values, rows, terms) / rows["drawn"]) * np.sqrt(weight) / noise
        return np.concatenate([off, (values - centre) / spread])

    return np.asarray(least_squares(residuals, centre).x)


@dataclass(frozen=True)
class Finding:
    """What limits predictions of power.

    Attributes:
        engines: of which power was measured.
        energy: median error of energy per output token with the engine left out.
        power: of power, likewise.
        throughput: of throughput, of the same rows.
        plain: row of `errors` with models left out and no term.
        waiting: the best of those with one.
    """

    engines: tuple[str, ...]
    energy: float
    power: float
    throughput: float
    plain: pd.Series
    waiting: pd.Series

    @property
    def helps(self) -> bool:
        """Whether a term for waiting would predict better."""
        return bool(self.waiting["scatter"] < self.plain["scatter"] - WORTH)


def finding() -> Finding:
    """What limits predictions of power, of engines and of models that a fit saw nothing of."""
    of = catalog.table("held_out")
    of = of[(of["kind"] == "serving") & (of["left_out"] == "engine")]
    ratio = of.assign(ratio=of["predicted"] / of["measured"]).pivot(
        index="id", columns="target", values="ratio"
    )
    ratio = ratio[ratio["energy"].notna()]
    ratio = ratio.assign(power=ratio["energy"] * ratio["throughput"])
    median = (ratio - 1.0).abs().median()
    by_model = errors().query("left_out == 'model'").set_index("waiting")
    return Finding(
        engines=tuple(sorted(cases()["engine"].unique())),
        energy=float(median["energy"]),
        power=float(median["power"]),
        throughput=float(median["throughput"]),
        plain=by_model.loc[["none"]].iloc[0],
        waiting=by_model.drop("none").sort_values("scatter").iloc[0],
    )
