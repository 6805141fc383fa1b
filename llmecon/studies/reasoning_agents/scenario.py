"""What a reader may set in the chapter on reasoning and agents."""

from typing import ClassVar

from llmecon.studies.parameters import number
from llmecon.studies.tokenomics import scenario as tokenomics


class Scenario(tokenomics.Scenario):
    """A service as in the chapter on tokenomics, and tasks that are more than a plain request."""

    chapter: ClassVar[str] = "reasoning-agents"

    reasoning_tokens: float = number(8000.0, "hidden reasoning before an answer", "tokens", 0, 1e6)
    turns: float = number(20.0, "calls of the model in an agent's conversation", "turns", 1, 1000)
    system_tokens: float = number(
        4000.0, "instructions that open each of its prompts", "tokens", 0, 1e6
    )
    turn_tokens: float = number(800.0, "new input of a turn", "tokens", 1, 1e6)
    turn_output_tokens: float = number(400.0, "output of a turn", "tokens", 1, 1e6)
    cache_reuse: float = number(
        1.0, "share of a history that the prefix cache supplies", "fraction", 0, 1
    )
    pictures: float = number(4.0, "pictures beside a plain prompt", "pictures", 0, 1000)
    picture_tokens: float = number(765.0, "tokens of a picture", "tokens", 0, 100_000)
    task_ttft_limit_s: float = number(
        60.0, "first token of turns and pictures within this", "s", 0.01, 3600
    )
