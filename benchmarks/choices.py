"""Random choices of hardware, the same for everybody: problem k is that of seed k.

A problem draws a model, one to three buckets of requests with limits from strict to loose, two to
six accelerators, one or two precisions and regions, a few layouts, weights of money, carbon,
waiting and quality, and up to two limits on the fleet. Every fifth one is nearly degenerate: two
accelerators cost the same per device-hour. Limits are drawn around what an unlimited fleet would
take, so that some bind, some don't, and some can't be kept.

Run as a command, `python -m benchmarks.choices [FIRST LAST]`, it checks the solver's fleets of
whole instances against exact enumeration, problem by problem, and appends each to the table
`choice_checks`; problems that are there already are left out. Some take minutes to enumerate.
"""

import csv
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from llmecon import choice, paths
from llmecon.checks import enumeration
from llmecon.choice import description, objective

Result = TypeVar("Result")

MODELS = ("llama-3.1-8b", "qwen2.5-32b", "llama-3.1-70b", "gpt-oss-120b")
# Rented ones, and those of them whose purchase price is known.
BOUGHT = ("l4", "l40s", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x")
XPUS = ("a10g", *BOUGHT, "tpu-v5e", "tpu-v6e", "gaudi2", "trainium2")
GRIDS = ("usa", "can", "fra", "pol", "swe", "deu")
# What accelerators rent for in these problems, USD per hour, and what their sites draw over what
# devices do: the catalogue's move with the market, and problems must stay what they were.
RENTS: Mapping[str, float] = MappingProxyType(
    {
        "v100-sxm": 2.48,
        "a100-sxm-40gb": 2.7,
        "a100-sxm-80gb": 1.5,
        "a100-pcie-80gb": 1.55,
        "h100-sxm": 2.95,
        "h100-pcie": 2.3,
        "h100-nvl": 2.75,
        "h200-sxm": 3.59,
        "h800-sxm": 2.0,
        "gh200": 1.75,
        "b200": 4.9,
        "gb200": 10.5,
        "l4": 0.75,
        "l40s": 1.35,
        "a10g": 1.1,
        "t4": 0.44,
        "rtx-4090": 0.525,
        "rtx-3090": 0.3,
        "rtx-pro-6000": 2.15,
        "mi300x": 2.34,
        "mi325x": 2.5,
        "mi355x": 3.05,
        "tpu-v3": 2.0,
        "tpu-v4": 3.22,
        "tpu-v5e": 1.2,
        "tpu-v5p": 4.2,
        "tpu-v6e": 2.7,
        "gaudi2": 1.3,
        "trainium1": 1.34,
        "trainium2": 2.0,
        "inferentia2": 0.76,
    }
)
PUE = 1.2
# Every how many problems two accelerators cost the same.
DEGENERATE = 5
# Problems that the table holds, and fillings of each pool that enumeration looks at.
PROBLEMS = 200
LEVELS = 192
# A share of the cost by which a fleet may be worse than that of enumeration.
AGREES = 1e-3
CHECKS = paths.DATA / "choice_checks.csv"
COLUMNS = (
    *("seed", "kind", "engines", "buckets", "limits"),
    *("parts_cost", "exact_parts_cost", "exact_parts_bound"),
    *("cost", "exact_cost", "exact_bound", "difference"),
    *("options_seconds", "relaxed_seconds", "rounded_seconds", "exact_seconds"),
)


def described(seed: int) -> dict[str, Any]:
    """The description of a random problem.

    Args:
        seed: its number.

    Returns:
        What `llmecon.choice.description.problem` reads.
    """
    random = np.random.default_rng(seed)

    def pick(of: tuple[str, ...], least: int, most: int) -> list[str]:
        count = int(random.integers(least, most + 1))
        return [str(one) for one in random.choice(of, count, replace=False)]

    degenerate = seed % DEGENERATE == 0
    owned = not degenerate and bool(random.random() < 0.3)
    xpus = pick(BOUGHT if owned else XPUS, 2, 6)
    buckets = [
        {
            "per_second": float(random.lognormal(1.0, 1.8)),
            "prompt_tokens": float(np.round(random.lognormal(6.5, 1.2) + 16.0)),
            "output_tokens": float(np.round(random.lognormal(5.3, 0.8) + 8.0)),
            "cached_fraction": float(random.choice([0.0, 0.5])),
            "ttft": float(random.lognormal(1.0, 0.8)),
            "tpot": float(random.lognormal(-2.8, 0.5)),
        }
        for _ in range(int(random.integers(1, 4)))
    ]
    weights = {
        "usd": 1.0,
        "kg_co2e": float(random.choice([0.0, 0.1, 1.0])),
        "litre": float(random.choice([0.0, 0.01])),
        "second": float(random.choice([0.0, 0.0, 1e-5, 1e-4])),
        "quality": float(random.choice([0.0, 1e-3])),
    }
    described: dict[str, Any] = {
        "model": str(random.choice(MODELS)),
        "buckets": buckets,
        "weights": weights,
        "quality_lost": {"fp8": 0.003, "int4": 0.015},
        "tuning": "best",
        "choices": {
            "xpus": xpus,
            "precisions": pick(("bf16", "fp8", "int4"), 1, 2),
            "regions": [{"grid": grid, "pue": PUE} for grid in pick(GRIDS, 1, 2)],
            "tensor": [1, 2, 4, 8],
            "pipeline": [1, 2] if random.random() < 0.3 else [1],
            "expert": [1, 4, 8],
            "disaggregated": bool(random.random() < 0.3),
        },
    }
    if owned:
        described["owned"] = {}
    else:
        alike = dict.fromkeys(xpus[:2], 2.5) if degenerate else {}
        described["choices"]["usd_per_hour"] = {xpu: RENTS[xpu] for xpu in xpus} | alike
    asked = sum(bucket["per_second"] for bucket in buckets)
    tokens = sum(
        bucket["per_second"] * (bucket["prompt_tokens"] / 10.0 + bucket["output_tokens"])
        for bucket in buckets
    )
    caps: dict[str, Any] = {}
    for name in pick(("usd_per_hour", "kw", "kg_co2e_per_hour", "seconds", "devices"), 0, 2):
        tightness = float(random.lognormal(0.5, 0.9))
        caps[name] = {
            "usd_per_hour": 2.0 + tightness * tokens * 2.5e-3,
            "kw": 0.5 + tightness * tokens * 1.0e-3,
            "kg_co2e_per_hour": 0.2 + tightness * tokens * 3e-4,
            "seconds": tightness * tokens / asked * 0.01,
            "devices": {xpus[0]: float(np.ceil(2.0 * tightness)), xpus[1]: 4.0},
        }[name]
    if caps:
        described["caps"] = caps
    return described


def check(seed: int) -> dict[str, Any]:
    """A random problem solved by gradients and by enumeration.

    Args:
        seed: its number.

    Returns:
        A row of the table `choice_checks`; costs are infinite where no fleet is found.
    """
    of, options_seconds = _timed(objective.case, description.problem(described(seed)))
    parts, relaxed_seconds = _timed(choice.relaxed, of)
    whole, rounded_seconds = (
        (parts, 0.0) if isinstance(parts, choice.Clash) else _timed(choice.rounded, of, parts)
    )
    (enumerated_parts, enumerated), exact_seconds = _timed(_enumerated, of)
    cost = math.inf if isinstance(whole, choice.Clash) else whole.cost
    possible = math.isfinite(enumerated.cost)
    likeness = "degenerate" if seed % DEGENERATE == 0 else "feasible"
    return {
        "seed": seed,
        "kind": likeness if possible else "infeasible",
        "engines": len(of.options.names),
        "buckets": len(of.options.rates),
        "limits": len(of.limits.names),
        "parts_cost": math.inf if isinstance(parts, choice.Clash) else parts.plan.cost,
        "exact_parts_cost": enumerated_parts.cost,
        "exact_parts_bound": enumerated_parts.bound,
        "cost": cost,
        "exact_cost": enumerated.cost,
        "exact_bound": enumerated.bound,
        "difference": cost / enumerated.cost - 1.0 if possible else math.nan,
        "options_seconds": options_seconds,
        "relaxed_seconds": relaxed_seconds,
        "rounded_seconds": rounded_seconds,
        "exact_seconds": exact_seconds,
    }


def _enumerated(case: objective.Case) -> tuple[enumeration.Enumerated, enumeration.Enumerated]:
    grid = enumeration.grid(case, LEVELS)
    return enumeration.in_parts(case, grid), enumeration.in_wholes(case, grid)


def _timed(function: Callable[..., Result], *arguments: Any) -> tuple[Result, float]:
    started = time.perf_counter()
    found = function(*arguments)
    return found, time.perf_counter() - started


def agrees(row: Mapping[str, Any]) -> bool:
    """Whether the solver's fleet is as good as that of enumeration, or both find none.

    Args:
        row: of `check`.
    """
    if math.isinf(row["exact_cost"]):
        return math.isinf(row["cost"])
    return row["difference"] <= AGREES


def append(row: Mapping[str, Any]) -> None:
    """Add a row to the table; what is not finite stays empty.

    Args:
        row: of `check`.
    """
    new = not CHECKS.exists()
    with CHECKS.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(COLUMNS)
        table.writerow([_cell(name, row[name]) for name in COLUMNS])


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{3 if name.endswith('seconds') else 9}g}" if math.isfinite(value) else ""


def checked() -> set[int]:
    """Seeds of the problems that are in the table."""
    if not CHECKS.exists():
        return set()
    with CHECKS.open(encoding="utf-8", newline="") as file:
        return {int(row["seed"]) for row in csv.DictReader(file)}


def main(arguments: Sequence[str]) -> None:
    """Check problems against enumeration, and print how each compares.

    Args:
        arguments: the first and the last seed, or nothing for all.
    """
    first, last = map(int, arguments) if arguments else (0, PROBLEMS - 1)
    done = checked()
    print(
        f"{'seed':>4} {'kind':<10} {'cost':>12} {'enumerated':>12} {'difference':>10}"
        f" {'seconds':>6}  {'exact':>6}"
    )
    for seed in range(first, last + 1):
        if seed in done:
            continue
        row = check(seed)
        append(row)
        seconds = row["options_seconds"] + row["relaxed_seconds"] + row["rounded_seconds"]
        print(
            f"{seed:>4} {row['kind']:<10} {row['cost']:>12.6g} {row['exact_cost']:>12.6g}"
            f" {row['difference']:>10.2e} {seconds:>6.1f}, {row['exact_seconds']:>6.1f}"
            f"{'' if agrees(row) else '  differs'}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
