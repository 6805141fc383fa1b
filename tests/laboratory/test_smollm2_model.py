"""The forward pass and tokens of SmolLM2, on small weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.laboratory import smollm2_model


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


def test_rotations_tell_distances_and_nothing_else() -> None:
    """The product of a query and a key depends on how far apart they stand."""
    query, key = jax.random.normal(jax.random.key(0), (2, 8), jnp.float32)
    at = jnp.tile(jnp.stack([query, key])[None, :, :], (12, 1, 1))
    turned = smollm2_model.rotated(at, 100.0)
    products = np.asarray(turned[:, 0] @ turned[:, 1].T)
    for shift in (1, 5):
        assert products[shift, 0] == pytest.approx(products[11, 11 - shift], rel=1e-4)
    assert products[5, 0] != pytest.approx(products[1, 0], rel=1e-2)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(at, axis=-1), rtol=1e-5
    )


@pytest.mark.slow
def test_what_comes_later_changes_nothing_before() -> None:
    model = small()
    tokens = jax.random.randint(jax.random.key(1), (3, 20), 0, 50)
    other = tokens.at[:, 12:].set((tokens[:, 12:] + 7) % 50)
    places = jnp.tile(jnp.arange(20), (3, 1))
    first, second = (smollm2_model.most_likely(model, of, places) for of in (tokens, other))
    assert np.array_equal(first[:, :12], second[:, :12])
    assert not np.array_equal(first[:, 12:], second[:, 12:])
    some = smollm2_model.most_likely(model, tokens, jnp.asarray([[4], [9], [11]]))
    assert np.array_equal(some[:, 0], first[jnp.arange(3), jnp.asarray([4, 9, 11])])


def test_bytes_are_merged_and_come_back() -> None:
    pytest.importorskip("tokenizers")
    letters = [*"abcdehlo", "Ġ", "1", "2"]
    vocabulary = {token: i for i, token in enumerate([*letters, "he", "ll", "<end>"])}
    made = smollm2_model.byte_pairs(vocabulary, [("h", "e"), ("l", "l")], ["<end>"])
    ids = made.encode("hello 12<end>").ids
    assert [made.id_to_token(i) for i in ids] == ["he", "ll", "o", "Ġ", "1", "2", "<end>"]
    assert made.decode(ids) == "hello 12"
