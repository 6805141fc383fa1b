"""Named points on a plane, and a few that they are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from llmecon.publishing.charts import draw, places
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.places import Box
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import colour, colours

_HEIGHT = 380  # of the plot [px]
_DOT = 9.0  # across a point, with its rim [px]
_AXIS = 40.0  # of a phone's width that the labels of the vertical axis take [px]


def points(
    frame: pd.DataFrame,
    x: Axis,
    y: Axis,
    name: str,
    labels: Labels,
    *,
    marked: Sequence[str],
    labelled: Sequence[str],
) -> Chart:
    """Points, of which some are marked in colours of their own and some are named.

    Args:
        frame: One row a point.
        x: The abscissa; a band is drawn for the points marked, if both axes have one.
        y: The ordinate.
        name: Column of the points' names, no two alike.
        labels: What is written about it; its details are columns of text.
        marked: Names to single out and to write beside their points.
        labelled: Names of other points to write, most wanted first, where there is room; all show
            theirs when pointed at.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no row can be drawn, or a name to write has none.
    """
    reach = (*x.band, *y.band) if x.band and y.band else None
    height = _HEIGHT
    columns = {"label": name, "x": x.column, "y": y.column}
    ends = ("x1", "x2", "y1", "y2") if reach else ()
    columns |= dict(zip(ends, reach or (), strict=True))
    more = {f"d{i}": column for i, column in enumerate(labels.details.values())}
    columns |= more
    logs = [c for c, log in (("x", x.log), ("y", y.log)) if log]
    rows, note = draw.tidy(frame, columns, positive=logs, optional=(*ends, *more))
    wanted = list(dict.fromkeys([*marked, *labelled]))
    strange = [text for text in wanted if text not in set(frame[name])]
    if strange:
        raise ValueError(f"no row is named {strange[0]!r} in column {name!r}")
    rows["marked"] = rows["label"].isin(list(marked))
    chosen = rows[rows["marked"]]
    x_scale, y_scale = (
        draw.scale(pd.concat([rows[axis], *(chosen[end] for end in ends if end[0] == axis)]), log)
        for axis, log in (("x", x.log), ("y", y.log))
    )
    across = alt.X(
        "x:Q",
        scale=alt.Scale(**x_scale.arguments),
        axis=draw.axis(x.title, values=x_scale.ticks, tickCount=draw.TICKS, domain=True),
    )
    up = alt.Y("y:Q", scale=alt.Scale(**y_scale.arguments), axis=draw.top_axis(y.title, y_scale))
    hues = colours(marked)
    paint = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(hues), range=[colour(hue) for hue in hues.values()]),
        legend=None,
    )
    tooltip = [
        draw.told("label:N", name),
        draw.told("x:Q", x.title),
        draw.told("y:Q", y.title),
        *(draw.told(f"{c}:N", t) for c, t in zip(more, labels.details, strict=True)),
    ]
    others, own = (alt.Chart(part) for part in (rows[~rows["marked"]], chosen))
    layers: list[Chart] = []
    if reach:
        flat = own.mark_rule(strokeWidth=2, opacity=0.55).encode(color=paint)
        layers.append(flat.encode(x=alt.X("x1:Q"), x2="x2:Q", y=alt.Y("y:Q")))
        layers.append(flat.encode(x=alt.X("x:Q"), y=alt.Y("y1:Q"), y2="y2:Q"))
    layers.append(
        others.mark_point(filled=True, size=40, opacity=0.75, color=colour("slate")).encode(
            x=across, y=up, tooltip=tooltip
        )
    )
    layers.append(
        own.mark_point(filled=True, size=130, opacity=1, shape="diamond").encode(
            x=across, y=up, color=paint, tooltip=tooltip
        )
    )
    pixels = {
        str(label): (right * (places.PHONE - _AXIS), (1.0 - high) * height)
        for label, right, high in zip(
            rows["label"], x_scale.fraction(rows["x"]), y_scale.fraction(rows["y"]), strict=True
        )
    }
    beside = _written([of for of in wanted if of in pixels], len(marked), pixels, height)
    text = rows.merge(beside, on="label")
    look: dict[str, Any] = {"align": alt.ExprRef("datum.align"), "dx": alt.ExprRef("datum.dx")}
    look |= {"dy": alt.ExprRef("datum.dy"), "baseline": "middle", **draw.HALO}
    for part, bold in ((text[~text["marked"]], False), (text[text["marked"]], True)):
        if len(part):
            drawn = alt.Chart(part).mark_text(**look, fontWeight="bold" if bold else "normal")
            place = drawn.encode(x=alt.X("x:Q"), y=alt.Y("y:Q"), text="label:N")
            layers.append(place.encode(color=paint) if bold else place)
    return draw.finish(alt.layer(*layers), labels.title, labels.subtitle, note, height=height)


def _written(
    names: Sequence[str], must: int, at: Mapping[str, tuple[float, float]], height: float
) -> pd.DataFrame:
    """Where names stand beside their points: the first few anyhow, the others where there is room.

    Places are those of a phone; on wider pages points lie farther apart.
    """
    plot = Box(0.0, 0.0, places.PHONE - _AXIS, height)
    taken = [places.centred(*of, _DOT, _DOT) for of in at.values()]
    found = []
    for rank, name in enumerate(names):
        wide, tall = places.extent(name)
        aside, over = _DOT / 2 + 3.0, _DOT / 2 + tall / 2
        steps: list[tuple[str, float, float]] = [
            ("left", aside, 0.0),
            ("right", -aside, 0.0),
            ("center", 0.0, -over),
            ("center", 0.0, over),
            ("left", aside - 3.0, -over + 3.0),
            ("left", aside - 3.0, over - 3.0),
            ("right", 3.0 - aside, -over + 3.0),
            ("right", 3.0 - aside, over - 3.0),
        ]
        boxes = [
            places.centred(
                at[name][0] + dx + {"left": wide / 2, "right": -wide / 2}.get(align, 0.0),
                at[name][1] + dy,
                wide,
                tall,
            )
            for align, dx, dy in steps
        ]
        best = places.freest(boxes, taken, plot)
        hidden = wide * tall - places.covered(boxes[best], plot)
        hidden += sum(places.covered(boxes[best], other) for other in taken)
        if rank < must or hidden < 1.0:
            taken.append(boxes[best])
            found.append((name, *steps[best]))
    return pd.DataFrame(found, columns=["label", "align", "dx", "dy"])
