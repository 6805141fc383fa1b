"""The charts of the chapter on retrieval and fine-tuning; each takes its finding as the title."""

from llmecon import words
from llmecon.adaptation.knowledge import PASSAGE
from llmecon.publishing import charts
from llmecon.publishing.charts.figure import Chart
from llmecon.studies.rag_vs_ft.assumptions import DOUBT
from llmecon.studies.rag_vs_ft.findings import Asked, Learning, Reading, Tried
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
        "usd",
        title=finding,
        subtitle=f"each with its best knobs; {asked} over {words.count(given.months, 'month')}",
        unit=_USD,
    )


def passages(found: Passages, finding: str) -> Chart:
    """Finding and reading against the number of passages."""
    return charts.lines(
        found.lines,
        "passages",
        "share",
        "what",
        title=finding,
        subtitle=f"passages of {words.number(PASSAGE)} tokens",
        x_title="Passages in the prompt",
        y_title="Share of questions [%]",
        log_x=True,
        rules_x={"best if free": found.top},
    )


def lengths(found: Lengths, finding: str) -> Chart:
    """Cost of retrieval against the length of passages."""
    return charts.lines(
        found.line,
        "tokens",
        "usd",
        "what",
        title=finding,
        subtitle="retrieval, wrong answers included",
        x_title="Tokens in a passage",
        y_title=_USD,
        log_x=True,
        rules_x={"by gradient": found.best},
    )


def over_time(study: Study, finding: str) -> Chart:
    """Right answers of every way over time."""
    return charts.lines(
        months(study),
        "month",
        "share",
        "way",
        title=finding,
        subtitle="each with its cheapest knobs; a new base model comes every year",
        x_title="Months since the start",
        y_title="Answered rightly [%]",
    )


def intervals(found: Intervals, finding: str) -> Chart:
    """Cost of the best tuned way against the time between trainings."""
    return charts.lines(
        found.line,
        "days",
        "usd",
        "what",
        title=finding,
        subtitle="wrong answers included",
        x_title="Days between trainings",
        y_title=_USD,
        log_x=True,
        rules_x=found.rules,
    )


def recalls(found: Recalls, finding: str) -> Chart:
    """Cost of retrieval, an adapter and both against how often a search finds the passage."""
    return charts.lines(
        found.lines,
        "recall",
        "usd",
        "way",
        title=finding,
        subtitle="each with its best knobs, wrong answers included",
        x_title="Passage among five found [%]",
        y_title=_USD,
    )


def cheapest(found: Map, study: Study, finding: str) -> Chart:
    """The cheapest way by how much is asked and how fast facts change."""
    given = study.scenario
    return charts.winners(
        found.points,
        "x",
        "y",
        "way",
        title=finding,
        subtitle="cheapest way, wrong answers included",
        names=WAYS,
        x_title="Questions a month",
        y_title="Changes of a fact a month",
        log_x=True,
        log_y=True,
        here=(given.queries_per_month, given.changes_per_month, "this chapter's case"),
        boundary=found.borders if len(found.borders) else None,
    )


def evens(found: Evens, finding: str) -> Chart:
    """How fast facts must change for retrieval to be as cheap as its rival."""
    said = found.points["wrong"].map(words.usd) + " a wrong answer"
    return charts.lines(
        found.points.assign(wrong=said),
        "queries",
        "change",
        "wrong",
        title=finding,
        subtitle=f"rate of change at which retrieval and {found.rival_name} cost the same",
        x_title="Questions a month",
        y_title="Changes of a fact a month",
        log_x=True,
        log_y=True,
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
        "mean",
        "low",
        "high",
        group="kind",
        title=finding,
        subtitle=f"mean of {of.seeds} seeds with its 90% interval; {changed}",
        unit="% answered rightly",
        domain=(0.0, 100.0),
    )


def learning(found: Learning, finding: str) -> Chart:
    """Share of changed facts learned against exposures."""
    return charts.lines(
        found.lines,
        "exposures",
        "share",
        "what",
        band=("low", "high"),
        title=finding,
        subtitle="training on the changes alone; band from the least to the most of the seeds",
        x_title="Times that each fact was shown",
        y_title="Share learned [%]",
    )


def reading(found: Reading, finding: str) -> Chart:
    """Right answers of the laboratory's transformer against the number of passages."""
    return charts.lines(
        found.lines,
        "passages",
        "share",
        "what",
        band=("low", "high"),
        title=finding,
        subtitle="band from the least to the most of the seeds",
        x_title="Passages in the prompt, one of them right",
        y_title="Answered rightly [%]",
        log_x=True,
    )


def real(found: Asked, finding: str) -> Chart:
    """Right answers of a small published model."""
    asked = f"{found.single.asked} questions each about invented facts"
    return charts.intervals(
        found.table,
        "asked",
        "mean",
        "low",
        "high",
        title=finding,
        subtitle=f"{asked}, Wilson's 90% intervals",
        unit="% answered rightly (misled: % of those known)",
        domain=(0.0, 100.0),
    )


def worth(found: Worth, finding: str) -> Chart:
    """How often knowing each unknown would change the choice."""
    doubted = f"the case itself may be off by a factor of {words.number(DOUBT)} either way"
    return charts.bars(
        found.table.head(10),
        "unknown",
        "flips",
        title=finding,
        subtitle=f"{doubted}; without measuring, choose {found.usual}",
        unit="% of cases in which the choice changes",
    )
