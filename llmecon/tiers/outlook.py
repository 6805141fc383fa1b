"""Futures to 2035: yearly factors with ranges, drawn together, and what their spread is due to.

A future is one factor of growth for each quantity, drawn once and kept for all of its years.
Factors drawn anew every year would average out, and the fan of their futures would be narrower
than what is known: false certainty. The quantities are drawn independently of each other, for want
of evidence on how they go together.

Years are counted from `BASE_YEAR`. The table's ranges start in different years, from 2024 to 2026;
all are applied from the base year on, and to the years between a published level's and the base.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.scipy.stats import norm
from jaxtyping import Array, Float
from scipy import stats

from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.numerics import solve_increasing
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_MONTH, Number, number
from llmecon.tables import catalog

Scalar = Float[Array, "..."]
Factors = Mapping[str, Scalar]

BASE_YEAR = 2025.0
"""The year that years are counted from."""

HORIZON = 2100.0
"""The year that stands for any later one, and for never."""

JOULES_PER_TWH = 1e9 * JOULES_PER_KWH
KG_PER_MEGATONNE = 1e9

COMPUTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "token-price": ("model-size", "hardware-price-performance"),
        "demand-tokens": ("demand-energy", "hardware-efficiency", "model-size"),
    }
)
"""Quantities whose ranges are computed from those of others, beside which they can't be drawn."""

# Where probabilities are cut off: the slopes of both shapes are infinite at 0 and 1.
EDGE = 1e-12
# Slowing is sought between these, per year.
SLOWEST, FASTEST = 1e-6, 10.0
SEED = 2035

# The case that electricity starts from, and what the intensity of grids starts from by region.
CASE, CASE_YEARS = "iea-2025-base", (2024, 2030, 2035)
INTENSITIES = {"wor": ("iea-electricity-2025", 2024), "usa": ("eia", 2023)}

_SI = {
    "TWh": JOULES_PER_TWH,
    "Wh": JOULES_PER_KWH / 1000.0,
    "g CO2/kWh": 1e-3 / JOULES_PER_KWH,
    "g CO2e/kWh": 1e-3 / JOULES_PER_KWH,
    "g CO2e": 1e-3,
    "GB/s": catalog.GB,
    "USD/kWh": 1.0 / JOULES_PER_KWH,
    "tokens/month": 1.0 / SECONDS_PER_MONTH,
}


class Range(eqx.Module):
    """What is known of a yearly factor, a year's value over that of the year before.

    Attributes:
        low: lower end, above 0.
        mid: as likely exceeded as not.
        high: upper end.
        coverage: probability between the ends; 1 for bounds, which have a shape of their own and
            not that of nearly 1.
    """

    low: Number = number()
    mid: Number = number()
    high: Number = number()
    coverage: Number = number(default=1.0)


class Level(eqx.Module):
    """A level and its year.

    Attributes:
        value: in SI units.
        year: of the calendar.
    """

    value: Number = number()
    year: Number = number(default=BASE_YEAR)


class Start(eqx.Module):
    """Where the electricity of data centres starts from.

    Attributes:
        electricity: of all data centres, J a year.
        intensity: of the grids that feed them, kg CO2 per joule.
        slowing: by which share the growth of electricity's logarithm falls per year; 0 if it is
            the same in all years.
        end: year up to which the drawn factor is the mean one: slowing moves growth from later
            years to earlier ones, and leaves this year's level as it is.
    """

    electricity: Level
    intensity: Level
    slowing: Number = number(default=0.0)
    end: Number = number(default=2035.0)


class Device(eqx.Module):
    """A device that decodes one request at a time, as fast as it can read the weights.

    Attributes:
        bandwidth: of its memory, bytes/s.
        share: of the bandwidth that decoding attains.
        bytes_per_parameter: of the weights, scales included.
        pace: tokens per second that it has to decode.
    """

    bandwidth: Level
    share: Number = number()
    bytes_per_parameter: Number = number()
    pace: Number = number()


class Demand(NamedTuple):
    """Electricity of data centres and what it emits, in some year.

    Attributes:
        electricity: J a year.
        emissions: kg CO2 a year.
    """

    electricity: Scalar
    emissions: Scalar

    @property
    def twh(self) -> Scalar:
        """Electricity, TWh a year."""
        return self.electricity / JOULES_PER_TWH

    @property
    def megatonnes(self) -> Scalar:
        """Emissions, Mt CO2 a year."""
        return self.emissions / KG_PER_MEGATONNE


