"""Sources: docstrings cite them, tables link to them, and each says where it is used."""

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx

from llmecon.publishing.build import appendices

_CITED = re.compile(r"\[([A-Z][A-Za-z]+\d{4}[a-z]?(?:\s*[,;]\s*[A-Z][A-Za-z]+\d{4}[a-z]?)*)\]")


def keys(cell: str) -> list[str]:
    """The bibliography keys in a cell of a column `source`."""
    return [key for key in re.split(r"[;\s]+", cell) if key]


def link_citations(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn bibliography keys in docstrings, `[Kwon2023]`, into citations."""
    for i, line in enumerate(lines):
        lines[i] = _CITED.sub(lambda found: f":cite:p:`{re.sub('[,; ]+', ',', found[1])}`", line)


def without_escapes(text: str) -> str:
    """A text of the bibliography without the backslashes that TeX wants before some signs."""
    return re.sub(r"\\([$&%#_{}])", r"\1", text)


def complete_references(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give every entry of a bibliography its key, the anchor `ref-KEY`, links to its uses."""
    entries = list(doctree.findall(nodes.citation))
    if not entries:
        return
    domain = app.env.get_domain("cite")
    known = {c.citation_id: c.key for c in domain.citations}  # type: ignore[attr-defined]
    used = _used(app)
    for entry in entries:
        # Texts may stand in several entries at once, and then know one parent at most.
        for around in entry.findall(nodes.Element):
            for place, text in enumerate(around.children):
                if isinstance(text, nodes.Text):
                    around[place] = nodes.Text(without_escapes(text.astext()))
        for key in [known[i] for i in entry["ids"] if i in known]:
            entry["ids"].append(f"ref-{key}")
            shown = nodes.inline("", key, classes=["llmecon-cited"])
            entry.children[-1].insert(0, [shown, nodes.Text(" ")])
            if links := _links(app, docname, used.get(key, ())):
                entry.children[-1] += links


def _used(app: Sphinx) -> dict[str, list[str]]:
    """For each key of the bibliography, the pages that cite it, in the book's order."""
    used: dict[str, set[str]] = {}
    for cited in app.env.get_domain("cite").citation_refs:  # type: ignore[attr-defined]
        for target in cited.targets:
            used.setdefault(target.key, set()).add(cited.docname)
    for page in (of for of in app.env.found_docs if of.startswith("data/")):
        table = appendices.table(page.removeprefix("data/"))
        if "source" in table.columns:
            source = table.columns.index("source")
            for key in {key for row in table.rows for key in keys(row[source])}:
                used.setdefault(key, set()).add(page)
    order = list(app.env.toctree_includes.get(app.config.root_doc, ()))
    place = {page: number for number, page in enumerate(order)}
    return {
        key: sorted(pages, key=lambda page: (place.get(page, len(place)), page))
        for key, pages in used.items()
    }


def _links(app: Sphinx, docname: str, pages: Iterable[str]) -> nodes.Node | None:
    links: list[nodes.Node] = []
    for page in pages:
        title = app.env.titles[page].astext()
        address = app.builder.get_relative_uri(docname, page)
        links += [nodes.Text(", " if links else " Used in: ")]
        links += [nodes.reference("", title, internal=True, refuri=address)]
    return nodes.inline("", "", *links, classes=["llmecon-used"]) if links else None


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.connect("autodoc-process-docstring", link_citations, priority=700)
    app.connect("doctree-resolved", complete_references, priority=900)
