"""The tables of the chapter on retrieval and fine-tuning, in words."""

from typing import Any

import pandas as pd

from llmecon import words
from llmecon.adaptation.constants import Range
from llmecon.studies.rag_vs_ft import assumptions, findings, frames
from llmecon.studies.rag_vs_ft.model import THOUSAND
from llmecon.studies.rag_vs_ft.study import Study
from llmecon.tables import catalog

_NONE = "–"


def ways(study: Study) -> pd.DataFrame:
    """What every way costs and does, with its best knobs."""
    rows = [
        (
            of["said"],
            words.percent(of["right"]),
            words.usd(of["paid"]),
            words.usd(of["total"]),
            words.number(of["prompt"]),
            words.duration(of["seconds"]),
            words.mass(of["kg"]),
        )
        for of in frames.compared(study).to_dict("records")
    ]
    columns = ["Way", "Right", "Paid per 1,000", "with wrong answers", "Prompt [tokens]"]
    return pd.DataFrame(rows, columns=[*columns, "Answered in", "CO₂e, searches left out"])


def knobs(study: Study) -> pd.DataFrame:
    """The best knobs of every way that has any."""
    found = frames.compared(study)
    rows = [
        (
            of["said"],
            words.number(of["passages"]) if of["searches"] else _NONE,
            words.number(of["passage_tokens"]) if of["searches"] else _NONE,
            trained(of["interval"], of["once"]) if of["trains"] else _NONE,
            words.number(of["exposures"]) if of["trains"] else _NONE,
            words.percent(of["replay"]) if of["trains"] else _NONE,
        )
        for of in found[found["searches"] | found["trains"]].to_dict("records")
    ]
    columns = ["Way", "Passages", "Tokens in each", "Trained", "Times a fact is shown", "Replayed"]
    return pd.DataFrame(rows, columns=columns)


def trained(interval: float, once: bool) -> str:
    """How often a model is trained.

    Args:
        interval: s.
        once: whether that is but once.
    """
    return "once" if once else f"every {words.duration(interval)}"


def constants(study: Study) -> pd.DataFrame:
    """Constants of finding, reading and learning: middle and range."""
    rows = [
        (
            of["said"],
            _spanned(of["published"]),
            _spanned(of["experiment"]),
            words.sources(of["source"]),
        )
        for of in findings.constants(study).to_dict("records")
    ]
    columns = ["Constant", "Published", "This experiment", "Source of the published"]
    return pd.DataFrame(rows, columns=columns)


def _spanned(of: Range) -> str:
    if of.low == of.high:
        return words.number(of.middle)
    return f"{words.number(of.middle)} ({words.number(of.low)}–{words.number(of.high)})"


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from; assumptions last."""
    given, of, sold = study.scenario, study.searching, study.sold
    grid, facility = catalog.row("grid", given.grid), catalog.row("facilities", given.facility)
    per_thousand = THOUSAND * float(of.reranker["usd_per_search"])
    stored = of.store["storage_usd_per_gb_month"]
    pue = float(study.hardware.site.pue)
    looked_up: list[tuple[str, str, Any]] = [
        ("search", given.retriever, of.study),
        ("reranking", f"{words.usd(per_thousand)} per thousand searches", of.reranker),
        ("grid", f"{grid['g_co2e_per_kwh']:g} g CO₂e/kWh, {grid['name']}", grid),
        ("data centre", f"PUE {pue:g}, {facility['name']}", facility),
        (
            "embedding",
            f"{words.usd(of.embedding['usd_per_mtok'])} per million tokens",
            of.embedding,
        ),
        ("store of vectors", f"{words.usd(stored)} per GB and month", of.store),
        ("API", f"{sold['provider']}'s {sold['model']}", sold),
    ]
    rows = [
        (what, value, words.sources(row["source"]), "yes" if row["checked"] else "no")
        for what, value, row in looked_up
    ]
    rows += [(what, value, "assumed", "no") for what, value in _assumed().items()]
    return pd.DataFrame(rows, columns=["Figure", "Value", "Source", "Checked"])


def _assumed() -> dict[str, str]:
    return {
        "tokens that open every prompt": f"{assumptions.INSTRUCTION_TOKENS:g}",
        "a base model is replaced after": words.duration(assumptions.REPLACED),
        "a changed document is found after": words.duration(assumptions.REFRESH),
        "a search takes": words.duration(assumptions.SEARCH_SECONDS),
        "reranking adds": words.duration(assumptions.RERANK_SECONDS),
        "passages reranked": f"{assumptions.CANDIDATES:g}",
        "building the search": words.usd(assumptions.SETUP_USD),
        "evaluating and releasing a model": words.usd(assumptions.RELEASE_USD),
        "weights in an adapter": words.percent(assumptions.TRAINABLE),
        "an adapter forgets, of full training": words.percent(assumptions.ADAPTER_FORGETS),
        "facts in a token of documents": f"{assumptions.BITS_PER_TOKEN:g} bit",
        "exponent, finding over length": f"{assumptions.DILUTION:g}",
        "an answer needs in a row": f"{assumptions.SPAN:g} tokens",
        "peak over mean questions": f"{assumptions.PEAK_TO_MEAN:g}",
        "hardware lasts": words.duration(assumptions.LIFETIME),
    }
