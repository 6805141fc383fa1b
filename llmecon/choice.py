"""Optimal hardware: what to run, how much of it, how full, what binds, and how good a fleet can be.

What is minimised is a sum over pools and requests,

    sum over pools of  n_o f_o   +   sum over pools and buckets of  x_oc v_oc(b_oc)

with n_o instances of pool o, x_oc requests a second of bucket c that it serves while it is filled
to b_oc, a price f_o of its standing there and v_oc of serving a request. Each request takes some of
an instance's time, every bucket is served, and whatever is limited for the fleet as a whole is a
sum of the same form. Each filling stays within memory and limits on latency.

Given prices of all that is limited, this falls apart into one small smooth problem for each pool
and bucket: the filling at which a request is cheapest. All are searched at once from every level of
a coarse grid, and those that may be best then follow the gradient with respect to the filling's
logarithm to where it vanishes. Shares of requests are weights on a simplex; which prices they imply
is a linear programme over the fillings found so far. The two alternate until no pool can serve any
bucket more cheaply than its price says [DantzigWolfe1960]. At that point the multipliers prove the
optimum: the bound that they give equals the cost.

Whole instances follow by branch and bound over the pools that the multipliers do not rule out, and
the fillings are then found again for these.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from llmecon.columns import (
    NOTHING,
    Columns,
    Solution,
    cost_of,
    in_parts,
    in_wholes,
    least_excess,
    least_excess_in_wholes,
    merged,
    pools_of,
    with_instances,
)
from llmecon.options import (
    Demand,
    Engine,
    EngineName,
    Flow,
    Role,
    excess,
    flow,
    in_chunks,
    room,
    rows_of,
)
from llmecon.problem import RESOURCES, Problem
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import LLM
from llmecon.terms import Case, Charges, case, charges

Scalar = Float[Array, "..."]

# Pools refined for each bucket and role in a round, and rounds that suffice several times over.
REFINED = 24
ROUNDS = 60
# A pool that on its coarse fillings is dearer than the cheapest by more than this can't win.
COARSE = 0.04
# Halvings of the cell in which a gradient vanishes.
HALVED = 24
TOGETHER = 64
# Shares of the cost by which fleets may exceed their bound: of parts, and of whole instances.
GAP = 1e-9
WHOLE_GAP = 1e-5
# The latter where fillings are yet to be looked at closely.
COARSE_GAP = 1e-3
# Branch and bound stops after so long, s; the bound then says how good its fleet is.
PATIENCE = 10.0
# Where waiting costs anything, pools that are looked at closely, and steps in a cell of theirs.
IN_QUESTION = 16
FINER = 4


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
    """

    pools: tuple[Pool, ...]
    cost: float
    bound: float
    takes: Mapping[str, float]
    prices: Mapping[str, float]
    requests: tuple[float, ...]
    columns: Columns = field(repr=False)
    served: Float[np.ndarray, " columns"] = field(repr=False)


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


def best(problem: Problem) -> Plan | Clash:
    """The best fleet of whole instances.

    Args:
        problem: the description.

    Returns:
        The fleet with its bound; or why there is none. Prices are those of the fleet in which
        instances may be parts, as whole ones change by leaps.

    Raises:
        InputError: as `options.options`.
    """
    return whole(case(problem))


def best_in_parts(problem: Problem) -> Plan | Clash:
    """The best fleet where instances may be parts.

    Args:
        problem: the description.

    Returns:
        The fleet with its proof, and what its limits are worth; or why there is none.

    Raises:
        InputError: as `options.options`.
    """
    found = relaxed(case(problem))
    return found if isinstance(found, Clash) else found.plan


def relaxed(of: Case) -> Relaxed | Clash:
    """As `best_in_parts`, of a problem as arrays.

    Args:
        of: the problem.

    Returns:
        The fleet and what was found on the way to it.
    """
    slower = _too_slow(of)
    if slower:
        return Clash(slower=slower)
    further, _ = _cheapest(of, of.free)
    if len(of.limits.most):
        further, excess = _within(of, further)
        if excess.sum() > NOTHING:
            return Clash(raised=_factors(of, excess))
    solution, charged, bound, columns = None, of.free, -np.inf, further
    for _ in range(ROUNDS):
        columns = further
        solution = in_parts(of, columns)
        charged = charges(of, of.weights, solution.prices)
        more, least = _cheapest(of, charged)
        bound = max(bound, float(of.of.rates @ least - of.limits.most @ solution.prices))
        hopeful = _hopeful(of, more, charged, solution)
        if solution.cost - bound <= GAP * abs(solution.cost) or not hopeful.any():
            break
        further = columns.joined(more.kept(hopeful))
    assert solution is not None
    plan = _plan(of, *merged(columns, solution.served), None, solution, bound)
    return Relaxed(plan, columns, solution, charged)


