"""What must hold for every file under version control."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from llmecon import paths
from llmecon.publishing import scenario

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))

FORBIDDEN = {
    "address of a package registry": r"pypi\.org/simple|pythonhosted\.org|registry\.npmjs",
    "address of a content network": r"cdn\.jsdelivr|unpkg\.com|cdnjs\.|fonts\.g\w+\.com",
    "analytics": r"googletagmanager|google-analytics|plausible\.io",
    "path of somebody's machine": r"(?<![\w.~-])/(?:home|Users|root)/\w",
}


def tracked() -> list[Path]:
    """The files under version control, or all but the ignored ones before they are."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file != Path(__file__).resolve()]


def test_no_file_reaches_for_the_network_or_names_a_machine():
    found = []
    for file in tracked():
        text = file.read_bytes().decode("utf-8", errors="ignore")
        for what, pattern in FORBIDDEN.items():
            if match := re.search(pattern, text):
                found.append(f"{file.relative_to(REPOSITORY)}: {what}: {match[0]}")
    assert not found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_clean(notebook):
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    assert content.metadata.kernelspec.language == "python"
    assert "papermill" not in content.metadata
    for cell in content.cells:
        assert "papermill" not in cell.metadata
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_starts_with_its_title_and_parameters(notebook):
    title, parameters, start = nbformat.read(notebook, as_version=4).cells[:3]
    slug = notebook.stem.replace("_", "-")
    assert title.source.startswith("# ")
    assert "parameters" in parameters.metadata.get("tags", ())
    assert f'scenario.check("{slug}", globals())' in start.source
    declared = scenario.chapter(slug).parameters
    lines = [line for line in parameters.source.splitlines() if line and line[0] not in "# "]
    assert len(declared) == len(lines)


@pytest.mark.parametrize("of", scenario.chapters(), ids=lambda of: of.slug)
def test_defaults_are_allowed(of):
    assert scenario.validate(of, {}) == {p.name: p.default for p in of.parameters}


@pytest.mark.parametrize(
    "file", sorted((paths.BOOK / "parameters").glob("*.yaml")), ids=lambda file: file.stem
)
def test_parameter_sets_are_allowed(file):
    parameters = scenario.load(file)
    for of in scenario.chapters():
        scenario.validate(of, parameters.values(of))


def test_every_chapter_is_in_the_table_of_contents():
    contents = (paths.BOOK / "_toc.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(contents)["root"] == "index"
    for of in scenario.chapters():
        assert re.search(rf"chapters/{of.slug}\s", contents)


# Each package may import only from those before it.
FLOORS = (
    "errors",
    "lazy",
    "paths",
    "words",
    "inputs",
    "specs",
    "numerics",
    "execution",
    "physics",
    "serving",
    "training",
    "costs",
    "tables",
    "scaling",
    "evidence",
    "tiers",
    "laboratory",
    "adaptation",
    "choice",
    "silicon",
    "checks",
    "studies",
    "teaching",
    "publishing",
    "questions",
    "assignments",
    "commands",
    "cli",
    "__main__",
)


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_run_downward(floor: str) -> None:
    place = REPOSITORY / "llmecon" / floor
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for file in files:
        used = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmecon"):
                parts = node.module.split(".")
                used |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        above = used - set(FLOORS[: FLOORS.index(floor) + 1])
        assert not above, f"{file.name} imports {', '.join(sorted(above))} from above itself"


def test_everything_has_a_floor() -> None:
    found = {path.stem for path in (REPOSITORY / "llmecon").glob("[!_]*") if path.suffix != ".js"}
    assert found | {"__main__"} == set(FLOORS)


MOST_ARGUMENTS = 7
# Records that stand for what would else be handed over one by one.
CLUMPS = {
    "Instance": {"LLM", "XPU", "Deployment"},
    "TrainingJob": {"LLM", "XPU", "TrainingRun"},
}


def functions() -> list[tuple[str, ast.FunctionDef]]:
    """The library's functions and methods by where they stand; none that others hold inside."""
    found = []
    for file in sorted((REPOSITORY / "llmecon").rglob("*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        for node in [*module.body, *(part for of in classes for part in of.body)]:
            if isinstance(node, ast.FunctionDef):
                found.append((f"{file.relative_to(REPOSITORY)}: {node.name}", node))
    return found


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    given = function.args
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [one for one in found if one.arg not in ("self", "cls")]


def test_no_public_function_takes_more_arguments_than_can_be_told_apart() -> None:
    """A command's arguments are its options, which its user names."""
    found = [
        place
        for place, of in functions()
        if not of.name.startswith("_")
        and not any(".command(" in ast.unparse(by) for by in of.decorator_list)
        and len(parameters(of)) > MOST_ARGUMENTS
    ]
    assert not found


@pytest.mark.parametrize("record", CLUMPS)
def test_what_belongs_together_is_handed_over_together(record: str) -> None:
    found = []
    for place, of in functions():
        types = {ast.unparse(one.annotation) for one in parameters(of) if one.annotation}
        if CLUMPS[record] <= {name.split(".")[-1] for name in types}:
            found.append(f"{place} takes what {record} holds")
    assert not found


PACKAGES = sorted(
    f"llmecon.{stub.parent.name}" for stub in (REPOSITORY / "llmecon").glob("*/__init__.pyi")
)
TRIED = """
import doctest, importlib, sys
for name in sys.argv[1:]:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted >= 3 and not found.failed, name
"""


@pytest.mark.slow
def test_what_packages_show_at_first_is_what_they_do() -> None:
    """In a process of its own: here shapes are checked, and a plain number is no array."""
    subprocess.run([sys.executable, "-c", TRIED, *PACKAGES], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("stub", sorted((REPOSITORY / "llmecon").rglob("__init__.pyi")), ids=str)
def test_what_a_package_names_is_there(stub: Path) -> None:
    package = importlib.import_module(".".join(stub.relative_to(REPOSITORY).parts[:-1]))
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
