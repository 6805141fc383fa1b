"""Searches for a fleet that know nothing of its model, beside the solver and plain enumeration.

All look for the cheapest fleet of one pool a bucket: an accelerator, a precision, a region, a
layout and how full its instances are kept, with as many of these as serve all requests. What is
counted is how often a request is worked out on an instance: once for each bucket of a fleet that is
looked at, three times where a gradient is taken. Random search, CMA-ES [Hansen2016] and Bayesian
optimisation (a Gaussian process and its expected improvement) see a box of factors and a number;
enumeration and the solver know that buckets don't meddle with each other and that a region changes
no speed. Regret is the cost over that of the best such fleet, less 1.

The solver is asked twice: for one pool a bucket, like the others, and for any fleet, where buckets
may share instances and pools may be mixed. Its regret is then below zero where that is worth it.

CMA-ES wants a package that this project does not depend on, so this runs in an environment of its
own, which `make searches` makes; it writes the table `search_curves`.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int
from scipy.stats import norm

from benchmarks.choices import PUE, RENTS, described
from llmecon import choice
from llmecon.checks import enumeration
from llmecon.choice import (
    candidates,
    cheapest_filling,
    description,
    filling,
    objective,
    whole_instances,
)
from llmecon.choice.candidates import in_chunks, rows_of
from llmecon.choice.filling import Demand, Engine, Flow
from llmecon.evidence.stored_fits import write_table
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import LLM

# Random problems of three buckets that all sizes start from: a model of 8 billion parameters for
# money alone, one of 70 where carbon and waiting cost too, and a mixture of experts.
PROBLEMS = (7, 13, 58)
SIZES = ("small", "medium", "large", "fleet")
# The whole catalogue, wherever it stands.
CATALOGUE = {
    "xpus": list(RENTS),
    "usd_per_hour": dict(RENTS),
    "precisions": ["bf16", "fp8", "int4"],
    "regions": [{"grid": grid, "pue": PUE} for grid in ("usa", "swe", "pol")],
    "tensor": [1, 2, 4, 8, 16],
    "pipeline": [1, 2],
    "expert": [1, 4, 8, 32],
}
SEEDS = 10
# Fleets that searches may look at, and after how many their best is noted.
FLEETS = {"random": 4096, "cma-es": 4096, "bayesian": 128}
NOTED = 2 ** np.arange(4, 13)
# Fillings of each engine that enumeration looks at.
GRIDS = (2, 4, 8, 16, 32, 64, 128, 256)
# Fillings by which the best fleet is known: of every pool, and of those within reach of the best,
# again and again between the neighbours of their best.
COARSE, FINE, ZOOMS = 256, 1024, 3
NEAR, POOLS = 0.05, 48
# A fleet that breaks a limit counts as dearer by this factor, and by how far it is beyond.
BROKEN, FARTHEST = 100.0, 8.0
# How often a request is worked out: where an engine is looked at, and where a filling is refined.
LOOKED_AT = (
    2 * (candidates.WAITING + candidates.WORKING)
    + 2 * candidates.BOTTOMED
    + candidates.NARROWED
    + 2
)
REFINED = 3 * cheapest_filling.HALVED + 3
# Bayesian optimisation: fleets drawn before it learns, candidates, and how often scales are fitted.
DRAWN, CANDIDATES, FITTED = 16, 1024, 8

FACTORS = ("xpu", "precision", "tensor", "expert", "pipeline", "region")
LAYOUT = (2, 3, 4)


@dataclass(frozen=True)
class Points:
    """Fleets as searches see them.

    Attributes:
        factors: place among the values of each of `FACTORS`, for each bucket.
        share: how full, from 0 (an instance that hardly works) to 1 (its memory is full), as a
            logarithm.
    """

    factors: Int[np.ndarray, "fleets buckets factors"]
    share: Float[np.ndarray, "fleets buckets"]


@dataclass(frozen=True)
class Space:
    """A choice of one pool for each bucket.

    Attributes:
        of: the choice as arrays.
        counts: how many values each factor has.
        engines: the engine of each combination of all factors but the region: the nearest layout
            where links don't allow it.
        held: requests of each bucket that each engine has room for.
    """

    of: objective.Case
    counts: tuple[int, ...]
    engines: Int[np.ndarray, "xpu precision tensor expert pipeline"]
    held: Float[np.ndarray, "engines buckets"]

    @property
    def buckets(self) -> int:
        """How many, each with a pool of its own."""
        return len(self.of.options.rates)

    def values(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """What fleets cost, and what searches are told.

        Args:
            points: the fleets.

        Returns:
            The cost, infinite where a limit is broken; and a logarithm of it that is finite.
        """
        count, buckets = points.share.shape
        engine = self.engines[tuple(points.factors[..., k].ravel() for k in range(5))]
        region = points.factors[..., 5].ravel()
        bucket = np.tile(np.arange(buckets), count)
        taken = self.flows(engine, bucket, points.share.ravel())
        held = self.held[engine, bucket]
        beyond = self.beyond(bucket, taken)
        with np.errstate(over="ignore", invalid="ignore"):
            cost = self.cost(engine, bucket, taken)[np.arange(len(engine)), region]
        fits = held >= 1.0
        able = fits & (beyond <= 0.0)
        whole = np.where(able, cost, np.inf).reshape(count, buckets).sum(axis=1)
        standing = self.of.free.standing[engine, region]
        told = np.where(
            fits, cost * np.exp(np.clip(beyond, 0.0, FARTHEST)), standing * np.exp(FARTHEST)
        )
        told = np.where(able, told, BROKEN * told)
        return whole, np.log(told.reshape(count, buckets).sum(axis=1))

    def flows(self, engine: np.ndarray, bucket: np.ndarray, share: np.ndarray) -> Flow:
        """What requests take of instances that are kept so full."""
        of = self.of.options
        most = np.maximum(self.held[engine, bucket], 1.0)
        filling = MINIMUM_BATCH * (most / MINIMUM_BATCH) ** share
        size = 16 if len(engine) <= 64 else 1024
        flows: Flow = in_chunks(
            partial(_flows, of.llm), size, rows_of(of.engines, engine), rows_of(of.demand, bucket),
            filling,
        )  # fmt: skip
        return flows

    def beyond(self, bucket: np.ndarray, taken: Flow) -> np.ndarray:
        """Logarithm of how far beyond the nearer limit on latency; 0 or less within."""
        target = self.of.options.demand.target
        late = np.maximum(np.asarray(taken.ttft), 1e-12) / np.asarray(target.ttft)[bucket]
        slow = np.maximum(np.asarray(taken.tpot), 1e-12) / np.asarray(target.tpot)[bucket]
        over: np.ndarray = np.log(np.maximum(late, slow))
        return over

    def cost(self, engine: np.ndarray, bucket: np.ndarray, taken: Flow) -> np.ndarray:
        """What it costs to serve a bucket with whole instances, in each region."""
        three = (taken.time, taken.energy, taken.latency)
        return pool_cost(
            self.of,
            engine,
            self.of.options.rates[bucket],
            np.stack(list(map(np.asarray, three)), -1),
        )


def pool_cost(
    case: objective.Case,
    engine: np.ndarray,
    rate: np.ndarray,
    taken: np.ndarray,
) -> np.ndarray:
    """What a pool of whole instances costs that serves requests at some rate, in each region.

    Args:
        case: the choice.
        engine: places among the options.
        rate: requests per second.
        taken: time, energy and latency of a request.

    Returns:
        A row an engine, a column a region.
    """
    free = case.free
    time, energy, latency = np.moveaxis(taken, -1, 0)
    instances = np.maximum(np.ceil(rate * time * (1.0 - 1e-12)), 1.0)
    each = latency * free.second + case.options.quality[engine] * free.quality
    cost: np.ndarray = (
        instances[:, None] * free.standing[engine]
        + rate[:, None] * (energy[:, None] * free.joule + each[:, None])
    )  # fmt: skip
    return cost


@eqx.filter_jit
def _flows(llm: LLM, engines: Engine, demand: Demand, fillings: Float[Array, " rows"]) -> Flow:
    def one(engine: Engine, demand: Demand, full: Float[Array, ""]) -> Flow:
        return filling.flow(llm, engine, demand, full, "whole")

    found: Flow = jax.vmap(one)(engines, demand, fillings)
    return found


@eqx.filter_jit
def _room(llm: LLM, engines: Engine, demand: Demand) -> Float[Array, " rows"]:
    held: Float[Array, " rows"] = jax.vmap(
        lambda engine, demand: filling.room(llm, engine, demand, "whole")
    )(engines, demand)
    return held


def asked(seed: int, size: str) -> description.Problem:
    """A random problem cut down or widened to a size, without limits on the whole fleet.

    Args:
        seed: of the random problem.
        size: one of `SIZES`: two of its accelerators, its own choices, the whole catalogue, or
            the whole catalogue for each of its three buckets.

    Returns:
        The problem; the first three have one bucket.
    """
    random = described(seed)
    own, buckets = random["choices"], random["buckets"]
    chosen = {
        "small": own
        | {"xpus": own["xpus"][:2], "regions": own["regions"][:1], "pipeline": [1], "expert": [1]},
        "medium": own,
        "large": CATALOGUE,
        "fleet": CATALOGUE,
    }[size]
    kept = {name: random[name] for name in ("model", "weights", "tuning")}
    return description.problem(
        {
            **kept,
            "quality_lost": random["quality_lost"],
            "buckets": buckets if size == "fleet" else buckets[:1],
            "choices": {**chosen, "disaggregated": False},
        }
    )


def space(case: objective.Case) -> Space:
    """A choice as searches see it.

    Args:
        case: the choice as arrays; its engines serve whole requests.

    Returns:
        The space.
    """
    names = case.options.names
    known = [list(dict.fromkeys(getattr(name, factor) for name in names)) for factor in FACTORS[:2]]
    known += [sorted({getattr(name, factor) for name in names}) for factor in FACTORS[2:5]]
    counts = [len(values) for values in known]
    at = np.array(
        [
            [values.index(getattr(name, f)) for f, values in zip(FACTORS, known, strict=False)]
            for name in names
        ]
    )
    every = np.indices(counts).reshape(5, -1).T
    # Another accelerator or precision is farther than any layout.
    steps = np.abs(every[:, None] - at[None]) * np.array([1000, 1000, 1, 1, 1])
    nearest = steps.sum(axis=2).argmin(axis=1).reshape(counts)
    buckets = len(case.options.rates)
    engine, bucket = (k.ravel() for k in np.indices((len(names), buckets)))
    held = in_chunks(
        partial(_room, case.options.llm),
        256,
        rows_of(case.options.engines, engine),
        rows_of(case.options.demand, bucket),
    )
    regions = len(case.options.per_joule)
    return Space(case, (*counts, regions), nearest, held.reshape(len(names), buckets))


def only(
    case: objective.Case, engines: np.ndarray, regions: np.ndarray, bucket: int
) -> objective.Case:
    """The same choice among some engines and regions, for one bucket.

    Args:
        case: the choice.
        engines: places among the options.
        regions: places in the description.
        bucket: its place.

    Returns:
        The smaller choice; nothing is looked at again.
    """
    own, limits, one = case.options, case.limits, np.array([bucket])
    both = np.ix_(engines, regions)
    flows: Flow = jax.tree.map(lambda leaf: np.asarray(leaf)[np.ix_(engines, one)], own.flows)
    smaller = replace(
        own,
        names=tuple(own.names[k] for k in engines),
        engines=rows_of(own.engines, engines),
        demand=rows_of(own.demand, one),
        rates=own.rates[one],
        capital=own.capital[both],
        resting=own.resting[engines],
        per_joule=own.per_joule[regions],
        quality=own.quality[engines],
        partners=own.partners[both],
        fillings=own.fillings[np.ix_(engines, one)],
        flows=flows,
    )
    fewer = replace(limits, capital=limits.capital[both], per_joule=limits.per_joule[regions])
    return objective.Case(smaller, case.weights, fewer)


def optimum(at: Space) -> float:
    """The cost of the best fleet of one pool a bucket, by looking at nearly everything.

    Args:
        at: the space.

    Returns:
        Its cost; every pool was looked at at many fillings up to its fullest, and those near the
        best at more and more.
    """
    return sum(_best_pool(at, bucket) for bucket in range(at.buckets))


def _best_pool(at: Space, bucket: int) -> float:
    regions = np.arange(at.counts[5])
    grid = enumeration.grid(
        only(at.of, np.arange(len(at.of.options.names)), regions, bucket), COARSE
    )
    here = grid.region == 0
    engine = grid.engine[here]
    rate = np.full(len(engine), at.of.options.rates[bucket])
    cost = pool_cost(at.of, engine, rate, grid.taken[here]).reshape(-1, COARSE * len(regions))
    engine, cost = engine[::COARSE], cost.min(axis=1)
    near = np.argsort(cost)[:POOLS]
    near = near[cost[near] <= (1.0 + NEAR) * cost.min()]
    engine, lowest = engine[near], float(cost.min())
    low, high = np.zeros(len(near)), np.ones(len(near))
    for _ in range(ZOOMS):
        share = np.linspace(low, high, FINE, axis=1)
        every, whose = np.repeat(engine, FINE), np.full(share.size, bucket)
        taken = at.flows(every, whose, share.ravel())
        cost = at.cost(every, whose, taken).min(axis=1)
        table = np.where(at.beyond(whose, taken) <= 0.0, cost, np.inf).reshape(-1, FINE)
        lowest = min(lowest, float(table.min()))
        place, step = share[np.arange(len(near)), table.argmin(axis=1)], (high - low) / (FINE - 1)
        low, high = np.maximum(place - step, 0.0), np.minimum(place + step, 1.0)
    return lowest


def enumerated(at: Space, levels: int) -> tuple[float, int]:
    """The best fleet on a plain grid of fillings, bucket by bucket.

    Args:
        at: the space.
        levels: fillings of each engine, from one that hardly works to one whose memory is full.

    Returns:
        Its cost, and how often a request was worked out.
    """
    engine, bucket = np.nonzero(at.held >= 1.0)
    lowest = np.full(at.buckets, np.inf)
    for share in np.linspace(0.0, 1.0, levels):
        taken = at.flows(engine, bucket, np.full(len(engine), share))
        cost = at.cost(engine, bucket, taken).min(axis=1)
        cost = np.where(at.beyond(bucket, taken) <= 0.0, cost, np.inf)
        np.minimum.at(lowest, bucket, cost)
    return float(lowest.sum()), levels * len(engine)


def drawn(at: Space, random: np.random.Generator, count: int) -> Points:
    """Random fleets.

    Args:
        at: the space.
        random: where they come from.
        count: how many.
    """
    size = (count, at.buckets)
    factors = np.stack([random.integers(0, many, size) for many in at.counts], axis=-1)
    return Points(factors, random.random(size))


def random_search(at: Space, seed: int) -> Iterator[np.ndarray]:
    """Fleets drawn at random; their costs, some at a time.

    Args:
        at: the space.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    while True:
        yield at.values(drawn(at, random, 1024))[0]


