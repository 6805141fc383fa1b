"""Prompts and tokens on instances of their own, as published [Zhong2024] and computed again."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.checks.older_engines import Engine
from llmecon.execution.interpreter import interpreted
from llmecon.numerics import solve_increasing
from llmecon.physics.queueing import lognormal_quantile, wait
from llmecon.specs import (
    Deployment,
    Instance,
    LatencyTarget,
    Workload,
    precision,
)
from llmecon.tables import catalog

Scalar = Float[Array, "..."]


def fixed_lengths(prompt_tokens: Scalar | float, output_tokens: Scalar | float) -> Workload:
    """Requests that all have the same lengths, tokens."""
    return Workload(prompt_tokens, output_tokens, prompt_cv=0.0, output_cv=0.0)


NO_LIMIT = 1e9
# Share of requests that must meet the limits of [DistServe2024].
STUDY_QUANTILE = 0.9
# The lengths of prompts that phases are compared over, tokens.
LENGTHS = (128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0)


class Split(eqx.Module):
    """Goodput with both phases on the same instances, and with each on instances of its own.

    Attributes:
        mixed: requests per second and device within the limits, phases together.
        apart: the same, phases apart, in the numbers of instances that keep both busy.
        prefill: prompts per second of a device that does nothing else.
        decode: requests per second of a device that only decodes.
    """

    mixed: Scalar
    apart: Scalar
    prefill: Scalar
    decode: Scalar


def split_phases(instance: Instance, workload: Workload, target: LatencyTarget) -> Split:
    """Goodput per device with prompts and tokens on the same instances, and apart.

    Args:
        instance: the same for both phases.
        workload: lengths and burstiness.
        target: limits on TTFT, which binds prompts, and on mean TPOT, which binds tokens.

    Returns:
        Requests per second and device; apart, 1 / (1 / prefill + 1 / decode), as in a service of
        many instances. Moving the KV cache is free here [Zhong2024].
    """
    together, apart = (
        eqx.tree_at(lambda of: of.deployment.disaggregated, instance, jnp.asarray(share))
        for share in (0.0, 1.0)
    )
    unhurried = LatencyTarget(NO_LIMIT, target.tpot, target.quantile)
    mixed = serving.capacity(together, workload, target).rate
    found = serving.capacity(apart, workload, unhurried)
    prefill = _prompts_within(apart, workload, target, found)
    decode = found.rate
    both = prefill * decode / jnp.maximum(prefill + decode, 1e-30)
    devices = instance.deployment.xpus
    return Split(mixed / devices, both / devices, prefill / devices, decode / devices)


def _prompts_within(
    instance: Instance, workload: Workload, target: LatencyTarget, at: serving.Capacity
) -> Scalar:
    """Prompts per second of an instance that computes nothing else, within the limit on TTFT."""
    alone = at.service.point.prefill
    most = serving.prefill_rate(instance, workload)
    at_once = jnp.maximum(most * alone, 1.0)
    own = alone * lognormal_quantile(target.quantile, workload.prompt_cv)

    def excess(rate: Scalar) -> Scalar:
        queue = wait(
            rate / most,
            most,
            at_once,
            workload.interarrival_cv,
            workload.prompt_cv,
            serving.HORIZON,
        )
        first = instance.efficiency.request_time + own + queue.quantile(target.quantile)
        return jnp.log(instance.efficiency.first_token_multiple * first / target.ttft)

    rate = solve_increasing(excess, 1e-4 * most, most)
    return jnp.where(excess(rate) <= 1e-6, rate, 0.0)


@interpreted
def _along(
    instance: Instance,
    prompts: Float[Array, " n"],
    output_tokens: Scalar,
    target: LatencyTarget,
) -> Split:
    def at(prompt_tokens: Scalar) -> Split:
        workload = fixed_lengths(prompt_tokens, output_tokens)
        return split_phases(instance, workload, target)

    found: Split = jax.vmap(at)(prompts)
    return found


def split_by_length(
    model: str,
    xpu: str,
    tensor: float,
    output_tokens: float,
    target: LatencyTarget,
    engine: Engine,
    lengths: tuple[float, ...] = LENGTHS,
) -> pd.DataFrame:
    """What splitting the phases gains along the length of prompts.

    Args:
        model: id of the model, in 16 bits.
        xpu: id of the accelerator.
        tensor: devices of an instance.
        output_tokens: of every request.
        target: limits.
        engine: the serving software.
        lengths: of prompts, tokens.

    Returns:
        Columns `prompt_tokens`, `mixed`, `apart`, `prefill`, `decode` in requests per second and
        device, and `gain`, apart over mixed; not a number where neither is feasible.
    """
    layout = Deployment(tensor=tensor, precision=precision("bf16"))
    found = _along(
        Instance(catalog.llm(model), engine.xpu(xpu), layout, engine.efficiency),
        jnp.array(lengths),
        jnp.asarray(output_tokens),
        target,
    )
    frame = pd.DataFrame({"prompt_tokens": lengths})
    for name in ("mixed", "apart", "prefill", "decode"):
        frame[name] = np.asarray(getattr(found, name))
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["gain"] = frame["apart"].to_numpy() / frame["mixed"].to_numpy()
    return frame
