"""A book of two small chapters, for tests of what makes a book; and what tests cost and leave."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import ClassVar, Literal

import nbformat
import pydantic
import pytest

from llmecon import paths, studies
from llmecon.execution import compiling
from llmecon.publishing import scenario
from llmecon.studies.parameters import Scenario, choice, identifier, number

compiling.apply()  # before anything imports JAX

import jax  # noqa: E402

COMPILED = "/jax/core/compile/backend_compile_duration"
compiled: list[float] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compiled",
        action="store_true",
        help="list the dearest tests by CPU seconds, with how many programs each has compiled",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("compiled"):
        jax.monitoring.register_event_duration_secs_listener(
            lambda event, seconds, **_: compiled.append(seconds) if event == COMPILED else None
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[START] = cpu_seconds(), len(compiled)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.when == "teardown" and item.config.getoption("compiled"):
        seconds, programs = item.stash[START]
        cost = cpu_seconds() - seconds, len(compiled) - programs
        item.user_properties.append(("cost", cost))  # which a worker's report takes along
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.config.getoption("compiled"):
        return
    costs = [
        (*dict(report.user_properties)["cost"], report.nodeid)
        for report in terminalreporter.getreports("")
        if report.when == "teardown"
    ]
    terminalreporter.section("CPU s, programs compiled")
    for seconds, programs, name in sorted(costs, reverse=True)[:50]:
        terminalreporter.write_line(f"{seconds:7.1f} {programs:5d}  {name}")


START = pytest.StashKey[tuple[float, int]]()


def cpu_seconds() -> float:
    """What this process has used, and those that it has started and seen end."""
    return sum(os.times()[:4])


class Toy(Scenario):
    """What may be set in both chapters."""

    chapter: ClassVar[str] = "fast-one"

    xpu: str = identifier("h100-sxm", "accelerator to rent", "xpus")
    rivals: str = identifier("h100-sxm, h200-sxm", "accelerators to compare", "xpus", several=True)
    tokens: float = number(15e12, "training tokens", "tokens", minimum=1)
    deadline_days: float = number(90.0, "wall-clock time allowed", "days", 0.1, 3650)
    replicas: int = number(2, "copies of the model", "", 1, 100)
    precision: Literal["bf16", "fp8", "fp4", "int4"] = choice("bf16", "weights while serving")
    spot: bool = pydantic.Field(
        False, description="rent spare capacity", json_schema_extra={"unit": "yes or no"}
    )


PARAMETERS = scenario.cell(Toy.parameters())

BODY = """\
from llmecon.publishing.prose import results

results.headline("days", deadline_days, unit="days", label="until the deadline of the $x$ run")
results.say(f"There are **{replicas} replicas**.")
"""


def write_notebook(path: Path, *code: str, title: str, parameters: str = PARAMETERS) -> Path:
    """Write a chapter: title, parameters cell, then cells of code."""
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell(f"# {title}\n\nWe write $C = 6ND$."),
        v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(v4.new_code_cell(source) for source in code),
    ]
    for place, cell in enumerate(cells):
        cell.id = f"cell-{place}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def write_book(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a book below `root` and let the library take it for its own."""
    write_notebook(root / "notebooks" / "fast_one.ipynb", BODY, title="A fast one")
    write_notebook(root / "notebooks" / "slow_one.ipynb", "2 + 2", title="A slow one")
    book = root / "book"
    (book / "parameters").mkdir(parents=True)
    (book / "parameters" / "default.yaml").write_text("common: {}\n")
    (book / "index.md").write_text("# Toy book\n\nWelcome.\n")
    (book / "glossary.md").write_text(
        "# Glossary\n\n```{glossary}\nTTFT\n  Time to first token.\n```\n"
    )
    (book / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n"
        "  - file: chapters/fast-one\n  - file: chapters/slow-one\n  - file: glossary\n"
    )
    (root / "_config.yml").write_text(
        'title: Toy\nonly_build_toc_files: true\nexecute: {execute_notebooks: "off"}\n'
    )
    monkeypatch.setattr(studies, "CHAPTERS", ("fast-one", "slow-one"))
    monkeypatch.setattr(studies, "scenario_of", lambda chapter: Toy)
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(paths, "NOTEBOOKS", root / "notebooks")
    monkeypatch.setattr(paths, "BOOK", book)
    monkeypatch.setattr(paths, "CONFIG", root / "_config.yml")
    monkeypatch.setattr(paths, "BUILD", book / "_build")
    monkeypatch.setattr(paths, "KEPT", root / "kept")
    return root


def memory_maps() -> tuple[int, int]:
    """How many memory maps this process has, and how many it may have; zeros if that is unknown."""
    try:
        held = Path("/proc/self/maps").read_bytes().count(b"\n")
        return held, int(Path("/proc/sys/vm/max_map_count").read_text())
    except OSError:
        return 0, 0


@pytest.fixture(autouse=True, scope="module")
def room_for_compiled_programs() -> Iterator[None]:
    """Compiled programs stay mapped into memory: they are dropped before that runs out."""
    yield
    held, allowed = memory_maps()
    if held > allowed / 2:
        jax.clear_caches()


@pytest.fixture
def toy_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a book of two chapters, in place of the real one."""
    return write_book(tmp_path / "toy", monkeypatch)
