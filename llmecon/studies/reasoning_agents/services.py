"""Services of other shapes, models and lengths that the chapter compares, found in one batch."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from llmecon.costs import economics
from llmecon.studies.reasoning_agents.model import OFFERED, calls, last_turn, targets
from llmecon.studies.reasoning_agents.study import Study
from llmecon.studies.tokenomics import services as tokenomics
from llmecon.studies.tokenomics.services import Services, Sought, offered_models, offered_xpus
from llmecon.studies.tokenomics.study import SPEEDS
from llmecon.tables import catalog

TURNS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Lengths of conversations that are drawn besides the scenario's own."""


def services(study: Study) -> Services:
    """Everything that the chapter asks of the serving model besides its own tasks.

    Args:
        study: with which each is compared.
    """
    return tokenomics.search(study.plain, _asked(study))


def _asked(study: Study) -> Iterator[Sought]:
    names = catalog.table("models").set_index("id")["name"].to_dict()
    limits, case = study.plain.case.target, study.case
    relaxed = replace(limits, ttft=study.scenario.task_ttft_limit_s)
    for model, score in study.market.percent.items():
        if model in names:
            yield Sought("quality", names[model], model=str(model), x=score)
    for speed in SPEEDS:
        yield Sought("model frontier", target=replace(limits, tpot=1.0 / speed))
    for of in catalog.table("workloads").to_dict("records"):
        shape = catalog.workload(str(of["id"]))
        yield Sought("workload", str(of["name"]), requests=shape, target=relaxed)
    for turns in np.union1d(TURNS, study.scenario.turns):
        for reuse in (0.0, study.scenario.cache_reuse or 1.0):
            talk = replace(case.talk, turns=turns, reuse=reuse)
            if float(last_turn(talk)) <= float(case.service.llm.context):
                mean = economics.conversation_workload(talk)
                yield Sought("turns", requests=mean, target=relaxed, x=turns, y=reuse)
    asked, within = calls(case), targets(case)
    for task in OFFERED:
        for model in offered_models(study.plain):
            for xpu in offered_xpus(study.plain):
                yield Sought(task, model=model, xpu=xpu, requests=asked[task], target=within[task])
