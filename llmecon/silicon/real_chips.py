"""Where real accelerators lie: their proportions, and their cost beside that of the best chip.

All are priced by one cost model, as if built today in one process with one kind of memory: what is
compared is what the chips are made of, not what their makers charge.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.execution.interpreter import interpreted
from llmecon.numerics import solve_increasing
from llmecon.silicon import Chip, Silicon, chip_of
from llmecon.silicon.chip_jobs import (
    Job,
    Training,
    along,
    cached_per_sequence,
    demand,
    stored_weights,
    usd_per_token,
)
from llmecon.silicon.design import LIMITS, Best
from llmecon.specs import Efficiency
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

# Devices in an instance, or that a run splits each layer over.
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def priced(job: Job, chip: Chip, silicon: Silicon, efficiency: Efficiency) -> Best:
    """A job on a given chip, with as many sequences in a pass as its memory and the limit allow.

    Args:
        job: the passes or steps.
        chip: the device.
        silicon: what it costs.
        efficiency: attained shares and overheads.

    Returns:
        As for the best chip; an infinite cost where the job does not fit or is always late.
    """
    if isinstance(job, Training):
        need = demand(job, chip, silicon, efficiency, 1.0)
        fits = need.memory <= chip.memory
        cost = jnp.where(fits, usd_per_token(chip, silicon, need), jnp.inf)
        return Best(chip, jnp.ones(()), cost, need)
    room = (chip.memory - stored_weights(job, efficiency)) / cached_per_sequence(job, efficiency)
    held = jnp.clip(room, 1.0 + 1e-6, job.most)

    def late(batch: Scalar) -> Scalar:
        return jnp.log(demand(job, chip, silicon, efficiency, batch).seconds / job.limit)

    batch = solve_increasing(late, LIMITS["batch"][0], held)
    need = demand(job, chip, silicon, efficiency, batch)
    fits = (room >= 1.0) & (need.seconds <= job.limit * (1.0 + 1e-6))
    cost = jnp.where(fits, usd_per_token(chip, silicon, need), jnp.inf)
    return Best(chip, batch, cost, need)


def laid_out(chip: Chip, jobs: Job, silicon: Silicon, efficiency: Efficiency) -> tuple[Job, Best]:
    """The layout of a job on which tokens are cheapest on a given chip.

    Args:
        chip: the device.
        jobs: the same job on several layouts, with a leading dimension, as `widths` returns them.
        silicon: what the chip costs.
        efficiency: attained shares and overheads.

    Returns:
        The job on that layout, and what it costs; the first layout, at an infinite cost, where the
        job fits none.
    """
    found = jax.vmap(lambda job: priced(job, chip, silicon, efficiency))(jobs)
    least = jnp.argmin(found.usd_per_token)
    chosen: tuple[Job, Best] = jax.tree.map(lambda leaf: leaf[least], (jobs, found))
    return chosen


def regret(
    chips: Chip, jobs: Job, best: Best, silicon: Silicon, efficiency: Efficiency
) -> Float[Array, " chips"]:
    """How much more tokens cost on given chips than on the best.

    Args:
        chips: with a leading dimension.
        jobs: the same job on several layouts, with a leading dimension; each chip takes its best.
        best: the chip to compare with.
        silicon: what all of them would cost in one process.
        efficiency: attained shares and overheads.

    Returns:
        Cost over that on the best chip, less one; infinite where no layout fits.
    """

    def on(chip: Chip) -> Scalar:
        return laid_out(chip, jobs, silicon, efficiency)[1].usd_per_token

    return jax.vmap(on)(chips) / best.usd_per_token - 1.0


def widths(job: Job, devices: tuple[float, ...] = SIZES) -> Job:
    """A job on instances of several sizes.

    Args:
        job: of one layout.
        devices: in an instance, or that a training run splits each layer over.

    Returns:
        With a leading dimension: layers split over so many devices, or experts spread over them
        where the job spreads them; a training run keeps its devices.
    """
    of = jnp.asarray(devices)
    if isinstance(job, Training):
        share = job.layout.devices / job.layout.pipeline
        sized = along(job, lambda at: at.layout.tensor, of)
        return eqx.tree_at(lambda at: at.layout.data, sized, share / of)
    spread = job.deployment.expert > 1.0
    sized = along(job, lambda at: at.deployment.tensor, of)
    return eqx.tree_at(
        lambda at: (at.deployment.tensor, at.deployment.expert),
        sized,
        (
            jnp.where(spread, job.deployment.tensor, of),
            # Experts that are spread over one device are still routed to.
            jnp.where(spread, jnp.maximum(of, 1.0 + 1e-9), 1.0),
        ),
    )


def market(
    jobs: dict[str, Job],
    bests: dict[str, Best],
    silicon: Silicon,
    efficiency: Efficiency,
    kind: str = "datacenter",
) -> pd.DataFrame:
    """Where the catalogue's chips lie: their proportions, and their regret at several jobs.

    Args:
        jobs: by name, each on several layouts, with a leading dimension, as `widths` returns them.
        bests: the best chip for each of them.
        silicon: the process and memory that all are taken to be made in.
        efficiency: attained shares and overheads.
        kind: of accelerators in the table xpus.

    Returns:
        A row for each accelerator, after one for the best chip of each job: bytes per FLOP, seconds
        to read the memory once, links over memory bandwidth, and a column of regret for each job.
    """
    table = catalog.table("xpus")
    ids = [str(of) for of in table.loc[table["kind"] == kind, "id"]]
    chips = catalog.stack([chip_of(catalog.xpu(of)) for of in ids])
    compare = interpreted(regret)
    real = {
        "bytes_per_flop": chips.bandwidth / chips.flops,
        "reading_time": chips.memory / chips.bandwidth,
        "link_share": chips.link / chips.bandwidth,
        **{
            name: compare(chips, job, bests[name], silicon, efficiency)
            for name, job in jobs.items()
        },
    }
    frame = pd.DataFrame({name: np.asarray(of) for name, of in real.items()}, index=ids)
    ideal = pd.DataFrame(
        {
            name: {ratio: float(getattr(best, ratio)) for ratio in tuple(real)[:3]} | {name: 0.0}
            for name, best in bests.items()
        }
    ).T
    return pd.concat([ideal.rename(index=lambda name: f"best for {name}"), frame])
