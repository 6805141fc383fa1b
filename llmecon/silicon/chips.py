"""What an accelerator of given rates would cost to make, to buy and to run.

A chip is described by what it offers: FLOP/s, bytes/s, bytes, link bytes/s. The model lays out the
silicon that this takes and prices it, smoothly, so that a search may follow its gradient::

    area = compute + memory interfaces + links + fixed, or more where the edge is too short
    dies = area / reticle, at least 1, times as many more as are asked for
    cost = (logic / yield + stacks + package) / assembly yield + module

Counts of dies and stacks are relaxed, as are all steps that makers take.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.costs.economics import Ownership, OwnershipCost, ownership_cost
from llmecon.numerics import smooth_maximum
from llmecon.specs import XPU, Number, Site, number

Scalar = Float[Array, "..."]

# The field that a lithography scanner exposes at once, mm2, and a wafer's diameter, mm.
RETICLE = 26.0 * 33.0
WAFER = 300.0
# Of the smooth maxima between dies and one, bandwidth and capacity, area and edge.
SHARPNESS = 12.0
# Past this, e**HOPELESS packages for a good one, the price of a chip would not be a number.
HOPELESS = 500.0
# Each halving of the operands' bits doubles the matrix rate, as in all recent designs.
NARROWER = 2.0
# Devices under one set of switches, and bytes/s that leave it by each device, as usually built.
LINK_DOMAIN = 72.0
NETWORK = 50e9

NODE = "5nm"
MEMORY = "hbm3e"


class Silicon(eqx.Module):
    """What making and running chips costs in some process and with some memory.

    Attributes:
        wafer_price: of a processed wafer, USD.
        defect_density: defects per mm2 that kill what they hit.
        clustering: how even defects are spread: infinite for Poisson's law, small for clusters.
        repairable: share of the compute area where a defect costs only a spare unit.
        compute_density: dense bf16 rate per area, caches and spares included, FLOP/s per mm2.
        memory_area: controller and interface of one stack, mm2.
        link_area: controller and interface, mm2 per byte/s one way.
        fixed_area: host interface, command processors, management, mm2.
        crossing_area: share of area that a die of a larger whole gives to talk to the others.
        usable_edge: share of the dies' circumference where stacks can dock.
        stack_edge: edge that a stack takes, mm.
        stack_footprint: area of a stack on the interposer, mm2.
        stack_bandwidth: bytes/s.
        stack_memory: the most that a stack holds, bytes.
        least_stack: the least that a stack holds, bytes.
        memory_price: USD per byte.
        stack_price: base die, stacking and test, USD per stack.
        package_price: interposer, substrate and assembly, USD per mm2 of interposer.
        package_spread: interposer area over the area of what sits on it.
        interposer_defects: defects per mm2 of interposer that kill what they hit.
        largest_interposer: that can be made, mm2; chips that exist are priced beyond it, too.
        bonding_loss: share of dies or stacks that do not survive their placement.
        module_price: board, connectors, test, USD.
        stage_price: voltage regulators and heat sink, USD per W.
        markup: price over cost of making.
        host_price: a device's share of processor, memory, network, chassis, USD.
        link_price: switches and cables, USD per byte/s one way.
        supply_price: power supplies and cooling of the server, USD per W.
        flop_energy: J per bf16 FLOP.
        byte_energy: of memory, J per byte.
        link_energy: J per byte one way; a link idles at full power.
        static_power: leakage and clocks, W per mm2.
        matmul_share: share of the rate that large matrix products attain.
        lifetime: until a device is written off, s.
        discount_rate: cost of capital per year.
        maintenance: per year, share of the price.
        hosting: space and power capacity, USD per W and second.
        electricity_price: USD per joule.
        pue: facility energy over IT energy.
        utilisation: share of its life that a device works.
    """

    wafer_price: Number = number()
    defect_density: Number = number()
    clustering: Number = number()
    repairable: Number = number()
    compute_density: Number = number()
    memory_area: Number = number()
    link_area: Number = number()
    fixed_area: Number = number()
    crossing_area: Number = number()
    usable_edge: Number = number()
    stack_edge: Number = number()
    stack_footprint: Number = number()
    stack_bandwidth: Number = number()
    stack_memory: Number = number()
    least_stack: Number = number()
    memory_price: Number = number()
    stack_price: Number = number()
    package_price: Number = number()
    package_spread: Number = number()
    interposer_defects: Number = number()
    largest_interposer: Number = number()
    bonding_loss: Number = number()
    module_price: Number = number()
    stage_price: Number = number()
    markup: Number = number()
    host_price: Number = number()
    link_price: Number = number()
    supply_price: Number = number()
    flop_energy: Number = number()
    byte_energy: Number = number()
    link_energy: Number = number()
    static_power: Number = number()
    matmul_share: Number = number()
    lifetime: Number = number()
    discount_rate: Number = number()
    maintenance: Number = number()
    hosting: Number = number()
    electricity_price: Number = number()
    pue: Number = number()
    utilisation: Number = number()


class Chip(eqx.Module):
    """An accelerator that might be built.

    Attributes:
        flops: dense bf16 rate, FLOP/s.
        bandwidth: of memory, bytes/s.
        memory: capacity, bytes.
        link: one way, bytes/s.
        split: dies over the fewest that the reticle allows, 1 or more.
    """

    flops: Number = number()
    bandwidth: Number = number()
    memory: Number = number()
    link: Number = number()
    split: Number = number(default=1.0)


class Floorplan(eqx.Module):
    """What a chip is made of.

    Attributes:
        compute: matrix units, caches, spares, mm2.
        interfaces: of memory, mm2.
        links: mm2.
        fixed: mm2.
        blank: area that is there only for its edge, or to talk between dies, mm2.
        area: of all dies, mm2.
        dies: relaxed.
        stacks: of memory, relaxed.
        bought_memory: capacity of the stacks, bytes; above the chip's where stacks hold no less.
        die_yield: share of dies that can be sold.
        interposer: mm2.
        interposer_yield: share of interposers that can be used.
        power: rated, W.
    """

    compute: Scalar
    interfaces: Scalar
    links: Scalar
    fixed: Scalar
    blank: Scalar
    area: Scalar
    dies: Scalar
    stacks: Scalar
    bought_memory: Scalar
    die_yield: Scalar
    interposer: Scalar
    interposer_yield: Scalar
    power: Scalar


class ChipCost(eqx.Module):
    """What a device costs, by part, USD.

    Attributes:
        logic: good dies.
        memory: stacks.
        package: interposer, substrate, assembly.
        loss: what is scrapped because one of its parts did not survive assembly.
        module: board, voltage regulators, heat sink, test.
        margin: price over cost of making.
        host: share of the server.
        links: switches and cables.
        supply: power supplies and cooling.
    """

    logic: Scalar
    memory: Scalar
    package: Scalar
    loss: Scalar
    module: Scalar
    margin: Scalar
    host: Scalar
    links: Scalar
    supply: Scalar

    @property
    def making(self) -> Scalar:
        """Of the module, before margin, USD."""
        return self.logic + self.memory + self.package + self.loss + self.module

    @property
    def price(self) -> Scalar:
        """Of the module, USD."""
        return self.making + self.margin

    @property
    def total(self) -> Scalar:
        """Of a device at work in a server, USD."""
        return self.price + self.host + self.links + self.supply


def dies_per_wafer(area: Scalar | float) -> Scalar:
    """Whole dies on a wafer, relaxed.

    Args:
        area: of one die, mm2, well below the wafer's.

    Returns:
        The wafer's area over the die's, less what the rim cuts [Feng2022].
    """
    of = jnp.asarray(area, float)
    return jnp.pi * WAFER**2 / (4.0 * of) - jnp.pi * WAFER / jnp.sqrt(2.0 * of)


def yield_of(area: Scalar | float, density: Scalar | float, clustering: Scalar | float) -> Scalar:
    """Share of dies without a defect.

    Args:
        area: where a defect kills, mm2.
        density: defects per mm2.
        clustering: parameter of the gamma distribution that densities vary by.

    Returns:
        (1 + area * density / clustering)**-clustering, the negative binomial law [Feng2022].
    """
    return jnp.exp(-clustering * jnp.log1p(jnp.asarray(area * density / clustering)))


def floorplan(chip: Chip, silicon: Silicon) -> Floorplan:
    """Lay a chip out.

    Args:
        chip: what it offers, all positive.
        silicon: what the process and the memory allow.

    Returns:
        Areas, counts, yield and power. Stacks are as many as bandwidth or capacity need. They dock
        along the edge: where that is too short, the die grows without use.
    """
    stacks = smooth_maximum(
        chip.bandwidth / silicon.stack_bandwidth,
        chip.memory / silicon.stack_memory,
        sharpness=SHARPNESS,
    )
    compute = chip.flops / silicon.compute_density
    interfaces = stacks * silicon.memory_area
    links = chip.link * silicon.link_area
    useful = compute + interfaces + links + silicon.fixed_area
    # A die's edge grows with the root of its area, that of several full dies with their number.
    reach = 4.0 * silicon.usable_edge * np.sqrt(RETICLE)
    shores = stacks * silicon.stack_edge / reach
    docked = RETICLE * shores**2 / smooth_maximum(shores, jnp.ones(()), sharpness=SHARPNESS)
    within = smooth_maximum(useful, docked, sharpness=SHARPNESS)
    least = smooth_maximum(within / RETICLE, jnp.ones(()), sharpness=SHARPNESS)
    dies = least * chip.split
    area = within * (1.0 + silicon.crossing_area * (1.0 - 1.0 / dies))
    critical = (area - silicon.repairable * compute) / dies
    interposer = silicon.package_spread * (area + stacks * silicon.stack_footprint)
    power = (
        silicon.flop_energy * chip.flops
        + silicon.byte_energy * chip.bandwidth
        + silicon.link_energy * chip.link
        + silicon.static_power * area
    )
    return Floorplan(
        compute=compute,
        interfaces=interfaces,
        links=links,
        fixed=silicon.fixed_area + 0.0 * area,
        blank=area - useful,
        area=area,
        dies=dies,
        stacks=stacks,
        bought_memory=smooth_maximum(
            chip.memory, stacks * silicon.least_stack, sharpness=SHARPNESS
        ),
        die_yield=yield_of(critical, silicon.defect_density, silicon.clustering),
        interposer=interposer,
        interposer_yield=yield_of(interposer, silicon.interposer_defects, silicon.clustering),
        power=power,
    )


def chip_cost(chip: Chip, silicon: Silicon) -> ChipCost:
    """Price a chip.

    Args:
        chip: what it offers.
        silicon: what its parts cost.

    Returns:
        USD by part. One part that fails in assembly takes all others with it.
    """
    plan = floorplan(chip, silicon)
    each = silicon.wafer_price / (dies_per_wafer(plan.area / plan.dies) * plan.die_yield)
    logic = plan.dies * each
    memory = plan.bought_memory * silicon.memory_price + plan.stacks * silicon.stack_price
    package = plan.interposer * silicon.package_price / plan.interposer_yield
    risk = -(plan.dies + plan.stacks) * jnp.log1p(-silicon.bonding_loss)
    # Packages scrapped for each good one, 1 / (1 - loss)**parts - 1.
    scrapped = jnp.expm1(jnp.minimum(risk, HOPELESS))
    loss = (logic + memory + package) * scrapped
    module = silicon.module_price + silicon.stage_price * plan.power
    making = logic + memory + package + loss + module
    return ChipCost(
        logic=logic,
        memory=memory,
        package=package,
        loss=loss,
        module=module,
        margin=(silicon.markup - 1.0) * making,
        host=silicon.host_price + 0.0 * making,
        links=silicon.link_price * chip.link,
        supply=silicon.supply_price * plan.power,
    )


def running_cost(
    chip: Chip, silicon: Silicon, flops: Scalar | float, traffic: Scalar | float
) -> OwnershipCost:
    """What a device costs while it works.

    Its power is added up from what it does, as the measured shares of rated power
    (`energy.device_power`) hold for the proportions of GPUs alone.

    Args:
        chip: what it offers.
        silicon: prices, and joules for each operation.
        flops: executed, FLOP/s.
        traffic: of memory, bytes/s.

    Returns:
        USD per device and second of work. What accrues in idle time is in it: capital, maintenance,
        hosting, and the electricity of a chip that waits.
    """
    plan = floorplan(chip, silicon)
    waiting = silicon.static_power * plan.area + silicon.link_energy * chip.link
    working = waiting + silicon.flop_energy * flops + silicon.byte_energy * traffic
    terms = Ownership(
        price=chip_cost(chip, silicon).total,
        lifetime=silicon.lifetime,
        discount_rate=silicon.discount_rate,
        maintenance=silicon.maintenance,
        hosting=silicon.hosting,
    )
    site = Site(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    site = eqx.tree_at(
        lambda of: (of.pue, of.electricity_price), site, (silicon.pue, silicon.electricity_price)
    )
    idle = (1.0 / silicon.utilisation - 1.0) * waiting
    always = ownership_cost(terms, plan.power, working + idle, site)
    return OwnershipCost(
        capital=always.capital / silicon.utilisation,
        maintenance=always.maintenance / silicon.utilisation,
        hosting=always.hosting / silicon.utilisation,
        electricity=always.electricity,
    )


def as_xpu(
    chip: Chip,
    silicon: Silicon,
    link_domain: Scalar | float = LINK_DOMAIN,
    network: Scalar | float = NETWORK,
) -> XPU:
    """A chip as the rest of the library knows accelerators.

    Args:
        chip: what it offers.
        silicon: decides its power.
        link_domain: devices that the links join.
        network: bytes/s beyond them, one way.

    Returns:
        The accelerator; 8-bit arithmetic is twice as fast as 16-bit, and 4-bit twice as fast again.
    """
    return XPU(
        bf16_flops=chip.flops,
        fp8_flops=NARROWER * chip.flops,
        fp8_native=1.0,
        fp4_flops=NARROWER**2 * chip.flops,
        fp4_native=1.0,
        memory=chip.memory,
        memory_bandwidth=chip.bandwidth,
        link_bandwidth=chip.link,
        link_domain=link_domain,
        network_bandwidth=network,
        tdp=floorplan(chip, silicon).power,
        matmul_share=silicon.matmul_share,
    )


def chip_of(xpu: XPU) -> Chip:
    """What an accelerator of the catalogue offers."""
    return Chip(xpu.bf16_flops, xpu.memory_bandwidth, xpu.memory, xpu.link_bandwidth)
