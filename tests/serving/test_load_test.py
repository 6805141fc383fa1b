"""Load tests: the closed form against a simulation, and what must hold at the edges."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.evidence.serving_rows import EVEN_CV, EVEN_MEAN
from llmecon.serving import load_test, simulation
from llmecon.specs import Deployment, Instance, Workload, precision
from llmecon.tables import catalog
from tests.problems import EFFICIENCY, changed, evaluate, floats

LLAMA = catalog.llm("llama-3.1-8b")
H100 = catalog.xpu("h100-sxm")
ALONE = Deployment(precision=precision("fp8"))
# What the scheduler does, without the work outside the model that only measurements tell.
BARE = changed(
    EFFICIENCY,
    request_time=0.0,
    request_time_per_client=0.0,
    first_token_steps=0.0,
    first_token_prefills=1.0,
    first_token_multiple=1.0,
    prefill_interference=1.0,
)


def lengths(prompt: float, output: float) -> Workload:
    return Workload(prompt, output, prompt_cv=EVEN_CV, output_cv=EVEN_CV)


def loaded(clients: float, workload: Workload, efficiency: object = BARE) -> load_test.LoadTest:
    arguments = (Instance(LLAMA, H100, ALONE, efficiency), workload, *floats(clients))
    found: load_test.LoadTest = evaluate(load_test.closed_loop, *arguments)
    return found


@pytest.mark.parametrize("clients", [1, 4, 16, 64, 256])
def test_first_token_agrees_with_the_simulated_scheduler(clients: int) -> None:
    nominal = Workload(1024.0, 1024.0)
    record = simulation.closed_loop(
        Instance(LLAMA, H100, ALONE, BARE),
        nominal,
        clients=clients,
        how=simulation.Simulation(requests=10 * clients, warmup=0.0, shortest=0.8),
    )
    found = loaded(clients, lengths(1024.0 * EVEN_MEAN, 1024.0 * EVEN_MEAN))
    assert float(found.ttft) == pytest.approx(record.mean_ttft, rel=0.12)
    assert float(found.tpot) == pytest.approx(record.mean_tpot, rel=0.06)


def test_one_client_waits_for_its_own_prompt_alone() -> None:
    found = loaded(1, lengths(1000.0, 200.0))
    assert float(found.ttft) == pytest.approx(float(found.point.prefill), rel=1e-9)


def test_clients_beyond_memory_wait_for_a_place() -> None:
    workload = lengths(8000.0, 8000.0)
    room = float(serving.largest_batch(Instance(LLAMA, H100, ALONE, BARE), workload))
    below, above = loaded(room, workload), loaded(room + 10.0, workload)
    assert float(above.tpot) == pytest.approx(float(below.tpot))
    # Little's law: ten more in the queue wait ten completions longer.
    waited = float(above.ttft - below.ttft)
    assert waited == pytest.approx(10.0 / float(below.point.rate), rel=1e-6)


def test_energy_is_power_over_rate() -> None:
    found = loaded(32, lengths(1000.0, 500.0))
    assert float(found.energy) == pytest.approx(float(found.point.power / found.output_rate))
    assert float(found.output_rate) == pytest.approx(500.0 * float(found.point.rate))


def test_the_median_gap_sees_no_prompt_where_most_steps_have_none() -> None:
    rare, common = loaded(8, lengths(1000.0, 2000.0)), loaded(200, lengths(1000.0, 50.0))
    assert float(rare.median_gap) == pytest.approx(float(rare.point.step), rel=1e-3)
    assert float(common.median_gap) == pytest.approx(float(common.tpot), rel=0.2)
    assert float(common.point.step) < float(common.median_gap)


def saturated(xpu: str, xpus: float, model: str = "llama-3.1-70b", name: str = "fp8") -> float:
    precise = Deployment(precision=precision(name))
    instance = Instance(catalog.llm(model), catalog.xpu(xpu), precise, EFFICIENCY)
    found = eqx.filter_jit(load_test.saturated)(instance, lengths(294.0, 294.0), *floats(xpus))
    return float(found)


def test_a_backlog_is_spread_in_the_best_layout() -> None:
    one, eight = saturated("h200-sxm", 1.0), saturated("h200-sxm", 8.0)
    assert eight >= 8.0 * one * (1 - 1e-9)
    silent = changed(EFFICIENCY, host_time_per_sequence=0.0)
    workload = lengths(294.0, 294.0)
    for tensor in (1.0, 2.0, 4.0, 8.0):
        layout = Deployment(tensor=tensor, precision=precision("fp8"))
        each = serving.full_rate(
            Instance(catalog.llm("llama-3.1-70b"), catalog.xpu("h200-sxm"), layout, silent),
            workload,
        )
        assert eight >= float(8.0 / tensor * each * 294.0) * (1 - 1e-9)


def test_weights_that_fit_nowhere_give_nothing() -> None:
    assert saturated("h100-sxm", 1.0, "deepseek-v3") == 0.0
    assert saturated("h100-sxm", 16.0, "deepseek-v3") > 0.0


@pytest.mark.slow
def test_every_number_of_clients_at_once() -> None:
    workload = lengths(1000.0, 500.0)
    clients = jnp.geomspace(1.0, 4096.0, 25)
    found = eqx.filter_vmap(
        lambda c: load_test.closed_loop(Instance(LLAMA, H100, ALONE, EFFICIENCY), workload, c)
    )(clients)
    for values in (found.ttft, found.tpot, found.output_rate):
        assert np.all(np.isfinite(values))
        assert np.all(np.diff(values) >= -1e-9 * np.abs(values[1:]))


def test_outputs_of_one_length_end_together() -> None:
    """Every wave is a burst like the first: half of the others' prompts come before one's own."""
    workload = Workload(1000.0, 500.0, prompt_cv=0.0, output_cv=0.0)
    equal = loaded(64, workload)
    uneven = loaded(64, changed(workload, output_cv=0.3))
    turn = equal.point.chunked_prefill
    assert float(equal.ttft) == pytest.approx(float(32 * turn), rel=0.35)
    assert float(uneven.ttft) < 0.5 * float(equal.ttft)


def test_a_static_batch_computes_its_prompts_first() -> None:
    workload = Workload(1000.0, 200.0, prompt_cv=0.0, output_cv=0.0)
    test = loaded(8, workload)
    found = load_test.all_at_once(test, ALONE, workload, BARE)
    point = test.point
    prompts = float(point.prefill + 7 * point.chunked_prefill)
    assert float(found.ttft) == pytest.approx(prompts)
    assert float(found.tpot) == pytest.approx(float(point.step))
    whole = prompts + 200 * float(point.step)
    assert float(found.output_rate) == pytest.approx(8 * 200 / whole)
    assert float(found.energy) == pytest.approx(float(point.power) * whole / (8 * 200))


def test_a_layout_that_is_asked_for_is_no_better_than_the_best() -> None:
    arguments = (
        Instance(catalog.llm("llama-3.1-70b"), H100, ALONE, EFFICIENCY),
        Workload(1000.0, 500.0),
    )
    best = float(evaluate(load_test.saturated, *arguments, *floats(8.0)))
    tried = [
        float(evaluate(load_test.saturated, *arguments, *floats(8.0, width, depth)))
        for width, depth in ((2.0, 1.0), (8.0, 1.0), (2.0, 4.0))
    ]
    assert max(tried) <= best * (1 + 1e-9)
    assert min(tried) > 0.0
