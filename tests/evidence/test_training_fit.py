"""Predicted training speed against measurements that the fit did not see."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from llmecon.evidence import run_fit
from llmecon.evidence import training_fit as calibration
from llmecon.evidence import training_rows as measurements
from llmecon.physics.architecture import parameters
from llmecon.specs import LLM
from llmecon.tables import catalog

pytestmark = pytest.mark.slow

# A row of the LLM Foundry table under the names of a measurement file.
MPT_7B = {
    "model": "MPT-7b",
    "params_total_b": 6.65886,
    "params_active_b": 6.65886,
    "seq_len": 2048,
    "xpu": "h100-sxm",
    "n_devices": 8,
    "precision": "amp_bf16",
    "parallelism": "FULL_SHARD",
    "global_batch": 48,
    "source": "github.com/mosaicml/llm-foundry scripts/train/benchmarking/README.md",
    "notes": "micro batch 6; activation checkpointing False",
}


def frame(**changes: object) -> pd.DataFrame:
    return pd.DataFrame([{**MPT_7B, **changes}], index=[7])


@cache
def without(by: str) -> pd.DataFrame:
    left_out = calibration.leave_steps_out(by)
    return left_out.assign(error=left_out["measured"] - left_out["predicted"])


def median_percentage_error(rows: pd.DataFrame) -> float:
    return float(np.median(np.abs(np.expm1(rows["error"]))))


def coverage(rows: pd.DataFrame) -> float:
    return float((rows["error"].abs() < calibration.NINETY * rows["sd"]).mean())


def test_typical_architectures() -> None:
    """MPT-7B has 32 layers of width 4096, of which its size alone is known here."""
    found = measurements.architecture(6.65886, 6.65886)
    assert found["width"] == pytest.approx(4096, rel=0.01)
    assert found["layers"] == pytest.approx(32, rel=0.02)


def test_sizes_of_a_known_model_give_its_architecture() -> None:
    """Mixtral 8x7B: 46.7e9 weights, 12.9e9 active."""
    found = measurements.architecture(46.7, 12.9)
    assert (found["experts"], found["experts_per_token"], found["layers"]) == (8, 2, 32)


@pytest.mark.parametrize(("total", "active"), [(57.4, 14.2), (1500.0, 40.0), (3.0, 0.8)])
def test_unknown_mixtures_keep_their_sizes(total: float, active: float) -> None:
    llm = LLM(**measurements.architecture(total, active))
    counted = parameters(llm)
    assert counted.total == pytest.approx(total * 1e9, rel=0.03)
    assert counted.active == pytest.approx(active * 1e9, rel=0.2)


def test_mfu_counts_all_of_attention() -> None:
    """10,643 tokens/s of MPT-7B on an H100 are published as 46.44%: (6 N + 12 L d T) / peak."""
    rows = measurements.in_our_names(frame())
    of = measurements.setups(rows)
    by_hand = 6 * 6.65886e9 + 12 * 32 * 4096 * 2048
    assert of.counted_flops[0] == pytest.approx(by_hand, rel=0.01)
    assert 10643 * of.counted_flops[0] / of.counted_peak[0] == pytest.approx(0.4644, rel=0.01)


def test_layouts_are_read_from_the_text() -> None:
    text = "TP8 PP35 (interleave 3) SP+selective recompute"
    rows = measurements.in_our_names(
        frame(params_total_b=530, params_active_b=530, n_devices=280, parallelism=text, notes="")
    )
    layout = measurements.setups(rows).layout
    assert (layout.tensor[0], layout.pipeline[0], layout.data[0]) == (8, 35, 1)
    assert layout.interleaving[0] == 3
    assert layout.shard_weights[0] == 0
    assert 0 < layout.recompute[0] < 0.5


def test_fitted_efficiencies_are_physical_and_in_the_table() -> None:
    posterior = calibration.calibrated_steps().posterior
    table = catalog.table("efficiencies").set_index("parameter")
    for parameter, value in posterior.values.items():
        of = table.loc[parameter]
        assert of["low"] < value < of["high"], parameter
        assert of["value"] == pytest.approx(value, rel=0.1), parameter
    shares = [of.name for of in calibration.PARAMETERS if of.scale == "logit"]
    assert all(0 < posterior.values[name] < 1 for name in shares)


def test_steps_of_models_left_out() -> None:
    rows = without("label")
    assert median_percentage_error(rows[rows["source"] == "LLMFoundry"]) < 0.04
    assert median_percentage_error(rows) < 0.06
    assert 0.85 < coverage(rows) < 0.97


@pytest.mark.parametrize(("by", "bound"), [("xpu", 0.13), ("software", 0.13)])
def test_steps_of_groups_left_out(by: str, bound: float) -> None:
    rows = without(by)
    assert median_percentage_error(rows) < bound
    assert 0.85 < coverage(rows) < 0.98


def test_runs_of_families_left_out() -> None:
    """Published hours count restarts and smaller runs differently: a fifth is near the floor."""
    rows = run_fit.leave_runs_out("family")
    rows = rows.assign(error=rows["measured"] - rows["predicted"])
    assert median_percentage_error(rows) < 0.22
    assert (rows["error"].abs() < np.log(2)).mean() > 0.85
    assert 0.85 < coverage(rows) < 0.97


def test_predictions_keep_the_index_and_bracket_the_measurement() -> None:
    found = calibration.predict_steps(frame())
    assert list(found.index) == [7]
    assert found["reason"].tolist() == [""]
    assert found["mfu_pct_low"].item() < 46.44 < found["mfu_pct_high"].item()
    assert found["tokens_per_s_per_device"].item() == pytest.approx(10643, rel=0.1)


def test_unknown_groups_have_wider_intervals() -> None:
    rows = pd.concat(
        [frame(), frame(source="", model=""), frame(source="", xpu="mi300x", model="")]
    )
    found = calibration.predict_steps(rows)
    width = np.log(found["mfu_pct_high"] / found["mfu_pct_low"]).to_numpy()
    assert width[0] < width[1] < width[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"xpu": "h100-sxm-500w"}, "not in the catalogue"),
        ({"xpu": None}, "xpu is empty"),
        ({"params_total_b": None, "params_active_b": None}, "parameters_active_b"),
        ({"precision": "ternary"}, "ternary"),
        ({"params_active_b": 9.0}, "exceeds"),
        ({"params_active_b": 1e300, "params_total_b": 1e300}, "above 1e+12"),
    ],
)
def test_unusable_rows_say_why(changes: dict[str, object], reason: str) -> None:
    found = calibration.predict_steps(frame(**changes))
    assert reason in found["reason"].item()
    assert np.isnan(found["mfu_pct"].item())


def test_runs_need_sizes_and_tokens_only() -> None:
    """Llama 2 7B took 184,320 hours of an A100."""
    row = {"model": "Llama-2 7B", "params_total_b": 6.74, "params_active_b": 6.74}
    run = pd.DataFrame([{**row, "xpu": "a100-sxm-80gb", "precision": "bf16", "tokens_b": 2000}])
    found = run_fit.predict_runs(run)
    assert found["device_hours"].item() == pytest.approx(184_320, rel=0.25)
    assert found["device_hours_low"].item() < 184_320 < found["device_hours_high"].item()
    assert "tokens_b" in run_fit.predict_runs(run.drop(columns="tokens_b"))["reason"].item()


def test_gradients_of_the_law_are_finite() -> None:
    rows = pd.concat([frame(), frame(precision="fp8", xpu="tpu-v7"), frame(xpu="v100-sxm")])
    of = measurements.setups(measurements.in_our_names(rows))
    values = {p.name: jnp.asarray(p.centre) for p in calibration.PARAMETERS}
    slopes = jax.grad(lambda v: calibration.device_seconds_per_token(v, of).sum())(values)
    assert all(np.isfinite(slope) for slope in slopes.values())
    assert slopes["training_compute"] < 0 < slopes["training_traffic"]
