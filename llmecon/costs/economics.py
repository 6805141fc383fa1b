"""What it costs: renting or owning devices, tokens, requests, fleets, and the API beside them."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.serving import OperatingPoint
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_MONTH,
    SECONDS_PER_YEAR,
    Deployment,
    Number,
    Site,
    Workload,
    number,
)

Scalar = Float[Array, "..."]


class Ownership(eqx.Module):
    """The terms on which a device is owned rather than rented.

    Attributes:
        price: of the device and its share of server and network, USD.
        lifetime: until it is written off, s.
        discount_rate: cost of capital per year, >= 0.
        maintenance: per year, as a share of the price.
        hosting: space and power capacity, USD per watt of rated power and second.
    """

    price: Number = number()
    lifetime: Number = number()
    discount_rate: Number = number()
    maintenance: Number = number()
    hosting: Number = number()


class OwnershipCost(eqx.Module):
    """Cost of owning a device, by part, USD per device and second.

    Attributes:
        capital: repayment and interest.
        maintenance: repairs and staff.
        hosting: space and power capacity.
        electricity: energy, facility overhead included.
    """

    capital: Scalar
    maintenance: Scalar
    hosting: Scalar
    electricity: Scalar

    @property
    def total(self) -> Scalar:
        """Everything, USD per device and second."""
        return self.capital + self.maintenance + self.hosting + self.electricity


class TokenCost(eqx.Module):
    """What the tokens of one request cost on a self-run instance.

    Attributes:
        request: one request, USD.
        input: per computed input token, USD.
        output: per output token, USD.
        blended: per token of either kind, prompt tokens from the cache included, USD.
    """

    request: Scalar
    input: Scalar
    output: Scalar
    blended: Scalar


class ApiPrice(eqx.Module):
    """A price list, USD per token.

    Attributes:
        input: a prompt token not in the cache.
        cached_input: a prompt token in the cache.
        output: an output token, hidden reasoning included.
        batch_discount: share taken off for work that may wait up to a day.
    """

    input: Number = number()
    cached_input: Number = number()
    output: Number = number()
    batch_discount: Number = number(default=0.0)


class Conversation(eqx.Module):
    """A chat or an agent at work: every turn sends the whole history again.

    Attributes:
        turns: calls to the model.
        system_tokens: instructions and tool descriptions that open every prompt.
        user_tokens: new input per turn: what the person says or a tool returns.
        output_tokens: output per turn, reasoning included.
        reuse: share of what could come from the prefix cache that does.
    """

    turns: Number = number()
    system_tokens: Number = number()
    user_tokens: Number = number()
    output_tokens: Number = number()
    reuse: Number = number(default=1.0)


class BreakEven(eqx.Module):
    """Where a fleet of one's own costs as much as an API.

    Attributes:
        exists: 1 if there is such a volume, 0 if the API stays cheaper at any.
        requests_per_second: the mean rate at which both cost the same; infinite if none.
    """

    exists: Scalar
    requests_per_second: Scalar


def capital_recovery_factor(discount_rate: Scalar, years: Scalar) -> Scalar:
    """The yearly payment that repays one unit of capital with interest.

    Args:
        discount_rate: per year, >= 0.
        years: number of yearly payments, > 0.

    Returns:
        r / (1 - (1 + r)**-n) per year, 1/n at r = 0 [BarrosoHolzle].
    """
    # At r = 0 the quotient is 0/0; below 1e-6 its series is exact to double precision.
    small = discount_rate < 1e-6
    safe = jnp.where(small, 1e-6, discount_rate)
    exact = safe / -jnp.expm1(-years * jnp.log1p(safe))
    series = 1.0 / years + 0.5 * (1.0 + 1.0 / years) * discount_rate
    return jnp.where(small, series, exact)


def ownership_cost(
    terms: Ownership, rated_power: Scalar, mean_power: Scalar, site: Site
) -> OwnershipCost:
    """Cost of owning a device, whether or not it is busy.

    Args:
        terms: price, lifetime, cost of capital, maintenance, hosting.
        rated_power: of the device and its share of the server, W: what hosting is billed by.
        mean_power: drawn on average, W.
        site: its PUE and price of electricity.

    Returns:
        USD per device and second, by part.
    """
    years = terms.lifetime / SECONDS_PER_YEAR
    factor = capital_recovery_factor(terms.discount_rate, years)
    return OwnershipCost(
        capital=terms.price * factor / SECONDS_PER_YEAR,
        maintenance=terms.price * terms.maintenance / SECONDS_PER_YEAR,
        hosting=terms.hosting * rated_power,
        electricity=mean_power * site.pue * site.electricity_price,
    )


def hosting_rate(usd_per_kw_month: Scalar) -> Scalar:
    """Colocation's usual quote, USD per kW and month, as USD per W and second."""
    return usd_per_kw_month / 1000.0 / SECONDS_PER_MONTH


