"""Static batching: requests are answered in rounds, and all wait for the longest answer."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.physics.queueing import lognormal_quantile
from llmecon.physics.roofline import attention_groups
from llmecon.serving.batching import operating_point, tokens_per_step
from llmecon.specs import Instance, Workload

Scalar = Float[Array, "..."]

# Quantiles by which the mean of the longest is found: dense towards 1, where answers are longest.
_PLACES = np.linspace(0.0, 1.0, 2 * 64 + 1)[1::2]
_QUANTILES = 1.0 - (1.0 - _PLACES) ** 4
_WEIGHTS = (1.0 - _PLACES) ** 3 / np.sum((1.0 - _PLACES) ** 3)
# A round is cut where the share of its answers that are unfinished has fallen by equal factors.
_PARTS = 12
_CUTS = np.arange(_PARTS + 1) / _PARTS
_LEAST = 1e-9


class StaticBatch(eqx.Module):
    """Rounds in which some requests begin together and end with the longest.

    Attributes:
        seconds: of a round: all prompts, then steps until the longest answer ends.
        steps: decode steps of a round.
        alive: share of the slots that hold an unfinished answer, on average over the steps.
        rate: requests completed per second.
    """

    seconds: Scalar
    steps: Scalar
    alive: Scalar
    rate: Scalar


def longest_of(count: Scalar, cv: Scalar) -> Scalar:
    """The mean of the largest of some lognormal lengths, as a multiple of the mean length.

    Args:
        count: of lengths, 1 or more, relaxed.
        cv: their coefficient of variation.

    Returns:
        The integral of the quantile u**(1/count) over u from 0 to 1: 1 for a single one, or where
        all are equally long.
    """
    chances = jnp.asarray(_QUANTILES) ** (1.0 / jnp.asarray(count)[..., None])
    lengths = lognormal_quantile(chances, jnp.asarray(cv)[..., None])
    return jnp.sum(lengths * jnp.asarray(_WEIGHTS), axis=-1)


def static_batch(instance: Instance, workload: Workload, batch: Scalar) -> StaticBatch:
    """What an instance does that answers requests in rounds.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: prompt and output lengths.
        batch: requests of a round, 1 or more, relaxed; there are always enough that wait.

    Returns:
        A round of it. Steps are priced at the answers that are unfinished while they are made, so
        slots that stay empty cost no traffic of their own. A step's time grows ever less with their
        number, so that the mean number alone would let rounds look slower than they are.
    """
    deployment = instance.deployment
    longest = longest_of(batch, workload.output_cv)
    alive = 1.0 / longest
    spent, unfinished = _decline(batch, workload.output_cv, longest)
    at = jnp.append(unfinished, batch * alive)
    points = jax.vmap(partial(operating_point, instance, workload))(at)
    steps = workload.output_tokens * longest
    at_once = deployment.pipeline * attention_groups(deployment)
    # The first prompts cost a pass of their own, each further one what it adds to that pass.
    further = jnp.maximum(batch / at_once - 1.0, 0.0)
    prompts = points.prefill[-1] + further * points.chunked_prefill[-1]
    step = jnp.sum(spent * points.step[:-1])
    seconds = prompts + steps * step / tokens_per_step(deployment)
    return StaticBatch(seconds=seconds, steps=steps, alive=alive, rate=batch / seconds)


def _decline(count: Scalar, cv: Scalar, longest: Scalar) -> tuple[Scalar, Scalar]:
    """Shares of a round's steps, and how many answers are unfinished in each."""
    left = count ** -jnp.asarray(_CUTS)
    ended = lognormal_quantile(jnp.maximum(1.0 - left[1:-1], _LEAST), cv)
    times = jnp.concatenate([jnp.zeros(1), jnp.minimum(ended, longest), longest[None]])
    spent = jnp.diff(times) / longest
    unfinished = count * jnp.sqrt(left[1:] * left[:-1])
    # However the round is cut, its steps write all tokens of all answers.
    return spent, unfinished * count / longest / jnp.sum(spent * unfinished)
