"""Charts of the service in the chapter on tokenomics: its reader, its speed, its traffic."""

from functools import partial

import pandas as pd

from llmecon import words
from llmecon.publishing import charts, prose
from llmecon.publishing.chapters.tokenomics import sources
from llmecon.publishing.chapters.tokenomics.sources import Rests
from llmecon.publishing.charts.figure import Chart, Figure
from llmecon.publishing.prose import provenance
from llmecon.studies.tokenomics import services, speed, traffic
from llmecon.studies.tokenomics.frames import Ladder, Stream
from llmecon.studies.tokenomics.services import VOLLEYS
from llmecon.studies.tokenomics.speed import Asks, Needs, Ranking
from llmecon.studies.tokenomics.study import Study
from llmecon.studies.tokenomics.traffic import Bursts, Queues
from llmecon.tables import catalog

_BARS = 24  # for which a chart has room

said = partial(prose.render, "tokenomics")
"""A block of the chapter's prose, such as a chart's title."""


def stream(study: Study, of: Stream, rests: Rests) -> Figure:
    """One answer as it is delivered and read."""
    title = said("finding_stream", stream=of)
    return charts.show(
        charts.timeline(
            of.lines,
            "time",
            "delivered",
            "read",
            charts.Labels(
                title,
                f"One answer of {study.answer_length} at the mean load; first token expected "
                f"after {words.duration(of.expected)}",
            ),
            wanted="wanted",
        ),
        data=_read(study, rests),
        description=f"{title}: tokens delivered, read, and read by someone who never waits, over "
        f"{words.duration(of.end)}.",
    )


def patience(study: Study, curves: pd.DataFrame, rests: Rests) -> Figure:
    """Quality of experience against the time per token."""
    pace = float(study.case.reader.speed)
    reader = catalog.name("reading_speeds", study.scenario.reader)
    slowest = words.duration(1.0 / pace)
    starts = [f"TTFT {words.duration(ttft)}" for ttft in curves["ttft"]]
    return charts.show(
        charts.lines(
            curves.assign(start=starts),
            charts.Axis(
                "tpot",
                "TPOT [s]",
                log=True,
                rules={
                    "this service": float(study.answer.service.point.tpot),
                    "the reader's pace": 1.0 / pace,
                },
            ),
            charts.Axis("qoe", "Quality of experience, 0 to 1"),
            "start",
            charts.Labels(
                f"Nobody notices until a token takes {slowest}",
                f"Answers of {study.answer_length}, read at {words.number(pace)} tokens/s "
                f"({reader})",
            ),
        ),
        data=_read(study, rests),
        description=f"Quality of experience is flat in TPOT up to {slowest} a token and falls "
        "beyond; a later first token lowers the whole curve.",
    )


def ladder(of: Ladder, rests: Rests) -> Figure:
    """Speeds that are promised beside those of readers."""
    title = (
        f"{of.above} of {len(of.limits)} published limits ask for more speed than the reader has"
    )
    return charts.show(
        charts.bars(
            of.rows,
            "name",
            charts.Axis("speed", "tokens/s", log=True),
            charts.Labels(title, "Slowest speed that a limit on TPOT allows"),
            group="kind",
        ),
        data=rests.service | provenance.of(latency_targets=of.limits, reading_speeds=all),
        description=f"{title}; {of.stricter or 'none'} ask for more than this service gives at its "
        "mean load.",
    )


def by_xpu(study: Study, frontier: pd.DataFrame, rests: Rests) -> Figure:
    """What speed costs on several accelerators."""
    requests, rivals = study.case.requests, services.rival_xpus(study)
    xpus = [study.scenario.xpu, *rivals]
    title = said(
        "finding_frontier",
        leaders=speed.leaders(frontier, speed.marked(study, xpus)),
        alone=f"What speed costs on {study.xpu_name}",
    )
    lengths = (
        f"{words.number(float(requests.prompt_tokens), 3)} tokens in and "
        f"{words.number(float(requests.output_tokens), 3)} out"
    )
    return charts.show(
        _frontier(
            study,
            frontier,
            title,
            f"{study.model_name} in {study.scenario.precision}, {lengths}, fully loaded; drawn up "
            "to ten times the lowest cost",
        ),
        data=rests.service | sources.rents(study, xpus) | provenance.of(xpus=xpus),
        description=f"{title}: cost per million tokens against tokens per second of one user, for "
        f"{study.model_name} on {words.listing(frontier['label'].unique())}.",
    )


def by_model(study: Study, frontier: pd.DataFrame, rests: Rests) -> Figure:
    """What speed costs with several models."""
    title = said(
        "finding_frontier",
        leaders=speed.leaders(frontier),
        alone=f"What speed costs with {study.model_name}",
    )
    models = [study.scenario.model, *services.rival_models(study)]
    return charts.show(
        _frontier(
            study,
            frontier,
            title,
            f"{study.scenario.precision} weights on {study.xpu_name}, "
            f"{words.usd(study.usd_per_hour)} an hour ({study.hours.said})",
        ),
        data=rests.service | rests.rent | provenance.of(models=models),
        description=f"Cost per million tokens against the speed of one user, on {study.xpu_name}, "
        f"for {words.listing(frontier['label'].unique())}.",
    )


