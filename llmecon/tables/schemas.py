"""What each table of the catalogue may hold: columns, types, units, ranges, keys.

Column names carry their unit. An empty cell means that the figure is not published. `source` is a
key of the bibliography, or several joined by semicolons; `checked` says whether the figure was
read in that source or in a page that restates it.
"""

import ast
import re
from typing import Any, ClassVar

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from llmecon.errors import InputError

SLUG = r"^[a-z0-9][a-z0-9./_-]*$"
KEYS = r"^[A-Za-z][A-Za-z0-9]*(;[A-Za-z][A-Za-z0-9]*)*$"
MONTH = r"^(19|20)\d\d(-(0[1-9]|1[0-2]))?$"
FULL_MONTH = r"^(19|20)\d\d-(0[1-9]|1[0-2])$"
DAY = r"^(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"

_PATTERNS = {
    SLUG: "lower-case letters, digits and . / _ - (such as llama-3.1-70b)",
    KEYS: "keys of the bibliography joined by ; (such as Hoffmann2022;Besiroglu2024)",
    MONTH: "a month as YYYY-MM or a year as YYYY",
    FULL_MONTH: "a month as YYYY-MM",
    DAY: "a day as YYYY-MM-DD",
}

PRECISIONS = ["bf16", "fp8", "fp4", "int4"]
LAW_PARAMETERS = [
    "E",
    "A",
    "B",
    "alpha",
    "beta",
    "size_scale",
    "data_scale",
    "repetitions",
    "excess",
    "a",
    "b",
    "eta",
    "ceiling",
    "k",
    "gamma",
]


def _number(**checks: Any) -> Any:
    return pa.Field(coerce=True, **checks)


def _published(**checks: Any) -> Any:
    """A number that may be missing."""
    return pa.Field(coerce=True, nullable=True, **checks)


def _text(**checks: Any) -> Any:
    return pa.Field(coerce=True, **checks)


def _remark(**checks: Any) -> Any:
    """A text that may be missing."""
    return pa.Field(coerce=True, nullable=True, **checks)


def _key() -> Any:
    return pa.Field(coerce=True, str_matches=SLUG, unique=True)


def _reference() -> Any:
    return pa.Field(coerce=True, str_matches=SLUG)


class Sourced(pa.DataFrameModel):
    """The columns that end every table."""

    source: str = _text(str_matches=KEYS)
    checked: bool
    note: str = _remark()

    class Config:
        """No column beyond those declared."""

        strict = True


