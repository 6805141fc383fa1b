"""The HTML of slides' bodies, and how much of it a slide can hold."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from llmecon.publishing.slides import outputs, text

MOST_CARDS = 8
MOST_TERMS = 3
LONGEST_TITLE = 130  # characters

TALL = 520.0  # height of a chart from which it has the slide's whole height [px]

# Of a table.
_MOST_ROWS, _MOST_COLUMNS, _MOST_SLIDES = 20, 10, 2
_LINES = 19.0  # of text below the head of a table on one slide
_LINE = 112  # characters across a slide
_BETWEEN = 0.55  # of a line: the room between two rows

T = TypeVar("T")


def portions(things: Sequence[T], most: int) -> list[list[T]]:
    """Things in as few portions as possible, of at most `most` and alike in size."""
    count = math.ceil(len(things) / most)
    size = math.ceil(len(things) / count) if count else 1
    return [list(things[i : i + size]) for i in range(0, len(things), size)]


def capital(markup: str) -> str:
    """A text that starts with a capital letter, unless it starts with markup."""
    return markup[:1].upper() + markup[1:]


def listed(names: Sequence[str]) -> str:
    """Names joined as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def paragraph(kind: str, markup: str) -> str:
    """A paragraph of its own class."""
    return f'<p class="{kind}">{markup}</p>'


def bullets(items: Sequence[str]) -> str:
    """A list, of each item what is bold in it, or its first sentence; a single one is no list."""
    if len(items) == 1:
        return paragraph("lead", _gist(items[0]))
    return f"<ul>{''.join(f'<li>{_gist(item)}</li>' for item in items)}</ul>"


def _gist(item: str) -> str:
    bold = re.match(r"<strong>(.*?)</strong>", item, re.DOTALL)
    return (bold[1] if bold else text.sentences(item)[0]).rstrip(".:,;")


def terms(names: Sequence[str], meanings: Sequence[str]) -> str:
    """Words and what they mean; a single one is the slide's title already."""
    if len(names) == 1:
        return paragraph("meaning", meanings[0])
    pairs = zip(names, meanings, strict=True)
    rows = "".join(f"<dt>{html.escape(capital(n))}</dt><dd>{m}</dd>" for n, m in pairs)
    return f"<dl>{rows}</dl>"


def formula(lead: str, formulas: str, letters: str) -> str:
    """A formula between what leads to it and what its letters are."""
    return (
        (paragraph("lead", lead) if lead else "")
        + formulas
        + (paragraph("letters", letters) if letters else "")
    )


def code(source: str, printed: str) -> str:
    """Python, in colours, and what it printed."""
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.python import PythonLexer

    coloured = str(highlight(source.strip(), PythonLexer(), HtmlFormatter(cssclass="highlight")))
    return coloured + (f'<pre class="printed">{html.escape(printed)}</pre>' if printed else "")


def given(markup: str) -> str:
    """What a text quotes, such as a file, letter by letter."""
    return f'<div class="highlight"><pre>{markup}</pre></div>'


def cards(numbers: Sequence[str]) -> str:
    """Headline numbers side by side."""
    return f'<div class="llmecon-headlines of-{len(numbers)}">{"".join(numbers)}</div>'


def guess(asked: outputs.Guess) -> str:
    """The answer to a question, shown once the room has guessed."""
    return f'<p class="guess">What is your guess?</p><p class="fragment answer">{asked.answer}</p>'


def exercise(takes: str, question: str) -> str:
    """An exercise's question, below what it takes."""
    return (paragraph("takes", takes) if takes else "") + question


def quiz(asked: outputs.Quiz) -> str:
    """The choices, and the answer, shown once the room has chosen."""
    choices = "".join(f"<li>{choice}</li>" for choice in asked.choices)
    return f'<ol class="choices">{choices}</ol><p class="fragment why">{asked.answer}</p>'


def panel(live: outputs.Panel) -> str:
    """A live panel as the page has it."""
    return live.markup


def is_tall(drawn: outputs.Figure) -> bool:
    """Whether a chart is so high that it needs the whole height, and can't be cut into columns."""
    return drawn.height > TALL and '"field":"lines"' not in drawn.specification


def finding(drawn: outputs.Figure) -> tuple[str, outputs.Figure]:
    """A chart's title, and the chart; of a long title what follows a semicolon stands below it."""
    first, _, rest = drawn.title.partition("; ")
    if not rest or len(text.plain(drawn.title)) <= LONGEST_TITLE:
        return drawn.title, drawn
    return first, replace(drawn, subtitle=f"{capital(rest)}. {capital(drawn.subtitle)}")


def figure(drawn: outputs.Figure) -> str:
    """A chart with its key and unit; the script of the slides draws it."""
    head = "".join(
        f'<span class="llmecon-{name}">{markup}</span>'
        for name, markup in (
            ("subtitle", drawn.subtitle),
            ("key", drawn.key),
            ("unit", drawn.unit),
        )
        if markup
    )
    note = paragraph("llmecon-note", drawn.note) if drawn.note else ""
    return (
        f'<div class="about">{head}</div>'
        f'<div class="chart" role="img" aria-label="{html.escape(drawn.description)}">'
        f'<script type="application/json">{drawn.specification}</script></div>{note}'
    )


def tables(table: outputs.Table) -> list[str]:
    """A table on as many slides as it takes; none if it is one to look things up in."""
    if len(table.rows) > _MOST_ROWS or len(table.head) > _MOST_COLUMNS:
        return []
    lines = [_lines(table, row) for row in table.rows]
    count = math.ceil(sum(lines) / _LINES)
    if count > _MOST_SLIDES:
        return []
    # All slides hold about as much.
    filled = 0.0
    parts: list[list[tuple[str, ...]]] = []
    for row, high in zip(table.rows, lines, strict=True):
        if len(parts) < 1 + min(count - 1, int(filled * count / sum(lines))):
            parts.append([])
        parts[-1].append(row)
        filled += high
    return [_table(table, rows) for rows in parts]


def _lines(table: outputs.Table, row: Sequence[str]) -> float:
    """How many lines a row takes where columns share a slide's width as browsers share it."""
    longest = [
        max(len(text.plain(of[i])) for of in (table.head, *table.rows) if i < len(of))
        for i in range(len(table.head))
    ]
    room = _LINE - 3 * len(longest)
    share = [room * min(long, 40) / sum(min(long, 40) for long in longest) for long in longest]
    taken = [len(text.plain(c)) / max(s, 1.0) for c, s in zip(row, share, strict=True)]
    return max(1.0, *(math.ceil(part) for part in taken)) + _BETWEEN


def _table(table: outputs.Table, rows: Sequence[Sequence[str]]) -> str:
    numeric = [
        all(outputs.is_number(text.plain(row[i])) for row in table.rows)
        for i in range(len(table.head))
    ]

    def kind(column: int) -> str:
        return ' class="number"' if numeric[column] else ""

    head = "".join(f'<th scope="col"{kind(i)}>{of}</th>' for i, of in enumerate(table.head))
    body = "".join(
        f"<tr>{''.join(f'<td{kind(i)}>{c}</td>' for i, c in enumerate(row))}</tr>" for row in rows
    )
    small = " wide" if len(table.head) > 6 else ""
    return f'<table class="rows{small}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
