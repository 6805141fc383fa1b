"""How a row was measured, as far as its file says: by whom, with which software, under which load.

A file may say it in columns of its own (publisher, engine, month, batching, lengths,
mean_concurrency). Where it has no such column, what its `notes`, `round` and `source` say counts.
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

# What free text says that decides how a row is to be read.
_STATIC = re.compile(r"static batch", re.IGNORECASE)
_FIXED = re.compile(r"fixed lengths|static batch", re.IGNORECASE)
_UNIFORM = re.compile(r"uniform from 1 to", re.IGNORECASE)
_MEAN = re.compile(r"mean measured concurrency ([\d.]+)", re.IGNORECASE)
_TENSOR, _PIPELINE = (re.compile(rf"\b{of} ?(\d+)\b") for of in ("TP", "PP"))
# A round such as "trtllm-1.0" names the software; one such as "v5.1" is MLPerf's.
_ROUND = re.compile(r"(?P<engine>[a-z_]+)-(?P<version>\d.*)")
_DATED = re.compile(r"(20\d\d)-(\d\d)")

# Benchmarks whose systems are tuned by those who know them best: the physics is fitted to the first
# two, and agrees with MLPerf's submissions.
_TUNED = re.compile(
    r"inference ?(x|max)\b|aiconfigurator|ml\.?energy|mlperf|mlcommons", re.IGNORECASE
)

# Other spellings of the engines.
ENGINES: Mapping[str, str] = {
    "tensorrt-llm": "trtllm",
    "tensorrt_llm": "trtllm",
    "tensorrtllm": "trtllm",
    "trt-llm": "trtllm",
    "trt": "trtllm",
    "neuronx": "neuron",
}

# When versions of the engines came out: the newest known at or below a version dates it. From
# general knowledge of their releases, to the month or so; unchecked.
RELEASES: Mapping[str, tuple[tuple[tuple[int, ...], float], ...]] = {
    engine: tuple((version, year + (month - 1) / 12) for version, year, month in known)
    for engine, known in {
        "vllm": (
            ((0, 2), 2023, 10),
            ((0, 3), 2024, 2),
            ((0, 4), 2024, 4),
            ((0, 5), 2024, 6),
            ((0, 6), 2024, 9),
            ((0, 7), 2025, 1),
            ((0, 8), 2025, 3),
            ((0, 9), 2025, 5),
            ((0, 10), 2025, 7),
            ((0, 11), 2025, 10),
            ((0, 12), 2025, 12),
            ((0, 14), 2026, 1),
            ((0, 16), 2026, 2),
            ((0, 18), 2026, 3),
        ),
        "sglang": (
            ((0, 1), 2024, 1),
            ((0, 3), 2024, 9),
            ((0, 4), 2024, 12),
            ((0, 4, 3), 2025, 2),
            ((0, 4, 5), 2025, 4),
            ((0, 4, 7), 2025, 6),
            ((0, 5), 2025, 9),
            ((0, 5, 6), 2025, 12),
            ((0, 5, 8), 2026, 1),
            ((0, 5, 10), 2026, 3),
        ),
        "trtllm": (
            ((0, 5), 2023, 10),
            ((0, 9), 2024, 4),
            ((0, 11), 2024, 7),
            ((0, 14), 2024, 11),
            ((0, 17), 2025, 2),
            ((0, 19), 2025, 5),
            ((0, 21), 2025, 7),
            ((1, 0), 2025, 9),
            ((1, 1), 2025, 12),
            ((1, 2), 2026, 2),
        ),
    }.items()
}
# MLPerf Inference by round: when its results were due.
ROUNDS: Mapping[str, float] = {
    "v3.1": 2023 + 7 / 12,
    "v4.0": 2024 + 1 / 12,
    "v4.1": 2024 + 7 / 12,
    "v5.0": 2025 + 1 / 12,
    "v5.1": 2025 + 7 / 12,
    "v6.0": 2026 + 1 / 12,
}


def newest() -> float:
    """When the newest software known came out: the year with its fraction."""
    return max(year for versions in RELEASES.values() for _, year in versions)


def stated(frame: pd.DataFrame) -> pd.DataFrame:
    """What a measurement file says of how its rows were measured.

    Args:
        frame: rows of kind serving or offline.

    Returns:
        One row a row: publisher, engine, batching (static or continuous) and lengths (fixed,
        uniform or measured means), as texts that are empty where nothing is said; tuned (whether
        the source is one of the benchmarks that tune every system); year (of the software, in years
        with fractions), mean_concurrency, tensor_parallel and pipeline_parallel, NaN where nothing
        is said.
    """
    notes = _texts(frame, "notes").where(_texts(frame, "notes") != "", _texts(frame, "note"))
    rounds = _texts(frame, "round").str.lower()
    of_round = rounds.str.extract(_ROUND)
    engine = _texts(frame, "engine").str.lower()
    engine = engine.where(engine != "", of_round["engine"].fillna("")).replace(dict(ENGINES))
    version = _texts(frame, "engine_version")
    version = version.where(version != "", of_round["version"].fillna(""))
    sources = _texts(frame, "source")
    tuned = sources.map(lambda of: bool(_TUNED.search(of))) | rounds.isin(list(ROUNDS))
    months = _texts(frame, "month")
    years = [
        _year(month, name, number, of)
        for month, name, number, of in zip(months, engine, version, rounds, strict=True)
    ]
    tensor = _number(frame, "tensor_parallel", notes, _TENSOR)
    pipeline = _number(frame, "pipeline_parallel", notes, _PIPELINE)
    batching, lengths = (_texts(frame, of).str.lower() for of in ("batching", "lengths"))
    return pd.DataFrame(
        {
            "publisher": _texts(frame, "publisher"),
            "tuned": tuned,
            "engine": engine,
            "batching": batching.where(batching != "", _named(notes, _STATIC, "static")),
            "lengths": lengths.where(
                lengths != "",
                _named(notes, _FIXED, "fixed") + _named(notes, _UNIFORM, "uniform"),
            ),
            "year": np.array(years, float),
            "mean_concurrency": _number(frame, "mean_concurrency", notes, _MEAN),
            # Where one of the two is named alone, the other is 1.
            "tensor_parallel": np.where(np.isnan(tensor) & (pipeline > 0), 1.0, tensor),
            "pipeline_parallel": np.where(np.isnan(pipeline) & (tensor > 0), 1.0, pipeline),
        },
        index=frame.index,
    )


def release(engine: str, version: str) -> float:
    """When a version of an engine came out.

    Args:
        engine: such as vllm.
        version: such as 0.7.3.post1; a year or a month dates itself.

    Returns:
        The year with its fraction; NaN where engine or version isn't known.
    """
    if dated := _DATED.search(version):
        return int(dated[1]) + (int(dated[2]) - 1) / 12
    if re.fullmatch(r"20\d\d", version):
        return int(version) + 0.5
    numbers = re.match(r"v?(\d+(?:\.\d+)+)", version)
    if numbers is None or engine not in RELEASES:
        return float("nan")
    parts = tuple(int(part) for part in numbers[1].split("."))
    before = [year for known, year in RELEASES[engine] if known <= parts]
    return before[-1] if before else RELEASES[engine][0][1]


def _year(month: str, engine: str, version: str, mlperf: str) -> float:
    dated = _DATED.search(month)
    if dated:
        return int(dated[1]) + (int(dated[2]) - 1) / 12
    return ROUNDS.get(mlperf, release(engine, version))


def _texts(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series("", index=frame.index, dtype=object)
    return frame[column].astype(object).where(frame[column].notna(), "").astype(str).str.strip()


def _named(notes: pd.Series, pattern: re.Pattern[str], name: str) -> pd.Series:
    return notes.map(lambda note: name if pattern.search(note) else "")


def _number(
    frame: pd.DataFrame, column: str, notes: pd.Series, pattern: re.Pattern[str]
) -> np.ndarray:
    found = notes.map(lambda note: float(m[1]) if (m := pattern.search(note)) else np.nan)
    if column in frame:
        found = pd.to_numeric(frame[column], errors="coerce").fillna(found)
    return found.to_numpy(float)
