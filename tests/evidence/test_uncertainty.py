"""Intervals over draws, against distributions whose quantiles are known."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval, Multiple
from llmecon.physics import roofline
from llmecon.specs import Deployment, Efficiency, Instance, Workload, precision
from llmecon.tables import catalog
from llmecon.tables.efficiencies import LEVELS, MULTIPLES

EVEN = jnp.linspace(0.0, 1.0, 1001)


def test_quantiles_of_a_uniform_distribution():
    found = uncertainty.interval(lambda x: 10.0 + x, EVEN)
    assert (found.low, found.high) == pytest.approx((10.05, 10.95), abs=0.0011)
    assert (found.missing, found.share, found.bounded) == (0.0, 0.9, True)
    half = uncertainty.interval(lambda x: 10.0 + x, EVEN, share=0.5)
    assert (half.low, half.high) == pytest.approx((10.25, 10.75), abs=0.0011)


def test_several_numbers_and_several_kinds_of_draws_at_once():
    found = uncertainty.intervals(
        lambda drawn: {"sum": drawn[0] + drawn[1], "square": drawn[0] ** 2}, (EVEN, -EVEN)
    )
    assert found["sum"] == Interval(0.0, 0.0)
    assert found["square"].high == pytest.approx(0.95**2, abs=0.002)


@pytest.mark.parametrize("nothing", [jnp.nan, jnp.inf])
def test_draws_without_a_number_are_counted_and_not_used(nothing):
    few = uncertainty.interval(lambda x: jnp.where(x < 0.96, x, nothing), EVEN)
    assert few.missing == pytest.approx(41 / 1001)
    assert few.high < 0.96
    assert few.bounded
    many = uncertainty.interval(lambda x: jnp.where(x < 0.9, x, nothing), EVEN)
    assert not many.bounded
    assert many.around(0.5) == {}


def test_no_interval_where_nothing_is_feasible():
    never = uncertainty.interval(lambda x: x * jnp.nan, EVEN)
    assert math.isnan(never.low)
    assert never.missing == 1.0
    assert not never.bounded


def test_an_interval_around_a_value_holds_it():
    assert Interval(2.0, 3.0).around(2.5) == {"low": 2.0, "high": 3.0}
    assert Interval(2.0, 3.0).around(4.0) == {"low": 2.0, "high": 4.0}
    assert Interval(2.0, 3.0).around(None) == {}
    assert Interval(2.0, 3.0).around(math.nan) == {}
    assert (Interval(2.0, 3.0, 0.01) * 2.0) == Interval(4.0, 6.0, 0.01)
    assert not (Interval(2.0, 3.0) * math.nan).bounded


def test_draws_of_a_multiple_fill_its_interval():
    multiple = Multiple(math.log(2.0), 0.3)
    known = multiple.interval()
    assert known.low == pytest.approx(2.0 * math.exp(-1.6449 * 0.3), rel=1e-4)
    drawn = uncertainty.interval(lambda factor: factor, multiple.draws(2000))
    assert (drawn.low, drawn.high) == pytest.approx((known.low, known.high), rel=0.01)
    assert float(jnp.median(multiple.draws(2000))) == pytest.approx(2.0, rel=1e-3)


def decode_seconds(model: str, xpu: str):
    llm, device = catalog.llm(model), catalog.xpu(xpu)

    def seconds(efficiency: Efficiency):
        cost = roofline.forward_pass(
            Instance(llm, device, Deployment(tensor=8.0), efficiency),
            *map(jnp.asarray, (64.0, 1.0, 2000.0)),
        )
        return efficiency.decode_multiple * cost.seconds

    return seconds


def test_what_was_measured_is_surer_than_what_was_not():
    def width(system, model, xpu):
        found = uncertainty.interval(
            decode_seconds(model, xpu), catalog.efficiency_draws(catalog.system(**system))
        )
        return math.log(found.high / found.low)

    known = {"model": "llama-3.1-70b", "xpu": "h100-sxm", "precision": "fp8"}
    measured = width(known | {"engine": "vllm"}, "llama-3.1-70b", "h100-sxm")
    partly = width(known, "llama-3.1-70b", "h100-sxm")
    unknown = width({}, "llama-3.1-70b", "h100-sxm")
    # Of the accelerator without its engine little is known; widths are those of some draws.
    assert measured < 0.9 * partly
    assert partly <= 1.05 * unknown


def test_evidence_counts_what_was_measured():
    known = catalog.system("llama-3.1-70b", "h100-sxm", precision="fp8")
    with_engine = catalog.system("llama-3.1-70b", "h100-sxm", "vllm", "fp8")
    found = uncertainty.evidence(known)
    assert 0 < uncertainty.evidence(with_engine).both <= found.both
    assert found.both < min(found.model, found.xpu)
    elsewhere = uncertainty.evidence(catalog.system("llama-3.1-70b", "tpu-v4", precision="fp8"))
    assert (elsewhere.both, elsewhere.xpu) == (0, 0)
    assert elsewhere.model == found.model


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1.0, 64.0])
def test_the_delta_method_agrees_with_draws(batch: float):
    system = catalog.system("llama-3.1-70b", "h100-sxm", None, "fp8")
    llm, xpu = catalog.llm("llama-3.1-70b"), catalog.xpu("h100-sxm")
    layout = Deployment(tensor=4.0, precision=precision("fp8"))

    def log_tpot(efficiency: Efficiency):
        point = serving.operating_point(
            Instance(llm, xpu, layout, efficiency), Workload(1000.0, 500.0), jnp.asarray(batch)
        )
        return jnp.log(point.tpot)

    centre = catalog.efficiency(system)
    effects = jax.tree.map(jnp.multiply, jax.grad(log_tpot)(centre), centre)
    spread = uncertainty.spread(system)
    delta = spread.log_sd(effects, uncertainty.multiples_sd(system))
    drawn = jax.vmap(log_tpot)(catalog.efficiency_draws(system))
    # 64 draws know a standard deviation to within 9%.
    assert float(delta) == pytest.approx(float(jnp.std(drawn)), rel=0.25)


def test_a_spread_holds_what_varies_and_nothing_else():
    spread = uncertainty.spread(catalog.system())
    draws = catalog.attainment().parameter_draws(catalog.system())
    assert "memory" in spread.names
    assert "usable_memory" not in spread.names
    covariance = spread.factor.T @ spread.factor
    place = spread.names.index("memory")
    expected = np.var(np.log(np.asarray(draws.memory)), ddof=1)
    assert covariance[place, place] == pytest.approx(expected, rel=1e-3)


def test_multiples_move_all_that_they_carry_together():
    nothing = dict.fromkeys([*MULTIPLES, *LEVELS], 0.0)
    flat = uncertainty.Spread(np.zeros((0, 0)), ())
    effects = jax.tree.map(lambda _: 0.0, catalog.efficiency())
    both = {"decode_multiple": 0.7, "prefill_multiple": 0.3}
    effects = Efficiency(**{name: both.get(name, 0.0) for name in vars(effects)})
    assert float(flat.log_sd(effects, nothing)) < 1e-11
    assert float(flat.log_sd(effects, nothing | {"pace": 0.2})) == pytest.approx(0.2)
    assert float(flat.log_sd(effects, nothing | {"server_pace": 0.4})) == pytest.approx(0.4)
    # What a slow server adds to TTFT by its prompts is in the level of its TTFT already.
    first = eqx.tree_at(lambda of: of.first_token_multiple, effects, 1.0)
    assert float(flat.log_sd(first, nothing | {"server_pace": 0.4})) < 1e-11
