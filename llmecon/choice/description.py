"""A choice of hardware, described: what is served, within which limits, from what, at what price.

The same description can be written in Python and in YAML, field by field.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from llmecon import inputs
from llmecon.errors import InputError
from llmecon.evidence import own_rows
from llmecon.evidence.server_levels import Servers
from llmecon.specs import JOULES_PER_KWH, PRECISIONS
from llmecon.tables import catalog
from llmecon.tables.feasibility import require_context

NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
# Solvers tell numbers from nothing and from infinity within ranges such as these.
Weight = Annotated[float, Field(ge=0.0, le=1e9)]
LEAST_LIMIT, LEAST_RATE, MOST_RATE = 1e-6, 1e-6, 1e7
Tokens = Annotated[float, Field(gt=0.0, le=1e9)]
Seconds = Annotated[float, Field(ge=1e-6, le=1e9)]
Years = Annotated[float, Field(ge=0.01, le=1000.0)]
Variation = Annotated[float, Field(ge=0.0, le=1000.0)]
Dollars = Annotated[float, Field(ge=1e-6, le=1e6)]


def _nothing_or_more(least: float, most: float = math.inf) -> AfterValidator:
    """Refuses what is neither 0 nor in a range."""

    def checked(value: float) -> float:
        if value != 0.0 and not least <= value <= most:
            allowed = (
                f"between {least:g} and {most:g}" if math.isfinite(most) else f"at least {least:g}"
            )
            raise ValueError(f"{value:g} must be 0, or {allowed}")
        return value

    return AfterValidator(checked)


Limit = Annotated[NotNegative, _nothing_or_more(LEAST_LIMIT)]
Rate = Annotated[NotNegative, _nothing_or_more(LEAST_RATE, MOST_RATE)]

RESOURCES = ("usd", "kg_co2e", "litre", "joule", "second", "quality")
"""What instances and requests take; devices of an accelerator are counted besides."""

# Ways of split that a description considers unless it says otherwise.
TENSOR_WIDTHS = (1, 2, 4, 8, 16)
PIPELINE_DEPTHS = (1, 2)
EXPERT_WIDTHS = (1, 8, 32)


class Described(BaseModel):
    """A part of a description: can't be changed, and knows its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bucket(Described):
    """Requests of about one size, and what their users are promised.

    Attributes:
        per_second: requests that arrive on average, at the hour that the fleet is sized for;
            0, or between 1e-6 and 1e7.
        prompt_tokens: mean length of the prompts.
        output_tokens: mean length of the outputs, at least 2: a single token has no next one.
        cached_fraction: share of prompt tokens that is found in the prefix cache, up to 0.999.
        prompt_cv: coefficient of variation of the prompts' lengths.
        output_cv: coefficient of variation of the outputs' lengths.
        interarrival_cv: coefficient of variation of the time between arrivals (1: Poisson).
        ttft: limit on the time to first token, s.
        tpot: limit on the mean time per output token, s.
        quantile: share of requests that must meet the limit on TTFT, between 0.01 and 0.9999.
    """

    per_second: Rate
    prompt_tokens: Tokens
    output_tokens: Annotated[Tokens, Field(ge=2.0)]
    ttft: Seconds
    tpot: Seconds
    cached_fraction: Annotated[float, Field(ge=0.0, le=0.999)] = 0.0
    prompt_cv: Variation = 1.0
    output_cv: Variation = 1.0
    interarrival_cv: Variation = 1.0
    quantile: Annotated[float, Field(ge=0.01, le=0.9999)] = 0.99


