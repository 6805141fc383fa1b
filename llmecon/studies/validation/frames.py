"""What the charts and tables of the chapter on validation show of errors, as frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from llmecon.checks import errors_by_group, noise_floor
from llmecon.studies.validation.model import TARGETS
from llmecon.studies.validation.study import LEFT_OUT, NAMES, Study, without
from llmecon.tables import catalog

SHORT = {
    "tpot": "TPOT",
    "ttft": "TTFT",
    "throughput": "throughput",
    "energy": "energy",
    "tokens_per_s": "training steps",
    "device_hours": "training runs",
}
"""Targets as they are called where there is little room."""

UNITS = {
    "tpot": "s",
    "ttft": "s",
    "throughput": "tokens/s",
    "energy": "J/token",
    "tokens_per_s": "tokens/s per device",
    "device_hours": "h",
}
"""Units of the targets."""

GROUPS = {"model": "model", "xpu": "accelerator", "engine": "engine"}
"""What rows are grouped by, as a reader calls it."""

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares that intervals claim to hold."""

PLAIN = "plain"
"""Id of the plain roofline among other models."""

MOST_GROUPS = 12  # of each kind in the chart of groups
WORST_CURVES = 5
# An interval that claims 90% is too narrow or too wide beyond these.
TOO_FEW, TOO_MANY = 0.85, 0.96

TITLES = {target: f"{NAMES[target]} [{unit}]" for target, unit in UNITS.items()}
"""Titles of axes, by target."""

WITHOUT = {LEFT_OUT[kind]: f"without_{kind}" for kind in (*GROUPS, errors_by_group.NOTHING)}
"""Columns of `side_by_side`, by what was left out."""

_KINDS = (errors_by_group.NOTHING, *GROUPS)
_FLOOR = {"repeats": "between repeats", "curve": "from a smooth curve"}
_TABLES = {
    "measured_serving": "serving: latency, throughput, energy",
    "measured_offline": "backlogs: throughput, never fitted",
    "measured_training_steps": "training steps: speed",
    "measured_training_runs": "training runs: device-hours",
}


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    errors = targets(study)
    return {
        "study": study,
        "measurements": study.chosen["id"].nunique(),
        "best": errors.iloc[int(errors["median"].argmin())],
        "worst": errors.iloc[int(errors["median"].argmax())],
    }


def targets(study: Study) -> pd.DataFrame:
    """Errors of the targets alone: an index of TARGETS, name and `error_measures.Deviations`."""
    errors = study.errors.loc[list(TARGETS)]
    return errors.assign(name=[NAMES[target] for target in TARGETS])


def by_left_out(study: Study) -> pd.DataFrame:
    """Errors of every target by what was left out.

    Returns:
        One row a target and kind of group, in their orders: target, left_out, name and short (of
        the target), without (what was left out, in words) and `error_measures.Deviations`.
    """
    found = errors_by_group.summary(study.every, ["target", "left_out"])
    place = found["target"].map(TARGETS.index) * len(_KINDS) + found["left_out"].map(_KINDS.index)
    found = found.iloc[np.argsort(place.to_numpy(), kind="stable")]
    pairs = zip(found["target"], found["left_out"], strict=True)
    return found.assign(
        name=found["target"].map(NAMES),
        short=found["target"].map(SHORT),
        without=[without(target, group) for target, group in pairs],
    )


def unknown(groups: pd.DataFrame) -> pd.DataFrame:
    """The errors of predictions for what the fits had not seen.

    Args:
        groups: as `by_left_out` returns them.
    """
    return groups[groups["left_out"] != errors_by_group.NOTHING]


