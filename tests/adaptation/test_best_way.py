"""The best way to answer: against fine grids and closed forms, and six cases with known answers."""

import itertools
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import adaptation
from llmecon.adaptation import best_way, knowledge
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_MONTH, SECONDS_PER_YEAR
from tests.problems import FINDING, KNOBS, KNOWLEDGE, NEWS, OFFERS, changed

pytestmark = pytest.mark.slow


@cache
def solver(method: str) -> Any:
    return interpreted(lambda *given: best_way.best(method, *given))


@cache
def pricer(method: str) -> Any:
    def total(case: Any, offers: Any, known: Any, knobs: Any) -> Any:
        return adaptation.bill(method, case, offers, known, knobs).total

    return interpreted(jax.vmap(total, (None, None, None, 0)))


def winner(case: Any, offers: Any = OFFERS, known: Any = KNOWLEDGE) -> str:
    totals = {
        method: float(solver(method)(case, offers, known).outcome.bill.total)
        for method in adaptation.METHODS
    }
    return min(totals, key=lambda method: totals[method])


SEVERAL = [
    NEWS,
    changed(NEWS, queries=40.0, change=1e-9),
    changed(NEWS, queries=1e-3, known=0.05),
    changed(NEWS, change=1e-6, wrong=0.5),
]


@pytest.mark.parametrize("case", SEVERAL)
@pytest.mark.parametrize("method", ["rag", "lora", "full", "both"])
def test_no_knobs_on_a_fine_grid_are_cheaper(method: str, case: Any) -> None:
    found = solver(method)(case, OFFERS, KNOWLEDGE)
    names = best_way.FREE[method]
    life = float(case.life)
    points = {2: 300, 3: 45, 5: 10}[len(names)]
    axes = [
        np.geomspace(low, min(high, life) if name == "interval" else high, points)
        for name, (low, high) in ((name, best_way.LIMITS[name]) for name in names)
    ]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes)])
    knobs = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, grid.shape[1:]), KNOBS)
    for name, values in zip(names, grid, strict=True):
        knobs = changed_batch(knobs, name, values)
    cheapest = float(pricer(method)(case, OFFERS, KNOWLEDGE, knobs).min())
    total = float(found.outcome.bill.total)
    assert total <= cheapest * (1.0 + 1e-7)
    # And the grid is fine enough to come near it.
    assert total >= cheapest * {2: 0.999, 3: 0.99, 5: 0.9}[len(names)]


def changed_batch(knobs: Any, name: str, values: Any) -> Any:

    return eqx.tree_at(lambda of: getattr(of, name), knobs, jnp.asarray(values))


def test_the_least_bill_is_that_of_the_best() -> None:
    least = interpreted(lambda *given: best_way.least_bill("rag", *given))(NEWS, OFFERS, KNOWLEDGE)
    assert float(least) == pytest.approx(
        float(solver("rag")(NEWS, OFFERS, KNOWLEDGE).outcome.bill.total), rel=1e-6
    )


def test_passages_are_those_of_the_closed_form_where_they_cost_nothing() -> None:
    free = jax.tree.map(jnp.zeros_like, OFFERS.base.price)
    offers = with_base_price(free)
    case = changed(NEWS, known=0.0, wrong=1.0)
    known = adaptation.Knowledge(
        knowledge.Retriever(first=0.3, decline=0.3),
        KNOWLEDGE.reading,
        KNOWLEDGE.learning,
        KNOWLEDGE.adapter,
    )
    given = adaptation.Knobs(np.nan, 133.0, 1.0, 1.0, 1.0)
    found = solver("rag")(case, offers, known, given)
    closed = knowledge.best_passages(known.retriever, known.reading, jnp.asarray(133.0))
    assert float(found.knobs.passages) == pytest.approx(float(closed), rel=1e-4)
    assert float(found.knobs.passage_tokens) == 133.0


