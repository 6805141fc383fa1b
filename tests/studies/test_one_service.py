"""Chapters that ask for one service size it, and count its electricity, alike."""

from typing import Any

import pytest

from llmecon import studies
from llmecon.tables import catalog

SERVICES: list[dict[str, Any]] = [
    {},
    {"model": "llama-3.1-405b", "xpu": "h200-sxm"},
    {"model": "qwen3-32b", "xpu": "mi300x", "requests_per_second": 5.0},
]


def resolved(chapter: str, **given: Any) -> Any:
    return studies.module(chapter, "study").resolve(studies.scenario_of(chapter)(**given))


@pytest.mark.slow
@pytest.mark.parametrize("service", SERVICES, ids=str)
def test_one_service_has_one_fleet_and_one_footprint(service: dict[str, Any]) -> None:
    asked = catalog.workload("azure-chat-2023")
    prompt, answer = float(asked.prompt_tokens), float(asked.output_tokens)
    lengths = {"prompt_tokens": prompt, "output_tokens": answer}
    tokenomics = resolved("tokenomics", **service)
    fleet = resolved("xpu-needs", **service, **lengths).quantities["serving_xpus"]
    tasks = resolved("reasoning-agents", **service)
    carbon = resolved("carbon", **service, **lengths)

    assert fleet.value == float(tokenomics.answer.devices)
    sure = tokenomics.sure["xpus"]
    assert (fleet.low is not None) == sure.bounded
    if fleet.low is not None:
        assert (fleet.low, fleet.high) == (sure.low, sure.high)

    plain = tasks.quantities["usd_per_thousand_plain"]
    at_scale = tokenomics.quantities["usd_per_mtok_at_scale"]
    assert plain.value == pytest.approx(at_scale.value * (prompt + answer) / 1e3, rel=1e-9)

    emitted = tokenomics.quantities["g_co2e_per_mtok"].value * (prompt + answer) / 1e6
    assert emitted == pytest.approx(carbon.quantities["g_co2e_electricity"].value, rel=1e-9)
