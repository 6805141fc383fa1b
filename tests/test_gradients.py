"""Gradients of every public model function: against finite differences, and finite at kinks."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import adaptation, numerics, scaling, serving, silicon, training
from llmecon.adaptation import knowledge, offers, own_hardware, quality, ways
from llmecon.choice import filling
from llmecon.costs import carbon, economics, embodied, per_request
from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture, energy, products, queueing, roofline, speculation
from llmecon.scaling import laws, sizes
from llmecon.serving import (
    batching,
    disaggregation,
    experience,
    layouts,
    load_test,
    service,
    static_batching,
    targets,
)
from llmecon.silicon import chip_jobs, chips, design, doubts, published, real_chips
from llmecon.specs import Instance, Materials, precision
from llmecon.tiers import growth, hybrid, outlook, own_machine, placement, routing, sampling
from llmecon.training import planning, run
from tests.problems import (
    AGENT,
    ALONE,
    API,
    CHAT,
    DAY,
    DENSE,
    EFFICIENCY,
    EVERYTHING,
    FINDING,
    GROUPED,
    KNOBS,
    KNOWLEDGE,
    LAYOUT,
    NEWS,
    OFFERS,
    OWNERSHIP,
    READER,
    RELIABILITY,
    RUN,
    SINGLE,
    SITE,
    SPREAD,
    TARGET,
    catalog,
    changed,
    evaluate,
    floats,
    mixture,
    with_gradient,
)

pytestmark = pytest.mark.slow

MODULES: tuple[ModuleType, ...] = (
    numerics,
    architecture,
    roofline,
    products,
    energy,
    queueing,
    batching,
    service,
    targets,
    layouts,
    load_test,
    static_batching,
    experience,
    run,
    planning,
    economics,
    embodied,
    carbon,
    per_request,
    routing,
    speculation,
    placement,
    growth,
    sampling,
    outlook,
    own_machine,
    hybrid,
    knowledge,
    offers,
    quality,
    ways,
    own_hardware,
    disaggregation,
    filling,
    chips,
    published,
    chip_jobs,
    design,
    doubts,
    real_chips,
    laws,
    sizes,
)

# What these offer is the core of their packages, and goes by the package's name.
CORES = {
    "batching": "serving",
    "service": "serving",
    "targets": "serving",
    "layouts": "serving",
    "run": "training",
    "offers": "adaptation",
    "quality": "adaptation",
    "ways": "adaptation",
    "own_hardware": "adaptation",
    "chips": "silicon",
    "published": "silicon",
}

# Public functions without a case of their own, and why.
EXCEPTIONS = {
    "numerics.evenly_spread": "numbers that no argument moves",
    "numerics.whole": "a staircase with the slope of what it stands for, tested beside it",
    "per_request.dispatch": "fleets and services of others, tested there; both ways beside it",
    "economics.image_tokens": "counts whole tiles: a staircase of Python numbers",
    "serving.deployment_of": "divides whole devices into whole groups",
    "carbon.kind": "says in words what an intensity counts",
    "serving.within_context": "yes or no",
    "serving.meets": "yes or no",
    "serving.require_context": "refuses or does nothing",
    "serving.prompts_at_once": "a product of two counts of the layout",
    "serving.service_of_point": "what serve and service_at give, both tested",
    "serving.best_deployment": "picks a layout; its gradient is that of capacity, tested there",
    "serving.full_rate": "operating_point at largest_batch, both tested",
    "serving.operating_point_at": "operating_point at a solve_increasing, as in serve",
    "routing.fitted_skill": "a fit to published points, used before any model",
    "own_machine.attained": "looks medians of measurements up",
    "own_machine.machine": "looks a machine up",
    "own_machine.measured": "the table of those measurements",
    "own_machine.sustained": "looks a median of measurements up",
    "doubts.searched": "the best chips of many constants; design.cheapest, tested, for each",
    "hybrid.best_policies": "a search with scipy, against brute force in tests of its own",
    "sampling.rows": "looks rows up",
    "sampling.ranges": "looks ranges up",
    "outlook.published": "looks a level up",
    "outlook.start": "looks levels up; its slowing is slowing_of, tested",
    "sampling.attribution": "estimates shares of a variance for tables and charts, with scipy",
    "silicon.constants": "looks rows up",
    "silicon.silicon": "looks values up",
    "silicon.validation": "a table of what chip_cost gives, tested",
    "design.best_chip": "a search; elasticities are compared with searching again there",
    "design.across": "best_chip at several jobs",
    "chip_jobs.along": "puts values into a record",
    "design.outcomes": "puts numbers side by side",
    "design.binding": "names what binds",
    "design.cheapest": "picks one of several",
    "design.at_optimum": "its derivatives are compared with searching again there",
    "design.starts": "numbers that no argument changes",
    "doubts.draws": "looks ranges up, and draws with scipy",
    "doubts.intervals": "quantiles of numbers computed before",
    "doubts.deciding": "rank correlations of numbers computed before",
    "real_chips.regret": "the least of several priced, tested, over a number",
    "real_chips.laid_out": "the cheapest of several priced, tested",
    "real_chips.widths": "puts values into a record",
    "real_chips.market": "a table of what regret gives",
    "adaptation.held_tokens": "a part of outcome, tested",
    "adaptation.require_method": "refuses or does nothing",
    "adaptation.service_for": "picks one of several",
    "adaptation.trainer_for": "picks one of several",
    "adaptation.bill": "a part of outcome, tested; equal to it beside",
    "adaptation.operation": "a part of outcome, tested; equal to it beside",
    "adaptation.own_service": "the gradient of serving.capacity, compared with it beside",
    "adaptation.own_trainer": "planning.plan_for_deadline by the token",
    "planning.plan_for_deadline": "picks a layout; its gradient is that of plan_with_layout",
    "planning.layouts_by_pace": "names layouts of plan_for_deadline, tested beside it",
    "numerics.crossings": "a search from outside, by narrower, tested; its places have no slope",
    "numerics.of_all_rates": "adds elasticities up, tested beside it",
    "laws.law": "looks constants up",
    "laws.joint_power_law": "looks constants up",
    "laws.repetition_law": "looks constants up",
    "laws.over_training_law": "looks constants up",
    "laws.error_law": "looks constants up",
    "laws.standard_errors": "looks errors up",
}

H100 = catalog.xpu("h100-sxm")
FP8 = precision("fp8")
PRODUCT = products.Product(
    rows=90.0, inner=4096.0, columns=14336.0, weight_bytes=1.1, activation_bytes=2.0
)
HANDSET = carbon.EndDevice(power=1.0, making=60.0, lifetime=3000 * 3600.0)
MATERIALS = Materials(die_area=8.1, wafer_carbon=2.6, memory=86e9, power=700.0)
FLEET = per_request.Fleet(rate=6.0, active=3.0, waiting=2.0)
# Not at the edge of what it completes, where slopes to either side differ.
BUSY = changed(FLEET, rate=0.9 * float(FLEET.rate))
AROUND = per_request.Surroundings(
    reader=HANDSET,
    making=900.0,
    building=100.0,
    lifetime=1.6e8,
    sent=50e3,
    network_energy=1e-4,
    reader_intensity=1e-7,
    trained=1e6,
    lifetime_requests=1e9,
)
REACH = hybrid.Reach(around=AROUND, round_trip=0.04, usd_per_second=7e-4, pace=5.0)
OWN = own_machine.Machine(
    memory=2e10, memory_bandwidth=5e10, flops=2e12, power=5.0, sustained=0.5, burst=60.0
)
QUESTIONS = routing.Pair(gains=0.29, losses=0.07, weak=0.64)
THREE = routing.Chain(
    weak=0.63, middle=0.73, strong=0.86, losses=0.08, further_losses=0.07, across_losses=0.06
)
DRAFT = speculation.Draft(acceptance=0.7, seconds=0.002, verification=0.04, round_trip=0.03)
HOURS = jnp.asarray([3.0, 1.0, 2.5, 4.0])
INTENSITY = jnp.asarray([0.4, 0.3, 0.6, 0.2])
FLAT, NONE = jnp.ones(4), jnp.zeros(4)
PLACES = placement.Region(
    intensity=jnp.asarray([0.4, 0.1, 0.3, 0.5]),
    price=jnp.asarray([0.05, 0.08, 0.04, 0.01]),
    round_trip=jnp.asarray([0.01, 0.1, 0.03, 0.02]),
)
ASKED = placement.Request(energy=500.0, fixed=30.0, seconds=0.5)
OPTION = placement.Option(
    kg=jnp.asarray([3.0, 1.0, 2.0]),
    usd=jnp.asarray([1.0, 2.0, 3.0]),
    seconds=jnp.asarray([0.5, 0.9, 0.7]),
    usd_per_kg=jnp.asarray([1.0, 0.5, 2.0]),
)
RECIPE = embodied.Recipe(logic=1.9, memory=8e-10, thermal=0.04, rest=25.0)
ENERGY = energy.Energy(*floats(3e9, 1e9, 8e8))
POINT = serving.OperatingPoint(
    *floats(20.0, 0.03, 0.02, 0.2, 0.2, 0.2, 2.0, 0.3, 1.0, 0.2, 0.5, 500.0)
)
SERVICE = serving.Service(*floats(5.0, 0.6, 0.4, 1.2), POINT)
CAPACITY = serving.Capacity(*floats(7.0, 1.0), SERVICE)
UNABLE = serving.Capacity(*floats(0.0, 0.0), SERVICE)
LOADED = load_test.LoadTest(*floats(0.5, 0.02, 0.015, 2e3, 1.0), point=POINT)
ALONE_LOADED = load_test.LoadTest(
    *floats(0.1, 0.01, 0.01, 1e2, 5.0), point=changed(POINT, batch=1.0)
)
BOUNDS = growth.Range(low=0.35, mid=0.55, high=0.7)
NORMAL = growth.Range(low=1.06, mid=1.11, high=1.2, coverage=0.9)
SINGLE_VALUE = growth.Range(low=1.1, mid=1.1, high=1.1)
START = outlook.Start(
    electricity=growth.Level(1.5e18, 2024.0),
    intensity=growth.Level(1.2e-7, 2023.0),
    slowing=0.2,
    end=2035.0,
)
PHONE_DECODER = outlook.Device(
    bandwidth=growth.Level(77e9, 2026.0), share=0.65, bytes_per_parameter=0.56, pace=5.0
)
# Of the quantities that the functions of a future read, in the alphabet's order.
GROWING = dict(
    zip(
        (
            "demand-energy",
            "device-memory-bandwidth",
            "grid-intensity",
            "hardware-efficiency",
            "hardware-price-performance",
            "memory-bandwidth-efficiency",
            "model-size",
        ),
        floats(1.1, 1.1, 0.97, 1.26, 1.35, 1.11, 0.55),
        strict=True,
    )
)
CONSTANT = dict.fromkeys(GROWING, floats(1.0)[0])
PARALLEL = {"tensor": 4.0, "expert": 1.0}


def cubic(target: jax.Array, slope: jax.Array) -> jax.Array:
    return numerics.solve_increasing(lambda x: slope * x**3 - target, 1e-3, 1e3)


def pinned(upper: jax.Array) -> jax.Array:
    return numerics.solve_increasing(lambda x: x - 1e9, 1.0, upper)


def narrowed_twice(slope: jax.Array, target: jax.Array) -> tuple[jax.Array, ...]:
    def beyond(x: jax.Array) -> jax.Array:
        return slope * x**3 - target

    low, high = jnp.asarray(1.0), jnp.asarray(4.0)
    bracket = numerics.Bracket(low, beyond(low), high, beyond(high))
    return tuple(numerics.narrower(beyond, numerics.narrower(beyond, bracket)))


def cobb_douglas_elasticities(x: jax.Array, y: jax.Array) -> Any:
    return numerics.elasticity(lambda x, y: x**2 * jnp.sqrt(y) + x, x, y)


def by(method: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a way to answer, with the way given."""

    def of(*given: Any) -> Any:
        return function(method, *given)

    return of


