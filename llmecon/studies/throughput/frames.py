"""What the charts and tables of the chapter on throughput show, as frames."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import physics, specs
from llmecon.execution.interpreter import interpreted
from llmecon.physics import Product
from llmecon.specs import LLM, Precision
from llmecon.studies.throughput.model import (
    LADDER,
    attained,
    one_device,
    with_drafts,
    with_precision,
)
from llmecon.studies.throughput.several import TOGETHER, passes, points, room_of, rounds
from llmecon.studies.throughput.study import Study, layout
from llmecon.tables import catalog
from llmecon.tables.catalog import TERA

Scalar = Float[Array, "..."]

FIRST = (
    "tokens_per_s_per_xpu",
    "tpot_s",
    "share_of_peak",
    "served_per_s",
)
"""The headline numbers that the chapter begins with; the reader is asked for the others first."""

GIGA = 1e9
WAYS = {
    "tensor": "everything split over all",
    "expert": "experts whole, the rest split",
    "data-expert": "experts whole, requests apart",
}
"""How an instance may share a model, as a reader calls it."""

MIXTURES = ("mixtral-8x7b", "qwen3-30b-a3b", "qwen3-235b-a22b", "gpt-oss-120b", "deepseek-v3")
"""Models whose experts are compared."""


def batches(study: Study) -> np.ndarray:
    """Numbers of requests in flight, from one to as many as fit, equal factors apart."""
    return np.geomspace(1.0, max(study.room, 2.0), TOGETHER)


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    values, rungs = study.values, study.ladder
    falls = rungs[:-1] / rungs[1:]
    return {
        "study": study,
        "values": values,
        "rungs": rungs,
        "steepest": LADDER[int(np.argmax(falls)) + 1],
        "fall": float(np.max(falls)),
    }


@interpreted
def _rates(products: Product, peak: Any, bandwidth: Any) -> Scalar:
    intensity = physics.arithmetic_intensity(products)
    return physics.attainable_rate(intensity, peak, bandwidth)


def products(study: Study) -> pd.DataFrame:
    """What one product attains as more tokens share its matrix.

    Returns:
        Columns tokens, tflops and series.
    """
    case, tokens = study.case, np.geomspace(1.0, 65_536.0, 65)
    precision, llm = case.layout.precision, case.llm
    shared = physics.output_projection(llm, precision, jnp.asarray(tokens))
    flops, bandwidth = (float(of) for of in attained(case))
    peak = float(physics.peak_flops(case.xpu, precision))
    series = {
        "by the datasheet": (shared, peak, float(case.xpu.memory_bandwidth)),
        "as attained": (shared, flops, bandwidth),
    }
    if float(llm.experts) > 0:
        own = Product(
            tokens * float(llm.experts_per_token / llm.experts),
            llm.width,
            llm.expert_ff_width,
            precision.feed_forward,
            precision.activation,
        )
        series["an expert's matrix"] = (own, flops, bandwidth)
    rows = {of: np.asarray(_rates(*given)) / TERA for of, given in series.items()}
    return pd.concat(
        [
            pd.DataFrame({"tokens": tokens, "tflops": tflops, "series": of})
            for of, tflops in rows.items()
        ]
    )


def attained_rates() -> pd.DataFrame:
    """What large products attain of the datasheet, as measured by others.

    Returns:
        The table of rates with columns name, label, peak [TFLOP/s] and share, in its order.
    """
    rates, chips = catalog.table("matmul_rates"), catalog.table("xpus").set_index("id")
    peak = np.asarray(
        [chips[f"{of['precision']}_tflops"][of["xpu"]] for of in rates.to_dict("records")], float
    )
    name = [catalog.name("xpus", xpu) for xpu in rates["xpu"]]
    label = [f"{n}, {p}" for n, p in zip(name, rates["precision"], strict=True)]
    return rates.assign(name=name, label=label, peak=peak, share=rates["tflops"] / peak)


def attained_by_chip(rates: pd.DataFrame) -> pd.DataFrame:
    """The same, the best measurement of each accelerator and precision."""
    best = rates.sort_values("tflops").groupby("label", sort=False).tail(1)
    return best.sort_values("share", ascending=False).reset_index(drop=True)


def caches(study: Study) -> pd.DataFrame:
    """What a decode step reads as contexts grow.

    Returns:
        Columns context, gigabytes and series.
    """
    case = study.case
    most = max(float(case.llm.context), 2.0 * float(case.requests.mean_context))
    contexts = np.geomspace(100.0, most, TOGETHER)
    ones = np.ones_like(contexts)
    found = passes([case] * len(contexts), ones, contexts - 1.0)
    cached = float(case.batch) * np.asarray(_caches(case.llm, case.layout.precision, contexts))
    series = {"weights": found["bytes"] - cached, "KV cache": cached}
    return pd.concat(
        pd.DataFrame({"context": contexts, "gigabytes": read / GIGA, "series": of})
        for of, read in series.items()
    )


@interpreted
def _caches(llm: LLM, precision: Precision, context: Any) -> Scalar:
    return physics.kv_cache_bytes(llm, precision, context)


@interpreted
def _even(llm: LLM, precision: Precision, size: Scalar) -> Scalar:
    return physics.context_of_cache(llm, precision, size)


def even_context(study: Study) -> float:
    """Tokens of context at which KV caches are as much to read as weights; may be infinite."""
    case = study.case
    found = passes([case], np.ones(1), np.zeros(1))
    token = float(_caches(case.llm, case.layout.precision, jnp.ones(())))
    weights = float(found["bytes"][0]) - float(case.batch) * token
    return float(_even(case.llm, case.layout.precision, jnp.asarray(weights / float(case.batch))))


def cache_per_token(study: Study) -> float:
    """Bytes that a token of a short context adds to its request's KV cache."""
    case = study.case
    return float(_caches(case.llm, case.layout.precision, jnp.ones(())))


