"""How well publishers are predicted of whom the fits saw nothing: errors, coverage and widths."""

import pandas as pd
import pytest

from llmecon.checks import left_out_publishers
from llmecon.checks.left_out_publishers import ALL, BEST, OWN, TYPICAL
from llmecon.evidence import published


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    return left_out_publishers.summary().set_index(["reading", "prediction", "publisher"])


# Of publishers that the fit saw nothing of: median error; least share in the interval over rows,
# and over publishers; greatest median width, as a factor either way. Backlogs are of three
# publishers, one of which measured five times less than any well tuned system reaches.
BOUNDS = {
    "tpot": (0.27, 0.85, 0.88, 2.6),
    "throughput": (0.27, 0.85, 0.88, 2.6),
    "backlog": (0.3, 0.85, 0.65, 3.0),
    "ttft": (0.47, 0.92, 0.94, 5.6),
}
# Least share in the interval in any quarter of the rows, by what was predicted. Most of what lies
# outside is of one publisher, who measured a sparse model within weeks of its release.
WORST_QUARTER = {"tpot": 0.83, "throughput": 0.76, "backlog": 0.88, "ttft": 0.84}


@pytest.mark.parametrize("reading", BOUNDS)
def test_publishers_left_out_stay_bounded(summary: pd.DataFrame, reading: str) -> None:
    median, inside, over_publishers, width = BOUNDS[reading]
    found = summary.loc[(reading, TYPICAL, ALL)]
    assert found["median"] <= median
    assert found["inside"] >= inside
    assert found["over_publishers"] >= over_publishers
    assert found["width"] <= width
    assert found["worst_quarter"] >= WORST_QUARTER[reading]


# From five of a source's rows: median error, least share in the interval, greatest median width.
FROM_FIVE = {
    "tpot": (0.16, 0.82, 1.7),
    "throughput": (0.11, 0.85, 1.7),
    "backlog": (0.21, 0.88, 2.4),
    "ttft": (0.32, 0.89, 3.2),
}


@pytest.mark.parametrize("reading", FROM_FIVE)
def test_five_own_rows_narrow_what_is_predicted(summary: pd.DataFrame, reading: str) -> None:
    median, inside, width = FROM_FIVE[reading]
    found = summary.loc[(reading, OWN, ALL)]
    assert found["median"] <= median
    assert found["inside"] >= inside
    assert found["width"] <= width
    assert found["width"] < summary.loc[(reading, TYPICAL, ALL), "width"]


def test_a_benchmark_that_tunes_every_system_is_not_what_people_publish(
    summary: pd.DataFrame,
) -> None:
    """Without the levels, intervals hold half of what they claim, and too fast is predicted."""
    for reading in ("tpot", "throughput"):
        best, typical = (summary.loc[(reading, of, ALL)] for of in (BEST, TYPICAL))
        assert best["inside"] < 0.5 < 0.85 < typical["inside"]
        assert abs(typical["bias"]) < 0.5 * abs(best["bias"])


def test_every_published_row_was_left_out() -> None:
    known = published.known()
    known = known[known["quantity"] != "energy"]  # measured by one publisher alone
    found = left_out_publishers.cases()
    assert (found["prediction"] == TYPICAL).sum() == len(known)
