"""Predictions of measured rows by fits that saw nothing of their group."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.predictions import TARGETS, with_intervals
from llmecon.evidence.run_fit import leave_runs_out
from llmecon.evidence.serving_fit import fit, load_tests, measured
from llmecon.evidence.training_fit import leave_steps_out

# Models that differ in their weights alone: leaving one out leaves out the other.
SAME_ARCHITECTURE: Mapping[str, str] = {"llama-3.3-70b": "llama-3.1-70b"}


def held_out(by: str) -> pd.DataFrame:
    """Predictions of the measured serving rows by fits that saw no row of their group.

    Args:
        by: what is left out together: "model" (with what shares its architecture), "xpu" or
            "engine".

    Returns:
        One row a measured row and target: id, left_out, target, predicted and measured (in the
        measured column's unit), sd (of the prediction's logarithm).
    """
    frame = measured()
    whole = fit(frame)
    group = frame[by].replace(SAME_ARCHITECTURE) if by == "model" else frame[by]
    parts = []
    for name in group.unique():
        left = (group == name).to_numpy()
        attainment = fit(frame, weight=1.0 - left, start=whole).attainment
        # All rows, though few are wanted: another number of rows would be compiled afresh.
        found = with_intervals(frame, attainment, load_tests, tuple(TARGETS["serving"]), 0.0)[left]
        for target, column in TARGETS["serving"].items():
            there = frame.loc[left, column].notna()
            parts.append(
                pd.DataFrame(
                    {
                        "id": frame.loc[left, "id"],
                        "left_out": by,
                        "target": target,
                        "predicted": found[target],
                        "measured": frame.loc[left, column],
                        "sd": np.log(found[f"{target}_high"] / found[target]) / NINETY,
                    }
                )[there]
            )
    return pd.concat(parts, ignore_index=True)


def every_held_out() -> pd.DataFrame:
    """All leave-out predictions, as the table held_out stores them.

    Returns:
        Rows of `held_out` for serving and of training's leave-outs: kind, id, left_out, target,
        predicted, sd.
    """
    serving = [held_out(by).assign(kind="serving") for by in ("model", "xpu", "engine")]
    training = []
    for kind, target, leave_out, groups in (
        ("training-steps", "tokens_per_s", leave_steps_out, ("label", "xpu", "software")),
        ("training-runs", "device_hours", leave_runs_out, ("family",)),
    ):
        # Steps are compared in logs of seconds per token, runs in logs of hours.
        sign = -1.0 if kind == "training-steps" else 1.0
        for by in groups:
            found = leave_out(by)
            training.append(
                pd.DataFrame(
                    {
                        "kind": kind,
                        "id": found["id"],
                        "left_out": "model" if by == "label" else by,
                        "target": target,
                        "predicted": np.exp(sign * found["predicted"]),
                        "measured": np.exp(sign * found["measured"]),
                        "sd": found["sd"],
                    }
                )
            )
    columns = ["kind", "id", "left_out", "target", "predicted", "measured", "sd"]
    return pd.concat([*serving, *training], ignore_index=True)[columns]
