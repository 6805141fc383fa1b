"""The choice seen from above: one engine at every filling, each accelerator at every request.

Where limits are charged at their shadow prices and instances may be parts, every bucket goes to
whatever serves it for least. So what each accelerator could do alone is found bucket by bucket, and
a map of winners is a choice with a bucket for every place on it. Few engines win anywhere: those
that come first at a few places spread over the map are looked at everywhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from llmecon.choice import coarse_cost
from llmecon.options import (
    Demand,
    Engine,
    Role,
    changed,
    excess,
    flow,
    fullest,
    room,
    rows_of,
)
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import LLM, LatencyTarget
from llmecon.terms import Case, Charges

Scalar = Float[Array, "..."]

# Engines of an accelerator that are kept for each role and place looked at.
FEW = 2
POINTS = 160
# Places between which the map is filled in, along each of its sides.
ANCHORS = 4


@dataclass(frozen=True)
class Alone:
    """What a request costs on each accelerator, instances in parts, each at its best.

    Attributes:
        xpus: ids.
        whole: where an instance serves whole requests; infinite where none can.
        apart: where prompts and outputs have instances of their own; infinite likewise.
    """

    xpus: tuple[str, ...]
    whole: Float[np.ndarray, "xpus buckets"]
    apart: Float[np.ndarray, "xpus buckets"]

    @property
    def least(self) -> Float[np.ndarray, "xpus buckets"]:
        """The cheaper of both."""
        return np.minimum(self.whole, self.apart)


def kept(of: Case, engines: Int[np.ndarray, " engines"]) -> Case:
    """The same problem with some of its engines only.

    Args:
        of: the problem.
        engines: their places; one that is named twice is there twice.

    Returns:
        A problem that shares nothing with the first.
    """
    options = of.of
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
    return Case(chosen, of.weights, replace(of.limits, capital=of.limits.capital[engines]))


def asked(of: Case, demand: Demand) -> Case:
    """The same choice for other requests, one a second of each.

    Args:
        of: the problem.
        demand: buckets, stacked.

    Returns:
        A problem without limits on the fleet: those were for the requests that it had.
    """
    options = replace(of.of, rates=np.ones(len(np.asarray(demand.target.tpot))))
    limits = replace(
        of.limits,
        names=(),
        most=np.zeros(0),
        capital=of.limits.capital[:, :, :0],
        per_joule=of.limits.per_joule[:, :0],
        rest=of.limits.rest[:, :0],
    )
    return Case(changed(options, options.engines, demand), of.weights, limits)


def request_costs(of: Case, charged: Charges) -> Float[np.ndarray, "engines buckets"]:
    """What a request costs on each engine, at its best filling and in its best region.

    Args:
        of: the problem.
        charged: for what.

    Returns:
        Charges; infinite where the engine can't serve the bucket.
    """
    each = [coarse_cost(of, charged, bucket).min(axis=(1, 2)) for bucket in range(len(of.of.rates))]
    return np.stack(each, axis=1)


def alone(of: Case, charged: Charges) -> Alone:
    """What a request costs on each accelerator.

    Args:
        of: the problem.
        charged: for what.

    Returns:
        The least over engines of the accelerator, in one role or in two.
    """
    return by_xpu(of, request_costs(of, charged))


def by_xpu(of: Case, costs: Float[np.ndarray, "engines buckets"]) -> Alone:
    """The least cost of a request on each accelerator.

    Args:
        of: the problem.
        costs: of a request, or its phase, on each engine.

    Returns:
        The least over engines of the accelerator, in one role or in two.
    """
    ids = np.array([name.xpu for name in of.of.names])
    roles = np.array([name.role for name in of.of.names])
    xpus = tuple(dict.fromkeys(ids.tolist()))
    nothing = np.full(costs.shape[1], np.inf)
    whole, apart = [], []
    for xpu in xpus:
        here = ids == xpu
        whole.append(costs[here & (roles == "whole")].min(axis=0, initial=np.inf))
        ways = [nothing]
        for kind in np.unique(of.of.partners[here & (of.of.partners >= 0)]):
            phases = [
                costs[here & (of.of.partners == kind) & (roles == role)].min(axis=0, initial=np.inf)
                for role in ("prefill", "decode")
            ]
            ways.append(phases[0] + phases[1])
        apart.append(np.min(ways, axis=0))
    return Alone(xpus, np.stack(whole), np.stack(apart))


def leading(
    of: Case, costs: Float[np.ndarray, "engines buckets"], few: int = FEW
) -> Int[np.ndarray, " engines"]:
    """The engines of each accelerator and role that serve some bucket most cheaply.

    Args:
        of: the problem.
        costs: of a request on each engine.
        few: for each bucket.

    Returns:
        Their places, ascending.
    """
    kinds = pd.DataFrame(
        [(name.xpu, name.role, name.precision) for name in of.of.names],
        columns=["xpu", "role", "precision"],
    )
    first: set[int] = set()
    for places in kinds.groupby(["xpu", "role"]).indices.values():
        for bucket in range(costs.shape[1]):
            order = places[np.argsort(costs[places, bucket], kind="stable")[:few]]
            first |= {int(at) for at in order if np.isfinite(costs[at, bucket])}
    return np.array(sorted(first), dtype=int)


def along(of: Case, charged: Charges, demand: Demand) -> tuple[Case, Alone]:
    """Every accelerator at many sizes of requests and limits.

    Args:
        of: the problem that engines are taken from.
        charged: for what.
        demand: buckets, stacked, in an order in which neighbours are alike.

    Returns:
        The engines that were looked at, for those requests; and what a request costs.
    """
    count = len(np.asarray(demand.target.tpot))
    anchors = np.unique(np.linspace(0, count - 1, min(count, ANCHORS**2)).round().astype(int))
    return _filled_in(of, charged, demand, anchors)


def across(
    of: Case,
    charged: Charges,
    demand: Demand,
    prompts: Sequence[float],
    tpots: Sequence[float],
) -> tuple[pd.DataFrame, Case, Alone]:
    """Every accelerator over a map of prompt lengths and limits on the time per output token.

    Args:
        of: the problem that engines are taken from.
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
    return frame, *_filled_in(of, charged, everywhere, anchors)


