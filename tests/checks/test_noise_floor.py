"""What the measurements themselves scatter."""

import numpy as np
import pandas as pd
import pytest

from llmecon.checks import noise_floor
from llmecon.tables import catalog


def test_bias_of_a_group_does_not_count_within_it() -> None:
    frame = pd.DataFrame(
        {"id": ["a", "b", "c", "d"], "curve": [1, 1, 2, 2], "ratio": [2.0, 2.0, 0.5, 0.5]}
    )
    assert noise_floor.within_groups(frame, "curve") == pytest.approx(0.0)
    assert np.isnan(noise_floor.within_groups(frame, "id"))


def test_floors_are_below_common_errors() -> None:
    found = noise_floor.floors()
    assert {of.what for of in found} == {"repeats", "curve"}
    assert all(0.0 < of.median < 0.3 and of.count > 0 for of in found)


def test_suspects_are_counted() -> None:
    assert (
        noise_floor.suspects().sum() == catalog.table("measured_serving")["suspect"].notna().sum()
    )
