"""The study of hybrid futures: one answer behind headlines, intervals, slopes, panel and maps."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.hybrid_futures import charts, panel, tables
from llmecon.specs import JOULES_PER_KWH
from llmecon.studies.hybrid_futures import elsewhere, frames, future, maps
from llmecon.studies.hybrid_futures.model import GRAMS, THOUSAND, answer, numbers
from llmecon.studies.hybrid_futures.scenario import Scenario
from llmecon.studies.hybrid_futures.study import LENGTHS, Study, resolve
from llmecon.tiers import hybrid, routing
from llmecon.tiers.hybrid import Policy
from tests.studies.agreement import assert_finite_differences, at_first, evaluated, scenarios

SCENARIOS = {
    "defaults": {},
    "laptop": {
        "near_model": "llama-3.2-1b",
        "device": "apple-m3-max",
        "reader_grid": "fra",
        "cloud_grid": "us-midw-miso",
        "cloud_at_once": 2.0,
        "quality_floor": 0.7,
        "seconds_limit": 12.0,
        "router_pair": "gpt-4-mixtral-mmlu",
        "acceptance": 0.0,
    },
    "box": {
        "precision": "bf16",
        "edge_xpu": "h100-sxm",
        "edge_at_once": 30.0,
        "cloud_at_once": 4.0,
        "quality_floor": 0.68,
        "output_tokens": 600.0,
        "in_a_row": 100.0,
        "acceptance": 0.0,
        "seconds_limit": 90.0,
        "flexible_share": 0.0,
    },
    "drafts": {
        "objective": "cost",
        "device": "rtx-4090",
        "acceptance": 0.9,
        "quality_floor": 0.82,
        "backbone": "far-cloud",
        "in_a_row": 1.0,
    },
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "box"))
_answer = interpreted(answer)


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headline_is_the_answer_and_lies_in_its_interval(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    told = {key: of.value for key, of in study.quantities.items()}
    assert told == pytest.approx(answered, rel=1e-12)
    assert answered["g_co2e_per_request"] == pytest.approx(GRAMS * float(study.outcome.kg))
    assert answered["quality"] >= study.scenario.quality_floor - 1e-6
    assert answered["seconds_per_answer"] <= study.scenario.seconds_limit * (1.0 + 1e-6)
    for of in study.quantities.values():
        assert of.low is not None
        assert of.high is not None
        assert of.low <= answered[of.name] <= of.high
    grams = study.quantities["g_co2e_per_request"]
    assert grams.low is not None
    assert grams.high is not None
    assert grams.high > 1.05 * grams.low


@pytest.mark.release
def test_the_scenarios_differ_in_what_their_policies_use() -> None:
    used = {name: tuple(studied(name).used) for name in SCENARIOS}
    assert used["defaults"] == ("device", "cloud")
    assert "edge" in used["box"]
    assert "drafted" in used["drafts"]


@pytest.mark.slow
@every_scenario
def test_the_panel_begins_at_the_answer_without_box_and_drafts(name: str) -> None:
    study = studied(name)
    case = study.case
    shown = at_first(panel.panel(study))
    across = panel.pair_of(study, study.scenario.near_model)
    skill = jnp.asarray(case.skill)
    route = interpreted(routing.route)
    threshold = optimize.brentq(
        lambda at: float(route(jnp.asarray(at), skill, across).strong_share) - shown["sent"],
        -8.0,
        8.0,
        xtol=1e-14,
    )
    alone = replace(case, policy=Policy(hybrid.HIGHEST, threshold), drafting=False)
    found = _answer(alone).outcome
    assert shown["sent"] == pytest.approx(float(found.shares[2]), rel=1e-9)
    assert shown["grams"] == pytest.approx(GRAMS * float(found.kg), rel=1e-9)
    assert shown["seconds"] == pytest.approx(float(found.seconds), rel=1e-9)
    assert shown["usd"] == pytest.approx(THOUSAND * float(found.usd), rel=1e-9)
    assert float(found.quality) == pytest.approx(study.scenario.quality_floor, rel=1e-9)
    if panel.alike(study):
        grams = study.quantities["g_co2e_per_request"].value
        assert shown["grams"] == pytest.approx(grams, rel=1e-5)
    else:
        assert name != "defaults"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "box"])
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Devices of an instance are counted, not differentiated.
    counts = (".edge.layout", ".cloud.layout")
    assert_finite_differences(numbers, study.case, study.differentiated.effects, counts)


@every_scenario
def test_frames_agree_with_the_answer(name: str) -> None:
    study = studied(name)
    found = _answer(study.case)
    ways = dict(zip(frames.PLAIN, found.ways, strict=True))
    emitted = {way: float(of.footprint.total) for way, of in ways.items()}
    assert frames.emitted(study) == pytest.approx(emitted)
    devices = frames.devices(study).set_index("id")
    own = devices.loc[study.scenario.device, "grams"]
    assert own == pytest.approx(GRAMS * emitted["device"])
    places = elsewhere.places(study)
    assert places.home["grams"] == pytest.approx(GRAMS * emitted["cloud"])
    drafts = frames.drafted(study)
    if not study.drafts:
        assert drafts.quickest["length"] == study.draft_length
        assert drafts.quickest["ms"] == pytest.approx(1000.0 * float(study.taken["drafted"].tpot))
    assert frames.checked(study).beyond > -1e-6
    assert study.elasticities("quality") == {}


@pytest.mark.slow
@every_scenario
def test_drafting_is_told_at_the_length_that_the_policy_has(name: str) -> None:
    study = studied(name)
    if study.drafts:
        assert study.draft_length == float(study.best.policy.draft_tokens)
    else:
        assert study.draft_length in LENGTHS


def test_what_a_map_shows_turns_where_the_ways_are_level() -> None:
    study = studied("defaults")
    found = maps.cleanest(study)
    limit = float(study.taken[found.nearest].footprint.total)
    assert found.per_kwh == pytest.approx(
        GRAMS * JOULES_PER_KWH * float(study.case.there.carbon_intensity)
    )
    clean = found.winners[found.winners["y"] == found.winners["y"].min()]
    busiest = clean.loc[clean["x"].idxmax()]
    cloud = replace(study.case.cloud, at_once=jnp.asarray(busiest["x"]))
    there = replace(
        study.case.there, carbon_intensity=jnp.asarray(busiest["y"] / GRAMS / JOULES_PER_KWH)
    )
    kg = float(_answer(replace(study.case, cloud=cloud, there=there)).ways.cloud.footprint.total)
    assert (busiest["winner"] == "cloud") == (kg < limit)


@pytest.mark.slow
def test_a_higher_floor_never_takes_less() -> None:
    found = frames.frontier(studied("defaults"))
    assert (np.diff(found.best["grams"]) > 0).all()
    assert (found.best["quality"] >= found.best["floor"] - 1e-4).all()
    assert found.rises


def test_futures_begin_today() -> None:
    study = studied("defaults")
    futures = future.futures(study)
    today = GRAMS * float(study.taken["cloud"].footprint.electricity)
    np.testing.assert_allclose(futures.grams[:, 0], today)
    np.testing.assert_allclose(futures.usd[:, 0], float(study.taken["cloud"].usd))
    low, high = futures.twh
    assert low < high
    assert futures.causes.groupby("what")["share"].sum().between(0.8, 1.2).all()


@pytest.mark.slow
@every_scenario
def test_prose_tables_and_charts_follow(name: str) -> None:
    study = studied(name)
    said = frames.facts(study)
    sentence = prose.render("hybrid-futures", "sentence", **said)
    assert prose.render("hybrid-futures", "answer", **said).startswith(sentence)
    assert ("Send everything" in sentence) == (len(study.used) == 1)
    blocks: dict[str, dict[str, Any]] = {
        "panel": {"alike": panel.alike(study)},
        "ways": {"heat": frames.heat(study)},
        "speeds": {"speeds": frames.speeds(), **frames.reading(study)},
        "finding_devices": {"devices": frames.devices(study)},
        "finding_cleanest": {"map": maps.cleanest(study)},
        "finding_first": {"map": maps.first(study)},
        "router": {"routed": frames.routed(study)},
        "finding_drafts": {"drafts": frames.drafted(study)},
        "drafts": {"drafts": frames.drafted(study)},
        "policy": {"checked": frames.checked(study)},
        "finding_places": {"places": elsewhere.places(study)},
        "hours": {"places": elsewhere.places(study), "hours": elsewhere.hours(study)},
    }
    told = {
        block: prose.render("hybrid-futures", block, **said, **facts)
        for block, facts in blocks.items()
    }
    assert ("it is hot" in told["ways"]) == bool(frames.heat(study))
    assert ("Nothing may wait" in told["hours"]) == (study.scenario.flexible_share == 0.0)
    assert ("starts from that policy" in told["panel"]) == panel.alike(study)
    assert ("as is best here" in told["ways"]) == study.drafts
    assert list(tables.ways(study)["Way"]) == list(hybrid.WAYS)
    assert len(tables.sources(study)) == 12
    assert charts.flow(study, "Title") is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"near_model": "llama-2-7b", "prompt_tokens": 5e3}, "handles at most"),
        ({"near_model": "llama-3.1-70b", "cloud_model": "llama-3.1-8b"}, "must rise"),
        ({"router_pair": "gpt-4-mixtral-mt-bench"}, "gives no counts"),
        ({"cloud_at_once": 4000.0}, "cloud_at_once 4000: an instance"),
        ({"near_model": "llama-3.1-8b", "prompt_tokens": 1e5}, "near_model: llama-3.1-8b"),
        ({"quality_floor": 0.95}, "can't both be kept"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))
