"""The tables of the chapter on carbon, in words."""

import pandas as pd

from llmecon import words
from llmecon.studies.carbon import frames
from llmecon.studies.carbon.model import GRAMS
from llmecon.studies.carbon.study import Study


def parts(study: Study) -> pd.DataFrame:
    """An answer's footprint by part, with the boundary of each."""
    of = frames.parts(study).set_index("part")
    # What rounding leaves of nothing is nothing.
    of.loc[of["share"] < 1e-4, ["grams", "share"]] = 0.0
    (reader,) = of.loc[["reader"]].to_dict("records")
    rows = [
        (part["name"], _mass(part["grams"]), words.percent(part["share"]), part["boundary"])
        for part in of.drop("reader").to_dict("records")
    ]
    rows += [
        (
            "all of these",
            _mass(study.total),
            words.percent(1.0),
            "an answer, up to the reader's own device",
        ),
        (reader["name"], _mass(reader["grams"]), "", reader["boundary"]),
        ("with it", _mass(sum(study.grams.values())), "", "everything that is counted here"),
    ]
    return pd.DataFrame(rows, columns=["Part", "CO₂e per answer", "Share", "What it covers"])


def waiting(shapes: pd.DataFrame) -> pd.DataFrame:
    """Carbon of a day's load against the same load spread evenly.

    Args:
        shapes: as `frames.waiting` returns them.
    """
    named = {
        "region": "Grid",
        "by_day": "asked by day",
        "cleanest": "the eight cleanest hours",
    }
    factors = {name: shapes[name].map(_change) for name in ("by_day", "cleanest")}
    return shapes.assign(**factors).rename(columns=named)


def accountings(study: Study, ways: pd.DataFrame) -> pd.DataFrame:
    """The same answer, counted in three ways.

    Args:
        study: whose answer.
        ways: as `frames.accountings` returns them.
    """
    site = study.case.site
    contracts = site.market_kind != site.kind
    whose = {
        "location": f"mean of the grid, {study.grid_name}",
        "market": f"contracts of {study.facility_name}"
        if contracts
        else "no contracts in the table, so as the grid",
        "marginal": "gas plants that follow demand",
    }
    rows = [
        (
            way["basis"],
            whose[way["basis"]],
            way["kind"],
            f"{words.number(way['per_kwh'], 3)} g/kWh",
            _mass(way["grams"]),
        )
        for way in ways.to_dict("records")
    ]
    columns = ["Basis", "Whose electricity", "What counts", "Intensity", "CO₂e per answer"]
    return pd.DataFrame(rows, columns=columns)


def gemini(shares: pd.DataFrame) -> pd.DataFrame:
    """A prompt's electricity by boundary: Gemini's and this service's.

    Args:
        shares: as `frames.gemini` returns them.
    """
    rows = [
        (
            of["name"],
            f"{of['published']:g} Wh",
            words.percent(of["their_share"]),
            words.percent(of["own_share"]),
        )
        for of in shares.to_dict("records")
    ]
    columns = [
        "Part",
        "Gemini, published",
        "share",
        "this service, packed, with Google's PUE",
    ]
    return pd.DataFrame(rows, columns=columns)


def bloom() -> pd.DataFrame:
    """The training of BLOOM, t CO2e."""
    found = frames.bloom()
    rows = [
        (
            of["name"],
            _tonnes(of["published"]),
            _tonnes(of["computed"]),
            of["how"],
            "yes" if of["circular"] else "no",
        )
        for of in found.to_dict("records")
    ]
    whole = ("all", _tonnes(found["published"].sum()), _tonnes(found["computed"].sum()), "", "")
    columns = ["Part", "Published", "Computed", "From", "Circular"]
    return pd.DataFrame([*rows, whole], columns=columns)


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from."""
    rows = [
        (
            of["figure"],
            of["value"],
            words.sources(of["source"]) if of["source"] else "assumed",
            "yes" if of["checked"] else "no",
        )
        for of in frames.sources(study).to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["Figure", "Value", "Source", "Checked"])


def _mass(grams: float) -> str:
    return words.mass(grams / GRAMS)


def _tonnes(value: float) -> str:
    return f"{words.number(value, 3)} t"


def _change(factor: float) -> str:
    return words.signed_percent(factor - 1.0)
