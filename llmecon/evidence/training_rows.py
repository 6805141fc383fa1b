"""Measured training as the models read it: a row becomes a model, an accelerator and a layout.

The columns are those of measured_training_steps and measured_training_runs, or the shorter names
that measurement files use (params_active_b, n_devices, ...). Sizes are taken from columns, never
from the model's label. Of what is not recorded, the architecture is that of a model of the
catalogue of just this size or a typical one, and the layout is the usual one. A row that cannot
be used is set aside with the reason.
"""

from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.execution.interpreter import interpreted
from llmecon.physics.architecture import parameters
from llmecon.specs import LLM, XPU, Efficiency
from llmecon.tables import catalog
from llmecon.training import (
    USUAL_INTERLEAVING,
    TrainingJob,
    TrainingLayout,
    TrainingRun,
    TrainingStep,
    flops_per_token,
    training_memory,
    training_step,
)

Rows = Float[Array, " rows"]

# The catalogue's column names, by those of measurement files.
OUR_NAMES = {
    "model": "label",
    "params_total_b": "parameters_total_b",
    "params_active_b": "parameters_active_b",
    "hidden": "width",
    "seq_len": "sequence_tokens",
    "n_devices": "devices",
    "global_batch": "global_batch_sequences",
    "notes": "note",
}

# How sources spell the arithmetic of matrix products.
ARITHMETIC = {
    **dict.fromkeys(("bf16", "fp16", "amp_bf16", "amp_fp16", "int4"), "bf16"),
    **dict.fromkeys(("fp8", "amp_fp8", "mxfp8"), "fp8"),
    **dict.fromkeys(("fp4", "nvfp4", "mxfp4"), "fp4"),
}

# Fused attention spread after 2022 [Dao2022]: sources up to then trained without it. The year
# stands in a citation ("Narayanan et al. 2021") or in a key of the bibliography (Narayanan2021).
UNFUSED = r"(?:^|[^0-9/:.])(?:2019|202[0-2])(?:$|[^0-9.])"

# What stands in for a figure that a row does not record: common choices of the runs that do.
USUAL_SEQUENCE = 4096.0
USUAL_DEVICES = 256.0
USUAL_BATCH_TOKENS = 4e6
USUAL_DEVICE_TOKENS = 2048.0
USUAL_MICRO_BATCH_TOKENS = 16384.0
USUAL_MEMORY = 0.9
SELECTIVE_RECOMPUTATION = 0.15
# Where memory is short and no more is known, some activations are recomputed.
USUAL_RECOMPUTATION = 0.5

# Tensor width, pipeline depth, and whether weights are sharded.
USUAL_LAYOUTS = ((1, 1, True), (8, 1, True), (8, 1, False), (8, 4, False), (8, 16, False))

# Sizes (1e9 weights) and widths of published dense models, with GPT-2's vocabulary: the ladder of
# [Brown2020], continued by [Touvron2023LLaMA] at 65 and by [Korthikanti2022] beyond 175.
TYPICAL_SIZES = (0.125, 0.356, 0.76, 1.316, 2.65, 6.7, 13.0, 30.0, 65.0, 175.0, 530.0, 1008.0)
TYPICAL_WIDTHS = (768, 1024, 1536, 2048, 2560, 4096, 5120, 7168, 8192, 12288, 20480, 25600)
TYPICAL_VOCABULARY = 50257.0
TYPICAL_HEAD = 128.0
SAME_SIZE = 0.01


class Setups(eqx.Module):
    """Many measured set-ups, one a row; every field has a leading dimension of rows.

    Attributes:
        llm: the models.
        xpu: the accelerators.
        run: what was trained; its tokens are those of one step where a whole run isn't known.
        layout: how it was spread.
        counted_flops: FLOPs per token as published MFU counts them: with all of attention, its
            causal half included [Chowdhery2022].
        counted_peak: peak FLOP/s that published MFU refers to: that of the precision used.
    """

    llm: LLM
    xpu: XPU
    run: TrainingRun
    layout: TrainingLayout
    counted_flops: Rows
    counted_peak: Rows

    def jobs(self, efficiency: Efficiency) -> TrainingJob:
        """What is trained on what, a row each, if all attain the same."""
        return TrainingJob(self.llm, self.xpu, self.run, efficiency)


