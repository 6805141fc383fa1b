"""The charts of the chapter on hybrid futures that take more than a few lines."""

from typing import Any

import pandas as pd

from llmecon import words
from llmecon.publishing import charts, prose
from llmecon.publishing.chapters.hybrid_futures import tables
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.publishing.prose.provenance import Provenance
from llmecon.studies.hybrid_futures import frames, records
from llmecon.studies.hybrid_futures.frames import Drafted, Routed, Speeds
from llmecon.studies.hybrid_futures.maps import Cleanest, First
from llmecon.studies.hybrid_futures.study import Study
from llmecon.tiers import hybrid

_PLACES = {"device": "Device", "edge": "Box nearby", "cloud": "Data centre"}
# Where on the chart each way stands, from the top.
_HEIGHTS = {"device": 1.0, "edge": 0.66, "cloud": 0.33, "drafted": 0.0}


def flow(study: Study, title: str) -> Any:
    """Where requests go under the best policy, and what one takes there.

    Args:
        study: whose policy.
        title: what the chart shows.
    """
    given = study.scenario
    asked = words.number(given.prompt_tokens), words.number(given.output_tokens)
    first = f"{asked[0]} tokens in,\n{asked[1]} out"
    by = dict(zip(frames.PLAIN, (name for name, _ in frames.models(study)), strict=True))
    nodes = [("Reader", 0.0, 0.5, first), ("Router", 0.4, 0.5, "by two\nthresholds")]
    links = [("Reader", "Router", 1.0, "all")]
    for way in hybrid.WAYS:
        label = f"{by.get(way, 'by both')}\n{_lines(study, way)}"
        nodes.append((way.capitalize(), 1.0, _HEIGHTS[way], label))
        share = tables.share(study, way)
        links.append(("Router", way.capitalize(), study.shares[way], share))
    what = frames.OBJECTIVES[given.objective]
    return charts.flow(
        pd.DataFrame(nodes, columns=["name", "x", "y", "label"]),
        pd.DataFrame(links, columns=["source", "target", "share", "label"]),
        title=title,
        subtitle=f"least {what} with {words.percent(given.quality_floor)} answered rightly within "
        f"{words.duration(given.seconds_limit)}",
    )


def cleanest(found: Cleanest, title: str) -> Any:
    """Which way emits least, by the data centre's load and electricity.

    Args:
        found: as `maps.cleanest` returns it.
        title: what the chart shows.
    """
    return charts.winners(
        found.winners,
        charts.Axis("x", "Answers that an instance in the data centre works on at once", log=True),
        charts.Axis("y", "Its electricity [g CO₂e/kWh]", log=True),
        "winner",
        charts.Labels(
            title,
            "least CO₂e for one request, each with its own model; the reader's grid as given",
            names={way: f"{name} cleanest" for way, name in _PLACES.items()},
        ),
        here=found.here,
    )


def first(found: First, title: str) -> Any:
    """Which way is done first, by the lengths of prompts and answers.

    Args:
        found: as `maps.first` returns it.
        title: what the chart shows.
    """
    return charts.winners(
        found.winners,
        charts.Axis("x", "Prompt [tokens]", log=True),
        charts.Axis("y", "Answer [tokens]", log=True),
        "winner",
        charts.Labels(
            title,
            "least time to the end of an answer, each with its own model",
            names={way: f"{name} first" for way, name in _PLACES.items()},
        ),
        here=found.here,
    )


def speeds(found: Speeds) -> Figure:
    """Predicted against measured speeds of phones, laptops and workstations.

    Args:
        found: as `frames.speeds` returns them.
    """
    finding = (
        f"{words.percent(found.within('decode'))} of measured writing speeds are predicted within "
        "a factor of two"
    )
    return charts.show(
        charts.agreement(
            found.tested,
            "phase",
            "tokens_per_s",
            {"median of its kind": "predicted"},
            {"Kind": "kind", "Machine": "name"},
            charts.Labels(
                finding,
                "one request at a time; each machine predicted from the others of its kind",
                names={"decode": "Writing [tokens/s]", "prefill": "Reading a prompt [tokens/s]"},
                details={"Machine": "name"},
            ),
        ),
        data=provenance.of(measured_edge=all, edge_devices=all, parameters=False),
        description="Predicted against measured speeds of phones, laptops and workstations. "
        f"{finding}.",
    )


def routed(study: Study, found: Routed) -> Figure:
    """Curves of the gap closed against the share sent, for routers of several skills.

    Args:
        study: with the router.
        found: as `frames.routed` returns it.
    """
    tried = study.router.study
    finding = (
        "Sending half of the requests, the best published router closes "
        f"{words.percent(found.half)} of the gap"
    )
    return charts.show(
        charts.lines(
            found.lines,
            charts.Axis("sent", "Sent to the stronger model [%]"),
            charts.Axis("closed", "Gap closed [%]"),
            "router",
            charts.Labels(
                finding,
                f"{tried['strong']} and {tried['weak']} on {tried['benchmark'].upper()}; "
                f"skill {words.number(study.router.skill)} of the noise's deviation",
            ),
        ),
        data=router(study),
        description="Curves of the gap closed against the share sent, for routers of several "
        f"skills. {finding}.",
    )


def drafts(study: Study, found: Drafted) -> Figure:
    """Time per token against the length of a draft, for several round trips.

    Args:
        study: whose device drafts.
        found: as `frames.drafted` returns it.
    """
    finding = prose.render("hybrid-futures", "finding_drafts", drafts=found)
    return charts.show(
        charts.lines(
            found.lines,
            charts.Axis("length", "Draft [tokens]"),
            charts.Axis(
                "ms",
                "Time per token [ms]",
                log=True,
                rules={"streaming from the data centre": found.alone_ms},
            ),
            "trip",
            charts.Labels(
                finding,
                f"by round trip; {words.percent(study.scenario.acceptance)} of drafted tokens "
                f"accepted; the device drafts one in {words.duration(found.each)}",
            ),
        ),
        data=tiers(study),
        description=f"Time per token against draft length for several round trips. {finding}.",
    )


def tiers(study: Study) -> Provenance:
    """What the numbers of the four ways rest on."""
    given = study.scenario
    return provenance.of(
        efficiencies=all,
        efficiency_effects=all,
        deployment_levels=all,
        edge_devices=all,
        network_paths=[*records.EDGE_PATHS, *records.cloud_paths(given)],
    ) | provenance.of(
        models=list(records.models_of(given)),
        xpus=[given.device, given.edge_xpu, given.cloud_xpu],
        grid=[given.reader_grid, given.cloud_grid],
        facilities=given.facility,
    )


def router(study: Study) -> Provenance:
    """What the router and the quality of the models rest on."""
    given, scores = study.scenario, study.scores
    return provenance.of(
        routers={"pair": given.router_pair},
        router_pairs=given.router_pair,
        quality={
            "benchmark": scores.benchmark,
            "setting": scores.setting,
            "model": list(records.models_of(given)),
        },
    )


def _lines(study: Study, way: str) -> str:
    of = study.taken[way]
    return "\n".join(
        [
            words.quantity(1.0 / float(of.tpot), "tokens/s"),
            f"first after {words.duration(float(of.ttft))}",
            f"{words.mass(float(of.footprint.total))} CO₂e",
        ]
    )
