"""An invented world of facts: who is what to whom, as numbers for a model and text for an index."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

# Opens a question, and closes a passage.
QUESTION, END = 0, 1
SPECIAL = 2

RELATIONS = ("capital", "founder", "patron saint", "main export", "river", "oldest guild")
_ONSETS = ("b", "br", "d", "dr", "f", "g", "k", "kr", "l", "m", "n", "p", "r", "s", "st", "t", "v")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ou")
_CODAS = ("", "l", "n", "r", "s", "th", "m")


class World(NamedTuple):
    """A world's facts: one object for every pair of a subject and a relation.

    Attributes:
        objects: by subject and relation.
        subjects: how many there are.
        relations: how many there are.
        answers: how many different objects there are.
    """

    objects: Int[Array, " facts"]
    subjects: int
    relations: int
    answers: int

    @property
    def facts(self) -> int:
        """How many there are."""
        return self.subjects * self.relations

    @property
    def vocabulary(self) -> int:
        """Tokens: subjects, relations, objects, and two that mark question and end."""
        return SPECIAL + self.subjects + self.relations + self.answers


def create(key: PRNGKeyArray, subjects: int, relations: int, answers: int) -> World:
    """A world at random.

    Args:
        key: of the draw.
        subjects: how many.
        relations: how many.
        answers: how many different objects.

    Returns:
        The world.
    """
    objects = jax.random.randint(key, (subjects * relations,), 0, answers)
    return World(objects, subjects, relations, answers)


def change(key: PRNGKeyArray, world: World, share: float) -> tuple[World, Int[Array, " facts"]]:
    """Give some facts another object.

    Args:
        key: of the draw.
        world: as it was.
        share: of the facts that change.

    Returns:
        The world as it is, and an order of its facts, those that changed first.
    """
    chosen, other = jax.random.split(key)
    order = jax.random.permutation(chosen, world.facts)
    count = round(share * world.facts)
    shift = jax.random.randint(other, (count,), 1, world.answers)
    changed = order[:count]
    objects = world.objects.at[changed].set((world.objects[changed] + shift) % world.answers)
    return world._replace(objects=objects), order


def question(world: World, facts: Int[Array, "..."]) -> Int[Array, "... 3"]:
    """A question as tokens: mark, subject, relation.

    Args:
        world: that it is asked in.
        facts: by number.

    Returns:
        Tokens; the answer is the next.
    """
    subject = SPECIAL + facts // world.relations
    relation = SPECIAL + world.subjects + facts % world.relations
    return jnp.stack([jnp.full_like(subject, QUESTION), subject, relation], axis=-1)


def answer(world: World, objects: Int[Array, "..."]) -> Int[Array, "..."]:
    """The token of an object."""
    return SPECIAL + world.subjects + world.relations + objects


def passage(
    world: World, facts: Int[Array, "..."], objects: Int[Array, "..."]
) -> Int[Array, "... 4"]:
    """A passage as tokens: subject, relation, object, end.

    Args:
        world: that it tells of.
        facts: by number.
        objects: that the passage says they have, true or not.

    Returns:
        Tokens.
    """
    asked = question(world, facts)
    told = answer(world, objects)
    return jnp.stack([asked[..., 1], asked[..., 2], told, jnp.full_like(told, END)], axis=-1)


def names(seed: int, count: int) -> list[str]:
    """Names of two or three syllables that mean nothing, all different.

    Args:
        seed: of the draw.
        count: how many.

    Returns:
        Capitalised names.
    """
    random = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = (
            "".join(random.choice(part) for part in (_ONSETS, _VOWELS, _CODAS))
            for _ in range(random.integers(2, 4))
        )
        found.setdefault("".join(syllables).capitalize())
    return list(found)


def passage_texts(seed: int, world: World) -> list[str]:
    """Every fact as a sentence.

    Args:
        seed: of the names.
        world: its facts.

    Returns:
        One sentence a fact.
    """
    called = names(seed, world.subjects + world.answers)
    objects = np.asarray(world.objects)
    return [
        f"The {RELATIONS[fact % world.relations]} of {called[fact // world.relations]} is "
        f"{called[world.subjects + objects[fact]]}."
        for fact in range(world.facts)
    ]


def question_texts(seed: int, world: World, typos: float) -> list[str]:
    """A question about every fact, as hurried people type them.

    Args:
        seed: of the names and the typing.
        world: its facts.
        typos: probability that a letter of the name is another.

    Returns:
        One question a fact.
    """
    called = names(seed, world.subjects)
    random = np.random.default_rng((seed, 1))

    def typed(name: str) -> str:
        letters = [
            str(random.choice(list("abcdefghiklmnoprstuv"))) if random.random() < typos else letter
            for letter in name
        ]
        return "".join(letters)

    asked = [
        (RELATIONS[fact % world.relations], fact // world.relations) for fact in range(world.facts)
    ]
    return [f"what's the {relation} of {typed(called[subject])}?" for relation, subject in asked]
