"""Jobs that chips are designed for."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from llmecon import silicon
from llmecon.physics.roofline import forward_pass, sequences_that_fit
from llmecon.silicon import Chip, chip_jobs, design
from llmecon.specs import Deployment, precision
from llmecon.tables import catalog
from llmecon.training import TrainingLayout, TrainingRun
from tests.problems import EFFICIENCY, changed, close

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


def test_a_job_is_a_forward_pass() -> None:
    chip = Chip(flops=8e14, bandwidth=5e12, memory=1.0, link=4e11)
    need = chip_jobs.demand(DECODE, chip, PRICES, EFFICIENCY, 100.0)
    xpu = silicon.as_xpu(chip, PRICES)
    of = forward_pass(LLAMA, xpu, FOUR, EFFICIENCY, *map(jnp.asarray, (100.0, 1.0, 8192.0)))
    close(need.seconds, of.seconds)
    close(need.flops * 4.0, of.flops)
    assert float(need.tokens) == 100.0
    # With that capacity, the serving model finds room for as many.
    roomy = silicon.as_xpu(changed(chip, memory=float(need.memory)), PRICES)
    close(sequences_that_fit(LLAMA, roomy, FOUR, EFFICIENCY, jnp.asarray(8193.0)), 100.0)


def test_tokens_cost_the_devices_time() -> None:
    found = best("decode")
    need = found.demand
    rate = silicon.running_cost(
        found.chip, PRICES, need.flops / need.seconds, need.traffic / need.seconds
    )
    close(found.usd_per_token, 4.0 * rate.total * need.seconds / found.batch)
