"""How an instance's devices share a model: the layout that serves most, and the usual one."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.serving.batching import MINIMUM_BATCH, largest_batch, operating_point, require_context
from llmecon.serving.service import service_of_point
from llmecon.serving.targets import Capacity, capacity, meets
from llmecon.specs import (
    LLM,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    LatencyTarget,
    Precision,
    Workload,
)

Scalar = Float[Array, "..."]

# The layouts that are considered: devices per layer, and consecutive groups of layers.
TENSOR_WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
PIPELINE_DEPTHS = (1.0, 2.0, 4.0)
SEARCHED_BATCHES = 48
TOLERATED_LOSS = 0.05


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
        overlap=np.zeros_like(tensor),
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
    require_context(llm, workload)
    layouts = _layouts(precision)
    # The search needs no gradient; the winner's capacity has its own.
    searched = jax.lax.stop_gradient((llm, xpu, workload, efficiency, target))

    def score(layout: Deployment) -> tuple[Scalar, Scalar]:
        llm, xpu, workload, efficiency, target = searched
        allowed = (layout.tensor <= xpu.link_domain) & (
            (layout.pipeline <= 1.0) | (xpu.link_domain > 1.0)
        )
        instance = Instance(llm, xpu, layout, efficiency)
        room = largest_batch(instance, workload)
        batches = jnp.geomspace(MINIMUM_BATCH, jnp.maximum(room, 1.0), SEARCHED_BATCHES)
        points = jax.vmap(lambda batch: operating_point(instance, workload, batch))(batches)
        full = jax.tree.map(lambda leaf: leaf[-1], points)
        services = jax.vmap(
            lambda point: service_of_point(
                instance, workload, point, full, point.rate, target.quantile
            )
        )(points)
        served = jnp.max(jnp.where(meets(services, target), points.rate, 0.0)) / layout.xpus
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
    return chosen, capacity(Instance(llm, xpu, chosen, efficiency), workload, target)


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
