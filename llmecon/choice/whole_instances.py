"""The best fleet of whole instances, by branch and bound from the one in which they may be parts.

Only pools that the relaxed fleet's multipliers do not rule out are looked at. The fillings and
shares of the instances found are then solved again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from llmecon.choice.candidates import in_chunks, rows_of
from llmecon.choice.cheapest_filling import (
    GAP,
    ROUNDS,
    TOGETHER,
    coarse_cost,
    least_cost,
    refined,
    worth_adding,
)
from llmecon.choice.columns import Columns, merged, pools_of
from llmecon.choice.filling import Demand, Engine, Flow, Role, flow
from llmecon.choice.fleets import Clash, Plan, Relaxed, plan_of, raised
from llmecon.choice.linear_programme import (
    KEPT,
    Solution,
    in_wholes,
    least_excess_in_wholes,
    with_instances,
)
from llmecon.choice.objective import Case, Charges, charges
from llmecon.execution.interpreter import interpreted
from llmecon.specs import LLM

Scalar = Float[Array, "..."]

# A share of the cost by which whole instances may exceed their bound.
WHOLE_GAP = 1e-5
# The same where fillings are yet to be looked at closely.
COARSE_GAP = 1e-3
# The same for a first fleet, which only shows which pools can't be part of a better one.
FIRST_GAP = 1e-2
# Where waiting costs anything, pools that are looked at closely, and steps in a cell of theirs.
IN_QUESTION = 16
# Where limits clash, pools looked at for each bucket, role and limit.
FRUGAL = 6
FINER = 4


def rounded(case: Case, start: Relaxed) -> Plan | Clash:
    """The best fleet of whole instances, from the one in which they may be parts.

    Args:
        case: the problem.
        start: its relaxed fleet.

    Returns:
        The fleet, or which limits whole instances can't keep.
    """
    found = _rounded(case, start)
    if isinstance(found, Clash) and sum(found.raised.values()) - len(found.raised) <= KEPT:
        # Nothing but the last digits is missing.
        nearly = replace(case.limits, most=case.limits.most * (1.0 + 2.0 * KEPT))
        found = _rounded(replace(case, limits=nearly), start)
    return found


def _rounded(case: Case, start: Relaxed) -> Plan | Clash:
    pools, least = _promising(case, start)
    found, columns, hasty = None, start.columns, _minds_latency(case)
    for count in _more_and_more(len(pools)):
        columns = _spread(case, pools[:count], start.columns)
        found = in_wholes(case, columns, FIRST_GAP)
        if found is not None:
            break
    if found is not None:
        # A fleet with another pool whose bound exceeds the cost of this one can't be better.
        in_question = pools[least < found[1].cost]
        chosen = np.unique(np.concatenate([in_question, _standing(*found)]), axis=0)
        columns = _spread(case, chosen, start.columns)
        gap = COARSE_GAP if hasty else WHOLE_GAP
        found = in_wholes(case, columns, gap) or found
    if found is None and hasty:
        # What coarse fillings can't keep, those between them may.
        columns = _spread(case, pools[: 2 * IN_QUESTION], start.columns, finer=True)
        found = in_wholes(case, columns, WHOLE_GAP)
    elif found is not None and hasty:
        # Between two coarse fillings waiting costs less than its chord says.
        in_question = pools[least < found[1].cost][:IN_QUESTION]
        chosen = np.unique(np.concatenate([in_question, _standing(*found)]), axis=0)
        columns = _spread(case, chosen, start.columns, finer=True)
        found = in_wholes(case, columns, WHOLE_GAP) or found
    if found is None:
        return least_raised(case, start.columns)
    inside, solution = found
    assert solution.instances is not None
    standing = solution.instances > 0.5
    columns, settled = _settled(case, columns, inside[standing], solution.instances[standing])
    instances = {
        (int(e), int(r)): float(n)
        for (e, r), n in zip(inside[standing], solution.instances[standing], strict=True)
    }
    prices = Solution(
        settled.served, settled.instances, settled.cost, settled.bound,
        start.solution.worth, start.solution.passed, start.solution.prices, settled.hours,
    )  # fmt: skip
    plan = plan_of(case, *merged(columns, settled.served), instances, prices, start.plan.bound)
    left = 1.0 - solution.bound / solution.cost
    return replace(plan, left=left) if left > WHOLE_GAP else plan


def least_raised(case: Case, known: Columns) -> Clash:
    """By how little limits would have to give for whole instances.

    Args:
        case: the problem, whose limits whole instances can't keep.
        known: fillings that take little of what is limited.

    Returns:
        The least factors with the pools of these and those whose instances take least.
    """
    pools = np.unique(np.concatenate([pools_of(known)[0], _frugal(case)]), axis=0)
    columns = _spread(case, pools, known, finer=_minds_latency(case))
    return Clash(raised=raised(case, least_excess_in_wholes(case, columns)))


def _frugal(case: Case) -> Int[np.ndarray, "pools 2"]:
    """The pools for each bucket and role whose instances take least of each limit by standing."""
    limits, roles = case.limits, np.array([name.role for name in case.options.names])
    takes = limits.capital + case.options.resting[:, None, None] * limits.per_joule
    found = []
    for bucket in np.flatnonzero(case.options.rates > 0.0):
        for role in dict.fromkeys(roles.tolist()):
            here = case.options.able[:, bucket] & (roles == role)
            for limit in range(takes.shape[2]):
                value = np.where(here[:, None], takes[:, :, limit], np.inf)
                order = np.argsort(value, axis=None, kind="stable")[:FRUGAL]
                order = order[np.isfinite(value.ravel()[order])]
                found.append(np.stack(np.unravel_index(order, value.shape), axis=1))
    return np.concatenate(found)


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


def _credits(case: Case, solution: Solution) -> Float[np.ndarray, "engines regions buckets"]:
    """What serving a request, or its phase, is worth by a solution's multipliers."""
    role = np.array([name.role for name in case.options.names])
    partners = case.options.partners
    passed = np.where(partners >= 0, solution.passed[:, partners], 0.0)
    credit: np.ndarray = np.where(
        (role == "prefill")[:, None], passed, solution.worth[:, None, None] - passed
    )
    return np.moveaxis(credit, 0, -1)


