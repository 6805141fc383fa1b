"""Writes what was fitted into the tables under data/."""

import jax.numpy as jnp
import pandas as pd

from llmecon.evidence.bayesian_fit import NINETY, Posterior, to_natural
from llmecon.evidence.serving_fit import Fit
from llmecon.paths import DATA
from llmecon.tables import catalog


def write(fit: Fit) -> None:
    """Store a fit in the tables that `catalog` reads: values, effects, draws.

    Args:
        fit: the fit.
    """
    write_values(fit.posterior, "measured_serving")
    scales = fit.attainment.scales
    effects = [
        (e.parameter, e.kind, e.group, scales.get(e.parameter, "log"), e.mean, e.sd, e.curves)
        for e in fit.attainment.effects.values()
    ]
    columns = ["parameter", "kind", "group", "scale", "mean", "sd", "curves"]
    write_table(pd.DataFrame(effects, columns=columns), "efficiency_effects")
    draws = [
        (name, draw, value)
        for name, values in fit.attainment.draws.items()
        for draw, value in enumerate(values)
    ]
    write_table(pd.DataFrame(draws, columns=["parameter", "draw", "value"]), "efficiency_draws")


def write_values(posterior: Posterior, measurements: str) -> None:
    """Store the most probable values of fitted efficiencies with their 90% intervals.

    Args:
        posterior: of the parameters; those that are no efficiencies are passed over.
        measurements: the table that they were fitted to.
    """
    frame = catalog.table("efficiencies").copy().set_index("parameter")
    ends = [
        to_natural(posterior.parameters, jnp.asarray(posterior.centre + z * posterior.sd))
        for z in (0.0, -NINETY, NINETY)
    ]
    for name in [of.name for of in posterior.parameters if of.name in frame.index]:
        frame.loc[name, ["value", "low", "high"]] = [float(end[name]) for end in ends]
        frame.loc[name, "note"] = f"fitted to {measurements} by `llmecon calibrate`; 90% interval"
    write_table(frame.reset_index(), "efficiencies")


def write_table(frame: pd.DataFrame, name: str) -> None:
    """Write a table of data/, whole or not at all.

    Args:
        frame: its rows.
        name: the file's name without its ending.
    """
    flags = {
        str(column): frame[column].map({True: "true", False: "false"})
        for column in frame
        if frame[column].dtype == bool
    }
    text = frame.assign(**flags).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    scratch = DATA / f".{name}.csv.new"
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(DATA / f"{name}.csv")
    catalog.table.cache_clear()
    catalog.attainment.cache_clear()
