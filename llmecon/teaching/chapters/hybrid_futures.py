"""Exercises of the chapter on hybrid futures."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon.execution.interpreter import interpreted
from llmecon.physics import architecture, speculation
from llmecon.physics.speculation import Draft
from llmecon.specs import Number
from llmecon.studies.hybrid_futures import model
from llmecon.studies.hybrid_futures.study import Study
from llmecon.studies.parameters import Value
from llmecon.tables import catalog
from llmecon.teaching.records import Exercise, Key, Mistake
from llmecon.teaching.turning import Held, Settings, first_of_many
from llmecon.tiers import own_machine, routing
from llmecon.tiers.routing import Pair

CHAPTER = "hybrid-futures"

VARIANTS: Mapping[str, tuple[Value, ...]] = {
    "near_model": ("llama-3.2-1b", "phi-3-mini-3.8b", "llama-3.2-3b"),
    "output_tokens": (160.0, 240.0, 280.0, 320.0),
    "acceptance": (0.55, 0.6, 0.65, 0.75),
}
"""What may differ by student."""

DRAFTED = 6.0  # tokens a round, in exercise 5
IN_A_ROW = 20.0  # answers without time to cool, in exercise 2
HALF = 0.5  # of the requests, that exercise 4 sends
FLOORS = (0.3, 0.9)  # shares answered rightly between which the panel's slider moves
PERCENT = 100.0
MILLISECONDS = 1000.0  # in a second

Scalar = Float[Array, "..."]


def _writing(study: Study) -> Key:
    of = study.case
    count = architecture.parameters(of.near)
    forward = count.feed_forward + count.active_experts
    weights = float(count.attention + forward + count.head)
    bytes_read = float(
        count.attention * of.precision.attention
        + forward * of.precision.feed_forward
        + count.head * of.precision.embedding
    )
    attained = float(of.machine.memory_bandwidth)
    sheet = float(catalog.xpu(study.scenario.device).memory_bandwidth)
    found = attained / bytes_read
    return Key(
        found,
        (
            Mistake(
                "bits-for-bytes",
                "This takes bits for bytes: eight bits are one byte.",
                found / 8.0,
            ),
            Mistake(
                "datasheet",
                "This takes the bandwidth of the datasheet; the device attains less.",
                sheet / bytes_read,
            ),
            Mistake(
                "two-bytes",
                "This reads two bytes a weight; on the device weights have fewer bits.",
                attained / (2.0 * weights),
            ),
            Mistake(
                "one-byte",
                "This reads a byte a weight; on the device weights have fewer bits.",
                attained / weights,
            ),
            Mistake(
                "arithmetic",
                "This is how fast the arithmetic goes; while it writes, the device waits for "
                "memory.",
                float(of.machine.flops) / (2.0 * weights),
            ),
            Mistake("time-for-speed", "This is the time of a token.", 1.0 / found),
        ),
        {
            "weights": weights,
            "bits": 8.0 * bytes_read / weights,
            "attained": attained / 1e9,
            "sheet": sheet / 1e9,
        },
    )


def _blindly(study: Study) -> Key:
    of, floor = study.case, study.scenario.quality_floor
    weak, middle, strong = map(float, (of.near_quality, of.edge.quality, of.cloud.quality))
    if not weak < floor <= strong:
        return Key(math.nan)
    found = (floor - weak) / (strong - weak)
    return Key(
        found,
        (
            Mistake(
                "kept-for-sent",
                "This is the share that stays on the device.",
                1.0 - found if found < 1.0 else math.nan,
            ),
            Mistake(
                "gap-for-share",
                "This is by how much quality has to rise; one that is sent raises it by less.",
                floor - weak,
            ),
            Mistake(
                "device-forgotten",
                "This lets the device answer what is sent as well; a request is answered once.",
                (floor - weak) / strong,
            ),
            Mistake(
                "floor-for-share",
                "This is the quality that is asked for, not a share of requests that are sent.",
                floor,
            ),
            Mistake(
                "box-for-data-centre",
                "This sends to the model on the box nearby.",
                (floor - weak) / (middle - weak) if middle > weak else math.nan,
            ),
        ),
        {"weak": weak, "strong": strong, "sent": study.shares["cloud"] + study.shares["drafted"]},
    )


_token_time = interpreted(own_machine.token_time)


def _drafting(study: Study) -> Key:
    of = study.case
    context = jnp.asarray(of.requests.mean_context)
    each = float(_token_time(of.near, of.machine, of.precision, context))
    check, trip = float(study.plain.cloud.tpot), float(of.cloud.round_trip)
    accepted = float(of.acceptance)
    drafts = Draft(accepted, each, check, trip)
    gained = float(speculation.tokens_per_round(jnp.asarray(accepted), jnp.asarray(DRAFTED)))
    cycle = MILLISECONDS * (DRAFTED * each + check + trip)
    found = MILLISECONDS * float(speculation.seconds_per_token(drafts, jnp.asarray(DRAFTED)))
    return Key(
        found,
        (
            Mistake(
                "no-round-trip",
                "This hears of the draft at once; each round waits for a round trip.",
                (cycle - MILLISECONDS * trip) / gained,
            ),
            Mistake(
                "drafts-for-nothing",
                "This drafts in no time; the device writes one token after the other.",
                (cycle - MILLISECONDS * DRAFTED * each) / gained,
            ),
            Mistake(
                "all-accepted",
                "This accepts every draft; what follows a rejected token is thrown away.",
                cycle / (DRAFTED + 1.0),
            ),
            Mistake(
                "check-yields-nothing",
                "This counts drafted tokens alone; the pass that checks adds one of its own.",
                cycle / (gained - 1.0) if accepted > 0.0 else math.nan,
            ),
            Mistake(
                "acceptance-times-length",
                "This accepts drafted tokens one by one; what follows a rejected one is lost.",
                cycle / (accepted * DRAFTED) if accepted > 0.0 else math.nan,
            ),
            Mistake(
                "trip-for-each-token",
                "This sends every drafted token by itself; a draft travels once a round.",
                (cycle + MILLISECONDS * (DRAFTED - 1.0) * trip) / gained,
            ),
        ),
        {
            "each": MILLISECONDS * each,
            "check": MILLISECONDS * check,
            "trip": MILLISECONDS * trip,
            "gained": gained,
        },
    )


_on_machine = interpreted(own_machine.answer)


def _hot(study: Study) -> Key:
    of = study.case

    def ran(in_a_row: float) -> own_machine.Answered:
        found: own_machine.Answered = _on_machine(
            of.near, of.machine, of.precision, of.requests, jnp.asarray(in_a_row)
        )
        return found

    hot, cool, before = ran(IN_A_ROW), ran(1.0), ran(float(of.in_a_row))
    found = float(hot.seconds)
    return Key(
        found,
        (
            Mistake(
                "never-hot",
                "This is a device that stays cool.",
                float(cool.seconds),
            ),
            Mistake(
                "always-hot",
                "This is a device that is hot from the start; it keeps its full speed for a while.",
                float(cool.seconds) / float(of.machine.sustained),
            ),
            Mistake(
                "as-in-the-chapter",
                "This is after as many answers as the chapter takes in a row.",
                float(before.seconds),
            ),
            Mistake(
                "all-of-them",
                "This is how long all of them take together.",
                found * IN_A_ROW,
            ),
            Mistake(
                "prompt-forgotten",
                "This leaves out the time in which the prompt is read.",
                found - float(hot.ttft),
            ),
        ),
        {"cool": float(cool.seconds), "watts": float(of.machine.power)},
    )


@interpreted
def _sent(floors: Scalar, skill: Number, pair: Pair) -> Scalar:
    found: Scalar = jax.vmap(lambda floor: routing.share_for(floor, skill, pair))(floors)
    return found


def _halved(study: Study) -> Key:
    of = study.case
    pair, skill = model.chain(of).across, of.skill
    weak, strong = float(of.near_quality), float(of.cloud.quality)

    def many(floors: Settings) -> Held:
        return np.asarray(_sent(jnp.asarray(floors), skill, pair)) >= HALF

    low, high = FLOORS[0], min(FLOORS[1], strong - 1e-3)
    found = first_of_many(many, low, high) if low < high else math.nan
    gains = float(pair.gains)
    return Key(
        PERCENT * found,
        (
            Mistake(
                "no-skill",
                "This sends half of the requests blindly; the router of the chapter knows more.",
                PERCENT * (weak + HALF * (strong - weak)),
            ),
            Mistake(
                "all-knowing",
                "This sends just those that gain; the router of the chapter knows less.",
                PERCENT * (weak + min(HALF, gains)),
            ),
            Mistake(
                "all-sent",
                "This is what the data centre answers rightly if everything goes there.",
                PERCENT * strong,
            ),
            Mistake(
                "share-for-percent",
                "This is a share; the box takes percent.",
                found,
            ),
        ),
        {
            "gains": gains,
            "losses": float(pair.losses),
            "weak": weak,
            "skill": float(skill),
            "blind": PERCENT * (weak + HALF * (strong - weak)),
        },
    )


EXERCISES = (
    Exercise(
        "hybrid-futures-1",
        CHAPTER,
        "How fast a device can write",
        "paper",
        minutes=5,
        unit="tokens/s",
        tolerance=0.03,
        key=_writing,
    ),
    Exercise(
        "hybrid-futures-2",
        CHAPTER,
        "Twenty answers in a row",
        "code",
        minutes=10,
        unit="s",
        tolerance=0.02,
        key=_hot,
    ),
    Exercise(
        "hybrid-futures-3",
        CHAPTER,
        "Sharing requests out blindly",
        "recall",
        minutes=5,
        unit="fraction",
        tolerance=0.02,
        key=_blindly,
    ),
    Exercise(
        "hybrid-futures-4",
        CHAPTER,
        "Half of the requests stay",
        "panel",
        minutes=10,
        unit="%",
        tolerance=0.015,
        key=_halved,
    ),
    Exercise(
        "hybrid-futures-5",
        CHAPTER,
        "A round of drafting",
        "code",
        minutes=10,
        unit="ms",
        tolerance=0.02,
        key=_drafting,
    ),
    Exercise("hybrid-futures-6", CHAPTER, "A plan to 2035", "open", minutes=60),
)
"""The exercises, in the chapter's order."""
