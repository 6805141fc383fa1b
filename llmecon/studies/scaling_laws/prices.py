"""What FLOPs cost: a run and a service of a real model, by the chapter on numbers of accelerators.

A law counts 6 FLOPs a parameter and token of training, and 2 of serving. What these take on an
accelerator is not theirs to say: it is asked of the model of the catalogue that is nearest in size,
trained and served as the chapter on numbers of accelerators does it, and shared out over these
FLOPs. So both chapters price one run alike.
"""

import math
from dataclasses import dataclass, replace

from llmecon import scaling
from llmecon.errors import InputError
from llmecon.physics.architecture import parameters
from llmecon.physics.energy import energy_of
from llmecon.scaling.sizes import SERVING_FLOPS, TRAINING_FLOPS
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_DAY, SECONDS_PER_HOUR
from llmecon.studies.scaling_laws.model import Answer, Case, Work, in_dollars, usd_per_flop
from llmecon.studies.scaling_laws.scenario import Scenario
from llmecon.studies.xpu_needs import scenario as needs_scenario
from llmecon.studies.xpu_needs import study as needs_study
from llmecon.tables import catalog

LADDER = (
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen2.5-3b",
    "qwen2.5-7b",
    "qwen2.5-14b",
    "qwen2.5-32b",
    "llama-3.1-70b",
    "llama-3.1-405b",
)
"""Dense models alike in design, from small to large, of which the nearest prices FLOPs."""

# What is assumed of a run before it is planned, to choose the model that prices it.
ROUGH_SHARE = 0.35  # of peak
ROUGH_POWER = 1.4  # of the rating, host included
FEWEST, MOST = 1e6, 1e16  # tokens that the chapter on numbers of accelerators trains on


def size_of(model: str) -> float:
    """Parameters of a model that take part in every token.

    Args:
        model: its id.
    """
    return float(parameters(catalog.llm(model)).active)


def nearest(size: float) -> str:
    """The model of the ladder whose size is nearest, as a factor.

    Args:
        size: parameters.
    """
    return min(LADDER, key=lambda model: abs(math.log(size_of(model) / size)))


def tokens_for(model: str, compute: float) -> float:
    """Tokens on which some training FLOPs train a model, 6 a parameter and token.

    Args:
        model: its id.
        compute: FLOP.
    """
    return min(max(compute / TRAINING_FLOPS / size_of(model), FEWEST), MOST)


def asked(scenario: Scenario, model: str, tokens: float) -> needs_scenario.Scenario:
    """The run and the service as the chapter on numbers of accelerators takes them.

    Args:
        scenario: with accelerator, deadline, requests and region.
        model: id of the model.
        tokens: that it is trained on.
    """
    shared = (
        "xpu",
        "deadline_days",
        "precision",
        "tuning",
        "my_server",
        "prompt_tokens",
        "output_tokens",
        "usd_per_xpu_hour",
        "grid",
        "pue",
    )
    same = {name: getattr(scenario, name) for name in shared}
    return needs_scenario.Scenario(model=model, training_tokens=tokens, **same)


def answered(scenario: Scenario, model: str, tokens: float) -> needs_study.Study:
    """A run and a service of a model, planned and priced by the other chapter.

    Args:
        scenario: as in `asked`.
        model: likewise.
        tokens: likewise.

    Raises:
        InputError: the run doesn't fit or isn't in time, the service doesn't keep its limits, or
            nobody publishes what the accelerator rents for.
    """
    found = needs_study.resolve(asked(scenario, model, tokens))
    if not found.priced:
        raise InputError(
            f"nobody publishes what {scenario.xpu} rents for: give usd_per_xpu_hour, or choose "
            "another xpu"
        )
    if not found.fits:
        raise InputError(
            f"no number of {scenario.xpu} holds a training of {model}: choose an xpu with more "
            "memory, or a smaller model"
        )
    if not found.can_train:
        days = float(found.answer.training.plan.seconds) / SECONDS_PER_DAY
        raise InputError(
            f"deadline_days {scenario.deadline_days:g}: no number of {scenario.xpu} trains {model} "
            f"on {tokens:.3g} tokens in that time; the fastest takes {days:.3g} days: allow more "
            "of them or lower the budget"
        )
    if not found.can_serve:
        raise InputError(
            f"{model} on {scenario.xpu} can't keep the limits on time of xpu-needs: choose a "
            "faster xpu, a narrower precision or shorter requests"
        )
    return found


