"""The layout of a training run: the fewest devices by a deadline, the fastest on a given number."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.execution.interpreter import interpreted
from llmecon.numerics import solve_increasing
from llmecon.specs import XPU
from llmecon.training import (
    USUAL_INTERLEAVING,
    Reliability,
    TrainingJob,
    TrainingLayout,
    TrainingRun,
    TrainingStep,
    checkpoint_interval,
    training_goodput,
    training_memory,
    training_step,
    wall_clock,
)

Scalar = Float[Array, "..."]

# The layouts that are considered. Without recomputation all activations are stored; with all of
# it, one vector per layer and token; half of it is the middle way.
TENSOR_WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
PIPELINE_DEPTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RECOMPUTED_SHARES = (0.0, 0.5, 1.0)
SEARCHED_REPLICAS = 32
# Numbers of replicas and paces at which layouts are compared before the crossings are sought.
COMPARED_REPLICAS = 256
COMPARED_PACES = 400
# Halvings of a step between two of them, which leave a billionth.
HALVED = 26
# A pace that no run reaches, tokens/s.
NEVER = 1e30


class TrainingPlan(eqx.Module):
    """A whole run under the layout chosen for it.

    Attributes:
        layout: the layout chosen; its number of devices is relaxed.
        seconds: wall-clock time: failures, checkpoints and the overhead of whole runs included.
        device_seconds: devices times wall-clock.
        step: one optimizer step under that layout.
        goodput: share of a bare run's wall-clock that advances it.
        checkpoint_interval: best time between checkpoints, s.
        feasible: 1 where the memory suffices and the deadline, if any, is met, else 0.
        fits: 1 where the layout is possible and the memory suffices, else 0.
        possible: 1 where the layout can be wired and every replica has work, else 0.
    """

    layout: TrainingLayout
    seconds: Scalar
    device_seconds: Scalar
    step: TrainingStep
    goodput: Scalar
    checkpoint_interval: Scalar
    feasible: Scalar
    fits: Scalar
    possible: Scalar


class LayoutsByPace(eqx.Module):
    """Which layout takes the fewest devices, by how fast tokens have to be trained.

    Attributes:
        paces: where the next layout takes over, tokens/s, ascending.
        tensor: of each layout, one more than there are paces.
        pipeline: of each layout.
        shard_weights: of each layout.
        recompute: of each layout.
    """

    paces: tuple[Scalar, ...]
    tensor: tuple[Scalar, ...]
    pipeline: tuple[Scalar, ...]
    shard_weights: tuple[Scalar, ...]
    recompute: tuple[Scalar, ...]

    def at(self, pace: Scalar) -> TrainingLayout:
        """The layout for a pace.

        Args:
            pace: training tokens over the time allowed, tokens/s.

        Returns:
            The layout, with one replica.
        """

        def chosen(of: tuple[Scalar, ...]) -> Scalar:
            found = jnp.asarray(of[0])
            for end, value in zip(self.paces, of[1:], strict=True):
                found = jnp.where(pace > end, value, found)
            return found

        return TrainingLayout(
            tensor=chosen(self.tensor),
            pipeline=chosen(self.pipeline),
            data=1.0,
            shard_weights=chosen(self.shard_weights),
            recompute=chosen(self.recompute),
            interleaving=USUAL_INTERLEAVING,
        )

    def padded(self, length: int) -> "LayoutsByPace":
        """The same choice with more layouts, of which the last are never taken.

        Args:
            length: layouts in all, at least as many as there are.

        Returns:
            The choice, so long.
        """
        more = length - len(self.tensor)
        return LayoutsByPace(
            self.paces + more * (jnp.asarray(NEVER),),
            self.tensor + more * self.tensor[-1:],
            self.pipeline + more * self.pipeline[-1:],
            self.shard_weights + more * self.shard_weights[-1:],
            self.recompute + more * self.recompute[-1:],
        )


def _candidates() -> TrainingLayout:
    """Every layout considered, but for its number of replicas: a leading dimension of them."""
    grid = np.meshgrid(TENSOR_WIDTHS, PIPELINE_DEPTHS, (0.0, 1.0), RECOMPUTED_SHARES, indexing="ij")
    tensor, pipeline, shard, recompute = (axis.ravel() for axis in grid)
    # As published runs are taken to be laid out, by which the overhead of whole runs is fitted.
    alone = TrainingLayout(1.0, 1.0, 1.0, interleaving=USUAL_INTERLEAVING)
    rest = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, tensor.shape), alone)
    return eqx.tree_at(
        lambda of: (of.tensor, of.pipeline, of.shard_weights, of.recompute),
        rest,
        tuple(jnp.asarray(axis) for axis in (tensor, pipeline, shard, recompute)),
    )


def _with_replicas(layout: TrainingLayout, data: Scalar) -> TrainingLayout:
    spread: TrainingLayout = eqx.tree_at(lambda of: of.data, layout, data)
    return spread


def _clock(
    job: TrainingJob,
    layout: TrainingLayout,
    reliability: Reliability,
    data: Scalar,
) -> Scalar:
    """Duration of a run under a layout with some replicas, s."""
    return wall_clock(job, _with_replicas(layout, data), reliability)


def _plan(
    job: TrainingJob,
    layout: TrainingLayout,
    reliability: Reliability,
    deadline: Scalar,
) -> TrainingPlan:
    xpu, run = job.xpu, job.run
    step = training_step(job, layout)
    seconds = wall_clock(job, layout, reliability)
    # A layout is possible if links join its devices, and every group of layers and every replica
    # has work.
    slack = 1.0 + 1e-9
    groups = jnp.where(layout.pipeline > 1.0, layout.pipeline * layout.interleaving, 1.0)
    possible = (
        (layout.tensor <= xpu.link_domain)
        & (groups <= job.llm.layers)
        & (layout.data * slack >= 1.0)
        & (layout.data * run.sequence <= run.global_batch * slack)
        & ((layout.devices <= 1.0) | (xpu.link_domain > 1.0))
    )
    fits = possible & (step.memory <= xpu.memory * job.efficiency.usable_memory * slack)
    # A root is found to twelve digits; a deadline met to nine is met.
    in_time = seconds <= deadline * slack
    return TrainingPlan(
        layout=layout,
        seconds=seconds,
        device_seconds=seconds * layout.devices,
        step=step,
        goodput=training_goodput(layout.devices, reliability),
        checkpoint_interval=checkpoint_interval(layout.devices, reliability),
        feasible=jnp.where(fits & in_time, 1.0, 0.0),
        fits=jnp.where(fits, 1.0, 0.0),
        possible=jnp.where(possible, 1.0, 0.0),
    )


def plan_for_devices(
    job: TrainingJob,
    devices: Scalar,
    reliability: Reliability,
) -> TrainingPlan:
    """The fastest layout of a run on a given number of devices.

    Args:
        job: what is trained on what.
        devices: how many devices there are.
        reliability: failures and what they cost.

    Returns:
        The plan; `fits` is 0 where no layout considered fits the memory.
    """
    given = (job, devices, reliability)

    def plan(layout: TrainingLayout, given: tuple[Any, ...]) -> TrainingPlan:
        job, devices, reliability = given
        spread = _with_replicas(layout, devices / (layout.tensor * layout.pipeline))
        return _plan(job, spread, reliability, jnp.asarray(jnp.inf))

    def score(plan: TrainingPlan) -> Scalar:
        return jnp.where(plan.fits > 0.0, jnp.log(plan.seconds), _unfit(plan))

    return _best(plan, given, score)


def plan_for_deadline(
    job: TrainingJob,
    deadline: Scalar,
    reliability: Reliability,
) -> TrainingPlan:
    """The fewest devices that finish a run by a deadline, and their layout.

    Every combination of tensor width, pipeline depth, sharding and recomputation gets as many
    replicas as it needs; the one with the fewest devices wins. Its gradient is that of the
    winner: how the number of devices moves with every input while the layout stays.

    Args:
        job: what is trained on what.
        deadline: wall-clock time allowed, s.
        reliability: failures and what they cost.

    Returns:
        The plan; where nothing meets the deadline (`feasible` is 0), the fastest that fits.
    """
    given = (job, deadline, reliability)

    def plan(layout: TrainingLayout, given: tuple[Any, ...]) -> TrainingPlan:
        job, deadline, reliability = given
        return plan_with_layout(job, layout, deadline, reliability)

    def score(plan: TrainingPlan) -> Scalar:
        # Feasible plans compete on devices, those that fit on time, the rest on memory.
        too_late = 1e6 + jnp.log(plan.seconds)
        fitting = jnp.where(plan.feasible > 0.0, jnp.log(plan.layout.devices), too_late)
        return jnp.where(plan.fits > 0.0, fitting, _unfit(plan))

    return _best(plan, given, score)


def plan_with_layout(
    job: TrainingJob,
    layout: TrainingLayout,
    deadline: Scalar,
    reliability: Reliability,
) -> TrainingPlan:
    """The fewest replicas of a given layout that finish a run by a deadline.

    Args:
        job: what is trained on what.
        layout: its tensor width, pipeline depth, sharding and recomputation; its number of replicas
            is not used.
        deadline: wall-clock time allowed, s.
        reliability: failures and what they cost.

    Returns:
        The plan with the root of wall-clock = deadline, or what the memory takes if that is more.
    """
    most = _most_replicas(job.xpu, job.run)

    def too_slow(data: Scalar) -> Scalar:
        return jnp.log(deadline / _clock(job, layout, reliability, data))

    # Ever more devices fail ever more often: beyond some number a run gets slower again.
    counts = jnp.geomspace(1.0, most, SEARCHED_REPLICAS)
    # Which of them is fastest has no gradient, so none is prepared for it.
    held = jax.lax.stop_gradient((job, layout, reliability))
    clocks = jax.vmap(partial(_clock, *held))(jax.lax.stop_gradient(counts))
    in_time = solve_increasing(too_slow, 1.0, counts[jnp.argmin(clocks)])
    in_memory = _replicas_in_memory(job, layout)
    spread = _with_replicas(layout, jnp.maximum(in_time, in_memory))
    return _plan(job, spread, reliability, deadline)


def layouts_by_pace(
    job: TrainingJob,
    slowest: float,
    fastest: float,
    reliability: Reliability,
) -> LayoutsByPace:
    """The layouts that `plan_for_deadline` chooses as tokens grow or the deadline nears.

    A plan depends on tokens and deadline through their quotient alone, so that one axis holds all
    of its choices.

    Args:
        job: what is trained on what; its number of tokens does not matter.
        slowest: least training tokens over time allowed, tokens/s.
        fastest: most of them.
        reliability: failures and what they cost, and the overhead of whole runs.

    Returns:
        The choice. Crossings are found between replicas on a grid, so that within 1e-4 of one it
        may name the other layout, which there takes as many devices.
    """
    reach = [np.asarray(x) for x in _reach(job, reliability)]
    replicas, in_memory, paces, usable = reach
    candidates = jax.tree.map(np.asarray, _candidates())
    stage = candidates.tensor * candidates.pipeline

    def devices(pace: np.ndarray, i: int) -> np.ndarray:
        """Devices that layout i takes for each of some paces; infinite where it can't."""
        # Ever more devices fail ever more often: beyond some number a run gets slower again.
        most = int(paces[i].argmax())
        rising, counts = np.log(paces[i, : most + 1]), np.log(replicas[: most + 1])
        in_time = np.exp(np.interp(np.log(pace), rising, counts))
        data = np.maximum(in_time, in_memory[i])
        attained = np.where(data > replicas[most], np.interp(data, replicas, paces[i]), np.inf)
        possible = (usable[i] > 0) & (pace <= paces[i, most]) & (pace <= attained)
        return np.where(possible, data * stage[i], np.inf)

    grid = np.geomspace(slowest, fastest, COMPARED_PACES)
    priced = np.stack([devices(grid, i) for i in range(len(stage))])
    best = priced.argmin(axis=0)
    some = np.isfinite(priced.min(axis=0))
    # Where no layout is fast enough any more, the last that was stays.
    ends: list[Scalar] = []
    chosen = [int(best[0])]
    for k in range(1, len(grid)):
        rival = int(best[k])
        if rival == chosen[-1] or not some[k]:
            continue
        low, high = float(grid[k - 1]), float(grid[k])
        for _ in range(HALVED):
            middle = np.array([np.sqrt(low * high)])
            later = devices(middle, rival) < devices(middle, chosen[-1])
            low, high = (low, float(middle[0])) if later else (float(middle[0]), high)
        ends.append(jnp.asarray(low))
        chosen.append(rival)
    kept = jax.tree.map(lambda leaf: tuple(jnp.asarray(leaf[i]) for i in chosen), candidates)
    return LayoutsByPace(
        tuple(ends), kept.tensor, kept.pipeline, kept.shard_weights, kept.recompute
    )


