"""Exercises of the chapter on scaling laws."""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp

from llmecon import scaling
from llmecon.execution.interpreter import interpreted
from llmecon.scaling import Lifetime
from llmecon.scaling.sizes import SERVING_FLOPS, TRAINING_FLOPS
from llmecon.studies.parameters import Value
from llmecon.studies.scaling_laws.model import in_dollars
from llmecon.studies.scaling_laws.study import Study
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import turning_point

CHAPTER = "scaling-laws"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "budget": (1e23, 2e23, 1.2e24, 2e24, 4e24),
    "served_tokens": (3e12, 6e12, 1.5e13, 2.5e13, 4e13),
    "output_tokens": (150.0, 211.0, 300.0, 420.0),
}
"""What may differ by student."""

MORE = 10.0
"""By how much exercise 1 multiplies the budget."""

RULE = 20.0
"""Tokens per parameter by the rule of thumb of exercise 2 [Hoffmann2022]."""

SMALLER = 2.0
"""By what exercises 3 and 5 divide the size."""

SERVED = (1e9, 1e16)
"""The ends of the panel's slider for tokens served."""

_tokens_for = interpreted(scaling.tokens_for)
_cheapest = interpreted(scaling.lifetime_optimal)
_within = interpreted(scaling.budget_optimal)


def _more(study: Study) -> Key:
    law, best = study.case.law, study.answer.best
    alpha, beta = float(law.size_exponent), float(law.data_exponent)
    size, tokens = float(best.parameters), float(best.tokens)
    return Key(
        size * MORE ** (beta / (alpha + beta)),
        (
            Mistake(
                "all-to-size",
                "This spends all that is more on the size; tokens want their part.",
                size * MORE,
            ),
            Mistake(
                "exponents-exchanged",
                "This is the exponent with which the tokens grow.",
                size * MORE ** (alpha / (alpha + beta)),
            ),
            Mistake(
                "exponent-of-size-alone",
                "This takes the exponent of size alone; size and data share the budget.",
                size * MORE**alpha,
            ),
            Mistake(
                "tokens-for-parameters",
                "These are the tokens; give the parameters.",
                tokens * MORE ** (alpha / (alpha + beta)),
            ),
            Mistake(
                "size-kept",
                "This keeps the size and buys tokens alone; a larger model learns more from them.",
                size,
            ),
        ),
        {"alpha": alpha, "beta": beta, "size": size},
    )


def _rule(study: Study) -> Key:
    compute = float(study.answer.compute)

    def size(flops: float, ratio: float) -> float:
        return math.sqrt(compute / (flops * ratio))

    found = size(TRAINING_FLOPS, RULE)
    return Key(
        found,
        (
            Mistake(
                "tokens-for-parameters",
                "These are the tokens; give the parameters.",
                RULE * found,
            ),
            Mistake(
                "forward-only",
                "This counts the way forward alone; training also goes backward.",
                size(SERVING_FLOPS, RULE),
            ),
            Mistake(
                "flops-forgotten",
                "A parameter and token take several FLOPs, not one.",
                size(1.0, RULE),
            ),
            Mistake(
                "ratio-forgotten",
                "This trains on as many tokens as there are parameters; follow the rule of thumb.",
                size(TRAINING_FLOPS, 1.0),
            ),
            Mistake(
                "no-root",
                "The budget fixes a product of two numbers that grow together: take a root.",
                compute / (TRAINING_FLOPS * RULE),
            ),
        ),
        {"compute": compute},
    )


def _half(study: Study) -> Key:
    law, best = study.case.law, study.answer.best
    compute, loss = float(study.answer.compute), best.loss

    def work(parameters: float) -> float:
        return TRAINING_FLOPS * parameters * float(_tokens_for(law, parameters, loss))

    half = float(best.parameters) / SMALLER
    found = work(half)
    return Key(
        found if math.isfinite(found) else math.nan,
        (
            Mistake(
                "budget-kept",
                "This trains it with the same compute, at which it doesn't reach that loss.",
                compute,
            ),
            Mistake(
                "twice-the-size",
                "This is a model of twice the size; take one of half.",
                work(float(best.parameters) * SMALLER),
            ),
            Mistake(
                "forward-only",
                "This counts the way forward alone; training also goes backward.",
                found * SERVING_FLOPS / TRAINING_FLOPS,
            ),
            Mistake(
                "size-of-the-best",
                "This trains the larger model on the tokens of the smaller.",
                found * SMALLER,
            ),
            Mistake(
                "tokens-for-flops",
                "These are the tokens; give the FLOPs.",
                found / (TRAINING_FLOPS * half),
            ),
        ),
        {"half": half, "compute": compute, "loss": float(loss)},
    )


