"""Laws that give the loss of a model by its parameters and the tokens that it is trained on.

The additive law is the one that sizes and fits build on::

    loss = E + A / parameters**alpha + B / tokens**beta

The others say what changes where tokens repeat, where training goes on far beyond the best size,
and what error on downstream tasks a loss comes with. Losses are cross entropies in nats per token,
of each law's own data and tokens, so those of different laws do not compare.
"""

from functools import cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import inputs
from llmecon.errors import InputError
from llmecon.specs import Number, number
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

# Parameters and tokens between which laws and their slopes are finite.
LEAST = 1.0
MOST = 1e30

_ADDITIVE = ("E", "A", "B", "alpha", "beta")


class LossLaw(eqx.Module):
    """Loss as a sum of what no model avoids, what its size leaves, and what its data leave.

    Attributes:
        entropy: E, loss of an infinite model on infinite data, nats per token.
        size_factor: A, nats times parameters**alpha.
        data_factor: B, nats times tokens**beta.
        size_exponent: alpha.
        data_exponent: beta.
    """

    entropy: Number = number()
    size_factor: Number = number()
    data_factor: Number = number()
    size_exponent: Number = number()
    data_exponent: Number = number()


class JointPowerLaw(eqx.Module):
    """Loss as a power of a sum, which falls to zero with size and data.

    Attributes:
        size_scale: parameters, without embeddings, of a loss of 1 nat on infinite data.
        data_scale: tokens of a loss of 1 nat for an infinite model.
        size_exponent: of parameters, on infinite data.
        data_exponent: of tokens, for an infinite model.
    """

    size_scale: Number = number()
    data_scale: Number = number()
    size_exponent: Number = number()
    data_exponent: Number = number()


class RepetitionLaw(eqx.Module):
    """What tokens are worth that are seen again, and parameters beyond what unique tokens suit.

    Attributes:
        law: the additive law of tokens that are seen once.
        repetitions: passes over the data beyond the first after which a further one is worth 1/e of
            fresh tokens.
        excess: likewise for parameters, in multiples of the number that suits the unique tokens.
    """

    law: LossLaw
    repetitions: Number = number()
    excess: Number = number()


class OverTrainingLaw(eqx.Module):
    """Loss by compute and tokens per parameter, which says what over-training costs.

    Attributes:
        entropy: E, nats per token.
        size_factor: a, of the term that grows with tokens per parameter, nats times FLOP**eta.
        data_factor: b, of the term that falls with them, likewise.
        exponent: eta, of compute.
    """

    entropy: Number = number()
    size_factor: Number = number()
    data_factor: Number = number()
    exponent: Number = number()


class ErrorLaw(eqx.Module):
    """Mean error on downstream tasks by loss.

    Attributes:
        ceiling: error of a model of infinite loss, a fraction.
        factor: k, by which the ceiling is missed at a loss of 0, a fraction.
        rate: gamma, per nat.
    """

    ceiling: Number = number()
    factor: Number = number()
    rate: Number = number()


def loss(law: LossLaw, parameters: Scalar | float, tokens: Scalar | float) -> Scalar:
    """The loss of a model after one pass over its training tokens.

    Args:
        law: its constants.
        parameters: of the model, LEAST to MOST.
        tokens: that it is trained on, LEAST to MOST.

    Returns:
        Cross entropy, nats per token [Hoffmann2022].
    """
    size = jnp.exp(-law.size_exponent * jnp.log(parameters))
    data = jnp.exp(-law.data_exponent * jnp.log(tokens))
    return law.entropy + law.size_factor * size + law.data_factor * data


def joint_power_loss(
    law: JointPowerLaw, parameters: Scalar | float, tokens: Scalar | float
) -> Scalar:
    """The loss by the law whose terms share one power.

    Args:
        law: its constants.
        parameters: of the model without embeddings, LEAST to MOST.
        tokens: of the data that it is trained on until it stops to improve, LEAST to MOST.

    Returns:
        Cross entropy, nats per token: ((Nc / N)**(aN / aD) + Dc / D)**aD [Kaplan2020].
    """
    size = (law.size_exponent / law.data_exponent) * jnp.log(law.size_scale / parameters)
    data = jnp.log(law.data_scale / tokens)
    return jnp.exp(law.data_exponent * jnp.logaddexp(size, data))


def effective_tokens(
    law: RepetitionLaw, tokens: Scalar | float, unique_tokens: Scalar | float
) -> Scalar:
    """Fresh tokens that would be worth as much as some that repeat.

    Args:
        law: its constants.
        tokens: seen in training, repeated ones counted every time.
        unique_tokens: different ones that there are.

    Returns:
        After R further passes over U tokens U (1 + R* (1 - exp(-R / R*))), in tokens
        [Muennighoff2023].
    """
    return _worth(tokens, unique_tokens, law.repetitions)


def effective_parameters(
    law: RepetitionLaw, parameters: Scalar | float, unique_tokens: Scalar | float
) -> Scalar:
    """Parameters that would do as much if there were data enough for them.

    Args:
        law: its constants.
        parameters: of the model.
        unique_tokens: that it is trained on, in one pass or several.

    Returns:
        As `effective_tokens`, where parameters count as repeated beyond those of the model for
        which the unique tokens are compute-optimal [Muennighoff2023].
    """
    of = law.law
    share = of.size_exponent / of.data_exponent
    suited = (share * of.size_factor / of.data_factor) ** (1.0 / of.size_exponent) * jnp.exp(
        jnp.log(unique_tokens) / share
    )
    return _worth(parameters, suited, law.excess)


