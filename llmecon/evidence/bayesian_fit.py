"""Bayesian fits of a few physical parameters to many measurements.

Every parameter has a prior on a scale where it is roughly normal: shares on the logit scale, times
and multiples on the log scale. The most probable values are found by Levenberg-Marquardt on the
residuals of data and priors together; their covariance there is Laplace's approximation of the
posterior [MacKay2003].
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted

Vector = Float[Array, " parameters"]
Values = Mapping[str, Array]

# Of a normal distribution, 90% lies within so many standard deviations.
NINETY = 1.6449

MAXIMUM_STEPS = 256
# A search ends when parameters move by less, on scales where their priors are of order one.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Parameter:
    """A number to be fitted, and what is known of it beforehand.

    Attributes:
        name: its name.
        scale: where its prior is normal: "log" for positive numbers, "logit" for shares of 1,
            "linear" for numbers of either sign.
        centre: the prior's median, in the parameter's own unit.
        spread: the prior's standard deviation on the scale.
    """

    name: str
    scale: Literal["log", "logit", "linear"]
    centre: float
    spread: float


@dataclass(frozen=True)
class Posterior:
    """What is known of some parameters after a fit, on their scales.

    Attributes:
        parameters: the parameters with their priors.
        centre: most probable values, on the parameters' scales.
        covariance: of those values.
    """

    parameters: tuple[Parameter, ...]
    centre: np.ndarray
    covariance: np.ndarray

    @property
    def values(self) -> dict[str, float]:
        """Most probable values in the parameters' own units."""
        natural = to_natural(self.parameters, jnp.asarray(self.centre))
        return {name: float(value) for name, value in natural.items()}

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations on the parameters' scales."""
        return np.sqrt(np.diag(self.covariance))

    def draws(self, count: int, seed: int) -> dict[str, np.ndarray]:
        """Joint draws of the parameters.

        Args:
            count: how many.
            seed: of the generator; the same seed gives the same draws.

        Returns:
            For each parameter, `count` values in its own unit.
        """
        generator = np.random.default_rng(seed)
        vectors = generator.multivariate_normal(self.centre, self.covariance, size=count)
        natural = jax.vmap(lambda vector: to_natural(self.parameters, vector))(vectors)
        return {name: np.asarray(value) for name, value in natural.items()}


def to_scale(parameter: Parameter, value: float) -> float:
    """A value in the parameter's own unit, on the scale of its prior.

    Raises:
        InputError: the value does not exist on that scale, such as a share above 1.
    """
    if parameter.scale == "linear":
        return value
    if value <= 0 or (parameter.scale == "logit" and value >= 1):
        bounds = "between 0 and 1" if parameter.scale == "logit" else "above 0"
        raise InputError(f"{parameter.name} is {value}; it must lie {bounds}")
    return float(np.log(value) if parameter.scale == "log" else np.log(value / (1.0 - value)))


def to_natural(parameters: Sequence[Parameter], vector: Vector) -> dict[str, Array]:
    """Parameters in their own units, from a vector on their scales.

    Args:
        parameters: which, in order.
        vector: one number for each.

    Returns:
        Values by name.
    """
    transform = {"linear": lambda x: x, "log": jnp.exp, "logit": jax.nn.sigmoid}
    return {of.name: transform[of.scale](vector[i]) for i, of in enumerate(parameters)}


def tempered(residuals: Array, knee: float = 2.0) -> Array:
    """Residuals whose squares grow only linearly beyond a knee, so that outliers don't rule.

    Args:
        residuals: in units of their standard deviation.
        knee: where the growth turns from quadratic to linear.

    Returns:
        The square roots of twice the pseudo-Huber loss, with the residuals' signs
        [Charbonnier1997].
    """
    return residuals * jnp.sqrt(2.0 / (jnp.sqrt(1.0 + (residuals / knee) ** 2) + 1.0))


def maximum_a_posteriori(
    parameters: Sequence[Parameter],
    residuals: Callable[[Values, Any], Array],
    data: Any,
    start: np.ndarray | None = None,
) -> Posterior:
    """Fit parameters to data under their priors.

    Args:
        parameters: what is fitted, with priors.
        residuals: of (values by name, data), a vector in units of standard deviations. It is
            compiled once a function, so pass what differs between fits as data.
        data: a pytree of arrays that the residuals read.
        start: where the search begins, on the parameters' scales; the priors' medians by default.

    Returns:
        The most probable values with their covariance.

    Raises:
        InputError: the search found no finite minimum.
    """
    fixed = tuple(parameters)
    medians = np.array([to_scale(of, of.centre) for of in fixed])
    solved, curvature, left = _solve(fixed, residuals, data, medians if start is None else start)
    if not (np.all(np.isfinite(solved)) and np.all(np.isfinite(left))):
        raise InputError("the fit found no finite minimum; check the data for zeros and blanks")
    covariance = np.linalg.inv(np.asarray(curvature))
    return Posterior(fixed, np.asarray(solved), 0.5 * (covariance + covariance.T))


@interpreted
def _solve(
    parameters: tuple[Parameter, ...],
    residuals: Callable[[Values, Any], Array],
    data: Any,
    start: Any,
) -> tuple[Array, Array, Array]:
    medians = jnp.array([to_scale(of, of.centre) for of in parameters])
    spreads = jnp.array([of.spread for of in parameters])

    def everything(vector: Vector, data: Any) -> Array:
        prior = (vector - medians) / spreads
        return jnp.concatenate([residuals(to_natural(parameters, vector), data), prior])

    solution: Any = optx.least_squares(
        everything,
        optx.LevenbergMarquardt(rtol=TOLERANCE, atol=TOLERANCE),
        jnp.asarray(start, float),
        args=data,
        options={"jac": "fwd"},
        max_steps=MAXIMUM_STEPS,
        throw=False,
    )
    jacobian = jax.jacfwd(everything)(solution.value, data)
    return solution.value, jacobian.T @ jacobian, everything(solution.value, data)
