"""Decision maps: which of several is best where."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import altair as alt
import numpy as np
import pandas as pd
from scipy import ndimage

from llmecon.publishing.charts import draw, places
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.places import Box
from llmecon.publishing.charts.records import Axis, Labels
from llmecon.publishing.charts.theme import INK, SURFACE, colour, colours

TINT = 0.3  # opacity of a region, on which text stays legible
_LARGE = 0.06  # share of the map from which a further part of a region is named too
_DEEP = 0.6  # how far from the border a name stays, of the farthest that its region allows
_MARK = 16.0  # of the point marked [px]


def winners(
    frame: pd.DataFrame,
    x: Axis,
    y: Axis,
    winner: str,
    labels: Labels,
    *,
    here: tuple[float, float, str] | None = None,
    boundary: pd.DataFrame | None = None,
) -> Chart:
    """A map of what is best where, with every region's name on it.

    Args:
        frame: One row a cell of a grid, whose lines need not be evenly spaced.
        x: The cells' middles across.
        y: The cells' middles upwards.
        winner: Column of what is best there; empty where nothing is.
        labels: What is written about it, with the names of all winners; each keeps its colour,
            whoever else wins.
        here: A point to mark, such as the chapter's parameters, and what to call it; a note says
            so where it lies outside the map.
        boundary: Lines on which two are equally good, found exactly: columns x, y and line,
            in the order drawn, instead of the edges between cells.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If no cell can be drawn, a winner has no name, two cells share a place, or there
            are fewer than two columns or rows of cells.
    """
    positive = [c for c, log in (("x", x.log), ("y", y.log)) if log]
    columns = {"x": x.column, "y": y.column, "winner": winner}
    rows, note = draw.tidy(frame, columns, positive=positive, optional=("winner",), digits=12)
    grid = _grid(rows, labels.names)
    won = grid.to_numpy()
    x_ends = edges(grid.columns.to_numpy(float), x.log)
    y_ends = edges(grid.index.to_numpy(float), y.log)
    x_scale, y_scale = _axis_of(x_ends, x.log), _axis_of(y_ends, y.log)
    # Whole pixels for each row of an even grid, or faint lines would show between them.
    tall = float(max(round(y.pixels / len(won)), 1) * len(won))
    calls = [str(text) for text in labels.names.values()]
    hues = colours(calls)

    x_axis = draw.axis(x.title, values=x_scale.ticks, tickCount=draw.TICKS, grid=False)
    y_axis = draw.top_axis(y.title, y_scale)
    y_axis["grid"] = False
    across = alt.X("x:Q", scale=alt.Scale(**x_scale.arguments), axis=x_axis)
    up = alt.Y("y:Q", scale=alt.Scale(**y_scale.arguments), axis=y_axis)
    runs = list(_runs(won))
    areas = _between(x_ends, y_ends, [(a, b, row, row + 1) for row, a, b in runs])
    areas["name"] = [calls[won[row, a]] for row, a, _ in runs]
    paint = alt.Color(
        "name:N",
        scale=alt.Scale(domain=calls, range=[colour(hues[text]) for text in calls]),
        legend=None,
    )
    layers: list[Chart] = [
        alt.Chart(areas)
        .mark_rect(opacity=TINT, strokeWidth=0)
        .encode(
            x=across,
            x2="x2:Q",
            y=up,
            y2="y2:Q",
            color=paint,
            tooltip=draw.told("name:N", "best"),
        )
    ]
    # Tints alone are hard to tell apart for the colour-blind.
    if boundary is not None:
        exact = alt.Chart(boundary[["x", "y", "line"]].assign(along=range(len(boundary))))
        drawn = exact.mark_line(color=INK, opacity=0.7, strokeWidth=1.5, clip=True)
        layers.append(drawn.encode(x="x:Q", y="y:Q", detail="line:N", order="along:Q"))
    elif borders := list(_borders(won)):
        line = alt.Chart(_between(x_ends, y_ends, borders)).mark_rule(color=INK, opacity=0.7)
        layers.append(line.encode(x="x:Q", x2="x2:Q", y="y:Q", y2="y2:Q"))

    plot = Box(0.0, 0.0, places.PHONE - 40.0, tall)

    def pixel(at_x: float, at_y: float) -> tuple[float, float]:
        right, high = (
            float(scale.fraction(pd.Series([value])).iloc[0])
            for scale, value in ((x_scale, at_x), (y_scale, at_y))
        )
        return right * plot.right, (1.0 - high) * tall

    taken: list[Box] = []
    marked = here is not None and (
        x_ends[0] <= here[0] <= x_ends[-1] and y_ends[0] <= here[1] <= y_ends[-1]
    )
    if here is not None and not marked:
        note = " ".join(filter(None, (note, f"“{here[2]}” lies outside the map.")))
    if here is not None and marked:
        taken.append(places.centred(*pixel(here[0], here[1]), _MARK, _MARK))
    written = _written(grid, calls, pixel, taken, plot)
    layers.append(
        alt.Chart(written)
        .mark_text(
            dx=places.inside("x"),
            lineBreak="\n",
            lineHeight=14,
            fontWeight="bold",
            **draw.HALO,
        )
        .encode(x="x:Q", y=alt.Y("y:Q"), text="text:N")
    )
    if here is not None and marked:
        layers += _marker(here, pixel(here[0], here[1]), taken, plot)
    return draw.finish(alt.layer(*layers), labels.title, labels.subtitle, note, height=tall)


def edges(middles: np.ndarray, log: bool) -> np.ndarray:
    """Where cells end: half-way between their middles, by ratio on a logarithmic axis.

    Args:
        middles: The cells' middles, increasing, at least two.
        log: Whether the axis is logarithmic.

    Returns:
        One more than there are cells; the outer cells reach as far outwards as inwards.
    """
    at = np.log(middles) if log else middles
    half = np.diff(at) / 2.0
    ends = np.concatenate([[at[0] - half[0]], at[:-1] + half, [at[-1] + half[-1]]])
    return np.asarray(np.exp(ends) if log else ends)


def _grid(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The winners' places in `names` by ordinate and abscissa, -1 where there is none."""
    rows = rows[rows["winner"].notna()]
    strange = [text for text in rows["winner"].unique() if text not in names]
    if strange:
        raise ValueError(f"no name for {strange[0]!r}; there are: {', '.join(names)}")
    if rows.duplicated(["x", "y"]).any():
        raise ValueError("two cells of the map share a place")
    order = {text: i for i, text in enumerate(names)}
    rows = rows.assign(winner=rows["winner"].map(order).astype(int))
    grid = rows.pivot(index="y", columns="x", values="winner").fillna(-1).astype(int)
    if min(grid.shape) < 2:
        raise ValueError("a map needs at least two columns and two rows of cells")
    return grid.sort_index().sort_index(axis=1)


