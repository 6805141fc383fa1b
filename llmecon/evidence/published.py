"""What publishers measured whom the physics was not fitted to, beside what the physics predicts.

`deployment_fit` writes the tables that are read here.
"""

from collections.abc import Mapping
from functools import cache

import pandas as pd

from llmecon.evidence import deployment_levels
from llmecon.evidence.deployment_levels import Level
from llmecon.tables import catalog

# The tables of other publishers' rows, by kind.
TABLES: Mapping[str, str] = {"serving": "published_serving", "offline": "published_offline"}
# The measured column of each target.
COLUMNS: Mapping[str, str] = {
    "tpot": "tpot_s",
    "ttft": "ttft_s",
    "throughput": "output_tokens_per_s",
    "energy": "energy_j_per_output_token",
}


def measured_of(rows: pd.DataFrame, described: pd.DataFrame) -> pd.Series:
    """The measurement that belongs to every described target of some rows.

    Args:
        rows: in the schema of their kind.
        described: from `deployment_levels.describe`, of the same index.

    Returns:
        One number a described row, in the unit of its prediction; NaN where nothing was measured.
    """
    found = pd.Series(float("nan"), index=range(len(described)))
    for column in described["column"].unique():
        chosen = (described["column"] == column).to_numpy()
        if COLUMNS[column] in rows:
            values = pd.to_numeric(rows[COLUMNS[column]], errors="coerce")
            found[chosen] = values[described.index[chosen]].to_numpy(float)
    return found.where(found > 0).set_axis(described.index)


@cache
def known() -> pd.DataFrame:
    """All published rows that may be used, as `deployment_levels.describe` describes them.

    Returns:
        One row a row and measured target, with id, kind, source, measured and slowness besides.
    """
    stored = catalog.table("published_predictions")
    parts = []
    for kind, name in TABLES.items():
        rows = catalog.table(name)
        of = stored[stored["kind"] == kind].pivot(index="id", columns="target")
        rows = rows[rows["id"].isin(of.index)].set_index("id", drop=False)
        of = of.reindex(rows.index)
        physics = pd.DataFrame(
            {
                **{target: of["predicted", target] for target in of["predicted"]},
                **{f"{target}_sd": of["sd", target] for target in of["sd"]},
            }
        )
        for name in ("outside", "crowded"):
            if (name, "ttft") in of:
                physics[name] = of[name, "ttft"]
        described = deployment_levels.describe(rows, physics, kind)
        parts.append(
            described.assign(
                id=described.index,
                kind=kind,
                source=rows["source"][described.index].to_numpy(),
                measured=measured_of(rows, described),
            )
        )
    found = pd.concat(parts)
    found = found[found["measured"].notna()].reset_index(drop=True)
    return found.assign(slowness=deployment_levels.slowness(found, found["measured"]))


@cache
def levels() -> dict[str, Level]:
    """The fitted level models, by quantity."""
    return deployment_levels.from_table(catalog.table("deployment_levels"))