def in_our_names(frame: pd.DataFrame) -> pd.DataFrame:
    """A measurement file's rows under the catalogue's column names.

    Args:
        frame: rows in either naming; optional columns may be missing.

    Returns:
        A copy with every column that this module reads; those missing are empty.
    """
    # The catalogue's tables have `model` too, an id, beside `label`.
    names = {k: v for k, v in OUR_NAMES.items() if v not in frame}
    renamed = frame.rename(columns=names)
    for column in (*NUMBERS, *TEXTS):
        if column not in renamed:
            renamed[column] = np.nan if column in NUMBERS else ""
    for column in NUMBERS:
        renamed[column] = pd.to_numeric(renamed[column], errors="coerce").astype(float)
    for column in TEXTS:
        renamed[column] = renamed[column].fillna("").astype(str).str.strip()
    renamed["precision"] = renamed["precision"].str.lower()
    renamed["parameters_total_b"] = renamed["parameters_total_b"].fillna(
        renamed["parameters_active_b"]
    )
    renamed["parameters_active_b"] = renamed["parameters_active_b"].fillna(
        renamed["parameters_total_b"]
    )
    return renamed


NUMBERS = (
    "parameters_total_b",
    "parameters_active_b",
    "layers",
    "width",
    "sequence_tokens",
    "devices",
    "global_batch_sequences",
    "micro_batch_sequences",
    "tokens_b",
    "wallclock_days",
    "device_hours",
    "mfu_pct",
    "hfu_pct",
    "tokens_per_s_per_device",
    "step_time_s",
)
MOST = 1e12
"""Of whatever a row counts: what is above is a slip of the pen."""
TEXTS = ("label", "xpu", "precision", "parallelism", "recomputation", "source", "note")


def refusals(rows: pd.DataFrame, required: tuple[str, ...] = ()) -> pd.Series:
    """Why rows can't be predicted.

    Args:
        rows: as `in_our_names` returns them.
        required: numbers that must be there besides the model's size.

    Returns:
        One reason a row, empty where the row is usable.
    """
    reasons = pd.Series("", index=rows.index, dtype=object)

    def refuse(where: pd.Series, reason: Any) -> None:
        chosen = where & (reasons == "")
        reasons[chosen] = reason[chosen] if isinstance(reason, pd.Series) else reason

    known = set(catalog.ids("xpus"))
    refuse(rows["xpu"] == "", "xpu is empty")
    refuse(~rows["xpu"].isin(known), "xpu " + rows["xpu"] + " is not in the catalogue")
    for column in ("parameters_active_b", *required):
        refuse(~(rows[column] > 0), f"{column} is not a number above 0")
    for column in NUMBERS:
        refuse(rows[column].abs() > MOST, f"{column} is above {MOST:g}")
    refuse(
        rows["parameters_active_b"] > rows["parameters_total_b"],
        "parameters_active_b exceeds parameters_total_b",
    )
    refuse(
        ~rows["precision"].isin(list(ARITHMETIC)),
        "precision " + rows["precision"] + " is not one that is known",
    )
    return reasons


