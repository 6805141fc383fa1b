"""A scenario of the chapter on carbon: its records looked up, its answer, and what it is called."""

from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import pandas as pd

from llmecon import words
from llmecon.checks import footprints
from llmecon.costs import carbon
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.execution.interpreter import interpreted
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_MONTH,
    SECONDS_PER_YEAR,
    Deployment,
    GridKind,
    LatencyTarget,
    Workload,
)
from llmecon.studies import surroundings
from llmecon.studies.carbon.model import (
    GRAMS,
    UNITS,
    Answer,
    Case,
    answer,
    inputs_moved,
    numbers,
)
from llmecon.studies.carbon.scenario import Scenario
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.surroundings import READER_HOURS, SERVER_HOLDS, building
from llmecon.studies.systems import best_layouts, system_of
from llmecon.tables import catalog, feasibility, hardware_parts
from llmecon.tables.efficiencies import System


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        system: by which its efficiencies are looked up.
    """

    scenario: Scenario
    case: Case
    system: System

    @cached_property
    def answer(self) -> Answer:
        """What one answer takes and emits."""
        found: Answer = _answer(self.case)
        return found

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        spread = uncertainty.spread(self.system)
        multiples = {
            name: jnp.asarray(sd) for name, sd in uncertainty.multiples_sd(self.system).items()
        }
        labels = self.labels
        found = {}
        for name, value in self.differentiated.values.items():
            ends = self.differentiated.interval(name, spread, multiples).around(value)
            moved = inputs_moved(self.differentiated.effects[name])
            found[name] = Quantity(
                name,
                value,
                UNITS[name],
                labels[name],
                **ends,
                elasticities={of: float(effect) for of, effect in moved.items()},
            )
        return found

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each headline number is, in a few words."""
        given, water, site = self.scenario, self.answer.water, self.case.site
        plants = float(water.off_site) > float(water.on_site)
        return {
            "g_co2e_per_request": f"of CO₂e for one answer of {self.model_name} from "
            f"{self.servers}, up to the reader's own device",
            "g_co2e_electricity": f"of it from the data centre's electricity, {self.grid_name}, "
            f"{given.accounting}-based: {self.kind}",
            "wh_per_request": "of electricity at the data centre's meter",
            "ml_water_per_request": "of water, most of it in "
            + ("power plants" if plants else "the data centre's cooling"),
            "hardware_share": "of the whole is making hardware and building the data centre",
            "training_share": "is the training of the model, shared by all who use it "
            f"for {words.count(given.model_life_months, 'month')}",
            "g_co2e_reader": f"more for the {given.reader_device} on which it is read",
            "ml_water_on_site": "per answer for cooling, at "
            f"{words.number(float(site.water_on_site) * JOULES_PER_KWH)} litres per kWh of the "
            "servers",
            "ml_water_off_site": "per answer in power plants, at "
            f"{words.number(float(site.water_off_site) * JOULES_PER_KWH)} litres per kWh",
        }

    @property
    def trainer_name(self) -> str:
        """The accelerator that trained the model, as a reader calls it."""
        return catalog.name("xpus", self.scenario.trained_on)

    @property
    def training_grid_name(self) -> str:
        """The grid that fed the training, as a reader calls it."""
        return catalog.name("grid", self.scenario.training_grid)

    @property
    def server_name(self) -> str:
        """The server around the accelerators as a reader calls it."""
        return catalog.name("embodied_products", self.scenario.server)

    @property
    def kind(self) -> GridKind:
        """What a kilowatt-hour of the service counts."""
        return carbon.kind(self.case.site, self.scenario.accounting)

    @property
    def other_kinds(self) -> dict[str, GridKind]:
        """Parts of the sum whose electricity is counted in another way, and how."""
        counted = {
            "network and reader": catalog.kind_of(self.scenario.reader_grid),
            "the training": catalog.kind_of(self.scenario.training_grid),
        }
        return {what: kind for what, kind in counted.items() if kind.basis != self.kind.basis}

    @property
    def draw(self) -> float:
        """At the data centre's meter, W."""
        return float(self.answer.energy.total) * self.scenario.requests_per_second

    @property
    def yearly(self) -> float:
        """Answers in a year."""
        return self.scenario.requests_per_second * SECONDS_PER_YEAR

    @property
    def grams(self) -> dict[str, float]:
        """The parts of the footprint, g CO2e."""
        parts = vars(self.answer.footprint).items()
        return {part: GRAMS * float(value) for part, value in parts}

    @property
    def total(self) -> float:
        """The footprint up to the reader's own device, g CO2e."""
        return GRAMS * float(self.answer.footprint.served)

    @property
    def fullness(self) -> float:
        """The mean load over the most that the fleet could answer."""
        most = float(self.answer.instances) * float(self.answer.capacity)
        return self.scenario.requests_per_second / most


