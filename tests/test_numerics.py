"""Smooth maxima and root solves against closed forms."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from llmecon import numerics, serving, specs
from llmecon.specs import Instance
from llmecon.tables import catalog
from tests.problems import floats

pytestmark = pytest.mark.internals


def test_smooth_maximum_is_the_p_norm() -> None:
    assert numerics.smooth_maximum(*floats(3.0, 4.0), sharpness=2.0) == pytest.approx(5.0)
    assert numerics.smooth_maximum(*floats(1.0, 2.0, 2.0), sharpness=2.0) == pytest.approx(3.0)


def test_smooth_maximum_tends_to_the_maximum() -> None:
    assert numerics.smooth_maximum(*floats(3.0, 4.0), sharpness=200.0) == pytest.approx(4.0)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e300])
def test_smooth_maximum_keeps_its_range(scale: float) -> None:
    value = numerics.smooth_maximum(*floats(3.0 * scale, 4.0 * scale), sharpness=2.0)
    assert value == pytest.approx(5.0 * scale)


def test_smooth_maximum_of_nothing_is_nothing() -> None:
    assert numerics.smooth_maximum(*floats(0.0, 0.0), sharpness=4.0) == 0.0


def test_smooth_minimum() -> None:
    assert numerics.smooth_minimum(*floats(3.0, 4.0), 2.0) == pytest.approx(12.0 / 5.0)
    assert numerics.smooth_minimum(*floats(0.0, 4.0), 2.0) == 0.0


def cube_root(target: jax.Array) -> jax.Array:
    return numerics.solve_increasing(lambda x: x**3 - target, 1e-3, 1e3)


def test_root_and_its_implicit_gradient() -> None:
    """The gradient of a cube root is 1/3 target ** (-2/3)."""
    value, slope = jax.value_and_grad(cube_root)(jnp.asarray(8.0))
    assert value == pytest.approx(2.0, rel=1e-10)
    assert slope == pytest.approx(1.0 / 12.0, rel=1e-9)


@pytest.mark.parametrize(("target", "end"), [(1e-12, 1e-3), (1e12, 1e3)])
def test_root_outside_the_bracket_is_its_nearer_end(target: float, end: float) -> None:
    assert cube_root(jnp.asarray(target)) == pytest.approx(end, rel=1e-12)


def test_roots_under_vmap() -> None:
    targets = jnp.asarray([1e-12, 1.0, 8.0, 27.0, 1e12])
    expected = [1e-3, 1.0, 2.0, 3.0, 1e3]
    np.testing.assert_allclose(jax.vmap(cube_root)(targets), expected, rtol=1e-10)


def test_elasticity_of_a_cobb_douglas_function_is_its_exponents() -> None:
    found = numerics.elasticity(lambda x, y: 7.0 * x**0.3 * y**-2.0, *floats(5.0, 0.1))
    np.testing.assert_allclose(found, [0.3, -2.0], rtol=1e-12)


def test_importing_the_library_switches_to_double_precision() -> None:
    assert jnp.asarray(1.0).dtype == jnp.float64


def test_a_whole_count_is_paid_for_whole_but_moves_as_the_count_does() -> None:
    counts = jnp.asarray([0.0, 0.3, 1.0, 1.0 + 1e-12, 1.7])
    assert numerics.whole(counts).tolist() == [0.0, 1.0, 1.0, 1.0, 2.0]
    assert jax.vmap(jax.grad(numerics.whole))(counts).tolist() == [1.0] * 5


@pytest.mark.slow
def test_the_elasticity_to_all_rates_is_that_of_scaling_them_together() -> None:
    """fp8 weights with attention in bf16: both rates count, and so do both elasticities."""
    llm, xpu = catalog.llm("llama-3.1-8b"), catalog.xpu("h100-sxm")
    deployment = specs.Deployment(precision=specs.precision("fp8"))
    efficiency, batch = catalog.efficiency(), jnp.asarray(64.0)
    stream = specs.Workload(1155.0, 211.0)

    def rate(of: specs.XPU) -> Float[Array, ""]:
        return serving.operating_point(
            Instance(llm, of, deployment, efficiency), stream, batch
        ).rate

    def scaled(times: Float[Array, ""]) -> Float[Array, ""]:
        names = ("bf16_flops", "fp8_flops", "fp4_flops")
        faster = {name: getattr(xpu, name) * times for name in names}
        return rate(replace(xpu, **faster))

    (apart,) = numerics.elasticity(rate, xpu)
    (together,) = numerics.elasticity(scaled, jnp.asarray(1.0))
    found = float(numerics.of_all_rates(apart))
    assert found == pytest.approx(float(together), rel=1e-9)
    assert found > 1.02 * float(apart.fp8_flops) > 0.0


def test_starts_step_by_the_golden_ratio_and_its_kin() -> None:
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    assert numerics.evenly_spread(3, 1)[:, 0] == pytest.approx(
        [(0.5 + i * golden) % 1.0 for i in (1, 2, 3)], abs=1e-15
    )
    for dimensions in (2, 3, 4, 5):
        first = numerics.evenly_spread(1, dimensions)[0]
        root = 1.0 / ((first[0] - 0.5) % 1.0)
        assert root ** (dimensions + 1) == pytest.approx(root + 1.0, rel=1e-12)
        assert (first - 0.5) % 1.0 == pytest.approx(root ** -np.arange(1.0, dimensions + 1.0))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_starts_leave_no_part_of_the_box_out(dimensions: int) -> None:
    places = numerics.evenly_spread(4**dimensions, dimensions)
    assert places.shape == (4**dimensions, dimensions)
    # As many parts as points in each dimension alone: none is empty.
    for along in places.T:
        assert set((2**dimensions * along).astype(int)) == set(range(2**dimensions))
