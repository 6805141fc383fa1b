"""The charts of the chapter on throughput."""

from typing import Any

import pandas as pd

from llmecon import words
from llmecon.laboratory.rates import Rates
from llmecon.publishing import charts
from llmecon.studies.throughput import frames, machine
from llmecon.studies.throughput.study import Study


def system(study: Study) -> str:
    """What serves which model, for subtitles."""
    given = study.scenario
    return (
        f"{study.model_name} in {given.precision} on "
        f"{words.whole(given.xpus, '')} × {study.xpu_name}"
    )


def products(study: Study, title: str) -> Any:
    """What one product attains as more tokens share its matrix."""
    return charts.lines(
        frames.products(study),
        "tokens",
        "tflops",
        "series",
        title=title,
        subtitle=f"a product with weights in {study.scenario.precision} on {study.xpu_name}",
        x_title="Tokens that pass through together",
        y_title="Arithmetic [TFLOP/s]",
        rules_x={"in flight here": float(study.case.batch)},
        log_x=True,
        log_y=True,
    )


def attained(rates: pd.DataFrame, title: str) -> Any:
    """What large products attain, against the datasheet."""
    return charts.bars(
        rates.assign(percent=100.0 * rates["share"]),
        "label",
        "percent",
        title=title,
        subtitle="the best shapes that were found, nothing else running",
        unit="% of the datasheet's dense rate",
    )


def machine_products(measured: Rates, title: str) -> Any:
    """Products on the machine that built the book, against their roof."""
    return charts.lines(
        machine.products(measured),
        "rows",
        "gflops",
        "series",
        title=title,
        subtitle=f"{measured.machine}; one core, single precision, while the book was built",
        x_title="Rows of activations",
        y_title="Arithmetic [GFLOP/s]",
        log_x=True,
        log_y=True,
        height=300,
    )


def caches(study: Study, title: str) -> Any:
    """What a step reads as contexts grow."""
    return charts.lines(
        frames.caches(study),
        "context",
        "gigabytes",
        "series",
        title=title,
        subtitle=f"{system(study)}; {words.count(study.scenario.batch, 'request')} in flight",
        x_title="Context of each request [tokens]",
        y_title="Read in a step [GB]",
        rules_x={"mean here": float(study.case.requests.mean_context)},
        log_x=True,
        log_y=True,
    )


def phases(study: Study, title: str) -> Any:
    """Steps and prompts on the plane of the roofline."""
    return charts.lines(
        frames.phases(study),
        "intensity",
        "tflops",
        "series",
        title=title,
        subtitle=f"{system(study)}; the more requests or tokens, the farther right",
        x_title="Arithmetic intensity [FLOP/byte]",
        y_title="Arithmetic of a device [TFLOP/s]",
        point_label="point",
        log_x=True,
        log_y=True,
        points=False,
        height=380,
    )


def batching(study: Study, title: str) -> Any:
    """Tokens per second and device as more requests are in flight."""
    return charts.lines(
        frames.batching(study),
        "batch",
        "tokens",
        "series",
        title=title,
        subtitle=system(study),
        x_title="Requests in flight",
        y_title="Written by each device [tokens/s]",
        rules_x={"here": float(study.case.batch)},
        log_x=True,
        log_y=True,
    )


def experts(study: Study, title: str) -> Any:
    """Share of the experts that tokens visit together."""
    return charts.lines(
        frames.experts(study),
        "tokens",
        "percent",
        "series",
        title=title,
        subtitle="some experts are chosen more often than others, as load tests suggest",
        x_title="Tokens of a step",
        y_title="Experts of a layer that are read [%]",
        rules_x={"in flight here": float(study.case.batch)},
        log_x=True,
        height=380,
    )


def devices(study: Study, title: str) -> Any:
    """A step's time by its parts, over devices."""
    return charts.stacked(
        frames.devices(study),
        "label",
        "part",
        "ms",
        title=title,
        subtitle=f"{study.model_name} in {study.scenario.precision}, "
        f"{words.count(study.scenario.batch, 'request')} in flight, "
        f"{frames.WAYS[study.scenario.parallelism]}; as if memory sufficed",
        unit="ms of a decode step",
    )


def drafts(study: Study, title: str) -> Any:
    """How much faster tokens come as more of them are drafted."""
    given = study.scenario
    return charts.lines(
        frames.drafts(study),
        "drafted",
        "gain",
        "series",
        title=title,
        subtitle=f"{system(study)}; a draft is kept with a chance of "
        f"{words.percent(given.acceptance)} and takes {words.percent(given.draft_cost)} of a step",
        x_title="Tokens drafted ahead in a step",
        y_title="Speed of answers over that without drafts",
        rules_x={"here": given.draft_tokens},
        rules_y={"no gain": 1.0},
        points=True,
    )


def continuous(study: Study, title: str) -> Any:
    """Requests per second, joining as others leave and in rounds."""
    return charts.lines(
        frames.continuous(study),
        "batch",
        "rate",
        "series",
        title=title,
        subtitle=f"{system(study)}; always enough that wait",
        x_title="Requests at once",
        y_title="Completed [requests/s]",
        rules_x={"here": float(study.case.batch)},
        log_x=True,
        log_y=True,
    )


def ladder(study: Study, title: str) -> Any:
    """From the datasheet to the service."""
    return charts.bars(
        frames.rungs(study),
        "rung",
        "tokens",
        title=title,
        subtitle=f"{system(study)}; each row counts what those above it do, and one thing more",
        unit="output tokens per second and device",
        log=True,
        ranked=False,
    )


def elasticities(study: Study, title: str) -> Any:
    """What moves the tokens per second of a device."""
    return charts.elasticities(
        frames.elasticities(study),
        title=title,
        outcome="tokens per second and device",
        subtitle=f"{words.count(study.scenario.batch, 'request')} in flight, all else as it is",
    )
