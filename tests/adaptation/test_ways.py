"""Ways to answer from documents: bills by hand, limits, and rates against the serving model."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import adaptation, serving
from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.physics.energy import device_power
from llmecon.specs import Instance, Workload
from tests.problems import (
    DENSE,
    EFFICIENCY,
    KNOBS,
    KNOWLEDGE,
    NEWS,
    OFFERS,
    SINGLE,
    SITE,
    catalog,
    changed,
    close,
)

pytestmark = pytest.mark.slow

H100 = catalog.xpu("h100-sxm")


@cache
def outcomes(method: str):  # type: ignore[no-untyped-def]
    return interpreted(lambda *given: adaptation.outcome(method, *given))


def answered(method: str, case=NEWS, offers=OFFERS, knowledge=KNOWLEDGE, knobs=KNOBS):  # type: ignore[no-untyped-def]
    return outcomes(method)(case, offers, knowledge, knobs)


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
    assert float(found.prompt) == pytest.approx(1860.0)


def test_times_and_energy_are_those_of_the_serving_model_at_that_load() -> None:
    """One instance at 0.4 questions a second, all by hand from `serving.serve`."""
    slow = 1.1
    machines = OFFERS.base.machines
    asked = Workload(prompt_tokens=1860.0, output_tokens=150.0, cached_fraction=800.0 / 1860.0)
    served = serving.serve(
        Instance(DENSE, H100, SINGLE, EFFICIENCY), asked, jnp.asarray(0.4 * slow)
    )
    found = answered("rag")
    assert float(found.operation.instances) == 1.0
    assert float(found.ttft) == pytest.approx(0.1 + slow * float(served.ttft), rel=1e-6)
    after = 149.0 * slow * float(served.point.tpot)
    assert float(found.response) == pytest.approx(float(found.ttft) + after, rel=1e-6)
    host = float(EFFICIENCY.host_power * H100.tdp)
    watts = float(SITE.pue) * (float(served.point.power) + host)
    assert float(found.operation.energy.total) == pytest.approx(watts / 0.4, rel=1e-6)
    each = watts / 0.4 * float(SITE.carbon_intensity) + float(machines.making) / 0.4
    assert float(found.operation.carbon) == pytest.approx(each, rel=1e-6)
    assert float(found.carbon) == pytest.approx(each * 0.4 * float(NEWS.horizon), rel=1e-6)


def test_power_lies_between_idle_and_full_and_a_question_costs_less_the_more_are_asked() -> None:
    """From one question in a day to three hundred a second, on one instance and on many."""
    rates = jnp.geomspace(1e-5, 300.0, 30)

    def at(queries: jax.Array) -> adaptation.Operation:
        case = eqx.tree_at(lambda of: of.queries, NEWS, queries)
        return answered("as-is", case).operation

    found = jax.jit(jax.vmap(at))(rates)
    watts = np.asarray(found.energy.total * rates / found.instances)
    zero = jnp.zeros(())
    host = float(EFFICIENCY.host_power * H100.tdp)
    idle = float(device_power(H100, EFFICIENCY, zero, zero, zero)) + host
    pue = float(SITE.pue)
    most = pue * (float(H100.tdp * EFFICIENCY.power_multiple) + host)
    assert np.all(watts >= pue * idle * (1.0 - 1e-9))
    assert np.all(watts <= most)
    assert watts[0] == pytest.approx(pue * idle, rel=0.01)
    assert np.all(np.diff(found.energy.total) < 1e-9 * found.energy.total[:-1])
    alone = np.asarray(found.instances) == 1.0
    assert 5 < alone.sum() < len(alone)
    # Lighter than one question in half an hour is as light; the cache warms up meanwhile.
    assert np.all(np.diff(watts[alone]) > -1e-5 * watts[0])
    assert np.all(np.diff(watts[alone & (np.asarray(rates) > 1e-2)]) > 0.0)
    assert np.all(np.diff(found.tpot[alone]) > -1e-6 * found.tpot[0])


def test_a_provider_fills_its_instances_whatever_one_customer_asks() -> None:
    shared = changed(OFFERS.base.machines, least=0.0)
    hosted = eqx.tree_at(lambda of: of.base.machines, OFFERS, shared)
    few, many = (
        answered("as-is", changed(NEWS, queries=rate, instruction_tokens=1e-9, example_tokens=1e-9),
                 offers=hosted).operation
        for rate in (1e-4, 10.0)
    )  # fmt: skip
    assert float(few.energy.total) == pytest.approx(float(many.energy.total), rel=1e-6)
    assert float(few.ttft) == pytest.approx(float(many.ttft), rel=1e-6)
    assert float(few.instances) == pytest.approx(1e-5 * float(many.instances), rel=1e-6)


def test_models_of_ones_own_need_instances_of_their_own() -> None:
    few = answered("full", changed(NEWS, queries=1e-3, tenants=3.0))
    assert float(few.operation.instances) == 3.0
    one = answered("full", changed(NEWS, queries=1e-3, tenants=1.0))
    assert float(few.operation.energy.total) > 2.9 * float(one.operation.energy.total)


def test_a_bill_alone_is_that_of_the_outcome_and_needs_no_machines() -> None:
    bare = jax.tree.map(lambda of: of, OFFERS)
    for name in ("base", "adapted", "tuned", "long"):
        bare = eqx.tree_at(
            lambda of, name=name: getattr(of, name).machines,
            bare,
            None,
            is_leaf=lambda of: isinstance(of, adaptation.Machines),
        )
    for method in adaptation.METHODS:
        alone = adaptation.bill(method, NEWS, bare, KNOWLEDGE, KNOBS)
        close(alone, answered(method).bill)
    with pytest.raises(InputError, match="names no machines"):
        answered("rag", offers=bare)


def test_a_prompt_of_all_documents_is_computed_anew_when_one_changes() -> None:
    small = changed(NEWS, documents=200.0)
    still, moving = (
        answered("long-context", changed(small, change=change)).operation for change in (0.0, 1e-4)
    )
    # A hundred thousand tokens once in an hour, in which 1440 questions are asked.
    assert 1.001 < float(moving.energy.total / still.energy.total) < 1.1


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


def test_a_long_prompt_holds_what_the_window_takes() -> None:
    small = changed(NEWS, documents=200.0)
    assert float(answered("long-context", small).prompt) == pytest.approx(860.0 + 1e5)
    assert float(answered("long-context").prompt) == pytest.approx(131072.0 - 150.0)
    # One percent of the documents: hardly better than the model by itself, less what misleads it.
    assert float(answered("long-context").quality) < float(answered("as-is").quality)


def test_an_unknown_way_is_named() -> None:
    with pytest.raises(InputError, match="use one of as-is, rag, lora, full, both, long-context"):
        answered("magic")
