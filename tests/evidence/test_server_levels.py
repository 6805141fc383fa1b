"""How a server is set up, as efficiencies: against predictions of rows, and from own rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest

from llmecon.errors import InputError
from llmecon.evidence import conditions, deployment_levels, own_rows, predictions, server_levels
from llmecon.evidence.server_levels import at_level, slowness
from llmecon.tables import catalog
from llmecon.tables.efficiencies import LEVELS, Attainment, System


@dataclass(frozen=True)
class SetUp:
    tuning: Literal["typical", "best"] = "typical"
    my_server: str = ""


DENSE = catalog.system("llama-3.1-70b", "h100-sxm", "vllm", "fp8")
SPARSE = catalog.system("gpt-oss-120b", "h100-sxm", "vllm", "fp4")
LOADS = pd.DataFrame(
    {
        "model": "llama-3.1-70b",
        "xpu": "h100-sxm",
        "n_xpus": 8,
        "tensor_parallel": 8,
        "precision": "fp8",
        "engine": "vllm",
        "month": "2026-03",
        "concurrency": [1, 2, 4, 8, 16, 24, 32, 48, 64, 96],
        "prompt_tokens": 1000,
        "output_tokens": 500,
    }
)


@pytest.fixture(scope="module")
def physics() -> pd.DataFrame:
    found, _ = predictions.physics("serving", LOADS)
    return found


def written(file: Path, measured: pd.DataFrame, physics: pd.DataFrame) -> str:
    """A file such as `llmecon fit-mine` writes of measurements."""
    file.write_text(own_rows.as_text(own_rows.of_measurements(measured, physics, "serving")))
    return str(file)


@pytest.mark.slow
def test_a_typical_server_takes_as_long_as_is_predicted(physics: pd.DataFrame) -> None:
    typical = predictions.predict("serving", LOADS)
    stored = catalog.attainment()
    moved, _ = predictions.physics("serving", LOADS, cast("Attainment", _Leveled(stored)))
    np.testing.assert_allclose(moved["tpot"], typical["tpot"], rtol=1e-9)
    # Between requests of a closed loop passes TTFT, which has a level of its own.
    np.testing.assert_allclose(moved["throughput"], typical["throughput"], rtol=0.03)
    # The time outside the model is scaled here, and its share's logarithm there.
    np.testing.assert_allclose(moved["ttft"], typical["ttft"], rtol=0.12)
    rested = moved["energy"] / typical["energy"]
    # While accelerators wait they rest, which takes energy of its own.
    assert ((rested > 1.0) & (rested < 1.2)).all()
    assert slowness(at_level(DENSE, SetUp())).median == pytest.approx(
        (typical["tpot"] / physics["tpot"]).iloc[0], rel=1e-9
    )


class _Leveled:
    """A calibration of which every system is a typical server's."""

    def __init__(self, stored: Attainment) -> None:
        self.stored = stored

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.stored, name)
        if name not in ("efficiency", "parameter_draws", "sd"):
            return found
        return lambda system, *rest: found(at_level(system, SetUp()), *rest)


def test_levels_move_nothing_but_what_they_carry() -> None:
    stored = catalog.attainment()
    best, typical = (stored.probable(at_level(DENSE, of)) for of in (SetUp("best"), SetUp()))
    assert best == stored.probable(DENSE)
    moved = {name for name in best if best[name] != typical[name]}
    assert moved == {carrier for powers in LEVELS.values() for carrier in powers}


def test_new_sparse_models_run_slower() -> None:
    dense, sparse = (slowness(at_level(of, SetUp())).median for of in (DENSE, SPARSE))
    assert sparse > dense > 1.0
    young, early = deployment_levels.maturity(
        pd.Series([SPARSE.model, DENSE.model]), pd.Series([conditions.newest()] * 2)
    )
    assert young.iloc[0] > young.iloc[1] == 0.0
    assert (early == 0.0).all()


def test_draws_share_whose_server_it_is() -> None:
    """Two accelerators of one publisher are slow together, but not wholly."""
    stored = catalog.attainment()
    systems = [DENSE, catalog.system("llama-3.1-70b", "b200", "vllm", "fp8")]
    alone = [np.log(stored.efficiency_draws(of).decode_multiple) for of in systems]
    set_up = [
        np.log(stored.efficiency_draws(at_level(of, SetUp())).decode_multiple) for of in systems
    ]
    levels = [np.asarray(a - b) for a, b in zip(set_up, alone, strict=True)]
    spread = slowness(at_level(DENSE, SetUp())).log_sd
    assert np.std(levels[0]) == pytest.approx(spread, rel=0.1)
    assert 0.4 < np.corrcoef(levels)[0, 1] < 0.9


def test_own_rows_decide(tmp_path: Path, physics: pd.DataFrame) -> None:
    slow = LOADS.assign(tpot_s=1.9 * physics["tpot"], ttft_s=1.9 * physics["ttft"])
    mine = SetUp("best", written(tmp_path / "slow.json", slow, physics))
    found = slowness(at_level(DENSE, mine))
    assert found.median == pytest.approx(1.9, rel=0.05)
    assert found.log_sd < 0.5 * slowness(at_level(DENSE, SetUp())).log_sd
    # The engine left open is the one that was measured; elsewhere, less is known.
    assert slowness(at_level(System(xpu="h100-sxm", model=DENSE.model), mine)).median > 1.8
    elsewhere = slowness(at_level(catalog.system("llama-3.1-70b", "b200", "vllm", "fp8"), mine))
    assert 1.3 < elsewhere.median < 1.9
    assert elsewhere.log_sd > found.log_sd


def test_own_rows_of_the_best_are_the_best(tmp_path: Path, physics: pd.DataFrame) -> None:
    tuned = LOADS.assign(
        tpot_s=physics["tpot"],
        ttft_s=physics["ttft"],
        output_tokens_per_s=physics["throughput"],
        energy_j_per_output_token=physics["energy"],
    )
    often = pd.concat([tuned] * 8, ignore_index=True)
    of = pd.concat([physics] * 8, ignore_index=True)
    level = at_level(DENSE, SetUp("typical", written(tmp_path / "best.json", often, of)))
    assert slowness(level).median == pytest.approx(1.0, abs=0.03)
    best = catalog.attainment().probable(DENSE)
    for name, value in catalog.attainment().probable(level).items():
        if name not in ("request_time", "request_time_per_client", "first_token_multiple"):
            assert value == pytest.approx(best[name], rel=0.05), name


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=r"mine\.json"):
        at_level(DENSE, SetUp(my_server=str(file)))
    assert server_levels.CARRIED_BY.keys() == deployment_levels.CANDIDATES.keys()
