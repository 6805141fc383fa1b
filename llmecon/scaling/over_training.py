"""Loss and mean downstream error of over-trained models: fits, predictions, how far these reach.

Of each kind of training data a law gives the loss on C4 by parameters and tokens, and another the
mean error by that loss [Gadre2024]. What is asked of such laws is to reach beyond the runs that
they were fitted to; so the spread around a prediction is how far off fits of the smaller runs were
for the larger ones, and not how near a fit comes to the runs that it has seen.

Two things limit how well these runs are predicted, and no other form of law helps against them.
The records of nine runs are a month younger than all others, and their losses are about 2% lower
than those of others of their size and tokens: a second campaign. The longest runs are among them,
so that a law which takes them for the same is bent. The factor between the two is fitted with the
law; two runs whose records don't say when they were made are left out. And runs of a quarter of the
compute-optimal tokens ended as their learning rate had just been raised, with up to 17% more loss
than the law of the others says; they are left out as well.

Laws of the runs below a cut were tried on those above it of up to twelve times as much compute, at
six cuts from 1e18 to 2e20 FLOP, 110 predictions. Their median error is 1.2% without regard to
either, and 0.7% with both; 0.9% with exponents that differ, 1.2% with constants that the kinds of
data share but for a factor, 1.9% with one power of a sum, 1.0% with parameters without embeddings,
and 1.0% with runs weighted by the root of compute. What remains is 0.8% between a run and its law.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.scaling.fit import FEWEST, NINETY, SEED, LawFit, Problem, Vector, bootstrap, fit_laws
from llmecon.scaling.laws import ErrorLaw, average_error, loss
from llmecon.tables import catalog

DATA = ("c4_original", "rpj", "rw_original")
# Beyond what a residual is a slip, in logarithms of loss: runs differ from their law by under 1%.
LOSS_KNEE = 2e-2
# By about so much runs differ from any law, in logarithms of error.
ERROR_KNEE = 5e-3
# The campaigns that runs belong to, by the month of their records, and the fewest tokens, over
# compute-optimal ones, of runs that laws of loss are fitted to.
CAMPAIGN, LATER = "2023-12", "2024-01"
WARMED = 0.5
# Fits that are tried on larger runs see those of less than this share of the largest's compute.
SMALLER = 0.1
# Above this loss models answer hardly better than at random: they say little of how errors fall.
INFORMATIVE = 4.0
# What is known of the law of errors before a run: where it begins, since at random three answers in
# four are wrong, and roughly how fast it falls; medians, and standard deviations of logarithms.
CEILING, CEILING_SPREAD = 0.75, 0.03
RATE, RATE_SPREAD = 1.0, 1.0
# What is held out by compute: runs of more than this, FLOP. These are the models of 1.4 B, and
# those of 412 M that saw sixteen times as many tokens as are compute-optimal, or more.
MOST_COMPUTE = 2e20
# What is held out at the edge: the models of 1.4 B, and of 412 M those that saw the most tokens.
LARGEST, LARGE, LONGEST = 1e9, 4e8, 32.0
RULES = ("compute", "edge", "alike")
DRAWS = 1000

# Where searches start: the ceiling, the distance from it at the mean loss, and the rate.
CEILINGS = (0.7, 0.8, 0.9)
BELOW = (0.03, 0.1)
RATES = (0.4, 0.8, 1.5)


@dataclass(frozen=True)
class ErrorFit:
    """A law of mean errors fitted to runs.

    Attributes:
        centre: logarithms of ceiling, factor and rate.
        covariance: of these.
        rows: runs that were fitted.
    """

    centre: np.ndarray
    covariance: np.ndarray
    rows: int

    @property
    def law(self) -> ErrorLaw:
        """The law at its most probable constants."""
        return ErrorLaw(*np.exp(self.centre))

    def draws(self, count: int, seed: int = SEED) -> ErrorLaw:
        """Joint draws of the constants.

        Args:
            count: how many.
            seed: of the generator.

        Returns:
            A record with a leading dimension of `count`.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(seed).standard_normal((count, len(values)))
        return ErrorLaw(*np.exp(self.centre + normal @ root.T).T)


@dataclass(frozen=True)
class Reach:
    """Laws of loss and error, and how far off they were beyond the runs that they had seen.

    Attributes:
        losses: laws of loss of each kind of data.
        errors: laws of mean error, by kind of data.
        later_share: share of the later campaign among the runs.
        loss_spread: standard deviation of the log loss of larger runs around laws of smaller ones.
        error_spread: likewise of their log mean error.
    """

    losses: LawFit
    errors: dict[str, ErrorFit]
    later_share: float
    loss_spread: float
    error_spread: float


