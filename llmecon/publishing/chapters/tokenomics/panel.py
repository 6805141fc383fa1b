"""The live panel of the chapter on tokenomics."""

from dataclasses import replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import specs
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Spread
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import SECONDS_PER_HOUR, Deployment, Efficiency
from llmecon.studies.systems import system_of
from llmecon.studies.tokenomics import model, services
from llmecon.studies.tokenomics.model import RENTING, Case
from llmecon.studies.tokenomics.services import Services
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog, hourly_grids

Scalar = Float[Array, ""]


def show(study: Study, found: Services, data: Provenance) -> live.Shown:
    """Show the panel, which computes the study's answer on the page.

    Args:
        study: where the controls start.
        found: the best layouts of what the menus offer.
        data: what its numbers rest on.
    """
    return live.show(panel(study, found, data))


def panel(study: Study, found: Services, data: Provenance) -> live.Panel:
    """The panel; arguments as in `show`."""
    menus = _menus(study)
    return live.Panel(
        chapter=study.scenario.chapter,
        given=study.scenario.model_dump(),
        question="What does a million tokens cost on rented hardware, and what would make them "
        "cheaper?",
        controls=[*menus, *_sliders(study)],
        lookups=_lookups(study, found, *menus),
        function=Partial(_answered, study.case),
        answers=[
            live.Answer(
                "usd",
                "USD",
                "per million tokens, renting, spares and whole instances included",
                log_sd="log_sd",
                needs="possible",
            ),
            live.Answer(
                "xpus", "xPUs", "to rent, spares included", needs="possible", counted="xPU"
            ),
            live.Answer(
                "speed", "tokens/s", "that each user sees at the mean load", needs="possible"
            ),
            live.Answer("grams", "g", "of CO₂e per million tokens", needs="possible"),
        ],
        curve=live.Curve(
            Partial(_frontier, study.case),
            "Speed each user sees at full load [tokens/s]",
            "Rent of a large fleet, no spares [USD per million tokens]",
            log_sd="log_sd",
            needs="possible",
        ),
        smooth="usd_smooth",
        smooth_needs="possible",
        effects=_EFFECTS,
        effect_title="Fleet resized, spares included: 1% more of this changes the cost of a token "
        "by so many percent",
        description="Cost per million tokens against the speed that each user sees, as the load on "
        "an instance grows: faster answers cost more.",
        refusals={
            "possible": "No load meets these limits, or the model or its requests don't fit: allow "
            "more time, shorten the requests, or choose hardware with more memory."
        },
        note="The layout of an instance is the best one for this chapter's requests and limits, "
        "and stays while these are moved. The mark may stand lower than the first card, and at a "
        "lower speed than the third: the curve is of a fleet so large that spares and rounding up "
        "to whole instances don't count, and always full. The elasticities count spares, but leave "
        "out that xPUs come in whole instances.",
        data=data,
        log_sd=Partial(_log_sd, uncertainty.spread(study.system)),
    )


def grids(study: Study) -> list[str]:
    """Grids that the panel offers."""
    return list(hourly_grids.offered(study.scenario.grid))


def _menus(study: Study) -> list[live.Menu]:
    given = study.scenario
    offered = {
        "model": ("models", services.offered_models(study)),
        "xpu": ("xpus", services.offered_xpus(study)),
        "grid": ("grid", grids(study)),
    }
    entries = {
        name: {one: catalog.name(table, one) for one in ids}
        for name, (table, ids) in offered.items()
    }
    return [
        live.Menu("model", entries["model"], given.model),
        live.Menu("xpu", entries["xpu"], given.xpu),
        live.Menu("precision", {of: of for of in specs.PRECISIONS}, given.precision),
        live.Menu("grid", entries["grid"], given.grid),
    ]


