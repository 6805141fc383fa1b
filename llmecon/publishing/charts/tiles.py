"""Charts of two dimensions, coloured by a third."""

import altair as alt
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.theme import INK


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
            draw.told("x:N", x_title),
            draw.told("y:N", y_title),
            draw.told("value:Q", unit),
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
