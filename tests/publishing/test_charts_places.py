"""Flows, decision maps, fans, strips and points: what they draw where, and what they refuse."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from llmecon.publishing import charts
from llmecon.publishing.charts import fans, maps, places, strips, theme
from llmecon.publishing.charts.figure import Chart
from llmecon.tiers import sampling
from tests.publishing.test_charts import STYLES, contrast, specification

NODES = pd.DataFrame(
    [
        ("users", 0.0, 0.5, "1,200 requests an hour", "sends"),
        ("laptop", 0.5, 1.0, "8B model\n31 tokens/s", "here"),
        ("API", 0.5, 0.0, "frontier model", "elsewhere"),
        ("judge", 1.0, 0.5, "checks a sample", "here"),
    ],
    columns=["name", "x", "y", "label", "role"],
)
LINKS = pd.DataFrame(
    [
        ("users", "laptop", 0.8, "80% easy"),
        ("users", "API", 0.01, "1% hard"),
        ("laptop", "API", 0.0, "nothing private"),
        ("API", "judge", 0.5, "half, sampled"),
    ],
    columns=["source", "target", "share", "label"],
)
MAP = pd.DataFrame(
    [
        (x, y, "own" if x * y > 100 else "rent")
        for x in (1.0, 10.0, 100.0, 1000.0)
        for y in (1.0, 2.0, 3.0)
    ],
    columns=["load", "years", "best"],
)
NAMES = {"own": "Own", "rent": "Rent", "never": "Never best"}
FUTURES = sampling.Fan(
    np.array([1.0, 2.0, 4.0]),
    np.array([0.5, 0.9]),
    np.array([[1.0, 1.5, 2.5], [1.0, 1.0, 1.5]]),
    np.array([[1.0, 2.6, 6.0], [1.0, 4.0, 12.0]]),
).table([2025, 2026, 2027])
PUBLISHED = pd.DataFrame({"x": [2026.0], "value": [2.2], "label": ["an agency"]})
COUNTRIES = pd.DataFrame(
    {"country": [f"country {i}" for i in range(200)], "grams": np.linspace(20.0, 900.0, 200)}
)
_AT = np.random.default_rng(3).uniform(0.0, 1.0, (2, 30))
CHIPS = pd.DataFrame(
    {
        "chip": ["best", "second", *(f"chip {i}" for i in range(28))],
        "rate": 10.0 ** _AT[0],
        "size": 100.0 ** _AT[1],
        "low": 0.5 * 10.0 ** _AT[0],
        "high": 2.0 * 10.0 ** _AT[0],
        "least": 0.9 * 100.0 ** _AT[1],
        "most": 1.1 * 100.0 ** _AT[1],
        "told": "so much",
    }
)
NAMED = [f"country {i}" for i in (0, 2, 3, 90, 92, 95, 197, 198, 199)]


def of_every_kind() -> dict[str, Chart]:
    """One chart of each kind, with its options on."""
    return {
        "flow": charts.flow(NODES, LINKS, title="t", subtitle="s"),
        "winners": charts.winners(
            MAP,
            charts.Axis("load", "Load [1/s]", log=True),
            charts.Axis("years", "Time [years]"),
            "best",
            charts.Labels("t", names=NAMES),
            here=(20.0, 2.0, "you"),
        ),
        "fan": charts.fan(
            FUTURES,
            charts.Axis("year", "Year"),
            charts.Axis("median", "Use [TWh]", log=True),
            charts.Labels("t"),
            reference=PUBLISHED,
        ),
        "strip": charts.strip(
            COUNTRIES,
            charts.Axis("grams", "g/kWh"),
            "country",
            charts.Labels("t", highlight="country 50"),
            labelled=NAMED,
        ),
        "points": charts.points(
            CHIPS,
            charts.Axis("rate", "Rate [1/s]", log=True, band=("low", "high")),
            charts.Axis("size", "Size [GB]", log=True, band=("least", "most")),
            "chip",
            charts.Labels("t", details={"extra": "told"}),
            marked=["best", "second"],
            labelled=[f"chip {i}" for i in range(28)],
        ),
    }


@pytest.fixture(scope="module")
def kinds() -> dict[str, Chart]:
    return of_every_kind()


def picture(chart: Chart, width: float) -> BeautifulSoup:
    """The chart as it is drawn on a page of some width."""
    drawn = chart.to_dict() | {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    drawn.pop("title")
    return BeautifulSoup(vl_convert.vegalite_to_svg(drawn), "html.parser")


def rows(chart: Chart, column: str) -> list[dict]:
    """The rows that have some column."""
    (found,) = [of for of in chart.to_dict()["datasets"].values() if column in of[0]]
    return found


def written(svg: BeautifulSoup) -> dict[str, places.Box]:
    """What texts say and cover, by a cautious guess at the width of their letters."""
    found = {}
    for text in svg.select('text[aria-roledescription="text mark"]'):
        if float(text.get("opacity", 1)) == 0:
            continue
        lines = [part.get_text() for part in text.find_all("tspan")] or [text.get_text()]
        x, y = map(float, re.findall(r"-?[\d.]+", text["transform"])[:2])
        size = float(text["font-size"].removesuffix("px"))
        wide = 0.5 * size * max(map(len, lines))
        left = {"middle": wide / 2, "end": wide}.get(text.get("text-anchor"), 0.0)
        # Vega writes the place of the first line's base.
        below = y + 14.0 * (len(lines) - 1) + 2.0
        found["\n".join(lines)] = places.Box(x - left, y - size + 2.0, x - left + wide, below)
    return found


def overlapping(boxes: dict[str, places.Box]) -> list[tuple[str, str]]:
    return [
        (a, b)
        for a, b in itertools.combinations(boxes, 2)
        if places.covered(boxes[a], boxes[b]) > 0.0
    ]


def test_all_are_shown_described_and_light(kinds):
    for name, chart in kinds.items():
        figure = BeautifulSoup(charts.show(chart, f"the {name}").markup, "html.parser")
        assert figure.select_one("[role=img]")["aria-label"] == f"the {name}"
        assert specification(figure)["width"] == "container"
        assert len(figure.select(".llmecon-static svg path, .llmecon-static svg line")) > 2, name
        assert len(figure.script.string) < 20_000, name


@pytest.mark.parametrize("width", [360, 480, 760])
def test_all_draw_finite_places_at_any_width(kinds, width):
    for name, chart in kinds.items():
        svg = str(picture(chart, width))
        assert "NaN" not in svg, name
        assert "Infinity" not in svg, name


# Flows


@pytest.mark.parametrize("width", [360, 760])
def test_lines_are_as_wide_as_their_share_and_never_vanish(kinds, width):
    lines = picture(kinds["flow"], width).select('[aria-roledescription="line mark"]')
    drawn = sorted(
        float(line["stroke-width"]) for line in lines if not line.get("stroke-dasharray")
    )
    assert drawn == pytest.approx([1.0, 11.0, 17.6])
    (dashed,) = [line for line in lines if line.get("stroke-dasharray")]
    assert float(dashed["stroke-width"]) == 1.0


@pytest.mark.parametrize("width", [360, 480, 620, 760])
def test_boxes_and_labels_of_a_flow_overlap_nothing(kinds, width):
    svg = picture(kinds["flow"], width)
    labels = {text.replace("\n", " "): box for text, box in written(svg).items()}
    things = {name: labels[name] for name in LINKS["label"]}
    for rect in svg.select('path[aria-label*="name: "]'):
        x, y = np.array(re.findall(r"-?[\d.]+", rect["d"]), float).reshape(-1, 2).T
        things[rect["aria-label"].split("name: ")[1].split(";")[0]] = places.Box(
            x.min(), y.min(), x.max(), y.max()
        )
    assert len(things) == 8
    assert overlapping(things) == []
    assert min(box.left for box in things.values()) >= 0.0
    assert max(box.right for box in things.values()) <= width


@pytest.mark.parametrize("width", [360, 760])
def test_a_line_leaves_at_the_right_edge_and_comes_back_by_the_left(width):
    back = LINKS.assign(source=LINKS["target"], target=LINKS["source"]).iloc[:1]
    lines = pd.concat([LINKS.iloc[:1], back.assign(label="answer")])
    svg = picture(charts.flow(NODES, lines, title="t"), width)
    boxes = {
        name: np.array(re.findall(r"-?[\d.]+", rect["d"]), float).reshape(-1, 2)[:, 0]
        for name in ("users", "laptop")
        for rect in svg.select(f'path[aria-label*="name: {name}"]')
    }
    for line in svg.select('path[aria-roledescription="line mark"]'):
        x = np.array(re.findall(r"-?[\d.]+", line["d"]), float).reshape(-1, 2)[:, 0]
        ends = (boxes["users"].max(), boxes["laptop"].min())
        leads_back = "from: laptop" in line["aria-label"]
        assert (x[0], x[-1]) == pytest.approx(ends[::-1] if leads_back else ends, abs=0.2)


@pytest.mark.parametrize(
    ("nodes", "links", "message"),
    [
        (NODES.assign(name="one"), LINKS, "two boxes are named 'one'"),
        (NODES, LINKS.assign(target="nowhere"), "no box 'nowhere'; there are: users, laptop, API"),
        (NODES, LINKS.assign(share=1.2), "'share' must lie in 0 to 1"),
        (NODES.assign(x=-0.1), LINKS, "'x' must lie in 0 to 1"),
        (NODES, LINKS.assign(target=LINKS["source"]), "from one box to another"),
        (NODES, LINKS.assign(share=np.nan), "nothing to draw"),
    ],
)
def test_flows_that_make_no_sense_are_refused(nodes, links, message):
    with pytest.raises(ValueError, match=message):
        charts.flow(nodes, links, title="t")


# Decision maps


def test_cells_end_half_way_between_their_middles():
    assert maps.edges(np.array([1.0, 2.0, 4.0]), False).tolist() == [0.5, 1.5, 3.0, 5.0]
    by_ratio = maps.edges(np.array([1.0, 4.0, 16.0]), True)
    assert by_ratio == pytest.approx([0.5, 2.0, 8.0, 32.0])


def test_regions_cover_the_cells_that_were_won(kinds):
    areas = rows(kinds["winners"], "name")
    for x, y, best in MAP.itertuples(index=False):
        (name,) = [a["name"] for a in areas if a["x"] < x < a["x2"] and a["y"] < y < a["y2"]]
        assert name == NAMES[best]


def test_only_what_wins_is_named_and_inside_its_region(kinds):
    named = rows(kinds["winners"], "px")
    assert sorted(row["text"] for row in named) == ["Own", "Rent"]
    best = MAP.set_index(["load", "years"])["best"]
    for row in named:
        assert NAMES[best[row["x"], row["y"]]] == row["text"]


def test_a_name_stands_at_the_middle_of_a_plain_region():
    grid = pd.DataFrame(
        [(x, y, "own") for x in range(1, 6) for y in range(1, 6)], columns=list("xyw")
    )
    chart = charts.winners(
        grid, charts.Axis("x", "x"), charts.Axis("y", "y"), "w", charts.Labels("t", names=NAMES)
    )
    (row,) = rows(chart, "px")
    assert (row["x"], row["y"]) == (3.0, 3.0)


def test_an_exact_boundary_takes_the_place_of_the_cells_edges():
    line = pd.DataFrame({"x": [20.0, 10.0, 30.0], "y": [1.0, 2.0, 3.0], "line": "own, rent"})
    axes = charts.Axis("load", "x", log=True), charts.Axis("years", "y")
    about = charts.Labels("t", names=NAMES)
    chart = charts.winners(MAP, *axes, "best", about, boundary=line)
    drawn = rows(chart, "along")
    assert [row["x"] for row in sorted(drawn, key=lambda row: row["along"])] == [20.0, 10.0, 30.0]
    assert len(chart.layer) == len(charts.winners(MAP, *axes, "best", about).layer)


def test_borders_lie_where_winners_change():
    won = np.array([[0, 0, 1], [0, 1, 1]])
    assert set(maps._borders(won)) == {(2, 2, 0, 1), (1, 1, 1, 2), (1, 2, 1, 1)}


@pytest.mark.parametrize("width", [360, 760])
def test_names_on_a_map_do_not_overlap_the_point_marked(kinds, width):
    assert overlapping(written(picture(kinds["winners"], width))) == []


def test_cells_without_a_winner_stay_blank_and_points_outside_are_noted():
    chart = charts.winners(
        MAP.assign(best=MAP["best"].where(MAP["years"] > 1.0)),
        charts.Axis("load", "x", log=True),
        charts.Axis("years", "y"),
        "best",
        charts.Labels("t", names=NAMES),
        here=(1e6, 2.0, "you"),
    )
    assert min(area["y"] for area in rows(chart, "name")) == 1.5
    assert chart.usermeta["note"] == "“you” lies outside the map."


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (MAP.assign(best="else"), "no name for 'else'; there are: own, rent, never"),
        (pd.concat([MAP, MAP]), "two cells"),
        (MAP[MAP["years"] == 1.0], "at least two columns and two rows"),
        (MAP.assign(load=0.0), "nothing to draw"),
    ],
)
def test_maps_that_make_no_sense_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        charts.winners(
            frame,
            charts.Axis("load", "x", log=True),
            charts.Axis("years", "y"),
            "best",
            charts.Labels("t", names=NAMES),
        )


@pytest.mark.parametrize("page", ["light", "dark"])
def test_text_is_legible_on_every_tint(page):
    block = re.search(rf'\[data-theme="{page}"\] \{{(.*?)\}}', STYLES, re.DOTALL)[1]
    values = dict(re.findall(r"--llmecon-(\w+): (#\w{6})", block))

    def mixed(hue: str) -> str:
        pairs = ((int(values[of][i : i + 2], 16) for of in (hue, "surface")) for i in (1, 3, 5))
        return "#" + "".join(f"{round(maps.TINT * a + (1 - maps.TINT) * b):02x}" for a, b in pairs)

    for hue in theme.PALETTE:
        assert contrast(values["ink"], mixed(hue)) >= 4.5, hue


# Fans


def test_bands_and_published_points_are_named(kinds):
    said = written(picture(kinds["fan"], 640))
    assert {text.replace("\n", " ") for text in said} == {
        "half of the futures",
        "nine in ten",
        "median",
        "an agency",
    }
    assert overlapping(said) == []


@pytest.mark.parametrize("width", [360, 760])
def test_bands_lie_within_one_another_from_low_to_high(kinds, width):
    svg = picture(kinds["fan"], width)
    areas = [
        np.array(re.findall(r"-?[\d.]+", area["d"]), float).reshape(-1, 2)
        for area in svg.select('path[aria-roledescription="area mark"]')
    ]
    assert len(areas) == 2
    outer, inner = areas  # the widest is drawn first
    for x in set(inner[:, 0]) - {inner[0, 0]}:
        low, high = (np.sort(of[of[:, 0] == x, 1]) for of in (outer, inner))
        assert low[0] < high[0] < high[-1] < low[-1]


def test_years_are_written_as_years(kinds):
    marks = picture(kinds["fan"], 640).get_text(" ")
    assert "2025" in marks
    assert "2.02" not in marks


@pytest.mark.parametrize(
    ("share", "first", "text"),
    [
        (0.5, True, "half of the futures"),
        (0.9, False, "nine in ten"),
        (0.8, True, "eight in ten of the futures"),
        (0.95, False, "95%"),
    ],
)
def test_shares_are_said_as_readers_say_them(share, first, text):
    assert fans._in_words(share, first) == text


def test_futures_that_cannot_be_drawn_are_left_out_or_refused():
    logs = charts.Axis("year", "x"), charts.Axis("median", "y", log=True), charts.Labels("t")
    some = FUTURES.assign(low=FUTURES["low"].where(FUTURES["year"] > 2025, 0.0))
    assert charts.fan(some, *logs).usermeta["note"].startswith("2 rows without")
    with pytest.raises(ValueError, match="nothing to draw"):
        charts.fan(FUTURES.assign(low=0.0), *logs)
    with pytest.raises(ValueError, match="no column 'share'"):
        charts.fan(FUTURES.drop(columns="share"), *logs)


# Strips


@pytest.mark.parametrize("width", [360, 480, 760])
def test_names_of_a_strip_do_not_overlap_and_stay_on_the_page(kinds, width):
    said = written(picture(kinds["strip"], width))
    assert len(said) == len(NAMED) + 1
    assert overlapping(said) == []
    assert min(box.left for box in said.values()) >= -1.0
    assert max(box.right for box in said.values()) <= width


def test_every_row_has_a_tick_and_a_tooltip(kinds):
    ticks = picture(kinds["strip"], 640).select('[aria-label*="country: country"]')
    names = {re.search(r"country: (country \d+)", tick["aria-label"])[1] for tick in ticks}
    assert names == set(COUNTRIES["country"])


def test_the_one_singled_out_is_next_to_the_strip(kinds):
    (chosen,) = [row for row in rows(kinds["strip"], "chosen") if row["chosen"]]
    away = [abs(row["y"] - row["edge"]) for row in rows(kinds["strip"], "chosen")]
    assert chosen["label"] == "country 50"
    assert abs(chosen["y"] - chosen["edge"]) == min(away)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(20.0, 120.0)), min_size=1, max_size=9),
    st.floats(1.0, 2.5),
)
def test_names_arranged_for_a_phone_are_apart_on_any_wider_page(of, wider):
    fractions, widths = zip(*of, strict=True)
    page = wider * places.PHONE
    found = []
    for name, fraction, wide in zip(
        strips.arranged(fractions, widths), fractions, widths, strict=True
    ):
        at = min(max(fraction * page + name.shift, wide / 2), page - wide / 2)
        found.append(places.centred(at, 20.0 * name.row, wide, 10.0))
    pairs = itertools.combinations(found, 2)
    assert all(places.covered(one, other) < 1e-6 for one, other in pairs)


def test_names_without_a_row_are_refused():
    with pytest.raises(ValueError, match="no row is named 'Atlantis' in column 'country'"):
        charts.strip(
            COUNTRIES,
            charts.Axis("grams", "g"),
            "country",
            charts.Labels("t"),
            labelled=["Atlantis"],
        )


def test_a_strip_may_name_only_the_one_or_none():
    alone = charts.strip(
        COUNTRIES,
        charts.Axis("grams", "g"),
        "country",
        charts.Labels("t", highlight="country 7"),
        labelled=[],
    )
    assert list(written(picture(alone, 360))) == [rows(alone, "chosen")[0]["text"]]
    bare = charts.strip(
        COUNTRIES, charts.Axis("grams", "g"), "country", charts.Labels("t"), labelled=[]
    )
    assert not written(picture(bare, 360))


# Points


@pytest.mark.parametrize("width", [360, 480, 760])
def test_names_of_points_do_not_overlap_and_those_marked_are_all_there(kinds, width):
    said = written(picture(kinds["points"], width))
    assert {"best", "second"} <= set(said)
    assert 8 < len(said) < len(CHIPS)
    assert overlapping(said) == []
    assert max(box.right for box in said.values()) <= width + 1.0


def test_every_point_has_a_tooltip_and_only_those_marked_a_reach(kinds):
    dots = picture(kinds["points"], 640).select('[aria-label*="extra: so much"]')
    assert len(dots) == len(CHIPS)
    lines = picture(kinds["points"], 640).select('g.mark-rule line[stroke-width="2"]')
    assert len(lines) == 4


def test_points_that_cannot_be_named_are_refused():
    marks = charts.Axis("rate", "x"), charts.Axis("size", "y"), "chip", charts.Labels("t")
    with pytest.raises(ValueError, match="no row is named 'Atlantis' in column 'chip'"):
        charts.points(CHIPS, *marks, marked=["Atlantis"], labelled=[])
    bare = charts.points(CHIPS, *marks, marked=[], labelled=[])
    assert not written(picture(bare, 360))
