"""Which accelerator would suit a job: the cheapest chip for decoding, prefill or training.

FLOP/s, bandwidth, capacity, links and the batch are free, `silicon` says what they cost, and a
search follows the gradient of the logarithm of the cost of a token. Capacity is what the batch
needs: no byte is bought that no request fills. Limits on the time of a pass, on the batch and on
the package are kept to within some hundredths, by a price on exceeding them that rises steeply, so
that the optimum has a slope everywhere.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Bool, Float

from llmecon.numerics import evenly_spread
from llmecon.silicon import Chip, Silicon, floorplan
from llmecon.silicon.chip_jobs import Demand, Job, Training, demand, usd_per_token
from llmecon.specs import Efficiency

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


def outcomes(best: Best) -> dict[str, Scalar]:
    """What a chip offers, its batch and the cost of a token on it, by name."""
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
