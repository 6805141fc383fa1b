"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from llmecon import paths
from llmecon.errors import InputError
from llmecon.publishing.build import files


def test_digest_tells_parts_apart():
    assert files.digest(["ab", "c"]) != files.digest(["a", "bc"])


def test_tree_digest_sees_names_and_contents_but_nothing_generated(tmp_path):
    (tmp_path / "a.txt").write_text("1")
    first = files.tree_digest(tmp_path)
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "b.txt").write_text("2")
    assert files.tree_digest(tmp_path) == first
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert files.tree_digest(tmp_path) != first


def test_failed_replacement_leaves_the_old_folder(tmp_path):
    target = tmp_path / "site"
    target.mkdir()
    (target / "old").touch()

    def fail_halfway():
        with files.replacing(target) as new:
            (new / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["site", "site/old"]


def test_replacement_is_whole(tmp_path):
    target = tmp_path / "deep" / "site"
    for name in ("first", "second"):
        with files.replacing(target) as new:
            (new / name).touch()
    assert [p.name for p in target.iterdir()] == ["second"]
    assert [p.name for p in target.parent.iterdir()] == ["site"]


def test_only_own_output_is_replaceable(tmp_path):
    files.require_replaceable(tmp_path / "new")
    files.require_replaceable(tmp_path)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="new or empty folder"):
        files.require_replaceable(tmp_path)
    files.stamp(tmp_path, "key")
    files.require_replaceable(tmp_path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "mine.csv"

    def fail_halfway():
        with files.writing(file, force=False) as new:
            new.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []
    with files.writing(file, force=False) as new:
        new.write_text("whole")
    assert file.read_text() == "whole"
    with pytest.raises(InputError, match=r"exists.*--force"), files.writing(file, force=False):
        pass
    with files.writing(file, force=True) as new:
        new.write_text("new")
    assert file.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.parametrize("name", ["", ".", "folder", "no/such/x.csv", "a" * 300, "file/x.csv"])
def test_where_nothing_can_be_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as refused, files.writing(Path(name), force=True):
        pytest.fail("nothing should be computed")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder", "file"}


def test_a_log_goes_where_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    assert files.log("site") == tmp_path / "build" / "logs" / "site.log"
    # A file where a folder would have to be made, as root may write anywhere.
    (tmp_path / "taken").touch()
    monkeypatch.setattr(paths, "BUILD", tmp_path / "taken")
    assert files.log("site") == tmp_path / "temporary" / "llmecon-logs" / "site.log"
