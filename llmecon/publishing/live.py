"""Live panels: a model's answer, its main curve and its elasticities, recomputed on the page.

A panel is declared in a few lines: its controls, what the catalogue says for the entries chosen in
its menus, and a function of both. The function and its gradient are translated into Vega
expressions (see `translate`), which Altair's chart carries; `_static/live.js` connects the controls.
"""

import html
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import vl_convert

from llmecon.publishing import draw, scenario, words
from llmecon.publishing.expressions import Graph, Program
from llmecon.publishing.theme import INK, QUIET, colour
from llmecon.publishing.translate import Traced, trace
from llmecon.specs import Efficiency
from llmecon.uncertainty import Spread

Settings = SimpleNamespace
"""What a panel's function is given: an attribute for each control and each look-up."""

_POINTS = 64  # intervals between the points of a curve
_ALONG = "along"
_WIDTH = 640
_CHECKED = 24  # random settings at which JAX's values are kept, for tests in a browser
_NINETY = 1.6448536269514722  # standard deviations on either side that hold 90%


@dataclass(frozen=True)
class Slider:
    """A control for a number.

    Args:
        name: The chapter's parameter that it stands for.
        low: Least value.
        high: Greatest value.
        value: Where it starts.
        label: What it is, in a few words; by default the parameter's own explanation.
        unit: As `words.quantity` takes it; by default the parameter's own.
        log: Whether equal steps are equal factors; needs `low` > 0.
        follows: A value for every entry of a menu, which the slider takes when that menu changes:
            the menu's name and the values by id.
    """

    name: str
    low: float
    high: float
    value: float
    label: str = ""
    unit: str | None = None
    log: bool = True
    follows: tuple[str, Mapping[str, float]] | None = None


@dataclass(frozen=True)
class Menu:
    """A control for one of several entries.

    Args:
        name: The chapter's parameter that it stands for.
        entries: What a reader sees, by id.
        value: The id it starts at.
        label: What it is, in a few words; by default the parameter's own explanation.
    """

    name: str
    entries: Mapping[str, str]
    value: str
    label: str = ""


@dataclass(frozen=True)
class Lookup:
    """Numbers of the catalogue that depend on what is chosen in some menus.

    Args:
        menus: Names of the menus.
        entries: A pytree of arrays with one axis a menu.
    """

    menus: tuple[str, ...]
    entries: Any


@dataclass(frozen=True)
class Answer:
    """A number that the panel shows large.

    Args:
        name: Its key among the function's results.
        unit: As `words.quantity` takes it.
        label: What it is, in a few words.
        interval: Whether its 90% interval is shown.
    """

    name: str
    unit: str
    label: str
    interval: bool = False


@dataclass(frozen=True)
class Curve:
    """The panel's main curve, drawn point by point as something goes from 0 to 1.

    Args:
        function: Of the settings and a number from 0 to 1, to x and y; NaN where there is no point.
            Where the setting itself lies, the panel's function says by `here_x` and `here_y`.
        x_title: What the abscissa is, with its unit.
        y_title: What the ordinate is, with its unit.
        log_x: Whether the abscissa is logarithmic.
        log_y: Whether the ordinate is logarithmic.
        interval: Whether the setting's ordinate has the interval of the first answer.
    """

    function: Callable[[Settings, jax.Array], tuple[jax.Array, jax.Array]]
    x_title: str
    y_title: str
    log_x: bool = True
    log_y: bool = True
    interval: bool = True


@dataclass(frozen=True)
class Uncertainty:
    """What the interval of the answers comes from.

    Args:
        of: Name of the look-up that holds the efficiencies.
        spread: How the shared efficiencies vary together.
        multiples: Name of the look-up that holds the standard deviations of the multiples.
    """

    of: str
    spread: Spread
    multiples: str