def phases(study: Study) -> pd.DataFrame:
    """Decode steps and passes over prompts on the plane of the roofline.

    Returns:
        Columns intensity [FLOP/byte], tflops (per device), series and point (what a pass is).
    """
    case = study.case
    mean = float(case.requests.mean_context)
    flight = np.geomspace(1.0, max(study.room, 2.0), 12)
    prompts = np.geomspace(8.0, max(float(case.requests.prompt_tokens), 4096.0), 12)
    cases = [replace(case, batch=jnp.asarray(of)) for of in flight]
    cases += [replace(case, batch=jnp.ones(()))] * len(prompts)
    found = passes(
        cases,
        np.concatenate([np.ones_like(flight), prompts]),
        np.concatenate([np.full_like(flight, mean - 1.0), np.zeros_like(prompts)]),
    )
    devices = float(case.layout.xpus)
    names = ["writing answers"] * len(flight) + ["reading a prompt"] * len(prompts)
    told = [f"{of:,.0f} at once" for of in flight] + [f"{of:,.0f} tokens" for of in prompts]
    passed = pd.DataFrame(
        {
            "intensity": found["flops"] / found["bytes"],
            "tflops": found["flops"] / found["seconds"] / devices / TERA,
            "series": names,
            "point": told,
        }
    )
    flops, bandwidth = (float(of) for of in attained(case))
    along = np.geomspace(passed["intensity"].min(), 1.3 * passed["intensity"].max(), 40)
    roof = pd.DataFrame(
        {
            "intensity": along,
            "tflops": np.minimum(flops, along * bandwidth) / TERA,
            "series": "the roof, as attained",
            "point": "",
        }
    )
    return pd.concat([roof, passed])


def batching(study: Study) -> pd.DataFrame:
    """Output tokens per second and device as more requests are in flight.

    Returns:
        Columns batch, tokens, tpot [ms] and series.
    """
    flight, case = batches(study), study.case
    cases = [replace(case, batch=jnp.asarray(of)) for of in flight]
    mean = float(case.requests.mean_context)
    step = passes(cases, np.ones_like(flight), np.full_like(flight, mean - 1.0))
    seconds = step["seconds"] * float(case.efficiency.decode_multiple)
    mixed = points(cases)
    devices = float(case.layout.xpus)
    written = mixed["rate"] * float(case.requests.output_tokens) / devices
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "batch": flight,
                    "tokens": flight / seconds / devices,
                    "tpot": 1e3 * seconds,
                    "series": "steps alone",
                }
            ),
            pd.DataFrame(
                {
                    "batch": flight,
                    "tokens": written,
                    "tpot": 1e3 * mixed["tpot"],
                    "series": "with prompts in between",
                }
            ),
        ]
    )


def mixtures(study: Study) -> list[str]:
    """Ids of the models whose experts are compared, the scenario's own first if it has any."""
    own = study.scenario.model
    has = float(study.case.llm.experts) > 0
    return list(dict.fromkeys([*([own] if has else []), *MIXTURES]))


@interpreted
def touched(llm: LLM, tokens: Any, popularity_cv: Scalar) -> Scalar:
    """Share of a mixture's experts that the tokens of a step visit."""
    return physics.experts_touched(llm, tokens, popularity_cv) / llm.experts


def experts(study: Study) -> pd.DataFrame:
    """Share of the experts that tokens visit together.

    Returns:
        Columns tokens, percent and series: the models' names, in one where their routers choose
        as large a share.
    """
    tokens = np.geomspace(1.0, 4096.0, 49)
    uneven = study.case.efficiency.routing_cv
    alike: dict[float, list[str]] = {}
    for of in mixtures(study):
        llm = catalog.llm(of)
        alike.setdefault(float(llm.experts_per_token / llm.experts), []).append(of)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "tokens": tokens,
                    "percent": 100.0 * np.asarray(touched(catalog.llm(ids[0]), tokens, uneven)),
                    "series": ", ".join(catalog.name("models", of) for of in ids),
                }
            )
            for ids in alike.values()
        ]
    )


