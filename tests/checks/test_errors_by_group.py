"""How errors are summed up, on cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from llmecon.checks import errors_by_group
from llmecon.specs import Efficiency


def cases(**columns: object) -> pd.DataFrame:
    """Four predictions of a quantity that is 10 everywhere."""
    plain = {
        "kind": "serving",
        "id": ["a", "b", "c", "d"],
        "left_out": "model",
        "target": "tpot",
        "predicted": [10.0, 11.0, 8.0, 30.0],
        "measured": 10.0,
        "sd": 0.2,
        "model": ["one", "one", "one", "two"],
        "xpu": "x",
        "engine": "vllm",
        "precision": "fp8",
        "curve": [1, 1, 2, 3],
        "mixture": False,
        "speculative": False,
    }
    frame = pd.DataFrame(plain | columns)
    ratio = frame["predicted"] / frame["measured"]
    return frame.assign(ratio=ratio, error=(ratio - 1.0).abs())


def test_summary_by_hand() -> None:
    found = errors_by_group.summary(cases(), ["target"]).iloc[0]
    assert found["rows"] == 4
    assert found["models"] == 2
    assert found["median"] == pytest.approx(0.15)
    assert found["mean"] == pytest.approx((0.0 + 0.1 + 0.2 + 2.0) / 4)
    # The models' medians are 0.1 and 2.
    assert found["over_models"] == pytest.approx(1.05)
    assert found["within_2x"] == pytest.approx(0.75)
    assert found["bias"] == pytest.approx(0.05)
    # 0.33 in logs is 90%: all but the last lie inside.
    assert found["covered"] == pytest.approx(0.75)
    assert found["width"] == pytest.approx(np.exp(1.6449 * 0.2))


def test_coverage_of_normal_errors_is_the_level() -> None:
    z = np.random.default_rng(0).normal(size=20_000)
    frame = pd.DataFrame({"target": "t", "measured": np.exp(0.3 * z), "predicted": 1.0, "sd": 0.3})
    found = errors_by_group.coverage(frame, "target", [0.5, 0.9])
    assert found["actual"].to_numpy() == pytest.approx([0.5, 0.9], abs=0.01)


def test_statistics_that_peers_publish() -> None:
    found = {
        name: errors_by_group.statistic(cases(), name) for name in ("median", "worst", "within_2x")
    }
    assert found == pytest.approx({"median": 0.15, "worst": 2.0, "within_2x": 0.75})


def test_worst_curves_come_first_with_a_reason() -> None:
    found = errors_by_group.worst(cases(speculative=[False, False, False, True]), 2, points=1)
    assert list(found["curve"]) == [3, 2]
    assert "drafts" in found["reason"].iloc[0]
    assert found["reason"].iloc[1] == ""
    late = errors_by_group.worst(cases(target="ttft"), 1, points=1)
    assert "not recorded" in late["reason"].iloc[0]


def test_a_group_left_out_where_it_was_tried() -> None:
    tried = pd.concat(
        [
            cases(),
            cases(left_out="engine"),
            cases(target="device_hours"),
            cases(target="device_hours", left_out=errors_by_group.NOTHING),
        ]
    )
    found = errors_by_group.left_out(tried, "engine").groupby("target")["left_out"].unique()
    assert list(found["tpot"]) == ["engine"]
    assert list(found["device_hours"]) == ["model"]


def test_every_efficiency_has_a_reading() -> None:
    found = errors_by_group.readings()
    assert set(found) == set(Efficiency.__dataclass_fields__)
    assert not any(reading.endswith(("s.", ", s")) for reading in found.values())


def test_effects_are_ranked_by_strength() -> None:
    found = errors_by_group.effects("expert_memory")
    assert (found["low"] < found["factor"]).all()
    assert (found["factor"] < found["high"]).all()
    strength = np.log(found["factor"]).abs()
    assert strength.is_monotonic_decreasing


@pytest.mark.slow
def test_nothing_measured_beats_the_datasheet() -> None:
    found = errors_by_group.datasheet()
    assert (found["predicted"] < found["measured"]).all()
