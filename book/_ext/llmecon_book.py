"""What the book adds to Sphinx: local scripts, computed numbers, data tables, generated pages."""

import csv
import html
import json
import pkgutil
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import vl_convert
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import llmecon
from llmecon import paths
from llmecon.publishing import results

LOG = logging.getLogger(__name__)

_CITED = re.compile(r"\[([A-Z][A-Za-z]+\d{4}[a-z]?(?:\s*[,;]\s*[A-Z][A-Za-z]+\d{4}[a-z]?)*)\]")


# ---------------------------------------------------------------------------- scripts


def provide_scripts(app: Sphinx) -> None:
    """Put the tables and the script that draws charts into the site."""
    if app.builder.format != "html":
        return
    static = Path(app.doctreedir) / "provided"
    vendor = static / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    # In a function of its own, because its short global names clash with Sphinx's.
    bundle = f"(() => {{{vl_convert.javascript_bundle()}\n}})();\n"
    (vendor / "vega.js").write_text(bundle, encoding="utf-8")
    tables = static / "data"
    tables.mkdir(exist_ok=True)
    for table in paths.DATA.glob("*.csv"):
        shutil.copyfile(table, tables / table.name)
    app.config.html_static_path.append(str(static))


def choose_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the chart script only where there are charts, and no script twice."""
    if "body" in context:
        # A list's children must be list items for a screen reader; these have a role of their own.
        context["body"] = context["body"].replace(
            'role="list" class="citation-list"', 'class="citation-list"'
        )
    if 'class="llmecon-chart"' in context.get("body", ""):
        app.add_js_file("vendor/vega.js", defer="defer", priority=400)
    seen: set[str] = set()
    kept = []
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", None) or script)
        if name not in seen:
            seen.add(name)
            kept.append(script)
    context["script_files"] = kept


def join_styles(app: Sphinx, error: Exception | None) -> None:
    """Put the theme's one imported stylesheet inside the one that imports it.

    Accessibility checkers read styles anew and look for the import beside the page, not beside the
    stylesheet.
    """
    theme = Path(app.outdir) / "_static" / "styles" / "theme.css"
    if error is None and theme.is_file():
        imported = (theme.parent.parent / "basic.css").read_text(encoding="utf-8")
        text = theme.read_text(encoding="utf-8")
        theme.write_text(text.replace('@import "../basic.css";', imported), encoding="utf-8")


# ---------------------------------------------------------------------------- computed numbers


def _results(app: Sphinx) -> list[dict[str, Any]]:
    table = Path(app.srcdir) / "results.json"
    return json.loads(table.read_text(encoding="utf-8")) if table.is_file() else []


class HeadlineRole(SphinxRole):
    """`` {headline}`chapter/name` ``: one computed number of a chapter, as text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The number's text, or a warning that there is none."""
        self.env.note_dependency(str(Path(self.env.srcdir) / "results.json"))
        chapter, _, name = self.text.partition("/")
        for row in _results(self.env.app):
            if (row["chapter"], row["name"]) == (chapter, name):
                return [nodes.strong(row["text"], row["text"])], []
        LOG.warning("no headline number %r", self.text, location=self.get_location())
        return [], []


