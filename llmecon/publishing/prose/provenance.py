"""Where a figure's or a table's numbers come from: rows of the data tables, parameters, version.

A chapter says in a few words which rows it used; names, sources and checks come from the tables::

    system = provenance.of(models="llama-3.1-70b", xpus="h100-sxm")
    charts.show(chart, description="...", data=system | provenance.of(api_prices=all))
"""

import html
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from llmecon import words
from llmecon.errors import InputError
from llmecon.publishing import prose, scenario
from llmecon.studies.parameters import Value
from llmecon.tables import catalog

LISTED = 8  # more rows than this are counted rather than listed
CITED = 12  # of more sources than this the rest is left to the table itself
_UNCHECKED = '<span class="llmecon-unchecked">unchecked</span>'

# The columns by which rows of tables without ids are asked for.
_KEYS = ("id", "parameter", "quantity", "xpu", "grid", "model", "provider")

Wanted: TypeAlias = Any
"""Identifiers (one or several), rows of the table, a mapping from columns to values, or `all`."""


@dataclass(frozen=True)
class Row:
    """A row that was used.

    Attributes:
        table: The table's name.
        key: The row's identifier; empty where the table has none.
        name: What a reader calls it.
        source: Bibliography keys joined by semicolons; empty where the table names no sources.
        checked: Whether the figure was read in its source.
        line: The row's number in the table, from 0.
    """

    table: str
    key: str
    name: str
    source: str
    checked: bool
    line: int


@dataclass(frozen=True)
class Provenance:
    """What a figure or a table rests on; two of them join with `|`.

    Attributes:
        rows: Rows of the data tables.
        sizes: Number of rows of each table.
        parameters: Whether it follows the chapter's parameters.
        experiment: Module that measured it while the chapter was built; empty where none did.
    """

    rows: tuple[Row, ...]
    sizes: tuple[tuple[str, int], ...]
    parameters: bool = True
    experiment: str = ""

    def __or__(self, other: "Provenance") -> "Provenance":
        """Both together, what they share named once."""
        return Provenance(
            tuple(dict.fromkeys(self.rows + other.rows)),
            tuple(dict.fromkeys(self.sizes + other.sizes)),
            self.parameters or other.parameters,
            self.experiment or other.experiment,
        )


def of(*, parameters: bool = True, experiment: str = "", **tables: Wanted) -> Provenance:
    """What numbers rest on, by table.

    Args:
        parameters: Whether the numbers follow the chapter's parameters.
        experiment: Module that measured them while the chapter was built.
        **tables: What was used of each table, by the table's name: an identifier or several, rows
            of the table that carry its index, a mapping from columns to a value or several, or
            `all`. Rows of tables without ids are identified by their parameter, quantity,
            accelerator, grid, model or provider.

    Returns:
        The record that `charts.show` and `results.table` take.

    Raises:
        InputError: There is no such table or no such row.
    """
    rows: list[Row] = []
    sizes = []
    for name, wanted in tables.items():
        frame = catalog.table(name)
        found = _found(name, frame, wanted)
        if len(found):
            sizes.append((name, len(frame)))
            rows += [_row(name, line, row) for line, row in found.iterrows()]
    return Provenance(tuple(rows), tuple(sizes), parameters, experiment)


def of_servers() -> Provenance:
    """What tells how fast servers are: fitted efficiencies, and levels of how they are set up."""
    return of(efficiencies=all, efficiency_effects=all, matmul_rates=all, deployment_levels=all)


def _found(name: str, frame: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    if wanted is all:
        return frame
    if isinstance(wanted, pd.DataFrame):
        return frame.loc[sorted(set(wanted.index))]
    if not isinstance(wanted, Mapping):
        wanted = {next(key for key in _KEYS if key in frame): wanted}
    for column, values in wanted.items():
        several = list(values) if isinstance(values, list | tuple | set) else [values]
        missing = [value for value in several if value not in set(frame[column])]
        if missing:
            raise InputError(f"no row of the table {name} has {column} {missing[0]!r}")
        frame = frame[frame[column].isin(several)]
    return frame


def _row(table: str, line: Any, row: pd.Series) -> Row:
    named = next((column for column in ("name", *_KEYS) if column in row), "")
    # Prices and scores are told apart by what was measured, by whom and when.
    told = [column for column in ("benchmark", "provider", "month") if column in row]
    parts = [str(row[column]) for column in dict.fromkeys([named, *told]) if column]
    return Row(
        table,
        str(row["id"]) if "id" in row else "",
        ", ".join(parts),
        str(row["source"]) if "source" in row else "",
        bool(row["checked"]) if "checked" in row else True,
        int(line),
    )


def markup(provenance: Provenance) -> str:
    """A record as HTML, folded away; the site turns the keys that it holds into links.

    Args:
        provenance: What the numbers rest on.
    """
    items = "".join(
        _table(name, size, [row for row in provenance.rows if row.table == name])
        for name, size in provenance.sizes
    )
    said = scenario.checked()
    parameters = ""
    if provenance.parameters and said:
        values = "".join(
            f"<li><code>{html.escape(name)}</code> {html.escape(_said(value))}</li>"
            for name, value in said.items()
        )
        parameters = f'<p>This chapter\'s parameters:</p><ul class="llmecon-given">{values}</ul>'
    computed = f"<p>Computed by llmecon {importlib.metadata.version('llmecon')}.</p>"
    tables = f"<p>Rows of the data tables:</p><ul>{items}</ul>" if items else ""
    measured = ""
    if provenance.experiment:
        module = f'<code class="llmecon-measured">{html.escape(provenance.experiment)}</code>'
        measured = f"<p>Measured while this chapter was built, by {module}.</p>"
    return (
        '<details class="llmecon-sources"><summary>Sources</summary>'
        f"{measured}{tables}{parameters}{computed}</details>"
    )


def _said(value: Value) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return words.number(float(value), 6) if number else str(value)


def _table(name: str, size: int, rows: Sequence[Row]) -> str:
    title = f'<cite class="llmecon-rows" data-table="{name}">{name}</cite>'
    if len(rows) <= LISTED:
        listed = "".join(f"<li>{_listed(row)}</li>" for row in rows)
        return f"<li>{title}<ul>{listed}</ul></li>"
    doubtful = sum(not row.checked for row in rows)
    keys = _keys(row.source for row in rows)
    amount = f"all {size:,} rows" if len(rows) == size else f"{len(rows):,} of {size:,} rows"
    doubt = f", {doubtful:,} {_UNCHECKED}" if doubtful else ""
    return f"<li>{title}: {amount}{doubt}{_cited(keys)}</li>"


def _listed(row: Row) -> str:
    name = html.escape(row.name)
    if row.key:
        key = html.escape(row.key)
        name = f'<cite class="llmecon-rows" data-table="{row.table}" data-row="{key}">{name}</cite>'
    doubt = "" if row.checked else f" {_UNCHECKED}"
    return f"{name}{_cited(_keys([row.source]))}{doubt}"


def _keys(sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key for source in sources for key in source.split(";") if key))


def _cited(keys: Sequence[str]) -> str:
    cited = [prose.source(key) for key in keys[:CITED]]
    if len(keys) > CITED:
        cited.append(f"and {len(keys) - CITED} more, named in the table")
    return f": {', '.join(cited)}" if cited else ""
