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
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.physics.queueing import lognormal_quantile, wait
from llmecon.serving.batching import (
    MINIMUM_BATCH,
    OperatingPoint,
    largest_batch,
    operating_point,
    prompts_at_once,
    require_context,
)
from llmecon.specs import Deployment, Instance, Workload

Scalar = Float[Array, "..."]
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


def _prompt_turn(
    point: OperatingPoint,
    admitted: Scalar,
    deployment: Deployment,
    workload: Workload,
    quantile: Scalar,
) -> tuple[Scalar, Scalar]:
    """From a slot to the first token: mean and quantile, s."""
    at_once = prompts_at_once(deployment)
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


def service_of_point(
    instance: Instance,
    workload: Workload,
    point: OperatingPoint,
    full: OperatingPoint,
    offered: Scalar,
    target_quantile: Scalar,
) -> Service:
    """Latency at a point, given the point at which the instance is full.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
        point: what the instance does at the batch that it keeps in flight.
        full: the same at the largest batch.
        offered: requests arriving per second.
        target_quantile: share of requests that `ttft_quantile` covers.
    """
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
        point, admitted, instance.deployment, workload, target_quantile
    )
    efficiency = instance.efficiency
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


def serve(
    instance: Instance, workload: Workload, rate: Scalar, quantile: Scalar | float = 0.99
) -> Service:
    """Latency and batch of an instance at a given rate of requests.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
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
    require_context(instance.llm, workload)
    asked = jnp.maximum(jnp.asarray(rate, float), LOWEST_RATE)
    room = jnp.maximum(largest_batch(instance, workload), 1.0)
    full = operating_point(instance, workload, room)

    def shortfall(batch: Scalar) -> Scalar:
        point = operating_point(instance, workload, batch)
        return jnp.log(point.rate / asked)

    # Even the lightest load lies within: there are fewer in flight than rate times the least time.
    lightest = jnp.minimum(MINIMUM_BATCH, asked * SHORTEST_REQUEST)
    batch = solve_increasing(shortfall, lightest, room)
    point = operating_point(instance, workload, batch)
    offered, share = jnp.asarray(rate, float), jnp.asarray(quantile)
    return service_of_point(instance, workload, point, full, offered, share)


def service_at(
    instance: Instance, workload: Workload, batch: Scalar, quantile: Scalar | float = 0.99
) -> Service:
    """Latency and rate of an instance that keeps some requests in flight.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: lengths and burstiness.
        batch: requests in flight on average, > 0, relaxed; where it fills all room a queue grows.
        quantile: share of requests that `ttft_quantile` covers.

    Returns:
        The service at the rate that keeps so many in flight: `serve` the other way round.
    """
    room = jnp.maximum(largest_batch(instance, workload), 1.0)
    full = operating_point(instance, workload, room)
    held = jnp.minimum(batch, room)
    point = operating_point(instance, workload, held)
    share = jnp.asarray(quantile)
    return service_of_point(instance, workload, point, full, point.rate, share)
