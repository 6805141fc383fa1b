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
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.adaptation.knowledge import (
    PASSAGE,
    Learning,
    Reading,
    Retriever,
    freshness,
    kept,
    learned,
    reads,
    recall,
    right_with_passages,
)
from llmecon.costs import per_request
from llmecon.errors import InputError
from llmecon.physics.energy import Energy, energy_of
from llmecon.physics.roofline import parameters, weight_bytes
from llmecon.specs import (
    LLM,
    XPU,
    Deployment,
    Efficiency,
    LatencyTarget,
    Number,
    Precision,
    Site,
    Workload,
    number,
)
from llmecon.training import Reliability, TrainingRun
from llmecon.training.planning import TrainingPlan, plan_for_deadline

Scalar = Float[Array, "..."]

METHODS = ("as-is", "rag", "lora", "full", "both", "long-context")
"""Ways to answer: unaided, with passages, with an adapter, with new weights, with passages and an
adapter, with all documents in the prompt."""

RETRIEVING = ("rag", "both")
TUNED = ("lora", "full", "both")

ADAPTER_BYTES = 2.0  # adapters stay in 16 bits


class Tariff(eqx.Module):
    """What a request takes of something, by its tokens.

    Attributes:
        request: whatever its length.
        input: per prompt token that is computed.
        cached: per prompt token found in the cache.
        output: per output token.
    """

    request: Number = number(default=0.0)
    input: Number = number(default=0.0)
    cached: Number = number(default=0.0)
    output: Number = number(default=0.0)

    def of(self, computed: Scalar, cached: Scalar, output: Scalar) -> Scalar:
        """What a request of so many tokens takes.

        Args:
            computed: prompt tokens not in the cache.
            cached: prompt tokens in the cache.
            output: output tokens.

        Returns:
            In the tariff's unit.
        """
        return self.request + self.input * computed + self.cached * cached + self.output * output


class Machines(eqx.Module):
    """Instances that answer the questions, one's own or a provider's.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of an instance.
        efficiency: attained shares and overheads.
        site: where the instances stand, with its PUE and grid.
        workload: the typical request; its lengths are replaced by those of the case.
        held: seconds for which a request holds an instance, with what stands ready for the peak.
        making: embodied carbon, kg CO2e per device and second.
        slowdown: what adapters make of every time, >= 1.
        least: instances that are there whether or not anyone asks: 1 of one's own, 0 of a provider,
            whose other customers fill them.
    """

    llm: LLM
    xpu: XPU
    deployment: Deployment
    efficiency: Efficiency
    site: Site
    workload: Workload
    held: Tariff
    making: Number = number(default=0.0)
    slowdown: Number = number(default=1.0)
    least: Number = number(default=1.0)


class Service(eqx.Module):
    """A model that can be asked, on hardware of one's own or through an API.

    Attributes:
        price: USD.
        least_price: paid whether or not anyone asks, USD/s: an instance, or a hosting fee.
        cache_life: time that a prefix stays in the cache after it was used, s.
        machines: that answer; None where only the bill is asked for.
    """

    price: Tariff
    least_price: Number = number(default=0.0)
    cache_life: Number = number(default=3600.0)
    machines: Machines | None = None

    def paced(self, seconds: Scalar | float, usd: Scalar | float = 1.0) -> "Service":
        """The same service at another pace or price.

        Args:
            seconds: for which a request holds an instance, as a multiple of what it was.
            usd: price of a request, likewise.

        Returns:
            With `slowdown` as it was: what the times themselves become is up to the machines.
        """
        price = jax.tree.map(lambda rate: rate * usd, self.price)
        if self.machines is None:
            return Service(price, self.least_price, self.cache_life)
        held = jax.tree.map(lambda rate: rate * seconds, self.machines.held)
        machines = eqx.tree_at(lambda of: of.held, self.machines, held)
        return Service(price, self.least_price, self.cache_life, machines)

    def slowed(self, by: Scalar | float) -> "Service":
        """The same service with adapters that slow every step.

        Args:
            by: multiple of every time, >= 1 (`adapter_slowdown`).

        Returns:
            Requests hold an instance for longer, and cost as much more.
        """
        slower = self.paced(by, by)
        if slower.machines is None:
            return slower
        return eqx.tree_at(lambda of: of.machines.slowdown, slower, slower.machines.slowdown * by)