def evolved(at: Space, seed: int) -> Iterator[np.ndarray]:
    """CMA-ES with categories and whole numbers, started again where it has settled.

    Args:
        at: the space.
        seed: of the draws.
    """
    from cmaes import CatCMAwM  # type: ignore[import-not-found]

    # Two values have no order, and one is no choice.
    ordered = [k for k in LAYOUT if at.counts[k] > 2]
    kinds = [k for k, many in enumerate(at.counts) if many > 1 and k not in ordered]
    again = 0
    while True:
        search = CatCMAwM(
            x_space=[[0.0, 1.0]] * at.buckets,
            z_space=[list(range(at.counts[k])) for k in ordered] * at.buckets or None,
            c_space=[at.counts[k] for k in kinds] * at.buckets or None,
            seed=1000 * seed + again,
        )
        again += 1
        while not search.should_stop():
            asked = [search.ask() for _ in range(search.population_size)]
            factors = np.zeros((len(asked), at.buckets, len(FACTORS)), int)
            for row, one in enumerate(asked):
                if ordered:
                    factors[row][:, ordered] = np.reshape(one.z, (at.buckets, -1))
                if kinds:
                    factors[row][:, kinds] = np.reshape(one.c.argmax(axis=1), (at.buckets, -1))
            share = np.clip(np.array([one.x for one in asked]), 0.0, 1.0)
            cost, told = at.values(Points(factors, share))
            search.tell(list(zip(asked, told.tolist(), strict=True)))
            yield cost


