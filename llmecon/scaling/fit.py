"""Laws of loss fitted to the losses that trained models reached.

Constants are found by the gradient of a Huber loss of residuals of log loss, summed over runs,
from a grid of starts [Hoffmann2022]. Summed, not averaged: averaged, with so narrow a knee, the
objective is so small that searches stop before they arrive [Besiroglu2024]. The law is a sum of
exponentials of numbers that are linear in logarithms, so its logarithm never overflows; sizes and
tokens count from their means, which keeps factors and exponents apart while they are searched.

Constants that a fit leaves uncertain hang together: B without its exponent is known to a factor of
two, and the loss of a model to a percent. So a fit leaves a covariance, and draws are joint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pandas as pd
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.scaling.laws import LossLaw
from llmecon.tables import catalog

Vector = Float[Array, " constants"]
Residuals = Callable[[Vector, Any], Array]

# Where the loss of a residual turns from a square to a line, in log loss [Hoffmann2022].
KNEE = 1e-3
# So many runs of the figure, those on the fewest tokens, lie far from all others [Besiroglu2024].
OUTLYING = 5
FIGURE = "MassiveText"

# Where searches start: what size and data leave of log loss at their means, and both exponents.
LEFT = (0.1, 0.3)
ENTROPY = 1.8
EXPONENTS = (0.2, 0.35, 0.5)
FEWEST = 5
TOLERANCE = 1e-9
STEPS = 1024
# Searches that run side by side, and samples of the runs, drawn with replacement, by default.
TOGETHER = 64
RESAMPLES = 512
SEED = 7
# Of a normal distribution, 90% lies within so many standard deviations.
NINETY = 1.6449


@dataclass(frozen=True)
class LawFit:
    """Additive laws of several kinds of data, with exponents that all of them share.

    Attributes:
        data: names of the kinds of data.
        centre: log A, log B and log E, each of every kind in turn, then alpha and beta.
        covariance: of these.
        spread: of runs' log losses around their laws: the standard deviation of the normal
            distribution of which 90% lies where 90% of them do.
        rows: runs that were fitted.
        objective: the sum of Huber losses, over the knee.
        factor: on the loss of runs that were trained otherwise than most; 1 where there are none.
        ends: the same where each search ended, which started from another place.
    """

    data: tuple[str, ...]
    centre: np.ndarray
    covariance: np.ndarray
    spread: float
    rows: int
    objective: float
    factor: float = 1.0
    ends: tuple[float, ...] = ()

    def law(self, data: str | None = None) -> LossLaw:
        """The law of a kind of data.

        Args:
            data: its name; the only one by default.

        Raises:
            InputError: no such data in the fit, or several and none was named.
        """
        return self._of(self.centre, data)

    def draws(self, count: int, seed: int = SEED, data: str | None = None) -> LossLaw:
        """Joint draws of the constants.

        Args:
            count: how many.
            seed: of the generator; the same draws for all kinds of data of a fit.
            data: as of `law`.

        Returns:
            A record with a leading dimension of `count`.

        Raises:
            InputError: as of `law`.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(seed).standard_normal((count, len(values)))
        return self._of(self.centre + normal @ root.T, data)

    def standard_errors(self, data: str | None = None) -> dict[str, float]:
        """One standard deviation of each constant, of factors to first order in their logarithms.

        Args:
            data: as of `law`.

        Returns:
            By name: E, A, B, alpha and beta, each in its unit.

        Raises:
            InputError: as of `law`.
        """
        sd, law = self._of(np.sqrt(np.diag(self.covariance)), data, jnp.asarray), self.law(data)
        return {
            "E": float(sd.entropy * law.entropy),
            "A": float(sd.size_factor * law.size_factor),
            "B": float(sd.data_factor * law.data_factor),
            "alpha": float(sd.size_exponent),
            "beta": float(sd.data_exponent),
        }

    def _of(
        self, vectors: np.ndarray, data: str | None, of_logs: Callable[[Any], Array] = jnp.exp
    ) -> LossLaw:
        if data not in self.data and not (data is None and len(self.data) == 1):
            raise InputError(f"no law of the data {data!r}; there are: {', '.join(self.data)}")
        many = len(self.data)
        index = self.data.index(data) if data is not None else 0
        size, tokens, entropy = (of_logs(vectors[..., index + i * many]) for i in range(3))
        return LossLaw(entropy, size, tokens, vectors[..., -2], vectors[..., -1])


