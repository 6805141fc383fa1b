"""Functions of JAX, traced once and then computed by NumPy until compiling them would have paid.

XLA takes twenty seconds to compile the gradient of a model that runs for a millisecond. What is
asked a few times, or of a few thousand cases at once, is had sooner by going through the traced
program operation by operation, with NumPy for the arithmetic: results agree to rounding errors.
What has no rule here is left to JAX, one operation at a time, so that every program runs.

How long both would take is estimated from the program, not measured, so that it doesn't depend on
what else a machine does. Once a program has taken as long as compiling it would, it is compiled; so
nobody waits more than twice as long as with the better of the two.

Tracing takes longer than going through the program once. So programs of functions that a module
defines are kept on disk, for as long as neither the library nor its tables change. What was worth
compiling once is kept as XLA takes it, and compiled from the start.
"""

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend import core

from llmecon.execution import trace_cache
from llmecon.execution.programs import Program, WorthCompilingError

try:
    import flatbuffers  # noqa: F401 - JAX writes exported programs with it, and needs it for no more
except ModuleNotFoundError:
    _EXPORTS = False
else:
    _EXPORTS = True

P = ParamSpec("P")
R = TypeVar("R")

# An estimate [s] beside those of `programs`: compiling an equation takes a millisecond the first
# time on a machine and next to nothing later, since compiled programs are kept; this lies between.
COMPILING = 0.5e-3
# Programs of a function in memory. Some functions are called with others that soon are gone.
REMEMBERED = 64


def interpreted(function: Callable[P, R]) -> Callable[P, R]:
    """A function that is traced once for each structure of its arguments and then interpreted.

    It takes the place of `equinox.filter_jit`, but that numbers with a fraction are traced as
    arrays are; all else is static. Inside another transformation it is a jitted function.

    Args:
        function: of any pytrees, to a pytree; pure. What is traced depends on its arguments, the
            library and the tables alone, if a module defines it, since it is then kept on disk.

    Returns:
        The function, computed by NumPy where no argument is traced.
    """
    return _run(function, _place_in_module(sys._getframe(1)), COMPILING)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """A function that is compiled at once, and else as one that is `interpreted`.

    Args:
        function: likewise; one that always works long enough to be worth it.

    Returns:
        The function, computed by XLA.
    """
    return _run(function, _place_in_module(sys._getframe(1)), 0.0)


def _run(function: Callable[P, R], place: str, compiling: float) -> Callable[P, R]:
    """The function; compiling it is reckoned to take so many seconds an equation."""
    within = eqx.filter_jit(function)
    entries: dict[Any, _Entry] = {}

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given, static = eqx.partition((args, kwargs), _is_traced)
        leaves, structure = jax.tree.flatten(given)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return within(*args, **kwargs)
        fixed, rest = jax.tree.flatten(static)
        key = (structure, tuple(map(_kind, leaves)), rest, tuple(fixed))
        if key not in entries:

            def flat(*leaves: Any) -> tuple[list[Any], _Results]:
                args, kwargs = eqx.combine(jax.tree.unflatten(structure, leaves), static)
                arrays, others = eqx.partition(function(*args, **kwargs), eqx.is_array)
                found, arrangement = jax.tree.flatten(arrays)
                return found, _Results(arrangement, others)

            if len(entries) == REMEMBERED:
                del entries[next(iter(entries))]
            entries[key] = _Entry(flat, leaves, key_of(place, given, static), compiling)
        made: R = entries[key].compute(leaves)
        return made

    return run


@dataclass(frozen=True)
class _Results:
    """How arrays are arranged in what a function returns, and what it returns besides them."""

    arrangement: Any
    others: Any

    def of(self, found: Sequence[Any]) -> Any:
        return eqx.combine(jax.tree.unflatten(self.arrangement, found), self.others)

    def __getstate__(self) -> Any:
        # JAX doesn't promise that its structures can be pickled; what has that structure can.
        return jax.tree.unflatten(self.arrangement, [0] * self.arrangement.num_leaves), self.others

    def __setstate__(self, state: Any) -> None:
        example, others = state
        object.__setattr__(self, "arrangement", jax.tree.structure(example))
        object.__setattr__(self, "others", others)


