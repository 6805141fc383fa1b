"""The study of scaling laws: one answer behind headline, panel and slopes, and what it hands on."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import scaling
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.scaling_laws import panel, tables
from llmecon.publishing.prose import provenance
from llmecon.scaling.sizes import SERVING_FLOPS, TRAINING_FLOPS
from llmecon.studies.scaling_laws import frames, prices, trained
from llmecon.studies.scaling_laws.model import answer, in_dollars, numbers, usd_per_flop
from llmecon.studies.scaling_laws.scenario import Scenario
from llmecon.studies.scaling_laws.study import Study, resolve
from llmecon.studies.xpu_needs import study as needs_study
from llmecon.studies.xpu_needs.scenario import Scenario as Needs
from llmecon.tables import catalog
from tests.studies.agreement import assert_finite_differences, at_first, evaluated, scenarios

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "dollars": {
        "budget": 3e5,
        "budget_unit": "usd",
        "law": "besiroglu-2024",
        "served_tokens": 2e13,
        "usd_per_t_co2e": 200.0,
        "unique_tokens": 5e10,
    },
    "carbon": {
        "budget": 50.0,
        "budget_unit": "t-co2e",
        "grid": "fra",
        "xpu": "b200",
        "utilisation": 1.0,
    },
    "nothing served": {
        "budget": 20_000.0,
        "budget_unit": "xpu-days",
        "served_tokens": 0.0,
        "law": "hoffmann-2022",
        "near": 0.003,
    },
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "dollars"))


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headline_and_panel_are_the_answer(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    told = {key: of.value for key, of in study.quantities.items()}
    assert told == pytest.approx(answered, rel=1e-12)
    shown = at_first(panel.panel(study, provenance.of(models=study.reference)))
    for on_page in ("parameters", "tokens", "tokens_per_parameter"):
        assert shown[on_page] == pytest.approx(answered[on_page], rel=1e-9)
    if study.scenario.served_tokens:
        assert shown["served_parameters"] == pytest.approx(answered["served_parameters"], rel=1e-9)
        assert shown["saving"] == pytest.approx(answered["served_saving"], rel=1e-9)
        ratio = answered["served_tokens_per_parameter"]
        assert shown["here_y"] == pytest.approx(ratio, rel=1e-9)


@pytest.mark.slow
@every_scenario
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    effects = dict(study.differentiated.effects)
    # Savings are differences of costs at an optimum: small ones lose their digits in steps.
    for small in [of for of, value in study.numbers.items() if value < 1e-3]:
        del effects[small]
    assert_finite_differences(numbers, study.case, effects)


@every_scenario
def test_the_budget_is_spent(name: str) -> None:
    study, found = studied(name), studied(name).answer
    given = study.scenario
    spent = {
        "flop": float(TRAINING_FLOPS * found.best.parameters * found.best.tokens),
        "usd": float(found.usd) + given.usd_per_t_co2e * float(found.kilograms) / 1e3,
        "xpu-days": float(found.seconds) / 86400.0,
        "t-co2e": float(found.kilograms) / 1e3,
    }
    assert spent[given.budget_unit] == pytest.approx(given.budget, rel=1e-9)
    assert float(found.within.cost) == pytest.approx(given.budget, rel=1e-9)


@every_scenario
def test_optima_against_brute_force(name: str) -> None:
    study, found, law = studied(name), studied(name).answer, studied(name).case.law
    grid = found.best.parameters * jnp.geomspace(1e-3, 1e3, 60_001)
    losses = np.asarray(scaling.loss(law, grid, found.compute / TRAINING_FLOPS / grid))
    sizes = np.asarray(grid)
    assert float(found.best.loss) <= losses.min() * (1 + 1e-12)
    near = sizes[losses <= (1 + study.scenario.near) * float(found.best.loss)]
    assert near[0] == pytest.approx(float(found.ridge.smallest.parameters), rel=1e-3)
    assert near[-1] == pytest.approx(float(found.ridge.largest.parameters), rel=1e-3)
    dollars = in_dollars(study.case)
    costs = np.asarray(scaling.lifetime_cost(law, grid, found.best.loss, dollars))
    assert float(found.served.cost) <= costs.min() * (1 + 1e-12)
    assert sizes[costs.argmin()] == pytest.approx(float(found.served.parameters), rel=1e-3)


def test_what_serving_costs_is_what_the_other_chapter_says() -> None:
    """A month of the fleet of xpu-needs that carries just the load, over the tokens it serves."""
    study = studied("defaults")
    needs = study.needs
    served = needs.answer.serving
    tokens = needs.scenario.prompt_tokens + needs.scenario.output_tokens
    rent = float(needs.case.deployment.xpus * needs.case.rent / served.capacity.rate) / tokens
    flops = SERVING_FLOPS * prices.size_of(study.reference)
    each = float(study.case.rent * study.case.serving.seconds) * flops
    assert each == pytest.approx(rent / study.scenario.utilisation, rel=1e-12)
    # A fleet that is always full draws what the other chapter says of an output token.
    full = prices.of_serving(needs, 1.0)
    per_output = float(full.joules) * flops * tokens / needs.scenario.output_tokens
    assert per_output == pytest.approx(float(served.energy.total), rel=1e-9)


@pytest.mark.slow
@every_scenario
def test_the_run_that_is_handed_on_costs_the_same_there(name: str) -> None:
    """The command's own parameters, asked of the other chapter."""
    study = studied(name)
    words = study.command.split(" -p ")[1:]
    passed = dict(pair.split(" ") for pair in words)
    numbers = {
        key: value if key in ("model", "xpu", "grid") else float(value)
        for key, value in passed.items()
    }
    other = needs_study.resolve(Needs(**numbers))
    there = other.quantities["training_cost"].value
    assert there == pytest.approx(float(study.answer.usd), rel=0.02)
    if study.scenario.budget_unit == "flop":
        assert there == pytest.approx(float(study.answer.usd), rel=1e-3)


