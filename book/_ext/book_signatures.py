"""The library's signatures as a person would write them."""

import re

from sphinx.application import Sphinx

# What autodoc writes for a number, or an array of numbers, whatever its leading dimensions.
_SCALAR = re.compile(r"~?(?:jaxtyping\.)?Float\[(?:~?[\w.]*Array|[^\[\]]*), '\.\.\.'\]")
_SHAPED = re.compile(r"~?jaxtyping\.(?=\w+\[)")


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


def readable(text: str | None) -> str | None:
    """A signature, or the type of a result, without what a reader needn't know."""
    if text is None:
        return None
    return _SHAPED.sub("", _SCALAR.sub("Scalar", text))


def setup(app: Sphinx) -> None:
    """Connect all of this to Sphinx."""
    app.connect("autodoc-process-signature", simplify)
