"""Models on machines of one's own: figures by hand, and speeds that others measured."""

import math

import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.specs import Precision, Workload, precision
from llmecon.tables import catalog
from llmecon.tiers import own_machine
from tests.problems import changed, evaluate, floats

SMALL = catalog.llm("llama-3.2-3b")
INT4 = precision("int4")
PLAIN = own_machine.Machine(
    memory=5e9, memory_bandwidth=50e9, flops=1e12, power=5.0, sustained=0.5, burst=60.0
)
ASKED = Workload(prompt_tokens=400.0, output_tokens=211.0)
DEVICES = (
    "snapdragon-8-gen-3",
    "a17-pro",
    "snapdragon-x-elite",
    "apple-m3-max",
    "jetson-agx-orin",
    "jetson-orin-nano",
)
# Published sizes: 28 layers of 3072, 8 cached heads of 128, a vocabulary of 128,256.
LAYERS = 28 * (3072 * (2 * 3072 + 2 * 1024) + 3 * 3072 * 8192)
HEAD = 128_256 * 3072
CACHED = 28 * 2 * 1024 * 2.0


def evenly(bits: float) -> Precision:
    """All weights in as many bits, which is how files are described."""
    each = bits / 8.0
    return changed(INT4, feed_forward=each, attention=each, embedding=each)


@pytest.mark.parametrize(
    ("work", "seconds"), [(0.0, 0.0), (30.0, 30.0), (60.0, 60.0), (100.0, 140.0)]
)
def test_a_hot_machine_by_hand(work: float, seconds: float) -> None:
    """At half speed after a minute, the 40 s beyond it take 80 s."""
    assert evaluate(own_machine.throttled, *floats(work), PLAIN) == pytest.approx(seconds)


def test_a_machine_with_a_fan_never_slows_down() -> None:
    cool = changed(PLAIN, sustained=1.0)
    assert evaluate(own_machine.throttled, *floats(1e6), cool) == 1e6


def test_a_token_is_the_weights_over_the_memory() -> None:
    moved = LAYERS * 0.515625 + HEAD * 2.0 + 500.0 * CACHED
    found = evaluate(own_machine.token_time, SMALL, PLAIN, INT4, *floats(500.0))
    assert found == pytest.approx(moved / 50e9, rel=1e-3)


def test_slow_arithmetic_holds_tokens_up() -> None:
    slow = changed(PLAIN, flops=1e10)
    found = evaluate(own_machine.token_time, SMALL, slow, INT4, *floats(0.0))
    assert found == pytest.approx(2.0 * (LAYERS + HEAD) / 1e10, rel=1e-3)


def test_a_long_prompt_is_arithmetic_and_a_short_one_a_pass() -> None:
    long, short = (
        float(evaluate(own_machine.prompt_time, SMALL, PLAIN, INT4, *floats(n)))
        for n in (1000.0, 1.0)
    )
    # Beside the layers: the head once, and scores and sums over half of the prompt on average.
    attended = 4.0 * 28 * 3072 * 1000 * 1001 / 2
    assert long == pytest.approx((2.0 * LAYERS * 1000 + 2.0 * HEAD + attended) / 1e12, rel=1e-2)
    assert short == pytest.approx((LAYERS * 0.515625 + HEAD * 2.0) / 50e9, rel=2e-2)


@pytest.mark.parametrize("in_a_row", [1.0, 5.0, 50.0])
def test_requests_in_a_row_add_up(in_a_row: float) -> None:
    """All of them take what their work takes on a machine that gets hot; none draws more."""
    alone = evaluate(
        own_machine.answer, SMALL, changed(PLAIN, sustained=1.0), INT4, ASKED, *floats(1.0)
    )
    found = evaluate(own_machine.answer, SMALL, PLAIN, INT4, ASKED, *floats(in_a_row))
    work = in_a_row * float(alone.seconds)
    assert in_a_row * found.seconds == pytest.approx(max(work, 2.0 * work - 60.0))
    assert found.seconds == pytest.approx(float(found.ttft + 210.0 * found.tpot))
    assert found.energy == pytest.approx(float(alone.energy))
    assert found.energy == pytest.approx(5.0 * float(alone.seconds))


def test_a_model_fits_if_weights_and_cache_do() -> None:
    needed = LAYERS * 0.515625 + HEAD * 2.0 + 611.0 * CACHED
    for memory, fits in ((1.001 * needed, 1.0), (0.998 * needed, 0.0)):
        held = changed(PLAIN, memory=memory)
        assert evaluate(own_machine.answer, SMALL, held, INT4, ASKED, *floats(1.0)).fits == fits


@pytest.mark.parametrize("device", DEVICES)
def test_a_small_model_runs_on(device: str) -> None:
    found = evaluate(
        own_machine.answer, SMALL, own_machine.machine(device), INT4, ASKED, *floats(1.0)
    )
    assert found.fits == 1.0
    # Faster than people read, slower than in a data centre.
    assert 5.0 < 1.0 / found.tpot < 200.0
    assert 0.05 < found.ttft < 30.0
    assert found.energy == pytest.approx(catalog.row("xpus", device)["tdp_w"] * found.seconds)


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_attains_more_than_its_datasheet(device: str) -> None:
    found, sheet = own_machine.machine(device), catalog.xpu(device)
    assert 0.0 < found.memory_bandwidth < sheet.memory_bandwidth
    assert 0.0 < found.flops < sheet.bf16_flops
    assert 0.0 < found.memory < sheet.memory
    assert 0.0 < found.sustained <= 1.0


