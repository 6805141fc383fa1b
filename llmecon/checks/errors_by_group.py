"""How far predictions are from measurements: for every target and group, and at every level.

The rows are those of the table held_out, whose fits saw nothing of a row's group, and those of the
stored calibration, which saw them all. Beside them stands what a datasheet alone would predict.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pandas as pd

from llmecon.evidence import error_measures
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.error_measures import Pairs
from llmecon.evidence.predictions import TARGETS, predict
from llmecon.evidence.run_fit import calibrated_runs, measured_runs
from llmecon.evidence.serving_fit import compiled_load_tests, curves, measured
from llmecon.evidence.serving_rows import systems
from llmecon.evidence.training_fit import SOFTWARE, TABLES, calibrated_steps, measured_steps
from llmecon.execution import disk_cache
from llmecon.specs import Efficiency
from llmecon.tables import catalog
from llmecon.tables.efficiencies import System

# What is left out where nothing is: the fit saw every row.
NOTHING = "nothing"
# Draws that an interval's width is taken from here; more move it by a few percent.
DRAWS = 16


def cases() -> pd.DataFrame:
    """Every prediction beside its measurement, with what the row is.

    Returns:
        The rows of `held_out` and, with NOTHING left out, those of `fitted`.
    """
    return pd.concat([held_out(), fitted()], ignore_index=True)


def held_out() -> pd.DataFrame:
    """Predictions by fits that saw nothing of a row's group, with what the row is.

    Returns:
        One row a measured row, target and kind of group that was left out: the columns of the
        table held_out, and ratio (predicted over measured), error (its absolute distance from 1),
        model, xpu, engine (the software, for training), precision, setting (in words), curve,
        mixture, speculative. For training, software left out counts as engine, and a run's whole
        family as model.
    """
    names = {"left_out": {"software": "engine", "family": "model"}}
    return _described(catalog.table("held_out").replace(names))


def fitted() -> pd.DataFrame:
    """Predictions by the stored calibration, which saw every row; columns as in `held_out`."""
    return disk_cache.kept("fitted", _rests_on(), lambda: _described(_fitted()))


@cache
def _rests_on() -> str:
    return disk_cache.rests_on(__name__, *TABLES, "measured_offline", "measured_serving")


def _described(frame: pd.DataFrame) -> pd.DataFrame:
    every = frame.merge(_rows(), on=["kind", "id"], how="left", validate="many_to_one")
    ratio = every["predicted"] / every["measured"]
    return every.assign(ratio=ratio, error=(ratio - 1.0).abs())


def left_out(frame: pd.DataFrame, group: str) -> pd.DataFrame:
    """The cases whose fits saw nothing of a kind of group.

    Args:
        frame: rows of `cases`.
        group: model, xpu, engine or NOTHING; for a target of which this was not tried, model.

    Returns:
        The rows, one a measured row and target.
    """
    tried = (frame["left_out"] == group).groupby(frame["target"]).transform("any")
    return frame[frame["left_out"] == np.where(tried, group, "model")].reset_index(drop=True)


def _fitted() -> pd.DataFrame:
    """The predictions of the stored calibration, in the columns of held_out."""
    stored = catalog.attainment()
    few = replace(stored, draws={name: draws[:DRAWS] for name, draws in stored.draws.items()})
    frame = measured()
    found = predict("serving", frame, few)
    parts = []
    for target, column in TARGETS["serving"].items():
        there = frame[column].notna() & found[target].notna()
        part = {
            "kind": "serving",
            "id": frame["id"],
            "target": target,
            "predicted": found[target],
            "measured": frame[column],
            "sd": np.log(found[f"{target}_high"] / found[target]) / NINETY,
        }
        parts.append(pd.DataFrame(part)[there])
    for kind, target, sign, (rows, of, logs), law in (
        ("training-steps", "tokens_per_s", -1.0, measured_steps(), calibrated_steps()),
        ("training-runs", "device_hours", 1.0, measured_runs(), calibrated_runs()),
    ):
        mean, sd = law.predict(rows, of)
        part = {
            "kind": kind,
            "id": rows["id"],
            "target": target,
            "predicted": np.exp(sign * mean),
            "measured": np.exp(sign * logs),
            "sd": sd,
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True).assign(left_out=NOTHING)


def _rows() -> pd.DataFrame:
    """What each measured row is: kind, id, model, xpu, engine, precision, setting, curve."""
    models = dict(zip(*(catalog.table("models")[c] for c in ("id", "name")), strict=True))
    xpus = dict(zip(*(catalog.table("xpus")[c] for c in ("id", "name")), strict=True))
    experts = catalog.table("models").set_index("id")["experts"]
    mixtures = set(experts[experts > 0].index)
    serving = catalog.table("measured_serving")
    parts = [
        pd.DataFrame(
            {
                "kind": "serving",
                "id": serving["id"],
                "model": serving["model"].map(models),
                "xpu": serving["xpu"].map(xpus),
                "engine": serving["engine"],
                "precision": serving["precision"],
                "setting": [
                    f"{n:.0f} xPUs, {precision}, {clients:g} requests, {p:.0f} + {o:.0f} tokens"
                    for n, precision, clients, p, o in serving[
                        ["n_xpus", "precision", "concurrency", "prompt_tokens", "output_tokens"]
                    ].itertuples(index=False)
                ],
                "curve": curves(serving),
                "mixture": serving["model"].isin(mixtures),
                "speculative": serving["speculative"] > 0,
            }
        )
    ]
    for kind in ("training_steps", "training_runs"):
        rows = catalog.table(f"measured_{kind}")
        software = pd.Series("", index=rows.index, dtype=object)
        if kind == "training_steps":
            software = rows["source"].astype(object)
            for name, pattern in SOFTWARE.items():
                software[rows["source"].str.contains(pattern, case=False)] = name
        parts.append(
            pd.DataFrame(
                {
                    "kind": kind.replace("_", "-"),
                    "id": rows["id"],
                    "model": rows["label"],
                    "xpu": rows["xpu"].map(xpus).fillna("mixed"),
                    "engine": software,
                    "precision": rows["precision"],
                    "setting": [
                        f"{n:.0f} xPUs, {precision}" if n == n else str(precision)
                        for n, precision in zip(rows["devices"], rows["precision"], strict=True)
                    ],
                    "curve": pd.factorize(rows["label"] + rows["xpu"].fillna("") + software)[0],
                    "mixture": rows["parameters_active_b"] < rows["parameters_total_b"],
                    "speculative": False,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def backlogs() -> pd.DataFrame:
    """Throughput of systems that work off a backlog, none of which any fit has seen.

    Returns:
        One row a row of measured_offline: model, xpu (names), xpus, precision, round, latest
        (whether no later round has the same system), measured and predicted (output tokens/s),
        sd (of the prediction's logarithm), ratio, error (its distance from 1), covered (inside the
        90% interval).
    """
    return disk_cache.kept("backlogs", _rests_on(), _backlogs)


def _backlogs() -> pd.DataFrame:
    rows = catalog.table("measured_offline")
    found = predict("offline", rows)
    names = {
        table: dict(zip(*(catalog.table(table)[c] for c in ("id", "name")), strict=True))
        for table in ("models", "xpus")
    }
    measured_rate = rows["output_tokens_per_s"]
    ratio = found["throughput"] / measured_rate
    system = rows.groupby(["model", "xpu", "n_xpus"])
    return pd.DataFrame(
        {
            "model": rows["model"].map(names["models"]),
            "xpu": rows["xpu"].map(names["xpus"]),
            "xpus": rows["n_xpus"],
            "precision": rows["precision"],
            "round": rows["round"],
            "latest": rows["round"] == system["round"].transform("max"),
            "measured": measured_rate,
            "predicted": found["throughput"],
            "sd": np.log(found["throughput_high"] / found["throughput"]) / NINETY,
            "ratio": ratio,
            "error": (ratio - 1.0).abs(),
            "covered": measured_rate.between(found["throughput_low"], found["throughput_high"]),
        }
    )


def summary(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Errors of groups of cases.

    Args:
        frame: rows of `cases`.
        by: columns that make a group.

    Returns:
        One row a group, with the columns `by`: rows, models, median and mean (absolute errors over
        rows, fractions) and the other figures of `error_measures.Deviations`.
    """
    groups = frame.groupby(list(by), sort=False)
    code = groups.ngroup().to_numpy()
    keys = groups.head(1)[list(by)].reset_index(drop=True)
    return keys.join(summaries(frame, code == np.arange(groups.ngroups)[:, None]))