class Weights(Described):
    """What is minimised: the sum of these, each times what the fleet takes of it.

    With money at 1, the others are prices in USD.

    Attributes:
        usd: of a US dollar.
        kg_co2e: of a kilogram of CO2e, electricity and manufacture together.
        litre: of a litre of water.
        kwh: of a kilowatt-hour at the site's meter, beside what is paid for it.
        second: of a second that one request takes from its arrival to its last token.
        quality: of a request whose answer a narrower precision spoils.
    """

    usd: Weight = 1.0
    kg_co2e: Weight = 0.0
    litre: Weight = 0.0
    kwh: Weight = 0.0
    second: Weight = 0.0
    quality: Weight = 0.0

    @property
    def by_resource(self) -> tuple[float, ...]:
        """In the order of `RESOURCES`, per SI unit."""
        return (
            self.usd,
            self.kg_co2e,
            self.litre,
            self.kwh / JOULES_PER_KWH,
            self.second,
            self.quality,
        )


class Caps(Described):
    """Limits on the whole fleet, kept to within a millionth; what is left out is not limited.

    Attributes:
        usd_per_hour: budget.
        kw: power at the sites' meters.
        kg_co2e_per_hour: electricity and manufacture together.
        litres_per_hour: water.
        seconds: mean time that a request takes from its arrival to its last token.
        quality_lost: mean share of answers that narrower precision spoils.
        devices: by accelerator, how many can be had.
    """

    usd_per_hour: Limit | None = None
    kw: Limit | None = None
    kg_co2e_per_hour: Limit | None = None
    litres_per_hour: Limit | None = None
    seconds: Annotated[float, Field(ge=LEAST_LIMIT, allow_inf_nan=False)] | None = None
    quality_lost: Annotated[Share, _nothing_or_more(LEAST_LIMIT)] | None = None
    devices: Mapping[str, Limit] = Field(default_factory=dict)


class Region(Described):
    """Where machines may stand.

    Attributes:
        grid: id of the electricity's region.
        usd_per_kwh: price of electricity, for machines that are owned.
        pue: facility energy over IT energy; by default that of the data centre that all chapters
            start from.
    """

    grid: str
    usd_per_kwh: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.08
    pue: Annotated[float, Field(ge=1.0, le=10.0)] = Field(default_factory=catalog.facility_pue)


class Owned(Described):
    """Machines are bought; without this, they are rented.

    Attributes:
        years: until they are written off.
        discount_rate: cost of capital per year.
        maintenance: per year, as a share of the price.
        server: price of a device with its share of server and network, over the device's.
        usd_per_kw_month: space and power capacity.
    """

    years: Years = 4.0
    discount_rate: Annotated[float, Field(ge=0.0, le=10.0)] = 0.08
    maintenance: Annotated[float, Field(ge=0.0, le=10.0)] = 0.05
    server: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.5
    usd_per_kw_month: Annotated[float, Field(ge=0.0, le=1e6)] = 150.0


class Choices(Described):
    """What there is to choose from.

    Attributes:
        xpus: ids of accelerators; by default all whose price is known.
        precisions: of weights and arithmetic.
        regions: where machines may stand.
        tensor: devices that a layer is split over.
        pipeline: groups of layers one after another.
        expert: devices that experts are spread over whole; 1 splits each expert instead.
        disaggregated: whether prefill and decode may run on instances of their own.
        usd_per_hour: by accelerator, the rent of a device, where it isn't the catalogue's.
    """

    xpus: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("bf16", "fp8")
    regions: tuple[Region, ...] = (Region(grid="usa"),)
    tensor: tuple[int, ...] = TENSOR_WIDTHS
    pipeline: tuple[int, ...] = PIPELINE_DEPTHS
    expert: tuple[int, ...] = EXPERT_WIDTHS
    disaggregated: bool = True
    usd_per_hour: Mapping[str, Dollars] = Field(default_factory=dict)


