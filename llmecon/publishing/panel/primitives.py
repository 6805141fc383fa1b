"""How JAX's primitives are written as scalar operations of a graph, arrays unrolled."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from llmecon.publishing.panel.expressions import Graph, Node


class UntranslatableError(TypeError):
    """A function uses something that a page can't compute; the message names it and the line."""


Elements: TypeAlias = np.ndarray
"""Nodes of an unrolled array."""

Types: TypeAlias = Sequence[np.dtype[Any]]
"""Data types of a primitive's operands."""

Rule: TypeAlias = Callable[[Graph, list[Elements], Mapping[str, Any], Types], Any]
"""Makes a primitive's result, or a list of them, from its operands and its parameters."""


def _each(make: Callable[..., Node]) -> Rule:
    """A rule for a primitive that works element by element."""

    def rule(graph: Graph, operands: list[Elements], _: Mapping[str, Any], __: Types) -> Any:
        arrays = np.broadcast_arrays(*operands)
        made = np.empty(arrays[0].shape, dtype=object)
        for index in np.ndindex(made.shape):
            made[index] = make(graph, *(array[index] for array in arrays))
        return made

    return rule


def _unary(operation: str) -> Rule:
    return _each(lambda graph, a: graph.unary(operation, a))


def _binary(operation: str) -> Rule:
    return _each(lambda graph, a, b: graph.binary(operation, graph.number(a), graph.number(b)))


