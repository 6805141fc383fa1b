"""Where an answer turns: the setting at which a condition begins to hold."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

STEPS = 60  # halvings of a range of factors: to the last digit that a float holds
AT_ONCE = 33  # settings that are tried together
ROUNDS = 5  # each leaves a 32nd of the range: a millionth of the answer over a range of 10¹⁴

Settings = Float[np.ndarray, " settings"]
Held = Bool[np.ndarray, " settings"]


def turning_point(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The least setting at which a condition holds, by bisection of its logarithm.

    Args:
        holds: the condition, which once it holds holds for all that is greater.
        low: positive; least setting that is tried.
        high: greatest.

    Returns:
        The setting; NaN where the condition holds at `low` already or not even at `high`.
    """
    if holds(low) or not holds(high):
        return math.nan
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def first_of_many(hold: Callable[[Settings], Held], low: float, high: float) -> float:
    """As `turning_point`, of a condition that is asked of many settings as quickly as of one.

    Args:
        hold: the condition for each of `AT_ONCE` settings, once it holds for all that are greater.
        low: positive; least setting that is tried.
        high: greatest.

    Returns:
        The setting; NaN where the condition holds at `low` already or not even at `high`.
    """
    for _ in range(ROUNDS):
        settings = np.geomspace(low, high, AT_ONCE)
        held = np.asarray(hold(settings))
        if held[0] or not held[-1]:
            return math.nan
        first = int(np.argmax(held))
        low, high = float(settings[first - 1]), float(settings[first])
    return high
