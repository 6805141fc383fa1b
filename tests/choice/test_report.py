"""What a choice found, in lines and as plain values."""

import json
from typing import Any

import numpy as np
import pytest

from llmecon import choice
from llmecon.choice import report
from llmecon.choice.description import RESOURCES, Problem, problem
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Clash, Plan, Pool, Serving
from llmecon.evidence import sourcing
from tests.choice.problems import CHAT, LONG, PLAIN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def asked() -> Problem:
    return problem(PLAIN | {"caps": {"devices": {"mi300x": 3}}})


@pytest.fixture(scope="module")
def plan(asked: Problem) -> Plan:
    found = choice.best_in_parts(asked)
    assert isinstance(found, Plan)
    return found


def test_lines_tell_fleet_costs_and_what_binds(asked: Problem, plan: Plan):
    told = report.lines(asked, plan)
    assert told[0].startswith(f"cost {plan.cost * 3600:.6g} an hour; in parts no fleet costs less")
    assert any("of mi300x fp8, layers over" in line and "in usa" in line for line in told)
    served = sum(float(line.split(":")[1].split("/s")[0]) for line in told if "bucket 0" in line)
    assert served == pytest.approx(10.0, rel=1e-3)
    (binds,) = [line for line in told if "binds" in line]
    price = plan.prices["mi300x"] * 3600
    assert binds.strip() == f"the limit on devices of mi300x binds: {price:.4g} a device and hour"


def test_plain_values_are_json_in_si_units(asked: Problem, plan: Plan):
    found: dict[str, Any] = json.loads(json.dumps(report.as_json(asked, plan), allow_nan=False))
    assert found["feasible"] is True
    assert found["cost"] == plan.cost
    assert found["takes"] == dict(plan.takes)
    assert found["prices"]["mi300x"] > 0.0
    assert np.dot([10.0, 3.0], found["requests"]) == pytest.approx(
        plan.cost + 3.0 * found["prices"]["mi300x"], rel=1e-6
    )
    assert sum(pool["devices"] for pool in found["pools"] if pool["xpu"] == "mi300x") == (
        pytest.approx(3.0)
    )
    assert {of["bucket"] for pool in found["pools"] for of in pool["serves"]} == {0, 1}


def test_what_an_answer_rests_on_is_said(plan: Plan):
    asked = problem(PLAIN | {"choices": PLAIN["choices"] | {"usd_per_hour": {}}})
    told = report.lines(asked, plan)
    plain = json.loads(json.dumps(report.as_json(asked, plan), allow_nan=False))
    chosen = {pool.engine.xpu for pool in plan.pools}
    assert set(plain["evidence"]) == chosen
    assert "mi300x" in chosen
    for xpu in chosen:
        of = sourcing.behind(xpu)
        (*said,) = [line for line in told if line.startswith(f"  of {xpu} mind: ")]
        assert said == ([f"  of {xpu} mind: {of.caveat}"] if of.caveat else [])
        rests = plain["evidence"][xpu]
        assert rests["caveats"] == list(of.caveats)
        assert rests["datasheet_checked"] == of.datasheet
        assert rests["price_checked"] == of.priced
        assert rests["load_tests"] == of.measured
        assert rests["rent"]["usd"] == of.rent.usd
    assert any("no load test of it is known here" in line for line in told)


def test_a_given_price_rests_on_who_gave_it(plan: Plan):
    rests = report.as_json(problem(PLAIN), plan)["evidence"]["mi300x"]
    assert rests["rent"] is None
    assert rests["price_checked"]
    assert rests["caveats"] == ["no load test of it is known here"]


CLASHES = {
    "a limit of the fleet": (
        Clash(raised={"joule": 1.25, "usd": float("inf")}),
        [
            "nothing serves all requests within these limits",
            "  power at the meter: times 1.25 would do",
            "  money: none at all is too little",
            "  (together, with as little excess in all as possible)",
        ],
    ),
    "limits on latency": (
        Clash(slower={1: 1.605, 0: float("inf")}),
        [
            "nothing serves all requests within these limits",
            "  bucket 1: both limits on latency times 1.605 could be kept",
            "  bucket 0: the model fits on none of the engines",
        ],
    ),
}


