"""Published footprints, recomputed: what the models give beside what was metered or reported.

A figure is circular where its authors multiplied hours by rated power: such a figure tests the
arithmetic and not the model, and is named so.
"""

from dataclasses import asdict, dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.costs.carbon import operational_carbon, water
from llmecon.costs.embodied import amortised, manufacture
from llmecon.evidence import training_rows, whole_runs
from llmecon.evidence.run_fit import predict_runs
from llmecon.physics.energy import Energy, device_power, energy_of
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_HOUR, SECONDS_PER_YEAR, Site
from llmecon.tables import catalog
from llmecon.tables.hardware_parts import RECIPE_PRODUCT, materials, recipe

# Share of six years that BLOOM's authors count on their servers to work [Luccioni2023].
BLOOM_USED = 0.85

# What energy figures cover, by the names in the table: of the accelerators alone, with the servers
# around them, and with the facility's overhead on either.
_HOST_COUNTED = {"device": 0.0, "device-with-pue": 0.0, "it": 1.0, "facility": 1.0}
_FACILITY_COUNTED = {"device": 0.0, "device-with-pue": 1.0, "it": 0.0, "facility": 1.0}


@dataclass(frozen=True)
class Comparison:
    """A published figure and what the models make of it.

    Attributes:
        case: what was published.
        part: of the case.
        published: the figure, in `unit`.
        computed: by the models, in `unit`.
        unit: of both.
        how: what the computation rests on.
        circular: whether the figure was computed by its authors the way it is here.
        source: keys of the bibliography.
        checked: whether the figure was read in its source.
    """

    case: str
    part: str
    published: float
    computed: float
    unit: str
    how: str
    circular: bool
    source: str
    checked: bool


def table(comparisons: list[Comparison]) -> pd.DataFrame:
    """Comparisons as a table, with the ratio of computed over published."""
    frame = pd.DataFrame([asdict(of) for of in comparisons])
    return frame.assign(ratio=frame["computed"] / frame["published"])


def gemini() -> list[Comparison]:
    """A median prompt of Gemini: what follows from its energy by part.

    Its overhead, water and carbon were computed by its authors from factors of Google's fleet, as
    they are here, so all of this is circular: it holds the arithmetic and the boundaries.

    Returns:
        Energy of the facility and in all, water on site, market-based carbon [GeminiEnergy2025].
    """
    energies = _split("gemini-prompt-energy")
    joules = {part: row["value"] * SECONDS_PER_HOUR for part, row in energies.items()}
    site = catalog.site("wor", facility="google-fleet")
    servers = joules["accelerators"] + joules["host"] + joules["idle"]
    used = Energy(
        device=jnp.asarray(joules["accelerators"]),
        host=jnp.asarray(joules["host"]),
        facility=(site.pue - 1.0) * servers,
        idle=joules["idle"],
    )
    emitted = operational_carbon(used, site, "market")
    rows = (
        ("facility", energies["facility"], used.facility / SECONDS_PER_HOUR, "PUE"),
        ("energy", energies["total"], used.total / SECONDS_PER_HOUR, "PUE"),
        ("water", _split("gemini-prompt-water")["total"], 1e3 * water(used, site).on_site, "WUE"),
        (
            "electricity",
            _split("gemini-prompt-carbon")["electricity"],
            1e3 * emitted,
            "market-based intensity",
        ),
    )
    return [
        Comparison(
            case="Gemini, median prompt",
            part=part,
            published=float(row["value"]),
            computed=float(value),
            unit=str(row["unit"]),
            how=f"published energy by part and the fleet's {factor}",
            circular=True,
            source=str(row["source"]),
            checked=bool(row["checked"]),
        )
        for part, row, value, factor in rows
    ]


def bloom() -> list[Comparison]:
    """The training of BLOOM: energy in use, energy of servers that wait, and making the servers.

    Returns:
        Three parts [Luccioni2023].
    """
    run = _row("measured_training_carbon", "id", "bloom-176b")
    published = _split("bloom-training-carbon")
    seconds = run["device_hours"] * SECONDS_PER_HOUR
    per_joule = run["g_co2e_per_kwh"] / 1e6 / JOULES_PER_KWH  # tonnes
    accelerator = catalog.xpu(run["xpu"])
    efficiency = catalog.efficiency()
    zero = jnp.zeros(())
    waiting = device_power(accelerator, efficiency, zero, zero, zero)
    host = efficiency.host_power * accelerator.tdp
    each = _made("a100-bloom") + _made("hpe-apollo-6500-without-gpus") / 8
    years = catalog.row("embodied_products", "a100-bloom")["lifetime_years"]
    computed = {
        "dynamic": (
            seconds * accelerator.tdp * per_joule,
            "device-hours at rated power, as the authors did",
            True,
        ),
        "idle": (
            seconds * (waiting + host) * per_joule,
            "idle power of accelerators and power of hosts for the same hours",
            False,
        ),
        "making": (
            amortised(
                jnp.asarray(each),
                jnp.asarray(seconds),
                jnp.asarray(years * SECONDS_PER_YEAR),
                jnp.asarray(BLOOM_USED),
            )
            / 1000.0,
            f"the authors' footprints of parts over {years:g} years of {BLOOM_USED:.0%} use",
            True,
        ),
    }
    return [
        Comparison(
            case="BLOOM, training",
            part=part,
            published=float(published[part]["value"]),
            computed=float(value),
            unit="t CO2e",
            how=how,
            circular=circular,
            source=str(published[part]["source"]),
            checked=bool(published[part]["checked"]),
        )
        for part, (value, how, circular) in computed.items()
    ]


