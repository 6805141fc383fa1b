"""A service under load: identities that hold at every point, and published special cases."""

import math

import jax
import numpy as np
import pytest

from llmecon import serving
from llmecon.physics import queueing
from llmecon.specs import Instance
from llmecon.tables import catalog
from tests.problems import (
    CHAT,
    DENSE,
    EFFICIENCY,
    SINGLE,
    changed,
    evaluate,
    floats,
)

H100 = catalog.xpu("h100-sxm")
SYSTEM = (Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT)


def own_prompt(point: serving.OperatingPoint, batch: float) -> float:
    """A request's own prompt: its own pass if it meets nobody, else what it adds to the others'."""
    seen = batch / -math.expm1(-batch)
    alone, mixed = float(point.prefill), float(point.mixed_prefill)
    return alone / seen + (1.0 - 1.0 / seen) * mixed


@pytest.mark.parametrize("rate", [0.01, 1.0, 4.0])
def test_service_completes_what_is_offered(rate: float) -> None:
    service = evaluate(serving.serve, *SYSTEM, *floats(rate, 0.95))
    assert service.load < 1
    assert service.point.rate == pytest.approx(rate, rel=1e-9)


def test_completions_equal_arrivals_down_to_the_lightest_load() -> None:
    """Ten decades of rates within capacity."""
    most = float(serving.full_rate(*SYSTEM))
    rates = np.geomspace(1e-9, 0.9 * most, 12)
    found = jax.jit(jax.vmap(lambda rate: serving.serve(*SYSTEM, rate)))(rates)
    np.testing.assert_allclose(found.point.rate, rates, rtol=1e-9)
    assert (np.diff(found.point.batch) > 0.0).all()


@pytest.mark.slow
def test_no_load_is_served_by_idle_devices() -> None:
    """At a rate of zero: latencies of a lone request, idle power, finite slopes."""

    def outcome(rate: jax.Array) -> jax.Array:
        service = serving.serve(*SYSTEM, rate)
        numbers = [service.ttft, service.ttft_quantile, service.point.tpot, service.point.power]
        return jax.numpy.stack([*numbers, service.point.rate, service.point.batch])

    zero = jax.numpy.asarray(0.0)
    found, slopes = jax.jit(outcome)(zero), jax.jit(jax.jacfwd(outcome))(zero)
    assert np.isfinite(found).all()
    assert np.isfinite(slopes).all()
    near = jax.jit(outcome)(jax.numpy.asarray(1e-6))
    np.testing.assert_allclose(found[:4], near[:4], rtol=1e-4)
    assert found[4] == pytest.approx(0.0, abs=1e-11)


def test_ttft_by_hand() -> None:
    """The parts recomputed: work outside, slot, prompt, step and the prompt's turn."""
    service = evaluate(serving.serve, *SYSTEM, *floats(4.0, 0.95))
    room = float(serving.largest_batch(*SYSTEM))
    full = evaluate(serving.operating_point, *SYSTEM, *floats(room))
    # The batch that even arrivals would make, of which the reported one is the mean.
    batch = fluid_batch(4.0)
    point = evaluate(serving.operating_point, *SYSTEM, *floats(batch))
    load = 4.0 / float(full.rate)
    slot = queueing.wait(
        *floats(load, float(full.rate), room, 1.5, 0.9, 3600.0), occupancy=floats(batch / room)[0]
    )
    busy = 1.0 - math.exp(-batch)
    prompt, step = float(point.mixed_prefill), busy * float(point.step)
    use = 4.0 * prompt
    cycle = step / (1.0 - use) + use * prompt * (1.0 + 1.2**2) / (1.0 - use**2)
    turn = (0.5 + use) * cycle
    turn += serving.BURST * prompt * (1.5**2 - 1.0) * math.sqrt(use / (1.0 - use))
    own = (1.0 - busy) * float(point.prefill) + busy * prompt
    expected = EFFICIENCY.request_time + slot.mean + own + step + turn
    # The share of time left to decoding is kept above zero.
    assert service.ttft == pytest.approx(float(expected), rel=1e-4)
    # The 95th percentile of the exponential is log(20), and almost nobody waits for a slot.
    longer = float(queueing.lognormal_quantile(*floats(0.95, 1.2)))
    tail = longer * own + 1.95 * step + (turn - 0.5 * step) * math.log(20.0)
    assert service.ttft_quantile == pytest.approx(float(EFFICIENCY.request_time + tail), rel=1e-4)


