"""What a model knows, finds and reads: closed forms, limits, and simulated facts."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.adaptation import knowledge
from llmecon.specs import SECONDS_PER_MONTH
from tests.problems import floats

RETRIEVER = knowledge.Retriever(first=0.5, decline=0.3, dilution=0.1, span=10.0)
READING = knowledge.Reading(alone=0.88, distraction=0.1, misreading=0.3)
LEARNING = knowledge.Learning(exposures=45.0, forgetting=0.3, relief=0.1)
MONTHLY = -np.log(0.95) / SECONDS_PER_MONTH


def test_more_passages_are_found_and_read_worse() -> None:
    counts = jnp.geomspace(1.0, 100.0, 40)
    found = knowledge.recall(RETRIEVER, counts, jnp.asarray(133.0))
    read = knowledge.reads(READING, counts * 133.0)
    assert np.all(np.diff(found) > 0.0)
    assert np.all(np.diff(read) < 0.0)
    assert float(found[0]) == pytest.approx(0.5 * np.exp(-10.0 / 133.0))
    assert float(read[0]) == pytest.approx(0.88)


def test_best_passages_beat_a_fine_grid() -> None:
    retriever = knowledge.Retriever(first=0.5, decline=0.3)
    tokens = jnp.asarray(133.0)
    grid = jnp.geomspace(1.0, 1000.0, 200_001)
    right = knowledge.recall(retriever, grid, tokens) * knowledge.reads(READING, grid * tokens)
    best = knowledge.best_passages(retriever, READING, tokens)
    assert float(best) == pytest.approx(float(grid[jnp.argmax(right)]), rel=1e-3)


def test_a_perfect_retriever_and_reader_are_always_right() -> None:
    retriever = knowledge.Retriever(first=1.0, decline=0.3)
    reading = knowledge.Reading(alone=1.0, distraction=0.0, misreading=1.0)
    one = jnp.ones(())
    found = knowledge.recall(retriever, one, 133.0 * one)
    right = knowledge.right_with_passages(
        found, knowledge.reads(reading, 133.0 * one), reading.misreading, jnp.zeros(())
    )
    assert float(right) == pytest.approx(1.0, abs=1e-9)


def test_tuning_changes_the_odds_of_reading() -> None:
    reading = knowledge.Reading(alone=0.8, distraction=0.0, misreading=0.0, tuned=2.0)
    assert float(knowledge.reads(reading, jnp.asarray(133.0), 1.0)) == pytest.approx(8.0 / 9.0)


def test_two_bits_a_weight() -> None:
    learning = knowledge.Learning(45.0, 0.0, 1.0, 2.0, 1000.0)
    often, documents = jnp.asarray(1e6), jnp.asarray(1e4)
    roomy = knowledge.learned(learning, often, documents, jnp.asarray(1e9))
    cramped = knowledge.learned(learning, often, documents, jnp.asarray(5e5))
    assert float(roomy) == pytest.approx(1.0)
    # A tenth of the bits needed: a tenth of the facts.
    assert float(cramped) == pytest.approx(0.1, rel=1e-3)
    assert float(knowledge.learned(learning, jnp.asarray(45.0), documents, jnp.asarray(1e9))) == (
        pytest.approx(1.0 - np.exp(-1.0))
    )


def test_freshness_is_a_mean_of_survival() -> None:
    interval = 3.0 * SECONDS_PER_MONTH
    ages = np.linspace(0.0, interval, 100_001)
    mean = np.trapezoid(np.exp(-MONTHLY * ages), ages) / interval
    found = knowledge.freshness(jnp.asarray(MONTHLY), jnp.asarray(interval))
    assert float(found) == pytest.approx(mean, rel=1e-9)
    assert float(knowledge.freshness(jnp.zeros(()), jnp.asarray(interval))) == 1.0


@pytest.mark.parametrize("replay", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("ceiling", [1.0, 0.3])
def test_knowledge_kept_matches_simulated_facts(replay: float, ceiling: float) -> None:
    """A hundred thousand facts, each changed, replayed, forgotten and learned by lot."""
    random = np.random.default_rng(1)
    facts, rounds, changed, taken_up, known = 100_000, 6, 0.15, 0.7, 0.4
    lost = LEARNING.forgetting * np.exp(-replay / LEARNING.relief)
    within = random.random(facts) < ceiling
    knows = (random.random(facts) < known) | (within & (random.random(facts) < taken_up))
    shares = [knows.mean()]
    for _ in range(rounds - 1):
        changes = random.random(facts) < changed
        replayed = ~changes & (random.random(facts) < replay)
        learns = within & (random.random(facts) < taken_up)
        forgets = random.random(facts) < lost
        knows = np.where(changes, learns, np.where(replayed, knows | learns, knows & ~forgets))
        shares.append(knows.mean())
    learning = replace(LEARNING, ceiling=jnp.asarray(ceiling))
    found = knowledge.kept(learning, *floats(known, taken_up, changed, replay, rounds))
    assert float(found) == pytest.approx(np.mean(shares), abs=0.005)


def test_nothing_is_forgotten_where_nothing_is_trained() -> None:
    still = knowledge.Learning(exposures=45.0, forgetting=0.0, relief=1.0)
    zero = jnp.zeros(())
    taught, rounds = jnp.asarray(0.9), jnp.asarray(12.0)
    found = knowledge.kept(still, jnp.asarray(0.4), taught, zero, zero, rounds)
    assert float(found) == pytest.approx(0.4 + 0.6 * 0.9)


def test_the_square_root_law() -> None:
    """Where few facts change between updates, it is the best interval of the exact cost."""
    change, fixed, loss = jnp.asarray(1e-9), 10.0, 1e-2
    grid = jnp.geomspace(1e5, 1e8, 400_001)
    cost = fixed / grid + loss * (1.0 - jax.vmap(lambda t: knowledge.freshness(change, t))(grid))
    best = knowledge.best_interval(*map(jnp.asarray, (fixed, loss)), change)
    assert float(best) == pytest.approx(float(grid[jnp.argmin(cost)]), rel=0.01)


def test_best_exposures_beat_a_fine_grid() -> None:
    grid = jnp.linspace(0.0, 400.0, 400_001)
    room = jnp.asarray(1e12)
    known = jax.vmap(lambda n: knowledge.learned(LEARNING, n, jnp.ones(()), room))(grid)
    best = knowledge.best_exposures(LEARNING, jnp.asarray(2.0), jnp.asarray(1000.0))
    assert float(best) == pytest.approx(
        float(grid[jnp.argmin(2.0 * grid - 1000.0 * known)]), abs=2e-3
    )
    assert float(knowledge.best_exposures(LEARNING, jnp.asarray(2.0), jnp.asarray(1.0))) == 0.0
