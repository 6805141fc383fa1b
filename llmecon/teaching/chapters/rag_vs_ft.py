"""Exercises of the chapter on retrieval and fine-tuning."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from llmecon.adaptation import freshness, knowledge
from llmecon.execution.interpreter import interpreted
from llmecon.specs import SECONDS_PER_DAY, SECONDS_PER_MONTH
from llmecon.studies.parameters import Value
from llmecon.studies.rag_vs_ft import frames, rivals
from llmecon.studies.rag_vs_ft.model import THOUSAND, Case, Settled
from llmecon.studies.rag_vs_ft.study import Study
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import turning_point

CHAPTER = "rag-vs-ft"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "queries_per_month": (3e5, 1e6, 2e6),
    "changes_per_month": (0.02, 0.1),
    "known": (0.2, 0.25, 0.35),
    "wrong_usd": (0.014, 0.03, 0.1),
}
"""What may differ by student."""

FEW, MANY = 5.0, 50.0
"""Passages that exercises 2 and 3 put into the prompt."""

MONTHS = 12.0
"""Between two trainings in exercise 4."""

KNOWN = (1e-3, 0.95)
"""Shares known before, between which the panel's slider, and exercise 5, move."""

PERCENT = 100.0


def _worth_searching(study: Study) -> Key:
    ways = frames.compared(study)
    told = ways[["paid", "right", "total"]].to_dict("index")
    searched, plain = told["rag"], told["as-is"]
    dearer, righter = searched["paid"] - plain["paid"], searched["right"] - plain["right"]

    def per(gain: float, paid: float = dearer) -> float:
        return float(paid / (THOUSAND * gain))

    return Key(
        per(righter) if dearer > 0 and righter > 0 else math.nan,
        (
            Mistake(
                "level-for-gain",
                "This sets the money against all right answers; without a search some are right "
                "as well.",
                per(searched["right"]),
            ),
            Mistake(
                "wrong-that-stay",
                "This sets the money against answers that are wrong even so; a search saves those "
                "that it turns.",
                per(1.0 - searched["right"]),
            ),
            Mistake(
                "all-that-is-paid",
                "This counts all that is paid with a search; some is paid without one as well.",
                per(righter, searched["paid"]),
            ),
            Mistake(
                "wrong-counted-twice",
                "This takes whole bills, in which wrong answers are counted already.",
                per(righter, searched["total"]),
            ),
            Mistake(
                "ratio-for-difference",
                "This divides one share of right answers by the other; take their difference.",
                per(searched["right"] / plain["right"]),
            ),
        ),
        {
            "paid": searched["paid"],
            "paid_plain": plain["paid"],
            "right": searched["right"],
            "right_plain": plain["right"],
        },
    )


def found_and_read(study: Study, passages: float) -> tuple[float, float]:
    """Recall of so many passages, and how often they are read rightly if they hold the answer."""
    able, length = study.case.knowledge, knowledge.PASSAGE
    found = knowledge.recall(able.retriever, jnp.asarray(passages), jnp.asarray(length))
    return float(found), float(knowledge.reads(able.reading, jnp.asarray(passages * length)))


def _five(study: Study) -> Key:
    found, read = found_and_read(study, FEW)
    misled, known = float(study.case.knowledge.reading.misreading), study.scenario.known
    missed = (1.0 - found) * (1.0 - misled) * known
    return Key(
        PERCENT * (found * read + missed),
        (
            Mistake(
                "memory-forgotten",
                "This leaves out questions on which the search misses and the model knows.",
                PERCENT * found * read,
            ),
            Mistake(
                "found-is-read",
                "This takes every answer that is found for one that is read rightly.",
                PERCENT * (found + missed),
            ),
            Mistake(
                "never-misled",
                "This lets no wrong passage mislead the model.",
                PERCENT * (found * read + (1.0 - found) * known),
            ),
            Mistake(
                "memory-always",
                "This adds what the model knows on every question; it falls back on that where "
                "the search misses.",
                PERCENT * (found * read + (1.0 - misled) * known),
            ),
            Mistake(
                "misled-for-not-misled",
                "This takes the share that is misled for the share that isn't.",
                PERCENT * (found * read + (1.0 - found) * misled * known),
            ),
            Mistake(
                "reading-alone",
                "This is how often a passage is read rightly once it is found.",
                PERCENT * read,
            ),
        ),
        {"found": found, "read": read, "misled": misled},
    )


def _fifty(study: Study) -> Key:
    able, known = study.case.knowledge, study.scenario.known
    misled = float(able.reading.misreading)

    def right(found: float, read: float, memory: float = known) -> float:
        return PERCENT * (found * read + (1.0 - found) * (1.0 - misled) * memory)

    found, read = found_and_read(study, MANY)
    few, read_few = found_and_read(study, FEW)
    _, read_one = found_and_read(study, 1.0)
    crowded = float(knowledge.reads(able.reading, jnp.asarray(MANY)))
    return Key(
        right(found, read),
        (
            Mistake(
                "passages-for-tokens",
                "This tells the reading that the context has as many tokens as passages.",
                right(found, crowded),
            ),
            Mistake(
                "read-as-one",
                "This reads each passage as if it stood alone; the others distract.",
                right(found, read_one),
            ),
            Mistake("five", "This is the share with five passages.", right(few, read_few)),
            Mistake(
                "found-as-five",
                "This lets the search find no more than with five passages.",
                right(few, read),
            ),
            Mistake(
                "memory-forgotten",
                "This leaves out what the model knows where the search misses.",
                right(found, read, 0.0),
            ),
        ),
        {
            "five": right(few, read_few),
            "length": knowledge.PASSAGE,
            "first": float(able.retriever.first),
            "decline": float(able.retriever.decline),
            "dilution": float(able.retriever.dilution),
            "span": float(able.retriever.span),
            "alone": float(able.reading.alone),
            "distraction": float(able.reading.distraction),
            "misled": misled,
        },
    )