def test_the_best_length_of_passages_beats_a_fine_grid() -> None:
    """Long ones are harder to find and distract, short ones are cut: there is a best between."""
    found = solver("rag")(NEWS, OFFERS, KNOWLEDGE, adaptation.Knobs(*(np.nan,) * 5))
    lengths = jnp.geomspace(32.0, 2048.0, 4001)

    def total(length: Any) -> Any:
        knobs = changed_batch(found.knobs, "passage_tokens", length)
        return adaptation.outcome("rag", NEWS, OFFERS, KNOWLEDGE, knobs).bill.total

    costs = interpreted(jax.vmap(total))(lengths)
    assert float(found.outcome.bill.total) <= float(costs.min()) * (1.0 + 1e-9)
    best_length = float(lengths[int(jnp.argmin(costs))])
    assert float(found.knobs.passage_tokens) == pytest.approx(best_length, rel=2e-3)
    assert 50.0 < best_length < 1000.0


def with_base_price(price: Any) -> Any:

    return eqx.tree_at(lambda of: (of.base.price, of.base.least_price), OFFERS, (price, 0.0))


def test_the_interval_follows_the_square_root_law() -> None:
    """All is replayed, nothing else is known, and few facts change between trainings."""
    case = changed(
        NEWS, known=0.0, change=2e-10, label=0.0, wrong=0.05, replaced=1e10, horizon=1e10
    )
    given = adaptation.Knobs(1.0, 133.0, 3000.0, np.nan, 1.0)
    found = solver("lora")(case, OFFERS, KNOWLEDGE, given)
    each = float(case.corpus) * 3000.0 * float(OFFERS.lora.price) + float(OFFERS.lora.round)
    weights = KNOWLEDGE.adapter
    taken_up = knowledge.learned(weights, jnp.asarray(3000.0), case.documents, OFFERS.lora.weights)
    loss = float(case.queries * case.wrong * taken_up)
    law = knowledge.best_interval(*map(jnp.asarray, (each, loss)), case.change)
    assert float(found.knobs.interval) == pytest.approx(float(law), rel=0.01)


def test_the_gradient_of_the_optimum_is_that_of_solving_again() -> None:
    def total(change: Any) -> Any:
        case = changed(NEWS, change=1.0)

        case = eqx.tree_at(lambda of: of.change, case, change)
        return best_way.best("both", case, OFFERS, KNOWLEDGE).outcome.bill.total

    at, step = float(NEWS.change), 1e-3 * float(NEWS.change)
    solve = interpreted(total)
    differences = (float(solve(at + step)) - float(solve(at - step))) / (2.0 * step)
    assert float(interpreted(jax.grad(total))(at)) == pytest.approx(differences, rel=1e-3)


def test_a_switch_is_where_both_cost_the_same() -> None:
    def asked(queries: Any) -> Any:

        return eqx.tree_at(lambda of: of.queries, NEWS, queries)

    found = jax.jit(lambda: best_way.switch("both", "as-is", asked, 1e-6, 1e3, OFFERS, KNOWLEDGE))()
    assert 1e-6 < float(found) < 1e3
    one, other = (
        float(solver(method)(asked(found), OFFERS, KNOWLEDGE).outcome.bill.total)
        for method in ("both", "as-is")
    )
    assert one == pytest.approx(other, rel=1e-6)


# Cases whose answer anybody would know.


def test_documents_that_never_change_and_are_always_asked_about_go_into_the_weights() -> None:
    """Passages are paid with every question, training once; wrong answers cost little."""
    still = changed(NEWS, change=0.0, queries=500.0, replaced=1e9, label=0.0, wrong=5e-4)
    assert winner(still) in adaptation.TUNED
    paid = {m: solver(m)(still, OFFERS, KNOWLEDGE).outcome for m in ("rag", "full")}
    assert float(paid["full"].bill.serving) < float(paid["rag"].bill.serving)


