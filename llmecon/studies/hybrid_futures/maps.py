"""Which way is cleanest and which is done first: two maps of the chapter on hybrid futures."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import serving
from llmecon.execution.interpreter import interpreted
from llmecon.specs import JOULES_PER_KWH, Workload
from llmecon.studies.hybrid_futures.frames import PLAIN
from llmecon.studies.hybrid_futures.model import GRAMS, Case, in_cloud, ways
from llmecon.studies.hybrid_futures.study import Study

_HERE = "as assumed here"
_STEPS = 33
_LENGTHS = 25
_PROMPTS, _ANSWERS = (16.0, 16_384.0), (4.0, 4_096.0)  # tokens
_CLEANEST, _DIRTIEST = 10.0, 1000.0  # g CO2e/kWh


@dataclass(frozen=True)
class Cleanest:
    """Which way emits least, as the data centre's load and electricity change.

    Attributes:
        winners: columns x (answers at once), y (g CO2e/kWh) and winner.
        nearest: the cleaner of the other two ways.
        per_kwh: of the data centre's electricity, g CO2e.
        even: answers at once from which the data centre is cleaner on it; 0 where it always is,
            infinite where it never is.
        here: where the scenario lies, and what is written there; None beside the map.
    """

    winners: pd.DataFrame
    nearest: str
    per_kwh: float
    even: float
    here: tuple[float, float, str] | None

    @property
    def always(self) -> bool:
        """Whether the data centre is cleaner at any load."""
        return self.even == 0.0

    @property
    def never(self) -> bool:
        """Whether it is at none."""
        return math.isinf(self.even)


@interpreted
def _cloud_emits(case: Case, loads: jax.Array, intensities: jax.Array) -> jax.Array:
    def one(load: jax.Array, intensity: jax.Array) -> jax.Array:
        there = replace(case.there, carbon_intensity=intensity)
        moved = replace(case, cloud=replace(case.cloud, at_once=load), there=there)
        return in_cloud(moved).footprint.total

    found: jax.Array = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(loads, intensities)
    return found


_largest_batch = interpreted(serving.largest_batch)


def cleanest(study: Study) -> Cleanest:
    """Which way emits least, by the data centre's load and the carbon of its electricity."""
    case = study.case
    cloud = case.cloud
    room = float(_largest_batch(cloud.instance, case.requests))
    loads = np.geomspace(min(0.25, 0.01 * room), 0.9 * room, _STEPS)
    dirt = np.geomspace(_CLEANEST, _DIRTIEST, _STEPS)
    kg = np.asarray(
        _cloud_emits(case, jnp.asarray(loads), jnp.asarray(dirt / GRAMS / JOULES_PER_KWH))
    )
    fixed = {way: float(study.taken[way].footprint.total) for way in ("device", "edge")}
    nearest = min(fixed, key=lambda way: fixed[way])
    x, y = np.meshgrid(loads, dirt, indexing="ij")
    winner = np.where(kg.ravel() < fixed[nearest], "cloud", nearest)
    per_kwh = GRAMS * JOULES_PER_KWH * float(case.there.carbon_intensity)
    cleaner = kg[:, np.argmin(np.abs(np.log(dirt / per_kwh)))] < fixed[nearest]
    load = study.scenario.cloud_at_once
    inside = loads[0] <= load <= loads[-1] and dirt[0] <= per_kwh <= dirt[-1]
    return Cleanest(
        pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "winner": winner}),
        nearest=nearest,
        per_kwh=per_kwh,
        even=_even(cleaner, loads),
        here=(load, per_kwh, _HERE) if inside else None,
    )


def _even(cleaner: np.ndarray, loads: np.ndarray) -> float:
    """The load at which the data centre becomes cleaner."""
    if cleaner.all():
        return 0.0
    if not cleaner.any():
        return math.inf
    turn = int(cleaner.argmax())  # the first load at which it is
    return float(np.sqrt(loads[turn - 1] * loads[turn])) if turn else float(loads[0])


@dataclass(frozen=True)
class First:
    """Which way is done first, as prompts and answers grow.

    Attributes:
        winners: columns x (prompt), y (answer) [tokens] and winner.
        here: where the scenario lies, and what is written there; None beside the map.
    """

    winners: pd.DataFrame
    here: tuple[float, float, str] | None

    @property
    def most(self) -> tuple[str, float]:
        """The way that is first in most of the map, and in how much of it, a share."""
        won = self.winners["winner"].value_counts(normalize=True)
        return str(won.index[0]), float(won.iloc[0])


@interpreted
def _seconds(case: Case, prompts: jax.Array, answers: jax.Array) -> jax.Array:
    def one(prompt: jax.Array, answer: jax.Array) -> jax.Array:
        found = ways(replace(case, requests=Workload(prompt, answer)))
        return jnp.stack([jnp.where(of.possible > 0, of.seconds, jnp.inf) for of in found])

    every: jax.Array = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(prompts, answers)
    return every


def first(study: Study) -> First:
    """Which way is done first, by the lengths of prompts and answers."""
    prompts = np.geomspace(*_PROMPTS, _LENGTHS)
    answers = np.geomspace(*_ANSWERS, _LENGTHS)
    seconds = np.asarray(_seconds(study.case, jnp.asarray(prompts), jnp.asarray(answers)))
    x, y = np.meshgrid(prompts, answers, indexing="ij")
    winner = np.array(PLAIN)[seconds.argmin(axis=-1)]
    given = study.scenario
    here = given.prompt_tokens, given.output_tokens, _HERE
    inside = here[0] >= prompts[0] and here[1] >= answers[0]
    frame = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "winner": winner.ravel()})
    return First(frame, here if inside else None)
