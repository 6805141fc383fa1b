"""How far predictions are from what a file measured: errors by target, and by model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.errors import InputError
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.error_measures import Pairs, of_groups
from llmecon.evidence.predictions import MOST_MEASURED, TARGETS, predict

# What the errors of a kind are listed by besides all rows; others by model.
GROUPS: Mapping[str, str] = {"losses": "data"}


@dataclass(frozen=True)
class ModelErrors:
    """Errors over the rows of one model.

    Attributes:
        rows: how many.
        median_ape: median absolute percentage error, a fraction.
        mean_ape: mean absolute percentage error, a fraction.
        bias: median of predicted over measured, less 1.
        coverage_90: share of rows inside their 90% interval.
    """

    rows: int
    median_ape: float
    mean_ape: float
    bias: float
    coverage_90: float


@dataclass(frozen=True)
class Errors:
    """Errors of one target.

    Attributes:
        rows: how many.
        median_ape: median absolute percentage error over rows, a fraction.
        mean_ape: mean absolute percentage error over rows, a fraction.
        within_2x: share of rows predicted within a factor of 2.
        bias: median of predicted over measured, less 1.
        coverage_90: share of rows inside their 90% interval.
        width_90: median of the intervals' upper ends over the predictions.
        by_model: the same for each model.
    """

    rows: int
    median_ape: float
    mean_ape: float
    within_2x: float
    bias: float
    coverage_90: float
    width_90: float
    by_model: Mapping[str, ModelErrors]

    @property
    def over_models(self) -> float:
        """Mean over models of their median errors: one model can be half of the rows."""
        return float(np.mean([of.median_ape for of in self.by_model.values()]))


@dataclass(frozen=True)
class Report:
    """What validating a file found.

    Attributes:
        targets: errors by target; a target that no row measures is left out.
        skipped: rows that could not be used, as (row, reason); the first row of the file is 0.
    """

    targets: Mapping[str, Errors]
    skipped: Sequence[tuple[int, str]]

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "targets": {name: asdict(errors) for name, errors in self.targets.items()},
            "skipped": [{"row": row, "reason": reason} for row, reason in self.skipped],
        }


def report(kind: str, frame: pd.DataFrame, predicted: pd.DataFrame | None = None) -> Report:
    """Compare predictions with a measurement file.

    Args:
        kind: as for `predict`.
        frame: rows with the measured columns.
        predicted: from `predict`; made here by default.

    Returns:
        Errors by target, and the rows that were not used with the reason.

    Raises:
        InputError: as `predict`; or no target of the kind has a column in the file.
    """
    found = predict(kind, frame) if predicted is None else predicted
    if kind == "training-runs":
        frame = _with_device_hours(frame)
    present = {name: column for name, column in TARGETS[kind].items() if column in frame}
    if not present:
        wanted = ", ".join(TARGETS[kind].values())
        raise InputError(f"the file has no measured column; there should be one of {wanted}")
    figures = pd.DataFrame(
        {name: pd.to_numeric(frame[column], errors="coerce") for name, column in present.items()}
    )
    figures = figures.where((figures > 0) & (figures < MOST_MEASURED))
    usable = found["reason"] == ""
    targets = {}
    for name in present:
        rows = usable & figures[name].notna() & found[name].notna()
        if rows.any():
            targets[name] = _errors(
                figures.loc[rows, name],
                found.loc[rows, [name, f"{name}_low", f"{name}_high"]],
                frame.loc[rows, GROUPS.get(kind, "model")].astype(str),
            )
    reasons = found["reason"].where(
        ~usable | figures.notna().any(axis=1), "none of " + ", ".join(present.values()) + " given"
    )
    skipped = [(i, reason) for i, reason in enumerate(reasons) if reason]
    return Report(targets=targets, skipped=skipped)


def _with_device_hours(frame: pd.DataFrame) -> pd.DataFrame:
    """Device-hours of runs that publish days on a number of devices instead."""
    if not {"wallclock_days", "n_devices"} <= set(frame.columns):
        return frame
    days, devices = (
        pd.to_numeric(frame[column], errors="coerce") for column in ("wallclock_days", "n_devices")
    )
    published = frame.get("device_hours", pd.Series(np.nan, index=frame.index))
    return frame.assign(device_hours=published.fillna(24.0 * days * devices))


def _errors(measured: pd.Series, found: pd.DataFrame, model: pd.Series) -> Errors:
    """The errors of a target, over all rows and by model."""
    predicted, _, high = (jnp.asarray(found.iloc[:, i].to_numpy(float)) for i in range(3))
    numbers, names = pd.factorize(model, sort=True)
    pairs = Pairs(
        predicted=predicted,
        measured=jnp.asarray(measured.to_numpy(float)),
        sd=jnp.log(high / predicted) / NINETY,
        model=jnp.asarray(numbers),
    )
    rows_of = [np.ones(len(model), bool), *(numbers == number for number in range(len(names)))]
    groups = of_groups(pairs, jnp.asarray(rows_of))
    every, *each = (
        jax.tree.map(lambda leaf, i=i: float(leaf[i]), groups) for i in range(len(rows_of))
    )
    return Errors(
        rows=int(every.rows),
        median_ape=every.median,
        mean_ape=every.mean,
        within_2x=every.within_2x,
        bias=every.bias,
        coverage_90=every.covered,
        width_90=every.width,
        by_model={
            str(name): ModelErrors(
                rows=int(of.rows),
                median_ape=of.median,
                mean_ape=of.mean,
                bias=of.bias,
                coverage_90=of.covered,
            )
            for name, of in zip(names, each, strict=True)
        },
    )