def bounded(low: jax.Array, mid: jax.Array, high: jax.Array, u: jax.Array) -> jax.Array:
    return growth.quantile(growth.Range(low, mid, high), u)


def drawn(first: growth.Range, second: growth.Range) -> Any:
    return sampling.draws({"first": first, "second": second}, 5)


def demand_of_futures(start: outlook.Start, factors: Any, years: jax.Array) -> Any:
    def electricity(of: Any, year: jax.Array) -> jax.Array:
        return outlook.demand(start, of, year).electricity

    return sampling.futures(electricity, factors, years)


def quantile_of_wait(q: jax.Array, *given: jax.Array) -> jax.Array:
    return queueing.wait(*given).quantile(q)


def waiting_two_hours(intensity: jax.Array) -> jax.Array:
    return placement.cleanest_within(intensity, 2)


def cleaner_places(region: placement.Region, request: placement.Request) -> Any:
    """Without the cost at places that avoid no carbon: it is infinite."""
    option = placement.place(region, request)
    return option._replace(usd_per_kg=option.usd_per_kg[1:3])


def taken(size: float) -> hybrid.Taken:
    """A request on some way, with all numbers of some size."""
    parts = carbon.Footprint(**dict.fromkeys(carbon.BOUNDARIES, 1e-5 * size))
    return hybrid.Taken(
        *floats(1.0, 0.3 * size, 0.03, 7.0 * size, 90.0 * size), parts, *floats(size)
    )


def outcome(
    policy: hybrid.Policy, ways: Any, last: hybrid.Taken, skill: jax.Array, of: routing.Chain
) -> hybrid.Outcome:
    """With drafts that take the more the longer they are."""
    return hybrid.outcome(
        policy, ways, lambda tokens: jax.tree.map(lambda leaf: tokens * leaf, last), skill, of
    )


def smooth_maximum(first: jax.Array, second: jax.Array, third: jax.Array, p: jax.Array) -> Any:
    return numerics.smooth_maximum(first, second, third, sharpness=p)


@dataclass(frozen=True)
class Case:
    """A function, generic points of it, and kinks and zeros where gradients must stay finite."""

    function: Callable[..., Any]
    generic: tuple[tuple[Any, ...], ...]
    kinks: tuple[tuple[Any, ...], ...] = ()


BATCH = floats(30.0, 1.0, 2000.0)
LONE = changed(SINGLE, tensor=1.0)
ONE_NODE = changed(SPREAD, tensor=8.0, expert=1.0, pipeline=1.0)
WIDE = changed(SPREAD, tensor=1.0, expert=8.0, pipeline=1.0)
GEMMA = catalog.llm("gemma-3-27b")
PHONE = catalog.xpu("a17-pro")
# What is around a shared machine.
AMID = (SITE, REACH)

RETRIEVER, READING, LEARNING = KNOWLEDGE.retriever, KNOWLEDGE.reading, KNOWLEDGE.adapter
STILL = changed(NEWS, change=0.0, known=0.0)
RARE = changed(NEWS, queries=1e-7)
ALWAYS = changed(KNOBS, replay=0.0, exposures=0.0, interval=1e12)

LAW, REPEATED = scaling.law("besiroglu-2024"), scaling.repetition_law()
LIFE = scaling.Lifetime(*floats(1e13, 4e-18, 3e-18, 6.0, 2.0))

SILICON = silicon.silicon()
CHIP = silicon.Chip(flops=1.1e15, bandwidth=5e12, memory=1.2e11, link=4e11, split=1.3)
DECODING = chip_jobs.decode(EVERYTHING, SPREAD, 3000.0, 0.05)
LIGHT = chip_jobs.decode(DENSE, SINGLE, 3000.0, 0.05)

ENGINE = filling.Engine(H100, SPREAD, EFFICIENCY)
LONELY = filling.Engine(H100, LONE, EFFICIENCY)
BUCKET = filling.Demand(CHAT, TARGET)
SAME = filling.Demand(changed(CHAT, prompt_cv=0.0, output_cv=0.0, interarrival_cv=0.0), TARGET)
FREE_OF_CACHE = changed(SPREAD, disaggregated=0.0)


def in_role(function: Callable[..., Any], role: filling.Role) -> Callable[..., Any]:
    """A function of a filling for what the instance does of a request."""
    return partial(function, role=role)


# On one device, where links begin to matter, slopes to either side differ.
ON_TWO = eqx.tree_at(
    lambda of: tuple(
        getattr(of, name).machines.instance.deployment.tensor
        for name in ("base", "adapted", "tuned", "long")
    ),
    OFFERS,
    (jnp.asarray(2.0),) * 4,
)

