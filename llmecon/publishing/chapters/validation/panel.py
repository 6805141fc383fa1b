"""The live panel of the chapter on validation."""

from dataclasses import replace

import jax.numpy as jnp
import pandas as pd
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import specs
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Spread
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose import provenance
from llmecon.specs import Deployment, Efficiency
from llmecon.studies.systems import best_tuned
from llmecon.studies.validation import model
from llmecon.studies.validation.model import Case, Performance
from llmecon.studies.validation.study import CLIENTS, Study
from llmecon.tables import catalog

# Those measured most often, and the scenario's own.
MOST_MODELS, MOST_XPUS = 9, 8
MOST_CLIENTS = 1024.0
SIZES = (1, 2, 4, 8)  # devices of an instance

Scalar = Float[Array, ""]


def show(study: Study) -> live.Shown:
    """Show the panel, which computes the study's answer on the page.

    Args:
        study: where the controls start.
    """
    return live.show(panel(study))


def panel(study: Study) -> live.Panel:
    """The panel.

    Args:
        study: where the controls start.
    """
    given = study.scenario
    rows = measured()
    menus = _menus(study, rows)
    models, xpus, *_ = menus
    # Errors are those of stored predictions, which no control moves.
    case = replace(study.case, compared=None)
    return live.Panel(
        chapter=given.chapter,
        given=given.model_dump(),
        question="How fast would this system answer, and what was measured?",
        controls=[*menus, *_sliders(study)],
        lookups=_lookups(study, *menus),
        function=Partial(_answered, case),
        answers=[
            live.Answer("tpot", "s", "per output token", log_sd="log_sd", needs="possible"),
            live.Answer(
                "speed", "tokens/s", "of output from each device", log_sd="log_sd", needs="possible"
            ),
            live.Answer("joules", "J", "per output token, devices alone", needs="possible"),
            live.Answer("power", "W", "drawn by each device", needs="possible"),
        ],
        curve=live.Curve(
            Partial(_by_clients, case),
            "Requests in flight",
            "Time per output token [ms]",
            log_sd="log_sd",
            needs="possible",
            dots=_dots(rows[rows["model"].isin(models.entries) & rows["xpu"].isin(xpus.entries)]),
        ),
        smooth="tpot",
        smooth_needs="possible",
        effects=_EFFECTS,
        effect_title="1% more of this changes the time per output token by so many percent",
        description="Predicted time per output token against requests in flight, with measured "
        "points of the same system beside the curve.",
        data=provenance.of(
            models=list(models.entries),
            xpus=list(xpus.entries),
            efficiencies=all,
            efficiency_effects=all,
            measured_serving=rows,
        ),
        log_sd=Partial(_log_sd, uncertainty.spread(best_tuned(given))),
        refusals={
            "possible": "The model and one request don't fit into these devices, or links don't "
            "join so many: choose more of them, fewer bits or shorter requests."
        },
    )


def measured() -> pd.DataFrame:
    """Measured rows of serving that a point beside the curve can show."""
    return catalog.table("measured_serving").query(
        "regime == 'serving' and speculative == 0 and suspect.isna() and tpot_s.notna()"
    )


def _menus(study: Study, rows: pd.DataFrame) -> tuple[live.Menu, live.Menu, live.Menu, live.Menu]:
    given = study.scenario
    often = rows.groupby(["model", "xpu"]).size().sort_values(ascending=False).index

    def menu(name: str, value: str, table: str, most: int) -> live.Menu:
        ids = list(dict.fromkeys([value, *often.get_level_values(name)]))[:most]
        return live.Menu(name, {one: catalog.name(table, one) for one in ids}, value)

    sizes = {str(n): str(n) for n in sorted({*SIZES, given.xpus})}
    return (
        menu("model", given.model, "models", MOST_MODELS),
        menu("xpu", given.xpu, "xpus", MOST_XPUS),
        live.Menu("precision", {p: p for p in specs.PRECISIONS}, given.precision),
        live.Menu("xpus", sizes, str(given.xpus), "Devices"),
    )


