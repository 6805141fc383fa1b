"""How sure a choice is: the same choice for everything that measurements and offers leave open.

For every set of efficiencies that the calibration allows, and every set of prices within the offers
seen, each accelerator serves the requests with the engines that come first on it, filled anew. That
gives a cost for each accelerator in each draw: hence how probably each is the cheapest, what is
lost on average by choosing any, and what it would be worth to know one thing beforehand
[Raiffa1961].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from llmecon.adaptation.best_way import Information, worth_of_knowing
from llmecon.choice.candidates import changed
from llmecon.choice.cheapest_filling import coarse_cost
from llmecon.choice.columns import pools_of
from llmecon.choice.description import RESOURCES, Problem
from llmecon.choice.filling import EngineName
from llmecon.choice.fleets import Plan
from llmecon.choice.maps import Alone, by_xpu, kept, leading, request_costs
from llmecon.choice.objective import Case, charges
from llmecon.errors import InputError
from llmecon.evidence.server_levels import at_level
from llmecon.tables import catalog

SEED = 20
# An accelerator dearer than the cheapest by more than this is in no draw the cheapest.
CONTENDERS = 3.0
MOST = 10
# Sets of prices, and orders in which values say nothing.
PRICES = 256
# From so many offers on they say themselves how far they spread.
SEVERAL = 4
# Of prices that several ask for no accelerator: those of H100 to buy differ so much.
UNKNOWN = (0.7, 1.3)
SHUFFLED = 100
BY_CHANCE = 0.95
# Of an instance, as solvers leave it: no reason for another.
ROUNDED = 1e-6


@dataclass(frozen=True)
class Drawn:
    """What a request takes of some engines, for every set of efficiencies.

    Attributes:
        engines: their places among the options.
        time: of an instance that a request takes, s; infinite where it can't be served.
        rest: what it is charged besides the instance's standing: energy, waiting, errors.
        standing: charge of an instance, per second.
        money: the part of that which is its price.
    """

    engines: Int[np.ndarray, " engines"]
    time: Float[np.ndarray, "draws engines regions buckets"]
    rest: Float[np.ndarray, "draws engines regions buckets"]
    standing: Float[np.ndarray, "engines regions"]
    money: Float[np.ndarray, "engines regions"]


@dataclass(frozen=True)
class Contest:
    """The cost of serving everything on each accelerator alone, for all that is uncertain.

    Attributes:
        xpus: ids.
        costs: per second, for every set of efficiencies and every set of prices; infinite where
            the accelerator can't keep the limits.
        factors: on the price of each accelerator, by set.
        paces: cost of each at the catalogue's price, by set of efficiencies: how fast it turns out
            to be.
    """

    xpus: tuple[str, ...]
    costs: Float[np.ndarray, "draws prices xpus"]
    factors: Float[np.ndarray, "prices xpus"]
    paces: Float[np.ndarray, "draws xpus"]

    @property
    def settled(self) -> Float[np.ndarray, "draws prices xpus"]:
        """Costs in which whoever can't keep the limits pays what the dearest does that can."""
        there = np.isfinite(self.costs)
        dearest = np.where(there, self.costs, 0.0).max(axis=2, keepdims=True)
        return np.where(there, self.costs, np.where(dearest > 0.0, dearest, dearest.max()))

    @property
    def usual(self) -> int:
        """The accelerator that is cheapest on average."""
        return int(np.argmin(self.settled.mean(axis=(0, 1))))

    def table(self) -> pd.DataFrame:
        """How each accelerator fares.

        Returns:
            A row an accelerator, the likeliest winner first: `best`, the share of cases in which
            it is the cheapest; `mean`, `low` and `high`, its cost with the middle nine tenths;
            `regret`, what it costs on average above the cheapest of each case; `misses`, the share
            of cases in which it can't keep the limits.
        """
        settled = self.settled
        able = np.isfinite(self.costs).any(axis=2)
        winner = np.where(able, self.costs.argmin(axis=2), -1)
        low, high = np.quantile(settled, [0.05, 0.95], axis=(0, 1))
        above = settled - settled.min(axis=2, keepdims=True)
        frame = pd.DataFrame(
            {
                "best": [float((winner == at).mean()) for at in range(len(self.xpus))],
                "mean": settled.mean(axis=(0, 1)),
                "low": low,
                "high": high,
                "regret": above.mean(axis=(0, 1)),
                "misses": (~np.isfinite(self.costs)).mean(axis=(0, 1)),
            },
            index=pd.Index(self.xpus, name="xpu"),
        )
        return frame.sort_values("best", ascending=False, kind="stable")

    @property
    def perfect(self) -> float:
        """What knowing everything beforehand would save on average, per second."""
        settled = self.settled
        return float(settled.mean(axis=(0, 1)).min() - settled.min(axis=2).mean())

    @property
    def all_speeds(self) -> float:
        """What knowing how fast every accelerator is would save on average, per second."""
        by_draw = self.settled.mean(axis=1)
        return float(by_draw.mean(axis=0).min() - by_draw.min(axis=1).mean())

    @property
    def all_prices(self) -> float:
        """What knowing every price would save on average, per second."""
        by_set = self.settled.mean(axis=0)
        return float(by_set.mean(axis=0).min() - by_set.min(axis=1).mean())

    def worth(self) -> dict[tuple[str, str], Information]:
        """What knowing one thing beforehand would save, per second.

        Returns:
            By "speed" or "price" and the id of an accelerator. What the same number of draws makes
            of an unknown that says nothing is taken off.
        """
        settled = self.settled
        by_draw, by_set = settled.mean(axis=1), settled.mean(axis=0)
        slowest = np.max(self.paces, where=np.isfinite(self.paces), initial=0.0)
        paces = np.where(np.isfinite(self.paces), self.paces, slowest)
        found = {}
        for at, xpu in enumerate(self.xpus):
            found["speed", xpu] = _beyond_chance(by_draw, paces[:, at], self.all_speeds)
            found["price", xpu] = _beyond_chance(by_set, self.factors[:, at], self.all_prices)
        return found


