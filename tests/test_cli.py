"""The command line: what it prints, what it refuses, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmecon import cli, paths

REPOSITORY = Path(__file__).resolve().parents[1]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code


def test_chapters_explain_every_parameter(toy_book, capsys):
    assert call("chapters") == 0
    printed = capsys.readouterr().out
    assert "fast-one: A fast one" in printed
    assert "wall-clock time allowed" in printed
    assert "a finite number from 0.1 to 3650 [days]; default 90.0" in printed
    assert "one of bf16, fp8, fp4, int4; default bf16" in printed


def test_chapters_as_json(toy_book, capsys):
    assert call("chapters", "--json") == 0
    fast, slow = json.loads(capsys.readouterr().out)
    assert (fast["chapter"], slow["chapter"]) == ("fast-one", "slow-one")
    tokens = next(p for p in fast["parameters"] if p["name"] == "tokens")
    assert tokens["type"] == "float"
    assert tokens["default"] == 15e12
    assert tokens["minimum"] == 1


def test_list_shows_tables_and_ids(capsys):
    assert call("list") == 0
    assert "xpus" in capsys.readouterr().out.split()
    assert call("list", "xpus") == 0
    assert "h100-sxm" in capsys.readouterr().out


def test_published_footprints_are_recomputed(capsys):
    assert call("footprints", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {of["case"] for of in found} >= {"Gemini, median prompt", "BLOOM, training"}
    for of in found:
        assert of["ratio"] == pytest.approx(of["computed"] / of["published"], rel=1e-6)
    assert call("footprints") == 0
    assert "(circular)" in capsys.readouterr().out


BAD_PARAMETERS = [
    # name, value, what the line must say
    ("xpu", "h100-sxn", ["xpu:", "h100-sxm", "llmecon list xpus"]),
    ("xpu", "H100", ["xpu:", "llmecon list xpus"]),
    ("xpu", "", ["xpu:", "llmecon list xpus"]),
    ("rivals", "h100-sxm, h200-sx", ["rivals:", "h200-sxm", "llmecon list xpus"]),
    ("rivals", "h100-sxm,,", ["rivals:", "llmecon list xpus"]),
    ("tokens", "many", ["tokens:", "'many'", "a finite number of at least 1", "[tokens]"]),
    ("tokens", "0", ["tokens:", "of at least 1"]),
    ("tokens", "-1e12", ["tokens:", "'-1e12'", "of at least 1"]),
    ("tokens", "nan", ["tokens:", "a finite number"]),
    ("tokens", "inf", ["tokens:", "a finite number"]),
    ("tokens", "1e999", ["tokens:", "a finite number"]),
    ("tokens", "", ["tokens:", "a finite number"]),
    ("tokens", "15T", ["tokens:", "a finite number"]),
    ("tokens", "1,000", ["tokens:", "a finite number"]),
    ("deadline_days", "0", ["deadline_days:", "from 0.1 to 3650", "[days]"]),
    ("deadline_days", "3651", ["deadline_days:", "from 0.1 to 3650"]),
    ("deadline_days", "true", ["deadline_days:", "a finite number"]),
    ("replicas", "3.5", ["replicas:", "'3.5'", "a whole number from 1 to 100"]),
    ("replicas", "0", ["replicas:", "from 1 to 100"]),
    ("replicas", "101", ["replicas:", "from 1 to 100"]),
    ("replicas", "two", ["replicas:", "a whole number"]),
    ("replicas", "1e400", ["replicas:", "a whole number"]),
    ("precision", "bf17", ["precision:", "bf16, fp8, fp4, int4"]),
    ("precision", "BF16", ["precision:", "bf16, fp8, fp4, int4"]),
    ("spot", "perhaps", ["spot:", "true or false"]),
    ("spot", "2", ["spot:", "true or false"]),
    ("token", "1e12", ["'token'", "nearest: tokens", "llmecon chapters"]),
    ("", "1", ["unknown parameter", "llmecon chapters"]),
    ("9" * 5000, "1", ["unknown parameter", "..."]),
    ("replicas", "9" * 5000, ["replicas:", "a whole number", "..."]),
    ("rivals", "auto", ["rivals:", "llmecon list xpus"]),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD_PARAMETERS)
def test_bad_parameter_is_refused_in_one_line(toy_book, tmp_path, capsys, name, value, said):
    output = tmp_path / "output"
    assert call("run", "fast-one", "-p", name, value, "-o", str(output)) == 2
    _assert_one_line(capsys, said)
    assert not output.exists()
    assert not paths.BUILD.exists()


BAD_COMMANDS = [
    (["run"], ["CHAPTER"]),
    (["run", "fast-on"], ["'fast-on'", "nearest: fast-one", "llmecon chapters"]),
    (["run", "fast_one"], ["'fast_one'", "nearest: fast-one"]),
    (["run", "fast-one", "-p", "tokens"], ["-p", "2 arguments"]),
    (["run", "fast-one", "-p", "tokens", "1", "-p", "tokens", "2"], ["twice"]),
    (["run", "fast-one", "--parameter", "x", "1"], ["--parameter"]),
    (["run", "fast-one", "extra"], ["extra"]),
    (["run", "fast-one", "--set", "nowhere.yaml"], ["nowhere.yaml", "YAML file"]),
    (["run", "fast-one", "-o", "taken/deeper"], ["taken", "can't write", "-o"]),
    (["build", "-o", "full"], ["full", "new or empty folder"]),
    (["build", "--set", "."], [".:", "YAML file"]),
    (["biuld"], ["biuld"]),
    (["list", "gpus"], ["'gpus'", "xpus"]),
    (["chapters", "--jsn"], ["--json"]),
]


@pytest.mark.parametrize(("arguments", "said"), BAD_COMMANDS)
def test_bad_command_is_refused_in_one_line(
    toy_book, tmp_path, monkeypatch, capsys, arguments, said
):
    here = tmp_path / "here"
    (here / "full").mkdir(parents=True)
    (here / "full" / "thesis.txt").write_text("mine")
    (here / "taken").write_text("a file")
    before = sorted(here.rglob("*"))
    monkeypatch.chdir(here)
    assert call(*arguments) == 2
    _assert_one_line(capsys, said)
    assert sorted(here.rglob("*")) == before


BAD_SETS = [
    ("common: [1, 2]", ["common must map names to values"]),
    ("- 1", ["the file must map"]),
    ("common: {tokens: 1e12", ["line 1", "not valid YAML"]),
    ("common:\n  tokens: 1\n tokens: 2\n", ["line 3", "not valid YAML"]),
    ("commons: {}", ["'commons'", "nearest: common"]),
    ("common: {token: 1}", ["'token'", "nearest: tokens"]),
    ("chapters: {fast: {}}", ["'fast'", "nearest: fast-one"]),
    ("chapters: {fast-one: {replica: 1}}", ["fast-one", "'replica'", "nearest: replicas"]),
    ("chapters: {fast-one: 3}", ["fast-one must map names to values"]),
    ("chapters: {fast-one: {replicas: true}}", ["replicas:", "True", "a whole number"]),
    ("chapters: {fast-one: {tokens: .nan}}", ["tokens:", "a finite number"]),
    ("chapters: {fast-one: {precision: 8}}", ["precision:", "bf16, fp8, fp4, int4"]),
    ("chapters: {fast-one: {xpu: [h100-sxm]}}", ["xpu:", "llmecon list xpus"]),
    ("common: {xpu: null}", ["xpu:", "llmecon list xpus"]),
    ("common: {xpu: &a x, rivals: *a}", ["line 1", "*a", "write it out"]),
    ("[" * 3000, ["not valid YAML", "nested"]),
    ("common: {tokens: 2020-13-01}", ["not valid YAML", "month"]),
    (f"common: {{tokens: {'9' * 5000}}}", ["not valid YAML", "digits"]),
    (f"common: {{replicas: {'9' * 4000}}}", ["replicas:", "a whole number"]),
    (f"common: {{tokens: {'9' * 4000}}}", ["tokens:", "a finite number"]),
]


@pytest.mark.parametrize(("content", "said"), BAD_SETS)
@pytest.mark.parametrize("command", [["run", "fast-one"], ["build"]])
def test_bad_set_is_refused_in_one_line(toy_book, tmp_path, capsys, command, content, said):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    output = tmp_path / "output"
    assert call(*command, "--set", str(file), "-o", str(output)) == 2
    _assert_one_line(capsys, said)
    assert not output.exists()


def test_without_a_command_it_says_what_there_is(capsys):
    assert call() == 2
    assert "chapters" in capsys.readouterr().err


def test_internal_failure_is_short_and_logged(toy_book, monkeypatch, capsys):
    (toy_book / "notebooks" / "fast_one.ipynb").write_text("{}")
    assert call("chapters") == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert str(paths.BUILD / "logs" / "llmecon.log") in error
    assert "Traceback" in (paths.BUILD / "logs" / "llmecon.log").read_text()


def test_a_failure_is_logged_elsewhere_where_the_checkout_is_read_only(
    toy_book, tmp_path, monkeypatch, capsys
):
    (toy_book / "notebooks" / "fast_one.ipynb").write_text("{}")
    (tmp_path / "taken").touch()
    monkeypatch.setattr(paths, "BUILD", tmp_path / "taken")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert call("chapters") == 1
    _assert_one_line(capsys, [str(tmp_path / "llmecon-logs" / "llmecon.log")])


def test_ending_the_process_unwinds_it(monkeypatch, capsys):
    def told_to_end(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli.paths, "DATA", SimpleNamespace(glob=told_to_end))
    assert call("list") == 130
    assert "llmecon: interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


MEASURED = "model,xpu,n_xpus,precision,concurrency,prompt_tokens,output_tokens,tpot_s\n"
ROW = "llama-3.1-8b,h100-sxm,1,fp8,8,1000,200,0.01\n"

BAD_TABLES = [
    (MEASURED, "has no rows"),
    ("model,xpu\na,b\n", "no column n_xpus"),
    (MEASURED + ROW.replace("8b", "8b\0"), "NUL"),
    ("", "is empty"),
]


@pytest.mark.parametrize(("content", "said"), BAD_TABLES)
@pytest.mark.parametrize("command", ["validate", "predict"])
def test_a_bad_table_is_refused_before_anything_is_computed(
    tmp_path, monkeypatch, capsys, command, content, said
):
    monkeypatch.setitem(sys.modules, "llmecon.evidence.predictions", None)
    file = tmp_path / "mine.csv"
    file.write_text(content)
    output = ["-o", str(tmp_path / "out.csv")] if command == "predict" else []
    assert call(command, "serving", str(file), *output) == 2
    _assert_one_line(capsys, ["mine.csv", said])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", "name a file"),
        ("taken.csv", "--force"),
        ("folder", "is a folder"),
        ("no/such.csv", "there is no folder"),
        ("x" * 300, "can't write there"),
    ],
)
def test_predict_says_at_once_where_it_cannot_write(tmp_path, monkeypatch, capsys, output, said):
    monkeypatch.setitem(sys.modules, "llmecon.evidence.predictions", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(MEASURED + ROW)
    (tmp_path / "taken.csv").write_text("a thesis")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert call("predict", "serving", "mine.csv", "-o", output) == 2
    _assert_one_line(capsys, [said])
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "taken.csv").read_text() == "a thesis"


def test_predict_adds_columns_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(MEASURED + ROW)
    assert call("predict", "serving", "mine.csv", "-o", "out.csv") == 0
    header = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert header.startswith(MEASURED.strip())
    assert "predicted_tpot_high" in header
    capsys.readouterr()
    assert call("predict", "serving", "out.csv", "-o", "again.csv") == 2
    _assert_one_line(capsys, ["out.csv", "holds predictions already"])
    assert not (tmp_path / "again.csv").exists()
    assert call("predict", "serving", "mine.csv", "-o", "out.csv", "--force") == 0


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from llmecon import cli\n"
        "try: cli.main(['--help'])\n"
        "finally: print(sorted({'sphinx', 'papermill', 'altair'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_installed_package_works_without_a_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert not [name for name in names if "_build" in name or "__pycache__" in name]

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "llmecon", "chapters"],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "xpu-needs:" in done.stdout
    assert not list(elsewhere.iterdir())


def _assert_one_line(capsys, said):
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("llmecon: ")
    for part in said:
        assert part in lines[0], lines[0]


CHOICE = """
model: llama-3.1-8b
buckets:
  - {per_second: 2, prompt_tokens: 500, output_tokens: 200, ttft: 5, tpot: 0.1}
