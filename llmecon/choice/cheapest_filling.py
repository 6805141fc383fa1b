"""The cheapest filling of every engine for every bucket, given what everything is charged.

All engines are looked at on a coarse grid of fillings; those that may be cheapest then follow the
gradient with respect to the filling's logarithm to where it vanishes.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from llmecon.choice.candidates import in_chunks, rows_of
from llmecon.choice.columns import NOTHING, Columns, cost_of
from llmecon.choice.filling import Demand, Engine, Flow, Role, flow
from llmecon.choice.linear_programme import Solution
from llmecon.choice.objective import Case, Charges
from llmecon.execution.interpreter import compiled
from llmecon.specs import LLM

Scalar = Float[Array, "..."]

# Pools refined for each bucket and role in a round, and rounds that suffice several times over.
REFINED = 24
ROUNDS = 60
# A share of the cost that no further round is worth.
GAP = 1e-9
# A pool that on its coarse fillings is dearer than the cheapest by more than this can't win.
COARSE = 0.04
# Halvings of the cell in which a gradient vanishes.
HALVED = 24
TOGETHER = 64


def cheapest(case: Case, charged: Charges) -> tuple[Columns, Float[np.ndarray, " buckets"]]:
    """The cheapest fillings of the pools that may serve each bucket most cheaply.

    Args:
        case: the problem.
        charged: for what.

    Returns:
        Fillings of some pools for each bucket and role, and the least cost of a request.
    """
    useful = case.useful_regions
    kinds = np.unique(case.options.partners[:, useful])
    roles = np.array([name.role for name in case.options.names])
    picked: dict[Role, list[np.ndarray]] = {"whole": [], "prefill": [], "decode": []}
    for bucket in range(len(case.options.rates)):
        cost = coarse_cost(case, charged, bucket)
        lowest = np.where(np.isnan(cost), np.inf, cost).min(axis=2)
        for kind in kinds:
            for role, found in picked.items():
                here = (case.options.partners == kind) & (roles == role)[:, None] & useful
                if not here.any():
                    continue
                chosen = _nearest(np.where(here, lowest, np.inf))
                if len(chosen):
                    engine, region = chosen.T
                    level = np.nanargmin(cost[engine, region], axis=1)
                    found.append(np.stack([engine, region, np.full_like(engine, bucket), level]))
    parts = [
        refined(case, role, np.concatenate(found, axis=1), charged)
        for role, found in picked.items()
        if found
    ]
    columns = parts[0].joined(*parts[1:])
    return columns, least_cost(case, columns, charged)


def worth_adding(case: Case, columns: Columns, charged: Charges, solution: Solution) -> np.ndarray:
    """Which fillings serve a bucket for less than it is worth, alone or with a partner.

    Args:
        case: the problem.
        columns: the fillings.
        charged: for what.
        solution: which says what requests, and prompts passed on, are worth.

    Returns:
        A truth value a filling.
    """
    cost = cost_of(case, columns, charged)
    roles = np.array([name.role for name in case.options.names])[columns.engine]
    partners = case.options.partners[columns.engine, columns.region]
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


def least_cost(case: Case, columns: Columns, charged: Charges) -> Float[np.ndarray, " buckets"]:
    """What a request of each bucket costs at least, whole or in two phases.

    Args:
        case: the problem.
        columns: the fillings.
        charged: for what.

    Returns:
        The least over the fillings; 0 for a bucket that nobody asks for.
    """
    cost = cost_of(case, columns, charged)
    roles = np.array([name.role for name in case.options.names])[columns.engine]
    partners = case.options.partners[columns.engine, columns.region]
    least = np.full(len(case.options.rates), np.inf)
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
    return np.where(case.options.rates > 0.0, least, 0.0)


def coarse_cost(
    case: Case, charged: Charges, bucket: int
) -> Float[np.ndarray, "engines regions levels"]:
    """What a request of a bucket is charged at each coarse filling.

    Args:
        case: the problem.
        charged: for what.
        bucket: its place.

    Returns:
        Charges; NaN or infinite where limits forbid the filling.
    """
    flows, allowed = case.options.flows, np.isfinite(case.options.fillings[:, bucket])
    time, energy, latency = (
        np.where(allowed, leaf[:, bucket], 0.0)[:, None, :]
        for leaf in (flows.time, flows.energy, flows.latency)
    )
    cost: np.ndarray = (
        charged.standing[:, :, None] * time
        + charged.joule[None, :, None] * energy
        + charged.second * latency
        + (charged.quality * case.options.quality)[:, None, None]
    )
    return np.where(allowed[:, None, :], cost, np.inf)


def refined(
    case: Case, role: Role, picked: Int[np.ndarray, "4 fillings"], charged: Charges
) -> Columns:
    """Fillings where the gradient of the charge vanishes, beside the best coarse ones.

    Args:
        case: the problem.
        role: of all the engines.
        picked: engine, region, bucket and level of each.
        charged: for what.

    Returns:
        As many fillings.
    """
    engine, region, bucket, level = picked
    fillings = case.options.fillings[engine, bucket]
    rows, last = np.arange(len(engine)), fillings.shape[1] - 1
    # Levels that limits forbid lie between the last one allowed and the fullest.
    below = np.maximum(level - 1, 0)
    below = np.where(level == last, _last_allowed(fillings), below)
    above = np.minimum(level + 1, last)
    high = np.where(np.isnan(fillings[rows, above]), fillings[:, last], fillings[rows, above])
    filling, taken = in_chunks(
        partial(_refined, case.options.llm, role),
        TOGETHER,
        rows_of(case.options.engines, engine),
        rows_of(case.options.demand, bucket),
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


def _nearest(lowest: Float[np.ndarray, "engines regions"]) -> Int[np.ndarray, "pools 2"]:
    """The pools whose coarse cost is near the lowest."""
    order = np.argsort(lowest, axis=None)[:REFINED]
    value = lowest.ravel()[order]
    near = np.isfinite(value) & (value <= lowest.min() + COARSE * np.abs(lowest.min()))
    return np.stack(np.unravel_index(order[near], lowest.shape), axis=1)


def _last_allowed(fillings: np.ndarray) -> np.ndarray:
    """The last level before the fullest that limits allow, or the fullest."""
    allowed = ~np.isnan(fillings[:, :-1])
    last: np.ndarray = allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1)
    return np.where(allowed.any(axis=1), last, fillings.shape[1] - 1)


@compiled
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