def test_a_large_model_runs_where_there_is_memory() -> None:
    """About 39 GB of weights, in 60% of 128 GiB and just so of 64 GiB."""
    large = catalog.llm("llama-3.1-70b")
    fits = {
        device: float(
            evaluate(
                own_machine.answer, large, own_machine.machine(device), INT4, ASKED, *floats(1.0)
            ).fits
        )
        for device in DEVICES
    }
    assert {device for device, found in fits.items() if found} == {
        "apple-m3-max",
        "jetson-agx-orin",
    }


def test_a_measured_share_by_hand() -> None:
    """19.7 tokens/s of 3.21 billion weights of 6.36 bits, of 77 GB/s."""
    rows = own_machine.measured()
    rows = rows[(rows["xpu"] == "snapdragon-8-gen-3") & (rows["tokens_per_s"] == 19.7)]
    assert list(rows["phase"]) == ["decode"]
    assert rows["share"].item() == pytest.approx(19.7 * 3.21e9 * 6.36 / 8 / 77e9)
    assert rows["share"].item() == pytest.approx(0.653, abs=1e-3)


def test_measurements_are_of_single_machines_and_all_used() -> None:
    rows, edge = own_machine.measured(), catalog.table("edge_devices").dropna(subset="xpu")
    alone = (catalog.table("measured_edge")["devices"] == 1).sum()
    phases = edge[["decode_tokens_per_s", "prefill_tokens_per_s"]].notna().sum().sum()
    assert len(rows) == alone + phases
    assert np.isfinite(rows["share"]).all()
    assert (rows["share"] > 0).all()
    # No memory is faster than its datasheet says.
    assert (rows[rows["phase"] == "decode"]["share"] < 1.0).all()


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ("oneplus-12-llama-3.2-1b-bf16", "llama-3.2-1b"),
        ("oneplus-12-llama-3.2-1b-spinquant", "llama-3.2-1b"),
        ("oneplus-12-llama-3.2-1b-qat-lora", "llama-3.2-1b"),
        ("oneplus-12-llama-3.2-3b-bf16", "llama-3.2-3b"),
        ("oneplus-12-llama-3.2-3b-spinquant", "llama-3.2-3b"),
        ("oneplus-12-llama-3.2-3b-qat-lora", "llama-3.2-3b"),
        ("oneplus-12-llama-3-8b-int4-g128", "llama-3-8b"),
        ("jetson-orin-nano-super-llama-3.1-8b", "llama-3.1-8b"),
        ("jetson-orin-nano-super-llama-3.2-3b", "llama-3.2-3b"),
        ("macbook-m3-max-llama-3.1-8b-native", "llama-3.1-8b"),
    ],
)
def test_measured_speeds_are_met_within_a_factor(row: str, model: str) -> None:
    of = catalog.row("edge_devices", row)
    written = evenly(of["bits_per_weight"])
    machine = own_machine.machine(of["xpu"])
    each = evaluate(own_machine.token_time, catalog.llm(model), machine, written, *floats(64.0))
    assert 0.5 < of["decode_tokens_per_s"] * float(each) < 2.0


# How far a machine's median lies from that of the others of its kind, at most, as a factor.
@pytest.mark.parametrize(
    ("kind", "decode", "prefill"), [("laptop", 1.85, 1.4), ("workstation", 1.45, 3.0)]
)
def test_a_machine_left_out_is_met_by_its_kind(kind: str, decode: float, prefill: float) -> None:
    rows = own_machine.measured()
    rows = rows[rows["kind"] == kind]
    factors: dict[str, list[float]] = {"decode": [], "prefill": []}
    for (xpu, phase), of in rows.groupby(["xpu", "phase"]):
        others = own_machine.attained(kind, without=xpu)
        assert others.rows == (rows["xpu"] != xpu).sum()
        share = others.memory if phase == "decode" else others.compute
        factors[phase].append(math.exp(abs(math.log(of["share"].median() / share))))
    assert len(factors["decode"]) >= 4
    for phase, bound in (("decode", decode), ("prefill", prefill)):
        assert max(factors[phase]) < bound
        assert np.median(factors[phase]) < 1.6


def test_the_spread_within_a_kind_covers_its_machines() -> None:
    for kind in ("laptop", "workstation"):
        of, rows = own_machine.attained(kind), own_machine.measured()
        logs = np.log(rows[(rows["kind"] == kind) & (rows["phase"] == "decode")]["share"])
        within = np.abs(logs - math.log(of.memory)) < 2.0 * of.memory_sd
        assert within.mean() > 0.9


def test_an_unmeasured_phase_is_that_of_all_kinds() -> None:
    """Nobody timed prompts on the one small box."""
    rows = own_machine.measured()
    rows = rows[(rows["kind"] != "datacenter") & (rows["phase"] == "prefill")]
    assert not (rows["kind"] == "edge").any()
    assert own_machine.attained("edge").compute == pytest.approx(rows["share"].median(), rel=1e-2)


def test_one_measurement_has_the_spread_of_all() -> None:
    few = own_machine.attained("phone", without="snapdragon-8-gen-3")
    assert few.rows == 2
    for of in (few.memory_sd, few.compute_sd):
        assert 0.1 < of < 2.0


def test_phones_get_hot_and_fans_help() -> None:
    """The median of 0.38, 0.48, 0.559 and 0.67 of the cool speed."""
    assert own_machine.sustained("phone") == pytest.approx((0.48 + 0.559) / 2)
    assert own_machine.sustained("laptop") == 1.0
    assert own_machine.sustained("edge") == 1.0


def test_machines_of_a_data_centre_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="serves many at once"):
        own_machine.machine("h100-sxm")
    with pytest.raises(InputError, match=r"kind 'watch'; use one of .*phone"):
        own_machine.attained("watch")
    with pytest.raises(InputError):
        own_machine.machine("no-such-machine")
