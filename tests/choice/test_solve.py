"""The best fleet: against enumeration, by hand, at its limits, and where there is none."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.choices import described
from llmecon import choice, serving, specs
from llmecon.checks import enumeration
from llmecon.choice import Clash, Plan, Relaxed, filling, linear_programme, objective
from llmecon.choice.description import RESOURCES, problem
from llmecon.choice.objective import Case
from llmecon.specs import Instance
from llmecon.tables import catalog

pytestmark = pytest.mark.slow

# Fillings of the grid that is enumerated, and random problems that are: `benchmarks.choices` takes
# more of both.
LEVELS = 96
SEEDS = [
    *range(1, 9),
    *(
        pytest.param(seed, marks=pytest.mark.release)
        for seed in (9, *range(11, 15), 16, 18, 19, 20)
    ),
    *(pytest.param(seed, marks=pytest.mark.release) for seed in (25, 30, 35)),
]

CHAT = {"per_second": 20.0, "prompt_tokens": 800, "output_tokens": 250, "ttft": 1.5, "tpot": 0.05}
PAPER = {"per_second": 3.0, "prompt_tokens": 8000, "output_tokens": 400, "ttft": 4.0, "tpot": 0.05}


ONLY_H100 = {"xpus": ["h100-sxm"], "precisions": ["fp8"]}


def some_case(**changes: Any) -> Case:
    plain = {
        "model": "llama-3.1-70b",
        "buckets": [CHAT, PAPER],
        "tuning": "best",
        "choices": {
            "xpus": ["h100-sxm", "mi300x", "a100-sxm-80gb"],
            "usd_per_hour": {"h100-sxm": 2.95, "mi300x": 2.34, "a100-sxm-80gb": 1.5},
            "precisions": ["fp8"],
            "tensor": [1, 2, 4, 8],
            "pipeline": [1],
            "disaggregated": False,
        },
    }
    return objective.case(problem(plain | changes))


def relaxed(case: Case) -> Relaxed:
    found = choice.relaxed(case)
    assert isinstance(found, Relaxed)
    return found


def whole(case: Case) -> Plan:
    found = choice.whole(case)
    assert isinstance(found, Plan)
    return found


def served(plan: Plan, bucket: int, *roles: str) -> float:
    return sum(
        of.per_second
        for pool in plan.pools
        for of in pool.serves
        if of.bucket == bucket and pool.engine.role in roles
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fleet_is_cheaper(seed: int):
    """Against every pool at every filling of a certified grid, in parts and whole."""
    of = objective.case(problem(described(seed)))
    grid = enumeration.grid(of, LEVELS)
    found = choice.relaxed(of)
    there = enumeration.in_parts(of, grid)
    if isinstance(found, Clash):
        assert math.isinf(there.cost)
        assert found.raised or found.slower
        return
    assert found.plan.cost <= there.cost * (1.0 + 1e-3)
    assert found.plan.cost >= there.bound * (1.0 - 1e-6)
    there = enumeration.in_wholes(of, grid)
    fleet = choice.rounded(of, found)
    if isinstance(fleet, Clash):
        assert math.isinf(there.cost)
        assert fleet.raised
        return
    assert fleet.cost <= there.cost * (1.0 + 1e-3)
    assert fleet.cost >= there.bound * (1.0 - 1e-6)
    assert fleet.cost >= found.plan.cost * (1.0 - 1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_fleets_do_what_is_asked_within_their_limits(seed: int):
    of = objective.case(problem(described(seed)))
    start = choice.relaxed(of)
    if isinstance(start, Clash):
        return
    plans = [start.plan, choice.rounded(of, start)]
    for plan in plans:
        if isinstance(plan, Clash):
            continue
        for bucket, rate in enumerate(of.options.rates):
            assert served(plan, bucket, "whole", "decode") == pytest.approx(rate, rel=1e-6)
            assert served(plan, bucket, "prefill") == pytest.approx(
                served(plan, bucket, "decode"), abs=1e-6 * rate
            )
        for pool in plan.pools:
            work = sum(of.per_second * of.time for of in pool.serves)
            assert work <= pool.instances * (1.0 + 1e-6)
            for serves in pool.serves:
                target = of.options.demand.target
                assert serves.ttft <= float(target.ttft[serves.bucket]) * (1.0 + 1e-6)
                assert serves.tpot <= float(target.tpot[serves.bucket]) * (1.0 + 1e-6)
        for name, most in zip(of.limits.names, of.limits.most, strict=True):
            assert plan.takes.get(name, 0.0) <= most * (1.0 + 1e-6)
        weighed = of.weights @ np.array([plan.takes[name] for name in RESOURCES])
        assert plan.cost == pytest.approx(weighed, rel=1e-6)
    assert all(pool.instances == round(pool.instances) for pool in getattr(plans[1], "pools", ()))


def test_the_multipliers_prove_the_optimum():
    for changes in ({}, {"caps": {"kw": 40.0, "devices": {"mi300x": 3}}}):
        plan = relaxed(some_case(**changes)).plan
        assert plan.bound <= plan.cost <= plan.bound * (1.0 + 1e-7)


def test_one_accelerator_by_hand():
    """As many whole instances as the requests take at the capacity of one."""
    of = some_case(
        buckets=[CHAT],
        choices={
            "xpus": ["h100-sxm"], "precisions": ["fp8"], "tensor": [4], "pipeline": [1],
            "disaggregated": False,
        },
    )  # fmt: skip
    capacity = serving.capacity(
        Instance(
            catalog.llm("llama-3.1-70b"),
            catalog.xpu("h100-sxm"),
            specs.Deployment(4.0, 1.0, 1.0, specs.precision("fp8")),
            catalog.efficiency(catalog.system("llama-3.1-70b", "h100-sxm", precision="fp8")),
        ),
        specs.Workload(800.0, 250.0),
        specs.LatencyTarget(1.5, 0.05),
    )
    hourly = 4 * catalog.rental_price("h100-sxm").usd
    exactly = 20.0 / float(capacity.rate)
    assert relaxed(of).plan.cost * 3600.0 == pytest.approx(exactly * hourly, rel=1e-4)
    fleet = whole(of)
    assert [pool.instances for pool in fleet.pools] == [math.ceil(exactly)]
    assert fleet.cost * 3600.0 == pytest.approx(math.ceil(exactly) * hourly, rel=1e-9)
    assert fleet.takes["h100-sxm"] == 4 * math.ceil(exactly)


def test_the_best_filling_minds_what_waiting_costs():
    """Where latency costs enough, instances are kept emptier than their limits allow."""
    plain, hasty = (
        relaxed(some_case(buckets=[CHAT], weights={"usd": 1.0, "second": second})).plan
        for second in (0.0, 1e-3)
    )
    latency = [
        sum(of.per_second * of.latency for pool in plan.pools for of in pool.serves) / 20.0
        for plan in (plain, hasty)
    ]
    assert latency[1] < 0.7 * latency[0]
    assert hasty.takes["usd"] > plain.takes["usd"]


def test_prices_of_limits_are_slopes_of_the_cost():
    of = some_case(caps={"kw": 17.0, "devices": {"mi300x": 4}})
    plan = relaxed(of).plan
    assert any(price > 0.0 for price in plan.prices.values())
    for at, name in enumerate(of.limits.names):
        costs = []
        for step in (1e-4, -1e-4):
            most = of.limits.most.copy()
            most[at] *= 1.0 + step
            limits = dataclasses.replace(of.limits, most=most)
            costs.append(relaxed(dataclasses.replace(of, limits=limits)).plan.cost)
        slope = (costs[1] - costs[0]) / (2e-4 * of.limits.most[at])
        assert plan.prices[name] == pytest.approx(slope, rel=1e-4, abs=1e-12)


def test_requests_cost_what_one_more_adds():
    of = some_case()
    plan = relaxed(of).plan
    rates = of.options.rates * np.array([1.001, 1.0])
    more = relaxed(
        dataclasses.replace(of, options=dataclasses.replace(of.options, rates=rates))
    ).plan
    assert (more.cost - plan.cost) / 0.02 == pytest.approx(plan.requests[0], rel=1e-6)
    assert plan.cost == pytest.approx(of.options.rates @ np.array(plan.requests), rel=1e-9)


def test_limits_that_clash_are_named_with_what_would_do():
    """With the factors given all can be kept, and with a little less it can't."""
    caps = {"kw": 5.0, "usd_per_hour": 6.0}
    of = some_case(caps=caps)
    clash = choice.relaxed(of)
    assert isinstance(clash, Clash)
    assert clash.raised

    def with_share(share: float) -> Relaxed | Clash:
        factor = {n: 1.0 + share * (clash.raised.get(n, 1.0) - 1.0) for n in of.limits.names}
        most = of.limits.most * np.array([factor[name] for name in of.limits.names])
        limits = dataclasses.replace(of.limits, most=most)
        return choice.relaxed(dataclasses.replace(of, limits=limits))

    assert isinstance(with_share(1.0), Relaxed)
    assert isinstance(with_share(0.999), Clash)


