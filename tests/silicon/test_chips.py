"""The model against values worked out by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from llmecon import silicon
from llmecon.silicon import Chip, Silicon
from tests.problems import all_finite, changed, close

PRICES = silicon.silicon()
# About an H100 with faster memory.
CHIP = Chip(flops=1e15, bandwidth=4e12, memory=96 * 2.0**30, link=450e9)


def test_dies_on_a_wafer_by_hand() -> None:
    # pi * 300**2 / 4 = 70685.83; / 814 = 86.84; pi * 300 / sqrt(1628) = 23.36.
    assert float(silicon.dies_per_wafer(814.0)) == pytest.approx(63.48, abs=0.01)


def test_yield_by_hand() -> None:
    # 0.11 defects per cm2 on 8 cm2: (1 + 0.088)**-10, and exp(-0.88) without clusters.
    assert float(silicon.yield_of(800.0, 0.0011, 10.0)) == pytest.approx(0.43024, rel=1e-4)
    assert float(silicon.yield_of(800.0, 0.0011, 1e9)) == pytest.approx(0.41478, rel=1e-4)
    assert float(silicon.yield_of(0.0, 0.0011, 10.0)) == 1.0


def test_a_die_costs_what_pencil_and_paper_say() -> None:
    # 900 TFLOP/s at 1.5 a mm2, no memory to speak of, no links: 600 mm2 and 60 fixed.
    prices = changed(PRICES, compute_density=1.5e12, repairable=0.5, memory_area=1e-9)
    chip = Chip(flops=9e14, bandwidth=1e6, memory=1e3, link=1.0)
    plan, cost = silicon.floorplan(chip, prices), silicon.chip_cost(chip, prices)
    assert float(plan.area) == pytest.approx(660.0, rel=1e-3)
    assert float(plan.dies) == pytest.approx(1.0, abs=0.005)
    # Half of the 600 mm2 is repaired: 360 mm2 at 0.11 a cm2, (1 + 0.0396)**-10 = 0.6782.
    assert float(plan.die_yield) == pytest.approx(0.6782, rel=2e-3)
    # 70685.83 / 660 - 942.48 / sqrt(1320) = 81.16 dies; 16988 / (81.16 * 0.6782) = 308.6 USD.
    assert float(cost.logic) == pytest.approx(308.6, rel=5e-3)


def test_parts_add_up() -> None:
    plan, cost = silicon.floorplan(CHIP, PRICES), silicon.chip_cost(CHIP, PRICES)
    parts = plan.compute + plan.interfaces + plan.links + plan.fixed + plan.blank
    close(parts, plan.area)
    close(cost.total, sum(jax.tree.leaves(cost)))
    close(cost.price, PRICES.markup * cost.making)
    all_finite((plan, cost))


def test_stacks_follow_what_needs_more_of_them() -> None:
    fast = silicon.floorplan(changed(CHIP, bandwidth=8e12), PRICES)
    assert float(fast.stacks) == pytest.approx(8.0, rel=1e-3)
    large = silicon.floorplan(changed(CHIP, memory=16 * 36 * 2.0**30), PRICES)
    assert float(large.stacks) == pytest.approx(16.0, rel=1e-3)
    # Twelve bytes where one would do: the smallest stacks that there are.
    small = silicon.floorplan(changed(CHIP, memory=1e6), PRICES)
    assert float(small.bought_memory) == pytest.approx(4 * 12 * 2.0**30, rel=1e-3)


def test_a_short_edge_makes_dies_grow() -> None:
    # Four stacks of 11 mm dock at 0.6 of what surrounds 336 mm2: (44 / 2.4)**2.
    hungry = Chip(flops=1e13, bandwidth=4e12, memory=1e9, link=1e9)
    assert float(silicon.floorplan(hungry, PRICES).area) == pytest.approx(336.1, rel=0.01)
    assert float(silicon.floorplan(CHIP, PRICES).blank) < 40.0


def test_full_dies_are_as_many_as_the_reticle_asks_for() -> None:
    large = Chip(flops=4e15, bandwidth=4e12, memory=96 * 2.0**30, link=450e9)
    plan = silicon.floorplan(large, PRICES)
    within = float(plan.area) / (1 + float(PRICES.crossing_area) * (1 - 1 / float(plan.dies)))
    assert float(plan.dies) == pytest.approx(within / silicon.RETICLE, rel=1e-3)


def test_splitting_pays_where_defects_are_many() -> None:
    dirty = changed(PRICES, defect_density=0.01, repairable=0.1)
    clean = changed(PRICES, defect_density=1e-4)
    whole, halves = CHIP, changed(CHIP, split=2.0)

    def making(chip: Chip, prices: Silicon) -> float:
        return float(silicon.chip_cost(chip, prices).making)

    assert making(halves, dirty) < making(whole, dirty)
    assert making(halves, clean) > making(whole, clean)


def test_more_of_anything_costs_more() -> None:
    cost = jax.grad(lambda chip: silicon.chip_cost(chip, PRICES).total)(CHIP)
    assert all(float(getattr(cost, name)) > 0 for name in ("flops", "bandwidth", "memory", "link"))


def test_an_owner_pays_for_idle_time() -> None:
    busy = silicon.running_cost(CHIP, changed(PRICES, utilisation=1.0), 5e14, 2e12)
    half = silicon.running_cost(CHIP, changed(PRICES, utilisation=0.5), 5e14, 2e12)
    close(half.capital, 2.0 * busy.capital)
    assert float(busy.electricity) < float(half.electricity) < 1.5 * float(busy.electricity)
    # 0.35 pJ * 5e14 + 45 pJ * 2e12 + 44 pJ * 450e9 + 0.12 W/mm2 * area, at 1.2 * 0.08 USD/kWh.
    area = float(silicon.floorplan(CHIP, PRICES).area)
    watts = 175.0 + 90.0 + 19.8 + 0.12 * area
    assert float(busy.electricity) == pytest.approx(watts * 1.2 * 0.08 / 3.6e6)


def test_a_chip_becomes_an_accelerator_and_back() -> None:
    xpu = silicon.as_xpu(CHIP, PRICES)
    close(silicon.chip_of(xpu), CHIP)
    close(xpu.tdp, silicon.floorplan(CHIP, PRICES).power)
    assert float(xpu.fp4_flops) == 4e15


def test_batches_and_extremes_stay_finite() -> None:
    sizes = jnp.geomspace(1e-4, 1e4, 9)
    chips = jax.vmap(lambda of: jax.tree.map(lambda leaf: leaf * of, CHIP))(sizes)
    chips = eqx.tree_at(lambda of: of.split, chips, jnp.ones(9))
    slopes = jax.vmap(jax.grad(lambda of: jnp.log(silicon.chip_cost(of, PRICES).making)))(chips)
    all_finite(slopes)


def test_units_are_converted() -> None:
    assert float(PRICES.defect_density) == pytest.approx(0.0011)
    assert float(PRICES.memory_price) * 2.0**30 == pytest.approx(14.0)
    assert float(PRICES.flop_energy) == pytest.approx(0.35e-12)
