"""The knobs that make ways to answer cheapest, searched for many cases at once.

Tracing the search takes longer than searching. So all cases that anything in the chapter asks for
go through one program a way, in batches of one size.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from llmecon import adaptation
from llmecon.adaptation import Case, Knobs, Knowledge, Offers, Service, best_way
from llmecon.execution.interpreter import compiled

Scalar = Float[Array, "..."]

BATCH = 16
"""Cases that are searched at once: a batch lasts as long as its slowest search."""

FREE = Knobs(*(np.nan,) * len(best_way.LIMITS))
"""Knobs of which all are searched."""


class Found(NamedTuple):
    """A way to answer at its cheapest.

    Attributes:
        knobs: those that the way has are at their best.
        usd: what it costs over the horizon, wrong answers included.
    """

    knobs: Knobs
    usd: Scalar


def cheapest(
    way: str, asked: Case, offers: Offers, knowledge: Knowledge, given: Knobs = FREE
) -> Found:
    """A way to answer with the knobs that make it cheapest: `best_way.best` for many cases.

    Args:
        way: one of `adaptation.METHODS`.
        asked: the questions and documents.
        offers: the services, trainers and index; needs no machines.
        knowledge: how well the model finds, reads and learns.
        given: knobs to keep; those that are NaN are searched.

    Returns:
        Knobs and cost, with the dimension that any of the arguments has.
    """
    prices = without_machines(offers)
    if way == "full":
        way, prices, knowledge = "lora", *_as_adapter(asked, prices, knowledge)
    of = (asked, prices, knowledge, given)
    leaves = jax.tree.leaves(of)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return _one(way, *of)
    shape = np.broadcast_shapes(*(np.shape(leaf) for leaf in leaves))
    count = max(int(np.prod(shape)), 1)
    rows = -(-count // BATCH) * BATCH  # the last batch is filled up with the last case
    of = jax.tree.map(lambda leaf: _filled(leaf, shape, rows), of)
    batches = [
        _batch(way, *jax.tree.map(lambda leaf, i=i: leaf[i : i + BATCH], of))
        for i in range(0, rows, BATCH)
    ]
    found: Found = jax.tree.map(
        lambda *parts: np.concatenate(parts)[:count].reshape(shape)[()], *batches
    )
    return found


def without_machines(offers: Offers) -> Offers:
    """The offers by their prices alone, which is all that a bill asks for."""
    base, adapted, tuned, long = (
        Service(of.price, of.least_price, of.cache_life)
        for of in (offers.base, offers.adapted, offers.tuned, offers.long)
    )
    return Offers(base, adapted, tuned, long, offers.lora, offers.full, offers.index)


def widened(record: Any, count: int) -> Any:
    """A record whose every number has a leading dimension."""
    return jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf, float), (count,)), record)


def _filled(leaf: Any, shape: tuple[int, ...], rows: int) -> np.ndarray:
    flat = np.broadcast_to(np.asarray(leaf, float), shape).reshape(-1)
    return np.concatenate([flat, np.full(rows - len(flat), flat[-1])])


def _as_adapter(asked: Case, offers: Offers, knowledge: Knowledge) -> tuple[Offers, Knowledge]:
    """New weights in the words of an adapter, so that one program searches the knobs of both."""
    tuned = replace(offers.tuned, least_price=offers.tuned.least_price * asked.tenants)
    return (
        replace(offers, adapted=tuned, lora=offers.full),
        replace(knowledge, adapter=knowledge.learning),
    )


def _one(way: str, asked: Case, offers: Offers, knowledge: Knowledge, given: Knobs) -> Found:
    knobs = best_way.best_knobs(way, asked, offers, knowledge, given)
    return Found(knobs, adaptation.bill(way, asked, offers, knowledge, knobs).total)


@compiled
def _batch(way: str, asked: Case, offers: Offers, knowledge: Knowledge, given: Knobs) -> Found:
    def one(asked: Case, offers: Offers, knowledge: Knowledge, given: Knobs) -> Found:
        return _one(way, asked, offers, knowledge, given)

    found: Found = jax.vmap(one)(asked, offers, knowledge, given)
    return found