def runs() -> pd.DataFrame:
    """The runs of the testbed, with their losses on C4."""
    table = catalog.table("loss_measurements")
    return table[table["data"].isin(DATA)].reset_index(drop=True)


def fit_errors(rows: pd.DataFrame, counted: np.ndarray | None = None) -> ErrorFit:
    """Fit the law of mean errors to runs.

    Args:
        rows: in the columns of loss_measurements.csv: loss and average_error.
        counted: which of the rows are fitted; all by default.

    Returns:
        Constants with the covariance of a bootstrap.

    Raises:
        InputError: too few runs.
    """
    seen = np.ones(len(rows), bool) if counted is None else np.asarray(counted, bool)
    if seen.sum() < FEWEST:
        raise InputError(f"a law takes at least {FEWEST} runs")
    losses = rows["loss"].to_numpy(float)
    mean = losses[seen].mean()
    data = losses - mean, np.log(rows["average_error"].to_numpy(float))
    problem = Problem(_error_residuals, data, ERROR_KNEE, seen)
    best, _ = problem.best(np.log(list(product(CEILINGS, BELOW, RATES))))
    covariance = bootstrap(problem, best)
    # The distance from the ceiling at the mean loss is that at no loss, less rate times mean.
    steep = float(np.exp(best[2])) * mean
    shift = np.eye(3)
    shift[1, 2] = steep
    centre = best + np.array([0.0, steep, 0.0])
    return ErrorFit(centre, shift @ covariance @ shift.T, int(seen.sum()))


def _error_residuals(vector: Vector, data: Any) -> Array:
    """Predicted less measured log error of each run, and distances from what is known before."""
    losses, measured = data
    # Where a search strays to where nothing is left, the logarithm goes on.
    law = ErrorLaw(*jnp.exp(vector))
    left = jnp.log(jnp.maximum(average_error(law, losses), 1e-3)) - measured
    prior = jnp.stack(
        [
            (vector[0] - np.log(CEILING)) / CEILING_SPREAD,
            (vector[2] - np.log(RATE)) / RATE_SPREAD,
        ]
    )
    return jnp.concatenate([left, ERROR_KNEE * prior])


def fit_reach(rows: pd.DataFrame, counted: np.ndarray | None = None) -> Reach:
    """Fit laws of loss and of mean error to runs.

    Args:
        rows: in the columns of loss_measurements.csv.
        counted: which of the rows are fitted; all by default.

    Returns:
        The laws of all these runs, and how far off laws of the smaller ones are for the larger.

    Raises:
        InputError: too few runs.
    """
    seen = np.ones(len(rows), bool) if counted is None else np.asarray(counted, bool)
    compute = rows["training_flop"].to_numpy(float)
    small = seen & (compute < SMALLER * compute[seen].max())
    large = rows[seen & ~small]
    found = predict(Reach(*_laws(rows, small), 0.0, 0.0), large)
    off = {
        name: float(np.sqrt(np.mean(np.log(found[name] / large[name]) ** 2)))
        for name in ("loss", "average_error")
    }
    return Reach(*_laws(rows, seen), off["loss"], off["average_error"])


def _laws(rows: pd.DataFrame, counted: np.ndarray) -> tuple[LawFit, dict[str, ErrorFit], float]:
    """Laws of loss and of error, and which share of the runs is of the later campaign."""
    recorded = rows["recorded"].to_numpy()
    later, known = recorded == LATER, np.isin(recorded, [CAMPAIGN, LATER])
    warmed = rows["multiplier"].to_numpy(float) >= WARMED
    losses = fit_laws(
        rows, LOSS_KNEE, one_exponent=True, counted=counted & known & warmed, apart=later
    )
    of = rows["data"].to_numpy()
    able = counted & (rows["loss"].to_numpy(float) < INFORMATIVE)
    errors = {name: fit_errors(rows, able & (of == name)) for name in losses.data}
    return losses, errors, float(np.mean(later[counted & known]))


def predict(reach: Reach, rows: pd.DataFrame) -> pd.DataFrame:
    """Loss and mean error of runs, with 90% intervals.

    Args:
        reach: the laws.
        rows: of kinds of data that the laws know: data, parameters and tokens, and recorded where
            it is known. Without it a run is taken to be like most, and the interval is wider.

    Returns:
        Columns loss and average_error, and of each the ends NAME_low and NAME_high; index of rows.
    """
    parts = [_predicted(reach, str(name), of) for name, of in rows.groupby("data")]
    return pd.concat(parts).reindex(rows.index)


