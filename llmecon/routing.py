"""Sending requests to a weak or a strong model: what a router of some skill recovers.

Only some requests are answered rightly by the strong model alone: sending these gains, and a few
lose by being sent. A router sees a score that is higher where sending gains and lower where it
loses, blurred by noise of unit deviation, and sends what lies above a threshold. A skill of 0 is
chance, unlimited skill the oracle.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from llmecon.numerics import Solver, solve_increasing
from llmecon.specs import Number, number

Scalar = Float[Array, "..."]

# Thresholds beyond the most and the least that any score reaches, in deviations of the noise.
BEYOND = 12.0


class Pair(eqx.Module):
    """How a weak and a strong model differ on some questions.

    Attributes:
        gains: share that only the strong model answers rightly, above `losses`.
        losses: share that only the weak model answers rightly.
        weak: quality of the weak model alone, share answered rightly.
    """

    gains: Number = number()
    losses: Number = number()
    weak: Number = number()

    @property
    def strong(self) -> Scalar:
        """Quality of the strong model alone."""
        return self.weak + self.gains - self.losses


class Routed(NamedTuple):
    """What a router does at some threshold.

    Attributes:
        strong_share: share of requests sent to the strong model.
        recovered: share of the gap between the models that is closed; an oracle closes more
            than all of it, because it keeps what the strong model would lose.
    """

    strong_share: Scalar
    recovered: Scalar


def route(threshold: Scalar, skill: Scalar, pair: Pair) -> Routed:
    """Send all requests whose score lies above a threshold.

    Args:
        threshold: in deviations of the noise.
        skill: distance between the scores of requests that gain and those that don't care, and
            between these and those that lose, in deviations of the noise; 0 or more.
        pair: the two models.

    Returns:
        What is sent and recovered: a receiver operating characteristic [Green1966].
    """
    gaining, neutral, losing = (
        norm.sf(threshold - skill), norm.sf(threshold), norm.sf(threshold + skill)
    )  # fmt: skip
    rest = 1.0 - pair.gains - pair.losses
    return Routed(
        strong_share=pair.gains * gaining + rest * neutral + pair.losses * losing,
        recovered=(pair.gains * gaining - pair.losses * losing) / (pair.gains - pair.losses),
    )


def recovered(strong_share: Scalar, skill: Scalar, pair: Pair) -> Scalar:
    """What is recovered by sending a share of all requests.

    Args:
        strong_share: above 0 and below 1.
        skill: of the router, 0 or more.
        pair: the two models.

    Returns:
        The share of the gap that is closed: `strong_share` itself without skill.
    """

    def short(threshold: Scalar) -> Scalar:
        return strong_share - route(threshold, skill, pair).strong_share

    # Shifted so that the root search, which works on positive numbers, sees some.
    shift = BEYOND + skill
    found = solve_increasing(lambda at: short(at - shift), 1e-3, 2.0 * shift)
    return route(found - shift, skill, pair).recovered


def oracle(pair: Pair) -> Routed:
    """Send what only the strong model answers rightly, and nothing else.

    Args:
        pair: the two models.

    Returns:
        The least that must be sent to recover the most.
    """
    return Routed(pair.gains, pair.gains / (pair.gains - pair.losses))


def quality(closed: Scalar, pair: Pair) -> Scalar:
    """Share of requests answered rightly.

    Args:
        closed: share of the gap that is closed.
        pair: the two models.
    """
    return pair.weak + closed * (pair.strong - pair.weak)


def share_for(
    wanted: Scalar, skill: Scalar, pair: Pair, solve: Solver = solve_increasing
) -> Scalar:
    """The least share of requests to send that keeps a quality.

    Args:
        wanted: share answered rightly that is asked for, up to what the strong model attains.
        skill: of the router, 0 or more.
        pair: the two models; the strong one better than the weak.
        solve: how the threshold is found; `numerics.solve_unrolled` takes no loop.

    Returns:
        The share sent: nearly 0 where the weak model is good enough, 1 where nothing less will do.
    """
    shift = BEYOND + skill

    def short(height: Scalar) -> Scalar:
        # As the threshold falls from its height, quality rises from the weak model's.
        return quality(route(shift - height, skill, pair).recovered, pair) - wanted

    found = solve(short, 1e-3, 2.0 * shift)
    return route(shift - found, skill, pair).strong_share


class Chain(eqx.Module):
    """Three models from weak to strong: on a device, near it, and far away.

    Attributes:
        weak: quality of the first, share answered rightly.
        gains: share that the second answers rightly and the first doesn't.
        further_gains: share that the third answers rightly and the second doesn't.
        losses: share that the first answers rightly and the second doesn't.
        further_losses: share that the second answers rightly and the third doesn't.
    """

    weak: Number = number()
    gains: Number = number()
    further_gains: Number = number()
    losses: Number = number()
    further_losses: Number = number()


class Cascaded(NamedTuple):
    """What a router over three models does at two thresholds.

    Attributes:
        shares: of requests that each of the three answers; they sum to 1.
        quality: share of requests answered rightly.
    """

    shares: Float[Array, "3"]
    quality: Scalar


def chain(
    qualities: Float[Array, "3"], overlap: Scalar | float, overlap_further: Scalar | float
) -> Chain:
    """How three models differ, from the quality of each.

    Args:
        qualities: shares answered rightly, none falling.
        overlap: how often the second model fails where the first is right, over how often it
            would if the two failed independently: 0 (never) to 1.
        overlap_further: likewise for the third model and the second. Both near 1, with models
            that are right half of the time, would count some requests at both steps.
    """
    losses = overlap * qualities[0] * (1.0 - qualities[1])
    further = overlap_further * qualities[1] * (1.0 - qualities[2])
    return Chain(
        weak=qualities[0],
        gains=qualities[1] - qualities[0] + losses,
        further_gains=qualities[2] - qualities[1] + further,
        losses=losses,
        further_losses=further,
    )


def overlap(pair: Pair) -> Scalar:
    """How often the strong model fails where the weak one is right.

    Args:
        pair: two models that answered the same questions.

    Returns:
        Their losses over those of models that fail independently: what `chain` asks for.
    """
    return pair.losses / (pair.weak * (1.0 - pair.strong))


def cascade(lower: Scalar, upper: Scalar, skill: Scalar, of: Chain) -> Cascaded:
    """Keep requests of low score, send those above one threshold near, above another far.

    The router sees who gains from a stronger model, but not how strong a one is needed.

    Args:
        lower: score from which requests leave the device, in deviations of the noise.
        upper: score from which they go to the strongest model, at least `lower`.
        skill: of the router, as in `route`.
        of: the three models.

    Returns:
        Shares and quality; with two equal models what `route` gives.
    """
    gaining, losing = of.gains + of.further_gains, of.losses + of.further_losses

    def beyond(threshold: Scalar) -> Scalar:
        return (
            gaining * norm.sf(threshold - skill)
            + (1.0 - gaining - losing) * norm.sf(threshold)
            + losing * norm.sf(threshold + skill)
        )

    leaving, far = beyond(lower), beyond(upper)
    answered = (
        of.weak
        + of.gains * norm.sf(lower - skill)
        - of.losses * norm.sf(lower + skill)
        + of.further_gains * norm.sf(upper - skill)
        - of.further_losses * norm.sf(upper + skill)
    )
    return Cascaded(jnp.stack([1.0 - leaving, leaving - far, far]), answered)


def fitted_skill(
    strong_shares: Float[Array, " points"], closed: Float[Array, " points"], pair: Pair
) -> Scalar:
    """The skill that comes nearest to published points of a router.

    Args:
        strong_shares: sent to the strong model.
        closed: share of the gap recovered there.
        pair: the two models.

    Returns:
        The skill of least squared distance, 0 where the router does worse than chance.
    """

    def missed(root: Scalar, _: None) -> Array:
        each = jax.vmap(recovered, (0, None, None))
        return each(strong_shares, root**2, pair) - closed

    found: Any = optx.least_squares(
        missed, optx.LevenbergMarquardt(1e-8, 1e-8), jnp.asarray(0.7), throw=False
    )
    skill: Scalar = found.value**2
    return skill
