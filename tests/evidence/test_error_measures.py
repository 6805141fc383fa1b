"""Errors of predictions, on cases worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.evidence import error_measures
from llmecon.evidence.error_measures import Pairs

# Six predictions of what is 10 everywhere, of two models.
PAIRS = Pairs(
    predicted=jnp.array([10.0, 11.0, 8.0, 30.0, 12.0, 4.0]),
    measured=jnp.full(6, 10.0),
    sd=jnp.full(6, 0.2),
    model=jnp.array([0, 0, 0, 1, 1, 1]),
)


def test_choices_of_rows_by_hand() -> None:
    chosen = jnp.array([[True] * 6, [True, True, True, True, False, False], [False] * 6])
    every, few, none = (
        {name: float(values[i]) for name, values in vars(found).items()}
        for found in [error_measures.of_groups(PAIRS, chosen)]
        for i in range(3)
    )
    # Errors are 0, 0.1, 0.2 of one model and 2, 0.2, 0.6 of the other.
    assert every["rows"] == 6
    assert every["models"] == 2
    assert every["median"] == pytest.approx(0.2)
    assert every["mean"] == pytest.approx(3.1 / 6)
    assert every["worst"] == pytest.approx(2.0)
    assert every["over_models"] == pytest.approx((0.1 + 0.6) / 2)
    assert every["within_2x"] == pytest.approx(4 / 6)
    assert every["bias"] == pytest.approx(0.05)
    # 0.33 in logs is 90%: 30 and 4 lie outside.
    assert every["covered"] == pytest.approx(4 / 6)
    assert every["width"] == pytest.approx(np.exp(1.6449 * 0.2))
    assert few["rows"] == 4
    assert few["median"] == pytest.approx(0.15)
    assert few["over_models"] == pytest.approx((0.1 + 2.0) / 2)
    assert none["rows"] == 0
    assert np.isnan([none[name] for name in ("median", "mean", "worst", "over_models")]).all()


def test_twice_and_half_count_as_within_a_factor_of_two() -> None:
    ends = Pairs(jnp.array([5.0, 20.0]), jnp.full(2, 10.0), jnp.ones(2), jnp.zeros(2, int))
    assert float(error_measures.deviations(ends, jnp.ones(2, bool)).within_2x) == 1.0
