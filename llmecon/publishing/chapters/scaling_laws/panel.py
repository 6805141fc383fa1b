"""The live panel of the chapter on scaling laws."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import scaling
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.scaling import LossLaw
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.scaling_laws import model
from llmecon.studies.scaling_laws.frames import TRILLION
from llmecon.studies.scaling_laws.model import BUDGETS, KILOGRAMS, Case, Work
from llmecon.studies.scaling_laws.study import LAWS, REFIT, Study, fitted, law_of

Scalar = Float[Array, ""]

WIDEST = 1e3  # times the demand, and its inverse, between which the curve is drawn
_NAMES = ("A", "B", "E", "alpha", "beta")


def show(study: Study, data: Provenance) -> live.Shown:
    """Show the panel, which computes the study's answer on the page.

    Args:
        study: where the controls start.
        data: what its numbers rest on.
    """
    return live.show(panel(study, data))


def panel(study: Study, data: Provenance) -> live.Panel:
    """The panel; arguments as in `show`."""
    given = study.scenario
    laws = live.Menu("law", LAWS, given.law, "Law of the loss")
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="How large a model, on how many tokens?",
        controls=[laws, *_sliders(study)],
        lookups={
            "law": live.lookup([laws], law_of),
            "spread": live.lookup([laws], _spread),
        },
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("parameters", "parameters", "at the lowest loss", "log_sd"),
            live.Answer("tokens", "tokens", "to train it on"),
            live.Answer("tokens_per_parameter", "tokens", "for each parameter"),
            live.Answer(
                "served_parameters", "parameters", "at the same loss and least cost in its life"
            ),
            live.Answer("saving", "fraction", "of training and serving is saved by that"),
        ],
        curve=live.Curve(
            Partial(_by_demand, study.case),
            "Tokens served in the model's life [trillion]",
            "Training tokens per parameter at least cost",
        ),
        smooth="parameters",
        effects=_EFFECTS,
        effect_title="1% more of this changes the best size by so many percent",
        description="Training tokens per parameter of the model that costs least in its life, "
        "against what it serves: level at first, then rising.",
        note=f"What a FLOP takes is that of {study.reference_name} on {study.xpu_name} as above, "
        "and stays while these are moved. Only the law that is fitted here has an interval.",
        data=data,
        log_sd=_log_sd,
    )


FEW = 1e9  # tokens served, at which their slider begins


def _sliders(study: Study) -> list[live.Slider]:
    given = study.scenario
    hourly = float(study.case.rent) * SECONDS_PER_HOUR
    # Where nothing is served the slider stands at what would change nothing.
    least = min(FEW, float(study.answer.best.tokens) / 1000.0)
    return [
        live.Slider(
            "budget",
            given.budget / 1000.0,
            given.budget * 1000.0,
            given.budget,
            "Budget for training",
            BUDGETS[given.budget_unit],
        ),
        live.Slider(
            "served_tokens",
            least,
            1e16,
            max(given.served_tokens, least),
            "Tokens served in its life",
            "tokens",
        ),
        live.Slider("serving", 0.01, 10.0, 1.0, "Cost of serving, over that of today", "times"),
        live.Slider("rent", 0.1, 20.0, hourly, "Rent of an xPU", "USD per hour"),
        live.Slider(
            "usd_per_t_co2e",
            0.0,
            2000.0,
            given.usd_per_t_co2e,
            "Price of carbon",
            "USD per tonne",
            log=False,
        ),
    ]


def _spread(law: str) -> tuple[tuple[float, ...], ...]:
    """A root of the covariance of a law's constants; nothing where none is published."""
    if law != REFIT:
        return ((0.0,) * len(_NAMES),) * len(_NAMES)
    values, vectors = np.linalg.eigh(fitted().covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return tuple(tuple(float(f"{x:.6g}") for x in row) for row in root)


def _log_sd(effects: Settings, s: Settings) -> Scalar:
    """Of the best size, to first order in the law's constants, which vary together."""
    of: LossLaw = effects.law
    slopes = (
        of.size_factor,
        of.data_factor,
        of.entropy,
        of.size_exponent / s.law.size_exponent,
        of.data_exponent / s.law.data_exponent,
    )
    variance = jnp.asarray(1e-24)  # keeps the root's slope finite where nothing varies
    for i in range(len(_NAMES)):
        terms = [s.spread[i][j] * slope for j, slope in enumerate(slopes)]
        variance = variance + sum(terms, jnp.asarray(0.0)) ** 2
    return jnp.sqrt(variance)


def _set(case: Case, s: Settings) -> Case:
    """The study's case, as the controls are set."""
    serving = Work(case.serving.seconds * s.serving, case.serving.joules * s.serving)
    return replace(
        case,
        law=s.law,
        budget=s.budget,
        served=s.served_tokens,
        serving=serving,
        rent=s.rent / SECONDS_PER_HOUR,
        carbon_price=s.usd_per_t_co2e / KILOGRAMS,
    )


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    case = _set(case, s)
    told = model.told(model.answer(case))
    return {
        "parameters": told["parameters"],
        "tokens": told["tokens"],
        "tokens_per_parameter": told["tokens_per_parameter"],
        "served_parameters": told["served_parameters"],
        "saving": told["served_saving"],
        "here_x": case.served / TRILLION,
        "here_y": told["served_tokens_per_parameter"],
    }


def _by_demand(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Tokens per parameter at least cost, for a thousandth of the demand to a thousand times it."""
    case = _set(case, s)
    served = case.served * jnp.exp((2.0 * along - 1.0) * jnp.log(WIDEST))
    best = scaling.compute_optimal(case.law, case.budget / model.budgeted(case, case.training))
    life = model.in_dollars(replace(case, served=served))
    found = scaling.lifetime_optimal(case.law, best.loss, life)
    return served / TRILLION, found.size.tokens_per_parameter


_EFFECTS = {
    "budget": "budget",
    "rent of an xPU": "rent",
    "price of carbon": "usd_per_t_co2e",
    "factor of size (A)": "law.size_factor",
    "factor of data (B)": "law.data_factor",
    "exponent of size (alpha)": "law.size_exponent",
    "exponent of data (beta)": "law.data_exponent",
}
