"""Where an answer turns: the setting at which a condition begins to hold."""

import math
from collections.abc import Callable

STEPS = 60  # halvings of a range of factors: to the last digit that a float holds


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