def fit_laws(
    rows: pd.DataFrame,
    knee: float = KNEE,
    one_exponent: bool = False,
    covariance: str = "bootstrap",
    resamples: int = RESAMPLES,
    counted: np.ndarray | None = None,
    apart: np.ndarray | None = None,
) -> LawFit:
    """Fit an additive law to runs; one each for several kinds of data, which share exponents.

    Args:
        rows: runs in the columns of loss_measurements.csv: data, parameters, tokens and loss.
        knee: where the loss of a residual turns from a square to a line, in log loss.
        one_exponent: whether alpha and beta are the same, as they nearly are in most fits.
        covariance: "bootstrap", of fits to samples of the runs, or "sandwich", of the curvature of
            the objective and the slopes that runs contribute to it.
        resamples: samples of the bootstrap.
        counted: which of the rows are fitted; all by default. Fits to parts of the same rows share
            one compiled program.
        apart: which of the rows were trained otherwise, so that their losses are those of the law
            times a factor, the same for all of them; none by default.

    Returns:
        Constants with their covariance, whatever the factor is.

    Raises:
        InputError: too few runs of some kind of data, or another name of a covariance.
    """
    ways: dict[str, Callable[[Problem, np.ndarray], np.ndarray]] = {
        "bootstrap": partial(bootstrap, resamples=resamples),
        "sandwich": sandwich,
    }
    if covariance not in ways:
        raise InputError(f"unknown covariance {covariance!r}; use one of {', '.join(ways)}")
    seen = np.ones(len(rows), bool) if counted is None else np.asarray(counted, bool)
    numbers, names = pd.factorize(rows["data"], sort=True)
    many = len(names)
    if np.bincount(numbers[seen], minlength=many).min() < FEWEST:
        raise InputError(f"a law takes at least {FEWEST} runs of every kind of data")
    logs = np.log(rows[["parameters", "tokens", "loss"]].to_numpy(float))
    means = logs[seen].mean(axis=0)
    data = [logs[:, 0] - means[0], logs[:, 1] - means[1], logs[:, 2], numbers]
    residuals: Residuals = _residuals_of_one_exponent if one_exponent else _residuals
    if apart is not None:
        data.append(np.asarray(apart, float))
        residuals = _FACTORED[residuals]
    starts = [
        [*[np.log(size)] * many, *[np.log(left)] * many, *[np.log(ENTROPY)] * many, *exponents]
        for size, left in product(LEFT, LEFT)
        for exponents in (
            [(e,) for e in EXPONENTS] if one_exponent else product(EXPONENTS, EXPONENTS)
        )
    ]
    problem = Problem(residuals, tuple(data), knee, seen)
    found, ends = problem.ended(np.pad(starts, ((0, 0), (0, 0 if apart is None else 1))))
    first = int(np.nanargmin(ends))
    vector, objective = found[first], float(ends[first])
    best = vector[: len(starts[0])]
    # Factors at means of size and tokens are those at one parameter and token, times powers.
    both = np.eye(3 * many + 2)[:, : len(best)]
    both[-1, -1] = 1.0
    both[:many, -2 if not one_exponent else -1] = means[0]
    both[many : 2 * many, -1] = means[1]
    covered = both @ ways[covariance](problem, vector)[: len(best), : len(best)] @ both.T
    off = np.asarray(residuals(jnp.asarray(vector), tuple(data)))[seen]
    factor = 1.0 if apart is None else float(np.exp(vector[-1]))
    spread = float(np.quantile(np.abs(off), 0.9)) / NINETY
    kinds, rows_seen = tuple(map(str, names)), int(seen.sum())
    return LawFit(
        kinds, both @ best, covered, spread, rows_seen, objective, factor, tuple(ends.tolist())
    )


def _residuals(vector: Vector, data: Any) -> Array:
    """Predicted less measured log loss, of each run."""
    size, tokens, measured, number = data
    many = (len(vector) - 2) // 3
    terms = (
        vector[:many][number] - vector[-2] * size,
        vector[many : 2 * many][number] - vector[-1] * tokens,
        vector[2 * many : 3 * many][number],
    )
    return jax.nn.logsumexp(jnp.stack(terms), axis=0) - measured


def _residuals_of_one_exponent(vector: Vector, data: Any) -> Array:
    return _residuals(jnp.append(vector, vector[-1]), data)


def _residuals_apart(vector: Vector, data: Any) -> Array:
    """As `_residuals`, with the logarithm of a factor on the loss of some runs in last place."""
    return _residuals(vector[:-1], data[:-1]) + vector[-1] * data[-1]


def _residuals_of_one_exponent_apart(vector: Vector, data: Any) -> Array:
    return _residuals_of_one_exponent(vector[:-1], data[:-1]) + vector[-1] * data[-1]


_FACTORED: dict[Residuals, Residuals] = {
    _residuals: _residuals_apart,
    _residuals_of_one_exponent: _residuals_of_one_exponent_apart,
}


