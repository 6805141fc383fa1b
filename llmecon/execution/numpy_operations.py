"""What NumPy does for each operation of a traced program.

A rule takes what an operation is given besides arrays and returns a function of arrays. All of
these are functions of modules, with some arguments fixed, so that a program can be pickled.
"""

import operator
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.extend.core import primitives

Step = Callable[..., Any]


def number(value: Any) -> Any:
    """A NumPy array, or a number where it has no dimension: these are quicker by far.

    Args:
        value: an array of any kind.
    """
    if jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return value  # keys of random numbers, which NumPy doesn't know
    return np.asarray(value)[()]


def has_rule(equation: Any) -> bool:
    """Whether NumPy does an equation that calls no other program.

    Args:
        equation: of a jaxpr.
    """
    return equation.primitive.name in PLAIN or equation.primitive.name in RULES


def step(equation: Any) -> Step:
    """What does an equation that calls no other program; JAX does what has no rule.

    Args:
        equation: of a jaxpr.
    """
    primitive, params = equation.primitive, equation.params
    if primitive.name in PLAIN:
        return PLAIN[primitive.name]
    if primitive.name in RULES:
        return RULES[primitive.name](params)
    if named(primitive.name) is primitive:
        return partial(_by_name, primitive.name, params)

    def by_jax(*operands: Any) -> Any:
        return _by_jax(primitive, params, operands)

    return by_jax


@cache
def named(name: str) -> Any:
    """JAX's primitive of a name; `None` where JAX names none so.

    Args:
        name: as the primitive has it.
    """
    return getattr(primitives, f"{name.replace('-', '_')}_p", None)


def _by_name(name: str, params: Any, *operands: Any) -> Any:
    return _by_jax(named(name), params, operands)


def _by_jax(primitive: Any, params: Any, operands: Sequence[Any]) -> Any:
    made = primitive.bind(*map(jnp.asarray, operands), **params)
    return list(map(number, made)) if primitive.multiple_results else number(made)


def _divided(a: Any, b: Any) -> Any:
    if a.dtype.kind == "f":
        return np.true_divide(a, b)
    whole = np.abs(a) // np.abs(b)  # rounded towards 0, as XLA does
    return (np.sign(a) * np.sign(b) * whole).astype(a.dtype)


def _one_over_root(x: Any) -> Any:
    return 1.0 / np.sqrt(x)


def _one_minus_square(x: Any) -> Any:
    return (1.0 - x) * (1.0 + x)


def _clamped(low: Any, x: Any, high: Any) -> Any:
    return np.minimum(np.maximum(low, x), high)


def _polynomial(x: Any, *coefficients: Any) -> Any:
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _unchanged(x: Any) -> Any:
    return x


def _all_unchanged(*values: Any) -> Any:
    return values


def _select(which: Any, *cases: Any) -> Any:
    if which.dtype != bool:
        return np.choose(which, cases)
    if not which.ndim:
        return cases[1] if which else cases[0]
    return np.where(which, cases[1], cases[0])


def _integer_power(params: Any) -> Step:
    power = params["y"]
    if power == 2:
        return np.square
    return np.reciprocal if power == -1 else partial(_power, power)


def _power(power: int, x: Any) -> Any:
    return np.power(x, float(power) if x.dtype.kind == "f" else power)


def _broadcast(params: Any) -> Step:
    return partial(_widened, params["shape"], params["broadcast_dimensions"])


def _widened(shape: tuple[int, ...], dimensions: tuple[int, ...], x: Any) -> Any:
    if not np.ndim(x):
        return np.full(shape, x)
    lengths = [1] * len(shape)
    for dimension, length in zip(dimensions, x.shape, strict=True):
        lengths[dimension] = length
    return np.broadcast_to(x.reshape(lengths), shape)


def _reduced(function: Any) -> Callable[[Any], Step]:
    return lambda params: partial(function, axis=tuple(params["axes"]))


def _running(function: Any) -> Callable[[Any], Step]:
    def rule(params: Any) -> Step:
        run = _run_backwards if params["reverse"] else _run
        return partial(run, function, params["axis"])

    return rule


def _run(function: Any, axis: int, x: Any) -> Any:
    return function(x, axis=axis)


