"""What speed costs, and what a prompt token and an output token take: frames of the chapter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmecon.evidence import sourcing
from llmecon.execution.interpreter import interpreted
from llmecon.physics import roofline
from llmecon.physics.roofline import PassCost
from llmecon.studies.tokenomics.model import MILLION
from llmecon.studies.tokenomics.services import Services
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog

DEAREST = 10.0  # of the lowest cost, up to which a frontier is drawn
SHARES = {
    "compute": "arithmetic",
    "memory": "memory traffic",
    "network": "communication",
    "overhead": "launches and host",
}
"""Parts of a pass through the model, as a reader calls them."""


def by_model(study: Study, services: Services) -> pd.DataFrame:
    """Frontiers of cost against speed of several models on the scenario's accelerator.

    Returns:
        Columns label, speed [tokens/s], blended [USD per million tokens], xpus and batch; only
        points that no other of the same label beats on both.
    """
    return _frontier(services.solved("model frontier"))


def by_xpu(study: Study, services: Services) -> pd.DataFrame:
    """Frontiers of the scenario's model on several accelerators; columns as in `by_model`."""
    return _frontier(
        pd.concat(
            [
                services.solved("xpu frontier"),
                in_time(study, services).assign(label=study.xpu_name),
            ]
        )
    )


def in_time(study: Study, services: Services) -> pd.DataFrame:
    """The scenario's own model and accelerator at every speed that they can keep."""
    solved = services.solved("model frontier")
    return solved[solved["model"] == study.scenario.model]


def fastest(study: Study, services: Services) -> float:
    """The least time per output token of the scenario's model and accelerator, s."""
    return float(in_time(study, services)["tpot"].min())


def _frontier(frame: pd.DataFrame) -> pd.DataFrame:
    lowest = frame.groupby("label")["blended"].transform("min")
    frame = frame[frame["blended"] <= DEAREST * lowest]
    frame = frame.assign(speed=1 / frame["tpot"])
    frame = frame.sort_values(["label", "speed"], ascending=[True, False])
    faster = frame.groupby("label")["blended"].cummin()
    faster = faster.groupby(frame["label"]).shift(fill_value=np.inf)
    return frame[frame["blended"] < faster * 0.9999]


def marks(study: Study) -> dict[str, float]:
    """Speeds to compare a frontier with, tokens/s."""
    pace = float(study.case.reader.speed)
    return {"reading pace": pace, "the limit": 1 / study.scenario.tpot_limit_s}


def marked(study: Study, xpus: Iterable[str]) -> dict[str, str]:
    """Names of accelerators as titles say them: with what their place doesn't rest on.

    Args:
        study: which may give the rent of its own accelerator.
        xpus: ids.

    Returns:
        By name.
    """
    own = _own_rent(study)
    known = [sourcing.behind(xpu, given=xpu in own) for xpu in xpus]
    return {of.name: of.marked for of in known}


def _own_rent(study: Study) -> set[str]:
    """Ids of the accelerators whose rent is the reader's own."""
    return {study.scenario.xpu} if study.scenario.usd_per_xpu_hour else set()


def leaders(frontier: pd.DataFrame, names: Mapping[str, str] | None = None) -> dict[str, object]:
    """Which line of a frontier starts lowest and which reach furthest.

    Args:
        frontier: as `by_model` returns it.
        names: what to call lines, by label; those that are missing by their label.

    Returns:
        lines (how many there are), cheapest (a name), fastest (names), and both (whether the
        cheapest is among the fastest).
    """
    names = names or {}
    reach = frontier.groupby("label").agg(speed=("speed", "max"), cost=("blended", "min"))
    furthest = reach.index[reach["speed"] >= 0.95 * reach["speed"].max()]
    cheapest = str(reach["cost"].idxmin())
    return {
        "lines": len(reach),
        "cheapest": names.get(cheapest, cheapest),
        "fastest": [names.get(str(of), str(of)) for of in furthest],
        "both": cheapest in furthest,
    }


