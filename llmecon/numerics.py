"""Smooth maxima, monotone root solves and elasticities whose gradients stay finite."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from llmecon.specs import XPU

Scalar = Float[Array, "..."]
Solver = Callable[[Callable[[Scalar], Scalar], Scalar | float, Scalar | float], Scalar]

# Steps of an unrolled root search, and the least one on the log scale.
UNROLLED_STEPS = 14
LEAST_MOVE = 1e-9
# A root is found where the function is no further above zero than this.
ROOT_SLACK = 1e-10


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


def solve_unrolled(
    function: Callable[[Scalar], Scalar],
    lower: Scalar | float,
    upper: Scalar | float,
    steps: int = UNROLLED_STEPS,
) -> Scalar:
    """`solve_increasing` in a fixed number of steps written out one after the other.

    For where there are no loops, such as a page that computes. The steps are Chandrupatla's: a
    parabola through three points where that is safe, else halving [Chandrupatla1997]. The gradient
    is that of the implicit function theorem.

    Args:
        function: increasing in its argument; crosses zero at most once.
        lower: lower end of the bracket, > 0.
        upper: upper end of the bracket, > lower.
        steps: evaluations of the function between the ends.

    Returns:
        As `solve_increasing`; smooth functions are solved to nine digits, and one with a wall to
        within (log upper - log lower) / 2**steps on the log scale at worst.
    """
    low, high = jnp.asarray(lower, float), jnp.asarray(upper, float)
    traced = eqx.filter_closure_convert(function, low)
    consts, rest = eqx.partition(traced, eqx.is_array)
    frozen = eqx.combine(jax.lax.stop_gradient(consts), rest)

    def value(log_x: Scalar) -> Scalar:
        return frozen(jnp.exp(log_x))

    a, b = (jax.lax.stop_gradient(jnp.log(end)) for end in (low, high))
    at_a, at_b = value(a), value(b)
    below, above = at_a >= 0, at_b <= 0
    bracket = Bracket(a, at_a, b, at_b)
    for _ in range(steps):
        bracket = narrower(value, bracket)
    a, at_a, b, at_b = bracket.newest, bracket.at_newest, bracket.across, bracket.at_across
    # Where a few steps don't get all the way up a wall, the end where the function is negative is
    # kept, so that what must not exceed a limit doesn't.
    nearest, at_nearest = (
        jnp.where(jnp.abs(at_a) < jnp.abs(at_b), one, other)
        for one, other in ((a, b), (at_a, at_b))
    )
    lower_end = jnp.where(at_a > 0, b, a)
    log_x = jax.lax.stop_gradient(jnp.where(at_nearest <= ROOT_SLACK, nearest, lower_end))
    x = jnp.exp(log_x)
    at_x, slope = jax.jvp(value, (log_x,), (jnp.ones_like(log_x),))
    rising = jax.lax.stop_gradient(jnp.where(slope > 0.0, slope, jnp.inf))
    # The difference is 0; its gradient is that of the implicit function.
    solution = jnp.exp(log_x - (traced(x) - jax.lax.stop_gradient(at_x)) / rising)
    return jnp.where(below, low, jnp.where(above, high, solution))


class Bracket(NamedTuple):
    """Two places with a zero of a function between them.

    Attributes:
        newest: the place looked at last.
        at_newest: the function there.
        across: the nearest place known on the other side of zero.
        at_across: the function there.
        share: of the way from the newest place to the other that goes to the next.
    """

    newest: Scalar
    at_newest: Scalar
    across: Scalar
    at_across: Scalar
    share: Scalar | float = 0.5


def narrower(function: Callable[[Scalar], Scalar], bracket: Bracket) -> Bracket:
    """A bracket after one more look, by Chandrupatla's rule [Chandrupatla1997].

    Args:
        function: crosses zero within the bracket.
        bracket: the one so far.

    Returns:
        One that lies within it.
    """
    a, at_a, b, at_b, share = bracket
    x = a + share * (b - a)
    at_x = function(x)
    same = (at_x > 0) == (at_a > 0)
    # c is the place that the new one replaces.
    c, at_c = jnp.where(same, a, b), jnp.where(same, at_a, at_b)
    b, at_b = jnp.where(same, b, a), jnp.where(same, at_b, at_a)
    return Bracket(x, at_x, b, at_b, _next_share(x, b, c, at_x, at_b, at_c))


def _next_share(
    a: Scalar, b: Scalar, c: Scalar, at_a: Scalar, at_b: Scalar, at_c: Scalar
) -> Scalar:
    """Where between a and b to look next."""

    def over(numerator: Scalar, denominator: Scalar) -> Scalar:
        return numerator / jnp.where(denominator == 0.0, 1.0, denominator)

    place, height = over(a - b, c - b), over(at_a - at_b, at_c - at_b)
    safe = (height**2 < place) & ((1.0 - height) ** 2 < 1.0 - place)
    parabola = over(at_a, at_b - at_a) * over(at_c, at_b - at_c) + over(c - a, b - a) * over(
        at_a, at_c - at_a
    ) * over(at_b, at_c - at_b)
    least = jnp.minimum(over(jnp.asarray(LEAST_MOVE), jnp.abs(b - a)), 0.5)
    return jnp.where(safe, jnp.clip(parabola, least, 1.0 - least), 0.5)


def whole(count: Scalar) -> Scalar:
    """The next whole number, with the gradient of the count itself.

    A bill is paid for whole machines, but what makes it grow is asked of the count that they
    stand for, whose staircase has no slope.

    Args:
        count: 0 or more.

    Returns:
        The count rounded up, but for rounding errors just above a whole number.
    """
    return count + jax.lax.stop_gradient(jnp.ceil(count - 1e-9) - count)


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


def of_all_rates(effects: XPU) -> Scalar:
    """The elasticity to all arithmetic rates of an accelerator together.

    Args:
        effects: elasticities to every field of the accelerator, as `elasticity` returns them.

    Returns:
        By how many percent the result changes when bf16, fp8 and fp4 all are one percent faster:
        a service that multiplies in one of them computes its attention in another.
    """
    return effects.bf16_flops + effects.fp8_flops + effects.fp4_flops