def modelled(at: Space, seed: int) -> Iterator[np.ndarray]:
    """Bayesian optimisation: the fleet from which most improvement is expected is looked at next.

    Args:
        at: the space.
        seed: of the draws.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    random = np.random.default_rng(seed)
    points = drawn(at, random, DRAWN)
    cost, told = at.values(points)
    yield cost
    seen, heard = _features(at, points), told
    kernel: Any = ConstantKernel(1.0) * Matern(1.0, (0.05, 50.0), nu=2.5) + WhiteKernel(1e-4)
    while True:
        fit = (len(heard) - DRAWN) % FITTED == 0
        process = GaussianProcessRegressor(
            kernel, normalize_y=True, optimizer="fmin_l_bfgs_b" if fit else None, random_state=seed
        )
        with warnings.catch_warnings():
            # Scales at the end of their range are as good as any.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(seen, heard)
        kernel = process.kernel_
        best = Points(points.factors[[heard.argmin()]], points.share[[heard.argmin()]])
        tried = _candidates(at, random, best)
        mean, deviation = process.predict(_features(at, tried), return_std=True)
        ahead = (heard.min() - mean) / np.maximum(deviation, 1e-9)
        hoped = deviation * (ahead * norm.cdf(ahead) + norm.pdf(ahead))
        pick = [int(hoped.argmax())]
        chosen = Points(tried.factors[pick], tried.share[pick])
        cost, told = at.values(chosen)
        yield cost
        points = Points(
            np.concatenate([points.factors, chosen.factors]),
            np.concatenate([points.share, chosen.share]),
        )
        seen = np.concatenate([seen, _features(at, chosen)])
        heard = np.concatenate([heard, told])


def _candidates(at: Space, random: np.random.Generator, best: Points) -> Points:
    """Random fleets, and as many that differ from the best in little."""
    anew, beside = drawn(at, random, CANDIDATES), drawn(at, random, CANDIDATES)
    other = random.random(beside.factors.shape) < 1.5 / beside.factors[0].size
    moved = best.share + random.normal(0.0, 0.1, beside.share.shape) * (
        random.random(beside.share.shape) < 0.5
    )
    return Points(
        np.concatenate([anew.factors, np.where(other, beside.factors, best.factors)]),
        np.concatenate([anew.share, np.clip(moved, 0.0, 1.0)]),
    )


def _features(at: Space, points: Points) -> np.ndarray:
    """Fleets as numbers: kinds as far apart as the ends of what has an order."""
    parts = [points.share]
    for k, many in enumerate(at.counts):
        here = points.factors[..., k]
        if many > 2 and k in LAYOUT:
            parts.append(here / (many - 1.0))
        elif many > 1:
            kinds = np.eye(many)[here] / np.sqrt(2.0)
            parts.append(kinds.reshape(len(here), -1))
    return np.concatenate(parts, axis=1)


SEARCHES: dict[str, Callable[[Space, int], Iterator[np.ndarray]]] = {
    "random": random_search,
    "cma-es": evolved,
    "bayesian": modelled,
}


def best_so_far(at: Space, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The cost of the best fleet that a search has found, and the time that it took.

    Args:
        at: the space.
        method: one of `SEARCHES`.
        seed: of its draws.

    Returns:
        Both after each number of `NOTED` fleets that the search may look at; infinite where none
        kept its limits.
    """
    noted = np.array([fleets for fleets in NOTED if fleets <= FLEETS[method]])
    best, seconds = np.full(len(noted), np.inf), np.zeros(len(noted))
    looked, lowest, started = 0, np.inf, time.perf_counter()
    for costs in SEARCHES[method](at, seed):
        lowest_at = np.minimum.accumulate(np.append(lowest, costs))
        due = (noted > looked) & (noted <= looked + len(costs))
        best[due] = lowest_at[noted[due] - looked]
        # A batch of draws takes as long as any other.
        share = (noted[due] - looked) / len(costs)
        before = seconds[noted <= looked][-1] if (noted <= looked).any() else 0.0
        now = time.perf_counter() - started
        seconds[due] = before + share * (now - before)
        looked, lowest = looked + len(costs), lowest_at[-1]
        if looked >= noted[-1]:
            break
    return best, seconds


