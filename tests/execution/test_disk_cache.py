"""What was made once is read from disk, and made again where that is not to be had."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from llmecon import paths
from llmecon.evidence import training_fit
from llmecon.execution import disk_cache
from llmecon.publishing.build import dependencies
from llmecon.studies.hardware_choice import published


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "KEPT", tmp_path / "kept")
    return tmp_path / "kept"


def counted() -> tuple[list[int], object]:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return 7 * len(made)

    return made, make


def test_the_same_inputs_make_it_once() -> None:
    made, make = counted()
    assert disk_cache.kept("fits", "one", make) == 7
    assert disk_cache.kept("fits", "one", make) == 7
    assert len(made) == 1
    assert disk_cache.kept("fits", "other", make) == 14


def test_a_spoilt_file_is_made_again(own_folder: Path) -> None:
    made, make = counted()
    disk_cache.kept("fits", "one", make)
    (file,) = (own_folder / "fits").iterdir()
    file.write_bytes(file.read_bytes()[:3])
    assert disk_cache.kept("fits", "one", make) == 14
    assert disk_cache.kept("fits", "one", make) == 14
    assert len(made) == 2


def test_without_a_folder_it_is_made_every_time(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_folder.write_text("in the way")
    _, make = counted()
    assert disk_cache.kept("fits", "one", make) == 7
    assert disk_cache.kept("fits", "one", make) == 14


def test_what_fails_leaves_nothing(own_folder: Path) -> None:
    def make() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        disk_cache.kept("fits", "one", make)
    assert not own_folder.exists()


def test_digests_tell_where_texts_end() -> None:
    assert disk_cache.digest("ab", "c") != disk_cache.digest("a", "bc")
    assert disk_cache.digest("ab", "c") == disk_cache.digest("ab", b"c")


def test_code_is_a_module_with_all_that_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module far below counts, one that nothing imports doesn't."""
    read: list[Path] = []
    content = Path.read_bytes

    def noted(file: Path) -> bytes:
        read.append(file)
        return content(file) + (b"# changed" if file.stem == changed else b"")

    monkeypatch.setattr(Path, "read_bytes", noted)
    found = {}
    for changed in ("", "specs", "chips"):
        disk_cache.code.cache_clear()
        found[changed] = disk_cache.code("llmecon.evidence.whole_runs")
    disk_cache.code.cache_clear()
    assert found["specs"] != found[""]
    assert found["chips"] == found[""]
    assert {"planning", "run", "records", "rows", "schemas"} <= {file.stem for file in read}


def test_tables_are_told_by_name_and_content() -> None:
    assert disk_cache.tables("models") != disk_cache.tables("xpus")
    assert disk_cache.tables("models", "xpus") != disk_cache.tables("xpus", "models")


KEYED: Mapping[str, tuple[str, Sequence[str], set[str]]] = {
    "plans of training": (
        "from llmecon.evidence import whole_runs; "
        'whole_runs.planned("llama-3.1-70b", "h100-sxm", 15e12)',
        training_fit.TABLES,
        {"overheads", "run-fits", "training"},
    ),
    "published choices": (
        "from llmecon.studies.hardware_choice import published; published.reproduced()",
        published.TABLES,
        {"reproduced"},
    ),
}
"""What is kept: a line that makes it, the tables that it is keyed on, and kinds of what is kept."""


@pytest.mark.release
@pytest.mark.parametrize("name", KEYED)
def test_what_is_kept_is_keyed_on_every_table_that_it_rests_on(name: str, tmp_path: Path) -> None:
    made, tables, kinds = KEYED[name]
    lines = [
        dependencies.WATCH,
        "from pathlib import Path",
        "from llmecon import paths",
        f"paths.KEPT = Path({str(tmp_path)!r})",
        made,
        dependencies.TELL,
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    read = {of.removeprefix("data/")[:-4] for of in said if of.startswith("data/")}
    assert read == set(tables)
    assert {file.name for file in tmp_path.iterdir()} - {"tables", "traced"} == kinds
