"""Questions before answers: what a guess is told, and what the page holds without a script."""

import json
import re

import pytest

from llmecon.publishing.guesses import PLACES, Guess, verdict

ASKED = Guess("How many?", 23.4, "times", 1.0, 100.0, interval="90%: 18 to 30 times", told="more")


@pytest.mark.parametrize(
    ("guess", "value", "unit", "said"),
    [
        (20.0, 22.0, "times", "Right, within 15%."),
        (10.0, 22.0, "times", "2.2 times too low."),
        (100.0, 22.0, "tokens", "4.5 times too high."),
        (15.0, 22.0, "times", "32% too low."),
        (30.0, 22.0, "times", "36% too high."),
        (0.70, 0.68, "fraction", "Right, to a few points."),
        (0.10, 0.68, "fraction", "58 points too low."),
        (0.74, 0.70, "fraction", "4 points too high."),
        (0.0, 0.5, "fraction", "50 points too low."),
    ],
)
def test_how_far_off_a_guess_is(guess: float, value: float, unit: str, said: str) -> None:
    assert verdict(guess, value, unit).replace("\xa0", " ") == said


def test_places_go_from_end_to_end() -> None:
    assert len(ASKED.places) == PLACES
    assert ASKED.places[0][0].replace("\xa0", " ") == "1 times"
    assert ASKED.places[-1][0].replace("\xa0", " ") == "100 times"
    assert any("Right" in off for _, off in ASKED.places)
    assert ASKED.places[0][1].endswith("too low.")
    assert ASKED.places[-1][1].endswith("too high.")


@pytest.mark.parametrize("value", [0.01, 5.0, 4000.0])
def test_any_answer_can_be_guessed(value: float) -> None:
    wide = Guess("How many?", value, "times", 1.0, 100.0)
    assert any("Right" in off for _, off in wide.places)


def test_a_page_without_a_script_has_question_and_answer() -> None:
    html = ASKED.markup
    assert "How many?" in html
    assert re.search(r"<details><summary>The answer</summary>.*<strong>23\xa0times</strong>", html)
    assert "<form hidden>" in html  # a control that does nothing isn't shown
    text = ASKED._repr_mimebundle_()["text/plain"]
    assert "The answer: 23" in text
    assert "90%: 18 to 30" in text


def test_text_cannot_end_the_markup() -> None:
    wicked = Guess("</p><script>", 0.5, "fraction", 0.0, 1.0, told="</details>", log=False)
    inner = re.search(r'<script type="application/json">(.*?)</script>', wicked.markup)
    assert inner
    assert len(json.loads(inner[1])) == PLACES
    assert "&lt;/p&gt;&lt;script&gt;" in wicked.markup
    assert wicked.markup.count("</details>") == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_what_has_no_place_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no guess"):
        Guess("How many?", value, "times", 1.0, 100.0)
