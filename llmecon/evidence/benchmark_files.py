"""Result files of the load generators that people use, as rows of a measurement file.

Read are, as their sources write them: `vllm bench serve` [VLLMBench], SGLang's `bench_serving`
[SGLangBench], GuideLLM [GuideLLM], AIPerf and its forerunner GenAI-Perf [AIPerf], and InferenceX
[InferenceX]. None of these says everything that a prediction needs, such as the accelerator: what
is missing is named by the caller.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from llmecon.errors import InputError
from llmecon.evidence import conditions
from llmecon.tables import catalog

Result = Mapping[str, Any]
Row = dict[str, Any]

# How InferenceX calls accelerators, by the beginning of its runners' names.
_HARDWARE: Mapping[str, str] = {"h100": "h100-sxm", "h200": "h200-sxm"}
# Endings of published names that say how weights are stored or tuned, not which model they are.
_ENDINGS = re.compile(
    r"(-(instruct|chat|it|hf|fp8|fp4|nvfp4|mxfp4|bf16|dynamic|kv|awq|gptq|int4|w4a16|\d{4}))+$"
)


@dataclass(frozen=True)
class Tool:
    """A load generator whose result files are read.

    Attributes:
        name: as people call it.
        signs: keys that tell its files from others.
        rows: a file's result as rows of a measurement file.
    """

    name: str
    signs: tuple[str, ...]
    rows: Callable[[Result], Iterable[Row]]


def read(path: Path) -> pd.DataFrame:
    """The rows of a load generator's result file.

    Args:
        path: a file of JSON, or of one JSON object a line.

    Returns:
        Rows in the schema of measured_serving, as far as the file tells.

    Raises:
        InputError: no such file, no JSON, or of a tool or version that isn't known.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8") from error
    results = _results(path, text)
    rows = [row for result in results for row in _tool(path, result).rows(result)]
    if not rows:
        raise InputError(f"{path} holds no finished run")
    return pd.DataFrame(rows)


def _results(path: Path, text: str) -> list[Result]:
    try:
        found: Any = json.loads(text)
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InputError(f"{path} is no JSON: {error}") from error
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(isinstance(of, dict) for of in listed):
        raise InputError(f"{path} holds no result: a JSON object, or one a line, is expected")
    return listed


def _tool(path: Path, result: Result) -> Tool:
    for tool in TOOLS:
        if all(sign in result for sign in tool.signs):
            return tool
    names = ", ".join(tool.name for tool in TOOLS)
    raise InputError(f"{path} is of a tool or version that isn't known; known are {names}")


def _number(tool: str, result: Result, *keys: str) -> float:
    """A number at a place in a result.

    Raises:
        InputError: there is none.
    """
    found = _maybe(result, *keys)
    if found is None:
        raise InputError(f"the file looks like one of {tool}, but has no {'.'.join(keys)}")
    return found


def _maybe(result: Any, *keys: str) -> float | None:
    for key in keys:
        if not isinstance(result, Mapping) or key not in result:
            return None
        result = result[key]
    if isinstance(result, bool) or not isinstance(result, int | float | str):
        return None
    try:
        number = float(result)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _first(result: Result, places: Sequence[Sequence[str]]) -> float | None:
    found = (_maybe(result, *place) for place in places)
    return next((number for number in found if number is not None and number > 0), None)


def _text(result: Any, *keys: str) -> str | None:
    for key in keys:
        result = result.get(key) if isinstance(result, Mapping) else None
    if isinstance(result, list) and result:
        result = result[0]
    return result if isinstance(result, str) and result else None


def model_id(name: str | None) -> str | None:
    """The id of a model by the name under which it is published.

    Args:
        name: such as meta-llama/Llama-3.1-8B-Instruct.

    Returns:
        The catalogue's id, or the name itself where it isn't known.
    """
    if name is None:
        return None
    known = set(catalog.ids("models"))
    bare = name.split("/")[-1].lower().removeprefix("meta-")
    for tried in (bare, _ENDINGS.sub("", bare)):
        if tried in known:
            return tried
    return name


def _closed_loop(rate: float, ttft: float, tpot: float, output: float, most: float | None) -> Row:
    """Clients and requests in flight, by Little's law [Little1961]."""
    in_flight = max(rate * (ttft + tpot * max(output - 1.0, 0.0)), 1.0)
    if most is None:
        return {"concurrency": in_flight}
    return {"concurrency": most, "mean_concurrency": min(in_flight, most)}


