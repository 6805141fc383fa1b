"""The simulation against steps worked out by hand, laws of queues, and the closed forms."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.errors import InputError
from llmecon.physics import roofline
from llmecon.serving import simulation
from llmecon.serving.simulation import Record, Simulation
from llmecon.specs import Instance, Workload
from llmecon.tables import catalog
from tests.problems import DENSE, EFFICIENCY, SINGLE, SPREAD, changed

pytestmark = pytest.mark.slow

H100 = catalog.xpu("h100-sxm")
PLAIN = Workload(prompt_tokens=1000.0, output_tokens=200.0)
EQUAL = changed(PLAIN, prompt_cv=0.0, output_cv=0.0, interarrival_cv=0.0)
APART = changed(SINGLE, disaggregated=1.0)
INTERFERENCE = float(EFFICIENCY.prefill_interference)


def system(workload: Workload = PLAIN, **parts: Any) -> tuple[Any, ...]:
    """The arguments that the simulation and the closed forms share."""
    given = {"llm": DENSE, "xpu": H100, "deployment": SINGLE} | parts
    return (Instance(given["llm"], given["xpu"], given["deployment"], EFFICIENCY), workload)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # Compiling takes seconds and running takes milliseconds: optimise the former.
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def evaluate(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function's value alone, which compiles faster than with the gradient."""
    return compiled(function)(*jax.tree.map(lambda leaf: jnp.asarray(leaf, float), arguments))


def point(of: tuple[Any, ...], batch: float) -> Any:
    return evaluate(serving.operating_point, *of, batch)


def full_rate(of: tuple[Any, ...]) -> float:
    return float(evaluate(serving.full_rate, *of))


def seconds(of: tuple[Any, ...], decoding: int) -> float:
    """A decode step without prompts."""
    instance, workload = of
    past = workload.mean_context - 1.0
    cost = evaluate(roofline.forward_pass, instance, decoding, 1.0, past)
    return float(instance.efficiency.decode_multiple * cost.seconds)


@pytest.mark.parametrize("layout", [SINGLE, APART], ids=["mixed", "disaggregated"])
@pytest.mark.parametrize("loop", ["open", "closed"])
def test_every_request_is_served_in_order(layout: Any, loop: str) -> None:
    of = system(deployment=layout)
    if loop == "open":
        found = simulation.open_loop(*of, rate=0.7 * full_rate(of), how=Simulation(requests=500))
    else:
        found = simulation.closed_loop(*of, clients=40, how=Simulation(requests=500))
    assert found.arrival.shape == found.last_token.shape == (500,)
    assert np.all(found.arrival <= found.admitted)
    assert np.all(found.admitted < found.first_token)
    several = found.output_tokens > 1
    assert np.all(found.first_token[several] < found.last_token[several])
    np.testing.assert_array_equal(found.first_token[~several], found.last_token[~several])
    for times in (found.arrival, found.admitted, found.first_token):
        assert np.all(np.diff(times) >= 0.0)


def test_lone_client_sees_an_empty_server() -> None:
    of = system(EQUAL)
    found = simulation.closed_loop(*of, clients=1, how=Simulation(requests=3, warmup=0.0))
    prefill = float(point(of, 1.0).prefill)
    np.testing.assert_allclose(found.ttft, prefill, rtol=1e-9)
    np.testing.assert_allclose(found.tpot, seconds(of, 1), rtol=1e-6)
    np.testing.assert_allclose(found.arrival[1:], found.last_token[:-1])
    assert found.mean_in_flight == pytest.approx(1.0)
    tokens = 200.0 / (prefill + 199.0 * seconds(of, 1))
    assert found.output_tokens_per_second == pytest.approx(tokens, rel=1e-5)


def test_idle_service_has_the_unloaded_latency() -> None:
    of = system(EQUAL)
    found = simulation.open_loop(*of, rate=0.01, how=Simulation(requests=5))
    assert found.mean_ttft == pytest.approx(float(point(of, 1e-6).prefill), rel=1e-9)
    assert found.mean_tpot == pytest.approx(float(point(of, 1e-6).tpot), rel=1e-4)


def test_three_prompts_in_chunks_by_hand() -> None:
    """Prompts of 1000 tokens in chunks of 1500, three output tokens each."""
    of = system(changed(EQUAL, output_tokens=3.0))
    found = simulation.closed_loop(
        *of, clients=3, how=Simulation(requests=4, chunk=1500, warmup=0.0)
    )
    prefill, mixed = float(point(of, 1.0).prefill), float(point(of, 1.0).mixed_prefill)
    one, two = seconds(of, 1), seconds(of, 2)
    # The first prompt and half of the second; the rest while one decodes; then all three.
    starts = prefill + 0.5 * mixed / INTERFERENCE
    others = starts + one + 1.5 * mixed
    first_ends = others + seconds(of, 3)
    # The first client asks again while the other two write their last token.
    others_end = first_ends + two + mixed
    last = others_end + 2.0 * one
    np.testing.assert_allclose(found.arrival, [0.0, 0.0, 0.0, first_ends], rtol=1e-4)
    np.testing.assert_allclose(found.first_token, [starts, others, others, others_end], rtol=1e-4)
    np.testing.assert_allclose(
        found.last_token, [first_ends, others_end, others_end, last], rtol=1e-4
    )