def _aged(study: Study) -> Key:
    changes = study.scenario.changes_per_month

    def mean(rate: float) -> float:
        return PERCENT * float(freshness(jnp.asarray(rate), jnp.asarray(MONTHS)))

    end = PERCENT * math.exp(-changes * MONTHS)
    straight = 1.0 - changes * MONTHS
    return Key(
        mean(changes) if changes > 0 else math.nan,
        (
            Mistake(
                "at-the-end",
                "This is what is still true at the end; the question is about the mean.",
                end,
            ),
            Mistake(
                "straight-line",
                "This lets as many facts change each month; those that have changed already are "
                "no longer there to change.",
                PERCENT * (1.0 + straight) / 2.0 if straight > 0 else math.nan,
            ),
            Mistake(
                "straight-to-the-end",
                "This lets as many facts change each month, and looks at the end.",
                PERCENT * straight if straight > 0 else math.nan,
            ),
            Mistake(
                "false-for-true", "This is the share that is no longer true.", 100.0 - mean(changes)
            ),
            Mistake(
                "a-month-for-a-year",
                "This counts one month between trainings.",
                PERCENT * -math.expm1(-changes) / changes if changes > 0 else math.nan,
            ),
            Mistake(
                "days-for-months",
                "This takes changes a month for changes a day.",
                mean(changes * SECONDS_PER_MONTH / SECONDS_PER_DAY),
            ),
        ),
        {"end": end},
    )


_told: Any = interpreted(rivals.told)


def _known_enough(study: Study) -> Key:
    given, knobs = study.scenario, rivals.knobs(study)
    offers = rivals.offered(study, given.hosting)

    def answered(known: float) -> dict[str, float]:
        asked = replace(study.case.asked, known=known)
        case = Case(asked, offers, study.case.knowledge, rivals.RIVALS)
        found = _told(Settled(case, dict.fromkeys(rivals.RIVALS, knobs)))
        return {name: float(value) for name, value in found.items()}

    found = turning_point(lambda known: answered(known)["ratio"] <= 1.0, *KNOWN)
    as_right = turning_point(
        lambda known: answered(known)["lora_right"] >= answered(known)["rag_right"], *KNOWN
    )
    now, never, most = (answered(known) for known in (given.known, 0.0, KNOWN[1]))
    across = (1.0 - never["ratio"]) / (most["ratio"] - never["ratio"])
    return Key(
        PERCENT * found,
        (
            Mistake(
                "as-often-right",
                "This is where both are right as often; the question is where they cost the same.",
                PERCENT * as_right,
            ),
            Mistake(
                "in-proportion",
                "This lets the ratio of the costs fall as the share that is known rises.",
                PERCENT * given.known * now["ratio"],
            ),
            Mistake(
                "not-known",
                "This is the share that is not known before.",
                PERCENT * (1.0 - found),
            ),
            Mistake(
                "straight-line",
                "This draws a straight line between the ends of the slider; the ratio bends.",
                PERCENT * across * KNOWN[1],
            ),
        ),
        {
            "ratio": now["ratio"],
            "most": PERCENT * KNOWN[1],
            "rag_never": never["rag_usd"],
            "rag_most": most["rag_usd"],
            "lora_never": never["lora_usd"],
            "lora_most": most["lora_usd"],
            "as_right": PERCENT * as_right,
        },
    )


EXERCISES = (
    Exercise(
        "rag-vs-ft-1",
        CHAPTER,
        "What makes a search worth its money",
        "paper",
        minutes=6,
        unit="USD",
        tolerance=0.02,
        key=_worth_searching,
    ),
    Exercise(
        "rag-vs-ft-2",
        CHAPTER,
        "Five passages",
        "recall",
        minutes=4,
        unit="%",
        tolerance=0.01,
        key=_five,
    ),
    Exercise(
        "rag-vs-ft-3",
        CHAPTER,
        "Ten times as many",
        "code",
        minutes=10,
        unit="%",
        tolerance=0.01,
        key=_fifty,
    ),
    Exercise(
        "rag-vs-ft-4",
        CHAPTER,
        "Trained once a year",
        "code",
        minutes=8,
        unit="%",
        tolerance=0.01,
        key=_aged,
    ),
    Exercise(
        "rag-vs-ft-5",
        CHAPTER,
        "When an adapter is enough",
        "panel",
        minutes=10,
        unit="%",
        tolerance=0.02,
        key=_known_enough,
    ),
    Exercise("rag-vs-ft-6", CHAPTER, "Your documents", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
