"""Services and training on one's own hardware, priced by the token."""

import jax.numpy as jnp
import pytest

from llmecon import adaptation, serving
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_HOUR, Instance, Workload, precision
from llmecon.training import TrainingJob
from tests.problems import (
    DENSE,
    EFFICIENCY,
    RELIABILITY,
    RUN,
    SINGLE,
    SITE,
    TARGET,
    catalog,
    changed,
    close,
    evaluate,
)

pytestmark = pytest.mark.slow

USD_PER_SECOND = 2.5 / SECONDS_PER_HOUR


H100 = catalog.xpu("h100-sxm")
INSTANCE = Instance(DENSE, H100, SINGLE, EFFICIENCY)
DEVICES = adaptation.OwnDevices(SITE, USD_PER_SECOND)
own_service = interpreted(adaptation.own_service)
own_trainer = interpreted(adaptation.own_trainer)


def test_rates_of_own_hardware_are_those_of_the_serving_model() -> None:
    """Exact for the typical request, and within 2% for one with twice the passages."""
    typical = Workload(prompt_tokens=1860.0, output_tokens=150.0, cached_fraction=0.43)
    longer = Workload(
        prompt_tokens=2860.0, output_tokens=150.0, cached_fraction=0.43 * 1860.0 / 2860.0
    )
    service = own_service(INSTANCE, typical, TARGET, DEVICES)
    for workload, tolerance in ((typical, 1e-6), (longer, 0.02)):
        rate = evaluate(serving.capacity, INSTANCE, workload, TARGET).rate
        cached = workload.prompt_tokens * workload.cached_fraction
        usd = service.price.of(workload.computed_prompt_tokens, cached, workload.output_tokens)
        assert float(usd) == pytest.approx(USD_PER_SECOND / float(rate), rel=tolerance)
    assert float(service.price.input) > float(service.price.cached) > 0.0
    assert float(service.least_price) == pytest.approx(USD_PER_SECOND)


def test_spare_hardware_and_adapters_cost_in_proportion() -> None:
    typical = Workload(prompt_tokens=1000.0, output_tokens=200.0)
    given = (INSTANCE, typical, TARGET, DEVICES)
    plain = own_service(*given)
    slower = own_service(*given, peak_to_mean=2.0, slowdown=1.1)
    assert float(slower.price.output) == pytest.approx(2.2 * float(plain.price.output))
    assert float(slower.machines.slowdown) == pytest.approx(1.1)
    close(slower.machines.held, plain.paced(2.2).machines.held)
    close(slower, own_service(*given, peak_to_mean=2.0, slowdown=1.0).slowed(1.1))
    one, many = (
        float(adaptation.adapter_slowdown(DENSE, precision("bf16"), *map(jnp.asarray, given)))
        for given in ((4e7, 1.0, 50.0), (4e7, 100.0, 50.0))
    )
    assert one == 1.0
    # Fifty adapters of half a percent of the weights each.
    assert many == pytest.approx(1.0 + 50.0 * 4e7 / 8.03e9, rel=1e-3)


def test_adapters_train_for_less() -> None:
    run = changed(RUN, tokens=1e8, global_batch=65536.0, compute_precision_gain=1.0, trainable=1.0)
    whole, part = (
        TrainingJob(DENSE, H100, of, EFFICIENCY) for of in (run, changed(run, trainable=0.005))
    )
    full, plan = own_trainer(whole, 86400.0, RELIABILITY, DEVICES)
    lora, _ = own_trainer(part, 86400.0, RELIABILITY, DEVICES)
    assert float(plan.feasible) == 1.0
    assert float(full.price) == pytest.approx(
        float(plan.device_seconds) * USD_PER_SECOND / 1e8, rel=1e-9
    )
    # Two thirds of the FLOPs, and fewer devices to wait for.
    assert 0.3 < float(lora.price / full.price) < 0.75
    assert float(lora.weights) == pytest.approx(0.005 * 8.03e9, rel=1e-3)
