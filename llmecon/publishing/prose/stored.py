"""What an executed notebook stores beside what it shows: headline numbers, checks of its panel.

Nothing here is slow to import: whatever gathers numbers from executed chapters uses it.
"""

import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmecon import words

if TYPE_CHECKING:  # it comes with JAX
    from llmecon.studies.quantities import Quantity

HEADLINES = "llmecon"
"""Key of headline numbers in the metadata of an output."""

PANEL = "llmecon_live"
"""Key of what JAX computed for a panel's settings, likewise."""


@dataclass(frozen=True)
class Headline:
    """One computed number that a chapter stands for.

    Args:
        name: Identifier, unique in the chapter.
        value: The number, in `unit`; None where `text` says why there is none.
        unit: Unit of `value`, as `llmecon.words.quantity` understands it.
        label: What the number is, in a few words.
        text: The number as shown; by default `value` and `unit` in words.
        low: Lower end of its 90% interval, in `unit`; None where there is no interval.
        high: Upper end.
        turned: Whether text and interval tell it with the other sign, as the label must then say.
        more: Digits beyond the usual in text and interval.

    Raises:
        ValueError: The value is not finite and no text explains why, or the interval has one end
            only, or does not hold the value.
    """

    name: str
    value: float | None
    unit: str
    label: str
    text: str = ""
    low: float | None = None
    high: float | None = None
    turned: bool = False
    more: int = 0

    def __post_init__(self) -> None:
        value = math.nan if self.value is None else float(self.value)
        if not math.isfinite(value) and not self.text:
            raise ValueError(f"headline {self.name!r} is {value}: give it a text that says why")
        object.__setattr__(self, "value", value if math.isfinite(value) else None)
        if not self.text:
            object.__setattr__(
                self, "text", words.quantity(self._signed(value), self.unit, self.more)
            )
        self._check_interval()

    def _check_interval(self) -> None:
        if self.low is None and self.high is None:
            return
        if self.low is None or self.high is None:
            raise ValueError(f"headline {self.name!r} has one end of an interval: give it both")
        low, high = float(self.low), float(self.high)
        # NaN compares false, so this also refuses what is not a number.
        if self.value is None or not -math.inf < low <= self.value <= high < math.inf:
            raise ValueError(
                f"headline {self.name!r} is {self.value}, outside its interval {low} to {high}: "
                "give it an interval that holds it, or none"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def _signed(self, x: float) -> float:
        return -x if self.turned else x

    @property
    def interval(self) -> str:
        """Its 90% interval in words, such as "90%: 210 to 350 xPUs"; empty where there is none.

        Empty, too, where it is narrower than the number is rounded.
        """
        if self.low is None or self.high is None or self.value is None:
            return ""
        value = self._signed(self.value)
        low, high = sorted((self._signed(self.low), self._signed(self.high)))
        full = value.is_integer() and self.text.startswith(f"{value:,.0f}")
        said = words.interval(value, low, high, self.unit, full, self.more)
        return f"90%: {said}" if said else ""


def told(of: "Quantity") -> Headline:
    """A study's number as a headline number."""
    return Headline(
        of.name, of.value, of.unit, of.label, of.text, of.low, of.high, of.turned, of.more
    )


def cards(row: Sequence[Headline]) -> str:
    """Headline numbers as HTML.

    Args:
        row: The numbers, in the order shown.
    """
    made = "".join(
        f'<div class="llmecon-headline"><strong>{html.escape(h.text)}</strong><br>'
        + (f'<em class="llmecon-interval">{html.escape(h.interval)}</em><br>' if h.interval else "")
        + f"<span>{html.escape(h.label)}</span></div>"
        for h in row
    )
    return f'<div class="llmecon-headlines">{made}</div>'


def collect(notebook: Path) -> list[Headline]:
    """The headline numbers of an executed notebook, in the order shown.

    Args:
        notebook: Path of the executed notebook.

    Raises:
        ValueError: Two headline numbers share a name.
    """
    found: dict[str, Headline] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            for row in output.get("metadata", {}).get(HEADLINES, ()):
                if row["name"] in found:
                    raise ValueError(f"{notebook.name}: two headline numbers named {row['name']!r}")
                found[row["name"]] = Headline(**row)
    return list(found.values())


def write_table(chapters: Iterable[tuple[str, Path]], table: Path) -> None:
    """Write the headline numbers of several chapters as one JSON list.

    Args:
        chapters: Slug and executed notebook of each chapter.
        table: JSON file to write: a list of chapter, name, value, unit, label, text,
            low, high, turned, more.
    """
    rows = [
        {"chapter": slug, **asdict(headline)}
        for slug, notebook in chapters
        for headline in collect(notebook)
    ]
    table.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
