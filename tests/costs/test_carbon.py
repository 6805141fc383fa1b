"""Emissions and water: published splits, parts that sum, ways of accounting."""

import jax
import jax.numpy as jnp
import pytest

from llmecon.costs import carbon
from llmecon.errors import InputError
from llmecon.physics import energy
from llmecon.specs import JOULES_PER_KWH
from llmecon.tables import catalog
from tests.problems import SITE, changed, floats

WH = 3600.0


@pytest.mark.parametrize(
    ("mwh", "kg_per_kwh", "tonnes"),
    [
        (1287.0, 0.429, 552.1),  # GPT-3
        (85.7, 0.545, 46.7),  # T5
        (232.0, 0.415, 96.4),  # Meena
        (179.0, 0.330, 59.1),  # Switch Transformer
    ],
)
def test_published_footprints(mwh: float, kg_per_kwh: float, tonnes: float) -> None:
    """Patterson et al. 2021, table 4: energy times the grid's intensity."""
    used = energy.Energy(*floats(mwh * 1000 * JOULES_PER_KWH, 0.0, 0.0))
    site = changed(SITE, carbon_intensity=kg_per_kwh / JOULES_PER_KWH)
    assert carbon.operational_carbon(used, site) / 1000 == pytest.approx(tonnes, rel=0.005)


def test_facility_counts() -> None:
    site = changed(SITE, pue=1.5, carbon_intensity=0.4 / JOULES_PER_KWH)
    used = energy.energy_of(*floats(3600.0, 600.0, 400.0), site)
    assert carbon.operational_carbon(used, site) == pytest.approx(1.5 * 0.4)


def test_a_published_prompt_by_boundary() -> None:
    """A median prompt of Gemini: 0.14 Wh of accelerators, 0.06 of hosts, 0.02 of idle servers and
    9% of them for the facility make 0.24 Wh; 0.023 g at 96 g/kWh by contract; 0.26 ml at 1.15
    l/kWh of IT energy [GeminiEnergy2025].
    """
    site = changed(
        SITE,
        pue=1.09,
        market_intensity=0.096 / JOULES_PER_KWH,
        water_on_site=1.15 / JOULES_PER_KWH,
    )
    facility = 0.09 * 0.22 * WH
    used = energy.Energy(*floats(0.14 * WH, 0.06 * WH, facility, 0.02 * WH))
    assert used.total / WH == pytest.approx(0.24, abs=0.0005)
    assert carbon.operational_carbon(used, site, "market") * 1000 == pytest.approx(0.023, abs=5e-4)
    assert carbon.water(used, site).on_site * 1000 == pytest.approx(0.26, abs=0.01)


def test_parts_sum_to_the_whole() -> None:
    used = energy.energy_of(*floats(3600.0, 500.0, 200.0), SITE, *floats(0.6, 80.0))
    parts = {"making": 0.1, "building": 0.02, "network": 0.003, "reader": 0.05, "training": 0.4}
    found = carbon.footprint(used, SITE, besides=carbon.Footprint(**parts))
    assert set(vars(found)) == set(carbon.BOUNDARIES)
    assert found.electricity == pytest.approx(
        float(carbon.operational_carbon(used, SITE)), rel=1e-12
    )
    whole = float(found.electricity) + sum(parts.values())
    assert found.total == pytest.approx(whole, rel=1e-12)
    assert found.served == pytest.approx(whole - parts["reader"], rel=1e-12)


def test_bases_differ_by_their_intensity_alone() -> None:
    used = energy.Energy(*floats(JOULES_PER_KWH, 0.0, 0.0))
    grams = {basis: 1000 * carbon.operational_carbon(used, SITE, basis) for basis in carbon.BASES}
    assert grams == pytest.approx({"location": 400.0, "market": 100.0, "marginal": 500.0})


def test_an_unknown_basis_is_refused() -> None:
    used = energy.Energy(*floats(1.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"'offset'.*location, market, marginal"):
        carbon.operational_carbon(used, SITE, "offset")


def test_ways_of_accounting_say_what_they_count() -> None:
    google = catalog.site("us-mida-pjm", facility="google-fleet")
    found = {basis: carbon.kind(google, basis) for basis in carbon.BASES}
    assert found == {
        "location": ("lifecycle", "consumption"),
        "market": ("direct", "contracts"),
        "marginal": ("lifecycle", "margin"),
    }
    said = {str(of) for of in found.values()}
    assert len(said) == 3
    with pytest.raises(InputError, match="'offset'"):
        carbon.kind(google, "offset")


def test_a_site_without_contracts_counts_as_its_grid() -> None:
    virginia = catalog.site("us-va")
    assert virginia.market_intensity == virginia.carbon_intensity
    google = catalog.site("us-ia", facility="google-fleet")
    assert google.market_intensity < 0.5 * google.carbon_intensity
    assert google.water_on_site * JOULES_PER_KWH == pytest.approx(1.15)


def test_plants_water_comes_from_the_region_its_country_or_the_world() -> None:
    litres = {
        grid: float(catalog.site(grid).water_off_site) * JOULES_PER_KWH
        for grid in ("swe", "us-va", "us-ca", "usa", "bra", "arg")
    }
    assert litres["swe"] == pytest.approx(6.03, abs=0.02)
    assert litres["us-ca"] == litres["usa"] == pytest.approx(3.13, abs=0.02)
    assert litres["us-va"] == pytest.approx(2.39)
    assert litres["arg"] == pytest.approx(3.908)
    assert litres["bra"] > 3 * litres["arg"]


def test_shares_of_networks_readers_and_training_by_hand() -> None:
    """50 kB at 0.03 kWh/GB and 400 g/kWh is 0.6 mg; a phone of 1 W and 60 kg that is used for
    3,000 hours makes 20.4 g an hour; a tonne over 1e12 tokens is 1 g a million.
    """
    grid = jnp.asarray(0.4 / JOULES_PER_KWH)
    sent = carbon.network_carbon(jnp.asarray(50e3), jnp.asarray(0.03 * JOULES_PER_KWH / 1e9), grid)
    assert sent == pytest.approx(0.6e-6)
    phone = carbon.EndDevice(power=1.0, making=60.0, lifetime=3000 * 3600.0)
    assert carbon.reader_carbon(phone, jnp.asarray(3600.0), grid) == pytest.approx(0.0204)
    assert carbon.training_share(*floats(1000.0, 1e12, 1e6)) == pytest.approx(1e-3)


def test_footprints_of_many_sites_at_once() -> None:
    """Under vmap over grids, each equals its own."""
    grids = ("swe", "pol", "usa")
    sites = catalog.stack(catalog.site(grid) for grid in grids)

    def grams(site: carbon.Site) -> jax.Array:
        used = energy.energy_of(*floats(10.0, 500.0, 100.0), site)
        return carbon.footprint(used, site, besides=carbon.Footprint(making=1e-6)).total

    found = jax.jit(jax.vmap(grams))(sites)
    assert found.shape == (3,)
    for grid, value in zip(grids, found, strict=True):
        assert value == pytest.approx(float(grams(catalog.site(grid))), rel=1e-12)
