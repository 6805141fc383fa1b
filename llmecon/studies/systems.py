"""The best layouts of several models on several accelerators, found in one batch."""

from collections.abc import Sequence
from functools import partial

import jax

from llmecon import catalog, serving
from llmecon.interpreter import interpreted
from llmecon.pooling import System
from llmecon.serving import Capacity
from llmecon.specs import LLM, XPU, Deployment, Efficiency, LatencyTarget, Workload, precision


def best_layouts(
    systems: Sequence[System], workload: Workload, target: LatencyTarget
) -> list[tuple[Deployment, Capacity]]:
    """The layout that serves each system best, and the most that it serves.

    Args:
        systems: with model, accelerator and precision, the last one the same in all.
        workload: what is asked.
        target: limits on TTFT and TPOT.

    Returns:
        One layout and its capacity a system; a capacity of 0 where no layout meets the limits.
    """
    (weights,) = {of.precision for of in systems}
    found = _best_layouts(
        catalog.llms(of.model for of in systems),
        catalog.xpus(of.xpu for of in systems),
        catalog.stack(catalog.efficiency(of) for of in systems),
        workload,
        target,
        weights,
    )
    return [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in range(len(systems))]


@interpreted
def _best_layouts(
    llms: LLM,
    xpus: XPU,
    efficiencies: Efficiency,
    workload: Workload,
    target: LatencyTarget,
    weights: str,
) -> tuple[Deployment, Capacity]:
    @partial(jax.vmap, in_axes=(0, 0, 0))
    def best(llm: LLM, xpu: XPU, efficiency: Efficiency) -> tuple[Deployment, Capacity]:
        return serving.best_deployment(llm, xpu, precision(weights), workload, efficiency, target)

    found: tuple[Deployment, Capacity] = best(llms, xpus, efficiencies)
    return found
