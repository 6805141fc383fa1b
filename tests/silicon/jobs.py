"""Jobs that the tests of chips share, and the best chip for each."""

from functools import cache
from typing import Any

import jax

from llmecon import silicon
from llmecon.silicon import chip_jobs, design
from llmecon.specs import Deployment, precision
from llmecon.tables import catalog
from llmecon.training import TrainingLayout, TrainingRun
from tests.problems import EFFICIENCY

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
