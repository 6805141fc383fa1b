"""A scenario of the chapter on hybrid futures: its records, its best policy, and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.studies.hybrid_futures import records, routers
from llmecon.studies.hybrid_futures.model import (
    UNITS,
    Case,
    Ways,
    drafted,
    inputs_moved,
    numbers,
    under,
    ways,
)
from llmecon.studies.hybrid_futures.routers import Router
from llmecon.studies.hybrid_futures.scenario import Scenario
from llmecon.studies.names import Names
from llmecon.studies.quantities import Differentiated, Quantity, differentiate
from llmecon.tables import catalog
from llmecon.tables.efficiencies import System
from llmecon.tiers import hybrid, own_machine
from llmecon.tiers.hybrid import Best, Limits, Outcome, Taken

Array = jax.Array

SOME = 5e-4  # a share of requests below which a way counts as unused
TOLD = 5e-3  # a share that a sentence speaks of
NOTHING = 1e-9  # a share below which drafts need not be computed
ROUND_TRIPS = (0.0, 0.02, 0.08)  # that drafting is compared over besides the scenario's own, s
LENGTHS = np.arange(1.0, 17.0)  # of drafts that are compared, tokens
_SEED = 2035


@dataclass(frozen=True)
class Study(Names):
    """A scenario, resolved and answered.

    Attributes:
        scenario: what was asked.
        case: its records, under the best policy.
        best: that policy and what its limits cost.
        plain: what one request takes on each way.
        router: that decides.
        scores: published qualities of the three models, and their setting.
        may_draft: whether drafts of some length beat streaming in anything that counts.
    """

    scenario: Scenario
    case: Case
    best: Best
    plain: Ways
    router: Router
    scores: catalog.Scores
    may_draft: bool

    @property
    def outcome(self) -> Outcome:
        """What requests take on average under the best policy."""
        return self.best.outcome

    @cached_property
    def shares(self) -> dict[str, float]:
        """Of requests, by way."""
        return dict(zip(hybrid.WAYS, np.asarray(self.outcome.shares).tolist(), strict=True))

    @property
    def used(self) -> list[str]:
        """The ways that the best policy sends something worth telling."""
        return [way for way in hybrid.WAYS if self.shares[way] > TOLD]

    @property
    def drafts(self) -> bool:
        """Whether the best policy has anything drafted."""
        return self.shares["drafted"] > SOME

    @property
    def draft_length(self) -> float:
        """Tokens of a draft: the policy's, or the quickest where it drafts nothing."""
        if self.drafts:
            return float(self.best.policy.draft_tokens)
        return float(LENGTHS[np.argmin(np.asarray(self.by_draft.tpot)[-1, :-1])])

    @property
    def serving(self) -> System:
        """The data centre's system, as it is set up."""
        return records.cloud_system(self.scenario)

    @property
    def device_name(self) -> str:
        """The reader's device as a reader calls it."""
        return catalog.name("xpus", self.scenario.device)

    @property
    def near_name(self) -> str:
        """The small model as a reader calls it."""
        return catalog.name("models", self.scenario.near_model)

    @property
    def home_name(self) -> str:
        """The reader's grid as a reader calls it."""
        return catalog.name("grid", self.scenario.reader_grid)

    @property
    def cloud_grid_name(self) -> str:
        """The data centre's grid as a reader calls it."""
        return catalog.name("grid", self.scenario.cloud_grid)

    @cached_property
    def round_trips(self) -> np.ndarray:
        """Round trips that drafting is compared over, the scenario's own last, s."""
        return np.array([*ROUND_TRIPS, float(self.case.cloud.round_trip)])

    @cached_property
    def by_draft(self) -> Taken:
        """What a drafted request takes, by round trip and draft length, the policy's last."""
        lengths = np.append(LENGTHS, float(self.best.policy.draft_tokens))
        found: Taken = _drafted(self.case, jnp.asarray(self.round_trips), jnp.asarray(lengths))
        return found

    @cached_property
    def taken(self) -> dict[str, Taken]:
        """What one request takes on each way, whether or not any is sent there."""
        lengths = [*LENGTHS, self.draft_length]
        at = len(LENGTHS) if self.drafts else lengths.index(self.draft_length)
        drafted_way: Taken = jax.tree.map(lambda leaf: leaf[-1, at], self.by_draft)
        return dict(zip(hybrid.WAYS, (*self.plain, drafted_way), strict=True))

    @property
    def saved(self) -> float:
        """What is saved against sending all to the data centre, as a share of that."""
        least = float(aim(self.scenario, self.outcome.kg, self.outcome.usd))
        return 1.0 - least / self.aim_of(self.plain.cloud)

    def aim_of(self, way: Taken) -> float:
        """What the best policy makes small, of a request on some way."""
        return float(aim(self.scenario, way.footprint.total, way.usd))

    @cached_property
    def differentiated(self) -> Differentiated:
        """The headline numbers with their elasticities, the policy held."""
        return differentiate(numbers, self.case)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Where the headline numbers lie with 90%, the policy held.

        Uncertain are what shared machines and the device attain, what a router can tell, and how
        models fail together.
        """
        found: dict[str, Array] = _drawn(self.case, *_draws(self))
        return {name: uncertainty.bounds(np.asarray(values)) for name, values in found.items()}

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The headline numbers by name, most important first."""
        found = {}
        for name, value in self.differentiated.values.items():
            ends = self.intervals[name].around(value)
            found[name] = Quantity(
                name,
                value,
                UNITS[name],
                LABELS[name],
                **ends,
                elasticities=self.elasticities(name),
            )
        return found

    def elasticities(self, name: str) -> dict[str, float]:
        """How inputs move a headline number, the policy held.

        Args:
            name: the number's.

        Returns:
            By input; those without a slope are left out, and all where none moves the number.
        """
        moved = inputs_moved(self.differentiated.effects[name])
        found = {of: float(effect) for of, effect in moved.items() if np.isfinite(effect)}
        return found if any(found.values()) else {}


