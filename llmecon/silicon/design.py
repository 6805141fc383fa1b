"""Which accelerator would suit a job: the cheapest chip for decoding, prefill or training.

FLOP/s, bandwidth, capacity, links and the batch are free, `silicon` says what they cost, and a
search follows the gradient of the logarithm of the cost of a token. Capacity is what the batch
needs: no byte is bought that no request fills. Limits on the time of a pass, on the batch and on
the package are kept to within some hundredths, by a price on exceeding them that rises steeply, so
that the optimum has a slope everywhere.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pandas as pd
from jaxtyping import Array, Bool, Float
from scipy import stats

from llmecon.evidence.uncertainty import Interval, bounds
from llmecon.execution.interpreter import compiled
from llmecon.numerics import evenly_spread
from llmecon.physics.roofline import forward_pass, instance_memory, kv_cache_bytes
from llmecon.silicon import (
    MEMORY,
    NODE,
    Chip,
    Silicon,
    as_xpu,
    constants,
    floorplan,
    running_cost,
)
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Number, number
from llmecon.training import (
    TrainingLayout,
    TrainingRun,
    activation_bytes_per_token,
    flops_per_token,
    training_step,
)

Scalar = Float[Array, "..."]

# What is searched, from least to most: far beyond what anyone builds.
LIMITS = {
    "flops": (1e12, 1e18),
    "bandwidth": (1e10, 1e16),
    "link": (1e8, 1e15),
    "batch": (1.0, 1e6),
}
# Where searches begin.
BEGINNINGS = {
    "flops": (1e14, 1e16),
    "bandwidth": (5e11, 2e13),
    "link": (1e10, 2e12),
    "batch": (4.0, 1000.0),
}
STARTS = 4
STEPS = 300
# Exceeding a limit by a share x costs PRESSURE * x more, rounded over 1 / STEEPNESS.
PRESSURE = 4.0
STEEPNESS = 200.0
# Nearer to a limit of the search than this, on the log scale, a variable counts as pinned.
PINNED = 0.1
# A limit counts as binding from this share of it on; the price on exceeding it starts below 1.
BINDING = 0.98
SEED = 11
# A device without memory: what an instance lacks on it is what its weights need.
_NOTHING = XPU(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


class Serving(eqx.Module):
    """Forward passes of an instance that does nothing else: decoding, or prefill.

    Attributes:
        llm: the model.
        deployment: devices of an instance, and precision.
        new_tokens: tokens computed per sequence and pass: 1 to decode, the prompt to prefill.
        past_tokens: tokens cached per sequence: the context to decode, 0 to prefill.
        limit: seconds that a pass may take: the time per output token, or to first token.
        most: sequences in a pass at most, where no more requests come.
    """

    llm: LLM
    deployment: Deployment
    new_tokens: Number = number()
    past_tokens: Number = number()
    limit: Number = number()
    most: Number = number(default=1e9)


class Training(eqx.Module):
    """Optimizer steps of a run.

    Attributes:
        llm: the model.
        run: what is trained.
        layout: how it is spread.
    """

    llm: LLM
    run: TrainingRun
    layout: TrainingLayout


Job = Serving | Training


class Demand(eqx.Module):
    """What a pass or step takes of each device.

    Attributes:
        seconds: its duration.
        tokens: that all devices together produce or read in it.
        devices: that take part.
        memory: bytes that have to be there.
        flops: executed.
        traffic: bytes of memory moved.
    """

    seconds: Scalar
    tokens: Scalar
    devices: Scalar
    memory: Scalar
    flops: Scalar
    traffic: Scalar


class Best(eqx.Module):
    """The chip that does a job most cheaply.

    Attributes:
        chip: what it offers.
        batch: sequences in a pass of the instance; 1 for training.
        usd_per_token: cost of ownership.
        demand: what a pass or step takes of a device.
        devices: in an instance or run.
    """

    chip: Chip
    batch: Scalar
    usd_per_token: Scalar
    demand: Demand

    @property
    def bytes_per_flop(self) -> Scalar:
        """Memory bandwidth over FLOP/s."""
        return self.chip.bandwidth / self.chip.flops

    @property
    def reading_time(self) -> Scalar:
        """Capacity over bandwidth: seconds to read all memory once."""
        return self.chip.memory / self.chip.bandwidth

    @property
    def link_share(self) -> Scalar:
        """Bandwidth of links over that of memory."""
        return self.chip.link / self.chip.bandwidth


def decode(llm: LLM, deployment: Deployment, context: Scalar | float, tpot: Scalar | float) -> Job:
    """Decoding at a context, with prompts computed elsewhere.

    Args:
        llm: the model.
        deployment: devices of an instance, and precision.
        context: tokens cached per sequence.
        tpot: limit on the time per output token, s.
    """
    return Serving(llm, deployment, 1.0, context, tpot)


def prefill(llm: LLM, deployment: Deployment, prompt: Scalar | float, ttft: Scalar | float) -> Job:
    """Computing prompts, with decoding done elsewhere.

    Args:
        llm: the model.
        deployment: devices of an instance, and precision.
        prompt: tokens.
        ttft: limit on the time of a pass over prompts, s.
    """
    return Serving(llm, deployment, prompt, 0.0, ttft)


def demand(
    job: Job, chip: Chip, silicon: Silicon, efficiency: Efficiency, batch: Scalar | float
) -> Demand:
    """What a job takes of each device of a kind.

    Args:
        job: the passes or steps.
        chip: the device; its capacity is not read.
        silicon: what products attain of the rate.
        efficiency: attained shares and overheads.
        batch: sequences in a pass of the instance, relaxed; not read for training.

    Returns:
        Time, tokens, capacity, arithmetic and traffic.
    """
    if isinstance(job, Training):
        return _training_demand(job, chip, silicon, efficiency)
    xpu = as_xpu(chip, silicon)
    layout, count = job.deployment, jnp.asarray(batch, float)
    cost = forward_pass(job.llm, xpu, layout, efficiency, count, job.new_tokens, job.past_tokens)
    return Demand(
        seconds=cost.seconds,
        tokens=count * job.new_tokens,
        devices=layout.xpus,
        memory=stored_weights(job, efficiency) + count * cached_per_sequence(job, efficiency),
        flops=cost.flops / layout.xpus,
        traffic=cost.bytes / layout.xpus,
    )


def stored_weights(job: Serving, efficiency: Efficiency) -> Scalar:
    """Capacity that the weights need on each device.

    Args:
        job: its model and layout.
        efficiency: its usable memory.

    Returns:
        Bytes.
    """
    free = instance_memory(job.llm, _NOTHING, job.deployment, efficiency)
    return -free / (job.deployment.xpus * efficiency.usable_memory)


def cached_per_sequence(job: Serving, efficiency: Efficiency) -> Scalar:
    """Capacity that one more sequence needs on each device.

    Args:
        job: its model, layout and tokens.
        efficiency: its usable memory.

    Returns:
        Bytes.
    """
    layout = job.deployment
    # Cached heads are replicated when a layer is split more ways than it has key/value heads.
    shards = jnp.where(job.llm.kv_lora_rank > 0, 1.0, jnp.minimum(layout.tensor, job.llm.kv_heads))
    cache = kv_cache_bytes(job.llm, layout.precision, job.past_tokens + job.new_tokens)
    return layout.tensor / shards * cache / (layout.xpus * efficiency.usable_memory)


def _training_demand(job: Training, chip: Chip, silicon: Silicon, efficiency: Efficiency) -> Demand:
    step = training_step(job.llm, as_xpu(chip, silicon), job.run, job.layout, efficiency)
    tokens, devices = job.run.global_batch, job.layout.devices
    repeated = 1.0 + job.layout.recompute / 3.0
    stored = job.llm.layers * activation_bytes_per_token(job.llm) * efficiency.training_traffic
    return Demand(
        seconds=step.seconds,
        tokens=tokens,
        devices=devices,
        memory=step.memory / efficiency.usable_memory,
        flops=flops_per_token(job.llm, job.run) * repeated * tokens / devices,
        traffic=stored * repeated * tokens / devices,
    )


def usd_per_token(chip: Chip, silicon: Silicon, need: Demand) -> Scalar:
    """Cost of ownership of a token.

    Args:
        chip: the device.
        silicon: what it costs.
        need: what a pass or step takes of it.

    Returns:
        USD: devices, times their cost per second, over tokens per second.
    """
    rate = running_cost(chip, silicon, need.flops / need.seconds, need.traffic / need.seconds)
    return need.devices * rate.total * need.seconds / need.tokens


def _names(job: Job) -> tuple[str, ...]:
    return tuple(LIMITS)[:3] if isinstance(job, Training) else tuple(LIMITS)


def _placed(
    job: Job, silicon: Silicon, efficiency: Efficiency, logs: Float[Array, " variables"]
) -> Best:
    """A job on the chip with given logarithms of the variables."""
    values = dict(zip(_names(job), jnp.exp(logs), strict=True))
    batch = values.pop("batch", jnp.ones(()))
    bare = Chip(memory=1.0, **values)
    need = demand(job, bare, silicon, efficiency, batch)
    chip = eqx.tree_at(lambda of: of.memory, bare, need.memory)
    return Best(chip, batch, usd_per_token(chip, silicon, need), need)


def _objective(
    job: Job, silicon: Silicon, efficiency: Efficiency, logs: Float[Array, " variables"]
) -> Scalar:
    """Logarithm of the cost of a token, and what exceeding limits adds."""
    at = _placed(job, silicon, efficiency, logs)
    beyond = jnp.stack(list(_used(job, at, silicon).values()))
    over = jnp.sum(jax.nn.softplus(STEEPNESS * jnp.log(beyond)))
    return jnp.log(at.usd_per_token) + PRESSURE / STEEPNESS * over


# As a program of its own, so that it is traced once wherever a step of Newton's needs it.
_slope = jax.jit(jax.grad(_objective, argnums=3))


def _used(job: Job, best: Best, silicon: Silicon) -> dict[str, Scalar]:
    """How much of its limits a chip uses at a job."""
    used = {"package": floorplan(best.chip, silicon).interposer / silicon.largest_interposer}
    if isinstance(job, Training):
        return used
    return used | {"time": best.demand.seconds / job.limit, "requests": best.batch / job.most}


def binding(job: Job, best: Best, silicon: Silicon) -> tuple[str, ...]:
    """What keeps a chip from being cheaper still.

    Args:
        job: the passes or steps.
        best: as `best_chip` returns it.
        silicon: the constants that it was searched with.

    Returns:
        Of package (the largest interposer), time (of a pass) and requests (in a pass) those that
        are used up, and the variables of the search that ended at its limits: link, where a device
        has nobody to talk to.
    """
    used = [name for name, share in _used(job, best, silicon).items() if share >= BINDING]
    names = _names(job)
    pinned = _pinned(names, _logs(names, best))
    return (*used, *(name for name, end in zip(names, pinned, strict=True) if end))


def _logs(names: tuple[str, ...], best: Best) -> Float[Array, " variables"]:
    at = {"batch": best.batch} | {name: getattr(best.chip, name) for name in tuple(LIMITS)[:3]}
    return jnp.log(jnp.stack([at[name] for name in names]))


def _pinned(names: tuple[str, ...], logs: Float[Array, " variables"]) -> Bool[Array, " variables"]:
    """Which variables lie at a limit of the search."""
    low, high = _box(names, LIMITS)
    return (logs < low + PINNED) | (logs > high - PINNED)


def _box(names: tuple[str, ...], of: dict[str, tuple[float, float]]) -> tuple[Array, Array]:
    low, high = np.log(np.array([of[name] for name in names])).T
    return jnp.asarray(low), jnp.asarray(high)


def starts(job: Job) -> Float[np.ndarray, "starts variables"]:
    """Where searches begin: spread evenly over `BEGINNINGS`, on the log scale.

    Args:
        job: which says how many variables there are.

    Returns:
        Logarithms of the variables, in the order of `LIMITS`.
    """
    names = _names(job)
    first, last = np.log(np.array([BEGINNINGS[name] for name in names])).T
    return first + (last - first) * evenly_spread(STARTS, len(names))


def best_chip(
    job: Job,
    silicon: Silicon,
    efficiency: Efficiency,
    begun: Float[Array, "starts variables"] | None = None,
) -> Best:
    """The chip whose tokens are cheapest at a job.

    Args:
        job: the passes or steps.
        silicon: what chips cost.
        efficiency: attained shares and overheads.
        begun: where searches begin; `starts` unless given.

    Returns:
        The cheapest of several searches along the gradient (BFGS in logarithms). Gradients of it
        are those at a fixed chip; how chip and cost move with the constants, `at_optimum` says.
    """
    frozen = jax.lax.stop_gradient((job, silicon, efficiency))
    names = _names(job)
    low, high = _box(names, LIMITS)

    def unbound(place: Float[Array, " variables"]) -> Float[Array, " variables"]:
        return low + (high - low) * jax.nn.sigmoid(place)

    def cost(place: Float[Array, " variables"], _: None) -> Scalar:
        return _objective(*frozen, unbound(place))

    def search(start: Float[Array, " variables"]) -> tuple[Array, Scalar]:
        found: Any = optx.minimise(
            cost, optx.BFGS(rtol=1e-10, atol=1e-12), start, max_steps=STEPS, throw=False
        )
        value = cost(found.value, None)
        return found.value, jnp.where(jnp.isnan(value), jnp.inf, value)

    shares = (jnp.asarray(starts(job) if begun is None else begun) - low) / (high - low)
    places, costs = jax.vmap(search)(jnp.log(shares / (1.0 - shares)))
    return _placed(job, silicon, efficiency, unbound(places[jnp.argmin(costs)]))


def along(job: Job, where: Callable[[Any], Any], values: Float[Array, " values"]) -> Job:
    """A job with other values in one place.

    Args:
        job: the passes or steps.
        where: the place, such as `lambda of: of.past_tokens`, or `of.llm.experts_per_token` for
            models of equal size that use more or fewer of their experts.
        values: to put there.

    Returns:
        With a leading dimension in every leaf.
    """
    count = (len(values),)

    def repeated(leaf: Any) -> Array:
        # As an array of one kind, whatever a number was written as: other kinds are traced anew.
        return jnp.broadcast_to(jnp.asarray(leaf, float), count + jnp.shape(leaf))

    alike = jax.tree.map(repeated, job)
    changed: Job = eqx.tree_at(where, alike, values)
    return changed


def across(
    jobs: Job,
    silicon: Silicon,
    efficiency: Efficiency,
    begun: Float[Array, "starts variables"] | None = None,
) -> Best:
    """The best chip for each of several jobs at once.

    Args:
        jobs: with a leading dimension in every leaf, as `along` returns them.
        silicon: what chips cost.
        efficiency: attained shares and overheads.
        begun: as in `best_chip`.

    Returns:
        With the same leading dimension.
    """
    return jax.vmap(best_chip, in_axes=(0, None, None, None))(jobs, silicon, efficiency, begun)


def cheapest(
    jobs: Job,
    silicon: Silicon,
    efficiency: Efficiency,
    begun: Float[Array, "starts variables"] | None = None,
) -> tuple[Job, Best]:
    """The layout of a job on which tokens are cheapest, with the best chip for it.

    Args:
        jobs: the same job on several layouts, with a leading dimension, as `real_chips.widths`
            returns them.
        silicon: what chips cost.
        efficiency: attained shares and overheads.
        begun: as in `best_chip`.
    """
    bests = across(jobs, silicon, efficiency, begun)
    winner = jnp.argmin(bests.usd_per_token)
    chosen: tuple[Job, Best] = jax.tree.map(lambda leaf: leaf[winner], (jobs, bests))
    return chosen


def _outcomes(best: Best) -> dict[str, Scalar]:
    chip = best.chip
    return {
        "flops": chip.flops,
        "bandwidth": chip.bandwidth,
        "memory": chip.memory,
        "link": chip.link,
        "batch": best.batch,
        "usd_per_token": best.usd_per_token,
        "bytes_per_flop": best.bytes_per_flop,
        "reading_time": best.reading_time,
        "link_share": best.link_share,
    }


def at_optimum(job: Job, silicon: Silicon, efficiency: Efficiency, near: Best) -> Best:
    """The best chip near another one, with the derivatives of an optimum.

    The search ends where the objective's slope g is 0; if a constant moves, the variables follow it
    by -H**-1 dg/dconstant, with H the objective's second derivatives. A variable at a limit of the
    search stays there.

    Args:
        job: the passes or steps.
        silicon: what chips cost.
        efficiency: attained shares and overheads.
        near: where to begin, as `best_chip` returns it for constants that differ by little; not
            differentiated.

    Returns:
        The chip where Newton's steps end. Its derivatives are those of the best chip.
    """
    given = job, silicon, efficiency
    frozen = jax.lax.stop_gradient(given)
    names = _names(job)
    start = jax.lax.stop_gradient(_logs(names, near))
    free = jnp.where(_pinned(names, start), 0.0, 1.0)

    def slope(logs: Array, of: Any) -> Array:
        return free * _slope(*of, logs)

    def step(_: Any, at: tuple[Array, Array]) -> tuple[Array, Array]:
        logs = at[0]
        curvature = jax.jacfwd(slope)(logs, frozen) * free[None, :] + jnp.diag(1.0 - free)
        return logs - jnp.linalg.solve(curvature, slope(logs, frozen)), curvature

    # The search stops near the optimum; Newton's steps go all the way, so that the last is nil.
    begun = start, jnp.eye(len(names))
    logs, curvature = jax.lax.stop_gradient(jax.lax.fori_loop(0, 3, step, begun))
    # One more, in which the slope is differentiated: it is nil, so that nothing else matters.
    return _placed(*given, logs - jnp.linalg.solve(curvature, slope(logs, given)))


def draws(count: int, node: str = NODE, memory: str = MEMORY, seed: int = SEED) -> Silicon:
    """Constants that might be true, evenly on the log scale between low and high.

    Args:
        count: of draws, a power of two.
        node: 7nm, 5nm or 3nm.
        memory: hbm2e, hbm3, hbm3e or hbm4.
        seed: the same seed gives the same draws.

    Returns:
        With a leading dimension, from a scrambled Sobol' sequence.

    Raises:
        InputError: no such process or memory.
    """
    of = constants(node, memory)
    cube = stats.qmc.Sobol(len(of), rng=seed).random(count)
    low, high = np.log(of["low"].to_numpy()), np.log(of["high"].to_numpy())
    values = np.exp(low + (high - low) * cube)
    return Silicon(**{str(name): values[:, i] for i, name in enumerate(of.index)})


class Searched(eqx.Module):
    """The best chip, and how sure that is.

    Attributes:
        job: on the layout where tokens are cheapest.
        best: with the constants of the table.
        drawn: by name, the chip, its ratios and the cost of a token for each set of constants that
            might be true.
    """

    job: Job
    best: Best
    drawn: dict[str, Float[Array, " draws"]]


@compiled
def searched(jobs: Job, silicon: Silicon, drawn: Silicon, efficiency: Efficiency) -> Searched:
    """The best chip for a job, and for each set of constants that might be true.

    Args:
        jobs: the same job on several layouts, with a leading dimension; each set takes its best.
        silicon: the constants thought likeliest.
        drawn: as `draws` returns them.
        efficiency: attained shares and overheads.
    """
    # Searches from all starts nearly always end at the same chip: the likeliest constants get them
    # all, each draw one. Where a draw ends elsewhere, its token is a thousandth dearer.
    begun = jnp.asarray(starts(jobs))
    count = len(begun)
    every = jax.tree.map(
        lambda one, of: jnp.concatenate([jnp.broadcast_to(one, count), of]), silicon, drawn
    )
    others = jnp.broadcast_to(begun[:1], (len(drawn.markup), *begun.shape[1:]))
    found = jax.vmap(lambda of, start: cheapest(jobs, of, efficiency, start[None]))(
        every, jnp.concatenate([begun, others])
    )
    first = jnp.argmin(found[1].usd_per_token[:count])
    job, best = jax.tree.map(lambda leaf: leaf[first], found)
    rest = jax.tree.map(lambda leaf: leaf[count:], found[1])
    return Searched(job, best, jax.vmap(_outcomes)(rest))


def intervals(found: Searched) -> dict[str, Interval]:
    """Where 90% of the draws lie, by name."""
    return {name: bounds(np.asarray(values)) for name, values in found.drawn.items()}


def deciding(drawn: Silicon, found: Searched) -> pd.DataFrame:
    """Which constants decide what the best chip is.

    Args:
        drawn: as `draws` returns them.
        found: as `searched` returns it for these.

    Returns:
        Spearman's rank correlation of each outcome (columns) with each constant (rows).
    """
    names = list(Silicon.__dataclass_fields__)
    ranked = {
        outcome: [
            float(stats.spearmanr(np.asarray(getattr(drawn, name)), values).statistic)
            for name in names
        ]
        for outcome, values in ((of, np.asarray(each)) for of, each in found.drawn.items())
        if np.ptp(values) > 0
    }
    return pd.DataFrame(ranked, index=pd.Index(names, name="quantity"))