def test_what_would_do_for_whole_instances_does():
    """With the factors named exactly, and with less not, where parts would clash, too."""
    caps = {"usd_per_hour": 6.0}
    clash = choice.whole(some_case(buckets=[CHAT], caps=caps))
    assert isinstance(clash, Clash)
    parts = choice.relaxed(some_case(buckets=[CHAT], caps=caps))
    assert isinstance(parts, Clash)
    assert clash.raised["usd"] > 1.05 * parts.raised["usd"]
    least = clash.raised["usd"] * caps["usd_per_hour"]
    fleet = whole(some_case(buckets=[CHAT], caps={"usd_per_hour": least}))
    assert 3600.0 * fleet.takes["usd"] == pytest.approx(least, rel=1e-6)
    assert least == pytest.approx(3600.0 * whole(some_case(buckets=[CHAT])).takes["usd"], rel=1e-6)
    less = some_case(buckets=[CHAT], caps={"usd_per_hour": 0.999 * least})
    assert isinstance(choice.whole(less), Clash)


@pytest.mark.parametrize("share", [1.0 - 3e-7, 1.0, 1.0 + 1e-7])
def test_a_limit_that_just_holds_is_kept(share: float):
    """At what the best fleet takes, to the last digits and a little less than these."""
    free = whole(some_case(buckets=[CHAT]))
    same = whole(
        some_case(buckets=[CHAT], caps={"usd_per_hour": 3600.0 * share * free.takes["usd"]})
    )
    assert same.cost == pytest.approx(free.cost, rel=1e-6)
    hasty = {"usd": 1.0, "second": 1e-4}
    free = whole(some_case(buckets=[CHAT], weights=hasty))
    latency = free.takes["second"] / CHAT["per_second"]
    near = whole(some_case(buckets=[CHAT], weights=hasty, caps={"seconds": share * latency}))
    # Fillings between those looked at may be missed by a little.
    assert near.cost <= free.cost * 1.01


