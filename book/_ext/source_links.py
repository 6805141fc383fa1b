"""Turns the bibliography keys and table rows that figures, tables and prose name into links."""

import re
from collections.abc import Collection
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_SOURCE = re.compile(r'<cite class="llmecon-source">([^<]+)</cite>')
_ROWS = re.compile(
    r'<cite class="llmecon-rows" data-table="([^"]+)"(?: data-row="([^"]+)")?>([^<]+)</cite>'
)
_TABLE = re.compile(r'<div class="llmecon-tabled">.*?</table>', re.DOTALL)
_CELL = re.compile(r"(?<=<td>)[^<>]+(?=</td>)")


def link_cells(body: str, known: Collection[str], references: str) -> str:
    """Link the bibliography keys in the tables of a page.

    Args:
        body: The page's HTML.
        known: The bibliography's keys.
        references: Address of the page of references.

    Returns:
        The HTML; a cell's keys are links where all that it lists are keys, but for "unchecked".
    """

    def cell(match: re.Match[str]) -> str:
        parts = match[0].split(", ")
        if not all(part in known or part == "unchecked" for part in parts):
            return match[0]
        return ", ".join(
            f'<a href="{references}#ref-{part}">{part}</a>' if part in known else part
            for part in parts
        )

    return _TABLE.sub(lambda table: _CELL.sub(cell, table[0]), body)


def link(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Link keys to the references, rows to the page of their table or else to its file."""
    body = context.get("body", "")
    if not any(f'class="llmecon-{of}"' in body for of in ("source", "rows", "tabled")):
        return
    documents = app.env.found_docs
    pathto = context["pathto"]
    references = pathto("references") if "references" in documents else ""

    def source(match: re.Match[str]) -> str:
        return f'<a href="{references}#ref-{match[1]}">{match[1]}</a>'

    def rows(match: re.Match[str]) -> str:
        table, row, text = match.groups()
        if f"data/{table}" in documents:
            address = pathto(f"data/{table}") + (f"#row-{row}" if row else "")
        elif "data" in documents:
            address = pathto(f"_static/data/{table}.csv", resource=True)
        else:
            return match[0]
        return f'<a href="{address}">{text}</a>'

    if "references" in documents:
        body = _SOURCE.sub(source, body)
        cited = app.env.get_domain("cite").citations  # type: ignore[attr-defined]
        body = link_cells(body, {citation.key for citation in cited}, references)
    context["body"] = _ROWS.sub(rows, body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect this to Sphinx."""
    app.connect("html-page-context", link, priority=850)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
