"""Fits under priors, against answers known in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.evidence import bayesian_fit
from llmecon.evidence.bayesian_fit import Parameter

POINTS = np.linspace(0.0, 3.0, 40)


def line(values: bayesian_fit.Values, data: tuple[np.ndarray, np.ndarray]) -> jnp.ndarray:
    x, y = data
    return (values["slope"] * x + values["level"] - y) / 0.1


def test_a_line_is_found_with_the_covariance_of_least_squares() -> None:
    parameters = (
        Parameter("slope", "linear", 0.0, 1e3),
        Parameter("level", "linear", 0.0, 1e3),
    )
    found = bayesian_fit.maximum_a_posteriori(parameters, line, (POINTS, 2.0 * POINTS + 0.3))
    assert found.values["slope"] == pytest.approx(2.0, abs=1e-4)
    assert found.values["level"] == pytest.approx(0.3, abs=1e-4)
    design = np.stack([POINTS, np.ones_like(POINTS)], axis=1) / 0.1
    np.testing.assert_allclose(found.covariance, np.linalg.inv(design.T @ design), rtol=1e-4)


def test_prior_and_datum_of_equal_weight_meet_halfway() -> None:
    found = bayesian_fit.maximum_a_posteriori(
        (Parameter("x", "log", 1.0, 0.5),),
        lambda values, data: jnp.atleast_1d((jnp.log(values["x"]) - data) / 0.5),
        jnp.log(4.0),
    )
    assert found.values["x"] == pytest.approx(2.0, rel=1e-3)
    assert found.sd[0] == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-3)


@pytest.mark.parametrize(
    ("scale", "value", "expected"),
    [("log", 2.0, np.log(2.0)), ("logit", 0.75, np.log(3.0)), ("linear", -1.0, -1.0)],
)
def test_scales_and_back(scale: str, value: float, expected: float) -> None:
    parameter = Parameter("x", scale, 0.5, 1.0)  # type: ignore[arg-type]
    assert bayesian_fit.to_scale(parameter, value) == pytest.approx(expected)
    back = bayesian_fit.to_natural((parameter,), jnp.array([expected]))
    assert back["x"] == pytest.approx(value)


@pytest.mark.parametrize(("scale", "value"), [("log", 0.0), ("logit", 1.0), ("logit", -0.1)])
def test_values_off_the_scale_are_refused(scale: str, value: float) -> None:
    with pytest.raises(InputError, match="must lie"):
        bayesian_fit.to_scale(Parameter("x", scale, 0.5, 1.0), value)  # type: ignore[arg-type]


def test_outliers_grow_linearly_and_small_residuals_hardly_change() -> None:
    small, large, twice = bayesian_fit.tempered(jnp.array([0.1, 100.0, 200.0]))
    assert small == pytest.approx(0.1, rel=1e-2)
    assert twice**2 / large**2 == pytest.approx(2.0, rel=0.02)


def test_draws_have_the_posterior_s_spread_and_repeat() -> None:
    parameters = (Parameter("slope", "log", 1.0, 1.0), Parameter("level", "logit", 0.5, 1.0))
    found = bayesian_fit.maximum_a_posteriori(parameters, line, (POINTS, 2.0 * POINTS + 0.3))
    drawn = found.draws(4000, seed=1)
    assert np.log(drawn["slope"]).std() == pytest.approx(found.sd[0], rel=0.05)
    assert np.all((drawn["level"] > 0) & (drawn["level"] < 1))
    np.testing.assert_array_equal(drawn["slope"], found.draws(4000, seed=1)["slope"])


def test_data_without_a_minimum_are_refused() -> None:
    with pytest.raises(InputError, match="no finite minimum"):
        bayesian_fit.maximum_a_posteriori(
            (Parameter("slope", "log", 1.0, 1.0), Parameter("level", "log", 1.0, 1.0)),
            line,
            (POINTS, np.full_like(POINTS, np.nan)),
        )
