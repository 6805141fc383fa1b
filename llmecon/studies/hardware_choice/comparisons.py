"""What the chapter on hardware choice shows of phases apart, of doubt, and over a map."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from llmecon.choice import confidence, maps, objective
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice import description
from llmecon.studies.hardware_choice.frames import bucket_shown, xpu_shown
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.tables import catalog

HOURS_A_YEAR = 8766.0
YEARLY = SECONDS_PER_HOUR * HOURS_A_YEAR
"""Seconds in a year."""

TIGHTER = (1.0, 0.5, 0.25)
"""Shares of the limit on TPOT at which phases apart are compared with phases together."""

_LENGTHS = 13
_LONGEST = 32_768.0  # tokens
_PLACES = (28, 20)  # prompts and limits on TPOT of the map
_DULL = 0.9  # who wins on more of the map than this hides what would be next
_SHOWS = 1e-4  # of the cost: less is nothing
_USEFUL = 1e-3


def longest_prompt(study: Study) -> float:
    """The longest prompt that is shown, tokens."""
    context = float(catalog.row("models", study.scenario.model)["context_tokens"])
    return min(_LONGEST, context - study.scenario.output_tokens)


@dataclass(frozen=True)
class Apart:
    """Prompts and answers on machines of their own, on one accelerator.

    Attributes:
        xpu: id.
        frame: columns prompt, tpot [s] and gain: cost together over cost apart.
        loose: gains under the scenario's limit on TPOT.
        tight: gains under a quarter of it.
    """

    xpu: str
    frame: pd.DataFrame
    loose: pd.Series
    tight: pd.Series

    @property
    def highest(self) -> pd.Series | None:
        """Where the gain is highest; None where neither way keeps the limits anywhere."""
        return None if self.frame.empty else self.frame.iloc[int(self.frame["gain"].argmax())]


def apart(study: Study) -> Apart:
    """How much dearer phases are together than apart, by prompt length and limit on TPOT."""
    given, xpu = study.scenario, xpu_shown(study)
    longest = longest_prompt(study)
    lengths = np.geomspace(min(128.0, longest / 4.0), longest, _LENGTHS)
    shown = objective.case(
        description.described(
            given,
            buckets=[description.sizes(given)[bucket_shown(study)]],
            caps={},
            choices={"xpus": [xpu], "disaggregated": True},
        )
    )
    places = [(length, share * given.tpot_limit_s) for share in TIGHTER for length in lengths]
    count = len(places)
    repeated = jax.tree.map(
        lambda leaf: np.repeat(np.asarray(leaf)[:1], count), shown.options.demand
    )
    repeated = eqx.tree_at(
        lambda d: (
            d.workload.prompt_tokens,
            d.workload.output_tokens,
            d.target.ttft,
            d.target.tpot,
        ),
        repeated,
        (
            np.array([length for length, _ in places]),
            np.full(count, given.output_tokens),
            np.full(count, given.long_ttft_limit_s),
            np.array([limit for _, limit in places]),
        ),
    )
    _, both = maps.along(shown, shown.free, repeated)
    with np.errstate(invalid="ignore"):
        gains = both.whole[0] / both.apart[0]
    frame = pd.DataFrame(places, columns=["prompt", "tpot"]).assign(gain=gains)
    frame = frame[np.isfinite(frame["gain"]) & (frame["gain"] > 0)]
    loose, tight = (
        frame[frame["tpot"] == share * given.tpot_limit_s]["gain"]
        for share in (TIGHTER[0], TIGHTER[-1])
    )
    return Apart(xpu, frame, loose, tight)


def fares(study: Study) -> pd.DataFrame:
    """How each accelerator fares alone when speed and price are uncertain; ids as the index.

    Returns:
        As `confidence.Contest.table`, with costs per million tokens, regret per year, the
        accelerator's marked name, and low_price and high_price over the middle one.
    """
    found = study.contest.table()
    prices = [confidence.price_range(study.problem, str(xpu)) for xpu in found.index]
    per = study.per_mtok(1.0)
    return found.assign(
        name=[study.marked(str(xpu)) for xpu in found.index],
        mean=per * found["mean"],
        low=per * found["low"],
        high=per * found["high"],
        regret=found["regret"] * YEARLY,
        low_price=[low for low, _ in prices],
        high_price=[high for _, high in prices],
    )


@dataclass(frozen=True)
class Learned:
    """What knowing beforehand is worth, USD a year; 0 where it is next to nothing.

    Attributes:
        everything: all speeds and prices.
        share: of the cost of the best fleet in parts that this is.
        speeds: all speeds and no price.
        prices: all prices and no speed.
        single: speeds and prices of single accelerators, "speed" or "price", its name and what
            knowing it is worth; the most useful first, those that show.
        rivals: accelerators that compete.
    """

    everything: float
    share: float
    speeds: float
    prices: float
    single: Sequence[tuple[str, str, float]]
    rivals: int


def learned(study: Study) -> Learned:
    """What knowing beforehand how fast accelerators are, and what they cost, is worth."""
    # In the contest instances are parts, so what knowing saves is set beside the fleet in parts.
    contest, cost = study.contest, study.parts.cost

    def yearly(saving: float) -> float:
        return saving * YEARLY if saving > _SHOWS * cost else 0.0

    worth = contest.worth()
    order = sorted(worth, key=lambda key: -worth[key].saving)
    return Learned(
        everything=yearly(contest.perfect),
        share=contest.perfect / cost,
        speeds=yearly(contest.all_speeds),
        prices=yearly(contest.all_prices),
        single=[
            (what, study.name(xpu), yearly(worth[what, xpu].saving))
            for what, xpu in order
            if worth[what, xpu].saving > _USEFUL * cost
        ],
        rivals=len(contest.xpus),
    )


@dataclass(frozen=True)
class Atlas:
    """Who is cheapest at every length of prompt and limit on TPOT.

    Attributes:
        places: columns prompt_tokens, tpot_s and ms.
        xpus: ids.
        costs: of a request, accelerators by places; infinite where limits can't be kept.
        firm: ids of those that were read and load-tested.
    """

    places: pd.DataFrame
    xpus: tuple[str, ...]
    costs: np.ndarray
    firm: tuple[str, ...]

    def _won(self, without: Sequence[str] = ()) -> np.ndarray:
        cost = np.where(np.isin(self.xpus, without)[:, None], np.inf, self.costs)
        first = np.array(self.xpus, dtype=object)[cost.argmin(axis=0)]
        first[~np.isfinite(cost).any(axis=0)] = None
        return first

    @cached_property
    def leader(self) -> str | None:
        """Id of one that wins nearly everywhere, so that the map shows who comes next."""
        shares = pd.Series(self._won()).value_counts(normalize=True)
        hides = len(shares) and shares.iloc[0] > _DULL and len(self.xpus) > 1
        return str(shares.index[0]) if hides else None

    @cached_property
    def led(self) -> float:
        """Share of the places with a winner at which the leader wins."""
        return float((pd.Series(self._won()).dropna() == self.leader).mean())

    @cached_property
    def map(self) -> pd.DataFrame:
        """The places with their winner, the leader apart."""
        return self.places.assign(winner=self._won([self.leader] if self.leader else []))

    @cached_property
    def areas(self) -> pd.Series:
        """Share of the places with a winner, by id, the largest first."""
        return self.map["winner"].value_counts(normalize=True)

    @cached_property
    def empty(self) -> bool:
        """Whether anywhere nothing is fast enough."""
        return bool(self.map["winner"].isna().any())

    @cached_property
    def close(self) -> float | None:
        """Share of the places at which the second costs at most a tenth more; None without one."""
        others = np.array([xpu != self.leader for xpu in self.xpus])
        shown = np.sort(self.costs[others], axis=0)
        if len(shown) < 2 or not np.isfinite(shown[1]).any():
            return None
        there = np.isfinite(shown[0])
        return float((shown[1][there] / shown[0][there] < 1.1).mean())

    @cached_property
    def proven(self) -> pd.Series:
        """Shares likewise among those that were read and load-tested; empty where all were."""
        among = np.isin(self.xpus, self.firm)
        if not among.any() or among.all():
            return pd.Series(dtype=float)
        costs = self.costs[among]
        there = np.isfinite(costs).any(axis=0)
        first = np.array(self.xpus)[among][costs.argmin(axis=0)][there]
        return pd.Series(first).value_counts(normalize=True)


def atlas(study: Study) -> Atlas:
    """Who is cheapest where, each place with its best layouts."""
    given, of = study.scenario, study.posed
    bucket = bucket_shown(study)
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[bucket : bucket + 1], of.options.demand)
    one = eqx.tree_at(
        lambda d: (d.workload.output_tokens, d.target.ttft),
        one,
        (np.array([given.output_tokens]), np.array([given.long_ttft_limit_s])),
    )
    tpot = given.tpot_limit_s
    places, _, everywhere = maps.across(
        of,
        of.free,
        one,
        np.geomspace(64.0, longest_prompt(study), _PLACES[0]),
        np.geomspace(0.1 * tpot, 4.0 * tpot, _PLACES[1]),
    )
    places["ms"] = THOUSAND * places["tpot_s"]
    return Atlas(places, everywhere.xpus, everywhere.least, tuple(study.firm))
