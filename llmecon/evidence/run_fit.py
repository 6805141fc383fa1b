"""Device-hours of whole training runs: how much longer they take than their steps.

By how much is fitted to published device-hours, and what that leaves unexplained is shared out
between families, series and models by partial pooling [Gelman2006].
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.evidence.bayesian_fit import (
    Parameter,
    Posterior,
    Values,
    maximum_a_posteriori,
    tempered,
)
from llmecon.evidence.pooling import Effect, Pool
from llmecon.evidence.training_fit import TABLES, StepCalibration, calibrated_steps, with_ends
from llmecon.evidence.training_rows import Setups, in_our_names, refusals, setups
from llmecon.execution import disk_cache
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.tables import catalog

RUN_PARAMETERS = (Parameter("bookkeeping", "log", 1.3, 0.3),)


# A model's recipe, cluster and bookkeeping are its own, and another run of it would share them: the
# two pairs of runs of one size by one publisher, months apart, differ by 9% and 12%.
RUN_EFFECTS = (Effect(("family",), 0.2), Effect(("series",), 0.2), Effect(("run",), 0.28))


RUN_NOISE = 0.1


# Beyond so many standard deviations a run tells of its own accounting, not of its family.
RUN_CLIP = 1.5


@dataclass(frozen=True)
class RunCalibration:
    """The device-hours of whole runs as fitted to published ones.

    Attributes:
        steps: the calibration of single steps.
        posterior: hours of a run over those of its steps alone.
        pool: what published hours deviate from that.
    """

    steps: StepCalibration
    posterior: Posterior
    pool: Pool

    def predict(
        self, rows: pd.DataFrame, setups: Setups, some: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logs of device-hours and their standard deviations.

        Args:
            rows: usable rows, as `in_our_names` returns them.
            setups: the set-ups of these rows.
            some: which rows to predict, a truth value each; all by default.

        Returns:
            Mean and standard deviation, one for each row predicted.
        """
        some = np.ones(len(rows), bool) if some is None else some
        hours, sd = _log_step_hours(self.steps, rows, setups)
        deviation, variance = self.pool.predict(_run_features(rows)[some])
        mean = hours[some] + self.posterior.centre[0] + deviation
        return mean, np.sqrt(sd[some] ** 2 + self.posterior.covariance[0, 0] + variance)


def _log_step_hours(
    steps: StepCalibration, rows: pd.DataFrame, setups: Setups
) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the device-hours that a run's steps alone take, and their standard deviations."""
    mean, sd = steps.predict(rows, setups)
    return mean + np.log(np.asarray(setups.run.tokens) / SECONDS_PER_HOUR), sd


def _run_features(rows: pd.DataFrame) -> pd.DataFrame:
    """A run's model, and its family and series from the model's label: llama, llama 3."""
    name = rows["label"].str.lower().str.extract(r"^([a-z]+)[\s_-]*v?(\d*)")
    model = rows["model"].fillna("") if "model" in rows else pd.Series("", rows.index)
    family = name[0].fillna("")
    return pd.DataFrame(
        {
            "family": family,
            "series": (family + " " + name[1].fillna("")).where(family != "", ""),
            "run": model.where(model != "", rows["label"]),
        }
    )


@cache
def measured_runs() -> tuple[pd.DataFrame, Setups, np.ndarray]:
    """The published runs that can be used: rows, set-ups, logs of device-hours."""
    every = in_our_names(catalog.table("measured_training_runs"))
    hours = every["device_hours"].fillna(every["wallclock_days"] * 24.0 * every["devices"])
    used = (refusals(every, ("tokens_b",)) == "") & hours.notna()
    return every[used], setups(every[used]), np.log(hours[used].to_numpy(float))


def _run_residuals(values: Values, data: Any) -> Array:
    deviation, weight = data
    return tempered((jnp.log(values["bookkeeping"]) - deviation) * weight)


def calibrate_runs(use: np.ndarray | None = None) -> RunCalibration:
    """Fit what whole runs take beyond their steps: restarts, evaluations, failed starts.

    Args:
        use: which of the published runs to use, a truth value each; all by default.

    Returns:
        The calibration.
    """
    rows, of, measured = measured_runs()
    use = np.ones(len(rows), bool) if use is None else use
    steps = calibrated_steps()
    hours, _ = _log_step_hours(steps, rows, of)
    features = _run_features(rows)
    # A family's runs share their bookkeeping: they weigh as the square root of their number.
    family = features["family"].where(features["family"] != "", rows["label"])
    size = family.groupby(family).transform("size").to_numpy(float)
    spread = np.sqrt(sum(of.sd**2 for of in RUN_EFFECTS) + RUN_NOISE**2)
    weight = np.where(use, size**-0.25 / spread, 1e-9)
    data = (jnp.asarray(measured - hours), jnp.asarray(weight))
    posterior = maximum_a_posteriori(RUN_PARAMETERS, _run_residuals, data)
    deviations = np.clip(
        measured - hours - posterior.centre[0], -RUN_CLIP * spread, RUN_CLIP * spread
    )
    pool = Pool(RUN_EFFECTS, RUN_NOISE, features[use], deviations[use])
    return RunCalibration(steps, posterior, pool)


@cache
def calibrated_runs() -> RunCalibration:
    """The calibration to all published runs."""
    return disk_cache.kept("run-fits", disk_cache.rests_on(__name__, *TABLES), calibrate_runs)


def predict_runs(frame: pd.DataFrame, calibration: RunCalibration | None = None) -> pd.DataFrame:
    """Device-hours of whole training runs, with 90% intervals.

    Args:
        frame: rows as in measured_training_runs, or with the names of measurement files; optional
            columns may be missing, and what was measured is not read.
        calibration: the fit to use; that to all published runs by default.

    Returns:
        With the frame's index: device_hours [h] with `_low` and `_high`, and `reason`, empty where
        the row is usable.
    """
    rows = in_our_names(frame)
    reasons = refusals(rows, ("tokens_b",))
    result = pd.DataFrame(index=frame.index)
    used = (reasons == "").to_numpy()
    mean = sd = np.empty(0)
    if used.any():
        of = setups(rows[used])
        mean, sd = (calibration or calibrated_runs()).predict(rows[used], of)
    with_ends(result, "device_hours", used, mean, sd)
    return result.assign(reason=reasons)


def leave_runs_out(by: str) -> pd.DataFrame:
    """Predictions of published runs, each by a fit that saw no row of its group.

    Args:
        by: what is left out together: family or series.

    Returns:
        The published rows with logs of device-hours predicted and measured, and `sd`.
    """
    key = disk_cache.digest(disk_cache.rests_on(__name__, *TABLES), by)
    return disk_cache.kept("runs-left-out", key, partial(_runs_left_out, by))


def _runs_left_out(by: str) -> pd.DataFrame:
    rows, of, measured = measured_runs()
    groups = _run_features(rows)[by]
    mean, sd = np.empty(len(rows)), np.empty(len(rows))
    for group in groups.unique():
        out = (groups == group).to_numpy()
        mean[out], sd[out] = calibrate_runs(~out).predict(rows, of, out)
    return rows.assign(predicted=mean, sd=sd, measured=measured)
