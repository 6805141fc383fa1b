"""The records that a scenario of the chapter on hybrid futures stands for."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from llmecon import serving
from llmecon.costs.carbon import EndDevice
from llmecon.errors import InputError
from llmecon.evidence import server_levels
from llmecon.execution.interpreter import interpreted
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_HOUR,
    SECONDS_PER_YEAR,
    Deployment,
    Instance,
    Precision,
    Site,
    Workload,
    precision,
)
from llmecon.studies.hybrid_futures.model import Case, Shared
from llmecon.studies.hybrid_futures.routers import Router
from llmecon.studies.hybrid_futures.scenario import Scenario
from llmecon.studies.surroundings import READER_HOURS, SERVER_HOLDS, building, making
from llmecon.tables import catalog, feasibility, hardware_parts
from llmecon.tables.efficiencies import System
from llmecon.tiers import own_machine
from llmecon.tiers.hybrid import Policy

# What no table holds; the chapter names each as an assumption.
LIFETIME = 5.0 * SECONDS_PER_YEAR  # until shared machines are written off
SPARE_ROOM = 1.5  # answers that fit into an instance's memory over those usually in flight
EDGE_PUE = 1.1  # of a box without a cooling plant
ANSWER_BYTES = 50e3  # that travel for an answer, page and all
SMALL = "int4"  # weights on the reader's device

EDGE_PATHS = ("lan-edge",)
_SERVER = "server-p5-without-gpus"
_BOX = "workstation-median"
_SIZES = (1, 2, 4, 8, 16, 32)  # devices of an instance
_READ_ON = {"phone": "smartphone", "laptop": "laptop"}


_largest_batch = interpreted(serving.largest_batch)


def models_of(scenario: Scenario) -> tuple[str, str, str]:
    """Ids of the three models, from near to far."""
    return scenario.near_model, scenario.edge_model, scenario.cloud_model


def cloud_paths(scenario: Scenario) -> tuple[str, str]:
    """Ids of the network paths between the reader and the data centre."""
    return scenario.access, scenario.backbone


def require_room(scenario: Scenario) -> None:
    """Refuse models that can't take the requests, or that no instance holds.

    Raises:
        InputError: requests exceed a model's context, or weights the memory of shared machines.
    """
    for model in models_of(scenario):
        feasibility.require_context(model, scenario.prompt_tokens, scenario.output_tokens)
    feasibility.require_memory(scenario.edge_model, scenario.edge_xpu, scenario.precision)
    feasibility.require_memory(scenario.cloud_model, scenario.cloud_xpu, scenario.precision)


def scores_of(scenario: Scenario) -> catalog.Scores:
    """Published qualities of the three models in one setting: others don't compare.

    Raises:
        InputError: there is no such setting, or quality doesn't rise with distance.
    """
    published = catalog.common_scores(models_of(scenario))
    near, edge, cloud = (published.shares[model] for model in models_of(scenario))
    if not near <= edge <= cloud or near == cloud:
        raise InputError(
            f"near_model, edge_model, cloud_model: their MMLU scores ({published.setting}) must "
            f"rise, but are {near:.3g}, {edge:.3g}, {cloud:.3g}; choose a stronger model further "
            "away"
        )
    return published


def case_of(scenario: Scenario, scores: catalog.Scores, router: Router) -> Case:
    """The records that a scenario's ids stand for, with drafting left open by the policy.

    Args:
        scenario: what is asked.
        scores: of its models.
        router: that decides.

    Raises:
        InputError: an accelerator without a price, or an instance without room.
    """
    reading = catalog.row("reading_speeds", "silent-nonfiction")
    return Case(
        requests=Workload(scenario.prompt_tokens, scenario.output_tokens),
        near=catalog.llm(scenario.near_model),
        machine=own_machine.machine(scenario.device),
        precision=precision(SMALL),
        reader=reader_of(scenario.device),
        home=home_of(scenario, scenario.reader_grid),
        edge=_edge(scenario, scores),
        cloud=_cloud(scenario, scores),
        there=catalog.site(scenario.cloud_grid, facility=scenario.facility),
        policy=Policy(0.0, 0.0),
        near_quality=scores.shares[scenario.near_model],
        in_a_row=scenario.in_a_row,
        pace=reading["tokens_per_s"],
        edge_pue=EDGE_PUE,
        lifetime=LIFETIME,
        sent=ANSWER_BYTES,
        acceptance=scenario.acceptance,
        skill=router.skill,
        overlap=router.overlap,
        drafting=True,
    )


def edge_system(scenario: Scenario) -> System:
    """By which the efficiencies of the box nearby are looked up."""
    of = catalog.system(scenario.edge_model, scenario.edge_xpu, None, scenario.precision)
    return server_levels.at_level(of, scenario)


def cloud_system(scenario: Scenario) -> System:
    """By which the efficiencies of the data centre are looked up."""
    of = catalog.system(scenario.cloud_model, scenario.cloud_xpu, None, scenario.precision)
    return server_levels.at_level(of, scenario)


def home_of(scenario: Scenario, grid: str) -> Site:
    """Where the reader draws electricity.

    Args:
        scenario: with its price.
        grid: id.
    """
    return catalog.site(grid, usd_per_kwh=scenario.reader_usd_per_kwh)


def kind_of(device: str) -> str:
    """The kind of a reader's device, such as phone or laptop."""
    return str(catalog.row("xpus", device)["kind"])


