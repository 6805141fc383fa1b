"""The study of tokenomics: one answer behind headline, interval, panel and slopes."""

import math
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmecon.errors import InputError
from llmecon.publishing import prose
from llmecon.publishing.chapters.tokenomics import panel, sources, tables
from llmecon.publishing.prose import provenance
from llmecon.studies.tokenomics import apis, frames, services, speed, traffic
from llmecon.studies.tokenomics.model import CALLING, OWNING, RENTING, numbers
from llmecon.studies.tokenomics.scenario import Scenario
from llmecon.studies.tokenomics.services import Services
from llmecon.studies.tokenomics.study import Study, resolve
from llmecon.tables import catalog
from tests.studies.agreement import (
    assert_finite_differences,
    assert_told_as_answered,
    at_first,
    evaluated,
)

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "owned alone": {
        "model": "gpt-oss-120b",
        "xpu": "gaudi3",
        "precision": "bf16",
        "workload": "sharegpt-vllm",
        "requests_per_second": 300.0,
        "spare_instances": 0,
        "peak_to_mean": 1.0,
        "grid": "fra",
        "benchmark": "gpqa-diamond",
    },
    "rented alone": {
        "model": "llama-3.1-8b",
        "xpu": "tpu-v6e",
        "precision": "bf16",
        "requests_per_second": 0.5,
        "output_tokens": 12.0,
        "api": "gpt-6.1-sol",
        "reader": "skim",
        "spare_instances": 2,
    },
    "rent given": {
        "model": "qwen3-32b",
        "xpu": "l40s",
        "precision": "int4",
        "engine": "vllm",
        "workload": "azure-code-2023",
        "ttft_limit_s": 10.0,
        "tpot_limit_s": 0.2,
        "usd_per_xpu_hour": 0.5,
        "grid": "irl",
        "peak_to_mean": 10.0,
        "benchmark": "mmlu-pro",
    },
}
every_scenario = pytest.mark.parametrize("name", SCENARIOS)


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
    assert_told_as_answered(study.quantities, answered, (math.inf, "Never"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "rented alone"])
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Devices of an instance and spare instances are counted, not differentiated.
    counts = (".layout", ".spares")
    assert_finite_differences(numbers, study.case, study.differentiated.effects, counts)


@pytest.mark.slow
def test_panel_starts_from_the_answer() -> None:
    study = studied("defaults")
    shown = at_first(panel.panel(study, served(), provenance.of(models=study.scenario.model)))
    found = study.quantities
    assert shown["possible"] == 1.0
    assert shown["xpus"] == study.answer.devices
    rented = study.usd_per_mtok[RENTING]
    for on_page, in_chapter in (
        ("usd", rented),
        ("speed", found["speed_tokens_per_s"].value),
        ("grams", found["g_co2e_per_mtok"].value),
        ("here_y", found["usd_per_mtok_at_scale"].value),
    ):
        assert shown[on_page] == pytest.approx(in_chapter, rel=1e-9), on_page
    assert shown["usd_smooth"] * study.answer.instances == pytest.approx(
        rented * study.answer.needed
    )


@every_scenario
def test_ways_to_pay(name: str) -> None:
    """What can't be had is not compared, and intervals belong to the way that is told."""
    study = studied(name)
    there = {
        "defaults": {RENTING, OWNING, CALLING},
        "owned alone": {OWNING, CALLING},
        "rented alone": {RENTING, CALLING},
        "rent given": {RENTING, OWNING, CALLING},
    }
    assert set(study.costs) == there[name]
    assert list(study.costs.values()) == sorted(study.costs.values())
    assert study.case.way == next(way for way in study.costs if way != CALLING)
    found = frames.verdict(study)
    assert found.ways[0]["way"] == study.cheapest
    assert 0.0 <= study.stays_cheapest <= 1.0
    even = frames.break_even(study)
    assert set(even.volumes) == there[name] - {CALLING}
    hour = frames.hour(study)
    assert set(hour.rows["way"]) == {
        way for way, of in (("Own", OWNING), ("Rent", RENTING)) if of in study.costs
    }
    prices = study.usd_per_mtok
    assert prices[study.case.way] == pytest.approx(study.quantities["usd_per_mtok"].value)
    assert prices[CALLING] == pytest.approx(study.quantities["usd_per_mtok_api"].value)


def test_at_the_break_even_both_cost_the_same() -> None:
    study = studied("defaults")
    even = frames.break_even(study)
    for way, volume in even.volumes.items():
        if not even.finite(way):
            continue
        lines = even.lines.set_index("volume")
        own, api = (lines[lines["way"] == of]["usd"] for of in (way, CALLING))
        at = np.log(volume)
        bills = [
            np.interp(at, np.log(line.index.to_numpy()), np.log(line.to_numpy()))
            for line in (own, api)
        ]
        assert bills[0] == pytest.approx(bills[1], abs=0.02)


def test_the_interval_is_of_the_fleet_sized_anew() -> None:
    study = studied("defaults")
    devices, cost = study.drawn["xpus"], study.drawn["usd_per_mtok"]
    assert len(np.unique(devices)) > 2
    assert np.corrcoef(devices, cost)[0, 1] > 0.99
    assert study.sure["usd_per_mtok"].low < study.sure["usd_per_mtok"].high


