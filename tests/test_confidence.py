"""How sure a choice is: against cases computed one by one, and identities of its statistics."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from llmecon import catalog, choice, confidence, landscape, options, terms
from llmecon.choice import Relaxed
from llmecon.confidence import Contest
from llmecon.errors import InputError
from llmecon.problem import Problem, problem
from llmecon.terms import Case
from tests.test_sensitivity import CHAT, LONG, PLAIN

# Limits that every accelerator can keep, fast or slow as it may be.
EASY = [CHAT | {"ttft": 12.0, "tpot": 0.3}, LONG | {"ttft": 30.0, "tpot": 0.3}]
PRICE = 3.0


@pytest.fixture(scope="module")
def asked() -> Problem:
    return problem(PLAIN | {"buckets": EASY})


@pytest.fixture(scope="module")
def of(asked: Problem) -> Case:
    return terms.case(asked)


@pytest.fixture(scope="module")
def relaxed(of: Case) -> Relaxed:
    found = choice.relaxed(of)
    assert isinstance(found, Relaxed)
    return found


@pytest.fixture(scope="module")
def contest(of: Case, asked: Problem) -> Contest:
    return confidence.contest(of, asked, always=("a100-sxm-80gb",))


def test_a_draw_is_the_case_with_that_efficiency(of: Case, asked: Problem):
    engines = np.array([0, 4])
    found = confidence.drawn(of, asked, engines)
    draw = 3
    attained = [
        jax.tree.map(
            lambda leaf: leaf[draw],
            catalog.efficiency_draws(
                catalog.system(asked.model, name.xpu, precision=name.precision)
            ),
        )
        for name in (of.of.names[at] for at in engines)
    ]
    few = landscape.kept(of, engines)
    faster = eqx.tree_at(lambda e: e.efficiency, few.of.engines, catalog.stack(attained))
    afresh = dataclasses.replace(few, of=options.changed(few.of, faster, few.of.demand))
    costs = landscape.request_costs(afresh, afresh.free)
    computed = found.time[draw] * found.standing[:, None] + found.rest[draw]
    np.testing.assert_allclose(computed, costs, rtol=1e-9)


def test_a_fleet_costs_parts_of_instances_or_whole_ones(of: Case, asked: Problem, relaxed: Relaxed):
    parts = confidence.fleet_costs(of, asked, relaxed.plan, whole=False)
    whole = confidence.fleet_costs(of, asked, relaxed.plan)
    assert np.all(whole >= parts * (1.0 - 1e-9))
    # The draws lie around the cost with the most probable efficiencies.
    assert np.quantile(parts, 0.1) < relaxed.plan.cost < np.quantile(parts, 0.9)
    columns = relaxed.plan.columns
    standing = of.free.standing[columns.engine, columns.region]
    assert len(set(columns.engine.tolist())) == 1
    instances = whole[np.isfinite(whole)] / standing[0]
    np.testing.assert_allclose(instances, np.round(instances), rtol=1e-9)


def test_shares_of_winners_make_up_all_cases(contest: Contest):
    table = contest.table()
    assert table["best"].sum() == pytest.approx(1.0)
    assert "a100-sxm-80gb" in table.index
    settled = contest.costs
    winner = settled.argmin(axis=2)
    for at, xpu in enumerate(contest.xpus):
        assert table.loc[xpu, "best"] == pytest.approx(float((winner == at).mean()))
        assert table.loc[xpu, "mean"] == pytest.approx(float(settled[..., at].mean()))
    assert table["regret"].min() == pytest.approx(contest.perfect)


def test_no_part_of_knowing_is_worth_more_than_all(contest: Contest):
    best_known = contest.costs.min(axis=2).mean()
    assert contest.perfect == pytest.approx(contest.costs.mean(axis=(0, 1)).min() - best_known)
    assert 0.0 <= contest.all_speeds <= contest.perfect
    assert 0.0 <= contest.all_prices <= contest.perfect
    for (kind, _), learned in contest.worth().items():
        assert (
            0.0 <= learned.saving <= (contest.all_speeds if kind == "speed" else contest.all_prices)
        )


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
    assert table.loc["one", "best"] == pytest.approx(1.0)


def test_prices_range_over_the_offers_seen():
    described = problem(PLAIN)
    offers = catalog.rental_offers("mi300x")["usd_per_xpu_hour"]
    low, high = confidence.price_range(described, "mi300x")
    assert low == pytest.approx(offers.min() / offers.median())
    assert high == pytest.approx(offers.max() / offers.median())
    given = PLAIN | {"choices": PLAIN["choices"] | {"usd_per_hour": {"mi300x": 2.0}}}
    low, high = confidence.price_range(problem(given), "mi300x")
    assert low == pytest.approx(1.0 / high)
    factors = confidence.price_factors(described, ["mi300x", "h100-sxm"], 64)
    assert factors.shape == (64, 2)
    assert offers.min() / offers.median() <= factors[:, 0].min()
    assert np.corrcoef(np.log(factors).T)[0, 1] == pytest.approx(0.0, abs=0.3)


def test_a_contest_needs_someone_who_can_serve_everything():
    described = problem(PLAIN | {"buckets": [CHAT | {"ttft": 1e-3}]})
    with pytest.raises(InputError, match="no accelerator serves all requests alone"):
        confidence.contest(terms.case(described), described)
