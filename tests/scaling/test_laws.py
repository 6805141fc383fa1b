from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmecon import scaling
from llmecon.errors import InputError
from tests.problems import all_finite

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)

HOFFMANN = scaling.law("hoffmann-2022")
REFIT = scaling.law("besiroglu-2024")
REPEATS = scaling.repetition_law()
KAPLAN = scaling.joint_power_law()
GADRE = scaling.over_training_law()
ERRORS = scaling.error_law()

logs = st.floats(0.0, 30.0)


def test_additive_loss_by_hand() -> None:
    # Chinchilla: 406.4 / 70e9**0.34 = 0.0836 and 410.7 / 1.4e12**0.28 = 0.1630.
    assert float(scaling.loss(HOFFMANN, 70e9, 1.4e12)) == pytest.approx(1.9366, abs=1e-4)


def test_a_worked_example_of_inference_aware_sizes() -> None:
    """Public code prints this loss for a model of 30 B on 1.556e12 tokens."""
    law = scaling.law("sardana-2023")
    assert float(scaling.loss(law, 3e10, 1.556e12)) == pytest.approx(1.958253, abs=2e-5)


def test_joint_power_loss_by_hand() -> None:
    # On infinite data (6.4e13 / 1e9)**0.076, and for an infinite model (1.8e13 / 1e9)**0.103.
    assert float(scaling.joint_power_loss(KAPLAN, 1e9, 1e30)) == pytest.approx(2.3188, abs=1e-4)
    assert float(scaling.joint_power_loss(KAPLAN, 1e30, 1e9)) == pytest.approx(2.7434, abs=1e-4)
    # (64000**0.73786 + 18000)**0.103 = (3518.6 + 18000)**0.103.
    assert float(scaling.joint_power_loss(KAPLAN, 1e9, 1e9)) == pytest.approx(2.7944, abs=1e-4)


def test_repetition_by_hand() -> None:
    # Four passes: 1 + 15.388 (1 - exp(-3 / 15.388)) = 3.7258 times the unique tokens.
    assert float(scaling.effective_tokens(REPEATS, 4e11, 1e11)) == pytest.approx(
        3.7258e11, rel=1e-4
    )
    # However often they repeat, no more than 16.39 times.
    assert float(scaling.effective_tokens(REPEATS, 1e20, 1e11)) == pytest.approx(
        16.387756e11, rel=1e-6
    )
    # One pass over what there is, or less, loses nothing.
    assert float(scaling.effective_tokens(REPEATS, 5e10, 1e11)) == 5e10


def test_parameters_that_suit_unique_tokens() -> None:
    """The paper rounds them to 0.051 a token; those beyond are worth up to 5.31 times as many."""
    suited = scaling.effective_parameters(REPEATS, 0.04 * 1e11, 1e11)
    assert float(suited) == pytest.approx(0.04 * 1e11)
    most = scaling.effective_parameters(REPEATS, 1e20, 1e11)
    assert float(most) / 6.309743e11 == pytest.approx(0.051, abs=5e-4)
    best = scaling.compute_optimal(REPEATS.law, 6e22)
    assert float(best.parameters / best.tokens) == pytest.approx(0.051, abs=5e-4)


def test_data_that_do_not_repeat_follow_the_additive_law() -> None:
    few_parameters = 0.05 * 1e11
    repeated = scaling.repeated_loss(REPEATS, few_parameters, 1e11, 1e30)
    assert float(repeated) == pytest.approx(float(scaling.loss(REPEATS.law, few_parameters, 1e11)))


def test_over_training_by_hand() -> None:
    # 6 * 1e9 * 2e10 FLOP: C**-0.136 = 0.0018588; 20 tokens a parameter: M**0.136 = 1.50293.
    found = float(scaling.over_trained_loss(GADRE, 1.2e20, 20.0))
    assert found == pytest.approx(1.84 + (212 * 1.50293 + 367 / 1.50293) * 0.0018588, abs=1e-4)