def resolve(scenario: Scenario) -> Study:
    """Look up all that a scenario names, and find its best policy.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the requests or a model don't fit, models don't get better further away, a row
            that was chosen publishes no figure, or no policy keeps both limits.
    """
    records.require_room(scenario)
    scores = records.scores_of(scenario)
    router = routers.router(scenario.router_pair)
    case = records.case_of(scenario, scores, router)
    plain: Ways = _ways(case)
    _require_possible(scenario, plain)
    case = replace(case, drafting=_drafting_may_pay(scenario, case, plain))
    (best,) = best_policies(scenario, case, plain, [scenario.quality_floor])
    got = best.outcome
    if not best.feasible:
        raise InputError(
            f"quality_floor {scenario.quality_floor:g} and seconds_limit "
            f"{scenario.seconds_limit:g} can't both be kept: the nearest policy answers "
            f"{float(got.quality):.3f} rightly in {float(got.seconds):.3g} s; lower the floor or "
            "allow more time"
        )
    followed = replace(case, policy=best.policy, drafting=bool(got.shares[3] > NOTHING))
    return Study(scenario, followed, best, plain, router, scores, case.drafting)


def best_policies(
    scenario: Scenario, case: Case, plain: Ways, floors: Sequence[float]
) -> list[Best]:
    """The best policy for each floor on quality, within the scenario's limit on time.

    Args:
        scenario: with the limit on time and what is made small.
        case: in which drafting is open.
        plain: what its requests take on each way.
        floors: least shares answered rightly.
    """
    return hybrid.best_policies(
        lambda policy: _under(case, policy, plain),
        lambda found: aim(scenario, found.kg, found.usd),
        [Limits(floor, scenario.seconds_limit) for floor in floors],
        drafts=case.drafting,
    )


