"""The tables of the chapter on the accelerator that would suit, in words."""

import numpy as np
import pandas as pd

from llmecon import silicon, words
from llmecon.silicon.chip_jobs import Training
from llmecon.studies.accelerator_design.frames import Market
from llmecon.studies.accelerator_design.model import JOBS, MILLION, THOUSAND, called
from llmecon.studies.accelerator_design.study import Study
from llmecon.tables import catalog
from llmecon.tables.catalog import GIB, TERA

# Captions of tables.
SUITED = (
    "The chip that would suit each job, dies and stacks in parts; in brackets nine of ten draws"
)
MARKET = (
    "What a token costs more on real chips than on the best one for the job, were all "
    "built alike; the ten nearest"
)
PARTS = "What one device at work costs, by part, were all built alike"
MAKING = "What it costs to make an accelerator, by analysts and by this model"


def suited(study: Study) -> pd.DataFrame:
    """The chip that would suit each job; in brackets nine of ten draws.

    Args:
        study: with the chips.
    """
    named = [
        "bytes read per 1,000 FLOP",
        "time to read the memory once",
        "links over memory bandwidth",
        "16-bit arithmetic",
        "memory bandwidth",
        "memory",
        "dies",
        "power",
        "instance",
        "a million tokens",
    ]
    return pd.DataFrame({"": named} | {job: _chip(study, job) for job in JOBS})


def _chip(study: Study, job: str) -> list[str]:
    best, within = study.found[job].best, study.doubt[job]
    plan = silicon.floorplan(best.chip, study.prices)

    def ratio(name: str, factor: float, unit: str) -> str:
        value, ends = factor * float(getattr(best, name)), within[name] * factor
        return f"{words.quantity(value, unit)} ({words.span(ends.low, ends.high, unit)})"

    links = (
        "no links: alone" if "link" in study.stopped[job] else ratio("link_share", 1.0, "fraction")
    )
    cost = within["usd_per_token"] * MILLION
    return [
        ratio("bytes_per_flop", THOUSAND, ""),
        ratio("reading_time", 1.0, "s"),
        links,
        f"{words.number(float(best.chip.flops) / TERA, 3)} TFLOP/s",
        f"{words.number(float(best.chip.bandwidth) / TERA)} TB/s",
        f"{words.number(float(best.chip.memory) / GIB)} GiB in "
        f"{words.number(float(plan.stacks))} stacks",
        f"{words.number(float(plan.dies))}, {words.number(float(plan.area), 3)} mm² in all",
        f"{words.number(float(plan.power))} W",
        _instance(study, job),
        f"{words.usd(MILLION * float(best.usd_per_token))} "
        f"({words.span(cost.low, cost.high, 'USD')})",
    ]


def _instance(study: Study, job: str) -> str:
    chosen = study.found[job].job
    if isinstance(chosen, Training):
        devices = words.count(study.scenario.training_devices, "device")
        return f"{devices}, each layer over {float(chosen.layout.tensor):g}"
    return words.count(float(chosen.deployment.xpus), "device")


_PARTS = {
    "logic": "dies",
    "memory": "memory",
    "package": "interposer, substrate and assembly",
    "loss": "scrapped in assembly",
    "module": "board, voltage regulators, test",
    "margin": "margin of the maker",
    "host": "share of the server",
    "links": "switches and cables",
    "supply": "power supplies and cooling",
}


def parts(study: Study, costs: pd.DataFrame) -> pd.DataFrame:
    """What a device at work costs, by part.

    Args:
        study: whose real chip is named.
        costs: as `frames.parts` returns them.
    """
    whole = costs.sum()
    every = pd.concat([costs.loc[list(_PARTS)], whole.to_frame("all").T])
    columns = {name: f"Best for {name}" for name in JOBS} | {"built": study.xpu_name}
    shown = every.map(words.usd).rename(columns=columns)
    shown.insert(0, "Part", [*_PARTS.values(), "at work"])
    return shown


def dearer(value: float) -> str:
    """What a token costs more on a chip than on the best, in words.

    Args:
        value: a share; infinite where the job doesn't fit or is late.
    """
    if not np.isfinite(value):
        return "does not fit or is late"
    if value > 1.0:
        return f"{words.number(1.0 + value)} times as dear"
    return f"{words.percent(abs(value))} {'dearer' if value >= 0 else 'cheaper'}"


def market(of: Market) -> pd.DataFrame:
    """What a token costs more on the ten nearest real chips.

    Args:
        of: as `frames.market` returns it.
    """
    rows = [
        (catalog.name("xpus", one), *(dearer(of.built[job].to_dict()[one]) for job in JOBS))
        for one in of.order[:10]
    ]
    return pd.DataFrame(rows, columns=["Chip", *(f"for {job}" for job in JOBS)])


def times(factor: float) -> str:
    """A factor in words, from the larger side."""
    if 0.95 < factor < 1.05:
        return "as much"
    if factor > 1:
        return f"{words.number(factor)} times as much"
    return f"{words.number(1.0 / factor)} times less"


def leading(ranks: pd.Series, count: int = 3) -> str:
    """The constants that decide most, with the sign of what they do.

    Args:
        ranks: a rank correlation each.
        count: of them.
    """
    top = ranks.abs().sort_values(ascending=False).index[:count]
    return words.listing(
        [f"{called(str(name))} ({words.number(float(ranks[name]))})" for name in top]
    )


def making(costs: pd.DataFrame) -> pd.DataFrame:
    """What it costs to make an accelerator, by analysts and by the model.

    Args:
        costs: as `frames.making_costs` returns them.
    """
    rows = [
        (
            catalog.name("xpus", of["xpu"]),
            words.usd(of["value"]),
            words.usd(of["predicted"]),
            words.signed_percent(of["ratio"] - 1.0),
            words.sources(of["source"]),
        )
        for of in costs.to_dict("records")
    ]
    columns = ["Chip", "Published estimate", "This model", "Difference", "Source"]
    return pd.DataFrame(rows, columns=columns)
