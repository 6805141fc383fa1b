"""Which accelerator, mixed fleets, phases apart: published findings, computed again.

A study of GPU choice [Griggs2024] measured tokens per dollar by request size under limits on the
time per output token, and what a fleet of several kinds of GPU saves over one of a single kind.
Here the serving model computes the same without having seen any of it, with the host work of the
engine of its time (see `older_engines`). Splitting the phases [Zhong2024] is priced from the same
model: prompts and tokens on instances of their own, in the numbers that keep both busy.

What comes of it, with nothing fitted: with today's engine an A100 buys more tokens than an A10G at
every size; with the early engine's host work small requests turn to the A10G under a loose limit,
and away from it as they grow or the limit tightens, as published, but its lead stays below the
published one over all of the range derived. Savings of mixed fleets overlap with the published
ranges but exceed them at low rates: one cheap GPU serves here what took the study two, since no
saving above 77% was found and one A10G for one H100 saves 87%. DistServe's devices were two to four
times slower than the model's in either arrangement, and gained more by being split.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy.stats import norm

from llmecon import serving
from llmecon.checks import mixed_fleets
from llmecon.checks.older_engines import Engine
from llmecon.checks.published_phases import STUDY_QUANTILE, fixed_lengths, split_by_length
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.specs import (
    SECONDS_PER_HOUR,
    XPU,
    Deployment,
    Instance,
    LatencyTarget,
    Workload,
    precision,
)
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

MODEL = "llama-2-7b"
XPUS = ("l4", "a10g", "a100-sxm-80gb", "h100-sxm")
ONE_DEVICE = Deployment(precision=precision("bf16"))
# Prompt and output lengths that the study's profiler steps through.
SIZES = (25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)
LIMITS = (0.12, 0.04)
# Requests per second that the study's fleets serve.
RATES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# The study's lengths are published as means only. Spreads are those of other traces: chat as in
# Azure's conversations; articles and abstracts vary less.
SPREADS = {"short": (1.28, 1.05), "long": (0.7, 0.4)}
# English words as tokens of this model.
TOKENS_PER_WORD = 1.33
# Parts that each length is cut into, equally likely.
PARTS = 4


def tokens_per_dollar(
    instance: Instance,
    workload: Workload,
    tpot: Scalar | float,
    usd_per_hour: Scalar | float,
    sequences: Scalar | float = serving.MAXIMUM_SEQUENCES,
) -> Scalar:
    """Output tokens that a dollar buys where requests of one size fill an accelerator.

    Args:
        instance: model, accelerator, layout and what it attains.
        workload: requests of one size.
        tpot: limit on the mean time per output token, s; none on the first token.
        usd_per_hour: price of the accelerator.
        sequences: most that run at once.

    Returns:
        Tokens per USD; 0 where the model does not fit or one request alone exceeds the limit
        [Griggs2024].
    """
    room = serving.largest_batch(instance, workload)
    paced = serving.operating_point_at(instance, workload, tpot)
    batch = jnp.minimum(paced.batch, sequences)
    point = serving.operating_point(instance, workload, batch)
    # A limit that binds is met to the last digits of a root search.
    able = (room >= 1.0) & (point.tpot <= tpot * (1.0 + 1e-9))
    bought = point.rate * workload.output_tokens * SECONDS_PER_HOUR / usd_per_hour
    return jnp.where(able, bought, 0.0)


@interpreted
def _grid(
    instances: Instance,
    requests: Workload,
    tpots: Float[Array, " n"],
    usd_per_hour: Float[Array, " xpus"],
    sequences: Scalar,
) -> Float[Array, "xpus n"]:
    """Tokens per USD of instances that differ in their accelerator."""
    of_each = jax.vmap(tokens_per_dollar, in_axes=(None, 0, 0, None, None))

    def on(xpu: XPU, usd: Scalar) -> Float[Array, " n"]:
        found: Array = of_each(replace(instances, xpu=xpu), requests, tpots, usd, sequences)
        return found

    found: Array = jax.vmap(on)(instances.xpu, usd_per_hour)
    return found


def prices() -> dict[str, float]:
    """Rental prices in the study, USD per hour, by id of the accelerator [Griggs2024]."""
    frame = _published()
    frame = frame[frame["quantity"] == "price"]
    return {str(name): float(usd) for name, usd in zip(frame["xpu"], frame["low"], strict=True)}


def compare(
    engine: Engine, sizes: tuple[float, ...] = SIZES, limits: tuple[float, ...] = LIMITS
) -> pd.DataFrame:
    """Tokens per dollar over sizes of requests, limits and accelerators, and which is cheapest.

    Args:
        engine: the serving software.
        sizes: lengths of prompts, and of outputs; all pairs are taken, tokens.
        limits: on the time per output token, s.

    Returns:
        Columns `prompt_tokens`, `output_tokens`, `tpot_s`, one of tokens per USD for each
        accelerator, and `winner`; pairs beyond the model's context are left out.
    """
    context = float(catalog.llm(MODEL).context)
    cells = [
        (prompt, output, limit)
        for limit in limits
        for prompt in sizes
        for output in sizes
        if prompt + output <= context
    ]
    prompts, outputs, tpots = np.array(cells).T
    frame = pd.DataFrame(cells, columns=["prompt_tokens", "output_tokens", "tpot_s"])
    frame[list(XPUS)] = _tokens(engine, prompts, outputs, tpots).T
    frame["winner"] = frame[list(XPUS)].idxmax(axis=1)
    return frame


def boundary(
    engine: Engine, cheap: str, fast: str, tpot: float, sizes: tuple[float, ...] = SIZES
) -> float:
    """The size of requests from which a faster accelerator buys more tokens per dollar.

    Args:
        engine: the serving software.
        cheap: id of the accelerator that wins small requests, one of XPUS.
        fast: id of the other.
        tpot: limit on the time per output token, s.
        sizes: at which prompts and outputs of equal length are tried, ascending, tokens.

    Returns:
        Tokens of the prompt, and of the output, interpolated in logarithms; 0 where the fast one
        wins all sizes, infinity where it wins none.

    Raises:
        InputError: an accelerator that is not compared.
    """
    for name in (cheap, fast):
        if name not in XPUS:
            raise InputError(f"{name} is not compared; use one of {', '.join(XPUS)}")
    lengths = np.array(sizes)
    bought = _tokens(engine, lengths, lengths, np.full_like(lengths, tpot))
    slow, quick = bought[XPUS.index(cheap)], bought[XPUS.index(fast)]
    ahead = quick >= slow
    if not ahead.any():
        return float("inf")
    first = int(np.argmax(ahead))
    if first == 0:
        return 0.0
    lead = np.log(quick[first - 1 : first + 1] / np.maximum(slow[first - 1 : first + 1], 1e-12))
    place = np.interp(0.0, lead, np.log(lengths[first - 1 : first + 1]))
    return float(np.exp(place))


def request_classes(workload: str) -> Float[np.ndarray, "classes 3"]:
    """Requests of a workload of the study, in classes of prompt and output length.

    Args:
        workload: short, long or mixed.

    Returns:
        Prompt tokens, output tokens and share of requests of each class: the middles of equally
        likely parts of lognormals with the published means, cut at the model's context.

    Raises:
        InputError: another workload.
    """
    if workload == "mixed":
        share = _finding("melange-share-mixed")
        short, long = request_classes("short"), request_classes("long")
        return np.concatenate([short * [1.0, 1.0, share], long * [1.0, 1.0, 1.0 - share]])
    if workload not in SPREADS:
        raise InputError(f"workload {workload!r} is not in the study; use short, long or mixed")
    lengths = [
        _quantiles(_mean_tokens(f"melange-{part}-{workload}"), spread)
        for part, spread in zip(("prompt", "output"), SPREADS[workload], strict=True)
    ]
    prompts, outputs = (axis.ravel() for axis in np.meshgrid(*lengths, indexing="ij"))
    prompts = np.minimum(prompts, float(catalog.llm(MODEL).context) - outputs)
    return np.stack([prompts, outputs, np.full_like(prompts, 1.0 / len(prompts))], axis=1)


def fleet(engine: Engine, workload: str, tpot: float, rate: float) -> mixed_fleets.Fleet:
    """The study's problem: four kinds of accelerators, a workload and a rate.

    Args:
        engine: the serving software.
        workload: short, long or mixed.
        tpot: limit on the time per output token, s.
        rate: requests per second of all together.

    Returns:
        The fleet in the order of XPUS, with costs in USD per hour.

    Raises:
        InputError: as `request_classes`.
    """
    prompts, outputs, shares = request_classes(workload).T
    cost = np.array([prices()[name] for name in XPUS])
    bought = _tokens(engine, prompts, outputs, np.full_like(prompts, tpot))
    capacity = bought * cost[:, None] / SECONDS_PER_HOUR / outputs
    return mixed_fleets.Fleet(rate * shares, capacity, cost)


def savings(
    engine: Engine, workload: str, tpot: float, rates: tuple[float, ...] = RATES
) -> pd.DataFrame:
    """What the cheapest mixed fleet saves over the cheapest fleet of each kind alone.

    Args:
        engine: the serving software.
        workload: short, long or mixed.
        tpot: limit on the time per output token, s.
        rates: requests per second.

    Returns:
        A row for each rate and accelerator that can serve everything: `rate`, `xpu`,
        `mixed_usd_per_hour`, `single_usd_per_hour`, `saving` as a share, and instances of each
        kind in the mixed fleet.

    Raises:
        InputError: as `request_classes`; or no fleet serves everything.
    """
    found = []
    for rate in rates:
        asked = fleet(engine, workload, tpot, rate)
        best = mixed_fleets.best(asked)
        if isinstance(best, mixed_fleets.Clash):
            raise InputError(
                f"no accelerator serves every request of {workload} within {tpot:g} s per token"
            )
        for option, name in enumerate(XPUS):
            alone = mixed_fleets.single(asked, option)
            if isinstance(alone, mixed_fleets.Clash):
                continue
            found.append(
                {
                    "rate": rate,
                    "xpu": name,
                    "mixed_usd_per_hour": best.cost,
                    "single_usd_per_hour": alone.cost,
                    "saving": 1.0 - best.cost / alone.cost,
                    **dict(zip(XPUS, best.instances, strict=True)),
                }
            )
    return pd.DataFrame(found)


def reproduce(engine: Engine) -> pd.DataFrame:
    """Every published finding that the model can compute, beside what it computes.

    Args:
        engine: the serving software.

    Returns:
        Rows of `published_choices` with `computed_low` and `computed_high`, and `agrees`: within
        (all of the computed range in the published one), overlaps or outside.
    """
    frame = _published()
    grid = compare(engine)
    rows = []
    for of in frame.to_dict("records"):
        computed = _computed({str(k): v for k, v in of.items()}, engine, grid)
        if computed is not None:
            rows.append({**of, "computed_low": computed[0], "computed_high": computed[1]})
    found = pd.DataFrame(rows)
    low, high = found["low"].fillna(-np.inf), found["high"].fillna(np.inf)
    inside = (found["computed_low"] >= low) & (found["computed_high"] <= high)
    meets = (found["computed_low"] <= high) & (found["computed_high"] >= low)
    found["agrees"] = np.where(inside, "within", np.where(meets, "overlaps", "outside"))
    return found


def _computed(
    of: Mapping[str, Any], engine: Engine, grid: pd.DataFrame
) -> tuple[float, float] | None:
    """The range of values that the model gives for a finding; None where it can't say."""
    if of["quantity"] == "tokens-per-usd-ratio":
        at = grid[np.isclose(grid["tpot_s"], of["tpot_s"])]
        ratios = at[of["xpu"]] / at[of["rival"]]
        return float(ratios.max()), float(ratios.max())
    if of["quantity"] in ("fleet-saving", "fleet-cost-ratio"):
        table = savings(engine, of["workload"], of["tpot_s"])
        if of["quantity"] == "fleet-saving":
            return float(table["saving"].min()), float(table["saving"].max())
        costs = table.pivot(index="rate", columns="xpu", values="single_usd_per_hour")
        ratios = costs[of["xpu"]] / costs[of["rival"]]
        return float(ratios.min()), float(ratios.max())
    if pd.notna(of["ttft_s"]):
        target = LatencyTarget(of["ttft_s"], of["tpot_s"], STUDY_QUANTILE)
        only = (of["prompt_tokens"],)
        at = split_by_length(of["model"], of["xpu"], 1.0, of["output_tokens"], target, engine, only)
        name = str(of["quantity"]).partition("-")[2].replace("ratio", "gain")
        return float(at[name].iloc[0]), float(at[name].iloc[0])
    return None


