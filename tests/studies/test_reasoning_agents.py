"""The study of reasoning and agents: one answer behind headline, interval, panel and slopes."""

import math
import re
from dataclasses import replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.costs import economics
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.reasoning_agents import panel, tables
from llmecon.publishing.prose import provenance
from llmecon.studies.reasoning_agents import day, equals, frames, model, quality, services
from llmecon.studies.reasoning_agents.model import ANEW, CACHED, PLAIN, REASONED, numbers
from llmecon.studies.reasoning_agents.scenario import Scenario
from llmecon.studies.reasoning_agents.study import Study, resolve
from llmecon.studies.tokenomics.services import Services
from tests.studies.agreement import (
    assert_finite_differences,
    assert_told_as_answered,
    at_first,
    evaluated,
    scenarios,
)

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "nothing special": {
        "reasoning_tokens": 0.0,
        "turns": 1.0,
        "pictures": 0.0,
        "cache_reuse": 0.0,
        "task_ttft_limit_s": 2.0,
    },
    "owned, no score": {
        "model": "llama-3.2-1b",
        "xpu": "gaudi3",
        "precision": "bf16",
        "benchmark": "gpqa-diamond",
        "spare_instances": 0,
        "turns": 60.0,
        "system_tokens": 0.0,
    },
}
every_scenario = scenarios(SCENARIOS, ["defaults", "nothing special"])


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@cache
def served() -> Services:
    return services.services(studied("defaults"))


@pytest.mark.slow
@every_scenario
def test_headline_is_the_answer(name: str) -> None:
    study = studied(name)
    answered = evaluated(numbers)(study.case)
    assert_told_as_answered(study.quantities, answered, (math.nan, "None known"))


@pytest.mark.slow
def test_elasticities_are_finite_differences() -> None:
    study = studied("defaults")
    # Devices of an instance are counted, not differentiated.
    counts = (".layouts", ".service.layout", ".service.spares")
    assert_finite_differences(numbers, study.case, study.differentiated.effects, counts)


@pytest.mark.slow
def test_panel_starts_from_the_answer() -> None:
    study = studied("defaults")
    shown = at_first(panel.panel(study, served(), provenance.of(models=study.scenario.model)))
    found = study.quantities
    assert shown["possible"] == 1.0
    for on_page, in_chapter in (
        ("plain", "usd_per_thousand_plain"),
        ("reasoned", "usd_per_thousand_reasoned"),
        ("wait", "first_word_s"),
        ("talks", "usd_per_thousand_conversations"),
        ("here_y", "usd_per_thousand_conversations"),
    ):
        assert shown[on_page] == pytest.approx(found[in_chapter].value, rel=1e-9), on_page
    assert shown["here_x"] == study.scenario.turns


@pytest.mark.slow
@every_scenario
def test_a_plain_request_costs_what_it_does_in_tokenomics(name: str) -> None:
    study = studied(name)
    tokens = float(study.requests.prompt_tokens + study.requests.output_tokens)
    at_scale = study.plain.quantities["usd_per_mtok_at_scale"]
    plain = study.quantities["usd_per_thousand_plain"]
    for ours, theirs in (
        (plain.value, at_scale.value),
        (plain.low, at_scale.low),
        (plain.high, at_scale.high),
    ):
        assert theirs is not None
        assert ours == pytest.approx(theirs * tokens / 1000.0, rel=1e-9)
    assert float(study.answer.called[PLAIN]) == pytest.approx(
        study.plain.costs["calling an API"], rel=1e-12
    )


@pytest.mark.slow
def test_tasks_without_anything_special_are_plain_requests() -> None:
    study = studied("nothing special")
    usd = study.answer.usd
    assert float(usd[REASONED]) == pytest.approx(float(usd[PLAIN]), rel=1e-9)
    assert float(usd[model.PICTURED]) == pytest.approx(float(usd[PLAIN]), rel=1e-9)
    assert float(usd[ANEW]) == pytest.approx(float(usd[CACHED]), rel=1e-9)


@pytest.mark.slow
def test_tasks_cost_what_they_ask_for() -> None:
    study = studied("defaults")
    usd, called = study.answer.usd, study.answer.called
    # Longer outputs take more than their share, since they hold memory for longer.
    given, output = study.scenario, float(study.requests.output_tokens)
    assert usd[REASONED] / usd[PLAIN] > 1.0
    assert usd[ANEW] > usd[CACHED]
    price = study.plain.case.api
    hidden = given.reasoning_tokens * float(price.output)
    assert float(called[REASONED] - called[PLAIN]) == pytest.approx(hidden, rel=1e-9)
    # Turn by turn, without the formula: prompts grow by what was said before.
    exchange = given.turn_tokens + given.turn_output_tokens
    prompts = [
        given.system_tokens + given.turn_tokens + turn * exchange
        for turn in range(int(given.turns))
    ]
    bill = sum(prompts) * float(price.input)
    bill += given.turns * given.turn_output_tokens * float(price.output)
    assert float(called[ANEW]) == pytest.approx(bill, rel=1e-9)
    assert float(study.answer.first_word) == pytest.approx(
        float(study.answer.ttft) + given.reasoning_tokens * float(study.answer.tpot), rel=1e-12
    )
    assert output > 0


