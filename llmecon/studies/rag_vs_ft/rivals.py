"""Retrieval against an adapter with given knobs: what the live panel and an exercise compare."""

from dataclasses import replace

from jaxtyping import Array, Float

from llmecon.adaptation import Knobs, Offers
from llmecon.studies.rag_vs_ft import model, search
from llmecon.studies.rag_vs_ft.model import Settled
from llmecon.studies.rag_vs_ft.study import Study, bills_of_many, offers_of

Scalar = Float[Array, ""]

RIVALS = ("rag", "lora")
"""The ways that are compared: retrieval and an adapter."""


def best(study: Study, way: str) -> Knobs:
    """The best knobs of a way, also where it is not on offer."""
    known = study.answer.knobs
    return known[way] if way in known else bills_of_many(way, study.case).knobs


def knobs(study: Study) -> Knobs:
    """The best knobs of both: an adapter's, with the passages of retrieval."""
    rag, lora = (best(study, way) for way in RIVALS)
    return replace(lora, passages=rag.passages, passage_tokens=rag.passage_tokens)


def offered(study: Study, hosting: str) -> Offers:
    """By their prices; prompts of all documents, which may not be served at all, are left out.

    Args:
        study: whose scenario.
        hosting: own or api.
    """
    found = offers_of(study.scenario, study.hardware, study.searching, hosting)
    prices = search.without_machines(found)
    return replace(prices, long=prices.base)


def told(settled: Settled) -> dict[str, Scalar]:
    """What is said of the two, from the study's own bills and right answers.

    Args:
        settled: a case of both ways, and their knobs.
    """
    bills, right = model.bills(settled), model.qualities(settled)
    rag, lora = (model.per_thousand(settled.case, bills[way].total) for way in RIVALS)
    return {
        "ratio": lora / rag,
        "rag_usd": rag,
        "lora_usd": lora,
        "rag_right": right["rag"],
        "lora_right": right["lora"],
    }
