"""Errors of predictions for measurement files, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from llmecon.evidence import reports


def test_errors_by_hand() -> None:
    frame = pd.DataFrame({"model": ["a", "a", "b"], "tpot_s": [1.0, 2.0, 4.0]})
    predicted = pd.DataFrame(
        {
            "tpot": [1.1, 1.0, 13.0],
            "tpot_low": [0.9, 0.5, 10.0],
            "tpot_high": [1.3, 1.5, 15.0],
            "reason": "",
        }
    )
    errors = reports.report("serving", frame, predicted).targets["tpot"]
    assert errors.median_ape == pytest.approx(0.5)
    assert errors.mean_ape == pytest.approx((0.1 + 0.5 + 2.25) / 3)
    assert errors.within_2x == pytest.approx(2 / 3)
    assert errors.bias == pytest.approx(0.1)
    assert errors.coverage_90 == pytest.approx(1 / 3)
    assert errors.by_model["a"].median_ape == pytest.approx(0.3)
    assert errors.over_models == pytest.approx((0.3 + 2.25) / 2)


def test_rows_without_a_measurement_are_named() -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "tpot_s": [1.0, None]})
    columns = {"tpot": 1.0, "tpot_low": 0.9, "tpot_high": 1.1, "reason": ""}
    found = reports.report("serving", frame, pd.DataFrame([columns] * 2))
    assert found.skipped == [(1, "none of tpot_s given")]


def test_a_slip_of_the_pen_is_no_measurement() -> None:
    frame = pd.DataFrame({"model": ["a", "b", "c"], "tpot_s": [1.0, 1e300, np.inf]})
    columns = {"tpot": 1.0, "tpot_low": 0.9, "tpot_high": 1.1, "reason": ""}
    found = reports.report("serving", frame, pd.DataFrame([columns] * 3))
    assert found.targets["tpot"].rows == 1
    assert [row for row, _ in found.skipped] == [1, 2]


def test_days_on_devices_are_device_hours() -> None:
    frame = pd.DataFrame(
        {
            "model": ["a", "b"],
            "device_hours": [1000.0, None],
            "wallclock_days": [None, 10.0],
            "n_devices": [None, 8.0],
        }
    )
    columns = ["device_hours", "device_hours_low", "device_hours_high", "reason"]
    predicted = pd.DataFrame([[1000.0, 500.0, 2000.0, ""], [3840.0, 1000.0, 5000.0, ""]])
    errors = reports.report("training-runs", frame, predicted.set_axis(columns, axis=1))
    # 10 days x 24 hours x 8 devices = 1920.
    assert errors.targets["device_hours"].by_model["b"].median_ape == pytest.approx(1.0)
