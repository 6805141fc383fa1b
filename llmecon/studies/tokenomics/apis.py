"""What others ask for an answer: price lists of hosted models, and the rival among them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmecon.costs import economics
from llmecon.costs.economics import ApiPrice
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.specs import Workload
from llmecon.studies.tokenomics.model import MILLION
from llmecon.studies.tokenomics.scenario import Scenario
from llmecon.tables import catalog

BENCHMARKS = {"mmlu": "MMLU", "mmlu-pro": "MMLU-Pro", "gpqa-diamond": "GPQA Diamond"}
"""Measures of quality as a reader calls them."""


@dataclass(frozen=True)
class Market:
    """What hosted chat models cost for a service's requests.

    Attributes:
        prices: rows of api_prices.csv, with columns cached [USD/Mtok], year, request [USD] and
            blended [USD per million tokens].
        on_sale: those on sale by the newest reading.
        listed_only: those listed without that being confirmed.
        scores: published scores on the benchmark, a row a model: the highest, of a model as people
            use it where there is one; indexed as the table is.
    """

    prices: pd.DataFrame
    on_sale: pd.DataFrame
    listed_only: pd.DataFrame
    scores: pd.DataFrame

    @property
    def seen(self) -> str:
        """The month of the newest reading."""
        return str(self.on_sale["month"].max())

    @property
    def percent(self) -> pd.Series:
        """Score by model, %."""
        return self.scores.set_index("model")["score_pct"]

    def score(self, model: str) -> float | None:
        """The score of a model, %; None where none is published."""
        found = self.percent.get(model)
        return None if found is None else float(found)


@dataclass(frozen=True)
class Rival:
    """The API that the service is compared with.

    Attributes:
        row: of `Market.prices`.
        reason: why it is this one, in words.
        name: as a reader calls it.
        same: whether it was asked for or sells the model itself.
    """

    row: pd.Series
    reason: str
    name: str
    same: bool


def price_list(rows: pd.DataFrame | pd.Series, batch_discount: float = 0.0) -> ApiPrice:
    """One or several rows of `Market.prices` as a record, USD per token."""
    return ApiPrice(
        input=np.asarray(rows["input_usd_per_mtok"], float) / MILLION,
        cached_input=np.asarray(rows["cached"], float) / MILLION,
        output=np.asarray(rows["output_usd_per_mtok"], float) / MILLION,
        batch_discount=batch_discount,
    )


request_cost = interpreted(economics.api_cost)
"""`economics.api_cost` of records of numbers or of columns."""


def market(scenario: Scenario, requests: Workload) -> Market:
    """What hosted chat models cost.

    Args:
        scenario: which names the measure of quality.
        requests: lengths, and the share of prompts that is cached.
    """
    table = catalog.table("api_prices").query("kind == 'chat'")
    inputs = table["input_usd_per_mtok"]
    prices = table.assign(
        cached=table["cached_input_usd_per_mtok"].fillna(inputs),
        year=table["month"].str[:4].astype(int) + (table["month"].str[5:].astype(int) - 0.5) / 12,
    )
    tokens = float(requests.prompt_tokens + requests.output_tokens)
    prices["request"] = np.asarray(request_cost(price_list(prices), requests))
    prices["blended"] = prices["request"] / tokens * MILLION
    scores = catalog.table("quality")
    scores = scores[scores["benchmark"] == scenario.benchmark]
    scores = scores.assign(base=scores["setting"].str.contains("base"))
    scores = scores.sort_values(["base", "score_pct"], ascending=[True, False])
    on_sale = prices.loc[catalog.api_offers().index]
    listed = prices.loc[catalog.api_offers(confirmed=False).index]
    return Market(
        prices=prices,
        on_sale=on_sale,
        listed_only=listed.drop(on_sale.index),
        scores=scores.drop_duplicates("model"),
    )


def rival(scenario: Scenario, market: Market) -> Rival:
    """The API that the service is compared with: as asked, or the cheapest of those most alike.

    Args:
        scenario: with the model, and an API or the word auto.
        market: what is on sale.

    Raises:
        InputError: the API that was asked for sells no chat.
    """
    sold, model = market.on_sale, scenario.model
    if scenario.api != "auto":
        return _asked(scenario.api, market)
    same = sold[sold["model"] == model]
    if len(same):
        sellers = f"{len(same)} confirmed seller{'' if len(same) == 1 else 's'}"
        return _rival(_cheapest(same), f"the cheapest of {sellers} of {_called(model)}", True)
    score, measure = market.score(model), BENCHMARKS[scenario.benchmark]
    nobody = f"no seller of {_called(model)} is confirmed in {_unbroken(market.seen)}"
    alike = sold[sold["model"].isin(catalog.served_alike(model))]
    if len(alike):
        why = f"{nobody}; this is the cheapest model of the same architecture"
        return _rival(_cheapest(alike), why)
    as_good = sold[sold["model"].map(market.percent) >= (101.0 if score is None else score)]
    if len(as_good):
        why = f"{nobody}; this is the cheapest that scores at least as well on {measure}"
        return _rival(_cheapest(as_good), why)
    why = f"{nobody}, nor of one known to match it on {measure}; this is the cheapest of all"
    return _rival(_cheapest(sold), why)


def _asked(api: str, market: Market) -> Rival:
    catalog.require("api_prices", api)
    rows = market.prices[market.prices["id"] == api]
    if rows.empty:
        raise InputError(
            f"api: {api} sells no chat; choose a row of kind chat in data/api_prices.csv"
        )
    row = rows.sort_values("month").iloc[-1]
    late = "" if row["current"] == 1 else ", which is not on sale by the newest reading"
    return _rival(row, f"the API that was asked for{late}", True)


def _cheapest(rows: pd.DataFrame) -> pd.Series:
    return rows.sort_values("blended").iloc[0]


def _rival(row: pd.Series, reason: str, same: bool = False) -> Rival:
    return Rival(row, reason, f"{row['provider']}'s {_called(row['model'])}", same)


def _called(model: str) -> str:
    """The name of a model of the catalogue, or what the price map calls another."""
    names = catalog.table("models").set_index("id")["name"]
    return str(names.get(model, model))


def _unbroken(month: str) -> str:
    """A month that does not wrap at its hyphen."""
    return month.replace("-", "\N{NON-BREAKING HYPHEN}")
