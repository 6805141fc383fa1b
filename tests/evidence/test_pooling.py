"""Partial pooling, worked out by hand."""

import numpy as np
import pandas as pd

from llmecon.evidence import pooling


def test_pool_by_hand() -> None:
    """Two rows of one group at +0.3: its level is 0.3 x 2 s^2 / (2 s^2 + n^2)."""
    effect = pooling.Effect(("xpu",), 0.2)
    rows = pd.DataFrame({"xpu": ["a", "a", "b"]})
    pool = pooling.Pool((effect,), 0.1, rows[:2], np.array([0.3, 0.3]))
    mean, variance = pool.predict(rows)
    np.testing.assert_allclose(mean, [0.3 * 0.08 / 0.09, 0.3 * 0.08 / 0.09, 0.0])
    np.testing.assert_allclose(variance, [0.04 * 0.01 / 0.09 + 0.01] * 2 + [0.05])
