"""The fit of the serving efficiencies: its physics, its errors, and that its record is current."""

import numpy as np
import pandas as pd
import pytest

from llmecon.checks import errors_by_group
from llmecon.evidence import bayesian_fit, predictions, serving_fit
from llmecon.evidence.serving_fit import PARAMETERS, POOLED
from llmecon.tables import catalog

STORED = catalog.attainment()

# Leave-out errors at most: (left out, target): median, mean, least share within 2x.
BOUNDS = {
    ("model", "tpot"): (0.105, 0.14, 0.98),
    ("model", "ttft"): (0.29, 0.42, 0.84),
    ("model", "energy"): (0.135, 0.17, 0.97),
    ("model", "throughput"): (0.10, 0.16, 0.98),
    ("xpu", "tpot"): (0.09, 0.13, 0.98),
    ("xpu", "ttft"): (0.25, 0.35, 0.90),
    ("engine", "tpot"): (0.115, 0.155, 0.98),
}


def held_out(left_out: str, target: str) -> pd.DataFrame:
    frame = catalog.table("held_out")
    chosen = frame[
        (frame["kind"] == "serving") & (frame["left_out"] == left_out) & (frame["target"] == target)
    ]
    return chosen.assign(ratio=chosen["predicted"] / chosen["measured"])


@pytest.mark.parametrize(("left_out", "target"), BOUNDS)
def test_leave_out_errors_stay_bounded(left_out: str, target: str) -> None:
    median, mean, within = BOUNDS[left_out, target]
    rows = held_out(left_out, target)
    error = (rows["ratio"] - 1.0).abs()
    assert error.median() <= median
    assert error.mean() <= mean
    assert rows["ratio"].between(0.5, 2.0).mean() >= within


def test_no_model_is_off_by_more_than_a_fifth() -> None:
    rows = held_out("model", "tpot").merge(catalog.table("measured_serving")[["id", "model"]])
    assert (rows["ratio"] - 1.0).abs().groupby(rows["model"]).median().max() <= 0.2


def test_intervals_cover_what_was_left_out() -> None:
    rows = pd.concat([held_out("model", of) for of in predictions.TARGETS["serving"]])
    outside = np.abs(np.log(rows["ratio"])) / rows["sd"]
    assert 0.85 <= (outside <= bayesian_fit.NINETY).mean() <= 0.95


def test_backlogs_that_no_fit_has_seen() -> None:
    found = errors_by_group.backlogs()
    assert len(found) >= 30
    assert found["error"].median() <= 0.17
    assert found["ratio"].between(0.5, 2.0).mean() >= 0.95
    assert found["covered"].mean() >= 0.85


def test_every_usable_row_was_left_out_once() -> None:
    frame = serving_fit.measured()
    for left_out in ("model", "xpu", "engine"):
        assert set(held_out(left_out, "tpot")["id"]) == set(frame["id"])


@pytest.mark.release
def test_the_record_of_leave_outs_is_that_of_this_code() -> None:
    """One fold fitted afresh: a change of the model shows here, however it got there."""
    frame = serving_fit.measured()
    out = (frame["engine"] == "sglang").to_numpy()
    fold = serving_fit.fit(frame, weight=1.0 - out)
    known = serving_fit.labels(frame)
    found = serving_fit.compiled_load_tests(
        serving_fit.systems(frame), serving_fit.by_row(fold.attainment, known)
    )
    for target in ("tpot", "ttft"):
        rows = held_out("engine", target).set_index("id")["predicted"]
        fresh = pd.Series(np.asarray(found[target]), index=frame["id"])[out]
        both = rows.index.intersection(fresh.index)
        assert len(both) > 50
        np.testing.assert_allclose(fresh[both], rows[both], rtol=0.02)


def test_stored_values_are_fitted_and_physical() -> None:
    frame = catalog.table("efficiencies").set_index("parameter")
    for parameter in PARAMETERS:
        row = frame.loc[parameter.name]
        assert "fitted to measured_serving" in row["note"], parameter.name
        assert row["low"] < row["value"] < row["high"]
        if parameter.scale == "logit":
            assert 0 < row["low"] < row["high"] < 1
    # Launching a kernel takes microseconds; a step's host work, less than some milliseconds.
    assert 1e-6 < frame.loc["kernel_time", "value"] < 1e-5
    assert frame.loc["host_time", "value"] < 5e-3
    assert 1e-6 < frame.loc["collective_latency", "value"] < 2e-5
    assert 0.6 < frame.loc["memory", "value"] < 0.95


def test_effects_are_shrunk_within_their_priors() -> None:
    for of in STORED.effects.values():
        prior = [p.spread for p in POOLED if (p.parameter, p.kind) == (of.parameter, of.kind)]
        if prior and of.group != "*":
            assert abs(of.mean) < 3.0 * prior[0], of
            assert of.sd <= prior[0] * 1.01, of


def test_an_intervals_width_tells_measured_from_unmeasured() -> None:
    frame = serving_fit.measured()
    steady = frame[frame["regime"] == "serving"].head(40)
    unseen = steady.assign(engine="other", model="falcon-40b", xpu="mi300x", precision="bf16")
    widths = []
    for rows in (steady, unseen):
        found = predictions.predict("serving", rows)
        widths.append(np.log(found["tpot_high"] / found["tpot_low"]).median())
    assert widths[0] < 0.9 * widths[1]


def test_engine_versions_that_are_mostly_suspect_are_not_fitted() -> None:
    frame = serving_fit.measured()
    read = serving_fit.trusted(frame)
    doubted = frame[read == 0.0]
    assert set(doubted["engine"] + " " + doubted["engine_version"]) == {"vllm 0.12.0"}
    assert read.sum() > 0.98 * len(frame)


def test_rows_of_one_curve_weigh_as_one() -> None:
    frame = serving_fit.measured().head(60)
    data = serving_fit.observations(frame)
    code = serving_fit.curves(frame)
    np.testing.assert_allclose(np.bincount(code, weights=np.asarray(data.weight)), 1.0)
