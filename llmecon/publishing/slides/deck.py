"""The rules by which an executed chapter becomes slides, one thought each.

A heading of the second level opens a stack of slides. Onto slides go headline numbers, figures with
their findings, tables, formulas, terms, lists, questions, and code that the notebook shows; all
other text is what the speaker says. An author steers with what Jupyter keeps in a cell's metadata
as `slideshow.slide_type`: `slide`, `subslide` and `fragment` put a cell's text on a slide, `notes`
makes it notes, `skip` leaves the cell out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmecon.errors import InputError
from llmecon.publishing.slides import bodies, outputs, text
from llmecon.publishing.slides.text import Block

LEFT_OUT = ("Where the numbers come from",)
"""Sections that a reader looks things up in."""

_UNEXPLAINED = ("What this leaves out",)  # what is left out is not taught either

STEERED = ("slide", "subslide", "fragment", "notes", "skip", "-", "")

LONGEST_LEAD = 45  # words of text that a slide may show where it has nothing else
LONGEST_FINDING = 30  # words of a bold opening that may be a slide's title
_LONGEST_DEFINITIONS = 60  # words below a formula that say what its letters are
_LONGEST_NAME = 8  # words before a list that are its title
_SHOWN_LINES = 14  # of code
_GIVEN_LINES = 24  # of what a text quotes
_FOR_THE_PAGE = re.compile(r"\b(?:results\.table|charts\.\w+|figures\.\w+|panel\.\w+|prose\.\w+)\(")

_OBJECTIVES = re.compile(
    r"^(?:<strong>)?(?P<title>After this chapter you can)(?:</strong>)?\s+(?P<rest>.*)$", re.DOTALL
)
_FINDING = re.compile(r"^\s*\*\*(?P<finding>[^*]+[.!])\*\*\s*")


@dataclass
class Slide:
    """One slide.

    Attributes:
        kind: What it is, the name of a class in the style sheet.
        title: Its heading, as HTML.
        body: What it shows below, as HTML.
        section: The section that it is from, as HTML; empty on the first.
        notes: What the speaker says, paragraphs of HTML.
    """

    kind: str
    title: str
    body: str
    section: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Deck:
    """The slides of a chapter.

    Attributes:
        title: The chapter's title.
        question: What the chapter asks, as text.
        stacks: Slides by section, in order.
    """

    title: str
    question: str
    stacks: list[list[Slide]]

    @property
    def slides(self) -> list[Slide]:
        """All slides in order."""
        return [slide for stack in self.stacks for slide in stack]


def deck(cells: Sequence[Mapping[str, Any]]) -> Deck:
    """The slides of an executed chapter.

    Args:
        cells: The notebook's cells.

    Raises:
        InputError: A cell asks for a type of slide that there isn't.
    """
    made = _Making()
    for place, cell in enumerate(cells):
        made.add(place, cell)
    made.close()
    return Deck(made.title, made.question, [stack for stack in made.stacks if stack])


class _Making:
    """Slides made so far, and the text that waits for the slide which it introduces."""

    def __init__(self) -> None:
        self.title = ""
        self.question = ""
        self.stacks: list[list[Slide]] = []
        self.section = ""
        self.skipping = False
        self.waiting: list[str] = []
        self.explained: set[str] = set()

    # ------------------------------------------------------------------ cells

    def add(self, place: int, cell: Mapping[str, Any]) -> None:
        """Take a cell of the notebook."""
        wanted = _steering(place, cell)
        if wanted == "skip":
            return
        source = cell["source"]
        if cell["cell_type"] == "markdown":
            self._text(source if isinstance(source, str) else "".join(source), wanted)
        elif cell["cell_type"] == "code" and not self.skipping:
            self._code(source if isinstance(source, str) else "".join(source), cell, wanted)

    def close(self) -> None:
        """End a section: what was said in it belongs to a slide, if need be one of its own."""
        if self.waiting and self.stacks and not self.skipping:
            if not self.stacks[-1]:
                self._statement()
            else:
                (self._commented() or self.stacks[-1][-1]).notes += self.waiting
        self.waiting = []

    def _commented(self) -> Slide | None:
        """The slide that a text after it is about."""
        shown = [of for of in (self.stacks or [[]])[-1] if of.kind not in ("code", "terms")]
        return shown[-1] if shown else None

    def _text(self, markdown: str, wanted: str) -> None:
        found = text.blocks(markdown)
        if wanted in ("slide", "subslide", "fragment"):
            self._steered(found, wanted)
            return
        for place, block in enumerate(found):
            if block.kind == "heading" and block.level == 1:
                self._open_chapter(block, found[place + 1 :])
                return
            if block.kind == "heading" and block.level == 2:
                self.close()
                self.section = block.html
                self.skipping = text.plain(block.html) in LEFT_OUT
                self.stacks.append([])
            elif not self.skipping:
                self._block(block, found[:place], found[place + 1 :], wanted)
        if not self.skipping:
            self._explain(markdown)

    def _code(self, source: str, cell: Mapping[str, Any], wanted: str) -> None:
        tags = cell["metadata"].get("tags", ())
        hidden = any(tag.startswith(("hide-", "remove-")) or tag == "parameters" for tag in tags)
        lines = source.strip().splitlines()
        # Of what the notebook shows, code that computes is of interest, code that lays out is not.
        binds = re.search(r"^\w[\w, ]* = ", source, re.MULTILINE)
        computes = binds and not _FOR_THE_PAGE.search(source)
        for part in outputs.shown(cell):
            self._output(part, wanted)
        asked = wanted in ("slide", "subslide") or (not hidden and computes)
        if asked and 1 < len(lines) <= _SHOWN_LINES:
            body = bodies.code(source, outputs.printed(cell))
            self._put("code", f"{self.section}, in code", body, waits=True)

    # ------------------------------------------------------------------ text

    def _open_chapter(self, heading: Block, after: Sequence[Block]) -> None:
        self.title = text.plain(heading.html)
        paragraphs = [block.html for block in after if block.kind == "paragraph"]
        self.question = text.plain(paragraphs[0]) if paragraphs else ""
        name, _, what = heading.html.partition(": ")
        question = bodies.paragraph("question", paragraphs[0]) if paragraphs else ""
        body = (bodies.paragraph("about", bodies.capital(what)) if what else "") + question
        self.stacks.append([Slide("opening", name, body, notes=[b.whole for b in after[1:]])])

    def _block(
        self,
        block: Block,
        before: Sequence[Block],
        after: Sequence[Block],
        wanted: str,
    ) -> None:
        if wanted == "notes":
            self.waiting.append(block.whole)
        elif block.kind == "equation":
            self._formula(block, before, after)
        elif block.kind == "code" and block.html.count("\n") < _GIVEN_LINES:
            self._put("code", self.section, bodies.given(block.html))
        elif block.kind == "list":
            named = before and before[-1].kind == "paragraph" and before[-1].html
            title = named if named and text.words(named) <= _LONGEST_NAME else self.section
            self.waiting.append(block.whole)
            self._put("list", title.rstrip(":"), bodies.bullets(block.items))
        elif block.kind == "paragraph" and (goals := _OBJECTIVES.match(block.html)):
            self.waiting.append(block.whole)
            self._put("list", goals["title"], bodies.bullets(_goals(goals["rest"])))
        else:
            self.waiting.append(block.whole)

    def _formula(self, block: Block, before: Sequence[Block], after: Sequence[Block]) -> None:
        """A formula with the words that lead to it and those that say what its letters are."""
        lead, letters = "", ""
        if before and before[-1].kind == "paragraph":
            last = text.sentences(before[-1].html)[-1]
            lead = last if text.words(last) <= LONGEST_LEAD else ""
        if after and after[0].kind == "paragraph":
            found = text.sentences(after[0].html)[0]
            goes_on = text.plain(found)[:1].islower()
            most = _LONGEST_DEFINITIONS if goes_on or not lead else 0
            letters = found if text.words(found) <= most else ""
        body = bodies.formula(lead, block.html, letters)
        previous = self.stacks[-1][-1] if self.stacks and self.stacks[-1] else None
        if before and before[-1].kind == "equation" and previous and previous.kind == "formula":
            previous.body += block.html
        else:
            self._put("formula", self.section, body)

    def _explain(self, markdown: str) -> None:
        """A slide of the glossary's words that a text uses first."""
        if text.plain(self.section) in _UNEXPLAINED:
            return
        new = [name for name in text.terms(markdown) if name not in self.explained]
        known = {name: text.definitions()[name] for name in new if name in text.definitions()}
        self.explained |= set(new)
        for names in bodies.portions(list(known), bodies.MOST_TERMS):
            title = bodies.capital(bodies.listed(names))
            meanings = [self._meaning(known[name], alone=len(names) == 1) for name in names]
            self._put("terms", title, bodies.terms(names, meanings), waits=True)

    @staticmethod
    def _meaning(definition: str, alone: bool) -> str:
        whole = text.inline(definition)
        return whole if alone and text.words(whole) <= LONGEST_LEAD else text.sentences(whole)[0]

    def _steered(self, found: Sequence[Block], wanted: str) -> None:
        heading = next((block for block in found if block.kind == "heading"), None)
        body = "".join(block.whole for block in found if block is not heading)
        if wanted == "fragment" and self.stacks and self.stacks[-1]:
            self.stacks[-1][-1].body += f'<div class="fragment">{body}</div>'
            return
        if heading is not None and heading.level == 2:
            self.close()
            self.section = heading.html
            self.skipping = False
        if wanted == "slide" or not self.stacks:
            self.close()
            self.stacks.append([])
        self._put("text", heading.html if heading else self.section, body)

    def _statement(self) -> None:
        """A section without anything to look at: what it says first."""
        first = text.sentences(re.sub(r"^<p>(.*)</p>$", r"\1", self.waiting[0], flags=re.DOTALL))
        lead = ""
        for sentence in first:
            if text.words(f"{lead} {sentence}") > LONGEST_LEAD or sentence.endswith(":"):
                break
            lead = f"{lead} {sentence}"
        if lead:
            self._put("statement", self.section, bodies.paragraph("lead", lead.strip()))

    # ------------------------------------------------------------------ outputs

    def _output(self, part: outputs.Shown, wanted: str) -> None:
        if wanted == "notes":
            return
        if isinstance(part, outputs.Prose):
            self._say(part.markdown)
        elif isinstance(part, outputs.Figure):
            title, part = bodies.finding(part)
            kind = "figure tall" if bodies.is_tall(part) else "figure"
            self._put(kind, title or self.section, bodies.figure(part))
        elif isinstance(part, outputs.Cards):
            for cards in bodies.portions(part.cards, bodies.MOST_CARDS):
                self._put("headlines", self.section, bodies.cards(cards))
        elif isinstance(part, outputs.Exercise):
            question = "".join(block.whole for block in text.blocks(part.question))
            self._put("exercise", part.title, bodies.exercise(part.takes, question))
            self.stacks[-1][-1].notes += [b.whole for b in text.blocks(part.solution)]
        elif isinstance(part, outputs.Quiz):
            self._put("quiz", part.question, bodies.quiz(part))
        elif isinstance(part, outputs.Guess):
            self._put("guess", part.question, bodies.guess(part))
        elif isinstance(part, outputs.Panel):
            self._put("panel", part.question or self.section, bodies.panel(part))
        else:
            self._table(part)

    def _say(self, markdown: str) -> None:
        """What a notebook says of its numbers comments on the slide before it."""
        found = text.blocks(markdown)
        finding = _FINDING.match(markdown)
        last = self._commented()
        if last is None or any(block.kind == "code" for block in found):
            for block in found:
                self._block(block, (), (), "")
        else:
            if finding and last.kind == "headlines" and last.title == self.section:
                said = text.inline(finding["finding"]).rstrip(".")
                if text.words(said) <= LONGEST_FINDING:
                    last.title = said
            last.notes += [block.whole for block in found]
        self._explain(markdown)

    def _table(self, table: outputs.Table) -> None:
        parts = bodies.tables(table)
        if not parts:
            rows = f"{len(table.rows)} rows"
            self.waiting.append(f"<p>On the chapter's page: {table.caption} ({rows}).</p>")
        for number, body in enumerate(parts, 1):
            which = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            self._put("table", f"{table.caption}{which}", body)

    def _put(self, kind: str, title: str, body: str, waits: bool = False) -> None:
        """Add a slide; unless text `waits` for a later one, it goes to this slide's notes."""
        slide = Slide(kind, title or self.title, body, self.section)
        if not waits:
            slide.notes, self.waiting = self.waiting, []
        if not self.stacks:
            self.stacks.append([])
        self.stacks[-1].append(slide)


def _steering(place: int, cell: Mapping[str, Any]) -> str:
    wanted = str(cell["metadata"].get("slideshow", {}).get("slide_type", ""))
    if wanted not in STEERED:
        allowed = ", ".join(STEERED[:-2])
        raise InputError(f"cell {place + 1}: unknown slide_type {wanted!r}; allowed: {allowed}")
    return wanted


def _goals(rest: str) -> list[str]:
    """What a reader will be able to do, from a sentence that joins it by semicolons."""
    parts = [part.strip().removeprefix("and ").rstrip(".") for part in rest.split(";")]
    return [bodies.capital(part) for part in parts if part]
