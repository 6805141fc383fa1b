"""Servers that others set up: how far predictions are that saw nothing of the publisher, as frames.

The physics is that of a server tuned as the best public benchmarks. Most servers are not: chapters
and commands take them for typical, unless told otherwise, or for what own rows say of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from llmecon.checks import left_out_publishers
from llmecon.checks.left_out_publishers import ALL, BEST, OWN, TYPICAL
from llmecon.evidence.deployment_fit import FEW
from llmecon.studies.quantities import Quantity

READINGS: Mapping[str, str] = {
    "tpot": "TPOT",
    "throughput": "throughput of few requests",
    "backlog": "throughput of a backlog",
    "ttft": "TTFT",
}
"""What several publishers measured, as a reader calls it. Energy is told by one alone."""

TAKEN_FOR: Mapping[str, str] = {
    BEST: "tuned as the best",
    TYPICAL: "typical",
    OWN: f"own, {FEW} rows known",
}
"""What a server is taken for, by prediction."""

NAMES: Mapping[str, str] = {
    "amd": "AMD",
    "argonne": "Argonne",
    "aws": "AWS",
    "dstack": "dstack",
    "intel": "Intel",
    "nvidia": "NVIDIA",
    "sglang": "SGLang's cookbook",
}
"""Publishers, as they call themselves."""

CLAIMED = 0.9
"""Share that the intervals claim to hold."""


@cache
def _summary() -> pd.DataFrame:
    found = left_out_publishers.summary()
    found = found[found["reading"].isin(list(READINGS))]
    order = {name: place for place, name in enumerate([*READINGS, *TAKEN_FOR])}
    return found.sort_values(["reading", "prediction"], key=lambda of: of.map(order))


def errors() -> pd.DataFrame:
    """Errors, coverage and widths over all publishers.

    Returns:
        One row a reading and prediction, as of `left_out_publishers.summary`, with what and
        taken_for, their names.
    """
    found = _summary()
    found = found[found["publisher"] == ALL]
    return found.assign(
        what=found["reading"].map(READINGS), taken_for=found["prediction"].map(TAKEN_FOR)
    )


def coverage() -> pd.DataFrame:
    """Coverage of 90% intervals by publisher.

    Returns:
        One row a reading and publisher: label, what, percent (coverage of typical servers'
        intervals), best_percent (of those for servers tuned as the best), rows.
    """
    found = _summary()
    found = found[found["publisher"] != ALL].set_index(["reading", "publisher", "prediction"])
    rows: list[dict[str, Any]] = []
    for reading, what in READINGS.items():
        of = found.loc[reading]["inside"].unstack()  # publisher x prediction
        counts = found.loc[reading]["rows"].groupby(level=0).first()
        for publisher in of.sort_values(TYPICAL).index:
            rows.append(
                {
                    "label": f"{what} by {NAMES.get(publisher, publisher)}",
                    "what": what,
                    "percent": 100.0 * of.loc[publisher, TYPICAL],
                    "best_percent": 100.0 * of.loc[publisher, BEST],
                    "rows": int(counts[publisher]),
                }
            )
    return pd.DataFrame(rows)


def covered() -> Quantity:
    """How often ranges for typical servers hold, as a headline number.

    Each publisher's measurements of each quantity count once, however many there are.
    """
    of = coverage()
    names = len({name for name in NAMES if of["label"].str.endswith(f"by {NAMES[name]}").any()})
    return Quantity(
        "typical_covered",
        float(of["percent"].mean()) / 100.0,
        "fraction",
        f"of what {names} other publishers measured lies in the 90% intervals for typical "
        "servers, computed without the publisher",
    )


@dataclass(frozen=True)
class Finding:
    """What publishers left out say.

    Attributes:
        few: how many rows of a publisher are known in `own`.
        publishers: how many there are.
        rows: how many of their measurements.
        best: for each reading, the row of `errors` of servers tuned as the best.
        typical: the same of typical ones.
        own: the same with a few rows known.
        missed: rows of `coverage` whose typical interval holds clearly less than it claims.
    """

    few: int
    publishers: int
    rows: int
    best: pd.DataFrame
    typical: pd.DataFrame
    own: pd.DataFrame
    missed: pd.DataFrame


def finding() -> Finding:
    """What to conclude from publishers that were left out."""
    of = errors()
    by = coverage()
    cases = left_out_publishers.cases()
    best, typical, own = (
        of[of["prediction"] == prediction].set_index("reading") for prediction in TAKEN_FOR
    )
    return Finding(
        few=FEW,
        publishers=int(cases["publisher"].nunique()),
        rows=len(cases[["kind", "id"]].drop_duplicates()),
        best=best,
        typical=typical,
        own=own,
        missed=by[by["percent"] < 100.0 * (CLAIMED - 0.1)],
    )
