"""Power shares and energy by boundary."""

import pytest

from llmecon.physics import energy
from llmecon.tables import catalog
from tests.problems import EFFICIENCY, SITE, changed, floats

H100 = catalog.xpu("h100-sxm")


def test_energy_identity_of_published_training_runs() -> None:
    """Patterson et al. 2021, table 4, GPT-3: 14.8 days of 10,000 V100 at 330 W (host included)
    and PUE 1.1 make 1,287 MWh.
    """
    site = changed(SITE, pue=1.1)
    used = energy.energy_of(*floats(14.8 * 86400 * 10_000, 330.0, 0.0), site)
    assert used.total / 3.6e9 == pytest.approx(1287.0, rel=0.005)


def test_boundaries_are_kept_apart() -> None:
    used = energy.energy_of(*floats(100.0, 500.0, 200.0), changed(SITE, pue=1.25))
    assert used.device == 50_000.0
    assert used.host == 20_000.0
    assert used.facility == pytest.approx(0.25 * 70_000.0)
    assert used.total == pytest.approx(1.25 * 70_000.0)


def test_idle_device_draws_its_idle_share() -> None:
    """12% of 700 W, far below the cap: 84 W."""
    idle = energy.device_power(H100, EFFICIENCY, *floats(0.0, 0.0, 0.0))
    assert idle == pytest.approx(700 * 0.12, rel=1e-4)


def test_shares_add_up_well_below_the_cap() -> None:
    shares = changed(
        EFFICIENCY, idle_power=0.01, active_power=0.02, compute_power=0.05, memory_power=0.04
    )
    power = energy.device_power(H100, shares, *floats(0.5, 0.2, 0.25))
    assert power == pytest.approx(700 * (0.01 + 0.01 + 0.01 + 0.01), rel=1e-5)


def test_power_never_exceeds_tdp() -> None:
    hungry = changed(EFFICIENCY, compute_power=50.0)
    power = energy.device_power(H100, hungry, *floats(1.0, 1.0, 1.0))
    assert 0.99 * 700 < power <= 700


def test_idle_time_moves_energy_between_parts_and_adds_none() -> None:
    """100 s at 300 W on average, of which 40 s idle at 80 W, beside a host of 100 W."""
    site = changed(SITE, pue=1.2)
    used = energy.energy_of(*floats(100.0, 300.0, 100.0), site, *floats(0.6, 80.0))
    assert used.idle == pytest.approx(40 * (80 + 100))
    assert used.device == pytest.approx(100 * 300 - 40 * 80)
    assert used.host == pytest.approx(60 * 100)
    assert used.total == pytest.approx(energy.energy_of(*floats(100.0, 300.0, 100.0), site).total)


def test_without_work_all_is_idle() -> None:
    used = energy.energy_of(*floats(100.0, 80.0, 100.0), SITE, *floats(0.0, 80.0))
    assert used.device == 0.0
    assert used.host == 0.0
    assert used.idle == used.servers == 100 * 180
