"""How a live panel looks: its charts, which carry the model, and the HTML around them."""

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from llmecon import words
from llmecon.publishing import scenario
from llmecon.publishing.charts import draw
from llmecon.publishing.charts.theme import INK, QUIET, SURFACE, colour
from llmecon.publishing.panel.declaration import Answer, Menu, Panel, Slider
from llmecon.publishing.panel.expressions import Program
from llmecon.publishing.panel.model import ALONG, starting
from llmecon.publishing.prose import provenance
from llmecon.studies.parameters import Parameter

POINTS = 48
"""Intervals between the points of a curve."""

_WIDTH = 640
_NINETY = 1.6448536269514722  # standard deviations on either side that hold 90%
_NEAR = 0.35  # of logarithms: measurements are shown within a factor of 1.4 of a slider


def curve_chart(panel: Panel, program: Program, chapter: pd.DataFrame) -> dict[str, Any]:
    """The main curve: the chapter's own case, the reader's, and where the setting lies on it."""
    curve = panel.curve
    rows = alt.sequence(0, 1 + 0.5 / POINTS, 1 / POINTS, as_=ALONG)
    sweep = alt.Chart(rows)
    for name, text in program.rows:
        sweep = sweep.transform_calculate(**{name: text})
    found = program.results
    sweep = sweep.transform_calculate(x=found["x"], y=found["y"]).transform_filter(
        "isFinite(datum.x) && isFinite(datum.y)"
        + (" && datum.x > 0" if curve.log_x else "")
        + (" && datum.y > 0" if curve.log_y else "")
    )
    ends = {}
    if curve.log_sd:
        reach = f"exp({_NINETY} * ({found[curve.log_sd]}))"
        ordinate = found["here_y"]
        ends = {"low": f"({ordinate}) / {reach}", "high": f"({ordinate}) * {reach}"}
    shown = f"({found[curve.needs]}) > 0" if curve.needs else "true"
    here = (
        alt.Chart(alt.InlineData(values=[{"text": "your setting"}]))
        .transform_calculate(x=found["here_x"], y=found["here_y"], **ends)
        .transform_filter(shown)
    )

    def scale(log: bool) -> alt.Scale:
        kind: dict[str, Any] = {"type": "log"} if log else {"type": "linear", "zero": False}
        return alt.Scale(**kind, nice=False, padding=12)

    mantissa = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
    sparse = f"indexof([1, 2, 5], {mantissa}) < 0 ? '' : ({draw.NUMBERS})"
    x_axis = draw.axis(curve.x_title, tickCount=6, grid=False, domain=True)
    # The ordinate's title stands above the chart, where it wraps.
    y_axis = draw.axis("", tickCount=5)
    for axis, log in ((x_axis, curve.log_x), (y_axis, curve.log_y)):
        if log:
            axis["labelExpr"] = sparse
    x = alt.X("x:Q", scale=scale(curve.log_x), axis=x_axis)
    y = alt.Y("y:Q", scale=scale(curve.log_y), axis=y_axis)
    tooltip = [
        alt.Tooltip("x:Q", title=curve.x_title, format=",.3~r"),
        alt.Tooltip("y:Q", title=curve.y_title, format=",.3~r"),
    ]
    chapter = chapter.assign(x=draw.shortened(chapter["x"]), y=draw.shortened(chapter["y"]))
    before = alt.Chart(chapter[["along", "x", "y"]])
    layers = [
        before.mark_line(strokeWidth=1.5, strokeDash=[5, 4], color=QUIET).encode(
            x=x, y=y, order="along:Q"
        ),
        sweep.mark_line(color=colour("blue")).encode(
            x="x:Q", y="y:Q", order=f"{ALONG}:Q", tooltip=tooltip
        ),
    ]
    if curve.dots is not None:
        layers.append(_dots(panel, curve.dots).encode(x="x:Q", y="y:Q", tooltip=tooltip))
    if ends:
        layers.append(
            here.mark_rule(strokeWidth=5, opacity=0.3, color=colour("orange")).encode(
                x="x:Q", y=alt.Y("low:Q", title=None), y2="high:Q"
            )
        )
    named = here.encode(x="x:Q", y="y:Q", text="text:N")
    # The name stands on the free side of the curve.
    rising, onward = (
        len(chapter) > 0 and chapter[axis].iloc[-1] > chapter[axis].iloc[0] for axis in ("y", "x")
    )
    name = named.mark_text(
        align="left",
        dx=12,
        dy=14 if rising == onward else -12,
        fontWeight="bold",
        color=colour("orange"),
    )
    halo = name.copy()
    halo.mark = alt.MarkDef(
        **{**name.mark.to_dict(), "stroke": SURFACE, "strokeWidth": 4, "strokeJoin": "round"}
    )
    layers += [
        here.mark_point(filled=True, size=150, opacity=1, color=colour("orange")).encode(
            x="x:Q", y="y:Q", tooltip=tooltip
        ),
        # The name stands on the page's own colour where it crosses a line.
        halo,
        name,
    ]
    chart = alt.layer(*layers).properties(width="container", height=300)
    spec: dict[str, Any] = chart.to_dict()
    controls = [{"name": name, "value": value} for name, value in starting(panel).items()]
    signals = [{"name": name, "expr": text} for name, text in program.signals]
    # Results that are nothing but a number or a control have no signal of their own.
    asked = [
        {"name": f"out_{name}", "expr": text}
        for name, text in found.items()
        if "datum." not in text
    ]
    spec["params"] = controls + signals + asked
    spec.pop("$schema", None)
    return spec


