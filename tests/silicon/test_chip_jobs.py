"""Jobs that chips are designed for."""

import jax.numpy as jnp
import pytest

from llmecon import silicon
from llmecon.physics.roofline import forward_pass, sequences_that_fit
from llmecon.silicon import Chip, chip_jobs
from llmecon.specs import Instance
from tests.problems import EFFICIENCY, changed, close
from tests.silicon.jobs import DECODE, FOUR, LLAMA, PRICES, best

pytestmark = pytest.mark.slow


def test_a_job_is_a_forward_pass() -> None:
    chip = Chip(flops=8e14, bandwidth=5e12, memory=1.0, link=4e11)
    need = chip_jobs.demand(DECODE, chip, PRICES, EFFICIENCY, 100.0)
    xpu = silicon.as_xpu(chip, PRICES)
    of = forward_pass(
        Instance(LLAMA, xpu, FOUR, EFFICIENCY), *map(jnp.asarray, (100.0, 1.0, 8192.0))
    )
    close(need.seconds, of.seconds)
    close(need.flops * 4.0, of.flops)
    assert float(need.tokens) == 100.0
    # With that capacity, the serving model finds room for as many.
    roomy = silicon.as_xpu(changed(chip, memory=float(need.memory)), PRICES)
    close(sequences_that_fit(Instance(LLAMA, roomy, FOUR, EFFICIENCY), jnp.asarray(8193.0)), 100.0)


def test_tokens_cost_the_devices_time() -> None:
    found = best("decode")
    need = found.demand
    rate = silicon.running_cost(
        found.chip, PRICES, need.flops / need.seconds, need.traffic / need.seconds
    )
    close(found.usd_per_token, 4.0 * rate.total * need.seconds / found.batch)
