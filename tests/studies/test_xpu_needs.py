"""The study of how many accelerators: one answer behind headline, interval, panel and table."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from llmecon import training
from llmecon.errors import InputError
from llmecon.evidence import uncertainty, whole_runs
from llmecon.evidence.sourcing import Use
from llmecon.execution.interpreter import interpreted
from llmecon.publishing import prose
from llmecon.publishing.chapters.xpu_needs import charts, panel, tables
from llmecon.publishing.prose import provenance
from llmecon.studies.systems import drawn_layouts
from llmecon.studies.xpu_needs import frames
from llmecon.studies.xpu_needs.model import Case, answer, numbers, smooth, told
from llmecon.studies.xpu_needs.scenario import Scenario
from llmecon.studies.xpu_needs.study import Study, requests, resolve, target, training_layouts
from llmecon.tables import catalog
from tests.studies.agreement import assert_finite_differences, at_first, evaluated

SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "mixture": {
        "model": "deepseek-v3",
        "xpu": "mi300x",
        "precision": "bf16",
        "training_tokens": 14.8e12,
        "requests_per_second": 300.0,
        "xpus_per_instance": 16,
        "usd_per_xpu_hour": 2.5,
        "peak_to_mean": 1.0,
    },
    "in memory": {  # fewer devices could not hold the model; nobody publishes a rent
        "xpu": "h20",
        "training_tokens": 1e9,
        "deadline_days": 365.0,
        "engine": "vllm",
        "prompt_tokens": 500.0,
        "requests_per_second": 0.1,
    },
    "late": {
        "model": "llama-3.1-405b",
        "deadline_days": 20.0,
        "ttft_limit_s": 0.05,
        "spare_instances": 0,
        "grid": "fra",
    },
}
every_scenario = pytest.mark.parametrize("name", SCENARIOS)


@cache
def studied(name: str) -> Study:
    return resolve(Scenario(**SCENARIOS[name]))


@pytest.mark.slow
@every_scenario
def test_headlines_are_the_answer(name: str) -> None:
    study = studied(name)
    answered = {key: float(value) for key, value in evaluated(numbers)(study.case).items()}
    assert set(study.quantities) == set(answered)
    for key, of in study.quantities.items():
        if of.value is None:
            unpriced = key.endswith("cost") and not study.priced
            # What the fastest fleet draws is known, but it wastes most of itself: it isn't told.
            late = key in ("training_energy", "training_carbon") and not study.can_train
            assert of.text
            assert unpriced or late or np.isnan(answered[key])
            assert of.low is of.high is None
            assert not of.elasticities
        else:
            assert of.value == pytest.approx(answered[key], rel=1e-12)
            if of.low is not None and of.high is not None:
                assert of.low <= of.value <= of.high


def test_what_can_t_be_done_says_why() -> None:
    texts = {key: of.text for key, of in studied("late").quantities.items()}
    assert texts["training_xpus"] == texts["training_cost"] == "not in time"
    assert texts["serving_xpus"] == texts["serving_energy_per_token"] == "limits not met"
    assert studied("late").quantities["training_energy"].text == "not in time"
    assert studied("in memory").quantities["training_cost"].text == "price unknown"
    assert studied("in memory").quantities["serving_cost"].text == "price unknown"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"])
def test_what_makers_tell_of_lies_where_nine_in_ten_runs_do(model: str) -> None:
    study = resolve(Scenario(model=model, deadline_days=180.0))
    assert study.published_hours is not None
    assert study.published_hours > study.bare_hours
    assert study.as_expected(study.published_hours)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "mixture"])
def test_the_panel_starts_at_the_answer(name: str) -> None:
    study = studied(name)
    # Menus of a few entries look up the same records in less time.
    few = replace(panel.OFFERED, models=("llama-3.1-8b",), xpus=("h100-sxm",))
    shown = at_first(panel.panel(study, few))
    for on_page, in_chapter in (
        ("training_xpus", "training_xpus"),
        ("training_usd", "training_cost"),
        ("serving_xpus", "serving_xpus"),
        ("serving_usd", "serving_cost"),
    ):
        told = study.quantities[in_chapter].value
        assert shown[on_page] == pytest.approx(told, rel=1e-9)
    assert shown["can_train"] == shown["can_serve"] == 1.0
    assert shown["here_y"] == pytest.approx(study.planned, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "mixture", "in memory"])
def test_elasticities_are_finite_differences(name: str) -> None:
    study = studied(name)
    # Devices of a layout and of a domain of links are counted, not differentiated.
    held = (".layout", ".bare_layout", ".deployment", ".xpu.link_domain")
    effects = {
        key: of for key, of in study.differentiated.effects.items() if not key.startswith("bare")
    }
    assert_finite_differences(smooth, study.case, effects, held)
    run = study.quantities["training_xpus"].elasticities
    assert run["deadline"] == pytest.approx(-run["training tokens"], abs=1e-6)


def test_slower_runs_need_more_devices() -> None:
    study = studied("defaults")
    between, away = study.xpus_between, study.away.interval()
    assert between.bounded
    assert between.low < study.training_xpus < between.high
    # The fleet of either end is the one that is planned where runs are expected to go so.
    of = study.case
    for devices, slower in ((between.low, away.low), (between.high, away.high)):
        times = slower * study.overhead.median
        (layout,) = training_layouts(study.scenario, [study.scenario.xpu], [times])
        spread = replace(layout, data=devices / (layout.tensor * layout.pipeline))
        cluster = whole_runs.with_overhead(of.cluster, times)
        taken = _clock(of.job, spread, cluster)
        assert float(taken) == pytest.approx(study.deadline, rel=0.01)
    assert not study.memory_decides
    assert studied("in memory").memory_decides
    assert studied("in memory").quantities["training_xpus"].low is None


def test_where_slower_runs_are_late_on_any_number_there_is_no_upper_end() -> None:
    study = resolve(Scenario(model="llama-3.1-405b", deadline_days=75.0))
    assert study.can_train
    assert not study.xpus_between.bounded
    assert study.quantities["training_xpus"].high is None
    sure = prose.render("xpu-needs", "sure", study=study, basis=frames.basis(study))
    assert "has no upper end" in sure


_clock = interpreted(training.wall_clock)


@interpreted
def _one_by_one(case: Case, serve: Any, laid_out: Any, train: Any, slower: Any) -> Any:
    def one(of: Any) -> Any:
        efficiency, layout, attained, longer = of
        drawn = replace(case, efficiency=efficiency, training_efficiency=attained, slower=longer)
        return told(answer(replace(drawn, deployment=layout)))

    return jax.lax.map(one, (serve, laid_out, train, slower))


@pytest.mark.slow
def test_intervals_are_those_of_draws() -> None:
    study = studied("defaults")
    system, given = study.serving, study.scenario
    serve = catalog.efficiency_draws(system)
    fastest, slowest = np.argsort(np.asarray(serve.decode_multiple))[[0, -1]]
    _, laid_out = drawn_layouts(system, requests(given), target(given))
    assert laid_out.xpus[fastest] < laid_out.xpus[slowest]
    train = catalog.efficiency_draws(catalog.system(xpu="h100-sxm"))
    drawn = _one_by_one(study.case, serve, laid_out, train, study.away.draws(len(train.memory)))
    for key in ("serving_xpus", "serving_cost", "training_energy", "serving_energy_per_token"):
        of, expected = study.quantities[key], uncertainty.bounds(np.asarray(drawn[key]))
        assert (of.low, of.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    # A run's rent is known as well as its device-hours.
    cost = study.quantities["training_cost"]
    assert cost.low is not None
    assert cost.high is not None
    assert cost.high / cost.low == pytest.approx(study.hours_between.high / study.hours_between.low)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["defaults", "mixture"])
def test_the_table_of_all_holds_the_headline(name: str) -> None:
    study = studied(name)
    every = frames.side_by_side(study)
    own = every.loc[study.scenario.xpu]
    for column, headline in (
        ("training_xpus", "training_xpus"),
        ("training_usd", "training_cost"),
        ("training_mwh", "training_energy"),
        ("training_tonnes", "training_carbon"),
        ("serving_xpus", "serving_xpus"),
        ("serving_usd", "serving_cost"),
    ):
        assert own[column] == pytest.approx(study.quantities[headline].value, rel=1e-9)
    assert every[~every["can_train"]]["training_usd"].isna().all()
    assert len(tables.every_xpu(every)) == len(catalog.ids("xpus"))
    for job in frames.COSTS:
        least = frames.cheapest(study, every, job)
        assert least.usd == every[frames.COSTS[job]].min()
        assert least.own == (least.name == study.xpu_name)


@pytest.mark.slow
def test_charts_follow() -> None:
    study = studied("defaults")
    scaling = frames.scaling(study)
    assert scaling is not None
    assert 0.3 < scaling.gain < 1.0
    days = scaling.lines.query("series == 'with failures'")["days"].to_numpy()
    assert (np.diff(days) < 0).all()
    loaded = frames.loaded(study)
    over = loaded.lines.groupby("rate")["over"].max()
    carried = float(study.answer.serving.capacity.rate)
    assert over[over <= 1.0].index.max() <= carried <= over[over > 1.0].index.min()
    assert frames.passes(study).prefill == "arithmetic"


@pytest.mark.parametrize("job", frames.COSTS)
@pytest.mark.parametrize("count", [2, 30])
def test_titles_mark_the_winner_and_claim_no_more_than_is_drawn(job: Use, count: int) -> None:
    ids = ["mi355x", *[xpu for xpu in catalog.ids("xpus") if xpu != "mi355x"]][:count]
    every = pd.DataFrame(
        {
            "name": [catalog.name("xpus", xpu) for xpu in ids],
            "vendor": "a maker",
            "serving_xpus": 6.0,
            frames.COSTS[job]: 1e6 * np.arange(1, count + 1),
        },
        index=ids,
    )
    study = studied("defaults")
    drawn = charts.costs(study, every, job, provenance.of())
    assert drawn is not None
    page = " ".join(BeautifulSoup(drawn.markup, "html.parser").get_text(" ").split())
    assert "MI355X (unread, untested)" in page
    shown = frames.shown(every, job, study.scenario.xpu)
    partial = f"the {len(shown)} cheapest of {count} are drawn" in page
    assert partial == (count > len(shown))
    if job == "training":
        assert ("of those drawn" in page) == partial


@pytest.mark.parametrize("job", frames.COSTS)
def test_the_readers_own_is_drawn_however_dear(job: Use) -> None:
    study = studied("defaults")
    own = study.scenario.xpu
    ids = [*[xpu for xpu in catalog.ids("xpus") if xpu != own], own]
    every = pd.DataFrame(
        {
            "name": [catalog.name("xpus", xpu) for xpu in ids],
            "vendor": "a maker",
            "serving_xpus": 6.0,
            frames.COSTS[job]: 1e6 * np.arange(1, len(ids) + 1),
        },
        index=ids,
    )
    shown = frames.shown(every, job, own)
    assert shown.index[-1] == own
    assert list(shown.index[:-1]) == ids[: len(shown) - 1]
    drawn = charts.costs(study, every, job, provenance.of())
    assert drawn is not None
    page = " ".join(BeautifulSoup(drawn.markup, "html.parser").get_text(" ").split())
    own_drawn = f"the {len(shown) - 1} cheapest of {len(ids)} and {study.xpu_name} are drawn"
    assert own_drawn in page


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ({"memory size": -0.2}, "memory size matters most: 1% more of it saves 0.2%"),
        ({"all arithmetic rates": -0.7}, "all arithmetic rates matter most: 1% more of them"),
        ({"memory size": -0.2, "link bandwidth": -0.2}, "matter most: 1% more of either"),
    ],
)
def test_titles_of_elasticities_agree_with_what_they_name(
    effects: dict[str, float], said: str
) -> None:
    assert said in charts._on_hardware(effects, "fleet")


@pytest.mark.slow
@every_scenario
def test_prose_follows(name: str) -> None:
    study = studied(name)
    said = prose.render("xpu-needs", "sentence", **frames.facts(study))
    sure = prose.render("xpu-needs", "sure", study=study, basis=frames.basis(study))
    assert ("No number of" in said) == (not study.can_train)
    assert ("No layout of" in said) == (not study.can_serve)
    memory_decides = study.can_train and study.memory_decides
    assert ("less than allowed" in said) == memory_decides
    assert ("Memory, not time" in sure) == memory_decides
    assert bool(sure) == (study.can_train or study.can_serve)
    fleet = prose.render("xpu-needs", "fleet", study=study, fleet=frames.fleet(study))
    assert bool(fleet) == study.can_serve
    layout = prose.render("xpu-needs", "layout", study=study, memory=frames.memory(study))
    assert ("needs the fewest devices" in layout) == study.can_train
    published = frames.published(study)
    assert "xPU-hours" in prose.render("xpu-needs", "published", study=study, published=published)
    energy = prose.render("xpu-needs", "energy", study=study)
    assert ("A million output tokens" in energy) == study.can_serve
    assert ("each good for" in said) == (
        study.can_serve and float(study.answer.serving.instances) > 1
    )
    work = prose.render("xpu-needs", "work", study=study, work=frames.work(study))
    assert ("are active for a token" in work) == (study.scenario.model == "deepseek-v3")


def test_what_fits_in_no_memory_says_how_much_it_would_take() -> None:
    study = resolve(Scenario(model="llama-3.1-8b", xpu="jetson-orin-nx"))
    assert not study.fits
    said = prose.render("xpu-needs", "sentence", study=study)
    assert f"cannot be trained on {study.xpu_name}" in said
    assert study.quantities["training_energy"].text == "does not fit"
    memory = frames.memory(study)
    assert memory.needed > memory.held


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt_tokens": 9e5}, "handles at most"),
        ({"xpus_per_instance": 12}, "do not divide into groups"),
        ({"model": "deepseek-v3", "xpus_per_instance": 2}, "use at least"),
    ],
)
def test_what_has_no_answer_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(Scenario(**given))
