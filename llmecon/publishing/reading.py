"""How long a chapter takes to read: counted from its executed notebook, not guessed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IN_DEPTH = "in-depth"
"""The tag of what a chapter can be read without, and which folds on its page."""

WORDS_A_MINUTE = 200.0
"""What is read of a text that explains."""

MINUTES_A_FIGURE = 1.0
"""What a figure, a table or a live panel takes to be understood."""

HEADING = re.compile(r"^(#{1,6}) \S")
"""A heading of Markdown; its first group is as long as the heading is deep."""

_STEP = 5
_LOOKED_AT = re.compile(r'class="llmecon-(?:figure|tabled|panel)"')
_ANSWERED = 'class="llmecon-exercise"'  # its minutes are told with it
_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")
_TARGET = re.compile(r"\]\([^)]*\)|\{[a-z:]+\}")  # of links, and the names of roles
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Minutes:
    """What reading takes.

    Args:
        in_sight: What the page shows as it opens [min].
        folded: What it shows besides once everything is unfolded [min].
    """

    in_sight: float
    folded: float


def minutes(cells: Sequence[Mapping[str, Any]]) -> Minutes:
    """How long a chapter takes to read, without its exercises.

    Args:
        cells: The cells of its executed notebook.
    """
    spent = {False: 0.0, True: 0.0}
    depth: int | None = None  # of the folded section's heading
    for cell in cells:
        tagged = IN_DEPTH in cell["metadata"].get("tags", ())
        if cell["cell_type"] == "markdown":
            for place, block in enumerate(re.split(r"\n\s*\n", "".join(cell["source"]))):
                opens = place == 0 and tagged
                if (heading := HEADING.match(block)) and (
                    opens or (depth is not None and len(heading[1]) <= depth)
                ):
                    depth = len(heading[1]) if opens else None
                # A folded section's heading and first paragraph stay in sight.
                kept = tagged and place <= 1
                spent[depth is not None and not kept] += _words(block) / WORDS_A_MINUTE
        else:
            spent[tagged or depth is not None] += sum(_looked_at(cell))
    return Minutes(spent[False], spent[True])


def _looked_at(cell: Mapping[str, Any]) -> Iterator[float]:
    if not {"hide-input", "remove-input"} & set(cell["metadata"].get("tags", ())):
        yield _words("".join(cell["source"])) / WORDS_A_MINUTE
    for output in cell.get("outputs", ()):
        shown = output.get("data", {})
        page = "".join(shown.get("text/html", ""))
        text = page or "".join(shown.get("text/markdown", output.get("text", "")))
        if figures := len(_LOOKED_AT.findall(page)):
            yield figures * MINUTES_A_FIGURE
        elif _ANSWERED not in text:
            yield _words(text) / WORDS_A_MINUTE


def _words(text: str) -> int:
    return len(_WORD.findall(_TAG.sub(" ", _TARGET.sub(" ", text))))


def sentence(cells: Sequence[Mapping[str, Any]], exercises: float) -> str:
    """How long a chapter takes, as a page says it after "Reading takes".

    Args:
        cells: As in `minutes`.
        exercises: What its exercises take together [min].
    """
    found = minutes(cells)
    parts = [f"about {_rounded(found.in_sight)} minutes"]
    if found.folded >= _STEP / 2:
        parts.append(f"what is folded about {_rounded(found.folded)} more")
    if exercises:
        parts.append(f"the exercises about {_rounded(exercises)}")
    *first, last = parts
    return f"{', '.join(first)}{' and ' if first else ''}{last}"


def _rounded(time: float) -> int:
    return max(_STEP, _STEP * round(time / _STEP))