def _predicted(reach: Reach, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    size, tokens = (jnp.asarray(rows[of].to_numpy(float)) for of in ("parameters", "tokens"))
    errors = reach.errors[name]
    recorded = rows["recorded"] if "recorded" in rows else pd.Series(None, rows.index, object)
    factor = np.where(recorded == LATER, reach.losses.factor, 1.0)
    unknown = np.where(recorded.isin([CAMPAIGN, LATER]), 0.0, _campaigns(reach))
    expected = jnp.asarray(factor) * loss(reach.losses.law(name), size, tokens)
    # Draws of the two laws are independent; what they share is the runs, not the constants.
    drawn = jnp.asarray(factor) * jax.vmap(loss, in_axes=(0, None, None))(
        reach.losses.draws(DRAWS, data=name), size, tokens
    )
    normal = np.random.default_rng(SEED + 2).standard_normal((DRAWS, 1))
    drawn = drawn * jnp.exp(jnp.asarray(unknown * normal))
    errors_drawn = jax.vmap(average_error)(errors.draws(DRAWS, SEED + 1), drawn)
    return pd.DataFrame(
        {
            **interval("loss", expected, drawn, reach.loss_spread),
            **interval(
                "average_error",
                average_error(errors.law, expected),
                errors_drawn,
                reach.error_spread,
            ),
        },
        index=rows.index,
    )


def _campaigns(reach: Reach) -> float:
    """Standard deviation of log loss where the campaign of a run isn't known."""
    share = reach.later_share
    return abs(float(np.log(reach.losses.factor))) * float(np.sqrt(share * (1.0 - share)))


def interval(name: str, value: Any, drawn: Any, spread: float) -> dict[str, np.ndarray]:
    """A prediction with the ends of its 90% interval, of positive numbers.

    Args:
        name: what is predicted.
        value: at the most probable constants, one a row.
        drawn: at draws of them, a row a draw.
        spread: standard deviation of a run's logarithm around its law.

    Returns:
        By column: NAME, NAME_low and NAME_high.
    """
    centre = np.asarray(value)
    sd = np.sqrt(np.log(np.maximum(np.asarray(drawn), 1e-3)).std(axis=0) ** 2 + spread**2)
    return {
        name: centre,
        f"{name}_low": centre * np.exp(-NINETY * sd),
        f"{name}_high": centre * np.exp(NINETY * sd),
    }


@cache
def reach() -> Reach:
    """The laws of all runs, kept on disk."""
    return _kept("all", lambda: fit_reach(runs()))


def beyond(rows: pd.DataFrame, rule: str = "compute") -> np.ndarray:
    """Which runs are held out.

    Args:
        rows: in the columns of loss_measurements.csv.
        rule: "compute", all above a budget; "edge", the largest models and the longest
            trainings, one step beyond all others; or "alike", those of "compute", where all
            records are taken for those of one campaign.

    Returns:
        True for those held out, one a row.

    Raises:
        InputError: another rule.
    """
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}; use one of {', '.join(RULES)}")
    size = rows["parameters"].to_numpy(float)
    if rule != "edge":
        return np.asarray(rows["training_flop"].to_numpy(float) > MOST_COMPUTE)
    longest = (size > LARGE) & (rows["multiplier"].to_numpy(float) >= LONGEST)
    return np.asarray((size > LARGEST) | longest)


@cache
def held_out(rule: str = "compute") -> pd.DataFrame:
    """The largest runs, predicted by laws of all others, kept on disk.

    Args:
        rule: as of `beyond`.

    Returns:
        Rows of loss_measurements.csv that are held out, and beside them, with the prefix
        `predicted_`, what `predict` says.

    Raises:
        InputError: another rule.
    """
    rows = runs() if rule != "alike" else runs().assign(recorded=CAMPAIGN)
    large = beyond(rows, rule)

    def made() -> pd.DataFrame:
        found = predict(fit_reach(rows, ~large), rows[large])
        return rows[large].join(found.add_prefix("predicted_"))

    return _kept(f"held out by {rule}", made)


def _kept(what: str, make: Any) -> Any:
    rests = disk_cache.rests_on("llmecon.scaling.over_training", "loss_measurements")
    return disk_cache.kept("over_training", disk_cache.digest(what, rests), make)
