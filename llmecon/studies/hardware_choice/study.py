"""A scenario of the chapter on hardware choice: its problem solved, its answer and its names."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from llmecon import choice, words
from llmecon.choice import confidence, maps, objective, report, sensitivity
from llmecon.choice.description import Problem
from llmecon.choice.fleets import Clash, Plan, Relaxed
from llmecon.errors import InputError
from llmecon.evidence import sourcing, uncertainty
from llmecon.evidence.sourcing import Evidence
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_HOUR
from llmecon.studies.hardware_choice import description, records
from llmecon.studies.hardware_choice.model import (
    BEST,
    INPUTS,
    PARTS,
    SAFE,
    USUAL,
    Answer,
    Case,
    answer,
    scaled,
    told,
)
from llmecon.studies.hardware_choice.records import Chosen
from llmecon.studies.hardware_choice.scenario import Scenario
from llmecon.studies.names import Names
from llmecon.studies.quantities import Quantity
from llmecon.tables import catalog, feasibility

THOUSAND = 1000.0  # of watts in a kilowatt


@dataclass(frozen=True)
class Alone:
    """Each accelerator serving everything alone, instances in parts.

    Attributes:
        costs: USD/s by id; infinite where it can't keep the limits.
        xpu: id of the usual one.
        ranking: who is cheapest of all, of those read, and of those measured besides.
    """

    costs: Mapping[str, float]
    xpu: str
    ranking: Mapping[str, str | None]

    @property
    def cheapest(self) -> str:
        """Id of the cheapest of all."""
        return min(self.costs, key=self.costs.__getitem__)

    @property
    def safe(self) -> str:
        """Id of the cheapest that was read and load-tested; failing that, that was read."""
        return self.ranking["firm"] or self.ranking["read"] or self.cheapest

    @property
    def usual(self) -> float:
        """Of the usual one, USD/s."""
        return self.costs[self.xpu]

    @property
    def able(self) -> bool:
        """Whether the usual one can serve everything alone."""
        return math.isfinite(self.usual)

    @property
    def ranked(self) -> list[str]:
        """Ids of those that can serve everything, the cheapest first."""
        able = [one for one, cost in self.costs.items() if math.isfinite(cost)]
        return sorted(able, key=self.costs.__getitem__)

    @property
    def unable(self) -> list[str]:
        """Ids of those that can't."""
        return [one for one in self.costs if one not in self.ranked]

    def times(self, xpu: str, other: str = "") -> float:
        """The cost on one over that on another, by default the cheapest of all."""
        return self.costs[xpu] / self.costs[other or self.cheapest]