def _dots(panel: Panel, dots: pd.DataFrame) -> alt.Chart:
    """Measurements, those shown that were made near the setting."""
    near = []
    rows = dots.copy()
    for menu in panel.menus:
        if menu.name in rows:
            entries = {key: place for place, key in enumerate(menu.entries)}
            rows[menu.name] = rows[menu.name].map(entries)
            near.append(f"datum.{menu.name} == {menu.name}")
    rows = rows.dropna()
    for slider in panel.sliders:
        if slider.name in rows:
            near.append(f"abs(log(datum.{slider.name} / {slider.name})) < {_NEAR}")
    for name in rows:
        rows[name] = draw.shortened(rows[name], 3)
    return (
        alt.Chart(rows)
        .transform_filter(" && ".join(near) or "true")
        .mark_point(filled=True, size=45, opacity=0.75, color=colour("teal"))
    )


def effects_chart(panel: Panel, values: Sequence[float]) -> dict[str, Any]:
    """Bars of elasticities, whose values and texts the page replaces."""
    lines = [draw.wrapped(name, draw.LABEL) for name in panel.effects]
    rows = pd.DataFrame({"lines": lines, "place": range(len(lines))})
    base = (
        alt.Chart(rows)
        .transform_calculate(value="effects[datum.place]", text="texts[datum.place]")
        .encode(y=draw.labels())
    )
    x = alt.X(
        "value:Q",
        scale=alt.Scale(nice=False, padding=34),
        axis=alt.Axis(labels=False, grid=False, title=None),
    )
    positive = "datum.value >= 0"
    bars = base.mark_bar(height={"band": 0.66}, cornerRadiusEnd=2).encode(
        x=x,
        color=alt.condition(positive, alt.value(colour("orange")), alt.value(colour("teal"))),
    )
    # On the free side of its bar's end.
    text = base.mark_text(
        align={"expr": f"{positive} ? 'left' : 'right'"},
        dx={"expr": f"{positive} ? 6 : -6"},
        color=INK,
    ).encode(x="value:Q", text="text:N")
    chart = alt.layer(bars, text).properties(
        width="container", height=draw.rows_height(len(rows), rows["lines"])
    )
    spec: dict[str, Any] = chart.to_dict()
    spec["params"] = [
        {"name": "effects", "value": list(values)},
        {"name": "texts", "value": [_signed(value) for value in values]},
    ]
    spec.pop("$schema", None)
    return spec


def _signed(value: float) -> str:
    """An elasticity with its sign, to hundredths."""
    return draw.signed(round(value, 2) + 0.0)


def _still(spec: Mapping[str, Any]) -> str:
    picture = vl_convert.vegalite_to_svg({**spec, "width": _WIDTH})
    return str(picture).replace("<svg ", '<svg aria-hidden="true" ', 1)


def in_words(answer: Answer, row: pd.Series) -> tuple[str, str]:
    """An answer and its interval as a reader sees them; a dash where there is none."""
    value = float(row[answer.name])
    if answer.needs and row[answer.needs] <= 0:
        return "–", ""
    interval = ""
    if answer.log_sd:
        reach = float(np.exp(_NINETY * row[answer.log_sd]))
        full = bool(answer.counted)
        said = words.interval(value, value / reach, value * reach, answer.unit, full)
        interval = f"90%: {said}" if said else ""
    whole = words.count(value, answer.counted) if answer.counted else ""
    return whole or words.quantity(value, answer.unit), interval


def _declared(panel: Panel) -> Mapping[str, Parameter]:
    return {p.name: p for p in scenario.chapter(panel.chapter).parameters}