CASES: dict[str, Case] = {
    "disaggregation.mixed": Case(
        disaggregation.mixed,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(40.0, 0.95)),),
        ((Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-9, 0.95)),),
    ),
    "disaggregation.decoding": Case(
        disaggregation.decoding,
        ((Instance(EVERYTHING, H100, FREE_OF_CACHE, EFFICIENCY), CHAT, *floats(40.0, 0.95)),),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-9, 0.95)),
            (Instance(DENSE, H100, LONE, EFFICIENCY), SAME.workload, *floats(1.0, 0.95)),
        ),
    ),
    "disaggregation.prefilling": Case(
        disaggregation.prefilling,
        ((Instance(EVERYTHING, H100, FREE_OF_CACHE, EFFICIENCY), CHAT, *floats(0.6, 0.95)),),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-9, 0.95)),
            (Instance(DENSE, H100, LONE, EFFICIENCY), SAME.workload, *floats(0.98, 0.95)),
        ),
    ),
    "filling.flow": Case(
        in_role(filling.flow, "whole"),
        ((EVERYTHING, ENGINE, BUCKET, *floats(40.0)),),
        ((DENSE, LONELY, SAME, *floats(1e-9)),),
    ),
    "filling.flow of answers": Case(
        in_role(filling.flow, "decode"),
        ((EVERYTHING, ENGINE, BUCKET, *floats(40.0)),),
        ((DENSE, LONELY, SAME, *floats(1e-9)),),
    ),
    "filling.flow of prompts": Case(
        in_role(filling.flow, "prefill"),
        ((EVERYTHING, ENGINE, BUCKET, *floats(0.7)),),
        ((DENSE, LONELY, SAME, *floats(1e-9)),),
    ),
    "filling.excess": Case(
        in_role(filling.excess, "whole"),
        ((EVERYTHING, ENGINE, BUCKET, *floats(40.0)),),
        ((DENSE, LONELY, SAME, *floats(1e-9)),),
    ),
    "filling.beyond": Case(
        in_role(filling.beyond, "whole"),
        ((filling.Flow(*floats(0.1, 200.0, 5.0, 1.4, 0.03)), BUCKET),),
    ),
    "filling.room": Case(
        in_role(filling.room, "whole"), ((EVERYTHING, ENGINE, BUCKET),), ((DENSE, LONELY, SAME),)
    ),
    "filling.fullest": Case(
        in_role(filling.fullest, "whole"), ((EVERYTHING, ENGINE, BUCKET),), ((DENSE, LONELY, SAME),)
    ),
    "filling.idle_power": Case(filling.idle_power, ((ENGINE,),)),
    "filling.resting_power": Case(filling.resting_power, ((ENGINE,),)),
    "numerics.smooth_maximum": Case(
        smooth_maximum,
        (floats(1.0, 2.0, 2.5, 3.0),),
        (floats(1.0, 1.0, 1.0, 4.0), floats(0.0, 0.0, 0.0, 4.0), floats(0.0, 1e-300, 1e300, 4.0)),
    ),
    "numerics.smooth_minimum": Case(
        numerics.smooth_minimum,
        (floats(1.0, 2.0, 4.0),),
        (floats(1.0, 1.0, 4.0), floats(0.0, 1.0, 4.0), floats(0.0, 0.0, 4.0)),
    ),
    "numerics.solve_increasing": Case(cubic, (floats(20.0, 2.5),), (floats(2.5e9, 2.5),)),
    "numerics.solve_increasing at its end": Case(pinned, (floats(50.0),)),
    "numerics.narrower": Case(narrowed_twice, (floats(20.0, 200.0),)),
    "numerics.elasticity": Case(cobb_douglas_elasticities, (floats(2.0, 3.0),)),
    "architecture.parameters": Case(
        architecture.parameters,
        ((EVERYTHING,), (GROUPED,)),
        ((DENSE,), (changed(DENSE, layers=1.0),)),
    ),
    "architecture.weight_bytes": Case(
        architecture.weight_bytes, ((EVERYTHING, FP8), (GROUPED, FP8)), ((DENSE, FP8),)
    ),
    "architecture.cached_elements_per_token": Case(
        architecture.cached_elements_per_token, ((EVERYTHING,), (GROUPED,)), ((DENSE,),)
    ),
    "architecture.kv_cache_bytes": Case(
        architecture.kv_cache_bytes,
        ((EVERYTHING, FP8, *floats(2000.0)), (EVERYTHING, FP8, *floats(300.0))),
        ((EVERYTHING, FP8, *floats(700.0)), (DENSE, FP8, *floats(0.0))),
    ),
    "architecture.experts_touched": Case(
        architecture.experts_touched,
        ((EVERYTHING, *floats(30.0)),),
        (
            (DENSE, *floats(30.0)),
            (EVERYTHING, *floats(0.0)),
            (EVERYTHING, *floats(1e7)),
            (changed(EVERYTHING, experts=8.0), *floats(30.0)),
        ),
    ),
    "load_test.closed_loop": Case(
        load_test.closed_loop,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(60.0)),),
        (
            (Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, *floats(1.0)),
            (Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, *floats(1e5)),
            (Instance(GROUPED, H100, SINGLE, EFFICIENCY), CHAT, *floats(8.0)),
        ),
    ),
    "load_test.saturated": Case(
        load_test.saturated,
        ((Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, *floats(8.0)),),
        (
            (Instance(GROUPED, H100, SINGLE, EFFICIENCY), CHAT, *floats(1.0)),
            (Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, *floats(8.0, 8.0, 1.0)),
        ),
    ),
    "load_test.all_at_once": Case(
        load_test.all_at_once,
        ((LOADED, SPREAD, CHAT, EFFICIENCY),),
        ((ALONE_LOADED, SINGLE, CHAT, EFFICIENCY),),
    ),
    "architecture.touched_on_busiest": Case(
        architecture.touched_on_busiest,
        ((EVERYTHING, *floats(0.3, 24.0)),),
        (
            (DENSE, *floats(0.0, 1.0)),
            (EVERYTHING, *floats(0.0, 8.0)),
            (EVERYTHING, *floats(1.0, 8.0)),
        ),
    ),
    "roofline.peak_flops": Case(roofline.peak_flops, ((H100, FP8),)),
    "roofline.attained_flops": Case(roofline.attained_flops, ((H100, FP8, EFFICIENCY),)),
    "architecture.token_flops": Case(architecture.token_flops, ((EVERYTHING,),), ((DENSE,),)),
    "architecture.read_by": Case(
        lambda llm, touched: jnp.stack(
            architecture.read_by(architecture.parameters(llm), FP8, touched)
        ),
        ((EVERYTHING, *floats(0.4)),),
        ((DENSE, *floats(0.0)),),
    ),
    "architecture.weights_read": Case(
        architecture.weights_read,
        ((EVERYTHING, FP8, *floats(30.0, 0.7)),),
        ((DENSE, FP8, *floats(30.0, 0.0)), (EVERYTHING, FP8, *floats(0.0, 0.0))),
    ),
    "architecture.context_of_cache": Case(
        architecture.context_of_cache,
        ((EVERYTHING, FP8, *floats(9e7)), (EVERYTHING, FP8, *floats(1e7))),
        (
            (DENSE, FP8, *floats(0.0)),
            (changed(GROUPED, windowed_layers=80.0), FP8, *floats(1e12)),
        ),
    ),
    "products.product_flops": Case(products.product_flops, ((PRODUCT,),)),
    "products.product_bytes": Case(
        products.product_bytes, ((PRODUCT,),), ((changed(PRODUCT, activation_bytes=0.0),),)
    ),
    "products.arithmetic_intensity": Case(products.arithmetic_intensity, ((PRODUCT,),)),
    "products.attainable_rate": Case(
        products.attainable_rate,
        (floats(50.0, 1e15, 3e12), floats(900.0, 1e15, 3e12)),
        (floats(0.0, 1e15, 3e12), floats(1e3, 1e15, 1e12)),
    ),
    "products.product_seconds": Case(
        products.product_seconds,
        ((PRODUCT, *floats(1e15, 3e12)), (changed(PRODUCT, rows=3e4), *floats(1e15, 3e12))),
    ),
    "products.critical_rows": Case(
        products.critical_rows,
        ((PRODUCT, *floats(1e15, 3e12)),),
        (
            (changed(PRODUCT, activation_bytes=0.0), *floats(1e15, 3e12)),
            (changed(PRODUCT, inner=20.0), *floats(1e15, 3e12)),
        ),
    ),
    "products.output_projection": Case(
        products.output_projection, ((EVERYTHING, FP8, *floats(30.0)),)
    ),
    "static_batching.longest_of": Case(
        static_batching.longest_of, (floats(30.0, 1.3),), (floats(1.0, 0.0), floats(1.0, 2.0))
    ),
    "static_batching.static_batch": Case(
        static_batching.static_batch,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(200.0)),),
        ((Instance(DENSE, H100, SINGLE, EFFICIENCY), changed(CHAT, output_cv=0.0), *floats(1.0)),),
    ),
    "roofline.attention_groups": Case(
        roofline.attention_groups, ((SPREAD,),), ((changed(SPREAD, tensor=4.0, expert=4.0),),)
    ),
    "architecture.attended_pairs": Case(
        architecture.attended_pairs,
        (
            (EVERYTHING, *floats(5.0, 2000.0)),
            (EVERYTHING, *floats(400.0, 500.0)),
            (EVERYTHING, *floats(5.0, 100.0)),
        ),
        (
            (EVERYTHING, *floats(1.0, 700.0)),
            (EVERYTHING, *floats(700.0, 0.0)),
            (EVERYTHING, *floats(0.0, 0.0)),
        ),
    ),
    "architecture.attention_flops": Case(
        architecture.attention_flops,
        (
            (EVERYTHING, *floats(5.0, 2000.0)),
            (EVERYTHING, *floats(3000.0, 50.0)),
            (GROUPED, *floats(5.0, 2000.0)),
        ),
        ((EVERYTHING, *floats(0.0, 0.0)), (DENSE, *floats(1.0, 0.0))),
    ),
    "roofline.collective_time": Case(
        roofline.collective_time,
        (
            (H100, *floats(4.0, 1e6, 5.0), EFFICIENCY, *floats(1.0)),
            (H100, *floats(48.0, 1e6, 5.0), EFFICIENCY, *floats(3.0)),
        ),
        (
            (H100, *floats(1.0, 1e6, 5.0), EFFICIENCY, *floats(1.0)),
            (H100, *floats(8.0, 0.0, 0.0), EFFICIENCY, *floats(1.0)),
            (PHONE, *floats(1.0, 1e6, 5.0), EFFICIENCY, *floats(1.0)),
        ),
    ),
    "roofline.exchange_time": Case(
        roofline.exchange_time,
        (
            (H100, *floats(4.0, 1e6, 5.0), EFFICIENCY, *floats(1.0)),
            (H100, *floats(48.0, 1e6, 5.0), EFFICIENCY, *floats(3.0)),
        ),
        (
            (H100, *floats(1.0, 1e6, 5.0), EFFICIENCY, *floats(1.0)),
            (H100, *floats(8.0, 0.0, 0.0), EFFICIENCY, *floats(1.0)),
        ),
    ),
    "roofline.forward_pass": Case(
        roofline.forward_pass,
        (
            (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *BATCH),
            (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *floats(12.5, 3000.0, 50.0)),
            (Instance(GROUPED, H100, changed(SPREAD, **PARALLEL), EFFICIENCY), *BATCH),
        ),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), *floats(1.0, 1.0, 0.0)),
            (Instance(DENSE, PHONE, LONE, EFFICIENCY), *floats(1e-6, 1.0, 0.0)),
            (Instance(DENSE, H100, ONE_NODE, EFFICIENCY), *BATCH),
            (Instance(EVERYTHING, H100, WIDE, EFFICIENCY), *BATCH),
            (Instance(GEMMA, H100, ONE_NODE, EFFICIENCY), *floats(8.0, 1.0, 1023.0)),
            (Instance(GEMMA, H100, ONE_NODE, EFFICIENCY), *floats(8.0, 1.0, 1024.0)),
        ),
    ),
    "roofline.instance_memory": Case(
        roofline.instance_memory,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY),),),
        ((Instance(DENSE, PHONE, LONE, EFFICIENCY),),),
    ),
    "roofline.sequences_that_fit": Case(
        roofline.sequences_that_fit,
        (
            (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *floats(3000.0)),
            (Instance(GROUPED, H100, changed(SPREAD, **PARALLEL), EFFICIENCY), *floats(3000.0)),
        ),
        (
            (Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), *floats(3000.0)),
            (Instance(DENSE, H100, ONE_NODE, EFFICIENCY), *floats(1.0)),
        ),
    ),
    "roofline.devices_for_weights": Case(
        roofline.devices_for_weights,
        ((EVERYTHING, H100, FP8, EFFICIENCY),),
        ((DENSE, PHONE, FP8, EFFICIENCY),),
    ),
    "energy.device_power": Case(
        energy.device_power,
        ((H100, EFFICIENCY, *floats(0.8, 0.3, 0.4)),),
        (
            (H100, EFFICIENCY, *floats(0.0, 0.0, 0.0)),
            (H100, EFFICIENCY, *floats(1.0, 1.0, 1.0)),
            (H100, changed(EFFICIENCY, idle_power=1.0), *floats(0.0, 0.0, 0.0)),
        ),
    ),
    "energy.energy_of": Case(
        energy.energy_of,
        ((*floats(1e6, 500.0, 200.0), SITE, *floats(0.7, 80.0)),),
        (
            (*floats(0.0, 0.0, 0.0), changed(SITE, pue=1.0), *floats(1.0, 0.0)),
            (*floats(1e6, 80.0, 200.0), SITE, *floats(0.0, 80.0)),
        ),
    ),
    "queueing.wait": Case(
        queueing.wait,
        (
            floats(0.7, 5.0, 20.0, 1.2, 0.8, 3600.0),
            floats(0.99, 5.0, 20.0, 1.2, 0.8, 3600.0),
            floats(1.4, 5.0, 20.0, 1.2, 0.8, 3600.0),
        ),
        (
            floats(1.0, 5.0, 20.0, 1.0, 1.0, 3600.0),
            floats(1.0, 5.0, 20.0, 0.0, 0.0, 3600.0),
            floats(0.5, 5.0, 20.0, 0.0, 0.0, 3600.0),
            floats(0.0, 5.0, 20.0, 1.0, 1.0, 3600.0),
            floats(1e-9, 5.0, 150_000.0, 1.0, 1.0, 3600.0),
            floats(0.1, 5.0, 150_000.0, 1.0, 1.0, 3600.0),
            floats(100.0, 5.0, 1.0, 0.0, 13.0, 3600.0),
        ),
    ),
    "queueing.Wait.quantile": Case(
        quantile_of_wait,
        (floats(0.95, 0.9, 5.0, 4.0, 1.2, 0.8, 3600.0),),
        (
            floats(0.5, 0.0, 5.0, 4.0, 1.2, 0.8, 3600.0),
            floats(0.5, 1.0, 5.0, 4.0, 0.0, 0.0, 3600.0),
            floats(0.0, 1.0, 5.0, 4.0, 1.0, 1.0, 3600.0),
        ),
    ),
    "queueing.lognormal_quantile": Case(
        queueing.lognormal_quantile, (floats(0.95, 1.3),), (floats(0.95, 0.0), floats(0.5, 0.0))
    ),
    "serving.tokens_per_step": Case(
        serving.tokens_per_step,
        ((SPREAD,),),
        (
            (changed(SPREAD, acceptance=0.0),),
            (changed(SPREAD, acceptance=1.0),),
            (changed(SPREAD, draft_tokens=0.0),),
            (changed(SPREAD, draft_tokens=0.0, acceptance=0.0),),
        ),
    ),
    "serving.largest_batch": Case(
        serving.largest_batch,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT),),
        (
            (Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), CHAT),
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT),
        ),
    ),
    "serving.operating_point": Case(
        serving.operating_point,
        (
            (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(40.0)),
            (Instance(GROUPED, H100, changed(SPREAD, **PARALLEL), EFFICIENCY), CHAT, *floats(3.0)),
        ),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-9)),
            (
                Instance(DENSE, H100, LONE, EFFICIENCY),
                changed(CHAT, cached_fraction=1.0),
                *floats(1.0),
            ),
            (
                Instance(DENSE, H100, LONE, EFFICIENCY),
                changed(CHAT, output_tokens=1.0),
                *floats(1.0),
            ),
            (
                Instance(DENSE, H100, changed(LONE, disaggregated=1.0), EFFICIENCY),
                CHAT,
                *floats(1.0),
            ),
        ),
    ),
    "serving.prefill_rate": Case(
        serving.prefill_rate,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT),),
        ((Instance(DENSE, H100, LONE, EFFICIENCY), changed(CHAT, cached_fraction=1.0)),),
    ),
    "serving.serve": Case(
        serving.serve,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(3.0, 0.95)),),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(0.0, 0.95)),
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-9, 0.95)),
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e9, 0.95)),
            (Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), CHAT, *floats(1.0, 0.95)),
            (
                Instance(DENSE, H100, LONE, EFFICIENCY),
                changed(CHAT, prompt_cv=0.0, output_cv=0.0, interarrival_cv=0.0),
                *floats(1.0, 0.95),
            ),
        ),
    ),
    "serving.service_at": Case(
        serving.service_at,
        ((Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT, *floats(20.0, 0.95)),),
        (
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e-6, 0.95)),
            (Instance(DENSE, H100, LONE, EFFICIENCY), CHAT, *floats(1e6, 0.95)),
            (Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), CHAT, *floats(1.0, 0.95)),
        ),
    ),
    "serving.capacity": Case(
        serving.capacity,
        (
            (
                Instance(EVERYTHING, H100, SPREAD, EFFICIENCY),
                CHAT,
                changed(TARGET, ttft=100.0, tpot=0.05),
            ),
            (
                Instance(EVERYTHING, H100, SPREAD, EFFICIENCY),
                CHAT,
                changed(TARGET, ttft=1.5, tpot=9.0),
            ),
        ),
        (
            (
                Instance(EVERYTHING, H100, SPREAD, EFFICIENCY),
                CHAT,
                changed(TARGET, ttft=1e-9, tpot=1e-9),
            ),
            (
                Instance(EVERYTHING, H100, SPREAD, EFFICIENCY),
                CHAT,
                changed(TARGET, ttft=1e9, tpot=1e9),
            ),
            (Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), CHAT, TARGET),
        ),
    ),
    "experience.response_time": Case(
        experience.response_time, (floats(1.0, 0.1, 200.0),), (floats(0.0, 0.0, 0.0),)
    ),
    "experience.reading_time": Case(
        experience.reading_time,
        ((*floats(1.5, 0.25, 200.0), READER), (*floats(1.5, 0.1, 200.0), READER)),
        ((*floats(1.0, 0.25, 200.0), changed(READER, speed=4.0)),),
    ),
    "experience.quality_of_experience": Case(
        experience.quality_of_experience,
        (
            (*floats(1.5, 0.25, 200.0), READER),
            (*floats(1.5, 0.1, 200.0), READER),
            (*floats(0.3, 0.25, 200.0), READER),
            (*floats(0.3, 0.1, 200.0), READER),
        ),
        (
            (*floats(1.0, 0.25, 200.0), READER),
            (*floats(1.0, 0.25, 200.0), changed(READER, speed=4.0)),
            (*floats(3.0, 0.25, 200.0), changed(READER, speed=4.0)),
            (*floats(0.3, 0.25, 200.0), changed(READER, speed=4.0)),
            (*floats(0.0, 0.25, 1.0), READER),
        ),
    ),
    "experience.delivered_tokens": Case(
        experience.delivered_tokens,
        (floats(5.0, 1.0, 0.1, 200.0),),
        (floats(1.0, 1.0, 0.1, 200.0), floats(21.0, 1.0, 0.1, 200.0)),
    ),
    "experience.read_tokens": Case(
        experience.read_tokens,
        ((*floats(5.0, 1.0, 0.1, 200.0), READER),),
        ((*floats(1.0, 1.0, 0.25, 200.0), changed(READER, speed=4.0)),),
    ),
    "training.flops_per_token": Case(
        training.flops_per_token,
        ((EVERYTHING, RUN), (GROUPED, RUN)),
        ((DENSE, changed(RUN, trainable=0.0)), (GEMMA, changed(RUN, sequence=1024.0))),
    ),
    "training.activation_bytes_per_token": Case(
        training.activation_bytes_per_token, ((EVERYTHING,), (GROUPED,)), ((DENSE,),)
    ),
    "training.training_memory": Case(
        training.training_memory,
        (
            (EVERYTHING, RUN, LAYOUT),
            (GROUPED, RUN, LAYOUT),
            (GROUPED, RUN, changed(LAYOUT, shard_weights=1.0)),
        ),
        ((DENSE, changed(RUN, trainable=0.0), ALONE), (EVERYTHING, RUN, changed(LAYOUT, data=256))),
    ),
    "training.training_step": Case(
        training.training_step,
        (
            (training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY), LAYOUT),
            (
                training.TrainingJob(GROUPED, H100, RUN, EFFICIENCY),
                changed(LAYOUT, shard_weights=1.0),
            ),
        ),
        (
            (training.TrainingJob(DENSE, H100, RUN, EFFICIENCY), ALONE),
            (training.TrainingJob(DENSE, PHONE, changed(RUN, trainable=0.0), EFFICIENCY), ALONE),
            (
                training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY),
                changed(LAYOUT, data=256.0, tensor=8.0),
            ),
            (training.TrainingJob(DENSE, H100, RUN, EFFICIENCY), changed(ALONE, data=1024.0)),
        ),
    ),
    "training.checkpoint_interval": Case(
        training.checkpoint_interval, ((*floats(16384.0), RELIABILITY),)
    ),
    "training.training_goodput": Case(
        training.training_goodput,
        ((*floats(16384.0), RELIABILITY),),
        (
            (*floats(1.0), RELIABILITY),
            (*floats(1e7), RELIABILITY),
            (*floats(1.0), changed(RELIABILITY, restart=0.0)),
        ),
    ),
    "training.wall_clock": Case(
        training.wall_clock,
        ((training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY), LAYOUT, RELIABILITY),),
        ((training.TrainingJob(DENSE, H100, RUN, EFFICIENCY), ALONE, RELIABILITY),),
    ),
    "planning.plan_with_layout": Case(
        planning.plan_with_layout,
        (
            (
                training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY),
                LAYOUT,
                *floats(30 * DAY),
                RELIABILITY,
            ),
            (
                training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY),
                LAYOUT,
                *floats(900 * DAY),
                RELIABILITY,
            ),
        ),
        (
            (
                training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY),
                LAYOUT,
                *floats(1.0),
                RELIABILITY,
            ),
            (training.TrainingJob(DENSE, PHONE, RUN, EFFICIENCY), ALONE, *floats(DAY), RELIABILITY),
        ),
    ),
    "planning.plan_for_devices": Case(
        planning.plan_for_devices,
        ((training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY), *floats(2560.0), RELIABILITY),),
        (
            (training.TrainingJob(DENSE, H100, RUN, EFFICIENCY), *floats(1.0), RELIABILITY),
            (training.TrainingJob(EVERYTHING, PHONE, RUN, EFFICIENCY), *floats(1.0), RELIABILITY),
        ),
    ),
    "training.fewest_devices_in_memory": Case(
        training.fewest_devices_in_memory,
        ((training.TrainingJob(EVERYTHING, H100, RUN, EFFICIENCY),),),
        ((training.TrainingJob(DENSE, PHONE, changed(RUN, trainable=0.0), EFFICIENCY),),),
    ),
    "economics.capital_recovery_factor": Case(
        economics.capital_recovery_factor,
        (floats(0.08, 5.0),),
        (floats(0.0, 5.0), floats(1e-6, 5.0), floats(1e-300, 0.1)),
    ),
    "economics.ownership_cost": Case(
        economics.ownership_cost,
        ((OWNERSHIP, *floats(1200.0, 600.0), SITE),),
        ((changed(OWNERSHIP, discount_rate=0.0, price=0.0), *floats(0.0, 0.0), SITE),),
    ),
    "economics.hosting_rate": Case(economics.hosting_rate, (floats(184.0),)),
    "economics.electricity_price": Case(economics.electricity_price, (floats(0.1),)),
    "economics.token_cost": Case(
        economics.token_cost,
        ((POINT, SPREAD, CHAT, *floats(1e-3, 0.5)),),
        ((POINT, SPREAD, changed(CHAT, cached_fraction=1.0), *floats(0.0, 1.0)),),
    ),
    "economics.api_cost": Case(
        economics.api_cost,
        ((API, CHAT, *floats(0.3)),),
        ((API, changed(CHAT, cached_fraction=0.0), *floats(0.0)),),
    ),
    "economics.conversation_workload": Case(
        economics.conversation_workload,
        ((AGENT,),),
        ((changed(AGENT, turns=1.0),), (changed(AGENT, user_tokens=0.0, output_tokens=0.0),)),
    ),
    "economics.instances": Case(
        economics.instances,
        (floats(50.0, 4.0, 1.0), floats(1.0, 4.0, 1.0)),
        (floats(4.0, 4.0, 0.0), floats(0.0, 4.0, 0.0)),
    ),
    "economics.break_even": Case(
        economics.break_even,
        (floats(0.01, 5.0, 3.0, 1.0, 0.02), floats(0.03, 5.0, 3.0, 1.0, 0.02)),
        (floats(0.04, 6.0, 3.0, 0.0, 0.02), floats(0.05, 5.0, 3.0, 1.0, 0.03)),
    ),
    "economics.margin": Case(economics.margin, (floats(3.0, 2.0),), (floats(3.0, 0.0),)),
    "economics.learning_rate": Case(
        economics.learning_rate,
        ((jnp.asarray([1.0, 2.1, 3.5]), jnp.asarray([8.0, 5.0, 2.1])),),
        ((jnp.asarray([2023.0, 2024.0]), jnp.asarray([8.0, 8.0])),),
    ),
    "carbon.operational_carbon": Case(
        carbon.operational_carbon,
        ((ENERGY, SITE),),
        ((ENERGY, changed(SITE, carbon_intensity=0.0)),),
    ),
    "carbon.intensity": Case(carbon.intensity, ((SITE,),), ((changed(SITE, pue=1.0),),)),
    "carbon.footprint": Case(
        lambda used, site, making, building, network, reader, training: carbon.footprint(
            used,
            site,
            besides=carbon.Footprint(
                making=making,
                building=building,
                network=network,
                reader=reader,
                training=training,
            ),
        ),
        ((ENERGY, SITE, *floats(1.0, 0.1, 0.01, 0.2, 3.0)),),
        ((ENERGY, changed(SITE, carbon_intensity=0.0), *floats(0.0, 0.0, 0.0, 0.0, 0.0)),),
    ),
    "carbon.network_carbon": Case(
        carbon.network_carbon, (floats(5e4, 1e-4, 1e-7),), (floats(0.0, 0.0, 0.0),)
    ),
    "carbon.reader_carbon": Case(
        carbon.reader_carbon,
        ((HANDSET, *floats(60.0, 1e-7)),),
        ((changed(HANDSET, power=0.0, making=0.0), *floats(0.0, 0.0)),),
    ),
    "carbon.training_share": Case(
        carbon.training_share, (floats(5e5, 1e13, 1e6),), (floats(0.0, 1e13, 0.0),)
    ),
    "carbon.daily_factor": Case(
        carbon.daily_factor,
        ((jnp.asarray([1.0, 3.0, 2.0]), jnp.asarray([1.2, 0.7, 1.1])),),
        ((jnp.asarray([0.0, 3.0, 0.0]), jnp.asarray([1.0, 1.0, 1.0])),),
    ),
    "per_request.needed": Case(
        per_request.needed,
        ((CAPACITY, *floats(20.0, 2.0, 1.0)), (CAPACITY, *floats(300.0, 1.0, 0.0))),
        ((CAPACITY, *floats(0.0, 2.0, 1.0)), (UNABLE, *floats(20.0, 2.0, 1.0))),
    ),
    "per_request.answered": Case(
        per_request.answered,
        (
            (changed(FLEET, rate=0.5 * FLEET.active * POINT.rate), POINT),
            (changed(FLEET, rate=2.0 * FLEET.active * POINT.rate), POINT),
        ),
        ((changed(FLEET, rate=0.0), POINT), (changed(FLEET, active=0.0), POINT)),
    ),
    "per_request.request_energy": Case(
        per_request.request_energy,
        ((BUSY, POINT, Instance(DENSE, H100, SINGLE, EFFICIENCY), SITE),),
        ((changed(FLEET, waiting=0.0), POINT, Instance(DENSE, H100, SINGLE, EFFICIENCY), SITE),),
    ),
    "per_request.request": Case(
        per_request.request,
        ((BUSY, POINT, Instance(DENSE, H100, SINGLE, EFFICIENCY), SITE, AROUND, *floats(40.0)),),
        (
            (
                changed(FLEET, waiting=0.0),
                POINT,
                Instance(DENSE, H100, SINGLE, EFFICIENCY),
                changed(SITE, carbon_intensity=0.0),
                changed(AROUND, making=0.0, sent=0.0, trained=0.0),
                *floats(0.0),
            ),
        ),
    ),
    "routing.route": Case(
        routing.route,
        ((*floats(0.4, 0.9), QUESTIONS),),
        ((*floats(0.0, 0.0), changed(QUESTIONS, losses=0.0)), (*floats(40.0, 3.0), QUESTIONS)),
    ),
    "routing.recovered": Case(
        routing.recovered,
        ((*floats(0.3, 0.9), QUESTIONS),),
        ((*floats(0.5, 0.0), QUESTIONS),),
    ),
    "routing.share_for": Case(
        routing.share_for,
        ((*floats(0.8, 0.9), QUESTIONS),),
        ((*floats(0.5, 0.9), QUESTIONS), (*floats(0.99, 0.0), QUESTIONS)),
    ),
    "routing.chain": Case(
        routing.chain,
        (
            (jnp.asarray([0.63, 0.73, 0.86]), jnp.asarray([0.5, 0.7, 0.6])),
            # The last overlap has no room.
            (jnp.asarray([0.63, 0.73, 0.86]), jnp.asarray([0.1, 0.2, 0.9])),
        ),
        (
            (jnp.asarray([0.7, 0.7, 0.7]), jnp.zeros(3)),
            (jnp.asarray([0.0, 1.0, 1.0]), jnp.ones(3)),
            (jnp.asarray([0.0, 0.0, 0.0]), jnp.ones(3)),
        ),
    ),
    "routing.outcomes": Case(
        routing.outcomes,
        ((THREE,),),
        (
            (changed(THREE, losses=0.0, further_losses=0.0, across_losses=0.0),),
            (routing.Chain(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),),
            (routing.Chain(1.0, 1.0, 1.0, 0.0, 0.0, 0.0),),
        ),
    ),
    "routing.overlap": Case(routing.overlap, ((QUESTIONS,),), ((changed(QUESTIONS, losses=0.0),),)),
    "routing.cascade": Case(
        routing.cascade,
        ((*floats(-0.4, 0.9, 0.8), THREE), (*floats(0.7, -0.2, 2.0), THREE)),
        (
            (*floats(0.5, 0.5, 0.8), THREE),
            (
                *floats(0.0, 0.0, 0.0),
                changed(THREE, losses=0.0, further_losses=0.0, across_losses=0.0),
            ),
            (*floats(-40.0, 40.0, 3.0), THREE),
            (*floats(40.0, 40.0, 3.0), THREE),
            (*floats(40.0, -40.0, 3.0), THREE),
        ),
    ),
    "own_machine.throttled": Case(
        own_machine.throttled,
        ((*floats(30.0), OWN), (*floats(100.0), OWN)),
        ((*floats(60.0), OWN), (*floats(0.0), OWN), (*floats(100.0), changed(OWN, sustained=1.0))),
    ),
    "own_machine.token_time": Case(
        own_machine.token_time,
        ((EVERYTHING, OWN, FP8, *floats(500.0)), (GROUPED, OWN, FP8, *floats(5000.0))),
        ((DENSE, OWN, FP8, *floats(0.0)), (GEMMA, OWN, FP8, *floats(1024.0))),
    ),
    "own_machine.prompt_time": Case(
        own_machine.prompt_time,
        ((EVERYTHING, OWN, FP8, *floats(400.0)),),
        ((DENSE, OWN, FP8, *floats(0.0)), (GEMMA, OWN, FP8, *floats(1024.0))),
    ),
    "own_machine.answer": Case(
        own_machine.answer,
        ((EVERYTHING, OWN, FP8, CHAT, *floats(5.0)), (DENSE, OWN, FP8, CHAT, *floats(1.0))),
        (
            (DENSE, OWN, FP8, changed(CHAT, cached_fraction=1.0, output_tokens=1.0), *floats(1.0)),
            (DENSE, changed(OWN, memory=0.0, burst=0.0), FP8, CHAT, *floats(1.0)),
        ),
    ),
    "hybrid.kept_waiting": Case(
        hybrid.kept_waiting,
        (floats(2.0, 0.1, 101.0, 5.0), floats(2.0, 0.25, 101.0, 5.0)),
        # Just as fast as it is read; nothing to read.
        (floats(2.0, 0.25, 101.0, 4.04), floats(0.0, 0.0, 1.0, 5.0), floats(0.0, 0.0, 0.0, 5.0)),
    ),
    "hybrid.on_device": Case(
        hybrid.on_device,
        (
            (hybrid.OwnModel(DENSE, OWN, FP8), CHAT, HANDSET, SITE, *floats(5.0, 1.0)),
            (hybrid.OwnModel(DENSE, OWN, FP8), CHAT, HANDSET, SITE, *floats(40.0, 4.0)),
        ),
        (
            (
                hybrid.OwnModel(DENSE, changed(OWN, power=0.0), FP8),
                changed(CHAT, output_tokens=1.0),
                changed(HANDSET, power=0.0, making=0.0),
                changed(SITE, carbon_intensity=0.0),
                *floats(5.0, 1.0),
            ),
        ),
    ),
    "hybrid.shared": Case(
        hybrid.shared,
        (
            (
                hybrid.SharedMachine(
                    Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *AMID, *floats(20.0)
                ),
                CHAT,
            ),
            (
                hybrid.SharedMachine(
                    Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *AMID, *floats(0.3)
                ),
                CHAT,
            ),
        ),
        (
            (
                hybrid.SharedMachine(Instance(DENSE, H100, LONE, EFFICIENCY), *AMID, *floats(1e-6)),
                CHAT,
            ),
            (
                hybrid.SharedMachine(Instance(DENSE, H100, LONE, EFFICIENCY), *AMID, *floats(1e6)),
                CHAT,
            ),
            (
                hybrid.SharedMachine(
                    Instance(EVERYTHING, PHONE, LONE, EFFICIENCY), *AMID, *floats(1.0)
                ),
                CHAT,
            ),
        ),
    ),
    "hybrid.drafted": Case(
        hybrid.drafted,
        (
            (
                hybrid.OwnModel(DENSE, OWN, FP8),
                SITE,
                hybrid.SharedMachine(
                    Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), *AMID, *floats(20.0)
                ),
                CHAT,
                *floats(0.7, 4.0),
            ),
        ),
        tuple(
            (
                hybrid.OwnModel(DENSE, OWN, FP8),
                SITE,
                hybrid.SharedMachine(Instance(GEMMA, H100, LONE, EFFICIENCY), *AMID, *floats(20.0)),
                CHAT,
                *floats(acceptance, drafts),
            )
            for acceptance, drafts in ((0.7, 0.0), (0.0, 0.0), (0.0, 4.0), (1.0, 4.0), (1.0, 0.0))
        ),
    ),
    "hybrid.outcome": Case(
        outcome,
        (
            (
                hybrid.Policy(-0.4, 0.9, 0.3, 4.0),
                (taken(1.0), taken(0.6), taken(0.2)),
                taken(0.3),
                *floats(0.8),
                THREE,
            ),
        ),
        (
            (
                hybrid.Policy(0.5, 0.5, 0.0, 0.0),
                (taken(1.0), taken(1.0), taken(0.0)),
                taken(0.0),
                *floats(0.0),
                THREE,
            ),
            (
                hybrid.Policy(hybrid.HIGHEST, hybrid.LOWEST, 1.0, hybrid.LONGEST_DRAFT),
                (taken(1.0), taken(0.6), taken(0.2)),
                taken(0.3),
                *floats(3.0),
                THREE,
            ),
        ),
    ),
    "routing.oracle": Case(routing.oracle, ((QUESTIONS,),), ((changed(QUESTIONS, losses=0.0),),)),
    "routing.quality": Case(
        routing.quality, ((*floats(0.7), QUESTIONS),), ((*floats(0.0), QUESTIONS),)
    ),
    "speculation.tokens_per_round": Case(
        speculation.tokens_per_round, (floats(0.7, 4.0),), (floats(0.0, 0.0), floats(1.0, 4.0))
    ),
    "speculation.seconds_per_token": Case(
        speculation.seconds_per_token, ((DRAFT, *floats(4.0)),), ((DRAFT, *floats(0.0)),)
    ),
    "speculation.best_length": Case(
        speculation.best_length,
        ((DRAFT,),),
        ((changed(DRAFT, acceptance=0.01),), (changed(DRAFT, seconds=0.0),)),
    ),
    "speculation.acceptance_to_pay": Case(
        speculation.acceptance_to_pay,
        ((DRAFT, *floats(4.0, 0.05)),),
        ((changed(DRAFT, round_trip=2.0), *floats(4.0, 0.05)),),
    ),
    "placement.cleanest_within": Case(waiting_two_hours, ((INTENSITY,),), ((FLAT,), (NONE,))),
    "placement.shifted": Case(
        placement.shifted,
        (
            (HOURS, jnp.asarray(0.4), INTENSITY, jnp.asarray(4.5)),
            # An hour was too full already.
            (HOURS, jnp.asarray(0.4), INTENSITY, jnp.asarray(3.1)),
            # There is no room for all.
            (HOURS, jnp.asarray(0.4), INTENSITY, jnp.asarray(2.1)),
        ),
        (
            (HOURS, jnp.asarray(0.0), INTENSITY, jnp.asarray(4.5)),
            (HOURS, jnp.asarray(1.0), INTENSITY, jnp.asarray(0.0)),
            (HOURS, jnp.asarray(1.0), INTENSITY, jnp.asarray(1e9)),
            (FLAT, jnp.asarray(0.5), FLAT, jnp.asarray(1.0)),
            (HOURS, jnp.asarray(0.5), NONE, jnp.asarray(4.0)),
            (NONE, jnp.asarray(0.5), INTENSITY, jnp.asarray(4.0)),
        ),
    ),
    "placement.follow": Case(
        placement.follow,
        ((jnp.stack([INTENSITY, INTENSITY[::-1]]), HOURS, jnp.asarray(0.7)),),
        (
            (jnp.stack([FLAT, FLAT]), HOURS, jnp.asarray(1.0)),
            (jnp.stack([NONE, FLAT]), NONE, jnp.asarray(0.0)),
        ),
    ),
    "placement.place": Case(
        cleaner_places,
        ((PLACES, ASKED),),
        (
            (changed(PLACES, intensity=[0.2, 0.2, 0.2, 0.2]), ASKED),
            (PLACES, changed(ASKED, energy=0.0, fixed=0.0, seconds=0.0)),
        ),
    ),
    "placement.cleanest_within_limit": Case(
        placement.cleanest_within_limit,
        ((OPTION, jnp.asarray(0.8)),),
        ((OPTION, jnp.asarray(0.7)), (OPTION, jnp.asarray(0.0))),
    ),
    "growth.quantile": Case(
        growth.quantile,
        ((NORMAL, *floats(0.2)), (NORMAL, *floats(0.8))),
        (
            *((of, *floats(u)) for of in (BOUNDS, NORMAL) for u in (0.0, 0.5, 1.0)),
            *((SINGLE_VALUE, *floats(u)) for u in (0.0, 0.3, 0.5, 1.0)),
            (changed(SINGLE_VALUE, coverage=0.95), *floats(0.3)),
            (changed(NORMAL, coverage=1.0 - 1e-12), *floats(0.3)),
        ),
    ),
    "growth.quantile of bounds": Case(
        bounded, (floats(0.35, 0.55, 0.7, 0.2), floats(0.35, 0.55, 0.7, 0.8))
    ),
    "growth.level": Case(
        growth.level, (floats(5.0, 1.2, 4.0),), (floats(0.0, 0.5, 0.0), floats(5.0, 1.0, -3.0))
    ),
    "growth.projected": Case(
        growth.projected,
        ((growth.Level(5.0, 2023.0), *floats(1.1, 4.0)),),
        ((growth.Level(0.0), *floats(1.0, 0.0)),),
    ),
    "growth.slowed": Case(
        growth.slowed,
        (floats(4.0, 0.2, 11.0), floats(14.0, 0.2, 11.0), floats(4.0, -0.1, 11.0)),
        (floats(0.0, 0.0, 11.0), floats(4.0, 0.0, 11.0), floats(4.0, 1e-5, 11.0)),
    ),
    "growth.slowing_of": Case(
        lambda *values: growth.slowing_of(
            *(
                growth.Level(value, year)
                for value, year in zip(values, (2024.0, 2030.0, 2035.0), strict=True)
            )
        ),
        (floats(415.0, 945.0, 1200.0),),
        (floats(415.0, 500.0, 1200.0),),
    ),
    "sampling.draws": Case(
        drawn,
        ((NORMAL, changed(NORMAL, coverage=0.5)),),
        ((BOUNDS, NORMAL), (SINGLE_VALUE, SINGLE_VALUE)),
    ),
    "sampling.futures": Case(
        demand_of_futures,
        ((START, {k: jnp.stack([v, 0.98 * v]) for k, v in GROWING.items()}, jnp.arange(1.0, 4.0)),),
    ),
    "sampling.fan": Case(
        sampling.fan,
        ((jnp.asarray([[1.0, 5.0], [2.0, 3.0], [4.0, 9.0], [8.0, 1.5]]),),),
        ((jnp.ones((4, 2)),),),
    ),
    "outlook.demand": Case(
        outlook.demand,
        ((START, GROWING, *floats(7.0)),),
        (
            (changed(START, slowing=0.0), GROWING, *floats(7.0)),
            (START, CONSTANT, *floats(0.0)),
            (START, CONSTANT, *floats(-1.0)),
        ),
    ),
    "outlook.energy_per_answer": Case(
        outlook.energy_per_answer,
        ((*floats(900.0), GROWING, *floats(7.0, 0.6)),),
        (
            (*floats(0.0), CONSTANT, *floats(0.0, 0.0)),
            (*floats(900.0), GROWING, *floats(7.0, 1.0)),
        ),
    ),
    "outlook.carbon_per_answer": Case(
        outlook.carbon_per_answer,
        ((*floats(900.0), START.intensity, GROWING, *floats(7.0, 0.6)),),
        ((*floats(0.0), growth.Level(0.0), CONSTANT, *floats(0.0, 0.0)),),
    ),
    "outlook.cost_per_answer": Case(
        outlook.cost_per_answer,
        ((*floats(0.01), GROWING, *floats(7.0)),),
        ((*floats(0.0), CONSTANT, *floats(0.0)),),
    ),
    "outlook.device_parameters": Case(
        outlook.device_parameters,
        ((PHONE_DECODER, GROWING, *floats(7.0)),),
        ((changed(PHONE_DECODER, share=0.0), CONSTANT, *floats(0.0)),),
    ),
    "outlook.needed_parameters": Case(
        outlook.needed_parameters,
        ((*floats(70e9), GROWING, *floats(7.0)),),
        ((*floats(0.0), CONSTANT, *floats(0.0)),),
    ),
    "outlook.year_reached": Case(
        lambda device, today, factors: (
            outlook.year_reached(device, today, factors) - growth.BASE_YEAR
        ),
        ((PHONE_DECODER, *floats(70e9), GROWING),),
        (
            (PHONE_DECODER, *floats(8e9), GROWING),
            (PHONE_DECODER, *floats(70e9), CONSTANT),
            (
                PHONE_DECODER,
                outlook.device_parameters(PHONE_DECODER, CONSTANT, *floats(0.0)),
                CONSTANT,
            ),
        ),
    ),
    "knowledge.recall": Case(
        knowledge.recall, ((RETRIEVER, *floats(5.0, 200.0)),), ((FINDING, *floats(1.0, 133.0)),)
    ),
    "knowledge.reads": Case(
        knowledge.reads,
        ((READING, *floats(900.0, 1.0)),),
        ((changed(READING, alone=1.0), *floats(133.0, 0.0)), (READING, *floats(0.0, 0.0))),
    ),
    "knowledge.crowding": Case(knowledge.crowding, (floats(500.0),), (floats(0.0), floats(133.0))),
    "knowledge.right_with_passages": Case(
        knowledge.right_with_passages, (floats(0.8, 0.9, 0.3, 0.4, 0.95),)
    ),
    "knowledge.best_passages": Case(
        knowledge.best_passages,
        ((RETRIEVER, READING, *floats(200.0)),),
        ((FINDING, READING, *floats(133.0)),),
    ),
    "knowledge.learned": Case(
        knowledge.learned,
        ((LEARNING, *floats(30.0, 2e4, 4e7)),),
        ((changed(LEARNING, bits_per_document=0.0), *floats(0.0, 2e4, 4e7)),),
    ),
    "knowledge.freshness": Case(knowledge.freshness, (floats(0.3, 2.0),), (floats(0.0, 2.0),)),
    "knowledge.forgotten": Case(
        knowledge.forgotten, ((LEARNING, *floats(0.2)),), ((LEARNING, *floats(0.0)),)
    ),
    "knowledge.kept": Case(
        knowledge.kept,
        ((changed(LEARNING, ceiling=0.6), *floats(0.5, 0.7, 0.2, 0.3, 6.5)),),
        (
            (changed(LEARNING, forgetting=0.0, ceiling=0.0), *floats(0.8, 0.7, 0.0, 0.0, 6.0)),
            (LEARNING, *floats(1.0, 1.0, 1.0, 1.0, 1.0)),
        ),
    ),
    "knowledge.best_interval": Case(knowledge.best_interval, (floats(10.0, 0.1, 1e-7),)),
    "knowledge.best_exposures": Case(
        knowledge.best_exposures,
        ((LEARNING, *floats(2.0, 1000.0)),),
        ((LEARNING, *floats(2.0, 1.0)),),
    ),
    **{
        f"adaptation.{name} {method}": Case(
            by(method, function),
            ((NEWS, ON_TWO, KNOWLEDGE, KNOBS, *more),),
            ((STILL, OFFERS, KNOWLEDGE, KNOBS, *more), (RARE, OFFERS, KNOWLEDGE, ALWAYS, *more)),
        )
        for method in adaptation.METHODS
        for name, function, more in (
            ("outcome", adaptation.outcome, ()),
            ("quality_over_life", adaptation.quality_over_life, ()),
            ("quality_at", adaptation.quality_at, floats(1.234e7)),
        )
    },
    "adaptation.adapter_slowdown": Case(
        adaptation.adapter_slowdown,
        ((DENSE, FP8, *floats(4e7, 30.0, 50.0)),),
        ((DENSE, FP8, *floats(4e7, 1.0, 50.0)),),
    ),
    "carbon.water": Case(
        carbon.water,
        ((ENERGY, SITE),),
        ((ENERGY, changed(SITE, water_on_site=0.0, water_off_site=0.0)),),
    ),
    "embodied.wafer_carbon": Case(
        embodied.wafer_carbon,
        (floats(9.9e6, 1.4e-7, 0.3, 0.5, 0.875),),
        (floats(0.0, 0.0, 0.0, 0.0, 1.0),),
    ),
    "embodied.calibrated": Case(
        embodied.calibrated,
        ((MATERIALS, embodied.Embodied(*floats(41.0, 69.0, 30.0, 25.0))),),
        ((MATERIALS, embodied.Embodied(*floats(0.0, 0.0, 0.0, 0.0))),),
    ),
    "embodied.manufacture": Case(
        embodied.manufacture,
        ((MATERIALS, RECIPE),),
        ((changed(MATERIALS, die_area=0.0, memory=0.0, power=0.0), RECIPE),),
    ),
    "silicon.dies_per_wafer": Case(silicon.dies_per_wafer, (floats(700.0),), (floats(1.0),)),
    "silicon.yield_of": Case(
        silicon.yield_of, (floats(700.0, 0.001, 10.0),), (floats(0.0, 0.0, 10.0),)
    ),
    "silicon.floorplan": Case(
        silicon.floorplan, ((CHIP, SILICON),), ((changed(CHIP, link=0.0, memory=0.0), SILICON),)
    ),
    "silicon.chip_cost": Case(
        silicon.chip_cost, ((CHIP, SILICON),), ((changed(CHIP, link=0.0, memory=0.0), SILICON),)
    ),
    "silicon.running_cost": Case(
        silicon.running_cost,
        ((CHIP, SILICON, *floats(4e14, 2e12)),),
        ((CHIP, changed(SILICON, utilisation=1.0, discount_rate=0.0), *floats(0.0, 0.0)),),
    ),
    "silicon.as_xpu": Case(
        silicon.as_xpu, ((CHIP, SILICON),), ((changed(CHIP, link=0.0, memory=0.0), SILICON),)
    ),
    "silicon.chip_of": Case(silicon.chip_of, ((H100,),)),
    "chip_jobs.decode": Case(chip_jobs.decode, ((EVERYTHING, SPREAD, *floats(3000.0, 0.05)),)),
    "chip_jobs.prefill": Case(chip_jobs.prefill, ((EVERYTHING, SPREAD, *floats(3000.0, 2.0)),)),
    "chip_jobs.demand": Case(
        chip_jobs.demand,
        ((DECODING, CHIP, SILICON, EFFICIENCY, *floats(300.0)),),
        ((changed(DECODING, past_tokens=0.0), CHIP, SILICON, EFFICIENCY, *floats(1.0)),),
    ),
    "chip_jobs.demand of training": Case(
        chip_jobs.demand,
        ((chip_jobs.Training(EVERYTHING, RUN, LAYOUT), CHIP, SILICON, EFFICIENCY, *floats(1.0)),),
        ((chip_jobs.Training(DENSE, RUN, ALONE), CHIP, SILICON, EFFICIENCY, *floats(1.0)),),
    ),
    "chip_jobs.stored_weights": Case(
        chip_jobs.stored_weights, ((DECODING, EFFICIENCY),), ((LIGHT, EFFICIENCY),)
    ),
    "chip_jobs.cached_per_sequence": Case(
        chip_jobs.cached_per_sequence, ((DECODING, EFFICIENCY),), ((LIGHT, EFFICIENCY),)
    ),
    "chip_jobs.usd_per_token": Case(
        chip_jobs.usd_per_token,
        ((CHIP, SILICON, chip_jobs.Demand(*floats(0.04, 300.0, 4.0, 9e10, 1e13, 8e10))),),
    ),
    "real_chips.priced": Case(
        real_chips.priced,
        ((LIGHT, CHIP, SILICON, EFFICIENCY),),
        ((changed(LIGHT, limit=1e-3), CHIP, SILICON, EFFICIENCY),),
    ),
    "embodied.amortised": Case(
        embodied.amortised, (floats(460.0, 4e9, 2e8, 0.85),), (floats(0.0, 0.0, 2e8, 1.0),)
    ),
}


