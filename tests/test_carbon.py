"""Emissions against published training runs."""

import pytest

from llmecon import carbon, energy
from llmecon.specs import JOULES_PER_KWH
from tests.problems import SITE, changed, floats


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