@dataclass(frozen=True)
class Panel:
    """A question, controls, and the model that answers it.

    Args:
        chapter: Slug of the chapter whose parameters the controls stand for.
        given: The chapter's parameters as run.
        question: What a reader can find out here.
        controls: Sliders and menus, in the order shown.
        lookups: What the menus look up, by the name the function knows it by.
        function: Of the settings, to the answers and whatever else is asked for, by name; `here_x`
            and `here_y` are the setting's place on the curve.
        answers: Numbers shown large.
        curve: The main curve.
        smooth: Name of the result whose elasticities are shown; differentiable, > 0.
        effects: Inputs whose elasticities are shown, by what a reader calls them: names of
            sliders, or fields of look-ups such as `device.memory_bandwidth`; several joined by `+`.
        effect_title: What the bars show.
        description: What a reader who can't see the curve is told.
        refusal: What is said where the result called `possible` is 0.
        note: What a reader should know about the panel.
        uncertainty: Where intervals come from.
    """

    chapter: str
    given: Mapping[str, scenario.Value]
    question: str
    controls: Sequence[Slider | Menu]
    lookups: Mapping[str, Lookup]
    function: Callable[[Settings], Mapping[str, jax.Array]]
    answers: Sequence[Answer]
    curve: Curve
    smooth: str
    effects: Mapping[str, str]
    effect_title: str
    description: str
    refusal: str = ""
    note: str = ""
    uncertainty: Uncertainty | None = None
    sliders: tuple[Slider, ...] = field(init=False)
    menus: tuple[Menu, ...] = field(init=False)

    def __post_init__(self) -> None:
        sliders = tuple(c for c in self.controls if isinstance(c, Slider))
        menus = tuple(c for c in self.controls if isinstance(c, Menu))
        object.__setattr__(self, "sliders", sliders)
        object.__setattr__(self, "menus", menus)
        known = {p.name for p in scenario.chapter(self.chapter).parameters}
        for control in self.controls:
            if control.name not in known:
                raise ValueError(f"{self.chapter} has no parameter {control.name!r} to control")
        for menu in self.menus:
            if menu.value not in menu.entries:
                raise ValueError(f"menu {menu.name!r} starts at {menu.value!r}, not an entry of it")
        for slider in self.sliders:
            if not slider.low <= slider.value <= slider.high or (slider.log and slider.low <= 0):
                raise ValueError(
                    f"slider {slider.name!r} starts at {slider.value:g}, outside "
                    f"{slider.low:g} to {slider.high:g}"
                )


def lookup(
    menus: Sequence[Menu],
    record: Callable[..., Any],
    into: Callable[..., Any] | None = None,
) -> Lookup:
    """What the catalogue says for every combination of some menus' entries.

    Args:
        menus: The menus.
        record: Of one id a menu, to a record or mapping of numbers.
        into: A record to make of the mapping.
    """
    shape = tuple(len(menu.entries) for menu in menus)
    found = [record(*ids) for ids in itertools.product(*(menu.entries for menu in menus))]
    leaves = [jax.tree.leaves(one) for one in found]
    arrays = [np.array(column, dtype=float).reshape(shape) for column in zip(*leaves, strict=True)]
    entries = jax.tree.unflatten(jax.tree.structure(found[0]), arrays)
    return Lookup(tuple(menu.name for menu in menus), into(**entries) if into else entries)


# ---------------------------------------------------------------------------- computing


@dataclass(frozen=True)
class _Model:
    """A panel's function with all that is derived from it, as one traced function."""

    panel: Panel
    traced: Traced

    def arguments(self, values: Mapping[str, np.ndarray], along: np.ndarray) -> Any:
        """Many settings at once: numbers of sliders and indices of menus, by control."""
        numbers = {slider.name: values[slider.name] for slider in self.panel.sliders}
        looked_up = {
            name: jax.tree.map(
                lambda array, of=of: np.asarray(array)[tuple(values[m] for m in of.menus)],
                of.entries,
            )
            for name, of in self.panel.lookups.items()
        }
        return numbers, looked_up, along


def _settings(numbers: Mapping[str, Any], looked_up: Mapping[str, Any]) -> Settings:
    return Settings(**numbers, **looked_up)


