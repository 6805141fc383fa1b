"""What published studies say of finding, reading and learning, as the constants of `knowledge`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmecon import catalog
from llmecon.errors import InputError
from llmecon.knowledge import PASSAGE, Retriever

# Beyond this many passages nobody puts them into a prompt, and what is found there doesn't count.
MOST_PASSAGES = 100
# Ovadia's questions offer four answers; tuning met each fact once, or in ten paraphrases.
CHOICES = 4.0
EXPOSURES = {"plain": 1.0, "paraphrases": 10.0}


@dataclass(frozen=True)
class Fitted:
    """A retriever fitted to its published recall.

    Attributes:
        retriever: the fit.
        error: largest difference to a published point, in recall.
        points: how many there are.
    """

    retriever: Retriever
    error: float
    points: int


def retrievers() -> list[str]:
    """Published curves that a retriever can be fitted to: with recall at several numbers."""
    points = _in_use()["curve"].value_counts()
    return sorted(str(name) for name in points.index[points > 1])


def _in_use() -> pd.DataFrame:
    return catalog.table("retrieval").query("measure == 'answer-in-any' and k <= @MOST_PASSAGES")


def retriever(curve: str, dilution: float = 0.0, span: float = 0.0) -> Fitted:
    """A retriever whose misses decline as a power of the passages taken, fitted to its recall.

    Args:
        curve: in the table of retrieval, of those in `retrievers()`.
        dilution: see `knowledge.Retriever`; published points have one length of passage.
        span: likewise.

    Returns:
        The line through the logarithms of misses, up to a hundred passages.

    Raises:
        InputError: no such curve, or a span so long that published recall is out of reach.
    """
    known = retrievers()
    if curve not in known:
        raise InputError(f"retriever: {curve!r} is not known; use one of {', '.join(known)}")
    rows = _in_use().query("curve == @curve")
    whole = np.exp(-span / PASSAGE)
    missed = 1.0 - rows["recall"].to_numpy() / whole
    if np.any(missed <= 0.0):
        raise InputError(
            f"span: of {span:g} tokens, {1.0 - whole:.0%} are cut apart, more than are missed in "
            f"all; use less than {-PASSAGE * np.log(rows['recall'].max()):.0f}"
        )
    slope, intercept = np.polyfit(np.log(rows["k"]), np.log(missed), 1)
    fit = Retriever(first=1.0 - np.exp(intercept), decline=-slope, dilution=dilution, span=span)
    modelled = whole * (1.0 - np.exp(intercept) * rows["k"] ** slope)
    return Fitted(fit, float(np.abs(modelled - rows["recall"]).max()), len(rows))


def reading() -> pd.DataFrame:
    """How models read the passage that holds the answer, alone and among others.

    Returns:
        By `reader` and number of `passages`: accuracy `alone`, and `among` as many, as a mean over
        the places where it may stand; the exponent of `distraction` that leads from one to the
        other.
    """
    frame = catalog.table("reading").query("measure == 'accuracy' and gold_passages == 1")
    alone = frame.query("context == 'oracle'").groupby("reader")["value"].mean().rename("alone")
    many = frame.query("context == 'with-distractors' and passages > 1")
    among = many.groupby(["reader", "passages"])["value"].mean().rename("among").reset_index()
    rows = among.merge(alone, on="reader")
    exponent = np.log(rows["alone"] / rows["among"]) / np.log(rows["passages"])
    return rows.assign(distraction=exponent)


def learning() -> pd.DataFrame:
    """How much of what it was trained on a model knows, corrected for guessing [Ovadia2023].

    Returns:
        By `model`: `exposures` of each fact, the `share` of the facts it did not know that it
        learned, and the exposures after which all but 1/e would be (`needed`, infinite where
        nothing was learned).
    """
    of = catalog.table("adaptation_studies").query("study == 'ovadia-current-events'")
    known = _unguessed(of.query("method == 'base'").set_index("model")["value"])
    tuned = of.query("method == 'fine-tuned'")
    before = tuned["model"].map(known)
    share = ((_unguessed(tuned["value"]) - before) / (1.0 - before)).clip(lower=0.0)
    rows = pd.DataFrame({"model": tuned["model"], "share": share})
    rows["exposures"] = tuned["variant"].map(EXPOSURES)
    rows["needed"] = rows["exposures"] / -np.log1p(-rows["share"].where(rows["share"] > 0.0))
    return rows.fillna({"needed": np.inf}).reset_index(drop=True)


def _unguessed(right: pd.Series) -> pd.Series:
    """Share known, from the share answered rightly where what isn't known is guessed."""
    return ((right - 1.0 / CHOICES) / (1.0 - 1.0 / CHOICES)).clip(lower=0.0)


def tuned_reading() -> pd.DataFrame:
    """What fine-tuning made of the odds of a right answer with passages at hand.

    Returns:
        By `study`, `model` and `variant` of tuning: accuracy `retrieved` and with `both`, the
        multiple of the `odds`, and whether tuning `helped`.
    """
    of = catalog.table("adaptation_studies").query("metric == 'accuracy'")
    given = of.query("method == 'rag'").groupby(["study", "model"])["value"].mean()
    both = of.query("method == 'both'")[["study", "model", "variant", "value"]]
    rows = both.rename(columns={"value": "both"}).merge(
        given.rename("retrieved").reset_index(), on=["study", "model"]
    )
    before, after = (rows[c] / (1.0 - rows[c]) for c in ("retrieved", "both"))
    return rows.assign(odds=after / before, helped=after > before)
