"""How far predictions are from measurements: for every target and group, and at every level.

The rows are those of the table held_out, whose fits saw nothing of a row's group, and those of the
stored calibration, which saw them all. Beside them stand what the data themselves scatter, what a
datasheet alone would predict, and the scheduler's closed form beside its simulation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import catalog, loadtest, simulation
from llmecon.calibration import compiled_load_tests, curves, measured
from llmecon.errors import InputError
from llmecon.fitting import NINETY
from llmecon.measurements import SHORTEST, systems
from llmecon.pooling import System
from llmecon.serving import full_rate, largest_batch
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Precision, Workload
from llmecon.training_calibration import (
    SOFTWARE,
    calibrated_runs,
    calibrated_steps,
    measured_runs,
    measured_steps,
)
from llmecon.validation import TARGETS, predict

# What is left out where nothing is: the fit saw every row.
NOTHING = "nothing"
# Draws that an interval's width is taken from here; more move it by a few percent.
DRAWS = 16
# Parts of a serving configuration that make two rows repeats of one measurement.
CONFIGURATION = (
    "model",
    "xpu",
    "n_xpus",
    "tensor_parallel",
    "expert_parallel",
    "data_parallel",
    "precision",
    "engine",
    "concurrency",
    "prompt_tokens",
    "output_tokens",
    "regime",
    "speculative",
)
# Points of a curve from which its scatter about a parabola can be told.
ENOUGH_POINTS = 5
# Clients of one instance up to which the scheduler is compared.
MOST_CLIENTS = 1024


def cases() -> pd.DataFrame:
    """Every prediction beside its measurement, with what the row is.

    Returns:
        One row a measured row, target and what was left out (NOTHING for the stored calibration):
        the columns of held_out, and ratio (predicted over measured), error (its absolute distance
        from 1), model, xpu, engine (the software, for training), precision, setting (in words),
        curve, mixture, speculative. For training, software left out counts as engine, and a run's
        whole family as model.
    """
    names = {"left_out": {"software": "engine", "family": "model"}}
    held = catalog.table("held_out").replace(names)
    every = pd.concat([held, _fitted()], ignore_index=True)
    every = every.merge(_rows(), on=["kind", "id"], how="left", validate="many_to_one")
    ratio = every["predicted"] / every["measured"]
    return every.assign(ratio=ratio, error=(ratio - 1.0).abs())


def left_out(of: pd.DataFrame, group: str) -> pd.DataFrame:
    """The cases whose fits saw nothing of a kind of group.

    Args:
        of: rows of `cases`.
        group: model, xpu, engine or NOTHING; for a target of which this was not tried, model.

    Returns:
        The rows, one a measured row and target.
    """
    tried = (of["left_out"] == group).groupby(of["target"]).transform("any")
    return of[of["left_out"] == np.where(tried, group, "model")].reset_index(drop=True)


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


def summary(of: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Errors of groups of cases.

    Args:
        of: rows of `cases`.
        by: columns that make a group.

    Returns:
        One row a group, with the columns `by`: rows, models, median and mean (absolute errors over
        rows, fractions), over_models (mean over models of their medians), within_2x (share of rows
        between half and double), bias (median of predicted over measured, less 1), covered (share
        of rows inside their 90% interval), width (median of the interval's upper end over the
        prediction).
    """
    z = np.log(of["measured"] / of["predicted"]) / of["sd"]
    each = of.assign(
        covered=z.abs() <= NINETY,
        close=of["ratio"].between(0.5, 2.0),
        factor=np.exp(NINETY * of["sd"]),
    )
    found = each.groupby(list(by), sort=False).agg(
        rows=("id", "size"),
        models=("model", "nunique"),
        median=("error", "median"),
        mean=("error", "mean"),
        within_2x=("close", "mean"),
        bias=("ratio", "median"),
        covered=("covered", "mean"),
        width=("factor", "median"),
    )
    each_model = each.groupby([*by, "model"], sort=False)["error"].median()
    over_models = each_model.groupby(list(by), sort=False).mean()
    return found.assign(bias=found["bias"] - 1.0, over_models=over_models).reset_index()


def statistic(of: pd.DataFrame, name: str) -> float:
    """One figure of the errors of some cases, as the table peers names them.

    Args:
        of: rows of `cases`.
        name: median, mean, worst or within_2x.
    """
    figures = {
        "median": of["error"].median(),
        "mean": of["error"].mean(),
        "worst": of["error"].max(),
        "within_2x": of["ratio"].between(0.5, 2.0).mean(),
    }
    return float(figures[name])


