"""Asking a chapter without its notebook: from the command line and from Python."""

import json
import re
from dataclasses import replace

import pytest

import llmecon
from llmecon import paths, questions
from llmecon.cli import main
from llmecon.errors import InputError
from llmecon.studies.quantities import Quantity


def test_a_chapter_answers_from_python() -> None:
    found = llmecon.ask("carbon", xpu="mi300x")
    assert found.parameters["xpu"] == "mi300x"
    assert found.parameters["model"] == "llama-3.1-70b"
    total = found.quantities["g_co2e_per_request"]
    assert found["g_co2e_per_request"] == total.value
    assert total.unit == "g"
    assert total.low < total.value < total.high
    assert total.elasticities["rated power"] > 0
    assert "CO₂e" in found.sentence


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["ask", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_chapter_answers_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = asked(capsys, "carbon", "-p", "xpu", "mi300x", "--json")
    assert status == 0
    found = json.loads(out)
    again = llmecon.ask("carbon", xpu="mi300x")
    assert {of["name"]: of["value"] for of in found["quantities"]} == {
        name: of.value for name, of in again.quantities.items()
    }
    status, out, _ = asked(capsys, "carbon", "-p", "xpu", "mi300x")
    assert status == 0
    assert "(90%: " in out
    assert "1% more of these" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["carbn"], "carbon"),
        (["carbon", "-p", "xpu", "h1000"], "h100"),
        (["carbon", "-p", "prompt_tokens", "-3"], "from 1 to 1e+06"),
        (["carbon", "-p", "grid", "fra", "-p", "grid", "deu"], "given twice"),
    ],
)
def test_bad_questions_get_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, error = asked(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_from_python_too_bad_input_is_one_error() -> None:
    with pytest.raises(InputError, match="prompt_tokens"):
        llmecon.ask("carbon", prompt_tokens=-3)


@pytest.mark.slow
def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, {})
    assert "emits" in capsys.readouterr().out


def test_what_hardly_moves_a_number_is_not_told() -> None:
    effects = {"rent": 1.0, "memory": -0.3, "links": 0.004, "arithmetic": -0.0}
    of = Quantity("cost", 2.0, "USD", "a month", elasticities=effects)
    asked = questions.Asked("carbon", {}, "It costs **much**.", {"cost": of})
    assert asked.lines()[0] == "It costs much."
    assert asked.lines()[-1] == "  1% more of these changes it by: rent +1.00%, memory -0.30%"
    still = questions.Asked("carbon", {}, "", {"cost": replace(of, elasticities={"links": 0.001})})
    assert still.lines()[-1].startswith("cost: ")