def _of_vllm(result: Result) -> list[Row]:
    return [_of_counts(result, "vllm bench serve")]


def _of_sglang(result: Result) -> list[Row]:
    row = _of_counts(result, "SGLang's bench_serving")
    ratio = _maybe(result, "random_range_ratio")
    if _text(result, "dataset_name") in ("random", "random-ids") and ratio in (0.0, 1.0):
        row["lengths"] = "fixed" if ratio == 1.0 else "uniform"
    in_flight = _maybe(result, "concurrency")
    if in_flight is not None:
        row["mean_concurrency"] = max(in_flight, 1.0)
    accepted = _maybe(result, "accept_length")
    row["speculative"] = int(accepted is not None and accepted > 1.0)
    return [row]


def _of_counts(result: Result, tool: str) -> Row:
    """A row from totals over a run, as vLLM's and SGLang's tools write them."""
    completed = _number(tool, result, "completed")
    if completed <= 0:
        raise InputError("the file is of a run without any finished request")
    prompt, output = (
        _number(tool, result, f"total_{of}_tokens") / completed for of in ("input", "output")
    )
    ttft, tpot = (_number(tool, result, f"mean_{of}_ms") / 1e3 for of in ("ttft", "tpot"))
    rate = _number(tool, result, "request_throughput")
    most = _maybe(result, "max_concurrency")
    if most is None and str(result.get("request_rate")).lower() in ("inf", "infinity"):
        most = _first(result, [["num_prompts"], ["completed"]])
    backend = str(result.get("backend") or result.get("endpoint_type") or "").split("-")[0]
    given = [result[of] for of in ("input_lens", "output_lens") if result.get(of)]
    equal = len(given) == 2 and all(len(set(lengths)) == 1 for lengths in given)
    return {
        "model": model_id(_text(result, "model_id")),
        "engine": backend if backend in conditions.RELEASES else conditions.ENGINES.get(backend),
        "prompt_tokens": prompt,
        "output_tokens": output,
        "lengths": "fixed" if equal else "measured",
        "ttft_s": ttft,
        "tpot_s": tpot,
        "output_tokens_per_s": _number(tool, result, "output_throughput"),
        "speculative": int((_maybe(result, "spec_decode_acceptance_length") or 1.0) > 1.0),
        **_closed_loop(rate, ttft, tpot, output, most),
    }


def _of_guidellm(result: Result) -> Iterable[Row]:
    tool = "GuideLLM"
    runs = result["benchmarks"]
    for run in runs if isinstance(runs, list) else [runs]:
        if not isinstance(run, Mapping) or not isinstance(run.get("metrics"), Mapping):
            raise InputError(f"the file looks like one of {tool}, but a benchmark has no metrics")

        def mean(name: str, of: Result = run["metrics"]) -> float:
            return _number(tool, of, name, "successful", "mean")

        strategies = [
            place for at in ("config", "args") for place in ([at, "strategy"], [at, "profile"])
        ]
        most = _first(run, [[*at, "streams"] for at in strategies])
        in_flight = _maybe(run["metrics"], "request_concurrency", "successful", "mean")
        ttft, tpot = (
            mean(f"{of}_ms") / 1e3 for of in ("time_to_first_token", "inter_token_latency")
        )
        output = mean("output_token_count")
        rate = mean("requests_per_second")
        load = _closed_loop(rate, ttft, tpot, output, most)
        if in_flight is not None:
            load["mean_concurrency" if most else "concurrency"] = max(in_flight, 1.0)
        places = (["config", "backend", "model"], ["worker", "backend_model"], ["args", "model"])
        names = [_text(of, *at) for of in (run, result) for at in places]
        yield {
            "model": model_id(next(filter(None, names), None)),
            "prompt_tokens": mean("prompt_token_count"),
            "output_tokens": output,
            "lengths": "measured",
            "ttft_s": ttft,
            "tpot_s": tpot,
            "output_tokens_per_s": mean("output_tokens_per_second"),
            **load,
        }


# Seconds in the units of AIPerf's metrics.
_UNITS: Mapping[str, float] = {"ms": 1e-3, "sec": 1.0, "s": 1.0, "us": 1e-6, "ns": 1e-9}


