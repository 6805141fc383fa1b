"""What limits predictions of power: an engine alone is measured, and waiting shows in no row."""

import pytest

from llmecon.checks import waiting_power
from llmecon.publishing import prose


@pytest.mark.slow
def test_no_coefficient_for_waiting_predicts_power_better() -> None:
    """The day that one does, the power model should have it."""
    found = waiting_power.errors().set_index(["left_out", "waiting"])
    assert found.loc[("model", "none"), "median"] < 0.13
    assert found.loc[("xpu", "none"), "median"] < 0.165
    for by in ("model", "xpu"):
        plain = found.loc[(by, "none"), "scatter"]
        assert (found.loc[by, "scatter"] > plain - waiting_power.WORTH).all()
    told = waiting_power.finding()
    assert not told.helps
    assert told.energy > max(told.power, told.throughput)
    said = prose.render("validation", "power", waiting=told)
    assert "because no measurement tells" in said
    assert "priors are all that is left" in said
