"""Sending requests to a weak or a strong model: what a router of some skill recovers.

Only some requests are answered rightly by the strong model alone: sending these gains, and a few
lose by being sent. A router sees a score that is higher where sending gains and lower where it
loses, blurred by noise of unit deviation, and sends what lies above a threshold. A skill of 0 is
chance, unlimited skill the oracle.

Of three models each has a score of its own, so that the difference of any two is that of a router
between the two. What is unused therefore changes nothing.
"""

import itertools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
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


def share_for(wanted: Scalar, skill: Scalar, pair: Pair) -> Scalar:
    """The least share of requests to send that keeps a quality.

    Args:
        wanted: share answered rightly that is asked for, up to what the strong model attains.
        skill: of the router, 0 or more.
        pair: the two models; the strong one better than the weak.

    Returns:
        The share sent: 0 where the weak model is good enough, 1 where nothing less will do.
    """
    shift = BEYOND + skill

    def short(height: Scalar) -> Scalar:
        # As the threshold falls from its height, quality rises from the weak model's.
        return quality(route(shift - height, skill, pair).recovered, pair) - wanted

    found = solve_increasing(short, 1e-3, 2.0 * shift)
    sent = route(shift - found, skill, pair).strong_share
    return jnp.where(wanted > pair.weak, sent, 0.0)


class Chain(eqx.Module):
    """Three models from weak to strong: on a device, near it, and far away.

    Attributes:
        weak: quality of the first, share answered rightly.
        middle: quality of the second.
        strong: quality of the third.
        losses: share that the first answers rightly and the second doesn't.
        further_losses: share that the second answers rightly and the third doesn't.
        across_losses: share that the first answers rightly and the third doesn't.
    """

    weak: Number = number()
    middle: Number = number()
    strong: Number = number()
    losses: Number = number()
    further_losses: Number = number()
    across_losses: Number = number()

    @property
    def near(self) -> Pair:
        """The first and the second model."""
        return Pair(self.middle - self.weak + self.losses, self.losses, self.weak)

    @property
    def further(self) -> Pair:
        """The second and the third model."""
        losses = self.further_losses
        return Pair(self.strong - self.middle + losses, losses, self.middle)

    @property
    def across(self) -> Pair:
        """The first and the third model."""
        losses = self.across_losses
        return Pair(self.strong - self.weak + losses, losses, self.weak)


# A threshold above all scores, in deviations of their noise.
NEVER = 1e3

# Whether each of three models is right: all that can come of a request.
RIGHT = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
# The two others beside each of three models.
RIVALS = np.array([[1, 2], [0, 2], [0, 1]])
# By how much, from 0 to 2, each is right where a rival is wrong: level is 1.
LEADS = (RIGHT[:, :, None] - RIGHT[:, RIVALS] + 1.0).astype(int)
# Noise of a score, and its weight; shares are integrated over it to rounding.
NOISE = np.polynomial.hermite_e.hermegauss(48) / np.array([[1.0], [math.sqrt(2.0 * math.pi)]])


class Cascaded(NamedTuple):
    """What a router over three models does at two thresholds.

    Attributes:
        shares: of requests that each of the three answers; they sum to 1.
        quality: share of requests answered rightly.
    """

    shares: Float[Array, "3"]
    quality: Scalar


def chain(qualities: Float[Array, "3"], overlaps: Float[Array, "3"] | Scalar | float) -> Chain:
    """How three models differ, from the quality of each.

    Args:
        qualities: shares answered rightly, none falling.
        overlaps: how often the stronger model of a pair fails where the weaker is right, over how
            often it would if the two failed independently: 0 (never) to 1; of the first and the
            second model, of the second and the third, and of the first and the third.

    Returns:
        The chain. One overlap for all is always possible; of three, the last is moved as far as
        the others leave it no room.
    """
    weak, middle, strong = qualities
    near, further, across = jnp.broadcast_to(jnp.asarray(overlaps, float), (3,))
    losses = near * weak * (1.0 - middle)
    further_losses = further * middle * (1.0 - strong)
    # Where the second is right, and where it isn't, the first and the third share no more than the
    # rarer of them has, and no less than what does not fit beside each other.
    both, alone = weak - losses, losses
    both_after, alone_after = middle - further_losses, strong - middle + further_losses
    fewest = jnp.maximum(both + both_after - middle, 0.0) + jnp.maximum(
        alone + alone_after - (1.0 - middle), 0.0
    )
    most = jnp.minimum(both, both_after) + jnp.minimum(alone, alone_after)
    together = weak - across * weak * (1.0 - strong)
    return Chain(
        weak=weak,
        middle=middle,
        strong=strong,
        losses=losses,
        further_losses=further_losses,
        across_losses=weak - jnp.maximum(fewest, jnp.minimum(together, most)),
    )


