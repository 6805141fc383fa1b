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
        "filling",
        "usd",
        "series",
        title=title,
        subtitle=f"{SIZES[of.bucket]} requests on {devices}, {tables.built(of.engine)}",
        x_title="Requests in flight",
        y_title="Cost [USD per million tokens]",
        log_x=True,
        log_y=True,
        rules_x={_STOPS[of.stop]: of.ends[of.stop]},
    )


def engines(study: Study, bars: pd.DataFrame, title: str) -> Any:
    """Cost of a million tokens by accelerator, coloured by what its place rests on."""
    return charts.bars(
        bars,
        "xpu",
        "usd",
        title=title,
        unit="USD per million tokens",
        group="rests on",
        ranked=False,
        log=bool(bars["usd"].iloc[-1] > 30 * bars["usd"].iloc[0]),
        subtitle=f"{study.model_name}, {study.sizes}, each accelerator alone with its best "
        "layouts, instances in parts; coloured by whether its figures were read and load-tested",
    )


def frontier(of: margins.Frontier, title: str) -> Any:
    """The least cost of a token against a limit on its carbon."""
    grams = of.steps["grams"]
    return charts.lines(
        of.steps.assign(fleet=of.steps["fleet"].map(words.tally)),
        "grams",
        "usd",
        "series",
        title=title,
        points=True,
        point_label="fleet",
        subtitle="each point is the cheapest fleet, in parts, that emits no more; electricity and "
        "making of hardware",
        x_title="Carbon, at most [g CO₂e per million tokens]",
        y_title="Cost [USD per million tokens]",
        log_x=bool(grams.max() > 8 * grams.min()),
    )


def apart(study: Study, of: comparisons.Apart, title: str) -> Any:
    """How much dearer phases are together than apart."""
    given = study.scenario
    return charts.lines(
        of.frame.assign(series=[f"TPOT {words.duration(limit)}" for limit in of.frame["tpot"]]),
        "prompt",
        "gain",
        "series",
        title=title,
        points=True,
        log_x=True,
        rules_y={"equally good": 1.0},
        subtitle=f"{study.model_name}, answers of {words.number(given.output_tokens)} tokens, "
        f"first token within {words.duration(given.long_ttft_limit_s)}; many instances of the best "
        "layout, either way",
        x_title="Prompt [tokens]",
        y_title="Cost together over cost apart [ratio]",
    )


def doubt(fares: pd.DataFrame, title: str) -> Any:
    """Cost of a million tokens by accelerator, with the range that is left open."""
    shown = fares.rename(columns={"name": "xpu", "mean": "usd"}).sort_values("usd")
    return charts.intervals(
        shown[["xpu", "usd", "low", "high"]].reset_index(drop=True),
        "xpu",
        "usd",
        "low",
        "high",
        title=title,
        unit="USD per million tokens",
        subtitle="each accelerator alone, instances in parts; lines hold nine of ten draws of "
        "speed and price",
        domain=(0.0, float(min(shown["high"].max(), 8.0 * shown["usd"].min()))),
    )


def winners(study: Study, atlas: comparisons.Atlas, title: str) -> Any:
    """Which accelerator is cheapest by prompt length and limit on TPOT."""
    given = study.scenario
    return charts.winners(
        atlas.map,
        "prompt_tokens",
        "ms",
        "winner",
        title=title,
        log_x=True,
        log_y=True,
        names={xpu: study.name(xpu) for xpu in study.offered},
        subtitle=f"{study.model_name}, answers of {words.number(given.output_tokens)} tokens, "
        f"first token within {words.duration(given.long_ttft_limit_s)}"
        + ("; empty where nothing is fast enough" if atlas.empty else ""),
        x_title="Prompt [tokens]",
        y_title="Limit on TPOT [ms]",
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
        "size",
        "ratio",
        "series",
        title=title,
        points=True,
        log_x=True,
        log_y=True,
        rules_y={"equally good": 1.0},
        subtitle=f"{model}, the study's prices; above the line {cheap} buys more tokens for a "
        f"dollar than {fast}",
        x_title="Prompt and answer, each [tokens]",
        y_title="Tokens per dollar over the other's [ratio]",
    )


def searches(of: published.Searches, title: str) -> Any:
    """Best cost so far by the number of evaluations, for five ways to search."""
    return charts.lines(
        of.drawn,
        "evaluations",
        "percent",
        "series",
        title=title,
        band=("low", "high"),
        log_x=True,
        log_y=True,
        points=True,
        subtitle=f"one size of request, whole catalogue; dearer than the best, "
        f"{words.number(published.LEAST)}% or less drawn as that; bands hold the middle half of "
        "ten seeds",
        x_title="Looks at a request on an engine",
        y_title="Dearer than the best [%]",
    )