class _Entry:
    """A function for arguments of one structure: its program, and what that may still take.

    Args:
        flat: the function, from arrays to arrays and how they are arranged.
        leaves: its first arguments.
        key: under which it is kept; empty if it isn't.
        compiling: estimate for an equation [s].
    """

    def __init__(
        self, flat: Callable[..., Any], leaves: Sequence[Any], key: str, compiling: float
    ) -> None:
        self._flat, self._key = flat, key
        # What always works long is worth compiling well, which takes twice as long.
        self._options = None if compiling else {"xla_backend_optimization_level": 2}
        self._body: Any = None
        self._compiled: Callable[..., Sequence[Any]] | None = None
        self._program: Program | None = None
        # What was worth compiling once is compiled from the start.
        exported = trace_cache.read(key, "exported") if _EXPORTS else None
        if exported:
            written, self._results = exported
            self._compiled = self._call(written)
            return
        known = trace_cache.read(key, "program")
        if known:
            self._program, self._results = known
        else:
            self._trace(leaves)
            if compiling:
                self._program = Program(self._body)
                trace_cache.write(key, "program", (self._program, self._results))
        # As long as compiling would take [s].
        self._left = compiling * self._program.equations if self._program else 0.0

    def _trace(self, leaves: Sequence[Any]) -> None:
        told: list[_Results] = []

        def results(*leaves: Any) -> list[Any]:
            found, arranged = self._flat(*leaves)
            told.append(arranged)
            return list(found)

        self._body = jax.make_jaxpr(results)(*leaves)
        (self._results,) = told

    def _compile(self, leaves: Sequence[Any]) -> Callable[..., Any]:
        if self._body is None:
            self._trace(leaves)
        function: Any = jax.jit(core.jaxpr_as_fun(self._body), compiler_options=self._options)
        if self._key and _EXPORTS:
            # Keys of random numbers, and calls of other libraries, can't be exported.
            with suppress(NotImplementedError, TypeError, ValueError):
                written = export.export(function)(*leaves).serialize()
                trace_cache.write(self._key, "exported", (written, self._results))
                # As other processes will call it, so that they find it compiled.
                function = self._call(written)
        return function

    def _call(self, written: bytearray) -> Callable[..., Sequence[Any]]:
        exported = export.deserialize(written)
        called: Any = jax.jit(exported.call, compiler_options=self._options)
        return called

    def compute(self, leaves: Sequence[Any]) -> Any:
        if self._compiled is None and self._program is not None:
            try:
                found, self._left = self._program.run(leaves, self._left)
                return self._results.of([jnp.asarray(value) for value in found])
            except WorthCompilingError:
                self._program = None
        if self._compiled is None:
            self._compiled = self._compile(leaves)
        return self._results.of(self._compiled(*leaves))


def _is_traced(leaf: Any) -> bool:
    return isinstance(leaf, (float, np.ndarray, np.generic, jax.Array))


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray | jax.Array):  # without asking JAX, which takes longer
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)
    return jnp.shape(leaf), jax.dtypes.result_type(leaf), getattr(leaf, "weak_type", False)


def _place_in_module(caller: Any) -> str:
    """Where a module of the library defines something; empty for a caller inside a function.

    Lines and columns are those of the source, also where tests have types checked, which moves
    all instructions.
    """
    module = caller.f_globals.get("__name__", "")
    if caller.f_code.co_name != "<module>" or module.partition(".")[0] != "llmecon":
        return ""
    # Two bytes an instruction.
    positions = islice(caller.f_code.co_positions(), caller.f_lasti // 2, None)
    line, _, column, _ = next(positions)
    return f"{module} {line} {column}"


def key_of(place: str, given: Any, static: Any) -> str:
    """A name for a program in any process, as `trace_cache.key`; empty where there is none.

    Args:
        place: where it is defined; empty if it isn't to be kept.
        given: arrays, told by their kinds alone.
        static: all else, which is pickled: functions and classes by their names in their modules.
            There is no key where one has no such name, as those that other functions define, or
            belongs to a caller, whose code may change while the library stays.
    """
    if not place:
        return ""
    kinds = jax.tree.map(lambda leaf: str(_kind(leaf)), given)
    written = io.BytesIO()
    pickler = _Pickler(written)
    pickler.fast = True  # the same value is written in the same way, whichever object holds it
    try:
        pickler.dump((kinds, static))
    except _NOT_PICKLED:
        return ""
    return trace_cache.key(place, written.getvalue())


class _Pickler(pickle.Pickler):
    """Refuses functions and classes of anyone but the library and what it is built on."""

    def reducer_override(self, of: Any) -> Any:
        if isinstance(of, type | FunctionType) and of.__module__.partition(".")[0] not in KNOWN:
            raise pickle.PicklingError(f"{of} may change while the library stays")
        return NotImplemented


# Packages whose code a key tells, by the library's state and the versions of the others.
KNOWN = {"llmecon", "jax", "jaxlib", "numpy", "equinox", *sys.stdlib_module_names} - {"__main__"}

_NOT_PICKLED = (pickle.PicklingError, AttributeError, TypeError)
