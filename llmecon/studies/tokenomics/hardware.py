"""What an hour of an accelerator costs, rented or owned, as the catalogue has it."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import pandas as pd

from llmecon.costs import economics
from llmecon.costs.economics import Ownership
from llmecon.errors import InputError
from llmecon.specs import SECONDS_PER_HOUR, SECONDS_PER_YEAR, Site
from llmecon.studies.tokenomics.scenario import Scenario
from llmecon.tables import catalog
from llmecon.tables.catalog import Rent

# Terms of ownership that no table holds; each is an assumption, named among the chapter's sources.
COST_OF_CAPITAL = 0.10  # a year
MAINTENANCE = 0.05  # of the price, a year: staff, repairs, software
SERVER_MARKUP = 1.25  # a server over its accelerators, where no server's price is published
LIFETIME_YEARS = 5.0
FALLBACK_REGION = "usa"  # whose price of electricity holds where a grid has none of its own


@dataclass(frozen=True)
class Purchase:
    """What buying an accelerator takes.

    Attributes:
        usd: of a device and its share of server and network.
        said: where the price comes from, in words.
        source: bibliography keys of the price.
        checked: whether it was read there.
        rated_power: of a device and its share of the server, W.
    """

    usd: float
    said: str
    source: str
    checked: bool
    rated_power: float


@dataclass(frozen=True)
class Hours:
    """What an hour of every accelerator costs.

    Attributes:
        usd: by id, USD per device-hour: as given, else the catalogue's, else that of owning it.
        said: where the scenario's own comes from, in words.
        rentable: whether the scenario's own accelerator can be rented.
        listed: what the catalogue says of it; None where no rent is published.
        given: whether the reader gave its rent.
    """

    usd: Mapping[str, float]
    said: str
    rentable: bool
    listed: Rent | None
    given: bool


def power_region(grid: str) -> str:
    """The region whose price of electricity is a grid's: itself, its country, or the fallback."""
    known = set(catalog.table("electricity_prices")["grid"])
    country = catalog.country_of(grid) or FALLBACK_REGION
    return next((of for of in (grid, country) if of in known), FALLBACK_REGION)


def usd_per_kwh(grid: str) -> float:
    """The price of electricity of a grid's `power_region`."""
    prices = catalog.table("electricity_prices").set_index("grid")["usd_per_kwh"]
    return float(prices[power_region(grid)])


def site(grid: str) -> Site:
    """Where the machines stand if they are owned."""
    return catalog.site(grid, pue=catalog.facility_pue(), usd_per_kwh=usd_per_kwh(grid))


def colocation() -> float:
    """What space and power capacity cost, USD per kW and month."""
    return float(catalog.table("servers")["colocation_usd_per_kw_month"].median())


def purchase(xpu: str, host_power: float) -> Purchase | None:
    """What buying an accelerator takes: a published server, else the device and a markup.

    Args:
        xpu: id.
        host_power: of a device's share of the server, W; counted where no server's rating is known.

    Returns:
        None where no price is published.
    """
    rated = float(catalog.xpu(xpu).tdp) + host_power
    servers = catalog.table("servers")
    found = servers[(servers["xpu"] == xpu) & servers["server_price_usd"].notna()]
    if len(found):
        server = found.iloc[0]
        held = server["xpus_per_server"]
        return Purchase(
            usd=float(server["server_price_usd"] / held + server["network_share_usd_per_xpu"]),
            said=f"{server['name']}, {held} to the server, network included",
            source=str(server["source"]),
            checked=bool(server["checked"]),
            rated_power=rated
            if pd.isna(server["max_power_w"])
            else float(server["max_power_w"] / held),
        )
    bought = catalog.purchase_price(xpu)
    if bought is None:
        return None
    return Purchase(
        usd=bought.usd * SERVER_MARKUP,
        said=f"the device's {bought.label} price of {bought.month} and a quarter for its server",
        source=bought.source,
        checked=bought.checked,
        rated_power=rated,
    )


def ownership(bought: Purchase) -> Ownership:
    """The terms on which a bought device is owned."""
    return Ownership(
        price=bought.usd,
        lifetime=LIFETIME_YEARS * SECONDS_PER_YEAR,
        discount_rate=COST_OF_CAPITAL,
        maintenance=MAINTENANCE,
        hosting=economics.hosting_rate(jnp.asarray(colocation())),
    )


def hours(scenario: Scenario, bought: Purchase | None, host_power: float, place: Site) -> Hours:
    """What an hour of every accelerator costs.

    Args:
        scenario: its accelerator, and the rent that was given for it.
        bought: what buying it takes; None where it can't be bought.
        host_power: of a device's share of the server, W.
        place: where an owned one stands.

    Raises:
        InputError: the scenario's accelerator has neither rent nor price.
    """
    own, given = scenario.xpu, scenario.usd_per_xpu_hour
    rents = {xpu: catalog.rental_price(xpu) for xpu in catalog.ids("xpus")}
    usd = {xpu: rent.usd for xpu, rent in rents.items() if rent is not None}
    listed = rents[own]
    if given > 0:
        return Hours(usd | {own: given}, "as given", True, listed, True)
    if listed is not None:
        return Hours(usd, f"{listed.label}, {listed.month}", True, listed, False)
    if bought is None:
        raise InputError(
            f"neither a rent nor a price of {own} is in the catalogue: "
            "give its rent with usd_per_xpu_hour"
        )
    drawn = float(catalog.xpu(own).tdp) + host_power
    rated = jnp.asarray(bought.rated_power)
    cost = economics.ownership_cost(ownership(bought), rated, jnp.asarray(drawn), place)
    usd[own] = float(cost.total) * SECONDS_PER_HOUR
    said = "no rent is published; this is what owning one costs"
    return Hours(usd, said, False, None, False)
