"""Signatures as a person would write them."""

import book_signatures
import pytest


def test_parameters_are_lines_of_the_signature_and_no_definitions():
    page = '<dl><dt class="sig a">f(<dl>\n<dd>x,</dd>\n</dl>\n)</dt><dd>Text.</dd></dl>'
    assert book_signatures.without_lists(page) == (
        '<dl><dt class="sig a">f(<span>\n<span>x,</span>\n</span>\n)</dt><dd>Text.</dd></dl>'
    )


@pytest.mark.parametrize(
    ("written", "readable"),
    [
        ("(x: ~jaxtyping.Float[jaxlib._jax.Array, '...']) -> LLM", "(x: Scalar) -> LLM"),
        ("~jaxtyping.Float[~jaxlib._jax.Array, 'n']", "Float[Array, 'n']"),
        ("(name: str, n: int = 3) -> None", "(name: str, n: int = 3) -> None"),
        (
            "(pue: ~jax.Array | ~numpy.ndarray | ~numpy.bool | ~numpy.number "
            "| bool | int | float | complex, of: ~jax.Array | None)",
            "(pue: Number, of: ~jax.Array | None)",
        ),
        (None, None),
    ],
)
def test_signatures_name_scalars_and_arrays_as_the_code_does(written, readable):
    assert book_signatures.readable(written) == readable


def test_a_modules_name_may_take_a_new_line_after_a_dot():
    page = "<h1>llmecon.publishing.live<a>#</a></h1><p>llmecon.live</p>"
    assert book_signatures.with_breaks(page) == (
        "<h1>llmecon.<wbr>publishing.<wbr>live<a>#</a></h1><p>llmecon.live</p>"
    )
