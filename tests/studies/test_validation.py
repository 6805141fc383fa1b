"""The study of validation: one function behind headline errors, tables and the live panel."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from llmecon.checks import errors_by_group
from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.validation import panel, tables
from llmecon.publishing.panel.model import evaluate, model_of, starting
from llmecon.studies.quantities import differentiate
from llmecon.studies.validation import frames, publishers, simulated
from llmecon.studies.validation.model import BACKLOG, QUANTITIES, TARGETS, Case, answer
from llmecon.studies.validation.scenario import Scenario
from llmecon.studies.validation.study import Study, resolve
from tests.studies.agreement import assert_finite_differences, at_first

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "nothing": {
        "left_out": "nothing",
        "target": "device_hours",
        "model": "llama-3.1-8b",
        "xpu": "l40s",
        "xpus": 1,
        "precision": "bf16",
        "prompt_tokens": 200.0,
        "output_tokens": 4000.0,
    },
    "engine": {
        "left_out": "engine",
        "target": "ttft",
        "model": "gpt-oss-120b",
        "xpu": "b200",
        "xpus": 1,
        "precision": "fp4",
        "prompt_tokens": 4000.0,
        "output_tokens": 300.0,
    },
    "xpu": {
        "left_out": "xpu",
        "target": "tokens_per_s",
        "model": "deepseek-v3",
        "xpu": "h200-sxm",
        "xpus": 8,
        "prompt_tokens": 30_000.0,
        "output_tokens": 256.0,
    },
}
# Every row is predicted by the stored calibration, which takes half a minute after any change.
slowly = pytest.param("nothing", marks=pytest.mark.slow)
every_scenario = pytest.mark.parametrize("name", ["defaults", slowly, "engine", "xpu"])
# No row of these is predicted anew.
quick_scenario = pytest.mark.parametrize("name", ["defaults", "engine", "xpu"])


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


def does(case: Case) -> dict[str, Any]:
    """What the instance of a case does."""
    found = answer(case).instance
    return {
        "tpot": found.point.tpot,
        "speed": found.speed,
        "joules": found.energy,
        "power": found.point.power,
    }


def alone(name: str) -> Case:
    """The instance of a scenario, with nothing compared."""
    return replace(studied(name).case, compared=None)


_answer, _does = interpreted(answer), interpreted(does)


@every_scenario
def test_headline_is_the_answer(name: str) -> None:
    study = studied(name)
    errors = _answer(study.case).errors
    assert errors is not None
    told = {key: of.value for key, of in study.quantities.items()}
    answered = {
        f"{quantity}_error": float(median)
        for quantity, median in zip(QUANTITIES, errors.median, strict=True)
    }
    assert told == pytest.approx(answered, rel=1e-12)
    assert list(told) == list(answered)


@every_scenario
def test_errors_are_those_of_the_rows(name: str) -> None:
    """The same figures, row by row with pandas."""
    study = studied(name)
    backlogs = errors_by_group.backlogs()
    every = pd.concat([study.chosen, backlogs.assign(target=BACKLOG)])
    for quantity, rows in every.groupby("target"):
        told = study.errors.loc[quantity]
        off = (rows["predicted"] / rows["measured"] - 1.0).abs()
        assert told["rows"] == len(rows)
        assert told["median"] == pytest.approx(off.median(), rel=1e-12)
        assert told["mean"] == pytest.approx(off.mean(), rel=1e-12)
        assert told["worst"] == off.max()
        assert told["over_models"] == pytest.approx(
            off.groupby(rows["model"]).median().mean(), rel=1e-12
        )
        within = rows["predicted"].between(0.5 * rows["measured"], 2.0 * rows["measured"])
        assert told["within_2x"] == pytest.approx(within.mean())
    covered = study.errors.loc[BACKLOG, "covered"]
    assert covered == pytest.approx(backlogs["covered"].mean())


@every_scenario
def test_statistics_of_stored_rows_have_neither_slope_nor_interval(name: str) -> None:
    for of in studied(name).quantities.values():
        assert of.low is None
        assert of.high is None
        assert not of.elasticities


@pytest.mark.slow
@every_scenario
def test_the_panel_is_the_answer(name: str) -> None:
    study = studied(name)
    instance = study.answer.instance
    shown = panel.panel(study)
    first = at_first(shown)
    for on_page, in_study in {**_does(alone(name)), "possible": instance.possible}.items():
        assert first[on_page] == pytest.approx(float(in_study), rel=1e-9)
    assert first["here_y"] == 1000.0 * first["tpot"]
    assert float(instance.point.tpot) == pytest.approx(first["tpot"], rel=1e-9)


@pytest.mark.slow
def test_the_panels_elasticities_are_the_answers() -> None:
    study = studied("defaults")
    shown = panel.panel(study)
    row = evaluate(model_of(shown), [starting(shown)], np.array([0.5])).iloc[0]
    of = differentiate(does, alone("defaults")).effects["tpot"]
    told = {name: row[f"effect{i}"] for i, name in enumerate(shown.effects)}
    expected = {
        "prompt": of.requests.prompt_tokens,
        "requests in flight": of.clients,
        "matrix rate attained": of.efficiency.compute,
        "memory bandwidth attained": of.efficiency.memory + of.efficiency.expert_memory,
    }
    for name, effect in expected.items():
        assert told[name] == pytest.approx(float(effect), rel=1e-6, abs=1e-9), name


@pytest.mark.slow
@quick_scenario
def test_elasticities_are_finite_differences(name: str) -> None:
    case = alone(name)
    effects = differentiate(does, case).effects
    # Devices of the instance are counted, not differentiated.
    assert_finite_differences(does, case, effects, (".layout",))


def test_an_instance_alone_has_no_errors() -> None:
    assert _answer(alone("defaults")).errors is None


def test_more_requests_in_flight_than_there_is_room_for_wait() -> None:
    case = alone("xpu")
    few, many = (_answer(replace(case, clients=jnp.asarray(n))).instance for n in (2.0, 1e6))
    assert float(few.point.batch) == 2.0
    assert 2.0 < float(many.point.batch) < 1e4
    assert float(few.possible) == float(many.possible) == 1.0


@pytest.mark.slow
@every_scenario
def test_frames_agree_with_the_headline(name: str) -> None:
    study = studied(name)
    groups = frames.by_left_out(study)
    for target in TARGETS:
        (own,) = groups[
            (groups["target"] == target) & (groups["left_out"] == study.tried[target])
        ].to_dict("records")
        assert own["median"] == pytest.approx(study.quantities[f"{target}_error"].value)
        assert own["covered"] == pytest.approx(study.errors.loc[target, "covered"])
    lines = frames.coverage(study)
    claimed = lines[(lines["nominal"] == 90.0) & (lines["series"] != "as claimed")]
    covered = frames.targets(study)["covered"]
    assert claimed["actual"].max() == pytest.approx(100.0 * covered.max(), abs=0.5)
    rows = frames.side_by_side(study)
    counts = frames.targets(study)["rows"].astype(int)
    assert rows["target"].value_counts().to_dict() == counts.to_dict()
    assert set(frames.WITHOUT.values()) <= set(rows)
    widths = frames.widths(study, groups)
    assert tuple(widths.rows["target"]) == TARGETS
    assert bool((widths.rows[["percent", "measured_percent"]] > 0.0).all(axis=None))
    told = tables.honesty(groups)
    assert len(told["others"]) + len(told["narrow"]) == len(groups)  # type: ignore[arg-type]


@quick_scenario
def test_groups_share_out_the_rows(name: str) -> None:
    study = studied(name)
    groups = frames.by_group(study)
    whole = int(study.error["rows"])
    for kind, rows in groups.groupby("group"):
        assert rows["rows"].sum() <= whole, kind
        assert rows["percent"].is_monotonic_decreasing
    accelerators = groups[groups["group"] == "accelerator"]
    if study.in_view["xpu"].nunique() <= frames.MOST_GROUPS:
        assert accelerators["rows"].sum() == whole
    worst = frames.failures(study)
    assert worst["error"].is_monotonic_decreasing
    assert frames.reasons(worst).sum() == (worst["reason"] != "").sum()


@pytest.mark.slow
def test_others_are_compared_on_the_same_kind_of_rows() -> None:
    study = studied("defaults")
    found = frames.peers(study)
    latency = found.query("target == 'tpot' and statistic == 'median'")
    assert latency["ours"].to_numpy() == pytest.approx(study.error["median"])
    plain = found[found["id"] == frames.PLAIN].iloc[0]
    assert plain["value"] > plain["ours"]
    better = found["statistic"] == "within_2x"
    assert (
        found["closer"]
        == np.where(better, found["value"] > found["ours"], found["value"] < found["ours"])
    ).all()
    said = prose.render(
        "validation", "peers", study=study, peers=found, closer=tables.closer(found)
    )
    assert "their siblings" in said


@pytest.mark.slow
@every_scenario
def test_prose_follows(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study) | {"others": publishers.finding()}
    said = prose.render("validation", "sentence", **facts)
    assert ("saw every one" in said) == study.seen
    errors = frames.targets(study)
    answered = prose.render("validation", "answer", errors=errors, unknown=errors, **facts)
    assert answered.startswith(said)
    assert "\n" not in answered
    assert ("the whole family" in answered) == (study.scenario.left_out in ("xpu", "engine"))
    leaning = prose.render("validation", "leaning", study=study)
    high = study.error["bias"] > 0.02
    assert ("too high" in leaning) == high
    worst = frames.failures(study)
    why = prose.render("validation", "failures", study=study, reasons=frames.reasons(worst))
    assert ("What is known" in why) == bool(len(frames.reasons(worst)))
    backlogs = prose.render("validation", "backlogs", study=study, backlogs=frames.backlogs())
    assert "by software alone" in backlogs


def test_other_publishers_are_told_as_they_were_predicted() -> None:
    """The sentence is no stronger than the table and the chart beside it."""
    others = publishers.finding()
    table = tables.by_publishers_left_out()
    typical = table[table["Server taken for"] == "typical"]
    said = prose.render("validation", "publishers_found", others=others)
    ends = typical["In 90% interval"].map(lambda share: float(share.rstrip("%")))
    assert f"typical ones {ends.min():.0f}% to {ends.max():.0f}%" in said
    told = prose.render("validation", "publishers", others=others)
    by = publishers.coverage()
    for label in by.loc[by["percent"] < 80.0, "label"]:
        assert label in told
    assert others.publishers == len(set(by["label"].str.rpartition(" by ")[2]))
    calm = replace(others, missed=others.missed.iloc[:0])
    assert "too few" not in prose.render("validation", "publishers", others=calm)


def test_prose_of_the_fits() -> None:
    fitted, effects = frames.fitted(), frames.effects()
    assert "parameters are fitted" in prose.render("validation", "fitted", fitted=fitted).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "The strongest:" in prose.render("validation", "effects", effects=effects)
    none = prose.render("validation", "effects", effects=effects.assign(sure=False))
    assert none.endswith("no effect at all; the groups measured so far are alike.")
    assert len(tables.fitted(fitted)) == len(fitted)
    assert tables.effects(effects)["Parameter"].str.startswith("odds of ").any()
    unused = prose.render("validation", "unused", rows=frames.serving_rows())
    assert "are left out" in unused
    assert tables.unused()["Rows"].sum() == frames.serving_rows()["suspect"]
    assert len(tables.sources()) == 4


def test_prose_of_intervals() -> None:
    rows = pd.DataFrame(
        {
            "target": ["tpot", "ttft", "ttft"],
            "left_out": ["model", "engine", errors_by_group.NOTHING],
            "short": ["TPOT", "TTFT", "TTFT"],
            "without": ["the model", "the engine", "nothing"],
            "covered": [0.7, 0.99, 0.98],
        }
    )
    said = prose.render("validation", "honesty", **tables.honesty(rows))
    assert "TPOT with the model left out (70%)" in said
    assert "Wider than they need be are those of TTFT with the engine left out (99%)." in said
    fine = prose.render("validation", "honesty", **tables.honesty(rows.assign(covered=0.9)))
    assert fine == (
        "On these benchmarks no quantity's interval misses much more often than it claims, "
        "whatever is left out."
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [("tpot", "Two measurements"), ("device_hours", "No configuration"), ("energy", "Nothing")],
)
def test_prose_of_the_floor(target: str, said: str) -> None:
    study = replace(studied("defaults"), scenario=Scenario(target=target))
    distances = pd.DataFrame(
        [
            ("tpot", "between repeats", 15, 0.063),
            ("tpot", "from a smooth curve", 90, 0.02),
            ("device_hours", "within a family", 35, 0.1),
        ],
        columns=["target", "what", "count", "median"],
    )
    floor = frames.floor(study, distances)
    told = prose.render("validation", "floor", study=study, floor=floor)
    assert told.startswith(
        f"No model can be closer than the measurements are to each other. {said}"
    )


def test_simulations_follow_the_system_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    study, longer = studied("defaults"), resolve(Scenario(output_tokens=2000.0))
    monkeypatch.setattr(disk_cache, "kept", lambda kind, key, make: key)
    other = replace(study, scenario=Scenario(left_out="engine", target="energy"))
    one, same, another = (simulated.simulate(of) for of in (study, other, longer))
    assert one == same
    assert one != another


@pytest.mark.slow
def test_formulas_are_close_to_the_simulation() -> None:
    found = simulated.simulate(studied("defaults"))
    assert found.typical < 0.05
    assert abs(found.furthest["off"]) < 20.0
    assert abs(found.furthest_clients["off"]) < 50.0
    assert found.overload.simulated == pytest.approx(found.overload.closed_form, rel=0.1)
    light = found.loads[found.loads["load"] == 5.0]
    assert set(light["what"]) == {"TTFT", "TTFT, 99 of 100", "TPOT"}
    said = prose.render("validation", "simulated", study=studied("defaults"), simulated=found)
    assert f"{found.longest:,} requests" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "llama-2-7b", "prompt_tokens": 1e5}, "handles at most"),
        ({"model": "deepseek-v3"}, "use at least"),
        ({"xpus": 16}, "use at most 8"),
        ({"xpus": 1, "prompt_tokens": 1e5, "output_tokens": 8000.0}, "leaves no room"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))
