"""The chart kinds that chapters share: a frame goes in, a chart for `show` comes out.

Titles and colour keys become HTML, so that they wrap on a phone and are read aloud.
"""

import json
from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from llmecon.publishing import draw, words
from llmecon.publishing.figure import Chart, show
from llmecon.publishing.theme import INK, PALETTE, QUIET, SURFACE, colour, colours

__all__ = [
    "agreement",
    "bars",
    "elasticities",
    "frontier",
    "heatmap",
    "lines",
    "show",
    "stacked",
    "timeline",
]


def agreement(
    frame: pd.DataFrame,
    target: str,
    names: Mapping[str, str],
    measured: str,
    predicted: Mapping[str, str],
    colour_by: Mapping[str, str],
    *,
    title: str,
    details: Mapping[str, str] | None = None,
    first: tuple[str, str, str] | None = None,
    subtitle: str = "",
    height: int = 430,
) -> Chart:
    """Predicted against measured, with what is shown to choose below and names to click on.

    Args:
        frame: One row a measurement.
        target: Column of the quantity measured; one is shown at a time.
        names: What a reader calls the quantities, units included, by what the column calls them.
        measured: Column of the measured values.
        predicted: Columns of the predicted values, by what a reader calls them; one is shown at a
            time; cells may be empty.
        colour_by: Columns that may colour the points, by what a reader calls them; names beyond
            the most common ones share a colour.
        title: What the chart finds, as a sentence.
        details: Further columns for the tooltips, by their names there.
        first: Target, prediction and colouring shown at first; by default the first of each.
        subtitle: What is shown, under which assumptions.
        height: Height of the plot [px].

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    named = {f"p{i}": column for i, column in enumerate(predicted.values())}
    hues = {f"c{i}": column for i, column in enumerate(colour_by.values())}
    more = {f"d{i}": column for i, column in enumerate((details or {}).values())}
    columns = {"t": target, "x": measured, **named, **hues, **more}
    # Short names and few digits: the page carries every row.
    rows, note = draw.tidy(
        frame, columns, positive=("x", *named), optional=(*named, *hues, *more), digits=3
    )
    shown = first or (next(iter(names)), next(iter(predicted)), next(iter(colour_by)))
    common = {
        of: {c: part[c].value_counts().index[: len(PALETTE) - 1].tolist() for c in hues}
        for of, part in rows.groupby("t")
    }

    def choice(name: str, label: str, options: Mapping[str, str], value: str) -> alt.Parameter:
        menu = alt.binding_select(
            options=list(options.values()), labels=list(options), name=f"{label} "
        )
        return alt.param(name=name, value=options[value], bind=menu)

    chosen = [
        choice("shown", "Show", {name: of for of, name in names.items()}, names[shown[0]]),
        choice("predictor", "Left out", dict(zip(predicted, named, strict=True)), shown[1]),
        choice("painted", "Colour by", dict(zip(colour_by, hues, strict=True)), shown[2]),
    ]
    chosen.append(alt.param(name="common", value=common))
    picked = alt.selection_point(name="picked", fields=["colour"], bind="legend")
    of_target = "datum.t == shown"

    # The line of perfect predictions and twice and half of it span what the target measures.
    spans = rows.groupby("t", sort=False).agg(low=("x", "min"), high=("x", "max"))
    line = pd.concat(
        [
            pd.DataFrame({"t": spans.index, "x": spans["low"] / 1.15}),
            pd.DataFrame({"t": spans.index, "x": spans["high"] * 1.15}),
        ],
        ignore_index=True,
    )
    line["below"], line["above"] = line["x"] / 2.0, line["x"] * 2.0
    line = line.assign(**{c: draw.shortened(line[c]) for c in ("x", "below", "above")})
    at_end = line.iloc[len(spans) :].assign(text="as measured", twice="twice", half="half")

    log = alt.Scale(type="log", nice=False, padding=0)
    x_axis = draw.axis("Measured", tickCount=6, grid=False, domain=True)
    y_axis = draw.axis(
        "Predicted",
        tickCount=6,
        titleAngle=0,
        titleAlign="left",
        titleBaseline="bottom",
        titleX=0,
        titleY=-10,
    )
    # The domain follows what is shown, so the labels 1, 2, 5 have to be picked from all ticks.
    mantissa = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
    for axis in (x_axis, y_axis):
        axis["labelExpr"] = f"indexof([1, 2, 5], {mantissa}) < 0 ? '' : ({draw.NUMBERS})"
    ends = alt.Chart(line).transform_filter(of_target)
    words_at = alt.Chart(at_end).transform_filter(of_target).encode(x="x:Q")
    named_lines = [
        words_at.mark_text(align="right", dx=-4, dy=dy, baseline="top", color=QUIET).encode(
            y=f"{field}:Q", text=f"{text}:N"
        )
        for field, text, dy in (("above", "twice", 4), ("below", "half", 14))
    ]
    paint = alt.Color(
        "colour:N",
        scale=alt.Scale(range=[colour(hue) for hue in PALETTE]),
        legend=alt.Legend(
            title="Click a name to single it out",
            orient="bottom",
            columns=alt.ExprRef(expr="max(1, floor(width / 150))"),
            labelColor=INK,
            titleColor=QUIET,
            titleFontWeight="normal",
            labelFontSize=12,
            symbolOpacity=1,
            symbolStrokeWidth=0,
            labelLimit=140,
        ),
    )
    points = (
        alt.Chart(rows)
        .transform_filter(of_target)
        .transform_calculate(
            predicted="datum[predictor]",
            colour="indexof(common[shown][painted], datum[painted]) < 0 ? 'other' : datum[painted]",
        )
        .transform_filter("isValid(datum.predicted)")
        .mark_point(filled=True, size=34, strokeWidth=0, aria=False)
        .encode(
            x="x:Q",
            y="predicted:Q",
            color=paint,
            opacity=alt.condition(picked, alt.value(0.7), alt.value(0.05)),
            tooltip=[
                *(alt.Tooltip(f"{c}:N", title=t) for c, t in zip(hues, colour_by, strict=True)),
                *(alt.Tooltip(f"{c}:N", title=t) for c, t in zip(more, details or {}, strict=True)),
                alt.Tooltip("x:Q", title="measured", format=",.3~g"),
                *(
                    alt.Tooltip(f"{c}:Q", title=f"predicted, left out: {t}", format=",.3~g")
                    for c, t in zip(named, predicted, strict=True)
                ),
            ],
        )
        .add_params(picked)
    )
    chart = alt.layer(
        ends.mark_area(opacity=0.1, color=colour("slate")).encode(
            x=alt.X("x:Q", scale=log, axis=x_axis),
            y=alt.Y("below:Q", scale=log, axis=y_axis),
            y2="above:Q",
        ),
        ends.mark_line(strokeWidth=1.5, color=QUIET).encode(x="x:Q", y="x:Q"),
        points,
        *named_lines,
    ).add_params(*chosen)
    finished = draw.finish(chart, title, subtitle, note, height=height)
    # The key below grows and shrinks with what is shown.
    return finished.properties(autosize=alt.AutoSizeParams(type="fit-x", resize=True))


def bars(
    frame: pd.DataFrame,
    label: str,
    value: str,
    *,
    title: str,
    unit: str,
    subtitle: str = "",
    group: str | None = None,
    highlight: str | None = None,
    reference: str | None = None,
    reference_name: str = "published",
    log: bool = False,
    ranked: bool = True,
) -> Chart:
    """Horizontal bars, largest first, each with its value; dots where the axis is logarithmic.

    Args:
        frame: One row a bar.
        label: Column of the bars' names.
        value: Column of their values.
        title: What the chart finds, as a sentence.
        unit: Unit of the values, shown on the axis.
        subtitle: What is measured, under which assumptions.
        group: Column that colours the bars (a vendor, a family).
        highlight: Name of the one bar to single out.
        reference: Column of values to mark beside ours; may be missing in some rows.
        reference_name: What the marks are, for the key.
        log: Whether the axis is logarithmic.
        ranked: Whether to sort by value rather than keep the order of the rows.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    columns = {"label": label, "value": value}
    if group:
        columns["group"] = group
    if reference:
        columns["reference"] = reference
    rows, note = draw.tidy(
        frame, columns, positive=("value",) if log else (), optional=("reference",)
    )
    if ranked:
        rows = rows.sort_values("value", ascending=False, kind="stable")
    rows["text"] = [words.number(v, 3) for v in rows["value"]]
    rows["lines"] = [draw.wrapped(name, draw.LABEL) for name in rows["label"]]
    ends = rows[["value", "reference"]] if reference else rows[["value"]]
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))

    key: list[tuple[str, str]] = []
    if group:
        hues = colours(rows["group"].astype(str))
        key = [(name, colour(hue)) for name, hue in hues.items()] if len(hues) > 1 else []
        paint: Any = alt.Color(
            "group:N",
            scale=alt.Scale(domain=list(hues), range=[colour(h) for h in hues.values()]),
            legend=None,
        )
    elif highlight is not None:
        rows["chosen"] = rows["label"] == highlight
        paint = alt.condition("datum.chosen", alt.value(colour("blue")), alt.value(colour("slate")))
    else:
        paint = alt.value(colour("blue"))
    strength: Any = alt.value(1.0)
    if highlight is not None and not group:
        strength = alt.condition("datum.chosen", alt.value(1.0), alt.value(0.55))

    scale: dict[str, Any] = {
        "range": [0, draw.room(10 + draw.CHARACTER_PX * rows["text"].str.len().max())]
    }
    axis: Any = None
    if log:
        domain, ticks = draw.decades(low, high)
        scale |= {"type": "log", "domain": domain, "nice": False}
        axis = draw.axis("", values=ticks)
    else:
        scale |= {"domain": [min(0.0, low), max(0.0, high) or 1.0], "nice": False}
    chosen = f"datum.value == {json.dumps(draw.wrapped(highlight or '', draw.LABEL))}"
    y = draw.labels(
        labelFontWeight=alt.condition(chosen, alt.value("bold"), alt.value("normal"))
        if highlight is not None
        else "normal"
    )
    x = alt.X("value:Q", scale=alt.Scale(**scale), axis=axis)
    tooltip = [
        alt.Tooltip("label:N", title=label),
        *([alt.Tooltip("group:N", title=group)] if group else []),
        alt.Tooltip("value:Q", title=f"{value} [{unit}]", format=",.4~g"),
        *([alt.Tooltip("reference:Q", title=reference_name, format=",.4~g")] if reference else []),
    ]
    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    if log:
        stem = base.mark_rule(strokeWidth=1.5, opacity=0.35).encode(
            x=x, x2=alt.datum(scale["domain"][0]), color=paint
        )
        dot = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, color=paint)
        layers = [stem, dot]
    else:
        layers = [
            base.mark_bar(height={"band": 0.68}, cornerRadiusEnd=2).encode(
                x=x, color=paint, opacity=strength
            )
        ]
    # The value stands beside its own mark, or beyond the published one where there is no room.
    edge = "value"
    shown: Any = alt.value(1)
    if reference:
        rows["edge"] = rows[["value", "reference"]].max(axis=1)
        edge = "edge"
        gap = "scale('x', datum.edge) - scale('x', datum.value)"
        roomy = f"{gap} > 22 + {draw.CHARACTER_PX} * length(datum.text)"
        shown = alt.condition(roomy, alt.value(0), alt.value(1))
        mark = base.transform_filter("isValid(datum.reference)").mark_point(
            shape="diamond", filled=True, size=95, opacity=1, stroke=SURFACE, strokeWidth=1.5
        )
        layers.append(mark.encode(x="reference:Q", color=alt.value(INK)))
        key.append((f"◆ {reference_name}", ""))
        layers.append(
            base.mark_text(align="left", dx=9, **draw.HALO).encode(
                x="value:Q",
                text="text:N",
                opacity=alt.condition(roomy, alt.value(1), alt.value(0)),
            )
        )
    layers.append(
        base.mark_text(align="left", dx=9).encode(x=f"{edge}:Q", text="text:N", opacity=shown)
    )
    return draw.finish(
        alt.layer(*layers),
        title,
        subtitle,
        note,
        height=draw.rows_height(len(rows), rows["lines"]),
        key=key,
        unit=unit,
    )


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
        alt.Tooltip("series:N", title=series),
        *([alt.Tooltip("point:N", title=point_label)] if point_label else []),
        alt.Tooltip("x:Q", title=x_title, format=",.4~g"),
        alt.Tooltip("y:Q", title=y_title, format=",.4~g"),
        *(
            alt.Tooltip(f"{end}:Q", title=f"{y_title}, {end} end", format=",.4~g")
            for end in ("low", "high")
            if band
        ),
    ]
    base = alt.Chart(rows).encode(x=x_axis, y=y_axis, color=paint)
    layers: list[Chart] = []
    if band:
        layers.append(base.mark_area(opacity=0.16).encode(y="low:Q", y2="high:Q"))
    ruled = draw.rules(rules_x, x_scale, rules_y, right, height)
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


