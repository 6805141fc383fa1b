"""Services and training on hardware of one's own, priced by the token."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.adaptation.offers import Machines, Service, Tariff, Trainer
from llmecon.physics.architecture import parameters, weight_bytes
from llmecon.physics.energy import energy_of
from llmecon.specs import (
    LLM,
    Instance,
    LatencyTarget,
    Number,
    Precision,
    Site,
    Workload,
    number,
)
from llmecon.training import Reliability, TrainingJob
from llmecon.training.planning import TrainingPlan, plan_for_deadline

Scalar = Float[Array, "..."]

ADAPTER_BYTES = 2.0  # adapters stay in 16 bits


class OwnDevices(eqx.Module):
    """Accelerators of one's own, alike.

    Attributes:
        site: where they stand.
        cost: USD per device and second.
        making: embodied carbon, kg CO2e per device and second.
    """

    site: Site
    cost: Number = number()
    making: Number = number(default=0.0)


def own_service(
    instance: Instance,
    workload: Workload,
    target: LatencyTarget,
    devices: OwnDevices,
    peak_to_mean: Scalar | float = 1.0,
    slowdown: Scalar | float = 1.0,
) -> Service:
    """A service on hardware of one's own, its price as a rate by the token.

    The rates are the gradient of what `serving.capacity` says of a request; what remains is put
    on the request. So they are exact for the typical request and to first order around it.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: the typical request.
        target: limits on TTFT and TPOT.
        devices: that instances are made of.
        peak_to_mean: peak over mean rate of requests, >= 1; instances are there for the peak.
        slowdown: what adapters make of every time (`adapter_slowdown`).

    Returns:
        Rates and machines; infinite or NaN where the instance serves nothing within its targets.
    """
    cached = workload.prompt_tokens * workload.cached_fraction
    typical = jnp.stack([workload.computed_prompt_tokens, cached, workload.output_tokens])

    def takes(tokens: Float[Array, "3"]) -> Scalar:
        prompt = tokens[0] + tokens[1]
        asked = eqx.tree_at(
            lambda of: (of.prompt_tokens, of.cached_fraction, of.output_tokens),
            workload,
            (prompt, tokens[1] / prompt, tokens[2]),
        )
        most = serving.capacity(instance, asked, target)
        return slowdown * peak_to_mean / most.rate

    each, rates = takes(typical), jax.grad(takes)(typical)
    held = Tariff(each - rates @ typical, *rates)
    cost = instance.deployment.xpus * devices.cost
    return Service(
        price=jax.tree.map(lambda seconds: seconds * cost, held),
        least_price=cost,
        machines=Machines(instance, devices.site, workload, held, devices.making, slowdown),
    )


def adapter_slowdown(
    llm: LLM, precision: Precision, weights: Scalar, adapters: Scalar, batch: Scalar
) -> Scalar:
    """What reading many adapters beside the weights makes of a decode step.

    Args:
        llm: the model.
        precision: of its weights.
        weights: in one adapter.
        adapters: that are in use.
        batch: requests in flight, which no more adapters than these can serve.

    Returns:
        A multiple of its time, as if all of it went into reading; 1 where there is one adapter,
        which is merged into the weights [Sheng2023].
    """
    distinct = jnp.minimum(adapters, batch)
    extra = distinct * weights * ADAPTER_BYTES / weight_bytes(llm, precision)
    return 1.0 + jnp.where(adapters > 1.0, extra, 0.0)


def own_trainer(
    job: TrainingJob,
    deadline: Scalar | float,
    reliability: Reliability,
    devices: OwnDevices,
    release: Scalar | float = 0.0,
) -> tuple[Trainer, TrainingPlan]:
    """Training on hardware of one's own, by the token.

    Args:
        job: a typical run: its tokens, the share of weights trained, and on what.
        deadline: for that run, s.
        reliability: failures and what they cost.
        devices: that train.
        release: of evaluating and releasing a model, USD.

    Returns:
        What a token takes, and the plan behind it, which says whether the run fits.
    """
    plan = plan_for_deadline(job, jnp.asarray(deadline), reliability)
    each = plan.device_seconds / job.run.tokens
    host = job.efficiency.host_power * job.xpu.tdp
    drawn = energy_of(each, plan.step.power, host, devices.site).total
    trainer = Trainer(
        price=each * devices.cost,
        carbon=drawn * devices.site.carbon_intensity + each * devices.making,
        weights=parameters(job.llm).total * job.run.trainable,
        round=release,
    )
    return trainer, plan
