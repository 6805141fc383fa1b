"""Charts of quality and of a published day in the chapter on reasoning and agents."""

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.chapters.tokenomics.sources import Rests
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.studies.reasoning_agents import day as production
from llmecon.studies.reasoning_agents.day import Day
from llmecon.studies.reasoning_agents.quality import Decline, Edge
from llmecon.studies.reasoning_agents.study import Study


def sources(study: Study, edge: Edge, rests: Rests) -> provenance.Provenance:
    """What the cheapest ways to a quality rest on."""
    scored = provenance.of(
        quality=study.market.scores, api_prices=edge.hosted, models=list(edge.run_here["model"])
    )
    return rests.service | rests.rent | scored


def edge(study: Study, of: Edge, rests: Rests) -> Figure:
    """The cheapest way to each quality."""
    dear, cheap = of.api.iloc[-1], of.api.iloc[0]
    title = (
        f"From {words.number(cheap['score'])}% to {words.number(dear['score'])}% on {of.measure}, "
        f"the price of an API grows {words.number(dear['blended'] / cheap['blended'])}-fold"
    )
    return charts.show(
        charts.lines(
            of.rows,
            charts.Axis(
                "score",
                f"Score on {of.measure} [%]",
                rules={study.model_name: of.level} if of.scored else {},
            ),
            charts.Axis("blended", "USD per million tokens", log=True),
            "way",
            charts.Labels(
                title,
                "Cheapest way to reach a score; self-run at your peak to mean, without spares",
            ),
            points=True,
            point_label="who",
        ),
        data=sources(study, of, rests),
        description=f"{title}. Cost per million tokens of the cheapest model at each level of "
        "quality, by API and self-run.",
    )


def decline(study: Study, of: Decline, measure: str) -> Figure:
    """The lowest price at which a level of quality could be had, over the years."""
    most, steps = of.longest, of.steps
    levels = [
        f"as good as {nickname} ({words.number(score, 3)}%)"
        for nickname, score in zip(steps["nickname"], steps["score"], strict=True)
    ]
    title = (
        f"The lowest price of what scores {most['nickname']}'s {words.number(most['score'], 3)}% "
        f"on {measure} fell {words.number(most['first'] / most['last'])}-fold in "
        f"{words.count(most['years'], 'year')}"
    )
    return charts.show(
        charts.lines(
            steps.assign(level=levels),
            charts.Axis("since", f"Years since {of.start}"),
            charts.Axis("usd", "USD per million tokens", log=True),
            "level",
            charts.Labels(title, "Lowest list price so far, your mix of input and output"),
            points=True,
        ),
        data=provenance.of(
            workloads=study.scenario.workload, api_prices=of.dated, quality=study.market.scores
        ),
        description=f"{title}. Lowest price per million tokens by date, for several levels of "
        "quality.",
    )


def day(of: Day, rests: Rests) -> Figure:
    """A day in production against what the datasheet predicts."""
    likely, published = of.likely, of.published
    title = (
        f"Predicted from the datasheet: {words.number(likely['nodes'], 3)} nodes, "
        f"{words.number(published['nodes_mean'], 3)} were used"
    )
    ours, theirs = (of.compared[name].map(words.number) for name in ("ours", "theirs"))
    return charts.show(
        charts.bars(
            of.compared,
            "what",
            charts.Axis("ours", "tokens/s per node of 8 H800"),
            charts.Labels(title, "Cache hits count as input"),
            ranked=False,
            reference=charts.Reference("theirs"),
        ),
        data=rests.fits
        | provenance.of(
            parameters=False,
            models=production.MODEL,
            xpus=production.XPU_ID,
            workloads=production.WORKLOAD,
            serving_days=all,
        ),
        description=f"{title}. Prefill {ours[0]} against {theirs[0]} tokens a second published, "
        f"decode {ours[1]} against {theirs[1]}.",
    )
