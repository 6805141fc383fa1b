"""Charts: what they draw, what they refuse, and what `show` makes of them."""

import itertools
import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import vl_convert
from bs4 import BeautifulSoup, Tag

from llmecon import paths
from llmecon.publishing import charts
from llmecon.publishing.charts import draw, theme
from llmecon.publishing.charts.figure import Chart

STYLES = (paths.BOOK / "_static" / "llmecon.css").read_text(encoding="utf-8")
DEVICES = pd.DataFrame(
    {
        "device": ["a", "b", "c"],
        "hours": [3.0, 7.0, 5.0],
        "maker": ["NVIDIA", "AMD", "NVIDIA"],
        "published": [4.0, np.nan, 5.5],
    }
)
CURVES = pd.DataFrame(
    {
        "speed": [1.0, 10.0, 100.0, 2.0, 20.0, 200.0],
        "cost": [1.0, 2.0, 8.0, 0.5, 1.0, 4.0],
        "model": ["one"] * 3 + ["two"] * 3,
        "low": [0.9, 1.8, 7.0, 0.4, 0.9, 3.5],
        "high": [1.1, 2.2, 9.0, 0.6, 1.1, 4.5],
    }
)
ABOUT = charts.Labels("A finding", "on a case")


def of_every_kind() -> dict[str, Chart]:
    """One chart of each kind, with its options on."""
    grid = pd.DataFrame({"p": [1, 1, 2, 2], "o": [3, 4, 3, 4], "usd": [0.1, 1, 10, 100]})
    parts = pd.DataFrame(
        {"device": ["a", "a", "b"], "part": ["x", "y", "x"], "gb": [1.0, 2.0, 4.0]}
    )
    stream = pd.DataFrame(
        {"t": [0.0, 1, 2], "sent": [0.0, 8, 9], "read": [0.0, 3, 6], "ideal": [0.0, 4, 8]}
    )
    rows = pd.DataFrame(
        {
            "what": ["tpot", "tpot", "ttft"],
            "measured": [1.0, 2.0, 30.0],
            "seen": [1.1, 1.9, 28.0],
            "unseen": [1.3, np.nan, 20.0],
            "maker": ["NVIDIA", "AMD", "AMD"],
        }
    )
    return {
        "agreement": charts.agreement(
            rows,
            "what",
            "measured",
            {"nothing": "seen", "the model": "unseen"},
            {"maker": "maker"},
            replace(ABOUT, names={"tpot": "TPOT [s]", "ttft": "TTFT [s]"}),
        ),
        "bars": charts.bars(
            DEVICES,
            "device",
            charts.Axis("hours", "h"),
            ABOUT,
            group="maker",
            reference=charts.Reference("published"),
        ),
        "dots": charts.bars(
            DEVICES, "device", charts.Axis("hours", "h", log=True), replace(ABOUT, highlight="b")
        ),
        "lines": charts.lines(
            CURVES,
            charts.Axis("speed", "Speed [1/s]", rules={"limit": 50.0}),
            charts.Axis("cost", "Cost [USD]", rules={"budget": 3.0}, band=("low", "high")),
            "model",
            ABOUT,
        ),
        "frontier": charts.frontier(
            CURVES, "speed", "cost", "model", ABOUT, limits={"reading": 5.0}
        ),
        "elasticities": charts.elasticities(
            {"price": 1.0, "speed": -0.5, "luck": math.nan}, "cost", ABOUT
        ),
        "stacked": charts.stacked(parts, "device", "part", charts.Axis("gb", "GB"), ABOUT),
        "shares": charts.stacked(
            parts, "device", "part", charts.Axis("gb", "GB"), ABOUT, share=True
        ),
        "heatmap": charts.heatmap(
            grid,
            charts.Axis("p", "in"),
            charts.Axis("o", "out"),
            charts.Axis("usd", "USD", log=True),
            ABOUT,
        ),
        "timeline": charts.timeline(stream, "t", "sent", "read", ABOUT, wanted="ideal"),
    }


@pytest.fixture(scope="module")
def shown() -> dict[str, BeautifulSoup]:
    """Every kind as a notebook shows it."""
    return {
        name: BeautifulSoup(charts.show(chart, f"the {name}").markup, "html.parser")
        for name, chart in of_every_kind().items()
    }


def specification(figure: BeautifulSoup) -> dict:
    return json.loads(figure.script.string)


@pytest.mark.slow
def test_every_kind_draws_without_a_script(shown):
    for name, figure in shown.items():
        assert len(figure.select(".llmecon-static svg path")) > 2, name
        assert figure.select(".llmecon-static svg text"), f"{name} lost its text"


