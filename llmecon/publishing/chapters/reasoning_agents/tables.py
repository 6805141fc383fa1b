"""The tables of the chapter on reasoning and agents, in words."""

import pandas as pd

from llmecon import words
from llmecon.publishing.chapters.tokenomics import sources as tokenomics
from llmecon.publishing.chapters.tokenomics.sources import month
from llmecon.publishing.chapters.tokenomics.tables import checked
from llmecon.studies.reasoning_agents import frames
from llmecon.studies.reasoning_agents.study import Study
from llmecon.tables import catalog

_OF_OWNING = (
    "Electricity",
    "PUE",
    "Carbon intensity",
    "Colocation",
    "Cost of capital, maintenance, life",
)
"""Rows of tokenomics' sources on which tasks don't rest where devices are rented."""


def discounts() -> pd.DataFrame:
    """What providers ask for cached prompts and take off for batches."""
    of = catalog.table("api_discounts")
    return pd.DataFrame(
        {
            "Provider": of["provider"],
            "Cached prompt": of["cache_read_multiplier"].map(words.percent),
            "Cache write": of["cache_write_multiplier"].map(words.percent),
            "Batch": of["batch_discount"].map(words.percent),
            "As of": of["as_of"].map(month),
            "Checked": checked(of["checked"]),
            "Remark": of["note"].fillna(""),
        }
    )


def pictures(found: pd.DataFrame) -> pd.DataFrame:
    """Tokens of a picture by vendor.

    Args:
        found: as `frames.pictures` returns them.
    """
    sizes = {f"{w} by {h} pixels": found[(w, h)] for w, h in frames.SIZES}
    return pd.DataFrame(
        {
            "Model family": found["family"],
            **{size: tokens.map("{:,.0f}".format) for size, tokens in sizes.items()},
            "Rule checked": checked(found["checked"]),
        }
    )


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from, with the month in which each price was seen."""
    rows = tokenomics.table(study.plain)
    if not study.plain.hours.rentable:
        return rows
    bought = rows["Figure"].isin(_OF_OWNING) | rows["Figure"].str.endswith(", purchase")
    return rows[~bought].reset_index(drop=True)