def summaries(frame: pd.DataFrame, counted: npt.ArrayLike) -> pd.DataFrame:
    """Errors of several choices of cases, which may overlap.

    Args:
        frame: rows of `cases`.
        counted: for each choice, which of the rows are in it.

    Returns:
        One row a choice, the columns of `error_measures.Deviations`; NaN where no row is in it.
    """
    found = error_measures.of_groups(pairs(frame), jnp.asarray(counted, bool))
    figures = {name: np.asarray(values) for name, values in vars(found).items()}
    return pd.DataFrame(figures)


def pairs(frame: pd.DataFrame) -> Pairs:
    """Rows of `cases` as the records that errors are computed from.

    Args:
        frame: columns predicted, measured, sd and model.
    """
    predicted, known, sd = (
        jnp.asarray(frame[name].to_numpy(float)) for name in ("predicted", "measured", "sd")
    )
    return Pairs(predicted, known, sd, jnp.asarray(pd.factorize(frame["model"])[0]))


def statistic(frame: pd.DataFrame, name: str) -> float:
    """One figure of the errors of some cases, as the table peers names them.

    Args:
        frame: rows of `cases`.
        name: median, mean, worst or within_2x.
    """
    return float(summary(frame.assign(all="all"), ["all"])[name].iloc[0])


