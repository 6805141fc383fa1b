"""Smooth maxima, monotone root solves and elasticities whose gradients stay finite."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

Scalar = Float[Array, "..."]


def smooth_maximum(*values: Scalar, sharpness: Scalar | float) -> Scalar:
    """The p-norm of non-negative values, a smooth stand-in for their maximum.

    Args:
        values: the numbers to compare, all non-negative, any common unit, broadcastable.
        sharpness: the exponent p > 1; 1 would be the sum, infinity the maximum.

    Returns:
        (sum of values**p) ** (1/p), same unit: never below the maximum, never above the sum.
    """
    stacked = jnp.stack(jnp.broadcast_arrays(*values))
    # Dividing by the largest keeps powers in range; it cancels, so it carries no gradient.
    largest = jax.lax.stop_gradient(jnp.max(stacked, axis=0))
    scale = jnp.where(largest > 0, largest, 1.0)
    powers = jnp.sum(_power(stacked / scale, sharpness), axis=0)
    safe = jnp.where(powers > 0, powers, 1.0)
    return jnp.where(powers > 0, scale * safe ** (1.0 / sharpness), 0.0)


def _power(base: Scalar, exponent: Scalar | float) -> Scalar:
    # At base 0 the derivative with respect to the exponent is 0 * log(0): keep it out of reach.
    safe = jnp.where(base > 0, base, 1.0)
    return jnp.where(base > 0, safe**exponent, 0.0)


def smooth_minimum(first: Scalar, second: Scalar, sharpness: Scalar | float) -> Scalar:
    """A smooth stand-in for the smaller of two positive numbers.

    Args:
        first: positive, any unit.
        second: positive, same unit.
        sharpness: exponent p > 1 of the underlying p-norm.

    Returns:
        first * second / p-norm(first, second): never above the minimum; 0 if either is 0.
    """
    largest = smooth_maximum(first, second, sharpness=sharpness)
    safe = jnp.where(largest > 0, largest, 1.0)
    return first * second / safe


def solve_increasing(
    function: Callable[[Scalar], Scalar], lower: Scalar | float, upper: Scalar | float
) -> Scalar:
    """Where an increasing function of a positive number crosses zero, searched on a log scale.

    The gradient comes from the implicit function theorem, not from the search. Where the
    function has one sign over the whole bracket, the nearer end is returned, with the gradient of
    that end: a solution pinned at a limit moves with the limit.

    Args:
        function: increasing in its argument; crosses zero at most once.
        lower: lower end of the bracket, > 0.
        upper: upper end of the bracket, > lower.

    Returns:
        The argument at the crossing, or the end of the bracket nearest to it.
    """
    low, high = jnp.asarray(lower, float), jnp.asarray(upper, float)
    # Traced once and replayed from here on: tracing and compiling are what a model spends time on.
    traced = eqx.filter_closure_convert(function, low)
    # Which end is nearer has no gradient, so none is prepared for it.
    consts, rest = eqx.partition(traced, eqx.is_array)
    frozen = eqx.combine(jax.lax.stop_gradient(consts), rest)
    at_low, at_high = jax.vmap(frozen)(jax.lax.stop_gradient(jnp.stack([low, high])))
    below, above = at_low >= 0, at_high <= 0
    inside = ~(below | above)

    # Where there is nothing to search, the solver is given a line that crosses zero at 0.
    start = jax.lax.stop_gradient(jnp.where(inside, jnp.log(low), -1.0))
    stop = jax.lax.stop_gradient(jnp.where(inside, jnp.log(high), 1.0))

    def residual(log_x: Scalar, _: None) -> Scalar:
        return jnp.where(inside, traced(jnp.exp(log_x)), log_x)

    solution: Any = optx.root_find(
        residual,
        # `flip` is known, so the solver need not trace the function twice more to find out.
        optx.Bisection(rtol=1e-12, atol=1e-12, flip=False),  # type: ignore[call-arg]
        0.5 * (start + stop),
        options={"lower": start, "upper": stop},
        max_steps=80,
        throw=False,
    )
    return jnp.where(below, low, jnp.where(above, high, jnp.exp(solution.value)))


def elasticity(function: Callable[..., Scalar], *arguments: Any) -> tuple[Any, ...]:
    """By how many percent a result changes when an input changes by one percent.

    Args:
        function: of the arguments, to a positive scalar.
        arguments: records or scalars; their float leaves are the inputs.

    Returns:
        d log(function) / d log(input) for every input, in the arguments' own structure.
    """
    numbers, rest = eqx.partition(arguments, eqx.is_inexact_array)

    def logarithm(of: tuple[Any, ...]) -> Scalar:
        return jnp.log(function(*eqx.combine(of, rest)))

    effects: tuple[Any, ...] = jax.tree.map(jnp.multiply, jax.grad(logarithm)(numbers), numbers)
    return effects