@pytest.mark.parametrize("clash", CLASHES)
def test_a_clash_says_what_would_have_to_give(asked: Problem, clash: str):
    found, told = CLASHES[clash]
    assert report.lines(asked, found) == told
    plain = json.loads(json.dumps(report.as_json(asked, found), allow_nan=False))
    assert plain["feasible"] is False
    assert None in [*plain["raised"].values(), *plain["slower"].values()]


def test_a_clash_names_sizes_as_its_reader_does(asked: Problem):
    found, _ = CLASHES["limits on latency"]
    told = report.lines(asked, found, ("short requests", "long requests"))
    assert told[1] == "  long requests: both limits on latency times 1.605 could be kept"
    assert told[2] == "  short requests: the model fits on none of the engines"


def test_a_clash_of_latency_says_what_the_solver_found():
    hasty = problem(PLAIN | {"buckets": [CHAT, LONG | {"ttft": 0.01}]})
    found = choice.best_in_parts(hasty)
    assert isinstance(found, Clash)
    assert list(found.slower) == [1]
    factor = found.slower[1]
    assert report.lines(hasty, found) == [
        "nothing serves all requests within these limits",
        f"  bucket 1: both limits on latency times {factor:.4g} could be kept",
    ]
    plain = report.as_json(hasty, found)
    assert plain == {"feasible": False, "raised": {}, "slower": {"1": factor}}


def test_lines_of_what_a_fleet_takes_are_in_usual_units(asked: Problem, plan: Plan):
    told = dict(line.strip().split(": ") for line in report.lines(asked, plan) if ": " in line)
    assert told["money"] == f"{plan.takes['usd'] * 3600:.4g} USD/h"
    assert plan.takes["usd"] == pytest.approx(plan.cost, rel=1e-12)
    carbon = told["carbon, electricity and manufacture"]
    assert carbon == f"{plan.takes['kg_co2e'] * 3600:.4g} kg CO2e/h"
    assert told["water"] == f"{plan.takes['litre'] * 3600:.4g} l/h"
    assert told["power at the meter"] == f"{plan.takes['joule'] / 1000:.4g} kW"
    # 13 requests a second.
    assert told["mean time of a request"] == f"{plan.takes['second'] / 13:.4g} s"
    assert told["share of answers that precision spoils"] == "0"


def test_phases_apart_are_told_apart():
    serves = Serving(0, 2.5, 0.8125, 0.75, 0.0, 1.0, 0.3)
    prompts = Pool(EngineName("l4", "fp8", 1, 1, 1, "prefill"), 0, 2.0, (serves,))
    serves = Serving(0, 2.5, 12.34, 0.05, 0.025, 9.0, 0.2)
    outputs = Pool(EngineName("l4", "fp8", 2, 1, 1, "decode"), 1, 0.5, (serves,))
    regions = [{"grid": "usa"}, {"grid": "fra"}]
    asked = problem(PLAIN | {"choices": PLAIN["choices"] | {"regions": regions}})
    fleet = Plan(
        (prompts, outputs), 1.0, 0.9, dict.fromkeys(RESOURCES, 0.0), {}, (0.1, 0.2),
        columns=None, served=np.ones(2),
    )  # fmt: skip
    assert report.lines(asked, fleet)[:5] == [
        "cost 3600 an hour; in parts no fleet costs less than 3240",
        "  2 of l4 fp8, prompts only, in usa",
        "    bucket 0: 2.5/s, 81% of the time at work, TTFT 0.75 s",
        "  0.5 of l4 fp8, layers over 2, outputs only, in fra",
        "    bucket 0: 2.5/s, 12.34 in flight, wait for a slot 0.05 s, TPOT 25 ms",
    ]
    plain = json.loads(json.dumps(report.as_json(asked, fleet), allow_nan=False))
    assert [pool["role"] for pool in plain["pools"]] == ["prefill", "decode"]
    assert [pool["region"] for pool in plain["pools"]] == ["usa", "fra"]
    assert [pool["devices"] for pool in plain["pools"]] == [2.0, 1.0]
    assert plain["pools"][1]["serves"][0]["tpot"] == 0.025


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (EngineName("l4", "int4", 1, 1, 1, "whole"), "l4 int4"),
        (EngineName("b200", "fp8", 2, 8, 2, "decode"),
         "b200 fp8, layers over 2, experts over 8, 2 stages, outputs only"),
    ],
)  # fmt: skip
def test_an_engine_in_a_few_words(name: EngineName, line: str):
    assert report.engine_line(name) == line
