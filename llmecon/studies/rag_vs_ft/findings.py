"""What published studies and the laboratory's experiments found, as the chapter shows it."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import paths
from llmecon.adaptation import knowledge, published_studies
from llmecon.laboratory import smollm2, smollm2_model
from llmecon.laboratory import study as laboratory
from llmecon.studies.rag_vs_ft import doubts
from llmecon.studies.rag_vs_ft.doubts import MEANINGS
from llmecon.studies.rag_vs_ft.study import Study
from llmecon.tables import catalog

STUDIES = {
    "ovadia-current-events": "news after training (Ovadia)",
    "ovadia-(?!current)": "textbook questions (Ovadia)",
    "entigraph-quality": "questions about books (Yang)",
    "balaguer-agriculture": "agriculture (Balaguer)",
    "raft-": "documents of a domain (Zhang)",
}
"""Published studies by what their names match."""

METHODS = {"base": "as it is", "fine-tuned": "tuned", "rag": "retrieval", "both": "both"}
"""Ways to answer as studies compare them."""

# Hosted models that a study asked in some ways only, beside the one that it tuned.
_LEFT_OUT = "gpt-[34](?!-base)|gpt-3.5|gpt-4-base"

LABELS = {
    "as it is": "as it is",
    "recall 1": "passages, recall 1",
    "recall 0.9": "passages, recall 0.9",
    "recall 0.7": "passages, recall 0.7",
    "index": "passages from the index",
    "tuned, no replay": "tuned on the changes",
    "tuned, some replay": "and {replay} of the rest",
    "tuned, all replayed": "and all of the rest",
    "tuned and index": "tuned, all replayed, and index",
}
"""Ways to answer that the laboratory tries, as a reader calls them."""

_KINDS = {
    "changed": "facts that changed",
    "unchanged": "facts that did not",
    "all": "all facts",
}


@dataclass(frozen=True)
class Published:
    """Right answers in published studies.

    Attributes:
        table: columns study, way, mean, low and high [%].
        ahead: studies in which retrieval answers more rightly than tuning.
        together: studies in which doing both is best.
        count: of studies.
    """

    table: pd.DataFrame
    ahead: int
    together: int
    count: int


def published() -> Published:
    """Right answers in published studies by way, of several ways to tune the best."""
    found = catalog.table("adaptation_studies")
    found = found.query("metric == 'accuracy'")
    found = found[found["method"].isin(METHODS) & ~found["id"].str.contains(_LEFT_OUT)]
    rows = []
    for pattern, name in STUDIES.items():
        of = found[found["study"].str.match(pattern)]
        for method, said in METHODS.items():
            each = of[of["method"] == method].groupby(["study", "model"])["value"].max()
            if len(each):
                mean, low, high = (100.0 * x for x in (each.mean(), each.min(), each.max()))
                rows.append((name, said, mean, low, high))
    table = pd.DataFrame(rows, columns=["study", "way", "mean", "low", "high"])
    means = table.pivot(index="study", columns="way", values="mean")
    return Published(
        table,
        ahead=int((means["retrieval"] > means["tuned"]).sum()),
        together=int((means["both"] >= means.max(axis=1)).sum()),
        count=len(means),
    )


def quarrel() -> dict[str, pd.Series]:
    """Why published studies disagree.

    Returns:
        Ceilings of learning, and odds of reading after tuning over before: tuned on news, and on
        questions with right and wrong passages.
    """
    odds = published_studies.tuned_reading().set_index("study")["odds"]
    return {
        "ceilings": published_studies.learning()["ceiling"],
        "news": odds[odds.index.str.match("ovadia-current")],
        "mixed": odds[odds.index.str.match("raft-pubmed|raft-hugging|raft-tensor")],
    }


def constants(study: Study) -> pd.DataFrame:
    """Constants of finding, reading and learning: said, published, experiment (`Range`), source."""
    rows = [
        (said, *(getattr(of, name) for of in (study.published, study.measured)))
        for name, said in MEANINGS.items()
    ]
    frame = pd.DataFrame(rows, columns=["said", "published", "experiment"])
    return frame.assign(source=[of.source for of in frame["published"]])


@dataclass(frozen=True)
class Tried:
    """Right answers of the laboratory's transformer.

    Attributes:
        table: columns way, label, kind, mean, low and high [%].
        stale: as it is, after facts changed; a share.
        fresh: with passages that always hold the answer.
        bare: tuned on the changes alone.
        whole: tuned, all replayed.
        taught: of the changes, learned by training on them alone.
        lost: of the others, destroyed by that.
        spared: of the others left out, destroyed where some are replayed.
        indexed: questions whose passage the index puts among its first.
    """

    table: pd.DataFrame
    stale: float
    fresh: float
    bare: float
    whole: float
    taught: float
    lost: float
    spared: float
    indexed: float


def tried(study: Study) -> Tried:
    """Right answers of the laboratory's transformer by way to answer."""
    found = study.experiment
    table = laboratory.accuracies(found)
    table = table[table["way"].isin(LABELS)]
    shares = {end: 100.0 * table[end] for end in ("mean", "low", "high")}
    table = table.assign(
        label=table["way"].map(LABELS), kind=table["facts"].map(_KINDS), **shares
    ).sort_values("way", key=lambda of: of.map(list(LABELS).index), kind="stable")

    def right(way: str) -> float:
        return float(found.accuracy[way].mean())

    return Tried(
        table[["way", "label", "kind", "mean", "low", "high"]],
        stale=right("as it is"),
        fresh=right("recall 1"),
        bare=right("tuned, no replay"),
        whole=right("tuned, all replayed"),
        taught=float(found.changed["tuned, no replay"].mean()),
        lost=float(found.forgetting[0.0].mean()),
        spared=float(found.forgetting[found.settings.replay].mean()),
        indexed=float(found.recall[:, found.settings.searched - 1].mean()),
    )


