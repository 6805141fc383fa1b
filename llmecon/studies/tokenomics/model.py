"""What a token costs: one function of a case, all of whose ids are resolved into records.

The headline numbers, their intervals and elasticities, the live panel, sweeps and tests all call
`answer`. The fleet in it is bought for the efficiencies of the case and counted in whole instances,
so that nothing but prices and loads moves what it costs; what a token costs at scale, where neither
spares nor rounding count, follows every input.
"""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import carbon, economics, per_request
from llmecon.costs.economics import ApiPrice, Ownership, OwnershipCost, TokenCost
from llmecon.numerics import whole
from llmecon.physics.energy import Energy
from llmecon.serving import Capacity, Service, experience
from llmecon.serving.experience import Reader
from llmecon.specs import (
    LLM,
    SECONDS_PER_DAY,
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

Scalar = Float[Array, "..."]

GRAMS = 1000.0  # in a kilogram
MILLION = 1e6  # tokens, that prices are quoted for

RENTING, OWNING, CALLING = "renting", "owning", "calling an API"
"""The ways to pay for an answer, as a reader calls them."""


class Case(eqx.Module):
    """A service and its prices: all that the cost of a token depends on.

    Attributes:
        llm: the model that is served.
        xpu: the accelerator that serves it.
        layout: of an instance.
        efficiency: what its kernels and servers attain.
        requests: lengths and burstiness.
        target: limits on TTFT and TPOT.
        site: where the fleet stands.
        reader: what the reader of an answer expects.
        api: the rival's price list.
        owned: terms on which a device is owned; None where it can't be bought.
        load: requests per second of the whole service, on average.
        peak_to_mean: busiest load over mean load.
        spares: instances that may fail without harm.
        rent: of one device, USD/s.
        rated_power: of a device and its share of the server, W: what hosting is billed by.
        way: how the fleet is paid for, renting or owning.
    """

    llm: LLM
    xpu: XPU
    layout: Deployment
    efficiency: Efficiency
    requests: Workload
    target: LatencyTarget
    site: Site
    reader: Reader
    api: ApiPrice
    owned: Ownership | None
    load: Number = number()
    peak_to_mean: Number = number()
    spares: Number = number()
    rent: Number = number()
    rated_power: Number = number(default=0.0)
    way: str = eqx.field(static=True, default=RENTING)

    @property
    def instance(self) -> Instance:
        """What serves the requests."""
        return Instance(self.llm, self.xpu, self.layout, self.efficiency)


class Answer(eqx.Module):
    """What the service takes and costs.

    Attributes:
        full: an instance at the most that the limits on time allow.
        needed: instances that carry the busiest load with the spares, in parts.
        instances: that are bought, in whole.
        devices: in them.
        service: an instance at the mean load.
        energy: of a request at the data centre's meter, J.
        emitted: by the electricity of a request, kg CO2e.
        tokens: costs of tokens on a rented instance that is always full.
        ownership: of a device, USD/s by part; None where it can't be bought.
        costs: of a request, USD, by the way to pay for it.
        break_even: mean load above which a way to run a fleet beats the API, requests/s; infinite
            where it never does.
        answer_time: from the request to the last token, s.
        experience: quality of the reader's experience, 0 to 1.
    """

    full: Capacity
    needed: Scalar
    instances: Scalar
    devices: Scalar
    service: Service
    energy: Energy
    emitted: Scalar
    tokens: TokenCost
    ownership: OwnershipCost | None
    costs: Mapping[str, Scalar]
    break_even: Mapping[str, Scalar]
    answer_time: Scalar
    experience: Scalar


def answer(case: Case) -> Answer:
    """What the service takes and costs.

    Args:
        case: the service and its prices.

    Returns:
        The fleet, its service at the mean load, and what a request costs each way.
    """
    full = serving.capacity(case.instance, case.requests, case.target)
    needed = per_request.needed(full, case.load, case.peak_to_mean, case.spares)
    instances = jax.lax.stop_gradient(whole(needed))
    shared, service = per_request.dispatch(
        "spread", case.load, instances, None, lambda rate: _served(case, rate)
    )
    energy = per_request.request_energy(shared, service.point, case.instance, case.site)
    ownership = _ownership(case, service)
    devices = instances * case.layout.xpus
    hourly = {RENTING: case.rent} | ({} if ownership is None else {OWNING: ownership.total})
    called = economics.api_cost(case.api, case.requests)
    rate = jnp.where(full.feasible > 0, full.rate, 1.0)
    breaks_even = {
        way: economics.break_even(
            case.layout.xpus * price, rate, case.peak_to_mean, case.spares, called
        ).requests_per_second
        for way, price in hourly.items()
    }
    ttft, tpot, length = service.ttft, service.point.tpot, case.requests.output_tokens
    return Answer(
        full=full,
        needed=needed,
        instances=instances,
        devices=devices,
        service=service,
        energy=energy,
        emitted=carbon.operational_carbon(energy, case.site),
        tokens=economics.token_cost(full.service.point, case.layout, case.requests, case.rent),
        ownership=ownership,
        costs={way: devices * price / case.load for way, price in hourly.items()}
        | {CALLING: called},
        break_even=breaks_even,
        answer_time=experience.response_time(ttft, tpot, length),
        experience=experience.quality_of_experience(ttft, tpot, length, case.reader),
    )


def at_batch(case: Case, batch: Scalar) -> tuple[Scalar, Scalar]:
    """A large fleet whose instances keep so many requests in flight at the peak.

    Args:
        case: the service and its prices.
        batch: requests in flight on an instance.

    Returns:
        Tokens per second that a user sees, and what a million tokens cost on average, USD.
    """
    point = serving.operating_point(case.instance, case.requests, batch)
    cost = economics.token_cost(point, case.layout, case.requests, case.rent)
    return 1.0 / point.tpot, cost.blended * case.peak_to_mean * MILLION


def largest_batch(case: Case) -> Scalar:
    """Requests that an instance of the case can hold in flight; 0 where the model doesn't fit."""
    return serving.largest_batch(case.instance, case.requests)


def per_million(case: Case) -> Scalar:
    """Requests that have a million tokens."""
    found: Scalar = MILLION / (case.requests.prompt_tokens + case.requests.output_tokens)
    return found


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told."""
    return told(answer(case), case)


def told(found: Answer, case: Case) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told."""
    requests = per_million(case)
    return {
        "usd_per_mtok": found.costs[case.way] * requests,
        "usd_per_mtok_api": found.costs[CALLING] * requests,
        "break_even_requests_per_day": found.break_even[case.way] * SECONDS_PER_DAY,
        "output_over_input_cost": found.tokens.output / found.tokens.input,
        "answer_time_s": found.answer_time,
        "speed_tokens_per_s": 1.0 / found.service.point.tpot,
        "quality_of_experience": found.experience,
        "g_co2e_per_mtok": GRAMS * found.emitted * requests,
        "usd_per_mtok_at_scale": found.tokens.blended * case.peak_to_mean * MILLION,
    }


UNITS = {
    "usd_per_mtok": "USD",
    "usd_per_mtok_api": "USD",
    "break_even_requests_per_day": "requests per day",
    "output_over_input_cost": "",
    "answer_time_s": "s",
    "speed_tokens_per_s": "tokens/s",
    "quality_of_experience": "fraction",
    "g_co2e_per_mtok": "g",
    "usd_per_mtok_at_scale": "USD",
}
"""Units of the headline numbers."""


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input; several fields that move together are one input.
    """
    xpu, requests, target = effects.xpu, effects.requests, effects.target
    own = effects.efficiency
    return {
        "arithmetic rate (all precisions)": xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops,
        "memory bandwidth": xpu.memory_bandwidth,
        "memory capacity": xpu.memory,
        "links": xpu.link_bandwidth + xpu.network_bandwidth,
        "prompt length": requests.prompt_tokens,
        "output length": requests.output_tokens,
        "burstiness": requests.interarrival_cv,
        "limit on TTFT": target.ttft,
        "limit on TPOT": target.tpot,
        "software overheads": own.host_time + own.host_time_per_sequence + own.kernel_time,
        "peak to mean": effects.peak_to_mean,
        "price of an xPU-hour": effects.rent,
        "requests": effects.load,
        "rated power": xpu.tdp,
        "PUE": effects.site.pue,
        "carbon intensity": effects.site.carbon_intensity,
        "price of electricity": effects.site.electricity_price,
        "reading speed": effects.reader.speed,
    }


def _served(case: Case, rate: Scalar) -> Service:
    return serving.serve(case.instance, case.requests, rate)


def _ownership(case: Case, service: Service) -> OwnershipCost | None:
    """What a device of one's own costs at the mean load, USD/s; None where it can't be bought."""
    if case.owned is None:
        return None
    drawn = service.point.power + case.efficiency.host_power * case.xpu.tdp
    return economics.ownership_cost(case.owned, case.rated_power, drawn, case.site)