def _model(panel: Panel) -> _Model:
    curve, uncertainty = panel.curve, panel.uncertainty

    def logarithm(given: tuple[Any, Any]) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        found = panel.function(_settings(*given))
        return jnp.log(found[panel.smooth]), found

    def everything(arguments: Any) -> dict[str, Any]:
        numbers, looked_up, along = arguments
        given = (numbers, looked_up)
        gradient, found = jax.grad(logarithm, has_aux=True)(given)
        elasticity = jax.tree.map(jnp.multiply, gradient, given)
        x, y = curve.function(_settings(*given), along)
        results = dict(found) | {"x": x, "y": y}
        for i, paths in enumerate(panel.effects.values()):
            results[f"effect{i}"] = sum(
                (_at(elasticity, path) for path in paths.split("+")), jnp.asarray(0.0)
            )
        if uncertainty:
            effects: Efficiency = elasticity[1][uncertainty.of]
            sd = looked_up[uncertainty.multiples]
            results["log_sd"] = uncertainty.spread.log_sd(effects, sd)
        return results

    example_numbers = {slider.name: 1.0 for slider in panel.sliders}
    example_records = {
        name: jax.tree.map(lambda _: 1.0, of.entries) for name, of in panel.lookups.items()
    }
    return _Model(panel, trace(everything, (example_numbers, example_records, 0.5)))


def _at(elasticity: tuple[Mapping[str, Any], Mapping[str, Any]], path: str) -> jax.Array:
    name, _, rest = path.strip().partition(".")
    numbers, records = elasticity
    found = numbers[name] if name in numbers else records[name]
    for part in filter(None, rest.split(".")):
        found = getattr(found, part)
    return jnp.asarray(found)


def _program(model: _Model) -> Program:
    """The Vega expressions of everything that a panel shows."""
    panel, graph = model.panel, Graph()
    numbers = {slider.name: graph.input(slider.name) for slider in panel.sliders}
    records = {
        name: jax.tree.map(lambda array, of=of: graph.menu(of.menus, np.asarray(array)), of.entries)
        for name, of in panel.lookups.items()
    }
    along = f"datum.{_ALONG}"
    nodes = model.traced.nodes(graph, (numbers, records, graph.input(along)))
    results = {name: graph.number(node) for name, node in nodes.items()}
    return graph.program(results, swept=along)


def _starting(panel: Panel) -> dict[str, float]:
    """Where the controls stand at first: numbers of sliders, indices of menus."""
    places = {menu.name: float(list(menu.entries).index(menu.value)) for menu in panel.menus}
    return {slider.name: float(slider.value) for slider in panel.sliders} | places


def _evaluate(
    model: _Model, settings: Sequence[Mapping[str, float]], along: Sequence[float]
) -> pd.DataFrame:
    """What JAX computes for some settings, a row each."""
    names = [control.name for control in model.panel.controls]
    values = {name: np.array([s[name] for s in settings]) for name in names}
    for menu in model.panel.menus:
        values[menu.name] = values[menu.name].astype(int)
    found = model.traced.numbers(model.arguments(values, np.asarray(along, dtype=float)))
    return pd.DataFrame({name: np.asarray(column, float) for name, column in found.items()})


def _random_settings(panel: Panel, count: int) -> list[dict[str, float]]:
    generator = np.random.default_rng(0)
    settings = []
    for _ in range(count):
        of = _starting(panel)
        for slider in panel.sliders:
            ends = np.array([slider.low, slider.high])
            drawn = generator.uniform(*(np.log(ends) if slider.log else ends))
            of[slider.name] = float(f"{np.exp(drawn) if slider.log else drawn:.4g}")
        for menu in panel.menus:
            of[menu.name] = float(generator.integers(len(menu.entries)))
        settings.append(of)
    return settings


# ---------------------------------------------------------------------------- drawing


