"""The tables of the chapter on tokenomics, in words."""

import pandas as pd

from llmecon import words
from llmecon.publishing.chapters.tokenomics.sources import month
from llmecon.studies.tokenomics import frames, traffic
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog


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
            "Checked": _checked(of["checked"]),
            "Remark": of["note"].fillna(""),
        }
    )


def pictures(found: pd.DataFrame) -> pd.DataFrame:
    """Tokens of a picture by vendor.

    Args:
        found: as `traffic.pictures` returns them.
    """
    sizes = {f"{w} by {h} pixels": found[(w, h)] for w, h in traffic.SIZES}
    return pd.DataFrame(
        {
            "Model family": found["family"],
            **{size: tokens.map("{:,.0f}".format) for size, tokens in sizes.items()},
            "Rule checked": _checked(found["checked"]),
        }
    )


def efficiencies(study: Study) -> pd.DataFrame:
    """What engines attain of datasheets, for an unknown system and for the chapter's."""
    of = frames.efficiencies(study)
    spans = [
        f"{words.number(low)} to {words.number(high)}"
        for low, high in zip(of["low"], of["high"], strict=True)
    ]
    return pd.DataFrame(
        {
            "Efficiency": of["parameter"].str.replace("_", " "),
            "All": [words.number(value, 3) for value in of["value"]],
            "Here": [words.number(value, 3) for value in of["here"]],
            "90% range": spans,
            "Unit": of["unit"],
            "Source": of["source"].map(words.sources),
            "Checked": _checked(of["checked"]),
        }
    )


def _checked(column: pd.Series) -> pd.Series:
    return column.astype(bool).map({True: "yes", False: "no"})
