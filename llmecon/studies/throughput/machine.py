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
    """Products of ever more rows against their roof.

    Args:
        of: what was measured.

    Returns:
        Columns rows, gflops, series (measured or allowed), and ratio (of measured to allowed time).
    """
    rows = sorted(of.products)
    took = np.asarray([of.products[row] for row in rows])
    flops = np.asarray([float(physics.product_flops(of.product(row))) for row in rows])
    least = np.asarray([float(_seconds(of.product(row), of.flops, of.bandwidth)) for row in rows])
    return pd.concat(
        pd.DataFrame(
            {"rows": rows, "gflops": flops / seconds / GIGA, "series": name, "ratio": took / least}
        )
        for name, seconds in {"the roof": least, "measured": took}.items()
    )


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
    return {"measured": of, "balance": balance(of), "steps": passes, "slowest": slowest}
