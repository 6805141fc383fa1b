"""Executing chapters and making the site."""

import json
import os
import signal
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing import scenario
from llmecon.publishing.build import execute, files, waiting
from tests.conftest import write_notebook


@pytest.fixture
def quick_site(monkeypatch):
    """Let a site be one page, as the real thing takes seconds; count how many are made."""
    made = []

    def make_site(staged, site, strict=True):
        made.append(staged)
        (site / "index.html").write_text((staged / "results.json").read_text())

    monkeypatch.setattr(execute, "make_site", make_site)
    return made


def build(parameters=scenario.EMPTY):
    said = []
    page = execute.build(parameters, paths.BUILD / "html", said.append)
    return page, said


@pytest.mark.slow
def test_build_executes_what_changed_and_nothing_else(toy_book, quick_site):
    page, said = build()
    rows = json.loads(page.read_text())
    assert [(row["chapter"], row["name"], row["value"]) for row in rows] == [
        ("fast-one", "days", 90.0)
    ]
    assert len(quick_site) == 1

    _, said = build()
    assert said == ["fast-one: unchanged", "slow-one: unchanged", "site: unchanged"]

    notebook = toy_book / "notebooks" / "slow_one.ipynb"
    write_notebook(notebook, "1 + 1", title="A slow one")
    _, said = build()
    assert "fast-one: unchanged" in said
    assert "slow-one: running" in said
    assert len(quick_site) == 2

    (toy_book / "book" / "index.md").write_text("# Another page\n")
    _, said = build()
    assert [line for line in said if "running" in line] == []
    assert len(quick_site) == 3

    parameters = scenario.ParameterSet("default", {}, {"fast-one": {"deadline_days": 30}})
    page, said = build(parameters)
    assert "slow-one: unchanged" in said
    assert json.loads(page.read_text())[0]["value"] == 30.0

    broken = write_notebook(notebook, "1 / 0", title="A slow one")
    with pytest.raises(execute.BuildError, match=r"slow-one: cell 2: ZeroDivisionError: division"):
        build(parameters)
    assert json.loads(page.read_text())[0]["value"] == 30.0
    assert "1 / 0" not in (paths.BUILD / "executed" / "default" / "slow-one.ipynb").read_text()
    assert "ZeroDivisionError" in (paths.BUILD / "logs" / "slow-one.log").read_text()

    refusal = "class InputError(ValueError): ...\n\nraise InputError('xpu: needs 8 devices')"
    write_notebook(broken, refusal, title="A slow one")
    with pytest.raises(InputError, match=r"^slow-one: xpu: needs 8 devices$"):
        build(parameters)
    assert page.is_file()


@pytest.mark.slow
def test_published_notebook_says_nothing_about_the_machine(toy_book, tmp_path):
    of = scenario.chapter("fast-one")
    values = scenario.validate(of, {"replicas": 7})
    output = tmp_path / "made" / "fast-one.ipynb"
    execute.execute([execute.Execution(of, values, output)], print)
    executed = nbformat.read(output, as_version=4)
    assert str(tmp_path) not in output.read_text()
    assert "papermill" not in executed.metadata
    injected = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", ())]
    assert [cell.source for cell in injected] == ["# Parameters\nreplicas = 7\n"]
    assert "**7 replicas**" in output.read_text()
    assert [file.name for file in output.parent.iterdir()] == ["fast-one.ipynb"]


@pytest.mark.slow
def test_site_is_built_from_a_staged_book(toy_book, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    staged = toy_book / "book"
    (staged / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    execute.make_site(staged, site)
    assert "Welcome" in (site / "index.html").read_text()


@pytest.mark.slow
def test_failed_site_keeps_the_old_one_and_shows_the_warnings(toy_book):
    for notebook in (toy_book / "notebooks").iterdir():
        notebook.unlink()
    (toy_book / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (toy_book / "book" / "index.md").write_text("# Toy book\n\n{doc}`nowhere`\n")
    site = paths.BUILD / "html"
    site.mkdir(parents=True)
    (site / "index.html").write_text("the old site")
    files.stamp(site, "old key")
    with pytest.raises(execute.BuildError, match="nowhere"):
        build()
    assert (site / "index.html").read_text() == "the old site"


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The temporary folder, where nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def children() -> set[str]:
    """The processes that this one has started and that still run, where the system tells."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = place.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.add(place.parent.name)
    return found


def interrupt_when(there: Path) -> None:
    """Press Ctrl-C, once, when a file is there."""
    # What runs in the background of a shell ignores it from the start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait():
        while not there.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def test_an_interrupt_ends_running_chapters_and_starts_no_others(
    toy_book, tmp_path, scratch, capfd, monkeypatch
):
    monkeypatch.setattr(execute, "WORKERS", 1)
    started, other = tmp_path / "started", tmp_path / "other"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    write_notebook(toy_book / "notebooks" / "fast_one.ipynb", code, title="A fast one")
    code = f"import pathlib; pathlib.Path({str(other)!r}).touch()"
    write_notebook(toy_book / "notebooks" / "slow_one.ipynb", code, title="A slow one")
    before = children()
    interrupt_when(started)
    said = []
    with pytest.raises(KeyboardInterrupt):
        execute.build(scenario.EMPTY, paths.BUILD / "html", said.append)
    assert said == ["slow-one: waiting", "fast-one: running"]
    assert not other.exists()
    assert children() <= before
    assert list(scratch.iterdir()) == []
    assert capfd.readouterr().err == ""
    assert not (paths.BUILD / "html").exists()


def test_an_interrupt_ends_the_making_of_a_site(toy_book, tmp_path, scratch, monkeypatch):
    started = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    monkeypatch.setattr(execute, "_JUPYTER_BOOK", code)
    site = paths.BUILD / "html"
    site.mkdir(parents=True)
    (site / "index.html").write_text("the old site")
    before = children()
    interrupt_when(started)
    with pytest.raises(KeyboardInterrupt), files.replacing(site) as new:
        execute.make_site(toy_book / "book", new)
    assert (site / "index.html").read_text() == "the old site"
    assert [file.name for file in site.parent.iterdir() if file.name != "logs"] == ["html"]
    assert children() <= before
    assert list(scratch.iterdir()) == []


def test_a_long_chapter_is_heard_of(toy_book, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_SILENCE", 0.0)
    of = scenario.chapter("slow-one")
    said = []
    one = execute.Execution(of, scenario.validate(of, {}), tmp_path / "slow-one.ipynb")
    execute.execute([one], said.append)
    assert said[0] == "slow-one: running"
    assert any(line.startswith("slow-one: cell 2 of 3, about ") for line in said)
    assert waiting.left("slow-one", 0.0, 1.0) == waiting.left("slow-one", 0.0, 0.5)


def test_how_long_is_left_is_known_from_before(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "KEPT", tmp_path / "kept")
    assert waiting.left("one", 10.0, 0.25) == "about 30\N{NO-BREAK SPACE}s left"
    assert waiting.rest(["one"], 2) == ""
    waiting.took("one", 60.0)
    waiting.took("other", 20.0)
    assert waiting.left("one", 10.0, 0.25) == "about 50\N{NO-BREAK SPACE}s left"
    assert waiting.rest(["one", "other"], 2) == "about 1\N{NO-BREAK SPACE}minute for the rest"
    assert waiting.rest(["one", "new"], 2) == ""
    assert waiting.rest([], 2) == ""
