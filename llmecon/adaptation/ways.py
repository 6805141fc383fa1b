"""Ways to make a model answer from documents: what each costs, and how often it is right.

The model as it is; retrieval (RAG), which puts passages into the prompt; fine-tuning of all weights
or of an adapter (LoRA), which puts the facts into the weights; both together; and long context,
which puts everything into a cached prompt. All are billed for the same questions over the same
horizon: tokens served, searches, training, labelling, and what wrong answers cost.

Prices come as rates by the token, so that those of an API and those of hardware of one's own
(`own_service`, `own_trainer`) are used alike. Time, energy and emissions are those of
`serving.serve` at the load that is asked for: the questions, spread over what instances there are.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.adaptation.offers import (
    RETRIEVING,
    TUNED,
    Case,
    Index,
    Knobs,
    Knowledge,
    Machines,
    Offers,
    Service,
    held_tokens,
    service_for,
    trainer_for,
)
from llmecon.adaptation.quality import quality_over_life
from llmecon.costs import per_request
from llmecon.errors import InputError
from llmecon.physics.energy import Energy

Scalar = Float[Array, "..."]


class Bill(NamedTuple):
    """What a way to answer costs over the horizon, USD.

    Attributes:
        setup: building what is not yet there.
        serving: tokens.
        retrieval: embedding, storing and searching passages.
        training: tokens trained on, and releases.
        labelling: documents prepared for training.
        wrong: wrong answers.
    """

    setup: Scalar
    serving: Scalar
    retrieval: Scalar
    training: Scalar
    labelling: Scalar
    wrong: Scalar

    @property
    def paid(self) -> Scalar:
        """All but the wrong answers, USD."""
        return self.total - self.wrong

    @property
    def total(self) -> Scalar:
        """Everything, USD."""
        return sum(self, start=jnp.zeros(()))


class Operation(NamedTuple):
    """What the machines do for the questions, on average over the horizon.

    Attributes:
        instances: that are there.
        load: requests per second of each, as a share of the most that its layout completes.
        service: of an instance at that load; `slowdown` is in its times.
        ttft: time to first token, without the search, s.
        tpot: time per output token, s.
        energy: of a question at the meter of the site, J.
        carbon: of a question, with the making of the machines, kg CO2e.
    """

    instances: Scalar
    load: Scalar
    service: serving.Service
    ttft: Scalar
    tpot: Scalar
    energy: Energy
    carbon: Scalar


class Outcome(NamedTuple):
    """What a way to answer does over the horizon.

    Attributes:
        bill: USD, by part.
        quality: share of the questions answered rightly.
        ttft: time to first token, s.
        response: time to the last token, s.
        prompt: tokens.
        carbon: kg CO2e.
        operation: of the machines.
    """

    bill: Bill
    quality: Scalar
    ttft: Scalar
    response: Scalar
    prompt: Scalar
    carbon: Scalar
    operation: Operation


def outcome(
    method: str,
    case: Case,
    offers: Offers,
    knowledge: Knowledge,
    knobs: Knobs,
) -> Outcome:
    """What a way to answer costs, how often it is right, and what its machines do.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: the services with their machines, the trainers and the index.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay; what a method does not use is ignored.

    Returns:
        Costs over the horizon, and means over it.

    Raises:
        InputError: no such method, or a service without machines.
    """
    works = operation(method, case, offers, knobs)
    searched = offers.index.seconds if method in RETRIEVING else jnp.zeros(())
    ttft = searched + works.ttft
    emitted = case.queries * case.horizon * works.carbon
    if method in TUNED:
        documents, _ = _trained(case, knobs)
        tokens = documents * case.document_tokens * knobs.exposures
        emitted = emitted + tokens * trainer_for(method, offers).carbon
    _, anew, cached = _prompt(method, case, service_for(method, offers), knobs)
    quality = quality_over_life(method, case, offers, knowledge, knobs)
    return Outcome(
        bill=_bill(method, case, offers, knobs, quality),
        quality=quality,
        ttft=ttft,
        response=ttft + works.tpot * jnp.maximum(case.answer_tokens - 1.0, 0.0),
        prompt=anew + cached,
        carbon=emitted,
        operation=works,
    )


def bill(method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs) -> Bill:
    """What a way to answer costs over the horizon: `outcome` without what the machines do.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: the services, trainers and index; needs no machines.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay.

    Returns:
        USD by part.

    Raises:
        InputError: no such method.
    """
    quality = quality_over_life(method, case, offers, knowledge, knobs)
    return _bill(method, case, offers, knobs, quality)


def _bill(method: str, case: Case, offers: Offers, knobs: Knobs, quality: Scalar) -> Bill:
    service = service_for(method, offers)
    prefix, anew, cached = _prompt(method, case, service, knobs)
    each = service.price.of(anew, cached, case.answer_tokens)
    least = service.least_price * _models(method, case)
    served = case.horizon * jnp.maximum(case.queries * each, least)
    setup = retrieval = training = labelling = jnp.zeros(())
    if method in RETRIEVING:
        setup = offers.index.setup
        retrieval = _retrieval(case, offers.index, knobs)
    if method in TUNED:
        trainer = trainer_for(method, offers)
        documents, rounds = _trained(case, knobs)
        tokens = documents * case.document_tokens * knobs.exposures
        training = tokens * trainer.price + rounds * trainer.round
        labelling = _labelled(case) * case.label
    if method == "long-context":
        anew_tokens = case.horizon * _rewrites(case, offers.index.refresh) * prefix
        served = served + anew_tokens * (service.price.input - service.price.cached)
    return Bill(
        setup=setup,
        serving=served,
        retrieval=retrieval,
        training=training,
        labelling=labelling,
        wrong=case.queries * case.horizon * case.wrong * (1.0 - quality),
    )


def operation(
    method: str,
    case: Case,
    offers: Offers,
    knobs: Knobs,
) -> Operation:
    """What the machines do for the questions: instances, their load, times and energy.

    There are as many instances as the peak needs, at least those that are always there, and they
    share the questions evenly. What one of them does at its share is `serving.serve`; its power is
    the mean over time of work and waiting.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: the services with their machines, and the index.
        knobs: passages and their length; the others are ignored.

    Returns:
        Means over the horizon.

    Raises:
        InputError: no such method, or a service without machines.
    """
    service = service_for(method, offers)
    machines = service.machines
    if machines is None:
        raise InputError(
            f"{method}: the service names no machines, which only its bill can do without"
        )
    prefix, anew, cached = _prompt(method, case, service, knobs)
    if method == "long-context":
        # A prefix that changed is computed anew by the next question.
        again = _rewrites(case, offers.index.refresh) * prefix / case.queries
        again = jnp.minimum(again, cached)
        anew, cached = anew + again, cached - again
    held = machines.held.of(anew, cached, case.answer_tokens)
    there = jnp.maximum(case.queries * held, machines.least * _models(method, case))
    return _at_load(machines, case.queries, there, anew, cached, case.answer_tokens)


# Traced by itself, since all ways to answer share it.
@eqx.filter_jit
def _at_load(
    machines: Machines,
    queries: Scalar,
    there: Scalar,
    anew: Scalar,
    cached: Scalar,
    output: Scalar,
) -> Operation:
    """What a number of instances does that share so many questions per second."""
    prompt = anew + cached
    asked = eqx.tree_at(
        lambda of: (of.prompt_tokens, of.cached_fraction, of.output_tokens),
        machines.workload,
        (prompt, cached / prompt, output),
    )
    instance = machines.instance
    # An instance whose every time is longer does at some rate what another does at a higher one.
    rate = machines.slowdown * queries / there
    served = serving.serve(instance, asked, rate)
    crew = per_request.Fleet(queries, there)
    used = per_request.request_energy(crew, served.point, instance, machines.site)
    made = there * instance.deployment.xpus * machines.making / queries
    return Operation(
        instances=there,
        load=served.load,
        service=served,
        ttft=machines.slowdown * served.ttft,
        tpot=machines.slowdown * served.point.tpot,
        energy=used,
        carbon=used.total * machines.site.carbon_intensity + made,
    )


def _models(method: str, case: Case) -> Scalar:
    """Models of which instances must be there."""
    return case.tenants if method == "full" else jnp.ones(())


def _prompt(
    method: str, case: Case, service: Service, knobs: Knobs
) -> tuple[Scalar, Scalar, Scalar]:
    """Tokens that open every prompt alike; those computed and those cached, on average."""
    passages = jnp.zeros(())
    if method in RETRIEVING:
        passages = knobs.passages * knobs.passage_tokens
    prefix = case.instruction_tokens
    if method not in TUNED:
        prefix = prefix + case.example_tokens
    if method == "long-context":
        prefix = prefix + held_tokens(case)
    # The prefix is still there if somebody asked within the cache's life.
    warm = -jnp.expm1(-case.queries * service.cache_life)
    return prefix, prefix * (1.0 - warm) + passages + case.question_tokens, prefix * warm


def _retrieval(case: Case, index: Index, knobs: Knobs) -> Scalar:
    """Embedding all documents and every change, storing the passages, searching, USD."""
    changes = case.change * case.horizon
    embedded = case.corpus * (1.0 + changes) + case.queries * case.horizon * case.question_tokens
    stored = case.corpus / knobs.passage_tokens * index.storage * case.horizon
    return embedded * index.embedding + stored + case.queries * case.horizon * index.search


def _trained(case: Case, knobs: Knobs) -> tuple[Scalar, Scalar]:
    """Documents trained on, each time counted, and the rounds of training."""
    lives = case.horizon / case.life
    interval = jnp.minimum(knobs.interval, case.life)
    rounds = case.life / interval
    changed = -jnp.expm1(-case.change * interval)
    again = (rounds - 1.0) * (changed + (1.0 - changed) * knobs.replay)
    return lives * case.documents * (1.0 + again), lives * rounds


def _labelled(case: Case) -> Scalar:
    """Documents prepared for training: all, and again as they change."""
    return case.documents * (1.0 + case.change * case.horizon)


def _rewrites(case: Case, refresh: Scalar) -> Scalar:
    """How often all documents in a prompt are computed anew, as one of them changed, per second."""
    return -jnp.expm1(-case.change * case.documents * refresh) / refresh
