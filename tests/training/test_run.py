"""Training FLOPs, memory, bubbles and failures against published figures."""

import numpy as np
import pytest

from llmecon import training
from llmecon.physics import architecture
from llmecon.specs import LLM
from llmecon.tables import catalog
from tests.problems import (
    ALONE,
    DAY,
    EFFICIENCY,
    GROUPED,
    HOUR,
    LAYOUT,
    RELIABILITY,
    RUN,
    changed,
    floats,
)

H100 = catalog.xpu("h100-sxm")


def full_run(tokens: float, sequence: float = 2048.0) -> training.TrainingRun:
    return training.TrainingRun(tokens=tokens, sequence=sequence, global_batch=512 * sequence)


@pytest.mark.parametrize(
    ("model", "tokens", "published"),
    [
        ("gpt-3-175b", 300e9, 3.14e23),  # Brown et al. 2020, table D.1
        ("llama-3.1-405b", 15.6e12, 3.8e25),  # Llama 3 herd, 2024
        ("palm-540b", 780e9, 2.5272e24),  # Chowdhery et al. 2022: 2,527.2 zettaFLOPs
    ],
)
def test_published_training_flops(model: str, tokens: float, published: float) -> None:
    """Without attention, which those counts leave out: a run on vanishing sequences."""
    run = full_run(tokens, sequence=1e-6)
    total = training.flops_per_token(catalog.llm(model), run) * tokens
    assert total == pytest.approx(published, rel=0.01)


def test_attention_adds_what_palm_counts() -> None:
    """PaLM (Chowdhery et al. 2022, appendix B): 6N + 12 L H Q T a token, here halved: causal."""
    llm = catalog.llm("palm-540b")
    extra = training.flops_per_token(llm, full_run(1e12)) - training.flops_per_token(
        llm, full_run(1e12, sequence=1e-9)
    )
    assert extra == pytest.approx(12 * 118 * 48 * 256 * 2048 / 2, rel=1e-6)


def test_lora_saves_the_weight_gradients() -> None:
    """A third of 6N: 4N is left (Hu et al. 2021 train under 0.1% of the weights)."""
    llm = catalog.llm("gpt-3-175b")
    full, lora = (
        training.flops_per_token(llm, changed(full_run(1e9, 1e-9), trainable=share))
        for share in (1.0, 0.0)
    )
    assert lora / full == pytest.approx(2 / 3)


def gpt(layers: int, width: int, heads: int) -> LLM:
    return changed(
        catalog.llm("gpt-3-175b"),
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width / heads,
        value_dim=width / heads,
        ff_width=4 * width,
    )


@pytest.mark.parametrize(
    ("layers", "width", "heads"), [(48, 6144, 64), (96, 12288, 96), (105, 20480, 128)]
)
def test_activations_of_a_gpt_layer(layers: int, width: int, heads: int) -> None:
    """Korthikanti et al. 2022, table 2: 34 s b h without attention scores, 2 of them dropout masks.

    The models are the paper's 22B, 175B and 530B.
    """
    per_token = training.activation_bytes_per_token(gpt(layers, width, heads))
    assert per_token == (34 - 2) * width


@pytest.mark.parametrize(("ways", "gigabytes"), [(1, 120.0), (64, 31.4)])
def test_zero_stage_1(ways: int, gigabytes: float) -> None:
    """ZeRO (Rajbhandari et al. 2020, figure 1): 7.5B weights, 2 + 2 + 12 bytes each.

    The library keeps gradients in fp32, as large runs do: 2 bytes a weight more.
    """
    llm = catalog.llm("llama-2-7b")
    weights = float(architecture.parameters(llm).total)
    run = full_run(1e9, sequence=0.0)
    bytes_each = training.training_memory(llm, run, changed(ALONE, data=ways)) / weights
    assert (bytes_each - 2) * 7.5 == pytest.approx(gigabytes, rel=2e-3)


def test_zero_stage_3() -> None:
    """ZeRO, stage 3: 16 bytes over 64 ways, 1.9 GB; 18 bytes with fp32 gradients."""
    llm = catalog.llm("llama-2-7b")
    layout = changed(ALONE, data=64.0, shard_weights=1.0)
    needed = training.training_memory(llm, full_run(1e9, sequence=0.0), layout)
    assert needed / float(architecture.parameters(llm).total) == pytest.approx(18 / 64)


