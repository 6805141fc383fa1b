"""What can't be done is said in one line, with what would be needed."""

import pytest

from llmecon import InputError
from llmecon.tables import catalog, feasibility


def test_weights_that_fit_are_let_through() -> None:
    feasibility.require_memory("llama-3.1-70b", "h100-sxm", "fp8", xpus=2)
    feasibility.require_memory("llama-3.1-405b", "h100-sxm", "bf16")
    feasibility.require_context("gpt-2-xl", 1000, 24)


def test_too_few_devices_says_how_many_it_takes() -> None:
    # Memory is told in the unit of "80 GB": 405.85e9 weights x 2 bytes are 756 x 2^30 bytes, 90% of
    # 80 is 72, and 756 / 72 = 10.5.
    with pytest.raises(InputError, match=r"needs 756 GB .* hold 72 GB: use at least 11 xPUs"):
        feasibility.require_memory("llama-3.1-405b", "h100-sxm", "bf16", xpus=1)


def test_devices_without_links_cannot_share_a_model() -> None:
    with pytest.raises(InputError, match="no links to share a model over"):
        feasibility.require_memory("llama-3.1-70b", "a17-pro", "fp8")


@pytest.mark.slow
def test_requests_beyond_the_context_are_refused() -> None:
    with pytest.raises(InputError, match=r"gpt-2-xl handles at most 1,024 tokens; .* 1,025"):
        feasibility.require_context("gpt-2-xl", 1000, 25)


def test_every_refusal_is_one_line() -> None:
    with pytest.raises(InputError) as refused:
        feasibility.require_memory("kimi-k2", "t4", "bf16", xpus=8)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("xpu", ["h100-sxm", "a100-sxm-80gb", "mi300x", "tpu-v5e", "a17-pro"])
def test_memory_is_printed_in_the_unit_of_the_product_s_name(xpu: str) -> None:
    """An "H100 80GB" holds 80 x 2^30 bytes and is shown with 80 GB."""
    held = float(catalog.xpu(xpu).memory)
    assert catalog.memory_gb(held) == catalog.row("xpus", xpu)["memory_gb"] == held / 2**30
