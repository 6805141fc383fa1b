"""Turns the bibliography keys and table rows that figures name into links."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_SOURCE = re.compile(r'<cite class="llmecon-source">([^<]+)</cite>')
_ROWS = re.compile(
    r'<cite class="llmecon-rows" data-table="([^"]+)"(?: data-row="([^"]+)")?>([^<]+)</cite>'
)


def link(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Link keys to the references, rows to the page of their table or else to its file."""
    body = context.get("body", "")
    if 'class="llmecon-sources"' not in body:
        return
    documents = app.env.found_docs
    pathto = context["pathto"]

    references = pathto("references")

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
    context["body"] = _ROWS.sub(rows, body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect this to Sphinx."""
    app.connect("html-page-context", link, priority=850)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
