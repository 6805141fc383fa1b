"""What a description lets one choose from, and what each choice takes of everything.

Instances of an engine, in some region, make a pool. A pool takes something of each resource as long
as it stands, and more for every request; how much depends on how full it is kept.
"""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from llmecon.choice.description import Bucket, Problem
from llmecon.choice.filling import (
    ROLES,
    Demand,
    Engine,
    EngineName,
    Flow,
    Role,
    beyond,
    flow,
    resting_power,
    room,
)
from llmecon.choice.resources import capital, offered, per_joule
from llmecon.errors import InputError
from llmecon.evidence.server_levels import Servers, at_level
from llmecon.execution.interpreter import compiled, interpreted
from llmecon.numerics import NARROW, Bracket, narrower
from llmecon.serving import MINIMUM_BATCH
from llmecon.specs import (
    LLM,
    Deployment,
    LatencyTarget,
    Workload,
    precision,
)
from llmecon.tables import catalog

Scalar = Float[Array, "..."]
Record = TypeVar("Record")


# Fillings at which every engine is looked at, besides the fullest that its limits allow: a few of
# an instance that mostly waits, and many of one that works.
WAITING, WORKING = 5, 20
SELDOM = 0.3
# Most steps of the search for that fullest one within its cell.
NARROWED = 24
# Steps of the golden section to the bottom of a dip.
BOTTOMED = 6
GOLDEN = 0.618
# Engines and buckets that are computed together: one shape, so one compilation. A chunk by itself
# takes as long as fifty of these.
TOGETHER = 256
# Buckets whose flows are kept, as many problems that are solved in turn differ in prices and limits
# on the fleet only, or in one bucket.
REMEMBERED = 8


@dataclass(frozen=True)
class Options:
    """Everything that can be chosen, priced in resources.

    Attributes:
        names: of the engines.
        engines: the engines, stacked.
        demand: the buckets, stacked.
        rates: requests per second of each bucket.
        llm: the model.
        capital: taken by one instance each second whether it draws power or not.
        resting: power of an instance's servers without work, W.
        per_joule: taken by a joule of its servers' energy.
        quality: lost to the precision, by engine: a share of answers; 0 for prompts, whose loss
            is counted with their outputs.
        partners: a number shared by pools that can pass prompts on to each other, as one vendor's
            devices in one precision and one region; -1 for engines that serve whole requests.
        fillings: at which engines were looked at, the fullest last; NaN where limits forbid them.
        flows: what a request takes at these; infinite where limits forbid them.
    """

    names: tuple[EngineName, ...]
    engines: Engine
    demand: Demand
    rates: Float[np.ndarray, " buckets"]
    llm: LLM
    capital: Float[np.ndarray, "engines regions resources"]
    resting: Float[np.ndarray, " engines"]
    per_joule: Float[np.ndarray, "regions resources"]
    quality: Float[np.ndarray, " engines"]
    partners: Int[np.ndarray, "engines regions"]
    fillings: Float[np.ndarray, "engines buckets levels"]
    flows: Flow

    @property
    def kinds(self) -> int:
        """How many groups of partners there may be."""
        return max(int(self.partners.max()) + 1, 1)

    @property
    def able(self) -> Bool[np.ndarray, "engines buckets"]:
        """Where the model fits and an unhurried request meets the limits."""
        able: np.ndarray = np.isfinite(self.fillings[..., -1])
        return able


def _fillings(most: Scalar, role: Role) -> Scalar:
    """At which an engine is looked at, up to the fullest for its memory."""
    most = jnp.maximum(most, SELDOM + 0.1)
    few = jnp.geomspace(MINIMUM_BATCH, SELDOM, WAITING, endpoint=False)
    many = (
        jnp.linspace(SELDOM, most, WORKING)
        if role == "prefill"
        else jnp.geomspace(SELDOM, most, WORKING)
    )
    return jnp.concatenate([few, many])


class _Cell(NamedTuple):
    """Where on the log scale a limit starts to bind: a place that keeps it and one that doesn't."""

    kept: Scalar
    at_kept: Scalar
    broken: Scalar
    at_broken: Scalar


def _narrowed(function: Callable[[Scalar], Scalar], cell: _Cell) -> Scalar:
    """The nearest place not above zero to where a function crosses it."""

    def unfinished(state: tuple[Scalar, Bracket]) -> Scalar:
        steps, found = state
        return (steps < NARROWED) & (jnp.abs(found.newest - found.across) > NARROW)

    def step(state: tuple[Scalar, Bracket]) -> tuple[Scalar, Bracket]:
        return state[0] + 1, narrower(function, state[1])

    first = Bracket(*cell, jnp.full_like(cell.kept, 0.5))
    _, found = jax.lax.while_loop(unfinished, step, (jnp.zeros((), int), first))
    place: Scalar = jnp.where(found.at_newest > 0.0, found.across, found.newest)
    return place


