"""One quantity has one value, in whichever chapter it stands."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from llmecon import paths
from llmecon.publishing import scenario
from llmecon.publishing.prose import stored
from llmecon.specs import SECONDS_PER_MONTH
from llmecon.tables import catalog
from tests.book.site import EXECUTED, checks

pytestmark = pytest.mark.site

# A workload's mean lengths are published to more digits than chapters' sliders have.
CLOSE = 1e-3


@cache
def headlines(chapter: str) -> Mapping[str, float]:
    """The headline numbers of a chapter as the book is published."""
    found = stored.collect(EXECUTED / f"{chapter}.ipynb")
    return {of.name: of.value for of in found if of.value is not None}


@cache
def panel(chapter: str) -> Mapping[str, float]:
    """What a chapter's live panel says before anything is moved."""
    at_first: dict[str, float] = checks(chapter)[0]["results"]
    return at_first


def parameters(chapter: str) -> Mapping[str, Any]:
    given = scenario.load(paths.BOOK / "parameters" / "default.yaml")
    of = scenario.chapter(chapter)
    return scenario.validate(of, given.values(of))


def tokens_per_request(chapter: str) -> float:
    of = parameters(chapter)
    if "workload" in of:
        asked = catalog.workload(str(of["workload"]))
        return float(asked.prompt_tokens + asked.output_tokens)
    return float(of["prompt_tokens"] + of["output_tokens"])


SERVED = ("model", "xpu", "precision", "engine", "requests_per_second", "peak_to_mean",
          "spare_instances", "ttft_limit_s", "tpot_limit_s", "grid")  # fmt: skip
SERVING = ("tokenomics", "reasoning-agents", "carbon", "xpu-needs")


@pytest.mark.parametrize("name", SERVED)
def test_chapters_that_serve_start_from_one_case(name: str) -> None:
    """Else there would be nothing to compare below."""
    assert len({str(parameters(chapter)[name]) for chapter in SERVING}) == 1
    for spread in ("prompt_cv", "output_cv", "interarrival_cv"):
        workload = catalog.row("workloads", str(parameters("tokenomics")["workload"]))
        every = [parameters(chapter) for chapter in SERVING]
        given = {of[spread] for of in every if spread in of}
        assert given == {float(workload[spread])}
    lengths = [tokens_per_request(chapter) for chapter in SERVING]
    assert lengths == pytest.approx([lengths[0]] * len(lengths), rel=CLOSE)


def test_every_data_centre_has_one_pue() -> None:
    everywhere = {catalog.facility_pue()}
    for chapter in scenario.chapters():
        of = parameters(chapter.slug)
        if "facility" in of:
            everywhere.add(catalog.facility_pue(str(of["facility"])))
        if "pue" in of:
            everywhere.add(float(of["pue"]))
    assert len(everywhere) == 1


def test_carbon_of_an_answer() -> None:
    by_tokens = headlines("tokenomics")["g_co2e_per_mtok"] * tokens_per_request("tokenomics") / 1e6
    assert by_tokens == pytest.approx(headlines("carbon")["g_co2e_electricity"], rel=CLOSE)


def test_size_and_rent_of_the_fleet() -> None:
    for name in ("serving_xpus", "serving_cost"):
        shown = panel("xpu-needs")[{"serving_cost": "serving_usd"}.get(name, name)]
        assert shown == pytest.approx(headlines("xpu-needs")[name], rel=1e-9)
    assert panel("tokenomics")["xpus"] == headlines("xpu-needs")["serving_xpus"]
    requests = float(parameters("tokenomics")["requests_per_second"]) * SECONDS_PER_MONTH
    rent = panel("tokenomics")["usd"] * tokens_per_request("tokenomics") * requests / 1e6
    assert rent == pytest.approx(headlines("xpu-needs")["serving_cost"], rel=CLOSE)


def test_a_plain_request_at_scale() -> None:
    by_tokens = headlines("tokenomics")["usd_per_mtok_at_scale"] * tokens_per_request("tokenomics")
    thousand = headlines("reasoning-agents")["usd_per_thousand_plain"]
    assert thousand == pytest.approx(by_tokens / 1e3, rel=CLOSE)


def test_a_reasoned_answer_on_the_page() -> None:
    """Near a full memory a root takes more steps than pages make; the difference isn't seen."""
    shown, said = panel("reasoning-agents"), headlines("reasoning-agents")
    assert shown["reasoned"] == pytest.approx(said["usd_per_thousand_reasoned"], rel=CLOSE)
    assert shown["wait"] == pytest.approx(said["first_word_s"], rel=CLOSE)


def test_carbon_of_the_training_run() -> None:
    of, needs = parameters("carbon"), parameters("xpu-needs")
    assert of["training_tokens"] == needs["training_tokens"]
    answers = of["model_requests_per_second"] * of["model_life_months"] * SECONDS_PER_MONTH
    shared = headlines("carbon")["training_share"] * headlines("carbon")["g_co2e_per_request"]
    tonnes = shared * answers / 1e6
    assert tonnes == pytest.approx(headlines("xpu-needs")["training_carbon"], rel=CLOSE)


@pytest.mark.parametrize(
    ("chapter", "shown", "headline"),
    [
        ("carbon", "grams", "g_co2e_per_request"),
        ("carbon", "energy", "wh_per_request"),
        ("carbon", "water", "ml_water_per_request"),
        ("carbon", "hardware", "hardware_share"),
        ("tokenomics", "speed", "speed_tokens_per_s"),
        ("tokenomics", "grams", "g_co2e_per_mtok"),
        ("reasoning-agents", "plain", "usd_per_thousand_plain"),
        ("reasoning-agents", "talks", "usd_per_thousand_conversations"),
        ("xpu-needs", "training_xpus", "training_xpus"),
        ("xpu-needs", "training_usd", "training_cost"),
    ],
)
def test_a_panel_starts_from_the_headline(chapter: str, shown: str, headline: str) -> None:
    assert panel(chapter)[shown] == pytest.approx(headlines(chapter)[headline], rel=1e-9)


def test_a_router_of_two_models_is_that_of_three_with_one_unused() -> None:
    """At the defaults nothing is worth sending to the box nearby, which the panel leaves out."""
    shown, said = panel("hybrid-futures"), headlines("hybrid-futures")
    assert shown["sent"] == pytest.approx(1.0 - said["share_off_cloud"], rel=CLOSE)
    assert shown["grams"] == pytest.approx(said["g_co2e_per_request"], rel=CLOSE)
    assert shown["usd"] == pytest.approx(said["usd_per_thousand"], rel=CLOSE)
    assert shown["seconds"] == pytest.approx(said["seconds_per_answer"], rel=CLOSE)
