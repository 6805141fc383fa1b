"""What the chart kinds share: clean rows, scales, rules, axes and labels."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.publishing.charts.figure import Chart
from llmecon.publishing.charts.theme import GRID, INK, QUIET, SURFACE

CHARACTER_PX = 6.6
LINE_PX = 15.0
PHONE_PX = 260.0  # width of a plot on a phone
LABEL = 26  # characters of a label before it is wrapped

TITLE = 44  # characters of an axis title that fit a phone

# Around text that may lie on a line; the style sheet paints it beneath the letters.
HALO: dict[str, Any] = {"stroke": SURFACE, "strokeWidth": 3}

# A text of several lines hangs from its first; raised, it is centred on its row.
_RAISED: Any = {
    "condition": [
        {"test": f"length(split(datum.value, '\\n')) == {rows}", "value": -6.5 * (rows - 1)}
        for rows in (2, 3, 4)
    ],
    "value": 0,
}

TICKS = alt.ExprRef(expr="max(3, width / 80)")
# Plain thousands and millions; SI's G reads as "giga" beside a price, so billions are "bn".
NUMBERS = (
    "datum.value == 0 || abs(datum.value) >= 1000"
    " ? replace(format(datum.value, '~s'), 'G', 'bn') : format(datum.value, '~g')"
)


@dataclass(frozen=True)
class Scale:
    """An axis: linear or logarithmic, between two ends, with its ticks."""

    log: bool
    domain: list[float]
    ticks: list[float] | None

    @property
    def arguments(self) -> dict[str, Any]:
        """What Altair's scale is told."""
        if self.log:
            return {"type": "log", "domain": self.domain, "nice": False}
        # A layer that only marks places would otherwise pull in zero.
        return {"type": "linear", "domain": self.domain, "nice": False, "zero": False}

    def fraction(self, values: pd.Series) -> pd.Series:
        """Where values lie between the domain's ends, 0 to 1."""
        low, high = self.domain
        if self.log:
            return values.map(math.log).sub(math.log(low)).div(math.log(high) - math.log(low))
        return values.sub(low).div(high - low)

    def value(self, fraction: float) -> float:
        """The value at a fraction of the axis, from its lower end."""
        low, high = self.domain
        if self.log:
            return math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
        return low + fraction * (high - low)


def scale(values: pd.Series, log: bool, floor: bool = False) -> Scale:
    """The axis that shows some values; a linear one may be made to start at zero."""
    low, high = float(values.min()), float(values.max())
    if log:
        domain, ticks = decades(low, high)
        return Scale(True, domain, ticks)
    # Start at zero unless the values lie far from it.
    if floor or low < 0.4 * high:
        low = min(low, 0.0)
    if low == high:
        high = low + 1.0
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    if floor:
        return Scale(False, [math.floor(low / step) * step, math.ceil(high / step) * step], None)
    return Scale(False, [low, high], None)


