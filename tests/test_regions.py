"""Hours of UTC, and the way between regions."""

import math

import numpy as np
import pytest

from llmecon import catalog, inventory, regions
from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH


def test_eight_grids_have_hours() -> None:
    assert sorted(regions.with_hours()) == [
        "us-az", "us-ca", "us-ga", "us-ia", "us-ny", "us-tx", "us-va", "us-wa",
    ]  # fmt: skip


@pytest.mark.parametrize("grid", regions.with_hours())
def test_hours_have_the_level_of_the_grid_and_the_shape_of_the_authority(grid: str) -> None:
    found = np.asarray(regions.hourly(grid))
    level = catalog.row("grid", grid)["g_co2e_per_kwh"] / 1000 / JOULES_PER_KWH
    assert found.mean() == pytest.approx(level, rel=1e-12)
    local = np.asarray(inventory.hourly_ratios(grid))
    assert sorted(found / level) == pytest.approx(sorted(local / local.mean()))


def test_noon_in_california_is_eight_in_the_evening_of_utc() -> None:
    """12 o'clock local standard time is the cleanest hour there; it is 20 o'clock UTC."""
    assert np.argmin(inventory.hourly_ratios("us-ca")) == 12
    assert np.argmin(regions.hourly("us-ca")) == 20


def test_offsets_are_those_of_standard_time() -> None:
    offsets = catalog.table("hourly_carbon").groupby("grid")["utc_offset_h"].first()
    assert offsets.to_dict() == {
        "us-wa": -8, "us-ca": -8, "us-az": -7, "us-tx": -6, "us-ia": -6,
        "us-ga": -5, "us-ny": -5, "us-va": -5,
    }  # fmt: skip


def test_the_sun_stands_highest_at_the_offsets_noon() -> None:
    """Grids with sun: the middle of their clean hours lies within an hour of the sun's noon."""
    for grid, longitude in {"us-ca": -119.0, "us-ga": -84.0}.items():
        found = np.asarray(regions.hourly(grid))
        # As a centre of mass on the circle, of what lies below the day's mean.
        below = np.maximum(found.mean() - found, 0)
        angles = 2 * np.pi * np.arange(24) / 24
        centre = np.angle(below @ np.exp(1j * angles)) * 24 / (2 * np.pi) % 24
        assert centre == pytest.approx(12 - longitude / 15, abs=1.0), grid


def test_grids_without_hours_are_refused() -> None:
    with pytest.raises(InputError, match="no hours are known of 'deu'"):
        regions.hourly("deu")


@pytest.mark.parametrize(
    ("home", "other", "path"),
    [
        ("us-va", "us-wa", "regional-cloud"),
        ("us-va", "us-va", "regional-cloud"),
        ("us-va", "usa", "regional-cloud"),
        ("egrid-rfcm", "us-mida-pjm", "regional-cloud"),
        ("ca-quebec", "ca-ontario", "regional-cloud"),
        ("no1", "nor", "regional-cloud"),
        ("gcp-us-east4", "us-ca", "regional-cloud"),
        ("us-va", "ca-quebec", "far-cloud"),
        ("deu", "fra", "far-cloud"),
        ("usa", "swe", "far-cloud"),
    ],
)
def test_countries_decide_how_far_regions_are(home: str, other: str, path: str) -> None:
    of = catalog.row("network_paths", path)
    for found in (regions.round_trip(home, other), regions.round_trip(other, home)):
        assert found.low == of["round_trip_low_s"]
        assert found.high == of["round_trip_high_s"]
        assert found.middle == pytest.approx(math.sqrt(found.low * found.high))


@pytest.mark.parametrize("grid", ["wor", "src-gas", "gcp-europe-north1"])
def test_what_lies_in_no_country_is_refused(grid: str) -> None:
    with pytest.raises(InputError, match="lies in no single country"):
        regions.round_trip("us-va", grid)


def test_unknown_grids_are_refused() -> None:
    with pytest.raises(InputError, match="nearest"):
        regions.round_trip("us-va", "us-vq")


def test_every_part_of_a_country_is_known() -> None:
    """All but sources of electricity, the world and regions of a cloud."""
    for grid in catalog.ids("grid"):
        if not grid.startswith(("src-", "gcp-")) and grid != "wor":
            regions.round_trip(grid, grid)