CASES |= {
    "laws.loss": Case(laws.loss, ((LAW, *floats(7e10, 1.4e12)),)),
    "laws.joint_power_loss": Case(
        laws.joint_power_loss, ((laws.joint_power_law(), *floats(7e10, 1.4e12)),)
    ),
    "laws.effective_tokens": Case(
        laws.effective_tokens,
        ((REPEATED, *floats(1.4e12, 3e11)),),
        ((REPEATED, *floats(3e11, 3e11)), (REPEATED, *floats(1e11, 3e11))),
    ),
    "laws.effective_parameters": Case(
        laws.effective_parameters,
        ((REPEATED, *floats(7e10, 3e11)),),
        ((REPEATED, *floats(1e9, 3e11)),),
    ),
    "laws.repeated_loss": Case(
        laws.repeated_loss,
        ((REPEATED, *floats(7e10, 1.4e12, 3e11)),),
        ((REPEATED, *floats(7e10, 3e11, 3e11)), (REPEATED, *floats(7e10, 1e11, 3e11))),
    ),
    "laws.over_trained_loss": Case(
        laws.over_trained_loss, ((laws.over_training_law(), *floats(1e21, 300.0)),)
    ),
    "laws.as_over_training": Case(laws.as_over_training, ((LAW,),)),
    "laws.average_error": Case(laws.average_error, ((laws.error_law(), *floats(2.7)),)),
    "sizes.compute_optimal": Case(sizes.compute_optimal, ((LAW, *floats(5.76e23, 6.0)),)),
    "sizes.compute_optimal_by_search": Case(
        sizes.compute_optimal_by_search, ((LAW, *floats(5.76e23, 6.0)),)
    ),
    "sizes.compute_optimal_repeated": Case(
        sizes.compute_optimal_repeated,
        ((REPEATED, *floats(5.76e23, 3e11, 6.0)),),
        ((REPEATED, *floats(5.76e23, 1e16, 6.0)),),
    ),
    "sizes.ridge": Case(sizes.ridge, ((LAW, *floats(5.76e23, 0.01, 6.0)),)),
    "sizes.tokens_for": Case(
        sizes.tokens_for, ((LAW, *floats(7e10, 2.0)),), ((LAW, *floats(1e6, 2.0)),)
    ),
    "sizes.lifetime_cost": Case(
        sizes.lifetime_cost,
        ((LAW, *floats(4e10, 2.0), LIFE),),
        ((LAW, *floats(4e10, 2.0), changed(LIFE, served_tokens=0.0)),),
    ),
    "sizes.lifetime_optimal": Case(
        sizes.lifetime_optimal,
        ((LAW, *floats(2.0), LIFE),),
        ((LAW, *floats(2.0), changed(LIFE, served_tokens=0.0)),),
    ),
    "sizes.budget_optimal": Case(
        sizes.budget_optimal,
        ((LAW, *floats(3e6), LIFE),),
        ((LAW, *floats(3e6), changed(LIFE, served_tokens=0.0)),),
    ),
    "sizes.implied_demand": Case(
        sizes.implied_demand,
        ((LAW, *floats(8e9, 1.5e13), LIFE),),
        ((LAW, *floats(1.75e11, 3e11), LIFE),),
    ),
    "sizes.scaled": Case(sizes.scaled, ((DENSE, *floats(1.7)),)),
    "sizes.trained_with": Case(sizes.trained_with, ((LAW, DENSE, RUN, *floats(1e23)),)),
    "sizes.compute_optimal_shape": Case(
        sizes.compute_optimal_shape, ((LAW, DENSE, RUN, *floats(1e23)),)
    ),
}


