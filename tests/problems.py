"""Problems that the library's tests share, and the traced functions that they reuse."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from llmecon import adaptation, specs, training
from llmecon.adaptation.knowledge import Learning, Reading, Retriever
from llmecon.costs.economics import ApiPrice, Conversation, Ownership
from llmecon.execution.interpreter import interpreted
from llmecon.serving.experience import Reader
from llmecon.specs import Deployment, Instance, LatencyTarget, Site, Workload
from llmecon.tables import catalog

HOUR = specs.SECONDS_PER_HOUR
DAY = specs.SECONDS_PER_DAY

# Dense with grouped queries, multi-head, latent attention and experts, sliding windows, both.
LLMS = ("llama-3.1-70b", "gpt-3-175b", "deepseek-v3", "gemma-3-27b", "gpt-oss-120b")
XPUS = ("h100-sxm", "tpu-v5p", "gb200", "v100-sxm", "apple-m3-max")

EFFICIENCY = catalog.efficiency()

# Every mechanism at once, at values where nothing is about to switch.
EVERYTHING = eqx.tree_at(
    lambda llm: (llm.window, llm.windowed_layers, llm.tied_embeddings),
    catalog.llm("deepseek-v3"),
    (jnp.asarray(700.0), jnp.asarray(20.0), jnp.asarray(0.3)),
)
GROUPED = eqx.tree_at(
    lambda llm: (llm.window, llm.windowed_layers),
    catalog.llm("llama-3.1-70b"),
    (jnp.asarray(700.0), jnp.asarray(20.0)),
)
DENSE = catalog.llm("llama-3.1-8b")

SPREAD = Deployment(
    tensor=4.0,
    expert=24.0,
    pipeline=2.0,
    precision=specs.precision("fp8"),
    draft_tokens=2.0,
    acceptance=0.7,
    draft_cost=0.05,
    disaggregated=0.3,
    overlap=0.4,
)
SINGLE = Deployment(precision=specs.precision("fp8"))

CHAT = Workload(
    prompt_tokens=1500.0,
    output_tokens=300.0,
    cached_fraction=0.3,
    prompt_cv=1.2,
    output_cv=0.9,
    interarrival_cv=1.5,
)
TARGET = LatencyTarget(ttft=2.0, tpot=0.08, quantile=0.95)

RUN = training.TrainingRun(
    tokens=1e12,
    sequence=4096.0,
    global_batch=4096.0 * 1024.0,
    trainable=0.9,
    compute_precision_gain=1.5,
)
RELIABILITY = training.Reliability(device_mtbf=50677.0 * HOUR, checkpoint=60.0, restart=600.0)
LAYOUT = training.TrainingLayout(
    tensor=4.0, pipeline=8.0, data=24.0, shard_weights=0.0, recompute=0.4
)
ALONE = training.TrainingLayout(tensor=1.0, pipeline=1.0, data=1.0)

SITE = Site(
    pue=1.2,
    carbon_intensity=0.4 / specs.JOULES_PER_KWH,
    market_intensity=0.1 / specs.JOULES_PER_KWH,
    marginal_intensity=0.5 / specs.JOULES_PER_KWH,
    electricity_price=0.08 / specs.JOULES_PER_KWH,
    water_on_site=0.3 / specs.JOULES_PER_KWH,
    water_off_site=3.0 / specs.JOULES_PER_KWH,
)
OWNERSHIP = Ownership(
    price=40_000.0,
    lifetime=5.0 * specs.SECONDS_PER_YEAR,
    discount_rate=0.08,
    maintenance=0.03,
    hosting=184.0 / 1000.0 / specs.SECONDS_PER_MONTH,
)
API = ApiPrice(input=3e-6, cached_input=0.3e-6, output=15e-6, batch_discount=0.5)
AGENT = Conversation(
    turns=12.0, system_tokens=4000.0, user_tokens=800.0, output_tokens=400.0, reuse=0.9
)
READER = Reader(ttft=jnp.asarray(1.0), speed=jnp.asarray(5.3))

# Questions about twenty thousand documents, answered in every way that there is.
NEWS = adaptation.Case(
    queries=0.4,
    documents=20_000.0,
    document_tokens=500.0,
    change=0.05 / specs.SECONDS_PER_MONTH,
    known=0.3,
    instruction_tokens=200.0,
    example_tokens=600.0,
    question_tokens=60.0,
    answer_tokens=150.0,
    wrong=0.02,
    label=0.05,
    horizon=2.0 * specs.SECONDS_PER_YEAR,
    replaced=0.8 * specs.SECONDS_PER_YEAR,
    tenants=3.0,
    window=131072.0,
)
MACHINES = adaptation.Machines(
    instance=Instance(DENSE, catalog.xpu("h100-sxm"), SINGLE, EFFICIENCY),
    site=SITE,
    workload=Workload(prompt_tokens=1860.0, output_tokens=150.0, cached_fraction=0.43),
    held=adaptation.Tariff(request=0.05, input=2e-5, cached=1e-7, output=4e-4),
    making=1e-6,
    slowdown=1.1,
)
SERVICE = adaptation.Service(
    price=adaptation.Tariff(request=1e-6, input=2e-7, cached=2e-8, output=8e-7),
    least_price=1e-6,
    cache_life=300.0,
    machines=MACHINES,
)
TUNED = eqx.tree_at(lambda of: of.least_price, SERVICE, jnp.asarray(2e-4))
FINDING = Retriever(first=1.0, decline=0.3)
OFFERS = adaptation.Offers(
    base=SERVICE,
    adapted=SERVICE,
    tuned=TUNED,
    long=SERVICE,
    lora=adaptation.Trainer(price=4e-7, carbon=1e-8, weights=4e7, round=100.0),
    full=adaptation.Trainer(price=8e-7, carbon=2e-8, weights=8e9, round=100.0),
    index=adaptation.Index(
        embedding=2e-8, storage=1e-12, search=1e-5, seconds=0.1, refresh=3600.0, setup=5000.0
    ),
)
KNOWLEDGE = adaptation.Knowledge(
    retriever=Retriever(first=0.5, decline=0.3, dilution=0.1, span=10.0),
    reading=Reading(alone=0.88, distraction=0.1, misreading=0.3, tuned=1.2),
    learning=Learning(45.0, 0.3, 0.1, 2.0, 500.0),
    adapter=Learning(60.0, 0.2, 0.1, 2.0, 500.0),
)
KNOBS = adaptation.Knobs(
    passages=5.0,
    passage_tokens=200.0,
    exposures=80.0,
    interval=0.25 * specs.SECONDS_PER_YEAR,
    replay=0.3,
)


def changed(record: Any, **values: float) -> Any:
    """A record with other values in some of its fields."""
    names = list(values)
    return eqx.tree_at(
        lambda of: tuple(getattr(of, name) for name in names),
        record,
        tuple(jnp.asarray(values[name], float) for name in names),
    )


def floats(*values: float) -> tuple[jax.Array, ...]:
    """Numbers as float64 scalars."""
    return tuple(jnp.asarray(value, float) for value in values)


def mixture(result: Any) -> Any:
    """Weights that mix all numbers of a result into one, each in units of its own size."""
    leaves, structure = jax.tree.flatten(result)
    weights = []
    for i, leaf in enumerate(leaves):
        size = jnp.where((leaf != 0) & jnp.isfinite(leaf), jnp.abs(leaf), 1.0)
        # Unequal, so that one number's error can't hide another's.
        weights.append(np.cos(1.0 + i) / size)
    return jax.tree.unflatten(structure, weights)


@cache
def with_gradient(function: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """A function's value and the gradient of a mixture of it: traced once for all tests.

    Reverse mode, because that is where an infinite slope of a branch not taken becomes NaN.
    """

    def value_and_gradient(arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        value, pull = jax.vjp(lambda of: function(*of), arguments)
        return value, pull(mixture(value))[0]

    return interpreted(value_and_gradient)


def evaluate(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function's value."""
    return _value(function)(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), arguments))


@cache
def _value(function: Callable[..., Any]) -> Callable[..., Any]:
    return interpreted(lambda arguments: function(*arguments))


@cache
def over_catalogue(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a model and an accelerator, at once for all pairs of two batches of them."""

    def every_pair(llms: Any, xpus: Any, *rest: Any) -> Any:
        over_xpus = jax.vmap(lambda llm: jax.vmap(lambda xpu: function(llm, xpu, *rest))(xpus))
        return over_xpus(llms)

    return interpreted(every_pair)


def named_leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a record with the path to each."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr(path), leaf


def all_finite(tree: Any) -> None:
    """Fail where a number of a record is not finite, and say which."""
    for path, leaf in named_leaves(tree):
        assert np.all(np.isfinite(leaf)), (path, leaf)


def close(first: Any, second: Any, rtol: float = 1e-9) -> None:
    """Fail where two records of one structure differ, and say where."""
    for (path, one), (_, other) in zip(named_leaves(first), named_leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-300, err_msg=path)
