"""Batches by hand, by Little's law and by drawing."""

import math

import jax
import numpy as np
import pytest

from llmecon import serving
from llmecon.errors import InputError
from llmecon.physics import architecture, roofline
from llmecon.specs import Deployment, Instance, LatencyTarget
from llmecon.tables import catalog
from tests.problems import (
    CHAT,
    DENSE,
    EFFICIENCY,
    EVERYTHING,
    SINGLE,
    SPREAD,
    changed,
    evaluate,
    floats,
)

H100 = catalog.xpu("h100-sxm")


SYSTEM = (Instance(DENSE, H100, SINGLE, EFFICIENCY), CHAT)


SPREAD_SYSTEM = (Instance(EVERYTHING, H100, SPREAD, EFFICIENCY), CHAT)


def own_prompt(point: serving.OperatingPoint, batch: float) -> float:
    """A request's own prompt: its own pass if it meets nobody, else what it adds to the others'."""
    seen = batch / -math.expm1(-batch)
    alone, mixed = float(point.prefill), float(point.mixed_prefill)
    return alone / seen + (1.0 - 1.0 / seen) * mixed


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
        Instance(DENSE, H100, SINGLE, EFFICIENCY), *floats(1.0, 1.0, CHAT.mean_context - 1.0)
    )
    assert point.tpot == pytest.approx(float(alone.seconds), rel=1e-5)


def test_prefill_leaves_cached_tokens_out() -> None:
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1.0))
    cost = roofline.forward_pass(
        Instance(DENSE, H100, SINGLE, EFFICIENCY), *floats(1.0, 1050.0, 450.0)
    )
    assert point.prefill == pytest.approx(float(cost.seconds), rel=1e-12)


def test_prompt_in_company_shares_weights_and_launches() -> None:
    """What a prompt adds is the slope of a pass over more and more of them."""
    point = evaluate(serving.operating_point, *SYSTEM, *floats(1.0))
    tokens, cached = 1050.0, 450.0
    prompts = 1.0 + serving.CHUNK / tokens
    one, many = (
        roofline.forward_pass(
            Instance(DENSE, H100, SINGLE, EFFICIENCY), *floats(count, tokens, cached)
        )
        for count in (1.0, prompts)
    )
    added = float(many.seconds - one.seconds) / (prompts - 1.0)
    assert point.chunked_prefill == pytest.approx(added, rel=1e-9)
    assert added < float(point.prefill)


def test_step_with_a_prompt_lasts_at_least_as_long_as_its_own_pass() -> None:
    """A mixture's prompt reads experts that the few who decode don't."""
    layout = Deployment(tensor=8.0)
    mixture = Instance(catalog.llm("deepseek-v3"), catalog.xpu("b200"), layout, EFFICIENCY)
    few = evaluate(serving.operating_point, mixture, CHAT, *floats(2.0))
    interference = float(EFFICIENCY.prefill_interference)
    assert few.chunked_prefill + few.step < few.prefill
    expected = interference * float(few.prefill - few.step)
    assert few.mixed_prefill == pytest.approx(expected, rel=1e-9)
    many = evaluate(serving.operating_point, mixture, CHAT, *floats(2000.0))
    assert many.mixed_prefill == pytest.approx(interference * float(many.chunked_prefill))


def test_disaggregated_decode_never_waits_for_prompts() -> None:
    apart = changed(SINGLE, disaggregated=1.0)
    point = evaluate(
        serving.operating_point, Instance(DENSE, H100, apart, EFFICIENCY), CHAT, *floats(40.0)
    )
    assert point.tpot == pytest.approx(float(point.step), rel=1e-12)
    assert point.prefill_share == 0.0
    assert point.rate == pytest.approx(40.0 / float(CHAT.output_tokens * point.step), rel=1e-12)


def test_drafting_pays_if_accepted_and_costs_if_not() -> None:
    plain, lucky, unlucky = (
        evaluate(
            serving.operating_point,
            Instance(
                DENSE,
                H100,
                changed(SINGLE, draft_tokens=g, acceptance=a, draft_cost=0.05),
                EFFICIENCY,
            ),
            CHAT,
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
    room = serving.largest_batch(Instance(DENSE, H100, SINGLE, EFFICIENCY), short)
    assert room == serving.MAXIMUM_SEQUENCES


@pytest.mark.slow
@pytest.mark.parametrize("excess", [0.0, 1.0])
def test_requests_beyond_the_context_are_refused(excess: float) -> None:
    """One token more than fits raises where the length is known; traced, nothing is feasible."""
    prompt = DENSE.context - CHAT.output_tokens + excess
    asked = changed(CHAT, prompt_tokens=prompt)
    given = (Instance(DENSE, H100, SINGLE, EFFICIENCY), asked)
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
