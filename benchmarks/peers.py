"""Other models of the same quantities, run on the measured rows that they can express.

They want packages that this project does not depend on, so they run in an environment of their
own, which `make peers` makes; with no network, point uv at a folder of wheels (UV_FIND_LINKS).

The choices of arguments are ours. EcoLogits is given the true batch and the devices that it would
use itself; GenZ is given the layout, at its default efficiency. Beside them stand our predictions
of the same rows, by fits that saw nothing of their model.
"""

import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

DATA = Path(__file__).parent.parent / "data"
JOULES_PER_KWH = 3.6e6
SPEED_SECONDS = 10.0
BITS = {"bf16": 16, "fp8": 8, "fp4": 4, "int4": 4}

# Names under which GenZ knows models and accelerators; H200 and B200 are not among them.
GENZ_MODELS = {
    "llama-3.1-8b": "meta-llama/meta-llama-3.1-8b",
    "llama-3.1-70b": "meta-llama/meta-llama-3.1-70b",
    "gemma-3-12b": "google/gemma-3-12B",
    "gemma-3-27b": "google/gemma-3-27B",
}
GENZ_SYSTEMS = {"h100-sxm": "H100_GPU"}
GENZ_BITS = {"bf16": "bf16", "fp8": "fp8", "fp4": "int4", "int4": "int4"}


def ecologits_energy(row: Any) -> float:
    """Energy of the accelerators per output token, J, as EcoLogits computes it."""
    from ecologits.impacts import llm

    memory = llm.model_required_memory(row.parameters_total_b, BITS[row.precision])
    devices = llm.gpu_required_count(memory, llm.GPU_MEMORY)
    each = llm.gpu_energy(
        model_active_parameter_count=row.parameters_active_b,
        output_token_count=1.0,
        batch_size=row.concurrency,
        gpu_energy_alpha=llm.GPU_ENERGY_ALPHA,
        gpu_energy_beta=llm.GPU_ENERGY_BETA,
        gpu_energy_gamma=llm.GPU_ENERGY_GAMMA,
    )
    return float(devices * each * JOULES_PER_KWH)


def genz_tpot(row: Any) -> float:
    """Time per output token, s, as GenZ computes it."""
    from GenZ import decode_moddeling

    # It prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        found = decode_moddeling(
            model=GENZ_MODELS[row.model],
            system_name=GENZ_SYSTEMS[row.xpu],
            batch_size=max(round(row.concurrency), 1),
            Bb=1,
            input_tokens=round(row.prompt_tokens),
            output_tokens=round(row.output_tokens),
            bits=GENZ_BITS[row.precision],
            tensor_parallel=int(row.tensor_parallel),
        )
    return float(found["Latency"]) / 1000.0


def genz_speed() -> float:
    """Systems a second whose prompts and answers GenZ computes, on one core."""
    from GenZ import decode_moddeling, prefill_moddeling

    model, system = next(iter(GENZ_MODELS.values())), next(iter(GENZ_SYSTEMS.values()))
    layout = {"bits": "fp8", "tensor_parallel": 1, "model": model, "system_name": system}
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SPEED_SECONDS:
        with contextlib.redirect_stdout(io.StringIO()):
            prefill_moddeling(batch_size=1, input_tokens=1000 + count, **layout)
            decode_moddeling(
                batch_size=16, Bb=1, input_tokens=1000 + count, output_tokens=200, **layout
            )
        count += 1
    return count / (time.perf_counter() - started)


def errors(ratios: Iterable[float]) -> str:
    """Median and mean absolute percentage error and the share within a factor of two."""
    listed = list(ratios)
    off = [abs(ratio - 1.0) for ratio in listed]
    within = sum(0.5 <= ratio <= 2.0 for ratio in listed) / len(listed)
    return f"{statistics.median(off):7.1%} {statistics.mean(off):7.1%} {within:7.0%}"


def compare(
    name: str, rows: pd.DataFrame, column: str, target: str, predict: Callable[[Any], float]
) -> None:
    """Print a peer's errors on some rows, and ours on the same."""
    held_out = pd.read_csv(DATA / "held_out.csv")
    ours = held_out[(held_out["left_out"] == "model") & (held_out["target"] == target)]
    ours = ours.set_index("id").loc[rows["id"]]
    theirs = [predict(row) / getattr(row, column) for row in rows.itertuples()]
    print(f"{name:<22} {target:<8} {len(rows):>5} {errors(theirs)}")
    print(f"{'llmecon':<22} {target:<8} {len(rows):>5} {errors(ours.predicted / ours.measured)}")


def main() -> None:
    """Print the table of errors; with `--speed`, how many systems a second GenZ computes."""
    if "--speed" in sys.argv[1:]:
        print(genz_speed())
        return
    measured = pd.read_csv(DATA / "measured_serving.csv")
    models = pd.read_csv(DATA / "models.csv")[["id", "parameters_total_b", "parameters_active_b"]]
    rows = measured[measured["suspect"].isna() & (measured["speculative"] == 0)]
    rows = rows.merge(models.rename(columns={"id": "model"}), on="model")
    print(f"{'':<22} {'target':<8} {'rows':>5} {'median':>7} {'mean':>7} {'in 2x':>7}")
    energy = rows[rows["energy_j_per_output_token"].notna() & (rows["xpu"] == "h100-sxm")]
    compare("EcoLogits 0.11.3", energy, "energy_j_per_output_token", "energy", ecologits_energy)
    speed = rows[rows["model"].isin(GENZ_MODELS) & rows["xpu"].isin(GENZ_SYSTEMS)]
    compare("GenZ 0.0.16", speed, "tpot_s", "tpot", genz_tpot)


if __name__ == "__main__":
    main()
