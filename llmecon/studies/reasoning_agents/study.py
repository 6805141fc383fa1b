"""A scenario of the chapter on reasoning and agents: looked up, answered, and put into words."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import words
from llmecon.costs.economics import Conversation
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.specs import Deployment, Efficiency, Workload
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.studies.reasoning_agents import equals
from llmecon.studies.reasoning_agents.model import (
    ANEW,
    CACHED,
    PICTURED,
    REASONED,
    TASKS,
    UNITS,
    Answer,
    Case,
    answer,
    calls,
    inputs_moved,
    last_turn,
    numbers,
    targets,
    told,
)
from llmecon.studies.reasoning_agents.scenario import Scenario
from llmecon.studies.systems import Asked, best_services, drawn_layouts
from llmecon.studies.tokenomics import apis
from llmecon.studies.tokenomics import study as tokenomics
from llmecon.studies.tokenomics.apis import Market, Rival
from llmecon.tables import catalog

_NO_INTERVAL = ("usd_per_thousand_equal",)  # a price, taken as exact

_LONGER: dict[str, str] = {
    REASONED: "prompt_tokens, output_tokens and reasoning_tokens",
    PICTURED: "prompt_tokens, pictures, picture_tokens and output_tokens",
    CACHED: "system_tokens, turns, turn_tokens and turn_output_tokens",
}
"""What makes a task longer than a context holds."""

_SHORT = {CACHED: "a conversation"}

_SLOWER: dict[str, str] = {
    REASONED: "allow more by tpot_limit_s, lower reasoning_tokens",
    PICTURED: "allow more by task_ttft_limit_s or tpot_limit_s, lower pictures",
    CACHED: "allow more by task_ttft_limit_s or tpot_limit_s, lower turns or system_tokens",
    ANEW: "allow more by task_ttft_limit_s or tpot_limit_s, lower turns or system_tokens",
}
"""What helps where no load of an instance keeps a task's limits."""


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        plain: the study of tokenomics of the same service.
        case: its records.
        equal: the cheapest offer of a model that is as good, a row of the market's prices;
            None where none is known.
        answers: with the most probable efficiencies, then with every set that measurements allow,
            each in the layouts that suit it.
    """

    scenario: Scenario
    plain: tokenomics.Study
    case: Case
    equal: pd.Series | None
    answers: Answer

    @property
    def market(self) -> Market:
        """What hosted models cost."""
        return self.plain.market

    @property
    def rival(self) -> Rival:
        """The API that the service is compared with."""
        return self.plain.rival

    @property
    def requests(self) -> Workload:
        """Plain requests."""
        return self.plain.case.requests

    @cached_property
    def answer(self) -> Answer:
        """What tasks cost, with the most probable efficiencies."""
        found: Answer = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), self.answers)
        return found

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The headline numbers for every set of efficiencies; NaN where limits can't be kept."""
        every = np.stack([np.asarray(of) for of in self.answers.feasible.values()])
        kept = (every > 0).all(axis=0)
        found = jax.vmap(told)(self.answers)
        return {name: np.where(kept, np.asarray(of), np.nan)[1:] for name, of in found.items()}

    @cached_property
    def sure(self) -> dict[str, Interval]:
        """Where the numbers of `drawn` lie with 90%."""
        return {
            name: uncertainty.bounds(values)
            for name, values in self.drawn.items()
            if name not in _NO_INTERVAL
        }

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities."""
        return differentiate(numbers, self.case)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        labels, found = self.labels, {}
        for name, value in told(self.answer).items():
            there = math.isfinite(value)
            ends = {} if name in _NO_INTERVAL else self.sure[name].around(float(value))
            moved = inputs_moved(self.differentiated.effects[name]) if there else {}
            found[name] = Quantity(
                name,
                float(value) if there else None,
                UNITS[name],
                labels[name],
                text="" if there else "None known",
                **ends,
                elasticities={of: float(effect) for of, effect in moved.items()},
            )
        return found

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each headline number is, in a few words."""
        given = self.scenario
        paid = "rented" if self.plain.hours.rentable else "owned"
        hidden = words.whole(round(given.reasoning_tokens), "tokens")
        turns = words.count(given.turns, "turn")
        return {
            "usd_per_thousand_plain": f"for a thousand plain requests at scale, {paid}",
            "usd_per_thousand_reasoned": f"for a thousand answers after {hidden} of reasoning",
            "reasoned_over_plain": "as much for a reasoned answer as for a plain one",
            "first_word_s": "until the first word after the reasoning",
            "usd_per_thousand_conversations": f"for a thousand conversations of {turns} with a "
            "prefix cache",
            "uncached_over_cached": "as much for a conversation without one",
            "usd_per_thousand_pictured": "for a thousand plain requests with "
            f"{words.count(given.pictures, 'picture')} each",
            "usd_per_thousand_equal": f"of a hosted model as good by {self.measure}"
            if self.equal is None
            else f"for a thousand plain requests at {self.equal_name}, {self.equality}",
        }

    @property
    def equal_name(self) -> str:
        """The cheapest offer of a model that is as good, in words; empty where none is."""
        row = self.equal
        return "" if row is None else f"{row['provider']}'s {row['model']}"

    @property
    def equality(self) -> str:
        """How the cheapest offer compares with the model, in words."""
        if self.market.score(self.scenario.model) is None:
            return f"the cheapest API of a middling score on {self.measure}"
        return f"the cheapest API that scores as well on {self.measure}"

    @property
    def measure(self) -> str:
        """The benchmark as a reader calls it."""
        return apis.BENCHMARKS[self.scenario.benchmark]


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, and answer it.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the plain service has no answer, a task is longer than the model's context, or
            no load keeps a task's limits on time.
    """
    plain = tokenomics.resolve(scenario)
    equal = equals.matching(equals.hosted(plain.market), equals.level(plain.market, scenario.model))
    case = Case(
        service=plain.case,
        layouts=dict.fromkeys(TASKS[1:], plain.case.layout),
        talk=Conversation(
            turns=scenario.turns,
            system_tokens=scenario.system_tokens,
            user_tokens=scenario.turn_tokens,
            output_tokens=scenario.turn_output_tokens,
            reuse=scenario.cache_reuse,
        ),
        equal=None if equal is None else apis.price_list(equal),
        reasoning=scenario.reasoning_tokens,
        pictures=scenario.pictures,
        picture_tokens=scenario.picture_tokens,
        patience=scenario.task_ttft_limit_s,
    )
    _require_context(scenario, case)
    asked, limits = calls(case), targets(case)
    found, most = best_services(
        [Asked(plain.system, asked[task], limits[task]) for task in TASKS[1:]]
    )
    for place, task in enumerate(TASKS[1:]):
        if not most.feasible[place] > 0:
            raise InputError(_too_slow(scenario, task))
    best = {
        task: jax.tree.map(lambda leaf, place=place: jnp.asarray(leaf[place]), found)
        for place, task in enumerate(TASKS[1:])
    }
    case = replace(case, layouts=best)
    layouts = {
        task: jax.tree.map(
            lambda first, rest: jnp.concatenate([jnp.asarray(first)[None], jnp.asarray(rest)]),
            best[task],
            drawn_layouts(plain.system, asked[task], limits[task])[1],
        )
        for task in TASKS[1:]
    }
    answers = _answers(case, plain.efficiencies, plain.layouts, layouts)
    return Study(scenario, plain, case, equal, answers)


@interpreted
def _answers(
    case: Case, efficiencies: Efficiency, plain: Deployment, layouts: dict[str, Deployment]
) -> Answer:
    def one(efficiency: Efficiency, layout: Deployment, others: dict[str, Deployment]) -> Answer:
        service = replace(case.service, efficiency=efficiency, layout=layout)
        return answer(replace(case, service=service, layouts=others))

    found: Answer = jax.vmap(one)(efficiencies, plain, layouts)
    return found


def _require_context(scenario: Scenario, case: Case) -> None:
    """Refuse tasks that are longer than the model's context."""
    context = float(catalog.llm(scenario.model).context)
    asked = calls(case)
    lengths = {task: asked[task].prompt_tokens + asked[task].output_tokens for task in _LONGER}
    lengths[CACHED] = last_turn(case.talk)
    for task, tokens in lengths.items():
        if float(tokens) > context:
            raise InputError(
                f"{scenario.model} handles at most {context:,.0f} tokens; "
                f"{_SHORT.get(task, task)} takes {float(tokens):,.0f}: lower {_LONGER[task]}, "
                "or choose a model with more context"
            )


def _too_slow(scenario: Scenario, task: str) -> str:
    """Why a task has no price, and what would help."""
    return (
        f"{scenario.model} in {scenario.precision} on {scenario.xpu} can't give {task} within its "
        f"limits at any load, or its memory doesn't hold it: {_SLOWER[task]}, or choose a faster "
        "xpu or one with more memory"
    )
