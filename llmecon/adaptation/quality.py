"""How often a way to answer is right: over a model's life, and at a time in it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.adaptation.knowledge import (
    freshness,
    kept,
    learned,
    reads,
    recall,
    right_with_passages,
)
from llmecon.adaptation.offers import (
    RETRIEVING,
    TUNED,
    Case,
    Knobs,
    Knowledge,
    Offers,
    held_tokens,
    require_method,
    trainer_for,
)

Scalar = Float[Array, "..."]


def quality_over_life(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs
) -> Scalar:
    """Share of the questions answered rightly, as a mean over the model's life.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: its trainers and index.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay.

    Returns:
        Between 0 and 1.

    Raises:
        InputError: no such method.
    """
    require_method(method)
    known = case.known * freshness(case.change, case.life)
    if method in TUNED:
        interval = jnp.minimum(knobs.interval, case.life)
        known = _known_after(method, case, offers, knowledge, knobs, interval)
        known = known * freshness(case.change, interval)
    return _with_context(method, case, offers, knowledge, knobs, known)


def quality_at(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs, time: Scalar
) -> Scalar:
    """Share of the questions answered rightly some time after the start.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: its trainers and index.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay.
        time: since the start, s.

    Returns:
        Between 0 and 1; a saw for a model that is trained now and then.

    Raises:
        InputError: no such method.
    """
    require_method(method)
    age = time % case.replaced
    known = case.known * jnp.exp(-case.change * age)
    if method in TUNED:
        interval = jnp.minimum(knobs.interval, case.life)
        done = jnp.floor(age / interval * (1.0 + 1e-12))
        # The mean over n + 1 trainings times n + 1, less that over n, is what the last left.
        upto, before = (
            _known_after(method, case, offers, knowledge, knobs, interval, count)
            for count in (done + 1.0, jnp.maximum(done, 1.0))
        )
        latest = jnp.where(done < 1.0, upto, (done + 1.0) * upto - done * before)
        known = latest * jnp.exp(-case.change * (age - done * interval))
    return _with_context(method, case, offers, knowledge, knobs, known)


def _with_context(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs, known: Scalar
) -> Scalar:
    """Right answers with whatever the prompt holds, given what the weights know."""
    if method in RETRIEVING:
        context = knobs.passages * knobs.passage_tokens
        found = recall(knowledge.retriever, knobs.passages, knobs.passage_tokens)
        read = reads(knowledge.reading, context, 1.0 if method in TUNED else 0.0)
    elif method == "long-context":
        context = held_tokens(case)
        found = context / case.corpus
        read = reads(knowledge.reading, context)
    else:
        return known
    fresh = freshness(case.change, offers.index.refresh)
    return right_with_passages(found, read, knowledge.reading.misreading, known, fresh)


def _known_after(
    method: str,
    case: Case,
    offers: Offers,
    knowledge: Knowledge,
    knobs: Knobs,
    interval: Scalar,
    updates: Scalar | None = None,
) -> Scalar:
    """Share of the facts known right after a training, as a mean over trainings."""
    learning = knowledge.learning if method == "full" else knowledge.adapter
    weights = trainer_for(method, offers).weights
    taken_up = learned(learning, knobs.exposures, case.documents, weights)
    changed = -jnp.expm1(-case.change * interval)
    count = case.life / interval if updates is None else updates
    return kept(learning, case.known, taken_up, changed, knobs.replay, count)
