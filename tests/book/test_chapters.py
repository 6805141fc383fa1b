"""Every chapter executed at the parameter sets, and what it says compared with what it computed."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest

from llmecon import paths
from llmecon.publishing import scenario
from llmecon.publishing.build import execute
from llmecon.publishing.prose import stored
from llmecon.tables import catalog

SETS = {"default": (), "course": pytest.mark.release, "mixture": pytest.mark.release}
CHAPTERS = [chapter.slug for chapter in scenario.chapters()]

pytestmark = pytest.mark.site


@pytest.fixture(scope="session")
def executed() -> Callable[[str, str], Path]:
    """The executed notebook of a parameter set and a chapter, which a build has made already."""

    @cache
    def find(name: str, slug: str) -> Path:
        parameters = scenario.load(paths.BOOK / "parameters" / f"{name}.yaml")
        chapter = scenario.chapter(slug)
        run = execute.Execution(
            chapter,
            scenario.validate(chapter, parameters.values(chapter)),
            paths.BUILD / "executed" / name / f"{slug}.ipynb",
        )
        execute.execute([run], print)
        return run.output

    return find


@pytest.fixture(
    params=[
        pytest.param((name, slug), marks=marks, id=f"{name}-{slug}")
        for name, marks in SETS.items()
        for slug in CHAPTERS
    ]
)
def run(
    request: pytest.FixtureRequest, executed: Callable[[str, str], Path]
) -> tuple[list[str], nbformat.NotebookNode]:
    """Ids of the models that a chapter was given, and the chapter as executed."""
    name, slug = request.param
    chapter = scenario.chapter(slug)
    parameters = scenario.load(paths.BOOK / "parameters" / f"{name}.yaml")
    values = scenario.validate(chapter, parameters.values(chapter))
    models = [str(values[of.name]) for of in chapter.parameters if of.table == "models"]
    return models, nbformat.read(executed(name, slug), as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def prose(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(
        output.data["text/markdown"]
        for output in outputs(notebook)
        if "text/markdown" in output.get("data", {})
    )


def test_runs_to_the_end_without_errors_or_warnings(
    run: tuple[list[str], nbformat.NotebookNode],
) -> None:
    _, notebook = run
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            if output.output_type == "stream":
                assert output.name == "stdout", output.text
                assert re.search(r"^print\(", cell.source, re.MULTILINE), output.text


def test_speaks_of_the_models_it_was_given(run: tuple[list[str], nbformat.NotebookNode]) -> None:
    models, notebook = run
    shown = prose(notebook) + "".join(str(of.get("data", {})) for of in outputs(notebook))
    known = catalog.table("models").set_index("id")["name"]
    if not set(models) <= set(known.index):  # a word that stands for whichever model fits
        assert any(name in prose(notebook) for name in known)
        return
    names = [str(known[model]) for model in models]
    assert any(name in prose(notebook) for name in names)
    assert all(name in shown for name in names)


def test_no_sentence_holds_a_number_that_failed(
    run: tuple[list[str], nbformat.NotebookNode],
) -> None:
    _, notebook = run
    sentences = re.sub(r"^```.*?^```$", "", prose(notebook), flags=re.MULTILINE | re.DOTALL)
    printed = [output.text for output in outputs(notebook) if output.output_type == "stream"]
    told = "\n".join([sentences, *printed])
    failed = re.findall(r".*\b(?:nan|NaN|inf|None|unknown|e\+\d\d)\b.*", told)
    assert not failed


def test_every_chart_is_described(run: tuple[list[str], nbformat.NotebookNode]) -> None:
    _, notebook = run
    charts = [
        output.data["text/html"]
        for output in outputs(notebook)
        if "llmecon-chart" in output.get("data", {}).get("text/html", "")
    ]
    assert len(charts) >= 5
    assert all(re.search(r'role="img" aria-label="[^"]{20,}"', chart) for chart in charts)


def test_every_figure_and_table_says_where_its_numbers_come_from(
    run: tuple[list[str], nbformat.NotebookNode],
) -> None:
    _, notebook = run
    shown = [output.get("data", {}).get("text/html", "") for output in outputs(notebook)]
    shown = [of for of in shown if "llmecon-figure" in of or "<table" in of]
    assert len(shown) >= 5
    for of in shown:
        assert re.search(r'class="llmecon-sources".*class="llmecon-(rows|measured)"', of), of[:300]
        assert "Computed by llmecon" in of
        assert "llmecon-figure" in of or 'class="llmecon-csv" download=' in of


@pytest.mark.release
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_headline_numbers_follow_the_parameters(
    chapter: str, executed: Callable[[str, str], Path]
) -> None:
    first, second = (
        {h.name: h.value for h in stored.collect(executed(name, chapter))} for name in SETS
    )
    assert first.keys() == second.keys()
    assert len(first) >= 4
    changed = [name for name in first if first[name] != second[name]]
    assert len(changed) > len(first) / 2


# A price that others ask is what it is; a break-even that some draws never reach has no upper end;
# the bare run is what the whole one would be if nothing failed, and only that one is a forecast.
WITHOUT_INTERVAL = {"usd_per_mtok_api", "break_even_requests_per_day", "bare_xpus", "bare_hours",
                    "usd_per_thousand_equal"}  # fmt: skip


@pytest.mark.parametrize("chapter", [slug for slug in CHAPTERS if slug != "validation"])
def test_headline_numbers_carry_intervals(
    chapter: str, executed: Callable[[str, str], Path]
) -> None:
    shown = stored.collect(executed("default", chapter))
    bare = {h.name for h in shown if h.value is not None and h.low is None}
    assert bare <= WITHOUT_INTERVAL
    assert any(h.low is not None and h.high is not None and h.low < h.high for h in shown)


def test_the_rival_that_is_chosen_is_on_sale(executed: Callable[[str, str], Path]) -> None:
    shown = stored.collect(executed("default", "tokenomics"))
    rival = next(h for h in shown if h.name == "usd_per_mtok_api")
    sellers = set(catalog.api_offers("llama-3.1-70b")["provider"])
    assert any(f"from {seller}'s Llama 3.1 70B" in rival.label for seller in sellers)
