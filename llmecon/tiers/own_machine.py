"""A model on a machine of one's own, which answers one request at a time.

Such a machine is seldom short of arithmetic while it writes: each token waits for the weights to
cross its memory. What it attains of its datasheet is taken from measured speeds of its kind, and
what it keeps once it is hot from tests that went on for minutes.
"""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.numerics import smooth_maximum
from llmecon.physics.architecture import attention_flops, kv_cache_bytes, parameters, weight_bytes
from llmecon.specs import LLM, PRECISIONS, Number, Precision, Workload, number
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

SHARPNESS = 8.0  # of the maximum of arithmetic and memory time
# Share of memory that an operating system leaves to a model; phones kill what takes more.
FREE_MEMORY = 0.6
# Before a machine is hot. Tests tell how fast it is after minutes, not when it slowed down.
BURST = 60.0


class Machine(eqx.Module):
    """A phone, a laptop or a small box, and what it attains.

    Attributes:
        memory: that a model may fill, bytes.
        memory_bandwidth: attained while tokens are written, bytes/s.
        flops: attained while a prompt is read, FLOP/s.
        power: drawn while it computes, beyond what it draws otherwise, W.
        sustained: share of its speed that it keeps once it is hot, above 0, at most 1.
        burst: time at full speed before it is hot, s.
    """

    memory: Number = number()
    memory_bandwidth: Number = number()
    flops: Number = number()
    power: Number = number()
    sustained: Number = number(default=1.0)
    burst: Number = number(default=BURST)


class Answered(NamedTuple):
    """One request on such a machine.

    Attributes:
        fits: 1 if weights and KV cache fit into its memory, else 0.
        ttft: time to first token, s.
        tpot: time per further token, s.
        seconds: until the last token, s.
        energy: beyond what the machine draws otherwise, J.
    """

    fits: Scalar
    ttft: Scalar
    tpot: Scalar
    seconds: Scalar
    energy: Scalar


class Attained(NamedTuple):
    """What machines of a kind attain, from measurements.

    Attributes:
        memory: median share of memory bandwidth while writing.
        compute: median share of the bf16 rate while reading a prompt.
        memory_sd: standard deviation of the logarithm over machines and programs.
        compute_sd: likewise.
        rows: measurements.
    """

    memory: float
    compute: float
    memory_sd: float
    compute_sd: float
    rows: int


def throttled(work: Scalar, machine: Machine) -> Scalar:
    """How long work takes on a machine that slows down when it is hot.

    Args:
        work: time at full speed, s.
        machine: its burst and what it sustains.

    Returns:
        Seconds: work itself up to the burst, and what is beyond it at the sustained speed.
    """
    beyond = jnp.maximum(work - machine.burst, 0.0)
    return work + beyond * (1.0 / machine.sustained - 1.0)


def token_time(llm: LLM, machine: Machine, precision: Precision, context: Scalar) -> Scalar:
    """Time to write one token at full speed.

    Args:
        llm: the model.
        machine: where it runs.
        precision: bytes per weight and cached element.
        context: tokens attended to.

    Returns:
        Seconds: active weights and KV cache over the memory, or arithmetic where that is slower.
    """
    count = parameters(llm)
    active = (
        count.attention * precision.attention
        + (count.feed_forward + count.active_experts) * precision.feed_forward
        + count.head * precision.embedding
    )
    moved = active + kv_cache_bytes(llm, precision, context)
    computed = 2.0 * count.active + attention_flops(llm, jnp.ones_like(context), context)
    return smooth_maximum(
        moved / machine.memory_bandwidth, computed / machine.flops, sharpness=SHARPNESS
    )


def prompt_time(llm: LLM, machine: Machine, precision: Precision, tokens: Scalar) -> Scalar:
    """Time to read a prompt at full speed.

    Args:
        llm: the model.
        machine: where it runs.
        precision: bytes per weight.
        tokens: of the prompt that are computed.

    Returns:
        Seconds: arithmetic, or one pass of all weights where that is slower.
    """
    count = parameters(llm)
    body = 2.0 * (count.active - count.head) * tokens + 2.0 * count.head
    computed = body + attention_flops(llm, tokens, jnp.zeros_like(tokens))
    moved = weight_bytes(llm, precision)
    return smooth_maximum(
        computed / machine.flops, moved / machine.memory_bandwidth, sharpness=SHARPNESS
    )


def answer(
    llm: LLM,
    machine: Machine,
    precision: Precision,
    workload: Workload,
    in_a_row: Scalar | float = 1.0,
) -> Answered:
    """One request, answered on the machine.

    Args:
        llm: the model.
        machine: where it runs.
        precision: bytes per weight and cached element.
        workload: prompt and answer.
        in_a_row: requests answered one after the other without time to cool, 1 or more.

    Returns:
        Times and energy of an average one of them. A hot machine takes longer and draws less, so
        the energy is that of the work.
    """
    output = workload.output_tokens
    first = prompt_time(llm, machine, precision, workload.computed_prompt_tokens)
    each = token_time(llm, machine, precision, workload.mean_context)
    work = first + (output - 1.0) * each
    slower = throttled(in_a_row * work, machine) / (in_a_row * work)
    needed = weight_bytes(llm, precision) + kv_cache_bytes(
        llm, precision, workload.prompt_tokens + output
    )
    return Answered(
        fits=jnp.where(needed <= machine.memory, 1.0, 0.0),
        ttft=first * slower,
        tpot=each * slower,
        seconds=work * slower,
        energy=work * machine.power,
    )