class Trainer(eqx.Module):
    """A way to train a model.

    Attributes:
        price: USD per training token.
        carbon: kg CO2e per training token.
        weights: how many are trained.
        round: of evaluating and releasing a newly trained model, USD.
    """

    price: Number = number()
    carbon: Number = number()
    weights: Number = number()
    round: Number = number(default=0.0)


class Index(eqx.Module):
    """A searchable store of passages.

    Attributes:
        embedding: of turning text into vectors, USD per token.
        storage: of keeping a passage, USD/s.
        search: of one search with its reranking, USD.
        seconds: that a search adds before the model starts, s.
        refresh: time between updates of the index, s.
        setup: of building it, USD.
    """

    embedding: Number = number()
    storage: Number = number()
    search: Number = number()
    seconds: Number = number()
    refresh: Number = number()
    setup: Number = number(default=0.0)


class Offers(eqx.Module):
    """What there is to answer with.

    Attributes:
        base: the model as published.
        adapted: the same with an adapter.
        tuned: the same with weights of its own.
        long: the model as published, for prompts that hold all documents.
        lora: how adapters are trained.
        full: how all weights are trained.
        index: of the passages.
    """

    base: Service
    adapted: Service
    tuned: Service
    long: Service
    lora: Trainer
    full: Trainer
    index: Index


class Case(eqx.Module):
    """What is asked, about what, and how that changes.

    Attributes:
        queries: questions per second, on average.
        documents: how many there are.
        document_tokens: in each.
        change: rate at which a fact changes, per second.
        known: share of the questions that the model answers rightly as it is.
        instruction_tokens: that open every prompt.
        example_tokens: that show the model what to do, and that fine-tuning makes needless.
        question_tokens: in each question.
        answer_tokens: in each answer.
        wrong: what a wrong answer costs, USD.
        label: of preparing a document for training, each time that it changed, USD.
        horizon: over which everything is counted, s.
        replaced: time until a better base model takes over and training starts anew, s.
        tenants: customers who need a model of their own.
        window: longest prompt that the model takes, tokens.
    """

    queries: Number = number()
    documents: Number = number()
    document_tokens: Number = number()
    change: Number = number()
    known: Number = number()
    instruction_tokens: Number = number()
    example_tokens: Number = number()
    question_tokens: Number = number()
    answer_tokens: Number = number()
    wrong: Number = number()
    label: Number = number()
    horizon: Number = number()
    replaced: Number = number()
    tenants: Number = number(default=1.0)
    window: Number = number(default=131072.0)

    @property
    def corpus(self) -> Scalar:
        """Tokens of all documents."""
        return self.documents * self.document_tokens

    @property
    def life(self) -> Scalar:
        """Time that a tuned model is kept up before it is replaced, s."""
        return jnp.minimum(self.horizon, self.replaced)


class Knowledge(eqx.Module):
    """How well a model finds, reads and learns.

    Attributes:
        retriever: of passages.
        reading: of the model.
        learning: of all its weights.
        adapter: learning of an adapter.
    """

    retriever: Retriever
    reading: Reading
    learning: Learning
    adapter: Learning


class Knobs(eqx.Module):
    """What is up to whoever builds the service.

    Attributes:
        passages: put into a prompt, 1 or more.
        passage_tokens: in each.
        exposures: times that training shows each fact.
        interval: time between trainings, s.
        replay: share of the unchanged documents trained on again, 0 to 1.
    """

    passages: Number = number()
    passage_tokens: Number = number(default=PASSAGE)
    exposures: Number = number(default=1.0)
    interval: Number = number(default=1.0)
    replay: Number = number(default=1.0)


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
        emitted = emitted + tokens * _trainer(method, offers).carbon
    _, anew, cached = _prompt(method, case, _service(method, offers), knobs)
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
    service = _service(method, offers)
    prefix, anew, cached = _prompt(method, case, service, knobs)
    each = service.price.of(anew, cached, case.answer_tokens)
    least = service.least_price * _models(method, case)
    served = case.horizon * jnp.maximum(case.queries * each, least)
    setup = retrieval = training = labelling = jnp.zeros(())
    if method in RETRIEVING:
        setup = offers.index.setup
        retrieval = _retrieval(case, offers.index, knobs)
    if method in TUNED:
        trainer = _trainer(method, offers)
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
    service = _service(method, offers)
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
    llm, xpu, layout, attained = (
        machines.llm, machines.xpu, machines.deployment, machines.efficiency,
    )  # fmt: skip
    # An instance whose every time is longer does at some rate what another does at a higher one.
    rate = machines.slowdown * queries / there
    served = serving.serve(llm, xpu, layout, asked, attained, rate)
    crew = per_request.Fleet(queries, there)
    used = per_request.request_energy(crew, served.point, xpu, layout, attained, machines.site)
    made = there * layout.xpus * machines.making / queries
    return Operation(
        instances=there,
        load=served.load,
        service=served,
        ttft=machines.slowdown * served.ttft,
        tpot=machines.slowdown * served.point.tpot,
        energy=used,
        carbon=used.total * machines.site.carbon_intensity + made,
    )


