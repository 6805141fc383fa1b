"""The live panel of the chapter on hardware choice."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import specs, words
from llmecon.choice.filling import Demand, Engine
from llmecon.evidence import uncertainty
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import Efficiency
from llmecon.studies.hardware_choice import rivals
from llmecon.studies.hardware_choice.model import Case, answer
from llmecon.studies.hardware_choice.scenario import Scenario
from llmecon.studies.hardware_choice.study import THOUSAND, Study
from llmecon.studies.systems import Asked, best_services, stacked, system_of
from llmecon.tables import catalog

MODELS = ("llama-3.1-8b", "qwen3-32b", "llama-3.1-70b", "gpt-oss-120b")
XPUS = ("l40s", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200", "mi300x", "mi355x", "tpu-v6e")

Scalar = Float[Array, ""]

_WIDEST = 4.0  # times the limit on TPOT, and its inverse, between which the curve is drawn


def entries(given: Scenario) -> tuple[list[str], list[str]]:
    """Ids of the models and the accelerators that the panel's menus offer."""
    models = dict.fromkeys([*MODELS, given.model])
    return list(models), list(dict.fromkeys([*XPUS, given.xpu, given.rival]))


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
    _, xpus = entries(given)
    doubtful = [study.marked(xpu) for xpu in xpus if study.short(xpu)]
    unread = (
        f" Datasheet or rent unread, or no load test known here: {words.listing(doubtful)}."
        if doubtful
        else ""
    )
    menus = _menus(given)
    usual = system_of(given)
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="What do a million tokens cost on either, and what may the rival's hour cost "
        "before it loses?",
        controls=[*menus, *_sliders(given, xpus)],
        lookups=_lookups(given, *menus),
        function=_answered,
        answers=[
            live.Answer(
                "usd_a", "USD", "per million tokens on the usual accelerator", needs="can_a"
            ),
            live.Answer("usd_b", "USD", "per million tokens on the rival", needs="can_b"),
            live.Answer(
                "worth", "USD", "an hour is what the rival may cost at most", "log_sd", "both"
            ),
        ],
        curve=live.Curve(
            _along_limits,
            "Limit on the time per output token [ms]",
            "Cost on the rival over cost on the usual one [ratio]",
            log_sd="log_sd",
            needs="both",
        ),
        smooth="ratio",
        smooth_needs="both",
        effects=_EFFECTS,
        effect_title="1% more of this changes the rival's cost over the usual one's by so many "
        "percent",
        description="Cost of a token on the rival over that on the usual accelerator against the "
        "limit on the time per output token.",
        refusals={
            "both": "One of the two can't keep these limits, or the model doesn't fit: allow more "
            "time or choose another.",
            "can_a": "The usual accelerator can't keep these limits.",
            "can_b": "The rival can't keep these limits.",
        },
        note="Instances are full, may be parts, and serve whole requests. Their layout is the best "
        "one for this chapter's short requests and limits, and stays while these are moved; a "
        f"rerun chooses it anew.{unread}",
        data=data,
        log_sd=Partial(_log_sd, uncertainty.spread(usual), uncertainty.shared_sd(usual)),
    )


def _menus(given: Scenario) -> tuple[live.Menu, live.Menu, live.Menu, live.Menu]:
    ids, xpus = entries(given)
    models = {one: catalog.name("models", one) for one in ids}
    names = {one: catalog.name("xpus", one) for one in xpus}
    precisions = {one: one for one in specs.PRECISIONS}
    return (
        live.Menu("model", models, given.model),
        live.Menu("xpu", names, given.xpu, "The usual accelerator"),
        live.Menu("rival", names, given.rival, "Its rival"),
        live.Menu("precision", precisions, given.precision, "Precision of the weights"),
    )


def _sliders(given: Scenario, xpus: list[str]) -> list[live.Slider]:
    hourly = {one: rent.usd for one in xpus if (rent := catalog.rental_price(one)) is not None}

    def rented(name: str, follows: str, xpu: str, label: str) -> live.Slider:
        return live.Slider(
            name, 0.1, 30.0, hourly[xpu], label, "USD per hour", follows=(follows, hourly)
        )

    return [
        rented("rent_a", "xpu", given.xpu, "Rent of the usual one"),
        rented("rent_b", "rival", given.rival, "Rent of the rival"),
        live.Slider("prompt_tokens", 10.0, 20_000.0, given.prompt_tokens, "Mean prompt", "tokens"),
        live.Slider("output_tokens", 10.0, 5_000.0, given.output_tokens, "Mean answer", "tokens"),
        live.Slider("ttft_limit_s", 0.2, 60.0, given.ttft_limit_s, "First token within", "s"),
        live.Slider(
            "tpot_limit_s", 0.005, 1.0, given.tpot_limit_s, "Each further token within", "s"
        ),
    ]


