"""Levels of deployments: by hand, and as they are stored."""

from dataclasses import astuple, replace

import numpy as np
import pandas as pd
import pytest

from llmecon.evidence import deployment_fit, deployment_levels, published
from llmecon.evidence.deployment_levels import Level, Spreads
from llmecon.tables import catalog

ALONE = Spreads(
    publisher=0.3, stack=0.0, system=0.0, slope=0.0, queue=0.0, load=0.0, target=0.0, noise=0.1
)


def rows(publishers: list[str], slowness: list[float], **columns: object) -> pd.DataFrame:
    plain = {
        "quantity": "pace",
        "target": "tpot",
        "sign": 1.0,
        "publisher": publishers,
        "stack": "vllm|h100-sxm",
        "system": "vllm|h100-sxm|llama-3.1-8b|bf16",
        "batch": 1.0,
        "prompt": 3.0,
        "output": 3.0,
        "size": 1.5,
        "young": 0.0,
        "early_sparse": 0.0,
        "outside": 0.0,
        "apart": 0.0,
        "crowded": 0.0,
        "predicted": 1.0,
        "sd": 0.0,
        "slowness": slowness,
    }
    return pd.DataFrame(plain | columns)


def test_own_rows_are_weighed_against_the_spread_by_hand() -> None:
    # A normal level of sd 0.3 about a mean that the prior knows to 0.5, and four rows of noise 0.1:
    # level variance 0.34, of the rows' mean 0.34 + 0.01 / 4.
    known = rows(["mine"] * 4, [0.4, 0.5, 0.6, 0.5])
    found = deployment_levels.expected(Level("pace", (), ALONE), known, known.head(1))
    share = 0.34 / (0.34 + 0.0025)
    assert found.mean[0] == pytest.approx(0.5 * share)
    assert found.sd[0] ** 2 == pytest.approx(0.34 * (1.0 - share) + 0.01)


def test_an_unknown_deployment_has_the_mean_and_the_whole_spread() -> None:
    known = rows(["a", "b"], [0.2, 0.6])
    found = deployment_levels.expected(Level("pace", (), ALONE), known, rows(["?"], [0.0]))
    # The mean's variance is 1 / (1 / 0.25 + 2 / (0.09 + 0.01)).
    variance = 1.0 / (4.0 + 20.0)
    assert found.mean[0] == pytest.approx(variance * (0.2 + 0.6) / 0.1)
    assert found.sd[0] ** 2 == pytest.approx(variance + 0.09 + 0.01)


def test_a_term_that_is_not_told_widens_the_interval() -> None:
    known = rows(["a", "b", "c"], [0.1, 0.5, 0.9], young=[0.0, 0.5, 1.0])
    level = Level("pace", ("young",), ALONE)
    told, untold = (
        deployment_levels.expected(level, known, rows(["?"], [0.0], young=of))
        for of in (0.5, np.nan)
    )
    assert untold.mean == pytest.approx(told.mean)
    assert untold.sd[0] > told.sd[0]


def test_spreads_of_many_deployments_are_found_again() -> None:
    generator = np.random.default_rng(0)
    names = [f"p{i}" for i in range(60) for _ in range(6)]
    level = np.repeat(0.4 * generator.standard_normal(60), 6)
    slowness = 0.2 + level + 0.05 * generator.standard_normal(len(names))
    known = rows(names, list(slowness), batch=np.tile(np.arange(6.0), 60))
    found = deployment_levels.fit(known, "pace", ()).spreads
    between = found.publisher**2 + found.stack**2 + found.system**2 + found.target**2
    assert np.sqrt(between + found.load**2) == pytest.approx(0.4, rel=0.25)
    assert found.noise == pytest.approx(0.05, rel=0.3)


def test_a_wait_for_memory_widens_by_how_long_it_may_be() -> None:
    known = rows(["a", "b"], [0.2, 0.6])
    level = Level("first_token", (), replace(ALONE, queue=0.5))
    free, crowded = (
        deployment_levels.expected(
            level,
            known.assign(quantity="first_token"),
            rows(["?"], [0.0], quantity="first_token", crowded=of),
        )
        for of in (0.0, 2.0)
    )
    assert crowded.mean == pytest.approx(free.mean)
    assert crowded.sd[0] ** 2 - free.sd[0] ** 2 == pytest.approx((0.5 * 2.0) ** 2)


def test_groups_that_attend_apart_are_told_by_their_layout() -> None:
    frame = pd.DataFrame({"tensor_parallel": [1, 8, np.nan], "expert_parallel": [8, 8, 8]})
    assert list(deployment_levels._apart(frame)) == [1.0, 0.0, 0.0]
    assert list(deployment_levels._apart(frame[[]])) == [0.0, 0.0, 0.0]


def test_levels_are_stored_as_they_are() -> None:
    levels = {"pace": Level("pace", ("young",), ALONE), "energy": Level("energy", (), ALONE)}
    assert deployment_levels.from_table(deployment_levels.as_table(levels)) == levels


@pytest.mark.slow
def test_the_stored_physics_and_levels_are_those_of_this_code() -> None:
    fresh = deployment_fit.published_predictions().set_index(["kind", "id", "target"])
    stored = catalog.table("published_predictions").set_index(["kind", "id", "target"])
    assert fresh.index.sort_values().equals(stored.index.sort_values())
    np.testing.assert_allclose(fresh["predicted"], stored["predicted"][fresh.index], rtol=1e-3)
    np.testing.assert_allclose(fresh["sd"], stored["sd"][fresh.index], rtol=1e-2)
    known = published.known()
    for quantity, level in published.levels().items():
        of = known[known["quantity"] == quantity]
        found = deployment_levels.fit(of, quantity, level.terms)
        np.testing.assert_allclose(astuple(found.spreads), astuple(level.spreads), rtol=0.05)
