"""The check of an answer, by a key of made-up numbers and by the command that readers use."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import teaching
from llmecon.errors import InputError
from llmecon.teaching import Key, Mistake, judge

KEY = Key(
    100.0,
    (
        Mistake("bits-for-bytes", "A byte has eight bits.", 800.0),
        Mistake("sparse-peak", "Take the dense peak.", 50.0),
        Mistake("fp8-peak", "Take the rate of bf16.", 50.4),
        Mistake("total-for-active", "Count active weights.", 101.0),
        Mistake("prompt-forgotten", "Count the prompt.", math.nan),
    ),
)


@pytest.mark.parametrize(
    ("answer", "right", "mistake", "said"),
    [
        (100.0, True, None, "Right."),
        (102.0, True, None, "Right."),
        (101.0, True, None, "Right."),  # though a mistake leads there as well
        (800.0, False, "bits-for-bytes", "Not yet. A byte has eight bits."),
        (50.2, False, "sparse-peak,fp8-peak", "Take the dense peak. Take the rate of bf16."),
        (49.1, False, "sparse-peak", "Not yet. Take the dense peak."),
        (100e9, False, None, "power of ten"),
        (0.1, False, None, "power of ten"),
        (140.0, False, None, "too high"),
        (-100.0, False, None, "too low"),
        (0.0, False, None, "too low"),
    ],
)
def test_verdicts(answer: float, right: bool, mistake: str | None, said: str) -> None:
    verdict = judge(KEY, 0.02, answer)
    assert (verdict.right, verdict.mistake) == (right, mistake)
    assert said in verdict.says


def test_a_verdict_reads_well() -> None:
    assert repr(judge(KEY, 0.02, 100.0)) == "Right."
    assert judge(KEY, 0.02, 100.0)._repr_markdown_() == "**Right.**"
    assert judge(KEY, 0.02, 800.0)._repr_markdown_() == "**Not yet.** A byte has eight bits."


@pytest.mark.parametrize("number", [np.float32(3.0), np.array(3.0), jnp.asarray(3.0), 3, "3"])
def test_numbers_of_any_kind_are_checked(number: Any) -> None:
    assert not teaching.check("xpu-needs-1", number).right


@pytest.mark.parametrize(
    ("identifier", "answer", "given", "said"),
    [
        ("xpu-need-1", 1.0, {}, "nearest: xpu-needs-1"),
        ("xpu-needs-1", "many", {}, "takes a number"),
        ("xpu-needs-1", None, {}, "takes a number"),
        ("xpu-needs-1", True, {}, "takes a number"),
        ("xpu-needs-1", [1.0, 2.0], {}, "takes a number"),
        ("xpu-needs-1", math.nan, {}, "finite"),
        ("xpu-needs-1", 10**400, {}, "takes a number"),
        ("xpu-needs-1", 1.0, {"trainning_tokens": 1e12}, "nearest: training_tokens"),
        ("xpu-needs-1", 1.0, {"training_tokens": -1.0}, "training_tokens: -1.0 is refused"),
        ("xpu-needs-1", 1.0, {"model": "lama-3.1-70b"}, "llama-3.1-70b"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    identifier: str, answer: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        teaching.check(identifier, answer, **given)
    assert "\n" not in str(refused.value)


def test_an_unknown_chapter_is_refused() -> None:
    with pytest.raises(InputError, match="nearest: xpu-needs"):
        teaching.exercises("xpu-need")


@pytest.mark.slow
def test_parameters_change_the_answer() -> None:
    half = teaching.check("xpu-needs-1", 6 * 69.5e9 * 7.5e12, training_tokens=7.5e12)
    assert half.right
    assert not teaching.check("xpu-needs-1", 6 * 69.5e9 * 7.5e12).right


def test_students_differ_and_nobody_changes() -> None:
    ada = teaching.vary("xpu-needs", 2026, "Ada Lovelace")
    assert ada == teaching.vary("xpu-needs", 2026, "Ada Lovelace")
    # Written down, since a hash that differs between processes would pass the line above.
    assert ada == {
        "training_tokens": 12e12,
        "prompt_tokens": 1800.0,
        "output_tokens": 180.0,
        "peak_to_mean": 3.0,
    }
    students = [f"student {n}" for n in range(100)]
    drawn = [tuple(teaching.vary("xpu-needs", 2026, name).values()) for name in students]
    assert len(set(drawn)) > 50
    others = [tuple(teaching.vary("xpu-needs", 2027, name).values()) for name in students]
    assert drawn != others
    for place, (name, values) in enumerate(teaching.variants("xpu-needs").items()):
        assert {values_[place] for values_ in drawn} == set(values), name


def test_a_seed_is_a_whole_number() -> None:
    with pytest.raises(InputError, match="whole number"):
        teaching.vary("xpu-needs", 1.5, "Ada")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "precise"), [(teaching.turning_point, 1e-12), (teaching.first_of_many, 1e-6)]
)
def test_where_a_condition_begins_to_hold(search: Any, precise: float) -> None:
    found = search(lambda x: x**2 >= 10.0, 1e-3, 1e6)
    assert found == pytest.approx(math.sqrt(10.0), rel=precise)
    assert found**2 >= 10.0
    assert math.isnan(search(lambda x: x < math.inf, 1.0, 2.0))
    assert math.isnan(search(lambda x: x > 3.0, 1.0, 2.0))
