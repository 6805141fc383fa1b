"""Which way to answer is best: knobs by gradient, boundaries by roots, worth of knowing more."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float
from scipy import stats

from llmecon.adaptation import METHODS, Case, Knobs, Knowledge, Offers, Outcome, bill, outcome
from llmecon.numerics import evenly_spread, solve_increasing
from llmecon.specs import SECONDS_PER_DAY

Scalar = Float[Array, "..."]

# What can be set, from least to most. Intervals end with the life of the base model.
LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "passages": (1.0, 200.0),
        "passage_tokens": (32.0, 2048.0),
        "exposures": (1.0, 3000.0),
        "interval": (SECONDS_PER_DAY, np.inf),
        "replay": (1e-3, 1.0),
    }
)
FREE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "as-is": (),
        "rag": ("passages", "passage_tokens"),
        "lora": ("exposures", "interval", "replay"),
        "full": ("exposures", "interval", "replay"),
        "both": ("passages", "passage_tokens", "exposures", "interval", "replay"),
        "long-context": (),
    }
)
"""The knobs that each way to answer has."""

# Of the curve that a cost is, along an unknown.
DEGREE = 3
STARTS = 8
STEPS = 256
# The logistic is searched up to here on either side: nearer to a limit nothing changes any more.
REACH = 18.0


class Best(NamedTuple):
    """A way to answer with its best knobs.

    Attributes:
        knobs: those that the method has are at their best, the others as they were given.
        outcome: what it costs and does.
    """

    knobs: Knobs
    outcome: Outcome


def best(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, given: Knobs | None = None
) -> Best:
    """A way to answer with the knobs that make it cheapest, wrong answers included.

    The search follows the gradient of the logarithm of the cost (BFGS, in logarithms of the knobs,
    from several starts). The result's gradient is that at fixed knobs, which is that of the
    optimum: a knob at its best has no slope, one at its limit does not move.

    Args:
        method: one of `adaptation.METHODS`.
        case: the questions and documents.
        offers: the services, trainers and index.
        knowledge: how well the model finds, reads and learns.
        given: knobs to keep; those that are NaN, and by default all, are searched.

    Returns:
        Knobs and outcome.

    Raises:
        InputError: no such method.
    """
    knobs = best_knobs(method, case, offers, knowledge, given)
    return Best(knobs, outcome(method, case, offers, knowledge, knobs))


def least_bill(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, given: Knobs | None = None
) -> Scalar:
    """What a way to answer costs with the knobs that make it cheapest: `best` without the rest.

    Args:
        method: one of `adaptation.METHODS`.
        case: the questions and documents.
        offers: the services, trainers and index; needs no machines.
        knowledge: how well the model finds, reads and learns.
        given: knobs to keep, as in `best`.

    Returns:
        USD over the horizon, wrong answers included.

    Raises:
        InputError: no such method.
    """
    knobs = best_knobs(method, case, offers, knowledge, given)
    return bill(method, case, offers, knowledge, knobs).total


def best_knobs(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, given: Knobs | None = None
) -> Knobs:
    """The knobs that make a way to answer cheapest; see `best`.

    Args:
        method: one of `adaptation.METHODS`.
        case: the questions and documents.
        offers: the services, trainers and index; needs no machines.
        knowledge: how well the model finds, reads and learns.
        given: knobs to keep, as in `best`.

    Returns:
        Those that the method has at their best, without a gradient.

    Raises:
        InputError: no such method.
    """
    start = Knobs(*(np.nan,) * len(LIMITS)) if given is None else given
    names = FREE.get(method, ())
    frozen = jax.lax.stop_gradient((case, offers, knowledge, start))
    return _searched(method, names, *frozen) if names else _neutral(start)


def _neutral(knobs: Knobs) -> Knobs:
    """Knobs without NaN: what is not used stays out of the way."""
    filled: Knobs = jax.tree.map(lambda value: jnp.where(jnp.isnan(value), 1.0, value), knobs)
    return filled


def _searched(
    method: str,
    names: tuple[str, ...],
    case: Case,
    offers: Offers,
    knowledge: Knowledge,
    given: Knobs,
) -> Knobs:
    """The cheapest knobs of several searches."""
    low = jnp.log(jnp.stack([jnp.asarray(LIMITS[name][0]) for name in names]))
    high = jnp.log(
        jnp.stack([jnp.minimum(jnp.asarray(LIMITS[name][1]), case.life) if name == "interval"
                   else jnp.asarray(LIMITS[name][1]) for name in names])
    )  # fmt: skip
    fixed = jnp.stack([getattr(given, name) for name in names])
    rest = _neutral(given)

    def placed(place: Float[Array, " knobs"]) -> Knobs:
        at = jnp.exp(low + (high - low) * jax.nn.sigmoid(jnp.clip(place, -REACH, REACH)))
        values = jnp.where(jnp.isnan(fixed), at, fixed)
        knobs: Knobs = eqx.tree_at(
            lambda of: tuple(getattr(of, name) for name in names), rest, tuple(values)
        )
        return knobs

    def cost(place: Float[Array, " knobs"], _: None) -> Scalar:
        return jnp.log(bill(method, case, offers, knowledge, placed(place)).total)

    def search(start: Float[Array, " knobs"]) -> tuple[Float[Array, " knobs"], Scalar]:
        found: Any = optx.minimise(
            cost,
            optx.BFGS(rtol=1e-9, atol=1e-11),
            start,
            max_steps=STEPS,
            throw=False,
        )
        value = cost(found.value, None)
        return found.value, jnp.where(jnp.isnan(value), jnp.inf, value)

    places, costs = jax.vmap(search)(_starts(len(names)))
    return placed(places[jnp.argmin(costs)])


def _starts(dimensions: int) -> Float[Array, "starts knobs"]:
    """Where searches begin, spread evenly."""
    share = evenly_spread(STARTS, dimensions)
    return jnp.asarray(np.log(share / (1.0 - share)))


def best_of_all(
    case: Case, offers: Offers, knowledge: Knowledge, methods: tuple[str, ...] = METHODS
) -> dict[str, Best]:
    """Every way to answer, each with its best knobs.

    Args:
        case: the questions and documents.
        offers: the services, trainers and index.
        knowledge: how well the model finds, reads and learns.
        methods: some of `adaptation.METHODS`.

    Returns:
        By method.

    Raises:
        InputError: no such method.
    """
    return {method: best(method, case, offers, knowledge) for method in methods}


def advantage(method: str, other: str, case: Case, offers: Offers, knowledge: Knowledge) -> Scalar:
    """How much cheaper one way is than another, both with their best knobs.

    Args:
        method: one of `adaptation.METHODS`.
        other: another.
        case: the questions and documents.
        offers: the services, trainers and index.
        knowledge: how well the model finds, reads and learns.

    Returns:
        Logarithm of the other's cost over this one's: positive where this one is cheaper.

    Raises:
        InputError: no such method.
    """
    one, two = (least_bill(name, case, offers, knowledge) for name in (method, other))
    return jnp.log(two / one)


def switch(
    method: str,
    other: str,
    case_at: Callable[[Scalar], Case],
    lower: Scalar | float,
    upper: Scalar | float,
    offers: Offers,
    knowledge: Knowledge,
) -> Scalar:
    """Where a way to answer starts to be cheaper than another as something grows.

    Args:
        method: the way that wins where it is large.
        other: the way that wins where it is small.
        case_at: the case for a value of what grows, > 0.
        lower: the least considered.
        upper: the most considered.
        offers: the services, trainers and index.
        knowledge: how well the model finds, reads and learns.

    Returns:
        The value at which both cost the same, with the gradient of the implicit function; the
        nearer end where one of them wins throughout.

    Raises:
        InputError: no such method.
    """
    return solve_increasing(
        lambda value: advantage(method, other, case_at(value), offers, knowledge), lower, upper
    )


class Information(NamedTuple):
    """What it would be worth to know something before choosing.

    Attributes:
        saving: expected fall of the cost, in its unit.
        flips: probability that the choice would become another.
    """

    saving: float
    flips: float


def worth_of_knowing(
    costs: Float[np.ndarray, "draws ways"],
    unknown: Float[np.ndarray, " draws"],
    logarithm: bool = False,
) -> Information:
    """The expected value of perfect information about one of several unknowns.

    What each way costs on average for a value of the unknown is a curve through the draws; whoever
    knows the value chooses what is cheapest there, whoever does not chooses what is cheapest over
    all [Raiffa1961]. The curve is a cubic in the unknown's rank, fitted by least squares, which
    takes far fewer draws than means over bins do [Strong2014].

    Args:
        costs: of each way to choose, in each draw.
        unknown: its value in each draw.
        logarithm: whether the curve is that of the costs' logarithms, all > 0, times what their
            mean is above it; for long tails, which bend a curve below zero elsewhere.

    Returns:
        What knowing it saves, and how often that changes the choice.
    """
    place = 2.0 * (stats.rankdata(unknown) - 0.5) / len(unknown) - 1.0
    powers = np.polynomial.legendre.legvander(place, DEGREE)
    outcome = np.log(costs) if logarithm else costs
    fitted = powers @ np.linalg.lstsq(powers, outcome, rcond=None)[0]
    if logarithm:
        fitted = np.exp(fitted) * np.exp(outcome - fitted).mean(axis=0)
    usual = int(np.argmin(costs.mean(axis=0)))
    chosen = np.argmin(fitted, axis=1)
    saving = fitted[:, usual] - fitted.min(axis=1)
    return Information(float(saving.mean()), float((chosen != usual).mean()))
