"""The charts of the chapter on hardware choice."""

from typing import Any

import pandas as pd

from llmecon import words
from llmecon.checks import published_choices
from llmecon.publishing import charts
from llmecon.publishing.chapters.hardware_choice import tables
from llmecon.studies.hardware_choice import comparisons, margins, published
from llmecon.studies.hardware_choice.description import SIZES
from llmecon.studies.hardware_choice.frames import Knob
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.tables import catalog

_STOPS = {
    "ttft": "limit on TTFT",
    "tpot": "limit on TPOT",
    "memory": "memory is full",
    "flat": "no slope left",
}


def knob(study: Study, of: Knob, title: str) -> Any:
    """Cost of a token against the number of requests in flight on one instance."""
    devices = f"{words.count(of.engine.devices, 'device')} of {study.name(of.xpu)}"
    return charts.lines(
        of.lines,
        charts.Axis(
            "filling", "Requests in flight", log=True, rules={_STOPS[of.stop]: of.ends[of.stop]}
        ),
        charts.Axis("usd", "Cost [USD per million tokens]", log=True),
        "series",
        charts.Labels(
            title, f"{SIZES[of.bucket]} requests on {devices}, {tables.built(of.engine)}"
        ),
    )


def engines(study: Study, bars: pd.DataFrame, title: str) -> Any:
    """Cost of a million tokens by accelerator, coloured by what its place rests on."""
    return charts.bars(
        bars,
        "xpu",
        charts.Axis(
            "usd",
            "USD per million tokens",
            log=bool(bars["usd"].iloc[-1] > 30 * bars["usd"].iloc[0]),
        ),
        charts.Labels(
            title,
            f"{study.model_name}, {study.sizes}, each accelerator alone with its best "
            "layouts, instances in parts; coloured by whether figures were read and load-tested",
        ),
        group="rests on",
        ranked=False,
    )


def frontier(of: margins.Frontier, title: str) -> Any:
    """The least cost of a token against a limit on its carbon."""
    grams = of.steps["grams"]
    return charts.lines(
        of.steps.assign(fleet=of.steps["fleet"].map(words.tally)),
        charts.Axis(
            "grams",
            "Carbon, at most [g CO₂e per million tokens]",
            log=bool(grams.max() > 8 * grams.min()),
        ),
        charts.Axis("usd", "Cost [USD per million tokens]"),
        "series",
        charts.Labels(
            title,
            "each point is the cheapest fleet, in parts, that emits no more; electricity and "
            "making of hardware",
        ),
        points=True,
        point_label="fleet",
    )


def apart(study: Study, of: comparisons.Apart, title: str) -> Any:
    """How much dearer phases are together than apart."""
    given = study.scenario
    return charts.lines(
        of.frame.assign(series=[f"TPOT {words.duration(limit)}" for limit in of.frame["tpot"]]),
        charts.Axis("prompt", "Prompt [tokens]", log=True),
        charts.Axis("gain", "Cost together over cost apart [ratio]", rules={"equally good": 1.0}),
        "series",
        charts.Labels(
            title,
            f"{study.model_name}, answers of {words.number(given.output_tokens)} tokens, "
            f"first token within {words.duration(given.long_ttft_limit_s)}; many instances of the "
            "best layout, either way",
        ),
        points=True,
    )


def doubt(fares: pd.DataFrame, title: str) -> Any:
    """Cost of a million tokens by accelerator, with the range that is left open."""
    shown = fares.rename(columns={"name": "xpu", "mean": "usd"}).sort_values("usd")
    return charts.intervals(
        shown[["xpu", "usd", "low", "high"]].reset_index(drop=True),
        "xpu",
        charts.Axis("usd", "USD per million tokens", band=("low", "high")),
        charts.Labels(
            title,
            "each accelerator alone, instances in parts; lines hold nine of ten draws of "
            "speed and price",
        ),
        domain=(0.0, float(min(shown["high"].max(), 8.0 * shown["usd"].min()))),
    )


def winners(study: Study, atlas: comparisons.Atlas, title: str) -> Any:
    """Which accelerator is cheapest by prompt length and limit on TPOT."""
    given = study.scenario
    return charts.winners(
        atlas.map,
        charts.Axis("prompt_tokens", "Prompt [tokens]", log=True),
        charts.Axis("ms", "Limit on TPOT [ms]", log=True),
        "winner",
        charts.Labels(
            title,
            f"{study.model_name}, answers of {words.number(given.output_tokens)} tokens, "
            f"first token within {words.duration(given.long_ttft_limit_s)}"
            + ("; empty where nothing is fast enough" if atlas.empty else ""),
            names={xpu: study.name(xpu) for xpu in study.offered},
        ),
        here=(given.prompt_tokens, THOUSAND * given.tpot_limit_s, "short requests"),
    )


def turn(study: Study, of: published.Turn, title: str) -> Any:
    """Tokens per dollar of a cheap GPU over those of a fast one, by size of request."""
    ratios = of.ratios
    series = [
        f"{engine}, {words.duration(limit)}"
        for engine, limit in zip(ratios["engine"], ratios["limit"], strict=True)
    ]
    cheap, fast = study.name(published.CHEAP), study.name(published.FAST)
    model = catalog.name("models", published_choices.MODEL)
    return charts.lines(
        ratios.assign(series=series),
        charts.Axis("size", "Prompt and answer, each [tokens]", log=True),
        charts.Axis(
            "ratio",
            "Tokens per dollar over the other's [ratio]",
            log=True,
            rules={"equally good": 1.0},
        ),
        "series",
        charts.Labels(
            title,
            f"{model}, the study's prices; above the line {cheap} buys more tokens for a "
            f"dollar than {fast}",
        ),
        points=True,
    )


def searches(of: published.Searches, title: str) -> Any:
    """Best cost so far by the number of evaluations, for five ways to search."""
    return charts.lines(
        of.drawn,
        charts.Axis("evaluations", "Looks at a request on an engine", log=True),
        charts.Axis("percent", "Dearer than the best [%]", log=True, band=("low", "high")),
        "series",
        charts.Labels(
            title,
            f"one size of request, whole catalogue; dearer than the best, "
            f"{words.number(published.LEAST)}% or less drawn as that; bands hold the middle half "
            "of ten seeds",
        ),
        points=True,
    )
