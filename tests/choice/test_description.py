"""Descriptions of a choice: what they hold, and what they refuse in one line."""

import re
from pathlib import Path
from typing import Any

import pytest

from llmecon import paths
from llmecon.choice import description
from llmecon.choice.description import Problem
from llmecon.errors import InputError

BUCKET = {
    "per_second": 2.0,
    "prompt_tokens": 500.0,
    "output_tokens": 200.0,
    "ttft": 2.0,
    "tpot": 0.05,
}
PLAIN: dict[str, Any] = {"model": "llama-3.1-8b", "buckets": [BUCKET]}


def test_python_and_yaml_say_the_same(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "model: llama-3.1-8b\n"
        "buckets:\n"
        "  - {per_second: 2, prompt_tokens: 500, output_tokens: 200, ttft: 2, tpot: 0.05}\n"
        "caps: {kw: 20, devices: {h100-sxm: 8}}\n",
        encoding="utf-8",
    )
    assert description.load(file) == Problem(
        model="llama-3.1-8b",
        buckets=(description.Bucket(**BUCKET),),
        caps=description.Caps(kw=20.0, devices={"h100-sxm": 8.0}),
    )


def test_a_description_survives_its_own_dump():
    described = description.load(paths.BOOK / "problems" / "two-sizes.yaml")
    assert description.problem(described.model_dump()) == described


def test_weights_are_in_the_order_of_resources():
    weights = description.Weights(
        usd=1.0, kg_co2e=2.0, litre=3.0, kwh=3.6e6, second=5.0, quality=6.0
    )
    by_name = dict(zip(description.RESOURCES, weights.by_resource, strict=True))
    assert by_name == {
        "usd": 1.0, "kg_co2e": 2.0, "litre": 3.0, "joule": 1.0, "second": 5.0, "quality": 6.0,
    }  # fmt: skip


REFUSED = [
    ({"model": "llama-3.1-8"}, "llama-3.1-8b"),
    ({"buckets": []}, "buckets"),
    (
        {"buckets": [BUCKET | {"ttft": 0.0}]},
        "buckets.0.ttft: Input should be greater than or equal to 0.000001",
    ),
    ({"buckets": [BUCKET | {"tpot": float("nan")}]}, "buckets.0.tpot"),
    ({"buckets": [BUCKET | {"per_second": float("inf")}]}, "buckets.0.per_second"),
    ({"buckets": [BUCKET | {"per_second": 1e-9}]}, "1e-09 must be 0, or between 1e-06 and"),
    ({"buckets": [BUCKET | {"per_second": 1e12}]}, "between 1e-06 and 1e+07"),
    ({"buckets": [BUCKET | {"output_tokens": 1.0}]}, "greater than or equal to 2"),
    ({"caps": {"kw": 1e-9}}, "caps.kw: 1e-09 must be 0"),
    ({"caps": {"seconds": 0.0}}, "caps.seconds"),
    ({"weights": {"second": 1e300}}, "weights.second"),
    ({"choices": {"regions": [{"grid": "usa", "pue": float("inf")}]}}, "choices.regions.0.pue"),
    ({"owned": {"server": float("inf")}}, "owned.server"),
    ({"no\nsuch": 1}, "no such: Extra inputs"),
    ({"buckets": [BUCKET | {"quantile": 1.0}]}, "buckets.0.quantile"),
    ({"buckets": [BUCKET | {"per_second": 0.0}]}, "nothing is asked for"),
    ({"buckets": [BUCKET | {"prompt_tokens": 1e6}]}, "handles at most"),
    ({"buckets": [{k: v for k, v in BUCKET.items() if k != "tpot"}]}, "buckets.0.tpot: Field req"),
    ({"weights": {"usd": 0.0}}, "weights: all are 0"),
    ({"weights": {"usd": -1.0}}, "weights.usd"),
    ({"weights": {"dollars": 1.0}}, "weights.dollars: Extra inputs"),
    ({"caps": {"kw": -1.0}}, "caps.kw"),
    ({"caps": {"devices": {"h100": 4}}}, "h100-sxm"),
    ({"choices": {"xpus": ["h100-sxn"]}}, "h100-sxm"),
    ({"choices": {"xpus": ["l4", "l4"]}}, "choices.xpus names l4 twice"),
    ({"choices": {"precisions": ["fp6"]}}, "fp6"),
    ({"choices": {"precisions": []}}, "choices.precisions is empty"),
    ({"choices": {"tensor": [0]}}, "must be at least 1"),
    ({"choices": {"regions": [{"grid": "atlantis"}]}}, "atlantis"),
    ({"choices": {"usd_per_hour": {"l4": 0.0}}}, "choices.usd_per_hour.l4"),
    ({"basis": "average"}, "basis"),
    ({"quality_lost": {"fp8": 1.5}}, "quality_lost.fp8"),
    # What no solver tells from nothing or from everything.
    ({"buckets": [BUCKET | {"quantile": 1.0 - 1e-12}]}, "buckets.0.quantile"),
    ({"buckets": [BUCKET | {"quantile": 1e-9}]}, "buckets.0.quantile"),
    ({"buckets": [BUCKET | {"ttft": 1e-300}]}, "buckets.0.ttft"),
    ({"buckets": [BUCKET | {"tpot": 1e300}]}, "buckets.0.tpot"),
    ({"buckets": [BUCKET | {"prompt_tokens": 1e300}]}, "buckets.0.prompt_tokens"),
    ({"buckets": [BUCKET | {"prompt_cv": 1e300}]}, "buckets.0.prompt_cv"),
    ({"buckets": [BUCKET | {"cached_fraction": 1.0 - 1e-12}]}, "buckets.0.cached_fraction"),
    ({"hardware_years": 1e-300}, "hardware_years"),
    ({"owned": {"years": 1e-300}}, "owned.years"),
    ({"owned": {"discount_rate": 1e300}}, "owned.discount_rate"),
    ({"choices": {"usd_per_hour": {"l4": 1e-300}}}, "choices.usd_per_hour.l4"),
    ({"choices": {"regions": [{"grid": "usa", "usd_per_kwh": 1e300}]}}, "usd_per_kwh"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_wrong_is_said_in_one_line(change: dict[str, Any], said: str):
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        description.problem(PLAIN | change)
    assert "\n" not in str(refused.value)


def test_wrong_entries_do_not_make_a_list_too_short():
    with pytest.raises(InputError) as refused:
        description.problem(PLAIN | {"buckets": [BUCKET | {"ttft": 0.0}]})
    assert str(refused.value) == "buckets.0.ttft: Input should be greater than or equal to 0.000001"


def test_everything_wrong_is_said_at_once():
    with pytest.raises(InputError, match=r"ttft.*tpot"):
        description.problem(PLAIN | {"buckets": [BUCKET | {"ttft": -1.0, "tpot": 0.0}]})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        ("model: [", "not valid YAML"),
        ("- 1\n", "must hold the fields"),
        ("model: 2024-13-45\n", "not valid YAML"),
        ("model: !!int abc\n", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        (f"model: {'9' * 5000}\n", "not valid YAML"),
    ],
    ids=["missing", "open", "list", "date", "integer", "nested", "digits"],
)
def test_files_that_hold_no_problem(tmp_path: Path, content: str | None, said: str):
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said) as refused:
        description.load(file)
    assert "\n" not in str(refused.value)
    assert "mine.yaml" in str(refused.value)
