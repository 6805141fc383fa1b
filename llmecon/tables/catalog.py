"""The tables under data/, turned into records that the models read.

Every table is checked against its schema the first time it is used. Identifiers are looked up
here and nowhere else, so that a misspelt one gets the same helpful line everywhere.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.errors import InputError
from llmecon.execution import disk_cache
from llmecon.paths import DATA
from llmecon.specs import (
    JOULES_PER_KWH,
    LLM,
    XPU,
    Efficiency,
    GridKind,
    LatencyTarget,
    Site,
    Workload,
)
from llmecon.tables.efficiencies import MULTIPLES, Attainment, Effect, System

GB = 1e9
# Makers count memory capacity, unlike bandwidth, in binary gigabytes.
# Vendors count memory in units of 2**30 bytes and print them as GB.
GIB = 2.0**30
TERA = 1e12

# A cluster whose network is not published is given 100 Gb/s Ethernet per device.
COMMON_NETWORK_GB_S = 12.5

# Rents come from the first of these tiers that has any: specialised clouds' list prices, then
# general clouds', who ask up to two or three times as much, then what is worse to compare.
RENT_TIERS = (
    *("neocloud", "general-cloud", "all-market", "marketplace"),
    *("assumed", "own-estimate"),
)
ESTIMATED_TIERS = ("assumed", "own-estimate")
# Offers are of one date if they are from the same half year.
RENT_MONTHS = 6

# What a change in demand is met from where nobody says, by what is counted: gas plants follow
# demand in most grids.
FOLLOWS_DEMAND: Mapping[str, str] = MappingProxyType(
    {"lifecycle": "src-gas", "direct": "src-gas-direct"}
)
WORLD = "wor"

# The modules that decide what a table may hold.
_CHECKED_BY = ("schemas.py", "row_rules.py", "columns.py")

DEFAULT_FACILITY = "aws-n-virginia"
"""The data centre that every chapter starts from, with its own grid and PUE."""

# Ids of grids begin with their country, some with two letters of it.
COUNTRIES: Mapping[str, str] = MappingProxyType(
    {
        "ae": "are",
        "at": "aut",
        "au": "aus",
        "be": "bel",
        "br": "bra",
        "ca": "can",
        "ch": "che",
        "cl": "chl",
        "de": "deu",
        "dk": "dnk",
        "egrid": "usa",
        "es": "esp",
        "fi": "fin",
        "fr": "fra",
        "gb": "gbr",
        "gr": "grc",
        "hk": "hkg",
        "id": "idn",
        "ie": "irl",
        "il": "isr",
        "in": "ind",
        "it": "ita",
        "jp": "jpn",
        "kr": "kor",
        "nl": "nld",
        "no": "nor",
        "nz": "nzl",
        "pl": "pol",
        "se": "swe",
        "sg": "sgp",
        "tw": "twn",
        "us": "usa",
        "za": "zaf",
    }
)

Record = TypeVar("Record", bound=eqx.Module)


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


class Scores(NamedTuple):
    """Scores of models that compare, because all were asked in one way.

    Attributes:
        benchmark: what was asked.
        setting: how: shots, base or instruct, with or without thinking.
        shares: of the questions answered rightly, by model; every model scored so.
    """

    benchmark: str
    setting: str
    shares: Mapping[str, float]


@cache
def table(name: str) -> pd.DataFrame:
    """A table of the catalogue, checked against its schema.

    Args:
        name: the file's name under data/, without its ending.

    Returns:
        The table; do not change it, it is shared.

    Raises:
        InputError: no such table, or a cell that its schema refuses.
    """
    path = DATA / f"{name}.csv"
    content = path.read_bytes() if path.is_file() else b""
    here = Path(__file__)
    rules = [
        file.read_bytes() for file in (DATA / "columns.csv", *map(here.with_name, _CHECKED_BY))
    ]

    def checked() -> pd.DataFrame:
        from llmecon.tables import schemas  # with pandera, which is slow to import

        if name not in schemas.names() or not content:
            known = ", ".join(schemas.names())
            raise InputError(f"no table {name!r} in the catalogue; there are: {known}")
        return schemas.validate(name, pd.read_csv(path))

    return disk_cache.kept("tables", disk_cache.digest(name, content, *rules), checked)


def ids(name: str) -> list[str]:
    """The identifiers of a table, in the table's order."""
    return list(_ids(name))


