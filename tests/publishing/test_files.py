"""Files and folders that appear whole or not at all."""

import pytest

from llmecon.errors import InputError
from llmecon.publishing import files


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
