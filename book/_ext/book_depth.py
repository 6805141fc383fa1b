"""Sections that a chapter can be read without: heading and first paragraph show, the rest folds.

A notebook marks such a section by the tag `in-depth` on the cell that holds its heading. Where that
cell holds nothing else, what shows is the text that the next cell computes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx

TAG = "in-depth"

_HEADING = re.compile(r"^(#{1,6}) \S")
_FENCE = re.compile(r"^\s*(```|~~~|:::)")
_TEXTS = ("text/html", "text/markdown")
# What of an output a reader comes for, by what its HTML holds.
_WORTH = {"figure": "llmecon-figure", "table": "llmecon-tabled", "exercise": "llmecon-exercise"}


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
            folds = TAG in cell["metadata"].get("tags", ())
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
        elif not fenced and (heading := _HEADING.match(line)):
            yield len(heading[1])


def _worth(cell: Mapping[str, Any]) -> dict[str, int]:
    shown = [output.get("data", {}) for output in cell.get("outputs", ())]
    text = "".join("".join(one.get(of, "")) for one in shown for of in _TEXTS)
    return {kind: len(re.findall(rf'class="{mark}"', text)) for kind, mark in _WORTH.items()}


def label(holds: Mapping[str, int]) -> str:
    """What stands on a folded section.

    Args:
        holds: How many figures, tables and exercises it has.
    """
    counts = [f"{n} {kind}{'s' * (n > 1)}" for kind, n in holds.items() if n]
    return "Read in depth" + (f": {', '.join(counts)}" if counts else "")


def fold(app: Sphinx, doctree: nodes.document) -> None:
    """Fold a chapter's tagged sections, all but their headings and first paragraphs."""
    source = Path(app.env.doc2path(app.env.docname))
    if source.suffix != ".ipynb":
        return
    marked = sections(json.loads(source.read_text(encoding="utf-8"))["cells"])
    for section, of in zip(list(doctree.findall(nodes.section)), marked, strict=True):
        if not of.folds:
            continue
        shown = 2 if isinstance(section[1], nodes.paragraph) or _only_says(section[1]) else 1
        opening = (
            f'<details class="llmecon-depth"><summary>{label(of.holds)}</summary>'
            '<div class="llmecon-depth-body">'
        )
        rest = section.children[shown:]
        section.children = section.children[:shown]
        section += nodes.raw("", opening, format="html")
        section += rest
        section += nodes.raw("", "</div></details>", format="html")


def _only_says(node: nodes.Node) -> bool:
    """Whether this is a cell that shows text, and neither a figure nor a table."""
    if not isinstance(node, nodes.container) or node.get("nb_element") != "cell_code":
        return False
    shown = [of["mime_type"] for of in node.findall(nodes.container) if "mime_type" in of]
    return "text/markdown" in shown and "text/html" not in shown


def setup(app: Sphinx) -> None:
    """Fold sections once a page has been read."""
    app.connect("doctree-read", fold)