def test_first_stage_holds_one_sequence_of_all_layers() -> None:
    """Activations do not shrink with pipeline depth (Korthikanti et al. 2022, section 4.2.3)."""
    llm = changed(catalog.llm("gpt-3-175b"), vocabulary=0.0)
    run = full_run(1e9)
    stored = [
        training.training_memory(llm, run, changed(ALONE, pipeline=p, tensor=8.0))
        - 18 * architecture.parameters(llm).total / (8 * p)
        for p in (1.0, 8.0)
    ]
    np.testing.assert_allclose(stored, 96 * 2048 * 32 * 12288 / 8)


def test_recomputation_keeps_one_vector_a_layer() -> None:
    """Full recomputation stores 2 s b h a layer (Korthikanti et al. 2022) and one open layer."""
    llm = changed(catalog.llm("gpt-3-175b"), vocabulary=0.0)
    layout = changed(ALONE, recompute=1.0)
    stored = training.training_memory(llm, full_run(1e9), layout)
    stored -= 18 * architecture.parameters(llm).total
    assert stored == pytest.approx(2048 * 12288 * (96 * 2 + 32), rel=1e-6)


@pytest.mark.parametrize(("stages", "micro_batches"), [(8.0, 64.0), (4.0, 8.0)])
def test_pipeline_bubble(stages: float, micro_batches: float) -> None:
    """Megatron-LM (Narayanan et al. 2021): (p - 1)/m of the ideal time."""
    run = training.TrainingRun(tokens=1e12, sequence=2048.0, global_batch=2048.0 * micro_batches)
    llm = catalog.llm("gpt-3-175b")
    step = training.training_step(
        training.TrainingJob(llm, H100, run, EFFICIENCY), changed(ALONE, pipeline=stages)
    )
    assert step.bubble / (1 - step.bubble) == pytest.approx((stages - 1) / micro_batches)


BARE = changed(
    EFFICIENCY,
    training_compute=0.5,
    training_attention=0.5,
    training_traffic=0.0,
    training_logits=0.0,
    training_exposed=1.0,
    training_straggling=0.0,
    collective_latency=0.0,
    host_time=0.0,
)


def test_step_of_one_device_is_flops_over_rate() -> None:
    llm = catalog.llm("llama-3.1-8b")
    run = training.TrainingRun(tokens=1e12, sequence=2048.0, global_batch=2048.0 * 8)
    step = training.training_step(training.TrainingJob(llm, H100, run, BARE), ALONE)
    assert step.mfu == pytest.approx(0.5)
    flops = training.flops_per_token(llm, run) * 2048 * 8
    assert step.seconds == pytest.approx(float(flops) / (0.5 * 989.4e12))


def test_recomputation_costs_a_third_more() -> None:
    """A fourth pass beside one forward and two backward (Chen et al. 2016)."""
    llm = catalog.llm("llama-3.1-8b")
    plain, again = (
        training.training_step(
            training.TrainingJob(llm, H100, RUN, BARE), changed(ALONE, recompute=r)
        ).seconds
        for r in (0.0, 1.0)
    )
    assert again / plain == pytest.approx(4 / 3)


def test_tensor_parallel_traffic_by_hand() -> None:
    """Shoeybi et al. 2019: four all-reduces of s b h a layer and micro-batch, on the links."""
    llm = catalog.llm("llama-3.1-8b")
    run = training.TrainingRun(tokens=1e12, sequence=2048.0, global_batch=2048.0 * 8)
    one, four = (
        training.training_step(
            training.TrainingJob(llm, H100, run, BARE), changed(ALONE, tensor=t)
        ).seconds
        for t in (1.0, 4.0)
    )
    ring = 2 * 3 / 4 * (4 * 32 * 2048 * 4096 * 2) / (450e9 * float(BARE.link))
    assert four - one / 4 == pytest.approx(8 * ring)