def decades(low: float, high: float) -> tuple[list[float], list[float]]:
    """Ends and ticks of a logarithmic axis: 1-2-5 over few decades, else powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = [m * 10.0**e for e in range(first, last + 2) for m in (1, 2, 5)]
    below = [s for s in steps if s <= low * 1.001]
    above = [s for s in steps if s >= high * 0.999]
    domain = [below[-1] if below else low, above[0] if above else high]
    if domain[0] == domain[1]:
        domain[1] *= 10
    inside = [float(f"{s:.6g}") for s in steps if domain[0] * 0.999 <= s <= domain[1] * 1.001]
    if last - first > 3:
        inside = [s for s in inside if math.isclose(math.log10(s), round(math.log10(s)))]
    return [float(f"{d:.6g}") for d in domain], inside


def tidy(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    positive: Sequence[str] = (),
    optional: Sequence[str] = (),
    digits: int = 5,
) -> tuple[pd.DataFrame, str]:
    """The named columns under the chart's own names, and a note on rows that can't be drawn."""
    missing = [name for name in columns.values() if name not in frame]
    if missing:
        raise ValueError(
            f"no column {missing[0]!r}; there are: {', '.join(map(str, frame.columns))}"
        )
    rows = pd.DataFrame({ours: frame[theirs].to_numpy() for ours, theirs in columns.items()})
    keep = np.ones(len(rows), dtype=bool)
    for name in rows:
        if pd.api.types.is_numeric_dtype(rows[name]) and name not in (
            "label",
            "series",
            "part",
            "group",
        ):
            finite = np.isfinite(rows[name].to_numpy(dtype=float))
            if name in positive:
                finite &= rows[name].to_numpy(dtype=float) > 0
            if name not in optional:
                keep &= finite
            rows[name] = shortened(rows[name].where(finite), digits)
    if not keep.any():
        limit = " positive" if positive else ""
        raise ValueError(f"nothing to draw: no row has finite{limit} values in every column")
    left_out = int((~keep).sum())
    plural = "" if left_out == 1 else "s"
    why = "finite, positive" if positive else "finite"
    note = f"{left_out} row{plural} without {why} values left out." if left_out else ""
    return rows[keep].reset_index(drop=True), note


def shortened(values: pd.Series, digits: int = 5) -> pd.Series:
    """Five significant digits: more are invisible and make the page heavier."""
    return values.map(lambda v: float(f"{v:.{digits}g}") if np.isfinite(v) else None)


def finish(
    chart: alt.LayerChart | alt.FacetChart,
    title: str,
    subtitle: str,
    note: str,
    *,
    height: float,
    key: Sequence[tuple[str, str]] = (),
    unit: str = "",
) -> alt.LayerChart:
    """Give a chart its size, its title, its key, its unit and its notes."""
    assert isinstance(chart, alt.LayerChart)  # only a faceted layer would be anything else
    return chart.properties(
        width="container",
        height=height,
        title=alt.Title(title, subtitle=subtitle),
        usermeta={"key": [list(entry) for entry in key], "note": note, "unit": unit},
    )


def rules(
    at_x: Mapping[str, float],
    x_scale: Scale,
    at_y: Mapping[str, float],
    right: alt.ExprRef,
    height: float,
    curves: pd.DataFrame,
    y_scale: Scale,
) -> list[Chart]:
    """Lines across the plot at given places, each followed by its name where curves leave room."""
    layers: list[Chart] = []
    for i, (text, value) in enumerate(sorted(at_x.items(), key=lambda item: item[1])):
        late = x_scale.fraction(pd.Series([value])).iloc[0] > 0.6
        base = alt.Chart(pd.DataFrame({"x": [value], "text": [text]})).encode(x="x:Q")
        layers.append(base.mark_rule(strokeDash=[4, 3]))
        layers.append(
            base.mark_text(
                align="right" if late else "left",
                baseline="bottom",
                dx=-5 if late else 5,
                y=height - 6 - LINE_PX * i,
                color=QUIET,
                **HALO,
            ).encode(text="text:N")
        )
    for text, value in at_y.items():
        base = alt.Chart(pd.DataFrame({"y": [value], "text": [text]})).encode(y="y:Q")
        layers.append(base.mark_rule(strokeDash=[4, 3], x=0, x2=right))
        start, under = free_place(text, value, curves, x_scale, y_scale, height)
        layers.append(
            base.mark_text(
                align="left",
                baseline="top" if under else "bottom",
                dx=4,
                dy=4 if under else -3,
                x=alt.ExprRef(expr=f"{start} * {right.expr}") if start else 0,
                color=QUIET,
                **HALO,
            ).encode(text="text:N")
        )
    return layers


def free_place(
    text: str, value: float, curves: pd.DataFrame, x_scale: Scale, y_scale: Scale, height: float
) -> tuple[float, bool]:
    """Where along a line across the plot its name starts, and whether it is written under it."""
    line = y_scale.fraction(pd.Series([value])).iloc[0]
    placed = [
        (x_scale.fraction(curve["x"]), y_scale.fraction(curve["y"]))
        for _, curve in curves.groupby("series", sort=False)
    ]
    # The narrowest plot is a phone's.
    length = CHARACTER_PX * len(text) / PHONE_PX
    for start in (0.0, 0.25, 0.5):
        across = np.linspace(start, start + length, 9)
        passing = np.concatenate(
            [np.interp(across, x, y, left=np.nan, right=np.nan) for x, y in placed]
            + [y[x.between(start, start + length)] for x, y in placed]
        )
        for under in (False, True):
            low, high = sorted((line, line + (-1.2 if under else 1.2) * LINE_PX / height))
            inside = low >= 0.0 and high <= 1.0
            if inside and not ((passing >= low) & (passing <= high)).any():
                return start, under
    return 0.0, False


def apart(last: pd.DataFrame, scale: Scale, height: float) -> list[float]:
    """Ordinates for the lines' names: their ends, pushed apart until no two names overlap."""
    rows = last["lines"].str.count("\n") + 1
    size = (rows * 13 + 2).to_numpy(dtype=float)
    want = (scale.fraction(last["y"]) * height).to_numpy(dtype=float)
    order = np.argsort(want)
    place = want[order]
    for _ in range(60):
        for i in range(len(place) - 1):
            overlap = (size[order[i]] + size[order[i + 1]]) / 2 - (place[i + 1] - place[i])
            if overlap > 0:
                place[i] -= overlap / 2
                place[i + 1] += overlap / 2
    result = np.empty(len(place))
    result[order] = place
    # A text of several lines hangs from its first.
    result += (rows.to_numpy() - 1) * 13 / 2
    return [float(f"{scale.value(p / height):.5g}") for p in result]