def quality_over_life(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs
) -> Scalar:
    """Share of the questions answered rightly, as a mean over the model's life.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: its trainers and index.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay.

    Returns:
        Between 0 and 1.

    Raises:
        InputError: no such method.
    """
    _require(method)
    known = case.known * freshness(case.change, case.life)
    if method in TUNED:
        interval = jnp.minimum(knobs.interval, case.life)
        known = _known_after(method, case, offers, knowledge, knobs, interval)
        known = known * freshness(case.change, interval)
    return _with_context(method, case, offers, knowledge, knobs, known)


def quality_at(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs, time: Scalar
) -> Scalar:
    """Share of the questions answered rightly some time after the start.

    Args:
        method: one of `METHODS`.
        case: the questions and documents.
        offers: its trainers and index.
        knowledge: how well the model finds, reads and learns.
        knobs: passages, exposures, interval, replay.
        time: since the start, s.

    Returns:
        Between 0 and 1; a saw for a model that is trained now and then.

    Raises:
        InputError: no such method.
    """
    _require(method)
    age = time % case.replaced
    known = case.known * jnp.exp(-case.change * age)
    if method in TUNED:
        interval = jnp.minimum(knobs.interval, case.life)
        done = jnp.floor(age / interval * (1.0 + 1e-12))
        # The mean over n + 1 trainings times n + 1, less that over n, is what the last left.
        upto, before = (
            _known_after(method, case, offers, knowledge, knobs, interval, count)
            for count in (done + 1.0, jnp.maximum(done, 1.0))
        )
        latest = jnp.where(done < 1.0, upto, (done + 1.0) * upto - done * before)
        known = latest * jnp.exp(-case.change * (age - done * interval))
    return _with_context(method, case, offers, knowledge, knobs, known)


def _with_context(
    method: str, case: Case, offers: Offers, knowledge: Knowledge, knobs: Knobs, known: Scalar
) -> Scalar:
    """Right answers with whatever the prompt holds, given what the weights know."""
    if method in RETRIEVING:
        context = knobs.passages * knobs.passage_tokens
        found = recall(knowledge.retriever, knobs.passages, knobs.passage_tokens)
        read = reads(knowledge.reading, context, 1.0 if method in TUNED else 0.0)
    elif method == "long-context":
        context = _held(case)
        found = context / case.corpus
        read = reads(knowledge.reading, context)
    else:
        return known
    fresh = freshness(case.change, offers.index.refresh)
    return right_with_passages(found, read, knowledge.reading.misreading, known, fresh)


def _known_after(
    method: str,
    case: Case,
    offers: Offers,
    knowledge: Knowledge,
    knobs: Knobs,
    interval: Scalar,
    updates: Scalar | None = None,
) -> Scalar:
    """Share of the facts known right after a training, as a mean over trainings."""
    learning = knowledge.learning if method == "full" else knowledge.adapter
    weights = _trainer(method, offers).weights
    taken_up = learned(learning, knobs.exposures, case.documents, weights)
    changed = -jnp.expm1(-case.change * interval)
    count = case.life / interval if updates is None else updates
    return kept(learning, case.known, taken_up, changed, knobs.replay, count)


def _require(method: str) -> None:
    if method not in METHODS:
        raise InputError(f"method: {method!r} is not known; use one of {', '.join(METHODS)}")


def _service(method: str, offers: Offers) -> Service:
    _require(method)
    return {
        "full": offers.tuned,
        "lora": offers.adapted,
        "both": offers.adapted,
        "long-context": offers.long,
    }.get(method, offers.base)


def _trainer(method: str, offers: Offers) -> Trainer:
    return offers.full if method == "full" else offers.lora


def _held(case: Case) -> Scalar:
    """Tokens of the documents that a prompt can hold beside all else."""
    rest = case.instruction_tokens + case.example_tokens + case.question_tokens + case.answer_tokens
    return jnp.clip(case.window - rest, 0.0, case.corpus)


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
        prefix = prefix + _held(case)
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


