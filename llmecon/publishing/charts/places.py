"""Where text goes so that it covers nothing, at the widths of a phone and of a page."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from llmecon.publishing.charts import draw

PHONE = 330.0  # width of a plot on the narrowest phones [px]


class Box(NamedTuple):
    """What a mark or a text covers [px]; the ordinate grows downwards."""

    left: float
    top: float
    right: float
    bottom: float


def extent(text: str, font: float = 12.0) -> tuple[float, float]:
    """Width and height of a text of one or more lines [px]."""
    lines = text.split("\n")
    width = draw.CHARACTER_PX * font / 12.0 * max(len(line) for line in lines)
    return width, len(lines) * (font + 2.0)


def centred(x: float, y: float, width: float, height: float) -> Box:
    """The box of some size around a point."""
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def covered(one: Box, other: Box) -> float:
    """The area that two boxes share [px2]."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(across, 0.0) * max(down, 0.0)


def freest(choices: Sequence[Box], taken: Sequence[Box], plot: Box) -> int:
    """Which of several places covers least of what is taken; the first of equals.

    Args:
        choices: Places, the most wanted first.
        taken: What is already there.
        plot: The plot's area; a place counts as taken where it leaves it.
    """

    def cost(box: Box) -> float:
        area = (box.right - box.left) * (box.bottom - box.top)
        return area - covered(box, plot) + sum(covered(box, other) for other in taken)

    return min(range(len(choices)), key=lambda i: cost(choices[i]))


def inside(field: str, shift: str | None = None) -> alt.ExprRef:
    """How far a centred text stands from its place, so that it stays within the plot.

    Args:
        field: Field of its abscissa; `px` is its width [px].
        shift: Field of how far it is wanted from there [px].
    """
    place, half = f"scale('x', datum.{field})", "datum.px / 2"
    wanted = f"{place} + datum.{shift}" if shift else place
    return alt.ExprRef(expr=f"clamp({wanted}, {half}, max({half}, width - {half})) - {place}")
