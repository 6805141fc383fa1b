"""The library's signatures as a person would write them."""

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

# What autodoc writes for a number, or an array of numbers, whatever its leading dimensions.
_SCALAR = re.compile(r"~?(?:jaxtyping\.)?Float\[(?:~?[\w.]*Array|[^\[\]]*), '\.\.\.'\]")
# What a field takes that it makes a number of.
_NUMBER = re.compile(
    r"[~\w.]*\bArray \| [~\w.]*\bndarray \| [~\w.]*\bbool \| [~\w.]*\bnumber "
    r"\| bool \| int \| float \| complex"
)
_SHAPED = re.compile(r"~?(?:jaxtyping\.(?=\w+\[)|jaxlib\.[\w.]+\.(?=Array\b))")

_SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
_MODULE = re.compile(r"<h1>llmecon[.\w]+")
_LIST = re.compile(r"<(/?)d[ld]>")


def simplify(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None] | None:
    """Write `Scalar` for a float64 number or a batch of them, as the library's own code does."""
    return readable(signature), readable(result)


def restore_properties(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Undo that napoleon takes what stands before a colon in a property's docstring for a type."""
    if what == "property":
        lines[:] = [*inspect.cleandoc(obj.__doc__ or "").splitlines(), ""]


def simplify_annotations(app: Sphinx, doctree: nodes.document) -> None:
    """The same for the types of properties, which never pass as signatures."""
    for annotation in doctree.findall(addnodes.desc_annotation):
        text = annotation.astext()
        if (simple := readable(text)) != text:
            annotation.children = [nodes.Text(simple or "")]


def without_lists(body: str) -> str:
    """A page whose signatures hold no lists of definitions, since parameters define nothing."""
    return _SIGNATURE.sub(lambda found: _LIST.sub(r"<\1span>", found[0]), body)


def with_breaks(body: str) -> str:
    """A page whose title, if a module's name, may take a new line after a dot."""
    return _MODULE.sub(lambda found: found[0].replace(".", ".<wbr>"), body)


def mend_signatures(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write signatures so that a screen reader makes sense of them, names so that phones can."""
    if "body" in context:
        context["body"] = with_breaks(without_lists(context["body"]))


def readable(text: str | None) -> str | None:
    """A signature, or the type of a result, without what a reader needn't know."""
    if text is None:
        return None
    return _SHAPED.sub("", _SCALAR.sub("Scalar", _NUMBER.sub("Number", text)))


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.connect("autodoc-process-signature", simplify)
    app.connect("autodoc-process-docstring", restore_properties, priority=600)
    app.connect("doctree-read", simplify_annotations)
    app.connect("html-page-context", mend_signatures)
