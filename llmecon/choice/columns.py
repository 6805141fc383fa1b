"""Fillings of pools, each for one bucket, as columns of a linear programme: costs and needs."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from llmecon.choice.objective import Case, Charges

# A share of a whole below this is what solvers leave of nothing.
NOTHING = 1e-9
# Fillings of one pool for one bucket that are no further apart than this, on the log scale.
ALIKE = 0.02


@dataclass(frozen=True)
class Columns:
    """Fillings, each with its pool and bucket.

    Attributes:
        engine: place among the options.
        region: place in the description.
        bucket: place in the description.
        filling: as in `filling.flow`.
        time: of an instance that a request takes, s.
        energy: that it takes, J.
        latency: of its phase or phases, s.
        ttft: its part of the time to first token at the promised quantile, s.
        tpot: s.
    """

    engine: Int[np.ndarray, " columns"]
    region: Int[np.ndarray, " columns"]
    bucket: Int[np.ndarray, " columns"]
    filling: Float[np.ndarray, " columns"]
    time: Float[np.ndarray, " columns"]
    energy: Float[np.ndarray, " columns"]
    latency: Float[np.ndarray, " columns"]
    ttft: Float[np.ndarray, " columns"]
    tpot: Float[np.ndarray, " columns"]

    def __len__(self) -> int:
        return len(self.engine)

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """The arrays, in order."""
        return tuple(getattr(self, of.name) for of in fields(self))

    def joined(self, *others: "Columns") -> "Columns":
        """All of them, one after the other."""
        return Columns(*(np.concatenate(parts) for parts in zip(self.parts, *(
            other.parts for other in others), strict=True)))  # fmt: skip

    def kept(self, which: np.ndarray) -> "Columns":
        """Some of them."""
        return Columns(*(part[which] for part in self.parts))


def merged(
    columns: Columns, served: Float[np.ndarray, " columns"]
) -> tuple[Columns, Float[np.ndarray, " columns"]]:
    """Columns in use, those that are nearly the same made one.

    Two fillings on either side of the best one leave the programme as good as that one.

    Args:
        columns: all of them.
        served: requests per second that each gets.

    Returns:
        Means over requests, which differ from what the mean filling takes by the square of how far
        the fillings are apart; and their sums.
    """
    used = np.flatnonzero(served > NOTHING * served.max())
    order = used[np.lexsort((columns.filling[used], *(of[used] for of in columns.parts[2::-1])))]
    places = np.stack(columns.parts[:3])[:, order]
    apart = np.any(np.diff(places, axis=1) != 0, axis=0)
    far = np.diff(np.log(columns.filling[order])) > ALIKE
    group = np.concatenate([[0], np.cumsum(apart | far)])
    sums = np.bincount(group, served[order])
    means = [np.bincount(group, served[order] * of[order]) / sums for of in columns.parts[3:]]
    first = np.unique(group, return_index=True)[1]
    return Columns(*places[:, first], *means), sums


def cost_of(case: Case, columns: Columns, charged: Charges, standing: bool = True) -> np.ndarray:
    """What a request of each column is charged.

    Args:
        case: the problem.
        columns: the columns.
        charged: for what.
        standing: whether the time of instances is charged with it.

    Returns:
        One number a column.
    """
    cost: np.ndarray = (
        columns.energy * charged.joule[columns.region]
        + columns.latency * charged.second
        + case.options.quality[columns.engine] * charged.quality
    )
    if standing:
        cost = cost + columns.time * charged.standing[columns.engine, columns.region]
    return cost


def taken_of(case: Case, columns: Columns, standing: bool = True) -> np.ndarray:
    """What a request of each column takes of every limit.

    Args:
        case: the problem.
        columns: the columns.
        standing: whether what instances take is counted with it.

    Returns:
        A row a column, a column a limit.
    """
    limits, energy = case.limits, columns.energy
    if standing:
        energy = energy + columns.time * case.options.resting[columns.engine]
    taken: np.ndarray = (
        energy[:, None] * limits.per_joule[columns.region]
        + columns.latency[:, None] * limits.rest[0]
        + case.options.quality[columns.engine][:, None] * limits.rest[1]
    )
    if standing:
        taken = taken + columns.time[:, None] * limits.capital[columns.engine, columns.region]
    return taken


def standing_takes(case: Case, pools: Int[np.ndarray, "pools 2"]) -> np.ndarray:
    """What an instance of each pool takes of every limit as long as it stands.

    Args:
        case: the problem.
        pools: engine and region of each.

    Returns:
        A row a pool, a column a limit.
    """
    engine, region = pools.T
    taken: np.ndarray = (
        case.limits.capital[engine, region]
        + case.options.resting[engine][:, None] * case.limits.per_joule[region]
    )
    return taken


def pools_of(columns: Columns) -> tuple[Int[np.ndarray, "pools 2"], Int[np.ndarray, " columns"]]:
    """The pools that columns belong to, and each column's place among them."""
    both = np.stack([columns.engine, columns.region], axis=1)
    pools, place = np.unique(both, axis=0, return_inverse=True)
    return pools, place.ravel()
