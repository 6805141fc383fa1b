"""What published studies say of finding, reading and learning, as the constants of `knowledge`."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.optimize import brentq

from llmecon.adaptation.knowledge import PASSAGE, Retriever, crowding
from llmecon.errors import InputError
from llmecon.tables import catalog

# Beyond this many passages nobody puts them into a prompt, and what is found there doesn't count.
MOST_PASSAGES = 100
# Studies that trained models on documents and then asked without them, offering four answers.
LEARNED = ("ovadia-current-events", "entigraph-quality")
CHOICES = 4.0
# Ovadia's tuning met each fact once, or in ten paraphrases; Yang wrote 455 million tokens about
# 1.3 million.
EXPOSURES = {"plain": 1.0, "paraphrases": 10.0, "synthetic": 350.0}
# That Luo's models were trained on in turn.
TASKS = 5.0


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


def table_of(curve: str) -> pd.DataFrame:
    """The rows of the table of retrieval that a curve is fitted to.

    Args:
        curve: one of `retrievers()`.
    """
    return _in_use().query("curve == @curve")


def _in_use() -> pd.DataFrame:
    # A share of several pieces of evidence is not a chance to find the one that is needed.
    return catalog.table("retrieval").query("measure != 'evidence-share' and k <= @MOST_PASSAGES")


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
    rows = table_of(curve)
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
    crowded = np.asarray(crowding(jnp.asarray(rows["passages"].to_numpy() * PASSAGE)))
    exponent = np.log(rows["alone"] / rows["among"]) / np.log(crowded)
    return rows.assign(distraction=exponent)


def learning() -> pd.DataFrame:
    """How much of what it was trained on a model knows, corrected for guessing.

    Two measured shares, after one exposure and after ten, give the law that approaches a ceiling;
    where one of them is nothing, or there is but one, the share last measured stands for it.

    Returns:
        By `study` and `model`: the `exposures` after which all but 1/e of what can be learned is
        (NaN where it can't be told), and the `ceiling`: share of the questions, of those that the
        model could not answer before, that training ever teaches [Ovadia2023], [Yang2024].
    """
    of = catalog.table("adaptation_studies").query("metric == 'accuracy'")
    rows = []
    for (study, model), found in of[of["study"].isin(LEARNED)].groupby(["study", "model"]):
        tuned = found.query("method == 'fine-tuned'").set_index("variant")["value"]
        if tuned.empty:
            continue
        known = float(_unguessed(found.query("method == 'base'")["value"]).iloc[0])
        shares = ((_unguessed(tuned) - known) / (1.0 - known)).clip(lower=0.0)
        often = shares.rename(index=EXPOSURES).sort_index()
        exposures, ceiling = _approach(often)
        rows.append((study, model, exposures, ceiling))
    return pd.DataFrame(rows, columns=["study", "model", "exposures", "ceiling"])


def _approach(shares: pd.Series) -> tuple[float, float]:
    """Exposures and ceiling of c (1 - exp(-e / n)) through the shares learned after e of them."""
    few, many = float(shares.index[0]), float(shares.index[-1])
    low, high = float(shares.iloc[0]), float(shares.iloc[-1])
    if not 1.0 < high / max(low, 1e-9) < many / few:
        return np.nan, high

    def excess(rate: float) -> float:
        return float(np.expm1(-many * rate) / np.expm1(-few * rate)) - high / low

    rate = brentq(excess, 1e-6, 1e3)
    return 1.0 / rate, float(high / -np.expm1(-many * rate))


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


def misreading() -> pd.Series:
    """How often models answer wrongly rather than decline, where no passage holds the answer.

    Returns:
        Share by reader: those that were told to decline and did not [Chen2023RGB].
    """
    rows = catalog.table("reading").query("context == 'distractors-only' and measure == 'declined'")
    return 1.0 - rows.set_index("reader")["value"]


def forgetting() -> pd.Series:
    """What one round of training on something else destroys of reading and reasoning [Luo2023].

    Returns:
        Share of the score lost in a round, by row of the table: five tasks in turn lost it
        together, and each is taken to have lost as much.
    """
    rows = catalog.table("forgetting").query("study == 'luo' and measure != 'mmlu'")
    left = rows["after"] / rows["before"]
    return pd.Series(1.0 - left.to_numpy() ** (1.0 / TASKS), index=rows["id"])


def adapters() -> pd.Series:
    """What adapters learn of what full training does, at the best of each [Biderman2024].

    Returns:
        Share of the score of full training, at most 1, by study.
    """
    rows = catalog.table("forgetting")
    learnt = rows[rows["id"].str.endswith("-learnt")].set_index(["study", "method"])["after"]
    return (learnt.xs("lora", level="method") / learnt.xs("full", level="method")).clip(upper=1.0)


def relief() -> pd.Series:
    """The share of old text that, trained on beside the new, reduces forgetting by a factor e.

    Returns:
        By row of the table, from the loss on the old text over that without replay; rows in which
        nothing was forgotten are left out [Ibrahim2024].
    """
    rows = catalog.table("forgetting").query("measure == 'old-loss-nats'")
    lost = rows.assign(lost=rows["after"] - rows["before"]).set_index("id")
    bare = lost.query("replay_share == 0").set_index("study")["lost"]
    some = lost.query("replay_share > 0 and lost > 0")
    return some["replay_share"] / np.log(some["study"].map(bare) / some["lost"])


def transfer() -> pd.Series:
    """How far the same search differs between two sets of questions.

    Returns:
        By method: difference between the log odds that the first passage holds the answer, for
        questions of TriviaQA and of Natural Questions.
    """
    fits = {curve: float(retriever(curve).retriever.first) for curve in retrievers()}
    pairs = {
        curve.removesuffix("-nq-pyserini"): (first, fits[curve.replace("-nq-", "-triviaqa-")])
        for curve, first in fits.items()
        if curve.endswith("-nq-pyserini")
    }
    return pd.Series(
        {method: np.log(b / (1.0 - b)) - np.log(a / (1.0 - a)) for method, (a, b) in pairs.items()}
    )
