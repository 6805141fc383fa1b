"""Every exercise: its solution is right, its mistakes are recognised, nothing wrong passes."""

import math
import re
from typing import Any

import numpy as np
import pytest

from llmecon import paths, teaching
from llmecon.errors import InputError
from llmecon.publishing import exercises, prose
from llmecon.teaching import judging
from llmecon.teaching.checking import CHAPTERS
from llmecon.teaching.records import KINDS, Exercise
from tests.teaching.solutions import EXERCISES, NUMBERED, VARIANTS, parameters, solution, verdict

IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "xpu-needs": {
        "model": "llama-3.1-405b",
        "deadline_days": 20.0,
        "ttft_limit_s": 0.05,
        "spare_instances": 0,
    },
    "hardware-choice": {"xpus": "h100-sxm", "rival": "h100-sxm", "long_share": 0.0},
    "rag-vs-ft": {"changes_per_month": 0.0, "known": 0.0},
    "carbon": {"training_tokens": 0.0, "requests_per_second": 0.02},
    "tokenomics": {
        "model": "llama-3.1-8b",
        "xpu": "l4",
        "requests_per_second": 0.05,
        "tpot_limit_s": 0.2,
        "ttft_limit_s": 10.0,
        "spare_instances": 3,
    },
    "scaling-laws": {"served_tokens": 0.0},
    "reasoning-agents": {"reasoning_tokens": 0.0, "turns": 1.0},
    "accelerator-design": {"xpu": "tpu-v6e", "tpot_limit_s": 0.0005},
}
"""Parameters of a chapter under which some of its exercises have no answer."""

every_exercise = pytest.mark.parametrize("of", EXERCISES, ids=lambda of: of.id)
every_number = pytest.mark.parametrize("of", NUMBERED, ids=lambda of: of.id)
variants = pytest.mark.parametrize(
    "variant", [VARIANTS[0], *(pytest.param(of, marks=pytest.mark.release) for of in VARIANTS[1:])]
)
every_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


@every_chapter
def test_exercises_are_numbered_and_of_several_kinds(chapter: str) -> None:
    found = teaching.exercises(chapter)
    assert [of.id for of in found] == [f"{chapter}-{n}" for n in range(1, len(found) + 1)]
    assert {of.chapter for of in found} == {chapter}
    kinds = [of.kind for of in found]
    assert set(kinds) <= set(KINDS)
    assert {"paper", "code", "panel", "open"} <= set(kinds)
    assert 4 <= len(found) <= 6


@every_exercise
def test_what_an_exercise_declares_fits_together(of: Exercise) -> None:
    assert (of.key is None) == (of.kind == "open")
    assert of.minutes > 0
    if of.key:
        assert 0.0 < of.tolerance <= 0.1
        assert of.unit


@every_chapter
def test_words_stand_where_exercises_are_looked_for(chapter: str) -> None:
    numbers = range(1, len(teaching.exercises(chapter)) + 1)
    expected = {f"{part}_{n}" for part in ("question", "solution") for n in numbers}
    assert prose.blocks(chapter, exercises.FOLDER) == expected


@pytest.mark.slow
@variants
@every_number
def test_a_solution_passes_its_own_check(of: Exercise, variant: str) -> None:
    found = verdict(of, variant)
    assert found.right, found.says


@pytest.mark.slow
@every_number
def test_a_solution_is_a_few_lines(of: Exercise) -> None:
    lines = [line for line in solution(of, "defaults").splitlines() if line]
    assert 3 <= len(lines) <= 10
    assert max(map(len, lines)) <= 95


@pytest.mark.slow
@variants
@every_number
def test_every_mistake_is_recognised(of: Exercise, variant: str) -> None:
    given = parameters(of.chapter, variant)
    key = teaching.key_of(of, teaching.resolved(of.chapter, **given))
    assert len({mistake.name for mistake in key.mistakes}) == len(key.mistakes)
    for mistake in judging.possible(key):
        verdict = teaching.check(of.id, mistake.value, **given)
        if judging.near(mistake.value, key.answer, of.tolerance):
            assert verdict.right  # as where all weights are active
        else:
            assert mistake.name in (verdict.mistake or "").split(",")
            assert mistake.says in verdict.says


