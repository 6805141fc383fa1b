"""Prefill and decode apart: each by hand, and against what serves both."""

import math

import jax.numpy as jnp
import pytest
from scipy.stats import lognorm

from llmecon import serving
from llmecon.physics import roofline
from llmecon.serving.disaggregation import decoding, mixed, prefilling
from llmecon.specs import Deployment, Instance, Workload, precision
from llmecon.tables import catalog

LLM = catalog.llm("llama-3.1-70b")
XPU = catalog.xpu("h100-sxm")
DEPLOYMENT = Deployment(4.0, 1.0, 1.0, precision("fp8"))
WORKLOAD = Workload(2000.0, 300.0)
EFFICIENCY = catalog.efficiency()
HERE = (Instance(LLM, XPU, DEPLOYMENT, EFFICIENCY), WORKLOAD)


def test_a_mixed_instance_is_a_service():
    stage = mixed(*HERE, jnp.asarray(20.0), 0.99)
    service = serving.service_at(*HERE, jnp.asarray(20.0), 0.99)
    assert float(stage.time * service.point.rate) == pytest.approx(1.0)
    assert float(stage.ttft_quantile) == float(service.ttft_quantile)


def test_outputs_apart_come_as_under_disaggregation():
    apart = Deployment(4.0, 1.0, 1.0, precision("fp8"), disaggregated=1.0)
    there = serving.service_at(
        Instance(LLM, XPU, apart, EFFICIENCY), WORKLOAD, jnp.asarray(20.0), 0.99
    )
    stage = decoding(*HERE, jnp.asarray(20.0), 0.99)
    assert float(stage.tpot) == pytest.approx(float(there.point.tpot), rel=1e-12)
    # An instance that only decodes turns out requests at its batch over their time.
    point = serving.operating_point(
        Instance(LLM, XPU, apart, EFFICIENCY), WORKLOAD, jnp.asarray(20.0)
    )
    assert float(stage.time) == pytest.approx(float(300.0 * point.tpot / 20.0), rel=1e-12)


def test_no_prompt_delays_outputs_apart():
    batch = jnp.asarray(60.0)
    assert float(decoding(*HERE, batch, 0.99).tpot) < float(mixed(*HERE, batch, 0.99).tpot)


@pytest.mark.slow
def test_an_unhurried_prompt_waits_for_nothing_but_itself_and_its_way():
    stage = prefilling(*HERE, jnp.asarray(1e-6), 0.99)
    cost = roofline.forward_pass(
        Instance(LLM, XPU, DEPLOYMENT, EFFICIENCY),
        jnp.asarray(1.0),
        jnp.asarray(2000.0),
        jnp.asarray(0.0),
    )
    own = float(EFFICIENCY.prefill_multiple * cost.seconds)
    # 80 layers x 2 x 8 heads x 128 numbers of a byte, through four ports of 50 GB/s.
    moved = 2000.0 * 80 * 2 * 8 * 128 / (4 * 50e9 * float(EFFICIENCY.link))
    begun = float(EFFICIENCY.first_token_multiple) * (float(EFFICIENCY.request_time) + own)
    assert float(XPU.network_bandwidth) == 50e9
    assert float(stage.ttft) == pytest.approx(begun + moved, rel=1e-4)
    # Prompts whose lengths have a coefficient of variation of 1 are lognormal.
    long = lognorm.ppf(0.99, math.sqrt(math.log(2.0))) / math.sqrt(2.0)
    beyond = (float(EFFICIENCY.first_token_multiple) * own + moved) * (long - 1.0)
    assert float(stage.ttft_quantile) == pytest.approx(begun + moved + beyond, rel=1e-3)


def test_time_of_a_prompt_is_its_own_over_the_load():
    half, full = (prefilling(*HERE, jnp.asarray(load), 0.99) for load in (0.45, 0.9))
    assert float(half.time / full.time) == pytest.approx(2.0)
    assert float(half.ttft_quantile) < float(full.ttft_quantile)
    assert float(half.power) < float(full.power) <= float(XPU.tdp)
    assert float(full.tpot) == 0.0
