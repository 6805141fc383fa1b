"""What a model's architecture holds and computes: weights, KV cache, experts met, attention."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.specs import LLM, Precision

Scalar = Float[Array, "..."]


class Parameters(eqx.Module):
    """A model's weights by the part they serve, counted over all layers.

    Attributes:
        attention: query, key, value and output projections.
        feed_forward: dense layers' feed-forward networks and shared experts.
        experts: all routed experts.
        active_experts: the routed experts that one token visits.
        embedding: the input embedding, a look-up.
        head: the output projection over the vocabulary (a second use of the embedding if tied).
        tied: 1 if head and embedding are the same weights.
    """

    attention: Scalar
    feed_forward: Scalar
    experts: Scalar
    active_experts: Scalar
    embedding: Scalar
    head: Scalar
    tied: Scalar

    @property
    def total(self) -> Scalar:
        """All weights stored."""
        stored_head = self.head * (1.0 - self.tied)
        return self.attention + self.feed_forward + self.experts + self.embedding + stored_head

    @property
    def active(self) -> Scalar:
        """Weights multiplied for one token: the embedding look-up costs nothing."""
        return self.attention + self.feed_forward + self.active_experts + self.head


def parameters(llm: LLM) -> Parameters:
    """Count a model's weights from its architecture.

    Args:
        llm: the model.

    Returns:
        Weights by part. Norms, biases and learned positions, well under 1%, are left out.
    """
    is_mla = llm.kv_lora_rank > 0
    grouped = llm.width * (
        llm.heads * llm.head_dim
        + llm.kv_heads * (llm.head_dim + llm.value_dim)
        + llm.heads * llm.value_dim
    )
    query_width = llm.heads * (llm.head_dim + llm.rope_dim)
    query = jnp.where(
        llm.q_lora_rank > 0, llm.q_lora_rank * (llm.width + query_width), llm.width * query_width
    )
    latent = (
        query
        + llm.width * (llm.kv_lora_rank + llm.rope_dim)
        + llm.kv_lora_rank * llm.heads * (llm.head_dim + llm.value_dim)
        + llm.heads * llm.value_dim * llm.width
    )
    one_expert = llm.ff_matrices * llm.width * llm.expert_ff_width
    dense = (llm.layers - llm.moe_layers) * llm.ff_matrices * llm.width * llm.ff_width
    router = llm.moe_layers * llm.width * llm.experts
    return Parameters(
        attention=llm.layers * jnp.where(is_mla, latent, grouped),
        feed_forward=dense + llm.moe_layers * llm.shared_experts * one_expert + router,
        experts=llm.moe_layers * llm.experts * one_expert,
        active_experts=llm.moe_layers * llm.experts_per_token * one_expert,
        embedding=llm.vocabulary * llm.width,
        head=llm.vocabulary * llm.width,
        tied=llm.tied_embeddings,
    )


def token_flops(llm: LLM) -> Scalar:
    """FLOPs of one token's products with the weights, its attention to others left out."""
    return 2.0 * parameters(llm).active


def weight_bytes(llm: LLM, precision: Precision) -> Scalar:
    """Bytes of all weights in a precision.

    Args:
        llm: the model.
        precision: bytes per weight of each part.

    Returns:
        Bytes, over all devices of an instance that stores each weight once.
    """
    count = parameters(llm)
    return (
        count.attention * precision.attention
        + (count.feed_forward + count.experts) * precision.feed_forward
        + (count.embedding + count.head * (1.0 - count.tied)) * precision.embedding
    )


def cached_elements_per_token(llm: LLM) -> Scalar:
    """Numbers that one layer caches per token: keys and values, or MLA's latent.

    Args:
        llm: the model.

    Returns:
        Elements per token and layer.
    """
    grouped = llm.kv_heads * (llm.head_dim + llm.value_dim)
    return jnp.where(llm.kv_lora_rank > 0, llm.kv_lora_rank + llm.rope_dim, grouped)


def kv_cache_bytes(llm: LLM, precision: Precision, context: Scalar) -> Scalar:
    """Bytes that one sequence's KV cache takes.

    Args:
        llm: the model.
        precision: bytes per cached element.
        context: tokens in the sequence so far.

    Returns:
        Bytes per sequence; sliding-window layers keep at most their window.
    """
    full_layers = llm.layers - llm.windowed_layers
    kept = full_layers * context + llm.windowed_layers * jnp.minimum(context, llm.window)
    return kept * cached_elements_per_token(llm) * precision.kv_cache


def context_of_cache(llm: LLM, precision: Precision, size: Scalar) -> Scalar:
    """The context at which one sequence's KV cache takes some bytes: `kv_cache_bytes` turned round.

    Args:
        llm: the model.
        precision: bytes per cached element.
        size: bytes per sequence.

    Returns:
        Tokens; infinite where all layers have windows and the cache never grows so large.
    """
    full_layers = llm.layers - llm.windowed_layers
    kept = size / (cached_elements_per_token(llm) * precision.kv_cache)
    within = kept / llm.layers
    some = jnp.where(full_layers > 0, full_layers, 1.0)
    beyond = jnp.where(full_layers > 0, (kept - llm.windowed_layers * llm.window) / some, jnp.inf)
    has_windows = (llm.windowed_layers > 0) & (within > llm.window)
    return jnp.where(has_windows, beyond, within)


