"""How exercises and quizzes are shown, and what a file of questions may hold."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing import exercises, prose, quizzes
from llmecon.teaching import Exercise, Key, Mistake
from llmecon.teaching.checking import CHAPTERS

WORDS = """\
{% block question_1 %}
How many, for {{ study.name }}, of $n$?
{% endblock %}
{% block solution_1 %}
This many:

```python
if 1 <two:
    answer = {{ key.answer }}
```

| a | b |
|---|---|
| 1 | 2 |
{% endblock %}
"""

QUESTION = {
    "question": "How many of {{ study.name }}?",
    "choices": [
        {"says": "One", "why": "That is too few."},
        {"says": "Two", "right": True},
        {"says": "Three", "why": "That is too many."},
    ],
}


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for words of a made-up chapter, in place of the book's."""
    folder = tmp_path / "prose" / "exercises"
    folder.mkdir(parents=True)
    (folder / "toy.md").write_text(WORDS)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    prose.templates._templates.cache_clear()
    yield folder
    prose.templates._templates.cache_clear()


def exercise(answer: float) -> Exercise:
    key = Key(answer, (Mistake("too-few", "Count all.", float("nan")),))
    return Exercise("toy-1", "toy", "Count", "paper", 5, "things", 0.01, lambda study: key)


STUDY = SimpleNamespace(name="<b>us</b>")


def test_an_exercise_keeps_its_code_and_its_lines(words: Path) -> None:
    made = exercises.markdown(exercise(3.0), STUDY)
    assert "**Exercise 1: Count.** *On paper, about 5 minutes.*" in made.replace("\xa0", " ")
    assert "for &lt;b>us&lt;/b>, of $n$?" in made
    assert "```python\nif 1 <two:\n    answer = 3.0\n```" in made
    assert "\n| 1 | 2 |\n" in made
    assert exercises.solution_code(exercise(3.0), STUDY) == ["if 1 <two:\n    answer = 3.0\n"]
    # A blank line would end the HTML in Markdown.
    assert "\n" not in exercises.box(exercise(3.0), Key(3.0))


def test_an_exercise_without_an_answer_says_so(words: Path) -> None:
    made = exercises.markdown(exercise(float("nan")), STUDY)
    assert "no answer" in made
    assert "<form" not in made
    assert "Solution" not in made


def test_a_question_is_filled_in_and_escaped(words: Path) -> None:
    (words / "toy_quiz.yaml").write_text(json.dumps([QUESTION] * quizzes.QUESTIONS))
    quiz = quizzes.quiz("toy", STUDY)
    assert quiz.questions[0].question == "How many of <b>us</b>?"
    assert "1. How many of &lt;b&gt;us&lt;/b&gt;?" in quiz.markup
    assert "too few" not in quiz.markup  # a wrong choice's reason isn't read beforehand
    assert quiz._repr_mimebundle_()["text/plain"].endswith("5. Two.")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"choices": QUESTION["choices"][:2]}, "at least 3"),
        ({"choices": [*QUESTION["choices"], {"says": "Four"}]}, "says why it is wrong: Four"),
        ({"choices": [*QUESTION["choices"], {"says": "Four", "right": True}]}, "one choice"),
        ({"choices": [*QUESTION["choices"], QUESTION["choices"][0]]}, "say the same"),
        ({"question": ""}, "at least 1 character"),
        ({"answer": 2}, "Extra inputs"),
    ],
)
def test_what_is_no_quiz_is_refused(words: Path, changed: dict[str, object], said: str) -> None:
    questions = [QUESTION] * (quizzes.QUESTIONS - 1) + [QUESTION | changed]
    (words / "toy_quiz.yaml").write_text(json.dumps(questions))
    with pytest.raises(InputError, match=said) as refused:
        quizzes.read("toy")
    assert "\n" not in str(refused.value)


def test_a_quiz_has_its_number_of_questions(words: Path) -> None:
    (words / "toy_quiz.yaml").write_text(json.dumps([QUESTION]))
    with pytest.raises(InputError, match="5 questions, and this has 1"):
        quizzes.read("toy")
    with pytest.raises(InputError, match="can't be read"):
        quizzes.read("other")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_quizzes_of_the_book_are_quizzes(chapter: str) -> None:
    assert len(quizzes.read(chapter)) == quizzes.QUESTIONS