class Problem(Described):
    """What is to be chosen.

    Attributes:
        model: id of the model that is served.
        buckets: requests by size, each with its limits on latency.
        weights: what is minimised.
        caps: limits on the whole fleet.
        choices: what there is to choose from.
        owned: terms of buying; machines are rented without it.
        basis: whose electricity carbon counts: location, market or marginal.
        hardware_years: life over which the carbon of making a device is spread.
        quality_lost: by precision, share of answers that it spoils; 0 where it isn't given.
        tuning: how servers are set up: typical of what people publish, or best, as the best public
            benchmarks.
        my_server: path of what `llmecon fit-mine` wrote of one's own server, which all are then
            set up like; decides in place of tuning.
    """

    model: str
    buckets: Annotated[tuple[Bucket, ...], Field(min_length=1)]
    weights: Weights = Weights()
    caps: Caps = Caps()
    choices: Choices = Choices()
    owned: Owned | None = None
    basis: Literal["location", "market", "marginal"] = "location"
    hardware_years: Years = 5.0
    quality_lost: Mapping[str, Share] = Field(default_factory=dict)
    tuning: Literal["typical", "best"] = "typical"
    my_server: str = ""

    @property
    def servers(self) -> Servers:
        """How servers are set up."""
        return Servers(self.tuning, self.my_server)

    @model_validator(mode="after")
    def _known(self) -> "Problem":
        """Every id is one of the tables', and something is asked for and minimised."""
        catalog.require("models", self.model)
        if self.my_server:
            own_rows.load(Path(self.my_server))
        priced = [*self.choices.xpus, *self.choices.usd_per_hour, *self.caps.devices]
        for xpu in priced:
            catalog.require("xpus", xpu)
        for region in self.choices.regions:
            catalog.require("grid", region.grid)
        if self.choices.regions:
            catalog.kind_of(*(region.grid for region in self.choices.regions))
        for name in (*self.choices.precisions, *self.quality_lost):
            if name not in PRECISIONS:
                raise InputError(
                    f"precision {name!r} is not known; use one of {', '.join(PRECISIONS)}"
                )
        for bucket in self.buckets:
            require_context(self.model, bucket.prompt_tokens, bucket.output_tokens)
        of = self.choices
        for field in ("xpus", "precisions", "regions", "tensor", "pipeline", "expert"):
            named = getattr(of, field)
            if not named and field != "xpus":
                raise InputError(f"choices.{field} is empty; name at least one")
            again = [one for at, one in enumerate(named) if one in named[:at]]
            if again:
                raise InputError(f"choices.{field} names {again[0]} twice; once is enough")
        for field in ("tensor", "pipeline", "expert"):
            if min(getattr(of, field)) < 1:
                raise InputError(f"choices.{field}: {getattr(of, field)} must be at least 1")
        if not any(bucket.per_second > 0.0 for bucket in self.buckets):
            raise InputError("buckets: nothing is asked for; give one of them per_second above 0")
        if not any(self.weights.model_dump().values()):
            raise InputError("weights: all are 0; give at least one, such as usd: 1")
        return self


def problem(description: Mapping[str, Any]) -> Problem:
    """A problem from plain values, such as YAML's.

    Args:
        description: the fields of `Problem`, nested.

    Returns:
        The problem.

    Raises:
        InputError: a field is unknown, missing or out of range; the line names all of them.
    """
    try:
        return Problem.model_validate(description)
    except ValidationError as error:
        every = error.errors()
        # A list whose entries are wrong is called too short, besides.
        wrong = [
            of
            for of in every
            if of["type"] != "too_short"
            or not any(
                other["loc"][: len(of["loc"])] == of["loc"] for other in every if other is not of
            )
        ]
        raise InputError("; ".join(_said(of) for of in wrong)) from None


def load(file: Path) -> Problem:
    """A problem described in a YAML file.

    Args:
        file: its path.

    Returns:
        The problem.

    Raises:
        InputError: the file can't be read, isn't YAML, or doesn't describe a problem.
    """
    content = inputs.read_yaml(file)
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold the fields of a problem: model, buckets, ...")
    try:
        return problem(content)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _said(error: Mapping[str, Any]) -> str:
    place = " ".join(".".join(str(part) for part in error["loc"]).split())
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
