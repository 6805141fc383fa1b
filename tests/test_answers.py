"""What a choice found, in lines and as plain values."""

import json
from typing import Any

import pytest

from llmecon import answers, choice
from llmecon.choice import Clash, Plan
from llmecon.filling import EngineName
from llmecon.problem import Problem, problem
from tests.test_sensitivity import PLAIN


@pytest.fixture(scope="module")
def asked() -> Problem:
    return problem(PLAIN | {"caps": {"devices": {"mi300x": 3}}})


@pytest.fixture(scope="module")
def plan(asked: Problem) -> Plan:
    found = choice.best_in_parts(asked)
    assert isinstance(found, Plan)
    return found


def test_lines_tell_fleet_costs_and_what_binds(asked: Problem, plan: Plan):
    told = answers.lines(asked, plan)
    assert told[0].startswith(f"cost {plan.cost * 3600:.6g} an hour; in parts no fleet costs less")
    assert any("of mi300x fp8, layers over" in line and "in usa" in line for line in told)
    served = sum(float(line.split(":")[1].split("/s")[0]) for line in told if "bucket 0" in line)
    assert served == pytest.approx(10.0, rel=1e-3)
    (binds,) = [line for line in told if "binds" in line]
    price = plan.prices["mi300x"] * 3600
    assert binds.strip() == f"the limit on devices of mi300x binds: {price:.4g} a device and hour"


def test_plain_values_are_json_in_si_units(asked: Problem, plan: Plan):
    found: dict[str, Any] = json.loads(json.dumps(answers.as_json(asked, plan), allow_nan=False))
    assert found["feasible"] is True
    assert found["cost"] == plan.cost
    assert sum(pool["devices"] for pool in found["pools"] if pool["xpu"] == "mi300x") == (
        pytest.approx(3.0)
    )
    assert {of["bucket"] for pool in found["pools"] for of in pool["serves"]} == {0, 1}


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
    assert answers.lines(asked, found) == told
    plain = json.loads(json.dumps(answers.as_json(asked, found), allow_nan=False))
    assert plain["feasible"] is False
    assert None in [*plain["raised"].values(), *plain["slower"].values()]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (EngineName("l4", "int4", 1, 1, 1, "whole"), "l4 int4"),
        (EngineName("b200", "fp8", 2, 8, 2, "decode"),
         "b200 fp8, layers over 2, experts over 8, 2 stages, outputs only"),
    ],
)  # fmt: skip
def test_an_engine_in_a_few_words(name: EngineName, line: str):
    assert answers.engine_line(name) == line
