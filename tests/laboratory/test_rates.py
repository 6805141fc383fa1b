"""The small experiment with this machine: its transformer, its count, and how it is kept."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import paths
from llmecon.laboratory import rates
from llmecon.laboratory.rates import Layer, Rates, Settings

TINY = Settings(
    inner=64,
    columns=32,
    matrices=2,
    rows=(1, 8),
    copied=1024,
    layers=2,
    width=16,
    heads=2,
    hidden=32,
    vocabulary=10,
    past=5,
    batches=(1, 3),
    prompt=4,
    seconds=0.0,
)
FOUND = Rates(TINY, "a machine", {1: 1e-6, 8: 4e-6}, 2e-6, {1: 1e-5, 3: 2e-5}, 3e-5)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_the_transformer_is_one() -> None:
    """Against loops over sequences, heads and tokens in double precision."""
    sequences, new, past, heads, size, width = 2, 3, 4, 2, 3, 6
    shapes = [(width, width)] * 4 + [(width, 8), (8, width)]
    layers = [Layer(*(drawn(*shape) + i for shape in shapes)) for i in range(2)]
    head, x = drawn(width, 7), drawn(sequences, new, width)
    cache = [(drawn(sequences, heads, past, size), drawn(sequences, heads, past, size) + 1)] * 2
    scores, made = rates.forward(heads, layers, jnp.asarray(head), jnp.asarray(x), cache)

    def normal(v: np.ndarray) -> np.ndarray:
        return v / np.sqrt(np.mean(v * v) + 1e-6)

    for s in range(sequences):
        states = x[s].astype(float)
        for of, (keys, values) in zip(layers, cache, strict=True):
            seen = np.stack([normal(v) for v in states])
            query, key, value = (seen @ by for by in (of.query, of.key, of.value))
            mixed = np.zeros_like(states)
            for h in range(heads):
                own = slice(h * size, (h + 1) * size)
                for t in range(new):
                    every = np.concatenate([keys[s, h], key[: t + 1, own]])
                    told = np.concatenate([values[s, h], value[: t + 1, own]])
                    weight = every @ query[t, own] / np.sqrt(size)
                    weight = np.exp(weight - weight.max())
                    mixed[t, own] = weight @ told / weight.sum()
            states = states + mixed @ of.output
            fed = np.maximum(np.stack([normal(v) for v in states]) @ of.up, 0.0)
            states = states + fed @ of.down
        np.testing.assert_allclose(scores[s], normal(states[-1]) @ head, rtol=2e-3, atol=2e-3)
    assert made[0][0].shape == (sequences, heads, new, size)


def test_rates_by_hand() -> None:
    """8 rows of 64 x 32 take 4 us; 1024 numbers of 4 bytes are read and written in 2 us."""
    assert FOUND.flops == pytest.approx(2 * 8 * 64 * 32 / 4e-6)
    assert FOUND.bandwidth == pytest.approx(2 * 4 * 1024 / 2e-6)


def test_a_step_s_roof_by_hand() -> None:
    """Two layers of 4 x 16 x 16 + 2 x 16 x 32 weights and a head of 160, of 4 bytes each."""
    weights = 2 * (4 * 256 + 2 * 512) + 160
    found = rates.predicted(FOUND, 3, 1, 5)
    cache = 3 * 2 * 2 * 16 * 6 * 4
    assert float(found.bytes) == 4 * weights + cache
    assert float(found.flops) == pytest.approx(2 * 3 * weights + 3 * 2 * 5.5 * 2 * 2 * 16)
    linear = max(4 * weights / FOUND.bandwidth, 2 * 3 * weights / FOUND.flops)
    attention = max(cache / FOUND.bandwidth, 3 * 2 * 5.5 * 64 / FOUND.flops)
    assert float(found.seconds) == pytest.approx(linear + attention, rel=1e-3)


@pytest.mark.slow
def test_everything_is_timed() -> None:
    found = rates.run(TINY)
    assert set(found.products) == {1, 8}
    assert set(found.decode) == {1, 3}
    assert min(*found.products.values(), *found.decode.values(), found.copy, found.prefill) > 0.0
    assert found.machine == rates.machine()
    assert "cores" in found.machine


def test_all_that_is_timed_takes_turns() -> None:
    """A machine that is busy for a while is so for every one of them, not for one alone."""
    order: list[str] = []
    works = {(of, 1): partial(order.append, of) for of in ("a", "b")}
    took = rates._least(replace(TINY, seconds=1e-9), works)
    assert order == ["a", "b"] * rates._ROUNDS
    assert set(took) == set(works)
    assert all(0.0 < of < 1.0 for of in took.values())


def test_what_was_timed_is_kept_for_this_kind_of_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "KEPT", tmp_path)
    runs = []

    def timed(settings: Settings) -> Rates:
        runs.append(settings)
        return replace(FOUND, copy=float(len(runs)))

    monkeypatch.setattr(rates, "run", timed)
    assert rates.kept(TINY).copy == 1.0
    assert rates.kept(TINY).copy == 1.0
    monkeypatch.setattr(rates, "machine", lambda: "another")
    assert rates.kept(TINY).copy == 2.0
    assert rates.kept(replace(TINY, copied=2048)).copy == 3.0
