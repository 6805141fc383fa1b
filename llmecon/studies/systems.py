"""The best layouts of several models on several accelerators, found in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax

from llmecon import catalog, serving
from llmecon.interpreter import interpreted
from llmecon.pooling import System
from llmecon.serving import Capacity
from llmecon.specs import (
    LLM,
    XPU,
    Deployment,
    Efficiency,
    LatencyTarget,
    Precision,
    Workload,
    precision,
)


@dataclass(frozen=True)
class Asked:
    """A service whose best layout is asked for.

    Attributes:
        system: with model, accelerator and precision.
        requests: what is asked of it.
        target: limits on TTFT and TPOT.
    """

    system: System
    requests: Workload
    target: LatencyTarget


def best_layouts(
    systems: Sequence[System], workload: Workload, target: LatencyTarget
) -> list[tuple[Deployment, Capacity]]:
    """The layout that serves each system best, and the most that it serves.

    Args:
        systems: with model, accelerator and precision.
        workload: what is asked.
        target: limits on TTFT and TPOT.

    Returns:
        One layout and its capacity a system; a capacity of 0 where no layout meets the limits.
    """
    layouts, capacities = best_services([Asked(of, workload, target) for of in systems])
    return [
        jax.tree.map(lambda leaf, i=i: leaf[i], (layouts, capacities)) for i in range(len(systems))
    ]


def best_services(asked: Sequence[Asked]) -> tuple[Deployment, Capacity]:
    """The layout that serves each of several services best, and the most that it serves.

    Args:
        asked: the services; any models, accelerators, precisions, requests and limits.

    Returns:
        Layouts and capacities with a leading dimension of services; a capacity of 0 where no
        layout meets the limits.
    """
    systems = [one.system for one in asked]
    records = {of: catalog.efficiency(of) for of in dict.fromkeys(systems)}
    found: tuple[Deployment, Capacity] = _best(
        catalog.llms(of.model for of in systems),
        catalog.xpus(of.xpu for of in systems),
        catalog.stack(precision(of.precision) for of in systems),
        catalog.stack(one.requests for one in asked),
        catalog.stack(records[of] for of in systems),
        catalog.stack(one.target for one in asked),
    )
    return found


@interpreted
def _best(
    llms: LLM,
    xpus: XPU,
    precisions: Precision,
    requests: Workload,
    efficiencies: Efficiency,
    targets: LatencyTarget,
) -> tuple[Deployment, Capacity]:
    found: tuple[Deployment, Capacity] = jax.vmap(serving.best_deployment)(
        llms, xpus, precisions, requests, efficiencies, targets
    )
    return found