def test_every_kind_is_described_titled_and_light(shown):
    for name, figure in shown.items():
        assert figure.select_one("[role=img]")["aria-label"] == f"the {name}"
        assert figure.figcaption.strong.text == "A finding"
        assert "on a case" in figure.figcaption.text
        assert specification(figure)["description"] == f"the {name}"
        assert "title" not in specification(figure)
        assert len(figure.script.string) < 10_000, name


def test_every_kind_fits_its_place_and_reaches_no_other_host(shown):
    for figure in shown.values():
        assert specification(figure)["width"] == "container"
        addresses = set(re.findall(r"https?://[^\s\"']+", str(figure)))
        assert all(address.startswith("http://www.w3.org/") for address in addresses)


def test_bars_are_ranked_and_name_the_published_figure_where_it_is_in_the_way():
    rows = charts.bars(
        DEVICES,
        "device",
        charts.Axis("hours", "h"),
        charts.Labels("t"),
        reference=charts.Reference("published"),
    ).to_dict()["datasets"]
    (rows,) = [r for r in rows.values() if "both" in r[0]]
    assert [(r["label"], r["text"], r["both"]) for r in rows] == [
        ("b", "7", "7"),
        ("c", "5", "5, ◆ 5.5"),
        ("a", "3", "3, ◆ 4"),
    ]


def test_stacked_parts_follow_each_other():
    parts = pd.DataFrame({"d": ["a", "a"], "p": ["x", "y"], "v": [1.0, 3.0]})
    data = charts.stacked(parts, "d", "p", charts.Axis("v", "GB"), charts.Labels("t")).to_dict()[
        "datasets"
    ]
    (rows,) = [r for r in data.values() if "start" in r[0]]
    assert [(r["start"], r["end"], r["of"]) for r in rows] == [(0, 1, 0.25), (1, 4, 0.75)]


def test_names_at_the_ends_of_lines_do_not_overlap():
    frame = pd.DataFrame({"x": [1, 2] * 4, "y": [0, 5.0] * 4, "s": list("aabbccdd")})
    data = charts.lines(
        frame, charts.Axis("x", ""), charts.Axis("y", ""), "s", charts.Labels("t")
    ).to_dict()
    (rows,) = [r for r in data["datasets"].values() if "at" in r[0]]
    top = data["layer"][0]["encoding"]["y"]["scale"]["domain"][1]
    places = sorted(row["at"] * 340 / top for row in rows)
    assert min(np.diff(places)) > 13


def test_rows_that_cannot_be_drawn_are_left_out_with_a_note():
    frame = DEVICES.assign(hours=[3.0, math.inf, 0.0])
    linear = charts.bars(frame, "device", charts.Axis("hours", "h"), charts.Labels("t"))
    assert linear.usermeta["note"] == "1 row without finite values left out."
    log = charts.show(
        charts.bars(frame, "device", charts.Axis("hours", "h", log=True), charts.Labels("t")), "d"
    )
    assert "2 rows without finite, positive values left out." in log.markup


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (DEVICES.head(0), "nothing to draw"),
        (DEVICES.assign(hours=math.nan), "nothing to draw"),
        (DEVICES.drop(columns="hours"), "no column 'hours'; there are: device, maker, published"),
    ],
)
def test_what_leaves_nothing_to_draw_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        charts.bars(frame, "device", charts.Axis("hours", "h"), charts.Labels("t"))


def test_negative_parts_are_refused():
    parts = pd.DataFrame({"d": ["a"], "p": ["x"], "v": [-1.0]})
    with pytest.raises(ValueError, match="at least 0 in column 'v'"):
        charts.stacked(parts, "d", "p", charts.Axis("v", "GB"), charts.Labels("t"))


def test_a_chart_without_a_description_is_refused():
    with pytest.raises(ValueError, match="description"):
        charts.show(of_every_kind()["bars"], "  ")


def test_text_in_the_data_cannot_end_the_script():
    frame = pd.DataFrame({"n": ["</script><b>x"], "v": [1.0]})
    figure = charts.show(
        charts.bars(frame, "n", charts.Axis("v", "h"), charts.Labels("<i>t")), 'say "x" <b>'
    )
    soup = BeautifulSoup(figure.markup, "html.parser")
    assert len(soup.find_all("script")) == 1
    assert not soup.find_all(["b", "i"])
    assert soup.select_one("[role=img]")["aria-label"] == 'say "x" <b>'


def test_papermill_gets_only_types_it_knows():
    bundle = charts.show(of_every_kind()["bars"], "words")._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == "words"


def test_known_names_keep_their_colour_and_others_get_their_own():
    assert theme.colours(["Llama 3.1 70B", "DeepSeek V3"]) == theme.colours(
        ["DeepSeek V3", "Llama 3.1 70B"]
    )
    many = theme.colours(["Llama 3.1 8B", "Llama 3.1 70B", "NVIDIA", "own", "rent"])
    assert len(set(many.values())) == 5
    assert many["NVIDIA"] == "teal"
    assert many["Llama 3.1 8B"] == "blue"


