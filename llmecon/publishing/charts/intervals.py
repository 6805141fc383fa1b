"""What was measured how surely: a dot and its interval for every named row."""

from typing import Any

import altair as alt
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import colour, colours

_LANE = 15  # height of one interval [px]
_APART = 12  # between two rows [px]


def intervals(
    frame: pd.DataFrame,
    label: str,
    value: Axis,
    labels: Labels,
    *,
    group: str | None = None,
    domain: tuple[float, float] | None = None,
) -> Chart:
    """Dots with their intervals, in the order of the rows.

    Args:
        frame: One row a dot.
        label: Column of the rows' names; several dots of one name share a row.
        value: The dots, their intervals as its band, and the unit shown on the axis.
        labels: What is written about it.
        group: Column that colours the dots of a row and tells them apart.
        domain: Ends of the axis; by default those of the intervals.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn, or the value has no band.
    """
    if value.band is None:
        raise ValueError(f"column {value.column!r} has no band of its interval's ends")
    unit = value.title
    columns = {"label": label, "value": value.column} | dict(
        zip(("low", "high"), value.band, strict=True)
    )
    if group:
        columns["group"] = group
    rows, note = draw.tidy(frame, columns)
    rows["lines"] = [draw.wrapped(name, draw.LABEL) for name in rows["label"]]
    rows["text"] = [words.number(v, 2) for v in rows["value"]]
    ends = domain or (float(rows["low"].min()), float(rows["high"].max()))
    hues = colours(rows["group"].astype(str)) if group else {}
    paint: Any = alt.value(colour("blue"))
    more: dict[str, Any] = {}
    if group:
        order = list(hues)
        paint = alt.Color(
            "group:N",
            scale=alt.Scale(domain=order, range=[colour(h) for h in hues.values()]),
            legend=None,
        )
        more["yOffset"] = alt.YOffset("group:N", scale=alt.Scale(domain=order))
    base = alt.Chart(rows).encode(
        y=draw.labels(),
        color=paint,
        tooltip=[
            draw.told("label:N", label),
            *([draw.told("group:N", group)] if group else []),
            *(
                draw.told(f"{name}:Q", f"{unit}{said}")
                for name, said in (("value", ""), ("low", ", from"), ("high", ", to"))
            ),
        ],
        **more,
    )
    scale = alt.Scale(domain=list(ends), nice=False)
    x = alt.X("value:Q", scale=scale, axis=draw.axis("", tickCount=draw.TICKS))
    reach = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        x=alt.X("low:Q", scale=scale), x2="high:Q"
    )
    dot = base.mark_point(filled=True, size=55, opacity=1).encode(x=x)
    key = [(name, colour(hue)) for name, hue in hues.items()] if len(hues) > 1 else []
    count = rows["label"].nunique()
    tall = _LANE * max(len(hues), 1) + _APART
    return draw.finish(
        alt.layer(reach, dot),
        labels.title,
        labels.subtitle,
        note,
        height=float(count * tall),
        key=key,
        unit=unit,
    )
