"""Device, box nearby and data centre: one function of a case, all of whose ids are records.

The headline numbers, their intervals and elasticities, the live panel, sweeps and the search for
the best policy all rest on the same ways to answer a request. The policy is part of the case: what
is uncertain, and what is differentiated, changes what its ways take and not the policy itself.
"""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.costs import per_request
from llmecon.costs.carbon import EndDevice
from llmecon.specs import (
    LLM,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    Number,
    Precision,
    Site,
    Workload,
    number,
)
from llmecon.tiers import hybrid, own_machine, routing
from llmecon.tiers.hybrid import Outcome, Policy, Taken

Scalar = Float[Array, "..."]

GRAMS = 1000.0  # in a kilogram
THOUSAND = 1000.0  # requests, whose cost is told


class Shared(eqx.Module):
    """A model on a machine that several readers share, and the way there.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        layout: of an instance.
        efficiency: what its kernels and servers attain.
        quality: share of requests that the model answers rightly.
        at_once: answers that an instance has in flight, on average.
        making: a device and its share of what stands around it, kg CO2e.
        building: a device's share of the building, kg CO2e.
        usd_per_second: of one device with all that belongs to it, USD/s.
        round_trip: between the reader and the machine, s.
        network_energy: of the way, J per byte.
    """

    llm: LLM
    xpu: XPU
    layout: Deployment
    efficiency: Efficiency
    quality: Number = number()
    at_once: Number = number()
    making: Number = number()
    building: Number = number()
    usd_per_second: Number = number()
    round_trip: Number = number()
    network_energy: Number = number()

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.layout, self.efficiency)


class Case(eqx.Module):
    """Requests, the places where they may be answered, and the policy that shares them out.

    Attributes:
        requests: lengths of prompts and answers.
        near: the small model.
        machine: the reader's device as a thing that computes.
        precision: of the small model's weights.
        reader: what the answer is read on.
        home: where reader and box draw electricity.
        edge: the box nearby.
        cloud: the data centre.
        there: where the data centre stands.
        policy: who answers what.
        near_quality: share of requests that the small model answers rightly.
        in_a_row: answers of the device without time to cool.
        pace: at which answers are read, tokens/s.
        edge_pue: of the box.
        lifetime: after which shared machines are written off, s.
        sent: bytes that travel for one answer.
        acceptance: chance that a drafted token is accepted.
        skill: of the router.
        overlap: how often a stronger model fails where a weaker one is right, see `routing.chain`.
        drafting: whether the policy has anything drafted; what is drafted isn't computed otherwise.
    """

    requests: Workload
    near: LLM
    machine: own_machine.Machine
    precision: Precision
    reader: EndDevice
    home: Site
    edge: Shared
    cloud: Shared
    there: Site
    policy: Policy
    near_quality: Number = number()
    in_a_row: Number = number()
    pace: Number = number()
    edge_pue: Number = number()
    lifetime: Number = number()
    sent: Number = number()
    acceptance: Number = number()
    skill: Number = number()
    overlap: Number = number()
    drafting: bool = eqx.field(static=True, default=False)


class Ways(NamedTuple):
    """What one request takes on each way that needs no second machine.

    Attributes:
        device: on the reader's device.
        edge: on the box nearby.
        cloud: in the data centre.
    """

    device: Taken
    edge: Taken
    cloud: Taken


class Answer(NamedTuple):
    """What a case comes to.

    Attributes:
        ways: what one request takes on each way.
        outcome: what requests take on average under the policy.
    """

    ways: Ways
    outcome: Outcome


def answer(case: Case) -> Answer:
    """What requests take on each way, and on average under the policy.

    Args:
        case: requests, places and policy.
    """
    plain = ways(case)
    return Answer(plain, under(case, case.policy, plain))


def ways(case: Case) -> Ways:
    """What one request takes on the device, on the box nearby and in the data centre.

    Args:
        case: requests and places; its policy is not asked.
    """
    return Ways(on_device(case), on_edge(case), in_cloud(case))


def on_device(case: Case) -> Taken:
    """What one request takes on the reader's device."""
    return hybrid.on_device(
        _own(case),
        case.requests,
        case.reader,
        case.home,
        case.pace,
        case.in_a_row,
    )


def on_edge(case: Case) -> Taken:
    """What one request takes on the box nearby, which draws the reader's electricity."""
    return _on(case, case.edge, replace(case.home, pue=case.edge_pue))


def in_cloud(case: Case) -> Taken:
    """What one request takes in the data centre."""
    return _on(case, case.cloud, case.there)


