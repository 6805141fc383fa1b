"""How far predictions are from measurements, and what one instance does: one function of a case.

The headline errors, the live panel and tests all call `answer`. Errors are statistics of stored
predictions, so they have no slopes; what the instance does has.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from llmecon import serving
from llmecon.evidence.error_measures import Deviations, Pairs, deviations
from llmecon.serving import OperatingPoint
from llmecon.specs import LLM, XPU, Deployment, Efficiency, Instance, Number, Workload, number

Scalar = Float[Array, ""]

TARGETS = ("tpot", "ttft", "throughput", "energy", "tokens_per_s", "device_hours")
"""The quantities that fits were held out for, in the order told."""

BACKLOG = "backlog"
"""Throughput of systems that work off a backlog, which no fit has seen."""

QUANTITIES = (*TARGETS, BACKLOG)
"""All that the chapter tells an error of."""


class Compared(eqx.Module):
    """Predictions beside measurements, of every quantity.

    Attributes:
        pairs: all rows, one below the other.
        counted: which of them belong to each of QUANTITIES.
    """

    pairs: Pairs
    counted: Bool[Array, "quantities rows"]


class Case(eqx.Module):
    """What was compared, and one instance that serves some requests.

    Attributes:
        llm: the model that is served.
        xpu: the accelerator that serves it.
        layout: of the instance.
        requests: lengths of prompts and outputs.
        efficiency: what its kernels and servers attain.
        clients: requests in flight, as far as there is room for them.
        compared: what errors are told of; None where only the instance is asked about.
    """

    llm: LLM
    xpu: XPU
    layout: Deployment
    requests: Workload
    efficiency: Efficiency
    clients: Number = number()
    compared: Compared | None = None

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.layout, self.efficiency)


class Performance(eqx.Module):
    """What an instance does with some requests in flight.

    Attributes:
        possible: 1 where its memory holds a request and fast links join its devices, else 0.
        point: with as many requests in flight as were asked for, or as there is room for.
        speed: output tokens per second of each device.
        energy: J per output token, of the devices alone.
    """

    possible: Scalar
    point: OperatingPoint
    speed: Scalar
    energy: Scalar


class Answer(eqx.Module):
    """How far predictions are from measurements, and what the instance does.

    Attributes:
        errors: with a leading dimension of QUANTITIES; None where nothing was compared.
        instance: what it does.
    """

    errors: Deviations | None
    instance: Performance


def answer(case: Case) -> Answer:
    """How far predictions are from measurements, and what the instance does.

    Args:
        case: what was compared, and the instance.

    Returns:
        Errors by quantity, and latency, speed and energy of the instance.
    """
    errors = None
    if case.compared is not None:
        of, counted = case.compared.pairs, case.compared.counted
        errors = jax.vmap(deviations, in_axes=(None, 0))(of, counted)
    return Answer(errors=errors, instance=_instance(case))


def _instance(case: Case) -> Performance:
    devices = case.layout.xpus
    room = serving.largest_batch(case.instance, case.requests)
    joined = (devices <= case.xpu.link_domain) | (devices <= 1.0)
    batch = jnp.minimum(case.clients, jnp.maximum(room, 1.0))
    point = serving.operating_point(case.instance, case.requests, batch)
    tokens = point.rate * case.requests.output_tokens
    return Performance(
        possible=jnp.where((room >= 1.0) & joined, 1.0, 0.0),
        point=point,
        speed=tokens / devices,
        energy=point.power * devices / tokens,
    )
