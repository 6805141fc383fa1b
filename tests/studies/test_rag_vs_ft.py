"""The study of retrieval and fine-tuning: one answer behind headline, intervals, panel, slopes."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from llmecon import adaptation
from llmecon.adaptation import best_way, knowledge
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.numerics import crossings
from llmecon.publishing import prose
from llmecon.publishing.chapters.rag_vs_ft import panel, tables
from llmecon.publishing.prose import provenance
from llmecon.specs import SECONDS_PER_MONTH
from llmecon.studies.rag_vs_ft import doubts, findings, frames, model, rivals, search, winners
from llmecon.studies.rag_vs_ft.model import WAYS
from llmecon.studies.rag_vs_ft.scenario import Scenario
from llmecon.studies.rag_vs_ft.study import Study, bills_of_many, resolve
from tests.studies.agreement import at_first, scenarios

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "news": {"changes_per_month": 20.0, "wrong_usd": 0.5, "hosting": "api"},
    "books": {
        "queries_per_month": 3e4,
        "known": 0.6,
        "constants_from": "experiment",
        "changes_per_month": 0.0,
        "documents": 300.0,
    },
    "many": {
        "queries_per_month": 3e8,
        "customers": 50.0,
        "tuned_price_ratio": 1.5,
        "recall_of_five": 0.55,
        "retriever": "dpr-nq-released",
        "wrong_usd": 1.0,
    },
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "news"))


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headline_and_panel_are_the_answer(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in model.numbers(study.chosen).items()}
    told = {key: of.value for key, of in study.quantities.items()}
    assert told == pytest.approx(answered, rel=1e-12)
    shown = at_first(panel.panel(study, provenance.of(models=study.scenario.model)))
    ways = frames.compared(study)
    for way in rivals.RIVALS:
        beyond = study.scenario.changes_per_month < 1e-3  # where the slider ends
        near = 2e-2 if beyond else 1e-9
        assert shown[f"{way}_usd"] == pytest.approx(ways.loc[way, "total"], rel=near)
        assert shown[f"{way}_right"] == pytest.approx(ways.loc[way, "right"], rel=near)
    assert shown["here_y"] == shown["ratio"]


@pytest.mark.slow
@every_scenario
def test_elasticities_are_finite_differences_of_the_answer(name: str) -> None:
    """Knobs are searched anew at every step, which changes nothing to first order."""
    study = studied(name)
    case = model.priced(replace(study.case, ways=(study.winner,)))
    leaves, structure = jax.tree.flatten(case)
    base = np.array([float(leaf) for leaf in leaves])
    step = 1e-5
    up, down = (base * (1.0 + side * step * np.eye(len(base))) for side in (1.0, -1.0))
    moved = jax.tree.unflatten(structure, list(jnp.asarray(np.concatenate([up, down]).T)))
    usd = model.per_thousand(moved, jnp.asarray(bills_of_many(study.winner, moved).usd))
    slopes = jnp.log(usd[: len(base)] / usd[len(base) :]) / (2.0 * step)
    differences = model.inputs_moved(jax.tree.unflatten(structure, list(slopes)))
    told = study.quantities["usd_per_thousand"].elasticities
    for what, slope in differences.items():
        assert told[what] == pytest.approx(float(slope), rel=2e-4, abs=5e-6), what


@pytest.mark.slow
@every_scenario
def test_intervals_hold_the_value_and_are_those_of_draws(name: str) -> None:
    study = studied(name)
    for key, of in study.quantities.items():
        assert of.value is not None
        if of.low is not None and of.high is not None:
            assert of.low <= of.value <= of.high
            inside = (study.drawn[key] >= of.low) & (study.drawn[key] <= of.high)
            assert inside.mean() >= 0.89
    # A draw is an answer: its bill is that of the case with its constants.
    drawn = study.uncertain
    one = {constant: float(of[7]) for constant, of in drawn.constants.items()}
    case = study.uncertain.cases(study.case, study.scenario)
    alone = replace(
        study.case,
        offers=jax.tree.map(
            lambda leaf: np.asarray(leaf)[7] if np.ndim(leaf) else leaf, case.offers
        ),
        knowledge=doubts.knowledge_of(study.scenario, one),
        ways=(study.winner,),
    )
    found = model.answer(alone).outcomes[study.winner]
    usd = float(model.per_thousand(alone, found.bill.total))
    assert study.drawn["usd_per_thousand"][7] == pytest.approx(usd, rel=1e-9)
    assert study.drawn["seconds_per_answer"][7] == pytest.approx(float(found.response), rel=1e-6)


@pytest.mark.slow
def test_a_batch_finds_what_a_search_of_one_case_finds() -> None:
    study = studied("many")
    of = (study.case.asked, search.without_machines(study.case.offers), study.case.knowledge)
    for way in ("rag", "full"):
        alone = interpreted(best_way.best_knobs)(way, *of)
        usd = float(adaptation.bill(way, *of, alone).total)
        assert study.bills[way] == pytest.approx(usd, rel=1e-9)
        for knob, value in vars(study.answer.knobs[way]).items():
            if knob in best_way.FREE[way]:
                assert float(value) == pytest.approx(float(getattr(alone, knob)), rel=1e-4)


@pytest.mark.slow
@every_scenario
def test_frames_agree_with_the_headline(name: str) -> None:
    study = studied(name)
    ways = frames.compared(study)
    assert ways["total"].is_monotonic_increasing
    assert frames.parts(study).groupby("way")["usd"].sum().to_dict() == pytest.approx(
        dict(zip(ways["said"], ways["total"], strict=True))
    )
    best = frames.lengths(study)
    assert best.line["usd"].min() >= ways.loc["rag", "total"] * (1.0 - 1e-9)
    times = frames.months(study)
    lasting = times.groupby("way")["share"].mean() / 100.0
    assert lasting.loc[WAYS["as-is"]] == pytest.approx(ways.loc["as-is", "right"], abs=0.01)
    trained = frames.intervals(study)
    assert trained is not None
    # The search ends a hundred-millionth short of the life of the model.
    assert trained.line["usd"].min() >= ways.loc[trained.way, "total"] * (1.0 - 1e-7)


def test_borders_are_where_two_ways_cost_the_same() -> None:
    def curve(x: np.ndarray) -> np.ndarray:
        return x**3 - np.array([0.001, 0.5, 2.0])

    found = crossings(curve, np.zeros(3), np.ones(3))
    np.testing.assert_allclose(found[:2], [0.1, 0.5 ** (1.0 / 3.0)], atol=1e-9)
    assert np.isnan(found[2])


@pytest.mark.slow
def test_at_break_even_retrieval_and_its_rival_cost_the_same() -> None:
    study = studied("defaults")
    evens = winners.evens(study)
    assert evens.rival is not None
    points = evens.points
    asked = replace(
        study.case.asked,
        queries=points["queries"].to_numpy() / SECONDS_PER_MONTH,
        change=points["change"].to_numpy() / SECONDS_PER_MONTH,
        wrong=points["wrong"].to_numpy(),
    )
    there = replace(study.case, asked=asked)
    one, other = (bills_of_many(way, there).usd for way in (evens.rival, "rag"))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.slow
@every_scenario
def test_prose_and_tables_follow(name: str) -> None:
    study = studied(name)
    given = study.scenario
    facts = frames.facts(study)
    said = prose.render("rag-vs-ft", "sentence", **facts)
    assert "is cheapest" in said
    published = given.constants_from == "published" and study.winner not in (
        "as-is",
        "lora",
        "full",
    )
    assert ("if its model reads passages" in said) == published
    answer = prose.render("rag-vs-ft", "answer", stays=0.5, **facts)
    assert answer.startswith(said)
    assert ("passages of" in answer or "passage of" in answer) == (study.winner in ("rag", "both"))
    machines = prose.render(
        "rag-vs-ft",
        "machines",
        machines=frames.machines(study),
        missing=frames.missing(study),
        grid={"g_co2e_per_kwh": 400.0, "basis": "lifecycle"},
        **facts,
    )
    assert ("for a million prompt tokens" in machines) == (given.hosting == "api")
    interval = prose.render(
        "rag-vs-ft",
        "intervals",
        study=study,
        intervals=frames.intervals(study),
        names=WAYS,
    )
    assert ("Nothing changes" in interval) == (given.changes_per_month == 0.0)
    assert "No model can be tuned" in prose.render("rag-vs-ft", "intervals", intervals=None)
    footprint = study.labels["g_co2e_per_question"]
    assert ("left out" in footprint) == (study.winner in ("rag", "both"))
    assert ("reranking" in footprint) <= study.searching.reranked
    assert len(tables.ways(study)) == len(study.case.ways)
    assert set(tables.sources(study)["Checked"]) <= {"yes", "no"}


@pytest.mark.slow
def test_findings_are_those_of_the_studies() -> None:
    study = studied("defaults")
    table = findings.constants(study)
    assert list(table["said"]) == list(doubts.MEANINGS.values())
    found = findings.published()
    assert 0 <= found.ahead <= found.count == len(findings.STUDIES)
    tried = findings.tried(study)
    assert tried.fresh > tried.stale
    learned = findings.learning(study)
    assert learned.lines["share"].max() <= 100.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"api": "openai-o4-mini-2025-04-16"}, "no price by the token"),
        ({"question_tokens": 1e5}, "can't answer such requests"),
        ({"model": "llama-2-7b", "question_tokens": 5e3}, "handles at most"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


def test_fewer_documents_than_passages_are_told_so() -> None:
    study = resolve(Scenario(documents=1.0, document_tokens=500.0))
    rag = {"passages": 8.0, "passage_tokens": 140.0}
    found = frames.Passages(pd.DataFrame(), top=1.0, most=0.5, closed=1.6, of_five=0.79)
    said = prose.render(
        "rag-vs-ft", "passages", study=study, passages=found, passage=knowledge.PASSAGE, rag=rag
    )
    assert "more than all documents hold" in said
    assert "fewer than five" in said
    assert "the right one is among them" not in said
    assert "; here are" not in said
    assert " ." not in said
    assert " ," not in said
