"""Learning from own rows: through the command line, and files that can't be used."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmecon import cli
from llmecon.errors import InputError
from llmecon.evidence import own_rows, predictions
from llmecon.tables import catalog


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    printed = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, printed.out, printed.err


@pytest.fixture(scope="module")
def plan() -> pd.DataFrame:
    """A server at several loads, twice as slow as a well tuned one."""
    frame = pd.DataFrame(
        {
            "model": "llama-3.1-70b",
            "xpu": "h100-sxm",
            "n_xpus": 8,
            "tensor_parallel": 8,
            "precision": "fp8",
            "engine": "vllm",
            "engine_version": "0.10.0",
            "concurrency": [1, 4, 8, 16, 32, 64],
            "prompt_tokens": 1000,
            "output_tokens": 500,
        }
    )
    found, _ = predictions.physics("serving", frame)
    return frame.assign(tpot_s=2.0 * found["tpot"])


def test_a_slow_server_is_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: pd.DataFrame
) -> None:
    mine, rest, server = (tmp_path / of for of in ("mine.csv", "plan.csv", "server.json"))
    plan.iloc[::2].to_csv(mine, index=False)
    plan.iloc[1::2].to_csv(rest, index=False)
    status, out, _ = run(capsys, "fit-mine", str(mine), "-o", str(server))
    assert status == 0
    told = "tpot: 2.00 times that of a well tuned deployment, from 3 rows"
    assert told in out.replace("\N{NO-BREAK SPACE}", " ")
    asked = ("validate", "serving", str(rest), "--json")
    _, before, _ = run(capsys, *asked)
    status, after, _ = run(capsys, *asked, "--my-server", str(server))
    assert status == 0
    errors = [json.loads(of)["targets"]["tpot"] for of in (before, after)]
    assert errors[1]["median_ape"] < 0.1 < errors[0]["median_ape"]
    assert errors[1]["coverage_90"] == 1.0
    status, _, error = run(capsys, *asked, "--my-server", str(server), "--tuning", "best")
    assert status == 2
    assert "leave --tuning out" in error
    # What was measured is told, and throughput follows.
    written = tmp_path / "out.csv"
    predicted = ("predict", "serving", str(rest), "-o", str(written), "--my-server", str(server))
    assert run(capsys, *predicted)[0] == 0
    known = pd.read_csv(written)
    typical = predictions.predict("serving", plan.iloc[1::2].reset_index(drop=True))
    best = predictions.predict("serving", plan.iloc[1::2].reset_index(drop=True), tuning="best")
    for target in ("tpot", "throughput"):
        width = np.log(known[f"predicted_{target}_high"] / known[f"predicted_{target}_low"])
        assert (width < np.log(typical[f"{target}_high"] / typical[f"{target}_low"])).all()
    assert (known["predicted_throughput"] < 0.75 * best["throughput"]).all()
    assert (typical["tpot"] > best["tpot"]).all()


def test_benchmarks_that_tune_every_system_are_at_their_level(plan: pd.DataFrame) -> None:
    named = plan.assign(source="InferenceX")
    pd.testing.assert_frame_equal(
        predictions.predict("serving", named), predictions.predict("serving", named, tuning="best")
    )


def test_nothing_is_written_where_nothing_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: pd.DataFrame
) -> None:
    file, server = tmp_path / "mine.csv", tmp_path / "server.json"
    plan.drop(columns="tpot_s").to_csv(file, index=False)
    status, out, error = run(capsys, "fit-mine", str(file), "-o", str(server))
    assert (status, out) == (2, "")
    assert "no row has a measurement" in error
    plan.assign(model="llama-9").to_csv(file, index=False)
    status, _, error = run(capsys, "fit-mine", str(file), "-o", str(server))
    assert status == 2
    assert "llama-9" in error
    assert not server.exists()


ROW = {name: "x" if kind is str else 1.0 for name, kind in own_rows._COLUMNS.items()}
BROKEN = {
    "no JSON": ("{", "is no JSON"),
    "another file": ("{}", "was not written by `llmecon fit-mine`"),
    "another version": (json.dumps({"kind": own_rows.KIND, "version": 99}), "is of version 99"),
    "no rows": (
        json.dumps({"kind": own_rows.KIND, "version": own_rows.VERSION, "rows": []}),
        "holds no rows",
    ),
    "a row without its load": (
        json.dumps(
            {"kind": own_rows.KIND, "version": own_rows.VERSION, "rows": [{"target": "tpot"}]}
        ),
        "lacks apart",
    ),
    "words for numbers": (
        json.dumps(
            {"kind": own_rows.KIND, "version": own_rows.VERSION, "rows": [ROW | {"sd": "wide"}]}
        ),
        "something else than numbers",
    ),
    "blanks": (
        json.dumps(
            {"kind": own_rows.KIND, "version": own_rows.VERSION, "rows": [ROW | {"slowness": None}]}
        ),
        "holds blanks",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_files_that_cannot_be_used_get_one_line(tmp_path: Path, what: str) -> None:
    content, complaint = BROKEN[what]
    file = tmp_path / "server.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as refused:
        own_rows.load(file)
    assert "\n" not in str(refused.value)


def test_published_rows_and_own_rows_are_read_alike() -> None:
    rows = catalog.table("published_serving").head(4)
    found, _ = predictions.physics("serving", rows)
    mine = own_rows.of_measurements(rows, found, "serving")
    expected = np.log(rows["tpot_s"] / found["tpot"])
    tpot = mine[mine["target"] == "tpot"]["slowness"]
    np.testing.assert_allclose(tpot, expected)
