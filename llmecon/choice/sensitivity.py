"""What limits are worth, and how the best fleet moves with everything that it rests on.

The slope of the least cost is that of the Lagrangian with fleet and multipliers held still (the
envelope theorem [Milgrom2002]), so it takes no second solution: a limit on latency is worth what a
little more of it lets the fullest instances save. How fleet and multipliers themselves move follows
from the conditions that they fulfil (the implicit function theorem): every filling is at its limit
or where the charge has no slope, every filling in use costs what its requests are worth, everything
is served, and the limits that bind are used up.

All of this holds for instances in parts and while the same fillings stay in use. `switch` says how
far that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.choice import Plan
from llmecon.choice.candidates import in_chunks, rows_of
from llmecon.choice.columns import Columns, pools_of, taken_of
from llmecon.choice.description import RESOURCES
from llmecon.choice.filling import Demand, Engine, Role, flow, fullest
from llmecon.choice.objective import Case, charges
from llmecon.execution.interpreter import interpreted
from llmecon.specs import LLM

Scalar = Float[Array, "..."]

INPUTS = (
    "ttft",
    "tpot",
    "prompt_tokens",
    "output_tokens",
    "flops",
    "bandwidth",
    "memory",
    "link",
    "tdp",
)
"""What requests and accelerators are scaled by, as a request's flow depends on it."""

# A filling this near to the fullest is held there by a limit.
NEAR = 1e-5
TOGETHER = 8
# Over which slopes are compared, on the log scale.
STEP = 1e-4


@dataclass(frozen=True)
class ShadowPrices:
    """What one more unit takes off the cost per second.

    Attributes:
        ttft: of a second of each bucket's limit.
        tpot: of a second of each bucket's limit.
        memory: of a byte in every device of an accelerator.
        bandwidth: of a byte/s in every device of an accelerator.
        flops: of a FLOP/s (bf16, other precisions in proportion) in every device of one.
        caps: of the fleet's limits: of a resource's unit per second, of a device.
    """

    ttft: tuple[float, ...]
    tpot: tuple[float, ...]
    memory: Mapping[str, float]
    bandwidth: Mapping[str, float]
    flops: Mapping[str, float]
    caps: Mapping[str, float]


def per_million_tokens(case: Case, per_second: float) -> float:
    """A cost per second as a cost per million tokens, prompts and answers together.

    Args:
        case: the problem.
        per_second: in the unit of what is minimised.

    Returns:
        In that unit.
    """
    asked = case.options.demand.workload
    tokens = np.asarray(asked.prompt_tokens) + np.asarray(asked.output_tokens)
    return 1e6 * per_second / float(case.options.rates @ tokens)


def scaled(engine: Engine, demand: Demand, by: Float[Array, " inputs"]) -> tuple[Engine, Demand]:
    """An engine and a demand with everything in `INPUTS` multiplied.

    Args:
        engine: accelerator and layout.
        demand: the request's size and limits.
        by: logarithms of the factors.

    Returns:
        Both, changed.
    """
    factor = dict(zip(INPUTS, jnp.exp(by), strict=True))
    xpu, workload, target = engine.xpu, demand.workload, demand.target
    engine = eqx.tree_at(
        lambda of: (
            of.xpu.bf16_flops,
            of.xpu.fp8_flops,
            of.xpu.fp4_flops,
            of.xpu.memory_bandwidth,
            of.xpu.memory,
            of.xpu.link_bandwidth,
            of.xpu.network_bandwidth,
            of.xpu.tdp,
        ),
        engine,
        (
            xpu.bf16_flops * factor["flops"],
            xpu.fp8_flops * factor["flops"],
            xpu.fp4_flops * factor["flops"],
            xpu.memory_bandwidth * factor["bandwidth"],
            xpu.memory * factor["memory"],
            xpu.link_bandwidth * factor["link"],
            xpu.network_bandwidth * factor["link"],
            xpu.tdp * factor["tdp"],
        ),
    )
    demand = eqx.tree_at(
        lambda of: (
            of.workload.prompt_tokens,
            of.workload.output_tokens,
            of.target.ttft,
            of.target.tpot,
        ),
        demand,
        (
            workload.prompt_tokens * factor["prompt_tokens"],
            workload.output_tokens * factor["output_tokens"],
            target.ttft * factor["ttft"],
            target.tpot * factor["tpot"],
        ),
    )
    return engine, demand


