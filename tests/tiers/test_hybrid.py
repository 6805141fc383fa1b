"""Device, edge and cloud: what each takes, and the best policy against brute force."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.costs import carbon, per_request
from llmecon.specs import (
    JOULES_PER_KWH,
    SECONDS_PER_HOUR,
    SECONDS_PER_YEAR,
    Deployment,
    Instance,
    Site,
    Workload,
    precision,
)
from llmecon.tables import catalog
from llmecon.tiers import hybrid, own_machine, routing
from llmecon.tiers.hybrid import OwnModel, SharedMachine
from tests.problems import changed, floats

pytestmark = pytest.mark.slow

ASKED = Workload(prompt_tokens=400.0, output_tokens=211.0)
PACE = 5.0
NEAR, MIDDLE, FAR = (
    catalog.llm(name) for name in ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b")
)
INT4, FP8 = precision("int4"), precision("fp8")
PHONE = own_machine.machine("snapdragon-8-gen-3")
HANDSET = carbon.EndDevice(power=1.0, making=60.0, lifetime=5000.0 * SECONDS_PER_HOUR)
L4, H100 = catalog.xpu("l4"), catalog.xpu("h100-sxm")
EDGE, CLOUD = Deployment(precision=FP8), Deployment(tensor=2.0, precision=FP8)
EFFICIENCY = catalog.efficiency()
AT_ONCE = jnp.asarray(8.0)
# A clean home beside a grid of gas: the device is slow and clean, the cloud fast and not.
HOME = Site(
    pue=1.0,
    carbon_intensity=0.03 / JOULES_PER_KWH,
    market_intensity=0.03 / JOULES_PER_KWH,
    marginal_intensity=0.03 / JOULES_PER_KWH,
    electricity_price=0.17 / JOULES_PER_KWH,
    water_on_site=0.0,
    water_off_site=0.0,
)
GAS = changed(HOME, pue=1.2, carbon_intensity=0.37 / JOULES_PER_KWH)
QUALITIES = (0.634, 0.73, 0.86)
SKILL = 0.8
MODELS = routing.chain(jnp.asarray(QUALITIES), 0.5)


def reach(round_trip: float, usd_per_hour: float, making: float) -> hybrid.Reach:
    around = per_request.Surroundings(
        reader=HANDSET,
        making=making,
        building=100.0,
        lifetime=5.0 * SECONDS_PER_YEAR,
        sent=50e3,
        network_energy=0.02 * JOULES_PER_KWH / 1e9,
        reader_intensity=HOME.carbon_intensity,
        trained=0.0,
        lifetime_requests=1.0,
    )
    return hybrid.Reach(around, round_trip, usd_per_hour / SECONDS_PER_HOUR, PACE)


NEARBY, AWAY = reach(0.01, 0.75, 500.0), reach(0.04, 2.5, 900.0)
on_device = eqx.filter_jit(hybrid.on_device)
shared = eqx.filter_jit(hybrid.shared)
cascaded = jax.jit(routing.cascade)
many = jax.jit(jax.vmap(routing.cascade, (0, 0, None, None)))


def on_phone(in_a_row: float = 5.0) -> hybrid.Taken:
    return on_device(OwnModel(NEAR, PHONE, INT4), ASKED, HANDSET, HOME, *floats(PACE, in_a_row))


def drafting(draft_tokens: jax.Array, machine: own_machine.Machine = PHONE) -> hybrid.Taken:
    far = SharedMachine(Instance(FAR, H100, CLOUD, EFFICIENCY), GAS, AWAY, AT_ONCE)
    return hybrid.drafted(OwnModel(NEAR, machine, INT4), HOME, far, ASKED, 0.7, draft_tokens)


@cache
def tiers() -> tuple[hybrid.Taken, hybrid.Taken, hybrid.Taken]:
    """A request on a phone, on a small box that eight share, and in a data centre."""
    edge = shared(
        SharedMachine(Instance(MIDDLE, L4, EDGE, EFFICIENCY), GAS, NEARBY, AT_ONCE), ASKED
    )
    cloud = shared(SharedMachine(Instance(FAR, H100, CLOUD, EFFICIENCY), GAS, AWAY, AT_ONCE), ASKED)
    return on_phone(), edge, cloud


@pytest.fixture(autouse=True, scope="module")
def _tiers_are_numbers() -> None:
    """What is kept must not be first asked for while a function is traced."""
    tiers()


# From none to the longest, the ends included.
LENGTHS = jnp.concatenate([jnp.zeros(1), jnp.geomspace(1.0, hybrid.LONGEST_DRAFT, 300)])


@cache
def by_length() -> hybrid.Taken:
    """Requests drafted with lengths of all kinds."""
    # Compiling takes longer than running, so it is the former that is made fast.
    quick = {"xla_backend_optimization_level": 0}
    return jax.jit(jax.vmap(drafting), compiler_options=quick)(LENGTHS)


@eqx.filter_jit
def take(policy: hybrid.Policy) -> hybrid.Outcome:
    return hybrid.outcome(policy, tiers(), drafting, SKILL, MODELS)


def test_waiting_by_hand() -> None:
    """101 tokens read in 20.2 s: at 10 tokens/s only the first is waited for, at 4 the rest too."""
    assert hybrid.kept_waiting(*floats(2.0, 0.1, 101.0), PACE) == pytest.approx(2.0)
    assert hybrid.kept_waiting(*floats(2.0, 0.25, 101.0), PACE) == pytest.approx(2.0 + 25.0 - 20.2)
    # Just as fast as it is read.
    assert hybrid.kept_waiting(*floats(2.0, 0.202, 101.0), PACE) == pytest.approx(2.0)


def test_a_device_by_hand() -> None:
    ran = own_machine.answer(NEAR, PHONE, INT4, ASKED, 5.0)
    found = on_phone()
    waited = float(ran.ttft)
    assert 210.0 * ran.tpot < 211.0 / PACE, "a phone writes faster than people read"
    drawn = float(ran.energy) + waited * float(HANDSET.power)
    assert found.energy == pytest.approx(drawn)
    assert found.usd == pytest.approx(drawn / JOULES_PER_KWH * 0.17)
    assert found.footprint.electricity == pytest.approx(float(ran.energy) * 0.03 / JOULES_PER_KWH)
    worn = waited * 60.0 / (5000.0 * 3600.0)
    assert found.footprint.reader == pytest.approx(worn + waited * 0.03 / JOULES_PER_KWH)


@pytest.mark.parametrize(
    "device",
    [
        "snapdragon-8-gen-3",
        "a17-pro",
        "snapdragon-x-elite",
        "apple-m3-max",
        "jetson-agx-orin",
        "jetson-orin-nano",
    ],
)
def test_a_request_is_answered_on(device: str) -> None:
    machine = own_machine.machine(device)
    found = on_device(OwnModel(NEAR, machine, INT4), ASKED, HANDSET, HOME, *floats(PACE, 1.0))
    assert found.possible == 1.0
    assert found.seconds == pytest.approx(float(found.ttft + 210.0 * found.tpot))
    assert 1.0 < found.seconds < 40.0
    # A watt-hour at most: 211 tokens of a small model.
    assert 0.0 < found.energy < 3600.0
    assert 0.0 < found.footprint.total < 1e-3


def test_a_model_too_large_is_impossible() -> None:
    too_large = on_device(OwnModel(FAR, PHONE, INT4), ASKED, HANDSET, HOME, *floats(PACE, 1.0))
    assert too_large.possible == 0.0
    found = shared(SharedMachine(Instance(FAR, L4, EDGE, EFFICIENCY), GAS, NEARBY, AT_ONCE), ASKED)
    assert found.possible == 0.0
    crowded = shared(
        SharedMachine(Instance(MIDDLE, L4, EDGE, EFFICIENCY), GAS, NEARBY, jnp.asarray(1e6)), ASKED
    )
    assert crowded.possible == 0.0
    assert all(way.possible == 1.0 for way in tiers())
    assert jnp.all(by_length().possible == 1.0)


def test_parts_of_a_footprint_sum() -> None:
    for way in (*tiers(), by_length()):
        parts = sum(np.asarray(part) for part in vars(way.footprint).values())
        np.testing.assert_allclose(way.footprint.total, parts, rtol=1e-12)
        assert all(np.all(np.asarray(part) >= 0.0) for part in vars(way.footprint).values())


def test_a_shared_machine_is_paid_by_those_who_use_it() -> None:
    """Money and electricity of all requests of an hour are those of the hour."""
    _, edge, _ = tiers()
    busier = shared(
        SharedMachine(Instance(MIDDLE, L4, EDGE, EFFICIENCY), GAS, NEARBY, 2.0 * AT_ONCE), ASKED
    )
    per_hour = 0.75 / edge.usd
    assert 0.0 < per_hour / 3600.0 < 10.0
    assert busier.usd < edge.usd
    assert busier.footprint.making < edge.footprint.making
    # Hardware is spread over the same hours as rent.
    making = float(edge.usd) / (0.75 / 3600.0) * 500.0 / (5.0 * SECONDS_PER_YEAR)
    assert edge.footprint.making == pytest.approx(making)
    assert busier.seconds > edge.seconds


def test_the_way_costs_its_round_trip() -> None:
    longer = changed(NEARBY, round_trip=0.51)
    found = shared(
        SharedMachine(Instance(MIDDLE, L4, EDGE, EFFICIENCY), GAS, longer, AT_ONCE), ASKED
    )
    _, edge, _ = tiers()
    assert found.ttft - edge.ttft == pytest.approx(0.5)
    assert found.seconds - edge.seconds == pytest.approx(0.5)
    assert found.energy - edge.energy == pytest.approx(0.5 * float(HANDSET.power))
    assert found.usd == edge.usd


def test_without_drafts_every_token_is_a_round_trip_away() -> None:
    _, _, cloud = tiers()
    none = jax.tree.map(lambda leaf: leaf[0], by_length())
    read = own_machine.prompt_time(NEAR, PHONE, INT4, ASKED.computed_prompt_tokens)
    assert none.tpot == pytest.approx(float(cloud.tpot) + 0.04)
    assert none.ttft == pytest.approx(max(float(cloud.ttft), float(read)))
    drawn, price = float(read * PHONE.power), float(HOME.electricity_price)
    assert none.usd - cloud.usd == pytest.approx(drawn * price)
    carbon_of_home = drawn * float(HOME.carbon_intensity)
    assert none.footprint.device - cloud.footprint.device == pytest.approx(carbon_of_home)


def test_a_device_pays_for_drafts_in_vain() -> None:
    """At 0.7 and drafts of 4 a round yields 2.77 tokens: 76 rounds of 4 for 211."""
    unpaid, drafted = jax.jit(
        lambda machines: jax.vmap(drafting, (None, 0))(jnp.asarray(4.0), machines),
        compiler_options={"xla_backend_optimization_level": 0},
    )(jax.tree.map(lambda *of: jnp.stack(of), changed(PHONE, power=0.0), PHONE)).energy
    each = own_machine.token_time(NEAR, PHONE, INT4, ASKED.mean_context)
    read = own_machine.prompt_time(NEAR, PHONE, INT4, ASKED.computed_prompt_tokens)
    written = 211.0 / 2.7731 * 4.0
    assert drafted - unpaid == pytest.approx(float((read + written * each) * PHONE.power), rel=1e-4)


def test_longer_drafts_spare_the_far_machine_until_most_are_rejected() -> None:
    costs = np.asarray(by_length().usd)
    best = int(np.argmin(costs))
    assert 0 < best < len(costs) - 1
    assert np.all(np.diff(costs[1 : best + 1]) < 0.0)
    assert np.all(np.diff(costs[best:]) > 0.0)


@pytest.mark.parametrize("near", [hybrid.LOWEST, -0.5, 0.7, hybrid.HIGHEST])
@pytest.mark.parametrize("far", [hybrid.LOWEST, 0.2, hybrid.HIGHEST])
@pytest.mark.parametrize("drafted", [0.0, 0.4, 1.0])
def test_an_outcome_is_the_mean_of_the_ways(near: float, far: float, drafted: float) -> None:
    found = take(hybrid.Policy(near, far, drafted, LENGTHS[200]))
    shares = np.asarray(found.shares)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all((shares >= -1e-12) & (shares <= 1.0 + 1e-12))
    assert shares[3] == pytest.approx(drafted * (shares[2] + shares[3]))
    ways = (*tiers(), jax.tree.map(lambda leaf: leaf[200], by_length()))
    for name in ("seconds", "usd", "energy"):
        mean = shares @ [float(getattr(way, name)) for way in ways]
        assert getattr(found, name) == pytest.approx(mean, rel=1e-9)
    kg = shares @ [float(way.footprint.total) for way in ways]
    assert found.kg == pytest.approx(kg, rel=1e-9)
    sent = cascaded(*floats(near, far, SKILL), MODELS)
    assert found.quality == pytest.approx(float(sent.quality))


def test_all_on_one_way_is_that_way() -> None:
    none, every = hybrid.HIGHEST, hybrid.LOWEST
    ends = ((none, none), (every, none), (none, every))
    for (near, far), way, quality in zip(ends, tiers(), QUALITIES, strict=True):
        found = take(hybrid.Policy(near, far))
        assert found.quality == pytest.approx(quality, abs=1e-12)
        assert found.kg == pytest.approx(float(way.footprint.total), rel=1e-9)
        assert found.seconds == pytest.approx(float(way.seconds), rel=1e-9)


class Found(NamedTuple):
    """The best policy of a grid."""

    value: float
    shares: np.ndarray


def brute(of: Callable[[hybrid.Taken], jax.Array], quality: float, seconds: float) -> Found:
    """The best of a grid over both thresholds, the drafted share and the draft length.

    Around the best of a coarse grid finer ones follow, because a grid seldom meets two limits.
    """
    picks = (of, lambda way: way.seconds)
    plain = [[float(pick(way)) for way in tiers()] for pick in picks]
    drafted = [np.asarray(pick(by_length())) for pick in picks]
    ends = np.array([[hybrid.LOWEST, hybrid.HIGHEST]] * 2 + [[0.0, 1.0], [1.0, len(LENGTHS) - 1]])
    center, width = ends.mean(axis=1), np.ptp(ends, axis=1) / 2.0
    best, at, shares = np.inf, center, np.zeros(4)
    for _ in range(6):
        axes = [
            np.clip(np.linspace(c - w, c + w, n), low, high)
            for c, w, n, (low, high) in zip(center, width, (121, 121, 5, 21), ends, strict=True)
        ]
        first, second = (side.ravel() for side in np.meshgrid(axes[0], axes[1], indexing="ij"))
        sent = many(jnp.asarray(first), jnp.asarray(second), *floats(SKILL), MODELS)
        device, edge, far = np.asarray(sent.shares).T
        good = np.asarray(sent.quality) >= quality
        for share in np.unique(axes[2]):
            for length in np.unique(np.round(axes[3])).astype(int):
                value, seconds_taken = (
                    device * near
                    + edge * middle
                    + far * ((1.0 - share) * away + share * last[length])
                    for (near, middle, away), last in zip(plain, drafted, strict=True)
                )
                value = np.where(good & (seconds_taken <= seconds), value, np.inf)
                i = int(np.argmin(value))
                if value[i] < best:
                    best, at = value[i], np.array([first[i], second[i], share, length])
                    shares = np.array([device[i], edge[i], (1 - share) * far[i], share * far[i]])
        if np.isinf(best):
            break  # nothing to look around
        center, width = at, width / np.array([8.0, 8.0, 2.0, 3.0])
    return Found(best, shares)


# Quality, seconds.
INTERIOR, ALL_FOUR, ROOMY, HURRIED = (0.80, 9.5), (0.78, 12.0), (0.82, 30.0), (0.82, 7.0)
TOO_FAST, TOO_GOOD = (0.80, 3.0), (0.99, 30.0)
QUALITY_STEP, SECOND_STEP = 0.002, 0.05


@cache
def cleanest() -> dict[tuple[float, float], hybrid.Best]:
    """The policies of least carbon, all solved with one compilation."""
    quality, seconds = INTERIOR
    limits = [
        INTERIOR,
        ROOMY,
        HURRIED,
        TOO_FAST,
        TOO_GOOD,
        *((quality + step, seconds) for step in (-QUALITY_STEP, QUALITY_STEP)),
        *((quality, seconds + step) for step in (-SECOND_STEP, SECOND_STEP)),
    ]
    found = hybrid.best_policies(take, lambda of: of.kg, [hybrid.Limits(*each) for each in limits])
    return dict(zip(limits, found, strict=True))


@cache
def cheapest() -> dict[tuple[float, float], hybrid.Best]:
    limits = [ALL_FOUR, ROOMY]
    found = hybrid.best_policies(take, lambda of: of.usd, [hybrid.Limits(*each) for each in limits])
    return dict(zip(limits, found, strict=True))


def kg(way: hybrid.Taken) -> jax.Array:
    return way.footprint.total


def usd(way: hybrid.Taken) -> jax.Array:
    return way.usd


@pytest.mark.parametrize(
    ("solved", "of", "limits"),
    [
        (cleanest, kg, INTERIOR),
        pytest.param(cleanest, kg, ROOMY, marks=pytest.mark.release),
        pytest.param(cleanest, kg, HURRIED, marks=pytest.mark.release),
        pytest.param(cheapest, usd, ALL_FOUR, marks=pytest.mark.release),
        pytest.param(cheapest, usd, ROOMY, marks=pytest.mark.release),
    ],
)
def test_the_best_policy_is_the_grids(
    solved: Callable[[], dict[tuple[float, float], hybrid.Best]],
    of: Callable[[hybrid.Taken], jax.Array],
    limits: tuple[float, float],
) -> None:
    best, by_grid = solved()[limits], brute(of, *limits)
    found = float(best.outcome.kg if of is kg else best.outcome.usd)
    assert best.feasible
    assert best.outcome.quality >= limits[0] - 1e-6
    assert best.outcome.seconds <= limits[1] * (1.0 + 1e-6)
    assert found <= 1.001 * by_grid.value
    # Nor so good that it can't be true.
    assert found >= 0.99 * by_grid.value
    assert by_grid.shares == pytest.approx(np.asarray(best.outcome.shares), abs=0.06)


def test_two_limits_are_met_by_three_tiers() -> None:
    best = cleanest()[INTERIOR]
    assert best.outcome.quality == pytest.approx(INTERIOR[0], abs=1e-6)
    assert best.outcome.seconds == pytest.approx(INTERIOR[1], rel=1e-6)
    assert np.all(np.asarray(best.outcome.shares[:3]) > 0.05)
    for threshold in (best.policy.near, best.policy.far):
        assert hybrid.LOWEST + 1.0 < threshold < hybrid.HIGHEST - 1.0


def test_prices_are_what_other_limits_cost() -> None:
    """The multipliers against solving again with a little more asked for."""
    solved, (quality, seconds) = cleanest(), INTERIOR
    best = solved[INTERIOR]
    better, worse = (
        float(solved[quality + step, seconds].outcome.kg) for step in (QUALITY_STEP, -QUALITY_STEP)
    )
    slower, faster = (
        float(solved[quality, seconds + step].outcome.kg) for step in (SECOND_STEP, -SECOND_STEP)
    )
    assert best.quality_price > 0.0
    assert best.second_price > 0.0
    assert best.quality_price == pytest.approx((better - worse) / (2.0 * QUALITY_STEP), rel=0.01)
    assert best.second_price == pytest.approx((faster - slower) / (2.0 * SECOND_STEP), rel=0.01)


def test_a_limit_that_does_not_bind_costs_nothing() -> None:
    roomy, hurried = cleanest()[ROOMY], cleanest()[HURRIED]
    assert roomy.outcome.seconds < ROOMY[1]
    assert roomy.second_price == pytest.approx(0.0, abs=1e-12)
    assert roomy.quality_price > 0.0
    assert hurried.outcome.quality > HURRIED[0]
    assert hurried.quality_price == pytest.approx(0.0, abs=1e-12)
    assert hurried.second_price > 0.0


@pytest.mark.parametrize("limits", [TOO_FAST, pytest.param(TOO_GOOD, marks=pytest.mark.release)])
def test_limits_that_nothing_keeps_are_flagged(limits: tuple[float, float]) -> None:
    best = cleanest()[limits]
    assert not best.feasible
    assert np.isinf(brute(kg, *limits).value)
    broken = (limits[0] - best.outcome.quality, best.outcome.seconds / limits[1] - 1.0)
    assert max(broken) > 0.01


@pytest.mark.parametrize(("solved", "of"), [(cleanest, kg), (cheapest, usd)])
def test_the_best_draft_length_is_the_grids(
    solved: Callable[[], dict[tuple[float, float], hybrid.Best]],
    of: Callable[[hybrid.Taken], jax.Array],
) -> None:
    """Where time is no limit, the drafts are those that take least."""
    best = solved()[ROOMY]
    assert best.policy.drafted_share == pytest.approx(1.0, abs=1e-6)
    by_grid = LENGTHS[jnp.argmin(of(by_length()))]
    assert 1.0 < by_grid < hybrid.LONGEST_DRAFT
    assert best.policy.draft_tokens == pytest.approx(float(by_grid), rel=0.015)


def test_drafts_can_be_ruled_out() -> None:
    """Were they to take nothing at all, they would be the best way."""
    free = jax.tree.map(jnp.zeros_like, tiers()[2])

    def given(policy: hybrid.Policy) -> hybrid.Outcome:
        return hybrid.outcome(policy, tiers(), lambda _: free, SKILL, MODELS)

    limits = [hybrid.Limits(*ROOMY)]
    (best,) = hybrid.best_policies(given, lambda of: of.kg, limits)
    (without,) = hybrid.best_policies(given, lambda of: of.kg, limits, drafts=False)
    assert best.outcome.shares[3] > 0.99
    assert without.feasible
    assert without.outcome.shares[3] == 0.0
    assert without.outcome.kg > cleanest()[ROOMY].outcome.kg


@pytest.mark.parametrize(
    ("solved", "of", "limits"), [(cleanest, kg, ROOMY), (cheapest, usd, ALL_FOUR)]
)
def test_three_places_are_never_worse_than_two(
    solved: Callable[[], dict[tuple[float, float], hybrid.Best]],
    of: Callable[[hybrid.Taken], jax.Array],
    limits: tuple[float, float],
) -> None:
    """The least share for the better of two models, without drafts, by the router of two."""
    quality, seconds = limits
    best = solved()[limits].outcome
    found = float(best.kg if of is kg else best.usd)
    device, edge, cloud = tiers()
    for pair, weaker, stronger in (
        (MODELS.across, device, cloud),
        (MODELS.near, device, edge),
        (MODELS.further, edge, cloud),
    ):
        if pair.strong < quality:
            continue
        sent = float(routing.share_for(*floats(quality, SKILL), pair))
        if weaker.seconds + sent * (stronger.seconds - weaker.seconds) > seconds:
            continue
        two = float(of(weaker) + sent * (of(stronger) - of(weaker)))
        assert found <= two * (1.0 + 1e-6)


def test_a_place_that_is_dear_and_slow_changes_nothing() -> None:
    """With such an edge the best policy is that of device and cloud alone, to all its digits."""
    device, _, cloud = tiers()
    hopeless = jax.tree.map(lambda leaf: 50.0 * leaf, cloud)
    quality = 0.8

    def given(policy: hybrid.Policy) -> hybrid.Outcome:
        return hybrid.outcome(policy, (device, hopeless, cloud), lambda _: cloud, SKILL, MODELS)

    limits = [hybrid.Limits(quality, 1e3)]
    (best,) = hybrid.best_policies(given, lambda of: of.usd, limits, drafts=False)
    sent = routing.share_for(*floats(quality, SKILL), MODELS.across)
    assert best.outcome.shares[2] == pytest.approx(float(sent), abs=1e-6)
    assert best.outcome.shares[1] < 1e-6
