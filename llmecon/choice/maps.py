"""The choice seen from above: one engine at every filling, each accelerator at every request.

Where limits are charged at their shadow prices and instances may be parts, every bucket goes to
whatever serves it for least. So what each accelerator could do alone is found bucket by bucket, and
a map of winners is a choice with a bucket for every place on it. Few engines win anywhere: those
that come first at a few places spread over the map are looked at everywhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Int

from llmecon.choice.candidates import changed, rows_of
from llmecon.choice.cheapest_filling import coarse_cost
from llmecon.choice.columns import Columns
from llmecon.choice.filling import SLOT_SHARE, Demand, Engine, Role, flow, room
from llmecon.choice.fleets import Plan
from llmecon.choice.objective import Case, Charges
from llmecon.execution.interpreter import interpreted
from llmecon.specs import LLM

Scalar = Float[Array, "..."]

# Engines of an accelerator that are kept for each role and place looked at.
FEW = 2
POINTS = 160
# Places between which the map is filled in, along each of its sides.
ANCHORS = 4
# Of the limit on TTFT that each role may take.
SHARES: Mapping[Role, float] = MappingProxyType(
    {"whole": 1.0, "prefill": 1.0 - SLOT_SHARE, "decode": SLOT_SHARE}
)
# A filling this near to what limits allow is held there.
HELD = 2e-3


@dataclass(frozen=True)
class Alone:
    """What a request costs on each accelerator, instances in parts, each at its best.

    Attributes:
        xpus: ids.
        whole: where an instance serves whole requests; infinite where none can.
        apart: where prompts and outputs have instances of their own; infinite likewise.
    """

    xpus: tuple[str, ...]
    whole: Float[np.ndarray, "*more xpus buckets"]
    apart: Float[np.ndarray, "*more xpus buckets"]

    @property
    def least(self) -> Float[np.ndarray, "*more xpus buckets"]:
        """The cheaper of both."""
        return np.minimum(self.whole, self.apart)

    def serving(self, rates: Float[np.ndarray, " buckets"]) -> Float[np.ndarray, "*more xpus"]:
        """What it costs to serve everything on each accelerator.

        Args:
            rates: requests per second of each bucket.

        Returns:
            Per second; infinite where a bucket that is asked for can't be served.
        """
        asked = rates > 0.0
        total: np.ndarray = self.least[..., asked] @ rates[asked]
        return total


def kept(case: Case, engines: Int[np.ndarray, " engines"]) -> Case:
    """The same problem with some of its engines only.

    Args:
        case: the problem.
        engines: their places; one that is named twice is there twice.

    Returns:
        A problem that shares nothing with the first.
    """
    options = case.options
    chosen = replace(
        options,
        names=tuple(options.names[at] for at in engines),
        engines=rows_of(options.engines, engines),
        capital=options.capital[engines],
        resting=options.resting[engines],
        quality=options.quality[engines],
        partners=options.partners[engines],
        fillings=options.fillings[engines],
        flows=rows_of(options.flows, engines),
    )
    return Case(chosen, case.weights, replace(case.limits, capital=case.limits.capital[engines]))


def asked(case: Case, demand: Demand) -> Case:
    """The same choice for other requests, one a second of each.

    Args:
        case: the problem.
        demand: buckets, stacked.

    Returns:
        A problem without limits on the fleet: those were for the requests that it had.
    """
    options = replace(case.options, rates=np.ones(len(np.asarray(demand.target.tpot))))
    limits = replace(
        case.limits,
        names=(),
        most=np.zeros(0),
        capital=case.limits.capital[:, :, :0],
        per_joule=case.limits.per_joule[:, :0],
        rest=case.limits.rest[:, :0],
    )
    return Case(changed(options, options.engines, demand), case.weights, limits)


def request_costs(case: Case, charged: Charges) -> Float[np.ndarray, "engines regions buckets"]:
    """What a request costs on each engine in each region, at its best filling.

    Args:
        case: the problem.
        charged: for what.

    Returns:
        Charges; infinite where the engine can't serve the bucket.
    """
    each = [
        coarse_cost(case, charged, bucket).min(axis=2) for bucket in range(len(case.options.rates))
    ]
    return np.stack(each, axis=2)


def alone(case: Case, charged: Charges) -> Alone:
    """What a request costs on each accelerator.

    Args:
        case: the problem.
        charged: for what.

    Returns:
        The least over engines of the accelerator, in one role or in two.
    """
    return by_xpu(case, request_costs(case, charged))


def by_xpu(case: Case, costs: Float[np.ndarray, "*more engines regions buckets"]) -> Alone:
    """The least cost of a request on each accelerator.

    Args:
        case: the problem.
        costs: of a request, or its phase, on each engine in each region; more dimensions may come
            before.

    Returns:
        The least over engines of the accelerator, in one role or in two.
    """
    ids = np.array([name.xpu for name in case.options.names])
    roles = np.array([name.role for name in case.options.names])
    xpus = tuple(dict.fromkeys(ids.tolist()))
    nothing = np.full((*costs.shape[:-3], costs.shape[-1]), np.inf)

    def cheapest(which: Bool[np.ndarray, "engines regions"]) -> np.ndarray:
        found: np.ndarray = costs[..., which, :].min(axis=-2, initial=np.inf)
        return found

    whole, apart = [], []
    for xpu in xpus:
        here = np.repeat((ids == xpu)[:, None], costs.shape[-2], axis=1)
        whole.append(cheapest(here & (roles == "whole")[:, None]))
        both = nothing
        for kind in np.unique(case.options.partners[here & (case.options.partners >= 0)]):
            among = here & (case.options.partners == kind)
            phases = [cheapest(among & (roles == role)[:, None]) for role in ("prefill", "decode")]
            both = np.minimum(both, phases[0] + phases[1])
        apart.append(both)
    return Alone(xpus, np.stack(whole, axis=-2), np.stack(apart, axis=-2))


def columns_alone(case: Case, charged: Charges, xpu: str) -> Columns:
    """The fillings with which an accelerator serves everything most cheaply, instances in parts.

    Args:
        case: the problem.
        charged: for what.
        xpu: id of an accelerator that can serve every bucket that is asked for.

    Returns:
        For each such bucket a filling that serves whole requests, or one for prompts and one for
        outputs, among those that were looked at.
    """
    ids = np.array([name.xpu for name in case.options.names])
    roles = np.array([name.role for name in case.options.names])
    here = np.repeat((ids == xpu)[:, None], len(case.options.per_joule), axis=1)
    found: list[tuple[int, int, int, int]] = []
    for bucket in np.flatnonzero(case.options.rates > 0.0):
        every = coarse_cost(case, charged, int(bucket))
        least = every.min(axis=2)

        def first(
            which: Bool[np.ndarray, "engines regions"], least: np.ndarray = least
        ) -> tuple[float, tuple[int, int]]:
            cost = np.where(which, least, np.inf)
            engine, region = np.unravel_index(int(cost.argmin()), cost.shape)
            return float(cost[engine, region]), (int(engine), int(region))

        ways = [[first(here & (roles == "whole")[:, None])]]
        for kind in np.unique(case.options.partners[here & (case.options.partners >= 0)]):
            among = here & (case.options.partners == kind)
            ways.append([first(among & (roles == role)[:, None]) for role in ("prefill", "decode")])
        for _, (engine, region) in min(ways, key=lambda way: sum(cost for cost, _ in way)):
            level = int(every[engine, region].argmin())
            found.append((engine, region, int(bucket), level))
    engine, region, bucket, level = np.array(found).T
    flows = jax.tree.map(lambda leaf: np.asarray(leaf)[engine, bucket, level], case.options.flows)
    return Columns(
        engine, region, bucket, case.options.fillings[engine, bucket, level],
        flows.time, flows.energy, flows.latency, flows.ttft, flows.tpot,
    )  # fmt: skip


def leading(
    case: Case, costs: Float[np.ndarray, "engines regions buckets"], few: int = FEW
) -> Int[np.ndarray, " engines"]:
    """The engines of each accelerator and role that serve some bucket most cheaply.

    Args:
        case: the problem.
        costs: of a request on each engine in each region.
        few: for each bucket.

    Returns:
        Their places, ascending.
    """
    kinds = pd.DataFrame(
        [(name.xpu, name.role) for name in case.options.names], columns=["xpu", "role"]
    )
    first: set[int] = set()
    costs = costs.min(axis=1)
    for _, rows in kinds.groupby(["xpu", "role"]):
        places = rows.index.to_numpy()
        for bucket in range(costs.shape[1]):
            order = places[np.argsort(costs[places, bucket], kind="stable")[:few]]
            first |= {int(at) for at in order if np.isfinite(costs[at, bucket])}
    return np.array(sorted(first), dtype=int)


def along(case: Case, charged: Charges, demand: Demand) -> tuple[Case, Alone]:
    """Every accelerator at many sizes of requests and limits.

    Args:
        case: the problem that engines are taken from.
        charged: for what.
        demand: buckets, stacked, in an order in which neighbours are alike.

    Returns:
        The engines that were looked at, for those requests; and what a request costs.
    """
    count = len(np.asarray(demand.target.tpot))
    anchors = np.unique(np.linspace(0, count - 1, min(count, ANCHORS**2)).round().astype(int))
    return _filled_in(case, charged, demand, anchors)


def across(
    case: Case,
    charged: Charges,
    demand: Demand,
    prompts: Sequence[float] | np.ndarray,
    tpots: Sequence[float] | np.ndarray,
) -> tuple[pd.DataFrame, Case, Alone]:
    """Every accelerator over a map of prompt lengths and limits on the time per output token.

    Args:
        case: the problem that engines are taken from.
        charged: for what.
        demand: one bucket, whose prompt and limit are replaced.
        prompts: lengths, tokens.
        tpots: limits, s.

    Returns:
        Columns `prompt_tokens` and `tpot_s`, a row a place; the engines that were looked at; and
        what a request costs in each place.
    """
    up, right = (axis.ravel() for axis in np.meshgrid(tpots, prompts, indexing="ij"))
    everywhere = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[:1], len(up)), demand)
    everywhere = eqx.tree_at(
        lambda d: (d.workload.prompt_tokens, d.target.tpot), everywhere, (right, up)
    )
    rows, columns = (
        np.unique(np.linspace(0, len(axis) - 1, ANCHORS).round().astype(int))
        for axis in (tpots, prompts)
    )
    anchors = (rows[:, None] * len(prompts) + columns[None]).ravel()
    frame = pd.DataFrame({"prompt_tokens": right, "tpot_s": up})
    return frame, *_filled_in(case, charged, everywhere, anchors)


def _filled_in(
    case: Case, charged: Charges, demand: Demand, anchors: Int[np.ndarray, " anchors"]
) -> tuple[Case, Alone]:
    sparse = asked(case, rows_of(demand, anchors))
    first = leading(sparse, request_costs(sparse, charged))
    if not len(first):
        # Nothing serves anything at the places looked at.
        first = np.arange(len(case.options.names))
    there = asked(kept(case, first), demand)
    standing = replace(charged, standing=charged.standing[first])
    return there, alone(there, standing)


def held_by(case: Case, plan: Plan) -> tuple[str, ...]:
    """What keeps each filling in use from being fuller.

    Args:
        case: the problem.
        plan: its fleet.

    Returns:
        For each of its columns: "ttft", "tpot", "memory" (or, of prompts, the time there is), or
        "slope" where fuller would be no cheaper.
    """
    columns, found = plan.columns, []
    for at in range(len(columns)):
        role = case.options.names[columns.engine[at]].role
        engine, demand = (
            jax.tree.map(lambda leaf, row=row: jnp.asarray(np.asarray(leaf)[row]), records)
            for records, row in (
                (case.options.engines, columns.engine[at]),
                (case.options.demand, columns.bucket[at]),
            )
        )
        target, share = demand.target, SHARES[role]
        near = {
            "ttft": float(columns.ttft[at] / (share * target.ttft)),
            "tpot": float(columns.tpot[at] / target.tpot),
            "memory": float(columns.filling[at] / room(case.options.llm, engine, demand, role)),
        }
        nearest = max(near, key=lambda name: near[name])
        found.append(nearest if near[nearest] >= 1.0 - HELD else "slope")
    return tuple(found)


def course(
    case: Case, charged: Charges, engine: int, bucket: int, region: int = 0
) -> tuple[pd.DataFrame, Mapping[str, float]]:
    """One engine and one bucket from an instance that hardly works to one that is full.

    Args:
        case: the problem.
        charged: for what.
        engine: its place among the options.
        bucket: its place in the description.
        region: its place in the description.

    Returns:
        Columns `filling`, `cost` of a request and its `slope` by the filling's logarithm, `tpot_s`
        and `ttft_s` at the promised quantile; and the fillings at which something ends: `ttft` and
        `tpot`, if the limit is reached within memory, `memory`, `flat`, where the slope vanishes if
        it does, and `best`, where the cost is least within the limits.
    """
    role = case.options.names[engine].role
    one, demand = (
        jax.tree.map(lambda leaf, at=at: jnp.asarray(np.asarray(leaf)[at]), records)
        for records, at in ((case.options.engines, engine), (case.options.demand, bucket))
    )
    prices = tuple(
        jnp.asarray(value)
        for value in (
            charged.standing[engine, region],
            charged.joule[region],
            charged.second,
            charged.quality * case.options.quality[engine],
        )
    )
    found = pd.DataFrame(
        {
            name: np.asarray(values)
            for name, values in _course(case.options.llm, role, one, demand, prices).items()
        }
    )
    place = np.log(found["filling"].to_numpy())
    slope = (found["slope"] / found["cost"]).to_numpy().copy()
    # At the last place memory is full: a kink, between whose two slopes rounding would choose.
    slope[-1] = slope[-2]
    limits = {
        "ttft": np.log(found["ttft_s"] / (SHARES[role] * float(demand.target.ttft))),
        "tpot": np.log(np.maximum(found["tpot_s"], 1e-12) / float(demand.target.tpot)),
        "flat": slope,
    }
    ends = {
        name: end
        for name, over in limits.items()
        if np.isfinite(end := _crossing(place, np.asarray(over)))
    }
    ends["memory"] = float(found["filling"].iloc[-1])
    ends["best"] = min(ends.values())
    return found, ends


def _crossing(place: np.ndarray, over: np.ndarray) -> float:
    """Where a function that was negative is so no longer; infinite if it never is."""
    if over[0] >= 0.0:
        return float(np.exp(place[0]))
    beyond = np.flatnonzero(over >= 0.0)
    if not len(beyond):
        return float(np.inf)
    at = slice(beyond[0] - 1, beyond[0] + 1)
    return float(np.exp(np.interp(0.0, over[at], place[at])))


@interpreted
def _course(
    llm: LLM, role: Role, engine: Engine, demand: Demand, prices: tuple[Scalar, ...]
) -> dict[str, Scalar]:
    standing, joule, second, lost = prices
    most = room(llm, engine, demand, role)
    least = 0.05 if role == "prefill" else 0.5

    def cost(log_filling: Scalar) -> tuple[Scalar, tuple[Scalar, Scalar]]:
        taken = flow(llm, engine, demand, jnp.exp(log_filling), role)
        total = standing * taken.time + joule * taken.energy + second * taken.latency + lost
        return total, (taken.tpot, taken.ttft)

    def at(log_filling: Scalar) -> dict[str, Scalar]:
        (value, (tpot, ttft)), slope = jax.value_and_grad(cost, has_aux=True)(log_filling)
        return {
            "filling": jnp.exp(log_filling),
            "cost": value,
            "slope": slope,
            "tpot_s": tpot,
            "ttft_s": ttft,
        }

    logs = jnp.linspace(jnp.log(least), jnp.log(jnp.maximum(most, 2.0 * least)), POINTS)
    found: dict[str, Scalar] = jax.vmap(at)(logs)
    return found