def elasticities(
    effects: Mapping[str, float], *, title: str, outcome: str, subtitle: str = "", most: int = 12
) -> Chart:
    """Signed bars of what moves an outcome, strongest first.

    Args:
        effects: Elasticity by input: the change of the outcome in percent for 1% more of the input.
        title: What the chart finds, as a sentence.
        outcome: What changes.
        subtitle: What is shown, under which assumptions.
        most: Bars to draw at most.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no effect is finite.
    """
    frame = pd.DataFrame({"label": list(effects), "value": [float(v) for v in effects.values()]})
    rows, note = draw.tidy(frame, {"label": "label", "value": "value"})
    rows = rows.iloc[np.argsort(-rows["value"].abs(), kind="stable")].head(most)
    rows["lines"] = [draw.wrapped(name, draw.LABEL) for name in rows["label"]]
    rows["text"] = [draw.signed(round(v, 2)) for v in rows["value"]]
    widest = float(rows["value"].abs().max()) or 1.0
    low, high = min(0.0, float(rows["value"].min())), max(0.0, float(rows["value"].max()))
    pad = 12 + draw.CHARACTER_PX * int(rows["text"].str.len().max())
    scale = alt.Scale(
        domain=[low, high] if low < high else [0, widest],
        nice=False,
        range=[pad if low < 0 else 0, draw.room(pad if high > 0 else 0)],
    )
    base = alt.Chart(rows).encode(
        x=alt.X("value:Q", scale=scale, axis=None),
        y=draw.labels(),
        color=alt.condition(
            "datum.value < 0", alt.value(colour("teal")), alt.value(colour("orange"))
        ),
        tooltip=[
            alt.Tooltip("label:N", title="1% more of"),
            alt.Tooltip("value:Q", title=f"changes {outcome} by [%]", format="+.3~f"),
        ],
    )
    ink = alt.value(INK)
    chart = alt.layer(
        base.mark_bar(height={"band": 0.68}),
        base.transform_filter("datum.value >= 0")
        .mark_text(align="left", dx=6)
        .encode(text="text:N", color=ink),
        base.transform_filter("datum.value < 0")
        .mark_text(align="right", dx=-6)
        .encode(text="text:N", color=ink),
        alt.Chart(pd.DataFrame({"value": [0]})).mark_rule(strokeWidth=1).encode(x="value:Q"),
    )
    key = [("raises it", colour("orange")), ("lowers it", colour("teal"))]
    unit = f"Change of {outcome}, in percent, for 1% more of the input"
    return draw.finish(
        chart,
        title,
        f"{subtitle} {unit}".strip(),
        note,
        height=draw.rows_height(len(rows), rows["lines"]),
        key=key if low < 0 < high else [],
    )


