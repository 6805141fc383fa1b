"""Places to run machines: grids, data centres, their carbon, water and prices of electricity."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH, GridKind, Site
from llmecon.tables.catalog.rows import preferred, require, row, table, value_or

# What a change in demand is met from where nobody says, by what is counted: gas plants follow
# demand in most grids.
FOLLOWS_DEMAND: Mapping[str, str] = MappingProxyType(
    {"lifecycle": "src-gas", "direct": "src-gas-direct"}
)
WORLD = "wor"

DEFAULT_FACILITY = "aws-n-virginia"
"""The data centre that every chapter starts from, with its own grid and PUE."""

# Ids of grids begin with their country, some with two letters of it.
COUNTRIES: Mapping[str, str] = MappingProxyType(
    {
        "ae": "are",
        "at": "aut",
        "au": "aus",
        "be": "bel",
        "br": "bra",
        "ca": "can",
        "ch": "che",
        "cl": "chl",
        "de": "deu",
        "dk": "dnk",
        "egrid": "usa",
        "es": "esp",
        "fi": "fin",
        "fr": "fra",
        "gb": "gbr",
        "gr": "grc",
        "hk": "hkg",
        "id": "idn",
        "ie": "irl",
        "il": "isr",
        "in": "ind",
        "it": "ita",
        "jp": "jpn",
        "kr": "kor",
        "nl": "nld",
        "no": "nor",
        "nz": "nzl",
        "pl": "pol",
        "se": "swe",
        "sg": "sgp",
        "tw": "twn",
        "us": "usa",
        "za": "zaf",
    }
)


def kind_of(*grids: str) -> GridKind:
    """What the carbon intensities of some grids count.

    Args:
        *grids: ids of the table grid, at least one.

    Returns:
        The kind that all of them share.

    Raises:
        InputError: unknown grid, or grids of different kinds, which do not compare.
    """
    first, *others = grids
    kind = _kind(row("grid", first))
    for other in others:
        if (found := _kind(row("grid", other))) != kind:
            raise InputError(
                f"{first} and {other} do not compare: the one intensity is {kind}, the other "
                f"{found}; use grids of one kind (columns basis and boundary of data/grid.csv)"
            )
    return kind


def _kind(of: Mapping[str, Any]) -> GridKind:
    return GridKind(str(of["basis"]), str(of["boundary"]))


def country_of(grid: str) -> str | None:
    """The country that a grid lies in, as an id of the table grid; None if in no single one.

    Raises:
        InputError: unknown grid.
    """
    start = require("grid", grid).removeprefix("gcp-").partition("-")[0].rstrip("0123456789")
    country = COUNTRIES.get(start, start)
    frame = preferred("grid").set_index("id")["level"]
    return country if country in frame and frame[country] == "country" else None


def facility_grid(facility: str = DEFAULT_FACILITY) -> str:
    """The grid that feeds a data centre, as the source of its PUE has it.

    Args:
        facility: id of the table facilities.

    Returns:
        An id of the table grid.

    Raises:
        InputError: unknown facility, or one that stands in no single grid.
    """
    found = row("facilities", facility)["grid"]
    if not isinstance(found, str):
        raise InputError(f"{facility} stands in no single grid; name the grid that feeds it")
    return found


def facility_pue(facility: str = DEFAULT_FACILITY) -> float:
    """The PUE of a data centre, by default of the one that all chapters start from.

    Raises:
        InputError: unknown facility.
    """
    return float(row("facilities", facility)["pue"])


def electricity_price(grid: str) -> float | None:
    """What industrial customers pay on a grid, or else in its country, USD/kWh; None if unknown.

    Raises:
        InputError: unknown grid.
    """
    prices = table("electricity_prices").drop_duplicates("grid").set_index("grid")["usd_per_kwh"]
    nearest = (grid, country_of(grid) or grid)
    return next((float(prices[of]) for of in nearest if of in prices), None)


def site(
    grid: str | None = None,
    facility: str | None = None,
    pue: float = 1.0,
    usd_per_kwh: float = 0.0,
    marginal: str | None = None,
) -> Site:
    """A place to run machines.

    Args:
        grid: id of the region whose mix feeds the site; the facility's own (see `facility_grid`) by
            default.
        facility: id of a facility whose published PUE is used instead of `pue`, and whose contracts
            and cooling water are counted. Without one, or where it publishes none, its electricity
            counts as the grid's, and its cooling takes the median of what facilities publish.
        pue: facility energy over IT energy.
        usd_per_kwh: price of electricity.
        marginal: id of the row of the grid table that a change in demand is met from; gas plants by
            default, counted on the same basis as the grid.

    Raises:
        InputError: unknown grid or facility, or a marginal one counted on another basis.
    """
    of: Mapping[str, Any] = row("facilities", facility) if facility is not None else {}
    if grid is None:
        grid = facility_grid(facility or DEFAULT_FACILITY)
    average = row("grid", grid)["g_co2e_per_kwh"]
    kind = kind_of(grid)
    followed = row("grid", marginal or FOLLOWS_DEMAND[kind.basis])
    if followed["basis"] != kind.basis:
        raise InputError(f"marginal: {marginal} is counted on another basis than {grid}")
    contracts = isinstance(of.get("market_basis"), str)
    facilities = table("facilities")
    wue = value_or(of.get("wue_l_per_kwh"), float(facilities["wue_l_per_kwh"].median()))
    return Site(
        pue=of.get("pue", pue),
        carbon_intensity=average / 1000.0 / JOULES_PER_KWH,
        market_intensity=value_or(of.get("market_g_co2e_per_kwh"), average)
        / 1000.0
        / JOULES_PER_KWH,
        marginal_intensity=followed["g_co2e_per_kwh"] / 1000.0 / JOULES_PER_KWH,
        electricity_price=usd_per_kwh / JOULES_PER_KWH,
        water_on_site=wue / JOULES_PER_KWH,
        water_off_site=_plant_water(grid) / JOULES_PER_KWH,
        kind=kind,
        market_kind=GridKind(of["market_basis"], "contracts") if contracts else kind,
    )


@cache
def _plant_water(grid: str) -> float:
    """Litres that power plants consume per kWh: the region's, its country's or the world's."""
    frame = preferred("water")
    known = frame.dropna(subset="l_per_kwh").set_index("grid")["l_per_kwh"]
    return float(
        next(known[of] for of in (grid, country_of(grid) or WORLD, WORLD) if of in known.index)
    )