def outcomes(chain: Chain) -> Float[Array, "8"]:
    """How often each of three models is right or wrong at once.

    Args:
        chain: the three models.

    Returns:
        The share of requests for each row of `RIGHT`. Three pairs leave one number open: what the
        second answers rightly tells all that the first tells about the third, as far as the pairs
        allow it.
    """
    first, second = chain.weak - chain.losses, chain.middle - chain.further_losses
    third = chain.weak - chain.across_losses
    least = jnp.stack(
        [
            jnp.zeros_like(first),
            first + third - chain.weak,
            first + second - chain.middle,
            second + third - chain.strong,
        ]
    )
    apart = 1.0 - chain.weak - chain.middle - chain.strong + first + second + third
    most = jnp.stack([first, second, third, apart])
    free = first * second / jnp.where(chain.middle > 0.0, chain.middle, 1.0)
    every = jnp.maximum(jnp.max(least), jnp.minimum(jnp.min(most), free))
    return jnp.stack(
        [
            apart - every,
            chain.strong - second - third + every,
            chain.middle - first - second + every,
            second - every,
            chain.weak - first - third + every,
            third - every,
            first - every,
            every,
        ]
    )


def overlap(pair: Pair) -> Scalar:
    """How often the strong model fails where the weak one is right.

    Args:
        pair: two models that answered the same questions.

    Returns:
        Their losses over those of models that fail independently: what `chain` asks for.
    """
    return pair.losses / (pair.weak * (1.0 - pair.strong))


def cascade(near: Scalar, far: Scalar, skill: Scalar, chain: Chain) -> Cascaded:
    """Send each request to the model whose score, less its threshold, is the highest.

    Scores are higher by the skill where a model is right, and blurred by noises that are
    independent of each other, as in a law of comparative judgement [Thurstone1927]. Models that
    never answer differently are one model to a router: they share one score, and the one of the
    lower threshold takes all that they get.

    Args:
        near: how much higher the second model's score must be than the first's, in deviations of
            the noise of their difference.
        far: how much higher the third's must be than the first's.
        skill: of the router, as in `route`.
        chain: the three models.

    Returns:
        Shares and quality: those of `route` between two models where the third is unused, because
        its threshold is far above all scores or those of the other two are far below, and where
        it is a copy of one of them.
    """
    least = jnp.stack([jnp.zeros_like(near), near, far])
    for (one, other), pair in zip(((0, 1), (1, 2)), (chain.near, chain.further), strict=True):
        copies = pair.gains + pair.losses <= 0.0
        passed_over = jnp.where(least[one] <= least[other], other, one)
        least = jnp.where(copies & (np.arange(3) == passed_over), NEVER, least)
    # Two models are as far apart, or the one or the other is ahead by the skill. Of unit deviation
    # is the difference of two noises, so each has that of root 1/2.
    ahead = skill * jnp.arange(-1.0, 2.0) - (least[:, None] - least[RIVALS])[..., None]
    beaten = norm.cdf(NOISE[0] + jnp.sqrt(2.0) * ahead[..., None])
    wins = jnp.einsum("kdn,ken,n->kde", beaten[:, 0], beaten[:, 1], NOISE[1])
    chosen = wins[np.arange(3), LEADS[..., 0], LEADS[..., 1]]
    each = outcomes(chain)
    gained = jnp.sum(chosen * (RIGHT - RIGHT[:, :1]), axis=1)
    return Cascaded(each @ chosen, chain.weak + each @ gained)


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