def setups(rows: pd.DataFrame) -> Setups:
    """Rows of measured training as records.

    Args:
        rows: usable rows (see `refusals`), as `in_our_names` returns them.

    Returns:
        The set-ups, in the rows' order.
    """
    names = sorted(set(rows["xpu"]))
    places = np.array([names.index(xpu) for xpu in rows["xpu"]])
    xpu = jax.tree.map(lambda leaf: leaf[places], catalog.xpus(names))
    arithmetic = rows["precision"].map(ARITHMETIC).to_numpy()
    peak = jnp.where(arithmetic == "fp8", xpu.fp8_flops, xpu.bf16_flops)
    peak = jnp.where(arithmetic == "fp4", xpu.fp4_flops, peak)

    sizes = rows[["parameters_total_b", "parameters_active_b", "layers", "width"]]
    llm = LLM(**_columns([architecture(*of) for of in sizes.to_numpy(float)]))
    sequence = rows["sequence_tokens"].fillna(USUAL_SEQUENCE).to_numpy()
    devices = rows["devices"].fillna(USUAL_DEVICES).to_numpy()
    recorded = rows["global_batch_sequences"].to_numpy() * sequence
    usual = np.maximum(USUAL_BATCH_TOKENS, np.maximum(USUAL_DEVICE_TOKENS * devices, sequence))
    batch = np.where(np.isnan(recorded), usual, recorded)
    run = TrainingRun(
        tokens=np.where(rows["tokens_b"].notna(), rows["tokens_b"] * 1e9, batch),
        sequence=sequence,
        global_batch=batch,
        trainable=np.ones(len(rows)),
        compute_precision_gain=peak / xpu.bf16_flops,
    )
    nothing = eqx.tree_at(lambda of: of.sequence, run, jnp.full(len(rows), 1e-6))
    flops = jax.vmap(flops_per_token)
    causal = flops(llm, run)
    return Setups(
        llm=llm,
        xpu=xpu,
        run=run,
        layout=_layouts(rows, TrainingJob(llm, xpu, run, catalog.efficiency()), devices),
        counted_flops=2.0 * causal - flops(llm, nothing),
        counted_peak=peak,
    )


def _columns(records: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([of[name] for of in records], float) for name in records[0]}


def architecture(
    total: float, active: float, layers: float = np.nan, width: float = np.nan
) -> dict[str, float]:
    """The architecture behind a row's sizes.

    Args:
        total: all weights [1e9].
        active: those that one token meets [1e9].
        layers: NaN if not recorded.
        width: NaN if not recorded.

    Returns:
        Fields of `specs.LLM`: a model of the catalogue if one has these sizes within a percent;
        else, for experts, the catalogue's nearest mixture scaled to them; else a dense model as
        wide as is typical.
    """
    shapes, sizes = _catalogue()
    distance = np.abs(np.log(sizes / [total, active])).max(axis=1)
    for given, column in ((layers, "layers"), (width, "width")):
        if not np.isnan(given):
            other = np.array([abs(np.log(shape[column] / given)) for shape in shapes])
            distance = np.maximum(distance, other)
    nearest = int(distance.argmin())
    if distance[nearest] < SAME_SIZE:
        return shapes[nearest]
    if active < (1.0 - SAME_SIZE) * total:
        return _mixture(total * 1e9, active * 1e9)
    return _dense(total * 1e9, layers, width)


@cache
def _catalogue() -> tuple[list[dict[str, float]], np.ndarray]:
    """Every architecture of the catalogue, with its total and active sizes in 1e9."""
    llms = catalog.llms()
    fields = {name: np.asarray(leaf) for name, leaf in vars(llms).items()}
    shapes = [
        {name: float(leaf[i]) for name, leaf in fields.items()} for i in range(len(llms.layers))
    ]
    sizes = catalog.table("models")[["parameters_total_b", "parameters_active_b"]].to_numpy(float)
    return shapes, sizes


def _dense(weights: float, layers: float, width: float) -> dict[str, float]:
    """A plain transformer of a given number of weights, as wide as is typical."""
    if np.isnan(width):
        at = np.log(weights / 1e9)
        width = float(np.exp(np.interp(at, np.log(TYPICAL_SIZES), np.log(TYPICAL_WIDTHS))))
        if not np.isnan(layers):
            # 12 layers width^2, besides the embedding.
            spare = TYPICAL_VOCABULARY / (24.0 * layers)
            width = float(np.sqrt(weights / (12.0 * layers) + spare**2) - spare)
    body = max(weights - TYPICAL_VOCABULARY * width, 0.2 * weights)
    if np.isnan(layers):
        layers = max(body / (12.0 * width**2), 1.0)
    feed_forward = max((body / layers - 4.0 * width**2) / (2.0 * width), width)
    heads = max(width / TYPICAL_HEAD, 1.0)
    return {
        **dict.fromkeys(LLM.__annotations__, 0.0),
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": width / heads,
        "value_dim": width / heads,
        "ff_width": feed_forward,
        "ff_matrices": 2.0,
        "vocabulary": TYPICAL_VOCABULARY,
        "tied_embeddings": 1.0,
        "context": 1e6,
    }