@pytest.mark.slow
@every_number
def test_mistakes_can_be_made_and_dont_tell_the_answer(of: Exercise) -> None:
    key = teaching.key_of(of, teaching.resolved(of.chapter))
    away = [
        mistake
        for mistake in judging.possible(key)
        if not judging.near(mistake.value, key.answer, of.tolerance)
    ]
    assert len(away) >= 2
    for mistake in key.mistakes:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mistake.name)
        assert mistake.says[0].isupper()
        assert mistake.says.endswith(".")
        assert f"{key.answer:.3g}" not in mistake.says


@pytest.mark.slow
@every_number
def test_no_wrong_answer_passes(of: Exercise) -> None:
    right = teaching.key_of(of, teaching.resolved(of.chapter)).answer
    random = np.random.default_rng(of.number)
    off = of.tolerance * (1.001 + random.exponential(5.0, 200))
    for answer in [*(right * (1.0 + off)), *(right * (1.0 - off)), 0.0, -right]:
        assert not teaching.check(of.id, answer).right
    for answer in right * (1.0 + of.tolerance * random.uniform(-0.999, 0.999, 50)):
        assert teaching.check(of.id, answer).right


@pytest.mark.slow
@every_chapter
def test_an_answer_of_other_parameters_is_another(chapter: str) -> None:
    numbered = [of for of in teaching.exercises(chapter) if of.key]
    given = parameters(chapter, "a student's")
    for of in numbered:
        default, varied = (
            teaching.key_of(of, teaching.resolved(chapter, **chosen)).answer
            for chosen in ({}, given)
        )
        assert not judging.near(varied, default, of.tolerance), of.id


@pytest.mark.release
@every_chapter
def test_every_exercise_has_an_answer_at_the_ends_of_its_variants(chapter: str) -> None:
    """Where each parameter is least, where each is greatest, and where one alone differs."""
    values = teaching.variants(chapter)
    corners = [{name: of[0] for name, of in values.items()}]
    corners += [{name: of[-1] for name, of in values.items()}]
    corners += [{name: value} for name, of in values.items() for value in of]
    for corner in corners:
        study = teaching.resolved(chapter, **corner)
        for of in teaching.exercises(chapter):
            if of.key:
                assert math.isfinite(teaching.key_of(of, study).answer), corner


@pytest.mark.slow
@pytest.mark.parametrize("chapter", IMPOSSIBLE)
def test_what_has_no_answer_says_so(chapter: str) -> None:
    study = teaching.resolved(chapter, **IMPOSSIBLE[chapter])
    told = [exercises.markdown(of, study) for of in teaching.exercises(chapter)]
    assert any("no answer" in text for text in told)
    for text in told:
        assert "unknown" not in text
        assert "nan" not in re.findall(r"[a-z]+", text)
    numbered = [of for of in teaching.exercises(chapter) if of.key]
    refused = [of for of, text in zip(numbered, told, strict=False) if "no answer" in text]
    for of in refused:
        with pytest.raises(InputError, match="has no answer"):
            teaching.check(of.id, 1.0, **IMPOSSIBLE[chapter])


@every_chapter
def test_variants_are_parameters_of_the_chapter(chapter: str) -> None:
    declared = {p.name: p for p in teaching.checking.declared(chapter).parameters()}
    for name, values in teaching.variants(chapter).items():
        assert len(set(values)) == len(values) >= 2
        assert all(isinstance(value, declared[name].type) for value in values)


@pytest.mark.parametrize(
    "file", sorted((paths.NOTEBOOKS / "prose" / "exercises").glob("*")), ids=lambda of: of.name
)
def test_no_words_without_exercises(file) -> None:
    assert file.stem.removesuffix("_quiz").replace("_", "-") in CHAPTERS
