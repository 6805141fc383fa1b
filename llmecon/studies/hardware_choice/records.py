"""The case of fleets that were chosen: their engines, fillings and shares as records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.choice.candidates import rows_of
from llmecon.choice.columns import Columns, pools_of
from llmecon.choice.description import RESOURCES
from llmecon.choice.filling import Demand, Engine, Role, fullest
from llmecon.choice.fleets import Plan
from llmecon.choice.objective import Case as Posed
from llmecon.choice.sensitivity import NEAR
from llmecon.execution.interpreter import interpreted
from llmecon.specs import LLM
from llmecon.studies.hardware_choice.model import Case, Work

LEAST_ROWS = 8
"""Rows for a role at least: most fleets then have one shape, and are traced once."""

USD, CARBON, WATER, METER = (RESOURCES.index(name) for name in ("usd", "kg_co2e", "litre", "joule"))


@dataclass(frozen=True)
class Chosen:
    """A fleet that was chosen.

    Attributes:
        columns: its fillings.
        served: requests per second that each gets.
        bought: whole instances that stand for each; None where they may be parts.
        prices: of the fleet's limits, as a plan has them; where they are charged.
        relieved: whether what the limits are worth is taken off again.
    """

    columns: Columns
    served: np.ndarray
    bought: np.ndarray | None = None
    prices: Mapping[str, float] | None = None
    relieved: bool = False


def whole(plan: Plan) -> Chosen:
    """A fleet of whole instances as it was chosen.

    Args:
        plan: as `choice.rounded` finds it; a pool's instances stand for its fillings in proportion
            to the time that these take.
    """
    columns = plan.columns
    work = columns.time * plan.served
    _, place = pools_of(columns)
    instances = np.array([pool.instances for pool in plan.pools])
    of_pool = np.bincount(place, work, len(instances))
    bought = instances[place] * work / of_pool[place]
    return Chosen(columns, plan.served, bought)


def case(posed: Posed, fleets: Mapping[str, Chosen], budget: float, power: float) -> Case:
    """The case of some fleets.

    Args:
        posed: the problem that they solve.
        fleets: by name.
        budget: most money to be had, USD/s; 0 for no limit.
        power: most power to be had at the meter, W; likewise.

    Returns:
        A row for every filling in use, by role.
    """
    names = tuple(fleets)
    columns = [of.columns for of in fleets.values()]
    every = columns[0].joined(*columns[1:])
    fleet = np.repeat(np.arange(len(names)), [len(of) for of in columns])
    served = np.concatenate([of.served for of in fleets.values()])
    bought = np.concatenate(
        [np.zeros(len(of.served)) if of.bought is None else of.bought for of in fleets.values()]
    )
    is_whole = np.array([of.bought is not None for of in fleets.values()], float)[fleet]
    # Only fleets in parts are differentiated with the limits on their latency.
    relieved = np.array([of.relieved for of in fleets.values()])[fleet]
    last = posed.options.fillings[every.engine, every.bucket, -1]
    follows = relieved & (every.filling >= last * (1.0 - NEAR))
    rows = _Rows(every, served, bought, is_whole, follows, fleet)
    roles = np.array([of.role for of in posed.options.names])
    spares = {role: _spare(posed, role) for role in dict.fromkeys(roles.tolist())}
    work = tuple(
        _work(posed, role, spare, rows, np.flatnonzero(roles[every.engine] == role))
        for role, spare in spares.items()
        if spare is not None
    )

    def worth(limit: str) -> Float[np.ndarray, " fleets"]:
        return np.array([(of.prices or {}).get(limit, 0.0) for of in fleets.values()])

    return Case(
        llm=posed.options.llm,
        demand=jax.tree.map(jnp.asarray, posed.options.demand),
        work=work,
        rates=posed.options.rates,
        carbon_price=posed.weights[CARBON],
        budget=budget,
        power=power,
        budget_worth=worth("usd"),
        power_worth=worth("joule"),
        relief=np.array([float(of.relieved) for of in fleets.values()]),
        fleets=names,
    )


@dataclass(frozen=True)
class _Rows:
    """All fillings in use; whether each follows a limit; and the fleet of each."""

    columns: Columns
    served: np.ndarray
    bought: np.ndarray
    whole: np.ndarray
    follows: np.ndarray
    fleet: np.ndarray


def _work(posed: Posed, role: Role, spare: tuple[int, int], every: _Rows, rows: np.ndarray) -> Work:
    """What the engines of one role do, filled up with rows of no fleet to a power of two.

    Args:
        posed: the problem.
        role: of the engines.
        spare: an engine and a size of request for rows that stand for nothing.
        every: all rows.
        rows: those of the role.
    """
    count = max(LEAST_ROWS, 1 << max(len(rows) - 1, 0).bit_length())
    stands = np.arange(count) < len(rows)

    def padded(values: Any, otherwise: Any) -> np.ndarray:
        found = np.full(count, otherwise, float)
        found[stands] = np.asarray(values)[rows]
        return found

    engine = padded(every.columns.engine, spare[0]).astype(int)
    size = padded(every.columns.bucket, spare[1]).astype(int)
    region = padded(every.columns.region, 0).astype(int)
    filling = padded(every.columns.filling, posed.options.fillings[(*spare, -1)])
    engines: Engine = rows_of(posed.options.engines, engine)
    asked: Demand = rows_of(posed.options.demand, size)
    devices = np.array([posed.options.names[of].devices for of in engine], float)
    capital = posed.options.capital[engine, region]
    per_joule = posed.options.per_joule[region]
    return Work(
        engine=jax.tree.map(jnp.asarray, engines),
        share=padded(every.served / posed.options.rates[every.columns.bucket], 0.0),
        filling=filling,
        fullest=_fullest(posed.options.llm, role, engines, asked),
        bought=padded(every.bought, 0.0),
        whole=padded(every.whole, 0.0),
        rent=capital[:, USD] / devices,
        made=capital[:, CARBON] / devices,
        carbon=per_joule[:, CARBON],
        water=per_joule[:, WATER],
        pue=per_joule[:, METER],
        follows=padded(every.follows, 0.0),
        size=size.astype(float),
        fleet=padded(every.fleet, -1.0),
        role=role,
    )


def _spare(posed: Posed, role: Role) -> tuple[int, int] | None:
    """An engine of a role and a size of request that it can serve; None if there is neither."""
    of_role = np.array([of.role == role for of in posed.options.names])
    able = of_role[:, None] & np.isfinite(posed.options.fillings[..., -1])
    places = np.argwhere(able)
    return (int(places[0, 0]), int(places[0, 1])) if len(places) else None


@interpreted
def _fullest(llm: LLM, role: Role, engines: Engine, demand: Demand) -> Float[Array, " rows"]:
    """The fullest that each engine may be kept for its requests."""
    found: Float[Array, " rows"] = jax.vmap(
        lambda engine, asked: fullest(llm, engine, asked, role)
    )(engines, demand)
    return found
