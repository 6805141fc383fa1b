"""What a scenario asks for, written down as `llmecon choose` reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmecon.choice.description import Problem, problem
from llmecon.studies.hardware_choice.scenario import Scenario

PER_TONNE = 1000.0  # kg


def offered(given: Scenario) -> list[str]:
    """Ids of the accelerators on offer, each once."""
    named = (one.strip() for one in given.xpus.split(","))
    return list(dict.fromkeys([*named, given.xpu, given.rival]))


def grids(given: Scenario) -> list[str]:
    """Ids of the places where machines may stand, each once."""
    return list(dict.fromkeys([given.grid, given.other_grid]))


SIZES = ("short", "long")
"""What requests of each size are called."""

CALLED = tuple(f"{size} requests" for size in SIZES)
"""The same as `report.lines` says it."""


def rates(given: Scenario) -> tuple[float, float]:
    """Short and long requests per second."""
    whole, share = given.requests_per_second, given.long_share
    # Twelve digits, so that 0.2 of 23 reads as 4.6 where the problem is written down.
    short, long = (float(f"{whole * part:.12g}") for part in (1.0 - share, share))
    return short, long


def sizes(given: Scenario, slower: float = 1.0) -> list[dict[str, float]]:
    """Short and long requests, each with its limits.

    Args:
        given: the scenario.
        slower: factor on all limits on latency.
    """
    short, long = rates(given)
    return [
        {
            "per_second": short,
            "prompt_tokens": given.prompt_tokens,
            "output_tokens": given.output_tokens,
            "ttft": slower * given.ttft_limit_s,
            "tpot": slower * given.tpot_limit_s,
        },
        {
            "per_second": long,
            "prompt_tokens": given.long_prompt_tokens,
            "output_tokens": given.long_output_tokens,
            "ttft": slower * given.long_ttft_limit_s,
            "tpot": slower * given.tpot_limit_s,
        },
    ]


def limits(given: Scenario) -> dict[str, Any]:
    """The fleet's limits."""
    found = {}
    if given.power_kw > 0:
        found["kw"] = given.power_kw
    if given.budget_usd_per_hour > 0:
        found["usd_per_hour"] = given.budget_usd_per_hour
    return found


def offers(given: Scenario) -> dict[str, Any]:
    """What there is to choose from."""
    return {
        "xpus": offered(given),
        "precisions": list(dict.fromkeys(["bf16", given.precision])),
        "regions": [{"grid": grid} for grid in grids(given)],
        "disaggregated": given.phases == "either",
    }


def described(
    given: Scenario,
    *,
    buckets: Sequence[Mapping[str, float]] | None = None,
    weights: Mapping[str, float] | None = None,
    caps: Mapping[str, Any] | None = None,
    choices: Mapping[str, Any] | None = None,
) -> Problem:
    """The problem of a scenario, or one with other parts.

    Args:
        given: the scenario.
        buckets: requests by size, in place of the scenario's.
        weights: what is minimised, likewise.
        caps: the fleet's limits, likewise.
        choices: fields of what there is to choose from, in place of those of the same name.
    """
    priced = {"usd": 1.0, "kg_co2e": given.usd_per_tonne / PER_TONNE}
    return problem(
        {
            "model": given.model,
            "buckets": sizes(given) if buckets is None else list(buckets),
            "weights": priced if weights is None else dict(weights),
            "caps": limits(given) if caps is None else dict(caps),
            "choices": offers(given) | dict(choices or {}),
            "tuning": given.tuning,
            "my_server": given.my_server,
        }
    )
