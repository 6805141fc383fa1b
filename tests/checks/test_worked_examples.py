"""A textbook's worked examples: both answers, and each of ours by hand."""

import pytest

from llmecon.checks import worked_examples

BY_HAND = {
    "v5e-critical-bf16": 197e12 / 820e9,
    "v5e-critical-int8": 394e12 / 820e9 / 2.0,
    "v5e-critical-int8-weights": 197e12 / 820e9 / 2.0,
    "h100-critical-bf16": 989e12 / 3350e9,
    "b200-critical-bf16": 2250e12 / 8000e9,
    "v5e-two-way-split": 2.0 * 197e12 / 45e9,
    "b200-product-64": 2.0 * (64 * 4096 + 4096 * 8192 + 64 * 8192) / 8e12,
    "b200-product-512": 2.0 * 512 * 4096 * 8192 / 2.3e15,
    "v4p-weights-200b": 400e9 / 32 / 1.23e12,
    "v5e-step-30b-4": (4 * 819.3e6 + 30e9) / (16 * 8.1e11),
    "v5e-step-30b-256": 256 * 819.3e6 / (16 * 8.1e11) + 2 * 256 * 30e9 / (16 * 1.97e14),
    "v5e-step-13b-1": (6.7117e9 + 26e9) / (8 * 8.2e11),
    "v5e-step-13b-240": (240 * 6.7117e9 + 26e9) / (8 * 8.2e11),
    "llama-13b-cache": 8192 * 40 * 128 * 40 * 2 * 2,
    "llama-70b-cache-32k": 2 * 8 * 128 * 80 * 32768,
    "v5e-devices-int4": 35.0 / 16.0,
    "h100-gather": 7 / 8 * 2 * 1024 * 16384 / 450e9,
    "v5e-gather": 3 / 4 * 2 * 2048 * 8192 / 45e9,
}


def test_both_books_agree_but_where_it_is_said() -> None:
    found = worked_examples.compared().set_index("id")
    told = worked_examples.agreeing(found)
    assert told["all"] == len(found) > 20
    apart = told["apart"]
    assert set(apart.index) == {"v5e-critical-all-int8", "v5e-devices-int4", "v5e-gather-measured"}
    assert apart["note"].notna().all()
    assert told["same"] + len(apart) == told["all"]
    assert found["checked"].all()


@pytest.mark.parametrize("name", BY_HAND)
def test_ours_by_hand(name: str) -> None:
    found = worked_examples.compared().set_index("id")["ours"]
    # A smooth maximum stands above the larger of two equal times by a thousandth.
    assert found[name] == pytest.approx(BY_HAND[name], rel=2e-3)
