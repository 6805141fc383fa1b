from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import silicon
from llmecon.silicon import chip_jobs, real_chips
from llmecon.tables import catalog
from tests.problems import EFFICIENCY, changed, close
from tests.silicon.test_design import DECODE, PRICES, TRAIN, best

QUICK: Any = {"xla_backend_optimization_level": 0}
priced = jax.jit(real_chips.priced, compiler_options=QUICK)


@pytest.mark.slow
def test_the_best_chip_has_no_regret() -> None:
    for name, job in (("decode", DECODE), ("train", TRAIN)):
        found = best(name)
        roomy = changed(found.chip, memory=float(found.chip.memory) * (1.0 + 1e-9))
        again = priced(job, roomy, PRICES, EFFICIENCY)
        close(again.usd_per_token, found.usd_per_token, rtol=1e-4)


def test_what_does_not_fit_is_not_priced() -> None:
    small = changed(best("decode").chip, memory=1e9)
    for job in (DECODE, TRAIN):
        assert np.isinf(priced(job, small, PRICES, EFFICIENCY).usd_per_token)
    slow = changed(best("decode").chip, bandwidth=1e11)
    assert np.isinf(priced(DECODE, slow, PRICES, EFFICIENCY).usd_per_token)


def test_a_batch_is_what_memory_and_limits_allow() -> None:
    chip = best("decode").chip
    full = priced(DECODE, chip, PRICES, EFFICIENCY)
    close(full.batch, best("decode").batch, rtol=1e-6)
    assert float(priced(changed(DECODE, most=8.0), chip, PRICES, EFFICIENCY).batch) == 8.0
    hurried = priced(changed(DECODE, limit=0.03), chip, PRICES, EFFICIENCY)
    assert float(hurried.demand.seconds) == pytest.approx(0.03)


def test_instances_of_several_sizes() -> None:
    sized = real_chips.widths(DECODE, (1.0, 4.0))
    np.testing.assert_allclose(sized.deployment.tensor, [1.0, 4.0])
    np.testing.assert_allclose(sized.deployment.expert, [1.0, 1.0])
    spread = changed(DECODE.deployment, tensor=1.0, expert=8.0)
    experts = real_chips.widths(chip_jobs.decode(DECODE.llm, spread, 8192.0, 0.05), (8.0, 32.0))
    np.testing.assert_allclose(experts.deployment.expert, [8.0, 32.0])
    np.testing.assert_allclose(experts.deployment.tensor, [1.0, 1.0])
    runs = real_chips.widths(TRAIN, (2.0, 8.0))
    np.testing.assert_allclose(runs.layout.devices, [1024.0, 1024.0])


def test_real_chips_cost_more_than_the_best() -> None:
    ids = ("h100-sxm", "h200-sxm", "b200", "mi300x", "tpu-v5p", "l4")
    chips = catalog.stack([silicon.chip_of(catalog.xpu(of)) for of in ids])
    jobs = real_chips.widths(DECODE, (4.0,))
    compare = jax.jit(real_chips.regret, compiler_options=QUICK)
    found = np.asarray(compare(chips, jobs, best("decode"), PRICES, EFFICIENCY))
    assert np.all(found[:5] > 0.0)
    assert np.isinf(found[5])
    assert jnp.argmin(found) == 1


@pytest.mark.parametrize("kind", ["datacenter"])
def test_the_market_has_a_row_for_every_accelerator(kind: str) -> None:
    alone = real_chips.widths(TRAIN, (8.0,))
    found = real_chips.market(
        {"training": alone}, {"training": best("train")}, PRICES, EFFICIENCY, kind
    )
    table = catalog.table("xpus")
    assert list(found.index[1:]) == list(table.loc[table["kind"] == kind, "id"])
    assert found.index[0] == "best for training"
    assert (found["training"] >= -1e-9).all()
    assert found.loc["h100-sxm", "bytes_per_flop"] == pytest.approx(3.35e12 / 989.4e12)
