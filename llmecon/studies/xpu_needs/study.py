"""A scenario of the chapter on numbers of accelerators: looked up, planned and answered."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from llmecon import serving, training, words
from llmecon.evidence import uncertainty, whole_runs
from llmecon.evidence.uncertainty import Interval, Multiple
from llmecon.execution.interpreter import interpreted
from llmecon.specs import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    XPU,
    Deployment,
    Efficiency,
    LatencyTarget,
    Workload,
    precision,
)
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.systems import best_layouts, drawn_layouts, system_of
from llmecon.studies.xpu_needs.model import (
    UNITS,
    Answer,
    Case,
    answer,
    other_inputs,
    serving_inputs,
    smooth,
    told,
    training_inputs,
)
from llmecon.studies.xpu_needs.scenario import Scenario
from llmecon.tables import catalog, feasibility
from llmecon.training import Reliability, TrainingLayout, TrainingRun, planning

# Where a run that takes longer would take hardly any more devices, memory decides their number.
LEAST_EFFECT = 0.01


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        overhead: wall-clock of whole runs of this kind over that of bare ones.
    """

    scenario: Scenario
    case: Case
    overhead: Multiple

    @cached_property
    def _answered(self) -> tuple[Answer, dict[str, float]]:
        found, numbers = _answered(self.case)
        return found, {name: float(numbers[name]) for name in UNITS}

    @property
    def answer(self) -> Answer:
        """What training and serving take."""
        return self._answered[0]

    @cached_property
    def differentiated(self) -> Differentiated:
        """What stands for the headline numbers, with elasticities."""
        return differentiate(smooth, self.case)

    @cached_property
    def drawn(self) -> dict[str, Interval]:
        """The headline numbers over the draws of efficiencies.

        The layout of training is held; that of an instance is the best for each, unless given.
        """
        given = self.scenario
        serve, laid_out = drawn_layouts(self.serving, requests(given), target(given))
        if given.xpus_per_instance:
            laid_out = catalog.stack([self.case.deployment] * len(serve.memory))
        train = catalog.efficiency_draws(catalog.system(xpu=self.scenario.xpu))
        slower = self.away.draws(len(train.memory))
        found = _drawn(self.case, serve, laid_out, train, slower)
        return {name: uncertainty.bounds(np.asarray(values)) for name, values in found.items()}

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        found = {}
        for name, number in self._answered[1].items():
            missing = self._missing(name)
            value = None if missing else number
            ends = self._intervals[name].around(value) if name in self._intervals else {}
            found[name] = Quantity(
                name,
                value,
                UNITS[name],
                self._labels[name],
                missing or (words.count(number, "xPU") if UNITS[name] == "xPUs" else ""),
                **ends,
                # The bare run is there to compare with.
                elasticities={} if missing or "bare" in name else self.elasticities(name),
            )
        return found

    def elasticities(self, name: str) -> dict[str, float]:
        """By how many percent a headline number changes when an input grows by one percent.

        Args:
            name: the number's.

        Returns:
            By input; of a fleet that serves, without spares and in parts of instances.
        """
        effects = jax.tree.map(jnp.asarray, self.differentiated.effects[name])
        moved = serving_inputs(effects) if "serving" in name else training_inputs(effects)
        if not name.endswith("xpus"):
            moved = moved | other_inputs(effects)
        return {of: float(effect) for of, effect in moved.items()}

    @property
    def _intervals(self) -> dict[str, Interval]:
        """Of a run's devices and time by how far published runs differ, else over the draws."""
        found = {name: self.drawn[name] for name in UNITS if not name.startswith("bare")}
        found["training_cost"] = self.away.interval() * float(self.answer.training.usd)
        found["training_xpus"] = self.xpus_between
        if self.memory_decides:
            del found["training_xpus"]
        return found

    def _missing(self, name: str) -> str:
        """Why a headline number has no value; empty where it has one."""
        if name.startswith("serving"):
            why = "" if self.can_serve else "limits not met"
        else:
            # Of a run that isn't in time, energy isn't told either: the fastest fleet, which is
            # what is planned then, wastes most of itself.
            plan = (self.answer.bare if name.startswith("bare") else self.answer.training).plan
            late = "not in time" if self.fits else "does not fit"
            why = "" if float(plan.feasible) > 0 else late
        unknown = "" if self.priced or not name.endswith("cost") else "price unknown"
        return why or unknown

    @property
    def _labels(self) -> dict[str, str]:
        given, hours = self.scenario, words.number(self.device_hours)
        days = words.duration(given.deadline_days * SECONDS_PER_DAY)
        beside = f", where the run as comparable ones went takes {hours}" if self.can_train else ""
        return {
            "training_xpus": f"to train {self.model_name} in {days}, if it goes as comparable runs "
            "went",
            "training_cost": f"to rent them, {hours} xPU-hours"
            if self.can_train
            else "rent of the training run",
            "serving_xpus": "to serve "
            f"{words.quantity(given.requests_per_second, 'requests/s')} within the limits, from "
            f"{self.servers}",
            "serving_cost": "to rent the serving fleet",
            "bare_xpus": "for the bare run: steps, checkpoints and failing devices, with nothing "
            "else going wrong",
            "bare_hours": f"that the bare run takes{beside}",
            "training_energy": "electricity of the training run",
            "training_carbon": f"operational carbon of the run, {self.region}",
            "serving_energy_per_token": "electricity per output token, prompts included",
        }

    @property
    def instance(self) -> str:
        """The devices of an instance as a reader calls them."""
        return f"{float(self.case.deployment.xpus):,.0f} x {self.xpu_name}"

    @property
    def region(self) -> str:
        """The grid as a reader calls it."""
        return catalog.name("grid", self.scenario.grid)

    @property
    def fits(self) -> bool:
        """Whether the training run fits into the memory of any number of devices."""
        return float(self.answer.training.plan.fits) > 0

    @property
    def can_train(self) -> bool:
        """Whether the run fits and ends in time."""
        return float(self.answer.training.plan.feasible) > 0

    @property
    def can_serve(self) -> bool:
        """Whether an instance meets the limits."""
        return float(self.answer.serving.capacity.feasible) > 0

    @property
    def priced(self) -> bool:
        """Whether the rent of a device is known."""
        return float(self.case.rent) > 0

    @property
    def price(self) -> float:
        """Rent of a device, USD per hour; NaN where it isn't known."""
        return float(self.case.rent) * SECONDS_PER_HOUR if self.priced else math.nan

    @property
    def device_hours(self) -> float:
        """Of the training run, as comparable published runs went."""
        return float(self.answer.training.plan.device_seconds) / SECONDS_PER_HOUR

    @property
    def bare_hours(self) -> float:
        """Device-hours of the bare run."""
        return float(self.answer.bare.plan.device_seconds) / SECONDS_PER_HOUR

    @cached_property
    def published_hours(self) -> float | None:
        """Device-hours that training took whoever published the model, on this accelerator.

        For as many tokens as are asked for; None where nobody says, or where they don't compare:
        only a part of the weights is trained, or the bare run itself isn't in time.
        """
        if self.scenario.trainable_share < 1.0 or not float(self.answer.bare.plan.feasible) > 0:
            return None
        runs = catalog.table("measured_training_runs")
        runs = runs[(runs["model"] == self.scenario.model) & (runs["xpu"] == self.scenario.xpu)]
        hours = (runs["device_hours"] / runs["tokens_b"] / 1e9).dropna()
        return float(hours.mean()) * self.scenario.training_tokens if len(hours) else None

    def as_expected(self, hours: float) -> bool:
        """Whether such device-hours lie where nine in ten runs do, given the bare run.

        Args:
            hours: of a run on as many tokens.
        """
        between = self.overhead.interval()
        return between.low <= hours / self.bare_hours <= between.high

    @property
    def deadline(self) -> float:
        """Wall-clock time allowed for training, s."""
        return self.scenario.deadline_days * SECONDS_PER_DAY

    @property
    def planned(self) -> float:
        """Devices that train, in parts of replicas."""
        return float(self.answer.training.plan.layout.devices)

    @property
    def training_xpus(self) -> float:
        """Devices that train, of whole replicas."""
        return float(self.answer.training.xpus)

    @property
    def replicas(self) -> float:
        """Whole replicas that train."""
        layout = self.answer.training.plan.layout
        return self.training_xpus / float(layout.tensor * layout.pipeline)

    @property
    def peak(self) -> float:
        """Requests per second at the peak."""
        return self.scenario.requests_per_second * self.scenario.peak_to_mean

    @property
    def away(self) -> Multiple:
        """How far runs lie from what is expected of them, as a factor; the middle one is 1."""
        return Multiple(0.0, self.overhead.log_sd)

    @property
    def hours_between(self) -> Interval:
        """Device-hours of nine in ten such runs."""
        return self.away.interval() * self.device_hours

    @property
    def days_between(self) -> Interval:
        """Days that nine in ten such runs take on the devices planned."""
        return self.away.interval() * (float(self.answer.training.plan.seconds) / SECONDS_PER_DAY)

    @property
    def memory_decides(self) -> bool:
        """Whether memory decides how many devices train: a slower run takes no more, but longer."""
        effect = float(self.differentiated.effects["training_xpus"].deadline)
        return abs(effect) < LEAST_EFFECT

    @cached_property
    def xpus_between(self) -> Interval:
        """Devices that nine in ten such runs take to end in time, each laid out as suits it.

        The upper end is infinite where one run in twenty would be late on any number of devices.
        """
        ends = self.away.interval()
        slower = [ends.low, ends.high]
        layouts = training_layouts(
            self.scenario,
            [self.scenario.xpu] * len(slower),
            [self.overhead.median * times for times in slower],
        )
        found = _in_time(self.case, catalog.stack(layouts), jnp.asarray(slower))
        low, high = map(float, found)
        return Interval(low, high)

    @property
    def fewest_in_memory(self) -> float:
        """Devices whose memory the run's weights, gradients and optimizer states fill."""
        of = self.case
        return float(_fewest_in_memory(of.job))


