"""Who sends what where: boxes, and lines as wide as what flows."""

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from llmecon.publishing.charts import draw, places
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.places import Box
from llmecon.publishing.charts.theme import PALETTE, QUIET, SURFACE, colour

_BREAK = 580.0  # plots narrower than this get smaller text in narrower lines [px]
_WIDEST = 22.0  # width of the line that carries everything [px]
_PAD = 7.0  # between a box's text and its upper and lower edges [px]
_SIDE = 4.0  # between a box's text and its sides [px]
_APART = 24.0  # between two boxes, one above the other [px]
_LEAST = 56.0  # width of a box [px]
_SLOT = 5.0  # between two lines at a box's edge [px]
_HEAD = 4.0  # half of an arrow's head [px]
_STEPS = 7  # points that bend a line
_ALONG = tuple(
    0.5 + side * 0.04 * n for n in range(9) for side in ((1, -1) if n else (1,))
)  # where on a line its label may stand

_TEXTS = ("role", "name", "label")
_HEADS = {
    "left": "triangle-right",
    "right": "triangle-left",
    "top": "triangle-down",
    "bottom": "triangle-up",
}


class _Layout:
    """Boxes and their text for plots of some width or wider.

    An abscissa is a share `u` of the plot's width, plus a share `v` of a box's, plus `d` pixels, so
    that it follows the page's width; an ordinate is in pixels from the top.
    """

    def __init__(self, boxes: pd.DataFrame, lines: pd.DataFrame, width: float, font: float):
        self.narrow = width < _BREAK
        self.width, self.font = width, font
        self.line = font + 3.0
        x = boxes["x"]
        steps = (x[lines["target"]].to_numpy() - x[lines["source"]]).abs()
        self.step = float(steps[steps > 0].min()) if (steps > 0).any() else 1.0
        # Between two boxes, a label gets what it needs, but not at the cost of the boxes' text.
        longest = max(places.extent(text, font)[0] for text in lines["label"])
        self.gap = float(np.clip(longest + 20.0, 58.0, max(0.36 * self.step * width, 58.0)))

        written = {name: _lines(box) for name, box in boxes.iterrows()}
        # Bold letters are wider.
        longest = max(places.extent(t, font)[0] for lot in written.values() for _, t in lot)
        self.natural = max(math.ceil(1.08 * longest + 4.0 * _SIDE), _LEAST)
        room = (self.step * width - self.gap) / (1.0 + self.step)
        self.box = min(max(room, _LEAST), self.natural)

        fit = self.characters(self.box - 2.0 * _SIDE)
        self.texts = {
            name: [(kind, part) for kind, t in lot for part in draw.wrapped(t, fit).split("\n")]
            for name, lot in written.items()
        }
        # Labels of lines between the same two boxes stand one above the other.
        labels = [draw.wrapped(t, self.characters(self.gap - 12.0)) for t in lines["label"]]
        tall = pd.Series([places.extent(t, font)[1] + 4.0 for t in labels], index=lines.index)
        pairs = pd.Series(list(map(frozenset, lines[["source", "target"]].to_numpy())), lines.index)
        self.slots = (lines["thick"] + _SLOT).where(
            ~pairs.duplicated(keep=False), np.maximum(lines["thick"] + _SLOT, tall)
        )
        need = _edges(lines, self.slots)
        self.heights = {
            name: 2.0 * _PAD + max(len(lot) * self.line, need.get(name, 0.0))
            for name, lot in self.texts.items()
        }

    def characters(self, pixels: float) -> int:
        """How many fit on a line."""
        return max(int(pixels / (1.04 * draw.CHARACTER_PX * self.font / 12.0)), 4)

    @property
    def box_width(self) -> str:
        """Vega's expression of a box's width [px]."""
        room = f"({self.step:.4g} * width - {self.gap:.4g}) / {1.0 + self.step:.4g}"
        return f"clamp({room}, {_LEAST:g}, {self.natural:g})"

    def covers(self, name: Hashable, box: pd.Series) -> Box:
        """Where a box lies on the narrowest plot."""
        x = self.box / 2 + box["x"] * (self.width - self.box)
        return places.centred(x, box["middle"], self.box, self.heights[name])


