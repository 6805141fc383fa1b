"""Fleets that were found, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Array, Float

from llmecon.choice.columns import NOTHING, Columns, pools_of
from llmecon.choice.description import RESOURCES
from llmecon.choice.filling import EngineName
from llmecon.choice.linear_programme import Solution
from llmecon.choice.objective import Case, Charges

Scalar = Float[Array, "..."]


@dataclass(frozen=True)
class Serving:
    """What a pool does for a bucket.

    Attributes:
        bucket: its place in the description.
        per_second: requests that it gets.
        filling: requests in flight in an instance, or for prompts the share of time at work.
        ttft: its part of the time to first token at the promised quantile, s.
        tpot: mean, s; 0 for prompts.
        latency: of the request, or of its phase, on average, s.
        time: of an instance that a request takes, s.
    """

    bucket: int
    per_second: float
    filling: float
    ttft: float
    tpot: float
    latency: float
    time: float


@dataclass(frozen=True)
class Pool:
    """Instances of one engine in one region.

    Attributes:
        engine: accelerator, precision, layout and role.
        region: its place in the description.
        instances: how many.
        serves: what they do.
    """

    engine: EngineName
    region: int
    instances: float
    serves: tuple[Serving, ...]

    @property
    def devices(self) -> float:
        """In all instances."""
        return self.instances * self.engine.devices


@dataclass(frozen=True)
class Plan:
    """A fleet.

    Attributes:
        pools: those with instances.
        cost: what was minimised, per second.
        bound: no fleet costs less, per second, whole or in parts. Whole instances may cost far
            more than parts where few suffice.
        takes: of each resource, per second; devices by accelerator.
        prices: of the fleet's limits: what one more unit takes off the cost; 0 where it doesn't
            bind. Units are the resource's, per second; a device's is one device.
        requests: what one more request of each bucket adds to the cost.
        columns: the fillings in use.
        served: requests per second that each gets.
        left: share of the cost by which other whole instances may be cheaper, at the fillings
            looked at, where the search was stopped; 0 where it ended.
    """

    pools: tuple[Pool, ...]
    cost: float
    bound: float
    takes: Mapping[str, float]
    prices: Mapping[str, float]
    requests: tuple[float, ...]
    columns: Columns = field(repr=False)
    served: Float[np.ndarray, " columns"] = field(repr=False)
    left: float = 0.0


@dataclass(frozen=True)
class Clash:
    """Why nothing serves all requests within all limits.

    Attributes:
        raised: the fleet's limits that clash: the least factors by which they would have to be
            raised, if the factors together should exceed 1 as little as possible; infinite for
            a limit of nothing.
        slower: by bucket that no engine serves in time, the least factor by which both its
            limits on latency would have to be raised; infinite where the model fits nowhere.
    """

    raised: Mapping[str, float] = field(default_factory=dict)
    slower: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Relaxed:
    """The best fleet in which instances may be parts, with what whole ones start from.

    Attributes:
        plan: the fleet.
        columns: all fillings that were found on the way.
        solution: of the last programme.
        charged: what pools and requests are charged by its multipliers.
    """

    plan: Plan
    columns: Columns
    solution: Solution
    charged: Charges


def raised(case: Case, excess: np.ndarray) -> dict[str, float]:
    """The factors by which limits would have to be raised.

    Args:
        case: the problem.
        excess: by what share each limit is exceeded.

    Returns:
        Of those that are; infinite for a limit of nothing.
    """
    return {
        name: float(1.0 + over) if most > 0.0 else np.inf
        for name, most, over in zip(case.limits.names, case.limits.most, excess, strict=True)
        if over > NOTHING
    }


def plan_of(
    case: Case,
    columns: Columns,
    served: np.ndarray,
    instances: Mapping[tuple[int, int], float] | None,
    solution: Solution,
    bound: float,
) -> Plan:
    """A fleet from the columns in use.

    Args:
        case: the problem.
        columns: the fillings.
        served: requests per second that each gets.
        instances: of a pool, by its engine and region; by default as many as its work takes.
        solution: which says what limits and requests are worth.
        bound: no fleet costs less, per second.

    Returns:
        The fleet.
    """
    pools, place = pools_of(columns)
    work = np.bincount(place, columns.time * served, len(pools))
    given = instances or {}
    counts = np.array(
        [given.get((int(e), int(r)), w) for (e, r), w in zip(pools, work, strict=True)]
    )
    energy = counts @ (
        case.options.resting[pools[:, 0], None] * case.options.per_joule[pools[:, 1]]
    )
    takes = counts @ case.options.capital[pools[:, 0], pools[:, 1]] + energy
    takes = takes + (served * columns.energy) @ case.options.per_joule[columns.region]
    takes[RESOURCES.index("second")] += served @ columns.latency
    takes[RESOURCES.index("quality")] += served @ case.options.quality[columns.engine]
    fleet = tuple(
        Pool(
            case.options.names[engine],
            int(region),
            float(count),
            tuple(_serving(columns, int(k), float(served[k])) for k in np.flatnonzero(place == at)),
        )
        for at, ((engine, region), count) in enumerate(zip(pools, counts, strict=True))
    )
    devices: dict[str, float] = {}
    for pool in fleet:
        devices[pool.engine.xpu] = devices.get(pool.engine.xpu, 0.0) + pool.devices
    return Plan(
        pools=fleet,
        cost=solution.cost,
        bound=min(bound, solution.cost),
        takes={**dict(zip(RESOURCES, map(float, takes), strict=True)), **devices},
        prices=dict(zip(case.limits.names, map(float, solution.prices), strict=True)),
        requests=tuple(map(float, solution.worth)),
        columns=columns,
        served=served,
    )


def _serving(columns: Columns, at: int, per_second: float) -> Serving:
    names = ("filling", "ttft", "tpot", "latency", "time")
    values = [float(getattr(columns, name)[at]) for name in names]
    return Serving(int(columns.bucket[at]), per_second, *values)
