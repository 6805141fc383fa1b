"""The live panel of the chapter on hybrid futures: device and data centre without the box."""

from dataclasses import replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon.publishing import prose
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose import provenance
from llmecon.publishing.prose.provenance import Provenance
from llmecon.studies.hybrid_futures import frames, model, records
from llmecon.studies.hybrid_futures.model import GRAMS, THOUSAND, Case
from llmecon.studies.hybrid_futures.study import SOME, Study
from llmecon.tables import catalog, hourly_grids
from llmecon.tiers import own_machine, routing
from llmecon.tiers.routing import Pair

NEAR = ("llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "phi-3-mini-3.8b")

_JUST = 1e-3  # by how much the data centre's model must be better than what is asked for

Scalar = Float[Array, ""]


def show(study: Study) -> live.Shown:
    """Show the panel, which computes the study's ways on the page.

    Args:
        study: where the controls start.
    """
    return live.show(panel(study))


def panel(study: Study) -> live.Panel:
    """The panel; argument as in `show`."""
    given = study.scenario
    near, device, home, grid = menus = _menus(study)

    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="Without box and drafts, how much must go to the data centre, and what does a "
        "request then emit?",
        controls=[*menus, *_sliders(study)],
        lookups={
            "near": live.lookup([near], catalog.llm),
            "pair": live.lookup([near], lambda of: pair_of(study, of)),
            "machine": live.lookup([device], own_machine.machine),
            "reader": live.lookup([device], records.reader_of),
            "home": live.lookup([home], lambda of: records.home_of(given, of)),
            "there": live.lookup([grid], lambda of: catalog.site(of, facility=given.facility)),
        },
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("sent", "fraction", "of requests go to the data centre", needs="possible"),
            live.Answer("grams", "g", "of CO₂e for an average request", needs="possible"),
            live.Answer("seconds", "s", "to the end of an average answer", needs="possible"),
            live.Answer("usd", "USD", "for a thousand requests", needs="possible"),
        ],
        curve=live.Curve(
            Partial(_by_share, study.case),
            "Answered rightly [%]",
            "CO₂e of a request [g]",
            log_x=False,
            log_y=False,
            needs="possible",
        ),
        smooth="grams",
        smooth_needs="possible",
        effects=_EFFECTS,
        effect_title="1% more of this changes the CO₂e of a request by so many percent",
        description="CO₂e of an average request against the share of requests answered rightly, "
        "from all on the device to all in the data centre.",
        refusals={
            "possible": "The model doesn't fit on this device or instance, or no model here is "
            "that good: choose a smaller model, shorter requests, or a lower floor."
        },
        note=prose.render(given.chapter, "panel", alike=alike(study), **frames.facts(study)),
        data=_data(study, menus),
    )


def pair_of(study: Study, near: str) -> Pair:
    """How a small model differs from that of the data centre.

    Args:
        study: with the data centre's model, and how models fail together.
        near: id of the small model.
    """
    alone, middle = study.scores.shares[near], float(study.case.edge.quality)
    edge = replace(study.case.edge, quality=jnp.asarray(max(alone, middle)))
    return model.chain(replace(study.case, near_quality=jnp.asarray(alone), edge=edge)).across


def alike(study: Study) -> bool:
    """Whether the panel starts from the study's best policy: neither box nor drafts are used."""
    given, shares = study.scenario, study.shares
    floor, skill = jnp.asarray(given.quality_floor), jnp.asarray(study.case.skill)
    alone = float(routing.share_for(floor, skill, model.chain(study.case).across))
    return max(abs(alone - shares["cloud"]), shares["edge"], shares["drafted"]) < SOME


def _menus(study: Study) -> tuple[live.Menu, live.Menu, live.Menu, live.Menu]:
    given, known = study.scenario, study.scores.shares
    best = known[given.cloud_model]
    weaker = [of for of in (given.near_model, *NEAR) if known.get(of, 1.0) < best]
    return (
        _menu("near_model", "models", weaker, given.near_model),
        _menu("device", "xpus", [given.device, *frames.SIX], given.device),
        _menu("reader_grid", "grid", hourly_grids.offered(given.reader_grid), given.reader_grid),
        _menu("cloud_grid", "grid", hourly_grids.offered(given.cloud_grid), given.cloud_grid),
    )


def _menu(name: str, table: str, ids: list[str], value: str) -> live.Menu:
    return live.Menu(name, {one: catalog.name(table, one) for one in dict.fromkeys(ids)}, value)


def _sliders(study: Study) -> list[live.Slider]:
    given = study.scenario
    trip = 1000.0 * float(study.case.cloud.round_trip)
    floor, at_once = given.quality_floor, given.cloud_at_once
    prompt, answer = given.prompt_tokens, given.output_tokens
    return [
        live.Slider(
            "quality_floor",
            0.3,
            0.9,
            floor,
            "Answered rightly, at least",
            "fraction",
            log=False,
        ),
        live.Slider("prompt_tokens", 10.0, 20_000.0, prompt, "Mean prompt"),
        live.Slider("output_tokens", 10.0, 5_000.0, answer, "Mean answer"),
        live.Slider(
            "cloud_at_once",
            0.1,
            256.0,
            at_once,
            "Answers that an instance works on at once",
        ),
        live.Slider("round_trip_ms", 1.0, 500.0, trip, "Round trip", "ms"),
    ]


def _set(case: Case, s: Settings) -> Case:
    """The study's case, as the controls are set."""
    return replace(
        case,
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        near=s.near,
        machine=s.machine,
        reader=s.reader,
        home=s.home,
        there=s.there,
        cloud=replace(case.cloud, at_once=s.cloud_at_once, round_trip=s.round_trip_ms / 1000.0),
    )


def _by_share(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Carbon of every split, by the quality that it attains."""
    case = _set(case, s)
    at = routing.route(10.0 * (1.0 - along) - 4.0, case.skill, s.pair)
    right = routing.quality(at.recovered, s.pair)
    return 100.0 * right, GRAMS * model.split(case, at.strong_share).kg


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells of the split that is just good enough."""
    case = _set(case, s)
    sent = routing.share_for(s.quality_floor, case.skill, s.pair)
    found = model.split(case, sent)
    attained = s.quality_floor <= case.cloud.quality - _JUST
    grams = GRAMS * found.kg
    return {
        "possible": found.possible * attained,
        "sent": sent,
        "grams": grams,
        "seconds": found.seconds,
        "usd": THOUSAND * found.usd,
        "here_x": 100.0 * s.quality_floor,
        "here_y": grams,
    }


def _data(study: Study, menus: tuple[live.Menu, ...]) -> Provenance:
    near, device, home, grid = (list(menu.entries) for menu in menus)
    given, scores = study.scenario, study.scores
    models = [*near, given.cloud_model]
    return provenance.of(
        models=models,
        xpus=[*device, given.cloud_xpu],
        grid=list(dict.fromkeys([*home, *grid])),
        quality={"benchmark": scores.benchmark, "setting": scores.setting, "model": models},
        edge_devices=all,
    )


_EFFECTS = {
    "quality asked for": "quality_floor",
    "prompt": "prompt_tokens",
    "answer": "output_tokens",
    "answers at once in the data centre": "cloud_at_once",
    "round trip": "round_trip_ms",
    "carbon of the reader's electricity": "home.carbon_intensity",
    "carbon of the data centre's electricity": "there.carbon_intensity",
    "device's memory bandwidth": "machine.memory_bandwidth",
    "device's arithmetic rate": "machine.flops",
    "device's power": "machine.power",
}
