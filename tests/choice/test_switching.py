"""How far an input moves until other accelerators win."""

import pytest

from llmecon.choice import objective, switching
from llmecon.choice.description import problem
from llmecon.errors import InputError
from tests.choice.problems import PLAIN, RENTS, solved

pytestmark = pytest.mark.slow


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