@pytest.mark.slow
def test_services_agree_with_the_answer() -> None:
    """What is found in the one batch for the scenario's own system is what the study found."""
    study, found = studied("defaults"), served()
    own = found.solved("xpu").query("xpu == @study.scenario.xpu").iloc[0]
    assert own["rate"] == pytest.approx(float(study.answer.full.rate), rel=1e-9)
    assert own["blended"] == pytest.approx(float(study.answer.tokens.blended) * 1e6, rel=1e-9)
    assert own["xpus"] == float(study.case.layout.xpus)
    frontier = speed.by_model(study, found)
    for _, line in frontier.groupby("label"):
        assert (np.diff(line["speed"]) < 0).all()
        assert (np.diff(line["blended"]) < 0).all()
    assert speed.ranking(study, found).own == pytest.approx(own["blended"])
    bursts = traffic.bursts(found)
    assert 0.0 < bursts.lost < 1.0
    patient = traffic.patient(study, found)
    assert patient["usd"] <= own["blended"] * (1 + 1e-9)


@pytest.mark.parametrize("fast", [10.0, 30.0])
def test_the_title_of_the_frontiers_marks_whom_it_names(fast: float) -> None:
    study = studied("rent given")
    frontier = pd.DataFrame(
        [("MI355X", 20.0, 1.0), ("H100 SXM5 80GB", fast, 2.0), ("L40S", 5.0, 3.0)],
        columns=["label", "speed", "blended"],
    )
    names = speed.marked(study, ["mi355x", "h100-sxm", "l40s"])
    assert names["L40S"] == "L40S (unread, untested)"  # its datasheet; the rent is the reader's
    title = prose.render(
        "tokenomics", "finding_frontier", leaders=speed.leaders(frontier, names), alone=""
    )
    assert "MI355X (unread, untested) is cheapest" in title
    assert ("and fastest" in title) == (fast < 20.0)


def test_queues_meet_the_answer_at_its_load() -> None:
    study = studied("defaults")
    found = traffic.queues(study)
    assert found.wild < found.calm or math.isnan(found.wild)
    usual = study.answer.service
    calm = found.lines[found.lines["cv"] == 1.0]
    above, below = calm[calm["load"] > 100 * usual.load], calm[calm["load"] <= 100 * usual.load]
    assert below["ttft"].iloc[-1] <= usual.ttft_quantile * 1.1
    assert above["ttft"].iloc[0] >= usual.ttft_quantile * 0.9


@every_scenario
def test_prose_and_tables_follow(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study)
    said = prose.render("tokenomics", "sentence", **facts)
    assert " ." not in said
    assert " ," not in said
    answer = prose.render("tokenomics", "answer", **facts)
    assert answer.startswith(said)
    assert ("none to spare" in answer) == (study.scenario.spare_instances == 0)
    assert ("As for" in answer) == (not study.rival.same)
    known = frames.known(study)
    power, hour = frames.power_price(study), frames.hour(study)
    even, offers = frames.break_even(study), frames.offers(study)
    blocks = {
        "sure": {"known": known},
        "stream": {"stream": frames.stream(study)},
        "ladder": {"ladder": frames.ladder(study)},
        "output": {"asks": speed.asks(study)},
        "owning": {"hour": hour, "power": power},
        "finding_hour": {"hour": hour},
        "break_even": {"even": even},
        "finding_break_even": {"even": even},
        "offers": {"offers": offers},
        "finding_offers": {"offers": offers},
        "moves": {"moved": frames.elasticities(study)},
        "spares": {"moved": frames.elasticities(study)},
        "at_scale": {"known": known},
    }
    for block, facts in blocks.items():
        words = prose.render("tokenomics", block, study=study, **facts)
        assert not re.search(r" [.,;]|\.\.|[a-z)][,;][a-z]|\bnan\b|None", words), words
    table = sources.table(study).set_index("Figure")
    assert (f"{study.xpu_name}, purchase" in table.index) == (study.bought is not None)
    rent = table.loc[f"{study.xpu_name}, rent"]
    assert rent["Checked"] == {"owned alone": "no", "rent given": "yes"}.get(name, rent["Checked"])
    assert len(tables.efficiencies(study)) > 20


def test_the_rival_is_asked_for_or_the_most_alike() -> None:
    assert studied("rented alone").rival.reason.startswith("the API that was asked for")
    study = studied("defaults")
    sold = study.market.on_sale
    same = sold[sold["model"] == study.scenario.model]
    assert study.rival.row["blended"] == same["blended"].min()
    for model in catalog.ids("models"):
        if model not in set(sold["model"]):
            other = apis.rival(Scenario(model=model), study.market)
            assert not other.same
            assert other.reason.startswith("no seller of")
            break


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"output_tokens": 9e5}, "handles at most"),
        ({"xpu": "rtx-3070", "model": "llama-3.1-8b", "precision": "int4"}, "neither a rent"),
        ({"api": "text-embedding-3-small"}, "sells no chat"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tpot_limit_s": 0.0005}, "a token takes at least about"),
        ({"ttft_limit_s": 0.01}, "to the first token for 99 requests"),
        (
            {"model": "deepseek-v3", "xpu": "l40s", "precision": "bf16"},
            "does not fit in|can't meet|needs",
        ),
    ],
)
def test_what_is_too_slow_or_too_large_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))
