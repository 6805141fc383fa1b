"""What devices are made of and what making them emits, looked up in the tables."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.costs.carbon import EndDevice
from llmecon.costs.embodied import Embodied, Recipe, calibrated, wafer_carbon
from llmecon.errors import InputError
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_YEAR,
    Materials,
)
from llmecon.tables import catalog

# What people read answers on: rows of the tables network_energy and embodied_products.
END_DEVICES = {"smartphone": "phone-median", "tablet": "tablet-median", "laptop": "laptop-median"}

# Share of dies that work, as in ACT's examples.
TYPICAL_YIELD = 0.875
# The product whose footprint by part the bottom-up model of making devices is calibrated on.
RECIPE_PRODUCT = "nvidia-hgx-h100"


def materials(xpu_id: str, fab_grid: str = "twn", die_yield: float = TYPICAL_YIELD) -> Materials:
    """What an accelerator is made of.

    Args:
        xpu_id: the accelerator. Where its die is not published, the median of its kind stands in.
        fab_grid: id of the region whose mix feeds the fab.
        die_yield: share of dies that work.

    Raises:
        InputError: unknown accelerator or grid.
    """
    of = catalog.row("xpus", xpu_id)
    processes = catalog.table("embodied_processes")
    distance = np.abs(np.log(processes["process_nm"] / of["process_nm"]))
    process = processes.loc[distance.idxmin()]
    die = of["die_mm2"] if pd.notna(of["die_mm2"]) else _typical_die(of["kind"])
    per_cm2 = wafer_carbon(
        process["fab_kwh_per_cm2"] * JOULES_PER_KWH,
        catalog.row("grid", fab_grid)["g_co2e_per_kwh"] / 1000.0 / JOULES_PER_KWH,
        0.5 * (process["gas_low_g_per_cm2"] + process["gas_high_g_per_cm2"]) / 1000.0,
        process["materials_g_per_cm2"] / 1000.0,
        die_yield,
    )
    return Materials(
        die_area=die / 100.0,
        wafer_carbon=per_cm2,
        memory=of["memory_gb"] * catalog.GIB,
        power=catalog.xpu(xpu_id).tdp,
    )


def published_making(product: str) -> Embodied:
    """The published footprint of making a product, per device and by part.

    Args:
        product: id of a row of the table embodied_products that gives shares of its parts.

    Raises:
        InputError: unknown product, or one whose parts are not published.
    """
    of = catalog.row("embodied_products", product)
    if pd.isna(of["memory_share"]):
        raise InputError(f"the parts of {product} are not published; use {RECIPE_PRODUCT}")
    each = of["kg_co2e"] / of["xpus_per_unit"]
    logic, memory, thermal = of["chip_share"], of["memory_share"], of["thermal_share"]
    return Embodied(
        logic=jnp.asarray(each * logic),
        memory=jnp.asarray(each * memory),
        thermal=jnp.asarray(each * thermal),
        rest=jnp.asarray(each * (1.0 - logic - memory - thermal)),
    )


@cache
def recipe() -> Recipe:
    """What parts of an accelerator cost in carbon, calibrated on one published product."""
    product = catalog.row("embodied_products", RECIPE_PRODUCT)
    return calibrated(materials(str(product["xpu"])), published_making(RECIPE_PRODUCT))


def _typical_die(kind: str) -> float:
    return float(catalog.table("xpus").groupby("kind")["die_mm2"].median()[kind])


def hours_of(grid: str) -> pd.DataFrame:
    """The rows of a grid in the table hourly_carbon, by local standard hour.

    Args:
        grid: id of a grid that an authority represents, or of the authority's own zone.

    Raises:
        InputError: no hours are known of this grid; the message names those that are.
    """
    frame = catalog.table("hourly_carbon")
    rows = frame[(frame["grid"] == grid) | (frame["zone"] == grid)]
    if rows.empty:
        known = ", ".join(dict.fromkeys([*frame["zone"].dropna(), *frame["grid"]]))
        raise InputError(f"no hours are known of {grid!r}; use one of {known}")
    return rows.sort_values("hour")


def hourly_ratios(grid: str) -> Float[Array, " hours"]:
    """A grid's carbon intensity by hour of the day, over its mean of the year.

    Args:
        grid: id of a grid or a zone of the table hourly_carbon.

    Returns:
        24 ratios, by local standard hour.

    Raises:
        InputError: no hours are known of this grid; the message names those that are.
    """
    return jnp.asarray(hours_of(grid)["ratio_to_mean"].to_numpy(float))


def end_device(kind: str, hours_per_day: float) -> EndDevice:
    """What people read answers on.

    Args:
        kind: smartphone, tablet or laptop.
        hours_per_day: that it is used for anything.

    Returns:
        Its mean power in use, and the median footprint of making such a device.

    Raises:
        InputError: no such kind.
    """
    if kind not in END_DEVICES:
        raise InputError(
            f"{kind!r} is not a device to read on; use one of {', '.join(END_DEVICES)}"
        )
    product = catalog.row("embodied_products", END_DEVICES[kind])
    days = product["lifetime_years"] * SECONDS_PER_YEAR / SECONDS_PER_DAY
    return EndDevice(
        power=catalog.row("network_energy", kind)["w"],
        making=product["kg_co2e"],
        lifetime=days * hours_per_day * SECONDS_PER_HOUR,
    )