@interpreted
def _reach(job: TrainingJob, reliability: Reliability) -> tuple[Array, Array, Array, Array]:
    """Replicas compared; by layout those that memory takes, paces, and whether it can be used."""
    most = _most_replicas(job.xpu, job.run)
    counts = jnp.geomspace(1.0, most, COMPARED_REPLICAS)

    def of(layout: TrainingLayout) -> tuple[Array, Array, Array]:
        def clock(data: Scalar) -> Scalar:
            return wall_clock(job, _with_replicas(layout, data), reliability)

        in_memory = _replicas_in_memory(job, layout)
        least = _plan(job, _with_replicas(layout, in_memory), reliability, jnp.asarray(jnp.inf))
        return in_memory, job.run.tokens / jax.vmap(clock)(counts), least.fits

    return (counts, *jax.vmap(of)(_candidates()))


def _most_replicas(xpu: XPU, run: TrainingRun) -> Scalar:
    """A replica works on at least one sequence; devices without links can't form replicas."""
    most = jnp.where(xpu.link_domain > 1.0, run.global_batch / run.sequence, 1.0)
    return jnp.maximum(most, 1.0)


def _replicas_in_memory(
    job: TrainingJob,
    layout: TrainingLayout,
) -> Scalar:
    """Fewest replicas over which a layout fits; as many as there can be where it doesn't."""
    usable = job.xpu.memory * job.efficiency.usable_memory

    def too_large(data: Scalar) -> Scalar:
        return jnp.log(usable / training_memory(job.llm, job.run, _with_replicas(layout, data)))

    return solve_increasing(too_large, 1.0, _most_replicas(job.xpu, job.run))


def _unfit(plan: TrainingPlan) -> Scalar:
    """Score of a plan that does not fit: the one nearest to fitting shows best what is missing."""
    return 1e9 + jnp.log(plan.step.memory) + jnp.where(plan.possible > 0.0, 0.0, 1e9)


def _best(
    plan: Callable[[TrainingLayout, tuple[Any, ...]], TrainingPlan],
    given: tuple[Any, ...],
    score: Callable[[TrainingPlan], Scalar],
) -> TrainingPlan:
    """The plan of the layout with the lowest score; only its own gradient is followed."""
    candidates = _candidates()
    searched = jax.lax.stop_gradient(given)
    plans = jax.vmap(lambda layout: plan(layout, searched))(candidates)
    winner = jnp.argmin(jax.vmap(score)(plans))
    return plan(jax.tree.map(lambda leaf: leaf[winner], candidates), given)
