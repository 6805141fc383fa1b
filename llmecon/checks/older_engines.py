"""Serving software of other times, as far as it decides which accelerator is cheapest.

The scheduler and HTTP server of vLLM before 0.6 shared one Python process and held up the GPU for a
time that does not depend on it. How long is derived from what others measured of that engine::

    h = (1 / measured rate - 1 / modelled rate at h = 0) / output tokens
    s = (1 / rate online - 1 / rate offline) / output tokens

where h, from runs offline [VLLM7162], and s, from a server [VLLM5046], are together host work per
sequence and step. A published profile of the time [VLLM060] gives
other values: its share of execution a lower one, its ratio of server to scheduling a higher one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import serving
from llmecon.specs import XPU, Deployment, Efficiency, Instance, Workload, precision
from llmecon.tables import catalog

# The batch of the runs that the host's work is derived from: a backlog fills what is allowed.
BACKLOG_VERSIONS = ("vllm-2024-08-05-offline", "vllm-2024-08-04-offline")
# A host that works on one sequence after another never shares its work.
NEVER_SHARED = 1e9


@dataclass(frozen=True)
class Engine:
    """Serving software, as far as it decides which accelerator is cheapest.

    Attributes:
        name: as in reports.
        efficiency: what it attains of a datasheet, and what it adds to it.
        sequences: most that run at once on an instance.
        memory: bytes that a programme sees of an accelerator, by id; the datasheet's otherwise.
    """

    name: str
    efficiency: Efficiency
    sequences: float
    memory: Mapping[str, float]

    def xpu(self, identifier: str) -> XPU:
        """An accelerator with the memory that this engine finds on it."""
        found = catalog.xpu(identifier)
        seen = self.memory.get(identifier)
        return found if seen is None else eqx.tree_at(lambda of: of.memory, found, jnp.array(seen))


@dataclass(frozen=True)
class HostWork:
    """Host work per sequence and decode step of vLLM before 0.6, s.

    Attributes:
        scheduling: within the engine, from runs without a server.
        server: of streaming tokens over HTTP, from the same version run with and without it.
        low: both together, from the published share of time that the accelerator works.
        high: both together, from the published ratio of the server's time to the scheduler's.
    """

    scheduling: float
    server: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Both together."""
        return self.scheduling + self.server


def today() -> Engine:
    """Today's vLLM as calibrated, with the batch that the serving model allows.

    Returns:
        The engine.
    """
    efficiency = catalog.efficiency(catalog.system(engine="vllm"))
    return Engine("vLLM as calibrated", efficiency, serving.MAXIMUM_SEQUENCES, {})


def early(host_time_per_sequence: float | None = None) -> Engine:
    """The vLLM before 0.6: its host's work, its default batch, and the memory it finds.

    Args:
        host_time_per_sequence: per sequence and step, s; by default `host_work().value`.

    Returns:
        The engine; all else is as calibrated on later versions.
    """
    work = host_work().value if host_time_per_sequence is None else host_time_per_sequence
    eras = _eras()
    seen = eras[eras["quantity"] == "visible-memory"].set_index("xpu")["value"]
    return Engine(
        name="vLLM before 0.6",
        efficiency=_with_host(today().efficiency, work),
        sequences=_era("vllm-0.5.2-sequences"),
        memory={str(name): float(value) * catalog.GIB for name, value in seen.items()},
    )


@cache
def host_work() -> HostWork:
    """The host's work per sequence and step, from measurements of vLLM before 0.6.

    Returns:
        The work, with a range; no measurement of [Griggs2024] enters [VLLM7162] [VLLM7117]
        [VLLM5046] [VLLM060].
    """
    free = _with_host(today().efficiency, 0.0)
    batch = jnp.asarray(_era("vllm-0.5.2-sequences"))
    scheduling, execution = [], []
    for name in BACKLOG_VERSIONS:
        of = catalog.row("engine_eras", name)
        point = serving.operating_point(
            Instance(
                catalog.llm(of["model"]),
                catalog.xpu(of["xpu"]),
                Deployment(precision=precision("bf16")),
                free,
            ),
            Workload(of["prompt_tokens"], of["output_tokens"], prompt_cv=0.0, output_cv=0.0),
            batch,
        )
        scheduling.append((1.0 / of["value"] - 1.0 / float(point.rate)) / of["output_tokens"])
        execution.append(float(point.step))
    server = []
    for version in ("0.4.2", "0.4.3"):
        online = catalog.row("engine_eras", f"vllm-{version}-online")
        alone = _era(f"vllm-{version}-offline")
        server.append((1.0 / online["value"] - 1.0 / alone) / online["output_tokens"])
    shares = {of: _era(f"vllm-0.5.3-{of}") for of in ("server", "scheduling", "execution")}
    idle = (shares["server"] + shares["scheduling"]) / shares["execution"]
    within = float(np.mean(scheduling))
    return HostWork(
        scheduling=within,
        server=float(np.mean(server)),
        low=float(np.mean(execution)) * idle / float(batch),
        high=within * (1.0 + shares["server"] / shares["scheduling"]),
    )


def _with_host(efficiency: Efficiency, seconds: float) -> Efficiency:
    changed: Efficiency = eqx.tree_at(
        lambda of: (of.host_time_per_sequence, of.host_batch),
        efficiency,
        (jnp.asarray(seconds), jnp.asarray(NEVER_SHARED)),
    )
    return changed


def _era(identifier: str) -> float:
    return float(catalog.row("engine_eras", identifier)["value"])


def _eras() -> pd.DataFrame:
    return catalog.table("engine_eras")
