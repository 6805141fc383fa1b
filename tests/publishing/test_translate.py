"""JAX functions as Vega expressions: the same numbers, or an error that says why not."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from llmecon import numerics, serving, specs, training
from llmecon.execution.interpreter import interpreted
from llmecon.publishing.panel import translate
from llmecon.publishing.panel.expressions import Graph
from llmecon.publishing.panel.primitives import RULES, UntranslatableError
from llmecon.publishing.panel.translate import CALLS, trace
from llmecon.specs import Instance
from llmecon.tables import catalog
from llmecon.tiers import routing
from llmecon.training import planning
from tests.publishing.vega import evaluate

pytestmark = pytest.mark.internals

OWN = catalog.efficiency()


def both(function: Callable[..., Any], *arguments: float) -> tuple[np.ndarray, np.ndarray]:
    """What Vega and JAX compute, as flat arrays."""
    graph = Graph()
    names = [f"x{i}" for i in range(len(arguments))]
    nodes = trace(lambda of: function(*of), tuple(arguments)).nodes(
        graph, tuple(graph.input(name) for name in names)
    )
    leaves = [n for leaf in jax.tree.leaves(nodes) for n in np.asarray(leaf, dtype=object).flat]
    program = graph.program({f"r{i}": graph.number(leaf) for i, leaf in enumerate(leaves)})
    found = evaluate(program, dict(zip(names, arguments, strict=True)))
    values = function(*map(jnp.asarray, arguments))
    expected = [np.ravel(np.asarray(leaf, float)) for leaf in jax.tree.leaves(values)]
    return np.array([found[f"r{i}"] for i in range(len(leaves))]), np.concatenate(expected)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda x, y: x * y - x / y + (-x) + 2.5 + y**2 - x**-3,
    "powers": lambda x, y: jnp.abs(x) ** y + jnp.sqrt(y) + jnp.cbrt(x) + jnp.exp2(x),
    "logs": lambda x, y: jnp.log(y) + jnp.log1p(x) + jnp.expm1(y) + jnp.log10(y),
    "logs to base 2": lambda x, y: jnp.log2(y) + 3.0 * jnp.log2(1.5 + x),
    "near one": lambda x, y: jnp.arcsin(x) + jnp.tanh(3.0 * y) ** 2,
    "sigmoids": lambda x, y: (jax.nn.sigmoid(x), jax.nn.softplus(y), jnp.tanh(x), jnp.tanh(-9 * y)),
    "errors": lambda x, y: jax.scipy.special.erf(x) + jax.scipy.special.erfc(y) + norm.cdf(x * y),
    "quantile of a constant": lambda x, y: x * norm.ppf(0.99) + y,
    "choices": lambda x, y: jnp.where(x > y, x, y) + jnp.sign(x - y) + jnp.clip(x, 0.2, 0.4),
    "logic": lambda x, y: (~((x > 0) & (y < 1)) | (x == y)) * 2.0 + (x != y),
    "selecting": lambda x, y: jax.lax.select_n(1 + (x > 9).astype(jnp.int32), x, y, x + y),
    "rounding": lambda x, y: jnp.floor(7 * x) + jnp.ceil(7 * y) + (5.7 * y).astype(jnp.int32),
    "trigonometry": lambda x, y: jnp.sin(x) + jnp.cos(y) + jnp.arctan(x * y),
    "arrays": lambda x, y: jnp.sum(jnp.stack([x, y, x * y]) ** 2) + jnp.prod(jnp.array([x, y, 3])),
    "extremes": lambda x, y: (jnp.max(jnp.array([x, y, 0.5])), jnp.min(jnp.array([x, y, 0.5]))),
    "running": lambda x, y: jnp.cumsum(jnp.array([x, y, x])) * jnp.cumprod(jnp.array([y, y, x])),
    "products": lambda x, y: jnp.array([[x, y], [y, 1.0]]) @ jnp.array([y, x]),
    "shapes": lambda x, y: jnp.concatenate([jnp.array([[x], [y]]), jnp.eye(2) * y], 1).T[::-1],
    "slices": lambda x, y: jnp.pad(jnp.array([x, y, x * y])[1:], (1, 2), constant_values=3.0),
    "best of several": lambda x, y: jnp.array([x, y, x * y])[jnp.argmin(jnp.array([y, x, x - y]))],
    "a place that is computed": lambda x, y: jnp.array([x, y, 8.0])[(3 * y).astype(jnp.int32)],
    "finite": lambda x, y: jnp.isfinite(x / (y - y)) + jnp.isfinite(x) * 2.0,
    "vmap": lambda x, y: jnp.sum(jax.vmap(lambda a: jnp.exp(-a * y))(jnp.array([x, y, 1.0]))),
    "smooth maximum": lambda x, y: numerics.smooth_maximum(jnp.abs(x), y, sharpness=3.0),
    "root": lambda x, y: numerics.solve_increasing(lambda z: jnp.log(z) - y * x, 1e-3, 1e3),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("x", "y"), [(0.3, 0.8), (-0.6, 0.25), (0.35, 2.4)])
def test_vega_computes_what_jax_does(name: str, x: float, y: float):
    found, expected = both(FUNCTIONS[name], x, y)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-13, nan_ok=True)


@pytest.mark.parametrize(
    "name",
    ["arithmetic", "logs", "sigmoids", "errors", "choices", "arrays", "best of several", "root",
     "a place that is computed", "smooth maximum", "running", "logs to base 2", "near one"],
)  # fmt: skip
def test_gradients_too(name: str):
    def total(x: Any, y: Any) -> Any:
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(FUNCTIONS[name](x, y)))

    found, expected = both(jax.grad(total, (0, 1)), 0.3, 0.8)
    assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.slow
def test_a_served_model_and_its_gradient():
    llm, xpu = catalog.llm("deepseek-v3"), catalog.xpu("h200-sxm")
    efficiency = catalog.efficiency()
    layout = specs.Deployment(tensor=8.0, expert=8.0, precision=specs.precision("fp8"))

    def rate(prompt: Any, tpot: Any) -> Any:
        workload = specs.Workload(prompt, 300.0)
        limits = specs.LatencyTarget(3.0, tpot)
        return serving.capacity(Instance(llm, xpu, layout, efficiency), workload, limits).rate

    def results(prompt: Any, tpot: Any) -> Any:
        return jax.value_and_grad(rate, (0, 1))(prompt, tpot)

    found, expected = both(interpreted(results), 900.0, 0.06)
    assert expected[0] > 0
    assert found == pytest.approx(expected, rel=1e-10)


def as_pages_do(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function whose loops are written out, of many arguments at once."""
    traced = trace(lambda of: function(*of), tuple(1.0 for _ in arguments))
    return traced.numbers(tuple(map(jnp.asarray, arguments)))


