"""How far predictions are from what was measured: one function, whatever rows are asked about."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmecon.evidence.bayesian_fit import NINETY
from llmecon.execution.interpreter import interpreted

Rows = Float[Array, " rows"]
Scalar = Float[Array, ""]


class Pairs(eqx.Module):
    """Predictions beside measurements, one a row.

    Attributes:
        predicted: in the unit in which it was measured, > 0.
        measured: > 0.
        sd: standard deviation of the prediction's logarithm.
        model: whose row it is: models numbered from 0.
    """

    predicted: Rows
    measured: Rows
    sd: Rows
    model: Int[Array, " rows"]


class Deviations(eqx.Module):
    """Errors over some rows; the error of a row is the distance of predicted over measured from 1.

    Attributes:
        rows: how many.
        models: whose rows they are.
        median: of the errors, a fraction.
        mean: of the errors, a fraction.
        worst: of the errors, a fraction.
        over_models: mean over models of the median of each, a fraction.
        within_2x: share of rows predicted within a factor of 2.
        bias: median of predicted over measured, less 1.
        covered: share of rows inside their 90% interval.
        width: median of the interval's upper end over the prediction.
    """

    rows: Scalar
    models: Scalar
    median: Scalar
    mean: Scalar
    worst: Scalar
    over_models: Scalar
    within_2x: Scalar
    bias: Scalar
    covered: Scalar
    width: Scalar


def deviations(pairs: Pairs, counted: Bool[Array, " rows"]) -> Deviations:
    """Errors over those rows that are counted.

    Args:
        pairs: all rows.
        counted: which of them count.

    Returns:
        The errors; NaN where no row counts.
    """
    ratio = pairs.predicted / pairs.measured
    error = jnp.abs(ratio - 1.0)
    rows = jnp.sum(counted)

    def share(holds: Bool[Array, " rows"]) -> Scalar:
        return jnp.sum(counted & holds) / rows

    def median(values: Rows) -> Scalar:
        ordered = jnp.sort(jnp.where(counted, values, jnp.inf))
        middle = 0.5 * (ordered[(rows - 1) // 2] + ordered[rows // 2])
        return jnp.where(rows > 0, middle, jnp.nan)

    medians, sizes = _by_model(error, counted, pairs.model)
    models = jnp.sum(sizes > 0)
    return Deviations(
        rows=rows,
        models=models,
        median=median(error),
        mean=jnp.sum(jnp.where(counted, error, 0.0)) / rows,
        worst=jnp.where(rows > 0, jnp.max(jnp.where(counted, error, 0.0)), jnp.nan),
        over_models=jnp.sum(jnp.where(sizes > 0, medians, 0.0)) / models,
        within_2x=share((ratio >= 0.5) & (ratio <= 2.0)),
        bias=median(ratio) - 1.0,
        covered=share(jnp.abs(scores(pairs.predicted, pairs.measured, pairs.sd)) <= NINETY),
        width=median(jnp.exp(NINETY * pairs.sd)),
    )


def scores(predicted: Rows, measured: Rows, sd: Rows) -> Rows:
    """How far measurements lie above predictions, in standard deviations of the logarithm.

    Args:
        predicted: in the unit in which it was measured, > 0.
        measured: > 0.
        sd: of the predictions' logarithms.
    """
    return jnp.log(measured / predicted) / sd


def _by_model(
    values: Rows, counted: Bool[Array, " rows"], model: Int[Array, " rows"]
) -> tuple[Rows, Int[Array, " rows"]]:
    """The median of each model's counted values, by the model's number, and how many there are."""
    # Sorted by model, and within one by value with what isn't counted last.
    order = jnp.lexsort((jnp.where(counted, values, jnp.inf), model))
    sizes, every = (
        jnp.zeros_like(model).at[model].add(rows.astype(model.dtype))
        for rows in (counted, jnp.ones_like(counted))
    )
    begin = jnp.cumsum(every) - every
    last = len(values) - 1
    middle = [jnp.minimum(begin + at, last) for at in ((sizes - 1) // 2, sizes // 2)]
    low, high = (values[order[place]] for place in middle)
    return 0.5 * (low + high), sizes


of_groups = interpreted(jax.vmap(deviations, in_axes=(None, 0)))
"""Errors of several groups of rows: `counted` has a leading dimension of groups."""
