"""Charts of one quantity along another: lines, frontiers, the course of a reply."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import colour, colours


def lines(
    frame: pd.DataFrame,
    x: Axis,
    y: Axis,
    series: str,
    labels: Labels,
    *,
    points: bool = False,
    point_label: str | None = None,
) -> Chart:
    """Lines with their names at their ends.

    Args:
        frame: One row a point.
        x: The abscissa.
        y: The ordinate, perhaps with a band.
        series: Column that names the lines.
        labels: What is written about it.
        points: Whether to mark the points on the lines.
        point_label: Column shown for a point in its tooltip (a batch size, a device).

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    rules_x, rules_y = dict(x.rules or {}), dict(y.rules or {})
    band, height = y.band, y.pixels
    columns = {"x": x.column, "y": y.column, "series": series}
    if band:
        columns |= {"low": band[0], "high": band[1]}
    if point_label:
        columns["point"] = point_label
    positive = tuple(c for c, log in (("x", x.log), ("y", y.log), ("low", y.log)) if log)
    rows, note = draw.tidy(frame, columns, positive=[c for c in positive if c in columns])
    rows = rows.sort_values(["series", "x"], kind="stable")
    names = list(dict.fromkeys(frame[series].astype(str)))
    names = [name for name in names if name in set(rows["series"].astype(str))]
    hues = colours(names)

    seen_y = [rows[c] for c in ("y", "low", "high") if c in rows] + [
        pd.Series(rules_y, dtype=float)
    ]
    x_scale = draw.scale(pd.concat([rows["x"], pd.Series(rules_x, dtype=float)]), x.log)
    y_scale = draw.scale(pd.concat(seen_y), y.log, floor=True)
    last = rows.groupby("series", sort=False).tail(1).copy()
    last["lines"] = [draw.wrapped(name, 18) for name in last["series"]]
    last["at"] = draw.apart(last, y_scale, height)
    longest = max(len(part) for text in last["lines"] for part in text.split("\n"))

    right = draw.room(14 + draw.CHARACTER_PX * longest)
    x_axis = alt.X(
        "x:Q",
        scale=alt.Scale(**x_scale.arguments, range=[0, right]),
        axis=draw.axis(
            x.title, values=x_scale.ticks, tickCount=draw.TICKS, grid=False, domain=True
        ),
    )
    y_axis = alt.Y(
        "y:Q", scale=alt.Scale(**y_scale.arguments), axis=draw.top_axis(y.title, y_scale)
    )
    paint = alt.Color(
        "series:N",
        scale=alt.Scale(domain=names, range=[colour(hues[name]) for name in names]),
        legend=None,
    )
    tooltip = [
        draw.told("series:N", series),
        *([draw.told("point:N", point_label)] if point_label else []),
        draw.told("x:Q", x.title),
        draw.told("y:Q", y.title),
        *(draw.told(f"{end}:Q", f"{y.title}, {end} end") for end in ("low", "high") if band),
    ]
    base = alt.Chart(rows).encode(x=x_axis, y=y_axis, color=paint)
    layers: list[Chart] = []
    if band:
        layers.append(base.mark_area(opacity=0.16).encode(y="low:Q", y2="high:Q"))
    ruled = draw.rules(rules_x, x_scale, rules_y, right, height, rows, y_scale)
    layers += ruled[0::2]
    layers.append(base.mark_line())
    # Even where no points are drawn, wide invisible ones make the tooltips easy to hit.
    dots = base.mark_point(filled=True, size=42 if points else 160, opacity=1 if points else 0)
    layers.append(dots.encode(tooltip=tooltip))
    layers += ruled[1::2]
    layers.append(
        alt.Chart(last)
        .mark_text(
            align="left", dx=8, lineBreak="\n", lineHeight=13, fontWeight="bold", **draw.HALO
        )
        .encode(x="x:Q", y=alt.Y("at:Q"), text="lines:N", color=paint)
    )
    return draw.finish(alt.layer(*layers), labels.title, labels.subtitle, note, height=height)


def frontier(
    frame: pd.DataFrame,
    speed: str,
    cost: str,
    series: str,
    labels: Labels,
    *,
    point_label: str | None = None,
    limits: Mapping[str, float] | None = None,
) -> Chart:
    """Cost against speed on logarithmic axes: what a faster answer costs.

    Args:
        frame: One row an operating point.
        speed: Column of the speed that a user sees [tokens/s].
        cost: Column of the cost [USD per million tokens].
        series: Column that names the lines (a model, an accelerator, both).
        labels: What is written about it.
        point_label: Column shown for a point in its tooltip (a batch size).
        limits: Speeds to mark, by what is written beside them (a latency target, reading speed).

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    return lines(
        frame,
        Axis(speed, "Speed each user sees [tokens/s]", log=True, rules=limits),
        Axis(cost, "Cost [USD per million tokens]", log=True, pixels=380),
        series,
        labels,
        points=True,
        point_label=point_label,
    )


def timeline(
    frame: pd.DataFrame,
    time: str,
    delivered: str,
    read: str,
    labels: Labels,
    *,
    wanted: str | None = None,
) -> Chart:
    """Tokens delivered against tokens read; shaded is the delay, or the text that waits to be read.

    Args:
        frame: One row an instant.
        time: Column of the time since the request [s].
        delivered: Column of the tokens delivered by then.
        read: Column of the tokens read by then.
        labels: What is written about it.
        wanted: Column of the tokens that a reader who never waits would have read.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    columns = {"x": time, "delivered": delivered, "read": read} | (
        {"wanted": wanted} if wanted else {}
    )
    rows, note = draw.tidy(frame, columns)
    names = {"delivered": "delivered", "read": "read", "wanted": "read without waiting"}
    kept = [name for name in names if name in rows]
    long = rows.melt("x", kept, "kind", "y").assign(series=lambda f: f["kind"].map(names))
    chart = lines(
        long,
        Axis("x", "Time since the request [s]"),
        Axis("y", "Tokens", pixels=300),
        "series",
        labels,
    )
    gap = "wanted" if wanted else "delivered"
    shade = (
        alt.Chart(rows)
        .mark_area(opacity=0.16, color=colour("orange" if wanted else "blue"))
        .encode(x="x:Q", y=alt.Y("read:Q"), y2=f"{gap}:Q")
    )
    chart.layer = [shade, *chart.layer]
    if note:
        chart.usermeta = {**chart.usermeta, "note": note}
    return chart
