"""The best layouts of several models on several accelerators, found in one batch."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from llmecon import serving
from llmecon.evidence import server_levels
from llmecon.evidence.server_levels import SetUp
from llmecon.execution.interpreter import interpreted
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
from llmecon.tables import catalog
from llmecon.tables.efficiencies import System

TOGETHER = 32
"""Services that are searched at once: any number of them then shares one trace."""


class Named(Protocol):
    """A scenario that names a system, perhaps with its engine."""

    @property
    def model(self) -> str:
        """Id of the model."""

    @property
    def xpu(self) -> str:
        """Id of the accelerator."""

    @property
    def precision(self) -> str:
        """Of the weights."""


class Served(Named, SetUp, Protocol):
    """A scenario that names a system and says how it is set up."""


def best_tuned(scenario: Named, model: str = "", xpu: str = "", precision: str = "") -> System:
    """By which efficiencies of the best public benchmarks are looked up; as for `system_of`."""
    engine = getattr(scenario, "engine", "any")
    return catalog.system(
        model or scenario.model,
        xpu or scenario.xpu,
        None if engine == "any" else engine,
        precision or scenario.precision,
    )


def system_of(scenario: Served, model: str = "", xpu: str = "", precision: str = "") -> System:
    """By which efficiencies are looked up, also of another model, accelerator or precision.

    Args:
        scenario: which names the rest, and says how all servers are set up.
        model: id; the scenario's by default.
        xpu: id; the scenario's by default.
        precision: of the weights; the scenario's by default.
    """
    return server_levels.at_level(best_tuned(scenario, model, xpu, precision), scenario)


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
    probable = _gathered([one.system for one in asked], catalog.attainment().probable)
    return _searched(asked, Efficiency(**probable))


def drawn_layouts(
    system: System, workload: Workload, target: LatencyTarget
) -> tuple[Efficiency, Deployment]:
    """What a system may attain, and the layout that then serves it best.

    Whoever finds a server slower than expected splits the model over more devices.

    Args:
        system: with model, accelerator and precision.
        workload: what is asked.
        target: limits on TTFT and TPOT.

    Returns:
        Draws of efficiencies and the layout of each, with a leading dimension of draws.
    """
    draws = jax.tree.map(np.asarray, catalog.efficiency_draws(system))
    layouts, _ = _searched([Asked(system, workload, target)] * len(draws.memory), draws)
    return draws, layouts


def _searched(asked: Sequence[Asked], efficiencies: Efficiency) -> tuple[Deployment, Capacity]:
    """The best layout of each service, for efficiencies of its own."""
    systems = [one.system for one in asked]
    inputs = (
        _gathered([of.model for of in systems], catalog.llm),
        _gathered([of.xpu for of in systems], catalog.xpu),
        _gathered([of.precision for of in systems], precision),
        stacked([one.requests for one in asked]),
        efficiencies,
        stacked([one.target for one in asked]),
    )
    parts = []
    for start in range(0, len(asked), TOGETHER):
        # The last rows are filled up with the last service: another shape would be traced anew.
        rows = np.minimum(np.arange(start, start + TOGETHER), len(asked) - 1)
        parts.append(_best(*jax.tree.map(lambda leaf, rows=rows: leaf[rows], inputs)))
    found: tuple[Deployment, Capacity] = jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[: len(asked)], *parts
    )
    return found


def _gathered(names: Sequence[Hashable], record: Callable[[Any], Any]) -> Any:
    """The records of some names in one, each made once."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    codes = np.array([places[name] for name in names])
    return jax.tree.map(lambda leaf: leaf[codes], stacked([record(name) for name in places]))


def stacked(records: Iterable[Any]) -> Any:
    """Records in one, by NumPy: `catalog.stack` compiles for every number of them."""
    return jax.tree.map(lambda *leaves: np.array(leaves, dtype=float), *records)


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