def _mixture(total: float, active: float) -> dict[str, float]:
    """The catalogue's nearest mixture of experts, scaled to total and active weights."""
    shapes, sizes = _catalogue()
    distance = np.hypot(*np.log(sizes * 1e9 / [total, active]).T)
    mixed = np.array([shape["moe_layers"] > 0 for shape in shapes])
    nearest = int(np.where(mixed, distance, np.inf).argmin())
    shape = dict(shapes[nearest])
    grown = (active / (sizes[nearest, 1] * 1e9)) ** (1.0 / 3.0)
    for name in ("layers", "moe_layers", "windowed_layers", "width", "ff_width", "expert_ff_width"):
        shape[name] *= grown
    shape["heads"] *= grown
    shape["kv_heads"] *= grown
    elsewhere = parameters(LLM(**shape))
    one = float(elsewhere.experts) / shape["experts"]
    shape["experts"] = max(
        (total - float(elsewhere.total - elsewhere.experts)) / one, shape["experts_per_token"]
    )
    return shape


def steps(jobs: TrainingJob, layouts: TrainingLayout) -> TrainingStep:
    """A step of each of several runs.

    Args:
        jobs: a row each, all of one efficiency.
        layouts: how each is spread.
    """

    def one(llm: LLM, xpu: XPU, run: TrainingRun, layout: TrainingLayout) -> TrainingStep:
        found: TrainingStep = training_step(TrainingJob(llm, xpu, run, jobs.efficiency), layout)
        return found

    found: TrainingStep = jax.vmap(one)(jobs.llm, jobs.xpu, jobs.run, layouts)
    return found


_price = interpreted(steps)


def _layouts(rows: pd.DataFrame, job: TrainingJob, devices: np.ndarray) -> TrainingLayout:
    """Layouts as recorded; where nothing is, the fastest of the usual ones that fits."""
    text = rows["parallelism"].str.upper()
    ranks = {kind: _ways(text, rf"\b{kind}(\d+)") for kind in ("TP", "PP", "CP", "EP")}
    ranked = ~np.isnan(np.stack(list(ranks.values()))).all(axis=0)
    whole = text.str.contains("FSDP|FULL_SHARD|ZERO-?3", regex=True).to_numpy()
    partly = text.str.contains("SHARD_GRAD_OP|ZERO-?[12]", regex=True).to_numpy()
    # Context parallelism splits sequences as tensor parallelism splits layers: much alike in cost.
    tensor = np.nan_to_num(ranks["TP"], nan=1.0) * np.nan_to_num(ranks["CP"], nan=1.0)
    pipeline = np.nan_to_num(ranks["PP"], nan=1.0)
    sharded = (whole | ~ranked) & ~partly

    def layout(tensor: np.ndarray, pipeline: np.ndarray, sharded: np.ndarray) -> TrainingLayout:
        return _completed(rows, job, devices, tensor, pipeline, sharded)

    recorded = layout(tensor, pipeline, sharded)
    known = ranked | whole | partly
    if known.all():
        return recorded
    ones = np.ones(len(rows))
    candidates = [
        layout(t * ones, p * ones, np.full(len(rows), shard)) for t, p, shard in USUAL_LAYOUTS
    ]
    seconds = np.stack([_usual_seconds(job, of) for of in candidates])
    fastest = seconds.argmin(axis=0)
    chosen = jax.tree.map(
        lambda *leaves: jnp.stack(leaves)[fastest, jnp.arange(len(rows))], *candidates
    )
    picked: TrainingLayout = jax.tree.map(
        lambda a, b: jnp.where(jnp.asarray(known), a, b), recorded, chosen
    )
    return picked


