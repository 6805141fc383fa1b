"""The live panel of the chapter on the accelerator that would suit."""

from dataclasses import dataclass
from itertools import product

import equinox as eqx
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import silicon
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.silicon import Chip, real_chips
from llmecon.silicon.chip_jobs import Serving
from llmecon.specs import Deployment, Number, number
from llmecon.studies.accelerator_design.model import MILLION, Case
from llmecon.studies.accelerator_design.study import Study, laid_out
from llmecon.tables import catalog
from llmecon.tables.catalog import GIB, TERA

XPUS = ("a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x", "mi355x", "tpu-v6e", "gaudi3")

DOING = {"decode": "writing answers", "prefill": "reading prompts"}
"""What the panel's chip may do, by job."""

GIGA = 1e9

Scalar = Float[Array, ""]

_WIDEST = 8.0  # times the memory bandwidth, and its inverse, between which the curve is drawn


class Asked(eqx.Module):
    """What a job asks of a chip, and how cheaply the best one does it.

    Attributes:
        new_tokens: computed in a pass for each request.
        past_tokens: cached for each.
        limit: on the time of a pass, s.
        best: a token on the chip that suits, USD.
    """

    new_tokens: Number = number()
    past_tokens: Number = number()
    limit: Number = number()
    best: Number = number()


def entries(study: Study) -> list[str]:
    """Ids of the accelerators that the panel's menu offers."""
    return list(dict.fromkeys([*XPUS, study.scenario.xpu]))


def show(study: Study, data: Provenance) -> live.Shown:
    """Show the panel, which prices any chip on the page.

    Args:
        study: where the controls start.
        data: what its numbers rest on.
    """
    return live.show(panel(study, data))


def panel(study: Study, data: Provenance) -> live.Panel:
    """The panel; arguments as in `show`."""
    given = study.scenario
    names = {one: catalog.name("xpus", one) for one in entries(study)}
    chips = {one: silicon.chip_of(catalog.xpu(one)) for one in names}
    doing = live.Menu("job", DOING, "decode", "What it does")
    built = live.Menu("xpu", names, given.xpu, "Begin with")
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="Change a chip: what would a token cost on it, beside the one that suits?",
        controls=[doing, built, *_sliders(given.xpu, chips)],
        lookups=_lookups(study, chips, doing, built),
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("usd", "USD", "per million tokens, at cost of ownership", needs="can"),
            live.Answer("over", "times", "as dear as on the chip that suits", needs="can"),
            live.Answer("price", "USD", "for one at work, with its share of server and links"),
            live.Answer("kilowatts", "kW", "for one, at most"),
        ],
        curve=live.Curve(
            Partial(_by_bandwidth, study.case),
            "Memory bandwidth [TB/s]",
            "Cost [USD per million tokens]",
            needs="can",
        ),
        smooth="usd",
        smooth_needs="can",
        effects=_EFFECTS,
        effect_title="1% more of this changes the cost of a token by so many percent",
        description="Cost of a token against the memory bandwidth of a chip: with too little, "
        "arithmetic waits; with too much, nobody uses what was paid for.",
        refusals={
            "can": "Weights and one request don't fit its memory, or no pass keeps the limit: give "
            "it more memory or bandwidth."
        },
        note="As many requests share a pass as memory and limit allow. The layout of an instance "
        "suits the accelerator that you begin with, and stays while you change it. All chips are "
        f"priced as if made in {given.process} with {given.memory.upper()} today.",
        data=data,
    )


@dataclass(frozen=True)
class _Knob:
    """A slider for one property of a chip.

    Attributes:
        name: of the slider.
        field: of the chip.
        label: what it is.
        unit: in which it is told.
        size: of the unit, in SI.
        low: least value.
        high: greatest value.
    """

    name: str
    field: str
    label: str
    unit: str
    size: float
    low: float
    high: float


_KNOBS = (
    _Knob("tflops", "flops", "16-bit arithmetic", "TFLOP/s", TERA, 10.0, 10_000.0),
    _Knob("terabytes", "bandwidth", "Memory bandwidth", "TB/s", TERA, 0.1, 100.0),
    _Knob("gibibytes", "memory", "Memory", "GiB", GIB, 4.0, 2_000.0),
    _Knob("links", "link", "Links, one way", "GB/s", GIGA, 1.0, 5_000.0),
)

_EFFECTS = {
    "arithmetic rate": "tflops",
    "memory bandwidth": "terabytes",
    "memory": "gibibytes",
    "links": "links",
}


def _sliders(begun: str, chips: dict[str, Chip]) -> list[live.Slider]:
    found = []
    for of in _KNOBS:
        values = {one: float(getattr(chip, of.field)) / of.size for one, chip in chips.items()}
        # A reader's own choice may lie outside what most chips offer.
        low, high = min(of.low, *values.values()), max(of.high, *values.values())
        found.append(
            live.Slider(
                of.name, low, high, values[begun], of.label, of.unit, follows=("xpu", values)
            )
        )
    return found


def _lookups(
    study: Study, chips: dict[str, Chip], doing: live.Menu, built: live.Menu
) -> dict[str, live.Lookup]:
    def layout(job: str, chip: Chip) -> Deployment:
        of, _ = laid_out(chip, study.jobs[job], study.prices, study.attainable)
        assert isinstance(of, Serving), "both of the panel's jobs are passes of an instance"
        return of.deployment

    layouts = {(job, xpu): layout(job, chip) for job, (xpu, chip) in product(DOING, chips.items())}

    def asked(job: str) -> Asked:
        of = study.found[job].job
        assert isinstance(of, Serving), "both of the panel's jobs are passes of an instance"
        best = study.differentiated.values[f"{job}_usd_per_mtok"] / MILLION
        return Asked(of.new_tokens, of.past_tokens, of.limit, best)

    return {
        "asked": live.lookup([doing], asked),
        "layout": live.lookup([doing, built], lambda *of: layouts[of]),
    }


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells of the chip that the controls describe."""
    chip = Chip(**{of.field: getattr(s, of.name) * of.size for of in _KNOBS})
    job = Serving(case.llm, s.layout, s.asked.new_tokens, s.asked.past_tokens, s.asked.limit)
    found = real_chips.priced(job, chip, case.silicon, case.efficiency)
    usd = MILLION * found.usd_per_token
    return {
        "can": jnp.where(jnp.isfinite(usd), 1.0, 0.0),
        "usd": usd,
        "over": found.usd_per_token / s.asked.best,
        "price": silicon.chip_cost(chip, case.silicon).total,
        "kilowatts": silicon.floorplan(chip, case.silicon).power / 1000.0,
        "here_x": jnp.asarray(s.terabytes),
        "here_y": usd,
    }


def _by_bandwidth(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Cost of a token on chips with an eighth of the bandwidth to eight times as much."""
    factor = jnp.exp((2.0 * along - 1.0) * jnp.log(_WIDEST))
    moved = Settings(**{**vars(s), "terabytes": s.terabytes * factor})
    found = _answered(case, moved)
    return found["here_x"], jnp.where(found["can"] > 0, found["usd"], jnp.nan)
