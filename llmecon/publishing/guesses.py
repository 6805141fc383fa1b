"""A question before its answer: the reader sets a guess, and sees how far off it was.

The page needs no arithmetic for it: what each place of the control says, and how far off it is,
is written with the chapter. Where no script runs, question and answer stand there to be unfolded.
"""

import html
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from llmecon import words

PLACES = 61
"""At which the control can stand."""

NEAR = 1.15
"""A factor within which a guess counts as right."""

NEAR_POINTS = 0.03
"""The same for shares, as a difference."""


@dataclass(frozen=True)
class Guess:
    """A question with a number for its answer, as a notebook shows it.

    Args:
        question: What is asked, a sentence or two without Markdown.
        value: The answer, in `unit`.
        unit: As `words.quantity` takes it.
        low: Least guess; lowered where the answer lies below it.
        high: Greatest guess; raised likewise.
        interval: The answer's interval in words; empty for none.
        told: What is said with the answer, without Markdown.
        log: Whether equal steps are equal factors.

    Raises:
        ValueError: The value is not finite, or equal factors lead to no 0.
    """

    question: str
    value: float
    unit: str
    low: float
    high: float
    interval: str = ""
    told: str = ""
    log: bool = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or (self.log and min(self.low, self.value) <= 0.0):
            raise ValueError(f"no guess of {self.value} from {self.low:g} to {self.high:g}")

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """What each place of the control says, and how far off it is."""
        wider = 2.0 if self.log else 1.0
        low = self.low if self.low <= self.value else self.value / wider
        high = self.high if self.value <= self.high else self.value * wider
        spaced = np.geomspace if self.log else np.linspace
        guesses = [float(f"{of:.2g}") for of in spaced(low, high, PLACES)]
        return [
            (words.quantity(of, self.unit), verdict(of, self.value, self.unit)) for of in guesses
        ]

    @property
    def answer(self) -> str:
        """The answer in words."""
        said = words.quantity(self.value, self.unit)
        return f"{said} ({self.interval})" if self.interval else said

    @property
    def markup(self) -> str:
        """HTML that needs nothing but itself; the site's script brings the control to life."""
        places = json.dumps(self.places, ensure_ascii=False).replace("<", "\\u003c")
        middle = PLACES // 2
        return (
            '<div class="llmecon-guess" role="group" aria-label="Guess first">'
            f'<p class="llmecon-question">{html.escape(self.question)}</p>'
            "<form hidden><label><span>Your guess</span>"
            f'<input type="range" min="0" max="{PLACES - 1}" value="{middle}" step="1">'
            f"<output>{html.escape(self.places[middle][0])}</output></label>"
            '<button type="submit">Show the answer</button>'
            '<button type="button" data-all>Show all answers</button></form>'
            "<details><summary>The answer</summary>"
            '<p class="llmecon-verdict" role="status"></p>'
            f"<p><strong>{html.escape(words.quantity(self.value, self.unit))}</strong>"
            f"{f' ({html.escape(self.interval)})' if self.interval else ''} "
            f"{html.escape(self.told)}</p></details>"
            f'<script type="application/json">{places}</script></div>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = f"{self.question}\nThe answer: {self.answer} {self.told}".strip()
        return {"text/html": self.markup, "text/plain": text}


def verdict(guess: float, value: float, unit: str) -> str:
    """How far off a guess is, in words.

    Args:
        guess: that somebody made.
        value: the answer.
        unit: of both; shares are compared by their difference, all else by its factor.
    """
    if unit == "fraction":
        off = guess - value
        if abs(off) < NEAR_POINTS:
            return "Right, to a few points."
        points = words.count(round(100.0 * abs(off)), "point")
        return f"{points} too {'high' if off > 0 else 'low'}."
    factor = max(guess / value, value / guess)
    if factor < NEAR:
        return f"Right, within {words.percent(NEAR - 1.0)}."
    if factor >= 2.0:
        far = f"{words.number(factor)} times"
    else:
        far = words.percent(abs(guess / value - 1.0))
    return f"{far} too {'high' if guess > value else 'low'}."
