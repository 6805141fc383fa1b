"""Yearly growth: ranges of its factor, and the levels that it leads to.

Years are counted from `BASE_YEAR`. The table's ranges start in different years, from 2024 to 2026;
all are applied from the base year on, and to the years between a published level's and the base.
"""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.specs import Number, number

Scalar = Float[Array, "..."]

BASE_YEAR = 2025.0
"""The year that years are counted from."""

# Where probabilities are cut off: the slopes of both shapes are infinite at 0 and 1.
EDGE = 1e-12
# Slowing is sought between these, per year.
SLOWEST, FASTEST = 1e-6, 10.0


class Range(eqx.Module):
    """What is known of a yearly factor, a year's value over that of the year before.

    Attributes:
        low: lower end, above 0.
        mid: as likely exceeded as not.
        high: upper end.
        coverage: probability between the ends; 1 for bounds, which have a shape of their own and
            not that of nearly 1.
    """

    low: Number = number()
    mid: Number = number()
    high: Number = number()
    coverage: Number = number(default=1.0)


class Level(eqx.Module):
    """A level and its year.

    Attributes:
        value: in SI units.
        year: of the calendar.
    """

    value: Number = number()
    year: Number = number(default=BASE_YEAR)


def quantile(of: Range, u: Scalar) -> Scalar:
    """The factor that is undercut with some probability.

    On the log scale, half of the probability lies on either side of the middle. With a coverage p,
    each half is that of a normal distribution of its own width, such that the ends are the
    (1 - p)/2 and (1 + p)/2 quantiles. With bounds, the density of each half falls in a straight
    line from the middle to 0 at the bound.

    Args:
        of: the range.
        u: probability, 0 to 1, cut off at EDGE from either.

    Returns:
        The factor: continuous and increasing in u, `of.mid` at a half.
    """
    below = u < 0.5
    # Not a minimum, whose slope would be 0 at the median.
    tail = jnp.clip(jnp.where(below, u, 1.0 - u), EDGE, 0.5)
    bounded = of.coverage >= 1.0
    covered = jnp.where(bounded, 0.5, of.coverage)
    width = jnp.where(below, jnp.log(of.mid / of.low), jnp.log(of.high / of.mid))
    normal = norm.ppf(tail) / norm.ppf(0.5 - 0.5 * covered)
    reach = width * jnp.where(bounded, 1.0 - jnp.sqrt(2.0 * tail), normal)
    return of.mid * jnp.exp(jnp.where(below, -reach, reach))


def level(start: Scalar, factor: Scalar, years: Scalar) -> Scalar:
    """What a quantity grows to at one factor for all years of a future.

    Args:
        start: level at the start.
        factor: a year, above 0.
        years: since the start.

    Returns:
        start * factor**years, in the unit of the start.
    """
    return start * factor**years


def projected(of: Level, factor: Scalar, years: Scalar) -> Scalar:
    """What a published level grows to, whatever its year.

    Args:
        of: the level.
        factor: a year, above 0; it also holds between the level's year and the base year.
        years: since the base year.

    Returns:
        The level then, in its unit.
    """
    return level(of.value, factor, BASE_YEAR + years - of.year)


def slowed(years: Scalar, slowing: Scalar, span: Scalar) -> Scalar:
    """The years of steady growth that do as much as growth that slows down.

    Args:
        years: since the start.
        slowing: share by which the growth of the logarithm falls per year; 0 for none.
        span: years after which slowing and steady growth have done the same, above 0.

    Returns:
        span * (1 - exp(-slowing * years)) / (1 - exp(-slowing * span)): `years` itself without
        slowing, 0 at the start, `span` at its end.
    """
    return years * _decayed(slowing * years) / _decayed(slowing * span)


def _decayed(x: Scalar) -> Scalar:
    """The mean of exp(-t) between 0 and x."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1.0, x)
    return jnp.where(small, 1.0 - x / 2.0 + x**2 / 6.0, -jnp.expm1(-safe) / safe)


def slowing_of(first: Level, middle: Level, last: Level) -> Scalar:
    """The slowing of a case of which three levels are published.

    Args:
        first: at the start.
        middle: between the others in time, and in value.
        last: at the end of the span.

    Returns:
        A share per year; nearly 0 where growth does not slow down.
    """
    span, elapsed = last.year - first.year, middle.year - first.year
    done = jnp.log(middle.value / first.value) / jnp.log(last.value / first.value)

    def ahead(slowing: Scalar) -> Scalar:
        return slowed(elapsed, slowing, span) / span - done

    return solve_increasing(ahead, SLOWEST, FASTEST)