def electricity_price(usd_per_kwh: Scalar) -> Scalar:
    """USD per kWh as USD per joule."""
    return usd_per_kwh / JOULES_PER_KWH


def token_cost(
    point: OperatingPoint,
    deployment: Deployment,
    workload: Workload,
    device_cost: Scalar,
    utilisation: Scalar | float = 1.0,
) -> TokenCost:
    """Cost of tokens on an instance, input and output apart by the time that each takes.

    Args:
        point: what the instance does when it is used.
        deployment: its number of devices.
        workload: tokens per request.
        device_cost: of one device, USD/s, used or not.
        utilisation: mean over provisioned request rate, in (0, 1].

    Returns:
        USD per request and per token.
    """
    request = deployment.xpus * device_cost / (point.rate * utilisation)
    computed = jnp.maximum(workload.computed_prompt_tokens, 1.0)
    return TokenCost(
        request=request,
        input=request * point.prefill_share / computed,
        output=request * (1.0 - point.prefill_share) / workload.output_tokens,
        blended=request / (workload.prompt_tokens + workload.output_tokens),
    )


def api_cost(price: ApiPrice, workload: Workload, batched: Scalar | float = 0.0) -> Scalar:
    """Cost of one request at an API's list price.

    Args:
        price: USD per token.
        workload: prompt, cached share and output.
        batched: share of requests sent through the batch interface.

    Returns:
        USD per request.
    """
    cached = workload.prompt_tokens * workload.cached_fraction
    full = (
        workload.computed_prompt_tokens * price.input
        + cached * price.cached_input
        + workload.output_tokens * price.output
    )
    return full * (1.0 - price.batch_discount * batched)


def conversation_workload(conversation: Conversation) -> Workload:
    """A conversation as its average request.

    Turn j sends the system prompt, j earlier exchanges and the new input, so prompts grow linearly
    and the sum over turns quadratically; everything but the new input could come from the cache.

    Args:
        conversation: turns and tokens per turn.

    Returns:
        The mean request: prompt, output, share of the prompt found in the cache, and the prompts'
        coefficient of variation over the turns.
    """
    n = conversation.turns
    exchange = conversation.user_tokens + conversation.output_tokens
    history = exchange * (n - 1.0) / 2.0
    prompt = conversation.system_tokens + history + conversation.user_tokens
    # The first turn finds nothing cached.
    reusable = conversation.system_tokens * (n - 1.0) / n + history
    variance = exchange**2 * jnp.maximum(n**2 - 1.0, 0.0) / 12.0
    spread = jnp.where(variance > 0.0, jnp.sqrt(jnp.where(variance > 0.0, variance, 1.0)), 0.0)
    return Workload(
        prompt_tokens=prompt,
        output_tokens=conversation.output_tokens,
        cached_fraction=conversation.reuse * reusable / prompt,
        prompt_cv=spread / prompt,
    )


