"""What the charts and tables of the chapter on scaling laws show, as frames."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon import scaling
from llmecon.evidence import uncertainty
from llmecon.execution.interpreter import interpreted
from llmecon.scaling import LossLaw
from llmecon.scaling.sizes import SERVING_FLOPS, TRAINING_FLOPS
from llmecon.studies.scaling_laws.model import (
    KILOGRAMS,
    Answer,
    Case,
    Work,
    answer,
    in_dollars,
    in_kilograms,
    inputs_moved,
    repetition,
)
from llmecon.studies.scaling_laws.study import DRAWS, LAWS, REFIT, Study, fitted, law_of
from llmecon.tables import catalog

FIRST = ("parameters", "tokens", "loss", "training_cost", "training_carbon")
"""The headline numbers that the chapter begins with."""

NEAR = ("smallest", "largest")
"""The headline numbers of its section on sizes near the best."""

SERVED = ("served_parameters", "served_tokens_per_parameter", "served_saving")
"""The headline numbers of its section on what is served."""

WITHIN = ("within_parameters", "within_loss")
"""The headline numbers of a budget that pays for serving too."""

GREENEST = ("greenest_parameters", "greenest_saving")
"""The headline numbers of its section on carbon."""

SCARCE = ("passes", "scarce_loss")
"""The headline numbers of its section on scarce tokens."""

CONSTANTS = {
    "E": "entropy",
    "A": "size_factor",
    "B": "data_factor",
    "alpha": "size_exponent",
    "beta": "data_exponent",
}
"""Constants of a law, by the names of the table."""

BUDGETS = (0.01, 0.1, 1.0, 10.0)
"""Times the scenario's compute, of which losses are shown by size."""

TRILLION = 1e12  # tokens

ZETTA = 1e21  # FLOP, of which charts count

CHINCHILLA = 5.76e23
"""Training compute of the model that the printed law is about, FLOP [Hoffmann2022]."""

SAID = 20.0
"""Tokens per parameter that its text says [Hoffmann2022]."""

STOCK, USED = 1.07, 1.5
"""Text on the web, and tokens in training sets, over those of a year before [Villalobos2022]."""

PASSES = (4.0, 40.0)
"""Over the same tokens, of which the worth is told."""

LEAST_EFFECT = 0.005  # that a chart of elasticities would not show as 0

CARBON_PRICE = 200.0
"""USD per tonne, that is tried beside the scenario's."""


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    return {"study": study}


@interpreted
def _losses(law: LossLaw, parameters: Any, tokens: Any) -> Array:
    return scaling.loss(law, parameters, tokens)


@interpreted
def _best(laws: LossLaw, compute: Array) -> scaling.Size:
    found: scaling.Size = jax.vmap(lambda law: scaling.compute_optimal(law, compute))(laws)
    return found


@interpreted
def _answers(case: Case, values: Array, change: Callable[[Case, Array], Case]) -> Answer:
    found: Answer = jax.vmap(lambda value: answer(change(case, value)))(values)
    return found


def _with_served(case: Case, served: Array) -> Case:
    return replace(case, served=served)


def _with_unique(case: Case, unique: Array) -> Case:
    return replace(case, unique=unique)


def valleys(study: Study) -> pd.DataFrame:
    """Loss by size for several budgets of compute: parameters, loss, left (above E) and of."""
    best = study.answer.best
    sizes = float(best.parameters) * np.geomspace(1 / 40, 40, 49)
    parts = []
    for times in BUDGETS:
        tokens = times * float(study.answer.compute) / TRAINING_FLOPS / sizes
        losses = np.asarray(_losses(study.case.law, sizes, tokens))
        name = "this budget" if times == 1.0 else f"{times:g} times"
        left = losses - float(study.case.law.entropy)
        of = pd.DataFrame({"parameters": sizes, "loss": losses, "left": left, "of": name})
        # Far from its bottom a valley says nothing more, and would flatten the others.
        parts.append(of[left <= 3.0 * left.min()])
    return pd.concat(parts)


