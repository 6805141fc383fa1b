"""What NumPy computes of a traced program is what XLA does."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erf, erfc

from llmecon import numerics, serving, specs
from llmecon.execution import numpy_operations, programs
from llmecon.execution.interpreter import interpreted
from llmecon.specs import Instance
from llmecon.tables import catalog

pytestmark = pytest.mark.internals

SQUARE = np.array([[2.0, 0.5, 0.1], [0.3, 3.0, -0.4], [0.2, 0.1, 1.5]])

FUNCTIONS: dict[str, Callable[[jax.Array], Any]] = {
    "arithmetic": lambda x: (x + 2.0 * x - x / 3.0, -x, x**2, x**-1, x**3, jnp.abs(x) ** 2.5),
    "logs": lambda x: (jnp.log(jnp.abs(x)), jnp.log2(x**2), jnp.log1p(x**2), jnp.expm1(x)),
    "waves": lambda x: (jnp.sin(x), jnp.cos(x), jnp.tan(x), jnp.tanh(x), jax.nn.sigmoid(x)),
    "errors": lambda x: (erf(x), erfc(x)),
    "rounding": lambda x: (jnp.floor(x), jnp.ceil(x), jnp.round(2.0 * x), jnp.sign(x)),
    "roots": lambda x: (jnp.sqrt(x**2), jnp.cbrt(x), jax.lax.rsqrt(x**2), jnp.exp2(x)),
    "choices": lambda x: jnp.where((x > 0.0) & ~(x >= 2.0) | (x != x), x, jnp.clip(x, -1.0, 0.5)),
    "three cases": lambda x: jax.lax.select_n(jnp.sign(x).astype(int) + 1, x, 2.0 * x, 3.0 * x),
    "whole numbers": lambda x: ((3.0 * x).astype(int) // 2, (3.0 * x).astype(int) % 2),
    "sums": lambda x: (x.sum(), x.prod(), x.max(), x.min(), (x > 0.0).any(), (x > 0.0).all()),
    "places": lambda x: (x.argmax(), x.argmin(), x[jnp.argmax(x)], jnp.argsort(x)),
    "running": lambda x: (jnp.cumsum(x), jnp.cumprod(x), jax.lax.cummax(x, reverse=True)),
    "shapes": lambda x: (x[::2], x[None, :, None], jnp.stack([x, x], 1).T, x[::-1], jnp.tile(x, 2)),
    "parts": lambda x: (jnp.concatenate([x, x]), jnp.pad(x, 2), jnp.split(x, 3), jnp.arange(3) * x),
    "windows": lambda x: jax.lax.dynamic_update_slice(
        x, jax.lax.dynamic_slice(x, (2,), (2,)), (1,)
    ),
    "products": lambda x: (SQUARE @ x, x @ SQUARE, jnp.einsum("i,jk->kij", x, SQUARE), x @ x),
    "linear equations": lambda x: jnp.linalg.solve(SQUARE, x),
    "a scan": lambda x: jax.lax.scan(lambda c, row: (c * 0.5 + row, c), 0.0, x, reverse=True),
    "a loop": lambda x: jax.lax.while_loop(lambda c: c < 100.0, lambda c: c * 2.0 + 1.0, x[0] ** 2),
    "loops of unequal length": jax.vmap(
        lambda x: jax.lax.while_loop(lambda c: c[0] < 9.0, lambda c: (c[0] + c[1], c[1]), (x, 1.5))
    ),
    "a branch": lambda x: jax.lax.cond(x[0] > 0.0, lambda: x + 1.0, lambda: x - 1.0),
    "a root": lambda x: numerics.solve_increasing(lambda z: jnp.log(z) - x[0], 1e-3, 1e3),
    "random numbers": lambda x: x + jax.random.normal(jax.random.key(3), x.shape),
    "what has no rule": lambda x: jax.scipy.special.gammaln(x**2 + 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("at", [[0.3, -0.8, 1.7], [-2.4, 0.6, 0.9]])
def test_numbers_are_those_of_compiled_code(name: str, at: list[float]) -> None:
    x = jnp.asarray(at)
    found, expected = interpreted(FUNCTIONS[name])(x), jax.jit(FUNCTIONS[name])(x)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


SMOOTH = ["arithmetic", "logs", "waves", "errors", "choices", "running", "products", "a scan",
          "linear equations", "a root", "windows"]  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_too(name: str) -> None:
    def total(x: jax.Array) -> jax.Array:
        return jnp.asarray(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(FUNCTIONS[name](x))))

    x = jnp.asarray([0.3, -0.8, 1.7])
    for slope in (jax.grad(total), jax.jacfwd(total), jax.hessian(total)):
        np.testing.assert_allclose(interpreted(slope)(x), jax.jit(slope)(x), rtol=1e-11, atol=1e-12)


def test_every_rule_is_of_an_operation_that_has_no_other() -> None:
    every = [*numpy_operations.PLAIN, *numpy_operations.RULES, *programs.CALLS, *programs.LOOPS]
    assert len(every) == len(set(every))


@pytest.mark.release  # compiling all slopes takes most of a minute
@pytest.mark.slow
def test_a_served_model_with_all_its_slopes() -> None:
    llm, xpu, efficiency = catalog.llm("deepseek-v3"), catalog.xpu("h200-sxm"), catalog.efficiency()
    layout = specs.Deployment(tensor=8.0, expert=8.0, precision=specs.precision("fp8"))
    limits = specs.LatencyTarget(3.0, 0.06)

    def log_rate(xpu: specs.XPU, efficiency: specs.Efficiency, requests: specs.Workload) -> Any:
        found = serving.capacity(Instance(llm, xpu, layout, efficiency), requests, limits)
        return jnp.log(found.rate)

    slopes = jax.value_and_grad(log_rate, (0, 1, 2))
    given = jax.tree.map(jnp.asarray, (xpu, efficiency, specs.Workload(900.0, 300.0)))
    found, expected = interpreted(slopes)(*given), eqx.filter_jit(slopes)(*given)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_a_program_serves_other_numbers_of_the_same_shape() -> None:
    traced = []

    @interpreted
    def scaled(x: Any, by: float, name: str) -> tuple[Any, str]:
        traced.append(name)
        return x * by, name

    assert scaled(jnp.asarray(2.0), 3.0, "a")[0] == 6.0
    assert scaled(jnp.asarray(5.0), 7.0, "a") == (35.0, "a")
    assert traced == ["a"]
    assert scaled(jnp.ones(2), 7.0, "b")[0].tolist() == [7.0, 7.0]
    assert traced == ["a", "b"]


def test_it_can_be_transformed_as_any_function_can() -> None:
    cube = interpreted(lambda x: x**3)
    assert jax.grad(cube)(2.0) == 12.0
    assert jax.vmap(cube)(jnp.arange(3.0)).tolist() == [0.0, 1.0, 8.0]
    assert jax.jit(cube)(2.0) == 8.0
    assert interpreted(jax.grad(lambda x: cube(x) + 1.0))(2.0) == 12.0