def _too_slow(of: Case) -> dict[int, float]:
    """Buckets that nothing serves in time, and by how much their limits would have to give."""
    able = of.of.able
    role = np.array([name.role for name in of.of.names])
    served = able[role == "whole"].any(axis=0)
    for kind in np.unique(of.of.partners[of.of.partners >= 0]):
        among = of.of.partners == kind
        apart = [able[among & (role == part)].any(axis=0) for part in ("prefill", "decode")]
        served = served | (apart[0] & apart[1])
    missing = np.flatnonzero((of.of.rates > 0.0) & ~served)
    return {int(bucket): _slowness(of, int(bucket)) for bucket in missing}


def _slowness(of: Case, bucket: int) -> float:
    """The least factor on a bucket's limits at which some engine serves whole requests in time."""
    whole = np.array([name.role == "whole" for name in of.of.names])
    demand = rows_of(of.of.demand, np.array([bucket]))
    engines = rows_of(of.of.engines, np.flatnonzero(whole))
    over = np.asarray(_emptiest(of.of.llm, engines, demand))
    return float(np.exp(over.min())) if np.isfinite(over.min()) else np.inf


@eqx.filter_jit
def _emptiest(llm: LLM, engines: Engine, demand: Demand) -> Scalar:
    """How far beyond its limits each engine is at its least load; infinite without room."""
    asked = jax.tree.map(lambda leaf: leaf[0], demand)

    def one(engine: Engine) -> Scalar:
        held = room(llm, engine, asked, "whole")
        over = excess(llm, engine, asked, jnp.asarray(MINIMUM_BATCH), "whole")
        return jnp.where(held >= 1.0, over, jnp.inf)

    found: Scalar = jax.vmap(one)(engines)
    return found


def _factors(of: Case, excess: np.ndarray) -> dict[str, float]:
    return {
        name: float(1.0 + over) if most > 0.0 else np.inf
        for name, most, over in zip(of.limits.names, of.limits.most, excess, strict=True)
        if over > NOTHING
    }


def _within(of: Case, columns: Columns) -> tuple[Columns, np.ndarray]:
    """Fillings with which all limits can be kept, or by how much they are exceeded at least."""
    nothing = np.zeros(len(of.weights))
    excess = np.zeros(len(of.limits.most))
    for _ in range(ROUNDS):
        excess, solution = least_excess(of, columns)
        if excess.sum() <= NOTHING:
            break
        charged = charges(of, nothing, solution.prices)
        more, least = _cheapest(of, charged)
        bound = float(of.of.rates @ least - of.limits.most @ solution.prices)
        hopeful = _hopeful(of, more, charged, solution)
        if solution.cost - bound <= NOTHING * solution.cost or not hopeful.any():
            break
        columns = columns.joined(more.kept(hopeful))
    return columns, excess


def _hopeful(of: Case, columns: Columns, charged: Charges, solution: Solution) -> np.ndarray:
    """Which fillings serve a bucket for less than it is worth, alone or with a partner."""
    cost = cost_of(of, columns, charged)
    roles = np.array([name.role for name in of.of.names])[columns.engine]
    partners = of.of.partners[columns.engine]
    with_partner = cost.copy()
    for bucket, kind in {(int(c), int(p)) for c, p in zip(columns.bucket, partners, strict=True)}:
        if kind < 0:
            continue
        here = (columns.bucket == bucket) & (partners == kind)
        for role, other in (("prefill", "decode"), ("decode", "prefill")):
            theirs = cost[here & (roles == other)]
            least = theirs.min() if len(theirs) else np.inf
            with_partner[here & (roles == role)] += least
    worth = solution.worth[columns.bucket]
    credit = np.where(roles == "prefill", 0.0, worth) + np.where(
        partners >= 0, solution.passed[columns.bucket, partners], 0.0
    ) * np.where(roles == "prefill", 1.0, -1.0)
    hopeful: np.ndarray = np.minimum(with_partner - worth, cost - credit) < -NOTHING * np.abs(worth)
    return hopeful & np.isfinite(with_partner)