def side_by_side(study: Study) -> pd.DataFrame:
    """One row a measurement, and a column `without_KIND` for each kind of group left out."""
    row = ["target", "kind", "id"]
    # Stored with fewer digits than they were measured with, values of one row differ by a hair.
    measured = study.every.groupby(row)["measured"].transform("first")
    wide = study.every.assign(measured=measured).pivot_table(
        index=[*row, "measured", "model", "xpu", "engine", "setting"],
        columns="left_out",
        values="predicted",
    )
    # Rows of one system stand together, so that the page can carry what they share once.
    system = ["target", "model", "xpu", "engine", "setting"]
    return wide.add_prefix("without_").reset_index().sort_values(system, ignore_index=True)


def by_group(study: Study) -> pd.DataFrame:
    """Errors of the scenario's target by model, accelerator and engine.

    Returns:
        The dozen of each kind with most rows, the worst first: name, label (with its rows), group
        (the kind), percent (the median error) and `error_measures.Deviations`.
    """
    rows = study.in_view
    # Training runs have no software on record, so kinds without a name are left out.
    groups = [
        (kind, name, (rows[column] == name).to_numpy())
        for column, kind in GROUPS.items()
        for name in rows[column].fillna("").unique()
        if name
    ]
    found = errors_by_group.summaries(rows, [counted for *_, counted in groups])
    found = found.assign(group=[kind for kind, *_ in groups], name=[name for _, name, _ in groups])
    found = found.sort_values("rows", ascending=False, kind="stable")
    found = found.groupby("group", sort=False).head(MOST_GROUPS)
    found = found.sort_values(["group", "median"], ascending=[True, False])
    labels = [f"{of.name}, {of.rows:,} rows" for of in found.itertuples(index=False)]
    return found.assign(label=labels, percent=100.0 * found["median"])


def models(groups: pd.DataFrame) -> list[str]:
    """Models, the one that is predicted worst first.

    Args:
        groups: as `by_group` returns them.
    """
    return list(groups.loc[groups["group"] == GROUPS["model"], "name"])


@dataclass(frozen=True)
class Backlogs:
    """Throughput of systems that work off a backlog.

    Attributes:
        latest: the newest round of each system: label, percent (predicted, of what was measured),
            measured_percent (100), error and ratio.
        too_high: share of these that are slower than predicted.
        latest_error: their median error.
        gained: the system whose measured throughput changed most between rounds: model, xpu, xpus,
            min and max (output tokens/s).
    """

    latest: pd.DataFrame
    too_high: float
    latest_error: float
    gained: pd.Series


def backlogs() -> Backlogs:
    """Throughput of systems that work off a backlog, which no fit has seen."""
    found = errors_by_group.backlogs()
    latest = found[found["latest"]]
    labels = [
        f"{of['model']}, {of['xpus']:g} x {of['xpu'].partition(' (')[0]}, {of['precision']}"
        for of in latest.to_dict("records")
    ]
    rounds = found.groupby(["model", "xpu", "xpus"])["measured"].agg(["min", "max"]).reset_index()
    gained = rounds["max"] / rounds["min"]
    return Backlogs(
        latest.assign(label=labels, percent=100.0 * latest["ratio"], measured_percent=100.0),
        too_high=float((latest["ratio"] > 1.0).mean()),
        latest_error=errors_by_group.statistic(latest, "median"),
        gained=rounds.iloc[int(gained.argmax())],
    )


def coverage(study: Study) -> pd.DataFrame:
    """Share of measurements inside intervals of several levels: series, nominal and actual [%]."""
    found = errors_by_group.coverage(study.chosen, "target", LEVELS)
    found["series"] = found["target"].map(SHORT)
    claimed = pd.DataFrame({"series": "as claimed", "nominal": LEVELS, "actual": LEVELS})
    lines = pd.concat([found, claimed])
    return lines.assign(nominal=100.0 * lines["nominal"], actual=100.0 * lines["actual"])


@dataclass(frozen=True)
class Widths:
    """How far intervals reach above a prediction, for what was measured and for the unknown.

    Attributes:
        rows: a target each: target, short (its name), percent (upper end above the prediction for
            what was left out) and measured_percent (for what was measured).
        known: upper end over the prediction, of the scenario's target as measured.
        unknown: the same where its group was left out.
        without: what was left out, in words.
    """

    rows: pd.DataFrame
    known: float
    unknown: float
    without: str

    @property
    def wider(self) -> bool:
        """Whether the unknown has a clearly wider interval than what was measured."""
        return self.unknown > 1.02 * self.known


