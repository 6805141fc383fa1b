"""A scenario of the chapter on retrieval and fine-tuning: looked up, answered, and named."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from llmecon import adaptation
from llmecon.adaptation import RETRIEVING, Knobs, Offers, constants
from llmecon.adaptation.constants import Constants
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Ends, Interval
from llmecon.laboratory import study as laboratory
from llmecon.specs import SECONDS_PER_MONTH
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.rag_vs_ft import assumptions, doubts, offers, search
from llmecon.studies.rag_vs_ft.doubts import Uncertain
from llmecon.studies.rag_vs_ft.model import (
    GRAMS,
    UNITS,
    WAYS,
    Answer,
    Case,
    Settled,
    answer,
    cost,
    inputs_moved,
    outcomes_of_many,
    per_thousand,
    priced,
    told,
)
from llmecon.studies.rag_vs_ft.offers import Hardware, Searching
from llmecon.studies.rag_vs_ft.scenario import Scenario
from llmecon.tables import catalog


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        hardware: the hardware that it names.
        searching: the search that it names.
        sold: the hosted model that it names, a row.
    """

    scenario: Scenario
    case: Case
    hardware: Hardware
    searching: Searching
    sold: Mapping[str, Any]

    @cached_property
    def answer(self) -> Answer:
        """What every way does with its best knobs."""
        return answer(self.case)

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """The ways, the cheapest first."""
        return self.answer.ranked()

    @property
    def winner(self) -> str:
        """The cheapest way."""
        return self.ranked[0]

    @property
    def second(self) -> str:
        """The next best way."""
        return self.ranked[1]

    @cached_property
    def chosen(self) -> Case:
        """The case with the two cheapest ways alone, of which the headline numbers tell."""
        return replace(self.case, ways=self.ranked[:2])

    @property
    def bills(self) -> dict[str, float]:
        """What every way costs over the horizon, USD, the cheapest first."""
        return {way: float(self.answer.outcomes[way].bill.total) for way in self.ranked}

    @cached_property
    def published(self) -> Constants:
        """Constants of finding, reading and learning from published studies, with their ranges."""
        return taught(self.scenario, "published")

    @cached_property
    def experiment(self) -> laboratory.Study:
        """The experiment, run once for a version of the laboratory."""
        return laboratory.kept()

    @cached_property
    def measured(self) -> Constants:
        """Constants from the experiment, with their ranges."""
        return taught(self.scenario, "experiment")

    @property
    def ranges(self) -> Constants:
        """Those that the scenario names."""
        return self.published if self.scenario.constants_from == "published" else self.measured

    @cached_property
    def uncertain(self) -> Uncertain:
        """Draws of all that is uncertain."""
        return doubts.draw(self.scenario, self.hardware, self.ranges)

    @cached_property
    def cases(self) -> Case:
        """The case in every draw of what is uncertain about finding, learning and hardware."""
        return self.uncertain.cases(self.case, self.scenario)

    @cached_property
    def drawn_bills(self) -> dict[str, search.Found]:
        """What the two cheapest ways cost in every draw, each with knobs of its own."""
        return {way: bills_of_many(way, self.cases) for way in self.ranked[:2]}

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The headline numbers in every draw, each way with knobs of its own."""
        bills = self.drawn_bills
        wide = search.widened(replace(self.cases, ways=()), assumptions.DRAWS)
        found = outcomes_of_many(self.winner, wide, bills[self.winner].knobs)
        numbers = {
            "usd_per_thousand": per_thousand(self.case, found.bill.total),
            "right": found.quality,
            "dearer_next": bills[self.second].usd / found.bill.total - 1.0,
            "seconds_per_answer": found.response,
            "g_co2e_per_question": GRAMS * found.carbon / self.questions,
        }
        return {name: np.asarray(values) for name, values in numbers.items()}

    @cached_property
    def differentiated(self) -> Differentiated:
        """What a thousand questions cost, with its elasticities at fixed knobs."""
        knobs = {self.winner: self.answer.knobs[self.winner]}
        alone = replace(self.case, ways=(self.winner,))
        return differentiate(cost, Settled(priced(alone), knobs))

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        labels = self.labels
        found = {}
        for name, number in told(self.chosen, self.answer).items():
            value = float(number)
            ends = _bounds(uncertainty.bounds(self.drawn[name]), value)
            moved = {}
            if name in self.differentiated.effects:
                moved = inputs_moved(self.differentiated.effects[name].case)
            found[name] = Quantity(
                name,
                value,
                UNITS[name],
                labels[name],
                **ends,
                elasticities={of: float(effect) for of, effect in moved.items()},
            )
        return found

    @property
    def labels(self) -> dict[str, str]:
        """What each headline number is, in a few words."""
        return {
            "usd_per_thousand": f"for a thousand questions by {WAYS[self.winner]}, wrong answers "
            "included",
            "right": "of questions are answered rightly",
            "dearer_next": f"more is what the next best way costs, {WAYS[self.second]}",
            "seconds_per_answer": "to the end of an answer",
            "g_co2e_per_question": f"of CO₂e for a question{self._left_out}",
        }

    @property
    def _left_out(self) -> str:
        """What its footprint doesn't hold, where the cheapest way searches; else empty."""
        if self.winner not in RETRIEVING:
            return ""
        what = "searching and reranking draw" if self.searching.reranked else "searching draws"
        return f" at least: what {what} is left out"

    @property
    def questions(self) -> float:
        """Over the whole horizon."""
        return float(self.case.questions)

    @property
    def life(self) -> float:
        """Time that a tuned model is kept up before it is replaced, s."""
        return float(self.case.asked.life)

    @property
    def corpus(self) -> float:
        """Tokens of all documents."""
        return offers.corpus(self.scenario)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, ready to be answered.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests or the model don't fit, no load meets the limits on time, or a row
            that was chosen publishes no price.
    """
    sold, searching = offers.sold(scenario), offers.searching(scenario)
    middles = taught(scenario, scenario.constants_from).middles()
    hardware = offers.hardware(scenario)
    case = Case(
        asked=asked(scenario),
        offers=offers_of(scenario, hardware, searching, scenario.hosting),
        knowledge=doubts.knowledge_of(scenario, middles),
        ways=_possible(scenario, hardware),
    )
    return Study(scenario, case, hardware, searching, sold)


def asked(scenario: Scenario) -> adaptation.Case:
    """The questions and documents of a scenario."""
    return adaptation.Case(
        queries=scenario.queries_per_month / SECONDS_PER_MONTH,
        documents=scenario.documents,
        document_tokens=scenario.document_tokens,
        change=scenario.changes_per_month / SECONDS_PER_MONTH,
        known=scenario.known,
        instruction_tokens=assumptions.INSTRUCTION_TOKENS,
        example_tokens=scenario.example_tokens,
        question_tokens=scenario.question_tokens,
        answer_tokens=scenario.answer_tokens,
        wrong=scenario.wrong_usd,
        label=scenario.label_usd,
        horizon=scenario.months * SECONDS_PER_MONTH,
        replaced=assumptions.REPLACED,
        tenants=scenario.customers,
        window=float(catalog.llm(scenario.model).context),
    )


def offers_of(scenario: Scenario, hardware: Hardware, searching: Searching, hosting: str) -> Offers:
    """What there is to answer with, on rented hardware or through an API.

    Args:
        scenario: what is asked.
        hardware: that it names.
        searching: that it names.
        hosting: own or api.
    """
    index = offers.index(scenario, searching)
    return (offers.own if hosting == "own" else offers.api)(scenario, hardware, index)


def taught(scenario: Scenario, source: str) -> Constants:
    """Constants of finding, reading and learning, with their ranges.

    Args:
        scenario: with the search, and how often it finds a passage among five.
        source: published, or experiment for those of the laboratory.
    """
    if source == "published":
        return constants.published(scenario.retriever, scenario.recall_of_five)
    return constants.measured(laboratory.kept(), scenario.recall_of_five)


def bills_of_many(way: str, cases: Case, given: Knobs = search.FREE) -> search.Found:
    """What a way to answer costs in many cases, each with its best knobs.

    Args:
        way: one of `adaptation.METHODS`.
        cases: numbers, or arrays of one for each case.
        given: knobs to keep; those that are NaN are searched.
    """
    return search.cheapest(way, cases.asked, cases.offers, cases.knowledge, given)


def _possible(scenario: Scenario, hardware: Hardware) -> tuple[str, ...]:
    """The ways that there are: an API trains adapters alone, and instances have limits on time."""
    hosted = scenario.hosting == "api"
    adapts = hosted or hardware.trains_lora
    there = {
        "lora": adapts,
        "full": not hosted and hardware.trains_full,
        "both": adapts,
        "long-context": hardware.reads_all,
    }
    return tuple(way for way in WAYS if there.get(way, True))


def _bounds(interval: Interval, value: float) -> Ends:
    """An interval for a headline number; none where nothing that is uncertain matters."""
    ends = interval.around(value)
    return ends if ends and ends["high"] - ends["low"] > 0.005 * abs(value) else {}
