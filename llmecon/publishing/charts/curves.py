"""Charts of one quantity along another: lines, frontiers, the course of a reply."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.theme import colour, colours


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    title: str,
    x_title: str,
    y_title: str,
    subtitle: str = "",
    band: tuple[str, str] | None = None,
    rules_x: Mapping[str, float] | None = None,
    rules_y: Mapping[str, float] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    point_label: str | None = None,
    height: int = 340,
) -> Chart:
    """Lines with their names at their ends.

    Args:
        frame: One row a point.
        x: Column of the abscissa.
        y: Column of the ordinate.
        series: Column that names the lines.
        title: What the chart finds, as a sentence.
        x_title: What the abscissa is, with its unit.
        y_title: What the ordinate is, with its unit.
        subtitle: What is shown, under which assumptions.
        band: Columns of the lower and upper end of an interval.
        rules_x: Vertical lines by what is written beside them (a limit, a break-even).
        rules_y: Horizontal lines by what is written on them.
        log_x: Whether the abscissa is logarithmic.
        log_y: Whether the ordinate is logarithmic.
        points: Whether to mark the points on the lines.
        point_label: Column shown for a point in its tooltip (a batch size, a device).
        height: Height of the plot [px].

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    rules_x, rules_y = dict(rules_x or {}), dict(rules_y or {})
    columns = {"x": x, "y": y, "series": series}
    if band:
        columns |= {"low": band[0], "high": band[1]}
    if point_label:
        columns["point"] = point_label
    positive = tuple(c for c, log in (("x", log_x), ("y", log_y), ("low", log_y)) if log)
    rows, note = draw.tidy(frame, columns, positive=[c for c in positive if c in columns])
    rows = rows.sort_values(["series", "x"], kind="stable")
    names = list(dict.fromkeys(frame[series].astype(str)))
    names = [name for name in names if name in set(rows["series"].astype(str))]
    hues = colours(names)

    seen_y = [rows[c] for c in ("y", "low", "high") if c in rows] + [
        pd.Series(rules_y, dtype=float)
    ]
    x_scale = draw.scale(pd.concat([rows["x"], pd.Series(rules_x, dtype=float)]), log_x)
    y_scale = draw.scale(pd.concat(seen_y), log_y, floor=True)
    last = rows.groupby("series", sort=False).tail(1).copy()
    last["lines"] = [draw.wrapped(name, 18) for name in last["series"]]
    last["at"] = draw.apart(last, y_scale, height)
    longest = max(len(part) for text in last["lines"] for part in text.split("\n"))

    right = draw.room(14 + draw.CHARACTER_PX * longest)
    x_axis = alt.X(
        "x:Q",
        scale=alt.Scale(**x_scale.arguments, range=[0, right]),
        axis=draw.axis(
            x_title, values=x_scale.ticks, tickCount=draw.TICKS, grid=False, domain=True
        ),
    )
    y_axis = alt.Y(
        "y:Q", scale=alt.Scale(**y_scale.arguments), axis=draw.top_axis(y_title, y_scale)
    )
    paint = alt.Color(
        "series:N",
        scale=alt.Scale(domain=names, range=[colour(hues[name]) for name in names]),
        legend=None,
    )
    tooltip = [
        draw.told("series:N", series),
        *([draw.told("point:N", point_label)] if point_label else []),
        draw.told("x:Q", x_title),
        draw.told("y:Q", y_title),
        *(draw.told(f"{end}:Q", f"{y_title}, {end} end") for end in ("low", "high") if band),
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
    return draw.finish(alt.layer(*layers), title, subtitle, note, height=height)


def frontier(
    frame: pd.DataFrame,
    speed: str,
    cost: str,
    series: str,
    *,
    title: str,
    subtitle: str = "",
    speed_title: str = "Speed each user sees [tokens/s]",
    cost_title: str = "Cost [USD per million tokens]",
    point_label: str | None = None,
    limits: Mapping[str, float] | None = None,
    height: int = 380,
) -> Chart:
    """Cost against speed on logarithmic axes: what a faster answer costs.

    Args:
        frame: One row an operating point.
        speed: Column of the speed that a user sees [tokens/s].
        cost: Column of the cost [USD per million tokens].
        series: Column that names the lines (a model, an accelerator, both).
        title: What the chart finds, as a sentence.
        subtitle: What is shown, under which assumptions.
        speed_title: Title of the abscissa.
        cost_title: Title of the ordinate.
        point_label: Column shown for a point in its tooltip (a batch size).
        limits: Speeds to mark, by what is written beside them (a latency target, reading speed).
        height: Height of the plot [px].

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    return lines(
        frame,
        speed,
        cost,
        series,
        title=title,
        subtitle=subtitle,
        x_title=speed_title,
        y_title=cost_title,
        rules_x=limits,
        log_x=True,
        log_y=True,
        points=True,
        point_label=point_label,
        height=height,
    )


def timeline(
    frame: pd.DataFrame,
    time: str,
    delivered: str,
    read: str,
    *,
    title: str,
    subtitle: str = "",
    wanted: str | None = None,
    height: int = 300,
) -> Chart:
    """Tokens delivered against tokens read; shaded is the delay, or the text that waits to be read.

    Args:
        frame: One row an instant.
        time: Column of the time since the request [s].
        delivered: Column of the tokens delivered by then.
        read: Column of the tokens read by then.
        title: What the chart finds, as a sentence.
        subtitle: What is shown, under which assumptions.
        wanted: Column of the tokens that a reader who never waits would have read.
        height: Height of the plot [px].

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
        "x",
        "y",
        "series",
        title=title,
        subtitle=subtitle,
        x_title="Time since the request [s]",
        y_title="Tokens",
        height=height,
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
