"""Speed of training predicted from measurements: a physical law, and what it leaves unexplained.

The law is `training.training_step` with a few efficiencies fitted to measured steps. Rows of one
curve (a model on an accelerator) share their errors, so a curve counts as little more than one
row. What the law leaves unexplained is then shared out between groups by partial pooling: the
more rows a software on an accelerator has, the more its own level counts, and an unseen one falls
back to the law with a wider interval [Gelman2006]. Whole runs take longer than their steps; by how
much is fitted to published device-hours in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.evidence.bayesian_fit import (
    NINETY,
    Parameter,
    Posterior,
    Values,
    maximum_a_posteriori,
    tempered,
    to_natural,
)
from llmecon.evidence.training_rows import ARITHMETIC, Setups, in_our_names, refusals, setups
from llmecon.execution import disk_cache
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_HOUR, Efficiency
from llmecon.tables import catalog
from llmecon.training import training_step

# Fitted efficiencies with what physics and micro-benchmarks say of them beforehand.
PARAMETERS = (
    Parameter("training_compute", "logit", 0.8, 0.3),
    Parameter("training_attention", "logit", 0.35, 0.6),
    Parameter("training_narrow_gain", "logit", 0.7, 0.6),
    Parameter("training_traffic", "log", 12.0, 0.4),
    Parameter("training_routing", "log", 2.0, 0.7),
    Parameter("training_logits", "log", 4.0, 0.4),
    Parameter("training_scores", "log", 20.0, 0.5),
    Parameter("training_exposed", "logit", 0.5, 0.7),
    Parameter("training_straggling", "log", 0.02, 0.5),
)

TABLES = (
    "efficiencies",
    "efficiency_draws",
    "efficiency_effects",
    "matmul_rates",
    "measured_training_runs",
    "measured_training_steps",
    "models",
    "training_posterior",
    "xpus",
)
"""Tables that the calibrations rest on."""

# Error of a row against the law, in logs, and how fast a curve's rows lose weight: n of them
# together weigh as n**(1 - 2 * 0.4) of one.
ROW_ERROR = 0.1
CURVE_DISCOUNT = 0.4


@dataclass(frozen=True)
class Effect:
    """A deviation from the law that rows of a group share.

    Attributes:
        by: columns whose values make a group.
        sd: of the groups' levels, in logs.
        along: columns along which the deviation drifts, so that only near rows share it.
        reach: how far rows share it, in e-folds of those columns.
        through: an efficiency, if it is this that differs between groups: then the deviation is
            felt in proportion to the efficiency's part in the step.
    """

    by: tuple[str, ...]
    sd: float
    along: tuple[str, ...] = ()
    reach: float = 1.5
    through: str = ""


STACK = ("software", "xpu")
STEP_EFFECTS = (
    Effect(("xpu",), 0.07),
    Effect(("label",), 0.08),
    Effect(("software",), 0.3, through="training_routing"),
    Effect((*STACK, "arithmetic"), 0.15),
    Effect((*STACK, "arithmetic", "label"), 0.08),
    Effect(STACK, 0.4, through="training_attention"),
    Effect(STACK, 0.15, along=("parameters_active_b",)),
    Effect(STACK, 0.1, along=("sequence_tokens",)),
    Effect((*STACK, "recompute"), 0.08),
    Effect(STACK, 0.05, along=("devices",), reach=2.0),
)
STEP_NOISE = 0.05

# Names under which a software's measurements are published.
SOFTWARE = {
    "llm-foundry": r"LLMFoundry|llm-foundry|mosaicml",
    "maxtext": r"MaxText|TPURecipes|tpu-recipes",
    "megatron-bridge": r"MegatronBridge|Megatron-Bridge|NVIDIA-NeMo",
    "megatron-lm": r"Narayanan|2104\.04473|Korthikanti|2205\.05198|Smith|2201\.11990",
    "torchtitan": r"torchtitan",
}

RUN_PARAMETERS = (Parameter("bookkeeping", "log", 1.3, 0.3),)
# A model's recipe, cluster and bookkeeping are its own, and another run of it would share them: the
# two pairs of runs of one size by one publisher, months apart, differ by 9% and 12%.
RUN_EFFECTS = (Effect(("family",), 0.2), Effect(("series",), 0.2), Effect(("run",), 0.28))
RUN_NOISE = 0.1
# Beyond so many standard deviations a run tells of its own accounting, not of its family.
RUN_CLIP = 1.5


@dataclass(frozen=True)
class Pool:
    """Deviations from a law, shared out between groups of rows by partial pooling.

    Attributes:
        effects: which groups share how much.
        noise: standard deviation of what a row shares with no other, in logs.
        rows: the measured rows, with the columns that the effects read.
        deviations: measured minus law, in logs, one a row.
    """

    effects: tuple[Effect, ...]
    noise: float
    rows: pd.DataFrame
    deviations: np.ndarray

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Expected deviation of other rows and its variance, in logs.

        Args:
            rows: with the columns that the effects read.

        Returns:
            Mean and variance, one a row: those of a normal distribution over groups' levels given
            the measured rows, a row of unseen groups keeping the variance it had beforehand.
        """
        measured = shared_covariance(self.effects, self.rows, self.rows)
        measured[np.diag_indices_from(measured)] = self._variance(self.rows)
        between = shared_covariance(self.effects, self.rows, rows)
        gain = np.linalg.solve(measured, between)
        known = np.einsum("mr,mr->r", between, gain)
        return gain.T @ self.deviations, np.maximum(self._variance(rows) - known, self.noise**2)

    def _variance(self, rows: pd.DataFrame) -> np.ndarray:
        levels = [(of.sd * _part(of, rows)) ** 2 for of in self.effects]
        return np.asarray(np.sum(levels, axis=0) + self.noise**2)


