"""FLOPs, bytes and times of a forward pass against published counts and hand-worked sums."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.physics import architecture, roofline
from llmecon.specs import Deployment, Instance, precision
from llmecon.tables import catalog
from tests.problems import EFFICIENCY, changed, floats

BF16 = precision("bf16")
# Large products attain all of the datasheet.
H100 = changed(catalog.xpu("h100-sxm"), matmul_share=1.0)

# Nothing is lost and nothing added: times are datasheet divisions.
IDEAL = changed(
    EFFICIENCY,
    compute=1.0,
    quantised_compute=1.0,
    activation_passes=0.0,
    attention_compute=1.0,
    memory=1.0,
    expert_memory=1.0,
    link=1.0,
    collective_latency=0.0,
    kernel_time=0.0,
    host_time=0.0,
    host_time_per_sequence=0.0,
    host_batch=np.inf,
    routing_cv=0.0,
    expert_imbalance=0.0,
    usable_memory=1.0,
    sharpness=1e3,
)


def test_latent_attention_costs_the_cheaper_form() -> None:
    """DeepSeek-V2 report: absorbed for decoding, expanded where a prompt is long."""
    llm = changed(catalog.llm("deepseek-v3"), layers=1.0, windowed_layers=0.0)
    decode = architecture.attention_flops(llm, *floats(1.0, 1000.0))
    assert decode == pytest.approx(2 * 1000.5 * 128 * (2 * 512 + 64))
    prefill = architecture.attention_flops(llm, *floats(1000.0, 0.0))
    assert prefill == pytest.approx(2 * 500_000 * 128 * (128 + 64 + 128))


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_all_reduce_in_one_domain(devices: int) -> None:
    """A ring moves 2 (n - 1)/n of the data (Patarasuk and Yuan 2009; Megatron-LM)."""
    time = roofline.collective_time(H100, *floats(devices, 1e9, 0.0), IDEAL)
    assert time == pytest.approx(2 * (devices - 1) / devices * 1e9 / 450e9)


def test_all_reduce_beyond_the_domain() -> None:
    """32 devices in 4 domains of 8: each device carries an eighth of the data across."""
    time = roofline.collective_time(H100, *floats(32.0, 1e9, 0.0), IDEAL)
    near, far = 2 * 7 / 8 * 1e9 / 450e9, 2 * 3 / 4 * 1e9 / 8 / 50e9
    assert time == pytest.approx(near + far)


def test_strided_group_has_one_member_a_domain() -> None:
    """Replicas 8 apart share no fast links: everything crosses the network."""
    time = roofline.collective_time(H100, *floats(4.0, 1e9, 0.0), IDEAL, 8.0)
    assert time == pytest.approx(2 * 3 / 4 * 1e9 / 50e9)


def test_latency_is_log2_steps_a_round() -> None:
    slow = changed(IDEAL, collective_latency=1e-6)
    assert roofline.collective_time(H100, *floats(8.0, 0.0, 10.0), slow) == pytest.approx(3e-5)
    assert roofline.exchange_time(H100, *floats(8.0, 0.0, 10.0), slow) == pytest.approx(3e-5)


def test_one_device_reduces_nothing() -> None:
    assert roofline.collective_time(H100, *floats(1.0, 1e9, 10.0), EFFICIENCY) == 0.0
    assert roofline.exchange_time(H100, *floats(1.0, 1e9, 10.0), EFFICIENCY) == 0.0


def test_exchange_splits_between_links_and_network() -> None:
    """Of 16 devices 7 are near, 8 are far, and a sixteenth stays at home."""
    time = roofline.exchange_time(H100, *floats(16.0, 1e9, 0.0), IDEAL)
    assert time == pytest.approx(7 / 16 * 1e9 / 450e9 + 8 / 16 * 1e9 / 50e9)


def test_decode_of_one_sequence_is_bound_by_reading_weights() -> None:
    """Pope et al. 2022: a lone decode step takes weights over bandwidth, 16 GB at 3.35 TB/s."""
    llm = catalog.llm("llama-3.1-8b")
    cost = roofline.forward_pass(Instance(llm, H100, Deployment(), IDEAL), *floats(1.0, 1.0, 0.0))
    read = float(architecture.parameters(llm).total - 128256 * 4096) * 2 + 131072
    assert cost.seconds == pytest.approx(read / 3.35e12, rel=1e-9)
    assert cost.bytes == pytest.approx(read)


def test_prefill_is_bound_by_compute() -> None:
    """2 FLOPs a weight and token, the head for one token only, attention halved by causality."""
    llm = catalog.llm("llama-3.1-8b")
    cost = roofline.forward_pass(
        Instance(llm, H100, Deployment(), IDEAL), *floats(1.0, 4096.0, 0.0)
    )
    head = 128256 * 4096
    body = float(architecture.parameters(llm).total) - 2 * head
    linear = 2 * body * 4096 + 2 * head
    attention = 32 * 4 * 4096 * 4096**2 / 2
    assert cost.flops == pytest.approx(linear + attention)
    assert cost.seconds == pytest.approx((linear + attention) / 989.4e12, rel=1e-6)


def test_mixture_reads_the_experts_it_touches() -> None:
    """Mixtral decoding one token reads 2 of 8 experts: the published 12.9B active weights."""
    llm = catalog.llm("mixtral-8x7b")
    cost = roofline.forward_pass(Instance(llm, H100, Deployment(), IDEAL), *floats(1.0, 1.0, 0.0))
    assert cost.bytes / 2 == pytest.approx(12.9e9, rel=0.015)


def test_mixture_multiplies_its_active_experts() -> None:
    """Mixtral, 1000 tokens: 2 FLOPs for each of 2 x 3 x 4096 x 14336 weights in 32 layers."""
    llm = catalog.llm("mixtral-8x7b")
    plain = changed(llm, experts_per_token=0.0)
    cost, rest = (
        roofline.forward_pass(Instance(of, H100, Deployment(), IDEAL), *floats(10.0, 100.0, 0.0))
        for of in (llm, plain)
    )
    extra = 2 * 1000 * 32 * 2 * 3 * 4096 * 14336
    assert cost.flops - rest.flops == pytest.approx(extra)
    assert cost.compute - rest.compute == pytest.approx(extra / 989.4e12)


def test_kernels_and_host_work_add_up() -> None:
    """Llama 3.1 8B: 32 layers of 7 + 3 kernels, one step's and three sequences' host work."""
    slow = changed(IDEAL, kernel_time=1e-6, host_time=1e-3, host_time_per_sequence=1e-4)
    llm, alone = catalog.llm("llama-3.1-8b"), Deployment()
    cost = roofline.forward_pass(Instance(llm, H100, alone, slow), *floats(3.0, 1.0, 0.0))
    assert cost.overhead == pytest.approx(320e-6 + 1e-3 + 3e-4)
    bare = roofline.forward_pass(Instance(llm, H100, alone, IDEAL), *floats(3.0, 1.0, 0.0))
    assert cost.seconds - bare.seconds == pytest.approx(float(cost.overhead))


def test_tensor_parallel_layer_reduces_twice() -> None:
    """Megatron-LM (Shoeybi et al. 2019): two all-reduces a layer in the forward pass."""
    slow = changed(IDEAL, collective_latency=1e-6)
    llm = catalog.llm("llama-3.1-8b")
    layout = Deployment(tensor=8.0)
    cost = roofline.forward_pass(Instance(llm, H100, layout, slow), *floats(4.0, 1.0, 0.0))
    ring = 2 * 7 / 8 * (64 * 4 * 4096 * 2) / 450e9
    assert cost.network == pytest.approx(ring + 64 * 3 * 1e-6)


def test_half_batches_hide_exchanges_and_read_weights_twice() -> None:
    """Two groups of a mixture: the longer of exchange and computation is all that takes time."""
    llm, one = catalog.llm("mixtral-8x7b"), Deployment(tensor=1.0, expert=2.0)
    for prompt in (1.0, 4096.0):
        args = floats(256.0, prompt, 0.0)
        added = roofline.forward_pass(Instance(llm, H100, one, IDEAL), *args)
        halves = roofline.forward_pass(Instance(llm, H100, changed(one, overlap=1.0), IDEAL), *args)
        # 256 or more tokens touch every expert in half a batch, too.
        assert halves.flops == added.flops
        past = 256.0 * float(architecture.kv_cache_bytes(llm, BF16, jnp.asarray(prompt)))
        assert float(halves.bytes) - past == pytest.approx(2 * (float(added.bytes) - past))
        computing = float(halves.seconds - halves.network)
        exchange = float(added.network)
        assert halves.seconds == pytest.approx(max(computing, exchange))
    share = roofline.forward_pass(Instance(llm, H100, changed(one, overlap=0.4), IDEAL), *args)
    assert halves.seconds < share.seconds < added.seconds


def test_half_batches_launch_every_kernel_twice() -> None:
    slow = changed(IDEAL, kernel_time=1e-6, host_time=1e-3)
    llm, one = catalog.llm("mixtral-8x7b"), Deployment(tensor=1.0, expert=2.0)
    once, twice = (
        roofline.forward_pass(
            Instance(llm, H100, changed(one, overlap=of), slow), *floats(64.0, 1.0, 0.0)
        )
        for of in (0.0, 1.0)
    )
    assert twice.overhead - 1e-3 == pytest.approx(2 * (once.overhead - 1e-3))


@pytest.mark.parametrize(
    ("llm", "layout", "sequences"),
    [
        # No exchange to hide: devices that share attention, a dense model, one token a group.
        ("mixtral-8x7b", Deployment(tensor=2.0, expert=2.0), 64.0),
        ("llama-3.1-8b", Deployment(tensor=1.0, expert=2.0), 64.0),
        ("mixtral-8x7b", Deployment(tensor=1.0, expert=2.0), 2.0),
    ],
)
def test_what_exchanges_nothing_is_not_halved(
    llm: str, layout: Deployment, sequences: float
) -> None:
    args = floats(sequences, 1.0, 100.0)
    plain, halves = (
        roofline.forward_pass(
            Instance(catalog.llm(llm), H100, changed(layout, overlap=of), EFFICIENCY), *args
        )
        for of in (0.0, 1.0)
    )
    assert jax.tree.all(jax.tree.map(jnp.array_equal, plain, halves))


def test_tensor_parallelism_divides_work() -> None:
    llm = catalog.llm("llama-3.1-8b")
    one, eight = (
        roofline.forward_pass(
            Instance(llm, H100, Deployment(tensor=t), IDEAL), *floats(4.0, 1.0, 1000.0)
        )
        for t in (1.0, 8.0)
    )
    assert one.memory / eight.memory == pytest.approx(8.0)
    assert one.compute / eight.compute == pytest.approx(8.0)
    assert one.bytes == pytest.approx(float(eight.bytes))


def test_key_value_heads_replicate_beyond_their_number() -> None:
    """8 heads on 16 devices: each head is stored and read twice."""
    llm = catalog.llm("llama-3.1-70b")
    fits = [
        roofline.sequences_that_fit(
            Instance(llm, H100, Deployment(tensor=t), IDEAL), *floats(1000.0)
        )
        * architecture.kv_cache_bytes(llm, BF16, *floats(1000.0))
        / roofline.instance_memory(Instance(llm, H100, Deployment(tensor=t), IDEAL))
        for t in (8.0, 16.0)
    ]
    np.testing.assert_allclose(fits, [1.0, 0.5])


def test_expert_parallel_groups_repeat_attention_only() -> None:
    """DeepSeek-V3 over 32 devices, attention on each: experts once, the rest 32 times."""
    llm = catalog.llm("deepseek-v3")
    layout = Deployment(tensor=1.0, expert=32.0, precision=precision("fp8"))
    count = architecture.parameters(llm)
    rest = count.attention + count.feed_forward + 2 * (count.embedding + count.head)
    free = roofline.instance_memory(Instance(llm, H100, layout, IDEAL))
    assert free == pytest.approx(32 * 80 * 2**30 - float(count.experts + 32 * rest))


def test_weights_that_do_not_fit_leave_no_room() -> None:
    llm = catalog.llm("llama-3.1-405b")
    assert roofline.instance_memory(Instance(llm, H100, Deployment(), EFFICIENCY)) < 0
    assert (
        roofline.sequences_that_fit(Instance(llm, H100, Deployment(), EFFICIENCY), *floats(1e3))
        == 0.0
    )


def test_devices_for_weights() -> None:
    """811 GB of bf16 weights in devices of 80 GiB, of which 90% are usable."""
    llm = catalog.llm("llama-3.1-405b")
    devices = roofline.devices_for_weights(llm, H100, BF16, EFFICIENCY)
    assert devices == pytest.approx(405.85e9 * 2 / (80 * 2**30 * 0.9), rel=1e-3)


def test_arithmetic_follows_precision() -> None:
    assert roofline.peak_flops(H100, precision("int4")) == H100.bf16_flops
    assert roofline.peak_flops(H100, precision("fp8")) == H100.fp8_flops


def test_jit_vmap_and_loop_agree_over_the_catalogue() -> None:
    xpus = catalog.xpus()
    llm = catalog.llm("deepseek-v3")

    def price(xpu: object) -> roofline.PassCost:
        return roofline.forward_pass(
            Instance(llm, xpu, Deployment(), EFFICIENCY), *floats(4.0, 1.0, 500.0)
        )

    together = jax.jit(jax.vmap(price))(xpus)
    for i, name in list(enumerate(catalog.ids("xpus")))[::9]:
        alone = price(catalog.xpu(name))
        assert together.seconds[i] == pytest.approx(float(alone.seconds), rel=1e-12)
    assert together.seconds.dtype == jnp.float64
    assert math.isfinite(float(jnp.sum(together.seconds)))


def test_collectives_hold_up_the_layers() -> None:
    """Nothing overlaps: the time of a wide prefill is products plus all-reduces."""
    llm = catalog.llm("llama-3.1-70b")
    prompt = floats(1.0, 4096.0, 0.0)
    whole = roofline.forward_pass(Instance(llm, H100, Deployment(tensor=8.0), IDEAL), *prompt)
    endless = changed(H100, link_bandwidth=math.inf)
    free = roofline.forward_pass(Instance(llm, endless, Deployment(tensor=8.0), IDEAL), *prompt)
    assert float(whole.seconds - free.seconds) == pytest.approx(float(whole.network), rel=1e-6)


def test_activations_cross_memory_beside_the_products() -> None:
    """2 visits a layer and one for each expert that a token meets, of `width` 2-byte numbers."""
    llm = catalog.llm("minimax-m2.5")
    passing = changed(IDEAL, activation_passes=3.0)
    layout = Deployment(tensor=4.0, precision=precision("fp8"))
    prompt = floats(1.0, 1000.0, 0.0)
    none = roofline.forward_pass(Instance(llm, H100, layout, IDEAL), *prompt)
    some = roofline.forward_pass(Instance(llm, H100, layout, passing), *prompt)
    visits = 2 * float(llm.layers) + float(llm.moe_layers * llm.experts_per_token)
    moved = 3.0 * visits * 1000 * float(llm.width) * 2
    assert float(some.seconds - none.seconds) == pytest.approx(moved / 3.35e12, rel=1e-6)
    # Experts spread over the devices divide the tokens sorted to them; norms are done by each.
    spread = changed(layout, expert=4.0)
    fewer = roofline.forward_pass(Instance(llm, H100, spread, passing), *prompt)
    rest = roofline.forward_pass(Instance(llm, H100, spread, IDEAL), *prompt)
    visits = 2 * float(llm.layers) + float(llm.moe_layers * llm.experts_per_token) / 4
    moved = 3.0 * visits * 1000 * float(llm.width) * 2
    assert float(fewer.seconds - rest.seconds) == pytest.approx(moved / 3.35e12, rel=1e-6)


def test_products_attain_less_where_the_accelerator_does() -> None:
    llm = catalog.llm("llama-3.1-8b")
    half = changed(H100, matmul_share=0.5)
    prompt = floats(1.0, 4096.0, 0.0)
    fast, slow = (
        roofline.forward_pass(Instance(llm, xpu, Deployment(), IDEAL), *prompt)
        for xpu in (H100, half)
    )
    assert slow.seconds == pytest.approx(2.0 * float(fast.seconds), rel=1e-6)


def test_each_doubling_of_the_rate_is_attained_less_fully() -> None:
    llm, b200 = catalog.llm("llama-3.1-8b"), changed(catalog.xpu("b200"), matmul_share=1.0)
    keeps = changed(IDEAL, quantised_compute=0.9)
    prompt = floats(8.0, 4096.0, 0.0)

    def compute(name: str, efficiency: object) -> float:
        layout = Deployment(precision=precision(name))
        return float(
            roofline.forward_pass(Instance(llm, b200, layout, efficiency), *prompt).compute
        )

    fp8, fp4 = compute("fp8", IDEAL), compute("fp4", IDEAL)
    # Attention stays in 16 bits, so only the linear layers slow down: by 1/0.9 and 1/0.81.
    products = 2.0 * (fp8 - fp4)
    assert compute("fp8", keeps) - fp8 == pytest.approx(products * (1 / 0.9 - 1))
    assert compute("fp4", keeps) - fp4 == pytest.approx(0.5 * products * (1 / 0.81 - 1))