def test_draws_are_joint() -> None:
    """Constants drawn each on its own would leave the best size far less sure."""
    wide = frames.certainty(studied("defaults"))
    of = wide[wide["what"] == "tokens per parameter"].set_index("of")["wide"]
    assert of["each on its own"] > 5.0 * of["together, bootstrap"]
    curved, sampled = np.log(of["together, curvature"]), np.log(of["together, bootstrap"])
    assert curved == pytest.approx(sampled, rel=0.5)


def test_constants_are_within_the_published_intervals() -> None:
    found = frames.constants()
    assert (found["apart"].abs() < 1.0).all()
    assert (found["curvature"] / found["bootstrap"]).between(0.5, 2.0).all()


def test_searches_agree_on_the_law() -> None:
    found = frames.searches()
    assert found.count == 36
    assert found.share > 0.9


def test_printed_constants_contradict_their_text() -> None:
    at = frames.at_chinchilla()
    assert 85.0 < at["hoffmann-2022"] < 140.0
    assert at["refit"] == pytest.approx(frames.SAID, rel=0.25)


@pytest.mark.slow
@every_scenario
def test_frames_agree_with_the_answer(name: str) -> None:
    study = studied(name)
    found = study.answer
    valley = frames.valleys(study).query("of == 'this budget'")
    lowest = valley.loc[valley["loss"].idxmin()]
    assert lowest["parameters"] == pytest.approx(float(found.best.parameters), rel=1e-9)
    assert lowest["loss"] == pytest.approx(float(found.best.loss), rel=1e-9)
    changes = frames.changes(study).set_index("of")
    assert changes.loc["as asked", "parameters"] == pytest.approx(float(found.best.parameters))
    assert changes.loc["as asked", "passes"] == pytest.approx(float(found.passes))
    ridge = frames.ridge(study)
    assert ridge["excess"].min() == pytest.approx(0.0, abs=1e-9)
    both = frames.life(study).query("part == 'both'")
    assert both["usd"].min() == pytest.approx(float(found.served.cost), rel=2e-3)


def test_a_model_is_worth_its_training_for_what_it_must_serve() -> None:
    """Asked for the demand that a published training implies, the study returns that model."""
    study = studied("defaults")
    models = trained.published(study).set_index("id")
    row = models.loc["llama-3.1-8b"]
    assert row["demand"] > 0.0
    life = replace(in_dollars(study.case), served_tokens=jnp.asarray(row["demand"]))
    back = scaling.lifetime_optimal(study.case.law, row["loss"], life)
    assert float(back.parameters) == pytest.approx(row["parameters"], rel=1e-6)
    assert models.loc["gpt-3-175b", "demand"] == 0.0


@pytest.mark.slow
def test_what_another_model_would_say_of_the_price_is_what_it_says_when_asked() -> None:
    study = studied("defaults")
    own = study.repriced
    assert own is not None
    model = prices.nearest(float(study.answer.served.parameters))
    assert own.name == catalog.name("models", model) != study.reference_name
    asked = resolve(Scenario(model=model)).case
    for said, kind in ((own.training, "training"), (own.serving, "serving")):
        costs = [usd_per_flop(of, getattr(of, kind)) for of in (asked, study.case)]
        # Asked there, the model is trained on fewer tokens, by fewer devices.
        assert said == pytest.approx(float(costs[0] / costs[1]), rel=0.1)
    by_hand = replace(
        in_dollars(study.case),
        training_price=own.training * usd_per_flop(study.case, study.case.training),
        serving_price=own.serving * usd_per_flop(study.case, study.case.serving),
    )
    best = scaling.lifetime_optimal(study.case.law, study.answer.best.loss, by_hand)
    assert own.parameters == pytest.approx(float(best.parameters), rel=1e-6)


