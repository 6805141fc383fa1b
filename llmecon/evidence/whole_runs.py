"""Whole training runs as published ones went: steps, failures, and all else that they took.

A bare run is its steps, its checkpoints and what failing devices cost. Published runs report more:
evaluations, failed starts, stretches that were repeated, and steps slower than the law gives them.
How much more is fitted to published device-hours (`run_fit`), and how far such runs
differ from each other makes the interval. Every figure of a whole run in the book is one of these.
"""

import math
from collections.abc import Sequence
from functools import cache, partial
from itertools import product

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.evidence import training_rows
from llmecon.evidence.run_fit import RunCalibration, calibrated_runs, measured_runs
from llmecon.evidence.training_fit import TABLES
from llmecon.evidence.training_rows import in_our_names, refusals, setups
from llmecon.evidence.uncertainty import Multiple
from llmecon.execution import disk_cache
from llmecon.execution.interpreter import interpreted
from llmecon.numerics import whole
from llmecon.physics.energy import Energy, energy_of
from llmecon.specs import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    XPU,
    Efficiency,
    Site,
)
from llmecon.tables import catalog
from llmecon.training import (
    Reliability,
    TrainingJob,
    TrainingLayout,
    TrainingRun,
    training_goodput,
)
from llmecon.training.planning import TrainingPlan, plan_for_deadline, plan_with_layout

Scalar = Float[Array, "..."]

# A run of which no more is said: failures as Meta met them [Llama3Herd2024], and what the chapter
# on accelerators plans by default.
CLUSTER = Reliability(device_mtbf=50677.0 * SECONDS_PER_HOUR, checkpoint=30.0, restart=600.0)
DEADLINE = 90.0 * SECONDS_PER_DAY
GLOBAL_BATCH = 16e6
SEQUENCE = 8192.0


def run_of(
    model: str,
    tokens: float,
    sequence: float = SEQUENCE,
    global_batch: float = GLOBAL_BATCH,
    trainable: float = 1.0,
) -> TrainingRun:
    """A training run of a model of the catalogue.

    Args:
        model: its id.
        tokens: that it is trained on.
        sequence: tokens per sequence, if the model's context and the batch allow.
        global_batch: tokens per optimizer step.
        trainable: share of the weights that are trained.

    Returns:
        The run, its sequences no longer than the context or the batch.
    """
    context = float(catalog.row("models", model)["context_tokens"])
    return TrainingRun(tokens, min(sequence, context, global_batch), global_batch, trainable)


def overheads(
    models: Sequence[str], xpus: Sequence[str], calibration: RunCalibration | None = None
) -> list[Multiple]:
    """Wall-clock of whole runs over that of bare ones, one for each model on its accelerator.

    Args:
        models: ids; the name tells a model's family.
        xpus: ids, one a model.
        calibration: the fit to use; that to all published runs by default, whose overheads are
            kept, since the fit takes seconds.

    Returns:
        Multiples of what `training.wall_clock` gives with an overhead of 1 and the shared
        efficiencies, from all measured steps and all published runs; the layout is a usual one
        and the software is taken to be unknown. Published hours hold the failures of their
        clusters, which a bare run has too: these are taken off.
    """
    if calibration is None:
        every = _every_overhead()
        return [
            every[catalog.require("models", model), catalog.require("xpus", xpu)]
            for model, xpu in zip(models, xpus, strict=True)
        ]
    of = [catalog.row("models", model) for model in models]
    frame = pd.DataFrame(
        {
            "model": list(models),
            "label": [row["name"] for row in of],
            "xpu": [catalog.require("xpus", xpu) for xpu in xpus],
            "precision": "bf16",
            "parameters_total_b": [row["parameters_total_b"] for row in of],
            "parameters_active_b": [row["parameters_active_b"] for row in of],
            "tokens_b": 1.0,
        }
    )
    rows = in_our_names(frame)
    assert (refusals(rows, ("tokens_b",)) == "").all()
    usual = setups(rows)
    logs, sds = calibration.predict(rows, usual)
    steps = _steps(usual.jobs(catalog.efficiency()), usual.layout)
    tokens = np.asarray(usual.run.tokens)
    bare = np.asarray(steps.seconds * usual.layout.devices / usual.run.global_batch) * tokens
    means = logs - np.log(bare / SECONDS_PER_HOUR) + math.log(_published_goodput())
    return [Multiple(float(mean), float(sd)) for mean, sd in zip(means, sds, strict=True)]


