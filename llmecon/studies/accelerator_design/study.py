"""A scenario of the chapter on the accelerator that would suit: the best chips, searched for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import silicon, specs, training
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.silicon import Chip, Silicon, chip_jobs, design, doubts, real_chips
from llmecon.silicon.chip_jobs import Job
from llmecon.silicon.design import Best
from llmecon.silicon.doubts import Searched
from llmecon.studies.accelerator_design.model import (
    JOBS,
    MILLION,
    THOUSAND,
    TRAINING_TOKENS,
    Case,
    Layouts,
    inputs_moved,
    numbers,
)
from llmecon.studies.accelerator_design.scenario import Scenario
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.tables import catalog, feasibility

DRAWS = 64
"""Sets of constants that might be true."""

SPLIT = 8.0
"""Devices that a layer, or the experts, are spread over before the best number is searched."""

_LATE = 1.05  # times the limit on time


@dataclass(frozen=True)
class Study(Names):
    """The chips that would suit each job.

    Attributes:
        scenario: whose model, precision and requests.
        llm: the model.
        prices: what chips are taken to cost.
        drawn: what they might cost.
        attainable: what their kernels attain.
        jobs: by name, on instances of several sizes.
    """

    scenario: Scenario
    llm: specs.LLM
    prices: Silicon
    drawn: Silicon
    attainable: specs.Efficiency
    jobs: Mapping[str, Job]

    @cached_property
    def found(self) -> dict[str, Searched]:
        """The best chip for each job, and for every draw; searched when first asked for.

        What a given chip costs is known without it.
        """
        return {
            name: doubts.searched(job, self.prices, self.drawn, self.attainable)
            for name, job in self.jobs.items()
        }

    @cached_property
    def chip(self) -> Chip:
        """What the real accelerator offers."""
        return silicon.chip_of(catalog.xpu(self.scenario.xpu))

    @cached_property
    def built(self) -> dict[str, tuple[Job, Best]]:
        """Each job on the layout that suits the real chip, and what tokens cost there."""
        return {
            name: laid_out(self.chip, job, self.prices, self.attainable)
            for name, job in self.jobs.items()
        }

    @cached_property
    def able(self) -> tuple[str, ...]:
        """Jobs that the real chip does within their limits."""
        done = {name: bool(np.isfinite(of.usd_per_token)) for name, (_, of) in self.built.items()}
        return tuple(name for name in JOBS if done[name])

    @cached_property
    def case(self) -> Case:
        """All that the headline numbers depend on."""
        given = self.scenario
        decode, prefill, trains = (self.found[name] for name in JOBS)
        return Case(
            llm=self.llm,
            silicon=self.prices,
            efficiency=self.attainable,
            chip=self.chip,
            suited=_layouts(*(of.job for of in (decode, prefill, trains))),
            built=_layouts(*(self.built[name][0] for name in JOBS)),
            near=(decode.best, prefill.best, trains.best),
            context=mean_context(given),
            prompt=given.prompt_tokens,
            tpot=given.tpot_limit_s,
            ttft=given.ttft_limit_s,
            sequence=_sequence(given, self.llm),
            batch=given.training_batch_tokens,
            able=self.able,
        )

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def doubt(self) -> dict[str, dict[str, Interval]]:
        """Where 90% of the draws lie, by job and outcome.

        The chip is searched anew for each draw: constants differ by too much for its slope to tell.
        """
        return {name: doubts.intervals(of) for name, of in self.found.items()}

    @cached_property
    def doubt_over_best(self) -> dict[str, Interval]:
        """Where 90% of the draws lie of what tokens cost on the real chip over the best one.

        Draws in which the real chip is late or too small are left out.
        """
        found = {}
        for name in self.able:
            real = np.asarray(_costs(self.chip, self.jobs[name], self.drawn, self.attainable))
            ratio = real / np.asarray(self.found[name].drawn["usd_per_token"])
            found[name] = uncertainty.bounds(ratio[np.isfinite(ratio)])
        return found

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        found = {}
        for name, value in self.differentiated.values.items():
            job, _, what = name.partition("_")
            moved = inputs_moved(self.differentiated.effects[name])
            found[name] = Quantity(
                name,
                value,
                {"bytes_per_kflop": "bytes", "usd_per_mtok": "USD", "over_best": "times"}[what],
                self._label(job, what),
                **self._interval(job, what).around(value),
                elasticities={of: float(effect) for of, effect in moved.items()},
            )
        return found

    def _interval(self, job: str, what: str) -> Interval:
        if what == "over_best":
            return self.doubt_over_best[job]
        if what == "usd_per_mtok":
            return self.doubt[job]["usd_per_token"] * MILLION
        return self.doubt[job]["bytes_per_flop"] * THOUSAND

    def _label(self, job: str, what: str) -> str:
        doing = {
            "decode": "writing answers (decode)",
            "prefill": "reading prompts (prefill)",
            "training": "training",
        }[job]
        if what == "bytes_per_kflop":
            return f"of memory traffic per 1,000 FLOP would suit {doing}"
        if what == "usd_per_mtok":
            return f"per million tokens on the chip that suits {doing}, at cost of ownership"
        return (
            f"as dear is a token on {self.xpu_name} as on the chip that suits {doing}, were both "
            "built alike"
        )

    @cached_property
    def stopped(self) -> dict[str, tuple[str, ...]]:
        """What keeps the best chip of each job from being cheaper still."""
        return {
            name: design.binding(of.job, of.best, self.prices) for name, of in self.found.items()
        }

    def name(self, xpu: str) -> str:
        """An accelerator as a reader calls it."""
        return catalog.name("xpus", xpu)

    @property
    def late(self) -> list[str]:
        """Jobs whose limit on time no chip keeps."""
        return [name for name in ("decode", "prefill") if is_late(self.found[name])]

    def hungry(self, name: str) -> float:
        """Bytes that the best chip for a job reads for a thousand FLOP."""
        return self.differentiated.values[f"{name}_bytes_per_kflop"]

    @cached_property
    def ranked(self) -> list[str]:
        """The jobs, the hungriest for bandwidth first."""
        return sorted(JOBS, key=self.hungry, reverse=True)

    def blurred(self, one: str, other: str) -> bool:
        """Whether the intervals of two jobs' bytes per FLOP overlap, the hungrier first."""
        ratio = "bytes_per_flop"
        return self.doubt[one][ratio].low <= self.doubt[other][ratio].high

    @property
    def apart(self) -> bool:
        """Whether all intervals lie apart."""
        return not any(self.blurred(one, other) for one, other in pairwise(self.ranked))

    @property
    def slowest(self) -> float:
        """The longest time in which one of the best chips reads its memory once, s."""
        return max(float(of.best.reading_time) for of in self.found.values())

    @property
    def single(self) -> list[str]:
        """Jobs for which one chip on its own is best."""
        return [name for name in ("decode", "prefill") if "link" in self.stopped[name]]


