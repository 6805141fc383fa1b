"""The live panel of the chapter on throughput."""

from contextlib import suppress
from dataclasses import replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Spread
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import Efficiency
from llmecon.studies.systems import system_of
from llmecon.studies.throughput import model
from llmecon.studies.throughput.model import Case
from llmecon.studies.throughput.study import Study, layout
from llmecon.tables import catalog

MODELS = ("llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b", "qwen3-235b-a22b", "deepseek-v3")
XPUS = ("a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x", "mi355x", "tpu-v5p")

Scalar = Float[Array, ""]


def models(study: Study) -> list[str]:
    """Ids of the models that the panel's menu offers."""
    return list(dict.fromkeys([*MODELS, study.scenario.model]))


def xpus(study: Study) -> list[str]:
    """Ids of the accelerators that it offers: those of which so many share a model as asked."""
    found = []
    for one in dict.fromkeys([*XPUS, study.scenario.xpu]):
        with suppress(InputError):
            layout(study.scenario, xpu=one)
            found.append(one)
    return found


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
    served = live.Menu(
        "model", {one: catalog.name("models", one) for one in models(study)}, given.model
    )
    serves = live.Menu("xpu", {one: catalog.name("xpus", one) for one in xpus(study)}, given.xpu)
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="How fast are answers written, and what do more of them at once change?",
        controls=[
            served,
            serves,
            live.Slider("batch", 1.0, 1000.0, given.batch, "Requests in flight"),
            live.Slider("prompt_tokens", 10.0, 30_000.0, given.prompt_tokens, "Mean prompt"),
            live.Slider("output_tokens", 10.0, 10_000.0, given.output_tokens, "Mean answer"),
        ],
        lookups=_lookups(study, served, serves),
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("tokens", "tokens/s", "written by each device", "log_sd", "fits"),
            live.Answer("speed", "tokens/s", "in each answer", needs="fits"),
            live.Answer("of_peak", "fraction", "of the peak arithmetic rate is used", needs="fits"),
            live.Answer("room", "requests", "fit at once", needs="weights"),
        ],
        curve=live.Curve(
            Partial(_frontier, study.case),
            "Speed of each answer [tokens/s]",
            "Written by each device [tokens/s]",
            log_sd="log_sd",
            needs="fits",
        ),
        smooth="tokens",
        smooth_needs="fits",
        effects=_EFFECTS,
        effect_title="1% more of this changes the tokens per second and device by so many percent",
        description="Tokens per second of a device against those of each answer, from one request "
        "in flight to as many as fit: more at once write more together, and each more slowly.",
        refusals={
            "weights": "The weights don't fit on so many devices: choose a smaller model or an "
            "accelerator with more memory.",
            "fits": "So many requests don't fit, or exceed the model's context: lower their number "
            "or their length.",
        },
        note=f"{given.xpus} devices in {given.precision} share the model as in this chapter "
        f"({given.parallelism}); no drafts.",
        data=data,
        log_sd=Partial(_log_sd, uncertainty.spread(study.system)),
    )


def _lookups(study: Study, served: live.Menu, serves: live.Menu) -> dict[str, live.Lookup]:
    given, attainment = study.scenario, catalog.attainment()
    return {
        "llm": live.lookup([served], catalog.llm),
        "xpu": live.lookup([serves], catalog.xpu),
        "layout": live.lookup([serves], lambda on: layout(given, xpu=on)),
        "efficiency": live.lookup(
            [served, serves],
            lambda *pair: attainment.probable(system_of(given, *pair)),
            into=Efficiency,
        ),
        "multiples": live.lookup(
            [served, serves], lambda *pair: uncertainty.multiples_sd(system_of(given, *pair))
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
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        batch=s.batch,
    )


def _log_sd(spread: Spread, effects: Settings, s: Settings) -> Scalar:
    return spread.log_sd(effects.efficiency, s.multiples)


def _room(case: Case) -> Scalar:
    return serving.largest_batch(case.instance, case.requests)


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own answer."""
    case = _set(case, s)
    found, room = model.pace(case), _room(case)
    fits = (room >= case.batch) & serving.within_context(case.llm, case.requests)
    speed = 1.0 / found.point.tpot
    return {
        "tokens": found.tokens,
        "speed": speed,
        "of_peak": found.of_peak,
        "room": room,
        "weights": jnp.where(room >= 1.0, 1.0, 0.0),
        "fits": jnp.where(fits, 1.0, 0.0),
        "here_x": speed,
        "here_y": found.tokens,
    }


def _frontier(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """From one request in flight to as many as fit."""
    case = _set(case, s)
    room = _room(case)
    most = jnp.maximum(room, 1.0)
    found = model.pace(replace(case, batch=jnp.exp(along * jnp.log(most))))
    there = (room >= 1.0) & serving.within_context(case.llm, case.requests)
    return jnp.where(there, 1.0 / found.point.tpot, jnp.nan), found.tokens


_EFFECTS = {
    "requests in flight": "batch",
    "prompt": "prompt_tokens",
    "answer": "output_tokens",
    "memory bandwidth": "xpu.memory_bandwidth",
    "arithmetic rate": "xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops",
    "link bandwidth": "xpu.link_bandwidth + xpu.network_bandwidth",
    "launching a kernel": "efficiency.kernel_time",
    "layers": "llm.layers + llm.moe_layers + llm.windowed_layers",
    "experts": "llm.experts",
}