def _curve_chart(panel: Panel, program: Program, chapter: pd.DataFrame) -> dict[str, Any]:
    """The main curve: the chapter's own case, the reader's, and where the setting lies on it."""
    curve = panel.curve
    rows = alt.sequence(0, 1 + 0.5 / _POINTS, 1 / _POINTS, as_=_ALONG)
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
    if curve.interval and panel.uncertainty:
        reach = f"exp({_NINETY} * ({found['log_sd']}))"
        y = found["here_y"]
        ends = {"low": f"({y}) / {reach}", "high": f"({y}) * {reach}"}
    shown = f"({found['possible']}) > 0" if "possible" in found else "true"
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
    y_axis = draw.axis(
        curve.y_title,
        tickCount=5,
        titleAngle=0,
        titleAlign="left",
        titleBaseline="bottom",
        titleX=0,
        titleY=-10,
    )
    for axis, log in ((x_axis, curve.log_x), (y_axis, curve.log_y)):
        if log:
            axis["labelExpr"] = sparse
    x = alt.X("x:Q", scale=scale(curve.log_x), axis=x_axis)
    y = alt.Y("y:Q", scale=scale(curve.log_y), axis=y_axis)
    tooltip = [
        alt.Tooltip("x:Q", title=curve.x_title, format=",.3~g"),
        alt.Tooltip("y:Q", title=curve.y_title, format=",.3~g"),
    ]
    chapter = chapter.assign(x=draw.shortened(chapter["x"]), y=draw.shortened(chapter["y"]))
    before = alt.Chart(chapter[["along", "x", "y"]])
    last = alt.Chart(chapter[["along", "x", "y"]].tail(1).assign(text="as in the chapter"))
    layers = [
        before.mark_line(strokeWidth=1.5, strokeDash=[5, 4], color=QUIET).encode(
            x=x, y=y, order="along:Q"
        ),
        last.mark_text(align="right", dx=-4, dy=12, baseline="top", color=QUIET).encode(
            x="x:Q", y="y:Q", text="text:N"
        ),
        sweep.mark_line(color=colour("blue")).encode(
            x="x:Q", y="y:Q", order=f"{_ALONG}:Q", tooltip=tooltip
        ),
    ]
    if ends:
        layers.append(
            here.mark_rule(strokeWidth=5, opacity=0.3, color=colour("orange")).encode(
                x="x:Q", y=alt.Y("low:Q", title=curve.y_title), y2="high:Q"
            )
        )
    layers += [
        here.mark_point(filled=True, size=150, opacity=1, color=colour("orange")).encode(
            x="x:Q", y="y:Q", tooltip=tooltip
        ),
        here.mark_text(
            align="left", dx=12, dy=-10, fontWeight="bold", color=colour("orange")
        ).encode(x="x:Q", y="y:Q", text="text:N"),
    ]
    chart = alt.layer(*layers).properties(width="container", height=300)
    spec: dict[str, Any] = chart.to_dict()
    starting = [{"name": name, "value": value} for name, value in _starting(panel).items()]
    signals = [{"name": name, "expr": text} for name, text in program.signals]
    # Results that are nothing but a number or a control have no signal of their own.
    asked = [
        {"name": f"out_{name}", "expr": text}
        for name, text in found.items()
        if "datum." not in text
    ]
    spec["params"] = starting + signals + asked
    spec.pop("$schema", None)
    return spec


def _effects_chart(panel: Panel, values: Sequence[float]) -> dict[str, Any]:
    """Bars of elasticities, whose rows the page replaces."""
    rows = pd.DataFrame(
        {
            "lines": [draw.wrapped(name, draw.LABEL) for name in panel.effects],
            "value": list(values),
            "text": [draw.signed(value) for value in values],
        }
    )
    data = alt.Data(name="effects", values=rows.to_dict("records"))
    base = alt.Chart(data).encode(y=draw.labels())
    x = alt.X(
        "value:Q",
        scale=alt.Scale(nice=False, padding=34),
        axis=alt.Axis(labels=False, grid=False, title=panel.effect_title, titleAnchor="start"),
    )
    positive = "datum.value >= 0"
    bars = base.mark_bar(height={"band": 0.66}, cornerRadiusEnd=2).encode(
        x=x,
        color=alt.condition(
            positive, alt.value(colour("orange")), alt.value(colour("teal"))
        ),
    )
    texts = [
        base.transform_filter(condition)
        .mark_text(align=align, dx=dx, color=INK)
        .encode(x="value:Q", text="text:N")
        for condition, align, dx in ((positive, "left", 6), ("datum.value < 0", "right", -6))
    ]
    chart = alt.layer(bars, *texts).properties(
        width="container", height=draw.rows_height(len(rows), rows["lines"])
    )
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("$schema", None)
    return spec