def shared_covariance(
    effects: Sequence[Effect], one: pd.DataFrame, other: pd.DataFrame
) -> np.ndarray:
    """Covariance of the deviations that two sets of rows share.

    Args:
        effects: which groups share how much.
        one: rows with the columns that the effects read; an empty cell belongs to no group.
        other: the same.

    Returns:
        A matrix, rows of `one` by rows of `other`, in squared logs.
    """
    total = np.zeros((len(one), len(other)))
    for effect in effects:
        same = np.ones_like(total)
        for column in effect.by:
            left, right = one[column].to_numpy()[:, None], other[column].to_numpy()[None, :]
            same *= (left == right) & (left != "")
        for column in effect.along:
            left, right = np.log(one[column].to_numpy()), np.log(other[column].to_numpy())
            same *= np.exp(-0.5 * ((left[:, None] - right[None, :]) / effect.reach) ** 2)
        part = _part(effect, one)[:, None] * _part(effect, other)[None, :]
        total += effect.sd**2 * part * same
    return total


def _part(effect: Effect, rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(rows[effect.through] if effect.through else np.ones(len(rows)), float)


def device_seconds_per_token(values: Values, setups: Setups) -> Array:
    """Device-seconds that one token takes under the law.

    Args:
        values: fitted efficiencies by name; the table's values hold for all others.
        setups: the set-ups.

    Returns:
        Seconds times devices per token, one a row.
    """
    names = list(values)
    efficiency: Efficiency = eqx.tree_at(
        lambda record: [getattr(record, name) for name in names],
        catalog.efficiency(),
        [values[name] for name in names],
    )
    step = jax.vmap(training_step, (0, 0, 0, 0, None))(
        setups.llm, setups.xpu, setups.run, setups.layout, efficiency
    )
    return step.seconds * setups.layout.devices / setups.run.global_batch


def _step_residuals(values: Values, data: Any) -> Array:
    of, measured, weight = data
    return tempered((jnp.log(device_seconds_per_token(values, of)) - measured) * weight)


@interpreted
def _law(centre: Array, setups: Setups) -> tuple[Array, Array]:
    """Logs of device-seconds per token, and their slopes in the parameters' scales."""

    def logs(vector: Array) -> Array:
        return jnp.log(device_seconds_per_token(to_natural(PARAMETERS, vector), setups))

    return logs(centre), jax.jacfwd(logs)(centre)


@dataclass(frozen=True)
class StepCalibration:
    """The speed of training steps as fitted to measurements.

    Attributes:
        posterior: the law's efficiencies.
        pool: what measured steps deviate from the law.
    """

    posterior: Posterior
    pool: Pool

    def predict(
        self, rows: pd.DataFrame, setups: Setups, some: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logs of device-seconds per token and their standard deviations.

        Args:
            rows: usable rows, as `in_our_names` returns them.
            setups: the set-ups of these rows.
            some: which rows to predict, a truth value each; all by default.

        Returns:
            Mean and standard deviation, one for each row predicted.
        """
        some = np.ones(len(rows), bool) if some is None else some
        law, slopes = (np.asarray(x) for x in _law(jnp.asarray(self.posterior.centre), setups))
        deviation, variance = self.pool.predict(_features(rows, setups, slopes)[some])
        covariance = self.posterior.covariance
        uncertain = np.einsum("rp,pq,rq->r", slopes[some], covariance, slopes[some])
        return law[some] + deviation, np.sqrt(uncertain + variance)


def _features(rows: pd.DataFrame, setups: Setups, slopes: np.ndarray) -> pd.DataFrame:
    """The columns that effects read."""
    software = pd.Series(rows["source"].to_numpy(), index=rows.index, dtype=object)
    for name, pattern in SOFTWARE.items():
        software[rows["source"].str.contains(pattern, case=False)] = name
    named = {
        "software": software,
        "xpu": rows["xpu"],
        "label": rows["label"],
        "arithmetic": rows["precision"].map(ARITHMETIC),
        "recompute": np.asarray(setups.layout.recompute),
        "parameters_active_b": rows["parameters_active_b"],
        "sequence_tokens": np.asarray(setups.run.sequence),
        "devices": np.asarray(setups.layout.devices),
    }
    parts = {parameter.name: slopes[:, i] for i, parameter in enumerate(PARAMETERS)}
    return pd.DataFrame({**named, **parts}, index=rows.index)


@cache
def measured_steps() -> tuple[pd.DataFrame, Setups, np.ndarray]:
    """The measured steps that can be used: rows, set-ups, logs of device-seconds per token."""
    every = in_our_names(catalog.table("measured_training_steps"))
    rows = every[refusals(every) == ""]
    of = setups(rows)
    peak, flops = np.asarray(of.counted_peak), np.asarray(of.counted_flops)
    # Throughput as measured; else from MFU; else from the step's time; else from FLOP/s with
    # recomputation.
    batch = rows["global_batch_sequences"] * rows["sequence_tokens"]
    repeated = 1.0 + np.asarray(of.layout.recompute) / 3.0
    speed = rows["tokens_per_s_per_device"].fillna(rows["mfu_pct"] / 100.0 * peak / flops)
    speed = speed.fillna(batch / rows["step_time_s"] / rows["devices"])
    speed = speed.fillna(rows["hfu_pct"] / 100.0 / repeated * peak / flops)
    used = speed.notna().to_numpy()
    kept: Setups = jax.tree.map(lambda leaf: leaf[np.flatnonzero(used)], of)
    return rows[used], kept, -np.log(speed[used].to_numpy(float))


def calibrate_steps(use: np.ndarray | None = None) -> StepCalibration:
    """Fit the law of training steps and pool what it leaves.

    Args:
        use: which of the measured steps to use, a truth value each; all by default.

    Returns:
        The calibration.
    """
    rows, of, measured = measured_steps()
    use = np.ones(len(rows), bool) if use is None else use
    curves = _features(rows, of, np.zeros((len(rows), len(PARAMETERS))))
    curve = curves.groupby(["software", "xpu", "arithmetic", "label"])["xpu"].transform("size")
    # Rows left out keep a vanishing weight, so that every fit has the same shape.
    weight = np.where(use, curve.to_numpy(float) ** -CURVE_DISCOUNT / ROW_ERROR, 1e-9)
    data = (of, jnp.asarray(measured), jnp.asarray(weight))
    return _pooled_steps(maximum_a_posteriori(PARAMETERS, _step_residuals, data), use)


def _pooled_steps(posterior: Posterior, use: np.ndarray) -> StepCalibration:
    """What a posterior leaves of the measured steps, shared out."""
    rows, of, measured = measured_steps()
    law, slopes = (np.asarray(x) for x in _law(jnp.asarray(posterior.centre), of))
    pool = Pool(STEP_EFFECTS, STEP_NOISE, _features(rows, of, slopes)[use], (measured - law)[use])
    return StepCalibration(posterior, pool)


def predict_steps(frame: pd.DataFrame, calibration: StepCalibration | None = None) -> pd.DataFrame:
    """MFU and throughput of training steps, with 90% intervals.

    Args:
        frame: rows as in measured_training_steps, or with the names of measurement files; optional
            columns may be missing, and what was measured is not read.
        calibration: the fit to use; that to all measured steps by default.

    Returns:
        With the frame's index: mfu_pct [%], tokens_per_s_per_device [tokens/s], each with `_low`
        and `_high`, and `reason`, empty where the row is usable. MFU is that of the precision's
        peak, with all of attention counted [Chowdhery2022].
    """
    rows = in_our_names(frame)
    reasons = refusals(rows)
    result = pd.DataFrame(index=frame.index)
    used = (reasons == "").to_numpy()
    mean = sd = counted = np.empty(0)
    if used.any():
        of = setups(rows[used])
        mean, sd = (calibration or calibrated_steps()).predict(rows[used], of)
        counted = np.log(100.0 * np.asarray(of.counted_flops / of.counted_peak))
    _fill(result, "mfu_pct", used, counted - mean, sd)
    _fill(result, "tokens_per_s_per_device", used, -mean, sd)
    return result.assign(reason=reasons)


def _fill(
    result: pd.DataFrame, target: str, used: np.ndarray, mean: np.ndarray, sd: np.ndarray
) -> None:
    for ending, z in (("", 0.0), ("_low", -NINETY), ("_high", NINETY)):
        column = np.full(len(result), np.nan)
        column[used] = np.exp(mean + z * sd)
        result[target + ending] = column


@cache
def calibrated_steps() -> StepCalibration:
    """The stored calibration, which saw all measured steps."""
    rows, _, _ = measured_steps()
    return _pooled_steps(_stored(PARAMETERS), np.ones(len(rows), bool))


def _stored(parameters: tuple[Parameter, ...]) -> Posterior:
    """The posterior of some parameters as the table training_posterior holds it."""
    table = catalog.table("training_posterior").set_index(["parameter", "against"])["value"]
    names = [of.name for of in parameters]
    return Posterior(
        parameters,
        centre=np.array([table[name, "centre"] for name in names]),
        covariance=np.array([[table[name, other] for other in names] for name in names]),
    )


def posterior_table(posterior: Posterior) -> pd.DataFrame:
    """A posterior as rows of the table training_posterior.

    Args:
        posterior: of the steps' parameters.

    Returns:
        For each parameter its centre and its covariance with the others, on their scales.
    """
    names = [of.name for of in posterior.parameters]
    rows = [(name, "centre", value) for name, value in zip(names, posterior.centre, strict=True)]
    for name, covariances in zip(names, posterior.covariance, strict=True):
        rows += [(name, other, value) for other, value in zip(names, covariances, strict=True)]
    return pd.DataFrame(rows, columns=["parameter", "against", "value"])


def leave_steps_out(by: str) -> pd.DataFrame:
    """Predictions of measured steps, each by a fit that saw no row of its group.

    Args:
        by: what is left out together: label (a model), xpu or software.

    Returns:
        The measured rows with what `predict_steps` says of each.
    """
    rows, of, measured = measured_steps()
    groups = _features(rows, of, np.zeros((len(rows), len(PARAMETERS))))[by]
    mean, sd = np.empty(len(rows)), np.empty(len(rows))
    for group in groups.unique():
        out = (groups == group).to_numpy()
        mean[out], sd[out] = calibrate_steps(~out).predict(rows, of, out)
    return rows.assign(predicted=mean, sd=sd, measured=measured)


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
    _fill(result, "device_hours", used, mean, sd)
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
