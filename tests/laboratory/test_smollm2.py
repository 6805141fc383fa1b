"""The small language model: prompts, rotations, intervals; its answers where it is installed."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.laboratory import smollm2, smollm2_model

SOME = smollm2.Share(0.5, 0.4, 0.6, 40)
FOUND = smollm2.Check(SOME, {1: SOME, 4: SOME}, SOME, SOME, SOME)


def small() -> smollm2_model.Model:
    """A model of two layers with random weights."""
    keys = iter(jax.random.split(jax.random.key(3), 16))

    def drawn(*shape: int) -> jax.Array:
        return jax.random.normal(next(keys), shape, jnp.float32) / shape[-2] ** 0.5

    one = jnp.ones((2, 24), jnp.float32)
    blocks = smollm2_model.Block(
        one, drawn(2, 24, 24), drawn(2, 24, 8), drawn(2, 24, 8), drawn(2, 24, 24),
        one, drawn(2, 24, 64), drawn(2, 24, 64), drawn(2, 64, 24),
    )  # fmt: skip
    return smollm2_model.Model(drawn(50, 24), blocks, one[0], 6, 2, 10_000.0, 1e-5)


def test_wilson_by_hand() -> None:
    """Ten of forty, z = 1.6449: 0.2500 becomes 0.2658 with a reach of 0.1094."""
    share = smollm2.wilson(10, 40)
    assert (share.mean, share.low, share.high) == pytest.approx((0.25, 0.1564, 0.3752), abs=1e-3)
    assert smollm2.wilson(0, 40).low == 0.0
    assert smollm2.wilson(40, 40).high == pytest.approx(1.0)


def test_a_prompt_holds_passages_only_where_there_are_some() -> None:
    without = smollm2.prompt("Where?", [], "In")
    assert without.endswith("<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nIn")
    assert "A.\nB.\n\nWhere?" in smollm2.prompt("Where?", ["A.", "B."], "In")


def test_answers_are_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(smollm2, "available", lambda: True)
    monkeypatch.setattr(smollm2.importlib.metadata, "version", lambda name: "1")
    monkeypatch.setattr(smollm2, "_asked", lambda settings: asked.append(settings) or FOUND)
    for _ in range(2):
        assert smollm2.run(cache=tmp_path) == FOUND
    assert len(asked) == 1
    smollm2.run(smollm2.Settings(questions=3), tmp_path)
    assert len(asked) == 2
    assert {file.suffix for file in tmp_path.iterdir()} == {".json"}


def test_without_the_packages_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "available", lambda: False)
    with pytest.raises(InputError, match="not installed; run: make smollm2"):
        smollm2.run()


def test_facts_are_invented_and_never_their_own_distraction() -> None:
    facts = smollm2._invented(smollm2.Settings(questions=30))
    assert len({fact.question for fact in facts}) == 30
    assert len({fact.answer for fact in facts}) == 30
    random = np.random.default_rng(0)
    for i in range(30):
        others = smollm2._others(random, i, 30, 29)
        assert sorted(others) == [j for j in range(30) if j != i]


@pytest.mark.skipif(not smollm2_model.available(), reason="make smollm2 installs the model")
def test_the_real_model_knows_capitals_and_reads() -> None:
    found = smollm2.run(smollm2.Settings(questions=8, counts=(2,), capitals=8))
    assert found.known.mean > 0.7
    assert found.unaided.mean == 0.0
    assert found.reading[2].mean > 0.3
    assert {field.name for field in dataclasses.fields(found)} >= {"misled", "repeated"}