def _beyond_chance(
    costs: Float[np.ndarray, "draws ways"], unknown: Float[np.ndarray, " draws"], most: float
) -> Information:
    """The worth of knowing, less what shuffled values seem to be worth, and no more than all is.

    It is nothing where one in twenty shuffles seems to be worth as much.
    """
    seen = worth_of_knowing(costs, unknown, logarithm=True)
    shuffled = np.random.default_rng(SEED)
    chance = np.array(
        [
            worth_of_knowing(costs, shuffled.permutation(unknown), logarithm=True).saving
            for _ in range(SHUFFLED)
        ]
    )
    sure = seen.saving > np.quantile(chance, BY_CHANCE)
    kept_in = min(max(seen.saving - float(chance.mean()), 0.0), most) if sure else 0.0
    return Information(kept_in, seen.flips if kept_in > 0.0 else 0.0)


def drawn(
    of: Case,
    problem: Problem,
    engines: Int[np.ndarray, " engines"],
    prices: Mapping[str, float] | None = None,
) -> Drawn:
    """What requests take of some engines, for every set of efficiencies.

    Args:
        of: the problem.
        problem: its description.
        engines: their places among the options.
        prices: of the fleet's limits, as a plan has them; by default limits cost nothing.

    Returns:
        Each engine is as full as is best in that draw, within the limits on latency.
    """
    kinds = [(name.xpu, name.precision) for name in (of.options.names[at] for at in engines)]
    # Layouts of one accelerator share its efficiencies, and finding these takes long.
    known = {
        (xpu, numbers): catalog.efficiency_draws(
            at_level(catalog.system(problem.model, xpu, precision=numbers), problem.servers)
        )
        for xpu, numbers in dict.fromkeys(kinds)
    }
    sets = [known[kind] for kind in kinds]
    count = len(jax.tree.leaves(sets[0])[0])
    repeated = kept(of, np.repeat(engines, count))
    attained = jax.tree.map(
        lambda *leaves: np.concatenate([np.asarray(leaf, float) for leaf in leaves]), *sets
    )
    fast_or_slow = eqx.tree_at(lambda record: record.efficiency, repeated.options.engines, attained)
    case = replace(repeated, options=changed(repeated.options, fast_or_slow, of.options.demand))
    given = {} if prices is None else prices
    limits = np.array([given.get(name, 0.0) for name in of.limits.names])
    charged = charges(case, of.weights, limits)
    usd = RESOURCES.index("usd")
    rows = np.arange(len(charged.standing))[:, None]
    flows = jax.tree.map(np.asarray, case.options.flows)
    time, rest = [], []
    for bucket in range(len(of.options.rates)):
        cost = coarse_cost(case, charged, bucket)
        level, least = cost.argmin(axis=2), cost.min(axis=2)
        able = np.isfinite(least)
        took = np.where(able, flows.time[rows, bucket, level], np.inf)
        time.append(took)
        rest.append(np.where(able, least, np.inf) - np.where(able, took, 0.0) * charged.standing)
    shape = (len(engines), count, len(of.options.per_joule), len(time))

    def by_draw(parts: list[np.ndarray]) -> Float[np.ndarray, "draws engines regions buckets"]:
        return np.moveaxis(np.stack(parts, axis=-1).reshape(shape), 1, 0)

    weight = of.weights[usd] + given.get("usd", 0.0)
    return Drawn(
        np.asarray(engines),
        by_draw(time),
        by_draw(rest),
        charged.standing[::count],
        case.options.capital[::count, :, usd] * weight,
    )


