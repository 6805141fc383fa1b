"""Models, accelerators, requests and what kernels attain, as the records that the models read."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.errors import InputError
from llmecon.specs import LLM, XPU, Efficiency, LatencyTarget, Site, Workload
from llmecon.tables.catalog.rows import ids, require, row, table, value_or
from llmecon.tables.efficiencies import MULTIPLES, Attainment, Effect, System

GB = 1e9
# Makers count memory capacity, unlike bandwidth, in binary gigabytes.
# Vendors count memory in units of 2**30 bytes and print them as GB.
GIB = 2.0**30
TERA = 1e12

# A cluster whose network is not published is given 100 Gb/s Ethernet per device.
COMMON_NETWORK_GB_S = 12.5

Record = TypeVar("Record", bound=eqx.Module)


class Scores(NamedTuple):
    """Scores of models that compare, because all were asked in one way.

    Attributes:
        benchmark: what was asked.
        setting: how: shots, base or instruct, with or without thinking.
        shares: of the questions answered rightly, by model; every model scored so.
    """

    benchmark: str
    setting: str
    shares: Mapping[str, float]


def _llm(of: Mapping[str, Any]) -> LLM:
    return LLM(
        layers=of["layers"],
        moe_layers=of["moe_layers"],
        width=of["width"],
        heads=of["heads"],
        kv_heads=of["kv_heads"],
        head_dim=of["head_dim"],
        value_dim=of["v_head_dim"],
        ff_width=of["ff_width"],
        ff_matrices=of["ff_matrices"],
        vocabulary=of["vocabulary"],
        tied_embeddings=of["tied_embeddings"],
        experts=of["experts"],
        experts_per_token=of["experts_per_token"],
        expert_ff_width=of["expert_ff_width"],
        shared_experts=of["shared_experts"],
        kv_lora_rank=of["kv_lora_rank"],
        rope_dim=of["rope_dim"],
        q_lora_rank=of["q_lora_rank"],
        window=of["window_tokens"],
        windowed_layers=of["windowed_layers"],
        context=of["context_tokens"],
    )


def _xpu(of: Mapping[str, Any], matmul_share: float) -> XPU:
    bf16 = of["bf16_tflops"] * TERA
    has_fp8 = pd.notna(of["fp8_tflops"])
    has_fp4 = pd.notna(of["fp4_tflops"])
    has_link = pd.notna(of["link_gb_s"])
    network = of["network_gb_s"] if pd.notna(of["network_gb_s"]) else COMMON_NETWORK_GB_S
    return XPU(
        bf16_flops=bf16,
        fp8_flops=of["fp8_tflops"] * TERA if has_fp8 else bf16,
        fp8_native=float(has_fp8),
        fp4_flops=of["fp4_tflops"] * TERA if has_fp4 else bf16,
        fp4_native=float(has_fp4),
        memory=of["memory_gb"] * GIB,
        memory_bandwidth=of["memory_bandwidth_tb_s"] * TERA,
        link_bandwidth=(of["link_gb_s"] if has_link else network) * GB,
        link_domain=of["link_domain"] if has_link else 1.0,
        network_bandwidth=network * GB,
        tdp=of["tdp_w"] if pd.notna(of["tdp_w"]) else _typical_watts_per_tflops() * bf16 / TERA,
        matmul_share=matmul_share,
    )


@cache
def _matmul_shares() -> Mapping[str, float]:
    """What large matrix products attain of the datasheet's rate, over the precisions measured."""
    rates = table("matmul_rates").merge(table("xpus"), left_on="xpu", right_on="id")
    peaks = [of[f"{of['precision']}_tflops"] for _, of in rates.iterrows()]
    return dict((rates["tflops"] / peaks).groupby(rates["xpu"]).mean())


@cache
def _typical_matmul_share() -> float:
    """What stands in for accelerators whose products nobody has timed."""
    return float(np.median(list(_matmul_shares().values())))


