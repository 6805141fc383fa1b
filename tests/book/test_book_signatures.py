"""Signatures as a person would write them."""

import book_signatures
import pytest


@pytest.mark.parametrize(
    ("written", "readable"),
    [
        ("(x: ~jaxtyping.Float[jaxlib._jax.Array, '...']) -> LLM", "(x: Scalar) -> LLM"),
        ("~jaxtyping.Float[~jaxlib._jax.Array, 'n']", "Float[Array, 'n']"),
        ("(name: str, n: int = 3) -> None", "(name: str, n: int = 3) -> None"),
        (None, None),
    ],
)
def test_signatures_name_scalars_and_arrays_as_the_code_does(written, readable):
    assert book_signatures.readable(written) == readable
