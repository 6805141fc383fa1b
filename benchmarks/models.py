"""How fast the models are: a catalogue at once against one by one, gradients against values.

Every figure is a ratio of two times measured in the same run, medians of several repeats, so that
it means the same on any machine. Run with `make bench`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from llmecon import catalog, roofline, serving, specs

REPEATS = 7


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Median time of a call, compiled beforehand."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Print the table of ratios."""
    llm, xpus = catalog.llm("llama-3.1-70b"), catalog.xpus()
    each = [catalog.xpu(identifier) for identifier in catalog.ids("xpus")]
    deployment = specs.Deployment(tensor=8.0, precision=specs.precision("fp8"))
    workload = catalog.workload("azure-chat-2023")
    efficiency = catalog.efficiency()
    target = specs.LatencyTarget(ttft=2.0, tpot=0.05)
    batch = jnp.asarray(32.0)

    def step(xpu: specs.XPU) -> Any:
        return roofline.forward_pass(
            llm, xpu, deployment, efficiency, batch, jnp.ones(()), workload.mean_context
        ).seconds

    def rate(xpu: specs.XPU) -> Any:
        return serving.capacity(llm, xpu, deployment, workload, efficiency, target).rate

    rows = []
    for name, function in (("one decode step", step), ("capacity within limits", rate)):
        one, all_at_once = jax.jit(function), jax.jit(jax.vmap(function))
        gradient = jax.jit(jax.grad(function))

        def one_by_one(one: Callable[..., Any] = one) -> list[Any]:
            return [one(xpu) for xpu in each]

        single = seconds(one, each[0])
        rows += [
            (
                f"{name}: {len(each)} accelerators by vmap, over one",
                seconds(all_at_once, xpus) / single,
            ),
            (f"{name}: {len(each)} accelerators in a loop, over one", seconds(one_by_one) / single),
            (
                f"{name}: gradient to all of a datasheet, over the value",
                seconds(gradient, each[0]) / single,
            ),
        ]
    width = max(len(name) for name, _ in rows)
    for name, ratio in rows:
        print(f"{name:<{width}}  {ratio:8.1f}")


if __name__ == "__main__":
    main()
