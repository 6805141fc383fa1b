"""How sure a computed number is: intervals over draws of what the calibrations leave uncertain.

A draw is one set of efficiencies that the measurements allow. What is asked for is computed for
every draw at once, and the quantiles of the results bound it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import TypedDict, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from llmecon.execution.interpreter import interpreted
from llmecon.specs import Efficiency
from llmecon.tables import catalog
from llmecon.tables.efficiencies import LEVELS, MULTIPLES, SHARED, UNSEEN, System

Draws = TypeVar("Draws")

# What intervals hold by default.
SHARE = 0.9


class Ends(TypedDict, total=False):
    """The ends of an interval by name, as a headline number takes them; both or neither."""

    low: float
    high: float


@dataclass(frozen=True)
class Interval:
    """Where a computed number lies.

    Attributes:
        low: lower end, over the draws for which there is a number; NaN if there is none.
        high: upper end.
        missing: share of draws for which there is no number: nothing is feasible, or it is
            unlimited.
        share: probability that the interval holds.
    """

    low: float
    high: float
    missing: float = 0.0
    share: float = SHARE

    @property
    def bounded(self) -> bool:
        """Whether so few draws are without a number that both ends stand whatever they would be."""
        return self.missing < 0.5 * (1.0 - self.share) and math.isfinite(self.high - self.low)

    def __mul__(self, factor: float) -> "Interval":
        """The interval of a multiple, such as a cost from a number of devices; factor >= 0."""
        return replace(self, low=self.low * factor, high=self.high * factor)

    def around(self, value: float | None) -> Ends:
        """The ends as a headline number takes them.

        Args:
            value: the number computed with the most probable efficiencies.

        Returns:
            `low` and `high`, widened where needed to hold the value; nothing where there is no
            value, or no interval that is bounded.
        """
        if value is None or not math.isfinite(value) or not self.bounded:
            return {}
        return {"low": min(self.low, value), "high": max(self.high, value)}


def evaluate(
    function: Callable[[Draws], Mapping[str, Array]], draws: Draws
) -> dict[str, np.ndarray]:
    """Several numbers for every draw, in one compilation.

    Args:
        function: from one draw to scalars by name; NaN or infinite where there is no number.
        draws: a record of draws, or several in a tuple, with a leading dimension, such as
            `catalog.efficiency_draws` returns.

    Returns:
        By name, one number a draw.
    """
    return {name: np.asarray(values) for name, values in _of_every(function, draws).items()}


@interpreted
def _of_every(function: Callable[[Draws], Mapping[str, Array]], draws: Draws) -> dict[str, Array]:
    found: dict[str, Array] = jax.vmap(lambda drawn: dict(function(drawn)))(draws)
    return found


def intervals(
    function: Callable[[Draws], Mapping[str, Array]], draws: Draws, share: float = SHARE
) -> dict[str, Interval]:
    """Intervals of several numbers at once, in one compilation.

    Args:
        function: as in `evaluate`.
        draws: as in `evaluate`.
        share: probability that each interval should hold.

    Returns:
        By name, the quantiles over the draws; those without a number are counted, not used.
    """
    return {name: bounds(values, share) for name, values in evaluate(function, draws).items()}


def interval(function: Callable[[Draws], Array], draws: Draws, share: float = SHARE) -> Interval:
    """The interval of one number; arguments as in `intervals`.

    Args:
        function: from one draw to a scalar.
        draws: with a leading dimension.
        share: probability that the interval should hold.

    Returns:
        The quantiles over the draws.
    """
    return intervals(lambda drawn: {"only": function(drawn)}, draws, share)["only"]


def bounds(values: np.ndarray, share: float = SHARE) -> Interval:
    """The interval of numbers that were computed for every draw.

    Args:
        values: one number a draw, as `evaluate` returns them.
        share: probability that the interval should hold.

    Returns:
        The quantiles of those that are numbers.
    """
    there = values[np.isfinite(values)]
    missing = 1.0 - len(there) / len(values)
    if not len(there):
        return Interval(math.nan, math.nan, missing, share)
    # Ends are results that occurred: a fleet of 17 devices is no answer where instances take 4.
    low = np.quantile(there, 0.5 - 0.5 * share, method="lower")
    high = np.quantile(there, 0.5 + 0.5 * share, method="higher")
    return Interval(float(low), float(high), missing, share)


@dataclass(frozen=True)
class Multiple:
    """A factor whose logarithm is normal.

    Attributes:
        log_mean: mean of its logarithm.
        log_sd: standard deviation of its logarithm.
    """

    log_mean: float
    log_sd: float

    @property
    def median(self) -> float:
        """As likely exceeded as not."""
        return math.exp(self.log_mean)

    def interval(self, share: float = SHARE) -> Interval:
        """Where the factor lies with a given probability."""
        reach = NormalDist().inv_cdf(0.5 + 0.5 * share) * self.log_sd
        return Interval(
            math.exp(self.log_mean - reach), math.exp(self.log_mean + reach), 0.0, share
        )

    def draws(self, count: int, seed: int = 3) -> Array:
        """Draws that are spread evenly over the distribution, in random order."""
        evenly = (np.random.default_rng(seed).permutation(count) + 0.5) / count
        normal = np.array([NormalDist().inv_cdf(float(u)) for u in evenly])
        return jnp.asarray(np.exp(self.log_mean + self.log_sd * normal))


@dataclass(frozen=True)
class Evidence:
    """Measured curves of serving that a system's efficiencies rest on.

    Attributes:
        both: of the model on the accelerator, in the precision and with the engine if given.
        model: of the model on anything.
        xpu: of the accelerator with anything.
    """

    both: int
    model: int
    xpu: int


def evidence(system: System) -> Evidence:
    """How much was measured of a system, its model and its accelerator.

    Args:
        system: the system; see `catalog.system`.
    """
    kind = "model-xpu-engine-precision"
    measured = [
        (effect.group.split(":"), effect.curves)
        for effect in catalog.attainment().effects.values()
        if effect.parameter == "pace" and effect.kind == kind and effect.group != UNSEEN
    ]

    def count(*asked: str) -> int:
        return sum(
            curves
            for group, curves in measured
            if all(not part or part == there for part, there in zip(asked, group, strict=True))
        )

    return Evidence(
        both=count(system.model, system.xpu, system.engine, system.precision),
        model=count(system.model, "", "", ""),
        xpu=count("", system.xpu, "", ""),
    )


def shared_sd(system: System) -> dict[str, float]:
    """As `multiples_sd`, of what all systems of one server share, whatever they are.

    Args:
        system: the system; how it is set up counts.
    """
    shared = replace(system, level=tuple(of for of in system.level if of.kind == SHARED))
    attained = catalog.attainment()
    return {of: attained.sd(shared, of) if of in LEVELS else 0.0 for of in (*MULTIPLES, *LEVELS)}


def own_sd(system: System) -> dict[str, float]:
    """As `multiples_sd`, of what is a system's own; see `shared_sd`."""
    own = replace(system, level=tuple(of for of in system.level if of.kind != SHARED))
    return multiples_sd(own)