def _run_backwards(function: Any, axis: int, x: Any) -> Any:
    return np.flip(function(np.flip(x, axis), axis=axis), axis)


def _extreme(function: Any) -> Callable[[Any], Step]:
    def rule(params: Any) -> Step:
        (axis,) = params["axes"]
        return partial(_place, function, axis, np.dtype(params["index_dtype"]))

    return rule


def _place(function: Any, axis: int, kind: Any, x: Any) -> Any:
    return number(np.asarray(function(x, axis=axis), kind))


def _product(params: Any) -> Step:
    kind = params["preferred_element_type"]
    return partial(_multiplied, params["dimension_numbers"], kind and np.dtype(kind))


def _multiplied(dimension_numbers: Any, kind: Any, a: Any, b: Any) -> Any:
    (left, right), (left_batch, right_batch) = dimension_numbers
    # Letters by dimension, as numbers: batches first, then what remains of each.
    of_a, of_b = list(range(a.ndim)), list(range(a.ndim, a.ndim + b.ndim))
    for i, j in zip((*left, *left_batch), (*right, *right_batch), strict=True):
        of_b[j] = of_a[i]
    kept_a = [of_a[i] for i in range(a.ndim) if i not in (*left, *left_batch)]
    kept_b = [of_b[j] for j in range(b.ndim) if j not in (*right, *right_batch)]
    batch = [of_a[i] for i in left_batch]
    made = np.einsum(a, of_a, b, of_b, [*batch, *kept_a, *kept_b], optimize=True)
    return number(np.asarray(made, kind))


def _sliced(params: Any) -> Step:
    steps = params["strides"] or (1,) * len(params["start_indices"])
    ends = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return partial(_part, tuple(ends))


def _part(ends: tuple[tuple[int, int, int], ...], x: Any) -> Any:
    return x[tuple(slice(*end) for end in ends)]


def _window(starts: Sequence[Any], lengths: Sequence[int], whole: Any) -> tuple[slice, ...]:
    """A window that is moved inside, as XLA does, where it would reach beyond the end."""
    room = zip(starts, lengths, whole.shape, strict=True)
    first = [min(max(int(start), 0), size - length) for start, length, size in room]
    return tuple(slice(at, at + length) for at, length in zip(first, lengths, strict=True))


def _dynamic_slice(params: Any) -> Step:
    return partial(_seen, params["slice_sizes"])


def _seen(lengths: tuple[int, ...], x: Any, *starts: Any) -> Any:
    return x[_window(starts, lengths, x)]


def _updated(x: Any, part: Any, *starts: Any) -> Any:
    made = np.array(x)
    made[_window(starts, np.shape(part), made)] = part
    return made


def _pad(params: Any) -> Step:
    return partial(_padded, [(int(a), int(b), int(c)) for a, b, c in params["padding_config"]])


def _padded(sides: Sequence[tuple[int, int, int]], x: Any, value: Any) -> Any:
    # Padding below 0 takes away, after what is put between.
    within = tuple(slice(max(-low, 0), -max(-high, 0) or None) for low, high, _ in sides)
    lengths = [n + max(n - 1, 0) * inside for n, (_, _, inside) in zip(x.shape, sides, strict=True)]
    room = [
        (max(low, 0), n, max(high, 0)) for n, (low, high, _) in zip(lengths, sides, strict=True)
    ]
    made = np.full([sum(parts) for parts in room], value)
    places = [slice(low, low + n, s[2] + 1) for (low, n, _), s in zip(room, sides, strict=True)]
    made[tuple(places)] = x
    return made[within]


def _split(params: Any) -> Step:
    ends = np.cumsum(params["sizes"])[:-1].tolist()
    return partial(np.split, indices_or_sections=ends, axis=params["axis"])


def _counted(params: Any) -> Step:
    return partial(_count, params["shape"], params["dimension"], np.dtype(params["dtype"]))


def _count(shape: tuple[int, ...], dimension: int, kind: Any) -> Any:
    lengths = [size if i == dimension else 1 for i, size in enumerate(shape)]
    return np.broadcast_to(np.arange(shape[dimension], dtype=kind).reshape(lengths), shape)


