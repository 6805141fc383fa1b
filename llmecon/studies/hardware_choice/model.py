"""What fleets cost and take: one function of a case, all of whose ids are resolved into records.

The search for the best fleet chooses engines, fillings, shares of requests and instances. The case
holds what was chosen, and `answer` says what that costs. The headline numbers, their elasticities,
the live panel and tests all call it. By the envelope theorem [Milgrom2002] its slopes at the best
fleet in parts are those of the least cost: what was chosen stays, but for fillings that a limit
holds, which follow their limit.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.choice.filling import (
    Demand,
    Engine,
    Role,
    excess,
    flow,
    fullest,
    resting_power,
    room,
)
from llmecon.specs import LLM, Number, number

Scalar = Float[Array, "..."]

MILLION = 1e6  # tokens that costs are told for

# A limit that binds is met to the last digits of a root search.
KEPT = 1e-6


class Work(eqx.Module):
    """What engines of one role do in the fleets, a row for every filling in use.

    Attributes:
        engine: accelerator, layout and what it attains.
        share: of the requests of its size that it serves.
        filling: as in `filling.flow`, as it was chosen.
        fullest: filling that limits allowed where it was chosen; read where fillings follow.
        bought: whole instances that stand for this row.
        whole: 1 where so many stand, 0 where as many parts as the work takes.
        rent: of a device, USD/s.
        made: making a device, over its life, kg CO2e/s.
        carbon: of a joule of servers' energy, kg CO2e.
        water: likewise, litres.
        pue: energy at the meter over that of servers.
        follows: 1 where a limit holds the filling, so that it follows that limit, else 0.
        size: place of the size of its requests in the case.
        fleet: place of its fleet; -1 for a row that stands for nothing, so that fleets of other
            fillings are rows of one shape.
        role: what the engines do of a request.
    """

    engine: Engine
    share: Number = number()
    filling: Number = number()
    fullest: Number = number()
    bought: Number = number()
    whole: Number = number()
    rent: Number = number()
    made: Number = number()
    carbon: Number = number()
    water: Number = number()
    pue: Number = number()
    follows: Number = number()
    size: Number = number()
    fleet: Number = number()
    role: Role = eqx.field(static=True, default="whole")


class Case(eqx.Module):
    """Fleets that were chosen, and all that their costs depend on.

    Attributes:
        llm: the model that is served.
        demand: sizes of requests and limits on their latency, stacked.
        rates: requests per second of each size.
        work: what engines do, by role.
        carbon_price: USD/kg CO2e.
        budget: most money to be had, USD/s.
        power: most power to be had at the meter, W.
        budget_worth: of a dollar more, by fleet, USD; 0 where no limit binds.
        power_worth: of a joule more, by fleet, USD; likewise.
        relief: 1 for fleets whose costs are told without what their limits are worth, else 0.
        fleets: their names.
    """

    llm: LLM
    demand: Demand
    work: tuple[Work, ...]
    rates: Number = number()
    carbon_price: Number = number()
    budget: Number = number()
    power: Number = number()
    budget_worth: Number = number()
    power_worth: Number = number()
    relief: Number = number()
    fleets: tuple[str, ...] = eqx.field(static=True, default=("only",))


class Answer(eqx.Module):
    """What each fleet costs and takes, by fleet.

    Attributes:
        able: 1 where all limits on latency can be kept and requests fit the context, else 0.
        cost: of what is minimised, USD/s.
        money: rent, USD/s.
        carbon: electricity and making of hardware, kg CO2e/s.
        water: litres/s.
        power: at the meter, W.
        tokens: of prompts and answers together, tokens/s.
    """

    able: Scalar
    cost: Scalar
    money: Scalar
    carbon: Scalar
    water: Scalar
    power: Scalar
    tokens: Scalar

    @property
    def usd_per_mtok(self) -> Scalar:
        """Cost of a million tokens, by fleet, USD."""
        return MILLION * self.cost / self.tokens


class _Row(eqx.Module):
    """What one row takes, per second; whether it keeps its limits."""

    able: Scalar
    money: Scalar
    made: Scalar
    carbon: Scalar
    water: Scalar
    power: Scalar


def answer(case: Case) -> Answer:
    """What each fleet costs and takes.

    Args:
        case: the fleets that were chosen and all that they depend on.

    Returns:
        Per second, by fleet.
    """
    count = len(case.fleets)
    rows = []
    for work in case.work:
        asked, rates = (_of_rows(of, work.size) for of in (case.demand, case.rates))
        rows.append(_served(case.llm, work, asked, rates))
    of = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *rows)
    fleet = jnp.concatenate([jnp.asarray(work.fleet) for work in case.work])
    places = jnp.arange(count)[:, None] == fleet[None, :]

    def total(leaf: Scalar) -> Scalar:
        return jnp.where(places, leaf, 0.0).sum(axis=1)

    money, carbon, power = total(of.money), total(of.made + of.carbon), total(of.power)
    limits = case.budget_worth * (money - case.relief * case.budget) + case.power_worth * (
        power - case.relief * case.power
    )
    asked = case.demand.workload
    tokens = jnp.sum(case.rates * (asked.prompt_tokens + asked.output_tokens))
    return Answer(
        able=jnp.where(places, of.able, 1.0).min(axis=1),
        cost=money + case.carbon_price * carbon + limits,
        money=money,
        carbon=carbon,
        water=total(of.water),
        power=power,
        tokens=tokens,
    )


def _of_rows(records: Any, size: Scalar) -> Any:
    """The record of the size of each row's requests, picked by a sum, which a page can do."""

    def chosen(leaf: Scalar) -> Scalar:
        here = size[:, None] == jnp.arange(len(leaf))[None, :]
        return jnp.where(here, leaf[None, :], 0.0).sum(axis=1)

    return jax.tree.map(chosen, records)


