"""Predicted against measured values."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Labels
from llmecon.publishing.charts.theme import INK, PALETTE, QUIET, colour


def agreement(
    frame: pd.DataFrame,
    target: str,
    measured: str,
    predicted: Mapping[str, str],
    colour_by: Mapping[str, str],
    labels: Labels,
    *,
    first: tuple[str, str, str] | None = None,
) -> Chart:
    """Predicted against measured, with what is shown to choose below and names to click on.

    Args:
        frame: One row a measurement.
        target: Column of the quantity measured; one is shown at a time.
        measured: Column of the measured values.
        predicted: Columns of the predicted values, by what a reader calls them; one is shown at a
            time; cells may be empty.
        colour_by: Columns that may colour the points, by what a reader calls them; names beyond
            the most common ones share a colour.
        labels: What is written about it, with the names of the quantities, units included.
        first: Target, prediction and colouring shown at first; by default the first of each.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn.
    """
    names, details = labels.names, labels.details
    named = {f"p{i}": column for i, column in enumerate(predicted.values())}
    hues = {f"c{i}": column for i, column in enumerate(colour_by.values())}
    more = {f"d{i}": column for i, column in enumerate(details.values())}
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
                *(draw.told(f"{c}:N", t) for c, t in zip(hues, colour_by, strict=True)),
                *(draw.told(f"{c}:N", t) for c, t in zip(more, details, strict=True)),
                draw.told("x:Q", "measured"),
                *(
                    draw.told(f"{c}:Q", f"predicted, left out: {t}")
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
    finished = draw.finish(chart, labels.title, labels.subtitle, note, height=430)
    # The key below grows and shrinks with what is shown.
    return finished.properties(autosize=alt.AutoSizeParams(type="fit-x", resize=True))