def stacked(
    frame: pd.DataFrame,
    label: str,
    part: str,
    value: str,
    *,
    title: str,
    unit: str,
    subtitle: str = "",
    share: bool = False,
) -> Chart:
    """Horizontal bars divided into parts, with the total at the end of each.

    Args:
        frame: One row a part of a bar.
        label: Column of the bars' names; bars keep the order of the rows.
        part: Column of the parts' names.
        value: Column of the parts' values; at least 0.
        title: What the chart finds, as a sentence.
        unit: Unit of the values.
        subtitle: What is shown, under which assumptions.
        share: Whether to show shares of each total rather than amounts.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn, or a value is negative.
    """
    rows, note = draw.tidy(frame, {"label": label, "part": part, "value": value})
    if (rows["value"] < 0).any():
        raise ValueError(f"a stacked chart needs values of at least 0 in column {value!r}")
    rows = rows.groupby(["label", "part"], sort=False, as_index=False).agg(value=("value", "sum"))
    totals = rows.groupby("label", sort=False)["value"].transform("sum")
    rows["of"] = rows["value"] / totals.where(totals > 0, 1.0)
    shown = "of" if share else "value"
    rows["end"] = rows.groupby("label", sort=False)[shown].cumsum()
    rows["start"] = rows["end"] - rows[shown]
    rows["text"] = [
        "" if s == 1 else words.percent(s) if share else words.number(v)
        for v, s in zip(rows["value"], rows["of"], strict=True)
    ]
    rows["lines"] = [draw.wrapped(name, draw.LABEL) for name in rows["label"]]
    parts = list(dict.fromkeys(rows["part"].astype(str)))
    hues = {name: list(PALETTE)[i % len(PALETTE)] for i, name in enumerate(parts)}
    total = rows.groupby("lines", sort=False, as_index=False).agg(
        end=("end", "max"), sum=("value", "sum")
    )
    total["text"] = [words.number(v, 3) for v in total["sum"]]

    longest = 0 if share else 10 + draw.CHARACTER_PX * int(total["text"].str.len().max())
    scale = alt.Scale(
        domain=[0, 1 if share else float(rows["end"].max()) or 1.0],
        nice=False,
        range=[0, draw.room(longest)],
    )
    base = alt.Chart(rows).encode(
        y=draw.labels(),
        tooltip=[
            alt.Tooltip("label:N", title=label),
            alt.Tooltip("part:N", title=part),
            alt.Tooltip("value:Q", title=unit, format=",.4~g"),
            alt.Tooltip("of:Q", title="share", format=".1%"),
        ],
    )
    paint = alt.Color(
        "part:N",
        scale=alt.Scale(domain=parts, range=[colour(hues[name]) for name in parts]),
        legend=None,
    )
    # A number is written inside its segment only where the segment is wide enough for it.
    fits = "scale('x', datum.end) - scale('x', datum.start) > 8 + 7 * length(datum.text)"
    layers: list[Chart] = [
        base.mark_bar(height={"band": 0.72}, stroke=SURFACE, strokeWidth=1.5).encode(
            x=alt.X("start:Q", scale=scale, axis=None), x2="end:Q", color=paint
        ),
        base.transform_calculate(middle="(datum.start + datum.end) / 2")
        .mark_text(color=SURFACE, fontWeight="bold", fontSize=11)
        .encode(
            x=alt.X("middle:Q"),
            text="text:N",
            opacity=alt.condition(fits, alt.value(1), alt.value(0)),
        ),
    ]
    if not share:
        layers.append(
            alt.Chart(total)
            .mark_text(align="left", dx=6, fontWeight="bold")
            .encode(x="end:Q", y=alt.Y("lines:N", sort=None), text="text:N")
        )
    return draw.finish(
        alt.layer(*layers),
        title,
        subtitle,
        note,
        height=draw.rows_height(len(total), rows["lines"], 34),
        unit="Share [%]" if share else unit,
        key=[(name, colour(hues[name])) for name in parts],
    )


