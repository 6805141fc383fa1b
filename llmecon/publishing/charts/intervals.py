"""What was measured how surely: a dot and its interval for every named row."""

from typing import Any

import altair as alt
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.theme import colour, colours

_LANE = 15  # height of one interval [px]
_APART = 12  # between two rows [px]


def intervals(
    frame: pd.DataFrame,
    label: str,
    middle: str,
    low: str,
    high: str,
    *,
    title: str,
    unit: str,
    subtitle: str = "",
    group: str | None = None,
    domain: tuple[float, float] | None = None,
) -> Chart:
    """Dots with their intervals, in the order of the rows.

    Args:
        frame: One row a dot.
        label: Column of the rows' names; several dots of one name share a row.
        middle: Column of the dots.
        low: Column of the intervals' lower ends.
        high: Column of their upper ends.
        title: What the chart finds, as a sentence.
        unit: Unit of the values, shown on the axis.
        subtitle: What is shown, under which assumptions.
        group: Column that colours the dots of a row and tells them apart.
        domain: Ends of the axis; by default those of the intervals.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    columns = {"label": label, "value": middle, "low": low, "high": high}
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
        alt.layer(reach, dot), title, subtitle, note, height=float(count * tall), key=key, unit=unit
    )
