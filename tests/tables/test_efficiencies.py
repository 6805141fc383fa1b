"""Effects of groups on efficiencies: known, unseen, and how sure."""

import numpy as np
import pytest

from llmecon.tables import catalog
from llmecon.tables.efficiencies import MULTIPLES, UNSEEN, Attainment, Effect, System, shifted

VALUES = dict(catalog.attainment().values)
MEASURED = System("vllm", "h100-sxm", "llama-3.1-70b", "Llama 3", "fp8")
UNKNOWN = System("other", "tpu-v7", "gpt-3-175b", "GPT-3", "bf16")


def attainment() -> Attainment:
    kinds = [
        Effect("memory", "engine", "vllm", 0.4, 0.1, 10),
        Effect("memory", "engine", UNSEEN, 0.0, 0.3, 0),
        Effect("kernel_time", "xpu", UNSEEN, 0.0, 0.2, 0),
        Effect("pace", "model", "llama-3.1-70b", 0.1, 0.05, 10),
        Effect("pace", "model", UNSEEN, 0.0, 0.1, 0),
        Effect("first_token", "model", UNSEEN, 0.0, 0.3, 0),
        Effect("power", "model", UNSEEN, 0.0, 0.1, 0),
    ]
    generator = np.random.default_rng(0)
    return Attainment(
        values=VALUES | {"memory": 0.8, "kernel_time": 4e-6},
        scales={"memory": "logit", "kernel_time": "log"},
        effects={(of.parameter, of.kind, of.group): of for of in kinds},
        draws={
            "memory": generator.uniform(0.7, 0.9, 500),
            "memory|engine|vllm": generator.normal(0.4, 0.1, 500),
            "kernel_time": np.full(500, 4e-6),
        },
    )


def test_groups_are_named_by_their_parts() -> None:
    assert MEASURED.group("engine-precision") == "vllm:fp8"
    assert MEASURED.group("model") == "llama-3.1-70b"
    assert System(xpu="b200").group("engine-xpu") == UNSEEN


def test_offsets_add_on_their_scale() -> None:
    # logit(0.8) = log 4, so that an offset of log 2 gives odds of 8.
    assert shifted("logit", 0.8, np.log(2.0)) == pytest.approx(8.0 / 9.0)
    assert shifted("log", 3.0, np.log(2.0)) == pytest.approx(6.0)


def test_a_measured_system_has_its_group_s_values_and_an_unseen_one_its_parents() -> None:
    of = attainment()
    assert float(of.efficiency(MEASURED).memory) == pytest.approx(shifted("logit", 0.8, 0.4))
    assert float(of.efficiency(UNKNOWN).memory) == pytest.approx(0.8)
    for carrier in MULTIPLES["pace"]:
        assert float(getattr(of.efficiency(MEASURED), carrier)) == pytest.approx(np.exp(0.1))
        assert float(getattr(of.efficiency(UNKNOWN), carrier)) == pytest.approx(1.0)


def test_draws_are_joint_where_fitted_and_wider_where_unseen() -> None:
    of = attainment()
    memory = np.asarray(of.parameter_draws(MEASURED).memory)
    np.testing.assert_allclose(
        memory, shifted("logit", of.draws["memory"], of.draws["memory|engine|vllm"])
    )
    assert np.all((memory > 0) & (memory < 1))
    known, unseen = (np.log(of.efficiency_draws(s).decode_multiple) for s in (MEASURED, UNKNOWN))
    assert np.std(unseen) > 1.5 * np.std(known)
    assert of.sd(UNKNOWN, "pace") == pytest.approx(0.1)


def test_what_systems_share_is_drawn_once_and_the_rest_apart() -> None:
    stored = catalog.attainment()
    systems = [
        catalog.system("llama-3.1-70b", "h100-sxm", None, "fp8"),
        catalog.system("llama-3.1-70b", "tpu-v6e", None, "fp8"),
        catalog.system("qwen2.5-32b", "gaudi2", None, "bf16"),
    ]
    logs = [np.log(stored.efficiency_draws(of).decode_multiple) for of in systems]
    alike, unlike = (np.corrcoef(logs[0], other)[0, 1] for other in logs[1:])
    of_model = next(e.sd for e in stored.effects_on(systems[0], "pace") if e.kind == "model")
    shared = of_model**2 / (stored.sd(systems[0], "pace") * stored.sd(systems[1], "pace"))
    assert alike == pytest.approx(shared, abs=0.2)
    assert abs(unlike) < 0.2
    np.testing.assert_array_equal(
        logs[0], np.log(stored.efficiency_draws(systems[0]).decode_multiple)
    )


def test_decode_and_prompts_slow_down_together() -> None:
    drawn = attainment().efficiency_draws(UNKNOWN)
    np.testing.assert_allclose(drawn.decode_multiple, drawn.prefill_multiple)


def test_stored_posterior_centres_on_the_stored_values() -> None:
    stored = catalog.attainment()
    for name in ("memory", "compute", "kernel_time", "host_time_per_sequence"):
        middle = np.median(stored.draws[name])
        assert middle == pytest.approx(stored.values[name], rel=0.15), name


def test_a_measured_system_is_known_better_than_an_unseen_one() -> None:
    measured = catalog.system("llama-3.1-70b", "h100-sxm", "vllm", "bf16")
    unseen = catalog.system("falcon-180b", "mi300x", None, "bf16")
    stored = catalog.attainment()
    for quantity in MULTIPLES:
        assert stored.sd(measured, quantity) < 0.98 * stored.sd(unseen, quantity), quantity
