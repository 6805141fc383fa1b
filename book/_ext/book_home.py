"""What the first page shows of the chapters: findings, a live panel, a map."""

import html
import re
from pathlib import Path
from typing import Any

import nbformat
from book_numbers import shown_numbers
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from llmecon.publishing.prose import stored

LOG = logging.getLogger(__name__)


class _OfChapters(SphinxDirective):
    """What directives that show something of the chapters share."""

    def notebook(self, chapter: str) -> nbformat.NotebookNode | None:
        """The executed notebook of a chapter; None, with a warning, if there is none."""
        file = Path(self.env.srcdir) / "chapters" / f"{chapter}.ipynb"
        if not file.is_file():
            LOG.warning("no chapter %r", chapter, location=self.get_location())
            return None
        self.env.note_dependency(str(file))
        return nbformat.read(file, as_version=4)

    def address(self, chapter: str) -> str:
        """Where a chapter's page is, seen from this one."""
        return str(self.env.app.builder.get_relative_uri(self.env.docname, f"chapters/{chapter}"))


class FindingsDirective(_OfChapters):
    """Headline numbers of several chapters, one `chapter/name` a line, each with its chapter."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The findings, or a warning that one is missing."""
        items = []
        for line in filter(None, map(str.strip, self.content)):
            chapter, _, name = line.partition("/")
            found = shown_numbers(self, chapter, [name])
            notebook = self.notebook(chapter)
            if not found or notebook is None:
                return []
            number, title = found[0], _opening(notebook)[0]
            interval = f" <em>({html.escape(number.interval)})</em>" if number.interval else ""
            items.append(
                f"<li><strong>{html.escape(number.text)}</strong>{interval} "
                f'{html.escape(number.label)}. <a href="{self.address(chapter)}">'
                f"{html.escape(title)}</a></li>"
            )
        return [nodes.raw("", f'<ol class="llmecon-findings">{"".join(items)}</ol>', format="html")]


class PanelDirective(_OfChapters):
    """The live panel of a chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The panel, or a warning that the chapter has none."""
        notebook = self.notebook(self.arguments[0])
        if notebook is None:
            return []
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                if stored.PANEL in output.get("metadata", {}):
                    return [nodes.raw("", output.data["text/html"], format="html")]
        LOG.warning("%s has no live panel", self.arguments[0], location=self.get_location())
        return []


class ChapterMapDirective(_OfChapters):
    """Every chapter in the order of the table of contents, with its question and first answer."""

    def run(self) -> list[nodes.Node]:
        """The map."""
        items = []
        for entry in _entries(self.env.app):
            chapter = entry.removeprefix("chapters/")
            notebook = self.notebook(chapter)
            if notebook is None:
                continue
            title, question = _opening(notebook)
            numbers = shown_numbers(self, chapter, [])[:2]
            answers = "".join(
                f"<li><strong>{html.escape(n.text)}</strong> {html.escape(n.label)}</li>"
                for n in numbers
            )
            items.append(
                f'<li><a href="{self.address(chapter)}">{html.escape(title)}</a>'
                f"<p>{html.escape(question)}</p><ul>{answers}</ul></li>"
            )
        return [nodes.raw("", f'<ol class="llmecon-map">{"".join(items)}</ol>', format="html")]


def _opening(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    """A chapter's title and the question that it opens with."""
    title, _, rest = notebook.cells[0].source.partition("\n")
    question = re.split(r"\n\s*\n", rest.strip())[0]
    return title.lstrip("# ").strip(), " ".join(question.strip("*").split())


def _entries(app: Sphinx) -> list[str]:
    """Documents of chapters, in the order of the table of contents."""
    site_map: Any = app.config.external_site_map
    listed = [str(item) for tree in site_map.root.subtrees for item in tree.items]
    return [name for name in listed if name.startswith("chapters/")]


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.add_directive("findings", FindingsDirective)
    app.add_directive("panel", PanelDirective)
    app.add_directive("chapter-map", ChapterMapDirective)
