"""A service under load: batching, TTFT, TPOT, queueing and capacity.

The server batches continuously [Kwon2023]: a request joins the running batch as soon as there is
room, its prompt is computed between the others' tokens, and it leaves when its output ends. With
B requests in flight, each decoding O tokens, one request finishes and one prompt is computed per
O / B steps. So a token waits for the others' prompts, and by Little's law [Little1961] ::

    TPOT(B) = step(B) + (B - 1) / O * i p
    rate(B) = B / (q + O * TPOT(B))

A prompt that joins a step in which others decode finds weights loaded and kernels launched: the
step lasts p longer, what one more prompt adds to a pass over many. It lasts no less in all than the
prompt's own pass, which in a mixture may read experts that the others don't. Between tokens this
costs i times as much. q is i p, or the pass where the request meets nobody.

If requests come at a rate, B comes and goes with them around the batch that solves rate(B) = rate.
A slower batch makes it linger above, as in a birth-death chain: the mean is
B + x / (1 - x) where one request more slows the others by a share x, and Little's law turns that
into the TPOT. The time to first token is ::

    TTFT = request + slot + (1 - busy) pass + busy (i p + step) + (1/2 + use) C
    C    = busy step / (1 - use) + use i p (1 + v) / (1 - use**2)

work on the request outside the model; the wait for a slot (`queueing`); the prompt's own time, i p
if the instance is busy at all and its own pass if not; the decode step it shares;
and its turn: half a cycle of the engine until it is looked at, and what came before it in that
cycle. C is a cycle's mean: a step with the prompts that arrive in a cycle, use = rate * i * p of
it, where v is the square of the prompt lengths' coefficient of variation. Burstier arrivals than
Poisson's, c > 1, add BURST * i p (c**2 - 1) sqrt(use / (1 - use)).

`simulation` checks all this: for four systems of 8 to 70 billion parameters, prompts of 500 to 4000
tokens and outputs of 200 to 1000, Poisson arrivals and loads of 0.05 to 0.9, leaving the request's
time out. The mean TTFT is found within 7%, its 99th percentile within 16%, and TPOT within 4% up
to a load of 0.8 and 9% at 0.9, where single simulations scatter, but up to 14% too low for prompts
twenty times as long as outputs, which hold up all others at once; at a
load of 0.95 the TTFT of these is a third too low. Where all lengths are equal the percentile is up
to 35% too low at light load. Bursty arrivals (c = 2) are found within 13%, with TPOT up to 14%
too low, or a third if prompts are that long too; regular ones (c = 0) wait up to a third less than
said here. Beyond a load of 0.9, or with few slots, the wait for a slot decides: see
`queueing.wait`. Prompts on instances of their own wait up to 16% longer, as those computed in one
pass end together.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.numerics import solve_increasing
from llmecon.physics.energy import device_power
from llmecon.physics.queueing import lognormal_quantile, wait
from llmecon.physics.roofline import (
    PassCost,
    attention_groups,
    forward_pass,
    sequences_that_fit,
)
from llmecon.physics.speculation import tokens_per_round
from llmecon.specs import (
    LLM,
    XPU,
    Deployment,
    Efficiency,
    LatencyTarget,
    Precision,
    Workload,
)

Scalar = Float[Array, "..."]

# Engines cap the sequences that one scheduler runs at once; common defaults are of this order.
MAXIMUM_SEQUENCES = 1024.0
# Prompt tokens that engines compute in one step at most; a common default [Agrawal2024].
CHUNK = 8192.0
# The lightest load considered: a request in flight one thousandth of the time.
MINIMUM_BATCH = 1e-3
# Less than any request takes, s: together with the rate it bounds the batch from below.
SHORTEST_REQUEST = 1e-4
# The lowest rate that is told from none, requests per second: one in thirty thousand years.
LOWEST_RATE = 1e-12
# The span over which queues are averaged, s: an hour of steady load.
HORIZON = 3600.0
# The share of time that prompts leave at least to decoding, as far as their queue is concerned.
LEAST_SPARE = 0.01
# Time that bursts make a prompt wait for its fellows, in prompts, fitted to simulations.
BURST = 1.1

# The layouts that are considered: devices per layer, and consecutive groups of layers.
TENSOR_WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
PIPELINE_DEPTHS = (1.0, 2.0, 4.0)
SEARCHED_BATCHES = 48
TOLERATED_LOSS = 0.05


class OperatingPoint(eqx.Module):
    """An instance with a steady number of requests in flight.

    Attributes:
        batch: requests in flight, on average over time.
        tpot: time per output token as a request feels it, s.
        step: one decode step with no prompt in its way, s.
        prefill: time to compute one prompt with nothing in its way, s.
        chunked_prefill: time that one more prompt adds to a pass over many prompts, s.
        mixed_prefill: time that a prompt adds to the steps in which others decode, s.
        rate: requests completed per second.
        prefill_share: share of the instance's time that goes into prompts.
        busy: share of time with any request in flight.
        compute_use: share of time that a device's arithmetic needs, at the rate it attains.
        memory_use: share of time that its memory traffic needs, at the rate it attains.
        power: average power of one device, W.
    """

    batch: Scalar
    tpot: Scalar
    step: Scalar
    prefill: Scalar
    chunked_prefill: Scalar
    mixed_prefill: Scalar
    rate: Scalar
    prefill_share: Scalar
    busy: Scalar
    compute_use: Scalar
    memory_use: Scalar
    power: Scalar


class Service(eqx.Module):
    """An instance that receives requests at some rate.

    Attributes:
        offered: requests arriving per second.
        load: offered over the most that the instance can complete.
        ttft: mean time to first token, s.
        ttft_quantile: TTFT that the target share of requests stays below, s.
        point: what the instance does meanwhile; its rate is what it completes, and its batch and
            TPOT are means over a batch that varies as requests come and go.
    """

    offered: Scalar
    load: Scalar
    ttft: Scalar
    ttft_quantile: Scalar
    point: OperatingPoint


class Capacity(eqx.Module):
    """The most that an instance serves within its latency targets.

    Attributes:
        rate: requests per second, 0 where the targets or the memory rule everything out.
        feasible: 1 where the model fits, its context holds the requests, and an unhurried request
            meets both targets, else 0.
        service: the instance at that rate.
    """

    rate: Scalar
    feasible: Scalar
    service: Service


def within_context(llm: LLM, workload: Workload) -> Array:
    """Whether a model's context holds requests of the mean length; safe under tracing."""
    return workload.prompt_tokens + workload.output_tokens <= llm.context


