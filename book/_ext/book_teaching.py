"""What the pages for teachers link to: settings of a chapter's panel, and exercises by kind."""

from collections.abc import Sequence
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole, SphinxDirective, SphinxRole

from llmecon import studies, teaching, words
from llmecon.publishing.exercises import KINDS
from llmecon.teaching.records import Exercise

LOG = logging.getLogger(__name__)

_HOW = {str(kind): how for kind, how in KINDS.items()}


class SettingRole(ReferenceRole):
    """`` {setting}`words <chapter?name=value&...>` ``: a chapter's live panel, set so.

    The fragment is the one that `live.js` writes for *Copy link to this setting*.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The link, or a warning that there is no such chapter or nothing is set."""
        chapter, _, setting = self.target.partition("?")
        if chapter not in studies.CHAPTERS or not setting:
            LOG.warning("no setting of a panel: %r", self.target, location=self.get_location())
            return [], []
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"chapters/{chapter}")
        return [_link(self.title, f"{page}#{self.target}")], []


class ExerciseRole(SphinxRole):
    """`` {exercise}`chapter kind` ``: a chapter's exercises of a kind, each a link to it."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The links, or a warning that the chapter has no exercise of this kind."""
        chapter, _, kind = self.text.partition(" ")
        if chapter not in studies.CHAPTERS or kind not in _HOW:
            LOG.warning("no exercises: %r", self.text, location=self.get_location())
            return [], []
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"chapters/{chapter}")
        found = [of for of in exercises(chapter) if of.kind == kind]
        if not found:
            return [_link(f"an exercise {_HOW[kind]}", page)], []
        linked: list[nodes.Node] = []
        for of in found:
            linked += [nodes.Text(", "), _link(of.id, f"{page}#{of.id}")]
            linked.append(nodes.Text(f" ({words.count(of.minutes, 'minute')})"))
        return linked[1:], []


class ExercisesDirective(SphinxDirective):
    """All exercises of the book, a row each, in the order in which chapters are given."""

    has_content = True
    head: ClassVar[Sequence[str]] = ("Exercise", "What it asks", "How", "Minutes")

    def run(self) -> list[nodes.Node]:
        """The table."""
        rows: list[list[nodes.Node]] = []
        for chapter in filter(None, map(str.strip, self.content)):
            page = self.env.app.builder.get_relative_uri(self.env.docname, f"chapters/{chapter}")
            for of in exercises(chapter):
                cells = (of.title, _HOW[of.kind], str(of.minutes))
                link = _link(of.id, f"{page}#{of.id}")
                rows.append([link, *(nodes.Text(cell) for cell in cells)])
        return [_table(self.head, rows)] if rows else []


def exercises(chapter: str) -> tuple[Exercise, ...]:
    """The exercises of a chapter; none where it has none."""
    return teaching.exercises(chapter) if chapter in teaching.checking.CHAPTERS else ()


def _link(text: str, address: str) -> nodes.reference:
    return nodes.reference(text, text, refuri=address, internal=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[nodes.Node]]) -> nodes.table:
    def row(cells: Sequence[nodes.Node]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))

    columns = [nodes.colspec(colwidth=1) for _ in head]
    top = nodes.thead("", row([nodes.Text(name) for name in head]))
    body = nodes.tbody("", *(row(cells) for cells in rows))
    return nodes.table("", nodes.tgroup("", *columns, top, body, cols=len(head)))


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.add_role("setting", SettingRole())
    app.add_role("exercise", ExerciseRole())
    app.add_directive("exercises", ExercisesDirective)
