"""Problems that the tests of moving fleets share."""

from typing import Any

from llmecon import choice
from llmecon.choice import Plan, Relaxed
from llmecon.choice.objective import Case

CHAT = {"per_second": 10, "prompt_tokens": 1000, "output_tokens": 300, "ttft": 2.0, "tpot": 0.05}
LONG = {"per_second": 3, "prompt_tokens": 6000, "output_tokens": 300, "ttft": 1.5, "tpot": 0.04}
# Rents of the market move; what is tested here must not.
RENTS = {"h100-sxm": 2.95, "mi300x": 2.34, "a100-sxm-80gb": 1.5}
PLAIN: dict[str, Any] = {
    "model": "llama-3.1-70b",
    "buckets": [CHAT, LONG],
    "tuning": "best",
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
