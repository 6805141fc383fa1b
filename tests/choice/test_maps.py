"""The choice seen from above: against choosing afresh, the serving model and finite differences."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import choice, serving, specs
from llmecon.choice import Plan, Relaxed, maps, objective
from llmecon.choice.description import problem
from llmecon.choice.filling import EngineName
from llmecon.choice.maps import Alone
from llmecon.choice.objective import Case
from llmecon.specs import Instance
from llmecon.tables import catalog
from tests.choice.problems import CHAT, LONG, PLAIN, RENTS

pytestmark = pytest.mark.slow

# Limits that every accelerator can keep.
EASY = [CHAT | {"ttft": 6.0, "tpot": 0.15}, LONG | {"ttft": 12.0, "tpot": 0.15}]
APART: dict[str, Any] = PLAIN | {
    "buckets": EASY,
    "choices": PLAIN["choices"] | {"disaggregated": True},
}
ONE_XPU = PLAIN["choices"] | {"xpus": ["h100-sxm"]}
PROMPTS = tuple(np.geomspace(200.0, 9000.0, 7))
TPOTS = tuple(np.geomspace(0.02, 0.15, 6))
# Compiling takes longer than running.
QUICK: Any = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="module")
def case() -> Case:
    return objective.case(problem(APART))


@pytest.fixture(scope="module")
def costs(case: Case) -> np.ndarray:
    return maps.request_costs(case, case.free)


@pytest.fixture(scope="module")
def alone(case: Case) -> Alone:
    return maps.alone(case, case.free)


def in_parts(case: Case) -> Plan:
    found = choice.relaxed(case)
    assert isinstance(found, Relaxed)
    return found.plan


def cheapest(**changes: Any) -> float:
    """The least cost per second of a problem with some changes."""
    found = choice.best_in_parts(problem(APART | changes))
    return found.cost if isinstance(found, Plan) else np.inf


def places(case: Case, xpu: str, *roles: str) -> np.ndarray:
    return np.array(
        [at for at, name in enumerate(case.options.names) if name.xpu == xpu and name.role in roles]
    )


def instance(name: EngineName, asked: dict[str, Any]) -> tuple[Any, ...]:
    """What the serving model wants to know of an engine and requests."""
    engine = Instance(
        catalog.llm("llama-3.1-70b"),
        catalog.xpu(name.xpu),
        specs.Deployment(float(name.tensor), 1.0, 1.0, specs.precision("fp8")),
        catalog.efficiency(catalog.system("llama-3.1-70b", name.xpu, precision="fp8")),
    )
    return engine, specs.Workload(asked["prompt_tokens"], asked["output_tokens"])


def test_an_accelerator_alone_costs_what_choosing_from_it_alone_does(case: Case, alone: Alone):
    found = dict(zip(alone.xpus, alone.serving(case.options.rates), strict=True))
    assert list(found) == ["h100-sxm", "mi300x", "a100-sxm-80gb"]
    for xpu, cost in found.items():
        least = cheapest(choices=APART["choices"] | {"xpus": [xpu]})
        # Engines are looked at on a grid here, so not quite at their best.
        assert least <= cost * (1.0 + 1e-9)
        assert cost == pytest.approx(least, rel=5e-3), xpu


def test_alone_in_one_role_or_in_two(case: Case, alone: Alone):
    np.testing.assert_array_equal(alone.least, np.minimum(alone.whole, alone.apart))
    for roles, found in (("whole",), alone.whole), (("prefill", "decode"), alone.apart):
        for at, xpu in enumerate(alone.xpus):
            least = in_parts(maps.kept(case, places(case, xpu, *roles))).cost
            assert found[at] @ case.options.rates == pytest.approx(least, rel=5e-3), (xpu, roles)


def test_a_request_costs_the_rent_over_the_capacity(case: Case, costs: np.ndarray):
    """Where only money counts an instance is best kept full, as the serving model has it."""
    capacity_of = jax.jit(serving.capacity, compiler_options=QUICK)
    whole = [at for at, name in enumerate(case.options.names) if name.role == "whole"]
    assert len(whole) == 9
    for at in whole:
        name = case.options.names[at]
        rent = name.devices * RENTS[name.xpu] / 3600.0
        for bucket, asked in enumerate(EASY):
            target = specs.LatencyTarget(asked["ttft"], asked["tpot"])
            capacity = capacity_of(*instance(name, asked), target)
            assert costs[at, 0, bucket] == pytest.approx(rent / float(capacity.rate), rel=1e-3), (
                name
            )


def test_some_engines_are_the_problem_that_has_no_others():
    described = PLAIN | {"caps": {"devices": {"mi300x": 24.0}, "kw": 50.0}}
    of = objective.case(problem(described))
    few = maps.kept(of, places(of, "mi300x", "whole"))
    afresh = objective.case(
        problem(described | {"choices": PLAIN["choices"] | {"xpus": ["mi300x"]}})
    )
    assert few.options.names == afresh.options.names
    np.testing.assert_allclose(few.options.fillings, afresh.options.fillings, rtol=1e-9)
    np.testing.assert_allclose(few.options.flows.time, afresh.options.flows.time, rtol=1e-9)
    np.testing.assert_array_equal(few.limits.capital, afresh.limits.capital)
    assert in_parts(few).cost == pytest.approx(in_parts(afresh).cost, rel=1e-6)


def test_an_engine_named_twice_is_there_twice(case: Case, costs: np.ndarray):
    twice = maps.kept(case, np.array([5, 2, 5]))
    assert twice.options.names == tuple(case.options.names[at] for at in (5, 2, 5))
    found = maps.request_costs(twice, twice.free)
    np.testing.assert_array_equal(found, costs[[5, 2, 5]])
    before = case.options.capital.copy()
    twice.options.capital[:] = 0.0
    np.testing.assert_array_equal(case.options.capital, before)


def test_a_bucket_that_nobody_asks_for_does_not_count():
    costs = np.array([[1.0, np.inf], [2.0, 3.0]])
    alone = maps.Alone(("one", "other"), costs, np.full_like(costs, np.inf))
    np.testing.assert_array_equal(alone.serving(np.array([5.0, 0.0])), [5.0, 10.0])
    np.testing.assert_array_equal(alone.serving(np.array([5.0, 1.0])), [np.inf, 13.0])


def test_leading_engines_hold_the_cheapest_of_each_accelerator(case: Case, costs: np.ndarray):
    for few in (1, 2):
        kinds = {(name.xpu, name.role) for name in case.options.names}
        expected = set()
        for bucket in range(2):
            for kind in kinds:
                here = [
                    (costs[at, 0, bucket], at)
                    for at, name in enumerate(case.options.names)
                    if (name.xpu, name.role) == kind and np.isfinite(costs[at, 0, bucket])
                ]
                expected |= {at for _, at in sorted(here)[:few]}
        assert maps.leading(case, costs, few).tolist() == sorted(expected)
    first = maps.leading(case, costs)
    assert len(first) < len(case.options.names)
    few_only = maps.by_xpu(maps.kept(case, first), costs[first])
    np.testing.assert_array_equal(few_only.least, maps.by_xpu(case, costs).least)


def test_engines_that_serve_nothing_lead_nowhere(case: Case, costs: np.ndarray):
    assert len(maps.leading(case, np.full_like(costs, np.inf))) == 0


def test_a_place_on_the_map_is_a_choice_of_its_own(case: Case):
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[:1], case.options.demand)
    frame, there, alone = maps.across(case, case.free, one, PROMPTS, TPOTS)
    np.testing.assert_array_equal(frame["prompt_tokens"], np.tile(PROMPTS, len(TPOTS)))
    np.testing.assert_array_equal(frame["tpot_s"], np.repeat(TPOTS, len(PROMPTS)))
    assert len(there.options.names) < len(case.options.names)
    # Corners, where engines were compared, and places between.
    for at in (0, 8, 12, 17, 24, 33, len(frame) - 1):
        here = EASY[0] | {
            "per_second": 1.0,
            "prompt_tokens": frame["prompt_tokens"][at],
            "tpot": frame["tpot_s"][at],
        }
        afresh = cheapest(buckets=[here])
        assert alone.least[:, at].min() == pytest.approx(afresh, rel=1e-2), at


def test_a_place_along_a_line_is_a_choice_of_its_own(case: Case):
    prompts = np.geomspace(200.0, 9000.0, 40)
    line = jax.tree.map(
        lambda leaf: np.repeat(np.asarray(leaf)[:1], len(prompts)), case.options.demand
    )
    line = eqx.tree_at(lambda d: d.workload.prompt_tokens, line, prompts)
    _, alone = maps.along(case, case.free, line)
    assert alone.least.shape == (3, len(prompts))
    # A longer prompt is never cheaper.
    assert np.all(np.diff(alone.least, axis=1) > 0.0)
    for at in (1, 19, 39):
        here = EASY[0] | {"per_second": 1.0, "prompt_tokens": prompts[at]}
        assert alone.least[:, at].min() == pytest.approx(cheapest(buckets=[here]), rel=1e-2), at


def test_where_nothing_is_possible_every_engine_is_looked_at(case: Case):
    hasty = jax.tree.map(lambda leaf: np.asarray(leaf)[:1], case.options.demand)
    hasty = eqx.tree_at(
        lambda d: (d.target.ttft, d.target.tpot), hasty, (np.array([1e-4]), np.array([1e-9]))
    )
    there, alone = maps.along(case, case.free, hasty)
    assert there.options.names == case.options.names
    assert np.all(np.isinf(alone.least))


HOLDS: dict[str, dict[str, Any]] = {
    "ttft": {"buckets": [CHAT | {"ttft": 0.5, "tpot": 10.0}]},
    "tpot": {"buckets": [CHAT | {"ttft": 100.0, "tpot": 0.03}]},
    "memory": {
        "buckets": [
            CHAT | {"ttft": 1e4, "tpot": 10.0, "prompt_tokens": 20_000, "output_tokens": 2000}
        ]
    },
    "slope": {"buckets": EASY[:1], "weights": {"usd": 1.0, "second": 1e-2}},
}


@pytest.mark.parametrize("holds", HOLDS)
def test_what_holds_a_filling(holds: str):
    of = objective.case(problem(PLAIN | HOLDS[holds] | {"choices": ONE_XPU}))
    plan = in_parts(of)
    assert set(maps.held_by(of, plan)) == {holds}
    (column,) = range(len(plan.columns))
    # A fuller instance breaks the limit that is named and none else.
    name, asked = of.options.names[plan.columns.engine[column]], HOLDS[holds]["buckets"][0]
    here = instance(name, asked)
    fuller = jnp.asarray(1.01 * plan.columns.filling[column])
    service = serving.service_at(*here, fuller, 0.99)
    broken = {
        "ttft": float(service.ttft_quantile) > asked["ttft"],
        "tpot": float(service.point.tpot) > asked["tpot"],
        "memory": float(fuller) > float(serving.largest_batch(*here)),
    }
    assert [limit for limit, beyond in broken.items() if beyond] == (
        [] if holds == "slope" else [holds]
    )


@pytest.mark.parametrize("second", [0.0, 1e-2])
def test_the_course_of_one_engine_ends_where_the_solver_stops(second: float):
    asked = CHAT if second == 0.0 else EASY[0]
    weights = {"usd": 1.0, "second": second}
    of = objective.case(
        problem(PLAIN | {"buckets": [asked], "weights": weights, "choices": ONE_XPU})
    )
    plan = in_parts(of)
    columns = plan.columns
    path, ends = maps.course(of, of.free, int(columns.engine[0]), 0)
    assert ends["best"] == pytest.approx(columns.filling[0], rel=1e-3)
    assert ends["best"] == min(ends.values())
    # Only where waiting costs is an instance best kept emptier than limits allow.
    assert ("flat" in ends) == (second > 0.0)
    assert ends["best"] == ends["flat" if second > 0.0 else "tpot"]
    log, cost = np.log(path["filling"].to_numpy()), path["cost"].to_numpy()
    at = np.interp(np.log(ends["best"]), log, cost)
    assert at * of.options.rates[0] == pytest.approx(plan.cost, rel=1e-3)


def test_slopes_of_a_course_are_those_of_its_differences():
    weights = {"usd": 1.0, "second": 1e-3}
    of = objective.case(
        problem(PLAIN | {"buckets": EASY[:1], "weights": weights, "choices": ONE_XPU})
    )
    path, _ = maps.course(of, of.free, 1, 0)
    log, cost = np.log(path["filling"].to_numpy()), path["cost"].to_numpy()
    slope = path["slope"].to_numpy()
    between = 0.5 * (slope[1:] + slope[:-1])
    # All but the last, where memory is full: there a kink has two slopes.
    differences = (np.diff(cost) / np.diff(log))[:-1]
    near_zero = 1e-3 * np.abs(differences).max()
    np.testing.assert_allclose(between[:-1], differences, rtol=0.02, atol=near_zero)


def test_requests_asked_for_anew_know_no_limits_on_the_fleet():
    limited = objective.case(problem(PLAIN | {"caps": {"kw": 1.0}}))
    free = maps.asked(limited, limited.options.demand)
    assert not free.limits.names
    np.testing.assert_array_equal(free.options.rates, [1.0, 1.0])
    unlimited = dataclasses.replace(
        free, options=dataclasses.replace(free.options, rates=limited.options.rates)
    )
    plain = in_parts(objective.case(problem(PLAIN)))
    assert in_parts(unlimited).cost == pytest.approx(plain.cost, rel=1e-9)
    assert in_parts(free).cost == pytest.approx(sum(plain.requests), rel=1e-6)
