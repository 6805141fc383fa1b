"""Grids and data centres as sites."""

import pytest

from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH
from llmecon.tables import catalog


def test_site_converts_grams_per_kwh() -> None:
    grid = catalog.row("grid", "usa")
    site = catalog.site("usa", pue=1.1, usd_per_kwh=0.36)
    assert site.carbon_intensity * 3.6e6 * 1000.0 == pytest.approx(grid["g_co2e_per_kwh"])
    assert site.electricity_price == pytest.approx(1e-7)
    assert site.pue == pytest.approx(1.1)


def test_facility_brings_its_pue() -> None:
    assert catalog.site("usa", "google-fleet", pue=2.0).pue == pytest.approx(1.09)


def test_intensities_of_different_kinds_do_not_compare() -> None:
    """Virginia at the stack, PJM and the United States over the life cycle: three kinds."""
    assert catalog.kind_of("usa", "swe", "wor") == ("lifecycle", "production")
    assert catalog.kind_of("us-mida-pjm", "fr-zone") == ("lifecycle", "consumption")
    assert catalog.kind_of("us-va", "egrid-srvc") == ("direct", "production")
    for other in ("usa", "us-mida-pjm"):
        with pytest.raises(InputError, match=rf"us-va and {other} do not compare.*at the stack"):
            catalog.kind_of("us-va", other)
        with pytest.raises(InputError, match="do not compare"):
            catalog.stack([catalog.site("us-va"), catalog.site(other)])
    assert catalog.stack([catalog.site("usa"), catalog.site("swe")]).pue.shape == (2,)


@pytest.mark.parametrize("grid", catalog.ids("grid"))
def test_a_site_says_what_its_intensities_count(grid: str) -> None:
    of = catalog.site(grid)
    assert of.kind == of.market_kind == catalog.kind_of(grid)
    bought = catalog.site(grid, "google-fleet")
    assert bought.market_kind == ("direct", "contracts")
    follows = catalog.row("grid", catalog.FOLLOWS_DEMAND[of.kind.basis])
    assert follows["basis"] == of.kind.basis
    grams = float(of.marginal_intensity) * JOULES_PER_KWH * 1000.0
    assert grams == pytest.approx(follows["g_co2e_per_kwh"])


def test_marginal_plants_are_counted_as_their_grid_is() -> None:
    with pytest.raises(InputError, match="another basis"):
        catalog.site("us-va", marginal="src-coal")


def test_a_data_centres_grid_is_that_of_its_own_source() -> None:
    """N. Virginia's PUE, water and intensity all come from one row of one table."""
    here = catalog.site(facility=catalog.DEFAULT_FACILITY)
    grid = catalog.facility_grid()
    assert grid == "us-mida-pjm"
    assert catalog.site().kind == here.kind == ("lifecycle", "consumption")
    assert float(here.carbon_intensity) * JOULES_PER_KWH * 1000.0 == pytest.approx(396.25)
    facilities = catalog.table("facilities").set_index("id")
    for facility, of in facilities.dropna(subset="grid").iterrows():
        row = catalog.row("grid", catalog.facility_grid(str(facility)))
        assert of["source"] in row["source"].split(";"), facility
    assert float(here.pue) == catalog.facility_pue() == 1.15
    with pytest.raises(InputError, match="stands in no single grid"):
        catalog.site(facility="google-fleet")


def test_prices_of_electricity_stand_in_by_country() -> None:
    assert catalog.electricity_price("us-va") == pytest.approx(0.0892)
    assert catalog.electricity_price("us-mida-pjm") == catalog.electricity_price("usa")
    assert catalog.electricity_price("fra") is None