def _sliders(study: Study) -> list[live.Slider]:
    given, requests = study.scenario, study.case.requests
    prompt, output = float(requests.prompt_tokens), float(requests.output_tokens)
    return [
        live.Slider(
            "usd_per_xpu_hour",
            0.1,
            30.0,
            study.usd_per_hour,
            "Rent of one xPU",
            "USD per hour",
            follows=("xpu", study.hours.usd),
        ),
        live.Slider(
            "requests_per_second",
            0.01,
            10_000.0,
            given.requests_per_second,
            "Requests, on average",
            "a second",
        ),
        live.Slider("prompt_tokens", 10.0, 100_000.0, prompt, "Mean prompt"),
        live.Slider("output_tokens", 10.0, 20_000.0, output, "Mean answer"),
        live.Slider("ttft_limit_s", 0.05, 60.0, given.ttft_limit_s, "First token within"),
        live.Slider("tpot_limit_s", 0.002, 1.0, given.tpot_limit_s, "Each further token within"),
    ]


def _lookups(
    study: Study,
    found: Services,
    models: live.Menu,
    xpus: live.Menu,
    precisions: live.Menu,
    grids: live.Menu,
) -> dict[str, live.Lookup]:
    attainment = catalog.attainment()
    system = [models, xpus, precisions]

    def layout(*ids: str) -> Deployment:
        """The best one; where its requests are too long for the model, the scenario's own."""
        best = found.layout(*ids)
        return study.case.layout if best is None else best

    return {
        "llm": live.lookup([models], catalog.llm),
        "xpu": live.lookup([xpus], catalog.xpu),
        "layout": live.lookup(system, layout),
        "site": live.lookup([grids], lambda of: catalog.site(of, pue=catalog.facility_pue())),
        "efficiency": live.lookup(
            system,
            lambda *ids: attainment.probable(system_of(study.scenario, *ids)),
            into=Efficiency,
        ),
        "multiples": live.lookup(
            system, lambda *ids: uncertainty.multiples_sd(system_of(study.scenario, *ids))
        ),
    }


def _set(case: Case, s: Settings) -> Case:
    """The study's case, as the controls are set, on rented hardware."""
    return replace(
        case,
        llm=s.llm,
        xpu=s.xpu,
        layout=s.layout,
        efficiency=s.efficiency,
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        target=replace(case.target, ttft=s.ttft_limit_s, tpot=s.tpot_limit_s),
        site=s.site,
        owned=None,
        load=s.requests_per_second,
        rent=s.usd_per_xpu_hour / SECONDS_PER_HOUR,
        way=RENTING,
    )


def _log_sd(spread: Spread, effects: Settings, s: Settings) -> Scalar:
    return spread.log_sd(effects.efficiency, s.multiples)


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    case = _set(case, s)
    found = model.answer(case)
    numbers = model.told(found, case)
    return {
        "possible": found.full.feasible,
        "usd": numbers["usd_per_mtok"],
        "usd_smooth": numbers["usd_per_mtok"] * found.needed / found.instances,
        "xpus": found.devices,
        "speed": numbers["speed_tokens_per_s"],
        "grams": numbers["g_co2e_per_mtok"],
        "here_x": 1.0 / found.full.service.point.tpot,
        "here_y": numbers["usd_per_mtok_at_scale"],
    }


def _frontier(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Speed and cost as an instance fills, from one request in flight to what its memory holds."""
    case = _set(case, s)
    room = model.largest_batch(case)
    speed, cost = model.at_batch(case, jnp.exp(along * jnp.log(jnp.maximum(room, 1.0))))
    return speed, jnp.where(room >= 1.0, cost, jnp.nan)


_EFFECTS = {
    "rent": "usd_per_xpu_hour",
    "requests": "requests_per_second",
    "prompt": "prompt_tokens",
    "answer": "output_tokens",
    "limit on the first token": "ttft_limit_s",
    "limit on further tokens": "tpot_limit_s",
    "memory bandwidth": "xpu.memory_bandwidth",
    "memory size": "xpu.memory",
    "arithmetic rate (all precisions)": "xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops",
    "links": "xpu.link_bandwidth + xpu.network_bandwidth",
}
