"""A traced program as steps that NumPy goes through; it can be kept on disk and read again."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.extend.core import Literal

from llmecon.execution import numpy_operations
from llmecon.execution.numpy_operations import Step, has_rule, number

Values = list[Any]

# Estimates from two cores of 2024 [s]: going through an equation, each of its numbers, and having
# JAX compute one by itself.
STEP = 1.5e-6
NUMBER = 1.5e-9
BY_JAX = 5e-5


class WorthCompilingError(Exception):
    """So much has been computed by a program that it had better be compiled."""


class _Ledger:
    """What the program that runs may still take [s]."""

    left = math.inf


_ledger = _Ledger()


class Program:
    """The steps of a traced program, each with the places of what it takes and makes.

    Args:
        body: an open or closed jaxpr.

    Attributes:
        equations: how many there are, those of every call counted.
    """

    def __init__(self, body: Any) -> None:
        jaxpr = body.jaxpr if hasattr(body, "consts") else body
        known = list(map(number, getattr(body, "consts", ())))
        places: dict[Any, int] = {}
        self._first: Values = []

        def place(variable: Any) -> int:
            if variable not in places:
                places[variable] = len(self._first)
                self._first.append(None)
            return places[variable]

        def taken(atom: Any) -> int:
            if not isinstance(atom, Literal):
                return places[atom]
            self._first.append(number(np.asarray(atom.val, _dtype(atom))))
            return len(self._first) - 1

        for variable, constant in zip(jaxpr.constvars, known, strict=True):
            self._first[place(variable)] = constant
        self._arguments = [place(variable) for variable in jaxpr.invars]
        self._steps: list[tuple[Step, tuple[int, ...], tuple[int, ...], bool]] = []
        self.equations = 0
        self._seconds = 0.0
        for equation in _needed(jaxpr):
            operands = tuple(taken(atom) for atom in equation.invars)
            results = tuple(place(variable) for variable in equation.outvars)
            made = _step(equation)
            self.equations += 1 + sum(program(inner).equations for inner in _bodies(equation))
            self._seconds += _seconds(equation)
            self._steps.append((made, operands, results, equation.primitive.multiple_results))
        self._results = [taken(atom) for atom in jaxpr.outvars]

    def run(self, arguments: Sequence[Any], seconds: float) -> tuple[Values, float]:
        """Compute.

        Args:
            arguments: arrays, in the order of the program's variables.
            seconds: that this may take, as estimated.

        Returns:
            Its results, as NumPy's arrays and numbers; and what is left of the seconds.

        Raises:
            WorthCompilingError: it would take longer.
        """
        outer, _ledger.left = _ledger.left, seconds
        try:
            with np.errstate(all="ignore"):
                found = self.steps(
                    [number(np.asarray(x) if isinstance(x, float) else x) for x in arguments]
                )
            return found, _ledger.left
        finally:
            _ledger.left = outer

    def steps(self, arguments: Values) -> Values:
        """Compute within a program that has begun.

        Args:
            arguments: NumPy's arrays and numbers, in the order of the program's variables.

        Returns:
            Its results, likewise.
        """
        _ledger.left -= self._seconds
        if _ledger.left < 0.0:
            raise WorthCompilingError
        values = self._first.copy()
        for place, value in zip(self._arguments, arguments, strict=True):
            values[place] = value
        for step, operands, results, several in self._steps:
            found = step(*[values[place] for place in operands])
            if several:
                for place, value in zip(results, found, strict=True):
                    values[place] = value
            else:
                values[results[0]] = found
        return [values[place] for place in self._results]


# Bodies of loops and calls, which many programs share. A program is kept with its body, whose
# identity therefore stays its own.
_programs: dict[int, tuple[Any, Program]] = {}


def program(body: Any) -> Program:
    """The program of a jaxpr, made once.

    Args:
        body: an open or closed jaxpr.
    """
    if id(body) not in _programs:
        _programs[id(body)] = body, Program(body)
    return _programs[id(body)][1]


def _dtype(atom: Any) -> Any:
    return atom.aval.dtype


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that results depend on: a gradient leaves many behind that nothing uses."""
    wanted = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or wanted.intersection(equation.outvars):
            kept.append(equation)
            wanted.update(atom for atom in equation.invars if not isinstance(atom, Literal))
    return kept[::-1]


def _bodies(equation: Any) -> list[Any]:
    """The programs that an equation runs."""
    params, name = equation.params, equation.primitive.name
    if name in CALLS:
        return [_called(equation)]
    if name == "cond":
        return list(params["branches"])
    if name == "while":
        return [params["cond_jaxpr"], params["body_jaxpr"]]
    if name == "scan":
        return [params["jaxpr"]]
    return [params["jaxprs"].solve] if _solves(equation) else []


