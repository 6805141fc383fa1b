"""How a chart is shown: as HTML that needs nothing but itself, and comes to life on the site."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import altair as alt
import fontpkg_inter
import vl_convert

from llmecon.publishing.prose import provenance

Chart: TypeAlias = alt.Chart | alt.LayerChart

_STATIC_WIDTH = 640

# The page's own font, so that text is measured alike wherever the book is built.
vl_convert.register_font_directory(str(fontpkg_inter.ROOT / "files"))


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


def show(chart: Chart, description: str, data: provenance.Provenance | None = None) -> Figure:
    """A chart ready to be the last expression of a cell.

    Args:
        chart: Any Altair chart; those of this module bring a title, a key and notes.
        description: Alternative text: what the chart shows and what to see in it.
        data: What its numbers rest on.

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
    picture = picture.replace(">", "><style>text { paint-order: stroke }</style>", 1)

    head = "".join(
        f'<{tag} class="llmecon-{name}">{text}</{tag}>'
        for tag, name, text in (
            ("strong", "title", html.escape(_joined(title.get("text")))),
            ("span", "subtitle", html.escape(_joined(title.get("subtitle")))),
            ("span", "key", _key(meta.get("key", []))),
            ("span", "unit", html.escape(meta.get("unit", ""))),
        )
        if text
    )
    foot = f'<p class="llmecon-note">{html.escape(meta["note"])}</p>' if meta.get("note") else ""
    sources = provenance.markup(data) if data else ""
    datasets = spec.pop("datasets", {})
    spec["datasets"] = {name: _packed(rows) for name, rows in datasets.items()}
    # "<" is escaped so that no text in the data can end the script element.
    text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    for place, name in enumerate(datasets):
        text = text.replace(f'"{name}"', f'"rows{place}"')
    markup = (
        '<figure class="llmecon-figure">'
        + (f"<figcaption>{head}</figcaption>" if head else "")
        + f'<div class="llmecon-chart" role="img" aria-label="{html.escape(description)}">'
        + f'<div class="llmecon-static" style="max-width:{_STATIC_WIDTH + 60}px">{picture}</div>'
        + f'<script type="application/json">{text}</script></div>{foot}{sources}</figure>'
    )
    return Figure(description, markup)


def _packed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows by column, in the shortest of three ways; the site's script unpacks them.

    A column is a list, or its distinct values `of` with the place of each row `at`, or the same by
    runs of equal rows, whose lengths are `runs`.
    """
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [_short(row.get(name)) for row in rows]
        keys = [json.dumps(value) for value in values]
        distinct = dict(zip(keys, values, strict=True))
        places = {key: place for place, key in enumerate(distinct)}
        at = [places[key] for key in keys]
        runs = [(place, len(list(run))) for place, run in groupby(at)]
        columns[name] = min(
            values,
            {"of": list(distinct.values()), "at": at},
            {
                "of": list(distinct.values()),
                "at": [place for place, _ in runs],
                "runs": [length for _, length in runs],
            },
            key=lambda of: len(json.dumps(of)),
        )
    return columns


def _short(value: Any) -> Any:
    """A whole number without the decimal that JSON would give a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