def _converted(params: Any) -> Step:
    return partial(_as_kind, np.dtype(params["new_dtype"]))


def _as_kind(kind: Any, x: Any) -> Any:
    return x.astype(kind)


def _reinterpreted(params: Any) -> Step:
    return partial(_viewed, np.dtype(params["new_dtype"]))


def _viewed(kind: Any, x: Any) -> Any:
    return number(np.asarray(x).view(kind))


def _round(params: Any) -> Step:
    return np.rint if int(params["rounding_method"]) == 1 else _rounded_from_zero


def _rounded_from_zero(x: Any) -> Any:
    return np.where(np.abs(x) % 1.0 == 0.5, x + np.copysign(0.5, x), np.rint(x))[()]


def _scatter(function: Any) -> Callable[[Any], Step]:
    """What JAX does, called by its function, which needs no program of how two values combine."""

    def rule(params: Any) -> Step:
        given = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        return partial(_scattered, function, {name: params[name] for name in given})

    return rule


def _scattered(function: Any, given: Any, *operands: Any) -> Any:
    return number(function(*map(jnp.asarray, operands), **given))


def _stacked(axis: int, *parts: Any) -> Any:
    return np.stack(parts, axis)


def _unstacked(axis: int, x: Any) -> Any:
    return list(np.moveaxis(x, axis, 0))


def _joined(axis: int, *parts: Any) -> Any:
    return np.concatenate(parts, axis)


PLAIN: dict[str, Step] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divided,
    "pow": np.power,
    "max": np.maximum,
    "min": np.minimum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "neg": operator.neg,
    "exp": np.exp,
    "exp2": np.exp2,
    "log": np.log,
    "log2": np.log2,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "rsqrt": _one_over_root,
    "square": np.square,
    "one_minus_square": _one_minus_square,
    "polynomial": _polynomial,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "is_finite": np.isfinite,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "logistic": scipy.special.expit,
    "clamp": _clamped,
    "select_n": _select,
    "stop_gradient": _unchanged,
    "nonbatchable": _unchanged,
    "nondifferentiable_backward": _unchanged,
    "unvmap_any": np.any,
    "unvmap_all": np.all,
    "unvmap_max": np.max,
    "copy": _unchanged,
    "copy_p": _unchanged,
    "optimization_barrier": _all_unchanged,
}
"""Operations that are given arrays alone."""

RULES: dict[str, Callable[[Any], Step]] = {
    "integer_pow": _integer_power,
    "bitcast_convert_type": _reinterpreted,
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _converted,
    "reduce_sum": _reduced(np.sum),
    "reduce_prod": _reduced(np.prod),
    "reduce_max": _reduced(np.max),
    "reduce_min": _reduced(np.min),
    "reduce_and": _reduced(np.all),
    "reduce_or": _reduced(np.any),
    "cumsum": _running(np.cumsum),
    "cumprod": _running(np.cumprod),
    "cummax": _running(np.maximum.accumulate),
    "cummin": _running(np.minimum.accumulate),
    "argmin": _extreme(np.argmin),
    "argmax": _extreme(np.argmax),
    "dot_general": _product,
    "slice": _sliced,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": lambda _: _updated,
    "pad": _pad,
    "scatter": _scatter(jax.lax.scatter),
    "scatter-add": _scatter(jax.lax.scatter_add),
    "split": _split,
    "iota": _counted,
    "round": _round,
    "squeeze": lambda params: partial(np.squeeze, axis=tuple(params["dimensions"])),
    "expand_dims": lambda params: partial(np.expand_dims, axis=tuple(params["dimensions"])),
    "reshape": lambda params: partial(np.reshape, shape=params["new_sizes"]),
    "transpose": lambda params: partial(np.transpose, axes=params["permutation"]),
    "rev": lambda params: partial(np.flip, axis=params["dimensions"]),
    "stack": lambda params: partial(_stacked, params["axis"]),
    "unstack": lambda params: partial(_unstacked, params["axis"]),
    "concatenate": lambda params: partial(_joined, params["dimension"]),
    "tile": lambda params: partial(np.tile, reps=params["reps"]),
}
"""Operations that are given more than arrays, by which a rule makes what does them."""