def test_checkpoint_interval() -> None:
    """Young 1974: sqrt(2 x cost x MTBF); a 5-minute checkpoint, 24 h between failures: 2 h."""
    reliability = training.Reliability(device_mtbf=24 * HOUR * 100, checkpoint=300.0, restart=0.0)
    interval = training.checkpoint_interval(*floats(100.0), reliability)
    assert interval == pytest.approx(7200.0)


def test_goodput_tends_to_youngs_overhead() -> None:
    """For rare failures the loss is cost/interval + interval/(2 MTBF) = sqrt(2 cost/MTBF)."""
    reliability = training.Reliability(device_mtbf=1e9, checkpoint=1.0, restart=0.0)
    lost = 1 - training.training_goodput(*floats(1.0), reliability)
    assert lost == pytest.approx(np.sqrt(2 / 1e9), rel=1e-3)


def test_goodput_against_a_simulation() -> None:
    """Daly 2006: exponential failures, each losing work since the last checkpoint and a restart."""
    mtbf, checkpoint, restart = 5000.0, 60.0, 300.0
    reliability = training.Reliability(device_mtbf=mtbf, checkpoint=checkpoint, restart=restart)
    interval = float(training.checkpoint_interval(*floats(1.0), reliability))
    draw = np.random.default_rng(2)
    clock, segments = 0.0, 5000
    for _ in range(segments):
        while (failure := draw.exponential(mtbf)) < interval + checkpoint:
            clock += failure
            while (again := draw.exponential(mtbf)) < restart:
                clock += again
            clock += restart
        clock += interval + checkpoint
    found = training.training_goodput(*floats(1.0), reliability)
    assert found == pytest.approx(segments * interval / clock, rel=0.01)


def test_goodput_of_the_llama_3_run() -> None:
    """Llama 3 herd, 2024: above 90% effective on 16,384 devices with 419 stops in 54 days."""
    mtbf = 16384 * 54 * DAY / 419
    reliability = training.Reliability(device_mtbf=mtbf, checkpoint=60.0, restart=300.0)
    assert 0.85 < training.training_goodput(*floats(16384.0), reliability) < 1.0


def test_wall_clock_is_steps_over_goodput() -> None:
    given = (training.TrainingJob(GROUPED, H100, RUN, EFFICIENCY), LAYOUT)
    step = training.training_step(*given)
    goodput = training.training_goodput(LAYOUT.devices, RELIABILITY)
    expected = 1e12 / (4096 * 1024) * step.seconds / goodput
    assert training.wall_clock(*given, RELIABILITY) == pytest.approx(float(expected))


def test_an_overhead_stretches_the_wall_clock_and_nothing_else() -> None:
    given = (training.TrainingJob(GROUPED, H100, RUN, EFFICIENCY), LAYOUT)
    longer = changed(RELIABILITY, overhead=1.9)
    bare = training.wall_clock(*given, RELIABILITY)
    assert training.wall_clock(*given, longer) == pytest.approx(1.9 * float(bare), rel=1e-12)
    assert training.training_goodput(LAYOUT.devices, longer) == training.training_goodput(
        LAYOUT.devices, RELIABILITY
    )


def test_activations_are_split_over_the_tensor_group_whole() -> None:
    """Sequence parallelism is assumed: twice the tensor width halves a stage's activations."""
    alone = changed(RUN, tokens=1e12, trainable=0.0)
    one = changed(LAYOUT, tensor=1.0, pipeline=1.0, shard_weights=0.0, recompute=0.0)
    two = changed(one, tensor=2.0)
    needs = [float(training.training_memory(GROUPED, alone, of)) for of in (one, two)]
    assert needs[1] == pytest.approx(needs[0] / 2.0, rel=1e-12)


def test_fewest_devices_in_memory() -> None:
    """18 bytes for each of 405.85e9 weights in 72 GiB a device; LoRA needs the weights alone."""
    llm = catalog.llm("llama-3.1-405b")
    run = full_run(1e9)
    full = training.fewest_devices_in_memory(training.TrainingJob(llm, H100, run, EFFICIENCY))
    assert full == pytest.approx(405.85e9 * 18 / (72 * 2**30), rel=1e-3)
    lora = training.fewest_devices_in_memory(
        training.TrainingJob(llm, H100, changed(run, trainable=0.0), EFFICIENCY)
    )
    assert lora == pytest.approx(float(full) / 9)