def heatmap(
    frame: pd.DataFrame,
    x: str,
    y: str,
    value: str,
    *,
    title: str,
    x_title: str,
    y_title: str,
    unit: str,
    subtitle: str = "",
    log: bool = False,
) -> Chart:
    """A table of values, deeper colour where they are larger.

    Args:
        frame: One row a cell.
        x: Column of the columns' names, in the order of the rows.
        y: Column of the rows' names, in the order of the rows.
        value: Column of the values.
        title: What the chart finds, as a sentence.
        x_title: What the columns are.
        y_title: What the rows are.
        unit: Unit of the values.
        subtitle: What is shown, under which assumptions.
        log: Whether colour follows the logarithm of the value.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no cell can be drawn.
    """
    rows, note = draw.tidy(
        frame, {"x": x, "y": y, "value": value}, positive=("value",) if log else ()
    )
    rows["text"] = [words.number(v) for v in rows["value"]]
    rows["x"], rows["y"] = rows["x"].map(draw.name), rows["y"].map(draw.name)
    depth = np.log(rows["value"]) if log else rows["value"]
    span = float(depth.max() - depth.min()) or 1.0
    rows["depth"] = draw.shortened(0.06 + 0.64 * (depth - depth.min()) / span)
    base = alt.Chart(rows).encode(
        x=alt.X("x:N", sort=None, title=x_title, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y(
            "y:N",
            sort=None,
            title=y_title,
            axis=alt.Axis(
                labelColor=INK,
                labelPadding=8,
                titleAngle=0,
                titleAlign="right",
                titleX=-8,
                titleY=-12,
            ),
        ),
        tooltip=[
            alt.Tooltip("x:N", title=x_title),
            alt.Tooltip("y:N", title=y_title),
            alt.Tooltip("value:Q", title=unit, format=",.4~g"),
        ],
    )
    # Opacity rather than a colour ramp: it starts from the page's own background in either theme.
    tiles = base.mark_rect(color="var(--llmecon-heat, #2457c5)", cornerRadius=2).encode(
        opacity=alt.Opacity("depth:Q", scale=None)
    )
    text = base.mark_text(fontSize=11).encode(
        text="text:N",
        opacity=alt.condition(
            "bandwidth('x') > 6 * length(datum.text)", alt.value(1), alt.value(0)
        ),
    )
    return draw.finish(
        alt.layer(tiles, text),
        title,
        f"{subtitle} [{unit}]" if subtitle else unit,
        note,
        height=rows["y"].nunique() * 30 + 8,
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
