"""How sure a choice is: the same choice for everything that measurements and offers leave open.

For every set of efficiencies that the calibration allows, and every set of prices within the offers
seen, each accelerator serves the requests with the engines that come first on it, filled anew. That
gives a cost for each accelerator in each draw: hence how probably each is the cheapest, what is
lost on average by choosing any, and what it would be worth to know one thing beforehand
[Raiffa1961].
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from llmecon import catalog
from llmecon.choice import Plan, coarse_cost
from llmecon.columns import pools_of
from llmecon.decision import Information, worth_of_knowing
from llmecon.errors import InputError
from llmecon.landscape import Alone, by_xpu, kept, leading, request_costs
from llmecon.options import changed
from llmecon.problem import RESOURCES, Problem
from llmecon.terms import Case, charges

SEED = 20
# An accelerator dearer than the cheapest by more than this is in no draw the cheapest.
CONTENDERS = 3.0
MOST = 10


@dataclass(frozen=True)
class Drawn:
    """What a request takes of some engines, for every set of efficiencies.

    Attributes:
        engines: their places among the options.
        money: what a request pays for the instance's standing; infinite where it can't be served.
        rest: what else it is charged: energy, carbon, waiting, errors.
    """

    engines: Int[np.ndarray, " engines"]
    money: Float[np.ndarray, "draws engines buckets"]
    rest: Float[np.ndarray, "draws engines buckets"]


@dataclass(frozen=True)
class Contest:
    """The cost of serving everything on each accelerator, in every draw.

    Attributes:
        xpus: ids.
        costs: per second; infinite where the accelerator can't keep the limits.
        prices: factor on the price of each, by draw.
        paces: cost of each at the catalogue's price, by draw: how fast it turns out to be.
    """

    xpus: tuple[str, ...]
    costs: Float[np.ndarray, "draws xpus"]
    prices: Float[np.ndarray, "draws xpus"]
    paces: Float[np.ndarray, "draws xpus"]

    @property
    def settled(self) -> Float[np.ndarray, "draws xpus"]:
        """Costs in which whoever can't keep the limits pays as much as the dearest in that draw."""
        finite = np.where(np.isfinite(self.costs), self.costs, -np.inf)
        dearest = np.maximum(finite.max(axis=1), np.nanmax(np.where(finite > 0, finite, np.nan)))
        return np.where(np.isfinite(self.costs), self.costs, dearest[:, None])

    @property
    def usual(self) -> int:
        """The accelerator that is cheapest on average."""
        return int(np.argmin(self.settled.mean(axis=0)))

    def table(self) -> pd.DataFrame:
        """How each accelerator fares.

        Returns:
            A row an accelerator, the cheapest on average first: `best`, the share of draws in which
            it is; `mean`, `low` and `high`, its cost with the middle nine tenths; `regret`, what it
            costs on average above the cheapest of the draw; `misses`, the share of draws in which
            it can't keep the limits.
        """
        settled = self.settled
        winner = settled.argmin(axis=1)
        low, high = np.quantile(settled, [0.05, 0.95], axis=0)
        frame = pd.DataFrame(
            {
                "best": [float((winner == at).mean()) for at in range(len(self.xpus))],
                "mean": settled.mean(axis=0),
                "low": low,
                "high": high,
                "regret": (settled - settled.min(axis=1, keepdims=True)).mean(axis=0),
                "misses": (~np.isfinite(self.costs)).mean(axis=0),
            },
            index=pd.Index(self.xpus, name="xpu"),
        )
        return frame.sort_values("mean")

    @property
    def perfect(self) -> float:
        """What knowing everything beforehand would save on average, per second."""
        settled = self.settled
        return float(settled.mean(axis=0).min() - settled.min(axis=1).mean())

    def worth(self) -> dict[str, Information]:
        """What knowing one thing beforehand would save, per second.

        Returns:
            By unknown: "price of" and "speed of" each accelerator.
        """
        settled = self.settled
        finite = np.where(np.isfinite(self.paces), self.paces, np.nanmax(self.settled))
        known = {f"price of {xpu}": self.prices[:, at] for at, xpu in enumerate(self.xpus)}
        known |= {f"speed of {xpu}": finite[:, at] for at, xpu in enumerate(self.xpus)}
        return {
            name: worth_of_knowing(settled, values)
            for name, values in known.items()
            if np.ptp(values) > 0.0
        }


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
    sets = [
        catalog.efficiency_draws(catalog.system(problem.model, name.xpu, precision=name.precision))
        for name in (of.of.names[at] for at in engines)
    ]
    count = len(jax.tree.leaves(sets[0])[0])
    repeated = kept(of, np.repeat(engines, count))
    attained = jax.tree.map(
        lambda *leaves: np.concatenate([np.asarray(leaf, float) for leaf in leaves]), *sets
    )
    fast_or_slow = eqx.tree_at(lambda record: record.efficiency, repeated.of.engines, attained)
    case = replace(repeated, of=changed(repeated.of, fast_or_slow, of.of.demand))
    given = {} if prices is None else prices
    limits = np.array([given.get(name, 0.0) for name in of.limits.names])
    charged = charges(case, of.weights, limits)
    usd = RESOURCES.index("usd")
    weight = of.weights[usd] + given.get("usd", 0.0)
    standing = case.of.capital[:, :, usd] * weight
    money, rest = [], []
    for bucket in range(len(of.of.rates)):
        cost = coarse_cost(case, charged, bucket)
        flat = cost.reshape(len(cost), -1)
        best = flat.argmin(axis=1)
        region, level = np.unravel_index(best, cost.shape[1:])
        rows = np.arange(len(cost))
        able = np.isfinite(flat[rows, best])
        time = np.where(able, np.asarray(case.of.flows.time)[rows, bucket, level], np.inf)
        paid = np.where(able, standing[rows, region] * np.where(able, time, 0.0), np.inf)
        money.append(paid)
        rest.append(np.where(able, flat[rows, best] - np.where(able, paid, 0.0), np.inf))
    shape = (len(engines), count, len(money))
    by_draw = [np.moveaxis(np.stack(part, axis=1).reshape(shape), 1, 0) for part in (money, rest)]
    return Drawn(np.asarray(engines), *by_draw)


