"""A JAX function, traced and written as a graph of scalar operations.

Arrays are unrolled into their elements, calls are inlined, and what does not depend on the
arguments is computed at once by JAX itself. The derivative of a function is translated like any
other: trace the `jax.grad` of it.
"""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.extend.core import JaxprEqn, Literal

from llmecon.execution import numpy_operations, programs
from llmecon.execution.programs import Program
from llmecon.publishing.panel.expressions import Graph
from llmecon.publishing.panel.primitives import RULES, Elements, Rule, UntranslatableError

# JAX 0.12 has one class for open and closed bodies; its types leave out the name that runs.
_CLOSED: Any = vars(core)["ClosedJaxpr"]

# Beyond this many elements an unrolled array would make a page slow.
_MOST_ELEMENTS = 4096

UNROLLED = 14
"""Steps of a loop that a page makes: enough for `numerics.solve_increasing` to get nine digits."""


@dataclass(frozen=True)
class _Equation:
    """One primitive of a traced function, calls inlined.

    Attributes:
        primitive: what it does.
        operands: places of earlier values, or constants.
        types: the operands' data types.
        params: the primitive's parameters.
        results: places of what it makes.
        size: numbers that it makes.
        sources: where it was called, and where the calls around it were.
    """

    primitive: Any
    operands: tuple[int | np.ndarray, ...]
    types: tuple[np.dtype[Any], ...]
    params: Mapping[str, Any]
    results: tuple[int, ...]
    size: int
    sources: tuple[Any, ...]

    def __getstate__(self) -> dict[str, Any]:
        # Neither where it was called nor what JAX knows of a primitive can be written.
        kind = _Named(self.primitive.name, self.primitive.multiple_results)
        return {**vars(self), "primitive": kind, "sources": ()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind = numpy_operations.named(state["primitive"].name) or state["primitive"]
        vars(self).update({**state, "primitive": kind})


@dataclass(frozen=True)
class _Named:
    """What a translation needs of a primitive that JAX names nowhere."""

    name: str
    multiple_results: bool


@dataclass(frozen=True)
class Traced:
    """A function as JAX sees it: primitives on numbers, ready for a graph or for JAX itself.

    Attributes:
        equations: its primitives, each once, those left out that nothing depends on.
        outputs: places of its results, or constants.
        result: the structure of what it returns.
    """

    equations: tuple[_Equation, ...]
    outputs: tuple[int | np.ndarray, ...]
    result: Any

    def nodes(self, graph: Graph, arguments: Any) -> Any:
        """Write the function into a graph.

        Args:
            graph: where the nodes are made.
            arguments: like those it was traced with, with nodes or arrays of nodes as leaves.

        Returns:
            What the function returns, with nodes in place of numbers (arrays of them for arrays).

        Raises:
            UntranslatableError: A primitive, or the size of an array, has no translation; the
                message names it and the line of the model.
        """

        def run(equation: _Equation, operands: list[Elements]) -> list[Elements]:
            if all(node.constant for operand in operands for node in operand.flat):
                return [graph.constants(value) for value in _computed(equation, operands)]
            try:
                made = _rule(equation)(graph, operands, equation.params, equation.types)
            except UntranslatableError as error:
                raise UntranslatableError(f"{error}, at {_line(equation)}") from None
            listed = made if isinstance(made, list) else [made]
            return [np.asarray(value, dtype=object) for value in listed]

        given = [np.asarray(leaf, dtype=object) for leaf in jax.tree.leaves(arguments)]
        values = self._run(given, graph.constants, run)
        leaves = [value.item() if value.ndim == 0 else value for value in values]
        return jax.tree.unflatten(self.result, leaves)

    def numbers(self, arguments: Any) -> Any:
        """What JAX computes, primitive by primitive, for many arguments at once.

        Args:
            arguments: like those it was traced with, each leaf with a leading dimension.

        Returns:
            What the function returns, each leaf with that dimension.
        """
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(arguments)]
        found, _ = self.rows([(leaf.shape, leaf.dtype) for leaf in leaves]).run(leaves, math.inf)
        return jax.tree.unflatten(self.result, found)

    def rows(self, kinds: Sequence[Any], every: Sequence[bool] = ()) -> Program:
        """The program that computes it for many arguments at once.

        Args:
            kinds: shapes and types of the arguments' leaves.
            every: whether a leaf has a leading dimension; all have, by default.
        """

        def run(equation: _Equation, operands: list[jax.Array]) -> list[jax.Array]:
            made = equation.primitive.bind(*operands, **equation.params)
            return list(made) if equation.primitive.multiple_results else [made]

        def one(*leaves: jax.Array) -> list[jax.Array]:
            return [jnp.asarray(value) for value in self._run(list(leaves), jnp.asarray, run)]

        axes = tuple(0 if leading else None for leading in every or [True] * len(kinds))
        shapes = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
        return Program(jax.make_jaxpr(jax.vmap(one, axes))(*shapes))

    def _run(
        self,
        arguments: list[Any],
        constant: Callable[[np.ndarray], Any],
        run: Callable[[_Equation, list[Any]], list[Any]],
    ) -> list[Any]:
        values: dict[int, Any] = dict(enumerate(arguments))

        def read(operand: int | np.ndarray) -> Any:
            return values[operand] if isinstance(operand, int) else constant(operand)

        for equation in self.equations:
            made = run(equation, [read(operand) for operand in equation.operands])
            values.update(zip(equation.results, made, strict=True))
        return [read(output) for output in self.outputs]


