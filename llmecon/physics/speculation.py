"""Drafting near, verifying far: a small model proposes tokens, a large one checks them at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.specs import Number, number

Scalar = Float[Array, "..."]

# The longest draft considered, and the shortest that is still a draft.
LONGEST = 64.0
SHORTEST = 1e-3


class Draft(eqx.Module):
    """A drafting model beside or away from the model that verifies.

    Attributes:
        acceptance: chance that a drafted token is accepted, 0 to 1.
        seconds: time to draft a token.
        verification: time of the pass that checks a draft.
        round_trip: time between sending a draft and hearing of it, besides the pass; 0 if both
            models stand in one place.
    """

    acceptance: Number = number()
    seconds: Number = number()
    verification: Number = number()
    round_trip: Number = number(default=0.0)


def tokens_per_round(acceptance: Scalar, drafted: Scalar) -> Scalar:
    """Tokens that one pass of the large model yields on average.

    Args:
        acceptance: chance that a drafted token is accepted, 0 to 1.
        drafted: tokens drafted a round, 0 or more.

    Returns:
        (1 - a**(g + 1)) / (1 - a) [Leviathan2022]; 1 without drafts, g + 1 if all are accepted.
    """
    safe = jnp.clip(acceptance, 1e-9, 1.0 - 1e-9)
    series = (1.0 - safe ** (drafted + 1.0)) / (1.0 - safe)
    return jnp.where(acceptance < 1.0, series, drafted + 1.0)


def seconds_per_token(draft: Draft, drafted: Scalar) -> Scalar:
    """Time per output token when drafts of some length are checked one after the other.

    Args:
        draft: the two models and what lies between them.
        drafted: tokens a round, 0 or more.

    Returns:
        Seconds; without drafts that of the large model, a round trip away for every token.
    """
    cycle = drafted * draft.seconds + draft.verification + draft.round_trip
    return cycle / tokens_per_round(draft.acceptance, drafted)


def best_length(draft: Draft) -> Scalar:
    """The draft length, taken as continuous, that makes tokens come fastest.

    Args:
        draft: the two models and what lies between them.

    Returns:
        Tokens a round, where one more costs as much time as it saves: near 0 where drafting does
        not pay, at most LONGEST.
    """

    def slope(drafted: Scalar) -> Scalar:
        return jax.grad(lambda g: jnp.log(seconds_per_token(draft, g)))(drafted)

    return solve_increasing(slope, SHORTEST, LONGEST)


def acceptance_to_pay(draft: Draft, drafted: Scalar, alone: Scalar) -> Scalar:
    """The acceptance from which drafting beats the large model alone.

    Args:
        draft: the two models and what lies between them; its own acceptance is not used.
        drafted: tokens a round, above 0.
        alone: time per output token of the large model without drafts, streamed, s.

    Returns:
        The least acceptance; 1 where none suffices, since a round yields at most one token more
        than was drafted.
    """

    def gain(acceptance: Scalar) -> Scalar:
        at = eqx.tree_at(lambda of: of.acceptance, draft, acceptance)
        return jnp.log(alone / seconds_per_token(at, drafted))

    found = solve_increasing(gain, 1e-9, 1.0 - 1e-9)
    return jnp.where(gain(found) < -1e-6, 1.0, found)