def instances(peak_rate: Scalar, capacity: Scalar, spare: Scalar) -> Scalar:
    """Instances that carry a peak with some in reserve, relaxed.

    Args:
        peak_rate: requests per second at the peak.
        capacity: requests per second that one instance serves within its targets, > 0.
        spare: instances that may fail without breaking the targets (1 for N+1).

    Returns:
        Instances, at least 1 + spare; round up to buy.
    """
    return jnp.maximum(peak_rate / capacity, 1.0) + spare


def break_even(
    instance_cost: Scalar,
    capacity: Scalar,
    peak_to_mean: Scalar,
    spare: Scalar,
    api_request: Scalar,
) -> BreakEven:
    """The mean rate of requests above which a fleet of one's own is cheaper than an API.

    Below one full instance the fleet's cost is fixed, above it grows with the peak:
    instance_cost * (max(rate * peak_to_mean / capacity, 1) + spare) = api_request * rate.

    Args:
        instance_cost: of one instance, USD/s.
        capacity: requests per second of one instance within its targets.
        peak_to_mean: peak over mean rate, >= 1.
        spare: instances in reserve.
        api_request: price of one request at the API, USD.

    Returns:
        Whether the volume exists, and the volume.
    """
    fixed = instance_cost * (1.0 + spare) / api_request
    one_is_enough = fixed * peak_to_mean <= capacity
    saved = api_request - instance_cost * peak_to_mean / capacity
    exists = one_is_enough | (saved > 0.0)
    growing = instance_cost * spare / jnp.where(saved > 0.0, saved, 1.0)
    rate = jnp.where(one_is_enough, fixed, growing)
    return BreakEven(
        exists=jnp.where(exists, 1.0, 0.0),
        requests_per_second=jnp.where(exists, rate, jnp.inf),
    )


def margin(price: Scalar, cost: Scalar) -> Scalar:
    """Profit as a share of revenue."""
    return 1.0 - cost / price


def learning_rate(years: Float[Array, " n"], prices: Float[Array, " n"]) -> Scalar:
    """How fast a price falls: the least-squares line through its logarithm.

    Args:
        years: dates, in years.
        prices: USD, > 0.

    Returns:
        The factor by which the price is multiplied in a year; below 1 if it falls.
    """
    x = years - jnp.mean(years)
    slope = jnp.sum(x * jnp.log(prices)) / jnp.sum(x**2)
    return jnp.exp(slope)


@dataclass(frozen=True)
class ImageRule:
    """By what a vendor bills images.

    Attributes:
        counts: "tiles" (base + tokens per tile begun), "area" (pixels over pixels per token) or
            "fixed" (the base).
        base_tokens: tokens whatever the size.
        tile: edge of a tile, px.
        tokens_per_tile: tokens each.
        pixels_per_token: for "area".
        box: longest side allowed, px.
        short_side: longest short side allowed, px.
        maximum: most tokens that an image can cost.
    """

    counts: str
    base_tokens: float = 0.0
    tile: float = 1.0
    tokens_per_tile: float = 0.0
    pixels_per_token: float = 1.0
    box: float = np.inf
    short_side: float = np.inf
    maximum: float = np.inf


def image_tokens(rule: ImageRule, width: int, height: int) -> float:
    """Tokens that an image is billed as, by its vendor's published rule.

    The image is shrunk to fit the box, then until its short side fits; then counted. Counting
    tiles is a staircase, so this function is for figures, not for gradients.

    Args:
        rule: its published rule.
        width: px.
        height: px.

    Returns:
        Tokens.
    """
    scale = min(1.0, rule.box / max(width, height))
    scale = min(scale, rule.short_side / min(width, height))
    wide, high = width * scale, height * scale
    counted = {
        "tiles": rule.tokens_per_tile * np.ceil(wide / rule.tile) * np.ceil(high / rule.tile),
        "area": np.ceil(wide * high / rule.pixels_per_token),
        "fixed": 0.0,
    }[rule.counts]
    return float(min(rule.base_tokens + counted, rule.maximum))