def worst(frame: pd.DataFrame, count: int, points: int = 3) -> pd.DataFrame:
    """The measured curves that predictions are furthest from.

    Args:
        frame: rows of `cases` of one target.
        count: how many curves.
        points: rows that a curve has at least.

    Returns:
        One row a curve, worst first: model, xpu, engine, precision, rows, error (median), ratio
        (median of predicted over measured) and reason, as far as one is known.
    """
    kept = frame[frame.groupby("curve")["id"].transform("size") >= min(points, len(frame))]
    kept = frame if kept.empty else kept
    parts = ["model", "xpu", "engine", "precision", "mixture", "speculative", "kind", "target"]
    found = kept.groupby(["curve", *parts], sort=False).agg(
        rows=("id", "size"), error=("error", "median"), ratio=("ratio", "median")
    )
    found = found.reset_index().sort_values("error", ascending=False, kind="stable").head(count)
    return found.assign(reason=[_reason(row) for row in found.to_dict("records")])


def _reason(of: Mapping[Any, Any]) -> str:
    """Why a curve is far off, as far as that is known."""
    if of["kind"] == "training-runs":
        return "what the hours count is not recorded"
    if of["kind"] == "training-steps":
        return "mixture; its routing is not recorded" if of["mixture"] else ""
    if of["speculative"]:
        return "drafts tokens; how many is not recorded"
    if of["target"] == "ttft":
        return "server limits not recorded: sequences, chunk, prefix cache"
    kernels = effects("expert_memory")
    slow = set(kernels[kernels["high"] < 1.0]["group"])
    if of["mixture"] and f"{of['engine']}:{of['precision']}" in slow:
        return f"mixture on slow {of['precision']} expert kernels of {of['engine']}"
    return ""