class Models(Sourced):
    """Architectures of language models."""

    id: str = _key()
    name: str = _text()
    family: str = _text()
    developer: str = _text()
    release: str = _text(str_matches=FULL_MONTH)
    parameters_total_b: float = _number(gt=0, le=10_000)
    parameters_active_b: float = _number(gt=0, le=10_000)
    layers: int = _number(ge=1, le=500)
    moe_layers: int = _number(ge=0, le=500)
    width: int = _number(ge=64, le=100_000)
    heads: int = _number(ge=1, le=1024)
    kv_heads: int = _number(ge=1, le=1024)
    head_dim: int = _number(ge=16, le=1024)
    ff_width: int = _number(ge=0, le=1_000_000)
    ff_matrices: int = _number(isin=[2, 3])
    vocabulary: int = _number(ge=1000, le=1_000_000)
    tied_embeddings: int = _number(isin=[0, 1])
    experts: int = _number(ge=0, le=10_000)
    experts_per_token: int = _number(ge=0, le=1000)
    expert_ff_width: int = _number(ge=0, le=100_000)
    shared_experts: int = _number(ge=0, le=100)
    kv_lora_rank: int = _number(ge=0, le=10_000)
    rope_dim: int = _number(ge=0, le=1024)
    q_lora_rank: int = _number(ge=0, le=10_000)
    v_head_dim: int = _number(ge=16, le=1024)
    window_tokens: int = _number(ge=0, le=10_000_000)
    windowed_layers: int = _number(ge=0, le=500)
    context_tokens: int = _number(ge=512, le=100_000_000)
    training_tokens_t: float = _published(gt=0, le=1000)
    attention: str = _text(isin=["MHA", "MQA", "GQA", "MLA"])
    weights_native_precision: str = _text(isin=PRECISIONS)
    architecture_checked: int = _number(isin=[0, 1])

    @pa.dataframe_check(name="active parameters at most the total")
    @classmethod
    def _active(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["parameters_active_b"] <= frame["parameters_total_b"]

    @pa.dataframe_check(name="a whole number of heads for each KV head")
    @classmethod
    def _groups(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["heads"] % frame["kv_heads"] == 0

    @pa.dataframe_check(name="experts given if and only if some layers have them")
    @classmethod
    def _experts(cls, frame: pd.DataFrame) -> pd.Series:
        some = frame["moe_layers"] > 0
        columns = ["experts", "experts_per_token", "expert_ff_width"]
        return (frame[columns] > 0).all(axis=1).where(some, (frame[columns] == 0).all(axis=1))

    @pa.dataframe_check(name="no more MoE or windowed layers than layers")
    @classmethod
    def _layers(cls, frame: pd.DataFrame) -> pd.Series:
        return frame[["moe_layers", "windowed_layers"]].max(axis=1) <= frame["layers"]

    @pa.dataframe_check(name="a window if and only if some layers have one")
    @classmethod
    def _window(cls, frame: pd.DataFrame) -> pd.Series:
        return (frame["window_tokens"] > 0) == (frame["windowed_layers"] > 0)

    @pa.dataframe_check(name="a latent rank if and only if the attention is MLA")
    @classmethod
    def _latent(cls, frame: pd.DataFrame) -> pd.Series:
        return (frame["kv_lora_rank"] > 0) == (frame["attention"] == "MLA")


class Quality(Sourced):
    """Published scores of models on benchmarks."""

    model: str = _reference()
    benchmark: str = _text(isin=["mmlu", "mmlu-pro", "gpqa-diamond", "swe-bench-verified"])
    score_pct: float = _number(ge=0, le=100)
    setting: str = _text()

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["model", "benchmark", "setting"]


class XPUs(Sourced):
    """Datasheets of accelerators; peaks are dense, links one direction per device."""

    id: str = _key()
    name: str = _text()
    vendor: str = _text()
    kind: str = _text(isin=["datacenter", "workstation", "edge", "laptop", "phone", "wafer"])
    year: int = _number(ge=2010, le=2040)
    bf16_tflops: float = _number(gt=0)
    fp8_tflops: float = _published(gt=0)
    int8_tops: float = _published(gt=0)
    fp4_tflops: float = _published(gt=0)
    memory_gb: float = _number(gt=0)
    memory_bandwidth_tb_s: float = _number(gt=0)
    link_gb_s: float = _published(gt=0)
    link_domain: int = _number(ge=1)
    network_gb_s: float = _published(gt=0)
    tdp_w: float = _published(gt=0)
    idle_w: float = _published(gt=0)
    die_mm2: float = _published(gt=0)
    process_nm: float = _published(gt=0)

    @pa.dataframe_check(name="idle power below the rated power")
    @classmethod
    def _idle(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["idle_w"].isna() | frame["tdp_w"].isna() | (frame["idle_w"] < frame["tdp_w"])


class XPUPrices(Sourced):
    """What an accelerator costs to buy."""

    xpu: str = _reference()
    month: str = _text(str_matches=MONTH)
    usd: float = _number(gt=0)
    kind: str = _text(isin=["list", "street", "estimate"])


class RentalPrices(Sourced):
    """What an accelerator costs to rent."""

    xpu: str = _reference()
    month: str = _text(str_matches=MONTH)
    provider: str = _text()
    contract: str = _text(isin=["on-demand", "spot", "reserved", "assumption"])
    tier: str = _text(
        isin=[
            *("neocloud", "general-cloud", "all-market", "marketplace"),
            *("assumed", "own-estimate"),
        ]
    )
    usd_per_xpu_hour: float = _number(gt=0, le=1000)

    @pa.dataframe_check(name="estimates of our own are of the tier own-estimate and unchecked")
    @classmethod
    def _own(cls, frame: pd.DataFrame) -> pd.Series:
        own = frame["source"] == "OwnEstimate"
        return (own == (frame["tier"] == "own-estimate")) & ~(own & frame["checked"])

    @pa.dataframe_check(name="assumptions are of a tier of estimates")
    @classmethod
    def _assumed(cls, frame: pd.DataFrame) -> pd.Series:
        return (frame["contract"] == "assumption") == (frame["tier"] == "assumed")


class APIPrices(Sourced):
    """List prices of hosted models."""

    id: str = _reference()
    provider: str = _text()
    model: str = _reference()
    month: str = _text(str_matches=FULL_MONTH)
    input_usd_per_mtok: float = _number(ge=0, le=1000)
    cached_input_usd_per_mtok: float = _published(ge=0, le=1000)
    output_usd_per_mtok: float = _number(ge=0, le=1000)
    kind: str = _text(isin=["chat", "embedding", "fine-tuned"])
    current: int = _number(isin=[0, 1])
    ends: str = _remark(str_matches=DAY)

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["id", "month"]

    @pa.dataframe_check(name="cached input no dearer than input")
    @classmethod
    def _cached(cls, frame: pd.DataFrame) -> pd.Series:
        cached = frame["cached_input_usd_per_mtok"]
        return cached.isna() | (cached <= frame["input_usd_per_mtok"])


class APIDiscounts(Sourced):
    """Discounts for batches and for cached prompts, as fractions and multiples of list price."""

    provider: str = _text(unique=True)
    batch_discount: float = _number(ge=0, lt=1)
    cache_write_multiplier: float = _number(ge=0, le=10)
    cache_read_multiplier: float = _number(ge=0, le=1)
    as_of: str = _text(str_matches=MONTH)


class ImageTokens(Sourced):
    """How vendors count an image as tokens."""

    provider: str = _text()
    family: str = _text(unique=True)
    rule: str = _text(isin=["tiles", "area", "fixed"])
    tile_px: float = _published(gt=0)
    base_tokens: float = _published(ge=0)
    tokens_per_tile: float = _published(gt=0)
    pixels_per_token: float = _published(gt=0)
    fit_box_px: float = _published(gt=0)
    short_side_px: float = _published(gt=0)
    max_tokens: float = _published(gt=0)
    example_width_px: int = _number(gt=0)
    example_height_px: int = _number(gt=0)
    example_tokens: int = _number(gt=0)


# What makes two intensities comparable: what of a plant's life is counted, and whose electricity.
BASES_OF_GRIDS = ["lifecycle", "direct"]
BOUNDARIES_OF_GRIDS = ["production", "consumption"]


class Grid(Sourced):
    """Carbon intensity of electricity; `preferred` marks the vintage to use of each region."""

    id: str = _reference()
    name: str = _text()
    level: str = _text(
        isin=[
            "country",
            "world",
            "us-subregion",
            "us-state",
            "bidding-zone",
            "province",
            "cloud-region",
            "grid-zone",
            "source-factor",
        ]
    )
    g_co2e_per_kwh: float = _number(gt=0, le=1500)
    basis: str = _text(isin=BASES_OF_GRIDS)
    boundary: str = _text(isin=BOUNDARIES_OF_GRIDS)
    year: int = _number(ge=2000, le=2040)
    preferred: int = _number(isin=[0, 1])

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["id", "year"]

    @pa.dataframe_check(name="exactly one preferred row for each id")
    @classmethod
    def _preferred(cls, frame: pd.DataFrame) -> pd.Series:
        return frame.groupby("id")["preferred"].transform("sum") == 1


class ElectricityPrices(Sourced):
    """What industrial customers pay for electricity."""

    grid: str = pa.Field(coerce=True, str_matches=SLUG, unique=True)
    usd_per_kwh: float = _number(gt=0, le=2)
    year: int = _number(ge=2000, le=2040)


class Facilities(Sourced):
    """Energy and water overheads of data centres."""

    id: str = _key()
    name: str = _text()
    operator: str = _text()
    scope: str = _text(isin=["fleet", "region", "site", "survey", "hpc", "cloud"])
    grid: str = _remark(str_matches=SLUG)
    pue: float = _number(ge=1, le=3)
    wue_l_per_kwh: float = _published(ge=0, le=20)
    market_g_co2e_per_kwh: float = _published(ge=0, le=1500)
    market_basis: str = _remark(isin=BASES_OF_GRIDS)
    year: float = _published(ge=2000, le=2040)

    @pa.dataframe_check(name="a market-based intensity says what it counts")
    @classmethod
    def _stated(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["market_g_co2e_per_kwh"].notna() == frame["market_basis"].notna()


class EmbodiedProcesses(Sourced):
    """Emissions of making a square centimetre of logic, before the yield, by process."""

    id: str = _key()
    process_nm: float = _number(gt=0, le=100)
    fab_kwh_per_cm2: float = _number(gt=0, le=20)
    gas_low_g_per_cm2: float = _number(ge=0, le=2000)
    gas_high_g_per_cm2: float = _number(ge=0, le=2000)
    materials_g_per_cm2: float = _number(ge=0, le=5000)
    imec_kg_per_cm2: float = _published(gt=0, le=20)

    @pa.dataframe_check(name="better abatement leaves no more gas")
    @classmethod
    def _gas(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["gas_low_g_per_cm2"] <= frame["gas_high_g_per_cm2"]


class EmbodiedMemory(Sourced):
    """Emissions of making memory and storage, by capacity."""

    id: str = _key()
    name: str = _text()
    kind: str = _text(isin=["hbm", "dram", "flash", "disk"])
    kg_co2e_per_gb: float = _number(gt=0, le=10)
    basis: str = _text()
    product: str = _remark(str_matches=SLUG)


class EmbodiedProducts(Sourced):
    """Published footprints of making whole products, and of their lives."""

    id: str = _key()
    name: str = _text()
    kind: str = _text(
        isin=[
            "accelerator",
            "board",
            "server",
            "phone",
            "tablet",
            "laptop",
            "workstation",
            "router",
        ]
    )
    xpu: str = _remark(str_matches=SLUG)
    xpus_per_unit: float = _published(ge=1, le=1000)
    kg_co2e: float = _published(gt=0, le=1_000_000)
    boundary: str = _text(
        isin=[
            "cradle-to-gate",
            "cradle-to-grave-without-use",
            "manufacturing",
            "life-cycle",
            "unknown",
        ]
    )
    lifetime_years: float = _published(gt=0, le=20)
    life_cycle_kg_co2e: float = _published(gt=0, le=1_000_000)
    making_share: float = _published(gt=0, lt=1)
    memory_share: float = _published(gt=0, lt=1)
    memory_gb: float = _published(gt=0)
    storage_share: float = _published(gt=0, lt=1)
    storage_gb: float = _published(gt=0)
    chip_share: float = _published(gt=0, lt=1)
    thermal_share: float = _published(gt=0, lt=1)

    @pa.dataframe_check(name="making given, unless a life cycle comes without a share of it")
    @classmethod
    def _making(cls, frame: pd.DataFrame) -> pd.Series:
        alone = frame["life_cycle_kg_co2e"].notna() & frame["making_share"].isna()
        return frame["kg_co2e"].isna() == alone

    @pa.dataframe_check(name="a life cycle if and only if that is the boundary")
    @classmethod
    def _life_cycle(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["life_cycle_kg_co2e"].notna() == (frame["boundary"] == "life-cycle")

    @pa.dataframe_check(name="shares of parts add up to no more than the whole")
    @classmethod
    def _shares(cls, frame: pd.DataFrame) -> pd.Series:
        parts = ["memory_share", "storage_share", "chip_share", "thermal_share"]
        return frame[parts].sum(axis=1) <= 1


class HourlyCarbon(Sourced):
    """Carbon intensity by hour of the day in balancing authorities of the United States."""

    grid: str = _reference()
    zone: str = _remark(str_matches=SLUG)
    authority: str = _reference()
    hour: int = _number(ge=0, le=23)
    utc_offset_h: int = _number(ge=-12, le=14)
    g_co2e_per_kwh: float = _number(gt=0, le=1500)
    basis: str = _text(isin=BASES_OF_GRIDS)
    boundary: str = _text(isin=BOUNDARIES_OF_GRIDS)
    ratio_to_mean: float = _number(gt=0, le=10)
    hours: int = _number(ge=1, le=366)

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["grid", "hour"]

    @pa.dataframe_check(name="one offset for each grid")
    @classmethod
    def _offset(cls, frame: pd.DataFrame) -> pd.Series:
        return frame.groupby("grid")["utc_offset_h"].transform("nunique") == 1


class Water(Sourced):
    """Water consumed by making electricity; `preferred` marks the row to use of each grid."""

    id: str = _key()
    grid: str = _reference()
    l_per_kwh: float = _number(gt=0, le=100)
    basis: str = _text(isin=["country factor", "state factor", "world factor"])
    reservoirs: int = _number(isin=[0, 1])
    preferred: int = _number(isin=[0, 1])
    wue_l_per_kwh: float = _published(ge=0, le=20)

    @pa.dataframe_check(name="exactly one preferred row for each grid")
    @classmethod
    def _preferred(cls, frame: pd.DataFrame) -> pd.Series:
        return frame.groupby("grid")["preferred"].transform("sum") == 1


class NetworkEnergy(Sourced):
    """Electricity of networks and of the user's devices."""

    id: str = _key()
    name: str = _text()
    kind: str = _text(isin=["per-byte", "per-hour", "device"])
    kwh_per_gb: float = _published(gt=0, le=10)
    w: float = _published(gt=0, le=10_000)
    low: float = _published(gt=0)
    high: float = _published(gt=0)
    year: float = _published(ge=2000, le=2040)

    @pa.dataframe_check(name="kWh/GB if the kind is per-byte, watts otherwise")
    @classmethod
    def _unit(cls, frame: pd.DataFrame) -> pd.Series:
        by_byte = frame["kind"] == "per-byte"
        return (frame["kwh_per_gb"].notna() == by_byte) & (frame["w"].isna() == by_byte)

    @pa.dataframe_check(name="low <= value <= high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        value = frame["kwh_per_gb"].fillna(frame["w"])
        low, high = frame["low"].fillna(value), frame["high"].fillna(value)
        return (low <= value) & (value <= high)


class MeasuredTrainingCarbon(Sourced):
    """Energy and emissions that training runs report, and what they rest on."""

    id: str = _key()
    label: str = _text()
    model: str = _remark(str_matches=SLUG)
    parameters_total_b: float = _published(gt=0, le=10_000)
    parameters_active_b: float = _published(gt=0, le=10_000)
    tokens_b: float = _published(gt=0, le=1_000_000)
    xpu: str = _remark(str_matches=SLUG)
    devices: float = _published(ge=1, le=1_000_000)
    device_hours: float = _published(gt=0)
    days: float = _published(gt=0, le=3650)
    power_w: float = _published(gt=0, le=100_000)
    power_basis: str = _text(
        isin=[
            "measured-system",
            "measured-device",
            "category-average",
            "assumed",
            "rated",
            "estimated",
            "life-cycle",
            "unknown",
        ]
    )
    energy_mwh: float = _published(gt=0)
    energy_boundary: str = _remark(isin=["device", "it", "facility", "device-with-pue", "unknown"])
    pue: float = _published(ge=1, le=3)
    g_co2e_per_kwh: float = _published(ge=0, le=1500)
    t_co2e: float = _published(ge=0)
    carbon_basis: str = _remark(isin=["location", "market", "net", "life-cycle", "unknown"])
    water_kl: float = _published(gt=0)
    metered: int = _number(isin=[0, 1])
    circular: int = _number(isin=[0, 1])

    @pa.dataframe_check(name="a boundary with every energy, a basis with every emission")
    @classmethod
    def _bounded(cls, frame: pd.DataFrame) -> pd.Series:
        energy = frame["energy_mwh"].notna() == frame["energy_boundary"].notna()
        return energy & (frame["t_co2e"].notna() == frame["carbon_basis"].notna())

    @pa.dataframe_check(name="metered where power was measured, circular only where it was not")
    @classmethod
    def _metered(cls, frame: pd.DataFrame) -> pd.Series:
        measured = frame["power_basis"].isin(["measured-system", "measured-device"])
        unmeasured = frame["power_basis"].isin(["category-average", "assumed", "rated"])
        return ((frame["metered"] == 1) == measured) & ((frame["circular"] == 1) == unmeasured)

    @pa.dataframe_check(name="active parameters at most the total")
    @classmethod
    def _active(cls, frame: pd.DataFrame) -> pd.Series:
        active = frame["parameters_active_b"]
        return active.isna() | (active <= frame["parameters_total_b"])


class CarbonSplits(Sourced):
    """Published splits of one energy, carbon or water footprint into its parts."""

    case: str = _reference()
    part: str = _reference()
    value: float = _number(gt=0)
    unit: str = _text(
        isin=["Wh", "MWh", "g CO2e", "kg CO2e", "t CO2e", "mL", "ML", "share", "per accelerator"]
    )
    boundary: str = _text()

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["case", "part"]


class LatencyTargets(Sourced):
    """Limits on latency that benchmarks, systems and studies set."""

    id: str = _key()
    name: str = _text()
    workload: str = _text(isin=["any", "chat", "code", "reasoning", "summarisation"])
    ttft_s: float = _published(gt=0, le=60)
    tpot_s: float = _published(gt=0, le=10)
    percentile: float = _published(gt=0, lt=1)


class ReadingSpeeds(Sourced):
    """How fast people read, in words and in tokens."""

    id: str = _key()
    name: str = _text()
    words_per_minute: float = _number(gt=0, le=2000)
    tokens_per_word: float = _number(gt=0, le=5)
    tokens_per_s: float = _number(gt=0, le=100)


class Workloads(Sourced):
    """Lengths and arrivals of requests; lengths are means."""

    id: str = _key()
    name: str = _text()
    prompt_tokens: float = _number(gt=0, le=10_000_000)
    output_tokens: float = _number(gt=0, le=1_000_000)
    prompt_cv: float = _published(ge=0, le=50)
    output_cv: float = _published(ge=0, le=50)
    interarrival_cv: float = _published(ge=0, le=100)
    cached_fraction: float = _published(ge=0, le=1)


class MeasuredTrainingRuns(Sourced):
    """Published training runs; device-hours may count more than the final run."""

    id: str = _key()
    model: str = _remark(str_matches=SLUG)
    label: str = _text()
    parameters_total_b: float = _number(gt=0, le=10_000)
    parameters_active_b: float = _number(gt=0, le=10_000)
    tokens_b: float = _number(gt=0, le=1_000_000)
    xpu: str = _remark(str_matches=SLUG)
    devices: float = _published(ge=1, le=1_000_000)
    precision: str = _text(isin=PRECISIONS)
    wallclock_days: float = _published(gt=0, le=3650)
    device_hours: float = _published(gt=0)

    @pa.dataframe_check(name="device-hours, or devices and days")
    @classmethod
    def _effort(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["device_hours"].notna() | (
            frame["devices"].notna() & frame["wallclock_days"].notna()
        )


class MeasuredServing(Sourced):
    """Measured speed and power of serving systems."""

    id: str = _key()
    model: str = _reference()
    xpu: str = _reference()
    n_xpus: float = _number(ge=1, le=100_000)
    tensor_parallel: float = _published(ge=1, le=1024)
    expert_parallel: float = _published(ge=1, le=1024)
    data_parallel: float = _published(ge=1, le=1024)
    precision: str = _text(isin=PRECISIONS)
    engine: str = _remark(str_matches=SLUG)
    engine_version: str = _remark()
    concurrency: float = _number(gt=0, le=1_000_000)
    prompt_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens: float = _number(ge=1, le=10_000_000)
    ttft_s: float = _published(gt=0)
    tpot_s: float = _published(gt=0)
    output_tokens_per_s: float = _published(gt=0)
    power_w_per_xpu: float = _published(gt=0)
    energy_j_per_output_token: float = _published(gt=0)
    regime: str = _text(isin=["serving", "steady"])
    speculative: float = _number(isin=[0, 1])
    suspect: str = _remark()


class MeasuredOffline(Sourced):
    """Measured throughput of systems that work off a backlog."""

    id: str = _key()
    model: str = _reference()
    xpu: str = _reference()
    n_xpus: float = _number(ge=1, le=100_000)
    precision: str = _text(isin=PRECISIONS)
    prompt_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens_per_s: float = _number(gt=0)
    round: str = _text()
    submitter: str = _text()


class PublishedServing(Sourced):
    """Speed and power of serving as publishers measured it whom the physics was not fitted to."""

    id: str = _key()
    publisher: str = _reference()
    model: str = _reference()
    xpu: str = _reference()
    n_xpus: float = _number(ge=1, le=100_000)
    tensor_parallel: float = _published(ge=1, le=1024)
    expert_parallel: float = _published(ge=1, le=1024)
    data_parallel: float = _published(ge=1, le=1024)
    precision: str = _text(isin=PRECISIONS)
    engine: str = _remark(str_matches=SLUG)
    engine_version: str = _remark()
    month: str = _remark(str_matches=FULL_MONTH)
    batching: str = _remark(isin=["static", "continuous"])
    lengths: str = _remark(isin=["fixed", "uniform"])
    concurrency: float = _number(gt=0, le=1_000_000)
    mean_concurrency: float = _published(gt=0, le=1_000_000)
    prompt_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens: float = _number(ge=1, le=10_000_000)
    ttft_s: float = _published(gt=0)
    tpot_s: float = _published(gt=0)
    output_tokens_per_s: float = _published(gt=0)
    power_w_per_xpu: float = _published(gt=0)
    energy_j_per_output_token: float = _published(gt=0)
    speculative: float = _number(isin=[0, 1])
    suspect: str = _remark()


class PublishedOffline(Sourced):
    """Throughput of backlogs as publishers measured it whom the physics was not fitted to."""

    id: str = _key()
    publisher: str = _reference()
    model: str = _reference()
    xpu: str = _reference()
    n_xpus: float = _number(ge=1, le=100_000)
    tensor_parallel: float = _published(ge=1, le=1024)
    pipeline_parallel: float = _published(ge=1, le=1024)
    precision: str = _text(isin=PRECISIONS)
    engine: str = _remark(str_matches=SLUG)
    engine_version: str = _remark()
    month: str = _remark(str_matches=FULL_MONTH)
    prompt_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens: float = _number(ge=1, le=10_000_000)
    output_tokens_per_s: float = _number(gt=0)
    suspect: str = _remark()


class MatmulRates(Sourced):
    """Rates that large matrix products attained, with nothing else running."""

    xpu: str = _reference()
    precision: str = _text(isin=["bf16", "fp8"])
    tflops: float = _number(gt=0, le=100_000)


class MeasuredTrainingSteps(Sourced):
    """Measured speed of single training steps."""

    id: str = _key()
    label: str = _text()
    model: str = _remark(str_matches=SLUG)
    parameters_total_b: float = _number(gt=0, le=10_000)
    parameters_active_b: float = _number(gt=0, le=10_000)
    layers: float = _published(ge=1, le=500)
    width: float = _published(ge=64, le=100_000)
    sequence_tokens: float = _published(ge=1, le=10_000_000)
    xpu: str = _remark(str_matches=SLUG)
    devices: float = _published(ge=1, le=1_000_000)
    precision: str = _text(isin=PRECISIONS)
    parallelism: str = _remark()
    global_batch_sequences: float = _published(ge=1, le=1_000_000)
    micro_batch_sequences: float = _published(ge=1, le=10_000)
    recomputation: str = _remark(isin=["none", "selective", "full"])
    mfu_pct: float = _published(gt=0, lt=100)
    hfu_pct: float = _published(gt=0, lt=100)
    tflops_per_device: float = _published(gt=0, le=100_000)
    tokens_per_s_per_device: float = _published(gt=0)
    step_time_s: float = _published(gt=0)

    @pa.dataframe_check(name="at least one measured speed")
    @classmethod
    def _measured(cls, frame: pd.DataFrame) -> pd.Series:
        speeds = ["mfu_pct", "hfu_pct", "tflops_per_device", "tokens_per_s_per_device"]
        return frame[[*speeds, "step_time_s"]].notna().any(axis=1)

    @pa.dataframe_check(name="active parameters at most the total")
    @classmethod
    def _active(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["parameters_active_b"] <= frame["parameters_total_b"]


class Failures(Sourced):
    """Interruptions of large training runs; `device_mtbf_hours` is devices x hours / count."""

    id: str = _key()
    cluster: str = _text()
    xpu: str = _remark(str_matches=SLUG)
    devices: int = _number(ge=1)
    days: float = _published(gt=0)
    interruptions: float = _published(gt=0)
    device_mtbf_hours: float = _published(gt=0)
    checkpoint_write_s: float = _published(gt=0)
    restart_s: float = _published(gt=0)


class ServingDays(Sourced):
    """One published day of a serving fleet, a quantity a row."""

    quantity: str = _key()
    value: float = _number(gt=0)
    unit: str = _text()


class Servers(Sourced):
    """Whole servers: price, power, and what it takes to house them."""

    id: str = _key()
    name: str = _text()
    xpu: str = _reference()
    xpus_per_server: int = _number(ge=1)
    server_price_usd: float = _published(gt=0)
    max_power_w: float = _published(gt=0)
    network_share_usd_per_xpu: float = _published(ge=0)
    colocation_usd_per_kw_month: float = _published(gt=0)
    depreciation_years: float = _published(gt=0, le=20)


class Efficiencies(Sourced):
    """Share of a datasheet that kernels and servers attain, and overheads."""

    parameter: str = _key()
    value: float = _number(ge=0)
    low: float = _number(ge=0)
    high: float = _number(ge=0)
    unit: str = _text()

    @pa.dataframe_check(name="low <= value <= high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        return (frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])


class EfficiencyEffects(pa.DataFrameModel):
    """Offsets of groups of systems on efficiencies; a fit's result, so its source is the fit's."""

    parameter: str = _text()
    kind: str = _text()
    group: str = _text()
    scale: str = _text(isin=["log", "logit"])
    mean: float = _number()
    sd: float = _number(ge=0)
    curves: int = _number(ge=0)

    class Config:
        """No column beyond those declared; one row a group."""

        strict = True
        unique: ClassVar[list[str]] = ["parameter", "kind", "group"]


class EfficiencyDraws(pa.DataFrameModel):
    """Joint draws of efficiencies and effects from the posterior of the fit."""

    parameter: str = _text()
    draw: int = _number(ge=0)
    value: float = _number()

    class Config:
        """No column beyond those declared; one row a parameter and draw."""

        strict = True
        unique: ClassVar[list[str]] = ["parameter", "draw"]


class TrainingPosterior(pa.DataFrameModel):
    """Posterior of the training efficiencies: centres and covariances on their scales."""

    parameter: str = _text()
    against: str = _text()
    value: float = _number()

    class Config:
        """No column beyond those declared; one row a pair."""

        strict = True
        unique: ClassVar[list[str]] = ["parameter", "against"]


class PublishedPredictions(pa.DataFrameModel):
    """What the physics predicts of other publishers' rows."""

    kind: str = _text(isin=["serving", "offline"])
    id: str = _reference()
    target: str = _text(isin=["ttft", "tpot", "throughput", "energy"])
    predicted: float = _number(gt=0)
    sd: float = _number(gt=0)
    outside: float = _published(ge=0, le=1)

    class Config:
        """No column beyond those declared; one row a prediction."""

        strict = True
        unique: ClassVar[list[str]] = ["kind", "id", "target"]


class DeploymentLevels(pa.DataFrameModel):
    """How far deployments differ; a fit's result, so its source is the fit's."""

    quantity: str = _text(isin=["pace", "first_token", "energy"])
    name: str = _text()
    role: str = _text(isin=["spread", "term"])
    value: float = _number(ge=0)

    class Config:
        """No column beyond those declared; one row a spread or term."""

        strict = True
        unique: ClassVar[list[str]] = ["quantity", "name"]


class PublishedHeldOut(pa.DataFrameModel):
    """Predictions of published rows by levels that saw none or few of their publisher's rows."""

    kind: str = _text(isin=["serving", "offline"])
    id: str = _reference()
    target: str = _text(isin=["ttft", "tpot", "throughput", "energy"])
    left_out: str = _reference()
    own_rows: int = _number(ge=0)
    trial: int = _number(ge=0)
    predicted: float = _number(gt=0)
    sd: float = _number(gt=0)

    class Config:
        """No column beyond those declared; one row a prediction."""

        strict = True
        unique: ClassVar[list[str]] = ["kind", "id", "target", "own_rows", "trial"]


class HeldOut(pa.DataFrameModel):
    """Predictions of measured rows by fits that saw nothing of their group."""

    kind: str = _text(isin=["serving", "training-steps", "training-runs"])
    id: str = _reference()
    left_out: str = _text(isin=["model", "xpu", "engine", "software", "family"])
    target: str = _text()
    predicted: float = _number(gt=0)
    measured: float = _number(gt=0)
    sd: float = _number(gt=0)

    class Config:
        """No column beyond those declared; one row a prediction."""

        strict = True
        unique: ClassVar[list[str]] = ["kind", "id", "left_out", "target"]


class Peers(Sourced):
    """How far other models' predictions are from the same kind of measurements."""

    id: str = _key()
    name: str = _text()
    version: str = _remark()
    target: str = _text(
        isin=["ttft", "tpot", "throughput", "energy", "tokens_per_s", "device_hours"]
    )
    statistic: str = _text(isin=["median", "mean", "worst", "within_2x"])
    value: float = _number(ge=0)
    rows: float = _published(ge=1)


class MeasuredEdge(Sourced):
    """Measured speed of single requests on devices outside data centres, and on their rivals."""

    id: str = _key()
    label: str = _text()
    xpu: str = _remark(str_matches=SLUG)
    devices: int = _number(ge=1, le=1024)
    model: str = _remark(str_matches=SLUG)
    quantisation: str = _reference()
    bits_per_weight: float = _published(ge=1, le=32)
    phase: str = _text(isin=["prefill", "decode"])
    tokens: int = _number(ge=1, le=10_000_000)
    tokens_per_s: float = _number(gt=0, le=1_000_000)
    batch: int = _number(ge=1, le=1_000_000)
    engine: str = _remark(str_matches=SLUG)


class EdgeDevices(Sourced):
    """Published speed, power and throttling of models on phones, laptops and small boards."""

    id: str = _key()
    name: str = _text()
    kind: str = _text(isin=["phone", "laptop", "single-board", "module"])
    xpu: str = _remark(str_matches=SLUG)
    model_label: str = _text()
    parameters_b: float = _number(gt=0, le=1000)
    bits_per_weight: float = _published(ge=1, le=32)
    prefill_tokens_per_s: float = _published(gt=0, le=1_000_000)
    decode_tokens_per_s: float = _published(gt=0, le=100_000)
    power_w: float = _published(gt=0, le=1000)
    sustained_share: float = _published(gt=0, le=1)
    processor: str = _text(isin=["cpu", "gpu", "npu"])


class RouterPairs(Sourced):
    """A strong and a weak model on one benchmark, and where known how often each is right."""

    id: str = _key()
    benchmark: str = _reference()
    strong: str = _reference()
    weak: str = _reference()
    questions: int = _number(ge=1)
    both: float = _published(ge=0)
    only_strong: float = _published(ge=0)
    only_weak: float = _published(ge=0)
    neither: float = _published(ge=0)
    quality_weak: float = _published(ge=0, le=100)
    quality_strong: float = _published(ge=0, le=100)

    @pa.dataframe_check(name="the four outcomes together, adding up to the questions")
    @classmethod
    def _outcomes(cls, frame: pd.DataFrame) -> pd.Series:
        outcomes = frame[["both", "only_strong", "only_weak", "neither"]]
        total = outcomes.sum(axis=1, skipna=False)
        return outcomes.isna().all(axis=1) | (total == frame["questions"])

    @pa.dataframe_check(name="the strong model is better")
    @classmethod
    def _better(cls, frame: pd.DataFrame) -> pd.Series:
        weak, strong = frame["quality_weak"], frame["quality_strong"]
        return (weak.isna() & strong.isna()) | (weak < strong)


class Routers(Sourced):
    """Points of routers between two models: requests to the strong one, quality recovered."""

    id: str = _key()
    pair: str = _reference()
    router: str = _reference()
    training: str = _remark(str_matches=SLUG)
    strong_share: float = _number(ge=0, le=1)
    recovered: float = _number(ge=0, le=2)
    mean_recovered: float = _published(ge=0, le=2)


class Drafting(Sourced):
    """Published speed-ups of drafting tokens ahead, near the target model and far from it."""

    id: str = _key()
    setting: str = _text()
    method: str = _reference()
    draft_model: str = _remark()
    target_model: str = _remark()
    draft_tokens: float = _published(ge=1, le=1000)
    draft_cost: float = _published(ge=0, le=1)
    acceptance_low: float = _published(ge=0, le=1)
    acceptance_high: float = _published(ge=0, le=1)
    tokens_per_step: float = _published(ge=1, le=1000)
    baseline: str = _text(isin=["autoregressive", "speculative", "edge-cloud", "server-only"])
    speed_up: float = _published(gt=0, le=100)
    latency_change: float = _published(gt=-1, le=10)
    throughput_factor: float = _published(gt=0, le=100)
    cost_factor: float = _published(gt=0, le=100)
    remote: int = _number(isin=[0, 1])
    year: int = _number(ge=2018, le=2040)

    @pa.dataframe_check(name="acceptance_low at most acceptance_high, or neither")
    @classmethod
    def _acceptance(cls, frame: pd.DataFrame) -> pd.Series:
        low, high = frame["acceptance_low"], frame["acceptance_high"]
        return (low.isna() & high.isna()) | (low <= high)

    @pa.dataframe_check(name="at least one gain")
    @classmethod
    def _gain(cls, frame: pd.DataFrame) -> pd.Series:
        gains = ["speed_up", "latency_change", "throughput_factor", "cost_factor"]
        return frame[gains].notna().any(axis=1)


class NetworkPaths(Sourced):
    """Round trips and energy per byte between a user and a model; segments add up."""

    id: str = _key()
    name: str = _text()
    segment: str = _text(isin=["access", "backbone"])
    round_trip_low_s: float = _number(ge=0, le=10)
    round_trip_high_s: float = _number(gt=0, le=10)
    kwh_per_gb_low: float = _published(ge=0, le=100)
    kwh_per_gb_high: float = _published(ge=0, le=100)

    @pa.dataframe_check(name="low at most high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        low, high = frame["kwh_per_gb_low"], frame["kwh_per_gb_high"]
        energy = (low.isna() & high.isna()) | (low <= high)
        return energy & (frame["round_trip_low_s"] <= frame["round_trip_high_s"])


class Payloads(Sourced):
    """How many bytes a token is on the wire."""

    id: str = _key()
    name: str = _text()
    bytes_per_token_low: float = _number(gt=0)
    bytes_per_token_high: float = _number(gt=0)

    @pa.dataframe_check(name="low at most high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["bytes_per_token_low"] <= frame["bytes_per_token_high"]


class Scenarios(Sourced):
    """Ranges of yearly growth factors, past and to come; `draw` marks those to draw from."""

    id: str = _key()
    name: str = _text()
    quantity: str = _text(
        isin=[
            "demand-energy",
            "demand-tokens",
            "device-memory-bandwidth",
            "electricity-price",
            "grid-intensity",
            "hardware-efficiency",
            "hardware-price-performance",
            "memory-bandwidth",
            "memory-bandwidth-efficiency",
            "model-size",
            "token-price",
            "training-compute",
        ]
    )
    region: str = _reference()
    low_per_year: float = _number(gt=0, le=100)
    mid_per_year: float = _number(gt=0, le=100)
    high_per_year: float = _number(gt=0, le=100)
    coverage: float = _published(gt=0, lt=1)
    basis: str = _text(isin=["observed", "projected", "judged"])
    period_start: int = _number(ge=1990, le=2040)
    period_end: int = _number(ge=1990, le=2040)
    start_year: int = _number(ge=1990, le=2040)
    end_year: int = _number(ge=1990, le=2040)
    draw: int = _number(isin=[0, 1])

    @pa.dataframe_check(name="low < mid < high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        low, mid, high = (frame[f"{end}_per_year"] for end in ("low", "mid", "high"))
        return (low < mid) & (mid < high)

    @pa.dataframe_check(name="periods that end after they start")
    @classmethod
    def _periods(cls, frame: pd.DataFrame) -> pd.Series:
        covered = frame["period_start"] < frame["period_end"]
        return covered & (frame["start_year"] <= frame["end_year"])

    @pa.dataframe_check(name="at most one row to draw from for a quantity and region")
    @classmethod
    def _drawn(cls, frame: pd.DataFrame) -> pd.Series:
        rivals = frame.groupby(["quantity", "region"])["draw"].transform("sum")
        return (frame["draw"] == 0) | (rivals == 1)


class ScenarioLevels(Sourced):
    """Published levels by case, region and year, observed and projected."""

    scenario: str = _reference()
    region: str = _reference()
    year: int = _number(ge=1990, le=2040)
    quantity: str = _text(
        isin=[
            "carbon-per-prompt",
            "data-centre-electricity",
            "device-memory-bandwidth",
            "electricity-price",
            "energy-per-prompt",
            "grid-intensity",
            "tokens",
        ]
    )
    value: float = _number(gt=0)
    unit: str = _text()

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["scenario", "region", "year", "quantity"]

    @pa.dataframe_check(name="one unit a quantity, but for CO2 and CO2e")
    @classmethod
    def _units(cls, frame: pd.DataFrame) -> pd.Series:
        units = frame["unit"].str.replace("CO2e", "CO2")
        return units.groupby(frame["quantity"]).transform("nunique") == 1


class Retrieval(Sourced):
    """Published recall of retrievers, in curves over how many passages they return."""

    curve: str = _reference()
    retriever: str = _text()
    kind: str = _text(isin=["lexical", "dense", "hybrid", "reranked"])
    dataset: str = _reference()
    measure: str = _text(isin=["answer-in-any", "evidence-share", "relevant-share"])
    corpus_passages: float = _published(ge=1, le=1e12)
    k: int = _number(ge=1, le=10_000)
    recall: float = _number(ge=0, le=1)

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["curve", "k"]

    @pa.dataframe_check(name="recall that grows with k within a curve")
    @classmethod
    def _grows(cls, frame: pd.DataFrame) -> pd.Series:
        rows = frame.sort_values(["curve", "k"])
        return (rows.groupby("curve")["recall"].diff().fillna(1) > 0).reindex(frame.index)


class Reading(Sourced):
    """Published shares of right, wrong and declined answers, by what stood in the context."""

    id: str = _key()
    reader: str = _text()
    dataset: str = _reference()
    context: str = _text(
        isin=[
            "closed-book",
            "oracle",
            "all-gold",
            "with-distractors",
            "distractors-only",
            "counterfactual",
            "retrieved",
        ]
    )
    passages: float = _published(ge=0, le=10_000)
    gold_passages: float = _published(ge=0, le=10_000)
    gold_position: float = _published(ge=1, le=10_000)
    measure: str = _text(isin=["accuracy", "wrong", "declined", "declined-exactly"])
    value: float = _number(ge=0, le=1)

    @pa.dataframe_check(name="no more gold passages, and no later a position, than passages")
    @classmethod
    def _within(cls, frame: pd.DataFrame) -> pd.Series:
        gold = frame[["gold_passages", "gold_position"]].max(axis=1).fillna(0)
        return frame["passages"].isna() | (gold <= frame["passages"])


class FineTuningPrices(Sourced):
    """List prices of fine-tuning, and of using what was tuned beside what was not."""

    id: str = _key()
    provider: str = _text()
    model: str = _text()
    method: str = _text(isin=["hosted", "lora", "full", "reinforcement"])
    month: str = _text(str_matches=MONTH)
    training_usd_per_mtok: float = _published(gt=0, le=1000)
    training_usd_per_hour: float = _published(gt=0, le=1000)
    input_usd_per_mtok: float = _published(ge=0, le=1000)
    cached_input_usd_per_mtok: float = _published(ge=0, le=1000)
    output_usd_per_mtok: float = _published(ge=0, le=1000)
    base_input_usd_per_mtok: float = _published(ge=0, le=1000)
    base_cached_input_usd_per_mtok: float = _published(ge=0, le=1000)
    base_output_usd_per_mtok: float = _published(ge=0, le=1000)
    hosting_usd_per_hour: float = _published(ge=0, le=1000)
    current: int = _number(isin=[0, 1])

    @pa.dataframe_check(name="a tuned model no cheaper than its base")
    @classmethod
    def _premium(cls, frame: pd.DataFrame) -> pd.Series:
        kinds = ["input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"]
        premiums = [frame[kind] - frame[f"base_{kind}"] for kind in kinds]
        return pd.concat(premiums, axis=1).fillna(0).min(axis=1) >= 0

    @pa.dataframe_check(name="prices of tuned and base model both given, or neither")
    @classmethod
    def _pairs(cls, frame: pd.DataFrame) -> pd.Series:
        kinds = ["input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"]
        pairs = [frame[kind].isna() == frame[f"base_{kind}"].isna() for kind in kinds]
        return pd.concat(pairs, axis=1).all(axis=1)


class EmbeddingPrices(Sourced):
    """List prices of hosted embedding models."""

    id: str = _key()
    provider: str = _text()
    month: str = _text(str_matches=FULL_MONTH)
    usd_per_mtok: float = _number(gt=0, le=100)
    batch_usd_per_mtok: float = _published(gt=0, le=100)
    dimensions: float = _published(ge=16, le=100_000)

    @pa.dataframe_check(name="a batch no dearer than single requests")
    @classmethod
    def _batch(cls, frame: pd.DataFrame) -> pd.Series:
        batch = frame["batch_usd_per_mtok"]
        return batch.isna() | (batch <= frame["usd_per_mtok"])


class RerankerPrices(Sourced):
    """List prices of hosted models that put found passages in order."""

    id: str = _key()
    provider: str = _text()
    month: str = _text(str_matches=MONTH)
    usd_per_search: float = _published(gt=0, le=1)
    documents_per_search: float = _published(ge=1, le=100_000)
    usd_per_mtok: float = _published(gt=0, le=100)

    @pa.dataframe_check(name="a price by the search, with its documents, or by the token")
    @classmethod
    def _billed(cls, frame: pd.DataFrame) -> pd.Series:
        by_search = frame["usd_per_search"].notna()
        return (by_search != frame["usd_per_mtok"].notna()) & (
            by_search == frame["documents_per_search"].notna()
        )


class VectorStorePrices(Sourced):
    """List prices of hosted vector stores."""

    id: str = _key()
    provider: str = _text()
    month: str = _text(str_matches=MONTH)
    storage_usd_per_gb_month: float = _number(gt=0, le=100)
    write_usd_per_gb: float = _published(ge=0, le=1000)
    usd_per_million_queries: float = _number(ge=0, le=100_000)
    usd_per_million_queries_per_gb: float = _number(ge=0, le=1000)
    least_gb_per_query: float = _published(ge=0, le=1000)
    minimum_usd_per_month: float = _number(ge=0, le=100_000)


class AdaptationStudies(Sourced):
    """Published scores of models left as they are, fine-tuned, given passages, or both."""

    id: str = _key()
    study: str = _reference()
    model: str = _text()
    dataset: str = _reference()
    questions: str = _text(
        isin=["new-facts", "known-facts", "domain", "multi-hop", "code", "documents"]
    )
    method: str = _text(isin=["base", "fine-tuned", "rag", "both", "long-context", "route"])
    variant: str = _remark(str_matches=SLUG)
    metric: str = _text(isin=["accuracy", "similarity", "score"])
    value: float = _number(ge=0, le=1)

    class Config:
        """The columns that together are the key."""

        unique: ClassVar[list[str]] = ["study", "model", "method", "variant"]


class Forgetting(Sourced):
    """Published losses and scores before and after training on something else."""

    id: str = _key()
    study: str = _reference()
    model: str = _text()
    shift: str = _text()
    method: str = _text(isin=["full", "lora"])
    replay_share: float = _number(ge=0, lt=1)
    new_tokens_b: float = _published(gt=0, le=100_000)
    measure: str = _text(
        isin=[
            "old-loss-nats",
            "new-loss-nats",
            "general",
            "mmlu",
            "hellaswag",
            "reasoning",
            "reading",
            "humaneval",
            "mbpp",
            "gsm8k",
        ]
    )
    before: float = _published(ge=0, le=20)
    after: float = _number(ge=0, le=20)

    @pa.dataframe_check(name="scores as fractions")
    @classmethod
    def _fractions(cls, frame: pd.DataFrame) -> pd.Series:
        loss = frame["measure"].str.endswith("-nats")
        return loss | (frame[["before", "after"]].max(axis=1) <= 1)


class FactChange(Sourced):
    """How much of a body of text has changed after some months, as published and per month."""

    id: str = _key()
    corpus: str = _text(isin=["encyclopaedia", "law", "medicine", "web"])
    change: str = _text(isin=["edited", "replaced", "vanished", "outdated", "added"])
    share: float = _number(gt=0, lt=1)
    share_low: float = _published(gt=0, lt=1)
    share_high: float = _published(gt=0, lt=1)
    months: float = _number(gt=0, le=1200)
    share_per_month: float = _number(gt=0, lt=1)

    @pa.dataframe_check(name="the share between its low and its high")
    @classmethod
    def _between(cls, frame: pd.DataFrame) -> pd.Series:
        low = frame["share_low"].fillna(frame["share"])
        high = frame["share_high"].fillna(frame["share"])
        return (low <= frame["share"]) & (frame["share"] <= high)


class Silicon(Sourced):
    """What making and running accelerators costs, by process and kind of memory."""

    quantity: str = _text(str_matches=r"^[a-z_]+$")
    variant: str = _remark(isin=["7nm", "5nm", "3nm", "hbm2e", "hbm3", "hbm3e", "hbm4"])
    value: float = _number(gt=0)
    low: float = _number(gt=0)
    high: float = _number(gt=0)
    unit: str = _text()

    @pa.dataframe_check(name="low <= value <= high, and low < high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        inside = (frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])
        return inside & (frame["low"] < frame["high"])

    @pa.dataframe_check(name="one row a quantity and variant")
    @classmethod
    def _once(cls, frame: pd.DataFrame) -> pd.Series:
        return ~frame.duplicated(["quantity", "variant"], keep=False)


class SiliconEstimates(Sourced):
    """Published areas, powers and costs of accelerators, to check the cost model against."""

    xpu: str = _reference()
    node: str = _text(isin=["7nm", "5nm", "3nm"])
    memory: str = _text(isin=["hbm2e", "hbm3", "hbm3e", "hbm4"])
    quantity: str = _text(isin=["die", "power", "stacks", "making", "logic", "memory", "package"])
    unit: str = _text(isin=["mm2", "W", "1", "USD"])
    value: float = _number(gt=0)
    low: float = _published(gt=0)
    high: float = _published(gt=0)

    @pa.dataframe_check(name="low <= value <= high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        value = frame["value"]
        low, high = frame["low"].fillna(value), frame["high"].fillna(value)
        return (low <= value) & (value <= high)


class EngineEras(Sourced):
    """What serving engines of some time attained, and what limited them."""

    id: str = _key()
    engine: str = _remark(str_matches=SLUG)
    version: str = _remark()
    quantity: str = _text(
        isin=[
            "offline-rate",
            "online-rate",
            "server-share",
            "scheduling-share",
            "execution-share",
            "maximum-sequences",
            "visible-memory",
        ]
    )
    model: str = _remark(str_matches=SLUG)
    xpu: str = _remark(str_matches=SLUG)
    prompt_tokens: float = _published(ge=1, le=10_000_000)
    output_tokens: float = _published(ge=1, le=10_000_000)
    value: float = _number(gt=0)
    unit: str = _text()


class PublishedChoices(Sourced):
    """What studies found of choosing between accelerators, mixing them and splitting phases."""

    id: str = _key()
    study: str = _reference()
    quantity: str = _text(
        isin=[
            "price",
            "mean-prompt",
            "mean-output",
            "share-short",
            "tokens-per-usd-ratio",
            "fleet-saving",
            "fleet-cost-ratio",
            "goodput-mixed",
            "goodput-prefill",
            "goodput-decode",
            "goodput-ratio",
            "throughput-ratio",
            "pays-from",
        ]
    )
    statistic: str = _remark(isin=["smallest", "largest", "range"])
    model: str = _remark(str_matches=SLUG)
    xpu: str = _remark(str_matches=SLUG)
    rival: str = _remark(str_matches=SLUG)
    workload: str = _remark(isin=["short", "long", "mixed", "chat", "code", "summarisation"])
    prompt_tokens: float = _published(ge=1, le=10_000_000)
    output_tokens: float = _published(ge=1, le=10_000_000)
    ttft_s: float = _published(gt=0, le=60)
    tpot_s: float = _published(gt=0, le=10)
    rate_low: float = _published(gt=0)
    rate_high: float = _published(gt=0)
    low: float = _published(ge=0)
    high: float = _published(ge=0)
    unit: str = _text()

    @pa.dataframe_check(name="low at most high, and at least one of them")
    @classmethod
    def _bounds(cls, frame: pd.DataFrame) -> pd.Series:
        low, high = frame["low"], frame["high"]
        return (low <= high) | (low.isna() ^ high.isna())


class ChoiceChecks(pa.DataFrameModel):
    """Random choices of hardware, solved by gradients and by enumeration."""

    seed: int = _number(ge=0, unique=True)
    kind: str = _text(isin=["feasible", "degenerate", "infeasible"])
    engines: int = _number(ge=1)
    buckets: int = _number(ge=1)
    limits: int = _number(ge=0)
    parts_cost: float = _published(gt=0)
    exact_parts_cost: float = _published(gt=0)
    exact_parts_bound: float = _published(gt=0)
    cost: float = _published(gt=0)
    exact_cost: float = _published(gt=0)
    exact_bound: float = _published(gt=0)
    difference: float = _published(ge=-1)
    options_seconds: float = _number(ge=0)
    relaxed_seconds: float = _number(ge=0)
    rounded_seconds: float = _number(ge=0)
    exact_seconds: float = _number(ge=0)

    class Config:
        """No column beyond those declared."""

        strict = True

    @pa.dataframe_check(name="a cost by enumeration if and only if the problem is feasible")
    @classmethod
    def _found(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["exact_cost"].isna() == (frame["kind"] == "infeasible")


class SearchCurves(pa.DataFrameModel):
    """How good the best fleet is that a search has found after so much work."""

    size: str = _text(isin=["small", "medium", "large", "fleet"])
    problem: int = _number(ge=0)
    method: str = _text(
        isin=["enumeration", "gradient", "gradient-any", "random", "cma-es", "bayesian"]
    )
    evaluations: int = _number(ge=1)
    regret_low: float = _published(ge=-1)
    regret: float = _published(ge=-1)
    regret_high: float = _published(ge=-1)
    seconds: float = _number(ge=0)

    class Config:
        """No column beyond those declared; one row a point of a curve."""

        strict = True
        unique: ClassVar[list[str]] = ["size", "problem", "method", "evaluations"]


class LossLaws(Sourced):
    """Published constants of laws that give the loss of a trained model."""

    law: str = _reference()
    parameter: str = _text(isin=LAW_PARAMETERS)
    value: float = _number(gt=0)
    low: float = _published(gt=0)
    high: float = _published(gt=0)

    @pa.dataframe_check(name="low <= value <= high")
    @classmethod
    def _ordered(cls, frame: pd.DataFrame) -> pd.Series:
        value = frame["value"]
        low, high = frame["low"].fillna(value), frame["high"].fillna(value)
        return (low <= value) & (value <= high)

    @pa.dataframe_check(name="one row a law and parameter")
    @classmethod
    def _once(cls, frame: pd.DataFrame) -> pd.Series:
        return ~frame.duplicated(["law", "parameter"], keep=False)


class LossMeasurements(Sourced):
    """Losses that trained models reached, and their errors on downstream tasks."""

    data: str = _text(isin=["MassiveText", "c4_original", "rpj", "rw_original"])
    name: str = _remark()
    parameters: float = _number(gt=1e6, lt=1e13)
    parameters_no_embedding: float = _published(gt=1e6, lt=1e13)
    tokens: float = _number(gt=1e6, lt=1e15)
    training_flop: float = _number(gt=1e15, lt=1e28)
    multiplier: float = _published(gt=0, le=1000)
    loss: float = _number(gt=0, lt=20)
    validation: str = _text(isin=["training loss", "C4"])
    average_error: float = _published(gt=0, lt=1)

    @pa.dataframe_check(name="6 FLOPs a parameter and token")
    @classmethod
    def _flops(cls, frame: pd.DataFrame) -> pd.Series:
        counted = 6.0 * frame["parameters"] * frame["tokens"]
        return (counted / frame["training_flop"] - 1.0).abs() < 1e-3


SCHEMAS: dict[str, type[pa.DataFrameModel]] = {
    "adaptation_studies": AdaptationStudies,
    "api_discounts": APIDiscounts,
    "api_prices": APIPrices,
    "carbon_splits": CarbonSplits,
    "choice_checks": ChoiceChecks,
    "deployment_levels": DeploymentLevels,
    "drafting": Drafting,
    "edge_devices": EdgeDevices,
    "efficiencies": Efficiencies,
    "efficiency_draws": EfficiencyDraws,
    "efficiency_effects": EfficiencyEffects,
    "electricity_prices": ElectricityPrices,
    "embedding_prices": EmbeddingPrices,
    "embodied_memory": EmbodiedMemory,
    "embodied_processes": EmbodiedProcesses,
    "embodied_products": EmbodiedProducts,
    "engine_eras": EngineEras,
    "facilities": Facilities,
    "fact_change": FactChange,
    "failures": Failures,
    "fine_tuning_prices": FineTuningPrices,
    "forgetting": Forgetting,
    "grid": Grid,
    "held_out": HeldOut,
    "hourly_carbon": HourlyCarbon,
    "image_tokens": ImageTokens,
    "latency_targets": LatencyTargets,
    "loss_laws": LossLaws,
    "loss_measurements": LossMeasurements,
    "matmul_rates": MatmulRates,
    "measured_edge": MeasuredEdge,
    "measured_offline": MeasuredOffline,
    "measured_serving": MeasuredServing,
    "measured_training_carbon": MeasuredTrainingCarbon,
    "measured_training_runs": MeasuredTrainingRuns,
    "measured_training_steps": MeasuredTrainingSteps,
    "models": Models,
    "network_energy": NetworkEnergy,
    "network_paths": NetworkPaths,
    "payloads": Payloads,
    "peers": Peers,
    "published_choices": PublishedChoices,
    "published_held_out": PublishedHeldOut,
    "published_offline": PublishedOffline,
    "published_predictions": PublishedPredictions,
    "published_serving": PublishedServing,
    "quality": Quality,
    "reading": Reading,
    "reading_speeds": ReadingSpeeds,
    "rental_prices": RentalPrices,
    "reranker_prices": RerankerPrices,
    "retrieval": Retrieval,
    "router_pairs": RouterPairs,
    "routers": Routers,
    "scenario_levels": ScenarioLevels,
    "scenarios": Scenarios,
    "servers": Servers,
    "search_curves": SearchCurves,
    "serving_days": ServingDays,
    "silicon": Silicon,
    "silicon_estimates": SiliconEstimates,
    "training_posterior": TrainingPosterior,
    "vector_store_prices": VectorStorePrices,
    "water": Water,
    "workloads": Workloads,
    "xpu_prices": XPUPrices,
    "xpus": XPUs,
}

FOREIGN_KEYS: dict[tuple[str, str], tuple[str, str]] = {
    ("edge_devices", "xpu"): ("xpus", "id"),
    ("electricity_prices", "grid"): ("grid", "id"),
    ("embodied_memory", "product"): ("embodied_products", "id"),
    ("embodied_products", "xpu"): ("xpus", "id"),
    ("engine_eras", "model"): ("models", "id"),
    ("engine_eras", "xpu"): ("xpus", "id"),
    ("facilities", "grid"): ("grid", "id"),
    ("failures", "xpu"): ("xpus", "id"),
    ("hourly_carbon", "grid"): ("grid", "id"),
    ("hourly_carbon", "zone"): ("grid", "id"),
    ("matmul_rates", "xpu"): ("xpus", "id"),
    ("measured_edge", "model"): ("models", "id"),
    ("measured_edge", "xpu"): ("xpus", "id"),
    ("measured_offline", "model"): ("models", "id"),
    ("measured_offline", "xpu"): ("xpus", "id"),
    ("measured_serving", "model"): ("models", "id"),
    ("measured_serving", "xpu"): ("xpus", "id"),
    ("measured_training_carbon", "model"): ("models", "id"),
    ("measured_training_carbon", "xpu"): ("xpus", "id"),
    ("measured_training_runs", "model"): ("models", "id"),
    ("measured_training_runs", "xpu"): ("xpus", "id"),
    ("measured_training_steps", "model"): ("models", "id"),
    ("measured_training_steps", "xpu"): ("xpus", "id"),
    ("published_choices", "model"): ("models", "id"),
    ("published_choices", "rival"): ("xpus", "id"),
    ("published_choices", "xpu"): ("xpus", "id"),
    ("published_offline", "model"): ("models", "id"),
    ("published_offline", "xpu"): ("xpus", "id"),
    ("published_serving", "model"): ("models", "id"),
    ("published_serving", "xpu"): ("xpus", "id"),
    ("rental_prices", "xpu"): ("xpus", "id"),
    ("routers", "pair"): ("router_pairs", "id"),
    ("scenarios", "region"): ("grid", "id"),
    ("servers", "xpu"): ("xpus", "id"),
    ("silicon_estimates", "xpu"): ("xpus", "id"),
    ("water", "grid"): ("grid", "id"),
    ("xpu_prices", "xpu"): ("xpus", "id"),
}


def validate(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Check a table against its schema.

    Args:
        name: the table, without `.csv`.
        frame: its rows as read, numbered from 0.

    Returns:
        The rows, with every column in the type that the schema gives it.

    Raises:
        InputError: no such table, or a cell that the schema refuses; one line names the file, the
            row (the header is row 1), the column, and what would be right.
    """
    if name not in SCHEMAS:
        raise InputError(f"no table {name!r}; there are: {', '.join(sorted(SCHEMAS))}")
    schema = SCHEMAS[name]
    _refuse_mistyped(name, frame, schema)
    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise InputError(_first_failure(name, frame, errors.failure_cases)) from None


def _refuse_mistyped(name: str, frame: pd.DataFrame, schema: type[pa.DataFrameModel]) -> None:
    # Coercion alone would cut 3.5 to 3 and take any text for true.
    for column, declared in schema.to_schema().columns.items():
        if column not in frame:
            raise InputError(f"{name}.csv: column {column} is missing")
        cells = frame[column]
        kind = str(declared.dtype)
        if kind.startswith("int"):
            numbers = pd.to_numeric(cells, errors="coerce")
            wrong, right = numbers.isna() | (numbers % 1 != 0), "a whole number"
        elif kind.startswith("float"):
            wrong = pd.to_numeric(cells, errors="coerce").isna() & cells.notna()
            right = "a number, or nothing where none is published"
        elif kind == "bool":
            wrong, right = ~cells.isin([True, False]), "true or false"
        else:
            continue
        if wrong.any():
            index = int(wrong.to_numpy().argmax())
            raise InputError(_complaint(name, frame, index, column, cells.iloc[index], right))


def _first_failure(name: str, frame: pd.DataFrame, failures: pd.DataFrame) -> str:
    first = failures.to_dict("records")[0]
    check = str(first["check"])
    if check == "column_in_schema":
        return f"{name}.csv: column {first['failure_case']} is not one that the table has"
    if pd.isna(first["index"]):
        return f"{name}.csv: {first['column']}: {check}"
    column = first["column"] if first["schema_context"] == "Column" else None
    cell = first["failure_case"] if column else None
    return _complaint(name, frame, int(first["index"]), column, cell, _expected(check))


def _complaint(
    name: str, frame: pd.DataFrame, index: int, column: str | None, cell: Any, right: str
) -> str:
    label = f" ({frame.iloc[index, 0]!s})" if frame.shape[1] else ""
    where = f"{name}.csv, row {index + 2}{label}"
    if column is None:
        return f"{where}: it must hold that: {right}"
    shown = "nothing" if pd.isna(cell) else repr(cell) if isinstance(cell, str) else str(cell)
    return f"{where}, column {column}: found {shown}, expected {right}"


def _expected(check: str) -> str:
    """What a pandera check asks for, in words."""
    if check == "not_nullable":
        return "a value"
    if check == "field_uniqueness":
        return "a value that occurs once"
    if check == "multiple_fields_uniqueness":
        return "a key that occurs once"
    found = re.match(r"^(\w+)\((.*)\)$", check, flags=re.DOTALL)
    if found is None:
        return check
    verb, argument = found.groups()
    if verb == "str_matches":
        return _PATTERNS.get(argument.strip("'\""), argument)
    if verb == "isin":
        return "one of " + ", ".join(str(choice) for choice in ast.literal_eval(argument))
    words = {
        "greater_than": "more than",
        "greater_than_or_equal_to": "at least",
        "less_than": "less than",
        "less_than_or_equal_to": "at most",
    }
    return f"{words[verb]} {argument}" if verb in words else check
