"""Charts of prices in the chapter on tokenomics: ways to pay, sellers, quality, a day."""

import pandas as pd

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.chapters.tokenomics import sources
from llmecon.publishing.chapters.tokenomics.figures import said
from llmecon.publishing.chapters.tokenomics.sources import Rests
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.studies.tokenomics import day as production
from llmecon.studies.tokenomics import hardware, traffic
from llmecon.studies.tokenomics.day import Day
from llmecon.studies.tokenomics.frames import BreakEven, Elasticities, Hour, Offers
from llmecon.studies.tokenomics.model import CALLING, OWNING, RENTING
from llmecon.studies.tokenomics.quality import Decline, Edge
from llmecon.studies.tokenomics.study import Study


def hour(study: Study, of: Hour, rests: Rests) -> Figure:
    """An hour of a device, owned and rented."""
    title, bought = said("finding_hour", study=study, hour=of), study.bought
    years, capital = hardware.LIFETIME_YEARS, hardware.COST_OF_CAPITAL
    terms = f"{words.number(years)} years at {words.percent(capital)}"
    return charts.show(
        charts.stacked(
            of.rows,
            "way",
            "part",
            charts.Axis("usd", "USD per xPU-hour"),
            charts.Labels(
                title,
                f"Bought at {words.usd(bought.usd)} ({bought.said}), {terms}" if bought else "",
            ),
        ),
        data=rests.rent | rests.owner | provenance.of(xpus=study.scenario.xpu),
        description=f"{title}, by part.",
    )


def break_even(study: Study, of: BreakEven, rests: Rests) -> Figure:
    """What each way costs at any volume."""
    ways = {CALLING: f"{study.rival.name}, API", RENTING: "rent", OWNING: "own"}
    rules = {
        f"{ways[way]} breaks even": volume for way, volume in of.volumes.items() if of.finite(way)
    }
    title = said("finding_break_even", study=study, even=of)
    return charts.show(
        charts.lines(
            of.lines.assign(way=of.lines["way"].map(ways)),
            charts.Axis(
                "volume", "Requests a day", log=True, rules={**rules, "your load": of.load}
            ),
            charts.Axis("usd", "USD a month", log=True),
            "way",
            charts.Labels(
                title,
                f"{study.model_name} on {study.xpu_name} against {study.rival.name} at list "
                f"price of {sources.month(study.rival.row['month'])}",
            ),
        ),
        data=rests.every_way,
        description=f"{title}. Monthly cost of each way against requests a day, on logarithmic "
        "axes.",
    )


def offers(study: Study, of: Offers, rests: Rests) -> Figure:
    """What is asked for the scenario's own model."""
    title = said("finding_offers", study=study, offers=of)
    low, high = (words.usd(end) for end in (of.rows["blended"].min(), of.rows["blended"].max()))
    load = words.quantity(study.scenario.requests_per_second, "requests/s", 1)
    return charts.show(
        charts.bars(
            of.bars,
            "who",
            charts.Axis("usd", "USD per million tokens of your mix", log=True),
            charts.Labels(
                title,
                f"List prices of {sources.month(study.market.seen)}, without discounts; "
                f"self-run at {load}, spares included",
            ),
            group="what",
            ranked=False,
        ),
        data=rests.service
        | rests.rent
        | rests.owner
        | provenance.of(api_prices=of.rows.drop(columns="kind")),
        description=f"{title}. Prices asked for {study.model_name}, from {low} to {high} per "
        "million tokens, beside running it oneself.",
    )


def discounted(study: Study, rows: pd.DataFrame) -> Figure:
    """What caching and batching take off list prices."""
    usd = rows.pivot(index="model", columns="terms", values="usd")
    off = 1 - usd["half cached, batched"] / usd["list price"]
    title = (
        f"Caching and batching together take {words.percent(off.min())} to "
        f"{words.percent(off.max())} off the list price"
    )
    requests = study.case.requests
    prompt, output = (
        words.number(float(tokens), 3)
        for tokens in (requests.prompt_tokens, requests.output_tokens)
    )
    return charts.show(
        charts.bars(
            rows.assign(what=rows["model"] + ": " + rows["terms"]),
            "what",
            charts.Axis("usd", "USD per thousand requests"),
            charts.Labels(title, f"{prompt} tokens in, {output} out"),
            group="provider",
            ranked=False,
        ),
        data=provenance.of(
            workloads=study.scenario.workload,
            api_prices=study.market.prices.loc[rows["line"].unique()],
            api_discounts=list(traffic.SELLERS.values()),
        ),
        description=title,
    )


def pictures(study: Study, found: pd.DataFrame) -> Figure:
    """What a picture costs with each seller."""
    rows = found.dropna(subset=["usd"]).sort_values("usd")
    rows = rows.assign(seller=rows["seller"].str.removeprefix("gemini/"))
    cheap, dear = rows.iloc[0], rows.iloc[-1]
    title = (
        f"The same picture costs {words.number(dear['usd'] / cheap['usd'])} times as much with "
        f"{dear['seller']} as with {cheap['seller']}"
    )
    return charts.show(
        charts.bars(
            rows,
            "seller",
            charts.Axis("usd", "USD per thousand pictures of 1024 by 1024 pixels"),
            charts.Labels(title, "Tokens by the vendor's rule times its newest input price"),
        ),
        data=provenance.of(parameters=False, image_tokens=all, api_prices=traffic.pictured(study)),
        description=title,
    )


def quality(study: Study, edge: Edge, rests: Rests) -> provenance.Provenance:
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
        data=quality(study, of, rests),
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


def elasticities(study: Study, of: Elasticities, rests: Rests) -> Figure:
    """What moves the cost of a token at scale."""
    title = said("finding_elasticities", moved=of)
    ordered = sorted(of.effects.items(), key=lambda item: -abs(item[1]))
    devices = f"{words.number(float(study.case.layout.xpus), 6)} {study.xpu_name}"
    return charts.show(
        charts.elasticities(
            of.effects,
            "the cost of a token",
            charts.Labels(
                title,
                f"{study.model_name} on instances of {devices}; a large fleet, resized, no spares",
            ),
        ),
        data=rests.service | rests.rent,
        description=f"{title}: "
        f"{words.listing(f'{name} {effect:+.2f}' for name, effect in ordered)}.",
    )
