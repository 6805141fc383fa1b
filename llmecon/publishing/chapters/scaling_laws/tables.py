"""The tables of the chapter on scaling laws, in words."""

from collections.abc import Sequence

import pandas as pd

from llmecon import words
from llmecon.studies.scaling_laws import frames
from llmecon.studies.scaling_laws.study import Study
from llmecon.studies.scaling_laws.trained import RULES, HeldOut

# Captions of tables.
CONSTANTS = "The constants, fitted here and as published; standard errors in brackets"
CHANGES = "What the answers become if something changes"
PUBLISHED = "Published models, and how much they must serve for their training to pay"
HELD_OUT = "How far off predictions of larger runs are, by which runs are held out"


def constants(of: pd.DataFrame) -> pd.DataFrame:
    """The constants of the law.

    Args:
        of: as `frames.constants` returns them.
    """
    rows = [
        (
            name,
            f"{_three(row['refit'])} ({_two(row['bootstrap'])})",
            _two(row["curvature"]),
            f"{_three(row['published'])} ({_two(row['standard_error'])})",
            f"{abs(row['apart']):.1f}",
            words.number(row["printed"], 4),
            words.number(row["digits"], 5),
        )
        for name, row in of.iterrows()
    ]
    columns = [
        "Constant",
        "Fitted here (bootstrap)",
        "error by curvature",
        "Besiroglu and others",
        "apart, in their errors",
        "Hoffmann and others, printed",
        "with more digits",
    ]
    return pd.DataFrame(rows, columns=columns)


def near(study: Study) -> pd.DataFrame:
    """The best size, and the smallest and largest that come near it.

    Args:
        study: whose sizes.
    """
    rows = [
        (
            of["of"],
            words.number(of["parameters"]),
            words.number(of["tokens"]),
            words.number(of["tokens"] / of["parameters"]),
            words.number(of["loss"], 4),
            f"{words.number(of['serving'])} times",
        )
        for of in frames.near(study).to_dict("records")
    ]
    columns = [
        "Model",
        "Parameters",
        "Tokens",
        "Tokens per parameter",
        "Loss [nats]",
        "Cost of serving a token",
    ]
    return pd.DataFrame(rows, columns=columns)


def changes(of: pd.DataFrame) -> pd.DataFrame:
    """What the answers become if something changes.

    Args:
        of: as `frames.changes` returns them.
    """
    rows = [
        (
            row["of"],
            f"{words.number(row['parameters'])} on {words.number(row['tokens'])}",
            f"{words.number(row['served_parameters'])} on {words.number(row['served_tokens'])}",
            words.percent(row["saving"] if row["saving"] > 1e-6 else 0.0),
            f"{words.number(row['scarce_loss'], 4)}, "
            f"tokens seen {words.number(row['passes'])} times",
        )
        for row in of.to_dict("records")
    ]
    columns = [
        "",
        "Best size for the budget",
        "Cheapest of that loss in its life",
        "saves",
        "Lowest loss on the unique tokens",
    ]
    return pd.DataFrame(rows, columns=columns)


def published(of: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Some published models against the law.

    Args:
        of: as `trained.published` returns them.
        names: of the models to show.
    """
    shown = of[of["name"].isin(list(names))].sort_values(["release", "name"])
    rows = [
        (
            row["name"],
            str(row["year"]),
            words.number(row["parameters"]),
            words.number(row["ratio"]),
            words.number(row["best"]),
            words.signed_percent(row["loss"] / row["lowest"] - 1.0),
            words.number(row["demand"]) if row["demand"] > 0 else "none",
        )
        for row in shown.to_dict("records")
    ]
    columns = [
        "Model",
        "Released",
        "Parameters",
        "Tokens per parameter",
        "of the best size for its compute",
        "Loss above that size's",
        "Tokens served for which its training pays",
    ]
    return pd.DataFrame(rows, columns=columns)


def held_out(of: Sequence[HeldOut]) -> pd.DataFrame:
    """How far off predictions of larger runs are.

    Args:
        of: what each rule holds out.
    """
    rows = [
        (
            RULES[one.rule],
            words.number(len(one.rows), 3),
            words.percent(one.median),
            words.percent(one.largest),
            words.percent(one.inside),
            f"{words.number(100 * one.median_points)} points",
        )
        for one in of
    ]
    columns = [
        "Held out",
        "Runs",
        "Loss off by, median",
        "at most",
        "inside the 90% interval",
        "Mean error off by, median",
    ]
    return pd.DataFrame(rows, columns=columns)


def _three(value: float) -> str:
    return words.number(value, 4 if value < 1000 else 3)


def _two(value: float) -> str:
    return words.number(value, 2)
