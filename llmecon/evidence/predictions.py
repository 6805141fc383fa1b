"""Predictions for measurement files, and how far they are from what was measured."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy.special import ndtr

from llmecon.errors import InputError
from llmecon.evidence import conditions, deployment_levels, own_rows, published
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.run_fit import predict_runs
from llmecon.evidence.serving_fit import by_row, labels, load_tests
from llmecon.evidence.serving_rows import (
    OFFLINE_COLUMNS,
    SERVING_COLUMNS,
    Systems,
    refusals,
    systems,
)
from llmecon.evidence.training_fit import predict_steps
from llmecon.execution.interpreter import interpreted
from llmecon.scaling import fit as loss_fit
from llmecon.scaling import over_training
from llmecon.scaling.laws import loss
from llmecon.serving.batching import largest_batch
from llmecon.serving.load_test import saturated
from llmecon.specs import Efficiency, Instance
from llmecon.tables import catalog
from llmecon.tables.efficiencies import Attainment, System

# Measured column of each target, by kind of file.
TARGETS: Mapping[str, Mapping[str, str]] = {
    "serving": {
        "ttft": "ttft_s",
        "tpot": "tpot_s",
        "throughput": "output_tokens_per_s",
        "energy": "energy_j_per_output_token",
    },
    "offline": {"throughput": "output_tokens_per_s"},
    "training-runs": {"device_hours": "device_hours"},
    "training-steps": {"mfu": "mfu_pct", "tokens_per_s": "tokens_per_s_per_device"},
    "losses": {"loss": "loss", "average_error": "average_error"},
}

# What else is uncertain about a target besides the parameters, as multiples of pooling.MULTIPLES.
REMAINDERS: Mapping[str, tuple[str, ...]] = {
    "ttft": ("first_token",),
    "tpot": ("pace",),
    "throughput": ("pace",),
    "energy": ("pace", "power"),
}
Model = Callable[[Systems, Efficiency], dict[str, Array]]
Tuning = Literal["typical", "best"]

# What is measured in any of these units is less: more is a slip of the pen.
MOST_MEASURED = 1e12

# A submission's layout, batch and settings are its own: what choosing for it adds, in logs.
OFFLINE_SPREAD = 0.25


# How unsure the room for requests is, in logs: engines keep caches in one byte or two, set memory
# aside, and take in so many requests at most, and few say which.
ROOM_SPREAD = 1.0

# What the losses of training data are of, and between which sizes and tokens laws are asked.
VALIDATION: Mapping[str, str] = {
    loss_fit.FIGURE: "training loss",
    **dict.fromkeys(over_training.DATA, "C4"),
}
LEAST_TRAINED, MOST_TRAINED = 1e5, 1e18


def read(path: Path) -> pd.DataFrame:
    """A measurement file.

    Args:
        path: a CSV file with a header.

    Raises:
        InputError: no such file, or not a table.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        frame = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV table: {str(error).splitlines()[0]}") from error
    if frame.empty:
        raise InputError(f"{path} has no rows")
    return frame


