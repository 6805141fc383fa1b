"""The best chip over draws of what chips cost."""

import jax
import numpy as np
import pytest

from llmecon import silicon
from llmecon.silicon import Silicon, doubts
from tests.problems import EFFICIENCY, close
from tests.silicon.jobs import DECODE, PRICES, best

pytestmark = pytest.mark.slow


def test_draws_lie_evenly_between_low_and_high() -> None:
    drawn, of = doubts.draws(64), silicon.constants()
    for name in Silicon.__dataclass_fields__:
        values = np.log(np.asarray(getattr(drawn, name)))
        low, high = np.log(of.loc[name, "low"]), np.log(of.loc[name, "high"])
        assert low <= values.min()
        assert values.max() <= high
        assert values.mean() == pytest.approx(0.5 * (low + high), abs=0.02 * (high - low))


def test_intervals_hold_the_best_and_prices_decide() -> None:
    drawn = doubts.draws(64)
    one = jax.tree.map(lambda leaf: leaf[None], DECODE)
    found = doubts.searched(one, PRICES, drawn, EFFICIENCY)
    close(found.best.usd_per_token, best("decode").usd_per_token, rtol=1e-6)
    close(found.job.past_tokens, DECODE.past_tokens)
    spans = doubts.intervals(found)
    ratio = spans["bytes_per_flop"]
    assert ratio.low < float(best("decode").bytes_per_flop) < ratio.high
    assert ratio.missing == 0.0
    ranks = doubts.deciding(drawn, found)
    assert set(ranks.index) == set(Silicon.__dataclass_fields__)
    assert ranks.loc["markup", "usd_per_token"] > 0.5
    assert ranks.loc["compute_density", "bytes_per_flop"] < -0.3
