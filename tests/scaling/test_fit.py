from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from llmecon import evidence, scaling
from llmecon.errors import InputError
from llmecon.scaling import fit
from llmecon.tables import catalog
from tests.problems import all_finite

PUBLISHED = scaling.law("besiroglu-2024")


def made_up(noise: float, count: int = 60) -> pd.DataFrame:
    """Runs of two kinds of data whose laws differ in all but their exponents."""
    generator = np.random.default_rng(1)
    data = np.tile(["a", "b"], count)
    size = np.exp(generator.uniform(np.log(1e8), np.log(1e10), 2 * count))
    tokens = size * np.exp(generator.uniform(np.log(5), np.log(200), 2 * count))
    entropy, factor = np.where(data == "a", 1.7, 2.0), np.where(data == "a", 400.0, 500.0)
    exact = entropy + factor / size**0.34 + 2000.0 / tokens**0.36
    return pd.DataFrame(
        {
            "data": data,
            "parameters": size,
            "tokens": tokens,
            "loss": exact * np.exp(noise * generator.standard_normal(2 * count)),
        }
    )


@pytest.mark.slow
def test_a_fit_finds_the_laws_that_runs_were_made_by() -> None:
    found = fit.fit_laws(made_up(0.0), resamples=2)
    for name, entropy, factor in (("a", 1.7, 400.0), ("b", 2.0, 500.0)):
        law = found.law(name)
        assert float(law.entropy) == pytest.approx(entropy, rel=1e-3)
        assert float(law.size_factor) == pytest.approx(factor, rel=2e-2)
        assert float(law.size_exponent) == pytest.approx(0.34, rel=5e-3)
        assert float(law.data_exponent) == pytest.approx(0.36, rel=5e-3)
    assert found.spread < 1e-4
    assert found.rows == 120


@pytest.mark.slow
@pytest.mark.parametrize("one_exponent", [True, False])
def test_runs_that_were_trained_otherwise_leave_the_law_as_it_is(one_exponent: bool) -> None:
    """A factor on some losses is found, and the law is that of the others."""
    runs = made_up(1e-3)
    apart = np.arange(len(runs)) % 5 == 0
    bent = runs.assign(loss=runs["loss"] * np.where(apart, 0.97, 1.0))
    found = fit.fit_laws(bent, one_exponent=one_exponent, covariance="sandwich", apart=apart)
    plain = fit.fit_laws(runs, one_exponent=one_exponent, covariance="sandwich")
    assert found.factor == pytest.approx(0.97, abs=1e-3)
    assert plain.factor == 1.0
    assert found.covariance.shape == plain.covariance.shape
    for name in found.data:
        losses = [float(scaling.loss(of.law(name), 2e9, 1e11)) for of in (found, plain)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow
def test_the_law_of_the_figure_is_the_published_one() -> None:
    """Within one published standard error, and as uncertain as published."""
    fitted = fit.figure_fit()
    assert fitted.rows == 240
    law, ours = fitted.law(), fitted.standard_errors()
    theirs = scaling.standard_errors("besiroglu-2024")
    constants = {
        "E": (law.entropy, PUBLISHED.entropy),
        "A": (law.size_factor, PUBLISHED.size_factor),
        "B": (law.data_factor, PUBLISHED.data_factor),
        "alpha": (law.size_exponent, PUBLISHED.size_exponent),
        "beta": (law.data_exponent, PUBLISHED.data_exponent),
    }
    for name, (found, published) in constants.items():
        assert abs(float(found - published)) < 0.1 * theirs[name], name
        # Theirs are rounded to one digit, and their bootstrap of B has a long tail.
        assert 0.6 < ours[name] / theirs[name] < 1.3, name
    best = scaling.compute_optimal(law, 5.76e23)
    assert float(best.tokens_per_parameter) == pytest.approx(17.9, abs=0.1)


@pytest.mark.slow
def test_draws_are_joint() -> None:
    """B alone is uncertain by half; what it says together with its exponent is not."""
    fitted = fit.figure_fit()
    drawn = fitted.draws(500)
    logs = np.log(np.asarray(drawn.data_factor))
    assert np.corrcoef(logs, np.asarray(drawn.data_exponent))[0, 1] > 0.99
    losses = jax.vmap(lambda law: scaling.loss(law, 7e10, 1.4e12))(drawn)
    apart = np.asarray(drawn.data_factor)[::-1]
    torn = scaling.LossLaw(
        drawn.entropy, drawn.size_factor, apart, drawn.size_exponent, drawn.data_exponent
    )
    independent = jax.vmap(lambda law: scaling.loss(law, 7e10, 1.4e12))(torn)
    assert float(jnp.std(losses)) < 0.02
    assert float(jnp.std(independent)) > 3 * float(jnp.std(losses))
    ratio = jax.vmap(lambda law: scaling.compute_optimal(law, 5.76e23).tokens_per_parameter)(drawn)
    low, high = np.quantile(ratio, [0.05, 0.95])
    assert (low, high) == pytest.approx((9.0, 37.0), rel=0.15)
    all_finite(drawn)


def best_of_chinchilla(law: scaling.LossLaw) -> dict[str, Any]:
    best = scaling.compute_optimal(law, 5.76e23)
    return {"loss": best.loss, "ratio": best.tokens_per_parameter}


@pytest.mark.slow
def test_intervals_of_what_follows_from_a_law() -> None:
    found = evidence.intervals(best_of_chinchilla, fit.figure_fit().draws(400))
    assert 1.9 < found["loss"].low < found["loss"].high < 2.05
    assert found["ratio"].low < 17.9 < found["ratio"].high


@pytest.mark.slow
def test_the_bootstrap_and_the_sandwich_agree_to_a_factor() -> None:
    often, once = (fit.figure_fit(covariance=way) for way in ("bootstrap", "sandwich"))
    np.testing.assert_allclose(often.centre, once.centre)
    ratio = np.sqrt(np.diag(once.covariance) / np.diag(often.covariance))
    # Few runs lie within so narrow a knee, so that the curvature there is a matter of luck.
    assert np.all((ratio > 0.6) & (ratio < 1.9))


def test_the_outlying_runs_are_those_on_the_fewest_tokens() -> None:
    table = scaling.figure_runs()
    assert len(table) == 240
    assert table["tokens"].min() == 818_681_000


@pytest.mark.slow
def test_five_outlying_runs_would_bend_the_law() -> None:
    table = catalog.table("loss_measurements")
    law = fit.fit_laws(table[table["data"] == fit.FIGURE], covariance="sandwich").law()
    assert float(law.entropy) == pytest.approx(1.891, abs=2e-3)
    assert float(law.data_exponent) == pytest.approx(0.453, abs=2e-3)


def test_what_cannot_be_fitted_is_refused() -> None:
    runs = made_up(0.0, 4)
    with pytest.raises(InputError, match="at least 5 runs"):
        fit.fit_laws(runs)
    with pytest.raises(InputError, match="bootstrap, sandwich"):
        fit.fit_laws(made_up(0.0), covariance="guess")
    one = fit.LawFit(("a", "b"), np.zeros(8), np.eye(8), 0.1, 9, 0.0)
    with pytest.raises(InputError, match="a, b"):
        one.law("c")
    with pytest.raises(InputError, match="a, b"):
        one.law()