@dataclass(frozen=True)
class Study(Names):
    """A scenario, its problem and the best fleets.

    Attributes:
        scenario: what was asked.
        problem: the same, written down.
        posed: the same as arrays.
        relaxed: the best fleet in which instances may be parts, with what proves it.
        best: the best fleet of whole instances.
    """

    scenario: Scenario
    problem: Problem
    posed: objective.Case
    relaxed: Relaxed
    best: Plan

    @property
    def parts(self) -> Plan:
        """The best fleet in which instances may be parts."""
        return self.relaxed.plan

    @cached_property
    def offered(self) -> list[str]:
        """Ids of the accelerators on offer."""
        return description.offered(self.scenario)

    @cached_property
    def grids(self) -> list[str]:
        """Ids of the places where machines may stand."""
        return description.grids(self.scenario)

    @cached_property
    def rates(self) -> tuple[float, float]:
        """Short and long requests per second."""
        return description.rates(self.scenario)

    @cached_property
    def charged(self) -> objective.Charges:
        """What pools and requests are charged where limits cost what they are worth."""
        prices = np.array(list(self.parts.prices.values()))
        return objective.charges(self.posed, self.posed.weights, prices)

    @cached_property
    def single(self) -> maps.Alone:
        """What a request costs on each accelerator alone."""
        return maps.alone(self.posed, self.charged)

    @cached_property
    def alone(self) -> Alone:
        """What it costs to serve everything on each accelerator."""
        total = self.single.serving(self.posed.options.rates)
        costs = dict(zip(self.single.xpus, map(float, total), strict=True))
        return Alone(costs, self.scenario.xpu, sourcing.rankings(costs))

    @cached_property
    def case(self) -> Case:
        """The records of the fleets that the headline numbers are of."""
        prices = self.parts.prices
        fleets = {BEST: records.whole(self.best), PARTS: self._in_parts}
        if self.alone.able:
            for name, xpu in ((USUAL, self.scenario.xpu), (SAFE, self.alone.safe)):
                columns = maps.columns_alone(self.posed, self.charged, xpu)
                asked = self.posed.options.rates[columns.bucket]
                fleets[name] = Chosen(columns, asked, None, prices)
        return self._case(fleets)

    @cached_property
    def case_in_parts(self) -> Case:
        """The records of the best fleet in parts alone."""
        return self._case({PARTS: self._in_parts})

    @property
    def _in_parts(self) -> Chosen:
        parts = self.parts
        return Chosen(parts.columns, parts.served, None, parts.prices, relieved=True)

    def _case(self, fleets: Mapping[str, Chosen]) -> Case:
        budget = self.scenario.budget_usd_per_hour / SECONDS_PER_HOUR
        return records.case(self.posed, fleets, budget, self.scenario.power_kw * THOUSAND)

    @cached_property
    def answer(self) -> Answer:
        """What the fleets cost and take."""
        found: Answer = _answer(self.case)
        return found

    @cached_property
    def effects(self) -> dict[str, dict[str, float]]:
        """By how many percent costs of the best fleet in parts change with each input.

        Of a million tokens and of a second; power and budget only where they bind.
        """
        limits = {"power to be had": "joule", "budget": "usd"}
        binding = {of: self.parts.prices.get(limit, 0.0) > 0.0 for of, limit in limits.items()}
        return {
            name: {
                of: float(effect)
                for of, effect in zip(INPUTS, effects, strict=True)
                if binding.get(of, True)
            }
            for name, effects in _effects(self.case_in_parts).items()
        }

    @cached_property
    def known(self) -> dict[str, Evidence]:
        """What is known of each accelerator on offer."""
        return {one: sourcing.behind(one) for one in self.offered}

    @property
    def firm(self) -> list[str]:
        """Ids of those whose figures were read in their sources and that were load-tested."""
        return [one for one in self.offered if self.known[one].firm]

    @cached_property
    def usual(self) -> Plan | None:
        """The best fleet of whole instances of the usual accelerator; None where it can't."""
        return self.among([self.scenario.xpu])

    @cached_property
    def on_firm_ground(self) -> Plan | None:
        """The best fleet of what was read and load-tested, where the best of all isn't that."""
        firm = self.firm
        if all(pool.engine.xpu in firm for pool in self.best.pools):
            return None
        return self.among(firm)

    def among(self, xpus: Iterable[str]) -> Plan | None:
        """The best fleet of whole instances of some accelerators; None where they can't serve all.

        Args:
            xpus: their ids.
        """
        allowed = set(xpus)
        engines = [at for at, of in enumerate(self.posed.options.names) if of.xpu in allowed]
        if not engines:
            return None
        found = choice.whole(maps.kept(self.posed, np.array(engines)))
        return None if isinstance(found, Clash) else found

    @cached_property
    def contest(self) -> confidence.Contest:
        """Each accelerator alone, for all that measurements and offers leave open."""
        always = tuple(dict.fromkeys([self.scenario.xpu, self.alone.safe]))
        return confidence.contest(self.posed, self.problem, self.parts.prices, always=always)

    @cached_property
    def sure(self) -> dict[str, Interval]:
        """Where the headline numbers lie, by name; those that have an interval.

        What is drawn is how fast each accelerator runs this model and what an hour of it costs.
        The draws are the same for all, so that costs can be compared draw by draw.
        """
        drawn = {
            "usd_per_mtok": self._drawn(self.best),
            "usd_per_mtok_parts": self._drawn(self.parts, whole=False),
        }
        every = dict(zip(self.contest.xpus, np.moveaxis(self.contest.costs, 2, 0), strict=True))
        found = {}
        if self.scenario.xpu in every:
            usual, safe = every[self.scenario.xpu], every[self.alone.safe]
            drawn["usd_per_mtok_usual"] = usual.ravel()
            able = np.isfinite(safe) & np.isfinite(usual)
            if able.any():
                found["saving"] = uncertainty.bounds(1.0 - safe[able] / usual[able])
        return {
            name: uncertainty.bounds(self.per_mtok(1.0) * costs) for name, costs in drawn.items()
        } | found

    def _drawn(self, plan: Plan, whole: bool = True) -> np.ndarray:
        return confidence.fleet_costs(self.posed, self.problem, plan, whole=whole, priced=True)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        values = dict.fromkeys(self.labels, math.inf) | {
            name: float(value) for name, value in told(self.case.fleets, self.answer).items()
        }
        texts = {}
        if not self.alone.able:
            values["saving"] = 1.0
            texts = {"usd_per_mtok_usual": "Never", "saving": "Everything"}
        found = {}
        for name, value in values.items():
            ends = self.sure[name].around(value) if name in self.sure else {}
            found[name] = Quantity(
                name,
                value if math.isfinite(value) else None,
                "fraction" if name == "saving" else "USD",
                self.labels[name],
                texts.get(name, ""),
                **ends,
                elasticities=self.effects["usd_per_mtok"] if name == "usd_per_mtok_parts" else {},
                turned=name == "saving" and self.costs_more,
            )
        return found

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each headline number is, in a few words."""
        usual = self.name(self.scenario.xpu)
        return {
            "usd_per_mtok": "per million tokens, prompts and answers together, on the best fleet "
            f"of whole instances, {self._made_of(self.best, whole=True)}",
            "usd_per_mtok_parts": "per million tokens if instances could be parts: no fleet is "
            f"cheaper than {self._made_of(self.parts)}",
            "usd_per_mtok_usual": f"per million tokens on {usual} alone, in parts"
            if self.alone.able
            else f"does {usual} alone keep the limits",
            "saving": self._saving_said(),
        }

    @property
    def costs_more(self) -> bool:
        """Whether the accelerator that is recommended costs more alone than the usual one."""
        return self.alone.able and self.alone.times(self.alone.safe, self.scenario.xpu) > 1.0

    def _made_of(self, plan: Plan, whole: bool = False) -> str:
        """Accelerators of a fleet and what they don't rest on, in full if one alone is in whole."""
        used = list(dict.fromkeys(pool.engine.xpu for pool in plan.pools))
        if whole and len(used) == 1:
            return f"of {self.name(used[0])}{self.though(used[0])}"
        return f"one of {words.listing(self.marked(xpu) for xpu in used)}"

    def _saving_said(self) -> str:
        alone, usual = self.alone, self.scenario.xpu
        safe, cheapest = alone.safe, alone.cheapest
        beside = f"the cheapest {self.ground}"
        if safe != usual:
            said = f"saved by {self.name(safe)} over {self.name(usual)}, each used alone"
            if self.costs_more:
                said = f"dearer than {self.name(usual)} is {self.name(safe)}, each used alone"
            said += f": {beside}" if safe != cheapest else self.though(safe)
        else:
            said = f"saved by any other accelerator used alone: {self.name(usual)} is the cheapest"
            said += f" {self.ground}" if safe != cheapest else self.though(safe)
        if safe == cheapest:
            return said
        if cheapest == usual:
            return f"{said}; {self.name(usual)} is the cheapest of all{self.though(usual)}"
        most = f"{1.0 - alone.times(cheapest, usual):.0%}" if alone.able else "more"
        return f"{said}; {self.name(cheapest)} would save {most}{self.though(cheapest)}"

    @property
    def ground(self) -> str:
        """What the accelerator that is recommended is the cheapest of."""
        if self.alone.ranking["read"] is None:
            return "on offer"
        tested = " and which was load-tested" if self.alone.ranking["firm"] else ""
        return f"whose figures were read in their sources{tested}"

    def name(self, xpu: str) -> str:
        """An accelerator as a reader calls it."""
        return catalog.name("xpus", xpu)

    def short(self, xpu: str) -> str:
        """What an accelerator's place in a ranking doesn't rest on, in brackets; else empty."""
        known = self.known[xpu] if xpu in self.known else sourcing.behind(xpu)
        return known.mark

    def marked(self, xpu: str) -> str:
        """An accelerator's name with that."""
        return self.name(xpu) + self.short(xpu)

    def though(self, xpu: str) -> str:
        """A clause on what a recommendation doesn't rest on; empty where all is read and tested."""
        caveat = self.known[xpu].caveat
        return f", but {caveat}" if caveat else ""

    @property
    def sizes(self) -> str:
        """The requests that there are, in words."""
        share = self.scenario.long_share
        if 0.0 < share < 1.0:
            return "both sizes of request"
        return f"{'long' if share else 'short'} requests"

    def per_mtok(self, per_second: float) -> float:
        """USD per million tokens, prompts and answers together, from a cost per second."""
        return sensitivity.per_million_tokens(self.posed, per_second)


