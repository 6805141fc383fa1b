"""Exercises of the chapter on reasoning and agents."""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.costs import economics
from llmecon.execution.interpreter import interpreted
from llmecon.studies.parameters import Value
from llmecon.studies.reasoning_agents.model import (
    CACHED,
    PLAIN,
    REASONED,
    THOUSAND,
    Case,
    calls,
    of_turns,
)
from llmecon.studies.reasoning_agents.study import Study
from llmecon.studies.tokenomics.model import MILLION
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import Held, Settings, first_of_many

CHAPTER = "reasoning-agents"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "reasoning_tokens": (4000.0, 6000.0, 10000.0, 12000.0, 16000.0),
    "turns": (12.0, 16.0, 24.0, 28.0, 32.0),
    "turn_tokens": (600.0, 700.0, 900.0, 1000.0),
    "output_tokens": (180.0, 240.0, 300.0, 360.0, 420.0),
}
"""What may differ by student."""

CACHED_AT = 0.1  # of the price of input, that the seller of exercise 3 asks for cached prompts
MOST_TURNS = 100.0  # where the panel's slider ends
ASIDE = 1.3  # factor between the answer of exercise 4 and either of two readings of the panel
MILLISECONDS = 1000.0  # in a second

Scalar = Float[Array, "..."]


def _first_word(study: Study) -> Key:
    found, given = study.answer, study.scenario
    ttft, tpot, hidden = float(found.ttft), float(found.tpot), given.reasoning_tokens
    if hidden < 1:
        return Key(math.nan)
    prompt, output = float(study.requests.prompt_tokens), float(study.requests.output_tokens)
    return Key(
        float(found.first_word),
        (
            Mistake(
                "first-hidden-token",
                "This is when the first hidden token comes, which nobody sees.",
                ttft,
            ),
            Mistake(
                "last-word",
                "This waits for the whole answer; its first word comes sooner.",
                ttft + tpot * (hidden + output),
            ),
            Mistake(
                "prompt-token-by-token",
                "This reads the prompt token by token; it is read at once, before the first token.",
                ttft + tpot * (prompt + hidden),
            ),
            Mistake(
                "reader-for-stream",
                "This lets somebody read the hidden tokens; they come at the stream's own pace.",
                ttft + hidden / float(study.plain.case.reader.speed),
            ),
            Mistake(
                "milliseconds-for-seconds",
                "This takes milliseconds for seconds.",
                ttft + MILLISECONDS * tpot * hidden,
            ),
        ),
        {"ttft": ttft, "tpot_ms": MILLISECONDS * tpot, "output": output},
    )


def _sent(study: Study) -> Key:
    of = study.scenario
    n, opening, new, told = of.turns, of.system_tokens, of.turn_tokens, of.turn_output_tokens
    later = n * (n - 1.0) / 2.0
    sent = n * (opening + new) + later * (new + told)
    return Key(
        sent,
        (
            Mistake(
                "last-prompt-each-time",
                "This sends the last, longest prompt in every turn.",
                n * (opening + new + (n - 1.0) * (new + told)),
            ),
            Mistake(
                "no-history",
                "This sends what is new in a turn, without what came before.",
                n * (opening + new),
            ),
            Mistake(
                "instructions-once",
                "This sends the instructions once; every prompt opens with them.",
                sent - (n - 1.0) * opening,
            ),
            Mistake(
                "own-words-forgotten",
                "This leaves out the model's own words, which are history as well.",
                n * (opening + new) + later * new,
            ),
            Mistake(
                "one-call",
                "This is the mean prompt of one call; add up those of all turns.",
                sent / n,
            ),
            Mistake(
                "outputs-counted",
                "This adds the outputs, which are no part of a prompt in their own turn.",
                sent + n * told,
            ),
        ),
        {"computed": opening + n * new + (n - 1.0) * told},
    )


def _discounted(study: Study) -> Key:
    price = study.plain.case.api
    of = replace(study.case.talk, reuse=jnp.ones(()))
    turn, n = economics.conversation_workload(of), study.scenario.turns
    asked = replace(price, cached_input=CACHED_AT * price.input, batch_discount=jnp.zeros(()))

    def talk(turn_cost: Scalar) -> float:
        return float(n * turn_cost)

    free, full = (replace(asked, cached_input=share * price.input) for share in (0.0, 1.0))
    usd = talk(economics.api_cost(asked, turn))
    cached = float(turn.cached_fraction)
    return Key(
        THOUSAND * usd,
        (
            Mistake(
                "cache-forgotten",
                "This pays the full price for what the cache holds.",
                THOUSAND * talk(economics.api_cost(full, turn)),
            ),
            Mistake(
                "cache-free",
                "This pays nothing for what the cache holds.",
                THOUSAND * talk(economics.api_cost(free, turn)),
            ),
            Mistake(
                "all-cached",
                "This takes whole prompts for cached; what is new in a turn is not.",
                THOUSAND * talk(economics.api_cost(asked, replace(turn, cached_fraction=1.0)))
                if cached < 1
                else math.nan,
            ),
            Mistake(
                "one-call",
                "This is one call; a conversation has one a turn.",
                THOUSAND * usd / n,
            ),
            Mistake(
                "output-forgotten",
                "This leaves out what the model writes.",
                THOUSAND * talk(economics.api_cost(replace(asked, output=0.0), turn)),
            ),
            Mistake("one-conversation", "This is one conversation; asked are a thousand.", usd),
        ),
        {"input": MILLION * float(price.input), "output": MILLION * float(price.output)},
    )