class _Local(eqx.Module):
    """How one filling's flow depends on its logarithm u and on the inputs.

    Attributes:
        slope: of time, energy and latency by u, then by every input.
        end: logarithm of the fullest filling.
        end_slope: of that by every input.
    """

    slope: Scalar
    end: Scalar
    end_slope: Scalar


def _taken(llm: LLM, role: Role, engine: Engine, demand: Demand, place: Scalar) -> Scalar:
    """Time, energy and latency at u and logarithms of factors on the inputs."""
    found = flow(llm, *scaled(engine, demand, place[1:]), jnp.exp(place[0]), role)
    return jnp.stack([found.time, found.energy, found.latency])


def _place(filling: Scalar) -> Scalar:
    return jnp.concatenate([jnp.log(filling)[None], jnp.zeros(len(INPUTS))])


@interpreted
def _local(llm: LLM, role: Role, engines: Engine, demand: Demand, fillings: Scalar) -> _Local:
    def one(engine: Engine, demand: Demand, filling: Scalar) -> _Local:
        def end(by: Scalar) -> Scalar:
            return jnp.log(fullest(llm, *scaled(engine, demand, by), role))

        taken = partial(_taken, llm, role, engine, demand)
        value, slope = jax.value_and_grad(end)(jnp.zeros(len(INPUTS)))
        return _Local(jax.jacrev(taken)(_place(filling)), value, slope)

    found: _Local = jax.vmap(one)(engines, demand, fillings)
    return found


@dataclass(frozen=True)
class _Terms:
    """Everything about the fillings in use that the conditions need, an array row a filling.

    Attributes:
        local: derivatives of flows.
        bend: of the charge's slope by the filling's logarithm: its slope by that, then by every
            input; 0 where the filling is held.
        held: whether the fullest filling holds it.
        weights: charges of time, energy and latency.
        by_input: of the charge, by every input, with the filling's own movement where it is held.
    """

    local: _Local
    bend: np.ndarray
    held: np.ndarray
    weights: np.ndarray
    by_input: np.ndarray


def _terms(case: Case, plan: Plan) -> _Terms:
    columns = plan.columns
    roles = np.array([name.role for name in case.options.names])[columns.engine]
    size, inputs = len(columns), len(INPUTS)
    shapes = ((3, 1 + inputs), (), (inputs,))
    local: Any = _Local(*(np.zeros((size, *shape)) for shape in shapes))  # type: ignore[arg-type]
    for role in dict.fromkeys(roles.tolist()):
        here = np.flatnonzero(roles == role)
        found = in_chunks(
            partial(_local, case.options.llm, role), TOGETHER, *_records(case, columns, here)
        )
        for whole, part in zip(jax.tree.leaves(local), jax.tree.leaves(found), strict=True):
            whole[here] = part
    charged = charges(case, case.weights, np.array(list(plan.prices.values())))
    weights = np.stack(
        [
            charged.standing[columns.engine, columns.region],
            charged.joule[columns.region],
            np.full(size, charged.second),
        ],
        axis=1,
    )
    by_input = np.einsum("kf,kfi->ki", weights, np.asarray(local.slope)[:, :, 1:])
    # Power at rest is in proportion to the rated power.
    tdp = INPUTS.index("tdp")
    by_input[:, tdp] += (
        columns.time * case.options.resting[columns.engine] * charged.joule[columns.region]
    )
    held = columns.filling >= np.exp(np.asarray(local.end)) * (1.0 - NEAR)
    along = np.einsum("kf,kf->k", weights, np.asarray(local.slope)[:, :, 0])
    by_input += np.where(held, along, 0.0)[:, None] * np.asarray(local.end_slope)
    # Slopes are exact; how they bend is their difference over a step, which saves the compiler
    # derivatives of derivatives.
    bend = np.zeros((size, 1 + inputs))
    for role in dict.fromkeys(roles.tolist()):
        free = np.flatnonzero((roles == role) & ~held)
        if len(free):
            engines, demand, fillings = _records(case, columns, free)
            beside = [
                in_chunks(
                    partial(_local, case.options.llm, role),
                    TOGETHER,
                    engines,
                    demand,
                    fillings * np.exp(step),
                ).slope
                for step in (STEP, -STEP)
            ]
            bend[free] = np.einsum("kf,kfi->ki", weights[free], beside[0] - beside[1]) / (2 * STEP)
    return _Terms(local, bend, held, weights, by_input)


