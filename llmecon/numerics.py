"""Smooth maxima, root solves, starts of searches, and elasticities whose gradients stay finite."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.specs import XPU

Scalar = Float[Array, "..."]

# A root search moves by so much at least on the log scale, and ends within so narrow a bracket.
LEAST_MOVE = 1e-12
NARROW = 2e-12
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
    # The norm of many is that of the norm of some and the others.
    return reduce(partial(_norm_of_two, jnp.asarray(sharpness, float)), values)


def _norm_of_two(sharpness: Scalar, first: Scalar, second: Scalar) -> Scalar:
    # Dividing by the largest keeps powers in range and saves that of the largest itself.
    largest, smallest = jnp.maximum(first, second), jnp.minimum(first, second)
    # At base 0 the derivative with respect to the exponent is 0 * log(0): keep it out of reach.
    some = smallest > 0
    ratio = jnp.where(some, smallest, 1.0) / jnp.where(some, largest, 1.0)
    return jnp.where(some, largest * (1.0 + ratio**sharpness) ** (1.0 / sharpness), largest)


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
    # Traced once and replayed from here on: tracing is what a model spends time on.
    traced = eqx.filter_closure_convert(function, low)
    constants, rest = eqx.partition(traced, eqx.is_array)

    def value(constants: Any, log_x: Scalar) -> Scalar:
        found: Scalar = eqx.combine(constants, rest)(jnp.exp(log_x))
        return found

    # Which end is nearer has no gradient, and neither has the search, so none is prepared for it.
    frozen, ends = jax.lax.stop_gradient((constants, jnp.log(jnp.stack([low, high]))))
    at_ends = jax.vmap(partial(value, frozen))(ends)
    below, above = at_ends[0] >= 0, at_ends[1] <= 0
    log_x = _crossing(value, constants, ends, at_ends)
    return jnp.where(below, low, jnp.where(above, high, jnp.exp(log_x)))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _crossing(
    value: Callable[[Any, Scalar], Scalar],
    constants: Any,
    ends: Float[Array, "2"],
    at_ends: Float[Array, "2"],
) -> Scalar:
    """Where a function crosses zero between two ends; the first end where it doesn't."""
    inside = (at_ends[0] < 0) & (at_ends[1] > 0)

    def unfinished(bracket: Bracket) -> Array:
        apart = jnp.abs(bracket.newest - bracket.across) > NARROW
        # Both ends are on one side only where the newest is a root but for rounding: compiled code
        # may compute such a value twice, with two signs. Without a zero between them the search
        # would go on for ever.
        return inside & apart & (bracket.at_newest * bracket.at_across < 0.0)

    first = Bracket(ends[0], at_ends[0], ends[1], at_ends[1], jnp.full_like(ends[0], 0.5))
    found = jax.lax.while_loop(unfinished, partial(narrower, partial(value, constants)), first)
    return jnp.where(inside, _better_end(found), ends[0])


@_crossing.defjvp
def _moved_by(
    value: Callable[[Any, Scalar], Scalar], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Scalar, Scalar]:
    """The implicit function theorem: the crossing moves so that the function stays at zero."""
    constants, change = primals[0], tangents[0]
    log_x = _crossing(value, *primals)
    (_, slope), (_, shift) = (
        jax.jvp(value, (constants, log_x), along)
        for along in (
            (jax.tree.map(_still, constants), jnp.ones_like(log_x)),
            (change, jnp.zeros_like(log_x)),
        )
    )
    # Where nothing crosses, nothing moves.
    return log_x, -shift / jnp.where(slope > 0.0, slope, jnp.inf)


def _still(constant: Any) -> Any:
    """The tangent of what does not change, of the type that JAX asks for."""
    if jnp.issubdtype(constant.dtype, jnp.inexact):
        return jnp.zeros_like(constant)
    return np.zeros(constant.shape, jax.dtypes.float0)


def _better_end(bracket: Bracket) -> Scalar:
    """Where in a narrow bracket the zero is taken to be.

    The end nearer to zero; but where a function has a wall there, the end at which it is negative,
    so that what must not exceed a limit doesn't.
    """
    a, at_a, b, at_b, _ = bracket
    nearer = jnp.abs(at_a) < jnp.abs(at_b)
    negative = jnp.where(at_a > 0, b, a)
    close = jnp.where(nearer, at_a, at_b) <= ROOT_SLACK
    return jnp.where(close, jnp.where(nearer, a, b), negative)


def crossings(
    function: Callable[[Any], Any], lower: Any, upper: Any, narrow: float = 1e-9
) -> Float[np.ndarray, " many"]:
    """Where a function crosses zero in many brackets at once, searched from outside of it.

    For a function that is dear to trace, such as one that searches itself: it is called with all
    places at once, as often as the slowest bracket needs.

    Args:
        function: of an array with a place in every bracket, to an array of its values.
        lower: one end of every bracket, an array.
        upper: the other ends.
        narrow: width at which a bracket is narrow enough.

    Returns:
        A crossing in every bracket; NaN where the function has one sign at both ends.
    """

    def at(places: Scalar) -> Scalar:
        return jnp.asarray(function(np.asarray(places)))

    first, last = jnp.asarray(lower), jnp.asarray(upper)
    bracket = Bracket(first, at(first), last, at(last), jnp.full_like(first, 0.5))
    inside = jnp.sign(bracket.at_newest) * jnp.sign(bracket.at_across) <= 0.0
    while True:
        apart = jnp.abs(bracket.newest - bracket.across) > narrow
        open_ = inside & apart & (bracket.at_newest != 0.0) & (bracket.at_across != 0.0)
        if not open_.any():
            break
        pairs = zip(narrower(at, bracket), bracket, strict=True)
        bracket = Bracket(*(jnp.where(open_, new, old) for new, old in pairs))
    nearer = jnp.abs(bracket.at_newest) < jnp.abs(bracket.at_across)
    return np.where(inside, np.where(nearer, bracket.newest, bracket.across), np.nan)


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


def evenly_spread(points: int, dimensions: int) -> Float[np.ndarray, "points dimensions"]:
    """Points that fill a box evenly, however many there are: where several searches begin.

    Args:
        points: how many, 1 or more.
        dimensions: of the box, 1 or more.

    Returns:
        The i-th point is 1/2 + i steps, less whole boxes, within (0, 1) in each dimension. The
        steps are the negative powers of the root of x**(dimensions + 1) = x + 1, which in one
        dimension is the golden ratio: no multiple of these comes near a whole box soon.
    """
    root = 2.0
    # Every turn brings the root closer by half or more: these reach the last digit.
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (dimensions + 1.0))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    return (0.5 + np.arange(1, points + 1)[:, None] * steps) % 1.0