SEARCHES = {
    "smooth": (lambda x, k: jnp.log(x / 3.3) * k, 1e-9),
    "cubic": (lambda x, k: x**3 - 20.0 * k, 1e-8),
    "kinked": (lambda x, k: jnp.maximum(jnp.log(x / 7.0), 9 * jnp.log(x / 30.0)) - 0.1 * k, 1e-9),
    "a wall": (lambda x, k: 1.0 / (1001.0 - x) - 0.05 * k, 1e-5),
    "below the bracket": (lambda x, k: x + k, 1e-12),
    "above the bracket": (lambda x, k: x - 5000.0 * k, 1e-12),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
def test_a_few_steps_find_what_the_search_does(name: str):
    function, tolerance = SEARCHES[name]

    def found(k: Any) -> Any:
        return numerics.solve_increasing(lambda x: function(x, k), 1e-3, 1e3)

    given = jnp.asarray([0.7, 1.0, 1.3])
    value, slope = as_pages_do(jax.value_and_grad(found), given)
    expected, rising = jax.vmap(jax.value_and_grad(found))(given)
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    np.testing.assert_allclose(slope, rising, rtol=1e-3, atol=1e-9)


def test_too_few_steps_never_end_above_zero(monkeypatch: pytest.MonkeyPatch):
    # Far too few of them for a wall: what must not exceed a limit still doesn't.
    monkeypatch.setattr(translate, "UNROLLED", 4)

    def excess(x: Any, height: Any) -> Any:
        return jnp.exp(x - height) - 1.0

    height = jnp.asarray([900.0])
    root = as_pages_do(
        lambda of: numerics.solve_increasing(lambda x: excess(x, of), 1e-3, 1e3), height
    )
    assert excess(root, height) <= numerics.ROOT_SLACK
    assert 100.0 < root < 900.0


@pytest.mark.slow
def test_a_page_finds_the_capacity_that_the_library_does():
    llm, xpu, efficiency = catalog.llm("llama-3.1-70b"), catalog.xpu("h100-sxm"), OWN
    layout = specs.Deployment(tensor=4.0, precision=specs.precision("fp8"))
    spread = np.random.default_rng(0).uniform(size=(4, 60))
    asked = (
        10 ** (1.5 + 2.5 * spread[0]), 10 ** (1.0 + 2.5 * spread[1]),
        10 ** (-1.0 + 2.0 * spread[2]), 10 ** (-2.0 + 1.5 * spread[3]),
    )  # fmt: skip

    def capacity(prompt: Any, output: Any, ttft: Any, tpot: Any) -> Any:
        requests, limits = specs.Workload(prompt, output), specs.LatencyTarget(ttft, tpot)
        found = serving.capacity(Instance(llm, xpu, layout, efficiency), requests, limits)
        return found.rate, found.feasible

    shown, possible = map(np.asarray, as_pages_do(capacity, *asked))
    exact, feasible = map(np.asarray, interpreted(jax.vmap(capacity))(*map(jnp.asarray, asked)))
    assert (possible == feasible).all()
    assert 10 < feasible.sum() < 60
    # Where a limit is met on a wall, a few steps stop just short of it; never beyond.
    assert shown == pytest.approx(exact, rel=1e-3)
    assert (shown <= exact * (1 + 1e-9)).all()
    assert np.median(np.abs(shown / np.maximum(exact, 1e-9) - 1)[feasible > 0]) < 1e-9


@pytest.mark.slow
def test_a_page_finds_the_plan_that_the_library_does():
    llm, xpu, days = catalog.llm("llama-3.1-8b"), catalog.xpu("h100-sxm"), [20.0, 60.0, 400.0]
    run = training.TrainingRun(15e12, 8192.0, 16e6)
    layout = training.TrainingLayout(tensor=2.0, pipeline=1.0, data=1.0, shard_weights=1.0)
    reliability = training.Reliability(50677.0 * 3600.0, 60.0, 600.0)

    def replicas(days: Any) -> Any:
        deadline = days * specs.SECONDS_PER_DAY
        plan = planning.plan_with_layout(
            training.TrainingJob(llm, xpu, run, OWN), layout, deadline, reliability
        )
        return plan.layout.data, plan.feasible

    shown, possible = as_pages_do(replicas, jnp.asarray(days))
    exact, feasible = interpreted(jax.vmap(replicas))(jnp.asarray(days))
    assert possible.tolist() == feasible.tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(shown, exact, rtol=1e-6)


def test_a_page_sends_the_share_that_the_library_does():
    of = catalog.row("router_pairs", "gpt-4-mixtral-gsm8k")
    pair = routing.Pair(
        gains=of["only_strong"] / of["questions"],
        losses=of["only_weak"] / of["questions"],
        weak=(of["both"] + of["only_weak"]) / of["questions"],
    )
    floors = jnp.linspace(float(pair.weak) + 0.01, float(pair.strong) - 0.01, 21)

    def share(floor: Any) -> Any:
        return routing.share_for(floor, jnp.asarray(0.8), pair)

    shown, exact = as_pages_do(share, floors), interpreted(jax.vmap(share))(floors)
    np.testing.assert_allclose(shown, exact, atol=1e-6)
    assert 0.0 < float(exact[0]) < float(exact[-1]) < 1.0


def test_a_loop_over_rows_is_refused_with_its_line_and_what_to_do():
    def loops(x: Any) -> Any:
        return jax.lax.scan(lambda total, _: (total * x, None), x, length=3)[0]

    graph = Graph()
    with pytest.raises(UntranslatableError, match=r"'scan'.*steps.*test_translate\.py:\d+"):
        trace(loops, 1.0).nodes(graph, graph.input("x"))


def test_an_unknown_primitive_is_refused_by_name_and_line():
    graph = Graph()
    with pytest.raises(UntranslatableError, match=r"'lgamma'.*test_translate\.py:\d+ .*gammaln"):
        trace(lambda x: jax.scipy.special.gammaln(x), 1.0).nodes(graph, graph.input("x"))


def test_a_large_array_is_refused():
    graph = Graph()
    with pytest.raises(UntranslatableError, match="unroll"):
        trace(lambda x: jnp.sum(x * jnp.arange(9000.0)), 1.0).nodes(graph, graph.input("x"))


def test_equal_equations_are_kept_once_and_dead_ones_dropped():
    def wasteful(x: Any) -> Any:
        jnp.exp(7.0 * x)
        return jnp.sin(x) + jax.jit(jnp.sin)(x)

    names = [of.primitive.name for of in trace(wasteful, 1.0).equations]
    assert sorted(names) == ["add", "sin"]


def test_jax_computes_many_settings_at_once():
    traced = trace(lambda of: {"y": of["a"] * jnp.exp(of["b"])}, {"a": 1.0, "b": 1.0})
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, -1.0])
    assert np.asarray(traced.numbers({"a": a, "b": b})["y"]) == pytest.approx(a * np.exp(b))


