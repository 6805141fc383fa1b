"""The live panel of the chapter on numbers of accelerators."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import training
from llmecon.evidence import whole_runs
from llmecon.evidence.uncertainty import Multiple
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose import provenance
from llmecon.specs import (
    PRECISIONS,
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    Efficiency,
    LatencyTarget,
)
from llmecon.studies.systems import best_layouts, system_of
from llmecon.studies.xpu_needs import model
from llmecon.studies.xpu_needs.model import Case
from llmecon.studies.xpu_needs.study import (
    Study,
    cluster,
    rent,
    requests,
    run_of,
    target,
)
from llmecon.tables import catalog
from llmecon.training import planning
from llmecon.training.planning import LayoutsByPace


@dataclass(frozen=True)
class Offered:
    """What the menus offer beside the scenario's own: ids.

    Attributes:
        models: of models.
        xpus: of accelerators.
    """

    models: tuple[str, ...]
    xpus: tuple[str, ...]


OFFERED = Offered(
    models=(
        "llama-3.1-8b",
        "qwen3-32b",
        "llama-3.1-70b",
        "gpt-oss-120b",
        "qwen3-235b-a22b",
        "llama-3.1-405b",
        "deepseek-v3",
    ),
    xpus=(
        "a100-sxm-80gb",
        "h100-sxm",
        "h200-sxm",
        "b200",
        "mi300x",
        "mi355x",
        "tpu-v5p",
        "tpu-v6e",
    ),
)
DAYS = (1.0, 1000.0)
TOKENS = (1e9, 1e14)

Scalar = Float[Array, ""]


def show(study: Study) -> live.Shown:
    """Show the panel, which computes the study's answer on the page.

    Args:
        study: where the controls start.
    """
    return live.show(panel(study))


def panel(study: Study, offered: Offered = OFFERED) -> live.Panel:
    """The panel.

    Args:
        study: where the controls start.
        offered: what the menus offer.
    """
    given = study.scenario
    models = _menu("model", "models", (*offered.models, given.model), given.model)
    xpus = _menu("xpu", "xpus", (*offered.xpus, given.xpu), given.xpu)
    precisions = live.Menu("precision", {of: of for of in PRECISIONS}, given.precision)
    known = {xpu: rent(given, xpu) for xpu in xpus.entries}
    rents = {xpu: usd for xpu, usd in known.items() if usd is not None}

    longest = float(min(given.sequence_tokens, given.global_batch_tokens))
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="How many accelerators finish the training in time, and how many serve the "
        "requests?",
        controls=[models, xpus, precisions, *_sliders(study, rents)],
        lookups=_lookups(study, models, xpus, precisions),
        function=Partial(_answered, study.case, longest),
        answers=_ANSWERS,
        curve=live.Curve(
            Partial(_fleet_and_days, study.case, longest),
            "Time to train [days]",
            "Accelerators that train [xPUs]",
            needs="can_train",
        ),
        smooth="smooth",
        smooth_needs="can_train",
        effects=_EFFECTS,
        effect_title="1% more of this changes the number of xPUs that train by so many percent",
        description="Accelerators against the days that training takes, for the layout chosen, "
        "with ever more replicas: twice the devices take more than half the time.",
        data=provenance.of(
            models=list(models.entries),
            xpus=list(xpus.entries),
            efficiencies=all,
            efficiency_effects=all,
            training_posterior=all,
            rental_prices=catalog.rental_offers(*rents),
        ),
        refusals={
            "can_train": "No number of these accelerators holds the model and trains it in time: "
            "allow more days, train on fewer tokens, or choose hardware with more memory and "
            "links.",
            "can_serve": "No load meets the limits on latency, or the model or its requests don't "
            "fit: allow more time, shorten the requests, or choose hardware with more memory.",
        },
        note="Training is laid out anew for every deadline and number of tokens, and takes as long "
        "as comparable published runs did. How a model is laid out to serve is what is best for "
        "this chapter's own requests and limits, and stays while these are moved; a rerun chooses "
        "it anew.",
    )


def _menu(name: str, table: str, ids: tuple[str, ...], value: str) -> live.Menu:
    return live.Menu(name, {one: catalog.name(table, one) for one in dict.fromkeys(ids)}, value)


def _sliders(study: Study, rents: dict[str, float]) -> list[live.Slider]:
    def slider(
        name: str, low: float, high: float, label: str, unit: str | None = None
    ) -> live.Slider:
        return live.Slider(name, low, high, getattr(study.scenario, name), label, unit)

    return [
        slider("training_tokens", *TOKENS, "Training tokens", "tokens"),
        slider("deadline_days", *DAYS, "Days to train", "days"),
        slider("requests_per_second", 0.01, 10_000.0, "Requests to serve", "a second"),
        slider("prompt_tokens", 10.0, 100_000.0, "Mean prompt"),
        slider("output_tokens", 10.0, 20_000.0, "Mean answer"),
        slider("ttft_limit_s", 0.05, 60.0, "First token within"),
        slider("tpot_limit_s", 0.002, 1.0, "Each further token within"),
        live.Slider(
            "usd_per_xpu_hour",
            0.1,
            30.0,
            study.price if study.priced else 1.0,
            "Rent of one xPU",
            "USD per hour",
            follows=("xpu", rents),
        ),
    ]


def _lookups(
    study: Study, models: live.Menu, xpus: live.Menu, precisions: live.Menu
) -> dict[str, live.Lookup]:
    given = study.scenario
    pairs = [(of, on) for of in models.entries for on in xpus.entries]
    found = whole_runs.overheads([of for of, _ in pairs], [on for _, on in pairs])
    overheads = dict(zip(pairs, found, strict=True))
    layouts = {pair: _layouts(study, *pair, overheads[pair]) for pair in pairs}
    most = max(len(of.tensor) for of in layouts.values())
    systems = {
        (of, on, weights): system_of(given, of, on, weights)
        for of, on in pairs
        for weights in precisions.entries
    }
    best = best_layouts(list(systems.values()), requests(given), target(given))
    deployments = dict(zip(systems, (layout for layout, _ in best), strict=True))
    # What the reader chose, or what is best for it.
    deployments[given.model, given.xpu, given.precision] = study.case.deployment
    attainment = catalog.attainment()
    return {
        "llm": live.lookup([models], catalog.llm),
        "device": live.lookup([xpus], catalog.xpu),
        "layouts": live.lookup([models, xpus], lambda *pair: layouts[pair].padded(most)),
        "overhead": live.lookup(
            [models, xpus],
            lambda *pair: {"median": overheads[pair].median, "log_sd": overheads[pair].log_sd},
        ),
        "deployment": live.lookup([models, xpus, precisions], lambda *ids: deployments[ids]),
        "training": live.lookup(
            [xpus], lambda on: attainment.probable(catalog.system(xpu=on)), into=Efficiency
        ),
        "serving": live.lookup(
            [models, xpus, precisions],
            lambda *ids: attainment.probable(systems[ids]),
            into=Efficiency,
        ),
    }


def _layouts(study: Study, of: str, on: str, overhead: Multiple) -> LayoutsByPace:
    """Layouts that a run takes on an accelerator, for every pace that the sliders can ask for."""
    given = study.scenario
    shortest, longest = min(DAYS[0], given.deadline_days), max(DAYS[1], given.deadline_days)
    fewest, most = min(TOKENS[0], given.training_tokens), max(TOKENS[1], given.training_tokens)
    return planning.layouts_by_pace(
        training.TrainingJob(
            catalog.llm(of),
            catalog.xpu(on),
            run_of(given, of),
            catalog.efficiency(catalog.system(xpu=on)),
        ),
        fewest / (longest * SECONDS_PER_DAY),
        most / (shortest * SECONDS_PER_DAY),
        whole_runs.with_overhead(cluster(given), overhead.median),
    )


def _set(case: Case, longest: float, s: Settings) -> Case:
    """The study's case, as the controls are set; sequences as long as models allow or `longest`."""
    deadline = SECONDS_PER_DAY * s.deadline_days
    sequence = jnp.minimum(longest, s.llm.context)
    # The layout that takes the fewest devices for tokens so many and days so few.
    layout = s.layouts.at(s.training_tokens / deadline)
    return replace(
        case,
        llm=s.llm,
        xpu=s.device,
        run=replace(case.run, tokens=s.training_tokens, sequence=sequence),
        layout=layout,
        bare_layout=layout,
        cluster=whole_runs.with_overhead(case.cluster, s.overhead["median"]),
        likely=s.training,
        training_efficiency=s.training,
        deployment=s.deployment,
        efficiency=s.serving,
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        target=LatencyTarget(s.ttft_limit_s, s.tpot_limit_s),
        deadline=deadline,
        load=s.requests_per_second,
        rent=s.usd_per_xpu_hour / SECONDS_PER_HOUR,
    )