def _cheapest(of: Case, charged: Charges) -> tuple[Columns, Float[np.ndarray, " buckets"]]:
    """The cheapest fillings of the pools that may serve each bucket most cheaply.

    Returns:
        Fillings of some pools for each bucket and role, and the least cost of a request.
    """
    kinds = np.unique(of.of.partners)
    roles = np.array([name.role for name in of.of.names])
    picked: dict[Role, list[np.ndarray]] = {"whole": [], "prefill": [], "decode": []}
    for bucket in range(len(of.of.rates)):
        cost = coarse_cost(of, charged, bucket)
        lowest = np.where(np.isnan(cost), np.inf, cost).min(axis=2)
        for kind in kinds:
            for role, found in picked.items():
                here = (of.of.partners == kind) & (roles == role)
                chosen = _nearest(np.where(here[:, None], lowest, np.inf))
                if len(chosen):
                    engine, region = chosen.T
                    level = np.nanargmin(cost[engine, region], axis=1)
                    found.append(np.stack([engine, region, np.full_like(engine, bucket), level]))
    parts = [
        refined(of, role, np.concatenate(found, axis=1), charged)
        for role, found in picked.items()
        if found
    ]
    columns = parts[0].joined(*parts[1:])
    return columns, _least(of, columns, charged)


def _nearest(lowest: Float[np.ndarray, "engines regions"]) -> Int[np.ndarray, "pools 2"]:
    """The pools whose coarse cost is near the lowest."""
    order = np.argsort(lowest, axis=None)[:REFINED]
    value = lowest.ravel()[order]
    near = np.isfinite(value) & (value <= lowest.min() + COARSE * np.abs(lowest.min()))
    return np.stack(np.unravel_index(order[near], lowest.shape), axis=1)


def _least(of: Case, columns: Columns, charged: Charges) -> Float[np.ndarray, " buckets"]:
    """What a request of each bucket costs at least, whole or in two phases."""
    cost = cost_of(of, columns, charged)
    roles = np.array([name.role for name in of.of.names])[columns.engine]
    partners = of.of.partners[columns.engine]
    least = np.full(len(of.of.rates), np.inf)
    for bucket in range(len(least)):
        here = columns.bucket == bucket
        ways = [cost[here & (roles == "whole")].min(initial=np.inf)]
        for kind in np.unique(partners[partners >= 0]):
            among = here & (partners == kind)
            ways.append(
                cost[among & (roles == "prefill")].min(initial=np.inf)
                + cost[among & (roles == "decode")].min(initial=np.inf)
            )
        least[bucket] = min(ways)
    return np.where(of.of.rates > 0.0, least, 0.0)


def coarse_cost(
    of: Case, charged: Charges, bucket: int
) -> Float[np.ndarray, "engines regions levels"]:
    """What a request of a bucket is charged at each coarse filling.

    Args:
        of: the problem.
        charged: for what.
        bucket: its place.

    Returns:
        Charges; NaN or infinite where limits forbid the filling.
    """
    flows, allowed = of.of.flows, np.isfinite(of.of.fillings[:, bucket])
    time, energy, latency = (
        np.where(allowed, leaf[:, bucket], 0.0)[:, None, :]
        for leaf in (flows.time, flows.energy, flows.latency)
    )
    cost: np.ndarray = (
        charged.standing[:, :, None] * time
        + charged.joule[None, :, None] * energy
        + charged.second * latency
        + (charged.quality * of.of.quality)[:, None, None]
    )
    return np.where(allowed[:, None, :], cost, np.inf)


