"""What a reader may set in the chapter on throughput."""

from typing import ClassVar, Literal

from llmecon.studies.parameters import Scenario as Base
from llmecon.studies.parameters import Tuning, choice, identifier, my_server, number, tuning


class Scenario(Base):
    """A model on some accelerators, how they share it, and the requests that they work on."""

    chapter: ClassVar[str] = "throughput"

    model: str = identifier("qwen3-235b-a22b", "model to serve", "models")
    xpu: str = identifier("h100-sxm", "accelerator that serves it", "xpus")
    xpus: int = number(8, "that share a copy of the model", "xPUs", 1, 1024)
    parallelism: Literal["tensor", "expert", "data-expert"] = choice(
        "tensor", "all split, experts whole, or attention by request too"
    )
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    engine: Literal["any", "vllm", "sglang", "trtllm"] = choice(
        "any", "serving software, any if undecided"
    )
    tuning: Tuning = tuning()
    my_server: str = my_server()
    batch: float = number(64.0, "that are answered at once", "requests", 1, 100_000)
    prompt_tokens: float = number(2000.0, "mean prompt", "tokens", 1, 1e6)
    output_tokens: float = number(500.0, "mean answer", "tokens", 1, 1e6)
    output_cv: float = number(1.0, "spread of answers' lengths over their mean", "ratio", 0, 50)
    draft_tokens: float = number(3.0, "drafted ahead a step, where drafts are", "tokens", 0.1, 32)
    acceptance: float = number(0.7, "chance that a drafted token is kept", "fraction", 0, 1)
    draft_cost: float = number(0.05, "time to draft a token, over that of a step", "fraction", 0, 1)
    ttft_limit_s: float = number(
        2.0, "first token within this, for 99 requests in 100", "s", 0.01, 3600
    )
    tpot_limit_s: float = number(
        0.05, "each further token within this, on average", "s", 0.0005, 60
    )
