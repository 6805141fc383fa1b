"""The live panel of the chapter on reasoning and agents."""

from dataclasses import replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Spread
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import SECONDS_PER_HOUR, Deployment, Efficiency
from llmecon.studies.reasoning_agents import model
from llmecon.studies.reasoning_agents.model import (
    CACHED,
    OFFERED,
    PLAIN,
    REASONED,
    THOUSAND,
    Case,
)
from llmecon.studies.reasoning_agents.study import Study
from llmecon.studies.systems import system_of
from llmecon.studies.tokenomics.services import Services, offered_models, offered_xpus
from llmecon.tables import catalog

Scalar = Float[Array, ""]

LONGEST = 100.0  # turns of the longest conversation that is drawn

_LAYOUTS = {task: f"layout_{place}" for place, task in enumerate(OFFERED)}
"""By task, what the look-up of its layouts is called."""


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
        question="What does a task cost when the model thinks, or talks in turns?",
        controls=[*menus, *_sliders(study)],
        lookups=_lookups(study, found, *menus),
        function=Partial(_answered, study.case),
        answers=[
            live.Answer("plain", "USD", "for a thousand plain requests", needs="possible"),
            live.Answer("reasoned", "USD", "for a thousand reasoned answers", needs="possible"),
            live.Answer("wait", "s", "until the first word after the reasoning", needs="possible"),
            live.Answer(
                "talks",
                "USD",
                "for a thousand conversations with the prefix cache",
                log_sd="log_sd",
                needs="possible",
            ),
        ],
        curve=live.Curve(
            Partial(_by_turns, study.case),
            "Turns of a conversation",
            "USD for a thousand conversations with the prefix cache",
            log_sd="log_sd",
            needs="possible",
        ),
        smooth="talks",
        smooth_needs="possible",
        effects=_EFFECTS,
        effect_title="1% more of this changes the cost of a conversation by so many percent",
        description="What a thousand conversations with a prefix cache cost against their turns: "
        "more than in proportion, because histories grow.",
        refusals={
            "possible": "No load keeps the limits on time, or a task is too long for the model's "
            "context or the memory: shorten it, or choose other hardware."
        },
        note="All costs are those of a fleet so large that spares and whole instances don't count, "
        "at this chapter's peak to mean. The layout of an instance is the best one for this "
        "chapter's tasks and limits, and stays while lengths are moved.",
        data=data,
        log_sd=Partial(_log_sd, uncertainty.spread(study.plain.system)),
    )


def _menus(study: Study) -> list[live.Menu]:
    given = study.scenario
    models, xpus = offered_models(study.plain), offered_xpus(study.plain)
    return [
        live.Menu("model", {of: catalog.name("models", of) for of in models}, given.model),
        live.Menu("xpu", {of: catalog.name("xpus", of) for of in xpus}, given.xpu),
    ]


def _sliders(study: Study) -> list[live.Slider]:
    given, requests = study.scenario, study.requests
    prompt, output = float(requests.prompt_tokens), float(requests.output_tokens)
    return [
        live.Slider(
            "usd_per_xpu_hour",
            0.1,
            30.0,
            study.plain.usd_per_hour,
            "Rent of one xPU",
            "USD per hour",
            follows=("xpu", study.plain.hours.usd),
        ),
        live.Slider("prompt_tokens", 10.0, 20_000.0, prompt, "Mean prompt"),
        live.Slider("output_tokens", 10.0, 10_000.0, output, "Mean answer"),
        live.Slider(
            "reasoning_tokens", 0.0, 30_000.0, given.reasoning_tokens, "Hidden reasoning", log=False
        ),
        live.Slider("turns", 1.0, LONGEST, given.turns, "Turns of a conversation"),
        live.Slider("system_tokens", 10.0, 50_000.0, given.system_tokens, "Its instructions")
        if given.system_tokens > 0
        else live.Slider("system_tokens", 0.0, 50_000.0, 0.0, "Its instructions", log=False),
        live.Slider("turn_tokens", 10.0, 10_000.0, given.turn_tokens, "New input of a turn"),
        live.Slider("turn_output_tokens", 10.0, 10_000.0, given.turn_output_tokens, "Its output"),
        live.Slider(
            "cache_reuse", 0.0, 1.0, given.cache_reuse, "Reuse of the prefix cache", log=False
        ),
    ]


def _lookups(
    study: Study, found: Services, models: live.Menu, xpus: live.Menu
) -> dict[str, live.Lookup]:
    system, precision = [models, xpus], study.scenario.precision
    own = {PLAIN: study.case.service.layout, **study.case.layouts}

    def layout(task: str, llm: str, xpu: str) -> Deployment:
        """The best one; where a task is too long for the model, the scenario's own."""
        best = found.layout(llm, xpu, precision, task)
        return own[task] if best is None else best

    return {
        "llm": live.lookup([models], catalog.llm),
        "xpu": live.lookup([xpus], catalog.xpu),
        "efficiency": live.lookup(
            system,
            lambda *ids: catalog.attainment().probable(system_of(study.scenario, *ids)),
            into=Efficiency,
        ),
        "multiples": live.lookup(
            system, lambda *ids: uncertainty.multiples_sd(system_of(study.scenario, *ids))
        ),
    } | {
        name: live.lookup(system, lambda *ids, task=task: layout(task, *ids))
        for task, name in _LAYOUTS.items()
    }


def _set(case: Case, s: Settings) -> Case:
    """The study's case, as the controls are set, on rented hardware."""
    layouts = {**case.layouts} | {task: getattr(s, name) for task, name in _LAYOUTS.items()}
    service = replace(
        case.service,
        llm=s.llm,
        xpu=s.xpu,
        layout=layouts.pop(PLAIN),
        efficiency=s.efficiency,
        requests=replace(
            case.service.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        rent=s.usd_per_xpu_hour / SECONDS_PER_HOUR,
    )
    talk = replace(
        case.talk,
        turns=s.turns,
        system_tokens=s.system_tokens,
        user_tokens=s.turn_tokens,
        output_tokens=s.turn_output_tokens,
        reuse=s.cache_reuse,
    )
    return replace(case, service=service, layouts=layouts, talk=talk, reasoning=s.reasoning_tokens)


def _log_sd(spread: Spread, effects: Settings, s: Settings) -> Scalar:
    return spread.log_sd(effects.efficiency, s.multiples)


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    case = _set(case, s)
    found = model.answer(case, OFFERED)
    plain, reasoned, talks = (THOUSAND * found.usd[task] for task in (PLAIN, REASONED, CACHED))
    possible = model.holds(case)
    for feasible in found.feasible.values():
        possible = possible * feasible
    return {
        "possible": possible,
        "plain": plain,
        "reasoned": reasoned,
        "wait": found.first_word,
        "talks": talks,
        "here_x": case.talk.turns,
        "here_y": talks,
    }


def _by_turns(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Turns and cost of conversations, from a single turn on."""
    turns = jnp.exp(along * jnp.log(LONGEST))
    possible, usd = model.of_turns(_set(case, s), turns)
    return turns, jnp.where(possible > 0, THOUSAND * usd, jnp.nan)


_EFFECTS = {
    "turns": "turns",
    "instructions": "system_tokens",
    "new input of a turn": "turn_tokens",
    "output of a turn": "turn_output_tokens",
    "reuse of the prefix cache": "cache_reuse",
    "rent": "usd_per_xpu_hour",
    "memory bandwidth": "xpu.memory_bandwidth",
    "memory size": "xpu.memory",
    "arithmetic rate (all precisions)": "xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops",
}
