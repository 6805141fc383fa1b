"""What the book adds to Sphinx: local scripts, and what the modules beside this one hold."""

from pathlib import Path
from typing import Any

import book_chapters
import book_citations
import book_depth
import book_home
import book_numbers
import book_reading
import book_signatures
import book_tables
import book_teaching
import book_terms
from docutils import nodes
from sphinx.application import Sphinx

from llmecon import studies
from llmecon.publishing.build import site_assets


def provide_scripts(app: Sphinx) -> None:
    """Put the script that draws charts into the site."""
    if app.builder.format != "html":
        return
    static = Path(app.doctreedir) / "provided"
    site_assets.write_charts(static / "vendor")
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
    if 'class="llmecon-static"' in context.get("body", ""):
        app.add_js_file("vendor/vega.js", defer="defer", priority=400)
    seen: set[str] = set()
    kept = []
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", None) or script)
        if name not in seen:
            seen.add(name)
            kept.append(script)
    context["script_files"] = kept


def name_toggles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Say what the navigation's toggles do, which the theme shows as bare arrows."""
    make = context.get("generate_toctree_html")
    if make:
        context["generate_toctree_html"] = lambda *args, **options: str(
            make(*args, **options)
        ).replace("<summary>", '<summary aria-label="Pages of this part">')


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


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of this to Sphinx."""
    # Jupyter Book sets this even where its comments extension is left out.
    app.add_config_value("comments_config", {}, "env")
    # What autodoc is the first to import it imports twice, which pydantic's records don't survive.
    for chapter in studies.CHAPTERS:
        studies.scenario_of(chapter)
    app.connect("builder-inited", provide_scripts)
    app.connect("html-page-context", choose_scripts, priority=900)
    app.connect("html-page-context", name_toggles, priority=900)
    app.connect("build-finished", join_styles)
    for part in (
        book_chapters,
        book_citations,
        book_depth,
        book_home,
        book_numbers,
        book_reading,
        book_signatures,
        book_tables,
        book_teaching,
        book_terms,
    ):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