@cache
def constants() -> pd.DataFrame:
    """The constants of the law: fitted here, with standard errors, and as published.

    Returns:
        By constant: refit, bootstrap and curvature (standard errors), published and its
        standard_error (Besiroglu2024), apart (in these), printed and digits (Hoffmann2022).
    """
    fit, names = fitted(), list(CONSTANTS)
    law = {name: float(getattr(fit.law(), field)) for name, field in CONSTANTS.items()}
    published, printed, digits = (
        {name: float(getattr(scaling.law(of), field)) for name, field in CONSTANTS.items()}
        for of in ("besiroglu-2024", "hoffmann-2022", "hoffmann-2022-unrounded")
    )
    frame = pd.DataFrame(
        {
            "refit": law,
            "bootstrap": fit.standard_errors(),
            "curvature": scaling.figure_fit("sandwich").standard_errors(),
            "published": published,
            "standard_error": scaling.standard_errors("besiroglu-2024"),
            "printed": printed,
            "digits": digits,
        }
    ).loc[names]
    return frame.assign(apart=(frame["refit"] - frame["published"]) / frame["standard_error"])


@cache
def runs() -> pd.DataFrame:
    """The runs of Chinchilla's figure against the law fitted to them.

    Returns:
        Columns of loss_measurements.csv, and name, predicted, off (measured over predicted loss,
        less 1, in percent), zettaflop and fitted (whether the law has seen the run).
    """
    table = catalog.table("loss_measurements")
    found = table[table["data"] == scaling.fit.FIGURE].sort_values("tokens")
    found = found.assign(fitted=np.arange(len(found)) >= scaling.fit.OUTLYING)
    sizes, tokens = (found[of].to_numpy(float) for of in ("parameters", "tokens"))
    predicted = np.asarray(_losses(law_of(REFIT), sizes, tokens))
    return found.assign(
        name=[f"run {i + 1}" for i in range(len(found))],
        predicted=predicted,
        off=100.0 * (found["loss"] / predicted - 1.0),
        zettaflop=found["training_flop"] / ZETTA,
    )


@dataclass(frozen=True)
class Searches:
    """Searches for the constants, from different starts.

    Attributes:
        count: of searches.
        share: of them that end within a thousandth of the least objective.
    """

    count: int
    share: float


def searches() -> Searches:
    """How many searches found the law that is taken."""
    fit = fitted()
    ends = np.array(fit.ends)
    return Searches(len(ends), float(np.mean(ends <= 1.001 * fit.objective)))


def ratios(study: Study) -> pd.DataFrame:
    """Tokens per parameter of the best size by compute, for each law: zettaflop, ratio and of."""
    computes = np.geomspace(1e19, max(1e27, 3.0 * float(study.answer.compute)), 25)
    parts = []
    for name, called in LAWS.items():
        law = law_of(name)
        found = scaling.compute_optimal(law, jnp.asarray(computes))
        parts.append(
            pd.DataFrame(
                {
                    "zettaflop": computes / ZETTA,
                    "ratio": np.asarray(found.tokens_per_parameter),
                    "of": called,
                }
            )
        )
    return pd.concat(parts)


def at_chinchilla() -> dict[str, float]:
    """Tokens per parameter that each law gives for the compute of Chinchilla, by its id."""
    return {
        name: float(scaling.compute_optimal(law_of(name), CHINCHILLA).tokens_per_parameter)
        for name in LAWS
    }


def rounded() -> tuple[float, float]:
    """Least and most tokens per parameter at the compute of Chinchilla, by unknown digits.

    The printed exponents may each be off by half a unit of their second decimal.
    """
    law, half = scaling.law("hoffmann-2022"), 0.005
    found = [
        scaling.compute_optimal(
            replace(
                law,
                size_exponent=law.size_exponent + size,
                data_exponent=law.data_exponent + data,
            ),
            CHINCHILLA,
        )
        for size in (-half, half)
        for data in (-half, half)
    ]
    ratios = [float(of.tokens_per_parameter) for of in found]
    return min(ratios), max(ratios)


def together() -> float:
    """Correlation of log B and beta as the fit leaves them."""
    of = fitted().covariance
    return float(of[1, 4] / np.sqrt(of[1, 1] * of[4, 4]))


def worth(study: Study) -> dict[float, float]:
    """Fresh tokens that some passes over one token are worth, by how many."""
    law = repetition(study.case)
    return {of: float(scaling.effective_tokens(law, of, 1.0)) for of in PASSES}


