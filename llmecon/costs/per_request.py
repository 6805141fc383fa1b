"""A fleet that answers requests all day: its energy, footprint and water per request."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.costs import economics
from llmecon.costs.carbon import (
    EndDevice,
    Footprint,
    footprint,
    network_carbon,
    reader_carbon,
    training_share,
)
from llmecon.costs.embodied import amortised
from llmecon.errors import InputError
from llmecon.physics.energy import Energy, device_power, energy_of
from llmecon.serving import Capacity, OperatingPoint, Service
from llmecon.specs import Instance, Number, Site, number

Scalar = Float[Array, "..."]


class Fleet(eqx.Module):
    """Instances that answer a steady load.

    Attributes:
        rate: requests asked of all, per second; what exceeds `answered` waits.
        active: instances that share the load.
        waiting: further instances that stand ready without work.
    """

    rate: Number = number()
    active: Number = number()
    waiting: Number = number(default=0.0)


ROUTINGS = ("spread", "packed")
"""How instances share a load: all of them evenly, or as few as it takes, the rest standing by."""


class Surroundings(eqx.Module):
    """What a request bears besides the electricity of the data centre.

    Attributes:
        reader: the reader's device.
        making: a device and its share of the server, kg CO2e.
        building: a device's share of the data centre's construction, kg CO2e.
        lifetime: after which both are written off, s.
        sent: bytes that travel for one request.
        network_energy: J per byte.
        reader_intensity: of the electricity of the reader and the network, kg CO2e/J.
        trained: training of the model, kg CO2e.
        lifetime_requests: that the model answers before it is replaced.
    """

    reader: EndDevice
    making: Number = number()
    building: Number = number()
    lifetime: Number = number()
    sent: Number = number()
    network_energy: Number = number()
    reader_intensity: Number = number()
    trained: Number = number()
    lifetime_requests: Number = number()


class Request(NamedTuple):
    """What one request takes.

    Attributes:
        energy: of the data centre, J.
        footprint: kg CO2e.
    """

    energy: Energy
    footprint: Footprint


def needed(full: Capacity, load: Scalar, peak_to_mean: Scalar, spares: Scalar) -> Scalar:
    """Instances that carry the busiest load of a service with some in reserve, in parts.

    Args:
        full: an instance at the most that its limits on latency allow.
        load: requests per second of all, on average.
        peak_to_mean: busiest load over mean load.
        spares: instances that may fail without harm.

    Returns:
        Instances, spares included; `numerics.whole` rounds them up. Where an instance keeps the
        limits at no load, a number without meaning.
    """
    holds = jnp.where(full.feasible > 0, full.rate, 1.0)
    return economics.instances(load * peak_to_mean, holds, spares)


def dispatch(
    routing: str,
    load: Scalar,
    instances: Scalar,
    full: Capacity | None,
    serve: Callable[[Scalar], Service],
) -> tuple[Fleet, Service]:
    """Which instances answer some load, and what one of these does.

    Args:
        routing: spread (each has its part of the load) or packed (as few as possible are full).
        load: requests per second of all.
        instances: that there are.
        full: an instance at the most that its limits on latency allow; only a packed fleet asks it.
        serve: the service of an instance that receives so many requests per second.

    Returns:
        The fleet, and the service of an active instance.

    Raises:
        InputError: no such routing.
    """
    if routing not in ROUTINGS:
        raise InputError(f"routing: {routing!r} is not known; use one of {', '.join(ROUTINGS)}")
    if routing == "spread":
        return Fleet(load, instances), serve(load / instances)
    assert full is not None, "a packed fleet is as full as it may be"
    active = jnp.minimum(load / full.rate, instances)
    return Fleet(load, active, instances - active), full.service


def answered(fleet: Fleet, point: OperatingPoint) -> Scalar:
    """Requests that a fleet completes, whatever is asked of it.

    Args:
        fleet: how many instances are asked how much.
        point: what an active instance does.

    Returns:
        Requests per second: those that are asked, or those that the active instances complete if
        these are fewer.
    """
    completed = fleet.active * point.rate
    # Rounding of a root search leaves it a hair beside what is asked; that is no overload.
    return jnp.where(fleet.rate > completed * (1.0 + 1e-6), completed, fleet.rate)


def request_energy(
    fleet: Fleet,
    point: OperatingPoint,
    instance: Instance,
    site: Site,
) -> Energy:
    """Energy of one request: all that the fleet draws, over the requests that it completes.

    Args:
        fleet: how many instances are asked how much; beyond what they complete, a queue grows.
        point: what an active instance does.
        instance: its accelerator, layout, power shares and host power.
        site: its PUE.

    Returns:
        Joules by boundary; waiting instances, and active ones without work, are idle.
    """
    zero = jnp.zeros_like(point.power)
    idle_power = device_power(instance.xpu, instance.efficiency, zero, zero, zero)
    host_power = instance.efficiency.host_power * instance.xpu.tdp
    each = instance.deployment.xpus / answered(fleet, point)
    active = energy_of(
        fleet.active * each,
        point.power,
        host_power,
        site,
        point.busy,
        jnp.minimum(idle_power, point.power),
    )
    waiting = energy_of(fleet.waiting * each, idle_power, host_power, site, 0.0, idle_power)
    return Energy(
        device=active.device,
        host=active.host,
        facility=active.facility + waiting.facility,
        idle=active.idle + waiting.idle,
    )


def request(
    fleet: Fleet,
    point: OperatingPoint,
    instance: Instance,
    site: Site,
    around: Surroundings,
    reader_seconds: Scalar,
    basis: str = "location",
) -> Request:
    """Energy and footprint of one request, over the requests that the fleet completes.

    Args:
        fleet: how many instances are asked how much; beyond what they complete, a queue grows.
        point: what an active instance does.
        instance: its accelerator, layout, power shares and host power.
        site: where the fleet stands.
        around: what a request bears besides.
        reader_seconds: for which the reader's device is used.
        basis: whose electricity is counted: location, market or marginal.

    Returns:
        Joules and kg CO2e by boundary. Hardware is spread over calendar time, so that devices
        that wait are borne by the requests that others answer.

    Raises:
        InputError: no such basis.
    """
    used = request_energy(fleet, point, instance, site)
    devices = (fleet.active + fleet.waiting) * instance.deployment.xpus
    device_seconds = devices / answered(fleet, point)
    always = jnp.ones(())
    return Request(
        energy=used,
        footprint=footprint(
            used,
            site,
            basis=basis,
            besides=Footprint(
                making=amortised(around.making, device_seconds, around.lifetime, always),
                building=amortised(around.building, device_seconds, around.lifetime, always),
                network=network_carbon(around.sent, around.network_energy, around.reader_intensity),
                reader=reader_carbon(around.reader, reader_seconds, around.reader_intensity),
                training=training_share(around.trained, around.lifetime_requests, always),
            ),
        ),
    )
