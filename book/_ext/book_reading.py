"""How long a chapter takes: `` {reading}`a while` `` where its notebook says so.

Viewers that don't know the role show its words; the site counts.
"""

import json
from pathlib import Path

from book_teaching import exercises
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from llmecon.publishing import reading


class ReadingRole(SphinxRole):
    """The minutes of the chapter that the role stands in."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The minutes in words, or the role's own words on a page that is no chapter."""
        source = Path(self.env.doc2path(self.env.docname))
        if source.suffix != ".ipynb":
            return [nodes.Text(self.text)], []
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        chapter = self.env.docname.rpartition("/")[2]
        asked = sum(of.minutes for of in exercises(chapter))
        return [nodes.Text(reading.sentence(cells, asked))], []


def setup(app: Sphinx) -> None:
    """Make the role known."""
    app.add_role("reading", ReadingRole())
