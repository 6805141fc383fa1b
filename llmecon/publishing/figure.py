"""How a chart is shown: as HTML that needs nothing but itself, and comes to life on the site."""

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt
import vl_convert

Chart: TypeAlias = alt.Chart | alt.LayerChart

_STATIC_WIDTH = 640


@dataclass(frozen=True)
class Figure:
    """A chart as a notebook shows it: its text, a static picture, and what makes the picture live.

    Attributes:
        description: What a reader who can't see the chart is told.
        markup: HTML that needs nothing but itself; the site's script turns it into a live chart.
    """

    description: str
    markup: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.markup, "text/plain": self.description}


def show(chart: Chart, description: str) -> Figure:
    """A chart ready to be the last expression of a cell.

    Args:
        chart: Any Altair chart; those of this module bring a title, a key and notes.
        description: Alternative text: what the chart shows and what to see in it.

    Returns:
        An object that notebooks display as HTML.

    Raises:
        ValueError: If the description is empty.
    """
    if not description.strip():
        raise ValueError("a chart needs a description for readers who can't see it")
    spec = chart.to_dict()
    spec["description"] = description
    title = spec.pop("title", {})
    title = title if isinstance(title, dict) else {"text": title}
    meta = spec.pop("usermeta", {})
    spec.pop("$schema", None)

    still = dict(spec)
    if still.get("width") == "container":
        still["width"] = _STATIC_WIDTH
        still.pop("autosize", None)
    picture = vl_convert.vegalite_to_svg(still)
    picture = picture.replace("<svg ", '<svg aria-hidden="true" ', 1)

    head = "".join(
        f'<{tag} class="llmecon-{name}">{text}</{tag}>'
        for tag, name, text in (
            ("strong", "title", html.escape(_joined(title.get("text")))),
            ("span", "subtitle", html.escape(_joined(title.get("subtitle")))),
            ("span", "key", _key(meta.get("key", []))),
        )
        if text
    )
    foot = f'<p class="llmecon-note">{html.escape(meta["note"])}</p>' if meta.get("note") else ""
    # "<" is escaped so that no text in the data can end the script element.
    data = json.dumps(spec, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    markup = (
        '<figure class="llmecon-figure">'
        + (f"<figcaption>{head}</figcaption>" if head else "")
        + f'<div class="llmecon-chart" role="img" aria-label="{html.escape(description)}">'
        + f'<div class="llmecon-static" style="max-width:{_STATIC_WIDTH + 60}px">{picture}</div>'
        + f'<script type="application/json">{data}</script></div>{foot}</figure>'
    )
    return Figure(description, markup)


def _joined(text: object) -> str:
    return " ".join(text) if isinstance(text, list) else str(text or "")


def _key(entries: Iterable[Sequence[str]]) -> str:
    return "".join(
        '<span class="llmecon-entry">'
        + (
            f'<span class="llmecon-swatch" style="background:{html.escape(tint)}"></span>'
            if tint
            else ""
        )
        + f"{html.escape(name)}</span>"
        for name, tint in entries
    )
