"""A scenario of the chapter on scaling laws: its law and prices, its answer, and how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon import scaling, words
from llmecon.costs import carbon
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.scaling import LawFit, LossLaw
from llmecon.scaling.sizes import TRAINING_FLOPS
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.scaling_laws import prices
from llmecon.studies.scaling_laws.model import (
    BUDGETS,
    KILOGRAMS,
    UNITS,
    Answer,
    Case,
    answer,
    budgeted,
    inputs_moved,
    numbers,
    slower,
    told,
)
from llmecon.studies.scaling_laws.scenario import NEAREST, Scenario
from llmecon.studies.xpu_needs.study import Study as Needs
from llmecon.tables import catalog
from llmecon.tables.efficiencies import System

DRAWS = 256
"""Laws that might be true, each with a run that might take longer or shorter."""

LEAST_COMPUTE, MOST_COMPUTE = 1e15, 1e30
"""Training compute between which a budget has an answer, FLOP."""

PRICED, CLOSE = 4, 1e-4
"""Times that the run which a budget buys is priced anew at most, and when it is near enough."""

REFIT = "refit"
NATS, MORE = "nats per token", 2
"""The unit of losses, of which the third and fourth digits matter."""

LAWS = {
    REFIT: "the law fitted here",
    "besiroglu-2024": "Besiroglu and others",
    "hoffmann-2022": "Hoffmann and others, as printed",
    "hoffmann-2022-unrounded": "Hoffmann and others, with more digits",
    "sardana-2023": "Sardana and others",
}
"""Laws that a reader may choose, as they are called."""


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its law and prices.
        needs: the run and the service that price FLOPs, as the other chapter answers them.
    """

    scenario: Scenario
    case: Case
    needs: Needs

    @cached_property
    def _answered(self) -> tuple[Answer, dict[str, float]]:
        found, numbers = _answered(self.case)
        return found, {name: float(numbers[name]) for name in UNITS}

    @property
    def answer(self) -> Answer:
        """What size of model is worth training."""
        return self._answered[0]

    @property
    def numbers(self) -> dict[str, float]:
        """The headline numbers alone."""
        return self._answered[1]

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def laws(self) -> LossLaw:
        """Laws that might be true: joint draws of the fit, or the published one alone."""
        if self.scenario.law == REFIT:
            return fitted().draws(DRAWS)
        return jax.tree.map(lambda leaf: jnp.full(DRAWS, leaf), self.case.law)

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The headline numbers, one a draw of the law and of how long the run takes."""
        found = _drawn(self.case, self.laws, self.needs.away.draws(DRAWS))
        return {name: np.asarray(found[name]) for name in UNITS}

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        found = {}
        for name, value in self.numbers.items():
            moved = inputs_moved(self.differentiated.effects[name])
            found[name] = Quantity(
                name,
                value,
                UNITS[name],
                self.labels[name],
                **self.interval(name).around(value),
                elasticities={of: float(effect) for of, effect in moved.items()},
                more=MORE if UNITS[name] == NATS else 0,
            )
        return found

    def interval(self, name: str) -> Interval:
        """Where a headline number lies in nine of ten draws.

        Args:
            name: the number's.
        """
        return uncertainty.bounds(self.drawn[name])

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """What each headline number is, in a few words."""
        given = self.scenario
        verb = "is" if given.served_tokens == 1 else "are"
        served = (
            f"{words.quantity(given.served_tokens, 'tokens')} {verb}"
            if given.served_tokens
            else "nothing is"
        )
        near = words.percent(given.near)
        return {
            "parameters": f"in the model of lowest loss for {self.budget}",
            "tokens": "to train it on",
            "tokens_per_parameter": "for each parameter",
            "loss": f"that it reaches, by {LAWS[given.law]}",
            "training_cost": f"to rent {self.xpu_name} for the run",
            "training_carbon": f"operational carbon of the run, {self.grid_name}",
            "served_parameters": f"where {served} to be served, at the same loss and least cost",
            "served_tokens_per_parameter": "for each of those parameters",
            "served_saving": "of the cost of training and serving is saved by that",
            "within_parameters": "where the budget must pay for serving, too",
            "within_loss": "that this one reaches",
            "greenest_parameters": "where carbon is to be least, at the same loss",
            "greenest_saving": "of the carbon of training and serving is saved by that",
            "smallest": f"in the smallest model within {near} of the lowest loss",
            "largest": "in the largest such model",
            "passes": f"that training sees {words.quantity(given.unique_tokens, 'tokens')}, "
            "if there are no more",
            "scarce_loss": "is the lowest loss then",
        }

    @property
    def budget(self) -> str:
        """The budget as a reader calls it."""
        return words.quantity(self.scenario.budget, BUDGETS[self.scenario.budget_unit])

    @property
    def law_name(self) -> str:
        """The law as a reader calls it."""
        return LAWS[self.scenario.law]

    @property
    def reference(self) -> str:
        """Id of the model whose run and service price FLOPs."""
        return str(self.needs.scenario.model)

    @property
    def reference_name(self) -> str:
        """That model as a reader calls it."""
        return catalog.name("models", self.reference)

    @property
    def covered(self) -> bool:
        """Whether the law has a covariance; no published one has, so that they have no draws."""
        return self.scenario.law == REFIT

    @cached_property
    def repriced(self) -> prices.Repriced | None:
        """The cheapest size, with FLOPs priced by the model nearest to it; `prices.repriced`."""
        return prices.repriced(self.scenario, self.reference, self.case, self.answer)

    @cached_property
    def fitted_runs(self) -> pd.DataFrame:
        """The runs of the figure that laws are fitted to: parameters, tokens, training_flop."""
        table = catalog.table("loss_measurements")
        return table[table["data"] == scaling.fit.FIGURE]

    @property
    def handed_over(self) -> float:
        """FLOPs of the run that is handed over, over those that the budget buys.

        1, but where the other chapter takes neither so few nor so many tokens.
        """
        size = prices.size_of(self.reference)
        flops = TRAINING_FLOPS * size * float(self.needs.scenario.training_tokens)
        return flops / float(self.answer.compute)

    @property
    def serving(self) -> System:
        """The system that serves, as it is set up."""
        return self.needs.serving

    @property
    def command(self) -> str:
        """The command that asks the chapter on numbers of accelerators for the run."""
        given, tokens = self.needs.scenario, self.needs.scenario.training_tokens
        said = [f"model {given.model}", f"training_tokens {tokens:.4g}", f"xpu {given.xpu}"]
        default = type(given)()
        said += [
            f"{name} {getattr(given, name):g}"
            for name in ("deadline_days", "usd_per_xpu_hour", "pue")
            if getattr(given, name) != getattr(default, name)
        ]
        said += [
            f"{name} {getattr(given, name)}"
            for name in ("grid", "tuning", "my_server")
            if getattr(given, name) != getattr(default, name)
        ]
        return "llmecon ask xpu-needs " + " ".join(f"-p {of}" for of in said)


@interpreted
def _answered(case: Case) -> tuple[Answer, dict[str, Array]]:
    found = answer(case)
    return found, told(found)


@interpreted
def _drawn(case: Case, laws: LossLaw, times: Array) -> dict[str, Array]:
    found: dict[str, Array] = jax.vmap(lambda law, of: numbers(slower(case, of, law)))(laws, times)
    return found


def fitted() -> LawFit:
    """The law fitted to the losses of Chinchilla's figure, with its covariance."""
    return scaling.figure_fit()