def _records(
    case: Case, columns: Columns, rows: np.ndarray
) -> tuple[Engine, Demand, Float[np.ndarray, " rows"]]:
    return (
        rows_of(case.options.engines, columns.engine[rows]),
        rows_of(case.options.demand, columns.bucket[rows]),
        columns.filling[rows],
    )


def shadow_prices(case: Case, plan: Plan) -> ShadowPrices:
    """What limits and datasheets are worth to a fleet in parts.

    Args:
        case: the problem.
        plan: its best fleet in parts.

    Returns:
        Slopes of the least cost, by the envelope theorem.
    """
    terms, columns = _terms(case, plan), plan.columns
    gained = -plan.served[:, None] * terms.by_input

    def by_bucket(name: str) -> tuple[float, ...]:
        each = np.bincount(columns.bucket, gained[:, INPUTS.index(name)], len(case.options.rates))
        limit = np.asarray(getattr(case.options.demand.target, name))
        return tuple(map(float, each / limit))

    ids = np.array([case.options.names[engine].xpu for engine in columns.engine])

    def by_xpu(name: str, field: str) -> dict[str, float]:
        value = np.asarray(getattr(case.options.engines.xpu, field))[columns.engine]
        each = gained[:, INPUTS.index(name)] / value
        return {xpu: float(each[ids == xpu].sum()) for xpu in dict.fromkeys(ids.tolist())}

    return ShadowPrices(
        ttft=by_bucket("ttft"),
        tpot=by_bucket("tpot"),
        memory=by_xpu("memory", "memory"),
        bandwidth=by_xpu("bandwidth", "memory_bandwidth"),
        flops=by_xpu("flops", "bf16_flops"),
        caps=dict(plan.prices),
    )


