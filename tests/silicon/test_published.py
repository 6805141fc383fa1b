"""Constants of silicon as the tables have them, and known chips by the model."""

import numpy as np
import pytest

from llmecon import silicon
from llmecon.errors import InputError
from llmecon.silicon import Silicon
from llmecon.tables import catalog
from tests.problems import all_finite


@pytest.mark.parametrize(
    ("node", "memory"), [(n, m) for n in ("7nm", "5nm", "3nm") for m in ("hbm2e", "hbm3e", "hbm4")]
)
def test_the_table_gives_every_constant(node: str, memory: str) -> None:
    frame = silicon.constants(node, memory)
    assert sorted(frame.index) == sorted(Silicon.__dataclass_fields__)
    all_finite(silicon.silicon(node, memory))


def test_an_unknown_process_is_refused() -> None:
    with pytest.raises(InputError, match="'4nm' is no process or memory; use one of"):
        silicon.silicon("4nm")


def test_known_chips_come_out_about_right() -> None:
    found = silicon.validation()
    close_enough = found[~((found["xpu"] == "mi325x") & (found["quantity"] == "making"))]
    costs = close_enough[close_enough["unit"] == "USD"]["ratio"]
    assert costs.between(0.75, 1.3).all()
    assert np.exp(np.log(costs).abs().median()) < 1.1
    areas = found[(found["quantity"] == "die") & (found["xpu"] != "tpu-v5e")]["ratio"]
    assert areas.between(0.85, 1.2).all()
    assert found[found["quantity"] == "stacks"]["ratio"].between(0.9, 1.1).all()
    # Ratings are a maker's choice of clock; a TPU v4's is a measurement.
    assert found[found["quantity"] == "power"]["ratio"].between(0.8, 1.8).all()


def test_estimates_name_the_memory_that_their_chips_have() -> None:
    for of in catalog.table("silicon_estimates").to_dict("records"):
        stacks = catalog.row("xpus", of["xpu"])["memory_gb"]
        assert stacks / 8 <= silicon.constants(of["node"], of["memory"]).loc["stack_memory", "high"]
