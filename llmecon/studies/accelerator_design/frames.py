"""What the chapter on the accelerator that would suit shows beside its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import silicon
from llmecon.silicon import doubts, real_chips
from llmecon.studies.accelerator_design.model import JOBS, THOUSAND
from llmecon.studies.accelerator_design.study import DRAWS, Study, decoding, is_late, mean_context
from llmecon.tables import catalog

FIRST = (
    "decode_bytes_per_kflop",
    "prefill_bytes_per_kflop",
    "training_bytes_per_kflop",
    "decode_usd_per_mtok",
    "decode_over_best",
)
"""The headline numbers that the chapter begins with; the last is left out where there is none."""

SPARSE = "qwen3-235b-a22b"
"""Model with experts to vary, where the chapter's has none."""

STEP = 0.01
"""Relative change of a constant with which the best chip is searched again."""

_POINTS = 6
_FARTHEST = 131_072.0  # tokens of context


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    values = study.differentiated.values
    return {
        "study": study,
        "best": {name: study.found[name].best for name in JOBS},
        "over_best": {name: values[f"{name}_over_best"] for name in study.able},
        "unable": [name for name in JOBS if name not in study.able],
    }


def proportions(study: Study) -> pd.DataFrame:
    """Bytes per thousand FLOP of the best chip: job, bytes, low and high."""
    told = {name: study.quantities[f"{name}_bytes_per_kflop"] for name in JOBS}
    rows = [(name, of.value, of.low, of.high) for name, of in told.items()]
    return pd.DataFrame(rows, columns=["job", "bytes", "low", "high"])


def parts(study: Study) -> pd.DataFrame:
    """What a device at work costs, by part: the best chip for each job and the real one.

    Args:
        study: the chips.

    Returns:
        A row for each part, named as in `silicon.ChipCost`; USD, a column for each chip.
    """
    chips = {name: study.found[name].best.chip for name in JOBS} | {"built": study.chip}
    costs = {name: silicon.chip_cost(chip, study.prices) for name, chip in chips.items()}
    return pd.DataFrame(
        {name: {part: float(usd) for part, usd in vars(of).items()} for name, of in costs.items()}
    )


@dataclass(frozen=True)
class Sweep:
    """The best chip for decode along some axis; places whose limit on time can't be kept left out.

    Attributes:
        frame: columns along, bytes (per thousand FLOP), low, high, reading [s] and batch.
        ends: of the axis, places left out or not.
    """

    frame: pd.DataFrame
    ends: tuple[float, float]

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.ends[0] <= value <= self.ends[1]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def first(self) -> pd.Series:
        """Its first place."""
        return self.frame.iloc[0]

    @property
    def last(self) -> pd.Series:
        """Its last place."""
        return self.frame.iloc[-1]

    @property
    def rise(self) -> float:
        """How many times as much bandwidth per FLOP the last place wants as the first."""
        return float(self.last["bytes"] / self.first["bytes"])

    @property
    def slower(self) -> float:
        """Time to read the memory once at the last place over that at the first."""
        return float(self.last["reading"] / self.first["reading"])

    @property
    def blurred(self) -> bool:
        """Whether the intervals at both ends overlap."""
        one, other = self.first, self.last
        return bool(min(one["high"], other["high"]) > max(one["low"], other["low"]))