def fleet_costs(
    case: Case, problem: Problem, plan: Plan, whole: bool = True, priced: bool = False
) -> Float[np.ndarray, " draws"]:
    """What a fleet's pools cost for every set of efficiencies.

    Args:
        case: the problem.
        problem: its description.
        plan: the fleet: which engine serves how much of each bucket.
        whole: whether instances must be whole.
        priced: whether prices are drawn, too: a set of them with each set of efficiencies.

    Returns:
        Cost per second, without what its limits are worth: each pool is laid out and filled anew,
        and as large as it must be; infinite where one of them can't keep the limits in any layout.
    """
    columns, names = plan.columns, case.options.names
    pools, place = pools_of(columns)
    ways = [_laid_out_otherwise(names, int(engine)) for engine in pools[:, 0]]
    engines = np.unique(np.concatenate(ways))
    found = drawn(case, problem, engines)
    xpus = list(dict.fromkeys(names[at].xpu for at in engines))
    count = len(found.time)
    factors = price_factors(problem, xpus, count) if priced else np.ones((count, len(xpus)))
    costs = np.zeros(count)
    for pool, (region, way) in enumerate(zip(pools[:, 1], ways, strict=True)):
        rows, at = place == pool, np.searchsorted(engines, way)
        served, bucket = plan.served[rows], columns.bucket[rows]
        need = found.time[:, at, region][..., bucket] @ served
        instances = np.ceil(need - ROUNDED) if whole else need
        dearer = factors[:, [xpus.index(names[way[0]].xpu)]] - 1.0
        standing = found.standing[at, region] + found.money[at, region] * dearer
        besides = found.rest[:, at, region][..., bucket] @ served
        costs += (instances * standing + besides).min(axis=1)
    return costs


def _devices(case: Case, engine: int) -> tuple[float, float]:
    """Over how many devices an engine splits its layers, and of how many it is."""
    of = case.options.names[engine]
    return of.tensor, of.devices


def _laid_out_otherwise(names: Sequence[EngineName], engine: int) -> Int[np.ndarray, " engines"]:
    """The engines that differ from one in their layout alone, itself among them."""
    own = names[engine]
    kind = (own.xpu, own.precision, own.role)
    return np.array(
        [at for at, of in enumerate(names) if (of.xpu, of.precision, of.role) == kind], dtype=int
    )


def contest(
    case: Case,
    problem: Problem,
    prices: Mapping[str, float] | None = None,
    always: Sequence[str] = (),
) -> Contest:
    """Each accelerator serving everything alone, for all that is uncertain.

    Args:
        case: the problem.
        problem: its description.
        prices: of the fleet's limits, as a plan has them.
        always: ids of accelerators to compare however dear they are, if they can serve all.

    Returns:
        Those whose cost is within a factor of the cheapest's, the cheapest first.

    Raises:
        InputError: no accelerator serves everything alone.
    """
    given = {} if prices is None else prices
    charged = charges(
        case, case.weights, np.array([given.get(name, 0.0) for name in case.limits.names])
    )
    costs = request_costs(case, charged)
    single = by_xpu(case, costs)
    total = single.serving(case.options.rates)
    if not np.isfinite(total).any():
        raise InputError("no accelerator serves all requests alone within these limits")
    order = [at for at in np.argsort(total) if np.isfinite(total[at])]
    near = [at for at in order if total[at] <= CONTENDERS * total[order[0]]][:MOST]
    chosen = near + [at for at in order if single.xpus[at] in always and at not in near]
    xpus = [single.xpus[at] for at in chosen]
    first = leading(case, costs)
    first = first[[case.options.names[at].xpu in xpus for at in first]]
    # Where a server turns out slow, its widest layout may be all that keeps the limits.
    ways = [_laid_out_otherwise(case.options.names, int(at)) for at in first]
    first = np.unique([*first, *(max(way, key=lambda of: _devices(case, of)) for way in ways)])
    found = drawn(case, problem, first, given)
    some = kept(case, first)
    factors = price_factors(problem, xpus, PRICES)
    at = np.array([xpus.index(name.xpu) for name in some.options.names])

    def totals(
        by_price: Float[np.ndarray, "prices xpus"],
    ) -> Float[np.ndarray, "draws prices xpus"]:
        standing = found.standing + found.money * (by_price[:, at, None] - 1.0)
        priced = found.time[:, None] * standing[None, ..., None] + found.rest[:, None]
        each: Alone = by_xpu(some, priced)
        total = each.serving(case.options.rates)
        return total[..., [each.xpus.index(xpu) for xpu in xpus]]

    usual = totals(np.ones((1, len(xpus))))[:, 0]
    return Contest(tuple(xpus), totals(factors), factors, usual)


