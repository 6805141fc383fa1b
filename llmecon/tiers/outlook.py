"""Levels to 2035 that growth leads to: electricity of data centres, and what an answer takes."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_MONTH, Number, number
from llmecon.tables import catalog
from llmecon.tiers.growth import BASE_YEAR, Level, level, projected, slowed, slowing_of
from llmecon.tiers.sampling import Factors

Scalar = Float[Array, "..."]

HORIZON = 2100.0
"""The year that stands for any later one, and for never."""

JOULES_PER_TWH = 1e9 * JOULES_PER_KWH
KG_PER_MEGATONNE = 1e9

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
