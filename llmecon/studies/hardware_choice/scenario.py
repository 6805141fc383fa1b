"""What a reader of the chapter on hardware choice may set."""

from typing import ClassVar, Literal

from llmecon.studies.parameters import Scenario as Base
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning

OFFERED = (
    "l40s, a100-sxm-80gb, h100-sxm, h200-sxm, b200, mi300x, mi325x, mi355x, tpu-v5e, tpu-v6e, "
    "gaudi2, trainium2"
)
"""Accelerators that are on offer unless a reader says otherwise."""


class Scenario(Base):
    """Requests of two sizes, limits on their latency, and what there is to choose from."""

    chapter: ClassVar[str] = "hardware-choice"

    model: str = identifier("llama-3.1-70b", "model to serve", "models")
    requests_per_second: float = number(20.0, "at the busiest hour", "requests/s", 0.01, 1e5)
    long_share: float = number(0.25, "of requests that are long", "fraction", 0, 1)
    prompt_tokens: float = number(500.0, "mean prompt of short requests", "tokens", 1, 1e6)
    output_tokens: float = number(200.0, "mean answer to short requests", "tokens", 2, 1e5)
    long_prompt_tokens: float = number(8000.0, "mean prompt of long requests", "tokens", 1, 1e6)
    long_output_tokens: float = number(500.0, "mean answer to long requests", "tokens", 2, 1e5)
    ttft_limit_s: float = number(
        2.0, "first token of short requests, for 99 in 100", "s", 0.01, 3600
    )
    long_ttft_limit_s: float = number(
        6.0, "first token of long requests, for 99 in 100", "s", 0.01, 3600
    )
    tpot_limit_s: float = number(
        0.05, "each further token within this, on average", "s", 0.0005, 60
    )
    xpus: str = identifier(OFFERED, "accelerators on offer", "xpus", several=True)
    xpu: str = identifier("h100-sxm", "the one that you would take by habit", "xpus")
    rival: str = identifier("b200", "another to compare it with", "xpus")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice(
        "fp8", "of the weights where they are not in bf16"
    )
    tuning: Tuning = tuning()
    my_server: str = my_server()
    phases: Literal["either", "together"] = choice(
        "either", "may prompts and answers be kept apart"
    )
    grid: str = identifier("usa", "where machines may stand", "grid")
    other_grid: str = identifier("swe", "or here; the same again for no choice", "grid")
    usd_per_tonne: float = number(100.0, "price put on carbon", "USD/t", 0, 1e5)
    power_kw: float = number(0.0, "power to be had at most; 0 for no limit", "kW", 0, 1e6)
    budget_usd_per_hour: float = number(
        0.0, "money to be had at most; 0 for no limit", "USD/h", 0, 1e7
    )
