"""What a chapter can be read without folds under a line that says how much is there.

A notebook marks it by the tag `in-depth`. On the cell of a heading it is about the section: heading
and first paragraph show, the rest folds; where the cell holds only the heading, the text that the
next cell computes shows. On a cell of code it is about what the cell shows, and neighbours that
bear it share a fold.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx

from llmecon.publishing.reading import HEADING, IN_DEPTH

_FENCE = re.compile(r"^\s*(```|~~~|:::)")
_TEXTS = ("text/html", "text/markdown")
# What of an output a reader comes for, by what its HTML holds.
_WORTH = {
    "number": "llmecon-headline",
    "figure": "llmecon-figure",
    "table": "llmecon-tabled",
    "exercise": "llmecon-exercise",
}


class Section(NamedTuple):
    """A section of a notebook: how deep its heading is, whether it folds, and what it holds."""

    level: int
    folds: bool
    holds: Mapping[str, int]


def sections(cells: Sequence[Mapping[str, Any]]) -> list[Section]:
    """A notebook's sections in the order of their headings.

    Args:
        cells: The cells of an executed notebook.

    Returns:
        One section for each heading; what a section holds counts its subsections' too.
    """
    found: list[tuple[int, bool, dict[str, int]]] = []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            folds = IN_DEPTH in cell["metadata"].get("tags", ())
            for level in _headings("".join(cell["source"])):
                found.append((level, folds, dict.fromkeys(_WORTH, 0)))
                folds = False  # the tag is about the cell's first heading
            continue
        for kind, counted in _worth(cell).items():
            level = 7
            for above, _, holds in reversed(found):
                if above < level:
                    holds[kind] += counted
                    level = above
    return [Section(*of) for of in found]


def _headings(text: str) -> Iterator[int]:
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := HEADING.match(line)):
            yield len(heading[1])


def _worth(cell: Mapping[str, Any]) -> dict[str, int]:
    shown = [output.get("data", {}) for output in cell.get("outputs", ())]
    text = "".join("".join(one.get(of, "")) for one in shown for of in _TEXTS)
    return {kind: len(re.findall(rf'class="{mark}"', text)) for kind, mark in _WORTH.items()}


def label(holds: Mapping[str, int]) -> str:
    """What stands on a folded section.

    Args:
        holds: How many numbers, figures, tables and exercises it has.
    """
    counts = [f"{n} {kind}{'s' * (n > 1)}" for kind, n in holds.items() if n]
    return "Read in depth" + (f": {', '.join(counts)}" if counts else "")


def fold(app: Sphinx, doctree: nodes.document) -> None:
    """Fold a chapter's tagged sections, all but their headings and first paragraphs, and cells."""
    source = Path(app.env.doc2path(app.env.docname))
    if source.suffix != ".ipynb":
        return
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    for section, of in zip(list(doctree.findall(nodes.section)), sections(cells), strict=True):
        if of.folds:
            shown = 2 if isinstance(section[1], nodes.paragraph) or _only_says(section[1]) else 1
            _enclose(section, shown, len(section), label(of.holds))
    for parent, start, end, holds in _neighbours(doctree, cells):
        _enclose(parent, start, end, label(holds))


def _neighbours(
    doctree: nodes.document, cells: Sequence[Mapping[str, Any]]
) -> list[tuple[nodes.Element, int, int, Mapping[str, int]]]:
    """Where tagged cells of code stand, and what they hold; the last first, so that places stay."""
    tagged = [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and IN_DEPTH in cell["metadata"].get("tags", ())
    ]
    shown = [of for of in doctree.findall(nodes.container) if f"tag_{IN_DEPTH}" in of["classes"]]
    found: list[tuple[nodes.Element, int, int, dict[str, int]]] = []
    for node, cell in zip(shown, tagged, strict=True):
        if not cell.get("outputs"):
            continue  # under these parameters it has nothing to show
        place, holds = node.parent.index(node), _worth(cell)
        if found and found[-1][0] is node.parent and found[-1][2] == place:
            parent, start, _, before = found.pop()
            holds = {kind: n + before[kind] for kind, n in holds.items()}
            found.append((parent, start, place + 1, holds))
        else:
            found.append((node.parent, place, place + 1, holds))
    return found[::-1]


def _enclose(parent: nodes.Element, start: int, end: int, summary: str) -> None:
    opening = (
        f'<details class="llmecon-depth"><summary>{summary}</summary>'
        '<div class="llmecon-depth-body">'
    )
    parent.insert(end, nodes.raw("", "</div></details>", format="html"))
    parent.insert(start, nodes.raw("", opening, format="html"))


def _only_says(node: nodes.Node) -> bool:
    """Whether this is a cell that shows text, and neither a figure nor a table."""
    if not isinstance(node, nodes.container) or node.get("nb_element") != "cell_code":
        return False
    shown = [of["mime_type"] for of in node.findall(nodes.container) if "mime_type" in of]
    return "text/markdown" in shown and "text/html" not in shown


def setup(app: Sphinx) -> None:
    """Fold sections and cells once a page has been read."""
    app.connect("doctree-read", fold)
