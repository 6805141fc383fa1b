"""The price of an equally good answer, now and over the years: frames of the chapter."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.costs import economics
from llmecon.execution.interpreter import interpreted
from llmecon.studies.reasoning_agents import equals
from llmecon.studies.reasoning_agents.study import Study
from llmecon.studies.tokenomics import apis
from llmecon.studies.tokenomics.services import Services

ANCHORS = {
    "gpt-3-175b": "GPT-3",
    "gpt-3.5-turbo": "GPT-3.5",
    "gpt-4": "GPT-4",
    "gpt-4-1106-preview": "GPT-4 Turbo",
    "o1": "o1",
}
"""Models whose scores are levels of quality, and what a reader calls them."""

_APART = 2.0  # points that levels differ by at least
_SHORTEST = 1.0  # years of data below which no yearly rate is told


@dataclass(frozen=True)
class Edge:
    """The cheapest way to each quality.

    Attributes:
        rows: columns way, score [%], blended [USD per million tokens] and who; of each way the
            models that no other beats on both.
        api: those of the APIs.
        hosted: every hosted model that has a score, its cheapest seller each.
        run_here: every open model that the scenario's hardware serves within the limits.
        level: score that is to be matched, %: the scenario's model's, or else a middling one.
        scored: whether the scenario's model has a score.
        measure: the benchmark as a reader calls it.
        settings: in which each model was scored.
    """

    rows: pd.DataFrame
    api: pd.DataFrame
    hosted: pd.DataFrame
    run_here: pd.DataFrame
    level: float
    scored: bool
    measure: str
    settings: Mapping[str, str]

    @property
    def matching(self) -> pd.Series | None:
        """The cheapest hosted model that reaches the level; None where none does."""
        return equals.matching(self.hosted, self.level)

    @property
    def local(self) -> pd.Series | None:
        """The cheapest model on the scenario's hardware that does."""
        return equals.matching(self.run_here, self.level)


def edge(study: Study, services: Services) -> Edge:
    """The cheapest way to each quality, hosted and self-run."""
    market, here = study.market, services.solved("quality")
    hosted = equals.hosted(market)
    run_here = here.assign(
        score=here["x"],
        blended=here["blended"] * study.scenario.peak_to_mean,
        who=here["label"],
    )
    api = equals.undominated(hosted).assign(way="cheapest API")
    edges = [api]
    if not run_here.empty:
        edges.append(equals.undominated(run_here).assign(way=f"self-run on {study.xpu_name}"))
    return Edge(
        rows=pd.concat(edges)[["way", "score", "blended", "who"]],
        api=api,
        hosted=hosted,
        run_here=run_here,
        level=equals.level(market, study.scenario.model),
        scored=market.score(study.scenario.model) is not None,
        measure=apis.BENCHMARKS[study.scenario.benchmark],
        settings=dict(zip(market.scores["model"], market.scores["setting"], strict=True)),
    )


@dataclass(frozen=True)
class Decline:
    """The lowest price at which a level of quality could be had, by month.

    Attributes:
        steps: columns nickname, score [%], since [years] and usd per million tokens.
        falls: a row a level: nickname, score, rate (a year's factor), years, first and last.
        dated: rows of the table api_prices that it rests on.
        start: the month from which years are counted.
    """

    steps: pd.DataFrame
    falls: pd.DataFrame
    dated: pd.DataFrame
    start: str

    @property
    def longest(self) -> pd.Series:
        """The level with most years of data."""
        return self.falls.iloc[int(self.falls["years"].argmax())]


def decline(study: Study) -> Decline:
    """The lowest price so far at which each of several levels of quality could be had."""
    market = study.market
    prices, scores = market.prices, market.percent
    sold = prices[(prices["month"] < market.seen) | (prices["current"] == 1)]
    dated = sold.assign(score=sold["model"].map(scores)).dropna(subset=["score"])
    dated = dated.sort_values("year")
    steps, falls = [], []
    for nickname, score in _levels(study).items():
        lowest = dated[dated["score"] >= score].groupby("year")["blended"].min().cummin()
        found = lowest[lowest.diff().fillna(-1) < 0]
        if len(found) < 2 or found.index[-1] - found.index[0] < _SHORTEST:
            continue  # too short a span to speak of a yearly rate
        years, usd = found.index.to_numpy(float), found.to_numpy(float)
        falls.append(
            {
                "nickname": nickname,
                "score": score,
                "rate": float(_learning_rate(jnp.asarray(years), jnp.asarray(usd))),
                "years": float(years[-1] - years[0]),
                "first": float(usd[0]),
                "last": float(usd[-1]),
            }
        )
        since = years - dated["year"].min()
        steps.append(
            pd.DataFrame({"nickname": nickname, "score": score, "since": since, "usd": usd})
        )
    together = pd.concat(steps) if steps else pd.DataFrame()
    return Decline(together, pd.DataFrame(falls), dated, str(dated["month"].iloc[0]))


_learning_rate = interpreted(economics.learning_rate)


def _levels(study: Study) -> dict[str, float]:
    """Scores of the anchors and of the scenario's model, those told apart, by nickname."""
    found: dict[str, float] = {}
    for model, nickname in (ANCHORS | {study.scenario.model: study.model_name}).items():
        at = study.market.score(model)
        if at is not None and np.all(np.abs(at - np.array(list(found.values()))) > _APART):
            found[nickname] = at
    return found