def _served(llm: LLM, work: Work, demand: Demand, rates: Scalar) -> _Row:
    """What every row takes."""
    role = work.role

    def one(row: Work, demand: Demand, rate: Scalar) -> _Row:
        moved = row.filling * fullest(llm, row.engine, demand, role) / row.fullest
        filling = jnp.where(row.follows > 0, moved, row.filling)
        taken = flow(llm, row.engine, demand, filling, role)
        served = rate * row.share
        instances = jnp.where(row.whole > 0, row.bought, served * taken.time)
        devices = instances * row.engine.deployment.xpus
        drawn = served * taken.energy + instances * resting_power(row.engine)
        asked = demand.workload
        able = (
            (room(llm, row.engine, demand, role) >= (0.5 if role == "prefill" else 1.0))
            & (excess(llm, row.engine, demand, filling, role) <= KEPT)
            & (asked.prompt_tokens + asked.output_tokens <= llm.context)
        )
        return _Row(
            able=jnp.where(able, 1.0, 0.0),
            money=devices * row.rent,
            made=devices * row.made,
            carbon=drawn * row.carbon,
            water=drawn * row.water,
            power=drawn * row.pue,
        )

    found: _Row = jax.vmap(one)(work, demand, rates)
    return found


BEST, PARTS, USUAL, SAFE = "best", "parts", "usual", "safe"
"""Fleets of the chapter: the best of whole instances, the best in parts, the usual accelerator
alone and the one that is recommended alone, both in parts."""


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told.

    Args:
        case: with the fleets of the chapter; without that of the usual accelerator where it can't
            serve everything alone.
    """
    return told(case.fleets, answer(case))


def told(fleets: tuple[str, ...], found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer; arguments as the case and its answer have them."""
    cost = dict(zip(fleets, found.usd_per_mtok, strict=True))
    said = {"usd_per_mtok": cost[BEST], "usd_per_mtok_parts": cost[PARTS]}
    if USUAL in cost:
        said |= {"usd_per_mtok_usual": cost[USUAL], "saving": 1.0 - cost[SAFE] / cost[USUAL]}
    return said


INPUTS = (
    "limits on TTFT",
    "limits on TPOT",
    "prompt lengths",
    "answer lengths",
    "arithmetic rate",
    "memory bandwidth",
    "memory",
    "links",
    "rated power",
    "requests a second",
    "rents",
    "power to be had",
    "budget",
)
"""Inputs whose elasticities a reader is shown; several fields that move together are one."""


def scaled(case: Case, by: Float[Array, " inputs"]) -> Case:
    """A case with everything in `INPUTS` multiplied; what was chosen stays.

    Args:
        case: the fleets.
        by: logarithms of the factors.
    """
    factor = dict(zip(INPUTS, jnp.exp(by), strict=True))
    asked, target = case.demand.workload, case.demand.target
    demand = Demand(
        replace(
            asked,
            prompt_tokens=asked.prompt_tokens * factor["prompt lengths"],
            output_tokens=asked.output_tokens * factor["answer lengths"],
        ),
        replace(
            target,
            ttft=target.ttft * factor["limits on TTFT"],
            tpot=target.tpot * factor["limits on TPOT"],
        ),
    )
    fields = {
        "arithmetic rate": ("bf16_flops", "fp8_flops", "fp4_flops"),
        "memory bandwidth": ("memory_bandwidth",),
        "memory": ("memory",),
        "links": ("link_bandwidth", "network_bandwidth"),
        "rated power": ("tdp",),
    }

    def moved(work: Work) -> Work:
        xpu = work.engine.xpu
        changed = {
            name: getattr(xpu, name) * factor[what]
            for what, names in fields.items()
            for name in names
        }
        engine = replace(work.engine, xpu=replace(xpu, **changed))
        return replace(work, engine=engine, rent=work.rent * factor["rents"])

    return replace(
        case,
        demand=demand,
        work=tuple(map(moved, case.work)),
        rates=case.rates * factor["requests a second"],
        power=case.power * factor["power to be had"],
        budget=case.budget * factor["budget"],
    )
