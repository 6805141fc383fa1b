"""Services that are compared with a scenario's, found in one batch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import specs
from llmecon.costs import economics
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_HOUR, Deployment, LatencyTarget, Workload
from llmecon.studies.systems import Asked, best_services, stacked, system_of
from llmecon.studies.tokenomics.model import MILLION
from llmecon.studies.tokenomics.study import SPEEDS, Study
from llmecon.tables import catalog

# What the live panel offers besides the scenario's own.
FAMILIAR_MODELS = (
    "llama-3.1-8b",
    "qwen3-32b",
    "llama-3.1-70b",
    "gpt-oss-120b",
    "qwen3-235b-a22b",
    "llama-3.1-405b",
    "deepseek-v3",
)
FAMILIAR_XPUS = (
    "l4",
    "l40s",
    "a100-sxm-80gb",
    "h100-sxm",
    "h200-sxm",
    "b200",
    "mi300x",
    "mi355x",
    "tpu-v6e",
)
RIVAL_MODELS = ("llama-3.1-8b", "deepseek-v3", "llama-3.1-405b", "gpt-oss-120b")
RIVAL_XPUS = ("b200", "mi300x", "tpu-v6e", "h100-sxm")
RIVALS = 3  # of either, beside the scenario's own

VOLLEYS = float(catalog.workload("azure-code-2023").interarrival_cv)
BURSTS = (0.5, 1.0, 2.0, 4.0, 8.0, VOLLEYS)
"""Coefficients of variation of the gaps between requests, the code assistant's last."""

UNHURRIED = LatencyTarget(ttft=600.0, tpot=60.0)


@dataclass(frozen=True)
class Services:
    """Services at the best layout of each, fully loaded.

    Attributes:
        frame: a row a service: use, label, model, xpu, precision, requests (`Workload`), x and y
            (by which its chart sorts it), and what was found: feasible, xpus, rate, tpot, batch,
            request [USD] and blended [USD per million tokens].
        layouts: with a leading dimension of rows.
    """

    frame: pd.DataFrame
    layouts: Deployment

    def solved(self, use: str) -> pd.DataFrame:
        """The services of a use that meet their limits."""
        return self.frame[(self.frame["use"] == use) & self.frame["feasible"]]

    def layout(self, model: str, xpu: str, precision: str, use: str = "panel") -> Deployment | None:
        """The best layout of a system that the panel offers; None where requests are too long."""
        of = self.frame
        found = np.flatnonzero(
            (of["use"] == use)
            & (of["model"] == model)
            & (of["xpu"] == xpu)
            & (of["precision"] == precision)
        )
        if not len(found):
            return None
        one: Deployment = jax.tree.map(lambda leaf: leaf[found[0]], self.layouts)
        return one


@dataclass(frozen=True)
class Sought:
    """A service to search for: the scenario's own, but for what is said otherwise.

    Attributes:
        use: for what.
        label: what its chart calls it.
        model: id.
        xpu: id.
        precision: of the weights.
        requests: what is asked of it.
        target: limits on time.
        x: by which its chart sorts it.
        y: the same.
    """

    use: str
    label: str = ""
    model: str = ""
    xpu: str = ""
    precision: str = ""
    requests: Workload | None = None
    target: LatencyTarget | None = None
    x: float = 0.0
    y: float = 0.0

    def row(self, study: Study) -> dict[str, object]:
        """All that is sought, given the study whose scenario says the rest."""
        given = study.scenario
        return vars(self) | {
            "model": self.model or given.model,
            "xpu": self.xpu or given.xpu,
            "precision": self.precision or given.precision,
            "requests": self.requests or study.case.requests,
            "target": self.target or study.case.target,
        }


def services(study: Study) -> Services:
    """Everything that the chapter asks of the serving model besides its own service.

    Args:
        study: with which each is compared.
    """
    return search(study, _asked(study))


def search(study: Study, asked: Iterable[Sought]) -> Services:
    """The best layout of each service, as far as contexts hold its requests.

    Args:
        study: with which each is compared.
        asked: the services.
    """
    frame = pd.DataFrame([one.row(study) for one in asked])
    held = catalog.table("models").set_index("id")["context_tokens"].to_dict()
    longest = [_tokens(asked) for asked in frame["requests"]]
    # A model's context holds the requests, and the accelerator has a price.
    possible = (frame["model"].map(held) >= longest) & frame["xpu"].isin(study.hours.usd.keys())
    frame = frame[possible].reset_index(drop=True)
    layouts, found = best_services(
        [
            Asked(system_of(study.scenario, model, xpu, precision), asked, limits)
            for model, xpu, precision, asked, limits in zip(
                frame["model"],
                frame["xpu"],
                frame["precision"],
                frame["requests"],
                frame["target"],
                strict=True,
            )
        ]
    )
    rents = jnp.array([study.hours.usd[xpu] / SECONDS_PER_HOUR for xpu in frame["xpu"]])
    point = found.service.point
    costs = _token_cost(point, layouts, stacked(frame["requests"]), rents)
    return Services(
        frame.assign(
            feasible=np.asarray(found.feasible) > 0,
            xpus=np.asarray(layouts.xpus),
            rate=np.asarray(found.rate),
            tpot=np.asarray(point.tpot),
            batch=np.asarray(point.batch),
            request=np.asarray(costs.request),
            blended=np.asarray(costs.blended) * MILLION,
        ),
        layouts,
    )


_token_cost = interpreted(economics.token_cost)


def offered_models(study: Study) -> list[str]:
    """Models that the live panel offers."""
    return list(dict.fromkeys([*FAMILIAR_MODELS, study.scenario.model]))


def offered_xpus(study: Study) -> list[str]:
    """Accelerators that the live panel offers."""
    every = dict.fromkeys([*FAMILIAR_XPUS, study.scenario.xpu])
    return [xpu for xpu in every if xpu in study.hours.usd]


def rival_models(study: Study) -> list[str]:
    """Models whose frontiers are drawn beside the scenario's."""
    return [of for of in RIVAL_MODELS if of != study.scenario.model][:RIVALS]


def rival_xpus(study: Study) -> list[str]:
    """Accelerators whose frontiers are drawn beside the scenario's."""
    others = [of for of in RIVAL_XPUS if of != study.scenario.xpu and of in study.hours.usd]
    return others[:RIVALS]


def _asked(study: Study) -> Iterator[Sought]:
    given, own, limits = study.scenario, study.case.requests, study.case.target
    models, xpus = (
        catalog.table(name).set_index("id")["name"].to_dict() for name in ("models", "xpus")
    )
    yield Sought("patient", target=UNHURRIED)
    for xpu in study.hours.usd:
        yield Sought("xpu", xpus[xpu], xpu=xpu)
    for speed in SPEEDS:
        paced = replace(limits, tpot=1.0 / speed)
        for model in (given.model, *rival_models(study)):
            yield Sought("model frontier", models[model], model=model, target=paced)
        for xpu in rival_xpus(study):
            yield Sought("xpu frontier", xpus[xpu], xpu=xpu, target=paced)
    for cv in BURSTS:
        yield Sought("bursts", requests=replace(own, interarrival_cv=cv), x=cv)
    for model in offered_models(study):
        for xpu in offered_xpus(study):
            for precision in specs.PRECISIONS:
                yield Sought("panel", model=model, xpu=xpu, precision=precision)


def _tokens(asked: Workload) -> float:
    return float(asked.prompt_tokens) + float(asked.output_tokens)
