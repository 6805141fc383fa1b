"""A scenario of the chapter on tokenomics: looked up, answered, and what its numbers are called."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from llmecon import serving, specs, words
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.physics import roofline
from llmecon.serving import Capacity
from llmecon.serving.experience import Reader
from llmecon.specs import (
    SECONDS_PER_HOUR,
    Deployment,
    Efficiency,
    Instance,
    LatencyTarget,
    Workload,
)
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.systems import Asked, best_layouts, best_services, drawn_layouts, system_of
from llmecon.studies.tokenomics import apis, hardware
from llmecon.studies.tokenomics.apis import Market, Rival
from llmecon.studies.tokenomics.hardware import Hours, Purchase
from llmecon.studies.tokenomics.model import (
    CALLING,
    MILLION,
    OWNING,
    RENTING,
    UNITS,
    Answer,
    Case,
    answer,
    inputs_moved,
    numbers,
    told,
)
from llmecon.studies.tokenomics.scenario import Scenario
from llmecon.tables import catalog, feasibility
from llmecon.tables.efficiencies import System

SPEEDS = np.geomspace(5.0, 400.0, 14)
"""Speeds of one user that frontiers are drawn at, tokens/s."""

_NO_INTERVAL = ("usd_per_mtok_api",)  # a price, taken as exact


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        system: by which its efficiencies are looked up.
        hours: what accelerators cost by the hour.
        bought: what buying the scenario's takes; None where it can't be bought.
        market: what hosted models cost.
        rival: the API that the service is compared with.
        efficiencies: the most probable, then every set that measurements allow.
        layouts: that suits each of these.
        answers: with each of these, in its layout.
    """

    scenario: Scenario
    case: Case
    system: System
    hours: Hours
    bought: Purchase | None
    market: Market
    rival: Rival
    efficiencies: Efficiency
    layouts: Deployment
    answers: Answer

    @cached_property
    def answer(self) -> Answer:
        """What the service takes and costs, with the most probable efficiencies."""
        return _first(self.answers)

    @cached_property
    def costs(self) -> dict[str, float]:
        """Of a request, USD, by the ways that there are to pay for it, the cheapest first."""
        return _ways(self.answer, self.hours)

    @property
    def cheapest(self) -> str:
        """The cheapest way to pay."""
        return next(iter(self.costs))

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The headline numbers, and `xpus` of the fleet, one for every set of efficiencies.

        NaN where no load of the instance meets the limits.
        """
        found = told(self.answers, self.case) | {"xpus": self.answers.devices}
        return {name: self._over_draws(values) for name, values in found.items()}

    def _over_draws(self, values: Array) -> np.ndarray:
        """A field of `answers` for every set of efficiencies; NaN where nothing is feasible."""
        feasible = np.asarray(self.answers.full.feasible) > 0
        return np.where(feasible, np.asarray(values), np.nan)[1:]

    @cached_property
    def sure(self) -> dict[str, Interval]:
        """Where the numbers of `drawn` lie with 90%."""
        return {name: uncertainty.bounds(values) for name, values in self.drawn.items()}

    @cached_property
    def stays_cheapest(self) -> float:
        """In what share of the draws the cheapest way stays the cheapest.

        Where nothing meets the limits, the API does.
        """
        bills = [
            np.asarray(cost)[1:] if way == CALLING else self._over_draws(cost)
            for way, cost in ((way, self.answers.costs[way]) for way in self.costs)
        ]
        cheapest = np.nanargmin(np.stack(bills), axis=0)
        return float((cheapest == 0).mean())  # ways stand in the order of what they cost

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        labels, found = self.labels, {}
        for name, value in told(self.answer, self.case).items():
            finite = math.isfinite(value)
            ends = {} if name in _NO_INTERVAL else self.sure[name].around(float(value))
            moved = inputs_moved(self.differentiated.effects[name])
            found[name] = Quantity(
                name,
                float(value) if finite else None,
                UNITS[name],
                labels[name],
                text="" if finite else "Never",
                **ends,
                elasticities={of: float(effect) for of, effect in moved.items()},
            )
        even = found["break_even_requests_per_day"]
        if even.value is not None:
            found[even.name] = replace(even, text=f"{words.number(even.value)} a day")
        return found

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each headline number is, in a few words."""
        way, found = self.case.way, self.answer
        devices = words.count(float(found.devices), "xPU")
        ever = math.isfinite(float(found.break_even[way]))
        ttft = float(found.service.ttft)
        return {
            "usd_per_mtok": f"per million tokens, {way} {devices} in {self.servers} for this load",
            "usd_per_mtok_api": f"per million tokens of the same mix from {self.rival.name}",
            "break_even_requests_per_day": f"requests, above which {way} beats that API"
            if ever
            else f"does {way} beat that API, at any volume",
            "output_over_input_cost": "times as much for an output token as for a prompt token",
            "answer_time_s": f"to the last of {self.answer_length}; "
            f"the first comes after {words.duration(ttft)}",
            "speed_tokens_per_s": "as each user sees them at the mean load",
            "quality_of_experience": "quality of experience for someone who reads "
            f"{words.number(float(self.case.reader.speed))} tokens/s",
            "g_co2e_per_mtok": f"of CO₂e per million tokens, electricity of {self.grid_name}",
            "usd_per_mtok_at_scale": "per million tokens, "
            f"{'rented' if self.hours.rentable else 'owned'}, at scale",
        }

    @property
    def answer_length(self) -> str:
        """The length of an answer in words."""
        tokens = float(self.case.requests.output_tokens)
        return f"{words.number(tokens, 3)} {'token' if tokens == 1 else 'tokens'}"

    @property
    def usd_per_hour(self) -> float:
        """Of one device, rented."""
        return self.hours.usd[self.scenario.xpu]

    @property
    def tokens_per_second(self) -> float:
        """Prompts and answers of the whole service, on average."""
        requests = self.case.requests
        tokens = float(requests.prompt_tokens + requests.output_tokens)
        return tokens * self.scenario.requests_per_second

    @property
    def usd_per_mtok(self) -> dict[str, float]:
        """What a million tokens cost, by the ways that there are, the cheapest first."""
        load = self.scenario.requests_per_second
        return {
            way: cost * load / self.tokens_per_second * MILLION for way, cost in self.costs.items()
        }

    @property
    def fleet_ways(self) -> list[str]:
        """The ways to run a fleet that there are: renting, owning or both."""
        return [way for way in (RENTING, OWNING) if way in self.costs]

    @property
    def draw(self) -> float:
        """Of the fleet at the meter, W."""
        return float(self.answer.energy.total) * self.scenario.requests_per_second


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, and answer it.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests or the model don't fit, no load meets the limits on time, the
            accelerator has neither rent nor price, or the API sells no chat.
    """
    asked = requests(scenario)
    feasibility.require_context(
        scenario.model, float(asked.prompt_tokens), float(asked.output_tokens)
    )
    feasibility.require_memory(scenario.model, scenario.xpu, scenario.precision)
    system = system_of(scenario)
    efficiency = catalog.efficiency(system)
    place = hardware.site(scenario.grid)
    host_power = float(efficiency.host_power * catalog.xpu(scenario.xpu).tdp)
    bought = hardware.purchase(scenario.xpu, host_power)
    hours = hardware.hours(scenario, bought, host_power, place)
    market = apis.market(scenario, asked)
    rival = apis.rival(scenario, market)
    ((layout, full),) = best_layouts([system], asked, target(scenario))
    if not full.feasible > 0:
        raise InputError(_too_slow(scenario, efficiency, layout, full))
    case = Case(
        llm=catalog.llm(scenario.model),
        xpu=catalog.xpu(scenario.xpu),
        layout=layout,
        efficiency=efficiency,
        requests=asked,
        target=target(scenario),
        site=place,
        reader=reader(scenario),
        api=apis.price_list(rival.row),
        owned=None if bought is None else hardware.ownership(bought),
        load=scenario.requests_per_second,
        peak_to_mean=scenario.peak_to_mean,
        spares=scenario.spare_instances,
        rent=hours.usd[scenario.xpu] / SECONDS_PER_HOUR,
        rated_power=0.0 if bought is None else bought.rated_power,
    )
    likely = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (efficiency, layout))
    drawn = drawn_layouts(system, asked, target(scenario))
    efficiencies, layouts = jax.tree.map(lambda *of: jnp.concatenate(of), likely, drawn)
    answers = _answers(case, efficiencies, layouts)
    way = next(way for way in _ways(_first(answers), hours) if way != CALLING)
    case = replace(case, way=way)
    return Study(
        scenario, case, system, hours, bought, market, rival, efficiencies, layouts, answers
    )


def requests(scenario: Scenario) -> Workload:
    """What is asked: the workload, with the lengths that were given."""
    published = catalog.workload(scenario.workload)
    return replace(
        published,
        prompt_tokens=scenario.prompt_tokens or published.prompt_tokens,
        output_tokens=scenario.output_tokens or published.output_tokens,
    )


def target(scenario: Scenario) -> LatencyTarget:
    """A scenario's limits on time."""
    return LatencyTarget(ttft=scenario.ttft_limit_s, tpot=scenario.tpot_limit_s)