def _sliders(study: Study) -> list[live.Slider]:
    given = study.scenario
    return [
        live.Slider("clients", 1.0, MOST_CLIENTS, CLIENTS, "Requests in flight", "requests"),
        live.Slider("prompt_tokens", 16.0, 100_000.0, given.prompt_tokens, "Mean prompt"),
        live.Slider("output_tokens", 16.0, 8192.0, given.output_tokens, "Mean output"),
    ]


def _lookups(
    study: Study, models: live.Menu, xpus: live.Menu, precisions: live.Menu, sizes: live.Menu
) -> dict[str, live.Lookup]:
    given = study.scenario
    systems = [models, xpus, precisions]
    attainment = catalog.attainment()
    return {
        "llm": live.lookup([models], catalog.llm),
        "device": live.lookup([xpus], catalog.xpu),
        "stored": live.lookup([precisions], specs.precision),
        "size": live.lookup([sizes], lambda number: {"devices": float(number)}),
        "efficiency": live.lookup(
            systems, lambda *of: attainment.probable(best_tuned(given, *of)), into=Efficiency
        ),
        "multiples": live.lookup(
            systems, lambda *of: uncertainty.multiples_sd(best_tuned(given, *of))
        ),
    }


def _dots(rows: pd.DataFrame) -> pd.DataFrame:
    """What was measured, as points beside the curve that follow the controls."""
    return pd.DataFrame(
        {
            "x": rows["concurrency"],
            "y": 1000.0 * rows["tpot_s"],
            "model": rows["model"],
            "xpu": rows["xpu"],
            "precision": rows["precision"],
            "xpus": rows["n_xpus"].astype(int).astype(str),
            "prompt_tokens": rows["prompt_tokens"],
            "output_tokens": rows["output_tokens"],
        }
    )


def _log_sd(spread: Spread, effects: Settings, s: Settings) -> Scalar:
    return spread.log_sd(effects.efficiency, s.multiples)


def _by_clients(case: Case, s: Settings, along: Scalar) -> tuple[Scalar, Scalar]:
    """Time per output token with ever more requests in flight."""
    clients = jnp.exp(along * jnp.log(MOST_CLIENTS))
    found = _instance(case, s, clients)
    return clients, jnp.where(found.possible > 0, 1000.0 * found.point.tpot, jnp.nan)


def _instance(case: Case, s: Settings, clients: Scalar) -> Performance:
    """The study's instance, as the controls are set."""
    case = replace(
        case,
        llm=s.llm,
        xpu=s.device,
        layout=Deployment(tensor=s.size["devices"], precision=s.stored),
        efficiency=s.efficiency,
        requests=replace(
            case.requests, prompt_tokens=s.prompt_tokens, output_tokens=s.output_tokens
        ),
        clients=clients,
    )
    return model.answer(case).instance


def _answered(case: Case, s: Settings) -> dict[str, Scalar]:
    """What the panel tells, from the study's own numbers."""
    found = _instance(case, s, s.clients)
    return {
        "possible": found.possible,
        "tpot": found.point.tpot,
        "speed": found.speed,
        "joules": found.energy,
        "power": found.point.power,
        "here_x": s.clients,
        "here_y": 1000.0 * found.point.tpot,
    }


_EFFECTS = {
    "memory bandwidth attained": "efficiency.memory + efficiency.expert_memory",
    "matrix rate attained": "efficiency.compute",
    "time to launch a kernel": "efficiency.kernel_time",
    "host's time a step": "efficiency.host_time + efficiency.host_time_per_sequence",
    "latency of a collective": "efficiency.collective_latency",
    "link bandwidth attained": "efficiency.link",
    "prompt": "prompt_tokens",
    "requests in flight": "clients",
}
