"""What the charts and tables of the chapter on retrieval and fine-tuning show, as frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import adaptation
from llmecon.adaptation import (
    RETRIEVING,
    TUNED,
    Knobs,
    Operation,
    best_way,
    knowledge,
    published_studies,
)
from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture
from llmecon.specs import SECONDS_PER_DAY, SECONDS_PER_MONTH
from llmecon.studies.rag_vs_ft import assumptions
from llmecon.studies.rag_vs_ft.doubts import MEANINGS
from llmecon.studies.rag_vs_ft.model import THOUSAND, WAYS, Case, inputs_moved
from llmecon.studies.rag_vs_ft.offers import MILLION, held
from llmecon.studies.rag_vs_ft.study import Study, bills_of_many
from llmecon.tables import catalog

PARTS = {
    "setup": "building the search",
    "serving": "tokens and machines",
    "retrieval": "searching",
    "training": "training and releasing",
    "labelling": "preparing documents",
    "wrong": "wrong answers",
}
"""Parts of a bill as a reader calls them."""

MOST_FOUND = 0.98  # share of the questions for which the best search finds the passage
_SHOWN = 5e-4  # elasticities below are left out
_ONCE = 0.99  # of its life, beyond which a model is trained once


def compared(study: Study) -> pd.DataFrame:
    """What every way costs and does with its best knobs, by way, the cheapest first.

    Returns:
        Columns said, right, paid, wrong and total [USD per thousand questions], prompt [tokens],
        seconds, kg [CO2e of a question], searches and trains (whether the way does), passages,
        passage_tokens, interval [s], once (whether it trains but once), exposures and replay.
    """
    rows = {}
    for way in study.ranked:
        found, knobs = study.answer.outcomes[way], study.answer.knobs[way]
        of = {name: float(value) for name, value in vars(knobs).items()}
        rows[way] = {
            "said": WAYS[way],
            "right": float(found.quality),
            "paid": THOUSAND * float(found.bill.paid) / study.questions,
            "wrong": THOUSAND * float(found.bill.wrong) / study.questions,
            "total": THOUSAND * float(found.bill.total) / study.questions,
            "prompt": float(found.prompt),
            "seconds": float(found.response),
            "kg": float(found.carbon) / study.questions,
            "searches": way in RETRIEVING,
            "trains": way in TUNED,
            "once": of["interval"] > _ONCE * study.life,
            **of,
        }
    return pd.DataFrame.from_dict(rows, orient="index").infer_objects()


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    ways = compared(study)
    given = study.scenario
    reads = study.winner in (*RETRIEVING, "long-context") and given.constants_from == "published"
    readers = list(published_studies.reading()["reader"].unique())
    return {
        "study": study,
        "first": ways.loc[study.winner],
        "second": ways.loc[study.second],
        "readers": readers if reads else [],
        "read_in": study.published.alone.source[-4:],
    }


def stays(study: Study) -> float:
    """Share of the draws of what is uncertain in which the cheapest way stays so."""
    two = {way: of.usd for way, of in study.drawn_bills.items()}
    costs = two | {way: bills_of_many(way, study.cases).usd for way in study.ranked[2:]}
    least = np.min(np.stack(list(costs.values())), axis=0)
    return float((costs[study.winner] == least).mean())


def parts(study: Study) -> pd.DataFrame:
    """The bill of every way by part: way, part, usd for a thousand questions."""
    rows = [
        (
            WAYS[way],
            said,
            THOUSAND * float(getattr(study.answer.outcomes[way].bill, part)) / study.questions,
        )
        for way in study.ranked
        for part, said in PARTS.items()
    ]
    return pd.DataFrame(rows, columns=["way", "part", "usd"])


def missing(study: Study) -> list[str]:
    """Ways that are not on offer, as a reader calls them."""
    return [said for way, said in WAYS.items() if way not in study.case.ways]


@dataclass(frozen=True)
class Machines:
    """What an instance does that answers by the cheapest way.

    Attributes:
        busy: share of what it could answer that is asked.
        monthly: questions that it could answer in a month.
        works: what it does for a question.
        held: tokens of the documents that a prompt can hold.
        tuned_usd: price of a million prompt tokens of the hosted model once it is tuned.
    """

    busy: float
    monthly: float
    works: Operation
    held: float
    tuned_usd: float


def machines(study: Study) -> Machines:
    """What an instance does that answers by the cheapest way."""
    rate = float(study.hardware.capacity.rate) / assumptions.PEAK_TO_MEAN
    return Machines(
        busy=float(study.case.asked.queries) / rate,
        monthly=rate * SECONDS_PER_MONTH,
        works=study.answer.outcomes[study.winner].operation,
        held=held(study.scenario, catalog.llm(study.scenario.model)),
        tuned_usd=float(study.case.offers.adapted.price.input) * MILLION,
    )


@dataclass(frozen=True)
class Passages:
    """Finding and reading against the number of passages.

    Attributes:
        lines: columns passages, share [%] and what.
        top: number with most right answers.
        most: right answers there, a share.
        closed: the best number if passages cost nothing and the model knows nothing.
        of_five: share of the questions whose passage is among five.
    """

    lines: pd.DataFrame
    top: float
    most: float
    closed: float
    of_five: float


def passages(study: Study) -> Passages:
    """Finding and reading against the number of passages."""
    able = study.case.knowledge
    counts, length = jnp.geomspace(1.0, 100.0, 60), jnp.asarray(knowledge.PASSAGE)
    found = knowledge.recall(able.retriever, counts, length)
    read = knowledge.reads(able.reading, counts * length)
    known = study.case.asked.known
    answered = knowledge.right_with_passages(found, read, able.reading.misreading, known)
    curves = {"found": found, "read if found": read, "answered rightly": answered}
    lines = pd.concat(
        pd.DataFrame({"passages": counts, "share": 100.0 * np.asarray(of), "what": name})
        for name, of in curves.items()
    )
    return Passages(
        lines,
        top=float(counts[int(jnp.argmax(answered))]),
        most=float(answered.max()),
        closed=float(knowledge.best_passages(able.retriever, able.reading, length)),
        of_five=float(knowledge.recall(able.retriever, jnp.asarray(5.0), length)),
    )


@dataclass(frozen=True)
class Lengths:
    """Cost of retrieval against the length of passages.

    Attributes:
        line: columns tokens, usd for a thousand questions, and what.
        best: length that is cheapest, tokens.
        halved: by how much passages half as long cost more, a share.
        doubled: by how much passages twice as long do.
    """

    line: pd.DataFrame
    best: float
    halved: float
    doubled: float


def lengths(study: Study) -> Lengths:
    """Cost of retrieval against the length of passages, each with its best number."""
    tokens = np.geomspace(32.0, 2048.0, 40)
    usd = _costs(study, "rag", study.case, Knobs(np.nan, tokens, 1.0, 1.0, 1.0))
    best = float(study.answer.knobs["rag"].passage_tokens)
    line = pd.DataFrame({"tokens": tokens, "usd": usd, "what": "each with its best number"})

    def dearer(length: float) -> float:
        return float(np.interp(length, tokens, usd) / usd.min()) - 1.0

    return Lengths(line, best, halved=dearer(best / 2.0), doubled=dearer(best * 2.0))


def months(study: Study) -> pd.DataFrame:
    """Right answers of every way over time: month, share [%] and way."""
    longest = min(float(study.case.asked.horizon), 2.0 * assumptions.REPLACED)
    seconds = np.linspace(0.0, longest, 400)
    found = _rightly(study.case, study.answer.knobs, jnp.asarray(seconds))
    return pd.concat(
        pd.DataFrame(
            {
                "month": seconds / SECONDS_PER_MONTH,
                "share": 100.0 * np.asarray(found[way]),
                "way": WAYS[way],
            }
        )
        for way in study.case.ways
    )


@interpreted
def _rightly(
    case: Case, knobs: Mapping[str, Knobs], seconds: Float[Array, " times"]
) -> dict[str, Float[Array, " times"]]:
    of = (case.asked, case.offers, case.knowledge)
    found = {way: adaptation.quality_at(way, *of, knobs[way], seconds) for way in case.ways}
    return {way: jnp.broadcast_to(right, seconds.shape) for way, right in found.items()}


@dataclass(frozen=True)
class Intervals:
    """Cost of the best tuned way against the time between trainings.

    Attributes:
        way: that way.
        line: columns days, usd for a thousand questions, and what.
        best: time that is cheapest, s.
        once: whether that is but once.
        law: time by the square-root law, s; infinite where nothing changes.
        rules: days to mark, by what they are.
        round_usd: of a round besides what changed.
        stale_usd: a day that stale answers cost at most.
    """

    way: str
    line: pd.DataFrame
    best: float
    once: bool
    law: float
    rules: dict[str, float]
    round_usd: float
    stale_usd: float


def intervals(study: Study) -> Intervals | None:
    """Cost of the best tuned way against the time between trainings; None where there is none."""
    way = next((way for way in study.ranked if way in TUNED), None)
    if way is None:
        return None
    knobs, asked = study.answer.knobs[way], study.case.asked
    seconds = np.geomspace(SECONDS_PER_DAY, study.life, 60)
    usd = _costs(study, way, study.case, replace(knobs, interval=seconds))
    trainer = study.case.offers.full if way == "full" else study.case.offers.lora
    able = study.case.knowledge.learning if way == "full" else study.case.knowledge.adapter
    replayed = float(knobs.replay) * study.corpus * float(knobs.exposures)
    fixed = float(trainer.round) + replayed * float(trainer.price)
    loses = float(asked.queries) * study.scenario.wrong_usd * float(able.ceiling)
    terms = (jnp.asarray(of) for of in (fixed, loses, asked.change))
    law = float(knowledge.best_interval(*terms)) if study.scenario.changes_per_month else math.inf
    best = float(knobs.interval)
    rules = {"by gradient": best / SECONDS_PER_DAY}
    if SECONDS_PER_DAY < law < study.life:
        rules["square-root law"] = law / SECONDS_PER_DAY
    line = pd.DataFrame({"days": seconds / SECONDS_PER_DAY, "usd": usd, "what": WAYS[way]})
    return Intervals(
        way,
        line,
        best,
        once=best > _ONCE * study.life,
        law=law,
        rules=rules,
        round_usd=fixed,
        stale_usd=loses * SECONDS_PER_DAY,
    )


@dataclass(frozen=True)
class Recalls:
    """Cost of retrieval, an adapter and both against how often a search finds the passage.

    That is how often it does among the passages on which searches are measured: among the many more
    of a collection each finds it less often.

    Attributes:
        lines: columns recall [%], usd for a thousand questions, and way.
        together: shares found where doing both is cheapest.
        cheapest: the cheapest way from the poorest search to the best.
        turn: share found from which the last of them is.
        own: share that the scenario's search finds.
    """

    lines: pd.DataFrame
    together: np.ndarray
    cheapest: tuple[str, ...]
    turn: float
    own: float


def recalls(study: Study) -> Recalls:
    """Cost of retrieval, an adapter and both against how often a search finds the passage."""
    found = np.linspace(0.2, MOST_FOUND, 14)
    retriever = study.case.knowledge.retriever
    decline = float(retriever.decline)
    first = 1.0 - (1.0 - found) * 5.0**decline
    # A search so poor that its first passage would hold nothing has another slope instead.
    steeper = np.log(0.99 / (1.0 - found)) / math.log(5.0)
    search = replace(
        retriever, first=np.maximum(first, 0.01), decline=np.where(first < 0.01, steeper, decline)
    )
    cases = replace(study.case, knowledge=replace(study.case.knowledge, retriever=search))
    ways = [way for way in ("rag", "lora", "both") if way in study.case.ways]
    usd = {way: np.broadcast_to(_costs(study, way, cases), found.shape) for way in ways}
    best = np.array(ways)[np.argmin(np.stack(list(usd.values())), axis=0)]
    lines = pd.concat(
        pd.DataFrame({"recall": 100.0 * found, "usd": of, "way": WAYS[way]})
        for way, of in usd.items()
    )
    return Recalls(
        lines,
        together=found[best == "both"],
        cheapest=tuple(best),
        turn=float(found[np.argmax(best != best[0])]),
        own=1.0 - (1.0 - float(retriever.first)) * 5.0**-decline,
    )


def _costs(study: Study, way: str, cases: Case, given: Knobs | None = None) -> np.ndarray:
    """Of a thousand questions in many cases, USD, wrong answers included."""
    found = bills_of_many(way, cases) if given is None else bills_of_many(way, cases, given)
    return THOUSAND * np.asarray(found.usd) / study.questions


def elasticities(study: Study) -> dict[str, float]:
    """By how many percent the cost of a question changes with each input that moves it."""
    moved = inputs_moved(study.differentiated.effects["usd_per_thousand"].case)
    return {name: float(of) for name, of in moved.items() if abs(float(of)) > _SHOWN}


@dataclass(frozen=True)
class Worth:
    """What it would be worth to know something before choosing.

    Attributes:
        table: columns unknown, flips [%] and saving [USD], by flips.
        usual: the way to choose without measuring.
        mean: what that costs on average, USD.
        perfect: what knowing everything would save, USD.
    """

    table: pd.DataFrame
    usual: str
    mean: float
    perfect: float

    @property
    def saves_most(self) -> pd.Series:
        """The unknown whose measuring saves most."""
        return self.table.sort_values("saving", ascending=False).iloc[0]


def worth(study: Study) -> Worth:
    """What it would be worth to know each unknown before choosing."""
    drawn, ways = study.uncertain, study.case.ways
    cases = drawn.doubted(study.case, study.scenario)
    costs = np.stack([bills_of_many(way, cases).usd for way in ways], axis=1)
    spans = {name: getattr(study.ranges, name) for name in MEANINGS}
    unknown = {
        **drawn.doubts,
        **{
            MEANINGS[name]: np.asarray(drawn.constants[name])
            for name, of in spans.items()
            if of.low < of.high
        },
        "speed of the hardware": drawn.pace,
    }
    informed = {name: best_way.worth_of_knowing(costs, of) for name, of in unknown.items()}
    rows = [(name, 100.0 * of.flips, of.saving) for name, of in informed.items()]
    table = pd.DataFrame(rows, columns=["unknown", "flips", "saving"])
    means = costs.mean(axis=0)
    return Worth(
        table.sort_values("flips", ascending=False),
        usual=WAYS[ways[int(means.argmin())]],
        mean=float(means.min()),
        perfect=float(means.min() - costs.min(axis=1).mean()),
    )


@dataclass(frozen=True)
class Reranking:
    """What reranking takes, and what of it is left out.

    Attributes:
        usd: of a thousand searches.
        alike: prompt tokens of the model that take as much arithmetic.
        drawn_share: of what retrieval draws for a question, at most.
        contexts_usd: of writing a context for every passage, once.
    """

    usd: float
    alike: float
    drawn_share: float
    contexts_usd: float


def reranking(study: Study) -> Reranking:
    """What reranking takes, and what of it is left out."""
    given, hardware = study.scenario, study.hardware
    again = assumptions.CANDIDATES * (knowledge.PASSAGE + given.question_tokens)
    active = float(architecture.parameters(catalog.llm(given.model)).active)
    alike = again * assumptions.RERANKER_WEIGHTS / active
    assert hardware.base.machines is not None
    busy = float(hardware.base.machines.held.input) / assumptions.PEAK_TO_MEAN * alike
    rated = catalog.xpu(given.xpu).tdp * (1.0 + hardware.efficiency.host_power)
    most = float(hardware.site.pue * rated * hardware.layout.xpus)
    drawn = float(study.answer.outcomes["rag"].operation.energy.total)
    return Reranking(
        usd=THOUSAND * float(study.searching.reranker["usd_per_search"]),
        alike=alike,
        drawn_share=busy * most / drawn,
        contexts_usd=assumptions.CONTEXT_USD_PER_MTOK * study.corpus / MILLION,
    )
