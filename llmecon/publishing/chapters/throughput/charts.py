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
        charts.Axis(
            "tokens",
            "Tokens that pass through together",
            log=True,
            rules={"in flight here": float(study.case.batch)},
        ),
        charts.Axis("tflops", "Arithmetic [TFLOP/s]", log=True),
        "series",
        charts.Labels(
            title, f"a product with weights in {study.scenario.precision} on {study.xpu_name}"
        ),
    )


def attained(rates: pd.DataFrame, title: str) -> Any:
    """What large products attain, against the datasheet."""
    return charts.bars(
        rates.assign(percent=100.0 * rates["share"]),
        "label",
        charts.Axis("percent", "% of the datasheet's dense rate"),
        charts.Labels(title, "the best shapes that were found, nothing else running"),
    )


def machine_products(measured: Rates, title: str) -> Any:
    """Products on the machine that built the book, against their roof."""
    return charts.lines(
        machine.products(measured),
        charts.Axis("rows", "Rows of activations", log=True),
        charts.Axis("gflops", "Arithmetic [GFLOP/s]", log=True, pixels=300),
        "series",
        charts.Labels(
            title, f"{measured.machine}; one core, single precision, while the book was built"
        ),
    )


def caches(study: Study, title: str) -> Any:
    """What a step reads as contexts grow."""
    return charts.lines(
        frames.caches(study),
        charts.Axis(
            "context",
            "Context of each request [tokens]",
            log=True,
            rules={"mean here": float(study.case.requests.mean_context)},
        ),
        charts.Axis("gigabytes", "Read in a step [GB]", log=True),
        "series",
        charts.Labels(
            title, f"{system(study)}; {words.count(study.scenario.batch, 'request')} in flight"
        ),
    )


def phases(study: Study, title: str) -> Any:
    """Steps and prompts on the plane of the roofline."""
    return charts.lines(
        frames.phases(study),
        charts.Axis("intensity", "Arithmetic intensity [FLOP/byte]", log=True),
        charts.Axis("tflops", "Arithmetic of a device [TFLOP/s]", log=True, pixels=380),
        "series",
        charts.Labels(title, f"{system(study)}; the more requests or tokens, the farther right"),
        point_label="point",
        points=False,
    )


def batching(study: Study, title: str) -> Any:
    """Tokens per second and device as more requests are in flight."""
    return charts.lines(
        frames.batching(study),
        charts.Axis(
            "batch", "Requests in flight", log=True, rules={"here": float(study.case.batch)}
        ),
        charts.Axis("tokens", "Written by each device [tokens/s]", log=True),
        "series",
        charts.Labels(title, system(study)),
    )


def experts(study: Study, title: str) -> Any:
    """Share of the experts that tokens visit together."""
    return charts.lines(
        frames.experts(study),
        charts.Axis(
            "tokens",
            "Tokens of a step",
            log=True,
            rules={"in flight here": float(study.case.batch)},
        ),
        charts.Axis("percent", "Experts of a layer that are read [%]", pixels=380),
        "series",
        charts.Labels(
            title, "some experts are chosen more often than others, as load tests suggest"
        ),
    )


def devices(study: Study, title: str) -> Any:
    """A step's time by its parts, over devices."""
    return charts.stacked(
        frames.devices(study),
        "label",
        "part",
        charts.Axis("ms", "ms of a decode step"),
        charts.Labels(
            title,
            f"{study.model_name} in {study.scenario.precision}, "
            f"{words.count(study.scenario.batch, 'request')} in flight, "
            f"{frames.WAYS[study.scenario.parallelism]}; as if memory sufficed",
        ),
    )


def drafts(study: Study, title: str) -> Any:
    """How much faster tokens come as more of them are drafted."""
    given = study.scenario
    return charts.lines(
        frames.drafts(study),
        charts.Axis(
            "drafted", "Tokens drafted ahead in a step", rules={"here": given.draft_tokens}
        ),
        charts.Axis("gain", "Speed of answers over that without drafts", rules={"no gain": 1.0}),
        "series",
        charts.Labels(
            title,
            f"{system(study)}; a draft is kept with a chance of "
            f"{words.percent(given.acceptance)} and takes {words.percent(given.draft_cost)} of a "
            "step",
        ),
        points=True,
    )


def continuous(study: Study, title: str) -> Any:
    """Requests per second, joining as others leave and in rounds."""
    return charts.lines(
        frames.continuous(study),
        charts.Axis("batch", "Requests at once", log=True, rules={"here": float(study.case.batch)}),
        charts.Axis("rate", "Completed [requests/s]", log=True),
        "series",
        charts.Labels(title, f"{system(study)}; always enough that wait"),
    )


def ladder(study: Study, title: str) -> Any:
    """From the datasheet to the service."""
    return charts.bars(
        frames.rungs(study),
        "rung",
        charts.Axis("tokens", "output tokens per second and device", log=True),
        charts.Labels(
            title, f"{system(study)}; each row counts what those above it do, and one thing more"
        ),
        ranked=False,
    )


def elasticities(study: Study, title: str) -> Any:
    """What moves the tokens per second of a device."""
    return charts.elasticities(
        frames.elasticities(study),
        "tokens per second and device",
        charts.Labels(
            title, f"{words.count(study.scenario.batch, 'request')} in flight, all else as it is"
        ),
    )
