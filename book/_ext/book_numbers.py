"""The chapters' computed numbers on other pages."""

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from llmecon.publishing.prose import stored

LOG = logging.getLogger(__name__)


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


def shown_numbers(
    directive: SphinxDirective, chapter: str, names: list[str]
) -> list[stored.Headline]:
    """Headline numbers of a chapter: those named, or all; none, with a warning, if one is missing.

    Args:
        directive: Where they are shown.
        chapter: Slug of the chapter.
        names: Their names.
    """
    directive.env.note_dependency(str(Path(directive.env.srcdir) / "results.json"))
    rows = {r["name"]: r for r in _results(directive.env.app) if r["chapter"] == chapter}
    unknown = [name for name in names if name not in rows]
    if unknown or not rows:
        missing = ", ".join(unknown) or "at all"
        where = directive.get_location()
        LOG.warning("chapter %r has no headline number %s", chapter, missing, location=where)
        return []
    fields = [of.name for of in dataclasses.fields(stored.Headline)]
    return [stored.Headline(**{key: rows[name][key] for key in fields}) for name in names or rows]


class HeadlinesDirective(SphinxDirective):
    """The headline numbers of a chapter as cards: all of them, or those named."""

    required_arguments = 1
    option_spec: ClassVar = {"names": directives.unchanged, "most": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """The cards, or a warning that a number is missing."""
        names = self.options.get("names", "").replace(",", " ").split()
        shown = shown_numbers(self, self.arguments[0], names)
        most = self.options.get("most", len(shown))
        return [nodes.raw("", stored.cards(shown[:most]), format="html")] if shown else []


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.add_role("headline", HeadlineRole())
    app.add_directive("headlines", HeadlinesDirective)