def predict(
    kind: str,
    frame: pd.DataFrame,
    attainment: Attainment | None = None,
    tuning: Tuning = "typical",
    mine: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Predictions with 90% intervals for the rows of a measurement file.

    Args:
        kind: "serving", "offline", "training-runs", "training-steps" or "losses".
        frame: rows in the schema of the tables measured_*, or of loss_measurements.
        attainment: calibrated efficiencies of serving; the stored ones by default.
        tuning: of the deployments that serve: "typical" of what people publish, or "best", as
            tuned as the best public benchmarks. Rows whose source is one of these benchmarks are
            always at the best.
        mine: what own rows say of the deployment, from `own_rows`; it decides instead of `tuning`.

    Returns:
        For each target of the kind the columns TARGET, TARGET_low and TARGET_high, in the unit of
        the measured column, and `reason`, empty where the row could be used; index as in `frame`.

    Raises:
        InputError: an unknown kind, or a column is missing.
    """
    predictors: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "serving": lambda rows: _at_level("serving", rows, attainment, tuning, mine),
        "offline": lambda rows: _at_level("offline", rows, attainment, tuning, mine),
        "training-runs": predict_runs,
        "training-steps": lambda rows: predict_steps(rows).rename(columns=_target_name),
        "losses": _losses,
    }
    if kind not in predictors:
        raise InputError(f"unknown kind {kind!r}; use one of {', '.join(predictors)}")
    return predictors[kind](frame)


def _target_name(column: str) -> str:
    """A predicted column named after its target rather than after the measured column."""
    for target, speed in TARGETS["training-steps"].items():
        column = column.replace(speed, target)
    return column


def _losses(frame: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in ("data", "parameters", "tokens") if name not in frame]
    if missing:
        raise InputError(
            f"the file has no column {missing[0]}; losses need data, parameters, tokens"
        )
    reasons = _losses_refused(frame)
    rows = frame[reasons == ""].copy()
    rows["data"] = rows["data"].astype(str)
    for column in ("parameters", "tokens"):
        rows[column] = pd.to_numeric(rows[column])
    of_figure = rows["data"] == loss_fit.FIGURE
    parts = []
    if of_figure.any():
        parts.append(_losses_of_figure(rows[of_figure]))
    if not of_figure.all():
        parts.append(over_training.predict(over_training.reach(), rows[~of_figure]))
    columns = [f"{t}{end}" for t in TARGETS["losses"] for end in ("", "_low", "_high")]
    found = pd.concat(parts) if parts else pd.DataFrame()
    return found.reindex(index=frame.index, columns=columns).assign(reason=reasons)


def _losses_refused(frame: pd.DataFrame) -> pd.Series:
    """Why each row can't be predicted; empty where it can."""
    reasons = pd.Series("", index=frame.index)
    data = frame["data"].astype(str)
    known = ", ".join(VALIDATION)
    reasons[~data.isin(VALIDATION)] = "data " + data + f" has no law; there are: {known}"
    for column in ("parameters", "tokens"):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        wrong = ~numbers.between(LEAST_TRAINED, MOST_TRAINED) & (reasons == "")
        shown = frame[column].map(lambda cell: "nothing" if pd.isna(cell) else f"{cell}")
        reasons[wrong] = f"{column}: " + shown + f", expected {LEAST_TRAINED:g} to {MOST_TRAINED:g}"
    if "recorded" in frame:
        given = frame["recorded"]
        months = given.astype(str).str.fullmatch(r"\d{4}-(0[1-9]|1[0-2])")
        wrong = given.notna() & ~months & (reasons == "")
        reasons[wrong] = "recorded: " + given.astype(str) + ", expected a month such as 2023-12"
    if "validation" in frame:
        expected = data.map(VALIDATION)
        given = frame["validation"]
        other = given.notna() & (given != expected) & (reasons == "")
        reasons[other] = (
            "validation " + given.astype(str) + ": the law of " + data + " is of " + expected
        )
    return reasons


def _losses_of_figure(rows: pd.DataFrame) -> pd.DataFrame:
    fitted = loss_fit.figure_fit()
    size, tokens = (jnp.asarray(rows[of].to_numpy(float)) for of in ("parameters", "tokens"))
    law_loss = jax.vmap(loss, in_axes=(0, None, None))
    drawn = law_loss(fitted.draws(over_training.DRAWS), size, tokens)
    found = over_training.interval("loss", loss(fitted.law(), size, tokens), drawn, fitted.spread)
    return pd.DataFrame(found, index=rows.index)


def _usable(frame: pd.DataFrame, required: Sequence[str]) -> tuple[pd.Series, pd.DataFrame]:
    reasons = refusals(frame, required)
    rows = frame[reasons == ""].copy()
    for column in [c for c in required if c not in ("model", "xpu", "precision")]:
        rows[column] = pd.to_numeric(rows[column])
    return reasons, rows


def physics(
    kind: str, frame: pd.DataFrame, attainment: Attainment | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """What the fitted physics predicts of a well tuned deployment.

    Args:
        kind: serving or offline.
        frame: rows in the schema of the kind.
        attainment: as for `predict`.

    Returns:
        Predictions of the usable rows: for each target TARGET, TARGET_low, TARGET_high and
        TARGET_sd (of its logarithm), and for serving outside (share of TTFT that is spent outside
        the model) and crowded (how far TTFT may rise, in logs, if less memory is free than thought;
        its root mean square). And for every row why it can't be used, empty where it can.

    Raises:
        InputError: a column is missing.
    """
    attainment = attainment or catalog.attainment()
    if kind == "serving":
        reasons, rows = _usable(frame, SERVING_COLUMNS)
        found = with_intervals(rows, attainment, load_tests, tuple(TARGETS["serving"]), 0.0)
        if len(rows):
            of = by_row(attainment, labels(rows))
            outside = of.request_time + of.request_time_per_client * rows["concurrency"].to_numpy()
            share = of.first_token_multiple * outside / found["ttft"].to_numpy()
            found["outside"] = np.clip(np.asarray(share), 0.0, 1.0)
            found["crowded"] = _crowded(systems(rows), of, found)
    else:
        reasons, rows = _usable(frame.assign(regime="offline"), OFFLINE_COLUMNS)
        found = with_intervals(rows, attainment, _saturated, ("throughput",), OFFLINE_SPREAD)
        nothing = found["throughput"] == 0.0
        reasons[nothing[nothing].index] = "the weights fit in no layout of these devices"
        found = found[~nothing]
    for target in [of for of in TARGETS[kind] if len(found)]:
        found[f"{target}_sd"] = np.log(found[f"{target}_high"] / found[target]) / NINETY
    return found, reasons


def _crowded(of: Systems, efficiency: Efficiency, found: pd.DataFrame) -> np.ndarray:
    """How far TTFT may rise, in logs: how long a wait for memory is, if it comes to that.

    A request that finds no room waits until another has ended.
    """
    room = np.maximum(np.asarray(_room(of, efficiency)), 1e-9)
    comes = ndtr(np.log(np.asarray(of.clients) / room) / ROOM_SPREAD)
    lasts = np.asarray(of.workload.output_tokens) * found["tpot"] / found["ttft"]
    return np.asarray(np.sqrt(comes) * np.log1p(lasts))


@interpreted
def _room(of: Systems, efficiency: Efficiency) -> Array:
    """Requests that each system can hold in flight."""
    room: Array = jax.vmap(largest_batch)(
        Instance(of.llm, of.xpu, of.deployment, efficiency), of.workload
    )
    return room


def _at_level(
    kind: str,
    frame: pd.DataFrame,
    attainment: Attainment | None,
    tuning: Tuning,
    mine: pd.DataFrame | None,
) -> pd.DataFrame:
    """The physics moved to a deployment's level, with intervals that contain what isn't known."""
    found, reasons = physics(kind, frame, attainment)
    rows = frame.loc[found.index]
    if len(rows) and (mine is not None or tuning == "typical"):
        described = deployment_levels.describe(rows, found, kind)
        if mine is None:
            described = described[~conditions.stated(rows)["tuned"][described.index]]
        else:
            described = described.assign(publisher=own_rows.MINE)
        known = pd.concat([published.known(), *([] if mine is None else [mine])])
        for column, of in described.groupby("column"):
            level = published.levels()[of["quantity"].iloc[0]]
            moved = deployment_levels.expected(level, known, of)
            value = of["predicted"] * np.exp(of["sign"] * moved.mean)
            found.loc[of.index, column] = value
            found.loc[of.index, f"{column}_low"] = value * np.exp(-NINETY * moved.sd)
            found.loc[of.index, f"{column}_high"] = value * np.exp(NINETY * moved.sd)
    columns = [f"{t}{end}" for t in TARGETS[kind] for end in ("", "_low", "_high")]
    return found.reindex(index=frame.index, columns=columns).assign(reason=reasons)


def _saturated(systems: Systems, efficiency: Efficiency) -> dict[str, Array]:
    rate = jax.vmap(
        lambda s, e: saturated(
            Instance(s.llm, s.xpu, s.deployment, e), s.workload, s.xpus, s.width, s.depth
        )
    )(systems, efficiency)
    return {"throughput": rate}


def with_intervals(
    rows: pd.DataFrame,
    attainment: Attainment,
    model: Model,
    targets: Sequence[str],
    spread: float,
) -> pd.DataFrame:
    """Predictions of rows with 90% intervals.

    Args:
        rows: usable rows of the kind.
        attainment: the calibration that predicts.
        model: of systems and efficiencies, to targets by name.
        targets: those wanted.
        spread: what is unsure of each beside the calibration, in logs.

    Returns:
        For each target TARGET, TARGET_low and TARGET_high, with the index of the rows.
    """
    if rows.empty:
        return pd.DataFrame({f"{t}{end}": [] for t in targets for end in ("", "_low", "_high")})
    known = labels(rows)
    of = systems(rows)
    once, often = _alone_and_drawn(model)
    centre = once(of, by_row(attainment, known))
    drawn = often(of, _draws(attainment, known))
    columns = {}
    for target in targets:
        value = np.asarray(centre[target])
        logs = np.log(np.maximum(np.asarray(drawn[target]), 1e-300))
        left = sum(
            np.array([attainment.sd(system, quantity) for system in known]) ** 2
            for quantity in REMAINDERS[target]
        )
        sd = np.sqrt(np.minimum(logs.std(axis=0), 3.0) ** 2 + left + spread**2)
        columns[target] = value
        columns[f"{target}_low"] = value * np.exp(-NINETY * sd)
        columns[f"{target}_high"] = value * np.exp(NINETY * sd)
    return pd.DataFrame(columns, index=rows.index)


@cache
def _alone_and_drawn(model: Model) -> tuple[Model, Model]:
    """A model of many rows, for one record of efficiencies a row and for many draws of it."""
    return interpreted(model), interpreted(jax.vmap(model, in_axes=(None, 0)))


def _draws(attainment: Attainment, known: Sequence[System]) -> Efficiency:
    """Draws of the parameters: leading dimensions draws and rows."""
    unique = list(dict.fromkeys(known))
    index = np.array([unique.index(of) for of in known])
    records = [attainment.parameter_draws(of) for of in unique]
    stacked: Efficiency = jax.tree.map(
        lambda *leaves: jnp.stack(leaves, axis=1)[:, index], *records
    )
    return stacked
