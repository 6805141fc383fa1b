"""Charts of two dimensions, coloured by a third."""

import altair as alt
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import INK


def heatmap(
    frame: pd.DataFrame,
    x: Axis,
    y: Axis,
    value: Axis,
    labels: Labels,
) -> Chart:
    """A table of values, deeper colour where they are larger.

    Args:
        frame: One row a cell.
        x: The columns' names, in the order of the rows.
        y: The rows' names, in the order of the rows.
        value: The values and their unit; if logarithmic, colour follows the logarithm.
        labels: What is written about it.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no cell can be drawn.
    """
    rows, note = draw.tidy(
        frame,
        {"x": x.column, "y": y.column, "value": value.column},
        positive=("value",) if value.log else (),
    )
    rows["text"] = [words.number(v) for v in rows["value"]]
    rows["x"], rows["y"] = rows["x"].map(draw.name), rows["y"].map(draw.name)
    depth = np.log(rows["value"]) if value.log else rows["value"]
    span = float(depth.max() - depth.min()) or 1.0
    rows["depth"] = draw.shortened(0.06 + 0.64 * (depth - depth.min()) / span)
    base = alt.Chart(rows).encode(
        x=alt.X("x:N", sort=None, title=x.title, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y(
            "y:N",
            sort=None,
            title=y.title,
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
            draw.told("x:N", x.title),
            draw.told("y:N", y.title),
            draw.told("value:Q", value.title),
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
        labels.title,
        f"{labels.subtitle} [{value.title}]" if labels.subtitle else value.title,
        note,
        height=rows["y"].nunique() * 30 + 8,
    )
