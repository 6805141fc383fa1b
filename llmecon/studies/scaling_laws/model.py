"""What size of model a budget is worth: one function of a case, all of whose ids are records.

A law says what loss parameters and tokens leave, and a run and a service of one real model say what
their FLOPs cost. From both follow the size of lowest loss for a budget, the sizes near it, and what
changes where the model will be served, where the budget pays for that too, where carbon is to be
least, and where tokens run out. Headline numbers, intervals, elasticities, live panel and sweeps
all call `answer`.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import scaling
from llmecon.scaling import Lifetime, LifetimeSize, LossLaw, RepetitionLaw, Ridge, Size
from llmecon.scaling.sizes import SERVING_FLOPS, TRAINING_FLOPS
from llmecon.specs import SECONDS_PER_DAY, Number, number

Scalar = Float[Array, ""]

BUDGETS = {
    "flop": "FLOP",
    "usd": "USD",
    "xpu-days": "xPU-days",
    "t-co2e": "t CO₂e",
}
"""Units that a budget is counted in, as a reader sees them."""

KILOGRAMS = 1e3  # in a tonne

ROUNDING = 1e-12  # below which a share that is saved is none


class Work(eqx.Module):
    """What a FLOP of the law's kind takes: 6 of them a parameter and token trained, 2 served.

    Attributes:
        seconds: of a device.
        joules: at the site's meter.
    """

    seconds: Number = number()
    joules: Number = number()


class Case(eqx.Module):
    """A budget, a law and prices: all that the answer depends on.

    Attributes:
        law: of the loss.
        training: what its FLOPs take.
        serving: likewise.
        budget: for training, in its unit.
        served: tokens that pass through the model in its life.
        unique: different tokens that there are to train on.
        repetitions: passes after which a further one is worth 1/e of fresh tokens.
        excess: likewise for parameters, beyond those that suit the unique tokens.
        near: loss above the lowest that still counts as near, a fraction of it.
        rent: of a device, USD/s.
        intensity: of the electricity, kg CO2e/J.
        carbon_price: USD/kg CO2e.
        unit: of the budget, one of `BUDGETS`.
    """

    law: LossLaw
    training: Work
    serving: Work
    budget: Number = number()
    served: Number = number()
    unique: Number = number()
    repetitions: Number = number()
    excess: Number = number()
    near: Number = number()
    rent: Number = number()
    intensity: Number = number()
    carbon_price: Number = number()
    unit: str = eqx.field(static=True, default="flop")


class Answer(eqx.Module):
    """What size of model is worth training.

    Attributes:
        compute: that the budget buys for training, FLOP.
        best: the size of lowest loss for it.
        ridge: the sizes near it.
        served: the size that reaches the same loss and costs least in its life.
        greenest: the one that emits least.
        within: the size of lowest loss if the budget pays for serving as well.
        scarce: the size of lowest loss where only the unique tokens differ.
        passes: over these that its training makes, at least one.
        usd: rent of the run of the best size.
        kilograms: carbon of that run's electricity, kg CO2e.
        seconds: device-seconds of the run.
        before: what the best size costs in its life, USD.
        emitted: what it emits in its life, kg CO2e.
    """

    compute: Scalar
    best: Size
    ridge: Ridge
    served: LifetimeSize
    greenest: LifetimeSize
    within: LifetimeSize
    scarce: Size
    passes: Scalar
    usd: Scalar
    kilograms: Scalar
    seconds: Scalar
    before: Scalar
    emitted: Scalar


def usd_per_flop(case: Case, work: Work) -> Scalar:
    """Rent, and carbon at its price, USD per FLOP."""
    return case.rent * work.seconds + case.carbon_price * case.intensity * work.joules


def kilograms_per_flop(case: Case, work: Work) -> Scalar:
    """Carbon of a FLOP's electricity, kg CO2e."""
    return case.intensity * work.joules


def budgeted(case: Case, work: Work) -> Scalar:
    """What a FLOP takes of the budget, in the budget's unit."""
    if case.unit == "usd":
        return usd_per_flop(case, work)
    if case.unit == "xpu-days":
        return work.seconds / SECONDS_PER_DAY
    if case.unit == "t-co2e":
        return kilograms_per_flop(case, work) / KILOGRAMS
    return jnp.ones(())


def in_dollars(case: Case) -> Lifetime:
    """What is served, and FLOPs at their price with carbon."""
    return Lifetime(
        case.served, usd_per_flop(case, case.training), usd_per_flop(case, case.serving)
    )


def in_kilograms(case: Case) -> Lifetime:
    """What is served, and FLOPs by what they emit."""
    return Lifetime(
        case.served,
        kilograms_per_flop(case, case.training),
        kilograms_per_flop(case, case.serving),
    )


