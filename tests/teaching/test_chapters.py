"""Chapters as lessons: objectives first, exercises where they belong, a recap and a quiz."""

import re
from typing import Any

import nbformat
import pytest

from llmecon import teaching
from llmecon.publishing import scenario
from llmecon.teaching.checking import CHAPTERS

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS)
_SHOWN = re.compile(r'exercises\.show\("([^"]+)", study\)')


def cells(chapter: str) -> list[Any]:
    """The cells of a chapter's notebook."""
    return list(nbformat.read(scenario.chapter(chapter).notebook, as_version=4).cells)


def headings(chapter: str) -> list[tuple[int, str]]:
    """The headings of a chapter's sections with the places of their cells."""
    return [
        (place, heading)
        for place, cell in enumerate(cells(chapter))
        if cell.cell_type == "markdown"
        for heading in re.findall(r"^## (.+)$", cell.source, re.MULTILINE)
    ]


@every_chapter
def test_a_chapter_is_a_lesson(chapter: str) -> None:
    titles = [title for _, title in headings(chapter)]
    assert titles[:2] == ["Before you start", "The answer"]
    recap, quiz = titles.index("In five lines"), titles.index("Check yourself")
    assert titles.index("What this leaves out") < recap < quiz
    source = {title: cells(chapter)[place].source for place, title in headings(chapter)}
    objectives = re.findall(r"^\d\. ", source["Before you start"], re.MULTILINE)
    assert 2 <= len(objectives) <= 4
    assert "minutes" in source["Before you start"]
    assert len(re.findall(r"^- ", source["In five lines"], re.MULTILINE)) == 5


@every_chapter
def test_exercises_stand_where_they_belong(chapter: str) -> None:
    shown = [
        (place, cell)
        for place, cell in enumerate(cells(chapter))
        if cell.cell_type == "code" and "exercises.show" in cell.source
    ]
    # One a cell, whose Markdown may hold formulas and tables.
    found = [_SHOWN.fullmatch(cell.source) for _, cell in shown]
    assert all(found)
    assert [of[1] for of in found if of] == [of.id for of in teaching.exercises(chapter)]
    for _, cell in shown:
        assert cell.metadata["mystnb"] == {"markdown_format": "myst"}
        assert "hide-input" in cell.metadata["tags"]
    places = [place for place, _ in headings(chapter)]
    sections = {sum(start < place for start in places) for place, _ in shown}
    assert len(sections) >= 3


@every_chapter
def test_the_quiz_is_shown(chapter: str) -> None:
    sources = [cell.source for cell in cells(chapter) if cell.cell_type == "code"]
    assert f'quizzes.quiz("{chapter}", study)' in sources


@every_chapter
def test_numbers_are_put_in_before_the_readers_eyes(chapter: str) -> None:
    """Cells that print what a few lines of the library say, and a sentence after each."""
    found = cells(chapter)
    shown = [
        place
        for place, cell in enumerate(found)
        if cell.cell_type == "code" and re.search(r"^print\(", cell.source, re.MULTILINE)
    ]
    assert 3 <= len(shown) <= 6
    for place in shown:
        lines = found[place].source.splitlines()
        assert 3 <= len(lines) <= 10
        assert max(map(len, lines)) <= 84  # as wide as the page
        assert not {"hide-input", "remove-input"} & set(found[place].metadata.get("tags", ()))
        assert found[place + 1].cell_type == "markdown"