# What a page's function has no use for, or what can't be written for a page.
NOT_FOR_PAGES = set(
    """
    acosh after_all all_gather all_to_all approx_top_k asinh atan2 atanh axis_index bessel_i0e
    bessel_i1e call cholesky clz complex cond conj conv_general_dilated cosh
    create_token cumlogsumexp custom_linear_solve device_put digamma eig eigh empty2 eq_to erf_inv
    fft gather get hessenberg householder_product igamma igamma_grad_a igammac imag iota le_to
    lgamma lt_to lu nextafter pmax pmin polygamma population_count ppermute psum qr
    ragged_all_to_all random_bits random_fold_in random_gamma random_seed random_split real reduce
    reduce_precision reduce_window reduce_window_max reduce_window_min reduce_window_sum reduce_xor
    regularized_incomplete_beta rem remat2 rng_bit_generator rng_uniform round scan scatter
    scatter-add scatter-max scatter-min scatter-mul schur select_and_gather_add select_and_scatter
    select_and_scatter_add sharding_constraint shift_left shift_right_arithmetic
    shift_right_logical sinh sort svd swap threefry2x32 top_k triangular_solve tridiagonal
    tridiagonal_solve while xor zeta
    """.split()  # noqa: SIM905
)


def test_every_primitive_of_this_jax_has_a_rule_or_is_known_to_have_none():
    here = {of.name for name, of in vars(jax.extend.core.primitives).items() if name.endswith("_p")}
    assert len(here) > 150
    undecided = sorted(here - set(RULES) - set(CALLS) - NOT_FOR_PAGES)
    assert not undecided, "a JAX release brought primitives: write rules for them, or list them"
    assert not NOT_FOR_PAGES & (set(RULES) | set(CALLS))


# The functions of JAX that models of llmecon are written with, and that a page may meet.
ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module, names in (
        (jnp, "abs ceil cos cumsum exp exp2 expm1 floor log log10 log1p log2 max mean min "
              "sin sqrt sum tanh"),
        (jax.nn, "sigmoid softmax softplus silu gelu"),
        (jax.lax, "rsqrt"),
        (norm, "cdf sf pdf logpdf"),
    )
    for name in names.split()
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_functions_of_this_jax_translate_with_their_derivatives(name: str):
    function = ELEMENTWISE[name]

    def value(x: Any, y: Any) -> Any:
        return jnp.sum(jnp.array([1.0, 2.0, 3.0]) * function(jnp.array([x, y, x * y])))

    for each in (value, jax.grad(value, (0, 1))):
        found, expected = both(each, 0.3, 0.8)
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)
