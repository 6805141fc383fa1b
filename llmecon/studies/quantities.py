"""The numbers that a study stands for, with their intervals and elasticities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.evidence.uncertainty import Interval, Multiple, Spread
from llmecon.execution.interpreter import interpreted

C = TypeVar("C")
Numbers = Mapping[str, Float[Array, ""]]


@dataclass(frozen=True)
class Quantity:
    """One number that a study stands for.

    Args:
        name: Identifier, unique in the chapter.
        value: The number, in `unit`; None where `text` says why there is none.
        unit: Unit of `value`, as a reader sees it.
        label: What the number is, in a few words.
        text: The number as a reader sees it; empty for `value` and `unit` in words.
        low: Lower end of its 90% interval; None where there is none.
        high: Upper end.
        elasticities: By how many percent it changes when an input grows by one percent.
        turned: Whether it is told with the other sign, as a saving of less than nothing is.
        more: Digits beyond the usual that tell it apart.
    """

    name: str
    value: float | None
    unit: str
    label: str
    text: str = ""
    low: float | None = None
    high: float | None = None
    elasticities: Mapping[str, float] = field(default_factory=dict)
    turned: bool = False
    more: int = 0


@dataclass(frozen=True)
class Differentiated:
    """Several numbers of one case and how they answer to every input of the case.

    Attributes:
        values: the numbers by name.
        effects: by name, elasticities in the structure of the case; 0 where the number is 0.
    """

    values: Mapping[str, float]
    effects: Mapping[str, Any]

    def interval(self, name: str, spread: Spread, multiples: Mapping[str, Array]) -> Interval:
        """Where a number lies with 90%, to first order in what is uncertain of the efficiencies.

        Args:
            name: the number's.
            spread: covariance of the efficiencies of the case; see `uncertainty.spread`.
            multiples: what is unexplained; see `uncertainty.multiples_sd`.

        Returns:
            The interval, in the number's unit.
        """
        sd = float(spread.log_sd(self.effects[name].efficiency, multiples))
        return Multiple(0.0, sd).interval() * self.values[name]


def differentiate(function: Callable[[C], Numbers], case: C) -> Differentiated:
    """Several numbers of a case with all their elasticities, in one pass forward and one back.

    Args:
        function: of the case, to scalars by name; not negative, pure.
        case: a record with a field `efficiency`.

    Returns:
        The numbers and their elasticities.
    """
    names, values, effects = _differentiated(function, case)
    rows = {
        name: jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), effects)
        for i, name in enumerate(names)
    }
    return Differentiated(dict(zip(names, values.tolist(), strict=True)), rows)


@interpreted
def _differentiated(function: Callable[[C], Numbers], case: C) -> tuple[tuple[str, ...], Array, C]:
    inputs, rest = eqx.partition(case, eqx.is_inexact_array)
    names: list[str] = []

    def several(of: Any) -> Array:
        found = function(eqx.combine(of, rest))
        names[:] = found  # JAX sorts the names of what it returns
        return jnp.stack(list(found.values()))

    values, back = jax.vjp(several, inputs)
    (slopes,) = jax.vmap(back)(jnp.eye(len(names)))
    there = jnp.where(values > 0, values, 1.0)
    effects: C = jax.tree.map(lambda slope, number: slope * number / there, slopes, inputs)
    return tuple(names), values, effects
