"""Exercises of the chapter on validation."""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import serving
from llmecon.evidence import predictions
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.execution.interpreter import interpreted
from llmecon.studies.parameters import Value
from llmecon.studies.validation.model import Case, Performance, answer
from llmecon.studies.validation.study import CLIENTS, Study
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import turning_point

CHAPTER = "validation"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "target": ("ttft", "throughput", "energy"),
    "left_out": ("model", "xpu", "engine"),
    "prompt_tokens": (400.0, 512.0, 1500.0, 2500.0),
    "output_tokens": (400.0, 512.0, 1500.0),
}
"""What may differ by student."""

ROWS = 5
"""Measurements that exercise 1 shows."""

HALF = NormalDist().inv_cdf(0.75)
"""Standard deviations within which half of a normal distribution lies."""

MOST_CLIENTS = 1024.0
"""Requests in flight at which the panel's slider, and the search of exercise 4, end."""

OWN_CLIENTS = (1.0, 8.0, 64.0)
"""Requests in flight in the made-up measurements of exercise 5."""

OWN_STEP, OWN_TOKEN = 2e-3, 1e-6
"""What that server loses against the chapter's: in every step, and for a token of context, s."""

DIGITS = 3
"""Of the numbers that exercises show and are computed from."""

PERCENT = 100.0


