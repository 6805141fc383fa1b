from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmecon import numerics, scaling, training
from llmecon.physics import architecture
from llmecon.tables import catalog
from tests.problems import all_finite, changed, close

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)

HOFFMANN = scaling.law("hoffmann-2022")
REFIT = scaling.law("besiroglu-2024")
SARDANA = scaling.law("sardana-2023")
CHINCHILLA = 5.76e23
RUN = training.TrainingRun(1e12, 4096.0, 4e6)


def test_compute_optimal_by_hand() -> None:
    # alpha A = beta B = 100 on both sides: parameters and tokens share the compute evenly.
    law = scaling.LossLaw(1.0, 250.0, 250.0, 0.4, 0.4)
    best = scaling.compute_optimal(law, 6e20)
    assert float(best.parameters) == pytest.approx(1e10)
    assert float(best.tokens) == pytest.approx(1e10)
    assert float(best.loss) == pytest.approx(1.0 + 2 * 250.0 / 1e4)


@pytest.mark.parametrize(
    ("name", "tokens_per_parameter"),
    [
        # The printed constants contradict the 20 of the text that they stand in.
        ("hoffmann-2022", 92.6),
        ("hoffmann-2022-unrounded", 59.1),
        ("sardana-2023", 55.2),
        ("besiroglu-2024", 18.4),
    ],
)
def test_tokens_per_parameter_at_the_compute_of_chinchilla(
    name: str, tokens_per_parameter: float
) -> None:
    best = scaling.compute_optimal(scaling.law(name), CHINCHILLA)
    assert float(best.tokens_per_parameter) == pytest.approx(tokens_per_parameter, abs=0.06)


def test_the_search_by_gradient_finds_the_closed_form() -> None:
    named = ("hoffmann-2022", "besiroglu-2024", "muennighoff-2023")
    laws = catalog.stack([scaling.law(name) for name in named])
    budgets = jnp.asarray([1e18, 1e22, 1e27])

    def sizes_and_slopes(of: Any) -> Any:
        each = jax.value_and_grad(lambda compute, law: jnp.log(of(law, compute).parameters))
        over_budgets = jax.vmap(each, in_axes=(0, None))
        return jax.jit(jax.vmap(over_budgets, in_axes=(None, 0)))(budgets, laws)

    exact = sizes_and_slopes(scaling.compute_optimal)
    close(sizes_and_slopes(scaling.compute_optimal_by_search), exact)


def test_elasticities_of_the_best_size_are_those_of_the_closed_form() -> None:
    of_law, of_compute = numerics.elasticity(
        lambda law, compute: scaling.compute_optimal(law, compute).parameters,
        REFIT,
        jnp.asarray(CHINCHILLA),
    )
    # beta / (alpha + beta) = 0.3658 / 0.7136 of compute; 1 / (alpha + beta) of A, less of B.
    assert float(of_compute) == pytest.approx(0.51261, abs=1e-5)
    assert float(of_law.size_factor) == pytest.approx(1.40135, abs=1e-4)
    assert float(of_law.data_factor) == pytest.approx(-1.40135, abs=1e-4)
    assert float(of_law.entropy) == 0.0


def test_ridge_is_where_the_loss_is_that_much_higher() -> None:
    best = scaling.compute_optimal(REFIT, CHINCHILLA)
    found = scaling.ridge(REFIT, CHINCHILLA, 0.01)
    close(found.smallest.loss, 1.01 * best.loss)
    close(found.largest.loss, 1.01 * best.loss)
    assert found.smallest.parameters < best.parameters < found.largest.parameters
    for end in (found.smallest, found.largest):
        close(6.0 * end.parameters * end.tokens, CHINCHILLA)
    # One percent of loss forgives a model of a quarter of the best size, or four times as large.
    assert float(best.parameters / found.smallest.parameters) == pytest.approx(4.04, abs=0.01)
    assert float(found.largest.parameters / best.parameters) == pytest.approx(3.99, abs=0.01)


