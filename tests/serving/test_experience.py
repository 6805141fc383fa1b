"""Delay as a reader perceives it, against sums over tokens."""

import numpy as np
import pytest

from llmecon.serving import experience
from tests.problems import READER, changed, floats


def summed_quality(ttft: float, tpot: float, tokens: int, expected: float, speed: float) -> float:
    """Andes (Liu et al. 2024): one less the area of delay over the whole area, token by token."""
    i = np.linspace(0, tokens, 200_001)
    actual = ttft + i * max(tpot, 1 / speed)
    late = np.maximum(actual - (expected + i / speed), 0.0)
    return 1.0 - np.trapezoid(late, i) / np.trapezoid(actual, i)


@pytest.mark.parametrize("ttft", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("tpot", [0.05, 0.2, 0.6])
def test_quality_is_the_area_free_of_delay(ttft: float, tpot: float) -> None:
    reader = changed(READER, ttft=1.0, speed=5.0)
    found = experience.quality_of_experience(*floats(ttft, tpot, 200.0), reader)
    assert found == pytest.approx(summed_quality(ttft, tpot, 200, 1.0, 5.0), rel=1e-6)


def test_quality_of_a_late_but_fast_stream_by_hand() -> None:
    """3 s late over 10 tokens read at 5/s: 1 - 3 x 10 / (4 x 10 + 10²/5/2) = 0.4."""
    reader = changed(READER, ttft=1.0, speed=5.0)
    found = experience.quality_of_experience(*floats(4.0, 0.01, 10.0), reader)
    assert found == pytest.approx(0.4)


def test_quality_is_one_if_nobody_waits_and_goes_to_zero() -> None:
    assert experience.quality_of_experience(*floats(0.5, 0.01, 300.0), READER) == 1.0
    assert experience.quality_of_experience(*floats(1e9, 0.01, 300.0), READER) < 1e-6


def test_response_time() -> None:
    """Dong and Xie 2024: latency = TTFT + TPOT x tokens."""
    assert experience.response_time(*floats(0.5, 0.02, 300.0)) == pytest.approx(6.5)


@pytest.mark.parametrize(("tpot", "seconds"), [(0.02, 61.0), (0.5, 151.0)])
def test_reading_time_follows_the_slower(tpot: float, seconds: float) -> None:
    reader = changed(READER, speed=5.0)
    assert experience.reading_time(*floats(1.0, tpot, 300.0), reader) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("time", "shown", "read"), [(0.5, 0.0, 0.0), (3.0, 20.0, 10.0), (1e3, 300.0, 300.0)]
)
def test_timelines(time: float, shown: float, read: float) -> None:
    reader = changed(READER, speed=5.0)
    stream = floats(time, 1.0, 0.1, 300.0)
    assert experience.delivered_tokens(*stream) == pytest.approx(shown)
    assert experience.read_tokens(*stream, reader) == pytest.approx(read)