def devices(study: Study) -> pd.DataFrame:
    """A decode step's time by its parts, over devices from one on.

    Returns:
        Columns label, devices, part and ms; the devices' memory may not suffice.
    """
    case, domain = study.case, int(study.case.xpu.link_domain)
    counts = [2**i for i in range(12) if 2**i <= max(min(domain, 64), study.scenario.xpus)]
    counts = [of for of in counts if of <= domain or of % domain == 0]
    counts = sorted({*counts, study.scenario.xpus})
    layouts = [layout(study.scenario, of) if of > 1 else one_device(case.layout) for of in counts]
    cases = [replace(case, layout=of) for of in layouts]
    mean = float(case.requests.mean_context)
    found = passes(cases, np.ones(len(cases)), np.full(len(cases), mean - 1.0))
    parts = {
        "arithmetic and memory": found["seconds"] - found["network"] - found["overhead"],
        "exchanges": found["network"],
        "launches and host": found["overhead"],
    }
    return pd.concat(
        pd.DataFrame(
            {
                "label": [f"{of} xPU{'s' if of > 1 else ''}" for of in counts],
                "devices": counts,
                "part": part,
                "ms": 1e3 * seconds,
            }
        )
        for part, seconds in parts.items()
    )


def ways(study: Study) -> pd.DataFrame:
    """The same devices sharing the model in each way.

    Returns:
        Columns way, name, ms (of a step), exchanges (their share of it), room (requests that fit)
        and tokens (output per second and device, at the scenario's batch; 0 where it doesn't fit).
    """
    case = study.case
    layouts = [layout(study.scenario, parallelism=of) for of in WAYS]
    cases = [replace(case, layout=of) for of in layouts]
    mean = float(case.requests.mean_context)
    found = passes(cases, np.ones(len(cases)), np.full(len(cases), mean - 1.0))
    room = [room_of(of) for of in cases]
    written = points(cases)["rate"] * float(case.requests.output_tokens)
    fits = np.asarray(room) >= float(case.batch)
    return pd.DataFrame(
        {
            "way": list(WAYS),
            "name": list(WAYS.values()),
            "ms": 1e3 * found["seconds"],
            "exchanges": found["network"] / found["seconds"],
            "room": room,
            "tokens": np.where(fits, written / float(case.layout.xpus), 0.0),
        }
    )


def precisions(study: Study) -> pd.DataFrame:
    """The same instance in every precision.

    Returns:
        Columns precision, gigabytes (of weights), room (requests that fit), ms (of a step) and
        tokens (output per second and device); 0 tokens where the batch doesn't fit.
    """
    case = study.case
    names = list(specs.PRECISIONS)
    cases = [with_precision(case, of) for of in specs.PRECISIONS.values()]
    found = points(cases)
    room = np.asarray([room_of(of) for of in cases])
    written = found["rate"] * float(case.requests.output_tokens) / float(case.layout.xpus)
    weights = [float(physics.weight_bytes(case.llm, of)) for of in specs.PRECISIONS.values()]
    return pd.DataFrame(
        {
            "precision": names,
            "gigabytes": np.asarray(weights) / GIGA,
            "room": room,
            "ms": 1e3 * found["step"],
            "tokens": np.where(room >= float(case.batch), written, 0.0),
        }
    )


def drafts(study: Study) -> pd.DataFrame:
    """How much faster tokens come as more of them are drafted ahead.

    Returns:
        Columns drafted, gain, flight (requests) and series (the same in words).
    """
    lengths = np.asarray([0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
    flight = sorted({1.0, float(study.case.batch), float(np.floor(study.room))})
    cases = [
        with_drafts(replace(study.case, batch=jnp.asarray(of), draft_tokens=jnp.asarray(length)))
        for of in flight
        for length in lengths
    ]
    tpot = points(cases)["tpot"].reshape(len(flight), len(lengths))
    return pd.concat(
        pd.DataFrame(
            {
                "drafted": lengths,
                "gain": row[0] / row,
                "flight": of,
                "series": f"{of:,.0f} in flight",
            }
        )
        for of, row in zip(flight, tpot, strict=True)
    )


def continuous(study: Study) -> pd.DataFrame:
    """Requests per second, joining as others leave and in rounds.

    Returns:
        Columns batch, rate and series.
    """
    flight = batches(study)
    cases = [replace(study.case, batch=jnp.asarray(of)) for of in flight]
    rates = {"continuous": points(cases)["rate"], "in rounds": rounds(cases)["rate"]}
    return pd.concat(
        pd.DataFrame({"batch": flight, "rate": rate, "series": of}) for of, rate in rates.items()
    )


def alive(study: Study) -> float:
    """Share of a round's slots that hold an unfinished answer, on average over its steps."""
    return float(rounds([study.case])["alive"][0])


def rungs(study: Study) -> pd.DataFrame:
    """From the datasheet to the service.

    Returns:
        Columns rung and tokens (output per second and device), the datasheet first.
    """
    return pd.DataFrame({"rung": list(LADDER), "tokens": study.ladder})


def elasticities(study: Study) -> dict[str, float]:
    """By how many percent tokens per second and device change with each input."""
    return dict(study.quantities["tokens_per_s_per_xpu"].elasticities)
