"""Many rows on one axis, of which a few are named."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import altair as alt
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw, places
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import INK, colour

_TALL = 30.0  # of the strip [px]
_LEVEL = 17.0  # between two rows of names [px]
_FIRST = 15.0  # from the strip to the middle of the nearest names [px]
_BEYOND = 4.0  # that a named tick is longer at either end [px]
_FLAG = 8.0  # from a name's start or end to its line, where that is not in its middle [px]
_CROSSED = 4.0  # rows that a name goes farther off rather than be crossed by a line
_SPACE = 5.0  # between two names, and a name and another's line [px]


def strip(
    frame: pd.DataFrame,
    value: Axis,
    name: str,
    labels: Labels,
    *,
    labelled: Sequence[str],
) -> Chart:
    """A strip with a tick for every row, of which a few are named above and below it.

    Args:
        frame: One row a tick, such as a country.
        value: The values, with the unit shown on the axis.
        name: Column of the ticks' names.
        labels: What is written about it, and the name to single out, labelled or not.
        labelled: Names to write beside their ticks; all ticks show theirs when pointed at.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn, or a name to write has none.
    """
    log, unit, highlight = value.log, value.title, labels.highlight
    rows, note = draw.tidy(
        frame, {"label": name, "value": value.column}, positive=("value",) if log else ()
    )
    rows["label"] = rows["label"].astype(str)
    wanted = list(dict.fromkeys([*([highlight] if highlight is not None else []), *labelled]))
    strange = [text for text in wanted if text not in set(frame[name].astype(str))]
    if strange:
        raise ValueError(f"no row is named {strange[0]!r} in column {name!r}")
    scale = draw.scale(rows["value"], log)
    named = rows[rows["label"].isin(wanted)].drop_duplicates("label").copy()
    named["chosen"] = named["label"] == highlight
    named["text"] = [
        f"{label} {words.number(v, 3)}"
        for label, v in zip(named["label"], named["value"], strict=True)
    ]
    named["px"] = [round(1.05 * places.extent(text)[0], 1) for text in named["text"]]
    # The one singled out is placed first, next to the strip.
    named = named.sort_values(["chosen", "value"], ascending=[False, True], kind="stable")
    at = arranged(scale.fraction(named["value"]).tolist(), named["px"].tolist())
    named["shift"] = [round(of.shift, 1) for of in at]
    row = pd.Series([float(of.row) for of in at], index=named.index, dtype=float)
    above, below = max([*row, 0.0]), max([*-row, 0.0])
    top = _BEYOND + (_FIRST + _LEVEL * (above - 0.5) if above else 0.0)
    height = top + _TALL + _BEYOND + (_FIRST + _LEVEL * (below - 0.5) if below else 0.0)
    up = row.where(row > 0, 0.0).astype(bool)
    side = up.map({True: 1.0, False: -1.0})
    edge = up.map({True: top, False: top + _TALL})
    named["edge"] = edge - side * _BEYOND
    named["y"] = edge - side * (_FIRST + _LEVEL * (row.abs() - 1.0))
    named["end"] = named["y"] + side * 7.0

    axis = draw.axis(unit, values=scale.ticks, tickCount=draw.TICKS, grid=False, domain=True)
    across = alt.X("value:Q", scale=alt.Scale(**scale.arguments), axis=axis)
    tooltip = [
        draw.told("label:N", name),
        draw.told("value:Q", unit),
    ]
    accent, accented = colour("blue"), alt.value(colour("blue"))
    paint = alt.condition("datum.chosen", accented, alt.value(INK))
    ticks = alt.Chart(rows).encode(x=across, y=alt.value(top), y2=alt.value(top + _TALL))
    marks = alt.Chart(named).encode(x=across)
    text = marks.encode(y=alt.Y("y:Q", scale=None, axis=None), text="text:N")
    look = {"dx": places.inside("value", "shift"), **draw.HALO}
    layers: list[Chart] = [
        ticks.mark_rule(strokeWidth=1, opacity=0.45),
        marks.mark_rule(strokeWidth=1).encode(
            y=alt.Y("edge:Q", scale=None, axis=None), y2="end:Q", color=paint
        ),
        marks.mark_rule().encode(
            y=alt.value(top - _BEYOND),
            y2=alt.value(top + _TALL + _BEYOND),
            color=paint,
            strokeWidth=alt.condition("datum.chosen", alt.value(3.5), alt.value(1.75)),
        ),
        # Wide and invisible, so that a thin tick can be hit.
        ticks.mark_rule(strokeWidth=5, opacity=0).encode(tooltip=tooltip),
        text.transform_filter("!datum.chosen").mark_text(**look),
        text.transform_filter("datum.chosen").mark_text(fill=accent, fontWeight="bold", **look),
    ]
    # An empty dataset has no columns to draw by.
    drawn = layers if len(named) else [layers[0], layers[3]]
    return draw.finish(alt.layer(*drawn), labels.title, labels.subtitle, note, height=round(height))


class Name(NamedTuple):
    """Where a name stands: its row above (1, 2, ...) or below (-1, -2, ...), and what it covers.

    The abscissae are those of a phone [px].
    """

    row: int
    tick: float
    left: float
    right: float
    shift: float


def arranged(fractions: Sequence[float], pixels: Sequence[float]) -> list[Name]:
    """Places for names beside a strip, as near as possible, on either side in turn.

    No two names overlap, and lines to names run through others' only where nothing else is left.
    What holds on a phone does so on wider pages, where ticks are farther apart.

    Args:
        fractions: Where the names' ticks lie, 0 to 1; the first is placed first.
        pixels: Widths of the names [px].

    Returns:
        A place for each.
    """
    rest = list(range(1, len(fractions)))
    tried = [
        _placed(fractions, pixels, [0, *order][: len(fractions)], side)
        for order in (rest, rest[::-1])
        for side in (1, -1)
    ]
    names = min(tried, key=lambda of: of[0])[1]
    return [names[i] for i in range(len(fractions))]


def _placed(
    fractions: Sequence[float], pixels: Sequence[float], order: Sequence[int], side: int
) -> tuple[float, dict[int, Name]]:
    """Places taken in some order, the first on some side, and what they cost together."""
    names: dict[int, Name] = {}
    total = 0.0
    for i in order:
        tick, wide = fractions[i] * places.PHONE, pixels[i]
        half = (wide + _SPACE) / 2
        tried = []
        # Over its tick, or with its start or its end there.
        for shift in (0.0, wide / 2 - _FLAG, _FLAG - wide / 2):
            middle = min(max(tick + shift, wide / 2), max(places.PHONE - wide / 2, wide / 2))
            for away in range(1, len(fractions) + 1):
                for row in (side * away, -side * away):
                    name = Name(row, tick, middle - half, middle + half, shift)
                    met = sum(_met(name, other) for other in names.values())
                    tried.append((away + (0.2 if shift else 0.0) + met, name))
        cost, names[i] = min(tried, key=lambda of: of[0])
        total, side = total + cost, -side
    return total, names


def _met(one: Name, other: Name) -> float:
    """What it costs that a name, or the line to it, meets another."""
    if one.row * other.row < 0:
        return 0.0
    left, right = (one, other) if one.tick <= other.tick else (other, one)
    if one.row == other.row:
        return math.inf if left.right > right.left else 0.0
    if abs(left.row) < abs(right.row):
        return _CROSSED if right.tick < left.right else 0.0
    return _CROSSED if left.tick > right.left else 0.0
