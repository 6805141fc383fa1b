"""The study of carbon: one answer behind the headline, its interval, the panel and the slopes."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmecon import inputs
from llmecon.costs import carbon
from llmecon.errors import InputError
from llmecon.evidence import own_rows, predictions, uncertainty
from llmecon.publishing import prose
from llmecon.publishing.chapters.carbon import panel, tables
from llmecon.publishing.prose import provenance
from llmecon.studies.carbon import frames
from llmecon.studies.carbon.model import GRAMS, numbers
from llmecon.studies.carbon.scenario import Scenario
from llmecon.studies.carbon.study import Study, resolve
from llmecon.tables import catalog
from tests.studies.agreement import assert_finite_differences, at_first, evaluated, scenarios

SCENARIOS = {
    "defaults": {},
    "packed": {"xpu": "mi300x", "routing": "packed", "accounting": "market", "precision": "bf16"},
    "France": {
        "model": "gpt-oss-120b",
        "xpu": "b200",
        "grid": "fra",
        "accounting": "marginal",
        "spare_instances": 0,
        "requests_per_second": 300.0,
    },
    "small": {
        "model": "llama-3.1-8b",
        "xpu": "l40s",
        "requests_per_second": 0.5,
        "output_tokens": 900.0,
        "reader_device": "tablet",
        "training_tokens": 0.0,
    },
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "France"))


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
    shown = at_first(panel.panel(study, provenance.of(models=study.scenario.model)))
    for on_page, in_chapter in (
        ("grams", "g_co2e_per_request"),
        ("energy", "wh_per_request"),
        ("water", "ml_water_per_request"),
        ("hardware", "hardware_share"),
    ):
        assert shown[on_page] == pytest.approx(answered[in_chapter], rel=1e-9)
    assert shown["here_y"] == shown["grams"]
    assert shown["feasible"] == 1.0


@pytest.mark.slow
@every_scenario
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Devices of an instance and spare instances are counted, not differentiated.
    counts = (".layout", ".spares")
    assert_finite_differences(numbers, study.case, study.differentiated.effects, counts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "France"])
def test_intervals_are_those_of_draws(name: str) -> None:
    """To first order, as the panel computes them, and by drawing efficiencies: alike in width."""
    study = studied(name)
    draws = catalog.efficiency_draws(study.system)
    drawn = uncertainty.intervals(
        lambda efficiency: numbers(replace(study.case, efficiency=efficiency)), draws
    )
    for key, of in study.quantities.items():
        assert of.value is not None
        assert of.low is not None
        assert of.high is not None
        assert of.low <= of.value <= of.high
        width = np.log(drawn[key].high / drawn[key].low)
        assert np.log(of.high / of.low) == pytest.approx(width, rel=0.3, abs=0.01), key


@pytest.mark.slow
@every_scenario
def test_frames_agree_with_the_headline(name: str) -> None:
    study = studied(name)
    parts = frames.parts(study)
    assert parts.query("part != 'reader'")["grams"].sum() == pytest.approx(study.total)
    assert parts["grams"].min() >= -1e-12
    ways = frames.accountings(study).set_index("basis")
    assert ways.loc[study.scenario.accounting, "grams"] == pytest.approx(study.total)
    grids = frames.grids(study).set_index("id")
    assert grids.loc[study.scenario.grid, "grams"] == pytest.approx(ways.loc["location", "grams"])
    assert frames.elasticities(study) == study.quantities["g_co2e_per_request"].elasticities


def test_an_empty_instance_wastes_more() -> None:
    found = frames.emptiness(studied("defaults"))
    electricity = found.lines.query("part == 'electricity'")["grams"].to_numpy()
    assert (np.diff(electricity) < 0).all()
    assert found.waste > 10.0


def test_training_is_borne_by_at_least_those_who_ask_here() -> None:
    """A service with more requests than the model is said to have is all of its users."""
    few = resolve(Scenario(model_requests_per_second=1.0))
    assert few.grams["training"] * 20.0 == pytest.approx(
        2000.0 * studied("defaults").grams["training"]
    )
    assert frames.training(few).assumed == 20.0


@every_scenario
def test_prose_and_tables_follow(name: str) -> None:
    study = studied(name)
    given = study.scenario
    said = prose.render("carbon", "sentence", **frames.facts(study))
    assert "CO₂e" in said
    assert tables.parts(study).iloc[0]["Part"] == "accelerators"
    per_kwh = frames.intensities(study)[given.accounting]
    answer = prose.render("carbon", "answer", per_kwh=per_kwh, **frames.facts(study))
    assert answer.startswith(said)
    assert ("several kinds" in answer) == bool(study.other_kinds)
    trained = prose.render("carbon", "training", study=study)
    assert ("left out" in trained) == (given.training_tokens == 0.0)


def test_kinds_of_electricity_are_told_apart() -> None:
    assert not studied("defaults").other_kinds
    direct = next(g for g in inputs.ids("grid") if catalog.kind_of(g).basis == "direct")
    mixed = resolve(Scenario(grid=direct))
    assert carbon.kind(mixed.case.site).basis == "direct"
    assert set(mixed.other_kinds) == {"network and reader", "the training"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt_tokens": 9e5}, "handles at most"),
        ({"xpu": "l40s", "model": "deepseek-v3"}, "can't meet ttft_limit_s"),
        ({"server": "iphone-16-pro"}, "server: "),
        ({"network": "home-router"}, "network: "),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


def test_grams_are_thousandths() -> None:
    study = studied("defaults")
    assert study.total == pytest.approx(GRAMS * float(study.answer.footprint.served))


@pytest.mark.slow
def test_headline_and_panel_are_of_the_servers_asked_for(tmp_path: Path) -> None:
    """As tuned as the best, or as one's own rows say; rows of the best are the best's numbers."""
    load = pd.DataFrame(
        {"model": "llama-3.1-70b", "xpu": "h100-sxm", "n_xpus": 4, "precision": "fp8"}
        | {"concurrency": [4, 16, 64], "prompt_tokens": 1000, "output_tokens": 200},
    )
    rows = pd.concat([load] * 20, ignore_index=True)
    physics, _ = predictions.physics("serving", rows)
    measured = rows.assign(tpot_s=physics["tpot"], energy_j_per_output_token=physics["energy"])
    file = tmp_path / "mine.json"
    file.write_text(own_rows.as_text(own_rows.of_measurements(measured, physics, "serving")))

    def devices(study: Study) -> float:
        return float(study.answer.instances * study.case.layout.xpus)

    best = resolve(Scenario(tuning="best"))
    mine = resolve(Scenario(my_server=str(file)))
    for study in (best, mine):
        assert devices(study) < devices(studied("defaults"))
        shown = at_first(panel.panel(study, provenance.of(models=study.scenario.model)))
        assert shown["grams"] == pytest.approx(study.total, rel=1e-9)
    for name, of in mine.quantities.items():
        assert of.value == pytest.approx(best.quantities[name].value, rel=0.05), name
    answer = prose.render("carbon", "answer", per_kwh=1.0, **frames.facts(mine))
    assert "`mine.json`" in answer
    with pytest.raises(InputError, match=r"none\.json can't be read"):
        resolve(Scenario(my_server="none.json"))
