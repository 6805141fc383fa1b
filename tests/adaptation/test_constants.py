"""Constants and their ranges: what they are tied to, and what is drawn from them."""

from dataclasses import fields

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.adaptation import constants, knowledge, published_studies
from llmecon.errors import InputError
from llmecon.laboratory.study import Settings, Study

SETTINGS = Settings(seeds=3, searched=2, replay=0.25)


def made_up(wait: float = 5.0) -> Study:
    """What an experiment would give whose constants are known."""
    k = np.arange(1, 9)
    recall = np.stack([1.0 - (1.0 - first) * k**-0.5 for first in (0.6, 0.7, 0.8)])
    crowded = np.asarray(knowledge.crowding(jnp.asarray(k[[0, 1, 3]] * knowledge.PASSAGE)))
    read = 0.9 * crowded**-0.2
    found, misled, stale, tuned = recall[:, 1], 0.3, 0.7, 0.95
    odds = 2.0 * 0.8 / 0.2
    steps = np.arange(1, 101)
    return Study(
        settings=SETTINGS,
        weights=1000,
        accuracy={
            "as it is": np.full(3, stale),
            "index": found * 0.8 + (1.0 - found) * (1.0 - misled) * stale,
            "tuned, all replayed": np.full(3, tuned),
            "tuned and index": found * odds / (1.0 + odds) + (1.0 - found) * (1.0 - misled) * tuned,
        },
        changed={},
        unchanged={},
        reading={int(n): np.full(3, of) for n, of in zip(k[[0, 1, 3]], read, strict=True)},
        misled=np.full(3, misled),
        learning=np.stack([0.9 * -np.expm1(-steps / wait)] * 3),
        forgetting={0.0: np.array([0.3, 0.4, 0.5]), 0.25: np.array([0.3, 0.4, 0.5]) / np.e},
        recall=recall,
    )


def test_an_experiment_gives_back_the_constants_it_was_made_with() -> None:
    found = constants.measured(made_up())
    assert (found.first.low, found.first.middle, found.first.high) == pytest.approx((0.6, 0.7, 0.8))
    expected = {
        "decline": 0.5, "alone": 0.9, "distraction": 0.2, "misreading": 0.3, "tuned": 2.0,
        "ceiling": 0.9, "forgetting": 0.4, "relief": 0.25,
    }  # fmt: skip
    for name, value in expected.items():
        assert getattr(found, name).middle == pytest.approx(value, rel=1e-3), name
    assert found.exposures.middle == pytest.approx(5.0, abs=1.0)  # steps are whole


def test_published_constants_lie_where_their_studies_do() -> None:
    found = constants.published("dpr-nq-karpukhin")
    fitted = published_studies.retriever("dpr-nq-karpukhin").retriever
    assert found.first.middle == pytest.approx(float(fitted.first))
    assert found.first.source == "Karpukhin2020"
    assert found.alone.low == 0.761  # Claude 1.3 in Liu2023
    assert found.ceiling.high == pytest.approx(0.2765, abs=1e-3)  # Llama 3 8B in Yang2024
    for field in fields(found):
        of = getattr(found, field.name)
        assert 0.0 < of.low <= of.middle <= of.high, field.name


@pytest.mark.parametrize("recall", [0.05, 0.3, 0.8, 0.99, 1.0])
def test_recall_that_readers_measured_is_met(recall: float) -> None:
    for found in (
        constants.published("dpr-nq-karpukhin", recall),
        constants.measured(made_up(), recall),
    ):
        search = knowledge.Retriever(found.first.middle, found.decline.middle)
        five = knowledge.recall(search, jnp.asarray(5.0), jnp.asarray(knowledge.PASSAGE))
        assert float(five) == pytest.approx(recall, abs=1e-9)
        assert found.first.low == found.first.high


def test_draws_fill_their_ranges_evenly_about_the_middle() -> None:
    found = constants.published("dpr-nq-karpukhin")
    for name, values in found.draws(1000).items():
        of = getattr(found, name)
        assert of.low <= float(values.min()) <= float(values.max()) <= of.high
        assert float(jnp.median(values)) == pytest.approx(of.middle, rel=0.01)
    again = found.draws(1000)
    assert all(np.array_equal(again[name], values) for name, values in found.draws(1000).items())


def test_records_hold_the_values_given() -> None:
    values = constants.published("dpr-nq-karpukhin").middles()
    made = constants.knowledge_of(values, 0.1, 20.0, 500.0, 0.5)
    assert float(made.retriever.span) == 20.0
    assert float(made.adapter.forgetting) == pytest.approx(0.5 * values["forgetting"])
    assert float(made.adapter.ceiling) == pytest.approx(values["adapter"] * values["ceiling"])
    assert float(made.learning.ceiling) == values["ceiling"]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="not between"):
        constants.Range(0.5, 0.4, 0.6)
    with pytest.raises(InputError, match="recall_of_five"):
        constants.published("dpr-nq-karpukhin", 1.5)
    with pytest.raises(InputError, match="use one of"):
        constants.published("oracle")
    one = made_up()
    single = Study(**{**vars(one), "settings": Settings(seeds=1)})
    with pytest.raises(ValueError, match="several"):
        constants.measured(single)