@interpreted
def _talks(case: Case, turns: Scalar) -> tuple[Scalar, Scalar]:
    found: tuple[Scalar, Scalar] = jax.vmap(lambda n: of_turns(case, n))(turns)
    return found


def longest(study: Study) -> float:
    """Turns of the longest conversation that panel and context allow."""
    of = study.scenario
    exchange = of.turn_tokens + of.turn_output_tokens
    return min(MOST_TURNS, (float(study.case.service.llm.context) - of.system_tokens) / exchange)


def turns_worth(study: Study, usd: float, case: Case | None = None) -> float:
    """From how many turns on a conversation costs as much as something else.

    Args:
        study: the chapter's.
        usd: what that costs, USD.
        case: whose conversations they are; by default the study's.

    Returns:
        Turns; NaN where one costs as much already, or the longest doesn't.
    """

    def enough(turns: Settings) -> Held:
        return np.asarray(_talks(case or study.case, jnp.asarray(turns))[1]) >= usd

    most = longest(study)
    return first_of_many(enough, 1.0, most) if most > 1.0 else math.nan


def _worth_a_thought(study: Study) -> Key:
    usd, given = study.answer.usd, study.scenario
    reasoned, talk = float(usd[REASONED]), float(usd[CACHED])
    found = turns_worth(study, reasoned)
    if math.isnan(found):
        return Key(math.nan)
    forgotten = replace(study.case, talk=replace(study.case.talk, reuse=jnp.zeros(())))
    low, high = max(found / ASIDE, 1.0), min(found * ASIDE, longest(study))
    at_low, at_high = map(float, _talks(study.case, jnp.asarray([low, high]))[1])
    return Key(
        found,
        (
            Mistake(
                "in-proportion",
                "This takes every turn for equally dear; later ones have more history.",
                given.turns * reasoned / talk,
            ),
            Mistake(
                "as-many-tokens",
                "This compares the tokens that are written; a turn also reads its history.",
                given.reasoning_tokens / given.turn_output_tokens,
            ),
            Mistake(
                "no-cache",
                "This is without the prefix cache; leave it as the chapter has it.",
                turns_worth(study, reasoned, forgotten) if given.cache_reuse > 0 else math.nan,
            ),
            Mistake(
                "plain-requests",
                "This counts plain requests that cost as much; a turn is another kind of call.",
                reasoned / float(usd[PLAIN]),
            ),
        ),
        {
            "reasoned": THOUSAND * reasoned,
            "low": low,
            "high": high,
            "at_low": THOUSAND * at_low,
            "at_high": THOUSAND * at_high,
        },
    )


def _more_words(study: Study) -> Key:
    offer, rival = study.case.equal, study.plain.case.api
    if offer is None:
        return Key(math.nan)
    asked = calls(study.case)[PLAIN]
    budget = float(economics.api_cost(rival, asked))
    reading = float(economics.api_cost(offer, replace(asked, output_tokens=0.0)))
    each = float(offer.output) * float(asked.output_tokens)
    if not each > 0 or not budget - reading > 1.05 * each:
        return Key(math.nan)
    theirs = float(rival.output) * float(asked.output_tokens)
    times = (budget - reading) / each
    return Key(
        times,
        (
            Mistake(
                "blended-prices",
                "This divides prices of whole requests; the prompt is read once however much is "
                "written.",
                budget / (reading + each),
            ),
            Mistake(
                "output-prices",
                "This divides prices of output alone; what reading the prompt saves can be written "
                "away as well.",
                theirs / each,
            ),
            Mistake(
                "prompt-free",
                "This leaves out what the cheaper model asks for the prompt.",
                budget / each,
            ),
            Mistake(
                "tokens-for-times",
                "This is a number of tokens; asked is how many times as many.",
                times * float(asked.output_tokens),
            ),
        ),
        {
            "input": MILLION * float(offer.input),
            "output": MILLION * float(offer.output),
            "rival_input": MILLION * float(rival.input),
            "rival_output": MILLION * float(rival.output),
            "prompt": float(asked.prompt_tokens),
            "written": float(asked.output_tokens),
        },
    )


EXERCISES = (
    Exercise(
        "reasoning-agents-1",
        CHAPTER,
        "When the first word comes",
        "recall",
        minutes=3,
        unit="s",
        tolerance=0.015,
        key=_first_word,
    ),
    Exercise(
        "reasoning-agents-2",
        CHAPTER,
        "A history sent again",
        "paper",
        minutes=10,
        unit="tokens",
        tolerance=0.02,
        key=_sent,
    ),
    Exercise(
        "reasoning-agents-3",
        CHAPTER,
        "A cache at a tenth of the price",
        "code",
        minutes=10,
        unit="USD",
        tolerance=0.015,
        key=_discounted,
    ),
    Exercise(
        "reasoning-agents-4",
        CHAPTER,
        "As dear as a thought",
        "panel",
        minutes=10,
        unit="turns",
        tolerance=0.05,
        key=_worth_a_thought,
    ),
    Exercise(
        "reasoning-agents-5",
        CHAPTER,
        "The wordy and the cheap",
        "code",
        minutes=10,
        unit="times",
        tolerance=0.02,
        key=_more_words,
    ),
    Exercise("reasoning-agents-6", CHAPTER, "An agent for an office", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
