"""A scenario of the chapter on throughput: its records looked up, its answer, and its names."""

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
from llmecon.serving import OperatingPoint
from llmecon.specs import Deployment, Efficiency, LatencyTarget, Workload
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.systems import system_of
from llmecon.studies.throughput.model import (
    UNITS,
    Case,
    inputs_moved,
    ladder,
    numbers,
    point_of,
    served,
)
from llmecon.studies.throughput.scenario import Scenario
from llmecon.tables import catalog, feasibility
from llmecon.tables.efficiencies import System

WIDE, NARROW = "bf16", "fp8"
"""Precisions that are compared where a scenario names one of the two."""


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        system: by which its efficiencies are looked up.
        room: requests that the instance's memory holds at once.
    """

    scenario: Scenario
    case: Case
    system: System
    room: float

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def served(self) -> Interval:
        """Requests per second within the limits, over the draws of what the instance attains."""
        drawn = _served(self.case, catalog.efficiency_draws(self.system))
        return uncertainty.bounds(np.asarray(drawn))

    @property
    def values(self) -> dict[str, float]:
        """The headline numbers by name, in their units."""
        return dict(self.differentiated.values)

    @cached_property
    def point(self) -> OperatingPoint:
        """What the instance does with the requests in flight."""
        found: OperatingPoint = _point(self.case)
        return found

    @cached_property
    def ladder(self) -> np.ndarray:
        """Output tokens per second and device as one cost after the other is counted."""
        return np.asarray(_ladder(self.case))

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
            if UNITS[name] == "fraction" and "high" in ends:
                # To first order an interval knows nothing of where a share ends.
                ends["high"] = max(min(ends["high"], 1.0), value)
            if name == "served_per_s":
                # Near what a layout can't keep, a slope says little of how far it is away.
                ends = self.served.around(value)
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
        given = self.scenario
        flight = f"{words.count(given.batch, 'request')} in flight"
        wide, narrow = self.compared
        drafted = words.quantity(given.draft_tokens, "tokens")
        return {
            "tokens_per_s_per_xpu": f"written by each {self.xpu_name} in {self.servers}, "
            f"with {flight}",
            "tpot_s": f"for each token of an answer, with {flight}",
            "share_of_peak": "of the peak arithmetic rate is work of the model",
            "served_per_s": f"from {words.count(given.xpus, 'xPU')} within the limits on time",
            "critical_tokens": "from which on arithmetic, not memory, sets a product's pace",
            "cached_share": "of what a step reads is KV cache",
            "prompt_over_output": "as many tokens a second of a prompt as of one answer",
            "batching_gain": "as many tokens a second together as a single request gets",
            "weights_share": "of the weights are read in a step",
            "parallel_gain": f"as fast on {words.count(given.xpus, 'xPU')} as one could be",
            "narrowing_gain": f"as many requests in {narrow} as in {wide}",
            "drafting_gain": f"as fast with {drafted} drafted a step",
            "continuous_gain": "as many requests as if all waited for the longest",
        }

    @property
    def compared(self) -> tuple[str, str]:
        """The wider and the narrower precision that are compared."""
        return compared(self.scenario)


@interpreted
def _served(case: Case, efficiencies: Efficiency) -> Array:
    found: Array = jax.vmap(lambda efficiency: served(replace(case, efficiency=efficiency)))(
        efficiencies
    )
    return found


_ladder = interpreted(ladder)
_point = interpreted(point_of)


def compared(scenario: Scenario) -> tuple[str, str]:
    """The wider and the narrower precision that are compared: the scenario's own is one of them."""
    own = scenario.precision
    return (WIDE, NARROW) if own == WIDE else (WIDE, own)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, ready to be answered.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests or the model don't fit, the devices can't share it so, or memory
            doesn't hold so many requests at once.
    """
    feasibility.require_context(scenario.model, scenario.prompt_tokens, scenario.output_tokens)
    feasibility.require_memory(scenario.model, scenario.xpu, scenario.precision, scenario.xpus)
    system = system_of(scenario)
    made = case(scenario, system)
    room = float(serving.largest_batch(made.instance, made.requests))
    if room < 1.0:
        raise InputError(
            f"{scenario.model} in {scenario.precision} leaves no room for a request on "
            f"{scenario.xpus} x {scenario.xpu} with parallelism {scenario.parallelism}: use more "
            "xpus, or parallelism tensor"
        )
    if scenario.batch > room:
        raise InputError(
            f"batch {scenario.batch:g} is more than the {room:,.0f} requests that memory or the "
            f"scheduler of {scenario.xpus} x {scenario.xpu} holds at once: lower it, or use more "
            "xpus"
        )
    return Study(scenario, made, system, room)


def case(scenario: Scenario, system: System) -> Case:
    """The records that a scenario's ids stand for.

    Args:
        scenario: what is asked.
        system: by which efficiencies are looked up.

    Raises:
        InputError: the devices don't divide into groups that fast links join.
    """
    wide, narrow = compared(scenario)
    return Case(
        llm=catalog.llm(scenario.model),
        xpu=catalog.xpu(scenario.xpu),
        layout=layout(scenario),
        wide=specs.precision(wide),
        narrow=specs.precision(narrow),
        efficiency=catalog.efficiency(system),
        requests=requests(scenario),
        target=LatencyTarget(ttft=scenario.ttft_limit_s, tpot=scenario.tpot_limit_s),
        batch=scenario.batch,
        draft_tokens=scenario.draft_tokens,
        acceptance=scenario.acceptance,
        draft_cost=scenario.draft_cost,
    )


def requests(scenario: Scenario) -> Workload:
    """Lengths of a scenario's prompts and answers; requests come as a Poisson process."""
    return Workload(scenario.prompt_tokens, scenario.output_tokens, output_cv=scenario.output_cv)


def layout(scenario: Scenario, xpus: int = 0, parallelism: str = "", xpu: str = "") -> Deployment:
    """How an instance shares the model.

    Args:
        scenario: which names what isn't given.
        xpus: devices; the scenario's by default.
        parallelism: one of those that a scenario may name; its own by default.
        xpu: id; the scenario's by default.

    Raises:
        InputError: the devices don't divide into groups that fast links join.
    """
    precision = specs.precision(scenario.precision)
    device = catalog.xpu(xpu or scenario.xpu)
    split = serving.deployment_of(xpus or scenario.xpus, device, precision)
    kind = parallelism or scenario.parallelism
    if kind == "tensor":
        return split
    tensor = split.tensor if kind == "expert" else 1.0
    return Deployment(
        tensor=tensor, expert=split.tensor, pipeline=split.pipeline, precision=precision
    )
