"""What a task costs: one function of a case, all of whose ids are resolved into records.

Tasks are priced at scale: on a fleet that carries the peak and is so large that neither spares nor
whole instances count, each kind of call on instances in the layout that suits it. The plain
request's cost is therefore what the chapter on tokenomics has at scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import economics
from llmecon.costs.economics import ApiPrice, Conversation
from llmecon.serving import experience
from llmecon.specs import Deployment, LatencyTarget, Number, Workload, number
from llmecon.studies.tokenomics import model as tokenomics
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

THOUSAND = 1000.0  # tasks, that costs are told for

PLAIN, REASONED, PICTURED, CACHED, ANEW = TASKS = (
    "a plain request",
    "a reasoned answer",
    "a prompt with pictures",
    "a conversation with a prefix cache",
    "a conversation without a prefix cache",
)
"""The tasks whose costs are compared, as a reader calls them."""

OFFERED = (PLAIN, REASONED, CACHED)
"""Those of them that the live panel prices."""


class Case(eqx.Module):
    """A service, its prices, and what its tasks are made of.

    Attributes:
        service: which answers plain requests, with its hardware, limits and prices.
        layouts: of instances for each of `TASKS` but the plain request, whose layout is the
            service's.
        talk: an agent's conversation; its reuse is what the prefix cache supplies.
        equal: price list of the cheapest model that is as good; None where none is known.
        reasoning: hidden tokens before a reasoned answer.
        pictures: beside a plain prompt.
        picture_tokens: of one of them.
        patience: limit on TTFT of turns and of prompts with pictures, s.
    """

    service: tokenomics.Case
    layouts: Mapping[str, Deployment]
    talk: Conversation
    equal: ApiPrice | None
    reasoning: Number = number()
    pictures: Number = number()
    picture_tokens: Number = number()
    patience: Number = number()


class Answer(eqx.Module):
    """What tasks cost, and how long a reasoned answer is waited for.

    Attributes:
        feasible: by task, 1 where some load of an instance keeps its limits, else 0.
        usd: of a task on the service's hardware at scale, USD.
        called: of a task at the rival API, USD.
        equal: of a task at the API of the cheapest model that is as good, USD; None where none is
            known.
        ttft: of a reasoned answer's first hidden token, at the mean load, s.
        tpot: of its tokens, at the mean load, s.
        first_word: from the request to its first token that is no hidden reasoning, s.
        experience: quality of the experience of a reasoned answer's reader, 0 to 1.
    """

    feasible: Mapping[str, Scalar]
    usd: Mapping[str, Scalar]
    called: Mapping[str, Scalar]
    equal: Mapping[str, Scalar] | None
    ttft: Scalar
    tpot: Scalar
    first_word: Scalar
    experience: Scalar


def calls(case: Case) -> dict[str, Workload]:
    """The requests that each task is made of, on average.

    Args:
        case: the service and its tasks.

    Returns:
        By task; a conversation is as many of them as it has turns.
    """
    plain = case.service.requests
    shown = plain.prompt_tokens + case.pictures * case.picture_tokens
    turn = economics.conversation_workload(case.talk)
    return {
        PLAIN: plain,
        REASONED: replace(plain, output_tokens=plain.output_tokens + case.reasoning),
        PICTURED: replace(
            plain,
            prompt_tokens=shown,
            cached_fraction=plain.cached_fraction * plain.prompt_tokens / shown,
        ),
        CACHED: turn,
        ANEW: replace(turn, cached_fraction=jnp.zeros_like(jnp.asarray(turn.cached_fraction))),
    }


def targets(case: Case) -> dict[str, LatencyTarget]:
    """The limits on time that each task's requests have."""
    own = case.service.target
    relaxed = replace(own, ttft=case.patience)
    return {PLAIN: own, REASONED: own, PICTURED: relaxed, CACHED: relaxed, ANEW: relaxed}


def answer(case: Case, tasks: Sequence[str] = TASKS) -> Answer:
    """What tasks cost.

    Args:
        case: the service and its tasks.
        tasks: those to price, the reasoned answer among them.

    Returns:
        Costs by task, and the wait for a reasoned answer.
    """
    service, asked = case.service, calls(case)
    layouts = {PLAIN: service.layout, **case.layouts}
    limits = targets(case)
    feasible, usd, rates = jax.vmap(
        lambda requests, layout, target: at_scale(service, requests, layout, target)
    )(*(catalog.stack(of[task] for task in tasks) for of in (asked, layouts, limits)))
    times = {task: case.talk.turns if task in (CACHED, ANEW) else 1.0 for task in tasks}
    reasoned = serving.serve(
        replace(service, layout=layouts[REASONED]).instance,
        asked[REASONED],
        rates[tasks.index(REASONED)] / service.peak_to_mean,
    )
    first_word = experience.response_time(reasoned.ttft, reasoned.point.tpot, case.reasoning)

    def billed(price: ApiPrice) -> dict[str, Scalar]:
        return {task: times[task] * economics.api_cost(price, asked[task]) for task in tasks}

    return Answer(
        feasible={task: feasible[i] for i, task in enumerate(tasks)},
        usd={task: times[task] * usd[i] for i, task in enumerate(tasks)},
        called=billed(service.api),
        equal=None if case.equal is None else billed(case.equal),
        ttft=reasoned.ttft,
        tpot=reasoned.point.tpot,
        first_word=first_word,
        experience=experience.quality_of_experience(
            first_word, reasoned.point.tpot, service.requests.output_tokens, service.reader
        ),
    )