def markup(
    panel: Panel,
    program: Program,
    curve: Mapping[str, Any],
    bars: Mapping[str, Any],
    first: pd.Series,
    chapter: pd.DataFrame,
) -> str:
    """A panel as HTML.

    Args:
        panel: The panel.
        program: Its model as Vega expressions.
        curve: Chart of its main curve, which carries the model.
        bars: Chart of its elasticities.
        first: What JAX computes where the controls stand at first.
        chapter: The main curve there: `x` and `y`.
    """
    declared = _declared(panel)
    key = panel.chapter
    controls = "".join(_control(panel, c, declared.get(c.name)) for c in panel.controls)
    answers = "".join(
        f'<div class="llmecon-headline" data-answer="{a.name}">'
        f"<strong>{html.escape(number)}</strong><br>"
        + (f'<em class="llmecon-interval">{html.escape(interval)}</em>' if a.log_sd else "")
        + f"<span>{html.escape(a.label)}</span></div>"
        for a in panel.answers
        for number, interval in [in_words(a, first)]
    )
    data = {
        "chapter": panel.chapter,
        "refusals": list(panel.refusals),
        "smooth_needs": panel.smooth_needs,
        "curve": curve,
        "table": {
            "head": [panel.curve.x_title, panel.curve.y_title],
            "chapter": chapter[["x", "y"]].map(lambda v: float(f"{v:.5g}")).to_numpy().tolist(),
        },
        "bars": bars,
        "controls": [_described(c, declared.get(c.name)) for c in panel.controls],
        "answers": [
            {
                "name": a.name,
                "unit": a.unit,
                "counted": a.counted,
                "log_sd": a.log_sd,
                "needs": a.needs,
            }
            for a in panel.answers
        ],
        "effects": len(panel.effects),
        # What the chapter was run with, where that is not what its parameters say.
        "given": {
            name: value
            for name, value in panel.given.items()
            if name in declared and value != declared[name].default
        },
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    # Expressions repeat themselves: packed, they take a fifth of the space.
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()

    def picture(name: str, spec: Mapping[str, Any], description: str) -> str:
        return (
            f'<div class="llmecon-view" data-view="{name}" role="img" '
            f'aria-label="{html.escape(description)}">'
            f'<div class="llmecon-static" style="max-width:{_WIDTH + 60}px">'
            f"{_still(spec)}</div></div>"
        )

    refusals = "".join(
        f'<p class="llmecon-refusal" role="alert" data-refusal="{name}"'
        f"{' hidden' if first[name] > 0 else ''}>{html.escape(text)}</p>"
        for name, text in panel.refusals.items()
    )
    effects = "; ".join(
        f"{name}: {_signed(float(first[f'effect{i}']))}" for i, name in enumerate(panel.effects)
    )
    return (
        f'<section class="llmecon-panel" data-panel="{key}" aria-labelledby="{key}-question">'
        f'<p class="llmecon-question" id="{key}-question">{html.escape(panel.question)}</p>'
        f'<form class="llmecon-controls" aria-label="What to change">{controls}</form>'
        f'<div class="llmecon-headlines" role="status">{answers}</div>'
        f"{refusals}"
        f'<p class="llmecon-unit">{html.escape(panel.curve.y_title)}</p>'
        f"{picture('curve', curve, panel.description)}"
        f'<p class="llmecon-unit">{html.escape(panel.effect_title)}</p>'
        f"{picture('bars', bars, f'{panel.effect_title}. As in the chapter: {effects}')}"
        f'<div class="llmecon-actions"></div>'
        + (f'<p class="llmecon-note">{html.escape(panel.note)}</p>' if panel.note else "")
        + (provenance.markup(panel.data) if panel.data else "")
        + f'<script type="application/gzip">{packed}</script></section>'
    )


def _control(panel: Panel, control: Slider | Menu, declared: Parameter | None) -> str:
    identifier = f"{panel.chapter}-{control.name}"
    label = html.escape(_label(control, declared))
    if isinstance(control, Menu):
        options = "".join(
            f'<option value="{html.escape(key)}"{" selected" if key == control.value else ""}>'
            f"{html.escape(text)}</option>"
            for key, text in control.entries.items()
        )
        return (
            f'<div class="llmecon-control"><label for="{identifier}">{label}</label>'
            f'<select id="{identifier}" name="{control.name}">{options}</select></div>'
        )
    say = words.whole if declared is not None and declared.type is int else words.quantity
    shown = html.escape(say(control.value, _unit(control, declared)))
    return (
        f'<div class="llmecon-control"><label for="{identifier}">{label}</label>'
        f'<output for="{identifier}">{shown}</output>'
        f'<input type="range" id="{identifier}" name="{control.name}" min="0" max="1000" '
        f'step="1" aria-valuetext="{shown}"></div>'
    )


def _described(control: Slider | Menu, declared: Parameter | None) -> dict[str, Any]:
    """What the page's script needs to know of a control."""
    common = {
        "name": control.name,
        "value": control.value,
        "label": _label(control, declared),
        "parameter": declared is not None,
    }
    if isinstance(control, Menu):
        return common | {"entries": list(control.entries)}
    described: dict[str, Any] = common | {
        "low": control.low,
        "high": control.high,
        "log": control.log,
        "unit": _unit(control, declared),
        "whole": declared is not None and declared.type is int,
    }
    if control.follows:
        menu, values = control.follows
        described["follows"] = {"menu": menu, "values": dict(values)}
    return described


def _label(control: Slider | Menu, declared: Parameter | None) -> str:
    return _capital(control.label or (declared.help if declared else ""))


def _unit(control: Slider, declared: Parameter | None) -> str:
    if control.unit is None and declared is not None:
        return declared.unit
    return control.unit or ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