choices: {xpus: [l4, h100-sxm], precisions: [fp8], tensor: [1], pipeline: [1], disaggregated: false}
"""


def choose(capfd, folder: Path, content: str, *options: str) -> str:
    """What `choose` prints on a description that it can read."""
    file = folder / "choice.yaml"
    file.write_text(content)
    assert call("choose", str(file), *options) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    return printed.out


def plain(printed: str) -> Any:
    """JSON and nothing else, whatever solvers print, without numbers that JSON lacks."""
    return json.loads(printed, parse_constant=pytest.fail)


def test_choose_prints_the_best_fleet(tmp_path, capfd):
    told = choose(capfd, tmp_path, CHOICE).splitlines()
    assert told[0].startswith("cost ")
    assert any(line.startswith("    bucket 0: 2/s") for line in told)
    whole = plain(choose(capfd, tmp_path, CHOICE, "--json"))
    parts = plain(choose(capfd, tmp_path, CHOICE, "--parts", "--json"))
    assert whole["feasible"]
    assert parts["feasible"]
    assert all(pool["instances"] == round(pool["instances"]) for pool in whole["pools"])
    assert told[0].startswith(f"cost {whole['cost'] * 3600:.6g} an hour")
    assert parts["cost"] == pytest.approx(parts["bound"])
    assert parts["cost"] == pytest.approx(whole["bound"])
    assert parts["cost"] < whole["cost"]


CLASHES = [
    # what is added, what the line says, what is in the JSON
    ("caps: {usd_per_hour: 0.01}", "  money: times ", ("raised", "usd")),
    ("caps: {devices: {l4: 0, h100-sxm: 0}}", "none at all is too little", ("raised", "h100-sxm")),
    (None, "  bucket 0: both limits on latency times ", ("slower", "0")),
]


@pytest.mark.parametrize(("added", "said", "place"), CLASHES)
def test_choose_says_what_clashes(tmp_path, capfd, added, said, place):
    hasty = CHOICE.replace("tpot: 0.1", "tpot: 0.0001")
    content = hasty if added is None else f"{CHOICE}{added}\n"
    told = choose(capfd, tmp_path, content, "--parts").splitlines()
    assert told[0] == "nothing serves all requests within these limits"
    assert said in told[1]
    found = plain(choose(capfd, tmp_path, content, "--parts", "--json"))
    assert found["feasible"] is False
    factor = found[place[0]][place[1]]
    assert factor is None if "none at all" in said else factor > 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model: [", "not valid YAML"),
        ("- a\n- b\n", "must hold the fields of a problem"),
        (CHOICE.replace("per_second: 2", "per_second: -2"), "buckets.0.per_second"),
        (CHOICE.replace("h100-sxm", "h100"), "h100-sxm"),
        (CHOICE + "spare: 1\n", "spare"),
    ],
)
def test_choose_refuses_a_bad_description(tmp_path, capsys, content, said):
    file = tmp_path / "choice.yaml"
    file.write_text(content)
    assert call("choose", str(file), "--json") == 2
    _assert_one_line(capsys, [said])


def test_choose_wants_a_file_that_is_there(tmp_path, capsys):
    assert call("choose", str(tmp_path / "nowhere.yaml")) == 2
    _assert_one_line(capsys, ["nowhere.yaml", "can't be read"])
    assert call("choose") == 2
    _assert_one_line(capsys, ["FILE"])