_answer = interpreted(answer)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, ready to be answered.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests or the model don't fit, no load meets the limits on time, or a row
            that was chosen publishes no figure.
    """
    feasibility.require_context(scenario.model, scenario.prompt_tokens, scenario.output_tokens)
    feasibility.require_memory(scenario.model, scenario.xpu, scenario.precision)
    system = system_of(scenario)
    ((layout, full),) = best_layouts([system], requests(scenario), target(scenario))
    if not full.feasible > 0:
        raise InputError(
            f"{scenario.model} in {scenario.precision} on {scenario.xpu} can't meet ttft_limit_s "
            f"{scenario.ttft_limit_s:g} and tpot_limit_s {scenario.tpot_limit_s:g}: allow more "
            "time, shorten the prompt, or choose a faster xpu"
        )
    return Study(scenario, case(scenario, layout), system)


def case(scenario: Scenario, layout: Deployment) -> Case:
    """The records that a scenario's ids stand for.

    Args:
        scenario: what is asked.
        layout: of an instance.

    Raises:
        InputError: a row that was chosen publishes no figure.
    """
    efficiency = catalog.efficiency(system_of(scenario))
    per_gb = _published("network_energy", scenario.network, "kwh_per_gb", "energy per byte")
    reading = catalog.row("reading_speeds", "silent-nonfiction")
    return Case(
        llm=catalog.llm(scenario.model),
        xpu=catalog.xpu(scenario.xpu),
        layout=layout,
        efficiency=efficiency,
        likely=efficiency,
        requests=requests(scenario),
        target=target(scenario),
        load=scenario.requests_per_second,
        peak_to_mean=scenario.peak_to_mean,
        spares=scenario.spare_instances,
        site=catalog.site(scenario.grid, facility=scenario.facility),
        making=making(scenario.xpu, scenario.server),
        building=building(),
        lifetime=scenario.lifetime_years * SECONDS_PER_YEAR,
        sent=scenario.answer_kilobytes * 1000.0,
        network_energy=per_gb * JOULES_PER_KWH / 1e9,
        reader=hardware_parts.end_device(scenario.reader_device, READER_HOURS),
        reader_intensity=catalog.site(scenario.reader_grid).carbon_intensity,
        pace=reading["tokens_per_s"],
        trained=trained(scenario, scenario.model),
        model_load=scenario.model_requests_per_second,
        model_life=scenario.model_life_months * SECONDS_PER_MONTH,
        routing=scenario.routing,
        accounting=scenario.accounting,
    )


def requests(scenario: Scenario) -> Workload:
    """Lengths of a scenario's prompts and answers."""
    return Workload(
        scenario.prompt_tokens,
        scenario.output_tokens,
        prompt_cv=scenario.prompt_cv,
        output_cv=scenario.output_cv,
        interarrival_cv=scenario.interarrival_cv,
    )


def target(scenario: Scenario) -> LatencyTarget:
    """A scenario's limits on time."""
    return LatencyTarget(ttft=scenario.ttft_limit_s, tpot=scenario.tpot_limit_s)


def making(xpu: str, server: str) -> float:
    """Making an accelerator and its share of the server around it, kg CO2e.

    Args:
        xpu: id of the accelerator.
        server: id of the server, in the table of published products.

    Raises:
        InputError: nobody publishes what making the server emits.
    """
    whole = _published("embodied_products", server, "kg_co2e", "carbon of its making", "server")
    return surroundings.making(xpu, whole / SERVER_HOLDS)


def trained(scenario: Scenario, model: str) -> float:
    """What training a model emitted, kg CO2e; 0 for no tokens.

    Args:
        scenario: with the accelerator, the grid and the tokens of the training, which took a data
            centre like that of the service and counts as the mean of its grid.
        model: id.
    """
    if not scenario.training_tokens:
        return 0.0
    site = catalog.site(scenario.training_grid, facility=scenario.facility)
    drawn = footprints.training_energy(model, scenario.trained_on, scenario.training_tokens, site)
    return float(carbon.operational_carbon(drawn, site))


def _published(table: str, row: str, column: str, what: str, parameter: str = "network") -> float:
    """A figure of a row that a reader chose; refused where it is empty."""
    value = catalog.row(table, row)[column]
    if pd.isna(value):
        raise InputError(
            f"{parameter}: {row} has no published {what}; choose another row of data/{table}.csv"
        )
    return float(value)
