"""What files say of how rows were measured, in columns and in words."""

import numpy as np
import pandas as pd
import pytest

from llmecon.evidence import conditions


def said(**columns: object) -> pd.Series:
    return conditions.stated(pd.DataFrame({name: [of] for name, of in columns.items()})).iloc[0]


def test_columns_come_before_words() -> None:
    found = said(batching="continuous", notes="static batch; mean measured concurrency 3.5")
    assert found["batching"] == "continuous"
    assert found["mean_concurrency"] == 3.5
    assert said(notes="static batch, end to end 17 s")["lengths"] == "fixed"
    assert said(notes="random, lengths uniform from 1 to N")["lengths"] == "uniform"
    assert said(model="x")["batching"] == ""


@pytest.mark.parametrize(
    ("notes", "tensor", "pipeline"),
    [("TP 8", 8.0, 1.0), ("PP 4", 1.0, 4.0), ("TP 2; PP 2", 2.0, 2.0), ("batch 8", None, None)],
)
def test_layouts_are_read_from_notes(
    notes: str, tensor: float | None, pipeline: float | None
) -> None:
    found = said(notes=notes)
    for name, value in (("tensor_parallel", tensor), ("pipeline_parallel", pipeline)):
        assert np.isnan(found[name]) if value is None else found[name] == value


@pytest.mark.parametrize(
    ("engine", "version", "year"),
    [
        ("vllm", "0.7.3.post1", 2025.0),
        ("vllm", "0.10.2", 2025.5),
        ("vllm", "0.0.9", 2023.75),
        ("sglang", "0.4.3.post2", 2025 + 1 / 12),
        ("trtllm", "1.0.0rc3", 2025 + 8 / 12),
        ("vllm", "2024", 2024.5),
        ("vllm", "2025-02", 2025 + 1 / 12),
        ("vllm", "nightly", None),
        ("homegrown", "1.0", None),
    ],
)
def test_versions_have_dates(engine: str, version: str, year: float | None) -> None:
    found = conditions.release(engine, version)
    assert np.isnan(found) if year is None else found == pytest.approx(year)


def test_rounds_name_the_software_or_mlperf() -> None:
    found = said(round="trtllm-1.0")
    assert (found["engine"], found["tuned"]) == ("trtllm", False)
    assert found["year"] == pytest.approx(2025 + 8 / 12)
    assert said(round="v5.1")["tuned"]
    assert said(source="SemiAnalysis InferenceX runs")["tuned"]
    assert said(source="ML.ENERGY leaderboard v3")["tuned"]
    assert not said(source="my blog")["tuned"]


def test_a_month_dates_the_software() -> None:
    assert said(month="2024-07", engine="TensorRT-LLM")["year"] == 2024.5
    assert said(month="2024-07", engine="TensorRT-LLM")["engine"] == "trtllm"
