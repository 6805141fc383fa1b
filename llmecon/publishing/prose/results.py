"""What a notebook shows beside charts: headline numbers, prose and tables."""

import html
import re
from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import quote

import pandas as pd
from IPython.display import Markdown, display

from llmecon.publishing import prose
from llmecon.publishing.prose import provenance, stored
from llmecon.publishing.prose.stored import Headline, cards, told

_SOURCE = re.compile(rf"({prose.source('@').replace('@', '[A-Za-z0-9]+')})")

__all__ = ["Headline", "headline", "headlines", "say", "table", "told"]


def headline(
    name: str,
    value: float | None,
    *,
    unit: str = "",
    label: str,
    text: str = "",
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Show one headline number and store it in the notebook; arguments as in `Headline`."""
    headlines([Headline(name, value, unit, label, text, low, high)])


def headlines(row: Sequence[Headline]) -> None:
    """Show headline numbers side by side and store them in the notebook.

    Args:
        row: The numbers, most important first.
    """
    display(
        {
            "text/html": cards(row),
            "text/markdown": without_tags(
                "\n".join(f"- **{h.text}** {_in_brackets(h)}{h.label}" for h in row)
            ),
            "text/plain": "\n".join(f"{h.text}: {_in_brackets(h)}{h.label}" for h in row),
        },
        metadata={stored.HEADLINES: [asdict(h) for h in row]},
        raw=True,
    )


def _in_brackets(headline: Headline) -> str:
    return f"({headline.interval}) " if headline.interval else ""


def say(markdown: str) -> None:
    """Show prose that was computed from the parameters.

    Args:
        markdown: The prose, in Markdown; what looks like HTML in it, such as a name from
            somebody's table, is text, but for the sources that `prose.cited` names.
    """
    display(Markdown(without_tags(markdown)))


def without_tags(markdown: str) -> str:
    """Markdown in which nothing is HTML but the sources that `prose.cited` names."""
    parts = _SOURCE.split(markdown)
    parts[::2] = [re.sub(r"<(?=[A-Za-z/!?])", "&lt;", part) for part in parts[::2]]
    return "".join(parts)


def table(frame: pd.DataFrame, label: str, data: provenance.Provenance | None = None) -> None:
    """Show a table below its caption; it scrolls inside its own box on a narrow screen.

    Args:
        frame: Its cells as a reader should see them; numbers already in words.
        label: What the table holds, its caption.
        data: What its numbers rest on.
    """
    rows = frame.to_html(index=False, border=0, justify="left", na_rep="–")
    name = re.sub(r"\W+", "-", label.lower()).strip("-")
    address = f"data:text/csv;charset=utf-8,{quote(frame.to_csv(index=False), safe='')}"
    display(
        {
            "text/html": '<div class="llmecon-tabled"><p class="llmecon-caption" '
            f'aria-hidden="true">{html.escape(label)}</p><div class="llmecon-scroll" role="region" '
            f'tabindex="0" aria-label="{html.escape(label)}">{rows}</div>'
            f'<a class="llmecon-csv" download="{name}.csv" href="{address}">CSV</a>'
            f"{provenance.markup(data) if data else ''}</div>",
            "text/plain": frame.to_string(index=False),
        },
        raw=True,
    )
