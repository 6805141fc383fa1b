"""Parameters that differ by student, so that neighbours can't share a number."""

import hashlib
from collections.abc import Mapping

from llmecon.errors import InputError
from llmecon.inputs import shown
from llmecon.studies.parameters import Value
from llmecon.teaching.checking import module


def variants(chapter: str) -> Mapping[str, tuple[Value, ...]]:
    """The values that a chapter's parameters may have in an assignment.

    Args:
        chapter: its name on the command line.

    Returns:
        By parameter. Whatever is chosen of them, every exercise has a finite answer.

    Raises:
        InputError: the chapter has no exercises.
    """
    found: Mapping[str, tuple[Value, ...]] = module(chapter).VARIANTS
    return found


def vary(chapter: str, seed: int, student: str) -> dict[str, Value]:
    """A student's own parameters.

    Args:
        chapter: its name on the command line.
        seed: of the assignment.
        student: a name or number; only its digest is used.

    Returns:
        A value for each parameter of `variants`; the same ones wherever it is asked.

    Raises:
        InputError: the chapter has no exercises, or `seed` is no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputError(f"the seed is a whole number, and this is {shown(seed)}")
    return {
        name: values[_draw(chapter, str(seed), student, name) % len(values)]
        for name, values in variants(chapter).items()
    }


def _draw(*of: str) -> int:
    # Each part with its length before it, so that no two lists of parts read alike.
    text = "".join(f"{len(part)}:{part}" for part in of)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
