"""The best layout against all that are considered, and the usual one."""

import math

import jax
import numpy as np
import pytest

from llmecon import serving
from llmecon.errors import InputError
from llmecon.specs import XPU, Deployment, Instance, precision
from llmecon.tables import catalog
from tests.problems import CHAT, EFFICIENCY, SINGLE, TARGET, changed, evaluate, named_leaves

H100 = catalog.xpu("h100-sxm")


LONG = changed(CHAT, prompt_tokens=1e6)


def test_a_million_tokens_are_refused_before_a_layout_is_sought() -> None:
    with pytest.raises(InputError, match=r"1,000,.* tokens exceed the model's context"):
        serving.best_deployment(
            catalog.llm("llama-3.1-70b"), H100, precision("fp8"), LONG, EFFICIENCY, TARGET
        )


@pytest.mark.slow
def test_best_deployment_beats_the_layouts_it_considers() -> None:
    llm, fp8 = catalog.llm("llama-3.1-70b"), precision("fp8")
    search = jax.jit(serving.best_deployment)
    layout, found = search(llm, H100, fp8, CHAT, EFFICIENCY, TARGET)
    per_device = float(found.rate / layout.xpus)
    assert found.feasible == 1.0
    assert layout.tensor <= H100.link_domain
    for tensor in (1.0, 2.0, 4.0, 8.0):
        for pipeline in (1.0, 2.0):
            other = changed(SINGLE, tensor=tensor, pipeline=pipeline)
            rival = evaluate(serving.capacity, Instance(llm, H100, other, EFFICIENCY), CHAT, TARGET)
            # A few percent are given up for a smaller instance, a little to the grid of batches.
            assert per_device >= 0.93 * float(rival.rate / other.xpus)
    # The same layout, priced alone, has the same capacity.
    chosen = Deployment(
        tensor=layout.tensor, expert=layout.expert, pipeline=layout.pipeline, precision=fp8
    )
    alone = evaluate(serving.capacity, Instance(llm, H100, chosen, EFFICIENCY), CHAT, TARGET)
    assert alone.rate == pytest.approx(float(found.rate), rel=1e-9)

    phone = catalog.xpu("a17-pro")
    alone_on_phone, nothing = search(llm, phone, fp8, CHAT, EFFICIENCY, TARGET)
    assert alone_on_phone.xpus == 1.0
    assert nothing.rate == 0.0
    for _, leaf in named_leaves(nothing):
        assert math.isfinite(leaf)


def test_a_better_device_serves_no_less_than_the_tolerance_says() -> None:
    """Random gains of bandwidth, memory, arithmetic and links."""
    llm, fp8 = catalog.llm("llama-3.1-70b"), precision("fp8")
    search = jax.jit(serving.best_deployment)
    names = ("memory_bandwidth", "memory", "bf16_flops", "fp8_flops", "link_bandwidth")
    rng = np.random.default_rng(11)

    def per_device(xpu: XPU) -> float:
        layout, found = search(llm, xpu, fp8, CHAT, EFFICIENCY, TARGET)
        return float(found.rate / layout.xpus)

    before = per_device(H100)
    for _ in range(25):
        gains = np.exp(rng.uniform(0.0, 0.3, len(names)) * rng.integers(0, 2, len(names)))
        better = {n: getattr(H100, n) * g for n, g in zip(names, gains, strict=True)}
        # Half a percent is the grid of batches.
        least = 1.0 - serving.TOLERATED_LOSS - 0.005
        assert per_device(changed(H100, **better)) >= least * before, better


@pytest.mark.parametrize(("xpus", "tensor", "pipeline"), [(1, 1, 1), (8, 8, 1), (16, 8, 2)])
def test_usual_layout(xpus: int, tensor: int, pipeline: int) -> None:
    layout = serving.deployment_of(xpus, H100, precision("bf16"))
    assert (layout.tensor, layout.pipeline) == (tensor, pipeline)


def test_layout_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match=r"12 devices .* groups of 8.*such as 16"):
        serving.deployment_of(12, H100, precision("bf16"))