def test_scarce_tokens_repeat_against_brute_force() -> None:
    law = scaling.repetition_law()
    compute = jnp.asarray(6e22)
    free = scaling.compute_optimal(law.law, compute)
    solve = jax.jit(jax.vmap(lambda unique: scaling.compute_optimal_repeated(law, compute, unique)))
    unique = jnp.asarray([1e10, 3e10, 1e11, 1e13])
    found = solve(unique)
    sizes = free.parameters * np.exp(np.linspace(-6.0, 6.0, 12001))
    losses = jax.vmap(lambda of: scaling.repeated_loss(law, sizes, compute / 6.0 / sizes, of))
    least = np.asarray(losses(unique))
    assert np.all(found.loss <= least.min(axis=1) * (1 + 1e-12))
    apart = np.abs(np.log(np.asarray(sizes)[least.argmin(axis=1)] / found.parameters))
    assert np.all(apart <= 1.1e-3)
    # The scarcer they are, the higher the loss; where they suffice nothing is lost.
    assert np.all(np.diff(found.loss) < 0.0)
    close(found.parameters[-1], free.parameters, rtol=1e-6)
    # 443 G tokens would suit this compute. Of 100 G the best model sees each 5.4 times.
    assert float(free.tokens) == pytest.approx(443e9, rel=1e-3)
    assert float(found.tokens[2] / unique[2]) == pytest.approx(5.38, abs=0.01)


def test_a_published_example_of_a_lifetime() -> None:
    """Instead of 13 B for two trillion tokens, 7 B saves 1.7e22 FLOPs, 17%, says Sardana2023."""
    compute = 6e9 * (13e9 / scaling.compute_optimal(SARDANA, 6e9).parameters) ** (0.619 / 0.283)
    usual = scaling.compute_optimal(SARDANA, compute)
    assert float(usual.parameters) == pytest.approx(13e9, rel=1e-6)
    life = scaling.Lifetime(2e12)
    before = scaling.lifetime_cost(SARDANA, usual.parameters, usual.loss, life)
    after = scaling.lifetime_cost(SARDANA, 7e9, usual.loss, life)
    assert float(before - after) == pytest.approx(1.7e22, rel=0.01)
    assert float(1.0 - after / before) == pytest.approx(0.17, abs=0.005)
    best = scaling.lifetime_optimal(SARDANA, usual.loss, life)
    assert float(best.parameters) == pytest.approx(7e9, rel=0.01)


def test_lifetime_optimum_against_brute_force() -> None:
    generator = np.random.default_rng(3)
    count = 100
    laws = scaling.LossLaw(
        generator.uniform(1.5, 2.0, count),
        np.exp(generator.uniform(np.log(100), np.log(1000), count)),
        np.exp(generator.uniform(np.log(200), np.log(4000), count)),
        generator.uniform(0.28, 0.42, count),
        generator.uniform(0.28, 0.42, count),
    )
    target = np.asarray(laws.entropy) + generator.uniform(0.1, 0.8, count)
    prices = 10.0 ** generator.uniform(-19, -17, (2, count))
    flops = np.full(count, 6.0), np.full(count, 2.0)
    lives = scaling.Lifetime(10.0 ** generator.uniform(9, 15, count), *prices, *flops)
    found = jax.jit(jax.vmap(scaling.lifetime_optimal))(laws, target, lives)
    # Every size within a factor of a thousand, in steps of a thousandth.
    grid = found.parameters[:, None] * np.exp(np.linspace(-7.0, 7.0, 14001))
    cost = jax.jit(jax.vmap(jax.vmap(scaling.lifetime_cost, (None, 0, None, None))))
    costs = np.asarray(cost(laws, grid, target, lives))
    assert np.all(found.cost <= costs.min(axis=1) * (1 + 1e-12))
    apart = np.abs(np.log(grid[np.arange(count), costs.argmin(axis=1)] / found.parameters))
    assert np.all(apart <= 1e-3)
    np.testing.assert_allclose(found.size.loss, target, rtol=1e-9)


def test_with_nothing_to_serve_the_lifetime_optimum_is_compute_optimal() -> None:
    best = scaling.compute_optimal(REFIT, CHINCHILLA)
    found = scaling.lifetime_optimal(REFIT, best.loss, scaling.Lifetime(0.0))
    close(found.parameters, best.parameters)
    close(found.cost, CHINCHILLA)


