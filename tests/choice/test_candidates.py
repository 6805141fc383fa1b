"""Options: engines, how full they may be kept, and what they take; each against another way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.choice import candidates, filling, resources
from llmecon.choice.description import Problem, problem
from llmecon.choice.filling import Demand, Engine, EngineName, excess, flow, fullest
from llmecon.costs.embodied import manufacture
from llmecon.errors import InputError
from llmecon.physics.energy import device_power
from llmecon.specs import Deployment, LatencyTarget, Workload, precision
from llmecon.tables import catalog, hardware_parts

pytestmark = pytest.mark.slow

BUCKETS = [
    {"per_second": 4, "prompt_tokens": 800, "output_tokens": 250, "ttft": 1.5, "tpot": 0.04},
    {"per_second": 1, "prompt_tokens": 9000, "output_tokens": 400, "ttft": 1.0, "tpot": 0.03},
]


def described(**changes: object) -> Problem:
    return problem(
        {
            "model": "llama-3.1-70b",
            "buckets": BUCKETS,
            "choices": {
                "xpus": ["h100-sxm", "h100-nvl", "mi300x"],
                "precisions": ["fp8"],
                "tensor": [1, 2, 4],
                "pipeline": [1],
            },
        }
        | changes
    )


@pytest.fixture(scope="module")
def options() -> candidates.Options:
    return candidates.options(described())


def record(options: candidates.Options, at: int, bucket: int) -> tuple[Engine, Demand]:
    return (
        jax.tree.map(lambda leaf: jnp.asarray(leaf[at]), options.engines),
        jax.tree.map(lambda leaf: jnp.asarray(leaf[bucket]), options.demand),
    )


def test_layouts_that_links_do_not_join_are_left_out(options: candidates.Options):
    widths = {
        xpu: {n.tensor for n in options.names if n.xpu == xpu} for xpu in ("h100-nvl", "h100-sxm")
    }
    assert widths == {"h100-nvl": {1, 2}, "h100-sxm": {1, 2, 4}}
    assert {name.role for name in options.names} == {"whole", "prefill", "decode"}


def test_the_fullest_is_what_a_service_within_its_limits_reaches(options: candidates.Options):
    """Against `serving.capacity`, which searches by itself."""
    for at, name in enumerate(options.names):
        if name.role != "whole":
            continue
        for bucket in range(2):
            engine, demand = record(options, at, bucket)
            filled = engine.instance(options.llm)
            there = serving.capacity(filled, demand.workload, demand.target)
            assert options.able[at, bucket] == bool(there.feasible > 0.0)
            if options.able[at, bucket]:
                rate = 1.0 / options.flows.time[at, bucket, -1]
                assert rate == pytest.approx(float(there.rate), rel=1e-4)
                assert rate <= float(there.rate) * (1.0 + 1e-9)


def test_every_level_keeps_the_limits(options: candidates.Options):
    share = {"whole": 1.0, "prefill": 1.0 - filling.SLOT_SHARE, "decode": filling.SLOT_SHARE}
    kept = np.isfinite(options.fillings)
    assert kept.any()
    for at, name in enumerate(options.names):
        for bucket, limits in enumerate(BUCKETS):
            there = kept[at, bucket]
            ttft, tpot = (
                options.flows.ttft[at, bucket, there],
                options.flows.tpot[at, bucket, there],
            )
            assert np.all(ttft <= limits["ttft"] * share[name.role] * (1.0 + 1e-9))
            assert np.all(tpot <= limits["tpot"] * (1.0 + 1e-9))
    assert np.all(np.isinf(options.flows.time[~kept]))


def test_a_model_that_does_not_fit_is_not_able():
    little = candidates.options(described(choices={"xpus": ["l4"], "tensor": [1], "pipeline": [1]}))
    assert not little.able.any()


def test_the_fullest_moves_with_its_limits(options: candidates.Options):
    at = options.names.index(EngineName("h100-sxm", "fp8", 4, 1, 1))
    engine, demand = record(options, at, 0)

    def by(factor: jax.Array) -> jax.Array:
        target = demand.target
        slower = LatencyTarget(target.ttft * factor, target.tpot * factor, target.quantile)
        return fullest(options.llm, engine, Demand(demand.workload, slower), "whole")

    one, step = jnp.asarray(1.0), 1e-5
    difference = (by(one + step) - by(one - step)) / (2.0 * step)
    assert float(jax.grad(by)(one)) == pytest.approx(float(difference), rel=1e-4)
    assert float(excess(options.llm, engine, demand, by(one), "whole")) == pytest.approx(
        0.0, abs=1e-9
    )


@pytest.mark.parametrize("role", filling.ROLES)
def test_flows_have_the_slopes_of_their_differences(
    options: candidates.Options, role: filling.Role
):
    at = options.names.index(EngineName("mi300x", "fp8", 2, 1, 1, role))
    engine, demand = record(options, at, 1)
    place = jnp.asarray(0.6 if role == "prefill" else 7.0)

    def taken(filling: jax.Array) -> jax.Array:
        found = flow(options.llm, engine, demand, filling, role)
        return jnp.stack([found.time, found.energy, found.latency, found.ttft, found.tpot])

    slope = jax.jacfwd(taken)(place)
    difference = (taken(place * (1 + 1e-6)) - taken(place * (1 - 1e-6))) / (2e-6 * place)
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-9)


def test_standing_takes_rent_idle_power_and_manufacture(options: candidates.Options):
    at = options.names.index(EngineName("h100-sxm", "fp8", 4, 1, 1))
    usd = 4 * catalog.rental_price("h100-sxm").usd / 3600.0
    made = 4 * float(
        manufacture(hardware_parts.materials("h100-sxm"), hardware_parts.recipe()).total
    )
    assert options.capital[at, 0, :2] == pytest.approx([usd, made / (5.0 * 365.25 * 86400.0)])
    xpu, efficiency = catalog.xpu("h100-sxm"), record(options, at, 0)[0].efficiency
    zero = jnp.zeros(())
    idle = float(device_power(xpu, efficiency, zero, zero, zero))
    assert options.resting[at] == pytest.approx(4 * (idle + 700.0 * float(efficiency.host_power)))
    # A joule of servers with the default PUE in the United States.
    intensity = float(catalog.site("usa").carbon_intensity)
    assert options.per_joule[0, :2] == pytest.approx([0.0, catalog.facility_pue() * intensity])
    assert options.per_joule[0, 3] == pytest.approx(catalog.facility_pue())


def test_owners_pay_for_capital_space_and_electricity():
    terms = {"years": 4.0, "discount_rate": 0.0, "maintenance": 0.05, "server": 1.5}
    owned = candidates.options(described(owned=terms | {"usd_per_kw_month": 100.0}))
    at = owned.names.index(EngineName("h100-sxm", "fp8", 2, 1, 1))
    price = 1.5 * catalog.purchase_price("h100-sxm").usd
    host = float(record(owned, at, 0)[0].efficiency.host_power)
    yearly = price / 4.0 + 0.05 * price + 12 * 100.0 * 0.7 * (1.0 + host)
    assert owned.capital[at, 0, 0] * 365.25 * 86400.0 == pytest.approx(2 * yearly, rel=1e-6)
    # 0.08 USD per kWh with the default PUE.
    assert owned.per_joule[0, 0] == pytest.approx(0.08 * catalog.facility_pue() / 3.6e6)


def test_what_has_no_price_is_refused_by_name():
    with pytest.raises(InputError, match=r"renting a17-pro; give one under choices"):
        candidates.options(described(choices={"xpus": ["a17-pro"]}))
    assert resources.offered(
        described(choices={"xpus": ["a17-pro"], "usd_per_hour": {"a17-pro": 0.1}})
    ) == ("a17-pro",)


def test_partners_are_of_one_vendor_precision_and_region():
    choices = described().choices.model_dump(exclude_unset=True)
    both = described(choices=choices | {"regions": [{"grid": "usa"}, {"grid": "swe"}]})
    of = candidates.options(both)
    whole = np.array([name.role == "whole" for name in of.names])
    assert np.all(of.partners[whole] == -1)
    assert not set(of.partners[~whole, 0]) & set(of.partners[~whole, 1])
    for one, first in enumerate(of.names):
        for two, second in enumerate(of.names):
            if "whole" in (first.role, second.role):
                continue
            vendors = [catalog.row("xpus", name.xpu)["vendor"] for name in (first, second)]
            alike = vendors[0] == vendors[1]
            assert ((of.partners[one] == of.partners[two]) == alike).all()


def test_changed_options_are_those_of_the_changed(options: candidates.Options):
    """Twice the bandwidth in the record, or in a catalogue that says so: flows are the same."""
    faster = dataclasses.replace(
        options.engines.xpu, memory_bandwidth=2.0 * np.asarray(options.engines.xpu.memory_bandwidth)
    )
    engines = dataclasses.replace(options.engines, xpu=faster)
    again = candidates.changed(options, engines, options.demand)
    at = options.names.index(EngineName("h100-sxm", "fp8", 4, 1, 1))
    engine, demand = record(again, at, 0)
    there = serving.capacity(
        engine.instance(options.llm),
        demand.workload,
        demand.target,
    )
    assert 1.0 / again.flows.time[at, 0, -1] == pytest.approx(float(there.rate), rel=1e-4)
    assert again.flows.time[at, 0, -1] < options.flows.time[at, 0, -1]


def test_chunks_give_what_one_call_gives():
    values = np.arange(1.0, 12.0)
    doubled = candidates.in_chunks(lambda of: (2.0 * of, of[:, None] * np.ones(3)), 4, values)
    np.testing.assert_array_equal(doubled[0], 2.0 * values)
    assert doubled[1].shape == (11, 3)


def test_engines_count_their_devices():
    assert EngineName("h100-sxm", "fp8", 4, 8, 2).devices == 16
    deployment = Deployment(4.0, 8.0, 2.0, precision("fp8"))
    assert float(deployment.xpus) == 16
    assert float(Workload(1.0, 1.0).prompt_cv) == 1.0
