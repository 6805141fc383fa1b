"""Grids by the hour of UTC, and the way from one to another, looked up in the tables."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import pandas as pd
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.tables import catalog
from llmecon.tables.hardware_parts import hourly_ratios, hours_of

# What menus offer of each kind of grid: a spread of clean and dirty ones, near and far.
OFFERED = (
    "us-mida-pjm", "us-cal-ciso", "us-tex-erco", "us-midw-miso", "us-nw-bpat", "ca-qc", "gb-zone",
    "fr-zone", "de-zone", "se-zone", "pl-zone", "in-we", "jp-tk", "au-nsw", "br-cs", "usa", "fra",
    "deu", "gbr", "pol", "swe", "ind", "chn", "jpn", "aus", "bra", "us-va", "us-ca", "us-tx",
    "us-oh", "us-ia", "us-ga", "us-az", "us-wa", "us-wy", "egrid-us", "egrid-srvc", "egrid-camx",
    "egrid-erct", "egrid-mrow", "egrid-nwpp", "egrid-rfcw", "egrid-nyup", "gcp-us-central1",
    "gcp-us-east4", "gcp-us-west1", "gcp-europe-west9", "gcp-europe-central2", "gcp-asia-south1",
    "se3", "no1", "fi-zone", "ca-quebec", "ca-ontario", "ca-alberta",
)  # fmt: skip


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


def comparable(grid: str) -> list[str]:
    """The grids that a grid's carbon intensity may be compared with, itself among them.

    Args:
        grid: id of the table grid.

    Returns:
        Ids of the same kind (`catalog.kind_of`) and the same level, such as countries among
        countries, in the order of the table.

    Raises:
        InputError: unknown grid.
    """
    return list(_comparable(grid)["id"])


def offered(grid: str) -> list[str]:
    """What a menu of grids offers beside the one that is chosen.

    Args:
        grid: id of the table grid.

    Returns:
        The grid itself and a choice of those of its kind and level.

    Raises:
        InputError: unknown grid.
    """
    fit = set(comparable(grid))
    return [grid, *(other for other in OFFERED if other in fit and other != grid)]


def share_cleaner(grid: str) -> float:
    """The share of the other comparable grids whose electricity emits less.

    Args:
        grid: id of the table grid.

    Returns:
        0 to 1, of `comparable` grids without the grid itself.

    Raises:
        InputError: unknown grid, or nothing to compare it with.
    """
    levels = _comparable(grid).set_index("id")["g_co2e_per_kwh"]
    others = levels.drop(grid)
    if others.empty:
        raise InputError(f"no other grid of the table is counted as {grid} is")
    return float((others < levels[grid]).mean())


def _comparable(grid: str) -> pd.DataFrame:
    own = catalog.row("grid", grid)
    frame = catalog.table("grid")
    alike = frame["preferred"] == 1
    for column in ("level", "basis", "boundary"):
        alike &= frame[column] == own[column]
    return frame[alike]


def with_hours(like: str | None = None) -> list[str]:
    """The grids whose hours are known and whose levels compare.

    Args:
        like: id of a grid whose kind they have; by default the data centre's that chapters
            start from.

    Returns:
        Ids of the table grid, in the order of the table hourly_carbon.

    Raises:
        InputError: unknown grid.
    """
    kind = catalog.kind_of(like or catalog.facility_grid())
    table = catalog.table("hourly_carbon")
    known = dict.fromkeys([*table["zone"].dropna(), *table["grid"]])
    return [grid for grid in map(str, known) if catalog.kind_of(grid) == kind]


def hourly(grid: str) -> Float[Array, " hours"]:
    """A grid's carbon intensity by hour of UTC, mean of a year.

    Its level is that of the grid, its shape that of the authority that represents the grid best.

    Args:
        grid: id of a grid or a zone of the table hourly_carbon.

    Returns:
        24 intensities, kg CO2e/J, whose mean is the grid's intensity; the first is that of the hour
        0 UTC [EIA930].

    Raises:
        InputError: no hours are known of this grid; the message names those that are.
    """
    ratios = hourly_ratios(grid)
    offset = int(hours_of(grid)["utc_offset_h"].iloc[0])
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
    country = catalog.country_of(grid)
    if country is None:
        raise InputError(f"{grid!r} lies in no single country; use a country or a part of one")
    return country