def ranking(study: Study, of: Ranking, rests: Rests) -> Figure:
    """The service on every accelerator that can be rented."""
    title, rows = said("finding_ranking", study=study, ranking=of), of.rows
    missing = words.count(of.missing, "priced accelerator")
    low, high = (words.usd(end) for end in (rows["blended"].min(), rows["blended"].max()))
    drawn = f"; the {_BARS} cheapest of {len(rows)} are drawn" if len(rows) > _BARS else ""
    return charts.show(
        charts.bars(
            rows.head(_BARS),
            "label",
            charts.Axis("blended", "USD per million tokens", log=True),
            charts.Labels(
                title,
                f"{study.model_name} within your limits, fully loaded, at the catalogue's "
                f"newest rents{drawn}{f'; {missing} can’t meet them' if of.missing else ''}",
            ),
            group="vendor",
            ranked=False,
        ),
        data=rests.service
        | sources.rents(study, rows["xpu"])
        | provenance.of(xpus=list(rows["xpu"])),
        description=f"{title}. Cost per million tokens by accelerator, from {low} to {high}.",
    )


def needs(study: Study, of: Needs, rests: Rests) -> Figure:
    """What a token of either kind takes of an instance."""
    title = said("finding_needs", needs=of)
    return charts.show(
        charts.bars(
            of.rows,
            "what",
            charts.Axis("us", "µs of the instance per token", log=True),
            charts.Labels(
                title,
                f"{study.model_name} on {_instance(study)}, {words.number(of.batch, 3)} "
                "requests in flight",
            ),
            group="kind",
            ranked=False,
        ),
        data=rests.service,
        description=f"{title}: time per prompt token and per output token by resource.",
    )


def asks(study: Study, of: Asks, rests: Rests) -> Figure:
    """What providers ask for an output token over a prompt token, beside what it costs here."""
    own = f"Our cost, {study.model_name}"
    dearer = float(study.answer.tokens.output / study.answer.tokens.input)
    rows = pd.concat([of.providers, pd.DataFrame({"provider": [own], "ratio": [dearer]})])
    low, high = (
        words.number(end) for end in (of.providers["ratio"].min(), of.providers["ratio"].max())
    )
    title = (
        f"Providers ask {low} to {high} times the input price for output; ours costs "
        f"{words.number(dearer)} times"
    )
    return charts.show(
        charts.bars(
            rows,
            "provider",
            charts.Axis("ratio", "output over input"),
            charts.Labels(
                title,
                f"Median of each provider's chat prices on sale in {sources.month(of.seen)}",
                highlight=own,
            ),
        ),
        data=rests.service | rests.rent | provenance.of(api_prices=of.prices),
        description=title,
    )


def queues(study: Study, of: Queues, rests: Rests) -> Figure:
    """TTFT of one instance against its load, for arrivals of several kinds."""
    title, names = said("finding_queues", queues=of), _arrivals(of.kinds)
    return charts.show(
        charts.lines(
            of.lines.assign(arrivals=of.lines["cv"].map(names)),
            charts.Axis("load", "Load of one instance [% of what memory lets it complete]"),
            charts.Axis(
                "ttft", "TTFT [s]", log=True, rules={"limit on TTFT": study.scenario.ttft_limit_s}
            ),
            "arrivals",
            charts.Labels(
                title,
                "TTFT that 99 in 100 requests stay below; a load above 100% is an hour of overload",
            ),
        ),
        data=rests.service | provenance.of(workloads="azure-code-2023"),
        description=f"{title}. TTFT against load, for several coefficients of variation of the "
        "gaps between requests.",
    )


def bursts(study: Study, of: Bursts, rests: Rests) -> Figure:
    """What burstiness costs."""
    title, names = said("finding_bursts", bursts=of), _arrivals(traffic.kinds(study))
    named = [names.get(cv, words.number(cv, 3)) for cv in of.rows["cv"]]
    return charts.show(
        charts.bars(
            of.rows.assign(name=named),
            "name",
            charts.Axis("blended", "USD per million tokens, full within the limits"),
            charts.Labels(
                title,
                f"{study.model_name} on {study.xpu_name}, best layout for each coefficient of "
                "variation of arrivals",
            ),
            ranked=False,
        ),
        data=rests.service | rests.rent | provenance.of(workloads="azure-code-2023"),
        description=f"{title}. Cost per million tokens by the coefficient of variation of "
        "arrivals.",
    )


def _read(study: Study, rests: Rests) -> provenance.Provenance:
    read = provenance.of(reading_speeds=study.scenario.reader, latency_targets="nielsen-flow")
    return rests.service | read


def _instance(study: Study) -> str:
    """The devices of an instance in words; a name takes no plural."""
    return f"{words.number(float(study.case.layout.xpus), 6)} {study.xpu_name}"


def _frontier(study: Study, frame: pd.DataFrame, title: str, subtitle: str) -> Chart:
    layouts = [
        f"{words.count(xpus, 'xPU')}, {words.quantity(batch, 'requests')} in flight"
        for xpus, batch in zip(frame["xpus"], frame["batch"], strict=True)
    ]
    return charts.frontier(
        frame.assign(layout=layouts),
        "speed",
        "blended",
        "label",
        charts.Labels(title, subtitle),
        limits=speed.marks(study),
        point_label="layout",
    )


def _arrivals(kinds: list[float]) -> dict[float, str]:
    """What arrivals of each coefficient of variation are called."""
    known = {1.0: "independent (1)", VOLLEYS: f"code assistant ({words.number(VOLLEYS)})"}
    return {cv: known.get(cv, f"this workload ({words.number(cv)})") for cv in kinds}