def reader(scenario: Scenario) -> Reader:
    """What the reader of an answer expects."""
    flow = catalog.row("latency_targets", "nielsen-flow")
    pace = catalog.row("reading_speeds", scenario.reader)
    return Reader(ttft=flow["ttft_s"], speed=pace["tokens_per_s"])


@interpreted
def _answers(case: Case, efficiencies: Efficiency, layouts: Deployment) -> Answer:
    found: Answer = jax.vmap(
        lambda efficiency, layout: answer(replace(case, efficiency=efficiency, layout=layout))
    )(efficiencies, layouts)
    return found


def _first(answers: Answer) -> Answer:
    """That of the most probable efficiencies."""
    found: Answer = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), answers)
    return found


def _ways(found: Answer, hours: Hours) -> dict[str, float]:
    """What a request costs each way that there is, the cheapest first; the first named if equal."""
    order = [way for way in (RENTING, OWNING, CALLING) if way in found.costs]
    there = [way for way in order if way != RENTING or hours.rentable]
    costs = {way: float(found.costs[way]) for way in there}
    return {way: costs[way] for way in sorted(costs, key=lambda way: costs[way])}


def _too_slow(
    scenario: Scenario, efficiency: Efficiency, layout: Deployment, full: Capacity
) -> str:
    """Why no load meets the limits, and what would help."""
    llm, xpu, asked = catalog.llm(scenario.model), catalog.xpu(scenario.xpu), requests(scenario)
    devices = f"{float(layout.xpus):,.0f} {scenario.xpu}"
    room = float(serving.largest_batch(Instance(llm, xpu, layout, efficiency), asked))
    if room < 1.0:
        tokens = float(asked.prompt_tokens + asked.output_tokens)
        precision = specs.precision(scenario.precision)
        needed = math.ceil(float(roofline.devices_for_weights(llm, xpu, precision, efficiency)))
        return (
            f"{scenario.model} in {scenario.precision} with a request of {tokens:,.0f} tokens does "
            f"not fit in {devices}, the largest layout considered; its weights alone need "
            f"{needed:,}: choose a smaller model, an xpu with more memory, or fewer bits"
        )
    problem = (
        f"{scenario.model} in {scenario.precision} on {scenario.xpu} can't meet ttft_limit_s "
        f"{scenario.ttft_limit_s:g} and tpot_limit_s {scenario.tpot_limit_s:g}"
    )
    system = system_of(scenario)
    _, found = best_services(
        [Asked(system, asked, replace(target(scenario), tpot=1.0 / speed)) for speed in SPEEDS]
    )
    in_time = np.asarray(found.service.point.tpot)[np.asarray(found.feasible) > 0]
    if not len(in_time):
        unloaded = full.service
        return (
            f"{problem}: {devices} without load take about {float(unloaded.ttft_quantile):.2g} s "
            f"to the first token for 99 requests in 100, and {float(unloaded.point.tpot):.2g} s "
            "for each further one; allow more, shorten the prompt, or choose a faster xpu"
        )
    return (
        f"{problem}: within that ttft_limit_s a token takes at least about {in_time.min():.2g} s; "
        "raise tpot_limit_s or choose a faster xpu"
    )
