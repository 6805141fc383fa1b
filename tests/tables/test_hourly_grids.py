"""Hours of UTC, and the way between regions."""

import ast
import math
from pathlib import Path

import nbformat
import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH
from llmecon.tables import catalog, hardware_parts, hourly_grids

STATES, ZONES = hourly_grids.with_hours("us-va"), hourly_grids.with_hours()


def test_grids_with_hours_come_by_kind() -> None:
    assert sorted(STATES) == [
        "us-az", "us-ca", "us-ga", "us-ia", "us-ny", "us-tx", "us-va", "us-wa",
    ]  # fmt: skip
    assert sorted(ZONES) == [
        "us-cal-ciso", "us-mida-pjm", "us-midw-miso", "us-nw-bpat", "us-tex-erco",
    ]  # fmt: skip
    for names in (STATES, ZONES):
        catalog.kind_of(*names)


@pytest.mark.parametrize("grid", [*STATES, *ZONES])
def test_hours_have_the_level_of_the_grid_and_the_shape_of_the_authority(grid: str) -> None:
    found = np.asarray(hourly_grids.hourly(grid))
    level = catalog.row("grid", grid)["g_co2e_per_kwh"] / 1000 / JOULES_PER_KWH
    assert found.mean() == pytest.approx(level, rel=1e-12)
    local = np.asarray(hardware_parts.hourly_ratios(grid))
    assert sorted(found / level) == pytest.approx(sorted(local / local.mean()))


def test_noon_in_california_is_eight_in_the_evening_of_utc() -> None:
    """12 o'clock local standard time is the cleanest hour there; it is 20 o'clock UTC."""
    assert np.argmin(hardware_parts.hourly_ratios("us-ca")) == 12
    assert np.argmin(hourly_grids.hourly("us-ca")) == 20


def test_offsets_are_those_of_standard_time() -> None:
    offsets = catalog.table("hourly_carbon").groupby("grid")["utc_offset_h"].first()
    assert offsets.to_dict() == {
        "us-wa": -8, "us-ca": -8, "us-az": -7, "us-tx": -6, "us-ia": -6,
        "us-ga": -5, "us-ny": -5, "us-va": -5,
    }  # fmt: skip


def test_the_sun_stands_highest_at_the_offsets_noon() -> None:
    """Grids with sun: the middle of their clean hours lies within an hour of the sun's noon."""
    for grid, longitude in {"us-ca": -119.0, "us-ga": -84.0}.items():
        found = np.asarray(hourly_grids.hourly(grid))
        # As a centre of mass on the circle, of what lies below the day's mean.
        below = np.maximum(found.mean() - found, 0)
        angles = 2 * np.pi * np.arange(24) / 24
        centre = np.angle(below @ np.exp(1j * angles)) * 24 / (2 * np.pi) % 24
        assert centre == pytest.approx(12 - longitude / 15, abs=1.0), grid


def test_grids_without_hours_are_refused() -> None:
    with pytest.raises(InputError, match="no hours are known of 'deu'"):
        hourly_grids.hourly("deu")


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
    for found in (hourly_grids.round_trip(home, other), hourly_grids.round_trip(other, home)):
        assert found.low == of["round_trip_low_s"]
        assert found.high == of["round_trip_high_s"]
        assert found.middle == pytest.approx(math.sqrt(found.low * found.high))


@pytest.mark.parametrize("grid", ["wor", "src-gas", "gcp-europe-north1"])
def test_what_lies_in_no_country_is_refused(grid: str) -> None:
    with pytest.raises(InputError, match="lies in no single country"):
        hourly_grids.round_trip("us-va", grid)


def test_unknown_grids_are_refused() -> None:
    with pytest.raises(InputError, match="nearest"):
        hourly_grids.round_trip("us-va", "us-vq")


def test_a_zone_has_the_hours_of_its_authority() -> None:
    np.testing.assert_array_equal(
        hardware_parts.hourly_ratios("us-mida-pjm"), hardware_parts.hourly_ratios("us-va")
    )


@pytest.mark.parametrize("grid", catalog.ids("grid"))
def test_comparisons_stay_within_a_kind_and_a_level(grid: str) -> None:
    frame = catalog.table("grid").query("preferred == 1").set_index("id")
    rows = frame.loc[hourly_grids.comparable(grid)].to_dict("records")
    own = frame.loc[grid]
    assert grid in hourly_grids.comparable(grid)
    for column in ("level", "basis", "boundary"):
        assert {of[column] for of in rows} == {own[column]}, column
    menu = hourly_grids.offered(grid)
    assert menu[0] == grid
    assert len(menu) == len(set(menu))
    assert set(menu) <= set(hourly_grids.comparable(grid))


def test_every_offered_grid_is_in_the_table() -> None:
    assert set(hourly_grids.OFFERED) <= set(catalog.ids("grid"))
    assert len(hourly_grids.offered("us-mida-pjm")) >= 10
    assert len(hourly_grids.offered("usa")) >= 10


def test_the_share_of_cleaner_grids_counts_those_of_its_own_kind() -> None:
    """Other zones below the 396 g of PJM; the dirtiest and the cleanest country."""
    frame = catalog.table("grid").query("level == 'grid-zone'").set_index("id")["g_co2e_per_kwh"]
    others = frame.drop("us-mida-pjm")
    expected = (others < frame["us-mida-pjm"]).sum() / len(others)
    assert hourly_grids.share_cleaner("us-mida-pjm") == pytest.approx(expected)
    assert hourly_grids.share_cleaner("kaz") == 1.0
    assert hourly_grids.share_cleaner("isl") == 0.0
    with pytest.raises(InputError, match="no other grid"):
        hourly_grids.share_cleaner("wor")


def test_every_part_of_a_country_is_known() -> None:
    """All but sources of electricity, the world and regions of a cloud."""
    for grid in catalog.ids("grid"):
        if not grid.startswith(("src-", "gcp-")) and grid != "wor":
            hourly_grids.round_trip(grid, grid)


NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def code_of(notebook: Path) -> list[ast.Module]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapters_compare_grids_of_one_kind(notebook: Path) -> None:
    """Grids listed in a chapter are of one kind; others come from `regions`, which keeps to one.

    A live panel's menus are checked again as they are stacked (`catalog.alike`).
    """
    known = set(catalog.ids("grid"))
    for tree in code_of(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = node.value.replace(",", " ").split()
                if len(named) > 1 and set(named) <= known:
                    catalog.kind_of(*named)
            if isinstance(node, ast.List | ast.Tuple | ast.Set):
                named = [of.value for of in node.elts if isinstance(of, ast.Constant)]
                if len(named) > 1 and set(named) <= known:
                    catalog.kind_of(*named)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapters_read_only_names_from_the_table_of_grids(notebook: Path) -> None:
    """Whatever else they ask of it, of all its rows at once, would mix kinds."""
    for tree in code_of(notebook):
        uses = ast.unparse(tree).count(".table('grid')")
        names = ast.unparse(tree).count(
            ".table('grid').drop_duplicates('id').set_index('id')['name']"
        )
        assert uses == names
