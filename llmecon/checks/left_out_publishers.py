"""How far predictions are from what publishers measured whom the fits saw nothing of.

Three predictions stand beside each other: of a deployment tuned as the best public benchmarks, of a
typical one by levels that saw nothing of the publisher, and of one of which five rows were given.
"""

import numpy as np
import pandas as pd

from llmecon.evidence import published
from llmecon.evidence.bayesian_fit import NINETY
from llmecon.evidence.deployment_fit import FEW
from llmecon.tables import catalog

BEST, TYPICAL, OWN = "as the best", "typical", f"from {FEW} rows"
# What stands for all publishers together in a summary.
ALL = "all"


def cases() -> pd.DataFrame:
    """Every prediction of a published row beside its measurement.

    Returns:
        One row a row, target, prediction and draw of own rows: prediction (BEST, TYPICAL or OWN),
        reading (tpot, ttft, throughput, backlog or energy), publisher, trial, predicted, measured,
        sd, ratio (predicted over measured), error (its absolute distance from 1), inside (whether
        in the 90% interval).
    """
    known = published.known().rename(columns={"target": "reading", "column": "target"})
    keys = ["kind", "id", "target"]
    described = known[[*keys, "reading", "publisher", "measured"]]
    best = known[[*keys, "predicted", "sd"]].assign(prediction=BEST, trial=0)
    left_out = catalog.table("published_held_out")
    left_out = left_out.assign(prediction=np.where(left_out["own_rows"] > 0, OWN, TYPICAL))
    found = pd.concat([best, left_out[[*keys, "predicted", "sd", "prediction", "trial"]]])
    found = found.merge(described, on=keys, validate="many_to_one")
    ratio = found["predicted"] / found["measured"]
    inside = np.abs(np.log(ratio)) <= NINETY * found["sd"]
    return found.assign(ratio=ratio, error=(ratio - 1.0).abs(), inside=inside)


def summary() -> pd.DataFrame:
    """Errors, coverage and widths, for all rows together and by publisher.

    Returns:
        One row a reading, prediction and publisher, with ALL for every row and publisher: rows,
        median (error), within_2x, bias (median of predicted over measured, less 1), inside (share
        in the 90% interval), over_publishers (mean of their shares), worst_quarter (the least share
        among quarters of the rows, by what was predicted), width (median factor between a
        prediction and the end of its interval).
    """
    every = cases()
    keys = ["reading", "prediction", "publisher"]
    found = []
    for of in (every.assign(publisher=ALL, by=every["publisher"]), every.assign(by="one")):
        for group, rows in of.groupby(keys, sort=False):
            found.append(dict(zip(keys, group, strict=True)) | _figures(rows))
    return pd.DataFrame(found)


def _figures(rows: pd.DataFrame) -> dict[str, float]:
    ratio = rows["ratio"]
    return {
        "rows": len(rows[["kind", "id"]].drop_duplicates()),
        "median": float(rows["error"].median()),
        "within_2x": float(ratio.between(0.5, 2.0).mean()),
        "bias": float(ratio.median() - 1.0),
        "inside": float(rows["inside"].mean()),
        "over_publishers": float(rows.groupby("by")["inside"].mean().mean()),
        "worst_quarter": float(rows["inside"].groupby(_quarter(rows["predicted"])).mean().min()),
        "width": float(np.exp(NINETY * rows["sd"].median())),
    }


def _quarter(values: pd.Series) -> pd.Series:
    """In which quarter of all of them each lies: 0 to 3."""
    return ((values.rank(method="first") - 1.0) * 4.0 / len(values)).astype(int)
