"""What each way to answer costs and how often it is right: one function of a case of records.

The headline numbers, their intervals and elasticities, the live panel, sweeps, maps and tests all
call `answer`, or those parts of it that take the knobs as given: `at`, `bills` and `qualities`. A
knob at its best has no slope, so that elasticities of the bill are those at fixed knobs.
"""

from collections.abc import Mapping
from dataclasses import replace

import equinox as eqx
import jax
from jaxtyping import Array, Float

from llmecon import adaptation
from llmecon.adaptation import METHODS, Bill, Knobs, Knowledge, Offers, Outcome
from llmecon.execution.interpreter import interpreted
from llmecon.studies.rag_vs_ft import search

Scalar = Float[Array, "..."]

THOUSAND = 1000.0
GRAMS = 1000.0  # in a kilogram

WAYS = {
    "as-is": "the model as it is",
    "rag": "retrieval",
    "lora": "an adapter",
    "full": "new weights",
    "both": "retrieval and an adapter",
    "long-context": "all documents in the prompt",
}
"""Ways to answer as a reader calls them."""

SERVED_BY = {
    "as-is": "base",
    "rag": "base",
    "lora": "adapted",
    "full": "tuned",
    "both": "adapted",
    "long-context": "long",
}
"""Which of the offers each way is served by."""

UNITS = {
    "usd_per_thousand": "USD",
    "right": "fraction",
    "dearer_next": "fraction",
    "seconds_per_answer": "s",
    "g_co2e_per_question": "g",
}
"""Units of the headline numbers."""


class Case(eqx.Module):
    """Questions about documents, and what there is to answer them with.

    Numbers may have a leading dimension of cases where a function says so.

    Attributes:
        asked: the questions and documents.
        offers: the services, trainers and index.
        knowledge: how well the model finds, reads and learns.
        ways: those that are compared, some of `adaptation.METHODS`.
    """

    asked: adaptation.Case
    offers: Offers
    knowledge: Knowledge
    ways: tuple[str, ...] = eqx.field(static=True, default=METHODS)

    @property
    def questions(self) -> Scalar:
        """Over the whole horizon."""
        return self.asked.queries * self.asked.horizon


class Answer(eqx.Module):
    """What each way does at its best.

    Attributes:
        knobs: by way.
        outcomes: by way.
    """

    knobs: dict[str, Knobs]
    outcomes: dict[str, Outcome]

    def ranked(self) -> tuple[str, ...]:
        """The ways, the cheapest first."""
        bills = {way: float(of.bill.total) for way, of in self.outcomes.items()}
        return tuple(sorted(bills, key=lambda way: bills[way]))


def answer(case: Case) -> Answer:
    """What each way costs and how often it is right, with the knobs that make it cheapest.

    Args:
        case: with its ways.

    Returns:
        Knobs and outcomes by way; differentiable at fixed knobs.
    """
    parts = (case.asked, case.offers, case.knowledge)
    return at(case, {way: search.cheapest(way, *parts).knobs for way in case.ways})


def at(case: Case, knobs: Mapping[str, Knobs]) -> Answer:
    """What each way costs and how often it is right with given knobs.

    Args:
        case: with its ways.
        knobs: by way.

    Returns:
        Those knobs, and outcomes by way.
    """
    return Answer(dict(knobs), _outcomes(case, dict(knobs)))


@interpreted
def _outcomes(case: Case, knobs: dict[str, Knobs]) -> dict[str, Outcome]:
    parts = (case.asked, case.offers, case.knowledge)
    return {way: adaptation.outcome(way, *parts, knobs[way]) for way in case.ways}


@interpreted
def outcomes_of_many(way: str, cases: Case, knobs: Knobs) -> Outcome:
    """What one way does in many cases, with given knobs.

    Args:
        way: one of `adaptation.METHODS`.
        cases: every number with a leading dimension.
        knobs: likewise.
    """

    def one(case: Case, knobs: Knobs) -> Outcome:
        return adaptation.outcome(way, case.asked, case.offers, case.knowledge, knobs)

    found: Outcome = jax.vmap(one)(cases, knobs)
    return found


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told.

    Args:
        case: whose first way is the cheapest, and whose second is the next.
    """
    return told(case, answer(case))


def told(case: Case, found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told.

    Args:
        case: as in `numbers`.
        found: its answer.
    """
    first, second = (found.outcomes[way] for way in case.ways[:2])
    return {
        "usd_per_thousand": per_thousand(case, first.bill.total),
        "right": first.quality,
        "dearer_next": second.bill.total / first.bill.total - 1.0,
        "seconds_per_answer": first.response,
        "g_co2e_per_question": GRAMS * first.carbon / case.questions,
    }


def per_thousand(case: Case, usd: Scalar) -> Scalar:
    """A sum over the horizon as USD for a thousand questions."""
    return THOUSAND * usd / case.questions


def priced(case: Case) -> Case:
    """The case by its prices alone: enough where nothing is said of what the machines do."""
    return replace(case, offers=search.without_machines(case.offers))


class Settled(eqx.Module):
    """A case and the knobs with which its ways answer.

    Attributes:
        case: needs no machines.
        knobs: by way.
    """

    case: Case
    knobs: dict[str, Knobs]


def bills(settled: Settled) -> dict[str, Bill]:
    """What each way costs with given knobs, by way."""
    case = settled.case
    parts = (case.asked, case.offers, case.knowledge)
    return {way: adaptation.bill(way, *parts, settled.knobs[way]) for way in case.ways}


def qualities(settled: Settled) -> dict[str, Scalar]:
    """How often each way is right with given knobs, by way."""
    case = settled.case
    parts = (case.asked, case.offers, case.knowledge)
    return {way: adaptation.quality_over_life(way, *parts, settled.knobs[way]) for way in case.ways}


def cost(settled: Settled) -> dict[str, Scalar]:
    """The headline number that follows from a bill alone, and answers to inputs at fixed knobs.

    Args:
        settled: whose case is as in `numbers`.
    """
    first = bills(settled)[settled.case.ways[0]]
    return {"usd_per_thousand": per_thousand(settled.case, first.total)}


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case, of its first way.

    Returns:
        By what a reader calls the input.
    """
    asked, offers, knowledge = effects.asked, effects.offers, effects.knowledge
    service = getattr(offers, SERVED_BY[effects.ways[0]])
    learning = knowledge.learning if effects.ways[0] == "full" else knowledge.adapter
    return {
        "questions asked": asked.queries,
        "documents": asked.documents,
        "changes": asked.change,
        "known before": asked.known,
        "cost of a wrong answer": asked.wrong,
        "length of answers": asked.answer_tokens,
        "length of examples": asked.example_tokens,
        "cost of a label": asked.label,
        "price of tokens and machines": sum(jax.tree.leaves((service.price, service.least_price))),
        "price of training": offers.lora.price + offers.full.price,
        "building the search": offers.index.setup,
        "passage found first": knowledge.retriever.first,
        "reading one passage": knowledge.reading.alone,
        "distraction": knowledge.reading.distraction,
        "misreading": knowledge.reading.misreading,
        "what training can teach": learning.ceiling,
        "exposures needed": learning.exposures,
        "forgetting": learning.forgetting,
    }
