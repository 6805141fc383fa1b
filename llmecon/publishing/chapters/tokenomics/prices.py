"""Charts of prices in the chapter on tokenomics: ways to pay, sellers, what moves them."""

from llmecon import words
from llmecon.publishing import charts
from llmecon.publishing.chapters.tokenomics import sources
from llmecon.publishing.chapters.tokenomics.figures import said
from llmecon.publishing.chapters.tokenomics.sources import Rests
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.studies.tokenomics import hardware
from llmecon.studies.tokenomics.frames import BreakEven, Elasticities, Hour, Offers
from llmecon.studies.tokenomics.model import CALLING, OWNING, RENTING
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
