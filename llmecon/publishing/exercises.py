"""An exercise as a notebook shows it: the question, a box that judges an answer, the solution.

All of it is one Markdown output, so that every viewer shows the question and the solution. On the
site and in a report, `book/_static/exercises.js` brings the box to life; it judges as
`teaching.judge` does, from numbers and sentences that the box carries in a form that nobody reads
by accident. Where no script runs there is no box.
"""

import base64
import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from llmecon import teaching, words
from llmecon.publishing import prose
from llmecon.teaching import judging
from llmecon.teaching.checking import computed_key
from llmecon.teaching.records import Exercise, Key, Kind

FOLDER = "exercises"
"""Where the words of exercises stand, within `notebooks/prose`."""

KINDS: Mapping[Kind, str] = {
    "recall": "from memory",
    "paper": "on paper",
    "code": "in code",
    "panel": "with the live panel",
    "open": "in your own words",
}
"""What an exercise takes, in words."""

_FENCE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NO_ANSWER = "Under these parameters this exercise has no answer."


def show(identifier: str, study: Any) -> None:
    """Show an exercise of a chapter.

    Args:
        identifier: its id, such as `xpu-needs-3`.
        study: the chapter's.
    """
    from IPython.display import Markdown, display

    display(Markdown(markdown(teaching.exercise(identifier), study)))


def markdown(of: Exercise, study: Any) -> str:
    """The exercise as Markdown with HTML around its parts.

    Args:
        of: the exercise.
        study: the chapter's.
    """
    head = (
        f"**Exercise {of.number}: {of.title}.** "
        f"*{KINDS[of.kind].capitalize()}, about {words.count(of.minutes, 'minute')}.*"
    )
    parts = [
        f'<div class="llmecon-exercise" id="{of.id}" role="group" '
        f'aria-label="Exercise {of.number}">',
        head,
    ]
    key = computed_key(of, study)
    if key and not math.isfinite(key.answer):
        return "\n\n".join([*parts, _NO_ANSWER, "</div>"])
    parts.append(_text(of, "question", study, key))
    if key:
        parts.append(box(of, key))
    # A rubric gives nothing away, so it is printed.
    kind, folded = ("solution", "Solution") if key else ("rubric", "How it is judged")
    parts += [
        f'<details class="llmecon-{kind}"><summary>{folded}</summary>',
        _text(of, "solution", study, key),
        "</details>",
        "</div>",
    ]
    return "\n\n".join(parts)


def box(of: Exercise, key: Key) -> str:
    """A box for an answer, as HTML without an empty line.

    Args:
        of: the exercise.
        key: its answer and mistakes.
    """
    judged = {
        "answer": key.answer,
        "tolerance": of.tolerance,
        "mistakes": [[m.value, m.says] for m in judging.possible(key)],
        "says": dict(judging.SAYS),
        "powers": judging.POWERS,
        "unread": "Type a number, with a point before decimals: 1200, 0.5 or 1.2e6.",
    }
    unit = f" [{html.escape(of.unit)}]" if of.unit else ""
    return (
        f'<form class="llmecon-answer" data-key="{coded(judged)}" hidden>'
        f"<label><span>Your answer{unit}</span>"
        '<input type="text" inputmode="decimal" autocomplete="off" spellcheck="false"></label>'
        '<button type="submit">Check</button>'
        '<p class="llmecon-verdict" role="status"></p></form>'
    )


def coded(content: Any) -> str:
    """What a page holds and doesn't show: JSON in base 64."""
    return base64.b64encode(json.dumps(content, ensure_ascii=False).encode()).decode()


def solution_code(of: Exercise, study: Any) -> list[str]:
    """The Python in the solution of an exercise; it starts from the parameters, sets `answer`.

    Args:
        of: the exercise.
        study: the chapter's.
    """
    return _CODE.findall(_text(of, "solution", study, computed_key(of, study)))


def _text(of: Exercise, part: str, study: Any, key: Key | None) -> str:
    made = prose.fill(of.chapter, f"{part}_{of.number}", FOLDER, study=study, key=key, exercise=of)
    pieces = _FENCE.split(made)
    pieces[::2] = [prose.results.without_tags(piece) for piece in pieces[::2]]
    return "".join(pieces)