def shown(values: np.ndarray) -> np.ndarray:
    """Numbers as a reader sees them, with a few digits."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values])


def _five(study: Study) -> Key:
    # From far too low to far too high, in an order that has nothing to do with it.
    every = study.in_view.sort_values(["ratio", "id"], kind="stable")
    places = np.linspace(0.1, 0.9, ROWS) * (len(every) - 1)
    rows = every.iloc[places.astype(int)].sort_values("id")
    predicted, measured = shown(rows["predicted"].to_numpy()), shown(rows["measured"].to_numpy())
    ratio = predicted / measured
    error = np.abs(ratio - 1.0)
    return Key(
        PERCENT * float(np.median(error)),
        (
            Mistake(
                "mean-for-median",
                "This is the mean, which a single bad row can move as far as it likes.",
                PERCENT * float(error.mean()),
            ),
            Mistake(
                "signs-kept",
                "This lets predictions that are too high make up for others that are too low.",
                PERCENT * abs(float(np.median(ratio)) - 1.0),
            ),
            Mistake(
                "over-predicted",
                "This divides by what was predicted; an error is told of what was measured.",
                PERCENT * float(np.median(np.abs(1.0 / ratio - 1.0))),
            ),
            Mistake(
                "medians-compared",
                "This compares the medians of both columns; compare row by row.",
                PERCENT * abs(float(np.median(predicted) / np.median(measured)) - 1.0),
            ),
            Mistake("worst", "This is the row that is furthest off.", PERCENT * float(error.max())),
            Mistake(
                "middle-row",
                "This is the error of the row in the middle of the table; put the errors in order "
                "first.",
                PERCENT * float(error[ROWS // 2]),
            ),
        ),
        {f"predicted_{at}": float(value) for at, value in enumerate(predicted, 1)}
        | {f"measured_{at}": float(value) for at, value in enumerate(measured, 1)},
    )


def _below(study: Study) -> Key:
    above = float(shown(np.array([study.error["width"]]))[0])
    sd = math.log(above) / NINETY
    return Key(
        PERCENT * (1.0 - 1.0 / above),
        (
            Mistake(
                "as-far-below",
                "This goes as far down as up; the interval is as wide both ways on a logarithmic "
                "scale.",
                PERCENT * (above - 1.0),
            ),
            Mistake(
                "one-deviation",
                "This goes one standard deviation down; an interval of 90% goes further.",
                PERCENT * (1.0 - math.exp(-sd)),
            ),
            Mistake(
                "half-the-width",
                "This halves the distance of the upper end.",
                PERCENT * (above - 1.0) / 2.0,
            ),
            Mistake(
                "end-to-end",
                "This is how far the lower end lies below the upper one; it is asked for below the "
                "prediction.",
                PERCENT * (1.0 - above**-2),
            ),
            Mistake(
                "what-is-left",
                "This is the lower end as a share of the prediction; say how far below it lies.",
                PERCENT / above,
            ),
        ),
        {"above": PERCENT * (above - 1.0), "factor": above},
    )


def inside(rows: pd.DataFrame, deviations: float) -> float:
    """Share of measurements within so many standard deviations of their prediction, in percent.

    Args:
        rows: with columns predicted, measured and sd (of the logarithm).
        deviations: how many.
    """
    away = np.abs(np.log(rows["measured"] / rows["predicted"])) / rows["sd"]
    return PERCENT * float((away <= deviations).mean())


def _half(study: Study) -> Key:
    rows = study.in_view
    straight = (rows["measured"] / rows["predicted"] - 1.0).abs() <= HALF * rows["sd"]
    return Key(
        inside(rows, HALF),
        (
            Mistake(
                "ninety",
                "This is the share inside the intervals of 90%.",
                inside(rows, NINETY),
            ),
            Mistake(
                "one-deviation",
                "This goes one standard deviation either way, which claims to hold two thirds.",
                inside(rows, 1.0),
            ),
            Mistake(
                "half-a-deviation",
                "This goes half a standard deviation either way, which claims to hold less.",
                inside(rows, 0.5),
            ),
            Mistake(
                "no-logarithm",
                "This compares the error itself with the standard deviation of the logarithm.",
                PERCENT * float(straight.mean()),
            ),
            Mistake(
                "every-quantity",
                "This counts the rows of every quantity; take one.",
                inside(study.chosen, HALF),
            ),
            Mistake(
                "outside",
                "This is the share outside.",
                PERCENT - inside(rows, HALF),
            ),
        ),
        {"deviations": HALF, "rows": len(rows)},
    )


def _instance(case: Case) -> Performance:
    return answer(case).instance


_instances: Any = interpreted(_instance)
_room: Any = interpreted(serving.largest_batch)


def tpot(study: Study, clients: float) -> float:
    """Time per output token of the chapter's instance, s.

    Args:
        study: whose instance.
        clients: requests in flight, as far as there is room for them.
    """
    case = replace(study.case, clients=jnp.asarray(clients), compared=None)
    return float(_instances(case).point.tpot)


def _doubled(study: Study) -> Key:
    alone, second, at_first = (tpot(study, clients) for clients in (1.0, 2.0, CLIENTS))
    case = study.case
    room = float(_room(case.instance, case.requests))

    def times(least: float) -> float:
        return turning_point(lambda clients: tpot(study, clients) >= least, 1.0, MOST_CLIENTS)

    return Key(
        times(2.0 * alone),
        (
            Mistake(
                "in-proportion",
                "This lets time grow in proportion to the requests; most of a step is shared by "
                "all of them.",
                2.0,
            ),
            Mistake(
                "first-step-on",
                "This goes on as the second request begins; each further one adds more than that.",
                1.0 + alone / (second - alone),
            ),
            Mistake(
                "from-where-it-opens",
                "This doubles the time at which the panel opens; double that of a single request.",
                times(2.0 * at_first),
            ),
            Mistake(
                "memory-full",
                "This is how many requests memory holds.",
                room,
            ),
        ),
        {"alone": alone},
    )


def own_rows(study: Study) -> pd.DataFrame:
    """The made-up measurements of exercise 5, in the columns of a file to validate."""
    given = study.scenario
    lost = OWN_STEP + OWN_TOKEN * (given.prompt_tokens + given.output_tokens)
    seconds = np.array([tpot(study, clients) + lost for clients in OWN_CLIENTS])
    return pd.DataFrame({"concurrency": [*OWN_CLIENTS], "tpot_s": shown(seconds)}).assign(
        model=given.model,
        xpu=given.xpu,
        n_xpus=given.xpus,
        precision=given.precision,
        prompt_tokens=given.prompt_tokens,
        output_tokens=given.output_tokens,
    )


def _own(study: Study) -> Key:
    rows = own_rows(study)
    measured = rows["tpot_s"]
    best = predictions.predict("serving", rows, tuning="best")["tpot"]
    typical = predictions.predict("serving", rows)["tpot"]
    error = (best / measured - 1.0).abs()
    return Key(
        PERCENT * float(error.median(skipna=False)),
        (
            Mistake(
                "typical-server",
                "This takes the server for a typical one; the question is about the best.",
                PERCENT * float((typical / measured - 1.0).abs().median()),
            ),
            Mistake("mean-for-median", "This is the mean.", PERCENT * float(error.mean())),
            Mistake(
                "over-predicted",
                "This divides by what was predicted; an error is told of what was measured.",
                PERCENT * float((measured / best - 1.0).abs().median()),
            ),
            Mistake("worst", "This is the row that is furthest off.", PERCENT * float(error.max())),
        ),
        {f"clients_{at}": clients for at, clients in enumerate(OWN_CLIENTS, 1)}
        | {f"tpot_{at}": float(seconds) for at, seconds in enumerate(measured, 1)}
        | {"typical": PERCENT * float((typical / measured - 1.0).abs().median())},
    )


EXERCISES = (
    Exercise(
        "validation-1",
        CHAPTER,
        "Off by how much",
        "paper",
        minutes=6,
        unit="%",
        tolerance=0.02,
        key=_five,
    ),
    Exercise(
        "validation-2",
        CHAPTER,
        "The other end",
        "recall",
        minutes=4,
        unit="%",
        tolerance=0.02,
        key=_below,
    ),
    Exercise(
        "validation-3",
        CHAPTER,
        "Intervals that claim half",
        "code",
        minutes=10,
        unit="%",
        tolerance=0.01,
        key=_half,
    ),
    Exercise(
        "validation-4",
        CHAPTER,
        "Twice as slow",
        "panel",
        minutes=8,
        unit="requests",
        tolerance=0.05,
        key=_doubled,
    ),
    Exercise(
        "validation-5",
        CHAPTER,
        "A server of your own",
        "code",
        minutes=12,
        unit="%",
        tolerance=0.01,
        key=_own,
    ),
    Exercise("validation-6", CHAPTER, "Somebody else's number", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