def _require_context(llm: LLM, workload: Workload) -> None:
    """Refuse requests beyond the model's context, where numbers are known and not traced.

    Raises:
        InputError: prompt and output together exceed the context.
    """
    fits = within_context(llm, workload)
    if isinstance(fits, jax.core.Tracer) or bool(jnp.all(fits)):
        return
    longest = jnp.max(workload.prompt_tokens + workload.output_tokens)
    raise InputError(
        f"requests of {float(longest):,.0f} tokens exceed the model's context of "
        f"{float(jnp.min(llm.context)):,.0f}: shorten prompt or output, or choose a model with more"
    )


def tokens_per_step(deployment: Deployment) -> Scalar:
    """Output tokens that a decode step yields per sequence under speculative decoding.

    Args:
        deployment: its draft length g and acceptance a, 0 <= a <= 1.

    Returns:
        (1 - a**(g+1)) / (1 - a) [Leviathan2022]; 1 without drafts, g + 1 if all are accepted.
    """
    return tokens_per_round(deployment.acceptance, deployment.draft_tokens)


def largest_batch(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> Scalar:
    """Requests that an instance can hold in flight at once.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout.
        workload: its mean context sizes a request's KV cache.
        efficiency: its usable memory.

    Returns:
        Requests, relaxed: what the memory or the scheduler allows; 0 where weights do not fit.
    """
    room = sequences_that_fit(llm, xpu, deployment, efficiency, workload.mean_context)
    return jnp.minimum(room, MAXIMUM_SEQUENCES * attention_groups(deployment))


def _prompts_at_once(deployment: Deployment) -> Scalar:
    """Each attention group and each pipeline stage works on a prompt of its own."""
    return deployment.pipeline * attention_groups(deployment)


def _prompt_passes(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> tuple[PassCost, PassCost]:
    """Cost of a prompt computed by itself, and what each further one adds to a chunk of them.

    As many are priced as are computed at once; their cached parts are only attended to.
    """
    computed = jnp.maximum(workload.computed_prompt_tokens, 1.0)
    cached = jnp.maximum(workload.prompt_tokens - computed, 0.0)
    at_once = _prompts_at_once(deployment)
    more = CHUNK / computed

    def price(count: Scalar) -> PassCost:
        return forward_pass(llm, xpu, deployment, efficiency, count * at_once, computed, cached)

    # One after the other: a pass over two counts at once keeps a compiler from joining it with
    # what else is computed of the same system.
    alone, many = price(jnp.ones_like(more)), price(1.0 + more)
    added: PassCost = jax.tree.map(lambda all_, one: (all_ - one) / more, many, alone)
    return alone, added


@jax.jit
def operating_point(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    batch: Scalar,
) -> OperatingPoint:
    """What an instance does while it keeps some requests in flight.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: prompt and output lengths.
        efficiency: attained shares and overheads.
        batch: requests in flight on average, > 0, relaxed.

    Returns:
        Latency, throughput and power of the instance.
    """
    # The batch that a running request sees: at light load the instance is idle part of the time,
    # and whenever it runs there is at least one request.
    busy = -jnp.expm1(-batch)
    seen = batch / busy
    gained = tokens_per_step(deployment)
    checked = 1.0 + deployment.draft_tokens
    past = jnp.maximum(workload.mean_context - checked, 0.0)
    decode = forward_pass(llm, xpu, deployment, efficiency, seen, checked, past)
    drafted = 1.0 + deployment.draft_tokens * deployment.draft_cost
    step = efficiency.decode_multiple * decode.seconds * drafted

    at_once = _prompts_at_once(deployment)
    alone, added = _prompt_passes(llm, xpu, deployment, workload, efficiency)
    mixed = 1.0 - deployment.disaggregated
    prefill = efficiency.prefill_multiple * alone.seconds
    chunked_prefill = efficiency.prefill_multiple * added.seconds
    mixed_prefill = efficiency.prefill_interference * jnp.maximum(chunked_prefill, prefill - step)
    # Nothing else is in flight for the first of the requests seen.
    company = (seen - 1.0) / seen
    prompt_time = mixed * (prefill + company * (mixed_prefill - prefill)) / at_once

    output = workload.output_tokens
    tpot = step / gained + (seen - 1.0) / output * mixed * mixed_prefill / at_once
    rate = batch / (prompt_time + output * tpot)
    decode_time = output * step / gained
    steps = rate * output / (gained * seen)
    prompt_passes = mixed * rate / at_once * efficiency.prefill_multiple
    prompt_compute = alone.compute + company * (added.compute - alone.compute)
    prompt_memory = alone.memory + company * (added.memory - alone.memory)
    compute_use = steps * decode.compute + prompt_passes * prompt_compute
    memory_use = steps * decode.memory + prompt_passes * prompt_memory
    return OperatingPoint(
        batch=batch,
        tpot=tpot,
        step=step,
        prefill=prefill,
        chunked_prefill=chunked_prefill,
        mixed_prefill=mixed_prefill,
        rate=rate,
        prefill_share=seen * prompt_time / (seen * prompt_time + decode_time),
        busy=busy,
        compute_use=compute_use,
        memory_use=memory_use,
        power=device_power(xpu, efficiency, busy, compute_use, memory_use),
    )


def _prompt_turn(
    point: OperatingPoint,
    admitted: Scalar,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    quantile: Scalar,
) -> tuple[Scalar, Scalar]:
    """From a slot to the first token: mean and quantile, s."""
    at_once = _prompts_at_once(deployment)
    mixed, apart = 1.0 - deployment.disaggregated, deployment.disaggregated
    cv, burst = workload.prompt_cv, workload.interarrival_cv**2
    busy = -jnp.expm1(-point.batch)
    step = busy * point.step
    each = point.mixed_prefill / at_once
    use = mixed * admitted * each
    spare = 0.5 * (1.0 - use + jnp.sqrt((1.0 - use) ** 2 + 4.0 * LEAST_SPARE**2))
    irregular = jnp.minimum(burst, 1.0) + cv**2
    cycle = step / spare + use * each * irregular / (spare * (1.0 + use))
    # The root has no finite slope at 0, where no prompts are computed between tokens.
    met = BURST * jnp.maximum(burst - 1.0, 0.0) * jnp.sqrt(use / spare + 1e-12)
    turn = (0.5 + use) * cycle + each * met
    # On instances of their own, prompts are computed one after another, by each stage and group.
    capacity = at_once / point.prefill
    queue = wait(
        apart * admitted / capacity, capacity, at_once, workload.interarrival_cv, cv, HORIZON
    )
    own = point.prefill + mixed * busy * (point.mixed_prefill - point.prefill)
    mean = own + mixed * (step + turn) + apart * queue.mean
    # The rest of a step in progress is anything up to a step; what exceeds it is exponential.
    rest = 0.5 * step
    turn_quantile = 2.0 * quantile * rest - (turn - rest) * jnp.log1p(-quantile)
    # These come together: a long prompt meets the same queue as a short one, but both are added.
    return mean, (
        own * lognormal_quantile(quantile, cv)
        + mixed * (step + turn_quantile)
        + apart * queue.quantile(quantile)
    )


def _fluctuating(
    point: OperatingPoint, load: Scalar, room: Scalar, workload: Workload
) -> OperatingPoint:
    """A point whose batch comes and goes as requests do, around what even arrivals would make."""
    filled = point.batch / room
    within = jnp.minimum(load, 1.0)
    free = room - point.batch
    # x / (1 - x) = shared / (1 - within), but no more than there is room for, and fewer at light
    # load, for which the point already counts only the time with anything in flight.
    busy = -jnp.expm1(-point.batch)
    spread = 0.5 * (1.0 + workload.interarrival_cv**2)
    shared = busy * spread * jnp.maximum(within - filled, 0.0)
    more = shared * free / ((1.0 - within) * free + shared + 1e-12)
    return eqx.tree_at(
        lambda of: (of.batch, of.tpot),
        point,
        (point.batch + more, point.tpot + more / (point.rate * workload.output_tokens)),
    )


def _service(
    point: OperatingPoint,
    full: OperatingPoint,
    offered: Scalar,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    target_quantile: Scalar,
) -> Service:
    """Latency at a point, given the point at which the instance is full."""
    load = offered / full.rate
    slot = wait(
        load,
        full.rate,
        full.batch,
        workload.interarrival_cv,
        workload.output_cv,
        HORIZON,
        point.batch / full.batch,
    )
    admitted = jnp.minimum(offered, full.rate)
    turn, turn_quantile = _prompt_turn(
        point, admitted, deployment, workload, efficiency, target_quantile
    )
    multiple = efficiency.first_token_multiple
    begun = multiple * (efficiency.request_time + turn)
    # Who waits long for a slot need not have a long prompt: deviations add up as squares do.
    waited, beyond = slot.quantile(target_quantile), multiple * (turn_quantile - turn)
    apart, together = jnp.sqrt(waited**2 + beyond**2 + 1e-24), waited + beyond
    return Service(
        offered=offered,
        load=load,
        ttft=begun + slot.mean,
        ttft_quantile=begun + jnp.where(beyond > 0.0, apart, together),
        point=_fluctuating(point, load, full.batch, workload),
    )


def _meets(service: Service, target: LatencyTarget) -> Array:
    # A limit that binds is met to the last digits of a root search.
    slack = 1.0 + 1e-9
    return (service.ttft_quantile <= target.ttft * slack) & (
        service.point.tpot <= target.tpot * slack
    )


def serve(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    rate: Scalar,
    quantile: Scalar | float = 0.99,
) -> Service:
    """Latency and batch of an instance at a given rate of requests.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads.
        rate: requests arriving per second, >= 0; may exceed what the instance completes, in which
            case the wait is that of a queue growing for an hour.
        quantile: share of requests that `ttft_quantile` covers.

    Returns:
        The service, which completes what arrives unless it is full; its gradient is that of the
        fixed point, by the implicit function theorem. What its latencies are made of, and how far a
        simulation agrees, is said above.

    Raises:
        InputError: requests exceed the model's context, where their length is not traced.
    """
    _require_context(llm, workload)
    asked = jnp.maximum(jnp.asarray(rate, float), LOWEST_RATE)
    room = jnp.maximum(largest_batch(llm, xpu, deployment, workload, efficiency), 1.0)
    full = operating_point(llm, xpu, deployment, workload, efficiency, room)

    def shortfall(batch: Scalar) -> Scalar:
        point = operating_point(llm, xpu, deployment, workload, efficiency, batch)
        return jnp.log(point.rate / asked)

    # Even the lightest load lies within: there are fewer in flight than rate times the least time.
    lightest = jnp.minimum(MINIMUM_BATCH, asked * SHORTEST_REQUEST)
    batch = solve_increasing(shortfall, lightest, room)
    point = operating_point(llm, xpu, deployment, workload, efficiency, batch)
    offered, share = jnp.asarray(rate, float), jnp.asarray(quantile)
    return _service(point, full, offered, deployment, workload, efficiency, share)


def service_at(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    batch: Scalar,
    quantile: Scalar | float = 0.99,
) -> Service:
    """Latency and rate of an instance that keeps some requests in flight.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads.
        batch: requests in flight on average, > 0, relaxed; where it fills all room a queue grows.
        quantile: share of requests that `ttft_quantile` covers.

    Returns:
        The service at the rate that keeps so many in flight: `serve` the other way round.
    """
    room = jnp.maximum(largest_batch(llm, xpu, deployment, workload, efficiency), 1.0)
    full = operating_point(llm, xpu, deployment, workload, efficiency, room)
    held = jnp.minimum(batch, room)
    point = operating_point(llm, xpu, deployment, workload, efficiency, held)
    share = jnp.asarray(quantile)
    return _service(point, full, point.rate, deployment, workload, efficiency, share)


def capacity(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    target: LatencyTarget,
) -> Capacity:
    """The highest rate at which an instance meets its latency targets.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads.
        target: limits on TTFT (at its quantile) and on mean TPOT.

    Returns:
        The rate, whether anything is feasible, and the service at that rate. Nothing is where
        requests exceed the model's context, if their length is traced.

    Raises:
        InputError: requests exceed the model's context, where their length is not traced.
    """
    _require_context(llm, workload)
    room = largest_batch(llm, xpu, deployment, workload, efficiency)
    full_batch = jnp.maximum(room, 1.0)
    full = operating_point(llm, xpu, deployment, workload, efficiency, full_batch)

    def at(batch: Scalar) -> Service:
        point = operating_point(llm, xpu, deployment, workload, efficiency, batch)
        return _service(point, full, point.rate, deployment, workload, efficiency, target.quantile)

    def excess(batch: Scalar) -> Scalar:
        service = at(batch)
        return jnp.log(
            jnp.maximum(service.ttft_quantile / target.ttft, service.point.tpot / target.tpot)
        )

    service = at(solve_increasing(excess, MINIMUM_BATCH, full_batch))
    feasible = (room >= 1.0) & within_context(llm, workload) & _meets(service, target)
    return Capacity(
        rate=jnp.where(feasible, service.point.rate, 0.0),
        feasible=jnp.where(feasible, 1.0, 0.0),
        service=service,
    )


def operating_point_at(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    tpot: Scalar | float,
) -> OperatingPoint:
    """The fullest operating point whose tokens still come at a given pace.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: prompt and output lengths.
        efficiency: attained shares and overheads.
        tpot: time per output token that may be reached, s.

    Returns:
        The point whose TPOT is `tpot`; the emptiest one where even that is slower, the fullest one
        that memory allows where even that is faster.
    """
    room = jnp.maximum(largest_batch(llm, xpu, deployment, workload, efficiency), 1.0)

    def excess(batch: Scalar) -> Scalar:
        point = operating_point(llm, xpu, deployment, workload, efficiency, batch)
        return jnp.log(point.tpot / tpot)

    batch = solve_increasing(excess, MINIMUM_BATCH, room)
    return operating_point(llm, xpu, deployment, workload, efficiency, batch)


def prefill_rate(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> Scalar:
    """Prompts that an instance computes when it does nothing else, as under disaggregation.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance; each attention group and each pipeline stage works
            on a prompt of its own.
        workload: its prompts; the cached part is attended to but not computed.
        efficiency: attained shares and overheads.

    Returns:
        Requests per second, as many prompts in each pass as make up a chunk [Zhong2024].
    """
    alone, added = _prompt_passes(llm, xpu, deployment, workload, efficiency)
    together = jnp.maximum(CHUNK / jnp.maximum(workload.computed_prompt_tokens, 1.0), 1.0)
    each = added.seconds + (alone.seconds - added.seconds) / together
    return _prompts_at_once(deployment) / (efficiency.prefill_multiple * each)


def _layouts(precision: Precision) -> Deployment:
    """Every layout considered, with a leading dimension of them."""
    grid = np.meshgrid(TENSOR_WIDTHS, (0.0, 1.0), PIPELINE_DEPTHS, indexing="ij")
    tensor, whole_experts, pipeline = (axis.ravel() for axis in grid)
    expert = np.where(whole_experts > 0.0, tensor, 1.0)
    same = jax.tree.map(lambda leaf: jnp.full(tensor.shape, leaf), precision)
    return Deployment(
        tensor=tensor,
        expert=expert,
        pipeline=pipeline,
        precision=same,
        draft_tokens=np.zeros_like(tensor),
        acceptance=np.zeros_like(tensor),
        draft_cost=np.zeros_like(tensor),
        disaggregated=np.zeros_like(tensor),
    )


def best_deployment(
    llm: LLM,
    xpu: XPU,
    precision: Precision,
    workload: Workload,
    efficiency: Efficiency,
    target: LatencyTarget,
) -> tuple[Deployment, Capacity]:
    """The smallest of the layouts that serve about as many requests per device as any can.

    Considered are tensor widths up to the accelerator's fast-link domain, experts split or spread
    whole, and a few pipeline depths. Those within `TOLERATED_LOSS` of the most requests per device
    that meet the latency targets count as equal, since fewer devices are easier to run; so a
    better accelerator may serve up to that much less per device, never less than that. The
    gradient is that of the winner while the layout stays.

    Args:
        llm: the model.
        xpu: the accelerator.
        precision: bytes and arithmetic.
        workload: lengths and burstiness.
        efficiency: attained shares and overheads.
        target: limits on TTFT and TPOT.

    Returns:
        The layout and its capacity; a capacity of 0 where no layout is feasible, in which case the
        layout is the one with most room for KV caches.

    Raises:
        InputError: requests exceed the model's context, where their length is not traced.
    """
    _require_context(llm, workload)
    layouts = _layouts(precision)
    # The search needs no gradient; the winner's capacity has its own.
    searched = jax.lax.stop_gradient((llm, xpu, workload, efficiency, target))

    def score(layout: Deployment) -> tuple[Scalar, Scalar]:
        llm, xpu, workload, efficiency, target = searched
        allowed = (layout.tensor <= xpu.link_domain) & (
            (layout.pipeline <= 1.0) | (xpu.link_domain > 1.0)
        )
        room = largest_batch(llm, xpu, layout, workload, efficiency)
        batches = jnp.geomspace(MINIMUM_BATCH, jnp.maximum(room, 1.0), SEARCHED_BATCHES)
        points = jax.vmap(
            lambda batch: operating_point(llm, xpu, layout, workload, efficiency, batch)
        )(batches)
        full = jax.tree.map(lambda leaf: leaf[-1], points)
        services = jax.vmap(
            lambda point: _service(
                point, full, point.rate, layout, workload, efficiency, target.quantile
            )
        )(points)
        served = jnp.max(jnp.where(_meets(services, target), points.rate, 0.0)) / layout.xpus
        return jnp.where(allowed & (room >= 1.0), served, 0.0), jnp.where(allowed, room, -1.0)

    # The winner is found on a coarse grid of batches, then its capacity is solved for exactly.
    # Layouts within a few percent of the best count as equal: the smallest is easiest to run. Where
    # nothing is feasible, the one with most room shows best what is missing.
    served, room = jax.vmap(score)(layouts)
    good = served >= (1.0 - TOLERATED_LOSS) * jnp.max(served)
    smallest = jnp.argmin(jnp.where(good, layouts.xpus, jnp.inf))
    roomiest = jnp.argmax(room + 1e-9 * layouts.xpus)
    best = jnp.where(jnp.max(served) > 0.0, smallest, roomiest)
    chosen = jax.tree.map(lambda leaf: leaf[best], layouts)
    return chosen, capacity(llm, xpu, chosen, workload, efficiency, target)


def full_rate(
    llm: LLM, xpu: XPU, deployment: Deployment, workload: Workload, efficiency: Efficiency
) -> Scalar:
    """The most requests per second that an instance completes if nobody minds waiting.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of the instance.
        workload: prompt and output lengths.
        efficiency: attained shares and overheads.

    Returns:
        Requests per second at the largest batch.
    """
    room = jnp.maximum(largest_batch(llm, xpu, deployment, workload, efficiency), 1.0)
    return operating_point(llm, xpu, deployment, workload, efficiency, room).rate


def deployment_of(xpus: int, xpu: XPU, precision: Precision) -> Deployment:
    """The usual layout of an instance with a given number of devices.

    Args:
        xpus: devices in the instance.
        xpu: the accelerator, whose fast-link domain bounds the tensor width.
        precision: bytes and arithmetic.

    Returns:
        Layers split over as many devices as the fast links join, and a pipeline over the rest.

    Raises:
        InputError: the devices do not divide into equal groups that fast links join.
    """
    domain = int(xpu.link_domain)
    tensor = min(xpus, domain)
    if xpus % tensor:
        near = tensor * max(round(xpus / tensor), 1)
        raise InputError(
            f"{xpus} devices do not divide into groups of {tensor}, which is what the fast links "
            f"join; use a multiple of it, such as {near}"
        )
    return Deployment(tensor=tensor, pipeline=xpus // tensor, precision=precision)