def trace(function: Callable[[Any], Any], arguments: Any) -> Traced:
    """Trace a JAX function of one pytree of numbers.

    Args:
        function: may contain derivatives; of a loop the first `UNROLLED` steps are made, and a
            search within is as near as these come.
        arguments: numbers or arrays, whose values don't matter, in the structure that it takes.
    """
    leaves, structure = jax.tree.flatten(arguments)
    shapes = [jax.ShapeDtypeStruct(np.shape(leaf), np.float64) for leaf in leaves]
    body, result = jax.make_jaxpr(
        lambda *numbers: function(jax.tree.unflatten(structure, numbers)), return_shape=True
    )(*shapes)
    flat = _Flattening(len(leaves))
    outputs = flat.run(body, list(range(len(leaves))))
    return Traced(flat.needed(outputs), tuple(outputs), jax.tree.structure(result))


class _Flattening:
    """Inlines calls, computes what depends on no argument, and keeps equal equations once."""

    def __init__(self, arguments: int) -> None:
        self.equations: list[_Equation] = []
        self._places = arguments
        self._known: dict[Any, tuple[int, ...]] = {}

    def run(
        self,
        closed: Any,
        arguments: list[int | np.ndarray],
        around: tuple[Any, ...] = (),
    ) -> list[int | np.ndarray]:
        values: dict[Any, int | np.ndarray] = {}

        def read(atom: Any) -> int | np.ndarray:
            return np.asarray(atom.val) if isinstance(atom, Literal) else values[atom]

        values.update(zip(closed.jaxpr.constvars, map(np.asarray, closed.consts), strict=True))
        values.update(zip(closed.jaxpr.invars, arguments, strict=True))
        for equation in closed.jaxpr.eqns:
            operands = [read(atom) for atom in equation.invars]
            inner = _inner(equation, operands)
            sources = (equation.source_info, *around)
            if equation.primitive.name == "while":
                made: Sequence[int | np.ndarray] = self._steps(equation, operands, sources)
            elif inner:
                made = self.run(*inner, sources)
            else:
                made = self._add(equation, operands, sources)
            values.update(zip(equation.outvars, made, strict=True))
        return [read(atom) for atom in closed.jaxpr.outvars]

    def _steps(
        self, loop: JaxprEqn, operands: list[int | np.ndarray], sources: tuple[Any, ...]
    ) -> list[int | np.ndarray]:
        """A loop's first steps, one after the other; each is kept while the loop goes on."""
        goes_on, body = loop.params["cond_jaxpr"], loop.params["body_jaxpr"]
        first, last = loop.params["cond_nconsts"], loop.params["body_nconsts"]
        last += first
        (more_is,) = (_array(atom).shape for atom in goes_on.jaxpr.outvars)
        kinds = [_array(atom) for atom in loop.outvars]
        state = operands[last:]
        for _ in range(UNROLLED):
            (more,) = self.run(goes_on, operands[:first] + state, sources)
            after = self.run(body, operands[first:last] + state, sources)
            state = [
                self.run(_kept(more_is, kind.shape, kind.dtype), [more, new, old], sources)[0]
                for kind, new, old in zip(kinds, after, state, strict=True)
            ]
        return state

    def needed(self, outputs: Sequence[int | np.ndarray]) -> tuple[_Equation, ...]:
        """The equations that some outputs depend on, in order."""
        wanted = {place for place in outputs if isinstance(place, int)}
        kept = []
        for equation in reversed(self.equations):
            if wanted.intersection(equation.results):
                kept.append(equation)
                wanted.update(place for place in equation.operands if isinstance(place, int))
        return tuple(reversed(kept))

    def _add(
        self, equation: JaxprEqn, operands: list[int | np.ndarray], sources: tuple[Any, ...]
    ) -> Sequence[int | np.ndarray]:
        primitive, params = equation.primitive, equation.params
        if all(isinstance(operand, np.ndarray) for operand in operands):
            # What depends on no argument is computed by JAX, with any primitive.
            made = primitive.bind(*map(jnp.asarray, operands), **params)
            listed = made if primitive.multiple_results else [made]
            return [np.asarray(value) for value in listed]
        key = _key(equation, operands)
        if key is not None and key in self._known:
            return self._known[key]
        results = tuple(range(self._places, self._places + len(equation.outvars)))
        self._places += len(results)
        self.equations.append(
            _Equation(
                primitive=primitive,
                operands=tuple(operands),
                types=tuple(_array(atom).dtype for atom in equation.invars),
                params=params,
                results=results,
                size=max(math.prod(_array(of).shape) for of in equation.outvars),
                sources=sources,
            )
        )
        if key is not None:
            self._known[key] = results
        return results


