"""Ways to answer from documents: bills by hand, limits, and rates against the serving model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import adaptation, serving
from llmecon.errors import InputError
from llmecon.specs import SECONDS_PER_HOUR, Workload, precision
from tests.problems import (
    DENSE,
    EFFICIENCY,
    FINDING,
    KNOBS,
    KNOWLEDGE,
    NEWS,
    OFFERS,
    RELIABILITY,
    RUN,
    SINGLE,
    SITE,
    TARGET,
    catalog,
    changed,
)

USD_PER_SECOND = 2.5 / SECONDS_PER_HOUR
H100 = catalog.xpu("h100-sxm")


def answered(method: str, case=NEWS, offers=OFFERS, knowledge=KNOWLEDGE, knobs=KNOBS):  # type: ignore[no-untyped-def]
    return adaptation.outcome(method, case, offers, knowledge, knobs)


@pytest.mark.parametrize("method", adaptation.METHODS)
def test_parts_are_never_negative_and_add_up(method: str) -> None:
    found = answered(method)
    parts = np.asarray([float(part) for part in found.bill])
    assert np.all(parts >= 0.0)
    assert float(found.bill.total) == pytest.approx(parts.sum())
    assert 0.0 < float(found.quality) < 1.0
    assert float(found.bill.wrong) == pytest.approx(
        float(NEWS.queries * NEWS.horizon * NEWS.wrong * (1.0 - found.quality))
    )


def test_a_bill_of_retrieval_by_hand() -> None:
    """Five passages of 200 tokens; a prefix of 800 that is cached in all but exp(-120) of cases."""
    found = answered("rag")
    asked = 0.4 * 2.0 * 365.25 * 86400.0
    request = 1e-6 + (1000.0 + 60.0) * 2e-7 + 800.0 * 2e-8 + 150.0 * 8e-7
    assert float(found.bill.serving) == pytest.approx(asked * request)
    embedded = 1e7 * (1.0 + 0.05 * 24.0) + asked * 60.0
    stored = 1e7 / 200.0 * 1e-12 * 2.0 * 365.25 * 86400.0
    assert float(found.bill.retrieval) == pytest.approx(embedded * 2e-8 + stored + asked * 1e-5)
    assert float(found.ttft) == pytest.approx(0.1 + 0.1 + 1060.0 * 2e-5 + 800e-7 + 150e-6)
    assert float(found.response) == pytest.approx(float(found.ttft) + 149.0 * 0.02)
    assert float(found.prompt) == pytest.approx(1860.0)


def test_a_bill_of_training_by_hand() -> None:
    """Two and a half base models in the horizon, each trained every quarter of a year."""
    found = answered("lora")
    rounds = 0.8 / 0.25
    changed_share = 1.0 - np.exp(-0.05 * 3.0)
    again = (rounds - 1.0) * (changed_share + (1.0 - changed_share) * 0.3)
    tokens = 2.5 * 1e7 * (1.0 + again) * 80.0
    assert float(found.bill.training) == pytest.approx(tokens * 4e-7 + 2.5 * rounds * 100.0)
    assert float(found.bill.labelling) == pytest.approx(20_000.0 * (1.0 + 0.05 * 24.0) * 0.05)


def test_nothing_asked_costs_what_is_always_on() -> None:
    still = changed(NEWS, queries=1e-12)
    for method, instances in (("as-is", 1.0), ("full", 3.0)):
        each = 1e-6 if method == "as-is" else 2e-4
        found = answered(method, still)
        assert float(found.bill.serving) == pytest.approx(instances * each * float(NEWS.horizon))


def test_perfect_search_and_reading_are_right_but_for_a_stale_index() -> None:
    reading = changed(KNOWLEDGE.reading, alone=1.0, distraction=0.0)
    perfect = adaptation.Knowledge(FINDING, reading, KNOWLEDGE.learning, KNOWLEDGE.adapter)
    found = answered("rag", knowledge=perfect)
    stale = 0.5 * float(NEWS.change * OFFERS.index.refresh)
    assert float(found.quality) == pytest.approx(1.0 - stale, abs=1e-8)


def test_a_long_prompt_holds_what_the_window_takes() -> None:
    small = changed(NEWS, documents=200.0)
    assert float(answered("long-context", small).prompt) == pytest.approx(860.0 + 1e5)
    assert float(answered("long-context").prompt) == pytest.approx(131072.0 - 150.0)
    # One percent of the documents: hardly better than the model by itself, less what misleads it.
    assert float(answered("long-context").quality) < float(answered("as-is").quality)


def test_the_mean_over_time_is_the_mean() -> None:
    """A saw of quality, integrated by hand over whole periods."""
    case = changed(NEWS, replaced=0.75 * 365.25 * 86400.0)
    times = (np.arange(60_000) + 0.5) / 60_000 * float(case.replaced)
    for method in adaptation.METHODS:
        over_time = jax.jit(
            jax.vmap(
                lambda time, method=method: adaptation.quality_at(
                    method, case, OFFERS, KNOWLEDGE, KNOBS, time
                )
            )
        )(jnp.asarray(times))
        mean = adaptation.quality_over_life(method, case, OFFERS, KNOWLEDGE, KNOBS)
        assert float(mean) == pytest.approx(float(over_time.mean()), rel=1e-4), method


def test_training_on_changes_alone_forgets_the_rest() -> None:
    without, with_all = (
        float(answered("lora", knobs=changed(KNOBS, replay=share)).quality) for share in (0.0, 1.0)
    )
    assert with_all > without + 0.05


def test_an_unknown_way_is_named() -> None:
    with pytest.raises(InputError, match="use one of as-is, rag, lora, full, both, long-context"):
        answered("magic")


def test_rates_of_own_hardware_are_those_of_the_serving_model() -> None:
    """Exact for the typical request, and within 2% for one with twice the passages."""
    typical = Workload(prompt_tokens=1860.0, output_tokens=150.0, cached_fraction=0.43)
    longer = Workload(
        prompt_tokens=2860.0, output_tokens=150.0, cached_fraction=0.43 * 1860.0 / 2860.0
    )
    service = adaptation.own_service(
        DENSE, H100, SINGLE, typical, EFFICIENCY, TARGET, SITE, USD_PER_SECOND
    )
    for workload, tolerance in ((typical, 1e-6), (longer, 0.02)):
        rate = serving.capacity(DENSE, H100, SINGLE, workload, EFFICIENCY, TARGET).rate
        cached = workload.prompt_tokens * workload.cached_fraction
        usd = service.price.of(workload.computed_prompt_tokens, cached, workload.output_tokens)
        assert float(usd) == pytest.approx(USD_PER_SECOND / float(rate), rel=tolerance)
    assert float(service.price.input) > float(service.price.cached) > 0.0
    assert float(service.least_price) == pytest.approx(USD_PER_SECOND)


def test_spare_hardware_and_adapters_cost_in_proportion() -> None:
    typical = Workload(prompt_tokens=1000.0, output_tokens=200.0)
    given = (DENSE, H100, SINGLE, typical, EFFICIENCY, TARGET, SITE, USD_PER_SECOND)
    plain = adaptation.own_service(*given)
    slower = adaptation.own_service(*given, peak_to_mean=2.0, slowdown=1.1)
    assert float(slower.price.output) == pytest.approx(2.2 * float(plain.price.output))
    assert float(slower.tpot) == pytest.approx(1.1 * float(plain.tpot))
    one, many = (
        float(adaptation.adapter_slowdown(DENSE, precision("bf16"), *map(jnp.asarray, given)))
        for given in ((4e7, 1.0, 50.0), (4e7, 100.0, 50.0))
    )
    assert one == 1.0
    # Fifty adapters of half a percent of the weights each.
    assert many == pytest.approx(1.0 + 50.0 * 4e7 / 8.03e9, rel=1e-3)


def test_adapters_train_for_less() -> None:
    run = changed(RUN, tokens=1e8, global_batch=65536.0, compute_precision_gain=1.0, trainable=1.0)
    given = (EFFICIENCY, RELIABILITY, SITE, USD_PER_SECOND)
    day = 86400.0
    full, plan = adaptation.own_trainer(DENSE, H100, run, day, *given)
    lora, _ = adaptation.own_trainer(DENSE, H100, changed(run, trainable=0.005), day, *given)
    assert float(plan.feasible) == 1.0
    assert float(full.price) == pytest.approx(
        float(plan.device_seconds) * USD_PER_SECOND / 1e8, rel=1e-9
    )
    # Two thirds of the FLOPs, and fewer devices to wait for.
    assert 0.3 < float(lora.price / full.price) < 0.75
    assert float(lora.weights) == pytest.approx(0.005 * 8.03e9, rel=1e-3)
