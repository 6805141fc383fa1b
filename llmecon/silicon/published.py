"""Published constants of silicon, and published chips that the model is compared with."""

import pandas as pd

from llmecon.errors import InputError
from llmecon.silicon.chips import MEMORY, NODE, Silicon, chip_cost, chip_of, floorplan
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_MONTH, SECONDS_PER_YEAR
from llmecon.tables import catalog

# Factors to SI, but for areas and lengths on a chip, which stay in mm2 and mm.
_SI = {
    "1": 1.0,
    "1/cm2": 1e-2,
    "mm": 1.0,
    "mm2": 1.0,
    "mm2 per GB/s": 1.0 / catalog.GB,
    "TFLOP/s per mm2": catalog.TERA,
    "GB/s": catalog.GB,
    "GB": catalog.GIB,
    "USD": 1.0,
    "USD/GB": 1.0 / catalog.GIB,
    "USD/mm2": 1.0,
    "USD/W": 1.0,
    "USD per GB/s": 1.0 / catalog.GB,
    "USD/kWh": 1.0 / JOULES_PER_KWH,
    "USD/kW/month": 1e-3 / SECONDS_PER_MONTH,
    "pJ": 1e-12,
    "W/mm2": 1.0,
    "years": SECONDS_PER_YEAR,
}


def constants(node: str = NODE, memory: str = MEMORY) -> pd.DataFrame:
    """The rows of the table silicon that hold for a process and a kind of memory.

    Args:
        node: 7nm, 5nm or 3nm.
        memory: hbm2e, hbm3, hbm3e or hbm4.

    Returns:
        Indexed by quantity, with value, low and high in SI units (areas in mm2).

    Raises:
        InputError: no such process or memory.
    """
    frame = catalog.table("silicon")
    known = [str(of) for of in frame["variant"].dropna().unique()]
    for of in (node, memory):
        if of not in known:
            raise InputError(f"{of!r} is no process or memory; use one of {', '.join(known)}")
    frame = frame[frame["variant"].isna() | frame["variant"].isin([node, memory])]
    frame = frame.set_index("quantity")
    factors = frame["unit"].map(_SI)
    return frame.assign(**{of: frame[of] * factors for of in ("value", "low", "high")})


def silicon(node: str = NODE, memory: str = MEMORY) -> Silicon:
    """What chips cost in a process and with a kind of memory, at the table's values.

    Args:
        node: 7nm, 5nm or 3nm.
        memory: hbm2e, hbm3, hbm3e or hbm4.

    Raises:
        InputError: no such process or memory.
    """
    return Silicon(**{str(name): of for name, of in constants(node, memory)["value"].items()})


def validation() -> pd.DataFrame:
    """The cost model against published estimates and datasheets.

    Returns:
        A row for each published figure: accelerator, quantity, unit, what was published with its
        range and a note, what the model gives with the constants of the chip's process and memory,
        and the ratio of both.
    """
    published = ("xpu", "quantity", "unit", "value", "low", "high", "note")
    rows = []
    for of in catalog.table("silicon_estimates").to_dict("records"):
        prices = silicon(of["node"], of["memory"])
        sheet = catalog.xpu(of["xpu"])
        chip = chip_of(sheet)
        plan, cost = floorplan(chip, prices), chip_cost(chip, prices)
        predicted = {
            "die": plan.area,
            "power": plan.power,
            "stacks": plan.stacks,
            "making": cost.making,
            "logic": cost.logic,
            "memory": cost.memory,
            "package": cost.package,
        }[of["quantity"]]
        rows.append(
            {
                **{key: of[key] for key in published},
                "predicted": float(predicted),
                "ratio": float(predicted) / of["value"],
                "source": of["source"],
                "checked": of["checked"],
            }
        )
    return pd.DataFrame(rows)
