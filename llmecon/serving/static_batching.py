"""Static batching: requests are answered in rounds, and all wait for the longest answer."""

import equinox as eqx
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
        A round of it. A step is priced at the answers that are unfinished on average, so slots
        that stay empty cost no traffic of their own.
    """
    deployment = instance.deployment
    longest = longest_of(batch, workload.output_cv)
    alive = 1.0 / longest
    point = operating_point(instance, workload, batch * alive)
    steps = workload.output_tokens * longest
    at_once = deployment.pipeline * attention_groups(deployment)
    # The first prompts cost a pass of their own, each further one what it adds to that pass.
    further = jnp.maximum(batch / at_once - 1.0, 0.0)
    prompts = point.prefill + further * point.chunked_prefill
    seconds = prompts + steps * point.step / tokens_per_step(deployment)
    return StaticBatch(seconds=seconds, steps=steps, alive=alive, rate=batch / seconds)