class Spread(eqx.Module):
    """How the calibrated efficiencies vary together, for intervals without draws.

    Attributes:
        factor: matrix R for which R.T @ R is the covariance of their logarithms; rounded.
        names: of the efficiencies that vary.
    """

    factor: np.ndarray
    names: tuple[str, ...] = eqx.field(static=True)

    def log_sd(self, effects: Efficiency, multiples: Mapping[str, Array]) -> Array:
        """Standard deviation of a result's logarithm, to first order (the delta method).

        Args:
            effects: elasticities of the result with respect to every efficiency.
            multiples: standard deviation of the logarithm of each unexplained multiple of
                `efficiencies.MULTIPLES` and of each of `LEVELS`, see `multiples_sd`.

        Returns:
            The square root of g.T @ covariance @ g.
        """
        shared = [getattr(effects, name) for name in self.names]
        variance = jnp.asarray(1e-24)  # keeps the root's slope finite where nothing matters
        for row in self.factor:
            terms = [c * effect for c, effect in zip(row, shared, strict=True)]
            variance = variance + sum(terms, jnp.asarray(0.0)) ** 2
        for quantity, carriers in MULTIPLES.items():
            # One factor moves all that a quantity is made of.
            effect = sum((getattr(effects, name) for name in carriers), jnp.asarray(0.0))
            variance = variance + (effect * multiples[quantity]) ** 2
        for quantity, powers in LEVELS.items():
            terms = [power * getattr(effects, name) for name, power in powers.items()]
            variance = variance + (sum(terms, jnp.asarray(0.0)) * multiples[quantity]) ** 2
        return jnp.sqrt(variance)


def spread(system: System) -> Spread:
    """The covariance of a system's efficiencies, from the draws of their posterior.

    Args:
        system: the system (see `catalog.system`).
    """
    draws = catalog.attainment().parameter_draws(system)
    logs = {
        field.name: np.log(np.asarray(getattr(draws, field.name))) for field in fields(Efficiency)
    }
    varying = {name: log - log.mean() for name, log in logs.items() if np.ptp(log) > 0}
    deviations = np.stack(list(varying.values()), axis=1) / math.sqrt(len(draws.memory) - 1)
    triangle = np.linalg.qr(deviations, mode="r")
    rounded = np.array([[float(f"{x:.5g}") for x in row] for row in triangle])
    return Spread(rounded, tuple(varying))


def multiples_sd(system: System) -> dict[str, float]:
    """Standard deviations of a system's unexplained multiples, as logarithms, by quantity.

    Args:
        system: the system; how it is set up counts, too.

    Returns:
        By name of `efficiencies.MULTIPLES` and `LEVELS`; 0 where nothing is unsure.
    """
    attained = catalog.attainment()
    return {quantity: attained.sd(system, quantity) for quantity in (*MULTIPLES, *LEVELS)}
