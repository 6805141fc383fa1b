"""Dots with intervals: every row drawn, the ends where they should be."""

import pandas as pd
import pytest
import vl_convert
from bs4 import BeautifulSoup

from llmecon.publishing import charts

FRAME = pd.DataFrame(
    [
        ("as it is", "changed", 10.0, 5.0, 20.0),
        ("as it is", "unchanged", 90.0, 85.0, 95.0),
        ("with passages", "changed", 80.0, 75.0, 85.0),
        ("with passages", "unchanged", 88.0, 80.0, 92.0),
    ],
    columns=["way", "facts", "mean", "low", "high"],
)


def drawn(frame: pd.DataFrame, **more):
    return charts.intervals(
        frame,
        "way",
        charts.Axis("mean", "%", band=("low", "high")),
        charts.Labels("A finding"),
        **more,
    )


def test_every_row_has_its_dot_and_its_reach():
    specification = drawn(FRAME, group="facts", domain=(0.0, 100.0)).to_dict()
    svg = vl_convert.vegalite_to_svg(specification | {"width": 500})
    picture = BeautifulSoup(svg, "html.parser")
    dots = picture.select('g[class*="mark-symbol"] path')
    reaches = picture.select('g[class*="mark-rule"] line')
    assert len(dots) == len(FRAME)
    assert len([line for line in reaches if float(line.get("x2", 0.0)) != 0.0]) == len(FRAME)
    # Dots of one row lie in lanes of their own.
    heights = {dot["transform"].partition(",")[2] for dot in dots}
    assert len(heights) == len(FRAME)


def test_groups_have_a_key_and_single_kinds_have_none():
    assert len(drawn(FRAME, group="facts").usermeta["key"]) == 2
    assert drawn(FRAME.drop_duplicates("way")).usermeta["key"] == []


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no row"):
        drawn(FRAME.assign(mean=float("nan")))
