"""How far an input moves until other accelerators win."""

from typing import Any

import pytest

from llmecon import choice
from llmecon.choice import Plan, Relaxed, objective, switching
from llmecon.choice.description import problem
from llmecon.choice.objective import Case
from llmecon.errors import InputError

pytestmark = pytest.mark.slow

CHAT = {"per_second": 10, "prompt_tokens": 1000, "output_tokens": 300, "ttft": 2.0, "tpot": 0.05}


LONG = {"per_second": 3, "prompt_tokens": 6000, "output_tokens": 300, "ttft": 1.5, "tpot": 0.04}


# Rents of the market move; what is tested here must not.
RENTS = {"h100-sxm": 2.95, "mi300x": 2.34, "a100-sxm-80gb": 1.5}


PLAIN: dict[str, Any] = {
    "model": "llama-3.1-70b",
    "buckets": [CHAT, LONG],
    "choices": {
        "xpus": ["h100-sxm", "mi300x", "a100-sxm-80gb"],
        "usd_per_hour": RENTS,
        "precisions": ["fp8"],
        "tensor": [2, 4, 8],
        "pipeline": [1],
        "disaggregated": False,
    },
}


def solved(case: Case) -> Plan:
    found = choice.relaxed(case)
    assert isinstance(found, Relaxed)
    return found.plan


def test_at_a_switch_two_configurations_cost_the_same():
    described = problem(PLAIN)
    # Until so much is paid for it, the accelerator in use stays.
    path = ("choices", "usd_per_hour", "mi300x")
    found = switching.switch(described, path, "more")
    assert found.factor is not None
    assert found.value == pytest.approx(2.34 * found.factor)
    assert {name.xpu for name in found.before} == {"mi300x"}
    assert found.before != found.after

    def cost(value: float, xpus: list[str]) -> float:
        choices = PLAIN["choices"] | {"usd_per_hour": RENTS | {"mi300x": value}, "xpus": xpus}
        return solved(objective.case(problem(PLAIN | {"choices": choices}))).cost

    everything = list(described.choices.xpus)
    below, above = (cost(found.value * by, everything) for by in (0.999, 1.001))
    # The old configuration costs in proportion to its price; beyond the switch there is a cheaper.
    assert cost(found.value * 0.999, ["mi300x"]) == pytest.approx(below, rel=1e-6)
    assert cost(found.value * 1.001, ["mi300x"]) > above
    assert above == pytest.approx(below, rel=3e-3)


def test_a_limit_that_cannot_be_kept_any_more_ends_everything():
    found = switching.switch(problem(PLAIN | {"caps": {"kw": 25.0}}), ("caps", "kw"), "less")
    assert found.factor is not None
    assert found.factor < 1.0
    never = switching.switch(problem(PLAIN), ("hardware_years",), "more")
    assert never.factor is None
    assert never.before == never.after


@pytest.mark.parametrize("path", [("caps", "kw"), ("model",), ("buckets", 7, "ttft"), ("nothing",)])
def test_what_is_no_number_has_no_switch(path: tuple[str | int, ...]):
    with pytest.raises(InputError, match="is no number of the description"):
        switching.switch(problem(PLAIN), path, "more")


def test_without_a_fleet_there_is_no_switch():
    with pytest.raises(InputError, match="nothing serves all requests"):
        switching.switch(problem(PLAIN | {"caps": {"kw": 0.1}}), ("caps", "kw"), "more")