def _promising(
    case: Case, start: Relaxed
) -> tuple[Int[np.ndarray, "pools 2"], Float[np.ndarray, " pools"]]:
    """Pools, and what a fleet with an instance of them costs at least, the least first.

    By the relaxed fleet's multipliers every instance costs what it is charged for standing, less
    what it can earn by serving requests for less than they are worth: it has only so much time, and
    there are only so many requests. What the best of a cell between two coarse fillings could be is
    taken for it.
    """
    flows, charged = case.options.flows, start.charged
    credit = _credits(case, start.solution)
    gained = np.zeros_like(charged.standing)
    rate = np.zeros_like(gained)
    for bucket, asked in enumerate(case.options.rates):
        if asked <= 0.0:
            continue
        allowed = np.isfinite(case.options.fillings[:, bucket])
        time, energy, latency = (
            _least_of_cells(np.where(allowed, leaf[:, bucket], np.inf), allowed)
            for leaf in (flows.time, flows.energy, flows.latency)
        )
        served = (
            energy[:, None, :] * charged.joule[None, :, None]
            + charged.second * latency[:, None, :]
            + (charged.quality * case.options.quality)[:, None, None]
        )
        gain = np.maximum(credit[:, :, bucket, None] - served, 0.0)
        gained += asked * np.max(gain, axis=2)
        rate = np.maximum(rate, np.max(gain / time[:, None, :], axis=2))
    least = start.plan.bound + charged.standing - np.minimum(rate, gained)
    engine, region = np.nonzero(np.any(case.options.able, axis=1)[:, None] & case.useful_regions)
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


def _minds_latency(case: Case) -> bool:
    """Whether waiting costs anything or is limited for the fleet."""
    return case.free.second > 0.0 or bool(np.any(case.limits.rest[0]))


def _spread(
    case: Case, pools: Int[np.ndarray, "pools 2"], known: Columns, finer: bool = False
) -> Columns:
    """Fillings of pools at their levels, or between these too, and those that are known exactly."""
    engine, region = pools.T
    parts = []
    for bucket, asked in enumerate(case.options.rates):
        if asked <= 0.0:
            continue
        fillings, flows = (_between if finer else _levels)(case, engine, bucket)
        kept = np.isfinite(fillings)
        if not _minds_latency(case):
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
    pairs = zip(known.engine, known.region, strict=True)
    inside = np.array([(int(e), int(r)) in chosen for e, r in pairs], bool)
    return known.kept(inside).joined(*parts)


