"""Measurements of serving systems as the models read them: a row becomes a deployment under load.

The columns are those of the tables measured_serving and, for saturated throughput, of a file with
model, xpu, n_xpus, precision, prompt_tokens, output_tokens, output_tokens_per_s. A row that cannot
be used is set aside with the reason.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon.errors import InputError
from llmecon.evidence import conditions
from llmecon.serving import PIPELINE_DEPTHS, TENSOR_WIDTHS
from llmecon.specs import (
    FOUR_BIT_EXPERTS,
    LLM,
    PRECISIONS,
    XPU,
    Deployment,
    Precision,
    Workload,
    precision,
)
from llmecon.tables import catalog

Rows = Float[Array, " rows"]

SERVING_COLUMNS = (
    "model",
    "xpu",
    "n_xpus",
    "precision",
    "concurrency",
    "prompt_tokens",
    "output_tokens",
)
OFFLINE_COLUMNS = ("model", "xpu", "n_xpus", "precision", "prompt_tokens", "output_tokens")

MOST = 1e9
"""Of whatever a row counts: what is above is a slip of the pen."""

LAYOUT_COLUMNS = ("tensor_parallel", "expert_parallel", "data_parallel")

# Load generators draw lengths between 80% and all of the nominal one, evenly.
SHORTEST = 0.8
EVEN_MEAN = (1.0 + SHORTEST) / 2.0
EVEN_CV = (1.0 - SHORTEST) / (1.0 + SHORTEST) / np.sqrt(3.0)
# Of lengths between next to nothing and twice the mean.
UNIFORM_CV = 1.0 / np.sqrt(3.0)
# A speculative run whose settings are not recorded: multi-token prediction with one module, used
# to draft a few tokens.
DRAFT_TOKENS = 3.0


class Systems(eqx.Module):
    """Many measured systems, one a row; every field has a leading dimension of rows.

    Attributes:
        llm: the models.
        xpu: the accelerators.
        deployment: layouts of one instance each.
        workload: prompt and output lengths.
        xpus: devices in all, over all copies of the deployment.
        clients: requests kept in flight per copy.
        steady: 1 where that number is a measured mean batch rather than a number of clients.
        static: 1 where requests start and end together, as a batch.
        width, depth: devices that a layer is split over and stages of layers, where a backlog's
            layout is known and `saturated` tries it; else 0.
    """

    llm: LLM
    xpu: XPU
    deployment: Deployment
    workload: Workload
    xpus: Rows
    clients: Rows
    steady: Rows
    static: Rows
    width: Rows
    depth: Rows


def refusals(frame: pd.DataFrame, required: Sequence[str]) -> pd.Series:
    """Why rows of a measurement file can't be used.

    Args:
        frame: rows in the schema of measured_serving.
        required: columns that must hold a value.

    Returns:
        One reason a row, empty where the row is usable.

    Raises:
        InputError: a required column is missing altogether.
    """
    missing = [column for column in required if column not in frame]
    if missing:
        raise InputError(
            f"the file has no column {', '.join(missing)}; needed are: {', '.join(required)}"
        )
    reasons = pd.Series("", index=frame.index)

    def refuse(where: pd.Series, reason: str | pd.Series) -> None:
        chosen = where & (reasons == "")
        reasons[chosen] = reason[chosen] if isinstance(reason, pd.Series) else reason

    if "suspect" in frame:
        refuse(frame["suspect"].notna(), "suspect: " + frame["suspect"].astype(str))
    for column in required:
        refuse(frame[column].isna(), f"{column} is empty")
    for table, column in (("models", "model"), ("xpus", "xpu")):
        known = set(catalog.ids(table))
        refuse(
            ~frame[column].isin(known),
            f"{column} " + frame[column].astype(str) + " is not in the catalogue",
        )
    refuse(
        ~frame["precision"].isin(list(PRECISIONS)),
        "precision " + frame["precision"].astype(str) + f" is not one of {', '.join(PRECISIONS)}",
    )
    numbers = [c for c in required if c not in ("model", "xpu", "precision")]
    for column in (*numbers, *(c for c in LAYOUT_COLUMNS if c in frame)):
        values = pd.to_numeric(frame[column], errors="coerce")
        refuse(frame[column].notna() & ~(values > 0), f"{column} is not a number above 0")
        refuse(values > MOST, f"{column} is above {MOST:g}")
    return reasons


def precision_of(model: str, name: str) -> Precision:
    """How a model is stored when its weights are measured in a precision.

    Args:
        model: id of the model.
        name: precision of the weights: bf16, fp8, fp4 or int4.

    Returns:
        The precision; a model published with 4-bit experts keeps everything else in 16 bits and
        multiplies in 16 bits, whichever of the two 4-bit names is used.

    Raises:
        InputError: unknown model or precision.
    """
    native = catalog.row("models", model)["weights_native_precision"]
    if name in ("fp4", "int4") and native in ("fp4", "int4"):
        return FOUR_BIT_EXPERTS
    return precision(name)


def _optional(frame: pd.DataFrame, column: str, default: float) -> np.ndarray:
    if column not in frame:
        return np.full(len(frame), default)
    return pd.to_numeric(frame[column], errors="coerce").fillna(default).to_numpy(float)


def systems(frame: pd.DataFrame) -> Systems:
    """Rows of a measurement file as records.

    Args:
        frame: usable rows (see `refusals`).

    Returns:
        The systems, in the frame's order.
    """
    xpus_of = frame["n_xpus"].to_numpy(float)
    steady = _regime(frame) == "steady"
    expert = _optional(frame, "expert_parallel", 1.0)
    tensor = _optional(frame, "tensor_parallel", np.nan)
    # A layout that is not recorded: layers split over all devices that fast links join.
    domain = np.array([float(catalog.xpu(x).link_domain) for x in frame["xpu"]])
    tensor = np.where(np.isnan(tensor), np.minimum(xpus_of, domain), tensor)
    # Where steady rows name experts spread over all devices and no more, attention is split over
    # them too: with attention replicated, their batches would be read an order too fast.
    tensor = np.where(steady & (expert == xpus_of), expert, tensor)
    width = np.maximum(tensor, expert)
    replicas = np.where(expert > tensor, xpus_of / width, _optional(frame, "data_parallel", 1.0))
    replicas = np.maximum(replicas, 1.0)
    stored = [precision_of(m, p) for m, p in zip(frame["model"], frame["precision"], strict=True)]
    xpu, precisions = catalog.xpus(frame["xpu"]), catalog.stack(stored)
    # Engines keep the cache in 16 bits unless told otherwise; speed tests tell them.
    cache = np.where(steady, np.maximum(precisions.kv_cache, 2.0), precisions.kv_cache)
    speculative = _optional(frame, "speculative", 0.0) > 0
    said = conditions.stated(frame)
    fixed, uniform = (((said["lengths"] == of) & ~steady).to_numpy() for of in ("fixed", "uniform"))
    # Throughput of a backlog is published with the means of its lengths.
    measured = (said["lengths"] == "measured").to_numpy()
    means = steady | fixed | uniform | measured | (_regime(frame) == "offline")
    lengths = np.where(means, 1.0, EVEN_MEAN)
    spread = np.select([steady, fixed, uniform], [0.5, 0.0, UNIFORM_CV], EVEN_CV)
    clients = _optional(frame, "concurrency", 1.0)
    in_flight = said["mean_concurrency"].to_numpy(float)
    clients = np.where(in_flight > 0, np.clip(in_flight, 1.0, clients), clients)
    tried = (
        said["tensor_parallel"].isin(TENSOR_WIDTHS)
        & said["pipeline_parallel"].isin(PIPELINE_DEPTHS)
    ).to_numpy()
    none = np.zeros(len(frame))
    return Systems(
        llm=catalog.llms(frame["model"]),
        xpu=xpu,
        deployment=Deployment(
            tensor=tensor,
            expert=np.where(expert > 1, expert, 1.0),
            pipeline=np.maximum(xpus_of / (width * replicas), 1.0),
            precision=eqx.tree_at(lambda of: of.kv_cache, precisions, jnp.asarray(cache)),
            draft_tokens=np.where(speculative, DRAFT_TOKENS, 0.0),
            acceptance=none,
            draft_cost=none,
            disaggregated=none,
            overlap=none,
        ),
        workload=Workload(
            prompt_tokens=lengths * frame["prompt_tokens"].to_numpy(float),
            output_tokens=lengths * frame["output_tokens"].to_numpy(float),
            cached_fraction=none,
            prompt_cv=spread,
            output_cv=spread,
            interarrival_cv=np.ones(len(frame)),
        ),
        xpus=jnp.asarray(xpus_of),
        clients=jnp.asarray(clients / replicas),
        steady=jnp.asarray(steady, float),
        static=jnp.asarray(said["batching"] == "static", float),
        width=jnp.asarray(np.where(tried, said["tensor_parallel"], 0.0)),
        depth=jnp.asarray(np.where(tried, said["pipeline_parallel"], 0.0)),
    )


def _regime(frame: pd.DataFrame) -> np.ndarray:
    regime = frame["regime"] if "regime" in frame else pd.Series("serving", index=frame.index)
    return regime.fillna("serving").to_numpy(str)
