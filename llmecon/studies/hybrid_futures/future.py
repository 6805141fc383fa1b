"""Futures to 2035: frames of the chapter on hybrid futures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import serving
from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture
from llmecon.studies.hybrid_futures.model import GRAMS
from llmecon.studies.hybrid_futures.study import Study
from llmecon.tables import catalog
from llmecon.tiers import growth, outlook, own_machine, sampling
from llmecon.tiers.growth import Level, Range
from llmecon.tiers.outlook import Demand, Start
from llmecon.tiers.sampling import Factors

YEARS = np.arange(2025, 2036)
LAST = float(YEARS[-1])

CAUSES = {
    "demand-energy": "demand for electricity",
    "grid-intensity": "carbon of the grid",
    "model-size": "model size for equal quality",
    "hardware-efficiency": "FLOP/s per watt",
    "memory-bandwidth-efficiency": "bytes/s per watt",
    "hardware-price-performance": "FLOP/s per dollar",
}
"""What changes until 2035, as a reader calls it."""

_FUTURES = 2048
_DRAWS = 1024  # a power of two, of which the share of each cause is estimated
_LARGE = "llama-3.1-405b"  # a model beside those of the scenario

_service = interpreted(serving.service_at)


@dataclass(frozen=True)
class Futures:
    """What published and judged ranges of yearly factors imply.

    Attributes:
        growth: ranges by quantity.
        factors: one of each range a future.
        drawn: electricity of an answer of the data centre today, J.
        level: carbon intensity of its grid.
        memory_bound: share of its work that waits for memory.
        usd_today: of an answer.
    """

    growth: dict[str, Range]
    factors: Factors
    drawn: float
    level: Level
    memory_bound: float
    usd_today: float

    @cached_property
    def start(self) -> Start:
        """Levels of all data centres that the futures start from."""
        return outlook.start()

    @cached_property
    def demand(self) -> Demand:
        """Electricity and emissions of all data centres, by future and year."""
        found: Demand = self._over_years(partial(outlook.demand, self.start))
        return found

    @cached_property
    def grams(self) -> np.ndarray:
        """CO2 of the electricity of an answer of today's quality, by future and year."""
        return GRAMS * np.asarray(self._over_years(self._carbon))

    @cached_property
    def usd(self) -> np.ndarray:
        """Cost of an answer of today's quality, by future and year."""
        today = jnp.asarray(self.usd_today)
        return np.asarray(self._over_years(partial(outlook.cost_per_answer, today)))

    def fan(self, values: Any) -> pd.DataFrame:
        """Bands that hold some share of the futures in each year.

        Args:
            values: by future and year.
        """
        return sampling.fan(jnp.asarray(values)).table(YEARS)

    @property
    def elapsed(self) -> np.ndarray:
        """Years since the base year."""
        return YEARS - growth.BASE_YEAR

    @property
    def cheaper(self) -> tuple[float, float]:
        """Cost of an answer in the last year over today's: both ends of 90%."""
        low, high = np.quantile(self.usd[:, -1], [0.05, 0.95]) / np.median(self.usd[:, 0])
        return float(low), float(high)

    @property
    def megatonnes(self) -> tuple[float, float, float]:
        """Emissions of all data centres: the first year's median, the last's ends of 90%."""
        emitted = np.asarray(self.demand.megatonnes)
        low, high = np.quantile(emitted[:, -1], [0.05, 0.95])
        return float(np.median(emitted[:, 0])), float(low), float(high)

    @property
    def twh(self) -> tuple[float, float]:
        """Electricity of all data centres in the last year: both ends of 90%."""
        low, high = np.quantile(np.asarray(self.demand.twh)[:, -1], [0.05, 0.95])
        return float(low), float(high)

    @property
    def times_less(self) -> tuple[float, float]:
        """How many times less an answer emits in the last year: both ends of 90%."""
        low, high = np.quantile(self.grams[:, -1], [0.05, 0.95])
        now = GRAMS * self.drawn * float(self.level.value)
        return now / float(high), now / float(low)

    @property
    def fewer_parameters(self) -> float:
        """How many times fewer parameters the middle of its range leaves a model in ten years."""
        return float(self.growth["model-size"].mid) ** -float(self.elapsed[-1])

    @cached_property
    def causes(self) -> pd.DataFrame:
        """What the spread in the last year is due to.

        Returns:
            Columns what (all or one), cause and share of the variance of the logarithm, the
            largest first.
        """
        years = jnp.asarray(float(self.elapsed[-1]))
        start = self.start  # kept, so it must not be computed while the function below is traced
        of_all = self._attributed(
            lambda factors: outlook.demand(start, factors, years).emissions,
            ("demand-energy", "grid-intensity"),
        )
        of_one = self._attributed(
            lambda factors: self._carbon(factors, years),
            ("model-size", "memory-bandwidth-efficiency", "hardware-efficiency", "grid-intensity"),
        )
        return pd.concat(
            shares.rename_axis("cause").reset_index(name="share").assign(what=what)
            for what, shares in (("all", of_all), ("one", of_one))
        )

    def largest(self, what: str) -> pd.Series:
        """The cause of most of a spread, all or one."""
        return self.causes[self.causes["what"] == what].iloc[0]

    def _carbon(self, factors: Factors, years: jax.Array) -> jax.Array:
        return outlook.carbon_per_answer(
            jnp.asarray(self.drawn), self.level, factors, years, jnp.asarray(self.memory_bound)
        )

    def _over_years(self, function: Callable[[Factors, jax.Array], Any]) -> Any:
        return sampling.futures(function, self.factors, jnp.asarray(self.elapsed))

    def _attributed(
        self, function: Callable[[Factors], jax.Array], quantities: tuple[str, ...]
    ) -> pd.Series:
        ranges = {name: self.growth[name] for name in quantities}
        found = sampling.attribution(function, ranges, _DRAWS, logarithm=True)
        return found["first_order"].sort_values(ascending=False)


