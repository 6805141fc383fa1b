"""Deviations from a law, shared out between groups of rows by partial pooling [Gelman2006].

The more rows a group has, the more its own level counts; an unseen one falls back to the law with a
wider interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Effect:
    """A deviation from the law that rows of a group share.

    Attributes:
        by: columns whose values make a group.
        sd: of the groups' levels, in logs.
        along: columns along which the deviation drifts, so that only near rows share it.
        reach: how far rows share it, in e-folds of those columns.
        through: an efficiency, if it is this that differs between groups: then the deviation is
            felt in proportion to the efficiency's part in the step.
    """

    by: tuple[str, ...]
    sd: float
    along: tuple[str, ...] = ()
    reach: float = 1.5
    through: str = ""


@dataclass(frozen=True)
class Pool:
    """Deviations from a law, shared out between groups of rows by partial pooling.

    Attributes:
        effects: which groups share how much.
        noise: standard deviation of what a row shares with no other, in logs.
        rows: the measured rows, with the columns that the effects read.
        deviations: measured minus law, in logs, one a row.
    """

    effects: tuple[Effect, ...]
    noise: float
    rows: pd.DataFrame
    deviations: np.ndarray

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Expected deviation of other rows and its variance, in logs.

        Args:
            rows: with the columns that the effects read.

        Returns:
            Mean and variance, one a row: those of a normal distribution over groups' levels given
            the measured rows, a row of unseen groups keeping the variance it had beforehand.
        """
        measured = shared_covariance(self.effects, self.rows, self.rows)
        measured[np.diag_indices_from(measured)] = self._variance(self.rows)
        between = shared_covariance(self.effects, self.rows, rows)
        gain = np.linalg.solve(measured, between)
        known = np.einsum("mr,mr->r", between, gain)
        return gain.T @ self.deviations, np.maximum(self._variance(rows) - known, self.noise**2)

    def _variance(self, rows: pd.DataFrame) -> np.ndarray:
        levels = [(of.sd * _part(of, rows)) ** 2 for of in self.effects]
        return np.asarray(np.sum(levels, axis=0) + self.noise**2)


def shared_covariance(
    effects: Sequence[Effect], one: pd.DataFrame, other: pd.DataFrame
) -> np.ndarray:
    """Covariance of the deviations that two sets of rows share.

    Args:
        effects: which groups share how much.
        one: rows with the columns that the effects read; an empty cell belongs to no group.
        other: the same.

    Returns:
        A matrix, rows of `one` by rows of `other`, in squared logs.
    """
    total = np.zeros((len(one), len(other)))
    for effect in effects:
        same = np.ones_like(total)
        for column in effect.by:
            left, right = one[column].to_numpy()[:, None], other[column].to_numpy()[None, :]
            same *= (left == right) & (left != "")
        for column in effect.along:
            left, right = np.log(one[column].to_numpy()), np.log(other[column].to_numpy())
            same *= np.exp(-0.5 * ((left[:, None] - right[None, :]) / effect.reach) ** 2)
        part = _part(effect, one)[:, None] * _part(effect, other)[None, :]
        total += effect.sd**2 * part * same
    return total


def _part(effect: Effect, rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(rows[effect.through] if effect.through else np.ones(len(rows)), float)
