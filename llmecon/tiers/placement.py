"""Which region and which hours: carbon-aware placement and time-shifting, at what cost and delay.

Hours lie on a circle: after the last comes the first. A day has 24, but any number works. Several
regions have to count their hours from the same moment, so use UTC.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.specs import Number, number

Scalar = Float[Array, "..."]


class Shift(NamedTuple):
    """A day's load after what can wait has moved into cleaner hours.

    Attributes:
        load: by hour, in the unit of the load before.
        intensity: mean intensity met by all of the load, kg CO2e/J.
        saving: share of the load's emissions that moving saves; below 0 where work has to leave an
            hour that was too full for a dirtier one.
        delay: mean time that flexible work waits, hours (the spacing of the load).
        busiest: largest load of an hour over the largest before.
    """

    load: Float[Array, " hours"]
    intensity: Scalar
    saving: Scalar
    delay: Scalar
    busiest: Scalar


class Region(eqx.Module):
    """A place to answer requests; a leading dimension holds several, the home region first.

    Attributes:
        intensity: of its electricity, kg CO2e/J.
        price: of its electricity, USD/J.
        round_trip: between the user and its data centre, s.
    """

    intensity: Number = number()
    price: Number = number()
    round_trip: Number = number()


class Request(eqx.Module):
    """What a request takes, wherever it is answered.

    Attributes:
        energy: of the data centre, cooling included, J.
        fixed: emissions that do not depend on the place, such as those of hardware, kg CO2e.
        seconds: response time without the round trip.
    """

    energy: Number = number()
    fixed: Number = number(default=0.0)
    seconds: Number = number(default=0.0)


class Option(NamedTuple):
    """A request answered in each of several regions.

    Attributes:
        kg: emissions, kg CO2e.
        usd: electricity, USD.
        seconds: response time, round trip included.
        usd_per_kg: cost of the carbon avoided against home, USD per kg CO2e: below 0 where the
            cleaner electricity is cheaper too, infinite where no carbon is avoided.
    """

    kg: Float[Array, " regions"]
    usd: Float[Array, " regions"]
    seconds: Float[Array, " regions"]
    usd_per_kg: Float[Array, " regions"]


def cleanest_within(intensity: Float[Array, " hours"], delay: int) -> Float[Array, " hours"]:
    """The intensity met by work that waits for the cleanest hour it can reach.

    Args:
        intensity: of a grid by hour, kg CO2e/J.
        delay: whole hours that work may wait, 0 or more; those beyond a full circle change nothing.

    Returns:
        By hour of arrival, kg CO2e/J [Wiesner2021]; without a delay, the grid's own.

    Raises:
        InputError: a negative delay.
    """
    if delay < 0:
        raise InputError(f"delay: {delay} hours; work can't run before it arrives, use 0 or more")
    reached = min(delay + 1, intensity.shape[0])
    return jnp.min(jnp.stack([jnp.roll(intensity, -waited) for waited in range(reached)]), axis=0)


def shifted(
    load: Float[Array, " hours"],
    flexible_share: Scalar,
    intensity: Float[Array, " hours"],
    capacity: Scalar,
) -> Shift:
    """Move flexible work into the cleanest hours of the day that have room.

    Interactive work stays in its hour. Above it, hours are filled up to the capacity, the cleanest
    first [Radovanovic2023]; among equally clean ones, first those where the work arrived, then the
    earlier ones. Work that no hour has room for stays where it arrived, the same share of every
    hour's.

    Args:
        load: by hour of arrival, any unit, 0 or more.
        flexible_share: share of every hour's load that may run at any hour, 0 to 1.
        intensity: of the grid by hour, kg CO2e/J.
        capacity: the most that an hour holds, in the unit of the load.

    Returns:
        The day after moving; no way of moving within the capacity emits less. The delay is the
        least with which work can get from where it arrives to where it runs, forward in time.
    """
    flexible = flexible_share * load
    interactive = load - flexible
    room = jnp.maximum(capacity - interactive, 0.0)
    total = jnp.sum(flexible)
    moving = jnp.minimum(total, jnp.sum(room))
    arriving = flexible * _over(moving, total)

    own = jnp.minimum(arriving, room)
    slots = jnp.concatenate([own, room - own])
    # A stable sort keeps an hour's own work before that of others where both are as clean.
    order = jnp.argsort(jnp.tile(intensity, 2), stable=True)
    ordered = slots[order]
    filled = jnp.clip(moving - (jnp.cumsum(ordered) - ordered), 0.0, ordered)
    placed = jnp.sum(jnp.zeros_like(slots).at[order].set(filled).reshape(2, -1), axis=0)

    # What waits at the end of each hour, up to a constant: the least that leaves none below 0.
    waiting = jnp.cumsum(arriving - placed)
    waiting = waiting - jnp.min(waiting)
    after = interactive + (flexible - arriving) + placed
    emitted = jnp.sum(after * intensity)
    before = jnp.sum(load * intensity)
    return Shift(
        load=after,
        intensity=_over(emitted, jnp.sum(load)),
        saving=_over(before - emitted, before),
        delay=_over(jnp.sum(waiting), total),
        busiest=_over(jnp.max(after), jnp.max(load)),
    )


def follow(
    intensities: Float[Array, "regions hours"],
    load: Float[Array, " hours"],
    movable_share: Scalar,
) -> Scalar:
    """The intensity met by a load that follows the cleanest region around the clock.

    Args:
        intensities: of the regions by hour, the home region first, all from one moment on (UTC),
            kg CO2e/J.
        load: by hour, any unit, 0 or more.
        movable_share: share of the load that may run in any region, 0 to 1; the rest stays home.

    Returns:
        Mean over the load, kg CO2e/J.
    """
    cleanest = jnp.min(intensities, axis=0)
    met = intensities[0] + movable_share * (cleanest - intensities[0])
    return _over(jnp.sum(load * met), jnp.sum(load))


def place(region: Region, request: Request) -> Option:
    """What a request emits, costs in electricity and takes in each of several regions.

    Args:
        region: the places, with a leading dimension, the home region first.
        request: its energy, taken to be the same everywhere, other emissions and time.

    Returns:
        By region.
    """
    kg = request.energy * region.intensity + request.fixed
    usd = request.energy * region.price
    saved = request.energy * (region.intensity[0] - region.intensity)
    dearer = usd - usd[0]
    return Option(
        kg=kg,
        usd=usd,
        seconds=request.seconds + region.round_trip,
        usd_per_kg=jnp.where(saved > 0, _over(dearer, saved), jnp.inf),
    )


def cleanest_within_limit(option: Option, limit: Scalar) -> Float[Array, " regions"]:
    """Choose the cleanest region that answers in time.

    Args:
        option: the request in each region (`place`).
        limit: longest response time allowed, s.

    Returns:
        1 for the region chosen, the first of several equally clean, and 0 for the others; the
        fastest where none answers in time. Weigh with it: `weights @ option.kg`.
    """
    in_time = option.seconds <= limit
    cleanest = jnp.argmin(jnp.where(in_time, option.kg, jnp.inf))
    chosen = jnp.where(jnp.any(in_time), cleanest, jnp.argmin(option.seconds))
    return (jnp.arange(option.kg.shape[0]) == chosen).astype(option.kg.dtype)


def _over(part: Scalar, whole: Scalar) -> Scalar:
    # Nothing is no share of nothing.
    some = whole > 0
    return jnp.where(some, part / jnp.where(some, whole, 1.0), 0.0)