class HeadlinesDirective(SphinxDirective):
    """The headline numbers of a chapter as cards: all of them, or those named."""

    required_arguments = 1
    option_spec: ClassVar = {"names": directives.unchanged, "most": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """The cards, or a warning that a number is missing."""
        self.env.note_dependency(str(Path(self.env.srcdir) / "results.json"))
        chapter = self.arguments[0]
        rows = {r["name"]: r for r in _results(self.env.app) if r["chapter"] == chapter}
        names = self.options.get("names", "").replace(",", " ").split() or list(rows)
        unknown = [name for name in names if name not in rows]
        if unknown or not rows:
            missing = ", ".join(unknown) or "at all"
            where = self.get_location()
            LOG.warning("chapter %r has no headline number %s", chapter, missing, location=where)
            return []
        most = self.options.get("most", len(names))
        fields = ("name", "value", "unit", "label", "text", "low", "high")
        shown = [
            results.Headline(**{key: rows[name][key] for key in fields}) for name in names[:most]
        ]
        return [nodes.raw("", results.cards(shown), format="html")]


# ---------------------------------------------------------------------------- data tables


class DataTableDirective(SphinxDirective):
    """The rows of a table of `data/`, folded away, and the file to download."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table, or a warning that there is none."""
        name = self.arguments[0]
        path = paths.DATA / f"{name}.csv"
        if not path.is_file():
            LOG.warning("no table %r", name, location=self.get_location())
            return []
        self.env.note_dependency(str(path))
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        unchecked = sum(not _is_true(row.get("checked", "true")) for row in rows)
        references = self.env.app.builder.get_relative_uri(self.env.docname, "references")
        return [nodes.raw("", _table(name, rows, unchecked, references), format="html")]


def _table(name: str, rows: list[dict[str, str]], unchecked: int, references: str) -> str:
    columns = [c for c in rows[0] if c != "checked"] if rows else []
    head = "".join(f'<th scope="col">{html.escape(c.replace("_", " "))}</th>' for c in columns)
    body = []
    for row in rows:
        doubtful = not _is_true(row.get("checked", "true"))
        cells = []
        for column in columns:
            text = row[column] or ""
            if column == "source":
                links = [_source(key, references) for key in re.split(r"[;\s]+", text) if key]
                mark = ' <span class="llmecon-unchecked">unchecked</span>' if doubtful else ""
                cells.append(f"<td>{'; '.join(links)}{mark}</td>")
            else:
                kind = ' class="number"' if _is_number(text) else ""
                cells.append(f"<td{kind}>{html.escape(text)}</td>")
        opening = '<tr class="unchecked">' if doubtful else "<tr>"
        body.append(f"{opening}{''.join(cells)}</tr>")
    doubt = f", {unchecked} unchecked" if unchecked else ", all checked"
    return (
        f'<details class="llmecon-table"><summary>{len(rows)} rows{doubt}</summary>'
        f'<p><a href="_static/data/{name}.csv" download>Download {name}.csv</a></p>'
        f'<div class="llmecon-scroll" role="region" aria-label="Table {name}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div></details>"
    )


def _source(key: str, references: str) -> str:
    return f'<a href="{references}#ref-{html.escape(key)}">{html.escape(key)}</a>'


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "yes")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def anchor_references(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give every entry of a bibliography the anchor `ref-KEY`, so that tables can link to it."""
    keys = {c.citation_id: c.key for c in app.env.get_domain("cite").citations}  # type: ignore[attr-defined]
    for citation in doctree.findall(nodes.citation):
        for known in [k for k in citation["ids"] if k in keys]:
            citation["ids"].append(f"ref-{keys[known]}")


# ---------------------------------------------------------------------------- generated pages


def generate(app: Sphinx, docname: str, source: list[str]) -> None:
    """Fill in what a page leaves to be generated: the library's modules, the tables of `data/`."""
    if "<!-- modules -->" in source[0]:
        modules = (
            f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
            for name in public_modules()
        )
        source[0] = source[0].replace("<!-- modules -->", "\n".join(modules))
    if "<!-- tables -->" in source[0]:
        source[0] = source[0].replace("<!-- tables -->", described_tables())


def described_tables() -> str:
    """`data/README.md` without its title, each table's rows folded away under its description."""
    about = (paths.DATA / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    described = re.findall(r"^## (\w+)\.csv", about, re.MULTILINE)
    missing = sorted({table.stem for table in paths.DATA.glob("*.csv")} - set(described))
    if missing:
        LOG.warning("data/README.md doesn't describe %s", ", ".join(missing))
    parts = re.split(r"^(?=## )", about, flags=re.MULTILINE)
    return parts[0] + "\n".join(
        re.sub(r"^## (\w+)\.csv: (.)(.*)$", _table_heading, part, flags=re.MULTILINE) + "\n:::\n"
        for part in parts[1:]
    )


def _table_heading(match: re.Match[str]) -> str:
    name, first, rest = match.groups()
    return (
        f"## {first.upper()}{rest}\n\n```{{datatable}} {name}\n```\n\n:::{{dropdown}} Its columns"
    )


def public_modules() -> Iterator[str]:
    """Names of the library's modules that a reader may import."""
    for module in pkgutil.walk_packages(llmecon.__path__, "llmecon."):
        hidden = any(part.startswith("_") for part in module.name.split("."))
        if not (module.ispkg or hidden or module.name == "llmecon.cli"):
            yield module.name


def link_citations(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn bibliography keys in docstrings, `[Kwon2023]`, into citations."""
    for i, line in enumerate(lines):
        lines[i] = _CITED.sub(lambda found: f":cite:p:`{re.sub('[,; ]+', ',', found[1])}`", line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of this to Sphinx."""
    # Jupyter Book sets this even where its comments extension is left out.
    app.add_config_value("comments_config", {}, "env")
    app.add_role("headline", HeadlineRole())
    app.add_directive("headlines", HeadlinesDirective)
    app.add_directive("datatable", DataTableDirective)
    app.connect("builder-inited", provide_scripts)
    app.connect("html-page-context", choose_scripts, priority=900)
    app.connect("build-finished", join_styles)
    app.connect("doctree-resolved", anchor_references, priority=900)
    app.connect("source-read", generate)
    app.connect("autodoc-process-docstring", link_citations, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