def _integer_power(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    exponent = int(params["y"])

    def power(a: Node) -> Node:
        # As XLA does: by repeated squaring, so that the last digits agree.
        result, square, left = graph.constant(1), a, abs(exponent)
        while left:
            if left & 1:
                result = graph.binary("*", result, square)
            left >>= 1
            square = graph.binary("*", square, square) if left else square
        return result if exponent >= 0 else graph.binary("/", graph.constant(1), result)

    return np.asarray(np.frompyfunc(power, 1, 1)(operands[0]), dtype=object)


def _select(graph: Graph, operands: list[Elements], _: Mapping[str, Any], types: Types) -> Elements:
    counted = types[0] != np.bool_

    def choose(which: Node, *cases: Node) -> Node:
        chosen = cases[-1]
        for i in range(len(cases) - 2, -1, -1):
            condition = (
                graph.binary("==", which, graph.constant(i))
                if counted
                else graph.unary("!", graph.truth(which))
            )
            chosen = graph.select(condition, cases[i], chosen)
        return chosen

    return np.asarray(np.frompyfunc(choose, len(operands), 1)(*operands), dtype=object)


def _reduced(start: Callable[[Graph, Node, Node], Node]) -> Rule:
    """A rule for a reduction by repeated application of one operation."""

    def rule(
        graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
    ) -> Elements:
        axes = tuple(params["axes"])
        array = operands[0]
        kept = [axis for axis in range(array.ndim) if axis not in axes]
        rows = array.transpose(*kept, *axes).reshape(*(array.shape[axis] for axis in kept), -1)
        made = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(made.shape):
            total = rows[index][0]
            for element in rows[index][1:]:
                total = start(graph, total, element)
            made[index] = total
        return made

    return rule


def _running(start: Callable[[Graph, Node, Node], Node]) -> Rule:
    """A rule for running totals along an axis."""

    def rule(
        graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
    ) -> Elements:
        array = np.moveaxis(operands[0], params["axis"], 0).copy()
        order = range(len(array))
        order = reversed(order) if params.get("reverse") else order  # type: ignore[assignment]
        before = None
        for i in order:
            for index in np.ndindex(array.shape[1:]):
                if before is not None:
                    array[(i, *index)] = start(graph, array[(before, *index)], array[(i, *index)])
            before = i
        return np.moveaxis(array, 0, params["axis"])

    return rule


def _extreme(comparison: Callable[[Graph, Node, Node], Node]) -> Rule:
    """A rule for the index of the least or greatest element along an axis."""

    def rule(
        graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
    ) -> Elements:
        (axis,) = params["axes"]
        rows = np.moveaxis(operands[0], axis, -1)
        made = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(made.shape):
            best, place = rows[index][0], graph.constant(0)
            for i, element in enumerate(rows[index][1:], start=1):
                better = comparison(graph, element, best)
                place = graph.select(better, graph.constant(i), place)
                best = graph.select(better, element, best)
            made[index] = place
        return made

    return rule


def _dynamic_slice(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    array, *starts = operands
    sizes = params["slice_sizes"]
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        last = array.shape[axis] - size
        moved = np.moveaxis(array, axis, 0)
        pieces = [moved[i : i + size] for i in range(last + 1)]
        # An index beyond either end means that end.
        chosen = pieces[-1]
        for i in range(last - 1, -1, -1):
            here = graph.binary("<", start.item(), graph.constant(i + 0.5))
            pairs = np.frompyfunc(lambda a, b, here=here: graph.select(here, a, b), 2, 1)
            chosen = np.asarray(pairs(pieces[i], chosen), dtype=object)
        array = np.moveaxis(chosen, 0, axis)
    return array


def _dynamic_update_slice(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], types: Types
) -> Elements:
    array, update, *starts = operands
    partial_axes = [axis for axis in range(array.ndim) if update.shape[axis] != array.shape[axis]]
    if len(partial_axes) > 1:
        raise UntranslatableError("an update along several axes at once has no translation")
    if not partial_axes:
        return update
    (axis,) = partial_axes
    old, new = np.moveaxis(array, axis, 0), np.moveaxis(update, axis, 0)
    start, last = starts[axis].item(), len(old) - len(new)
    made = old.copy()
    for i in range(last + 1):
        # An index beyond either end means that end.
        low = graph.binary("<", graph.constant(i - 0.5), start) if i else graph.constant(1)
        high = graph.binary("<", start, graph.constant(i + 0.5)) if i < last else graph.constant(1)
        here = graph.binary("&&", low, high)
        put = np.frompyfunc(lambda a, b, here=here: graph.select(here, a, b), 2, 1)
        made[i : i + len(new)] = put(new, made[i : i + len(new)])
    return np.moveaxis(made, 0, axis)


def _product(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    left, right = operands
    (summed_left, summed_right), (shared_left, shared_right) = params["dimension_numbers"]

    def arranged(array: Elements, shared: Sequence[int], summed: Sequence[int]) -> Elements:
        free = [axis for axis in range(array.ndim) if axis not in (*shared, *summed)]
        sizes = [math.prod(array.shape[axis] for axis in axes) for axes in (shared, free, summed)]
        return array.transpose(*shared, *free, *summed).reshape(sizes)

    a = arranged(left, shared_left, summed_left)
    b = arranged(right, shared_right, summed_right)
    made = np.empty((a.shape[0], a.shape[1], b.shape[1]), dtype=object)
    for s, i, j in np.ndindex(made.shape):
        total = graph.constant(0)
        for k in range(a.shape[2]):
            total = graph.binary("+", total, graph.binary("*", a[s, i, k], b[s, j, k]))
        made[s, i, j] = total
    shape = [left.shape[axis] for axis in shared_left]
    for array, shared, summed in (
        (left, shared_left, summed_left),
        (right, shared_right, summed_right),
    ):
        shape += [n for axis, n in enumerate(array.shape) if axis not in (*shared, *summed)]
    return made.reshape(shape)


def _broadcast(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    array, shape = operands[0], params["shape"]
    spread = [1] * len(shape)
    for axis, size in zip(params["broadcast_dimensions"], array.shape, strict=True):
        spread[axis] = size
    return np.broadcast_to(array.reshape(spread), shape)


def _sliced(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    steps = params["strides"] or (1,) * operands[0].ndim
    limits = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return operands[0][tuple(slice(*of) for of in limits)]


def _padded(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> Elements:
    array, filler = operands
    config = params["padding_config"]
    shape = [
        low + high + n + max(n - 1, 0) * inner
        for n, (low, high, inner) in zip(array.shape, config, strict=True)
    ]
    made = np.full([max(n, 0) for n in shape], filler.item(), dtype=object)
    for index in np.ndindex(array.shape):
        place = tuple(
            low + i * (inner + 1) for i, (low, _, inner) in zip(index, config, strict=True)
        )
        if all(0 <= i < n for i, n in zip(place, made.shape, strict=True)):
            made[place] = array[index]
    return made


def _converted(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], types: Types
) -> Elements:
    before, after = types[0], np.dtype(params["new_dtype"])

    def convert(a: Node) -> Node:
        if after == np.bool_:
            return graph.truth(a)
        a = graph.number(a)
        # A number that becomes an integer loses its fraction towards zero.
        if np.issubdtype(before, np.floating) and np.issubdtype(after, np.integer):
            floor, ceil = graph.unary("floor", a), graph.unary("ceil", a)
            return graph.select(graph.binary("<", a, graph.constant(0)), ceil, floor)
        return a

    return np.asarray(np.frompyfunc(convert, 1, 1)(operands[0]), dtype=object)


def _split(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], _: Types
) -> list[Elements]:
    ends = np.cumsum(params["sizes"])[:-1]
    return list(np.split(operands[0], ends, axis=params["axis"]))


def _sign(graph: Graph, a: Node) -> Node:
    zero = graph.constant(0)
    below = graph.select(graph.binary("<", a, zero), graph.constant(-1), zero)
    return graph.select(graph.binary("<", zero, a), graph.constant(1), below)


def _tanh(graph: Graph, a: Node) -> Node:
    size = graph.binary("*", graph.constant(-2), graph.unary("abs", a))
    less = graph.expm1(size)
    value = graph.binary("/", graph.unary("neg", less), graph.binary("+", less, graph.constant(2)))
    return graph.select(graph.binary("<", a, graph.constant(0)), graph.unary("neg", value), value)


def _logistic(graph: Graph, a: Node) -> Node:
    one = graph.constant(1)
    return graph.binary("/", one, graph.binary("+", one, graph.unary("exp", graph.unary("neg", a))))


def _log2(graph: Graph, a: Node) -> Node:
    return graph.binary("/", graph.unary("log", a), graph.constant(math.log(2.0)))


def _one_minus_square(graph: Graph, a: Node) -> Node:
    # Factored, as XLA does, so that nothing cancels near 1.
    one = graph.constant(1)
    return graph.binary("*", graph.binary("+", one, a), graph.binary("-", one, a))


def _polynomial(graph: Graph, x: Node, *coefficients: Node) -> Node:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = graph.binary("+", graph.binary("*", total, x), coefficient)
    return total


def _clamped(graph: Graph, low: Node, a: Node, high: Node) -> Node:
    return graph.binary("min", graph.binary("max", a, low), high)


def _finite(graph: Graph, a: Node) -> Node:
    return graph.binary("<", graph.unary("abs", a), graph.constant(math.inf))


def _reinterpreted(
    graph: Graph, operands: list[Elements], params: Mapping[str, Any], types: Types
) -> Elements:
    # JAX looks at a float's bits to round it to fewer digits (see `_and`), and back again.
    if {types[0], np.dtype(params["new_dtype"])} != {np.dtype(np.float64), np.dtype(np.uint64)}:
        raise UntranslatableError("bits are read only of 64-bit floats")
    return operands[0]


def _and(graph: Graph, operands: list[Elements], _: Mapping[str, Any], types: Types) -> Elements:
    def masked(a: Node, mask: Node) -> Node:
        # Rounding a factor so that its square is exact saves the last digit, which no page shows.
        if not mask.constant or mask.value < _LEADING_HALF:
            raise UntranslatableError("bits are masked only to round a float")
        return a

    def both(a: Node, b: Node) -> Node:
        return graph.binary("&&", graph.truth(a), graph.truth(b))

    each = masked if types[0] == np.uint64 else both
    return np.asarray(np.frompyfunc(each, 2, 1)(*operands), dtype=object)


# A mask at least this keeps the sign, the exponent and the leading half of the digits.
_LEADING_HALF = float(0xFFFFFFFF00000000)


def _copied(graph: Graph, operands: list[Elements], _: Mapping[str, Any], __: Types) -> Any:
    return list(operands)


RULES: Mapping[str, Rule] = {
    "add": _binary("+"),
    "add_any": _binary("+"),
    "sub": _binary("-"),
    "mul": _binary("*"),
    "div": _binary("/"),
    "pow": _binary("pow"),
    "max": _binary("max"),
    "min": _binary("min"),
    "lt": _binary("<"),
    "le": _binary("<="),
    "gt": _each(lambda graph, a, b: graph.binary("<", b, a)),
    "ge": _each(lambda graph, a, b: graph.binary("<=", b, a)),
    "eq": _binary("=="),
    "ne": _binary("!="),
    "and": _and,
    "or": _each(lambda graph, a, b: graph.binary("||", graph.truth(a), graph.truth(b))),
    "not": _each(lambda graph, a: graph.unary("!", graph.truth(a))),
    "neg": _unary("neg"),
    "exp": _unary("exp"),
    "log": _unary("log"),
    "log2": _each(_log2),
    "sqrt": _unary("sqrt"),
    "abs": _unary("abs"),
    "floor": _unary("floor"),
    "ceil": _unary("ceil"),
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "tan": _unary("tan"),
    "asin": _unary("asin"),
    "acos": _unary("acos"),
    "atan": _unary("atan"),
    "sign": _each(_sign),
    "tanh": _each(_tanh),
    "logistic": _each(_logistic),
    "log1p": _each(Graph.log1p),
    "expm1": _each(Graph.expm1),
    "erfc": _each(Graph.erfc),
    "erf": _each(lambda graph, a: graph.binary("-", graph.constant(1), graph.erfc(a))),
    "square": _each(lambda graph, a: graph.binary("*", a, a)),
    "exp2": _each(lambda graph, a: graph.binary("pow", graph.constant(2), a)),
    "rsqrt": _each(lambda graph, a: graph.binary("/", graph.constant(1), graph.unary("sqrt", a))),
    "cbrt": _each(
        lambda graph, a: graph.binary(
            "*",
            _sign(graph, a),
            graph.binary("pow", graph.unary("abs", a), graph.constant(1 / 3)),
        )
    ),
    "one_minus_square": _each(_one_minus_square),
    "polynomial": _each(_polynomial),
    "clamp": _each(_clamped),
    "is_finite": _each(_finite),
    "integer_pow": _integer_power,
    "select_n": _select,
    "reduce_sum": _reduced(lambda graph, a, b: graph.binary("+", a, b)),
    "reduce_prod": _reduced(lambda graph, a, b: graph.binary("*", a, b)),
    "reduce_max": _reduced(lambda graph, a, b: graph.binary("max", a, b)),
    "reduce_min": _reduced(lambda graph, a, b: graph.binary("min", a, b)),
    "reduce_and": _reduced(lambda graph, a, b: graph.binary("&&", graph.truth(a), graph.truth(b))),
    "reduce_or": _reduced(lambda graph, a, b: graph.binary("||", graph.truth(a), graph.truth(b))),
    "cumsum": _running(lambda graph, a, b: graph.binary("+", a, b)),
    "cumprod": _running(lambda graph, a, b: graph.binary("*", a, b)),
    "cummax": _running(lambda graph, a, b: graph.binary("max", a, b)),
    "cummin": _running(lambda graph, a, b: graph.binary("min", a, b)),
    "argmin": _extreme(lambda graph, a, best: graph.binary("<", a, best)),
    "argmax": _extreme(lambda graph, a, best: graph.binary("<", best, a)),
    "dot_general": _product,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda graph, operands, params, _: operands[0].reshape(params["new_sizes"]),
    "squeeze": lambda graph, operands, params, _: operands[0].squeeze(params["dimensions"]),
    "expand_dims": lambda graph, operands, params, _: np.expand_dims(
        operands[0], params["dimensions"]
    ),
    "transpose": lambda graph, operands, params, _: operands[0].transpose(params["permutation"]),
    "rev": lambda graph, operands, params, _: np.flip(operands[0], params["dimensions"]),
    "concatenate": lambda graph, operands, params, _: np.concatenate(operands, params["dimension"]),
    "stack": lambda graph, operands, params, _: np.stack(operands, params["axis"]),
    "unstack": lambda graph, operands, params, _: list(np.moveaxis(operands[0], params["axis"], 0)),
    "tile": lambda graph, operands, params, _: np.tile(operands[0], params["reps"]),
    "slice": _sliced,
    "split": _split,
    "pad": _padded,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "convert_element_type": _converted,
    "bitcast_convert_type": _reinterpreted,
    "copy": _copied,
    "copy_p": _copied,
    "stop_gradient": _copied,
    "optimization_barrier": _copied,
    "name": _copied,
}
"""How each primitive is written, by its name in JAX.

:meta hide-value:
"""