def is_late(found: Searched) -> bool:
    """Whether the best chip exceeds the limit on the time of a pass, which none keeps then."""
    return float(found.best.demand.seconds) > _LATE * float(found.job.limit)  # type: ignore[union-attr]


def resolve(scenario: Scenario) -> Study:
    """Look up a scenario's model, what chips cost, and the jobs that they are made for.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests don't fit the model's context, or devices can't be split evenly.
    """
    feasibility.require_context(scenario.model, scenario.prompt_tokens, scenario.output_tokens)
    if scenario.training_devices % max(real_chips.SIZES):
        raise InputError(
            f"training_devices {scenario.training_devices} can't be split into groups of "
            f"{max(real_chips.SIZES):g}: give a multiple of that"
        )
    llm = catalog.llm(scenario.model)
    prices = silicon.silicon(scenario.process, scenario.memory)
    drawn = doubts.draws(DRAWS, scenario.process, scenario.memory)
    attainable = catalog.efficiency()
    spread = spread_over(llm, scenario.precision)
    run = training.TrainingRun(
        TRAINING_TOKENS, _sequence(scenario, llm), scenario.training_batch_tokens
    )
    layout = training.TrainingLayout(
        tensor=SPLIT,
        pipeline=1.0,
        data=scenario.training_devices / SPLIT,
        shard_weights=1.0,
    )
    jobs = {
        "decode": decoding(scenario, llm, mean_context(scenario)),
        "prefill": chip_jobs.prefill(llm, spread, scenario.prompt_tokens, scenario.ttft_limit_s),
        "training": chip_jobs.Training(llm, run, layout),
    }
    sized = {name: real_chips.widths(job) for name, job in jobs.items()}
    return Study(scenario, llm, prices, drawn, attainable, sized)


def mean_context(given: Scenario) -> float:
    """Tokens that a request holds on average while it is answered."""
    return given.prompt_tokens + given.output_tokens / 2.0


def spread_over(llm: specs.LLM, weights: str) -> specs.Deployment:
    """How an instance shares a model: experts on different devices if there are any, else layers.

    Args:
        llm: the model.
        weights: their precision.
    """
    split = {"expert": SPLIT} if float(llm.experts) > 1.0 else {"tensor": SPLIT}
    return specs.Deployment(precision=specs.precision(weights), **split)


def decoding(given: Scenario, llm: specs.LLM, context: float) -> Any:
    """Writing answers as a scenario asks for them.

    Args:
        given: with precision and limit on TPOT.
        llm: the model.
        context: tokens that a request holds.
    """
    return chip_jobs.decode(llm, spread_over(llm, given.precision), context, given.tpot_limit_s)


def _sequence(given: Scenario, llm: specs.LLM) -> float:
    return min(given.training_sequence_tokens, float(llm.context))


def _layouts(decode: Any, prefill: Any, trains: Any) -> Layouts:
    return Layouts(decode.deployment, prefill.deployment, trains.layout)


laid_out = interpreted(real_chips.laid_out)


@interpreted
def _costs(
    chip: Chip, jobs: Job, drawn: Silicon, efficiency: specs.Efficiency
) -> Float[Array, " draws"]:
    """What a token costs on a chip for every set of constants, USD."""

    def one(constants: Silicon) -> Float[Array, ""]:
        return jnp.asarray(real_chips.laid_out(chip, jobs, constants, efficiency)[1].usd_per_token)

    found: Float[Array, " draws"] = jax.vmap(one)(drawn)
    return found
