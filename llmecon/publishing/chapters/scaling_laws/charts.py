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
        charts.Axis("parameters", "Parameters", log=True),
        charts.Axis("left", "Loss above E [nats per token]", log=True),
        "of",
        charts.Labels(
            finding,
            "what size and data leave of the loss where 6 N D is fixed, "
            "for parts and multiples of the budget",
        ),
    )


def residuals(runs: pd.DataFrame, finding: str) -> Chart:
    """How far each run of the figure lies from the law."""
    unfitted = int((~runs["fitted"]).sum())
    return charts.points(
        runs,
        charts.Axis("zettaflop", "Training compute [10²¹ FLOP]", log=True),
        charts.Axis("off", "Loss above what the law says [%]"),
        "name",
        charts.Labels(
            finding,
            f"{len(runs)} runs of the figure; "
            f"the {unfitted} on the fewest tokens, far off, were not fitted",
        ),
        marked=[],
        labelled=[],
    )


def ratios(study: Study, finding: str) -> Chart:
    """Tokens per parameter of the best size by compute, for each law."""
    return charts.lines(
        frames.ratios(study),
        charts.Axis(
            "zettaflop",
            "Training compute [10²¹ FLOP]",
            log=True,
            rules={"this budget": float(study.answer.compute) / frames.ZETTA},
        ),
        charts.Axis(
            "ratio", "Tokens per parameter", log=True, rules={"as their text says": frames.SAID}
        ),
        "of",
        charts.Labels(finding, "tokens per parameter of the best size, by law"),
    )


def ridge(study: Study, finding: str) -> Chart:
    """Loss by size for the compute of the study."""
    return charts.lines(
        frames.ridge(study),
        charts.Axis(
            "parameters",
            "Parameters",
            log=True,
            rules={"best": float(study.answer.best.parameters)},
        ),
        charts.Axis(
            "excess", "Loss above the lowest [%]", rules={"near": 100 * study.scenario.near}
        ),
        "of",
        charts.Labels(finding, f"same compute, {study.budget}"),
    )


def life(study: Study, finding: str) -> Chart:
    """What models of one loss cost in their life, by size."""
    return charts.lines(
        frames.life(study),
        charts.Axis(
            "parameters",
            "Parameters",
            log=True,
            rules={"best to train": float(study.answer.best.parameters)},
        ),
        charts.Axis("usd", "Cost in the model's life [USD]", log=True),
        "part",
        charts.Labels(
            finding,
            "all reach the same loss; "
            f"{words.quantity(study.scenario.served_tokens, 'tokens')} served",
        ),
    )


def demand(study: Study, finding: str) -> Chart:
    """Training tokens per parameter by what is served, at least cost and at least carbon."""
    served = study.scenario.served_tokens
    return charts.lines(
        frames.demand(study),
        charts.Axis(
            "served",
            "Tokens served in the model's life [trillion]",
            log=True,
            rules={"as asked": served / frames.TRILLION} if served else {},
        ),
        charts.Axis("ratio", "Training tokens per parameter", log=True),
        "of",
        charts.Labels(finding, f"same loss as {study.budget} of training alone can reach"),
    )


def scarce(found: pd.DataFrame, study: Study, finding: str) -> Chart:
    """Loss where tokens repeat, by how many differ."""
    return charts.lines(
        found,
        charts.Axis(
            "unique",
            "Tokens that differ",
            log=True,
            rules={"as asked": study.scenario.unique_tokens},
        ),
        charts.Axis("above", "Loss above that of fresh tokens [%]"),
        "of",
        charts.Labels(finding, f"lowest loss for {study.budget}"),
        point_label="passes",
    )


def elasticities(effects: Mapping[str, float], finding: str) -> Chart:
    """What moves the size that costs least in its life."""
    return charts.elasticities(
        effects,
        "the parameters that cost least in life",
        charts.Labels(finding, "all else as it is"),
    )


def reached(runs: pd.DataFrame, finding: str) -> Chart:
    """Losses predicted of larger runs over those measured."""
    return charts.intervals(
        runs,
        "name",
        charts.Axis("middle", "Predicted over measured", band=("low", "high")),
        charts.Labels(
            finding,
            "loss on C4, predicted over measured, by laws of the runs below "
            + words.quantity(MOST_COMPUTE, "FLOP")
            + "; data, parameters and tokens",
        ),
    )
