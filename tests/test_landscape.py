"""The choice seen from above: against choosing afresh, and against finite differences."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from llmecon import choice, landscape, terms
from llmecon.choice import Relaxed
from llmecon.problem import problem
from llmecon.terms import Case
from tests.test_sensitivity import CHAT, LONG, PLAIN

# Limits that every accelerator can keep.
EASY = [CHAT | {"ttft": 6.0, "tpot": 0.15}, LONG | {"ttft": 12.0, "tpot": 0.15}]
APART: dict[str, Any] = PLAIN | {
    "buckets": EASY,
    "choices": PLAIN["choices"] | {"disaggregated": True},
}


@pytest.fixture(scope="module")
def of() -> Case:
    return terms.case(problem(APART))


def least(of: Case) -> float:
    found = choice.relaxed(of)
    assert isinstance(found, Relaxed)
    return found.plan.cost


def of_one(of: Case, xpu: str) -> Case:
    places = [at for at, name in enumerate(of.of.names) if name.xpu == xpu]
    return landscape.kept(of, np.array(places))


def test_an_accelerator_alone_costs_what_choosing_from_it_alone_does(of: Case):
    alone = landscape.alone(of, of.free)
    costs = dict(zip(alone.xpus, alone.serving(of.of.rates), strict=True))
    assert set(costs) == {"h100-sxm", "mi300x", "a100-sxm-80gb"}
    for xpu, cost in costs.items():
        # Engines are looked at on a grid here, so not quite at their best.
        assert least(of_one(of, xpu)) <= cost * (1.0 + 1e-9)
        assert cost == pytest.approx(least(of_one(of, xpu)), rel=5e-3), xpu
    assert np.all(alone.least <= np.minimum(alone.whole, alone.apart))


def test_a_bucket_that_nobody_asks_for_does_not_count(of: Case):
    costs = np.array([[1.0, np.inf], [2.0, 3.0]])
    alone = landscape.Alone(("one", "other"), costs, np.full_like(costs, np.inf))
    np.testing.assert_array_equal(alone.serving(np.array([5.0, 0.0])), [5.0, 10.0])
    np.testing.assert_array_equal(alone.serving(np.array([5.0, 1.0])), [np.inf, 13.0])


def test_leading_engines_hold_the_cheapest_of_each_accelerator(of: Case):
    costs = landscape.request_costs(of, of.free)
    first = landscape.leading(of, costs)
    assert len(first) < len(of.of.names)
    everything, some = (
        landscape.by_xpu(case, rows)
        for case, rows in ((of, costs), (landscape.kept(of, first), costs[first]))
    )
    np.testing.assert_allclose(some.least, everything.least)


def test_a_place_on_the_map_is_a_choice_of_its_own(of: Case):
    prompts, tpots = (200.0, 1500.0, 9000.0), (0.02, 0.06)
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[:1], of.of.demand)
    frame, _, alone = landscape.across(of, of.free, one, prompts, tpots)
    assert list(frame["prompt_tokens"]) == [*prompts, *prompts]
    for at in (1, 3):
        here = EASY[0] | {
            "per_second": 1.0,
            "prompt_tokens": frame["prompt_tokens"][at],
            "tpot": frame["tpot_s"][at],
        }
        afresh = terms.case(problem(APART | {"buckets": [here]}))
        assert alone.least[:, at].min() == pytest.approx(least(afresh), rel=1e-2)


def test_along_a_line_as_across_a_map(of: Case):
    one = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[:1], 3), of.of.demand)
    longer = eqx.tree_at(lambda d: d.workload.prompt_tokens, one, np.array([500.0, 1000.0, 2000.0]))
    _, alone = landscape.along(of, of.free, longer)
    assert alone.least.shape == (3, 3)
    # A longer prompt is never cheaper.
    assert np.all(np.diff(alone.least, axis=1) > 0.0)


HOLDS = {
    "tpot": {"ttft": 100.0, "tpot": 0.03},
    "memory": {"ttft": 1e4, "tpot": 10.0, "prompt_tokens": 20_000, "output_tokens": 2000},
}


@pytest.mark.parametrize("holds", HOLDS)
def test_what_holds_a_filling(holds: str):
    described = PLAIN | {
        "buckets": [CHAT | HOLDS[holds]],
        "choices": PLAIN["choices"] | {"xpus": ["h100-sxm"]},
    }
    of = terms.case(problem(described))
    found = choice.relaxed(of)
    assert isinstance(found, Relaxed)
    assert landscape.held_by(of, found.plan) == (holds,)


def test_the_course_of_one_engine_ends_where_the_solver_stops():
    described = PLAIN | {"buckets": [CHAT], "choices": PLAIN["choices"] | {"xpus": ["h100-sxm"]}}
    of = terms.case(problem(described))
    found = choice.relaxed(of)
    assert isinstance(found, Relaxed)
    columns = found.plan.columns
    path, ends = landscape.course(of, of.free, int(columns.engine[0]), 0)
    assert ends["best"] == pytest.approx(columns.filling[0], rel=1e-3)
    assert ends["best"] == min(ends.values())
    # The slope is that of the cost by the filling's logarithm.
    log = np.log(path["filling"].to_numpy())
    slope = np.gradient(path["cost"].to_numpy(), log)[1:-1]
    np.testing.assert_allclose(path["slope"].to_numpy()[1:-1], slope, rtol=0.02)
    at = np.interp(np.log(ends["best"]), log, path["cost"].to_numpy())
    assert at * of.of.rates[0] == pytest.approx(found.plan.cost, rel=1e-3)


def test_requests_asked_for_anew_know_no_limits_on_the_fleet():
    limited = terms.case(problem(PLAIN | {"caps": {"kw": 1.0}}))
    free = landscape.asked(limited, limited.of.demand)
    assert not free.limits.names
    assert least(free) > 0.0
    unlimited = dataclasses.replace(free, of=dataclasses.replace(free.of, rates=limited.of.rates))
    assert least(unlimited) == pytest.approx(least(terms.case(problem(PLAIN))), rel=1e-9)