def flow(nodes: pd.DataFrame, links: pd.DataFrame, *, title: str, subtitle: str = "") -> Chart:
    """Boxes that send each other things, joined by lines as wide as the share that flows.

    A line leaves a box at its right edge and arrives at the left edge of another; the other way
    round where it leads back, and by the upper and lower edges between boxes above each other.

    Args:
        nodes: One row a box: `name`, `x` and `y` of its middle (0 to 1, from the left and from the
            bottom), `label` (short lines below the name, divided by line breaks) and, if wanted,
            `role`, which stands above the name and colours the box and what it sends.
        links: One row a line: `source` and `target` (names of boxes), `share` (0 to 1; a dashed
            line where it is 0) and `label`.
        title: What the chart finds, as a sentence.
        subtitle: What is shown, under which assumptions.

    Returns:
        The chart, to be passed to `show`.

    Raises:
        ValueError: If there is nothing to draw, a share or a place is not in 0 to 1, two boxes have
            one name, or a line starts or ends at a box that is not there.
    """
    boxes, lines, note = _read(nodes, links)
    layouts = (
        _Layout(boxes, lines, places.PHONE, 11.0),
        _Layout(boxes, lines, _BREAK, 12.0),
    )
    height = _stack(boxes, layouts)
    parts = [_parts(boxes, lines, layout, height) for layout in layouts]
    cards, texts, bends, marks = (
        _placed([row for part in parts for row in part[kind]], height)
        for kind in ("cards", "texts", "bends", "marks")
    )

    x = alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
    paint = alt.Color("paint:N", scale=None, legend=None)
    size = alt.ExprRef(expr="narrow ? 11 : 12")
    bent: dict[str, Any] = {"interpolate": "basis", "strokeCap": "butt"}
    line = bends.encode(
        x=x,
        y=y,
        color=paint,
        detail="link:N",
        order="step:O",
        tooltip=[
            draw.told("source:N", "from"),
            draw.told("target:N", "to"),
            alt.Tooltip("share:Q", title="share", format=".3~%"),
            draw.told("what:N", "what"),
        ],
    )
    card = cards.encode(x=x, x2="x2:Q", y=y, y2="y2:Q")
    text = texts.encode(x=x, y=y, text="text:N")
    mark = marks.encode(x=x, y=y)
    chart = alt.layer(
        line.transform_filter("datum.share > 0")
        # An encoded width would yield to the theme's.
        .mark_line(opacity=0.45, strokeWidth=alt.ExprRef(expr="datum.thick"), **bent),
        line.transform_filter("datum.share == 0").mark_line(
            strokeDash=[4, 4], strokeWidth=1, **bent
        ),
        # The page's own colour first: no line shines through a box.
        card.mark_rect(cornerRadius=7, color=SURFACE),
        card.mark_rect(cornerRadius=7, fillOpacity=0.1, strokeWidth=1.5).encode(
            fill=alt.Fill("paint:N", scale=None, legend=None),
            stroke=alt.Stroke("paint:N", scale=None, legend=None),
            tooltip=[draw.told("name:N", "name"), draw.told("about:N", "what")],
        ),
        mark.transform_filter("datum.kind == 'head'")
        .mark_point(filled=True, size=58, opacity=1)
        .encode(shape=alt.Shape("text:N", scale=None), color=paint),
        text.transform_filter("datum.kind == 'role'").mark_text(fontSize=size).encode(color=paint),
        text.transform_filter("datum.kind == 'name'").mark_text(fontSize=size, fontWeight="bold"),
        text.transform_filter("datum.kind == 'label'").mark_text(fontSize=size, fill=QUIET),
        mark.transform_filter("datum.kind == 'label'")
        .mark_text(fontSize=size, lineBreak="\n", lineHeight=14, strokeJoin="round", **draw.HALO)
        .encode(text="text:N"),
    ).add_params(
        alt.param(name="narrow", expr=f"width < {_BREAK:g}"),
        alt.param(
            name="box",
            expr=f"width < {_BREAK:g} ? {layouts[0].box_width} : {layouts[1].box_width}",
        ),
    )
    return draw.finish(chart, title, subtitle, note, height=height)


