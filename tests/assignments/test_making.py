"""Assignments of a real chapter: made, solved by a script, and graded."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from llmecon import teaching
from llmecon.assignments import isolation, making, manifest
from llmecon.assignments.roster import Student
from llmecon.errors import InputError
from llmecon.publishing.build import files
from llmecon.teaching import checking
from tests.assignments.test_grading import call, scores

CHAPTER = "xpu-needs"
STUDENTS = "id,name,email\nada,Ada <script>,a@example.org\nbob_2,Bob,\ncy,Cy,\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An assignment for three students."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "roster.csv").write_text(STUDENTS)
    options = ("--students", folder / "roster.csv", "--seed", "7", "-o", folder / "made")
    assert call("assignment", CHAPTER, *options) == 0
    return folder / "made"


def cells(file: Path) -> dict[str, Any]:
    return {of.id: of for of in nbformat.read(file, as_version=4).cells}


def solve(folder: Path, to: Path) -> None:
    """Hand in what the worked solutions do, in the students' notebooks."""
    for file in sorted((folder / making.STUDENTS).glob("*/*.ipynb")):
        solved = cells(folder / manifest.FOLDER / "solutions" / f"{file.parent.name}.ipynb")
        content = nbformat.read(file, as_version=4)
        for cell in content.cells:
            if cell.cell_type == "code" and (of := re.fullmatch(r"answer-(\d+)", cell.id)):
                (code,) = (
                    s.source for name, s in solved.items() if name.startswith(f"code-{of[1]}")
                )
                cell.source = f"{code}\nanswer_{of[1]} = answer"
        out = to / file.parent.name / file.name
        out.parent.mkdir(parents=True)
        nbformat.write(content, out)


@pytest.mark.slow
def test_each_student_has_numbers_of_their_own(made):
    read = manifest.read(made)
    assert [of.student.id for of in read.students] == ["ada", "bob_2", "cy"]
    assert (read.chapter, read.seed) == (CHAPTER, 7)
    for of in read.students:
        assert of.parameters == teaching.vary(CHAPTER, 7, of.student.id)
    answers = [tuple(key.answer for key in of.keys.values()) for of in read.students]
    assert len(set(answers)) == len(read.students)
    assert {of.points for of in read.tasks} == {0.0, 1.0}


@pytest.mark.slow
def test_students_see_questions_and_no_solutions(made):
    exercises = teaching.exercises(CHAPTER)
    for assigned in manifest.read(made).students:
        student = assigned.student.id
        (file,) = (made / making.STUDENTS / student).iterdir()
        assert file.name == f"{CHAPTER}.ipynb"
        nbformat.validate(nbformat.read(file, as_version=4))
        shown = cells(file)
        assert "<script>" not in shown["title"].source
        assert shown["parameters"].metadata.tags == ["parameters"]
        prompt = assigned.parameters["prompt_tokens"]
        assert f"prompt_tokens: float = {prompt}" in shown["parameters"].source
        solved = cells(made / manifest.FOLDER / "solutions" / f"{student}.ipynb")
        hidden = [of.source for name, of in solved.items() if name.startswith(("code", "solution"))]
        text = file.read_text()
        for exercise in exercises:
            number = exercise.number
            assert exercise.title in shown[f"question-{number}"].source
            assert "](#" not in shown[f"question-{number}"].source
            if exercise.key:
                assert shown[f"answer-{number}"].source.startswith(f"answer_{number} = ...")
                wanted = f'check("{exercise.id}", answer_{number}, **my_parameters)'
                assert shown[f"check-{number}"].source == wanted
                assert repr(assigned.keys[exercise.id].answer) not in text
                assert solved[f"answer-{number}"].source.startswith(f"answer_{number} = ")
            else:
                assert shown[f"answer-{number}"].source == manifest.WRITE_HERE
                assert assigned.rubrics[exercise.id] in shown[f"rubric-{number}"].source
                hidden.remove(assigned.rubrics[exercise.id].strip())
        assert len(hidden) > len(exercises)
        assert not [of for of in hidden if json.dumps(of)[1:-1] in text]