def of_training(study: needs_study.Study) -> Work:
    """What a FLOP of a run takes.

    Args:
        study: whose run.
    """
    run = study.answer.training
    flops = TRAINING_FLOPS * size_of(study.scenario.model) * study.scenario.training_tokens
    return Work(run.plan.device_seconds / flops, run.energy.total / flops)


def of_serving(study: needs_study.Study, utilisation: float) -> Work:
    """What a FLOP of a service takes, with the time that its fleet waits.

    Args:
        study: whose service.
        utilisation: mean load over the most that the fleet serves.
    """
    case, point = study.case, study.answer.serving.capacity.service.point
    rate = study.answer.serving.capacity.rate
    tokens = case.requests.prompt_tokens + case.requests.output_tokens
    busy = case.deployment.xpus / (rate * tokens)
    tdp, attained = case.xpu.tdp, case.efficiency
    resting = attained.power_multiple * attained.idle_power * tdp
    used = energy_of(
        busy / utilisation,
        utilisation * point.power + (1.0 - utilisation) * resting,
        attained.host_power * tdp,
        case.site,
        busy=utilisation,
        idle_power=resting,
    )
    flops = SERVING_FLOPS * size_of(study.scenario.model)
    return Work(busy / utilisation / flops, used.total / flops)


@dataclass(frozen=True)
class Repriced:
    """The size that costs least in its life, by the prices of a model of about that size.

    Attributes:
        name: the model's.
        training: cost of a FLOP of its training, over that of the case.
        serving: likewise.
        parameters: of the size that costs least at these.
    """

    name: str
    training: float
    serving: float
    parameters: float


def repriced(scenario: Scenario, model: str, case: Case, found: Answer) -> Repriced | None:
    """What the cheapest size would be if a model of about its own size priced FLOPs.

    Args:
        scenario: whose hardware and requests.
        model: id of the one that prices them.
        case: with its prices.
        found: the answer.

    Returns:
        Nothing where nothing is served, the same model is nearest to the cheapest size, or the one
        that is can't be trained or served as asked.
    """
    size = found.served
    own = nearest(float(size.parameters))
    if own == model or not scenario.served_tokens:
        return None
    compute = TRAINING_FLOPS * float(size.parameters * size.tokens)
    try:
        needs = answered(scenario, own, tokens_for(own, compute))
    except InputError:
        return None
    other = replace(
        case, training=of_training(needs), serving=of_serving(needs, scenario.utilisation)
    )
    best = scaling.lifetime_optimal(case.law, found.best.loss, in_dollars(other))
    training, serving = (
        float(usd_per_flop(other, new) / usd_per_flop(case, old))
        for new, old in ((other.training, case.training), (other.serving, case.serving))
    )
    return Repriced(catalog.name("models", own), training, serving, float(best.parameters))


def roughly(scenario: Scenario) -> float:
    """About how many FLOP a budget buys, before a run is planned.

    Args:
        scenario: whose budget.
    """
    xpu = catalog.xpu(scenario.xpu)
    seconds = 1.0 / (ROUGH_SHARE * float(xpu.bf16_flops))
    if scenario.budget_unit == "flop":
        return scenario.budget
    if scenario.budget_unit == "xpu-days":
        return scenario.budget * SECONDS_PER_DAY / seconds
    if scenario.budget_unit == "usd":
        price = catalog.rental_price(scenario.xpu)
        rent = scenario.usd_per_xpu_hour or (price.usd if price else math.nan)
        if not rent > 0.0:
            raise InputError(
                f"nobody publishes what {scenario.xpu} rents for: give usd_per_xpu_hour, or choose "
                "another xpu"
            )
        return scenario.budget / (rent / SECONDS_PER_HOUR * seconds)
    drawn = ROUGH_POWER * float(xpu.tdp) * scenario.pue / JOULES_PER_KWH * seconds
    grams = float(catalog.row("grid", scenario.grid)["g_co2e_per_kwh"])
    return scenario.budget * 1e6 / (drawn * grams)
