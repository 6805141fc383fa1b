"""A service under load: identities that hold at every point, and published special cases."""

import math

import jax
import numpy as np
import pytest

from llmecon import serving
from llmecon.errors import InputError
from llmecon.physics import architecture, queueing, roofline
from llmecon.specs import XPU, Deployment, LatencyTarget, precision
from llmecon.tables import catalog
from tests.problems import (
    CHAT,
    DENSE,
    EFFICIENCY,
    EVERYTHING,
    SINGLE,
    SPREAD,
    TARGET,
    changed,
    evaluate,
    floats,
    named_leaves,
)

H100 = catalog.xpu("h100-sxm")
SYSTEM = (DENSE, H100, SINGLE, CHAT, EFFICIENCY)
SPREAD_SYSTEM = (EVERYTHING, H100, SPREAD, CHAT, EFFICIENCY)


@pytest.mark.parametrize(
    ("acceptance", "drafts", "tokens"),
    [(0.8, 5, 3.69), (0.9, 7, 5.70), (0.6, 3, 2.18), (0.0, 4, 1.0), (1.0, 4, 5.0), (0.5, 0, 1.0)],
)
def test_tokens_per_step(acceptance: float, drafts: int, tokens: float) -> None:
    """Leviathan et al. 2022, equation 1: (1 - a^(g+1)) / (1 - a)."""
    layout = changed(SINGLE, acceptance=acceptance, draft_tokens=drafts)
    assert serving.tokens_per_step(layout) == pytest.approx(tokens, abs=0.005)


def test_tokens_per_step_by_drawing() -> None:
    accepted = np.random.default_rng(1).random((200_000, 4)) < 0.7
    mean = 1 + np.cumprod(accepted, axis=1).sum(axis=1).mean()
    found = serving.tokens_per_step(changed(SINGLE, acceptance=0.7, draft_tokens=4.0))
    assert found == pytest.approx(mean, rel=0.005)


def own_prompt(point: serving.OperatingPoint, batch: float) -> float:
    """A request's own prompt: its own pass if it meets nobody, else what it adds to the others'."""
    seen = batch / -math.expm1(-batch)
    alone, mixed = float(point.prefill), float(point.mixed_prefill)
    return alone / seen + (1.0 - 1.0 / seen) * mixed


@pytest.mark.parametrize("batch", [0.01, 1.0, 40.0])
def test_littles_law(batch: float) -> None:
    """Requests in flight = rate x time in the instance."""
    point = evaluate(serving.operating_point, *SYSTEM, *floats(batch))
    stay = own_prompt(point, batch) + float(CHAT.output_tokens * point.tpot)
    assert point.rate * stay == pytest.approx(batch, rel=1e-12)


def test_time_is_either_prefill_or_decode() -> None:
    """Per request served, a full instance spends one prefill and its share of O steps."""
    point = evaluate(serving.operating_point, *SYSTEM, *floats(500.0))
    prefill = float(point.mixed_prefill)
    decode = float(CHAT.output_tokens * point.step / point.batch)
    # One in 500 prompts meets nobody.
    assert point.rate == pytest.approx(1 / (prefill + decode), rel=1e-3)
    assert point.prefill_share == pytest.approx(prefill / (prefill + decode), rel=2e-3)


def test_lone_request_sees_an_empty_server() -> None:
    """TPOT at no load is one decode step of one sequence with its mean context."""
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1e-6))
    alone = roofline.forward_pass(
        DENSE, H100, SINGLE, EFFICIENCY, *floats(1.0, 1.0, CHAT.mean_context - 1.0)
    )
    assert point.tpot == pytest.approx(float(alone.seconds), rel=1e-5)


def test_prefill_leaves_cached_tokens_out() -> None:
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1.0))
    cost = roofline.forward_pass(DENSE, H100, SINGLE, EFFICIENCY, *floats(1.0, 1050.0, 450.0))
    assert point.prefill == pytest.approx(float(cost.seconds), rel=1e-12)


def test_prompt_in_company_shares_weights_and_launches() -> None:
    """What a prompt adds is the slope of a pass over more and more of them."""
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1.0))
    tokens, cached = 1050.0, 450.0
    prompts = 1.0 + serving.CHUNK / tokens
    one, many = (
        roofline.forward_pass(DENSE, H100, SINGLE, EFFICIENCY, *floats(count, tokens, cached))
        for count in (1.0, prompts)
    )
    added = float(many.seconds - one.seconds) / (prompts - 1.0)
    assert point.chunked_prefill == pytest.approx(added, rel=1e-9)
    assert added < float(point.prefill)


