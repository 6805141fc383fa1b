"""Parameters, KV caches, experts and attention of architectures, by hand and by counting."""

import numpy as np
import pytest

from llmecon.physics import architecture
from llmecon.specs import precision
from llmecon.tables import catalog
from tests.problems import changed, floats

BF16 = precision("bf16")


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("llama-2-70b", 68.98),  # Touvron et al. 2023, Llama 2: the released weights
        ("llama-3.1-8b", 8.03),  # Llama 3 herd, 2024
        ("llama-3.1-405b", 405.85),
        ("deepseek-v3", 671.0),  # DeepSeek-V3 technical report, table 1
        ("mixtral-8x7b", 46.7),  # Jiang et al. 2024, Mixtral of Experts
        ("gpt-3-175b", 174.6),  # Brown et al. 2020, table D.1
        ("gpt-oss-120b", 116.8),  # gpt-oss model card, 2025
    ],
)
def test_published_parameter_counts(model: str, billions: float) -> None:
    count = architecture.parameters(catalog.llm(model))
    assert count.total / 1e9 == pytest.approx(billions, rel=5e-3)


@pytest.mark.parametrize(
    ("model", "billions"), [("deepseek-v3", 37.0), ("mixtral-8x7b", 12.9), ("gpt-oss-120b", 5.1)]
)
def test_published_active_parameter_counts(model: str, billions: float) -> None:
    """Active parameters as DeepSeek-V3, Mixtral and gpt-oss publish them."""
    assert architecture.parameters(catalog.llm(model)).active / 1e9 == pytest.approx(
        billions, rel=0.02
    )


def test_llama_2_70b_counted_by_hand() -> None:
    """Llama 2 70B: 80 layers of 8192 with 8 of 64 heads cached, gated 28672, vocabulary 32000."""
    attention = 80 * (8192 * 8192 * 2 + 8192 * 1024 * 2)
    feed_forward = 80 * 3 * 8192 * 28672
    count = architecture.parameters(catalog.llm("llama-2-70b"))
    assert count.attention == attention
    assert count.feed_forward == feed_forward
    assert count.total == attention + feed_forward + 2 * 32000 * 8192


def test_kv_cache_of_llama_3_70b() -> None:
    """320 KiB a token: 80 layers, 8 heads of 128, keys and values, 2 bytes (Llama 3 herd, 2024)."""
    one = architecture.kv_cache_bytes(catalog.llm("llama-3.1-70b"), BF16, *floats(1.0))
    assert one == 320 * 1024


def test_kv_cache_of_mha_opt_13b_scale() -> None:
    """vLLM (Kwon et al. 2023): 800 KB a token for OPT-13B, 2 x 5120 x 40 layers x 2 bytes."""
    opt_13b = changed(catalog.llm("opt-175b"), layers=40.0, width=5120.0, heads=40.0, kv_heads=40.0)
    assert architecture.kv_cache_bytes(opt_13b, BF16, *floats(1.0)) == 800 * 1024


@pytest.mark.parametrize(("model", "layers"), [("deepseek-v2", 60), ("deepseek-v3", 61)])
def test_latent_cache(model: str, layers: int) -> None:
    """MLA caches 512 + 64 numbers a token and layer (DeepSeek-V2 report, section 2.1)."""
    llm = catalog.llm(model)
    assert architecture.cached_elements_per_token(llm) == 576
    assert architecture.kv_cache_bytes(llm, BF16, *floats(1.0)) == 576 * layers * 2


def test_latent_cache_is_as_large_as_a_few_groups() -> None:
    """DeepSeek-V2: MLA's cache equals that of GQA with 2.25 groups of 128-wide heads."""
    assert 576 == 2.25 * 2 * 128
    llm = changed(catalog.llm("deepseek-v2"), kv_lora_rank=0.0, kv_heads=2.25)
    assert architecture.cached_elements_per_token(llm) == 576


def test_sliding_window_stops_growing() -> None:
    """Gemma 3 27B: 52 of 62 layers keep 1024 tokens, the other 10 keep all (report, 2025)."""
    llm = catalog.llm("gemma-3-27b")
    kept = architecture.kv_cache_bytes(llm, BF16, *floats(32768.0))
    assert kept == (10 * 32768 + 52 * 1024) * 2 * 16 * 128 * 2


def test_attended_pairs_of_a_sliding_window_by_counting() -> None:
    """Token t of a windowed layer sees min(t, window) others, half a token at its own place."""
    llm = changed(catalog.llm("gemma-3-27b"), window=64.0, layers=1.0, windowed_layers=1.0)
    for past, new in [(0, 128), (0, 40), (30, 100), (500, 20)]:
        counted = sum(min(t + 0.5, 64) for t in range(past, past + new))
        found = architecture.attended_pairs(llm, *floats(new, past))
        assert found == pytest.approx(counted, rel=1e-3), (past, new)


def test_attended_pairs_are_causal() -> None:
    llm = changed(catalog.llm("llama-3.1-8b"), layers=3.0)
    assert architecture.attended_pairs(llm, *floats(10.0, 100.0)) == 3 * 10 * 105


@pytest.mark.parametrize("tokens", [1, 2, 32, 500])
def test_experts_touched_by_inclusion(tokens: int) -> None:
    """E (1 - (1 - k/E)^B), as in the analysis of DeepSpeed-MoE and others; once k, at last E."""
    llm = catalog.llm("deepseek-v3")
    expected = 256 * (1 - (1 - 8 / 256) ** tokens)
    assert architecture.experts_touched(llm, *floats(tokens)) == pytest.approx(expected)


def test_experts_touched_in_a_simulated_router() -> None:
    draw = np.random.default_rng(0)
    seen = [
        len({e for _ in range(10) for e in draw.choice(8, 2, replace=False)}) for _ in range(4000)
    ]
    found = architecture.experts_touched(catalog.llm("mixtral-8x7b"), *floats(10.0))
    assert found == pytest.approx(np.mean(seen), rel=0.01)


def test_dense_model_touches_no_experts() -> None:
    assert architecture.experts_touched(catalog.llm("llama-3.1-8b"), *floats(5.0)) == 0.0
