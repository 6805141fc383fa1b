"""How a server is set up, as effects on the efficiencies by which everything else is computed.

The efficiencies are those of servers tuned as well as the best public benchmarks. What others lie
from them by is known by deviations of pace, TTFT and energy (see `deployment_levels`). Here they
become effects on `efficiencies.LEVELS`, so that fleets, costs and carbon follow. TPOT, throughput
and TTFT of a given batch are then what `predictions` makes of them, but for three things. The share
of TTFT that is spent outside the model moves with the load: its time is scaled, where `predictions`
scales the logarithm of TTFT by the share. A slower server's accelerators rest while they wait, so
that a token takes more energy on it; the one publisher who tells of energy isn't slow. And a plan's
loads aren't known in advance: a server has one level, that of its publisher, or the mean of its own
rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from llmecon.evidence import conditions, deployment_levels, own_rows, published
from llmecon.evidence.deployment_levels import PIVOT, REACHES, Level
from llmecon.evidence.uncertainty import Multiple
from llmecon.specs import Efficiency
from llmecon.tables import catalog
from llmecon.tables.efficiencies import SHARED, Effect, System

# The effect that carries each fitted quantity.
CARRIED_BY: Mapping[str, str] = {
    "pace": "server_pace",
    "first_token": "server_first_token",
    "energy": "server_energy",
}
# What the published rows of each quantity measure most.
_TARGETS: Mapping[str, str] = {"pace": "tpot", "first_token": "ttft", "energy": "energy"}
STACK, SYSTEM = "engine-xpu", "engine-xpu-model-precision"
# A publisher that is none of those known.
_NOBODY = "nobody"


class SetUp(Protocol):
    """A scenario that says how its servers are set up."""

    @property
    def tuning(self) -> Literal["typical", "best"]:
        """As tuned as what people publish, or as the best public benchmarks."""

    @property
    def my_server(self) -> str:
        """Path of what `llmecon fit-mine` wrote, which decides instead; empty for none."""


@dataclass(frozen=True)
class Servers:
    """How servers are set up, apart from whatever scenario says it.

    Attributes:
        tuning: typical of what people publish, or as the best public benchmarks.
        my_server: path of what `llmecon fit-mine` wrote, which decides instead; empty for none.
    """

    tuning: Literal["typical", "best"] = "typical"
    my_server: str = ""


def at_level(system: System, of: SetUp) -> System:
    """A system set up as a scenario says.

    Args:
        system: the system, as of `catalog.system`.
        of: the scenario.

    Returns:
        The system, by which efficiencies of that level are looked up.

    Raises:
        InputError: `my_server` can't be read, or isn't what `llmecon fit-mine` writes.
    """
    if of.my_server:
        return replace(system, level=_level(replace(system, level=()), _read(of.my_server)))
    return replace(system, level=_typical(system) if of.tuning == "typical" else ())


def attained(
    model: str,
    xpu: str,
    engine: str = "any",
    precision: str = "",
    tuning: Literal["typical", "best"] = "typical",
    my_server: str = "",
) -> Efficiency:
    """What a server attains, by what chapters name it by.

    Args:
        model: id.
        xpu: id of the accelerator.
        engine: serving software; any where it isn't decided.
        precision: of the weights; empty where it isn't known.
        tuning: how the server is set up; see `Servers`.
        my_server: likewise.

    Returns:
        The most probable efficiencies.

    Raises:
        InputError: an unknown id, or a file that can't be used.
    """
    software = None if engine == "any" else engine
    system = catalog.system(model, xpu, software, precision)
    return catalog.efficiency(at_level(system, Servers(tuning, my_server)))


def slowness(system: System) -> Multiple:
    """How many times as long as on a server tuned as the best a batch takes on a system.

    Args:
        system: the system, with its level.

    Returns:
        The multiple of TPOT and of the time that prompts take, as known of such servers.
    """
    of = [effect for effect in system.level if effect.parameter == CARRIED_BY["pace"]]
    deviation = math.sqrt(sum(effect.sd**2 for effect in of))
    return Multiple(sum(effect.mean for effect in of), deviation)


@dataclass(frozen=True)
class _Mine:
    """Own rows, known by the text of their file."""

    text: str
    rows: pd.DataFrame

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Mine) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _read(file: str) -> _Mine:
    rows = own_rows.load(Path(file))
    return _Mine(own_rows.as_text(rows), rows)


def _typical(system: System) -> tuple[Effect, ...]:
    """The level of a publisher of whom nothing is known."""
    return _of_publisher()[_terms(system)]


@cache
def _of_publisher() -> dict[tuple[float, float], tuple[Effect, ...]]:
    """That level by how mature software is for a model: for all models at once."""
    terms = dict.fromkeys(map(_terms, [System(), *_systems()]))
    asked = {
        name: pd.concat([_row(name, *of) for of in terms], ignore_index=True).assign(
            publisher=_NOBODY, stack="", system="", target=target
        )
        for name, target in _TARGETS.items()
    }
    found = _effects(published.known(), asked, stack_known=False, system_known=False)
    return dict(zip(terms, found, strict=True))


def _systems() -> list[System]:
    return [System(model=str(of)) for of in catalog.table("models")["id"]]


@cache
def _level(system: System, mine: _Mine) -> tuple[Effect, ...]:
    """The level of one's own server: what its rows say of this system."""
    names = mine.rows["stack"].str.split("|", expand=True)
    engines, xpus = names[0], names[1]
    # Whoever leaves the engine open has the one that was measured.
    alike = (xpus == system.xpu) & (
        (engines == system.engine) | (engines == "") | (system.engine == "")
    )
    other = f"{system.engine}|{system.xpu}"
    young, early = _terms(system)
    size = np.log(_active(system)) / np.log(REACHES["size"]) if system.model else np.nan
    asked, told = {}, False
    for quantity, target in _TARGETS.items():
        of = mine.rows["quantity"] == quantity
        chosen = mine.rows[of & alike] if (of & alike).any() else mine.rows[of]
        if chosen.empty:
            chosen = _row(quantity, young, early).assign(
                publisher=own_rows.MINE, stack=other, target=target
            )
        stack = chosen["stack"] if (of & alike).any() else pd.Series(other, chosen.index)
        named = stack + f"|{system.model}|{system.precision}"
        told |= bool(named.isin(mine.rows["system"]).any())
        moved = chosen.assign(
            stack=stack,
            system=named,
            young=young,
            early_sparse=early,
            outside=0.0,
            crowded=0.0,
            sd=0.0,
            publisher=own_rows.MINE,
        )
        asked[quantity] = moved if np.isnan(size) else moved.assign(size=size)
    known = pd.concat([published.known(), mine.rows])
    found = _effects(known, asked, stack_known=bool(alike.any()), system_known=told, one=True)
    return found[0]