def law_of(name: str) -> LossLaw:
    """A law that a reader may choose.

    Args:
        name: one of `LAWS`.
    """
    found = fitted().law() if name == REFIT else scaling.law(name)
    return jax.tree.map(lambda leaf: jnp.asarray(float(leaf)), found)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, and what its FLOPs cost.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the budget buys too little or too much, or the model whose run prices FLOPs
            can't be trained or served as asked.
    """
    law = law_of(scenario.law)
    compute = _within(scenario, prices.roughly(scenario))
    chosen = scenario.model
    if chosen == NEAREST:
        chosen = prices.nearest(float(scaling.compute_optimal(law, compute).parameters))
    needs = prices.answered(scenario, chosen, prices.tokens_for(chosen, compute))
    found = case(scenario, law, needs)
    for _ in range(PRICED):
        # What the budget buys is known only from the run that it buys.
        bought = _within(scenario, scenario.budget / float(budgeted(found, found.training)))
        if abs(bought / compute - 1.0) < CLOSE:
            break
        compute = bought
        needs = prices.answered(scenario, chosen, prices.tokens_for(chosen, compute))
        found = case(scenario, law, needs)
    return Study(scenario, found, needs)


def case(scenario: Scenario, law: LossLaw, needs: Needs) -> Case:
    """The records that a scenario stands for.

    Args:
        scenario: what is asked.
        law: of the loss.
        needs: the run and the service that price FLOPs.
    """
    repeated = scaling.repetition_law()
    return Case(
        law=law,
        training=prices.of_training(needs),
        serving=prices.of_serving(needs, scenario.utilisation),
        budget=scenario.budget,
        served=scenario.served_tokens,
        unique=scenario.unique_tokens,
        repetitions=repeated.repetitions,
        excess=repeated.excess,
        near=scenario.near,
        rent=needs.case.rent,
        intensity=carbon.intensity(needs.case.site),
        carbon_price=scenario.usd_per_t_co2e / KILOGRAMS,
        unit=scenario.budget_unit,
    )


def _within(scenario: Scenario, compute: float) -> float:
    if not LEAST_COMPUTE <= compute <= MOST_COMPUTE:
        unit = BUDGETS[scenario.budget_unit]
        raise InputError(
            f"budget: {scenario.budget:g} {unit} buys {compute:.2g} FLOP of training; give one "
            f"that buys {LEAST_COMPUTE:g} to {MOST_COMPUTE:g}"
        )
    return compute
