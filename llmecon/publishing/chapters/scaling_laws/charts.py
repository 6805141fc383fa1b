"""The longer charts of the chapter on scaling laws; each takes its finding as the title."""

from collections.abc import Mapping

import pandas as pd

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart
from llmecon.scaling.over_training import MOST_COMPUTE


def residuals(runs: pd.DataFrame, finding: str) -> Chart:
    """How far each run of the figure lies from the law."""
    unfitted = int((~runs["fitted"]).sum())
    return charts.points(
        runs,
        "zettaflop",
        "off",
        "name",
        title=finding,
        subtitle=f"{len(runs)} runs of the figure; "
        f"the {unfitted} on the fewest tokens, far off, were not fitted",
        x_title="Training compute [10²¹ FLOP]",
        y_title="Loss above what the law says [%]",
        marked=[],
        labelled=[],
        log_x=True,
    )


def elasticities(effects: Mapping[str, float], finding: str) -> Chart:
    """What moves the size that costs least in its life."""
    return charts.elasticities(
        effects,
        title=finding,
        outcome="the parameters that cost least in life",
        subtitle="all else as it is",
    )


def reached(runs: pd.DataFrame, finding: str) -> Chart:
    """Losses predicted of larger runs over those measured."""
    return charts.intervals(
        runs,
        "name",
        "middle",
        "low",
        "high",
        title=finding,
        subtitle="loss on C4, predicted over measured, by laws of the runs below "
        + words.quantity(MOST_COMPUTE, "FLOP"),
        unit="Predicted over measured",
    )