@dataclass(frozen=True)
class Sweeps:
    """How the best chip for decode moves.

    Attributes:
        context: with tokens of context.
        batch: with answers at once, at most.
        experts: with the share of experts that a token uses, %.
        mixed: id of the model whose experts vary.
        published: share of its experts that a token uses, %.
    """

    context: Sweep
    batch: Sweep
    experts: Sweep
    mixed: str
    published: float

    @property
    def named(self) -> dict[str, Sweep]:
        """Those with at least two places, by what moves."""
        every = {
            "context": self.context,
            "number of answers at once": self.batch,
            "share of active experts": self.experts,
        }
        return {name: of for name, of in every.items() if len(of) > 1}

    @property
    def spans(self) -> dict[str, float]:
        """By what factor each moves the best proportions, 1 or more."""
        return {name: max(of.rise, 1.0 / of.rise) for name, of in self.named.items()}

    @property
    def most(self) -> str:
        """What moves them most."""
        return max(self.spans, key=self.spans.__getitem__)

    @property
    def reading(self) -> str:
        """What the time to read all memory follows most."""
        return max(self.named, key=lambda name: abs(np.log(self.named[name].slower)))

    @property
    def touched(self) -> float:
        """Share of the experts that the answers at once touch together, where one uses fewest."""
        if not len(self.experts):
            return 0.0
        one = self.experts.first
        return float(1.0 - (1.0 - one["along"] / 100.0) ** one["batch"])


def sweeps(study: Study) -> Sweeps:
    """How the best chip for decode moves with context, batch and sparsity.

    Args:
        study: the chips that suit the jobs.
    """
    given = study.scenario
    farthest = min(float(study.llm.context), _FARTHEST)
    contexts = np.geomspace(farthest / 256.0, farthest, _POINTS)
    batches = np.geomspace(1.0, 1024.0, _POINTS)
    mixed_id = given.model if float(study.llm.experts) > 1.0 else SPARSE
    mixed = catalog.llm(mixed_id)
    active = np.geomspace(1.0, 0.5 * float(mixed.experts), _POINTS)

    def at_most(batch: float) -> Any:
        usual = decoding(given, study.llm, mean_context(given))
        return eqx.tree_at(lambda job: job.most, usual, jnp.asarray(batch))

    def with_active(count: float) -> Any:
        changed = eqx.tree_at(lambda llm: llm.experts_per_token, mixed, jnp.asarray(count))
        return decoding(given, changed, mean_context(given))

    return Sweeps(
        context=_sweep(study, lambda tokens: decoding(given, study.llm, tokens), contexts),
        batch=_sweep(study, at_most, batches),
        experts=_sweep(study, with_active, active, 100.0 / float(mixed.experts)),
        mixed=mixed_id,
        published=100.0 * float(mixed.experts_per_token / mixed.experts),
    )


def _sweep(
    study: Study,
    job: Callable[[float], Any],
    along: Sequence[float] | np.ndarray,
    unit: float = 1.0,
) -> Sweep:
    columns = ["along", "bytes", "low", "high", "reading", "batch"]
    rows = []
    for value in along:
        sized = real_chips.widths(job(float(value)))
        found = doubts.searched(sized, study.prices, study.drawn, study.attainable)
        within = doubts.intervals(found)["bytes_per_flop"] * THOUSAND
        best = found.best
        if not is_late(found):
            proportion = THOUSAND * float(best.bytes_per_flop)
            reading, batch = float(best.reading_time), float(best.batch)
            rows.append((unit * value, proportion, within.low, within.high, reading, batch))
    ends = unit * float(along[0]), unit * float(along[-1])
    return Sweep(pd.DataFrame(rows, columns=columns), ends)


@dataclass(frozen=True)
class Market:
    """Where real chips lie, all priced as if built alike.

    Attributes:
        ideal: the best chip for each job; columns bytes_per_flop and reading_time.
        built: real chips by id; the same, and by job what a token costs more on them, a share.
        usual: bytes that the median chip that does any of the jobs reads for a thousand FLOP.
        roomy: time in which it reads its memory once, s.
    """

    ideal: pd.DataFrame
    built: pd.DataFrame
    usual: float
    roomy: float

    @cached_property
    def able(self) -> pd.DataFrame:
        """Those that do any of the jobs within its limits."""
        return self.built[np.isfinite(self.built[list(JOBS)]).any(axis=1)]

    @property
    def closest(self) -> dict[str, str]:
        """Id of the chip that is nearest to the best, by job."""
        return {name: str(self.built[name].idxmin()) for name in JOBS}

    @property
    def off(self) -> dict[str, float]:
        """What a token costs more on it, a share; infinite where none does the job."""
        return {name: float(self.built[name].min()) for name in JOBS}

    @property
    def leads(self) -> list[str]:
        """Jobs that some chip does, the one that is done most nearly at best first."""
        return sorted((of for of in JOBS if np.isfinite(self.off[of])), key=self.off.__getitem__)

    @cached_property
    def order(self) -> list[str]:
        """Ids of those that do any job, the nearest to the best over all jobs first."""
        filled = self.able[list(JOBS)].replace(np.inf, 99.0)
        return [str(one) for one in filled.mean(axis=1).sort_values().index]


