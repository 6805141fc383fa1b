"""Models, accelerators and requests: units, stand-ins, and scores that compare."""

import jax
import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.tables import catalog
from tests.problems import all_finite


def test_units_are_si() -> None:
    """NVIDIA's H100 SXM datasheet: 989.4 TFLOP/s, 80 GB, 3.35 TB/s, 900 GB/s both ways, 700 W."""
    h100 = catalog.xpu("h100-sxm")
    assert h100.bf16_flops == pytest.approx(989.4e12)
    assert h100.fp8_flops == pytest.approx(1979e12)
    assert h100.memory == pytest.approx(80 * 2**30)
    assert h100.memory_bandwidth == pytest.approx(3.35e12)
    assert h100.link_bandwidth == pytest.approx(450e9)
    assert h100.tdp == 700.0


def test_missing_precision_is_filled_and_marked() -> None:
    a100 = catalog.xpu("a100-sxm-80gb")
    assert (a100.fp8_native, a100.fp4_native) == (0.0, 0.0)
    assert a100.fp8_flops == a100.fp4_flops == a100.bf16_flops


def test_attained_matrix_rates_are_means_over_precisions() -> None:
    """MI300X: AMD's own 708 and 1273 of 1307.4 and 2614.9 TFLOP/s, and a third party's 668.4."""
    expected = (708 / 1307.4 + 668.4 / 1307.4 + 1273 / 2614.9) / 3
    assert catalog.xpu("mi300x").matmul_share == pytest.approx(expected, rel=1e-9)
    # Nobody timed an L4: it gets what is typical.
    shares = catalog.xpus().matmul_share
    assert 0.7 < float(catalog.xpu("l4").matmul_share) < 0.8
    assert bool(((shares > 0.4) & (shares < 1.0)).all())


def test_device_without_links_stands_alone() -> None:
    assert catalog.xpu("apple-m3-max").link_domain == 1.0


@pytest.mark.parametrize("record", [catalog.llms, catalog.xpus])
def test_catalogue_stacks_into_finite_numbers(record: object) -> None:
    everything = record()  # type: ignore[operator]
    all_finite(everything)
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(everything)}
    assert len(counts) == 1


def test_stacking_keeps_the_order() -> None:
    stacked = catalog.xpus(["v100-sxm", "h100-sxm"])
    np.testing.assert_allclose(stacked.memory, [32 * 2**30, 80 * 2**30])


def test_published_request_lengths() -> None:
    """Azure's 2023 conversation trace: 1154.7 tokens in, 211.1 out on average."""
    chat = catalog.workload("azure-chat-2023")
    assert chat.prompt_tokens == pytest.approx(1154.7)
    assert chat.output_tokens == pytest.approx(211.1)
    assert chat.cached_fraction == 0.0
    assert catalog.workload("sharegpt-vllm").interarrival_cv == 1.0


def test_published_latency_targets() -> None:
    """MLPerf Inference, Llama 2 70B server: 2 s to the first token, 200 ms each, at p99."""
    target = catalog.latency_target("mlperf-llama-2-70b-server")
    assert (target.ttft, target.tpot, target.quantile) == (2.0, 0.2, 0.99)
    assert catalog.latency_target("melange-tight").ttft == 60.0


def test_models_of_one_architecture_are_served_alike() -> None:
    assert catalog.served_alike("llama-3.1-70b") == ("llama-3-70b", "llama-3.3-70b")
    assert catalog.served_alike("llama-3.1-8b") == ("llama-3-8b",)
    assert catalog.served_alike("gpt-oss-120b") == ()
    with pytest.raises(InputError, match="nearest"):
        catalog.served_alike("llama-9-70b")


def test_scores_that_compare_come_from_one_setting() -> None:
    """The 5-shot scores of tuned models, though two of three have a higher one with thinking."""
    trio = ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b")
    found = catalog.common_scores(trio)
    assert found.setting == "5-shot, instruct"
    assert [found.shares[model] for model in trio] == pytest.approx([0.634, 0.694, 0.836])


def test_tuned_models_are_compared_before_base_ones() -> None:
    assert catalog.common_scores(["llama-2-7b", "llama-3.1-70b"]).setting == "5-shot, base"
    assert "base" not in catalog.common_scores(["llama-3.1-8b", "phi-3-mini-3.8b"]).setting
    one = catalog.common_scores(["qwen2.5-72b"], "mmlu-pro")
    assert one.shares["qwen2.5-72b"] == pytest.approx(0.716)


@pytest.mark.parametrize("model", ["gpt-oss-120b", "minimax-m2.5"])
def test_scores_without_a_common_setting_are_refused(model: str) -> None:
    with pytest.raises(InputError, match=rf"llama-3\.2-3b: .*base.*{model}: "):
        catalog.common_scores(["llama-3.2-3b", model])
