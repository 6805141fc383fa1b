"""The solver against enumeration and other searches: what the tables say, and some of it again."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmarks import choices, searches
from llmecon.tables import catalog

COSTS = (
    *("parts_cost", "exact_parts_cost", "exact_parts_bound"),
    *("cost", "exact_cost", "exact_bound"),
)
# What two accelerators rent for where they cost the same: no other's rent.
DEGENERATE_RENT = 2.5
# Money, carbon and waiting all cost in it, and no two accelerators tie.
SEARCHED = (13, "small")


@pytest.fixture(scope="module")
def checks() -> pd.DataFrame:
    return catalog.table("choice_checks").set_index("seed")


@pytest.fixture(scope="module")
def feasible(checks: pd.DataFrame) -> pd.DataFrame:
    return checks[checks["exact_cost"].notna()]


def test_all_problems_are_there_with_hard_ones_among_them(checks: pd.DataFrame):
    assert sorted(checks.index) == list(range(choices.PROBLEMS))
    kinds = checks["kind"].value_counts()
    assert kinds["infeasible"] >= 20
    assert kinds["degenerate"] >= 20
    assert checks["limits"].max() >= 2
    assert checks["buckets"].max() == 3


def test_both_agree_on_what_is_possible(checks: pd.DataFrame):
    assert (checks["cost"].isna() == checks["exact_cost"].isna()).all()
    assert (checks["exact_cost"].isna() == (checks["kind"] == "infeasible")).all()


def test_whole_fleets_are_within_a_thousandth_of_enumeration(feasible: pd.DataFrame):
    difference = feasible["cost"] / feasible["exact_cost"] - 1.0
    assert (difference <= 1e-3).mean() >= 0.99
    assert difference.max() < 1e-2
    pd.testing.assert_series_equal(difference, feasible["difference"], check_names=False, atol=2e-8)


def test_nothing_is_cheaper_than_its_bound(feasible: pd.DataFrame):
    assert (feasible["cost"] >= feasible["exact_bound"] * (1.0 - 1e-8)).all()
    parts = feasible.dropna(subset=["parts_cost", "exact_parts_bound"])
    assert (parts["parts_cost"] >= parts["exact_parts_bound"] * (1.0 - 1e-8)).all()
    assert (parts["parts_cost"] <= parts["exact_parts_cost"] * (1.0 + 1e-5)).all()
    assert (parts["cost"] >= parts["parts_cost"] * (1.0 - 1e-8)).all()


@pytest.mark.parametrize("kind", ["feasible", "degenerate", "infeasible"])
def test_the_quickest_problem_of_a_kind_comes_out_again(checks: pd.DataFrame, kind: str):
    row = checks[checks["kind"] == kind].nsmallest(1, "exact_seconds").iloc[0]
    again = choices.check(int(row.name))
    assert again["kind"] == kind
    assert choices.agrees(again)
    for name in ("engines", "buckets", "limits"):
        assert again[name] == row[name]
    for name in COSTS:
        expected = np.inf if pd.isna(row[name]) else row[name]
        assert again[name] == pytest.approx(expected, rel=1e-6), name
    assert math.isinf(again["cost"]) == (kind == "infeasible")


def test_agreement_is_a_thousandth_or_none_on_both_sides():
    assert choices.agrees({"cost": 1.0, "exact_cost": 1.0, "difference": 9e-4})
    assert not choices.agrees({"cost": 1.0, "exact_cost": 1.0, "difference": 2e-3})
    assert choices.agrees({"cost": np.inf, "exact_cost": np.inf, "difference": np.nan})
    assert not choices.agrees({"cost": 1.0, "exact_cost": np.inf, "difference": np.nan})
    assert not choices.agrees({"cost": np.inf, "exact_cost": 1.0, "difference": np.inf})


def test_a_problem_is_that_of_its_seed(checks: pd.DataFrame):
    drawn = {seed: choices.described(seed) for seed in range(choices.PROBLEMS)}
    assert drawn == {seed: choices.described(seed) for seed in range(choices.PROBLEMS)}
    assert len({repr(of) for of in drawn.values()}) == choices.PROBLEMS
    for seed, of in drawn.items():
        assert len(of["buckets"]) == checks.loc[seed, "buckets"]
        rents = of["choices"].get("usd_per_hour", {})
        assert set(rents) == (set() if "owned" in of else set(of["choices"]["xpus"]))
        alike = [xpu for xpu, usd in rents.items() if usd == DEGENERATE_RENT]
        assert (len(alike) == 2) == (seed % choices.DEGENERATE == 0)
        others = {xpu: usd for xpu, usd in rents.items() if xpu not in alike}
        assert others == {xpu: choices.RENTS[xpu] for xpu in others}


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return catalog.table("search_curves")


def test_searches_are_compared_on_the_same_problems(curves: pd.DataFrame):
    groups = dict(list(curves.groupby(["size", "problem"])))
    assert set(groups) == set(product(searches.SIZES, searches.PROBLEMS))
    for of in groups.values():
        assert set(of["method"]) == {*searches.SEARCHES, "enumeration", "gradient", "gradient-any"}
    least = curves.groupby("method")["regret_low"].min()
    # Only fleets that mix pools may beat the best of one pool a bucket.
    assert (least.drop("gradient-any") > -1e-7).all()


@pytest.mark.parametrize("method", searches.SEARCHES)
def test_a_search_never_forgets_its_best(curves: pd.DataFrame, method: str):
    for (size, _), of in curves[curves["method"] == method].groupby(["size", "problem"]):
        buckets = 3 if size == "fleet" else 1
        fleets = [int(noted) for noted in searches.NOTED if noted <= searches.FLEETS[method]]
        assert of["evaluations"].tolist() == [buckets * noted for noted in fleets]
        for name in ("regret_low", "regret", "regret_high"):
            # Until a fleet keeps its limits there is no regret.
            assert of[name].fillna(np.inf).is_monotonic_decreasing
        assert of["seconds"].is_monotonic_increasing
        assert (of["regret_low"].fillna(0.0) <= of["regret"].fillna(np.inf)).all()
        assert (of["regret"].fillna(0.0) <= of["regret_high"].fillna(np.inf)).all()


def test_the_solver_ends_at_the_best(curves: pd.DataFrame):
    last = curves[curves["method"] == "gradient"].groupby(["size", "problem"])["regret"].last()
    assert (last.abs() < 1e-6).all()


@pytest.mark.slow
def test_a_small_problem_is_searched_again(curves: pd.DataFrame):
    keys = ["size", "problem", "method", "evaluations"]
    regrets = ["regret_low", "regret", "regret_high"]
    again = searches.curves(*SEARCHED, methods=["random"]).set_index(keys)[regrets]
    there = curves.set_index(keys)[regrets].loc[again.index]
    assert len(again) == len(searches.GRIDS) + 3 + len(searches.NOTED)
    pd.testing.assert_frame_equal(again, there, rtol=1e-4, atol=1e-7)