@cache
def measured() -> pd.DataFrame:
    """Speeds measured on single machines, as shares of their datasheets.

    Returns:
        A row a measurement: xpu, kind, phase (decode or prefill), tokens_per_s, share and what
        share times the datasheet would be divided by (`per_token`, bytes or FLOP).
    """
    devices = catalog.table("xpus").set_index("id")
    edge = catalog.table("edge_devices").dropna(subset="xpu")
    bits = edge["bits_per_weight"].fillna(4.0)
    size = edge["parameters_b"] * 1e9
    phases = {"decode": size * bits / 8.0, "prefill": 2.0 * size}
    own = pd.concat(
        edge[["xpu"]].assign(
            phase=phase, tokens_per_s=edge[f"{phase}_tokens_per_s"], per_token=per_token
        )
        for phase, per_token in phases.items()
    )
    runs = catalog.table("measured_edge").query("devices == 1")
    llms = {model: catalog.llm(model) for model in runs["model"].unique()}
    runs = runs.assign(per_token=[_per_token(of, llms) for of in runs.to_dict("records")])
    rows = pd.concat([own, runs[["xpu", "phase", "tokens_per_s", "per_token"]]]).dropna()
    rows = rows.merge(devices, left_on="xpu", right_index=True)
    attainable = np.where(
        rows["phase"] == "decode", rows["memory_bandwidth_tb_s"], rows["bf16_tflops"]
    )
    share = rows["tokens_per_s"] * rows["per_token"] / (attainable * catalog.TERA)
    return rows[["xpu", "name", "kind", "phase", "tokens_per_s", "per_token"]].assign(share=share)


def _per_token(of: Mapping[Hashable, Any], llms: Mapping[str, LLM]) -> float:
    """Bytes moved or FLOPs computed for a token of a measured run."""
    llm = llms[str(of["model"])]
    count, tokens = parameters(llm), jnp.asarray(float(of["tokens"]))
    if of["phase"] == "prefill":
        return float(2.0 * count.active + attention_flops(llm, tokens, 0.0 * tokens) / tokens)
    # Programs of the kind keep the cache in 16 bits; on average half of the tokens are in it.
    cached = kv_cache_bytes(llm, PRECISIONS["int4"], tokens / 2.0)
    return float(count.active * float(of["bits_per_weight"]) / 8.0 + cached)


def attained(kind: str, without: str = "") -> Attained:
    """What machines of a kind attain of their datasheets.

    Args:
        kind: of the table xpus: phone, laptop, edge, workstation.
        without: id of an accelerator whose own measurements are left out.

    Returns:
        Medians over what was measured; for a phase that nobody measured on the kind, over all
        kinds but data centres, and so is the deviation where there is one measurement only.

    Raises:
        InputError: no measurement of the kind at all.
    """
    rows = measured()
    rows = rows[(rows["kind"] != "datacenter") & (rows["xpu"] != without)]
    ours = rows[rows["kind"] == kind]
    if ours.empty:
        known = ", ".join(dict.fromkeys(rows["kind"]))
        raise InputError(f"nobody measured machines of kind {kind!r}; use one of {known}")

    def of(phase: str) -> tuple[float, float]:
        every, some = (
            np.log(frame[frame["phase"] == phase]["share"].to_numpy(float))
            for frame in (rows, ours)
        )
        middle = np.median(some if some.size else every)
        deviation = np.std(some if some.size > 1 else every, ddof=1)
        return float(np.exp(middle)), float(deviation)

    memory, compute = of("decode"), of("prefill")
    return Attained(memory[0], compute[0], memory[1], compute[1], len(ours))


def machine(xpu_id: str) -> Machine:
    """A machine of the catalogue.

    Args:
        xpu_id: a phone, laptop, workstation or edge accelerator of the table xpus.

    Returns:
        What it attains by its kind; heat as tests of its kind show, none where there is a fan.

    Raises:
        InputError: unknown, or of a kind that was not measured.
    """
    of, sheet = catalog.row("xpus", xpu_id), catalog.xpu(xpu_id)
    if of["kind"] == "datacenter":
        raise InputError(f"{xpu_id} serves many at once; use a phone, laptop, workstation or edge")
    shares = attained(str(of["kind"]))
    return Machine(
        memory=FREE_MEMORY * sheet.memory,
        memory_bandwidth=shares.memory * sheet.memory_bandwidth,
        flops=shares.compute * sheet.bf16_flops,
        power=sheet.tdp,
        sustained=sustained(str(of["kind"])),
    )


def sustained(kind: str) -> float:
    """The speed that a hot machine keeps, as a share of its speed when cool.

    Args:
        kind: of machine: phone, laptop and so on.

    Returns:
        The median of tests of minutes; 1 where none slowed down or none was made.
    """
    frame = catalog.table("edge_devices")
    shares = frame[frame["kind"] == kind]["sustained_share"].dropna()
    return float(shares.median()) if len(shares) else 1.0
