"""The tables of the chapter on hybrid futures, in words."""

import pandas as pd

from llmecon import words
from llmecon.studies.hybrid_futures import frames, future, records
from llmecon.studies.hybrid_futures.elsewhere import SWING, Hours
from llmecon.studies.hybrid_futures.future import Futures
from llmecon.studies.hybrid_futures.model import THOUSAND
from llmecon.studies.hybrid_futures.study import SOME, Study
from llmecon.studies.surroundings import READER_HOURS
from llmecon.tables import catalog
from llmecon.tiers import growth, own_machine
from llmecon.tiers.hybrid import Taken

_WHAT = {"all": "emissions of all data centres", "one": "carbon of one answer"}


def ways(study: Study) -> pd.DataFrame:
    """What one request takes on each way."""
    given = study.scenario
    on = {
        "device": catalog.name("xpus", given.device),
        "edge": catalog.name("xpus", given.edge_xpu),
        "cloud": catalog.name("xpus", given.cloud_xpu),
        "drafted": "device and cloud",
    }
    rows = [(way, on[way], share(study, way), *_taken(found)) for way, found in study.taken.items()]
    columns = [
        "Way",
        "On",
        "Of all requests",
        "First token",
        "Each further",
        "All",
        "Electricity",
        "CO₂e of it",
        "of hardware",
        "CO₂e in all",
        "per 1,000 requests",
    ]
    return pd.DataFrame(rows, columns=columns)


def share(study: Study, way: str) -> str:
    """The share of requests that go some way under the best policy.

    Args:
        study: whose policy.
        way: one of `hybrid.WAYS`.
    """
    found = study.shares[way]
    return words.percent(found if found > SOME else 0.0)


def waiting(study: Study, hours: Hours) -> pd.DataFrame:
    """What waiting for cleaner hours saves.

    Args:
        study: with the share of work that may wait.
        hours: as `elsewhere.hours` returns them.
    """
    rows = [
        (
            of["name"],
            words.percent(of["hours_4"]),
            words.percent(of["hours_24"]),
            words.percent(max(of["moved"], 0.0)),
            f"{words.number(of['delay'])} h",
        )
        for of in hours.grids.to_dict("records")
    ]
    flexible = f"{words.percent(study.scenario.flexible_share)} of a day's load, within its peak"
    columns = ["Grid", "may wait 4 hours", "a day", flexible, "mean wait"]
    return pd.DataFrame(rows, columns=columns)


def causes(futures: Futures) -> pd.DataFrame:
    """What the spread of the futures is due to.

    Args:
        futures: as `future.futures` returns them.
    """
    rows = [
        (_WHAT[of["what"]], future.CAUSES[of["cause"]], words.percent(of["share"]))
        for of in futures.causes.to_dict("records")
    ]
    columns = ["In 2035", "Cause", "Share of the variance of its logarithm"]
    return pd.DataFrame(rows, columns=columns)


def reached(years: pd.DataFrame) -> pd.DataFrame:
    """When a flagship phone writes such quality as fast as people read.

    Args:
        years: as `future.reached` returns them.
    """
    rows = [
        (
            of["name"],
            words.number(of["parameters"]),
            *(_year(of[end]) for end in ("early", "middle", "late")),
        )
        for of in years.to_dict("records")
    ]
    columns = [
        "Today's quality of",
        "active parameters",
        "1 future in 20 by",
        "half by",
        "19 in 20 by",
    ]
    return pd.DataFrame(rows, columns=columns)


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from."""
    qualities = words.listing([words.percent(quality) for _, quality in frames.models(study)])
    rows = [
        (
            of["figure"],
            f"{of['value']}: {qualities}" if of["figure"] == "quality" else of["value"],
            words.sources(of["source"]),
            "yes" if of["checked"] else "no",
        )
        for of in frames.sources(study).to_dict("records")
    ]
    assumed = [
        ("a device is hot after", words.duration(own_machine.BURST)),
        ("of its memory, a model may fill", words.percent(own_machine.FREE_MEMORY)),
        ("the reader's device is used", f"{READER_HOURS:g} hours a day"),
        ("PUE of the box", f"{records.EDGE_PUE:g}"),
        ("shared machines last", words.duration(records.LIFETIME)),
        ("models fail together as in", study.scenario.router_pair),
        ("a day's load", f"{words.percent(SWING)} above its mean at its peak"),
    ]
    rows += [(figure, value, "assumed", "no") for figure, value in assumed]
    return pd.DataFrame(rows, columns=["Figure", "Value", "Source", "Checked"])


def _taken(taken: Taken) -> tuple[str, ...]:
    emitted = taken.footprint
    return (
        words.duration(float(taken.ttft)),
        words.duration(float(taken.tpot)),
        words.duration(float(taken.seconds)),
        words.energy(float(taken.energy)),
        words.mass(float(emitted.electricity)),
        words.mass(float(emitted.making + emitted.building)),
        words.mass(float(emitted.total)),
        words.usd(THOUSAND * float(taken.usd)),
    )


def _year(end: float) -> str:
    if end <= growth.BASE_YEAR:
        return "already"
    return "after 2035" if end > future.LAST else f"{end:.0f}"
