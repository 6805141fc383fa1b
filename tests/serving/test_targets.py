"""Capacity: where limits bind, and where nothing is feasible."""

import pytest

from llmecon import serving
from llmecon.specs import Instance
from llmecon.tables import catalog
from tests.problems import (
    CHAT,
    EFFICIENCY,
    EVERYTHING,
    SINGLE,
    SPREAD,
    TARGET,
    changed,
    evaluate,
    floats,
)

H100 = catalog.xpu("h100-sxm")


SPREAD_SYSTEM = (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT)


@pytest.mark.parametrize(("ttft", "tpot", "binding"), [(100.0, 0.05, "tpot"), (1.5, 9.0, "ttft")])
def test_capacity_is_where_a_limit_binds(ttft: float, tpot: float, binding: str) -> None:
    target = changed(TARGET, ttft=ttft, tpot=tpot)
    best = evaluate(serving.capacity, *SPREAD_SYSTEM, target)
    assert best.feasible == 1.0
    met = {"ttft": float(best.service.ttft_quantile), "tpot": float(best.service.point.tpot)}
    limit = {"ttft": ttft, "tpot": tpot}
    assert met[binding] == pytest.approx(limit[binding], rel=1e-8)
    other = "tpot" if binding == "ttft" else "ttft"
    assert met[other] < limit[other]
    again = evaluate(serving.serve, *SPREAD_SYSTEM, best.rate, floats(0.95)[0])
    assert again.ttft_quantile == pytest.approx(met["ttft"], rel=1e-6)
    assert again.point.tpot == pytest.approx(met["tpot"], rel=1e-6)


def test_impossible_targets_and_models_have_no_capacity() -> None:
    impossible = changed(TARGET, ttft=1e-9)
    assert evaluate(serving.capacity, *SPREAD_SYSTEM, impossible).rate == 0.0
    too_large = (Instance(EVERYTHING, H100, SINGLE, EFFICIENCY), CHAT)
    refused = evaluate(serving.capacity, *too_large, TARGET)
    assert (refused.rate, refused.feasible) == (0.0, 0.0)