def _filled_in(
    of: Case, charged: Charges, demand: Demand, anchors: Int[np.ndarray, " anchors"]
) -> tuple[Case, Alone]:
    sparse = asked(of, rows_of(demand, anchors))
    first = leading(sparse, request_costs(sparse, charged))
    if not len(first):
        # Nothing serves anything at the places looked at.
        first = np.arange(len(of.of.names))
    there = asked(kept(of, first), demand)
    standing = replace(charged, standing=charged.standing[first])
    return there, alone(there, standing)


def course(
    of: Case, charged: Charges, engine: int, bucket: int, region: int = 0
) -> tuple[pd.DataFrame, Mapping[str, float]]:
    """One engine and one bucket from an instance that hardly works to one that is full.

    Args:
        of: the problem.
        charged: for what.
        engine: its place among the options.
        bucket: its place in the description.
        region: its place in the description.

    Returns:
        Columns `filling`, `cost` of a request and its `slope` by the filling's logarithm, `tpot_s`
        and `ttft_s` at the promised quantile; and the fillings beyond which something does not
        hold: `ttft`, `tpot`, `memory`, and `fullest` for the first of these.
    """
    role = of.of.names[engine].role
    one, demand = (
        jax.tree.map(lambda leaf, at=at: jnp.asarray(np.asarray(leaf)[at]), records)
        for records, at in ((of.of.engines, engine), (of.of.demand, bucket))
    )
    prices = (
        jnp.asarray(charged.standing[engine, region]),
        jnp.asarray(charged.joule[region]),
        jnp.asarray(charged.second),
        jnp.asarray(charged.quality * of.of.quality[engine]),
    )
    found, ends = _course(of.of.llm, role, one, demand, prices)
    return (
        pd.DataFrame({name: np.asarray(values) for name, values in found.items()}),
        {name: float(end) for name, end in ends.items()},
    )


@eqx.filter_jit
def _course(
    llm: LLM,
    role: Role,
    engine: Engine,
    demand: Demand,
    prices: tuple[Scalar, Scalar, Scalar, Scalar],
) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    standing, joule, second, lost = prices
    most = room(llm, engine, demand, role)
    least = 0.05 if role == "prefill" else 0.5

    def cost(log_filling: Scalar) -> Scalar:
        taken = flow(llm, engine, demand, jnp.exp(log_filling), role)
        return standing * taken.time + joule * taken.energy + second * taken.latency + lost

    def at(log_filling: Scalar) -> dict[str, Scalar]:
        taken = flow(llm, engine, demand, jnp.exp(log_filling), role)
        value, slope = jax.value_and_grad(cost)(log_filling)
        return {
            "filling": jnp.exp(log_filling),
            "cost": value,
            "slope": slope,
            "tpot_s": taken.tpot,
            "ttft_s": taken.ttft,
        }

    logs = jnp.linspace(jnp.log(least), jnp.log(jnp.maximum(most, 2.0 * least)), POINTS)
    within = partial(fullest, llm, engine, role=role)
    never = jnp.asarray(1e9)
    ends = {
        "ttft": within(demand=_only(demand, demand.target.ttft, never)),
        "tpot": within(demand=_only(demand, never, demand.target.tpot)),
        "memory": most,
        "fullest": within(demand=demand),
    }
    able = excess(llm, engine, demand, jnp.asarray(MINIMUM_BATCH), role) <= 0.0
    ends["fullest"] = jnp.where(able, ends["fullest"], 0.0)
    return jax.vmap(at)(logs), ends


def _only(demand: Demand, ttft: Scalar, tpot: Scalar) -> Demand:
    """A demand with other limits."""
    target = LatencyTarget(ttft=ttft, tpot=tpot, quantile=demand.target.quantile)
    return Demand(demand.workload, target)