class Fan(NamedTuple):
    """Quantiles of many futures by year.

    Attributes:
        median: by year.
        shares: probability that each band holds.
        low: lower ends of the bands.
        high: upper ends of the bands.
    """

    median: Float[Array, " years"]
    shares: Float[Array, " shares"]
    low: Float[Array, "shares years"]
    high: Float[Array, "shares years"]

    def table(self, years: Iterable[int | float]) -> pd.DataFrame:
        """One row a band and year, as charts want it.

        Args:
            years: what to call the years.

        Returns:
            Columns year, share, low, median and high.
        """
        named = np.asarray(list(years))
        bands, count = self.low.shape
        return pd.DataFrame(
            {
                "year": np.tile(named, bands),
                "share": np.repeat(np.asarray(self.shares), count),
                "low": np.ravel(self.low),
                "median": np.tile(np.asarray(self.median), bands),
                "high": np.ravel(self.high),
            }
        )


def quantile(of: Range, u: Scalar) -> Scalar:
    """The factor that is undercut with some probability.

    On the log scale, half of the probability lies on either side of the middle. With a coverage p,
    each half is that of a normal distribution of its own width, such that the ends are the
    (1 - p)/2 and (1 + p)/2 quantiles. With bounds, the density of each half falls in a straight
    line from the middle to 0 at the bound.

    Args:
        of: the range.
        u: probability, 0 to 1, cut off at EDGE from either.

    Returns:
        The factor: continuous and increasing in u, `of.mid` at a half.
    """
    below = u < 0.5
    # Not a minimum, whose slope would be 0 at the median.
    tail = jnp.clip(jnp.where(below, u, 1.0 - u), EDGE, 0.5)
    bounded = of.coverage >= 1.0
    covered = jnp.where(bounded, 0.5, of.coverage)
    width = jnp.where(below, jnp.log(of.mid / of.low), jnp.log(of.high / of.mid))
    normal = norm.ppf(tail) / norm.ppf(0.5 - 0.5 * covered)
    reach = width * jnp.where(bounded, 1.0 - jnp.sqrt(2.0 * tail), normal)
    return of.mid * jnp.exp(jnp.where(below, -reach, reach))


def level(start: Scalar, factor: Scalar, years: Scalar) -> Scalar:
    """What a quantity grows to at one factor for all years of a future.

    Args:
        start: level at the start.
        factor: a year, above 0.
        years: since the start.

    Returns:
        start * factor**years, in the unit of the start.
    """
    return start * factor**years


def projected(of: Level, factor: Scalar, years: Scalar) -> Scalar:
    """What a published level grows to, whatever its year.

    Args:
        of: the level.
        factor: a year, above 0; it also holds between the level's year and the base year.
        years: since the base year.

    Returns:
        The level then, in its unit.
    """
    return level(of.value, factor, BASE_YEAR + years - of.year)


def slowed(years: Scalar, slowing: Scalar, span: Scalar) -> Scalar:
    """The years of steady growth that do as much as growth that slows down.

    Args:
        years: since the start.
        slowing: share by which the growth of the logarithm falls per year; 0 for none.
        span: years after which slowing and steady growth have done the same, above 0.

    Returns:
        span * (1 - exp(-slowing * years)) / (1 - exp(-slowing * span)): `years` itself without
        slowing, 0 at the start, `span` at its end.
    """
    return years * _decayed(slowing * years) / _decayed(slowing * span)


