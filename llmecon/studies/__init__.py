"""One study a chapter: its parameters, its case, and one pure function that answers it.

A study is a package of four modules. `scenario` declares what a reader may set, and is quick to
import; `model` holds the case, all of whose ids are records, and the function that answers it;
`study` looks a scenario up; `frames` holds what the chapter's charts and tables show.
"""

import importlib
from pathlib import Path
from types import ModuleType

from llmecon.studies.parameters import Scenario

CHAPTERS = tuple(
    sorted(
        file.parent.name.replace("_", "-") for file in Path(__file__).parent.glob("*/scenario.py")
    )
)
"""Chapters that have a study, by their name on the command line: one folder each."""


def module(chapter: str, name: str) -> ModuleType:
    """A module of a chapter's study.

    Args:
        chapter: one of `CHAPTERS`.
        name: scenario, model, study or frames.
    """
    return importlib.import_module(f"llmecon.studies.{chapter.replace('-', '_')}.{name}")


def scenario_of(chapter: str) -> type[Scenario]:
    """What a reader may set in a chapter.

    Args:
        chapter: one of `CHAPTERS`.
    """
    declared: type[Scenario] = module(chapter, "scenario").Scenario
    return declared
