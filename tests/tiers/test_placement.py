"""Moving work in space and time, against linear programmes and numbers worked out by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from llmecon.errors import InputError
from llmecon.tiers import placement
from tests.problems import changed

HOURS = 8
# Compiled once for all tests.
shifted = jax.jit(placement.shifted)


def moved(load: Any, share: float, intensity: Any, capacity: float) -> placement.Shift:
    given = (jnp.asarray(of, float) for of in (load, share, intensity, capacity))
    return shifted(*given)


def least_emissions(
    load: np.ndarray, share: float, intensity: np.ndarray, capacity: float
) -> float:
    """The cheapest way to run all flexible work somewhere within the capacity, by HiGHS."""
    interactive = (1 - share) * load
    found = linprog(
        intensity,
        A_eq=np.ones((1, len(load))),
        b_eq=[share * load.sum()],
        bounds=[(0, max(capacity - of, 0)) for of in interactive],
    )
    assert found.success
    return float(found.fun + interactive @ intensity)


def least_wait(arriving: np.ndarray, placed: np.ndarray) -> float:
    """Total wait of the best plan from every hour to every later one, by HiGHS."""
    hours = len(arriving)
    waits = [(to - at) % hours for at in range(hours) for to in range(hours)]
    one, eye = np.ones(hours), np.eye(hours)
    found = linprog(
        waits,
        A_eq=np.vstack([np.kron(eye, one), np.kron(one, eye)]),
        b_eq=np.concatenate([arriving, placed]),
    )
    assert found.success
    return float(found.fun)


loads = st.lists(st.floats(0.1, 5.0), min_size=HOURS, max_size=HOURS).map(np.asarray)
# From few values, so that several hours are often equally clean.
intensities = st.lists(
    st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.6]), min_size=HOURS, max_size=HOURS
).map(np.asarray)
shares = st.floats(0.05, 1.0)


@settings(max_examples=60, deadline=None)
@given(loads, shares, intensities, st.floats(1.01, 3.0))
def test_no_plan_emits_less(
    load: np.ndarray, share: float, intensity: np.ndarray, spare: float
) -> None:
    capacity = spare * float(load.mean())
    interactive = (1 - share) * load
    found = moved(load, share, intensity, capacity)
    after = np.asarray(found.load)
    assert after.sum() == pytest.approx(load.sum(), rel=1e-12)
    assert np.all(after >= interactive - 1e-12)
    if np.maximum(capacity - interactive, 0).sum() > share * load.sum():
        assert np.all(after <= np.maximum(capacity, interactive) + 1e-9)
        least = least_emissions(load, share, intensity, capacity)
        assert after @ intensity == pytest.approx(least, abs=1e-8)
    assert found.intensity == pytest.approx(after @ intensity / load.sum(), abs=1e-12)
    assert found.busiest == pytest.approx(after.max() / load.max())


@settings(max_examples=60, deadline=None)
@given(loads, shares, intensities, st.floats(1.01, 3.0))
def test_no_plan_waits_less(
    load: np.ndarray, share: float, intensity: np.ndarray, spare: float
) -> None:
    capacity = spare * float(load.mean())
    interactive = (1 - share) * load
    found = moved(load, share, intensity, capacity)
    if np.maximum(capacity - interactive, 0).sum() > share * load.sum():
        flexible = share * load
        placed = np.asarray(found.load) - interactive
        # Rounding leaves supply and demand unequal, and a programme then without a solution.
        placed = np.maximum(placed, 0) * flexible.sum() / np.maximum(placed, 0).sum()
        wait = least_wait(flexible, placed) / flexible.sum()
        assert found.delay == pytest.approx(wait, abs=1e-6)


def test_a_day_of_four_hours_by_hand() -> None:
    """2 of 4 units may move in every hour, and an hour holds 5, so 3 above the interactive 2.

    The cleanest hour, the last, takes 3 of the 8 that move, the first takes 3, and the second the
    2 that remain. The third is dirtiest and takes none.
    """
    found = moved([4, 4, 4, 4], 0.5, [0.2, 0.3, 0.4, 0.1], 5)
    assert np.asarray(found.load) == pytest.approx([5, 4, 2, 5])
    before, after = 4 * (0.2 + 0.3 + 0.4 + 0.1), 5 * 0.2 + 4 * 0.3 + 2 * 0.4 + 5 * 0.1
    assert found.intensity == pytest.approx(after / 16)
    assert found.saving == pytest.approx(1 - after / before)
    # Two units of the third hour wait: one until the fourth, one until the first of the next day.
    assert found.delay == pytest.approx((1 + 2) / 8)
    assert found.busiest == pytest.approx(5 / 4)


def test_where_nothing_is_cleaner_nothing_moves() -> None:
    load = [1.0, 2.0, 3.0, 2.5]
    found = moved(load, 0.6, [0.3] * 4, 3.5)
    assert np.asarray(found.load) == pytest.approx(load)
    assert found.saving == pytest.approx(0.0, abs=1e-12)
    assert found.delay == pytest.approx(0.0, abs=1e-12)
    assert found.busiest == pytest.approx(1.0)


def test_without_limit_all_runs_in_the_cleanest_hour() -> None:
    load, intensity = np.arange(1.0, 7.0), np.asarray([0.5, 0.3, 0.1, 0.4, 0.6, 0.7])
    found = moved(load, 0.5, intensity, 1e6)
    expected = 0.5 * load + np.eye(6)[2] * 0.5 * load.sum()
    assert np.asarray(found.load) == pytest.approx(expected)
    # All wait for hour 2, those that arrive after it until the next day.
    assert found.delay == pytest.approx(load @ [2, 1, 0, 5, 4, 3] / load.sum())


def test_what_finds_no_room_stays_and_none_is_lost() -> None:
    """3 units of room for 8 that could move: 5/8 of every hour's stay where they arrived."""
    load = np.asarray([2.0, 4.0, 6.0, 4.0])
    found = moved(load, 0.5, [0.2, 0.3, 0.4, 0.1], 2.5)
    room = np.asarray([1.5, 0.5, 0.0, 0.5])
    assert np.asarray(found.load) == pytest.approx(
        0.5 * load + room + 0.5 * load * (1 - room.sum() / 8)
    )
    assert found.load.sum() == pytest.approx(16.0, rel=1e-15)


