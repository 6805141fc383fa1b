"""What the chapter on hardware choice shows of published choices and of other searches."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from llmecon.checks import older_engines, published_choices
from llmecon.execution import disk_cache
from llmecon.tables import catalog

CHEAP, FAST = "a10g", "a100-sxm-80gb"
"""The accelerators between which the winner turns."""

METHODS = {
    "random": "random search",
    "cma-es": "CMA-ES",
    "bayesian": "Bayesian optimisation",
    "enumeration": "enumeration",
    "gradient": "gradients",
}
"""Ways to search, by their name in the table."""

NEAR = 0.002
"""Dearer than the best by so much is near enough, for half of ten seeds at least."""

LEAST, MOST = 1e-4, 1e3
"""Between which a search's distance from the best is drawn, %."""

_LARGE, _CLIFF = 13, 7  # problems of the table: one that is drawn, one that is a cliff


@dataclass(frozen=True)
class Turn:
    """Tokens per dollar of a cheap GPU over those of a fast one.

    Attributes:
        ratios: columns engine (early or today), limit [s], size [tokens] and ratio.
        crossing: size up to which the cheap one wins under the early engine, by limit.
    """

    ratios: pd.DataFrame
    crossing: Mapping[float, float]

    @property
    def loose(self) -> float:
        """The limit on TPOT that leaves more time, s."""
        return published_choices.LIMITS[0]

    @property
    def tight(self) -> float:
        """The limit that leaves less, s."""
        return published_choices.LIMITS[1]


def turn() -> Turn:
    """Where the winner between a cheap and a fast GPU turns, by size of request."""
    early, today = older_engines.early(), older_engines.today()
    rows = []
    for engine, software in (("early engine", early), ("today's engine", today)):
        grid = published_choices.compare(software)
        equal = grid[grid["prompt_tokens"] == grid["output_tokens"]]
        for limit in published_choices.LIMITS:
            at = equal[np.isclose(equal["tpot_s"], limit) & (equal[CHEAP] > 0) & (equal[FAST] > 0)]
            rows.append(
                pd.DataFrame(
                    {
                        "engine": engine,
                        "limit": limit,
                        "size": at["prompt_tokens"],
                        "ratio": at[CHEAP] / at[FAST],
                    }
                )
            )
    crossing = {
        limit: published_choices.boundary(early, CHEAP, FAST, limit)
        for limit in published_choices.LIMITS
    }
    return Turn(pd.concat(rows), crossing)


@dataclass(frozen=True)
class Reproduced:
    """Published findings beside what the same models compute.

    Attributes:
        rows: as `published_choices.reproduce` returns them.
        medians: of the saving of a mixed fleet, in each setting that was published.
    """

    rows: pd.DataFrame
    medians: tuple[float, ...]

    def tally(self, agrees: str) -> int:
        """How many findings are within, overlaps or outside."""
        return int((self.rows["agrees"] == agrees).sum())

    @cached_property
    def saves(self) -> pd.DataFrame:
        """Findings on the saving of a mixed fleet."""
        return self.rows[self.rows["quantity"] == "fleet-saving"]

    @property
    def within(self) -> int:
        """Settings in which the median saving lies within the published range."""
        ends = zip(self.saves["low"], self.medians, self.saves["high"], strict=True)
        return sum(bool(low <= middle <= high) for low, middle, high in ends)

    @property
    def dear_order_differs(self) -> bool:
        """Whether the fastest of all doesn't win long requests under the tight limit here."""
        tight = self.rows["tpot_s"] == published_choices.LIMITS[1]
        rows = self.rows[(self.rows["quantity"] == "fleet-cost-ratio") & tight]
        return bool((rows["agrees"] == "outside").any())

    @property
    def apart(self) -> pd.Series:
        """The finding on goodput with phases apart."""
        return self.rows[self.rows["quantity"] == "goodput-ratio"].iloc[0]

    @property
    def slower(self) -> pd.Series:
        """How many times fewer requests the second study's devices served."""
        kind = self.rows["quantity"]
        rows = self.rows[kind.str.startswith("goodput-") & (kind != "goodput-ratio")]
        return rows["computed_low"] / rows["high"]


TABLES = (
    "published_choices",
    "engine_eras",
    "models",
    "xpus",
    "matmul_rates",
    "efficiencies",
    "efficiency_effects",
    "efficiency_draws",
)
"""What computing them anew rests on."""


def reproduced() -> Reproduced:
    """Published findings beside what the same models compute without having seen them."""
    return disk_cache.kept("reproduced", disk_cache.rests_on(__name__, *TABLES), _reproduced)


