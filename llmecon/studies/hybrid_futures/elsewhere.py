"""Where and when the data centre's work is cleanest: frames of the chapter on hybrid futures."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.execution.interpreter import interpreted
from llmecon.specs import JOULES_PER_KWH
from llmecon.studies.hybrid_futures.model import GRAMS
from llmecon.studies.hybrid_futures.study import Study
from llmecon.tables import catalog, hardware_parts, hourly_grids
from llmecon.tiers import placement
from llmecon.tiers.placement import Region, Request, Shift

SWING = 1.0 / 3.0  # of a day's load above its mean at its peak
HOURS = (4, 24)  # that work may wait

_PEAK = 15.0  # hour of the day


@dataclass(frozen=True)
class Places:
    """The same request in data centres of several grids.

    Attributes:
        all: columns id, name, grams, usd and seconds; the scenario's own grid first.
    """

    all: pd.DataFrame

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The places, the cleanest first."""
        return self.all.sort_values("grams")

    @property
    def home(self) -> pd.Series:
        """The scenario's own grid."""
        return self.all.iloc[0]

    @property
    def cleanest(self) -> pd.Series:
        """The cleanest of the grids."""
        return self.ranked.iloc[0]

    @cached_property
    def few(self) -> pd.DataFrame:
        """The five cleanest, the four dirtiest and the scenario's own."""
        chosen = [self.ranked.head(5), self.ranked.tail(4), self.all.head(1)]
        return pd.concat(chosen).drop_duplicates("id")

    @property
    def saved(self) -> float:
        """What moving to the cleanest saves, as a share."""
        return 1.0 - float(self.cleanest["grams"]) / float(self.home["grams"])

    @property
    def longer(self) -> float:
        """How much longer an answer from the cleanest takes, s."""
        return float(self.cleanest["seconds"]) - float(self.home["seconds"])

    @property
    def usd_per_tonne(self) -> float:
        """What a tonne of CO2e costs that moving avoids; negative where it pays, NaN for none."""
        avoided = (float(self.home["grams"]) - float(self.cleanest["grams"])) / GRAMS
        dearer = float(self.cleanest["usd"]) - float(self.home["usd"])
        return dearer / avoided * 1000.0 if avoided > 0 else float("nan")


def places(study: Study) -> Places:
    """A request of the data centre on every grid that compares and whose price is known.

    A grid whose own price is not known takes its country's.
    """
    home, cloud = study.scenario.cloud_grid, study.taken["cloud"]
    known = {grid: catalog.electricity_price(grid) for grid in hourly_grids.comparable(home)}
    priced = {grid: price for grid, price in known.items() if price is not None}
    middle = float(np.median(list(priced.values()) or [0.0]))
    order = [home, *(grid for grid in priced if grid != home)]
    region = Region(
        intensity=jnp.asarray(
            [catalog.row("grid", of)["g_co2e_per_kwh"] / GRAMS / JOULES_PER_KWH for of in order]
        ),
        price=jnp.asarray([priced.get(of, middle) for of in order]) / JOULES_PER_KWH,
        round_trip=jnp.asarray(
            [0.0 if of == home else hourly_grids.round_trip(home, of).middle for of in order]
        ),
    )
    electricity = cloud.footprint.electricity
    drawn = float(electricity / study.case.there.carbon_intensity)
    fixed = float(cloud.footprint.total - electricity)
    found = placement.place(region, Request(drawn, fixed, cloud.seconds))
    return Places(
        pd.DataFrame(
            {
                "id": order,
                "name": [catalog.name("grid", of) for of in order],
                "grams": GRAMS * np.asarray(found.kg),
                "usd": np.asarray(found.usd),
                "seconds": np.asarray(found.seconds),
            }
        )
    )


@dataclass(frozen=True)
class Hours:
    """What waiting for cleaner hours saves on grids whose hours are known.

    Attributes:
        grids: columns id, name, hours_4 and hours_24 (what waiting for so long at most saves, as
            shares), moved (what a day's load saves whose flexible share moves) and delay [hours].
        roaming: carbon of following the cleanest of the grids over that of staying in the best.
    """

    grids: pd.DataFrame
    roaming: float

    @property
    def most(self) -> pd.Series:
        """The grid where moving saves most."""
        return self.grids.sort_values("moved", ascending=False, kind="stable").iloc[0]


@interpreted
def _shifted(load: jax.Array, flexible: jax.Array, intensities: jax.Array) -> Shift:
    def one(intensity: jax.Array) -> Shift:
        return placement.shifted(load, flexible, intensity, jnp.max(load))

    found: Shift = jax.vmap(one)(intensities)
    return found


@interpreted
def _waits(intensities: jax.Array) -> list[jax.Array]:
    def saved(intensity: jax.Array) -> list[jax.Array]:
        met = [jnp.mean(placement.cleanest_within(intensity, hours)) for hours in HOURS]
        return [1.0 - of / jnp.mean(intensity) for of in met]

    found: list[jax.Array] = jax.vmap(saved)(intensities)
    return found


def hours(study: Study) -> Hours:
    """What waiting for cleaner hours saves, by grid."""
    ids = hourly_grids.with_hours()
    levels = [float(catalog.site(of).carbon_intensity) for of in ids]
    local = jnp.stack(
        [hardware_parts.hourly_ratios(of) * at for of, at in zip(ids, levels, strict=True)]
    )
    human = 1.0 + SWING * np.cos((np.arange(24) - _PEAK) / 24.0 * 2.0 * np.pi)
    moved = _shifted(jnp.asarray(human), jnp.asarray(study.scenario.flexible_share), local)
    short, day = map(np.asarray, _waits(local))
    utc = np.stack([np.asarray(hourly_grids.hourly(of)) for of in ids])
    frame = pd.DataFrame(
        {
            "id": ids,
            "name": [catalog.name("grid", of) for of in ids],
            "hours_4": short,
            "hours_24": day,
            "moved": np.asarray(moved.saving),
            "delay": np.asarray(moved.delay),
        }
    )
    cleanest_first = utc[np.argsort(utc.mean(axis=1), kind="stable")]
    met = placement.follow(jnp.asarray(cleanest_first), jnp.ones(24), jnp.asarray(1.0))
    return Hours(frame, float(met) / float(cleanest_first[0].mean()))
