"""What published studies say of finding, reading and learning, as the constants of `knowledge`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmecon import catalog
from llmecon.errors import InputError
from llmecon.knowledge import PASSAGE, Retriever

# Beyond this many passages nobody puts them into a prompt, and what is found there doesn't count.
MOST_PASSAGES = 100


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
    """Names of the retrievers with published recall."""
    return sorted(catalog.table("retrieval")["retriever"].unique())


def retriever(name: str, dilution: float = 0.0, span: float = 0.0) -> Fitted:
    """A retriever whose misses decline as a power of the passages taken, fitted to its recall.

    Args:
        name: in the table of retrieval.
        dilution: see `knowledge.Retriever`; published points have one length of passage.
        span: likewise.

    Returns:
        The line through the logarithms of misses, up to a hundred passages.

    Raises:
        InputError: no such retriever, or a span so long that published recall is out of reach.
    """
    rows = catalog.table("retrieval").query("retriever == @name and passages <= @MOST_PASSAGES")
    if rows.empty:
        raise InputError(f"retriever: {name!r} is not known; use one of {', '.join(retrievers())}")
    whole = np.exp(-span / PASSAGE)
    missed = 1.0 - rows["recall"].to_numpy() / whole
    if np.any(missed <= 0.0):
        raise InputError(
            f"span: of {span:g} tokens, {1.0 - whole:.0%} are cut apart, more than are missed in "
            f"all; use less than {-PASSAGE * np.log(rows['recall'].max()):.0f}"
        )
    slope, intercept = np.polyfit(np.log(rows["passages"]), np.log(missed), 1)
    fit = Retriever(first=1.0 - np.exp(intercept), decline=-slope, dilution=dilution, span=span)
    modelled = whole * (1.0 - np.exp(intercept) * rows["passages"] ** slope)
    return Fitted(fit, float(np.abs(modelled - rows["recall"]).max()), len(rows))


def reading() -> pd.DataFrame:
    """How models read the passage that holds the answer, alone and among others.

    Returns:
        By model: `alone` and `among` (means over the places where it may stand), the number of
        `passages`, and the exponent of `distraction` that leads from one to the other.
    """
    frame = catalog.table("reading")
    rows = []
    for model, of in frame.groupby("model", sort=False):
        alone = of.query("passages == 1")["accuracy"].mean()
        many = of.query("passages > 1")
        for passages in sorted(set(many["passages"])):
            among = many.loc[many["passages"] == passages, "accuracy"].mean()
            exponent = np.log(alone / among) / np.log(passages)
            rows.append((model, alone, among, passages, exponent))
    return pd.DataFrame(rows, columns=["model", "alone", "among", "passages", "distraction"])


def learning() -> pd.DataFrame:
    """How much of what it was trained on a model knows, corrected for guessing.

    Returns:
        By study and model: `exposures` of each fact, the `share` of the facts it did not know that
        it learned, and the exposures after which all but 1/e would be (`needed`, infinite where
        nothing was learned).
    """
    frame = catalog.table("adaptation_studies").dropna(subset=["exposures", "choices"])
    guessed = 1.0 / frame["choices"]
    known, taught = (
        ((frame[column] - guessed) / (1.0 - guessed)).clip(lower=0.0)
        for column in ("base", "tuned")
    )
    share = ((taught - known) / (1.0 - known)).clip(lower=0.0)
    needed = np.full(len(frame), np.inf)
    some = (share > 0.0).to_numpy()
    needed[some] = -frame["exposures"].to_numpy()[some] / np.log1p(-share.to_numpy()[some])
    return frame[["study", "model", "exposures"]].assign(share=share, needed=needed)


def tuned_reading() -> pd.DataFrame:
    """What fine-tuning made of the odds of a right answer with passages at hand.

    Returns:
        By study and model: `retrieved` and `both`, the multiple of the `odds`, and whether tuning
        `helped`.
    """
    frame = catalog.table("adaptation_studies").dropna(subset=["retrieved", "both"])
    before, after = (frame[c] / (1.0 - frame[c]) for c in ("retrieved", "both"))
    return frame[["study", "model", "dataset", "retrieved", "both"]].assign(
        odds=after / before, helped=after > before
    )
