"""Headline numbers: declared in a notebook, stored in its outputs, collected from there."""

import html
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import nbformat
import pandas as pd
from IPython.display import Markdown, display

from llmecon.publishing import provenance, words
from llmecon.studies.quantities import Quantity

_KEY = "llmecon"


@dataclass(frozen=True)
class Headline:
    """One computed number that a chapter stands for.

    Args:
        name: Identifier, unique in the chapter.
        value: The number, in `unit`; None where `text` says why there is none.
        unit: Unit of `value`, as `llmecon.publishing.words.quantity` understands it.
        label: What the number is, in a few words.
        text: The number as shown; by default `value` and `unit` in words.
        low: Lower end of its 90% interval, in `unit`; None where there is no interval.
        high: Upper end.

    Raises:
        ValueError: The value is not finite and no text explains why, or the interval has one end
            only, or does not hold the value.
    """

    name: str
    value: float | None
    unit: str
    label: str
    text: str = ""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        value = math.nan if self.value is None else float(self.value)
        if not math.isfinite(value) and not self.text:
            raise ValueError(f"headline {self.name!r} is {value}: give it a text that says why")
        object.__setattr__(self, "value", value if math.isfinite(value) else None)
        if not self.text:
            object.__setattr__(self, "text", words.quantity(value, self.unit))
        self._check_interval()

    def _check_interval(self) -> None:
        if self.low is None and self.high is None:
            return
        if self.low is None or self.high is None:
            raise ValueError(f"headline {self.name!r} has one end of an interval: give it both")
        low, high = float(self.low), float(self.high)
        # NaN compares false, so this also refuses what is not a number.
        if self.value is None or not -math.inf < low <= self.value <= high < math.inf:
            raise ValueError(
                f"headline {self.name!r} is {self.value}, outside its interval {low} to {high}: "
                "give it an interval that holds it, or none"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def interval(self) -> str:
        """Its 90% interval in words, such as "90%: 210 to 350 xPUs"; empty where there is none.

        Empty, too, where it is narrower than the number is rounded.
        """
        if self.low is None or self.high is None or self.value is None:
            return ""
        full = self.value.is_integer() and self.text.startswith(f"{self.value:,.0f}")
        said = words.interval(self.value, self.low, self.high, self.unit, full)
        return f"90%: {said}" if said else ""


def told(quantities: Iterable[Quantity]) -> list[Headline]:
    """A study's numbers as headline numbers.

    Args:
        quantities: in the order shown.
    """
    return [
        Headline(of.name, of.value, of.unit, of.label, low=of.low, high=of.high)
        for of in quantities
    ]


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


def cards(row: Sequence[Headline]) -> str:
    """Headline numbers as HTML.

    Args:
        row: The numbers, in the order shown.
    """
    made = "".join(
        f'<div class="llmecon-headline"><strong>{html.escape(h.text)}</strong><br>'
        + (f'<em class="llmecon-interval">{html.escape(h.interval)}</em><br>' if h.interval else "")
        + f"<span>{html.escape(h.label)}</span></div>"
        for h in row
    )
    return f'<div class="llmecon-headlines">{made}</div>'


def headlines(row: Sequence[Headline]) -> None:
    """Show headline numbers side by side and store them in the notebook.

    Args:
        row: The numbers, most important first.
    """
    display(
        {
            "text/html": cards(row),
            "text/markdown": _without_tags(
                "\n".join(f"- **{h.text}** {_in_brackets(h)}{h.label}" for h in row)
            ),
            "text/plain": "\n".join(f"{h.text}: {_in_brackets(h)}{h.label}" for h in row),
        },
        metadata={_KEY: [asdict(h) for h in row]},
        raw=True,
    )


def _in_brackets(of: Headline) -> str:
    return f"({of.interval}) " if of.interval else ""


def say(markdown: str) -> None:
    """Show prose that was computed from the parameters.

    Args:
        markdown: The prose, in Markdown; what looks like HTML in it, such as a name from
            somebody's table, is text.
    """
    display(Markdown(_without_tags(markdown)))


def _without_tags(markdown: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", markdown)


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


def collect(notebook: Path) -> list[Headline]:
    """The headline numbers of an executed notebook, in the order shown.

    Args:
        notebook: Path of the executed notebook.

    Raises:
        ValueError: Two headline numbers share a name.
    """
    found: dict[str, Headline] = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", ()):
            for stored in output.get("metadata", {}).get(_KEY, ()):
                if stored["name"] in found:
                    raise ValueError(
                        f"{notebook.name}: two headline numbers named {stored['name']!r}"
                    )
                found[stored["name"]] = Headline(**stored)
    return list(found.values())


def write_table(chapters: Iterable[tuple[str, Path]], table: Path) -> None:
    """Write the headline numbers of several chapters as one JSON list.

    Args:
        chapters: Slug and executed notebook of each chapter.
        table: JSON file to write: a list of chapter, name, value, unit, label, text,
            low, high.
    """
    rows = [
        {"chapter": slug, **asdict(headline)}
        for slug, notebook in chapters
        for headline in collect(notebook)
    ]
    table.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
