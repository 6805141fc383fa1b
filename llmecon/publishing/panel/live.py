"""Live panels: a model's answer, its main curve and its elasticities, recomputed on the page.

A panel is declared in a few lines: its controls, what the catalogue says for the entries chosen in
its menus, and a function of both (see `panel`). The function and its gradient are traced and
written as Vega expressions (`translate`), which Altair's chart carries; `book/_static/live.js`
connects the controls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from llmecon.publishing.panel.declaration import (
    Answer,
    Curve,
    Lookup,
    Menu,
    Panel,
    Settings,
    Slider,
    lookup,
)
from llmecon.publishing.panel.model import evaluate, model_of, program_of, random_settings, starting
from llmecon.publishing.panel.translate import Traced, trace
from llmecon.publishing.panel.view import POINTS, curve_chart, effects_chart, in_words, markup
from llmecon.publishing.prose import stored

__all__ = [
    "Answer",
    "Curve",
    "Lookup",
    "Menu",
    "Panel",
    "Settings",
    "Shown",
    "Slider",
    "Traced",
    "lookup",
    "show",
    "trace",
]

_CHECKED = 24  # random settings at which JAX's values are kept, for tests in a browser


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
        kept = {stored.PANEL: list(self.checks)}
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
    model = model_of(panel)
    program = program_of(model)
    start = starting(panel)
    drawn = np.linspace(0.0, 1.0, POINTS + 1)
    random = random_settings(panel, _CHECKED)
    along = np.concatenate([drawn, np.random.default_rng(1).uniform(size=len(random))])
    along = np.round(along * POINTS) / POINTS
    computed = evaluate(model, [start] * len(drawn) + random, along)
    first = computed.iloc[0]
    chapter = computed.iloc[: len(drawn)].assign(along=drawn)
    chapter = chapter[np.isfinite(chapter["x"]) & np.isfinite(chapter["y"])]
    curve = curve_chart(panel, program, chapter)
    values = [float(first[f"effect{i}"]) for i in range(len(panel.effects))]
    bars = effects_chart(panel, values)
    checks = [
        {"settings": of, "along": float(at), "results": _plain(row)}
        for of, at, (_, row) in zip(
            [start, *random],
            [0.0, *along[len(drawn) :]],
            [(0, first), *computed.iloc[len(drawn) :].iterrows()],
            strict=True,
        )
    ]
    text = "\n".join([panel.question, *(_said(a, first) for a in panel.answers)])
    return Shown(markup(panel, program, curve, bars, first, chapter), text, checks)


def _plain(row: pd.Series) -> dict[str, float | None]:
    return {str(k): float(v) if np.isfinite(v) else None for k, v in row.items()}


def _said(answer: Answer, row: pd.Series) -> str:
    number, interval = in_words(answer, row)
    return f"{number}{f' ({interval})' if interval else ''}: {answer.label}"
