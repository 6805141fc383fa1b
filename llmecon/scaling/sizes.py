"""How large a model is worth training, and on how many tokens.

Four questions, from the simplest: the lowest loss that a budget of compute buys; which other sizes
come near it; the size at which training and serving together cost least at a given loss; and the
lowest loss where one budget pays for both. Where
a model has a shape, attention counts, and FLOPs per token are no longer 6 a parameter, the first is
answered for models of that shape.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from llmecon.numerics import solve_increasing
from llmecon.physics.architecture import parameters as parameters_of
from llmecon.scaling.laws import LossLaw, RepetitionLaw, loss, repeated_loss
from llmecon.specs import LLM, Number, number
from llmecon.training import TrainingRun, flops_per_token

Scalar = Float[Array, "..."]

# FLOPs a parameter and token: forward and backward, and forward alone [Kaplan2020].
TRAINING_FLOPS = 6.0
SERVING_FLOPS = 2.0
# Of the search by gradient, in logarithms of parameters.
TOLERANCE = 1e-10
STEPS = 256
# Beyond this multiple of the best size, or its inverse, no size is looked for.
WIDEST = 1e12
# How far the shape of a model is scaled at most, in each direction.
STRETCH = 1e4
_SCALED = ("layers", "moe_layers", "windowed_layers")
_WIDENED = (
    "width",
    "heads",
    "kv_heads",
    "ff_width",
    "expert_ff_width",
    "kv_lora_rank",
    "q_lora_rank",
)


class Size(eqx.Module):
    """A model and its training.

    Attributes:
        parameters: of the model.
        tokens: that it is trained on.
        loss: that it reaches, nats per token.
    """

    parameters: Scalar
    tokens: Scalar
    loss: Scalar

    @property
    def tokens_per_parameter(self) -> Scalar:
        """Training tokens over parameters."""
        return self.tokens / self.parameters


class Lifetime(eqx.Module):
    """What a model does after its training, and what FLOPs cost in both.

    A price may be in USD, kg of carbon dioxide or whatever else is to be least, per FLOP; training
    and serving attain different shares of their hardware, so theirs differ.

    Attributes:
        served_tokens: that pass through the model in its life, prompts and outputs.
        training_price: per FLOP of training.
        serving_price: per FLOP of serving.
        training_flops: a parameter and token.
        serving_flops: a parameter and token.
    """

    served_tokens: Number = number()
    training_price: Number = number(default=1.0)
    serving_price: Number = number(default=1.0)
    training_flops: Number = number(default=TRAINING_FLOPS)
    serving_flops: Number = number(default=SERVING_FLOPS)


class LifetimeSize(eqx.Module):
    """The size at which training and serving cost least together.

    Attributes:
        size: the model and its training.
        training_cost: in the unit of the prices.
        serving_cost: likewise.
    """

    size: Size
    training_cost: Scalar
    serving_cost: Scalar

    @property
    def parameters(self) -> Scalar:
        """Of the model."""
        return self.size.parameters

    @property
    def tokens(self) -> Scalar:
        """That it is trained on."""
        return self.size.tokens

    @property
    def cost(self) -> Scalar:
        """Of training and serving, in the unit of the prices."""
        return self.training_cost + self.serving_cost


class Ridge(eqx.Module):
    """Sizes between which the loss is near the lowest that the same compute buys.

    Attributes:
        smallest: the smallest such model, trained longest.
        largest: the largest, trained on the fewest tokens.
    """

    smallest: Size
    largest: Size


def compute_optimal(
    law: LossLaw, compute: Scalar | float, flops: Scalar | float = TRAINING_FLOPS
) -> Size:
    """The size of lowest loss for a budget of training compute, in closed form.

    Args:
        law: of the loss.
        compute: of training, FLOP.
        flops: a parameter and token.

    Returns:
        The model and its tokens: parameters G (C / 6)**(beta / (alpha + beta)) with
        G = (alpha A / (beta B))**(1 / (alpha + beta)) [Hoffmann2022].
    """
    both = law.size_exponent + law.data_exponent
    steep = jnp.log(law.size_exponent * law.size_factor / law.data_exponent / law.data_factor)
    product = jnp.log(jnp.asarray(compute) / flops)
    log_size = (steep + law.data_exponent * product) / both
    return _size(law, jnp.exp(log_size), jnp.exp(product - log_size))


def compute_optimal_by_search(
    law: LossLaw, compute: Scalar | float, flops: Scalar | float = TRAINING_FLOPS
) -> Size:
    """As `compute_optimal`, by a search along the gradient, which the closed form is checked with.

    Args:
        law: of the loss.
        compute: of training, FLOP; a scalar.
        flops: a parameter and token.

    Returns:
        The model and its tokens, with gradients by the implicit function theorem.
    """
    product = jnp.log(jnp.asarray(compute, float) / flops)

    def lost(log_size: Scalar, of: tuple[LossLaw, Scalar]) -> Scalar:
        # Where size and data are balanced, the logarithm has a curvature of order one.
        held, log_product = of
        found = loss(held, jnp.exp(log_size), jnp.exp(log_product - log_size))
        return jnp.log(found - held.entropy)

    log_size = _least(lost, 0.5 * product, (law, product))
    return _size(law, jnp.exp(log_size), jnp.exp(product - log_size))


def _least(function: Any, start: Scalar, of: Any) -> Scalar:
    """Where a smooth function of one number is least, searched from some place."""
    found = optx.minimise(
        function,
        optx.BFGS(rtol=TOLERANCE, atol=TOLERANCE),
        jax.lax.stop_gradient(start),
        args=of,
        max_steps=STEPS,
        throw=False,
    )
    # One step of Newton's is exact to rounding, and carries the gradient of the implicit function.
    place = jax.lax.stop_gradient(found.value)
    slope, curvature = (jax.grad(function), jax.grad(jax.grad(function)))
    return place - slope(place, of) / jax.lax.stop_gradient(curvature(place, of))


def _size(law: LossLaw, parameters: Scalar, tokens: Scalar) -> Size:
    return Size(parameters, tokens, loss(law, parameters, tokens))


def compute_optimal_repeated(
    law: RepetitionLaw,
    compute: Scalar | float,
    unique_tokens: Scalar | float,
    flops: Scalar | float = TRAINING_FLOPS,
) -> Size:
    """The size of lowest loss for a budget of compute where only so many tokens differ.

    Args:
        law: of the loss of models that see tokens several times.
        compute: of training, FLOP; a scalar.
        unique_tokens: that there are.
        flops: a parameter and token.

    Returns:
        The model, and the tokens that it is trained on, repeated ones counted every time
        [Muennighoff2023]. Where they do not run out it is `compute_optimal`; where each is seen
        hundreds of times neither more passes nor more parameters are worth anything, and the loss
        says little about the size.
    """
    best = compute_optimal(law.law, compute, flops)
    product = best.parameters * best.tokens

    def lost(log_size: Scalar) -> Scalar:
        size = jnp.exp(log_size)
        return repeated_loss(law, size, product / size, unique_tokens)

    def slope(size: Scalar) -> Scalar:
        return jax.grad(lost)(jnp.log(size))

    size = solve_increasing(slope, best.parameters / WIDEST, best.parameters * WIDEST)
    tokens = product / size
    return Size(size, tokens, repeated_loss(law, size, tokens, unique_tokens))


def ridge(
    law: LossLaw,
    compute: Scalar | float,
    excess: Scalar | float,
    flops: Scalar | float = TRAINING_FLOPS,
) -> Ridge:
    """The sizes whose loss is within a share of the best for the same compute.

    Args:
        law: of the loss.
        compute: of training, FLOP; a scalar.
        excess: by how much the loss may exceed the lowest, a fraction of it, > 0.
        flops: a parameter and token.

    Returns:
        The smallest and the largest such model, with the tokens that the compute leaves each.
    """
    best = compute_optimal(law, compute, flops)
    allowed = jnp.asarray(excess) * best.loss

    def beyond(stretch: Scalar) -> Scalar:
        return loss(law, best.parameters * stretch, best.tokens / stretch) - best.loss - allowed

    more = solve_increasing(beyond, 1.0, WIDEST)
    less = solve_increasing(lambda shrinking: beyond(1.0 / shrinking), 1.0, WIDEST)
    return Ridge(
        _size(law, best.parameters / less, best.tokens * less),
        _size(law, best.parameters * more, best.tokens / more),
    )


def tokens_for(law: LossLaw, parameters: Scalar | float, target: Scalar | float) -> Scalar:
    """Tokens on which a model of some size reaches a loss.

    Args:
        law: of the loss.
        parameters: of the model.
        target: loss, nats per token.

    Returns:
        Tokens; infinite where the model is too small to reach it on any.
    """
    left = (
        target - law.entropy - law.size_factor * jnp.exp(-law.size_exponent * jnp.log(parameters))
    )
    reached = left > 0.0
    log_tokens = jnp.log(law.data_factor / jnp.where(reached, left, 1.0)) / law.data_exponent
    return jnp.where(reached, jnp.exp(log_tokens), jnp.inf)


def lifetime_cost(
    law: LossLaw, parameters: Scalar | float, target: Scalar | float, life: Lifetime
) -> Scalar:
    """What training a model to a loss and serving it cost together.

    Args:
        law: of the loss.
        parameters: of the model.
        target: loss, nats per token.
        life: what it serves, and prices.

    Returns:
        In the unit of the prices; infinite where the model can't reach the loss [Sardana2023].
    """
    tokens = tokens_for(law, parameters, target)
    training = life.training_price * life.training_flops * parameters * tokens
    return training + life.serving_price * life.serving_flops * parameters * life.served_tokens


def lifetime_optimal(law: LossLaw, target: Scalar | float, life: Lifetime) -> LifetimeSize:
    """The size at which training to a loss and serving cost least together.

    Without anything to serve it is the compute-optimal size; the more is served, the smaller the
    model and the longer its training.

    Args:
        law: of the loss.
        target: loss to be reached, nats per token, above the law's entropy; a scalar.
        life: tokens served, and what FLOPs of training and serving cost.

    Returns:
        The size with its costs, differentiable in everything [Sardana2023]. All NaN where no model
        reaches the loss.
    """
    reducible = jnp.asarray(target, float) - law.entropy
    possible = reducible > 0.0
    left = jnp.where(possible, reducible, 1.0)
    alpha, beta = law.size_exponent, law.data_exponent

    def divided(odds: Scalar) -> tuple[Scalar, Scalar]:
        # Of the reducible loss, size leaves odds / (1 + odds) and data the rest.
        size = jnp.log(law.size_factor / left * (1.0 + 1.0 / odds)) / alpha
        return size, jnp.log(law.data_factor / left * (1.0 + odds)) / beta

    training = jnp.log(life.training_price * life.training_flops)
    served = life.serving_price * life.serving_flops * life.served_tokens

    def imbalance(odds: Scalar) -> Scalar:
        # At the best size the cost has no slope: alpha * odds * (share of training) = beta.
        trained = jnp.exp(training + divided(odds)[1])
        return alpha * odds * trained / (trained + served) - beta

    odds = solve_increasing(imbalance, 0.5 * beta / alpha, WIDEST)
    log_size, log_tokens = divided(odds)
    size = _size(law, jnp.exp(log_size), jnp.exp(log_tokens))
    found = LifetimeSize(
        size, jnp.exp(training + log_size + log_tokens), served * jnp.exp(log_size)
    )
    return jax.tree.map(lambda leaf: jnp.where(possible, leaf, jnp.nan), found)


def budget_optimal(law: LossLaw, budget: Scalar | float, life: Lifetime) -> LifetimeSize:
    """The size of lowest loss where one budget pays for training and for serving.

    What is spent on serving is not spent on training, so that the model is smaller than the
    compute-optimal one of the same budget and learns less.

    Args:
        law: of the loss; its exponents are below 1.
        budget: for both, in the unit of the prices; a scalar.
        life: tokens served, and what FLOPs of training and serving cost.

    Returns:
        The size with its costs, which add up to the budget. With N0 parameters where nothing is
        served, and r of the budget spent on serving those, N = N0 z has
        z = (1 - r z)**((1 + beta) / (alpha + beta)), the condition of least loss.
    """
    training = life.training_price * life.training_flops
    served = life.serving_price * life.serving_flops * life.served_tokens
    alone = compute_optimal(law, jnp.asarray(budget) / life.training_price, life.training_flops)
    claimed = served * alone.parameters / budget
    power = (1.0 + law.data_exponent) / (law.size_exponent + law.data_exponent)

    def beyond(share: Scalar) -> Scalar:
        return jnp.log(share) - power * jnp.log1p(-claimed * share)

    # Both ends are so far off the root that none is ever returned.
    least = 0.5 * jnp.exp(-power * jnp.log1p(claimed))
    share = solve_increasing(beyond, least, 1.5 / (1.0 + 1.5 * claimed))
    parameters = share * alone.parameters
    tokens = budget * (1.0 - claimed * share) / (training * parameters)
    size = _size(law, parameters, tokens)
    return LifetimeSize(size, training * parameters * tokens, served * parameters)


def implied_demand(
    law: LossLaw, parameters: Scalar | float, tokens: Scalar | float, life: Lifetime
) -> Scalar:
    """How much a model must serve for its training to have been as long as is worth while.

    Args:
        law: of the loss.
        parameters: of the model.
        tokens: that it was trained on.
        life: prices; its served tokens are not read.

    Returns:
        Served tokens for which `lifetime_optimal` is this size: training costs beta / (alpha odds)
        of both, with the odds of what size and data leave of the loss. 0 for a model that was
        trained on fewer tokens than is compute-optimal.
    """
    left = law.size_factor * jnp.exp(-law.size_exponent * jnp.log(parameters))
    odds = left / law.data_factor * jnp.exp(law.data_exponent * jnp.log(tokens))
    beside = law.size_exponent / law.data_exponent * odds - 1.0
    training = life.training_price * life.training_flops * tokens
    return jnp.maximum(beside, 0.0) * training / (life.serving_price * life.serving_flops)


def scaled(llm: LLM, stretch: Scalar | float) -> LLM:
    """A model of the same shape, wider and deeper by the same factor.

    Args:
        llm: the model.
        stretch: factor of its layers, heads and widths; relaxed, so they need not be whole.

    Returns:
        The model; heads stay as wide, and vocabulary and experts as many.
    """
    names = (*_SCALED, *_WIDENED)
    return eqx.tree_at(
        lambda of: [getattr(of, name) for name in names],
        llm,
        [getattr(llm, name) * stretch for name in names],
    )


def trained_with(law: LossLaw, llm: LLM, run: TrainingRun, compute: Scalar | float) -> Size:
    """What a model of given architecture reaches with a budget of training compute.

    Args:
        law: of the loss.
        llm: the model; of a mixture of experts the law is asked about the active parameters.
        run: its sequence length; its tokens are not read.
        compute: of training, FLOP.

    Returns:
        The model with the tokens that the compute allows, attention counted.
    """
    tokens = jnp.asarray(compute) / flops_per_token(llm, run)
    return _size(law, parameters_of(llm).active, tokens)


def compute_optimal_shape(
    law: LossLaw, llm: LLM, run: TrainingRun, compute: Scalar | float
) -> tuple[LLM, Size]:
    """The model of a shape that reaches the lowest loss with a budget of training compute.

    Args:
        law: of the loss.
        llm: whose shape it has.
        run: its sequence length; its tokens are not read.
        compute: of training, FLOP; a scalar.

    Returns:
        The model, relaxed, and its size. With attention counted, FLOPs per token grow more slowly
        than parameters, so that it is somewhat smaller or larger than `compute_optimal` says.
    """

    def lost(log_stretch: Scalar, of: tuple[LossLaw, LLM, TrainingRun, Scalar]) -> Scalar:
        held, shape, training, budget = of
        found = trained_with(held, scaled(shape, jnp.exp(log_stretch)), training, budget)
        return jnp.log(found.loss - held.entropy)

    # Parameters grow with about the third power of the stretch.
    guess = compute_optimal(law, compute).parameters / parameters_of(llm).active
    start = jnp.log(jnp.clip(guess ** (1.0 / 3.0), 1.0 / STRETCH, STRETCH))
    log_stretch = _least(lost, start, (law, llm, run, jnp.asarray(compute, float)))
    best = scaled(llm, jnp.exp(log_stretch))
    return best, trained_with(law, best, run, compute)