def own_service(
    llm: LLM,
    xpu: XPU,
    deployment: Deployment,
    workload: Workload,
    efficiency: Efficiency,
    target: LatencyTarget,
    site: Site,
    device_cost: Scalar | float,
    making: Scalar | float = 0.0,
    peak_to_mean: Scalar | float = 1.0,
    slowdown: Scalar | float = 1.0,
) -> Service:
    """A service on hardware of one's own, its price as a rate by the token.

    The rates are the gradient of what `serving.capacity` says of a request; what remains is put
    on the request. So they are exact for the typical request and to first order around it.

    Args:
        llm: the model.
        xpu: the accelerator.
        deployment: the layout of an instance.
        workload: the typical request.
        efficiency: attained shares and overheads.
        target: limits on TTFT and TPOT.
        site: where the instances stand.
        device_cost: USD per device and second.
        making: embodied carbon, kg CO2e per device and second.
        peak_to_mean: peak over mean rate of requests, >= 1; instances are there for the peak.
        slowdown: what adapters make of every time (`adapter_slowdown`).

    Returns:
        Rates and machines; infinite or NaN where the instance serves nothing within its targets.
    """
    cached = workload.prompt_tokens * workload.cached_fraction
    typical = jnp.stack([workload.computed_prompt_tokens, cached, workload.output_tokens])

    def takes(tokens: Float[Array, "3"]) -> Scalar:
        prompt = tokens[0] + tokens[1]
        asked = eqx.tree_at(
            lambda of: (of.prompt_tokens, of.cached_fraction, of.output_tokens),
            workload,
            (prompt, tokens[1] / prompt, tokens[2]),
        )
        most = serving.capacity(llm, xpu, deployment, asked, efficiency, target)
        return slowdown * peak_to_mean / most.rate

    each, rates = takes(typical), jax.grad(takes)(typical)
    held = Tariff(each - rates @ typical, *rates)
    instance = deployment.xpus * device_cost
    return Service(
        price=jax.tree.map(lambda seconds: seconds * instance, held),
        least_price=instance,
        machines=Machines(llm, xpu, deployment, efficiency, site, workload, held, making, slowdown),
    )


def adapter_slowdown(
    llm: LLM, precision: Precision, weights: Scalar, adapters: Scalar, batch: Scalar
) -> Scalar:
    """What reading many adapters beside the weights makes of a decode step.

    Args:
        llm: the model.
        precision: of its weights.
        weights: in one adapter.
        adapters: that are in use.
        batch: requests in flight, which no more adapters than these can serve.

    Returns:
        A multiple of its time, as if all of it went into reading; 1 where there is one adapter,
        which is merged into the weights [Sheng2023].
    """
    distinct = jnp.minimum(adapters, batch)
    extra = distinct * weights * ADAPTER_BYTES / weight_bytes(llm, precision)
    return 1.0 + jnp.where(adapters > 1.0, extra, 0.0)


def own_trainer(
    llm: LLM,
    xpu: XPU,
    run: TrainingRun,
    deadline: Scalar | float,
    efficiency: Efficiency,
    reliability: Reliability,
    site: Site,
    device_cost: Scalar | float,
    making: Scalar | float = 0.0,
    release: Scalar | float = 0.0,
) -> tuple[Trainer, TrainingPlan]:
    """Training on hardware of one's own, by the token.

    Args:
        llm: the model.
        xpu: the accelerator.
        run: a typical run: its tokens, and the share of weights trained.
        deadline: for that run, s.
        efficiency: attained shares of peak and link rates.
        reliability: failures and what they cost.
        site: where the devices stand.
        device_cost: USD per device and second.
        making: embodied carbon, kg CO2e per device and second.
        release: of evaluating and releasing a model, USD.

    Returns:
        What a token takes, and the plan behind it, which says whether the run fits.
    """
    plan = plan_for_deadline(llm, xpu, run, jnp.asarray(deadline), efficiency, reliability)
    each = plan.device_seconds / run.tokens
    host = efficiency.host_power * xpu.tdp
    drawn = energy_of(each, plan.step.power, host, site).total
    trainer = Trainer(
        price=each * device_cost,
        carbon=drawn * site.carbon_intensity + each * making,
        weights=parameters(llm).total * run.trainable,
        round=release,
    )
    return trainer, plan
