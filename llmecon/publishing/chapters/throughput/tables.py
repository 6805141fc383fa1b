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

EXAMPLES = "Worked examples of a book, and the same by this library"

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


def examples(compared: pd.DataFrame) -> pd.DataFrame:
    """Worked examples with both answers.

    Args:
        compared: as `worked_examples.compared` returns it.
    """
    rows = [
        (
            of["question"],
            _said(of["value"], of["unit"]),
            _said(of["ours"], of["unit"]),
            words.signed_percent(of["ratio"] - 1.0),
            of["note"] if isinstance(of["note"], str) else "",
        )
        for of in compared.to_dict("records")
    ]
    return pd.DataFrame(
        rows, columns=["Example", "Book", "Here", "Difference", "Note on the book’s answer"]
    )


def _said(value: float, unit: str) -> str:
    if unit == "s":
        size, name = (1e-3, "ms") if value >= 1e-3 else (1e-6, "µs")
        return f"{words.number(value / size, 3)} {name}"
    if unit == "bytes":
        size, name = (1e9, "GB") if value >= 1e9 else (1e3, "kB")
        return f"{words.number(value / size, 3)} {name}"
    return f"{words.number(value, 3)} {unit}"