@pytest.mark.parametrize("rate", [1e-6, 1e-4, 0.01])
def test_few_requests_take_an_instance_all_the_same(rate: float):
    """One a second and one in eleven days: the same single instance of the cheapest kind."""
    fleet = whole(some_case(buckets=[CHAT | {"per_second": rate}]))
    (pool,) = fleet.pools
    assert pool.instances == 1.0
    assert fleet.cost == pytest.approx(
        whole(some_case(buckets=[CHAT | {"per_second": 0.1}])).cost, rel=1e-6
    )
    beside = whole(some_case(buckets=[CHAT, PAPER | {"per_second": rate}]))
    assert served(beside, 1, "whole") == pytest.approx(rate)


def test_latency_that_dips_below_its_limit_again():
    """Short answers after long prompts: a fuller instance passes through a rise of its TPOT."""
    asked = {
        "per_second": 500.0, "prompt_tokens": 1000.0, "output_tokens": 2.0, "ttft": 20.0,
        "tpot": 0.0305, "cached_fraction": 0.9,
    }  # fmt: skip
    of = some_case(
        model="gpt-oss-120b",
        buckets=[asked],
        choices={
            "xpus": ["h100-sxm"], "precisions": ["fp8"], "tensor": [4], "pipeline": [1],
            "expert": [1], "disaggregated": False,
        },
    )  # fmt: skip
    engine, demand = (
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), records)
        for records in (of.options.engines, of.options.demand)
    )
    fillings = jnp.geomspace(1.0, filling.room(of.options.llm, engine, demand, "whole"), 400)
    late = jax.vmap(lambda at: filling.excess(of.options.llm, engine, demand, at, "whole"))(
        fillings
    )
    kept = np.flatnonzero(np.asarray(late) <= 0.0)
    assert np.any(np.diff(kept) > 1), "TPOT rises and falls"
    (pool,) = relaxed(of).plan.pools
    assert pool.serves[0].filling == pytest.approx(float(fillings[kept[-1]]), rel=0.02)
    assert pool.serves[0].tpot == pytest.approx(0.0305, rel=1e-4)