def _tokens(
    engine: Engine,
    prompts: Float[np.ndarray, " n"],
    outputs: Float[np.ndarray, " n"],
    tpots: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "xpus n"]:
    """Tokens per USD of each accelerator, in the order of XPUS."""
    usd = prices()
    xpus = catalog.stack(engine.xpu(name) for name in XPUS)
    requests = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, prompts.shape),
        fixed_lengths(jnp.asarray(prompts), jnp.asarray(outputs)),
    )
    found = _grid(
        Instance(catalog.llm(MODEL), xpus, ONE_DEVICE, engine.efficiency),
        requests,
        jnp.asarray(tpots),
        jnp.array([usd[name] for name in XPUS]),
        jnp.asarray(engine.sequences),
    )
    return np.asarray(found)


def _quantiles(mean: float, spread: float) -> Float[np.ndarray, " parts"]:
    """Middles of equally likely parts of a lognormal, scaled so that their mean is the mean."""
    sigma = np.sqrt(np.log1p(spread**2))
    middles = np.exp(sigma * norm.ppf((np.arange(PARTS) + 0.5) / PARTS))
    return np.asarray(mean * middles / middles.mean())


def _mean_tokens(identifier: str) -> float:
    of = catalog.row("published_choices", identifier)
    return float(of["low"]) * (TOKENS_PER_WORD if of["unit"] == "words" else 1.0)


def _finding(identifier: str) -> float:
    return float(catalog.row("published_choices", identifier)["low"])


def _published() -> pd.DataFrame:
    return catalog.table("published_choices")