def _alike(study: Study) -> Key:
    of, best, given = study.case, study.answer.best, study.scenario
    if not given.served_tokens:
        return Key(math.nan)

    def cheapest(life: Lifetime) -> float:
        return float(_cheapest(of.law, best.loss, life).parameters)

    alike = Lifetime(of.served)
    outputs = given.output_tokens / (given.prompt_tokens + given.output_tokens)
    return Key(
        cheapest(alike),
        (
            Mistake(
                "chapters-prices",
                "This keeps the chapter's prices; let a FLOP of either kind cost the same.",
                float(study.answer.served.parameters),
            ),
            Mistake(
                "nothing-served",
                "This is best for training alone; count what is served.",
                float(best.parameters),
            ),
            Mistake(
                "served-as-trained",
                "This takes as many FLOPs for a token served as for one trained on.",
                cheapest(replace(alike, serving_flops=jnp.asarray(TRAINING_FLOPS))),
            ),
            Mistake(
                "outputs-alone",
                "This counts answers alone; the tokens served hold prompts as well.",
                cheapest(Lifetime(outputs * of.served)),
            ),
            Mistake(
                "one-budget",
                "This lets the training budget pay for serving, so the loss is another.",
                float(_within(of.law, study.answer.compute, alike).parameters),
            ),
        ),
        {"compute": float(study.answer.compute), "loss": float(best.loss)},
    )


def _demand(study: Study) -> Key:
    of, best = study.case, study.answer.best
    half = float(best.parameters) / SMALLER
    life = in_dollars(of)

    def from_on(life: Lifetime) -> float:
        def pays(served: float) -> bool:
            asked = replace(life, served_tokens=jnp.asarray(served))
            return float(_cheapest(of.law, best.loss, asked).parameters) <= half

        return turning_point(pays, *SERVED)

    relative = float(life.serving_price / life.training_price)
    return Key(
        from_on(life),
        (
            Mistake(
                "flops-alike",
                "This lets a FLOP of serving cost as much as one of training.",
                from_on(replace(life, serving_price=life.training_price)),
            ),
            Mistake(
                "served-as-trained",
                "This takes as many FLOPs for a token served as for one trained on.",
                from_on(replace(life, serving_flops=jnp.asarray(TRAINING_FLOPS))),
            ),
            Mistake(
                "serving-as-training",
                "This is where serving the best size costs as much as training it.",
                float(best.tokens) * TRAINING_FLOPS / SERVING_FLOPS / relative,
            ),
            Mistake(
                "training-tokens",
                "These are tokens to train on; the question is how many are served.",
                float(_tokens_for(of.law, half, best.loss)),
            ),
        ),
        {"half": half, "relative": relative, "compute": float(study.answer.compute)},
    )


EXERCISES = (
    Exercise(
        "scaling-laws-1",
        CHAPTER,
        "Ten times the budget",
        "paper",
        minutes=10,
        unit="parameters",
        tolerance=0.015,
        key=_more,
    ),
    Exercise(
        "scaling-laws-2",
        CHAPTER,
        "The rule of thumb",
        "recall",
        minutes=5,
        unit="parameters",
        tolerance=0.03,
        key=_rule,
    ),
    Exercise(
        "scaling-laws-3",
        CHAPTER,
        "Half the size",
        "code",
        minutes=10,
        unit="FLOPs",
        tolerance=0.02,
        key=_half,
    ),
    Exercise(
        "scaling-laws-4",
        CHAPTER,
        "If all FLOPs cost the same",
        "code",
        minutes=15,
        unit="parameters",
        tolerance=0.02,
        key=_alike,
    ),
    Exercise(
        "scaling-laws-5",
        CHAPTER,
        "Enough readers for half the size",
        "panel",
        minutes=10,
        unit="tokens served",
        tolerance=0.05,
        key=_demand,
    ),
    Exercise("scaling-laws-6", CHAPTER, "A size for a service", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
