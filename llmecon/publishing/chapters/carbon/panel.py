"""The live panel of the chapter on carbon."""

from dataclasses import replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon.costs import carbon
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Spread
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_YEAR, Efficiency
from llmecon.studies.carbon import model
from llmecon.studies.carbon.model import GRAMS, Case
from llmecon.studies.carbon.study import Study, making, requests, target, trained
from llmecon.studies.systems import best_layouts, system_of
from llmecon.tables import catalog, hourly_grids

MODELS = ("llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b", "deepseek-v3")
XPUS = ("l40s", "a100-sxm-80gb", "h100-sxm", "b200", "mi300x", "tpu-v6e")
DIRTIEST = 1000.0  # g CO2e/kWh, where the curve ends

Scalar = Float[Array, ""]


def show(study: Study, data: Provenance) -> live.Shown:
    """Show the panel, which computes the study's answer on the page.

    Args:
        study: where the controls start.
        data: what its numbers rest on.
    """
    return live.show(panel(study, data))


def panel(study: Study, data: Provenance) -> live.Panel:
    """The panel; arguments as in `show`."""
    given = study.scenario
    models = _menu("model", "models", (*MODELS, given.model), given.model)
    xpus = _menu("xpu", "xpus", (*XPUS, given.xpu), given.xpu)
    grids = _menu("grid", "grid", hourly_grids.offered(given.grid), given.grid)
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="What does one answer emit, and what would make it less?",
        controls=[models, xpus, grids, *_sliders(study)],
        lookups=_lookups(study, models, xpus, grids),
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("grams", "g", "of CO₂e for an answer", "log_sd", "feasible"),
            live.Answer("energy", "Wh", "at the data centre's meter", needs="feasible"),
            live.Answer("water", "ml", "of water, on site and in power plants", needs="feasible"),
            live.Answer("hardware", "fraction", "is hardware and building", needs="feasible"),
        ],
        curve=live.Curve(
            Partial(_by_intensity, study.case),
            "Carbon intensity [g CO₂e/kWh]",
            "CO₂e of an answer [g]",
            log_x=False,
            log_y=False,
            log_sd="log_sd",
            needs="feasible",
        ),
        smooth="grams",
        smooth_needs="feasible",
        effects=_EFFECTS,
        effect_title="On the fleet as bought, 1% more of this changes the CO₂e of an answer by so "
        "many percent",
        description="CO₂e of an answer against the carbon intensity of the electricity: a straight "
        "line that starts at what hardware, network, training and reader emit.",
        refusals={
            "feasible": "No load meets the chapter's limits on time, or the model or its requests "
            "don't fit: shorten the requests, or choose hardware with more memory."
        },
        note="The layout of an instance is the best for this chapter's requests and limits, and "
        "stays while these are moved. Elasticities and intervals hold the number of instances as "
        "bought.",
        data=data,
        log_sd=Partial(_log_sd, uncertainty.spread(study.system)),
    )


def _menu(name: str, table: str, ids: tuple[str, ...] | list[str], value: str) -> live.Menu:
    return live.Menu(name, {one: catalog.name(table, one) for one in dict.fromkeys(ids)}, value)


def _sliders(study: Study) -> list[live.Slider]:
    given = study.scenario
    overhead = float(study.case.site.pue) - 1.0
    return [
        live.Slider(
            "requests_per_second",
            0.01,
            10_000.0,
            given.requests_per_second,
            "Requests, on average",
            "a second",
        ),
        live.Slider("prompt_tokens", 10.0, 100_000.0, given.prompt_tokens, "Mean prompt"),
        live.Slider("output_tokens", 10.0, 20_000.0, given.output_tokens, "Mean answer"),
        live.Slider(
            "overhead",
            0.0,
            1.0,
            overhead,
            "Cooling and conversion, on top of the servers",
            "fraction",
            log=False,
        ),
        live.Slider(
            "lifetime_years", 1.0, 12.0, given.lifetime_years, "Hardware lasts", "years", log=False
        ),
    ]


def _lookups(
    study: Study, models: live.Menu, xpus: live.Menu, grids: live.Menu
) -> dict[str, live.Lookup]:
    given = study.scenario
    pairs = [(of, on) for of in models.entries for on in xpus.entries]
    systems = {pair: system_of(given, *pair) for pair in pairs}
    found = best_layouts(list(systems.values()), requests(given), target(given))
    layouts = dict(zip(pairs, (layout for layout, _ in found), strict=True))
    attainment = catalog.attainment()
    return {
        "llm": live.lookup([models], catalog.llm),
        "xpu": live.lookup([xpus], catalog.xpu),
        "layout": live.lookup([models, xpus], lambda *pair: layouts[pair]),
        "site": live.lookup([grids], lambda grid: catalog.site(grid, facility=given.facility)),
        "making": live.lookup([xpus], lambda xpu: making(xpu, given.server)),
        "trained": live.lookup([models], lambda of: trained(given, of)),
        "efficiency": live.lookup(
            [models, xpus], lambda *pair: attainment.probable(systems[pair]), into=Efficiency
        ),
        "multiples": live.lookup(
            [models, xpus], lambda *pair: uncertainty.multiples_sd(systems[pair])
        ),
    }


def _set(case: Case, s: Settings) -> Case:
    """The study's case, as the controls are set."""
    return replace(
        case,
        llm=s.llm,
        xpu=s.xpu,
        layout=s.layout,
        efficiency=s.efficiency,
        likely=s.efficiency,
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        load=s.requests_per_second,
        site=replace(s.site, pue=1.0 + s.overhead),
        making=s.making,
        trained=s.trained,
        lifetime=s.lifetime_years * SECONDS_PER_YEAR,
    )


def _log_sd(spread: Spread, effects: Settings, s: Settings) -> Scalar:
    return spread.log_sd(effects.efficiency, s.multiples)


def _by_intensity(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Carbon of an answer on ever dirtier electricity."""
    found = _answered(case, s)
    per_kwh = along * DIRTIEST
    grams = found["fixed"] + found["energy"] / 1000.0 * per_kwh
    return per_kwh, jnp.where(found["feasible"] > 0, grams, jnp.nan)


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    case = _set(case, s)
    found = model.answer(case)
    numbers = model.told(found)
    grams = numbers["g_co2e_per_request"]
    return {
        "feasible": found.feasible,
        "grams": grams,
        "energy": numbers["wh_per_request"],
        "water": numbers["ml_water_per_request"],
        "hardware": numbers["hardware_share"],
        "fixed": grams - numbers["g_co2e_electricity"],
        "here_x": carbon.intensity(case.site, case.accounting) * JOULES_PER_KWH * GRAMS,
        "here_y": grams,
    }


_RATES = "xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops"
_EFFECTS = {
    "requests": "requests_per_second",
    "prompt": "prompt_tokens",
    "answer": "output_tokens",
    "cooling and conversion": "overhead",
    "life of the hardware": "lifetime_years",
    "carbon intensity": "site.carbon_intensity + site.market_intensity + site.marginal_intensity",
    "making the hardware": "making",
    "rated power": "xpu.tdp",
    "memory bandwidth": "xpu.memory_bandwidth",
    "arithmetic rate": _RATES,
}
