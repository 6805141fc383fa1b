"""The pages of the tables of `data/`: their first rows as HTML, all of them as a script.

`_static/tables.js` lets a reader filter, sort and turn over the rows. They come as a script,
because a page that was opened from a file may not fetch data.
"""

import html
import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import book_citations
import book_terms
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from llmecon import paths
from llmecon.publishing.build import appendices

LOG = logging.getLogger(__name__)

_LINE = 40  # characters
PAGE = 50  # rows shown at a time, as in _static/tables.js

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class data_table(nodes.General, nodes.Element):  # noqa: N801 - Sphinx derives names from it
    """A table's HTML in `html`; its text holds the words under which a search finds it."""


class DataTableDirective(SphinxDirective):
    """The rows of a table of `data/`, with the file to download."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, or a warning that there is none."""
        name = self.arguments[0]
        try:
            table = appendices.table(name)
        except LookupError as error:
            LOG.warning("no table %r: %s", name, error, location=self.get_location())
            return []
        self.env.note_dependency(str(paths.DATA / f"{name}.csv"))
        up = "../" * self.env.docname.count("/")
        linked = links(table)
        shown = data_table("", html=markup(table, linked, up))
        named = _named(table)
        shown += nodes.Text(" ".join(word for words in named.values() for word in words))
        entries = [
            ("single", word, anchor, "main", None)
            for anchor, words in named.items()
            for word in words
        ]
        return [addnodes.index(entries=entries), shown]


def links(table: appendices.Table) -> dict[str, tuple[str, list[str]]]:
    """For each column of ids of another table: that table, and which of the ids it has."""
    found = {}
    for column, about in table.described.items():
        target = re.search(r"\bid of (\w+)\.csv", about)
        if column in table.columns and target and target[1] != table.name:
            other = appendices.table(target[1])
            here = {row[table.columns.index(column)] for row in table.rows}
            found[column] = (other.name, sorted(here & {row[0] for row in other.rows}))
    return found


def markup(table: appendices.Table, linked: Mapping[str, tuple[str, list[str]]], up: str) -> str:
    """The table's first rows, its file, and what `tables.js` needs to show the others.

    Args:
        table: The table.
        linked: What `links` found in it.
        up: From the page to the root of the site, empty or ending in a slash.

    Returns:
        HTML that shows the first rows without any script.
    """
    name, shown = table.name, [c for c in table.columns if c != "checked"]
    head = "".join(_heading(c, table.described.get(c)) for c in shown)
    anchors = _anchors(table)
    kinds = dict.fromkeys(numbers(table), "number") | dict.fromkeys(long(table), "long")
    body = "".join(
        _row(dict(zip(table.columns, row, strict=True)), anchor, kinds, linked, up)
        for row, anchor in zip(table.rows[:PAGE], anchors, strict=False)
    )
    count = f"{len(table.rows):,} rows"
    if table.unchecked is not None:
        count += f", {table.unchecked} unchecked" if table.unchecked else ", all checked"
    if len(table.rows) > PAGE:
        count += f"; the first {PAGE} are shown"
    return (
        f'<div class="llmecon-table" data-table="{name}" data-up="{up}">'
        f'<p class="llmecon-table-about"><span role="status">{count}</span> '
        f'<a href="{up}_static/data/{name}.csv" download>Download {name}.csv</a></p>'
        f'<div class="llmecon-scroll" role="region" aria-label="Table {name}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
        f'<script defer src="{up}_static/tables/{name}.js"></script>'
        + book_terms.tips({f"column-{c}": m for c, m in table.described.items() if c in shown})
    )


def packed(table: appendices.Table, linked: Mapping[str, tuple[str, list[str]]]) -> str:
    """The script that holds all rows: a text a column, or its distinct texts and their order."""
    whole = {
        "columns": table.columns,
        "numbers": numbers(table),
        "long": long(table),
        "links": linked,
        "cells": [_packed([row[i] for row in table.rows]) for i in range(len(table.columns))],
    }
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    return f"(window.llmeconTables ??= {{}})[{json.dumps(table.name)}] = {text};\n"


def numbers(table: appendices.Table) -> list[str]:
    """The columns that hold numbers alone."""
    return [
        column
        for i, column in enumerate(table.columns)
        if any(row[i] for row in table.rows) and all(_is_number(row[i]) for row in table.rows)
    ]


