"""The machine that built the book: what it attained, and what the roofline said that it would."""

from typing import Any

import numpy as np
import pandas as pd

from llmecon import physics, words
from llmecon.execution.interpreter import interpreted
from llmecon.laboratory import rates
from llmecon.laboratory.rates import Rates

GIGA = 1e9

_seconds: Any = interpreted(physics.product_seconds)


def measured() -> Rates:
    """The rates and times of this machine, measured once for a version of the experiment."""
    return rates.kept()


def products(of: Rates) -> pd.DataFrame:
    """Products of ever more rows and their roof.

    Args:
        of: what was measured.

    Returns:
        Columns rows, gflops and series (the roof or measured).
    """
    rows = np.asarray(sorted(of.products), float)
    took = np.asarray([of.products[int(row)] for row in rows])
    along = np.geomspace(rows[0], rows[-1], 49)
    series = {"the roof": (along, _least(of, along)), "measured": (rows, took)}
    return pd.concat(
        [
            pd.DataFrame({"rows": x, "gflops": _flops(of, x) / seconds / GIGA, "series": name})
            for name, (x, seconds) in series.items()
        ]
    )


def over_roof(of: Rates) -> pd.Series:
    """Measured over least time of each product, by its rows.

    Args:
        of: what was measured.
    """
    took = pd.Series(of.products, dtype=float).sort_index()
    return took / _least(of, took.index.to_numpy(float))


def _flops(of: Rates, rows: np.ndarray) -> np.ndarray:
    return np.asarray(physics.product_flops(of.product(rows)))


def _least(of: Rates, rows: np.ndarray) -> np.ndarray:
    return np.asarray(_seconds(of.product(rows), of.flops, of.bandwidth))


def balance(of: Rates) -> float:
    """FLOP that the machine does in the time of a byte."""
    return of.flops / of.bandwidth


def steps(of: Rates) -> pd.DataFrame:
    """The small transformer's passes, predicted from the two rates and measured.

    Args:
        of: what was measured.

    Returns:
        Columns kind (decode or prefill), sequences, predicted and measured [s], ratio (of measured
        to predicted), and bound (what the prediction says sets the pace).
    """
    given = of.settings
    asked = [("decode", many, 1, given.past, took) for many, took in sorted(of.decode.items())]
    asked.append(("prefill", 1, given.prompt, 0, of.prefill))
    rows = []
    for kind, sequences, new, past, took in asked:
        cost = rates.predicted(of, sequences, new, past)
        bound = "memory" if float(cost.memory) > float(cost.compute) else "arithmetic"
        rows.append((kind, sequences, float(cost.seconds), took, bound))
    frame = pd.DataFrame(rows, columns=["kind", "sequences", "predicted", "measured", "bound"])
    return frame.assign(ratio=frame["measured"] / frame["predicted"])


def facts(of: Rates) -> dict[str, object]:
    """What the chapter says of the machine, by the names in its template.

    Args:
        of: what was measured.
    """
    passes = steps(of)
    worst = passes.sort_values("ratio").iloc[-1]
    slowest = (
        f"a step of {words.count(float(worst['sequences']), 'sequence')}"
        if worst["kind"] == "decode"
        else "the pass over the prompt"
    )
    quickest = min(float(passes["ratio"].min()), float(over_roof(of).min()))
    return {
        "measured": of,
        "balance": balance(of),
        "steps": passes,
        "slowest": slowest,
        "quickest": quickest,
    }