def worst(of: pd.DataFrame, count: int, points: int = 3) -> pd.DataFrame:
    """The measured curves that predictions are furthest from.

    Args:
        of: rows of `cases` of one target.
        count: how many curves.
        points: rows that a curve has at least.

    Returns:
        One row a curve, worst first: model, xpu, engine, precision, rows, error (median), ratio
        (median of predicted over measured) and reason, as far as one is known.
    """
    kept = of[of.groupby("curve")["id"].transform("size") >= min(points, len(of))]
    kept = of if kept.empty else kept
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


def coverage(of: pd.DataFrame, by: str, levels: Sequence[float]) -> pd.DataFrame:
    """How many measurements lie inside intervals of several levels.

    Args:
        of: rows of `cases`.
        by: a column that makes groups.
        levels: shares that the intervals claim to hold, between 0 and 1.

    Returns:
        One row a group and level: `by`, nominal, actual.
    """
    z = (np.log(of["measured"] / of["predicted"]) / of["sd"]).abs()
    parts = []
    for level in levels:
        inside = z <= NormalDist().inv_cdf(0.5 + level / 2.0)
        actual = inside.groupby(of[by], sort=False).mean()
        parts.append(pd.DataFrame({by: actual.index, "nominal": level, "actual": actual.values}))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Floor:
    """Scatter of the measurements themselves, below which no model can come.

    Attributes:
        what: what is compared.
        target: the measured quantity.
        count: comparisons.
        median: median distance, a fraction.
    """

    what: str
    target: str
    count: int
    median: float


def floors() -> list[Floor]:
    """What repeats of a serving measurement differ by, and how rough measured curves are.

    Returns:
        For each target that has them: the distance between two rows of one configuration, and the
        distance of a curve's points from a parabola through them, in logarithms of target and
        clients, corrected for the parabola's three parameters.
    """
    frame = measured()
    configuration = frame.groupby(list(CONFIGURATION), dropna=False).ngroup()
    code = pd.Series(curves(frame), index=frame.index)
    found = []
    for target, column in TARGETS["serving"].items():
        logs = np.log(frame[column])
        pairs = [
            abs(float(one) - float(other))
            for _, group in logs.dropna().groupby(configuration[logs.notna()])
            for i, one in enumerate(group)
            for other in group.iloc[:i]
        ]
        if pairs:
            found.append(Floor("repeats", target, len(pairs), float(np.median(np.expm1(pairs)))))
        rough = [
            distance
            for _, group in logs.dropna().groupby(code[logs.notna()])
            for distance in _off_parabola(np.log(frame.loc[group.index, "concurrency"]), group)
        ]
        if rough:
            found.append(Floor("curve", target, len(rough), float(np.median(np.expm1(rough)))))
    return found


def _off_parabola(clients: pd.Series, logs: pd.Series) -> np.ndarray:
    if clients.nunique() < ENOUGH_POINTS:
        return np.empty(0)
    x, y = (clients - clients.mean()).to_numpy(), logs.to_numpy()
    left = y - np.polyval(np.polyfit(x, y, 2), x)
    return np.abs(left) * np.sqrt(len(x) / (len(x) - 3.0))


def within_groups(of: pd.DataFrame, group: str) -> float:
    """What is left of the error where each group's own bias is known.

    Args:
        of: rows of `cases`.
        group: a column whose groups share a bias.

    Returns:
        Median distance from the group's mean logarithm, corrected for it, over groups of at least
        two rows; a fraction, NaN without such groups.
    """
    logs = np.log(of["ratio"])
    size = logs.groupby(of[group]).transform("size")
    left = (logs - logs.groupby(of[group]).transform("mean")).abs() * np.sqrt(size / (size - 1.0))
    return float(np.median(np.expm1(left[size > 1]))) if (size > 1).any() else float("nan")


def suspects() -> pd.Series:
    """How many rows of measured_serving are never used, by reason."""
    return catalog.table("measured_serving")["suspect"].dropna().value_counts()


def datasheet() -> pd.DataFrame:
    """TPOT of the measured rows as a plain roofline predicts it.

    Returns:
        predicted and measured, one row a measured row: every share of the datasheet is 1 and every
        overhead 0, and no token waits for a prompt.
    """
    frame = measured()
    shares = {"compute", "quantised_compute", "attention_compute", "memory", "expert_memory"}
    shares |= {"link", "decode_multiple", "prefill_multiple", "first_token_multiple"}
    shares |= {"first_token_prefills", "power_multiple", "draft_acceptance"}
    kept = {"sharpness", "usable_memory", "host_batch", "idle_power", "active_power"}
    kept |= {"memory_power", "compute_power", "host_power"}
    stored = catalog.efficiency(System())
    ideal = {
        of.name: 1.0 if of.name in shares else float(getattr(stored, of.name)) * (of.name in kept)
        for of in fields(Efficiency)
    }
    # Any kink would do: at this exponent the smooth maximum is within a percent of the sharp one.
    ideal["sharpness"] = 50.0
    ideal["draft_acceptance"] = float(stored.draft_acceptance)
    # Products with experts attain what dense ones do, however narrow; 0 would divide 0 by 0.
    ideal["expert_half_width"] = 1e-3
    ideal["routing_cv"] = 1e-3
    rows = jax.tree.map(lambda x: jnp.full(len(frame), x), Efficiency(**ideal))
    found = compiled_load_tests(systems(frame), rows)
    return pd.DataFrame({"predicted": np.asarray(found["tpot"]), "measured": frame["tpot_s"]})


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
    text = (Efficiency.__doc__ or "").partition("Attributes:")[2]
    found = re.findall(r"^ {8}(\w+): ((?:.|\n {12})+)", text, re.MULTILINE)
    plain = {name: re.sub(r"\s+", " ", reading).strip().rstrip(".") for name, reading in found}
    # The unit has a column of its own wherever these are shown.
    return {name: reading.removesuffix(", s") for name, reading in plain.items()}