def test_hourly_news_are_retrieved() -> None:
    hourly = changed(NEWS, change=1.0 / 3600.0, known=0.0)
    offers = changed_refresh(60.0)
    assert winner(hourly, offers) == "rag"


def changed_refresh(seconds: float) -> Any:

    return eqx.tree_at(lambda of: of.index.refresh, OFFERS, jnp.asarray(seconds))


def test_hardly_anything_asked_is_not_worth_building_for() -> None:
    assert winner(changed(NEWS, queries=1e-6)) == "as-is"


def test_a_premium_on_hosting_can_rule_tuning_out() -> None:
    """Whatever it knows, a tuned model that costs more than wrong answers never pays."""

    dear = eqx.tree_at(
        lambda of: (of.adapted.least_price, of.tuned.least_price), OFFERS, (1.0, 1.0)
    )
    cases = [
        changed(NEWS, queries=factor * 0.4, change=change)
        for factor, change in itertools.product((0.01, 1.0, 10.0), (0.0, 1e-8))
    ]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *cases)

    def totals(method: str) -> Any:
        def total(case: Any) -> Any:
            return best_way.best(method, case, dear, KNOWLEDGE).outcome.bill.total

        return interpreted(jax.vmap(total))(together)

    least = np.argmin([totals(method) for method in adaptation.METHODS], axis=0)
    assert not {adaptation.METHODS[place] for place in least} & set(adaptation.TUNED)


def test_with_perfect_search_one_passage_is_enough() -> None:
    reading = changed(KNOWLEDGE.reading, alone=0.999)
    sure = adaptation.Knowledge(FINDING, reading, KNOWLEDGE.learning, KNOWLEDGE.adapter)
    found = solver("rag")(NEWS, OFFERS, sure)
    assert float(found.knobs.passages) == pytest.approx(1.0, abs=1e-4)
    assert winner(NEWS, OFFERS, sure) == "rag"


def test_free_labels_make_tuning_cheaper_and_nothing_else() -> None:
    free = changed(NEWS, label=0.0)
    for method in adaptation.METHODS:
        before, after = (
            float(solver(method)(case, OFFERS, KNOWLEDGE).outcome.bill.total)
            for case in (NEWS, free)
        )
        saved = 20_000.0 * (1.0 + 0.05 * 24.0) * 0.05 if method in adaptation.TUNED else 0.0
        assert before - after == pytest.approx(saved, rel=1e-3, abs=1e-6)


def test_knowing_what_decides_is_worth_what_it_saves() -> None:
    """Two ways, one of which costs the unknown: a coin between 0 and 3, against 1 for sure."""
    random = np.random.default_rng(0)
    coin = random.permutation(np.repeat([0.0, 3.0], 5000))
    costs = np.stack([np.ones(10_000), coin], axis=1)
    known = best_way.worth_of_knowing(costs, coin)
    # Not knowing, take the sure 1; knowing, save it in half of all cases.
    assert known.saving == pytest.approx(0.5)
    assert known.flips == pytest.approx(0.5)
    other = best_way.worth_of_knowing(costs, random.random(10_000))
    assert other.saving < 0.02
    assert other.flips < 0.02


def test_the_worth_of_knowing_by_hand() -> None:
    """A sure 0.5 against an even draw from 0 to 1: knowing it saves an eighth on average."""
    random = np.random.default_rng(3)
    even = random.permutation((np.arange(2000) + 0.5) / 2000)
    noise = 0.3 * random.standard_normal(2000)
    costs = np.stack([np.full(2000, 0.499), even + noise], axis=1)
    known = best_way.worth_of_knowing(costs, even)
    assert known.saving == pytest.approx(0.125, abs=0.01)
    assert known.flips == pytest.approx(0.5, abs=0.05)


def test_the_case_lasts_as_long_as_it_says() -> None:
    assert float(NEWS.life) == pytest.approx(0.8 * SECONDS_PER_YEAR)
    assert float(NEWS.change) == pytest.approx(0.05 / SECONDS_PER_MONTH)