def _key(equation: JaxprEqn, operands: Sequence[int | np.ndarray]) -> Any:
    """What equal equations have in common; None where their parameters can't be compared."""
    parts = [
        operand if isinstance(operand, int) else (operand.tobytes(), operand.dtype, operand.shape)
        for operand in operands
    ]
    key = (equation.primitive, tuple(parts), tuple(sorted(equation.params.items(), key=_first)))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _array(atom: Any) -> jax.ShapeDtypeStruct:
    """The shape and type of a value in a jaxpr."""
    return atom.aval


def _first(item: tuple[str, Any]) -> str:
    return item[0]


def _rule(equation: _Equation) -> Rule:
    name = equation.primitive.name
    if equation.size > _MOST_ELEMENTS:
        raise UntranslatableError(
            f"{name} makes {equation.size} numbers, more than a page should unroll "
            f"({_MOST_ELEMENTS})"
        )
    if name not in RULES:
        hint = _HINTS.get(name, "rewrite it with arithmetic, where, or the functions supported")
        raise UntranslatableError(f"primitive {name!r} has no Vega expression ({hint})")
    return RULES[name]


def _inner(equation: JaxprEqn, operands: list[Any]) -> tuple[Any, list[Any]] | None:
    """The closed body of a call and what it takes; None of any other equation."""
    name, params = equation.primitive.name, equation.params
    if name in ("linear_solve", "custom_linear_solve"):
        lengths = params["const_lengths"]
        first, after = lengths.matvec + lengths.vecmat, sum(lengths)
        taken = operands[first : first + lengths.solve] + operands[after:]
        return _closed(params["jaxprs"].solve), taken
    if name not in CALLS:
        return None
    return _closed(next(params[key] for key in CALLS[name] if key in params)), operands


def _closed(body: Any) -> Any:
    return body if isinstance(body, _CLOSED) else _CLOSED(body, ())


@cache
def _kept(more: tuple[int, ...], state: tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """A loop's state after a step if the loop went on, else before: of several loops at once."""

    def kept(more: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
        return jax.lax.select_n(
            jnp.broadcast_to(more.reshape(more.shape + (1,) * (new.ndim - more.ndim)), new.shape),
            old,
            new,
        )

    shapes = [jax.ShapeDtypeStruct(state, kind)] * 2
    return jax.make_jaxpr(kept)(jax.ShapeDtypeStruct(more, bool), *shapes)


# Calls, and where their parameters hold what is called.
CALLS = programs.CALLS | {"custom_lin": ("jaxpr",)}

_HINTS = {
    "scan": "loops are not unrolled; write the steps out",
    "cond": "use jnp.where, which evaluates both branches",
}


def _computed(equation: _Equation, operands: Sequence[Elements]) -> list[np.ndarray]:
    """What depends on no control is computed at once, with any primitive."""
    given = [
        numpy_operations.number(
            np.array([node.value for node in operand.flat]).reshape(operand.shape)
        ).astype(kind)
        for operand, kind in zip(operands, equation.types, strict=True)
    ]
    with np.errstate(all="ignore"):
        made = numpy_operations.step(equation)(*given)
    return [
        np.asarray(value) for value in (made if equation.primitive.multiple_results else [made])
    ]


def _line(equation: _Equation) -> str:
    """The innermost line outside the libraries that a primitive was called from."""
    libraries = ("/jax/", "/equinox/", "/lineax/", "/jaxtyping/", "/beartype/")
    for source in equation.sources:
        trace = source.traceback
        frames = traceback.extract_tb(trace.as_python_traceback()) if trace else []
        ours = [
            frame
            for frame in frames
            if not any(f"site-packages{of}" in Path(frame.filename).as_posix() for of in libraries)
            and Path(frame.filename) != Path(__file__)
        ]
        if ours:
            frame = ours[-1]
            return f"{Path(frame.filename).name}:{frame.lineno} ({frame.line or frame.name})"
    return "an unknown line"