def under_clients(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    seed: int = 0,
) -> pd.DataFrame:
    """The load test's closed form beside a simulation of its scheduler, from one client up.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: nominal lengths, as load generators take them.
        efficiency: attained shares and overheads; what a request costs outside the scheduler,
            which the simulation does not know, is left out of both.
        seed: of the random numbers.

    Returns:
        One row a number of clients (1, 4, 16, ...): clients, and ttft, tpot (s) and throughput
        (output tokens/s), each `_simulated` and `_closed`. Clients go on past the room in memory,
        where the instance is overloaded.

    Raises:
        InputError: as `simulation.closed_loop`.
    """
    bare = {of.name: getattr(efficiency, of.name) for of in fields(Efficiency)}
    bare |= dict.fromkeys(("request_time", "request_time_per_client", "first_token_steps"), 0.0)
    bare |= dict.fromkeys(("first_token_prefills", "first_token_multiple"), 1.0)
    only = Efficiency(**bare)
    drawn = simulation.uniform_lengths(workload, SHORTEST)
    room = float(eqx.filter_jit(largest_batch)(llm, xpu, deployment, drawn, only))
    clients = [4**i for i in range(8) if 4 ** (i - 1) < room and 4**i <= MOST_CLIENTS]
    closed_form = eqx.filter_jit(loadtest.closed_loop)
    rows = []
    for number in clients:
        closed = closed_form(llm, xpu, deployment, drawn, only, jnp.asarray(float(number)))
        record = simulation.closed_loop(
            llm,
            xpu,
            deployment,
            workload,
            only,
            clients=number,
            requests=max(loadtest.WAVES * number, 2),
            warmup=0.0,
            shortest=SHORTEST,
            seed=seed,
        )
        rows.append(
            {
                "clients": float(number),
                "ttft_simulated": record.mean_ttft,
                "ttft_closed": float(closed.ttft),
                "tpot_simulated": record.mean_tpot,
                "tpot_closed": float(closed.tpot),
                "throughput_simulated": record.output_tokens_per_second,
                "throughput_closed": float(closed.output_rate),
            }
        )
    return pd.DataFrame(rows)


def one_scheduler(xpu: str, xpus: int, precision: Precision) -> Deployment:
    """The layout of an instance that can be simulated: every layer split over all devices.

    Args:
        xpu: id of the accelerator.
        xpus: devices of the instance.
        precision: bytes and arithmetic.

    Raises:
        InputError: fast links join fewer devices.
    """
    most = max(int(catalog.xpu(xpu).link_domain), 1)
    if xpus > most:
        raise InputError(
            f"xpus: {xpus} x {xpu} would be several groups with a scheduler each, and one is "
            f"simulated; use at most {most}"
        )
    return Deployment(precision=precision, tensor=float(xpus))


@dataclass(frozen=True)
class Overload:
    """Output tokens per second of an instance that is offered more than it can complete.

    Attributes:
        load: offered over the most that it can complete.
        simulated: found by `simulation.open_loop`.
        closed_form: with the batch that fills the memory.
    """

    load: float
    simulated: float
    closed_form: float


def overloaded(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    load: float = 1.5,
    requests: int = 4000,
) -> Overload:
    """Throughput under overload, simulated and by the closed form.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads.
        load: offered over the most that the instance can complete, above 1.
        requests: how many arrive; they are never fewer than fill the memory many times.

    Raises:
        InputError: as `simulation.open_loop`.
    """
    system = (llm, xpu, deployment, workload, efficiency)
    full = float(eqx.filter_jit(full_rate)(*system))
    room = float(eqx.filter_jit(largest_batch)(*system))
    # Until the batch is full, an overloaded instance makes less than it could.
    many = int(max(requests, loadtest.WAVES * room))
    record = simulation.open_loop(*system, rate=load * full, requests=many, warmup=0.5)
    tokens = float(full * workload.output_tokens)
    return Overload(load, record.output_tokens_per_second, tokens)
