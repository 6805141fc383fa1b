"""What the charts and tables of the chapter on carbon show, as frames."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.checks import footprints
from llmecon.costs import carbon, embodied
from llmecon.execution.interpreter import interpreted
from llmecon.physics.energy import Energy
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_MONTH
from llmecon.studies.carbon.model import GRAMS, Answer, Case, answer, inputs_moved
from llmecon.studies.carbon.study import Study
from llmecon.studies.surroundings import READER_HOURS, SERVER_HOLDS, building
from llmecon.tables import catalog, hardware_parts, hourly_grids

Scalar = Float[Array, "..."]

PARTS = {
    "device": "accelerators",
    "host": "hosts",
    "idle": "idle servers",
    "facility": "cooling and conversion",
    "making": "making the hardware",
    "building": "the building",
    "network": "the network",
    "training": "training",
    "reader": "the reader's device",
}
"""Parts of a footprint as a reader calls them."""

LEVELS = {
    "country": "countries",
    "world": "world",
    "us-subregion": "subregions of the United States",
    "us-state": "states",
    "bidding-zone": "bidding zones",
    "province": "provinces",
    "cloud-region": "cloud regions",
    "grid-zone": "grid zones",
    "source-factor": "sources",
}
"""What regions of a level are called together."""

FIRST = (
    "g_co2e_per_request",
    "g_co2e_electricity",
    "wh_per_request",
    "ml_water_per_request",
    "hardware_share",
    "training_share",
    "g_co2e_reader",
)
"""The headline numbers that the chapter begins with."""

WATER = ("ml_water_on_site", "ml_water_off_site")
"""The headline numbers of its section on water."""

_BLOOM = {
    "dynamic": "accelerators in use",
    "idle": "servers that wait",
    "making": "making the servers",
}
_GEMINI = {
    "accelerators": "accelerators at work",
    "host": "hosts at work",
    "idle": "servers that stand ready",
    "facility": "cooling and conversion",
}
_MADE_OF = {
    "logic": "chips",
    "memory": "memory",
    "thermal": "heat sinks",
    "rest": "board and assembly",
}
_NIGHT = 8  # hours of a day that work may wait for


@interpreted
def _answers(case: Case, values: Scalar, change: Callable[[Case, Scalar], Case]) -> Answer:
    found: Answer = jax.vmap(lambda value: answer(change(case, value)))(values)
    return found


def _with_load(case: Case, load: Scalar) -> Case:
    return replace(case, load=load)


def _with_intensity(case: Case, intensity: Scalar) -> Case:
    return replace(case, site=replace(case.site, carbon_intensity=intensity))


def parts(study: Study) -> pd.DataFrame:
    """The parts of an answer's footprint, the reader's device last.

    Returns:
        Columns part, name, grams, share (of all but the reader's device) and boundary.
    """
    frame = pd.DataFrame(
        [(part, name, study.grams[part], carbon.BOUNDARIES[part]) for part, name in PARTS.items()],
        columns=["part", "name", "grams", "boundary"],
    )
    return frame.assign(share=frame["grams"] / study.total)


def largest(study: Study) -> pd.DataFrame:
    """The parts but the reader's device, the largest first; those below 0.2% left out."""
    served = parts(study).query("part != 'reader' and share > 0.002")
    return served.sort_values("grams", ascending=False)


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    return {"study": study, "largest": largest(study)}


def intensities(study: Study) -> dict[str, float]:
    """What a kilowatt-hour counts under each way to count, g CO2e."""
    site = study.case.site
    return {
        basis: float(carbon.intensity(site, basis)) * JOULES_PER_KWH * GRAMS
        for basis in carbon.BASES
    }


@dataclass(frozen=True)
class Emptiness:
    """One instance that is never shared out, at any load.

    Attributes:
        lines: columns load (a share of the most within the limits), grams and part.
        waste: energy of an answer at the least load over that of a full instance.
        least: the least load, a share.
        full: electricity and hardware of an answer of a full instance, g CO2e.
    """

    lines: pd.DataFrame
    waste: float
    least: float
    full: float


def emptiness(study: Study) -> Emptiness:
    """What an answer emits on an instance that is more or less empty."""
    shares = np.geomspace(0.01, 1.0, 25)
    alone = replace(study.case, peak_to_mean=jnp.ones(()), spares=jnp.zeros(()), routing="spread")
    found = _answers(alone, jnp.asarray(shares) * study.answer.capacity, _with_load)
    emitted = found.footprint
    columns = {
        "electricity": emitted.electricity,
        "hardware and building": emitted.making + emitted.building,
    }
    lines = pd.concat(
        pd.DataFrame({"load": shares, "grams": GRAMS * np.asarray(values), "part": name})
        for name, values in columns.items()
    )
    energy = np.asarray(found.energy.total)
    return Emptiness(
        lines,
        waste=float(energy[0] / energy[-1]),
        least=float(shares[0]),
        full=GRAMS * float(sum(values[-1] for values in columns.values())),
    )


def computed(study: Study) -> float:
    """Electricity and hardware of an answer, g CO2e."""
    emitted = study.answer.footprint
    return GRAMS * float(emitted.electricity + emitted.making + emitted.building)


def share_cleaner(study: Study) -> float:
    """The share of the other grids whose electricity emits less; NaN where there are none."""
    own = study.scenario.grid
    return (
        hourly_grids.share_cleaner(own) if len(hourly_grids.comparable(own)) > 1 else float("nan")
    )


def grids(study: Study) -> pd.DataFrame:
    """The same answer on every grid that is counted as the scenario's, location-based.

    Returns:
        Columns id, name, grams and offered (whether the panel's menu has it), by grams.
    """
    own = study.scenario.grid
    found = catalog.table("grid").query("preferred == 1").set_index("id")
    found = found.loc[hourly_grids.comparable(own)].reset_index()
    here = replace(study.case, accounting="location")
    per_joule = found["g_co2e_per_kwh"].to_numpy() / GRAMS / JOULES_PER_KWH
    served = _answers(here, jnp.asarray(per_joule), _with_intensity).footprint.served
    found = found.assign(
        grams=GRAMS * np.asarray(served), offered=found["id"].isin(hourly_grids.offered(own))
    )
    return found[["id", "name", "grams", "offered"]].sort_values("grams")


def level(study: Study) -> str:
    """What the grids that the scenario's compares with are called together."""
    return LEVELS[catalog.row("grid", study.scenario.grid)["level"]]


def balance(study: Study) -> float:
    """Carbon intensity at which hardware weighs as much as electricity, g CO2e/kWh."""
    hardware = study.grams["making"] + study.grams["building"]
    return hardware / (float(study.answer.energy.total) / JOULES_PER_KWH)


def place_saves(study: Study, among: pd.DataFrame) -> float:
    """The share of the footprint that the cleanest grid would save.

    Args:
        study: whose answer.
        among: as `grids` returns them.
    """
    own = among.loc[among["id"] == study.scenario.grid, "grams"].iloc[0]
    return 1.0 - float(among["grams"].min()) / float(own)


def hours() -> pd.DataFrame:
    """Carbon intensity by hour of the day over its grid's mean: grid, region, hour, ratio."""
    names = catalog.table("grid").drop_duplicates("id").set_index("id")["name"]
    table = catalog.table("hourly_carbon")
    return table.assign(region=table["grid"].map(names))


def hourly_span() -> pd.Series:
    """The dirtiest hour over the cleanest, by region, the least first."""
    span = (
        hours().groupby("region")["ratio_to_mean"].agg(lambda ratios: ratios.max() / ratios.min())
    )
    return span.sort_values()


def waiting(study: Study) -> pd.DataFrame:
    """Carbon of a day's load against the same load spread evenly.

    Returns:
        Columns region, by_day (asked when people are awake, as busy at 15 h as the scenario's
        peak) and cleanest (all of it in the eight cleanest hours), as factors.
    """
    clock = np.arange(24)
    swing = (study.scenario.peak_to_mean - 1.0) / study.scenario.peak_to_mean
    human = jnp.asarray(1.0 + swing * np.cos((clock - 15.0) / 24.0 * 2.0 * np.pi))
    rows = []
    for grid, region in hours()[["grid", "region"]].drop_duplicates().itertuples(index=False):
        ratios = hardware_parts.hourly_ratios(grid)
        night = jnp.isin(clock, jnp.argsort(ratios)[:_NIGHT]).astype(float)
        factors = [float(carbon.daily_factor(load, ratios)) for load in (human, night)]
        rows.append((region, *factors))
    return pd.DataFrame(rows, columns=["region", "by_day", "cleanest"])


def accountings(study: Study) -> pd.DataFrame:
    """The same answer under each way to count electricity.

    Returns:
        Columns basis, kind, per_kwh [g CO2e], grams, and alike (whether it counts what the
        grid's mean does, so that the two compare).
    """
    site = study.case.site
    rows = []
    for basis, per_kwh in intensities(study).items():
        found = _footprint(replace(study.case, accounting=basis))
        kind = carbon.kind(site, basis)
        alike = kind.basis == site.kind.basis
        rows.append((basis, str(kind), per_kwh, GRAMS * float(found), alike))
    return pd.DataFrame(rows, columns=["basis", "kind", "per_kwh", "grams", "alike"])


@interpreted
def _footprint(case: Case) -> jax.Array:
    return answer(case).footprint.served


def made(study: Study) -> dict[str, float]:
    """What making one accelerator emits, by part, kg CO2e."""
    own = embodied.manufacture(
        hardware_parts.materials(study.scenario.xpu), hardware_parts.recipe()
    )
    return {_MADE_OF[part]: float(value) for part, value in vars(own).items()}


@dataclass(frozen=True)
class MadeElsewhere:
    """Computed against published footprints of making hardware.

    Attributes:
        tested: products whose figures the recipe doesn't rest on; columns label, computed,
            published and ratio.
        per_h100: published figures for one H100, kg CO2e.
    """

    tested: pd.DataFrame
    per_h100: pd.Series

    @cached_property
    def furthest(self) -> pd.Series:
        """The product whose computed figure falls short most."""
        return self.tested.sort_values("ratio").iloc[0]

    @cached_property
    def next_board(self) -> pd.Series:
        """The board of the generation after the recipe's."""
        return self.tested[self.tested["case"].str.contains("B200")].iloc[0]


def made_elsewhere() -> MadeElsewhere:
    """Computed against published footprints of making hardware."""
    found = footprints.table(footprints.devices())
    found["label"] = found["case"].str.replace(", 8 GPUs", "", regex=False)
    hopper = found[found["case"].str.startswith("NVIDIA H100") | found["circular"]]
    # The recipe's own product is a board of eight.
    each = hopper["published"].div(np.where(hopper["circular"], SERVER_HOLDS, 1.0))
    return MadeElsewhere(found[~found["circular"]], each)


@dataclass(frozen=True)
class Training:
    """Training, borne by all who ask the model.

    Attributes:
        lines: columns rate [requests/s of all], grams and part.
        even: rate at which training weighs as much as all else, requests/s.
        assumed: rate of the scenario, requests/s.
    """

    lines: pd.DataFrame
    even: float
    assumed: float


def training(study: Study) -> Training:
    """What training adds to an answer, by how often the model is asked."""
    case = study.case
    rates = np.geomspace(1e-2, 1e5, 29)
    life = study.scenario.model_life_months * SECONDS_PER_MONTH
    rest = study.total - study.grams["training"]
    asked = jnp.asarray(rates * life)
    shared = GRAMS * np.asarray(carbon.training_share(case.trained, asked, jnp.ones(())))
    lines = pd.concat(
        [
            pd.DataFrame({"rate": rates, "grams": shared, "part": "training"}),
            pd.DataFrame({"rate": rates, "grams": rest, "part": "all else"}),
        ]
    )
    return Training(
        lines,
        even=float(case.trained) * GRAMS / life / rest,
        assumed=float(jnp.maximum(case.model_load, case.load)),
    )


def gemini(study: Study) -> pd.DataFrame:
    """A prompt's electricity by boundary: Gemini's, and this service's when it is packed.

    Returns:
        Columns part, name, published [Wh], their_share and own_share; the total last.
    """
    splits = catalog.table("carbon_splits")
    theirs = splits[splits["case"] == "gemini-prompt-energy"].set_index("part")["value"]
    own = {part: float(energy) for part, energy in vars(_packed_energy(study)).items()}
    total = sum(own.values())
    of = {"accelerators": "device", "host": "host", "idle": "idle", "facility": "facility"}
    rows = [
        (part, name, theirs[part], theirs[part] / theirs["total"], own[of[part]] / total)
        for part, name in _GEMINI.items()
    ]
    return pd.DataFrame(
        rows, columns=["part", "name", "published", "their_share", "own_share"]
    ).set_index("part")


def _packed_energy(study: Study) -> Energy:
    """Energy of an answer when the fleet is packed and its site has the PUE of Google's fleet."""
    pue = catalog.site(study.scenario.grid, facility="google-fleet").pue
    case = replace(study.case, routing="packed", site=replace(study.case.site, pue=pue))
    found: Energy = _energy(case)
    return found


@interpreted
def _energy(case: Case) -> Energy:
    return answer(case).energy


def bloom() -> pd.DataFrame:
    """The training of BLOOM by part: name, published and computed [t CO2e], how, circular."""
    found = footprints.table(footprints.bloom())
    return found.assign(name=found["part"].map(_BLOOM))


def metered() -> pd.DataFrame:
    """Training runs whose power was metered: case, label, computed, published [MWh], ratio."""
    found = footprints.table(footprints.metered_training())
    predicted = np.where(found["how"] == "predicted hours", ", hours predicted", "")
    return found.assign(label=found["case"] + predicted)


def metered_apart(runs: pd.DataFrame) -> dict[str, object]:
    """Metered runs by what their accelerators' ratings mean.

    Args:
        runs: as `metered` returns them.

    Returns:
        old (runs on TPU v3), rating (of that chip in the table, W) and gpus (runs on GPUs).
    """
    return {
        "old": runs[runs["case"].str.startswith(("T5", "GShard"))],
        "rating": float(catalog.xpu("tpu-v3").tdp),
        "gpus": runs[runs["case"].str.startswith(("GPT", "OLMo"))],
    }


def products(study: Study) -> list[str]:
    """Rows of the table embodied_products that the footprint rests on."""
    device = hardware_parts.END_DEVICES[study.scenario.reader_device]
    return [study.scenario.server, hardware_parts.RECIPE_PRODUCT, device]


def compared_products() -> list[str]:
    """Rows of the table embodied_products that the recipe is compared with."""
    made = ("nvidia", "h100", "a100", "google")
    return [one for one in catalog.table("embodied_products")["id"] if one.startswith(made)]


def elasticities(study: Study) -> dict[str, float]:
    """By how many percent an answer's footprint changes with each input, on the fleet as bought."""
    moved = inputs_moved(study.differentiated.effects["g_co2e_per_request"])
    return {name: float(effect) for name, effect in moved.items()}


def sources(study: Study) -> pd.DataFrame:
    """Where the inputs come from: figure, value, unit, name, source, checked; assumptions last."""
    given = study.scenario
    grid, facility = catalog.row("grid", given.grid), catalog.row("facilities", given.facility)
    server = catalog.row("embodied_products", given.server)
    path = catalog.row("network_energy", given.network)
    device = catalog.row("network_energy", given.reader_device)
    recipe = catalog.row("embodied_products", hardware_parts.RECIPE_PRODUCT)
    per_kwh = f"{grid['g_co2e_per_kwh']:g} g CO₂e/kWh, {grid['name']}; {study.case.site.kind}"
    rows = [
        ("grid", per_kwh, grid),
        ("facility", f"PUE {float(study.case.site.pue):g}, {facility['name']}", facility),
        ("server", f"{server['kg_co2e']:,.0f} kg CO₂e, {server['name']}", server),
        ("network", f"{path['kwh_per_gb']:g} kWh/GB, {path['name']}", path),
        ("reader's device", f"{device['w']:g} W", device),
        ("accelerator's parts", recipe["name"], recipe),
    ]
    assumed = [
        ("the reader's device is used", f"{READER_HOURS:g} hours a day"),
        ("a server holds", f"{SERVER_HOLDS:g} accelerators"),
        ("building, per accelerator", f"{building():g} kg CO₂e, as of a TPU v6e"),
        ("a change in demand is met from", "gas plants"),
    ]
    found = [(figure, value, of["source"], bool(of["checked"])) for figure, value, of in rows]
    found += [(figure, value, "", False) for figure, value in assumed]
    return pd.DataFrame(found, columns=["figure", "value", "source", "checked"])
