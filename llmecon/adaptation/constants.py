"""What finding, reading and learning are like: each constant with its range, and where it is from.

Published studies disagree, so every constant is a range. The laboratory's experiment gives another
set, for facts that are short, plain and asked for as they were taught.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.adaptation import Knowledge, published_studies
from llmecon.adaptation.knowledge import PASSAGE, Learning, Reading, Retriever, crowding
from llmecon.errors import InputError

if TYPE_CHECKING:  # the experiment comes with the book
    import llmecon.laboratory.study

# A share this near to 0 or 1 can't be told from it by a few hundred questions.
NEAR = 1e-3
# Among published readings with passages, models that got next to nothing right failed at the form
# of the answer, which tuning mends at once.
FORMED = 0.1
# Of published odds the outer tenths are left out.
TENTHS = (0.1, 0.5, 0.9)
# How many passages the recall that readers give of their own search is for.
GIVEN_PASSAGES = 5.0


@dataclass(frozen=True)
class Range:
    """A constant that is known within bounds.

    Attributes:
        low: the least.
        middle: as often too high as too low.
        high: the most.
        source: bibliography keys joined by semicolons; empty where it was measured here.
    """

    low: float
    middle: float
    high: float
    source: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.middle <= self.high:
            raise ValueError(f"{self.middle} is not between {self.low} and {self.high}")

    def at(self, evenly: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " draws"]:
        """Values for numbers between 0 and 1, on a scale of factors where all are positive."""
        ends = np.array([self.low, self.middle, self.high])
        if self.low > 0.0:
            return np.exp(np.interp(evenly, [0.0, 0.5, 1.0], np.log(ends)))
        return np.interp(evenly, [0.0, 0.5, 1.0], ends)


@dataclass(frozen=True)
class Constants:
    """All constants of finding, reading and learning; see `knowledge` for their meaning.

    Attributes:
        first: probability that the passage found first holds the answer.
        decline: exponent with which misses decline.
        alone: right answers from the passage that holds it.
        distraction: exponent with which they decline as the context grows.
        misreading: how often wrong passages mislead.
        tuned: what fine-tuning makes of the odds of reading rightly.
        exposures: until all but 1/e of what can be learned is.
        ceiling: share that training ever teaches.
        adapter: share of that ceiling that an adapter reaches.
        forgetting: share of other facts that a round of training destroys.
        relief: share replayed that reduces forgetting by a factor e.
    """

    first: Range
    decline: Range
    alone: Range
    distraction: Range
    misreading: Range
    tuned: Range
    exposures: Range
    ceiling: Range
    adapter: Range
    forgetting: Range
    relief: Range

    def middles(self) -> dict[str, float]:
        """The middle of every range, by name."""
        return {field.name: getattr(self, field.name).middle for field in fields(self)}

    def draws(self, count: int, seed: int = 6) -> dict[str, Float[Array, " draws"]]:
        """Draws of every constant, independent of each other.

        Args:
            count: how many.
            seed: of their order; each constant's draws are spread evenly over its range.

        Returns:
            By name.
        """
        random = np.random.default_rng(seed)
        return {
            field.name: jnp.asarray(
                getattr(self, field.name).at((random.permutation(count) + 0.5) / count)
            )
            for field in fields(self)
        }


def knowledge_of(
    values: Mapping[str, Float[Array, "..."] | float],
    dilution: float,
    span: float,
    bits_per_document: float,
    adapter_forgets: float,
) -> Knowledge:
    """The records that `adaptation` takes, for one value of every constant.

    Args:
        values: by name, as in `Constants`.
        dilution: see `knowledge.Retriever`.
        span: likewise.
        bits_per_document: see `knowledge.Learning`.
        adapter_forgets: share of what training all weights destroys that an adapter does.
    """
    whole = {
        "exposures": values["exposures"],
        "relief": values["relief"],
        "bits_per_document": bits_per_document,
    }
    return Knowledge(
        retriever=Retriever(values["first"], values["decline"], dilution, span),
        reading=Reading(
            values["alone"], values["distraction"], values["misreading"], values["tuned"]
        ),
        learning=Learning(forgetting=values["forgetting"], ceiling=values["ceiling"], **whole),
        adapter=Learning(
            forgetting=values["forgetting"] * adapter_forgets,
            ceiling=values["ceiling"] * values["adapter"],
            **whole,
        ),
    )


def published(curve: str, recall_of_five: float = 0.0) -> Constants:
    """Constants from published studies.

    Args:
        curve: a retriever's, one of `published_studies.retrievers()`.
        recall_of_five: share of the questions whose passage is among five found, where that was
            measured on the documents in question; 0 takes the curve's.

    Returns:
        Ranges. That of the search is as wide as the same search differs between two sets of
        questions, in log odds; nothing remains of it where recall was measured.

    Raises:
        InputError: no such curve.
    """
    found = published_studies.retriever(curve).retriever
    decline = float(found.decline)
    source = str(published_studies.table_of(curve)["source"].iloc[0])
    if recall_of_five > 0.0:
        first, decline = _through(recall_of_five, decline)
        finding = Range(first, first, first)
    else:
        middle = float(found.first)
        shift = float(published_studies.transfer().abs().median())
        finding = Range(_shifted(middle, -shift), middle, _shifted(middle, shift), source)
    among = published_studies.reading()
    readers = among.groupby("reader")
    odds = published_studies.tuned_reading().query("retrieved > @FORMED")["odds"]
    low, middle, high = (float(of) for of in np.quantile(odds, TENTHS))
    taught = published_studies.learning()
    return Constants(
        first=finding,
        decline=Range(decline, decline, decline, source),
        alone=_over(readers["alone"].mean(), "Liu2023"),
        distraction=_over(readers["distraction"].mean(), "Liu2023"),
        misreading=_over(published_studies.misreading(), "Chen2023RGB"),
        tuned=Range(low, middle, high, "Ovadia2023;Zhang2024RAFT;Yang2024"),
        exposures=_over(taught["exposures"].dropna(), "Ovadia2023"),
        ceiling=_over(taught["ceiling"], "Ovadia2023;Yang2024"),
        adapter=_over(published_studies.adapters(), "Biderman2024"),
        forgetting=_over(published_studies.forgetting(), "Luo2023"),
        relief=_over(published_studies.relief(), "Ibrahim2024"),
    )


def measured(study: "llmecon.laboratory.study.Study", recall_of_five: float = 0.0) -> Constants:
    """Constants from the laboratory's experiment: least, middle and most of its seeds.

    Args:
        study: as run.
        recall_of_five: as in `published`; 0 takes the experiment's index.

    Raises:
        ValueError: the experiment has one seed only.
    """
    settings = study.settings
    if settings.seeds < 2:
        raise ValueError("one seed gives no range; run the experiment with several")
    counts = np.log(np.arange(1, study.recall.shape[1] + 1))
    lines = [np.polyfit(counts, np.log(np.maximum(1.0 - r, NEAR)), 1) for r in study.recall]
    first = 1.0 - np.exp([intercept for _, intercept in lines])
    decline = -np.array([slope for slope, _ in lines])
    if recall_of_five > 0.0:
        one, slope = _through(recall_of_five, float(np.median(decline)))
        first, decline = np.array([one]), np.array([slope])
    many = np.array(sorted(study.reading), dtype=float)
    read = np.stack([study.reading[int(k)] for k in many], axis=1)
    crowded = np.log(np.asarray(crowding(jnp.asarray(many * PASSAGE))))
    falls = [-np.polyfit(crowded, np.log(np.maximum(r, NEAR)), 1)[0] for r in read]
    bare, some = study.forgetting[0.0], study.forgetting[settings.replay]
    ends = study.learning[:, -1]
    waits = [_time_constant(curve) for curve in study.learning]
    return Constants(
        first=_over(first),
        decline=_over(decline),
        alone=_over(read[:, 0]),
        distraction=_over(np.maximum(falls, 0.0)),
        misreading=_over(study.misled),
        tuned=_over(_tuned_odds(study)),
        exposures=_over(np.array(waits)),
        ceiling=_over(ends),
        adapter=Range(1.0, 1.0, 1.0),
        forgetting=_over(bare),
        relief=_over(settings.replay / np.maximum(np.log(bare / np.maximum(some, NEAR)), NEAR)),
    )


def _over(values: pd.Series | np.ndarray, source: str = "") -> Range:
    """The least, the median and the most."""
    array = np.asarray(values, dtype=float)
    return Range(float(array.min()), float(np.median(array)), float(array.max()), source)


def _shifted(share: float, by: float) -> float:
    """A share whose log odds were moved."""
    return float(1.0 / (1.0 + (1.0 - share) / share * np.exp(-by)))


def _through(recall: float, decline: float) -> tuple[float, float]:
    """Hits of the first passage, and the decline, that give that recall among five."""
    if not 0.0 < recall <= 1.0:
        raise InputError(f"recall_of_five: got {recall:g}; expected a share from 0 to 1")
    first = 1.0 - (1.0 - recall) * GIVEN_PASSAGES**decline
    # A search so poor that its first passage could hold nothing has another slope instead.
    least = recall / GIVEN_PASSAGES
    if first < least:
        return least, float(np.log((1.0 - least) / (1.0 - recall)) / np.log(GIVEN_PASSAGES))
    return first, decline


def _time_constant(curve: np.ndarray) -> float:
    """Steps, each an exposure, until all but 1/e of what is known at the end is."""
    wanted = (1.0 - np.exp(-1.0)) * curve[-1]
    return float(np.argmax(curve >= wanted)) + 1.0


def _tuned_odds(study: "llmecon.laboratory.study.Study") -> np.ndarray:
    """What tuning did to the odds of reading rightly, where the index finds the passage."""
    found = study.recall[:, study.settings.searched - 1]

    def odds(with_index: str, alone: str) -> np.ndarray:
        from_memory = (1.0 - found) * (1.0 - study.misled) * study.accuracy[alone]
        read = np.clip((study.accuracy[with_index] - from_memory) / found, NEAR, 1.0 - NEAR)
        return read / (1.0 - read)

    return odds("tuned and index", "tuned, all replayed") / odds("index", "as it is")
