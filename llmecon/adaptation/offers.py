"""What there is to answer questions with: services, trainers, an index, and what is asked of them.

Prices come as rates by the token, so that those of an API and those of hardware of one's own
(`own_hardware`) are used alike.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.adaptation.knowledge import PASSAGE, Learning, Reading, Retriever
from llmecon.errors import InputError
from llmecon.specs import Instance, Number, Site, Workload, number

Scalar = Float[Array, "..."]

METHODS = ("as-is", "rag", "lora", "full", "both", "long-context")
"""Ways to answer: unaided, with passages, with an adapter, with new weights, with passages and an
adapter, with all documents in the prompt."""

RETRIEVING = ("rag", "both")
TUNED = ("lora", "full", "both")


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
        instance: model, accelerator, layout and what it attains.
        site: where the instances stand, with its PUE and grid.
        workload: the typical request; its lengths are replaced by those of the case.
        held: seconds for which a request holds an instance, with what stands ready for the peak.
        making: embodied carbon, kg CO2e per device and second.
        slowdown: what adapters make of every time, >= 1.
        least: instances that are there whether or not anyone asks: 1 of one's own, 0 of a provider,
            whose other customers fill them.
    """

    instance: Instance
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


def require_method(method: str) -> None:
    """Refuse what is not one of `METHODS`.

    Raises:
        InputError: no such method.
    """
    if method not in METHODS:
        raise InputError(f"method: {method!r} is not known; use one of {', '.join(METHODS)}")


def service_for(method: str, offers: Offers) -> Service:
    """The service that a way to answer asks.

    Raises:
        InputError: no such method.
    """
    require_method(method)
    return {
        "full": offers.tuned,
        "lora": offers.adapted,
        "both": offers.adapted,
        "long-context": offers.long,
    }.get(method, offers.base)


def trainer_for(method: str, offers: Offers) -> Trainer:
    """How a way to answer is trained, if it is."""
    return offers.full if method == "full" else offers.lora


def held_tokens(case: Case) -> Scalar:
    """Tokens of the documents that a prompt can hold beside all else."""
    rest = case.instruction_tokens + case.example_tokens + case.question_tokens + case.answer_tokens
    return jnp.clip(case.window - rest, 0.0, case.corpus)