@contextmanager
def counted() -> Iterator[list[int]]:
    """Counts how often the solver works out a request; a gradient counts as three."""
    count: list[int] = []

    def counting(function: Callable[..., Any], size: int, *arguments: Any) -> Any:
        name = function.func.__name__  # type: ignore[attr-defined]
        rows = len(jax.tree.leaves(arguments)[0])
        each = {"_looked_at": LOOKED_AT, "_refined": REFINED}
        # What is neither works out each request once, at several fillings.
        count.append(rows * (each[name] if name in each else np.shape(arguments[-1])[-1]))
        return in_chunks(function, size, *arguments)

    with ExitStack() as patched:
        for module in (candidates, cheapest_filling, whole_instances):
            patched.enter_context(mock.patch.object(module, "in_chunks", counting))
        yield count


def one_pool_each(case: objective.Case) -> tuple[float, float]:
    """What the solver finds where every bucket has one pool.

    The pools that may be best, by the coarse fillings, are each handed to the solver alone.

    Args:
        case: the choice.

    Returns:
        The cost by coarse fillings, and the cost found.
    """
    coarse_total, total = 0.0, 0.0
    for bucket, rate in enumerate(case.options.rates):
        names = len(case.options.names)
        flows = case.options.flows
        taken = np.stack(
            [np.asarray(leaf)[:, bucket] for leaf in (flows.time, flows.energy, flows.latency)], -1
        )
        levels = taken.shape[1]
        engine = np.repeat(np.arange(names), levels)
        allowed = np.isfinite(case.options.fillings[:, bucket]).ravel()
        cost = np.full((names * levels, len(case.options.per_joule)), np.inf)
        each = np.full(int(allowed.sum()), rate)
        cost[allowed] = pool_cost(case, engine[allowed], each, taken.reshape(-1, 3)[allowed])
        lowest = cost.reshape(names, levels, -1).min(axis=1)
        order = np.argsort(lowest, axis=None)[: cheapest_filling.REFINED]
        best = coarse = float(lowest.min())
        for at in order:
            e, r = np.unravel_index(at, lowest.shape)
            if lowest[e, r] > (1.0 + cheapest_filling.COARSE) * coarse:
                break
            found = choice.whole(only(case, np.array([e]), np.array([r]), bucket))
            if isinstance(found, choice.Plan):
                best = min(best, found.cost)
        coarse_total += coarse
        total += best
    return coarse_total, total