def test_whole_instances_may_clash_where_parts_do_not():
    fits = relaxed(some_case()).plan.takes["usd"]
    of = some_case(caps={"usd_per_hour": 3600.0 * fits * 1.001})
    clash = choice.whole(of)
    assert isinstance(clash, Clash)
    assert list(clash.raised) == ["usd"]
    assert whole(some_case()).takes["usd"] <= of.limits.most[0] * clash.raised["usd"] * (1 + 1e-4)


def test_what_is_always_too_slow_says_by_how_much():
    hasty = CHAT | {"tpot": 0.001}
    clash = choice.relaxed(some_case(buckets=[PAPER, hasty]))
    assert isinstance(clash, Clash)
    assert list(clash.slower) == [1]
    factor = clash.slower[1]
    just = {"ttft": 1.5 * factor * 1.0001, "tpot": 0.001 * factor * 1.0001}
    relaxed(some_case(buckets=[PAPER, hasty | just]))
    almost = {"ttft": 1.5 * factor * 0.99, "tpot": 0.001 * factor * 0.99}
    assert isinstance(choice.relaxed(some_case(buckets=[PAPER, hasty | almost])), Clash)


def test_a_model_that_fits_nowhere():
    small = {"xpus": ["l4"], "tensor": [1], "pipeline": [1]}
    clash = choice.relaxed(some_case(choices=small))
    assert clash == Clash(slower={0: math.inf, 1: math.inf})


def test_a_limit_of_nothing():
    clash = choice.relaxed(some_case(caps={"kg_co2e_per_hour": 0.0}))
    assert isinstance(clash, Clash)
    assert clash.raised == {"kg_co2e": math.inf}
    without = relaxed(some_case(caps={"devices": {"mi300x": 0}})).plan
    assert "mi300x" not in without.takes


def test_equal_accelerators_cost_the_same():
    """Two prices that make the best and a copy of it indifferent change nothing."""
    prices = {"h100-sxm": 2.0, "mi300x": 2.0}
    both, one = (
        relaxed(
            some_case(
                choices={
                    "xpus": xpus, "precisions": ["fp8"], "tensor": [4], "pipeline": [1],
                    "usd_per_hour": prices, "disaggregated": False,
                }
            )
        ).plan.cost
        for xpus in (["h100-sxm", "mi300x"], ["mi300x"])
    )  # fmt: skip
    assert both <= one * (1.0 + 1e-9)


def test_a_bucket_that_nobody_asks_for_takes_nothing():
    alone = whole(some_case(buckets=[CHAT]))
    beside = whole(some_case(buckets=[CHAT, PAPER | {"per_second": 0.0}]))
    assert beside.cost == pytest.approx(alone.cost, rel=1e-9)
    assert served(beside, 1, "whole") == 0.0


