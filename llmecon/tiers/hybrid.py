"""Device, edge and cloud: what a request takes on each, and the best way to share requests out.

A request is answered on the reader's own device, on a box nearby that some share, or in a data
centre that many share; or it is drafted on the device and verified in the data centre. A router
decides by two thresholds. What is best follows from what each way takes and how good it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import optimize

from llmecon import serving
from llmecon.costs import per_request
from llmecon.costs.carbon import EndDevice, Footprint, reader_carbon
from llmecon.execution.interpreter import compiled
from llmecon.physics.speculation import Draft, seconds_per_token, tokens_per_round
from llmecon.specs import (
    LLM,
    Instance,
    Number,
    Precision,
    Site,
    Workload,
    number,
)
from llmecon.tiers import own_machine, routing

Scalar = Float[Array, "..."]

WAYS = ("device", "edge", "cloud", "drafted")
"""How a request may be answered."""

# Thresholds on the scores of a router, in deviations of its noise: all are sent, none is sent.
LOWEST, HIGHEST = -9.0, 9.0
LONGEST_DRAFT = 32.0
# Where the search for the best policy starts: thresholds of edge and cloud, for all three places
# and for any two, since a place that gets nothing at first stays so; and the drafted share.
STARTS = (
    *((at, at + 0.5) for at in (-1.5, 0.0, 1.5)),
    (HIGHEST, 0.0),
    (0.0, HIGHEST),
    (LOWEST, LOWEST),
)
DRAFTED = (0.1, 0.9)


class Reach(eqx.Module):
    """The way between a reader and a shared machine.

    Attributes:
        around: what a request bears besides the machine's electricity, network included.
        round_trip: s.
        usd_per_second: of one accelerator with all that belongs to it, USD/s.
        pace: at which answers are read, tokens/s.
    """

    around: per_request.Surroundings
    round_trip: Number = number()
    usd_per_second: Number = number()
    pace: Number = number()


class Taken(NamedTuple):
    """What one request takes on some way.

    Attributes:
        possible: 1 if the model and the answers in flight fit, else 0.
        ttft: time to first token, s.
        tpot: time per further token, s.
        seconds: until the last token, s.
        energy: of machines at work on it, the reader's share included, J.
        footprint: kg CO2e by boundary.
        usd: of the machines, electricity included.
    """

    possible: Scalar
    ttft: Scalar
    tpot: Scalar
    seconds: Scalar
    energy: Scalar
    footprint: Footprint
    usd: Scalar


class Policy(eqx.Module):
    """Who answers what.

    Attributes:
        near: how much higher the score of the edge must be than that of the device.
        far: how much higher that of the cloud must be.
        drafted_share: of the requests for the cloud, those that the device drafts.
        draft_tokens: tokens a round that it drafts.
    """

    near: Number = number()
    far: Number = number()
    drafted_share: Number = number(default=0.0)
    draft_tokens: Number = number(default=4.0)


class Outcome(NamedTuple):
    """What requests take on average under a policy.

    Attributes:
        shares: on the device, at the edge, in the cloud, drafted; they sum to 1.
        quality: share answered rightly.
        seconds: until the last token.
        kg: CO2e, all that is counted.
        usd: of the machines.
        energy: J.
    """

    shares: Float[Array, "4"]
    quality: Scalar
    seconds: Scalar
    kg: Scalar
    usd: Scalar
    energy: Scalar


class Limits(eqx.Module):
    """What a policy must keep.

    Attributes:
        quality: least share answered rightly.
        seconds: longest mean time until the last token.
    """

    quality: Number = number()
    seconds: Number = number()


class Best(NamedTuple):
    """The best policy found.

    Attributes:
        policy: thresholds, drafted share and draft length.
        outcome: what it takes.
        feasible: whether it keeps the limits.
        quality_price: what a further unit of quality would cost, in the objective's unit; NaN
            where the limits clash.
        second_price: what a second less would cost, likewise.
    """

    policy: Policy
    outcome: Outcome
    feasible: bool
    quality_price: float
    second_price: float


def kept_waiting(ttft: Scalar, tpot: Scalar, tokens: Scalar, pace: Scalar | float) -> Scalar:
    """How much longer an answer takes a reader than reading it.

    Args:
        ttft: time to first token, s.
        tpot: time per further token, s.
        tokens: of the answer.
        pace: at which it is read, tokens/s.

    Returns:
        Seconds: for the first token at least, and for all that comes slower than it is read. A
        reader's device is used for that long because of the answer's way; reading takes the same
        on all ways.
    """
    return ttft + jnp.maximum((tokens - 1.0) * tpot - tokens / pace, 0.0)


class OwnModel(eqx.Module):
    """A small model on the reader's own machine.

    Attributes:
        llm: the model.
        machine: what it runs on.
        precision: of its weights.
    """

    llm: LLM
    machine: own_machine.Machine
    precision: Precision


class SharedMachine(eqx.Module):
    """A machine that others use too, nearby or far away.

    Attributes:
        instance: model, accelerator, layout and what it attains.
        site: where the machine stands.
        reach: the way there and what belongs to it.
        at_once: requests that an instance has in flight on average; below 1 it is idle at times.
    """

    instance: Instance
    site: Site
    reach: Reach
    at_once: Number = number()


def on_device(
    own: OwnModel,
    workload: Workload,
    reader: EndDevice,
    home: Site,
    pace: Scalar | float,
    in_a_row: Scalar | float = 1.0,
) -> Taken:
    """A request answered on the reader's own machine.

    Args:
        own: the small model, and what it runs on.
        workload: prompt and answer.
        reader: the same machine as a thing to read on: its making and its power when it rests.
        home: where the reader draws electricity.
        pace: at which answers are read, tokens/s.
        in_a_row: requests answered without time to cool.

    Returns:
        What it takes: electricity beyond that of reading, and the machine while its reader waits.
        The machine is already owned, so only its electricity costs.
    """
    ran = own_machine.answer(own.llm, own.machine, own.precision, workload, in_a_row)
    waited = kept_waiting(ran.ttft, ran.tpot, workload.output_tokens, pace)
    drawn = ran.energy * home.pue
    return Taken(
        possible=ran.fits,
        ttft=ran.ttft,
        tpot=ran.tpot,
        seconds=ran.seconds,
        energy=drawn + waited * reader.power,
        footprint=Footprint(
            device=drawn * home.carbon_intensity,
            reader=reader_carbon(reader, waited, home.carbon_intensity),
        ),
        usd=(drawn + waited * reader.power) * home.electricity_price,
    )


def shared(machine: SharedMachine, workload: Workload) -> Taken:
    """A request answered on a machine that others use too, nearby or far away.

    Args:
        machine: where it is answered.
        workload: prompt and answer.

    Returns:
        What it takes; the electricity of idle time is borne by the requests.
    """
    service = serving.service_at(machine.instance, workload, machine.at_once)
    room = serving.largest_batch(machine.instance, workload)
    ttft = service.ttft + machine.reach.round_trip
    possible = jnp.where(room > jnp.maximum(machine.at_once, 1.0), 1.0, 0.0)
    return _on_shared(machine, workload, service.point, possible, ttft, service.point.tpot)


def _on_shared(
    machine: SharedMachine,
    workload: Workload,
    point: serving.OperatingPoint,
    possible: Scalar,
    ttft: Scalar,
    tpot: Scalar,
) -> Taken:
    """What requests take of a shared machine, given how long each takes the reader."""
    reach = machine.reach
    seconds = ttft + (workload.output_tokens - 1.0) * tpot
    waited = kept_waiting(ttft, tpot, workload.output_tokens, reach.pace)
    alone = per_request.Fleet(point.rate, 1.0)
    asked = per_request.request(alone, point, machine.instance, machine.site, reach.around, waited)
    return Taken(
        possible=possible,
        ttft=ttft,
        tpot=tpot,
        seconds=seconds,
        energy=asked.energy.total + waited * reach.around.reader.power,
        footprint=asked.footprint,
        usd=machine.instance.deployment.xpus / point.rate * reach.usd_per_second,
    )


def drafted(
    own: OwnModel,
    home: Site,
    far: SharedMachine,
    workload: Workload,
    acceptance: Scalar | float,
    draft_tokens: Scalar,
) -> Taken:
    """A request drafted on the reader's machine and verified far away.

    Args:
        own: the drafting model, and what it runs on.
        home: where the reader draws electricity.
        far: the verifying model; every draft takes a round trip there, and while one request is
            drafted, passes go to others.
        workload: prompt and answer.
        acceptance: chance that a drafted token is accepted.
        draft_tokens: drafted a round.

    Returns:
        What it takes: quality is the verifying model's. The prompt is read on both sides, and what
        the device drafts in vain is paid for.
    """
    checked = eqx.tree_at(
        lambda of: (of.instance.deployment.draft_tokens, of.instance.deployment.acceptance),
        far,
        (jnp.asarray(draft_tokens, float), jnp.asarray(acceptance, float)),
    )
    service = serving.service_at(checked.instance, workload, far.at_once)
    point, round_trip = service.point, far.reach.round_trip
    near, machine, precision = own.llm, own.machine, own.precision
    each = own_machine.token_time(near, machine, precision, workload.mean_context)
    gained = tokens_per_round(jnp.asarray(acceptance, float), draft_tokens)
    # A pass takes as long as the tokens that it yields do on the shared machine.
    rounds = Draft(acceptance, each, point.tpot * gained, round_trip)
    tpot = seconds_per_token(rounds, draft_tokens)
    read = own_machine.prompt_time(near, machine, precision, workload.computed_prompt_tokens)
    ttft = jnp.maximum(service.ttft + round_trip, read)
    room = serving.largest_batch(checked.instance, workload)
    fits = own_machine.answer(near, machine, precision, workload).fits
    possible = jnp.where(room > jnp.maximum(far.at_once, 1.0), fits, 0.0)
    there = _on_shared(checked, workload, point, possible, ttft, tpot)
    drawn = (read + workload.output_tokens / gained * draft_tokens * each) * machine.power
    drawn = drawn * home.pue
    footprint = eqx.tree_at(
        lambda of: of.device,
        there.footprint,
        there.footprint.device + drawn * home.carbon_intensity,
    )
    return there._replace(
        energy=there.energy + drawn,
        footprint=footprint,
        usd=there.usd + drawn * home.electricity_price,
    )


def outcome(
    policy: Policy,
    plain: tuple[Taken, Taken, Taken],
    drafting: Callable[[Scalar], Taken],
    skill: Scalar | float,
    models: routing.Chain,
) -> Outcome:
    """What requests take on average when a policy shares them out.

    Args:
        policy: thresholds, drafted share and draft length.
        plain: a request on the device, at the edge and in the cloud.
        drafting: a request that is drafted, by draft length.
        skill: of the router.
        models: how good the three are on the same requests.
    """
    sent = routing.cascade(policy.near, policy.far, jnp.asarray(skill, float), models)
    device, edge, far = sent.shares
    by_draft = policy.drafted_share * far
    shares = jnp.stack([device, edge, far - by_draft, by_draft])
    ways = (*plain, drafting(policy.draft_tokens))

    def mean(of: Callable[[Taken], Scalar]) -> Scalar:
        return jnp.sum(shares * jnp.stack([of(way) for way in ways]))

    return Outcome(
        shares=shares,
        quality=sent.quality,
        seconds=mean(lambda way: way.seconds),
        kg=mean(lambda way: way.footprint.total),
        usd=mean(lambda way: way.usd),
        energy=mean(lambda way: way.energy),
    )


def best_policies(
    take: Callable[[Policy], Outcome],
    objective: Callable[[Outcome], Scalar],
    limits: Sequence[Limits],
    drafts: bool = True,
) -> list[Best]:
    """The policies of least carbon, cost or any mix of them within limits, by their gradient.

    Args:
        take: what a policy takes (`outcome`).
        objective: what is made small, positive.
        limits: each a least quality and a longest mean time.
        drafts: whether requests may be drafted.

    Returns:
        For each limit the best of several descents (sequential quadratic programming [Kraft1988]
        with gradients by JAX), with what a further unit of quality and a second less would cost.
        Some start with a place unused, so that three places are never worse than two.
        Where limits clash, the policy that breaks them least, marked infeasible.
    """
    most = 1.0 if drafts else 0.0

    def policy_of(z: Float[Array, "4"]) -> Policy:
        return Policy(z[0], z[1], z[2] * most, jnp.exp(z[3]))

    def taken(z: Float[Array, "4"]) -> Float[Array, "3"]:
        found = take(policy_of(z))
        return jnp.stack([objective(found), found.quality, found.seconds])

    # One program gives all that a step needs; descents take thousands of steps.
    both = compiled(lambda z: (taken(z), jax.jacrev(taken)(z)))
    scale = float(both(jnp.asarray([0.0, 1.0, 0.0, 1.0]))[0][0])
    return [_best(both, policy_of, take, of, scale, drafts) for of in limits]


def _best(
    both: Callable[[Any], tuple[Array, Array]],
    policy_of: Callable[[Any], Policy],
    take: Callable[[Policy], Outcome],
    limits: Limits,
    scale: float,
    drafts: bool,
) -> Best:
    """The best policy for one set of limits."""
    signs = np.array([1.0 / scale, 1.0, -1.0 / float(limits.seconds)])
    levels = np.array([0.0, -float(limits.quality), 1.0])
    last: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = z.tobytes()
        if key not in last:
            last.clear()
            values, slopes = both(z)
            last[key] = signs * np.asarray(values) + levels, signs[:, None] * np.asarray(slopes)
        return last[key]

    within = {"type": "ineq", "fun": lambda z: at(z)[0][1:], "jac": lambda z: at(z)[1][1:]}
    bounds = [(LOWEST, HIGHEST), (LOWEST, HIGHEST), (0.0, 1.0), (0.0, np.log(LONGEST_DRAFT))]
    found = [
        optimize.minimize(
            lambda z: at(z)[0][0],
            np.array([*thresholds, share, np.log(4.0)]),
            jac=lambda z: at(z)[1][0],
            bounds=bounds,
            constraints=[within],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 300},
        )
        for thresholds in STARTS
        for share in (DRAFTED if drafts else (0.0,))
    ]

    def ranked(result: optimize.OptimizeResult) -> tuple[float, float]:
        broken = max(-float(np.min(at(result.x)[0][1:])), 0.0)
        return (0.0 if broken < 1e-7 else broken, float(result.fun))

    winner = min(found, key=ranked)
    policy = policy_of(jnp.asarray(winner.x))
    feasible = ranked(winner)[0] == 0.0
    multipliers = np.asarray(winner.multipliers, float) * (scale if feasible else np.nan)
    return Best(
        policy=policy,
        outcome=take(policy),
        feasible=feasible,
        quality_price=float(multipliers[0]),
        second_price=float(multipliers[1] / limits.seconds),
    )
