"""The library with nothing but the dozen packages that it says it needs."""

import importlib.metadata
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

PACKAGES = (
    *("physics", "serving", "training", "costs", "tables", "scaling", "evidence", "tiers"),
    *("adaptation", "choice", "silicon", "checks"),
)

# Refuses every module that is installed but comes with no package of the core.
BARE = """
import importlib, importlib.util, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusing())
"""


def core() -> set[str]:
    """The declared packages with all that these need in turn."""
    found: set[str] = set()
    waiting = [Requirement(line).name for line in PROJECT["dependencies"]]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return found


@cache
def refused() -> frozenset[str]:
    """The modules that come with no package of the core."""
    needed = core()
    found = frozenset(
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if module != "llmecon"
        and not needed & {package.lower().replace("_", "-") for package in packages}
    )
    assert {"altair", "papermill", "simpy", "sklearn", "flatbuffers"} <= found
    assert not {"jax", "pandas", "jinja2", "jaxlib"} & found
    return found


def bare(*lines: str) -> subprocess.CompletedProcess[str]:
    """Runs some lines of Python where only the core is installed."""
    text = f"REFUSED = {refused()!r}\n{BARE}\n" + "\n".join(lines)
    return subprocess.run(
        [sys.executable, "-c", text], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_the_core_is_a_dozen_packages() -> None:
    assert len(PROJECT["dependencies"]) <= 12
    assert set(PROJECT["optional-dependencies"]) == {"book"}


@pytest.mark.slow
def test_packages_do_what_they_show_at_first() -> None:
    found = bare(
        "import doctest",
        f"for name in {PACKAGES!r}:",
        "    found = doctest.testmod(importlib.import_module(f'llmecon.{name}'))",
        "    assert found.attempted >= 3 and not found.failed, name",
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
def test_a_chapter_answers() -> None:
    found = bare(
        "import llmecon",
        "print(llmecon.ask('carbon', model='llama-3.1-8b', xpu='l40s').sentence)",
    )
    assert "g CO₂e" in found.stdout, found.stderr


@pytest.mark.slow
def test_every_module_is_there_but_those_that_simulate() -> None:
    names = [
        f"llmecon.{package}.{file.stem}"
        for package in PACKAGES
        for file in sorted((REPOSITORY / "llmecon" / package).glob("[!_]*.py"))
    ]
    found = bare(
        f"for name in {names!r}:",
        "    try:",
        "        importlib.import_module(name)",
        "    except ModuleNotFoundError as error:",
        "        print(name, error.name)",
    )
    assert found.stderr == ""
    missing = dict(line.split() for line in found.stdout.splitlines())
    assert set(missing.values()) == {"simpy"}
    simulations = ("agreement", "simulated_engine", "simulation")
    assert set(missing) == {
        "llmecon.checks.scheduler",
        *(f"llmecon.serving.{name}" for name in simulations),
    }


def test_what_needs_the_book_says_so() -> None:
    by_name = bare("from llmecon import serving", "serving.open_loop")
    assert by_name.returncode == 1
    assert by_name.stderr.splitlines()[-1].endswith(
        "this takes the package simpy, which comes with the book: pip install 'llmecon[book]'"
    )
    command = bare("from llmecon import cli", "cli.main(['run', 'carbon'])")
    assert command.returncode == 2, command.stderr
    assert "which comes with the book: pip install 'llmecon[book]'" in command.stderr
    assert command.stderr.count("\n") == 1


def test_commands_of_the_library_work() -> None:
    found = bare("from llmecon import cli", "cli.main(['list', 'xpus'])")
    assert found.returncode == 0, found.stderr
    assert "h100-sxm" in found.stdout