def test_a_full_hour_may_have_to_move_work_into_a_dirtier_one() -> None:
    found = moved([4.0, 1.0], 0.5, [0.1, 0.5], 3.0)
    assert np.asarray(found.load) == pytest.approx([3.0, 2.0])
    assert found.saving == pytest.approx(1 - (0.3 + 1.0) / (0.4 + 0.5))
    assert found.saving < 0


@pytest.mark.slow
def test_shifting_works_on_batches() -> None:
    load, intensity = jnp.asarray([4.0, 4, 4, 4]), jnp.asarray([0.2, 0.3, 0.4, 0.1])
    several = jax.vmap(placement.shifted, (None, 0, None, None))
    found = several(load, jnp.asarray([0.0, 0.5, 1.0]), intensity, jnp.asarray(5.0))
    assert found.saving[0] == 0.0
    assert np.all(np.diff(found.saving) > 0)
    assert found.saving[1] == pytest.approx(float(moved(load, 0.5, intensity, 5.0).saving))


@pytest.mark.parametrize("delay", [0, 1, 3, 7, 8, 50])
def test_waiting_finds_the_cleanest_hour_within_reach(delay: int) -> None:
    intensity = np.random.default_rng(delay).uniform(0.1, 0.6, HOURS)
    expected = [min(intensity[(at + w) % HOURS] for w in range(delay + 1)) for at in range(HOURS)]
    found = placement.cleanest_within(jnp.asarray(intensity), delay)
    assert np.asarray(found) == pytest.approx(expected)


def test_work_does_not_run_before_it_arrives() -> None:
    with pytest.raises(InputError, match="use 0 or more"):
        placement.cleanest_within(jnp.ones(24), -1)


