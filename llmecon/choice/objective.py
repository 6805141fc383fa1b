"""The terms of a choice: what is minimised, what is limited, and what that makes things cost.

Everything that a fleet takes is a sum over its pools and requests. So is what is minimised, and so
is what every limit counts; a price on each limit turns all into one price for an instance's
standing, a joule, a second of waiting and a spoilt answer.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from llmecon.choice.candidates import Options, options
from llmecon.choice.description import RESOURCES, Problem
from llmecon.specs import SECONDS_PER_HOUR


@dataclass(frozen=True)
class Limits:
    """The fleet's limits.

    Attributes:
        names: of the limits: a resource, or the id of an accelerator.
        most: that may be taken, per second; of accelerators, devices.
        capital: taken by an instance each second whether it draws power or not.
        per_joule: taken by a joule of servers' energy.
        rest: taken by a second of latency and by a lost answer.
    """

    names: tuple[str, ...]
    most: Float[np.ndarray, " limits"]
    capital: Float[np.ndarray, "engines regions limits"]
    per_joule: Float[np.ndarray, "regions limits"]
    rest: Float[np.ndarray, "2 limits"]


@dataclass(frozen=True)
class Case:
    """A problem as arrays.

    Attributes:
        options: everything that can be chosen.
        weights: of the resources, per unit.
        limits: of the fleet.
    """

    options: Options
    weights: Float[np.ndarray, " resources"]
    limits: Limits

    @property
    def free(self) -> "Charges":
        """What things cost where limits cost nothing."""
        return charges(self, self.weights, np.zeros(len(self.limits.most)))

    @property
    def useful_regions(self) -> Bool[np.ndarray, " regions"]:
        """Regions that no other one beats: there, instances and joules take no more of anything.

        All that stands in a region could stand in one that beats it, and would do the same work.
        """
        limits, regions = self.limits, len(self.options.per_joule)
        of_engines = (self.options.capital @ self.weights)[:, :, None]
        takes = np.concatenate(
            [
                (self.options.per_joule @ self.weights)[:, None],
                limits.per_joule,
                *np.concatenate([of_engines, limits.capital], axis=2),
            ],
            axis=1,
        )
        no_more = np.all(takes[:, None] <= takes[None], axis=2)
        # Of regions that are alike the first one stays.
        beats = no_more & (~no_more.T | (np.arange(regions)[:, None] < np.arange(regions)))
        useful: np.ndarray = ~beats.any(axis=0)
        return useful


@dataclass(frozen=True)
class Charges:
    """What pools and requests are charged.

    Attributes:
        standing: of an instance, per second.
        joule: of servers' energy, by region.
        second: of latency.
        quality: of a lost answer.
    """

    standing: Float[np.ndarray, "engines regions"]
    joule: Float[np.ndarray, " regions"]
    second: float
    quality: float


def case(problem: Problem) -> Case:
    """A description as arrays.

    Args:
        problem: the description.

    Returns:
        Options, weights and limits.

    Raises:
        InputError: as `candidates.options`.
    """
    of = options(problem)
    return Case(of, np.array(problem.weights.by_resource), _limits(problem, of))


def _limits(problem: Problem, options: Options) -> Limits:
    caps, asked = problem.caps, float(options.rates.sum())
    hourly = 1.0 / SECONDS_PER_HOUR
    given = {
        "usd": (caps.usd_per_hour, hourly),
        "kg_co2e": (caps.kg_co2e_per_hour, hourly),
        "litre": (caps.litres_per_hour, hourly),
        "joule": (caps.kw, 1000.0),
        "second": (caps.seconds, asked),
        "quality": (caps.quality_lost, asked),
    }
    named = {name: most * unit for name, (most, unit) in given.items() if most is not None}
    places = [RESOURCES.index(name) for name in named]
    supplies = [xpu for xpu in caps.devices if any(name.xpu == xpu for name in options.names)]
    devices = np.array(
        [[name.devices * (name.xpu == xpu) for xpu in supplies] for name in options.names], float
    ).reshape(len(options.names), 1, len(supplies))
    regions = len(options.per_joule)
    rest = np.zeros((2, len(named) + len(supplies)))
    for row, resource in enumerate(("second", "quality")):
        if resource in named:
            rest[row, list(named).index(resource)] = 1.0
    return Limits(
        names=(*named, *supplies),
        most=np.array([*named.values(), *(caps.devices[xpu] for xpu in supplies)], float),
        capital=np.concatenate(
            [options.capital[:, :, places], np.repeat(devices, regions, axis=1)], axis=2
        ),
        per_joule=np.concatenate(
            [options.per_joule[:, places], np.zeros((regions, len(supplies)))], axis=1
        ),
        rest=rest,
    )


def charges(
    case: Case, weights: Float[np.ndarray, " resources"], prices: Float[np.ndarray, " limits"]
) -> Charges:
    """What pools and requests are charged for what is minimised and what is limited.

    Args:
        case: the problem.
        weights: of the resources.
        prices: of the limits.

    Returns:
        Charges, in the unit of the weights.
    """
    options, limits = case.options, case.limits
    joule = options.per_joule @ weights + limits.per_joule @ prices
    capital = options.capital @ weights + limits.capital @ prices
    return Charges(
        standing=capital + options.resting[:, None] * joule,
        joule=joule,
        second=float(weights[RESOURCES.index("second")] + limits.rest[0] @ prices),
        quality=float(weights[RESOURCES.index("quality")] + limits.rest[1] @ prices),
    )