def aim(scenario: Scenario, kg: Any, usd: Any) -> Any:
    """What the best policy makes small: of kg CO2e and USD the one that was chosen."""
    return kg if scenario.objective == "carbon" else usd


@interpreted
def _drafted(case: Case, round_trips: Array, lengths: Array) -> Taken:
    """What a drafted request takes, by round trip and draft length."""

    def one(round_trip: Array, length: Array) -> Taken:
        return drafted(replace(case, cloud=replace(case.cloud, round_trip=round_trip)), length)

    found: Taken = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(round_trips, lengths)
    return found


def _drafting_may_pay(scenario: Scenario, case: Case, plain: Ways) -> bool:
    """Whether drafts of any length beat streaming from the data centre in anything that counts.

    Where they take longer and emit or cost more, whatever is drafted had better be streamed.
    """
    here = jnp.reshape(jnp.asarray(case.cloud.round_trip), (1,))
    found = _drafted(case, here, jnp.geomspace(1.0, hybrid.LONGEST_DRAFT, 101))
    streamed = plain.cloud
    worse = aim(
        scenario,
        found.footprint.total >= streamed.footprint.total,
        found.usd >= streamed.usd,
    )
    return not bool(np.all(np.asarray((found.seconds >= streamed.seconds) & worse)))


def _require_possible(scenario: Scenario, plain: Ways) -> None:
    names = ("near_model", "edge_model", "cloud_model")
    for way, name, on in zip(plain, names, ("device", "edge_xpu", "cloud_xpu"), strict=True):
        if not way.possible > 0:
            raise InputError(
                f"{name}: {getattr(scenario, name)} with its requests does not fit into the memory "
                f"of {getattr(scenario, on)}; choose a smaller model or another {on}"
            )


_ways = interpreted(ways)
_under = interpreted(under)


@interpreted
def _drawn(case: Case, efficiencies: Any, speeds: Any, judged: Any) -> dict[str, Array]:
    """The headline numbers for every draw of what is uncertain."""

    def one(drawn: Any) -> dict[str, Array]:
        (edge, cloud), (memory, compute), (skill, overlap) = drawn
        return numbers(
            replace(
                case,
                machine=replace(case.machine, memory_bandwidth=memory, flops=compute),
                edge=replace(case.edge, efficiency=edge),
                cloud=replace(case.cloud, efficiency=cloud),
                skill=skill,
                overlap=overlap,
            )
        )

    found: dict[str, Array] = jax.vmap(one)((efficiencies, speeds, judged))
    return found


def _draws(study: Study) -> tuple[Any, Any, Any]:
    """Draws of both machines' efficiencies, the device's speeds, the router and the overlap."""
    given, machine = study.scenario, study.case.machine
    systems = records.edge_system(given), records.cloud_system(given)
    efficiencies = tuple(map(catalog.efficiency_draws, systems))
    count = len(jax.tree.leaves(efficiencies[0])[0])
    generator = np.random.default_rng(_SEED)
    normal = generator.standard_normal((2, count))
    attained = own_machine.attained(records.kind_of(given.device))
    speeds = (
        machine.memory_bandwidth * np.exp(attained.memory_sd * normal[0]),
        machine.flops * np.exp(attained.compute_sd * normal[1]),
    )
    skills = generator.choice(list(study.router.skills.values()), count)
    known = routers.overlaps()
    return efficiencies, speeds, (skills, generator.uniform(min(known), max(known), count))


LABELS = {
    "g_co2e_per_request": "of CO₂e for an average request under the best policy",
    "g_co2e_all_cloud": "if all requests went to the data centre",
    "share_off_cloud": "of requests are answered on the device or at the edge",
    "quality": "of requests are answered rightly",
    "seconds_per_answer": "to the end of an average answer",
    "usd_per_thousand": "for a thousand requests, devices as already owned",
}
"""What each headline number is, in a few words."""
