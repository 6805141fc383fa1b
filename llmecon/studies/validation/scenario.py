"""What a reader may set in the chapter on validation."""

from typing import ClassVar, Literal

from llmecon.studies import parameters
from llmecon.studies.parameters import choice, identifier, number


class Scenario(parameters.Scenario):
    """What was left out of the fits, the quantity to look at, and a system to simulate."""

    chapter: ClassVar[str] = "validation"

    left_out: Literal["model", "xpu", "engine", "nothing"] = choice(
        "model", "what the fits saw nothing of"
    )
    target: Literal["tpot", "ttft", "throughput", "energy", "tokens_per_s", "device_hours"] = (
        choice("tpot", "quantity looked at closely")
    )
    model: str = identifier("llama-3.1-70b", "model whose service is simulated", "models")
    xpu: str = identifier("h100-sxm", "accelerator that serves it", "xpus")
    xpus: int = number(2, "devices of the one instance", "xPUs", 1, 64)
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    prompt_tokens: float = number(1024.0, "mean prompt", "tokens", 16, 1e5)
    output_tokens: float = number(1024.0, "mean output", "tokens", 16, 8192)
