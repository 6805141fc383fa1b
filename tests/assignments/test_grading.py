"""Grading: what strangers hand in is graded, never obeyed."""

import csv
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmecon import cli
from llmecon.assignments import execution, isolation, manifest
from llmecon.assignments.manifest import Assigned, Assignment, Task
from llmecon.assignments.roster import Student
from llmecon.teaching.records import Key, Mistake

protected = pytest.mark.skipif(not isolation.available().files, reason="nothing isolates here")

TASKS = (
    Task("toy-1", "One", "paper", "USD", 0.01, 1.0),
    Task("toy-2", "Two", "code", "", 0.01, 2.0),
    Task("toy-3", "Three", "open", "", 0.0, 0.0),
)
RIGHT = "answer_1 = 42.0"
START = "from llmecon.teaching import check\nmine = {'a': 1}"


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main([str(of) for of in arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def assignment(folder: Path, *students: str) -> Path:
    """An assignment of three exercises whose answers are 42 and 7, where `llmecon` looks for it."""
    key = {
        "toy-1": Key(42.0, (Mistake("half", "This is one half of it.", 21.0),)),
        "toy-2": Key(7.0),
    }
    given = tuple(
        Assigned(Student(of, f"{of} <b>"), {"a": 1}, key, {"toy-3": "| rubric |"})
        for of in students
    )
    own = folder / manifest.FOLDER
    own.mkdir(parents=True)
    manifest.write(Assignment("toy", "A toy", 7, "0", TASKS, given), own)
    return folder


def hand_in(folder: Path, student: str, *code: str, owner: str | None = None) -> Path:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{place}", "source": of} for place, of in enumerate(code)
    ]
    cells.append({"cell_type": "markdown", "id": "answer-3", "source": "My page.\n# Loud"})
    file = folder / student / "toy.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"llmecon": {"student": owner or student}}
    file.write_text(json.dumps({"cells": cells, "metadata": metadata}))
    return file


def scores(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


# Cells, the status they end with, and their points for numbers.
HOSTILE: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "honest": ((START, RIGHT, "check('toy-1', answer_1, **mine)", "answer_2 = 7"), "graded", "3"),
    "slip": (("answer_1 = 21",), "graded", "0"),
    "failing": (("1 / 0", "def (", RIGHT, "raise SystemExit", "answer_2 = 7"), "graded", "3"),
    "numpy": (
        ("import numpy as np\nanswer_1, answer_2 = np.float32(42), np.array([7])",),
        "graded",
        "3",
    ),
    "words": (("answer_1, answer_2 = '42', float('nan')",), "graded", "0"),
    "truth": (("answer_1, answer_2 = True, [7]",), "graded", "0"),
    "renamed": (("answer1 = 42", "answer_2 = 7"), "graded", "2"),
    "equal": (
        ("class Any(float):\n    def __eq__(self, _): return True\nanswer_1 = answer_2 = Any(1)",),
        "graded",
        "0",
    ),
    "forged": (
        (
            "import llmecon.teaching as t\nt.check = lambda *_, **__: print('Right.')",
            "from llmecon.teaching import judging",
            "answer_1 = 1\nt.check('toy-1', answer_1)",
        ),
        "graded",
        "0",
    ),
    "lying": (
        ('import json\njson.dumps = lambda _: \'{"answers": {"points": 99}}\'', "answer_1 = 1"),
        "stopped",
        "0",
    ),
    "parameters": ((START, "mine['a'] = 99", "answer_1 = 84"), "graded", "0"),
    "quitting": ((RIGHT, "import os\nos._exit(0)", "answer_2 = 7"), "stopped", "1"),
    "endless": ((RIGHT, "while True: pass", "answer_2 = 7"), "graded", "3"),
    "stubborn": (
        (
            RIGHT,
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        ),
        "time",
        "1",
    ),
    "greedy": ((RIGHT, "x = [bytearray(10**9) for _ in range(99)]", "answer_2 = 7"), "graded", "3"),
    "forking": (("import os\nwhile True: os.fork()", RIGHT), "graded", "1"),
    "hoarding": (
        (RIGHT, "n = 0\nwhile True:\n    n += 1\n    open(f'{n}', 'wb').write(bytes(10**7))"),
        "disk",
        "1",
    ),
    "talking": (
        (
            RIGHT,
            "import os\nfor f in range(3, 99):\n    try: os.write(f, bytes(10**6) * 9)\n"
            "    except OSError: pass",
        ),
        "talk",
        "1",
    ),
    "spying": (
        (
            "answer_1 = __import__('json').load(open({manifest!r}))"
            "['students'][0]['keys']['toy-1']['answer']",
            "exec(''.join(__import__('json').load(open({other!r}))['cells'][1]['source']))",
        ),
        "graded",
        "0",
    ),
    "wrecking": (
        (
            "import pathlib\npathlib.Path({scores!r}).write_text('wrecking,99')",
            "import shutil\nshutil.rmtree({folder!r})",
            "import socket\nsocket.create_connection(('127.0.0.1', 9))",
            RIGHT,
        ),
        "graded",
        "1",
    ),
}


@protected
@pytest.mark.slow
def test_hostile_submissions_are_graded(tmp_path, capsys):
    folder = assignment(tmp_path / "toy", *HOSTILE, "corrupt", "copied", "absent")
    handed = folder / "handed"
    places = {
        "manifest": str(folder / manifest.FOLDER / manifest.FILE),
        "other": str(handed / "honest" / "toy.ipynb"),
        "scores": str(folder / "handed-grades" / "scores.csv"),
        "folder": str(folder),
    }
    for student, (cells, _, _) in HOSTILE.items():
        own = student in ("spying", "wrecking")
        hand_in(handed, student, *(of.format(**places) if own else of for of in cells))
    hand_in(handed, "copied", RIGHT, owner="=honest`")
    (handed / "corrupt.ipynb").write_bytes(b'{"cells": [')
    kept = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    limits = ("--seconds", "5", "--memory", "2", "--jobs", "2")
    assert call("grade", handed, *limits) == 0

    said = capsys.readouterr().err
    assert f"found as ID/toy.ipynb: {len(HOSTILE) + 1}" in said
    assert "isolated: files by" in said
    assert {file: file.read_bytes() for file in kept} == kept
    graded = scores(folder / "handed-grades")
    expected = {name: (status, points) for name, (_, status, points) in HOSTILE.items()}
    expected |= {
        "corrupt": ("unreadable", "0"),
        "copied": ("graded", "1"),
        "absent": ("missing", "0"),
    }
    assert {of: (row["status"], row["points"]) for of, row in graded.items()} == expected
    assert graded["copied"]["note"] == "made for another student, as its file says: '=honest`'"
    assert {row["max"] for row in graded.values()} == {"3"}
    assert {row["toy-3"] for row in graded.values()} == {"by hand"}

    pages = folder / "handed-grades" / "feedback"
    assert "This is one half of it. Your answer: `21` USD" in (pages / "slip.md").read_text()
    failing = (pages / "failing.md").read_text()
    assert "- code cell 1: `ZeroDivisionError: division by zero`" in failing
    assert "- code cell 2: `SyntaxError" in failing
    honest = (pages / "honest.md").read_text()
    assert "| rubric |\n\n> My page.\n> # Loud" in honest
    assert "failed" not in honest
    assert "No answer: `answer_1` was not set." in (pages / "renamed.md").read_text()
    for student in ("spying", "wrecking"):
        denied = re.findall(
            "PermissionError|FileNotFoundError", (pages / f"{student}.md").read_text()
        )
        assert len(denied) >= 2
    with (folder / "handed-grades" / "feedback.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    slip = next(row for row in rows if row["student"] == "slip" and row["exercise"] == "toy-1")
    assert (slip["points"], slip["max"], slip["mistake"]) == ("0", "1", "half")
    assert len(rows) == len(graded) * len(TASKS)


@protected
def test_late_submissions_are_marked(tmp_path, monkeypatch):
    folder = assignment(tmp_path / "toy", "early", "late", "told")
    for student, day in (("early", 1), ("late", 3), ("told", 3)):
        file = hand_in(folder / "handed", student, RIGHT)
        os.utime(file, (day * 86400, day * 86400))
    times = tmp_path / "times.csv"
    times.write_text("id,submitted\ntold,1970-01-02T12:00Z\n")
    due = ("--deadline", "1970-01-03T00:00Z", "--submitted", times)
    assert call("grade", folder / "handed", *due, "-o", tmp_path / "out") == 0
    graded = scores(tmp_path / "out")
    assert {of: row["late"] for of, row in graded.items()} == {
        "early": "no",
        "late": "yes",
        "told": "no",
    }
    assert {row["points"] for row in graded.values()} == {"1"}
    assert graded["told"]["submitted"] == "1970-01-02T12:00:00+00:00"
    assert "after the deadline" in (tmp_path / "out" / "feedback" / "late.md").read_text()
    # An earlier table of marks is replaced, anything else isn't.
    assert call("grade", folder / "handed", "-o", tmp_path / "out") == 0
    assert call("grade", folder / "handed", "-o", tmp_path) == 2


@protected
def test_bad_folders_are_refused(tmp_path, capsys, monkeypatch):
    folder = assignment(tmp_path / "toy", "ada")
    (folder / "empty").mkdir()
    hand_in(tmp_path / "lonely" / "handed", "ada", RIGHT)
    handed = folder / "handed"
    hand_in(handed, "ada", RIGHT)
    cases = {
        (folder / "none",): "is no folder",
        (folder / "empty",): "holds no notebook",
        (tmp_path / "lonely" / "handed",): "holds no instructor/manifest.json",
        (handed, "--deadline", "soon"): "--deadline: 'soon' is no time",
        (handed, "--submitted", folder / "none.csv"): "can't be read",
    }
    for arguments, said in cases.items():
        assert call("grade", *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    monkeypatch.setattr(execution, "execute", lambda *_: execution.Outcome(ended="stopped"))
    assert call("grade", handed) == 2
    assert "Python itself doesn't run in isolation here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert call("grade", handed) == 2
    assert "this takes the package IPython" in capsys.readouterr().err
    (folder / manifest.FOLDER / manifest.FILE).write_text('{"format": 1}')
    assert call("grade", handed) == 2
    assert "is not whole" in capsys.readouterr().err
    assert sorted(of.name for of in folder.iterdir()) == ["empty", "handed", "instructor"]


def test_nothing_is_run_where_nothing_isolates(tmp_path, monkeypatch, capsys):
    folder = assignment(tmp_path / "toy", "ada")
    hand_in(folder / "handed", "ada", f"open({str(tmp_path / 'mark')!r}, 'w')", RIGHT)
    monkeypatch.setattr(isolation, "available", isolation.Isolation)
    assert call("grade", folder / "handed") == 2
    assert "nothing here keeps a submission from your files" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()
    assert call("grade", folder / "handed", "--trust") == 0
    assert "NOT isolated: files, network" in capsys.readouterr().err
    assert (tmp_path / "mark").exists()
    assert scores(folder / "handed-grades")["ada"]["points"] == "1"
