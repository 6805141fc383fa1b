"""What there is to answer with: rented hardware, an API, training, and a search."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import pandas as pd

from llmecon import adaptation, serving, specs, training
from llmecon.adaptation import (
    Index,
    Offers,
    OwnDevices,
    Service,
    Tariff,
    Trainer,
    knowledge,
    published_studies,
)
from llmecon.costs import embodied
from llmecon.errors import InputError
from llmecon.evidence import whole_runs
from llmecon.execution.interpreter import interpreted
from llmecon.serving import Capacity
from llmecon.specs import (
    LLM,
    SECONDS_PER_HOUR,
    SECONDS_PER_MONTH,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    LatencyTarget,
    Site,
    Workload,
)
from llmecon.studies.rag_vs_ft import assumptions
from llmecon.studies.rag_vs_ft.scenario import Scenario
from llmecon.studies.systems import system_of
from llmecon.tables import catalog, feasibility, hardware_parts
from llmecon.tables.efficiencies import System
from llmecon.training.planning import TrainingPlan

MILLION = 1e6


@dataclass(frozen=True)
class Hardware:
    """Rented hardware: an instance that answers, and runs that train.

    Attributes:
        system: by which its efficiencies are looked up.
        site: where it stands.
        usd_per_hour: rent of a device.
        typical: the request that an instance is laid out for.
        layout: of the instance.
        capacity: the most that it completes of typical requests.
        base: as a service.
        long: as a service for prompts that hold all documents.
        reads_all: whether an instance answers those in time.
        lora: how adapters are trained.
        full: how all weights are trained.
        trains_lora: whether a run that trains an adapter fits.
        trains_full: whether one that trains all weights does.
    """

    system: System
    site: Site
    usd_per_hour: float
    typical: Workload
    layout: Deployment
    capacity: Capacity
    base: Service
    long: Service
    reads_all: bool
    lora: Trainer
    full: Trainer
    trains_lora: bool
    trains_full: bool

    @cached_property
    def efficiency(self) -> Efficiency:
        """What its kernels and servers attain."""
        return catalog.efficiency(self.system)


def hardware(scenario: Scenario) -> Hardware:
    """The hardware that a scenario names, laid out for its requests.

    Args:
        scenario: what is asked.

    Raises:
        InputError: the model or its requests don't fit, no load meets the limits on time, or
            nobody publishes a rent.
    """
    feasibility.require_memory(scenario.model, scenario.xpu, scenario.precision)
    rent = catalog.rental_price(scenario.xpu)
    if rent is None:
        raise InputError(
            f"xpu: no rental price of {scenario.xpu} is known; choose another, such as l40s"
        )
    prompt = opening(scenario) + scenario.question_tokens
    usual = prompt + assumptions.USUAL_PASSAGES * knowledge.PASSAGE
    feasibility.require_context(scenario.model, usual, scenario.answer_tokens)
    llm = catalog.llm(scenario.model)
    system = system_of(scenario)
    site = catalog.site(scenario.grid, facility=scenario.facility)
    devices = OwnDevices(site, rent.usd / SECONDS_PER_HOUR, _making(scenario.xpu))
    typical = _request(scenario, usual, opening(scenario))
    read = held(scenario, llm)
    longest = _request(scenario, prompt + read, opening(scenario) + read)

    def serve(asked: Workload, target: LatencyTarget) -> tuple[Deployment, Capacity, Service]:
        on = (llm, catalog.xpu(scenario.xpu), specs.precision(scenario.precision))
        return _served(*on, asked, catalog.efficiency(system), target, devices)

    def train(share: float) -> tuple[Trainer, TrainingPlan]:
        on = (llm, catalog.xpu(scenario.xpu), _run(scenario, share), catalog.efficiency())
        return _trained(training.TrainingJob(*on), _reliability(scenario), devices)

    layout, capacity, base = serve(typical, assumptions.TARGET)
    if not capacity.feasible > 0:
        target = assumptions.TARGET
        raise InputError(
            f"{scenario.model} on {scenario.xpu} can't answer such requests within "
            f"{float(target.ttft):g} s to the first token and {float(target.tpot):g} s a token; "
            "choose a smaller model or a faster xpu"
        )
    _, able, long = serve(longest, assumptions.PATIENT)
    (lora, adapting), (full, tuning) = train(assumptions.TRAINABLE), train(1.0)
    return Hardware(
        system=system,
        site=site,
        usd_per_hour=rent.usd,
        typical=typical,
        layout=layout,
        capacity=capacity,
        base=base,
        long=long,
        reads_all=bool(able.feasible > 0),
        lora=lora,
        full=full,
        trains_lora=bool(adapting.feasible > 0),
        trains_full=bool(tuning.feasible > 0),
    )


def opening(scenario: Scenario) -> float:
    """Tokens that open every prompt of a model that is not tuned."""
    return assumptions.INSTRUCTION_TOKENS + scenario.example_tokens


def corpus(scenario: Scenario) -> float:
    """Tokens of all documents."""
    return scenario.documents * scenario.document_tokens


def held(scenario: Scenario, llm: LLM) -> float:
    """Tokens of the documents that a prompt holds beside all else."""
    rest = opening(scenario) + scenario.question_tokens + scenario.answer_tokens
    return min(float(llm.context) - rest, corpus(scenario))


@interpreted
def _served(
    llm: LLM,
    xpu: XPU,
    number_format: specs.Precision,
    asked: Workload,
    efficiency: Efficiency,
    target: LatencyTarget,
    devices: OwnDevices,
) -> tuple[Deployment, Capacity, Service]:
    """The best instance for such requests, what it completes, and what its tokens cost."""
    layout, capacity = serving.best_deployment(llm, xpu, number_format, asked, efficiency, target)
    instance = Instance(llm, xpu, layout, efficiency)
    service = adaptation.own_service(
        instance, asked, target, devices, peak_to_mean=assumptions.PEAK_TO_MEAN
    )
    return layout, capacity, service


@interpreted
def _trained(
    job: training.TrainingJob, reliability: training.Reliability, devices: OwnDevices
) -> tuple[Trainer, TrainingPlan]:
    return adaptation.own_trainer(
        job,
        assumptions.TRAINING_DEADLINE,
        reliability,
        devices,
        assumptions.RELEASE_USD,
    )


def _request(scenario: Scenario, prompt: float, cached: float) -> Workload:
    lengths = (prompt, scenario.answer_tokens, cached / prompt)
    tokens, answer, share = (jnp.asarray(of) for of in lengths)
    return Workload(tokens, answer, cached_fraction=share)


def _run(scenario: Scenario, trainable: float) -> training.TrainingRun:
    """A typical run: every document shown ten times."""
    return training.TrainingRun(
        tokens=max(corpus(scenario) * 10.0, MILLION),
        sequence=assumptions.TRAINING_SEQUENCE,
        global_batch=assumptions.TRAINING_BATCH,
        trainable=trainable,
    )


def _reliability(scenario: Scenario) -> training.Reliability:
    """Failures of a usual cluster, and all that whole runs take besides."""
    times = whole_runs.overhead(scenario.model, scenario.xpu).median
    return whole_runs.with_overhead(whole_runs.CLUSTER, times)


def _making(xpu: str) -> float:
    """Making a device and its share of a server, kg CO2e per second of its life."""
    own = embodied.manufacture(hardware_parts.materials(xpu), hardware_parts.recipe())
    server = catalog.row("embodied_products", assumptions.SERVER)["kg_co2e"]
    return float(own.total + server / assumptions.SERVER_HOLDS) / assumptions.LIFETIME


def sold(scenario: Scenario) -> Mapping[str, Any]:
    """The hosted model that a scenario names.

    Args:
        scenario: what is asked.

    Raises:
        InputError: it is not sold by the token.
    """
    row = catalog.row("fine_tuning_prices", scenario.api)
    if pd.isna(row["training_usd_per_mtok"]) or pd.isna(row["input_usd_per_mtok"]):
        raise InputError(
            f"api: {scenario.api} has no price by the token for both training and answering; use "
            "one such as openai-gpt-4.1-mini-2025-04-14"
        )
    return row


def own(scenario: Scenario, hardware: Hardware, index: Index) -> Offers:
    """What there is on rented hardware.

    Args:
        scenario: with the number of customers, and what tuned tokens cost over plain ones.
        hardware: the instance and the training.
        index: of the passages.
    """
    slower = adaptation.adapter_slowdown(
        catalog.llm(scenario.model),
        specs.precision(scenario.precision),
        hardware.lora.weights,
        jnp.asarray(scenario.customers),
        hardware.capacity.service.point.batch,
    )
    ratio = scenario.tuned_price_ratio
    adapted = hardware.base.slowed(slower).paced(1.0, ratio or 1.0)
    tuned = adapted if ratio else hardware.base
    return Offers(hardware.base, adapted, tuned, hardware.long, hardware.lora, hardware.full, index)


def api(scenario: Scenario, hardware: Hardware, index: Index) -> Offers:
    """What there is through an API.

    What an API takes in time and carbon is not published: the given model's, on instances that
    many customers share, stand in.

    Args:
        scenario: with the hosted model.
        hardware: that stands in.
        index: of the passages.

    Raises:
        InputError: the hosted model is not sold by the token.
    """
    row = sold(scenario)
    plain, long = (_by_the_token(row, of) for of in (hardware.base, hardware.long))
    ratio = scenario.tuned_price_ratio
    hosted = plain.paced(1.0, ratio) if ratio else replace(plain, price=_tariff(row, ""))
    fee = jnp.asarray(row["hosting_usd_per_hour"] / SECONDS_PER_HOUR)
    hosted = replace(hosted, least_price=fee)
    per_token = jnp.asarray(row["training_usd_per_mtok"] / MILLION)
    trainer = replace(hardware.lora, price=per_token)
    return Offers(plain, hosted, hosted, long, trainer, trainer, index)


def _by_the_token(row: Mapping[str, Any], service: Service) -> Service:
    assert service.machines is not None
    shared = replace(service.machines, least=jnp.asarray(0.0))
    return Service(_tariff(row, "base_"), 0.0, assumptions.API_CACHE, shared)


def _tariff(row: Mapping[str, Any], prefix: str) -> Tariff:
    """USD per token of the plain or the tuned model."""
    price: dict[str, Any] = {
        what: row[f"{prefix}{what}_usd_per_mtok"] / MILLION
        for what in ("input", "cached_input", "output")
    }
    cached = price["input"] if pd.isna(price["cached_input"]) else price["cached_input"]
    return Tariff(0.0, price["input"], cached, price["output"])


@dataclass(frozen=True)
class Searching:
    """Published prices and findings that a search is made of.

    Attributes:
        embedding: row of what turns text into vectors.
        store: row of what keeps them.
        reranker: row of what sorts what was found.
        study: row of the search as published.
    """

    embedding: Mapping[str, Any]
    store: Mapping[str, Any]
    reranker: Mapping[str, Any]
    study: pd.Series

    @property
    def reranked(self) -> bool:
        """Whether the search reranks."""
        return bool(self.study["kind"] == "reranked")


def searching(scenario: Scenario) -> Searching:
    """Prices and findings of the search that a scenario names.

    Raises:
        InputError: no such search.
    """
    published_studies.retriever(scenario.retriever)
    return Searching(
        embedding=catalog.row("embedding_prices", assumptions.EMBEDDING),
        store=catalog.row("vector_store_prices", assumptions.STORE),
        reranker=catalog.row("reranker_prices", assumptions.RERANKER),
        study=published_studies.table_of(scenario.retriever).iloc[0],
    )


def index(scenario: Scenario, rows: Searching) -> Index:
    """A searchable store of a scenario's documents.

    Args:
        scenario: with the documents.
        rows: prices of what it is made of.
    """
    vector = rows.embedding["dimensions"] * assumptions.VECTOR_BYTES
    passage = vector + knowledge.PASSAGE * assumptions.BYTES_PER_TOKEN
    gigabytes = corpus(scenario) / knowledge.PASSAGE * passage / 1e9
    read = max(gigabytes, rows.store["least_gb_per_query"])
    reranking = float(rows.reranker["usd_per_search"]) if rows.reranked else 0.0
    return Index(
        embedding=rows.embedding["usd_per_mtok"] / MILLION,
        storage=rows.store["storage_usd_per_gb_month"] * passage / 1e9 / SECONDS_PER_MONTH,
        search=rows.store["usd_per_million_queries_per_gb"] / MILLION * read + reranking,
        seconds=assumptions.SEARCH_SECONDS + assumptions.RERANK_SECONDS * rows.reranked,
        refresh=assumptions.REFRESH,
        setup=assumptions.SETUP_USD,
    )