@few
@given(st.floats(7.0, 13.0), st.floats(8.0, 15.0))
def test_over_training_is_the_additive_law_with_one_exponent(size: float, data: float) -> None:
    parameters, tokens = 10.0**size, 10.0**data
    law = REPEATS.law
    found = scaling.over_trained_loss(
        scaling.as_over_training(law), 6.0 * parameters * tokens, tokens / parameters
    )
    assert float(found) == pytest.approx(float(scaling.loss(law, parameters, tokens)))


def test_errors_by_hand() -> None:
    # 0.857 - 2.21 exp(-0.715 * 3) = 0.857 - 2.21 * 0.11707.
    assert float(scaling.average_error(ERRORS, 3.0)) == pytest.approx(0.59827, abs=1e-4)


FORMS: list[tuple[Any, Any, tuple[float, ...]]] = [
    (scaling.loss, REFIT, (1e9, 2e10)),
    (scaling.joint_power_loss, KAPLAN, (1e9, 2e10)),
    (scaling.repeated_loss, REPEATS, (1e10, 1e12, 1e11)),
    (scaling.over_trained_loss, GADRE, (1e20, 80.0)),
    (scaling.average_error, ERRORS, (2.7,)),
]


@pytest.mark.parametrize(("form", "law", "at"), FORMS, ids=lambda of: getattr(of, "__name__", ""))
def test_gradients_are_finite_differences(form: Any, law: Any, at: tuple[float, ...]) -> None:
    leaves, built = jax.tree.flatten((law, *at))
    centre = np.array([float(leaf) for leaf in leaves])

    def of(logs: Any) -> Any:
        held, *rest = jax.tree.unflatten(built, list(jnp.exp(logs)))
        return form(held, *rest)

    slopes = jax.jit(jax.grad(of))(np.log(centre))
    compiled = jax.jit(jax.vmap(of))
    steps = 1e-5 * np.eye(len(centre))
    difference = (compiled(np.log(centre) + steps) - compiled(np.log(centre) - steps)) / 2e-5
    np.testing.assert_allclose(slopes, difference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("form", "law", "at"), FORMS[:3], ids=lambda of: getattr(of, "__name__", "")
)
def test_finite_over_the_declared_range(form: Any, law: Any, at: tuple[float, ...]) -> None:
    corners = np.array(np.meshgrid(*[[scaling.LEAST, 1e12, scaling.MOST]] * len(at)))
    places = corners.reshape(len(at), -1)
    values = jax.vmap(jax.value_and_grad(form, argnums=(0, 1)), in_axes=(None, *[0] * len(at)))
    all_finite(values(law, *places))


@few
@given(logs, logs, st.floats(0.0, 5.0), st.sampled_from(["size", "data"]))
def test_more_never_makes_loss_higher(size: float, data: float, more: float, what: str) -> None:
    grown = (size + more, data) if what == "size" else (size, data + more)
    for form, law in ((scaling.loss, REFIT), (scaling.joint_power_loss, KAPLAN)):
        before = form(law, 10.0**size, 10.0**data)
        after = form(law, *(10.0**of for of in grown))
        assert after <= before * (1.0 + 1e-12)


@few
@given(st.floats(6.0, 13.0), st.floats(8.0, 13.0), st.floats(0.0, 4.0), st.floats(0.1, 4.0))
def test_repeated_tokens_are_worth_less_than_fresh_ones_and_never_harm(
    size: float, unique: float, passes: float, more: float
) -> None:
    once = 10.0**unique
    seen, longer = once * 10.0**passes, once * 10.0 ** (passes + more)
    worth = scaling.effective_tokens(REPEATS, seen, once)
    assert once * (1 - 1e-12) <= worth <= seen * (1 + 1e-12)
    lost = scaling.repeated_loss(REPEATS, 10.0**size, seen, once)
    assert scaling.repeated_loss(REPEATS, 10.0**size, longer, once) <= lost * (1 + 1e-12)


def test_unknown_laws_and_laws_of_another_form_are_refused() -> None:
    with pytest.raises(InputError, match="hoffmann-2022"):
        scaling.law("hofman-2022")
    with pytest.raises(InputError, match="another form"):
        scaling.law("kaplan-2020")
