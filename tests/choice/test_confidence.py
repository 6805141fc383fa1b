"""How sure a choice is: against cases computed one by one, and identities of its statistics."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from llmecon import choice
from llmecon.choice import Relaxed, candidates, confidence, maps, objective
from llmecon.choice.confidence import Contest
from llmecon.choice.description import Problem, problem
from llmecon.choice.objective import Case
from llmecon.errors import InputError
from llmecon.tables import catalog
from tests.choice.problems import CHAT, LONG, PLAIN, RENTS

pytestmark = pytest.mark.slow

# Limits that every accelerator can keep, fast or slow as it may be.
EASY = [CHAT | {"ttft": 12.0, "tpot": 0.3}, LONG | {"ttft": 30.0, "tpot": 0.3}]
PRICE = 3.0
# With the catalogue's rents.
MARKET = PLAIN | {"choices": PLAIN["choices"] | {"usd_per_hour": {}}}


@pytest.fixture(scope="module")
def asked() -> Problem:
    return problem(PLAIN | {"buckets": EASY})


@pytest.fixture(scope="module")
def case(asked: Problem) -> Case:
    return objective.case(asked)


@pytest.fixture(scope="module")
def relaxed(case: Case) -> Relaxed:
    found = choice.relaxed(case)
    assert isinstance(found, Relaxed)
    return found


@pytest.fixture(scope="module")
def contest(case: Case, asked: Problem) -> Contest:
    return confidence.contest(case, asked, always=("a100-sxm-80gb",))


def test_a_draw_is_the_case_with_that_efficiency(case: Case, asked: Problem):
    engines = np.array([0, 4])
    found = confidence.drawn(case, asked, engines)
    draw = 3
    attained = [
        jax.tree.map(
            lambda leaf: leaf[draw],
            catalog.efficiency_draws(
                catalog.system(asked.model, name.xpu, precision=name.precision)
            ),
        )
        for name in (case.options.names[at] for at in engines)
    ]
    few = maps.kept(case, engines)
    faster = eqx.tree_at(lambda e: e.efficiency, few.options.engines, catalog.stack(attained))
    afresh = dataclasses.replace(
        few, options=candidates.changed(few.options, faster, few.options.demand)
    )
    costs = maps.request_costs(afresh, afresh.free)
    computed = found.time[draw] * found.standing[..., None] + found.rest[draw]
    np.testing.assert_allclose(computed, costs, rtol=1e-9)
    # Electricity is part of the rent, and nothing else costs.
    np.testing.assert_array_equal(found.rest, 0.0)
    rent = [name.devices * RENTS[name.xpu] for name in few.options.names]
    np.testing.assert_allclose(found.money[:, 0] * 3600.0, rent)
    np.testing.assert_allclose(found.standing, found.money)


def test_what_energy_and_waiting_cost_is_no_part_of_the_price(asked: Problem):
    weights = {"usd": 1.0, "kg_co2e": 1.0, "second": 1e-3}
    described = problem(PLAIN | {"buckets": EASY, "weights": weights})
    of, engines = objective.case(described), np.array([0, 4])
    found = confidence.drawn(of, described, engines)
    rent = [name.devices * RENTS[name.xpu] for name in (of.options.names[at] for at in engines)]
    np.testing.assert_allclose(found.money[:, 0] * 3600.0, rent)
    assert np.all(found.standing > found.money)
    assert np.all(found.rest > 0.0)
    # Where waiting costs, instances are kept emptier.
    free = confidence.drawn(objective.case(asked), asked, engines)
    assert np.all(found.time >= free.time)


def test_a_fleet_costs_parts_of_instances_or_whole_ones(
    case: Case, asked: Problem, relaxed: Relaxed
):
    plan = relaxed.plan
    parts = confidence.fleet_costs(case, asked, plan, whole=False)
    whole = confidence.fleet_costs(case, asked, plan)
    (pool,) = plan.pools
    (engine,) = set(plan.columns.engine.tolist())
    found = confidence.drawn(case, asked, np.array([engine]))
    rent = pool.engine.devices * RENTS[pool.engine.xpu] / 3600.0
    instances = sum(
        found.time[:, 0, 0, serves.bucket] * serves.per_second for serves in pool.serves
    )
    np.testing.assert_allclose(parts, rent * instances, rtol=1e-9)
    np.testing.assert_allclose(whole, rent * np.ceil(instances), rtol=1e-9)
    # The draws lie around the cost with the most probable efficiencies.
    assert np.quantile(parts, 0.1) < plan.cost < np.quantile(parts, 0.9)


def test_a_fleet_costs_more_where_its_prices_are_drawn_higher(
    case: Case, asked: Problem, relaxed: Relaxed
):
    plan = relaxed.plan
    (xpu,) = {pool.engine.xpu for pool in plan.pools}
    costs = confidence.fleet_costs(case, asked, plan, whole=False)
    priced = confidence.fleet_costs(case, asked, plan, whole=False, priced=True)
    factors = confidence.price_factors(asked, [xpu], len(costs))[:, 0]
    # Rent is all that costs.
    np.testing.assert_allclose(priced, costs * factors, rtol=1e-9)
    assert np.ptp(np.log(priced)) > np.ptp(np.log(costs))


def test_a_fleet_that_is_too_slow_in_some_draws_costs_no_number_there():
    tight = problem(PLAIN)
    of = objective.case(tight)
    found = choice.relaxed(of)
    assert isinstance(found, Relaxed)
    costs = confidence.fleet_costs(of, tight, found.plan)
    assert 0 < np.isfinite(costs).sum() < len(costs)
    columns = found.plan.columns
    time = confidence.drawn(of, tight, columns.engine).time
    needed = time[:, np.arange(len(columns)), columns.region, columns.bucket]
    np.testing.assert_array_equal(np.isinf(costs), np.any(np.isinf(needed), axis=1))


def test_costs_of_a_contest_are_paces_times_prices(contest: Contest):
    """Where rent is all that costs."""
    assert contest.costs.shape == (len(contest.paces), confidence.PRICES, 3)
    np.testing.assert_allclose(contest.costs, contest.paces[:, None] * contest.factors, rtol=1e-9)


def test_a_pace_is_what_the_accelerator_alone_costs_in_that_draw(contest: Contest, asked: Problem):
    draw = 11
    for at, xpu in enumerate(contest.xpus):
        here = problem(PLAIN | {"buckets": EASY, "choices": PLAIN["choices"] | {"xpus": [xpu]}})
        of = objective.case(here)
        draws = catalog.efficiency_draws(catalog.system(asked.model, xpu, precision="fp8"))
        which = np.full(len(of.options.names), draw)
        engines = eqx.tree_at(
            lambda e: e.efficiency, of.options.engines, candidates.rows_of(draws, which)
        )
        changed = candidates.changed(of.options, engines, of.options.demand)
        found = choice.relaxed(dataclasses.replace(of, options=changed))
        assert isinstance(found, Relaxed)
        assert contest.paces[draw, at] == pytest.approx(found.plan.cost, rel=5e-3), xpu


def test_shares_of_winners_make_up_all_cases(contest: Contest):
    table = contest.table()
    assert table["best"].sum() == pytest.approx(1.0)
    assert table["best"].is_monotonic_decreasing
    assert "a100-sxm-80gb" in table.index
    costs = contest.costs.reshape(-1, len(contest.xpus))
    assert np.all(np.isfinite(costs))
    for at, xpu in enumerate(contest.xpus):
        row, own = table.loc[xpu], costs[:, at]
        others = np.delete(costs, at, axis=1)
        assert row["best"] == pytest.approx((own < others.min(axis=1)).mean())
        assert row["mean"] == pytest.approx(own.mean())
        assert (own < row["low"]).mean() == pytest.approx(0.05, abs=1e-3)
        assert (own > row["high"]).mean() == pytest.approx(0.05, abs=1e-3)
        assert row["regret"] == pytest.approx((own - costs.min(axis=1)).mean())
        assert row["misses"] == 0.0
    assert contest.xpus[contest.usual] == table["mean"].idxmin()
    assert table["regret"].min() == pytest.approx(contest.perfect)


def test_what_knowing_is_worth_is_the_least_mean_less_the_mean_least(contest: Contest):
    draws, sets, _ = contest.costs.shape
    usual = min(contest.costs[..., at].mean() for at in range(3))
    everything = np.mean([min(contest.costs[d, s]) for d in range(draws) for s in range(sets)])
    speeds = np.mean([min(contest.costs[d].mean(axis=0)) for d in range(draws)])
    prices = np.mean([min(contest.costs[:, s].mean(axis=0)) for s in range(sets)])
    assert contest.perfect == pytest.approx(usual - everything, rel=1e-9)
    assert contest.all_speeds == pytest.approx(usual - speeds, rel=1e-6)
    assert contest.all_prices == pytest.approx(usual - prices, rel=1e-6)
    assert 0.0 < contest.all_speeds < contest.perfect
    assert 0.0 < contest.all_prices < contest.perfect


def test_no_part_of_knowing_is_worth_more_than_all(contest: Contest):
    worth = contest.worth()
    assert set(worth) == {(kind, xpu) for kind in ("speed", "price") for xpu in contest.xpus}
    most = {"speed": contest.all_speeds, "price": contest.all_prices}
    for (kind, _), learned in worth.items():
        assert 0.0 <= learned.saving <= most[kind]
        assert (learned.flips > 0.0) == (learned.saving > 0.0)
    assert max(learned.saving for learned in worth.values()) > 0.0


def made(costs: np.ndarray) -> Contest:
    """A contest of two accelerators whose prices are certain."""
    return Contest(("one", "other"), costs[:, None, :], np.ones((1, 2)), costs)


def test_knowing_the_one_uncertain_speed_is_worth_all_there_is():
    uncertain = np.exp(np.random.default_rng(1).normal(0.0, 0.3, 400))
    contest = made(np.stack([PRICE * uncertain, np.full(400, PRICE)], axis=1))
    worth = contest.worth()
    assert contest.perfect > 0.05 * PRICE
    assert worth["speed", "one"].saving == pytest.approx(contest.perfect, rel=0.15)
    assert worth["speed", "other"].saving == 0.0


def test_who_misses_the_limits_pays_what_the_dearest_does():
    costs = np.array([[1.0, 2.0], [np.inf, 2.0], [1.0, np.inf]])
    contest = made(costs)
    table = contest.table()
    np.testing.assert_allclose(table["misses"], 1.0 / 3.0)
    np.testing.assert_array_equal(contest.settled[:, 0], [[1.0, 2.0], [2.0, 2.0], [1.0, 1.0]])
    # Whoever alone keeps the limits is the best.
    assert table["best"].to_dict() == pytest.approx({"one": 2.0 / 3.0, "other": 1.0 / 3.0})


def test_cases_that_nobody_serves_have_no_winner():
    contest = made(np.array([[1.0, 2.0], [np.inf, np.inf], [3.0, 1.0], [np.inf, 4.0]]))
    table = contest.table()
    assert table["best"].to_dict() == {"one": 0.25, "other": 0.5}
    assert table["misses"].to_dict() == {"one": 0.5, "other": 0.25}
    # Whoever is chosen pays alike there: the dearest of all.
    np.testing.assert_array_equal(contest.settled[1, 0], [4.0, 4.0])


def test_an_accelerator_that_cannot_keep_the_limits_misses():
    tight = problem(PLAIN)
    contest = confidence.contest(objective.case(tight), tight)
    table, (one, other) = contest.table(), contest.xpus
    assert {one, other} == {"mi300x", "h100-sxm"}
    able = np.isfinite(contest.costs)
    np.testing.assert_array_equal(able, np.isfinite(contest.paces)[:, None] & np.ones_like(able))
    assert 0.1 < table.loc[one, "misses"] == (~able[..., 0]).mean()
    alone = (able[..., 0] & ~able[..., 1]).mean()
    first = (able.all(axis=2) & (contest.costs[..., 0] < contest.costs[..., 1])).mean()
    assert table.loc[one, "best"] == pytest.approx(alone + first)
    nobody = (~able.any(axis=2)).mean()
    assert table["best"].sum() == pytest.approx(1.0 - nobody)
    assert nobody > 0.0
    assert 0.0 < contest.perfect < np.inf
    assert all(np.isfinite(learned.saving) for learned in contest.worth().values())


def test_prices_range_over_the_offers_seen_where_several_ask():
    described = problem(MARKET)
    offers = catalog.rental_offers("mi300x")["usd_per_xpu_hour"]
    assert len(offers) >= confidence.SEVERAL
    low, high = confidence.price_range(described, "mi300x")
    assert low == pytest.approx(offers.min() / offers.median())
    assert high == pytest.approx(offers.max() / offers.median())
    factors = confidence.price_factors(described, ["mi300x", "h100-sxm"], 64)
    assert factors.shape == (64, 2)
    assert low <= factors[:, 0].min()
    assert np.corrcoef(np.log(factors).T)[0, 1] == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("owned", [None, {}], ids=["rented", "bought"])
def test_no_price_is_surer_for_lack_of_offers(owned: dict[str, float] | None):
    described = problem(MARKET | {"owned": owned})
    spans, asking = {}, {}
    for xpu in catalog.ids("xpus"):
        offers = catalog.rental_offers(xpu) if owned is None else catalog.purchase_offers(xpu)
        if not len(offers):
            continue
        usd = offers["usd_per_xpu_hour" if owned is None else "usd"]
        low, high = confidence.price_range(described, xpu)
        assert low < 1.0 < high, xpu
        # Nothing that was seen lies outside.
        assert low <= usd.min() / usd.median() + 1e-12, xpu
        assert high >= usd.max() / usd.median() - 1e-12, xpu
        rent = catalog.rental_price(xpu)
        spans[xpu] = high / low
        asking[xpu] = len(offers) if rent and rent.comparable and owned is None else 0
    several = [spans[xpu] for xpu, many in asking.items() if many >= confidence.SEVERAL]
    few = [spans[xpu] for xpu, many in asking.items() if many < confidence.SEVERAL]
    assert len(few) > 5
    if owned is None:
        assert len(several) > 3
        assert min(few) >= np.median(several)
        # Estimates are surer than no offers at all.
        guessed = [spans[xpu] for xpu in spans if catalog.rental_price(xpu).estimated]
        assert min(guessed) >= max(several)
        assert spans["mi355x"] >= spans["mi300x"]


def test_a_price_of_ones_own_ranges_as_others_do():
    low, high = confidence.price_range(problem(PLAIN), "h100-sxm")
    assert (low, high) != confidence.price_range(problem(MARKET), "h100-sxm")
    alone = confidence.price_range(problem(PLAIN), "mi325x")
    assert len(catalog.rental_offers("mi325x")) == 1
    assert (low, high) == alone


def test_a_contest_needs_someone_who_can_serve_everything():
    described = problem(PLAIN | {"buckets": [CHAT | {"ttft": 1e-3}]})
    with pytest.raises(InputError, match="no accelerator serves all requests alone"):
        confidence.contest(objective.case(described), described)