def certainty(study: Study) -> pd.DataFrame:
    """The best size by draws of the fitted law, for the scenario's compute.

    Returns:
        Columns of (how constants are drawn), what (size or tokens per parameter), middle, low,
        high and wide (the upper end over the lower).
    """
    compute = study.answer.compute
    fit, curved = fitted(), scaling.figure_fit("sandwich")
    alone = replace(fit, covariance=np.diag(np.diag(fit.covariance)))
    ways = {
        "together, bootstrap": fit.draws(DRAWS),
        "together, curvature": curved.draws(DRAWS),
        "each on its own": alone.draws(DRAWS),
    }
    middle = scaling.compute_optimal(fit.law(), compute)
    rows = []
    for of, laws in ways.items():
        found = _best(laws, compute)
        for what, values, centre in (
            ("parameters [billion]", found.parameters / 1e9, middle.parameters / 1e9),
            (
                "tokens per parameter",
                found.tokens_per_parameter,
                middle.tokens_per_parameter,
            ),
        ):
            ends = uncertainty.bounds(np.asarray(values))
            rows.append((of, what, float(centre), ends.low, ends.high, ends.high / ends.low))
    return pd.DataFrame(rows, columns=["of", "what", "middle", "low", "high", "wide"])


def ridge(study: Study) -> pd.DataFrame:
    """Loss above the lowest by size, for the scenario's compute: times, parameters, excess [%]."""
    best = study.answer.best
    widest = 2.0 * float(study.answer.ridge.largest.parameters / best.parameters)
    widest = max(widest, 2.0 * float(best.parameters / study.answer.ridge.smallest.parameters))
    times = np.geomspace(1.0 / widest, widest, 61)
    sizes, tokens = float(best.parameters) * times, float(best.tokens) / times
    losses = np.asarray(_losses(study.case.law, sizes, tokens))
    return pd.DataFrame(
        {
            "times": times,
            "parameters": sizes,
            "excess": 100.0 * (losses / float(best.loss) - 1.0),
            "of": "loss",
        }
    )


def near(study: Study) -> pd.DataFrame:
    """The best size and those at the ends of the ridge, with what serving each takes.

    Returns:
        Columns of, parameters, tokens, loss and serving (over the best size's).
    """
    found = study.answer
    sizes = {
        "smallest": found.ridge.smallest,
        "best": found.best,
        "largest": found.ridge.largest,
    }
    rows = [
        (
            of,
            float(size.parameters),
            float(size.tokens),
            float(size.loss),
            float(size.parameters / found.best.parameters),
        )
        for of, size in sizes.items()
    ]
    return pd.DataFrame(rows, columns=["of", "parameters", "tokens", "loss", "serving"])


def life(study: Study) -> pd.DataFrame:
    """What models of one loss cost in their life, by size: parameters, usd and part."""
    dollars, found = in_dollars(study.case), study.answer
    low, high = (float(of.parameters) for of in (found.served, found.best))
    sizes = np.geomspace(min(low, high) / 3.0, max(low, high) * 4.0, 80)
    tokens = np.asarray(scaling.tokens_for(study.case.law, jnp.asarray(sizes), found.best.loss))
    there = np.isfinite(tokens)
    sizes, tokens = sizes[there], tokens[there]
    training = float(dollars.training_price) * TRAINING_FLOPS * sizes * tokens
    serving = float(dollars.serving_price * dollars.served_tokens) * SERVING_FLOPS * sizes
    parts = {"both": training + serving, "training": training, "serving": serving}
    # Just above the smallest that reaches the loss, training alone leaves any scale behind.
    shown = training <= 20.0 * float(found.before)
    return pd.concat(
        pd.DataFrame({"parameters": sizes, "usd": usd, "part": part})[shown]
        for part, usd in parts.items()
    )


def demand(study: Study) -> pd.DataFrame:
    """Tokens per parameter by trillions served: served, ratio and of (what is to be least)."""
    served = float(study.answer.best.tokens) * np.geomspace(1e-2, 1e4, 25)
    found = _answers(study.case, jnp.asarray(served), _with_served)
    ways = {"cost": found.served, "carbon": found.greenest}
    return pd.concat(
        pd.DataFrame(
            {
                "served": served / TRILLION,
                "ratio": np.asarray(of.size.tokens_per_parameter),
                "of": k,
            }
        )
        for k, of in ways.items()
    )


