"""The study of hardware choice: one answer behind headline, slopes and panel, and its frames."""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from llmecon import serving, specs
from llmecon.choice import sensitivity, switching
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.hardware_choice import panel, tables
from llmecon.publishing.prose import provenance, stored
from llmecon.studies.hardware_choice import comparisons, frames, margins, published, rivals
from llmecon.studies.hardware_choice.model import INPUTS, PARTS, answer, numbers, scaled
from llmecon.studies.hardware_choice.scenario import Scenario
from llmecon.studies.hardware_choice.study import Study, resolve
from llmecon.studies.systems import system_of
from llmecon.tables import catalog
from tests.studies.agreement import at_first, evaluated, scenarios

FEW = {"xpus": "h100-sxm, b200, l40s", "grid": "usa", "other_grid": "usa"}
SCENARIOS: dict[str, dict[str, Any]] = {
    "few": FEW,
    "one size": FEW | {"long_share": 0.0, "phases": "together", "usd_per_tonne": 0.0},
    "hurried": FEW | {"tpot_limit_s": 0.012, "requests_per_second": 300.0, "precision": "bf16"},
    "little power": FEW | {"power_kw": 9.0, "xpus": "h100-sxm, b200, mi355x", "tuning": "best"},
    "unable": FEW | {"xpu": "l40s"},
}
every_scenario = scenarios(SCENARIOS, quick=("few", "unable"))


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headlines_are_the_answer(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    found = study.quantities
    told = {key: found[key].value for key in answered}
    assert told == pytest.approx(answered, rel=1e-12)
    # What was searched for by other means costs as much.
    alone = study.alone
    assert told["usd_per_mtok"] == pytest.approx(study.per_mtok(study.best.cost), rel=1e-6)
    assert told["usd_per_mtok_parts"] == pytest.approx(study.per_mtok(study.parts.cost), rel=1e-6)
    if alone.able:
        assert told["usd_per_mtok_usual"] == pytest.approx(study.per_mtok(alone.usual), rel=1e-9)
        assert told["saving"] == pytest.approx(1.0 - alone.costs[alone.safe] / alone.usual)
    else:
        assert found["usd_per_mtok_usual"].value is None
        assert found["saving"].text == "Everything"
    for of in found.values():
        assert (of.low is None) == (of.high is None)
        if of.value is not None and of.low is not None and of.high is not None:
            assert of.low <= of.value <= of.high


@every_scenario
def test_fleets_take_what_was_found(name: str) -> None:
    study = studied(name)
    found = evaluated(answer)(study.case)
    for at, plan in enumerate((study.best, study.parts)):
        for mine, theirs in (("money", "usd"), ("carbon", "kg_co2e"), ("power", "joule")):
            taken = float(getattr(found, mine)[at])
            assert taken == pytest.approx(plan.takes[theirs], rel=1e-5)
    np.testing.assert_array_equal(np.asarray(found.able), 1.0)


@pytest.mark.slow
@scenarios(["few", "one size", "little power"], quick=["few"])
def test_elasticities_are_finite_differences(name: str) -> None:
    study, step = studied(name), 1e-5
    case = study.case_in_parts
    moves = step * np.concatenate([np.eye(len(INPUTS)), -np.eye(len(INPUTS))])

    def costs(by: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = answer(scaled(case, by))
        return found.usd_per_mtok[0], found.cost[0]

    tokens, second = (np.asarray(of) for of in interpreted(jax.vmap(costs))(moves))
    for name_of, values in (("usd_per_mtok", tokens), ("usd_per_second", second)):
        slopes = np.log(values[: len(INPUTS)] / values[len(INPUTS) :]) / (2.0 * step)
        told = study.effects[name_of]
        expected = {of: slope for of, slope in zip(INPUTS, slopes, strict=True) if of in told}
        assert told == pytest.approx(expected, rel=2e-4, abs=2e-6)
    assert ("power to be had" in study.effects["usd_per_mtok"]) == (name == "little power")
    assert study.quantities["usd_per_mtok_parts"].elasticities == study.effects["usd_per_mtok"]


@pytest.mark.slow
def test_elasticities_are_those_of_the_least_cost() -> None:
    """By the conditions that hold at the optimum, and by differentiating what was chosen."""
    study = studied("little power")
    theirs = sensitivity.elasticities(study.posed, study.parts)["cost"]
    of = {
        "ttft": "limits on TTFT",
        "tpot": "limits on TPOT",
        "prompt_tokens": "prompt lengths",
        "output_tokens": "answer lengths",
        "flops": "arithmetic rate",
        "bandwidth": "memory bandwidth",
        "memory": "memory",
        "link": "links",
        "tdp": "rated power",
        "rate": "requests a second",
        "price": "rents",
        "joule": "power to be had",
    }
    expected = {of[str(what)]: float(effect) for what, effect in theirs.items()}
    assert frames.elasticities(study) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_the_panel_begins_at_full_instances() -> None:
    study = studied("few")
    given = study.scenario
    shown = at_first(panel.panel(study, provenance.of(models=given.model)))
    requests = specs.Workload(given.prompt_tokens, given.output_tokens)
    limits = specs.LatencyTarget(given.ttft_limit_s, given.tpot_limit_s)
    for xpu, told in ((given.xpu, "usd_a"), (given.rival, "usd_b")):
        layout, full = interpreted(serving.best_deployment)(
            catalog.llm(given.model),
            catalog.xpu(xpu),
            specs.precision(given.precision),
            requests,
            catalog.efficiency(system_of(given, xpu=xpu)),
            limits,
        )
        rent = catalog.rental_price(xpu)
        assert rent is not None
        per_second = float(layout.xpus) * rent.usd / 3600.0 / float(full.rate)
        tokens = given.prompt_tokens + given.output_tokens
        assert shown[told] == pytest.approx(1e6 * per_second / tokens, rel=1e-9)
    assert shown["both"] == 1.0
    assert shown["here_y"] == pytest.approx(shown["usd_b"] / shown["usd_a"])


@every_scenario
def test_frames_agree_with_the_headlines(name: str) -> None:
    study = studied(name)
    bars = frames.bars(study).set_index("id")["usd"]
    assert bars.is_monotonic_increasing
    assert (study.scenario.xpu in bars.index) == study.alone.able
    if study.alone.able:
        usual = study.quantities["usd_per_mtok_usual"].value
        assert bars[study.scenario.xpu] == pytest.approx(usual)
    assert -1e-9 < frames.gap(study) < 1e-6
    knob = frames.knob(study)
    assert knob.ends["best"] <= min(of for what, of in knob.ends.items() if what != "best")
    assert frames.engines(study)["all"] == len(study.posed.options.names)
    pools = tables.pools(study, study.best)
    assert len(pools) == sum(len(pool.serves) for pool in study.best.pools)


@pytest.mark.slow
@every_scenario
def test_prose_follows(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study)
    said = prose.render("hardware-choice", "sentence", **facts)
    assert ("a tonne" in said) == (study.scenario.usd_per_tonne > 0)
    assert ("if the figures hold" in said) == bool(facts["weak"])
    whole = prose.render("hardware-choice", "answer", compared=frames.compared(study), **facts)
    assert whole.startswith(said)
    assert ("alone can't keep the limits at all" in whole) == (study.usual is None)
    assert "  " not in whole
    choices = prose.render(
        "hardware-choice",
        "choices",
        study=study,
        engines=frames.engines(study),
        grid_names=tables.grid_names(study),
    )
    assert ("only read prompts" in choices) == (study.scenario.phases == "either")
    fares = comparisons.fares(study)
    found = prose.render("hardware-choice", "finding_doubt", fares=fares)
    assert found.startswith(fares["name"].iloc[0])
    learned = comparisons.learned(study)
    assert prose.render("hardware-choice", "learned", study=study, learned=learned)


@every_scenario
def test_labels_say_what_the_fleets_do_not_rest_on(name: str) -> None:
    study = studied(name)
    for plan, label in ((study.best, "usd_per_mtok"), (study.parts, "usd_per_mtok_parts")):
        said = study.labels[label]
        for xpu in frames.ids(plan):
            assert study.marked(xpu) in said or study.name(xpu) + study.though(xpu) in said


@pytest.mark.slow
def test_a_saving_of_less_than_nothing_is_told_as_what_is_dearer() -> None:
    study = resolve(Scenario(**FEW | {"xpus": "h100-sxm, b200, mi355x", "xpu": "mi355x"}))
    found = study.quantities["saving"]
    assert found.value is not None
    assert found.value < 0.0
    shown = stored.told(found)
    assert "−" not in shown.text
    assert "saved" not in found.label
    assert found.label.startswith("dearer than MI355X is B200 SXM")
    assert "would save" not in found.label


def test_usual_accelerator_that_is_too_slow_is_told_so() -> None:
    study = studied("unable")
    assert study.quantities["usd_per_mtok_usual"].text == "Never"
    assert study.name("l40s") in study.labels["usd_per_mtok_usual"]


def test_rents_and_the_nearest_limits_are_shown() -> None:
    def move(what: str, now: float, value: float | None) -> margins.Move:
        return margins.Move(what, "", "", now, switching.Switch(None, value, (), ()))

    far, never = move("rent", 1.0, 20.0), move("ttft", 2.0, None)
    limits = [move("tpot", 1.0, value) for value in (0.5, 1.1, 3.0, 0.8)]
    shown = margins.nearest([*limits, never, far, move("rent", 4.0, None)])
    assert [of.found.value for of in shown] == [1.1, 0.8, 0.5, 20.0, None]


def test_searches_and_checks_are_those_of_the_tables() -> None:
    found = published.searches()
    assert set(found.reached.index) == set(published.METHODS)
    assert found.problems("small", "medium") == 6
    assert published.checks()["problems"] == len(catalog.table("choice_checks"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt_tokens": 9e5}, "handles at most"),
        ({"tpot_limit_s": 0.0005}, "nothing serves all requests.*; short requests: both limits"),
        ({"budget_usd_per_hour": 0.01}, "money: times"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**(FEW | given)))


def test_the_fleet_in_parts_is_alone_in_what_is_differentiated() -> None:
    assert studied("few").case_in_parts.fleets == (PARTS,)


@pytest.mark.slow
def test_where_all_requests_are_long_slopes_are_numbers() -> None:
    study = resolve(Scenario(**(FEW | {"long_share": 1.0})))
    assert all(np.isfinite(of) for of in study.effects["usd_per_mtok"].values())
    assert all(np.isfinite(work.share).all() for work in study.case.work)


@pytest.mark.slow
def test_the_panels_two_accelerators_are_those_of_the_study() -> None:
    study = studied("few")
    given = study.scenario
    shown = at_first(panel.panel(study, provenance.of(models=given.model)))
    rents = [catalog.rental_price(xpu).usd for xpu in (given.xpu, given.rival)]  # type: ignore[union-attr]
    llm, demand = catalog.llm(given.model), rivals.short_requests(given)
    found = interpreted(answer)(rivals.case(llm, rivals.engines(given), rents, demand))
    expected = [shown["usd_a"], shown["usd_b"]]
    np.testing.assert_allclose(found.usd_per_mtok, expected, rtol=1e-9)