def _called(equation: Any) -> Any:
    """The program of a call."""
    params = equation.params
    return next(params[name] for name in CALLS[equation.primitive.name] if name in params)


def _solves(equation: Any) -> bool:
    """Whether it is JAX's linear solve; Lineax has an operation of the same name."""
    return "linear_solve" in equation.primitive.name and "jaxprs" in equation.params


def _seconds(equation: Any) -> float:
    """How long an equation takes, what it calls left out."""
    numbers = max((math.prod(v.aval.shape) for v in equation.outvars), default=1)
    ours = equation.primitive.name in LOOPS or equation.primitive.name in CALLS
    return (STEP if ours or _solves(equation) or has_rule(equation) else BY_JAX) + NUMBER * numbers


def _step(equation: Any) -> Step:
    name = equation.primitive.name
    if name in CALLS:
        return partial(_call, program(_called(equation)))
    if name in LOOPS:
        return LOOPS[name](equation.params)
    return _linear_solve(equation.params) if _solves(equation) else numpy_operations.step(equation)


def _call(body: Program, *operands: Any) -> Values:
    return body.steps(list(operands))


def _while(params: Any) -> Step:
    split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    return partial(_repeated, program(params["cond_jaxpr"]), program(params["body_jaxpr"]), split)


def _repeated(goes_on: Program, body: Program, split: tuple[int, int], *operands: Any) -> Values:
    of_condition, of_body = list(operands[: split[0]]), list(operands[split[0] : split[1]])
    state = list(operands[split[1] :])
    while np.any(more := goes_on.steps(of_condition + state)[0]):
        found = body.steps(of_body + state)
        # Several loops at once go on until the last has ended; those that have stay there.
        state = [_later(more, *both) for both in zip(found, state, strict=True)]
    return state


def _later(more: Any, new: Any, old: Any) -> Any:
    if not np.ndim(more):
        return new
    return np.where(np.reshape(more, more.shape + (1,) * (np.ndim(new) - more.ndim)), new, old)


def _scan(params: Any) -> Step:
    if "ft_in" in params:  # since JAX 0.12
        constants, carry, _ = map(len, params["ft_in"].unpack())
    else:
        constants, carry = params["num_consts"], params["num_carry"]
    rows = range(params["length"])
    kinds = [(kind.shape, np.dtype(kind.dtype)) for kind in params["jaxpr"].out_avals[carry:]]
    order = rows[::-1] if params["reverse"] else rows
    return partial(_row_by_row, program(params["jaxpr"]), constants, carry, order, kinds)


def _row_by_row(
    body: Program,
    constants: int,
    carry: int,
    order: range,
    kinds: Sequence[tuple[tuple[int, ...], Any]],
    *operands: Any,
) -> Values:
    known, state = list(operands[:constants]), list(operands[constants : constants + carry])
    rows = operands[constants + carry :]
    made = [np.empty((len(order), *shape), kind) for shape, kind in kinds]
    for at in order:
        found = body.steps(known + state + [row[at] for row in rows])
        state, outputs = found[: len(state)], found[len(state) :]
        for column, output in zip(made, outputs, strict=True):
            column[at] = output
    return state + made


def _cond(params: Any) -> Step:
    return partial(_chosen, [program(body) for body in params["branches"]])


def _chosen(branches: Sequence[Program], index: Any, *operands: Any) -> Values:
    return branches[min(max(int(index), 0), len(branches) - 1)].steps(list(operands))


def _linear_solve(params: Any) -> Step:
    lengths = params["const_lengths"]
    first = lengths.matvec + lengths.vecmat
    places = first, first + lengths.solve, sum(lengths)
    return partial(_solved, program(params["jaxprs"].solve), places)


def _solved(solve: Program, places: tuple[int, int, int], *operands: Any) -> Values:
    first, last, after = places
    return solve.steps([*operands[first:last], *operands[after:]])


CALLS = {
    "jit": ("jaxpr",),
    "pjit": ("jaxpr",),
    "closed_call": ("call_jaxpr",),
    "core_call": ("call_jaxpr",),
    "eval_jaxpr": ("call_jaxpr",),
    "remat": ("jaxpr",),
    "checkpoint": ("jaxpr",),
    "custom_jvp_call": ("call_jaxpr",),
    "custom_vjp_call": ("call_jaxpr", "fun_jaxpr"),
    "custom_vjp_call_jaxpr": ("fun_jaxpr",),
}
"""Operations that call another program, and where their parameters hold it."""

LOOPS = {"while": _while, "scan": _scan, "cond": _cond}
"""Operations that run other programs more or less often."""