def test_long_prompt_is_split_and_lets_others_decode() -> None:
    """A step never computes more than a chunk, so no token waits for a whole prompt."""
    of = system(changed(EQUAL, prompt_tokens=20_000.0))
    found = simulation.closed_loop(
        *of, clients=2, how=Simulation(requests=4, chunk=2000, warmup=0.0)
    )
    prefill, mixed = float(point(of, 1.0).prefill), float(point(of, 1.0).mixed_prefill)
    # Each of the ten chunks is a pass of its own.
    begin = prefill - mixed / INTERFERENCE
    assert found.first_token[0] == pytest.approx(prefill + 9 * begin, rel=1e-9)
    # The second prompt's ten chunks pass between the first request's tokens.
    wait = found.first_token[1] - found.first_token[0]
    assert wait == pytest.approx(mixed + 10 * seconds(of, 1), rel=1e-4)


def test_disaggregated_prompts_delay_no_token() -> None:
    of = system(EQUAL, deployment=APART)
    found = simulation.closed_loop(
        *of, clients=2, how=Simulation(requests=8, chunk=1000, warmup=0.0)
    )
    prefill = float(point(of, 1.0).prefill)
    np.testing.assert_allclose(found.first_token[:2], [prefill, 2.0 * prefill], rtol=1e-9)
    # Joining the others costs at most the rest of the step that they are in.
    assert np.all(found.tpot <= seconds(of, 2) * (1.0 + 1.0 / 199.0) * (1.0 + 1e-4))
    together = simulation.closed_loop(
        *system(EQUAL), clients=2, how=Simulation(requests=8, chunk=1000, warmup=0.0)
    )
    assert found.mean_tpot < together.mean_tpot


def test_no_more_run_than_fit() -> None:
    small = system(EQUAL, xpu=changed(H100, memory=float(H100.memory) * 0.125))
    slots = int(evaluate(serving.largest_batch, *small))
    assert 2 <= slots < 30
    found = simulation.closed_loop(*small, clients=2 * slots, how=Simulation(requests=10 * slots))
    held = [
        np.count_nonzero((found.admitted <= time) & (time < found.last_token))
        for time in found.admitted
    ]
    assert max(held) == slots
    assert found.mean_in_flight == pytest.approx(2 * slots)
    assert found.mean_batch == pytest.approx(slots, rel=0.01)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_littles_law(load: float) -> None:
    """Requests in flight = rate x time in the system [Little1961], but for those at the edges."""
    of = system()
    found = simulation.open_loop(*of, rate=load * full_rate(of), how=Simulation(requests=10_000))
    expected = found.requests_per_second * float(np.mean(found.latency))
    assert found.mean_in_flight == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("layout", [SINGLE, APART], ids=["mixed", "disaggregated"])
@pytest.mark.parametrize("clients", [8, 32, 128])
def test_closed_loop_agrees_with_the_operating_point(clients: int, layout: Any) -> None:
    """Found within 1%, and 3% where prompts are computed elsewhere and slots wait for them."""
    of = system(deployment=layout)
    found = simulation.closed_loop(
        *of, clients=clients, how=Simulation(requests=60 * clients, warmup=0.3)
    )
    closed = point(of, found.mean_batch)
    tolerance = 0.02 if layout is SINGLE else 0.04
    assert found.mean_in_flight == pytest.approx(clients, rel=1e-9)
    assert found.mean_tpot == pytest.approx(float(closed.tpot), rel=tolerance)
    tokens = 200.0 * float(closed.rate)
    assert found.output_tokens_per_second == pytest.approx(tokens, rel=tolerance)


@pytest.mark.parametrize("load", [1.1, 1.5])
def test_overloaded_throughput_is_the_full_rate(load: float) -> None:
    of = system()
    full = full_rate(of)
    found = simulation.open_loop(*of, rate=load * full, how=Simulation(requests=30_000, warmup=0.5))
    assert found.output_tokens_per_second == pytest.approx(200.0 * full, rel=0.03)
    assert found.requests_per_second == pytest.approx(load * full, rel=0.03)


def test_same_seed_same_record() -> None:
    of = system()

    def run(seed: int) -> Record:
        return simulation.open_loop(*of, rate=5.0, how=Simulation(requests=100, seed=seed))

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.last_token, again.last_token)
    assert np.all(first.last_token != other.last_token)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 2.0])
