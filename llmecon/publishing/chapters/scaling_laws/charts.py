"""The longer charts of the chapter on scaling laws; each takes its finding as the title."""

from collections.abc import Mapping

import pandas as pd

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart
from llmecon.scaling.over_training import MOST_COMPUTE
from llmecon.studies.scaling_laws import frames
from llmecon.studies.scaling_laws.study import Study


def valleys(study: Study, finding: str) -> Chart:
    """Loss by size for several budgets of compute."""
    return charts.lines(
        frames.valleys(study),
        "parameters",
        "left",
        "of",
        title=finding,
        subtitle="what size and data leave of the loss where 6 N D is fixed, "
        "for parts and multiples of the budget",
        x_title="Parameters",
        y_title="Loss above E [nats per token]",
        log_x=True,
        log_y=True,
    )


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


def ratios(study: Study, finding: str) -> Chart:
    """Tokens per parameter of the best size by compute, for each law."""
    return charts.lines(
        frames.ratios(study),
        "zettaflop",
        "ratio",
        "of",
        title=finding,
        subtitle="tokens per parameter of the best size, by law",
        x_title="Training compute [10²¹ FLOP]",
        y_title="Tokens per parameter",
        rules_x={"this budget": float(study.answer.compute) / frames.ZETTA},
        rules_y={"as their text says": frames.SAID},
        log_x=True,
        log_y=True,
    )


def ridge(study: Study, finding: str) -> Chart:
    """Loss by size for the compute of the study."""
    return charts.lines(
        frames.ridge(study),
        "parameters",
        "excess",
        "of",
        title=finding,
        subtitle=f"same compute, {study.budget}",
        x_title="Parameters",
        y_title="Loss above the lowest [%]",
        rules_x={"best": float(study.answer.best.parameters)},
        rules_y={"near": 100 * study.scenario.near},
        log_x=True,
    )


def life(study: Study, finding: str) -> Chart:
    """What models of one loss cost in their life, by size."""
    return charts.lines(
        frames.life(study),
        "parameters",
        "usd",
        "part",
        title=finding,
        subtitle="all reach the same loss; "
        f"{words.quantity(study.scenario.served_tokens, 'tokens')} served",
        x_title="Parameters",
        y_title="Cost in the model's life [USD]",
        rules_x={"best to train": float(study.answer.best.parameters)},
        log_x=True,
        log_y=True,
    )


def demand(study: Study, finding: str) -> Chart:
    """Training tokens per parameter by what is served, at least cost and at least carbon."""
    served = study.scenario.served_tokens
    return charts.lines(
        frames.demand(study),
        "served",
        "ratio",
        "of",
        title=finding,
        subtitle=f"same loss as {study.budget} of training alone can reach",
        x_title="Tokens served in the model's life [trillion]",
        y_title="Training tokens per parameter",
        rules_x={"as asked": served / frames.TRILLION} if served else {},
        log_x=True,
        log_y=True,
    )


def scarce(found: pd.DataFrame, study: Study, finding: str) -> Chart:
    """Loss where tokens repeat, by how many differ."""
    return charts.lines(
        found,
        "unique",
        "above",
        "of",
        title=finding,
        subtitle=f"lowest loss for {study.budget}",
        x_title="Tokens that differ",
        y_title="Loss above that of fresh tokens [%]",
        rules_x={"as asked": study.scenario.unique_tokens},
        log_x=True,
        point_label="passes",
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
        + words.quantity(MOST_COMPUTE, "FLOP")
        + "; data, parameters and tokens",
        unit="Predicted over measured",
    )