def _effects(
    known: pd.DataFrame,
    asked: Mapping[str, pd.DataFrame],
    stack_known: bool,
    system_known: bool,
    one: bool = False,
) -> list[tuple[Effect, ...]]:
    """Effects on LEVELS: a mean, and what is unsure, by what shares it.

    Args:
        known: measured rows.
        asked: rows by quantity, of one server each, or all of one.
        stack_known: whether the rows are of an engine and accelerator that were measured.
        system_known: whether they are of a model and precision that were measured there.
        one: all rows of a quantity are of one server, which has their mean.

    Returns:
        The effects of every server.
    """
    columns = []
    for quantity, rows in asked.items():
        level = published.levels()[quantity]
        found = deployment_levels.expected(level, known, rows)
        # A plan is for a server's lasting pace, and not for one measurement of it.
        means, variances = found.mean, found.sd**2 - level.spreads.noise**2
        shares = np.zeros(len(means))
        if "outside" in level.terms:
            outside = deployment_levels.expected(level, known, rows.assign(outside=1.0))
            shares = outside.mean - means
        if one:
            means, variances, shares = (
                np.mean(of, keepdims=True) for of in (means, variances, shares)
            )
        own = _own(level, stack_known, system_known)
        columns.append(
            [
                _carried(CARRIED_BY[quantity], float(mean), float(variance), own)
                + ((_effect("server_outside", SHARED, float(share), 0.0),) if share else ())
                for mean, variance, share in zip(means, variances, shares, strict=True)
            ]
        )
    return [sum(of, ()) for of in zip(*columns, strict=True)]


def _carried(
    parameter: str, mean: float, variance: float, own: Mapping[str, float]
) -> tuple[Effect, ...]:
    left = float(np.sqrt(max(variance - sum(own.values()), 0.0)))
    return (
        _effect(parameter, SHARED, mean, left),
        *(_effect(parameter, kind, 0.0, float(np.sqrt(of))) for kind, of in own.items()),
    )


def _effect(parameter: str, kind: str, mean: float, sd: float) -> Effect:
    return Effect(parameter, kind, "", mean, sd, 0)


def _own(level: Level, stack_known: bool, system_known: bool) -> dict[str, float]:
    """Variances of what is a stack's or a system's own, where neither was measured."""
    of = level.spreads
    found = {}
    if not stack_known:
        found[STACK] = of.stack**2 + of.load**2
    if not system_known:
        found[SYSTEM] = of.system**2
    return found


def _row(quantity: str, young: float, early_sparse: float) -> pd.DataFrame:
    """A described row of a deployment of which nothing is known but its model's age."""
    nothing = dict.fromkeys(("outside", "apart", "crowded", "sd"), 0.0)
    row = dict.fromkeys(REACHES, PIVOT) | nothing | {"quantity": quantity}
    return pd.DataFrame([row | {"young": young, "early_sparse": early_sparse}])


def _terms(system: System) -> tuple[float, float]:
    """How young the software is for the system's model, and how early: with today's software."""
    if not system.model:
        return 0.0, 0.0
    today = pd.Series([conditions.newest()])
    young, early = deployment_levels.maturity(pd.Series([system.model]), today)
    return round(float(young.iloc[0]), 6), round(float(early.iloc[0]), 6)


def _active(system: System) -> float:
    return float(catalog.row("models", system.model)["parameters_active_b"])