@pytest.mark.slow
def test_the_same_seed_makes_the_same_files(made, tmp_path):
    students = (Student("ada", "Ada <script>", "a@example.org"), Student("bob_2", "Bob"))
    for name in ("one", "two"):
        making.make(CHAPTER, students, 7, tmp_path / name, progress=lambda _: None)
    assert files.tree_digest(tmp_path / "one") == files.tree_digest(tmp_path / "two")
    for student in students:
        own = f"{making.STUDENTS}/{student.id}/{CHAPTER}.ipynb"
        # Who else is on the roster makes no difference.
        assert (tmp_path / "one" / own).read_bytes() == (made / own).read_bytes()
    making.make(CHAPTER, students, 8, tmp_path / "two", progress=lambda _: None)
    assert files.tree_digest(tmp_path / "one") != files.tree_digest(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.skipif(not isolation.available().files, reason="nothing isolates here")
def test_worked_solutions_get_full_marks(made, tmp_path):
    solve(made, tmp_path / "handed")
    shutil.copytree(made / making.STUDENTS / "cy", tmp_path / "empty" / "cy")
    options = ("--assignment", made, "--seconds", "240", "--jobs", "2")
    assert call("grade", tmp_path / "handed", *options) == 0
    assert call("grade", tmp_path / "empty", *options) == 0
    numbers = sum(of.key is not None for of in teaching.exercises(CHAPTER))
    for row in scores(tmp_path / "handed-grades").values():
        assert (row["points"], row["max"], row["status"]) == (f"{numbers}",) * 2 + ("graded",)
    for feedback in (tmp_path / "handed-grades" / "feedback").iterdir():
        assert "failed" not in feedback.read_text()
    empty = scores(tmp_path / "empty-grades")
    assert {of: row["status"] for of, row in empty.items()} == {
        "ada": "missing",
        "bob_2": "missing",
        "cy": "graded",
    }
    assert {row["points"] for row in empty.values()} == {"0"}


@pytest.mark.release
@pytest.mark.skipif(not isolation.available().files, reason="nothing isolates here")
@pytest.mark.parametrize("chapter", checking.CHAPTERS)
def test_every_chapter_can_be_assigned_and_solved(chapter, tmp_path):
    folder = tmp_path / "made"
    making.make(chapter, (Student("ada", "Ada"),), 1, folder, progress=lambda _: None)
    solve(folder, tmp_path / "handed")
    options = ("--assignment", folder, "--seconds", "480")
    assert call("grade", tmp_path / "handed", *options) == 0
    row = scores(tmp_path / "handed-grades")["ada"]
    assert (row["points"], row["status"]) == (row["max"], "graded")


def test_what_is_refused_leaves_nothing(tmp_path, capsys):
    listed = tmp_path / "roster.csv"
    listed.write_text("id,name\na,A\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    cases = {
        ("xpu-need", listed, "out"): "nearest: xpu-needs",
        (CHAPTER, tmp_path / "none.csv", "out"): "can't be read",
        (CHAPTER, listed, "other"): "holds other things",
    }
    for (chapter, students, out), said in cases.items():
        options = ("--students", students, "--seed", "7", "-o", tmp_path / out)
        assert call("assignment", chapter, *options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert sorted(of.name for of in tmp_path.iterdir()) == ["other", "roster.csv"]


def test_a_failure_or_submissions_beside_it_leave_an_assignment_as_it_was(tmp_path, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("no answer under these parameters")

    folder = tmp_path / "made"
    (folder / manifest.FOLDER).mkdir(parents=True)
    files.stamp(folder, "earlier")
    monkeypatch.setattr(teaching, "resolved", fail)
    with pytest.raises(InputError, match="no answer"):
        making.make(CHAPTER, (Student("a", "A"),), 7, folder, progress=lambda _: None)
    assert files.stamped(folder) == "earlier"
    assert [of.name for of in tmp_path.iterdir()] == ["made"]
    (folder / "handed").mkdir()
    with pytest.raises(InputError, match="also holds handed; name a new or empty folder"):
        making.make(CHAPTER, (Student("a", "A"),), 7, folder, progress=lambda _: None)


def test_points_may_be_changed_by_whoever_teaches(tmp_path):
    task = manifest.Task("toy-1", "One", "paper", "", 0.01, 1.0)
    one = manifest.Assigned(Student("a", "A"), {}, {}, {})
    manifest.write(manifest.Assignment("toy", "Toy", 1, "0", (task,), (one,)), tmp_path)
    (tmp_path / manifest.FOLDER).mkdir()
    file = (tmp_path / manifest.FILE).rename(tmp_path / manifest.FOLDER / manifest.FILE)
    file.write_text(file.read_text().replace('"points": 1.0', '"points": 5'))
    assert manifest.read(tmp_path).points == 5
