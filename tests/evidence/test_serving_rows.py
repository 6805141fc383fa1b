"""Rows of measurement files as systems, and why some can't be used."""

import jax
import numpy as np
import pandas as pd
import pytest

from llmecon.errors import InputError
from llmecon.evidence import serving_rows
from llmecon.evidence.serving_rows import EVEN_CV, EVEN_MEAN, OFFLINE_COLUMNS, SERVING_COLUMNS
from llmecon.physics import roofline
from llmecon.tables import catalog

ROW = {
    "model": "llama-3.1-70b",
    "xpu": "h100-sxm",
    "n_xpus": 8,
    "tensor_parallel": 8,
    "expert_parallel": 1,
    "data_parallel": 1,
    "precision": "fp8",
    "engine": "vllm",
    "concurrency": 64,
    "prompt_tokens": 1024,
    "output_tokens": 1024,
    "regime": "serving",
    "speculative": 0,
    "suspect": None,
}


def rows(*changes: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([ROW | change for change in changes])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"suspect": "weights do not fit"}, "suspect: weights do not fit"),
        ({"model": "llama-9"}, "model llama-9 is not in the catalogue"),
        ({"xpu": "h101"}, "xpu h101 is not in the catalogue"),
        ({"precision": "fp6"}, "precision fp6 is not one of bf16, fp8, fp4, int4"),
        ({"concurrency": None}, "concurrency is empty"),
        ({"output_tokens": 0}, "output_tokens is not a number above 0"),
        ({"concurrency": 1e300}, "concurrency is above 1e+09"),
        ({"n_xpus": np.inf}, "n_xpus is above 1e+09"),
        ({"n_xpus": "eight"}, "n_xpus is not a number above 0"),
        ({"tensor_parallel": -1}, "tensor_parallel is not a number above 0"),
    ],
)
def test_rows_are_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    found = serving_rows.refusals(rows({}, change), SERVING_COLUMNS)
    assert list(found) == ["", reason]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="no column concurrency; needed are: model"):
        serving_rows.refusals(rows({}).drop(columns="concurrency"), SERVING_COLUMNS)


def test_layouts_of_rows() -> None:
    found = serving_rows.systems(
        rows(
            {},
            {"n_xpus": 8, "tensor_parallel": 2, "data_parallel": 4, "concurrency": 64},
            {"n_xpus": 16, "tensor_parallel": 8},
            {"n_xpus": 8, "tensor_parallel": 1, "expert_parallel": 8, "data_parallel": 8},
            {"n_xpus": 4, "tensor_parallel": None},
        )
    )
    layout = found.deployment
    np.testing.assert_array_equal(layout.tensor, [8, 2, 8, 1, 4])
    np.testing.assert_array_equal(layout.expert, [1, 1, 1, 8, 1])
    np.testing.assert_array_equal(layout.pipeline, [1, 1, 2, 1, 1])
    # Four copies share 64 clients; eight attention groups are one instance.
    np.testing.assert_array_equal(found.clients, [64, 16, 64, 64, 64])


def test_lengths_of_load_generators_and_of_measured_batches() -> None:
    found = serving_rows.systems(rows({}, {"regime": "steady", "precision": "fp8"}))
    np.testing.assert_allclose(found.workload.output_tokens, [1024 * EVEN_MEAN, 1024])
    assert found.workload.output_cv[0] == pytest.approx(EVEN_CV)
    # Evenly between 80% and 100%: mean 0.9, standard deviation 0.2 / sqrt(12).
    assert pytest.approx(0.2 / np.sqrt(12.0) / 0.9) == EVEN_CV
    np.testing.assert_array_equal(found.deployment.precision.kv_cache, [1, 2])


def test_rates_follow_precision_and_accelerator() -> None:
    found = serving_rows.systems(
        rows({}, {"precision": "bf16"}, {"precision": "fp4"}, {"precision": "fp4", "xpu": "b200"})
    )
    h100, b200 = catalog.xpu("h100-sxm"), catalog.xpu("b200")
    rates = jax.vmap(roofline.peak_flops)(found.xpu, found.deployment.precision)
    np.testing.assert_allclose(
        rates,
        [h100.fp8_flops, h100.bf16_flops, h100.bf16_flops, b200.fp4_flops],
    )


def test_models_published_in_4_bits_keep_attention_in_16() -> None:
    assert float(serving_rows.precision_of("gpt-oss-120b", "fp4").attention) == 2.0
    assert float(serving_rows.precision_of("kimi-k2.5", "int4").attention) == 2.0
    assert float(serving_rows.precision_of("deepseek-v3", "fp4").attention) == 1.0
    assert float(serving_rows.precision_of("gpt-oss-120b", "bf16").feed_forward) == 2.0


def test_offline_rows_need_no_concurrency() -> None:
    frame = rows({}).drop(columns=["concurrency", "tensor_parallel"])
    assert list(serving_rows.refusals(frame, OFFLINE_COLUMNS)) == [""]
