"""What a choice of accelerator rests on: what was read in a source, and what was measured.

A ranking is no surer than what its winner rests on. So the same record says of every accelerator
whether its datasheet and its rent were read in their sources and whether a load test of it is
known, and what to say where not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from llmecon.tables import catalog
from llmecon.tables.catalog import Rent

Use = Literal["serving", "training"]

# The tables that hold measurements of each use.
MEASURED: Mapping[Use, str] = {
    "serving": "measured_serving",
    "training": "measured_training_steps",
}
_NEVER: Mapping[Use, str] = {
    "serving": "no load test of it is known here",
    "training": "no measured training step of it is known here",
}

_ASKED: Mapping[str, str] = {
    "neocloud": "a single offer",
    "general-cloud": "a general cloud's",
    "all-market": "a median over clouds of all kinds",
    "marketplace": "a marketplace's",
}


@dataclass(frozen=True)
class Evidence:
    """What is known of an accelerator that a choice may fall on.

    Attributes:
        xpu: its id.
        name: its name.
        use: what it is chosen for.
        datasheet: whether its datasheet was read in its source.
        rent: what renting it costs; None where nothing is published or somebody else's price holds.
        priced: whether its price was read in a source, and is no estimate.
        measured: rows of load tests, or of training steps, that are known of it.
    """

    xpu: str
    name: str
    use: Use
    datasheet: bool
    rent: Rent | None
    priced: bool
    measured: int

    @property
    def read(self) -> bool:
        """Whether datasheet and price were both read in their sources."""
        return self.datasheet and self.priced

    @property
    def firm(self) -> bool:
        """Whether, besides, it was measured in this use."""
        return self.read and self.measured > 0

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a sentence that recommends it must say; nothing where all is read and measured."""
        said = [_said(self.rent)] if self.rent else []
        if self.rent is None and not self.priced:
            said.append("nobody has read its price in a source")
        if self.rent and (better := catalog.cheaper_and_better(self.xpu)):
            names = " and ".join(str(catalog.row("xpus", of)["name"]) for of in better)
            said.append(f"it rents for more than {names}, no worse in anything")
        if not self.datasheet:
            said.append("its datasheet is unchecked")
        if not self.measured:
            said.append(_NEVER[self.use])
        return tuple(filter(None, said))

    @property
    def caveat(self) -> str:
        """The same in one clause, such as "its datasheet is unchecked and ..."; else empty."""
        *before, last = self.caveats or ("",)
        return f"{', '.join(before)} and {last}" if before else last

    @property
    def mark(self) -> str:
        """What a place in a ranking doesn't rest on, such as " (unread, untested)"; else empty."""
        missing = ["unread"] * (not self.read) + ["untested"] * (not self.measured)
        return f" ({', '.join(missing)})" if missing else ""

    @property
    def marked(self) -> str:
        """The name with that mark, as a title needs it that names a winner."""
        return self.name + self.mark


def _said(rent: Rent) -> str:
    """What is to be said of a rent; nothing of several new ones of neoclouds, read."""
    if rent.tier == "own-estimate":
        return f"its rent is our own estimate of {rent.month}"
    if rent.estimated:
        return f"its rent is an assumption of {rent.month}"
    if rent.checked and rent.comparable and rent.offers > 1:
        return ""
    unread = "" if rent.checked else ", unread in its source"
    return f"its rent is {_ASKED[rent.tier]} of {rent.month}{unread}"


@cache
def behind(xpu: str, use: Use = "serving", given: bool = False) -> Evidence:
    """What is known of an accelerator.

    Args:
        xpu: its id.
        use: what it is chosen for.
        given: whether its price is the reader's own, which needs no source.

    Returns:
        What was read and what was measured.

    Raises:
        InputError: the accelerator isn't in the catalogue.
    """
    datasheet = catalog.row("xpus", xpu)
    rent = None if given else catalog.rental_price(xpu)
    tests = catalog.table(MEASURED[use])
    known = tests["xpu"] == xpu
    if "suspect" in tests:
        known &= tests["suspect"].isna()
    return Evidence(
        xpu=xpu,
        name=str(datasheet["name"]),
        use=use,
        datasheet=bool(datasheet["checked"]),
        rent=rent,
        priced=given or (rent is not None and rent.checked and not rent.estimated),
        measured=int(known.sum()),
    )


def bought(xpu: str, use: Use = "serving") -> Evidence:
    """What is known of an accelerator that is bought.

    Args:
        xpu: its id.
        use: what it is chosen for.

    Returns:
        As `behind`, with its price to buy in the place of its rent.
    """
    known, offers = behind(xpu, use), catalog.purchase_offers(xpu)
    price = bool(len(offers) and offers["checked"].all() and (offers["kind"] != "estimate").all())
    return Evidence(xpu, known.name, use, known.datasheet, None, price, known.measured)


def rankings(
    costs: Mapping[str, float], use: Use = "serving", given: Iterable[str] = ()
) -> dict[str, str | None]:
    """Who is cheapest of all, of those whose figures were read, and of those measured besides.

    Args:
        costs: by id of the accelerator; infinite where it can't do the work.
        use: what it is chosen for.
        given: ids of those whose price is the reader's own.

    Returns:
        Ids by "all", "read" and "firm"; None where no accelerator of that group does the work.
    """
    own = set(given)
    able = {xpu: cost for xpu, cost in costs.items() if cost < float("inf")}
    known = {xpu: behind(xpu, use, xpu in own) for xpu in able}
    groups = {
        "all": list(able),
        "read": [xpu for xpu in able if known[xpu].read],
        "firm": [xpu for xpu in able if known[xpu].firm],
    }
    return {name: min(of, key=able.__getitem__) if of else None for name, of in groups.items()}


def beside(costs: Mapping[str, float], use: Use = "serving", given: Iterable[str] = ()) -> str:
    """What to say of the cheapest accelerator of a ranking, and who is cheapest on firmer ground.

    Args:
        costs: by id of the accelerator; infinite where it can't do the work.
        use: what it is chosen for.
        given: ids of those whose price is the reader's own.

    Returns:
        A clause, such as "but its datasheet is unchecked; of those read and measured, H100 is
        cheapest, at 2 times as much"; empty where the cheapest was read and measured.
    """
    first = rankings(costs, use, given)
    winner, firm = first["all"], first["firm"]
    if winner is None or winner == firm:
        return ""
    said = f"but {behind(winner, use, winner in set(given)).caveat}"
    if firm is None:
        return f"{said}; none that was read in its sources and measured does the work"
    times = costs[firm] / costs[winner]
    return (
        f"{said}; of those read in their sources and measured, {behind(firm, use).name} is "
        f"cheapest, at {times:.2g} times as much"
    )
