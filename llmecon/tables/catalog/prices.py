"""What renting or buying an accelerator costs, and what hosted models cost."""

from dataclasses import dataclass
from functools import cache

import pandas as pd

from llmecon.tables.catalog.rows import require, table

# Rents come from the first of these tiers that has any: specialised clouds' list prices, then
# general clouds', who ask up to two or three times as much, then what is worse to compare.
RENT_TIERS = (
    *("neocloud", "general-cloud", "all-market", "marketplace"),
    *("assumed", "own-estimate"),
)
ESTIMATED_TIERS = ("assumed", "own-estimate")
# Offers are of one date if they are from the same half year.
RENT_MONTHS = 6


@dataclass(frozen=True)
class Price:
    """A price as it was found.

    Attributes:
        usd: USD, per hour for a rental, per device for a purchase.
        month: when it was seen, YYYY-MM or YYYY.
        source: bibliography key.
        checked: whether the figure was read in that source.
        label: who asks it, under what terms.
    """

    usd: float
    month: str
    source: str
    checked: bool
    label: str


@dataclass(frozen=True)
class Rent(Price):
    """What renting an accelerator costs, and what kind of offers that is of.

    Attributes:
        tier: of the offers, one of `RENT_TIERS`.
        offers: from how many providers.
        estimated: whether somebody's estimate rather than an offer.
        comparable: whether of the tier and the months that rents are compared in.
    """

    tier: str
    offers: int
    estimated: bool
    comparable: bool

    @property
    def kind(self) -> str:
        """What kind of rent it is, in words, such as "neocloud, 2026-10"."""
        parts = [self.tier.replace("-", " "), self.month, "" if self.checked else "unchecked"]
        return ", ".join(filter(None, parts))


@cache
def rental_price(xpu_id: str) -> Rent | None:
    """What renting an accelerator on demand costs.

    Every accelerator's rent is found by the same rule: the median of `rental_offers`.

    Args:
        xpu_id: the accelerator.

    Returns:
        USD per device-hour, and what kind of offers that is of; None where none is published.
    """
    offers = rental_offers(xpu_id)
    price = _median(offers, "usd_per_xpu_hour", "provider")
    if price is None:
        return None
    tier = str(offers["tier"].iloc[0])
    return Rent(
        usd=price.usd,
        month=price.month,
        source=price.source,
        checked=price.checked,
        label=price.label,
        tier=tier,
        offers=int(offers["provider"].nunique()),
        estimated=tier in ESTIMATED_TIERS,
        comparable=tier == RENT_TIERS[0] and _months(price.month) >= _newest_rents(),
    )


def rental_offers(*xpu_ids: str) -> pd.DataFrame:
    """The offers that the price of renting accelerators is taken from.

    Args:
        *xpu_ids: the accelerators.

    Returns:
        For each, the newest on-demand rows of each provider in the first tier of `RENT_TIERS` that
        has any, those of the last `RENT_MONTHS` months alone: before the table's newest month, or
        before that tier's newest for this accelerator where none is so new.
    """
    return pd.concat([table("rental_prices").iloc[:0], *map(_rental_offers, xpu_ids)])


@cache
def _rental_offers(xpu_id: str) -> pd.DataFrame:
    require("xpus", xpu_id)
    frame = table("rental_prices")
    offers = frame[(frame["xpu"] == xpu_id) & frame["contract"].isin(["on-demand", "assumption"])]
    if offers.empty:
        return offers
    tier = next(of for of in RENT_TIERS if (offers["tier"] == of).any())
    offers = offers[offers["tier"] == tier]
    seen = offers["month"].map(_months)
    newest = seen.groupby(offers["provider"]).transform("max")
    since = min(_newest_rents(), seen.max() - RENT_MONTHS + 1)
    return offers[(seen == newest) & (seen >= since)]


@cache
def _newest_rents() -> int:
    """The first month of the half year that ends with the table's newest."""
    return int(table("rental_prices")["month"].map(_months).max()) - RENT_MONTHS + 1


def _months(month: str) -> int:
    """Months since the year 0; the middle of a year of which no more is known."""
    year, _, of = month.partition("-")
    return 12 * int(year) + int(of or 6)


@cache
def cheaper_and_better(xpu_id: str) -> tuple[str, ...]:
    """Accelerators of the same maker and kind that are no worse in anything and cost less to rent.

    Where there are any, the offers behind the two rents do not compare.

    Args:
        xpu_id: the accelerator.

    Returns:
        Ids of those with no less memory, bandwidth, arithmetic or links, and more of some.
    """
    rent = rental_price(xpu_id)
    if rent is None:
        return ()
    frame = table("xpus").set_index("id")
    measures = frame[["memory_gb", "memory_bandwidth_tb_s", "bf16_tflops", "fp8_tflops"]].copy()
    measures["fp8_tflops"] = measures["fp8_tflops"].fillna(measures["bf16_tflops"])
    measures["link_gb_s"] = frame["link_gb_s"].fillna(0.0)
    own = measures.loc[xpu_id]
    alike = (frame[["vendor", "kind"]] == frame.loc[xpu_id, ["vendor", "kind"]]).all(axis=1)
    better = alike & (measures >= own).all(axis=1) & (measures > own).any(axis=1)
    rents = {str(of): rental_price(str(of)) for of in frame.index[better]}
    return tuple(of for of, price in rents.items() if price and price.usd < rent.usd)


def api_offers(model: str | None = None, confirmed: bool = True) -> pd.DataFrame:
    """What hosted chat models cost by the newest reading of the price maps.

    Args:
        model: only offers of this one, an id of models.csv or a `model` of api_prices.csv.
        confirmed: whether only what is on sale as data/README.md defines it; else also what a map
            lists without that, and whose end is not past.

    Returns:
        Rows of the table api_prices, none older than the newest reading.
    """
    frame = table("api_prices")
    newest = frame["month"].max()
    current = frame["current"] == 1
    if not confirmed:
        current |= (frame["month"] == newest) & frame["ends"].isna()
    offers = frame[current & (frame["kind"] == "chat")]
    return offers if model is None else offers[offers["model"] == model]


def purchase_price(xpu_id: str) -> Price | None:
    """The newest price at which an accelerator could be bought, or None if none is published."""
    return _median(purchase_offers(xpu_id), "usd", "kind")


def purchase_offers(xpu_id: str) -> pd.DataFrame:
    """The newest rows that the price of buying an accelerator is taken from."""
    require("xpus", xpu_id)
    frame = table("xpu_prices")
    offers = frame[frame["xpu"] == xpu_id]
    return offers[offers["month"] == offers["month"].max()]


def _median(offers: pd.DataFrame, value: str, label: str) -> Price | None:
    if offers.empty:
        return None
    return Price(
        usd=float(offers[value].median()),
        month=str(offers["month"].max()),
        source=";".join(dict.fromkeys(offers["source"])),
        checked=bool(offers["checked"].all()),
        label=", ".join(dict.fromkeys(offers[label])),
    )