def _dips(over: Scalar) -> Bool[Array, " levels"]:
    """Where latency falls and rises again behind the last place that keeps the limits.

    It mostly rises with filling, but where answers are few and short it may dip.
    """
    at = jnp.arange(len(over))
    inside = (at > jnp.maximum(_last_kept(over), 0)) & (at < len(over) - 1)
    return inside & (over < jnp.roll(over, 1)) & (over <= jnp.roll(over, -1))


def _last_kept(over: Scalar) -> Scalar:
    """The last place that keeps the limits; -1 where none does."""
    return jnp.max(jnp.where(over <= 0.0, jnp.arange(len(over)), -1))


def _cell(place: Scalar, over: Scalar) -> _Cell:
    """Between the last place that keeps the limits and the next."""
    last = _last_kept(over)
    at, after = jnp.maximum(last, 0), jnp.minimum(last + 1, len(place) - 1)
    return _Cell(place[at], over[at], place[after], over[after])


def _behind_dip(function: Callable[[Scalar], Scalar], place: Scalar, over: Scalar) -> _Cell:
    """As `_cell`, but from the bottom of the deepest dip, where that keeps the limits."""
    dips = _dips(over)
    deepest = jnp.clip(jnp.argmin(jnp.where(dips, over, jnp.inf)), 1, len(place) - 2)

    def step(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        low, high = ends
        one, other = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        left = function(one) <= function(other)
        return jnp.where(left, low, one), jnp.where(left, other, high)

    low, high = jax.lax.fori_loop(0, BOTTOMED, step, (place[deepest - 1], place[deepest + 1]))
    bottom = 0.5 * (low + high)
    depth = jnp.where(dips.any(), function(bottom), jnp.inf)
    behind = _Cell(bottom, depth, place[deepest + 1], over[deepest + 1])
    found: _Cell = jax.tree.map(partial(jnp.where, depth <= 0.0), behind, _cell(place, over))
    return found


@compiled
def _looked_at(llm: LLM, role: Role, engines: Engine, demand: Demand) -> tuple[Scalar, Flow]:
    """Fillings of several engines, each for one bucket, and flows at these."""

    def taken(engine: Engine, demand: Demand, log_filling: Scalar) -> Flow:
        found: Flow = flow(llm, engine, demand, jnp.exp(log_filling), role)
        return found

    def over_at(engine: Engine, demand: Demand) -> Callable[[Scalar], Scalar]:
        return lambda log_filling: beyond(taken(engine, demand, log_filling), demand, role)

    @jax.vmap
    def coarse(engine: Engine, demand: Demand) -> tuple[Scalar, Scalar, Flow, Scalar]:
        most = room(llm, engine, demand, role)
        place = jnp.log(_fillings(most, role))
        flows = jax.vmap(partial(taken, engine, demand))(place)
        return most, place, flows, beyond(flows, demand, role)

    def simple(of: tuple[Engine, Demand, Scalar, Scalar]) -> _Cell:
        found: _Cell = jax.vmap(_cell)(*of[2:])
        return found

    def behind(of: tuple[Engine, Demand, Scalar, Scalar]) -> _Cell:
        def one(engine: Engine, demand: Demand, place: Scalar, over: Scalar) -> _Cell:
            return _behind_dip(over_at(engine, demand), place, over)

        found: _Cell = jax.vmap(one)(*of)
        return found

    @jax.vmap
    def finished(
        engine: Engine,
        demand: Demand,
        cell: _Cell,
        most: Scalar,
        place: Scalar,
        flows: Flow,
        over: Scalar,
    ) -> tuple[Scalar, Flow]:
        log_fullest = _narrowed(over_at(engine, demand), cell)
        last = taken(engine, demand, log_fullest)
        able = (cell.at_kept <= 0.0) & (most >= (0.5 if role == "prefill" else 1.0))
        allowed = able & jnp.append((place < log_fullest) & (over <= 0.0), True)
        fillings = jnp.exp(jnp.append(place, log_fullest))
        every = jax.tree.map(jnp.append, flows, last)
        return jnp.where(allowed, fillings, jnp.nan), jax.tree.map(
            lambda leaf: jnp.where(allowed, leaf, jnp.inf), every
        )

    most, place, flows, over = coarse(engines, demand)
    dips = jax.vmap(_dips)(over)
    cell = jax.lax.cond(dips.any(), behind, simple, (engines, demand, place, over))
    found: tuple[Scalar, Flow] = finished(engines, demand, cell, most, place, flows, over)
    return found


@interpreted
def _held(llm: LLM, engines: Engine, demand: Demand) -> Scalar:
    """Requests of each bucket that each engine has room for."""
    of = partial(room, llm, role="whole")
    every = jax.vmap(jax.vmap(of, in_axes=(None, 0)), in_axes=(0, None))
    held: Scalar = every(engines, demand)
    return held


def rows_of(records: Record, rows: Int[np.ndarray, " rows"]) -> Record:
    """Some of the records that share a leading dimension.

    Args:
        records: stacked.
        rows: which of them.

    Returns:
        Stacked in that order.
    """
    chosen: Record = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], records)
    return chosen


