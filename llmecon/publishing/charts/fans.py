"""Futures: a median and the bands that hold some share of them."""

from typing import Any

import altair as alt
import humanize
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw, places
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.places import Box
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import INK, QUIET, SURFACE, colour

_YEARS = (1900.0, 2200.0)  # whole numbers between these are written without separators
# Where a point's label stands, the most wanted first: below (1) or above it, right (1) or left.
_ROUND = ((0, 1), (0, -1), (-1, 0), (1, 0), (-1, 1), (-1, -1), (1, 1), (1, -1))
_OPACITY = (0.14, 0.24)  # of the widest and of the narrowest band


def fan(
    frame: pd.DataFrame,
    x: Axis,
    y: Axis,
    labels: Labels,
    *,
    reference: pd.DataFrame | None = None,
) -> Chart:
    """A median between bands that hold a share of the futures each, named at their ends.

    Args:
        frame: One row a band and abscissa: `share` (0 to 1), `low`, the median and `high`, as
            `scenarios.Fan.table` gives them.
        x: The abscissa, such as the year.
        y: The median.
        labels: What is written about it.
        reference: Published points to mark: `x`, `value` and `label`.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    ends, log_y, height = ("low", "median", "high"), y.log, y.pixels
    rows, note = draw.tidy(
        frame,
        {"x": x.column, "share": "share", "low": "low", "median": y.column, "high": "high"},
        positive=ends if log_y else (),
    )
    rows = rows.sort_values(["share", "x"], kind="stable", ignore_index=True)
    shares = rows["share"].unique().tolist()
    middle = rows.drop_duplicates("x").sort_values("x", ignore_index=True)
    points = pd.DataFrame({"x": [], "value": [], "label": []})
    if reference is not None and len(reference):
        known = {"x": "x", "value": "value", "label": "label"}
        points, more = draw.tidy(reference, known, positive=("value",) if log_y else ())
        note = " ".join(filter(None, (note, more)))

    seen_x = pd.concat([rows["x"], points["x"].astype(float)])
    seen_y = pd.concat([rows["low"], rows["high"], points["value"].astype(float)])
    x_scale = draw.scale(seen_x, False)
    y_scale = draw.scale(seen_y, log_y, floor=True)
    named = _named(rows, shares, y_scale, height)
    longest = max(places.extent(text)[0] for text in named["lines"])
    right = draw.room(16 + 1.05 * longest)
    years = bool(seen_x.between(*_YEARS).all() and np.allclose(seen_x, seen_x.round()))
    # A year is not a thousand, and has no halves.
    x_axis = draw.axis(
        x.title,
        tickCount=draw.TICKS,
        grid=False,
        domain=True,
        tickMinStep=1 if years else None,
    )
    if years:
        x_axis["labelExpr"] = "format(datum.value, 'd')"
    across = alt.X("x:Q", scale=alt.Scale(**x_scale.arguments, range=[0, right]), axis=x_axis)
    up = alt.Y(
        "median:Q", scale=alt.Scale(**y_scale.arguments), axis=draw.top_axis(y.title, y_scale)
    )
    hue = colour("blue")
    layers: list[Chart] = [
        alt.Chart(rows)
        .transform_filter(f"datum.share == {share!r}")
        .mark_area(color=hue, opacity=opacity)
        .encode(x=across, y=alt.Y("low:Q"), y2="high:Q")
        for share, opacity in zip(
            shares[::-1], np.linspace(*_OPACITY, len(shares)).round(3).tolist(), strict=True
        )
    ]
    line = alt.Chart(_wide(rows, middle)).encode(x=across, y=up)
    layers.append(line.mark_line(color=hue))
    layers.append(
        line.mark_point(filled=True, size=160, opacity=0).encode(
            tooltip=[
                alt.Tooltip("x:Q", title=x.title, format="d")
                if years
                else draw.told("x:Q", x.title),
                draw.told("median:Q", "median"),
                *(draw.told(f"band{i}:N", words.percent(share)) for i, share in enumerate(shares)),
            ]
        )
    )
    if len(points):
        layers += _marked(_beside(points, x_scale, y_scale, height), y.title)
    text = alt.Chart(named).encode(x="x:Q", y=alt.Y("at:Q"), text="lines:N")
    look: dict[str, Any] = {"align": "left", "dx": 8, "lineBreak": "\n", "lineHeight": 13}
    look |= {"fill": hue, **draw.HALO}
    layers.append(text.transform_filter("datum.kind == 'band'").mark_text(**look))
    layers.append(
        text.transform_filter("datum.kind == 'median'").mark_text(fontWeight="bold", **look)
    )
    return draw.finish(alt.layer(*layers), labels.title, labels.subtitle, note, height=height)


def _named(
    rows: pd.DataFrame, shares: list[float], scale: draw.Scale, height: float
) -> pd.DataFrame:
    """Names of the median and the bands, each beside the upper part that is only its own."""
    last = rows.groupby("share", sort=True).tail(1)
    inner = last["median"].iloc[0]
    found = [("median", "median", inner)]
    for share, high in zip(last["share"], last["high"], strict=True):
        ends = scale.fraction(pd.Series([inner, high]))
        found.append(("band", _in_words(share, share == shares[0]), scale.value(ends.mean())))
        inner = high
    named = pd.DataFrame(found, columns=["kind", "name", "y"])
    named["lines"] = [draw.wrapped(name, 12) for name in named["name"]]
    named["at"] = draw.apart(named, scale, height)
    return named.assign(x=float(last["x"].max())).drop(columns=["name", "y"])


def _in_words(share: float, first: bool) -> str:
    """A share of futures as a reader says it."""
    tenths = 10.0 * share
    if np.isclose(share, 0.5):
        text = "half"
    elif np.isclose(tenths, round(tenths)) and 0 < round(tenths) < 10:
        text = f"{humanize.apnumber(round(tenths))} in ten"
    else:
        text = words.percent(share)
    return f"{text} of the futures" if first else text


def _wide(rows: pd.DataFrame, middle: pd.DataFrame) -> pd.DataFrame:
    """One row an abscissa: the median and what each band spans, in words."""
    told = middle[["x", "median"]].set_index("x")
    for i, (_, band) in enumerate(rows.groupby("share", sort=True)):
        spans = [
            f"{words.number(a, 3)} to {words.number(b, 3)}"
            for a, b in zip(band["low"], band["high"], strict=True)
        ]
        told[f"band{i}"] = pd.Series(spans, index=band["x"].to_numpy())
    return told.reset_index()


def _beside(
    points: pd.DataFrame, x_scale: draw.Scale, y_scale: draw.Scale, height: float
) -> pd.DataFrame:
    """Published points, each with the place of its label from it [px]."""
    plot = Box(0.0, 0.0, places.PHONE - 100.0, height)
    x = x_scale.fraction(points["x"]) * plot.right
    y = (1.0 - y_scale.fraction(points["value"])) * height
    taken = [places.centred(*at, 12.0, 12.0) for at in zip(x, y, strict=True)]
    texts = [draw.wrapped(label, 18) for label in points["label"]]
    away = []
    for i, text in enumerate(texts):
        wide, tall = places.extent(text)
        aside, over = 8.0, tall / 2 + 8.0
        steps = [(side * aside, end * over) for end, side in _ROUND]
        choices = [
            places.centred(x[i] + dx + np.sign(dx) * wide / 2, y[i] + dy, wide, tall)
            for dx, dy in steps
        ]
        # A point's own mark is not in its label's way.
        best = places.freest(choices, taken[:i] + taken[i + 1 :], plot)
        taken.append(choices[best])
        dx, dy = steps[best]
        align = "left" if dx > 0 else "right" if dx < 0 else "center"
        away.append((text, align, dx, round(dy - text.count("\n") * 13.0 / 2, 1)))
    return points.join(pd.DataFrame(away, columns=["text", "align", "dx", "dy"]))


def _marked(points: pd.DataFrame, y_title: str) -> list[Chart]:
    base = alt.Chart(points).encode(x="x:Q", y=alt.Y("value:Q"))
    return [
        base.mark_point(
            shape="diamond", filled=True, size=95, opacity=1, stroke=SURFACE, strokeWidth=1.5
        ).encode(
            color=alt.value(INK),
            tooltip=[
                draw.told("label:N", "published"),
                draw.told("value:Q", y_title),
            ],
        ),
        base.mark_text(
            align=alt.ExprRef(expr="datum.align"),
            dx=alt.ExprRef(expr="datum.dx"),
            dy=alt.ExprRef(expr="datum.dy"),
            fill=QUIET,
            lineBreak="\n",
            lineHeight=13,
            **draw.HALO,
        ).encode(text="text:N"),
    ]