def scarce(study: Study) -> pd.DataFrame:
    """The lowest loss by how many tokens differ: unique, loss, above [%], parameters, passes."""
    unique = float(study.answer.best.tokens) * np.geomspace(0.01, 3.0, 25)
    found = _answers(study.case, jnp.asarray(unique), _with_unique)
    return pd.DataFrame(
        {
            "unique": unique,
            "loss": np.asarray(found.scarce.loss),
            "above": 100.0 * (np.asarray(found.scarce.loss) / float(study.answer.best.loss) - 1.0),
            "parameters": np.asarray(found.scarce.parameters),
            "passes": np.asarray(found.passes),
            "of": "loss",
        }
    )


def _scaled(work: Work, times: float) -> Work:
    return Work(work.seconds * times, work.joules * times)


def changes(study: Study) -> pd.DataFrame:
    """What the answers become if something changes.

    Returns:
        Columns of (what changes), parameters, tokens, loss, served_parameters, served_tokens,
        saving, scarce_loss and passes; the first row is the scenario itself.
    """
    case = study.case
    cases: dict[str, Case] = {
        "as asked": case,
        "ten times the budget": replace(case, budget=10.0 * case.budget),
        "half the carbon of training": replace(case, budget=0.5 * case.budget),
        "ten times the budget and the unique tokens": replace(
            case, budget=10.0 * case.budget, unique=10.0 * case.unique
        ),
        "a year's growth of text on the web": replace(case, unique=STOCK * case.unique),
        "a year's growth of training sets": replace(case, unique=USED * case.unique),
        "half as many unique tokens": replace(case, unique=0.5 * case.unique),
        "serving at half the cost": replace(case, serving=_scaled(case.serving, 0.5)),
        "serving at a tenth of the cost": replace(case, serving=_scaled(case.serving, 0.1)),
        "ten times as much served": replace(case, served=10.0 * case.served),
        f"carbon at USD {CARBON_PRICE:g} a tonne": replace(
            case, carbon_price=jnp.asarray(CARBON_PRICE / KILOGRAMS)
        ),
    }
    found = _all(catalog.stack(list(cases.values())))
    return pd.DataFrame(
        {
            "of": list(cases),
            "parameters": np.asarray(found.best.parameters),
            "tokens": np.asarray(found.best.tokens),
            "loss": np.asarray(found.best.loss),
            "served_parameters": np.asarray(found.served.parameters),
            "served_tokens": np.asarray(found.served.tokens),
            "saving": 1.0 - np.asarray(found.served.cost / found.before),
            "scarce_loss": np.asarray(found.scarce.loss),
            "passes": np.asarray(found.passes),
        }
    )


@interpreted
def _all(cases: Case) -> Answer:
    found: Answer = jax.vmap(answer)(cases)
    return found


def elasticities(study: Study, name: str = "served_parameters") -> dict[str, float]:
    """By how many percent a headline number changes with each input that moves it.

    Args:
        study: whose number.
        name: the number's.
    """
    moved = inputs_moved(study.differentiated.effects[name])
    return {of: float(effect) for of, effect in moved.items() if abs(float(effect)) >= LEAST_EFFECT}


def relative(study: Study) -> tuple[float, float]:
    """A FLOP of serving over one of training, by cost and by carbon."""
    costs, emits = in_dollars(study.case), in_kilograms(study.case)
    return (
        float(costs.serving_price / costs.training_price),
        float(emits.serving_price / emits.training_price),
    )


def serving_before(study: Study) -> float:
    """What serving the best size for training costs in its life, USD."""
    dollars = in_dollars(study.case)
    each = float(dollars.serving_price) * SERVING_FLOPS * float(study.answer.best.parameters)
    return each * float(dollars.served_tokens)


def even_price(study: Study) -> float:
    """The price of carbon at which that of training costs as much as its rent, USD per tonne."""
    return KILOGRAMS * float(study.answer.usd / study.answer.kilograms)