def _still(spec: Mapping[str, Any]) -> str:
    picture = vl_convert.vegalite_to_svg({**spec, "width": _WIDTH})
    return str(picture).replace("<svg ", '<svg aria-hidden="true" ', 1)


# ---------------------------------------------------------------------------- showing


@dataclass(frozen=True)
class Shown:
    """A panel as a notebook shows it.

    Attributes:
        markup: HTML that needs nothing but itself; the site's script brings it to life.
        text: The same in words.
        checks: Settings and what JAX computes for them, kept in the notebook for tests.
    """

    markup: str
    text: str
    checks: Sequence[Mapping[str, Any]]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        kept = {"llmecon": {"live": list(self.checks)}}
        return {"text/html": self.markup, "text/plain": self.text}, kept


def show(panel: Panel) -> Shown:
    """A panel ready to be the last expression of a cell.

    Args:
        panel: What it asks, controls and computes.

    Returns:
        An object that notebooks display as HTML.

    Raises:
        UntranslatableError: The panel's function uses something that a page can't compute.
    """
    model = _model(panel)
    program = _program(model)
    start = _starting(panel)
    drawn = np.linspace(0.0, 1.0, _POINTS + 1)
    random = _random_settings(panel, _CHECKED)
    along = np.concatenate([drawn, np.random.default_rng(1).uniform(size=len(random))])
    along = np.round(along * _POINTS) / _POINTS
    computed = _evaluate(model, [start] * len(drawn) + random, along)
    first = computed.iloc[0]
    chapter = computed.iloc[: len(drawn)].assign(along=drawn)
    chapter = chapter[np.isfinite(chapter["x"]) & np.isfinite(chapter["y"])]
    curve = _curve_chart(panel, program, chapter)
    values = [float(first[f"effect{i}"]) for i in range(len(panel.effects))]
    bars = _effects_chart(panel, values)
    checks = [
        {"settings": of, "along": float(at), "results": _plain(row)}
        for of, at, (_, row) in zip(
            [start, *random],
            [0.0, *along[len(drawn) :]],
            [(0, first), *computed.iloc[len(drawn) :].iterrows()],
            strict=True,
        )
    ]
    text = "\n".join([panel.question, *(_said(panel, a, first) for a in panel.answers)])
    return Shown(_markup(panel, program, curve, bars, first), text, checks)


def _plain(row: pd.Series) -> dict[str, float | None]:
    return {str(k): float(v) if np.isfinite(v) else None for k, v in row.items()}


def _said(panel: Panel, answer: Answer, row: pd.Series) -> str:
    number, interval = _in_words(panel, answer, row)
    return f"{number}{f' ({interval})' if interval else ''}: {answer.label}"


def _in_words(panel: Panel, answer: Answer, row: pd.Series) -> tuple[str, str]:
    value = float(row[answer.name])
    if row.get("possible", 1.0) <= 0:
        return "–", ""
    interval = ""
    if answer.interval and panel.uncertainty:
        reach = float(np.exp(_NINETY * row["log_sd"]))
        interval = f"90%: {words.span(value / reach, value * reach, answer.unit)}"
    return words.quantity(value, answer.unit), interval


def _declared(panel: Panel) -> Mapping[str, scenario.Parameter]:
    return {p.name: p for p in scenario.chapter(panel.chapter).parameters}


