"""How far the measurements themselves scatter, below which no model can come."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmecon.evidence.predictions import TARGETS
from llmecon.evidence.serving_fit import curves, measured
from llmecon.tables import catalog

# Parts of a serving configuration that make two rows repeats of one measurement.
CONFIGURATION = (
    "model",
    "xpu",
    "n_xpus",
    "tensor_parallel",
    "expert_parallel",
    "data_parallel",
    "precision",
    "engine",
    "concurrency",
    "prompt_tokens",
    "output_tokens",
    "regime",
    "speculative",
)
# Points of a curve from which its scatter about a parabola can be told.
ENOUGH_POINTS = 5


@dataclass(frozen=True)
class Floor:
    """Scatter of the measurements themselves, below which no model can come.

    Attributes:
        what: what is compared.
        target: the measured quantity.
        count: comparisons.
        median: median distance, a fraction.
    """

    what: str
    target: str
    count: int
    median: float


def floors() -> list[Floor]:
    """What repeats of a serving measurement differ by, and how rough measured curves are.

    Returns:
        For each target that has them: the distance between two rows of one configuration, and the
        distance of a curve's points from a parabola through them, in logarithms of target and
        clients, corrected for the parabola's three parameters.
    """
    frame = measured()
    configuration = frame.groupby(list(CONFIGURATION), dropna=False).ngroup()
    code = pd.Series(curves(frame), index=frame.index)
    found = []
    for target, column in TARGETS["serving"].items():
        logs = np.log(frame[column])
        pairs = [
            abs(float(one) - float(other))
            for _, group in logs.dropna().groupby(configuration[logs.notna()])
            for i, one in enumerate(group)
            for other in group.iloc[:i]
        ]
        if pairs:
            found.append(Floor("repeats", target, len(pairs), float(np.median(np.expm1(pairs)))))
        rough = [
            distance
            for _, group in logs.dropna().groupby(code[logs.notna()])
            for distance in _off_parabola(np.log(frame.loc[group.index, "concurrency"]), group)
        ]
        if rough:
            found.append(Floor("curve", target, len(rough), float(np.median(np.expm1(rough)))))
    return found


def _off_parabola(clients: pd.Series, logs: pd.Series) -> np.ndarray:
    if clients.nunique() < ENOUGH_POINTS:
        return np.empty(0)
    x, y = (clients - clients.mean()).to_numpy(), logs.to_numpy()
    left = y - np.polyval(np.polyfit(x, y, 2), x)
    return np.abs(left) * np.sqrt(len(x) / (len(x) - 3.0))


def within_groups(frame: pd.DataFrame, group: str) -> float:
    """What is left of the error where each group's own bias is known.

    Args:
        frame: rows of `cases`.
        group: a column whose groups share a bias.

    Returns:
        Median distance from the group's mean logarithm, corrected for it, over groups of at least
        two rows; a fraction, NaN without such groups.
    """
    logs = np.log(frame["ratio"])
    size = logs.groupby(frame[group]).transform("size")
    left = (logs - logs.groupby(frame[group]).transform("mean")).abs() * np.sqrt(
        size / (size - 1.0)
    )
    return float(np.median(np.expm1(left[size > 1]))) if (size > 1).any() else float("nan")


def suspects() -> pd.Series:
    """How many rows of measured_serving are never used, by reason."""
    return catalog.table("measured_serving")["suspect"].dropna().value_counts()
