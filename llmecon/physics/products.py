"""One matrix product: its arithmetic, the bytes it moves, and which of the two sets the pace."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.specs import LLM, Number, Precision, number

Scalar = Float[Array, "..."]


class Product(eqx.Module):
    """Rows of activations times a matrix of weights.

    Attributes:
        rows: tokens that pass through together.
        inner: width of an activation, over which is summed.
        columns: width of a result.
        weight_bytes: bytes per weight.
        activation_bytes: bytes per number of what goes in and comes out; 0 to count weights alone.
    """

    rows: Number = number()
    inner: Number = number()
    columns: Number = number()
    weight_bytes: Number = number(default=2.0)
    activation_bytes: Number = number(default=2.0)


def product_flops(product: Product) -> Scalar:
    """FLOPs of a product: a multiplication and an addition for each row and weight."""
    return 2.0 * product.rows * product.inner * product.columns


def product_bytes(product: Product) -> Scalar:
    """Bytes of a product's weights, of what goes in and of what comes out, each moved once."""
    weights = product.inner * product.columns * product.weight_bytes
    return weights + product.rows * (product.inner + product.columns) * product.activation_bytes


def arithmetic_intensity(product: Product) -> Scalar:
    """FLOPs of a product per byte that it moves [Williams2009]."""
    return product_flops(product) / product_bytes(product)


def attainable_rate(intensity: Scalar, peak: Scalar, bandwidth: Scalar) -> Scalar:
    """The roofline: the fastest arithmetic that memory lets a device do.

    Args:
        intensity: FLOP per byte.
        peak: of the arithmetic, FLOP/s.
        bandwidth: of the memory, bytes/s.

    Returns:
        FLOP/s: the peak, or what the bandwidth feeds if that is less [Williams2009].
    """
    return jnp.minimum(peak, intensity * bandwidth)


def product_seconds(product: Product, peak: Scalar, bandwidth: Scalar) -> Scalar:
    """The least time of a product, arithmetic and traffic going on at once.

    Args:
        product: the product.
        peak: of the arithmetic, FLOP/s.
        bandwidth: of the memory, bytes/s.

    Returns:
        Seconds.
    """
    return product_flops(product) / attainable_rate(arithmetic_intensity(product), peak, bandwidth)


def critical_rows(product: Product, peak: Scalar, bandwidth: Scalar) -> Scalar:
    """The rows from which on arithmetic sets the pace of a product, and memory does not.

    Args:
        product: its matrix; its own number of rows is not used.
        peak: of the arithmetic, FLOP/s.
        bandwidth: of the memory, bytes/s.

    Returns:
        The rows at which both take equally long: weights of w bytes alone ask for w / 2 times
        peak / bandwidth. Infinite where rows bring more traffic with them than arithmetic.
    """
    balance = peak / bandwidth
    entries = product.inner * product.columns
    spare = 2.0 * entries - balance * product.activation_bytes * (product.inner + product.columns)
    # The other branch of a `where` must stay finite for its slope to be 0.
    safe = jnp.where(spare > 0.0, spare, 1.0)
    return jnp.where(spare > 0.0, balance * product.weight_bytes * entries / safe, jnp.inf)


def output_projection(llm: LLM, precision: Precision, rows: Scalar) -> Product:
    """The product that mixes what the attention heads of a layer have found.

    Args:
        llm: the model.
        precision: bytes per weight and per activation.
        rows: tokens that pass through together.

    Returns:
        The product; every kind of attention has it.
    """
    return Product(
        rows=rows,
        inner=llm.heads * llm.value_dim,
        columns=llm.width,
        weight_bytes=precision.attention,
        activation_bytes=precision.activation,
    )
