"""The tables of the chapter on validation, in words."""

import pandas as pd

from llmecon import words
from llmecon.checks import noise_floor
from llmecon.studies.validation import frames, publishers

STATISTICS = {
    "median": "median error",
    "mean": "mean error",
    "worst": "worst error",
    "within_2x": "within 2x",
}
"""Figures of the table peers as a reader calls them."""


def by_left_out(groups: pd.DataFrame) -> pd.DataFrame:
    """Errors of every target by what was left out.

    Args:
        groups: as `frames.by_left_out` returns them.
    """
    return pd.DataFrame(
        {
            "Quantity": groups["name"],
            "Left out": groups["without"],
            "Rows": groups["rows"].map("{:,}".format),
            "Median": groups["median"].map(words.percent),
            "Mean": groups["mean"].map(words.percent),
            "Over models": groups["over_models"].map(words.percent),
            "Within 2x": groups["within_2x"].map(words.percent),
            "Bias": [f"{words.number(100.0 * bias)}%" for bias in groups["bias"]],
            "In 90% interval": groups["covered"].map(words.percent),
            "Interval's upper end": ["+" + words.percent(end - 1.0) for end in groups["width"]],
        }
    )


def by_publishers_left_out() -> pd.DataFrame:
    """Errors, coverage and widths for servers that others set up."""
    found = publishers.errors()
    return pd.DataFrame(
        {
            "Quantity": found["what"],
            "Server taken for": found["taken_for"],
            "Rows": found["rows"].map("{:,}".format),
            "Median": found["median"].map(words.percent),
            "Within 2x": found["within_2x"].map(words.percent),
            "Bias": [words.signed_percent(bias) for bias in found["bias"]],
            "In 90% interval": found["inside"].map(words.percent),
            "Mean over publishers": found["over_publishers"].map(words.percent),
            "Worst quarter": found["worst_quarter"].map(words.percent),
            "Interval's upper end": ["+" + words.percent(end - 1.0) for end in found["width"]],
        }
    )


def fitted(parameters: pd.DataFrame) -> pd.DataFrame:
    """Fitted parameters with their intervals.

    Args:
        parameters: as `frames.fitted` returns them.
    """
    return pd.DataFrame(
        {
            "Parameter": parameters["reading"],
            "Value": parameters["value"].map(words.number),
            "90% interval": _spans(parameters),
            "Unit": parameters["unit"],
            "From": parameters["source"].map(words.sources),
        }
    )


def effects(strongest: pd.DataFrame) -> pd.DataFrame:
    """Effects of groups on fitted parameters.

    Args:
        strongest: as `frames.effects` returns them.
    """
    odds = strongest["scale"].map({"logit": "odds of "}).fillna("")
    return pd.DataFrame(
        {
            "Group": strongest["group"].str.replace(":", ", "),
            "Parameter": odds + strongest["reading"],
            "Times": strongest["factor"].map(words.number),
            "90% interval": _spans(strongest),
            "Rows": strongest["curves"].map("{:,}".format),
        }
    )


def failures(curves: pd.DataFrame) -> pd.DataFrame:
    """The measured curves that are predicted worst.

    Args:
        curves: as `frames.failures` returns them.
    """
    return pd.DataFrame(
        {
            "Model": curves["model"],
            "On": curves["xpu"],
            "Engine": curves["engine"].replace("", "–"),
            "Precision": curves["precision"],
            "Rows": curves["rows"],
            "Median error": curves["error"].map(words.percent),
            "Ratio": curves["ratio"].map(words.number),
            "Known reason": curves["reason"].replace("", "none known"),
        }
    )


def unused() -> pd.DataFrame:
    """Rows of serving that are never used, by reason."""
    suspects = noise_floor.suspects()
    return pd.DataFrame({"Reason": suspects.index, "Rows": suspects.to_numpy()})


def peers(others: pd.DataFrame) -> pd.DataFrame:
    """Errors of other models beside this book's.

    Args:
        others: as `frames.peers` returns them.
    """
    rows = [
        (
            f"{of['name']} {of['version']}".strip(),
            of["short"],
            STATISTICS[of["statistic"]],
            words.percent(of["value"]),
            "–" if pd.isna(of["ours"]) else words.percent(of["ours"]),
            words.sources(of["source"]),
        )
        for of in others.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["Model", "Quantity", "Figure", "Theirs", "Ours", "Source"])


def honesty(groups: pd.DataFrame) -> dict[str, object]:
    """Intervals that hold clearly less or more than they claim, in words, and the others.

    Args:
        groups: as `frames.by_left_out` returns them.
    """
    found = frames.dishonest(groups)

    def named(rows: pd.DataFrame) -> list[str]:
        return [
            f"{of['short']} with {of['without']} left out ({words.percent(of['covered'])})"
            for of in rows.to_dict("records")
        ]

    return {
        "narrow": named(found["narrow"]),
        "wide": named(found["wide"]),
        "others": found["others"],
    }


def closer(others: pd.DataFrame) -> list[str]:
    """Other models that are closer to measurements than this book's, and by which figure.

    Args:
        others: as `frames.peers` returns them.
    """
    ahead = others[others["closer"] & (others["id"] != frames.PLAIN)]
    return [
        f"{of['name']} ({of['short']}, {STATISTICS[of['statistic']]})"
        for of in ahead.to_dict("records")
    ]


def sources() -> pd.DataFrame:
    """Where the measurements come from."""
    of = frames.sources()
    return pd.DataFrame(
        {
            "Measurements": of["what"],
            "Table": of["table"],
            "Rows": of["rows"].map("{:,}".format),
            "Checked": of["checked"].map(words.percent),
            "Sources": of["source"].map(words.sources),
        }
    )


def _spans(frame: pd.DataFrame) -> list[str]:
    return [
        words.span(low, high, "") for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
