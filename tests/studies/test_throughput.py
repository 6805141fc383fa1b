"""The study of throughput: one answer behind headline, slopes, panel and guesses; its frames."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from llmecon.errors import InputError
from llmecon.evidence import uncertainty
from llmecon.laboratory.rates import Rates
from llmecon.publishing import prose
from llmecon.publishing.chapters.throughput import guesses, panel, tables
from llmecon.publishing.prose import provenance
from llmecon.studies.throughput import frames, machine
from llmecon.studies.throughput.model import LADDER, numbers
from llmecon.studies.throughput.scenario import Scenario
from llmecon.studies.throughput.study import Study, resolve
from llmecon.tables import catalog
from tests.laboratory.test_rates import FOUND
from tests.studies.agreement import assert_finite_differences, at_first, evaluated, scenarios

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "latent": {
        "model": "deepseek-v3",
        "xpu": "h200-sxm",
        "parallelism": "data-expert",
        "batch": 300.0,
        "prompt_tokens": 6000.0,
        "precision": "int4",
        "output_cv": 2.0,
    },
    "alone": {
        "model": "llama-3.1-8b",
        "xpu": "l40s",
        "xpus": 1,
        "precision": "bf16",
        "batch": 1.0,
        "acceptance": 0.0,
        "tpot_limit_s": 0.001,
    },
    "windows": {"model": "mistral-7b-v0.1", "xpu": "apple-m3-max", "xpus": 1, "batch": 4.0},
}
every_scenario = scenarios(SCENARIOS, quick=("defaults", "latent"))


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headline_and_panel_are_the_answer(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    told = {key: of.value for key, of in study.quantities.items()}
    assert told == pytest.approx(answered, rel=1e-12)
    shown = at_first(panel.panel(study, provenance.of(models=study.scenario.model)))
    assert shown["tokens"] == pytest.approx(answered["tokens_per_s_per_xpu"], rel=1e-9)
    assert shown["speed"] == pytest.approx(1.0 / answered["tpot_s"], rel=1e-9)
    assert shown["of_peak"] == pytest.approx(answered["share_of_peak"], rel=1e-9)
    assert shown["room"] == pytest.approx(study.room)
    assert shown["fits"] == shown["weights"] == 1.0
    for of in study.quantities.values():
        assert of.value is not None
        assert of.low is not None
        assert of.high is not None
        assert of.low <= of.value <= of.high
        assert of.unit != "fraction" or of.high <= 1.0


@pytest.mark.slow
@every_scenario
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Devices are counted. At a single request, the fewest there are, slopes to either side differ.
    held = (".layout", ".batch") if study.scenario.batch == 1.0 else (".layout",)
    assert_finite_differences(numbers, study.case, study.differentiated.effects, held)


@pytest.mark.slow
def test_intervals_are_those_of_draws() -> None:
    study = studied("defaults")
    drawn = uncertainty.intervals(
        lambda efficiency: numbers(replace(study.case, efficiency=efficiency)),
        catalog.efficiency_draws(study.system),
    )
    for key, of in study.quantities.items():
        assert of.low is not None
        assert of.high is not None
        if key == "served_per_s":  # some servers keep the limits at no load
            assert (of.low, of.high) == pytest.approx((drawn[key].low, drawn[key].high), rel=1e-6)
            continue
        width = np.log(drawn[key].high / drawn[key].low)
        assert np.log(of.high / of.low) == pytest.approx(width, rel=0.35, abs=0.02), key


@pytest.mark.slow
@every_scenario
def test_the_ladder_goes_down_to_the_headline(name: str) -> None:
    study = studied(name)
    rungs = study.ladder
    assert len(rungs) == len(LADDER)
    assert (np.diff(rungs) <= 1e-9 * rungs[:-1]).all()
    assert rungs[-1] == pytest.approx(study.values["tokens_per_s_per_xpu"], rel=1e-9)
    assert list(frames.rungs(study)["rung"]) == list(LADDER)


@pytest.mark.slow
def test_the_first_rung_is_the_peak_over_a_token_s_work() -> None:
    """Llama 3.1 8B: 15.0 GFLOP a token at 362 TFLOP/s of an L40S are 24,100 tokens a second."""
    assert studied("alone").ladder[0] == pytest.approx(362e12 / 15.01e9, rel=2e-3)


@pytest.mark.slow
@every_scenario
def test_frames_agree_with_the_headlines(name: str) -> None:
    study, given = studied(name), studied(name).scenario
    values = study.values
    caches = frames.caches(study).groupby("series")["gigabytes"].apply(np.asarray)
    assert (np.diff(caches["KV cache"]) >= -1e-9).all()
    batched = frames.batching(study)
    ends = frames.batching_ends(batched)
    assert ends["full"] >= ends["one"] > 0.0
    parts = frames.devices(study)
    whole = parts.groupby("devices")["ms"].sum()
    assert whole[1] / whole[given.xpus] == pytest.approx(values["parallel_gain"], rel=1e-9)
    ways = frames.ways(study).set_index("way")
    own = ways.loc[given.parallelism]
    assert own["tokens"] == pytest.approx(values["tokens_per_s_per_xpu"], rel=1e-9)
    assert own["room"] == pytest.approx(study.room)
    table = frames.precisions(study).set_index("precision")["tokens"]
    wide, narrow = study.compared
    assert table[given.precision] == pytest.approx(values["tokens_per_s_per_xpu"], rel=1e-9)
    if table[wide] and table[narrow]:
        assert table[narrow] / table[wide] == pytest.approx(values["narrowing_gain"], rel=1e-9)
    drafted = frames.drafts(study)
    assert (drafted[drafted["drafted"] == 0.0]["gain"] == 1.0).all()
    some = drafted[(drafted["flight"] == given.batch) & (drafted["drafted"] == given.draft_tokens)]
    np.testing.assert_allclose(some["gain"], values["drafting_gain"], rtol=1e-9)
    shares = frames.experts(study)
    assert shares["percent"].between(0.0, 100.0).all()
    both = frames.continuous(study).groupby("series")["rate"].apply(np.asarray)
    assert (both["continuous"] > 0).all()
    assert 0.0 < frames.alive(study) <= 1.0


@pytest.mark.slow
def test_caches_cross_the_weights_where_it_is_said() -> None:
    study = studied("defaults")
    even = frames.even_context(study)
    wide = frames.caches(study).pivot_table(index="context", columns="series", values="gigabytes")
    ratio = wide["KV cache"] / wide["weights"]
    crossing = np.exp(np.interp(0.0, np.log(ratio), np.log(ratio.index.to_numpy(float))))
    assert even == pytest.approx(crossing, rel=0.01)
    assert np.isinf(frames.even_context(studied("windows")))


@pytest.mark.slow
@every_scenario
def test_prose_and_tables_follow(name: str) -> None:
    study = studied(name)
    facts = frames.facts(study)
    said = prose.render("throughput", "answer", **facts)
    assert study.model_name in said
    assert ("No load keeps" in said) == (study.values["served_per_s"] == 0.0)
    assert "  " not in said
    even, each = frames.even_context(study), frames.cache_per_token(study)
    told = {"study": study, "even": even, "each": each, "infinity": np.inf}
    caches = prose.render("throughput", "caches", **told)
    assert ("never outgrow" in caches) == (name == "windows")
    ways = prose.render("throughput", "ways", study=study, ways=frames.ways(study))
    assert ("nothing to share" in ways) == (study.scenario.xpus == 1)
    experts = prose.render("throughput", "experts", study=study, **frames.weights_shares(study))
    dense = float(study.case.llm.experts) == 0.0
    assert ("has none" in experts) == dense
    phases = prose.render("throughput", "phases", study=study, decode=1.0, prompt=9.0, corner=5.0)
    assert ("experts" in phases) == (not dense)
    assert len(tables.ways(study)) == 3
    assert len(tables.precisions(study)) == 4


@pytest.mark.slow
@every_scenario
def test_guesses_are_asked_where_there_is_something_to_guess(name: str) -> None:
    study, given = studied(name), studied(name).scenario
    asked = {of: guesses.ask(study, of) for of in guesses.RANGES}
    for of, guess in asked.items():
        if guess:
            assert guess.value == study.values[of]
            assert guess.question.endswith("?")
    assert (asked["parallel_gain"] is None) == (given.xpus == 1)
    assert (asked["batching_gain"] is None) == (given.batch == 1.0)
    assert (asked["weights_share"] is None) == (float(study.case.llm.experts) == 0.0)
    assert guesses.ask_attained().value == pytest.approx(0.75, abs=0.1)


# What machines might be found to do: as the roof says, slower, quicker from a cache, both.
MACHINES = {
    "exact": {},
    "slow": {"decode": {1: 1.0, 3: 2.0}, "prefill": 3.0},
    "cached": {"decode": {1: 1e-9, 3: 1e-9}, "prefill": 1e-9, "products": {1: 1e-12, 8: 4e-6}},
    "cached product": {"products": {1: 1e-12, 8: 4e-6}},
    "mixed": {"decode": {1: 1e-9, 3: 2.0}, "prefill": 1e-9},
}


def found(**values: Any) -> Rates:
    """A measurement in which what isn't given is as the roof says."""
    steps = machine.steps(FOUND)["predicted"].to_list()
    over = machine.over_roof(FOUND)
    exact = replace(
        FOUND,
        products={rows: took / over[rows] for rows, took in FOUND.products.items()},
        decode=dict(zip((1, 3), steps[:2], strict=True)),
        prefill=steps[2],
    )
    return replace(exact, **values)


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_said_of_a_machine_is_true_of_any(name: str) -> None:
    measured = found(**MACHINES[name])
    said = prose.render("throughput", "machine", **machine.facts(measured))
    assert ("Two rates were enough" in said) == (name in ("exact", "cached product"))
    assert ("Two rates are not all" in said) == (name in ("slow", "mixed"))
    assert ("found weights in a cache" in said) == (name in ("cached", "cached product", "mixed"))
    ratio = machine.over_roof(measured)
    assert prose.render("throughput", "finding_machine", ratio=ratio)
    assert ratio.iloc[-1] >= 1.0 - 1e-9  # no product does more arithmetic than the best of them
    shown = machine.products(measured)
    assert set(shown["series"]) == {"the roof", "measured"}
    assert len(tables.steps(measured)) == 3
    assert guesses.ask_machine(measured).value > 0.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt_tokens": 9e5}, "handles at most"),
        ({"xpus": 1}, "use at least"),
        ({"xpus": 12}, "do not divide"),
        ({"batch": 5000.0}, "batch 5000 is more than"),
        ({"precision": "bf16", "parallelism": "data-expert", "model": "llama-3.1-405b",
          "xpus": 8, "xpu": "mi300x"}, "leaves no room"),
    ],
)  # fmt: skip
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))