def test_splitting_the_phases_pays_for_long_prompts():
    """With a tight pace, prompts that are long delay tokens, so instances of their own pay."""
    gains = []
    for tokens in (100, 1000):
        size = {"prompt_tokens": tokens, "tpot": 0.025, "ttft": 3.0}
        costs = []
        for apart in (False, True):
            of = some_case(
                buckets=[CHAT | size],
                choices={
                    "xpus": ["h100-sxm"], "precisions": ["fp8"], "tensor": [2, 4, 8],
                    "pipeline": [1], "disaggregated": apart,
                },
            )  # fmt: skip
            found = relaxed(of).plan
            costs.append(found.cost)
        roles = {pool.engine.role for pool in found.pools}
        gains.append((costs[0] / costs[1], roles))
    assert gains[1][0] > 1.1
    assert gains[1][0] > gains[0][0]
    assert gains[1][1] == {"prefill", "decode"}


def test_regions_are_chosen_by_what_carbon_costs():
    regions = [{"grid": "pol"}, {"grid": "swe"}]
    choices = {"xpus": ["h100-sxm"], "precisions": ["fp8"], "regions": regions}
    dirty, clean = (
        relaxed(some_case(choices=choices, weights={"usd": 1.0, "kg_co2e": price})).plan
        for price in (0.0, 0.1)
    )
    assert {pool.region for pool in clean.pools} == {1}
    assert clean.takes["kg_co2e"] < 0.5 * dirty.takes["kg_co2e"] or {
        pool.region for pool in dirty.pools
    } == {1}


def test_regions_that_another_beats_are_left_out():
    """What takes less of everything may do all the work; where neither does, both may."""

    def useful(**changes: Any) -> list[bool]:
        regions = {"regions": [{"grid": "pol"}, {"grid": "swe"}]}
        found: list[bool] = some_case(
            choices=ONLY_H100 | regions, **changes
        ).useful_regions.tolist()
        return found

    carbon, water = {"usd": 1.0, "kg_co2e": 0.1}, {"usd": 1.0, "litre": 0.1}
    assert useful(weights=carbon) == [False, True]
    assert useful(weights=water) == [True, False]
    assert useful(weights=carbon, caps={"litres_per_hour": 1e6}) == [True, True]
    assert useful(weights={"usd": 1.0}) == [True, False], "the first of those that are alike"


def test_a_stopped_search_says_what_is_left(monkeypatch: pytest.MonkeyPatch):
    """However busy the machine, it stops at the same fleet."""
    of = some_case(buckets=[CHAT | {"per_second": 90.0}, PAPER | {"per_second": 17.0}])
    ended = whole(of)
    assert ended.left == 0.0
    monkeypatch.setattr(linear_programme, "WORK", 1.0)
    stopped = whole(of)
    assert stopped.cost * (1.0 - stopped.left) <= ended.cost * (1.0 + 1e-3)
    again = whole(of)
    assert (again.pools, again.cost, again.left) == (stopped.pools, stopped.cost, stopped.left)
    assert stopped.left > 0.0


def test_prompts_are_not_passed_on_to_another_region():
    """Where water is scarce in one place and a limit on carbon forbids to use the other alone."""
    choices = {
        "xpus": ["h100-sxm"], "precisions": ["fp8"], "tensor": [2, 4, 8], "pipeline": [1],
        "regions": [{"grid": "pol"}, {"grid": "swe"}], "disaggregated": True,
    }  # fmt: skip
    size = {"prompt_tokens": 1000, "tpot": 0.025, "ttft": 3.0}
    asked = {"buckets": [CHAT | size], "choices": choices, "weights": {"usd": 1.0, "litre": 0.1}}
    free = relaxed(some_case(**asked)).plan.takes["kg_co2e"]
    limited = some_case(**asked, caps={"kg_co2e_per_hour": 0.6 * 3600.0 * free})
    parts = relaxed(limited).plan
    assert {pool.region for pool in parts.pools} == {0, 1}
    for plan in (parts, whole(limited)):
        for region in (0, 1):
            here = dataclasses.replace(
                plan, pools=tuple(pool for pool in plan.pools if pool.region == region)
            )
            assert served(here, 0, "decode") == pytest.approx(served(here, 0, "prefill"), abs=1e-6)
