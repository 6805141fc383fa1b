"""What laws say of models that were trained: published ones, and a testbed's largest runs."""

from dataclasses import dataclass
from functools import cache

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import scaling, words
from llmecon.scaling import Lifetime
from llmecon.scaling.over_training import CAMPAIGN, LATER, MOST_COMPUTE, WARMED
from llmecon.scaling.sizes import TRAINING_FLOPS
from llmecon.studies.scaling_laws.frames import ZETTA
from llmecon.studies.scaling_laws.model import in_dollars
from llmecon.studies.scaling_laws.study import Study
from llmecon.tables import catalog

RULES = {
    "compute": f"above {words.quantity(MOST_COMPUTE, 'FLOP')}",
    "alike": "the same, campaigns taken for one",
    "edge": "one step beyond the rest",
}
"""Which runs of the testbed are held out, by rule."""


TRAINED_ON = {"c4_original": "C4", "rpj": "RedPajama", "rw_original": "RefinedWeb"}
"""Data of the testbed, as they are called."""


LANDMARKS = ("GPT-3 175B", "Chinchilla 70B", "Llama 3.1 405B", "Llama 3.1 8B")
"""Published models that a chart singles out."""


NAMED = ("Gopher 280B", "Llama 2 70B", "Qwen3 0.6B", "SmolLM2 1.7B", "Gemma-2 9B", "Falcon-180B")
"""Others that it names where there is room."""


def published(study: Study) -> pd.DataFrame:
    """Published dense models against what the law says of their compute.

    Returns:
        Columns id, name, release, year, parameters, tokens, compute, zettaflop, ratio (tokens per
        parameter), best (the same of the best size for that compute), over (one over the other),
        loss and lowest (by the law), and demand (tokens served for which the training is worth
        while).
    """
    table = catalog.table("models")
    dense = table["parameters_total_b"] == table["parameters_active_b"]
    found = table[dense & table["training_tokens_t"].notna()]
    sizes = found["parameters_total_b"].to_numpy(float) * 1e9
    tokens = found["training_tokens_t"].to_numpy(float) * 1e12
    compute = TRAINING_FLOPS * sizes * tokens
    law = study.case.law
    given = jnp.asarray(sizes), jnp.asarray(tokens)
    best = scaling.compute_optimal(law, jnp.asarray(compute))
    life: Lifetime = in_dollars(study.case)
    frame = found[["id", "name", "release", "family", "checked"]].assign(
        parameters=sizes,
        tokens=tokens,
        compute=compute,
        zettaflop=compute / ZETTA,
        ratio=tokens / sizes,
        best=np.asarray(best.tokens_per_parameter),
        loss=np.asarray(scaling.loss(law, *given)),
        lowest=np.asarray(best.loss),
        year=found["release"].astype(str).str[:4].astype(int),
        demand=np.asarray(scaling.implied_demand(law, *given, life)),
    )
    return frame.assign(over=frame["ratio"] / frame["best"]).sort_values("compute")


@dataclass(frozen=True)
class HeldOut:
    """Runs that laws of the smaller ones predict.

    Attributes:
        rule: which runs are held out, a key of `RULES`.
        rows: name, parameters, tokens, and of loss and average_error the measured value, the
            predicted one and the ends of its interval.
        median: of the loss's relative error.
        largest: likewise.
        inside: share of losses inside their intervals.
        median_points: of the mean error's error, as a fraction of all answers.
    """

    rule: str
    rows: pd.DataFrame
    median: float
    largest: float
    inside: float
    median_points: float

    @property
    def what(self) -> str:
        """What is held out, in words."""
        return RULES[self.rule]


@cache
def held_out(rule: str) -> HeldOut:
    """Runs of the testbed that laws of the smaller ones predict.

    Args:
        rule: a key of `RULES`.
    """
    rows = scaling.held_out(rule)
    off = (rows["predicted_loss"] / rows["loss"] - 1.0).abs()
    inside = rows["loss"].between(rows["predicted_loss_low"], rows["predicted_loss_high"])
    points = (rows["predicted_average_error"] - rows["average_error"]).abs()
    return HeldOut(
        rule,
        rows,
        float(off.median()),
        float(off.max()),
        float(inside.mean()),
        float(points.median()),
    )


def reached(rule: str) -> pd.DataFrame:
    """Predicted over measured loss of the runs that a rule holds out, with 90% intervals.

    Args:
        rule: a key of `RULES`.

    Returns:
        Columns name, middle, low and high.
    """
    rows = held_out(rule).rows
    sizes = [f"{size / 1e6:,.0f} M" for size in rows["parameters"]]
    names = [
        f"{TRAINED_ON[data]}, {size} on {tokens / 1e9:,.0f} bn"
        for data, size, tokens in zip(rows["data"], sizes, rows["tokens"], strict=True)
    ]
    over = {
        end: rows[f"predicted_loss{suffix}"].to_numpy(float) / rows["loss"].to_numpy(float)
        for end, suffix in (("middle", ""), ("low", "_low"), ("high", "_high"))
    }
    return pd.DataFrame({"name": names, **over}).sort_values("name")


@dataclass(frozen=True)
class Campaigns:
    """In what the runs of the testbed differ besides size, tokens and data.

    Attributes:
        runs: all there are.
        later: those of the second campaign.
        unknown: those whose record doesn't say of which they are.
        lower: by which share the second campaign's losses are lower.
        short: by which share the loss of the shortest runs exceeds what the law says, at most.
    """

    runs: int
    later: int
    unknown: int
    lower: float
    short: float


@cache
def campaigns() -> Campaigns:
    """In what the runs of the testbed differ besides size, tokens and data."""
    rows, reach = scaling.over_training.runs(), scaling.reach()
    short = rows[(rows["multiplier"] < WARMED) & (rows["recorded"] == CAMPAIGN)]
    above = short["loss"] / scaling.predict(reach, short)["loss"] - 1.0
    return Campaigns(
        len(rows),
        int((rows["recorded"] == LATER).sum()),
        int(rows["recorded"].isna().sum()),
        1.0 - reach.losses.factor,
        float(above.max()),
    )


def by_rule() -> dict[str, HeldOut]:
    """What each rule holds out, by rule."""
    return {rule: held_out(rule) for rule in RULES}


def labelled(of: pd.DataFrame) -> list[str]:
    """Published models that a chart names besides the landmarks, where there is room.

    Args:
        of: as `published` returns them.
    """
    return [name for name in NAMED if name in set(of["name"])]
