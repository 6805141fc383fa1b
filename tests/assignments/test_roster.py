"""Rosters: what is read, and what is refused in one line."""

from pathlib import Path

import pytest

from llmecon.assignments import roster
from llmecon.assignments.roster import Student
from llmecon.errors import InputError


def write(folder: Path, text: str) -> Path:
    file = folder / "roster.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_students_in_order(tmp_path):
    text = "\ufeffname,id,group,email\nAda  Lovelace,ada,1,ada@example.org\n José,j-1.b,2,\n"
    assert roster.read(write(tmp_path, text)) == (
        Student("ada", "Ada Lovelace", "ada@example.org"),
        Student("j-1.b", "José"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("id,name\n", "has no rows"),
        ("id,mail\na,b\n", "has no column name"),
        ("id,name,id\na,b,c\n", "the column id twice"),
        ("id,name\na,A\nA,B\n", "line 3: the id 'A' stands in line 2 already"),
        ("id,name\n,A\n", "line 2: the id '' can't name a file"),
        ("id,name\n../../etc,A\n", "can't name a file"),
        ("id,name\n.ssh,A\n", "can't name a file"),
        ("id,name\n-rf,A\n", "can't name a file"),
        ("id,name\nNUL.x,A\n", "can't name a file"),
        ("id,name\na/b,A\n", "can't name a file"),
        (f"id,name\n{'a' * 65},A\n", "can't name a file"),
        ("id,name\na, \n", "line 2: a has no name"),
        ("id,name\na\n", "line 2 has not as many cells"),
        ("id,name\na,b,c\n", "line 2 has not as many cells"),
        ('id,name\na,"b\nc,d\n', "is not CSV"),
    ],
)
def test_what_is_refused(tmp_path, text, said):
    with pytest.raises(InputError) as refused:
        roster.read(write(tmp_path, text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