def refined(
    of: Case, role: Role, picked: Int[np.ndarray, "4 fillings"], charged: Charges
) -> Columns:
    """Fillings where the gradient of the charge vanishes, beside the best coarse ones.

    Args:
        of: the problem.
        role: of all the engines.
        picked: engine, region, bucket and level of each.
        charged: for what.

    Returns:
        As many fillings.
    """
    engine, region, bucket, level = picked
    fillings = of.of.fillings[engine, bucket]
    rows, last = np.arange(len(engine)), fillings.shape[1] - 1
    # Levels that limits forbid lie between the last one allowed and the fullest.
    below = np.maximum(level - 1, 0)
    below = np.where(level == last, _last_allowed(fillings), below)
    above = np.minimum(level + 1, last)
    high = np.where(np.isnan(fillings[rows, above]), fillings[:, last], fillings[rows, above])
    filling, taken = in_chunks(
        partial(_refined, of.of.llm, role),
        TOGETHER,
        rows_of(of.of.engines, engine),
        rows_of(of.of.demand, bucket),
        (fillings[rows, below], high, fillings[rows, level]),
        (
            charged.standing[engine, region],
            charged.joule[region],
            np.full(len(engine), charged.second),
        ),
    )
    return Columns(
        engine, region, bucket, filling,
        taken.time, taken.energy, taken.latency, taken.ttft, taken.tpot,
    )  # fmt: skip


def _last_allowed(fillings: np.ndarray) -> np.ndarray:
    """The last level before the fullest that limits allow, or the fullest."""
    allowed = ~np.isnan(fillings[:, :-1])
    last: np.ndarray = allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1)
    return np.where(allowed.any(axis=1), last, fillings.shape[1] - 1)