def market(study: Study) -> Market:
    """Where real chips lie beside the best ones.

    Args:
        study: the chips that suit the jobs.
    """
    bests = {name: found.best for name, found in study.found.items()}
    found = real_chips.market(dict(study.jobs), bests, study.prices, study.attainable)
    ideal, built = found.iloc[: len(JOBS)], found.iloc[len(JOBS) :]
    able = built[np.isfinite(built[list(JOBS)]).any(axis=1)]
    return Market(
        ideal,
        built,
        THOUSAND * float(able["bytes_per_flop"].median()),
        float(able["reading_time"].median()),
    )


@dataclass(frozen=True)
class Constants:
    """Which constants of the cost model decide what the best chip is.

    Attributes:
        effects: by how many percent bytes per FLOP that suit decode change with each constant.
        tried: how many of them were changed and the chip searched again.
        worst: by how much that differs at most.
        ranks: rank correlation with bytes per FLOP over the draws, by job.
        cost_ranks: rank correlation with what a decoded token costs.
    """

    effects: Mapping[str, float]
    tried: int
    worst: float
    ranks: Mapping[str, pd.Series]
    cost_ranks: pd.Series

    @property
    def steepest(self) -> list[str]:
        """The constants, the one with the largest effect first."""
        return sorted(self.effects, key=lambda name: -abs(self.effects[name]))


def constants(study: Study) -> Constants:
    """How the best chip for decode follows the constants of the cost model.

    Args:
        study: the chips that suit the jobs.
    """
    decoder = study.found["decode"]
    names = list(study.prices.__dataclass_fields__)
    follow = study.differentiated.effects["decode_bytes_per_kflop"].silicon
    effects = {name: float(getattr(follow, name)) for name in names}
    steepest = sorted(effects, key=lambda name: -abs(effects[name]))
    tried = steepest[: DRAWS // 2]
    moved = {name: np.tile(float(getattr(study.prices, name)), DRAWS) for name in names}
    for i, name in enumerate(tried):
        moved[name][2 * i : 2 * i + 2] *= np.exp([STEP, -STEP])
    # On the same layout throughout, given once for each size so that nothing is traced anew.
    same = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(real_chips.SIZES)), decoder.job)
    again = doubts.searched(same, study.prices, silicon.Silicon(**moved), study.attainable)
    bytes_per_flop = again.drawn["bytes_per_flop"]
    differences = np.log(np.asarray(bytes_per_flop[0::2] / bytes_per_flop[1::2])) / (2.0 * STEP)
    expected = np.array([effects[name] for name in tried])
    worst = float(np.abs(differences[: len(tried)] - expected).max())
    ranks = {
        name: doubts.deciding(study.drawn, study.found[name])["bytes_per_flop"] for name in JOBS
    }
    cost_ranks = doubts.deciding(study.drawn, decoder)["usd_per_token"]
    return Constants(effects, len(tried), worst, ranks, cost_ranks)


def making_costs() -> pd.DataFrame:
    """What making accelerators costs, by analysts and by the model: as `silicon.validation`."""
    tested = silicon.validation()
    return tested[tested["quantity"] == "making"]
