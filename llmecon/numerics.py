"""Smooth maxima and monotone root solves whose gradients stay finite."""

from collections.abc import Callable

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
    # One traced copy of the function serves both ends, which halves the time to compile.
    at_low, at_high = jax.vmap(function)(jnp.stack([low, high]))
    below, above = at_low >= 0, at_high <= 0
    inside = ~(below | above)

    # Outside the bracket's range the solver is given a line it can solve, and its answer is unused.
    start, stop = jax.lax.stop_gradient((jnp.log(low), jnp.log(high)))
    middle = 0.5 * (start + stop)

    def residual(log_x: Scalar, _: None) -> Scalar:
        return jnp.where(inside, function(jnp.exp(log_x)), log_x - middle)

    solution = optx.root_find(
        residual,
        optx.Bisection(rtol=1e-12, atol=1e-12),
        middle,
        options={"lower": start, "upper": stop},
        max_steps=80,
        throw=False,
    )
    return jnp.where(below, low, jnp.where(above, high, jnp.exp(solution.value)))
