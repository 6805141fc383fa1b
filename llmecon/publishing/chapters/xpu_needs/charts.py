"""Charts that the chapter on numbers of accelerators draws of training and of serving alike."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from llmecon import words
from llmecon.evidence import sourcing
from llmecon.evidence.sourcing import Use
from llmecon.publishing import charts, prose
from llmecon.publishing.charts.figure import Chart, Figure
from llmecon.publishing.prose.provenance import Provenance
from llmecon.studies.xpu_needs import comparison, frames
from llmecon.studies.xpu_needs.study import Study

_OUTCOMES: Mapping[Use, str] = MappingProxyType(
    {"training": "xPUs to train by the deadline", "serving": "xPUs per request served"}
)


def costs(study: Study, every: pd.DataFrame, job: Use, data: Provenance) -> Figure | None:
    """Bars of what a job costs by accelerator; a sentence instead where no price is known.

    Args:
        study: whose job.
        every: as `comparison.side_by_side` returns it.
        job: training or serving.
        data: what the numbers rest on.
    """
    found = comparison.shown(every, job, study.scenario.xpu)
    if found.empty:
        prose.say("xpu-needs", f"unpriced_{job}")
        return None
    given, trains = study.scenario, job == "training"
    best, able = str(found.index[0]), len(comparison.ranked(every, job))
    own_rent = best == given.xpu and given.usd_per_xpu_hour > 0
    winner = sourcing.behind(best, job, own_rent).marked
    # A table beside the chart holds those that the chart has no room for.
    partial = len(found) < able
    finding = _on_training(found, winner, partial) if trains else _on_serving(found, winner)
    drawn = f"; {_drawn(found, comparison.ranked(every, job))} are drawn" if partial else ""
    what = "rental cost of the training run" if trains else "monthly rent of the serving fleet"
    unit, scale = ("million USD", 1e6) if trains else ("thousand USD", 1e3)
    tokens, days = words.number(given.training_tokens), words.duration(study.deadline)
    requests = words.quantity(given.requests_per_second, "requests/s")
    return charts.show(
        charts.bars(
            found.assign(**{"xPU": found["name"], unit: found["usd"] / scale}),
            "xPU",
            charts.Axis(
                unit, unit.capitalize().replace("usd", "USD") + ("" if trains else " per month")
            ),
            charts.Labels(
                finding,
                (
                    f"{study.model_name}, {tokens} tokens in {days}, rented"
                    if trains
                    else f"rent of the fleet for {requests}, peaks and spares included"
                )
                + drawn,
                highlight=study.xpu_name if given.xpu in found.index else None,
            ),
            group="vendor",
            ranked=False,
        ),
        data=data,
        description=f"Bars of the {what} by accelerator{drawn}. {finding}.",
    )


def _drawn(found: pd.DataFrame, of: pd.DataFrame) -> str:
    """Which of the ranked accelerators a chart shows, in words."""
    cheapest = int((found.index == of.index[: len(found)]).sum())
    beyond = f" and {found['name'].iloc[-1]}" if cheapest < len(found) else ""
    return f"the {cheapest} cheapest of {len(of)}{beyond}"


def said_to_move(study: Study, job: Use) -> str:
    """Which property of the hardware a fleet depends on most, in a sentence.

    Args:
        study: whose fleet.
        job: training or serving.
    """
    if not (study.can_train if job == "training" else study.can_serve):
        return prose.render("xpu-needs", f"still_{job}")
    return _on_hardware(study.elasticities(f"{job}_xpus"), f"{job} fleet") + "."


def elasticities(study: Study, job: Use, data: Provenance) -> Figure | None:
    """How the devices of a job answer to the inputs; nothing where it can't be done.

    Args:
        study: whose job.
        job: training or serving.
        data: what the numbers rest on.
    """
    if not (study.can_train if job == "training" else study.can_serve):
        return None
    effects = study.elasticities(f"{job}_xpus")
    listed = "; ".join(f"{name} {value:+.2f}" for name, value in effects.items())
    return charts.show(
        charts.elasticities(
            effects,
            _OUTCOMES[job],
            charts.Labels(
                _on_hardware(effects, f"{job} fleet"),
                f"{study.model_name} on {study.xpu_name}, layout held.",
            ),
        ),
        data=data,
        description=f"Elasticities of the number of {job} devices. {listed}",
    )


def loaded(study: Study, found: frames.Loaded, finding: str) -> Chart:
    """Latencies over their limits against the load of one instance."""
    on = f"{study.instance}, {study.model_name} in {study.scenario.precision}"
    return charts.lines(
        found.lines,
        charts.Axis(
            "rate",
            "Load offered to one instance [requests/s]",
            log=True,
            rules={"full": found.full},
        ),
        charts.Axis("over", "Latency over its limit", log=True, rules={"limit": 1.0}),
        "series",
        charts.Labels(finding, f"latency over its limit; {on}"),
    )


def _on_training(shown: pd.DataFrame, winner: str, partial: bool) -> str:
    best, last = shown.iloc[0], shown.iloc[-1]
    if len(shown) == 1:
        return f"Only {winner} has a known price and trains it in time"
    times = words.number(last["usd"] / best["usd"])
    among = "of those drawn, " if partial else ""
    return (
        f"At the catalogue's rents {winner} trains it for least; {among}{last['name']} costs "
        f"{times} times as much"
    )


def _on_serving(shown: pd.DataFrame, winner: str) -> str:
    if len(shown) == 1:
        return f"Only {winner} has a known price and meets the limits"
    devices = words.count(shown.iloc[0]["serving_xpus"], "device")
    return f"{winner} serves it for least: {devices}"


def _on_hardware(effects: Mapping[str, float], fleet: str) -> str:
    first, most = frames.hardware(effects)
    if most <= 0:
        return f"More of one property of the hardware takes nothing off the {fleet}"
    several = len(first) > 1 or first[0].startswith("all ")
    who = f"{words.listing(first)} {'matter' if several else 'matters'} most"
    each = {1: "them" if several else "it", 2: "either"}.get(len(first), "any")
    saved = words.percent(most / 100)
    return f"Of the hardware, {who}: 1% more of {each} saves {saved} of the {fleet}"