def solved(problem: description.Problem) -> list[tuple[str, int, float, float]]:
    """What the solver finds, with one pool a bucket and with any fleet.

    Args:
        problem: the problem.

    Returns:
        Method, how often a request was worked out, cost and seconds, of a second run so that
        compiling is left out.
    """
    rows: list[tuple[str, int, float, float]] = []
    for _ in range(2):
        started = time.perf_counter()
        candidates.forget()  # what is kept from the first run would be worked out for nothing
        with counted() as looked:
            case = objective.case(problem)
        levels, prepared = sum(looked), time.perf_counter() - started
        with counted() as refined:
            coarse, one = one_pool_each(case)
        first = time.perf_counter() - started
        started = time.perf_counter()
        with counted() as more:
            fleet = choice.whole(case)
        second = prepared + time.perf_counter() - started
        rows = [
            ("gradient", levels, coarse, prepared),
            ("gradient", levels + sum(refined), one, first),
        ]
        if isinstance(fleet, choice.Plan):
            rows.append(("gradient-any", levels + sum(more), fleet.cost, second))
    return rows


def curves(seed: int, size: str, methods: Sequence[str] = tuple(SEARCHES)) -> pd.DataFrame:
    """How good every method's best fleet is after so much work, for one problem.

    Args:
        seed: of the problem.
        size: of the problem.
        methods: searches that are run besides the solver and enumeration.

    Returns:
        Rows of the table `search_curves`.
    """
    described = asked(seed, size)
    of = objective.case(described)
    at = space(of)
    least = optimum(at)
    rows = []

    def note(method: str, work: int, regrets: Sequence[float] | np.ndarray, seconds: float) -> None:
        low, middle, high = np.quantile(regrets, (0.1, 0.5, 0.9), method="inverted_cdf")
        rows.append((size, seed, method, work, low, middle, high, seconds))

    for levels in GRIDS:
        enumerated(at, levels)
        started = time.perf_counter()
        cost, work = enumerated(at, levels)
        note("enumeration", work, [cost / least - 1.0], time.perf_counter() - started)
    for method, work, cost, seconds in solved(described):
        note(method, work, [cost / least - 1.0], seconds)
    for method in methods:
        next(SEARCHES[method](at, SEEDS))  # compiled
        every = [best_so_far(at, method, draw) for draw in range(SEEDS)]
        costs, times = (np.stack(part) for part in zip(*every, strict=True))
        for k, fleets in enumerate(NOTED[: costs.shape[1]]):
            work = int(fleets) * at.buckets
            note(method, work, costs[:, k] / least - 1.0, float(np.median(times[:, k])))
    columns = ["size", "problem", "method", "evaluations"]
    columns += ["regret_low", "regret", "regret_high", "seconds"]
    return pd.DataFrame(rows, columns=columns).replace(np.inf, np.nan)


def main() -> None:
    """Write the table, and print where each method ends."""
    tables = []
    print(f"{'size':<7} {'problem':>7} {'method':<13} {'work':>8} {'regret':>9} {'seconds':>8}")
    for size in SIZES:
        for seed in PROBLEMS:
            found = curves(seed, size)
            tables.append(found)
            for of in found.groupby("method", sort=False).tail(1).itertuples():
                print(
                    f"{size:<7} {seed:>7} {of.method:<13} {of.evaluations:>8}"
                    f" {of.regret:>9.2e} {of.seconds:>8.2f}",
                    flush=True,
                )
    write_table(pd.concat(tables), "search_curves")


if __name__ == "__main__":
    main()