def long(table: appendices.Table) -> list[str]:
    """The columns whose texts need more than one line."""
    return [
        column
        for i, column in enumerate(table.columns)
        if any(len(row[i]) > _LINE for row in table.rows)
    ]


def write_rows(app: Sphinx, env: BuildEnvironment) -> None:
    """Put the tables into a site that has pages of them, as CSV and as the scripts of the pages."""
    if app.builder.format != "html" or not any(page.startswith("data/") for page in env.found_docs):
        return
    static = Path(app.doctreedir) / "rows"
    for folder in ("data", "tables"):
        (static / folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(paths.DATA / "datapackage.json", static / "data" / "datapackage.json")
    for table in appendices.tables():
        shutil.copyfile(paths.DATA / f"{table.name}.csv", static / "data" / f"{table.name}.csv")
        script = static / "tables" / f"{table.name}.js"
        script.write_text(packed(table, links(table)), encoding="utf-8")
    app.config.html_static_path.append(str(static))


def _named(table: appendices.Table) -> dict[str, list[str]]:
    """The names of what a table lists, if they are names to look up, by the row's anchor."""
    spelled = [c for c in ("name", "provider") if c in table.columns]
    if table.columns[0] != "id" or not spelled:
        return {}
    named = {}
    for row, anchor in zip(table.rows, _anchors(table), strict=True):
        words = [row[0], *(row[table.columns.index(c)] for c in spelled if c == "name")]
        if anchor:
            named[anchor] = list(dict.fromkeys(word for word in words if word))
    return named


def _anchors(table: appendices.Table) -> list[str]:
    """The anchor of each row: of the first that has an id; empty elsewhere."""
    seen: Counter[str] = Counter()
    anchors = []
    for row in table.rows:
        seen[row[0]] += 1
        anchors.append(f"row-{row[0]}" if table.columns[0] == "id" and seen[row[0]] == 1 else "")
    return anchors


def _heading(column: str, about: str | None) -> str:
    described = f' aria-describedby="column-{column}"' if about else ""
    return f'<th scope="col"{described}>{html.escape(column.replace("_", " "))}</th>'


def _row(
    row: Mapping[str, str],
    anchor: str,
    kinds: Mapping[str, str],
    linked: Mapping[str, tuple[str, list[str]]],
    up: str,
) -> str:
    doubtful = row.get("checked", "true") != "true"
    cells = []
    for column, text in row.items():
        if column == "checked":
            continue
        content = html.escape(text)
        if column == "source":
            content = "; ".join(
                f'<a href="{up}references.html#ref-{key}">{key}</a>'
                for key in map(html.escape, book_citations.keys(text))
            )
            content += ' <span class="llmecon-unchecked">unchecked</span>' if doubtful else ""
        elif column in linked and text in linked[column][1]:
            content = f'<a href="{linked[column][0]}.html#row-{content}">{content}</a>'
        kind = f' class="{kinds[column]}"' if column in kinds else ""
        cells.append(f"<td{kind}>{content}</td>")
    opening = f' id="{html.escape(anchor)}" tabindex="-1"' if anchor else ""
    opening += ' class="unchecked"' if doubtful else ""
    return f"<tr{opening}>{''.join(cells)}</tr>"


def _packed(cells: list[str]) -> str | dict[str, str]:
    cells = [re.sub(r"\s+", " ", cell) for cell in cells]
    plain = "\t".join(cells)
    distinct = {cell: _in_base_36(i) for i, cell in enumerate(dict.fromkeys(cells))}
    coded = {"of": "\t".join(distinct), "at": " ".join(distinct[cell] for cell in cells)}
    return min(plain, coded, key=lambda form: len(json.dumps(form, ensure_ascii=False)))


def _in_base_36(number: int) -> str:
    rest, last = divmod(number, 36)
    return (_in_base_36(rest) if rest else "") + _DIGITS[last]


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _visit(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append(node["html"])
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any] | None:
    """Connect all of this to Sphinx."""
    app.add_node(data_table, html=(_visit, None))
    app.add_directive("datatable", DataTableDirective)
    app.connect("env-check-consistency", write_rows)
    return None
