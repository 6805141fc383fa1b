"""Numbers that the prose of the chapter on throughput speaks of beside its figures."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import physics, words
from llmecon.studies.throughput import frames
from llmecon.studies.throughput.model import attained
from llmecon.studies.throughput.several import passes
from llmecon.studies.throughput.study import Study
from llmecon.tables import catalog


def intensities(study: Study) -> tuple[float, float]:
    """FLOP per byte of the scenario's decode step and of a pass over one of its prompts."""
    case = study.case
    one, prompt = np.ones(1), np.asarray([float(case.requests.computed_prompt_tokens)])
    past = np.asarray([float(case.requests.mean_context) - 1.0])
    alone = replace(case, batch=jnp.ones(()))
    found = passes(
        [case, alone], np.concatenate([one, prompt]), np.concatenate([past, np.zeros(1)])
    )
    step, reading = found["flops"] / found["bytes"]
    return float(step), float(reading)


def visited(study: Study) -> tuple[str, float]:
    """A mixture's name, the scenario's model if it is one, and the share of its experts read."""
    model = frames.mixtures(study)[0]
    share = frames.touched(catalog.llm(model), study.case.batch, study.case.efficiency.routing_cv)
    return catalog.name("models", model), float(share)


def best_drafts(drafted: pd.DataFrame) -> pd.DataFrame:
    """The best of the lengths tried, by requests in flight.

    Args:
        drafted: as `frames.drafts` returns it.
    """
    best = drafted.reset_index(drop=True).groupby("flight")["gain"].idxmax()
    return drafted.reset_index(drop=True).loc[best.to_numpy()]


def balances(study: Study) -> dict[str, float]:
    """FLOP in the time of a byte by the datasheet and as attained, and bytes of a weight."""
    case = study.case
    flops, bandwidth = (float(of) for of in attained(case))
    peak = float(physics.peak_flops(case.xpu, case.layout.precision))
    return {
        "sheet": peak / float(case.xpu.memory_bandwidth),
        "real": flops / bandwidth,
        "each": float(case.layout.precision.attention),
    }


def batching_ends(batched: pd.DataFrame) -> dict[str, float]:
    """Tokens per second of a device with prompts in between, for one request and for most.

    Args:
        batched: as `frames.batching` returns it.
    """
    mixed = batched.query("series == 'with prompts in between'")["tokens"]
    return {"one": float(mixed.iloc[0]), "full": float(mixed.iloc[-1])}


def scaled(parts: pd.DataFrame) -> dict[str, float]:
    """Most devices considered, and how much faster a step is on them than on one.

    Args:
        parts: as `frames.devices` returns it.
    """
    whole = parts.groupby("devices")["ms"].sum()
    return {"most": float(whole.index[-1]), "gain": float(whole.iloc[0] / whole.iloc[-1])}


def own_rates(study: Study, rates: pd.DataFrame) -> list[str]:
    """What was measured of the scenario's accelerator, in words.

    Args:
        study: whose accelerator.
        rates: as `frames.attained_by_chip` returns it.
    """
    own = rates[rates["xpu"] == study.scenario.xpu]
    return [f"{words.percent(of['share'])} in {of['precision']}" for of in own.to_dict("records")]


def weights_shares(study: Study) -> dict[str, float]:
    """Weights that a token is multiplied with, and all of them."""
    count = physics.parameters(study.case.llm)
    return {"active": float(count.active), "total": float(count.total)}
