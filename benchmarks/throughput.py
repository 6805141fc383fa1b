"""How many systems a second: latency, cost and carbon of many at once, beside GenZ's one by one.

A system is a model on an accelerator in some layout, with its requests, its load, a rent and a
grid; all of these differ. A call computes many of them in blocks: what a block needs stays next to
the processor, and since the loop over blocks is compiled whole, nothing but results leaves it.
Figures are of both cores. GenZ runs in an environment of its own, which uv makes; where it can't,
that line is left out. Run with `make bench`.
"""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# XLA compiles a loop as one function only if it is small, unless told that any is; it reads this
# when JAX first computes something, which the library does when it is imported.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1000000000",
    ]
)

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import paths, serving, specs
from llmecon.costs import carbon
from llmecon.specs import (
    LLM,
    SECONDS_PER_HOUR,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    Site,
    Workload,
)
from llmecon.tables import catalog

Scalar = Float[Array, ""]

BLOCK = 128  # systems that are computed side by side
TOGETHER = 80 * BLOCK  # systems that one call computes
CORES = 2
COUNTS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
MODELS = ("llama-3.1-8b", "qwen3-32b", "llama-3.1-70b", "gpt-oss-120b", "deepseek-v3")
XPUS = ("a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x", "tpu-v6e")
GRIDS = ("usa", "fra", "pol", "swe")


class System(eqx.Module):
    """A system of which everything may differ."""

    llm: LLM
    xpu: XPU
    deployment: Deployment
    requests: Workload
    efficiency: Efficiency
    batch: Scalar
    rent: Scalar
    site: Site


def evaluated(system: System) -> dict[str, Scalar]:
    """TTFT and TPOT [s], cost [USD] and carbon [g CO2e] of a million tokens."""
    found = serving.service_at(
        Instance(system.llm, system.xpu, system.deployment, system.efficiency),
        system.requests,
        system.batch,
    )
    tokens = found.point.rate * (system.requests.prompt_tokens + system.requests.output_tokens)
    emitted = found.point.power * system.deployment.xpus * system.site.pue
    return {
        "ttft": found.ttft,
        "tpot": found.point.tpot,
        "usd": 1e6 * system.rent * system.deployment.xpus / tokens,
        "grams": 1e9 * emitted * carbon.intensity(system.site, "location") / tokens,
    }


def systems(count: int, seed: int = 0) -> System:
    """So many systems, drawn at random, stacked.

    Args:
        count: how many.
        seed: the same seed draws the same.
    """
    draw = np.random.default_rng(seed)

    def chosen(records: list[Any]) -> Any:
        stacked, at = catalog.stack(records), draw.integers(len(records), size=count)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[at], stacked)

    def between(low: float, high: float) -> np.ndarray:
        return np.exp(draw.uniform(np.log(low), np.log(high), count))

    one = np.ones(count)
    layouts = [
        Deployment(tensor=of, precision=specs.precision("fp8")) for of in (1.0, 2.0, 4.0, 8.0)
    ]
    requests = Workload(
        **{
            **{name: one * float(value) for name, value in vars(Workload(1.0, 2.0)).items()},
            "prompt_tokens": between(100.0, 8000.0),
            "output_tokens": between(50.0, 1000.0),
        }
    )
    drawn = System(
        chosen([catalog.llm(of) for of in MODELS]),
        chosen([catalog.xpu(of) for of in XPUS]),
        chosen(layouts),
        requests,
        jax.tree.map(lambda leaf: one * float(leaf), catalog.efficiency()),
        between(1.0, 128.0),
        between(1.0, 10.0) / SECONDS_PER_HOUR,
        chosen([catalog.site(of) for of in GRIDS]),
    )
    # A call takes arrays of JAX's own as they are; it would copy others every time.
    return jax.tree.map(jnp.asarray, drawn)


def compiled(function: Callable[[System], Any]) -> Callable[[System], Any]:
    """The function for `TOGETHER` systems at once, with all optimisation."""

    def block_by_block(system: System) -> Any:
        blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, BLOCK), system)
        found = jax.lax.map(jax.vmap(function), blocks)
        return jax.tree.map(lambda leaf: leaf.reshape(-1), found)

    return jax.jit(block_by_block, compiler_options={"xla_backend_optimization_level": 3})


def seconds(function: Callable[[System], Any], parts: list[System], count: int) -> float:
    """What so many systems take on both cores [s]; the parts are taken in turn."""
    calls = -(-count // TOGETHER)

    def run(call: int) -> None:
        jax.block_until_ready(function(parts[call % len(parts)]))

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(run, range(min(calls, CORES))))  # compiles, and wakes the threads
        started = time.perf_counter()
        list(pool.map(run, range(calls)))
        return time.perf_counter() - started


def rows() -> Iterator[tuple[str, float]]:
    """The table's rows."""
    parts = [systems(TOGETHER, seed) for seed in range(8)]
    value = compiled(evaluated)
    gradient = compiled(jax.grad(lambda of: jnp.log(evaluated(of)["usd"])))
    for count in COUNTS:
        took = seconds(value, parts, count)
        yield f"{count:,} systems, seconds", took
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rate = count / took
    yield "systems a second, of the last", rate
    yield "memory at most, GB", memory
    few = 50 * TOGETHER
    slopes = seconds(gradient, parts, few)
    yield "the cost with its slopes by all of a system, over the value", slopes / (few / rate)
    theirs = genz()
    if theirs:
        yield "systems a second, over those of GenZ on as many cores", rate / (CORES * theirs)


def genz() -> float:
    """Systems a second that GenZ computes on one core; 0 where it isn't to be had."""
    uv = paths.ROOT / ".venv" / "bin" / "uv"
    asked = [str(uv), "run", "--quiet", "--no-project", "--with", "genz-llm==0.0.16"]
    asked += ["--with", "pandas", "python", "benchmarks/peers.py", "--speed"]
    found = subprocess.run(asked, cwd=paths.ROOT, capture_output=True, text=True, env=os.environ)
    return float(found.stdout.split()[-1]) if found.returncode == 0 else 0.0


def main() -> None:
    """Print the table."""
    for name, number in rows():
        print(f"{name:<62} {number:12,.3f}", flush=True)


if __name__ == "__main__":
    main()