@cache
def _ids(name: str) -> tuple[str, ...]:
    return tuple(str(i) for i in _preferred(name)["id"])


def require(name: str, identifier: str) -> str:
    """Check that an identifier is in a table.

    Args:
        name: the table.
        identifier: what a person typed.

    Returns:
        The identifier.

    Raises:
        InputError: unknown; the message names the nearest ones and how to list all.
    """
    known = _ids(name)
    if identifier in known:
        return identifier
    near = difflib.get_close_matches(str(identifier).lower(), known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise InputError(
        f"{identifier!r} is not in the table {name}; {hint}list them with: llmecon list {name}"
    )


def row(name: str, identifier: str) -> Mapping[str, Any]:
    """One row of a table as a mapping from column to value.

    Raises:
        InputError: the identifier is not in the table.
    """
    return _row(name, require(name, identifier))


@cache
def _row(name: str, identifier: str) -> Mapping[str, Any]:
    found = _preferred(name).set_index("id").loc[identifier]
    return MappingProxyType({str(column): value for column, value in found.items()})


def name(table: str, identifier: str) -> str:
    """What a reader calls a row.

    Args:
        table: the table's name.
        identifier: of the row.

    Raises:
        InputError: the identifier is not in the table.
    """
    return str(row(table, identifier)["name"])


def _preferred(name: str) -> pd.DataFrame:
    """Only the preferred vintage of a region where the table holds several."""
    frame = table(name)
    return frame[frame["preferred"] == 1] if "preferred" in frame else frame


def _llm(of: Mapping[str, Any]) -> LLM:
    return LLM(
        layers=of["layers"],
        moe_layers=of["moe_layers"],
        width=of["width"],
        heads=of["heads"],
        kv_heads=of["kv_heads"],
        head_dim=of["head_dim"],
        value_dim=of["v_head_dim"],
        ff_width=of["ff_width"],
        ff_matrices=of["ff_matrices"],
        vocabulary=of["vocabulary"],
        tied_embeddings=of["tied_embeddings"],
        experts=of["experts"],
        experts_per_token=of["experts_per_token"],
        expert_ff_width=of["expert_ff_width"],
        shared_experts=of["shared_experts"],
        kv_lora_rank=of["kv_lora_rank"],
        rope_dim=of["rope_dim"],
        q_lora_rank=of["q_lora_rank"],
        window=of["window_tokens"],
        windowed_layers=of["windowed_layers"],
        context=of["context_tokens"],
    )


def _xpu(of: Mapping[str, Any], matmul_share: float) -> XPU:
    bf16 = of["bf16_tflops"] * TERA
    has_fp8 = pd.notna(of["fp8_tflops"])
    has_fp4 = pd.notna(of["fp4_tflops"])
    has_link = pd.notna(of["link_gb_s"])
    network = of["network_gb_s"] if pd.notna(of["network_gb_s"]) else COMMON_NETWORK_GB_S
    return XPU(
        bf16_flops=bf16,
        fp8_flops=of["fp8_tflops"] * TERA if has_fp8 else bf16,
        fp8_native=float(has_fp8),
        fp4_flops=of["fp4_tflops"] * TERA if has_fp4 else bf16,
        fp4_native=float(has_fp4),
        memory=of["memory_gb"] * GIB,
        memory_bandwidth=of["memory_bandwidth_tb_s"] * TERA,
        link_bandwidth=(of["link_gb_s"] if has_link else network) * GB,
        link_domain=of["link_domain"] if has_link else 1.0,
        network_bandwidth=network * GB,
        tdp=of["tdp_w"] if pd.notna(of["tdp_w"]) else _typical_watts_per_tflops() * bf16 / TERA,
        matmul_share=matmul_share,
    )


@cache
def _matmul_shares() -> Mapping[str, float]:
    """What large matrix products attain of the datasheet's rate, over the precisions measured."""
    rates = table("matmul_rates").merge(table("xpus"), left_on="xpu", right_on="id")
    peaks = [of[f"{of['precision']}_tflops"] for _, of in rates.iterrows()]
    return dict((rates["tflops"] / peaks).groupby(rates["xpu"]).mean())


@cache
def _typical_matmul_share() -> float:
    """What stands in for accelerators whose products nobody has timed."""
    return float(np.median(list(_matmul_shares().values())))


@cache
def _typical_watts_per_tflops() -> float:
    """What stands in for a power rating that the maker does not publish."""
    frame = table("xpus")
    peers = frame[(frame["kind"] == "datacenter") & frame["tdp_w"].notna()]
    return float((peers["tdp_w"] / peers["bf16_tflops"]).median())


def common_scores(models: Iterable[str], benchmark: str = "mmlu") -> Scores:
    """Published scores in a setting that some models have in common.

    Args:
        models: ids of models, or names of hosted ones, to be compared.
        benchmark: id of a benchmark in quality.csv.

    Returns:
        The scores in that setting: of several, one of tuned models before one of base models, then
        the one that most models were scored in.

    Raises:
        InputError: the models have no setting in common; the message lists what each has.
    """
    rows = table("quality").query("benchmark == @benchmark")
    wanted = list(dict.fromkeys(models))
    settings = {model: set(rows[rows["model"] == model]["setting"]) for model in wanted}
    common = set.intersection(*settings.values())
    if not common:
        each = "; ".join(
            f"{model}: {' / '.join(sorted(of)) or 'none'}" for model, of in settings.items()
        )
        raise InputError(
            f"no setting of {benchmark} has scores of all models that are compared ({each}); "
            "choose models that were scored in the same one"
        )
    counts = rows["setting"].value_counts()
    best = min(common, key=lambda of: ("base" in of, -counts[of], of))
    scored = rows[rows["setting"] == best].set_index("model")["score_pct"]
    return Scores(benchmark, best, {str(of): float(pct) / 100.0 for of, pct in scored.items()})


def llm(identifier: str) -> LLM:
    """A model's architecture.

    Raises:
        InputError: unknown identifier.
    """
    return _known_llm(require("models", identifier))


@cache
def _known_llm(identifier: str) -> LLM:
    with jax.ensure_compile_time_eval():  # or the first caller's trace would be remembered
        return _llm(row("models", identifier))


def xpu(identifier: str) -> XPU:
    """An accelerator's datasheet in SI units, and what it attains of its matrix rate.

    Raises:
        InputError: unknown identifier.
    """
    return _known_xpu(require("xpus", identifier))


@cache
def _known_xpu(identifier: str) -> XPU:
    with jax.ensure_compile_time_eval():
        share = _matmul_shares().get(identifier, _typical_matmul_share())
        return _xpu(row("xpus", identifier), share)


def stack(records: Iterable[Record]) -> Record:
    """Records of one kind as one record with a leading dimension, ready for vmap.

    Raises:
        InputError: sites whose carbon intensities are of different kinds.
    """
    listed = list(records)
    alike(listed)
    stacked: Record = jax.tree.map(lambda *leaves: jnp.stack(leaves), *listed)
    return stacked


def alike(records: Sequence[object]) -> None:
    """Check that no sites with carbon intensities of different kinds stand side by side.

    Args:
        records: any; only sites among them are looked at.

    Raises:
        InputError: two kinds among the sites, or among what contracts say of them.
    """
    sites = [of for of in records if isinstance(of, Site)]
    for kinds in ({of.kind for of in sites}, {of.market_kind for of in sites}):
        if len(kinds) > 1:
            both = " and ".join(sorted(map(str, kinds)))
            raise InputError(f"carbon intensities {both} do not compare; use grids of one kind")


def llms(identifiers: Iterable[str] | None = None) -> LLM:
    """Many models as one record with a leading dimension; all of the catalogue by default."""
    return stack(llm(i) for i in (ids("models") if identifiers is None else identifiers))


def xpus(identifiers: Iterable[str] | None = None) -> XPU:
    """Many accelerators as one record with a leading dimension; all of them by default."""
    return stack(xpu(i) for i in (ids("xpus") if identifiers is None else identifiers))


@cache
def attainment() -> Attainment:
    """The calibrated efficiencies, with the effects of groups and draws from their posterior."""
    values = table("efficiencies").set_index("parameter")["value"]
    effects = [
        Effect(
            parameter=str(of["parameter"]),
            kind=str(of["kind"]),
            group=str(of["group"]),
            mean=float(of["mean"]),
            sd=float(of["sd"]),
            curves=int(of["curves"]),
        )
        for of in table("efficiency_effects").to_dict("records")
    ]
    scales = table("efficiency_effects").drop_duplicates("parameter").set_index("parameter")
    return Attainment(
        values={str(name): float(value) for name, value in values.items()},
        scales={
            str(name): str(scale)
            for name, scale in scales["scale"].items()
            if name not in MULTIPLES
        },
        effects={(of.parameter, of.kind, of.group): of for of in effects},
        draws={
            str(name): frame["value"].to_numpy(float)
            for name, frame in table("efficiency_draws").groupby("parameter", sort=False)
        },
    )


@cache
def system(
    model: str | None = None,
    xpu: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
) -> System:
    """What a system's efficiencies are looked up by; leave out what isn't known.

    Args:
        model: id of the model.
        xpu: id of the accelerator.
        engine: serving software, such as vllm, sglang, trtllm.
        precision: of the weights.

    Raises:
        InputError: unknown model or accelerator.
    """
    return System(
        engine=engine or "",
        xpu=require("xpus", xpu) if xpu else "",
        model=require("models", model) if model else "",
        family=str(row("models", model)["family"]) if model else "",
        precision=precision or "",
    )


def memory_gb(held: float) -> float:
    """Memory as vendors print it.

    Args:
        held: bytes.

    Returns:
        GB of 2**30 bytes, the unit of the column `memory_gb` and of "H100 80GB".
    """
    return held / GIB


def efficiency(system: System | None = None) -> Efficiency:
    """What kernels and servers attain of a datasheet, as calibrated.

    Args:
        system: the system (see `system`); what all systems share, by default.

    Returns:
        The most probable efficiencies.
    """
    return attainment().efficiency(system or System())


def efficiency_draws(system: System | None = None) -> Efficiency:
    """Draws of a system's efficiencies from all that is uncertain about them.

    Args:
        system: the system (see `system`); an unknown one, by default.

    Returns:
        A record with a leading dimension of draws, to be used with vmap.
    """
    return attainment().efficiency_draws(system or System())


def workload(identifier: str) -> Workload:
    """A published distribution of requests; coefficients of variation not published are 1.

    Raises:
        InputError: unknown identifier.
    """
    of = row("workloads", identifier)
    return Workload(
        prompt_tokens=of["prompt_tokens"],
        output_tokens=of["output_tokens"],
        cached_fraction=_or(of["cached_fraction"], 0.0),
        prompt_cv=_or(of["prompt_cv"], 1.0),
        output_cv=_or(of["output_cv"], 1.0),
        interarrival_cv=_or(of["interarrival_cv"], 1.0),
    )


def latency_target(identifier: str) -> LatencyTarget:
    """Published limits on latency; a limit not published is a minute a token or first token.

    Raises:
        InputError: unknown identifier.
    """
    of = row("latency_targets", identifier)
    return LatencyTarget(
        ttft=_or(of["ttft_s"], 60.0),
        tpot=_or(of["tpot_s"], 60.0),
        quantile=_or(of["percentile"], 0.5),
    )


def kind_of(*grids: str) -> GridKind:
    """What the carbon intensities of some grids count.

    Args:
        *grids: ids of the table grid, at least one.

    Returns:
        The kind that all of them share.

    Raises:
        InputError: unknown grid, or grids of different kinds, which do not compare.
    """
    first, *others = grids
    kind = _kind(row("grid", first))
    for other in others:
        if (found := _kind(row("grid", other))) != kind:
            raise InputError(
                f"{first} and {other} do not compare: the one intensity is {kind}, the other "
                f"{found}; use grids of one kind (columns basis and boundary of data/grid.csv)"
            )
    return kind


def _kind(of: Mapping[str, Any]) -> GridKind:
    return GridKind(str(of["basis"]), str(of["boundary"]))


def country_of(grid: str) -> str | None:
    """The country that a grid lies in, as an id of the table grid; None if in no single one.

    Raises:
        InputError: unknown grid.
    """
    start = require("grid", grid).removeprefix("gcp-").partition("-")[0].rstrip("0123456789")
    country = COUNTRIES.get(start, start)
    frame = _preferred("grid").set_index("id")["level"]
    return country if country in frame and frame[country] == "country" else None


def facility_grid(facility: str = DEFAULT_FACILITY) -> str:
    """The grid that feeds a data centre, as the source of its PUE has it.

    Args:
        facility: id of the table facilities.

    Returns:
        An id of the table grid.

    Raises:
        InputError: unknown facility, or one that stands in no single grid.
    """
    found = row("facilities", facility)["grid"]
    if not isinstance(found, str):
        raise InputError(f"{facility} stands in no single grid; name the grid that feeds it")
    return found


def facility_pue(facility: str = DEFAULT_FACILITY) -> float:
    """The PUE of a data centre, by default of the one that all chapters start from.

    Raises:
        InputError: unknown facility.
    """
    return float(row("facilities", facility)["pue"])


def electricity_price(grid: str) -> float | None:
    """What industrial customers pay on a grid, or else in its country, USD/kWh; None if unknown.

    Raises:
        InputError: unknown grid.
    """
    prices = table("electricity_prices").drop_duplicates("grid").set_index("grid")["usd_per_kwh"]
    nearest = (grid, country_of(grid) or grid)
    return next((float(prices[of]) for of in nearest if of in prices), None)


def site(
    grid: str | None = None,
    facility: str | None = None,
    pue: float = 1.0,
    usd_per_kwh: float = 0.0,
    marginal: str | None = None,
) -> Site:
    """A place to run machines.

    Args:
        grid: id of the region whose mix feeds the site; the facility's own (see `facility_grid`) by
            default.
        facility: id of a facility whose published PUE is used instead of `pue`, and whose contracts
            and cooling water are counted. Without one, or where it publishes none, its electricity
            counts as the grid's, and its cooling takes the median of what facilities publish.
        pue: facility energy over IT energy.
        usd_per_kwh: price of electricity.
        marginal: id of the row of the grid table that a change in demand is met from; gas plants by
            default, counted on the same basis as the grid.

    Raises:
        InputError: unknown grid or facility, or a marginal one counted on another basis.
    """
    of: Mapping[str, Any] = row("facilities", facility) if facility is not None else {}
    if grid is None:
        grid = facility_grid(facility or DEFAULT_FACILITY)
    average = row("grid", grid)["g_co2e_per_kwh"]
    kind = kind_of(grid)
    followed = row("grid", marginal or FOLLOWS_DEMAND[kind.basis])
    if followed["basis"] != kind.basis:
        raise InputError(f"marginal: {marginal} is counted on another basis than {grid}")
    contracts = isinstance(of.get("market_basis"), str)
    facilities = table("facilities")
    wue = _or(of.get("wue_l_per_kwh"), float(facilities["wue_l_per_kwh"].median()))
    return Site(
        pue=of.get("pue", pue),
        carbon_intensity=average / 1000.0 / JOULES_PER_KWH,
        market_intensity=_or(of.get("market_g_co2e_per_kwh"), average) / 1000.0 / JOULES_PER_KWH,
        marginal_intensity=followed["g_co2e_per_kwh"] / 1000.0 / JOULES_PER_KWH,
        electricity_price=usd_per_kwh / JOULES_PER_KWH,
        water_on_site=wue / JOULES_PER_KWH,
        water_off_site=_plant_water(grid) / JOULES_PER_KWH,
        kind=kind,
        market_kind=GridKind(of["market_basis"], "contracts") if contracts else kind,
    )


@cache
def _plant_water(grid: str) -> float:
    """Litres that power plants consume per kWh: the region's, its country's or the world's."""
    frame = _preferred("water")
    known = frame.dropna(subset="l_per_kwh").set_index("grid")["l_per_kwh"]
    return float(
        next(known[of] for of in (grid, country_of(grid) or WORLD, WORLD) if of in known.index)
    )


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


def served_alike(model: str) -> tuple[str, ...]:
    """Other models of the same architecture, which therefore cost the same to serve.

    Raises:
        InputError: unknown model.
    """
    frame = table("models").set_index("id")
    own = llm(model)
    leaves = jax.tree.leaves(own)
    near = frame.index[frame["layers"] == frame["layers"][model]]
    return tuple(
        str(of)
        for of in near
        if of != model and jax.tree.leaves(eqx.tree_at(_context, llm(of), own.context)) == leaves
    )


def _context(llm: LLM) -> Any:
    return llm.context


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


def _or(value: Any, default: float) -> float:
    return default if value is None or (isinstance(value, float) and np.isnan(value)) else value
