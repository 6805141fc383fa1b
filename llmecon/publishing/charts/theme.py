"""The charts' theme: colours that follow the page, and the look of text, axes and lines."""

from collections.abc import Iterable

import altair as alt

PALETTE: dict[str, str] = {
    "blue": "#2457c5",
    "orange": "#ab5c13",
    "teal": "#076a62",
    "purple": "#763790",
    "ochre": "#6b4c00",
    "magenta": "#bc3e8f",
    "red": "#ab2e47",
    "slate": "#242737",
}
"""Colours on a light page; `_static/llmecon.css` holds the same names for light and dark pages."""

_HUES = {
    "nvidia": "teal",
    "amd": "red",
    "google": "blue",
    "aws": "orange",
    "amazon": "orange",
    "intel": "purple",
    "huawei": "magenta",
    "apple": "slate",
    "groq": "ochre",
    "cerebras": "ochre",
    "llama": "blue",
    "meta": "blue",
    "deepseek": "purple",
    "qwen": "magenta",
    "alibaba": "magenta",
    "mistral": "orange",
    "mixtral": "orange",
    "gemma": "teal",
    "gemini": "teal",
    "gpt": "slate",
    "openai": "slate",
    "claude": "ochre",
    "anthropic": "ochre",
    "kimi": "red",
    "moonshot": "red",
}

_FONT = (
    'Inter, "SF Pro Text", -apple-system, "Segoe UI", Roboto, "Helvetica Neue", '
    '"Liberation Sans", Arial, sans-serif'
)
GRID = "var(--llmecon-grid, #e1e5ec)"
QUIET = "var(--llmecon-quiet, #5a6372)"
INK = "currentColor"
SURFACE = "var(--llmecon-surface, #ffffff)"


def colour(name: str) -> str:
    """The CSS colour of a palette entry, which follows the page's theme.

    Args:
        name: A key of `PALETTE`.

    Returns:
        A `var(...)` with the light theme's value as its fallback.
    """
    return f"var(--llmecon-{name}, {PALETTE[name]})"


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: vendors and model families always get the same one.

    Args:
        names: Vendors, model families, or anything else, in order of importance.

    Returns:
        Palette names by given name; names unknown to the house take what is left, in order.
    """
    chosen: dict[str, str] = {}
    unknown = []
    for name in dict.fromkeys(names):
        hue = next((h for word, h in _HUES.items() if name.casefold().startswith(word)), None)
        if hue is not None and hue not in chosen.values():
            chosen[name] = hue
        else:
            unknown.append(name)
    spare = [hue for hue in PALETTE if hue not in chosen.values()] or list(PALETTE)
    chosen |= {name: spare[i % len(spare)] for i, name in enumerate(unknown)}
    return chosen


@alt.theme.register("llmecon", enable=True)
def theme() -> alt.theme.ThemeConfig:
    """The look that every chart shares."""
    return {
        "config": {
            "background": "transparent",
            "padding": {"left": 0, "right": 2, "top": 5, "bottom": 5},
            "font": _FONT,
            "view": {"stroke": None},
            "axis": {
                "labelColor": QUIET,
                "titleColor": QUIET,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "gridColor": GRID,
                "domain": False,
                "ticks": False,
                "labelPadding": 6,
                "titlePadding": 8,
                "labelLimit": 0,
                # The first and the last number stand at their places too.
                "labelFlush": False,
                "labelSeparation": 5,
                "titleLimit": 0,
            },
            "text": {"font": _FONT, "fontSize": 12, "fill": INK},
            "line": {"strokeWidth": 2.5, "strokeCap": "round", "strokeJoin": "round"},
            "rule": {"color": QUIET},
        }
    }