def devices() -> list[Comparison]:
    """Making accelerators: the recipe of one board against every other published footprint.

    Returns:
        One comparison a product that holds accelerators of the catalogue; products that add a
        server to them are left out.
    """
    products = catalog.table("embodied_products")
    kinds = products["kind"].isin(["board", "accelerator"])
    usable = products[kinds & products["xpu"].notna() & products["kg_co2e"].notna()]
    found = []
    for of in usable.to_dict("records"):
        each = manufacture(materials(of["xpu"]), recipe()).total
        found.append(
            Comparison(
                case=of["name"],
                part=of["boundary"],
                published=float(of["kg_co2e"]),
                computed=float(each * of["xpus_per_unit"]),
                unit="kg CO2e",
                how=f"recipe calibrated on {RECIPE_PRODUCT}",
                circular=of["id"] == RECIPE_PRODUCT,
                source=of["source"],
                checked=bool(of["checked"]),
            )
        )
    return found


def metered_training() -> list[Comparison]:
    """Energy of training runs whose power was metered, against the model of power.

    Hours are the published ones where there are any; otherwise they are predicted too, and `how`
    says so. What is counted (accelerators, servers, facility) is what the publication counts.

    Returns:
        One comparison a metered run of known size on accelerators of the catalogue.
    """
    frame = catalog.table("measured_training_carbon")
    metered = frame[(frame["metered"] == 1) & frame["energy_boundary"].isin(list(_HOST_COUNTED))]
    rows = training_rows.in_our_names(metered.assign(precision="bf16"))
    ready = (training_rows.refusals(rows, ("tokens_b",)) == "") & rows["energy_mwh"].notna()
    rows = rows[ready]
    trained = _trained(rows)
    hours = rows["device_hours"].fillna(trained["hours"]).to_numpy(float)
    power, rated = trained["power"].to_numpy(), trained["rated"].to_numpy()
    efficiency = catalog.efficiency()
    found = []
    for i, row in enumerate(rows.to_dict("records")):
        boundary = row["energy_boundary"]
        host = _HOST_COUNTED[boundary] * efficiency.host_power * rated[i]
        pue = row["pue"] if _FACILITY_COUNTED[boundary] else 1.0
        spent = energy_of(
            jnp.asarray(hours[i] * SECONDS_PER_HOUR),
            jnp.asarray(power[i]),
            host,
            eqx.tree_at(lambda site: site.pue, catalog.site("wor"), jnp.asarray(pue)),
        )
        published_hours = pd.notna(row["device_hours"])
        found.append(
            Comparison(
                case=row["label"],
                part=boundary,
                published=float(row["energy_mwh"]),
                computed=float(spent.total) / JOULES_PER_KWH / 1000.0,
                unit="MWh",
                how="published hours" if published_hours else "predicted hours",
                circular=False,
                source=row["source"],
                checked=bool(row["checked"]),
            )
        )
    return found


def training_energy(model: str, xpu: str, tokens: float, site: Site) -> Energy:
    """Energy of training a model of the catalogue, all that published runs took included.

    Args:
        model: id of the model.
        xpu: id of the accelerator that it is trained on.
        tokens: that it is trained on.
        site: where; its PUE.

    Returns:
        Joules by boundary.

    Raises:
        InputError: unknown model or accelerator.
    """
    plan = whole_runs.planned(model, xpu, tokens)
    efficiency = catalog.efficiency(catalog.system(xpu=xpu))
    return whole_runs.energy(plan, catalog.xpu(xpu), efficiency, site)


def _trained(rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted device-hours of runs, and average and rated power of one device [W]."""
    of = training_rows.setups(rows)
    step = training_rows.steps(of.jobs(catalog.efficiency()), of.layout)
    hours = predict_runs(rows)["device_hours"]
    columns = {"power": np.asarray(step.power), "rated": np.asarray(of.xpu.tdp)}
    return pd.DataFrame(columns, index=rows.index).assign(hours=hours)


def _row(name: str, column: str, key: str) -> pd.Series:
    frame = catalog.table(name)
    return frame[frame[column] == key].iloc[0]


def _split(case: str) -> dict[str, pd.Series]:
    """A published split, by part."""
    splits = catalog.table("carbon_splits")
    return {str(row["part"]): row for _, row in splits[splits["case"] == case].iterrows()}


def everything() -> list[Comparison]:
    """All of these comparisons."""
    return [*gemini(), *bloom(), *devices(), *metered_training()]


def _made(product: str) -> float:
    return float(catalog.row("embodied_products", product)["kg_co2e"])