@dataclass(frozen=True)
class Problem:
    """What is to be fitted.

    Attributes:
        residuals: of a vector of constants, on data, one a row, and after these whatever else is
            to be small; a function that a module defines.
        data: arrays with a row a run, in a tuple.
        knee: where the loss of a residual turns from a square to a line.
        counted: which rows are fitted.
    """

    residuals: Residuals
    data: Any
    knee: float
    counted: np.ndarray

    def best(self, starts: np.ndarray) -> tuple[np.ndarray, float]:
        """The best of searches from some starts.

        Args:
            starts: a vector of constants a row.

        Returns:
            The constants, and the sum of Huber losses there, over the knee.
        """
        found, objectives = self.ended(starts)
        first = int(np.nanargmin(objectives))
        return found[first], float(objectives[first])

    def ended(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where searches from some starts end, and the objective there; arguments as of `best`."""
        return self.searched(starts, np.tile(self.counted.astype(float), (len(starts), 1)))

    def searched(self, starts: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Searches from several starts, with several weights of the runs.

        Args:
            starts: a vector of constants a row.
            weights: of the runs, a row for each start.

        Returns:
            Where each search ended, and the objective there.
        """
        count = len(starts)
        wanted = -(-count // TOGETHER) * TOGETHER
        index = np.minimum(np.arange(wanted), count - 1).reshape(-1, TOGETHER)
        parts = [
            _searched(self.residuals, self.data, self.knee, starts[of], weights[of]) for of in index
        ]
        vectors, objectives = (np.concatenate(of) for of in zip(*parts, strict=True))
        return vectors[:count], objectives[:count]


@partial(jax.jit, static_argnums=0)
def _searched(
    residuals: Residuals, data: Any, knee: Any, starts: Array, weights: Array
) -> tuple[Array, Array]:
    def objective(vector: Vector, weight: Array) -> Array:
        left = jnp.abs(residuals(vector, data))
        # What follows the rows is no run, and counts in every sample.
        weight = jnp.concatenate([weight, jnp.ones(left.size - weight.size)])
        small = jnp.minimum(left, knee)
        return jnp.sum(weight * small * (left - 0.5 * small)) / knee

    def search(start: Vector, weight: Array) -> tuple[Array, Array]:
        found: Any = optx.minimise(
            objective,
            optx.BFGS(rtol=TOLERANCE, atol=TOLERANCE),
            start,
            args=weight,
            max_steps=STEPS,
            throw=False,
        )
        return found.value, objective(found.value, weight)

    vectors, objectives = jax.vmap(search)(starts, weights)
    return vectors, objectives


def bootstrap(problem: Problem, best: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Covariance of fits to samples of the runs, each as many as there are, with replacement.

    Args:
        problem: what is fitted.
        best: the constants that fit all runs best, where searches start.
        resamples: how many samples.

    Returns:
        A row and a column a constant.
    """
    rows = problem.counted.sum()
    generator = np.random.default_rng(SEED)
    weights = generator.multinomial(rows, problem.counted / rows, size=resamples)
    found, _ = problem.searched(np.tile(best, (resamples, 1)), weights.astype(float))
    covariance: np.ndarray = np.cov(found[np.isfinite(found).all(axis=1)].T)
    return covariance


def sandwich(problem: Problem, best: np.ndarray) -> np.ndarray:
    """Covariance from the curvature of the objective and what each run's slope adds to it.

    Args:
        problem: what is fitted.
        best: the constants that fit all runs best.

    Returns:
        A row and a column a constant; to first order in the residuals, of which only those within
        the knee bend the objective.
    """
    vector = jnp.asarray(best)
    rows = np.flatnonzero(problem.counted)
    left = np.asarray(problem.residuals(vector, problem.data))[rows]
    slopes = np.asarray(jax.jacfwd(problem.residuals)(vector, problem.data))[rows]
    within = slopes[np.abs(left) <= problem.knee]
    curvature = np.linalg.pinv(within.T @ within)
    pulls = slopes * np.clip(left, -problem.knee, problem.knee)[:, None]
    covariance: np.ndarray = curvature @ (pulls.T @ pulls) @ curvature
    return covariance


def figure_runs() -> pd.DataFrame:
    """The runs of Chinchilla's figure, but for the outlying ones on the fewest tokens."""
    table = catalog.table("loss_measurements")
    runs = table[table["data"] == FIGURE].sort_values("tokens")
    return runs.iloc[OUTLYING:].sort_index().reset_index(drop=True)


@cache
def figure_fit(covariance: str = "bootstrap") -> LawFit:
    """The law of Chinchilla's figure, kept on disk.

    Args:
        covariance: as of `fit_laws`.
    """
    rests = disk_cache.rests_on("llmecon.scaling.fit", "loss_measurements")
    key = disk_cache.digest(covariance, rests)
    return disk_cache.kept("loss_law", key, lambda: fit_laws(figure_runs(), covariance=covariance))
