"""The levels of deployments fitted to other publishers' rows, and how well that predicts new ones.

The tables written here are `published_predictions` (what the physics says of every published row),
`deployment_levels` (the spreads) and `published_held_out` (predictions of every row by a fit that
saw nothing of its publisher, the choice of terms included).
"""

import numpy as np
import pandas as pd

from llmecon.evidence import deployment_levels, predictions, published
from llmecon.evidence.deployment_levels import CANDIDATES, Level
from llmecon.evidence.stored_fits import write_table
from llmecon.tables import catalog

# Own rows from which a held-back deployment's others are predicted, and how often it is tried.
FEW = 5
TRIALS = 5


def published_predictions() -> pd.DataFrame:
    """What the physics predicts of every published row that may be used.

    Returns:
        Rows of the table published_predictions: kind, id, target, predicted, sd, outside, crowded.
    """
    parts = []
    for kind, name in published.TABLES.items():
        rows = catalog.table(name)
        found, _ = predictions.physics(kind, rows)
        for target in predictions.TARGETS[kind]:
            part = {
                "kind": kind,
                "id": rows.loc[found.index, "id"],
                "target": target,
                "predicted": found[target],
                "sd": found[f"{target}_sd"],
                **{of: found[of] if target == "ttft" else np.nan for of in ("outside", "crowded")},
            }
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def fitted() -> dict[str, Level]:
    """The level models of all published rows, by quantity."""
    return {of: deployment_levels.chosen(published.known(), of) for of in CANDIDATES}


def held_out() -> pd.DataFrame:
    """Predictions of published rows by level models that saw nothing of their publisher.

    The terms are chosen anew without the publisher, so that what is judged did not choose.

    Returns:
        Rows of the table published_held_out: kind, id, target (as the kind's files name it),
        left_out (publisher), own_rows (how many of its rows were given), trial, predicted, sd.
        The rows given are random ones of one source, and predicted are the others of that source.
    """
    known = published.known()
    parts = []
    for quantity in CANDIDATES:
        of = known[known["quantity"] == quantity]
        for publisher in of["publisher"].unique():
            out = of["publisher"] == publisher
            if out.all():
                continue
            level = deployment_levels.chosen(of[~out], quantity)
            parts.append(_predicted(level, of[~out], of[out], 0, 0))
            parts += [
                part
                for trial in range(TRIALS)
                for part in _from_own_rows(level, of[~out], of[out], trial)
            ]
    return pd.concat(parts, ignore_index=True)


def _from_own_rows(
    level: Level, rest: pd.DataFrame, out: pd.DataFrame, trial: int
) -> list[pd.DataFrame]:
    """The other rows of a source of one publisher, from a few random ones."""
    parts = []
    for number, (_, source) in enumerate(out.groupby("source", sort=False)):
        ids = source["id"].unique()
        if len(ids) <= FEW:
            continue
        generator = np.random.default_rng([trial, number])
        own = source["id"].isin(generator.choice(ids, FEW, replace=False))
        known = pd.concat([rest, source[own]])
        parts.append(_predicted(level, known, source[~own], FEW, trial))
    return parts


def _predicted(
    level: Level, known: pd.DataFrame, asked: pd.DataFrame, own: int, trial: int
) -> pd.DataFrame:
    found = deployment_levels.expected(level, known, asked)
    return pd.DataFrame(
        {
            "kind": asked["kind"],
            "id": asked["id"],
            "target": asked["column"],
            "left_out": asked["publisher"],
            "own_rows": own,
            "trial": trial,
            "predicted": asked["predicted"] * np.exp(asked["sign"] * found.mean),
            "sd": found.sd,
        }
    )


def write() -> None:
    """Fit the levels anew and store them with the predictions that they rest on."""
    write_table(published_predictions(), "published_predictions")
    published.known.cache_clear()
    write_table(deployment_levels.as_table(fitted()), "deployment_levels")
    published.levels.cache_clear()


def write_held_out() -> None:
    """Store the record of leave-outs."""
    write_table(held_out(), "published_held_out")
