"""The same choice by enumeration: every pool at every filling of a fine grid, nothing left out.

This is what `choice` is checked against. It shares the description and the model of an instance
with it, but neither root searches nor gradients, nor its programmes: the fullest filling is found
by looking at a grid again and again, and the best one by looking at all.

The grid is certified. Between two of its points what a request takes lies no further below the
chord than half of the greater second difference next to it: four times what a parabola needs, and
enough for a kink. With all that is taken lowered by so much, the same programme gives a bound from
below for the grid and everything between its points.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import block_array, csr_array

from llmecon.choice.candidates import in_chunks, rows_of
from llmecon.choice.filling import ROLES, Demand, Engine, Role, excess, flow, room
from llmecon.choice.objective import Case, charges
from llmecon.execution.interpreter import interpreted
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import LLM

Scalar = Float[Array, "..."]

# Fillings looked at to find the fullest, and how often the grid is narrowed.
LOOKED_AT = 64
NARROWED = 6
TOGETHER = 64
# A cost above a bound by less than this share is taken for the best.
GAP = 1e-6
PATIENCE = 60.0
# SciPy's word for a programme without solution.
INFEASIBLE = 2


@dataclass(frozen=True)
class Enumerated:
    """What enumeration finds.

    Attributes:
        cost: of the best fleet on the grid, per second; infinite where there is none.
        bound: no fleet costs less, on the grid or between its points, per second.
    """

    cost: float
    bound: float


@dataclass(frozen=True)
class Grid:
    """Requests at each filling: what they take.

    Attributes:
        engine: place among the options.
        region: place in the description.
        bucket: place in the description.
        taken: time, energy and latency at the point.
        hopeful: the same, lowered to what bounds the cells beside it from below.
    """

    engine: np.ndarray
    region: np.ndarray
    bucket: np.ndarray
    taken: np.ndarray
    hopeful: np.ndarray

    def kept(self, which: np.ndarray) -> "Grid":
        """Some of the fillings."""
        return Grid(*(getattr(self, name)[which] for name in vars(self)))


def grid(case: Case, levels: int) -> Grid:
    """Every pool at every filling of a grid, for every bucket that is asked for.

    Args:
        case: the problem.
        levels: fillings, from an instance that hardly works to the fullest that limits allow.

    Returns:
        What requests take.
    """
    options = case.options
    roles = np.array([name.role for name in options.names])
    parts = []
    for role in ROLES:
        engine, bucket = np.nonzero((roles == role)[:, None] & (options.rates > 0.0)[None, :])
        if not len(engine):
            continue
        able, taken = in_chunks(
            partial(_taken, options.llm, role, levels),
            TOGETHER,
            rows_of(options.engines, engine),
            rows_of(options.demand, bucket),
        )
        engine, bucket, taken = engine[able > 0.0], bucket[able > 0.0], taken[able > 0.0]
        bend = np.abs(np.diff(taken, 2, axis=1))
        bend = np.pad(bend, ((0, 0), (2, 2), (0, 0)), mode="edge")
        beside = np.maximum(np.maximum(bend[:, :-2], bend[:, 1:-1]), bend[:, 2:])
        hopeful = np.maximum(taken - 0.5 * beside, 0.0)
        regions = options.per_joule.shape[0]
        size = len(engine) * levels
        for region in range(regions):
            parts.append(
                Grid(
                    np.repeat(engine, levels),
                    np.full(size, region),
                    np.repeat(bucket, levels),
                    taken.reshape(size, 3),
                    hopeful.reshape(size, 3),
                )
            )
    return Grid(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0]))
    )


@interpreted
def _taken(
    llm: LLM, role: Role, levels: int, engines: Engine, demand: Demand
) -> tuple[Scalar, Scalar]:
    def one(engine: Engine, demand: Demand) -> tuple[Scalar, Scalar]:
        most = room(llm, engine, demand, role)
        able = most >= (0.5 if role == "prefill" else 1.0)
        low, high = jnp.log(MINIMUM_BATCH), jnp.log(jnp.maximum(most, 1.1 * MINIMUM_BATCH))
        for narrowed in range(NARROWED):
            # Latency may dip below a limit again where an instance is fuller.
            fillings = jnp.linspace(low, high, LOOKED_AT if narrowed else 8 * LOOKED_AT)
            meets = (
                jax.vmap(lambda at: excess(llm, engine, demand, jnp.exp(at), role))(fillings)
                <= 1e-9
            )
            if narrowed == 0:
                able = able & meets.any()
            last = jnp.max(jnp.where(meets, jnp.arange(len(fillings)), 0))
            low, high = fillings[last], fillings[jnp.minimum(last + 1, len(fillings) - 1)]
        seldom = jnp.log(MINIMUM_BATCH)
        at = jnp.exp(jnp.linspace(jnp.minimum(seldom, low), low, levels))
        found = jax.vmap(lambda filling: flow(llm, engine, demand, filling, role))(at)
        taken = jnp.stack([found.time, found.energy, found.latency], axis=-1)
        return jnp.where(able, 1.0, 0.0), taken

    every: tuple[Scalar, Scalar] = jax.vmap(one)(engines, demand)
    return every


def in_parts(case: Case, at: Grid) -> Enumerated:
    """The best fleet in which instances may be parts, over the whole grid.

    Args:
        case: the problem.
        at: the grid.

    Returns:
        Its cost and bound.
    """
    return Enumerated(
        _programme(case, at, at.taken, whole=False).cost,
        _programme(case, at, at.hopeful, whole=False).cost,
    )


def in_wholes(case: Case, at: Grid) -> Enumerated:
    """The best fleet of whole instances, over the whole grid.

    Branch and bound looks at the pools that the multipliers of the relaxed fleet leave in question:
    the others are in no fleet as cheap as one already found.

    Args:
        case: the problem.
        at: the grid.

    Returns:
        Its cost and bound.
    """
    start = _programme(case, at, at.hopeful, whole=False)
    if not np.isfinite(start.cost):
        return Enumerated(np.inf, np.inf)
    pools, place = _pools(at)
    least = _least_with(case, at, start)
    order = np.argsort(least)
    cost, count = np.inf, 24
    while True:
        inside = np.zeros(len(pools), bool)
        inside[order[:count]] = True
        kept = inside[place]
        cost = _programme(case, at.kept(kept), at.taken[kept], whole=True).cost
        in_question = int((least < cost).sum())
        if in_question <= count or count >= len(pools):
            break
        count = min(len(pools), in_question if np.isfinite(cost) else 4 * count)
    bound = _programme(case, at.kept(kept), at.hopeful[kept], whole=True).bound
    return Enumerated(cost, max(bound, start.cost))


def _pools(at: Grid) -> tuple[np.ndarray, np.ndarray]:
    both = np.stack([at.engine, at.region], axis=1)
    pools, place = np.unique(both, axis=0, return_inverse=True)
    return pools, place.ravel()


def _least_with(case: Case, at: Grid, start: "_Found") -> np.ndarray:
    """What a fleet with an instance of each pool costs at least, by the relaxed multipliers.

    An instance is charged for standing, and earns what it serves requests for less than they are
    worth: in the time it has, and no more than there are.
    """
    options = case.options
    charged = charges(case, case.weights, start.prices)
    pools, place = _pools(at)
    prompt = np.array([name.role == "prefill" for name in options.names])[at.engine]
    partners = options.partners[at.engine, at.region]
    passed = np.where(partners >= 0, start.passed[at.bucket, partners], 0.0)
    credit = np.where(prompt, passed, start.worth[at.bucket] - passed)
    time, energy, latency = at.hopeful.T
    served = (
        energy * charged.joule[at.region]
        + latency * charged.second
        + options.quality[at.engine] * charged.quality
    )
    gain = np.maximum(credit - served, 0.0)
    buckets = len(options.rates)
    most = np.zeros((len(pools), buckets))
    np.maximum.at(most, (place, at.bucket), gain)
    rate = np.zeros(len(pools))
    np.maximum.at(rate, place, gain / np.maximum(time, 1e-300))
    standing = charged.standing[pools[:, 0], pools[:, 1]]
    least: np.ndarray = start.cost + standing - np.minimum(rate, most @ options.rates)
    return least


@dataclass(frozen=True)
class _Found:
    cost: float
    bound: float
    worth: np.ndarray
    passed: np.ndarray
    prices: np.ndarray


def _programme(case: Case, at: Grid, taken: np.ndarray, whole: bool) -> _Found:
    """The best fleet over some points, each with what it takes."""
    options, limits, free = case.options, case.limits, case.free
    nothing = np.zeros((len(options.rates), options.kinds))
    none = _Found(np.inf, np.inf, nothing[:, 0], nothing, np.zeros(len(limits.most)))
    if not len(at.engine):
        return none
    pools, place = _pools(at)
    size, count = len(taken), len(pools)
    engine, region = pools.T
    each = options.rates[at.bucket]
    time, energy, latency = (taken * each[:, None]).T
    lost = options.quality[at.engine] * each
    standing = free.standing[engine, region]
    scale = float(standing.min())
    cost = np.concatenate(
        [standing, energy * free.joule[at.region] + latency * free.second + lost * free.quality]
    )
    columns = np.arange(size)
    prompt = np.array([name.role == "prefill" for name in options.names])[at.engine]
    asked = np.flatnonzero(options.rates > 0.0)
    served = csr_array(
        (~prompt * 1.0, (np.searchsorted(asked, at.bucket), columns)), (len(asked), size)
    )
    partners = options.partners[at.engine, at.region]
    apart = np.flatnonzero(partners >= 0)
    key, row = np.unique(
        np.stack([at.bucket[apart], partners[apart]], axis=1), axis=0, return_inverse=True
    )
    sign = np.where(prompt[apart], 1.0, -1.0)
    passed = csr_array((sign, (row.ravel(), apart)), (len(key), size))
    equal = block_array(
        [[csr_array((len(asked), count)), served], [csr_array((len(key), count)), passed]]
        if len(key)
        else [[csr_array((len(asked), count)), served]],
        format="csr",
    )
    wanted = np.concatenate([np.ones(len(asked)), np.zeros(len(key))])
    work = csr_array((time, (place, columns)), (count, size))
    minus = csr_array((-np.ones(count), (np.arange(count), np.arange(count))), (count, count))
    rows, ends = [[minus, work]], [np.zeros(count)]
    if len(limits.most):
        unit = np.where(limits.most > 0.0, limits.most, 1.0)
        stands = limits.capital[engine, region] + (
            options.resting[engine, None] * limits.per_joule[region]
        )
        uses = (
            energy[:, None] * limits.per_joule[at.region]
            + latency[:, None] * limits.rest[0]
            + lost[:, None] * limits.rest[1]
        )
        rows.append([csr_array((stands / unit).T), csr_array((uses / unit).T)])
        ends.append(limits.most / unit)
    matrix, most = block_array(rows, format="csr"), np.concatenate(ends)
    if not whole:
        found = linprog(cost / scale, A_ub=matrix, b_ub=most, A_eq=equal, b_eq=wanted)
        if found.x is None:
            return none
        worth, passed, multipliers = np.zeros(len(options.rates)), nothing, found.eqlin.marginals
        worth[asked] = multipliers[: len(asked)] * scale / options.rates[asked]
        buckets, kinds = key.T
        passed[buckets, kinds] = multipliers[len(asked) :] * scale / options.rates[buckets]
        prices = -found.ineqlin.marginals[count:] * scale
        if len(limits.most):
            prices = np.maximum(prices, 0.0) / unit
        value = float(found.fun) * scale
        return _Found(value, value, worth, passed, prices)
    found = milp(
        cost / scale,
        constraints=[
            LinearConstraint(matrix, -np.inf, most),
            LinearConstraint(equal, wanted, wanted),
        ],
        bounds=Bounds(0.0, np.inf),
        integrality=np.concatenate([np.ones(count), np.zeros(size)]),
        options={"mip_rel_gap": GAP, "time_limit": PATIENCE},
    )
    best = np.inf if found.x is None else float(found.fun) * scale
    if found.status == INFEASIBLE:
        return none
    # Out of time, the bound stands all the same.
    bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound) * scale
    return _Found(best, bound, *(none.worth, nothing, none.prices))
