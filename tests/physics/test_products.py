"""One matrix product: values by hand, and the rows at which both its times are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import physics, specs
from llmecon.physics import Product
from llmecon.specs import Instance
from llmecon.tables import catalog
from tests.problems import DENSE, EVERYTHING, GROUPED, changed

FP8, BF16 = specs.precision("fp8"), specs.precision("bf16")
SMALL = Product(64.0, 4096.0, 8192.0)


def test_a_product_by_hand() -> None:
    """64 rows: 2 x 64 x 4096 x 8192 FLOP; 67.1 MB of weights, 0.52 MB in and 1.05 MB out."""
    assert float(physics.product_flops(SMALL)) == 4_294_967_296.0
    assert float(physics.product_bytes(SMALL)) == 67_108_864.0 + 524_288.0 + 1_048_576.0
    assert float(physics.arithmetic_intensity(SMALL)) == pytest.approx(62.53, abs=0.01)
    # On a B200 memory sets the pace: 68.7 MB at 8 TB/s; with 512 rows arithmetic does.
    seconds = physics.product_seconds(SMALL, jnp.asarray(2.3e15), jnp.asarray(8e12))
    assert float(seconds) == pytest.approx(8.585e-6, rel=1e-3)
    more = Product(512.0, 4096.0, 8192.0)
    seconds = physics.product_seconds(more, jnp.asarray(2.3e15), jnp.asarray(8e12))
    assert float(seconds) == pytest.approx(34_359_738_368.0 / 2.3e15)


def test_the_roof_is_the_lower_of_two_lines() -> None:
    along = jnp.asarray([1.0, 100.0, 295.3, 1000.0])
    roof = physics.attainable_rate(along, jnp.asarray(989e12), jnp.asarray(3.35e12))
    np.testing.assert_allclose(roof, [3.35e12, 3.35e14, 989e12, 989e12], rtol=1e-3)


@pytest.mark.parametrize("activation_bytes", [0.0, 1.0, 2.0])
def test_at_the_critical_rows_both_times_are_equal(activation_bytes: float) -> None:
    matrix = Product(1.0, 4096.0, 16384.0, 1.0, activation_bytes)
    peak, bandwidth = jnp.asarray(3.94e14), jnp.asarray(8.1e11)
    rows = float(physics.critical_rows(matrix, peak, bandwidth))
    there = changed(matrix, rows=rows)
    arithmetic = float(physics.product_flops(there) / peak)
    assert float(physics.product_bytes(there) / bandwidth) == pytest.approx(arithmetic)
    # Weights alone: half a byte's balance of 486 FLOP.
    assert rows == pytest.approx({0.0: 243.2, 1.0: 262.7, 2.0: 285.6}[activation_bytes], abs=0.1)


def test_a_narrow_matrix_never_keeps_arithmetic_busy() -> None:
    narrow = Product(1.0, 256.0, 256.0)
    found, slope = jax.value_and_grad(
        lambda peak: physics.critical_rows(narrow, peak, jnp.asarray(3.35e12))
    )(jnp.asarray(989e12))
    assert np.isinf(found)
    assert float(slope) == 0.0


def test_the_output_projection_is_in_the_count_of_weights() -> None:
    """Llama 3.1 8B: 32 heads of 128 into a width of 4096."""
    product = physics.output_projection(DENSE, BF16, jnp.asarray(3.0))
    assert (float(product.rows), float(product.inner), float(product.columns)) == (3, 4096, 4096)
    assert float(product.weight_bytes) == 2.0


@pytest.mark.parametrize("llm", [DENSE, GROUPED, EVERYTHING], ids=["dense", "windows", "latent"])
@pytest.mark.parametrize("context", [1.0, 650.0, 700.0, 5000.0])
def test_the_context_of_a_cache_is_its_size_turned_round(llm: specs.LLM, context: float) -> None:
    size = physics.kv_cache_bytes(llm, FP8, jnp.asarray(context))
    assert float(physics.context_of_cache(llm, FP8, size)) == pytest.approx(context)


def test_windows_alone_bound_a_cache() -> None:
    """Mistral 7B looks back 4096 tokens in every layer: 32 x 4096 x 8 x 256 bytes in fp8."""
    mistral = catalog.llm("mistral-7b-v0.1")
    full = 32.0 * 4096.0 * 8.0 * 256.0
    assert float(physics.context_of_cache(mistral, FP8, jnp.asarray(full))) == 4096.0
    assert np.isinf(float(physics.context_of_cache(mistral, FP8, jnp.asarray(1.01 * full))))


def test_share_of_the_weights_that_a_pass_reads() -> None:
    """One token of Mixtral 8x7B reads 2 of 8 experts and all the rest."""
    assert float(physics.weights_read(DENSE, FP8, jnp.asarray(1.0))) == 1.0
    mixtral = catalog.llm("mixtral-8x7b")
    count = physics.parameters(mixtral)
    shared = float(count.attention + count.feed_forward)  # a byte each; the head two
    head, experts = 2.0 * float(count.head), float(count.experts)
    expected = (shared + head + experts / 4.0) / (shared + head + experts)
    assert float(physics.weights_read(mixtral, FP8, jnp.asarray(1.0))) == pytest.approx(expected)
    assert float(physics.weights_read(mixtral, FP8, jnp.asarray(1e6))) == pytest.approx(1.0)


def test_attained_arithmetic_and_a_token_s_flops() -> None:
    """fp8 on an H100 doubles the rate once, which is attained less fully."""
    h100, efficiency = catalog.xpu("h100-sxm"), catalog.efficiency()
    full = float(h100.fp8_flops * h100.matmul_share * efficiency.compute)
    kept = float(efficiency.quantised_compute) ** float(jnp.log2(1979.0 / 989.4))
    assert float(physics.attained_flops(h100, FP8, efficiency)) == pytest.approx(full * kept)
    assert float(physics.token_flops(DENSE)) == pytest.approx(2.0 * 7.5e9, rel=0.01)


def test_a_datasheet_taken_at_its_word() -> None:
    """Llama 3.1 8B in bf16 on one H100: a step of one token takes as long as reading 15 GB."""
    alone = specs.Deployment(precision=BF16)
    h100 = changed(catalog.xpu("h100-sxm"), matmul_share=1.0)
    step = physics.forward_pass(
        Instance(DENSE, h100, alone, specs.DATASHEET), *(jnp.asarray(of) for of in (1.0, 1.0, 0.0))
    )
    assert float(step.overhead) == float(step.network) == 0.0
    assert float(step.seconds) == pytest.approx(float(step.bytes) / 3.35e12, rel=1e-6)
    assert float(step.bytes) == pytest.approx(2.0 * 7.504e9, rel=1e-3)
