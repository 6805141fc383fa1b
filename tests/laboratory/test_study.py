"""The laboratory: worlds, index and experiment, on problems small enough to learn in seconds."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import paths
from llmecon.laboratory import facts, retrieval, study, transformer

pytestmark = pytest.mark.slow

KEY = jax.random.key(7)
TINY = study.Settings(
    seeds=2, subjects=6, relations=3, answers=8, width=32, steps=150, batch=32, passages=2,
    tuning_steps=30, recalls=(1.0, 0.5), counts=(1, 2, 4), searched=2,
)  # fmt: skip


@cache
def tiny() -> study.Study:
    return study.run(TINY)


def world() -> facts.World:
    return facts.create(KEY, 20, 4, 16)


def test_just_the_share_that_should_change_changes() -> None:
    before = world()
    after, order = facts.change(jax.random.key(1), before, 0.25)
    changed = np.flatnonzero(np.asarray(before.objects != after.objects))
    assert len(changed) == 20
    assert set(changed) == set(np.asarray(order[:20]).tolist())
    assert sorted(np.asarray(order).tolist()) == list(range(80))


def test_passages_at_hand_hold_the_fact_where_they_should() -> None:
    asked = jnp.arange(80)
    hit = jax.random.bernoulli(KEY, 0.5, (80,))
    passages = study.with_passages(KEY, world(), asked, hit, 5)
    there = np.asarray((passages == asked[:, None]).any(axis=1))
    assert np.array_equal(there, np.asarray(hit))
    assert np.asarray((passages == asked[:, None]).sum(axis=1)).max() == 1


def test_half_of_the_wrong_passages_are_about_the_same_subject() -> None:
    others = np.asarray(study.distractors(KEY, world(), jnp.arange(80), 400))
    same = others // 4 == np.arange(80)[:, None] // 4
    # Of those from elsewhere, 3 in 79 are about it too.
    assert same.mean() == pytest.approx(0.5 + 0.5 * 3 / 79, abs=0.01)


def test_a_prompt_tells_and_asks() -> None:
    of = world()
    asked, passages = jnp.asarray([5]), jnp.asarray([[5, 9]])
    tokens = np.asarray(study.prompt(of, asked, passages, of.objects[passages]))[0]
    subject, relation = facts.SPECIAL + 1, facts.SPECIAL + 20 + 1
    answer = int(facts.answer(of, of.objects[5]))
    assert tokens[:4].tolist() == [subject, relation, answer, facts.END]
    assert tokens[-3:].tolist() == [facts.QUESTION, subject, relation]
    assert tokens.max() < of.vocabulary


def test_the_index_finds_a_fact_asked_in_its_own_words() -> None:
    texts = facts.passage_texts(3, world())
    assert len(set(texts)) == 80
    found = retrieval.ranked(texts, texts, 3)
    assert np.array_equal(found[:, 0], np.arange(80))
    assert retrieval.recall_at(found, np.arange(80))[0] == 1.0


def test_typos_cost_recall_and_more_passages_win_it_back() -> None:
    texts = facts.passage_texts(3, world())
    recalls = [
        retrieval.recall_at(
            retrieval.ranked(texts, facts.question_texts(3, world(), typos), 10), np.arange(80)
        )
        for typos in (0.0, 0.4)
    ]
    assert recalls[1][0] < recalls[0][0] - 0.05
    assert recalls[1][9] > recalls[1][0] + 0.05
    assert np.all(np.diff(recalls[1]) >= 0.0)


def test_names_differ_and_repeat() -> None:
    first = facts.names(5, 300)
    assert len(set(first)) == 300
    assert first == facts.names(5, 300)
    assert first != facts.names(6, 300)


def test_order_matters_though_there_are_no_positions() -> None:
    weights = transformer.create(KEY, 30, 32, 2)
    tokens = jnp.arange(9)[None]
    scores = transformer.logits(weights, tokens)
    for order in ([1, 0, *range(2, 9)], [*range(7), 8, 7]):
        assert not np.allclose(scores, transformer.logits(weights, tokens[:, jnp.asarray(order)]))


def test_the_model_is_in_single_precision_and_as_large_as_counted() -> None:
    weights = transformer.create(KEY, 30, 32, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype("float32")}
    assert transformer.count(weights) == 30 * 32 + 2 * 32 * 32 * (1 + 3 + 1 + 4 + 4)


def test_a_trained_model_knows_its_world_and_is_wrong_about_what_changed() -> None:
    found = tiny()
    changed = round(0.25 * 18)
    assert found.accuracy["as it is"] == pytest.approx(1.0 - changed / 18, abs=0.06)
    assert np.all(found.changed["as it is"] == 0.0)


def test_training_on_the_changes_teaches_them_and_forgets_others() -> None:
    found = tiny()
    assert np.all(found.changed["tuned, no replay"] == 1.0)
    assert found.learning.shape == (2, 30)
    assert np.all(found.learning[:, -1] == 1.0)
    lost = 1.0 - found.unchanged["tuned, no replay"].mean()
    assert lost > 0.1
    assert 1.0 - found.unchanged["tuned, all replayed"].mean() < lost
    assert found.forgetting[0.0].mean() > found.forgetting[0.25].mean()


def test_passages_help_with_what_changed() -> None:
    found = tiny()
    assert found.changed["recall 1"].mean() > found.changed["as it is"].mean() + 0.2
    assert found.accuracy["recall 1"].mean() > found.accuracy["recall 0.5"].mean()


def test_a_seed_gives_the_same_alone_and_again() -> None:
    again = study.run(TINY)
    for way, by_seed in tiny().accuracy.items():
        assert np.array_equal(by_seed, again.accuracy[way]), way


def test_an_experiment_is_kept_until_the_laboratory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, made = [], tiny()

    def counted(settings: study.Settings) -> study.Study:
        asked.append(settings)
        return made

    monkeypatch.setattr(paths, "KEPT", tmp_path)
    monkeypatch.setattr(study, "run", counted)
    first, second = study.kept(TINY), study.kept(TINY)
    assert asked == [TINY]
    assert np.array_equal(first.recall, second.recall)
    monkeypatch.setattr(study, "_version", lambda: "another")
    study.kept(TINY)
    assert len(asked) == 2


def test_intervals_hold_the_mean_of_the_seeds() -> None:
    mean, low, high = study.summary(np.asarray([0.70, 0.74, 0.72, 0.76, 0.73]))
    # Student's t with four degrees of freedom: 2.132 standard errors of 0.01.
    assert (mean, low, high) == pytest.approx((0.73, 0.7087, 0.7513), abs=1e-4)
    table = study.accuracies(tiny())
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()
    assert set(table["facts"]) == {"all", "changed", "unchanged"}