def test_arrivals_are_as_irregular_as_the_workload(cv: float) -> None:
    of = system(changed(PLAIN, interarrival_cv=cv, output_tokens=2.0))
    found = simulation.open_loop(*of, rate=3.0, how=Simulation(requests=5000))
    gaps = np.diff(found.arrival)
    assert np.mean(gaps) == pytest.approx(1.0 / 3.0, rel=0.05)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(cv, rel=0.1, abs=1e-9)


def test_lengths_are_lognormal() -> None:
    of = system(changed(PLAIN, output_cv=0.7))
    found = simulation.open_loop(*of, rate=1e4, how=Simulation(requests=20_000)).output_tokens
    assert np.mean(found) == pytest.approx(200.0, rel=0.02)
    assert np.std(found) / np.mean(found) == pytest.approx(0.7, rel=0.03)
    assert np.median(found) == pytest.approx(200.0 / np.sqrt(1.0 + 0.7**2), rel=0.03)


def test_lengths_of_a_load_generator() -> None:
    drawn = simulation.open_loop(
        *system(), rate=1e4, how=Simulation(requests=20_000, shortest=0.8)
    ).output_tokens
    assert (drawn.min(), drawn.max()) == (160.0, 200.0)
    workload = simulation.uniform_lengths(PLAIN, 0.8)
    assert np.mean(drawn) == pytest.approx(float(workload.output_tokens), rel=0.002)
    assert np.std(drawn) / np.mean(drawn) == pytest.approx(float(workload.output_cv), rel=0.02)
    assert float(workload.prompt_tokens) == pytest.approx(900.0)


def test_outputs_of_one_token_have_no_tpot() -> None:
    of = system(changed(EQUAL, output_tokens=1.0))
    found = simulation.closed_loop(*of, clients=2, how=Simulation(requests=6))
    np.testing.assert_array_equal(found.first_token, found.last_token)
    assert np.isnan(found.mean_tpot)
    # Both prompts are computed in one pass, which yields both tokens.
    prefill, mixed = float(point(of, 1.0).prefill), float(point(of, 1.0).mixed_prefill)
    both = prefill + mixed / INTERFERENCE
    assert found.output_tokens_per_second == pytest.approx(2.0 / both, rel=1e-9)


def test_summaries_leave_the_warmup_out() -> None:
    times = np.arange(4.0)
    found = Record(
        arrival=times,
        admitted=times,
        first_token=times + np.array([9.0, 1.0, 2.0, 3.0]),
        last_token=times + np.array([9.0, 5.0, 6.0, 7.0]),
        output_tokens=np.array([1.0, 5.0, 5.0, 5.0]),
        warmup=0.25,
    )
    assert found.mean_ttft == 2.0
    assert found.ttft_quantile(0.5) == 2.0
    assert found.mean_tpot == 1.0
    assert found.requests_per_second == 1.0
    # From 1 to 3: the first, second and, for one of the two seconds, the third are in flight.
    assert found.mean_in_flight == 2.5
    # The second request's first two tokens, at 2 and at 3.
    assert found.output_tokens_per_second == 1.0
    with pytest.raises(InputError, match=r"quantile 1\.5 is not a share"):
        found.ttft_quantile(1.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 0.0}, "0.0 requests per second is no rate; use a number above 0"),
        ({"rate": float("nan")}, "nan requests per second"),
        ({"requests": 1}, "1 requests show no rate; use at least 2"),
        ({"requests": 10, "warmup": 0.95}, "a share from 0 to 0.8"),
        ({"warmup": -0.1}, "a warm-up of -0.1"),
        ({"chunk": 0}, "a chunk of 0 prompt tokens is too small"),
        ({"shortest": 0.0}, "shortest length 0.0 is not a share"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], said: str) -> None:
    how = {name: value for name, value in given.items() if name != "rate"}
    rate = given.get("rate", 1.0)
    with pytest.raises(InputError, match=said) as error:
        simulation.open_loop(*system(), rate=rate, how=Simulation(**how))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("clients", [0, 10])
def test_wrong_number_of_clients(clients: int) -> None:
    with pytest.raises(InputError, match=f"{clients} clients cannot send 10 requests in turns"):
        simulation.closed_loop(*system(), clients=clients, how=Simulation(requests=10))


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (system(deployment=SPREAD), "attention groups and pipeline stages"),
        (system(deployment=changed(SINGLE, pipeline=2.0)), "attention groups and pipeline stages"),
        (system(deployment=changed(SINGLE, draft_tokens=2.0)), "speculative decoding"),
        (system(deployment=changed(SINGLE, disaggregated=0.3)), "disaggregated=0.3 cannot"),
        (system(changed(PLAIN, output_tokens=0.0)), "output_tokens=0.0; use at least 1"),
        (system(changed(PLAIN, prompt_cv=-1.0)), "prompt_cv=-1.0; use a number from 0"),
        (system(xpu=changed(H100, memory=1e9)), "do not fit in the instance's memory"),
    ],
)
def test_systems_that_cannot_be_simulated(of: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        simulation.open_loop(*of, rate=1.0)
