"""The chart kinds that chapters share: a frame goes in, a chart for `show` comes out.

Titles and colour keys become HTML, so that they wrap on a phone and are read aloud.
"""

from llmecon.publishing.charts.comparison import agreement
from llmecon.publishing.charts.curves import frontier, lines, timeline
from llmecon.publishing.charts.fans import fan
from llmecon.publishing.charts.figure import show
from llmecon.publishing.charts.flow import flow
from llmecon.publishing.charts.intervals import intervals
from llmecon.publishing.charts.maps import winners
from llmecon.publishing.charts.named_rows import bars, elasticities, stacked
from llmecon.publishing.charts.points import points
from llmecon.publishing.charts.records import Axis, Labels, Reference
from llmecon.publishing.charts.strips import strip
from llmecon.publishing.charts.tiles import heatmap

__all__ = [
    "Axis",
    "Labels",
    "Reference",
    "agreement",
    "bars",
    "elasticities",
    "fan",
    "flow",
    "frontier",
    "heatmap",
    "intervals",
    "lines",
    "points",
    "show",
    "stacked",
    "strip",
    "timeline",
    "winners",
]