def in_budget(case: Case) -> Lifetime:
    """What is served, and FLOPs by what they take of the budget."""
    return Lifetime(case.served, budgeted(case, case.training), budgeted(case, case.serving))


def repetition(case: Case) -> RepetitionLaw:
    """What tokens are worth that are seen again, by the law of the case."""
    return RepetitionLaw(case.law, case.repetitions, case.excess)


def in_life(size: Size, life: Lifetime) -> Scalar:
    """What a size costs in its life, in the unit of the prices."""
    training = life.training_price * TRAINING_FLOPS * size.tokens
    serving = life.serving_price * SERVING_FLOPS * life.served_tokens
    return size.parameters * (training + serving)


def answer(case: Case) -> Answer:
    """What size of model is worth training.

    Args:
        case: budget, law and prices.

    Returns:
        The best size for the budget, and what else the size could be chosen for.
    """
    law, dollars, kilograms = case.law, in_dollars(case), in_kilograms(case)
    compute = case.budget / budgeted(case, case.training)
    best = scaling.compute_optimal(law, compute)
    scarce = scaling.compute_optimal_repeated(repetition(case), compute, case.unique)
    return Answer(
        compute=compute,
        best=best,
        ridge=scaling.ridge(law, compute, case.near),
        served=scaling.lifetime_optimal(law, best.loss, dollars),
        greenest=scaling.lifetime_optimal(law, best.loss, kilograms),
        within=scaling.budget_optimal(law, case.budget, in_budget(case)),
        scarce=scarce,
        passes=jnp.maximum(scarce.tokens / case.unique, 1.0),
        usd=compute * case.rent * case.training.seconds,
        kilograms=compute * kilograms_per_flop(case, case.training),
        seconds=compute * case.training.seconds,
        before=in_life(best, dollars),
        emitted=in_life(best, kilograms),
    )


UNITS = {
    "parameters": "parameters",
    "tokens": "tokens",
    "tokens_per_parameter": "tokens",
    "loss": "nats per token",
    "training_cost": "USD",
    "training_carbon": "t CO₂e",
    "served_parameters": "parameters",
    "served_tokens_per_parameter": "tokens",
    "served_saving": "fraction",
    "within_parameters": "parameters",
    "within_loss": "nats per token",
    "greenest_parameters": "parameters",
    "greenest_saving": "fraction",
    "smallest": "parameters",
    "largest": "parameters",
    "passes": "times",
    "scarce_loss": "nats per token",
}
"""Units of the headline numbers, in the order in which they are told."""


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told.

    Args:
        found: the answer.
    """
    return {
        "parameters": found.best.parameters,
        "tokens": found.best.tokens,
        "tokens_per_parameter": found.best.tokens_per_parameter,
        "loss": found.best.loss,
        "training_cost": found.usd,
        "training_carbon": found.kilograms / KILOGRAMS,
        "served_parameters": found.served.parameters,
        "served_tokens_per_parameter": found.served.size.tokens_per_parameter,
        "served_saving": _saved(found.served.cost, found.before),
        "within_parameters": found.within.parameters,
        "within_loss": found.within.size.loss,
        "greenest_parameters": found.greenest.parameters,
        "greenest_saving": _saved(found.greenest.cost, found.emitted),
        "smallest": found.ridge.smallest.parameters,
        "largest": found.ridge.largest.parameters,
        "passes": found.passes,
        "scarce_loss": found.scarce.loss,
    }


def _saved(least: Scalar, before: Scalar) -> Scalar:
    # Where nothing is served both are the same but for rounding.
    saved = 1.0 - least / before
    return jnp.where(saved > ROUNDING, saved, 0.0)


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case; see `told`."""
    return told(answer(case))


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input.
    """
    law = effects.law
    return {
        "budget": effects.budget,
        "served tokens": effects.served,
        "unique tokens": effects.unique,
        "time of a FLOP of training": effects.training.seconds,
        "time of a FLOP of serving": effects.serving.seconds,
        "energy of a FLOP of training": effects.training.joules,
        "energy of a FLOP of serving": effects.serving.joules,
        "rent of an xPU": effects.rent,
        "carbon intensity": effects.intensity,
        "price of carbon": effects.carbon_price,
        "entropy of text (E)": law.entropy,
        "factor of size (A)": law.size_factor,
        "factor of data (B)": law.data_factor,
        "exponent of size (alpha)": law.size_exponent,
        "exponent of data (beta)": law.data_exponent,
        "worth of repeated tokens": effects.repetitions,
    }


def slower(case: Case, times: Scalar, law: LossLaw) -> Case:
    """The same case with a run that takes longer than expected, and another law.

    Args:
        case: what is asked.
        times: time of the run over what runs of its kind are expected to take.
        law: of the loss.
    """
    training = Work(times * case.training.seconds, times * case.training.joules)
    return replace(case, training=training, law=law)
