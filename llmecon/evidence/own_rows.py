"""What a reader's own measurements say of the reader's deployment: a small file that others read.

The fitted spreads between deployments say how much a handful of rows tells (see
`deployment_levels`), so that nothing is fitted anew: the file holds how far each row lies from the
physics, and what tells it from other rows.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from llmecon.errors import InputError
from llmecon.evidence import deployment_levels, published

# The publisher of own rows.
MINE = "mine"
# What such a file calls itself, and the version of its form.
KIND, VERSION = "llmecon-server", 2
_COLUMNS = {
    "quantity": str,
    "target": str,
    "stack": str,
    "system": str,
    "batch": float,
    "prompt": float,
    "output": float,
    "size": float,
    "young": float,
    "early_sparse": float,
    "outside": float,
    "apart": float,
    "crowded": float,
    "sd": float,
    "slowness": float,
}


def of_measurements(rows: pd.DataFrame, physics: pd.DataFrame, kind: str) -> pd.DataFrame:
    """What own rows say.

    Args:
        rows: measured rows of the kind.
        physics: what the physics predicts of those that can be used, as
            `predictions.physics` returns it.
        kind: serving or offline.

    Returns:
        One row a row and measured target.

    Raises:
        InputError: no row can be used, or none has a measurement.
    """
    usable = rows.loc[physics.index]
    described = deployment_levels.describe(usable, physics, kind)
    measured = published.measured_of(usable, described)
    told = measured.notna().to_numpy()
    if not told.any():
        wanted = ", ".join(published.COLUMNS.values())
        raise InputError(f"no row has a measurement; there should be one of {wanted}")
    described, measured = described[told], measured[told]
    slow = deployment_levels.slowness(described, measured)
    return described.assign(publisher=MINE, slowness=slow).reset_index(drop=True)


def as_text(mine: pd.DataFrame) -> str:
    """What own rows say, as the text of a file."""
    rows = json.loads(mine[list(_COLUMNS)].to_json(orient="records", double_precision=6))
    return json.dumps({"kind": KIND, "version": VERSION, "rows": rows}, indent=1) + "\n"


def load(file: Path) -> pd.DataFrame:
    """What own rows say, from a file that `llmecon fit-mine` wrote.

    Args:
        file: its place.

    Raises:
        InputError: no such file, or one of another kind or version.
    """
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(
            f"{file} is no JSON; `llmecon fit-mine` writes what is read here"
        ) from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise InputError(f"{file} was not written by `llmecon fit-mine`")
    if found.get("version") != VERSION:
        raise InputError(f"{file} is of version {found.get('version')}, not {VERSION}: fit it anew")
    rows = found.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(of, dict) for of in rows):
        raise InputError(f"{file} holds no rows")
    missing = sorted(set(_COLUMNS) - set.intersection(*(set(of) for of in rows)))
    if missing:
        raise InputError(f"{file} lacks {missing[0]} in a row: fit it anew")
    try:
        frame = pd.DataFrame(rows)[list(_COLUMNS)].astype(_COLUMNS)
    except (TypeError, ValueError) as error:
        raise InputError(f"{file} holds something else than numbers: fit it anew") from error
    if frame.drop(columns=["young", "early_sparse"]).isna().any(axis=None):
        raise InputError(f"{file} holds blanks: fit it anew")
    return frame.assign(publisher=MINE)