def test_step_with_a_prompt_lasts_at_least_as_long_as_its_own_pass() -> None:
    """A mixture's prompt reads experts that the few who decode don't."""
    mixture = catalog.llm("deepseek-v3"), catalog.xpu("b200"), Deployment(tensor=8.0)
    few = evaluate(serving.operating_point, *mixture, CHAT, EFFICIENCY, *floats(2.0))
    interference = float(EFFICIENCY.prefill_interference)
    assert few.chunked_prefill + few.step < few.prefill
    expected = interference * float(few.prefill - few.step)
    assert few.mixed_prefill == pytest.approx(expected, rel=1e-9)
    many = evaluate(serving.operating_point, *mixture, CHAT, EFFICIENCY, *floats(2000.0))
    assert many.mixed_prefill == pytest.approx(interference * float(many.chunked_prefill))


def test_disaggregated_decode_never_waits_for_prompts() -> None:
    apart = changed(SINGLE, disaggregated=1.0)
    point = evaluate(serving.operating_point, DENSE, H100, apart, CHAT, EFFICIENCY, *floats(40.0))
    assert point.tpot == pytest.approx(float(point.step), rel=1e-12)
    assert point.prefill_share == 0.0
    assert point.rate == pytest.approx(40.0 / float(CHAT.output_tokens * point.step), rel=1e-12)


def test_drafting_pays_if_accepted_and_costs_if_not() -> None:
    plain, lucky, unlucky = (
        evaluate(
            serving.operating_point,
            DENSE,
            H100,
            changed(SINGLE, draft_tokens=g, acceptance=a, draft_cost=0.05),
            CHAT,
            EFFICIENCY,
            *floats(1e-6),
        ).tpot
        for g, a in [(0.0, 0.0), (4.0, 0.9), (4.0, 0.0)]
    )
    assert lucky < plain / 2
    assert unlucky > plain * 1.19


def test_room_is_memory_over_cache() -> None:
    """80 GiB of which 90% usable, less 8.6 GB of weights, over 64 KiB a token (fp8)."""
    room = serving.largest_batch(*SYSTEM)
    free = 0.9 * 80 * 2**30 - float(architecture.weight_bytes(DENSE, SINGLE.precision))
    context = 1500.0 + 150.0 * (1 + 0.81)
    assert room == pytest.approx(free / (65536 * context), rel=1e-9)


def test_scheduler_caps_the_batch() -> None:
    short = changed(CHAT, prompt_tokens=8.0, output_tokens=8.0)
    room = serving.largest_batch(DENSE, H100, SINGLE, short, EFFICIENCY)
    assert room == serving.MAXIMUM_SEQUENCES


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


LONG = changed(CHAT, prompt_tokens=1e6)


@pytest.mark.slow
@pytest.mark.parametrize("excess", [0.0, 1.0])
def test_requests_beyond_the_context_are_refused(excess: float) -> None:
    """One token more than fits raises where the length is known; traced, nothing is feasible."""
    prompt = DENSE.context - CHAT.output_tokens + excess
    asked = changed(CHAT, prompt_tokens=prompt)
    given = (DENSE, H100, SINGLE, asked, EFFICIENCY)
    patient = LatencyTarget(ttft=1e6, tpot=1e6)
    traced = jax.jit(serving.capacity)(*given, patient)
    assert float(traced.feasible) == (excess == 0.0)
    assert (float(traced.rate) > 0.0) == (excess == 0.0)
    for leaf in jax.tree.leaves(traced):
        assert np.isfinite(leaf).all()
    calls = (
        lambda: serving.capacity(*given, patient),
        lambda: serving.serve(*given, jax.numpy.asarray(1e-6)),
    )
    for call in calls:
        if excess:
            with pytest.raises(InputError, match=r"exceed the model's context of"):
                call()
        else:
            call()


def test_a_million_tokens_are_refused_before_a_layout_is_sought() -> None:
    with pytest.raises(InputError, match=r"1,000,.* tokens exceed the model's context"):
        serving.best_deployment(
            catalog.llm("llama-3.1-70b"), H100, precision("fp8"), LONG, EFFICIENCY, TARGET
        )


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
    service = evaluate(serving.serve, DENSE, H100, apart, CHAT, EFFICIENCY, *floats(4.0, 0.95))
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


@pytest.mark.parametrize(("ttft", "tpot", "binding"), [(100.0, 0.05, "tpot"), (1.5, 9.0, "ttft")])
def test_capacity_is_where_a_limit_binds(ttft: float, tpot: float, binding: str) -> None:
    target = changed(TARGET, ttft=ttft, tpot=tpot)
    best = evaluate(serving.capacity, *SPREAD_SYSTEM, target)
    assert best.feasible == 1.0
    met = {"ttft": float(best.service.ttft_quantile), "tpot": float(best.service.point.tpot)}
    limit = {"ttft": ttft, "tpot": tpot}
    assert met[binding] == pytest.approx(limit[binding], rel=1e-8)
    other = "tpot" if binding == "ttft" else "ttft"
    assert met[other] < limit[other]
    again = evaluate(serving.serve, *SPREAD_SYSTEM, best.rate, floats(0.95)[0])
    assert again.ttft_quantile == pytest.approx(met["ttft"], rel=1e-6)
    assert again.point.tpot == pytest.approx(met["tpot"], rel=1e-6)


