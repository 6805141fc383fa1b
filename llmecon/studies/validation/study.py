"""A scenario of the chapter on validation: what was compared, its errors, and the instance."""

from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import serving, specs, words
from llmecon.checks import errors_by_group, scheduler
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.specs import Workload
from llmecon.studies.quantities import Quantity
from llmecon.studies.systems import best_tuned
from llmecon.studies.validation.model import (
    BACKLOG,
    QUANTITIES,
    Answer,
    Case,
    Compared,
    answer,
)
from llmecon.studies.validation.scenario import Scenario
from llmecon.tables import catalog, feasibility

CLIENTS = 64.0  # requests in flight where the live panel starts

NAMES = {
    "tpot": "time per output token",
    "ttft": "time to first token",
    "throughput": "throughput of a served model",
    "energy": "energy per output token",
    "tokens_per_s": "speed of training steps",
    "device_hours": "device-hours of training runs",
    "backlog": "throughput of backlogs",
}
"""Quantities as a reader calls them."""

LEFT_OUT = {
    "nothing": "nothing",
    "model": "the model",
    "xpu": "the accelerator",
    "engine": "the engine",
}
"""What fits can have seen nothing of, in words."""


@dataclass(frozen=True)
class Study:
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records.
        chosen: predictions by fits that hadn't seen what the scenario leaves out; rows of
            `errors_by_group.cases`.
    """

    scenario: Scenario
    case: Case
    chosen: pd.DataFrame

    @cached_property
    def answer(self) -> Answer:
        """Errors by quantity, and what the instance does."""
        found: Answer = _answer(self.case)
        return found

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by quantity: an index of QUANTITIES, columns as in `error_measures.Deviations`."""
        found = {name: np.asarray(values) for name, values in vars(self.answer.errors).items()}
        return pd.DataFrame(found, index=list(QUANTITIES))

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name; statistics, of which nothing on record is a slope."""
        found = {}
        for quantity, of in self.errors.iterrows():
            median = float(of["median"])
            found[f"{quantity}_error"] = Quantity(
                f"{quantity}_error",
                median,
                "fraction",
                f"{NAMES[str(quantity)]}: median over {_rows(str(quantity), of['rows'])}, "
                f"{words.percent(of['within_2x'])} within a factor of 2, "
                f"{words.percent(of['covered'])} inside their 90% interval",
                text=f"{words.percent(median)} off",
            )
        return found

    @cached_property
    def tried(self) -> dict[str, str]:
        """What was really left out, by target: some things were not tried of all of them."""
        first = self.chosen.drop_duplicates("target")
        return dict(zip(first["target"], first["left_out"], strict=True))

    @property
    def seen(self) -> bool:
        """Whether the fits had seen every row."""
        return self.scenario.left_out == errors_by_group.NOTHING

    @property
    def unseen(self) -> str:
        """What the scenario leaves out, in words."""
        return LEFT_OUT[self.scenario.left_out]

    @property
    def group_left_out(self) -> str:
        """The kind of group that was left out where the target was predicted, in words."""
        return LEFT_OUT[self.tried[self.scenario.target]]

    @property
    def without(self) -> str:
        """What was left out where the scenario's target was predicted, in words."""
        return self.without_of(self.scenario.target)

    def without_of(self, target: str) -> str:
        """What was left out where a target was predicted, in words.

        Args:
            target: one of `model.TARGETS`.
        """
        return without(target, self.tried[target])

    @property
    def name(self) -> str:
        """The scenario's target as a reader calls it."""
        return NAMES[self.scenario.target]

    @property
    def error(self) -> pd.Series:
        """Errors of the scenario's target."""
        return self.errors.iloc[QUANTITIES.index(self.scenario.target)]

    @cached_property
    def every(self) -> pd.DataFrame:
        """All predictions, whatever was left out; rows of `errors_by_group.cases`."""
        return errors_by_group.cases()

    @property
    def in_view(self) -> pd.DataFrame:
        """The chosen predictions of the scenario's target."""
        return self.chosen[self.chosen["target"] == self.scenario.target]

    @property
    def system_name(self) -> str:
        """The instance as a reader calls it."""
        given = self.scenario
        return (
            f"{catalog.name('models', given.model)} in {given.precision} on "
            f"{given.xpus} x {catalog.name('xpus', given.xpu)}"
        )


_answer = interpreted(answer)
_room = interpreted(serving.largest_batch)


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, ready to be answered.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests, the model or both together don't fit, or fast links don't join so
            many devices.
    """
    given = scenario
    feasibility.require_context(given.model, given.prompt_tokens, given.output_tokens)
    feasibility.require_memory(given.model, given.xpu, given.precision, given.xpus)
    chosen = errors_by_group.left_out(
        errors_by_group.fitted()
        if given.left_out == errors_by_group.NOTHING
        else errors_by_group.held_out(),
        given.left_out,
    )
    found = case(given, compared(chosen))
    if _room(found.instance, found.requests) < 1.0:
        raise InputError(
            f"{given.model} in {given.precision} leaves no room for a request of "
            f"{given.prompt_tokens + given.output_tokens:,.0f} tokens on {given.xpus} x "
            f"{given.xpu}: use more xpus, shorter requests or fewer bits"
        )
    return Study(given, found, chosen)


def case(scenario: Scenario, compared: Compared | None = None) -> Case:
    """The records that a scenario's ids stand for.

    Args:
        scenario: what is asked.
        compared: what errors are told of.

    Raises:
        InputError: fast links don't join so many devices.
    """
    stored = specs.precision(scenario.precision)
    return Case(
        llm=catalog.llm(scenario.model),
        xpu=catalog.xpu(scenario.xpu),
        layout=scheduler.one_scheduler(scenario.xpu, scenario.xpus, stored),
        requests=Workload(scenario.prompt_tokens, scenario.output_tokens),
        efficiency=catalog.efficiency(best_tuned(scenario)),
        clients=CLIENTS,
        compared=compared,
    )


def compared(chosen: pd.DataFrame) -> Compared:
    """Predictions beside measurements as records, with those of backlogs.

    Args:
        chosen: rows of `errors_by_group.cases`, one a measured row and target.
    """
    every = pd.concat(
        [chosen, errors_by_group.backlogs().assign(target=BACKLOG)], ignore_index=True
    )
    counted = every["target"].to_numpy() == np.array(QUANTITIES)[:, None]
    return Compared(errors_by_group.pairs(every), jnp.asarray(counted))


def without(target: str, group: str) -> str:
    """What fits had not seen, in words.

    Args:
        target: which they predict.
        group: the kind of group that was left out.
    """
    if group == "model" and target == "device_hours":
        return "the whole family of the model"
    return LEFT_OUT[group]


def _rows(quantity: str, rows: float) -> str:
    what = "results of MLPerf, never fitted" if quantity == BACKLOG else "measurements"
    return words.whole(rows, what)