@pytest.mark.parametrize(
    ("low", "high", "domain", "ticks"),
    [
        (3.0, 40.0, [2, 50], [2, 5, 10, 20, 50]),
        (0.002, 3e4, [0.002, 5e4], [0.01, 0.1, 1, 10, 100, 1000, 10000]),
        (1.0, 1.0, [1, 10], [1, 2, 5, 10]),
    ],
)
def test_logarithmic_axes_end_at_round_numbers(low, high, domain, ticks):
    assert draw.decades(low, high) == (domain, ticks)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("page", ["light", "dark"])
def test_colours_are_legible_as_text_in_both_themes(page):
    block = re.search(rf'\[data-theme="{page}"\] \{{(.*?)\}}', STYLES, re.DOTALL)[1]
    values = dict(re.findall(r"--llmecon-(\w+): (#\w{6})", block))
    for name in [*theme.PALETTE, "quiet", "ink"]:
        for surface in ("surface", "panel"):
            assert contrast(values[name], values[surface]) >= 4.5, (name, surface)
    if page == "light":
        assert {name: values[name] for name in theme.PALETTE} == theme.PALETTE


# What people see whose cones for long (protan) or middle wavelengths (deutan) are missing: linear
# RGB, severity 1, from Machado, Oliveira and Fernandes (2009).
MISSING = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def oklab(colour: str, seen: list[list[float]] | None = None) -> np.ndarray:
    """Lightness and two axes of hue, times 100; distances are differences as they are seen."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(seen) @ linear if seen else linear, 0, 1)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    axes = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return 100 * np.array(axes) @ np.cbrt(np.array(cones) @ linear)


def test_red_and_green_of_one_lightness_collapse_without_long_cones():
    assert np.allclose(oklab("#ffffff"), [100, 0, 0], atol=0.1)
    apart = np.linalg.norm(oklab("#c03030") - oklab("#4c7a00"))
    merged = np.linalg.norm(
        oklab("#c03030", MISSING["deutan"]) - oklab("#4c7a00", MISSING["deutan"])
    )
    assert merged < apart / 2


@pytest.mark.parametrize("page", ["light", "dark"])
def test_no_two_hues_look_alike_to_the_colour_blind(page):
    block = re.search(rf'\[data-theme="{page}"\] \{{(.*?)\}}', STYLES, re.DOTALL)[1]
    values = dict(re.findall(r"--llmecon-(\w+): (#\w{6})", block))
    for one, other in itertools.combinations(theme.PALETTE, 2):
        for kind, seen in MISSING.items():
            apart = np.linalg.norm(oklab(values[one], seen) - oklab(values[other], seen))
            assert apart > 7.5, (page, kind, one, other)


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        ([0.0, 3.0], [2.0, 2.0], (0.0, False)),
        ([0.0, 3.0], [1.1, 1.1], (0.0, True)),
        ([0.0, 1.0, 2.0, 3.0], [1.0, 1.1, 2.0, 2.0], (0.25, True)),
        # A curve that starts just within the name's place.
        ([0.05, 0.2, 2.0, 3.0], [0.97, 1.6, 2.0, 2.0], (0.25, False)),
        # Where there is no free place, the first.
        ([0.0, 3.0], [1.0, 1.0], (0.0, False)),
    ],
)
def test_the_name_of_a_line_stands_where_no_curve_crosses_it(x, y, place):
    curves = pd.DataFrame({"x": x, "y": y, "series": "a"})
    x_scale, y_scale = draw.Scale(False, [0.0, 3.0], None), draw.Scale(False, [0.0, 4.0], None)
    assert draw.free_place("even", 1.0, curves, x_scale, y_scale, 340.0) == place


COMPARED = pd.DataFrame(
    {
        "run": ["first", "second, whose long name takes two lines", "third", "fourth", "fifth"],
        "hours": [2210.0, 1440.0, 257.0, 99.0, 21.0],
        "published": [3440.0, 1287.0, 257.0, 110.0, np.nan],
    }
)


def drawn(chart: Chart, width: float) -> BeautifulSoup:
    """The chart as it is drawn on a page of some width."""
    spec = chart.to_dict() | {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    spec.pop("title")
    return BeautifulSoup(vl_convert.vegalite_to_svg(spec), "html.parser")


def place(mark: Tag) -> tuple[float, float]:
    x, y = map(float, re.findall(r"-?[\d.]+", mark["transform"])[:2])
    return x, y


@pytest.mark.parametrize("width", [330, 480, 760])
@pytest.mark.parametrize("log", [True, False])
def test_a_value_stands_nearest_to_its_own_mark_or_names_both(width: float, log: bool):
    chart = charts.bars(
        COMPARED,
        "run",
        charts.Axis("hours", "h", log=log),
        charts.Labels("t"),
        reference=charts.Reference("published"),
    )
    svg = drawn(chart, width)
    ends: dict[float, float] = {}
    others: dict[float, float] = {}
    for point in svg.select('path[aria-roledescription="point"]'):
        x, y = place(point)
        (others if point["fill"] == theme.INK else ends)[y] = x
    bars = svg.select('path[aria-roledescription="bar"]')
    heights = sorted({place(t)[1] for t in svg.select('text[aria-roledescription="text mark"]')})
    for bar, y in zip(bars, heights, strict=not log):
        ends[y] = float(re.search(r"h([\d.]+)", bar["d"])[1])
    texts = [
        text
        for text in svg.select('text[aria-roledescription="text mark"]')
        if text.get("opacity") != "0"
    ]
    assert len(texts) == len(COMPARED)
    for text in texts:
        x, y = place(text)
        own = ends[min(ends, key=lambda at: abs(at - y))]
        other = next((of for at, of in others.items() if abs(at - y) < 8.0), None)
        if "◆" in text.get_text():
            assert other is not None
        else:
            assert 4.0 < abs(x - own) < 12.0
            right = text.get("text-anchor") != "end"
            assert (x > own) is right
            # What is written doesn't reach over to the published figure's mark.
            reach = x + (1 if right else -1) * 7.0 * len(text.get_text())
            assert other is None or not min(x, reach) - 3 < other < max(x, reach) + 3
            assert min(x, reach) > 0


def test_both_marks_are_in_the_key():
    chart = charts.bars(
        COMPARED,
        "run",
        charts.Axis("hours", "h"),
        charts.Labels("t"),
        reference=charts.Reference("published"),
    )
    figure = BeautifulSoup(charts.show(chart, "d").markup, "html.parser")
    entries = [entry.get_text() for entry in figure.select(".llmecon-entry")]
    assert entries == ["computed here", "◆ published"]


def test_tooltips_speak_as_the_axes_do_and_without_exponents():
    tips = [
        tip
        for chart in of_every_kind().values()
        for layer in chart.to_dict()["layer"]
        for tip in layer.get("encoding", {}).get("tooltip", [])
    ]
    assert len(tips) > 30
    assert [tip["title"] for tip in tips if "_" in tip["title"]] == []
    assert {tip["format"][-1] for tip in tips if "format" in tip} <= set("rfd%")
    frame = DEVICES.rename(columns={"hours": "usd_each"}).assign(usd_each=1.066e6)
    chart = charts.bars(frame, "device", charts.Axis("usd_each", "USD an hour"), charts.Labels("t"))
    spoken = drawn(chart, 640).select('path[aria-roledescription="bar"]')[0]["aria-label"]
    assert "USD an hour" in {
        tip["title"] for tip in chart.to_dict()["layer"][0]["encoding"]["tooltip"]
    }
    assert "1,066,000" in spoken


def test_a_name_of_two_lines_is_centred_on_its_row():
    svg = drawn(
        charts.bars(COMPARED, "run", charts.Axis("hours", "h", log=True), charts.Labels("t")), 640
    )
    rows = sorted(place(dot)[1] for dot in svg.select('path[aria-roledescription="point"]'))
    names = svg.select(".role-axis-label text")
    (long,) = [name for name in names if name.get_text().startswith("second")]
    others = [name for name in names if name.get_text() in ("first", "third")]
    base = np.mean([place(name)[1] for name in others]) - np.mean([rows[0], rows[2]])
    lines = len(long.select("tspan"))
    assert lines == 2
    middle = place(long)[1] + 13.0 * (lines - 1) / 2 - base
    assert middle == pytest.approx(rows[1], abs=1.0)


def test_numbers_stand_at_their_places_on_an_axis():
    svg = drawn(
        charts.bars(COMPARED, "run", charts.Axis("hours", "h", log=True), charts.Labels("t")), 640
    )
    numbers = [t for t in svg.select(".role-axis-label text") if re.match(r"^\d", t.get_text())]
    assert [number.get_text() for number in numbers][-1] == "5k"
    assert {number["text-anchor"] for number in numbers} == {"middle"}


def test_a_subtitle_ends_before_what_is_changed_is_named():
    for said in ("which stays as it is", "which stays as it is."):
        chart = charts.elasticities({"a": 1.0}, "cost", charts.Labels("t", said))
        subtitle = chart.to_dict()["title"]["subtitle"]
        assert subtitle.startswith("which stays as it is. Change of cost, in percent")
