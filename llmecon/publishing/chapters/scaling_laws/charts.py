"""The longer charts of the chapter on scaling laws; each takes its finding as the title."""

from collections.abc import Mapping

import pandas as pd

from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart


def residuals(runs: pd.DataFrame, finding: str) -> Chart:
    """How far each run of the figure lies from the law."""
    return charts.points(
        runs,
        "zettaflop",
        "off",
        "name",
        title=finding,
        subtitle="245 runs of the figure; five on the fewest tokens, far above, were not fitted",
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
        subtitle="loss on C4, predicted over measured, by laws of the runs below 2e20 FLOP",
        unit="Predicted over measured",
    )
