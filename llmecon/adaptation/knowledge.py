"""What a model knows, finds and reads: the share of questions answered rightly.

A question asks for a fact. The passage that states it is among the k found with some recall, and
read rightly if so; on a miss the model may still know the fact from its weights, unless one of the
wrong passages misleads it. Facts change at random moments, and weights know what was true when
they were trained; training on the changes alone makes a model forget some of the rest.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import smooth_minimum
from llmecon.specs import Number, number

Scalar = Float[Array, "..."]

# Facts that weights hold are bounded by their number, nearly as sharply as this.
CAPACITY_SHARPNESS = 4.0
# Passages of about this many tokens are what retrievers and readers are measured on: 100 words.
PASSAGE = 133.0
# How sharply reading turns from flat, below one passage, to declining with the context.
CROWDING_SHARPNESS = 4.0
# Below this a rate times a time is nothing, and quotients are replaced by their limits.
NOTHING = 1e-6


class Retriever(eqx.Module):
    """How well a search finds the passage that a question needs.

    Attributes:
        first: probability that a passage of 133 tokens that holds the answer whole comes first.
        decline: exponent with which misses decline as more passages are taken, > 0.
        dilution: exponent with which longer passages are harder to find, 0 or more.
        span: tokens in a row that an answer needs, 0 or more.
    """

    first: Number = number()
    decline: Number = number()
    dilution: Number = number(default=0.0)
    span: Number = number(default=0.0)


class Reading(eqx.Module):
    """How well a model uses the passages that it is given.

    Attributes:
        alone: probability of a right answer from the one passage that holds it.
        distraction: exponent with which that declines as the context grows, 0 or more.
        misreading: probability that wrong passages mislead a model that knows the answer.
        tuned: what fine-tuning makes of the odds of reading rightly, as a multiple of them.
    """

    alone: Number = number()
    distraction: Number = number()
    misreading: Number = number()
    tuned: Number = number(default=1.0)


class Learning(eqx.Module):
    """How well weights take facts up, and keep them.

    Attributes:
        exposures: times that a fact is met in training until all but 1/e of facts are learned.
        forgetting: share of the other facts that one round of training destroys, without replay.
        relief: share of the unchanged facts replayed that reduces forgetting by a factor e.
        bits_per_weight: that a trained weight can hold.
        bits_per_document: that a document's facts take.
        ceiling: share of the questions that training can ever teach to answer, however often a
            document is shown: the rest asks for what training on it does not bring to mind.
    """

    exposures: Number = number()
    forgetting: Number = number()
    relief: Number = number()
    bits_per_weight: Number = number(default=2.0)
    bits_per_document: Number = number(default=0.0)
    ceiling: Number = number(default=1.0)


def recall(retriever: Retriever, passages: Scalar, tokens: Scalar) -> Scalar:
    """Probability that the passages found hold the answer whole.

    Args:
        retriever: its hits and how they grow.
        passages: how many are taken, 1 or more, relaxed.
        tokens: in each passage, > 0.

    Returns:
        Between 0 and 1: misses decline as a power of the number taken; an answer of s tokens in a
        row escapes being cut, where cuts come every c tokens, with probability exp(-s / c).
    """
    first = retriever.first ** ((tokens / PASSAGE) ** retriever.dilution)
    missed = (1.0 - first) * passages**-retriever.decline
    return jnp.exp(-retriever.span / tokens) * (1.0 - missed)


def reads(reading: Reading, context: Scalar, tuned: Scalar | float = 0.0) -> Scalar:
    """Probability of a right answer from passages that hold it.

    Args:
        reading: of the model.
        context: tokens of all the passages.
        tuned: 1 if the model is fine-tuned, 0 if not.

    Returns:
        Between 0 and 1: declines with a power of the context's length [Liu2023].
    """
    odds = reading.alone / jnp.maximum(1.0 - reading.alone, 1e-12)
    odds = odds * reading.tuned**tuned
    return jnp.minimum(odds / (1.0 + odds) * crowding(context) ** -reading.distraction, 1.0)


def crowding(context: Scalar) -> Scalar:
    """How much a context distracts, as a multiple of one passage.

    Args:
        context: tokens of all the passages.

    Returns:
        1 for one passage; proportional to the context where it is long, nearly flat where it is
        shorter than a passage.
    """
    sharpness = CROWDING_SHARPNESS
    return ((1.0 + (context / PASSAGE) ** sharpness) / 2.0) ** (1.0 / sharpness)


def right_with_passages(
    found: Scalar, read: Scalar, misreading: Scalar, known: Scalar, fresh: Scalar | float = 1.0
) -> Scalar:
    """Share of questions answered rightly with passages at hand.

    Args:
        found: probability that the right passage is among them.
        read: probability of a right answer if it is.
        misreading: probability that wrong ones mislead a model that knows the answer.
        known: probability that the model knows the answer by itself.
        fresh: probability that the passage is up to date.

    Returns:
        found * fresh * read + (1 - found) * (1 - misreading) * known.
    """
    return found * fresh * read + (1.0 - found) * (1.0 - misreading) * known


def best_passages(retriever: Retriever, reading: Reading, tokens: Scalar) -> Scalar:
    """The number of passages with most right answers, if they cost nothing and nothing is known.

    Args:
        retriever: its hits and how they grow.
        reading: its distraction, > 0.
        tokens: in each passage, at least 133.

    Returns:
        Passages, relaxed, at least 1: where (1 - m k**-g) k**-d is largest,
        k = (m (g + d) / d)**(1 / g). Nearly exact from three passages on, below which reading
        declines less.
    """
    missed = 1.0 - retriever.first ** ((tokens / PASSAGE) ** retriever.dilution)
    gain, loss = retriever.decline, reading.distraction
    return jnp.maximum((missed * (gain + loss) / loss) ** (1.0 / gain), 1.0)


def learned(learning: Learning, exposures: Scalar, documents: Scalar, weights: Scalar) -> Scalar:
    """Share of the facts within reach that a model learns by training on documents.

    Args:
        learning: how fast and how much.
        exposures: times that each fact is met, in words of its own each time.
        documents: how many.
        weights: how many are trained.

    Returns:
        (1 - exp(-exposures / n)) times what the weights can hold, between 0 and 1: two bits a
        weight once a fact is met often enough [AllenZhu2024].
    """
    needed = documents * learning.bits_per_document
    room = weights * learning.bits_per_weight / jnp.maximum(needed, 1e-30)
    held = smooth_minimum(jnp.minimum(room, 1e6), jnp.ones_like(room), CAPACITY_SHARPNESS)
    return -jnp.expm1(-exposures / learning.exposures) * held


def freshness(change: Scalar, interval: Scalar) -> Scalar:
    """Share of what was true at the last update that still is, on average until the next.

    Args:
        change: rate at which a fact changes, per second, 0 or more: a Poisson process.
        interval: time between updates, s, > 0.

    Returns:
        (1 - exp(-change * interval)) / (change * interval); 1 where nothing changes [Cho2003].
    """
    changes = change * interval
    little = changes < NOTHING
    safe = jnp.where(little, 1.0, changes)
    return jnp.where(little, 1.0 - 0.5 * changes, -jnp.expm1(-safe) / safe)


def forgotten(learning: Learning, replay: Scalar) -> Scalar:
    """Share of facts not trained on that a round of training destroys.

    Args:
        learning: its forgetting and relief.
        replay: share of the unchanged facts that are trained on beside the changes, 0 to 1.

    Returns:
        forgetting * exp(-replay / relief).
    """
    return learning.forgetting * jnp.exp(-replay / learning.relief)


def kept(
    learning: Learning,
    known: Scalar,
    taken_up: Scalar,
    changed: Scalar,
    replay: Scalar,
    updates: Scalar,
) -> Scalar:
    """What a model knows right after an update, as a mean over a number of them.

    A fact that changed is learned anew. Of the others some are replayed, which keeps what was
    known and may add to it; of the rest a share is forgotten. Beyond the ceiling nothing is
    learned, and what was known only ages and is forgotten.

    Args:
        learning: its ceiling, forgetting and relief.
        known: share of the facts known before the first training.
        taken_up: share of the facts within reach that training on them teaches (`learned`).
        changed: share of the facts that changed between two updates.
        replay: share of the unchanged facts trained on again, 0 to 1.
        updates: how often the model is brought up to date, the first training included; at
            least 1, relaxed.

    Returns:
        Share of the facts, as they stand at the update.
    """
    spared = (1.0 - replay) * (1.0 - forgotten(learning, replay))

    def part(taught: Scalar) -> Scalar:
        """Of the facts of which training teaches that share."""
        stays = (1.0 - changed) * (replay * (1.0 - taught) + spared)
        added = taught * (changed + (1.0 - changed) * replay)
        start = known + (1.0 - known) * taught
        return start * _mean_power(stays, updates) + added * _mean_sum(stays, updates)

    within = part(taken_up)
    beyond = part(jnp.zeros_like(taken_up))
    return learning.ceiling * within + (1.0 - learning.ceiling) * beyond


def _mean_power(ratio: Scalar, terms: Scalar) -> Scalar:
    """Mean of 1, ratio, ratio**2, ... over a relaxed number of terms."""
    lost = 1.0 - ratio
    little = lost < NOTHING
    safe = jnp.where(little, 0.5, ratio)
    positive = jnp.maximum(safe, 1e-300)
    exact = -jnp.expm1(terms * jnp.log(positive)) / ((1.0 - safe) * terms)
    return jnp.where(little, 1.0 - 0.5 * (terms - 1.0) * lost, exact)


def _mean_sum(ratio: Scalar, terms: Scalar) -> Scalar:
    """Mean of 0, 1, 1 + ratio, ... over a relaxed number of terms."""
    lost = 1.0 - ratio
    little = lost < NOTHING
    exact = (1.0 - _mean_power(jnp.where(little, 0.5, ratio), terms)) / jnp.where(little, 0.5, lost)
    return jnp.where(little, 0.5 * (terms - 1.0), exact)


def best_interval(fixed: Scalar, loss: Scalar, change: Scalar) -> Scalar:
    """The time between updates that balances their cost against what they prevent.

    Args:
        fixed: cost of an update that does not depend on how much changed, USD.
        loss: what all facts being wrong would cost, USD per second.
        change: rate at which a fact changes, per second, > 0.

    Returns:
        sqrt(2 * fixed / (loss * change)), s: the square-root law of inventories [Harris1913],
        exact while few facts change between updates.
    """
    return jnp.sqrt(2.0 * fixed / (loss * change))


def best_exposures(learning: Learning, cost: Scalar, worth: Scalar) -> Scalar:
    """How often to show each fact, if weights have room for all.

    Args:
        learning: its speed.
        cost: of showing all facts once more, USD.
        worth: of all facts being known, USD.

    Returns:
        n * log(ceiling * worth / (n * cost)), or 0 where even the first costs more than it brings.
    """
    gain = learning.ceiling * worth / (learning.exposures * cost)
    return learning.exposures * jnp.log(jnp.maximum(gain, 1.0))
