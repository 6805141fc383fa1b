"""Records: units, bytes per number, derived quantities."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from llmecon import specs
from llmecon.errors import InputError
from tests.problems import DENSE

pytestmark = pytest.mark.internals


def test_numbers_become_double_precision_leaves() -> None:
    deployment = specs.Deployment(tensor=8, pipeline=2)
    leaves = jax.tree.leaves(deployment)
    assert all(leaf.dtype == jnp.float64 for leaf in leaves)


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DENSE.layers = jnp.asarray(1.0)


def test_block_formats_count_their_scales() -> None:
    """NVFP4: 4 bits and an 8-bit scale per 16 weights; int4: a 16-bit scale per 128."""
    assert specs.precision("fp4").feed_forward == (4 + 8 / 16) / 8
    assert specs.precision("int4").feed_forward == (4 + 16 / 128) / 8


def test_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"fp16.*bf16, fp8, fp4, int4"):
        specs.precision("fp16")


@pytest.mark.parametrize(("expert", "xpus"), [(1.0, 16.0), (8.0, 16.0), (32.0, 64.0)])
def test_devices_of_an_instance(expert: float, xpus: float) -> None:
    assert specs.Deployment(tensor=8.0, expert=expert, pipeline=2.0).xpus == xpus


def test_long_outputs_weigh_more_in_the_mean_context() -> None:
    """Two outputs of 100 and 300 tokens: 400 steps meet contexts that sum to 100²/2 + 300²/2."""
    outputs = jnp.asarray([100.0, 300.0])
    cv = jnp.std(outputs) / jnp.mean(outputs)
    workload = specs.Workload(prompt_tokens=1000.0, output_tokens=200.0, output_cv=cv)
    assert workload.mean_context == pytest.approx(1000.0 + (100**2 + 300**2) / 2 / 400)


def test_cached_prompt_tokens_are_not_computed() -> None:
    workload = specs.Workload(prompt_tokens=1000.0, output_tokens=200.0, cached_fraction=0.75)
    assert workload.computed_prompt_tokens == 250.0