@dataclass(frozen=True)
class Learning:
    """What the laboratory's transformer learned with every exposure.

    Attributes:
        lines: columns exposures, share, low, high [%] and what.
        exposures: after which all but 1/e is learned.
        slow: whether it learns more slowly at first than the law says.
    """

    lines: pd.DataFrame
    exposures: float
    slow: bool


def learning(study: Study) -> Learning:
    """What the laboratory's transformer learned with every exposure, beside the model's law."""
    learned = study.experiment.learning
    steps = np.arange(1, learned.shape[1] + 1)
    often = study.measured.exposures.middle
    law = study.measured.ceiling.middle * -np.expm1(-steps / often)
    early = int(often / 3)
    return Learning(
        _beside("exposures", steps, learned, law, ("changed facts learned", "the model's law")),
        exposures=often,
        slow=bool(learned.mean(axis=0)[early] < law[early]),
    )


@dataclass(frozen=True)
class Reading:
    """How the laboratory's transformer reads the right passage among others.

    Attributes:
        lines: columns passages, share, low, high [%] and what.
        many: the most passages tried.
        alone: read rightly with one passage, a share.
        among: read rightly with the most.
    """

    lines: pd.DataFrame
    many: int
    alone: float
    among: float


def reading(study: Study) -> Reading:
    """How the laboratory's transformer reads, beside the law fitted to it."""
    found = study.experiment.reading
    many = np.array(sorted(found))
    read = np.stack([found[int(k)] for k in many], axis=1)
    able = doubts.knowledge_of(study.scenario, study.measured.middles()).reading
    law = np.asarray(knowledge.reads(able, jnp.asarray(many * knowledge.PASSAGE)))
    return Reading(
        _beside("passages", many, read, law, ("measured", "power of the number")),
        many=int(many[-1]),
        alone=float(read[:, 0].mean()),
        among=float(read[:, -1].mean()),
    )


def _beside(
    along: str, places: np.ndarray, by_seed: np.ndarray, law: np.ndarray, names: tuple[str, str]
) -> pd.DataFrame:
    """Mean, least and most of the seeds, and a law beside them, in percent."""
    curves = [(by_seed.mean(axis=0), by_seed.min(axis=0), by_seed.max(axis=0)), (law, law, law)]
    return pd.concat(
        pd.DataFrame(
            {
                along: places,
                "share": 100.0 * middle,
                "low": 100.0 * low,
                "high": 100.0 * high,
                "what": name,
            }
        )
        for name, (middle, low, high) in zip(names, curves, strict=True)
    )


@dataclass(frozen=True)
class Asked:
    """What a small published language model answered.

    Attributes:
        check: as run.
        table: columns asked, mean, low and high [%].
    """

    check: smollm2.Check
    table: pd.DataFrame

    @property
    def single(self) -> smollm2.Share:
        """With the right passage alone."""
        return self.check.reading[min(self.check.reading)]

    @property
    def several(self) -> smollm2.Share:
        """With the right passage among the most."""
        return self.check.reading[max(self.check.reading)]


def asked() -> Asked | None:
    """What SmolLM2 answered with and without passages; None where it was not fetched."""
    if not smollm2_model.available():
        return None
    check = smollm2.run(cache=paths.BUILD / "smollm2")
    shares = {"invented facts, no passage": check.unaided}
    for k, of in check.reading.items():
        shares[f"the right passage among {k}" if k > 1 else "the right passage alone"] = of
    shares["capitals, no passage"] = check.known
    shares["capitals known, then misled by wrong passages"] = check.misled
    rows = [(name, 100.0 * of.mean, 100.0 * of.low, 100.0 * of.high) for name, of in shares.items()]
    return Asked(check, pd.DataFrame(rows, columns=["asked", "mean", "low", "high"]))
