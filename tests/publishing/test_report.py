"""The report of one chapter in one file."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.publishing.build import report
from llmecon.publishing.prose import stored
from tests.conftest import BODY, write_book, write_notebook

pytestmark = pytest.mark.slow  # a book of one chapter is built


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of a toy chapter, made once."""
    root = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_book(root / "toy", monkeypatch)
        tricky = 'print("</script><script src=x.js>")'
        notebook = root / "toy" / "notebooks" / "fast_one.ipynb"
        write_notebook(notebook, BODY, tricky, title="A fast one")
        content = nbformat.read(notebook, as_version=4)
        content.cells[0].source += "\n\nWait for {term}`TTFT`; see {doc}`slow-one`."
        nbformat.write(content, notebook)
        of = scenario.chapter("fast-one")
        values = scenario.validate(of, {"deadline_days": 30})
        return report.make(of, values, root / "output", print)


def test_folder_holds_notebook_report_and_scenario(made):
    names = sorted(file.name for file in made.parent.iterdir())
    assert names == ["fast-one.html", "fast-one.ipynb", "fast-one.yaml"]
    (headline,) = stored.collect(made.with_suffix(".ipynb"))
    assert headline.value == 30.0
    assert "deadline_days: 30.0" in made.with_suffix(".yaml").read_text()


def test_report_refers_to_no_other_file(made):
    html = made.read_text()
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.select("script[src], link[rel~=stylesheet], iframe, form")
    for image in soup.find_all(src=True):
        assert str(image["src"]).startswith("data:")
    for link in soup.find_all(href=True):
        assert str(link["href"]).startswith(("#", "data:", "http")), link
    for style in soup.find_all("style"):
        assert not re.search(r"@import|url\((?!\"?(?:data:|#))", style.string)
    assert len(html) < 4e6


def test_report_follows_the_parameters_and_keeps_the_terms_it_uses(made):
    text = BeautifulSoup(made.read_text(), "html.parser").get_text(" ")
    assert "30\N{NO-BREAK SPACE}days" in text
    assert "Time to first token." in text
    assert "</script><script src=x.js>" in text


def test_earlier_report_stays_when_a_new_one_fails(made, toy_book):
    before = {file.name: file.read_bytes() for file in made.parent.iterdir()}
    refusal = "class InputError(ValueError): ...\n\nraise InputError('too small')"
    write_notebook(toy_book / "notebooks" / "fast_one.ipynb", refusal, title="A fast one")
    of = scenario.chapter("fast-one")
    with pytest.raises(InputError, match="too small"):
        report.make(of, scenario.validate(of, {}), made.parent, print)
    assert {file.name: file.read_bytes() for file in made.parent.iterdir()} == before


def test_a_report_sets_no_source_that_it_does_not_name(tmp_path):
    entries = {key: f"@misc{{{key},\n  year = {{2024}},\n}}\n\n" for key in ("A2024", "B2024")}
    (tmp_path / "references.bib").write_text("".join(entries.values()))
    (tmp_path / "glossary.md").write_text("As measured {cite}`A2024`.")
    chapter = tmp_path / "one.ipynb"
    chapter.write_text("{}")
    report._keep_cited(tmp_path, chapter)
    assert (tmp_path / "references.bib").read_text() == entries["A2024"]