def _of_aiperf(result: Result) -> list[Row]:
    tool = "AIPerf"

    def seconds(name: str) -> float:
        unit = _text(result, name, "unit") or "ms"
        if unit not in _UNITS:
            raise InputError(f"{name} is in {unit}; known units are {', '.join(_UNITS)}")
        return _number(tool, result, name, "avg") * _UNITS[unit]

    places = (
        ["input_config", "loadgen", "concurrency"],
        ["input_config", "concurrency"],
        ["input_config", "perf_analyzer", "stimulus", "concurrency"],
        ["concurrency"],
    )
    names = (
        ["input_config", "endpoint", "model_names"],
        ["input_config", "model"],
        ["input_config", "model_names"],
        ["model"],
    )
    ttft, tpot = seconds("time_to_first_token"), seconds("inter_token_latency")
    output = _number(tool, result, "output_sequence_length", "avg")
    rate = _number(tool, result, "request_throughput", "avg")
    spreads = [_maybe(result, f"{of}_sequence_length", "std") for of in ("input", "output")]
    return [
        {
            "model": model_id(next(filter(None, (_text(result, *at) for at in names)), None)),
            "prompt_tokens": _number(tool, result, "input_sequence_length", "avg"),
            "output_tokens": output,
            "lengths": "fixed" if spreads == [0.0, 0.0] else "measured",
            "ttft_s": ttft,
            "tpot_s": tpot,
            "output_tokens_per_s": _number(tool, result, "output_token_throughput", "avg"),
            **_closed_loop(rate, ttft, tpot, output, _first(result, places)),
        }
    ]


def _of_inferencex(result: Result) -> list[Row]:
    tool = "InferenceX"
    devices = _number(tool, result, "tp")
    spread = str(result.get("dp_attention")).lower() == "true"
    hardware = str(result["hw"]).lower().split("-")[0]
    framework = str(result.get("framework", "")).lower().removeprefix("dynamo-")
    drafted = str(result.get("mtp") or result.get("spec_decoding") or "none").lower()
    return [
        {
            "model": model_id(_text(result, "model")),
            "xpu": _HARDWARE.get(hardware, hardware),
            "n_xpus": devices,
            "tensor_parallel": 1.0 if spread else devices,
            "data_parallel": devices if spread else 1.0,
            "expert_parallel": _maybe(result, "ep") or 1.0,
            "precision": _text(result, "precision"),
            "engine": conditions.ENGINES.get(framework, framework),
            "concurrency": _number(tool, result, "conc"),
            "prompt_tokens": _maybe(result, "isl"),
            "output_tokens": _maybe(result, "osl"),
            "ttft_s": _number(tool, result, "mean_ttft"),
            "tpot_s": _number(tool, result, "mean_tpot"),
            "output_tokens_per_s": devices * _number(tool, result, "output_tput_per_gpu"),
            "speculative": int(drafted not in ("none", "off", "false", "")),
            "source": tool,
        }
    ]


TOOLS = (
    Tool("InferenceX", ("hw", "tp", "conc", "output_tput_per_gpu"), _of_inferencex),
    Tool("GuideLLM", ("benchmarks",), _of_guidellm),
    Tool("AIPerf and GenAI-Perf", ("time_to_first_token", "inter_token_latency"), _of_aiperf),
    Tool("vllm bench serve", ("model_id", "total_input_tokens", "mean_ttft_ms"), _of_vllm),
    Tool("SGLang's bench_serving", ("backend", "random_input_len", "mean_ttft_ms"), _of_sglang),
)


def named(rows: pd.DataFrame, given: Mapping[str, Any], wanted: Sequence[str]) -> pd.DataFrame:
    """Rows of a result file with what the caller names in the place of what they lack or say.

    Args:
        rows: from `read`.
        given: values by column; what is None isn't named.
        wanted: columns that must be told in the end.

    Raises:
        InputError: a column that is wanted is told by neither.
    """
    told = {name: value for name, value in given.items() if value is not None}
    found = rows.assign(**told)
    if "n_xpus" in wanted and "n_xpus" not in found and "tensor_parallel" in told:
        found["n_xpus"] = told["tensor_parallel"]
    missing = [of for of in wanted if of not in found or found[of].isna().all()]
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise InputError(f"the file doesn't tell {', '.join(missing)}: name it with {options}")
    if "model" in wanted and not found["model"].isin(catalog.ids("models")).any():
        raise InputError(
            f"the file's model, {found['model'].iloc[0]}, is no id of the catalogue (llmecon list "
            "models): name it with --model"
        )
    return found
