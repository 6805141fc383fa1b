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

from llmecon import choice, serving, specs
from llmecon.checks import enumeration
from llmecon.choice import objective
from llmecon.choice.description import Problem, problem
from llmecon.physics import roofline
from llmecon.specs import Instance
from llmecon.tables import catalog

REPEATS = 7
# The whole catalogue for two sizes of requests; fillings of each engine that enumeration looks at.
CHOICE = {
    "model": "llama-3.1-70b",
    "buckets": [
        {"per_second": 15, "prompt_tokens": 500, "output_tokens": 200, "ttft": 2, "tpot": 0.05},
        {"per_second": 5, "prompt_tokens": 8000, "output_tokens": 500, "ttft": 6, "tpot": 0.05},
    ],
}
LEVELS = 64


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Median time of a call, compiled beforehand."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def choices(problem: Problem) -> list[tuple[str, float]]:
    """What the steps of a choice of hardware take, over looking at every engine once.

    Args:
        problem: the description.

    Returns:
        Rows of the table, with the seconds of the first step.
    """
    case = objective.case(problem)
    relaxed = choice.relaxed(case)
    assert isinstance(relaxed, choice.Relaxed)
    laid_out = seconds(objective.case, problem)
    grid = enumeration.grid(case, LEVELS)
    steps = {
        "shares and fillings by gradients": seconds(choice.relaxed, case),
        "whole instances": seconds(choice.rounded, case, relaxed),
        f"enumeration of {LEVELS} fillings": seconds(enumeration.grid, case, LEVELS),
        "its programme, in parts": seconds(enumeration.in_parts, case, grid),
    }
    name = f"choice among {len(case.options.names)} engines"
    looked = f"{name}: all looked at, seconds"
    return [
        (looked, laid_out),
        *((f"{name}: {step}, over that", took / laid_out) for step, took in steps.items()),
    ]


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
            Instance(llm, xpu, deployment, efficiency), batch, jnp.ones(()), workload.mean_context
        ).seconds

    def rate(xpu: specs.XPU) -> Any:
        return serving.capacity(Instance(llm, xpu, deployment, efficiency), workload, target).rate

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
    rows += choices(problem(CHOICE))
    width = max(len(name) for name, _ in rows)
    for name, ratio in rows:
        print(f"{name:<{width}}  {ratio:8.2f}")


if __name__ == "__main__":
    main()