_steps = interpreted(training_rows.steps)
_plan = interpreted(plan_for_deadline)


@cache
def _rests_on() -> str:
    return disk_cache.rests_on(__name__, *TABLES)


@cache
def _every_overhead() -> dict[tuple[str, str], Multiple]:
    """The overhead of every model on every accelerator, by the fit to all published runs."""
    pairs = list(product(catalog.ids("models"), catalog.ids("xpus")))

    def found() -> list[Multiple]:
        models, xpus = zip(*pairs, strict=True)
        return overheads(models, xpus, calibrated_runs())

    return dict(zip(pairs, disk_cache.kept("overheads", _rests_on(), found), strict=True))


def overhead(model: str, xpu: str) -> Multiple:
    """Wall-clock of a whole run over that of a bare one; see `overheads`.

    Args:
        model: id.
        xpu: id.
    """
    return overheads([model], [xpu])[0]


@cache
def _published_goodput() -> float:
    """Share of wall-clock left by failures in the typical published run, whatever its size."""
    devices = measured_runs()[0]["devices"].dropna().to_numpy(float)
    return float(jnp.exp(jnp.mean(jnp.log(training_goodput(jnp.asarray(devices), CLUSTER)))))


def with_overhead(reliability: Reliability, times: Scalar | float) -> Reliability:
    """The same cluster, for runs that take more than their bare time.

    Args:
        reliability: failures and what they cost.
        times: wall-clock of whole runs over that of bare ones; 1 for a bare run.

    Returns:
        The record with that overhead.
    """
    longer: Reliability = eqx.tree_at(lambda of: of.overhead, reliability, jnp.asarray(times))
    return longer


def planned(model: str, xpu: str, tokens: float, deadline: float = DEADLINE) -> TrainingPlan:
    """The fewest devices that train a model in time, all that published runs took included.

    Args:
        model: id.
        xpu: id.
        tokens: that it is trained on.
        deadline: wall-clock time allowed, s.

    Returns:
        The plan; where nothing meets the deadline, that for twice the shortest time, since the
        fastest fleet wastes most of itself, and where nothing fits, the one nearest to fitting.

    Raises:
        InputError: unknown model or accelerator.
    """
    catalog.require("models", model)
    catalog.require("xpus", xpu)
    key = disk_cache.digest(_rests_on(), model, xpu, f"{tokens!r} {deadline!r}")
    return disk_cache.kept("training", key, partial(_planned, model, xpu, tokens, deadline))


def _planned(model: str, xpu: str, tokens: float, deadline: float) -> TrainingPlan:
    reliability = with_overhead(CLUSTER, overhead(model, xpu).median)
    efficiency = catalog.efficiency(catalog.system(xpu=xpu))
    job = TrainingJob(catalog.llm(model), catalog.xpu(xpu), run_of(model, tokens), efficiency)
    plan: TrainingPlan = _plan(job, jnp.asarray(deadline), reliability)
    if plan.fits > 0 and plan.feasible == 0:
        plan = _plan(job, 2.0 * plan.seconds, reliability)
    return plan


def energy(plan: TrainingPlan, xpu: XPU, efficiency: Efficiency, site: Site) -> Energy:
    """Energy of a planned run.

    Args:
        plan: its devices, their time and power.
        xpu: the accelerator.
        efficiency: its host's power.
        site: where; its PUE.

    Returns:
        Joules by boundary.
    """
    return energy_of(plan.device_seconds, plan.step.power, efficiency.host_power * xpu.tdp, site)


def devices_in_time(
    job: TrainingJob,
    layout: TrainingLayout,
    deadline: Scalar,
    reliability: Reliability,
    slower: Scalar,
) -> Scalar:
    """Devices of whole replicas that a deadline takes if a run goes slower than is expected.

    Args:
        job: what is trained on what.
        layout: that of the plan.
        deadline: wall-clock time allowed, s.
        reliability: failures, and the overhead of whole runs.
        slower: time that the run takes over what is expected of it.

    Returns:
        How many; infinite where no number of devices is in time. A run that takes x percent longer
        needs as many as a deadline that is x percent shorter.
    """
    plan = plan_with_layout(job, layout, deadline / slower, reliability)
    devices = whole(plan.layout.data) * layout.tensor * layout.pipeline
    found: Scalar = jnp.where(plan.feasible > 0, devices, jnp.inf)
    return found
