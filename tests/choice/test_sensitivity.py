"""What limits are worth and how the best fleet moves: against solving again."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from llmecon.choice import Plan, candidates, objective, sensitivity
from llmecon.choice.description import problem
from llmecon.choice.objective import Case
from llmecon.choice.sensitivity import INPUTS
from tests.choice.problems import CHAT, LONG, PLAIN, solved

pytestmark = pytest.mark.slow

SETTINGS: dict[str, dict[str, Any]] = {
    "limits on latency bind": {},
    "waiting and carbon cost": {"weights": {"usd": 1.0, "second": 1e-4, "kg_co2e": 0.1}},
    "too few of the best": {"caps": {"devices": {"mi300x": 3}}},
    "a mean time is promised": {"caps": {"seconds": 12.0}},
}
STEP = 1e-3


def moved(case: Case, name: str, step: float) -> Case:
    """The case with one input multiplied, everything looked at anew."""
    if name == "rate":
        rates = case.options.rates * np.exp(step)
        factor = [np.exp(step) if n in ("second", "quality") else 1.0 for n in case.limits.names]
        limits = dataclasses.replace(case.limits, most=case.limits.most * np.array(factor))
        return dataclasses.replace(
            case, options=dataclasses.replace(case.options, rates=rates), limits=limits
        )
    if name == "price":
        capital = case.options.capital.copy()
        capital[..., 0] *= np.exp(step)
        return dataclasses.replace(case, options=dataclasses.replace(case.options, capital=capital))
    if name in case.limits.names:
        most = case.limits.most.copy()
        most[case.limits.names.index(name)] *= np.exp(step)
        return dataclasses.replace(case, limits=dataclasses.replace(case.limits, most=most))
    by = np.zeros(len(INPUTS))
    by[INPUTS.index(name)] = step
    one_engine = jax.tree.map(lambda leaf: leaf[0], case.options.engines)
    one_demand = jax.tree.map(lambda leaf: np.asarray(leaf)[0], case.options.demand)
    engines = jax.vmap(lambda at: sensitivity.scaled(at, one_demand, by)[0])(case.options.engines)
    demand = jax.vmap(lambda at: sensitivity.scaled(one_engine, at, by)[1])(case.options.demand)
    changed = candidates.changed(case.options, *jax.tree.map(np.asarray, (engines, demand)))
    return dataclasses.replace(case, options=changed)


def numbers(plan: Plan) -> pd.Series:
    """The cost, instances and fillings, named as `elasticities` names them."""
    found = {"cost": plan.cost}
    for at, pool in enumerate(plan.pools):
        found[f"instances {at}"] = pool.instances
        for of in pool.serves:
            found[f"filling {at} for {of.bucket}"] = of.filling
    return pd.Series(found)


@pytest.mark.parametrize("setting", SETTINGS)
def test_elasticities_are_those_of_solving_again(setting: str):
    of = objective.case(problem(PLAIN | SETTINGS[setting]))
    plan = solved(of)
    found = sensitivity.elasticities(of, plan)
    assert list(found.index[: len(INPUTS) + 2]) == [*INPUTS, "rate", "price"]
    for name in found.index:
        up, down = (numbers(solved(moved(of, name, step))) for step in (STEP, -STEP))
        again = (np.log(up) - np.log(down)) / (2.0 * STEP)
        np.testing.assert_allclose(
            found.loc[name, again.index], again, rtol=5e-3, atol=2e-3, err_msg=name
        )


def test_shadow_prices_are_slopes_of_the_cost():
    of = objective.case(problem(PLAIN))
    plan = solved(of)
    found = sensitivity.shadow_prices(of, plan)
    assert max(found.ttft) > 0.0
    assert max(found.tpot) > 0.0
    for bucket in range(2):
        for name in ("ttft", "tpot"):
            costs = []
            for step in (STEP, -STEP):
                buckets = [dict(CHAT), dict(LONG)]
                buckets[bucket][name] *= 1.0 + step
                costs.append(solved(objective.case(problem(PLAIN | {"buckets": buckets}))).cost)
            slope = (costs[1] - costs[0]) / (2.0 * STEP * (CHAT, LONG)[bucket][name])
            assert getattr(found, name)[bucket] == pytest.approx(slope, rel=2e-3, abs=1e-9)


def test_a_limit_on_ttft_binds_where_it_is_steep():
    """Even arrivals of mostly cached prompts wait for nothing until an instance is nearly full."""
    even = {"cached_fraction": 0.9, "interarrival_cv": 0.0, "output_cv": 0.5, "ttft": 0.6}
    bucket = CHAT | even | {"per_second": 1.6, "output_tokens": 250, "tpot": 0.1}
    alone = {"xpus": ["h200-sxm"], "precisions": ["bf16"], "tensor": [4], "pipeline": [1]}
    choices = alone | {"disaggregated": False}

    def least(ttft: float) -> tuple[Case, Plan]:
        buckets = [bucket | {"ttft": ttft}]
        of = objective.case(
            problem(PLAIN | {"model": "qwen2.5-32b", "buckets": buckets, "choices": choices})
        )
        return of, solved(of)

    of, plan = least(0.6)
    costs = [least(0.6 * (1.0 + step))[1].cost for step in (STEP, -STEP)]
    slope = (costs[1] - costs[0]) / (2.0 * STEP * 0.6)
    assert slope > 0.0
    assert sensitivity.shadow_prices(of, plan).ttft[0] == pytest.approx(slope, rel=2e-3)


def test_a_device_that_is_short_of_memory_would_pay_for_more():
    """An 80 GB device that holds a 70 GB model has room for few requests."""
    alone = {"xpus": ["h100-sxm"], "precisions": ["fp8"], "tensor": [1], "pipeline": [1]}
    short = problem(
        PLAIN
        | {"buckets": [CHAT | {"ttft": 20.0, "tpot": 0.2}]}
        | {"choices": alone | {"disaggregated": False}}
    )
    of = objective.case(short)
    plan = solved(of)
    price = sensitivity.shadow_prices(of, plan).memory["h100-sxm"]
    costs = [solved(moved(of, "memory", step)).cost for step in (STEP, -STEP)]
    memory = float(np.asarray(of.options.engines.xpu.memory)[0])
    assert price > 0.0
    assert price == pytest.approx((costs[1] - costs[0]) / (2.0 * STEP * memory), rel=5e-3)


def test_a_price_per_million_tokens():
    of = objective.case(problem(PLAIN))
    # 10 requests a second of 1,300 tokens and 3 of 6,300.
    assert sensitivity.per_million_tokens(of, 0.0319) == pytest.approx(1.0)
