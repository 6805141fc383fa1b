"""What a person hands over, refused in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmecon import inputs
from llmecon.errors import InputError
from llmecon.tables import catalog


def written(folder: Path, content: bytes | str) -> Path:
    file = folder / "mine"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_yaml_is_read_as_plain_values(tmp_path: Path):
    assert inputs.read_yaml(written(tmp_path, "a: [1, 2.5, yes, null]\nb: {c: d}\n")) == {
        "a": [1, 2.5, True, None],
        "b": {"c": "d"},
    }
    assert inputs.read_yaml(written(tmp_path, "\ufeffa: 1\r\n")) == {"a": 1}


BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BILLION_LAUGHS, "line 2: not valid YAML: *a repeats"),
        ("a: &a 1\nb: *a\n", "line 2: not valid YAML: *a repeats something by name"),
        ("[" * 5000, "nested more than 20 deep"),
        ("{a: " * 5000, "nested more than 20 deep"),
        ("a: 2020-13-01\n", "month must be in 1..12"),
        (f"a: {'9' * 5000}\n", "too many digits"),
        (f"a: {'x' * 2_000_000}\n", "longer than a megabyte"),
        ("a: !!python/object:os.system x\n", "not valid YAML"),
        ("a: \x00", "NUL"),
        (b"a: \xff", "not UTF-8"),
    ],
    ids=["laughs", "alias", "lists", "maps", "month", "digits", "long", "object", "nul", "bytes"],
)
def test_yaml_that_is_refused(tmp_path: Path, content: bytes | str, said: str):
    file = written(tmp_path, content)
    with pytest.raises(InputError) as refused:
        inputs.read_yaml(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < len(str(file)) + 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("model,xpu\n", "has no rows"),
        ("model,speed\na,b\n", "has no column xpu; needed are: model, xpu"),
        ("model,xpu,model\na,b,c\n", "the column model twice"),
        ("model,xpu\na,\0b\n", "NUL"),
        (b"model,xpu\n\xff,b\n", "not UTF-8"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, content: bytes | str, said: str):
    with pytest.raises(InputError) as refused:
        inputs.require_table(written(tmp_path, content), ["model", "xpu"])
    assert said in str(refused.value)


def test_a_table_may_have_a_byte_order_mark_and_carriage_returns(tmp_path: Path):
    inputs.require_table(written(tmp_path, "\ufeffmodel,xpu\r\na,b\r\n"), ["model", "xpu"])


@pytest.mark.parametrize("table", ["models", "xpus", "grid", "api_prices", "workloads"])
def test_ids_are_those_of_the_catalogue(table: str):
    assert list(inputs.ids(table)) == list(dict.fromkeys(catalog.ids(table)))


@pytest.mark.parametrize(
    ("table", "column", "name", "said"),
    [
        ("models", "id", "llama-3.1-70", "nearest: llama-3.1-70b"),
        ("xpus", "id", "H100-SXM", "nearest: h100-sxm"),
        ("retrieval", "curve", "dpr", "nearest: dpr-"),
        ("retrieval", "curve", "", "list them with: llmecon list retrieval"),
    ],
)
def test_an_unknown_id_names_its_neighbours(table: str, column: str, name: str, said: str):
    with pytest.raises(InputError) as refused:
        inputs.require(table, name, column)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 200


def test_what_was_given_is_quoted_in_short():
    assert inputs.shown("a" * 1000).endswith("...")
    assert len(inputs.shown("a" * 1000)) == 60
    assert "digits" in inputs.shown(10**5000)
    assert inputs.shown("a\nb") == r"'a\nb'"


def test_refusing_loads_nothing_slow():
    """A wrong id is found without JAX, pandas or what reads notebooks."""
    code = (
        "import sys; from llmecon import cli\n"
        "try: cli.main(['run', 'tokenomics', '-p', 'api', 'gpt-9'])\n"
        "except SystemExit as left: print(left.code)\n"
        "print(sorted({'jax', 'pandas', 'pandera', 'papermill', 'nbformat'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2", "[]"]
    assert "api: 'gpt-9' is not in the table api_prices; nearest: " in done.stderr
