"""What a training run and a service take: one function of a case of resolved records.

The headline numbers, their intervals and elasticities, the live panel and the table of all
accelerators call `answer`. How the run is laid out over devices and how an instance serves were
chosen when the case was made and stay: what is uncertain or differentiated changes how many
replicas finish in time and what an instance carries.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import per_request
from llmecon.costs.carbon import operational_carbon
from llmecon.evidence import whole_runs
from llmecon.numerics import of_all_rates, whole
from llmecon.physics import energy
from llmecon.physics.energy import Energy
from llmecon.serving import Capacity
from llmecon.specs import (
    JOULES_PER_KWH,
    LLM,
    SECONDS_PER_HOUR,
    SECONDS_PER_MONTH,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    LatencyTarget,
    Number,
    Site,
    Workload,
    number,
)
from llmecon.training import (
    Reliability,
    TrainingJob,
    TrainingLayout,
    TrainingRun,
    planning,
    training_step,
)
from llmecon.training.planning import TrainingPlan

Scalar = Float[Array, ""]

JOULES_PER_MWH = 1e3 * JOULES_PER_KWH
KILOGRAMS = 1e3  # in a tonne


class Case(eqx.Module):
    """A training run and a service on one accelerator: all that the answer depends on.

    Attributes:
        llm: the model that is trained and served.
        xpu: the accelerator.
        run: what is trained.
        layout: how the run is spread over devices; its number of replicas is not used.
        bare_layout: the same of the bare run.
        cluster: failures, and what whole runs take besides.
        likely: what training was planned to attain.
        training_efficiency: what it attains, on which its power depends.
        deployment: the layout of an instance that serves.
        efficiency: what its kernels and servers attain.
        requests: lengths of prompts and outputs, and how irregularly they arrive.
        target: limits on TTFT and TPOT.
        site: where all stands.
        deadline: wall-clock time allowed for training, s.
        slower: time that the run takes over what runs of its kind are expected to take.
        load: requests per second, on average.
        peak_to_mean: busiest load over mean load.
        spares: instances that may fail without harm.
        rent: of a device, USD/s; 0 where nobody publishes one.
    """

    llm: LLM
    xpu: XPU
    run: TrainingRun
    layout: TrainingLayout
    bare_layout: TrainingLayout
    cluster: Reliability
    likely: Efficiency
    training_efficiency: Efficiency
    deployment: Deployment
    efficiency: Efficiency
    requests: Workload
    target: LatencyTarget
    site: Site
    deadline: Number = number()
    load: Number = number()
    peak_to_mean: Number = number()
    spares: Number = number()
    rent: Number = number()
    slower: Number = number(default=1.0)

    @property
    def job(self) -> TrainingJob:
        """What is trained, as it is planned."""
        return TrainingJob(self.llm, self.xpu, self.run, self.likely)

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.deployment, self.efficiency)


class Training(eqx.Module):
    """What a training run takes.

    Attributes:
        plan: its layout with as many replicas as the deadline takes, in parts, and its time.
        xpus: devices of whole replicas.
        usd: rent of the device-hours.
        energy: of the run, J.
        carbon: of that electricity, kg CO2e.
    """

    plan: TrainingPlan
    xpus: Scalar
    usd: Scalar
    energy: Energy
    carbon: Scalar


class Service(eqx.Module):
    """What a service takes.

    Attributes:
        capacity: the most that an instance serves within the limits.
        instances: for the peak, spares included.
        xpus: devices of these.
        carrying: devices that carry the peak, in parts and without spares.
        usd_per_month: rent of the fleet.
        energy: per output token at full load, prompts included, J.
        carbon: of that electricity, kg CO2e.
    """

    capacity: Capacity
    instances: Scalar
    xpus: Scalar
    carrying: Scalar
    usd_per_month: Scalar
    energy: Energy
    carbon: Scalar


class Answer(eqx.Module):
    """What a case takes.

    Attributes:
        training: the run, if it goes as comparable published runs went.
        bare: the run if it were steps, checkpoints and failing devices alone.
        serving: the service.
    """

    training: Training
    bare: Training
    serving: Service


def answer(case: Case) -> Answer:
    """What a case takes.

    Args:
        case: a training run and a service on one accelerator.

    Returns:
        Devices, time, rent, energy and carbon of both. Where the run doesn't fit or is late its
        plan says so, and where no load meets the limits the capacity does; the rest has then no
        meaning.
    """
    # The bare run is there to compare with, and isn't differentiated.
    bare = jax.lax.stop_gradient(
        replace(case, layout=case.bare_layout, cluster=whole_runs.with_overhead(case.cluster, 1.0))
    )
    return Answer(training=_trained(case), bare=_trained(bare), serving=_served(case))


def _trained(case: Case) -> Training:
    planned = planning.plan_with_layout(
        case.job,
        case.layout,
        case.deadline,
        case.cluster,
    )
    attained = case.training_efficiency
    plan = replace(
        planned,
        seconds=case.slower * planned.seconds,
        device_seconds=case.slower * planned.device_seconds,
        step=training_step(TrainingJob(case.llm, case.xpu, case.run, attained), planned.layout),
    )
    used = whole_runs.energy(plan, case.xpu, attained, case.site)
    return Training(
        plan=plan,
        xpus=whole(plan.layout.data) * plan.layout.tensor * plan.layout.pipeline,
        usd=plan.device_seconds * case.rent,
        energy=used,
        carbon=operational_carbon(used, case.site),
    )


def _served(case: Case) -> Service:
    found = serving.capacity(case.instance, case.requests, case.target)
    rate = jnp.where(found.feasible > 0, found.rate, 1.0)
    instances = whole(per_request.needed(found, case.load, case.peak_to_mean, case.spares))
    devices = case.deployment.xpus
    xpus = instances * devices
    used = energy.energy_of(
        devices / (rate * case.requests.output_tokens),
        found.service.point.power,
        case.efficiency.host_power * case.xpu.tdp,
        case.site,
    )
    return Service(
        capacity=found,
        instances=instances,
        xpus=xpus,
        carrying=case.load * case.peak_to_mean / rate * devices,
        usd_per_month=xpus * case.rent * SECONDS_PER_MONTH,
        energy=used,
        carbon=operational_carbon(used, case.site),
    )


UNITS = {
    "training_xpus": "xPUs",
    "training_cost": "USD",
    "serving_xpus": "xPUs",
    "serving_cost": "USD per month",
    "bare_xpus": "xPUs",
    "bare_hours": "xPU-hours",
    "training_energy": "MWh",
    "training_carbon": "t CO₂e",
    "serving_energy_per_token": "J",
}
"""Units of the headline numbers, in the order in which they are told."""


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told.

    Args:
        found: the answer.

    Returns:
        By name; NaN where there is none, but for rents, which are 0 where no price is known.
    """
    training, bare, served = found.training, found.bare, found.serving
    in_time, in_memory = training.plan.feasible > 0, training.plan.fits > 0
    bare_in_time, within = bare.plan.feasible > 0, served.capacity.feasible > 0
    return {
        "training_xpus": _where(in_time, training.xpus),
        "training_cost": _where(in_time, training.usd),
        "serving_xpus": _where(within, served.xpus),
        "serving_cost": _where(within, served.usd_per_month),
        "bare_xpus": _where(bare_in_time, bare.xpus),
        "bare_hours": _where(bare_in_time, bare.plan.device_seconds / SECONDS_PER_HOUR),
        "training_energy": _where(in_memory, training.energy.total / JOULES_PER_MWH),
        "training_carbon": _where(in_memory, training.carbon / KILOGRAMS),
        "serving_energy_per_token": _where(within, served.energy.total),
    }


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case; see `told`."""
    return told(answer(case))


def smooth(case: Case) -> dict[str, Scalar]:
    """What stands for the headline numbers where it is asked how they answer to the inputs.

    Args:
        case: a training run and a service on one accelerator.

    Returns:
        By name of the headline number: the same, but with devices in parts of replicas and of
        instances, and of the fleet those alone that carry the peak. The bare run has no slopes.
    """
    found = answer(case)
    carrying = found.serving.carrying
    return told(found) | {
        "training_xpus": found.training.plan.layout.devices,
        "serving_xpus": carrying,
        "serving_cost": carrying * case.rent * SECONDS_PER_MONTH,
    }


def training_inputs(effects: Case) -> dict[str, Scalar]:
    """The inputs of a training run whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input; several fields that move together are one input.
    """
    xpu, likely, attained = effects.xpu, effects.likely, effects.training_efficiency
    return {
        "training tokens": effects.run.tokens,
        "tokens per step": effects.run.global_batch,
        "deadline": effects.deadline,
        "all arithmetic rates": of_all_rates(xpu),
        "memory bandwidth": xpu.memory_bandwidth,
        "memory size": xpu.memory,
        "link bandwidth": xpu.link_bandwidth,
        "network bandwidth": xpu.network_bandwidth,
        "efficiency of products": likely.training_compute + attained.training_compute,
        "memory passes": likely.training_traffic + attained.training_traffic,
        "time between failures": effects.cluster.device_mtbf,
        "time to write a checkpoint": effects.cluster.checkpoint,
        "time to restart": effects.cluster.restart,
    }


def serving_inputs(effects: Case) -> dict[str, Scalar]:
    """The inputs of a service whose elasticities a reader is shown; as `training_inputs`.

    Args:
        effects: elasticities in the structure of a case.
    """
    xpu = effects.xpu
    return {
        "prompt length": effects.requests.prompt_tokens,
        "output length": effects.requests.output_tokens,
        "irregularity of arrivals": effects.requests.interarrival_cv,
        "spread of output lengths": effects.requests.output_cv,
        "spread of prompt lengths": effects.requests.prompt_cv,
        "limit on TTFT": effects.target.ttft,
        "limit on TPOT": effects.target.tpot,
        "all arithmetic rates": of_all_rates(xpu),
        "memory bandwidth": xpu.memory_bandwidth,
        "memory size": xpu.memory,
        "link bandwidth": xpu.link_bandwidth,
        "efficiency of products": effects.efficiency.compute,
        "efficiency of memory": effects.efficiency.memory,
    }


def other_inputs(effects: Case) -> dict[str, Scalar]:
    """What besides moves rents, energy and carbon; as `training_inputs`.

    Args:
        effects: elasticities in the structure of a case.
    """
    return {
        "requests": effects.load,
        "rent of an xPU": effects.rent,
        "rated power": effects.xpu.tdp,
        "PUE": effects.site.pue,
        "carbon intensity": effects.site.carbon_intensity,
    }


def _where(there: Array, value: Scalar) -> Scalar:
    return jnp.where(there, value, jnp.nan)
