"""Speed of training predicted from measurements: a physical law, and what it leaves unexplained.

The law is `training.training_step` with a few efficiencies fitted to measured steps. Rows of one
curve (a model on an accelerator) share their errors, so a curve counts as little more than one
row. What the law leaves unexplained is then shared out between software, accelerators and models
(`pooling`). Whole runs take longer than their steps: see `run_fit`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.evidence import training_rows
from llmecon.evidence.bayesian_fit import (
    NINETY,
    Parameter,
    Posterior,
    Values,
    maximum_a_posteriori,
    tempered,
    to_natural,
)
from llmecon.evidence.pooling import Effect, Pool
from llmecon.evidence.training_rows import ARITHMETIC, Setups, in_our_names, refusals, setups
from llmecon.execution.interpreter import interpreted
from llmecon.specs import Efficiency
from llmecon.tables import catalog

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
    step = training_rows.steps(setups.jobs(efficiency), setups.layout)
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
    with_ends(result, "mfu_pct", used, counted - mean, sd)
    with_ends(result, "tokens_per_s_per_device", used, -mean, sd)
    return result.assign(reason=reasons)


def with_ends(
    result: pd.DataFrame, target: str, used: np.ndarray, mean: np.ndarray, sd: np.ndarray
) -> None:
    """Fill a target's columns with predictions and the ends of their 90% intervals.

    Args:
        result: the table that gets TARGET, TARGET_low and TARGET_high.
        target: its name.
        used: which rows have a prediction, a truth value each.
        mean: of the logarithms, one for each of them.
        sd: of the logarithms, likewise.
    """
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