@interpreted
def _answered(case: Case) -> tuple[Answer, dict[str, Array]]:
    found = answer(case)
    return found, told(found)


@interpreted
def _in_time(case: Case, layouts: TrainingLayout, slower: Array) -> Array:
    def devices(layout: TrainingLayout, slower: Array) -> Array:
        return whole_runs.devices_in_time(
            case.job,
            layout,
            case.deadline,
            case.cluster,
            slower,
        )

    found: Array = jax.vmap(devices)(layouts, slower)
    return found


@interpreted
def _drawn(
    case: Case, serve: Efficiency, laid_out: Deployment, train: Efficiency, slower: Array
) -> dict[str, Array]:
    def numbers(
        efficiency: Efficiency, deployment: Deployment, attained: Efficiency, slower: Array
    ) -> dict[str, Array]:
        drawn = replace(case, efficiency=efficiency, deployment=deployment)
        return told(answer(replace(drawn, training_efficiency=attained, slower=slower)))

    found: dict[str, Array] = jax.vmap(numbers)(serve, laid_out, train, slower)
    return found


_fewest_in_memory = interpreted(training.fewest_devices_in_memory)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, and choose how it trains and serves.

    Args:
        scenario: what is asked.

    Raises:
        InputError: requests exceed the model's context, an instance can't hold the weights, or its
            devices don't divide into equal groups.
    """
    given = scenario
    feasibility.require_context(given.model, given.prompt_tokens, given.output_tokens)
    feasibility.require_memory(given.model, given.xpu, given.precision, given.xpus_per_instance)
    if given.xpus_per_instance:
        device, weights = catalog.xpu(given.xpu), precision(given.precision)
        deployment = serving.deployment_of(given.xpus_per_instance, device, weights)
    else:
        ((deployment, _),) = best_layouts([system_of(given)], requests(given), target(given))
    overhead = whole_runs.overhead(given.model, given.xpu)
    layout, bare = training_layouts(given, [given.xpu] * 2, [overhead.median, 1.0])
    found = case(given, given.xpu, layout, deployment, overhead)
    return Study(scenario, replace(found, bare_layout=bare), overhead)


def case(
    scenario: Scenario,
    xpu: str,
    layout: TrainingLayout,
    deployment: Deployment,
    overhead: Multiple,
) -> Case:
    """The records that a scenario's ids stand for, on any accelerator.

    Args:
        scenario: what is asked.
        xpu: id of the accelerator; the rent that a scenario gives is that of its own.
        layout: how the run is spread over devices, the bare run too.
        deployment: the layout of an instance.
        overhead: wall-clock of whole runs over that of bare ones.
    """
    attained = catalog.efficiency(catalog.system(xpu=xpu))
    return Case(
        llm=catalog.llm(scenario.model),
        xpu=catalog.xpu(xpu),
        run=run_of(scenario),
        layout=layout,
        bare_layout=layout,
        cluster=whole_runs.with_overhead(cluster(scenario), overhead.median),
        likely=attained,
        training_efficiency=attained,
        deployment=deployment,
        efficiency=catalog.efficiency(system_of(scenario, xpu=xpu)),
        requests=requests(scenario),
        target=target(scenario),
        site=catalog.site(scenario.grid, pue=scenario.pue),
        deadline=scenario.deadline_days * SECONDS_PER_DAY,
        load=scenario.requests_per_second,
        peak_to_mean=scenario.peak_to_mean,
        spares=scenario.spare_instances,
        rent=(rent(scenario, xpu) or 0.0) / SECONDS_PER_HOUR,
    )


def rent(scenario: Scenario, xpu: str) -> float | None:
    """What renting an accelerator costs: what the scenario gives, or the catalogue's price.

    Args:
        scenario: which may give the rent of its own accelerator.
        xpu: id of the accelerator.

    Returns:
        USD per device-hour; None where nobody publishes one.
    """
    if xpu == scenario.xpu and scenario.usd_per_xpu_hour:
        return scenario.usd_per_xpu_hour
    price = catalog.rental_price(xpu)
    return price.usd if price else None


def run_of(scenario: Scenario, model: str = "") -> TrainingRun:
    """The training run of a model, whose context may be shorter than the sequences asked for.

    Args:
        scenario: what is asked.
        model: id; the scenario's by default.
    """
    return whole_runs.run_of(
        model or scenario.model,
        scenario.training_tokens,
        scenario.sequence_tokens,
        scenario.global_batch_tokens,
        scenario.trainable_share,
    )


def cluster(scenario: Scenario) -> Reliability:
    """Failures alone; what whole runs take besides depends on the model and the accelerator."""
    return Reliability(
        scenario.device_mtbf_hours * SECONDS_PER_HOUR, scenario.checkpoint_s, scenario.restart_s
    )


def requests(scenario: Scenario) -> Workload:
    """Lengths of a scenario's requests, and how irregularly they arrive."""
    return Workload(
        scenario.prompt_tokens,
        scenario.output_tokens,
        prompt_cv=scenario.prompt_cv,
        output_cv=scenario.output_cv,
        interarrival_cv=scenario.interarrival_cv,
    )