def _usual_seconds(job: TrainingJob, layout: TrainingLayout) -> np.ndarray:
    """Seconds of a step, a penalty added where memory does not suffice."""
    step, run = _price(job, layout), job.run
    lacking = jnp.maximum(jnp.log(step.memory / job.xpu.memory), 0.0)
    # A replica works on at least one sequence, and links or a network join its devices.
    idle = jnp.maximum(layout.data * run.sequence / run.global_batch, 1.0)
    return np.asarray(step.seconds * idle * jnp.exp(2.0 * lacking))


def _ways(text: pd.Series, pattern: str) -> np.ndarray:
    found = pd.to_numeric(text.str.extract(pattern, expand=False), errors="coerce")
    return np.asarray(found.to_numpy(float))


def _completed(
    rows: pd.DataFrame,
    job: TrainingJob,
    devices: np.ndarray,
    tensor: np.ndarray,
    pipeline: np.ndarray,
    sharded: np.ndarray,
) -> TrainingLayout:
    """A layout with what rows say, or else is usual, of micro-batches and recomputation."""
    text, note = rows["parallelism"].str.upper(), rows["note"].str.lower()
    tensor = np.clip(tensor, 1.0, devices)
    pipeline = np.clip(pipeline, 1.0, np.minimum(devices / tensor, np.asarray(job.llm.layers)))
    data = devices / (tensor * pipeline)
    sequence = np.asarray(job.run.sequence)
    share = np.maximum(np.asarray(job.run.global_batch) / sequence / data, 1.0)
    told = rows["micro_batch_sequences"].to_numpy(float)
    told = np.where(np.isnan(told), _ways(note, r"micro batch (\d+)"), told)
    usual = np.minimum(np.maximum(USUAL_MICRO_BATCH_TOKENS / sequence, 1.0), share)
    # Experts that no more is known of stay within reach of the fast links.
    near = np.maximum(np.asarray(job.xpu.link_domain) / tensor, 1.0)
    expert = _ways(text, r"\bEP(\d+)")
    layout = TrainingLayout(
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        shard_weights=sharded.astype(float),
        recompute=np.zeros(len(rows)),
        micro_batch=np.where(np.isnan(told), usual, told),
        interleaving=np.nan_to_num(_ways(text, r"INTERLEAVE (\d+)"), nan=USUAL_INTERLEAVING),
        unfused_attention=rows["source"].str.contains(UNFUSED).to_numpy(float),
        expert=np.where(np.isnan(expert), near, expert),
    )
    memory = np.asarray(jax.vmap(training_memory)(job.llm, job.run, layout))
    crowded = memory > USUAL_MEMORY * np.asarray(job.xpu.memory)
    recompute = _recomputation(rows, text, note)
    recompute = np.where(np.isnan(recompute), USUAL_RECOMPUTATION * crowded, recompute)
    return eqx.tree_at(lambda of: of.recompute, layout, jnp.asarray(recompute))


def _recomputation(rows: pd.DataFrame, text: pd.Series, note: pd.Series) -> np.ndarray:
    """Share of activations recomputed, as recorded or told; NaN where neither."""
    shares = {"none": 0.0, "selective": SELECTIVE_RECOMPUTATION, "full": 1.0}
    said = rows["recomputation"].map(shares)
    told = np.select(
        [
            text.str.contains("SELECTIVE"),
            text.str.contains("FULL RECOMPUTE") | note.str.contains("checkpointing true"),
            note.str.contains("checkpointing false"),
        ],
        [SELECTIVE_RECOMPUTATION, 1.0, 0.0],
        np.nan,
    )
    return said.fillna(pd.Series(told, index=rows.index)).to_numpy(float)
