"""Grids by the hour of UTC, and the way from one to another, looked up in the tables."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import catalog
from llmecon.errors import InputError
from llmecon.inventory import hourly_ratios

# Ids of grids begin with their country, some with two letters of it.
_COUNTRIES = {
    "ae": "are",
    "au": "aus",
    "br": "bra",
    "ca": "can",
    "de": "deu",
    "egrid": "usa",
    "fi": "fin",
    "fr": "fra",
    "ie": "irl",
    "in": "ind",
    "jp": "jpn",
    "no": "nor",
    "se": "swe",
    "sg": "sgp",
    "us": "usa",
    "za": "zaf",
}


class RoundTrip(NamedTuple):
    """A range of typical round trips.

    Attributes:
        low: s.
        middle: geometric mean of both ends, s.
        high: s.
    """

    low: float
    middle: float
    high: float


def with_hours() -> list[str]:
    """The grids whose hours are known: ids of grid.csv, in the order of the table."""
    return list(dict.fromkeys(str(of) for of in catalog.table("hourly_carbon")["grid"]))


def hourly(grid: str) -> Float[Array, " hours"]:
    """A grid's carbon intensity by hour of UTC, mean of a year.

    Its level is that of the grid, its shape that of the authority that represents the grid best.

    Args:
        grid: id of a grid of the table hourly_carbon.

    Returns:
        24 intensities, kg CO2e/J, whose mean is the grid's intensity; the first is that of the hour
        0 UTC [EIA930].

    Raises:
        InputError: no hours are known of this grid; the message names those that are.
    """
    ratios = hourly_ratios(grid)
    table = catalog.table("hourly_carbon")
    offset = int(table.loc[table["grid"] == grid, "utc_offset_h"].iloc[0])
    level = catalog.site(grid).carbon_intensity
    return level * jnp.roll(ratios / jnp.mean(ratios), -offset)


def round_trip(home: str, other: str) -> RoundTrip:
    """The way from users in one region to a data centre in another, without their access network.

    Coarse, because the table knows two distances only: within a country counts as regional, however
    large the country (the regional range was measured within Europe; across North America it is up
    to 72 ms), and between countries as far, even if they are neighbours.

    Args:
        home: id of grid.csv where the users are.
        other: id of grid.csv where the data centre is; may be the same.

    Returns:
        Seconds there and back [AzureLatency].

    Raises:
        InputError: no such grid, or one that lies in no single country.
    """
    near = _country(home) == _country(other)
    path = catalog.row("network_paths", "regional-cloud" if near else "far-cloud")
    low, high = float(path["round_trip_low_s"]), float(path["round_trip_high_s"])
    return RoundTrip(low=low, middle=math.sqrt(low * high), high=high)


def _country(grid: str) -> str:
    catalog.require("grid", grid)
    start = grid.removeprefix("gcp-").partition("-")[0].rstrip("0123456789")
    country = _COUNTRIES.get(start, start)
    known = catalog.table("grid").query("level == 'country'")["id"]
    if country not in set(known):
        raise InputError(f"{grid!r} lies in no single country; use a country or a part of one")
    return country
