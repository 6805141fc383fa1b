"""What a live panel computes: its function, the gradient and the curve, for a page and for JAX."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.execution import programs, trace_cache
from llmecon.execution.interpreter import key_of
from llmecon.publishing.panel.declaration import Panel, Settings
from llmecon.publishing.panel.expressions import Graph, Program
from llmecon.publishing.panel.translate import Traced, trace

ALONG = "along"
"""Field of a curve's rows that goes from 0 to 1."""


@dataclass(frozen=True)
class Model:
    """A panel's function with all that is derived from it, as one traced function.

    Attributes:
        panel: the panel.
        traced: the function of numbers, records, a place along the curve, and `fixed`.
        fixed: numbers that the panel's functions hold, which no control moves.
        key: under which it is kept for other processes.
        anew: traces the function, where what was kept doesn't suffice.
    """

    panel: Panel
    traced: Traced
    fixed: Any
    key: str
    anew: Callable[[], Traced]

    def arguments(self, values: Mapping[str, np.ndarray], along: np.ndarray) -> Any:
        """Many settings at once: numbers of sliders and indices of menus, by control."""
        numbers = {slider.name: values[slider.name] for slider in self.panel.sliders}
        looked_up = {
            name: jax.tree.map(
                lambda array, of=of: np.asarray(array)[tuple(values[m] for m in of.menus)],
                of.entries,
            )
            for name, of in self.panel.lookups.items()
        }
        return numbers, looked_up, along


def _settings(numbers: Mapping[str, Any], looked_up: Mapping[str, Any]) -> Settings:
    return Settings(**numbers, **looked_up)


def model_of(panel: Panel) -> Model:
    """Trace a panel's function with its gradient, its interval and its curve.

    Functions that hold their numbers as a `jax.tree_util.Partial` does are traced for any such
    numbers, and once for all processes.
    """
    functions = (panel.function, panel.curve.function, panel.log_sd)
    fixed, static = eqx.partition(functions, eqx.is_inexact_array_like)

    def everything(arguments: Any) -> dict[str, Any]:
        numbers, looked_up, along, fixed = arguments
        function, curve, log_sd = eqx.combine(fixed, static)
        given = (numbers, looked_up)

        def logarithm(given: tuple[Any, Any]) -> tuple[jax.Array, Mapping[str, jax.Array]]:
            found = function(_settings(*given))
            return jnp.log(found[panel.smooth]), found

        gradient, found = jax.grad(logarithm, has_aux=True)(given)
        elasticity = jax.tree.map(jnp.multiply, gradient, given)
        x, y = curve(_settings(*given), along)
        results = dict(found) | {"x": x, "y": y}
        for i, paths in enumerate(panel.effects.values()):
            results[f"effect{i}"] = sum(
                (_at(elasticity, path) for path in paths.split("+")), jnp.asarray(0.0)
            )
        if log_sd:
            results["log_sd"] = log_sd(_settings(*elasticity), _settings(*given))
        return results

    example_numbers = {slider.name: 1.0 for slider in panel.sliders}
    example_records = {
        name: jax.tree.map(lambda _: 1.0, of.entries) for name, of in panel.lookups.items()
    }
    example = (example_numbers, example_records, 0.5, fixed)
    key = key_of(__name__, example, (static, panel.smooth, list(panel.effects.values())))

    @cache
    def anew() -> Traced:
        return trace(everything, example)

    known: Traced | None = trace_cache.read(key, "panel")
    if known is None:
        known = anew()
        trace_cache.write(key, "panel", known)
    return Model(panel, known, fixed, key, anew)


def _at(elasticity: tuple[Mapping[str, Any], Mapping[str, Any]], path: str) -> jax.Array:
    name, _, rest = path.strip().partition(".")
    numbers, records = elasticity
    found = numbers[name] if name in numbers else records[name]
    for part in filter(None, rest.split(".")):
        found = found[part] if isinstance(found, Mapping) else getattr(found, part)
    return jnp.asarray(found)


def program_of(model: Model) -> Program:
    """The Vega expressions of everything that a panel shows."""
    panel, graph = model.panel, Graph()
    numbers = {slider.name: graph.input(slider.name) for slider in panel.sliders}
    records = {
        name: jax.tree.map(lambda array, of=of: graph.menu(of.menus, np.asarray(array)), of.entries)
        for name, of in panel.lookups.items()
    }
    along = f"datum.{ALONG}"
    fixed = jax.tree.map(lambda leaf: graph.constants(np.asarray(leaf)), model.fixed)
    nodes = model.traced.nodes(graph, (numbers, records, graph.input(along), fixed))
    results = {name: graph.number(node) for name, node in nodes.items()}
    return graph.program(results, swept=along)


def starting(panel: Panel) -> dict[str, float]:
    """Where the controls stand at first: numbers of sliders, indices of menus."""
    places = {menu.name: float(list(menu.entries).index(menu.value)) for menu in panel.menus}
    return {slider.name: float(slider.value) for slider in panel.sliders} | places


def evaluate(
    model: Model, settings: Sequence[Mapping[str, float]], along: np.ndarray
) -> pd.DataFrame:
    """What JAX computes for some settings, a row each."""
    names = [control.name for control in model.panel.controls]
    values = {name: np.array([s[name] for s in settings]) for name in names}
    for menu in model.panel.menus:
        values[menu.name] = values[menu.name].astype(int)
    moved = jax.tree.leaves(model.arguments(values, along))
    leaves = [np.asarray(leaf, float) for leaf in [*moved, *jax.tree.leaves(model.fixed)]]
    key = model.key and trace_cache.key(model.key, str(len(along)))
    program: programs.Program | None = trace_cache.read(key, "rows")
    if program is None:
        program = model.anew().rows(
            [(leaf.shape, leaf.dtype) for leaf in leaves],
            [at < len(moved) for at in range(len(leaves))],
        )
        trace_cache.write(key, "rows", program)
    columns, _ = program.run(leaves, math.inf)
    found = jax.tree.unflatten(model.traced.result, columns)
    return pd.DataFrame({name: np.asarray(column, float) for name, column in found.items()})


def random_settings(panel: Panel, count: int) -> list[dict[str, float]]:
    """Settings all over the ranges of the controls, the same ones every time."""
    generator = np.random.default_rng(0)
    settings = []
    for _ in range(count):
        of = starting(panel)
        for slider in panel.sliders:
            ends = np.array([slider.low, slider.high])
            drawn = generator.uniform(*(np.log(ends) if slider.log else ends))
            of[slider.name] = float(f"{np.exp(drawn) if slider.log else drawn:.4g}")
        for menu in panel.menus:
            of[menu.name] = float(generator.integers(len(menu.entries)))
        settings.append(of)
    return settings