def coverage(frame: pd.DataFrame, by: str, levels: Sequence[float]) -> pd.DataFrame:
    """How many measurements lie inside intervals of several levels.

    Args:
        frame: rows of `cases`.
        by: a column that makes groups.
        levels: shares that the intervals claim to hold, between 0 and 1.

    Returns:
        One row a group and level: `by`, nominal, actual.
    """
    predicted, known, sd = (
        jnp.asarray(frame[name].to_numpy(float)) for name in ("predicted", "measured", "sd")
    )
    z = pd.Series(np.abs(error_measures.scores(predicted, known, sd)), index=frame.index)
    parts = []
    for level in levels:
        inside = z <= NormalDist().inv_cdf(0.5 + level / 2.0)
        actual = inside.groupby(frame[by], sort=False).mean()
        parts.append(pd.DataFrame({by: actual.index, "nominal": level, "actual": actual.values}))
    return pd.concat(parts, ignore_index=True)


def datasheet() -> pd.DataFrame:
    """TPOT of the measured rows as a plain roofline predicts it.

    Returns:
        predicted, measured, sd (NaN: it claims no interval) and model (id), one row a measured row:
        every share of the datasheet is 1 and every overhead 0, and no token waits for a prompt.
    """
    return disk_cache.kept("datasheet", _rests_on(), _datasheet)


def _datasheet() -> pd.DataFrame:
    frame = measured()
    shares = {"compute", "quantised_compute", "attention_compute", "memory", "expert_memory"}
    shares |= {"link", "decode_multiple", "prefill_multiple", "first_token_multiple"}
    shares |= {"first_token_prefills", "power_multiple", "draft_acceptance"}
    stays = {"sharpness", "usable_memory", "host_batch", "idle_power", "active_power"}
    stays |= {"memory_power", "compute_power", "host_power"}
    stored = catalog.efficiency(System())
    ideal = {
        of.name: 1.0 if of.name in shares else float(getattr(stored, of.name)) * (of.name in stays)
        for of in fields(Efficiency)
    }
    # Any kink would do: at this exponent the smooth maximum is within a percent of the sharp one.
    ideal["sharpness"] = 50.0
    ideal["draft_acceptance"] = float(stored.draft_acceptance)
    ideal["routing_cv"] = 1e-3
    rows = jax.tree.map(lambda x: jnp.full(len(frame), x), Efficiency(**ideal))
    as_sold = eqx.tree_at(lambda of: of.xpu.matmul_share, systems(frame), jnp.ones(len(frame)))
    found = compiled_load_tests(as_sold, rows)
    return pd.DataFrame(
        {
            "predicted": np.asarray(found["tpot"]),
            "measured": frame["tpot_s"],
            "sd": np.nan,
            "model": frame["model"],
        }
    )


def effects(parameter: str) -> pd.DataFrame:
    """What groups of systems add to a parameter, strongest first.

    Args:
        parameter: of efficiency_effects.

    Returns:
        One row a measured group: group, curves, scale, factor on the parameter (on its odds, where
        its scale is logit), and low and high, the ends of its 90% interval.
    """
    table = catalog.table("efficiency_effects")
    rows = table[(table["parameter"] == parameter) & (table["curves"] > 0)]
    rows = rows.iloc[np.argsort(-rows["mean"].abs().to_numpy(), kind="stable")]
    return pd.DataFrame(
        {
            "group": rows["group"],
            "curves": rows["curves"],
            "scale": rows["scale"],
            "factor": np.exp(rows["mean"]),
            "low": np.exp(rows["mean"] - NINETY * rows["sd"]),
            "high": np.exp(rows["mean"] + NINETY * rows["sd"]),
        }
    ).reset_index(drop=True)


def readings() -> dict[str, str]:
    """What each efficiency is, in words, from the record that holds them."""
    text = (inspect.getdoc(Efficiency) or "").partition("Attributes:")[2]
    found = re.findall(r"^ {4}(\w+): ((?:.|\n {8})+)", text, re.MULTILINE)
    plain = {name: re.sub(r"\s+", " ", reading).strip().rstrip(".") for name, reading in found}
    # The unit has a column of its own wherever these are shown.
    return {name: reading.removesuffix(", s") for name, reading in plain.items()}