@cache
def _typical_watts_per_tflops() -> float:
    """What stands in for a power rating that the maker does not publish."""
    frame = table("xpus")
    peers = frame[(frame["kind"] == "datacenter") & frame["tdp_w"].notna()]
    return float((peers["tdp_w"] / peers["bf16_tflops"]).median())


def common_scores(models: Iterable[str], benchmark: str = "mmlu") -> Scores:
    """Published scores in a setting that some models have in common.

    Args:
        models: ids of models, or names of hosted ones, to be compared.
        benchmark: id of a benchmark in quality.csv.

    Returns:
        The scores in that setting: of several, one of tuned models before one of base models, then
        the one that most models were scored in.

    Raises:
        InputError: the models have no setting in common; the message lists what each has.
    """
    rows = table("quality").query("benchmark == @benchmark")
    wanted = list(dict.fromkeys(models))
    settings = {model: set(rows[rows["model"] == model]["setting"]) for model in wanted}
    common = set.intersection(*settings.values())
    if not common:
        each = "; ".join(
            f"{model}: {' / '.join(sorted(of)) or 'none'}" for model, of in settings.items()
        )
        raise InputError(
            f"no setting of {benchmark} has scores of all models that are compared ({each}); "
            "choose models that were scored in the same one"
        )
    counts = rows["setting"].value_counts()
    best = min(common, key=lambda of: ("base" in of, -counts[of], of))
    scored = rows[rows["setting"] == best].set_index("model")["score_pct"]
    return Scores(benchmark, best, {str(of): float(pct) / 100.0 for of, pct in scored.items()})


def llm(identifier: str) -> LLM:
    """A model's architecture.

    Raises:
        InputError: unknown identifier.
    """
    return _known_llm(require("models", identifier))


@cache
def _known_llm(identifier: str) -> LLM:
    with jax.ensure_compile_time_eval():  # or the first caller's trace would be remembered
        return _llm(row("models", identifier))


def xpu(identifier: str) -> XPU:
    """An accelerator's datasheet in SI units, and what it attains of its matrix rate.

    Raises:
        InputError: unknown identifier.
    """
    return _known_xpu(require("xpus", identifier))


@cache
def _known_xpu(identifier: str) -> XPU:
    with jax.ensure_compile_time_eval():
        share = _matmul_shares().get(identifier, _typical_matmul_share())
        return _xpu(row("xpus", identifier), share)


def stack(records: Iterable[Record]) -> Record:
    """Records of one kind as one record with a leading dimension, ready for vmap.

    Raises:
        InputError: sites whose carbon intensities are of different kinds.
    """
    listed = list(records)
    alike(listed)
    stacked: Record = jax.tree.map(lambda *leaves: jnp.stack(leaves), *listed)
    return stacked


def alike(records: Sequence[object]) -> None:
    """Check that no sites with carbon intensities of different kinds stand side by side.

    Args:
        records: any; only sites among them are looked at.

    Raises:
        InputError: two kinds among the sites, or among what contracts say of them.
    """
    sites = [of for of in records if isinstance(of, Site)]
    for kinds in ({of.kind for of in sites}, {of.market_kind for of in sites}):
        if len(kinds) > 1:
            both = " and ".join(sorted(map(str, kinds)))
            raise InputError(f"carbon intensities {both} do not compare; use grids of one kind")


def llms(identifiers: Iterable[str] | None = None) -> LLM:
    """Many models as one record with a leading dimension; all of the catalogue by default."""
    return stack(llm(i) for i in (ids("models") if identifiers is None else identifiers))


def xpus(identifiers: Iterable[str] | None = None) -> XPU:
    """Many accelerators as one record with a leading dimension; all of them by default."""
    return stack(xpu(i) for i in (ids("xpus") if identifiers is None else identifiers))


