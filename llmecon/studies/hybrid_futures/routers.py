"""The router of the chapter on hybrid futures: fitted to the published points of real ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.execution.interpreter import interpreted
from llmecon.tables import catalog
from llmecon.tiers import routing
from llmecon.tiers.routing import Pair

COUNTED = "gpt-4-mixtral-mmlu or gpt-4-mixtral-gsm8k"  # which say who answered what


@interpreted
def _fitted(points: Float[Array, "routers 2 points"], pair: Pair) -> Float[Array, " routers"]:
    fit = jax.vmap(routing.fitted_skill, (0, 0, None))
    skills: Array = fit(points[:, 0], points[:, 1], pair)
    return skills


@dataclass(frozen=True)
class Router:
    """Published routers between two models, and the best of them.

    Attributes:
        study: the row of router_pairs that they were tried on.
        pair: how its two models differ.
        points: of trained routers: router, strong_share, recovered.
        skills: fitted to each router's points.
    """

    study: Mapping[str, Any]
    pair: Pair
    points: pd.DataFrame
    skills: Mapping[str, float]

    @property
    def best(self) -> str:
        """The router of most skill."""
        return max(self.skills, key=lambda name: self.skills[name])

    @property
    def skill(self) -> float:
        """Its skill."""
        return self.skills[self.best]

    @cached_property
    def overlap(self) -> float:
        """How often the stronger model fails where the weaker is right; see `routing.chain`."""
        return float(routing.overlap(self.pair))


def router(pair: str) -> Router:
    """The routers that were tried on two models.

    Args:
        pair: id of the table router_pairs.

    Raises:
        InputError: the study doesn't say which questions each model answered rightly.
    """
    study = catalog.row("router_pairs", pair)
    if pd.isna(study["both"]):
        raise InputError(f"router_pair: {pair} gives no counts of who answered what; use {COUNTED}")
    points = catalog.table("routers")
    points = points[points["pair"] == pair]
    # Trained on more than votes of people: what routers do at their best.
    points = points[points["training"].fillna("").str.contains("-")]
    models = answered_by(study)
    key = disk_cache.digest(disk_cache.rests_on(__name__, "router_pairs", "routers"), pair)
    skills = disk_cache.kept("routers", key, lambda: _skills(points, models))
    return Router(study, models, points, skills)


def _skills(points: pd.DataFrame, models: Pair) -> dict[str, float]:
    """The skill of each router that comes nearest to its points."""
    columns = {
        str(name): of[["strong_share", "recovered"]].to_numpy().T
        for name, of in points.groupby("router")
    }
    found = np.asarray(_fitted(jnp.asarray(list(columns.values())), models))
    return dict(zip(columns, found.tolist(), strict=True))


def answered_by(study: Mapping[Any, Any]) -> Pair:
    """How the two models of a study differ on its questions.

    Args:
        study: a row of router_pairs that counts who answered what.
    """
    asked = study["questions"]
    return Pair(
        gains=study["only_strong"] / asked,
        losses=study["only_weak"] / asked,
        weak=(study["both"] + study["only_weak"]) / asked,
    )


def overlaps() -> list[float]:
    """How often stronger models fail where weaker ones are right, in every study that counted."""
    counted = catalog.table("router_pairs").dropna(subset="both").to_dict("records")
    return [float(routing.overlap(answered_by(row))) for row in counted]