def experts_touched(llm: LLM, tokens: Scalar, popularity_cv: Scalar | float = 0.0) -> Scalar:
    """Experts that at least one of some tokens is routed to.

    Args:
        llm: the model.
        tokens: tokens in the pass.
        popularity_cv: coefficient of variation of how often experts are chosen: 0 for uniform
            routing; above 0, popular experts are chosen again and again and others left alone.

    Returns:
        E * (1 - (1 - k/E)**tokens) experts per mixture layer under uniform routing, and its average
        over gamma-distributed popularities otherwise; 0 for a dense model.
    """
    experts = jnp.where(llm.experts > 0, llm.experts, 1.0)
    # A router that sends every token to every expert has base 0, where powers lose their gradient.
    visits = -tokens * jnp.log(jnp.maximum(1.0 - llm.experts_per_token / experts, 1e-30))
    variance = jnp.maximum(jnp.asarray(popularity_cv, float) ** 2, 1e-8)
    missed = jnp.exp(-jnp.log1p(variance * visits) / variance)
    return jnp.where(llm.experts > 0, experts * (1.0 - missed), 0.0)


def read_by(count: Parameters, precision: Precision, touched: Scalar) -> tuple[Scalar, Scalar]:
    """Bytes of weights that a pass reads: those that all tokens share, and those of experts.

    Args:
        count: the model's weights.
        precision: bytes per weight of each part.
        touched: share of the experts that are read.
    """
    shared = (
        count.attention * precision.attention
        + count.feed_forward * precision.feed_forward
        + count.head * precision.embedding
    )
    return shared, touched * count.experts * precision.feed_forward


def weights_read(
    llm: LLM, precision: Precision, tokens: Scalar, popularity_cv: Scalar | float = 0.0
) -> Scalar:
    """Share of the weights that tokens are multiplied with which one pass over some tokens reads.

    Args:
        llm: the model.
        precision: bytes per weight of each part.
        tokens: tokens in the pass.
        popularity_cv: how unevenly experts are chosen, as in `experts_touched`.

    Returns:
        A share of bytes: 1 for a dense model. The input embedding, a look-up, isn't counted.
    """
    count = parameters(llm)
    experts = jnp.where(llm.experts > 0, llm.experts, 1.0)
    touched = experts_touched(llm, tokens, popularity_cv) / experts
    dense, chosen = read_by(count, precision, touched)
    _, every = read_by(count, precision, jnp.ones_like(touched))
    return (dense + chosen) / (dense + every)


def touched_on_busiest(llm: LLM, touched: Scalar, ways: Scalar) -> Scalar:
    """Share of its experts that the busiest device reads, under random routing.

    Args:
        llm: the model.
        touched: share of all experts that is touched.
        ways: devices that the experts are spread over whole.

    Returns:
        The mean share plus sqrt(2 ln ways) standard deviations of a binomial count, about the
        expected largest of `ways` draws [Cramer1946]; at most 1.
    """
    local = jnp.maximum(llm.experts, 1.0) / ways
    # A hundredth of an expert keeps the square root's slope finite where all or none are touched.
    deviation = jnp.sqrt(local * touched * (1.0 - touched) + 0.01) - 0.1
    largest = jnp.sqrt(2.0 * jnp.log(jnp.maximum(ways, 1.0)) + 0.01) - 0.1
    return jnp.minimum(touched + largest * deviation / local, 1.0)


def attended_pairs(llm: LLM, new_tokens: Scalar, past_tokens: Scalar) -> Scalar:
    """Query-key pairs that one sequence's new tokens form, summed over layers.

    Args:
        llm: the model.
        new_tokens: tokens computed in this pass.
        past_tokens: tokens already cached.

    Returns:
        Pairs, causal: a new token sees the past and, on average, half of its companions; in a
        windowed layer, no more than the window.
    """

    def windowed_pairs_up_to(position: Scalar) -> Scalar:
        # The integral of min(position, window).
        kept = jnp.minimum(position, llm.window)
        return kept * (position - 0.5 * kept)

    full = new_tokens * (past_tokens + 0.5 * new_tokens)
    windowed = windowed_pairs_up_to(past_tokens + new_tokens) - windowed_pairs_up_to(past_tokens)
    return (llm.layers - llm.windowed_layers) * full + llm.windowed_layers * windowed


def attention_flops(llm: LLM, new_tokens: Scalar, past_tokens: Scalar) -> Scalar:
    """FLOPs of scores and weighted values for one sequence.

    MLA may multiply the latent directly (absorbed: wide pairs, no expansion) or expand it to heads
    first; engines use the former to decode and the latter to prefill, the cheaper of the two.

    Args:
        llm: the model.
        new_tokens: tokens computed in this pass.
        past_tokens: tokens already cached.

    Returns:
        FLOPs per sequence, over all layers [DeepSeekV2].
    """
    pairs = attended_pairs(llm, new_tokens, past_tokens)
    plain = 2.0 * pairs * llm.heads * (llm.head_dim + llm.rope_dim + llm.value_dim)
    absorbed = 2.0 * pairs * llm.heads * (2.0 * llm.kv_lora_rank + llm.rope_dim)
    expansion = (
        2.0
        * past_tokens
        * llm.layers
        * llm.kv_lora_rank
        * llm.heads
        * (llm.head_dim + llm.value_dim)
    )
    return jnp.where(llm.kv_lora_rank > 0, jnp.minimum(absorbed, plain + expansion), plain)
