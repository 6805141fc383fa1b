"""Optimal hardware: what to run, how much of it, how full, what binds, and how good a fleet can be.

What is minimised is a sum over pools and requests, ::

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

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.choice.candidates import rows_of
from llmecon.choice.cheapest_filling import GAP, ROUNDS, cheapest, worth_adding
from llmecon.choice.columns import NOTHING, Columns, merged
from llmecon.choice.description import Problem
from llmecon.choice.filling import Demand, Engine, Role, excess, room
from llmecon.choice.fleets import Clash, Plan, Relaxed, plan_of, raised
from llmecon.choice.linear_programme import KEPT, in_parts, least_excess
from llmecon.choice.objective import Case, case, charges
from llmecon.choice.whole_instances import least_raised, rounded
from llmecon.execution.interpreter import interpreted
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import LLM

__all__ = ["Clash", "Plan", "Relaxed", "best", "best_in_parts", "relaxed", "rounded", "whole"]

Scalar = Float[Array, "..."]

# Fillings looked at to find where limits are missed by least, and how often they are narrowed.
LOOKED_AT = 48
NARROWED = 3


def best(problem: Problem) -> Plan | Clash:
    """The best fleet of whole instances.

    Args:
        problem: the description.

    Returns:
        The fleet with its bound; or why there is none. Prices are those of the fleet in which
        instances may be parts, as whole ones change by leaps.

    Raises:
        InputError: as `candidates.options`.
    """
    return whole(case(problem))


def best_in_parts(problem: Problem) -> Plan | Clash:
    """The best fleet where instances may be parts.

    Args:
        problem: the description.

    Returns:
        The fleet with its proof, and what its limits are worth; or why there is none.

    Raises:
        InputError: as `candidates.options`.
    """
    found = relaxed(case(problem))
    return found if isinstance(found, Clash) else found.plan


def relaxed(case: Case) -> Relaxed | Clash:
    """As `best_in_parts`, of a problem as arrays.

    Args:
        case: the problem.

    Returns:
        The fleet and what was found on the way to it.
    """
    slower = _too_slow(case)
    if slower:
        return Clash(slower=slower)
    prices, charged = np.zeros(len(case.limits.most)), case.free
    more, least = cheapest(case, charged)
    further = more
    if len(case.limits.most):
        further, excess = _within(case, further)
        if excess.sum() > KEPT:
            return Clash(raised=raised(case, excess))
    solution, bound, columns = None, -np.inf, further
    for _ in range(ROUNDS):
        columns = further
        solution = in_parts(case, columns)
        if np.any(solution.prices != prices):
            prices = solution.prices
            charged = charges(case, case.weights, prices)
            more, least = cheapest(case, charged)
        bound = max(bound, float(case.options.rates @ least - case.limits.most @ solution.prices))
        hopeful = worth_adding(case, more, charged, solution)
        if solution.cost - bound <= GAP * abs(solution.cost) or not hopeful.any():
            break
        further = columns.joined(more.kept(hopeful))
    assert solution is not None
    plan = plan_of(case, *merged(columns, solution.served), None, solution, bound)
    return Relaxed(plan, columns, solution, charged)


def _too_slow(case: Case) -> dict[int, float]:
    """Buckets that nothing serves in time, and by how much their limits would have to give."""
    able = case.options.able
    role = np.array([name.role for name in case.options.names])
    served = able[role == "whole"].any(axis=0)
    for kind in np.unique(case.options.partners[case.options.partners >= 0]):
        among = (case.options.partners == kind).any(axis=1)
        apart = [able[among & (role == part)].any(axis=0) for part in ("prefill", "decode")]
        served = served | (apart[0] & apart[1])
    missing = np.flatnonzero((case.options.rates > 0.0) & ~served)
    return {int(bucket): _slowness(case, int(bucket)) for bucket in missing}


def _slowness(case: Case, bucket: int) -> float:
    """The least factor on a bucket's limits at which it is served in time, whole or in phases."""
    roles = np.array([name.role for name in case.options.names])
    demand = rows_of(case.options.demand, np.array([bucket]))
    over = np.full(len(roles), np.inf)
    for role in dict.fromkeys(roles.tolist()):
        here = np.flatnonzero(roles == role)
        over[here] = np.asarray(
            _nearest(case.options.llm, role, rows_of(case.options.engines, here), demand)
        )
    least = over[roles == "whole"].min(initial=np.inf)
    for kind in np.unique(case.options.partners[case.options.partners >= 0]):
        among = (case.options.partners == kind).any(axis=1)
        phases = [over[among & (roles == role)].min() for role in ("prefill", "decode")]
        least = min(least, max(phases))
    return float(np.exp(least)) if np.isfinite(least) else np.inf


@interpreted
def _nearest(llm: LLM, role: Role, engines: Engine, demand: Demand) -> Scalar:
    """How far beyond its limits each engine is at its best filling; infinite without room."""
    asked = jax.tree.map(lambda leaf: leaf[0], demand)

    def one(engine: Engine) -> Scalar:
        most = jnp.log(jnp.maximum(room(llm, engine, asked, role), 2.0 * MINIMUM_BATCH))

        def over(share: Scalar) -> Scalar:
            filling = jnp.exp(jnp.log(MINIMUM_BATCH) + share * (most - jnp.log(MINIMUM_BATCH)))
            return excess(llm, engine, asked, filling, role)

        low, high = jnp.zeros(()), jnp.ones(())
        for _ in range(NARROWED):
            shares = jnp.linspace(low, high, LOOKED_AT)
            found = jax.vmap(over)(shares)
            at = jnp.argmin(found)
            low = shares[jnp.maximum(at - 1, 0)]
            high = shares[jnp.minimum(at + 1, LOOKED_AT - 1)]
        fits = room(llm, engine, asked, role) >= (0.5 if role == "prefill" else 1.0)
        return jnp.where(fits, found.min(), jnp.inf)

    every: Scalar = jax.vmap(one)(engines)
    return every


def _within(case: Case, columns: Columns) -> tuple[Columns, np.ndarray]:
    """Fillings with which all limits can be kept, or by how much they are exceeded at least."""
    nothing = np.zeros(len(case.weights))
    excess = np.zeros(len(case.limits.most))
    for _ in range(ROUNDS):
        excess, solution = least_excess(case, columns)
        if excess.sum() <= NOTHING:
            break
        charged = charges(case, nothing, solution.prices)
        more, least = cheapest(case, charged)
        bound = float(case.options.rates @ least - case.limits.most @ solution.prices)
        hopeful = worth_adding(case, more, charged, solution)
        if solution.cost - bound <= NOTHING * solution.cost or not hopeful.any():
            break
        columns = columns.joined(more.kept(hopeful))
    return columns, excess


def _kept_best(case: Case) -> Columns:
    """Fillings with which limits that clash are exceeded by as little as can be, in parts."""
    return _within(case, cheapest(case, case.free)[0])[0]


def whole(case: Case) -> Plan | Clash:
    """As `best`, of a problem as arrays.

    Args:
        case: the problem.

    Returns:
        The fleet, or why there is none.
    """
    start = relaxed(case)
    if isinstance(start, Relaxed):
        return rounded(case, start)
    return least_raised(case, _kept_best(case)) if start.raised else start
