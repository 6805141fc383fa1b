"""Predictions and errors for measurement files, and the commands that print them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmecon import cli
from llmecon.errors import InputError
from llmecon.evidence import predictions, reports
from llmecon.tables import catalog


def serving_rows() -> pd.DataFrame:
    frame = catalog.table("measured_serving")
    return frame[(frame["model"] == "gpt-oss-20b") | frame["suspect"].notna()].head(25)


@pytest.fixture(scope="module")
def predicted() -> pd.DataFrame:
    return predictions.predict("serving", serving_rows())


def test_intervals_bracket_predictions(predicted: pd.DataFrame) -> None:
    used = predicted[predicted["reason"] == ""]
    assert len(used) > 0
    for target in predictions.TARGETS["serving"]:
        assert np.all(used[f"{target}_low"] < used[target])
        assert np.all(used[target] < used[f"{target}_high"])


def test_skipped_rows_are_listed_with_reasons(predicted: pd.DataFrame) -> None:
    frame = serving_rows()
    found = reports.report("serving", frame, predicted)
    suspects = frame["suspect"].notna().to_numpy()
    assert [row for row, _ in found.skipped] == list(np.flatnonzero(suspects))
    assert all(reason.startswith("suspect: ") for _, reason in found.skipped)
    assert found.targets["tpot"].rows == (~suspects).sum()


def test_offline_takes_the_best_layout() -> None:
    frame = pd.DataFrame(
        {
            "model": ["llama-3.1-70b", "deepseek-v3", "llama-9"],
            "xpu": ["b200", "h100-sxm", "b200"],
            "n_xpus": [8, 1, 8],
            "precision": ["fp8", "fp8", "fp8"],
            "prompt_tokens": 300,
            "output_tokens": 300,
            "regime": "offline",
        }
    )
    found = predictions.predict("offline", frame)
    assert list(found["reason"]) == [
        "",
        "the weights fit in no layout of these devices",
        "model llama-9 is not in the catalogue",
    ]
    assert found["throughput"].notna().tolist() == [True, False, False]


@pytest.mark.parametrize("kind", ["training-runs", "training-steps"])
def test_training_targets_are_named_as_promised(kind: str) -> None:
    table = "measured_" + kind.replace("-", "_")
    found = predictions.predict(kind, catalog.table(table).head(6))
    for target in predictions.TARGETS[kind]:
        assert {target, f"{target}_low", f"{target}_high"} <= set(found.columns)


LOSSES = pd.DataFrame(
    {
        "data": ["MassiveText", "rpj", "books", "rpj", "rpj", "c4_original"],
        "parameters": [1e9, 1.4e9, 1e9, -1, 1e9, "many"],
        "tokens": [2e10, 2.8e10, 2e10, 2e10, 2e10, 2e10],
        "validation": ["training loss", "C4", "C4", "C4", "Pile", None],
        "loss": [2.5, 2.769, 3.0, 3.0, 3.0, 3.0],
        "average_error": [None, 0.646, 0.7, 0.7, 0.7, 0.7],
    }
)


@pytest.mark.slow
def test_losses_are_predicted_by_the_law_of_their_data() -> None:
    found = predictions.predict("losses", LOSSES)
    assert list(found["reason"]) == [
        "",
        "",
        "data books has no law; there are: MassiveText, c4_original, rpj, rw_original",
        "parameters: -1, expected 100000 to 1e+18",
        "validation Pile: the law of rpj is of C4",
        "parameters: many, expected 100000 to 1e+18",
    ]
    assert found["loss"].notna().tolist() == [True, True, False, False, False, False]
    assert found["average_error"].notna().tolist() == [False, True, *[False] * 4]
    for target in ("loss", "average_error"):
        used = found[found[target].notna()]
        assert np.all(used[f"{target}_low"] < used[target])
        assert np.all(used[target] < used[f"{target}_high"])
    errors = reports.report("losses", LOSSES, found).targets
    assert list(errors["loss"].by_model) == ["MassiveText", "rpj"]
    assert errors["loss"].by_model["rpj"].median_ape < 0.01
    assert errors["average_error"].rows == 1


def test_losses_that_are_all_refused_leave_nothing_predicted() -> None:
    found = predictions.predict("losses", LOSSES.iloc[2:])
    assert found["loss"].isna().all()
    with pytest.raises(InputError, match="no column tokens"):
        predictions.predict("losses", LOSSES.drop(columns="tokens"))


@pytest.mark.slow
def test_a_loss_is_that_of_its_campaign_and_a_month_is_a_month() -> None:
    row = {"data": "rpj", "parameters": 1e9, "tokens": 1e11}
    months = ["2023-12", "2024-01", None, "2025-07", "yesterday", "2024-13"]
    found = predictions.predict("losses", pd.DataFrame([row | {"recorded": m} for m in months]))
    first, later, unknown, other = found["loss"].iloc[:4]
    assert 0.97 * first < later < 0.99 * first
    assert first == unknown == other
    assert (found["reason"].iloc[:4] == "").all()
    assert found["reason"].iloc[4:].str.contains("expected a month such as 2023-12").all()
    assert found["loss"].iloc[4:].isna().all()


@pytest.mark.slow
def test_losses_of_the_figure_lie_in_their_intervals() -> None:
    runs = catalog.table("loss_measurements")
    figure = runs[runs["data"] == "MassiveText"].reset_index(drop=True)
    errors = reports.report("losses", figure).targets["loss"]
    assert errors.median_ape < 0.005
    assert 0.85 < errors.coverage_90 < 0.95


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    printed = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, printed.out, printed.err


@pytest.mark.slow
def test_losses_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = tmp_path / "losses.csv", tmp_path / "out.csv"
    LOSSES.to_csv(file, index=False)
    status, out, _ = run(capsys, "validate", "losses", str(file))
    assert status == 0
    assert "by data" in out
    assert "rows not used: 4" in out
    status, _, _ = run(capsys, "predict", "losses", str(file), "-o", str(output))
    assert status == 0
    found = pd.read_csv(output)
    assert found["predicted_loss"].notna().sum() == 2
    assert found["predicted_average_error_high"].notna().sum() == 1
    assert found["not_predicted"].notna().sum() == 4
    LOSSES.drop(columns="tokens").to_csv(file, index=False)
    status, _, said = run(capsys, "validate", "losses", str(file))
    assert status == 2
    assert "no column tokens" in said
    assert said.count("\n") == 1


def test_validate_prints_the_agreed_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    serving_rows().to_csv(file, index=False)
    status, out, _ = run(capsys, "validate", "serving", str(file), "--json")
    assert status == 0
    found: dict[str, Any] = json.loads(out)
    assert set(found) == {"targets", "skipped"}
    assert {
        "rows",
        "median_ape",
        "mean_ape",
        "within_2x",
        "bias",
        "coverage_90",
        "by_model",
    } <= set(found["targets"]["tpot"])
    assert {"rows", "median_ape"} <= set(found["targets"]["tpot"]["by_model"]["gpt-oss-20b"])
    assert set(found["skipped"][0]) == {"row", "reason"}


def test_predict_writes_every_row_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    serving_rows().to_csv(file, index=False)
    status, _, _ = run(capsys, "predict", "serving", str(file), "-o", str(output))
    assert status == 0
    written = pd.read_csv(output)
    assert list(written["id"]) == list(serving_rows()["id"])
    assert written["predicted_tpot"].notna().sum() == written["not_predicted"].isna().sum()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "can't be read (No such file"),
        ("", "is not a CSV table"),
        ("model,xpu\n", "has no rows"),
        ("model,xpu\nllama-3.1-8b,h100-sxm\n", "has no column n_xpus"),
    ],
)
def test_bad_files_get_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, complaint: str
) -> None:
    file = tmp_path / "rows.csv"
    if content is not None:
        file.write_text(content)
    status, out, error = run(capsys, "validate", "serving", str(file))
    assert (status, out) == (2, "")
    assert complaint in error
    assert error.count("\n") == 1


def test_nothing_is_written_where_there_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    serving_rows().to_csv(file, index=False)
    status, _, error = run(
        capsys, "predict", "serving", str(file), "-o", str(tmp_path / "no/x.csv")
    )
    assert status == 2
    assert "there is no folder" in error


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(InputError, match="unknown kind 'serve'; use one of serving"):
        predictions.predict("serve", serving_rows())