def in_chunks(function: Callable[..., Any], size: int, *arguments: Any) -> Any:
    """A function of records with a leading dimension, computed in chunks of one shape.

    Args:
        function: returns arrays with the same leading dimension.
        size: of a chunk; the last is filled up with copies.
        arguments: the records.

    Returns:
        What the function returns, as NumPy arrays.
    """
    count = len(jax.tree.leaves(arguments)[0])
    rows = [
        np.minimum(np.arange(start, start + size), count - 1) for start in range(0, count, size)
    ]

    def computed(chosen: np.ndarray) -> Any:
        found = function(*rows_of(arguments, chosen))
        return jax.tree.map(np.asarray, found)

    # The first compiles; the others share the processors.
    first = [computed(rows[0])]
    with ThreadPoolExecutor(2) as pool:
        parts = first + list(pool.map(computed, rows[1:]))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


def options(problem: Problem) -> Options:
    """Everything that a description lets one choose from.

    Args:
        problem: the description.

    Returns:
        Engines, pools and flows. Layouts that fast links don't join are left out.

    Raises:
        InputError: no accelerator of the description has a known price, or none can be laid out.
    """
    llm = catalog.llm(problem.model)
    names = _names(problem, has_experts=bool(llm.experts > 0))
    engines, demand = _engines(problem.model, problem.servers, names), _demand(problem.buckets)
    each = [_known(problem.model, problem.servers, names, bucket) for bucket in problem.buckets]
    fillings, flows = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *each)
    vendors = {xpu: str(catalog.row("xpus", xpu)["vendor"]) for xpu in offered(problem)}
    kinds = [(vendors[of.xpu], of.precision) for of in names]
    known = list(dict.fromkeys(kinds))
    apart = np.array([of.role != "whole" for of in names])
    # Links that pass a cache on in time end at the region's border.
    regions = np.arange(len(problem.choices.regions))
    shared = np.array([known.index(kind) for kind in kinds])[:, None] * len(regions) + regions
    return Options(
        names=names,
        engines=engines,
        demand=demand,
        rates=np.array([bucket.per_second for bucket in problem.buckets], float),
        llm=llm,
        capital=capital(problem, names, engines),
        resting=_resting(problem.model, problem.servers, names),
        per_joule=per_joule(problem),
        quality=np.array(
            [problem.quality_lost.get(of.precision, 0.0) * (of.role != "prefill") for of in names]
        ),
        partners=np.where(apart[:, None], shared, -1),
        fillings=fillings,
        flows=flows,
    )


@lru_cache(maxsize=REMEMBERED)
def _known(
    model: str, servers: Servers, names: tuple[EngineName, ...], bucket: Bucket
) -> tuple[Float[np.ndarray, "engines 1 levels"], Flow]:
    """Fillings and flows for one bucket, which neither prices nor limits on the fleet change."""
    return _everywhere(
        catalog.llm(model), names, _engines(model, servers, names), _demand((bucket,))
    )


def forget() -> None:
    """Drop flows that are kept for the next problem, so that it pays for its own."""
    _known.cache_clear()
    _engines.cache_clear()
    _resting.cache_clear()


def changed(options: Options, engines: Engine, demand: Demand) -> Options:
    """The same choice from engines that are better or worse, for requests of other sizes.

    Args:
        options: the options.
        engines: as many, in the same order.
        demand: of as many buckets.

    Returns:
        Options with flows and resting power anew; what instances cost to own stays.
    """
    fillings, flows = _everywhere(options.llm, options.names, engines, demand)
    resting = np.asarray(resting_power(engines))
    return replace(
        options, engines=engines, demand=demand, resting=resting, fillings=fillings, flows=flows
    )