@pytest.mark.slow
def test_the_chapter_says_what_limits_predictions_of_larger_runs() -> None:
    by, told = trained.by_rule(), trained.campaigns()
    assert by["compute"].largest < 0.01 < by["alike"].largest
    assert by["compute"].median < 0.5 * by["alike"].median
    said = prose.render("scaling-laws", "held_out", by=by, campaigns=told)
    assert f"{told.later} of the {told.runs} runs" in " ".join(said.split())
    assert len(tables.held_out(list(by.values()))) == len(trained.RULES)


@pytest.mark.slow
@every_scenario
def test_prose_and_tables_follow(name: str) -> None:
    study = studied(name)
    said = prose.render("scaling-laws", "sentence", **frames.facts(study))
    served = bool(study.scenario.served_tokens)
    assert ("are to be served" in said) == (served and study.numbers["served_saving"] > 1e-3)
    full = prose.render("scaling-laws", "answer", study=study)
    assert full.startswith(said)
    assert ("published without saying" in full) == (not study.covered)
    priced = prose.render("scaling-laws", "prices", study=study, relative=frames.relative(study))
    assert ("One price is held" in priced) == served
    assert ("would cost least, in place of" in priced) == (study.repriced is not None)
    scarce = prose.render("scaling-laws", "scarce", study=study, worth=frames.worth(study))
    assert ("suffice" in scarce) == (float(study.answer.passes) <= 1.0)
    assert study.command in prose.render("scaling-laws", "handover", study=study)
    green = prose.render("scaling-laws", "greenest", study=study, even=frames.even_price(study))
    assert ("Nothing is served" in green) == (not served)
    assert len(tables.near(study)) == 3
    assert len(tables.constants(frames.constants())) == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 1.0}, "budget: 1 FLOP buys"),
        ({"budget": 1e27, "deadline_days": 1.0}, "the fastest takes"),
        ({"xpu": "gb300"}, "nobody publishes what gb300 rents for"),
        ({"xpu": "gb300", "budget_unit": "usd", "budget": 1e6}, "nobody publishes what gb300"),
        ({"model": "llama-3.1-405b", "xpu": "l4"}, "l4"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


def test_answer_has_no_gaps_at_the_ends_of_what_is_asked() -> None:
    case = studied("defaults").case
    for change in (
        {"budget": 1e15, "unique": 1e17},
        {"budget": 1e30, "unique": 1e8},
        {"served": 0.0},
        {"served": 1e18, "carbon_price": 100.0},
    ):
        at = replace(case, **{key: jnp.asarray(value) for key, value in change.items()})
        assert all(np.isfinite(float(value)) for value in evaluated(numbers)(at).values())
    assert float(interpreted(answer)(replace(case, served=jnp.zeros(()))).served.cost) > 0.0


@pytest.mark.parametrize(
    ("served", "said"), [(0, "nothing is"), (1, "token is"), (2, "tokens are")]
)
def test_what_is_served_agrees_with_its_number(served: int, said: str) -> None:
    label = resolve(Scenario(served_tokens=served)).labels["served_parameters"]
    assert f"{said} to be served" in label.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.slow
def test_where_nothing_is_served_nothing_is_saved() -> None:
    """Not even what rounding leaves; and the panel starts where next to nothing is."""
    study = resolve(Scenario(budget=1e15, served_tokens=0.0, law="hoffmann-2022"))
    assert study.numbers["served_saving"] == study.numbers["greenest_saving"] == 0.0
    shown = at_first(panel.panel(study, provenance.of(models=study.reference)))
    assert 0.0 <= shown["saving"] < 1e-3


@pytest.mark.slow
def test_a_run_too_short_to_be_handed_on_is_not_called_the_budget_s() -> None:
    """The other chapter takes a million tokens at least."""
    study, usual = resolve(Scenario(budget=1e15)), studied("defaults")
    assert study.handed_over > 2.0
    assert usual.handed_over == pytest.approx(1.0, abs=1e-3)
    said, as_usual = (prose.render("scaling-laws", "handover", study=of) for of in (study, usual))
    assert "takes no fewer than" in said
    assert "takes no" not in as_usual
    assert study.command in said


LARGEST, SMALLEST, BELOW = "largest run of the", "smallest run of the", "nothing to build on"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, {LARGEST}),
        ({"budget": 1e20}, set()),
        ({"budget": 1e17}, {SMALLEST, BELOW}),
        ({"budget": 1e19, "served_tokens": 1e15}, {BELOW}),
    ],
)
def test_where_nobody_has_trained_the_answer_says_so(given: dict[str, Any], said: set[str]) -> None:
    told = prose.render("scaling-laws", "answer", study=resolve(Scenario(**given)))
    assert {words for words in (LARGEST, SMALLEST, BELOW) if words in told} == said
