"""What the chapter on hardware choice shows of chips that would suit a job, were they free."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon import catalog, design, regret, silicon, specs, training
from llmecon.interpreter import interpreted
from llmecon.studies.hardware_choice.scenario import Scenario
from llmecon.studies.quantities import Quantity
from llmecon.uncertainty import Interval

# What no table holds; each is an assumption, named in the text.
TRAINING_DEVICES = 1024.0
TRAINING_BATCH = 16e6  # tokens in an optimizer step
TRAINING_SEQUENCE = 8192.0  # tokens, where the model's context allows
TRAINING_TOKENS = 15e12
SPARSE = "qwen3-235b-a22b"
"""Model with experts to vary, where the chapter's has none."""

DRAWS = 64
PER_THOUSAND = 1000.0
JOBS = ("decode", "prefill", "training")
STEP = 0.01
"""Relative change of a constant with which the best chip is searched again."""

_POINTS = 6
_LATE = 1.05  # times the limit on time
_FARTHEST = 131_072.0  # tokens of context


@dataclass(frozen=True)
class Suited:
    """The chips that would suit each job.

    Attributes:
        scenario: whose model, precision and requests.
        llm: the model.
        prices: what chips are taken to cost.
        drawn: what they might cost.
        attainable: what their kernels attain.
        jobs: decode, prefill and training, by name.
        found: the best chip for each, and for every draw.
    """

    scenario: Scenario
    llm: specs.LLM
    prices: silicon.Silicon
    drawn: silicon.Silicon
    attainable: specs.Efficiency
    jobs: Mapping[str, Any]
    found: Mapping[str, design.Searched]

    @cached_property
    def doubt(self) -> dict[str, dict[str, Interval]]:
        """Where 90% of the draws lie, by job and outcome."""
        return {name: design.intervals(of) for name, of in self.found.items()}

    @cached_property
    def stopped(self) -> dict[str, tuple[str, ...]]:
        """What keeps the best chip of each job from being cheaper still."""
        return {
            name: design.binding(of.job, of.best, self.prices) for name, of in self.found.items()
        }

    @property
    def late(self) -> list[str]:
        """Jobs whose limit on time no chip keeps."""
        return [name for name in ("decode", "prefill") if _is_late(self.found[name])]

    def hungry(self, name: str) -> float:
        """Bytes that the best chip for a job reads for a thousand FLOP."""
        return PER_THOUSAND * float(self.found[name].best.bytes_per_flop)

    @cached_property
    def ranked(self) -> list[str]:
        """The jobs, the hungriest for bandwidth first."""
        return sorted(JOBS, key=self.hungry, reverse=True)

    def blurred(self, one: str, other: str) -> bool:
        """Whether the intervals of two jobs' bytes per FLOP overlap, the hungrier first."""
        ratio = "bytes_per_flop"
        return self.doubt[one][ratio].low <= self.doubt[other][ratio].high

    @property
    def apart(self) -> bool:
        """Whether all intervals lie apart."""
        return not any(self.blurred(one, other) for one, other in pairwise(self.ranked))

    @property
    def slowest(self) -> float:
        """The longest time in which one of the best chips reads its memory once, s."""
        return max(float(of.best.reading_time) for of in self.found.values())

    @property
    def single(self) -> list[str]:
        """Jobs for which one chip on its own is best."""
        return [name for name in ("decode", "prefill") if "link" in self.stopped[name]]

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """The proportions of the best chips, as headline numbers by name."""
        found = {}
        for job in JOBS:
            name, value = f"design_{job}_bytes_per_kflop", self.hungry(job)
            ends = (self.doubt[job]["bytes_per_flop"] * PER_THOUSAND).around(value)
            label = f"of memory traffic per 1,000 FLOP would suit {job}"
            found[name] = Quantity(name, value, "bytes", label, **ends)
        return found

    @cached_property
    def proportions(self) -> pd.DataFrame:
        """Bytes per thousand FLOP of the best chip: job, bytes, low and high."""
        rows = [
            (
                name,
                self.hungry(name),
                PER_THOUSAND * self.doubt[name]["bytes_per_flop"].low,
                PER_THOUSAND * self.doubt[name]["bytes_per_flop"].high,
            )
            for name in JOBS
        ]
        return pd.DataFrame(rows, columns=["job", "bytes", "low", "high"])


def _is_late(found: design.Searched) -> bool:
    return float(found.best.demand.seconds) > _LATE * float(found.job.limit)  # type: ignore[union-attr]


def suited(given: Scenario) -> Suited:
    """The chips on which tokens of a scenario's model would cost least.

    Args:
        given: model, precision, lengths and limits.
    """
    llm = catalog.llm(given.model)
    sequence = min(TRAINING_SEQUENCE, float(llm.context))
    run = training.TrainingRun(TRAINING_TOKENS, sequence, TRAINING_BATCH)
    layout = training.TrainingLayout(
        tensor=8.0, pipeline=1.0, data=TRAINING_DEVICES / 8.0, shard_weights=1.0
    )
    spread = _spread_over(llm, given.precision)
    jobs = {
        "decode": _decoding(given, llm, mean_context(given)),
        "prefill": design.prefill(llm, spread, given.prompt_tokens, given.ttft_limit_s),
        "training": design.Training(llm, run, layout),
    }
    prices, drawn, attainable = silicon.silicon(), design.draws(DRAWS), catalog.efficiency()
    found = {
        name: design.searched(regret.widths(job), prices, drawn, attainable)
        for name, job in jobs.items()
    }
    return Suited(given, llm, prices, drawn, attainable, jobs, found)