def elasticities(case: Case, plan: Plan) -> pd.DataFrame:
    """By how many percent the best fleet in parts moves when an input grows by one.

    Args:
        case: the problem.
        plan: its best fleet in parts.

    Returns:
        A row an input: those of `INPUTS`, "rate" of all requests, "price" of instances, and every
        limit of the fleet that binds. Columns are the cost, and each pool's instances and fillings,
        named by their places. A fleet that is not the only best one has no such slopes: they are
        then those of the least movement.
    """
    terms, columns = _terms(case, plan), plan.columns
    local, size = terms.local, len(columns)
    prices = np.array(list(plan.prices.values()))
    binding = np.flatnonzero(prices > 0.0)
    rows = [*INPUTS, "rate", "price", *(case.limits.names[k] for k in binding)]
    asked = np.flatnonzero(case.options.rates > 0.0)
    partners = case.options.partners[columns.engine, columns.region]
    prompt = np.array([name.role == "prefill" for name in case.options.names])[columns.engine]
    passing = sorted(
        {(int(c), int(p)) for c, p in zip(columns.bucket, partners, strict=True) if p >= 0}
    )

    # Rows of what a request of each filling counts for: served, passed on, limits.
    served = (columns.bucket[None] == asked[:, None]) & ~prompt
    passed = np.array(
        [
            np.where((columns.bucket == c) & (partners == p), np.where(prompt, 1.0, -1.0), 0.0)
            for c, p in passing
        ]
    ).reshape(len(passing), size)
    counts = np.concatenate([served.astype(float), passed])
    taken = taken_of(case, columns)[:, binding].T
    slope = np.asarray(local.slope)

    # How the charge, and what is taken of a limit, weigh time, energy and latency.
    resting = case.options.resting[columns.engine]
    per_joule = case.limits.per_joule[columns.region][:, binding]
    capital = case.limits.capital[columns.engine, columns.region][:, binding]
    weigh = np.stack(
        [
            capital + resting[:, None] * per_joule,
            per_joule,
            np.broadcast_to(case.limits.rest[0][binding], per_joule.shape),
        ],
        axis=2,
    )

    # Unknown: fillings, requests, prices of limits, worths.
    limits, worths = len(binding), len(counts)
    unknown = 2 * size + limits + worths
    system = np.zeros((unknown, unknown))
    right = np.zeros((unknown, len(rows)))
    u, x, p, w = np.split(np.arange(unknown), np.cumsum([size, size, limits]))
    inputs = slice(0, len(INPUTS))
    rate, money = rows.index("rate"), rows.index("price")

    standing_by_tdp = resting * terms.weights[:, 1]
    usd = RESOURCES.index("usd")
    money_weight = case.weights[usd] + sum(
        price for name, price in plan.prices.items() if name == "usd"
    )
    standing_by_money = case.options.capital[columns.engine, columns.region, usd] * money_weight
    tdp = INPUTS.index("tdp")
    for k in range(size):
        # A filling is where the charge has no slope, or where its limit is.
        if terms.held[k]:
            system[u[k], u[k]] = 1.0
            right[u[k], inputs] = np.asarray(local.end_slope)[k]
        else:
            system[u[k], u[k]] = terms.bend[k, 0]
            system[u[k], p] = weigh[k] @ slope[k, :, 0]
            right[u[k], inputs] = -terms.bend[k, 1:]
            right[u[k], tdp] -= standing_by_tdp[k] * slope[k, 0, 0]
            right[u[k], money] = -standing_by_money[k] * slope[k, 0, 0]
        # It costs what its requests are worth.
        system[x[k], u[k]] = terms.weights[k] @ slope[k, :, 0]
        system[x[k], p] = taken[:, k]
        system[x[k], w] = -counts[:, k]
        right[x[k], inputs] = -(terms.weights[k] @ slope[k, :, 1:])
        right[x[k], tdp] -= standing_by_tdp[k] * columns.time[k]
        right[x[k], money] = -standing_by_money[k] * columns.time[k]
    # What binds is used up.
    for row in range(limits):
        moved = np.einsum("kf,kfi->ki", weigh[:, row], slope)
        system[p[row], u] = plan.served * moved[:, 0]
        system[p[row], x] = taken[row]
        right[p[row], inputs] = -(plan.served @ moved[:, 1:])
        right[p[row], tdp] -= plan.served @ (columns.time * resting * per_joule[:, row])
        if case.limits.names[binding[row]] == "usd":
            right[p[row], money] = -(plan.served @ (columns.time * capital[:, row]))
        right[p[row], rows.index(case.limits.names[binding[row]])] = case.limits.most[binding[row]]
        if case.limits.names[binding[row]] in ("second", "quality"):
            # These are limits on a mean, so that more requests may take more of them.
            right[p[row], rate] += case.limits.most[binding[row]]
    # Everything is served.
    system[w[:, None], x[None, :]] = counts
    right[w[: len(asked)], rate] = case.options.rates[asked]

    scale = np.maximum(np.abs(system).max(axis=1), 1e-300)
    moves = np.linalg.lstsq(system / scale[:, None], right / scale[:, None], rcond=1e-13)[0]
    cost = np.concatenate(
        [
            plan.served @ terms.by_input,
            [float(case.options.rates @ np.array(plan.requests))],
            [float(plan.served @ (standing_by_money * columns.time))],
            -prices[binding] * case.limits.most[binding],
        ]
    )
    cost[rate] -= sum(
        plan.prices[name] * most
        for name, most in zip(case.limits.names, case.limits.most, strict=True)
        if name in ("second", "quality")
    )
    found = {"cost": cost / plan.cost}
    pools, place = pools_of(columns)
    time_by = slope[:, 0, :1] * moves[u]
    time_by[:, inputs] += slope[:, 0, 1:]
    change = moves[x] * columns.time[:, None] + plan.served[:, None] * time_by
    for at in range(len(pools)):
        here = place == at
        instances = float(plan.served[here] @ columns.time[here])
        found[f"instances {at}"] = change[here].sum(axis=0) / instances
    for k in range(size):
        found[f"filling {place[k]} for {columns.bucket[k]}"] = moves[u[k]]
    return pd.DataFrame(found, index=pd.Index(rows, name="input"))
