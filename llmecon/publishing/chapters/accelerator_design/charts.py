"""The charts of the chapter on the accelerator that would suit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from llmecon.publishing import charts, prose
from llmecon.publishing.chapters.accelerator_design import tables
from llmecon.studies.accelerator_design import frames
from llmecon.studies.accelerator_design.model import JOBS, THOUSAND
from llmecon.studies.accelerator_design.study import Study
from llmecon.tables import catalog


def jobs(study: Study, title: str) -> Any:
    """The best chip's memory bandwidth over its arithmetic rate, by job."""
    shown = frames.proportions(study)
    return charts.intervals(
        shown,
        "job",
        charts.Axis("bytes", "bytes read per 1,000 FLOP", band=("low", "high")),
        charts.Labels(
            title,
            f"of the chip on which a token of {study.model_name} costs least; 16-bit FLOP/s; "
            "lines hold nine of ten draws of the cost model",
        ),
        domain=(0.0, 1.05 * float(shown["high"].max())),
    )


def sweep(
    study: Study,
    of: frames.Sweep,
    title: str,
    x_title: str,
    rules: Mapping[str, float] | None = None,
    model: str | None = None,
    log_y: bool = False,
) -> Any:
    """Bytes per FLOP of the best chip for decode along some axis.

    Args:
        study: whose model and precision are named.
        of: the places along the axis.
        title: what it shows.
        x_title: of the axis.
        rules: places to mark along it, by what is written there.
        model: named instead of the study's.
        log_y: whether the ordinate is logarithmic too.
    """
    return charts.lines(
        of.frame.assign(series="best chip"),
        charts.Axis("along", x_title, log=True, rules=rules),
        charts.Axis(
            "bytes",
            "Memory traffic [bytes per 1,000 FLOP]",
            log=log_y,
            band=("low", "high"),
            pixels=300,
        ),
        "series",
        charts.Labels(
            title,
            f"{study.model_name if model is None else model}, {study.scenario.precision}; of the "
            "best chip for decode; shaded are nine of ten draws",
        ),
        points=True,
    )


def market(study: Study, of: frames.Market, title: str) -> Any:
    """Real chips and the best chips by bytes per FLOP and by the time to read all memory."""
    able = of.able
    ideal = [f"best for {job}" for job in JOBS]
    ratios = ("bytes_per_flop", "reading_time")
    plane = pd.DataFrame({"chip": [*ideal, *(catalog.name("xpus", one) for one in able.index)]})
    for column, ratio in zip(("bytes", "reading"), ratios, strict=True):
        plane[column] = THOUSAND * np.r_[of.ideal[ratio], able[ratio]]
        for end in ("low", "high"):
            within = [THOUSAND * getattr(study.doubt[job][ratio], end) for job in JOBS]
            plane[f"{column}_{end}"] = [*within, *[np.nan] * len(able)]
    for job in JOBS:
        plane[job] = [*[""] * len(JOBS), *map(tables.dearer, able[job])]
    own = [study.scenario.xpu] if study.scenario.xpu in able.index else []
    labelled = dict.fromkeys([*of.closest.values(), *own, *of.order[:14]])
    return charts.points(
        plane,
        charts.Axis(
            "bytes",
            "Memory traffic [bytes per 1,000 FLOP]",
            log=True,
            band=("bytes_low", "bytes_high"),
        ),
        charts.Axis(
            "reading",
            "Time to read the memory once [ms]",
            log=True,
            band=("reading_low", "reading_high"),
        ),
        "chip",
        charts.Labels(
            title,
            f"{study.model_name}; diamonds are the best chips, lines hold nine of ten draws; "
            "point at or tap a chip to see what a token costs more on it",
            details={f"for {job}": job for job in JOBS},
        ),
        marked=ideal,
        labelled=[catalog.name("xpus", one) for one in labelled],
    )


def experts(study: Study, sweeps: frames.Sweeps, title: str) -> Any:
    """Bytes per FLOP of the best chip for decode against the share of active experts."""
    model = f"{catalog.name('models', sweeps.mixed)} with other numbers of active experts"
    x_title = "Share of the experts that a token uses [%]"
    marks = {"as published": sweeps.published}
    return sweep(study, sweeps.experts, title, x_title, marks, model)


def finding(block: str, sweep: frames.Sweep) -> str:
    """What a sweep shows, from a block of the chapter's prose.

    Args:
        block: its name.
        sweep: the places along the axis.
    """
    # The batch and the experts are told from their first place, contexts from their last.
    rise = sweep.rise if len(sweep) > 1 else 1.0
    factor = rise if block == "finding_context" else 1.0 / rise
    return prose.render("accelerator-design", block, sweep=sweep, times=tables.times(factor))