def mean_context(given: Scenario) -> float:
    """Tokens that a short request holds on average while it is answered."""
    return given.prompt_tokens + given.output_tokens / 2.0


def _spread_over(llm: specs.LLM, weights: str) -> specs.Deployment:
    """Experts lie on different devices, where there are any; else layers are split."""
    split = {"expert": 8.0} if float(llm.experts) > 1.0 else {"tensor": 8.0}
    return specs.Deployment(precision=specs.precision(weights), **split)


def _decoding(given: Scenario, llm: specs.LLM, context: float) -> Any:
    return design.decode(llm, _spread_over(llm, given.precision), context, given.tpot_limit_s)


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


def sweeps(of: Suited) -> Sweeps:
    """How the best chip for decode moves with context, batch and sparsity.

    Args:
        of: the chips that suit the jobs.
    """
    given = of.scenario
    farthest = min(float(of.llm.context), _FARTHEST)
    contexts = np.geomspace(farthest / 256.0, farthest, _POINTS)
    batches = np.geomspace(1.0, 1024.0, _POINTS)
    mixed_id = given.model if float(of.llm.experts) > 1.0 else SPARSE
    mixed = catalog.llm(mixed_id)
    active = np.geomspace(1.0, 0.5 * float(mixed.experts), _POINTS)

    def at_most(batch: float) -> Any:
        return eqx.tree_at(lambda job: job.most, of.jobs["decode"], jnp.asarray(batch))

    def with_active(count: float) -> Any:
        changed = eqx.tree_at(lambda llm: llm.experts_per_token, mixed, jnp.asarray(count))
        return _decoding(given, changed, mean_context(given))

    return Sweeps(
        context=_sweep(of, lambda tokens: _decoding(given, of.llm, tokens), contexts),
        batch=_sweep(of, at_most, batches),
        experts=_sweep(of, with_active, active, 100.0 / float(mixed.experts)),
        mixed=mixed_id,
        published=100.0 * float(mixed.experts_per_token / mixed.experts),
    )


def _sweep(
    of: Suited, job: Callable[[float], Any], along: Sequence[float] | np.ndarray, unit: float = 1.0
) -> Sweep:
    columns = ["along", "bytes", "low", "high", "reading", "batch"]
    rows = []
    for value in along:
        sized = regret.widths(job(float(value)))
        found = design.searched(sized, of.prices, of.drawn, of.attainable)
        within = design.intervals(found)["bytes_per_flop"] * PER_THOUSAND
        best = found.best
        if not _is_late(found):
            proportion = PER_THOUSAND * float(best.bytes_per_flop)
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


def market(of: Suited) -> Market:
    """Where real chips lie beside the best ones.

    Args:
        of: the chips that suit the jobs.
    """
    sizes = {name: regret.widths(job) for name, job in of.jobs.items()}
    bests = {name: found.best for name, found in of.found.items()}
    found = regret.market(sizes, bests, of.prices, of.attainable)
    ideal, built = found.iloc[: len(JOBS)], found.iloc[len(JOBS) :]
    able = built[np.isfinite(built[list(JOBS)]).any(axis=1)]
    return Market(
        ideal,
        built,
        PER_THOUSAND * float(able["bytes_per_flop"].median()),
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


def constants(of: Suited) -> Constants:
    """How the best chip for decode follows the constants of the cost model.

    Args:
        of: the chips that suit the jobs.
    """
    decoder = of.found["decode"]
    names = list(of.prices.__dataclass_fields__)
    follow = _elasticities(decoder.best, decoder.job, of.prices, of.attainable)["bytes_per_flop"]
    effects = {name: float(getattr(follow, name)) for name in names}
    steepest = sorted(effects, key=lambda name: -abs(effects[name]))
    tried = steepest[: DRAWS // 2]
    moved = {name: np.tile(float(getattr(of.prices, name)), DRAWS) for name in names}
    for i, name in enumerate(tried):
        moved[name][2 * i : 2 * i + 2] *= np.exp([STEP, -STEP])
    # On the same layout throughout, given once for each size so that nothing is traced anew.
    same = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(regret.SIZES)), decoder.job)
    again = design.searched(same, of.prices, silicon.Silicon(**moved), of.attainable)
    bytes_per_flop = again.drawn["bytes_per_flop"]
    differences = np.log(np.asarray(bytes_per_flop[0::2] / bytes_per_flop[1::2])) / (2.0 * STEP)
    expected = np.array([effects[name] for name in tried])
    worst = float(np.abs(differences[: len(tried)] - expected).max())
    ranks = {name: design.deciding(of.drawn, of.found[name])["bytes_per_flop"] for name in JOBS}
    cost_ranks = design.deciding(of.drawn, decoder)["usd_per_token"]
    return Constants(effects, len(tried), worst, ranks, cost_ranks)


_elasticities = interpreted(design.elasticities)


def making_costs() -> pd.DataFrame:
    """What making accelerators costs, by analysts and by the model: as `silicon.validation`."""
    tested = silicon.validation()
    return tested[tested["quantity"] == "making"]