def futures(study: Study) -> Futures:
    """What published and judged ranges of yearly factors imply until 2035."""
    yearly = dict(sampling.ranges())
    case, way = study.case, study.taken["cloud"]
    of = case.cloud
    point = _service(of.instance, case.requests, of.at_once).point
    intensity = float(case.there.carbon_intensity)
    return Futures(
        yearly,
        sampling.draws(yearly, _FUTURES),
        drawn=float(way.footprint.electricity) / intensity,
        level=Level(intensity, growth.BASE_YEAR),
        memory_bound=float(point.memory_use / (point.memory_use + point.compute_use)),
        usd_today=float(way.usd),
    )


def published_cases() -> pd.DataFrame:
    """Cases of the International Energy Agency: x (year), value [TWh] and label."""
    cases = catalog.table("scenario_levels")
    cases = cases[
        (cases["quantity"] == "data-centre-electricity")
        & (cases["region"] == catalog.WORLD)
        & cases["year"].between(YEARS[0], YEARS[-1])
    ]
    labels = ["IEA" + of.removeprefix("iea").replace("-", " ", 2) for of in cases["scenario"]]
    return cases.assign(x=cases["year"], label=labels)[["x", "value", "label"]]


def reached(study: Study, futures: Futures) -> pd.DataFrame:
    """When a flagship phone writes such quality as fast as people read.

    Args:
        study: of whose models it is asked.
        futures: the futures.

    Returns:
        Columns name, parameters and early, middle and late: by which year a twentieth, half and
        all but a twentieth of the futures have it.
    """
    handset = outlook.Device(
        bandwidth=outlook.published(
            "flagship-phone", catalog.WORLD, 2026, "device-memory-bandwidth"
        ),
        share=own_machine.attained("phone").memory,
        bytes_per_parameter=float(study.case.precision.feed_forward),
        pace=study.case.pace,
    )
    ids = list(dict.fromkeys([study.scenario.edge_model, study.scenario.cloud_model, _LARGE]))
    sizes = [float(architecture.parameters(catalog.llm(of)).active) for of in ids]
    years = np.asarray(_years(handset, jnp.asarray(sizes), dict(futures.factors)))
    early, middle, late = np.quantile(years, [0.05, 0.5, 0.95], axis=1)
    return pd.DataFrame(
        {
            "name": [catalog.name("models", of) for of in ids],
            "parameters": sizes,
            "early": early,
            "middle": middle,
            "late": late,
        }
    )


@interpreted
def _years(handset: outlook.Device, sizes: jax.Array, factors: Factors) -> jax.Array:
    def one(size: jax.Array, drawn: Factors) -> jax.Array:
        return outlook.year_reached(handset, size, drawn)

    found: jax.Array = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(sizes, factors)
    return found
