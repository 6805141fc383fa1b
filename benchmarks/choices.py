"""Random choices of hardware, the same for everybody: problem k is that of seed k.

A problem draws a model, one to three buckets of requests with limits from strict to loose, two to
six accelerators, one or two precisions and regions, a few layouts, weights of money, carbon,
waiting and quality, and up to two limits on the fleet. Every fifth one is nearly degenerate: two
accelerators cost the same per device-hour. Limits are drawn around what an unlimited fleet would
take, so that some bind, some don't, and some can't be kept.
"""

from typing import Any

import numpy as np

MODELS = ("llama-3.1-8b", "qwen2.5-32b", "llama-3.1-70b", "gpt-oss-120b")
# Rented ones, and those of them whose purchase price is known.
BOUGHT = ("l4", "l40s", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x")
XPUS = ("a10g", *BOUGHT, "tpu-v5e", "tpu-v6e", "gaudi2", "trainium2")
GRIDS = ("usa", "us-wa", "fra", "pol", "swe", "deu")
# Every how many problems two accelerators cost the same.
DEGENERATE = 5


def described(seed: int) -> dict[str, Any]:
    """The description of a random problem.

    Args:
        seed: its number.

    Returns:
        What `llmecon.problem.problem` reads.
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
        "choices": {
            "xpus": xpus,
            "precisions": pick(("bf16", "fp8", "int4"), 1, 2),
            "regions": [{"grid": grid} for grid in pick(GRIDS, 1, 2)],
            "tensor": [1, 2, 4, 8],
            "pipeline": [1, 2] if random.random() < 0.3 else [1],
            "expert": [1, 4, 8],
            "disaggregated": bool(random.random() < 0.3),
        },
    }
    if degenerate:
        described["choices"]["usd_per_hour"] = dict.fromkeys(xpus[:2], 2.5)
    if owned:
        described["owned"] = {}
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