def _reproduced() -> Reproduced:
    early = older_engines.early()
    rows = published_choices.reproduce(early)
    saves = rows[rows["quantity"] == "fleet-saving"].to_dict("records")
    medians = tuple(
        float(published_choices.savings(early, of["workload"], of["tpot_s"])["saving"].median())
        for of in saves
    )
    return Reproduced(rows, medians)


def checks() -> dict[str, float]:
    """The solver against exact enumeration on random problems.

    Returns:
        problems, degenerate, impossible (of all) and agreed (of these, by both); within (share not
        more than 0.1% worse), worst and best (difference); error (enumeration's own, median);
        seconds, most, exact_seconds and exact_most.
    """
    table = catalog.table("choice_checks")
    able, impossible = (table[table["exact_cost"].notna() == there] for there in (True, False))
    off = able["difference"]
    seconds = able[["options_seconds", "relaxed_seconds", "rounded_seconds"]].sum(axis=1)
    error = 1.0 - able["exact_parts_bound"] / able["exact_parts_cost"]
    return {
        "problems": len(table),
        "degenerate": float((table["kind"] == "degenerate").sum()),
        "impossible": len(impossible),
        "agreed": float(impossible["cost"].isna().sum()),
        "within": float((off <= 1e-3).mean()),
        "worst": float(off.max()),
        "best": float(off.min()),
        "error": float(error.median()),
        "seconds": float(seconds.median()),
        "most": float(seconds.max()),
        "exact_seconds": float(able["exact_seconds"].median()),
        "exact_most": float(able["exact_seconds"].max()),
    }


@dataclass(frozen=True)
class Searches:
    """Searches that know nothing of the model beside the solver.

    Attributes:
        table: the table search_curves.
    """

    table: pd.DataFrame

    @cached_property
    def drawn(self) -> pd.DataFrame:
        """One large problem: columns evaluations, percent, low, high and series."""
        shown = self._large
        columns = ["regret", "regret_low", "regret_high"]
        best = shown.groupby("method")[columns].cummin()
        found = shown.assign(series=shown["method"].map(METHODS))
        for name, column in zip(("percent", "low", "high"), columns, strict=True):
            found[name] = (100.0 * best[column]).clip(LEAST, MOST)
        return found

    @cached_property
    def _large(self) -> pd.DataFrame:
        chosen = (self.table["size"] == "large") & (self.table["problem"] == _LARGE)
        return self.table[chosen & self.table["method"].isin(METHODS)].sort_values("evaluations")

    @cached_property
    def ends(self) -> pd.DataFrame:
        """The last row of each search of that problem, by method."""
        return self._large.groupby("method").last()

    @cached_property
    def arrived(self) -> pd.DataFrame:
        """Looks until a search comes near the best, by size and problem; columns are methods."""
        near = (self.table["regret"] <= NEAR) & self.table["method"].isin(METHODS)
        by = self.table[near].groupby(["size", "problem", "method"])["evaluations"]
        return by.min().unstack()

    def problems(self, *sizes: str) -> int:
        """How many problems there are of some sizes."""
        return len(self.arrived.loc[list(sizes)])

    @cached_property
    def first(self) -> tuple[str, int]:
        """The method that is first most often where little is to be chosen, and how often."""
        counts = self.arrived.loc[["small", "medium"]].idxmin(axis=1).value_counts()
        return str(counts.index[0]), int(counts.iloc[0])

    @property
    def gradients_few(self) -> int:
        """On how many of these gradients get there."""
        return int(self.arrived.loc[["small", "medium"]]["gradient"].notna().sum())

    @property
    def reached(self) -> pd.Series:
        """On how many problems each method comes near with the whole catalogue."""
        return self.arrived.loc[["large", "fleet"]].notna().sum().sort_values(ascending=False)

    @property
    def cliff(self) -> pd.Series:
        """Looks that each method needs where a single instance is enough for everything."""
        looks: Any = self.arrived.loc[("large", _CLIFF)]
        found: pd.Series = looks.dropna().sort_values()
        return found

    @property
    def any_fleet(self) -> float:
        """By how much fleets whose pools serve several sizes are cheaper at most, a share."""
        of = self.table[self.table["method"] == "gradient-any"]
        return -float(of.groupby(["size", "problem"])["regret"].min().min())


def searches() -> Searches:
    """Searches that know nothing of the model beside the solver."""
    return Searches(catalog.table("search_curves"))
