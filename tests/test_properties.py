"""What must hold whatever the numbers: monotone, homogeneous, bounded, and never NaN."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmecon import serving, training
from llmecon.costs import economics
from llmecon.physics import architecture, energy, queueing, roofline
from llmecon.serving import experience
from llmecon.specs import PRECISIONS, Deployment, Instance
from llmecon.tables import catalog
from tests.problems import (
    ALONE,
    API,
    CHAT,
    DENSE,
    EFFICIENCY,
    EVERYTHING,
    LAYOUT,
    LLMS,
    OWNERSHIP,
    READER,
    RELIABILITY,
    RUN,
    SINGLE,
    SITE,
    SPREAD,
    TARGET,
    XPUS,
    all_finite,
    changed,
    close,
    evaluate,
    floats,
    named_leaves,
    over_catalogue,
)

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)

H100 = catalog.xpu("h100-sxm")
# A little room for the root solves and for powers in the smooth maximum.
ROUNDING = 1.0 + 1e-9

models = st.sampled_from([catalog.llm(i) for i in LLMS])
accelerators = st.sampled_from([catalog.xpu(i) for i in XPUS])
gains = st.floats(1.0, 100.0)
layouts = st.builds(
    lambda tensor, groups, pipeline: changed(
        SPREAD, tensor=tensor, expert=tensor * groups, pipeline=pipeline
    ),
    st.sampled_from([1.0, 2.0, 8.0]),
    st.sampled_from([1.0, 4.0]),
    st.sampled_from([1.0, 2.0]),
)
passes = st.tuples(
    st.floats(1e-3, 1e4), st.one_of(st.just(1.0), st.floats(1.0, 1e5)), st.floats(0.0, 1e6)
)

RATES = (
    "bf16_flops",
    "fp8_flops",
    "fp4_flops",
    "memory_bandwidth",
    "link_bandwidth",
    "network_bandwidth",
)
OVERHEADS = ("collective_latency", "kernel_time", "host_time", "host_time_per_sequence")


def scaled(record: Any, factor: float, names: tuple[str, ...]) -> Any:
    return changed(record, **{name: factor * getattr(record, name) for name in names})


@few
@given(models, accelerators, layouts, passes, st.sampled_from(RATES), gains)
def test_faster_hardware_never_slows_a_pass(
    llm: Any, xpu: Any, layout: Any, tokens: Any, rate: str, gain: float
) -> None:
    # A chip that gains a format's arithmetic spends kernels on rounding activations to the format.
    assume(rate not in ("fp8_flops", "fp4_flops") or getattr(xpu, rate) > xpu.bf16_flops)
    price = roofline.forward_pass
    before = evaluate(price, Instance(llm, xpu, layout, EFFICIENCY), *floats(*tokens))
    better = scaled(xpu, gain, (rate,))
    after = evaluate(price, Instance(llm, better, layout, EFFICIENCY), *floats(*tokens))
    assert after.seconds <= before.seconds * ROUNDING


@few
@given(models, layouts, passes, gains)
def test_wider_fast_links_never_slow_a_pass(
    llm: Any, layout: Any, tokens: Any, gain: float
) -> None:
    price = roofline.forward_pass
    before = evaluate(price, Instance(llm, H100, layout, EFFICIENCY), *floats(*tokens))
    wider = scaled(H100, gain, ("link_domain",))
    after = evaluate(price, Instance(llm, wider, layout, EFFICIENCY), *floats(*tokens))
    assert after.seconds <= before.seconds * ROUNDING


@few
@given(models, accelerators, layouts, passes, st.floats(0.01, 100.0))
def test_pass_scales_with_all_rates(
    llm: Any, xpu: Any, layout: Any, tokens: Any, factor: float
) -> None:
    """All rates times c and all overheads over c: the same machine on a faster clock."""
    price = roofline.forward_pass
    slow = evaluate(price, Instance(llm, xpu, layout, EFFICIENCY), *floats(*tokens))
    quicker = scaled(EFFICIENCY, 1 / factor, OVERHEADS)
    faster = Instance(llm, scaled(xpu, factor, RATES), layout, quicker)
    fast = evaluate(price, faster, *floats(*tokens))
    assert fast.seconds * factor == pytest.approx(float(slow.seconds), rel=1e-9)
    assert fast.bytes == slow.bytes
    assert fast.flops == slow.flops


@few
@given(models, layouts, st.floats(1e-3, 1e3), st.floats(0.01, 100.0))
def test_operating_point_scales_with_all_rates(
    llm: Any, layout: Any, batch: float, factor: float
) -> None:
    """Times shrink, the rate grows; shares, batch and power stay."""
    point = serving.operating_point
    slow = evaluate(point, Instance(llm, H100, layout, EFFICIENCY), CHAT, *floats(batch))
    quicker = scaled(EFFICIENCY, 1 / factor, OVERHEADS)
    faster = Instance(llm, scaled(H100, factor, RATES), layout, quicker)
    fast = evaluate(point, faster, CHAT, *floats(batch))
    expected = changed(
        slow,
        tpot=slow.tpot / factor,
        step=slow.step / factor,
        prefill=slow.prefill / factor,
        chunked_prefill=slow.chunked_prefill / factor,
        mixed_prefill=slow.mixed_prefill / factor,
        rate=slow.rate * factor,
    )
    close(fast, expected, rtol=1e-9)


@few
@given(st.floats(0.0, 10.0), st.floats(1.0, 1e4), st.floats(0.01, 100.0))
def test_waits_scale_with_service_and_horizon(load: float, servers: float, factor: float) -> None:
    slow = evaluate(queueing.wait, *floats(load, 5.0, servers, 1.3, 0.7, 3600.0))
    fast = evaluate(queueing.wait, *floats(load, 5 * factor, servers, 1.3, 0.7, 3600.0 / factor))
    assert fast.mean * factor == pytest.approx(float(slow.mean), rel=1e-9, abs=1e-300)
    assert fast.probability == slow.probability


@few
@given(st.floats(0.0, 3.0), st.floats(0.0, 0.5), st.floats(1.0, 1e4), st.floats(0.0, 5.0))
def test_waits_grow_with_load_and_irregularity(
    load: float, more: float, servers: float, cv: float
) -> None:
    def mean(load: float, cv: float) -> float:
        return float(evaluate(queueing.wait, *floats(load, 5.0, servers, cv, 1.0, 3600.0)).mean)

    assert 0 <= mean(load, cv) <= mean(load + more, cv) * ROUNDING
    assert mean(load, cv) <= mean(load, cv + more) * ROUNDING


@few
@given(models, layouts, st.floats(1e-3, 1e3), gains)
def test_more_in_flight_is_slower_each_and_faster_together(
    llm: Any, layout: Any, batch: float, gain: float
) -> None:
    few_of_them, many = (
        evaluate(
            serving.operating_point, Instance(llm, H100, layout, EFFICIENCY), CHAT, *floats(size)
        )
        for size in (batch, batch * gain)
    )
    assert few_of_them.tpot <= many.tpot * ROUNDING
    assert few_of_them.rate <= many.rate * ROUNDING
    for point in (few_of_them, many):
        assert 0 < point.compute_use <= 1
        assert 0 < point.memory_use <= 1
        assert 0 <= point.prefill_share <= 1
        assert 0 < point.power <= H100.tdp


@few
@given(
    st.floats(0.05, 20.0),
    st.floats(0.005, 1.0),
    st.floats(0.5, 1.0),
    st.floats(0.5, 1.0),
)
def test_capacity_falls_as_targets_tighten(
    ttft: float, tpot: float, ttft_share: float, tpot_share: float
) -> None:
    system = (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT)
    loose, tight = (
        evaluate(serving.capacity, *system, changed(TARGET, ttft=ttft * a, tpot=tpot * b)).rate
        for a, b in ((1.0, 1.0), (ttft_share, tpot_share))
    )
    assert 0 <= tight <= loose * ROUNDING


@few
@given(
    st.floats(0.0, 100.0),
    st.floats(1e-4, 2.0),
    st.floats(1.0, 1e5),
    st.floats(0.0, 10.0),
    st.floats(0.0, 1.0),
)
def test_quality_is_a_share_and_falls_with_delay(
    ttft: float, tpot: float, tokens: float, later: float, slower: float
) -> None:
    def quality(ttft: float, tpot: float) -> float:
        given = floats(ttft, tpot, tokens)
        return float(evaluate(experience.quality_of_experience, *given, READER))

    best = quality(ttft, tpot)
    assert 0 <= best <= 1
    assert quality(ttft + later, tpot) <= best + 1e-12
    assert quality(ttft, tpot + slower) <= best + 1e-12


@few
@given(st.floats(1.0, 1e6), st.floats(1e4, 1e9), st.floats(1.0, 3600.0), st.floats(0.0, 7200.0))
def test_goodput_is_a_share_and_falls_with_devices(
    devices: float, mtbf_hours: float, checkpoint: float, restart: float
) -> None:
    reliability = training.Reliability(mtbf_hours * 3600, checkpoint, restart)
    one, more = (
        float(evaluate(training.training_goodput, *floats(n), reliability))
        for n in (devices, 2 * devices)
    )
    assert 0 <= more < one < 1


@few
@given(models, st.sampled_from([1.0, 4.0, 8.0]), st.floats(1.0, 128.0), st.floats(1.01, 4.0))
def test_more_replicas_train_faster_and_need_no_more_memory(
    llm: Any, tensor: float, data: float, factor: float
) -> None:
    """As long as every replica has two sequences, which fill a pipeline, and failures are rare."""
    rare = changed(RELIABILITY, device_mtbf=1e4 * RELIABILITY.device_mtbf)
    one, more = (changed(LAYOUT, tensor=tensor, data=n) for n in (data, data * factor))
    clocks = [
        evaluate(
            training.wall_clock,
            training.TrainingJob(llm, H100, RUN, EFFICIENCY),
            layout,
            rare,
        )
        for layout in (one, more)
    ]
    assert clocks[1] < clocks[0]
    memory = [evaluate(training.training_memory, llm, RUN, layout) for layout in (one, more)]
    assert memory[1] <= memory[0] * ROUNDING


@few
@given(models, gains, gains, st.floats(0.0, 1.0))
def test_memory_grows_with_sequences_and_shrinks_with_splitting(
    llm: Any, gain: float, split: float, recompute: float
) -> None:
    def memory(run: Any, layout: Any) -> float:
        return float(evaluate(training.training_memory, llm, run, layout))

    base = changed(LAYOUT, recompute=recompute)
    longer = scaled(RUN, gain, ("sequence",))
    assert memory(RUN, base) <= memory(longer, base)
    for way in ("tensor", "pipeline"):
        assert memory(RUN, scaled(base, split, (way,))) <= memory(RUN, base) * ROUNDING
    whole = changed(base, recompute=0.0)
    every = changed(base, recompute=1.0)
    assert memory(RUN, every) < memory(RUN, whole)


@few
@given(models, st.floats(0.0, 1e6), gains)
def test_cache_grows_with_context(llm: Any, context: float, gain: float) -> None:
    bf16 = PRECISIONS["bf16"]
    short, long = (
        evaluate(architecture.kv_cache_bytes, llm, bf16, *floats(c))
        for c in (context, context * gain)
    )
    assert 0 <= short <= long


@few
@given(st.floats(0.01, 100.0), st.floats(0.0, 0.5), st.floats(0.5, 20.0))
def test_costs_scale_with_prices(factor: float, discount: float, years: float) -> None:
    terms = changed(OWNERSHIP, discount_rate=discount, lifetime=years * 3.15576e7)
    dear = scaled(terms, factor, ("price", "hosting"))
    dear_site = scaled(SITE, factor, ("electricity_price",))
    one = evaluate(economics.ownership_cost, terms, *floats(1200.0, 600.0), SITE)
    other = evaluate(economics.ownership_cost, dear, *floats(1200.0, 600.0), dear_site)
    for (_, before), (_, after) in zip(named_leaves(one), named_leaves(other), strict=True):
        assert after == pytest.approx(float(before * factor), rel=1e-12)

    point = evaluate(
        serving.operating_point, Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT, *floats(9.0)
    )
    cheap, expensive = (
        evaluate(economics.token_cost, point, SINGLE, CHAT, *floats(usd, 0.5))
        for usd in (1e-3, 1e-3 * factor)
    )
    assert expensive.output == pytest.approx(float(cheap.output * factor), rel=1e-12)
    assert expensive.input == pytest.approx(float(cheap.input * factor), rel=1e-12)

    dearer = scaled(API, factor, ("input", "cached_input", "output"))
    bills = [evaluate(economics.api_cost, price, CHAT, *floats(0.2)) for price in (API, dearer)]
    assert bills[1] == pytest.approx(float(bills[0] * factor), rel=1e-12)


@few
@given(st.floats(1e-4, 1.0), st.floats(0.1, 100.0), st.floats(1.0, 10.0), st.floats(0.0, 4.0))
def test_both_sides_cost_the_same_at_break_even(
    cost: float, capacity: float, peak: float, spare: float
) -> None:
    found = evaluate(economics.break_even, *floats(cost, capacity, peak, spare, 0.02))
    if found.exists:
        rate = float(found.requests_per_second)
        fleet = cost * (max(rate * peak / capacity, 1.0) + spare)
        assert fleet == pytest.approx(rate * 0.02, rel=1e-9)
    else:
        assert cost * peak / capacity >= 0.02


@few
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_power_grows_with_use_up_to_tdp(
    busy: float, compute: float, memory: float, more: float
) -> None:
    one, other = (
        evaluate(energy.device_power, H100, EFFICIENCY, *floats(busy, compute, use))
        for use in (memory, memory + more)
    )
    assert 0 < one <= other * ROUNDING
    assert other <= H100.tdp


# Everything with everything, at once.


def priced(llm: Any, xpu: Any, layout: Any, tokens: Any) -> roofline.PassCost:
    return jax.vmap(
        lambda of: roofline.forward_pass(
            Instance(llm, xpu, layout, EFFICIENCY), of[0], of[1], of[2]
        )
    )(tokens)


@pytest.mark.parametrize("name", PRECISIONS)
def test_every_model_on_every_accelerator_is_finite_and_agrees_with_a_loop(name: str) -> None:
    llms, xpus = catalog.llms(), catalog.xpus()
    layout = Deployment(tensor=4.0, expert=16.0, precision=PRECISIONS[name])
    tokens = jnp.asarray([[1e-6, 1.0, 0.0], [16.0, 1.0, 4096.0], [1e5, 1e5, 1e7]])
    together = over_catalogue(priced)(llms, xpus, layout, tokens)
    all_finite(together)
    assert np.all(together.seconds > 0)
    assert together.seconds.dtype == np.float64
    for i, j in [(0, 0), (20, 4), (40, 28), (-1, -1)]:
        llm = catalog.llm(catalog.ids("models")[i])
        xpu = catalog.xpu(catalog.ids("xpus")[j])
        alone = roofline.forward_pass(
            Instance(llm, xpu, layout, EFFICIENCY), *floats(16.0, 1.0, 4096.0)
        )
        close(jax.tree.map(lambda leaf: leaf[i, j, 1], together), alone, rtol=1e-9)  # noqa: B023


def served(llm: Any, xpu: Any, layout: Any, workload: Any, rates: Any) -> serving.Service:
    return jax.vmap(
        lambda rate: serving.serve(
            Instance(llm, xpu, layout, EFFICIENCY), workload, rate, jnp.asarray(0.99)
        )
    )(rates)


def test_every_service_is_finite_idle_and_overloaded() -> None:
    """From a request in three years to a hundred times what the fastest instance completes."""
    llms, xpus = catalog.llms(LLMS), catalog.xpus()
    rates = jnp.asarray([1e-8, 1.0, 1e6])
    layout = Deployment(tensor=8.0)
    for workload in (
        CHAT,
        changed(CHAT, prompt_tokens=1.0, output_tokens=1.0, cached_fraction=1.0),
    ):
        service = over_catalogue(served)(llms, xpus, layout, workload, rates)
        all_finite(service)
        assert np.all(service.ttft > 0)
        assert np.all(np.diff(service.ttft, axis=-1) >= 0)
        assert np.all(service.point.tpot > 0)


def trained(llm: Any, xpu: Any, layouts: Any) -> training.TrainingStep:
    return jax.vmap(
        lambda of: training.training_step(training.TrainingJob(llm, xpu, RUN, EFFICIENCY), of)
    )(layouts)


def test_every_training_step_is_finite() -> None:
    layouts = catalog.stack([ALONE, LAYOUT, changed(LAYOUT, data=1e4, shard_weights=1.0)])
    step = over_catalogue(trained)(catalog.llms(), catalog.xpus(), layouts)
    all_finite(step)
    assert np.all((step.mfu > 0) & (step.mfu < RUN.compute_precision_gain))
    assert np.all((step.bubble >= 0) & (step.bubble < 1))
    assert np.all(step.power <= catalog.xpus().tdp[None, :, None] * ROUNDING)
