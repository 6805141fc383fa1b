"""Fillings of pools, each for one bucket, as the columns of a linear programme.

A column serves requests of a bucket with a pool that is kept so full. Requests are served whole, or
by a prefill column and a decode column whose engines can pass prompts on to each other. The shares
of requests that columns get are weights on a simplex; their multipliers are what requests, prompts
passed on, limits and the time of an instance are worth. All programmes are solved by HiGHS
[Huangfu2018].
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp
from scipy.sparse import block_array, csr_array, diags_array, eye_array

from llmecon.choice.columns import NOTHING, Columns, cost_of, pools_of, standing_takes, taken_of
from llmecon.choice.objective import Case

# Limits, and the time that instances have, are kept to within such a share: branch and bound can
# do no better.
KEPT = 1e-6
# Whoever serves all of a bucket keeps an instance at work for at least such a share of its time:
# below, branch and bound would take it for nothing.
LEAST_WORK = 1e-4
# Branch and bound stops after so many nodes times variables, a few seconds' work: a count, which
# ends it at the same fleet however busy a machine is. What may be left, the solution says.
WORK = 1e6
# How many times as long it goes on where it has found no fleet at all.
LAST_RESORT = 10
# SciPy's word for a programme without solution.
INFEASIBLE = 2


@dataclass(frozen=True)
class Solution:
    """What a programme finds.

    Attributes:
        served: requests per second that each column gets.
        instances: of each pool; None where instances may be parts and are not counted apart.
        cost: per second.
        bound: no such choice among these columns costs less, per second.
        worth: of one more request of each bucket.
        passed: of one more prompt of each bucket that is passed on among partners.
        prices: of one more unit of each limit: what it takes off the cost.
        hours: of one more second of an instance of each pool; None without instances.
    """

    served: Float[np.ndarray, " columns"]
    instances: Float[np.ndarray, " pools"] | None
    cost: float
    bound: float
    worth: Float[np.ndarray, " buckets"]
    passed: Float[np.ndarray, "buckets partners"]
    prices: Float[np.ndarray, " limits"]
    hours: Float[np.ndarray, " pools"] | None


@dataclass(frozen=True)
class Programme:
    """Rows of the linear programme over some columns, every number in it near 1.

    Attributes:
        columns: the columns.
        asked: requests that a column's variable counts by.
        unit: of each limit.
        equal: rows of what must be served and passed on.
        wanted: their right-hand sides.
        keys: bucket and partners of the rows of what is passed on.
    """

    columns: Columns
    asked: np.ndarray
    unit: np.ndarray
    equal: csr_array
    wanted: np.ndarray
    keys: np.ndarray


def programme(case: Case, columns: Columns) -> Programme:
    """The rows that every programme over some columns shares.

    Args:
        case: the problem.
        columns: the columns.

    Returns:
        Rows and units.
    """
    rates, most = case.options.rates, case.limits.most
    # Solvers tell numbers from nothing at fixed thresholds, so everything is put near 1.
    asked = np.where(rates > 0.0, rates, 1.0)
    partners = case.options.partners[columns.engine, columns.region]
    prompts = np.array([name.role == "prefill" for name in case.options.names])[columns.engine]
    count = len(columns)
    everything = csr_array(
        (np.where(prompts, 0.0, 1.0), (columns.bucket, np.arange(count))), (len(rates), count)
    )
    apart = np.flatnonzero(partners >= 0)
    pairs = np.stack([columns.bucket[apart], partners[apart]], axis=1)
    keys, row = np.unique(pairs, axis=0, return_inverse=True)
    passed = csr_array(
        (np.where(prompts[apart], 1.0, -1.0), (row.ravel(), apart)), (len(keys), count)
    )
    return Programme(
        columns,
        asked[columns.bucket],
        np.where(most > 0.0, most, 1.0),
        block_array([[everything], [passed]], format="csr") if len(keys) else everything,
        np.concatenate([rates / asked, np.zeros(len(keys))]),
        keys,
    )


def in_parts(case: Case, columns: Columns) -> Solution:
    """The cheapest shares where instances may be parts.

    Args:
        case: the problem.
        columns: with which all limits can be kept.

    Returns:
        The solution with its multipliers.
    """
    rows = programme(case, columns)
    cost = cost_of(case, columns, case.free) * rows.asked
    scale = _scale(cost, columns.bucket)
    taken = (taken_of(case, columns) * rows.asked[:, None] / rows.unit).T
    limited = len(rows.unit) > 0
    found = _nearly_within(lambda slack: linprog(
        cost / scale,
        A_ub=taken if limited else None,
        b_ub=case.limits.most / rows.unit + slack if limited else None,
        A_eq=rows.equal,
        b_eq=rows.wanted,
        method="highs",
    ))  # fmt: skip
    prices = np.maximum(-found.ineqlin.marginals, 0.0) if limited else np.zeros(0)
    worth, passed = _worth(case, rows, found.eqlin.marginals * scale)
    total = float(found.fun) * scale
    return Solution(
        found.x * rows.asked, None, total, total, worth, passed, prices * scale / rows.unit, None
    )


def least_excess(case: Case, columns: Columns) -> tuple[np.ndarray, Solution]:
    """The least by which limits together would have to be raised, where instances may be parts.

    Args:
        case: the problem, with limits.
        columns: those that may be used.

    Returns:
        Excess of each limit in its own unit, and what things are worth in avoiding it.
    """
    rows = programme(case, columns)
    taken = (taken_of(case, columns) * rows.asked[:, None] / rows.unit).T
    limits = len(rows.unit)
    still = csr_array((len(rows.wanted), limits))
    found = _solved(linprog(
        np.concatenate([np.zeros(len(columns)), np.ones(limits)]),
        A_ub=np.concatenate([taken, -np.eye(limits)], axis=1),
        b_ub=case.limits.most / rows.unit,
        A_eq=block_array([[rows.equal, still]]),
        b_eq=rows.wanted,
        method="highs",
    ))  # fmt: skip
    worth, passed = _worth(case, rows, found.eqlin.marginals)
    prices = np.maximum(-found.ineqlin.marginals, 0.0) / rows.unit
    served = found.x[: len(columns)] * rows.asked
    total = float(found.fun)
    return found.x[len(columns) :], Solution(
        served, None, total, total, worth, passed, prices, None
    )


def in_wholes(
    case: Case, columns: Columns, gap: float
) -> tuple[Int[np.ndarray, "pools 2"], Solution] | None:
    """The cheapest whole instances, by branch and bound [HiGHS].

    Args:
        case: the problem.
        columns: those that may be used.
        gap: share by which the cost may exceed the bound.

    Returns:
        Pools and solution; None where limits can't be kept.

    Raises:
        ArithmeticError: no fleet was found for all the work allowed.
    """
    pools, constraints, integral = _of_wholes(case, columns, 0)
    rows, free = programme(case, columns), case.free
    each = cost_of(case, columns, free, standing=False) * rows.asked
    cost = np.concatenate([free.standing[pools[:, 0], pools[:, 1]], each])
    in_parts_costs = _scale(cost_of(case, columns, free) * rows.asked, columns.bucket)
    scale = max(in_parts_costs, float(cost[: len(pools)].min()))
    for work in (WORK, LAST_RESORT * WORK):
        found = _milp(
            cost / scale,
            constraints=constraints,
            bounds=Bounds(0.0, np.inf),
            integrality=integral,
            options={"mip_rel_gap": gap, "node_limit": _nodes(work, cost)},
        )
        if found.x is not None:
            break
        if found.status == INFEASIBLE:
            return None
    else:
        nodes = _nodes(work, cost)
        raise ArithmeticError(f"no fleet of whole instances was found at {nodes} nodes")
    nothing = np.zeros((len(case.options.rates), case.options.kinds))
    return pools, Solution(
        found.x[len(pools) :] * rows.asked,
        np.round(found.x[: len(pools)]),
        float(found.fun) * scale,
        float(found.mip_dual_bound) * scale,
        np.zeros(len(case.options.rates)),
        nothing,
        np.zeros(len(case.limits.most)),
        None,
    )


def _nodes(work: float, variables: np.ndarray) -> int:
    """How many nodes a search over so many variables may visit."""
    return 1 + int(work / len(variables))


def least_excess_in_wholes(case: Case, columns: Columns) -> np.ndarray:
    """As `least_excess`, for whole instances.

    Args:
        case: the problem, with limits.
        columns: those that may be used.

    Returns:
        Excess of each limit in its own unit.
    """
    limits = len(case.limits.most)
    _, constraints, integral = _of_wholes(case, columns, limits)
    found = _milp(
        np.concatenate([np.zeros(len(integral) - limits), np.ones(limits)]),
        constraints=constraints,
        bounds=Bounds(0.0, np.inf),
        integrality=integral,
        options={"node_limit": _nodes(WORK, integral)},
    )
    if found.x is None:
        raise ArithmeticError(f"no fleet was found at {_nodes(WORK, integral)} nodes")
    excess: np.ndarray = found.x[len(integral) - limits :]
    return excess


def _of_wholes(
    case: Case, columns: Columns, slack: int
) -> tuple[np.ndarray, list[LinearConstraint], np.ndarray]:
    """Rows over instances, columns and, if asked for, the excess of each limit."""
    rows = programme(case, columns)
    pools, place = pools_of(columns)
    count, size = len(pools), len(columns)
    busy = np.maximum(columns.time * rows.asked, LEAST_WORK)
    work = csr_array((busy, (place, np.arange(size))), (count, size))
    still = csr_array((len(rows.wanted), count))
    spare = [csr_array((count, slack))] if slack else []
    equal = [still, rows.equal, *([csr_array((len(rows.wanted), slack))] if slack else [])]
    constraints = [
        LinearConstraint(block_array([[-eye_array(count), work, *spare]]), -np.inf, 0.0),
        LinearConstraint(block_array([equal]), rows.wanted, rows.wanted),
    ]
    if len(rows.unit):
        each = taken_of(case, columns, standing=False) * rows.asked[:, None]
        scale = diags_array(1.0 / rows.unit)
        over = [-eye_array(slack)] if slack else []
        taken = block_array(
            [[scale @ csr_array(standing_takes(case, pools).T), scale @ csr_array(each.T), *over]]
        )
        constraints.append(LinearConstraint(taken, -np.inf, case.limits.most / rows.unit))
    integral = np.concatenate([np.ones(count), np.zeros(size + slack)])
    return pools, constraints, integral


def with_instances(
    case: Case, columns: Columns, pools: Int[np.ndarray, "pools 2"], instances: np.ndarray
) -> Solution:
    """The cheapest shares for given instances.

    Args:
        case: the problem.
        columns: of these pools.
        pools: engine and region of each.
        instances: of each, with which all limits can be kept.

    Returns:
        The solution with its multipliers.
    """
    rows, free = programme(case, columns), case.free
    at = {(int(e), int(r)): k for k, (e, r) in enumerate(pools)}
    place = np.array(
        [at[int(e), int(r)] for e, r in zip(columns.engine, columns.region, strict=True)]
    )
    size = len(columns)
    cost = cost_of(case, columns, free, standing=False) * rows.asked
    paid = float(instances @ free.standing[pools[:, 0], pools[:, 1]])
    scale = max(paid, _scale(cost, columns.bucket))
    work = csr_array((columns.time * rows.asked, (place, np.arange(size))), (len(pools), size))
    taken = taken_of(case, columns, standing=False) * rows.asked[:, None] / rows.unit
    left = (case.limits.most - instances @ standing_takes(case, pools)) / rows.unit
    # A limit that binds was met to the last digits.
    found = _nearly_within(lambda slack: linprog(
        cost / scale,
        A_ub=block_array([[work], [csr_array(taken.T)]]) if len(rows.unit) else work,
        b_ub=np.concatenate([instances * (1.0 + NOTHING), left + NOTHING]) + slack,
        A_eq=rows.equal,
        b_eq=rows.wanted,
        method="highs",
    ))  # fmt: skip
    multipliers = np.maximum(-found.ineqlin.marginals, 0.0) * scale
    worth, passed = _worth(case, rows, found.eqlin.marginals * scale)
    total = paid + float(found.fun) * scale
    return Solution(
        found.x * rows.asked, instances, total, total, worth, passed,
        multipliers[len(pools) :] / rows.unit, multipliers[: len(pools)],
    )  # fmt: skip


def _scale(cost: np.ndarray, bucket: np.ndarray) -> float:
    """About what everything costs, so that solvers see a total near 1."""
    least = np.full(int(bucket.max()) + 1, np.inf)
    np.minimum.at(least, bucket, cost)
    return float(least[np.isfinite(least)].sum()) or 1.0


def _worth(case: Case, rows: Programme, marginals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers per request, from those of scaled rows."""
    rates = case.options.rates
    asked = np.where(rates > 0.0, rates, 1.0)
    passed = np.zeros((len(rates), case.options.kinds))
    bucket, partners = rows.keys.T
    passed[bucket, partners] = marginals[len(rates) :] / asked[bucket]
    return marginals[: len(rates)] / asked, passed


@contextmanager
def _silent() -> Iterator[None]:
    """Keep off the standard output what HiGHS prints there, whatever it is told."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _milp(*arguments: Any, **named: Any) -> OptimizeResult:
    with _silent():
        return milp(*arguments, **named)


def _nearly_within(solve: Callable[[float], OptimizeResult]) -> OptimizeResult:
    """What a programme finds with its limits as they are or, where they just clash, nearly so."""
    found = solve(0.0)
    return found if found.x is not None else _solved(solve(3.0 * KEPT))


def _solved(found: OptimizeResult) -> OptimizeResult:
    if found.x is None:
        raise ArithmeticError(f"the linear programme was not solved: {found.message}")
    return found