def ends(study: Study, frontier: pd.DataFrame) -> dict[str, object]:
    """The slow and the fast end of the scenario's own line, and what binds at its limit.

    Args:
        study: whose line.
        frontier: as `by_model` returns it.

    Returns:
        points (how many), slow and fast (rows), and binds: tpot, ttft or memory.
    """
    own = frontier[frontier["label"] == study.model_name].sort_values("speed")
    given, full = study.scenario, study.answer.full.service
    at_tpot = float(full.point.tpot) > 0.995 * given.tpot_limit_s
    at_ttft = float(full.ttft_quantile) > 0.995 * given.ttft_limit_s
    return {
        "points": len(own),
        "slow": own.iloc[0],
        "fast": own.iloc[-1],
        "binds": "tpot" if at_tpot else "ttft" if at_ttft else "memory",
    }


@dataclass(frozen=True)
class Ranking:
    """The scenario's service on every accelerator that can be rented.

    Attributes:
        rows: the cheapest first; columns label, xpu, vendor and blended.
        missing: priced accelerators that can't keep the limits.
        own: of the scenario's accelerator, USD per million tokens.
        rests_on: what is to be said of what the cheapest rests on; empty where it is firm.
        better: whether another is notably cheaper.
    """

    rows: pd.DataFrame
    missing: int
    own: float
    rests_on: str
    better: bool


def ranking(study: Study, services: Services) -> Ranking:
    """What the service costs on every accelerator that can be rented."""
    found = services.solved("xpu")
    costs = dict(zip(found["xpu"], found["blended"], strict=True))
    vendors = catalog.table("xpus").set_index("id")["vendor"]
    rows = found.assign(vendor=found["xpu"].map(vendors)).sort_values("blended")
    best, own = rows.iloc[0], float(study.answer.tokens.blended) * MILLION
    return Ranking(
        rows,
        missing=len(study.hours.usd) - len(rows),
        own=own,
        rests_on=sourcing.beside(costs, given=_own_rent(study)),
        better=bool(best["xpu"] != study.scenario.xpu and best["blended"] < 0.995 * own),
    )


@dataclass(frozen=True)
class Needs:
    """What a token of either kind takes of an instance if only one resource were slow.

    Attributes:
        rows: columns what, kind and us (µs of the instance per token); only what is needed.
        slowest: of each kind (prompt, output), what it waits for.
        batch: requests in flight at the limits.
    """

    rows: pd.DataFrame
    slowest: dict[str, str]
    batch: float


def needs(study: Study) -> Needs:
    """What a prompt token and an output token take of the scenario's instance."""
    case, batch = study.case, float(study.answer.full.service.point.batch)
    prompt = float(case.requests.prompt_tokens)
    computed = float(case.requests.computed_prompt_tokens)
    new, held = max(computed, 1.0), max(prompt - computed, 0.0)
    flight, context = max(batch, 1.0), float(case.requests.mean_context)
    passes = {
        "prompt": (_pass(case.instance, 1.0, new, held), new),
        "output": (_pass(case.instance, flight, 1.0, context), flight),
    }
    rows = [
        (f"{kind} token: {name}", f"{kind} token", 1e6 * float(getattr(cost, part)) / tokens)
        for kind, (cost, tokens) in passes.items()
        for part, name in SHARES.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "kind", "us"])
    slowest = {kind: _slowest(cost) for kind, (cost, _) in passes.items()}
    return Needs(frame[frame["us"] > 0], slowest, batch)


def _slowest(cost: PassCost) -> str:
    """What a pass through the model waits for."""
    seconds = {name: float(getattr(cost, part)) for part, name in SHARES.items()}
    return max(seconds, key=lambda name: seconds[name])


_pass = interpreted(roofline.forward_pass)


@dataclass(frozen=True)
class Asks:
    """What sellers ask for an output token over a prompt token.

    Attributes:
        ratios: a row a price on sale; those without a price of prompts left out.
        prices: the same rows of the table api_prices.
        providers: columns provider and ratio (their median), the least first.
        flat: prices that ask the same for both.
        seen: the month of the newest reading.
    """

    ratios: pd.Series
    prices: pd.DataFrame
    providers: pd.DataFrame
    flat: int
    seen: str


def asks(study: Study) -> Asks:
    """What sellers ask for an output token over a prompt token."""
    sold = study.market.on_sale
    chat = sold[sold["input_usd_per_mtok"] > 0]
    ratios = chat["output_usd_per_mtok"] / chat["input_usd_per_mtok"]
    medians = chat.assign(ratio=ratios).groupby("provider")["ratio"].median()
    return Asks(
        ratios,
        chat,
        medians.sort_values().reset_index(),
        flat=int((ratios < 1.01).sum()),
        seen=study.market.seen,
    )
