"""What a choice of hardware found, in lines to read and in plain values."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llmecon.choice.description import RESOURCES, Problem
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Clash, Plan, Pool
from llmecon.choice.resources import behind
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_HOUR

# Of a resource that a fleet takes each second: per what it is told, its unit, and what it is.
_TOLD = {
    "usd": (SECONDS_PER_HOUR, "USD/h", "money"),
    "kg_co2e": (SECONDS_PER_HOUR, "kg CO2e/h", "carbon, electricity and manufacture"),
    "litre": (SECONDS_PER_HOUR, "l/h", "water"),
    "joule": (SECONDS_PER_HOUR / JOULES_PER_KWH, "kW", "power at the meter"),
    "second": (None, "s", "mean time of a request"),
    "quality": (None, "", "share of answers that precision spoils"),
}


def as_json(problem: Problem, found: Plan | Clash) -> dict[str, Any]:
    """What was found as plain values.

    Args:
        problem: the description.
        found: by `choice`.

    Returns:
        With `feasible`, and either the fleet in SI units per second, or what clashes.
    """
    if isinstance(found, Clash):
        # JSON has no infinity.
        return {
            "feasible": False,
            "raised": {name: _finite(factor) for name, factor in found.raised.items()},
            "slower": {str(bucket): _finite(factor) for bucket, factor in found.slower.items()},
        }
    regions = [region.grid for region in problem.choices.regions]
    return {
        "feasible": True,
        "cost": found.cost,
        "bound": found.bound,
        "left": found.left,
        "pools": [
            {
                **asdict(pool.engine),
                "region": regions[pool.region],
                "instances": pool.instances,
                "devices": pool.devices,
                "serves": [asdict(of) for of in pool.serves],
            }
            for pool in found.pools
        ],
        "takes": dict(found.takes),
        "prices": dict(found.prices),
        "requests": list(found.requests),
        "evidence": {xpu: _evidence(problem, xpu) for xpu in _chosen(found)},
    }


def lines(problem: Problem, found: Plan | Clash, sizes: Sequence[str] = ()) -> list[str]:
    """What was found as lines to read.

    Args:
        problem: the description.
        found: by `choice`.
        sizes: what to call the buckets, in their order; by default by their number.

    Returns:
        The fleet, what it takes and what binds; or what clashes and by how much.
    """
    named = sizes or [f"bucket {place}" for place in range(len(problem.buckets))]
    if isinstance(found, Clash):
        return _clash_lines(found, named)
    return _plan_lines(problem, found, named)


def engine_line(name: EngineName) -> str:
    """An engine in a few words.

    Args:
        name: of the engine.

    Returns:
        Such as "h100-sxm fp8, layers over 4".
    """
    parts = [f"layers over {name.tensor}" if name.tensor > 1 else ""]
    parts += [f"experts over {name.expert}" if name.expert > 1 else ""]
    parts += [f"{name.pipeline} stages" if name.pipeline > 1 else ""]
    parts += [{"whole": "", "prefill": "prompts only", "decode": "outputs only"}[name.role]]
    return ", ".join([f"{name.xpu} {name.precision}", *filter(None, parts)])


def _plan_lines(problem: Problem, plan: Plan, sizes: Sequence[str]) -> list[str]:
    hourly = SECONDS_PER_HOUR
    told = [
        f"cost {plan.cost * hourly:.6g} an hour; in parts no fleet costs less than "
        f"{plan.bound * hourly:.6g}"
    ]
    if plan.left:
        told.append(
            f"  the search was stopped: other whole instances may cost {plan.left:.2%} less"
        )
    for pool in plan.pools:
        told.append(f"  {_count(pool)} of {engine_line(pool.engine)}, in {_region(problem, pool)}")
        for of in pool.serves:
            filled = (
                f"{of.filling:.0%} of the time at work"
                if pool.engine.role == "prefill"
                else f"{of.filling:.4g} in flight"
            )
            pace = f", TPOT {1e3 * of.tpot:.3g} ms" if of.tpot else ""
            wait = "wait for a slot" if pool.engine.role == "decode" else "TTFT"
            told.append(
                f"    {sizes[of.bucket]}: {of.per_second:.4g}/s, {filled}, "
                f"{wait} {of.ttft:.3g} s{pace}"
            )
    for xpu in _chosen(plan):
        if caveat := behind(problem, xpu).caveat:
            told.append(f"  of {xpu} mind: {caveat}")
    asked = sum(bucket.per_second for bucket in problem.buckets)
    for name in RESOURCES:
        per, unit, what = _TOLD[name]
        amount = plan.takes[name] * (1.0 / asked if per is None else per)
        told.append(f"  {what}: {amount:.4g} {unit}".rstrip())
    for name, price in plan.prices.items():
        if price > 0.0:
            unit = "device and hour" if name not in RESOURCES else _TOLD[name][1].split("/")[0]
            per = hourly if name not in RESOURCES else hourly / (_TOLD[name][0] or asked)
            told.append(f"  the limit on {_limit(name)} binds: {price * per:.4g} a {unit}")
    return told


def _chosen(plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pool.engine.xpu for pool in plan.pools))


def _evidence(problem: Problem, xpu: str) -> dict[str, Any]:
    """What a choice of an accelerator rests on, as plain values."""
    of = behind(problem, xpu)
    return {
        "datasheet_checked": of.datasheet,
        "price_checked": of.priced,
        "load_tests": of.measured,
        "rent": None if of.rent is None else asdict(of.rent),
        "caveats": list(of.caveats),
    }


def _rounded_up(factor: float) -> str:
    """A factor with four digits, none too small."""
    unit = 10.0 ** (math.floor(math.log10(factor)) - 3)
    return f"{math.ceil(factor / unit - 1e-6) * unit:.4g}"


def _clash_lines(clash: Clash, sizes: Sequence[str]) -> list[str]:
    told = ["nothing serves all requests within these limits"]
    for bucket, factor in clash.slower.items():
        told.append(
            f"  {sizes[bucket]}: both limits on latency times {_rounded_up(factor)} could be kept"
            if math.isfinite(factor)
            else f"  {sizes[bucket]}: the model fits on none of the engines"
        )
    for name, factor in clash.raised.items():
        told.append(
            f"  {_limit(name)}: times {_rounded_up(factor)} would do"
            if math.isfinite(factor)
            else f"  {_limit(name)}: none at all is too little"
        )
    if len(clash.raised) > 1:
        told.append("  (together, with as little excess in all as possible)")
    return told


def _count(pool: Pool) -> str:
    whole = abs(pool.instances - round(pool.instances)) < 1e-9
    return f"{pool.instances:.0f}" if whole else f"{pool.instances:.4g}"


def _region(problem: Problem, pool: Pool) -> str:
    return problem.choices.regions[pool.region].grid


def _limit(name: str) -> str:
    return _TOLD[name][2] if name in _TOLD else f"devices of {name}"


def _finite(factor: float) -> float | None:
    return factor if math.isfinite(factor) else None
