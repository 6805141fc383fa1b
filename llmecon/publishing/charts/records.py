"""What charts are told besides their rows: axes, and what is written about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        column: Column of the values.
        title: What they are, with their unit.
        log: Whether the axis is logarithmic.
        rules: Values to mark by lines, by what is written beside them (a limit, a break-even).
        band: Columns of the lower and upper end of an interval around the values.
        pixels: Height of the plot of lines, a fan or a map, where the axis stands upright.
    """

    column: str
    title: str = ""
    log: bool = False
    rules: Mapping[str, float] | None = None
    band: tuple[str, str] | None = None
    pixels: int = 340


@dataclass(frozen=True)
class Labels:
    """What is written about a chart, and what it singles out.

    Attributes:
        title: What the chart finds, as a sentence.
        subtitle: What is shown, under which assumptions.
        names: What a reader calls some values of a column, by what the column calls them.
        details: Further columns for the tooltips, by what they are called there.
        highlight: Name of the one row to single out.
    """

    title: str
    subtitle: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    highlight: str | None = None


@dataclass(frozen=True)
class Reference:
    """Values that are marked beside ours.

    Attributes:
        column: Column of the values; may be missing in some rows.
        name: What the marks are, for the key.
        ours: What our own values are, for the key.
    """

    column: str
    name: str = "published"
    ours: str = "computed here"
