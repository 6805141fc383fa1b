"""Prose that follows the numbers: templates beside the notebooks, filled in and shown.

A chapter's sentences stand in one file of blocks, `notebooks/prose/CHAPTER.md`, in Jinja's
language. Numbers come in by the filters of `llmecon.words`; what a block asks of the
study is an attribute or a frame of it, so that no template computes anything but a choice of words.
"""

import html
import re
from functools import cache
from typing import Any

import jinja2

from llmecon import paths, words

FILTERS = (
    "number",
    "usd",
    "percent",
    "signed_percent",
    "duration",
    "count",
    "quantity",
    "mass",
    "energy",
    "listing",
    "multiple",
    "sources",
    "span",
    "between",
    "tally",
)
"""Functions of `words` that a template may use as filters, by name."""


def render(chapter: str, block: str, **facts: Any) -> str:
    """A block of a chapter's prose, filled in.

    Args:
        chapter: its slug.
        block: the block's name.
        **facts: what the block speaks of; one that it asks for and that is missing is an error.

    Returns:
        Markdown; line breaks within a paragraph become spaces.
    """
    made = fill(chapter, block, **facts)
    paragraphs = re.split(r"\n\s*\n", made.strip())
    # A no-break space, as in "2 s", is not one of those that a line may end at.
    return "\n\n".join(re.sub(r"[ \t\n]+", " ", paragraph).strip(" ") for paragraph in paragraphs)


def fill(chapter: str, block: str, folder: str = "", **facts: Any) -> str:
    """A block filled in, with its lines as they stand: for what holds code, tables or lists.

    Args:
        chapter: as in `render`.
        block: the block's name.
        folder: within `notebooks/prose`; that folder itself by default.
        **facts: as in `render`.

    Returns:
        Markdown without empty lines around it.
    """
    template = _template(chapter, folder)
    return "".join(template.blocks[block](template.new_context(facts))).strip("\n")


def blocks(chapter: str, folder: str = "") -> frozenset[str]:
    """The names of a file's blocks; arguments as in `fill`."""
    return frozenset(_template(chapter, folder).blocks)


def filled(text: str, **facts: Any) -> str:
    """A line of text that stands outside the templates, such as a question of a quiz, filled in.

    Args:
        text: in Jinja's language.
        **facts: as in `render`.
    """
    return _templates().from_string(text).render(facts)


def _template(chapter: str, folder: str) -> jinja2.Template:
    name = f"{chapter.replace('-', '_')}.md"
    return _templates().get_template(f"{folder}/{name}" if folder else name)


def say(chapter: str, block: str, **facts: Any) -> None:
    """Show a block of a chapter's prose, if it says anything; arguments as in `render`."""
    from llmecon.publishing.prose import (
        results,  # with IPython, which a command line has no use for
    )

    if said := render(chapter, block, **facts):
        results.say(said)


def cited(keys: str) -> str:
    """Sources in brackets, in a form that the site turns into links to its references.

    Args:
        keys: of the bibliography, joined by semicolons.
    """
    return f"({', '.join(source(key) for key in keys.split(';'))})"


def source(key: str) -> str:
    """A key of the bibliography as the markup that becomes a link to its entry."""
    return f'<cite class="llmecon-source">{html.escape(key)}</cite>'


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.NOTEBOOKS / "prose"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,  # a line that holds a condition alone leaves no empty line
        lstrip_blocks=True,
        autoescape=False,  # Markdown, from which `results.say` takes what looks like HTML
    )
    made.filters.update({name: getattr(words, name) for name in FILTERS} | {"cited": cited})
    return made