def _worth(all_: Scalar | float, unique: Scalar | float, scale: Scalar) -> Scalar:
    # What is there, or what is used of it where that is less.
    used = jnp.minimum(all_, unique)
    return used * (1.0 - scale * jnp.expm1(-(all_ / used - 1.0) / scale))


def repeated_loss(
    law: RepetitionLaw,
    parameters: Scalar | float,
    tokens: Scalar | float,
    unique_tokens: Scalar | float,
) -> Scalar:
    """The loss of a model that sees its data several times.

    Args:
        law: its constants.
        parameters: of the model.
        tokens: seen in training, repeated ones counted every time.
        unique_tokens: different ones that there are; without effect beyond `tokens`.

    Returns:
        Cross entropy, nats per token [Muennighoff2023].
    """
    unique = jnp.minimum(tokens, unique_tokens)
    size = effective_parameters(law, parameters, unique)
    return loss(law.law, size, effective_tokens(law, tokens, unique))


def over_trained_loss(
    law: OverTrainingLaw, compute: Scalar | float, tokens_per_parameter: Scalar | float
) -> Scalar:
    """The loss by training compute and by how long that trains each parameter.

    Args:
        law: its constants.
        compute: 6 FLOPs a parameter and token, FLOP.
        tokens_per_parameter: training tokens over parameters.

    Returns:
        Cross entropy, nats per token: E + (a M**eta + b M**-eta) C**-eta [Gadre2024]. The additive
        law with one exponent alpha for both terms says the same with eta = alpha / 2.
    """
    stretch = law.exponent * jnp.log(tokens_per_parameter)
    terms = law.size_factor * jnp.exp(stretch) + law.data_factor * jnp.exp(-stretch)
    return law.entropy + terms * jnp.exp(-law.exponent * jnp.log(compute))


def as_over_training(law: LossLaw) -> OverTrainingLaw:
    """An additive law whose terms have one exponent, in terms of compute and over-training.

    Args:
        law: with equal exponents; of unequal ones the mean is taken, and it is another law.

    Returns:
        The same law of 6 N D FLOPs and D / N tokens per parameter.
    """
    half = 0.25 * (law.size_exponent + law.data_exponent)
    return OverTrainingLaw(
        law.entropy, law.size_factor * 6.0**half, law.data_factor * 6.0**half, half
    )


def average_error(law: ErrorLaw, loss: Scalar | float) -> Scalar:
    """The mean error on downstream tasks that comes with a loss.

    Args:
        law: its constants.
        loss: cross entropy on the data that the law was fitted to, nats per token.

    Returns:
        1 - mean accuracy: ceiling - k exp(-gamma loss), a fraction [Gadre2024].
    """
    return law.ceiling - law.factor * jnp.exp(-law.rate * loss)


def law(identifier: str) -> LossLaw:
    """A published additive law.

    No source says how the constants of its law vary together, so that a published law has no draws
    and what follows from it no interval; `standard_errors` are of each constant alone, and drawn
    from independently they say next to nothing. What is fitted here has both, see `figure_fit`.

    Args:
        identifier: of loss_laws.csv, such as "besiroglu-2024".

    Returns:
        Its constants.

    Raises:
        InputError: no such law, or one of another form.
    """
    found = _constants(identifier, _ADDITIVE, "additive")
    return LossLaw(*(found[name] for name in _ADDITIVE))


def joint_power_law(identifier: str = "kaplan-2020") -> JointPowerLaw:
    """A published law of a power of a sum; arguments and refusals as of `law`."""
    names = ("size_scale", "data_scale", "alpha", "beta")
    found = _constants(identifier, names, "joint power")
    return JointPowerLaw(*(found[name] for name in names))


def repetition_law(identifier: str = "muennighoff-2023") -> RepetitionLaw:
    """A published law of repeated tokens; arguments and refusals as of `law`."""
    found = _constants(identifier, (*_ADDITIVE, "repetitions", "excess"), "repetition")
    additive = LossLaw(*(found[name] for name in _ADDITIVE))
    return RepetitionLaw(additive, found["repetitions"], found["excess"])


def over_training_law(identifier: str = "gadre-2024") -> OverTrainingLaw:
    """A published law of compute and over-training; arguments and refusals as of `law`."""
    names = ("E", "a", "b", "eta")
    found = _constants(identifier, names, "over-training")
    return OverTrainingLaw(*(found[name] for name in names))


def error_law(identifier: str = "gadre-2024-error") -> ErrorLaw:
    """A published law of downstream errors; arguments and refusals as of `law`."""
    names = ("ceiling", "k", "gamma")
    found = _constants(identifier, names, "error")
    return ErrorLaw(*(found[name] for name in names))


def _constants(identifier: str, names: tuple[str, ...], form: str) -> dict[str, float]:
    inputs.require("loss_laws", identifier, "law")
    found = dict(_published()[identifier])
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"the law {identifier!r} is of another form: no {form} law lacks {missing[0]}"
        )
    return found


@cache
def _published() -> dict[str, dict[str, float]]:
    table = catalog.table("loss_laws")
    return {
        str(name): {str(p): float(v) for p, v in zip(of["parameter"], of["value"], strict=True)}
        for name, of in table.groupby("law")
    }


def standard_errors(identifier: str) -> dict[str, float]:
    """Published standard errors of a law's constants, each on its own.

    Args:
        identifier: of loss_laws.csv.

    Returns:
        By the table's name of each constant that has one, in its unit; none for most laws.

    Raises:
        InputError: no such law.
    """
    inputs.require("loss_laws", identifier, "law")
    table = catalog.table("loss_laws")
    rows = table[(table["law"] == identifier) & table["low"].notna()]
    half = 0.5 * (rows["high"] - rows["low"])
    return {str(p): float(v) for p, v in zip(rows["parameter"], np.asarray(half), strict=True)}
