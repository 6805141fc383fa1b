"""Hosted models that are as good as another by a published score, and the cheapest of them."""

import pandas as pd

from llmecon.studies.tokenomics.apis import Market


def hosted(market: Market) -> pd.DataFrame:
    """Every hosted model that has a score, its cheapest seller each.

    Args:
        market: what is on sale, and scores.

    Returns:
        Rows of the market's prices with columns score [%] and who (model and seller).
    """
    sold = market.on_sale
    rows = sold.assign(score=sold["model"].map(market.percent)).dropna(subset=["score"])
    rows = rows.sort_values("blended").drop_duplicates("model")
    return rows.assign(who=rows["model"] + ", " + rows["provider"])


def undominated(rows: pd.DataFrame) -> pd.DataFrame:
    """Models that no other beats on both price and score.

    Args:
        rows: with columns score and blended.
    """
    rows = rows.sort_values(["blended", "score"], ascending=[True, False])
    return rows[rows["score"] > rows["score"].cummax().shift(fill_value=-1.0)]


def level(market: Market, model: str) -> float:
    """The score that is to be matched, %: the model's, or else a middling one.

    Args:
        market: what is on sale, and scores.
        model: id.
    """
    own = market.score(model)
    return float(undominated(hosted(market))["score"].median()) if own is None else own


def matching(rows: pd.DataFrame, score: float) -> pd.Series | None:
    """The cheapest model that reaches a score; None where none does.

    Args:
        rows: with columns score and blended.
        score: %.
    """
    found = rows[rows["score"] >= score]
    return None if found.empty else found.sort_values("blended").iloc[0]
