"""Submissions: whose they are, and what a notebook of a stranger's is read as."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmecon.assignments import submissions
from llmecon.errors import InputError

STUDENTS = ("ada", "ada_2", "bob")


def put(file: Path, *code: str, **metadata: str) -> Path:
    cells = [{"cell_type": "code", "source": of} for of in code]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"cells": cells, "metadata": {"llmecon": metadata}}))
    return file


@pytest.mark.parametrize(
    ("name", "student", "convention"),
    [
        ("ada/xpu-needs.ipynb", "ada", "ID/xpu-needs.ipynb"),
        ("ada/mine (1).ipynb", "ada", "ID/anything.ipynb"),
        ("ada_93_assignsubmission_file/xpu-needs.ipynb", "ada", "ID_anything/xpu-needs.ipynb"),
        ("ada.ipynb", "ada", "ID.ipynb"),
        ("ada_LATE_12_xpu-needs-1.ipynb", "ada", "ID_anything.ipynb"),
        ("ada_2_late.ipynb", "ada_2", "ID_anything.ipynb"),
    ],
)
def test_whose_a_notebook_is(tmp_path, name, student, convention):
    file = put(tmp_path / name, "1")
    found = submissions.find(tmp_path, "xpu-needs", STUDENTS)
    (one,) = found.by_student.values()
    assert (one.student, one.file, one.convention) == (student, file, convention)
    assert found.lines() == [f"found as {convention}: 1"]


def test_the_newest_counts_and_strangers_are_named(tmp_path):
    old, new = put(tmp_path / "bob.ipynb", "1"), put(tmp_path / "bob_2.ipynb", "2")
    os.utime(old, (1e9, 1e9))
    stranger = put(tmp_path / "bobby.ipynb", "3")
    put(tmp_path / ".ipynb_checkpoints" / "bob.ipynb", "4")
    found = submissions.find(tmp_path, "xpu-needs", STUDENTS)
    assert found.by_student["bob"].file == new
    assert found.superseded == (old,)
    assert found.strangers == (stranger,)
    assert any("nobody on the roster" in line for line in found.lines())


def test_folders_without_notebooks_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        submissions.find(tmp_path / "none", "xpu-needs", STUDENTS)
    with pytest.raises(InputError, match="holds no notebook; wanted are ID/xpu-needs"):
        submissions.find(tmp_path, "xpu-needs", STUDENTS)


def test_cells_are_read(tmp_path):
    text = {"cell_type": "markdown", "id": "answer-6", "source": ["a\n", "b"]}
    code = {"cell_type": "code", "source": "answer_1 = 1"}
    held = {"cells": [text, code], "metadata": {"llmecon": {"student": "ada"}}}
    (tmp_path / "a.ipynb").write_text(json.dumps(held))
    content = submissions.read(tmp_path / "a.ipynb")
    assert content == submissions.Content(("answer_1 = 1",), {"answer-6": "a\nb"}, "ada")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", "empty"),
        (b"\x00\xff", "not a notebook"),
        (b"[1, 2]", "not a notebook"),
        (b'{"cells": [{"cell_type": "code"}]}', "not a notebook"),
        (b'{"cells": [{"cell_type": "code", "source": [1]}]}', "not a notebook"),
        (b'{"cells": []}', "without code cells"),
        (b'{"a":' * 100_000, "not a notebook"),
        (b" " * (submissions.MOST_BYTES + 1), "larger than 20 MB"),
    ],
)
def test_what_cant_be_read(tmp_path, held, said):
    file = tmp_path / "a.ipynb"
    file.write_bytes(held)
    with pytest.raises(submissions.UnreadableError, match=said):
        submissions.read(file)


def test_links_and_pipes_are_not_followed(tmp_path):
    secret = put(tmp_path / "secret.ipynb", "answer_1 = 42")
    link, pipe = tmp_path / "link.ipynb", tmp_path / "pipe.ipynb"
    link.symlink_to(secret)
    os.mkfifo(pipe)
    for file in (link, pipe, tmp_path):
        with pytest.raises(submissions.UnreadableError):
            submissions.read(file)


def test_times(tmp_path):
    file = tmp_path / "times.csv"
    file.write_text("id,submitted\nada,2026-05-01T23:59+02:00\nbob,\n")
    assert submissions.read_times(file) == {"ada": datetime(2026, 5, 1, 21, 59, tzinfo=UTC)}
    local = submissions.instant("2026-05-01T23:59", "--deadline")
    assert abs(local - datetime(2026, 5, 1, 23, 59, tzinfo=UTC)) <= timedelta(hours=14)
    file.write_text("id,submitted\nada,yesterday\n")
    with pytest.raises(InputError, match="line 2: 'yesterday' is no time; write it as"):
        submissions.read_times(file)
