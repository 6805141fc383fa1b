"""A fleet's energy per request: conservation, idle servers, and what a request bears besides."""

import equinox as eqx
import jax.numpy as jnp
import pytest

from llmecon import InputError, serving
from llmecon.costs import carbon, per_request
from llmecon.physics import energy
from llmecon.specs import JOULES_PER_KWH, SECONDS_PER_YEAR, Instance
from llmecon.tables import catalog
from tests.problems import CHAT, DENSE, EFFICIENCY, SINGLE, SITE, changed, floats

H100 = catalog.xpu("h100-sxm")
INSTANCE = Instance(DENSE, H100, SINGLE, EFFICIENCY)
SERVICE = eqx.filter_jit(serving.serve)(INSTANCE, CHAT, jnp.asarray(2.0))
AROUND = per_request.Surroundings(
    reader=carbon.EndDevice(power=1.0, making=50.0, lifetime=1.6e7),
    making=900.0,
    building=100.0,
    lifetime=5 * SECONDS_PER_YEAR,
    sent=50e3,
    network_energy=1e-4,
    reader_intensity=0.4 / JOULES_PER_KWH,
    trained=1e6,
    lifetime_requests=1e9,
)


def spent(fleet: per_request.Fleet) -> energy.Energy:
    return per_request.request_energy(fleet, SERVICE.point, INSTANCE, SITE)


def test_requests_bear_all_that_the_meter_shows() -> None:
    """Three instances that answer 6 requests a second, and two that wait."""
    found = spent(per_request.Fleet(6.0, 3.0, 2.0))
    host = EFFICIENCY.host_power * H100.tdp
    idle = energy.device_power(H100, EFFICIENCY, *floats(0.0, 0.0, 0.0))
    watts = SITE.pue * (3 * (SERVICE.point.power + host) + 2 * (idle + host))
    assert 6 * found.total == pytest.approx(float(watts), rel=1e-9)
    assert found.facility == pytest.approx(float((SITE.pue - 1) * found.servers), rel=1e-9)


def test_beyond_its_capacity_a_fleet_s_energy_is_that_of_what_it_completes() -> None:
    """Asked for three times what they complete, eight instances draw what full ones draw."""
    full = serving.full_rate(INSTANCE, CHAT)
    given = (INSTANCE, SITE)
    for excess in (1.5, 3.0):
        load = excess * 8.0 * full
        over = eqx.filter_jit(serving.serve)(INSTANCE, CHAT, load / 8.0)
        asked = per_request.Fleet(load, 8.0)
        completed = per_request.answered(asked, over.point)
        assert completed == pytest.approx(float(8.0 * full), rel=1e-9)
        each = per_request.request_energy(asked, over.point, *given).total
        host = EFFICIENCY.host_power * H100.tdp
        watts = SITE.pue * 8.0 * SINGLE.xpus * (over.point.power + host)
        assert completed * each == pytest.approx(float(watts), rel=1e-9)
        borne = per_request.request(asked, over.point, *given, AROUND, jnp.asarray(40.0)).footprint
        yearly = completed * SECONDS_PER_YEAR * (borne.making + borne.building)
        assert yearly == pytest.approx(8 * 1000 / 5, rel=1e-9)


def test_within_its_capacity_a_fleet_completes_what_is_asked() -> None:
    assert per_request.answered(per_request.Fleet(6.0, 3.0, 2.0), SERVICE.point) == 6.0


def test_waiting_instances_are_idle_and_nothing_else() -> None:
    without, beside = spent(per_request.Fleet(6.0, 3.0)), spent(per_request.Fleet(6.0, 3.0, 2.0))
    assert beside.device == without.device
    assert beside.host == without.host
    assert beside.idle > without.idle >= 0


def test_a_packed_fleet_draws_less_than_a_spread_one() -> None:
    """The same load on the same machines: full ones beside idle ones, or all half empty."""
    rate = float(serving.capacity(INSTANCE, CHAT, TARGET).rate)
    load = 0.4 * rate * 10
    full = serving.serve(INSTANCE, CHAT, jnp.asarray(rate)).point
    part = serving.serve(INSTANCE, CHAT, jnp.asarray(0.4 * rate)).point
    given = (INSTANCE, SITE)
    packed = per_request.request_energy(per_request.Fleet(load, 4.0, 6.0), full, *given)
    spread = per_request.request_energy(per_request.Fleet(load, 10.0), part, *given)
    assert packed.total < spread.total
    assert packed.idle > spread.idle


TARGET = catalog.latency_target("mlperf-llama-3.1-8b-server")


def test_hardware_is_borne_by_calendar_time() -> None:
    """Devices of 1,000 kg that last five years: a year of them is a fifth, whoever waits."""
    used = per_request.request(
        per_request.Fleet(6.0, 3.0, 2.0), SERVICE.point, INSTANCE, SITE, AROUND,
        jnp.asarray(40.0),
    )  # fmt: skip
    yearly = 6 * SECONDS_PER_YEAR * (used.footprint.making + used.footprint.building)
    assert yearly == pytest.approx(5 * 1000 / 5, rel=1e-9)
    assert used.footprint.training == pytest.approx(1e-3)
    assert used.footprint.network == pytest.approx(5 * 0.4 / JOULES_PER_KWH)
    assert used.footprint.reader == pytest.approx(40 * (0.4 / JOULES_PER_KWH + 50 / 1.6e7))


def test_shares_lie_between_nothing_and_all() -> None:
    found = per_request.request(
        per_request.Fleet(6.0, 3.0, 2.0), SERVICE.point, INSTANCE,
        changed(SITE, carbon_intensity=0.0), AROUND, jnp.asarray(40.0),
    ).footprint  # fmt: skip
    assert found.electricity == 0.0
    shares = [float(part / found.total) for part in vars(found).values()]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert sum(shares) == pytest.approx(1.0)


FULL = serving.capacity(INSTANCE, CHAT, TARGET)


def at_rate(rate: jnp.ndarray) -> serving.Service:
    return serving.serve(INSTANCE, CHAT, rate)


def test_spread_load_reaches_all_and_packed_load_as_few_as_it_fills() -> None:
    load, instances = 1.5 * FULL.rate, jnp.asarray(4.0)
    shared, service = per_request.dispatch("spread", load, instances, FULL, at_rate)
    assert (shared.active, shared.waiting) == (4.0, 0.0)
    assert 4 * service.offered == pytest.approx(float(load))
    filled, service = per_request.dispatch("packed", load, instances, FULL, at_rate)
    assert (filled.active, filled.waiting) == (pytest.approx(1.5), pytest.approx(2.5))
    assert service is FULL.service


def test_an_unknown_routing_is_refused() -> None:
    with pytest.raises(InputError, match="use one of spread, packed"):
        per_request.dispatch("random", FULL.rate, jnp.asarray(1.0), FULL, at_rate)
