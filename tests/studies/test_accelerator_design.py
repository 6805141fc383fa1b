"""The study of accelerator design: one answer behind headline, slopes and panel, and its frames."""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.accelerator_design import panel, tables
from llmecon.publishing.prose import provenance
from llmecon.silicon import design, real_chips
from llmecon.studies.accelerator_design import frames
from llmecon.studies.accelerator_design.model import JOBS, MILLION, answer, numbers
from llmecon.studies.accelerator_design.scenario import Scenario
from llmecon.studies.accelerator_design.study import Study, resolve
from tests.studies.agreement import assert_finite_differences, at_first, evaluated, scenarios

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "hurried": {"tpot_limit_s": 0.01, "precision": "bf16", "xpu": "b200", "process": "3nm"},
    "sparse": {"model": "gpt-oss-120b", "xpu": "mi355x", "memory": "hbm4", "prompt_tokens": 4000.0},
    "unable": {"model": "llama-3.1-405b", "xpu": "t4", "tpot_limit_s": 0.02},
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "sparse"))


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headlines_are_the_answer_and_what_was_searched(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    told = {key: of.value for key, of in study.quantities.items()}
    assert told == pytest.approx(answered, rel=1e-9)
    for job in JOBS:
        best = study.found[job].best
        usd = MILLION * float(best.usd_per_token)
        # The search stops within a hair of the optimum, to which the answer goes on.
        assert told[f"{job}_usd_per_mtok"] == pytest.approx(usd, rel=1e-6)
        bytes_per_kflop = 1000.0 * float(best.bytes_per_flop)
        assert told[f"{job}_bytes_per_kflop"] == pytest.approx(bytes_per_kflop, rel=1e-3)
        assert (f"{job}_over_best" in told) == (job in study.able)
    for of in study.quantities.values():
        assert of.value is not None
        assert of.low is not None
        assert of.high is not None
        assert of.low <= of.value <= of.high


@pytest.mark.slow
@every_scenario
def test_the_panel_begins_at_the_answer(name: str) -> None:
    study = studied(name)
    shown = at_first(panel.panel(study, provenance.of(models=study.scenario.model)))
    assert shown["can"] == float("decode" in study.able)
    if "decode" in study.able:
        told = study.quantities["decode_over_best"].value
        assert shown["over"] == pytest.approx(told, rel=1e-9)
    else:
        assert np.isinf(shown["usd"])


@pytest.mark.slow
@scenarios(["defaults", "hurried", "sparse"], quick=["defaults", "sparse"])
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Where the search ended and how devices share the work are given, not differentiated.
    given = (".near", ".suited", ".built")
    assert_finite_differences(numbers, study.case, study.differentiated.effects, given)


@pytest.mark.slow
def test_at_the_best_chip_no_property_makes_a_token_cheaper() -> None:
    """To first order nothing is gained from any property that no limit holds."""
    study = studied("defaults")
    effects = study.differentiated.effects["training_usd_per_mtok"]
    found = evaluated(answer)(study.case).best[JOBS.index("training")]

    def cost(logs: jax.Array) -> jax.Array:
        job = study.found["training"].job
        placed = design._placed(job, study.prices, study.attainable, logs)
        return jax.numpy.log(placed.usd_per_token)

    at = np.log([found.chip.flops, found.chip.bandwidth, found.chip.link])
    slope = np.asarray(interpreted(jax.grad(cost))(at))
    assert study.stopped["training"] == ()
    # What nearing the limit on the package costs is felt a little before it is reached.
    np.testing.assert_allclose(slope, 0.0, atol=0.03)
    # Where nothing binds, dearer wafers make tokens dearer by their share of what is paid.
    assert 0.0 < float(effects.silicon.wafer_price) < 1.0


@pytest.mark.slow
def test_no_real_chip_is_cheaper_than_the_best() -> None:
    study = studied("defaults")
    of = frames.market(study)
    assert (of.built[list(JOBS)].to_numpy() > -1e-3).all()
    for job in study.able:
        told = study.quantities[f"{job}_over_best"].value
        assert told == pytest.approx(1.0 + of.built[job][study.scenario.xpu], rel=1e-6)
    assert len(tables.market(of)) == 10


def test_parts_add_up_to_what_is_priced() -> None:
    study = studied("defaults")
    costs = frames.parts(study)
    assert (costs.to_numpy() >= 0.0).all()
    shown = tables.parts(study, costs)
    assert list(shown["Part"])[-1] == "at work"
    assert len(shown) == len(costs) + 1


@pytest.mark.slow
@every_scenario
def test_prose_follows(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study)
    said = prose.render("accelerator-design", "answer", **facts)
    assert study.scenario.process in said
    assert ("does none of these jobs" in said) == (not study.able)
    assert ("it can't do within the limits" in said) == (0 < len(study.able) < len(JOBS))
    assert "  " not in said
    chips = prose.render("accelerator-design", "chips", study=study)
    assert ("No chip keeps the limit" in chips) == bool(study.late)


@pytest.mark.slow
def test_sweeps_pass_through_the_best_chip() -> None:
    """More answers at once than come bound nothing, so the last of that sweep is the best chip."""
    study = studied("defaults")
    found = frames.sweeps(study)
    assert float(study.found["decode"].best.batch) < 1024.0
    best = study.quantities["decode_bytes_per_kflop"].value
    assert found.batch.last["bytes"] == pytest.approx(best, rel=1e-3)
    assert found.context.rise > 1.0
    shares = found.experts.frame["along"]
    assert shares.is_monotonic_increasing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [({"prompt_tokens": 9e5}, "handles at most"), ({"training_devices": 100}, "multiple")],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


def test_layouts_are_those_on_which_the_real_chip_is_cheapest() -> None:
    study = studied("defaults")
    for name, (job, cost) in study.built.items():
        every = interpreted(
            jax.vmap(lambda job: real_chips.priced(job, study.chip, study.prices, study.attainable))
        )(study.jobs[name])
        assert float(cost.usd_per_token) == pytest.approx(float(np.min(every.usd_per_token)))
        assert type(job) is type(study.found[name].job)
