"""What every study must hold: panels begin at its answer, and slopes are finite differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from llmecon.execution.interpreter import interpreted
from llmecon.publishing.panel.declaration import Panel, Settings
from llmecon.publishing.panel.model import starting


def scenarios(every: Iterable[str], quick: Sequence[str]) -> pytest.MarkDecorator:
    """A test for every scenario of a chapter, of which only a few are tried before a release.

    Args:
        every: names of scenarios.
        quick: those of them that every contribution must pass.
    """
    assert set(quick) <= set(every)
    return pytest.mark.parametrize(
        "name",
        [pytest.param(name, marks=() if name in quick else pytest.mark.release) for name in every],
    )


@cache
def evaluated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of a case, traced once for all scenarios of a chapter."""
    return interpreted(function)


def assert_told_as_answered(
    quantities: Mapping[str, Any], answered: Mapping[str, Any], absent: tuple[float, str]
) -> None:
    """Headline numbers are the answer's, inside their intervals.

    Args:
        quantities: of a study, by name.
        answered: what its function answers, by name.
        absent: what it answers where there is no number, and how that is told.
    """
    for name, of in quantities.items():
        if of.value is None:
            np.testing.assert_equal((float(answered[name]), of.text), absent)
        else:
            assert of.value == pytest.approx(float(answered[name]), rel=1e-12), name
        if of.low is not None:
            assert of.high is not None
            assert of.value is not None
            assert of.low <= of.value <= of.high


@cache
def _of_rows(function: Callable[[Any], Mapping[str, Any]], structure: Any) -> Callable[..., Any]:
    """A function of cases of one structure, a row of numbers each, likewise."""

    def of(row: Any) -> dict[str, Any]:
        return dict(function(jax.tree.unflatten(structure, list(row))))

    return interpreted(jax.vmap(of))


def at_first(panel: Panel) -> dict[str, float]:
    """What a panel's own function says where its controls start.

    Args:
        panel: as the chapter shows it.
    """
    places = starting(panel)
    looked_up = {
        name: jax.tree.map(
            lambda array, of=of: np.asarray(array)[tuple(int(places[m]) for m in of.menus)],
            of.entries,
        )
        for name, of in panel.lookups.items()
    }
    sliders = {slider.name: places[slider.name] for slider in panel.sliders}
    found = interpreted(lambda settings: dict(panel.function(Settings(**settings))))
    return {name: float(value) for name, value in found(sliders | looked_up).items()}


def assert_finite_differences(
    function: Callable[[Any], Mapping[str, Any]],
    case: Any,
    effects: Mapping[str, Any],
    held: Sequence[str] = (),
    step: float = 1e-5,
) -> None:
    """Elasticities of every number with respect to every input are those of small steps.

    Args:
        function: of the case, to numbers by name.
        case: a record of numbers.
        effects: elasticities by number, in the structure of the case.
        held: paths in the case, such as `.layout`, below which numbers are counts that no
            elasticity is claimed for.
        step: relative, of each input.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(case)
    base = np.array([float(leaf) for _, leaf in paths])
    smooth = [not jax.tree_util.keystr(path).startswith(tuple(held)) for path, _ in paths]
    up, down = (base * (1.0 + side * step * np.eye(len(base))) for side in (1.0, -1.0))
    found = _of_rows(function, structure)(np.concatenate([up, down]))
    for name, moved in effects.items():
        values = np.asarray(found[name])
        above, below = values[: len(base)], values[len(base) :]
        # What never happens, as a break-even that isn't there, has no slope.
        there = (above > 0) & (below > 0) & np.isfinite(above) & np.isfinite(below)
        slopes = np.zeros(len(base))
        slopes[there] = np.log(above[there] / below[there]) / (2.0 * step)
        told = np.array([float(leaf) for leaf in jax.tree.leaves(moved)])
        np.testing.assert_allclose(told[smooth], slopes[smooth], rtol=2e-4, atol=2e-6, err_msg=name)