def test_a_budget_for_both_against_brute_force() -> None:
    generator = np.random.default_rng(5)
    count = 100
    laws = scaling.LossLaw(
        generator.uniform(1.5, 2.0, count),
        np.exp(generator.uniform(np.log(100), np.log(1000), count)),
        np.exp(generator.uniform(np.log(200), np.log(4000), count)),
        generator.uniform(0.28, 0.42, count),
        generator.uniform(0.28, 0.42, count),
    )
    prices = 10.0 ** generator.uniform(-19, -17, (2, count))
    budget = prices[0] * 10.0 ** generator.uniform(18, 27, count)
    flops = np.full(count, 6.0), np.full(count, 2.0)
    lives = scaling.Lifetime(10.0 ** generator.uniform(8, 15, count), *prices, *flops)
    found = jax.jit(jax.vmap(scaling.budget_optimal))(laws, budget, lives)
    np.testing.assert_allclose(found.cost, budget, rtol=1e-9)
    grid = found.parameters[:, None] * np.exp(np.linspace(-7.0, 7.0, 14001))
    left = budget[:, None] / grid - np.asarray(lives.served_tokens * prices[1] * 2.0)[:, None]
    tokens = np.asarray(left) / (6.0 * prices[0][:, None])
    losses = jax.vmap(jax.vmap(scaling.loss, (None, 0, 0)))(
        laws, grid, jnp.asarray(np.where(tokens > 0.0, tokens, 1e-30))
    )
    assert np.all(found.size.loss <= losses.min(axis=1) * (1 + 1e-12))
    apart = np.abs(np.log(grid[np.arange(count), losses.argmin(axis=1)] / found.parameters))
    assert np.all(apart <= 1.1e-3)


def test_a_budget_for_both_by_hand() -> None:
    # With alpha = beta = 1/2 the best size for 6e20 FLOP has sqrt(6e20 / 6) = 1e10 parameters.
    law = scaling.LossLaw(1.0, 100.0, 100.0, 0.5, 0.5)
    close(scaling.budget_optimal(law, 6e20, scaling.Lifetime(0.0)).parameters, 1e10)
    # z = (1 - r z)^(3/2) has z = 1/8 for r = 6: serving 1e10 parameters takes 3.6e21 FLOP.
    served = scaling.budget_optimal(law, 6e20, scaling.Lifetime(1.8e11))
    close(served.parameters, 1.25e9)
    # Serving these takes three quarters, and the rest trains them on 1.5e20 / 7.5e9 tokens.
    close(served.serving_cost, 4.5e20)
    close(served.tokens, 2e10)


@pytest.mark.parametrize("served", [1e11, 1e13, 1e15])
def test_the_demand_that_a_size_implies_is_the_one_it_is_best_for(served: float) -> None:
    life = scaling.Lifetime(served, 3e-18, 1e-18)
    best = scaling.lifetime_optimal(REFIT, 2.0, life)
    implied = scaling.implied_demand(REFIT, best.parameters, best.tokens, scaling.Lifetime(0.0))
    # Prices alone make the difference: served FLOPs at a third of the price weigh a third.
    close(3.0 * implied, served, rtol=1e-6)
    close(scaling.implied_demand(REFIT, best.parameters, best.tokens, life), served, rtol=1e-6)
    assert float(scaling.implied_demand(REFIT, 1.75e11, 3e11, life)) == 0.0


def test_no_model_falls_below_the_entropy_of_its_data() -> None:
    found = scaling.lifetime_optimal(REFIT, 1.8, scaling.Lifetime(1e12))
    assert np.isnan(float(found.cost))
    assert np.isinf(float(scaling.tokens_for(REFIT, 1e6, 2.0)))


@pytest.mark.slow
def test_gradients_of_optima_are_finite_differences() -> None:
    def numbers(logs: Any) -> Any:
        served, target, price = jnp.exp(logs[0]), 1.9 + jnp.exp(logs[1]), jnp.exp(logs[2])
        found = scaling.lifetime_optimal(REFIT, target, scaling.Lifetime(served, 1e-18, price))
        near = scaling.ridge(REFIT, served * 1e11, jnp.exp(logs[1]))
        ends = near.smallest.parameters, near.largest.parameters
        return jnp.log(jnp.stack([found.parameters, found.tokens, found.cost, *ends]))

    at = jnp.log(jnp.asarray([3e12, 0.1, 2e-18]))
    slopes = jax.jit(jax.jacobian(numbers))(at)
    values = jax.jit(jax.vmap(numbers))
    steps = 1e-4 * np.eye(3)
    difference = (values(at + steps) - values(at - steps)) / 2e-4
    np.testing.assert_allclose(slopes, np.asarray(difference).T, rtol=1e-5, atol=1e-7)
    all_finite(slopes)


