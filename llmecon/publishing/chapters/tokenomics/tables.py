"""The tables of the chapter on tokenomics, in words."""

import pandas as pd

from llmecon import words
from llmecon.studies.tokenomics import frames
from llmecon.studies.tokenomics.study import Study


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
            "Checked": checked(of["checked"]),
        }
    )


def checked(column: pd.Series) -> pd.Series:
    """Whether rows were read in their sources, as a reader sees it."""
    return column.astype(bool).map({True: "yes", False: "no"})
