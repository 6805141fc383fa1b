"""The tables of the chapter on numbers of accelerators, in words."""

import pandas as pd

from llmecon import words
from llmecon.studies.xpu_needs.study import Study
from llmecon.tables import catalog


def every_xpu(every: pd.DataFrame) -> pd.DataFrame:
    """The same run and the same service on every accelerator.

    Args:
        every: as `comparison.side_by_side` returns it.
    """
    columns = {
        "training xPUs": every["training_xpus"],
        "training days": every["training_days"],
        "MFU": every["mfu"],
        "training million USD": every["training_usd"] / 1e6,
        "training MWh": every["training_mwh"],
        "training t CO2e": every["training_tonnes"],
        "xPUs per instance": every["xpus_per_instance"],
        "requests/s per instance": every["rate"],
        "serving xPUs": every["serving_xpus"],
        "serving thousand USD per month": every["serving_usd"] / 1e3,
        "USD per xPU-hour": every["usd_per_hour"],
    }
    said = {name: values.map(_number) for name, values in columns.items()}
    return pd.DataFrame({"xPU": every["name"]} | said)


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from."""
    given = study.scenario
    model, device = catalog.row("models", given.model), catalog.row("xpus", given.xpu)
    grid, offer = catalog.row("grid", given.grid), catalog.rental_price(given.xpu)
    intensity = f"{grid['g_co2e_per_kwh']:g} g CO₂e/kWh, {grid['year']}"
    rows = [
        ("architecture", model["name"], model["source"], model["architecture_checked"]),
        ("datasheet", device["name"], device["source"], device["checked"]),
        ("grid intensity", intensity, grid["source"], grid["checked"]),
    ]
    if given.usd_per_xpu_hour:
        value = f"{words.usd(given.usd_per_xpu_hour)} per hour"
        rows.append(("price", value, "given as a parameter", True))
    elif offer:
        value = f"{words.usd(offer.usd)} per hour, {offer.month}, {offer.label}"
        rows.append(("price", value, offer.source, offer.checked))
    failures = catalog.table("failures").set_index("device_mtbf_hours")
    if given.device_mtbf_hours in failures.index:
        met = failures.loc[given.device_mtbf_hours]
        value = f"{words.number(given.device_mtbf_hours, 5)} hours per device, {met['cluster']}"
        rows.append(("failures", value, met["source"], met["checked"]))
    return pd.DataFrame(
        [
            (figure, value, words.sources(source), "yes" if checked else "no")
            for figure, value, source, checked in rows
        ],
        columns=["Figure", "Value", "Source", "Checked"],
    )


def _number(value: float) -> str:
    return "–" if pd.isna(value) else words.number(value, 3)
