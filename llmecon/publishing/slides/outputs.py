"""What a cell of an executed notebook shows: figures, tables, headline numbers, panels, prose."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bs4 import BeautifulSoup, Tag


@dataclass(frozen=True)
class Figure:
    """A chart with the text around it.

    Attributes:
        title: What it finds, as HTML; may be empty.
        subtitle: What is measured, as HTML.
        key: The colour key, as HTML.
        unit: Unit of the values, as HTML.
        note: What the chart leaves out, as HTML.
        description: What a reader who can't see it is told.
        specification: The chart for Vega-Lite, as JSON that is safe inside HTML.
        height: Height of its still picture [px].
    """

    title: str
    subtitle: str
    key: str
    unit: str
    note: str
    description: str
    specification: str
    height: float


@dataclass(frozen=True)
class Table:
    """A table: its caption, the names of its columns, and its rows, all as HTML."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cards:
    """Headline numbers, each as HTML."""

    cards: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """A live panel: its question as text, and all of it as HTML."""

    question: str
    markup: str


@dataclass(frozen=True)
class Guess:
    """A question that asks for a guess, and its answer, both as HTML."""

    question: str
    answer: str


@dataclass(frozen=True)
class Exercise:
    """An exercise: what it is called and takes, its question and its solution as Markdown."""

    title: str
    takes: str
    question: str
    solution: str


@dataclass(frozen=True)
class Quiz:
    """A question with its choices and the right one's explanation, all as HTML."""

    question: str
    choices: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Prose:
    """Sentences that follow the numbers, as Markdown."""

    markdown: str


# As `publishing.exercises` writes it: a heading, the question, a box for the answer, the solution.
_EXERCISE = re.compile(
    r'<div class="llmecon-exercise"[^>]*>\s*'
    r"\*\*(?P<title>.*?)\.\*\*\s*(?:\*(?P<takes>[^*\n]*?)\.\*)?\n+"
    r"(?P<question>.*?)\n+(?:<form .*?</form>\s*)?"
    r"<details[^>]*><summary>[^<]*</summary>(?P<solution>.*?)</details>",
    re.DOTALL,
)

Shown: TypeAlias = Figure | Table | Cards | Panel | Guess | Exercise | Quiz | Prose


def shown(cell: Mapping[str, Any]) -> Iterator[Shown]:
    """What a code cell's outputs show, in their order.

    Args:
        cell: A cell of an executed notebook.

    Yields:
        What slides can show of it; other outputs, such as plain text, are passed over.
    """
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        markup = _joined(data.get("text/html", ""))
        if "llmecon-" in markup[:200]:
            soup = BeautifulSoup(markup, "html.parser")
            for part in soup.find_all(True, recursive=False):
                kind = " ".join(part.get("class") or ())
                if kind == "llmecon-quiz":
                    yield from _quiz(part)
                elif kind in _READERS:
                    yield _READERS[kind](part)
        elif "text/markdown" in data:
            markdown = _joined(data["text/markdown"])
            exercise = _EXERCISE.match(markdown)
            yield Exercise(**exercise.groupdict()) if exercise else Prose(markdown)


def printed(cell: Mapping[str, Any]) -> str:
    """What a code cell printed."""
    streams = [output for output in cell.get("outputs", ()) if output["output_type"] == "stream"]
    return "".join(_joined(of["text"]) for of in streams if of["name"] == "stdout").strip()


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _inside(part: Tag, selector: str) -> str:
    found = part.select_one(selector)
    return found.decode_contents().strip() if found else ""


def _figure(part: Tag) -> Figure:
    chart, script = part.select_one(".llmecon-chart"), part.select_one("script")
    assert chart is not None
    assert script is not None
    picture = part.select_one(".llmecon-static svg")
    box = str(picture.get("viewbox") or picture.get("viewBox") or "") if picture else ""
    return Figure(
        title=_inside(part, ".llmecon-title"),
        subtitle=_inside(part, ".llmecon-subtitle"),
        key=_inside(part, ".llmecon-key"),
        unit=_inside(part, ".llmecon-unit"),
        note=_inside(part, ".llmecon-note"),
        description=str(chart.get("aria-label", "")),
        specification=script.string or "",
        height=float(box.split()[3]) if box else 0.0,
    )


def _table(part: Tag) -> Table:
    rows = part.select("tbody tr")
    return Table(
        caption=_inside(part, ".llmecon-caption"),
        head=tuple(cell.decode_contents().strip() for cell in part.select("thead th")),
        rows=tuple(tuple(c.decode_contents().strip() for c in r.select("th, td")) for r in rows),
    )


def _cards(part: Tag) -> Cards:
    return Cards(tuple(str(card) for card in part.select(".llmecon-headline")))


def _panel(part: Tag) -> Panel:
    question = part.select_one(".llmecon-question")
    # To reveal.js a section is a slide.
    part.name = "div"
    part["role"] = "region"
    return Panel(html.escape(question.get_text()) if question else "", str(part))


def _guess(part: Tag) -> Guess:
    answer = part.select_one("details > p:not(.llmecon-verdict)")
    return Guess(
        question=_inside(part, ".llmecon-question"),
        answer=answer.decode_contents().strip() if answer else "",
    )


def _quiz(part: Tag) -> Iterator[Quiz]:
    answers = [of.decode_contents().strip() for of in part.select("details li")]
    forms = part.select("form")
    for form, answer in zip(forms, answers, strict=True):
        question = re.sub(r"^\d+\.\s*", "", _inside(form, "legend"))
        choices = tuple(of.decode_contents().strip() for of in form.select("label > span"))
        yield Quiz(question, choices, answer)


_READERS: Mapping[str, Any] = {
    "llmecon-figure": _figure,
    "llmecon-tabled": _table,
    "llmecon-headlines": _cards,
    "llmecon-panel": _panel,
    "llmecon-guess": _guess,
}

_NUMBER = re.compile(r"^(?:\u2013|[+\u2212-]?[\d.,]+%?)$")


def is_number(cell: str) -> bool:
    """Whether a cell of a table holds a number, or a dash in its place."""
    return bool(_NUMBER.match(cell.strip()))