def drafted(case: Case, draft_tokens: Scalar) -> Taken:
    """What one request takes that the device drafts and the data centre checks.

    Args:
        case: requests and places.
        draft_tokens: drafted a round.
    """
    far = _shared(case, case.cloud, case.there)
    return hybrid.drafted(_own(case), case.home, far, case.requests, case.acceptance, draft_tokens)


def under(case: Case, policy: Policy, plain: Ways) -> Outcome:
    """What requests take on average when a policy shares them out.

    Args:
        case: requests and places; its own policy is not asked.
        policy: who answers what.
        plain: what the case's requests take on each way.
    """

    def by_length(draft_tokens: Scalar) -> Taken:
        return drafted(case, draft_tokens) if case.drafting else plain.cloud

    return hybrid.outcome(
        policy,
        plain,
        by_length,
        case.skill,
        chain(case),
    )


class Split(NamedTuple):
    """What requests take on average that device and data centre share between them.

    Attributes:
        possible: 1 where both models fit, else 0.
        kg: CO2e, all that is counted.
        seconds: until the last token.
        usd: of the machines.
    """

    possible: Scalar
    kg: Scalar
    seconds: Scalar
    usd: Scalar


def split(case: Case, sent: Scalar) -> Split:
    """What requests take on average without the box nearby and without drafts.

    Args:
        case: requests and places; its policy is not asked.
        sent: share of the requests that the data centre answers.

    Returns:
        What `answer` comes to under a policy that sends so many there and none to the box.
    """
    here, far = on_device(case), in_cloud(case)

    def mean(near: Scalar, away: Scalar) -> Scalar:
        return near + sent * (away - near)

    return Split(
        possible=here.possible * far.possible,
        kg=mean(here.footprint.total, far.footprint.total),
        seconds=mean(here.seconds, far.seconds),
        usd=mean(here.usd, far.usd),
    )


def chain(case: Case) -> routing.Chain:
    """How the three models differ on the same requests."""
    qualities = jnp.stack([case.near_quality, case.edge.quality, case.cloud.quality])
    return routing.chain(qualities, case.overlap)


def reach(case: Case, to: Shared) -> hybrid.Reach:
    """The way to a shared machine and what belongs to it.

    Args:
        case: whose reader goes there.
        to: the machine.
    """
    around = per_request.Surroundings(
        reader=case.reader,
        making=to.making,
        building=to.building,
        lifetime=case.lifetime,
        sent=case.sent,
        network_energy=to.network_energy,
        reader_intensity=case.home.carbon_intensity,
        trained=jnp.zeros(()),
        lifetime_requests=jnp.ones(()),
    )
    return hybrid.Reach(around, to.round_trip, to.usd_per_second, case.pace)


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told."""
    return told(answer(case))


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told."""
    of = found.outcome
    return {
        "g_co2e_per_request": GRAMS * of.kg,
        "g_co2e_all_cloud": GRAMS * found.ways.cloud.footprint.total,
        "share_off_cloud": of.shares[0] + of.shares[1],
        "quality": of.quality,
        "seconds_per_answer": of.seconds,
        "usd_per_thousand": THOUSAND * of.usd,
    }


UNITS = {
    "g_co2e_per_request": "g",
    "g_co2e_all_cloud": "g",
    "share_off_cloud": "fraction",
    "quality": "fraction",
    "seconds_per_answer": "s",
    "usd_per_thousand": "USD",
}
"""Units of the headline numbers."""


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input.
    """
    return {
        "device's memory bandwidth": effects.machine.memory_bandwidth,
        "device's arithmetic rate": effects.machine.flops,
        "device's power": effects.machine.power,
        "answers at once, box nearby": effects.edge.at_once,
        "answers at once, data centre": effects.cloud.at_once,
        "carbon of the data centre's grid": effects.there.carbon_intensity,
        "carbon of the reader's grid": effects.home.carbon_intensity,
        "PUE of the data centre": effects.there.pue,
        "rated power, data centre": effects.cloud.xpu.tdp,
        "memory bandwidth, data centre": effects.cloud.xpu.memory_bandwidth,
        "making of its hardware": effects.cloud.making,
        "prompt length": effects.requests.prompt_tokens,
        "answer length": effects.requests.output_tokens,
    }


def _on(case: Case, machine: Shared, site: Site) -> Taken:
    return hybrid.shared(_shared(case, machine, site), case.requests)


def _shared(case: Case, machine: Shared, site: Site) -> hybrid.SharedMachine:
    return hybrid.SharedMachine(machine.instance, site, reach(case, machine), machine.at_once)


def _own(case: Case) -> hybrid.OwnModel:
    return hybrid.OwnModel(case.near, case.machine, case.precision)