def _axis_of(ends: np.ndarray, log: bool) -> draw.Scale:
    """An axis from the first cell's edge to the last one's."""
    low, high = (float(f"{end:.5g}") for end in (ends[0], ends[-1]))
    if not log:
        return draw.Scale(False, [low, high], None)
    return draw.Scale(
        True, [low, high], [t for t in draw.decades(low, high)[1] if low <= t <= high]
    )


def _runs(won: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Cells side by side with one winner, as one: their row, the first, and the one beyond."""
    for row, cells in enumerate(won):
        starts = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
        for start, stop in itertools.pairwise(starts):
            if cells[start] >= 0:
                yield row, start, stop


def _borders(won: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Straight pieces of the borders between winners, as two columns' and two rows' edges."""
    for upright, cells in ((True, won), (False, won.T)):
        for at, differs in enumerate(cells[:, 1:].T != cells[:, :-1].T, start=1):
            changes = np.flatnonzero(np.diff(np.concatenate([[0], differs.astype(int), [0]])))
            for a, b in changes.reshape(-1, 2).tolist():
                yield (at, at, a, b) if upright else (a, b, at, at)


def _between(
    x_ends: np.ndarray, y_ends: np.ndarray, of: Sequence[tuple[int, int, int, int]]
) -> pd.DataFrame:
    """Pieces of the map by the edges that bound them."""
    at = np.array(of)
    found = {
        "x": x_ends[at[:, 0]],
        "x2": x_ends[at[:, 1]],
        "y": y_ends[at[:, 2]],
        "y2": y_ends[at[:, 3]],
    }
    return pd.DataFrame({c: draw.shortened(pd.Series(values)) for c, values in found.items()})


def _written(
    grid: pd.DataFrame,
    calls: Sequence[str],
    pixel: Callable[[float, float], tuple[float, float]],
    taken: list[Box],
    plot: Box,
) -> pd.DataFrame:
    """The regions' names at the cells nearest to their centres, clear of each other's."""
    won = grid.to_numpy()
    # Names are wide: what is above and below leaves room for them sooner than what is aside.
    step = (plot.bottom / won.shape[0], plot.right / won.shape[1] / 3.0)
    parts = []
    for kind in range(len(calls)):
        pieces, count = ndimage.label(won == kind)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        for piece, size in enumerate(sizes, start=1):
            if size == sizes.max() or size >= _LARGE * won.size:
                parts.append((int(size), kind, pieces == piece))
    found = []
    for _, kind, part in sorted(parts, key=lambda of: -of[0]):
        depth = ndimage.distance_transform_edt(np.pad(part, 1), sampling=step)[1:-1, 1:-1]
        cells = np.argwhere(depth >= _DEEP * depth.max())
        middle = np.argwhere(part).mean(axis=0)
        cells = cells[np.argsort((((cells - middle) * step) ** 2).sum(axis=1), kind="stable")]
        text = draw.wrapped(calls[kind], 16)
        wide, tall = places.extent(text)
        wide *= 1.06
        at = [(float(grid.columns[column]), float(grid.index[row])) for row, column in cells]
        choices = [places.centred(*pixel(*of), wide, tall) for of in at]
        held = [_held(box, plot) for box in choices]
        best = places.freest(held, taken, plot)
        taken.append(held[best])
        found.append((*at[best], text, round(wide, 1)))
    return pd.DataFrame(found, columns=["x", "y", "text", "px"])


def _held(box: Box, plot: Box) -> Box:
    """A box moved sideways into the plot."""
    right = max(plot.left - box.left, 0.0) - max(box.right - plot.right, 0.0)
    return Box(box.left + right, box.top, box.right + right, box.bottom)


def _marker(
    here: tuple[float, float, str], at: tuple[float, float], taken: Sequence[Box], plot: Box
) -> list[Chart]:
    """A point and its name, where there is room."""
    text = draw.wrapped(here[2], 16)
    wide, tall = places.extent(text)
    aside, over = _MARK / 2 + 2.0, tall / 2 + _MARK / 2 + 2.0
    steps: list[tuple[float, float, Literal["left", "right", "center"]]] = [
        (aside, 0.0, "left"),
        (-aside, 0.0, "right"),
        (0.0, -over, "center"),
        (0.0, over, "center"),
    ]
    choices = [
        places.centred(at[0] + dx + np.sign(dx) * wide / 2, at[1] + dy, wide, tall)
        for dx, dy, _ in steps
    ]
    dx, dy, align = steps[places.freest(choices, taken[1:], plot)]
    row = {"x": here[0], "y": here[1], "text": text, "label": here[2]}
    base = alt.Chart(pd.DataFrame([row])).encode(x="x:Q", y=alt.Y("y:Q"))
    ring = base.mark_point(
        filled=True, size=110, opacity=1, fill=INK, stroke=SURFACE, strokeWidth=2
    )
    name = base.mark_text(
        align=align,
        dx=round(dx, 1),
        dy=round(dy - text.count("\n") * 14.0 / 2, 1),
        lineBreak="\n",
        lineHeight=14,
        **draw.HALO,
    )
    return [ring.encode(tooltip=draw.told("label:N", "here")), name.encode(text="text:N")]