def _answered(case: Case, longest: float, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own answer."""
    case = _set(case, longest, s)
    found = model.answer(case)
    run, served = found.training, found.serving
    return {
        "can_train": run.plan.feasible,
        "training_xpus": run.xpus,
        "training_usd": run.usd,
        "training_usd_sd": s.overhead["log_sd"],
        "can_serve": served.capacity.feasible,
        "serving_xpus": served.xpus,
        "serving_usd": served.usd_per_month,
        "smooth": run.plan.layout.devices,
        "here_x": run.plan.seconds / SECONDS_PER_DAY,
        "here_y": run.plan.layout.devices,
    }


def _fleet_and_days(
    case: Case, longest: float, s: Settings, along: Scalar
) -> tuple[Scalar, Scalar]:
    """The same layout with ever more replicas, as far as memory and batch allow."""
    case = _set(case, longest, s)
    run, attained = case.run, case.likely
    replicas = jnp.exp(along * jnp.log(run.global_batch / run.sequence))
    spread = eqx.tree_at(lambda of: of.data, case.layout, replicas)
    seconds = training.wall_clock(
        training.TrainingJob(case.llm, case.xpu, run, attained), spread, case.cluster
    )
    usable = case.xpu.memory * attained.usable_memory
    fits = training.training_memory(case.llm, run, spread) <= usable * (1 + 1e-9)
    return seconds / SECONDS_PER_DAY, jnp.where(fits, spread.devices, jnp.nan)


_ANSWERS = [
    live.Answer(
        "training_xpus",
        "xPUs",
        "to train in time",
        needs="can_train",
        counted="xPU",
    ),
    live.Answer(
        "training_usd",
        "USD",
        "to rent them for the training",
        log_sd="training_usd_sd",
        needs="can_train",
    ),
    live.Answer(
        "serving_xpus", "xPUs", "to serve, spares included", needs="can_serve", counted="xPU"
    ),
    live.Answer("serving_usd", "USD per month", "to rent these", needs="can_serve"),
]

_EFFECTS = {
    "training tokens": "training_tokens",
    "days to train": "deadline_days",
    "all arithmetic rates": "device.bf16_flops + device.fp8_flops + device.fp4_flops",
    "memory bandwidth": "device.memory_bandwidth",
    "fast links": "device.link_bandwidth",
    "network": "device.network_bandwidth",
    "memory size": "device.memory",
}
