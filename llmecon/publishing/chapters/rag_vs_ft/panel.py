"""The live panel of the chapter on retrieval and fine-tuning: an adapter against retrieval."""

import math
from dataclasses import fields, replace

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from llmecon import adaptation
from llmecon.adaptation import Knobs
from llmecon.adaptation.constants import Constants
from llmecon.publishing.panel import live
from llmecon.publishing.panel.declaration import Settings
from llmecon.publishing.prose.provenance import Provenance
from llmecon.specs import SECONDS_PER_DAY, SECONDS_PER_MONTH
from llmecon.studies.rag_vs_ft import doubts, rivals
from llmecon.studies.rag_vs_ft.model import Case, Settled
from llmecon.studies.rag_vs_ft.rivals import RIVALS
from llmecon.studies.rag_vs_ft.study import Study

Scalar = Float[Array, ""]

# Nine draws in ten lie within so many standard deviations around the middle.
_NINETY = 3.29
_LEAST_RANGE = 1e-3


def show(study: Study, data: Provenance) -> live.Shown:
    """Show the panel, which computes the study's bills and right answers on the page.

    Args:
        study: where the controls start.
        data: what its numbers rest on.
    """
    return live.show(panel(study, data))


def panel(study: Study, data: Provenance) -> live.Panel:
    """The panel; arguments as in `show`."""
    knobs = rivals.knobs(study)
    sources, hosts = _menus(study)
    asked = study.case.asked
    return live.Panel(
        chapter=study.scenario.chapter,
        given=study.scenario.model_dump(),
        question="Is an adapter dearer than retrieval, and how often is each right?",
        controls=[sources, hosts, *_sliders(study, knobs)],
        lookups=_lookups(study, sources, hosts),
        function=Partial(_answered, asked, knobs),
        answers=_ANSWERS,
        curve=live.Curve(
            Partial(_by_change, asked, knobs),
            "Changes of a fact a month",
            "Cost of an adapter over cost of retrieval",
            log_sd="log_sd",
        ),
        smooth="ratio",
        effects=_EFFECTS,
        effect_title="1% more of this changes the cost of an adapter, over that of retrieval, by "
        "so many percent",
        description="Cost of an adapter over the cost of retrieval against how often a fact "
        "changes.",
        note="Length of passages, times that a fact is shown and replay stay at what is best for "
        "the chapter's case.",
        data=data,
        log_sd=_log_sd,
    )


def _menus(study: Study) -> tuple[live.Menu, live.Menu]:
    given, sold = study.scenario, study.sold
    learnt = {"published": "published studies", "experiment": "this chapter's experiment"}
    hosts = {
        "own": f"{study.model_name} on {study.xpu_name}",
        "api": f"{sold['provider']}'s {sold['model']}",
    }
    return (
        live.Menu("constants_from", learnt, given.constants_from),
        live.Menu("hosting", hosts, given.hosting),
    )


def _sliders(study: Study, knobs: Knobs) -> list[live.Slider]:
    given = study.scenario
    days, passages = float(knobs.interval) / SECONDS_PER_DAY, float(knobs.passages)
    return [
        live.Slider("queries_per_month", 1e2, 1e10, given.queries_per_month),
        live.Slider("changes_per_month", 1e-3, 1e3, given.changes_per_month),
        live.Slider("documents", 10.0, 1e7, given.documents),
        live.Slider("known", 0.0, 0.95, given.known, log=False),
        live.Slider("wrong_usd", 1e-5, 100.0, given.wrong_usd),
        live.Slider("passages", 1.0, 50.0, passages, "Passages retrieved", "passages"),
        live.Slider("days", 1.0, 730.0, days, "Days between trainings", "days"),
    ]


def _lookups(study: Study, sources: live.Menu, hosts: live.Menu) -> dict[str, live.Lookup]:
    given = study.scenario
    taught = {"published": study.published, "experiment": study.measured}
    return {
        "skills": live.lookup(
            [sources], lambda of: doubts.knowledge_of(given, taught[of].middles())
        ),
        "sd": live.lookup([sources], lambda of: _sds(taught[of])),
        "offers": live.lookup([hosts], lambda of: rivals.offered(study, of)),
    }


def _sds(constants: Constants) -> dict[str, float]:
    """Standard deviations of the constants' logarithms: a range holds nine draws in ten."""
    ranges = {field.name: getattr(constants, field.name) for field in fields(constants)}
    return {
        name: math.log(max(r.high, _LEAST_RANGE) / max(r.low, _LEAST_RANGE)) / _NINETY
        for name, r in ranges.items()
    }


def _by_change(
    asked: adaptation.Case, knobs: Knobs, s: Settings, along: Scalar
) -> tuple[Scalar, Scalar]:
    """An adapter's cost over that of retrieval, from facts that never change to news."""
    change = 10.0 ** (6.0 * along - 3.0)
    return change, rivals.told(_settled(asked, knobs, s, change))["ratio"]


def _answered(asked: adaptation.Case, knobs: Knobs, s: Settings) -> dict[str, Scalar]:
    change = s.changes_per_month
    found = rivals.told(_settled(asked, knobs, s, change))
    return found | {"here_x": change, "here_y": found["ratio"]}


def _settled(asked: adaptation.Case, knobs: Knobs, s: Settings, change: Scalar) -> Settled:
    """The study's case and knobs, as the controls are set."""
    asked = replace(
        asked,
        queries=s.queries_per_month / SECONDS_PER_MONTH,
        change=change / SECONDS_PER_MONTH,
        known=s.known,
        wrong=s.wrong_usd,
        documents=s.documents,
    )
    set_ = replace(knobs, passages=s.passages, interval=s.days * SECONDS_PER_DAY)
    return Settled(Case(asked, s.offers, s.skills, RIVALS), dict.fromkeys(RIVALS, set_))


def _log_sd(effect: Settings, s: Settings) -> Scalar:
    """Of the ratio, from what is uncertain about finding, reading and learning."""
    of = effect.skills
    parts = {
        "first": of.retriever.first,
        "decline": of.retriever.decline,
        "alone": of.reading.alone,
        "distraction": of.reading.distraction,
        "misreading": of.reading.misreading,
        "ceiling": of.adapter.ceiling,
        "exposures": of.adapter.exposures,
        "forgetting": of.adapter.forgetting,
        "relief": of.adapter.relief,
    }
    variances = ((part * s.sd[name]) ** 2 for name, part in parts.items())
    return jnp.sqrt(sum(variances, jnp.asarray(1e-12)))


_ANSWERS = [
    live.Answer(
        "ratio", "", "times what retrieval costs is what an adapter costs", log_sd="log_sd"
    ),
    live.Answer(
        "rag_usd", "USD", "for a thousand questions with retrieval, wrong answers included"
    ),
    live.Answer("lora_usd", "USD", "for a thousand questions with an adapter"),
    live.Answer("rag_right", "fraction", "are answered rightly with retrieval"),
    live.Answer("lora_right", "fraction", "are answered rightly with an adapter"),
]

_EFFECTS = {
    "questions asked": "queries_per_month",
    "changes": "changes_per_month",
    "documents": "documents",
    "known before": "known",
    "cost of a wrong answer": "wrong_usd",
    "passages": "passages",
    "days between trainings": "days",
    "passage found first": "skills.retriever.first",
    "reading one passage": "skills.reading.alone",
    "misreading": "skills.reading.misreading",
    "what training can teach": "skills.adapter.ceiling",
}
