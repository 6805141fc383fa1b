"""Phases on instances of their own, against what a study found."""

import numpy as np
import pytest

from llmecon.checks import older_engines, published_phases
from llmecon.specs import LatencyTarget

pytestmark = pytest.mark.slow

H100 = "h100-sxm"


def test_phases_apart_pay_for_long_prompts_under_a_tight_limit() -> None:
    def gain(tpot: float) -> np.ndarray:
        target = LatencyTarget(2.0, tpot, 0.9)
        table = published_phases.split_by_length(
            "llama-3.1-70b", H100, 4.0, 256.0, target, older_engines.today()
        )
        together = 1.0 / (1.0 / table["prefill"] + 1.0 / table["decode"])
        np.testing.assert_allclose(table["apart"], together, rtol=1e-9)
        return table.set_index("prompt_tokens")["gain"].to_numpy()

    loose, tight = gain(0.04), gain(0.02)
    assert np.all(tight > loose)
    assert np.all(np.diff(tight[:5]) > 0.0)  # up to 2048 tokens
    assert loose[0] < 1.1  # hardly pays for short prompts
    assert loose[-1] < 1.0  # the limit on the first token leaves a prompt's instance little to do
