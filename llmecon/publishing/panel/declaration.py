"""What a live panel is made of: controls, look-ups, answers, a curve, and a function of them."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pandas as pd

from llmecon.publishing import scenario
from llmecon.publishing.prose import provenance
from llmecon.studies.parameters import Value
from llmecon.tables import catalog

Settings = SimpleNamespace
"""An attribute for each slider and each look-up: numbers, or what a result owes to them."""


@dataclass(frozen=True)
class Slider:
    """A control for a number.

    Args:
        name: The chapter's parameter that it stands for, or a name of its own where it has a label
            and a unit and no parameter is meant.
        low: Least value, unless it starts below.
        high: Greatest value, unless it starts above.
        value: Where it starts.
        label: What it is, in a few words; by default the parameter's own explanation.
        unit: As `words.quantity` takes it; by default the parameter's own.
        log: Whether equal steps are equal factors; needs `low` > 0. Equal steps are equal sums
            where it starts at 0.
        follows: A value for every entry of a menu, which the slider takes when that menu changes:
            the menu's name and the values by id.

    Raises:
        ValueError: `value` is no finite number, or equal factors lead to no 0.
    """

    name: str
    low: float
    high: float
    value: float
    label: str = ""
    unit: str | None = None
    log: bool = True
    follows: tuple[str, Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or (self.log and self.low <= 0.0):
            raise ValueError(f"slider {self.name!r}: {self.low:g} to {self.high:g}, {self.value:g}")
        # A chapter may be rerun with any value that its parameter allows.
        object.__setattr__(self, "low", min(self.low, self.value))
        object.__setattr__(self, "high", max(self.high, self.value))
        object.__setattr__(self, "log", self.log and self.low > 0.0)


@dataclass(frozen=True)
class Menu:
    """A control for one of several entries.

    Args:
        name: The chapter's parameter that it stands for.
        entries: What a reader sees, by id.
        value: The id it starts at.
        label: What it is, in a few words; by default the parameter's own explanation.
    """

    name: str
    entries: Mapping[str, str]
    value: str
    label: str = ""


@dataclass(frozen=True)
class Lookup:
    """Numbers of the catalogue that depend on what is chosen in some menus.

    Args:
        menus: Names of the menus.
        entries: A pytree of arrays with one axis a menu.
    """

    menus: tuple[str, ...]
    entries: Any


@dataclass(frozen=True)
class Answer:
    """A number that the panel shows large.

    Args:
        name: Its key among the function's results.
        unit: As `words.quantity` takes it.
        label: What it is, in a few words.
        log_sd: Result that holds the standard deviation of its logarithm; empty for no interval.
        needs: Result that is 0 where there is no such number; empty where there always is.
        counted: What is counted, in the singular, where the number is whole and said in full.
    """

    name: str
    unit: str
    label: str
    log_sd: str = ""
    needs: str = ""
    counted: str = ""


@dataclass(frozen=True)
class Curve:
    """The panel's main curve, drawn point by point as something goes from 0 to 1.

    Args:
        function: Of the settings and a number from 0 to 1, to x and y; NaN where there is no point.
            Where the setting itself lies, the panel's function says by `here_x` and `here_y`.
        x_title: What the abscissa is, with its unit.
        y_title: What the ordinate is, with its unit.
        log_x: Whether the abscissa is logarithmic.
        log_y: Whether the ordinate is logarithmic.
        log_sd: As an answer's, of the setting's ordinate.
        needs: As an answer's, of the setting's point.
        dots: Measurements to show beside the curve: columns `x` and `y`; further columns carry the
            names of menus, and a row is shown while their ids are chosen, or of sliders, and a row
            is shown while they are near.
        dots_name: What the dots are.
    """

    function: Callable[[Settings, jax.Array], tuple[jax.Array, jax.Array]]
    x_title: str
    y_title: str
    log_x: bool = True
    log_y: bool = True
    log_sd: str = ""
    needs: str = ""
    dots: pd.DataFrame | None = None
    dots_name: str = "measured"


@dataclass(frozen=True)
class Panel:
    """A question, controls, and the model that answers it.

    Args:
        chapter: Slug of the chapter whose parameters the controls stand for.
        given: The chapter's parameters as run.
        question: What a reader can find out here.
        controls: Sliders and menus, in the order shown.
        lookups: What the menus look up, by the name the function knows it by.
        function: Of the settings, to the answers and whatever else is asked for, by name; `here_x`
            and `here_y` are the setting's place on the curve.
        answers: Numbers shown large.
        curve: The main curve.
        smooth: Name of the result whose elasticities are shown; differentiable, > 0.
        smooth_needs: As an answer's, of the elasticities.
        effects: Inputs whose elasticities are shown, by what a reader calls them: names of
            sliders, or fields of look-ups such as `device.memory_bandwidth`; several joined by `+`.
        effect_title: What the bars show.
        description: What a reader who can't see the curve is told.
        log_sd: Of the elasticities of the smooth result and of the settings, both with the same
            attributes, to the standard deviation of its logarithm (the delta method); it becomes
            the result `log_sd`.
        refusals: What is said where a result is 0.
        note: What a reader should know about the panel.
        data: What its numbers rest on.
    """

    chapter: str
    given: Mapping[str, Value]
    question: str
    controls: Sequence[Slider | Menu]
    lookups: Mapping[str, Lookup]
    function: Callable[[Settings], Mapping[str, jax.Array]]
    answers: Sequence[Answer]
    curve: Curve
    smooth: str
    effects: Mapping[str, str]
    effect_title: str
    description: str
    smooth_needs: str = ""
    log_sd: Callable[[Settings, Settings], jax.Array] | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    data: provenance.Provenance | None = None
    sliders: tuple[Slider, ...] = field(init=False)
    menus: tuple[Menu, ...] = field(init=False)

    def __post_init__(self) -> None:
        sliders = tuple(c for c in self.controls if isinstance(c, Slider))
        menus = tuple(c for c in self.controls if isinstance(c, Menu))
        object.__setattr__(self, "sliders", sliders)
        object.__setattr__(self, "menus", menus)
        known = {p.name for p in scenario.chapter(self.chapter).parameters}
        for control in self.controls:
            if control.name not in known and not control.label:
                raise ValueError(
                    f"{self.chapter} has no parameter {control.name!r}: a control of its own needs "
                    "a label"
                )
        for menu in self.menus:
            if menu.value not in menu.entries:
                raise ValueError(f"menu {menu.name!r} starts at {menu.value!r}, not an entry of it")


def lookup(
    menus: Sequence[Menu],
    record: Callable[..., Any],
    into: Callable[..., Any] | None = None,
) -> Lookup:
    """What the catalogue says for every combination of some menus' entries.

    Args:
        menus: The menus.
        record: Of one id a menu, to a record or mapping of numbers.
        into: A record to make of the mapping.

    Raises:
        InputError: entries with carbon intensities of different kinds.
    """
    shape = tuple(len(menu.entries) for menu in menus)
    found = [record(*ids) for ids in itertools.product(*(menu.entries for menu in menus))]
    catalog.alike(found)
    leaves = [jax.tree.leaves(one) for one in found]
    arrays = [np.array(column, dtype=float).reshape(shape) for column in zip(*leaves, strict=True)]
    entries = jax.tree.unflatten(jax.tree.structure(found[0]), arrays)
    return Lookup(tuple(menu.name for menu in menus), into(**entries) if into else entries)