def _everywhere(
    llm: LLM, names: Sequence[EngineName], engines: Engine, demand: Demand
) -> tuple[Float[np.ndarray, "engines buckets levels"], Flow]:
    """Fillings of every engine for every bucket, and flows at these."""
    held = np.asarray(_held(llm, engines, demand))
    fillings = np.full((*held.shape, WAITING + WORKING + 1), np.nan)
    flows: Flow = Flow(*(np.full_like(fillings, np.inf) for _ in range(5)))  # type: ignore[arg-type]
    roles = np.array([of.role for of in names])
    for role in ROLES:
        first, same = _told_apart(demand, role)
        engine, bucket = np.nonzero((held[:, first] >= 1.0) & (roles == role)[:, None])
        if not len(engine):
            continue
        found = in_chunks(
            partial(_looked_at, llm, role),
            TOGETHER,
            rows_of(engines, engine),
            rows_of(demand, first[bucket]),
        )
        here = roles == role
        for whole, part in zip(
            jax.tree.leaves((fillings, flows)), jax.tree.leaves(found), strict=True
        ):
            of_first = whole[:, first]
            of_first[engine, bucket] = part
            whole[here] = of_first[:, same][here]
    return fillings, flows


def _told_apart(
    demand: Demand, role: Role
) -> tuple[Int[np.ndarray, " kinds"], Int[np.ndarray, " buckets"]]:
    """Buckets that differ in what a role minds, and by which of them each bucket is told."""
    count = len(np.asarray(demand.target.tpot))
    if role == "prefill":  # which has no answers to hurry
        demand = replace(demand, target=replace(demand.target, tpot=np.ones(count)))
    rows = np.stack([np.asarray(leaf, float) for leaf in jax.tree.leaves(demand)], axis=1)
    _, first, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, same.ravel()


def _names(problem: Problem, has_experts: bool) -> tuple[EngineName, ...]:
    of = problem.choices
    experts = of.expert if has_experts else (1,)
    linked = {xpu: float(catalog.xpu(xpu).link_domain) for xpu in offered(problem)}
    names = tuple(
        EngineName(xpu, numbers, tensor, expert, pipeline, role)
        for role in (ROLES if of.disaggregated else ROLES[:1])
        for xpu, domain in linked.items()
        for numbers in of.precisions
        for tensor in of.tensor
        for expert in experts
        for pipeline in of.pipeline
        if _possible(domain, tensor, expert, pipeline)
    )
    if not names:
        raise InputError(
            "choices: fast links join no layout of these widths; allow tensor 1 and pipeline 1"
        )
    return names


def _possible(domain: float, tensor: int, expert: int, pipeline: int) -> bool:
    """Whether links join the devices, and groups that share experts are whole."""
    linked = domain > 1.0 or (pipeline == 1 and expert == 1)
    return tensor <= domain and linked and (expert == 1 or expert % tensor == 0)


@lru_cache(maxsize=REMEMBERED)
def _engines(model: str, servers: Servers, names: tuple[EngineName, ...]) -> Engine:
    def gathered(kinds: Sequence[Hashable], record: Callable[[Any], Record]) -> Record:
        """A record of each name's kind; those that share a kind share one look-up."""
        known = list(dict.fromkeys(kinds))
        at = {kind: place for place, kind in enumerate(known)}
        place = np.array([at[kind] for kind in kinds])
        records = [record(kind) for kind in known]
        found: Record = jax.tree.map(
            lambda *leaves: np.array([float(leaf) for leaf in leaves])[place], *records
        )
        return found

    layouts = [(of.tensor, of.expert, of.pipeline, of.precision) for of in names]
    return Engine(
        gathered([of.xpu for of in names], catalog.xpu),
        gathered(layouts, _layout),
        gathered(
            [(of.xpu, of.precision) for of in names],
            lambda of: catalog.efficiency(
                at_level(catalog.system(model, of[0], precision=of[1]), servers)
            ),
        ),
    )


def _layout(of: tuple[int, int, int, str]) -> Deployment:
    tensor, expert, pipeline, numbers = of
    return Deployment(float(tensor), float(expert), float(pipeline), precision(numbers))


@lru_cache(maxsize=REMEMBERED)
def _resting(
    model: str, servers: Servers, names: tuple[EngineName, ...]
) -> Float[np.ndarray, " engines"]:
    return np.asarray(resting_power(_engines(model, servers, names)))


def _demand(buckets: Sequence[Bucket]) -> Demand:
    stacked: Demand = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(_asked(bucket) for bucket in buckets)
    )
    return stacked


@lru_cache(maxsize=REMEMBERED)
def _asked(bucket: Bucket) -> Demand:
    return Demand(
        Workload(
            prompt_tokens=bucket.prompt_tokens,
            output_tokens=bucket.output_tokens,
            cached_fraction=bucket.cached_fraction,
            prompt_cv=bucket.prompt_cv,
            output_cv=bucket.output_cv,
            interarrival_cv=bucket.interarrival_cv,
        ),
        LatencyTarget(ttft=bucket.ttft, tpot=bucket.tpot, quantile=bucket.quantile),
    )