def target(scenario: Scenario) -> LatencyTarget:
    """A scenario's limits on time, of which 99 requests in 100 must meet that on TTFT."""
    return LatencyTarget(scenario.ttft_limit_s, scenario.tpot_limit_s)


def training_layouts(
    scenario: Scenario, xpus: Sequence[str], overheads: Sequence[float]
) -> list[TrainingLayout]:
    """How a scenario's run is spread so that the deadline takes the fewest devices.

    Args:
        scenario: what is asked.
        xpus: ids of accelerators.
        overheads: wall-clock of whole runs over that of bare ones, one an accelerator.

    Returns:
        One layout each: where no number of devices is in time the fastest, and where none fits
        the one nearest to fitting.
    """
    failures = cluster(scenario)
    jobs = training.TrainingJob(
        catalog.llm(scenario.model),
        catalog.xpus(xpus),
        run_of(scenario),
        catalog.stack(catalog.efficiency(catalog.system(xpu=xpu)) for xpu in xpus),
    )
    found = _layouts(
        jobs,
        jnp.asarray(scenario.deadline_days * SECONDS_PER_DAY),
        catalog.stack(whole_runs.with_overhead(failures, times) for times in overheads),
    )
    return [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in range(len(xpus))]


@interpreted
def _layouts(jobs: training.TrainingJob, deadline: Array, clusters: Reliability) -> TrainingLayout:
    """The layout by a deadline of one run on several accelerators."""

    def layout(xpu: XPU, efficiency: Efficiency, cluster: Reliability) -> TrainingLayout:
        job = replace(jobs, xpu=xpu, efficiency=efficiency)
        return planning.plan_for_deadline(job, deadline, cluster).layout

    found: TrainingLayout = jax.vmap(layout)(jobs.xpu, jobs.efficiency, clusters)
    return found
