"""How sure the best chip is: searched again over draws of what chips cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import stats

from llmecon.evidence.uncertainty import Interval, bounds
from llmecon.execution.interpreter import compiled
from llmecon.silicon import MEMORY, NODE, Silicon, constants
from llmecon.silicon.chip_jobs import Job
from llmecon.silicon.design import Best, cheapest, outcomes, starts
from llmecon.specs import Efficiency

SEED = 11


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
    return Searched(job, best, jax.vmap(outcomes)(rest))


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
