"""What studies declare: one source for the notebook's cell, the command line and the checks."""

import nbformat
import pytest

from llmecon import studies
from llmecon.publishing import scenario

every_study = pytest.mark.parametrize("chapter", studies.CHAPTERS)


def test_every_chapter_has_a_study() -> None:
    assert tuple(of.slug for of in scenario.chapters()) == studies.CHAPTERS


@every_study
def test_the_parameters_cell_is_what_the_study_declares(chapter: str) -> None:
    of = scenario.chapter(chapter)
    notebook = nbformat.read(of.notebook, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    assert cell.source == scenario.cell(studies.scenario_of(chapter).parameters())


@every_study
def test_defaults_are_allowed(chapter: str) -> None:
    scenario.validate(scenario.chapter(chapter), {})
    studies.scenario_of(chapter)()


@every_study
def test_notebooks_of_studies_can_be_projected(chapter: str) -> None:
    """Few lines, short cells, each name bound once, and hardly a cell that can't be opened."""
    notebook = nbformat.read(scenario.chapter(chapter).notebook, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    others = cells[1:]  # the first holds the parameters
    lines = [len(cell.source.splitlines()) for cell in cells]
    assert sum(lines) <= 250
    assert max(len(cell.source.splitlines()) for cell in others) <= 20
    hidden = sum("remove-input" in cell.metadata.get("tags", ()) for cell in cells)
    assert hidden <= len(cells) / 5
    bound: dict[str, int] = {}
    for i, cell in enumerate(cells):
        names = {
            line.split(" = ")[0].split(":")[0]
            for line in cell.source.splitlines()
            if " = " in line and not line.startswith((" ", "#", ")"))
        }
        for name in {part.strip() for of in names for part in of.split(",")}:
            assert bound.setdefault(name, i) == i, f"{name} is bound in two cells"
    assert not [cell for cell in cells if "def " in cell.source or "lambda s" in cell.source]