def _levels(case: Case, engine: np.ndarray, bucket: int) -> tuple[np.ndarray, Flow]:
    """Fillings of some engines at their levels, and flows there."""
    flows: Flow = jax.tree.map(lambda leaf: np.asarray(leaf)[engine, bucket], case.options.flows)
    return case.options.fillings[engine, bucket], flows


def _between(case: Case, engine: np.ndarray, bucket: int) -> tuple[np.ndarray, Flow]:
    """Fillings of some engines at their levels and at steps between them, and flows there."""
    levels = case.options.fillings[engine, bucket]
    # Levels that limits forbid stand between the last one allowed and the fullest.
    ends = np.log(np.where(np.isnan(levels), levels[:, -1:], levels))
    shares = np.arange(FINER) / FINER
    inside = ends[:, :-1, None] + shares * np.diff(ends, axis=1)[:, :, None]
    distinct = np.diff(ends, axis=1, append=np.nan)[:, :, None] != 0.0
    places = np.concatenate([inside.reshape(len(engine), -1), ends[:, -1:]], axis=1)
    repeated = np.repeat(~distinct[:, :-1, 0], FINER, axis=1)
    fillings = np.exp(places)
    fillings[:, :-1][repeated] = np.nan
    roles = np.array([case.options.names[e].role for e in engine])
    blank: list[Any] = [np.full_like(fillings, np.inf) for _ in fields(Flow)]
    flows = Flow(*blank)
    for role in dict.fromkeys(roles.tolist()):
        here = np.flatnonzero((roles == role) & case.options.able[engine, bucket])
        if not len(here):
            continue
        found = in_chunks(
            partial(_flows, case.options.llm, role),
            TOGETHER,
            rows_of(case.options.engines, engine[here]),
            rows_of(case.options.demand, np.full(len(here), bucket)),
            np.where(np.isnan(fillings[here]), 1e-3, fillings[here]),
        )
        for whole, part in zip(jax.tree.leaves(flows), jax.tree.leaves(found), strict=True):
            whole[here] = part
    return fillings, flows


@interpreted
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
    case: Case,
    columns: Columns,
    pools: Int[np.ndarray, "pools 2"],
    instances: Float[np.ndarray, " pools"],
) -> tuple[Columns, Solution]:
    """Fillings and shares of given whole instances: the continuous rest, solved again."""
    chosen = {(int(e), int(r)) for e, r in pools}
    pairs = zip(columns.engine, columns.region, strict=True)
    further = columns.kept(np.array([(int(e), int(r)) in chosen for e, r in pairs], bool))
    solution = with_instances(case, further, pools, instances)
    for _ in range(ROUNDS):
        columns = further
        solution = with_instances(case, columns, pools, instances)
        assert solution.hours is not None
        prices = charges(case, case.weights, solution.prices)
        standing = np.zeros_like(prices.standing)
        standing[pools[:, 0], pools[:, 1]] = solution.hours
        charged = Charges(standing, prices.joule, prices.second, prices.quality)
        more = _best_of(case, pools, charged)
        hopeful = worth_adding(case, more, charged, solution)
        gain = _gain(case, more, charged, solution)
        if not hopeful.any() or gain <= GAP * abs(solution.cost):
            break
        further = columns.joined(more.kept(hopeful))
    return columns, solution


def _gain(case: Case, columns: Columns, charged: Charges, solution: Solution) -> float:
    """What serving everything with the best of some columns could save at most."""
    least = least_cost(case, columns, charged)
    saved = np.where(np.isfinite(least), solution.worth - least, 0.0)
    return float(case.options.rates @ np.maximum(saved, 0.0))


def _best_of(case: Case, pools: Int[np.ndarray, "pools 2"], charged: Charges) -> Columns:
    """The cheapest filling of each pool for each bucket that it can serve."""
    roles: Sequence[Role] = [case.options.names[e].role for e, _ in pools]
    parts = []
    for role in dict.fromkeys(roles):
        picked = []
        for bucket in range(len(case.options.rates)):
            cost = coarse_cost(case, charged, bucket)
            picked += [
                (int(e), int(r), bucket, int(np.argmin(cost[e, r])))
                for (e, r), does in zip(pools, roles, strict=True)
                if does == role and case.options.able[e, bucket]
            ]
        if picked:
            parts.append(refined(case, role, np.array(picked).T, charged))
    return parts[0].joined(*parts[1:])
