"""Headline numbers, from declaration to collection."""

import json
import math

import nbformat
import pytest

from llmecon.publishing.prose import results, stored
from llmecon.publishing.prose.results import Headline


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would show, as notebook outputs."""
    outputs = []

    def display(data, metadata, raw):
        outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr(results, "display", display)
    return outputs


def write(outputs, path):
    cells = [nbformat.v4.new_code_cell("", outputs=[output]) for output in outputs]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_collected_as_declared(shown, tmp_path):
    first = Headline("cost", 3.25e6, "USD", "to train <it>")
    second = Headline("xpus", 2048, "xPUs", "at once", text="2,048 xPUs")
    results.headlines([first])
    results.headlines([second])
    assert stored.collect(write(shown, tmp_path / "x.ipynb")) == [first, second]
    assert first.text == "USD\N{NO-BREAK SPACE}3.25\N{NO-BREAK SPACE}million"


def test_shown_as_html_markdown_and_text(shown):
    results.headline("cost", 2.5, unit="USD", label="a <token>")
    (output,) = shown
    assert "a &lt;token&gt;" in output.data["text/html"]
    assert output.data["text/markdown"].startswith("- **USD")
    assert output.data["text/plain"].endswith("2.50: a <token>")


def test_a_name_is_never_markup(shown, monkeypatch):
    name = "<img src=x onerror=alert(1)>"
    results.headline("cost", 2.5, unit="USD", label=f"of {name}")
    (output,) = shown
    for kind in ("text/html", "text/markdown"):
        assert "<img" not in output.data[kind]
    said = []
    monkeypatch.setattr(results, "display", said.append)
    results.say(f"**{name}** takes 2 < 3 and <b>more</b>")
    assert said[0].data == "**&lt;img src=x onerror=alert(1)>** takes 2 < 3 and &lt;b>more&lt;/b>"


@pytest.mark.parametrize(
    ("value", "unit", "text", "low", "high", "said"),
    [
        (616, "xPUs", "616\N{NO-BREAK SPACE}xPUs", 610, 640, "90%: 610 to 640 xPUs"),
        (1, "xPUs", "1\N{NO-BREAK SPACE}xPU", 1, 1, ""),
        (163.2, "USD", "", 163.2, 163.2, ""),
        (11_000, "g", "", 10_000, 11_400, "90%: 10.0 to 11.4 kg"),
        (1.0, "fraction", "", 1.0, 1.0, ""),
    ],
)
def test_an_interval_is_in_the_number_s_unit_and_tells_its_ends(value, unit, text, low, high, said):
    found = Headline("n", value, unit, "", text=text, low=low, high=high).interval
    assert found.replace("\N{NO-BREAK SPACE}", " ") == said


def test_a_saving_of_less_than_nothing_is_told_with_its_sign_turned(shown, tmp_path):
    dearer = Headline("saving", -0.17, "fraction", "dearer", low=-1.29, high=0.44, turned=True)
    assert dearer.text == "17%"
    assert dearer.interval == "90%: −44% to 129%"
    results.headlines([dearer])
    assert stored.collect(write(shown, tmp_path / "x.ipynb")) == [dearer]


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_not_a_number_needs_an_explanation(value):
    with pytest.raises(ValueError, match=r"'volume'.*says why"):
        Headline("volume", value, "tokens", "break-even")
    explained = Headline("volume", value, "tokens", "break-even", text="never breaks even")
    assert explained.value is None


def test_names_are_unique(shown, tmp_path):
    results.headlines([Headline("cost", 1.0, "USD", "a"), Headline("cost", 2.0, "USD", "b")])
    with pytest.raises(ValueError, match="two headline numbers named 'cost'"):
        stored.collect(write(shown, tmp_path / "x.ipynb"))


def test_an_interval_is_shown_stored_and_listed(shown, tmp_path):
    results.headline("xpus", 2048, unit="xPUs", label="at once", low=1500, high=3100)
    (output,) = shown
    said = "90%: 1,500 to 3,100\N{NO-BREAK SPACE}xPUs"
    assert said in output.data["text/html"]
    assert f"({said}) at once" in output.data["text/markdown"]
    assert f"({said}) at once" in output.data["text/plain"]
    executed = write(shown, tmp_path / "x.ipynb")
    (found,) = stored.collect(executed)
    assert (found.low, found.high) == (1500.0, 3100.0)
    stored.write_table([("one", executed)], tmp_path / "table.json")
    (row,) = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert (row["low"], row["value"], row["high"]) == (1500.0, 2048.0, 3100.0)


def test_without_an_interval_nothing_is_said_of_it(shown):
    results.headline("xpus", 2048, unit="xPUs", label="at once")
    (output,) = shown
    assert not any("90%" in text for text in output.data.values())


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (2.0, 1.0, None),
        (2.0, None, 3.0),
        (2.0, 2.5, 3.0),
        (2.0, 1.0, 1.5),
        (2.0, math.nan, 3.0),
        (2.0, 1.0, math.inf),
        (None, 1.0, 3.0),
    ],
)
def test_an_interval_holds_its_number(value, low, high):
    with pytest.raises(ValueError, match=r"'cost'.*give it"):
        Headline("cost", value, "USD", "a", text="some", low=low, high=high)