def price_range(problem: Problem, xpu: str) -> tuple[float, float]:
    """Between which factors on its price an accelerator may be had.

    Args:
        problem: the description, which says whether machines are rented or bought.
        xpu: id.

    Returns:
        Least and greatest offer over the median, where at least `SEVERAL` ask. Where fewer do, or
        the description gives the price, no less than the middle nine tenths of all these offers;
        where the price is an estimate or of another tier or date, no less than any of them.
    """
    bought = problem.owned is not None
    given = xpu in problem.choices.usd_per_hour and not bought
    low, high = (1.0, 1.0) if given else _offered(bought, xpu)
    if not given and _asking(bought, xpu) >= SEVERAL:
        return low, high
    pooled, widest = _spread(bought)
    others = pooled if given or _alike(bought, xpu) else widest
    return min(low, others[0]), max(high, others[1])


def _offers(bought: bool, xpu: str) -> pd.DataFrame:
    return catalog.purchase_offers(xpu) if bought else catalog.rental_offers(xpu)


def _ratios(bought: bool, xpu: str) -> Float[np.ndarray, " offers"]:
    """Offers over their median."""
    usd = _offers(bought, xpu)["usd" if bought else "usd_per_xpu_hour"].to_numpy(float)
    ratios: np.ndarray = usd / np.median(usd) if len(usd) else np.ones(1)
    return ratios


def _offered(bought: bool, xpu: str) -> tuple[float, float]:
    ratios = _ratios(bought, xpu)
    return float(ratios.min()), float(ratios.max())


def _alike(bought: bool, xpu: str) -> bool:
    """Whether a price is of offers that compare with those that many ask."""
    if bought:
        return bool((_offers(bought, xpu)["kind"] != "estimate").all())
    rent = catalog.rental_price(xpu)
    return rent is not None and rent.comparable


def _asking(bought: bool, xpu: str) -> int:
    """How many ask a price that compares: providers, or rows of prices to buy."""
    offers = _offers(bought, xpu)
    if not len(offers) or not _alike(bought, xpu):
        return 0
    return len(offers) if bought else int(offers["provider"].nunique())


@cache
def _spread(bought: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """The middle nine tenths and the ends of all offers that several ask, over their medians."""
    known = [xpu for xpu in catalog.ids("xpus") if _asking(bought, xpu) >= SEVERAL]
    if not known:
        return UNKNOWN, UNKNOWN
    ratios = np.concatenate([_ratios(bought, xpu) for xpu in known])
    low, high = np.quantile(ratios, [0.05, 0.95])
    return (float(low), float(high)), (float(ratios.min()), float(ratios.max()))


def price_factors(
    problem: Problem, xpus: Sequence[str], count: int
) -> Float[np.ndarray, "draws xpus"]:
    """Draws of what accelerators cost over what the catalogue says, one apart from the other.

    Args:
        problem: the description.
        xpus: ids.
        count: of draws.

    Returns:
        Evenly spread on the log scale over `price_range`.
    """
    cube = stats.qmc.LatinHypercube(len(xpus), rng=SEED).random(count)
    ends = np.log([price_range(problem, xpu) for xpu in xpus])
    factors: Float[np.ndarray, "draws xpus"] = np.exp(ends[:, 0] + (ends[:, 1] - ends[:, 0]) * cube)
    return factors