def row(result: Any) -> np.ndarray:
    """All numbers of a result, in a row."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result)])


class Point:
    """A function around one point, seen as a function of the list of its float inputs."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        leaves, self.structure = jax.tree.flatten(arguments)
        self.function = function
        self.shapes = [np.shape(leaf) for leaf in leaves]
        self.start = np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in leaves])
        paths = jax.tree_util.tree_leaves_with_path(arguments)
        self.names = [
            f"{jax.tree_util.keystr(path)}[{i}]"
            for path, leaf in paths
            for i in range(np.size(leaf))
        ]

    def tree(self, numbers: Any) -> Any:
        """Its arguments from a list of them: NumPy's from NumPy's, which takes no compiling."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        leaves = [
            numbers[end - int(np.prod(shape)) : end].reshape(shape)
            for end, shape in zip(ends, self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)

    def value_and_gradient(self) -> tuple[Any, np.ndarray]:
        """The result, and the gradient of its mixture."""
        value, gradient = with_gradient(self.function)(self.tree(self.start))
        return value, row(gradient)

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """All numbers of the results for several lists of inputs, a row each."""

        def one(numbers: jax.Array) -> jax.Array:
            result = self.function(*self.tree(numbers))
            return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(result)])

        return np.asarray(interpreted(jax.vmap(one))(numbers))


def points(which: str) -> list[Any]:
    return [
        pytest.param(case, getattr(case, which)[i], id=f"{name}-{i}")
        for name, case in CASES.items()
        for i in range(len(getattr(case, which)))
    ]


def test_every_public_function_has_a_case() -> None:
    short = {module: module.__name__.rpartition(".")[2] for module in MODULES}
    public = {
        f"{CORES.get(short[module], short[module])}.{name}"
        for module in MODULES
        for name, function in inspect.getmembers(module, callable)
        if inspect.isfunction(inspect.unwrap(function))  # jitted or not
        and function.__module__ == module.__name__
        and not name.startswith("_")
    }
    assert public - {name.partition(" ")[0] for name in CASES} - set(EXCEPTIONS) == set()
    assert set(EXCEPTIONS) - public == set(), "an exception for a function that is gone"


@pytest.mark.parametrize(("case", "arguments"), points("generic"))
def test_gradient_agrees_with_finite_differences(case: Case, arguments: tuple[Any, ...]) -> None:
    point = Point(case.function, arguments)
    value, gradient = point.value_and_gradient()
    assert row(value).dtype == gradient.dtype == np.float64
    assert np.all(np.isfinite(row(value)))
    assert np.all(np.isfinite(gradient))
    weights = row(mixture(value))
    # In relative units, so that bytes per second and tokens weigh alike: elasticities.
    moved = np.flatnonzero(point.start)
    steps = 1e-4 * np.diag(point.start)[moved]
    above, below = point.values(point.start + steps), point.values(point.start - steps)
    for i, one, other in zip(moved, above, below, strict=True):
        np.testing.assert_allclose(
            gradient[i] * point.start[i],
            weights @ (one - other) / 2e-4,
            rtol=1e-4,
            atol=2e-6,
            err_msg=point.names[i],
        )


@pytest.mark.release
@pytest.mark.parametrize(("case", "arguments"), points("generic"))
def test_compiled_code_agrees(case: Case, arguments: tuple[Any, ...]) -> None:
    given = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), arguments)
    compiled = jax.jit(lambda arguments: case.function(*arguments))(given)
    np.testing.assert_allclose(row(compiled), row(evaluate(case.function, *given)), rtol=1e-9)


@pytest.mark.parametrize(("case", "arguments"), points("kinks"))
def test_gradient_is_finite_at_kinks_and_zeros(case: Case, arguments: tuple[Any, ...]) -> None:
    point = Point(case.function, arguments)
    value, gradient = point.value_and_gradient()
    assert not np.any(np.isnan(row(value)))
    broken = [point.names[i] for i in np.flatnonzero(~np.isfinite(gradient))]
    assert broken == []