def _lookups(
    given: Scenario,
    models: live.Menu,
    usual: live.Menu,
    rival: live.Menu,
    precisions: live.Menu,
) -> dict[str, live.Lookup]:
    systems = [
        system_of(given, *of) for of in product(models.entries, usual.entries, precisions.entries)
    ]
    requests = specs.Workload(given.prompt_tokens, given.output_tokens)
    target = specs.LatencyTarget(given.ttft_limit_s, given.tpot_limit_s)
    layouts, _ = best_services([Asked(of, requests, target) for of in systems])
    efficiencies = stacked(map(catalog.attainment().probable, systems))
    multiples = stacked(map(uncertainty.own_sd, systems))
    shape = tuple(len(menu.entries) for menu in (models, usual, precisions))

    def by_system(menu: live.Menu, records: Any) -> live.Lookup:
        """What was computed for every combination; both accelerators' menus have the same ids."""
        entries = jax.tree.map(lambda leaf: np.asarray(leaf, float).reshape(shape), records)
        return live.Lookup((models.name, menu.name, precisions.name), entries)

    found = {"llm": live.lookup([models], catalog.llm)}
    for side, menu in (("a", usual), ("b", rival)):
        found |= {
            f"device_{side}": live.lookup([menu], catalog.xpu),
            f"layout_{side}": by_system(menu, layouts),
            f"efficiency_{side}": by_system(menu, Efficiency(**efficiencies)),
            f"multiples_{side}": by_system(menu, multiples),
        }
    return found


def case(s: Settings, tpot: Scalar) -> Case:
    """Full instances of the usual accelerator and of its rival, as the controls are set.

    Args:
        s: the controls, and what the catalogue says for them.
        tpot: limit on the time per output token, s.
    """
    engines = [
        Engine(getattr(s, f"device_{side}"), getattr(s, f"layout_{side}"), efficiency)
        for side, efficiency in (("a", s.efficiency_a), ("b", s.efficiency_b))
    ]
    asked = specs.Workload(s.prompt_tokens, s.output_tokens)
    demand = Demand(asked, specs.LatencyTarget(s.ttft_limit_s, tpot))
    return rivals.case(s.llm, engines, [s.rent_a, s.rent_b], demand)


def _answered(s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    found = answer(case(s, s.tpot_limit_s))
    (can_a, can_b), (usd_a, usd_b) = _each(found.able), _each(found.usd_per_mtok)
    return {
        "can_a": can_a,
        "can_b": can_b,
        "both": can_a * can_b,
        "usd_a": usd_a,
        "usd_b": usd_b,
        "ratio": usd_b / usd_a,
        "worth": s.rent_b * usd_a / usd_b,
        "here_x": THOUSAND * s.tpot_limit_s,
        "here_y": usd_b / usd_a,
    }


def _each(values: Float[Array, "2"]) -> list[Scalar]:
    """The two elements of an array."""
    return [jax.lax.index_in_dim(values, at, keepdims=False) for at in (0, 1)]


def _along_limits(s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """How much dearer the rival is, from a quarter of the limit to four times as much."""
    tpot = s.tpot_limit_s * jnp.exp((2.0 * along - 1.0) * jnp.log(_WIDEST))
    found = answer(case(s, tpot))
    usual, rival = _each(found.usd_per_mtok)
    return THOUSAND * tpot, jnp.where(found.able.min() > 0, rival / usual, jnp.nan)


def _log_sd(
    fitted: uncertainty.Spread, shared: Mapping[str, float], effects: Any, s: Settings
) -> Scalar:
    """Of the ratio: what is fitted is common to both, what is unexplained each one's own.

    How the servers are set up is common but for what is an accelerator's own.
    """
    total = jax.tree.map(jnp.add, effects.efficiency_a, effects.efficiency_b)
    common = fitted.log_sd(total, {name: jnp.asarray(sd) for name, sd in shared.items()})
    unexplained = uncertainty.Spread(np.zeros((0, 0)), ())
    usual = unexplained.log_sd(effects.efficiency_a, s.multiples_a)
    rival = unexplained.log_sd(effects.efficiency_b, s.multiples_b)
    return jnp.sqrt(common**2 + usual**2 + rival**2)


_EFFECTS = {
    "rent of the usual one": "rent_a",
    "rent of the rival": "rent_b",
    "prompt": "prompt_tokens",
    "answer": "output_tokens",
    "limit on the first token": "ttft_limit_s",
    "limit on further tokens": "tpot_limit_s",
    "the rival's memory bandwidth": "device_b.memory_bandwidth",
    "the rival's memory": "device_b.memory",
    "the rival's arithmetic rate": "device_b.bf16_flops + device_b.fp8_flops + device_b.fp4_flops",
}