def _read(nodes: pd.DataFrame, links: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The boxes by name, and the lines, both with their colours, and what is left out."""
    columns = [c for c in ("name", "x", "y", "label", "role") if c != "role" or c in nodes]
    boxes, note = draw.tidy(nodes, {c: c for c in columns})
    lines, more = draw.tidy(links, {c: c for c in ("source", "target", "share", "label")})
    boxes["role"] = boxes.get("role", "")
    for frame, texts in ((boxes, _TEXTS), (lines, ("source", "target", "label"))):
        for column in texts:
            frame[column] = frame[column].fillna("").astype(str)

    twice = boxes.loc[boxes["name"].duplicated(), "name"]
    if len(twice):
        raise ValueError(f"two boxes are named {twice.iloc[0]!r}")
    for frame, column in ((boxes, "x"), (boxes, "y"), (lines, "share")):
        if not frame[column].between(0.0, 1.0).all():
            raise ValueError(f"column {column!r} must lie in 0 to 1")
    for column in ("source", "target"):
        strange = lines.loc[~lines[column].isin(boxes["name"]), column]
        if len(strange):
            known = ", ".join(boxes["name"])
            raise ValueError(f"no box {strange.iloc[0]!r}; there are: {known}")
    if (lines["source"] == lines["target"]).any():
        raise ValueError("a line must lead from one box to another")

    hues = dict(zip(dict.fromkeys(boxes["role"]), PALETTE, strict=False))
    boxes["paint"] = [colour(hues.get(role, "slate")) for role in boxes["role"]]
    boxes = boxes.set_index("name")
    lines["paint"] = boxes["paint"][lines["source"]].to_numpy()
    lines["thick"] = (_WIDEST * lines["share"]).clip(lower=1.0)
    return boxes, lines, " ".join(filter(None, (note, more)))


def _lines(box: pd.Series) -> list[tuple[str, str]]:
    """What stands in a box, from the top, before it is broken to the box's width."""
    texts = {kind: str(box.name) if kind == "name" else box[kind] for kind in _TEXTS}
    return [(kind, line) for kind, text in texts.items() if text for line in text.split("\n")]


def _edges(lines: pd.DataFrame, slots: pd.Series) -> dict[Hashable, float]:
    """How tall each box must be for the lines on either side of it [px]."""
    needs = pd.concat([slots.groupby(lines[end]).sum() for end in ("source", "target")])
    return {name: float(need) for name, need in needs.groupby(level=0).sum().items()}


def _stack(boxes: pd.DataFrame, layouts: Iterable[_Layout]) -> float:
    """Set the ordinates of the boxes' middles; the height at which no two overlap [px]."""
    tallest = max(height for layout in layouts for height in layout.heights.values())
    height = tallest + 70.0 * float(boxes["y"].max() > boxes["y"].min())
    for layout in layouts:
        for count, (one, of) in enumerate(boxes.iterrows()):
            for other, beside in boxes.iloc[:count].iterrows():
                aside = abs(of["x"] - beside["x"]) * (layout.width - layout.box)
                apart = abs(of["y"] - beside["y"])
                if aside < layout.box + _APART and apart > 0:
                    need = (layout.heights[one] + layout.heights[other]) / 2 + _APART
                    height = max(height, tallest + need / apart)
    height = math.ceil(min(height, 900.0))
    boxes["middle"] = tallest / 2 + (1.0 - boxes["y"]) * (height - tallest)
    return height


def _parts(
    boxes: pd.DataFrame, lines: pd.DataFrame, layout: _Layout, height: float
) -> dict[str, list[dict[str, Any]]]:
    """Boxes, what stands in them, points of the lines, and labels and heads of these."""
    cards, texts, bends, marks = [], [], [], []
    for name, box in boxes.iterrows():
        common = {"narrow": layout.narrow, "paint": box["paint"], "u": box["x"], "d": 0.0}
        top = box["middle"] - layout.heights[name] / 2
        cards.append(
            common
            | {"name": name, "about": box["label"].replace("\n", ", ")}
            | {"v": -box["x"], "v2": 1.0 - box["x"]}
            | {"y": top, "y2": top + layout.heights[name]}
        )
        count = len(layout.texts[name])
        for row, (kind, text) in enumerate(layout.texts[name]):
            y = box["middle"] + (row + 0.5 - count / 2) * layout.line
            texts.append(common | {"kind": kind, "text": text, "v": 0.5 - box["x"], "y": y})

    ends = _ends(boxes, lines, layout)
    taken = [layout.covers(name, box) for name, box in boxes.iterrows()]
    plot = Box(0.0, 0.0, layout.width, height)
    # Wide lines last: their labels are easier to place elsewhere on them.
    for i, line in lines.sort_values("thick", kind="stable").iterrows():
        (start, _), (end, edge) = ends[i, "source"], ends[i, "target"]
        common = {"narrow": layout.narrow, "paint": line["paint"]}
        about = {"link": i, **line[["source", "target", "share", "thick"]], "what": line["label"]}
        for step in range(_STEPS):
            at = _between(start, end, step / (_STEPS - 1))
            bends.append(common | about | {"step": step} | _fields(at))
        back = {"left": (-_HEAD, 0), "right": (_HEAD, 0), "top": (0, -_HEAD), "bottom": (0, _HEAD)}
        head = end + np.array([0.0, 0.0, *back[edge]])
        marks.append(common | {"kind": "head", "text": _HEADS[edge]} | _fields(head))
        if not line["label"]:
            continue
        across = abs((end[0] - start[0]) * layout.width + (end[1] - start[1]) * layout.box)
        text = draw.wrapped(line["label"], layout.characters(across - 12.0 if across else 110.0))
        points = [_between(start, end, t) for t in _ALONG]
        size = places.extent(text, layout.font)
        choices = [
            places.centred(p[0] * layout.width + p[1] * layout.box + p[2], p[3], *size)
            for p in points
        ]
        best = places.freest(choices, taken, plot)
        taken.append(choices[best])
        at = points[best]
        # A text of several lines hangs from its first.
        at[3] -= text.count("\n") * 14.0 / 2
        marks.append(common | {"kind": "label", "text": text} | _fields(at))
    return {"cards": cards, "texts": texts, "bends": bends, "marks": marks}


def _ends(
    boxes: pd.DataFrame, lines: pd.DataFrame, layout: _Layout
) -> dict[tuple[Any, str], tuple[np.ndarray, str]]:
    """Where each line starts and ends, as (u, v, d, y), and at which edge of the box."""
    at_edge: dict[tuple[str, str], list[tuple[float, Any, str]]] = {}
    for i, line in lines.iterrows():
        for own, other in (("source", "target"), ("target", "source")):
            here, there = boxes.loc[line[own]], boxes.loc[line[other]]
            if here["x"] != there["x"]:
                edge = "right" if there["x"] > here["x"] else "left"
                rank = there["middle"]
            else:
                edge = "top" if there["middle"] < here["middle"] else "bottom"
                rank = 0.0
            at_edge.setdefault((line[own], edge), []).append((rank, i, own))

    ends = {}
    for (name, edge), arriving in at_edge.items():
        box, arriving = boxes.loc[name], sorted(arriving)
        slots = layout.slots.loc[[i for _, i, _ in arriving]].to_numpy()
        upright = edge in ("left", "right")
        side = layout.heights[name] if upright else layout.box
        slots = slots + np.clip((side - 2.0 * _PAD - slots.sum()) / len(slots), 0.0, 2.0 * _SLOT)
        offsets = np.cumsum(slots) - slots / 2 - slots.sum() / 2
        for (_, i, own), offset in zip(arriving, offsets, strict=True):
            if upright:
                v = (1.0 if edge == "right" else 0.0) - box["x"]
                place = np.array([box["x"], v, 0.0, box["middle"] + offset])
            else:
                half = layout.heights[name] / 2 * (-1.0 if edge == "top" else 1.0)
                place = np.array([box["x"], 0.5 - box["x"], offset, box["middle"] + half])
            ends[i, own] = place, edge
    return ends


def _between(start: np.ndarray, end: np.ndarray, t: float) -> np.ndarray:
    """A point of a line, which leaves and arrives level."""
    along: Sequence[float] = (t, t, t, t * t * (3.0 - 2.0 * t))
    return start + (end - start) * np.array(along)


def _fields(place: np.ndarray) -> dict[str, float]:
    return dict(zip(("u", "v", "d", "y"), place.tolist(), strict=True))


def _placed(rows: list[dict[str, Any]], height: float) -> alt.Chart:
    """A layer of rows that follow the page's width."""
    frame = pd.DataFrame(rows)
    for column in {"y", "y2"} & set(frame):
        frame[column] = 1.0 - frame[column] / height
    for column in {"u", "v", "v2", "d", "y", "y2"} & set(frame):
        frame[column] = draw.shortened(frame[column], 4)
    base = alt.Chart(frame).transform_filter("datum.narrow == narrow")
    base = base.transform_calculate(x="datum.u + (datum.v * box + datum.d) / width")
    return (
        base.transform_calculate(x2="datum.u + datum.v2 * box / width") if "v2" in frame else base
    )
