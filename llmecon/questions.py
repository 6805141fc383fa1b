"""A chapter's answer without its notebook: numbers with intervals, what moves them, a sentence."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmecon import studies
from llmecon.studies.quantities import Quantity

FEW = 5  # elasticities that are told of each number; the rest is in the JSON


@dataclass(frozen=True)
class Asked:
    """What a chapter answers for a scenario.

    Args:
        chapter: Its name on the command line.
        parameters: All parameters by name, defaults filled in.
        sentence: The answer in words.
        quantities: The headline numbers by name, most important first.
    """

    chapter: str
    parameters: Mapping[str, Any]
    sentence: str
    quantities: Mapping[str, Quantity]

    def __getitem__(self, name: str) -> float:
        """A headline number by its name, in its unit; NaN where there is none."""
        value = self.quantities[name].value
        return math.nan if value is None else value

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "chapter": self.chapter,
            "parameters": dict(self.parameters),
            "sentence": self.sentence,
            "quantities": [asdict(of) for of in self.quantities.values()],
        }

    def lines(self) -> list[str]:
        """As a person reads it in a terminal."""
        from llmecon.publishing.prose import stored

        rows = []
        for of in self.quantities.values():
            told = stored.told(of)
            interval = f" ({told.interval})" if told.interval else ""
            rows.append(f"{of.name}: {told.text}{interval} {of.label}")
            if moved := _moved(of):
                rows.append(f"  1% more of these changes it by: {moved}")
        return [self.sentence.replace("**", ""), "", *rows]


def ask(chapter: str, **parameters: Any) -> Asked:
    """Answer a chapter's question for a scenario.

    Args:
        chapter: name on the command line, such as `carbon`.
        **parameters: those that differ from the chapter's defaults; `llmecon chapters` lists them.

    Returns:
        The headline numbers with 90% intervals and elasticities, and the answer in a sentence.

    Raises:
        InputError: no such chapter or parameter, or a value that isn't allowed or has no answer.
    """
    from llmecon.publishing import scenario  # a refusal comes before what is slow to import

    values = scenario.validate(scenario.chapter(chapter), parameters)
    from llmecon.publishing import prose

    found = studies.module(chapter, "study").resolve(studies.scenario_of(chapter)(**values))
    facts = studies.module(chapter, "frames").facts(found)
    return Asked(chapter, values, prose.render(chapter, "sentence", **facts), found.quantities)


def _moved(quantity: Quantity) -> str:
    """What moves a number most; nothing that would be told as 0."""
    ranked = sorted(quantity.elasticities.items(), key=lambda item: -abs(item[1]))
    told = [(name, f"{effect:+.2f}%") for name, effect in ranked[:FEW]]
    return ", ".join(f"{name} {effect}" for name, effect in told if effect[1:] != "0.00%")
