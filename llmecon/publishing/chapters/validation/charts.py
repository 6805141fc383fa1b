"""Charts of the chapter on validation; each takes its finding as the title."""

import pandas as pd

from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart
from llmecon.studies.validation import frames
from llmecon.studies.validation.simulated import Simulated
from llmecon.studies.validation.study import Study


def agreement(study: Study, finding: str) -> Chart:
    """Predicted against measured values, by what the fit had not seen."""
    told = f"one point a measurement, {study.without} left out; the line is a perfect prediction"
    software = "The engine of a training step is its software"
    return charts.agreement(
        frames.side_by_side(study),
        "target",
        "measured",
        frames.WITHOUT,
        {"accelerator": "xpu", "engine": "engine", "model": "model"},
        charts.Labels(
            finding,
            f"{told}, the band half to twice that. {software}",
            names=frames.TITLES,
            details={"setting": "setting"},
        ),
        first=(study.scenario.target, study.group_left_out, "accelerator"),
    )


def at_fixed_clients(study: Study, simulated: Simulated, finding: str) -> Chart:
    """Formula over simulation against the number of clients that ask again once answered."""
    how = "each client asks again as soon as it is answered, as load generators do"
    return charts.lines(
        simulated.clients,
        charts.Axis("clients", "Clients", log=True),
        charts.Axis("off", "Formula over simulation, less 1 [%]", rules={" ": 0.0}),
        "series",
        charts.Labels(finding, f"{study.system_name}; {how}"),
        points=True,
    )


def by_publisher(covered: pd.DataFrame, finding: str) -> Chart:
    """Coverage of each publisher's measurements, for typical servers and for the best."""
    return charts.bars(
        covered,
        "label",
        charts.Axis("percent", "Inside [%]"),
        charts.Labels(
            finding,
            "share of each publisher's measurements inside 90% intervals computed without it",
        ),
        ranked=False,
        reference=charts.Reference(
            "best_percent",
            "intervals for a server tuned as the best",
            ours="intervals for a typical server",
        ),
    )


def widths(found: frames.Widths, finding: str) -> Chart:
    """How wide intervals are, for the unknown and for what the fit has seen."""
    told = "upper end of the 90% interval over the prediction, median over rows"
    return charts.bars(
        found.rows,
        "short",
        charts.Axis("percent", "Upper end above the prediction [%]"),
        charts.Labels(finding, f"{told}; {found.without} left out, of training runs the family"),
        ranked=False,
        reference=charts.Reference(
            "measured_percent", "for what the fit has seen", ours="for the unknown"
        ),
    )
