"""What instances take of each resource as long as they stand, and by the energy that they draw.

Rented machines cost their rent, electricity included; bought ones what it takes to own them. Making
them emits carbon over their life, and their electricity carbon and water where they stand.
"""

from collections.abc import Sequence
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from llmecon.choice.description import RESOURCES, Problem, Region
from llmecon.choice.filling import Engine, EngineName
from llmecon.costs.carbon import intensity
from llmecon.costs.economics import Ownership, hosting_rate, ownership_cost
from llmecon.costs.embodied import manufacture
from llmecon.errors import InputError
from llmecon.evidence import sourcing
from llmecon.specs import SECONDS_PER_HOUR, SECONDS_PER_YEAR
from llmecon.tables import catalog, hardware_parts


def offered(problem: Problem) -> tuple[str, ...]:
    """Ids of the accelerators that a description chooses from: those whose price is known.

    Args:
        problem: the description.

    Returns:
        Ids, in the description's order or the catalogue's.

    Raises:
        InputError: an accelerator that it names has no known price, or none has.
    """
    named = problem.choices.xpus or catalog.ids("xpus")
    priced = tuple(xpu for xpu in named if price(problem, xpu) is not None)
    missing = [xpu for xpu in problem.choices.xpus if xpu not in priced]
    if missing:
        buying = problem.owned is not None
        raise InputError(
            f"no price is known for {'buying' if buying else 'renting'} {', '.join(missing)}; "
            + ("leave it out" if buying else "give one under choices.usd_per_hour")
        )
    return priced


def price(problem: Problem, xpu: str) -> float | None:
    """What an accelerator costs, where that is known.

    Args:
        problem: the description.
        xpu: id of the accelerator.

    Returns:
        USD per device: to buy if machines are owned, else per hour.
    """
    if problem.owned is not None:
        bought = catalog.purchase_price(xpu)
        return None if bought is None else bought.usd
    if xpu in problem.choices.usd_per_hour:
        return problem.choices.usd_per_hour[xpu]
    rented = catalog.rental_price(xpu)
    return None if rented is None else rented.usd


def behind(problem: Problem, xpu: str) -> sourcing.Evidence:
    """What a choice of an accelerator rests on.

    Args:
        problem: the description; a price that it gives needs no source.
        xpu: id of the accelerator.

    Returns:
        What of it was read in a source, and what was measured.
    """
    if problem.owned is not None:
        return sourcing.bought(xpu)
    return sourcing.behind(xpu, given=xpu in problem.choices.usd_per_hour)


def per_joule(problem: Problem) -> Float[np.ndarray, "regions resources"]:
    """What a joule of servers' energy takes of each resource.

    Args:
        problem: the description.

    Returns:
        By region, in the order of `RESOURCES`.
    """
    owned = problem.owned is not None
    return np.array([_drawn_at(region, problem.basis, owned) for region in problem.choices.regions])


@cache
def _drawn_at(region: Region, basis: str, owned: bool) -> tuple[float, ...]:
    """What a joule of servers' energy takes of each resource in one place."""
    site = catalog.site(region.grid, pue=region.pue, usd_per_kwh=region.usd_per_kwh)
    # Rent includes electricity.
    paid = float(site.pue * site.electricity_price) if owned else 0.0
    carbon = float(site.pue * intensity(site, basis))
    water = float(site.water_on_site + site.pue * site.water_off_site)
    return (paid, carbon, water, float(site.pue), 0.0, 0.0)


def capital(
    problem: Problem, names: Sequence[EngineName], engines: Engine
) -> Float[np.ndarray, "engines regions resources"]:
    """What an instance takes of each resource per second, whether or not it draws power.

    Args:
        problem: the description.
        names: of the engines.
        engines: the same, stacked.

    Returns:
        Money and manufacture; the other resources are taken by energy and requests.
    """
    kinds = {of.xpu for of in names}
    made = {xpu: _made(xpu) for xpu in kinds}
    life = problem.hardware_years * SECONDS_PER_YEAR
    devices = np.array([of.devices for of in names], float)
    taken = np.zeros((len(names), len(problem.choices.regions), len(RESOURCES)))
    taken[..., RESOURCES.index("usd")] = (devices * _device_cost(problem, names, engines))[:, None]
    taken[..., RESOURCES.index("kg_co2e")] = (
        devices * np.array([made[of.xpu] for of in names]) / life
    )[:, None]
    return taken


@cache
def _made(xpu: str) -> float:
    """Carbon of making an accelerator, kg CO2e."""
    return float(manufacture(hardware_parts.materials(xpu), hardware_parts.recipe()).total)


def _device_cost(
    problem: Problem, names: Sequence[EngineName], engines: Engine
) -> Float[np.ndarray, " engines"]:
    """USD per device and second, electricity of owned machines apart."""
    known = {xpu: price(problem, xpu) for xpu in {of.xpu for of in names}}
    prices = np.array([known[of.xpu] for of in names], float)
    if problem.owned is None:
        return prices / SECONDS_PER_HOUR
    of = problem.owned
    tdp = np.asarray(engines.xpu.tdp)
    rated = tdp * (1.0 + np.asarray(engines.efficiency.host_power))
    terms = Ownership(
        price=prices * of.server,
        lifetime=np.full_like(prices, of.years * SECONDS_PER_YEAR),
        discount_rate=np.full_like(prices, of.discount_rate),
        maintenance=np.full_like(prices, of.maintenance),
        hosting=np.full_like(prices, float(hosting_rate(jnp.asarray(of.usd_per_kw_month)))),
    )
    nowhere = catalog.site(problem.choices.regions[0].grid)
    power = jnp.asarray(rated)
    return np.asarray(ownership_cost(terms, power, 0.0 * power, nowhere).total)