def widths(study: Study, groups: pd.DataFrame) -> Widths:
    """How far intervals reach above a prediction.

    Args:
        study: what was left out, and the target in view.
        groups: as `by_left_out` returns them.
    """
    against = "model" if study.seen else study.scenario.left_out
    compared = {of: against if group == against else "model" for of, group in study.tried.items()}
    shown = {
        "measured_percent": groups["left_out"] == errors_by_group.NOTHING,
        "percent": groups["left_out"] == groups["target"].map(compared),
    }
    wide = {of: groups[which].set_index("target")["width"] for of, which in shown.items()}
    rows = 100.0 * (pd.DataFrame(wide).loc[list(TARGETS)] - 1.0)
    own = {of: float(ends.loc[study.scenario.target]) for of, ends in wide.items()}
    return Widths(
        rows.assign(short=[SHORT[target] for target in rows.index]).reset_index(),
        known=own["measured_percent"],
        unknown=own["percent"],
        without=LEFT_OUT[against],
    )


def dishonest(groups: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Intervals that hold clearly less or more than they claim.

    Args:
        groups: as `by_left_out` returns them.

    Returns:
        narrow, wide and others (all but the narrow): rows of `groups`.
    """
    narrow = groups["covered"] < TOO_FEW
    wide = (groups["covered"] > TOO_MANY) & (groups["left_out"] != errors_by_group.NOTHING)
    return {
        "narrow": groups[narrow].sort_values("covered"),
        "wide": groups[wide],
        "others": groups[~narrow],
    }


def fitted() -> pd.DataFrame:
    """The fitted parameters: rows of the table efficiencies, with reading and factor.

    Returns:
        reading is what a parameter is, in words; factor its interval's upper over its lower end.
    """
    table = catalog.table("efficiencies")
    table = table[table["note"].fillna("").str.startswith("fitted")]
    readings = errors_by_group.readings()
    return table.assign(
        reading=[readings[name] for name in table["parameter"]],
        factor=table["high"] / table["low"],
    )


def effects() -> pd.DataFrame:
    """What groups add to fitted parameters, strongest first.

    Returns:
        As `errors_by_group.effects`, with reading (the parameter in words, of whose odds it is
        where the scale is logit) and sure (the interval leaves out no effect at all).
    """
    readings = errors_by_group.readings()
    names = dict.fromkeys(catalog.table("efficiency_effects")["parameter"])
    found = pd.concat(
        [
            errors_by_group.effects(name).assign(reading=readings[name])
            for name in names
            if name in readings
        ],
        ignore_index=True,
    )
    found["sure"] = (found["low"] > 1.0) | (found["high"] < 1.0)
    strength = (found["factor"] - 1.0).abs()
    return found.loc[strength.sort_values(ascending=False).index]


def failures(study: Study) -> pd.DataFrame:
    """The measured curves of the scenario's target that are predicted worst."""
    return errors_by_group.worst(study.in_view, WORST_CURVES)


def reasons(curves: pd.DataFrame) -> pd.Series:
    """How many curves each known reason explains.

    Args:
        curves: as `failures` returns them.
    """
    return curves.loc[curves["reason"] != "", "reason"].value_counts()


def serving_rows() -> dict[str, int]:
    """Measured rows of serving: all, suspect (never used) and speculative by their speed alone."""
    table = catalog.table("measured_serving")
    return {
        "all": len(table),
        "suspect": int(noise_floor.suspects().sum()),
        "speculative": int(table["speculative"].sum()),
    }


def distances(study: Study) -> pd.DataFrame:
    """How far measurements lie from each other.

    Returns:
        What could be compared, one row a target and way: target, what, count, median (a
        fraction), label, short and percent.
    """
    floors = pd.DataFrame([vars(of) for of in noise_floor.floors()])
    floors["what"] = floors["what"].map(_FLOOR)
    left = study.every[study.every["left_out"] == "model"]
    runs, steps = (left[left["target"] == target] for target in ("device_hours", "tokens_per_s"))
    family = runs["model"].str.extract(r"^([A-Za-z]+)", expand=False).str.lower()
    of_family = noise_floor.within_groups(runs.assign(family=family), "family")
    of_curve = noise_floor.within_groups(steps, "curve")
    inside = [
        ("within a family", "device_hours", len(runs), of_family),
        ("within a curve", "tokens_per_s", len(steps), of_curve),
    ]
    more = pd.DataFrame(inside, columns=["what", "target", "count", "median"])
    found = pd.concat([floors, more], ignore_index=True).dropna()
    short = found["target"].map(SHORT)
    return found.assign(
        short=short, label=short + ": " + found["what"], percent=100.0 * found["median"]
    )


@dataclass(frozen=True)
class Floor:
    """What tells how far measurements of one target lie from each other.

    Attributes:
        repeats: of one configuration; None where nothing was measured twice.
        least: the closest comparison of another kind; None where there is none.
    """

    repeats: pd.Series | None
    least: pd.Series | None


def floor(study: Study, frame: pd.DataFrame) -> Floor:
    """What tells how far measurements of the scenario's target lie from each other.

    Args:
        study: the target in view.
        frame: as `distances` returns them.
    """
    own = frame[frame["target"] == study.scenario.target]
    repeats = own[own["what"] == _FLOOR["repeats"]]
    return Floor(
        repeats.iloc[0] if len(repeats) else None,
        own.iloc[int(own["median"].argmin())] if len(own) else None,
    )


def peers(study: Study) -> pd.DataFrame:
    """Errors of other models beside this book's on the same kind of rows.

    Returns:
        The table peers and a plain roofline last: id, name, version, target, short, statistic,
        value, source, ours (NaN where there are no such rows) and closer (whether theirs is).
    """
    ideal = {
        "id": PLAIN,
        "name": "Plain roofline: the datasheet, no overheads",
        "version": "",
        "target": "tpot",
        "statistic": "median",
        "value": errors_by_group.statistic(errors_by_group.datasheet(), "median"),
        "source": "Williams2009",
    }
    found = pd.concat([catalog.table("peers"), pd.DataFrame([ideal])], ignore_index=True)
    masks = [_same_kind(study.chosen, of) for of in found.to_dict("records")]
    errors = errors_by_group.summaries(study.chosen, masks)
    ours = np.array(
        [errors[name].iloc[i] for i, name in enumerate(found["statistic"])], dtype=float
    )
    ours[errors["rows"] == 0] = np.nan
    ahead = np.where(found["statistic"] == "within_2x", -1.0, 1.0) * (ours - found["value"])
    return found.assign(
        version=found["version"].fillna(""),
        short=found["target"].map(SHORT),
        ours=ours,
        closer=ahead > 0,
    )


def _same_kind(rows: pd.DataFrame, peer: Mapping[Any, Any]) -> np.ndarray:
    """Which rows are of the kind that a peer's figure was computed over."""
    same = rows["target"] == peer["target"]
    if peer["id"].startswith("ecologits"):
        same &= rows["xpu"].str.startswith("H100")
    if "mpt" in peer["id"]:
        same &= rows["model"].str.contains("mpt", case=False)
    return same.to_numpy()


def sources() -> pd.DataFrame:
    """Where measurements come from: what, table, rows, checked (a share), source (keys)."""
    rows = []
    for name, what in _TABLES.items():
        table = catalog.table(name)
        keys = dict.fromkeys(key for cell in table["source"] for key in cell.split(";"))
        rows.append((what, name, len(table), float(table["checked"].mean()), ";".join(keys)))
    return pd.DataFrame(rows, columns=["what", "table", "rows", "checked", "source"])
