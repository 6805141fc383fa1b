"""What one answer emits: one function of a case, all of whose ids are resolved into records.

The headline numbers, their intervals and elasticities, the live panel, sweeps and tests all call
`answer`. The fleet in it is bought for the most probable efficiencies and stays as bought: what is
uncertain, and what is differentiated, changes what its instances do and not how many there are.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import carbon, per_request
from llmecon.costs.carbon import EndDevice, Footprint, Water
from llmecon.numerics import whole
from llmecon.physics.energy import Energy
from llmecon.serving import Capacity, Service, experience
from llmecon.specs import (
    LLM,
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

Scalar = Float[Array, ""]

GRAMS = 1000.0  # in a kilogram
MILLILITRES = 1000.0  # in a litre


class Case(eqx.Module):
    """A service, its surroundings and its readers: all that an answer's footprint depends on.

    Attributes:
        llm: the model that is served.
        xpu: the accelerator that serves it.
        layout: of an instance.
        efficiency: what its kernels and servers attain.
        likely: what the buyer of the fleet took them to attain.
        requests: lengths of prompts and answers.
        target: limits on TTFT and TPOT.
        load: requests per second of the whole service, on average.
        peak_to_mean: busiest load over mean load.
        spares: instances that may fail without harm.
        site: where the fleet stands.
        making: a device and its share of the server, kg CO2e.
        building: a device's share of the data centre's construction, kg CO2e.
        lifetime: after which both are written off, s.
        sent: bytes that travel for one answer.
        network_energy: J per byte.
        reader: the reader's device.
        reader_intensity: of the electricity of the reader and the network, kg CO2e/J.
        pace: at which answers are read, tokens/s.
        trained: training of the model, kg CO2e.
        model_load: requests per second of all who use the model; at least this service's.
        model_life: until the model is replaced, s.
        routing: how instances share the load, one of `per_request.ROUTINGS`.
        accounting: whose electricity counts, one of `carbon.BASES`.
    """

    llm: LLM
    xpu: XPU
    layout: Deployment
    efficiency: Efficiency
    likely: Efficiency
    requests: Workload
    target: LatencyTarget
    site: Site
    reader: EndDevice
    load: Number = number()
    peak_to_mean: Number = number()
    spares: Number = number()
    making: Number = number()
    building: Number = number()
    lifetime: Number = number()
    sent: Number = number()
    network_energy: Number = number()
    reader_intensity: Number = number()
    pace: Number = number()
    trained: Number = number()
    model_load: Number = number()
    model_life: Number = number()
    routing: str = eqx.field(static=True, default="spread")
    accounting: str = eqx.field(static=True, default="location")

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.layout, self.efficiency)


class Answer(eqx.Module):
    """What one answer takes and emits.

    Attributes:
        feasible: 1 where an instance meets the limits on time, else 0.
        instances: that are bought, spares included.
        capacity: requests per second that one of them answers within the limits.
        energy: of the data centre, J.
        footprint: kg CO2e.
        water: litres.
        reading: for which the reader waits and reads, s.
    """

    feasible: Scalar
    instances: Scalar
    capacity: Scalar
    energy: Energy
    footprint: Footprint
    water: Water
    reading: Scalar


def answer(case: Case) -> Answer:
    """What one answer takes and emits.

    Args:
        case: the service, its surroundings and its readers.

    Returns:
        Energy, footprint and water of one request, over the requests that the fleet completes.
    """
    sized = _capacity(jax.lax.stop_gradient(replace(case, efficiency=case.likely)))
    needed = per_request.needed(sized, case.load, case.peak_to_mean, case.spares)
    instances = jax.lax.stop_gradient(whole(needed))
    shared, service = _dispatched(case, instances)
    ends = experience.response_time(service.ttft, service.point.tpot, case.requests.output_tokens)
    reading = jnp.maximum(ends, service.ttft + case.requests.output_tokens / case.pace)
    asked = per_request.request(
        shared,
        service.point,
        case.instance,
        case.site,
        surroundings(case),
        reading,
        case.accounting,
    )
    return Answer(
        feasible=sized.feasible,
        instances=instances,
        capacity=sized.rate,
        energy=asked.energy,
        footprint=asked.footprint,
        water=carbon.water(asked.energy, case.site),
        reading=reading,
    )


def surroundings(case: Case) -> per_request.Surroundings:
    """What an answer bears besides the electricity of the data centre that computes it."""
    return per_request.Surroundings(
        reader=case.reader,
        making=case.making,
        building=case.building,
        lifetime=case.lifetime,
        sent=case.sent,
        network_energy=case.network_energy,
        reader_intensity=case.reader_intensity,
        trained=case.trained,
        lifetime_requests=jnp.maximum(case.model_load, case.load) * case.model_life,
    )


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told."""
    return told(answer(case))


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told."""
    emitted, served = found.footprint, found.footprint.served
    return {
        "g_co2e_per_request": GRAMS * served,
        "g_co2e_electricity": GRAMS * emitted.electricity,
        "wh_per_request": found.energy.total / 3600.0,
        "ml_water_per_request": MILLILITRES * found.water.total,
        "hardware_share": (emitted.making + emitted.building) / served,
        "training_share": emitted.training / served,
        "g_co2e_reader": GRAMS * emitted.reader,
        "ml_water_on_site": MILLILITRES * found.water.on_site,
        "ml_water_off_site": MILLILITRES * found.water.off_site,
    }


UNITS = {
    "g_co2e_per_request": "g",
    "g_co2e_electricity": "g",
    "wh_per_request": "Wh",
    "ml_water_per_request": "ml",
    "hardware_share": "fraction",
    "training_share": "fraction",
    "g_co2e_reader": "g",
    "ml_water_on_site": "ml",
    "ml_water_off_site": "ml",
}
"""Units of the headline numbers."""


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input; several fields that move together are one input.
    """
    site = effects.site
    return {
        "requests": effects.load,
        "prompt length": effects.requests.prompt_tokens,
        "answer length": effects.requests.output_tokens,
        "carbon intensity": site.carbon_intensity + site.market_intensity + site.marginal_intensity,
        "PUE": site.pue,
        "rated power": effects.xpu.tdp,
        "memory bandwidth": effects.xpu.memory_bandwidth,
        "life of the hardware": effects.lifetime,
        "making the hardware": effects.making,
        "carbon of training": effects.trained,
        "life of the model": effects.model_life,
        "host power": effects.efficiency.host_power,
        "idle power": effects.efficiency.idle_power,
    }


def _capacity(case: Case) -> Capacity:
    return serving.capacity(case.instance, case.requests, case.target)


def _dispatched(case: Case, instances: Scalar) -> tuple[per_request.Fleet, Service]:
    """How instances share the mean load, and what an active one does."""

    def serve(rate: Scalar) -> Service:
        return serving.serve(case.instance, case.requests, rate)

    # Only a fleet that is packed asks how much an instance holds.
    full = _capacity(case) if case.routing == "packed" else None
    return per_request.dispatch(case.routing, case.load, instances, full, serve)
