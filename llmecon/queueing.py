"""Waiting time over a finite horizon: finite under overload, textbook in the limits.

Steady-state formulas divide by (1 - load) and say nothing at or beyond 1, where real services
spend their worst hours. Averaged over a horizon T that starts with an empty queue, the wait is

    W = T/4 * ((load - 1) + sqrt((load - 1)**2 + 8 k g / (capacity * T)))

[KimberHollis1979; Akcelik1980]: for T -> infinity and load < 1 it becomes the many-server
approximation k g / (capacity * (1 - load)) [Sakasegawa1977; AllenCunneen]; for load > 1 it tends
to T (load - 1) / 2, the backlog of a fluid. k = (ca**2 + cs**2) / 2 measures how irregular
arrivals and services are [Kingman1961]; g = load**(sqrt(2 (servers + 1)) - 1) is the probability
of having to wait at all.
"""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

Scalar = Float[Array, "..."]


class Wait(eqx.Module):
    """Time spent in a queue.

    Attributes:
        mean: over all requests, s.
        probability: share of requests that wait at all.
        mean_if_waiting: over those that do, s.
    """

    mean: Scalar
    probability: Scalar
    mean_if_waiting: Scalar

    def quantile(self, q: Scalar) -> Scalar:
        """The wait that a share q of requests stays below, if waits are exponential, s."""
        exceeded = jnp.maximum(self.probability / (1.0 - q), 1.0)
        return self.mean_if_waiting * jnp.log(exceeded)


def wait(
    load: Scalar,
    capacity: Scalar,
    servers: Scalar,
    arrival_cv: Scalar,
    service_cv: Scalar,
    horizon: Scalar | float,
) -> Wait:
    """Average wait in a queue with many servers, over a horizon that starts empty.

    Args:
        load: offered over served requests per second, >= 0, may exceed 1.
        capacity: requests per second that all servers together complete, > 0.
        servers: how many requests are served at once, >= 1, relaxed.
        arrival_cv: coefficient of variation of the time between arrivals.
        service_cv: coefficient of variation of the service time.
        horizon: s.

    Returns:
        Mean wait, probability of waiting, mean of those who wait.
    """
    irregularity = 0.5 * (arrival_cv**2 + service_cv**2)
    within = jnp.clip(load, 1e-12, 1.0)
    probability = within ** (jnp.sqrt(2.0 * (servers + 1.0)) - 1.0)
    spare = 1.0 - load
    # The small constant keeps the root's gradient finite for a clockwork queue at load 1.
    root = jnp.sqrt(spare**2 + 8.0 * irregularity * probability / (capacity * horizon) + 1e-18)
    # The two forms are equal; each is free of cancellation on its side of load 1.
    light = 2.0 * irregularity / (capacity * (root + jnp.maximum(spare, 0.0)))
    # At load 1 and beyond everyone waits, so this needs no division by a vanishing probability.
    heavy = 0.25 * horizon * (root - jnp.minimum(spare, 0.0))
    mean_if_waiting = jnp.where(load < 1.0, light, heavy)
    return Wait(
        mean=mean_if_waiting * probability,
        probability=probability,
        mean_if_waiting=mean_if_waiting,
    )


def lognormal_quantile(q: Scalar, cv: Scalar) -> Scalar:
    """A quantile of a lognormal variable as a multiple of its mean.

    Args:
        q: probability, between 0 and 1.
        cv: coefficient of variation, >= 0.

    Returns:
        The multiple: exp(z s - s**2 / 2) with s**2 = log(1 + cv**2); 1 if cv is 0.
    """
    variance = jnp.log1p(cv**2)
    # sqrt has no finite slope at 0, where the answer is 1 whatever q.
    spread = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), 0.0)
    return jnp.exp(norm.ppf(q) * spread - 0.5 * variance)