@pytest.mark.slow
def test_frames_agree_with_the_answer() -> None:
    study, found = studied("defaults"), served()
    talks = frames.talks(study, found)
    times = study.quantities["uncached_over_cached"].value
    assert times is not None
    assert talks.saved == pytest.approx(1.0 - 1.0 / times, rel=1e-9)
    own = talks.lines[talks.lines["turns"] == study.scenario.turns].set_index("series")["usd"]
    assert own["self-run, with prefix cache"] == pytest.approx(float(study.answer.usd[CACHED]))
    assert own["API, without"] == pytest.approx(float(study.answer.called[ANEW]))
    hidden = frames.hidden(study, found)
    assert hidden.wait == float(study.answer.first_word)
    line = hidden.lines[hidden.lines["way"] == "mean load"].set_index("hidden")["seconds"]
    assert line[study.scenario.reasoning_tokens] == pytest.approx(hidden.wait)
    edge = quality.edge(study, found)
    assert (edge.rows["score"] > 0).all()
    assert edge.matching is not None
    assert study.equal is not None
    assert edge.matching["who"] == study.equal["who"]
    assert edge.matching["score"] >= edge.level
    assert 0.0 < quality.decline(study).falls["rate"].max() < 1.0
    feasible, usd = model.of_turns(study.case, jnp.asarray(study.scenario.turns))
    assert feasible == 1.0
    assert float(usd) == pytest.approx(float(study.answer.usd[CACHED]), rel=1e-12)


@pytest.mark.slow
def test_context_ends_a_conversation() -> None:
    case = studied("defaults").case
    longest = (float(case.service.llm.context) - 4000.0) / 1200.0
    for turns, holds in ((longest * 0.99, 1.0), (longest * 1.01, 0.0)):
        talk = replace(case.talk, turns=jnp.asarray(turns))
        assert model.holds(replace(case, talk=talk)) == holds


def test_the_equal_model_is_the_cheapest_that_scores_as_well() -> None:
    study = studied("defaults")
    rows = equals.hosted(study.market)
    level = equals.level(study.market, study.scenario.model)
    found = equals.matching(rows, level)
    assert found is not None
    assert found["score"] >= level
    assert not ((rows["score"] >= level) & (rows["blended"] < found["blended"])).any()
    assert equals.matching(rows, 101.0) is None
    assert study.case.equal is not None
    price = float(economics.api_cost(study.case.equal, study.requests))
    assert 1000.0 * price == pytest.approx(study.quantities["usd_per_thousand_equal"].value)


def test_the_published_day() -> None:
    found = day.day()
    assert found.node_seconds == pytest.approx(1.0, abs=0.02)
    assert found.profit == pytest.approx(found.published["profit_over_cost"], abs=0.02)
    told = found.quantities
    assert set(told) == {
        "deepseek_prefill_error",
        "deepseek_decode_error",
        "deepseek_nodes_error",
    }
    published = found.published["input_tokens_per_s_per_node"]
    predicted = found.compared["ours"].iloc[0]
    assert told["deepseek_prefill_error"].value == pytest.approx(predicted / published - 1)
    # Hiding exchanges, as that engine does, brings every number nearer.
    for what, most in {"prefill": 0.1, "decode": 0.37, "nodes": 0.31}.items():
        assert abs(found.errors[what]) < min(most, abs(found.errors_exposed[what])), what
    assert found.holds
    assert prose.render("reasoning-agents", "accounts", day=found).endswith("says.")
    assert "nodes" in prose.render("reasoning-agents", "day", day=found)


@pytest.mark.slow
@every_scenario
def test_prose_follows(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study)
    found = services.services(study)
    edge, decline = quality.edge(study, found), quality.decline(study)
    blocks: dict[str, dict[str, Any]] = {
        "sentence": facts,
        "answer": facts,
        "sure": {"study": study},
        "tasks": facts,
        "finding_tasks": {"study": study, "tasks": frames.tasks(study)},
        "thinking": {"hidden": frames.hidden(study, found)},
        "finding_hidden": {"hidden": frames.hidden(study, found)},
        "finding_talks": {"talks": frames.talks(study, found)},
        "no_talks": {"study": study},
        "no_shapes": {"study": study},
        "cached": {"study": study},
        "matching": {"study": study, "edge": edge},
        "decline": {"decline": decline, "measure": edge.measure},
        "moves": {"moved": frames.elasticities(study)},
        "finding_elasticities": {"moved": frames.elasticities(study)},
    }
    for block, given in blocks.items():
        said = prose.render("reasoning-agents", block, **given)
        assert not re.search(r" [.,;]|\.\.|[a-z)][,;][a-z]|\bnan\b|None", said), said
    answer = prose.render("reasoning-agents", "answer", **facts)
    assert ("Thinking for" in answer) == (study.scenario.reasoning_tokens > 0)
    assert ("Nothing is hidden" in answer) == (study.scenario.reasoning_tokens == 0)
    assert (study.equal is None) == ("No hosted model" in answer)
    rows = set(tables.sources(study)["Figure"])
    assert ("PUE" in rows) == (not study.plain.hours.rentable)


def test_pictures_and_discounts() -> None:
    study = studied("defaults")
    found = frames.pictures(study)
    assert (found[(512, 512)] <= found[(1024, 1024)]).all()
    assert len(tables.pictures(found)) == len(found)
    terms = frames.discounted(study).pivot(index="model", columns="terms", values="usd")
    assert (terms["half cached, batched"] < terms["list price"]).all()
    assert len(tables.discounts()) > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"turns": 500.0}, "a conversation takes 604,000: lower system_tokens, turns"),
        ({"reasoning_tokens": 2e5}, "a reasoned answer takes"),
        ({"pictures": 1000.0}, "a prompt with pictures takes"),
        ({"output_tokens": 9e5}, "handles at most"),
        ({"task_ttft_limit_s": 0.02}, "within its limits at any load"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


def test_thinking_is_never_faster() -> None:
    """More hidden tokens never bring the first word sooner."""
    case = studied("defaults").case
    waits = [
        float(interpreted(numbers)(replace(case, reasoning=jnp.asarray(of)))["first_word_s"])
        for of in (0.0, 10.0, 1000.0, 8000.0)
    ]
    assert np.all(np.diff(waits) > 0)