def test_waiting_a_day_is_shifting_without_limit() -> None:
    intensity = jnp.asarray(np.random.default_rng(1).uniform(0.1, 0.6, 24))
    load = jnp.linspace(1.0, 2.0, 24)
    waited = load @ placement.cleanest_within(intensity, 24) / load.sum()
    assert moved(load, 1.0, intensity, 1e9).intensity == pytest.approx(float(waited))


def test_following_by_hand() -> None:
    """Home is cleaner in the first hour, away in the second; half of the load can follow."""
    both = jnp.asarray([[0.2, 0.6], [0.4, 0.1]])
    load = jnp.asarray([1.0, 3.0])
    met = placement.follow(both, load, jnp.asarray(0.5))
    assert met == pytest.approx((1 * 0.2 + 3 * (0.5 * 0.6 + 0.5 * 0.1)) / 4)
    stays = placement.follow(both, load, jnp.asarray(0.0))
    assert stays == pytest.approx((1 * 0.2 + 3 * 0.6) / 4)
    assert placement.follow(both, load, jnp.asarray(1.0)) == pytest.approx(0.5 / 4)


def test_following_is_no_dirtier_than_any_region() -> None:
    several = jnp.asarray(np.random.default_rng(2).uniform(0.1, 0.6, (5, 24)))
    even = jnp.ones(24)
    met = placement.follow(several, even, jnp.asarray(1.0))
    assert met < several.mean(axis=1).min()


# Home; clean and dear; a little cleaner and cheaper; dirty and cheap; as clean as home.
REGION = placement.Region(
    intensity=jnp.asarray([4.0, 1.0, 3.0, 5.0, 4.0]) * 1e-7,
    price=jnp.asarray([2.0, 3.0, 1.5, 1.0, 1.0]) * 1e-8,
    round_trip=jnp.asarray([0.01, 0.2, 0.06, 0.03, 0.03]),
)
REQUEST = placement.Request(energy=1e3, fixed=1e-4, seconds=0.5)


def test_a_request_in_five_places_by_hand() -> None:
    found = placement.place(REGION, REQUEST)
    assert np.asarray(found.kg) == pytest.approx([5e-4, 2e-4, 4e-4, 6e-4, 5e-4])
    assert np.asarray(found.usd) == pytest.approx([2e-5, 3e-5, 1.5e-5, 1e-5, 1e-5])
    assert np.asarray(found.seconds) == pytest.approx([0.51, 0.7, 0.56, 0.53, 0.53])
    dearer = 1e-5 / 3e-4
    cheaper = -0.5e-5 / 1e-4
    assert np.asarray(found.usd_per_kg) == pytest.approx([np.inf, dearer, cheaper, np.inf, np.inf])


@pytest.mark.parametrize(
    ("limit", "chosen"), [(1.0, 1), (0.7, 1), (0.6, 2), (0.55, 0), (0.52, 0), (0.1, 0)]
)
def test_a_tighter_limit_keeps_requests_nearer(limit: float, chosen: int) -> None:
    weights = placement.cleanest_within_limit(placement.place(REGION, REQUEST), jnp.asarray(limit))
    assert list(weights) == list(np.eye(5)[chosen])


def test_where_none_answers_in_time_the_fastest_is_chosen() -> None:
    slow_home = changed(REGION, round_trip=[0.3, 0.2, 0.06, 0.03, 0.04])
    option = placement.place(slow_home, REQUEST)
    assert list(placement.cleanest_within_limit(option, jnp.asarray(0.1))) == [0, 0, 0, 1, 0]


def test_the_price_of_energy_moves_a_choices_cost_but_not_the_choice() -> None:
    def cost(energy: jax.Array) -> jax.Array:
        option = placement.place(REGION, changed_energy(energy))
        return placement.cleanest_within_limit(option, jnp.asarray(0.6)) @ option.usd

    def changed_energy(energy: jax.Array) -> placement.Request:
        return placement.Request(energy=energy, fixed=1e-4, seconds=0.5)

    assert jax.jit(jax.grad(cost))(jnp.asarray(1e3)) == pytest.approx(1.5e-8)
