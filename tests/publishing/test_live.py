"""A small live panel: what it computes, what its page is told, what it refuses."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from llmecon.publishing.panel import live
from llmecon.publishing.panel.primitives import UntranslatableError

PRICES = {"h100-sxm": 2.0, "h200-sxm": 3.0}


def days(s: live.Settings) -> Any:
    return s.tokens / (1e11 * s.device["speed"] * s.replicas)


def function(s: live.Settings) -> dict[str, Any]:
    return {
        "days": days(s),
        "usd": days(s) * s.replicas * s.price["usd"] * 24.0,
        "in_time": jnp.where(days(s) <= s.deadline_days, 1.0, 0.0),
        "here_x": s.replicas,
        "here_y": days(s),
    }


@pytest.fixture
def panel(toy_book: Path) -> live.Panel:
    xpus = live.Menu("xpu", {"h100-sxm": "H100", "h200-sxm": "H200"}, "h100-sxm")
    return live.Panel(
        chapter="fast-one",
        given={"xpu": "h100-sxm", "replicas": 4, "tokens": 15e12},
        question="How long does it take, & what does it cost?",
        controls=[
            xpus,
            live.Slider("tokens", 1e9, 1e14, 15e12),
            live.Slider("replicas", 1.0, 100.0, 2.0, log=False),
            live.Slider("deadline_days", 0.1, 3650.0, 90.0),
        ],
        lookups={
            "device": live.lookup([xpus], lambda i: {"speed": {"h100-sxm": 1.0}.get(i, 1.5)}),
            "price": live.lookup([xpus], lambda i: {"usd": PRICES[i]}),
        },
        function=function,
        answers=[
            live.Answer("days", "days", "to train", needs="in_time"),
            live.Answer("usd", "USD", "to rent them", log_sd="log_sd"),
        ],
        curve=live.Curve(
            lambda s, along: (1.0 + 99.0 * along, days(s) * s.replicas / (1.0 + 99.0 * along)),
            "Replicas",
            "Time [days]",
        ),
        smooth="days",
        effects={"tokens": "tokens", "replicas": "replicas", "speed": "device.speed"},
        effect_title="1% more changes the days by so many percent",
        description="Days against replicas.",
        log_sd=lambda effect, s: 0.1 * jnp.abs(effect.tokens),
        refusals={"in_time": "Allow more days."},
    )


def told(shown: live.Shown) -> dict[str, Any]:
    packed = re.search(r'<script type="application/gzip">([^<]*)</script>', shown.markup)
    assert packed
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return data


def test_what_jax_computes_is_kept_for_tests(panel: live.Panel):
    first, *others = live.show(panel).checks
    assert first["results"]["days"] == pytest.approx(75.0)
    assert first["results"]["usd"] == pytest.approx(75.0 * 2 * 2.0 * 24.0)
    assert [first["results"][f"effect{i}"] for i in range(3)] == pytest.approx([1.0, -1.0, -1.0])
    assert first["results"]["log_sd"] == pytest.approx(0.1)
    assert len(others) > 20
    assert {of["settings"]["xpu"] for of in others} == {0.0, 1.0}


def test_the_markup_says_in_words_what_the_panel_answers(panel: live.Panel):
    markup = live.show(panel).markup
    assert "How long does it take, &amp; what does it cost?" in markup
    assert "<strong>75\xa0days</strong>" in markup
    assert "90%: USD\xa06,110 to 8,490" in markup
    assert '<label for="fast-one-tokens">Training tokens</label>' in markup
    assert 'aria-valuetext="15\xa0trillion\xa0tokens"' in markup
    assert 'role="alert" data-refusal="in_time" hidden' in markup
    assert markup.count('role="img" aria-label=') == 2


def test_the_page_is_told_where_the_chapter_s_run_differs_from_its_defaults(panel: live.Panel):
    data = told(live.show(panel))
    assert data["given"] == {"replicas": 4}
    assert [c["name"] for c in data["controls"]] == ["xpu", "tokens", "replicas", "deadline_days"]
    assert data["controls"][2]["whole"]
    assert [p["name"] for p in data["curve"]["params"][:4]] == [
        "tokens", "replicas", "deadline_days", "xpu",
    ]  # fmt: skip
    assert data["table"]["chapter"][0] == [1.0, 150.0]


def test_nothing_is_said_where_a_result_says_there_is_none(panel: live.Panel):
    controls = [replace(c, value=30.0) if c.name == "deadline_days" else c for c in panel.controls]
    shown = live.show(replace(panel, controls=controls))
    assert "<strong>–</strong>" in shown.markup
    assert 'data-refusal="in_time">Allow more days.' in shown.markup


def test_controls_must_be_parameters_or_say_what_they_are(panel: live.Panel):
    own = live.Slider("clients", 1.0, 10.0, 2.0)
    with pytest.raises(ValueError, match="fast-one has no parameter 'clients'"):
        replace(panel, controls=[*panel.controls, own])
    replace(panel, controls=[*panel.controls, replace(own, label="Clients")])


def test_menus_start_at_an_entry(panel: live.Panel):
    others = [c for c in panel.controls if c.name != "xpu"]
    with pytest.raises(ValueError, match="'xpu' starts at 'b200'"):
        replace(panel, controls=[live.Menu("xpu", {"h100-sxm": "H100"}, "b200"), *others])


def test_sliders_reach_to_where_a_rerun_starts():
    assert live.Slider("tokens", 1.0, 10.0, 20.0).high == 20.0
    assert live.Slider("tokens", 1.0, 10.0, 0.1).low == 0.1
    # No factor leads to 0.
    assert not live.Slider("tokens", 1.0, 10.0, 0.0).log
    with pytest.raises(ValueError, match="'tokens'"):
        live.Slider("tokens", 0.0, 10.0, 5.0)
    with pytest.raises(ValueError, match="'tokens'"):
        live.Slider("tokens", 1.0, 10.0, float("nan"))


def test_a_function_that_a_page_cannot_compute_is_refused(panel: live.Panel):
    def loops(s: live.Settings) -> dict[str, Any]:
        import jax

        total = jax.lax.fori_loop(0, 3, lambda _, x: x + s.tokens, s.tokens * 0.0)
        return function(s) | {"days": total}

    with pytest.raises(UntranslatableError, match=r"test_live\.py:\d+"):
        live.show(replace(panel, function=loops))
