"""The charts of the chapter on retrieval and fine-tuning; each takes its finding as the title."""

from llmecon import words
from llmecon.adaptation.knowledge import PASSAGE
from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart
from llmecon.studies.rag_vs_ft.assumptions import DOUBT
from llmecon.studies.rag_vs_ft.findings import Asked, Learning, Published, Reading, Tried
from llmecon.studies.rag_vs_ft.frames import (
    Intervals,
    Lengths,
    Passages,
    Recalls,
    Worth,
    compared,
    months,
    parts,
)
from llmecon.studies.rag_vs_ft.model import WAYS
from llmecon.studies.rag_vs_ft.study import Study
from llmecon.studies.rag_vs_ft.winners import Evens, Map

_USD = "USD per thousand questions"


def bills(study: Study, finding: str) -> Chart:
    """The bill of every way by part, each way named with its share of right answers."""
    given = study.scenario
    right = compared(study).set_index("said")["right"].map(words.percent)
    bars = parts(study)
    asked = words.quantity(given.queries_per_month, "questions a month")
    return charts.stacked(
        bars.assign(way=bars["way"] + ", " + bars["way"].map(right) + " right"),
        "way",
        "part",
        charts.Axis("usd", _USD),
        charts.Labels(
            finding, f"each with its best knobs; {asked} over {words.count(given.months, 'month')}"
        ),
    )


def passages(found: Passages, finding: str) -> Chart:
    """Finding and reading against the number of passages."""
    return charts.lines(
        found.lines,
        charts.Axis(
            "passages", "Passages in the prompt", log=True, rules={"best if free": found.top}
        ),
        charts.Axis("share", "Share of questions [%]"),
        "what",
        charts.Labels(finding, f"passages of {words.number(PASSAGE)} tokens"),
    )


def lengths(found: Lengths, finding: str) -> Chart:
    """Cost of retrieval against the length of passages."""
    return charts.lines(
        found.line,
        charts.Axis("tokens", "Tokens in a passage", log=True, rules={"by gradient": found.best}),
        charts.Axis("usd", _USD),
        "what",
        charts.Labels(finding, "retrieval, wrong answers included"),
    )


def over_time(study: Study, finding: str) -> Chart:
    """Right answers of every way over time."""
    return charts.lines(
        months(study),
        charts.Axis("month", "Months since the start"),
        charts.Axis("share", "Answered rightly [%]"),
        "way",
        charts.Labels(finding, "each with its cheapest knobs; a new base model comes every year"),
    )


def intervals(found: Intervals, finding: str) -> Chart:
    """Cost of the best tuned way against the time between trainings."""
    return charts.lines(
        found.line,
        charts.Axis("days", "Days between trainings", log=True, rules=found.rules),
        charts.Axis("usd", _USD),
        "what",
        charts.Labels(finding, "wrong answers included"),
    )


def recalls(found: Recalls, finding: str) -> Chart:
    """Cost of retrieval, an adapter and both against how often a search finds the passage."""
    return charts.lines(
        found.lines,
        charts.Axis(
            "recall",
            "Found among five, of the passages on which searches are measured [%]",
            rules={"this search": 100.0 * found.own},
        ),
        charts.Axis("usd", _USD),
        "way",
        charts.Labels(finding, "each with its best knobs, wrong answers included"),
    )


def cheapest(found: Map, study: Study, finding: str) -> Chart:
    """The cheapest way by how much is asked and how fast facts change."""
    given = study.scenario
    return charts.winners(
        found.points,
        charts.Axis("x", "Questions a month", log=True),
        charts.Axis("y", "Changes of a fact a month", log=True),
        "way",
        charts.Labels(finding, "cheapest way, wrong answers included", names=WAYS),
        here=(given.queries_per_month, given.changes_per_month, "this chapter's case"),
        boundary=found.borders if len(found.borders) else None,
    )


def evens(found: Evens, finding: str) -> Chart:
    """How fast facts must change for retrieval to be as cheap as its rival."""
    said = found.points["wrong"].map(words.usd) + " a wrong answer"
    return charts.lines(
        found.points.assign(wrong=said),
        charts.Axis("queries", "Questions a month", log=True),
        charts.Axis("change", "Changes of a fact a month", log=True),
        "wrong",
        charts.Labels(
            finding, f"rate of change at which retrieval and {found.rival_name} cost the same"
        ),
        points=True,
    )


def tried(found: Tried, study: Study, finding: str) -> Chart:
    """Right answers of the laboratory's transformer."""
    of = study.experiment.settings
    label = found.table["label"].str.replace("{replay}", words.percent(of.replay), regex=False)
    changed = f"{words.percent(of.change)} of {of.subjects * of.relations} facts changed"
    return charts.intervals(
        found.table.assign(label=label),
        "label",
        charts.Axis("mean", "% answered rightly", band=("low", "high")),
        charts.Labels(finding, f"mean of {of.seeds} seeds with its 90% interval; {changed}"),
        group="kind",
        domain=(0.0, 100.0),
    )


def learning(found: Learning, finding: str) -> Chart:
    """Share of changed facts learned against exposures."""
    return charts.lines(
        found.lines,
        charts.Axis("exposures", "Times that each fact was shown"),
        charts.Axis("share", "Share learned [%]", band=("low", "high")),
        "what",
        charts.Labels(
            finding, "training on the changes alone; band from the least to the most of the seeds"
        ),
    )


def reading(found: Reading, finding: str) -> Chart:
    """Right answers of the laboratory's transformer against the number of passages."""
    return charts.lines(
        found.lines,
        charts.Axis("passages", "Passages in the prompt, one of them right", log=True),
        charts.Axis("share", "Answered rightly [%]", band=("low", "high")),
        "what",
        charts.Labels(finding, "band from the least to the most of the seeds"),
    )


def studies(found: Published, finding: str) -> Chart:
    """Right answers in published studies by way to answer."""
    told = "dots are means over the models and sets of questions of a study"
    return charts.intervals(
        found.table,
        "study",
        charts.Axis("mean", "% answered rightly", band=("low", "high")),
        charts.Labels(finding, f"{told}, bars reach from the least to the most"),
        group="way",
        domain=(0.0, 100.0),
    )


def real(found: Asked, finding: str) -> Chart:
    """Right answers of a small published model."""
    asked = f"{found.single.asked} questions each about invented facts"
    return charts.intervals(
        found.table,
        "asked",
        charts.Axis("mean", "% answered rightly (misled: % of those known)", band=("low", "high")),
        charts.Labels(finding, f"{asked}, Wilson's 90% intervals"),
        domain=(0.0, 100.0),
    )


def worth(found: Worth, finding: str) -> Chart:
    """How often knowing each unknown would change the choice."""
    doubted = f"the case itself may be off by a factor of {words.number(DOUBT)} either way"
    return charts.bars(
        found.table.head(10),
        "unknown",
        charts.Axis("flips", "% of cases in which the choice changes"),
        charts.Labels(finding, f"{doubted}; without measuring, choose {found.usual}"),
    )
