"""How an answer is judged; the page's boxes (`book/_static/exercises.js`) judge likewise."""

import math
from collections.abc import Mapping

from llmecon.teaching.records import Key, Mistake, Verdict

SAYS: Mapping[str, str] = {
    "right": "Right.",
    "one": "Not yet.",
    "several": "Not yet, and this can have come about in more than one way.",
    "power": "Not yet. The digits are right and the power of ten is not: look at the units again.",
    "high": "Not yet. This is too high.",
    "low": "Not yet. This is too low.",
}
"""What is said before, or without, the sentence of a mistake; for pages too."""

POWERS = 15
"""An answer wrong by up to so many powers of ten is told so."""


def near(answer: float, value: float, tolerance: float) -> bool:
    """Whether an answer is as good as a value.

    Args:
        answer: what somebody found.
        value: what it is compared with; nothing is near what isn't finite.
        tolerance: relative to the value.
    """
    return math.isfinite(value) and abs(answer - value) <= tolerance * abs(value)


def judge(key: Key, tolerance: float, answer: float) -> Verdict:
    """Judge an answer by its key.

    Args:
        key: the answer and likely mistakes.
        tolerance: relative; also how near an answer is to that of a mistake.
        answer: what somebody found.

    Returns:
        Right wherever the key is near, even where a mistake happens to lead to the same; else all
        mistakes that lead there.
    """
    if near(answer, key.answer, tolerance):
        return Verdict(True, None, SAYS["right"])
    likely = [of for of in key.mistakes if near(answer, of.value, tolerance)]
    if likely:
        return Verdict(False, ",".join(of.name for of in likely), _told(likely))
    return Verdict(False, None, SAYS[_off(key.answer, tolerance, answer)])


def _told(likely: list[Mistake]) -> str:
    said = [SAYS["one"] if len(likely) == 1 else SAYS["several"], *(of.says for of in likely)]
    return " ".join(said)


def _off(right: float, tolerance: float, answer: float) -> str:
    powers = (right * 10.0**power for power in range(-POWERS, POWERS + 1))
    if any(near(answer, of, tolerance) for of in powers):
        return "power"
    return "high" if answer > right else "low"


def possible(key: Key) -> list[Mistake]:
    """The mistakes that can be made, of those of a key."""
    return [of for of in key.mistakes if math.isfinite(of.value)]