@pytest.mark.release
def test_gradients_of_scarce_tokens_and_of_shapes_are_finite_differences() -> None:
    law, llm = scaling.repetition_law(), catalog.llm("llama-3.1-8b")

    def numbers(logs: Any) -> Any:
        compute, unique, factor = jnp.exp(logs)
        additive = changed(law.law, data_factor=factor)
        held = scaling.RepetitionLaw(additive, law.repetitions, law.excess)
        scarce = scaling.compute_optimal_repeated(held, compute, unique)
        _, shaped = scaling.compute_optimal_shape(additive, llm, RUN, compute)
        return jnp.log(
            jnp.stack([scarce.parameters, scarce.loss, shaped.parameters, shaped.tokens])
        )

    at = jnp.log(jnp.asarray([6e22, 1e11, 1500.0]))
    slopes = jax.jit(jax.jacobian(numbers))(at)
    values = jax.jit(jax.vmap(numbers))
    steps = 1e-4 * np.eye(3)
    difference = (values(at + steps) - values(at - steps)) / 2e-4
    np.testing.assert_allclose(slopes, np.asarray(difference).T, rtol=1e-5, atol=1e-7)


lifetimes = jax.jit(
    lambda served, target: scaling.lifetime_optimal(REFIT, target, scaling.Lifetime(served))
)
best_of = jax.jit(partial(scaling.compute_optimal, REFIT))


@few
@given(st.floats(8.0, 16.0), st.floats(0.1, 3.0), st.floats(1.85, 2.6))
def test_more_serving_never_asks_for_a_larger_model(
    served: float, more: float, target: float
) -> None:
    before, after = lifetimes(10.0**served, target), lifetimes(10.0 ** (served + more), target)
    assert after.parameters <= before.parameters * (1 + 1e-9)
    assert after.tokens >= before.tokens * (1 - 1e-9)
    assert after.cost >= before.cost


@few
@given(st.floats(16.0, 28.0), st.floats(0.1, 4.0))
def test_more_compute_buys_lower_loss_and_larger_models(compute: float, more: float) -> None:
    before, after = best_of(10.0**compute), best_of(10.0 ** (compute + more))
    assert after.loss < before.loss
    assert after.parameters > before.parameters
    assert after.tokens > before.tokens


@pytest.mark.slow
def test_a_shape_is_scaled_to_its_compute() -> None:
    llm = catalog.llm("llama-3.1-8b")
    shape, found = scaling.compute_optimal_shape(REFIT, llm, RUN, CHINCHILLA)
    close(found.parameters, architecture.parameters(shape).active)
    close(found.tokens * training.flops_per_token(shape, RUN), CHINCHILLA)
    for stretch in (0.98, 1.02):
        other = scaling.trained_with(REFIT, scaling.scaled(shape, stretch), RUN, CHINCHILLA)
        assert found.loss < other.loss
    # Attention takes a part of the compute: no more tokens than without it.
    assert float(found.tokens) < float(scaling.compute_optimal(REFIT, CHINCHILLA).tokens)
    assert float(found.loss) > float(scaling.compute_optimal(REFIT, CHINCHILLA).loss)


@pytest.mark.slow
def test_without_attention_a_shape_follows_the_closed_form() -> None:
    llm = catalog.llm("llama-3.1-8b")
    brief = changed(RUN, sequence=1.0)
    _, found = scaling.compute_optimal_shape(REFIT, llm, brief, CHINCHILLA)
    best = scaling.compute_optimal(REFIT, CHINCHILLA)
    assert float(found.parameters) == pytest.approx(float(best.parameters), rel=1e-3)
    assert float(found.loss) == pytest.approx(float(best.loss), rel=1e-5)
