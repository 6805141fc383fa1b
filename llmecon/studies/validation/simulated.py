"""What the chapter on validation shows of the simulated instance, beside the formulas."""

from dataclasses import dataclass

import pandas as pd

from llmecon.checks import scheduler
from llmecon.checks.scheduler import Overload
from llmecon.execution import disk_cache
from llmecon.serving import agreement
from llmecon.studies.validation.study import Study

# Close to saturation the batch varies slowly, so more requests have to be followed there.
LIGHT, HEAVY = (0.05, 0.2, 0.4), (0.6, 0.8, 0.9)
MORE = 5  # times as many

_FIGURES = {"ttft": "TTFT", "ttft_quantile": "TTFT, 99 of 100", "tpot": "TPOT"}
_QUANTITIES = {"ttft": "TTFT", "tpot": "TPOT", "throughput": "throughput"}


@dataclass(frozen=True)
class Simulated:
    """A simulated instance beside the formulas.

    Attributes:
        requests: that the shortest of the simulations follow.
        loads: at a load [%] of random arrivals: what, simulated and closed [ms], off [%].
        clients: at a fixed number of clients: series (the quantity) and off [%].
        overload: output tokens/s under more than can be completed.
    """

    requests: int
    loads: pd.DataFrame
    clients: pd.DataFrame
    overload: Overload

    @property
    def longest(self) -> int:
        """Requests that the longest of the simulations follow."""
        return MORE * self.requests

    @property
    def heaviest(self) -> float:
        """The heaviest load that was simulated, a share of what can be completed."""
        return HEAVY[-1]

    @property
    def typical(self) -> float:
        """Median distance between formulas and simulation over loads, a fraction."""
        return float(self.loads["off"].abs().median()) / 100.0

    @property
    def furthest(self) -> pd.Series:
        """Where formulas are furthest off, over loads."""
        return self.loads.iloc[int(self.loads["off"].abs().argmax())]

    @property
    def furthest_clients(self) -> pd.Series:
        """Where formulas are furthest off, over numbers of clients."""
        return self.clients.iloc[int(self.clients["off"].abs().argmax())]

    @property
    def lines(self) -> pd.DataFrame:
        """Latency against load, a series for each way: load [%], ms and series."""
        ways = {"simulated": "simulated", "closed": "formula"}
        return pd.concat(
            self.loads.assign(ms=self.loads[column], series=self.loads["what"] + f", {way}")
            for column, way in ways.items()
        )


def simulate(study: Study) -> Simulated:
    """The scenario's instance, simulated request by request and by the formulas.

    Args:
        study: its case names the instance.

    Returns:
        The simulations, from disk where they were made before.
    """
    key = disk_cache.digest(
        disk_cache.rests_on(__name__), disk_cache.record((study.case.instance, study.case.requests))
    )
    found: Simulated = disk_cache.kept("simulated", key, lambda: _simulated(study))
    return found


def _simulated(study: Study) -> Simulated:
    instance, asked = study.case.instance, study.case.requests
    # Long outputs take more steps to simulate, so fewer requests are followed.
    requests = int(min(2000, max(400, 2e6 / study.scenario.output_tokens)))
    compared = (
        *agreement.compare(instance, asked, LIGHT, requests=requests),
        *agreement.compare(instance, asked, HEAVY, requests=MORE * requests),
    )
    rows = [
        {
            "load": 100.0 * of.load,
            "what": what,
            "simulated": 1e3 * getattr(of.simulated, figure),
            "closed": 1e3 * getattr(of.closed_form, figure),
        }
        for of in compared
        for figure, what in _FIGURES.items()
    ]
    loads = pd.DataFrame(rows).dropna()
    fixed = scheduler.under_clients(instance, asked)
    clients = [
        pd.DataFrame(
            {
                "clients": fixed["clients"],
                "off": _off(fixed[f"{name}_closed"], fixed[f"{name}_simulated"]),
                "series": series,
            }
        )
        for name, series in _QUANTITIES.items()
    ]
    return Simulated(
        requests=requests,
        loads=loads.assign(off=_off(loads["closed"], loads["simulated"])),
        clients=pd.concat(clients, ignore_index=True).dropna(),
        overload=scheduler.overloaded(instance, asked, requests=requests),
    )


def _off(formula: pd.Series, simulated: pd.Series) -> pd.Series:
    """How far formulas lie above simulations, %."""
    return 100.0 * (formula / simulated - 1.0)
