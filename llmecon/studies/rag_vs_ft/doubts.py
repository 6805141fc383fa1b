"""What is uncertain: constants of finding, reading and learning, hardware, and the case itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.adaptation import Knowledge, Offers, constants
from llmecon.adaptation.constants import Constants
from llmecon.evidence import uncertainty
from llmecon.specs import Efficiency, Instance
from llmecon.studies.rag_vs_ft import assumptions
from llmecon.studies.rag_vs_ft.model import Case
from llmecon.studies.rag_vs_ft.offers import Hardware
from llmecon.studies.rag_vs_ft.scenario import Scenario
from llmecon.tables import catalog

Draws = Float[np.ndarray, " draws"]

DOUBTED = (
    "questions asked",
    "changes",
    "cost of a wrong answer",
    "known before",
    "cost of a label",
    "documents",
)
"""What is doubted of the case itself."""


MEANINGS = {
    "first": "first passage holds the answer",
    "decline": "exponent, misses over passages",
    "alone": "read rightly, one passage",
    "distraction": "exponent, reading over passages",
    "misreading": "misled by wrong passages",
    "tuned": "odds of reading, tuned over not",
    "exposures": "exposures to learn all but 1/e",
    "ceiling": "share that training ever teaches",
    "adapter": "of that, by an adapter",
    "forgetting": "of other facts forgotten in a round",
    "relief": "share replayed that divides it by e",
}
"""Constants of finding, reading and learning as a reader calls them."""


@dataclass(frozen=True)
class Uncertain:
    """Draws of all that is uncertain, each spread evenly over its range and independent.

    Attributes:
        constants: of finding, reading and learning, by name.
        pace: time that a request takes over what is most probable.
        efficiency: of the hardware, the same draws.
        doubts: factors by which the case may be misjudged, by what it is of.
    """

    constants: Mapping[str, Array]
    pace: Draws
    efficiency: Efficiency
    doubts: Mapping[str, Draws]

    def cases(self, case: Case, scenario: Scenario) -> Case:
        """The case with what is known of finding, reading, learning and hardware drawn.

        Args:
            case: the most probable.
            scenario: of which it is.

        Returns:
            With a leading dimension where a number was drawn.
        """
        able = knowledge_of(scenario, self.constants)
        offers = attaining(paced(case.offers, self.pace, scenario.hosting), self.efficiency)
        return replace(case, offers=offers, knowledge=able)

    def doubted(self, case: Case, scenario: Scenario) -> Case:
        """The case with all that is uncertain drawn, the case itself too, by its prices alone.

        Args:
            case: the most probable.
            scenario: of which it is.
        """
        drawn, doubt = self.cases(case, scenario), self.doubts
        odds = scenario.known / (1.0 - scenario.known) * doubt["known before"]
        asked = replace(
            case.asked,
            queries=case.asked.queries * doubt["questions asked"],
            change=case.asked.change * doubt["changes"],
            wrong=case.asked.wrong * doubt["cost of a wrong answer"],
            known=odds / (1.0 + odds),
            label=case.asked.label * doubt["cost of a label"],
            documents=case.asked.documents * doubt["documents"],
        )
        return replace(drawn, asked=asked)


def draw(scenario: Scenario, hardware: Hardware, ranges: Constants) -> Uncertain:
    """Draws of all that is uncertain, the same whenever they are drawn.

    Args:
        scenario: what is asked.
        hardware: whose efficiencies are drawn.
        ranges: of the constants.
    """
    count = assumptions.DRAWS
    random = np.random.default_rng(2026)
    efficiencies = catalog.efficiency_draws(hardware.system)
    paces = _paces(scenario, hardware, efficiencies)
    chosen = random.integers(len(paces), size=count)
    evenly = {name: (random.permutation(count) + 0.5) / count for name in DOUBTED}
    return Uncertain(
        constants=ranges.draws(count),
        pace=paces[chosen],
        efficiency=jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], efficiencies),
        doubts={name: assumptions.DOUBT ** (2.0 * of - 1.0) for name, of in evenly.items()},
    )


def _paces(scenario: Scenario, hardware: Hardware, efficiencies: Efficiency) -> Draws:
    """Time of a request over what is most probable; the most where the limits aren't met."""
    llm, xpu = catalog.llm(scenario.model), catalog.xpu(scenario.xpu)
    likely = hardware.capacity.rate

    def pace(efficiency: Efficiency) -> dict[str, Array]:
        found = serving.capacity(
            Instance(llm, xpu, hardware.layout, efficiency), hardware.typical, assumptions.TARGET
        )
        fine = found.feasible > 0
        return {"pace": jnp.where(fine, likely / jnp.where(fine, found.rate, 1.0), jnp.nan)}

    paces = uncertainty.evaluate(pace, efficiencies)["pace"]
    return np.where(np.isnan(paces), np.nanmax(paces), paces)


def knowledge_of(scenario: Scenario, values: Mapping[str, Array | float]) -> Knowledge:
    """How well a model finds, reads and learns, for values of all constants.

    Args:
        scenario: with the length of its documents.
        values: of the constants, by name.
    """
    return constants.knowledge_of(
        values,
        assumptions.DILUTION,
        assumptions.SPAN,
        assumptions.BITS_PER_TOKEN * scenario.document_tokens,
        assumptions.ADAPTER_FORGETS,
    )


def paced(offers: Offers, pace: Draws, hosting: str) -> Offers:
    """Offers on hardware that attains more or less; what an API charges stays.

    Args:
        offers: on hardware of the most probable pace.
        pace: time of a request over what is most probable.
        hosting: own or api.
    """
    seconds = jnp.asarray(pace)
    usd = seconds if hosting == "own" else 1.0
    base, adapted, tuned, long = (
        of.paced(seconds, usd) for of in (offers.base, offers.adapted, offers.tuned, offers.long)
    )
    return Offers(base, adapted, tuned, long, offers.lora, offers.full, offers.index)


def attaining(offers: Offers, efficiency: Efficiency) -> Offers:
    """The same offers on machines that attain other shares of what they could."""
    made: Offers = eqx.tree_at(
        lambda of: [
            s.machines.instance.efficiency for s in (of.base, of.adapted, of.tuned, of.long)
        ],
        offers,
        [efficiency] * 4,
    )
    return made
