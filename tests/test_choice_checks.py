"""The solver against enumeration and other searches: what the tables say, and some of it again."""

import pandas as pd
import pytest

from benchmarks import choices
from llmecon import catalog, choice, problem, terms

# Of a model and a few engines only, so that they take seconds.
AGAIN = 3
REFUSED = 1


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


def test_the_cheapest_problems_come_out_again(checks: pd.DataFrame):
    quick = checks[checks["cost"].notna()].nsmallest(AGAIN, "engines")
    refused = checks[checks["cost"].isna()].nsmallest(REFUSED, "engines")
    for seed, row in pd.concat([quick, refused]).iterrows():
        of = terms.case(problem.problem(choices.described(int(str(seed)))))
        assert len(of.of.names) == row["engines"]
        found = choice.whole(of)
        if pd.isna(row["cost"]):
            assert isinstance(found, choice.Clash)
        else:
            assert isinstance(found, choice.Plan)
            assert found.cost == pytest.approx(row["cost"], rel=1e-5), seed


def test_a_problem_is_that_of_its_seed():
    assert choices.described(7) == choices.described(7)
    assert choices.described(7) != choices.described(8)


def test_searches_are_compared_on_the_same_problems():
    curves = catalog.table("search_curves")
    methods = {"random", "cma-es", "bayesian", "enumeration", "gradient"}
    for _, of in curves.groupby(["size", "problem"]):
        assert methods <= set(of["method"])
    by_chance = curves[curves["method"].isin(["random", "cma-es", "bayesian"])]
    for _, of in by_chance.groupby(["size", "problem", "method"]):
        assert of["evaluations"].is_monotonic_increasing
        # The best so far never gets worse.
        assert of["regret"].is_monotonic_decreasing
    assert (curves["regret_low"] <= curves["regret"]).all()
    assert (curves["regret"] <= curves["regret_high"]).all()
    last = curves[curves["method"] == "gradient"].groupby(["size", "problem"])["regret"].last()
    assert (last.abs() < 1e-6).all()