def _decayed(x: Scalar) -> Scalar:
    """The mean of exp(-t) between 0 and x."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1.0, x)
    return jnp.where(small, 1.0 - x / 2.0 + x**2 / 6.0, -jnp.expm1(-safe) / safe)


def slowing_of(first: Level, middle: Level, last: Level) -> Scalar:
    """The slowing of a case of which three levels are published.

    Args:
        first: at the start.
        middle: between the others in time, and in value.
        last: at the end of the span.

    Returns:
        A share per year; nearly 0 where growth does not slow down.
    """
    span, elapsed = last.year - first.year, middle.year - first.year
    done = jnp.log(middle.value / first.value) / jnp.log(last.value / first.value)

    def ahead(slowing: Scalar) -> Scalar:
        return slowed(elapsed, slowing, span) / span - done

    return solve_increasing(ahead, SLOWEST, FASTEST)


def rows(region: str = catalog.WORLD, quantities: Iterable[str] | None = None) -> pd.DataFrame:
    """The rows of the table that ranges are taken from, with their sources.

    Args:
        region: id of a region of the table grid.
        quantities: those wanted; by default all that can be drawn together.

    Returns:
        For each quantity the row to draw from of the region, or the world's where there is none.

    Raises:
        InputError: unknown region, or no range of a quantity there or in the world.
    """
    catalog.require("grid", region)
    frame = catalog.table("scenarios")
    frame = frame[(frame["draw"] == 1) & frame["region"].isin([region, catalog.WORLD])]
    # The region's own row comes first, and is kept.
    own_first = frame["region"].ne(region).sort_values(kind="stable").index
    frame = frame.loc[own_first].drop_duplicates("quantity").set_index("quantity", drop=False)
    if quantities is None:
        return frame.drop(index=list(COMPUTED), errors="ignore").sort_index()
    asked = list(quantities)
    for quantity in asked:
        if quantity not in frame.index:
            raise InputError(_unknown(quantity, region, sorted(frame.index)))
    return frame.loc[asked]


def _unknown(quantity: str, region: str, known: list[str]) -> str:
    frame = catalog.table("scenarios")
    elsewhere = frame[(frame["draw"] == 1) & (frame["quantity"] == quantity)]["region"]
    if len(elsewhere):
        return f"no range of {quantity} for {region}, only for {', '.join(elsewhere)}"
    near = difflib.get_close_matches(quantity, known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"use {', '.join(known)}"
    return f"no range of {quantity!r} in the table scenarios; {hint}"


def ranges(
    region: str = catalog.WORLD, quantities: Iterable[str] | None = None
) -> dict[str, Range]:
    """The ranges to draw from.

    Args:
        region: id of a region of the table grid; the world's ranges stand in for those it lacks.
        quantities: those wanted; by default all that can be drawn together, which leaves out those
            in `COMPUTED`.

    Returns:
        Yearly factors by quantity.

    Raises:
        InputError: unknown region, or no range of a quantity there or in the world.
    """
    return {
        str(of["quantity"]): Range(
            low=of["low_per_year"],
            mid=of["mid_per_year"],
            high=of["high_per_year"],
            coverage=1.0 if pd.isna(of["coverage"]) else of["coverage"],
        )
        for of in rows(region, quantities).to_dict("records")
    }


def _together(of: Iterable[str]) -> None:
    names = set(of)
    for computed, parts in COMPUTED.items():
        beside = names.intersection(parts)
        if computed in names and beside:
            raise InputError(
                f"{computed} is computed from {', '.join(parts)}; "
                f"draw it alone or leave it out, not beside {', '.join(sorted(beside))}"
            )


def draws(
    of: Mapping[str, Range], count: int, seed: int = SEED
) -> dict[str, Float[Array, " futures"]]:
    """Futures: one factor a quantity in each, from a Latin hypercube.

    Args:
        of: ranges by quantity.
        count: of futures, 1 or more.
        seed: the same seed gives the same futures for the same quantities.

    Returns:
        By quantity, one factor a future; each of `count` equally likely parts of a range is met
        once [McKay1979].

    Raises:
        InputError: a quantity beside one that it is computed from.
    """
    _together(of)
    cube = stats.qmc.LatinHypercube(len(of), rng=seed).random(count)
    return {name: quantile(of[name], jnp.asarray(cube[:, i])) for i, name in enumerate(sorted(of))}


def futures(
    function: Callable[[Factors, Scalar], Any], factors: Factors, years: Float[Array, " years"]
) -> Any:
    """A function of one future and year, for every future and year.

    Args:
        function: of factors and years since the base year, to a scalar or a record of them.
        factors: as `draws` returns them.
        years: since the base year.

    Returns:
        What the function returns, with leading dimensions of futures and years.
    """
    over_years = jax.vmap(function, (None, 0))
    return interpreted(jax.vmap(over_years, (0, None)))(dict(factors), years)


def fan(values: Float[Array, "futures years"], shares: tuple[float, ...] = (0.5, 0.9)) -> Fan:
    """Bands that hold some share of the futures in each year, half of the rest on either side.

    Args:
        values: by future and year.
        shares: of futures that the bands hold, 0 to 1.

    Returns:
        The median and the bands. The median of each year need not be any one future's path.
    """
    held = jnp.asarray(shares)
    return Fan(
        median=jnp.median(values, axis=0),
        shares=held,
        low=jnp.quantile(values, 0.5 - 0.5 * held, axis=0),
        high=jnp.quantile(values, 0.5 + 0.5 * held, axis=0),
    )


def attribution(
    function: Callable[[Factors], Scalar],
    of: Mapping[str, Range],
    count: int = 4096,
    *,
    logarithm: bool = False,
    seed: int = SEED,
) -> pd.DataFrame:
    """Which quantities' ranges a result's spread is due to: Sobol' indices.

    Args:
        function: from the factors of one future to a scalar.
        of: ranges by quantity.
        count: size of the sample, a power of two; the function is computed for `count` times two
            more than there are quantities.
        logarithm: explain the variance of the result's logarithm, which suits products.
        seed: of the sample.

    Returns:
        Indexed by quantity in the order of the alphabet: `first_order`, the share of the variance
        that would go if the quantity alone were known, and `total`, the share that would stay if
        all others were [Saltelli2010]. Estimates, cut to 0 to 1; all 0 if nothing varies.

    Raises:
        InputError: a quantity beside one that it is computed from, or no power of two.
    """
    _together(of)
    if count < 1 or count & (count - 1):
        raise InputError(f"count: {count} is no power of two; use one such as 4096")
    names = sorted(of)

    def outcome(u: Float[Array, " quantities"]) -> Scalar:
        found = function({name: quantile(of[name], u[i]) for i, name in enumerate(names)})
        return jnp.log(found) if logarithm else found

    every = interpreted(jax.vmap(outcome, in_axes=1))

    def outcomes(u: np.ndarray) -> np.ndarray:
        # Twice, because the library squeezes one outcome of one quantity to no array at all.
        return np.stack([np.asarray(every(jnp.asarray(u)))] * 2)

    found = stats.sobol_indices(
        func=outcomes,
        n=count,
        dists=[stats.uniform()] * len(names),
        rng=np.random.default_rng(seed),
    )
    indices = {"first_order": found.first_order, "total": found.total_order}
    return pd.DataFrame(
        {name: np.clip(np.reshape(of, (2, -1))[0], 0.0, 1.0) for name, of in indices.items()},
        index=pd.Index(names, name="quantity"),
    )


def published(case: str, region: str, year: int, quantity: str) -> Level:
    """A level of the table scenario_levels.

    Args:
        case: publication and case, as in the column scenario.
        region: as in the table.
        year: of the level.
        quantity: as in the table.

    Returns:
        The level in SI units; carbon in kg, tokens per second.

    Raises:
        InputError: no such row; the message names the years and regions of the case.
    """
    frame = catalog.table("scenario_levels")
    frame = frame[(frame["scenario"] == case) & (frame["quantity"] == quantity)]
    found = frame[(frame["region"] == region) & (frame["year"] == year)]
    if found.empty:
        there = ", ".join(f"{r} {y}" for r, y in zip(frame["region"], frame["year"], strict=True))
        hint = f"there are {there}" if there else "see the table scenario_levels"
        raise InputError(f"no {quantity} of {case} for {region} in {year}; {hint}")
    row = found.iloc[0]
    return Level(row["value"] * _SI[row["unit"]], year)


def start(region: str = catalog.WORLD) -> Start:
    """Where data centres start from, and how their growth slows in the IEA's base case.

    Args:
        region: wor or usa.

    Returns:
        Levels of the tables; the slowing is that of the world's case between 2024, 2030 and 2035
        [IEA2025], and stands in for that of other regions.

    Raises:
        InputError: a region without a published intensity to start from.
    """
    if region not in INTENSITIES:
        raise InputError(f"nothing to start from for {region!r}; use {', '.join(INTENSITIES)}")
    case, year = INTENSITIES[region]
    electricity = "data-centre-electricity"
    path = [published(CASE, catalog.WORLD, of, electricity) for of in CASE_YEARS]
    return Start(
        electricity=published(CASE, region, CASE_YEARS[0], electricity),
        intensity=published(case, region, year, "grid-intensity"),
        slowing=slowing_of(*path),
        end=CASE_YEARS[-1],
    )


def demand(start: Start, factors: Factors, years: Scalar) -> Demand:
    """Electricity that data centres use, and what it emits.

    All data centres, whatever they compute, at the average intensity of their region's grids, as
    if they stood where electricity is used anyway; the making of hardware is not in it.

    Args:
        start: levels to start from.
        factors: demand-energy and grid-intensity.
        years: since the base year.

    Returns:
        Electricity, from its start by the factor demand-energy for every slowed year, and its
        emissions, with the intensity from its start by the factor grid-intensity a year.
    """
    first = start.electricity
    elapsed = slowed(BASE_YEAR + years - first.year, start.slowing, start.end - first.year)
    electricity = level(first.value, factors["demand-energy"], elapsed)
    return Demand(
        electricity, electricity * projected(start.intensity, factors["grid-intensity"], years)
    )


def energy_per_answer(
    today: Scalar, factors: Factors, years: Scalar, memory_bound: Scalar
) -> Scalar:
    """Energy of an answer of equal quality and length.

    Models of equal quality shrink and hardware does more per joule. How well the hardware is used,
    how long answers are and what cools the machines stay as they are; answers that become better
    or longer take more.

    Args:
        today: energy of an answer in the base year, J.
        factors: model-size, memory-bandwidth-efficiency and hardware-efficiency.
        years: since the base year.
        memory_bound: share of the hardware's progress that is bytes per joule, which bounds
            decoding, and not FLOP per joule, 0 to 1; on the log scale.

    Returns:
        Joules: today's, times the yearly factor of model-size over that of the hardware, which is
        the two efficiencies' mean on the log scale, to the power of the years.
    """
    efficiency = (
        factors["memory-bandwidth-efficiency"] ** memory_bound
        * factors["hardware-efficiency"] ** (1.0 - memory_bound)
    )  # fmt: skip
    return level(today, factors["model-size"] / efficiency, years)


def carbon_per_answer(
    today: Scalar, intensity: Level, factors: Factors, years: Scalar, memory_bound: Scalar
) -> Scalar:
    """Emissions of the electricity of an answer of equal quality and length.

    Args:
        today: energy of an answer in the base year, J.
        intensity: of the grid, kg CO2 per joule.
        factors: those of `energy_per_answer`, and grid-intensity.
        years: since the base year.
        memory_bound: as in `energy_per_answer`.

    Returns:
        Energy times intensity, kg CO2; the making of hardware is not in it.
    """
    grid = projected(intensity, factors["grid-intensity"], years)
    return grid * energy_per_answer(today, factors, years, memory_bound)


def cost_per_answer(today: Scalar, factors: Factors, years: Scalar) -> Scalar:
    """Cost of an answer of equal quality and length, where hardware is what costs.

    Margins and the use made of hardware stay as they are, and electricity is taken to become
    cheaper per answer as fast as hardware does.

    Args:
        today: cost of an answer in the base year, USD.
        factors: model-size and hardware-price-performance.
        years: since the base year.

    Returns:
        today * (model-size / hardware-price-performance)**years, USD.
    """
    return level(today, factors["model-size"] / factors["hardware-price-performance"], years)


def device_parameters(device: Device, factors: Factors, years: Scalar) -> Scalar:
    """The largest model that a device decodes fast enough.

    Each token reads all active parameters once. Whether the whole model fits into the device's
    memory, and for how long it bears the heat, is another question.

    Args:
        device: the device, with the bandwidth of its kind in some year.
        factors: device-memory-bandwidth.
        years: since the base year.

    Returns:
        Active parameters: bandwidth * share / (bytes per parameter * tokens per second).
    """
    bandwidth = projected(device.bandwidth, factors["device-memory-bandwidth"], years)
    return bandwidth * device.share / (device.bytes_per_parameter * device.pace)


def needed_parameters(today: Scalar, factors: Factors, years: Scalar) -> Scalar:
    """The size of the model that is as good as one of the base year.

    Args:
        today: active parameters of the model in the base year.
        factors: model-size.
        years: since the base year.

    Returns:
        today * model-size**years, active parameters.
    """
    return level(today, factors["model-size"], years)


def year_reached(
    device: Device, today: Scalar, factors: Factors, horizon: Scalar | float = HORIZON
) -> Scalar:
    """When a device decodes fast enough a model that is as good as one of the base year.

    Args:
        device: the device, with the bandwidth of its kind in some year.
        today: active parameters of the model in the base year.
        factors: device-memory-bandwidth and model-size.
        horizon: the year that stands for any later one and for never.

    Returns:
        The year, with its fraction: log of how far apart both are in the base year, over log of
        how fast they come together. The base year where they had met by then.
    """
    apart = jnp.log(today / device_parameters(device, factors, jnp.zeros(())))
    closing = jnp.log(factors["device-memory-bandwidth"] / factors["model-size"])
    ahead = jnp.asarray(horizon, float) - BASE_YEAR
    # Where it takes longer than the horizon, nothing is divided: the quotient could be unlimited.
    within = (apart > 0.0) & (apart < closing * ahead)
    years = apart / jnp.where(within, closing, 1.0)
    return BASE_YEAR + jnp.where(within, years, jnp.where(apart > 0.0, ahead, 0.0))