def fluid_batch(rate: float) -> float:
    """Requests in flight if they came evenly."""
    low, high = 1e-3, float(serving.largest_batch(*SYSTEM))
    for _ in range(60):
        middle = 0.5 * (low + high)
        reached = evaluate(serving.operating_point, *SYSTEM, *floats(middle)).rate >= rate
        low, high = (low, middle) if reached else (middle, high)
    return low


@pytest.mark.parametrize("rate", [0.05, 0.5, 4.0, 8.0])
def test_littles_law_holds_for_a_batch_that_varies(rate: float) -> None:
    service = evaluate(serving.serve, *SYSTEM, *floats(rate, 0.95))
    point = service.point
    stay = own_prompt(point, fluid_batch(rate)) + CHAT.output_tokens * point.tpot
    assert point.batch == pytest.approx(float(rate * stay), rel=1e-9)
    assert fluid_batch(rate) <= point.batch * (1.0 + 1e-9) <= serving.largest_batch(*SYSTEM)


def test_varying_batch_is_a_negative_binomial() -> None:
    """x / (1 - x) more requests, widened by bursts, where x is the slope of the service time."""
    room, even = float(serving.largest_batch(*SYSTEM)), fluid_batch(4.0)
    full = float(serving.full_rate(*SYSTEM))
    slope = 4.0 * (room / full - even / 4.0) / (room - even)
    found = float(evaluate(serving.serve, *SYSTEM, *floats(4.0, 0.95)).point.batch) - even
    assert found == pytest.approx(0.5 * (1.0 + 1.5**2) * slope / (1.0 - slope), rel=0.02)


def test_disaggregated_first_token_waits_for_prompts_alone() -> None:
    apart = changed(SINGLE, disaggregated=1.0)
    service = evaluate(
        serving.serve, Instance(DENSE, H100, apart, EFFICIENCY), CHAT, *floats(4.0, 0.95)
    )
    prefill = float(service.point.prefill)
    queue = queueing.wait(*floats(4.0 * prefill, 1.0 / prefill, 1.0, 1.5, 1.2, 3600.0))
    expected = EFFICIENCY.request_time + prefill + queue.mean
    assert service.ttft == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("batch", [0.05, 1.0, 8.0, 60.0])
def test_service_at_a_batch_is_the_service_at_its_rate(batch: float) -> None:
    """One solves for the requests in flight that the other is given."""
    at = evaluate(serving.service_at, *SYSTEM, *floats(batch, 0.95))
    again = evaluate(serving.serve, *SYSTEM, at.point.rate, *floats(0.95))
    assert fluid_batch(float(at.point.rate)) == pytest.approx(batch, rel=1e-6)
    assert again.point.rate == pytest.approx(float(at.point.rate), rel=1e-9)
    assert again.point.tpot == pytest.approx(float(at.point.tpot), rel=1e-6)
    assert again.ttft == pytest.approx(float(at.ttft), rel=1e-6)
    assert again.ttft_quantile == pytest.approx(float(at.ttft_quantile), rel=1e-6)
    assert again.load == pytest.approx(float(at.load), rel=1e-9)


def test_no_more_are_in_flight_than_there_is_room_for() -> None:
    room = float(serving.largest_batch(*SYSTEM))
    full, beyond = (
        evaluate(serving.service_at, *SYSTEM, *floats(batch, 0.95)) for batch in (room, 3 * room)
    )
    assert beyond.point.rate == pytest.approx(float(serving.full_rate(*SYSTEM)), rel=1e-9)
    assert beyond.ttft == pytest.approx(float(full.ttft), rel=1e-9)
    assert beyond.point.batch <= room * (1 + 1e-9)


@pytest.mark.parametrize("excess", [2.0, 100.0])
def test_overload_waits_for_the_backlog(excess: float) -> None:
    full = float(serving.full_rate(*SYSTEM))
    service = evaluate(serving.serve, *SYSTEM, *floats(excess * full, 0.95))
    assert service.load == pytest.approx(excess)
    assert service.point.rate == pytest.approx(full)
    backlog = serving.HORIZON * (excess - 1) / 2
    assert float(service.ttft) == pytest.approx(backlog, rel=0.02)
