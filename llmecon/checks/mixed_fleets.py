"""Which instances to run of each kind, and which requests to send where: exactly.

A service's requests fall into classes by their size. An instance of some accelerator, layout and
precision serves so many requests a second of each class within the latency limits, and what it
serves of several classes shares its time. How many instances to run is a mixed-integer linear
programme, solved to the optimum by HiGHS; without whole numbers it is a linear programme, whose
multipliers are the prices of its limits [Griggs2024].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from llmecon.errors import InputError

# A share of a class below this is what a solver leaves of nothing.
NOTHING = 1e-9


@dataclass(frozen=True)
class Limit:
    """A limit on what all instances take of something together.

    Attributes:
        each: taken by one instance, by option; at least 0.
        most: in the same unit.
    """

    each: Float[np.ndarray, " options"]
    most: float


@dataclass(frozen=True)
class Fleet:
    """What there is to choose from, and what has to be served.

    Attributes:
        rates: requests per second of each class, at least 0.
        capacity: requests of a class that an instance serves per second if it serves nothing else;
            0 where it can't within the latency limits.
        cost: of an instance, in any unit per second, > 0: money, carbon, or a weighting of several.
        limits: by name: devices that can be had, power, a budget, carbon.
    """

    rates: Float[np.ndarray, " classes"]
    capacity: Float[np.ndarray, "options classes"]
    cost: Float[np.ndarray, " options"]
    limits: Mapping[str, Limit] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixture:
    """Instances to run, and what they do.

    Attributes:
        instances: of each option; whole numbers unless relaxed.
        shares: of each class that each option serves; 0 where there are no requests.
        cost: of all instances, in the fleet's unit.
        bound: no choice costs less than this.
    """

    instances: Float[np.ndarray, " options"]
    shares: Float[np.ndarray, "options classes"]
    cost: float
    bound: float


@dataclass(frozen=True)
class Prices:
    """What limits and requests are worth where instances need not be whole.

    Attributes:
        cost: of the best relaxed choice.
        requests: what one more request per second of each class adds to it.
        limits: by name, what one more unit of the limit takes off it; 0 where it does not bind.
    """

    cost: float
    requests: Float[np.ndarray, " classes"]
    limits: Mapping[str, float]


@dataclass(frozen=True)
class Clash:
    """Why nothing serves all requests.

    Attributes:
        unserved: classes that no option serves within its latency limits.
        raised: the limits that clash, by name: the least factor by which each would have to be
            raised, if the factors together should exceed 1 as little as possible.
    """

    unserved: tuple[int, ...]
    raised: Mapping[str, float]


def best(fleet: Fleet, gap: float = 1e-9) -> Mixture | Clash:
    """The cheapest whole numbers of instances that serve everything within the limits.

    Args:
        fleet: options, requests and limits.
        gap: share by which the cost may exceed the bound that proves it best.

    Returns:
        The mixture with its proof; or why there is none.

    Raises:
        InputError: a number is negative or not finite, or shapes do not agree.
    """
    _check(fleet)
    unserved = _unserved(fleet)
    if unserved:
        return Clash(unserved, {})
    options, classes = fleet.capacity.shape
    able = _able(fleet)
    cost = np.concatenate([fleet.cost, np.zeros(able.sum())])
    upper = np.concatenate([np.full(options, np.inf), np.ones(able.sum())])
    found = milp(
        cost,
        constraints=[
            LinearConstraint(_work(fleet), -np.inf, 0.0),
            LinearConstraint(_everything(fleet), 1.0, 1.0),
            *([LinearConstraint(_taken(fleet), -np.inf, _most(fleet))] if fleet.limits else []),
        ],
        bounds=Bounds(np.zeros_like(upper), upper),
        integrality=np.concatenate([np.ones(options), np.zeros(able.sum())]),
        options={"mip_rel_gap": gap},
    )
    if found.x is None:
        return Clash((), _raised(fleet))
    instances = np.round(found.x[:options])
    shares = np.zeros((options, classes))
    shares[able] = np.where(found.x[options:] > NOTHING, found.x[options:], 0.0)
    return Mixture(instances, shares, float(fleet.cost @ instances), float(found.mip_dual_bound))


def single(fleet: Fleet, option: int) -> Mixture | Clash:
    """The cheapest whole number of instances of one option alone.

    Args:
        fleet: options, requests and limits.
        option: its row.

    Returns:
        As `best`.

    Raises:
        InputError: as `best`.
    """
    kept = slice(option, option + 1)
    limits = {name: Limit(of.each[kept], of.most) for name, of in fleet.limits.items()}
    found = best(Fleet(fleet.rates, fleet.capacity[kept], fleet.cost[kept], limits))
    if isinstance(found, Clash):
        return found
    instances, shares = np.zeros(len(fleet.cost)), np.zeros_like(fleet.capacity)
    instances[option], shares[option] = found.instances[0], found.shares[0]
    return Mixture(instances, shares, found.cost, found.bound)


def prices(fleet: Fleet) -> Prices | Clash:
    """What limits and requests are worth, where instances may be parts.

    Args:
        fleet: options, requests and limits.

    Returns:
        The multipliers of the linear programme, which are the derivatives of its cost; or why
        nothing serves all requests.

    Raises:
        InputError: as `best`.
    """
    _check(fleet)
    unserved = _unserved(fleet)
    if unserved:
        return Clash(unserved, {})
    able = _able(fleet)
    work, asked = _work(fleet), _everything(fleet)
    rows = np.concatenate([work, _taken(fleet)]) if fleet.limits else work
    ends = np.concatenate([np.zeros(len(work)), _most(fleet)])
    found = linprog(
        np.concatenate([fleet.cost, np.zeros(able.sum())]),
        A_ub=rows,
        b_ub=ends,
        A_eq=asked,
        b_eq=np.ones(len(asked)),
    )
    if found.x is None:
        return Clash((), _raised(fleet))
    # A class costs its time on the instances that serve it, at what an hour of each is worth.
    hours = -found.ineqlin.marginals[: len(work)]
    shares = np.zeros_like(fleet.capacity)
    shares[able] = found.x[len(fleet.cost) :]
    needs = np.divide(1.0, fleet.capacity, out=np.zeros_like(fleet.capacity), where=able)
    return Prices(
        cost=float(found.fun),
        requests=np.einsum("oc,oc,o->c", shares, needs, hours),
        limits=dict(zip(fleet.limits, -found.ineqlin.marginals[len(work) :], strict=True)),
    )


def _check(fleet: Fleet) -> None:
    options, classes = fleet.capacity.shape
    if fleet.rates.shape != (classes,) or fleet.cost.shape != (options,):
        raise InputError(
            f"a fleet of {options} options and {classes} classes needs as many costs and rates; "
            f"got {len(fleet.cost)} and {len(fleet.rates)}"
        )
    named = {
        "rates": fleet.rates,
        "capacity": fleet.capacity,
        "cost": fleet.cost,
        **{name: np.append(of.each, of.most) for name, of in fleet.limits.items()},
    }
    for name, values in named.items():
        if not np.all(np.isfinite(values)) or np.any(values < 0.0):
            raise InputError(f"{name}: got {values}; expected finite numbers of at least 0")


def _able(fleet: Fleet) -> Bool[np.ndarray, "options classes"]:
    """Where an option serves a class; classes that nobody asks for are left to all."""
    return fleet.capacity > 0.0


def _unserved(fleet: Fleet) -> tuple[int, ...]:
    nobody = ~_able(fleet).any(axis=0) & (fleet.rates > 0.0)
    return tuple(int(k) for k in np.flatnonzero(nobody))


def _work(fleet: Fleet) -> Float[np.ndarray, "options variables"]:
    """Time taken on each option, less what its instances have."""
    able = _able(fleet)
    option, kind = np.nonzero(able)
    rows = np.zeros((len(fleet.cost), len(option)))
    rows[option, np.arange(len(option))] = fleet.rates[kind] / fleet.capacity[able]
    return np.concatenate([-np.eye(len(fleet.cost)), rows], axis=1)


def _everything(fleet: Fleet) -> Float[np.ndarray, "served variables"]:
    """Shares of each class that is served, over the options."""
    able = _able(fleet)
    _, kind = np.nonzero(able)
    served = np.flatnonzero(able.any(axis=0))
    shares = (kind[None, :] == served[:, None]).astype(float)
    return np.concatenate([np.zeros((len(served), len(fleet.cost))), shares], axis=1)


def _taken(fleet: Fleet) -> Float[np.ndarray, "limits variables"]:
    each = np.stack([of.each for of in fleet.limits.values()])
    return np.concatenate([each, np.zeros((len(each), int(_able(fleet).sum())))], axis=1)


def _most(fleet: Fleet) -> Float[np.ndarray, " limits"]:
    return np.array([of.most for of in fleet.limits.values()], dtype=float)


def _raised(fleet: Fleet) -> dict[str, float]:
    """The least that limits must be raised by, as factors, for whole instances to serve all."""
    options, able = len(fleet.cost), _able(fleet)
    shares, limits = int(able.sum()), len(fleet.limits)
    most = _most(fleet)
    # A limit of nothing can't be raised by a factor; its excess is counted in units.
    unit = np.where(most > 0.0, most, 1.0)
    cost = np.concatenate([np.zeros(options + shares), np.ones(limits)])
    still = np.zeros((options, limits))
    found = milp(
        cost,
        constraints=[
            LinearConstraint(np.concatenate([_work(fleet), still], axis=1), -np.inf, 0.0),
            LinearConstraint(
                np.concatenate(
                    [_everything(fleet), np.zeros((len(_everything(fleet)), limits))], axis=1
                ),
                1.0,
                1.0,
            ),
            LinearConstraint(
                np.concatenate([_taken(fleet) / unit[:, None], -np.eye(limits)], axis=1),
                -np.inf,
                most / unit,
            ),
        ],
        integrality=np.concatenate([np.ones(options), np.zeros(shares + limits)]),
    )
    excess = found.x[options + shares :]
    return {
        name: float(1.0 + over) if of.most > 0.0 else np.inf
        for (name, of), over in zip(fleet.limits.items(), excess, strict=True)
        if over > NOTHING
    }