def fleet_costs(of: Case, problem: Problem, plan: Plan) -> Float[np.ndarray, " draws"]:
    """What a fleet's pools cost for every set of efficiencies, instances in parts.

    Args:
        of: the problem.
        problem: its description.
        plan: the fleet: which engine serves how much of each bucket.

    Returns:
        Cost per second without what its limits are worth: pools are filled anew and as large as
        they must be; infinite where one of them can't keep the limits.
    """
    columns = plan.columns
    pools, _ = pools_of(columns)
    engines = np.unique(pools[:, 0])
    found = drawn(of, problem, engines)
    place = np.searchsorted(engines, columns.engine)
    each = (found.money + found.rest)[:, place, columns.bucket]
    costs: Float[np.ndarray, " draws"] = each @ plan.served
    return costs


def contest(
    of: Case,
    problem: Problem,
    prices: Mapping[str, float] | None = None,
    always: Sequence[str] = (),
) -> Contest:
    """Each accelerator serving everything alone, for all that is uncertain.

    Args:
        of: the problem.
        problem: its description.
        prices: of the fleet's limits, as a plan has them.
        always: ids of accelerators to compare however dear they are, if they can serve all.

    Returns:
        Those whose cost is within a factor of the cheapest's, the cheapest first.

    Raises:
        InputError: no accelerator serves everything alone.
    """
    given = {} if prices is None else prices
    charged = charges(of, of.weights, np.array([given.get(name, 0.0) for name in of.limits.names]))
    costs = request_costs(of, charged)
    single = by_xpu(of, costs)
    total = single.least @ of.of.rates
    if not np.isfinite(total).any():
        raise InputError("no accelerator serves all requests alone within these limits")
    order = [at for at in np.argsort(total) if np.isfinite(total[at])]
    near = [at for at in order if total[at] <= CONTENDERS * total[order[0]]][:MOST]
    chosen = near + [at for at in order if single.xpus[at] in always and at not in near]
    xpus = [single.xpus[at] for at in chosen]
    first = leading(of, costs)
    first = first[[of.of.names[at].xpu in xpus for at in first]]
    found = drawn(of, problem, first, given)
    some = kept(of, first)
    factors = price_factors(problem, xpus, len(found.money))

    def totals(by_price: Float[np.ndarray, "draws xpus"]) -> Float[np.ndarray, "draws xpus"]:
        at = np.array([xpus.index(name.xpu) for name in some.of.names])
        rows = []
        for draw, factor in enumerate(by_price):
            each: Alone = by_xpu(some, found.money[draw] * factor[at, None] + found.rest[draw])
            order = [each.xpus.index(xpu) for xpu in xpus]
            rows.append(each.least[order] @ of.of.rates)
        return np.stack(rows)

    return Contest(tuple(xpus), totals(factors), factors, totals(np.ones_like(factors)))


def price_range(problem: Problem, xpu: str) -> tuple[float, float]:
    """Between which factors on its price an accelerator was offered.

    Args:
        problem: the description, which says whether machines are rented or bought.
        xpu: id.

    Returns:
        Least and greatest offer over the median; where there is but one, or the description gives
        the price, as far either way as is typical of the others.
    """
    known = xpu in problem.choices.usd_per_hour and problem.owned is None
    low, high = _offered(problem, xpu)
    if known or high <= low:
        return 1.0 / _typical(problem), _typical(problem)
    return low, high


def _offered(problem: Problem, xpu: str) -> tuple[float, float]:
    bought = problem.owned is not None
    offers = catalog.purchase_offers(xpu) if bought else catalog.rental_offers(xpu)
    usd = offers["usd" if bought else "usd_per_xpu_hour"].to_numpy(float)
    if not len(usd):
        return 1.0, 1.0
    middle = float(np.median(usd))
    return float(usd.min()) / middle, float(usd.max()) / middle


def _typical(problem: Problem) -> float:
    ranges = [_offered(problem, xpu) for xpu in catalog.ids("xpus")]
    spans = [math.sqrt(high / low) for low, high in ranges if high > low]
    return float(np.median(spans)) if spans else 1.25


def price_factors(
    problem: Problem, xpus: Sequence[str], count: int
) -> Float[np.ndarray, "draws xpus"]:
    """Draws of what accelerators cost over what the catalogue says, one apart from the other.

    Args:
        problem: the description.
        xpus: ids.
        count: of draws.

    Returns:
        Evenly spread on the log scale between the offers seen.
    """
    cube = stats.qmc.LatinHypercube(len(xpus), rng=SEED).random(count)
    ends = np.log([price_range(problem, xpu) for xpu in xpus])
    factors: Float[np.ndarray, "draws xpus"] = np.exp(ends[:, 0] + (ends[:, 1] - ends[:, 0]) * cube)
    return factors
