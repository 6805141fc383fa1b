"""What a reader may set in the chapter on the accelerator that would suit."""

from typing import ClassVar, Literal

from llmecon.studies.parameters import Scenario as Base
from llmecon.studies.parameters import choice, identifier, number


class Scenario(Base):
    """A model, its requests and limits, how it is trained, and what chips are made of."""

    chapter: ClassVar[str] = "accelerator-design"

    model: str = identifier("llama-3.1-70b", "model that chips are made for", "models")
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("fp8", "weights while serving")
    prompt_tokens: float = number(500.0, "mean prompt", "tokens", 1, 1e6)
    output_tokens: float = number(200.0, "mean answer", "tokens", 2, 1e5)
    ttft_limit_s: float = number(2.0, "a pass over prompts within this", "s", 0.001, 3600)
    tpot_limit_s: float = number(0.05, "a token of each answer within this", "s", 0.0005, 60)
    training_devices: int = number(1024, "that train together", "devices", 64, 1_000_000)
    training_batch_tokens: float = number(16e6, "in a step of training", "tokens", 1e4, 1e9)
    training_sequence_tokens: float = number(
        8192.0, "in a training sequence, if they fit", "tokens", 128, 1e6
    )
    process: Literal["7nm", "5nm", "3nm"] = choice("5nm", "in which chips are made")
    memory: Literal["hbm2e", "hbm3", "hbm3e", "hbm4"] = choice("hbm3e", "stacked beside them")
    xpu: str = identifier("h100-sxm", "a real accelerator to compare with", "xpus")
