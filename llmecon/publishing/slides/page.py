"""A deck as a page of reveal.js, and the list of all decks."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from llmecon.publishing.slides import text
from llmecon.publishing.slides.deck import Deck, Slide

ASSETS = "assets"
"""Folder of what pages load, beside them."""

_LONG, _LONGEST = 58, 120  # characters of a title

_SHEETS = ("vendor/reset.css", "vendor/reveal.css", "llmecon.css", "live.css", "vendor/mathjax.css")
_SCRIPTS = ("vendor/reveal.js", "vendor/notes.js", "vendor/vega.js", "figures.js", "slides.js")

_MATHS = (
    "window.MathJax = {loader: {load: []}, chtml: {scale: 0.94},"
    " options: {ignoreHtmlClass: 'reveal', processHtmlClass: 'math'}};"
)


@dataclass(frozen=True)
class Listed:
    """A chapter's line in the list of decks.

    Attributes:
        slug: Name of its page.
        title: The chapter's title.
        question: What it asks.
        slides: How many slides there are.
    """

    slug: str
    title: str
    question: str
    slides: int


def page(slug: str, deck: Deck, book: str) -> str:
    """The HTML of a deck.

    Args:
        slug: The chapter's name.
        deck: Its slides.
        book: The book's title.
    """
    number = 0
    stacks = []
    for stack in deck.stacks:
        made = []
        for slide in stack:
            number += 1
            made.append(_slide(slide, f"slide-{number}", book if number == 1 else ""))
        stacks.append(made[0] if len(made) == 1 else f"<section>{''.join(made)}</section>")
    styles = _sheets((*_SHEETS, "slides.css", "code.css"))
    scripts = "".join(f'<script src="{ASSETS}/{name}"></script>\n' for name in _SCRIPTS)
    name = deck.title.partition(":")[0]
    return (
        f'<!DOCTYPE html>\n<html lang="en" data-theme="light" data-deck="{html.escape(slug)}">\n'
        '<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(deck.title)}: slides</title>\n{styles}"
        f"<script>{_MATHS}</script>\n"
        f'<script src="{ASSETS}/vendor/mathjax.js" defer></script>\n</head>\n'
        f'<body><main class="reveal"><div class="slides">\n{"".join(stacks)}</div></main>\n'
        '<footer class="frame"><a href="index.html">All chapters</a>'
        f"<span>{html.escape(name)}</span>"
        '<button type="button" data-flip title="Dark or light (T)">Dark or light</button></footer>'
        f'\n<div hidden data-live="{ASSETS}/live.js"></div>\n{scripts}</body></html>\n'
    )


def index(listed: Sequence[Listed], book: str) -> str:
    """The HTML of the list of decks.

    Args:
        listed: The chapters that have slides.
        book: The book's title.
    """
    lines = "".join(
        f'<li><h2><a href="{of.slug}.html">{html.escape(of.title)}</a></h2>'
        f"<p>{html.escape(of.question)}</p>"
        f'<p class="quiet">{of.slides} slides; <a href="{of.slug}.html?print-pdf">for print</a></p>'
        "</li>\n"
        for of in listed
    )
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(book)}: slides</title>\n{_sheets(('llmecon.css', 'slides.css'))}"
        "<script>if (matchMedia('(prefers-color-scheme: dark)').matches)"
        " document.documentElement.dataset.theme = 'dark';</script>\n"
        f'</head><body class="list"><main><h1>{html.escape(book)}</h1><p>Slides for each chapter, '
        "made from the same notebooks as its page. They need no network: copy this folder "
        "wherever you teach.</p>\n"
        '<p class="quiet"><kbd>Space</kbd> next, <kbd>S</kbd> speaker\'s view with notes, '
        "<kbd>Esc</kbd> overview, <kbd>F</kbd> full screen, <kbd>T</kbd> dark or light, "
        "<kbd>?</kbd> all keys.</p>\n"
        f"<ul>{lines}</ul></main></body></html>\n"
    )


def _sheets(names: Sequence[str]) -> str:
    return "".join(f'<link rel="stylesheet" href="{ASSETS}/{name}">\n' for name in names)


def _slide(slide: Slide, key: str, book: str) -> str:
    length = len(text.plain(slide.title))
    size = "longest" if length > _LONGEST else "long" if length > _LONG else "short"
    level = "h1" if book else "h2"
    # A section that is named by its slide's title needs no line of its own.
    named = slide.section and not slide.title.startswith(slide.section)
    section = f'<p class="section">{slide.section}</p>' if named else ""
    notes = f'<aside class="notes">{"".join(slide.notes)}</aside>' if slide.notes else ""
    from_book = f'<p class="book">{html.escape(book)}</p>' if book else ""
    return (
        f'<section aria-labelledby="{key}"><div class="slide {slide.kind}">{section}'
        f'<{level} id="{key}" class="{size}">{slide.title}</{level}>'
        f'<div class="body">{slide.body}</div>{from_book}</div>{notes}</section>\n'
    )