_answer = interpreted(answer)


@interpreted
def _effects(case: Case) -> dict[str, jax.Array]:
    """Elasticities of the costs of a fleet that is alone in a case, by every input."""

    def costs(by: jax.Array) -> dict[str, jax.Array]:
        found = answer(scaled(case, by))
        (second,), (tokens,) = jnp.log(found.cost), jnp.log(found.usd_per_mtok)
        return {"usd_per_second": second, "usd_per_mtok": tokens}

    moved: dict[str, jax.Array] = jax.jacfwd(costs)(jnp.zeros(len(INPUTS)))
    return moved


def resolve(scenario: Scenario) -> Study:
    """Write a scenario down as a problem and solve it.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests don't fit the model's context, an accelerator has no known rent,
            or nothing serves everything within the limits.
    """
    unpriced = [one for one in description.offered(scenario) if catalog.rental_price(one) is None]
    if unpriced:
        raise InputError(
            f"xpus: no rental price is known of {', '.join(unpriced)}; leave it out or add its row "
            "to data/rental_prices.csv"
        )
    feasibility.require_context(scenario.model, scenario.prompt_tokens, scenario.output_tokens)
    feasibility.require_context(
        scenario.model, scenario.long_prompt_tokens, scenario.long_output_tokens
    )
    problem = description.described(scenario)
    posed = objective.case(problem)
    relaxed = choice.relaxed(posed)
    best = relaxed if isinstance(relaxed, Clash) else choice.rounded(posed, relaxed)
    if isinstance(relaxed, Clash) or isinstance(best, Clash):
        said = report.lines(problem, best, description.CALLED)
        raise InputError("; ".join(line.strip() for line in said))
    return Study(scenario, problem, posed, relaxed, best)
