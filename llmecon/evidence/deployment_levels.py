"""How far deployments differ from the best public benchmarks, and what own rows say of one.

The physics is fitted to two benchmarks that tune every system well. What others measure differs
from it: by software that is young or of another vendor, by how well it was set up, by the harness.
Such differences are pooled partially [Gelman2006]. The logarithm of measured over predicted is
taken for a normal process over rows::

    r = x b + publisher + stack (engine on accelerator) + system (model on it, in a precision)
        + slope (log batch) + wait for memory + a smooth function of the load within the stack
        + noise

whose standard deviations are the most probable ones given what was published. TPOT and throughput,
of few requests or of a backlog, are readings of one quantity, pace, that differ a little. A
deployment of which nothing is known has the terms x b and the whole spread; rows that were measured
on it narrow both, as in a Gaussian process [RasmussenWilliams2006].
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from llmecon.evidence import conditions
from llmecon.tables import catalog

# What each target of a kind of file tells of, and the sign with which slowness moves it.
READINGS: Mapping[str, Mapping[str, tuple[str, str, float]]] = {
    "serving": {
        "tpot": ("tpot", "pace", 1.0),
        "throughput": ("throughput", "pace", -1.0),
        "ttft": ("ttft", "first_token", 1.0),
        "energy": ("energy", "energy", 1.0),
    },
    "offline": {"throughput": ("backlog", "pace", -1.0)},
}
# Software for a sparse model matures within months of the model's release, years.
MATURING = 0.5
# Before then engines had few kernels for sparse models.
SPARSE_KERNELS = 2025.6
# Work on a request outside the model takes others about so much of the time that the fit finds in
# the benchmarks: near it, TTFT follows the sum of its parts.
OUTSIDE = 0.3
# What a backlog's batch counts as: it fills what is allowed, commonly some hundred requests.
BACKLOG = 256.0
# Factors over which a deployment's deviation changes smoothly.
REACHES: Mapping[str, float] = {"batch": 16.0, "prompt": 8.0, "output": 8.0, "size": 4.0}
# Of batches in units of the logarithm of their reach: where a publisher's slope turns.
PIVOT = 1.0

# Terms that may explain a quantity, in the order in which they are tried. That software matures,
# and that what a request does outside the model weighs on a short TTFT, is part of every model:
# few publishers show it, and most of what is measured next is of new models. Where groups of chips
# attend apart, TTFT is longer with every publisher. Of pace that is so with one alone: a term that
# is learnt from it misleads own rows of others.
CANDIDATES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "pace": (("young",), ("young", "early_sparse")),
    "first_token": (
        ("outside", "young"),
        ("outside", "young", "apart"),
        ("outside", "young", "early_sparse"),
        ("outside", "young", "apart", "early_sparse"),
    ),
    "energy": ((),),
}
# A row further from the physics than this, in logs, met a limit of its server that nobody recorded:
# it counts as so far away and no further.
FURTHEST: Mapping[str, float] = {"pace": 2.0, "first_token": 2.0, "energy": 2.0}
# How large the mean and every coefficient may be: standard deviations, in logs.
INTERCEPT: Mapping[str, float] = {"pace": 0.5, "first_token": 0.5, "energy": 0.15}
COEFFICIENT = 1.0


@dataclass(frozen=True)
class Spreads:
    """Standard deviations between and within deployments, in logarithms.

    Attributes:
        publisher: between publishers.
        stack: between engines on accelerators, of one publisher.
        system: between models on one of them, beside what the physics is unsure of.
        slope: of a publisher's slope over 16 times the batch.
        queue: of a publisher's wait for memory, as a multiple of how long it may be.
        load: of a smooth function of batch, lengths and size within a stack.
        target: between the targets of one quantity, of one publisher.
        noise: between repeats.
    """

    publisher: float
    stack: float
    system: float
    slope: float
    queue: float
    load: float
    target: float
    noise: float


# What rows may have in common: every spread but the last.
_COMMON = tuple(of.name for of in fields(Spreads) if of.name != "noise")
# Half-normal priors of the spreads. TTFT alone holds a wait for memory; others ask for none.
WIDEST: Mapping[str, Spreads] = {
    "pace": Spreads(0.5, 0.3, 0.2, 0.2, 1.0, 0.2, 0.1, 0.1),
    "first_token": Spreads(0.8, 0.5, 0.3, 0.3, 1.0, 0.5, 0.1, 0.3),
    "energy": Spreads(0.15, 0.1, 0.1, 0.1, 1.0, 0.1, 0.1, 0.1),
}
# What a further term must add to the logarithm of the density, mean over unseen publishers.
WORTH = 0.02
# Logarithms between which spreads are searched for, and steps of the search.
SEARCHED = (-6.0, 1.0)
MOST_STEPS = 40


@dataclass(frozen=True)
class Level:
    """A model of one quantity's deviations.

    Attributes:
        quantity: pace, first_token or energy.
        terms: columns that shift the mean.
        spreads: standard deviations.
    """

    quantity: str
    terms: tuple[str, ...]
    spreads: Spreads


def describe(rows: pd.DataFrame, physics: pd.DataFrame, kind: str) -> pd.DataFrame:
    """What tells one deployment's rows from another's, for every target.

    Args:
        rows: usable rows of the kind.
        physics: what the physics predicts of them: for every target TARGET and TARGET_sd (of its
            logarithm), and for serving outside (share of TTFT spent outside the model) and crowded
            (how far TTFT may rise, in logs, if less memory is free than thought).
        kind: serving or offline.

    Returns:
        One row a row and target, with the index of its row: column (the target as the file names
        it), target, quantity, sign, publisher, stack, system, predicted, sd, the coordinates
        batch, prompt, output, size and crowded, and the terms; NaN in a term that can't be told.
    """
    said = conditions.stated(rows)
    models = catalog.table("models").set_index("id")
    young, early = maturity(rows["model"], said["year"])
    stack = said["engine"] + "|" + rows["xpu"].astype(str)
    shared = pd.DataFrame(
        {
            "publisher": said["publisher"],
            "stack": stack,
            "system": stack + "|" + rows["model"].astype(str) + "|" + rows["precision"].astype(str),
            "batch": rows["concurrency"] if kind == "serving" else BACKLOG,
            "prompt": rows["prompt_tokens"],
            "output": rows["output_tokens"],
            "size": rows["model"].map(models["parameters_active_b"]),
            "young": young,
            "early_sparse": early,
            "outside": _shortened(physics.get("outside", pd.Series(0.0, index=rows.index))),
            "apart": _apart(rows),
        },
        index=rows.index,
    )
    for name, reach in REACHES.items():
        size = pd.to_numeric(shared[name], errors="coerce").astype(float)
        shared[name] = np.log(size.clip(lower=1.0)) / np.log(reach)
    parts = [
        shared.assign(
            column=column,
            target=target,
            quantity=quantity,
            sign=sign,
            crowded=physics.get("crowded", 0.0) if quantity == "first_token" else 0.0,
            predicted=physics[column],
            sd=physics[f"{column}_sd"],
        )
        for column, (target, quantity, sign) in READINGS[kind].items()
    ]
    return pd.concat(parts)


def maturity(model: pd.Series, year: pd.Series) -> tuple[pd.Series, pd.Series]:
    """How young software is for models, and how early among engines for sparse ones.

    Args:
        model: ids.
        year: of the software, with its fraction; NaN where it isn't known.

    Returns:
        The terms young and early_sparse: 0 to 1, and 0 for dense models.
    """
    models = catalog.table("models").set_index("id")
    sparse = model.map(models["experts"]) > 0
    age = (year - model.map(models["release"]).map(_years)).clip(lower=0.0)
    early = (SPARSE_KERNELS - year).clip(0.0, 1.0)
    # A dense model's kernels are those of its forerunners, whatever its age.
    return np.exp(-age / MATURING).where(sparse, 0.0), early.where(sparse, 0.0)


def _shortened(outside: pd.Series) -> pd.Series:
    """How far TTFT shrinks when what a request does outside the model takes OUTSIDE of its time.

    In logs, and as a share of what it would shrink by if nothing else were in it.
    """
    return np.log(1.0 - outside * (1.0 - OUTSIDE)) / np.log(OUTSIDE)


def _apart(rows: pd.DataFrame) -> pd.Series:
    """1 where groups of devices attend to requests of their own and share the experts, else 0."""
    nothing = pd.Series(np.nan, index=rows.index)
    expert, tensor = (
        pd.to_numeric(rows.get(f"{of}_parallel", nothing), errors="coerce")
        for of in ("expert", "tensor")
    )
    return (expert > tensor).astype(float)


def _years(month: str) -> float:
    return int(month[:4]) + (int(month[5:7]) - 1) / 12 if len(month) > 4 else int(month) + 0.5


def slowness(described: pd.DataFrame, measured: pd.Series) -> pd.Series:
    """How much slower than the physics rows were, or how much more energy they took, in logs.

    Args:
        described: from `describe`.
        measured: in the unit of what was predicted, > 0.

    Returns:
        One number a row, no further from 0 than FURTHEST.
    """
    furthest = described["quantity"].map(FURTHEST)
    return (described["sign"] * np.log(measured / described["predicted"])).clip(-furthest, furthest)


def _alike(one: pd.Series, other: pd.Series) -> np.ndarray:
    return np.equal.outer(one.astype(str).to_numpy(), other.astype(str).to_numpy())


def _near(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """A smooth function of the distance between loads: 1 at none."""
    names = list(REACHES)
    gap = one[names].to_numpy(float)[:, None] - other[names].to_numpy(float)[None]
    return np.asarray(np.exp(-0.5 * np.sum(gap**2, axis=-1)))


@dataclass(frozen=True)
class _Shared:
    """What pairs of rows have in common, as matrices that the spreads scale."""

    publisher: np.ndarray
    stack: np.ndarray
    system: np.ndarray
    slope: np.ndarray
    queue: np.ndarray
    load: np.ndarray
    target: np.ndarray
    physics: np.ndarray

    def covariance(self, spreads: Spreads) -> np.ndarray:
        found = self.physics.copy()
        for name in _COMMON:
            found += getattr(spreads, name) ** 2 * getattr(self, name)
        return found


def _shared(one: pd.DataFrame, other: pd.DataFrame) -> _Shared:
    publisher = _alike(one["publisher"], other["publisher"]).astype(float)
    stack = publisher * _alike(one["stack"], other["stack"])
    system = stack * _alike(one["system"], other["system"])
    batch = [of["batch"].to_numpy(float) - PIVOT for of in (one, other)]
    return _Shared(
        publisher=publisher,
        stack=stack,
        system=system,
        slope=publisher * np.outer(*batch),
        queue=publisher * np.outer(one["crowded"], other["crowded"]),
        load=stack * _near(one, other),
        target=publisher * _alike(one["target"], other["target"]),
        # What the physics is unsure of, it is unsure of alike for all rows of one system.
        physics=system * np.outer(one["sd"], other["sd"]),
    )


def _design(rows: pd.DataFrame, terms: tuple[str, ...]) -> np.ndarray:
    return np.column_stack([np.ones(len(rows)), *(rows[name].to_numpy(float) for name in terms)])


def _prior(level: Level | str, terms: tuple[str, ...]) -> np.ndarray:
    quantity = level if isinstance(level, str) else level.quantity
    return np.array([INTERCEPT[quantity], *[COEFFICIENT] * len(terms)])


def fit(known: pd.DataFrame, quantity: str, terms: tuple[str, ...]) -> Level:
    """The most probable spreads of a quantity's deviations.

    Args:
        known: from `describe`, rows of the quantity, with a column slowness.
        quantity: pace, first_token or energy.
        terms: columns that shift the mean.

    Returns:
        The level model; see `log_density` for how to compare terms.
    """
    prior = _prior(quantity, terms)
    widest = np.array(astuple(WIDEST[quantity]))
    # Publishers share the terms alone, so that each is a block of its own.
    blocks = [
        (
            _shared(of, of),
            np.column_stack([of["slowness"].to_numpy(float), _design(of, terms) * prior]),
        )
        for _, of in known.groupby("publisher", sort=False)
    ]

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm of the density, and its slope."""
        spreads = Spreads(*np.exp(logs))
        inner = np.zeros((1 + len(prior),) * 2)
        bent = np.zeros((len(logs), *inner.shape))
        total, slope = 0.0, np.zeros(len(logs))
        for shared, columns in blocks:
            matrix = shared.covariance(spreads)
            matrix[np.diag_indices_from(matrix)] += spreads.noise**2
            factor = cho_factor(matrix, lower=True)
            inverse = cho_solve(factor, np.eye(len(matrix)))
            solved = inverse @ columns
            inner += columns.T @ solved
            total += float(np.sum(np.log(np.diag(factor[0]))))
            for place, name in enumerate(_COMMON):
                common = getattr(shared, name)
                slope[place] += np.sum(inverse * common)
                bent[place] -= 2.0 * solved.T @ common @ solved
            slope[-1] += np.trace(inverse)
            bent[-1] -= 2.0 * solved.T @ solved
        # The terms are integrated out: their precision is the identity, in units of their prior.
        middle = cho_factor(np.eye(len(prior)) + inner[1:, 1:], lower=True)
        weights = np.concatenate([[1.0], -cho_solve(middle, inner[1:, 0])])
        squares = inner[0, 0] + inner[0, 1:] @ weights[1:]
        total += float(np.sum(np.log(np.diag(middle[0])))) + 0.5 * float(squares)
        within = cho_solve(middle, np.eye(len(prior)))
        slope += 0.5 * np.sum(within * bent[:, 1:, 1:], axis=(1, 2))
        slope += 0.5 * np.einsum("i,kij,j->k", weights, bent, weights)
        wide = (np.exp(logs) / widest) ** 2
        slope = slope * np.exp(2.0 * logs) + wide - 1.0
        return total + float(np.sum(0.5 * wide - logs)), slope

    found = minimize(
        loss,
        np.log(widest / 2.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[SEARCHED] * len(widest),
        options={"maxiter": MOST_STEPS},
    )
    return Level(quantity, terms, Spreads(*(float(of) for of in np.exp(found.x))))


@dataclass(frozen=True)
class Deviations:
    """How far rows are expected to lie from the physics, in logs of slowness.

    Attributes:
        mean: one a row.
        sd: one a row, of a single measurement.
    """

    mean: np.ndarray
    sd: np.ndarray


def expected(level: Level, known: pd.DataFrame, asked: pd.DataFrame) -> Deviations:
    """What measured rows say of others.

    Args:
        level: the spreads of the quantity.
        known: from `describe`, with a column slowness; rows of other quantities are passed over.
        asked: from `describe`, rows of the quantity. Rows whose publisher is not among the known
            ones are of a deployment of which nothing is known.

    Returns:
        The deviations of the rows asked for.
    """
    known = known[known["quantity"] == level.quantity]
    # A term that can't be told has the mean and the spread of what is known.
    typical = known.drop_duplicates(["publisher", "stack", "system"])
    means, spread = typical[list(level.terms)].mean(), typical[list(level.terms)].var()
    untold = asked[list(level.terms)].isna().to_numpy()
    known, asked = known.fillna(means), asked.fillna(means)
    prior = _prior(level, level.terms)
    design = [_design(of, level.terms) * prior for of in (known, asked)]
    noise = level.spreads.noise**2
    matrix = _shared(known, known).covariance(level.spreads) + design[0] @ design[0].T
    matrix[np.diag_indices_from(matrix)] += noise
    cross = _shared(asked, known).covariance(level.spreads) + design[1] @ design[0].T
    factor = cho_factor(matrix, lower=True)
    solved = cho_solve(factor, np.column_stack([known["slowness"].to_numpy(float), cross.T]))
    alone = np.sum(design[1] ** 2, axis=1) + noise + _own(level.spreads, asked)
    variance = alone - np.sum(cross * solved[:, 1:].T, axis=1)
    # The coefficients, to tell what not knowing a term leaves open.
    coefficients = prior * (design[0].T @ solved[:, 0])
    open_ = untold.astype(float) @ (coefficients[1:] ** 2 * spread.to_numpy(float))
    return Deviations(
        cross @ solved[:, 0], np.sqrt(np.maximum(variance, noise) + np.nan_to_num(open_))
    )


def _own(spreads: Spreads, rows: pd.DataFrame) -> np.ndarray:
    """The variance of each row, before anything was measured, without terms and noise."""
    constant = sum(
        getattr(spreads, name) ** 2 for name in ("publisher", "stack", "system", "load", "target")
    )
    slope = (rows["batch"].to_numpy(float) - PIVOT) * spreads.slope
    queue = rows["crowded"].to_numpy(float) * spreads.queue
    return np.asarray(constant + slope**2 + queue**2 + rows["sd"].to_numpy(float) ** 2)


def log_density(known: pd.DataFrame, quantity: str, terms: tuple[str, ...]) -> float:
    """How well terms predict publishers that the fit did not see.

    Args:
        known: as in `fit`.
        quantity: as in `fit`.
        terms: as in `fit`.

    Returns:
        Mean over publishers of the mean logarithm of the density at their rows.
    """
    found = []
    for out, rest in _each_left_out(known):
        deviations = expected(fit(rest, quantity, terms), rest, out)
        score = (out["slowness"].to_numpy(float) - deviations.mean) / deviations.sd
        found.append(float(np.mean(-0.5 * score**2 - np.log(deviations.sd))))
    return float(np.mean(found))


def _each_left_out(known: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    for publisher in known["publisher"].unique():
        out = known["publisher"] == publisher
        yield known[out], known[~out]


def chosen(known: pd.DataFrame, quantity: str) -> Level:
    """A level model with as few terms as predict unseen publishers about best.

    Args:
        known: as in `fit`.
        quantity: as in `fit`.
    """
    rows = known[known["quantity"] == quantity]
    best, *others = CANDIDATES[quantity]
    if others and rows["publisher"].nunique() > 1:
        reached = log_density(rows, quantity, best)
        for terms in others:
            density = log_density(rows, quantity, terms)
            if density > reached + WORTH * (len(terms) - len(best)):
                best, reached = terms, density
    return fit(rows, quantity, best)


def as_table(levels: Mapping[str, Level]) -> pd.DataFrame:
    """Level models as rows: quantity, name (of a spread or a term), role, value."""
    rows = [
        (quantity, name, "spread", value)
        for quantity, level in levels.items()
        for name, value in asdict(level.spreads).items()
    ]
    rows += [(of, term, "term", 1.0) for of, level in levels.items() for term in level.terms]
    return pd.DataFrame(rows, columns=["quantity", "name", "role", "value"])


def from_table(table: pd.DataFrame) -> dict[str, Level]:
    """Level models from the rows that `as_table` makes of them."""
    found = {}
    for quantity, of in table.groupby("quantity", sort=False):
        values = of[of["role"] == "spread"].set_index("name")["value"]
        spreads = Spreads(*(float(values[field.name]) for field in fields(Spreads)))
        terms = tuple(of.loc[of["role"] == "term", "name"])
        found[str(quantity)] = Level(str(quantity), terms, spreads)
    return found