def axis(title: str, **options: Any) -> alt.Axis:
    """An axis with its title at its start and its numbers in words."""
    if options.get("labels", True):
        options["labelExpr"] = NUMBERS
    options = {key: value for key, value in options.items() if value is not None}
    if options.pop("domain", False):
        options |= {"domain": True, "domainColor": GRID}
    lines = textwrap.wrap(title, TITLE) or [""]
    return alt.Axis(title=lines if len(lines) > 1 else title, titleAnchor="start", **options)


def told(field: str, title: str) -> alt.Tooltip:
    """A line of a tooltip, which is also a column of the figure's data.

    Args:
        field: The field with its type, `value:Q`; numbers are written without exponents.
        title: What it is: the axis's title, the unit or a column's name.
    """
    title = title.replace("_", " ")
    if field.endswith(":Q"):
        return alt.Tooltip(field, title=title, format=",.4~r")
    return alt.Tooltip(field, title=title)


def labels(**options: Any) -> alt.Y:
    """The vertical axis of named rows."""
    return alt.Y(
        "lines:N",
        sort=None,
        title=None,
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelColor=INK,
            labelLineHeight=13,
            labelOffset=_RAISED,
            labelPadding=8,
            **options,
        ),
    )


def rows_height(rows: int, labels: pd.Series, row: int = 26) -> float:
    """Height of a chart of named rows [px], more where a name takes several lines."""
    wrapped = int(labels.str.count("\n").max()) + 1
    return rows * max(row, 6 + 14 * wrapped if wrapped > 1 else 0) + 8


def top_axis(title: str, scale: Scale) -> alt.Axis:
    """A vertical axis whose title lies flat above it, where it can be read."""
    return axis(
        title,
        values=scale.ticks,
        tickCount=5,
        titleAngle=0,
        titleAlign="left",
        titleBaseline="bottom",
        titleX=0,
        titleY=-10,
    )


def room(pixels: float) -> alt.ExprRef:
    """The right end of a horizontal scale that leaves room for text beside the marks."""
    return alt.ExprRef(expr=f"max(width - {math.ceil(pixels)}, 60)")


def wrapped(text: object, width: int) -> str:
    """A label broken into lines of at most `width` characters."""
    return "\n".join(textwrap.wrap(name(text), width, break_long_words=False)) or " "


def name(value: object) -> str:
    """A category as it is shown."""
    return words.number(value, 4) if isinstance(value, float) else str(value)


def signed(value: float) -> str:
    """A number with its sign."""
    text = words.number(value, 3)
    return text if value < 0 or text == "0" else f"+{text}"
