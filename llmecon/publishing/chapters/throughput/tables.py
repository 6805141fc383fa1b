"""The tables of the chapter on throughput, in words."""

import pandas as pd

from llmecon import words
from llmecon.laboratory.rates import Rates
from llmecon.studies.throughput import frames, machine
from llmecon.studies.throughput.study import Study

# Captions of tables.
STEPS = "A small transformer's passes on the machine that built this page"
WAYS = "The same devices sharing the model in three ways"
PRECISIONS = "The same instance in four precisions"

_FULL = "does not fit"


def steps(measured: Rates) -> pd.DataFrame:
    """The small transformer's passes, predicted and measured."""
    rows = []
    for of in machine.steps(measured).to_dict("records"):
        if of["kind"] == "decode":
            what = f"a step of {words.count(of['sequences'], 'sequence')}"
        else:
            what = f"a prompt of {words.count(measured.settings.prompt, 'token')}"
        rows.append(
            (
                what,
                of["bound"],
                words.duration(of["predicted"]),
                words.duration(of["measured"]),
                words.quantity(of["ratio"], "times"),
            )
        )
    columns = ["Pass", "Said to wait for", "Predicted, at least", "Measured", "Measured over it"]
    return pd.DataFrame(rows, columns=columns)


def ways(study: Study) -> pd.DataFrame:
    """The same devices sharing the model in each way."""
    rows = [
        (
            of["name"],
            words.duration(of["ms"] / 1e3),
            words.percent(of["exchanges"]),
            words.number(of["room"]),
            words.number(of["tokens"]) if of["tokens"] else _FULL,
        )
        for of in frames.ways(study).to_dict("records")
    ]
    columns = ["Way", "A step", "of it exchanges", "Requests that fit", "Tokens/s of a device"]
    return pd.DataFrame(rows, columns=columns)


def precisions(study: Study) -> pd.DataFrame:
    """The same instance in every precision."""
    rows = [
        (
            of["precision"],
            f"{words.number(of['gigabytes'], 3)} GB",
            words.number(of["room"]),
            words.duration(of["ms"] / 1e3),
            words.number(of["tokens"]) if of["tokens"] else _FULL,
        )
        for of in frames.precisions(study).to_dict("records")
    ]
    columns = ["Weights in", "take", "Requests that fit", "A step", "Tokens/s of a device"]
    return pd.DataFrame(rows, columns=columns)
