"""Charts of the chapter on carbon that take more than a few lines to draw."""

import pandas as pd

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.publishing.prose.provenance import Provenance
from llmecon.studies.carbon import frames
from llmecon.studies.carbon.frames import Emptiness, MadeElsewhere, Training
from llmecon.studies.carbon.study import Study


def by_load(study: Study, emptiness: Emptiness, data: Provenance) -> Figure:
    """Lines of what an answer emits on an instance that is more or less full.

    Args:
        study: whose instance.
        emptiness: as `frames.emptiness` returns it.
        data: what the numbers rest on.
    """
    waste, least = words.number(emptiness.waste), words.percent(emptiness.least)
    finding = (
        f"The electricity of an answer emits {waste} times as much from an instance at {least} of "
        "its load as from a full one"
    )
    instance = words.count(float(study.case.layout.xpus), "xPU")
    return charts.show(
        charts.lines(
            emptiness.lines,
            charts.Axis(
                "load",
                "Load, as a share of the most within the limits",
                log=True,
                rules={"this fleet": study.fullness},
            ),
            charts.Axis("grams", "CO₂e of an answer [g]", log=True),
            "part",
            charts.Labels(
                finding,
                f"one instance of {instance} {study.xpu_name}; its full load is what the "
                "limits on time allow",
            ),
        ),
        data=data,
        description=f"Two falling lines. {finding}.",
    )


def making(elsewhere: MadeElsewhere) -> Figure:
    """Dots of computed against published footprints of making accelerators.

    Args:
        elsewhere: as `frames.made_elsewhere` returns it.
    """
    ratio = elsewhere.next_board["ratio"]
    off = f"{words.percent(abs(ratio - 1.0))} too {'high' if ratio > 1 else 'low'}"
    finding = f"The board of the next generation comes out {off}"
    return charts.show(
        charts.bars(
            elsewhere.tested,
            "label",
            charts.Axis("computed", "kg CO₂e", log=True),
            charts.Labels(finding, "whole product; the recipe is that of the HGX H100 board"),
            reference=charts.Reference("published", "published"),
        ),
        data=provenance.of(
            embodied_products=frames.compared_products(), embodied_processes=all, parameters=False
        ),
        description="Dots of computed against published footprints of making accelerators. "
        f"{finding}.",
    )


def training(study: Study, shared: Training, data: Provenance) -> Figure | None:
    """Lines of training and all else by how often the model is asked; None without training.

    Args:
        study: whose model.
        shared: as `frames.training` returns it.
        data: what the numbers rest on.
    """
    if not study.scenario.training_tokens:
        return None
    finding = f"Training weighs as much as answering at {words.number(shared.even)} a second"
    trained = words.mass(float(study.case.trained))
    return charts.show(
        charts.lines(
            shared.lines,
            charts.Axis(
                "rate",
                "Requests a second, all who use the model together",
                log=True,
                rules={"as assumed here": shared.assumed},
            ),
            charts.Axis("grams", "CO₂e of an answer [g]", log=True),
            "part",
            charts.Labels(
                finding,
                f"{trained} of training, borne for {words.duration(float(study.case.model_life))}",
            ),
        ),
        data=data,
        description=f"A falling line for training and a flat one for the rest. {finding}.",
    )


def metered_finding(runs: pd.DataFrame) -> str:
    """How well the energy of metered training runs is computed, in words.

    Args:
        runs: as `frames.metered` returns them.
    """
    within = words.percent(float(runs["ratio"].between(0.5, 2.0).mean()))
    return (
        f"{within} of the metered runs come out within a factor of two; the median is "
        f"{words.percent(runs['ratio'].median())} of the metered energy"
    )


def metered(runs: pd.DataFrame, data: Provenance) -> Figure:
    """Dots of computed against metered energy of training runs.

    Args:
        runs: as `frames.metered` returns them.
        data: what the numbers rest on.
    """
    finding = metered_finding(runs)
    return charts.show(
        charts.bars(
            runs,
            "label",
            charts.Axis("computed", "MWh", log=True),
            charts.Labels(finding, "boundary of each publication"),
            reference=charts.Reference("published", "metered"),
        ),
        data=data,
        description=f"Dots of computed against metered energy of training runs. {finding}.",
    )