@cache
def attainment() -> Attainment:
    """The calibrated efficiencies, with the effects of groups and draws from their posterior."""
    values = table("efficiencies").set_index("parameter")["value"]
    effects = [
        Effect(
            parameter=str(of["parameter"]),
            kind=str(of["kind"]),
            group=str(of["group"]),
            mean=float(of["mean"]),
            sd=float(of["sd"]),
            curves=int(of["curves"]),
        )
        for of in table("efficiency_effects").to_dict("records")
    ]
    scales = table("efficiency_effects").drop_duplicates("parameter").set_index("parameter")
    return Attainment(
        values={str(name): float(value) for name, value in values.items()},
        scales={
            str(name): str(scale)
            for name, scale in scales["scale"].items()
            if name not in MULTIPLES
        },
        effects={(of.parameter, of.kind, of.group): of for of in effects},
        draws={
            str(name): frame["value"].to_numpy(float)
            for name, frame in table("efficiency_draws").groupby("parameter", sort=False)
        },
    )


@cache
def system(
    model: str | None = None,
    xpu: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
) -> System:
    """What a system's efficiencies are looked up by; leave out what isn't known.

    Args:
        model: id of the model.
        xpu: id of the accelerator.
        engine: serving software, such as vllm, sglang, trtllm.
        precision: of the weights.

    Raises:
        InputError: unknown model or accelerator.
    """
    return System(
        engine=engine or "",
        xpu=require("xpus", xpu) if xpu else "",
        model=require("models", model) if model else "",
        family=str(row("models", model)["family"]) if model else "",
        precision=precision or "",
    )


def memory_gb(held: float) -> float:
    """Memory as vendors print it.

    Args:
        held: bytes.

    Returns:
        GB of 2**30 bytes, the unit of the column `memory_gb` and of "H100 80GB".
    """
    return held / GIB


def efficiency(system: System | None = None) -> Efficiency:
    """What kernels and servers attain of a datasheet, as calibrated.

    Args:
        system: the system (see `system`); what all systems share, by default.

    Returns:
        The most probable efficiencies.
    """
    return attainment().efficiency(system or System())


def efficiency_draws(system: System | None = None) -> Efficiency:
    """Draws of a system's efficiencies from all that is uncertain about them.

    Args:
        system: the system (see `system`); an unknown one, by default.

    Returns:
        A record with a leading dimension of draws, to be used with vmap.
    """
    return attainment().efficiency_draws(system or System())


def workload(identifier: str) -> Workload:
    """A published distribution of requests; coefficients of variation not published are 1.

    Raises:
        InputError: unknown identifier.
    """
    of = row("workloads", identifier)
    return Workload(
        prompt_tokens=of["prompt_tokens"],
        output_tokens=of["output_tokens"],
        cached_fraction=value_or(of["cached_fraction"], 0.0),
        prompt_cv=value_or(of["prompt_cv"], 1.0),
        output_cv=value_or(of["output_cv"], 1.0),
        interarrival_cv=value_or(of["interarrival_cv"], 1.0),
    )


def latency_target(identifier: str) -> LatencyTarget:
    """Published limits on latency; a limit not published is a minute a token or first token.

    Raises:
        InputError: unknown identifier.
    """
    of = row("latency_targets", identifier)
    return LatencyTarget(
        ttft=value_or(of["ttft_s"], 60.0),
        tpot=value_or(of["tpot_s"], 60.0),
        quantile=value_or(of["percentile"], 0.5),
    )


def served_alike(model: str) -> tuple[str, ...]:
    """Other models of the same architecture, which therefore cost the same to serve.

    Raises:
        InputError: unknown model.
    """
    frame = table("models").set_index("id")
    own = llm(model)
    leaves = jax.tree.leaves(own)
    near = frame.index[frame["layers"] == frame["layers"][model]]
    return tuple(
        str(of)
        for of in near
        if of != model and jax.tree.leaves(eqx.tree_at(_context, llm(of), own.context)) == leaves
    )


def _context(llm: LLM) -> Any:
    return llm.context
