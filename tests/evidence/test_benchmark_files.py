"""Result files of load generators, small ones written by hand in the form of each tool."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmecon import cli
from llmecon.errors import InputError
from llmecon.evidence import benchmark_files

# Ten requests of 1000 + 200 tokens, four at a time, done in 10 s.
COUNTS = {
    "request_rate": "inf",
    "max_concurrency": 4,
    "duration": 10.0,
    "completed": 10,
    "total_input_tokens": 10_000,
    "total_output_tokens": 2_000,
    "request_throughput": 1.0,
    "output_throughput": 200.0,
    "mean_ttft_ms": 250.0,
    "median_ttft_ms": 240.0,
    "mean_tpot_ms": 15.0,
    "median_tpot_ms": 14.0,
    "mean_itl_ms": 15.0,
}
VLLM = {
    "date": "20250801-120000",
    "endpoint_type": "vllm",
    "label": None,
    "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "tokenizer_id": "meta-llama/Llama-3.1-8B-Instruct",
    "num_prompts": 10,
    "burstiness": 1.0,
    "total_token_throughput": 1200.0,
    "input_lens": [1000] * 10,
    "output_lens": [200] * 10,
    **COUNTS,
}
SGLANG = {
    "backend": "sglang",
    "dataset_name": "random",
    "sharegpt_output_len": None,
    "random_input_len": 2000,
    "random_output_len": 400,
    "random_range_ratio": 0.0,
    "input_throughput": 1000.0,
    "mean_e2e_latency_ms": 3235.0,
    "concurrency": 3.5,
    "accept_length": None,
    **COUNTS,
}


def _spread(mean: float) -> dict[str, Any]:
    return {"successful": {"mean": mean, "median": mean, "std_dev": 0.0, "count": 10}}


GUIDELLM = {
    "args": {"target": "http://localhost:8000", "profile": "concurrent"},
    "benchmarks": [
        {
            "config": {
                "strategy": {"type_": "concurrent", "streams": 4},
                "backend": {"type_": "openai_http", "model": "meta-llama/Llama-3.1-8B-Instruct"},
            },
            "metrics": {
                "requests_per_second": _spread(1.0),
                "request_concurrency": _spread(3.5),
                "prompt_token_count": _spread(1000.0),
                "output_token_count": _spread(200.0),
                "time_to_first_token_ms": _spread(250.0),
                "inter_token_latency_ms": _spread(15.0),
                "output_tokens_per_second": _spread(200.0),
            },
        }
    ],
}


def _metric(unit: str, mean: float) -> dict[str, Any]:
    return {"unit": unit, "avg": mean}


AIPERF = {
    "schema_version": "1.3",
    "aiperf_version": "0.10.0",
    "request_throughput": _metric("requests/sec", 1.0),
    "time_to_first_token": {"p50": 240.0, **_metric("ms", 250.0)},
    "inter_token_latency": {"p50": 14.0, **_metric("ms", 15.0)},
    "output_token_throughput": _metric("tokens/sec", 200.0),
    "input_sequence_length": {"std": 0.0, **_metric("tokens", 1000.0)},
    "output_sequence_length": {"std": 0.0, **_metric("tokens", 200.0)},
    "input_config": {
        "endpoint": {"model_names": ["meta-llama/Llama-3.1-8B-Instruct"]},
        "loadgen": {"concurrency": 4},
    },
}
GENAI_PERF = {
    **{key: of for key, of in AIPERF.items() if not key.endswith("version")},
    "input_config": {
        "model": ["meta-llama/Llama-3.1-8B-Instruct"],
        "perf_analyzer": {"stimulus": {"concurrency": 4}},
    },
}
INFERENCEX = {
    "hw": "h200-nb_0",
    "tp": 8,
    "ep": 1,
    "dp_attention": "false",
    "conc": 4,
    "model": "deepseek-ai/DeepSeek-V3",
    "framework": "trt",
    "precision": "fp8",
    "tput_per_gpu": 150.0,
    "output_tput_per_gpu": 25.0,
    "mean_ttft": 0.25,
    "mean_tpot": 0.015,
    "mean_intvty": 66.7,
}
RESULTS = {
    "vllm": VLLM,
    "sglang": SGLANG,
    "guidellm": GUIDELLM,
    "aiperf": AIPERF,
    "genai-perf": GENAI_PERF,
    "inferencex": INFERENCEX,
}
# What the files leave out.
NAMED = {
    "vllm": "--xpu h100-sxm --n-xpus 1 --precision bf16",
    "sglang": "--model llama-3.1-8b --xpu h100-sxm --n-xpus 1 --precision bf16",
    "guidellm": "--xpu h100-sxm --n-xpus 1 --precision bf16",
    "aiperf": "--xpu h100-sxm --n-xpus 1 --precision bf16",
    "genai-perf": "--xpu h100-sxm --n-xpus 1 --precision bf16",
    "inferencex": "--prompt-tokens 1024 --output-tokens 1024",
}


def written(folder: Path, tool: str, result: object = None) -> Path:
    file = folder / f"{tool}.json"
    file.write_text(json.dumps(RESULTS[tool] if result is None else result), encoding="utf-8")
    return file


@pytest.mark.parametrize("tool", RESULTS)
def test_every_tool_tells_the_same(tmp_path: Path, tool: str) -> None:
    (row,) = benchmark_files.read(written(tmp_path, tool)).to_dict("records")
    assert row["ttft_s"] == pytest.approx(0.25)
    assert row["tpot_s"] == pytest.approx(0.015)
    assert row["output_tokens_per_s"] == pytest.approx(200.0)
    assert row["concurrency"] == 4.0
    if tool != "inferencex":
        assert row["prompt_tokens"] == pytest.approx(1000.0)
        assert row["output_tokens"] == pytest.approx(200.0)
        # Little's law: 1 request/s, each 0.25 s + 199 x 0.015 s; SGLang and GuideLLM count them.
        flying = 3.5 if tool in ("sglang", "guidellm") else 0.25 + 199 * 0.015
        assert row["mean_concurrency"] == pytest.approx(flying)


def test_what_only_some_tools_tell(tmp_path: Path) -> None:
    (vllm,) = benchmark_files.read(written(tmp_path, "vllm")).to_dict("records")
    assert (vllm["model"], vllm["engine"], vllm["lengths"]) == ("llama-3.1-8b", "vllm", "fixed")
    (sglang,) = benchmark_files.read(written(tmp_path, "sglang")).to_dict("records")
    assert (sglang["engine"], sglang["lengths"]) == ("sglang", "uniform")
    (run,) = benchmark_files.read(written(tmp_path, "inferencex")).to_dict("records")
    assert (run["model"], run["xpu"], run["engine"]) == ("deepseek-v3", "h200-sxm", "trtllm")
    assert (run["n_xpus"], run["source"]) == (8.0, "InferenceX")


def test_one_result_a_line(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text("\n".join(json.dumps(SGLANG) for _ in range(3)) + "\n", encoding="utf-8")
    assert len(benchmark_files.read(file)) == 3


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "llama-3.1-70b"),
        ("nvidia/Llama-3.3-70B-Instruct-FP8", "llama-3.3-70b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("acme/unheard-of", "acme/unheard-of"),
        (None, None),
    ],
)
def test_published_names_are_models(name: str | None, identifier: str | None) -> None:
    assert benchmark_files.model_id(name) == identifier


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    printed = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, printed.out, printed.err


@pytest.mark.parametrize("tool", RESULTS)
def test_results_are_validated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tool: str
) -> None:
    file = str(written(tmp_path, tool))
    status, out, error = run(capsys, "validate", "serving", file, *NAMED[tool].split(), "--json")
    assert (status, error) == (0, "")
    found = json.loads(out)["targets"]
    assert {of: found[of]["rows"] for of in ("ttft", "tpot", "throughput")} == {
        "ttft": 1,
        "tpot": 1,
        "throughput": 1,
    }


UNKNOWN = {
    "another tool": ({"latency": 1.0}, "tool or version that isn't known"),
    "no object": ([1, 2], "holds no result"),
    "a version without throughput": (
        {key: of for key, of in AIPERF.items() if key != "output_token_throughput"},
        "looks like one of AIPerf, but has no output_token_throughput.avg",
    ),
    "a version without metrics": ({"benchmarks": [{}]}, "a benchmark has no metrics"),
    "no list of benchmarks": ({"benchmarks": 3}, "a benchmark has no metrics"),
    "metrics without units": ({**AIPERF, "time_to_first_token": 3}, "time_to_first_token.avg"),
    "a run of another kind": ({**VLLM, "completed": "many"}, "but has no completed"),
    "a unit": ({**AIPERF, "time_to_first_token": _metric("days", 1.0)}, "known units are ms"),
    "no run": ({"benchmarks": []}, "holds no finished run"),
    "nothing finished": ({**VLLM, "completed": 0}, "without any finished request"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    result, complaint = UNKNOWN[what]
    file = str(written(tmp_path, "vllm", result))
    status, out, error = run(capsys, "validate", "serving", file, *NAMED["sglang"].split())
    assert (status, out) == (2, "")
    assert complaint in error
    assert error.count("\n") == 1


def test_what_is_missing_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(written(tmp_path, "vllm"))
    status, _, error = run(capsys, "validate", "serving", file, "--xpu", "h100-sxm")
    assert status == 2
    assert "name it with --n-xpus, --precision" in error
    other = str(written(tmp_path, "vllm", {**VLLM, "model_id": "acme/unheard-of"}))
    status, _, error = run(capsys, "validate", "serving", other, *NAMED["vllm"].split())
    assert status == 2
    assert "acme/unheard-of, is no id of the catalogue" in error


def test_options_of_deployments_are_refused_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("model,xpu\na,h100-sxm\n", encoding="utf-8")
    status, _, error = run(capsys, "validate", "training-runs", str(file), "--engine", "vllm")
    assert status == 2
    assert "--engine is for serving and offline alone" in error


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is no JSON"):
        benchmark_files.read(file)
    with pytest.raises(InputError, match="can't be read"):
        benchmark_files.read(tmp_path / "absent.json")
