"""Layouts chosen for a training run, and the devices that they take, against published runs."""

from dataclasses import replace

import numpy as np
import pytest

from llmecon import training
from llmecon.tables import catalog
from llmecon.training import planning
from tests.problems import (
    DAY,
    EFFICIENCY,
    GROUPED,
    HOUR,
    LAYOUT,
    RELIABILITY,
    RUN,
    changed,
    evaluate,
    floats,
)

pytestmark = pytest.mark.slow

H100 = catalog.xpu("h100-sxm")


def test_plan_with_layout_meets_its_deadline_exactly() -> None:
    job = training.TrainingJob(GROUPED, H100, RUN, EFFICIENCY)
    given = (job, LAYOUT, *floats(60 * DAY), RELIABILITY)
    plan = evaluate(planning.plan_with_layout, *given)
    assert plan.feasible == 1.0
    assert plan.seconds == pytest.approx(60 * DAY, rel=1e-9)
    again = training.wall_clock(job, plan.layout, RELIABILITY)
    assert again == pytest.approx(60 * DAY, rel=1e-9)
    assert plan.device_seconds == pytest.approx(float(60 * DAY * plan.layout.devices), rel=1e-9)


def test_deadline_met_before_failures_eat_the_gain() -> None:
    """With a device failing every 500 h, the largest cluster is slower than the best one."""
    fragile = changed(RELIABILITY, device_mtbf=500.0 * HOUR)
    run = changed(RUN, tokens=5e12, sequence=2048.0)
    job = training.TrainingJob(GROUPED, H100, run, EFFICIENCY)

    def clock(data: float) -> float:
        layout = changed(LAYOUT, data=data)
        return float(evaluate(training.wall_clock, job, layout, fragile))

    sizes = np.geomspace(1, 2048, 60)
    clocks = [clock(data) for data in sizes]
    best = int(np.argmin(clocks))
    assert clocks[-1] > 2 * clocks[best]
    deadline = 1.2 * clocks[best]
    plan = evaluate(planning.plan_with_layout, job, LAYOUT, *floats(deadline), fragile)
    assert plan.feasible == 1.0
    assert plan.seconds == pytest.approx(deadline, rel=1e-9)
    assert plan.layout.data < sizes[best]


def test_plan_for_devices_is_the_fastest_that_fits() -> None:
    llm = catalog.llm("llama-3.1-70b")
    job = training.TrainingJob(llm, H100, RUN, EFFICIENCY)
    plan = evaluate(planning.plan_for_devices, job, *floats(512.0), RELIABILITY)
    assert plan.fits == 1.0
    assert plan.layout.devices == pytest.approx(512.0)
    assert plan.step.memory <= 80 * 2**30 * 0.9
    fits = 0
    for tensor in (1.0, 2.0, 4.0, 8.0):
        for pipeline in (1.0, 4.0, 16.0):
            for shard in (0.0, 1.0):
                rival = training.TrainingLayout(
                    tensor, pipeline, 512 / tensor / pipeline, shard, 0.5
                )
                if training.training_memory(llm, RUN, rival) <= 80 * 2**30 * 0.9:
                    fits += 1
                    seconds = training.wall_clock(job, rival, RELIABILITY)
                    assert plan.seconds <= seconds * (1 + 1e-9)
    assert fits > 0


def test_what_does_not_fit_says_so() -> None:
    job = training.TrainingJob(catalog.llm("llama-3.1-405b"), H100, RUN, EFFICIENCY)
    plan = evaluate(planning.plan_for_devices, job, *floats(4.0), RELIABILITY)
    assert (plan.fits, plan.feasible) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("run_id", "global_batch"),
    [
        ("llama-1-65.2b", 2048.0 * 2048.0),  # 4M tokens (Touvron et al. 2023, LLaMA, table 2)
        ("llama-2-69.0b", 4096.0 * 1024.0),  # 4M tokens (Touvron et al. 2023, Llama 2)
        ("llama-3.1-405b", 8192.0 * 2048.0),  # 16M tokens (Llama 3 herd, 2024)
    ],
)
def test_published_runs_within_a_third(run_id: str, global_batch: float) -> None:
    """Device-hours of three runs of Meta's, none of which the efficiencies were fitted to."""
    of = catalog.row("measured_training_runs", run_id)
    plan = evaluate(
        planning.plan_for_devices,
        training.TrainingJob(
            catalog.llm(of["model"]),
            catalog.xpu(of["xpu"]),
            training.TrainingRun(of["tokens_b"] * 1e9, 4096.0, global_batch),
            EFFICIENCY,
        ),
        *floats(2048.0 if np.isnan(of["devices"]) else of["devices"]),
        RELIABILITY,
    )
    assert plan.device_seconds / 3600 == pytest.approx(of["device_hours"], rel=1 / 3)


# Days and tokens far from a chapter's own: long, small, hurried, and all that a panel can ask for.
FAR = ((1000.0, 15e12), (90.0, 1e9), (30.0, 3e11), (400.0, 1e14), (5.0, 1e11))


@pytest.mark.parametrize("xpu_id", ["h100-sxm", "mi355x"])
def test_layouts_by_pace_are_those_of_the_search(xpu_id: str) -> None:
    llm, xpu = catalog.llm("llama-3.1-70b"), catalog.xpu(xpu_id)
    run = training.TrainingRun(15e12, 8192.0, 16e6)
    job = training.TrainingJob(llm, xpu, run, EFFICIENCY)
    slow = changed(RELIABILITY, overhead=1.9)
    choice = planning.layouts_by_pace(job, 1e9 / (1000 * DAY), 1e14 / DAY, slow)
    choice = choice.padded(len(choice.tensor) + 2)
    chosen = set()
    for days, tokens in FAR:
        asked = replace(job, run=changed(run, tokens=tokens))
        plan = evaluate(planning.plan_for_deadline, asked, *floats(days * DAY), slow)
        layout = choice.at(*floats(tokens / (days * DAY)))
        again = evaluate(planning.plan_with_layout, asked, layout, *floats(days * DAY), slow)
        assert again.feasible == plan.feasible == 1.0
        assert (again.layout.tensor, again.layout.pipeline) == (
            plan.layout.tensor,
            plan.layout.pipeline,
        )
        assert again.layout.devices == pytest.approx(float(plan.layout.devices), rel=1e-9)
        chosen.add(tuple(float(getattr(plan.layout, name)) for name in CHOSEN))
    assert len(chosen) > 1


CHOSEN = ("tensor", "pipeline", "shard_weights", "recompute")


def test_a_better_device_never_takes_more_devices() -> None:
    """Random gains of bandwidth, memory, arithmetic and links: the plan's devices do not grow."""
    llm = catalog.llm("llama-3.1-70b")
    run = training.TrainingRun(2e12, 8192.0, 4e6)
    rng = np.random.default_rng(5)
    names = ("memory_bandwidth", "memory", "bf16_flops", "link_bandwidth", "network_bandwidth")
    for _ in range(12):
        gains = np.exp(rng.uniform(0.0, 0.5, len(names)) * rng.integers(0, 2, len(names)))
        better = changed(
            H100, **{n: getattr(H100, n) * g for n, g in zip(names, gains, strict=True)}
        )
        for days in (20.0, 300.0):
            devices = [
                float(
                    evaluate(
                        planning.plan_for_deadline,
                        training.TrainingJob(llm, xpu, run, EFFICIENCY),
                        *floats(days * DAY),
                        RELIABILITY,
                    ).layout.devices
                )
                for xpu in (H100, better)
            ]
            assert devices[1] <= devices[0] * (1 + 1e-9), gains
