"""Drafts near, verified far: formula, best length, when it pays."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.physics import speculation
from llmecon.tables import catalog
from tests.problems import floats


def draft(acceptance: float, round_trip: float = 0.0) -> speculation.Draft:
    return speculation.Draft(acceptance, seconds=0.002, verification=0.04, round_trip=round_trip)


def test_tokens_per_round_by_hand() -> None:
    """Leviathan et al. 2022: at 0.8 and drafts of 4 a pass yields 3.36 tokens."""
    assert speculation.tokens_per_round(*floats(0.8, 4.0)) == pytest.approx(3.3616)
    assert speculation.tokens_per_round(*floats(0.0, 4.0)) == pytest.approx(1.0)
    assert speculation.tokens_per_round(*floats(1.0, 4.0)) == 5.0


def test_published_speed_ups_lie_near_the_formulas() -> None:
    """T5 drafts: the formula, without any overhead, lies between 25% below and half above."""
    rows = catalog.table("drafting").dropna(
        subset=["acceptance_low", "draft_tokens", "draft_cost", "speed_up"]
    )
    rows = rows[rows["source"] == "Leviathan2022"]
    assert len(rows) >= 10
    for of in rows.to_dict("records"):
        record = speculation.Draft(of["acceptance_low"], of["draft_cost"], 1.0)
        found = 1.0 / speculation.seconds_per_token(record, jnp.asarray(of["draft_tokens"]))
        assert 0.75 < found / of["speed_up"] < 1.5, of["id"]


@pytest.mark.slow
@pytest.mark.parametrize("acceptance", [0.3, 0.6, 0.8, 0.9])
@pytest.mark.parametrize("round_trip", [0.0, 0.05, 0.2])
def test_the_best_length_is_that_of_a_fine_grid(acceptance: float, round_trip: float) -> None:
    of = draft(acceptance, round_trip)
    grid = np.linspace(0.001, 64.0, 64_001)
    by_grid = grid[np.argmin(speculation.seconds_per_token(of, jnp.asarray(grid)))]
    assert speculation.best_length(of) == pytest.approx(by_grid, abs=2e-3)


def test_a_longer_way_asks_for_longer_drafts() -> None:
    lengths = [float(speculation.best_length(draft(0.8, trip))) for trip in (0.0, 0.03, 0.1, 0.3)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_the_acceptance_from_which_it_pays() -> None:
    of, alone = draft(0.0, 0.03), jnp.asarray(0.04)
    least = speculation.acceptance_to_pay(of, jnp.asarray(4.0), alone)
    assert 0.0 < least < 1.0
    exact = speculation.Draft(least, of.seconds, of.verification, of.round_trip)
    assert speculation.seconds_per_token(exact, jnp.asarray(4.0)) == pytest.approx(0.04, rel=1e-6)
    # Over a round trip of a second no draft of four tokens can pay.
    assert speculation.acceptance_to_pay(draft(0.0, 1.0), jnp.asarray(4.0), alone) == 1.0
