"""Sections and cells that fold on a chapter's page."""

import json
from pathlib import Path
from typing import Any

import book_depth
import pytest
from docutils import nodes


def words(text: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": text, "metadata": {"tags": list(tags)}}


def shows(*marks: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    html = "".join(
        f'<div class="llmecon-{mark}"><i class="llmecon-{mark}-more"></i>' for mark in marks
    )
    return {
        "cell_type": "code",
        "source": "",
        "metadata": {"tags": list(tags)},
        "outputs": [{"data": {"text/html": html}}],
    }


CELLS = [
    words("# Title"),
    words("## First\n\n```\n## not a heading\n```"),
    shows("figure"),
    words("## Second\n\nSome words.", "in-depth"),
    shows("tabled", "tabled"),
    words("### Part"),
    shows("exercise"),
    words("## Third"),
]


def test_a_section_counts_what_its_subsections_hold():
    found = book_depth.sections(CELLS)
    assert [(of.level, of.folds) for of in found] == [
        (1, False),
        (2, False),
        (2, True),
        (3, False),
        (2, False),
    ]
    assert [tuple(of.holds.values()) for of in found] == [
        (0, 1, 2, 1),
        (0, 1, 0, 0),
        (0, 0, 2, 1),
        (0, 0, 0, 1),
        (0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        ({"figure": 2, "table": 1, "exercise": 0}, "Read in depth: 2 figures, 1 table"),
        ({"number": 1, "figure": 0, "exercise": 0}, "Read in depth: 1 number"),
        ({"figure": 0, "table": 0, "exercise": 0}, "Read in depth"),
    ],
)
def test_a_fold_says_what_it_holds(holds, said):
    assert book_depth.label(holds) == said


def folded(document: nodes.document, cells: list[dict[str, Any]], page: Path) -> None:
    page.write_text(json.dumps({"cells": cells}), encoding="utf-8")

    class FakeApp:
        class env:  # noqa: N801
            docname = "page"

            @staticmethod
            def doc2path(name):
                return page

    book_depth.fold(FakeApp, document)


def section(title: str, *rest: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title("", title), *rest)


def test_heading_and_first_paragraph_stay_in_sight(tmp_path):
    part = section("Part", nodes.paragraph("", "Below"))
    second = section(
        "Second", nodes.paragraph("", "Some words."), nodes.paragraph("", "More."), part
    )
    title = section("Title", section("First"), second, section("Third"))
    document = nodes.document(None, None)
    document += title
    folded(document, CELLS, tmp_path / "page.ipynb")
    kinds = [type(child).__name__ for child in second.children]
    assert kinds == ["title", "paragraph", "raw", "paragraph", "section", "raw"]
    assert second.children[2].astext().startswith('<details class="llmecon-depth"><summary>')
    assert [len(of.children) for of in title.findall(nodes.section)] == [4, 1, 6, 2, 1]


def test_cells_fold_by_themselves_and_neighbours_together(tmp_path):
    plain = ("hide-input",)
    deep = (*plain, book_depth.IN_DEPTH)
    cells = [
        words("# Title\n\nSome words."),
        shows("figure", tags=plain),
        shows("figure", tags=deep),
        shows("tabled", "figure", tags=deep),
        words("More."),
        shows("tabled", tags=deep),
        shows(tags=deep) | {"outputs": []},
    ]

    def cell(tags: tuple[str, ...]) -> nodes.container:
        return nodes.container("", classes=["cell", *(f"tag_{tag}" for tag in tags)])

    title = section(
        "Title",
        nodes.paragraph("", "Some words."),
        cell(plain),
        cell(deep),
        cell(deep),
        nodes.paragraph("", "More."),
        cell(deep),
        cell(deep),
    )
    document = nodes.document(None, None)
    document += title
    folded(document, cells, tmp_path / "page.ipynb")
    kinds = [type(child).__name__ for child in title.children]
    assert kinds[:3] == ["title", "paragraph", "container"]
    assert kinds[3:7] == ["raw", "container", "container", "raw"]
    # What shows nothing under these parameters isn't folded.
    assert kinds[7:] == ["paragraph", "raw", "container", "raw", "container"]
    assert "Read in depth: 2 figures, 1 table<" in title.children[3].astext()
    assert "Read in depth: 1 table<" in title.children[8].astext()


@pytest.mark.parametrize(
    ("shown", "stays"),
    [(("text/markdown", "text/plain"), True), (("text/html", "text/plain"), False), ((), False)],
)
def test_computed_text_stays_in_a_paragraphs_place(tmp_path, shown, stays):
    cell = nodes.container("", *(nodes.container(mime_type=of) for of in shown))
    cell["nb_element"] = "cell_code"
    second = section("Second", cell, nodes.paragraph("", "More."))
    document = nodes.document(None, None)
    document += section("Title", second)
    cells = [words("# Title"), words("## Second", book_depth.IN_DEPTH)]
    folded(document, cells, tmp_path / "page.ipynb")
    assert isinstance(second[1], nodes.container) == stays
    assert isinstance(second[2 if stays else 1], nodes.raw)
