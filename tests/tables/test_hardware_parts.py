"""What devices are made of, hours of the grid, devices to read on."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.costs import carbon
from llmecon.errors import InputError
from llmecon.tables import catalog, hardware_parts


def test_hours_average_to_one() -> None:
    for grid in set(catalog.table("hourly_carbon")["grid"]):
        ratios = hardware_parts.hourly_ratios(grid)
        assert ratios.shape == (24,)
        assert ratios.mean() == pytest.approx(1.0, abs=2e-3), grid


def test_noon_is_clean_in_california_and_night_in_new_york() -> None:
    assert 9 <= np.argmin(hardware_parts.hourly_ratios("us-ca")) <= 15
    assert np.argmin(hardware_parts.hourly_ratios("us-ny")) <= 6


def test_a_load_at_noon_meets_noons_ratio() -> None:
    ratios = hardware_parts.hourly_ratios("us-ca")
    noon = jnp.eye(24)[12]
    assert carbon.daily_factor(noon, ratios) == pytest.approx(float(ratios[12] / ratios.mean()))
    assert carbon.daily_factor(jnp.ones(24), ratios) == pytest.approx(1.0)


def test_grids_without_hours_are_refused() -> None:
    with pytest.raises(InputError, match=r"no hours are known of 'deu'; use one of .*us-ca"):
        hardware_parts.hourly_ratios("deu")


def test_a_device_that_is_used_more_wears_less_an_hour() -> None:
    little, much = (hardware_parts.end_device("laptop", hours) for hours in (2.0, 8.0))
    assert much.lifetime == pytest.approx(4 * float(little.lifetime))
    assert much.making == little.making
    with pytest.raises(InputError, match="use one of smartphone, tablet, laptop"):
        hardware_parts.end_device("television", 4.0)


def test_a_die_that_nobody_publishes_is_as_large_as_usual() -> None:
    published = catalog.table("xpus").query("kind == 'datacenter'")["die_mm2"]
    assert hardware_parts.materials("mi355x").die_area == pytest.approx(published.median() / 100)


def test_a_dirtier_fab_makes_dirtier_dies() -> None:
    taiwan, sweden = (hardware_parts.materials("h100-sxm", fab_grid=g) for g in ("twn", "swe"))
    assert taiwan.wafer_carbon > 1.5 * sweden.wafer_carbon