def test_impossible_targets_and_models_have_no_capacity() -> None:
    impossible = changed(TARGET, ttft=1e-9)
    assert evaluate(serving.capacity, *SPREAD_SYSTEM, impossible).rate == 0.0
    too_large = (EVERYTHING, H100, SINGLE, CHAT, EFFICIENCY)
    refused = evaluate(serving.capacity, *too_large, TARGET)
    assert (refused.rate, refused.feasible) == (0.0, 0.0)


@pytest.mark.slow
def test_operating_point_at_a_pace() -> None:
    point = jax.jit(serving.operating_point_at)(*SPREAD_SYSTEM, *floats(0.05))
    assert point.tpot == pytest.approx(0.05, rel=1e-9)


def test_prefill_rate_is_that_of_a_saturated_prompt_queue() -> None:
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1.0))
    # 1050 of 1500 tokens are computed: a chunk's passes share what a pass costs beside its prompts.
    together = serving.CHUNK / 1050.0
    begin = float(point.prefill - point.chunked_prefill)
    rate = evaluate(serving.prefill_rate, *SYSTEM)
    assert rate == pytest.approx(1 / (float(point.chunked_prefill) + begin / together), rel=1e-9)


@pytest.mark.slow
def test_best_deployment_beats_the_layouts_it_considers() -> None:
    llm, fp8 = catalog.llm("llama-3.1-70b"), precision("fp8")
    search = jax.jit(serving.best_deployment)
    layout, found = search(llm, H100, fp8, CHAT, EFFICIENCY, TARGET)
    per_device = float(found.rate / layout.xpus)
    assert found.feasible == 1.0
    assert layout.tensor <= H100.link_domain
    for tensor in (1.0, 2.0, 4.0, 8.0):
        for pipeline in (1.0, 2.0):
            other = changed(SINGLE, tensor=tensor, pipeline=pipeline)
            rival = evaluate(serving.capacity, llm, H100, other, CHAT, EFFICIENCY, TARGET)
            # A few percent are given up for a smaller instance, a little to the grid of batches.
            assert per_device >= 0.93 * float(rival.rate / other.xpus)
    # The same layout, priced alone, has the same capacity.
    chosen = Deployment(
        tensor=layout.tensor, expert=layout.expert, pipeline=layout.pipeline, precision=fp8
    )
    alone = evaluate(serving.capacity, llm, H100, chosen, CHAT, EFFICIENCY, TARGET)
    assert alone.rate == pytest.approx(float(found.rate), rel=1e-9)

    phone = catalog.xpu("a17-pro")
    alone_on_phone, nothing = search(llm, phone, fp8, CHAT, EFFICIENCY, TARGET)
    assert alone_on_phone.xpus == 1.0
    assert nothing.rate == 0.0
    for _, leaf in named_leaves(nothing):
        assert math.isfinite(leaf)


def test_a_better_device_serves_no_less_than_the_tolerance_says() -> None:
    """Random gains of bandwidth, memory, arithmetic and links."""
    llm, fp8 = catalog.llm("llama-3.1-70b"), precision("fp8")
    search = jax.jit(serving.best_deployment)
    names = ("memory_bandwidth", "memory", "bf16_flops", "fp8_flops", "link_bandwidth")
    rng = np.random.default_rng(11)

    def per_device(xpu: XPU) -> float:
        layout, found = search(llm, xpu, fp8, CHAT, EFFICIENCY, TARGET)
        return float(found.rate / layout.xpus)

    before = per_device(H100)
    for _ in range(25):
        gains = np.exp(rng.uniform(0.0, 0.3, len(names)) * rng.integers(0, 2, len(names)))
        better = {n: getattr(H100, n) * g for n, g in zip(names, gains, strict=True)}
        # Half a percent is the grid of batches.
        least = 1.0 - serving.TOLERATED_LOSS - 0.005
        assert per_device(changed(H100, **better)) >= least * before, better


@pytest.mark.parametrize(("xpus", "tensor", "pipeline"), [(1, 1, 1), (8, 8, 1), (16, 8, 2)])
def test_usual_layout(xpus: int, tensor: int, pipeline: int) -> None:
    layout = serving.deployment_of(xpus, H100, precision("bf16"))
    assert (layout.tensor, layout.pipeline) == (tensor, pipeline)


def test_layout_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match=r"12 devices .* groups of 8.*such as 16"):
        serving.deployment_of(12, H100, precision("bf16"))
