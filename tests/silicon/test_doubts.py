"""The best chip over draws of what chips cost."""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from llmecon import silicon
from llmecon.silicon import Silicon, chip_jobs, design, doubts
from llmecon.specs import Deployment, precision
from llmecon.tables import catalog
from llmecon.training import TrainingLayout, TrainingRun
from tests.problems import EFFICIENCY, close

pytestmark = pytest.mark.slow

PRICES = silicon.silicon()


LLAMA = catalog.llm("llama-3.1-70b")


FP8 = precision("fp8")


FOUR = Deployment(tensor=4.0, precision=FP8)


DECODE = chip_jobs.decode(LLAMA, FOUR, context=8192.0, tpot=0.05)


PREFILL = chip_jobs.prefill(LLAMA, FOUR, prompt=4096.0, ttft=2.0)


RUN = TrainingRun(tokens=15e12, sequence=8192.0, global_batch=16e6)


TRAIN = chip_jobs.Training(
    LLAMA, RUN, TrainingLayout(tensor=8.0, pipeline=1.0, data=128.0, shard_weights=1.0)
)


JOBS = {"decode": DECODE, "prefill": PREFILL, "train": TRAIN}


# Compiling takes seconds and running takes milliseconds: optimise the former.
QUICK: Any = {"xla_backend_optimization_level": 0}


search = jax.jit(design.best_chip, compiler_options=QUICK)


@cache
def best(name: str) -> design.Best:
    return search(JOBS[name], PRICES, EFFICIENCY)


def test_draws_lie_evenly_between_low_and_high() -> None:
    drawn, of = doubts.draws(64), silicon.constants()
    for name in Silicon.__dataclass_fields__:
        values = np.log(np.asarray(getattr(drawn, name)))
        low, high = np.log(of.loc[name, "low"]), np.log(of.loc[name, "high"])
        assert low <= values.min()
        assert values.max() <= high
        assert values.mean() == pytest.approx(0.5 * (low + high), abs=0.02 * (high - low))


def test_intervals_hold_the_best_and_prices_decide() -> None:
    drawn = doubts.draws(64)
    one = jax.tree.map(lambda leaf: leaf[None], DECODE)
    found = doubts.searched(one, PRICES, drawn, EFFICIENCY)
    close(found.best.usd_per_token, best("decode").usd_per_token, rtol=1e-6)
    close(found.job.past_tokens, DECODE.past_tokens)
    spans = doubts.intervals(found)
    ratio = spans["bytes_per_flop"]
    assert ratio.low < float(best("decode").bytes_per_flop) < ratio.high
    assert ratio.missing == 0.0
    ranks = doubts.deciding(drawn, found)
    assert set(ranks.index) == set(Silicon.__dataclass_fields__)
    assert ranks.loc["markup", "usd_per_token"] > 0.5
    assert ranks.loc["compute_density", "bytes_per_flop"] < -0.3