def reader_of(device: str) -> EndDevice:
    """What the answer is read on: the device that computes, where people read on such."""
    return hardware_parts.end_device(_READ_ON.get(kind_of(device), "laptop"), READER_HOURS)


def box() -> float:
    """Making a box nearby without its accelerator, kg CO2e."""
    return float(catalog.row("embodied_products", _BOX)["kg_co2e"])


def box_row() -> Mapping[str, Any]:
    """The published product that the box nearby is taken to be."""
    return catalog.row("embodied_products", _BOX)


def _edge(scenario: Scenario, scores: catalog.Scores) -> Shared:
    return _shared(
        edge_system(scenario),
        scenario,
        scores,
        "edge_at_once",
        box(),
        0.0,
        EDGE_PATHS,
    )


def _cloud(scenario: Scenario, scores: catalog.Scores) -> Shared:
    server = float(catalog.row("embodied_products", _SERVER)["kg_co2e"]) / SERVER_HOLDS
    return _shared(
        cloud_system(scenario),
        scenario,
        scores,
        "cloud_at_once",
        server,
        building(),
        cloud_paths(scenario),
    )


def _shared(
    system: System,
    scenario: Scenario,
    scores: catalog.Scores,
    parameter: str,
    around: float,
    built: float,
    paths: tuple[str, ...],
) -> Shared:
    at_once: float = getattr(scenario, parameter)
    layout = _layout(system, scenario, at_once, parameter)
    rows = [catalog.row("network_paths", path) for path in paths]
    price = catalog.rental_price(system.xpu)
    if price is None:
        raise InputError(f"no rental price is known of {system.xpu}; choose another shared xpu")
    return Shared(
        llm=catalog.llm(system.model),
        xpu=catalog.xpu(system.xpu),
        layout=layout,
        efficiency=catalog.efficiency(system),
        quality=scores.shares[system.model],
        at_once=at_once,
        making=making(system.xpu, around),
        building=built,
        usd_per_second=price.usd / SECONDS_PER_HOUR,
        round_trip=sum(_middle(row, "round_trip_{}_s") for row in rows),
        network_energy=sum(_middle(row, "kwh_per_gb_{}") for row in rows) * JOULES_PER_KWH / 1e9,
    )


def _layout(system: System, scenario: Scenario, at_once: float, parameter: str) -> Deployment:
    """The fewest devices that hold the weights and, with room to spare, so many answers at once."""
    llm, sheet = catalog.llm(system.model), catalog.xpu(system.xpu)
    requests = Workload(scenario.prompt_tokens, scenario.output_tokens)
    weights: Precision = precision(scenario.precision)
    for devices in _SIZES:
        layout = serving.deployment_of(devices, sheet, weights)
        room = _largest_batch(Instance(llm, sheet, layout, catalog.efficiency()), requests)
        if room >= max(SPARE_ROOM * at_once, 1.0):
            return layout
    raise InputError(
        f"{parameter} {at_once:g}: an instance of {system.model} on {system.xpu} has no room for "
        "so many answers at once; ask for fewer or choose an xpu with more memory"
    )


def _middle(row: Mapping[str, Any], column: str) -> float:
    """The middle of a published range, on a scale of factors; 0 where nothing is published."""
    low, high = (row[column.format(end)] for end in ("low", "high"))
    return 0.0 if pd.isna(low) else math.sqrt(low * high)
