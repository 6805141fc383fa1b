"""What a chapter rests on is recorded as it runs, and nothing else makes it stale."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmecon import paths
from llmecon.publishing import scenario
from llmecon.publishing.build import dependencies, execute


def names_of(code: str) -> list[str]:
    """What a process of its own met that watched, ran some code and told."""
    lines = f"{dependencies.WATCH}\n{code}\n{dependencies.TELL}"
    said = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True)
    return said.stdout.split()


def test_modules_and_tables_are_recorded() -> None:
    found = names_of(
        "from llmecon import inputs\nfrom llmecon.physics import queueing\ninputs.rows('workloads')"
    )
    assert {"llmecon/physics/queueing.py", "llmecon/inputs.py", "data/workloads.csv"} <= set(found)
    assert "llmecon/silicon/chips.py" not in found
    assert "data/models.csv" not in found
    assert found == sorted(set(found))


def test_a_digest_tells_contents_and_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dependencies._PLACES, "data", tmp_path)
    table = tmp_path / "one.csv"
    table.write_text("id\n1\n")
    first = dependencies.digest(["data/one.csv"])
    assert dependencies.digest(["data/one.csv"]) == first
    table.write_text("id\n2\n")
    second = dependencies.digest(["data/one.csv"])
    table.unlink()
    assert len({first, second, dependencies.digest(["data/one.csv"])}) == 3


@pytest.mark.slow
def test_a_chapter_is_stale_by_what_it_read_alone(
    toy_book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = scenario.chapter("fast-one")
    one = execute.Execution(of, scenario.validate(of, {}), tmp_path / "fast-one.ipynb")
    assert not execute.is_current(one)
    execute.execute([one], print)
    assert execute.is_current(one)
    met = json.loads(one.output.read_text())["metadata"]["llmecon"]["rests_on"]
    assert "llmecon/publishing/scenario.py" in met
    assert "llmecon/silicon/chips.py" not in met

    changed = ""

    def content(file: Path, read: object = Path.read_bytes) -> bytes:
        return read(file) + (b"# changed" if file.name == changed else b"")  # type: ignore[operator]

    monkeypatch.setattr(Path, "read_bytes", content)
    changed = "chips.py"
    assert execute.is_current(one)
    changed = "scenario.py"
    assert not execute.is_current(one)
    changed = paths.LOCK.name
    assert not execute.is_current(one)
    changed = "nothing.py"
    other = execute.Execution(of, scenario.validate(of, {"replicas": 7}), one.output)
    assert not execute.is_current(other)
