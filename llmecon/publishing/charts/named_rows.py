"""Charts of named rows: bars, elasticities, bars that add up from parts."""

import json
from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Axis, Labels, Reference
from llmecon.publishing.charts.theme import INK, PALETTE, SURFACE, colour, colours

_NARROW = 100.0  # between the ends of an axis on a phone, beside names and values [px]


def bars(
    frame: pd.DataFrame,
    label: str,
    value: Axis,
    labels: Labels,
    *,
    group: str | None = None,
    reference: Reference | None = None,
    ranked: bool = True,
) -> Chart:
    """Horizontal bars, largest first, each with its value; dots where the axis is logarithmic.

    Args:
        frame: One row a bar.
        label: Column of the bars' names.
        value: Their values, with the unit shown on the axis.
        labels: What is written about it, and the one bar to single out.
        group: Column that colours the bars (a vendor, a family).
        reference: Values to mark beside ours.
        ranked: Whether to sort by value rather than keep the order of the rows.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    log, unit, highlight = value.log, value.title, labels.highlight
    columns = {"label": label, "value": value.column}
    if group:
        columns["group"] = group
    if reference:
        columns["reference"] = reference.column
    rows, note = draw.tidy(
        frame, columns, positive=("value",) if log else (), optional=("reference",)
    )
    if ranked:
        rows = rows.sort_values("value", ascending=False, kind="stable")
    rows["text"] = [words.number(v, 3) for v in rows["value"]]
    rows["lines"] = [draw.wrapped(name, draw.LABEL) for name in rows["label"]]
    wide = 12 + draw.CHARACTER_PX * rows["text"].str.len()
    if reference:
        rows["beyond"] = rows["reference"] > rows["value"]
        if not log:
            rows["both"] = [
                f"{text}, ◆ {words.number(other, 3)}" if beyond else text
                for text, other, beyond in zip(
                    rows["text"], rows["reference"], rows["beyond"], strict=True
                )
            ]
            wide = 12 + draw.CHARACTER_PX * rows["both"].str.len()
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

    left = 0.0
    axis: Any = None
    scale: dict[str, Any] = {}
    if log:
        domain, ticks = draw.decades(low, high)
        if reference and rows["beyond"].any():
            # Values left of their dots need room there, on a phone too.
            start = draw.Scale(True, domain, ticks).fraction(rows["value"]) * _NARROW
            left = max(float((wide - start)[rows["beyond"]].max()), 0.0)
        scale |= {"type": "log", "domain": domain, "nice": False}
        axis = draw.axis("", values=ticks)
    else:
        scale |= {"domain": [min(0.0, low), max(0.0, high) or 1.0], "nice": False}
    scale["range"] = [round(left), draw.room(float(wide.max()))]
    chosen = f"datum.value == {json.dumps(draw.wrapped(highlight or '', draw.LABEL))}"
    # A dot needs no line from the axis, whose end is not zero; a faint one leads to its name.
    y = draw.labels(
        labelFontWeight=alt.condition(chosen, alt.value("bold"), alt.value("normal"))
        if highlight is not None
        else "normal",
        grid=log,
    )
    x = alt.X("value:Q", scale=alt.Scale(**scale), axis=axis)
    told = [("value", reference.ours), ("reference", reference.name)] if reference else []
    tooltip = [
        draw.told("label:N", label),
        *([draw.told("group:N", group)] if group else []),
        *(draw.told(f"{field}:Q", f"{unit}, {said}") for field, said in told),
        *([] if reference else [draw.told("value:Q", unit)]),
    ]
    base = alt.Chart(rows).encode(y=y, tooltip=tooltip)
    if log:
        mark = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, color=paint)
    else:
        mark = base.mark_bar(height={"band": 0.68}, cornerRadiusEnd=2).encode(
            x=x, color=paint, opacity=strength
        )
    layers: list[Chart] = [mark]
    after = {"align": "left", "dx": 9, **draw.HALO}
    if not reference:
        layers.append(base.mark_text(**after).encode(x="value:Q", text="text:N"))
    else:
        published = base.transform_filter("isValid(datum.reference)").mark_point(
            shape="diamond", filled=True, size=95, opacity=1, stroke=SURFACE, strokeWidth=1.5
        )
        layers.append(published.encode(x="reference:Q", color=alt.value(INK)))
        layers += _values_beside(base, paint, after) if log else _values_beyond(base, after)
        tint = "" if group or highlight is not None else colour("blue")
        key.append((reference.ours if tint else f"{'●' if log else '■'} {reference.ours}", tint))
        key.append((f"◆ {reference.name}", ""))
    return draw.finish(
        alt.layer(*layers),
        labels.title,
        labels.subtitle,
        note,
        height=draw.rows_height(len(rows), rows["lines"]),
        key=key,
        unit=unit,
    )


def _values_beside(base: alt.Chart, paint: Any, after: Mapping[str, Any]) -> list[Chart]:
    """Values in the colour of their dots, on the side of them where the published one is not."""
    before = {**after, "align": "right", "dx": -after["dx"]}
    return [
        base.transform_filter(f"{'' if left else '!'}datum.beyond")
        .mark_text(**look)
        .encode(x="value:Q", text="text:N", color=paint)
        for left, look in ((True, before), (False, after))
    ]


def _values_beyond(base: alt.Chart, after: Mapping[str, Any]) -> list[Chart]:
    """Values at the ends of their bars, or with the published ones where those are in the way."""
    gap = "scale('x', datum.reference) - scale('x', datum.value)"
    roomy = f"!datum.beyond || {gap} > 22 + {draw.CHARACTER_PX} * length(datum.text)"
    return [
        base.mark_text(**after).encode(
            x="value:Q",
            text="text:N",
            opacity=alt.condition(roomy, alt.value(1), alt.value(0)),
        ),
        base.transform_filter("datum.beyond")
        .mark_text(**after)
        .encode(
            x="reference:Q",
            text="both:N",
            opacity=alt.condition(roomy, alt.value(0), alt.value(1)),
        ),
    ]


def elasticities(
    effects: Mapping[str, float], outcome: str, labels: Labels, *, most: int = 12
) -> Chart:
    """Signed bars of what moves an outcome, strongest first.

    Args:
        effects: Elasticity by input: the change of the outcome in percent for 1% more of the input.
        outcome: What changes.
        labels: What is written about it.
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
            draw.told("label:N", "1% more of"),
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
    # What comes before ends as a sentence does.
    before = labels.subtitle.strip()
    before += "." if before and before[-1] not in ".:;!?" else ""
    return draw.finish(
        chart,
        labels.title,
        f"{before} {unit}".strip(),
        note,
        height=draw.rows_height(len(rows), rows["lines"]),
        key=key if low < 0 < high else [],
    )


def stacked(
    frame: pd.DataFrame,
    label: str,
    part: str,
    value: Axis,
    labels: Labels,
    *,
    share: bool = False,
) -> Chart:
    """Horizontal bars divided into parts, with the total at the end of each.

    Args:
        frame: One row a part of a bar.
        label: Column of the bars' names; bars keep the order of the rows.
        part: Column of the parts' names.
        value: The parts' values, at least 0, and their unit.
        labels: What is written about it.
        share: Whether to show shares of each total rather than amounts.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn, or a value is negative.
    """
    rows, note = draw.tidy(frame, {"label": label, "part": part, "value": value.column})
    if (rows["value"] < 0).any():
        raise ValueError(f"a stacked chart needs values of at least 0 in column {value.column!r}")
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
            draw.told("label:N", label),
            draw.told("part:N", part),
            draw.told("value:Q", value.title),
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
        labels.title,
        labels.subtitle,
        note,
        height=draw.rows_height(len(total), rows["lines"], 34),
        unit="Share [%]" if share else value.title,
        key=[(name, colour(hues[name])) for name in parts],
    )