@eqx.filter_jit
def _refined(
    llm: LLM,
    role: Role,
    engines: Engine,
    demand: Demand,
    bracket: tuple[Scalar, Scalar, Scalar],
    charged: tuple[Scalar, Scalar, Scalar],
) -> tuple[Scalar, Flow]:
    """The cheapest filling within each bracket, and what a request takes there."""

    def one(
        engine: Engine,
        demand: Demand,
        bracket: tuple[Scalar, Scalar, Scalar],
        charged: tuple[Scalar, Scalar, Scalar],
    ) -> tuple[Scalar, Flow]:
        low, high, coarse = (jnp.log(end) for end in bracket)
        standing, joule, second = charged

        def charge(log_filling: Scalar) -> Scalar:
            taken = flow(llm, engine, demand, jnp.exp(log_filling), role)
            return standing * taken.time + joule * taken.energy + second * taken.latency

        def halved(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
            low, high = ends
            middle = 0.5 * (low + high)
            rises = jax.grad(charge)(middle) > 0.0
            return jnp.where(rises, low, middle), jnp.where(rises, middle, high)

        left, right = jax.lax.fori_loop(0, HALVED, halved, (low, high))
        # A slope that falls up to the end leads to the end itself; a kink may hide a better one.
        tried = jnp.stack([jnp.where(right >= high, high, left), coarse])
        filling = tried[jnp.argmin(jax.vmap(charge)(tried))]
        return jnp.exp(filling), flow(llm, engine, demand, jnp.exp(filling), role)

    found: tuple[Scalar, Flow] = jax.vmap(one)(engines, demand, bracket, charged)
    return found


def _plan(
    of: Case,
    columns: Columns,
    served: np.ndarray,
    instances: Mapping[tuple[int, int], float] | None,
    solution: Solution,
    bound: float,
) -> Plan:
    """A fleet from the columns in use; instances are as many as they take unless given."""
    pools, place = pools_of(columns)
    work = np.bincount(place, columns.time * served, len(pools))
    given = instances or {}
    counts = np.array(
        [given.get((int(e), int(r)), w) for (e, r), w in zip(pools, work, strict=True)]
    )
    energy = counts @ (of.of.resting[pools[:, 0], None] * of.of.per_joule[pools[:, 1]])
    takes = counts @ of.of.capital[pools[:, 0], pools[:, 1]] + energy
    takes = takes + (served * columns.energy) @ of.of.per_joule[columns.region]
    takes[RESOURCES.index("second")] += served @ columns.latency
    takes[RESOURCES.index("quality")] += served @ of.of.quality[columns.engine]
    fleet = tuple(
        Pool(
            of.of.names[engine],
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
        prices=dict(zip(of.limits.names, map(float, solution.prices), strict=True)),
        requests=tuple(map(float, solution.worth)),
        columns=columns,
        served=served,
    )


def _serving(columns: Columns, at: int, per_second: float) -> Serving:
    names = ("filling", "ttft", "tpot", "latency", "time")
    values = [float(getattr(columns, name)[at]) for name in names]
    return Serving(int(columns.bucket[at]), per_second, *values)


def whole(of: Case) -> Plan | Clash:
    """As `best`, of a problem as arrays.

    Args:
        of: the problem.

    Returns:
        The fleet, or why there is none.
    """
    start = relaxed(of)
    return start if isinstance(start, Clash) else rounded(of, start)


def rounded(of: Case, start: Relaxed) -> Plan | Clash:
    """The best fleet of whole instances, from the one in which they may be parts.

    Args:
        of: the problem.
        start: its relaxed fleet.

    Returns:
        The fleet, or which limits whole instances can't keep.
    """
    pools, least = _promising(of, start)
    found, columns, hasty = None, start.columns, _minds_latency(of)
    for count in _more_and_more(len(pools)):
        columns = _spread(of, pools[:count], start)
        found = in_wholes(of, columns, COARSE_GAP if hasty else WHOLE_GAP, PATIENCE)
        if found is None:
            continue
        # No fleet with a pool whose bound exceeds the cost of this one can be better.
        if not (least[count:] < found[1].cost * (1.0 - WHOLE_GAP)).any():
            break
    if found is None:
        return Clash(raised=_factors(of, least_excess_in_wholes(of, columns, PATIENCE)))
    if hasty:
        # Between two coarse fillings waiting costs less than its chord says.
        in_question = pools[least < found[1].cost][:IN_QUESTION]
        chosen = np.unique(np.concatenate([in_question, _standing(*found)]), axis=0)
        columns = _spread(of, chosen, start, finer=True)
        found = in_wholes(of, columns, WHOLE_GAP, PATIENCE) or found
    inside, solution = found
    assert solution.instances is not None
    standing = solution.instances > 0.5
    columns, settled = _settled(of, columns, inside[standing], solution.instances[standing])
    instances = {
        (int(e), int(r)): float(n)
        for (e, r), n in zip(inside[standing], solution.instances[standing], strict=True)
    }
    prices = Solution(
        settled.served, settled.instances, settled.cost, settled.bound,
        start.solution.worth, start.solution.passed, start.solution.prices, settled.hours,
    )  # fmt: skip
    bound = start.plan.bound
    return _plan(of, *merged(columns, settled.served), instances, prices, bound)


def _standing(pools: Int[np.ndarray, "pools 2"], solution: Solution) -> np.ndarray:
    """The pools that have instances."""
    assert solution.instances is not None
    return pools[solution.instances > 0.5]


def _more_and_more(count: int) -> Iterator[int]:
    """How many of the most promising pools branch and bound looks at."""
    size = 32
    while size < count:
        yield size
        size *= 3
    yield count


def _credits(of: Case, solution: Solution) -> Float[np.ndarray, "engines buckets"]:
    """What serving a request, or its phase, is worth by a solution's multipliers."""
    role = np.array([name.role for name in of.of.names])
    apart = of.of.partners >= 0
    passed = np.where(apart[:, None], solution.passed[:, of.of.partners].T, 0.0)
    credit: np.ndarray = np.where((role == "prefill")[:, None], passed, solution.worth - passed)
    return credit


def _promising(
    of: Case, start: Relaxed
) -> tuple[Int[np.ndarray, "pools 2"], Float[np.ndarray, " pools"]]:
    """Pools, and what a fleet with an instance of them costs at least, the least first.

    By the relaxed fleet's multipliers every instance costs what it is charged for standing, less
    what it can earn by serving requests for less than they are worth: it has only so much time, and
    there are only so many requests. What the best of a cell between two coarse fillings could be is
    taken for it.
    """
    flows, charged = of.of.flows, start.charged
    credit = _credits(of, start.solution)
    gained = np.zeros_like(charged.standing)
    rate = np.zeros_like(gained)
    for bucket, asked in enumerate(of.of.rates):
        if asked <= 0.0:
            continue
        allowed = np.isfinite(of.of.fillings[:, bucket])
        time, energy, latency = (
            _least_of_cells(np.where(allowed, leaf[:, bucket], np.inf), allowed)
            for leaf in (flows.time, flows.energy, flows.latency)
        )
        served = (
            energy[:, None, :] * charged.joule[None, :, None]
            + charged.second * latency[:, None, :]
            + (charged.quality * of.of.quality)[:, None, None]
        )
        gain = np.maximum(credit[:, bucket, None, None] - served, 0.0)
        gained += asked * np.max(gain, axis=2)
        rate = np.maximum(rate, np.max(gain / time[:, None, :], axis=2))
    least = start.plan.bound + charged.standing - np.minimum(rate, gained)
    usable: np.ndarray = np.any(of.of.able, axis=1)
    engine, region = np.nonzero(np.broadcast_to(usable[:, None], least.shape))
    value = np.maximum(least[engine, region], start.plan.bound)
    inside = {
        (int(e), int(r))
        for e, r in zip(start.plan.columns.engine, start.plan.columns.region, strict=True)
    }
    first = np.array([(int(e), int(r)) not in inside for e, r in zip(engine, region, strict=True)])
    value = np.where(first, value, -np.inf)
    order = np.argsort(value, kind="stable")
    return np.stack([engine, region], axis=1)[order], value[order]


def _least_of_cells(leaf: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The lesser end of each cell between allowed fillings; 1e300 where there is none.

    Levels that are allowed come first, then those that are not, then the fullest.
    """
    before = np.where(allowed[:, :-1], leaf[:, :-1], 1e300)
    after = np.where(allowed[:, 1:], leaf[:, 1:], leaf[:, -1:])
    least = np.minimum(before, np.where(allowed[:, :-1], after, 1e300))
    return np.concatenate([least, np.where(allowed[:, -1:], leaf[:, -1:], 1e300)], axis=1)


def _minds_latency(of: Case) -> bool:
    """Whether waiting costs anything or is limited for the fleet."""
    return of.free.second > 0.0 or bool(np.any(of.limits.rest[0]))


def _spread(
    of: Case, pools: Int[np.ndarray, "pools 2"], start: Relaxed, finer: bool = False
) -> Columns:
    """Fillings of pools at their levels, or between these too, and those that are known exactly."""
    engine, region = pools.T
    parts = []
    for bucket, asked in enumerate(of.of.rates):
        if asked <= 0.0:
            continue
        fillings, flows = (_between if finer else _levels)(of, engine, bucket)
        kept = np.isfinite(fillings)
        if not _minds_latency(of):
            # Fuller is cheaper in all that counts, but for the last digits.
            time, energy = np.asarray(flows.time), np.asarray(flows.energy)
            kept = kept & ~_beaten(time, energy, kept)
        row, level = np.nonzero(kept)
        parts.append(
            Columns(
                engine[row], region[row], np.full_like(row, bucket), fillings[row, level],
                *(getattr(flows, name)[row, level]
                  for name in ("time", "energy", "latency", "ttft", "tpot")),
            )
        )  # fmt: skip
    chosen = {(int(e), int(r)) for e, r in pools}
    pairs = zip(start.columns.engine, start.columns.region, strict=True)
    inside = np.array([(int(e), int(r)) in chosen for e, r in pairs], bool)
    return start.columns.kept(inside).joined(*parts)


def _levels(of: Case, engine: np.ndarray, bucket: int) -> tuple[np.ndarray, Flow]:
    """Fillings of some engines at their levels, and flows there."""
    flows: Flow = jax.tree.map(lambda leaf: np.asarray(leaf)[engine, bucket], of.of.flows)
    return of.of.fillings[engine, bucket], flows


def _between(of: Case, engine: np.ndarray, bucket: int) -> tuple[np.ndarray, Flow]:
    """Fillings of some engines at their levels and at steps between them, and flows there."""
    levels = of.of.fillings[engine, bucket]
    # Levels that limits forbid stand between the last one allowed and the fullest.
    ends = np.log(np.where(np.isnan(levels), levels[:, -1:], levels))
    shares = np.arange(FINER) / FINER
    inside = ends[:, :-1, None] + shares * np.diff(ends, axis=1)[:, :, None]
    distinct = np.diff(ends, axis=1, append=np.nan)[:, :, None] != 0.0
    places = np.concatenate([inside.reshape(len(engine), -1), ends[:, -1:]], axis=1)
    repeated = np.repeat(~distinct[:, :-1, 0], FINER, axis=1)
    fillings = np.exp(places)
    fillings[:, :-1][repeated] = np.nan
    roles = np.array([of.of.names[e].role for e in engine])
    flows: Any = Flow(*(np.full_like(fillings, np.inf) for _ in range(5)))
    for role in dict.fromkeys(roles.tolist()):
        here = np.flatnonzero((roles == role) & of.of.able[engine, bucket])
        if not len(here):
            continue
        found = in_chunks(
            partial(_flows, of.of.llm, role),
            TOGETHER,
            rows_of(of.of.engines, engine[here]),
            rows_of(of.of.demand, np.full(len(here), bucket)),
            np.where(np.isnan(fillings[here]), 1e-3, fillings[here]),
        )
        for whole, part in zip(jax.tree.leaves(flows), jax.tree.leaves(found), strict=True):
            whole[here] = part
    return fillings, flows


@eqx.filter_jit
def _flows(llm: LLM, role: Role, engines: Engine, demand: Demand, fillings: Scalar) -> Flow:
    """What requests take of several engines at several fillings each."""

    def one(engine: Engine, demand: Demand, fillings: Scalar) -> Flow:
        found: Flow = jax.vmap(lambda at: flow(llm, engine, demand, at, role))(fillings)
        return found

    found: Flow = jax.vmap(one)(engines, demand, fillings)
    return found


def _beaten(time: np.ndarray, energy: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Fillings at which another of the same row takes no more time and no more energy."""
    time, energy = (np.where(allowed, leaf, np.inf) for leaf in (time, energy))
    no_more = (time[:, None, :] <= time[:, :, None]) & (energy[:, None, :] <= energy[:, :, None])
    less = (time[:, None, :] < time[:, :, None]) | (energy[:, None, :] < energy[:, :, None])
    beaten: np.ndarray = (no_more & less & allowed[:, None, :]).any(axis=2)
    return beaten


def _settled(
    of: Case,
    columns: Columns,
    pools: Int[np.ndarray, "pools 2"],
    instances: Float[np.ndarray, " pools"],
) -> tuple[Columns, Solution]:
    """Fillings and shares of given whole instances: the continuous rest, solved again."""
    chosen = {(int(e), int(r)) for e, r in pools}
    pairs = zip(columns.engine, columns.region, strict=True)
    further = columns.kept(np.array([(int(e), int(r)) in chosen for e, r in pairs], bool))
    solution = with_instances(of, further, pools, instances)
    for _ in range(ROUNDS):
        columns = further
        solution = with_instances(of, columns, pools, instances)
        assert solution.hours is not None
        prices = charges(of, of.weights, solution.prices)
        standing = np.zeros_like(prices.standing)
        standing[pools[:, 0], pools[:, 1]] = solution.hours
        charged = Charges(standing, prices.joule, prices.second, prices.quality)
        more = _best_of(of, pools, charged)
        hopeful = _hopeful(of, more, charged, solution)
        gain = _gain(of, more, charged, solution)
        if not hopeful.any() or gain <= GAP * abs(solution.cost):
            break
        further = columns.joined(more.kept(hopeful))
    return columns, solution


def _gain(of: Case, columns: Columns, charged: Charges, solution: Solution) -> float:
    """What serving everything with the best of some columns could save at most."""
    least = _least(of, columns, charged)
    saved = np.where(np.isfinite(least), solution.worth - least, 0.0)
    return float(of.of.rates @ np.maximum(saved, 0.0))


def _best_of(of: Case, pools: Int[np.ndarray, "pools 2"], charged: Charges) -> Columns:
    """The cheapest filling of each pool for each bucket that it can serve."""
    roles: Sequence[Role] = [of.of.names[e].role for e, _ in pools]
    parts = []
    for role in dict.fromkeys(roles):
        picked = []
        for bucket in range(len(of.of.rates)):
            cost = coarse_cost(of, charged, bucket)
            picked += [
                (int(e), int(r), bucket, int(np.argmin(cost[e, r])))
                for (e, r), does in zip(pools, roles, strict=True)
                if does == role and of.of.able[e, bucket]
            ]
        if picked:
            parts.append(refined(of, role, np.array(picked).T, charged))
    return parts[0].joined(*parts[1:])