def _markup(
    panel: Panel,
    program: Program,
    curve: Mapping[str, Any],
    bars: Mapping[str, Any],
    first: pd.Series,
) -> str:
    declared = _declared(panel)
    key = panel.chapter
    controls = "".join(_control(panel, c, declared[c.name]) for c in panel.controls)
    answers = "".join(
        f'<div class="llmecon-headline" data-answer="{a.name}"><strong>{html.escape(number)}</strong>'
        f'<br><em class="llmecon-interval">{html.escape(interval)}</em>'
        f"<span>{html.escape(a.label)}</span></div>"
        for a in panel.answers
        for number, interval in [_in_words(panel, a, first)]
    )
    data = {
        "chapter": panel.chapter,
        "possible": "possible" in program.results,
        "curve": curve,
        "bars": bars,
        "controls": [_described(c, declared[c.name]) for c in panel.controls],
        "answers": [
            {"name": a.name, "unit": a.unit, "interval": a.interval and bool(panel.uncertainty)}
            for a in panel.answers
        ],
        "effects": [draw.wrapped(name, draw.LABEL) for name in panel.effects],
        # What the chapter was run with, where that is not what its parameters say.
        "given": {
            name: value
            for name, value in panel.given.items()
            if name in declared and value != declared[name].default
        },
        "sweep": [list(pair) for pair in program.rows],
        "swept": {axis: program.results[axis] for axis in ("x", "y")},
    }
    # "<" is escaped so that no text in the data can end the script element.
    packed = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")

    def picture(name: str, spec: Mapping[str, Any], description: str) -> str:
        return (
            f'<div class="llmecon-view" data-view="{name}" role="img" '
            f'aria-label="{html.escape(description)}">'
            f'<div class="llmecon-static" style="max-width:{_WIDTH + 60}px">{_still(spec)}</div></div>'
        )

    effects = "; ".join(
        f"{name}: {draw.signed(float(first[f'effect{i}']))}" for i, name in enumerate(panel.effects)
    )
    return (
        f'<section class="llmecon-panel" data-panel="{key}" aria-labelledby="{key}-question">'
        f'<p class="llmecon-question" id="{key}-question">{html.escape(panel.question)}</p>'
        f'<form class="llmecon-controls" aria-label="What to change">{controls}</form>'
        f'<div class="llmecon-headlines" role="status">{answers}</div>'
        f'<p class="llmecon-refusal" role="alert" hidden>{html.escape(panel.refusal)}</p>'
        f"{picture('curve', curve, panel.description)}"
        f"{picture('bars', bars, f'{panel.effect_title}. As in the chapter: {effects}')}"
        f'<div class="llmecon-actions"></div>'
        + (f'<p class="llmecon-note">{html.escape(panel.note)}</p>' if panel.note else "")
        + f'<script type="application/json">{packed}</script></section>'
    )


def _control(panel: Panel, control: Slider | Menu, declared: scenario.Parameter) -> str:
    identifier = f"{panel.chapter}-{control.name}"
    label = html.escape(_capital(control.label or declared.help))
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
    shown = html.escape(words.quantity(control.value, _unit(control, declared)))
    return (
        f'<div class="llmecon-control"><label for="{identifier}">{label}</label>'
        f'<output for="{identifier}">{shown}</output>'
        f'<input type="range" id="{identifier}" name="{control.name}" min="0" max="1000" '
        f'step="1" aria-valuetext="{shown}"></div>'
    )


def _described(control: Slider | Menu, declared: scenario.Parameter) -> dict[str, Any]:
    """What the page's script needs to know of a control."""
    if isinstance(control, Menu):
        return {"name": control.name, "entries": list(control.entries), "value": control.value}
    described = {
        "name": control.name,
        "low": control.low,
        "high": control.high,
        "value": control.value,
        "log": control.log,
        "unit": _unit(control, declared),
        "whole": declared.type is int,
    }
    if control.follows:
        menu, values = control.follows
        described["follows"] = {"menu": menu, "values": dict(values)}
    return described


def _unit(control: Slider, declared: scenario.Parameter) -> str:
    return declared.unit if control.unit is None else control.unit


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