def at_scale(
    service: tokenomics.Case, requests: Workload, layout: Deployment, target: LatencyTarget
) -> tuple[Scalar, Scalar, Scalar]:
    """What a request costs on a large fleet that carries the peak.

    Args:
        service: with model, hardware and prices.
        requests: what is asked of it.
        layout: of an instance.
        target: limits on time.

    Returns:
        Whether some load keeps the limits (1 or 0), USD per request, and the requests per second
        of an instance at the peak.
    """
    full = serving.capacity(replace(service, layout=layout).instance, requests, target)
    cost = economics.token_cost(full.service.point, layout, requests, service.rent)
    rate = jnp.where(full.feasible > 0, full.rate, 1.0)
    return full.feasible, cost.request * service.peak_to_mean, rate


def of_turns(case: Case, turns: Scalar) -> tuple[Scalar, Scalar]:
    """A conversation of so many turns with the prefix cache.

    Args:
        case: the service and its tasks.
        turns: of the conversation.

    Returns:
        Whether some load keeps the limits and the context holds the last turn (1 or 0), and what
        the conversation costs at scale, USD.
    """
    case = replace(case, talk=replace(case.talk, turns=turns))
    feasible, usd, _ = at_scale(
        case.service, calls(case)[CACHED], case.layouts[CACHED], targets(case)[CACHED]
    )
    return feasible * holds(case), usd * turns


def last_turn(talk: Conversation) -> Scalar:
    """Tokens of the last turn of a conversation, its output included."""
    return talk.system_tokens + talk.turns * (talk.user_tokens + talk.output_tokens)


def holds(case: Case) -> Scalar:
    """1 where the model's context holds the last turn of the conversation, else 0."""
    return jnp.where(last_turn(case.talk) <= case.service.llm.context, 1.0, 0.0)


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told."""
    return told(answer(case))


def told(found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer, in the units in which they are told."""
    usd = found.usd
    return {
        "usd_per_thousand_plain": THOUSAND * usd[PLAIN],
        "usd_per_thousand_reasoned": THOUSAND * usd[REASONED],
        "reasoned_over_plain": usd[REASONED] / usd[PLAIN],
        "first_word_s": found.first_word,
        "usd_per_thousand_conversations": THOUSAND * usd[CACHED],
        "uncached_over_cached": usd[ANEW] / usd[CACHED],
        "usd_per_thousand_pictured": THOUSAND * usd[PICTURED],
        "usd_per_thousand_equal": THOUSAND
        * (jnp.full((), jnp.nan) if found.equal is None else found.equal[PLAIN]),
    }


UNITS = {
    "usd_per_thousand_plain": "USD",
    "usd_per_thousand_reasoned": "USD",
    "reasoned_over_plain": "times",
    "first_word_s": "s",
    "usd_per_thousand_conversations": "USD",
    "uncached_over_cached": "times",
    "usd_per_thousand_pictured": "USD",
    "usd_per_thousand_equal": "USD",
}
"""Units of the headline numbers."""


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input; several fields that move together are one input.
    """
    service, talk = effects.service, effects.talk
    xpu, target = service.xpu, service.target
    return {
        "prompt length": service.requests.prompt_tokens,
        "output length": service.requests.output_tokens,
        "hidden reasoning": effects.reasoning,
        "turns": talk.turns,
        "instructions": talk.system_tokens,
        "new input of a turn": talk.user_tokens,
        "output of a turn": talk.output_tokens,
        "reuse of the prefix cache": talk.reuse,
        "tokens of pictures": effects.picture_tokens,
        "arithmetic rate (all precisions)": xpu.bf16_flops + xpu.fp8_flops + xpu.fp4_flops,
        "memory bandwidth": xpu.memory_bandwidth,
        "memory capacity": xpu.memory,
        "links": xpu.link_bandwidth + xpu.network_bandwidth,
        "limit on TTFT": target.ttft + effects.patience,
        "limit on TPOT": target.tpot,
        "peak to mean": service.peak_to_mean,
        "price of an xPU-hour": service.rent,
    }
