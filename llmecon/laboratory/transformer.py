"""A small transformer whose tokens see their predecessor: enough to remember facts and to copy."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

Matrix = Float[Array, "..."]


class Layer(NamedTuple):
    """The weights of a layer.

    Attributes:
        shift: from the previous token.
        attention: to queries, keys and values.
        out: from the heads.
        up: into the feed-forward network.
        down: out of it.
    """

    shift: Matrix
    attention: Matrix
    out: Matrix
    up: Matrix
    down: Matrix


class Weights(NamedTuple):
    """All weights, in single precision.

    Attributes:
        embedding: of the tokens, into and out of the model.
        layers: first to last.
    """

    embedding: Matrix
    layers: tuple[Layer, ...]


HEADS = 4
FEED_FORWARD = 4


def create(key: PRNGKeyArray, vocabulary: int, width: int, layers: int) -> Weights:
    """Weights at random.

    Args:
        key: of the draw.
        vocabulary: tokens.
        width: of the residual stream.
        layers: how many.

    Returns:
        The weights of an untrained model.
    """

    def matrix(key: PRNGKeyArray, rows: int, columns: int, scale: float = 1.0) -> Matrix:
        drawn = jax.random.normal(key, (rows, columns), jnp.float32)
        return (drawn * scale / rows**0.5).astype(jnp.float32)

    def layer(key: PRNGKeyArray) -> Layer:
        keys = jax.random.split(key, 5)
        return Layer(
            matrix(keys[0], width, width),
            matrix(keys[1], width, 3 * width),
            matrix(keys[2], width, width, 0.5),
            matrix(keys[3], width, FEED_FORWARD * width),
            matrix(keys[4], FEED_FORWARD * width, width, 0.5),
        )

    first, *rest = jax.random.split(key, layers + 1)
    embedding = jax.random.normal(first, (vocabulary, width), jnp.float32)
    return Weights(embedding * jnp.float32(0.5), tuple(layer(key) for key in rest))


def count(weights: Weights) -> int:
    """How many weights there are."""
    return sum(leaf.size for leaf in jax.tree.leaves(weights))


def _normal(x: Matrix) -> Matrix:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


def _attend(layer: Layer, x: Matrix) -> Matrix:
    batch, length, width = x.shape
    split = (x @ layer.attention).reshape(batch, length, 3, HEADS, width // HEADS)
    query, key, value = (split[:, :, part] for part in range(3))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * jnp.float32((width // HEADS) ** -0.5)
    causal = jnp.tril(jnp.ones((length, length), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, jnp.float32(-1e9)), axis=-1)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(batch, length, width)
    return mixed @ layer.out


def logits(
    weights: Weights, tokens: Int[Array, "batch length"]
) -> Float[Array, "batch vocabulary"]:
    """Scores of every token to come next.

    Args:
        weights: of the model.
        tokens: so far; there are no positions, only an order in which each sees its predecessor.

    Returns:
        Unnormalised logarithms of probabilities.
    """
    x = weights.embedding[tokens]
    for layer in weights.layers:
        seen = _normal(x)
        before = jnp.pad(seen, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        seen = seen + before @ layer.shift
        x = x + _attend(layer, seen)
        x = x + jax.nn.gelu((_normal(x) + before @ layer.shift) @ layer.up) @ layer.down
    return _normal(x[:, -1]) @ weights.embedding.T
